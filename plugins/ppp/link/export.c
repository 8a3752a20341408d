/* The link's layer of exported state. A record is imported into the link that the lower layer's import has started. */
#include "link.h"

#include <viaduct/secret.h>
#include <viaduct/state.h>

#include <errno.h>
#include <string.h>

#define RECORD_VERSION 4

static void put_text(struct vd_wr *w, const char *text)
{
	size_t len = strlen(text);

	vd_wr_u8(w, (uint8_t)len); /* all our texts are shorter than 256 */
	vd_wr_put(w, text, len);
}

static void get_text(struct vd_rd *r, char *out, size_t size)
{
	uint8_t len = vd_rd_u8(r);
	const uint8_t *p = vd_rd_take(r, len);

	if (len >= size)
		vd_rd_fail(r);
	if (!vd_rd_ok(r))
		return;
	if (len)
		memcpy(out, p, len);
	out[len] = 0;
}

static void put_peer(struct vd_wr *w, const struct ppp_lcp_peer *peer)
{
	vd_wr_u16(w, peer->mru);
	vd_wr_u8(w, (uint8_t)(peer->pfc | peer->acfc << 1));
	vd_wr_u32(w, peer->magic);
}

static void get_peer(struct vd_rd *r, struct ppp_lcp_peer *peer)
{
	uint8_t flags;

	peer->mru = vd_rd_u16(r);
	flags = vd_rd_u8(r);
	peer->pfc = flags & 1;
	peer->acfc = flags & 2;
	peer->magic = vd_rd_u32(r);
}

/* The flags in one fixed order, for both directions. */
#define FLAGS 12
static void flags(struct ppp_link *link, bool *out[FLAGS])
{
	bool *all[FLAGS] = { &link->failing, &link->session_closed, &link->reported, &link->heard, &link->spoke,
		&link->ever_opened, &link->ask_mru, &link->ask_magic, &link->echo_heard, &link->echo_off,
		&link->ask_address, &link->asked_missing };

	memcpy(out, all, sizeof(all));
}

static void export_ipv6(const struct ppp_link *link, struct vd_wr *w)
{
	ppp_cp_export(&link->ipv6cp, w);
	vd_wr_u8(w, (uint8_t)(link->ask_id | link->asked_id << 1 | link->no_v6 << 2));
	vd_wr_u8(w, link->leases6);
	vd_wr_u8(w, link->may);
	vd_wr_u8(w, link->open_now);
	vd_wr_u8(w, link->carried);
	vd_wr_put(w, link->id, IPV6CP_ID);
	vd_wr_put(w, link->peer_id, IPV6CP_ID);
	vd_wr_put(w, link->suggested, IPV6CP_ID);
	vd_wr_u8(w, link->early6_len);
	vd_wr_put(w, link->early6, link->early6_len);
}

static int import_ipv6(struct ppp_link *link, struct vd_rd *r)
{
	int ret = ppp_cp_import(&link->ipv6cp, r);
	uint8_t bits = vd_rd_u8(r);

	link->ask_id = bits & 1;
	link->asked_id = bits & 2;
	link->no_v6 = bits & 4;
	link->leases6 = vd_rd_u8(r);
	link->may = vd_rd_u8(r);
	link->open_now = vd_rd_u8(r);
	link->carried = vd_rd_u8(r);
	vd_rd_copy(r, link->id, IPV6CP_ID);
	vd_rd_copy(r, link->peer_id, IPV6CP_ID);
	vd_rd_copy(r, link->suggested, IPV6CP_ID);
	link->early6_len = vd_rd_u8(r);
	vd_rd_copy(r, link->early6, link->early6_len);
	return ret;
}

