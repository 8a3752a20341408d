/* The pool, with and without threads, and the budgets. */
#include "core/loop.h"
#include "core/system/source.h"
#include "core/system/work.h"
#include "tests/lib/fake.h"

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char order[1024];
static size_t n_order;
static sem_t running, may_go;

struct item {
	struct vd_job job;
	char name;
	int result;
	unsigned done, orphaned;
	struct item *cancel; /* in done */
};

static int run(struct vd_job *job)
{
	return VD_CONTAINER_OF(job, struct item, job)->result;
}

static int run_slow(struct vd_job *job)
{
	sem_post(&running);
	while (sem_wait(&may_go) < 0)
		;
	return VD_CONTAINER_OF(job, struct item, job)->result;
}

static void done(struct vd_job *job, int result)
{
	struct item *item = VD_CONTAINER_OF(job, struct item, job);

	item->done++;
	item->result = result;
	if (n_order < sizeof(order) - 1)
		order[n_order++] = item->name;
	if (item->cancel)
		ck_assert(vd_work_cancel(&item->cancel->job, NULL));
}

static void orphaned(struct vd_job *job)
{
	VD_CONTAINER_OF(job, struct item, job)->orphaned++;
}

static void setup(void)
{
	fake_init(1);
	n_order = 0;
	order[0] = '\0';
}

static void teardown(void)
{
	vd_work_stop();
	fake_fini();
}

static struct item item_of(char name, int result)
{
	return (struct item){ .job = { .run = run, .done = done }, .name = name, .result = result };
}

START_TEST(inline_order)
{
	struct item a = item_of('a', 1), b = item_of('b', -EINVAL), c = item_of('c', 3);

	ck_assert_int_eq(vd_work_submit(&a.job, VD_WORK_NEW), 0);
	ck_assert_int_eq(vd_work_submit(&b.job, VD_WORK_ESTABLISHED), 0);
	ck_assert_int_eq(vd_work_submit(&c.job, VD_WORK_NEW), 0);
	ck_assert_int_eq(vd_work_submit(&c.job, VD_WORK_NEW), -EBUSY);
	ck_assert_uint_eq(n_order, 0); /* never at once */
	fake_drain();
	order[n_order] = '\0';
	ck_assert_str_eq(order, "bac");
	ck_assert_int_eq(b.result, -EINVAL);
	ck_assert_int_eq(c.result, 3);
	/* and again: a job that was done is free */
	ck_assert_int_eq(vd_work_submit(&a.job, VD_WORK_NEW), 0);
	fake_drain();
	ck_assert_uint_eq(a.done, 2);
}
END_TEST

/* Whatever those ask for who proved themselves, new ones get one turn in four. */
START_TEST(fair)
{
	struct item old[12], new[4];

	for (unsigned i = 0; i < 12; i++) {
		old[i] = item_of('e', 0);
		vd_work_submit(&old[i].job, VD_WORK_ESTABLISHED);
	}
	for (unsigned i = 0; i < 4; i++) {
		new[i] = item_of('n', 0);
		vd_work_submit(&new[i].job, VD_WORK_NEW);
	}
	fake_drain();
	order[n_order] = '\0';
	ck_assert_str_eq(order, "eeeneeeneeeneeen");
	/* Turns that nobody waited through do not count. */
	n_order = 0;
	for (unsigned i = 0; i < 12; i++)
		vd_work_submit(&old[i].job, VD_WORK_ESTABLISHED);
	fake_drain();
	n_order = 0;
	vd_work_submit(&new[0].job, VD_WORK_NEW);
	for (unsigned i = 0; i < 5; i++)
		vd_work_submit(&old[i].job, VD_WORK_ESTABLISHED);
	fake_drain();
	order[n_order] = '\0';
	ck_assert_str_eq(order, "eeenee");
}
END_TEST

START_TEST(inline_cancel)
{
	struct item a = item_of('a', 0), b = item_of('b', 0), c = item_of('c', 0);

	ck_assert(vd_work_cancel(&a.job, orphaned)); /* never submitted */
	vd_work_submit(&a.job, VD_WORK_NEW);
	vd_work_submit(&b.job, VD_WORK_NEW);
	vd_work_submit(&c.job, VD_WORK_NEW);
	ck_assert(vd_work_cancel(&b.job, orphaned));
	a.cancel = &c;
	fake_drain();
	order[n_order] = '\0';
	ck_assert_str_eq(order, "a");
	ck_assert_uint_eq(b.done + c.done + b.orphaned + c.orphaned, 0);
}
END_TEST

