/* Quick mode as initiator (RFC 2409 section 5.5): toward a gateway that we dialled (RFC 3193 section 4: UDP 1701 on both sides,
 * transport mode; without PFS, as stock clients do), or once more what a client agreed on. Our inbound SA is in place before
 * message 3 lets the other side use it. */
#include "v1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define L2TP_PORT 1701u

static const char *other_side(const struct ike_v1_quick *q)
{
	return q->sa->peer->dial != NULL ? "the gateway" : "the client";
}

static void failed(struct ike_v1_quick *q, const char *why, bool refused)
{
	struct ike_v1_peer *peer = q->sa->peer;
	struct vd_prefix local = q->local;

	vd_count(peer->dial != NULL ? "ike_v1.dial.quick_failed" : "ike_v1.rekey.failed", 1);
	ike_v1_quick_kill(q);
	if (peer->dial != NULL)
		ike_v1_dial_quick_failed(peer->dial, why);
	else
		ike_v1_rekey_failed(peer, &local, why, refused);
}

void ike_v1_quick_failed(struct ike_v1_quick *q, const char *why)
{
	failed(q, why, false);
}

void ike_v1_quick_unanswered(struct ike_v1_quick *q)
{
	char why[96];

	vd_format(why, sizeof(why), "%s did not answer message 1 of quick mode", other_side(q));
	failed(q, why, false);
}

void ike_v1_quick_refused(struct ike_v1_sa *sa, uint16_t type)
{
	const char *name = ike_v1_notify_name(type);
	char why[160];

	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
		if (q->initiator && q->state == IKE_V1_Q_WAIT_QM2) {
			if (name != NULL)
				vd_format(why, sizeof(why), "%s refused quick mode: %s", other_side(q), name);
			else
				vd_format(why, sizeof(why), "%s refused quick mode with notification %u", other_side(q), type);
			failed(q, why, true);
			return;
		}
}

/* A new one, with an SPI and a nonce of ours. upper: of a channel that is not there yet. */
static struct ike_v1_quick *begin(struct ike_v1_sa *sa, const char *upper)
{
	uint8_t nonce[IKE_V1_NONCE_OURS];
	struct ike_v1_quick *q;
	uint32_t mid;

	do
		vd_random_seen("message id", &mid, sizeof(mid));
	while (!ike_v1_mid_fresh(sa, mid));
	q = ike_v1_quick_new(sa, &sa->path, mid);
	if (q == NULL)
		return NULL;
	q->initiator = true;
	vd_random_seen("nonce", nonce, sizeof(nonce));
	if (ike_v1_quick_channel(q, upper) == 0 && ike_v1_buf_set(&q->ni, nonce, sizeof(nonce)) == 0)
		return q;
	ike_v1_quick_kill(q);
	return NULL;
}

static int qm1_send(struct ike_v1_quick *q)
{
	const struct ike_v1_dial *dial = q->sa->peer->dial;
	struct ike_v1_sa *sa = q->sa;
	uint32_t spi = htonl(q->spi_in);
	struct ike_v1_sealed m;

	ike_v1_sealed_begin(sa, &m, IKE_X_QUICK, q->mid);
	if (dial != NULL)
		ike_out_propose_phase2(&m.out, &dial->policy, q->spi_in, q->encap, q->life_seconds);
	else
		ike_out_sa(&m.out, &q->offer, q->sa_body.p, &spi, 4);
	ike_out_payload(&m.out, IKE_P_NONCE, q->ni.p, q->ni.len);
	if (q->gx.len > 0)
		ike_out_payload(&m.out, IKE_P_KE, q->gx.p, q->gx.len);
	if (dial != NULL) {
		ike_out_selector(&m.out, &q->path.local.ip, 17, L2TP_PORT);
		ike_out_selector(&m.out, &q->path.remote.ip, 17, L2TP_PORT);
	} else {
		ike_out_payload(&m.out, IKE_P_ID, q->idci.p, q->idci.len);
		ike_out_payload(&m.out, IKE_P_ID, q->idcr.p, q->idcr.len);
	}
	if (q->path.natt && !sa->peer->tunnel) { /* RFC 3947 section 5.2: ours, then the other side's as we see it */
		uint8_t type = sa->natt == IKE_V1_NATT_DRAFT ? IKE_P_NATOA_DRAFT : IKE_P_NATOA;

		ike_out_address(&m.out, type, &q->path.local.ip);
		ike_out_address(&m.out, type, &q->path.remote.ip);
	}
	int len = ike_v1_iv_exchange(&sa->keys, sa->last_block, q->mid, q->iv);
	if (len == 0)
		len = ike_v1_sealed_finish(sa, &m, q->mid, NULL, 0, q->iv);
	if (len < 0 || ike_v1_buf_set(&q->qm1.reply, m.room, (size_t)len) < 0) {
		ike_v1_quick_kill(q);
		return -ENOMEM;
	}
	q->state = IKE_V1_Q_WAIT_QM2;
	vd_count(dial != NULL ? "ike_v1.dial.qm1" : "ike_v1.rekey.qm1", 1);
	ike_v1_send(q->v, &sa->path, m.room, (size_t)len);
	vd_timer_start(&q->resend, q->v->opt.resend_ms);
	return 0;
}

