/* IPV6CP (RFC 5072) beside IPCP: identifiers, and that neither protocol's fate is the other's. */
#include "test_ppp_client.h"

static void setup6(void)
{
	setup();
	fake_watch(&vd_topic_session_ipv6);
	d.network = true;
}

static const struct vd_session_ipv6 *told(void)
{
	const struct vd_session_ipv6 *e = fake_last(&vd_topic_session_ipv6);

	ck_assert_ptr_nonnull(e);
	return e;
}

static const char *ip(const struct vd_ip *ip)
{
	static char text[2][VD_IP_TEXT];
	static unsigned n;

	return ip->family ? vd_ip_format(ip, text[n++ % 2]) : "none";
}

#define REQ "8057 01 05 000e 010a 0123456789abcdef"
static void v6_open(void)
{
	in(REQ);
	expect((unsigned)last(0x8057, 2), "ff03 8057 02 05 000e 010a 0123456789abcdef");
	ack(0x8057);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_OPENED);
}

START_TEST(test_joins)
{
	bring_up();
	ck_assert_uint_eq(count(0x8057, 1), 0); /* who does not speak it never hears of it */
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 0);
	ck_assert_uint_eq(d.desc.v6.len, 0);
	ck_assert_uint_eq(d.leased6, 0);
	in(REQ);
	expect((unsigned)last(0x8057, 1), "ff03 8057 01 01 000e 010a 0000000000000001");
	ck_assert_uint_eq(d.leased6, 1);
	reimport();
	v6_open();
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
	ck_assert(told()->up);
	ck_assert_str_eq(ip(&told()->local), "fe80::1");
	ck_assert_str_eq(ip(&told()->remote), "fe80::123:4567:89ab:cdef");
	ck_assert_str_eq(ip(&told()->network.ip), "2001:db8:5:1::");
	ck_assert_uint_eq(told()->network.len, 64);
	/* The client compresses both headers. */
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_uint_eq(d.desc.v6.bytes[16], 0x57);
	ck_assert_uint_eq(d.desc.v6.udp_len, 4);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(d.desc.v4.bytes[16], 0x21);
	ck_assert_uint_eq(d.desc.source[1].len, 64);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	reimport();
	/* A repeated request changes nothing; a new one with another identifier is a new link-local address. */
	in(REQ);
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
	in("8057 01 06 000e 010a 0000000000000077");
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 2);
	ck_assert(!told()->up);
	ck_assert_uint_eq(d.desc.v6.len, 0);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ack(0x8057);
	ck_assert(told()->up);
	ck_assert_str_eq(ip(&told()->remote), "fe80::77");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.leased6, 1);
	ck_assert_uint_eq(d.returned, 0);
}
END_TEST

/* A request with many options is kept while its lease is asked for, as a short one. */
START_TEST(test_long_request)
{
	char zeros[2 * 98 + 1];

	memset(zeros, '0', sizeof(zeros) - 1);
	zeros[sizeof(zeros) - 1] = '\0';
	bring_up();
	in("8057 01 05 0072 010a 0123456789abcdef 6364 %s", zeros);
	expect((unsigned)last(0x8057, 4), "ff03 8057 04 05 0068 6364 %s", zeros);
	v6_open();
}
END_TEST

/* The lease takes its time: the last request waits for it, and IPCP for nothing. */
START_TEST(test_waits)
{
	static uint8_t room[16384];
	struct vd_error why = { 0 };
	struct vd_wr w;

	d.hold_network = true;
	lcp_open();
	login();
	in(REQ);
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &why), -EAGAIN);
	in("8057 05 05 0004"); /* nothing of it is open */
	in("0057 60000000 00003b40");
	in("8057 01 06 000e 010a 0000000000000077");
	check_export = false;
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	check_export = true;
	ck_assert_uint_eq(count(0x8057, 1) + count(0x8057, 2) + count(0x8057, 6) + count(0xc021, 8), 0);
	double_answer_network();
	fake_drain();
	expect((unsigned)last(0x8057, 2), "ff03 8057 02 06 000e 010a 0000000000000077");
	ck_assert_uint_eq(count(0x8057, 2), 1);
	ack(0x8057);
	ck_assert(told()->up);
	ck_assert_uint_eq(d.leased6, 1);
}
END_TEST

