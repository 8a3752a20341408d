/* The wall clock is set while clients log in and are logged in: nobody notices. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>

#include "core/report/report.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define DAY_MS 86400000ll

static struct robot r;

/* What the gateway says, and when: with a clock that nobody sets, and with one that somebody does. */
struct said {
	uint64_t at;
	size_t len;
	enum vd_datapath_way way;
};
#define SAID_MAX 4096u
static struct said expected[SAID_MAX], *now = expected, told[SAID_MAX];
static unsigned n_expected, n_told, *n = &n_expected;

static void listen_in(void *arg, const struct vd_datapath_sent *sent)
{
	ck_assert_uint_lt(*n, SAID_MAX);
	now[(*n)++] = (struct said){ vd_now(), sent->len, sent->way };
	wire_sent(arg, sent);
}

/* ---- who sets the clock, and when ---- */
static int64_t step_ms;
static unsigned step_at, datagrams; /* after that datagram of the login; UINT_MAX: never */

static void set_clock(void)
{
	if (step_at != UINT32_MAX)
		fake_wall_step(step_ms);
}

static void delivered(void)
{
	if (datagrams++ == step_at)
		set_clock();
}

struct who {
	const char *name;
	const char *yaml;
	bool nat, dpd;
	int xauth;
};
static const struct who whos[] = {
	{ "L2TP", GATEWAY_DEFAULT, .nat = true },
	{ "L2TP, protocol 50", GATEWAY_DEFAULT },
	{ "XAuth", GATEWAY_XAUTH(""), .nat = true, .dpd = true, .xauth = ROBOT_APPLE },
};

