/* Sessions: their registry, and how they end. How they begin is in session_bringup.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "core/session/guess.h"
#include "core/session/session.h"

#define MAX_SESSIONS 20000 /* when the configuration does not say */
#define UNPROVEN_SESSIONS 32 /* of a peer before the first of them is authenticated */
#define CLOSING_PART 8      /* of the limit, on top of it: sessions that are being closed to make room */
#define WORKER_PATIENCE 1000
#define BRINGUP_MS 60000 /* without progress of its owner; a question to a human has its own deadline */

static struct {
	bool ready, ending;
	uint64_t claims;
	size_t n_closing;
	struct vd_table sessions, users;
	struct vd_link all, acks;
} reg;

struct vd_ack {
	struct vd_link all;
	uint64_t session;
	uint32_t round;
};

static const char *const state_names[] = {
	"new", "authenticating", "configuring", "up", "closing", "down", "gone",
};

const char *vd_session_state_name(enum vd_session_state state)
{
	return (size_t)state < VD_ARRAY_SIZE(state_names) ? state_names[state] : "unknown";
}

struct vd_session_rec *vd_session_rec(uint64_t id)
{
	struct vd_entry *e = vd_table_find(&reg.sessions, id);

	return e ? VD_CONTAINER_OF(e, struct vd_session_rec, by_id) : NULL;
}

struct vd_session *vd_session_find(uint64_t id)
{
	struct vd_session_rec *rec = vd_session_rec(id);

	return rec ? &rec->pub : NULL;
}

struct vd_session *vd_session_after(const struct vd_session *session)
{
	struct vd_link *l = session ? VD_CONTAINER_OF(session, struct vd_session_rec, pub)->all.next : reg.all.next;

	return l == &reg.all ? NULL : &VD_CONTAINER_OF(l, struct vd_session_rec, all)->pub;
}

size_t vd_session_count(void)
{
	return reg.sessions.n;
}

const struct vd_timeline *vd_session_timeline(uint64_t id)
{
	struct vd_session_rec *rec = vd_session_rec(id);

	return rec ? &rec->timeline : NULL;
}

/* ---- by user ---- */
uint64_t vd_session_user_key(const char *realm, const char *user)
{
	uint8_t room[VD_NAME_MAX + VD_USER_MAX];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_put(&w, realm, strlen(realm) + 1);
	vd_wr_put(&w, user, strlen(user));
	return vd_siphash(reg.users.secret, room, w.len);
}

struct vd_session_rec *vd_session_of_user(const char *realm, const char *user, const struct vd_session_rec *after)
{
	struct vd_entry *e = after ? vd_table_again(&after->by_user) :
				     vd_table_find(&reg.users, vd_session_user_key(realm, user));

	for (; e; e = vd_table_again(e)) {
		struct vd_session_rec *rec = VD_CONTAINER_OF(e, struct vd_session_rec, by_user);

		if (!strcmp(rec->realm, realm) && !strcmp(rec->pub.user, user))
			return rec;
	}
	return NULL;
}

int vd_session_claim(struct vd_session_rec *rec)
{
	if (vd_table_add(&reg.users, &rec->by_user, vd_session_user_key(rec->realm, rec->pub.user)) < 0)
		return -ENOMEM;
	rec->claim = ++reg.claims;
	return 0;
}

void vd_session_joined(struct vd_session_rec *rec)
{
	if (!rec->joined)
		vd_peer_joined(rec->pub.peer, vd_session_user_key(rec->realm, rec->pub.user));
	rec->joined = true;
}

/* ---- birth and death of records ---- */
void vd_session_rec_free(struct vd_session_rec *rec)
{
	vd_timer_stop(&rec->timer);
	vd_timer_stop(&rec->idle);
	if (rec->joined)
		vd_peer_left(rec->pub.peer);
	reg.n_closing -= rec->pub.state >= VD_S_CLOSING;
	vd_table_del(&reg.sessions, &rec->by_id);
	if (rec->claim)
		vd_table_del(&reg.users, &rec->by_user);
	vd_link_del(&rec->all);
	vd_link_del(&rec->on_chan);
	vd_timeline_clear(&rec->timeline);
	vd_session_no_forget(rec);
	free(rec->held);
	vd_conf_unref(rec->pub.conf);
	vd_wipe(rec, sizeof(*rec));
	free(rec);
}

