/* Main mode as initiator with a pre-shared key (RFC 2409 section 5.4, RFC 3947 section 4): what a dialled connection says and
 * what it believes. Until message 6 is verified nothing that comes ends the attempt, since anybody could have sent it. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *ike_v1_notify_name(uint16_t type)
{
	switch (type) {
	case IKE_N_NO_PROPOSAL_CHOSEN: return "NO-PROPOSAL-CHOSEN: it allows none of our algorithms";
	case IKE_N_PAYLOAD_MALFORMED: return "PAYLOAD-MALFORMED: the pre-shared key may be another one there";
	case IKE_N_INVALID_ID_INFORMATION: return "INVALID-ID-INFORMATION: it does not accept who we are, or what we ask for";
	case IKE_N_AUTHENTICATION_FAILED: return "AUTHENTICATION-FAILED: the pre-shared key may be another one there";
	case IKE_N_INVALID_EXCHANGE_TYPE: return "INVALID-EXCHANGE-TYPE: it does not do main mode";
	default: return NULL;
	}
}

void ike_v1_phase1_failed(struct ike_v1_sa *sa, const char *why)
{
	struct ike_v1_dial *dial = sa->dial;
	char reason[160];

	if (why == NULL) {
		unsigned message = sa->state == IKE_V1_WAIT_MM2 ? 1 : sa->state == IKE_V1_WAIT_MM4 ? 3 : 5;
		const char *said = sa->hint != 0 ? ike_v1_notify_name(sa->hint) : NULL;

		if (said != NULL)
			vd_format(reason, sizeof(reason), "the gateway refused message %u: %s", message, said);
		else if (sa->hint != 0)
			vd_format(reason, sizeof(reason), "the gateway refused message %u with notification %u", message, sa->hint);
		else if (message == 5)
			vd_format(reason, sizeof(reason), "the gateway did not answer message 5: the pre-shared key may be another one there, "
				"or UDP port %u is closed", sa->path.remote.port);
		else
			vd_format(reason, sizeof(reason), "the gateway did not answer message %u: see whether UDP port %u is open both ways",
				message, sa->path.remote.port);
		why = reason;
	}
	vd_count("ike_v1.dial.phase1_failed", 1);
	dial->phase1 = NULL;
	sa->dial = NULL;
	ike_v1_sa_free(sa, why);
	ike_v1_dial_phase1_failed(dial, why);
}

/* Keeps what was said for repetitions. */
static void say(struct ike_v1_sa *sa, const uint8_t *p, size_t len, enum ike_v1_state next)
{
	if (ike_v1_buf_set(&sa->sent, p, len) < 0) {
		ike_v1_phase1_failed(sa, "out of memory");
		return;
	}
	sa->state = next;
	sa->resends = 0;
	ike_v1_send(sa->v, &sa->path, p, len);
	vd_timer_start(&sa->resend, sa->v->opt.resend_ms);
}

void ike_v1_phase1_resend(struct ike_v1_sa *sa)
{
	uint64_t pause = sa->v->opt.resend_ms << (sa->resends < 8 ? ++sa->resends : sa->resends);

	if (sa->sent.len == 0)
		return;
	vd_count("ike_v1.resent.main", 1);
	ike_v1_send(sa->v, &sa->path, sa->sent.p, sa->sent.len);
	vd_timer_start(&sa->resend, pause < IKE_V1_RESEND_MAX_MS ? pause : IKE_V1_RESEND_MAX_MS);
}

int ike_v1_phase1_dial(struct ike_v1_dial *dial, const struct vd_path *path)
{
	static const uint8_t none[IKE_COOKIE_LEN];
	struct ike_v1 *v = dial->v;
	uint8_t cookie[IKE_COOKIE_LEN], room[IKE_MESSAGE_MAX];
	struct ike_header h;
	struct ike_out out;

	do
		vd_random_seen("cookie", cookie, sizeof(cookie));
	while (vd_same(cookie, none, sizeof(none)) || ike_v1_sa_find(v, cookie, none) != NULL);
	struct ike_v1_sa *sa = ike_v1_sa_new(v, cookie, none);
	if (sa == NULL)
		return -ENOMEM;
	sa->path = *path;
	h = ike_v1_header(sa, IKE_X_MAIN, 0);
	ike_out_init(&out, room, sizeof(room), &h);
	size_t sa_at = out.w.len + 4;
	ike_out_propose_phase1(&out, &dial->policy, (uint32_t)(v->opt.life_max_ms / 1000));
	size_t sa_len = out.w.len - sa_at;
	ike_out_payload(&out, IKE_P_VENDOR, ike_vendor_rfc3947, sizeof(ike_vendor_rfc3947));
	ike_out_payload(&out, IKE_P_VENDOR, ike_vendor_natt_02n, sizeof(ike_vendor_natt_02n));
	ike_out_payload(&out, IKE_P_VENDOR, ike_vendor_dpd, sizeof(ike_vendor_dpd));
	int len = ike_out_finish(&out);
	if (len < 0 || ike_v1_buf_set(&sa->sa_body, room + sa_at, sa_len) < 0) {
		ike_v1_sa_free(sa, "out of memory");
		return len < 0 ? len : -ENOMEM;
	}
	sa->dial = dial;
	dial->phase1 = sa;
	sa->life.kind = IKE_V1_T_HALF_OPEN;
	vd_timer_start(&sa->life, v->opt.half_open_ms);
	sa->resend.kind = IKE_V1_T_RESEND;
	vd_count("ike_v1.dial.mm1", 1);
	say(sa, room, (size_t)len, IKE_V1_WAIT_MM2);
	return 0;
}

