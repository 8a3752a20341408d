/* Guessing passwords: slowed down, then not looked at, and never at the cost of others. */
#include <check.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "core/session/guess.h"
#include "core/system/source.h"
#include "tests/unit/session_fixture.h"

static struct vd_ip attacker, home, office;

static void start(void)
{
	fx_start();
	attacker = vd_ip4(0x0a000001);
	home = vd_ip4(0x0b000001);
	office = vd_ip4(0x0c000001);
}

/* A thousand guesses in 20 s for one user, at the doubled realm: few are looked at, and there are few reports. */
START_TEST(a_thousand)
{
	unsigned asked = 0, done = 0;

	fx.auth = FX_REJECT;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t s = fx_new("staff");

		fx.trace[0] = 0;
		ck_assert_int_eq(fx_auth(s, "alice"), 0);
		fake_drain();
		asked += fx_count("ask-auth");
		fake_advance(20);
		if (i % 10 == 9) { /* whoever waits is answered: a no, like any other */
			fake_advance(4000);
			done++;
			ck_assert_int_eq(fx.verdict, VD_REJECT);
		}
		vd_session_close(s, "done", true);
		fake_drain();
	}
	ck_assert_uint_eq(done, 100);
	ck_assert_uint_le(asked, 10 + 420 / 10 + 1); /* 420 s passed */
	ck_assert_uint_ge(asked, 10);
	ck_assert_uint_gt(vd_counter("core.auth.guessing"), 900);
	ck_assert_uint_le(fake_events(&vd_topic_setup_failed), asked + 420 / 60 + 2);
}
END_TEST

/* The fourth wrong one in a row is answered later, the next later still. A right one is never held back. */
START_TEST(held)
{
	static const uint64_t want[] = { 0, 0, 0, 250, 500, 1000, 2000, 4000, 4000 };

	for (unsigned i = 0; i < VD_ARRAY_SIZE(want); i++)
		ck_assert_uint_eq(vd_guess_wrong(&home, 7), want[i]);
	fx.auth = FX_REJECT;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t s = fx_new("staff");
		unsigned before = fx.n_done;

		ck_assert_int_eq(fx_auth(s, "bob"), 0);
		fake_drain();
		ck_assert_uint_eq(fx.n_done, before + (i < 3));
		if (i == 3) {
			ck_assert_int_eq(fx_auth(s, "bob"), -EBUSY);
			fake_advance(249);
			ck_assert_uint_eq(fx.n_done, before);
			fake_advance(1);
			ck_assert_uint_eq(fx.n_done, before + 1);
		}
		vd_session_close(s, "done", true);
		fake_drain();
	}
	/* Closed while its answer is held back: nobody hears of it any more. */
	uint64_t s = fx_new("staff");
	unsigned before = fx.n_done;
	ck_assert_int_eq(fx_auth(s, "bob"), 0);
	fake_drain();
	vd_session_close(s, "gone", true);
	fake_advance(10000);
	ck_assert_uint_eq(fx.n_done, before);
	fx.auth = FX_ACCEPT;
	s = fx_new("staff");
	ck_assert_int_eq(fx_auth(s, "bob"), 0);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, before + 1);
	ck_assert_int_eq(fx.verdict, VD_ACCEPT);
}
END_TEST

/* The user is never locked out: not elsewhere, and not where the password was right within a day and others guess. */
/* Names that are only claimed, any number of them, push out nothing that is remembered. */
START_TEST(claimed_names)
{
	vd_guess_right(&office, 7);
	for (unsigned i = 0; i < 50; i++)
		vd_guess_wrong(&office, 1000 + i % 5);
	ck_assert_uint_gt(vd_guess_wait(&office, 9), 0);
	for (unsigned i = 0; i < 100000; i++)
		vd_guess_wait(&attacker, 5000 + i);
	ck_assert_uint_eq(vd_guess_wait(&office, 7), 0);
	ck_assert_uint_gt(vd_guess_wait(&office, 9), 0);
}
END_TEST

/* What some clients put before a user's name makes nobody else of it. */
START_TEST(domains)
{
	unsigned asked = 0;
	char name[32];

	fx.auth = FX_REJECT;
	for (unsigned i = 0; i < 40; i++) {
		uint64_t s = fx_new("staff");

		fx.trace[0] = 0;
		snprintf(name, sizeof(name), "x%u\\alice", i);
		ck_assert_int_eq(fx_auth(s, name), 0);
		fake_drain();
		asked += fx_count("ask-auth");
		fake_advance(20);
		vd_session_close(s, "done", true);
		fake_drain();
	}
	ck_assert_uint_le(asked, 11);
}
END_TEST

START_TEST(no_lock_out)
{
	vd_guess_right(&office, 7);
	for (unsigned i = 0; i < 500; i++) {
		vd_guess_wrong(&attacker, 7);  /* this user, from the attacker's */
		vd_guess_wrong(&office, 1000 + i); /* and others from the office */
	}
	ck_assert_uint_gt(vd_guess_wait(&attacker, 7), 0);
	ck_assert_uint_gt(vd_guess_wait(&attacker, 8), 0); /* nor any other from there */
	ck_assert_uint_eq(vd_guess_wait(&home, 7), 0);
	ck_assert_uint_eq(vd_guess_wait(&office, 7), 0);
	ck_assert_uint_gt(vd_guess_wait(&office, 9), 0); /* nobody here has shown this password yet */
	/* From many addresses, one each: strangers are held up, never refused; one who is known is not. */
	for (uint32_t i = 0; i < 100; i++) {
		struct vd_ip ip = vd_ip4(0x20000000u + i);
		uint64_t ms = vd_guess_wrong(&ip, 7);

		ck_assert_uint_eq(ms, 4000);
		ck_assert_uint_eq(vd_guess_wait(&ip, 7), 0);
	}
	ck_assert_uint_eq(vd_guess_wrong(&office, 7), 0);
	fake_advance(24u * 3600 * 1000);
	ck_assert_uint_eq(vd_guess_wait(&attacker, 7), 0); /* forgotten one by one */
}
END_TEST

/* An office of many: each may be wrong now and then. */
START_TEST(office_of_many)
{
	struct vd_source *s = vd_source_hold(&office);

	for (unsigned i = 0; i < 100; i++)
		vd_source_joined(s, i);
	for (unsigned i = 0; i < 150; i++) {
		ck_assert_uint_eq(vd_guess_wait(&office, 500 + i), 0);
		ck_assert_uint_eq(vd_guess_wrong(&office, 500 + i), 0);
	}
	for (unsigned i = 0; i < 100; i++)
		vd_source_left(s);
	vd_source_drop(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guess");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failures;

	tcase_add_checked_fixture(c, start, fx_stop);
	tcase_add_test(c, a_thousand);
	tcase_add_test(c, held);
	tcase_add_test(c, no_lock_out);
	tcase_add_test(c, claimed_names);
	tcase_add_test(c, domains);
	tcase_add_test(c, office_of_many);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
