/* The message bus: topics, events, requests and their providers. All of it on the control thread, through one FIFO. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/bus.h"
#include "core/fields.h"
#include "core/loop.h"
#include "core/plugin.h"

#define FIFO_MAX 65536
#define DEADLINE_MS 10000
#define PENDING_MS 120000   /* how long a human may take */
#define CONVERSATION_MS 300000
#define CONVERSATION_MAX 65536
#define HANDLER_SLOW_US 5000
#define MAX_PROVIDERS 32

struct sub {
	struct sub *next;
	struct vd_host *host;
	void (*fn)(void *arg, const void *event);
	void *arg;
	bool dead;
};

struct provider {
	struct provider *next;
	struct vd_host *host;
	char name[64];
	void (*fn)(void *arg, const struct vd_ask *ask);
	void (*cancel)(void *arg, uint64_t ticket);
	void *arg;
	bool dead; /* its plugin is gone: kept until the bus ends, because requests may point to it */
};

struct topic {
	struct topic *next;
	const struct vd_topic *desc;
	struct sub *subs;
	struct provider *providers;
	struct event *pending; /* undelivered, of coalescing topics */
};

struct vd_tap {
	struct vd_tap *next;
	void (*fn)(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer);
	void *arg;
};

static struct topic *topics;
static struct vd_tap *taps;
static uint64_t next_ticket, next_request, next_conversation;

static struct topic *topic_by_name(const char *name)
{
	for (struct topic *t = topics; t; t = t->next)
		if (strcmp(t->desc->name, name) == 0)
			return t;
	return NULL;
}

static struct topic *topic_of(const struct vd_topic *desc)
{
	for (struct topic *t = topics; t; t = t->next)
		if (t->desc == desc)
			return t;
	return NULL;
}

int vd_bus_topic(const struct vd_topic *desc)
{
	struct topic *t, **end = &topics;

	if ((t = topic_by_name(desc->name)))
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

static void tap_all(const struct vd_topic *desc, const void *data, const struct vd_answer *answer)
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

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void name_slow(uint64_t began_us, const char *topic, struct vd_host *host)
{
	static struct vd_log_limit limit = VD_LOG_LIMIT(5, 60000);
	uint64_t took = clock_us() - began_us;

	if (took <= HANDLER_SLOW_US || vd_loop_ops()->fake)
		return;
	vd_count("bus.slow_handler", 1);
	vd_log_limited(&limit, VD_LOG_WARNING, "bus", NULL, "%s took %llu ms for %s; it holds up everybody",
		host ? vd_host_name(host) : "the core", (unsigned long long)(took / 1000), topic);
}

/* ---- events ---- */
struct event {
	struct vd_fifo_entry entry;
	struct topic *topic;
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

static void sweep_subs(struct topic *t)
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
	struct topic *t = e->topic;

	if (t->desc->pressure == VD_PRESSURE_COALESCE)
		unlink_pending(e);
	tap_all(t->desc, e->data, NULL);
	for (struct sub *s = t->subs; s; s = s->next) {
		uint64_t began = clock_us();

		if (s->dead)
			continue;
		s->fn(s->arg, e->data);
		name_slow(began, t->desc->name, s->host);
	}
	sweep_subs(t);
	event_free(e);
}

/* An undelivered event about the same object gets the new contents instead of a second entry. */
static bool coalesce(struct topic *t, const void *data)
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
	struct topic *t = topic_of(desc);
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

int vd_event_subscribe(struct vd_host *host, const char *name, void (*fn)(void *arg, const void *event), void *arg)
{
	struct topic *t = topic_by_name(name);
	struct sub *s, **end;

	if (!t || t->desc->kind != VD_EVENT)
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct sub){ .host = host, .fn = fn, .arg = arg };
	for (end = &t->subs; *end; end = &(*end)->next)
		;
	*end = s;
	return 0;
}

/* ---- requests ---- */
struct ask {
	struct provider *provider;
	char instance[64];
	uint64_t ticket;
	bool open; /* asked and not answered */
};

