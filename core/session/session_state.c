/* Layer core.sessions: u32 count, then each session. Stable states only: none that waits for an answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "core/encode.h"
#include "core/object/id.h"
#include "core/session/session.h"

#define LAYER_VERSION 5
#define HDR_BARE 255 /* in place of a header's length */

enum { F_AUTHENTICATED = 1, F_LEASED = 2, F_ADDED = 4, F_CLAIMED = 16 };

static int (*counted_by)(uint64_t session, struct vd_session_counters *ret_counters);

void vd_session_counted_by(int (*fn)(uint64_t session, struct vd_session_counters *ret_counters))
{
	counted_by = fn;
}

static void ip_write(struct vd_wr *w, const struct vd_ip *ip)
{
	vd_wr_u16(w, ip->family);
	vd_wr_put(w, ip->a, sizeof(ip->a));
}

static void ip_read(struct vd_rd *r, struct vd_ip *ret_ip)
{
	ret_ip->family = vd_rd_u16(r);
	vd_rd_copy(r, ret_ip->a, sizeof(ret_ip->a));
}

static void hdr_write(struct vd_wr *w, const struct vd_hdr *hdr)
{
	vd_wr_u8(w, hdr->bare ? HDR_BARE : hdr->len);
	vd_wr_put(w, hdr->bytes, hdr->len);
	vd_wr_u8(w, hdr->udp_len);
	vd_wr_u8(w, hdr->udp_from);
	vd_wr_u8(w, hdr->l2tp_len);
	vd_wr_u8(w, hdr->l2tp_from);
}

static void hdr_read(struct vd_rd *r, struct vd_hdr *hdr)
{
	hdr->len = vd_rd_u8(r);
	hdr->bare = hdr->len == HDR_BARE;
	if (hdr->bare)
		hdr->len = 0;
	else if (hdr->len > sizeof(hdr->bytes))
		vd_rd_fail(r);
	else
		vd_rd_copy(r, hdr->bytes, hdr->len);
	hdr->udp_len = vd_rd_u8(r);
	hdr->udp_from = vd_rd_u8(r);
	hdr->l2tp_len = vd_rd_u8(r);
	hdr->l2tp_from = vd_rd_u8(r);
}

/* The keys for the data link (send_key, recv_key) are left out: whoever uses them exports what he made of them. */
static void granted_write(struct vd_wr *w, const struct vd_authenticated *g)
{
	vd_text_write(w, g->user);
	ip_write(w, &g->address);
	ip_write(w, &g->network);
	vd_text_write(w, g->pool);
	for (size_t i = 0; i < VD_SESSION_ROUTES; i++) {
		ip_write(w, &g->routes_behind[i].ip);
		vd_wr_u8(w, g->routes_behind[i].len);
	}
	vd_wr_u32(w, g->session_timeout);
	vd_wr_u32(w, g->idle_timeout);
}

static void granted_read(struct vd_rd *r, struct vd_authenticated *g)
{
	vd_text_read(r, g->user, sizeof(g->user));
	ip_read(r, &g->address);
	ip_read(r, &g->network);
	vd_text_read(r, g->pool, sizeof(g->pool));
	for (size_t i = 0; i < VD_SESSION_ROUTES; i++) {
		ip_read(r, &g->routes_behind[i].ip);
		g->routes_behind[i].len = vd_rd_u8(r);
	}
	g->session_timeout = vd_rd_u32(r);
	g->idle_timeout = vd_rd_u32(r);
}

static void lease_write(struct vd_wr *w, const struct vd_leased_address *l)
{
	ip_write(w, &l->address);
	ip_write(w, &l->gateway);
	vd_wr_u8(w, l->length);
	for (size_t i = 0; i < VD_ARRAY_SIZE(l->dns); i++)
		ip_write(w, &l->dns[i]);
	for (size_t i = 0; i < VD_ARRAY_SIZE(l->wins); i++)
		ip_write(w, &l->wins[i]);
	vd_text_write(w, l->search);
}

