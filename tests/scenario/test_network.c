/* Networks of IPv6 are for those who speak it: when one is leased, how often, and when it goes back to its pool. */
#include <viaduct/log.h>

#include "core/session/session.h"
#include "tests/scenario/six.h"

/* Four networks, of which the first is the gateway's; and two. */
#define FOUR "prefix: \"2001:db8:8::/62\", "
#define TWO "prefix: \"2001:db8:8::/63\", "

static const uint8_t far[16] = { 0x20, 1, 0xd, 0xb8, 0xff, 0xff, [15] = 9 }, inside[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 1, [15] = 0x77 };
static struct robot other;

static const struct vd_session *session_of(const char *user)
{
	const struct vd_session *s = NULL;

	while ((s = vd_session_after(s)) && strcmp(s->user, user) != 0)
		;
	ck_assert_ptr_nonnull(s);
	return s;
}

static unsigned noted(const char *user, const char *text)
{
	const struct vd_timeline *t = vd_session_timeline(session_of(user)->id);
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += strstr(t->v[i].text, text) != NULL;
	return n;
}

static void dial(struct robot *robot, unsigned index, const char *user, const char *password, bool ipv6)
{
	robot_init(robot, index, user, password, true);
	robot->ipv6 = ipv6;
	steps_login(robot, GATEWAY_PSK_STAFF, 0);
}

static void hang_up(struct robot *robot)
{
	steps_hang_up(robot);
	wire_wait(60000);
	robot_free(robot);
}

static void reborn(void)
{
	struct vd_error why = { 0 };

	ck_assert_int_eq(gateway_reborn(&why), 0);
	wire_pump();
}

/* A packet from inside the first network reaches the world, and one from there the client. */
static void carried(bool yes)
{
	unsigned out = wire.n_tun, in = r.n_packets6;
	uint8_t p[100];

	say(58, 64, inside, far, (const uint8_t[8]){ 128 }, 8);
	ck_assert_uint_eq(wire.n_tun, out + yes);
	vd_datapath_inject_tun(0, NULL, p, packet(p, 58, 64, far, inside, (const uint8_t[8]){ 129 }, 8));
	wire_pump();
	ck_assert_uint_eq(r.n_packets6, in + yes);
}

static void ended(void)
{
	gateway_empty();
	gateway_stop();
}

START_TEST(test_untouched)
{
	start(FOUR, "");
	dial(&r, 0, "carol", "carol-password", false);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(session_of("carol")->lease6.address.family, 0);
	wire_wait(60000);
	ck_assert_uint_eq(gateway_leases(), 1);
	steps_ping(&r);
	carried(false);
	hang_up(&r);
	ended();
}
END_TEST

START_TEST(test_leased)
{
	start(FOUR, "");
	dial(&r, 0, "carol", "carol-password", true);
	ck_assert(r.ipv6cp.ours && r.ipv6cp.theirs);
	ck_assert_uint_eq(gateway_leases(), 2);
	ck_assert_uint_eq(noted("carol", "network 2001:db8:8:1::/64 from pool"), 1);
	carried(true);
	reborn();
	ck_assert_uint_eq(gateway_leases(), 2);
	carried(true);
	hang_up(&r);
	ck_assert_uint_eq(gateway_leases(), 0);
	ended();
}
END_TEST