/* Nor does IPCP's end take away what IPv6 waits for; when it gets nothing, there is nothing. */
START_TEST(test_waits_alone)
{
	for (unsigned got = 0; got < 2; got++) {
		if (got) {
			teardown();
			setup6();
		}
		d.hold_network = true;
		d.no_networks = !got;
		lcp_open();
		login();
		check_export = false;
		in(REQ);
		in("c021 08 09 000a 8021 01010004");
		fake_advance(3000);
		ck_assert_uint_eq(double_closed(), 0);
		double_answer_network();
		fake_drain();
		check_export = true;
		fake_advance(3000);
		ck_assert_uint_eq(double_closed(), !got);
		if (!got)
			ck_assert_str_eq(double_why(), "IPCP ended, and there is no IPv6");
	}
	ack(0x8057);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

/* The session ends while the pool thinks. */
START_TEST(test_gone_meanwhile)
{
	d.hold_network = true;
	bring_up();
	in(REQ);
	vd_session_close(SESSION, "enough", false);
	fake_drain();
	double_answer_network();
	fake_advance(10000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(count(0x8057, 1), 0);
	ck_assert_uint_eq(fake_next(), UINT64_MAX);
}
END_TEST

/* Everything is in use: IPv4 does not notice, the client hears that there is no IPv6, and nobody asks again. */
START_TEST(test_exhausted)
{
	d.no_networks = true;
	bring_up();
	in(REQ);
	expect((unsigned)last(0xc021, 8), "ff03 c021 08 01 0014 8057 0105000e 010a 0123456789abcdef");
	ck_assert(double_noted("no IPv6: the prefix is exhausted"));
	reimport();
	d.no_networks = false;
	in(REQ);
	in("8057 05 06 0004");
	ck_assert_uint_eq(count(0xc021, 8), 2);
	ck_assert_uint_eq(d.leased6, 1);
	ck_assert_uint_eq(count(0x8057, 1) + count(0x8057, 2) + count(0x8057, 6), 0);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}
END_TEST

/* Over: what comes late is answered by the automaton, the network is given back, and the next request gets another. */
START_TEST(test_returned)
{
	bring_up();
	v6_open();
	ck_assert_uint_eq(d.desc.source[1].len, 64);
	in("8057 05 09 0004");
	fake_advance(3000);
	ck_assert_uint_eq(d.returned, 1);
	ck_assert_uint_eq(d.desc.source[1].len, 0);
	ck_assert(double_noted("network 2001:db8:5:1::/64 given back"));
	reimport();
	in("8057 05 09 0004");
	ck_assert_uint_eq(count(0x8057, 6), 2);
	in("0057 60000000 00003b40");
	ck_assert_uint_eq(count(0xc021, 8), 0);
	v6_open();
	ck_assert_uint_eq(d.leased6, 2);
	ck_assert_uint_eq(d.desc.source[1].len, 64);
	ck_assert(told()->up);
	/* A client that never answers has not begun. */
	in("8057 01 0b 000e 010a 0000000000000077");
	for (unsigned i = 0; i < 40; i++) {
		fake_advance(1000);
		in("c021 0a %02x 0008 11223344", (unsigned)(last(0xc021, 9) >= 0 ? d.out[last(0xc021, 9)].p[5] : 0));
	}
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_STOPPED);
	ck_assert_uint_eq(d.returned, 2);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}
END_TEST

/* It leaves while the session comes up: nothing of it is told, then or later. */
START_TEST(test_leaves_early)
{
	lcp_open();
	login();
	in(REQ);
	for (int i = 0; i < 2; i++) {
		struct frame f = d.out[last(0x8057, 1)];

		f.p[4] = 2;
		f.p[5] = i ? 9 : f.p[5];
		if (i)
			f.p[4] = 5;
		d.punt(d.punt_arg, SESSION, f.p, f.len);
	}
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_BRING_UP);
	fake_advance(3000); /* and LCP's rejection of nothing: IPCP is still asked for */
	ck_assert_uint_eq(d.returned, 1);
	ck_assert_uint_eq(d.desc.v6.len, 0);
	ck_assert_uint_eq(d.desc.source[1].len, 0);
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	reimport();
}
END_TEST

