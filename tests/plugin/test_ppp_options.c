/* Tables: every option of LCP and IPCP that clients send, and what it is answered; every way in which they say goodbye. */
#include "test_ppp_client.h"
#include "tests/lib/failures.h"

enum { ACK = 2, NAK = 3, REJ = 4 };

static const struct {
	const char *name, *option; /* as it is sent */
	uint8_t answer;
	const char *wants;         /* of a Nak; NULL: the option itself */
} lcp[] = {
	{ "MRU", "01040578", ACK, NULL },
	{ "the largest MRU", "0104ffff", ACK, NULL },
	{ "an MRU for nothing", "0104007f", NAK, "01040574" },
	{ "an MRU of 68", "01040044", NAK, "01040574" },
	{ "just too small an MRU", "0104023f", NAK, "01040574" },
	{ "the smallest MRU", "01040240", ACK, NULL },
	{ "MRU, too long", "0105000578", REJ, NULL },
	{ "ACCM", "0206000a0000", ACK, NULL },
	{ "ACCM, too short", "0205000000", REJ, NULL },
	{ "that we authenticate ourselves, CHAP with MD5", "0305c22305", REJ, NULL },
	{ "that we authenticate ourselves, PAP", "0304c023", REJ, NULL },
	{ "quality", "0408c02500000064", REJ, NULL },
	{ "magic number", "050611223344", ACK, NULL },
	{ "magic number, too short", "0504beef", REJ, NULL },
	{ "PFC", "0702", ACK, NULL },
	{ "PFC with something", "070301", REJ, NULL },
	{ "ACFC", "0802", ACK, NULL },
	{ "ACFC with something", "080301", REJ, NULL },
	{ "FCS alternatives", "090304", REJ, NULL },
	{ "self-describing pad", "0a0304", REJ, NULL },
	{ "numbered mode", "0b040407", REJ, NULL },
	{ "callback by CBCP", "0d0306", REJ, NULL },
	{ "compound frames", "0f02", REJ, NULL },
	{ "MRRU", "1104064e", REJ, NULL },
	{ "short sequence numbers", "1202", REJ, NULL },
	{ "endpoint discriminator", "130903c0ffee001122", REJ, NULL },
	{ "link discriminator", "17040001", REJ, NULL },
	{ "COBS", "19040102", REJ, NULL },
	{ "internationalization", "1c0600000003", REJ, NULL },
	{ "one that nobody knows", "fe0501beef", REJ, NULL },
	{ "the vendor's own", "000a1122334401abcdef", REJ, NULL },
};

static const struct {
	const char *name, *option;
	uint8_t answer;
	const char *wants;
} ipcp[] = {
	{ "old addresses", "010a0000000000000000", REJ, NULL },
	{ "VJ compression", "0206002d0f01", REJ, NULL },
	{ "robust header compression", "020e0003010000000000010000a8", REJ, NULL },
	{ "no address", "030600000000", NAK, "03060a080017" },
	{ "another address", "0306c0a80005", NAK, "03060a080017" },
	{ "the address", "03060a080017", ACK, NULL },
	{ "address, too short", "03040a08", NAK, "03060a080017" },
	{ "mobile IP", "040600000000", REJ, NULL },
	{ "name server", "810600000000", NAK, "81060a010035" },
	{ "the name server", "81060a010035", ACK, NULL },
	{ "name server, too long", "81070000000000", NAK, "81060a010035" },
	{ "NBNS", "820600000000", REJ, NULL },
	{ "second name server", "830600000000", NAK, "83060a010036" },
	{ "second NBNS", "840600000000", REJ, NULL },
	{ "one that nobody knows", "900400ff", REJ, NULL },
};

static void answered(uint16_t protocol, const char *name, const char *option, uint8_t answer, const char *wants)
{
	const char *back = wants ? wants : option;
	int i;

	in("%04x 01 21 %04x %s", protocol, (unsigned)(4 + strlen(option) / 2), option);
	i = last(protocol, answer);
	ck_assert_msg(i >= 0 && out((unsigned)i)[5] == 0x21, "%s: not answered with %u", name, answer);
	expect((unsigned)i, "ff03 %04x %02x 21 %04x %s", protocol, answer, (unsigned)(4 + strlen(back) / 2), back);
}

