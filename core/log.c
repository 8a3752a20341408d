#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/loop.h"
#include "viaduct/object.h"
#include "viaduct/text.h"
#include "viaduct/topics.h"

#define LINE_MAX_OCTETS 1024
#define MAX_AREAS 32

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const int syslog_levels[] = { 3, 4, 5, 6, 7 };

/* Pool threads log too, while the control thread may change levels: never read half a change. */
static pthread_rwlock_t levels_lock = PTHREAD_RWLOCK_INITIALIZER;
static enum vd_log_level threshold = VD_LOG_INFO;
static struct {
	char name[VD_NAME_MAX];
	enum vd_log_level level;
} areas[MAX_AREAS];
static size_t n_areas;
static void (*sink_fn)(void *arg, enum vd_log_level level, const char *line);
static void *sink_arg;
static const char *(*user_fn)(uint64_t session);
static bool (*watched_fn)(const struct vd_ids *ids);
static pthread_t control;

void vd_log_set_level(enum vd_log_level level)
{
	pthread_rwlock_wrlock(&levels_lock);
	threshold = level;
	pthread_rwlock_unlock(&levels_lock);
}

int vd_log_set_area(const char *area, enum vd_log_level level)
{
	size_t i;
	int r = 0;

	pthread_rwlock_wrlock(&levels_lock);
	for (i = 0; i < n_areas && strcmp(areas[i].name, area) != 0; i++)
		;
	if (i == MAX_AREAS) {
		r = -ENOSPC;
	} else {
		vd_strcpy(areas[i].name, sizeof(areas[i].name), area);
		areas[i].level = level;
		if (i == n_areas)
			n_areas++;
	}
	pthread_rwlock_unlock(&levels_lock);
	return r;
}

void vd_log_clear_areas(void)
{
	pthread_rwlock_wrlock(&levels_lock);
	n_areas = 0;
	pthread_rwlock_unlock(&levels_lock);
}