START_TEST(bounded)
{
	static struct item items[258];

	for (unsigned i = 0; i < 258; i++)
		items[i] = item_of('x', 0);
	for (unsigned i = 0; i < 256; i++)
		ck_assert_int_eq(vd_work_submit(&items[i].job, VD_WORK_NEW), 0);
	ck_assert_int_eq(vd_work_submit(&items[256].job, VD_WORK_NEW), -EAGAIN);
	ck_assert_int_eq(vd_work_submit(&items[257].job, VD_WORK_ESTABLISHED), 0); /* proved itself: not refused */
	ck_assert(vd_work_cancel(&items[3].job, NULL));
	ck_assert_int_eq(vd_work_submit(&items[256].job, VD_WORK_NEW), 0);
	fake_drain();
	ck_assert_uint_eq(items[256].done, 1);
	ck_assert_uint_eq(items[257].done, 1);
	ck_assert_uint_eq(items[3].done, 0);
}
END_TEST

START_TEST(stop_ends_what_waits)
{
	struct item a = item_of('a', 0);

	vd_work_submit(&a.job, VD_WORK_NEW);
	vd_work_stop();
	ck_assert_uint_eq(a.done, 1);
	ck_assert_int_eq(a.result, -ECANCELED);
	fake_drain();
	ck_assert_uint_eq(a.done, 1);
}
END_TEST

/* Real threads and the real loop. */
static void threads_setup(void)
{
	ck_assert_int_eq(vd_loop_ev_init(), 0);
	sem_init(&running, 0, 0);
	sem_init(&may_go, 0, 0);
	n_order = 0;
}

static void threads_teardown(void)
{
	vd_work_stop();
	vd_loop_ev_fini();
}

