/* Transaction exchanges (draft-ietf-ipsec-isakmp-mode-cfg-05): two messages under one message id, each with a HASH and the
 * IVs chained, as in quick mode. What we ask is repeated until it is answered; what we are asked is answered once, and a
 * repeated question gets the same octets. */
#include "v1.h"

#include <errno.h>
#include <string.h>

static void resend_fired(struct vd_timer *t)
{
	struct ike_v1_xauth *x = VD_CONTAINER_OF(t, struct ike_v1_xauth, resend);
	const struct ike_v1_options *opt = &x->sa->v->opt;

	if (x->sent.len == 0)
		return;
	vd_count("ike_v1.resent.transaction", 1);
	ike_v1_send(x->sa->v, &x->sa->path, x->sent.p, x->sent.len);
	if (++x->resends < opt->resends)
		vd_timer_start(t, opt->resend_ms << x->resends);
}

void ike_v1_transaction_timer_init(struct ike_v1_xauth *x)
{
	vd_timer_init(&x->resend, resend_fired);
	x->resend.kind = IKE_V1_T_RESEND;
}

void ike_v1_transaction_over(struct ike_v1_xauth *x)
{
	vd_timer_stop(&x->resend);
	ike_v1_buf_free(&x->sent);
}

void ike_v1_transaction_begin(struct ike_v1_xauth *x, struct ike_v1_sealed *m, uint8_t kind)
{
	ike_v1_transaction_over(x);
	do
		vd_random_seen("message id", &x->mid, sizeof(x->mid));
	while (!ike_v1_mid_fresh(x->sa, x->mid));
	ike_v1_sealed_begin(x->sa, m, IKE_X_TRANSACTION, x->mid);
	if (x->id == 0 || x->state == IKE_V1_X_DONE)
		x->id++; /* all of XAuth is one transaction under one identifier (section 6 of draft-beaulieu-ike-xauth-02) */
	ike_out_cfg(&m->out, kind, x->id);
}

int ike_v1_transaction_finish(struct ike_v1_xauth *x, struct ike_v1_sealed *m)
{
	struct ike_v1_sa *sa = x->sa;

	ike_out_end(&m->out);
	int len = ike_v1_iv_exchange(&sa->keys, sa->last_block, x->mid, x->iv) < 0 ? -EINVAL :
		ike_v1_sealed_finish(sa, m, x->mid, NULL, 0, x->iv);
	int rc = len < 0 ? len : ike_v1_buf_set(&x->sent, m->room, (size_t)len);
	if (rc < 0)
		return rc;
	x->resends = 0;
	ike_v1_send(sa->v, &sa->path, m->room, (size_t)len);
	if (sa->v->opt.resends > 0)
		vd_timer_start(&x->resend, sa->v->opt.resend_ms);
	return 0;
}

/* Decrypted and authentic: the Attributes payload. */
static bool open_cfg(const struct ike_v1_sa *sa, uint8_t *p, size_t len, uint8_t *iv, struct ike_cfg *ret_cfg)
{
	struct ike_chain chain;
	const char *why;

	if (ike_v1_open(sa, p, len, iv, NULL, 0, &chain, &why) < 0) {
		vd_count("ike_v1.drop.transaction_hash", 1);
		return false;
	}
	const struct ike_payload *attrs = ike_chain_find(&chain, IKE_P_ATTRIBUTES, 0);
	if (attrs == NULL || ike_cfg_parse(attrs->p, attrs->len, ret_cfg) < 0) {
		vd_count("ike_v1.drop.transaction", 1);
		return false;
	}
	return true;
}

/* A question of the client's, or something that it sets. */
static void asked(struct ike_v1_sa *sa, const struct vd_path *path, uint32_t mid, uint8_t *iv, const uint8_t digest[32],
	const struct ike_cfg *cfg)
{
	struct ike_v1_xauth *x = sa->xauth;
	struct ike_v1_sealed m;

	if (cfg->kind != IKE_CFG_REQUEST && cfg->kind != IKE_CFG_SET) {
		vd_count("ike_v1.drop.transaction", 1); /* an answer to something that is over */
		return;
	}
	if (!ike_v1_xauth_passed(sa)) {
		ike_v1_refuse(sa, path, IKE_PROTO_ISAKMP, "ike_v1.refused.before_xauth", IKE_V1_SILENT, (struct vd_report){
			.kind = &ike_fail_xauth_answer, .difference = "it asks for its address before it has said who it is" });
		return;
	}
	ike_v1_sealed_begin(sa, &m, IKE_X_TRANSACTION, mid);
	if (cfg->kind == IKE_CFG_REQUEST)
		ike_v1_cfg_reply(sa, cfg, &m);
	else /* nothing of what a client could set here is taken */
		ike_out_cfg(&m.out, IKE_CFG_ACK, cfg->id);
	ike_out_end(&m.out);
	int len = ike_v1_sealed_finish(sa, &m, mid, NULL, 0, iv);
	if (len < 0 || ike_v1_cache_set(&x->answered, digest, m.room, (size_t)len) < 0)
		return;
	ike_v1_send(sa->v, path, m.room, (size_t)len);
}

void ike_v1_transaction_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h,
	const uint8_t *p, size_t len)
{
	uint8_t message[IKE_MESSAGE_MAX], iv[IKE_BLOCK_MAX], digest[32];
	struct ike_v1_xauth *x = sa->xauth;
	struct ike_cfg cfg;
	size_t n;

	if (x == NULL || h->mid == 0 || len > sizeof(message)) {
		vd_count("ike_v1.drop.transaction", 1);
		return;
	}
	if (ike_v1_cache_hit(&x->answered, p, len)) {
		vd_count("ike_v1.duplicate.transaction", 1);
		ike_v1_send(sa->v, path, x->answered.reply.p, x->answered.reply.len);
		return;
	}
	memcpy(message, p, len);
	if (h->mid == x->mid && x->sent.len == 0) {
		vd_count("ike_v1.duplicate.transaction", 1); /* an answer that we have */
	} else if (h->mid == x->mid) {
		memcpy(iv, x->iv, sizeof(iv));
		if (open_cfg(sa, message, len, iv, &cfg)) {
			sa->heard = vd_now();
			ike_v1_peer_moved(sa->peer, path); /* under a message id and IV of ours: no replay */
			ike_v1_xauth_answer(x, &cfg);
		}
	} else if (ike_v1_iv_exchange(&sa->keys, sa->last_block, h->mid, iv) == 0 &&
		vd_digest("SHA256", p, len, digest, &n) == 0 && open_cfg(sa, message, len, iv, &cfg)) {
		if (!ike_v1_mid_fresh(sa, h->mid)) {
			vd_count("ike_v1.drop.transaction_replay", 1);
		} else {
			sa->heard = vd_now();
			asked(sa, path, h->mid, iv, digest, &cfg);
		}
	}
	vd_wipe(message, len);
}
