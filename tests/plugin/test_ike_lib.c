/* The stateless half of IKE: published key schedule vectors, payloads as hostile as can be, policies, identities. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/ike/lib/cfg.h"
#include "plugins/ike/lib/ident.h"
#include "plugins/ike/lib/isakmp.h"
#include "plugins/ike/lib/policy.h"
#include "plugins/ike/lib/v1keys.h"
#include "plugins/ike/lib/vendor.h"

static size_t hex(const char *text, uint8_t *out, size_t size)
{
	int n = vd_unhex(text, out, size);

	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

/* NIST CAVP for SP 800-135, ikev1_psk.rsp, SHA-1, g^xy of 256 bits, COUNT 0. */
START_TEST(test_cavp_psk)
{
	uint8_t gxy[32], ni[8], nr[8], ci[8], cr[8], psk[1], skeyid[64], want[20];
	struct ike_suite suite = { .encr = VD_ENCR_AES_CBC, .key_bits = 128, .hash = IKE_HASH_SHA1, .group = 14 };
	struct ike_v1_keys keys;
	size_t n;

	hex("739003ba2c11c982946c65e26acf661fbf8ebb78011a9fead79efa12fe3e71cc", gxy, 32);
	hex("75", psk, 1);
	hex("b9a2d0e922dc66dd", ni, 8);
	hex("2130166863b5ddef", nr, 8);
	hex("83d374c30b3b5082", ci, 8);
	hex("5afc0da06c728029", cr, 8);
	struct vd_slice nonces[] = { { ni, 8 }, { nr, 8 } };
	ck_assert_int_eq(vd_hmac("SHA1", psk, 1, nonces, 2, skeyid, &n), 0);
	hex("62b04d112877e442fc3282fc37c076997718a0b9", want, 20);
	ck_assert_int_eq(memcmp(skeyid, want, 20), 0);
	ck_assert_int_eq(ike_v1_keys_derive(&keys, &suite, skeyid, 20, gxy, 32, ci, cr), 0);
	hex("369e5aad1bdb5faf6a3d929d500cdc236710a9ab", want, 20);
	ck_assert_int_eq(memcmp(keys.d, want, 20), 0);
	hex("588e957d8d790d093b3a39f121473473af78e9bb", want, 20);
	ck_assert_int_eq(memcmp(keys.a, want, 20), 0);
	hex("cd74b0c048219db81384d3fda8f6cda51e398a2b", want, 20);
	ck_assert_int_eq(memcmp(keys.e, want, 20), 0);
	ck_assert_int_eq(memcmp(keys.key, want, 16), 0);
}
END_TEST

START_TEST(test_suites)
{
	static const struct { const char *word; bool ike, good;
	} words[] = {
		{ "aes256-sha256-modp2048", true, true },
		{ "3des-sha1-modp1024", true, true },
		{ "aes128-sha1-ecp256", true, true },
		{ "aes256-sha256", true, false },
		{ "aes256gcm16-modp2048", true, false },
		{ "aes256-md5-modp1024", true, false },
		{ "des-sha1-modp1024", true, false },
		{ "", true, false },
		{ "aes256-aes128-sha1-modp2048", true, false },
		{ "aes256-sha1", false, true },
		{ "aes128gcm16", false, true },
		{ "aes256gcm16-sha256", false, false },
		{ "aes256", false, false },
		{ "null-sha1", false, false },
		{ "aes256-sha1-modp2048", false, false },
		{ "aes256-sha256-modp2048-aes256-sha256-modp2048-aes256", true, false },
	};
	struct ike_suite s;
	char text[IKE_SUITE_TEXT];

	for (unsigned i = 0; i < VD_ARRAY_SIZE(words); i++) {
		struct vd_error err = { 0 };
		int rc = ike_suite_parse(words[i].word, words[i].ike, &s, &err);

		ck_assert_msg((rc == 0) == words[i].good, "%s: %s", words[i].word, err.text);
		if (rc == 0)
			ck_assert_str_eq(ike_suite_format(&s, text), words[i].word);
		else
			ck_assert_str_ne(err.text, "");
	}
}
END_TEST

