/* The connections that we dial: see connect.h. */
#include "core/connect/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/conf.h>
#include <viaduct/connect.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "core/table.h"

#define WAIT_FIRST 1000u
#define WAIT_MOST 60000u
#define STEADY_MS 30000u /* up for so long, it counts as one that works: its attempts begin anew */

typedef void done_fn(void *arg, const struct vd_dial_status *status, const struct vd_error *err);

struct waiter { /* somebody who asked for up or down */
	struct vd_link all;
	done_fn *done;
	void *arg;
};

struct dial {
	struct vd_link all, waiters;
	char name[VD_NAME_MAX];
	enum vd_dial_state state;
	uint64_t since;
	bool keep;     /* another attempt follows a failure: it has been up, or is one of the boot */
	bool gone;     /* from the configuration */
	bool reported; /* this attempt: setup_failed has said why */
	bool holds;    /* since it was down: a session of it may have made its routes lead nowhere else */
	bool held;     /* it has been up, and they do */
	uint64_t way;  /* the request held_way that is waited for; 0: none */
	char peer[256];                  /* its name, as looked up last, */
	struct vd_ip ips[VD_LOOKUP_MAX]; /* and its addresses, as found last */
	size_t n_ips;
	const struct vd_connect_1 *by;
	uint64_t id;   /* of by; 0: nothing is open there */
	uint64_t session;
	struct vd_lookup *lookup;
	struct vd_sa gateway;
	struct vd_ip from; /* our outer address */
	unsigned turn, turns; /* which of the addresses of its name, from 0, of how many */
	unsigned failures;
	char reason[VD_ID_TEXT];
	struct vd_timer timer; /* the next attempt */
};

static struct {
	bool ready, stopped;
	struct vd_link all;
} reg;

const char *vd_dial_state_name(enum vd_dial_state state)
{
	static const char *const names[] = { "down", "dialling", "up", "waiting", "ending" };

	return (size_t)state < VD_ARRAY_SIZE(names) ? names[state] : "unknown";
}

static struct dial *next_of(const struct dial *d)
{
	struct vd_link *l = d ? d->all.next : reg.ready ? reg.all.next : &reg.all;

	return l == &reg.all ? NULL : VD_CONTAINER_OF(l, struct dial, all);
}