/* Who comes too late for a network has IPv4 all the same, and hears nothing more of IPv6. */
START_TEST(test_exhausted)
{
	uint64_t without = vd_counter("core.session.no_ipv6");

	start(TWO, "");
	dial(&other, 1, "alice", "alice-password", true);
	ck_assert(other.ipv6);
	dial(&r, 0, "carol", "carol-password", true);
	ck_assert(!r.ipv6); /* it was rejected */
	ck_assert_uint_eq(gateway_leases(), 3);
	ck_assert_uint_eq(vd_counter("core.session.no_ipv6"), without + 1);
	ck_assert_uint_eq(noted("carol", "no IPv6: pool office is exhausted: 1 of its 1 networks are in use"), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	steps_ping(&r);
	reborn();
	steps_ping(&r);
	/* Nor when it asks again, though there is one now: that is what a rejected protocol means. */
	hang_up(&other);
	robot_ipv6(&r);
	wire_pump();
	ck_assert(!r.ipv6);
	ck_assert_uint_eq(gateway_leases(), 1);
	steps_ping(&r);
	hang_up(&r);
	ended();
}
END_TEST

/* Long after IPCP, and once only, however often it is negotiated; over, the network is the pool's again. */
START_TEST(test_late)
{
	start(TWO, "");
	fake_watch(&vd_topic_lease_returned);
	dial(&r, 0, "carol", "carol-password", false);
	wire_wait(20000);
	robot_ipv6(&r);
	wire_pump();
	ck_assert(r.ipv6cp.ours && r.ipv6cp.theirs);
	ck_assert_uint_eq(gateway_leases(), 2);
	ck_assert_uint_eq(r.n_packets6, 1); /* advertised at once */
	carried(true);
	steps_ping(&r);
	for (unsigned i = 0; i < 3; i++) {
		r.ipv6cp.ours = r.ipv6cp.theirs = false;
		robot_ipv6(&r);
		wire_pump();
		ck_assert(r.ipv6cp.ours);
		carried(true);
		ck_assert_uint_eq(noted("carol", "network 2001:db8:8:1::/64 from pool"), i == 0); /* notes do not travel */
		reborn();
	}
	ck_assert_uint_eq(gateway_leases(), 2);
	/* The end of IPV6CP alone. */
	robot_cp_send(&r, 0x8057, 5, 200, "", 0);
	wire_wait(5000);
	ck_assert(r.term_ack);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(session_of("carol")->lease6.address.family, 0);
	ck_assert_uint_eq(noted("carol", "network 2001:db8:8:1::/64 given back"), 1);
	carried(false);
	steps_ping(&r);
	/* Its repeated Terminate-Request is acknowledged, not rejected: the answer to the first may have been lost. */
	r.term_ack = false;
	robot_cp_send(&r, 0x8057, 5, 200, "", 0);
	wire_pump();
	ck_assert(r.term_ack);
	reborn();
	/* Somebody else takes it, and uses it. */
	dial(&other, 1, "alice", "alice-password", true);
	ck_assert(other.ipv6);
	ck_assert_uint_eq(gateway_leases(), 3);
	carried(false);
	hang_up(&other);
	/* And it comes back. */
	r.ipv6cp = (struct robot_cp){ .id = r.ipv6cp.id };
	robot_ipv6(&r);
	wire_pump();
	ck_assert(r.ipv6cp.ours && r.ipv6cp.theirs);
	carried(true);
	r.term_ack = false;
	hang_up(&r);
	ended();
}
END_TEST

/* A client that begins and ends it forever: what it is given in the end it keeps. */
START_TEST(test_over_and_over)
{
	unsigned returned;

	start(FOUR, "");
	dial(&r, 0, "carol", "carol-password", false);
	fake_watch(&vd_topic_lease_returned);
	returned = fake_events(&vd_topic_lease_returned);
	for (unsigned i = 0; i < 12; i++) {
		r.ipv6cp = (struct robot_cp){ .id = r.ipv6cp.id };
		robot_ipv6(&r);
		wire_pump();
		ck_assert(r.ipv6cp.ours && r.ipv6cp.theirs);
		carried(true);
		robot_cp_send(&r, 0x8057, 5, (uint8_t)(100 + i), "", 0);
		wire_wait(5000);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_lease_returned), returned + 7);
	ck_assert_uint_eq(gateway_leases(), 2);
	r.term_ack = false;
	hang_up(&r);
	ended();
}
END_TEST

/* One user's own network is kept for him, and is leased when he speaks. */
START_TEST(test_dedicated)
{
	start(FOUR, "");
	dial(&r, 0, "dave", "dave-password", false);
	ck_assert_uint_eq(gateway_leases(), 1);
	robot_ipv6(&r);
	wire_pump();
	ck_assert_uint_eq(gateway_leases(), 2);
	ck_assert_uint_eq(noted("dave", "network 2001:db8:8:3::/64 from pool"), 1);
	hang_up(&r);
	ended();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_network");
	TCase *t = tcase_create("network");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_untouched);
	tcase_add_test(t, test_leased);
	tcase_add_test(t, test_exhausted);
	tcase_add_test(t, test_late);
	tcase_add_test(t, test_over_and_over);
	tcase_add_test(t, test_dedicated);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
