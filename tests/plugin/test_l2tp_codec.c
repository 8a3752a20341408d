/* L2TP: messages of stock clients octet by octet, and malformed ones. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/l2tp/l2tp_codec.h"

static size_t unhex(const char *text, uint8_t *out, size_t size)
{
	char packed[1024];
	size_t n = 0;
	for (; *text; text++)
		if (*text != ' ')
			packed[n++] = *text;
	packed[n] = 0;
	int len = vd_unhex(packed, out, size);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

/* By hand from the clients' sources and traces: AVPs in their order, values as they send them. */
static const struct {
	const char *hex, *host, *vendor;
	uint16_t tunnel, window;
} clients[] = {
	/* Windows 7: firmware 0x0601, vendor "Microsoft", a small counter as tunnel id, window 8 */
	{ "c802 0061 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000001 800a 0000 0004 00000000 "
	  "0008 0000 0006 0601 800a 0000 0007 57375043 000f 0000 0008 4d6963726f736f6674 8008 0000 0009 0001 8008 0000 000a 0008",
	  "W7PC", "Microsoft", 1, 8 },
	/* Windows 10: firmware 0x0a00 */
	{ "c802 0061 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000001 800a 0000 0004 00000000 "
	  "0008 0000 0006 0a00 800a 0000 0007 57313050 000f 0000 0008 4d6963726f736f6674 8008 0000 0009 0007 8008 0000 000a 0008",
	  "W10P", "Microsoft", 7, 8 },
	/* macOS: the host name brings its terminator; neither bearer nor vendor */
	{ "c802 0042 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000003 "
	  "800c 0000 0007 6d6163626f00 8008 0000 0009 0003 8008 0000 000a 0004", "macbo", "", 3, 4 },
	/* Android's mtpd: type 2 7 3 9 10, window 1 */
	{ "c802 0045 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800f 0000 0007 616e6f6e796d6f7573 "
	  "800a 0000 0003 00000003 8008 0000 0009 beef 8008 0000 000a 0001", "anonymous", "", 0xbeef, 1 },
	/* xl2tpd: firmware 0x0690, vendor "xelerance.com" */
	{ "c802 0065 0000 0000 0000 0000 8008 0000 0000 0001 8008 0000 0002 0100 800a 0000 0003 00000003 800a 0000 0004 00000000 "
	  "0008 0000 0006 0690 800a 0000 0007 64656269 0013 0000 0008 78656c6572616e63652e636f6d 8008 0000 0009 4c1d "
	  "8008 0000 000a 0008", "debi", "xelerance.com", 0x4c1d, 8 },
};

START_TEST(stock_clients)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(clients); i++) {
		uint8_t p[512];
		struct l2tp_msg m;
		size_t len = unhex(clients[i].hex, p, sizeof(p));
		ck_assert_uint_eq((size_t)p[2] << 8 | p[3], len);
		ck_assert_int_eq(l2tp_msg_parse(p, len, NULL, &m), 0);
		ck_assert_uint_eq(m.type, L2TP_SCCRQ);
		ck_assert_uint_eq(m.bad_code, 0);
		ck_assert_uint_eq(m.version, 0x0100);
		ck_assert_uint_eq(m.tunnel_id, clients[i].tunnel);
		ck_assert_uint_eq(m.window, clients[i].window);
		ck_assert_str_eq(m.host, clients[i].host);
		ck_assert_str_eq(m.vendor, clients[i].vendor);
		for (size_t cut = 0; cut < len; cut++) /* never reads past its end (ASan), never accepts a part */
			ck_assert_int_lt(l2tp_msg_parse(p, cut, NULL, &m), 0);
	}
}
END_TEST

static int with_avp(const char *hex, struct l2tp_msg *m)
{
	uint8_t p[1024];
	size_t len = unhex("c802 0000 0001 0000 0001 0001 8008 0000 0000 0006", p, sizeof(p));
	if (hex[0])
		len += unhex(hex, p + len, sizeof(p) - len);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return l2tp_msg_parse(p, len, NULL, m);
}

