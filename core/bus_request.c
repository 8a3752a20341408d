/* Requests, their providers and conversations. Everything that is looked up while thousands log in is in a table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "core/bus_internal.h"
#include "core/fields.h"
#include "core/loop.h"
#include "core/table.h"

#define REQUESTS_MAX 65536
#define DEADLINE_MS 10000
#define PENDING_MS 120000   /* how long a human may take */
#define CONVERSATION_MS 300000
#define CONVERSATION_MAX 65536
#define MAX_PROVIDERS 32

struct ask {
	struct vd_entry by_ticket; /* in the table while it was asked and has not answered */
	struct request *request;
	struct vd_bus_provider *provider;
	char instance[64];
	uint64_t ticket;
	bool open; /* asked and not answered */
};

struct request {
	struct vd_entry by_id, by_session;
	struct vd_link all;
	uint64_t id, session, conversation;
	struct vd_bus_topic *topic;
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
	struct vd_entry by_id, by_session;
	struct vd_link age; /* the one unused longest is first */
	uint64_t id, session, used;
	struct vd_bus_provider *provider;
	char instance[64];
};

static struct {
	struct vd_table requests, of_session, tickets, conversations, talks_of_session;
	struct vd_link all, ages;
	uint64_t next_ticket, next_request, next_conversation;
} bus;

static void ask_name(const struct ask *a, char out[64])
{
	vd_format(out, 64, a->instance[0] ? "%s/%s" : "%s", a->provider ? a->provider->name : "nobody", a->instance);
}

static void conversation_drop(struct conversation *c)
{
	vd_table_del(&bus.conversations, &c->by_id);
	vd_table_del(&bus.talks_of_session, &c->by_session);
	vd_link_del(&c->age);
	free(c);
}

static struct conversation *conversation_find(uint64_t id)
{
	struct vd_entry *e;

	while (!vd_link_empty(&bus.ages)) {
		struct conversation *oldest = VD_CONTAINER_OF(bus.ages.next, struct conversation, age);

		if (vd_now() - oldest->used <= CONVERSATION_MS)
			break;
		conversation_drop(oldest);
	}
	e = vd_table_find(&bus.conversations, id);
	return e ? VD_CONTAINER_OF(e, struct conversation, by_id) : NULL;
}

static void ask_close(struct ask *a)
{
	vd_table_del(&bus.tickets, &a->by_ticket);
	a->open = false;
}

/* Out of all tables first: what a provider's cancel does then cannot find it any more. */
static void request_unlink(struct request *r)
{
	vd_table_del(&bus.requests, &r->by_id);
	vd_table_del(&bus.of_session, &r->by_session);
	vd_link_del(&r->all);
	vd_timer_stop(&r->deadline);
	for (size_t i = 0; i < r->n_asks; i++)
		vd_table_del(&bus.tickets, &r->asks[i].by_ticket);
	for (size_t i = 0; i < r->n_asks; i++) {
		struct ask *a = &r->asks[i];

		if (a->open && a->ticket && !a->provider->dead && a->provider->cancel)
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
	vd_bus_tap_all(r->topic->desc, r->data, &answer);
	r->done(r->arg, &answer);
	request_free(r);
}

static void reply_now(struct request *r, struct ask *a, enum vd_verdict verdict, const void *data,
	const struct vd_error *why);

static void ask_one(struct request *r, struct ask *a)
{
	struct vd_ask ask = { .instance = a->instance, .session = r->session, .conversation = r->conversation,
		.data = r->data };
	uint64_t began = vd_bus_clock_us();
	const char *topic = r->topic->desc->name;
	struct vd_host *host;

	if (!a->provider || a->provider->dead) {
		struct vd_error why;

		vd_error_set(&why, -ENOENT, "no plugin provides %s for %s",
			a->provider ? a->provider->name : a->instance, topic);
		reply_now(r, a, VD_UNAVAILABLE, NULL, &why);
		return;
	}
	host = a->provider->host;
	a->ticket = ask.ticket = ++bus.next_ticket;
	a->open = true;
	if (vd_table_add(&bus.tickets, &a->by_ticket, a->ticket) < 0) {
		reply_now(r, a, VD_UNAVAILABLE, NULL, NULL);
		return;
	}
	a->provider->fn(a->provider->arg, &ask);
	vd_bus_name_slow(began, topic, host);
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
		if (bus.conversations.n >= CONVERSATION_MAX || !(c = calloc(1, sizeof(*c))))
			return 0;
		vd_link_init(&c->age);
		c->session = r->session;
		c->provider = a->provider;
		vd_strcpy(c->instance, sizeof(c->instance), a->instance);
		c->id = ++bus.next_conversation;
		if (vd_table_add(&bus.conversations, &c->by_id, c->id) < 0 ||
			vd_table_add(&bus.talks_of_session, &c->by_session, c->session) < 0) {
			conversation_drop(c);
			return 0;
		}
	}
	vd_link_del(&c->age);
	vd_link_add(&bus.ages, &c->age);
	c->used = vd_now();
	return c->id;
}

