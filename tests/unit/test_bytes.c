/* Readers, writers, addresses, secrets, error texts. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/addr.h>
#include <viaduct/bytes.h>
#include <viaduct/secret.h>
#include <viaduct/text.h>

#include "tests/lib/nasty.h"

START_TEST(reader_reads_big_endian_and_stops)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct vd_rd r;
	uint8_t room[4];

	vd_rd_init(&r, in, sizeof(in));
	ck_assert_uint_eq(vd_rd_u8(&r), 0x01);
	ck_assert_uint_eq(vd_rd_u16(&r), 0x0203);
	ck_assert_uint_eq(vd_rd_u32(&r), 0x04050607);
	ck_assert_uint_eq(vd_rd_u64(&r), 0x08090a0b0c0d0e0full);
	ck_assert_uint_eq(vd_rd_left(&r), 1);
	ck_assert_int_eq(vd_rd_peek(&r), 16);
	ck_assert(!vd_rd_done(&r));
	memset(room, 0xaa, sizeof(room));
	ck_assert(!vd_rd_copy(&r, room, 2));
	ck_assert_uint_eq(room[0] | room[1], 0);
	ck_assert_uint_eq(room[2], 0xaa);
	/* sticky: the octet that is left is not given any more */
	ck_assert_uint_eq(vd_rd_left(&r), 0);
	ck_assert_uint_eq(vd_rd_u8(&r), 0);
	ck_assert(!vd_rd_ok(&r));
	ck_assert(!vd_rd_done(&r));
}
END_TEST

/* Every length of input against every kind of read: never past the end (ASan watches the malloc'ed copy). */
START_TEST(reader_every_length)
{
	for (size_t len = 0; len < 20; len++) {
		for (int kind = 0; kind < 6; kind++) {
			static const size_t need[] = { 1, 2, 4, 8, 5, 0 };
			uint8_t *in = malloc(len ? len : 1);
			struct vd_rd r, sub;

			ck_assert_ptr_nonnull(in);
			memset(in, 0x5a, len);
			vd_rd_init(&r, in, len);
			switch (kind) {
			case 0: vd_rd_u8(&r); break;
			case 1: vd_rd_u16(&r); break;
			case 2: vd_rd_u32(&r); break;
			case 3: vd_rd_u64(&r); break;
			case 4: ck_assert(vd_rd_sub(&r, 5, &sub) == (len >= 5)); ck_assert(vd_rd_ok(&sub) == (len >= 5)); break;
			case 5: ck_assert_ptr_nonnull(vd_rd_take(&r, 0)); break;
			}
			ck_assert(vd_rd_ok(&r) == (len >= need[kind]));
			if (len >= need[kind])
				ck_assert_uint_eq(vd_rd_left(&r), len - need[kind]);
			free(in);
		}
	}
}
END_TEST

START_TEST(reader_null_and_huge)
{
	struct vd_rd r;
	size_t len;

	vd_rd_init(&r, NULL, 0);
	ck_assert(vd_rd_done(&r));
	ck_assert_int_eq(vd_rd_peek(&r), -1);
	vd_rd_init(&r, "abc", 3);
	ck_assert_ptr_null(vd_rd_take(&r, SIZE_MAX));
	vd_rd_init(&r, "abc", 3);
	ck_assert_mem_eq(vd_rd_rest(&r, &len), "abc", 3);
	ck_assert_uint_eq(len, 3);
	ck_assert(vd_rd_done(&r));
	vd_rd_fail(&r);
	ck_assert(!vd_rd_ok(&r));
}
END_TEST

START_TEST(writer_writes_patches_and_refuses)
{
	uint8_t room[16], *base = room;
	struct vd_wr w;
	size_t at;

	memset(room, 0xee, sizeof(room));
	vd_wr_init(&w, base, 12);
	vd_wr_u8(&w, 1);
	at = vd_wr_mark(&w, 2);
	vd_wr_u32(&w, 0x0a0b0c0d);
	vd_wr_put(&w, "xy", 2);
	vd_wr_patch_u16(&w, at, 0x1234);
	ck_assert(vd_wr_ok(&w));
	ck_assert_uint_eq(w.len, 9);
	ck_assert_mem_eq(room, "\x01\x12\x34\x0a\x0b\x0c\x0dxy", 9);
	vd_wr_u32(&w, 1); /* 3 left */
	ck_assert(!vd_wr_ok(&w));
	vd_wr_u8(&w, 7);
	ck_assert_uint_eq(w.len, 9);
	ck_assert_uint_eq(room[9], 0xee);
	ck_assert_uint_eq(room[12], 0xee);
	vd_wr_init(&w, base, 4);
	vd_wr_u16(&w, 1);
	vd_wr_patch_u32(&w, 0, 1); /* reaches behind what was written */
	ck_assert(!vd_wr_ok(&w));
}
END_TEST

