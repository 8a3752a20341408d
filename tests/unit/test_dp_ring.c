/* Rings: wrap-around, fullness, the reserve for acknowledgements, and two threads with sleeping and waking. */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "core/datapath/ring.h"

static struct dp_ring ring;
static struct dp_wake wake;
#define MESSAGES 60000u

static bool all(const uint8_t *p, size_t len, uint8_t value)
{
	while (len && *p == value) {
		p++;
		len--;
	}
	return !len;
}

START_TEST(test_wrap)
{
	uint8_t room[256];
	struct dp_ring r = { .room = room, .size = sizeof(room) };
	uint32_t in = 0, out = 0, seed = 1;
	for (unsigned step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		size_t len = 4 + (seed >> 8) % 60;
		uint32_t kind;
		size_t got;
		uint8_t *p = dp_ring_reserve(&r, in, len, 0);
		if (p) {
			memset(p, (int)(in & 255), len);
			dp_ring_commit(&r);
			in++;
		}
		if ((seed >> 20) % 3 && (p = dp_ring_peek(&r, &kind, &got))) {
			ck_assert_uint_eq(kind, out);
			ck_assert(all(p, got, (uint8_t)out));
			dp_ring_pop(&r);
			out++;
		}
		ck_assert_uint_le(atomic_load(&r.head) - atomic_load(&r.tail), sizeof(room));
	}
	ck_assert_uint_gt(out, 1000);
	ck_assert_uint_gt(in, out - 1);
	ck_assert_ptr_null(dp_ring_reserve(&r, 0, 256, 0));
}
END_TEST

START_TEST(test_keep)
{
	uint8_t room[256];
	struct dp_ring r = { .room = room, .size = sizeof(room) };
	while (dp_ring_reserve(&r, 1, 8, 64))
		dp_ring_commit(&r);
	ck_assert_ptr_nonnull(dp_ring_reserve(&r, 2, 8, 0)); /* the reserve is still there */
	ck_assert_uint_eq(atomic_load(&r.head), 192);
}
END_TEST

static void *writer(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < MESSAGES;) {
		size_t len = 4 + i % 200;
		uint8_t *p = dp_ring_reserve(&ring, 7, len, 0);
		if (!p) {
			sched_yield();
			continue;
		}
		memset(p, (int)(i & 255), len);
		memcpy(p, &i, 4);
		dp_ring_commit(&ring);
		dp_wake(&wake);
		i++;
	}
	return NULL;
}

/* The reader sleeps whenever it finds nothing; a lost wake-up would hang, which the poll's end shows as a failure. */
START_TEST(test_threads)
{
	pthread_t t;
	uint32_t next = 0;
	ring = (struct dp_ring){ .room = malloc(4096), .size = 4096 };
	wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ck_assert_int_ge(wake.fd, 0);
	ck_assert_int_eq(pthread_create(&t, NULL, writer, NULL), 0);
	while (next < MESSAGES) {
		uint32_t kind, value;
		size_t len;
		uint8_t *p = dp_ring_peek(&ring, &kind, &len);
		if (p) {
			memcpy(&value, p, 4);
			ck_assert_uint_eq(value, next);
			ck_assert_uint_eq(len, 4 + value % 200);
			ck_assert(all(p + 4, len - 4, (uint8_t)value));
			dp_ring_pop(&ring);
			next++;
			continue;
		}
		atomic_store(&wake.asleep, 1);
		if (dp_ring_empty(&ring)) {
			struct pollfd fd = { .fd = wake.fd, .events = POLLIN };
			uint64_t n;
			ck_assert_int_eq(poll(&fd, 1, 30000), 1);
			ck_assert_int_eq(read(wake.fd, &n, 8), 8);
		}
		atomic_store(&wake.asleep, 0);
	}
	pthread_join(t, NULL);
	ck_assert(dp_ring_empty(&ring));
	close(wake.fd);
	free(ring.room);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("datapath rings");
	TCase *c = tcase_create("ring");
	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_wrap);
	tcase_add_test(c, test_keep);
	tcase_add_test(c, test_threads);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