static void reply_now(struct request *r, struct ask *a, enum vd_verdict verdict, const void *data,
	const struct vd_error *why)
{
	struct vd_error full;
	uint64_t conversation;
	char name[64];

	if (verdict == VD_PENDING) {
		vd_timer_start(&r->deadline, PENDING_MS);
		return;
	}
	ask_close(a);
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
		conversation = conversation_keep(r, a);
		if (!conversation) {
			vd_error_set(&full, -ENOBUFS, "too many conversations are open");
			vd_count("bus.conversations_full", 1);
		}
		request_finish(r, conversation ? verdict : VD_UNAVAILABLE, data, conversation ? NULL : &full, name,
			conversation);
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
	struct vd_entry *e = vd_table_find(&bus.tickets, ticket);

	if (!e)
		return NULL;
	*ret_ask = VD_CONTAINER_OF(e, struct ask, by_ticket);
	return (*ret_ask)->request;
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
	struct vd_entry *e = vd_table_find(&bus.requests, id);

	return e ? VD_CONTAINER_OF(e, struct request, by_id) : NULL;
}

static void run_start(struct vd_fifo_entry *entry)
{
	struct start s = *VD_CONTAINER_OF(entry, struct start, entry);
	struct request *r = request_find(s.request);

	free(VD_CONTAINER_OF(entry, struct start, entry));
	if (!r || (s.expired && vd_timer_armed(&r->deadline))) /* PENDING came in between */
		return;
	if (s.expired) {
		struct vd_error why;
		char name[64] = "";

		for (size_t i = r->n_asks; i-- > 0;)
			if (r->asks[i].open)
				ask_name(&r->asks[i], name);
		vd_error_set(&why, -ETIMEDOUT, "%s did not answer in time", name);
		vd_count("bus.deadline", 1);
		request_finish(r, VD_UNAVAILABLE, NULL, &why, name, 0);
		return;
	}
	vd_bus_tap_all(r->topic->desc, r->data, NULL);
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

static struct vd_bus_provider *provider_find(struct vd_bus_topic *t, const char *name, size_t len)
{
	for (struct vd_bus_provider *p = t->providers; p; p = p->next)
		if (!p->dead && strlen(p->name) == len && memcmp(p->name, name, len) == 0)
			return p;
	return NULL;
}

static void pick_providers(struct request *r, struct vd_bus_topic *t, const struct vd_request_opts *o)
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
		for (struct vd_bus_provider *p = t->providers; p && r->n_asks < MAX_PROVIDERS; p = p->next)
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
	struct vd_bus_topic *t = vd_bus_topic_of(desc);
	struct start *s = calloc(1, sizeof(*s));
	struct request *r = calloc(1, sizeof(*r) + desc->size);

	if (!s || !r || !t || bus.requests.n >= REQUESTS_MAX || desc->kind != VD_REQUEST ||
		vd_fields_copy(desc->fields, desc->n_fields, r->data, data, desc->size) < 0) {
		free(s);
		free(r);
		return 0;
	}
	r->id = ++bus.next_request;
	r->topic = t;
	r->mode = o->mode;
	r->flags = o->flags;
	r->session = o->session;
	r->conversation = o->conversation;
	r->best = VD_PASS;
	r->done = done;
	r->arg = arg;
	vd_link_init(&r->all);
	if (vd_table_add(&bus.requests, &r->by_id, r->id) < 0 ||
		vd_table_add(&bus.of_session, &r->by_session, r->session) < 0) {
		request_unlink(r);
		request_free(r);
		free(s);
		return 0;
	}
	vd_link_add(&bus.all, &r->all);
	pick_providers(r, t, o);
	for (size_t i = 0; i < r->n_asks; i++)
		r->asks[i].request = r;
	vd_timer_init(&r->deadline, on_deadline);
	vd_timer_start(&r->deadline, o->deadline_ms ? o->deadline_ms : DEADLINE_MS);
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
	struct vd_entry *e;

	/* A provider's cancel may cancel others: look again each time. */
	while (session && (e = vd_table_find(&bus.of_session, session)))
		vd_request_cancel(VD_CONTAINER_OF(e, struct request, by_session)->id);
	while (session && (e = vd_table_find(&bus.talks_of_session, session)))
		conversation_drop(VD_CONTAINER_OF(e, struct conversation, by_session));
}