START_TEST(threads_do_the_work)
{
	static struct item items[100];
	unsigned total = 0;

	ck_assert_int_eq(vd_work_start(2), 0);
	ck_assert_int_eq(vd_work_start(2), -EBUSY);
	for (unsigned i = 0; i < 100; i++) {
		items[i] = item_of('x', (int)i);
		ck_assert_int_eq(vd_work_submit(&items[i].job, i % 2 ? VD_WORK_NEW : VD_WORK_ESTABLISHED), 0);
	}
	for (unsigned turn = 0; total < 100 && turn < 1000; turn++) {
		vd_loop_ev_once(1000);
		total = 0;
		for (unsigned i = 0; i < 100; i++)
			total += items[i].done;
	}
	ck_assert_uint_eq(total, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(items[i].result, (int)i);
}
END_TEST

START_TEST(threads_priority_and_orphan)
{
	struct item slow = item_of('s', 0), a = item_of('a', 0), b = item_of('b', 0);

	slow.job.run = run_slow;
	ck_assert_int_eq(vd_work_start(1), 0);
	ck_assert_int_eq(vd_work_submit(&slow.job, VD_WORK_NEW), 0);
	sem_wait(&running);
	ck_assert_int_eq(vd_work_submit(&a.job, VD_WORK_NEW), 0);
	ck_assert_int_eq(vd_work_submit(&b.job, VD_WORK_ESTABLISHED), 0);
	ck_assert(!vd_work_cancel(&slow.job, orphaned)); /* a thread has it */
	sem_post(&may_go);
	for (unsigned turn = 0; n_order < 2 && turn < 1000; turn++)
		vd_loop_ev_once(1000);
	order[n_order] = '\0';
	ck_assert_str_eq(order, "ba");
	ck_assert_uint_eq(slow.orphaned, 1);
	ck_assert_uint_eq(slow.done, 0);
}
END_TEST

START_TEST(threads_stop)
{
	struct item slow = item_of('s', 7), a = item_of('a', 0);

	slow.job.run = run_slow;
	ck_assert_int_eq(vd_work_start(1), 0);
	vd_work_submit(&slow.job, VD_WORK_NEW);
	sem_wait(&running);
	vd_work_submit(&a.job, VD_WORK_NEW);
	sem_post(&may_go);
	vd_work_stop();
	ck_assert_uint_eq(slow.done, 1);
	ck_assert_int_eq(slow.result, 7);
	ck_assert_uint_eq(a.done, 1);
}
END_TEST

/* ---- lanes ---- */
struct step {
	struct item item;
	struct vd_lane *lane;
	struct item *more; /* submitted when this one is done */
};

static void step_done(struct vd_job *job, int result)
{
	struct step *step = VD_CONTAINER_OF(job, struct step, item.job);

	done(job, result);
	if (step->more)
		ck_assert_int_eq(vd_lane_submit(step->lane, &step->more->job), 0);
}

/* In order, one at a time, and what is waiting when the lane goes is done. */
static void use_lane(bool drain)
{
	struct item a = item_of('a', 1), c = item_of('c', 3), d = item_of('d', 4);
	struct step b = { .item = item_of('b', -EIO), .more = &d };
	struct vd_lane *lane = vd_lane_new("test");

	ck_assert_ptr_nonnull(lane);
	b.item.job.done = step_done;
	b.lane = lane;
	ck_assert_int_eq(vd_lane_submit(lane, &a.job), 0);
	ck_assert_int_eq(vd_lane_submit(lane, &b.item.job), 0);
	ck_assert_int_eq(vd_lane_submit(lane, &b.item.job), -EBUSY);
	ck_assert_int_eq(vd_lane_submit(lane, &c.job), 0);
	ck_assert_uint_eq(n_order, 0); /* never at once */
	for (unsigned turn = 0; drain && n_order < 4 && turn < 1000; turn++)
		if (vd_loop_ops()->fake)
			fake_drain();
		else
			vd_loop_ev_once(1000);
	vd_lane_free(lane);
	if (vd_loop_ops()->fake)
		fake_drain(); /* what was deferred for the lane finds it gone */
	order[n_order] = '\0';
	ck_assert_str_eq(order, "abcd");
	ck_assert_int_eq(b.item.result, -EIO);
	ck_assert_int_eq(d.result, 4);
}

START_TEST(lane_order)
{
	use_lane(true);
}
END_TEST

START_TEST(lane_ends)
{
	use_lane(false);
}
END_TEST

/* A lane that hangs holds up nobody else. */
START_TEST(lane_apart)
{
	struct item slow = item_of('s', 0), a = item_of('a', 0);
	struct vd_lane *lane = vd_lane_new("test");

	slow.job.run = run_slow;
	ck_assert_int_eq(vd_work_start(1), 0);
	ck_assert_int_eq(vd_lane_submit(lane, &slow.job), 0);
	sem_wait(&running);
	ck_assert_int_eq(vd_work_submit(&a.job, VD_WORK_NEW), 0);
	for (unsigned turn = 0; !a.done && turn < 1000; turn++)
		vd_loop_ev_once(1000);
	ck_assert_uint_eq(a.done, 1);
	ck_assert_uint_eq(slow.done, 0);
	sem_post(&may_go);
	vd_lane_free(lane);
	ck_assert_uint_eq(slow.done, 1);
}
END_TEST

/* What is queued holds up the end for a bounded time: what has not begun by then is told so. */
static int run_a_tenth(struct vd_job *job)
{
	usleep(100000);
	return run(job);
}

START_TEST(lane_end_is_bounded)
{
	static struct item items[100];
	struct vd_lane *lane = vd_lane_new("test");
	struct timespec began, ended;
	unsigned ran = 0;

	for (unsigned i = 0; i < 100; i++) {
		items[i] = item_of('x', 5);
		items[i].job.run = run_a_tenth;
		ck_assert_int_eq(vd_lane_submit(lane, &items[i].job), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &began);
	vd_lane_free(lane);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(items[i].done, 1);
		ck_assert_int_eq(items[i].result, i < ran + 1 && items[i].result == 5 ? 5 : -ECANCELED);
		ran += items[i].result == 5;
	}
	ck_assert_uint_ge(ran, 1);
	ck_assert_int_ge(ended.tv_sec - began.tv_sec, VD_LANE_END_MS / 1000 - 1);
	ck_assert_int_le(ended.tv_sec - began.tv_sec, VD_LANE_END_MS / 1000 + 3);
}
END_TEST

/* ---- budgets ---- */
static bool take(enum vd_cost cost, enum vd_standing standing, const struct vd_ip *ip, const char *user)
{
	return vd_budget_take(cost, 1, &(struct vd_budget_from){ ip, user, standing });
}

static unsigned take_all(enum vd_cost cost, enum vd_standing standing, const struct vd_ip *ip, const char *user)
{
	unsigned n = 0;

	while (n < 100000 && take(cost, standing, ip, user))
		n++;
	return n;
}

static struct vd_ip ip_of(const char *text)
{
	struct vd_ip ip;

	ck_assert(vd_ip_parse(text, &ip));
	return ip;
}

/* Until less than half of what those who answered share is left. */
static void make_busy(enum vd_cost cost)
{
	struct vd_ip ip = ip_of("203.0.113.1");

	take_all(cost, VD_STANDING_ANSWERED, &ip, NULL);
}

#define ANSWERED VD_STANDING_ANSWERED

START_TEST(budget_source)
{
	struct vd_ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2");

	vd_budget_reset();
	make_busy(VD_COST_DH);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &a, NULL), 200);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &b, NULL), 200); /* not its neighbour's fault */
	ck_assert(take(VD_COST_AUTH, ANSWERED, &a, NULL));                /* another kind of work */
	fake_advance(100);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &a, NULL), 5);
	fake_advance(3600 * 1000);
	make_busy(VD_COST_DH);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &a, NULL), 200); /* never more than the burst */
}
END_TEST