/* It leaves, and is back before the session is up: with its new network it is carried. */
START_TEST(test_back_early)
{
	d.hold_add = true;
	lcp_open();
	login();
	check_export = false;
	in(REQ);
	ack(0x8057);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_BRING_UP);
	in("c021 08 09 000a 8057 01010004");
	in("8057 06 %02x 0004", (unsigned)d.out[last(0x8057, 5)].p[5]);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_STOPPED);
	ck_assert_uint_eq(d.returned, 1);
	v6_open();
	ck_assert_uint_eq(d.leased6, 2);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_BRING_UP);
	ck_assert_uint_eq(d.desc.v6.len, 0);
	double_ack_add();
	fake_drain();
	check_export = true;
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_uint_eq(d.desc.source[1].len, 64);
	ck_assert(told()->up);
	reimport();
}
END_TEST

/* Packets of IPv6 before anybody asked for it: neither answered nor counted among what is rejected. */
START_TEST(test_data_first)
{
	bring_up();
	in("0057 60000000 00003b40");
	ck_assert_uint_eq(count(0xc021, 8), 0);
	ck_assert_uint_eq(d.leased6, 0);
	v6_open();
	ck_assert_uint_eq(d.desc.v6.len, 17);
}
END_TEST

/* IPV6CP first: the session is up with it, and IPCP joins. */
START_TEST(test_first)
{
	lcp_open();
	login();
	v6_open();
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
	ck_assert_uint_eq(d.desc.v4.len, 0);
	reimport();
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
}
END_TEST

/* Both open in the same turn of the loop, before the workers have acknowledged the first. */
START_TEST(test_at_once)
{
	lcp_open();
	login();
	in(REQ);
	in("8021 01 05 000a 0306 0a080017");
	for (int i = 0; i < 2; i++) {
		struct frame f = d.out[last(i ? 0x8057 : 0x8021, 1)];

		f.p[4] = 2;
		d.punt(d.punt_arg, SESSION, f.p, f.len);
	}
	fake_drain();
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert(told()->up);
	reimport();
}
END_TEST

/* Windows sends all its requests right behind the authentication, before there is a lease. */
START_TEST(test_early)
{
	d.hold_configure = true;
	lcp_open();
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	in(REQ);
	in("8021 01 06 000a 0306 0a080017");
	ck_assert_uint_eq(count(0x8057, 2), 0);
	double_answer_configure();
	fake_drain();
	ck_assert_uint_eq(count(0x8057, 2), 1);
	ck_assert_uint_eq(count(0x8021, 2), 1);
	ack(0x8057);
	ack(0x8021);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_uint_eq(d.desc.v4.len, 17);
}
END_TEST