size_t vd_bus_open_requests(uint64_t session)
{
	size_t n = 0;

	if (!session)
		return bus.requests.n;
	for (struct vd_entry *e = vd_table_find(&bus.of_session, session); e; e = vd_table_again(e))
		n++;
	return n;
}

int vd_provide(struct vd_host *host, const char *topic, const char *name,
	void (*fn)(void *arg, const struct vd_ask *ask), void (*cancel)(void *arg, uint64_t ticket), void *arg)
{
	struct vd_bus_topic *t = vd_bus_topic_by_name(topic);
	struct vd_bus_provider *p, **at;

	if (!t || t->desc->kind != VD_REQUEST)
		return vd_bus_no_topic(host, topic, VD_REQUEST);
	if (provider_find(t, name, strlen(name)))
		return -EEXIST;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct vd_bus_provider){ .host = host, .fn = fn, .cancel = cancel, .arg = arg };
	vd_strcpy(p->name, sizeof(p->name), name);
	/* By name, so that load order never decides. */
	for (at = &t->providers; *at && strcmp((*at)->name, name) < 0; at = &(*at)->next)
		;
	p->next = *at;
	*at = p;
	return 0;
}


/* ---- start and end ---- */
void vd_bus_requests_init(void)
{
	vd_table_init(&bus.requests);
	vd_table_init(&bus.of_session);
	vd_table_init(&bus.tickets);
	vd_table_init(&bus.conversations);
	vd_table_init(&bus.talks_of_session);
	vd_link_init(&bus.all);
	vd_link_init(&bus.ages);
}

void vd_bus_requests_forget(const struct vd_host *host)
{
	struct vd_error why;

	vd_error_set(&why, -ECANCELED, "plugin %s has ended", vd_host_name(host));
	for (struct vd_link *l = bus.all.next; l != &bus.all; l = l->next) {
		struct request *r = VD_CONTAINER_OF(l, struct request, all);

		for (size_t i = 0; i < r->n_asks; i++)
			if (r->asks[i].open && r->asks[i].ticket && r->asks[i].provider->host == host)
				vd_reply(r->asks[i].ticket, VD_UNAVAILABLE, NULL, &why);
	}
}

void vd_bus_cancel_all(void)
{
	while (!vd_link_empty(&bus.all))
		vd_request_cancel(VD_CONTAINER_OF(bus.all.next, struct request, all)->id);
	while (!vd_link_empty(&bus.ages))
		conversation_drop(VD_CONTAINER_OF(bus.ages.next, struct conversation, age));
}

void vd_bus_requests_fini(void)
{
	vd_bus_cancel_all();
	vd_table_fini(&bus.requests);
	vd_table_fini(&bus.of_session);
	vd_table_fini(&bus.tickets);
	vd_table_fini(&bus.conversations);
	vd_table_fini(&bus.talks_of_session);
	memset(&bus, 0, sizeof(bus));
}
