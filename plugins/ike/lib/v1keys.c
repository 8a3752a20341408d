#include <viaduct/record.h>
#include "v1keys.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int prf(const struct ike_v1_keys *k, const uint8_t *key, const struct vd_slice *parts, size_t n, uint8_t *out)
{
	size_t len;

	return vd_hmac(k->md, key, k->hash_len, parts, n, out, &len);
}

/* RFC 2409 appendix B: Ka = K1 | K2 | ..., K1 = prf(SKEYID_e, 0), Kn = prf(SKEYID_e, Kn-1). */
static int cipher_key(struct ike_v1_keys *k)
{
	uint8_t block[IKE_HASH_MAX] = { 0 };
	struct vd_slice part = { block, 1 };
	size_t have = 0;
	int rc = 0;

	if (k->hash_len >= k->key_len) {
		memcpy(k->key, k->e, k->key_len);
		return 0;
	}
	while (rc == 0 && have < k->key_len) {
		uint8_t next[IKE_HASH_MAX];

		rc = prf(k, k->e, &part, 1, next);
		size_t n = k->key_len - have < k->hash_len ? k->key_len - have : k->hash_len;
		memcpy(k->key + have, next, n);
		memcpy(block, next, k->hash_len);
		vd_wipe(next, sizeof(next));
		part.len = k->hash_len;
		have += n;
	}
	vd_wipe(block, sizeof(block));
	return rc;
}

int ike_v1_keys_derive(struct ike_v1_keys *ret_keys, const struct ike_suite *suite, const uint8_t *skeyid, size_t len,
	const uint8_t *shared, size_t shared_len, const uint8_t *icookie, const uint8_t *rcookie)
{
	struct ike_v1_keys k = { 0 };
	const char *md = ike_hash_md(suite->hash), *cipher = ike_suite_cipher(suite);
	uint8_t count = 0;

	if (md == NULL || cipher == NULL || vd_digest_size(md) != len)
		return -EINVAL;
	size_t key_len, block;
	int rc = vd_cbc_sizes(cipher, &key_len, &block);
	if (rc < 0)
		return rc;
	vd_strcpy(k.md, sizeof(k.md), md);
	vd_strcpy(k.cipher, sizeof(k.cipher), cipher);
	k.hash_len = (uint16_t)len;
	k.key_len = (uint16_t)key_len;
	k.block = (uint16_t)block;
	memcpy(k.skeyid, skeyid, len);
	struct vd_slice parts[] = { { NULL, 0 }, { shared, shared_len }, { icookie, IKE_COOKIE_LEN },
		{ rcookie, IKE_COOKIE_LEN }, { &count, 1 } };
	rc = prf(&k, k.skeyid, parts, 5, k.d);
	if (rc == 0) {
		parts[0] = (struct vd_slice){ k.d, len };
		count = 1;
		rc = prf(&k, k.skeyid, parts, 5, k.a);
	}
	if (rc == 0) {
		parts[0] = (struct vd_slice){ k.a, len };
		count = 2;
		rc = prf(&k, k.skeyid, parts, 5, k.e);
	}
	if (rc == 0)
		rc = cipher_key(&k);
	if (rc == 0)
		*ret_keys = k;
	vd_wipe(&k, sizeof(k));
	return rc;
}

static int iv_hash(const struct ike_v1_keys *keys, const struct vd_slice *parts, uint8_t *ret_iv)
{
	uint8_t hash[IKE_HASH_MAX];
	size_t len;
	int rc = vd_digest_parts(keys->md, parts, 2, hash, &len);

	if (rc == 0)
		memcpy(ret_iv, hash, keys->block);
	return rc;
}

int ike_v1_iv_first(const struct ike_v1_keys *keys, const uint8_t *gxi, const uint8_t *gxr, size_t len, uint8_t *ret_iv)
{
	struct vd_slice parts[] = { { gxi, len }, { gxr, len } };

	return iv_hash(keys, parts, ret_iv);
}

int ike_v1_iv_exchange(const struct ike_v1_keys *keys, const uint8_t *last, uint32_t mid, uint8_t *ret_iv)
{
	uint8_t id[4] = { (uint8_t)(mid >> 24), (uint8_t)(mid >> 16), (uint8_t)(mid >> 8), (uint8_t)mid };
	struct vd_slice parts[] = { { last, keys->block }, { id, 4 } };

	return iv_hash(keys, parts, ret_iv);
}