static void lease_read(struct vd_rd *r, struct vd_leased_address *l)
{
	ip_read(r, &l->address);
	ip_read(r, &l->gateway);
	l->length = vd_rd_u8(r);
	for (size_t i = 0; i < VD_ARRAY_SIZE(l->dns); i++)
		ip_read(r, &l->dns[i]);
	for (size_t i = 0; i < VD_ARRAY_SIZE(l->wins); i++)
		ip_read(r, &l->wins[i]);
	vd_text_read(r, l->search, sizeof(l->search));
}

static uint64_t ago(uint64_t at)
{
	return at ? vd_now() - at : UINT64_MAX;
}

static uint64_t at_of(uint64_t since)
{
	return since == UINT64_MAX ? 0 : vd_now() - since;
}

static int session_write(struct vd_wr *w, struct vd_session_rec *rec, struct vd_error *err)
{
	const struct vd_session *s = &rec->pub;
	struct vd_session_counters counted;

	if (s->state >= VD_S_CLOSING || rec->step != VD_STEP_IDLE || rec->leased6)
		return vd_error_set(err, -EAGAIN, "session s-%llu waits for an answer", (unsigned long long)s->id);
	if (s->dialled)
		return vd_error_set(err, -EOPNOTSUPP, "session s-%llu was dialled, and such sessions do not travel: take it down "
			"first (viaductctl connection down %s)", (unsigned long long)s->id, s->connection);
	/* The worker's own are lost with it. */
	if (rec->added && counted_by && counted_by(s->id, &counted) == 0)
		vd_session_count_in(rec, &counted);
	vd_wr_u64(w, s->id);
	vd_wr_u64(w, s->chan);
	vd_wr_u8(w, s->state);
	vd_wr_u8(w, (uint8_t)((rec->pub.proven ? F_AUTHENTICATED : 0) | (rec->leased ? F_LEASED : 0) |
		(rec->added ? F_ADDED : 0) | (rec->claim ? F_CLAIMED : 0)));
	vd_wr_u8(w, rec->want);
	vd_wr_u8(w, rec->method);
	vd_text_write(w, s->connection);
	vd_text_write(w, s->user);
	vd_text_write(w, rec->realm);
	vd_text_write(w, s->client);
	vd_wr_u64(w, ago(s->created));
	vd_wr_u64(w, ago(s->up_since));
	vd_wr_u64(w, vd_timer_left(&rec->timer)); /* session_timeout */
	granted_write(w, &s->granted);
	lease_write(w, &s->lease4);
	lease_write(w, &s->lease6);
	vd_wr_u16(w, s->mtu);
	vd_wr_u64(w, s->counters.packets_in);
	vd_wr_u64(w, s->counters.octets_in);
	vd_wr_u64(w, s->counters.packets_out);
	vd_wr_u64(w, s->counters.octets_out);
	hdr_write(w, &rec->link.v4);
	hdr_write(w, &rec->link.v6);
	ip_write(w, &rec->link.link_local[0]);
	ip_write(w, &rec->link.link_local[1]);
	vd_session_no_write(w, rec);
	return 0;
}

static int sessions_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	vd_wr_u32(w, (uint32_t)vd_session_count());
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s)) {
		int res = session_write(w, VD_CONTAINER_OF(s, struct vd_session_rec, pub), err);

		if (res < 0)
			return res;
	}
	return 0;
}

/* Gives an imported session back to the workers; after all layers were read, when its channel is there. */
static void reinstall(void *arg)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_session_rec *rec = arg;
	int res = dp ? dp->session_add(dp->self, &rec->link, NULL, NULL) : -ENODEV;

	if (rec->pub.state >= VD_S_CLOSING)
		return;
	rec->added = res >= 0;
	for (unsigned i = 0; res >= 0 && i < VD_ARRAY_SIZE(rec->fib) && rec->link.source[i].ip.family; i++) {
		const struct vd_prefix *net = &rec->link.source[i];

		res = dp->fib_add(dp->self, net, rec->pub.id, NULL, NULL);
		if (res >= 0)
			rec->fib[rec->n_fib++] = *net;
		else if (vd_network_waits(rec, net))
			res = 0;
	}
	if (res < 0)
		vd_session_close(rec->pub.id, "could not be installed after an import", false);
}

