/* Timers in one binary heap, ordered by deadline and then by arming, on real and fake clocks alike. */
#include <stdlib.h>

#include "core/loop.h"

struct slot {
	uint64_t deadline, seq;
	struct vd_timer *timer;
};

static struct slot *heap;
static size_t heap_len, heap_room;
static uint64_t heap_seq;

static bool before(const struct slot *a, const struct slot *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->seq < b->seq;
}

static void place(size_t i, struct slot s)
{
	heap[i] = s;
	s.timer->heap = (uint32_t)i + 1;
}

static void sift_up(size_t i)
{
	struct slot s = heap[i];

	while (i > 0 && before(&s, &heap[(i - 1) / 2])) {
		place(i, heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(i, s);
}

static void sift_down(size_t i)
{
	struct slot s = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap_len)
			break;
		if (child + 1 < heap_len && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &s))
			break;
		place(i, heap[child]);
		i = child;
	}
	place(i, s);
}

void vd_timer_init(struct vd_timer *t, void (*fn)(struct vd_timer *t))
{
	*t = (struct vd_timer){ .fn = fn };
}

void vd_timer_start(struct vd_timer *t, uint64_t in_ms)
{
	uint64_t now = vd_now();

	vd_timer_stop(t);
	if (heap_len == heap_room) {
		size_t room = heap_room ? heap_room * 2 : 64;
		struct slot *p = realloc(heap, room * sizeof(*p));

		/* A timer that cannot be armed would hang whatever it guards. */
		if (!p)
			abort();
		heap = p;
		heap_room = room;
	}
	t->deadline = in_ms > UINT64_MAX - now ? UINT64_MAX : now + in_ms;
	heap[heap_len] = (struct slot){ t->deadline, heap_seq++, t };
	sift_up(heap_len++);
}

void vd_timer_stop(struct vd_timer *t)
{
	size_t i = t->heap;

	if (i == 0)
		return;
	i--;
	t->heap = 0;
	heap_len--;
	if (i == heap_len)
		return;
	/* The last one takes the hole and moves to where it belongs, in either direction. */
	place(i, heap[heap_len]);
	if (i > 0 && before(&heap[i], &heap[(i - 1) / 2]))
		sift_up(i);
	else
		sift_down(i);
}

bool vd_timer_armed(const struct vd_timer *t)
{
	return t->heap != 0;
}

uint64_t vd_timer_left(const struct vd_timer *t)
{
	uint64_t now = vd_now();

	if (t->heap == 0)
		return UINT64_MAX;
	return t->deadline > now ? t->deadline - now : 0;
}

uint64_t vd_timers_next(void)
{
	return heap_len ? heap[0].deadline : UINT64_MAX;
}

bool vd_timers_fire_one(uint64_t now)
{
	struct vd_timer *t;

	if (heap_len == 0 || heap[0].deadline > now)
		return false;
	t = heap[0].timer;
	vd_timer_stop(t);
	t->fn(t);
	return true;
}

void vd_timers_fini(void)
{
	for (size_t i = 0; i < heap_len; i++)
		heap[i].timer->heap = 0;
	free(heap);
	heap = NULL;
	heap_len = heap_room = 0;
	heap_seq = 0;
}
