/* Logins that are refused or replaced, and the ends that the client did not choose. */
#include <check.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/lib/failures.h"

static struct robot a, b;

static void start(const char *yaml, const char *user, const char *password, bool nat)
{
	gateway_start(yaml);
	robot_init(&a, 0, "alice", "alice-password", nat);
	robot_init(&b, 1, user, password, nat);
}

static void stop(void)
{
	robot_free(&a);
	robot_free(&b);
	gateway_stop();
}

static void everything_ends(void)
{
	a.silent = b.silent = true;
	/* No IKE SA lives longer than the 8 hours that the client offered. */
	for (unsigned minutes = 0; minutes < 9 * 60; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	stop();
}

static void try_login(struct robot *r, const char *psk, uint64_t ms)
{
	wire_add(r);
	robot_dial(r, psk);
	wire_wait(ms);
	ck_assert(!robot_up(r));
}

START_TEST(test_replace)
{
	start(GATEWAY_DEFAULT, "alice", "alice-password", _i);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	steps_login(&b, GATEWAY_PSK_STAFF, 11);
	wire_wait(2000);
	ck_assert(a.term_req && a.cdn);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	unsigned n = a.n_packets;
	steps_ping(&b);
	ck_assert_uint_eq(a.n_packets, n);
	everything_ends();
}
END_TEST

START_TEST(test_refuse)
{
	start(GATEWAY_YAML("10.8.0.10-10.8.0.20", "second_login: refuse, "), "alice", "alice-password", false);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	try_login(&b, GATEWAY_PSK_STAFF, 5000);
	ck_assert(b.term_req);
	const struct vd_setup_failed *failed = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(failed);
	ck_assert_str_eq(failed->stage, "admit");
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	steps_ping(&a);
	everything_ends();
}
END_TEST

/* A wrong password and an unknown user get the same answer. */
START_TEST(test_credentials)
{
	start(GATEWAY_DEFAULT, _i ? "mallory" : "bob", "guessed", false);
	try_login(&b, GATEWAY_PSK_STAFF, 5000);
	ck_assert(b.refused && b.term_req && !b.authenticated);
	ck_assert_mem_eq(b.message, "E=691 R=0 ", 10);
	ck_assert_ptr_nonnull(strstr(b.message, " V=3 M=Authentication failed"));
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	const struct vd_auth_failed *failed = fake_last(&vd_topic_auth_failed);
	ck_assert_str_eq(failed->user, b.user);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 0);
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(gateway_leases(), 0);
	everything_ends();
}
END_TEST

START_TEST(test_pool_full)
{
	start(GATEWAY_YAML("10.8.0.11-10.8.0.11", ""), "carol", "carol-password", false);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	try_login(&b, GATEWAY_PSK_STAFF, 5000);
	ck_assert(b.authenticated && b.term_req);
	const struct vd_setup_failed *failed = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(failed);
	ck_assert_str_eq(failed->stage, "address");
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&a);
	everything_ends();
}
END_TEST

START_TEST(test_wrong_psk)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password", _i);
	try_login(&b, "not the key", 10000);
	ck_assert_int_eq(b.ike[0].state, ROBOT_MM6);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *failed = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(failed->stage, "phase1");
	ck_assert_ptr_nonnull(strstr(failed->text, "wrong PSK"));
	ck_assert_uint_eq(vd_peer_count(), 0);
	everything_ends();
}
END_TEST

START_TEST(test_spoofed)
{
	static const uint8_t other[] = { 192, 0, 2, 1 };

	start(GATEWAY_DEFAULT, "bob", "bob-password", true);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	steps_login(&b, GATEWAY_PSK_STAFF, 12);
	steps_ping(&a);
	unsigned n = wire.n_tun;
	robot_ping(&a, b.address, 1000);
	robot_ping(&a, other, 1001);
	wire_pump();
	ck_assert_uint_eq(wire.n_tun, n);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOURCE), 2);
	struct vd_session_counters c;
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s)) {
		ck_assert_int_eq(vd_datapath_counted(s->id, &c), 0);
		ck_assert_uint_eq(c.drops[VD_DROP_SOURCE], strcmp(s->user, "alice") == 0 ? 2 : 0);
		ck_assert_uint_eq(c.packets_in, strcmp(s->user, "alice") == 0 ? 1 : 0);
	}
	steps_ping(&b);
	everything_ends();
}
END_TEST

START_TEST(test_admin)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password", _i);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	vd_session_close(vd_session_after(NULL)->id, "closed by the administrator", false);
	/* Her Terminate-Ack is heard although the session is gone: no second request, and the CDN follows at once. */
	wire_wait(500);
	ck_assert_uint_eq(a.term_req, 1);
	ck_assert(a.cdn);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	const struct vd_session_down *down = fake_last(&vd_topic_session_down);
	ck_assert_str_eq(down->reason, "closed by the administrator");
	ck_assert_uint_eq(gateway_leases(), 0);
	ck_assert(!a.stopccn);
	wire_wait(65000); /* a tunnel without a call is closed after a minute */
	ck_assert(a.stopccn);
	everything_ends();
}
END_TEST

/* Nothing is heard any more: four LCP echoes, 30 s apart, give up the session, once two intervals showed that nothing came;
 * the peer goes with its IKE SA. */
START_TEST(test_silent)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password", _i);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	steps_ping(&a);
	a.silent = true;
	wire_wait(90000);
	ck_assert_uint_eq(vd_session_count(), 1);
	wire_wait(7 * 30000 + 10000 - 90000);
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(gateway_leases(), 0);
	/* Its peer, channel and SAs do not stay for their lifetimes. */
	wire_wait(11 * 60000);
	gateway_empty();
	stop();
}
END_TEST

/* A client takes its IPsec down and up below its L2TP and PPP, or loses it with an INITIAL-CONTACT: the gateway has ended its
 * session by then. The first packet of the old one is answered, and the report says what came. */
START_TEST(test_below_living)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password", _i);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	steps_ping(&a);
	robot_delete_esp(&a, true);
	robot_delete_ike(&a);
	wire_wait(1000);
	ck_assert_uint_eq(vd_session_count(), 0);
	robot_free(&a);
	robot_dial(&a, GATEWAY_PSK_STAFF);
	wire_wait(3000);
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert(!a.stopccn);
	unsigned n = wire.n_tun;
	robot_ping(&a, a.address, 7);
	wire_wait(500);
	ck_assert(a.stopccn);
	ck_assert_uint_eq(wire.n_tun, n);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *failed = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(failed->kind, l2tp_fail_stray.word);
	ck_assert_ptr_nonnull(strstr(failed->text, "data came for session "));
	wire_wait(40000); /* acknowledged: no repetition, and nobody is said to be silent */
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	everything_ends();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_ends");
	TCase *t = tcase_create("ends");

	tcase_set_timeout(t, 200);
	tcase_add_loop_test(t, test_replace, 0, 2);
	tcase_add_test(t, test_refuse);
	tcase_add_loop_test(t, test_credentials, 0, 2);
	tcase_add_test(t, test_pool_full);
	tcase_add_loop_test(t, test_wrong_psk, 0, 2);
	tcase_add_test(t, test_spoofed);
	tcase_add_loop_test(t, test_admin, 0, 2);
	tcase_add_loop_test(t, test_silent, 0, 2);
	tcase_add_loop_test(t, test_below_living, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
