/* PPP set-ups on a bad line: each message of either side lost once or sent twice, in turn; slow providers; Android. */
#include "test_ppp_client.h"

/* A client as pppd is: answers at once, repeats what was not answered every 3 s. */
static struct {
	unsigned seen, sent; /* frames taken from the gateway; messages sent */
	int lose, twice;     /* the message of this number */
	bool lcp_acked, lcp_open, response_sent, success, ipcp_acked;
	uint8_t chap_id, lcp_id, ipcp_id;
	bool address_known;
} c;

static void send_once(const char *hex)
{
	in("%s", hex);
	reimport();
}

static void client(const char *fmt, ...)
{
	char text[400];
	va_list ap;
	int n = (int)c.sent++;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n == c.lose)
		return;
	send_once(text);
	if (n == c.twice)
		send_once(text);
}

static void client_lcp(void)
{
	client("c021 01 %02x 000e 0506 11223344 0702 0802", c.lcp_id);
}

static void client_ipcp(void)
{
	client("8021 01 %02x 000a 0306 %s", c.ipcp_id, c.address_known ? "0a080017" : "00000000");
}

static void client_acks(const struct frame *f)
{
	char hex[600];

	vd_hex(hex, sizeof(hex), f->p + 2, f->len - 2);
	hex[5] = '2';
	client("%s", hex);
}

static void client_hears(void)
{
	while (c.seen < d.n_out) {
		struct frame f = d.out[c.seen++];
		unsigned protocol = (unsigned)f.p[2] << 8 | f.p[3], code = f.p[4];

		if (protocol == 0xc021 && code == 1) {
			if (c.lcp_open && c.response_sent)
				continue; /* a late copy: this client's authentication has begun */
			client_acks(&f);
		} else if (protocol == 0xc021 && code == 2 && f.p[5] == c.lcp_id) {
			c.lcp_open = true;
		} else if (protocol == 0xc223 && code == 1 && c.lcp_open) {
			c.response_sent = true;
			c.chap_id = f.p[5];
			client(RESPONSE(NT, "003a", "55736572"), c.chap_id);
		} else if (protocol == 0xc223 && code == 3 && !c.success) {
			c.success = true;
			client_ipcp();
		} else if (protocol == 0x8021 && code == 1 && c.success) {
			client_acks(&f);
		} else if (protocol == 0x8021 && code == 3 && f.p[5] == c.ipcp_id) {
			c.address_known = true;
			c.ipcp_id++;
			client_ipcp();
		} else if (protocol == 0x8021 && code == 2 && f.p[5] == c.ipcp_id) {
			c.ipcp_acked = true;
		}
	}
}

static bool converse(void)
{
	fake_advance(0);
	reimport();
	client_lcp();
	for (int seconds = 0; seconds < 50 && !double_closed(); seconds++) {
		client_hears();
		if (link_now()->phase == PPP_PHASE_UP && c.ipcp_acked)
			return true;
		fake_advance(1000);
		reimport();
		client_hears();
		if (seconds % 3 != 2)
			continue;
		if (!c.lcp_open)
			client_lcp();
		else if (c.response_sent && !c.success)
			client(RESPONSE(NT, "003a", "55736572"), c.chap_id);
		else if (c.success && !c.ipcp_acked)
			client_ipcp();
	}
	return false;
}

static void comes_up(void)
{
	ck_assert(converse());
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(d.leased, 1);
}

static void fresh(void)
{
	memset(&c, 0, sizeof(c));
	c.lose = c.twice = -1;
}

#define MESSAGES 9 /* more than a set-up without losses has in either direction */
START_TEST(test_client_lost)
{
	fresh();
	c.lose = _i;
	comes_up();
}
END_TEST

START_TEST(test_client_twice)
{
	fresh();
	c.twice = _i;
	comes_up();
}
END_TEST

START_TEST(test_gateway_lost)
{
	fresh();
	d.lose = _i;
	comes_up();
}
END_TEST

