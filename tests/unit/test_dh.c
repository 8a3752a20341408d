/* Key exchange: constants against OpenSSL's own, published vectors, both ways of computing MODP, hostile values. */
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>

#include "core/crypto/dh_modp.h"
#include "tests/lib/fake.h"

#include <check.h>
#include <errno.h>
#include <openssl/bn.h>
#include <stdlib.h>
#include <string.h>

static const unsigned modp_groups[] = { 2, 5, 14, 15, 16, 17, 18 };
static const unsigned all_groups[] = { 2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 31 };

static size_t unhex(const char *text, uint8_t *out, size_t size)
{
	int n = vd_unhex(text, out, size);

	ck_assert_msg(n >= 0, "bad hexadecimal in the test: %s", text);
	return (size_t)n;
}

/* The constants are those that OpenSSL has for RFC 2409 and RFC 3526, and safe primes are what they should be. */
START_TEST(modp_constants)
{
	BIGNUM *(*const openssl[])(BIGNUM *) = { BN_get_rfc2409_prime_1024, BN_get_rfc3526_prime_1536,
		BN_get_rfc3526_prime_2048, BN_get_rfc3526_prime_3072, BN_get_rfc3526_prime_4096, BN_get_rfc3526_prime_6144,
		BN_get_rfc3526_prime_8192 };
	const struct dh_modp *modp = dh_modp_find(modp_groups[_i]);
	uint8_t want[VD_DH_MAX_PUBLIC];
	BIGNUM *p = openssl[_i](NULL);

	ck_assert_ptr_nonnull(modp);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(BN_num_bytes(p), (int)modp->len);
	BN_bn2bin(p, want);
	ck_assert_mem_eq(want, modp->p, modp->len);
	ck_assert_uint_eq(vd_dh_public_len(modp->group), modp->len);
	BN_free(p);
}
END_TEST

/* Exponent lengths: 256 bits for 2, 5, 14; 320, 384, 448, 448. */
START_TEST(modp_exponents)
{
	static const size_t bits[] = { 256, 256, 256, 320, 384, 448, 448 };

	ck_assert_uint_eq(dh_modp_find(modp_groups[_i])->exponent * 8, bits[_i]);
}
END_TEST

START_TEST(names)
{
	unsigned group = all_groups[_i];

	ck_assert_ptr_nonnull(vd_dh_name(group));
	ck_assert_uint_eq(vd_dh_group(vd_dh_name(group)), group);
}
END_TEST

START_TEST(unknown)
{
	struct vd_dh *dh = NULL;
	uint8_t x = 5;

	ck_assert_ptr_null(vd_dh_name(1));
	ck_assert_uint_eq(vd_dh_group("modp768"), 0);
	ck_assert_uint_eq(vd_dh_group("curve25519"), 31);
	ck_assert_uint_eq(vd_dh_public_len(0), 0);
	ck_assert_int_eq(vd_dh_new(1, &dh), -ENOTSUP);
	ck_assert_int_eq(vd_dh_new_with(22, &x, 1, &dh), -ENOTSUP);
	ck_assert_int_eq(vd_dh_new_with(14, &x, 0, &dh), -EINVAL);
	ck_assert_ptr_null(dh);
	vd_dh_free(NULL);
}
END_TEST

/* Both sides get the same secret, of the full length, by BN and by EVP alike. */
START_TEST(agree)
{
	unsigned group = all_groups[_i];
	struct vd_dh *a, *b;
	struct vd_secret *ab, *ba;
	const uint8_t *pa, *pb;
	size_t la, lb, want = group == 19 ? 32 : group == 20 ? 48 : group == 21 ? 66 : vd_dh_public_len(group);

	ck_assert_int_eq(vd_dh_new(group, &a), 0);
	ck_assert_int_eq(vd_dh_new(group, &b), 0);
	ck_assert_uint_eq(vd_dh_group_of(a), group);
	pa = vd_dh_public(a, &la);
	pb = vd_dh_public(b, &lb);
	ck_assert_uint_eq(la, vd_dh_public_len(group));
	ck_assert_uint_eq(lb, la);
	ck_assert_mem_ne(pa, pb, la);
	ck_assert_int_eq(vd_dh_shared(a, pb, lb, &ab), 0);
	ck_assert_int_eq(vd_dh_shared(b, pa, la, &ba), 0);
	ck_assert_uint_eq(vd_secret_len(ab), want);
	ck_assert_uint_eq(vd_secret_len(ba), want);
	ck_assert_mem_eq(vd_secret_data(ab), vd_secret_data(ba), want);
	vd_secret_free(ab);
	vd_secret_free(ba);
	vd_dh_free(a);
	vd_dh_free(b);
}
END_TEST