START_TEST(hexadecimal)
{
	uint8_t out[4];
	char text[9];

	ck_assert_int_eq(vd_unhex("DEADbeef", out, 4), 4);
	ck_assert_mem_eq(out, "\xde\xad\xbe\xef", 4);
	ck_assert_str_eq(vd_hex(text, sizeof(text), out, 4), "deadbeef");
	ck_assert_str_eq(vd_hex(text, 6, out, 4), "dead");
	ck_assert_int_eq(vd_unhex("abc", out, 4), -EINVAL);
	ck_assert_int_eq(vd_unhex("zz", out, 4), -EINVAL);
	ck_assert_int_eq(vd_unhex("0011223344", out, 4), -ENOSPC);
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *text, *canonical;
		bool ok;
	} prefixes[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", true }, { "10.0.0.1/8", NULL, false }, { "10.8.0.10", "10.8.0.10/32", true },
		{ "2001:db8::/32", "2001:db8::/32", true }, { "2001:db8::1/32", NULL, false }, { "0.0.0.0/0", "0.0.0.0/0", true },
		{ "10.0.0.0/33", NULL, false }, { "10.0.0.0/", NULL, false }, { "10.0.0.0/08", NULL, false },
		{ "/8", NULL, false }, { "", NULL, false }, { "10.0.0/8", NULL, false }, { "10.0.0.0/4294967304", NULL, false },
		{ "::/0", "::/0", true }, { "10.0.0.0/-1", NULL, false },
	};
	struct vd_ip a, b;
	char text[VD_SA_TEXT];

	for (size_t i = 0; i < VD_ARRAY_SIZE(prefixes); i++) {
		struct vd_prefix p;

		ck_assert_msg(vd_prefix_parse(prefixes[i].text, &p) == prefixes[i].ok, "%s", prefixes[i].text);
		if (prefixes[i].ok)
			ck_assert_str_eq(vd_prefix_format(&p, text), prefixes[i].canonical);
	}
	ck_assert(vd_range_parse("10.8.0.10-10.8.3.250", &a, &b));
	ck_assert_uint_eq(vd_ip_u32(&a), 0x0a08000a);
	ck_assert_uint_eq(vd_ip_u32(&b), 0x0a0803fa);
	ck_assert(vd_range_parse("192.0.2.64/26", &a, &b));
	ck_assert_str_eq(vd_ip_format(&b, text), "192.0.2.127");
	ck_assert(!vd_range_parse("10.0.0.9-10.0.0.1", &a, &b));
	ck_assert(!vd_range_parse("10.0.0.1-::1", &a, &b));
	ck_assert(vd_ip_parse("2001:db8::1", &a));
	struct vd_sa sa = { .ip = a, .port = 4500 }, back;
	struct sockaddr_storage ss = { 0 };
	ck_assert_str_eq(vd_sa_format(&sa, text), "[2001:db8::1]:4500");
	ck_assert_uint_gt(vd_sa_to_sockaddr(&sa, &ss), 0);
	ck_assert(vd_sa_from_sockaddr((struct sockaddr *)&ss, &back));
	ck_assert(vd_sa_equal(&sa, &back));
	back.port++;
	ck_assert(!vd_sa_equal(&sa, &back));
	ss.ss_family = AF_UNIX;
	ck_assert(!vd_sa_from_sockaddr((struct sockaddr *)&ss, &back));
}
END_TEST

START_TEST(prefix_match_equals_bit_by_bit)
{
	unsigned seed = 7;

	for (int n = 0; n < 20000; n++) {
		struct vd_prefix p = { .ip.family = n & 1 ? AF_INET6 : AF_INET };
		struct vd_ip ip = { .family = p.ip.family };
		unsigned bits = n & 1 ? 128 : 32;
		bool want = true;

		p.len = (uint8_t)((unsigned)rand_r(&seed) % (bits + 1));
		for (unsigned i = 0; i < bits; i++) {
			unsigned bit = (unsigned)rand_r(&seed) & 1, same = rand_r(&seed) % 200 != 0;

			if (i < p.len)
				p.ip.a[i / 8] |= (uint8_t)(bit << (7 - i % 8));
			ip.a[i / 8] |= (uint8_t)((same ? bit : !bit) << (7 - i % 8));
			if (i < p.len && !same)
				want = false;
		}
		ck_assert(vd_prefix_has(&p, &ip) == want);
	}
}
END_TEST