/* An answer that fits came: what was told in the clear before it was not true, or is not any more. */
static void hint_forget(struct ike_v1_sa *sa)
{
	if (sa->hint != 0)
		vd_timer_start(&sa->life, sa->v->opt.half_open_ms);
	sa->hint = 0;
}

/* ---- message 2: a suite; then an exponent of ours, and message 3 ---- */
static void own_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_sa *sa = dh->owner;
	uint8_t room[IKE_MESSAGE_MAX], nonce[IKE_V1_NONCE_OURS];
	struct ike_header h;
	struct ike_out out;

	sa->dh = NULL;
	if (result < 0) {
		ike_v1_phase1_failed(sa, "no key could be made for the key exchange");
		return;
	}
	sa->dh_key = dh->key;
	dh->key = NULL;
	vd_random_seen("nonce", nonce, sizeof(nonce));
	h = ike_v1_header(sa, IKE_X_MAIN, 0);
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_payload(&out, IKE_P_KE, dh->own, dh->len);
	ike_out_payload(&out, IKE_P_NONCE, nonce, sizeof(nonce));
	ike_v1_natd_out(sa, &out);
	int len = ike_out_finish(&out);
	if (len < 0 || ike_v1_buf_set(&sa->ni, nonce, sizeof(nonce)) < 0 || ike_v1_buf_set(&sa->gxi, dh->own, dh->len) < 0)
		ike_v1_phase1_failed(sa, "out of memory");
	else
		say(sa, room, (size_t)len, IKE_V1_WAIT_MM4);
}

static uint32_t vendors_of(const struct ike_chain *chain)
{
	uint32_t flags = 0;

	for (unsigned i = 0; i < chain->n; i++)
		if (chain->v[i].type == IKE_P_VENDOR)
			flags |= ike_vendor_flag(chain->v[i].p, chain->v[i].len);
	return flags;
}

static void mm2_take(struct ike_v1_sa *sa, const struct ike_header *h, const struct ike_chain *chain)
{
	static const uint8_t none[IKE_COOKIE_LEN];
	const struct ike_payload *p = ike_chain_find(chain, IKE_P_SA, 0);
	struct ike_offers offers;
	struct ike_suite suite;

	if (vd_same(h->rcookie, none, sizeof(none)) || p == NULL || ike_offers_parse(1, p->p, p->len, &offers) < 0 ||
		offers.n != 1 || !ike_suite_from_phase1(&offers.v[0], IKE_AUTH_PSK, &suite) || !ike_policy_allows(&sa->dial->policy, &suite)) {
		vd_count("ike_v1.drop.mm2", 1); /* not one of those that we offered */
		return;
	}
	sa->suite = suite;
	sa->life_seconds = offers.v[0].life_seconds;
	sa->vendors = vendors_of(chain);
	if (sa->vendors & IKE_V_RFC3947)
		sa->natt = IKE_V1_NATT_RFC;
	else if (sa->vendors & IKE_V_NATT_02N)
		sa->natt = IKE_V1_NATT_DRAFT;
	hint_forget(sa);
	ike_v1_sa_answered(sa, h->rcookie);
	ike_v1_buf_free(&sa->sent);
	vd_timer_stop(&sa->resend);
	sa->state = IKE_V1_OWN_DH;
	sa->dh = ike_v1_dh_start(suite.group, NULL, NULL, 0, VD_WORK_ESTABLISHED, own_done, sa);
	if (sa->dh == NULL)
		ike_v1_phase1_failed(sa, "too much work is waiting");
}

