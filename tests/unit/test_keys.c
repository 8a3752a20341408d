/* keys/1: results against RFC 4231 and against OpenSSL's verification; what must not work. */
#include "core/system/keys.h"
#include "core/system/work.h"
#include "tests/lib/fake.h"

#include <viaduct/bytes.h>
#include <viaduct/plugin.h>

#include <check.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

static const struct vd_keys_1 *svc;
static struct { unsigned calls; int code; char text[320]; uint8_t out[2048]; size_t len; } got;

static void on_prf(void *arg, struct vd_secret *result, const struct vd_error *err)
{
	got.calls++;
	got.code = err ? err->code : 0;
	if (err)
		vd_strcpy(got.text, sizeof(got.text), err->text);
	got.len = result ? vd_secret_len(result) : 0;
	if (result)
		memcpy(got.out, vd_secret_data(result), got.len);
	ck_assert_ptr_eq(arg, &got);
}

static void on_sign(void *arg, const uint8_t *signature, size_t len, const struct vd_error *err)
{
	got.calls++;
	got.code = err ? err->code : 0;
	if (err)
		vd_strcpy(got.text, sizeof(got.text), err->text);
	got.len = len;
	if (signature)
		memcpy(got.out, signature, len);
	ck_assert_ptr_eq(arg, &got);
}

static void setup(void)
{
	fake_init(2);
	ck_assert_int_eq(vd_keys_init(), 0);
	svc = vd_service_find("keys/1", NULL);
	ck_assert_ptr_nonnull(svc);
	memset(&got, 0, sizeof(got));
}

static void teardown(void)
{
	for (uint64_t id = 1; id <= 8; id++)
		vd_keys_remove(id);
	vd_keys_fini();
	vd_work_stop();
	fake_fini();
}

START_TEST(psk_prf)
{
	uint64_t id = vd_keys_add("Jefe", 4), other = vd_keys_add("Jefe", 4);
	char hex[129];

	ck_assert_uint_ne(id, 0);
	ck_assert_uint_ne(id, other);
	ck_assert_int_eq(svc->psk_prf(svc->self, id, "SHA256", "what do ya want for nothing?", 28, on_prf, &got), 0);
	ck_assert_uint_eq(got.calls, 0); /* through the FIFO */
	fake_drain();
	ck_assert_uint_eq(got.calls, 1);
	ck_assert_int_eq(got.code, 0);
	ck_assert_str_eq(vd_hex(hex, sizeof(hex), got.out, got.len),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	ck_assert_int_eq(svc->psk_prf(svc->self, id, "SHA999", "x", 1, on_prf, &got), 0);
	fake_drain();
	ck_assert_int_eq(got.code, -EINVAL);
}
END_TEST

START_TEST(removed_meanwhile)
{
	uint64_t id = vd_keys_add("Jefe", 4), next;

	svc->psk_prf(svc->self, id, "SHA256", "x", 1, on_prf, &got);
	vd_keys_remove(id);
	vd_keys_remove(id);
	vd_keys_remove(0);
	fake_drain();
	ck_assert_uint_eq(got.calls, 1);
	ck_assert_int_eq(got.code, -ENOENT);
	ck_assert_uint_eq(got.len, 0);
	next = vd_keys_add("Jefe", 4);
	ck_assert_uint_ne(next, id); /* ids are not used twice */
	svc->sign(svc->self, id, "RSA-SHA256", "x", 1, on_sign, &got);
	fake_drain();
	ck_assert_uint_eq(got.calls, 2);
	ck_assert_int_eq(got.code, -ENOENT);
}
END_TEST

static uint64_t add_pem(EVP_PKEY *pkey, bool encrypted)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long len;
	uint64_t id;

	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, encrypted ? EVP_aes_128_cbc() : NULL,
		encrypted ? (const unsigned char *)"secret" : NULL, encrypted ? 6 : 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &p);
	id = vd_keys_add(p, (size_t)len);
	BIO_free(bio);
	return id;
}

