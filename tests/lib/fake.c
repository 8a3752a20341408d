#include "tests/lib/fake.h"

#include "core/object/object.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bus.h"
#include "core/object/id.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "core/report/report.h"

#define START_MS 1000000
#define WALL_MS 1700000000000

static uint64_t clock_ms, random_state, wall_ms = WALL_MS; /* wall_ms: when the clock was 0 */

static uint64_t fake_now(void)
{
	return clock_ms;
}

static uint64_t fake_wall(void)
{
	return wall_ms + clock_ms;
}

/* splitmix64: every run of a test sees the same octets. */
static void fake_random(void *out, size_t len)
{
	uint8_t *p = out;

	while (len-- > 0) {
		uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		*p++ = (uint8_t)(z ^ (z >> 31));
	}
}

struct vd_io {
	struct vd_io *next;
	int fd;
	unsigned events;
	void (*fn)(void *arg, unsigned events);
	void *arg;
};
static struct vd_io *ios;

static struct vd_io *fake_io_new(int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg)
{
	struct vd_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	*io = (struct vd_io){ .next = ios, .fd = fd, .events = events, .fn = fn, .arg = arg };
	ios = io;
	return io;
}

static void fake_io_events(struct vd_io *io, unsigned events)
{
	io->events = events;
}

static void fake_io_free(struct vd_io *io)
{
	struct vd_io **at = &ios;

	while (*at != io)
		at = &(*at)->next;
	*at = io->next;
	free(io);
}

bool fake_io(int fd, unsigned events)
{
	struct vd_io *io = ios;

	while (io && io->fd != fd)
		io = io->next;
	if (!io || !(io->events & events))
		return false;
	io->fn(io->arg, io->events & events);
	vd_fifo_drain();
	return true;
}

int fake_io_last(void)
{
	return ios ? ios->fd : -1;
}

static const struct vd_loop_ops fake_ops = {
	.now = fake_now,
	.wall = fake_wall,
	.random = fake_random,
	.io_new = fake_io_new,
	.io_events = fake_io_events,
	.io_free = fake_io_free,
	.fake = true,
	.alone = true,
};

struct watch {
	struct watch *next;
	const struct vd_topic *topic;
	unsigned count;
	void *last;
};
static struct watch *watches;

static void quiet(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (getenv("VD_TEST_LOG"))
		fprintf(stderr, "%s\n", line);
}

static void on_tap(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer)
{
	(void)arg;
	for (struct watch *w = watches; w; w = w->next) {
		if (w->topic == topic && !answer) {
			w->count++;
			memcpy(w->last, data, topic->size);
		}
	}
}

void fake_init(uint64_t seed)
{
	clock_ms = START_MS;
	wall_ms = WALL_MS;
	random_state = seed;
	vd_id_reset();
	vd_loop_use(&fake_ops);
	vd_log_set_level(getenv("VD_TEST_LOG") ? VD_LOG_DEBUG : VD_LOG_INFO);
	vd_log_sink(quiet, NULL);
	ck_assert_int_eq(vd_bus_init(), 0);
	ck_assert_ptr_nonnull(vd_bus_tap(on_tap, NULL));
}

void fake_fini(void)
{
	vd_bus_fini();
	while (watches) {
		struct watch *w = watches;

		watches = w->next;
		free(w->last);
		free(w);
	}
	vd_services_fini();
	vd_plugins_forget();
	vd_timers_fini();
	vd_counters_reset();
	vd_reports_fini();
	vd_log_sink(NULL, NULL);
}

void fake_drain(void)
{
	vd_fifo_drain();
}

uint64_t fake_next(void)
{
	uint64_t next = vd_timers_next();

	if (next == UINT64_MAX)
		return next;
	return next > clock_ms ? next - clock_ms : 0;
}

void fake_advance(uint64_t ms)
{
	uint64_t end = clock_ms + ms;
	unsigned fired = 0;

	vd_fifo_drain();
	while (vd_timers_next() <= end) {
		if (vd_timers_next() > clock_ms) {
			clock_ms = vd_timers_next();
			fired = 0;
		}
		ck_assert_msg(fired++ < 100000, "timers re-arm themselves without time passing");
		vd_timers_fire_one(clock_ms);
		vd_fifo_drain();
	}
	clock_ms = end;
}

void fake_clock(uint64_t now, uint64_t wall)
{
	clock_ms = now;
	wall_ms = wall - now;
}

void fake_wall_step(int64_t ms)
{
	wall_ms += (uint64_t)ms;
}

void fake_fire(void)
{
	while (vd_timers_fire_one(clock_ms))
		vd_fifo_drain();
}

static void fake_chan_close(void *arg, uint64_t chan, const char *reason)
{
	(void)arg;
	vd_chan_gone(chan, reason);
}
const struct vd_chan_maker fake_maker = { "fake", fake_chan_close, NULL };

void fake_adopt(const struct vd_chan_maker *maker)
{
	for (struct vd_chan_info *c = vd_chan_after(NULL); c; c = vd_chan_after(c))
		ck_assert_int_eq(vd_chan_adopt(c->id, maker, NULL), 0);
}

void fake_service(const char *name, const char *variant, const void *table)
{
	ck_assert_int_eq(vd_service_provide(NULL, name, variant, table), 0);
}

void fake_plugin_start(const struct vd_plugin *plugin)
{
	struct vd_error err = { 0 };
	struct vd_host *h = vd_plugin_preload(plugin, &err);

	ck_assert_msg(h != NULL, "%s", err.text);
	ck_assert_msg(vd_host_init(h, &err) == 0, "%s", err.text);
	ck_assert_msg(vd_host_start(h, &err) == 0, "%s", err.text);
	vd_fifo_drain();
}

void fake_plugin_stop(const struct vd_plugin *plugin)
{
	struct vd_host *h = vd_plugin_find(plugin->name);

	ck_assert_ptr_nonnull(h);
	vd_host_stop(h);
	vd_fifo_drain();
	vd_host_fini(h);
}

void fake_watch(const struct vd_topic *topic)
{
	struct watch *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	w->topic = topic;
	w->last = calloc(1, topic->size);
	ck_assert_ptr_nonnull(w->last);
	w->next = watches;
	watches = w;
}

static struct watch *watch_of(const struct vd_topic *topic)
{
	for (struct watch *w = watches; w; w = w->next)
		if (w->topic == topic)
			return w;
	ck_abort_msg("topic %s is not watched", topic->name);
	return NULL;
}

unsigned fake_events(const struct vd_topic *topic)
{
	return watch_of(topic)->count;
}

const void *fake_last(const struct vd_topic *topic)
{
	return watch_of(topic)->count ? watch_of(topic)->last : NULL;
}

void fake_events_clear(void)
{
	for (struct watch *w = watches; w; w = w->next)
		w->count = 0;
}