START_TEST(avps)
{
	struct l2tp_msg m;
	char hex[32];
	for (unsigned n = 0; n < 6; n++) { /* lengths that do not hold their own header */
		vd_format(hex, sizeof(hex), "80%02x00000007", n);
		ck_assert_int_eq(with_avp(hex, &m), 0);
		ck_assert_uint_eq(m.bad_code, L2TP_E_LENGTH);
	}
	ck_assert_int_eq(with_avp("83ff00000007", &m), 0); /* overrun */
	ck_assert_uint_eq(m.bad_code, L2TP_E_LENGTH);
	with_avp("800800000064 0000", &m); /* unknown, M */
	ck_assert_uint_eq(m.bad_code, L2TP_E_UNKNOWN_AVP);
	ck_assert_uint_eq(m.bad_attr, 100);
	with_avp("000800000064 0000", &m);
	ck_assert_uint_eq(m.bad_code, 0);
	with_avp("880800000009 0001", &m); /* a reserved bit */
	ck_assert_uint_eq(m.bad_code, L2TP_E_UNKNOWN_AVP);
	with_avp("001601370001 00112233445566778899aabbccddeeff", &m); /* Microsoft's GUID is no Result Code */
	ck_assert_uint_eq(m.bad_code, 0);
	ck_assert(!L2TP_SEEN(&m, L2TP_A_RESULT));
	with_avp("8008000000260001", &m); /* Rx Connect Speed of 2 octets, M */
	ck_assert_uint_eq(m.bad_code, L2TP_E_LENGTH);
	with_avp("0008000000260001", &m); /* RFC 2661 section 7.1's own example */
	ck_assert_uint_eq(m.bad_code, 0);
	with_avp("c00800000009abcd", &m); /* hidden, no secret */
	ck_assert_uint_eq(m.bad_code, L2TP_E_UNKNOWN_AVP);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_SECRET);
	with_avp("400800000009abcd", &m);
	ck_assert_uint_eq(m.bad_code, 0);
	with_avp("800800000001 0300", &m); /* Apple's byte order, 8 octets */
	ck_assert_uint_eq(m.result, 3);
	with_avp("800e00000001 0003 0000 41420043", &m);
	ck_assert_uint_eq(m.result, 3);
	ck_assert_str_eq(m.text, "AB");
}
END_TEST

/* Hidden with secret "tunnel-secret" and an 18-octet Random Vector by Python's hashlib, following RFC 2661 section 4.3. */
#define VECTOR "8018 0000 0024 000102030405060708090a0b0c0d0e0f1011 "
#define VECTOR2 "800e 0000 0024 2021222324252627 "

static int hidden(const char *hex, const char *with, struct l2tp_msg *m)
{
	static uint8_t p[1024]; /* outlives m */
	struct vd_secret *secret = vd_secret_new(with, strlen(with));
	size_t len = unhex("c802 0000 0001 0000 0001 0001 8008 0000 0000 0006", p, sizeof(p));
	len += unhex(hex, p + len, sizeof(p) - len);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	int rc = l2tp_msg_parse(p, len, secret, m);
	vd_secret_free(secret);
	return rc;
}

START_TEST(hidden_avps)
{
	struct l2tp_msg m;
	ck_assert_int_eq(hidden(VECTOR "c00a 0000 0009 340c1391", "tunnel-secret", &m), 0);
	ck_assert_uint_eq(m.bad_code, 0);
	ck_assert_uint_eq(m.tunnel_id, 0xbeef);
	/* With 20 octets of padding: two blocks. */
	hidden(VECTOR "c01e 0000 0009 340c1391050913ecd46d4fe5e569a56c2f315402cdc9bc13", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, 0);
	ck_assert_uint_eq(m.tunnel_id, 0xbeef);
	/* A Challenge of 32 octets: three blocks, the last one of 2. */
	hidden(VECTOR "c028 0000 000b d2bd90252fbe64bfa2c51a53acdf4c65a7f9ba72003cfb0aa19d250df8165610a3a9", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, 0);
	ck_assert_uint_eq(m.challenge_len, 32);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_uint_eq(m.challenge[i], i);
	/* Another secret: the length inside is noise. */
	hidden(VECTOR "c00a 0000 0009 340c1391", "another", &m);
	ck_assert_uint_ne(m.bad_code, 0);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_NOISE);
	ck_assert(!L2TP_SEEN(&m, L2TP_A_TUNNEL_ID));
	/* No Random Vector before it, or one that may not be hidden itself. */
	hidden("c00a 0000 0009 340c1391", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, L2TP_E_VALUE);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_RULE);
	hidden("c00a 0000 0009 340c1391" VECTOR, "tunnel-secret", &m); /* it comes too late */
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_RULE);
	hidden(VECTOR "c00a 0000 0024 340c1391", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, L2TP_E_VALUE);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_RULE);
	/* Several Random Vectors: the one before the AVP counts, and an empty one is none. */
	hidden(VECTOR "c00a 0000 000e 3420a851" VECTOR2 "c00a 0000 0009 4f02e460", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, 0);
	ck_assert_uint_eq(m.session_id, 9);
	ck_assert_uint_eq(m.tunnel_id, 0xbeef);
	hidden(VECTOR2 VECTOR "c00a 0000 0009 4f02e460", "tunnel-secret", &m);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_NOISE);
	hidden(VECTOR2 "0006 0000 0024" "c00a 0000 0009 4f02e460", "tunnel-secret", &m);
	ck_assert_uint_eq(m.tunnel_id, 0xbeef);
	/* Revealed, but no Call Serial Number is that short. */
	hidden(VECTOR "c00a 0000 000f 340e2d93", "tunnel-secret", &m);
	ck_assert_int_eq(m.bad_hidden, L2TP_HIDDEN_NOISE);
	/* Words. */
	static const struct { enum l2tp_hidden why; const char *text; } words[] = {
		{ L2TP_HIDDEN_NONE, "mandatory AVP 9 of vendor 0 in ICRQ is unknown or malformed" },
		{ L2TP_HIDDEN_SECRET, "mandatory AVP 9 of vendor 0 in ICRQ is hidden, and no tunnel secret is set to reveal it" },
		{ L2TP_HIDDEN_NOISE, "mandatory AVP 9 of vendor 0 in ICRQ is hidden, and the tunnel secret does not reveal it" },
	};
	for (size_t i = 0; i < VD_ARRAY_SIZE(words); i++) {
		char text[L2TP_TEXT];
		m = (struct l2tp_msg){ .type = L2TP_ICRQ, .bad_attr = 9, .bad_hidden = words[i].why };
		l2tp_msg_bad(&m, text, sizeof(text));
		ck_assert_str_eq(text, words[i].text);
	}
	/* Too short to hold its own length. */
	hidden(VECTOR "c007 0000 0009 34", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, L2TP_E_VALUE);
	hidden(VECTOR "c006 0000 0009", "tunnel-secret", &m);
	ck_assert_uint_eq(m.bad_code, L2TP_E_VALUE);
}
END_TEST

