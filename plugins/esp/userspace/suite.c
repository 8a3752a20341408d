/* Viaduct: ESP transforms: sizes, keyed contexts, limits. Contexts are keyed here, once per SA, so that a packet costs
 * an IV and no allocation. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/core_names.h>

#include "mb.h"

static bool integ(struct esp_suite *s, uint8_t id)
{
	static const struct {
		uint8_t id, icv, key;
		const char *md;
	} known[] = { { VD_INTEG_SHA1_96, 12, 20, "SHA1" }, { VD_INTEG_SHA2_256_128, 16, 32, "SHA256" },
		{ VD_INTEG_SHA2_384_192, 24, 48, "SHA384" }, { VD_INTEG_SHA2_512_256, 32, 64, "SHA512" } };
	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		if (known[i].id == id) {
			s->icv = known[i].icv;
			s->integ_key = known[i].key;
			s->md = known[i].md;
			return true;
		}
	return false;
}

int esp_suite(uint8_t encr, uint16_t key_bits, uint8_t integ_id, struct esp_suite *ret_suite)
{
	struct esp_suite s = { .encr = encr, .integ = integ_id, .key_bits = key_bits };
	bool aes = key_bits == 128 || key_bits == 192 || key_bits == 256, ok = false;
	unsigned size = key_bits == 128 ? 0 : key_bits == 192 ? 1 : 2;
	static const char *const cbc[] = { "AES-128-CBC", "AES-192-CBC", "AES-256-CBC" };
	static const char *const gcm[] = { "AES-128-GCM", "AES-192-GCM", "AES-256-GCM" };
	switch (encr) {
	case VD_ENCR_3DES:
		s.cipher = "DES-EDE3-CBC";
		s.key = 24;
		s.iv = s.align = 8;
		ok = integ(&s, integ_id) && (!key_bits || key_bits == 192);
		break;
	case VD_ENCR_AES_CBC:
		s.cipher = cbc[size];
		s.key = (uint8_t)(key_bits / 8);
		s.iv = s.align = 16;
		ok = aes && integ(&s, integ_id);
		break;
	case VD_ENCR_AES_GCM_16:
	case VD_ENCR_CHACHA20_POLY1305:
		if (encr == VD_ENCR_CHACHA20_POLY1305) {
			ok = (!key_bits || key_bits == 256) && integ_id == VD_INTEG_NONE;
			key_bits = 256;
			s.cipher = "ChaCha20-Poly1305";
		} else {
			ok = aes && integ_id == VD_INTEG_NONE;
			s.cipher = gcm[size];
		}
		s.key = (uint8_t)(key_bits / 8);
		s.salt = 4;
		s.iv = 8;
		s.icv = 16;
		s.align = 4;
		s.aead = true;
		break;
	default:
		break;
	}
	if (!ok)
		return -EOPNOTSUPP;
	*ret_suite = s;
	return 0;
}

size_t esp_suite_keymat(const struct esp_suite *s)
{
	return (size_t)s->key + s->salt + s->integ_key;
}

static EVP_CIPHER_CTX *keyed(const char *name, const uint8_t *key, bool encrypt, bool aead)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = cipher && ctx && EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) == 1;
	if (ok && aead)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1;
	if (ok)
		ok = EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, encrypt) == 1;
	if (ok)
		EVP_CIPHER_CTX_set_padding(ctx, 0);
	EVP_CIPHER_free(cipher); /* the context has its own reference */
	if (ok)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

int esp_crypt_init(struct esp_crypt *c, const struct esp_suite *s, const struct vd_secret *keymat, bool in)
{
	struct vd_rd r;
	memset(c, 0, sizeof(*c));
	c->suite = *s;
	c->icv_open = in && s->encr == VD_ENCR_AES_CBC && s->integ == VD_INTEG_SHA2_256_128;
	vd_rd_init(&r, vd_secret_data(keymat), vd_secret_len(keymat));
	const uint8_t *key = vd_rd_take(&r, s->key);
	vd_rd_copy(&r, c->salt, s->salt);
	const uint8_t *auth = vd_rd_take(&r, s->integ_key);
	if (!vd_rd_done(&r))
		return -EINVAL;
	bool ok = (c->ctx = keyed(s->cipher, key, !in, s->aead));
	if (ok && s->md) {
		OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)s->md, 0),
			OSSL_PARAM_construct_end() };
		EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
		c->mac = EVP_MAC_CTX_new(mac);
		EVP_MAC_free(mac);
		ok = c->mac && EVP_MAC_init(c->mac, auth, s->integ_key, params) == 1;
	}
	if (ok)
		c->mb = esp_mb_key(s, key, auth);
	if (ok && !s->aead && !in) {
		uint8_t own[32];
		vd_random(own, sizeof(own));
		ok = (c->ivgen = keyed("AES-256-ECB", own, true, false));
		vd_wipe(own, sizeof(own));
	}
	if (ok)
		return 0;
	esp_crypt_fini(c);
	return -ENOMEM;
}

void esp_crypt_fini(struct esp_crypt *c)
{
	EVP_CIPHER_CTX_free(c->ctx);
	EVP_CIPHER_CTX_free(c->ivgen);
	EVP_MAC_CTX_free(c->mac);
	esp_mb_key_free(c->mb);
	vd_wipe(c, sizeof(*c));
}

void esp_limits(const struct esp_suite *s, struct vd_esp_sa *sa)
{
	/* 2^20 numbers stay free, so that an import in takeover mode can skip that many. Extended ones would last for ever;
	 * an AEAD's IV counts to 2^48, and by 2^40 packets of a key an attacker's advantage is still below 2^-30. */
	const uint64_t hard = (sa->esn ? 1ull << 40 : 1ull << 32) - ESP_TAKEOVER;
	uint64_t soft_bytes = UINT64_MAX, hard_bytes = UINT64_MAX;
	if (s->align == 8) { /* 64-bit blocks: by 2^32 of them, 32 GiB, two are equal; stay far below */
		soft_bytes = 1ull << 29;
		hard_bytes = 1ull << 30;
	} else if (s->integ == VD_INTEG_SHA1_96) {
		soft_bytes = 1ull << 39;
		hard_bytes = 1ull << 40;
	}
	if (!sa->soft_packets)
		sa->soft_packets = sa->esn ? 1ull << 39 : 1ull << 31;
	if (!sa->hard_packets || sa->hard_packets > hard)
		sa->hard_packets = hard;
	if (!sa->soft_bytes)
		sa->soft_bytes = soft_bytes;
	if (!sa->hard_bytes)
		sa->hard_bytes = hard_bytes;
}

uint16_t esp_mtu(const struct esp_suite *s, const struct vd_path *path, uint16_t outer_mtu)
{
	static const struct esp_suite worst = { .iv = 16, .icv = ESP_ICV_MAX, .align = 16 };
	if (!s)
		s = &worst;
	unsigned outer = (path->remote.ip.family == AF_INET6 ? 40 : 20) + (path->remote.port ? 8u : 0);
	unsigned room = outer_mtu - outer - 8u - s->iv - s->icv;
	return (uint16_t)(room - room % s->align - 2);
}