START_TEST(test_policies)
{
	struct ike_policy p;
	struct ike_suite weak = { .encr = VD_ENCR_3DES, .key_bits = 192, .hash = IKE_HASH_SHA1, .group = 2 };
	struct vd_error err;

	ck_assert_int_eq(ike_policy_load(NULL, "compatible", &p, &err), 0);
	ck_assert(!ike_policy_allows(&p, &weak));
	ck_assert(!ike_policy_allows_group(&p, 2));
	ck_assert(ike_policy_allows_group(&p, 15));
	ck_assert(!ike_policy_allows_group(&p, 1));
	ck_assert_int_eq(ike_policy_load(NULL, "legacy", &p, &err), 0);
	ck_assert(ike_policy_allows(&p, &weak));
	ck_assert(ike_policy_allows_group(&p, 2));
	ck_assert_int_eq(ike_policy_load(NULL, "modern", &p, &err), 0);
	for (unsigned i = 0; i < p.n_ike; i++)
		ck_assert(p.ike[i].hash != IKE_HASH_SHA1 && p.ike[i].encr != VD_ENCR_3DES);
	ck_assert_int_eq(ike_policy_load(NULL, "nonsense", &p, &err), -ENOENT);
}
END_TEST

static const uint8_t windows_sa[] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 48, 1, 1, 0, 1, 0, 0, 0, 40, 1, 1, 0, 0, 0x80, 1,
	0, 7, 0x80, 14, 1, 0, 0x80, 2, 0, 2, 0x80, 4, 0, 20, 0x80, 3, 0, 1, 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0, 0x70,
	0x80 };

