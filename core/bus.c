/* The message bus: topics, events and taps. All of it on the control thread, through one FIFO. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/bus_internal.h"
#include "core/conf/conf_node.h"
#include "core/fields.h"
#include "core/loop.h"
#include "core/plugin.h"

#define FIFO_MAX 65536
#define HANDLER_SLOW_US 5000

struct sub {
	struct sub *next;
	struct vd_host *host;
	void (*fn)(void *arg, const void *event);
	void *arg;
	bool dead;
};

struct vd_tap {
	struct vd_tap *next;
	void (*fn)(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer);
	void *arg;
};

static struct vd_bus_topic *topics;
static struct vd_tap *taps;

struct vd_bus_topic *vd_bus_topic_by_name(const char *name)
{
	for (struct vd_bus_topic *t = topics; t; t = t->next)
		if (strcmp(t->desc->name, name) == 0)
			return t;
	return NULL;
}

struct vd_bus_topic *vd_bus_topic_of(const struct vd_topic *desc)
{
	for (struct vd_bus_topic *t = topics; t; t = t->next)
		if (t->desc == desc)
			return t;
	return NULL;
}

int vd_bus_topic(const struct vd_topic *desc)
{
	struct vd_bus_topic *t, **end = &topics;

	if ((t = vd_bus_topic_by_name(desc->name)))
		return t->desc == desc ? 0 : -EEXIST;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->desc = desc;
	while (*end)
		end = &(*end)->next;
	*end = t;
	return 0;
}

void vd_bus_tap_all(const struct vd_topic *desc, const void *data, const struct vd_answer *answer)
{
	for (struct vd_tap *tap = taps, *next; tap; tap = next) {
		next = tap->next;
		tap->fn(tap->arg, desc, data, answer);
	}
}

struct vd_tap *vd_bus_tap(void (*fn)(void *arg, const struct vd_topic *topic, const void *data,
	const struct vd_answer *answer), void *arg)
{
	struct vd_tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return NULL;
	tap->fn = fn;
	tap->arg = arg;
	tap->next = taps;
	taps = tap;
	return tap;
}

void vd_bus_untap(struct vd_tap *tap)
{
	for (struct vd_tap **p = &taps; *p; p = &(*p)->next) {
		if (*p == tap) {
			*p = tap->next;
			free(tap);
			return;
		}
	}
}

const char *vd_verdict_name(enum vd_verdict verdict)
{
	static const char *const names[] = { "pass", "accept", "reject", "continue", "pending", "unavailable" };

	return verdict < VD_ARRAY_SIZE(names) ? names[verdict] : "?";
}

uint64_t vd_bus_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void vd_bus_name_slow(uint64_t began_us, const char *topic, struct vd_host *host)
{
	static struct vd_log_limit limit = VD_LOG_LIMIT(5, 60000);
	uint64_t took = vd_bus_clock_us() - began_us;

	if (took <= HANDLER_SLOW_US || vd_loop_ops()->fake)
		return;
	vd_count("bus.slow_handler", 1);
	vd_log_limited(&limit, VD_LOG_WARNING, "bus", NULL, "%s computed for %llu ms for %s, and all others waited",
		host ? vd_host_name(host) : "the core", (unsigned long long)(took / 1000), topic);
}

/* ---- events ---- */
struct event {
	struct vd_fifo_entry entry;
	struct vd_bus_topic *topic;
	struct event *next_pending;
	_Alignas(max_align_t) unsigned char data[];
};

static void event_free(struct event *e)
{
	vd_fields_free(e->topic->desc->fields, e->topic->desc->n_fields, e->data, e->topic->desc->size);
	free(e);
}

static void unlink_pending(struct event *e)
{
	for (struct event **p = &e->topic->pending; *p; p = &(*p)->next_pending) {
		if (*p == e) {
			*p = e->next_pending;
			return;
		}
	}
}

static void sweep_subs(struct vd_bus_topic *t)
{
	for (struct sub **p = &t->subs; *p;) {
		struct sub *s = *p;

		if (!s->dead) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		free(s);
	}
}

static void deliver(struct vd_fifo_entry *entry)
{
	struct event *e = VD_CONTAINER_OF(entry, struct event, entry);
	struct vd_bus_topic *t = e->topic;

	if (t->desc->pressure == VD_PRESSURE_COALESCE)
		unlink_pending(e);
	vd_bus_tap_all(t->desc, e->data, NULL);
	for (struct sub *s = t->subs; s; s = s->next) {
		uint64_t began = vd_bus_clock_us();

		if (s->dead)
			continue;
		s->fn(s->arg, e->data);
		vd_bus_name_slow(began, t->desc->name, s->host);
	}
	sweep_subs(t);
	event_free(e);
}

/* An undelivered event about the same object gets the new contents instead of a second entry. */
static bool coalesce(struct vd_bus_topic *t, const void *data)
{
	uint64_t id = vd_fields_id(t->desc->fields, t->desc->n_fields, data);

	for (struct event *e = t->pending; e; e = e->next_pending) {
		if (vd_fields_id(t->desc->fields, t->desc->n_fields, e->data) != id)
			continue;
		vd_fields_free(t->desc->fields, t->desc->n_fields, e->data, t->desc->size);
		if (vd_fields_copy(t->desc->fields, t->desc->n_fields, e->data, data, t->desc->size) < 0)
			memset(e->data, 0, t->desc->size);
		return true;
	}
	return false;
}

