/* CBC without padding, as messages of control protocols use it. What was fetched is kept, as in digest.c. */
#include <viaduct/crypto.h>

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <strings.h>

static struct cipher {
	const char *name;
	size_t key, block;
	_Atomic(EVP_CIPHER *) evp;
} ciphers[] = {
	{ "AES-128-CBC", 16, 16, NULL },
	{ "AES-192-CBC", 24, 16, NULL },
	{ "AES-256-CBC", 32, 16, NULL },
	{ "DES-EDE3-CBC", 24, 8, NULL },
};

static struct cipher *cipher_find(const char *name)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(ciphers); i++)
		if (strcasecmp(ciphers[i].name, name) == 0)
			return &ciphers[i];
	return NULL;
}

static EVP_CIPHER *cipher_fetch(struct cipher *cipher)
{
	EVP_CIPHER *evp = atomic_load(&cipher->evp), *none = NULL;

	if (evp)
		return evp;
	evp = EVP_CIPHER_fetch(NULL, cipher->name, NULL);
	if (evp && !atomic_compare_exchange_strong(&cipher->evp, &none, evp)) {
		EVP_CIPHER_free(evp);
		evp = none;
	}
	return evp;
}

int vd_cbc_sizes(const char *cipher, size_t *ret_key, size_t *ret_block)
{
	const struct cipher *c = cipher_find(cipher);

	if (!c)
		return -EINVAL;
	*ret_key = c->key;
	*ret_block = c->block;
	return 0;
}

int vd_cbc(const char *cipher, bool encrypt, const uint8_t *key, const uint8_t *iv, const uint8_t *in, size_t len,
	uint8_t *out)
{
	struct cipher *c = cipher_find(cipher);
	EVP_CIPHER *evp = c ? cipher_fetch(c) : NULL;
	EVP_CIPHER_CTX *ctx;
	int n = 0;
	bool ok;

	if (!evp || len % c->block != 0 || len > INT_MAX)
		return -EINVAL;
	if (len == 0)
		return 0;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	ok = EVP_CipherInit_ex2(ctx, evp, key, iv, encrypt, NULL) && EVP_CIPHER_CTX_set_padding(ctx, 0) &&
		EVP_CipherUpdate(ctx, out, &n, in, (int)len) && (size_t)n == len;
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}