int ike_v1_hash_main(const struct ike_v1_keys *keys, const uint8_t *own_pub, const uint8_t *other_pub, size_t pub_len,
	const uint8_t *own_cookie, const uint8_t *other_cookie, const uint8_t *sa, size_t sa_len, const uint8_t *id,
	size_t id_len, uint8_t *ret_hash)
{
	struct vd_slice parts[] = { { own_pub, pub_len }, { other_pub, pub_len }, { own_cookie, IKE_COOKIE_LEN },
		{ other_cookie, IKE_COOKIE_LEN }, { sa, sa_len }, { id, id_len } };

	int rc = prf(keys, keys->skeyid, parts, 6, ret_hash);
	if (rc == 0)
		vd_conceal(ret_hash, keys->hash_len);
	return rc;
}

int ike_v1_hash_a(const struct ike_v1_keys *keys, const struct vd_slice *parts, size_t n, uint8_t *ret_hash)
{
	int rc = prf(keys, keys->a, parts, n, ret_hash);
	if (rc == 0)
		vd_conceal(ret_hash, keys->hash_len);
	return rc;
}

int ike_v1_keymat(const struct ike_v1_keys *keys, const uint8_t *shared, size_t shared_len, uint8_t protocol,
	const uint8_t spi[4], const uint8_t *ni, size_t ni_len, const uint8_t *nr, size_t nr_len, uint8_t *ret_keymat,
	size_t len)
{
	uint8_t k[IKE_HASH_MAX], next[IKE_HASH_MAX];
	struct vd_slice parts[] = { { k, 0 }, { shared, shared_len }, { &protocol, 1 }, { spi, 4 }, { ni, ni_len },
		{ nr, nr_len } };
	size_t have = 0;
	int rc = 0;

	while (rc == 0 && have < len) {
		rc = prf(keys, keys->d, parts, 6, next);
		size_t n = len - have < keys->hash_len ? len - have : keys->hash_len;
		memcpy(ret_keymat + have, next, n);
		memcpy(k, next, keys->hash_len);
		parts[0].len = keys->hash_len;
		have += n;
	}
	vd_wipe(k, sizeof(k));
	vd_wipe(next, sizeof(next));
	return rc;
}

int ike_v1_natd(const char *md, const uint8_t *icookie, const uint8_t *rcookie, const struct vd_sa *sa,
	uint8_t *ret_hash, size_t *ret_len)
{
	uint8_t port[2] = { (uint8_t)(sa->port >> 8), (uint8_t)sa->port };
	struct vd_slice parts[] = { { icookie, IKE_COOKIE_LEN }, { rcookie, IKE_COOKIE_LEN },
		{ sa->ip.a, sa->ip.family == AF_INET6 ? 16 : 4 }, { port, 2 } };

	return vd_digest_parts(md, parts, 4, ret_hash, ret_len);
}

int ike_v1_crypt(const struct ike_v1_keys *keys, bool encrypt, uint8_t *iv, uint8_t *message, size_t len)
{
	uint8_t last[IKE_BLOCK_MAX];

	if (len <= IKE_HEADER_LEN || (len - IKE_HEADER_LEN) % keys->block != 0)
		return -EBADMSG;
	uint8_t *text = message + IKE_HEADER_LEN;
	size_t n = len - IKE_HEADER_LEN;
	if (!encrypt)
		memcpy(last, message + len - keys->block, keys->block);
	else
		vd_record_sealed(text, n);
	int rc = vd_cbc(keys->cipher, encrypt, keys->key, iv, text, n, text);
	if (rc < 0)
		return rc;
	if (!encrypt)
		vd_observe("plain", text, n);
	memcpy(iv, encrypt ? message + len - keys->block : last, keys->block);
	return 0;
}

int ike_v1_seal(const struct ike_v1_keys *keys, uint8_t *iv, uint8_t *message, size_t len, size_t size)
{
	size_t body = len - IKE_HEADER_LEN, pad = (keys->block - body % keys->block) % keys->block;
	struct vd_wr w;

	if (len < IKE_HEADER_LEN || len + pad > size)
		return -ENOSPC;
	vd_wr_init(&w, message, size);
	w.len = len;
	vd_wr_zero(&w, pad);
	vd_wr_patch_u8(&w, 19, message[19] | IKE_F_ENCRYPTED);
	vd_wr_patch_u32(&w, 24, (uint32_t)w.len);
	int rc = vd_wr_ok(&w) ? ike_v1_crypt(keys, true, iv, message, w.len) : -ENOSPC;
	return rc < 0 ? rc : (int)w.len;
}
