/* Whose tunnel it is: a client with XAuth whose user changes, or claims to be another one; and its message ids. */
#include <check.h>
#include <string.h>

#include "tests/scenario/xauth.h"

static void again_as(const char *user, const char *password)
{
	r.user = user;
	r.password = password;
	r.xauth.asked = 0;
	robot_phase1(&r);
	wire_pump();
}

/* A new phase 1, same endpoint and identity, another user: the tunnel stays whose it is, with all that belongs to it. */
START_TEST(test_another_user)
{
	start();
	logged_in();
	const struct vd_session *s = vd_session_after(NULL);
	uint64_t id = s->id;
	again_as("bob", "bob-password");
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert(r.xauth.refused && !r.xauth.passed);
	the_report(VD_FAIL_REFUSED, "the tunnel belongs to another user");
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_ptr_eq(vd_session_find(id), s);
	ck_assert_str_eq(s->user, "alice");
	ck_assert_uint_eq(s->state, VD_S_UP);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(r.deletes_ike, 1); /* the new IKE SA is gone, */
	ck_assert_uint_eq(vd_peer_count(), 1);
	steps_ping(&r); /* and her SAs are not */
	/* Nor is anything given to bob on that IKE SA: quick mode and mode config are not answered. */
	unsigned down = wire.count[WIRE_DOWN];
	robot_quick(&r);
	wire_pump();
	ck_assert(r.quick);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down);
	r.quick = false;
	steps_ping(&r);
	stop();
}
END_TEST

/* While he is asked, and when he was refused, what he says of her SAs is not believed. */
static void delete_hers(void)
{
	struct robot_sa in = r.in[0], out = r.out;

	robot_delete_esp(&r, true);
	r.in[0] = in;
	r.out = out;
	wire_pump();
}

static void initial_contact(void)
{
	struct msg m;
	uint8_t body[24] = { 0, 0, 0, 1, 1, 16, 24578 >> 8, 24578 & 255 };

	memcpy(body + 8, r.ike[0].c.ic, 8);
	memcpy(body + 16, r.ike[0].c.rc, 8);
	client_info(&r.ike[0].c, 0x50000001u, 11, body, sizeof(body), &m);
	robot_ike_send(&r, &m);
	wire_pump();
}

START_TEST(test_not_believed)
{
	start();
	logged_in();
	r.xauth.silent = true;
	again_as("bob", "bob-password");
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert(!r.xauth.refused);
	delete_hers();
	steps_ping(&r);
	initial_contact();
	steps_ping(&r);
	ck_assert_uint_eq(vd_counter("ike_v1.refused.before_xauth"), 2);
	/* Her own IKE SA is there: when his time is over hers is what the peer lives by. */
	wire_wait(125000);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* Her own client, which says so in message 5, began anew: nothing of before is left, whoever it is now. */
START_TEST(test_began_anew)
{
	start();
	logged_in();
	memset(r.address, 0, sizeof(r.address));
	r.out.live = false;
	r.user = "bob", r.password = "bob-password";
	robot_phase1(&r);
	r.ike[1].c.initial_contact = true;
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_pump();
	ck_assert_mem_eq(r.address, "\x0a\x08\0\x0c", 4);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* A wrong password on a new phase 1 ends nothing that is there, and is reported. */
START_TEST(test_wrong_again)
{
	start();
	logged_in();
	again_as("alice", "guessed");
	ck_assert(r.xauth.refused);
	the_report(VD_FAIL_PASSWORD, "wrong password");
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* With another spelling, as from a client that was set up with a domain: the account counts. */
START_TEST(test_same_user_otherwise)
{
	start();
	logged_in();
	again_as("corp\\alice", "alice-password");
	ck_assert(wire_until(robot_phase1_done, &r, 2000));
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	steps_ping(&r);
	stop();
}
END_TEST

/* Two phase 1 of one client at the same time, before either has a session: bob is let in while alice's address is still on
 * its way. One of both has the tunnel, and the other one nothing. */
static struct {
	uint64_t ticket;
	unsigned asked;
} admit;

static void on_admit(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	if (admit.asked++ == 0)
		admit.ticket = ask->ticket;
	else
		vd_reply(ask->ticket, VD_PASS, NULL, NULL);
}

START_TEST(test_two_at_once)
{
	start();
	memset(&admit, 0, sizeof(admit));
	ck_assert_int_eq(vd_provide(NULL, "admit", "test", on_admit, on_cancel, NULL), 0);
	dial();
	ck_assert_uint_eq(admit.asked, 1);
	r.user = _i ? "alice" : "bob", r.password = _i ? "alice-password" : "bob-password";
	robot_phase1(&r);
	wire_pump();
	ck_assert_uint_eq(admit.asked, 2);
	vd_reply(admit.ticket, VD_PASS, NULL, NULL);
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_wait(1000);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_str_eq(vd_session_after(NULL)->user, r.user);
	ck_assert_mem_eq(vd_session_after(NULL)->lease4.address.a, r.address, 4);
	steps_ping(&r);
	robot_quick(&r); /* the peer knows whose tunnel it is, too */
	ck_assert(wire_until(robot_quick_done, &r, 2000));
	steps_ping(&r);
	stop();
}
END_TEST

/* ---- message ids ---- */
static void ask_with(uint32_t mid, unsigned id, unsigned type)
{
	uint8_t p[8] = { 1, 0, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(type >> 8), (uint8_t)type, 0, 0 }, iv[16];
	struct msg m;

	client_cfg(&r.ike[0].c, mid, true, iv, p, sizeof(p), &m);
	robot_ike_send(&r, &m);
	wire_pump();
}

/* A question of its own is answered once; the same octets get the same answer, another question under that message id none. The
 * identifier within says nothing: it may be used again. */
START_TEST(test_message_ids)
{
	start();
	logged_in();
	unsigned down = wire.count[WIRE_DOWN];
	ask_with(0x31000001, 7, 1);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 1);
	ask_with(0x31000001, 7, 1);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 2);
	ck_assert_uint_eq(vd_counter("ike_v1.duplicate.transaction"), 1);
	ask_with(0x31000001, 8, 3);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 2);
	ck_assert_uint_eq(vd_counter("ike_v1.drop.transaction_replay"), 1);
	ask_with(0x31000002, 7, 3);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	ask_with(0x31000001, 7, 1); /* forgotten, and known as used: no answer */
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	ck_assert_uint_eq(vd_counter("ike_v1.drop.transaction_replay"), 2);
	ask_with(r.xauth.mid, 7, 1); /* one of ours */
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	steps_ping(&r);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_xauth_whose");
	TCase *t = tcase_create("whose");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_another_user);
	tcase_add_test(t, test_not_believed);
	tcase_add_test(t, test_began_anew);
	tcase_add_test(t, test_wrong_again);
	tcase_add_test(t, test_same_user_otherwise);
	tcase_add_loop_test(t, test_two_at_once, 0, 2);
	tcase_add_test(t, test_message_ids);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
