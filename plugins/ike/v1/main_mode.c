/* Main mode, messages 3 and 4 (RFC 2409 section 5.4): nonces, Diffie-Hellman, NAT detection (RFC 3947 section 3). */
#include "v1.h"

#include <errno.h>
#include <string.h>

void ike_v1_natd_out(const struct ike_v1_sa *sa, struct ike_out *out)
{
	uint8_t type = sa->natt == IKE_V1_NATT_RFC ? IKE_P_NATD : IKE_P_NATD_DRAFT, hash[IKE_HASH_MAX];
	const char *md = ike_hash_md(sa->suite.hash);
	size_t n;

	if (sa->natt == IKE_V1_NATT_NONE)
		return;
	/* The other end first, then our own (RFC 3947 section 3.2). */
	if (ike_v1_natd(md, sa->icookie, sa->rcookie, &sa->path.remote, hash, &n) == 0)
		ike_out_payload(out, type, hash, n);
	if (ike_v1_natd(md, sa->icookie, sa->rcookie, &sa->path.local, hash, &n) < 0)
		return;
	if (sa->dial != NULL && sa->dial->udp)
		vd_random_seen("no address", hash, n); /* the other end sees a NAT before us, and both go to UDP */
	ike_out_payload(out, type, hash, n);
}

static void mm4_build(struct ike_v1_sa *sa, const struct ike_v1_dh *dh)
{
	struct ike_header h = ike_v1_header(sa, IKE_X_MAIN, 0);
	uint8_t room[IKE_MESSAGE_MAX], nonce[IKE_V1_NONCE_OURS];
	struct ike_out out;

	vd_random_seen("nonce", nonce, sizeof(nonce));
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_payload(&out, IKE_P_KE, dh->own, dh->len);
	ike_out_payload(&out, IKE_P_NONCE, nonce, sizeof(nonce));
	ike_v1_natd_out(sa, &out);
	int len = ike_out_finish(&out);
	if (len < 0 || ike_v1_buf_set(&sa->nr, nonce, sizeof(nonce)) < 0 ||
		ike_v1_buf_set(&sa->gxr, dh->own, dh->len) < 0 || ike_v1_buf_set(&sa->mm3.reply, room, (size_t)len) < 0)
		ike_v1_sa_free(sa, "out of memory");
	else {
		sa->state = IKE_V1_WAIT_MM5;
		ike_v1_send(sa->v, &sa->path, room, (size_t)len);
		ike_v1_sa_resend_start(sa);
	}
}

static void mm3_dh_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_sa *sa = dh->owner;

	sa->dh = NULL;
	if (result < 0) {
		ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.drop.dh", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_key_exchange, .offered = vd_dh_name(dh->group) });
		ike_v1_sa_free(sa, "bad key exchange value");
		return;
	}
	sa->shared = vd_secret_ref(dh->shared);
	mm4_build(sa, dh);
}

/* First NAT-D: our end as the other one sees it; one of the others: its own. */
void ike_v1_natd_in(struct ike_v1_sa *sa, const struct ike_chain *chain)
{
	const char *md = ike_hash_md(sa->suite.hash);
	uint8_t type = sa->natt == IKE_V1_NATT_RFC ? IKE_P_NATD : IKE_P_NATD_DRAFT;
	uint8_t local[IKE_HASH_MAX], remote[IKE_HASH_MAX];
	const struct ike_payload *p;
	size_t n = 0;

	if (sa->natt == IKE_V1_NATT_NONE)
		return;
	if (ike_chain_count(chain, type) < 2) {
		sa->natt = IKE_V1_NATT_NONE;
		return;
	}
	if (ike_v1_natd(md, sa->icookie, sa->rcookie, &sa->path.local, local, &n) < 0 ||
		ike_v1_natd(md, sa->icookie, sa->rcookie, &sa->path.remote, remote, &n) < 0)
		return;
	p = ike_chain_find(chain, type, 0);
	sa->natted_us = p->len != n || memcmp(p->p, local, n) != 0;
	sa->natted_peer = true;
	for (unsigned i = 1; (p = ike_chain_find(chain, type, i)) != NULL; i++)
		if (p->len == n && memcmp(p->p, remote, n) == 0)
			sa->natted_peer = false;
}

