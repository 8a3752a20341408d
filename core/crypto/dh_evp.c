/* Key exchange by EVP: ECP groups with the wire format x | y and the shared secret x (RFC 5903 section 7), x25519
 * (RFC 8031, RFC 7748), and MODP by the "DH" key type. */
#include "core/crypto/dh_evp.h"
#include "core/crypto/dh_modp.h"

#include <viaduct/crypto.h>

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <string.h>

static const char *curve(unsigned group)
{
	return group == 19 ? "P-256" : group == 20 ? "P-384" : group == 21 ? "P-521" : NULL;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld, int selection)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) > 0 && EVP_PKEY_fromdata(ctx, &key, selection, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

/* A DH key from its numbers; x may be NULL. */
static EVP_PKEY *modp_key(const struct dh_modp *modp, const BIGNUM *x, const BIGNUM *y)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *p = BN_bin2bn(modp->p, (int)modp->len, NULL), *g = BN_new();
	EVP_PKEY *key = NULL;

	if (bld && p && g && BN_set_word(g, 2) && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_P, p) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_G, g) &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, y) &&
		(!x || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, x)))
		key = from_params("DH", bld, x ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(bld);
	BN_free(p);
	BN_free(g);
	return key;
}

static int modp_new(const struct dh_modp *modp, const uint8_t *exponent, size_t len, EVP_PKEY **ret_key,
	uint8_t *public_value)
{
	BIGNUM *p = BN_bin2bn(modp->p, (int)modp->len, NULL), *g = BN_new(), *x = BN_secure_new(), *y = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	EVP_PKEY *key = NULL;
	int ret = -ENOMEM;

	if (!p || !g || !x || !y || !ctx || !BN_set_word(g, 2))
		goto out;
	BN_set_flags(x, BN_FLG_CONSTTIME);
	if (!BN_bin2bn(exponent, (int)len, x) || !BN_mod_exp_mont_consttime(y, g, x, p, ctx, NULL))
		goto out;
	key = modp_key(modp, x, y);
	if (key && BN_bn2binpad(y, public_value, (int)modp->len) == (int)modp->len) {
		*ret_key = key;
		key = NULL;
		ret = 0;
	}
out:
	EVP_PKEY_free(key);
	BN_clear_free(x);
	BN_free(p);
	BN_free(g);
	BN_free(y);
	BN_CTX_free(ctx);
	return ret;
}

/* The point in the uncompressed form 04 | x | y (SEC 1), of which the wire has all but the first octet. */
static int ecp_new(unsigned group, const uint8_t *exponent, size_t len, EVP_PKEY **ret_key, uint8_t *public_value,
	size_t public_len)
{
	EC_GROUP *ec = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(curve(group)));
	EC_POINT *point = ec ? EC_POINT_new(ec) : NULL;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	uint8_t octets[1 + VD_DH_MAX_PUBLIC];
	BIGNUM *x = BN_secure_new();
	EVP_PKEY *key = NULL;
	int ret = -ENOMEM;

	if (!ec || !point || !bld || !x || !BN_bin2bn(exponent, (int)len, x))
		goto out;
	BN_set_flags(x, BN_FLG_CONSTTIME);
	ret = -EINVAL;
	if (BN_is_zero(x) || BN_cmp(x, EC_GROUP_get0_order(ec)) >= 0)
		goto out;
	ret = -ENOMEM;
	if (!EC_POINT_mul(ec, point, x, NULL, NULL, NULL) ||
		EC_POINT_point2oct(ec, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof(octets), NULL) != public_len + 1)
		goto out;
	if (!OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve(group), 0) ||
		!OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, octets, public_len + 1) ||
		!OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, x))
		goto out;
	key = from_params("EC", bld, EVP_PKEY_KEYPAIR);
	if (key) {
		memcpy(public_value, octets + 1, public_len);
		*ret_key = key;
		ret = 0;
	}
out:
	BN_clear_free(x);
	OSSL_PARAM_BLD_free(bld);
	EC_POINT_free(point);
	EC_GROUP_free(ec);
	return ret;
}