/* ---- message 4: the secret, the keys, message 5 ---- */
static void mm5_send(struct ike_v1_sa *sa)
{
	uint8_t room[IKE_MESSAGE_MAX], hash[IKE_HASH_MAX], iv[IKE_BLOCK_MAX];
	struct ike_header h;
	struct ike_out out;

	if (sa->natted_us || sa->natted_peer) { /* RFC 3947 section 4: from here on, port 4500 */
		sa->path.local.port = sa->path.remote.port = 4500;
		sa->path.natt = true;
	}
	h = ike_v1_header(sa, IKE_X_MAIN, 0);
	ike_out_init(&out, room, sizeof(room), &h);
	ike_v1_own_id(sa, sa->dial->own_id, &out);
	size_t id_at = IKE_HEADER_LEN + 4, id_len = out.w.len - id_at;
	int rc = ike_v1_hash_main(&sa->keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, sa->icookie, sa->rcookie, sa->sa_body.p,
		sa->sa_body.len, room + id_at, id_len, hash);
	ike_out_payload(&out, IKE_P_HASH, hash, sa->keys.hash_len);
	if (sa->dial->peer->sas == NULL && sa->dial->peer->children == NULL) { /* nothing of before is alive here */
		uint8_t spi[IKE_V1_SPI_LEN];

		ike_v1_spi(sa, spi);
		ike_out_notify(&out, IKE_PROTO_ISAKMP, IKE_N_INITIAL_CONTACT, spi, sizeof(spi), NULL, 0);
	}
	if (rc == 0)
		rc = ike_v1_iv_first(&sa->keys, sa->gxi.p, sa->gxr.p, sa->gxi.len, iv);
	if (rc == 0)
		rc = ike_out_finish(&out);
	if (rc > 0)
		rc = ike_v1_seal(&sa->keys, iv, room, (size_t)rc, sizeof(room));
	if (rc <= 0) {
		ike_v1_phase1_failed(sa, "message 5 cannot be made");
		return;
	}
	memcpy(sa->last_block, iv, sizeof(sa->last_block));
	say(sa, room, (size_t)rc, IKE_V1_WAIT_MM6);
}

static void keys_done(struct ike_v1_sa *sa, bool ok)
{
	if (ok)
		mm5_send(sa);
	else
		ike_v1_phase1_failed(sa, "no keys can be made from the pre-shared key");
}

static void shared_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_sa *sa = dh->owner;

	sa->dh = NULL;
	if (result < 0) {
		ike_v1_phase1_failed(sa, "the gateway's key exchange value is none of its group");
		return;
	}
	sa->shared = vd_secret_ref(dh->shared);
	if (ike_v1_psk_ask(sa, sa->dial->key, keys_done) < 0)
		ike_v1_phase1_failed(sa, "the pre-shared key cannot be used");
}

static void mm4_take(struct ike_v1_sa *sa, const struct ike_chain *chain)
{
	const struct ike_payload *ke = ike_chain_find(chain, IKE_P_KE, 0), *nonce = ike_chain_find(chain, IKE_P_NONCE, 0);

	if (ke == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX ||
		ke->len != vd_dh_public_len(sa->suite.group)) {
		vd_count("ike_v1.drop.mm4", 1);
		return;
	}
	if (ike_v1_buf_set(&sa->nr, nonce->p, nonce->len) < 0 || ike_v1_buf_set(&sa->gxr, ke->p, ke->len) < 0) {
		ike_v1_phase1_failed(sa, "out of memory");
		return;
	}
	hint_forget(sa);
	sa->vendors |= vendors_of(chain);
	ike_v1_natd_in(sa, chain);
	sa->natted_us |= sa->dial->udp && sa->natt != IKE_V1_NATT_NONE;
	ike_v1_buf_free(&sa->sent);
	vd_timer_stop(&sa->resend);
	sa->state = IKE_V1_KEYS;
	struct vd_dh *key = sa->dh_key;
	sa->dh_key = NULL;
	sa->dh = ike_v1_dh_start(sa->suite.group, key, ke->p, ke->len, VD_WORK_ESTABLISHED, shared_done, sa);
	if (sa->dh == NULL)
		ike_v1_phase1_failed(sa, "too much work is waiting");
}

/* ---- message 6: the gateway proves that it has the same key ---- */
static void identity_refused(struct ike_v1_sa *sa, const struct ike_ident *id)
{
	char why[160];

	vd_format(why, sizeof(why), "the gateway says it is %.60s, and l2tp.peer_id of the connection is %.60s", id->text,
		sa->dial->gateway_id);
	sa->state = IKE_V1_UP; /* both have the keys: it is told, and does not wait for more */
	ike_v1_refuse(sa, &sa->path, IKE_PROTO_ISAKMP, "ike_v1.refused.identity", IKE_N_INVALID_ID_INFORMATION,
		(struct vd_report){ .kind = &ike_fail_identity });
	ike_v1_info_delete_ike(sa);
	ike_v1_phase1_failed(sa, why);
}