/* Owner and registry hear of an end after the current callback. The record lives until both were done, so a pointer
 * will do here. */
static void rec_deferred(void *arg)
{
	struct vd_session_rec *rec = arg;

	if (rec->tell_owner) {
		rec->tell_owner = false;
		rec->owner.closed(rec->owner_arg, rec->pub.id, rec->pub.reason);
	} else if (rec->reap) {
		uint64_t chan = rec->pub.chan;
		bool claimed = rec->claim;
		char realm[VD_NAME_MAX], user[VD_USER_MAX];

		vd_strcpy(realm, sizeof(realm), rec->realm);
		vd_strcpy(user, sizeof(user), rec->pub.user);
		vd_session_rec_free(rec);
		vd_chan_session_left(chan);
		if (claimed)
			vd_bringup_gone(realm, user);
	}
}

static void rec_later(struct vd_timer *t)
{
	struct vd_session_rec *rec = VD_CONTAINER_OF(t, struct vd_session_rec, later);
	bool twice = rec->tell_owner && rec->reap;

	rec_deferred(rec);
	if (twice)
		rec_deferred(rec);
}

static void rec_defer(struct vd_session_rec *rec)
{
	if (vd_defer(rec_deferred, rec) < 0)
		vd_timer_start(&rec->later, 10);
}

static void rec_timer(struct vd_timer *t);

void vd_session_patience(struct vd_session_rec *rec)
{
	vd_timer_start(&rec->timer, BRINGUP_MS);
}

struct vd_session_rec *vd_session_rec_new(uint64_t id)
{
	struct vd_session_rec *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
	if (vd_table_add(&reg.sessions, &rec->by_id, id) < 0) {
		free(rec);
		return NULL;
	}
	rec->pub.id = id;
	rec->pub.conf = vd_conf_ref(vd_conf_current());
	vd_link_init(&rec->on_chan);
	vd_link_add(&reg.all, &rec->all);
	vd_timer_init(&rec->timer, rec_timer);
	vd_timer_init(&rec->later, rec_later);
	return rec;
}

static uint64_t sessions_max(void)
{
	uint64_t limit = vd_conf_uint(vd_conf_at(vd_conf_current(), NULL, "gateway.max_sessions"));

	return limit ? limit : MAX_SESSIONS;
}

static int all_taken(struct vd_error *err)
{
	vd_count("core.session.limit", 1);
	return vd_error_set(err, -EMFILE, "all %llu sessions are taken; raise gateway.max_sessions",
		(unsigned long long)sessions_max());
}

int vd_session_room(const struct vd_session_rec *rec, struct vd_error *err)
{
	if (!vd_peer_is_beside(rec->pub.peer))
		return 0; /* has been looked at when it was made */
	if (reg.sessions.n - reg.n_closing > sessions_max())
		return all_taken(err);
	return vd_peers_too_many() ? vd_error_set(err, -EMFILE, "all peers are taken; raise gateway.max_peers") : 0;
}

/* Is there a place for one more session of this peer? Where there is none, one that nobody was authenticated for makes room. */
static bool place_for(uint64_t peer, struct vd_error *err)
{
	uint64_t max = sessions_max();

	if (vd_peer_is_unproven(peer) && vd_peer_sessions(peer) >= UNPROVEN_SESSIONS) {
		vd_count("core.session.limit_unproven", 1);
		vd_error_set(err, -EMFILE, "%u sessions of this peer wait already for a user to be authenticated", UNPROVEN_SESSIONS);
		vd_report_failure(&(struct vd_report){ .kind = &vd_fail_other, .stage = "auth", .peer = peer, .difference = err->text });
		return false;
	}
	if (reg.sessions.n - reg.n_closing < max || vd_peer_is_beside(peer) ||
		(reg.n_closing <= max / CLOSING_PART && vd_peer_make_room(true, max, peer)))
		return true;
	all_taken(err);
	return false;
}

