/* Digests and HMAC by name. Fetching an algorithm from a provider costs more than hashing a small message, so what was
 * fetched is kept; the first thread that has it publishes it, and the pointer never changes again. */
#include <viaduct/crypto.h>

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <strings.h>

static struct digest {
	const char *name;
	size_t size;
	_Atomic(EVP_MD *) md;
} digests[] = {
	{ "MD5", 16, NULL }, { "SHA1", 20, NULL }, { "SHA224", 28, NULL }, { "SHA256", 32, NULL },
	{ "SHA384", 48, NULL }, { "SHA512", 64, NULL },
};
static _Atomic(EVP_MAC *) hmac;

static struct digest *digest_find(const char *name)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(digests); i++)
		if (strcasecmp(digests[i].name, name) == 0)
			return &digests[i];
	return NULL;
}

static EVP_MD *digest_fetch(struct digest *digest)
{
	EVP_MD *md = atomic_load(&digest->md), *none = NULL;

	if (md)
		return md;
	md = EVP_MD_fetch(NULL, digest->name, NULL);
	if (md && !atomic_compare_exchange_strong(&digest->md, &none, md)) {
		EVP_MD_free(md); /* another thread was first */
		md = none;
	}
	return md;
}

static EVP_MAC *hmac_fetch(void)
{
	EVP_MAC *mac = atomic_load(&hmac), *none = NULL;

	if (mac)
		return mac;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac && !atomic_compare_exchange_strong(&hmac, &none, mac)) {
		EVP_MAC_free(mac);
		mac = none;
	}
	return mac;
}

size_t vd_digest_size(const char *md)
{
	const struct digest *digest = digest_find(md);

	return digest ? digest->size : 0;
}

int vd_digest_parts(const char *md, const struct vd_slice *parts, size_t n, uint8_t *ret_mac, size_t *ret_len)
{
	struct digest *digest = digest_find(md);
	EVP_MD *evp = digest ? digest_fetch(digest) : NULL;
	uint8_t out[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx;
	bool ok;

	if (!evp)
		return -EINVAL;
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestInit_ex2(ctx, evp, NULL);
	for (size_t i = 0; ok && i < n; i++)
		ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].len);
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -ENOMEM;
	for (size_t i = 0; i < digest->size; i++)
		ret_mac[i] = out[i];
	*ret_len = digest->size;
	vd_wipe(out, sizeof(out));
	return 0;
}

int vd_digest(const char *md, const void *data, size_t len, uint8_t *ret_mac, size_t *ret_len)
{
	const struct vd_slice part = { data, len };

	return vd_digest_parts(md, &part, 1, ret_mac, ret_len);
}

int vd_hmac(const char *md, const void *key, size_t key_len, const struct vd_slice *parts, size_t n,
	uint8_t *ret_mac, size_t *ret_len)
{
	struct digest *digest = digest_find(md);
	EVP_MAC *mac = digest ? hmac_fetch() : NULL;
	uint8_t out[EVP_MAX_MD_SIZE];
	OSSL_PARAM params[2];
	EVP_MAC_CTX *ctx;
	size_t len;
	bool ok;

	if (!mac)
		return -EINVAL;
	ctx = EVP_MAC_CTX_new(mac);
	if (!ctx)
		return -ENOMEM;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest->name, 0);
	params[1] = OSSL_PARAM_construct_end();
	/* An empty key is legal, but a NULL one means "keep the key" to OpenSSL. */
	ok = EVP_MAC_init(ctx, key_len > 0 ? key : (const void *)"", key_len, params);
	for (size_t i = 0; ok && i < n; i++)
		ok = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].p, parts[i].len);
	ok = ok && EVP_MAC_final(ctx, out, &len, sizeof(out)) && len == digest->size;
	EVP_MAC_CTX_free(ctx);
	if (!ok)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		ret_mac[i] = out[i];
	*ret_len = len;
	vd_wipe(out, sizeof(out));
	return 0;
}