START_TEST(test_lcp)
{
	setup();
	fake_advance(0);
	answered(0xc021, lcp[_i].name, lcp[_i].option, lcp[_i].answer, lcp[_i].wants);
	/* Whatever it was, the link opens without it. */
	in("c021 01 22 000a 0506 11223344");
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
	teardown();
}
END_TEST

START_TEST(test_ipcp)
{
	const char *option = ipcp[_i].option;

	setup();
	lcp_open();
	login();
	if (option[0] == '0' && option[1] == '3')
		answered(0x8021, ipcp[_i].name, option, ipcp[_i].answer, ipcp[_i].wants);
	else if (ipcp[_i].answer == REJ)
		answered(0x8021, ipcp[_i].name, option, REJ, NULL);
	else { /* with an address, which would be named otherwise */
		char with[64], back[64];

		snprintf(with, sizeof(with), "03060a080017%s", option);
		snprintf(back, sizeof(back), "03060a080017%s", option);
		answered(0x8021, ipcp[_i].name, with, ipcp[_i].answer, ipcp[_i].answer == ACK ? back : ipcp[_i].wants);
	}
	in("8021 01 22 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	teardown();
}
END_TEST

/* What is asked for again and again is Naked five times, then rejected (RFC 1661 section 4.6), and ends with a report; but
 * never the address, over which Windows hangs up. */
START_TEST(test_naks_end)
{
	setup();
	fake_advance(0);
	for (unsigned i = 0; i < PPP_MAX_FAILURE; i++)
		in("c021 01 %02x 0008 0104 0040", i);
	ck_assert_uint_eq(count(0xc021, NAK), PPP_MAX_FAILURE);
	ck_assert_uint_eq(count(0xc021, REJ), 0);
	for (unsigned i = 0; i < 30; i++)
		in("c021 01 %02x 0008 0104 0040", 0x40 + i);
	ck_assert_uint_eq(count(0xc021, NAK), PPP_MAX_FAILURE);
	ck_assert_uint_eq(count(0xc021, REJ), PPP_MAX_REFUSALS - PPP_MAX_FAILURE);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, ppp_fail_diverges.word);
	teardown();
}
END_TEST

START_TEST(test_address_is_never_rejected)
{
	setup();
	lcp_open();
	login();
	for (unsigned i = 0; i < 30; i++)
		in("8021 01 %02x 000a 0306 00000000", i);
	ck_assert_uint_eq(count(0x8021, NAK), PPP_MAX_REFUSALS);
	ck_assert_uint_eq(count(0x8021, REJ), 0);
	teardown();
}
END_TEST

static const struct {
	const char *data, *reason;
} goodbyes[] = {
	{ "", "the client ended the connection" },
	{ "557365722072657175657374", "the client ended the connection: User request" },
	{ "55736572207265717565737400", "the client ended the connection: User request" }, /* with its terminator */
	{ "506565 7220 6e6f7420 72657370 6f6e6469 6e67", "the client ended the connection: Peer not responding" },
	{ "11223344003ccd7400000000", "user request" },
	{ "11223344003ccd74000002dc", "client error 732: PPP control protocols do not converge" },
	{ "11223344003ccd74000002e2", "client error 738: no address was assigned" },
	{ "11223344003ccd7400000309", "client error 777" },
	{ "11223344003ccd74", "the client ended the connection" },  /* cut */
	{ "0001feff", "the client ended the connection" },
	{ "4c696e6b0a64656164", "the client ended the connection" }, /* what is not printable is not printed */
	{ "00", "the client ended the connection" },
};

START_TEST(test_goodbye)
{
	size_t n = 0;

	setup();
	bring_up();
	for (const char *c = goodbyes[_i].data; *c; c++)
		n += *c != ' ';
	in("c021 05 30 %04x %s", (unsigned)(4 + n / 2), goodbyes[_i].data);
	expect((unsigned)last(0xc021, 6), "ff03 c021 06 30 0004");
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), goodbyes[_i].reason);
	teardown();
}
END_TEST