static bool embryo_to_sa(struct ike_v1_sa *sa, const struct ike_v1_embryo *e)
{
	const uint8_t *body = ike_v1_embryo_body(sa->v, e);
	struct ike_offers offers;

	sa->vendors = e->vendors;
	if (e->vendors & IKE_V_RFC3947)
		sa->natt = IKE_V1_NATT_RFC;
	else if (e->vendors & IKE_V_NATT_02N)
		sa->natt = IKE_V1_NATT_DRAFT;
	if (ike_offers_parse(1, body, e->sa_len, &offers) < 0 || e->offer >= offers.n)
		return false;
	sa->life_seconds = offers.v[e->offer].life_seconds;
	sa->auth = offers.v[e->offer].auth;
	return ike_suite_from_phase1(&offers.v[e->offer], sa->auth, &sa->suite) &&
		ike_v1_buf_set(&sa->sa_body, body, e->sa_len) == 0;
}

void ike_v1_mm3(struct ike_v1 *v, struct ike_v1_embryo *embryo, const struct vd_path *path, const struct ike_header *h,
	const uint8_t *p, size_t len)
{
	struct ike_chain chain;
	size_t n;

	if (h->flags & IKE_F_ENCRYPTED || h->mid != 0 ||
		ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.mm3_malformed", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .offered = "message 3 of main mode", .answered = true });
		return;
	}
	const struct ike_payload *ke = ike_chain_find(&chain, IKE_P_KE, 0),
		*nonce = ike_chain_find(&chain, IKE_P_NONCE, 0);
	if (ke == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.mm3_payloads", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_malformed, .offered = "message 3 of main mode", .answered = true });
		return;
	}
	if (!v->port->half_open_take(v->port->self, &path->remote.ip, VD_STANDING_ANSWERED)) {
		ike_v1_refuse_first(v, path, h, "ike_v1.refused.half_open", IKE_V1_SILENT, ike_v1_too_many_half_open(true));
		return;
	}
	struct ike_v1_sa *sa = ike_v1_sa_new(v, h->icookie, h->rcookie);
	if (sa == NULL) {
		v->port->half_open_give(v->port->self, &path->remote.ip, VD_STANDING_ANSWERED);
		return;
	}
	sa->half_open_source = path->remote.ip;
	sa->half_open_as = VD_STANDING_ANSWERED;
	sa->path = *path;
	sa->life.kind = IKE_V1_T_HALF_OPEN;
	vd_timer_start(&sa->life, v->opt.half_open_ms);
	if (!embryo_to_sa(sa, embryo) || ike_v1_buf_set(&sa->ni, nonce->p, nonce->len) < 0 ||
		ike_v1_buf_set(&sa->gxi, ke->p, ke->len) < 0 || vd_digest("SHA256", p, len, sa->mm3.digest, &n) < 0) {
		ike_v1_sa_free(sa, "out of memory");
		return;
	}
	for (unsigned i = 0; i < chain.n; i++)
		if (chain.v[i].type == IKE_P_VENDOR)
			sa->vendors |= ike_vendor_flag(chain.v[i].p, chain.v[i].len);
	ike_v1_natd_in(sa, &chain);
	if (ke->len != vd_dh_public_len(sa->suite.group)) {
		ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.drop.mm3_ke", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_key_exchange, .offered = vd_dh_name(sa->suite.group) });
		ike_v1_sa_free(sa, "bad key exchange value");
		return;
	}
	if (!ike_v1_dh_afford(sa->suite.group, &path->remote.ip, VD_STANDING_ANSWERED)) {
		ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.refused.budget", IKE_V1_SILENT, (struct vd_report){
			.kind = &vd_fail_resources, .stage = "phase1",
			.difference = "too many key exchanges are asked for, in all or from this address" });
	} else {
		sa->dh = ike_v1_dh_start(sa->suite.group, NULL, ke->p, ke->len, VD_WORK_NEW, mm3_dh_done, sa);
		if (sa->dh == NULL)
			ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.refused.work", IKE_V1_SILENT, ike_v1_too_much_work());
	}
	if (sa->dh == NULL) { /* the embryo stays: a later retransmission may find the pool free */
		ike_v1_sa_free(sa, "too much work is waiting");
		return;
	}
	ike_v1_fragments_move(&embryo->fragments, &sa->fragments);
	ike_v1_embryo_free(embryo);
}

void ike_v1_mm3_again(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	(void)h;
	if (!ike_v1_cache_hit(&sa->mm3, p, len)) {
		vd_count("ike_v1.drop.main_plain", 1);
		return;
	}
	vd_count("ike_v1.duplicate.mm3", 1);
	ike_v1_send(sa->v, path, sa->mm3.reply.p, sa->mm3.reply.len);
}

void ike_v1_mm5_again(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	(void)h;
	if (!ike_v1_cache_hit(&sa->mm5, p, len)) {
		vd_count("ike_v1.drop.main_late", 1);
		return;
	}
	vd_count("ike_v1.duplicate.mm5", 1);
	ike_v1_send(sa->v, path, sa->mm5.reply.p, sa->mm5.reply.len);
}