/* The same exponents through EVP_PKEY_derive give the same public value and the same secret. */
START_TEST(bn_equals_evp)
{
	unsigned group = modp_groups[_i];
	uint8_t x[56], y[56];
	struct vd_dh *bn, *evp, *peer;
	struct vd_secret *s1, *s2;
	const uint8_t *p1, *p2, *theirs;
	size_t n, len;

	for (unsigned i = 0; i < sizeof(x); i++) {
		x[i] = (uint8_t)(0xf0 + i * 7);
		y[i] = (uint8_t)(0x81 + i * 11);
	}
	len = dh_modp_find(group)->exponent;
	vd_dh_use_evp(false);
	ck_assert_int_eq(vd_dh_new_with(group, x, len, &bn), 0);
	ck_assert_int_eq(vd_dh_new_with(group, y, len, &peer), 0);
	vd_dh_use_evp(true);
	ck_assert_int_eq(vd_dh_new_with(group, x, len, &evp), 0);
	vd_dh_use_evp(false);
	p1 = vd_dh_public(bn, &n);
	p2 = vd_dh_public(evp, &n);
	ck_assert_mem_eq(p1, p2, n);
	theirs = vd_dh_public(peer, &n);
	ck_assert_int_eq(vd_dh_shared(bn, theirs, n, &s1), 0);
	ck_assert_int_eq(vd_dh_shared(evp, theirs, n, &s2), 0);
	ck_assert_uint_eq(vd_secret_len(s1), n);
	ck_assert_uint_eq(vd_secret_len(s2), n);
	ck_assert_mem_eq(vd_secret_data(s1), vd_secret_data(s2), n);
	vd_secret_free(s1);
	vd_secret_free(s2);
	vd_dh_free(bn);
	vd_dh_free(evp);
	vd_dh_free(peer);
}
END_TEST

/* 0, 1, p - 1, p, p + 1 and all ones are refused by both ways; 2 and p - 2 are elements. */
static void edge_values(unsigned group)
{
	const struct dh_modp *modp = dh_modp_find(group);
	uint8_t y[VD_DH_MAX_PUBLIC], x[2] = { 0x80, 0x01 };
	struct vd_secret *secret = NULL;
	struct vd_dh *dh;

	ck_assert_int_eq(vd_dh_new_with(group, x, sizeof(x), &dh), 0);
	memset(y, 0, sizeof(y));
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), -EINVAL);
	y[modp->len - 1] = 1;
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), -EINVAL);
	memcpy(y, modp->p, modp->len); /* ends with ff: no carry below */
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), -EINVAL);
	y[modp->len - 1] = 0xfe;
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), -EINVAL);
	memset(y, 0xff, modp->len);
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), -EINVAL);
	memcpy(y, modp->p, modp->len);
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len - 1, &secret), -EINVAL);
	ck_assert_int_eq(vd_dh_shared(dh, y, 0, &secret), -EINVAL);
	ck_assert_ptr_null(secret);
	memset(y, 0, sizeof(y));
	y[modp->len - 1] = 4;
	ck_assert_int_eq(vd_dh_shared(dh, y, modp->len, &secret), 0);
	vd_secret_free(secret);
	vd_dh_free(dh);
}

START_TEST(modp_edges)
{
	edge_values(modp_groups[_i]);
	vd_dh_use_evp(true);
	edge_values(modp_groups[_i]);
	vd_dh_use_evp(false);
}
END_TEST

/* 2^10 is 1024: an independent answer, with all its leading zeros. */
START_TEST(modp_small)
{
	uint8_t ten = 10;
	struct vd_dh *dh;
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(vd_dh_new_with(14, &ten, 1, &dh), 0);
	p = vd_dh_public(dh, &n);
	for (size_t i = 0; i < n - 2; i++)
		ck_assert_uint_eq(p[i], 0);
	ck_assert_uint_eq(p[n - 2], 4);
	ck_assert_uint_eq(p[n - 1], 0);
	vd_dh_free(dh);
}
END_TEST