int ike_v1_quick_dial(struct ike_v1_sa *sa)
{
	struct ike_v1_quick *q = begin(sa, sa->peer->dial->upper);

	if (q == NULL)
		return -ENOMEM;
	q->encap = IKE_ENCAP_TRANSPORT;
	if (q->path.natt)
		q->encap = sa->natt == IKE_V1_NATT_DRAFT ? IKE_ENCAP_UDP_TRANSPORT_DRAFT : IKE_ENCAP_UDP_TRANSPORT;
	q->life_seconds = IKE_V1_CHILD_LIFE_S;
	return qm1_send(q);
}

static void own_done(struct ike_v1_dh *dh, int result)
{
	struct ike_v1_quick *q = dh->owner;

	q->dh = NULL;
	if (result < 0 || ike_v1_buf_set(&q->gx, dh->own, dh->len) < 0) {
		ike_v1_quick_failed(q, "a key exchange value cannot be made");
		return;
	}
	q->dh_key = dh->key;
	dh->key = NULL;
	qm1_send(q);
}

int ike_v1_quick_rekey(struct ike_v1_sa *sa, const struct ike_v1_child *child)
{
	const struct ike_v1_terms *t = &child->terms;
	struct ike_v1_quick *q;

	if (!ike_encap_fits(t->encap, sa->peer->tunnel, sa->path.natt)) /* a NAT came or went since: the client must begin anew */
		return -EPROTOTYPE;
	q = begin(sa, NULL);
	if (q == NULL)
		return -ENOMEM;
	q->suite = t->suite;
	q->group = t->group;
	q->encap = t->encap;
	q->life_seconds = t->life_seconds;
	q->local = child->local;
	q->offer = t->offer;
	if (ike_v1_buf_set(&q->sa_body, t->transform.p, t->transform.len) < 0 ||
		ike_v1_buf_set(&q->idci, t->ours.p, t->ours.len) < 0 ||
		ike_v1_buf_set(&q->idcr, t->theirs.p, t->theirs.len) < 0) {
		ike_v1_quick_kill(q);
		return -ENOMEM;
	}
	if (q->group == 0)
		return qm1_send(q);
	q->dh = ike_v1_dh_start(q->group, NULL, NULL, 0, VD_WORK_ESTABLISHED, own_done, q);
	if (q->dh != NULL)
		return 0;
	ike_v1_quick_kill(q);
	return -EAGAIN;
}

/* Is this among what we proposed: to a client one suite, to a gateway those of the policy. */
static bool proposed(const struct ike_v1_quick *q, const struct ike_suite *suite)
{
	const struct ike_v1_dial *dial = q->sa->peer->dial;

	if (dial == NULL)
		return ike_suite_equal(&q->suite, suite);
	for (unsigned i = 0; i < dial->policy.n_esp; i++)
		if (ike_suite_equal(&dial->policy.esp[i], suite))
			return true;
	return false;
}

static bool answer_take(struct ike_v1_quick *q, const struct ike_chain *chain)
{
	const struct ike_payload *p = ike_chain_find(chain, IKE_P_SA, 0), *nonce = ike_chain_find(chain, IKE_P_NONCE, 0);
	struct ike_offers offers;
	struct ike_suite suite;

	if (p == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX ||
		ike_offers_parse(2, p->p, p->len, &offers) < 0 || offers.n != 1)
		return false;
	const struct ike_offer *o = &offers.v[0];
	if (!ike_suite_from_phase2(o, &suite) || !proposed(q, &suite) || o->encap != q->encap || o->group != q->group ||
		o->esn != q->offer.esn || (q->group != 0) != (ike_chain_find(chain, IKE_P_KE, 0) != NULL) ||
		ike_v1_buf_set(&q->nr, nonce->p, nonce->len) < 0)
		return false;
	q->suite = suite;
	if (q->life_seconds == 0 || (o->life_seconds != 0 && o->life_seconds < q->life_seconds))
		q->life_seconds = o->life_seconds;
	q->spi_out = (uint32_t)o->spi[0] << 24 | (uint32_t)o->spi[1] << 16 | (uint32_t)o->spi[2] << 8 | o->spi[3];
	return true;
}

/* The other side can receive: what was waited for because of its commit bit. */
static void connected(struct ike_v1_quick *q)
{
	vd_count("ike_v1.connected", 1);
	if (q->state == IKE_V1_Q_WAIT_CONNECTED)
		ike_v1_quick_out(q); /* may be the end of q */
}

void ike_v1_quick_connected(struct ike_v1_sa *sa)
{
	struct ike_v1_quick *q = sa->quicks;

	while (q != NULL && q->state != IKE_V1_Q_WAIT_CONNECTED)
		q = q->next;
	if (q != NULL)
		connected(q);
}