START_TEST(challenge_response)
{
	static const uint8_t scccn[16] = { 0x6a, 0x59, 0xc6, 0x70, 0xd4, 0x86, 0xac, 0xf7, 0xf9, 0x62, 0x71, 0x69, 0x5c, 0x68,
		0x74, 0xf8 };
	uint8_t md[16], challenge[16];
	struct vd_secret *secret = vd_secret_new("tunnel-secret", 13);
	for (unsigned i = 0; i < 16; i++)
		challenge[i] = (uint8_t)i;
	ck_assert_int_eq(l2tp_response(L2TP_SCCCN, secret, challenge, 16, md), 0);
	ck_assert_mem_eq(md, scccn, 16);
	vd_secret_free(secret);
}
END_TEST

START_TEST(many_avps)
{
	uint8_t p[20 + 6 * 1000];
	struct l2tp_msg m;
	struct vd_wr w;
	vd_wr_init(&w, p, sizeof(p));
	l2tp_begin_type(&w, 1, 0, L2TP_HELLO);
	for (unsigned i = 0; i < 1000; i++) {
		vd_wr_u16(&w, 6);
		vd_wr_u16(&w, 0);
		vd_wr_u16(&w, 99);
	}
	l2tp_end(&w);
	ck_assert(vd_wr_ok(&w));
	ck_assert_int_eq(l2tp_msg_parse(p, w.len, NULL, &m), 0);
	ck_assert_uint_eq(m.ignored, 1000);
}
END_TEST

START_TEST(headers)
{
	static const struct { const char *hex; int rc; } bad[] = {
		{ "c803 000c 0000 0000 0000 0000", -EPROTONOSUPPORT }, { "8802 000c 0000 0000 0000 0000", -EBADMSG },
		{ "c002 000c 0000 0000 0000 0000", -EBADMSG }, { "ca02 000c 0000 0000 0000 0000", -EBADMSG },
		{ "c902 000c 0000 0000 0000 0000", -EBADMSG }, { "c802 000b 0000 0000 0000 0000", -EBADMSG },
		{ "c802 000d 0000 0000 0000 0000", -EBADMSG }, { "c802 0014 0001 0000 0000 0000 8008 0000 0007 0001", -EINVAL },
		{ "c802 0014 0001 0000 0000 0000 8008 0137 0000 0001", -EINVAL },
	};
	uint8_t p[64];
	struct l2tp_msg m;
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(l2tp_msg_parse(p, unhex(bad[i].hex, p, sizeof(p)), NULL, &m), bad[i].rc);
	ck_assert_int_eq(l2tp_msg_parse(p, unhex("f8f2 000c 0001 0000 0002 0003 ffff", p, sizeof(p)), NULL, &m), 0);
	ck_assert_uint_eq(m.type, L2TP_ZLB);
	ck_assert_uint_eq(m.h.nr, 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_codec");
	TCase *t = tcase_create("codec");
	tcase_add_test(t, stock_clients);
	tcase_add_test(t, avps);
	tcase_add_test(t, hidden_avps);
	tcase_add_test(t, challenge_response);
	tcase_add_test(t, many_avps);
	tcase_add_test(t, headers);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