/* Early or late, without a prefix it is a protocol that we do not speak. */
START_TEST(test_no_prefix)
{
	d.network = false;
	d.hold_configure = true;
	lcp_open();
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	in(REQ);
	ck_assert_uint_eq(count(0xc021, 8), 0);
	double_answer_configure();
	fake_drain();
	expect((unsigned)last(0xc021, 8), "ff03 c021 08 01 0014 8057 0105000e 010a 0123456789abcdef");
	in("8021 01 06 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	in(REQ);
	ck_assert_uint_eq(count(0xc021, 8), 2);
	in("0057 60000000 00003b40");
	in("0057 60000000 00003b40");
	ck_assert_uint_eq(count(0xc021, 8), 3);
	ck_assert_uint_eq(count(0x8057, 1) + count(0x8057, 2), 0);
}
END_TEST

/* No identifier, none of ours, one of the wrong length: told another, always the same. */
START_TEST(test_identifiers)
{
	uint8_t told_id[8];
	int i;

	bring_up();
	in("8057 01 01 000e 010a 0000000000000000");
	i = last(0x8057, 3);
	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(d.out[i].len, 4 + 14);
	ck_assert_mem_eq(d.out[i].p + 8, "\x01\x0a", 2);
	memcpy(told_id, d.out[i].p + 10, 8);
	ck_assert_uint_eq(told_id[0] & 2, 0);
	ck_assert(memcmp(told_id, "\0\0\0\0\0\0\0\0", 8) && memcmp(told_id, "\0\0\0\0\0\0\0\1", 8));
	reimport();
	in("8057 01 02 000e 010a 0000000000000001");
	ck_assert_mem_eq(d.out[last(0x8057, 3)].p + 10, told_id, 8);
	in("8057 01 03 000c 0108 000000000001");
	ck_assert_mem_eq(d.out[last(0x8057, 3)].p + 10, told_id, 8);
	in("8057 01 04 0004"); /* asks for nothing: once told that it may */
	ck_assert_mem_eq(d.out[last(0x8057, 3)].p + 10, told_id, 8);
	ck_assert_uint_eq(count(0x8057, 3), 4);
	in("8057 01 05 0012 010a 0000000000000005 0204 004f");
	expect((unsigned)last(0x8057, 4), "ff03 8057 04 05 0008 0204 004f");
	in("8057 01 06 0004");
	expect((unsigned)last(0x8057, 2), "ff03 8057 02 06 0004");
	ack(0x8057);
	ck_assert_str_eq(ip(&told()->remote), "none");
	ck_assert_str_eq(ip(&vd_session_find(SESSION)->link_local[0]), "fe80::1");
}
END_TEST

/* The client says what ours should be, or wants to hear none. */
START_TEST(test_ours_refused)
{
	bring_up();
	in(REQ);
	in("8057 03 01 000e 010a 0000000000000009");
	expect((unsigned)last(0x8057, 1), "ff03 8057 01 02 000e 010a 0000000000000009");
	reimport();
	in("8057 03 02 000e 010a 0123456789abcdef"); /* its own */
	expect((unsigned)last(0x8057, 1), "ff03 8057 01 03 000e 010a 0000000000000009");
	in("8057 04 03 000e 010a 0000000000000009");
	expect((unsigned)last(0x8057, 1), "ff03 8057 01 04 0004");
	ack(0x8057);
	ck_assert_str_eq(ip(&told()->local), "fe80::9");
}
END_TEST

/* However it ends, IPv4 goes on. */
START_TEST(test_v6_fails)
{
	bring_up();
	v6_open();
	in("8057 05 09 0004");
	expect((unsigned)last(0x8057, 6), "ff03 8057 06 09 0004");
	ck_assert(!told()->up);
	reimport();
	fake_advance(5000);
	ck_assert_uint_eq(d.desc.v6.len, 0);
	/* It may come again. */
	v6_open();
	ck_assert(told()->up);
	in("c021 08 09 000a 8057 01010004");
	ck_assert(!told()->up);
	fake_advance(3000);
	ck_assert(double_noted("IPV6CP ended"));
	/* Never agreeing ends it alone. */
	in(REQ);
	for (unsigned i = 0; i < PPP_MAX_REFUSALS + 2; i++) {
		in("8057 03 %02x 000e 010a %016x", (unsigned)d.out[last(0x8057, 1)].p[5], 0x100 + i);
		fake_advance(200);
	}
	ck_assert(double_noted("IPV6CP does not converge"));
	fake_advance(10000);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v4.len, 17);
	ck_assert_uint_eq(double_closed(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}
END_TEST

/* A client that answers nothing of ours: we give up, and IPv4 does not notice. */
START_TEST(test_v6_silent)
{
	bring_up();
	in(REQ);
	for (unsigned i = 0; i < 60; i++) {
		fake_advance(1000);
		in("c021 0a %02x 0008 11223344", (unsigned)(last(0xc021, 9) >= 0 ? d.out[last(0xc021, 9)].p[5] : 0));
		d.n_out = d.n_out > 200 ? 200 : d.n_out;
	}
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_STOPPED);
	ck_assert_uint_eq(count(0x8057, 1), PPP_MAX_CONFIGURE);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(double_closed(), 0);
}
END_TEST

/* And the reverse: IPCP rejected, ended, or not converging, with IPv6 open. */
START_TEST(test_v4_fails)
{
	lcp_open();
	login();
	v6_open();
	in("c021 08 09 000a 8021 01010004");
	ck_assert(double_noted("IPCP ended"));
	fake_advance(60000 - 1);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_uint_eq(d.desc.v4.len, 0);
	ck_assert_uint_eq(double_closed(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	reimport();
	/* With neither left the link has no use. */
	in("8057 05 09 0004");
	fake_advance(3000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), "IPV6CP ended, and there is nothing else");
}
END_TEST

START_TEST(test_v4_leaves)
{
	bring_up();
	v6_open();
	in("8021 05 09 0004");
	fake_advance(3000);
	ck_assert_uint_eq(d.desc.v4.len, 0);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	reimport();
	in("8021 01 0a 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_uint_eq(d.desc.v4.len, 17);
}
END_TEST

/* A pool of IPv6 alone: we begin, since nothing else can come, and IPCP is a protocol that we do not speak. */
START_TEST(test_only_v6)
{
	d.no_ipv4 = true;
	lcp_open();
	login();
	ck_assert_uint_eq(count(0x8057, 1), 1);
	ck_assert_uint_eq(count(0x8021, 1), 0);
	in("8021 01 06 000a 0306 00000000");
	expect((unsigned)last(0xc021, 8), "ff03 c021 08 01 0010 8021 0106000a 0306 00000000");
	v6_open();
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(d.desc.v4.len, 0);
}
END_TEST

/* IPv6 wants 1280 octets of a link. */
START_TEST(test_small_link)
{
	check_export = false; /* what was noted does not travel */
	teardown();
	setup_with("gateway: { name: vpn.example.com }\n" REALM, 1290);
	d.network = true;
	bring_up();
	in(REQ);
	ck_assert_uint_eq(count(0xc021, 8), 1);
	ck_assert_uint_eq(count(0x8057, 2), 0);
	ck_assert_uint_eq(d.leased6, 0);
	ck_assert(double_noted("no IPv6: the link carries"));
}
END_TEST

/* Every client pads its frames here, which changes nothing. */
static void setup_padded(void)
{
	setup6();
	padding = 300;
}

int main(void)
{
	Suite *s = suite_create("ppp ipv6");
	SRunner *r = srunner_create(s);
	int failed;

	for (unsigned padded = 0; padded < 2; padded++) {
		TCase *t = tcase_create(padded ? "padded" : "all");

		tcase_add_checked_fixture(t, padded ? setup_padded : setup6, teardown);
		tcase_add_test(t, test_joins);
		tcase_add_test(t, test_long_request);
		tcase_add_test(t, test_waits);
		tcase_add_test(t, test_waits_alone);
		tcase_add_test(t, test_gone_meanwhile);
		tcase_add_test(t, test_exhausted);
		tcase_add_test(t, test_returned);
		tcase_add_test(t, test_leaves_early);
		tcase_add_test(t, test_back_early);
		tcase_add_test(t, test_data_first);
		tcase_add_test(t, test_first);
		tcase_add_test(t, test_at_once);
		tcase_add_test(t, test_early);
		tcase_add_test(t, test_no_prefix);
		tcase_add_test(t, test_identifiers);
		tcase_add_test(t, test_ours_refused);
		tcase_add_test(t, test_v6_fails);
		tcase_add_test(t, test_v6_silent);
		tcase_add_test(t, test_v4_fails);
		tcase_add_test(t, test_v4_leaves);
		tcase_add_test(t, test_only_v6);
		tcase_add_test(t, test_small_link);
		suite_add_tcase(s, t);
	}
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