int vd_log_level_parse(const char *word, enum vd_log_level *ret_level)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(level_names); i++) {
		if (strcasecmp(word, level_names[i]) == 0) {
			*ret_level = (enum vd_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *vd_log_level_name(enum vd_log_level level)
{
	return level_names[level];
}

void vd_log_sink(void (*sink)(void *arg, enum vd_log_level level, const char *line), void *arg)
{
	sink_fn = sink;
	sink_arg = arg;
}

bool vd_log_enabled(enum vd_log_level level, const char *area, const struct vd_ids *ids)
{
	enum vd_log_level limit;

	pthread_rwlock_rdlock(&levels_lock);
	limit = threshold;
	for (size_t i = 0; i < n_areas; i++) {
		if (strcmp(areas[i].name, area) == 0) {
			limit = areas[i].level;
			break;
		}
	}
	pthread_rwlock_unlock(&levels_lock);
	return level <= limit || (ids && pthread_equal(pthread_self(), control) && watched_fn && watched_fn(ids));
}

static void to_stderr(enum vd_log_level level, const char *line)
{
	static int journal = -1;
	char out[LINE_MAX_OCTETS + 64];
	size_t n;

	if (journal < 0)
		journal = getenv("JOURNAL_STREAM") != NULL;
	if (journal) {
		n = vd_format(out, sizeof(out), "<%d>%s\n", syslog_levels[level], line);
	} else {
		struct timespec ts;
		struct tm tm;
		char when[24];

		clock_gettime(CLOCK_REALTIME, &ts);
		localtime_r(&ts.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
		n = vd_format(out, sizeof(out), "%s.%03ld %-7s %s\n", when, ts.tv_nsec / 1000000, level_names[level], line);
	}
	/* One write per record keeps records of several threads whole. */
	if (write(STDERR_FILENO, out, n) < 0)
		return;
}

/* What is known of a record besides its words. */
struct about {
	enum vd_log_level level;
	const char *area, *code, *user;
	const struct vd_ids *ids;
};

static void log_v(const struct about *a, const char *fmt, va_list ap)
{
	char line[LINE_MAX_OCTETS], raw[LINE_MAX_OCTETS], buf[VD_ID_BUF], user[LINE_MAX_OCTETS];
	const struct vd_ids none = { 0 }, *ids = a->ids ? a->ids : &none;
	struct vd_log_record record = { .level = a->level, .area = a->area, .ids = *ids, .code = a->code ? a->code : "" };
	size_t n = vd_format(line, sizeof(line), "%s", a->area);
	const char *whose = a->user;
	struct timespec ts;

	if (ids->peer)
		n += vd_format(line + n, sizeof(line) - n, " %s", vd_id_format('p', ids->peer, buf));
	if (ids->chan)
		n += vd_format(line + n, sizeof(line) - n, " %s", vd_id_format('c', ids->chan, buf));
	if (ids->session)
		n += vd_format(line + n, sizeof(line) - n, " %s", vd_id_format('s', ids->session, buf));
	n += vd_format(line + n, sizeof(line) - n, ": ");
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		return;
	vd_text_safe_string(line + n, sizeof(line) - n, raw);
	if (!whose && user_fn && ids->session && pthread_equal(pthread_self(), control))
		whose = user_fn(ids->session);
	vd_text_safe_string(user, sizeof(user), whose ? whose : "");
	clock_gettime(CLOCK_REALTIME, &ts);
	record.time = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	record.user = user;
	record.text = line + n;
	if (vd_log_sinks_take(&record))
		return;
	if (sink_fn)
		sink_fn(sink_arg, a->level, line);
	else
		to_stderr(a->level, line);
}

void vd_log(enum vd_log_level level, const char *area, const struct vd_ids *ids, const char *fmt, ...)
{
	va_list ap;

	if (!vd_log_enabled(level, area, ids))
		return;
	va_start(ap, fmt);
	log_v(&(struct about){ .level = level, .area = area, .ids = ids }, fmt, ap);
	va_end(ap);
}

/* May this record be written? Says before the first one of an interval how many of the last were not. */
static bool limit_pass(struct vd_log_limit *limit, enum vd_log_level level, const char *area)
{
	uint64_t now = vd_now();

	if (limit->count == 0 || now - limit->since >= limit->interval_ms) {
		if (limit->suppressed)
			vd_log(level, area, NULL, "%llu similar records left out", (unsigned long long)limit->suppressed);
		limit->since = now;
		limit->count = limit->suppressed = 0;
	}
	if (limit->count++ < limit->burst)
		return true;
	limit->suppressed++;
	return false;
}

void vd_log_limited(struct vd_log_limit *limit, enum vd_log_level level, const char *area, const struct vd_ids *ids,
	const char *fmt, ...)
{
	va_list ap;

	if (!vd_log_enabled(level, area, ids) || !limit_pass(limit, level, area))
		return;
	va_start(ap, fmt);
	log_v(&(struct about){ .level = level, .area = area, .ids = ids }, fmt, ap);
	va_end(ap);
}

void vd_log_coded(struct vd_log_limit *limit, enum vd_log_level level, const char *area, const struct vd_ids *ids,
	const char *code, const char *user, const char *fmt, ...)
{
	va_list ap;

	if (!vd_log_enabled(level, area, ids) || (limit && !limit_pass(limit, level, area)))
		return;
	va_start(ap, fmt);
	log_v(&(struct about){ .level = level, .area = area, .ids = ids, .code = code, .user = user }, fmt, ap);
	va_end(ap);
}

void vd_log_on_user(const char *(*fn)(uint64_t session))
{
	user_fn = fn;
	control = pthread_self();
}

void vd_log_on_watched(bool (*fn)(const struct vd_ids *ids))
{
	watched_fn = fn;
	control = pthread_self();
}

/* Counters: a hash table of names, which are literals; plugins that stay loaded keep them valid. */
#define COUNTER_BUCKETS 256
struct counter {
	const char *name;
	uint64_t value;
	struct counter *next, *next_made;
};
static struct counter *counters[COUNTER_BUCKETS], *counters_made, **counters_last = &counters_made;

static struct counter *counter_find(const char *name, bool make)
{
	uint32_t h = 2166136261u;
	struct counter *c;

	for (const char *p = name; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	for (c = counters[h % COUNTER_BUCKETS]; c; c = c->next)
		if (strcmp(c->name, name) == 0)
			return c;
	if (!make || !(c = calloc(1, sizeof(*c))))
		return NULL;
	c->name = name;
	c->next = counters[h % COUNTER_BUCKETS];
	counters[h % COUNTER_BUCKETS] = c;
	*counters_last = c;
	counters_last = &c->next_made;
	return c;
}

void vd_count(const char *name, uint64_t add)
{
	struct counter *c = counter_find(name, true);

	if (c)
		c->value += add;
}

uint64_t vd_counter(const char *name)
{
	struct counter *c = counter_find(name, false);

	return c ? c->value : 0;
}

void vd_counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg)
{
	for (struct counter *c = counters_made; c; c = c->next_made)
		fn(arg, c->name, c->value);
}

void vd_counters_reset(void)
{
	while (counters_made) {
		struct counter *c = counters_made;

		counters_made = c->next_made;
		free(c);
	}
	counters_last = &counters_made;
	memset(counters, 0, sizeof(counters));
}
