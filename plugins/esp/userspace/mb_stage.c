/* Viaduct: sealing and opening vectors by intel-ipsec-mb. Everything is called through the manager's own table. */
#include <string.h>

#include "mb.h"

static void nonce_of(uint8_t nonce[16], const struct esp_job *j)
{
	memcpy(nonce, j->crypt->salt, 4);
	memcpy(nonce + 4, j->esp + 8, 8);
}

/* One packet after the other: its GCM works on all lanes for one. */
static void gcm(struct esp_mb *mb, struct esp_job *j, bool seal)
{
	const struct gcm_key_data *key = &j->crypt->mb->gcm;
	uint8_t *text = j->esp + 16, *tag = seal ? text + j->text : mb->tag[0], *nonce = mb->nonce[0], *aad = mb->aad[0];
	size_t head = esp_aad(j, aad);
	nonce_of(nonce, j);
	switch (j->crypt->suite.key) {
	case 16:
		if (seal)
			IMB_AES128_GCM_ENC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
		else
			IMB_AES128_GCM_DEC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
		break;
	case 24:
		if (seal)
			IMB_AES192_GCM_ENC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
		else
			IMB_AES192_GCM_DEC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
		break;
	default:
		if (seal)
			IMB_AES256_GCM_ENC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
		else
			IMB_AES256_GCM_DEC(mb->mgr, key, &mb->ctx, text, text, j->text, nonce, aad, head, tag, 16);
	}
	j->ok = seal || vd_same(tag, text + j->text, 16);
	j->done = true;
}

static void finish(IMB_JOB *m, bool seal)
{
	struct esp_job *j = m->user_data;
	size_t head = 8u + j->crypt->suite.iv;
	j->ok = m->status == IMB_STATUS_COMPLETED &&
		(seal || vd_same(m->user_data2, j->esp + head + j->text, j->icv));
	j->done = true;
}

static void submit(struct esp_mb *mb, struct esp_job *j, unsigned i, bool seal)
{
	const struct esp_mb_key *k = j->crypt->mb;
	const struct esp_suite *s = &j->crypt->suite;
	size_t head = 8u + s->iv;
	uint8_t *tag = seal ? j->esp + head + j->text : mb->tag[i];
	IMB_JOB *m = IMB_GET_NEXT_JOB(mb->mgr);
	m->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	/* Whichever comes first in ESP: the ICV is over what is encrypted. */
	m->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	m->cipher_mode = k->cipher;
	m->hash_alg = k->hash;
	m->enc_keys = k->enc;
	m->dec_keys = k->dec;
	m->key_len_in_bytes = s->key;
	m->src = j->esp;
	m->dst = j->esp + head;
	m->cipher_start_src_offset_in_bytes = head;
	m->msg_len_to_cipher_in_bytes = j->text;
	m->auth_tag_output = tag;
	m->auth_tag_output_len_in_bytes = s->icv;
	m->user_data = j;
	m->user_data2 = tag;
	if (s->aead) {
		nonce_of(mb->nonce[i], j);
		m->dec_keys = k->enc;
		m->iv = mb->nonce[i];
		m->iv_len_in_bytes = 12;
		m->hash_start_src_offset_in_bytes = head;
		m->msg_len_to_hash_in_bytes = j->text;
		m->u.CHACHA20_POLY1305.aad = mb->aad[i];
		m->u.CHACHA20_POLY1305.aad_len_in_bytes = esp_aad(j, mb->aad[i]);
		m->u.CHACHA20_POLY1305.ctx = NULL;
	} else {
		m->iv = j->esp + 8;
		m->iv_len_in_bytes = s->iv;
		m->hash_start_src_offset_in_bytes = 0;
		m->msg_len_to_hash_in_bytes = head + j->text;
		m->u.HMAC._hashed_auth_key_xor_ipad = k->ipad;
		m->u.HMAC._hashed_auth_key_xor_opad = k->opad;
	}
	m = IMB_SUBMIT_JOB(mb->mgr);
	for (; m; m = IMB_GET_COMPLETED_JOB(mb->mgr))
		finish(m, seal);
}

/* OpenSSL's: an upper half of the sequence number, which would have to stand in the packet where the ICV is, and an ICV of
 * another length than that of IPsec. */
static bool cbc(const struct esp_job *j)
{
	return j->crypt->mb && j->crypt->mb->cipher == IMB_CIPHER_CBC && !j->crypt->esn && j->icv == j->crypt->suite.icv;
}

void esp_mb_run(struct esp_mb *mb, struct esp_job *jobs, unsigned n, bool seal)
{
	unsigned many = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct esp_mb_key *k = jobs[i].crypt->mb;
		if (k && k->cipher == IMB_CIPHER_GCM)
			gcm(mb, &jobs[i], seal);
		else
			many += cbc(&jobs[i]);
	}
	for (unsigned i = 0; i < n && i < VD_VEC; i++) {
		const struct esp_mb_key *k = jobs[i].crypt->mb;
		if (k && !jobs[i].done && (k->cipher != IMB_CIPHER_CBC || (cbc(&jobs[i]) && many >= ESP_MB_LEAST)))
			submit(mb, &jobs[i], i, seal);
	}
	for (IMB_JOB *m; (m = IMB_FLUSH_JOB(mb->mgr));)
		finish(m, seal);
	vd_wipe(&mb->ctx, sizeof(mb->ctx));
}
