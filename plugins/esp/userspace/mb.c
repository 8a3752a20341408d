/* Viaduct: intel-ipsec-mb: managers of threads and key schedules of SAs. Control thread. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "mb.h"

static IMB_MGR *keying; /* expands keys; NULL: not started */

static IMB_MGR *manager(void)
{
	IMB_MGR *m = alloc_mb_mgr(0);
	IMB_ARCH arch;
	if (m)
		init_mb_mgr_auto(m, &arch);
	if (!m || imb_get_errno(m)) {
		free_mb_mgr(m);
		return NULL;
	}
	return m;
}

/* A manager's lanes have held keys and plain text. */
static void manager_free(IMB_MGR *m)
{
	if (m)
		vd_wipe(m, imb_get_mb_mgr_size());
	free_mb_mgr(m);
}

const char *esp_mb_trouble(void)
{
	IMB_MGR *m = manager();
	const char *why = !m ? "libIPSec_MB does not start on this processor"
		: !(m->features & IMB_FEATURE_AESNI) ? "the processor has no AES instructions"
		: !(m->features & IMB_FEATURE_SAFE_DATA) ? "this libIPSec_MB leaves keys in memory (built without SAFE_DATA)" : NULL;
	manager_free(m);
	return why;
}

int esp_mb_start(void)
{
	if (!keying)
		keying = manager();
	return keying ? 0 : -ENOMEM;
}

void esp_mb_stop(void)
{
	manager_free(keying);
	keying = NULL;
}

struct esp_mb *esp_mb_new(void)
{
	struct esp_mb *mb = keying ? aligned_alloc(64, (sizeof(*mb) + 63) & ~(size_t)63) : NULL;
	if (!mb)
		return NULL;
	memset(mb, 0, sizeof(*mb));
	mb->mgr = manager();
	if (mb->mgr)
		return mb;
	free(mb);
	return NULL;
}

void esp_mb_free(struct esp_mb *mb)
{
	if (!mb)
		return;
	manager_free(mb->mgr);
	vd_wipe(mb, sizeof(*mb));
	free(mb);
}

static void one_block(IMB_HASH_ALG hash, const uint8_t *block, uint8_t *out)
{
	if (hash == IMB_AUTH_HMAC_SHA_1)
		IMB_SHA1_ONE_BLOCK(keying, block, out);
	else if (hash == IMB_AUTH_HMAC_SHA_256)
		IMB_SHA256_ONE_BLOCK(keying, block, out);
	else if (hash == IMB_AUTH_HMAC_SHA_384)
		IMB_SHA384_ONE_BLOCK(keying, block, out);
	else
		IMB_SHA512_ONE_BLOCK(keying, block, out);
}

/* RFC 2104: the state of the digest after the block of the key with each of its two paddings. */
static bool hmac(struct esp_mb_key *k, const struct esp_suite *s, const uint8_t *auth)
{
	uint8_t in[128], out[128];
	switch (s->integ) {
	case VD_INTEG_SHA1_96: k->hash = IMB_AUTH_HMAC_SHA_1; break;
	case VD_INTEG_SHA2_256_128: k->hash = IMB_AUTH_HMAC_SHA_256; break;
	case VD_INTEG_SHA2_384_192: k->hash = IMB_AUTH_HMAC_SHA_384; break;
	case VD_INTEG_SHA2_512_256: k->hash = IMB_AUTH_HMAC_SHA_512; break;
	default: return false;
	}
	memset(in, 0x36, sizeof(in));
	memset(out, 0x5c, sizeof(out));
	for (size_t i = 0; i < s->integ_key; i++) {
		in[i] ^= auth[i];
		out[i] ^= auth[i];
	}
	one_block(k->hash, in, k->ipad);
	one_block(k->hash, out, k->opad);
	vd_wipe(in, sizeof(in));
	vd_wipe(out, sizeof(out));
	return true;
}

static bool schedule(struct esp_mb_key *k, const struct esp_suite *s, const uint8_t *key, const uint8_t *auth)
{
	bool gcm = s->encr == VD_ENCR_AES_GCM_16;
	k->cipher = gcm ? IMB_CIPHER_GCM : IMB_CIPHER_CBC;
	if (s->encr == VD_ENCR_CHACHA20_POLY1305) {
		k->cipher = IMB_CIPHER_CHACHA20_POLY1305;
		k->hash = IMB_AUTH_CHACHA20_POLY1305;
		memcpy(k->enc, key, s->key);
		return true;
	}
	if (!gcm && s->encr != VD_ENCR_AES_CBC)
		return false;
	switch (s->key) {
	case 16:
		if (gcm)
			IMB_AES128_GCM_PRE(keying, key, &k->gcm);
		else
			IMB_AES_KEYEXP_128(keying, key, k->enc, k->dec);
		break;
	case 24:
		if (gcm)
			IMB_AES192_GCM_PRE(keying, key, &k->gcm);
		else
			IMB_AES_KEYEXP_192(keying, key, k->enc, k->dec);
		break;
	default:
		if (gcm)
			IMB_AES256_GCM_PRE(keying, key, &k->gcm);
		else
			IMB_AES_KEYEXP_256(keying, key, k->enc, k->dec);
	}
	return gcm || hmac(k, s, auth);
}

struct esp_mb_key *esp_mb_key(const struct esp_suite *s, const uint8_t *key, const uint8_t *auth)
{
	/* Tables of GCM are longer than all that CBC and ChaCha20 have. */
	const size_t gcm = sizeof(struct esp_mb_key), other = offsetof(struct esp_mb_key, opad) + sizeof(((struct esp_mb_key *)0)->opad);
	size_t size = ((s->encr == VD_ENCR_AES_GCM_16 ? gcm : other) + 63) & ~(size_t)63;
	struct esp_mb_key *k = keying ? aligned_alloc(64, size) : NULL;
	if (!k)
		return NULL;
	memset(k, 0, size);
	k->size = (uint32_t)size;
	if (schedule(k, s, key, auth))
		return k;
	esp_mb_key_free(k);
	return NULL;
}

void esp_mb_key_free(struct esp_mb_key *k)
{
	if (k)
		vd_wipe(k, k->size);
	free(k);
}