START_TEST(budget_prefix)
{
	struct vd_ip a = ip_of("2001:db8::1"), b = ip_of("2001:db8::ffff:1"), c = ip_of("2001:db8:0:1::1");

	vd_budget_reset();
	make_busy(VD_COST_DH);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &a, NULL), 200);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &b, NULL), 0); /* the same /64 */
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &c, NULL), 200);
}
END_TEST

START_TEST(budget_user)
{
	struct vd_ip ip = ip_of("192.0.2.1");
	unsigned n;

	vd_budget_reset();
	make_busy(VD_COST_AUTH);
	n = take_all(VD_COST_AUTH, ANSWERED, NULL, "alice");
	ck_assert_uint_eq(n, 20);
	ck_assert(!take(VD_COST_AUTH, ANSWERED, &ip, "alice"));
	/* what was refused for alice cost the source nothing */
	ck_assert_uint_eq(take_all(VD_COST_AUTH, ANSWERED, &ip, NULL), 200);
	ck_assert(take(VD_COST_AUTH, ANSWERED, NULL, "bob"));
	fake_advance(1000);
	ck_assert_uint_eq(take_all(VD_COST_AUTH, ANSWERED, NULL, "alice"), 1);
}
END_TEST

START_TEST(budget_daemon)
{
	unsigned n = 0;

	/* Many sources: each has its own bucket, the pool's ends it all; the table does not grow. */
	vd_budget_reset();
	for (uint32_t i = 0; i < 100000; i++) {
		struct vd_ip ip = vd_ip4(0x0a000000u + i);

		n += take(VD_COST_STATE, ANSWERED, &ip, NULL);
	}
	ck_assert_uint_eq(n, 4 * 1200);
	ck_assert(!take(VD_COST_STATE, ANSWERED, NULL, NULL));
	fake_advance(500);
	ck_assert_uint_eq(take_all(VD_COST_STATE, ANSWERED, NULL, NULL), 4 * 600); /* what the other pools, being full, leave */
	ck_assert(!take(VD_COST_MAX, ANSWERED, NULL, NULL));
	ck_assert(!vd_budget_take(VD_COST_STATE, 0, &(struct vd_budget_from){ .standing = ANSWERED }));
	ck_assert(!vd_budget_take(VD_COST_STATE, UINT32_MAX, &(struct vd_budget_from){ .standing = ANSWERED }));
}
END_TEST

/* Whatever forged addresses ask for, those who answered have all that is theirs, from the same address too. */
START_TEST(budget_forged)
{
	struct vd_ip victim = ip_of("192.0.2.1");

	vd_budget_reset();
	ck_assert_uint_eq(take_all(VD_COST_DH, VD_STANDING_FORGEABLE, &victim, NULL), 200);
	ck_assert_uint_ge(take_all(VD_COST_DH, ANSWERED, &victim, NULL), 600);
	ck_assert_uint_eq(take_all(VD_COST_DH, VD_STANDING_FORGEABLE, NULL, NULL), 0);
	for (unsigned s = 0; s < 10; s++) {
		fake_advance(1000);
		take_all(VD_COST_DH, VD_STANDING_FORGEABLE, &victim, NULL);
		ck_assert_uint_ge(take_all(VD_COST_DH, ANSWERED, &victim, NULL), 50);
	}
}
END_TEST

/* An office comes back as fast as the machine can take it while nobody else needs that; else it has a share. */
START_TEST(budget_office)
{
	struct vd_ip office = ip_of("192.0.2.1"), other = ip_of("192.0.2.2");

	vd_budget_reset();
	ck_assert_uint_ge(take_all(VD_COST_DH, ANSWERED, &office, NULL), 600);
	for (unsigned ms = 0; ms < 1000; ms += 100) {
		fake_advance(100);
		ck_assert_uint_ge(take_all(VD_COST_DH, ANSWERED, &office, NULL), 40);
	}
	ck_assert_uint_ge(take_all(VD_COST_DH, ANSWERED, &other, NULL), 200);
}
END_TEST

