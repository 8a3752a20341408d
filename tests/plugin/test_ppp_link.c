/* PPP links on the fake clock: whole set-ups as clients send them, losses, repetitions, refusals. */
#include "test_ppp_client.h"

/* ---- set-ups ---- */
START_TEST(test_windows)
{
	char name[] = "76706e2e6578616d706c652e636f6d"; /* vpn.example.com */
	uint32_t magic;
	uint8_t id;

	fake_advance(0);
	magic = our_magic();
	expect(0, "ff03 c021 01 01 0013 0104 0574 0305 c22381 0506 %08x", magic);
	reimport();
	in("c021 01 00 0015 0104 0578 0506 4e131f0e 0702 0802 0d03 06");
	expect(1, "ff03 c021 04 00 0007 0d03 06");
	reimport();
	in("c021 01 01 0012 0104 0578 0506 4e131f0e 0702 0802");
	expect(2, "ff03 c021 02 01 0012 0104 0578 0506 4e131f0e 0702 0802");
	reimport();
	in("c021 02 01 0013 0104 0574 0305 c22381 0506 %08x", magic);
	id = challenge_id();
	ck_assert_uint_eq(d.out[3].len, 4 + 4 + 17 + 15);
	ck_assert_uint_eq(out(3)[8], 16);
	char got[64];
	ck_assert_str_eq(vd_hex(got, sizeof(got), out(3) + 25, 15), name);
	reimport();
	/* Identification: MSRASV5.20 and a binary correlation id. */
	in("c021 0c 02 0012 4e131f0e 4d535241535635 2e3230");
	in("c021 0c 04 0018 4e131f0e 00112233445566778899aabbccddeeff");
	ck_assert(double_noted("MSRASV5.20"));
	ck_assert(double_noted("00112233445566778899aabbccddeeff"));
	ck_assert_uint_eq(d.n_out, 4);
	in(RESPONSE(NT, "003f", "434f52505c55736572"), id); /* CORP\User */
	ck_assert_str_eq(d.request.user, "CORP\\User");
	ck_assert_int_eq(d.request.method, VD_AUTH_MSCHAPV2);
	ck_assert_mem_eq(d.request.challenge, out(3) + 9, 16);
	expect(4,
		"ff03 c223 03 %02x 0038 "
		"533d34303741353538393131354644304436323039463531304645394330343536363933324344413536"
		" 204d3d57656c636f6d65",
		id);
	expect(5, "ff03 8021 01 01 000a 0306 0a080001");
	reimport();
	in("8057 01 05 000e 010a 0123456789abcdef");
	expect(6, "ff03 c021 08 01 0014 8057 0105000e 010a 0123456789abcdef");
	in("80fd 01 06 000a 1206 01000000");
	expect(7, "ff03 80fd 04 06 000a 1206 01000000");
	in("8021 01 07 0022 0306 00000000 8106 00000000 8206 00000000 8306 00000000 8406 00000000");
	expect(8, "ff03 8021 04 07 0010 8206 00000000 8406 00000000");
	reimport();
	in("8021 02 01 000a 0306 0a080001");
	in("80fd 05 08 0010 4e131f0e 003ccd74 000002dc");
	expect(9, "ff03 80fd 06 08 0004");
	in("8021 01 09 0016 0306 00000000 8106 00000000 8306 00000000");
	expect(10, "ff03 8021 03 09 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	in("8021 01 0a 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	expect(11, "ff03 8021 02 0a 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	/* Compressed header, since the client takes both: 1 octet; mtu is the channel's 1416 - 16 - 1, capped by MRU
	 * 1400. */
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(d.desc.v4.bytes[16], 0x21);
	ck_assert_uint_eq(d.desc.v4.udp_len, 4);
	ck_assert_uint_eq(d.desc.mtu, 1399);
	reimport();
	/* Goodbye, with Windows' reason. */
	in("c021 05 0b 0010 4e131f0e 003ccd74 00000000");
	expect(12, "ff03 c021 06 0b 0004");
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), "user request");
	fake_advance(1000);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}
END_TEST