int vd_event_post(const struct vd_topic *desc, const void *data)
{
	struct vd_bus_topic *t = vd_bus_topic_of(desc);
	struct event *e;
	int r;

	if (!t || desc->kind != VD_EVENT)
		return -ENOENT;
	if (desc->pressure == VD_PRESSURE_COALESCE && coalesce(t, data))
		return 0;
	if (desc->pressure == VD_PRESSURE_DROP && vd_fifo_len() >= FIFO_MAX) {
		vd_count("bus.dropped", 1);
		return -ENOBUFS;
	}
	e = malloc(sizeof(*e) + desc->size);
	if (!e)
		return -ENOMEM;
	r = vd_fields_copy(desc->fields, desc->n_fields, e->data, data, desc->size);
	if (r < 0) {
		free(e);
		return r;
	}
	e->entry.run = deliver;
	e->topic = t;
	if (desc->pressure == VD_PRESSURE_COALESCE) {
		e->next_pending = t->pending;
		t->pending = e;
	}
	vd_fifo_push(&e->entry);
	return 0;
}

static struct {
	const struct vd_host *host;
	char text[256];
} unknown;

int vd_bus_no_topic(const struct vd_host *host, const char *name, enum vd_topic_kind kind)
{
	const struct vd_bus_topic *other = vd_bus_topic_by_name(name);
	struct conf_guess guess = { .wrong = name };
	char hint[200];

	unknown.host = host;
	if (other) {
		vd_format(unknown.text, sizeof(unknown.text), "%s is %s", name, kind == VD_EVENT ? "a request, not an event: provide it"
			" or ask it" : "an event, not a request: subscribe to it");
		return -ENOENT;
	}
	for (const struct vd_bus_topic *t = topics; t; t = t->next)
		if (t->desc->kind == kind)
			conf_guess_try(&guess, t->desc->name);
	vd_format(unknown.text, sizeof(unknown.text), "there is no %s %s%s", kind == VD_EVENT ? "event" : "request", name,
		conf_guess_hint(&guess, hint, sizeof(hint)));
	return -ENOENT;
}

bool vd_bus_has_topic(const char *name, char *why, size_t size)
{
	struct conf_guess guess = { .wrong = name };
	char hint[200];
	size_t n;

	if (vd_bus_topic_by_name(name))
		return true;
	for (const struct vd_bus_topic *t = topics; t; t = t->next)
		conf_guess_try(&guess, t->desc->name);
	n = vd_format(why, size, "there is no topic %.64s%s; all topics:", name, guess.best ? conf_guess_hint(&guess, hint, sizeof(hint)) : "");
	for (const struct vd_bus_topic *t = topics; t; t = t->next)
		n += vd_format(why + n, size - n, " %s", t->desc->name);
	return false;
}

const char *vd_bus_unknown(const struct vd_host *host)
{
	return host && unknown.host == host ? unknown.text : "";
}

int vd_event_subscribe(struct vd_host *host, const char *name, void (*fn)(void *arg, const void *event), void *arg)
{
	struct vd_bus_topic *t = vd_bus_topic_by_name(name);
	struct sub *s, **end;

	if (!t || t->desc->kind != VD_EVENT)
		return vd_bus_no_topic(host, name, VD_EVENT);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct sub){ .host = host, .fn = fn, .arg = arg };
	for (end = &t->subs; *end; end = &(*end)->next)
		;
	*end = s;
	return 0;
}

/* What a finished plugin registered is forgotten; who waits for its answer gets one. */
static void forget_host(struct vd_host *host)
{
	for (struct vd_bus_topic *t = topics; t; t = t->next) {
		for (struct sub *s = t->subs; s; s = s->next)
			s->dead |= s->host == host;
		for (struct vd_bus_provider *p = t->providers; p; p = p->next)
			p->dead |= p->host == host;
	}
	vd_bus_requests_forget(host);
}

int vd_bus_init(void)
{
	int r;

	vd_bus_requests_init();
	for (size_t i = 0; vd_core_topics[i]; i++)
		if ((r = vd_bus_topic(vd_core_topics[i])) < 0)
			return r;
	return vd_on_host_fini(forget_host);
}

void vd_bus_fini(void)
{
	vd_bus_requests_fini();
	while (taps)
		vd_bus_untap(taps);
	vd_fifo_drain(); /* nobody is subscribed to what matters any more; this frees the entries */
	unknown.host = NULL;
	while (topics) {
		struct vd_bus_topic *t = topics;

		topics = t->next;
		while (t->subs) {
			struct sub *s = t->subs;

			t->subs = s->next;
			free(s);
		}
		while (t->providers) {
			struct vd_bus_provider *p = t->providers;

			t->providers = p->next;
			free(p);
		}
		free(t);
	}
}