uint64_t vd_session_new(uint64_t chan, const char *connection, const struct vd_session_owner *owner, void *arg,
	struct vd_error *err)
{
	struct vd_chan_info *info = vd_chan_find(chan);
	struct vd_session_new event = { .chan = chan };
	struct vd_session_rec *rec;
	const struct vd_conf_node *node;

	if (reg.ending || !info || vd_chan_closing(chan)) {
		vd_error_set(err, -ESTALE, "%s c-%llu is gone", reg.ending ? "the gateway stops: channel" : "channel",
			(unsigned long long)chan);
		return 0;
	}
	if (!place_for(info->peer, err) || vd_chan_closing(chan))
		return 0;
	rec = vd_session_rec_new(vd_id_new());
	if (!rec) {
		vd_error_set(err, -ENOMEM, "out of memory");
		return 0;
	}
	rec->pub.chan = chan;
	rec->pub.peer = info->peer;
	rec->pub.created = vd_now();
	rec->owner = *owner;
	rec->owner_arg = arg;
	vd_strcpy(rec->pub.connection, sizeof(rec->pub.connection), connection);
	node = vd_conf_child(vd_conf_at(rec->pub.conf, NULL, "connections"), connection);
	node = node ? vd_conf_at(rec->pub.conf, node, "realm") : NULL;
	vd_strcpy(rec->realm, sizeof(rec->realm), node && vd_conf_str(node) ? vd_conf_str(node) : "");
	vd_link_add(vd_chan_sessions(chan), &rec->on_chan);
	event.session = rec->pub.id;
	event.peer = info->peer;
	vd_strcpy(event.connection, sizeof(event.connection), connection);
	vd_event_post(&vd_topic_session_new, &event);
	vd_note('s', rec->pub.id, "new on c-%llu for connection %s", (unsigned long long)chan, connection);
	return rec->pub.id;
}

int vd_session_adopt(uint64_t session, const struct vd_session_owner *owner, void *arg)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (!rec)
		return -ENOENT;
	if (rec->pub.state >= VD_S_CLOSING)
		return -ESTALE;
	rec->owner = *owner;
	rec->owner_arg = arg;
	return 0;
}

int vd_session_header(uint64_t session, const uint8_t *header, size_t len)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_session_rec *rec = vd_session_rec(session);

	if (!rec)
		return -ENOENT;
	if (rec->pub.state >= VD_S_CLOSING || !rec->link.session || (rec->link.v4.len < len && rec->link.v6.len < len))
		return -EINVAL;
	if (rec->link.v4.len >= len)
		memcpy(rec->link.v4.bytes, header, len);
	if (rec->link.v6.len >= len)
		memcpy(rec->link.v6.bytes, header, len);
	return rec->added && dp ? dp->session_add(dp->self, &rec->link, NULL, NULL) : 0;
}

void vd_session_client(uint64_t session, const char *text)
{
	struct vd_session_rec *rec = vd_session_rec(session);
	size_t len = rec ? strlen(rec->pub.client) : 0;

	if (rec)
		vd_format(rec->pub.client + len, sizeof(rec->pub.client) - len, "%s%s", len ? ", " : "", text);
}

/* ---- waiting for workers ---- */
void vd_step_begin(struct vd_session_rec *rec, enum vd_session_step step)
{
	rec->step = step;
	rec->round++;
	rec->waiting = 1; /* ours, so that an answer that comes at once does not end the step */
	vd_timer_start(&rec->timer, WORKER_PATIENCE);
}

bool vd_step_wait(struct vd_session_rec *rec)
{
	if (--rec->waiting)
		return true;
	vd_timer_stop(&rec->timer);
	return false;
}

struct vd_ack *vd_ack_new(struct vd_session_rec *rec)
{
	struct vd_ack *ack = malloc(sizeof(*ack));

	if (!ack)
		return NULL;
	*ack = (struct vd_ack){ .session = rec->pub.id, .round = rec->round };
	vd_link_add(&reg.acks, &ack->all);
	rec->waiting++;
	return ack;
}

