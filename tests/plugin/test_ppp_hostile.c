/* PPP links on the fake clock: echo, floods, malformed and random input, ends in every state. */
#include "test_ppp_client.h"
#include "tests/lib/failures.h"

/* ---- echo, flood, hostile ---- */
START_TEST(test_echo)
{
	bring_up();
	in("c021 09 44 000c 11223344 61626364");
	expect(d.n_out - 1, "ff03 c021 0a 44 000c %08x 61626364", link_now()->magic);
	unsigned n = count(0xc021, 9);
	d.counters.packets_in = 5;
	fake_advance(30000); /* the echo above was heard */
	fake_advance(30000); /* data */
	ck_assert_uint_eq(count(0xc021, 9), n);
	fake_advance(30000);
	ck_assert_uint_eq(count(0xc021, 9), n + 1);
	in("c021 0a %02x 0008 11223344", out((unsigned)last(0xc021, 9))[5]);
	reimport();
	fake_advance(30000);
	ck_assert_uint_eq(count(0xc021, 9), n + 1);
	fake_advance(30000 * 4);
	ck_assert_uint_eq(count(0xc021, 9), n + 5);
	ck_assert_uint_eq(double_closed(), 0);
	fake_advance(30000);
	fake_advance(0);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

START_TEST(test_echo_flood)
{
	bring_up();
	unsigned n = count(0xc021, 10);
	for (int i = 0; i < 200; i++)
		in("c021 09 %02x 0008 11223344", i);
	ck_assert_uint_le(count(0xc021, 10) - n, 21);
	fake_advance(1000);
	in("c021 09 01 0008 11223344");
	ck_assert_int_ge(last(0xc021, 10), (int)d.n_out - 1);
}
END_TEST

/* IPCP may begin anew in a session that is up, but not as often as the peer likes; the session stays as it is. */
START_TEST(test_ipcp_flood)
{
	bring_up();
	unsigned n = d.n_out;
	for (int i = 0; i < 200; i++)
		in("8021 01 %02x 000a 0306 0a080017", 0x20 + i);
	ck_assert_uint_le(d.n_out - n, 42);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(double_closed(), 0);
}
END_TEST

/* Rejects of every kind end or change nothing; what one link takes is small. */
START_TEST(test_reject_loops)
{
	ck_assert_uint_le(sizeof(struct ppp_link), 4096);
	bring_up();
	unsigned n = d.n_out;
	for (int i = 0; i < 300; i++) {
		in("c021 07 %02x 0008 0f010004", i & 255);
		in("c021 08 %02x 000a 80fd 01010004", i & 255);
	}
	ck_assert_uint_eq(d.n_out, n);
	for (int i = 0; i < 300; i++)
		in("c021 %02x 01 0004", 0x20 + i % 200);
	ck_assert_uint_le(d.n_out - n, 21);
	ck_assert_uint_eq(double_closed(), 0);
	in("c021 07 01 0008 01010004"); /* it does not know Configure-Request */
	fake_advance(3000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(d.lower_closed, 1);
}
END_TEST

/* The reply fits the peer's MRU. */
START_TEST(test_echo_cut)
{
	char hex[1600] = "";

	fake_advance(0);
	in("c021 01 00 0008 0104 0240");
	ack(0xc021);
	for (int i = 0; i < 700; i++)
		strcat(hex, "5a");
	in("c021 09 01 02c4 00000000 %s", hex);
	ck_assert_uint_eq(d.out[d.n_out - 1].len, 4 + 576);
}
END_TEST

START_TEST(test_unknown_code)
{
	lcp_open();
	in("c021 0f 33 0006 abcd");
	expect(d.n_out - 1, "ff03 c021 07 01 000a 0f330006abcd");
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
}
END_TEST

START_TEST(test_malformed)
{
	static const char *const bad[] = { "c021", "c021 01", "c021 01 01 00", "c021 01 01 0003", "c021 01 01 0040 01",
		"c021 01 01 0006 0100", "c021 01 01 0006 0101", "c021 01 01 0008 0106 0578", "c021 01 01 0005 01",
		"c021 02 01 0006 0100", "c021 04 01 0004", "c021 08 01 0005 80", "c021 09 01 0006 0102",
		"c020 01 01 0004", "80", "c223 02", "c223 02 00 0004", "c223 02 00 ffff", "8021 01 01 0004",
		"0021 4500", "80fd 01 01 0003" };

	fake_advance(0);
	for (int round = 0; round < 2; round++) {
		unsigned n = d.n_out;

		for (unsigned i = 0; i < VD_ARRAY_SIZE(bad); i++)
			in(bad[i]);
		ck_assert_uint_eq(d.n_out, n);
		ck_assert_uint_eq(double_closed(), 0);
		if (!round)
			lcp_open();
	}
	login();
	ck_assert_uint_eq(d.leased, 1);
}
END_TEST

/* Random frames in every phase: nothing breaks (sanitizers), nothing grows without limit. */
START_TEST(test_random)
{
	uint8_t room[80];

	check_export = false;
	if (_i)
		lcp_open();
	if (_i > 1)
		login();
	for (int i = 0; i < 3000 && !d.lower_closed; i++) {
		vd_random(room, sizeof(room));
		room[0] = 0xff;
		room[1] = 3;
		room[2] = room[2] & 1 ? 0xc0 : 0x80;
		room[3] = 0x21;
		room[4] %= 16;
		room[6] = 0;
		room[7] %= 76;
		in_raw(room, 4u + room[7] % 76);
		d.n_out = 0;
	}
}
END_TEST

START_TEST(test_response_forms)
{
	char name[600] = "";

	lcp_open();
	in("c22302%02x 000a 04 0000000000", challenge_id());       /* wrong value size */
	in(RESPONSE(NT, "003c", "550073657200"), challenge_id());  /* a NUL inside the name */
	for (int i = 0; i < 256; i++)
		strcat(name, "61");
	in(RESPONSE(NT, "0136", "%s"), challenge_id(), name);      /* 256 octets of name */
	in(RESPONSE(NT, "003a", "55736572"), challenge_id() ^ 1);  /* another identifier */
	in("c22301%02x 0004", challenge_id());
	ck_assert_uint_eq(d.asked, 0);
	in(RESPONSE(NT, "003b", "5573657200"), challenge_id());    /* a NUL behind it */
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_str_eq(d.request.user, "User");
	ck_assert_uint_eq(count(0xc223, 3), 1);
}
END_TEST

/* Before authentication nothing but LCP and CHAP is answered. */
START_TEST(test_silence_before_login)
{
	lcp_open();
	unsigned n = d.n_out;
	in("8021 01 01 000a 0306 00000000");
	in("80fd 01 01 000a 1206 01000000");
	in("8057 01 01 000e 010a 0123456789abcdef");
	in("0021 45000014");
	in("c025 0000");
	ck_assert_uint_eq(d.n_out, n);
}
END_TEST

START_TEST(test_ccp_stubborn)
{
	bring_up();
	for (int i = 0; i < 30; i++) {
		in("80fd 01 %02x 000a 1206 01000000", i);
		fake_advance(1000);
	}
	ck_assert_uint_eq(count(0x80fd, 4), 10);
	ck_assert_uint_eq(count(0xc021, 8), PPP_REJECTIONS_MAX);
}
END_TEST

/* ---- ends ---- */
START_TEST(test_terminate_in_every_state)
{
	fake_advance(0);
	if (_i == 1)
		in("c021 01 00 000a 0506 11223344"); /* Ack-Sent */
	if (_i == 2)
		ack(0xc021); /* Ack-Rcvd */
	if (_i >= 3)
		lcp_open();
	if (_i >= 4)
		login();
	if (_i == 5) {
		in("8021 01 05 000a 0306 0a080017");
		ack(0x8021);
	}
	if (_i == 6) { /* Closing */
		d.service->stop(d.service->self, SESSION, "test");
		fake_advance(0);
	}
	in("c021 05 63 0004");
	expect((unsigned)last(0xc021, 6), "ff03 c021 06 63 0004");
	reimport();
	fake_advance(90000);
	fake_advance(3000);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

START_TEST(test_stop)
{
	bring_up();
	d.service->stop(d.service->self, SESSION, "closed by the administrator");
	ck_assert_int_eq(last(0xc021, 5), -1);
	fake_advance(0);
	int i = last(0xc021, 5);
	ck_assert_int_ge(i, 0);
	reimport();
	fake_advance(1000);
	ck_assert_uint_eq(count(0xc021, 5), 2);
	fake_advance(1000);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_str_eq(d.reason, "closed by the administrator");
}
END_TEST

START_TEST(test_lower_down)
{
	bring_up();
	unsigned n = d.n_out;
	d.service->lower_down(d.service->self, SESSION, "CDN");
	fake_advance(0);
	ck_assert_ptr_null(link_now());
	ck_assert_uint_eq(d.n_out, n);
	ck_assert_uint_eq(d.lower_closed, 0);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

START_TEST(test_setup_timeout)
{
	lcp_open();
	login();
	for (int i = 0; i < 15; i++) { /* a client that never finishes IPCP, but acknowledges nothing either */
		fake_advance(4000);
		in("c021 09 01 0008 11223344");
	}
	fake_advance(1000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
}
END_TEST

START_TEST(test_import_hostile)
{
	static uint8_t room[8192];
	struct vd_error err = { 0 };
	struct vd_wr w;

	bring_up();
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(ppp_layer.export_(d.service->self, &w, &err), 0);
	for (size_t cut = 0; cut < w.len; cut += 3) {
		struct vd_rd r;

		fake_plugin_stop(plugins[0]);
		fake_plugin_start(plugins[0]);
		double_begin();
		vd_rd_init(&r, room, cut);
		err.text[0] = 0;
		ck_assert_int_lt(ppp_layer.import(d.service->self, ppp_layer.version, &r, VD_IMPORT_SAME, &err), 0);
		ck_assert_int_ne(err.text[0], 0);
	}
	/* Any octet wrong: refused, or taken and still sound. */
	for (size_t at = 0; at < w.len; at++) {
		struct vd_rd r;

		fake_plugin_stop(plugins[0]);
		fake_plugin_start(plugins[0]);
		double_begin();
		room[at] ^= 0xff;
		vd_rd_init(&r, room, w.len);
		if (ppp_layer.import(d.service->self, ppp_layer.version, &r, VD_IMPORT_SAME, &err) == 0) {
			in("c021 09 01 0008 11223344");
			in("8021 01 05 000a 0306 0a080017");
		}
		room[at] ^= 0xff;
		d.n_out = 0;
	}
}
END_TEST

START_TEST(test_ras)
{
	static const uint8_t data[12] = { 1, 2, 3, 4, 0x00, 0x3c, 0xcd, 0x74, 0, 0, 2, 0xdc };
	char text[128];

	ck_assert(ppp_ras_reason(data, 12, text, sizeof(text)));
	ck_assert_str_eq(text, "client error 732: PPP control protocols do not converge");
	ck_assert(!ppp_ras_reason(data, 11, text, sizeof(text)));
}
END_TEST

/* What we do not take is reported, in every phase; a Terminate-Request without a report cannot be written. */
START_TEST(test_refused)
{
	static const struct {
		unsigned after; /* 0: LCP is open, 1: authenticated, 2: up */
		const char *frame;
		const struct vd_failure *kind;
		const char *stage, *text;
	} all[] = {
		{ 0, "c021 08 01 0006 c021", &ppp_fail_refused, "auth", "rejects LCP itself" },
		{ 1, "c021 08 01 0006 c021", &ppp_fail_refused, "ipcp", "rejects LCP itself" },
		{ 0, "c021 08 01 0006 c223", &ppp_fail_auth_rejected, "auth", "rejected its protocol" },
		{ 1, "c021 08 01 0006 8021", &ppp_fail_ipcp_rejected, "ipcp", "rejects IPCP" },
		{ 1, "c021 01 77 000a 0506 99999999", &ppp_fail_refused, NULL, "began LCP anew after authentication" },
		{ 2, "c021 01 77 000a 0506 99999999", &ppp_fail_refused, NULL, "began LCP anew after authentication" },
	};
	const struct vd_setup_failed *f;

	lcp_open();
	if (all[_i].after > 0)
		login();
	if (all[_i].after > 1) {
		in("8021 01 05 000a 0306 0a080017");
		ack(0x8021);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	in("%s", all[_i].frame);
	fake_advance(0);
	ck_assert_int_ge(last(0xc021, 5), 0); /* Terminate-Request */
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, all[_i].kind->word);
	ck_assert_msg(strstr(f->text, all[_i].text) != NULL, "%s", f->text);
	ck_assert_str_eq(f->stage, all[_i].stage ? all[_i].stage : f->stage);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp hostile");
	TCase *t = tcase_create("link");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_echo);
	tcase_add_test(t, test_echo_flood);
	tcase_add_test(t, test_echo_cut);
	tcase_add_test(t, test_ipcp_flood);
	tcase_add_test(t, test_reject_loops);
	tcase_add_test(t, test_unknown_code);
	tcase_add_test(t, test_malformed);
	tcase_add_loop_test(t, test_random, 0, 3);
	tcase_add_test(t, test_response_forms);
	tcase_add_test(t, test_silence_before_login);
	tcase_add_test(t, test_ccp_stubborn);
	tcase_add_loop_test(t, test_terminate_in_every_state, 0, 7);
	tcase_add_loop_test(t, test_refused, 0, 6);
	tcase_add_test(t, test_stop);
	tcase_add_test(t, test_lower_down);
	tcase_add_test(t, test_setup_timeout);
	tcase_add_test(t, test_import_hostile);
	tcase_add_test(t, test_ras);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