struct request {
	struct request *next;
	uint64_t id, session, conversation;
	struct topic *topic;
	enum vd_request_mode mode;
	uint32_t flags;
	struct ask asks[MAX_PROVIDERS];
	size_t n_asks, at; /* VD_FIRST: the one that is asked */
	enum vd_verdict best; /* VD_ALL: combined so far; VD_FIRST: of those that were not available */
	struct vd_error why;
	char why_provider[64];
	struct vd_timer deadline;
	void (*done)(void *arg, const struct vd_answer *answer);
	void *arg;
	_Alignas(max_align_t) unsigned char data[];
};

/* Who said CONTINUE: later rounds go to the same provider and instance. */
struct conversation {
	struct conversation *next;
	uint64_t id, session, used;
	struct provider *provider;
	char instance[64];
};

static struct request *requests;
static struct conversation *conversations;
static size_t n_conversations;

static void ask_name(const struct ask *a, char out[64])
{
	vd_format(out, 64, a->instance[0] ? "%s/%s" : "%s", a->provider ? a->provider->name : "nobody", a->instance);
}

static void conversation_drop(struct conversation **p)
{
	struct conversation *c = *p;

	*p = c->next;
	n_conversations--;
	free(c);
}

static struct conversation *conversation_find(uint64_t id)
{
	uint64_t now = vd_now();

	for (struct conversation **p = &conversations; *p;) {
		if (now - (*p)->used > CONVERSATION_MS) {
			conversation_drop(p);
			continue;
		}
		if ((*p)->id == id)
			return *p;
		p = &(*p)->next;
	}
	return NULL;
}

static void request_unlink(struct request *r)
{
	for (struct request **p = &requests; *p; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			break;
		}
	}
	vd_timer_stop(&r->deadline);
	for (size_t i = 0; i < r->n_asks; i++) {
		struct ask *a = &r->asks[i];

		if (a->open && a->provider && !a->provider->dead && a->provider->cancel)
			a->provider->cancel(a->provider->arg, a->ticket);
		a->open = false;
	}
}

static void request_free(struct request *r)
{
	vd_fields_free(r->topic->desc->fields, r->topic->desc->n_fields, r->data, r->topic->desc->size);
	free(r);
}

/* Delivers the answer; called from the FIFO only. */
static void request_finish(struct request *r, enum vd_verdict verdict, const void *data, const struct vd_error *why,
	const char *provider, uint64_t conversation)
{
	struct vd_answer answer = { .verdict = verdict, .conversation = conversation };

	if (verdict == VD_ACCEPT || verdict == VD_CONTINUE)
		answer.data = data;
	if (why)
		answer.why = *why;
	vd_strcpy(answer.provider, sizeof(answer.provider), provider);
	request_unlink(r);
	tap_all(r->topic->desc, r->data, &answer);
	r->done(r->arg, &answer);
	request_free(r);
}

static void reply_now(struct request *r, struct ask *a, enum vd_verdict verdict, const void *data,
	const struct vd_error *why);

static void ask_one(struct request *r, struct ask *a)
{
	struct vd_ask ask = { .instance = a->instance, .session = r->session, .conversation = r->conversation,
		.data = r->data };
	uint64_t began = clock_us();
	const char *topic = r->topic->desc->name;
	struct vd_host *host;

	if (!a->provider || a->provider->dead) {
		struct vd_error why;

		vd_error_set(&why, -ENOENT, "no plugin provides %s for %s", a->instance, topic);
		reply_now(r, a, VD_UNAVAILABLE, NULL, &why);
		return;
	}
	host = a->provider->host;
	a->ticket = ask.ticket = ++next_ticket;
	a->open = true;
	a->provider->fn(a->provider->arg, &ask);
	name_slow(began, topic, host);
}

/* The next to ask after one that was not available: another instance of the same provider always, another provider only
 * where the realm says so. After a PASS: simply the next. */
static bool next_allowed(const struct request *r, enum vd_verdict last)
{
	if (r->at + 1 >= r->n_asks)
		return false;
	return last == VD_PASS || (r->flags & VD_REQUEST_FALLBACK) ||
		r->asks[r->at + 1].provider == r->asks[r->at].provider;
}