static void mm6_take(struct ike_v1_sa *sa, const uint8_t *p, size_t len)
{
	uint8_t message[IKE_MESSAGE_MAX], iv[IKE_BLOCK_MAX], hash[IKE_HASH_MAX];
	struct ike_v1_dial *dial = sa->dial;
	struct ike_chain chain;
	struct ike_ident id;

	memcpy(message, p, len);
	memcpy(iv, sa->last_block, sizeof(iv));
	if (ike_v1_crypt(&sa->keys, false, iv, message, len) < 0 ||
		ike_chain_parse(message[16], message + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0) {
		vd_count("ike_v1.drop.mm6", 1);
		return;
	}
	const struct ike_payload *who = ike_chain_find(&chain, IKE_P_ID, 0), *proof = ike_chain_find(&chain, IKE_P_HASH, 0);
	if (proof != NULL)
		vd_conceal(proof->p, proof->len);
	if (who == NULL || proof == NULL || proof->len != sa->keys.hash_len || ike_chain_count(&chain, IKE_P_ID) != 1 ||
		ike_v1_hash_main(&sa->keys, sa->gxr.p, sa->gxi.p, sa->gxr.len, sa->rcookie, sa->icookie, sa->sa_body.p,
			sa->sa_body.len, who->p, who->len, hash) < 0 ||
		!vd_verified(vd_same(hash, proof->p, proof->len))) {
		vd_count("ike_v1.drop.mm6", 1);
		return;
	}
	int rc = ike_ident_parse(who->p, who->len, &id);
	if (rc < 0 && rc != -EPROTONOSUPPORT) {
		ike_v1_phase1_failed(sa, "the gateway's identity is malformed");
		return;
	}
	memcpy(sa->last_block, iv, sizeof(sa->last_block));
	if (dial->gateway_id[0] != '\0' && !ike_ident_is(&id, dial->gateway_id)) {
		identity_refused(sa, &id);
		return;
	}
	bool first = dial->peer->identity[0] == '\0';
	if (first)
		ike_v1_peer_announce(dial->peer, sa, id.text);
	dial->phase1 = NULL;
	sa->dial = NULL;
	ike_v1_sa_up(sa, dial->peer, id.text);
	ike_v1_dial_phase1_up(dial, sa);
}

void ike_v1_main_answer(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len)
{
	struct ike_chain chain;

	if (!vd_ip_equal(&path->remote.ip, &sa->path.remote.ip) || h->mid != 0) {
		vd_count("ike_v1.drop.main_answer", 1);
		return;
	}
	if (sa->state == IKE_V1_WAIT_MM6 && h->flags & IKE_F_ENCRYPTED) {
		mm6_take(sa, p, len);
		return;
	}
	if ((sa->state != IKE_V1_WAIT_MM2 && sa->state != IKE_V1_WAIT_MM4) || h->flags & IKE_F_ENCRYPTED) {
		vd_count("ike_v1.duplicate.main_answer", 1);
		return;
	}
	if (ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0) {
		vd_count("ike_v1.drop.main_answer", 1);
		return;
	}
	if (sa->state == IKE_V1_WAIT_MM2)
		mm2_take(sa, h, &chain);
	else if (ike_chain_find(&chain, IKE_P_KE, 0) != NULL)
		mm4_take(sa, &chain);
	else
		vd_count("ike_v1.duplicate.main_answer", 1); /* message 2 again */
}

void ike_v1_hint(struct ike_v1_sa *sa, const struct ike_header *h, const uint8_t *p, size_t len)
{
	const struct ike_payload *note;
	struct ike_chain chain;
	struct vd_rd r;

	if (ike_chain_parse(h->next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0 ||
		(note = ike_chain_find(&chain, IKE_P_NOTIFY, 0)) == NULL) {
		vd_count("ike_v1.drop.info_plain", 1);
		return;
	}
	vd_rd_init(&r, note->p, note->len);
	vd_rd_u32(&r);
	vd_rd_u16(&r);
	uint16_t type = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || type == 0 || type >= IKE_N_CONNECTED) /* below it are errors */
		return;
	vd_count("ike_v1.dial.hint", 1);
	sa->hint = type;
	/* Whoever forges it shortens our patience, and no more: an honest answer comes within that time. */
	if (vd_timer_left(&sa->life) > IKE_V1_HINT_MS)
		vd_timer_start(&sa->life, IKE_V1_HINT_MS);
}
