/* Key exchange: MODP by BN with short exponents (RFC 2409, RFC 3526), or by EVP when told so; ECP and x25519 by EVP
 * (dh_evp.c). Exponents are fresh per exchange, with the top bit set, and run in constant time. */
#include "core/crypto/dh_evp.h"
#include "core/crypto/dh_modp.h"

#include <viaduct/crypto.h>
#include <viaduct/record.h>
#include <viaduct/loop.h>

#include <errno.h>
#include <openssl/bn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct vd_dh {
	unsigned group;
	BIGNUM *x;      /* MODP by BN */
	EVP_PKEY *pkey; /* everything else */
	size_t public_len;
	uint8_t public_value[VD_DH_MAX_PUBLIC];
};

static const struct dh_name {
	unsigned group;
	const char *name;
	size_t public_len;
	unsigned cost; /* measured on Zen 3 with OpenSSL 3.0: 0.6 ms is 1, rounded up for what is below */
} names[] = {
	{ 2, "modp1024", 128, 1 }, { 5, "modp1536", 192, 1 }, { 14, "modp2048", 256, 1 }, { 15, "modp3072", 384, 3 },
	{ 16, "modp4096", 512, 5 }, { 17, "modp6144", 768, 12 }, { 18, "modp8192", 1024, 20 }, { 19, "ecp256", 64, 1 },
	{ 20, "ecp384", 96, 3 }, { 21, "ecp521", 132, 2 }, { 31, "x25519", 32, 1 },
};

static atomic_bool use_evp; /* of the configuration, read by pool threads */

static const struct dh_name *dh_find(unsigned group)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		if (names[i].group == group)
			return &names[i];
	return NULL;
}

const char *vd_dh_name(unsigned group)
{
	const struct dh_name *found = dh_find(group);

	return found ? found->name : NULL;
}

unsigned vd_dh_group(const char *name)
{
	if (strcmp(name, "curve25519") == 0) /* as strongSwan and RFC 8031 call it */
		return 31;
	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].group;
	return 0;
}

size_t vd_dh_public_len(unsigned group)
{
	const struct dh_name *found = dh_find(group);

	return found ? found->public_len : 0;
}

unsigned vd_dh_cost(unsigned group)
{
	const struct dh_name *found = dh_find(group);

	return found ? found->cost : 0;
}

void vd_dh_use_evp(bool on)
{
	atomic_store(&use_evp, on);
}

void vd_dh_free(struct vd_dh *dh)
{
	if (!dh)
		return;
	BN_clear_free(dh->x);
	EVP_PKEY_free(dh->pkey);
	free(dh);
}

unsigned vd_dh_group_of(const struct vd_dh *dh)
{
	return dh->group;
}

const uint8_t *vd_dh_public(const struct vd_dh *dh, size_t *ret_len)
{
	*ret_len = dh->public_len;
	return dh->public_value;
}

/* base^x mod p into out, with leading zeros up to the length of the group. base is given as octets (the peer's value)
 * or, when NULL, is the generator 2. -EINVAL unless 1 < base < p - 1. */
static int modp_power(const struct dh_modp *modp, const uint8_t *base, const BIGNUM *x, uint8_t *out)
{
	BIGNUM *p = BN_bin2bn(modp->p, (int)modp->len, NULL);
	BIGNUM *y = base ? BN_bin2bn(base, (int)modp->len, NULL) : BN_new();
	BIGNUM *limit = BN_dup(p), *r = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	int ret = -ENOMEM;

	if (!p || !y || !limit || !r || !ctx || (!base && !BN_set_word(y, 2)) || !BN_sub_word(limit, 1))
		goto out;
	ret = -EINVAL;
	if (BN_is_zero(y) || BN_is_one(y) || BN_cmp(y, limit) >= 0)
		goto out;
	ret = -ENOMEM;
	if (BN_mod_exp_mont_consttime(r, y, x, p, ctx, NULL) && BN_bn2binpad(r, out, (int)modp->len) == (int)modp->len)
		ret = 0;
out:
	BN_clear_free(r);
	BN_free(y);
	BN_free(limit);
	BN_free(p);
	BN_CTX_free(ctx);
	return ret;
}

static int modp_new(struct vd_dh *dh, const struct dh_modp *modp, const uint8_t *exponent, size_t len)
{
	dh->x = BN_secure_new();
	if (!dh->x)
		return -ENOMEM;
	BN_set_flags(dh->x, BN_FLG_CONSTTIME);
	if (!BN_bin2bn(exponent, (int)len, dh->x))
		return -ENOMEM;
	return modp_power(modp, NULL, dh->x, dh->public_value);
}

int vd_dh_new_with(unsigned group, const uint8_t *exponent, size_t len, struct vd_dh **ret_dh)
{
	const struct dh_modp *modp = dh_modp_find(group);
	const struct dh_name *found = dh_find(group);
	struct vd_dh *dh;
	int ret;

	if (!found)
		return -ENOTSUP;
	if (len == 0 || len > VD_DH_MAX_PUBLIC || (modp && len > modp->len))
		return -EINVAL;
	dh = calloc(1, sizeof(*dh));
	if (!dh)
		return -ENOMEM;
	dh->group = group;
	dh->public_len = found->public_len;
	if (modp && !atomic_load(&use_evp))
		ret = modp_new(dh, modp, exponent, len);
	else
		ret = dh_evp_new(group, exponent, len, &dh->pkey, dh->public_value, dh->public_len);
	if (ret < 0) {
		vd_dh_free(dh);
		return ret;
	}
	*ret_dh = dh;
	return 0;
}

int vd_dh_new(unsigned group, struct vd_dh **ret_dh)
{
	const struct dh_modp *modp = dh_modp_find(group);
	const struct dh_name *found = dh_find(group);
	uint8_t exponent[64];
	struct vd_dh *dh;
	int ret;

	if (!found)
		return -ENOTSUP;
	if (modp) {
		vd_random(exponent, modp->exponent);
		exponent[0] |= 0x80; /* the full length always: the time of the power tells nothing */
		ret = vd_dh_new_with(group, exponent, modp->exponent, ret_dh);
		vd_wipe(exponent, sizeof(exponent));
		if (ret == 0)
			vd_observe("public value", (*ret_dh)->public_value, (*ret_dh)->public_len);
		return ret;
	}
	dh = calloc(1, sizeof(*dh));
	if (!dh)
		return -ENOMEM;
	dh->group = group;
	dh->public_len = found->public_len;
	ret = dh_evp_generate(group, &dh->pkey, dh->public_value, dh->public_len);
	if (ret < 0) {
		vd_dh_free(dh);
		return ret;
	}
	vd_observe("public value", dh->public_value, dh->public_len);
	*ret_dh = dh;
	return 0;
}

int vd_dh_shared(struct vd_dh *dh, const uint8_t *peer, size_t len, struct vd_secret **ret_shared)
{
	const struct dh_modp *modp = dh_modp_find(dh->group);
	uint8_t shared[VD_DH_MAX_SHARED];
	struct vd_secret *secret;
	size_t shared_len = 0;
	int ret;

	if (len != dh->public_len)
		return -EINVAL;
	if (dh->x) {
		shared_len = modp->len;
		ret = modp_power(modp, peer, dh->x, shared);
	} else {
		ret = dh_evp_shared(dh->group, dh->pkey, peer, len, shared, sizeof(shared), &shared_len);
	}
	if (ret < 0)
		return ret;
	secret = vd_secret_new(shared, shared_len);
	vd_wipe(shared, sizeof(shared));
	if (!secret)
		return -ENOMEM;
	*ret_shared = secret;
	return 0;
}