static void first_continue(struct request *r, struct ask *a, enum vd_verdict verdict, const struct vd_error *why)
{
	if (verdict == VD_UNAVAILABLE && r->best != VD_UNAVAILABLE) {
		r->best = VD_UNAVAILABLE;
		if (why)
			r->why = *why;
		ask_name(a, r->why_provider);
	}
	if (next_allowed(r, verdict)) {
		r->at++;
		ask_one(r, &r->asks[r->at]);
		return;
	}
	request_finish(r, r->best, NULL, &r->why, r->why_provider, 0);
}

static void all_continue(struct request *r, struct ask *a, enum vd_verdict verdict, const struct vd_error *why)
{
	static const int rank[] = { [VD_PASS] = 0, [VD_ACCEPT] = 1, [VD_CONTINUE] = 1, [VD_PENDING] = 1,
		[VD_UNAVAILABLE] = 2, [VD_REJECT] = 3 };

	if (rank[verdict] > rank[r->best]) {
		r->best = verdict;
		if (why)
			r->why = *why;
		ask_name(a, r->why_provider);
	}
	if (r->best != VD_REJECT)
		for (size_t i = 0; i < r->n_asks; i++)
			if (r->asks[i].open)
				return;
	request_finish(r, r->best == VD_PASS ? VD_ACCEPT : r->best, NULL, &r->why, r->why_provider, 0);
}

static uint64_t conversation_keep(struct request *r, const struct ask *a)
{
	struct conversation *c = r->conversation ? conversation_find(r->conversation) : NULL;

	if (!c) {
		if (n_conversations >= CONVERSATION_MAX || !(c = calloc(1, sizeof(*c))))
			return 0;
		c->id = ++next_conversation;
		c->session = r->session;
		c->provider = a->provider;
		vd_strcpy(c->instance, sizeof(c->instance), a->instance);
		c->next = conversations;
		conversations = c;
		n_conversations++;
	}
	c->used = vd_now();
	return c->id;
}

static void reply_now(struct request *r, struct ask *a, enum vd_verdict verdict, const void *data,
	const struct vd_error *why)
{
	char name[64];

	if (verdict == VD_PENDING) {
		vd_timer_start(&r->deadline, PENDING_MS);
		return;
	}
	a->open = false;
	ask_name(a, name);
	if (r->mode == VD_ALL) {
		all_continue(r, a, verdict, why);
		return;
	}
	switch (verdict) {
	case VD_PASS:
	case VD_UNAVAILABLE:
		first_continue(r, a, verdict, why);
		return;
	case VD_CONTINUE:
		request_finish(r, verdict, data, NULL, name, conversation_keep(r, a));
		return;
	default:
		request_finish(r, verdict, data, why, name, 0);
		return;
	}
}

/* ---- replies travel through the FIFO ---- */
struct reply {
	struct vd_fifo_entry entry;
	const struct vd_topic *desc;
	uint64_t ticket;
	enum vd_verdict verdict;
	bool has_data;
	struct vd_error why;
	_Alignas(max_align_t) unsigned char data[];
};

static struct request *request_of_ticket(uint64_t ticket, struct ask **ret_ask)
{
	for (struct request *r = requests; r; r = r->next) {
		for (size_t i = 0; i < r->n_asks; i++) {
			if (r->asks[i].open && r->asks[i].ticket == ticket) {
				*ret_ask = &r->asks[i];
				return r;
			}
		}
	}
	return NULL;
}

static void run_reply(struct vd_fifo_entry *entry)
{
	struct reply *reply = VD_CONTAINER_OF(entry, struct reply, entry);
	struct ask *ask = NULL;
	struct request *r = request_of_ticket(reply->ticket, &ask);

	if (r)
		reply_now(r, ask, reply->verdict, reply->has_data ? reply->data : NULL, &reply->why);
	else
		vd_count("bus.late_answer", 1);
	if (reply->has_data)
		vd_fields_free(reply->desc->answer_fields, reply->desc->n_answer_fields, reply->data,
			reply->desc->answer_size);
	free(reply);
}

