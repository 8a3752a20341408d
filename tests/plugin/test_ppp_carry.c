/* A network protocol that opened, or ended, and of which the core could not tell the workers: the other one goes on. */
#include "test_ppp_client.h"

#define REQ6 "8057 01 05 000e 010a 0123456789abcdef"
#define REQ4 "8021 01 05 000a 0306 0a080017"

static uint64_t failed;

static void setup6(void)
{
	setup();
	fake_watch(&vd_topic_session_ipv6);
	d.network = true;
	failed = vd_counter("ppp_link.carry_failed");
}

static const struct vd_session_ipv6 *told(void)
{
	const struct vd_session_ipv6 *e = fake_last(&vd_topic_session_ipv6);

	ck_assert_ptr_nonnull(e);
	return e;
}

/* One octet for a compressed protocol behind the 16 of the lower layer; 0: the workers do not carry it. */
static void carried(unsigned v4, unsigned v6)
{
	ck_assert_uint_eq(d.desc.v4.len, v4);
	ck_assert_uint_eq(d.desc.v6.len, v6);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert(!link_now()->failing);
	ck_assert_uint_eq(double_closed(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}

/* The client's yes is what cannot be carried: no state is read again as long as that lasts, it would not be installed. */
static void ack_in_vain(uint16_t protocol)
{
	check_export = false;
	ack(protocol);
	check_export = true;
}

/* The client says yes to our Terminate-Request of this protocol, which was sent once. */
static void let_go(uint16_t protocol)
{
	ck_assert_uint_eq(count(protocol, 5), 1);
	in("%04x 06 %02x 0004", protocol, (unsigned)d.out[last(protocol, 5)].p[5]);
}

/* Whatever it is that fails, and with the state written and read at each step: IPv4 goes on, the network goes back. */
static void v6_ends(int no_add, int no_fib, const char *why)
{
	bring_up();
	in(REQ6);
	if (!no_fib) /* an import would bring the network already */
		reimport();
	d.no_add = no_add;
	d.no_fib = no_fib;
	ack_in_vain(0x8057);
	carried(17, 0);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_CLOSING);
	ck_assert_uint_eq(vd_counter("ppp_link.carry_failed"), failed + 1);
	ck_assert(double_noted(why));
	ck_assert_uint_eq(d.returned, 0);
	d.no_add = d.no_fib = 0;
	reimport();
	let_go(0x8057);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_CLOSED);
	ck_assert_uint_eq(d.returned, 1);
	ck_assert_uint_eq(d.leased6, 1);
	ck_assert_uint_eq(d.desc.source[1].len, 0);
	ck_assert_uint_eq(vd_session_find(SESSION)->lease6.address.family, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 0);
	carried(17, 0);
	reimport();
	/* It stays closed: the automaton says so, and no network is leased for it. */
	in(REQ6);
	ck_assert_uint_eq(count(0x8057, 6), 1);
	in("0057 60000000 00003b40");
	ck_assert_uint_eq(d.leased6, 1);
	fake_advance(20000);
	carried(17, 0);
	/* IPv4 may still begin anew, and is all that there is. */
	in("8021 01 0a 000a 0306 0a080017");
	ack(0x8021);
	carried(17, 0);
	in("8021 05 09 0004");
	fake_advance(3000);
	ck_assert_uint_eq(double_closed(), 1);
}

START_TEST(test_no_room)
{
	v6_ends(-ENOBUFS, 0, "IPv6 could not be added: No buffer space available");
	ck_assert_str_eq(double_why(), "the client ended IPCP");
}
END_TEST

START_TEST(test_no_memory)
{
	v6_ends(-ENOMEM, 0, "IPv6 could not be added: Cannot allocate memory");
}
END_TEST

/* Somebody behind another client has that network. */
START_TEST(test_no_route)
{
	v6_ends(0, -EEXIST, "IPv6 could not be added: File exists");
}
END_TEST