START_TEST(test_offers)
{
	struct ike_offers o;
	struct ike_suite s;
	uint8_t body[sizeof(windows_sa)];

	ck_assert_int_eq(ike_offers_parse(1, windows_sa, sizeof(windows_sa), &o), 0);
	ck_assert_uint_eq(o.n, 1);
	ck_assert_uint_eq(o.v[0].life_seconds, 28800);
	ck_assert(ike_suite_from_phase1(&o.v[0], IKE_AUTH_PSK, &s));
	ck_assert_uint_eq(s.group, 20);
	/* Hostile: every octet takes every value of a few, every length; nothing but errors may come of it. */
	for (size_t at = 0; at < sizeof(body); at++) {
		for (unsigned k = 0; k < 256; k++) {
			memcpy(body, windows_sa, sizeof(body));
			body[at] = (uint8_t)k;
			if (ike_offers_parse(1, body, sizeof(body), &o) == 0)
				for (unsigned i = 0; i < o.n; i++) {
					ck_assert_uint_le((size_t)o.v[i].at + o.v[i].len, sizeof(body));
					(void)ike_suite_from_phase1(&o.v[i], IKE_AUTH_PSK, &s);
				}
			(void)ike_offers_parse(2, body, sizeof(body), &o);
		}
		uint8_t *cut = malloc(at + 1);
		memcpy(cut, windows_sa, at);
		ck_assert_int_lt(ike_offers_parse(1, cut, at, &o), 0);
		free(cut);
	}
	memcpy(body, windows_sa, sizeof(body));
	body[3] = 2; /* another DOI */
	ck_assert_int_eq(ike_offers_parse(1, body, sizeof(body), &o), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(test_offers_limits)
{
	static uint8_t body[8 + 8 + 255 * 8];
	struct ike_offers o;
	struct vd_wr w;

	/* 255 empty transforms: more than are kept */
	vd_wr_init(&w, body, sizeof(body));
	vd_wr_u32(&w, 1), vd_wr_u32(&w, 1);
	vd_wr_u16(&w, 0), vd_wr_u16(&w, 8 + 255 * 8);
	vd_wr_u8(&w, 1), vd_wr_u8(&w, 1), vd_wr_u8(&w, 0), vd_wr_u8(&w, 255);
	for (unsigned i = 0; i < 255; i++) {
		vd_wr_u16(&w, i < 254 ? 0x0300 : 0), vd_wr_u16(&w, 8);
		vd_wr_u32(&w, 0x01010000);
	}
	ck_assert(vd_wr_ok(&w));
	ck_assert_int_eq(ike_offers_parse(1, body, w.len, &o), -E2BIG);
	/* An ESP proposal that is to be used together with IPCOMP is none for us; one beside it is. */
	static const uint8_t bundle[] = { 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 28, 1, 3, 4, 1, 1, 2, 3, 4, 0, 0, 0, 16, 1,
		12, 0, 0, 0x80, 4, 0, 2, 0x80, 5, 0, 2, 0, 0, 0, 22, 1, 4, 2, 1, 9, 9, 0, 0, 0, 12, 1, 2, 0, 0, 0x80, 4,
		0, 2 };
	ck_assert_int_eq(ike_offers_parse(2, bundle, sizeof(bundle), &o), 0);
	ck_assert_uint_eq(o.n, 2);
	ck_assert(!o.v[0].usable && !o.v[1].usable);
}
END_TEST

START_TEST(test_chain)
{
	struct ike_chain chain;
	uint8_t many[4 * 64];
	static const uint8_t nested[] = { 13, 0, 0, 4, 13, 0, 0, 3, 0, 0, 0, 4 };

	for (unsigned i = 0; i < 64; i++)
		memcpy(many + 4 * i, "\x0d\x00\x00\x04", 4);
	ck_assert_int_eq(ike_chain_parse(13, many, sizeof(many), &chain), -E2BIG);
	ck_assert_int_eq(ike_chain_parse(13, nested, sizeof(nested), &chain), -EBADMSG);
	ck_assert_int_eq(ike_chain_parse(13, nested, 3, &chain), -EBADMSG);
	ck_assert_int_eq(ike_chain_parse(0, nested, 0, &chain), 0);
	ck_assert_uint_eq(chain.n, 0);
	ck_assert_ptr_null(ike_chain_find(&chain, 13, 0));
}
END_TEST

START_TEST(test_identities)
{
	struct ike_ident id;

	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x01\x11\x06\xa5\xc0\xa8\x00\x05", 8, &id), 0);
	ck_assert_str_eq(id.text, "192.168.0.5");
	ck_assert_uint_eq(id.port, 1701);
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x01\x11\x06\xa5\xc0\xa8\x00", 7, &id), -EBADMSG);
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x02\x00\x00\x00host\x1b[2J", 12, &id), 0);
	ck_assert_str_eq(id.text, "host\\x1b[2J");
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x0b\x00\x00\x00" "ab", 6, &id), 0);
	ck_assert_str_eq(id.text, "keyid:6162");
	ck_assert_int_eq(
		ike_ident_parse(
			(const uint8_t *)"\x09\x00\x00\x00\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04test", 21,
			&id),
		0);
	ck_assert_int_eq(strncmp(id.text, "DN of 17 octets, ", 17), 0);
	/* It is not read before somebody has proved something: what is no DN is one as well, and another one. */
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x09\x00\x00\x00\x30\xff", 6, &id), 0);
	ck_assert_int_eq(strncmp(id.text, "DN of 2 octets, ", 16), 0);
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x09\x00\x00\x00", 4, &id), -EBADMSG);
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x63\x00\x00\x00", 4, &id), -EPROTONOSUPPORT);
	ck_assert_int_eq(ike_ident_parse((const uint8_t *)"\x01\x00", 2, &id), -EBADMSG);
}
END_TEST

START_TEST(test_selectors)
{
	static const struct { const char *body; size_t len; const char *net; } rows[] = {
		{ "\x01\0\0\0\x0a\x08\0\x0b", 8, "10.8.0.11/32" },
		{ "\x04\0\0\0\0\0\0\0\0\0\0\0", 12, "0.0.0.0/0" },
		{ "\x04\0\0\0\x0a\x01\0\0\xff\xff\0\0", 12, "10.1.0.0/16" },
		{ "\x04\0\0\0\x0a\x01\2\3\xff\xff\0\0", 12, "10.1.0.0/16" }, /* host bits */
		{ "\x04\0\0\0\x0a\x08\0\x0b\xff\xff\xff\xff", 12, "10.8.0.11/32" },
		{ "\x04\0\0\0\x0a\x01\0\0\xff\0\xff\0", 12, NULL }, /* holes */
		{ "\x07\0\0\0\0\0\0\0\xff\xff\xff\xff", 12, "0.0.0.0/0" },
		{ "\x07\0\0\0\x0a\x01\0\0\x0a\x01\0\xff", 12, "10.1.0.0/24" },
		{ "\x07\0\0\0\x0a\x01\0\1\x0a\x01\0\xff", 12, NULL },
		{ "\x07\0\0\0\x0a\x01\0\xff\x0a\x01\0\0", 12, NULL },
		{ "\x06\0\0\0\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 36, "2001:db8::/32" },
		{ "\x01\0\0\0\x0a\x08\0", 7, NULL },
		{ "\x01\0\0\0\x0a\x08\0\x0b\0", 9, NULL },
		{ "\x02\0\0\0host", 8, NULL },
		{ "\x04\0", 2, NULL },
	};
	struct ike_selector s;
	char text[VD_IP_TEXT];

	for (size_t i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		bool ok = ike_selector_parse((const uint8_t *)rows[i].body, rows[i].len, &s);

		ck_assert_msg(ok == (rows[i].net != NULL), "row %zu", i);
		if (ok)
			ck_assert_str_eq(vd_prefix_format(&s.net, text), rows[i].net);
	}
}
END_TEST

START_TEST(test_cfg)
{
	static const uint8_t body[] = { 1, 0, 0x47, 0x11, 0, 1, 0, 0, 0xc0, 0x88, 0, 7, 0x70, 0, 0, 3, 'a', 'b', 'c', 0x40,
		0x8f, 0, 1, 1 };
	uint8_t many[4 + 4 * (IKE_CFG_ATTRS_MAX + 1)] = { 1 }, room[256];
	struct ike_header h = { 0 };
	struct ike_chain chain;
	struct ike_cfg cfg;
	struct ike_out out;
	uint32_t v;

	ck_assert_int_eq(ike_cfg_parse(body, sizeof(body), &cfg), 0);
	ck_assert_uint_eq(cfg.kind, IKE_CFG_REQUEST);
	ck_assert_uint_eq(cfg.id, 0x4711);
	ck_assert_uint_eq(cfg.n, 4);
	ck_assert_uint_eq(ike_cfg_find(&cfg, IKE_CFG_IP4_ADDRESS)->len, 0);
	ck_assert(ike_cfg_number(ike_cfg_find(&cfg, IKE_XAUTH_TYPE), &v));
	ck_assert_uint_eq(v, 7);
	ck_assert(ike_cfg_number(ike_cfg_find(&cfg, IKE_XAUTH_STATUS), &v)); /* the long form is a number as well */
	ck_assert_uint_eq(v, 1);
	ck_assert_mem_eq(ike_cfg_find(&cfg, IKE_UNITY_BANNER)->p, "abc", 3);
	ck_assert_ptr_null(ike_cfg_find(&cfg, IKE_XAUTH_USER_NAME));
	ck_assert(!ike_cfg_number(ike_cfg_find(&cfg, IKE_CFG_IP4_ADDRESS), &v));
	ck_assert(!ike_cfg_number(NULL, &v));
	for (size_t n = 0; n < sizeof(body); n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, body, n);
		bool whole = n == 4 || n == 8 || n == 12 || n == 19;
		ck_assert_int_eq(ike_cfg_parse(cut, n, &cfg), whole ? 0 : -EBADMSG);
		free(cut);
	}
	ck_assert_int_eq(ike_cfg_parse(many, sizeof(many) - 4, &cfg), 0);
	ck_assert_int_eq(ike_cfg_parse(many, sizeof(many), &cfg), -E2BIG);
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_cfg(&out, IKE_CFG_SET, 5);
	ike_out_attr16(&out, IKE_XAUTH_STATUS, 1);
	ike_out_attr(&out, IKE_CFG_IP4_DNS, "\1\2\3\4", 4);
	ike_out_end(&out);
	int len = ike_out_finish(&out);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(ike_chain_parse(room[16], room + 28, (size_t)len - 28, &chain), 0);
	ck_assert_uint_eq(chain.v[0].type, IKE_P_ATTRIBUTES);
	ck_assert_int_eq(ike_cfg_parse(chain.v[0].p, chain.v[0].len, &cfg), 0);
	ck_assert_uint_eq(cfg.n, 2);
	ck_assert_mem_eq(cfg.v[1].p, "\1\2\3\4", 4);
}
END_TEST

START_TEST(test_vendors)
{
	uint8_t id[20];
	uint32_t flags = 0;

	ck_assert_uint_eq(ike_vendor_flag(ike_vendor_rfc3947, 16), IKE_V_RFC3947);
	ck_assert_uint_eq(ike_vendor_flag(ike_vendor_rfc3947, 15), IKE_V_UNKNOWN);
	ck_assert_uint_eq(ike_vendor_flag(ike_vendor_dpd, 16), IKE_V_DPD);
	ck_assert_uint_eq(ike_vendor_flag(ike_vendor_fragmentation, 20), IKE_V_FRAGMENTATION);
	ck_assert_uint_eq(ike_vendor_flag(ike_vendor_fragmentation, 16), IKE_V_FRAGMENTATION);
	hex("1e2b516905991c7d7c96fcbfb587e46100000009", id, sizeof(id));
	flags |= ike_vendor_flag(id, 20);
	ck_assert_str_eq(ike_vendor_profile(flags), "windows");
	hex("4df37928e9fc4fd1b3262170d515c662", id, sizeof(id));
	ck_assert_str_eq(ike_vendor_profile(ike_vendor_flag(id, 16)), "apple");
	ck_assert_str_eq(ike_vendor_profile(0), "generic");
}
END_TEST

/* Entry by entry in the gateway's order, which is strongest first: what each set adds to the one before it. */
START_TEST(test_policy_lists)
{
	static const char *const names[] = { "modern", "compatible", "legacy" };
	static const char *const ike[] = {
		"aes256-sha384-ecp384 aes256-sha384-x25519 aes256-sha256-x25519 aes256-sha256-ecp256 aes256-sha512-modp4096 "
		"aes256-sha256-modp4096 aes256-sha256-modp3072 aes256-sha256-modp2048 aes256-sha512-modp2048 "
		"aes128-sha256-x25519 aes128-sha256-ecp256 aes128-sha256-modp3072 aes128-sha256-modp2048 ",
		"aes256-sha1-ecp384 aes128-sha1-ecp256 aes256-sha1-modp2048 aes128-sha1-modp2048 3des-sha1-modp2048 ",
		"aes256-sha256-modp1024 aes256-sha1-modp1024 aes128-sha1-modp1024 3des-sha1-modp1024 "
		"aes256-sha256-modp1536 aes256-sha1-modp1536 3des-sha1-modp1536 ",
	};
	static const char *const esp[] = { "aes256gcm16 aes128gcm16 aes256-sha256 aes256-sha384 aes256-sha512 aes128-sha256 ",
		"aes256-sha1 aes128-sha1 3des-sha1 ", "" };
	char text[2000], want[2000], word[IKE_SUITE_TEXT];
	struct vd_error err = { 0 };
	struct ike_policy p;
	size_t len = 0;

	ck_assert_int_eq(ike_policy_load(NULL, names[_i], &p, &err), 0);
	for (unsigned i = 0; i < p.n_ike; i++)
		len += vd_format(text + len, sizeof(text) - len, "%s ", ike_suite_format(&p.ike[i], word));
	vd_format(want, sizeof(want), "%s%s%s", ike[0], _i > 0 ? ike[1] : "", _i > 1 ? ike[2] : "");
	ck_assert_str_eq(text, want);
	len = 0;
	for (unsigned i = 0; i < p.n_esp; i++)
		len += vd_format(text + len, sizeof(text) - len, "%s ", ike_suite_format(&p.esp[i], word));
	vd_format(want, sizeof(want), "%s%s%s", esp[0], _i > 0 ? esp[1] : "", _i > 1 ? esp[2] : "");
	ck_assert_str_eq(text, want);
	ck_assert(ike_policy_allows_group(&p, 31));
}
END_TEST

/* Of PFS: what phase 1 has, and nothing beyond that costs more. */
START_TEST(test_policy_groups)
{
	static const struct { const char *name; bool allowed[32]; } cases[] = {
		{ "modern", { [14] = true, [15] = true, [16] = true, [19] = true, [20] = true, [31] = true } },
		{ "compatible", { [14] = true, [15] = true, [16] = true, [19] = true, [20] = true, [31] = true } },
		{ "legacy", { [2] = true, [5] = true, [14] = true, [15] = true, [16] = true, [19] = true, [20] = true, [31] = true } },
	};
	struct ike_policy p;

	ck_assert_int_eq(ike_policy_load(NULL, cases[_i].name, &p, NULL), 0);
	for (uint16_t g = 0; g < 32; g++)
		ck_assert_msg(ike_policy_allows_group(&p, g) == cases[_i].allowed[g], "group %u", g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_lib");
	TCase *t = tcase_create("lib");

	tcase_add_loop_test(t, test_policy_lists, 0, 3);
	tcase_add_loop_test(t, test_policy_groups, 0, 3);
	tcase_add_test(t, test_cavp_psk);
	tcase_add_test(t, test_suites);
	tcase_add_test(t, test_policies);
	tcase_add_test(t, test_offers);
	tcase_add_test(t, test_offers_limits);
	tcase_add_test(t, test_chain);
	tcase_add_test(t, test_identities);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_cfg);
	tcase_add_test(t, test_vendors);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
