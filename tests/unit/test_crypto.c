/* MD4, DES, MS-CHAPv2, digests, HMAC and CBC against published vectors. */
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t unhex(const char *text, uint8_t *out, size_t size)
{
	int n = vd_unhex(text, out, size);

	ck_assert_msg(n >= 0, "bad hexadecimal in the test: %s", text);
	return (size_t)n;
}

static void same(const void *got, const char *want, size_t len)
{
	char text[1024];

	ck_assert_str_eq(vd_hex(text, sizeof(text), got, len), want);
}

/* RFC 1320 appendix A.5. */
static const struct { const char *in, *digest; } md4[] = {
	{ "", "31d6cfe0d16ae931b73c59d7e0c089c0" },
	{ "a", "bde52cb31de33e46245e05fbdbd6fb24" },
	{ "abc", "a448017aaf21d8525fc10ae87aa6729d" },
	{ "message digest", "d9130a8164549fe818874806e1c7014b" },
	{ "abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9" },
	{ "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4" },
	{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		"e33b4ddc9c38f2199c3e7b164fcc0536" },
};

START_TEST(md4_vectors)
{
	uint8_t digest[16];

	vd_md4(md4[_i].in, strlen(md4[_i].in), digest);
	same(digest, md4[_i].digest, 16);
}
END_TEST

/* NIST SP 800-17: table A.1 (variable plaintext), A.2 (variable key), A.3 (permutation), A.4 (substitution). */
static const struct { const char *key, *in, *out; } des[] = {
	{ "0101010101010101", "8000000000000000", "95f8a5e5dd31d900" },
	{ "0101010101010101", "4000000000000000", "dd7f121ca5015619" },
	{ "0101010101010101", "0000000000000001", "166b40b44aba4bd6" },
	{ "8001010101010101", "0000000000000000", "95a8d72813daa94d" },
	{ "4001010101010101", "0000000000000000", "0eec1487dd8c26d5" },
	{ "0101010101010102", "0000000000000000", "869efd7f9f265a09" },
	{ "1046913489980131", "0000000000000000", "88d55e54f54c97b4" },
	{ "7ca110454a1a6e57", "01a1d6d039776742", "690f5b0d9a26939b" },
	{ "0131d9619dc1376e", "5cd54ca83def57da", "7a389d10354bd271" },
	{ "07a1133e4a0b2686", "0248d43806f67172", "868ebb51cab4599a" },
	{ "3849674c2602319e", "51454b582ddf440a", "7178876e01f19b2a" },
	{ "04b915ba43feb5b6", "42fd443059577fa2", "af37fb421f8c4095" },
	{ "0113b970fd34f2ce", "059b5e0851cf143a", "86a560f10ec6d85b" },
	{ "0170f175468fb5e6", "0756d8e0774761d2", "0cd3da020021dc09" },
	{ "43297fad38e373fe", "762514b829bf486a", "ea676b2cb7db2b7a" },
	{ "07a7137045da2a16", "3bdd119049372802", "dfd64a815caf1a0f" },
	{ "04689104c2fd3b2f", "26955f6835af609a", "5c513c9c4886c088" },
	{ "37d06bb516cb7546", "164d5e404f275232", "0a2aeeae3ff4ab77" },
	{ "1f08260d1ac2465e", "6b056e18759f5cca", "ef1bf03e5dfa575a" },
	{ "584023641aba6176", "004bd6ef09176062", "88bf0db6d70dee56" },
	{ "025816164629b007", "480d39006ee762f2", "a1f9915541020b56" },
	{ "49793ebc79b3258f", "437540c8698f3cfa", "6fbf1cafcffd0556" },
	{ "4fb05e1515ab73a7", "072d43a077075292", "2f22e49bab7ca1ac" },
	{ "49e95d6d4ca229bf", "02fe55778117f12a", "5a6b612cc26cce4a" },
	{ "018310dc409b26d6", "1d9d5c5018f728c2", "5f4c038ed12b2e41" },
	{ "1c587f1c13924fef", "305532286d6f295a", "63fac0d034d9f793" },
	{ "133457799bbcdff1", "0123456789abcdef", "85e813540f0ab405" },
};

START_TEST(des_vectors)
{
	uint8_t key[8], in[8], out[8];

	unhex(des[_i].key, key, 8);
	unhex(des[_i].in, in, 8);
	vd_des_encrypt(key, in, out);
	same(out, des[_i].out, 8);
}
END_TEST