/* Login, an hour and a quarter of session with rekeys, the goodbye. */
static void whole(const struct who *who)
{
	datagrams = 0;
	gateway_start(who->yaml);
	vd_datapath_capture(listen_in, NULL);
	robot_init(&r, 0, "alice", "alice-password", who->nat);
	r.xauth.kind = who->xauth;
	r.dpd = who->dpd;
	wire_add(&r);
	wire.delivered = delivered;
	robot_dial(&r, GATEWAY_PSK_STAFF);
	ck_assert(wire_until(robot_up, &r, 5000));
	wire_pump();
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	const struct vd_session *s = vd_session_after(NULL);
	uint64_t id = s->id, created = s->created;
	wire_wait(5 * 60000);
	set_clock();
	steps_ping(&r);
	robot_quick(&r);
	set_clock();
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	wire_wait(30 * 60000);
	set_clock();
	robot_phase1(&r);
	ck_assert(wire_until(robot_phase1_done, &r, 5000));
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	wire_wait(40 * 60000);
	set_clock();
	steps_ping(&r);
	/* Nothing has ended, and the session is as old as it is. */
	ck_assert_ptr_eq(vd_session_find(id), s);
	ck_assert_uint_eq(s->created, created);
	ck_assert_uint_eq(s->state, VD_S_UP);
	/* Of XAuth again, one that was never up, with a peer of its own. */
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), who->xauth ? 1 : 0);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), who->xauth ? 1 : 0);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	wire.delivered = NULL;
	steps_hang_up(&r);
	r.silent = true;
	fake_advance(12 * 60000);
	wire_pump();
	set_clock();
	fake_advance(8 * 60 * 60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

static void as_ever(const struct who *who, unsigned when)
{
	now = told, n = &n_told, n_told = 0;
	step_at = when;
	whole(who);
	ck_assert_msg(n_told == n_expected, "%s: %u datagrams, without %u", who->name, n_told, n_expected);
	for (unsigned i = 0; i < n_told; i++)
		ck_assert_msg(told[i].at == expected[i].at && told[i].len == expected[i].len && told[i].way == expected[i].way,
			"%s, set after datagram %u: number %u is of %zu octets at %llu ms, without %zu at %llu ms", who->name, when, i,
			told[i].len, (unsigned long long)told[i].at, expected[i].len, (unsigned long long)expected[i].at);
}

/* A day forward or back after each datagram of the login in turn, and several times more while it is up: to the millisecond and
 * the octet the gateway says what it says otherwise. */
START_TEST(test_set)
{
	const struct who *who = &whos[_i];
	unsigned login;

	now = expected, n = &n_expected, n_expected = 0;
	step_at = UINT32_MAX;
	whole(who);
	ck_assert_uint_gt(n_expected, 100);
	login = who->xauth ? 16 : 40;
	ck_assert_uint_gt(datagrams, login);
	for (unsigned i = 0; i < login; i += 3) {
		step_ms = i % 2 ? DAY_MS : -DAY_MS;
		as_ever(who, i);
	}
	/* To the years of the first clocks, and to some that nobody means. */
	step_ms = -1600000000000 / 8;
	as_ever(who, 2);
	step_ms = 400 * 365 * DAY_MS;
	as_ever(who, 2);
}
END_TEST

/* ---- what is waited for ---- */
/* The time of a user who has to type is neither over at once nor for ever. */
START_TEST(test_patience)
{
	gateway_start(GATEWAY_XAUTH(""));
	robot_init(&r, 0, "alice", "alice-password", true);
	r.xauth.kind = ROBOT_APPLE;
	r.xauth.silent = true;
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	wire_pump();
	fake_wall_step(_i ? DAY_MS : -DAY_MS);
	wire_wait(119000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	wire_wait(2000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_uint_eq(vd_session_count(), 0);
	r.silent = true;
	fake_advance(1200000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}
END_TEST

/* ---- what is shown ---- */
static void fail_once(unsigned index)
{
	static struct robot robots[4];
	struct robot *one = &robots[index];

	robot_init(one, index, "alice", "guessed", false);
	wire_add(one);
	robot_dial(one, GATEWAY_PSK_STAFF);
	wire_wait(5000);
	robot_delete_esp(one, true);
	robot_delete_ike(one);
	wire_wait(1000);
	one->silent = true;
	robot_free(one);
}

/* Reports have the time of the clock as it is now, the newest leads whatever it says, and none was first after it was last. */
START_TEST(test_reports)
{
	gateway_start(GATEWAY_DEFAULT);
	fail_once(0);
	fail_once(1);
	fake_wall_step(-DAY_MS);
	uint64_t back = vd_wall();
	for (unsigned i = 0; i < 2; i++) {
		robot_init(&r, 2, "alice", "guessed", false);
		wire_add(&r);
		robot_dial(&r, GATEWAY_PSK_STAFF);
		wire_wait(5000);
		robot_delete_esp(&r, true);
		robot_delete_ike(&r);
		wire_wait(1000);
		robot_free(&r);
		wire.n_robots--;
		if (i == 0)
			fake_wall_step(-DAY_MS);
	}
	const struct vd_remembered *newest = vd_report_after(NULL);
	ck_assert_ptr_nonnull(newest);
	ck_assert_uint_eq(newest->count, 2);
	ck_assert_uint_lt(newest->last, back);
	for (const struct vd_remembered *m = newest; m; m = vd_report_after(m))
		ck_assert_msg(m->first <= m->last, "it is said to be %llu s older than itself",
			(unsigned long long)(m->first - m->last) / 1000);
	ck_assert_uint_gt(vd_report_after(newest)->last, back);
	fake_advance(12 * 60000);
	gateway_empty();
	gateway_stop();
}
END_TEST

/* "Logged in since" is told in the time of today's clock: so long ago as it is. */
START_TEST(test_since)
{
	static struct robot other;
	char want[32];
	struct tm tm;

	gateway_start(GATEWAY_YAML("10.8.0.10-10.8.0.20", "second_login: refuse, "));
	robot_init(&r, 0, "alice", "alice-password", false);
	robot_init(&other, 1, "alice", "alice-password", false);
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	wire_wait(60000);
	fake_wall_step(_i ? DAY_MS : -DAY_MS);
	const struct vd_session *s = vd_session_after(NULL);
	time_t since = (time_t)((vd_wall() - (vd_now() - s->created)) / 1000);
	wire_add(&other);
	robot_dial(&other, GATEWAY_PSK_STAFF);
	wire_wait(3000);
	ck_assert(!robot_up(&other));
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(f);
	strftime(want, sizeof(want), "%Y-%m-%d %H:%M:%S", localtime_r(&since, &tm));
	ck_assert_msg(strstr(f->text, want) != NULL, "%s, not since %s", f->text, want);
	steps_hang_up(&r);
	robot_delete_esp(&other, true);
	robot_delete_ike(&other);
	wire_pump();
	r.silent = other.silent = true;
	fake_advance(12 * 60000);
	gateway_empty();
	robot_free(&r);
	robot_free(&other);
	gateway_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_clock");
	TCase *t = tcase_create("clock");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, test_set, 0, (int)VD_ARRAY_SIZE(whos));
	tcase_add_loop_test(t, test_patience, 0, 2);
	tcase_add_test(t, test_reports);
	tcase_add_loop_test(t, test_since, 0, 2);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