static struct dial *find(const char *name)
{
	for (struct dial *d = next_of(NULL); d; d = next_of(d))
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

static const struct vd_conf_node *conf_of(const struct dial *d)
{
	const struct vd_conf_node *all = vd_conf_at(vd_conf_current(), NULL, "connections");

	return all ? vd_conf_child(all, d->name) : NULL;
}

static const char *option(const struct dial *d, const char *name)
{
	const struct vd_conf_node *node = conf_of(d);

	return node ? vd_conf_str(vd_conf_at(vd_conf_current(), node, name)) : NULL;
}

static void fill(const struct dial *d, struct vd_dial_status *s)
{
	const struct vd_session *session = d->session ? vd_session_find(d->session) : NULL;

	*s = (struct vd_dial_status){ .state = d->state, .since = d->since, .session = d->session,
		.gateway = d->gateway, .failures = d->failures, .turn = d->turns ? d->turn + 1 : 0, .turns = d->turns };
	vd_strcpy(s->name, sizeof(s->name), d->name);
	vd_strcpy(s->reason, sizeof(s->reason), d->reason);
	if (session)
		s->address = session->lease4.address;
	if (d->state == VD_DIAL_UP && (!session || session->state >= VD_S_CLOSING))
		s->state = VD_DIAL_ENDING; /* its goodbye is on the way */
	if (d->state == VD_DIAL_WAITING)
		s->next_ms = vd_timer_left(&d->timer);
}

static void enter(struct dial *d, enum vd_dial_state state)
{
	if (state == VD_DIAL_DOWN) {
		if (d->holds)
			vd_hold_free(d->name);
		d->holds = d->held = false;
	}
	d->state = state;
	d->since = vd_now();
}

/* Everybody who waits hears how it stands; whoever asks again in the meantime waits anew. */
static void tell(struct dial *d, const struct vd_error *err)
{
	struct vd_dial_status status;
	struct vd_link asked;

	fill(d, &status);
	vd_link_init(&asked);
	while (!vd_link_empty(&d->waiters)) {
		struct vd_link *l = d->waiters.next;

		vd_link_del(l);
		vd_link_add(&asked, l);
	}
	while (!vd_link_empty(&asked)) {
		struct waiter *w = VD_CONTAINER_OF(asked.next, struct waiter, all);

		vd_link_del(&w->all);
		w->done(w->arg, &status, err);
		free(w);
	}
}

/* What is under way before anything was sent. */
static void stop_attempt(struct dial *d)
{
	vd_timer_stop(&d->timer);
	vd_lookup_cancel(d->lookup);
	vd_request_cancel(d->way);
	d->lookup = NULL;
	d->way = 0;
}

static void dial_free(struct dial *d)
{
	struct vd_error err;

	vd_link_del(&d->all);
	stop_attempt(d);
	vd_error_set(&err, -ECANCELED, "the gateway stops");
	tell(d, &err); /* whoever still waits: his request is to be freed */
	free(d);
}

/* ---- an attempt ends ---- */
static void report(const struct dial *d)
{
	struct vd_sa gateway = d->gateway;
	char at[128];

	vd_report_failure(&(struct vd_report){ .kind = &vd_fail_other, .stage = "dial", .connection = d->name,
		.dialled = true, .remote = gateway.ip.family ? &gateway : NULL, .difference = d->reason,
		.origin = vd_conf_origin(conf_of(d), at, sizeof(at)) });
}

static uint64_t backoff(const struct dial *d)
{
	uint64_t ms = WAIT_FIRST;
	uint32_t chance;

	for (unsigned i = 1; i < d->failures && ms < WAIT_MOST; i++)
		ms *= 2;
	ms = ms < WAIT_MOST ? ms : WAIT_MOST;
	vd_random_seen("chance", &chance, sizeof(chance));
	return ms * 3 / 4 + chance % (ms / 2 + 1);
}

static void ended(struct dial *d, const char *reason)
{
	bool was_up = d->state == VD_DIAL_UP, wanted = d->state != VD_DIAL_ENDING && !reg.stopped && !d->gone;
	uint64_t lasted = vd_now() - d->since;
	struct vd_error err;

	d->id = d->session = 0;
	vd_strcpy(d->reason, sizeof(d->reason), reason);
	vd_error_set(&err, -ECONNABORTED, "%s", d->reason);
	if (wanted && !was_up && !d->reported)
		report(d);
	if (wanted && !was_up && d->turn + 1 < d->turns) {
		vd_log(VD_LOG_NOTICE, "connect", NULL, "connection %s: %s; its next address is dialled", d->name, d->reason);
		d->turn++;
		vd_timer_start(&d->timer, 0);
		return;
	}
	d->turn = 0;
	d->failures = was_up && lasted >= STEADY_MS ? 1 : d->failures + 1;
	if (wanted && d->keep) {
		uint64_t ms = backoff(d);

		enter(d, VD_DIAL_WAITING);
		vd_timer_start(&d->timer, ms);
		vd_log(VD_LOG_NOTICE, "connect", NULL, "connection %s: %s; the next attempt is in %llu.%llu s%s", d->name,
			d->reason, (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 100),
			d->held ? "; until it is up, its routes are unreachable" : "");
	} else {
		enter(d, VD_DIAL_DOWN);
		vd_log(VD_LOG_NOTICE, "connect", NULL, "connection %s is down: %s", d->name, d->reason);
	}
	if (!wanted)
		d->failures = 0;
	tell(d, wanted ? &err : NULL);
	if (d->gone && d->state == VD_DIAL_DOWN)
		dial_free(d);
}

/* ---- an attempt ---- */
static struct dial *dial_of(uint64_t id)
{
	for (struct dial *d = next_of(NULL); d; d = next_of(d))
		if (d->id == id)
			return d;
	return NULL;
}

static void on_up(void *arg, uint64_t id, uint64_t session)
{
	struct dial *d = dial_of(id);

	(void)arg;
	if (!d || d->state != VD_DIAL_DIALLING)
		return;
	enter(d, VD_DIAL_UP);
	d->session = session;
	d->turn = 0; /* of the next attempt */
	d->keep = true;
	d->held = vd_connect_holds(vd_conf_current(), conf_of(d));
	d->holds |= d->held; /* the configuration may be another one since it was dialled */
	d->reason[0] = '\0';
	tell(d, NULL);
}

static void on_ended(void *arg, uint64_t id, const char *reason)
{
	struct dial *d = dial_of(id);

	(void)arg;
	if (d)
		ended(d, reason);
}
static const struct vd_connect_events events = { on_up, on_ended };

/* IKEv1 knows a caller by address and identity: the second one would take the first one's place at the gateway, the
 * first would dial again and take the second's, and so on. */
static const struct dial *in_the_way(const struct dial *d, const struct vd_path *path)
{
	for (const struct dial *o = next_of(NULL); o; o = next_of(o))
		if (o != d && o->id && vd_ip_equal(&o->gateway.ip, &path->remote.ip) &&
			vd_ip_equal(&o->from, &path->local.ip))
			return o;
	return NULL;
}

/* The address to dial now: of those that can be dialled from our addresses, the next one in turn. */
static int choose(struct dial *d, const char *local, const struct vd_ip *ips, size_t n, struct vd_path *ret_path, struct vd_error *err)
{
	struct vd_path paths[VD_LOOKUP_MAX];
	struct vd_error why;
	unsigned good = 0;
	int first = 0, res;

	for (size_t i = 0; i < n; i++) {
		res = vd_dial_path(local, &ips[i], &paths[good], first ? &why : err);
		good += res == 0;
		first = first ? first : res;
	}
	d->turns = good;
	d->turn = d->turn < good ? d->turn : 0;
	d->gateway = (struct vd_sa){ .ip = good ? paths[d->turn].remote.ip : ips[0], .port = 500 };
	if (!good)
		return first;
	*ret_path = paths[d->turn];
	return 0;
}

static void call(struct dial *d)
{
	const struct vd_conf_node *node = conf_of(d);
	const struct vd_conf_node *words = node ? vd_conf_at(vd_conf_current(), node, "connect") : NULL;
	const char *word = vd_conf_str(vd_conf_nth(words, 0)), *local = option(d, "local");
	const struct dial *other = NULL;
	struct vd_path path;
	struct vd_error err = { 0 };
	char text[VD_SA_TEXT], which[32] = "";
	int res;

	d->by = word ? vd_service_find("connect/1", word) : NULL;
	if (!d->by)
		res = vd_error_set(&err, -ENOTSUP, "no plugin dials %s", word ? word : "this");
	else
		res = choose(d, local, d->ips, d->n_ips, &path, &err);
	if (res == 0 && (other = in_the_way(d, &path)))
		res = vd_error_set(&err, -EADDRINUSE, "connection %s has this gateway from this address already: "
			"give one of both another `local`", other->name);
	if (res == 0)
		d->from = path.local.ip;
	d->holds |= vd_connect_holds(vd_conf_current(), node);
	if (res == 0)
		res = d->by->up(d->by->self, d->name, &path, &events, NULL, &d->id, &err);
	if (res < 0) {
		ended(d, err.text[0] ? err.text : strerror(-res));
		return;
	}
	if (d->turns > 1)
		vd_format(which, sizeof(which), ", address %u of %u", d->turn + 1, d->turns);
	vd_log(VD_LOG_INFO, "connect", NULL, "connection %s: dialling %s%s", d->name, vd_sa_format(&d->gateway, text), which);
}

static void on_way(void *arg, const struct vd_answer *answer)
{
	struct dial *d = arg;

	(void)answer;
	d->way = 0;
	call(d);
}

static void found(void *arg, const struct vd_ip *ips, size_t n, const struct vd_error *failed)
{
	struct dial *d = arg;

	d->lookup = NULL;
	/* The name server may be among what is held: then its last answer has to do. */
	if (failed && !(d->held && d->n_ips)) {
		d->turns = 0;
		ended(d, failed->text);
		return;
	}
	if (failed) {
		vd_log(VD_LOG_NOTICE, "connect", NULL, "connection %s: %s; the last addresses of that name are dialled", d->name, failed->text);
	} else {
		d->n_ips = n;
		memcpy(d->ips, ips, n * sizeof(*ips));
	}
	d->way = d->held ? vd_hold_ask(d->name, d->ips, d->n_ips, on_way, d) : 0;
	if (!d->way)
		call(d);
}

static void dial_now(struct dial *d)
{
	const char *peer = option(d, "peer");

	vd_timer_stop(&d->timer);
	enter(d, VD_DIAL_DIALLING);
	d->reported = false;
	if (!peer || !peer[0]) {
		ended(d, "it has no peer: write the gateway's address or name there");
		return;
	}
	if (strcmp(d->peer, peer) != 0) /* another one since a reload */
		d->n_ips = 0;
	vd_strcpy(d->peer, sizeof(d->peer), peer);
	d->lookup = vd_lookup_new(peer, found, d);
	if (!d->lookup)
		ended(d, "no memory, or no thread, to look its peer up");
}

static void on_timer(struct vd_timer *t)
{
	dial_now(VD_CONTAINER_OF(t, struct dial, timer));
}

/* ---- what others say ---- */
static void on_setup_failed(void *arg, const void *event)
{
	const struct vd_setup_failed *e = event;
	struct dial *d = e->dialled ? find(e->connection) : NULL;

	(void)arg;
	if (d)
		d->reported = true;
}

static void take_down(struct dial *d, const char *reason)
{
	stop_attempt(d);
	if (d->id) {
		enter(d, VD_DIAL_ENDING);
		d->by->down(d->by->self, d->id, reason);
		return;
	}
	enter(d, VD_DIAL_ENDING);
	ended(d, reason);
}

static int wait_for(struct dial *d, done_fn *done, void *arg)
{
	struct waiter *w = done ? calloc(1, sizeof(*w)) : NULL;

	if (done && !w)
		return -ENOMEM;
	if (w) {
		w->done = done;
		w->arg = arg;
		vd_link_add(&d->waiters, &w->all);
	}
	return 0;
}

static void tell_later(void *arg)
{
	struct dial *d = find(arg);

	free(arg);
	if (d && (d->state == VD_DIAL_UP || d->state == VD_DIAL_DOWN))
		tell(d, NULL);
}

/* Nothing is to be done: who asked hears so all the same, and not before his call returned. */
static int as_it_is(struct dial *d)
{
	char *name = strdup(d->name);
	int res = name ? vd_defer(tell_later, name) : -ENOMEM;

	if (res < 0)
		free(name);
	return res;
}

static struct dial *named(const char *name, struct vd_error *err)
{
	struct dial *d = find(name);

