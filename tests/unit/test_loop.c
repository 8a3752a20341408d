/* Timers and the FIFO, on the fake clock and (descriptors, signals) on the system's. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/bus.h"
#include "core/bus_internal.h"
#include "core/log.h"
#include "core/loop.h"
#include "tests/lib/fake.h"

struct t {
	struct vd_timer timer;
	uint64_t fired;
	unsigned index;
};
static unsigned order[4096];
static size_t n_order;

static void on_timer(struct vd_timer *timer)
{
	struct t *t = VD_CONTAINER_OF(timer, struct t, timer);

	t->fired = vd_now();
	order[n_order++ % 4096] = t->index;
}

START_TEST(timers_fire_in_order)
{
	struct t t[200];
	unsigned seed = 3;

	fake_init(1);
	n_order = 0;
	for (unsigned i = 0; i < 200; i++) {
		t[i] = (struct t){ .index = i };
		vd_timer_init(&t[i].timer, on_timer);
		vd_timer_start(&t[i].timer, (uint64_t)(rand_r(&seed) % 50));
	}
	/* stop a third, re-arm another third */
	for (unsigned i = 0; i < 200; i++) {
		if (i % 3 == 0)
			vd_timer_stop(&t[i].timer);
		if (i % 3 == 1)
			vd_timer_start(&t[i].timer, (uint64_t)(rand_r(&seed) % 50));
	}
	uint64_t due[200], start = vd_now();
	for (unsigned i = 0; i < 200; i++) {
		due[i] = i % 3 ? t[i].timer.deadline : 0;
		ck_assert(vd_timer_armed(&t[i].timer) == (i % 3 != 0));
		if (i % 3)
			ck_assert_uint_eq(vd_timer_left(&t[i].timer), due[i] - start);
	}
	fake_advance(20);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(t[i].fired, i % 3 && due[i] <= start + 20 ? due[i] : 0);
	fake_advance(40);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(t[i].fired, due[i]);
	for (size_t i = 1; i < n_order; i++)
		ck_assert_uint_le(due[order[i - 1]], due[order[i]]);
	ck_assert_uint_eq(fake_next(), UINT64_MAX);
	fake_fini();
}
END_TEST

START_TEST(equal_deadlines_keep_the_order_of_arming)
{
	struct t t[50];

	fake_init(1);
	n_order = 0;
	for (unsigned i = 0; i < 50; i++) {
		t[i] = (struct t){ .index = i };
		vd_timer_init(&t[i].timer, on_timer);
		vd_timer_start(&t[i].timer, 5);
	}
	vd_timer_start(&t[0].timer, 5); /* re-armed: last now */
	fake_advance(5);
	ck_assert_uint_eq(n_order, 50);
	for (unsigned i = 0; i < 49; i++)
		ck_assert_uint_eq(order[i], i + 1);
	ck_assert_uint_eq(order[49], 0);
	fake_fini();
}
END_TEST

static unsigned depth, max_depth;
static void deferred(void *arg)
{
	unsigned *left = arg;

	depth++;
	if (depth > max_depth)
		max_depth = depth;
	if (--*left)
		ck_assert_int_eq(vd_defer(deferred, left), 0);
	vd_fifo_drain(); /* must not nest */
	depth--;
}

START_TEST(fifo_never_nests)
{
	unsigned left = 100;

	fake_init(1);
	max_depth = 0;
	ck_assert_int_eq(vd_defer(deferred, &left), 0);
	ck_assert_uint_eq(vd_fifo_len(), 1);
	fake_drain();
	ck_assert_uint_eq(left, 0);
	ck_assert_uint_eq(max_depth, 1);
	fake_fini();
}
END_TEST

static int pipe_fds[2];
static unsigned reads, signals;
static struct vd_io *reader;

static void on_read(void *arg, unsigned events)
{
	char c;

	(void)arg;
	ck_assert_uint_eq(events, VD_IO_READ);
	ck_assert_int_eq(read(pipe_fds[0], &c, 1), 1);
	if (++reads == 3) {
		vd_io_free(reader);
		ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	}
}

static void on_usr1(int signo)
{
	ck_assert_int_eq(signo, SIGUSR1);
	signals++;
	vd_loop_ev_stop();
}

START_TEST(the_systems_loop)
{
	struct t t = { 0 };
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	ck_assert_int_eq(vd_loop_ev_init(), 0);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	reader = vd_io_new(pipe_fds[0], VD_IO_READ, on_read, NULL);
	ck_assert_ptr_nonnull(reader);
	ck_assert_int_eq(vd_loop_ev_signal(SIGUSR1, on_usr1), 0);
	vd_timer_init(&t.timer, on_timer);
	vd_timer_start(&t.timer, 1);
	ck_assert_int_eq(write(pipe_fds[1], "abc", 3), 3);
	vd_loop_ev_run();
	ck_assert_uint_eq(reads, 3);
	ck_assert_uint_eq(signals, 1);
	while (!t.fired)
		vd_loop_ev_once(100);
	vd_random(a, sizeof(a));
	vd_random(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	vd_loop_ev_fini();
}
END_TEST

static void stop_now(void *arg)
{
	(void)arg;
	vd_loop_ev_stop();
}

/* Found when a port was in use: a stop from the FIFO waited for the next event. */
START_TEST(a_queued_stop_is_seen_at_once)
{
	struct t t = { 0 };

	ck_assert_int_eq(vd_loop_ev_init(), 0);
	vd_timer_init(&t.timer, on_timer);
	vd_timer_start(&t.timer, 30000);
	ck_assert_int_eq(vd_defer(stop_now, NULL), 0);
	vd_loop_ev_run();
	ck_assert_uint_eq(t.fired, 0);
	vd_timer_stop(&t.timer);
	vd_loop_ev_fini();
}
END_TEST

static void no_line(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

/* A handler that waits, or whose processor others have, holds up nobody by its own fault; one that computes does. */
START_TEST(slow_is_what_computes)
{
	uint64_t began;

	ck_assert_int_eq(vd_loop_ev_init(), 0);
	vd_log_sink(no_line, NULL);
	began = vd_bus_clock_us();
	usleep(30000);
	vd_bus_name_slow(began, "waits", NULL);
	ck_assert_uint_eq(vd_counter("bus.slow_handler"), 0);
	began = vd_bus_clock_us();
	while (vd_bus_clock_us() - began < 6000)
		;
	vd_bus_name_slow(began, "computes", NULL);
	ck_assert_uint_eq(vd_counter("bus.slow_handler"), 1);
	vd_log_sink(NULL, NULL);
	vd_loop_ev_fini();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, timers_fire_in_order);
	tcase_add_test(tc, equal_deadlines_keep_the_order_of_arming);
	tcase_add_test(tc, fifo_never_nests);
	tcase_add_test(tc, the_systems_loop);
	tcase_add_test(tc, a_queued_stop_is_seen_at_once);
	tcase_add_test(tc, slow_is_what_computes);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