/* Frees it; the session when it still waits for this one. */
static struct vd_session_rec *ack_take(struct vd_ack *ack)
{
	struct vd_session_rec *rec = vd_session_rec(ack->session);
	bool current = rec && rec->round == ack->round && rec->waiting;

	vd_link_del(&ack->all);
	free(ack);
	if (!current)
		return NULL;
	rec->waiting--;
	return rec;
}

void vd_ack_drop(struct vd_ack *ack)
{
	ack_take(ack);
}

static void close_next(struct vd_session_rec *rec);

static void step_done(struct vd_session_rec *rec, bool late)
{
	vd_timer_stop(&rec->timer);
	rec->waiting = 0;
	if (rec->pub.state == VD_S_CLOSING)
		close_next(rec);
	else
		vd_bringup_acked(rec, late);
}

void vd_ack_done(void *arg)
{
	struct vd_session_rec *rec = ack_take(arg);

	if (rec && !rec->waiting)
		step_done(rec, false);
}

void vd_session_count_in(struct vd_session_rec *rec, const struct vd_session_counters *counters)
{
	rec->pub.counters = *counters;
	rec->pub.counters.packets_in += rec->counted_before[0];
	rec->pub.counters.octets_in += rec->counted_before[1];
	rec->pub.counters.packets_out += rec->counted_before[2];
	rec->pub.counters.octets_out += rec->counted_before[3];
}

void vd_ack_counters(void *arg, uint64_t session, const struct vd_session_counters *counters)
{
	struct vd_session_rec *rec = ack_take(arg);

	(void)session;
	if (!rec)
		return;
	if (counters)
		vd_session_count_in(rec, counters);
	if (!rec->waiting)
		step_done(rec, false);
}

static void rec_timer(struct vd_timer *t)
{
	struct vd_session_rec *rec = VD_CONTAINER_OF(t, struct vd_session_rec, timer);

	if (rec->pub.state == VD_S_UP) {
		vd_session_close(rec->pub.id, "session timeout", false);
		return;
	}
	if (rec->step == VD_STEP_HELD) {
		vd_bringup_held(rec);
		return;
	}
	if (rec->pub.state == VD_S_CONFIGURING && rec->step == VD_STEP_IDLE) {
		vd_count("core.session.bringup_timeout", 1);
		vd_session_close(rec->pub.id, "the client did not finish its configuration in 60 s", false);
		return;
	}
	/* A worker that is silent for a second is broken, not slow: nobody is helped by waiting longer. */
	vd_log(VD_LOG_ERROR, "core", &(struct vd_ids){ rec->pub.peer, rec->pub.chan, rec->pub.id },
		"a worker did not acknowledge within %u ms: this is a bug, going on without it", WORKER_PATIENCE);
	vd_count("core.session.worker_timeout", 1);
	rec->round++;
	step_done(rec, true);
}

/* ---- the end: address tables, the worker's entry, session_down, session_gone ---- */
static void finish(struct vd_session_rec *rec)
{
	struct vd_session_down down = { .session = rec->pub.id, .chan = rec->pub.chan, .peer = rec->pub.peer };
	struct vd_session_gone gone = { .session = rec->pub.id };
	const struct vd_session_counters *c = &rec->pub.counters;

	rec->step = VD_STEP_IDLE;
	rec->pub.state = VD_S_DOWN;
	vd_strcpy(down.user, sizeof(down.user), rec->pub.user);
	vd_strcpy(down.connection, sizeof(down.connection), rec->pub.connection);
	vd_strcpy(down.reason, sizeof(down.reason), rec->pub.reason);
	down.address = rec->pub.lease4.address;
	down.packets_in = c->packets_in;
	down.octets_in = c->octets_in;
	down.packets_out = c->packets_out;
	down.octets_out = c->octets_out;
	down.duration_ms = rec->pub.up_since ? vd_now() - rec->pub.up_since : 0;
	vd_event_post(&vd_topic_session_down, &down);
	vd_event_post(&vd_topic_session_gone, &gone);
	if (rec->pub.dialled)
		vd_dialled_left();
	rec->reap = true; /* after everybody heard session_gone */
	rec_defer(rec);
}

