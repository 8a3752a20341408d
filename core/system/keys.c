/* keys/1: key ids and data come in, only results go out. HMACs are computed at once and delivered through the FIFO;
 * signatures are made on the pool. */
#include "core/system/keys.h"

#include <viaduct/crypto.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/work.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX 2048 /* octets: RSA with 16,384 bits */

static int key_gone(struct vd_error *err)
{
	return vd_error_set(err, -ENOENT, "the key is not there any more; the configuration was reloaded meanwhile");
}

struct prf_op {
	uint64_t key;
	struct vd_secret *result;
	struct vd_error err;
	void (*done)(void *arg, struct vd_secret *result, const struct vd_error *err);
	void *arg;
};

static void prf_done(void *arg)
{
	struct prf_op *op = arg;

	if (op->err.code == 0 && !vd_keys_get(op->key))
		key_gone(&op->err);
	if (op->err.code < 0)
		op->done(op->arg, NULL, &op->err);
	else
		op->done(op->arg, op->result, NULL);
	vd_secret_free(op->result);
	free(op);
}

static int psk_prf(void *self, uint64_t id, const char *md, const void *data, size_t len,
	void (*done)(void *arg, struct vd_secret *result, const struct vd_error *err), void *arg)
{
	const struct vd_slice part = { data, len };
	const struct vd_secret *key = vd_keys_get(id);
	struct prf_op *op = calloc(1, sizeof(*op));
	uint8_t mac[64];
	size_t mac_len = 0;
	int ret;

	(void)self;
	if (!op)
		return -ENOMEM;
	op->key = id;
	op->done = done;
	op->arg = arg;
	if (!key) {
		key_gone(&op->err);
	} else {
		ret = vd_hmac(md, vd_secret_data(key), vd_secret_len(key), &part, 1, mac, &mac_len);
		if (ret == 0) {
			op->result = vd_secret_new(mac, mac_len);
			vd_wipe(mac, sizeof(mac));
			ret = op->result ? 0 : -ENOMEM;
		}
		if (ret < 0)
			vd_error_set(&op->err, ret, "cannot compute HMAC with %s", md);
	}
	ret = vd_defer(prf_done, op);
	if (ret < 0) {
		vd_secret_free(op->result);
		free(op);
	}
	return ret;
}

struct sign_op {
	struct vd_job job;
	uint64_t key;
	struct vd_secret *pem;
	char scheme[32];
	size_t signature_len, len;
	uint8_t signature[SIGNATURE_MAX];
	struct vd_error err;
	void (*done)(void *arg, const uint8_t *signature, size_t len, const struct vd_error *err);
	void *arg;
	uint8_t data[];
};

/* Asked for by OpenSSL when a key is encrypted; without it it would ask the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int sign_with(struct sign_op *op, EVP_PKEY *pkey, const char *md, bool pss)
{
	EVP_PKEY_CTX *pctx = NULL;
	EVP_MD_CTX *ctx = NULL;
	bool ok;

	if (!md) {
		pctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
		ok = pctx && EVP_PKEY_sign_init(pctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) > 0 &&
			EVP_PKEY_sign(pctx, op->signature, &op->signature_len, op->data, op->len) > 0;
		EVP_PKEY_CTX_free(pctx);
	} else {
		ctx = EVP_MD_CTX_new();
		ok = ctx && EVP_DigestSignInit_ex(ctx, &pctx, md, NULL, NULL, pkey, NULL) > 0;
		if (ok && pss) /* salt as long as the digest: RFC 7427 appendix A.4.3 */
			ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) > 0;
		ok = ok && EVP_DigestSign(ctx, op->signature, &op->signature_len, op->data, op->len) > 0;
		EVP_MD_CTX_free(ctx);
	}
	return ok ? 0 : vd_error_set(&op->err, -EIO, "the signature %s could not be made with this private key", op->scheme);
}