/* pppd with its defaults: asyncmap, VJ, no PFC accepted here; CCP deflate and BSD. */
START_TEST(test_pppd)
{
	fake_advance(0);
	in("c021 01 01 0014 0206 00000000 0506 a1b2c3d4 0702 0802");
	expect(1, "ff03 c021 02 01 0014 0206 00000000 0506 a1b2c3d4 0702 0802");
	ack(0xc021);
	login();
	in("80fd 01 01 000f 1a04 7800 1804 7800 1503 2f");
	expect(d.n_out - 1, "ff03 80fd 04 01 000f 1a04 7800 1804 7800 1503 2f");
	in("8021 01 01 0010 0306 00000000 0206 002d0f01");
	expect(d.n_out - 1, "ff03 8021 04 01 000a 0206 002d0f01");
	in("8021 01 02 000a 0306 00000000");
	expect(d.n_out - 1, "ff03 8021 03 02 000a 0306 0a080017");
	in("8021 01 03 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

/* macOS: everything rejected leaves an empty request, which must be acknowledged; ACSCP. */
START_TEST(test_macos)
{
	fake_advance(0);
	in("c021 01 02 0004");
	expect(1, "ff03 c021 02 02 0004");
	ack(0xc021);
	login();
	in("8235 01 01 000a 0106 00000000");
	for (int i = 2; i < 20; i++) /* the first answer may have been lost: said again, but not for ever */
		in("8235 01 %02x 000a 0106 00000000", i);
	ck_assert_uint_eq(count(0xc021, 8), PPP_REJECTIONS_MAX);
	for (int i = 0; i < 5; i++) /* data of a protocol that we do not speak: once */
		in("0235 00 01 02 03");
	ck_assert_uint_eq(count(0xc021, 8), PPP_REJECTIONS_MAX + 1);
	in("8021 01 01 0016 0306 00000000 8106 00000000 8306 00000000");
	in("8021 01 02 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	/* Nothing compressed: four octets, the peer's MRU is 1500. */
	ck_assert_uint_eq(d.desc.v4.len, 20);
	ck_assert_uint_eq(d.desc.mtu, 1396);
}
END_TEST

START_TEST(test_router_without_address)
{
	lcp_open();
	login();
	in("8021 01 01 0004");
	expect(d.n_out - 1, "ff03 8021 03 01 000a 0306 0a080017");
	in("8021 01 02 0004");
	expect(d.n_out - 1, "ff03 8021 02 02 0004");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	in("8281 01 01 0004"); /* MPLSCP */
	in("8281 01 02 0004");
	ck_assert_uint_eq(count(0xc021, 8), 2);
}
END_TEST

/* ---- loss and repetition ---- */
START_TEST(test_first_request_repeated_early)
{
	fake_advance(0);
	ck_assert_uint_eq(d.n_out, 1);
	fake_advance(299);
	ck_assert_uint_eq(d.n_out, 1);
	fake_advance(1);
	ck_assert_uint_eq(d.n_out, 2);
	ck_assert_mem_eq(out(0), out(1), d.out[0].len);
	fake_advance(1000);
	ck_assert_uint_eq(d.n_out, 3);
	fake_advance(3000 * 7);
	ck_assert_uint_eq(d.n_out, 10);
	reimport();
	fake_advance(3000);
	fake_advance(0);
	ck_assert_uint_eq(count(0xc021, 1), 10);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
}
END_TEST

START_TEST(test_not_early_when_heard)
{
	fake_advance(0);
	in("c021 01 00 0004");
	fake_advance(999);
	ck_assert_uint_eq(count(0xc021, 1), 1);
	fake_advance(1);
	ck_assert_uint_eq(count(0xc021, 1), 2);
}
END_TEST

/* Every message of the client comes twice: the session is up all the same, once. */
START_TEST(test_everything_twice)
{
	for (int i = 0; i < 2; i++) {
		if (!i)
			fake_advance(0);
		in("c021 01 00 000a 0506 11223344");
	}
	ack(0xc021);
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
	uint8_t id = challenge_id();
	in(RESPONSE(NT, "003a", "55736572"), id);
	in(RESPONSE(NT, "003a", "55736572"), id);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc223, 3), 2);
	in("c021 01 00 000a 0506 11223344"); /* a late copy: acknowledged, no new beginning */
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
	for (int i = 0; i < 2; i++)
		in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ack(0x8021);
	in("8021 01 05 000a 0306 0a080017");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(d.leased, 1);
	in("c021 05 09 0004");
	in("c021 05 09 0004");
	ck_assert_uint_eq(count(0xc021, 6), 2);
	fake_advance(1000);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

/* Our Ack was lost: the client asks again with a new identifier while we are open. */
START_TEST(test_lost_ack)
{
	lcp_open();
	in("c021 01 01 000e 0506 11223344 0702 0802");
	ck_assert_int_eq(link_now()->lcp.state, PPP_ACK_SENT);
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
	login();
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_NETWORK);
}
END_TEST

START_TEST(test_challenge_repeated)
{
	lcp_open();
	int first = last(0xc223, 1);
	for (int i = 0; i < 9; i++) {
		fake_advance(3000);
		int next = last(0xc223, 1);
		ck_assert_int_gt(next, first);
		ck_assert_mem_eq(out((unsigned)first), out((unsigned)next), d.out[first].len);
		reimport();
	}
	ck_assert_uint_eq(count(0xc223, 1), 10);
	fake_advance(3000);
	fake_advance(0);
	ck_assert_uint_eq(count(0xc223, 1), 10);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(count(0xc021, 5), 1);
	fake_advance(2000);
	ck_assert_uint_eq(count(0xc021, 5), 2);
	ck_assert_uint_eq(d.lower_closed, 1);
}
END_TEST

START_TEST(test_busy)
{
	d.hold_auth = true;
	lcp_open();
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	in("c021 09 11 0008 11223344"); /* echo is answered meanwhile */
	ck_assert_int_ge(last(0xc021, 10), 0);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(vd_counter("ppp_auth_mschapv2.busy"), 1);
	ck_assert_uint_eq(count(0xc223, 3), 0);
	double_answer_auth();
	fake_drain();
	ck_assert_uint_eq(count(0xc223, 3), 1);
}
END_TEST

/* IPCP and CCP of a client that is quicker than its lease. */
START_TEST(test_early_ipcp)
{
	d.hold_configure = true;
	check_export = false;
	lcp_open();
	login();
	in("8021 01 05 000a 0306 0a080017");
	ck_assert_uint_eq(count(0x8021, 2), 0);
	static uint8_t room[4096];
	struct vd_wr w;
	struct vd_error err = { 0 };
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), -EAGAIN);
	check_export = true;
	double_answer_configure();
	fake_drain();
	ck_assert_uint_eq(count(0x8021, 1), 1);
	ck_assert_uint_eq(count(0x8021, 2), 1);
	reimport();
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