static int export_link(struct ppp_link *link, struct vd_wr *w)
{
	const struct vd_ppp_auth_1 *method = link->auth[link->auth_at].method;
	uint16_t bits = 0;
	bool *all[FLAGS];
	size_t mark;
	int r;

	flags(link, all);
	for (unsigned i = 0; i < FLAGS; i++)
		bits |= (uint16_t)(*all[i] << i);
	vd_wr_u64(w, link->node.id);
	vd_wr_u8(w, link->phase);
	vd_wr_u16(w, bits);
	vd_wr_u16(w, link->mru);
	vd_wr_u32(w, link->magic);
	put_peer(w, &link->peer);
	put_text(w, link->reason);
	vd_wr_u8(w, link->end.kind & 3);
	ppp_timer_export(&link->open, w);
	ppp_timer_export(&link->setup, w);
	ppp_timer_export(&link->end, w);
	ppp_timer_export(&link->echo, w);
	ppp_cp_export(&link->lcp, w);
	ppp_cp_export(&link->ipcp, w);
	export_ipv6(link, w);
	vd_wr_u8(w, link->auth_unknown);
	vd_wr_u8(w, link->n_auth);
	for (unsigned i = 0; i < link->n_auth; i++) {
		put_text(w, link->auth[i].name);
		vd_wr_u8(w, link->auth[i].refused);
	}
	vd_wr_u8(w, link->auth_at);
	vd_wr_u8(w, link->notes);
	vd_wr_u8(w, link->echo_lost);
	vd_wr_u8(w, link->echo_id);
	vd_wr_u64(w, link->echo_packets);
	vd_wr_u8(w, link->address_refused);
	vd_wr_u8(w, link->early_len);
	vd_wr_put(w, link->early, link->early_len);
	vd_wr_u8(w, link->n_rejected);
	for (unsigned i = 0; i < link->n_rejected; i++) {
		vd_wr_u16(w, link->rejected[i]);
		vd_wr_u8(w, link->rejections[i]);
	}
	vd_wr_u8(w, link->ccp_requests);
	vd_wr_u8(w, link->other_id);
	vd_wr_u8(w, link->auth_state != NULL);
	if (!link->auth_state)
		return 0;
	mark = vd_wr_mark(w, 2);
	r = method->export_(method->self, link->auth_state, w);
	if (r < 0)
		return r;
	vd_wr_patch_u16(w, mark, (uint16_t)(w->len - mark - 2));
	return 0;
}

static int ppp_export(void *self_, struct vd_wr *w, struct vd_error *err)
{
	struct ppp_self *self = self_;
	uint64_t after = 0;

	vd_wr_u32(w, (uint32_t)self->links.count);
	for (;;) {
		struct ppp_map_node *node = ppp_map_after(&self->links, after);
		struct ppp_link *link;
		int r;

		if (!node)
			break;
		after = node->id;
		link = VD_CONTAINER_OF(node, struct ppp_link, node);
		if (link->dial)
			return vd_error_set(err, -EOPNOTSUPP, "session s-%llu was dialled, and such links do not travel",
				(unsigned long long)node->id);
		/* The core owes an answer that belongs to no record. */
		if (!link->failing && (link->phase == PPP_PHASE_CONFIGURE || link->phase == PPP_PHASE_BRING_UP || link->asking6))
			return vd_error_set(err, -EAGAIN, "session s-%llu is being brought up; try again in a moment",
				(unsigned long long)node->id);
		if (link->end.kind == PPP_END_GONE) /* nothing is below it any more, and its next timer frees it */
			return vd_error_set(err, -EAGAIN, "session s-%llu has just ended; try again in a moment",
				(unsigned long long)node->id);
		r = export_link(link, w);
		if (r < 0)
			return vd_error_set(err, r, "session s-%llu: its authentication cannot be exported",
				(unsigned long long)node->id);
	}
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "no room for the state of the PPP links");
}