void vd_reply(uint64_t ticket, enum vd_verdict verdict, const void *answer, const struct vd_error *why)
{
	struct ask *ask = NULL;
	struct request *r = request_of_ticket(ticket, &ask);
	const struct vd_topic *desc;
	struct reply *reply;

	if (!r) {
		vd_count("bus.late_answer", 1);
		return;
	}
	desc = r->topic->desc;
	reply = calloc(1, sizeof(*reply) + desc->answer_size);
	if (!reply)
		return; /* the deadline answers */
	reply->entry.run = run_reply;
	reply->desc = desc;
	reply->ticket = ticket;
	reply->verdict = verdict;
	if (why)
		reply->why = *why;
	if (answer && desc->answer_size && (verdict == VD_ACCEPT || verdict == VD_CONTINUE)) {
		if (vd_fields_copy(desc->answer_fields, desc->n_answer_fields, reply->data, answer, desc->answer_size) < 0) {
			free(reply);
			return;
		}
		reply->has_data = true;
	}
	vd_fifo_push(&reply->entry);
}

/* ---- asking ---- */
struct start {
	struct vd_fifo_entry entry;
	uint64_t request;
	bool expired;
};

static struct request *request_find(uint64_t id)
{
	for (struct request *r = requests; r; r = r->next)
		if (r->id == id)
			return r;
	return NULL;
}

static void run_start(struct vd_fifo_entry *entry)
{
	struct start s = *VD_CONTAINER_OF(entry, struct start, entry);
	struct request *r = request_find(s.request);

	free(VD_CONTAINER_OF(entry, struct start, entry));
	if (!r)
		return;
	if (s.expired) {
		struct vd_error why;
		char name[64] = "";

		if (r->n_asks)
			ask_name(&r->asks[r->at], name);
		vd_error_set(&why, -ETIMEDOUT, "%s did not answer in time", name);
		vd_count("bus.deadline", 1);
		request_finish(r, VD_UNAVAILABLE, NULL, &why, name, 0);
		return;
	}
	tap_all(r->topic->desc, r->data, NULL);
	if (r->n_asks == 0) {
		struct vd_error why;

		vd_error_set(&why, -ENOENT, "no plugin answers %s", r->topic->desc->name);
		request_finish(r, r->mode == VD_ALL ? VD_ACCEPT : VD_PASS, NULL, &why, "", 0);
		return;
	}
	if (r->mode == VD_FIRST) {
		ask_one(r, &r->asks[0]);
		return;
	}
	/* One that answers REJECT by its absence ends the request: look it up again each time. */
	for (size_t i = 0; i < r->n_asks; i++)
		r->asks[i].open = true;
	for (size_t i = 0; (r = request_find(s.request)) && i < r->n_asks; i++)
		ask_one(r, &r->asks[i]);
}

static void on_deadline(struct vd_timer *t)
{
	struct request *r = VD_CONTAINER_OF(t, struct request, deadline);
	struct start *s = calloc(1, sizeof(*s));

	if (!s) {
		vd_timer_start(t, 1000);
		return;
	}
	s->entry.run = run_start;
	s->request = r->id;
	s->expired = true;
	vd_fifo_push(&s->entry);
}

static struct provider *provider_find(struct topic *t, const char *name, size_t len)
{
	for (struct provider *p = t->providers; p; p = p->next)
		if (!p->dead && strlen(p->name) == len && memcmp(p->name, name, len) == 0)
			return p;
	return NULL;
}

static void pick_providers(struct request *r, struct topic *t, const struct vd_request_opts *o)
{
	if (o->conversation) {
		struct conversation *c = conversation_find(o->conversation);

		if (c) {
			r->asks[0].provider = c->provider;
			vd_strcpy(r->asks[0].instance, sizeof(r->asks[0].instance), c->instance);
			r->n_asks = 1;
			return;
		}
	}
	if (!o->providers) {
		for (struct provider *p = t->providers; p && r->n_asks < MAX_PROVIDERS; p = p->next)
			if (!p->dead)
				r->asks[r->n_asks++].provider = p;
		return;
	}
	for (size_t i = 0; o->providers[i] && r->n_asks < MAX_PROVIDERS; i++) {
		const char *name = o->providers[i], *slash = strchr(name, '/');
		struct ask *a = &r->asks[r->n_asks++];

		a->provider = provider_find(t, name, slash ? (size_t)(slash - name) : strlen(name));
		vd_strcpy(a->instance, sizeof(a->instance), a->provider ? (slash ? slash + 1 : "") : name);
	}
}