/* A word of 200 octets is cut, not refused. */
START_TEST(test_long_goodbye)
{
	char hex[401];

	setup();
	bring_up();
	memset(hex, '6', 400); /* "fff..." */
	hex[400] = 0;
	in("c021 05 30 00cc %s", hex);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(strlen(double_why()), strlen("the client ended the connection: ") + 64);
	teardown();
}
END_TEST

/* The end of a network protocol: IPCP's ends the session with the client's reason, CCP's nothing. */
START_TEST(test_ends_of_ncps)
{
	setup();
	bring_up();
	for (unsigned i = 0; i < 3; i++)
		in("80fd 05 %02x 0010 11223344 003ccd74 000002dc", i);
	ck_assert_uint_eq(count(0x80fd, 6), 3);
	ck_assert(double_noted("terminates CCP: client error 732"));
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	in("8021 05 07 0010 11223344 003ccd74 000002e0");
	expect((unsigned)last(0x8021, 6), "ff03 8021 06 07 0004");
	ck_assert(double_noted("terminates IPCP: client error 736"));
	fake_advance(5000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_ptr_nonnull(strstr(double_why(), "the client ended IPCP: client error 736"));
	teardown();
}
END_TEST

/* Before IPCP is open its Terminate-Request is answered, and the client may begin again (RFC 1661 section 4.1, RTR). */
START_TEST(test_ipcp_begins_again)
{
	setup();
	lcp_open();
	login();
	in("8021 05 07 000f 6e6f7420 6e6f7721 00 0000");
	expect((unsigned)last(0x8021, 6), "ff03 8021 06 07 0004");
	in("8021 01 08 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(double_closed(), 0);
	in("c021 05 30 0004");
	ck_assert_str_eq(double_why(), "the client ended the connection");
	teardown();
}
END_TEST

/* A flood of a protocol that nobody speaks is answered once, of one that asks three times, and counted. */
START_TEST(test_protocol_rejects)
{
	uint64_t dropped;

	setup();
	bring_up();
	dropped = vd_counter("ppp_link.drop.protocol");
	for (unsigned i = 0; i < 50; i++) {
		fake_advance(1000);
		in("0281 %02x", i); /* MPLS */
		in("8281 01 %02x 0004", i); /* MPLSCP */
	}
	ck_assert_uint_eq(count(0xc021, 8), 1 + PPP_REJECTIONS_MAX);
	ck_assert_uint_eq(vd_counter("ppp_link.drop.protocol") - dropped, 100 - 1 - PPP_REJECTIONS_MAX);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	teardown();
}
END_TEST

/* Codes that LCP has not: rejected, with the packet; those of RFC 1570 are taken. */
START_TEST(test_codes)
{
	setup();
	bring_up();
	in("c021 0e 11 0008 c0ffee00");
	expect((unsigned)last(0xc021, 7), "ff03 c021 07 %02x 000c 0e11 0008 c0ffee00", out((unsigned)last(0xc021, 7))[5]);
	in("c021 0c 12 000e 11223344 6578 616d706c65");
	in("c021 0c 13 0004");       /* cut */
	in("c021 0d 14 000c 11223344 0000003c");
	in("c021 0d 15 0008 11223344"); /* cut */
	in("c021 0b 16 0008 11223344"); /* Discard-Request */
	ck_assert_uint_eq(count(0xc021, 7), 1);
	ck_assert(double_noted("identifies itself"));
	ck_assert(double_noted("60 seconds remain"));
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp_options");
	TCase *t = tcase_create("options");

	tcase_add_loop_test(t, test_lcp, 0, VD_ARRAY_SIZE(lcp));
	tcase_add_loop_test(t, test_ipcp, 0, VD_ARRAY_SIZE(ipcp));
	tcase_add_test(t, test_naks_end);
	tcase_add_test(t, test_address_is_never_rejected);
	tcase_add_loop_test(t, test_goodbye, 0, VD_ARRAY_SIZE(goodbyes));
	tcase_add_test(t, test_long_goodbye);
	tcase_add_test(t, test_ends_of_ncps);
	tcase_add_test(t, test_ipcp_begins_again);
	tcase_add_test(t, test_protocol_rejects);
	tcase_add_test(t, test_codes);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