/* On a pool thread. "RSA-SHA256", "RSA-PSS-SHA256", "ECDSA-SHA384" (in DER), or "RSA": PKCS #1 padding around the data
 * as they are, without a digest's name, as IKEv1 signs its hashes (RFC 2409 section 5.1). */
static int sign_run(struct vd_job *job)
{
	struct sign_op *op = VD_CONTAINER_OF(job, struct sign_op, job);
	const char *scheme = op->scheme, *type = strncmp(scheme, "ECDSA-", 6) == 0 ? "EC" : "RSA", *md = NULL;
	bool pss = strncmp(scheme, "RSA-PSS-", 8) == 0;
	BIO *bio = BIO_new_mem_buf(vd_secret_data(op->pem), (int)vd_secret_len(op->pem));
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	int ret;

	if (pss || strncmp(scheme, "RSA-", 4) == 0 || strncmp(scheme, "ECDSA-", 6) == 0)
		md = strrchr(scheme, '-') + 1;
	op->signature_len = sizeof(op->signature);
	if ((md && vd_digest_size(md) == 0) || (!md && strcmp(scheme, "RSA") != 0))
		ret = vd_error_set(&op->err, -EINVAL, "unknown signature scheme %s", scheme);
	else if (!pkey)
		ret = vd_error_set(&op->err, -EINVAL, "this is no private key in PEM form, or a passphrase protects it");
	else if (!EVP_PKEY_is_a(pkey, type))
		ret = vd_error_set(&op->err, -EINVAL, "%s needs another type of private key than %s", scheme,
			EVP_PKEY_get0_type_name(pkey));
	else
		ret = sign_with(op, pkey, md, pss);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return ret;
}

static void sign_free(struct sign_op *op)
{
	vd_secret_free(op->pem);
	vd_wipe(op->data, op->len);
	free(op);
}

static void sign_deliver(void *arg)
{
	struct sign_op *op = arg;

	if (op->err.code == 0 && !vd_keys_get(op->key))
		key_gone(&op->err);
	if (op->err.code < 0)
		op->done(op->arg, NULL, 0, &op->err);
	else
		op->done(op->arg, op->signature, op->signature_len, NULL);
	sign_free(op);
}

static void sign_done(struct vd_job *job, int result)
{
	struct sign_op *op = VD_CONTAINER_OF(job, struct sign_op, job);

	if (result < 0 && op->err.code == 0)
		vd_error_set(&op->err, result, "the signature was not made: shutting down");
	sign_deliver(op);
}

static int sign(void *self, uint64_t id, const char *scheme, const void *data, size_t len,
	void (*done)(void *arg, const uint8_t *signature, size_t len, const struct vd_error *err), void *arg)
{
	struct vd_secret *key = vd_keys_get(id);
	struct sign_op *op;
	int ret;

	(void)self;
	if (len > 1 << 20)
		return -EMSGSIZE;
	op = calloc(1, sizeof(*op) + len);
	if (!op)
		return -ENOMEM;
	op->job.run = sign_run;
	op->job.done = sign_done;
	op->key = id;
	op->done = done;
	op->arg = arg;
	op->len = len;
	if (len > 0)
		memcpy(op->data, data, len);
	if (!vd_strcpy(op->scheme, sizeof(op->scheme), scheme))
		ret = vd_error_set(&op->err, -EINVAL, "unknown signature scheme %s", scheme);
	else
		ret = key ? 0 : key_gone(&op->err);
	if (ret == 0)
		op->pem = vd_secret_ref(key);
	ret = ret == 0 ? vd_work_submit(&op->job, VD_WORK_NEW) : vd_defer(sign_deliver, op);
	if (ret < 0)
		sign_free(op);
	return ret;
}

static const struct vd_keys_1 table = { .psk_prf = psk_prf, .sign = sign };

int vd_keys_init(void)
{
	return vd_service_provide(NULL, "keys/1", NULL, &table);
}

void vd_keys_fini(void)
{
	/* What is under way ends by itself; the keys belong to the configurations (keystore.c). */
}