START_TEST(des_parity_is_ignored)
{
	uint8_t key[8], in[8], out[8];

	unhex("133457799bbcdff1", key, 8);
	unhex("0123456789abcdef", in, 8);
	for (unsigned i = 0; i < 8; i++)
		key[i] ^= 1;
	vd_des_encrypt(key, in, out);
	same(out, "85e813540f0ab405", 8);
}
END_TEST

static const char auth_challenge[] = "5b5d7c7d7b3f2f3e3c2c602132262628";
static const char peer_challenge[] = "21402324255e262a28295f2b3a337c7e";

/* RFC 2759 section 9.2, RFC 3079 section 3.5.3. */
START_TEST(mschapv2_rfc2759)
{
	uint8_t auth[16], peer[16], hash[16], response[24], send[16], recv[16];
	char text[43];

	unhex(auth_challenge, auth, 16);
	unhex(peer_challenge, peer, 16);
	ck_assert_int_eq(vd_mschap_nt_hash("clientPass", 10, hash), 0);
	same(hash, "44ebba8d5312b8d611474411f56989ae", 16);
	ck_assert_int_eq(vd_mschapv2_response(auth, peer, "User", hash, response), 0);
	same(response, "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df", 24);
	ck_assert_int_eq(vd_mschapv2_authenticator(hash, response, auth, peer, "User", text), 0);
	ck_assert_str_eq(text, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
	ck_assert_int_eq(vd_mschapv2_mppe_keys(hash, response, send, recv), 0);
	same(send, "8b7cdc149b993a1ba118cb153f56dccb", 16);
	ck_assert_mem_ne(send, recv, 16);

	/* The domain is no part of the hash (RFC 2759 section 4). */
	ck_assert_int_eq(vd_mschapv2_response(auth, peer, "CORP\\User", hash, response), 0);
	same(response, "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df", 24);
}
END_TEST

/* RFC 2759 section 9.3: the password's hash. */
START_TEST(mschap_hash_mypw)
{
	uint8_t hash[16];

	ck_assert_int_eq(vd_mschap_nt_hash("MyPw", 4, hash), 0);
	same(hash, "fc156af7edcd6c0edde3337d427f4eac", 16);
}
END_TEST

START_TEST(mschap_names)
{
	ck_assert_str_eq(vd_mschap_user("alice"), "alice");
	ck_assert_str_eq(vd_mschap_user("CORP\\alice"), "alice");
	ck_assert_str_eq(vd_mschap_user("A\\B\\alice"), "alice");
	ck_assert_str_eq(vd_mschap_user("CORP\\"), "");
	ck_assert_str_eq(vd_mschap_user(""), "");
}
END_TEST

/* Characters beyond ASCII are compared with MD4 over UTF-16LE written by hand. */
START_TEST(mschap_unicode)
{
	static const uint8_t utf16[] = { 0xfc, 0x00, 0xac, 0x20, 0x3d, 0xd8, 0x00, 0xde }; /* u-umlaut, euro, U+1F600 */
	static const char utf8[] = "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80";
	uint8_t want[16], got[16];

	vd_md4(utf16, sizeof(utf16), want);
	ck_assert_int_eq(vd_mschap_nt_hash(utf8, sizeof(utf8) - 1, got), 0);
	ck_assert_mem_eq(got, want, 16);
}
END_TEST

START_TEST(mschap_bad_utf8)
{
	static const char *const bad[] = {
		"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80",
		"\xff", "a\xc3(", "\xf8\x88\x80\x80\x80",
	};
	uint8_t got[16];

	memset(got, 0x5a, 16);
	ck_assert_int_eq(vd_mschap_nt_hash(bad[_i], strlen(bad[_i]), got), -EINVAL);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(got[i], 0x5a);
}
END_TEST

START_TEST(mschap_password_length)
{
	char password[257];
	uint8_t got[16];

	memset(password, 'x', sizeof(password));
	ck_assert_int_eq(vd_mschap_nt_hash(password, 256, got), 0);
	ck_assert_int_eq(vd_mschap_nt_hash(password, 257, got), -EINVAL);
	ck_assert_int_eq(vd_mschap_nt_hash("", 0, got), 0);
	same(got, "31d6cfe0d16ae931b73c59d7e0c089c0", 16);
}
END_TEST

/* HMAC: RFC 2202 (MD5, SHA1), RFC 4231 (SHA2). Keys and data in hexadecimal. */
#define AA20 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B20 "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
#define HI "4869205468657265"
#define JEFE "4a656665"
#define WHAT "7768617420646f2079612077616e7420666f72206e6f7468696e673f"
#define LARGER "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374"
static const struct { const char *md, *key, *data, *mac; } hmacs[] = {
	{ "MD5", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", HI, "9294727a3638bb1c13f48ef8158bfc9d" },
	{ "MD5", JEFE, WHAT, "750c783e6ab0b503eaa86e310a5db738" },
	{ "MD5", AA20 AA20 AA20 AA20, LARGER, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd" },
	{ "SHA1", B20, HI, "b617318655057264e28bc0b6fb378c8ef146be00" },
	{ "SHA1", JEFE, WHAT, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "SHA1", AA20 AA20 AA20 AA20, LARGER, "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
	{ "SHA256", B20, HI, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "SHA256", JEFE, WHAT, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "SHA256", AA20 AA20 AA20 AA20 AA20 AA20 "aaaaaaaaaaaaaaaaaaaaaa", LARGER,
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ "SHA384", B20, HI,
		"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6" },
	{ "SHA384", JEFE, WHAT,
		"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
	{ "SHA512", B20, HI,
		"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
		"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
	{ "SHA512", JEFE, WHAT,
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
		"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
};

START_TEST(hmac_vectors)
{
	uint8_t key[256], data[256], mac[64];
	size_t key_len = unhex(hmacs[_i].key, key, sizeof(key)), len = unhex(hmacs[_i].data, data, sizeof(data)), n = 0;
	const struct vd_slice whole[] = { { data, len } };
	const struct vd_slice parts[] = { { data, 1 }, { NULL, 0 }, { data + 1, len - 2 }, { data + len - 1, 1 } };

	ck_assert_int_eq(vd_hmac(hmacs[_i].md, key, key_len, whole, 1, mac, &n), 0);
	ck_assert_uint_eq(n, vd_digest_size(hmacs[_i].md));
	same(mac, hmacs[_i].mac, n);
	memset(mac, 0, sizeof(mac));
	ck_assert_int_eq(vd_hmac(hmacs[_i].md, key, key_len, parts, 4, mac, &n), 0);
	same(mac, hmacs[_i].mac, n);
}
END_TEST

/* FIPS 180-4 examples and RFC 1321 appendix A.5: the digest of "abc". */
static const struct { const char *md, *digest; } digests[] = {
	{ "MD5", "900150983cd24fb0d6963f7d28e17f72" },
	{ "SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "SHA224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
	{ "SHA256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "SHA384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
	{ "SHA512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

START_TEST(digest_vectors)
{
	const struct vd_slice parts[] = { { "a", 1 }, { "bc", 2 } };
	uint8_t out[64];
	size_t n = 0;

	ck_assert_int_eq(vd_digest(digests[_i].md, "abc", 3, out, &n), 0);
	ck_assert_uint_eq(n, vd_digest_size(digests[_i].md));
	same(out, digests[_i].digest, n);
	memset(out, 0, sizeof(out));
	ck_assert_int_eq(vd_digest_parts(digests[_i].md, parts, 2, out, &n), 0);
	same(out, digests[_i].digest, n);
}
END_TEST

START_TEST(digest_unknown)
{
	uint8_t out[64] = { 7 };
	size_t n = 99;

	ck_assert_int_eq(vd_digest("MD6", "abc", 3, out, &n), -EINVAL);
	ck_assert_int_eq(vd_hmac("", "k", 1, NULL, 0, out, &n), -EINVAL);
	ck_assert_uint_eq(n, 99);
	ck_assert_uint_eq(out[0], 7);
	ck_assert_uint_eq(vd_digest_size("SHA3"), 0);
}
END_TEST

/* An empty key and no data: the value that RFC 4231's algorithm gives, as printed in many places. */
START_TEST(hmac_empty)
{
	uint8_t mac[64];
	size_t n;

	ck_assert_int_eq(vd_hmac("SHA256", NULL, 0, NULL, 0, mac, &n), 0);
	same(mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", n);
}
END_TEST

/* RFC 3602 section 4 (AES-128), SP 800-38A F.2.3 and F.2.5 (AES-192, AES-256), SP 800-67 key with a chained second
 * block checked by another implementation (OpenSSL's command) for 3DES. */
#define SP38A "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef" \
	"f69f2445df4f9b17ad2b417be66c3710"
#define IV16 "000102030405060708090a0b0c0d0e0f"
static const struct { const char *cipher, *key, *iv, *in, *out; } cbcs[] = {
	{ "AES-128-CBC", "06a9214036b8a15b512e03d534120006", "3dafba429d9eb430b422da802c9fac41",
		"53696e676c6520626c6f636b206d7367", "e353779c1079aeb82708942dbe77181a" },
	{ "AES-128-CBC", "c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1" },
	{ "AES-128-CBC", "6c3ea0477630ce21a2ce334aa746c2cd", "c782dc4c098c66cbd9cd27d825682c81",
		"5468697320697320612034382d62797465206d657373616765202865786163746c7920332041455320626c6f636b7329",
		"d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684" },
	{ "AES-192-CBC", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", IV16, SP38A,
		"4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
		"571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd" },
	{ "AES-256-CBC", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", IV16, SP38A,
		"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
		"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b" },
	{ "DES-EDE3-CBC", "0123456789abcdef23456789abcdef01456789abcdef0123", "f69f2445df4f9b17",
		"6bc1bee22e409f96e93d7e117393172a", "2079c3d53aa763e193b79e2569ab5262" },
};

START_TEST(cbc_vectors)
{
	uint8_t key[32], iv[16], in[64], out[64];
	size_t len = unhex(cbcs[_i].in, in, sizeof(in)), n_key, block;

	ck_assert_int_eq(vd_cbc_sizes(cbcs[_i].cipher, &n_key, &block), 0);
	ck_assert_uint_eq(unhex(cbcs[_i].key, key, sizeof(key)), n_key);
	ck_assert_uint_eq(unhex(cbcs[_i].iv, iv, sizeof(iv)), block);
	ck_assert_int_eq(vd_cbc(cbcs[_i].cipher, true, key, iv, in, len, out), 0);
	same(out, cbcs[_i].out, len);
	/* and back, in place */
	ck_assert_int_eq(vd_cbc(cbcs[_i].cipher, false, key, iv, out, len, out), 0);
	ck_assert_mem_eq(out, in, len);
}
END_TEST

START_TEST(cbc_refuses)
{
	uint8_t key[32] = { 0 }, iv[16] = { 0 }, in[32] = { 0 }, out[32];
	size_t a = 1, b = 2;

	ck_assert_int_eq(vd_cbc("AES-128-CBC", true, key, iv, in, 17, out), -EINVAL);
	ck_assert_int_eq(vd_cbc("DES-EDE3-CBC", true, key, iv, in, 4, out), -EINVAL);
	ck_assert_int_eq(vd_cbc("AES-128-GCM", true, key, iv, in, 16, out), -EINVAL);
	ck_assert_int_eq(vd_cbc("AES-128-CBC", true, key, iv, in, 0, out), 0);
	ck_assert_int_eq(vd_cbc_sizes("DES-CBC", &a, &b), -EINVAL);
	ck_assert_uint_eq(a, 1);
	ck_assert_uint_eq(b, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crypto");
	TCase *tc = tcase_create("vectors");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, md4_vectors, 0, VD_ARRAY_SIZE(md4));
	tcase_add_loop_test(tc, des_vectors, 0, VD_ARRAY_SIZE(des));
	tcase_add_test(tc, des_parity_is_ignored);
	tcase_add_test(tc, mschapv2_rfc2759);
	tcase_add_test(tc, mschap_hash_mypw);
	tcase_add_test(tc, mschap_names);
	tcase_add_test(tc, mschap_unicode);
	tcase_add_loop_test(tc, mschap_bad_utf8, 0, 11);
	tcase_add_test(tc, mschap_password_length);
	tcase_add_loop_test(tc, hmac_vectors, 0, VD_ARRAY_SIZE(hmacs));
	tcase_add_loop_test(tc, digest_vectors, 0, VD_ARRAY_SIZE(digests));
	tcase_add_test(tc, digest_unknown);
	tcase_add_test(tc, hmac_empty);
	tcase_add_loop_test(tc, cbc_vectors, 0, VD_ARRAY_SIZE(cbcs));
	tcase_add_test(tc, cbc_refuses);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