START_TEST(secrets_and_errors)
{
	struct vd_secret *s = vd_secret_new("hush", 4), *t;
	struct vd_error err;
	char buf[8];

	t = vd_secret_ref(s);
	vd_secret_free(s);
	ck_assert_uint_eq(vd_secret_len(t), 4);
	ck_assert(vd_same(vd_secret_data(t), "hush", 4));
	ck_assert(!vd_same(vd_secret_data(t), "hust", 4));
	vd_secret_freep(&t);
	ck_assert_ptr_null(t);
	vd_secret_free(NULL);
	ck_assert_uint_eq(vd_secret_len(NULL), 0);
	ck_assert_int_eq(vd_error_set(&err, -EINVAL, "no %s", "way"), -EINVAL);
	ck_assert_int_eq(vd_error_prefix(&err, "file %d: ", 3), -EINVAL);
	ck_assert_str_eq(err.text, "file 3: no way");
	ck_assert_int_eq(vd_error_set(NULL, -EPERM, "x"), -EPERM);
	ck_assert(!vd_strcpy(buf, sizeof(buf), "far too long"));
	ck_assert_str_eq(buf, "far too");
	ck_assert_uint_eq(vd_format(buf, sizeof(buf), "%s", "far too long"), 7);
}
END_TEST

/* What may be seen stays, all else becomes an escape; safe text stays the same, and no room is too small. */
START_TEST(safe_texts)
{
	static const struct { const char *in, *out; } known[] = {
		{ "", "" }, { "plain \\ \"text\"", "plain \\ \"text\"" }, { "a\x1b[0mb\n", "a\\x1b[0mb\\x0a" }, { "\x7f", "\\x7f" },
		{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\u{80}\\u{9f}\xc2\xa0" }, { "\x80\xbf\xfe", "\\x80\\xbf\\xfe" },
		{ "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80" },
		{ "\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", "\\u{202e}\\u{2066}\\u{61c}" }, { "\xef\xbb\xbf", "\\u{feff}" },
		{ "\xf4\x8f\xbf\xbf\xf0\x9f\xbf\xbe", "\\u{10ffff}\\u{1fffe}" }, { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, { "\xc0\xaf", "\\xc0\\xaf" }, { "\xe2\x82", "\\xe2\\x82" },
	};
	char out[512], again[512], step[VD_TEXT_STEP];

	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		ck_assert_str_eq(vd_text_safe_string(out, sizeof(out), known[i].in), known[i].out);
	ck_assert_uint_eq(vd_text_safe(out, sizeof(out), "a\0b", 3), 6);
	ck_assert_str_eq(out, "a\\x00b");
	for (size_t i = 0; i < NASTY_N; i++) {
		nasty_check(vd_text_safe_string(out, sizeof(out), nasty_names[i]), false);
		ck_assert_str_eq(vd_text_safe_string(again, sizeof(again), out), out);
		for (size_t size = 1; size <= strlen(out) + 1; size++) {
			memset(again, 'x', sizeof(again));
			ck_assert_uint_lt(vd_text_safe(again, size, nasty_names[i], strlen(nasty_names[i])), size);
			ck_assert_int_eq(strncmp(again, out, strlen(again)), 0);
			ck_assert_int_eq(again[size], 'x');
		}
	}
	/* Every character there is, by the definitions rather than by our table, where one is short enough to be repeated here. */
	for (uint32_t c = 0x80; c < 0x110000; c++) {
		char utf8[4];
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		bool bad = c < 0xa0 || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef) || (c >= 0x200b && c <= 0x200f) ||
			(c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0x61c || c == 0xfeff;

		for (size_t i = 0; i < n; i++)
			utf8[i] = (char)((i ? 0x80 | (c >> 6 * (n - 1 - i) & 0x3f) : (n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c >> 6 * (n - 1)));
		ck_assert_uint_eq(vd_text_step(utf8, n, step), c >= 0xd800 && c < 0xe000 ? 1 : n);
		if (bad || (c >= 0xd800 && c < 0xe000))
			ck_assert_int_eq(step[0], '\\');
		else if (step[0] != '\\')
			ck_assert(!memcmp(step, utf8, n) && !step[n]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bytes");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, reader_reads_big_endian_and_stops);
	tcase_add_test(tc, reader_every_length);
	tcase_add_test(tc, reader_null_and_huge);
	tcase_add_test(tc, writer_writes_patches_and_refuses);
	tcase_add_test(tc, hexadecimal);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, prefix_match_equals_bit_by_bit);
	tcase_add_test(tc, secrets_and_errors);
	tcase_add_test(tc, safe_texts);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