static const struct { const char *scheme, *type, *md; int padding; } schemes[] = {
	{ "RSA-SHA1", "RSA", "SHA1", RSA_PKCS1_PADDING }, { "RSA-SHA256", "RSA", "SHA256", RSA_PKCS1_PADDING },
	{ "RSA-SHA512", "RSA", "SHA512", RSA_PKCS1_PADDING }, { "RSA-PSS-SHA256", "RSA", "SHA256", RSA_PKCS1_PSS_PADDING },
	{ "RSA-PSS-SHA384", "RSA", "SHA384", RSA_PKCS1_PSS_PADDING }, { "ECDSA-SHA256", "EC", "SHA256", 0 },
	{ "ECDSA-SHA384", "EC", "SHA384", 0 },
};

START_TEST(sign)
{
	bool rsa = strcmp(schemes[_i].type, "RSA") == 0;
	EVP_PKEY *pkey = rsa ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) :
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	uint64_t id = add_pem(pkey, false);
	EVP_PKEY_CTX *pctx;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	for (unsigned round = 0; round < 2; round++) {
		ck_assert_int_eq(svc->sign(svc->self, id, schemes[_i].scheme, "octets to sign", 14, on_sign, &got), 0);
		ck_assert_uint_eq(got.calls, round);
		fake_drain();
		ck_assert_uint_eq(got.calls, round + 1);
		ck_assert_msg(got.code == 0, "%s", got.text);
	}
	ck_assert_int_eq(EVP_DigestVerifyInit_ex(ctx, &pctx, schemes[_i].md, NULL, NULL, pkey, NULL), 1);
	if (rsa)
		ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_padding(pctx, schemes[_i].padding), 0);
	if (schemes[_i].padding == RSA_PKCS1_PSS_PADDING)
		ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 0);
	ck_assert_int_eq(EVP_DigestVerify(ctx, got.out, got.len, (const unsigned char *)"octets to sign", 14), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}
END_TEST

/* IKEv1: the hash alone inside PKCS #1 padding. */
START_TEST(sign_raw)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	uint64_t id = add_pem(pkey, false);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	uint8_t out[256];
	size_t len = sizeof(out);

	svc->sign(svc->self, id, "RSA", "twenty octets of hsh", 20, on_sign, &got);
	fake_drain();
	ck_assert_msg(got.code == 0, "%s", got.text);
	ck_assert_int_eq(EVP_PKEY_verify_recover_init(ctx), 1);
	ck_assert_int_gt(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 0);
	ck_assert_int_eq(EVP_PKEY_verify_recover(ctx, out, &len, got.out, got.len), 1);
	ck_assert_uint_eq(len, 20);
	ck_assert_mem_eq(out, "twenty octets of hsh", 20);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}
END_TEST

START_TEST(sign_refuses)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	uint64_t ec = add_pem(pkey, false), locked = add_pem(pkey, true), text = vd_keys_add("no key", 6);
	const struct { uint64_t id; const char *scheme; } bad[] = {
		{ ec, "RSA-SHA256" }, { ec, "RSA" }, { ec, "ECDSA-SHA999" }, { ec, "ECDSA-" }, { ec, "DSA-SHA1" }, { ec, "" },
		{ locked, "ECDSA-SHA256" }, { text, "ECDSA-SHA256" },
	};

	for (unsigned i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(svc->sign(svc->self, bad[i].id, bad[i].scheme, "x", 1, on_sign, &got), 0);
		fake_drain();
		ck_assert_uint_eq(got.calls, i + 1);
		ck_assert_int_eq(got.code, -EINVAL);
		ck_assert_uint_eq(got.len, 0);
	}
	EVP_PKEY_free(pkey);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keys");
	TCase *tc = tcase_create("keys");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, psk_prf);
	tcase_add_test(tc, removed_meanwhile);
	tcase_add_loop_test(tc, sign, 0, VD_ARRAY_SIZE(schemes));
	tcase_add_test(tc, sign_raw);
	tcase_add_test(tc, sign_refuses);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