static void close_next(struct vd_session_rec *rec)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_ack *ack;

	if (dp && rec->n_fib) {
		/* First nobody may find the session any longer, on any worker; then its entry goes. */
		vd_step_begin(rec, VD_STEP_FIB_DEL);
		for (unsigned n = rec->n_fib; n; n--) {
			ack = vd_ack_new(rec);
			if (ack && dp->fib_del(dp->self, &rec->fib[n - 1], rec->pub.id, vd_ack_done, ack) < 0)
				vd_ack_drop(ack);
		}
		rec->n_fib = 0;
		if (vd_step_wait(rec))
			return;
	}
	if (dp && rec->added) {
		rec->added = false;
		vd_step_begin(rec, VD_STEP_DEL);
		ack = vd_ack_new(rec);
		if (ack && dp->session_del(dp->self, rec->pub.id, vd_ack_counters, ack) < 0)
			vd_ack_drop(ack);
		if (vd_step_wait(rec))
			return;
	}
	finish(rec);
}

void vd_session_close(uint64_t session, const char *reason, bool by_owner)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (!rec || rec->pub.state >= VD_S_CLOSING)
		return;
	vd_session_no_report(rec);
	rec->pub.state = VD_S_CLOSING;
	reg.n_closing++;
	vd_strcpy(rec->pub.reason, sizeof(rec->pub.reason), reason);
	vd_note('s', session, "closing: %s", reason);
	vd_timer_stop(&rec->timer);
	rec->round++;
	rec->waiting = 0;
	rec->ticket = 0;
	vd_request_cancel_session(session);
	if (!by_owner && rec->owner.closed) {
		rec->tell_owner = true;
		rec_defer(rec);
	}
	close_next(rec);
}

void vd_sessions_close_on(uint64_t chan, const char *reason)
{
	struct vd_link *head = vd_chan_sessions(chan);

	/* Closing never takes a session out of the list at once: that happens when it is gone. */
	for (struct vd_link *l = head ? head->next : NULL; l && l != head; l = l->next)
		vd_session_close(VD_CONTAINER_OF(l, struct vd_session_rec, on_chan)->pub.id, reason, false);
}

void vd_sessions_end(const char *reason)
{
	reg.ending = true;
	for (struct vd_link *l = reg.all.next; l != &reg.all; l = l->next)
		vd_session_close(VD_CONTAINER_OF(l, struct vd_session_rec, all)->pub.id, reason, false);
}

bool vd_sessions_ending(void)
{
	return reg.ending;
}

void vd_sessions_finish(void)
{
	for (struct vd_link *l = reg.all.next; l != &reg.all; l = l->next) {
		struct vd_session_rec *rec = VD_CONTAINER_OF(l, struct vd_session_rec, all);

		if (rec->pub.state != VD_S_CLOSING)
			continue;
		vd_timer_stop(&rec->timer);
		rec->round++; /* answers of workers come too late */
		rec->waiting = 0;
		finish(rec);
	}
}

int vd_sessions_init(void)
{
	int res;

	vd_table_init(&reg.sessions);
	vd_table_init(&reg.users);
	vd_link_init(&reg.all);
	vd_link_init(&reg.acks);
	vd_guess_reset();
	reg.ready = true;
	res = vd_bringup_init();
	return res < 0 ? res : vd_session_layer_init();
}

void vd_sessions_fini(void)
{
	if (!reg.ready)
		return;
	while (!vd_link_empty(&reg.all))
		vd_session_rec_free(VD_CONTAINER_OF(reg.all.next, struct vd_session_rec, all));
	while (!vd_link_empty(&reg.acks)) {
		struct vd_ack *ack = VD_CONTAINER_OF(reg.acks.next, struct vd_ack, all);

		vd_link_del(&ack->all);
		free(ack);
	}
	vd_table_fini(&reg.sessions);
	vd_table_fini(&reg.users);
	memset(&reg, 0, sizeof(reg));
}