/* The provider takes 9 s; the client repeats its Response every 3 s. One question, one Success. */
START_TEST(test_slow_provider)
{
	d.hold_auth = true;
	lcp_open();
	for (int i = 0; i < 3; i++) {
		in(RESPONSE(NT, "003a", "55736572"), challenge_id());
		fake_advance(3000);
	}
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc223, 1), 1);
	ck_assert_uint_eq(count(0xc223, 3) + count(0xc223, 4), 0);
	double_answer_auth();
	fake_drain();
	ck_assert_uint_eq(count(0xc223, 3), 1);
	reimport();
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

/* Nobody answers: the core's deadline passes, and the client hears that the service is unavailable, not
 * of a password. */
START_TEST(test_silent_provider)
{
	d.hold_auth = true;
	lcp_open();
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	fake_advance(59000);
	int i = last(0xc223, 4);
	ck_assert_int_ge(i, 0);
	ck_assert_int_eq(memcmp(out((unsigned)i) + 8, "E=649 R=0 C=", 12), 0);
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

/* Android up to 11: pppd with mtu and mru 1400, VJ, two name servers, BSD-Compress, Deflate; byte for byte. */
START_TEST(test_android)
{
	uint32_t magic;
	uint8_t id;

	fake_advance(0);
	magic = our_magic();
	expect(0, "ff03 c021 01 01 0013 0104 0574 0305 c22381 0506 %08x", magic);
	in("c021 01 01 0018 0104 0578 0206 00000000 0506 5a5a0001 0702 0802");
	expect(1, "ff03 c021 02 01 0018 0104 0578 0206 00000000 0506 5a5a0001 0702 0802");
	reimport();
	in("c021 02 01 0013 0104 0574 0305 c22381 0506 %08x", magic);
	reimport();
	id = challenge_id();
	in(RESPONSE(NT, "003a", "55736572"), id);
	expect(3,
		"ff03 c223 03 %02x 0038 "
		"533d34303741353538393131354644304436323039463531304645394330343536363933324344413536"
		" 204d3d57656c636f6d65",
		id);
	expect(4, "ff03 8021 01 01 000a 0306 0a080001");
	reimport();
	in("80fd 01 01 000f 1a04 7800 1804 7800 1503 2f");
	expect(5, "ff03 80fd 04 01 000f 1a04 7800 1804 7800 1503 2f");
	in("80fd 01 02 0004");
	expect(6, "ff03 80fd 06 02 0004");
	in("8021 01 01 001c 0306 00000000 0206 002d0f01 8106 00000000 8306 00000000");
	expect(7, "ff03 8021 04 01 000a 0206 002d0f01");
	reimport();
	in("8021 02 01 000a 0306 0a080001");
	in("8021 01 02 0016 0306 00000000 8106 00000000 8306 00000000");
	expect(8, "ff03 8021 03 02 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	reimport();
	in("8021 01 03 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	expect(9, "ff03 8021 02 03 0016 0306 0a080017 8106 0a010035 8306 0a010036");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.mtu, 1399);
	ck_assert_uint_eq(d.n_out, 10);
}
END_TEST

/* A client that hangs up in the set-up says why: that is the report of the failure. */
START_TEST(test_client_gives_up)
{
	lcp_open();
	login();
	in("c021 05 0b 0010 4e131f0e 003ccd74 000002dc");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->stage, "ipcp");
	ck_assert_ptr_nonnull(strstr(f->text, "732"));
	ck_assert_uint_eq(double_closed(), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp loss");
	TCase *t = tcase_create("link");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_client_lost, -1, MESSAGES);
	tcase_add_loop_test(t, test_client_twice, 0, MESSAGES);
	tcase_add_loop_test(t, test_gateway_lost, 0, MESSAGES);
	tcase_add_test(t, test_slow_provider);
	tcase_add_test(t, test_silent_provider);
	tcase_add_test(t, test_android);
	tcase_add_test(t, test_client_gives_up);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
