/* Logins from the first message to the last, with and without NAT. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/lib/failures.h"

/* RFC 2759 section 9.2: the robot itself is right. */
START_TEST(test_robot)
{
	static const uint8_t want[24] = { 0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f, 0xaa, 0x39, 0x81, 0xcd,
		0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf };
	struct mschap m;
	uint8_t response[24];
	char text[43];

	memcpy(m.challenge, "\x5b\x5d\x7c\x7d\x7b\x3f\x2f\x3e\x3c\x2c\x60\x21\x32\x26\x26\x28", 16);
	memcpy(m.peer_challenge, "\x21\x40\x23\x24\x25\x5e\x26\x2a\x28\x29\x5f\x2b\x3a\x33\x7c\x7e", 16);
	mschap_respond(&m, "User", "clientPass", response);
	ck_assert_mem_eq(response, want, 24);
	mschap_authenticator(&m, "User", "clientPass", text);
	ck_assert_str_eq(text, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
}
END_TEST

static void full(bool nat, bool old, const char *user, const char *password, const char *psk, uint8_t address)
{
	struct robot r;

	gateway_start(GATEWAY_DEFAULT);
	gateway_empty();
	robot_init(&r, 0, user, password, nat);
	r.old = old;
	steps_login(&r, psk, address);
	const struct vd_peer_up *peer = fake_last(&vd_topic_peer_up);
	ck_assert_ptr_nonnull(peer);
	ck_assert_str_eq(peer->connection, old ? "devices" : "staff");
	const struct vd_session_up *up = fake_last(&vd_topic_session_up);
	ck_assert_str_eq(up->connection, old ? "devices" : "staff");
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_chan_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	for (unsigned step = 0; steps_next(&r, step); step++)
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	/* What is kept for late duplicates goes by itself. */
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

START_TEST(test_full)
{
	full(false, false, "alice", "alice-password", GATEWAY_PSK_STAFF, 11);
}
END_TEST

START_TEST(test_full_old)
{
	full(false, true, "bob", "bob-password", GATEWAY_PSK_DEVICES, 12);
}
END_TEST

START_TEST(test_full_nat)
{
	full(true, false, "carol", "carol-password", GATEWAY_PSK_STAFF, 0);
}
END_TEST

START_TEST(test_full_nat_old)
{
	full(true, true, "alice", "alice-password", GATEWAY_PSK_DEVICES, 11);
}
END_TEST

/* Each of the other methods, which its connection must name; the client Naks what it is asked for first. */
static const struct {
	int method;
	const char *named, *says; /* says: in auth_ok */
} methods[] = {
	{ ROBOT_CHAP, "ppp: { auth: [chap] }, ", "chap-md5" },
	{ ROBOT_CHAP, "ppp: { auth: [mschapv2, chap] }, ", "chap-md5" },
	{ ROBOT_PAP, "ppp: { auth: [pap] }, ", "pap" },
	{ ROBOT_PAP, "ppp: { auth: [mschapv2, chap, pap] }, ", "pap" },
	{ ROBOT_MSCHAPV2, "ppp: { auth: [pap, chap, mschapv2] }, ", "mschapv2" },
};

START_TEST(test_methods)
{
	static char yaml[1200];
	struct robot r;

	snprintf(yaml, sizeof(yaml), GATEWAY_YAML("10.8.0.10-10.8.0.20", "%s"), methods[_i].named);
	gateway_start(yaml);
	robot_init(&r, 0, "alice", "alice-password", _i % 2);
	r.method = methods[_i].method;
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	const struct vd_auth_ok *ok = fake_last(&vd_topic_auth_ok);
	ck_assert_str_eq(ok->method, methods[_i].says);
	ck_assert_str_eq(ok->user, "alice");
	steps_ping(&r);
	steps_hang_up(&r);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	/* The wrong password, and the words that the client's user may see. */
	robot_init(&r, 0, "alice", "bob-password", false);
	r.method = methods[_i].method;
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	for (unsigned n = 0; n < 500 && !r.refused; n++)
		if (!wire_step())
			wire_wait(10);
	ck_assert(r.refused && !r.authenticated);
	ck_assert_ptr_nonnull(strstr(r.message, "Authentication failed"));
	wire_wait(60000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, vd_fail_password.word);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 1);
	robot_free(&r);
	gateway_stop();
}
END_TEST

/* A client that knows nothing but what its connection does not name: the report says what to write where. */
START_TEST(test_method_not_named)
{
	static const char *const wants[] = { [ROBOT_CHAP] = "chap with MD5 (c22305)", [ROBOT_PAP] = "pap (c023)" };
	struct robot r;

	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", false);
	r.method = _i;
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	wire_wait(90000);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok) + fake_events(&vd_topic_auth_failed), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, ppp_fail_auth_method.word);
	ck_assert_str_eq(f->offered, wants[_i]);
	ck_assert_ptr_nonnull(strstr(f->remedy, _i == ROBOT_PAP ? "or write 'auth: [mschapv2, pap]' in connections.staff.ppp" :
		"or write 'auth: [mschapv2, chap]' in connections.staff.ppp"));
	ck_assert_uint_eq(gateway_leases(), 0);
	robot_free(&r);
	gateway_stop();
}
END_TEST