/* RFC 5903 section 8 and RFC 7748 section 6.1. */
static const struct { unsigned group; const char *i, *gi, *r, *gr, *shared; } vectors[] = {
	{ 19, "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
		"DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
		"5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
		"C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
		"D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
		"56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
		"D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE" },
	{ 20, "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
		"667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6DE3AC808ACB4BDB4C88732AEE95F41AA"
		"9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38EEB9FCFF3C2C947DAE69B4C634573A81C",
		"41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC",
		"E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571"
		"DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C",
		"11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746" },
	{ 21, "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B"
		"2639BAB072462F68C27A57382D4A52",
		"0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBEE1E3BF42E00B8E380AEAE57C2D107564941885"
		"942AF5A7F4601723C4195D176CED3E"
		"017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10AD8A788015AC405D7799DC75E7B7D5B6CF2261A"
		"6A7F1507438BF01BEB6CA3926F9582",
		"0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CC"
		"A7458AA4A4EFFC311F5CB151685EB9",
		"00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6C2912D"
		"4EF2D0433CED2B6171640012D9460F"
		"015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE49CB57"
		"091F4732296579AB44FCD17F0FC56A",
		"01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715"
		"A3A8CC3151F2BEE417996D19F3DDEA" },
	{ 31, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742" },
};

START_TEST(published)
{
	uint8_t i[66], r[66], gi[132], gr[132], want[66];
	size_t n_i = unhex(vectors[_i].i, i, sizeof(i)), n_r = unhex(vectors[_i].r, r, sizeof(r));
	size_t n_gi = unhex(vectors[_i].gi, gi, sizeof(gi)), n_gr = unhex(vectors[_i].gr, gr, sizeof(gr));
	size_t n_want = unhex(vectors[_i].shared, want, sizeof(want)), n;
	struct vd_dh *a, *b;
	struct vd_secret *s;
	const uint8_t *p;

	ck_assert_int_eq(vd_dh_new_with(vectors[_i].group, i, n_i, &a), 0);
	ck_assert_int_eq(vd_dh_new_with(vectors[_i].group, r, n_r, &b), 0);
	p = vd_dh_public(a, &n);
	ck_assert_uint_eq(n, n_gi);
	ck_assert_mem_eq(p, gi, n);
	p = vd_dh_public(b, &n);
	ck_assert_uint_eq(n, n_gr);
	ck_assert_mem_eq(p, gr, n);
	ck_assert_int_eq(vd_dh_shared(a, gr, n_gr, &s), 0);
	ck_assert_uint_eq(vd_secret_len(s), n_want);
	ck_assert_mem_eq(vd_secret_data(s), want, n_want);
	vd_secret_free(s);
	ck_assert_int_eq(vd_dh_shared(b, gi, n_gi, &s), 0);
	ck_assert_mem_eq(vd_secret_data(s), want, n_want);
	vd_secret_free(s);

	/* A point beside the curve, and for x25519 the point of order 1, whose secret would be zero (RFC 8031 section 5). */
	s = NULL;
	if (vectors[_i].group == 31)
		memset(gr, 0, n_gr);
	else
		gr[n_gr - 1] ^= 1;
	ck_assert_int_eq(vd_dh_shared(a, gr, n_gr, &s), -EINVAL);
	memset(gr, 0, n_gr);
	ck_assert_int_eq(vd_dh_shared(a, gr, n_gr, &s), -EINVAL);
	ck_assert_int_eq(vd_dh_shared(a, gr, n_gr - 1, &s), -EINVAL);
	ck_assert_ptr_null(s);
	vd_dh_free(a);
	vd_dh_free(b);
}
END_TEST

/* What no honest peer says to a curve: beside the curve (on its twist, too), coordinates not reduced, infinity in any form, a wrong
 * length. The control is a point with y negated, which is on the curve. */
START_TEST(ecp_hostile)
{
	static const unsigned groups[] = { 19, 20, 21 };
	static const char *const primes[] = {
		"FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF",
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF",
		"01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
		"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" };
	uint8_t gr[132], bad[133], p[66];
	size_t n = unhex(vectors[_i].gr, gr, sizeof(gr)), half = n / 2;
	struct vd_secret *s = NULL;
	struct vd_dh *a;
	int borrow = 0;

	ck_assert_uint_eq(unhex(primes[_i], p, sizeof(p)), half);
	ck_assert_int_eq(vd_dh_new(groups[_i], &a), 0);
	for (size_t at = 0; at < n; at++) { /* each octet changed: beside the curve */
		memcpy(bad, gr, n);
		bad[at] ^= 0x01;
		ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), -EINVAL);
	}
	memcpy(bad, gr, half); /* the same x with y = p - y is on the curve */
	for (size_t at = half; at-- > 0;) {
		int d = p[at] - gr[half + at] - borrow;

		borrow = d < 0;
		bad[half + at] = (uint8_t)d;
	}
	ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), 0);
	vd_secret_free(s);
	s = NULL;
	for (unsigned k = 0; k < 2; k++) { /* x or y is p, which would be 0 */
		memcpy(bad, gr, n);
		memcpy(bad + k * half, p, half);
		ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), -EINVAL);
		memset(bad + k * half, 0, half);
		ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), -EINVAL);
		memset(bad + k * half, 0xff, half);
		ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), -EINVAL);
	}
	memset(bad, 0, sizeof(bad));
	ck_assert_int_eq(vd_dh_shared(a, bad, n, &s), -EINVAL);
	ck_assert_int_eq(vd_dh_shared(a, bad, 1, &s), -EINVAL); /* SEC 1: infinity */
	ck_assert_int_eq(vd_dh_shared(a, bad, 0, &s), -EINVAL);
	memcpy(bad, gr, n);
	ck_assert_int_eq(vd_dh_shared(a, bad, n - 1, &s), -EINVAL);
	ck_assert_int_eq(vd_dh_shared(a, bad, n + 1, &s), -EINVAL);
	ck_assert_int_eq(vd_dh_shared(a, bad, half, &s), -EINVAL);
	ck_assert_ptr_null(s);
	vd_dh_free(a);
}
END_TEST