/* ---- failures ---- */
static void refused_with(const char *hex_name, const char *code)
{
	char text[160];

	in(RESPONSE("000102030405060708090a0b0c0d0e0f1011121314151617", "003a", "%s"), challenge_id(), hex_name);
	int i = last(0xc223, 4);
	ck_assert_int_ge(i, 0);
	size_t len = d.out[i].len - 8;
	memcpy(text, out((unsigned)i) + 8, len);
	text[len] = 0;
	ck_assert_int_eq(strncmp(text, code, strlen(code)), 0);
	ck_assert_uint_eq(strspn(text + strlen(code), "0123456789ABCDEF"), 32);
	ck_assert_str_eq(text + strlen(code) + 32, strstr(code, "691") ? " V=3 M=Authentication failed" :
		" V=3 M=Authentication service unavailable");
	ck_assert_uint_eq(count(0xc021, 5), 1);
	ck_assert_uint_eq(double_closed(), 1);
	in("c021 06 %02x 0004", out((unsigned)last(0xc021, 5))[5]);
	ck_assert_uint_eq(d.lower_closed, 1);
}

START_TEST(test_wrong_password)
{
	lcp_open();
	refused_with("55736572", "E=691 R=0 C=");
}
END_TEST

START_TEST(test_unknown_user)
{
	lcp_open();
	refused_with("6e6f6e65", "E=691 R=0 C=");
}
END_TEST

START_TEST(test_unavailable)
{
	d.unavailable = true;
	lcp_open();
	refused_with("55736572", "E=649 R=0 C=");
}
END_TEST

START_TEST(test_no_address)
{
	d.no_address = true;
	lcp_open();
	login();
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "the pool is empty"));
	ck_assert_uint_eq(count(0xc021, 5), 1);
}
END_TEST

START_TEST(test_auth_nak)
{
	fake_advance(0);
	/* EAP is what it wants: ours is said again, a few times, then there is a report. */
	for (int i = 0; i < 4; i++)
		in("c021 03 %02x 0008 0304 c227", out((unsigned)last(0xc021, 1))[5]);
	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "mschapv2"));
	ck_assert_ptr_nonnull(strstr(f->text, "c227"));
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