/* Message 2 again, which its HASH(2) proved once: message 3 was lost. Message 4 of who has set the commit bit: CONNECTED
 * (RFC 2408 section 3.1). Nothing else is answered, or two that answer each other would never end. */
static void after_message_3(struct ike_v1_quick *q, uint8_t *p, size_t len)
{
	struct ike_v1_sa *sa = q->sa;
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_chain chain;
	const char *why;

	if (ike_v1_cache_hit(&q->qm1, p, len)) {
		vd_count("ike_v1.resent.qm3", 1);
		ike_v1_send(q->v, &sa->path, q->qm1.reply.p, q->qm1.reply.len);
		return;
	}
	memcpy(iv, q->iv, sizeof(iv));
	if (ike_v1_open(sa, p, len, iv, NULL, 0, &chain, &why) < 0 || !ike_chain_notify(&chain, IKE_N_CONNECTED)) {
		vd_count("ike_v1.drop.quick_late", 1);
		return;
	}
	sa->heard = vd_now();
	connected(q);
}

void ike_v1_quick_answer(struct ike_v1_quick *q, const struct ike_header *h, uint8_t *p, size_t len)
{
	struct ike_v1_sa *sa = q->sa;
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_chain chain;
	const char *why;
	size_t n;

	if (q->state >= IKE_V1_Q_WAIT_CONNECTED) {
		after_message_3(q, p, len);
		return;
	}
	if (q->state != IKE_V1_Q_WAIT_QM2) {
		vd_count("ike_v1.duplicate.quick", 1);
		return;
	}
	memcpy(iv, q->iv, sizeof(iv));
	uint8_t digest[32];
	if (vd_digest("SHA256", p, len, digest, &n) < 0)
		return;
	if (ike_v1_open(sa, p, len, iv, q->ni.p, q->ni.len, &chain, &why) < 0) {
		vd_count("ike_v1.drop.qm2", 1);
		return;
	}
	sa->heard = vd_now();
	vd_timer_stop(&q->resend);
	if (!answer_take(q, &chain)) {
		ike_v1_refuse(sa, &sa->path, IKE_PROTO_ESP, "ike_v1.refused.qm2", IKE_N_NO_PROPOSAL_CHOSEN, (struct vd_report){
			.kind = &ike_fail_malformed, .stage = "quick mode", .offered = "the answer to our rekey" });
		ike_v1_quick_failed(q, "quick mode was answered with something that was not offered");
		return;
	}
	memcpy(q->iv, iv, sizeof(q->iv));
	memcpy(q->qm1.digest, digest, sizeof(q->qm1.digest));
	q->commit = h->flags & IKE_F_COMMIT;
	q->state = IKE_V1_Q_DH;
	if (q->group == 0) {
		ike_v1_quick_install(q, NULL);
		return;
	}
	struct vd_dh *key = q->dh_key;
	q->dh_key = NULL;
	if (key == NULL || !ike_v1_quick_pfs(q, key, ike_chain_find(&chain, IKE_P_KE, 0)))
		ike_v1_quick_failed(q, "the key exchange of quick mode cannot be done");
}

void ike_v1_qm3_send(struct ike_v1_quick *q)
{
	struct ike_v1_sa *sa = q->sa;
	struct ike_header h = ike_v1_header(sa, IKE_X_QUICK, q->mid);
	uint8_t room[IKE_HEADER_LEN + 4 + IKE_HASH_MAX + IKE_BLOCK_MAX], hash[IKE_HASH_MAX];
	uint8_t mid[4] = { (uint8_t)(q->mid >> 24), (uint8_t)(q->mid >> 16), (uint8_t)(q->mid >> 8), (uint8_t)q->mid };
	static const uint8_t zero = 0;
	struct vd_slice parts[] = { { &zero, 1 }, { mid, 4 }, { q->ni.p, q->ni.len }, { q->nr.p, q->nr.len } };
	struct ike_out out;

	int rc = ike_v1_hash_a(&sa->keys, parts, 4, hash);
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_payload(&out, IKE_P_HASH, hash, sa->keys.hash_len);
	if (rc == 0)
		rc = ike_out_finish(&out);
	if (rc > 0)
		rc = ike_v1_seal(&sa->keys, q->iv, room, (size_t)rc, sizeof(room));
	if (rc <= 0 || ike_v1_buf_set(&q->qm1.reply, room, (size_t)rc) < 0) {
		ike_v1_quick_failed(q, "message 3 of quick mode cannot be made");
		return;
	}
	ike_v1_send(q->v, &sa->path, room, (size_t)rc);
	if (!q->commit) {
		ike_v1_quick_out(q);
		return;
	}
	q->state = IKE_V1_Q_WAIT_CONNECTED;
	q->resends = 0;
	vd_timer_start(&q->resend, q->v->opt.resend_ms);
}