static int session_read(struct vd_rd *r)
{
	uint64_t id = vd_rd_u64(r), left;
	struct vd_session_rec *rec;
	struct vd_session *s;
	struct vd_chan_info *chan;
	uint8_t flags;

	if (!vd_rd_ok(r) || !id || id >= vd_id_peek() || vd_session_find(id))
		return -EBADMSG;
	rec = vd_session_rec_new(id);
	if (!rec)
		return -ENOMEM;
	s = &rec->pub;
	s->chan = vd_rd_u64(r);
	s->state = vd_rd_u8(r);
	flags = vd_rd_u8(r);
	rec->want = vd_rd_u8(r);
	rec->method = vd_rd_u8(r);
	vd_text_read(r, s->connection, sizeof(s->connection));
	vd_text_read(r, s->user, sizeof(s->user));
	vd_text_read(r, rec->realm, sizeof(rec->realm));
	vd_text_read(r, s->client, sizeof(s->client));
	s->created = at_of(vd_rd_u64(r));
	s->up_since = at_of(vd_rd_u64(r));
	left = vd_rd_u64(r);
	granted_read(r, &s->granted);
	lease_read(r, &s->lease4);
	lease_read(r, &s->lease6);
	s->mtu = vd_rd_u16(r);
	s->counters.packets_in = rec->counted_before[0] = vd_rd_u64(r);
	s->counters.octets_in = rec->counted_before[1] = vd_rd_u64(r);
	s->counters.packets_out = rec->counted_before[2] = vd_rd_u64(r);
	s->counters.octets_out = rec->counted_before[3] = vd_rd_u64(r);
	hdr_read(r, &rec->link.v4);
	hdr_read(r, &rec->link.v6);
	for (unsigned i = 0; i < 2; i++) {
		ip_read(r, &rec->link.link_local[i]);
		s->link_local[i] = rec->link.link_local[i];
	}
	vd_session_no_read(r, rec);
	rec->pub.proven = flags & F_AUTHENTICATED;
	rec->leased = flags & F_LEASED;
	chan = vd_chan_find(s->chan);
	if (s->lease6.length > 128)
		vd_rd_fail(r);
	if (!vd_rd_ok(r) || !chan || s->state >= VD_S_CLOSING) {
		s->state = VD_S_NEW; /* it was never counted as one that closes */
		vd_session_rec_free(rec);
		return -EBADMSG;
	}
	s->peer = chan->peer;
	vd_link_add(vd_chan_sessions(s->chan), &rec->on_chan);
	rec->link.session = id;
	rec->link.chan = s->chan;
	rec->link.mtu = s->mtu;
	vd_session_sources(rec);
	if (s->proven && !s->dialled && s->state >= VD_S_CONFIGURING)
		vd_session_joined(rec);
	if (flags & F_CLAIMED && vd_session_claim(rec) < 0)
		return -ENOMEM;
	if (left != UINT64_MAX)
		vd_timer_start(&rec->timer, left);
	if (s->state == VD_S_UP)
		vd_session_idle_begin(rec); /* from the beginning: whoever is idle can wait once more */
	rec->added = flags & F_ADDED;
	return rec->added ? vd_defer(reinstall, rec) : 0;
}

static int sessions_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	int res = 0;

	(void)self;
	(void)mode;
	if (version != LAYER_VERSION)
		return vd_error_set(err, -EPROTONOSUPPORT, "core.sessions version %u cannot be read", version);
	for (uint32_t n = vd_rd_u32(r); n && !res && vd_rd_ok(r); n--)
		res = session_read(r);
	if (!res && !vd_rd_done(r))
		res = -EBADMSG;
	return res ? vd_error_set(err, res, "core.sessions: %s", res == -ENOMEM ? "out of memory" : "damaged record") : 0;
}

static const struct vd_layer layer = { "core.sessions", LAYER_VERSION, sessions_export, sessions_import };

int vd_session_layer_init(void)
{
	return vd_layer_register(NULL, &layer, NULL);
}
