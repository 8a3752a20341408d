/* Diffie-Hellman of a scripted peer, by BN and EC alone: independent of what is tested. */
#include "tests/lib/ike_group.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

size_t ike_group_len(unsigned group)
{
	switch (group) {
	case 2: return 128;
	case 5: return 192;
	case 15: return 384;
	case 19: return 64;
	case 20: return 96;
	default: return 256;
	}
}

static BIGNUM *prime(unsigned group)
{
	switch (group) {
	case 2: return BN_get_rfc2409_prime_1024(NULL);
	case 5: return BN_get_rfc3526_prime_1536(NULL);
	case 15: return BN_get_rfc3526_prime_3072(NULL);
	default: return BN_get_rfc3526_prime_2048(NULL);
	}
}

static EC_GROUP *curve(unsigned group)
{
	return group == 19 ? EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1) :
		group == 20 ? EC_GROUP_new_by_curve_name(NID_secp384r1) : NULL;
}

void ike_group_make(struct client *c, unsigned group)
{
	BN_CTX *ctx = BN_CTX_new();
	EC_GROUP *ec = curve(group);
	BIGNUM *p = ec ? NULL : prime(group), *g = BN_new(), *y = BN_new();
	size_t n = ike_group_len(group);

	BN_free(c->x);
	c->x = BN_new();
	BN_rand(c->x, 255, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
	if (ec) {
		EC_POINT *q = EC_POINT_new(ec);

		EC_POINT_mul(ec, q, c->x, NULL, NULL, ctx);
		EC_POINT_get_affine_coordinates(ec, q, g, y, ctx);
		BN_bn2binpad(g, c->gxi, (int)n / 2);
		BN_bn2binpad(y, c->gxi + n / 2, (int)n / 2);
		EC_POINT_free(q);
	} else {
		BN_set_word(g, 2);
		BN_mod_exp(y, g, c->x, p, ctx);
		BN_bn2binpad(y, c->gxi, (int)n);
	}
	EC_GROUP_free(ec);
	BN_free(p);
	BN_free(g);
	BN_free(y);
	BN_CTX_free(ctx);
}

size_t ike_group_shared(const struct client *c, unsigned group, const uint8_t *peer, uint8_t *out)
{
	const struct client *own = c->dh_of ? c->dh_of : c;
	BN_CTX *ctx = BN_CTX_new();
	EC_GROUP *ec = curve(group);
	size_t n = ec ? ike_group_len(group) / 2 : ike_group_len(group);
	BIGNUM *p = ec ? NULL : prime(group), *y = BN_bin2bn(peer, (int)n, NULL), *s = BN_new();
	bool ok;

	if (ec) {
		BIGNUM *y2 = BN_bin2bn(peer + n, (int)n, NULL);
		EC_POINT *q = EC_POINT_new(ec);

		ok = EC_POINT_set_affine_coordinates(ec, q, y, y2, ctx) == 1 && EC_POINT_mul(ec, q, NULL, q, own->x, ctx) == 1 &&
			EC_POINT_get_affine_coordinates(ec, q, s, NULL, ctx) == 1;
		BN_free(y2);
		EC_POINT_free(q);
	} else {
		ok = BN_mod_exp(s, y, own->x, p, ctx) == 1;
	}
	BN_bn2binpad(s, out, (int)n);
	EC_GROUP_free(ec);
	BN_free(p);
	BN_free(y);
	BN_free(s);
	BN_CTX_free(ctx);
	return ok ? n : 0;
}