uint64_t vd_request(const struct vd_topic *desc, const void *data, const struct vd_request_opts *opts,
	void (*done)(void *arg, const struct vd_answer *answer), void *arg)
{
	static const struct vd_request_opts none;
	const struct vd_request_opts *o = opts ? opts : &none;
	struct topic *t = topic_of(desc);
	struct start *s = calloc(1, sizeof(*s));
	struct request *r = calloc(1, sizeof(*r) + desc->size);

	if (!s || !r || !t || desc->kind != VD_REQUEST ||
		vd_fields_copy(desc->fields, desc->n_fields, r->data, data, desc->size) < 0) {
		free(s);
		free(r);
		return 0;
	}
	r->id = ++next_request;
	r->topic = t;
	r->mode = o->mode;
	r->flags = o->flags;
	r->session = o->session;
	r->conversation = o->conversation;
	r->best = VD_PASS;
	r->done = done;
	r->arg = arg;
	pick_providers(r, t, o);
	vd_timer_init(&r->deadline, on_deadline);
	vd_timer_start(&r->deadline, o->deadline_ms ? o->deadline_ms : DEADLINE_MS);
	r->next = requests;
	requests = r;
	s->entry.run = run_start;
	s->request = r->id;
	vd_fifo_push(&s->entry);
	return r->id;
}

void vd_request_cancel(uint64_t id)
{
	struct request *r = request_find(id);

	if (!r)
		return;
	request_unlink(r);
	request_free(r);
}

void vd_request_cancel_session(uint64_t session)
{
	for (struct request *r = requests, *next; r; r = next) {
		next = r->next;
		if (session && r->session == session) {
			request_unlink(r);
			request_free(r);
			next = requests; /* a provider's cancel may have cancelled others */
		}
	}
	for (struct conversation **p = &conversations; *p;) {
		if (session && (*p)->session == session)
			conversation_drop(p);
		else
			p = &(*p)->next;
	}
}

size_t vd_bus_open_requests(uint64_t session)
{
	size_t n = 0;

	for (struct request *r = requests; r; r = r->next)
		n += session == 0 || r->session == session;
	return n;
}

int vd_provide(struct vd_host *host, const char *topic, const char *name,
	void (*fn)(void *arg, const struct vd_ask *ask), void (*cancel)(void *arg, uint64_t ticket), void *arg)
{
	struct topic *t = topic_by_name(topic);
	struct provider *p, **at;

	if (!t || t->desc->kind != VD_REQUEST)
		return -ENOENT;
	if (provider_find(t, name, strlen(name)))
		return -EEXIST;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct provider){ .host = host, .fn = fn, .cancel = cancel, .arg = arg };
	vd_strcpy(p->name, sizeof(p->name), name);
	/* By name, so that load order never decides. */
	for (at = &t->providers; *at && strcmp((*at)->name, name) < 0; at = &(*at)->next)
		;
	p->next = *at;
	*at = p;
	return 0;
}

/* What a finished plugin registered is forgotten; requests it holds are left to their deadline. */
static void forget_host(struct vd_host *host)
{
	for (struct topic *t = topics; t; t = t->next) {
		for (struct sub *s = t->subs; s; s = s->next)
			s->dead |= s->host == host;
		for (struct provider *p = t->providers; p; p = p->next)
			p->dead |= p->host == host;
	}
}

int vd_bus_init(void)
{
	int r;

	for (size_t i = 0; vd_core_topics[i]; i++)
		if ((r = vd_bus_topic(vd_core_topics[i])) < 0)
			return r;
	return vd_on_host_fini(forget_host);
}

void vd_bus_fini(void)
{
	while (requests) {
		struct request *r = requests;

		request_unlink(r);
		request_free(r);
	}
	while (conversations)
		conversation_drop(&conversations);
	while (taps)
		vd_bus_untap(taps);
	vd_fifo_drain(); /* nobody is subscribed to what matters any more; this frees the entries */
	while (topics) {
		struct topic *t = topics;

		topics = t->next;
		while (t->subs) {
			struct sub *s = t->subs;

			t->subs = s->next;
			free(s);
		}
		while (t->providers) {
			struct provider *p = t->providers;

			t->providers = p->next;
			free(p);
		}
		free(t);
	}
	next_ticket = next_request = next_conversation = 0;
}