/* A client that does not answer our Terminate-Request: two of them, then it is over all the same. */
START_TEST(test_silent)
{
	bring_up();
	in(REQ6);
	d.no_add = -ENOBUFS;
	ack_in_vain(0x8057);
	d.no_add = 0;
	for (unsigned i = 0; i < 4; i++) {
		fake_advance(3000);
		in("c021 0a %02x 0008 11223344", (unsigned)(last(0xc021, 9) >= 0 ? d.out[last(0xc021, 9)].p[5] : 0));
	}
	ck_assert_uint_eq(count(0x8057, 5), PPP_MAX_TERMINATE);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_CLOSED);
	ck_assert_uint_eq(d.returned, 1);
	carried(17, 0);
}
END_TEST

/* There is no room for the end either: the session keeps the network until it ends itself. */
START_TEST(test_keeps)
{
	bring_up();
	in(REQ6);
	d.no_add = -ENOBUFS;
	ack_in_vain(0x8057);
	check_export = false;
	let_go(0x8057);
	check_export = true;
	ck_assert_uint_eq(d.returned, 0);
	ck_assert(double_noted("the network stays until the session ends: No buffer space available"));
	d.no_add = 0;
	carried(17, 0);
	reimport();
	carried(17, 0);
	ck_assert_uint_eq(d.desc.source[1].len, 64);
	in(REQ6);
	ck_assert_uint_eq(count(0x8057, 6), 1);
}
END_TEST

/* What opened while the session came up is told when it is up: the answer of the workers to the first is where it fails. */
START_TEST(test_late)
{
	d.hold_add = true;
	lcp_open();
	login();
	in(REQ6);
	in(REQ4);
	check_export = false;
	ack(0x8021);
	ack(0x8057);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_BRING_UP);
	d.no_add = -ENOBUFS;
	double_ack_add();
	fake_drain();
	check_export = true;
	carried(17, 0);
	ck_assert_uint_eq(vd_counter("ppp_link.carry_failed"), failed + 1);
	d.no_add = 0;
	reimport();
	let_go(0x8057);
	ck_assert_uint_eq(d.returned, 1);
	carried(17, 0);
	reimport();
}
END_TEST

/* The network is leased and cannot be brought to the session, which comes up with IPv4: IPv6 hears of it when it opens. */
START_TEST(test_network_later)
{
	for (unsigned works = 0; works < 2; works++) {
		if (works) {
			teardown();
			setup6();
		}
		lcp_open();
		login();
		in(REQ6);
		in(REQ4);
		d.no_fib = -EEXIST;
		ack_in_vain(0x8021);
		carried(17, 0);
		reimport(); /* nor in the next process */
		carried(17, 0);
		if (works)
			d.no_fib = 0;
		ack_in_vain(0x8057);
		carried(17, works ? 17 : 0);
		d.no_fib = 0;
		reimport();
		if (!works)
			let_go(0x8057);
		ck_assert_uint_eq(d.returned, !works);
		ck_assert_uint_eq(vd_counter("ppp_link.carry_failed"), failed + !works);
	}
}
END_TEST

/* IPv6 is up, and IPv4 opens and cannot be added. */
static void v4_in_vain(void)
{
	lcp_open();
	login();
	in(REQ6);
	ack(0x8057);
	in(REQ4);
	d.no_add = -ENOMEM;
	ack_in_vain(0x8021);
}

/* The reverse, with its address, which is the session's until it ends. */
START_TEST(test_v4)
{
	v4_in_vain();
	carried(0, 17);
	ck_assert_int_eq(link_now()->ipcp.state, PPP_CLOSING);
	ck_assert(double_noted("IPv4 could not be added: Cannot allocate memory"));
	d.no_add = 0;
	reimport();
	let_go(0x8021);
	ck_assert_int_eq(link_now()->ipcp.state, PPP_CLOSED);
	carried(0, 17);
	reimport();
	in(REQ4);
	ck_assert_uint_eq(count(0x8021, 6), 1);
	/* IPv6 begins anew, and nothing of IPv4 is added with it. */
	in("8057 01 06 000e 010a 0000000000000077");
	ack(0x8057);
	carried(0, 17);
	ck_assert(told()->up);
	ck_assert_uint_eq(vd_counter("ppp_link.carry_failed"), failed + 1);
	/* With neither left the link has no use, and says why. */
	in("8057 05 09 0004");
	fake_advance(3000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), "IPV6CP ended, and there is nothing else");
}
END_TEST