/* The public value of a key as on the wire. */
static int public_of(unsigned group, EVP_PKEY *key, uint8_t *public_value, size_t public_len)
{
	uint8_t octets[1 + VD_DH_MAX_PUBLIC];
	size_t len = 0, skip = group == 31 ? 0 : 1;

	if (group != 31)
		EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof(octets), &len) ||
		len != public_len + skip)
		return -ENOMEM;
	memcpy(public_value, octets + skip, public_len);
	return 0;
}

int dh_evp_new(unsigned group, const uint8_t *exponent, size_t len, EVP_PKEY **ret_key, uint8_t *public_value,
	size_t public_len)
{
	const struct dh_modp *modp = dh_modp_find(group);
	EVP_PKEY *key;
	int ret;

	if (modp)
		return modp_new(modp, exponent, len, ret_key, public_value);
	if (curve(group))
		return ecp_new(group, exponent, len, ret_key, public_value, public_len);
	if (len != 32)
		return -EINVAL;
	key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, exponent, len);
	if (!key)
		return -ENOMEM;
	ret = public_of(group, key, public_value, public_len);
	if (ret < 0) {
		EVP_PKEY_free(key);
		return ret;
	}
	*ret_key = key;
	return 0;
}

int dh_evp_generate(unsigned group, EVP_PKEY **ret_key, uint8_t *public_value, size_t public_len)
{
	EVP_PKEY *key = curve(group) ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve(group)) :
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	int ret = key ? public_of(group, key, public_value, public_len) : -ENOMEM;

	if (ret < 0) {
		EVP_PKEY_free(key);
		return ret;
	}
	*ret_key = key;
	return 0;
}

/* The peer's value, checked as RFC 6989 section 2 wants it, so that no second check is paid for when the secret is derived: of
 * MODP, 1 < y < p - 1 here; of a point, coordinates below p and on the curve, by fromdata: our curves have cofactor 1, so every
 * such point is of the order of the group, and infinity has no such form; of x25519, a secret of zeros, by derive. */
static EVP_PKEY *peer_key(unsigned group, const uint8_t *peer, size_t len)
{
	const struct dh_modp *modp = dh_modp_find(group);
	uint8_t octets[1 + VD_DH_MAX_PUBLIC];
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;

	if (group == 31)
		return EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer, len);
	if (modp) {
		BIGNUM *y = BN_bin2bn(peer, (int)len, NULL), *limit = BN_bin2bn(modp->p, (int)modp->len, NULL);

		if (y && limit && BN_sub_word(limit, 1) && !BN_is_zero(y) && !BN_is_one(y) && BN_cmp(y, limit) < 0)
			key = modp_key(modp, NULL, y);
		BN_free(y);
		BN_free(limit);
		return key;
	}
	octets[0] = 4; /* uncompressed; fromdata refuses a point that is not on the curve */
	memcpy(octets + 1, peer, len);
	bld = OSSL_PARAM_BLD_new();
	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve(group), 0) &&
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, octets, len + 1))
		key = from_params("EC", bld, EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

int dh_evp_shared(unsigned group, EVP_PKEY *key, const uint8_t *peer, size_t len, uint8_t *out, size_t size,
	size_t *ret_len)
{
	EVP_PKEY *theirs = peer_key(group, peer, len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	unsigned pad = 1; /* RFC 2409 wants leading zeros; OpenSSL leaves them out unless asked */
	OSSL_PARAM params[] = { OSSL_PARAM_construct_uint(OSSL_EXCHANGE_PARAM_PAD, &pad), OSSL_PARAM_construct_end() };
	int ret = -EINVAL;

	if (!ctx)
		ret = -ENOMEM;
	else if (theirs && EVP_PKEY_derive_init_ex(ctx, dh_modp_find(group) ? params : NULL) > 0 &&
		EVP_PKEY_derive_set_peer_ex(ctx, theirs, 0) > 0 && EVP_PKEY_derive(ctx, out, &size) > 0) {
		*ret_len = size;
		ret = 0;
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	return ret;
}