static int import_auth(struct ppp_link *link, struct vd_rd *r)
{
	const struct vd_ppp_auth_1 *method;
	struct vd_rd blob;
	int ret;

	link->auth_unknown = vd_rd_u8(r);
	if (vd_rd_u8(r) != link->n_auth)
		return -ENOENT;
	for (unsigned i = 0; i < link->n_auth; i++) {
		char name[sizeof(link->auth[0].name)] = "";

		get_text(r, name, sizeof(name));
		link->auth[i].refused = vd_rd_u8(r);
		if (strcmp(name, link->auth[i].name) != 0)
			return -ENOENT;
	}
	link->auth_at = vd_rd_u8(r);
	if (link->auth_at >= link->n_auth)
		return -EBADMSG;
	link->notes = vd_rd_u8(r);
	link->echo_lost = vd_rd_u8(r);
	link->echo_id = vd_rd_u8(r);
	link->echo_packets = vd_rd_u64(r);
	link->address_refused = vd_rd_u8(r);
	link->early_len = vd_rd_u8(r);
	vd_rd_copy(r, link->early, link->early_len);
	link->n_rejected = vd_rd_u8(r);
	if (link->n_rejected > PPP_PROTOCOLS_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < link->n_rejected; i++) {
		link->rejected[i] = vd_rd_u16(r);
		link->rejections[i] = vd_rd_u8(r);
	}
	link->ccp_requests = vd_rd_u8(r);
	link->other_id = vd_rd_u8(r);
	if (!vd_rd_u8(r))
		return vd_rd_ok(r) ? 0 : -EBADMSG;
	if (!vd_rd_sub(r, vd_rd_u16(r), &blob))
		return -EBADMSG;
	method = link->auth[link->auth_at].method;
	ret = method->import(method->self, link->node.id, &ppp_auth_host, link, &blob, &link->auth_state);
	if (ret < 0)
		link->auth_state = NULL;
	return ret;
}

static int import_link(struct ppp_link *link, struct vd_rd *r)
{
	uint16_t bits;
	bool *all[FLAGS];
	int ret;

	link->phase = vd_rd_u8(r);
	bits = vd_rd_u16(r);
	flags(link, all);
	for (unsigned i = 0; i < FLAGS; i++)
		*all[i] = bits >> i & 1;
	link->mru = vd_rd_u16(r);
	link->magic = vd_rd_u32(r);
	get_peer(r, &link->peer);
	get_text(r, link->reason, sizeof(link->reason));
	link->end.kind = vd_rd_u8(r) & 3;
	ppp_timer_import(&link->open, r);
	ppp_timer_import(&link->setup, r);
	ppp_timer_import(&link->end, r);
	ppp_timer_import(&link->echo, r);
	ret = ppp_cp_import(&link->lcp, r);
	if (ret < 0)
		return ret;
	ret = ppp_cp_import(&link->ipcp, r);
	if (ret == 0)
		ret = import_ipv6(link, r);
	if (ret < 0)
		return ret;
	if (!vd_rd_ok(r) || link->phase >= PPP_PHASES || link->peer.mru < PPP_MRU_MIN)
		return -EBADMSG;
	return import_auth(link, r);
}

static int ppp_import(void *self_, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	struct ppp_self *self = self_;
	uint32_t n;

	(void)mode; /* no number here runs on without the peer */
	if (version != RECORD_VERSION)
		return vd_error_set(
			err, -ENOTSUP, "PPP state has version %u, this build reads %u", version, RECORD_VERSION);
	n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		uint64_t id = vd_rd_u64(r);
		struct ppp_link *link = ppp_link_find(self, id);
		int ret;

		if (!link)
			return vd_error_set(err, -ENOENT,
				"PPP state of session s-%llu, which its lower layer did not restore",
				(unsigned long long)id);
		ret = import_link(link, r);
		if (ret < 0)
			return vd_error_set(err, ret, "PPP state of session s-%llu cannot be read: %s",
				(unsigned long long)id, strerror(-ret));
	}
	return vd_rd_ok(r) ? 0 : vd_error_set(err, -EBADMSG, "PPP state ends early");
}

const struct vd_layer ppp_layer = {
	.name = "ppp_link", .version = RECORD_VERSION, .export_ = ppp_export, .import = ppp_import,
	.upper = true, /* l2tp needs link/1 and so starts after it */
};
