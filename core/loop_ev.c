/* The system's loop: libev for descriptors and signals, getrandom, CLOCK_MONOTONIC. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include <ev.h>

#include "core/loop.h"
#include "core/record/record.h"

/* Longer waits are cut; the loop simply looks again. */
#define MAX_WAIT_MS 60000

struct vd_io {
	ev_io ev;
	void (*fn)(void *arg, unsigned events);
	void *arg;
};

static struct ev_loop *ev;
static ev_timer wake;
static uint64_t now_ms;
static bool stopping;

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t ev_now_ms(void)
{
	return now_ms;
}

static uint64_t ev_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

static void ev_random(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len > 256 ? 256 : len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* no randomness: nothing this program does would be safe */
		}
		p += n;
		len -= (size_t)n;
	}
}

static void on_io(struct ev_loop *l, ev_io *watcher, int revents)
{
	struct vd_io *io = VD_CONTAINER_OF(watcher, struct vd_io, ev);

	(void)l;
	now_ms = read_clock(CLOCK_MONOTONIC);
	io->fn(io->arg, (revents & EV_READ ? VD_IO_READ : 0) | (revents & EV_WRITE ? VD_IO_WRITE : 0));
	vd_fifo_drain();
	vd_record_turn();
}

static int ev_mask(unsigned events)
{
	return (events & VD_IO_READ ? EV_READ : 0) | (events & VD_IO_WRITE ? EV_WRITE : 0);
}

static struct vd_io *ev_io_create(int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg)
{
	struct vd_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->fn = fn;
	io->arg = arg;
	ev_io_init(&io->ev, on_io, fd, ev_mask(events));
	if (events)
		ev_io_start(ev, &io->ev);
	return io;
}

static void ev_io_change(struct vd_io *io, unsigned events)
{
	int fd = io->ev.fd;

	ev_io_stop(ev, &io->ev);
	ev_io_set(&io->ev, fd, ev_mask(events));
	if (events)
		ev_io_start(ev, &io->ev);
}

static void ev_io_destroy(struct vd_io *io)
{
	ev_io_stop(ev, &io->ev); /* also clears a pending call */
	free(io);
}

static const struct vd_loop_ops ev_ops = {
	.now = ev_now_ms,
	.wall = ev_wall_ms,
	.random = ev_random,
	.io_new = ev_io_create,
	.io_events = ev_io_change,
	.io_free = ev_io_destroy,
};

static uint64_t wall_began_ms;

static uint64_t alone_wall_ms(void)
{
	return wall_began_ms + now_ms;
}

static const struct vd_loop_ops alone_ops = {
	.now = ev_now_ms,
	.wall = alone_wall_ms,
	.random = ev_random,
	.io_new = ev_io_create,
	.io_events = ev_io_change,
	.io_free = ev_io_destroy,
	.alone = true,
};

void vd_loop_ev_alone(void)
{
	wall_began_ms = read_clock(CLOCK_REALTIME) - now_ms;
	vd_loop_use(&alone_ops);
}

static void on_wake(struct ev_loop *l, ev_timer *t, int revents)
{
	(void)l;
	(void)t;
	(void)revents;
}

int vd_loop_ev_init(void)
{
	ev = ev_default_loop(EVFLAG_AUTO);
	if (!ev)
		return -ENOMEM;
	ev_init(&wake, on_wake);
	now_ms = read_clock(CLOCK_MONOTONIC);
	stopping = false;
	vd_loop_use(&ev_ops);
	return 0;
}

void vd_loop_ev_fini(void)
{
	ev_timer_stop(ev, &wake);
	ev_loop_destroy(ev);
	ev = NULL;
	vd_timers_fini();
}

struct sig {
	ev_signal ev;
	void (*fn)(int signo);
};

static void on_signal(struct ev_loop *l, ev_signal *watcher, int revents)
{
	struct sig *s = VD_CONTAINER_OF(watcher, struct sig, ev);

	(void)l;
	(void)revents;
	now_ms = read_clock(CLOCK_MONOTONIC);
	s->fn(watcher->signum);
	vd_fifo_drain();
}

int vd_loop_ev_signal(int signo, void (*fn)(int signo))
{
	static struct sig sigs[4];

	for (size_t i = 0; i < VD_ARRAY_SIZE(sigs); i++) {
		if (sigs[i].fn)
			continue;
		sigs[i].fn = fn;
		ev_signal_init(&sigs[i].ev, on_signal, signo);
		ev_signal_start(ev, &sigs[i].ev);
		return 0;
	}
	return -ENOSPC;
}

void vd_loop_ev_once(uint64_t ms)
{
	uint64_t next, left;

	vd_fifo_drain();
	next = vd_timers_next();
	left = next > now_ms ? next - now_ms : 0;
	if (left > ms)
		left = ms;
	if (left > MAX_WAIT_MS)
		left = MAX_WAIT_MS;
	ev_now_update(ev);
	ev_timer_stop(ev, &wake);
	ev_timer_set(&wake, (double)left / 1000.0, 0.);
	ev_timer_start(ev, &wake);
	ev_run(ev, EVRUN_ONCE);
	now_ms = read_clock(CLOCK_MONOTONIC);
	/* Timers armed by timers wait for the next turn when they are due at once, so that descriptors are served. */
	if (vd_timers_next() <= now_ms)
		vd_record_timer();
	for (size_t n = 0; n < 4096 && vd_timers_fire_one(now_ms); n++)
		vd_fifo_drain();
	vd_record_turn();
}

void vd_loop_ev_run(void)
{
	for (;;) {
		/* What is queued may ask to stop: look before waiting. */
		vd_fifo_drain();
		if (stopping)
			return;
		vd_loop_ev_once(MAX_WAIT_MS);
	}
}

void vd_loop_ev_stop(void)
{
	stopping = true;
}