/* An office that was here within a day gets in behind whatever strangers ask for; one user of it has no more than a place. */
START_TEST(budget_known)
{
	struct vd_ip office = ip_of("192.0.2.1"), one = ip_of("192.0.2.2");
	struct vd_source *s = vd_source_hold(&office), *o = vd_source_hold(&one);

	vd_budget_reset();
	for (unsigned i = 0; i < 50; i++)
		vd_source_joined(s, 7);
	vd_source_joined(o, 8);
	for (unsigned i = 0; i < 50; i++)
		vd_source_left(s);
	vd_source_drop(s);
	for (uint32_t i = 0; i < 1000; i++) { /* strangers from everywhere: nothing is left for strangers */
		struct vd_ip ip = vd_ip4(0x0a000000u + i);

		take_all(VD_COST_DH, ANSWERED, &ip, NULL);
	}
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &one, NULL), 8);
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &office, NULL), 400);
	fake_advance(VD_SOURCE_DAY + 1);
	for (uint32_t i = 0; i < 1000; i++) {
		struct vd_ip ip = vd_ip4(0x0a000000u + i);

		take_all(VD_COST_DH, ANSWERED, &ip, NULL);
	}
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &office, NULL), 0); /* a stranger again */
	ck_assert_uint_eq(take_all(VD_COST_DH, ANSWERED, &one, NULL), 8);    /* whose session is still there */
	vd_source_left(o);
	vd_source_drop(o);
	vd_source_fini();
}
END_TEST

/* Work that costs more is charged more. */
START_TEST(budget_units)
{
	struct vd_budget_from from = { .standing = ANSWERED };
	unsigned n = 0;

	vd_budget_reset();
	while (vd_budget_take(VD_COST_DH, 20, &from))
		n++;
	ck_assert_uint_eq(n, 1200 / 20);
}
END_TEST

/* The budgets follow what the pool was measured to do, up and down, and one hiccup is not a measurement. */
START_TEST(budget_machine)
{
	vd_budget_reset();
	ck_assert_uint_eq(vd_budget_capacity(), 1600);
	for (unsigned i = 0; i < 200; i++)
		vd_budget_measured(4, 4 * 250000, 8);
	ck_assert_uint_gt(vd_budget_capacity(), 31000);
	ck_assert_uint_le(vd_budget_capacity(), 32000);
	fake_advance(10000);
	ck_assert_uint_gt(take_all(VD_COST_DH, ANSWERED, NULL, NULL), 20000);
	vd_budget_measured(1, 5000000000u, 8);
	ck_assert_uint_gt(vd_budget_capacity(), 29000);
	for (unsigned i = 0; i < 2000; i++)
		vd_budget_measured(1, 40000000, 1);
	ck_assert_uint_eq(vd_budget_capacity(), 25);
	fake_advance(10000);
	ck_assert(vd_budget_take(VD_COST_DH, 20, &(struct vd_budget_from){ .standing = ANSWERED })); /* modp8192 */
	for (unsigned i = 0; i < 2000; i++)
		vd_budget_measured(1, 1, 64);
	ck_assert_uint_eq(vd_budget_capacity(), 100000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("work");
	TCase *fake = tcase_create("fake loop"), *real = tcase_create("threads");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(fake, setup, teardown);
	tcase_add_test(fake, inline_order);
	tcase_add_test(fake, fair);
	tcase_add_test(fake, inline_cancel);
	tcase_add_test(fake, bounded);
	tcase_add_test(fake, stop_ends_what_waits);
	tcase_add_test(fake, lane_order);
	tcase_add_test(fake, lane_ends);
	tcase_add_test(fake, budget_source);
	tcase_add_test(fake, budget_prefix);
	tcase_add_test(fake, budget_user);
	tcase_add_test(fake, budget_daemon);
	tcase_add_test(fake, budget_forged);
	tcase_add_test(fake, budget_office);
	tcase_add_test(fake, budget_known);
	tcase_add_test(fake, budget_units);
	tcase_add_test(fake, budget_machine);
	suite_add_tcase(suite, fake);
	tcase_add_checked_fixture(real, threads_setup, threads_teardown);
	tcase_add_test(real, threads_do_the_work);
	tcase_add_test(real, threads_priority_and_orphan);
	tcase_add_test(real, threads_stop);
	tcase_add_test(real, lane_order);
	tcase_add_test(real, lane_ends);
	tcase_add_test(real, lane_apart);
	tcase_add_test(real, lane_end_is_bounded);
	suite_add_tcase(suite, real);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