/* Same address outside and inside, same ports inside, same tunnel and session ids: only their SAs tell them apart. */
START_TEST(test_two_behind_one_nat)
{
	struct robot a, b;

	gateway_start(GATEWAY_DEFAULT);
	robot_init(&a, 0, "alice", "alice-password", true);
	robot_init(&b, 1, "carol", "carol-password", true);
	b.old = true;
	ck_assert(vd_ip_equal(&a.at.ip, &b.at.ip));
	ck_assert_uint_eq(a.tid, b.tid);
	ck_assert_uint_eq(a.sid, b.sid);
	steps_login(&a, GATEWAY_PSK_STAFF, 11);
	steps_login(&b, GATEWAY_PSK_DEVICES, 0);
	ck_assert(memcmp(a.address, b.address, 4) != 0);
	ck_assert_mem_eq(a.ike[0].c.id, b.ike[0].c.id, 8);
	ck_assert_uint_eq(vd_peer_count(), 2);
	ck_assert_uint_eq(vd_chan_count(), 2);
	ck_assert_uint_eq(vd_session_count(), 2);
	ck_assert_uint_eq(gateway_leases(), 2);
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = b.n_packets;

		steps_ping(&a);
		ck_assert_uint_eq(b.n_packets, n);
		n = a.n_packets;
		steps_ping(&b);
		ck_assert_uint_eq(a.n_packets, n);
		if (i == 0) {
			robot_quick(&a);
			robot_quick(&b);
			wire_pump();
			ck_assert(robot_quick_done(&a) && robot_quick_done(&b));
		} else if (i == 1) {
			robot_phase1(&a);
			robot_phase1(&b);
			wire_pump();
			ck_assert(robot_phase1_done(&a) && robot_phase1_done(&b));
			wire_wait(31000); /* so long the old one stays */
		}
	}
	steps_hang_up(&a);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	steps_ping(&b);
	steps_hang_up(&b);
	wire_wait(60000);
	gateway_empty();
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	robot_free(&a);
	robot_free(&b);
	gateway_stop();
}
END_TEST

/* Clients say SCCRQ right behind message 3 of quick mode: nothing is attached to the channel then, and still nobody waits
 * for it to be said again. */
START_TEST(test_sccrq_at_once)
{
	struct robot r;
	unsigned n = 0;

	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", _i);
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	while (r.ns == 0) {
		ck_assert_uint_lt(n++, 100);
		ck_assert(wire_step());
	}
	wire_burst();
	ck_assert_msg(robot_up(&r), "the first SCCRQ was lost");
	steps_ping(&r);
	steps_hang_up(&r);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_login");
	TCase *t = tcase_create("login");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_robot);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_full_old);
	tcase_add_test(t, test_full_nat);
	tcase_add_test(t, test_full_nat_old);
	tcase_add_loop_test(t, test_methods, 0, VD_ARRAY_SIZE(methods));
	tcase_add_loop_test(t, test_method_not_named, ROBOT_CHAP, ROBOT_PAP + 1);
	tcase_add_test(t, test_two_behind_one_nat);
	tcase_add_loop_test(t, test_sccrq_at_once, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