	if (!d || d->gone)
		vd_error_set(err, -ENOENT, "no connection %.64s that we dial; connection list shows all", name);
	return d && !d->gone ? d : NULL;
}

int vd_connect_up(const char *name, done_fn *done, void *arg, struct vd_error *err)
{
	struct dial *d = named(name, err);
	int res;

	if (!d)
		return -ENOENT;
	if (d->state == VD_DIAL_DOWN)
		d->failures = 0;
	if (reg.stopped || d->state == VD_DIAL_ENDING)
		return vd_error_set(err, -EBUSY, "connection %s is ending; try again in a moment", name);
	res = wait_for(d, done, arg);
	if (res == 0 && d->state == VD_DIAL_UP)
		res = as_it_is(d);
	if (res < 0)
		return vd_error_set(err, res, "out of memory");
	if (d->state == VD_DIAL_DOWN || d->state == VD_DIAL_WAITING) {
		enter(d, VD_DIAL_DIALLING);
		vd_timer_start(&d->timer, 0); /* a failure at once must not come before we return */
	}
	return 0;
}

int vd_connect_down(const char *name, const char *reason, done_fn *done, void *arg, struct vd_error *err)
{
	struct dial *d = named(name, err);
	struct vd_error gone;
	int res;

	if (!d)
		return -ENOENT;
	/* Whoever still waits for it to come up has his answer. */
	vd_error_set(&gone, -ECANCELED, "%s", reason);
	if (d->state != VD_DIAL_DOWN && d->state != VD_DIAL_ENDING)
		tell(d, &gone);
	res = wait_for(d, done, arg);
	if (d->state == VD_DIAL_DOWN) /* not why it failed once: what was asked for now */
		vd_strcpy(d->reason, sizeof(d->reason), reason);
	if (res == 0 && d->state == VD_DIAL_DOWN)
		res = as_it_is(d);
	if (res < 0)
		return vd_error_set(err, res, "out of memory");
	d->keep = false;
	if (d->state == VD_DIAL_DOWN || d->state == VD_DIAL_ENDING)
		return 0;
	if (d->id) {
		take_down(d, reason);
		return 0;
	}
	stop_attempt(d);
	vd_strcpy(d->reason, sizeof(d->reason), reason);
	d->failures = 0;
	enter(d, VD_DIAL_DOWN);
	return as_it_is(d);
}

bool vd_connect_status(const char *name, struct vd_dial_status *ret_status)
{
	struct dial *d = find(name);

	if (d)
		fill(d, ret_status);
	return d != NULL;
}

/* ---- life ---- */
static int learn(const struct vd_conf_node *node)
{
	struct dial *d = find(vd_conf_name(node));
	const char *start;

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return -ENOMEM;
		vd_strcpy(d->name, sizeof(d->name), vd_conf_name(node));
		d->since = vd_now();
		vd_link_init(&d->waiters);
		vd_timer_init(&d->timer, on_timer);
		vd_link_add(&reg.all, &d->all);
	}
	d->gone = false;
	start = option(d, "start");
	if (start && !strcmp(start, "boot") && d->state == VD_DIAL_DOWN) {
		d->keep = true;
		enter(d, VD_DIAL_DIALLING);
		vd_timer_start(&d->timer, 0);
	}
	return 0;
}