/* Points of x25519 of order 1, 2, 4 and 8, and those that reduce to them (RFC 7748 section 7): the secret would be zero. */
START_TEST(x25519_small_order)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct vd_secret *s = NULL;
	struct vd_dh *a;
	uint8_t p[32];

	ck_assert_int_eq(vd_dh_new(31, &a), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(points); i++) {
		ck_assert_uint_eq(unhex(points[i], p, sizeof(p)), 32);
		ck_assert_int_eq(vd_dh_shared(a, p, 32, &s), -EINVAL);
		p[31] |= 0x80; /* the bit that is ignored */
		ck_assert_int_eq(vd_dh_shared(a, p, 32, &s), -EINVAL);
	}
	ck_assert_ptr_null(s);
	vd_dh_free(a);
}
END_TEST

/* An ECP exponent of 0 or not below the order is none. */
START_TEST(ecp_exponent_range)
{
	uint8_t x[66];
	struct vd_dh *dh = NULL;

	memset(x, 0, sizeof(x));
	ck_assert_int_eq(vd_dh_new_with(19, x, 32, &dh), -EINVAL);
	memset(x, 0xff, sizeof(x));
	ck_assert_int_eq(vd_dh_new_with(19, x, 32, &dh), -EINVAL);
	ck_assert_int_eq(vd_dh_new_with(31, x, 31, &dh), -EINVAL);
	ck_assert_ptr_null(dh);
}
END_TEST

static void setup(void)
{
	fake_init(3);
}

int main(void)
{
	Suite *suite = suite_create("dh");
	TCase *tc = tcase_create("dh");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, fake_fini);
	tcase_set_timeout(tc, 120); /* modp8192 under sanitizers on a busy machine */
	tcase_add_loop_test(tc, modp_constants, 0, VD_ARRAY_SIZE(modp_groups));
	tcase_add_loop_test(tc, modp_exponents, 0, VD_ARRAY_SIZE(modp_groups));
	tcase_add_loop_test(tc, names, 0, VD_ARRAY_SIZE(all_groups));
	tcase_add_test(tc, unknown);
	tcase_add_loop_test(tc, agree, 0, VD_ARRAY_SIZE(all_groups));
	tcase_add_loop_test(tc, bn_equals_evp, 0, VD_ARRAY_SIZE(modp_groups));
	tcase_add_loop_test(tc, modp_edges, 0, VD_ARRAY_SIZE(modp_groups));
	tcase_add_test(tc, modp_small);
	tcase_add_loop_test(tc, published, 0, VD_ARRAY_SIZE(vectors));
	tcase_add_test(tc, ecp_exponent_range);
	tcase_add_loop_test(tc, ecp_hostile, 0, 3);
	tcase_add_test(tc, x25519_small_order);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