/* The client ends IPv6 while we wait for its yes to the end of IPv4. */
START_TEST(test_both_end)
{
	v4_in_vain();
	d.no_add = 0;
	in("8057 05 09 0004");
	ck_assert_uint_eq(double_closed(), 0);
	let_go(0x8021);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), "IPCP ended, and there is nothing else");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}
END_TEST

/* IPv6 goes while the session comes up with it, and then IPv4 cannot be added: there is none left. */
START_TEST(test_none_left)
{
	d.hold_add = true;
	lcp_open();
	login();
	in(REQ6);
	in(REQ4);
	check_export = false;
	ack(0x8057);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_BRING_UP);
	ack(0x8021);
	in("8057 05 09 0004");
	d.no_add = -ENOBUFS;
	double_ack_add();
	fake_drain();
	fake_advance(0);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), "IPv4 could not be added: No buffer space available");
	ck_assert_uint_eq(count(0x8021, 5), 0);
	ck_assert_uint_eq(count(0xc021, 5), 1);
}
END_TEST

/* A protocol that ended, and the workers cannot be told: they carry what nobody speaks. The network goes back later. */
START_TEST(test_leaves)
{
	bring_up();
	in(REQ6);
	ack(0x8057);
	carried(17, 17);
	d.no_add = -ENOBUFS;
	in("8057 05 09 0004");
	carried(17, 17);
	ck_assert(double_noted("IPv6 could not be taken away: No buffer space available"));
	ck_assert_uint_eq(vd_counter("ppp_link.carry_failed"), failed + 1);
	d.no_add = 0;
	reimport();
	fake_advance(3000);
	carried(17, 0);
	ck_assert(!told()->up);
	ck_assert_uint_eq(d.returned, 1);
	reimport();
}
END_TEST

/* It is back before that, with another identifier: the workers and who advertises routers hear of the new one. */
START_TEST(test_leaves_and_joins)
{
	bring_up();
	in(REQ6);
	ack(0x8057);
	d.no_add = -ENOBUFS;
	in("8057 01 06 000e 010a 0000000000000077");
	carried(17, 17);
	d.no_add = 0;
	reimport();
	ack(0x8057);
	carried(17, 17);
	ck_assert_uint_eq(d.desc.link_local[1].a[15], 0x77);
	ck_assert(told()->up);
	ck_assert_uint_eq(told()->remote.a[15], 0x77);
	ck_assert_uint_eq(vd_session_find(SESSION)->link_local[1].a[15], 0x77);
	ck_assert_uint_eq(d.returned, 0);
	/* And once more, the joining itself failing as well. */
	d.no_add = -ENOBUFS;
	in("8057 01 07 000e 010a 0000000000000099");
	ack_in_vain(0x8057);
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_CLOSING);
	d.no_add = 0;
	let_go(0x8057);
	ck_assert(!told()->up);
	ck_assert_uint_eq(d.returned, 1);
	carried(17, 0);
	reimport();
}
END_TEST

START_TEST(test_v4_leaves)
{
	bring_up();
	in(REQ6);
	ack(0x8057);
	in("8021 05 09 0004");
	d.no_add = -ENOBUFS;
	fake_advance(3000);
	carried(17, 17);
	ck_assert(double_noted("IPv4 could not be taken away: No buffer space available"));
	d.no_add = 0;
	reimport();
	in("8021 01 0a 000a 0306 0a080017");
	ack(0x8021);
	carried(17, 17);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp carry");
	TCase *t = tcase_create("all");
	SRunner *r = srunner_create(s);
	int n;

	tcase_add_checked_fixture(t, setup6, teardown);
	tcase_add_test(t, test_no_room);
	tcase_add_test(t, test_no_memory);
	tcase_add_test(t, test_no_route);
	tcase_add_test(t, test_silent);
	tcase_add_test(t, test_keeps);
	tcase_add_test(t, test_late);
	tcase_add_test(t, test_network_later);
	tcase_add_test(t, test_v4);
	tcase_add_test(t, test_both_end);
	tcase_add_test(t, test_none_left);
	tcase_add_test(t, test_leaves);
	tcase_add_test(t, test_leaves_and_joins);
	tcase_add_test(t, test_v4_leaves);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	n = srunner_ntests_failed(r);
	srunner_free(r);
	return n ? EXIT_FAILURE : EXIT_SUCCESS;
}