int vd_connect_start(void)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections");
	struct dial *next;
	int res = 0;

	if (!reg.ready) {
		vd_link_init(&reg.all);
		reg.ready = true;
		reg.stopped = false;
		res = vd_event_subscribe(NULL, "setup_failed", on_setup_failed, NULL);
	}
	for (struct dial *d = next_of(NULL); d; d = next_of(d))
		d->gone = true;
	for (size_t i = 0; i < vd_conf_count(all) && res >= 0; i++)
		if (vd_conf_count(vd_conf_at(conf, vd_conf_nth(all, i), "connect")))
			res = learn(vd_conf_nth(all, i));
	for (struct dial *d = next_of(NULL); d; d = next) {
		next = next_of(d);
		if (d->gone && d->state == VD_DIAL_DOWN)
			dial_free(d);
		else if (d->gone)
			take_down(d, "it is no longer configured");
	}
	return res;
}

void vd_connect_stop(void)
{
	struct dial *next;

	reg.stopped = true;
	for (struct dial *d = next_of(NULL); d; d = next) {
		next = next_of(d);
		if (d->state != VD_DIAL_DOWN && d->state != VD_DIAL_ENDING)
			take_down(d, "the gateway stops");
	}
}

void vd_connect_fini(void)
{
	while (reg.ready && !vd_link_empty(&reg.all))
		dial_free(next_of(NULL));
	vd_lookups_fini();
	memset(&reg, 0, sizeof(reg));
}