START_TEST(test_auth_rejected)
{
	fake_advance(0);
	in("c021 04 01 0009 0305 c22381");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

/* Windows asked for something else Naks with MS-CHAPv2: ours already, so the same again. */
START_TEST(test_magic_and_mru_refused)
{
	fake_advance(0);
	in("c021 04 01 000a 0506 %08x", our_magic());
	expect(1, "ff03 c021 01 02 000d 0104 0574 0305 c22381");
	in("c021 03 02 0008 0104 0500");
	expect(2, "ff03 c021 01 03 000d 0104 0500 0305 c22381");
	in("c021 04 03 0008 0104 0500");
	expect(3, "ff03 c021 01 04 0009 0305 c22381");
	reimport();
	in("c021 01 01 000a 0506 00000000"); /* zero magic is Nak'ed */
	ck_assert_int_ge(last(0xc021, 3), 0);
	in("c021 01 02 0004");
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
}
END_TEST

START_TEST(test_looped_back)
{
	fake_advance(0);
	for (int i = 0; i < 60 && !d.lower_closed; i++) {
		struct frame f = d.out[d.n_out - 1];
		in_raw(f.p, f.len);
	}
	fake_advance(60000);
	fake_advance(5000);
	ck_assert_uint_eq(d.lower_closed, 1);
	ck_assert_uint_eq(d.asked, 0);
}
END_TEST

START_TEST(test_endless_requests)
{
	fake_advance(0);
	for (int i = 0; i < 100; i++)
		in("c021 01 %02x 0008 0104 0001", i);
	fake_advance(0);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(count(0xc021, 3), PPP_MAX_FAILURE);
	ck_assert_uint_le(d.n_out, 40);
}
END_TEST

START_TEST(test_endless_naks)
{
	fake_advance(0);
	for (int i = 0; i < 100 && !double_closed(); i++)
		in("c021 03 %02x 0008 0104 0400", out((unsigned)last(0xc021, 1))[5]);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_le(d.n_out, 40);
}
END_TEST

/* The address is Nak'ed to the end, never rejected. */
START_TEST(test_stubborn_address)
{
	lcp_open();
	login();
	for (int i = 0; i < 30; i++)
		in("8021 01 %02x 000a 0306 0a080099", i);
	ck_assert_uint_eq(count(0x8021, 4), 0);
	ck_assert_uint_eq(count(0x8021, 3), PPP_MAX_REFUSALS);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

START_TEST(test_ipcp_protocol_rejected)
{
	lcp_open();
	login();
	in("c021 08 09 0006 8021");
	fake_advance(0);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
}
END_TEST

START_TEST(test_our_address_refused)
{
	lcp_open();
	login();
	for (unsigned i = 1; i <= 3; i++)
		in("8021 03 %02x 000a 0306 0a0800fe", i);
	expect((unsigned)last(0x8021, 1), "ff03 8021 01 04 000a 0306 c0000008");
	in("8021 04 04 000a 0306 c0000008");
	expect((unsigned)last(0x8021, 1), "ff03 8021 01 05 0004");
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

START_TEST(test_renegotiation_after_login)
{
	bring_up();
	in("c021 01 77 000a 0506 99999999");
	fake_advance(0);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_int_ge(last(0xc021, 5), 0);
}
END_TEST

/* Every client pads its frames here, which changes nothing. */
static void setup_padded(void)
{
	setup();
	padding = 300;
}

int main(void)
{
	Suite *s = suite_create("ppp link");
	SRunner *r;
	int failed;

	for (unsigned padded = 0; padded < 2; padded++) {
		TCase *t = tcase_create(padded ? "padded" : "link");

		tcase_add_checked_fixture(t, padded ? setup_padded : setup, teardown);
		tcase_set_timeout(t, 60);
		tcase_add_test(t, test_windows);
		tcase_add_test(t, test_pppd);
		tcase_add_test(t, test_macos);
		tcase_add_test(t, test_router_without_address);
		tcase_add_test(t, test_first_request_repeated_early);
		tcase_add_test(t, test_not_early_when_heard);
		tcase_add_test(t, test_everything_twice);
		tcase_add_test(t, test_lost_ack);
		tcase_add_test(t, test_challenge_repeated);
		tcase_add_test(t, test_busy);
		tcase_add_test(t, test_early_ipcp);
		tcase_add_test(t, test_wrong_password);
		tcase_add_test(t, test_unknown_user);
		tcase_add_test(t, test_unavailable);
		tcase_add_test(t, test_no_address);
		tcase_add_test(t, test_auth_nak);
		tcase_add_test(t, test_auth_rejected);
		tcase_add_test(t, test_magic_and_mru_refused);
		tcase_add_test(t, test_looped_back);
		tcase_add_test(t, test_endless_requests);
		tcase_add_test(t, test_endless_naks);
		tcase_add_test(t, test_stubborn_address);
		tcase_add_test(t, test_ipcp_protocol_rejected);
		tcase_add_test(t, test_our_address_refused);
		tcase_add_test(t, test_renegotiation_after_login);
		suite_add_tcase(s, t);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
