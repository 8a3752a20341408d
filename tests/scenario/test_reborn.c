/* A gateway that ends without a word after every step and goes on from its exported state: the client notices nothing. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

static void reborn(const char *after)
{
	struct vd_error why = { 0 };

	ck_assert_msg(gateway_reborn(&why) == 0, "after %s: %s", after, why.text);
}

/* After every datagram of the login, whichever way it went; then after every step. */
static void whole(bool nat, bool old, bool numbers, const char *user, const char *password, const char *psk)
{
	struct robot r;
	unsigned births = 0;

	gateway_start(GATEWAY_DEFAULT);
	reborn("start");
	robot_init(&r, 0, user, password, nat);
	r.old = old;
	r.numbers = numbers;
	wire_add(&r);
	robot_dial(&r, psk);
	for (unsigned ms = 0; ms < 10000 && !robot_up(&r); ms += 100) {
		while (wire_step()) {
			char text[64];

			snprintf(text, sizeof(text), "datagram %u", births);
			reborn(text);
			births++;
		}
		wire_wait(100);
	}
	ck_assert(robot_up(&r));
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_gt(births, 20);
	for (unsigned step = 0;; step++) {
		reborn(step ? steps_name(step - 1) : "login");
		births++;
		if (!steps_next(&r, step))
			break;
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	}
	wire_wait(60000);
	gateway_empty();
	printf("%s%s: exported, made anew, imported %u times\n", user, nat ? " behind NAT" : "", births);
	fflush(stdout);
	robot_free(&r);
	gateway_stop();
}

START_TEST(test_reborn)
{
	whole(false, false, false, "alice", "alice-password", GATEWAY_PSK_STAFF);
}
END_TEST

START_TEST(test_reborn_nat)
{
	whole(true, true, false, "carol", "carol-password", GATEWAY_PSK_DEVICES);
}
END_TEST

/* Numbers of data messages go on where they were. */
START_TEST(test_reborn_numbered)
{
	whole(false, false, true, "alice", "alice-password", GATEWAY_PSK_STAFF);
}
END_TEST

/* A client with XAuth, whose user mistypes first: after every datagram, the questions under way included. Then both its SAs are
 * made anew. */
static void as_xauth(struct robot *r, bool (*done)(const struct robot *r), unsigned *births, const char *what)
{
	struct vd_error why = { 0 };
	unsigned busy = 0;
	char text[64];

	for (unsigned ms = 0; ms < 10000 && !done(r); ms += 100) {
		while (wire_step()) {
			snprintf(text, sizeof(text), "%s, datagram %u", what, *births);
			int rc = gateway_reborn(&why);
			ck_assert_msg(rc == 0 || busy++ < 4, "%s: %s", text, why.text);
			*births += rc == 0;
		}
		wire_wait(100);
	}
	ck_assert_msg(done(r), "%s: it does not come to its end", what);
}

static struct robot *mistypes;

static void typed(void)
{
	if (mistypes->xauth.asked > 0)
		mistypes->password = "alice-password";
}

START_TEST(test_reborn_xauth)
{
	struct robot r;
	unsigned births = 0;

	gateway_start(GATEWAY_XAUTH(""));
	robot_init(&r, 0, "alice", "guessed", _i);
	r.xauth.kind = ROBOT_APPLE;
	mistypes = &r;
	wire_add(&r);
	wire.delivered = typed;
	robot_dial(&r, GATEWAY_PSK_STAFF);
	as_xauth(&r, robot_up, &births, "login");
	ck_assert_uint_ge(r.xauth.asked, 2);
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&r);
	robot_quick(&r);
	as_xauth(&r, robot_quick_done, &births, "quick mode");
	robot_phase1(&r);
	as_xauth(&r, robot_phase1_done, &births, "phase 1");
	robot_quick(&r);
	as_xauth(&r, robot_quick_done, &births, "quick mode in it");
	reborn("all of it");
	steps_ping(&r);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_gt(births, 20);
	wire.delivered = NULL;
	steps_hang_up(&r);
	r.silent = true;
	fake_advance(12 * 60000);
	gateway_empty();
	printf("XAuth%s: exported, made anew, imported %u times\n", _i ? " behind NAT" : "", births);
	fflush(stdout);
	robot_free(&r);
	gateway_stop();
}
END_TEST

/* What cannot be exported says so, and can be a moment later. */
START_TEST(test_closing)
{
	struct vd_error why = { 0 };
	struct robot r;

	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", false);
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	/* The session is in its farewell: until its last acknowledgement came through the FIFO it is no stable state. */
	vd_session_close(vd_session_after(NULL)->id, "a test", false);
	static uint8_t room[1 << 20];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &why), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(why.text, "core.sessions"));
	/* Then the link says goodbye; after its patience it is over. */
	fake_drain();
	ck_assert_int_eq(gateway_reborn(&why), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(why.text, "l2tp"));
	wire_wait(3000);
	ck_assert(r.term_req && r.cdn);
	reborn("close");
	robot_stopccn(&r);
	wire_wait(1000);
	robot_delete_esp(&r, true);
	robot_delete_ike(&r);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_reborn");
	TCase *t = tcase_create("reborn");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, test_reborn);
	tcase_add_test(t, test_reborn_nat);
	tcase_add_test(t, test_reborn_numbered);
	tcase_add_loop_test(t, test_reborn_xauth, 0, 2);
	tcase_add_test(t, test_closing);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
