/* Quick mode as initiator (RFC 2409 section 5.5; RFC 3193 section 4: UDP 1701 on both sides, transport mode). Without PFS, as
 * the kernels of stock clients do. Our inbound SA is in place before message 3 lets the gateway use it. */
#include "v1.h"

#include <errno.h>
#include <string.h>

#define L2TP_PORT 1701u

static bool told_by(const struct ike_v1_quick *q, uint16_t encap)
{
	if (!q->path.natt)
		return encap == IKE_ENCAP_TRANSPORT;
	return encap == (q->sa->natt == IKE_V1_NATT_DRAFT ? IKE_ENCAP_UDP_TRANSPORT_DRAFT : IKE_ENCAP_UDP_TRANSPORT);
}

void ike_v1_quick_failed(struct ike_v1_quick *q, const char *why)
{
	struct ike_v1_dial *dial = q->sa->peer->dial;

	vd_count("ike_v1.dial.quick_failed", 1);
	ike_v1_quick_kill(q);
	if (dial != NULL)
		ike_v1_dial_quick_failed(dial, why);
}

void ike_v1_quick_refused(struct ike_v1_sa *sa, uint16_t type)
{
	const char *name = ike_v1_notify_name(type);
	char why[160];

	for (struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
		if (q->initiator && q->state == IKE_V1_Q_WAIT_QM2) {
			if (name != NULL)
				vd_format(why, sizeof(why), "the gateway refused quick mode: %s", name);
			else
				vd_format(why, sizeof(why), "the gateway refused quick mode with notification %u", type);
			ike_v1_quick_failed(q, why);
			return;
		}
}

int ike_v1_quick_dial(struct ike_v1_sa *sa)
{
	struct ike_v1_dial *dial = sa->peer->dial;
	uint8_t nonce[IKE_V1_NONCE_OURS], iv[IKE_BLOCK_MAX];
	struct ike_v1_sealed m;
	struct ike_v1_quick *q;
	uint32_t mid;
	int len = -ENOMEM;

	do
		vd_random_seen("message id", &mid, sizeof(mid));
	while (!ike_v1_mid_fresh(sa, mid));
	q = ike_v1_quick_new(sa, &sa->path, mid);
	if (q == NULL)
		return -ENOMEM;
	q->initiator = true;
	q->state = IKE_V1_Q_WAIT_QM2;
	vd_random_seen("nonce", nonce, sizeof(nonce));
	int rc = ike_v1_quick_channel(q, dial->upper);
	if (rc == 0)
		rc = ike_v1_buf_set(&q->ni, nonce, sizeof(nonce));
	if (rc == 0)
		rc = ike_v1_iv_exchange(&sa->keys, sa->last_block, mid, iv);
	if (rc < 0) {
		ike_v1_quick_kill(q);
		return rc;
	}
	q->encap = IKE_ENCAP_TRANSPORT;
	if (q->path.natt)
		q->encap = sa->natt == IKE_V1_NATT_DRAFT ? IKE_ENCAP_UDP_TRANSPORT_DRAFT : IKE_ENCAP_UDP_TRANSPORT;
	ike_v1_sealed_begin(sa, &m, IKE_X_QUICK, mid);
	ike_out_propose_phase2(&m.out, &dial->policy, q->spi_in, q->encap, IKE_V1_CHILD_LIFE_S);
	ike_out_payload(&m.out, IKE_P_NONCE, nonce, sizeof(nonce));
	ike_out_selector(&m.out, &q->path.local.ip, 17, L2TP_PORT);
	ike_out_selector(&m.out, &q->path.remote.ip, 17, L2TP_PORT);
	if (q->path.natt) { /* RFC 3947 section 5.2: ours, then the gateway's as we see it */
		uint8_t type = sa->natt == IKE_V1_NATT_DRAFT ? IKE_P_NATOA_DRAFT : IKE_P_NATOA;

		ike_out_address(&m.out, type, &q->path.local.ip);
		ike_out_address(&m.out, type, &q->path.remote.ip);
	}
	len = ike_v1_sealed_finish(sa, &m, mid, NULL, 0, iv);
	if (len < 0 || ike_v1_buf_set(&q->qm1.reply, m.room, (size_t)len) < 0) {
		ike_v1_quick_kill(q);
		return -ENOMEM;
	}
	memcpy(q->iv, iv, sizeof(q->iv));
	vd_count("ike_v1.dial.qm1", 1);
	ike_v1_send(q->v, &sa->path, m.room, (size_t)len);
	vd_timer_start(&q->resend, q->v->opt.resend_ms);
	return 0;
}

static bool answer_take(struct ike_v1_quick *q, const struct ike_chain *chain)
{
	const struct ike_payload *p = ike_chain_find(chain, IKE_P_SA, 0), *nonce = ike_chain_find(chain, IKE_P_NONCE, 0);
	const struct ike_policy *policy = &q->sa->peer->dial->policy;
	struct ike_offers offers;
	struct ike_suite suite;
	bool ours = false;

	if (p == NULL || nonce == NULL || nonce->len < IKE_V1_NONCE_MIN || nonce->len > IKE_V1_NONCE_MAX ||
		ike_offers_parse(2, p->p, p->len, &offers) < 0 || offers.n != 1 ||
		!ike_suite_from_phase2(&offers.v[0], &suite) || !told_by(q, offers.v[0].encap) || offers.v[0].group != 0 ||
		offers.v[0].esn)
		return false;
	for (unsigned i = 0; i < policy->n_esp; i++)
		ours |= ike_suite_equal(&policy->esp[i], &suite);
	if (!ours || ike_v1_buf_set(&q->nr, nonce->p, nonce->len) < 0)
		return false;
	const uint8_t *spi = offers.v[0].spi;
	q->suite = suite;
	q->life_seconds = offers.v[0].life_seconds;
	if (q->life_seconds == 0 || q->life_seconds > IKE_V1_CHILD_LIFE_S)
		q->life_seconds = IKE_V1_CHILD_LIFE_S;
	q->spi_out = (uint32_t)spi[0] << 24 | (uint32_t)spi[1] << 16 | (uint32_t)spi[2] << 8 | spi[3];
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
		ike_v1_info_notify(sa, &sa->path, IKE_PROTO_ESP, IKE_N_NO_PROPOSAL_CHOSEN, NULL, 0, NULL, 0);
		ike_v1_quick_failed(q, "the gateway answered quick mode with something that was not offered");
		return;
	}
	memcpy(q->iv, iv, sizeof(q->iv));
	memcpy(q->qm1.digest, digest, sizeof(q->qm1.digest));
	q->commit = h->flags & IKE_F_COMMIT;
	q->state = IKE_V1_Q_DH;
	ike_v1_quick_install(q, NULL);
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
