/* Peers, channels, ids and timelines: the control thread's view of who is connected, and how. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/esp.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/state.h>

#include "core/id.h"
#include "core/session/object.h"
#include "core/session/session.h"
#include "core/state.h"
#include "core/system/source.h"

#define MAX_PEERS 20000 /* when the configuration does not say */
#define SLOTS 256
/* With peers that have no authenticated session, beyond the places of their sources, while more than a quarter of all places
 * are taken; while there is room the protocols have times of their own. */
#define PATIENCE_PART 4
#define PATIENCE_MS 60000
#define PATIENCE_SESSION_MS 600000 /* and with one that has: its protocol has times of its own */
#define PATIENCE_CHECK_MS 5000
#define CLOSING_PART 8 /* of the limit, on top of it: peers that are being closed to make room */

struct peer {
	struct vd_peer pub;
	struct vd_entry by_id, by_remote;
	struct vd_link all, chans, work;
	struct vd_source *source;
	struct vd_link unproven;   /* in its source's list while it has no authenticated session */
	uint64_t unproven_since;
	uint32_t sessions;         /* authenticated ones */
	uint64_t user;             /* of the last of them */
	struct vd_timeline timeline;
	char reason[VD_ID_TEXT];
	bool closing, down;
	bool ours;   /* we began it */
	bool beside; /* made by vd_peer_beside */
};

struct chan {
	struct vd_chan_info pub;
	struct vd_entry by_id;
	struct vd_link all, of_peer, sessions;
	struct vd_timeline timeline;
	char reason[VD_ID_TEXT];
	bool closing; /* its maker was told */
	bool gone;    /* the maker said so; the record waits for its sessions */
};

static struct {
	bool ready;
	struct vd_table peers, remotes, chans;
	struct vd_link all_peers, all_chans;
	struct vd_link work; /* peers that are being closed and have a next step; one deferred call each */
	uint32_t load[SLOTS];
	size_t n_closing;
	struct vd_timer patience;
	bool watching; /* it runs: there may be unproven peers beyond the places of their sources */
	struct vd_timer retry; /* goes on with closing when vd_defer had no memory */
} reg;

static struct peer *peer_find(uint64_t id)
{
	struct vd_entry *e = vd_table_find(&reg.peers, id);

	return e ? VD_CONTAINER_OF(e, struct peer, by_id) : NULL;
}

static struct chan *chan_find(uint64_t id)
{
	struct vd_entry *e = vd_table_find(&reg.chans, id);

	return e ? VD_CONTAINER_OF(e, struct chan, by_id) : NULL;
}

const struct vd_timeline *vd_timeline_find(char letter, uint64_t id)
{
	struct peer *p = letter == 'p' ? peer_find(id) : NULL;
	struct chan *c = letter == 'c' ? chan_find(id) : NULL;

	if (letter == 's')
		return vd_session_timeline(id);
	return p ? &p->timeline : c ? &c->timeline : NULL;
}

void vd_note(char letter, uint64_t id, const char *fmt, ...)
{
	struct vd_timeline *t = (struct vd_timeline *)vd_timeline_find(letter, id);
	va_list ap;

	if (!t)
		return;
	va_start(ap, fmt);
	vd_timeline_add(t, fmt, ap);
	va_end(ap);
	if (t->n)
		vd_log(VD_LOG_DEBUG, "timeline", &(struct vd_ids){ letter == 'p' ? id : 0, letter == 'c' ? id : 0, letter == 's' ? id : 0 },
			"%s", t->v[(t->first + t->n - 1u) % VD_TIMELINE_MAX].text);
}

/* ---- peers ---- */
static uint64_t remote_key(const struct vd_sa *sa)
{
	struct vd_wr w;
	uint8_t room[24];

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, sa->ip.family);
	vd_wr_put(&w, sa->ip.a, sizeof(sa->ip.a));
	vd_wr_u16(&w, sa->port);
	vd_wr_u32(&w, sa->scope);
	return vd_siphash(reg.remotes.secret, room, w.len);
}

/* Datagrams of one source port reach one socket, so peers that share it must share a home. */
static uint8_t home_for(const struct vd_sa *remote)
{
	uint8_t best = 0;

	for (struct vd_entry *e = vd_table_find(&reg.remotes, remote_key(remote)); e; e = vd_table_again(e)) {
		const struct peer *p = VD_CONTAINER_OF(e, struct peer, by_remote);

		if (vd_sa_equal(&p->pub.remote, remote))
			return p->pub.home;
	}
	for (unsigned i = 1; i < SLOTS; i++)
		if (reg.load[i] < reg.load[best])
			best = i;
	return best;
}

static void peer_free(struct peer *p)
{
	vd_table_del(&reg.peers, &p->by_id);
	vd_table_del(&reg.remotes, &p->by_remote);
	vd_link_del(&p->all);
	vd_link_del(&p->work);
	vd_source_proven(p->source, &p->unproven);
	vd_source_drop(p->source);
	reg.n_closing -= p->closing;
	reg.load[p->pub.home]--;
	vd_timeline_clear(&p->timeline);
	free(p);
}

/* ---- peers without an authenticated session: shares of their source networks, and patience ---- */
static uint64_t peers_max(void)
{
	uint64_t limit = vd_conf_uint(vd_conf_at(vd_conf_current(), NULL, "gateway.max_peers"));

	return limit ? limit : MAX_PEERS;
}

static bool busy(void)
{
	return reg.peers.n - reg.n_closing > peers_max() / PATIENCE_PART;
}

static void unproven(struct peer *p)
{
	if (p->closing || p->ours || p->sessions)
		return;
	p->unproven_since = vd_now();
	vd_source_unproven(p->source, &p->unproven);
	if (!reg.watching && busy())
		vd_timer_start(&reg.patience, PATIENCE_CHECK_MS);
	reg.watching |= busy();
}

static bool has_session(const struct peer *p)
{
	for (struct vd_link *l = p->chans.next; l != &p->chans; l = l->next)
		if (!vd_link_empty(&VD_CONTAINER_OF(l, struct chan, of_peer)->sessions))
			return true;
	return false;
}

static void out_of_patience(struct vd_source *s, void *arg)
{
	bool *any = arg;

	*any = true;
	for (struct vd_link *l = s->unproven.next, *next; l != &s->unproven && vd_source_beyond(s) && busy(); l = next) {
		struct peer *p = VD_CONTAINER_OF(l, struct peer, unproven);
		uint64_t age = vd_now() - p->unproven_since;

		next = l->next;
		if (age < PATIENCE_MS)
			break; /* the others are younger */
		if (age < PATIENCE_SESSION_MS && has_session(p))
			continue;
		vd_count("core.peer.patience", 1);
		vd_peer_close(p->pub.id, "no user of it was authenticated in time");
	}
}

static void patience_fired(struct vd_timer *t)
{
	reg.watching = false;
	if (busy())
		vd_source_each_beyond(out_of_patience, &reg.watching);
	if (reg.watching)
		vd_timer_start(t, PATIENCE_CHECK_MS);
}

struct room {
	bool with_session, made;
	uint64_t max, except;
};

/* The oldest unproven peer of this source goes. */
static bool room_of(struct vd_source *s, void *arg)
{
	struct room *room = arg;

	for (struct vd_link *l = s->unproven.next; l != &s->unproven; l = l->next) {
		struct peer *p = VD_CONTAINER_OF(l, struct peer, unproven);

		if (p->pub.id == room->except || (room->with_session && !has_session(p)))
			continue;
		vd_count("core.peer.made_room", 1);
		vd_report_failure(&(struct vd_report){ .kind = &vd_fail_crowded_out, .peer = p->pub.id, .count = room->max,
			.offered = room->with_session ? "sessions" : "peers",
			.configured = room->with_session ? "gateway.max_sessions" : "gateway.max_peers" });
		vd_peer_close(p->pub.id, "others needed its place before a user of it was authenticated");
		room->made = true;
		break;
	}
	return !room->made;
}

/* Of the sources that have unproven peers beyond their places, from the one with the most of them: what one source takes, it takes
 * from itself, and a known one keeps its places. Peers without a session do not protect those of other sources that have some. */
bool vd_peer_make_room(bool with_session, uint64_t max, uint64_t except)
{
	struct room room = { .with_session = with_session, .max = max, .except = except };
	struct vd_source *s = vd_source_heaviest();

	if (s && room_of(s, &room))
		vd_source_each_heavy(room_of, &room);
	return room.made;
}

void vd_peer_joined(uint64_t id, uint64_t user)
{
	struct peer *p = peer_find(id);

	if (!p)
		return;
	p->sessions++;
	p->user = user;
	vd_source_joined(p->source, user);
	vd_source_proven(p->source, &p->unproven);
}

void vd_peer_left(uint64_t id)
{
	struct peer *p = peer_find(id);

	if (!p)
		return;
	vd_source_left(p->source);
	if (--p->sessions == 0)
		unproven(p);
}

bool vd_peer_is_unproven(uint64_t id)
{
	const struct peer *p = peer_find(id);

	return p && !p->ours && !p->sessions;
}

unsigned vd_peer_sessions(uint64_t id)
{
	const struct peer *p = peer_find(id);
	unsigned n = 0;

	for (struct vd_link *l = p ? p->chans.next : NULL; l && l != &p->chans; l = l->next) {
		const struct vd_link *head = &VD_CONTAINER_OF(l, struct chan, of_peer)->sessions;

		for (const struct vd_link *s = head->next; s != head; s = s->next)
			n++;
	}
	return n;
}

void vd_peer_ours(uint64_t id)
{
	struct peer *p = peer_find(id);

	if (!p)
		return;
	p->ours = true;
	vd_source_proven(p->source, &p->unproven);
}

/* Puts a record with id, home and remote filled in into the registry. Frees it on failure. */
static struct peer *peer_insert(struct peer *p)
{
	vd_link_init(&p->all);
	vd_link_init(&p->chans);
	vd_link_init(&p->work);
	vd_link_init(&p->unproven);
	p->source = vd_source_hold(&p->pub.remote.ip);
	if (!p->source || vd_table_add(&reg.peers, &p->by_id, p->pub.id) < 0)
		goto fail;
	if (vd_table_add(&reg.remotes, &p->by_remote, remote_key(&p->pub.remote)) < 0) {
		vd_table_del(&reg.peers, &p->by_id);
		goto fail;
	}
	vd_link_add(&reg.all_peers, &p->all);
	reg.load[p->pub.home]++;
	unproven(p);
	return p;
fail:
	vd_source_drop(p->source);
	free(p);
	return NULL;
}

static struct vd_peer *peer_make(uint64_t endpoint, const struct vd_sa *local, const struct vd_sa *remote)
{
	struct peer *p = vd_sessions_ending() ? NULL : calloc(1, sizeof(*p));
	char text[VD_SA_TEXT];

	if (!p)
		return NULL;
	p->pub.id = vd_id_new();
	p->pub.endpoint = endpoint;
	p->pub.local = *local;
	p->pub.remote = *remote;
	p->pub.home = home_for(remote);
	p->pub.created = vd_now();
	p = peer_insert(p);
	if (!p)
		return NULL;
	vd_note('p', p->pub.id, "first message from %s", vd_sa_format(remote, text));
	return &p->pub;
}

struct vd_peer *vd_peer_new(uint64_t endpoint, const struct vd_sa *local, const struct vd_sa *remote)
{
	uint64_t max = peers_max();

	if (reg.peers.n - reg.n_closing >= max && (reg.n_closing > max / CLOSING_PART + 1 || !vd_peer_make_room(false, max, 0))) {
		vd_count("core.peer.limit", 1);
		return NULL;
	}
	return peer_make(endpoint, local, remote);
}

struct vd_peer *vd_peer_beside(uint64_t peer)
{
	const struct peer *of = peer_find(peer);
	struct vd_peer *made = of && !of->closing ? peer_make(of->pub.endpoint, &of->pub.local, &of->pub.remote) : NULL;

	if (made)
		VD_CONTAINER_OF(made, struct peer, pub)->beside = true;
	return made;
}

bool vd_peer_is_beside(uint64_t id)
{
	const struct peer *p = peer_find(id);

	return p && p->beside;
}

bool vd_peers_too_many(void)
{
	return reg.peers.n - reg.n_closing > peers_max();
}

struct vd_peer *vd_peer_find(uint64_t id)
{
	struct peer *p = peer_find(id);

	return p ? &p->pub : NULL;
}

void vd_peer_set_up(uint64_t id, const struct vd_peer_up *facts)
{
	struct peer *p = peer_find(id);
	struct vd_peer_up event = *facts;

	if (!p || p->closing)
		return;
	vd_strcpy(p->pub.connection, sizeof(p->pub.connection), facts->connection);
	vd_strcpy(p->pub.identity, sizeof(p->pub.identity), facts->identity);
	vd_strcpy(p->pub.suite, sizeof(p->pub.suite), facts->suite);
	vd_strcpy(p->pub.profile, sizeof(p->pub.profile), facts->profile);
	vd_strcpy(p->pub.version, sizeof(p->pub.version), facts->version);
	p->pub.up = true;
	event.peer = id;
	event.local = p->pub.local;
	event.remote = p->pub.remote;
	event.home = p->pub.home;
	vd_note('p', id, "up: %s as %s, %s", facts->version, facts->identity, facts->suite);
	vd_event_post(&vd_topic_peer_up, &event);
}

/* What it is and has counts where it is now. */
static void moved(struct peer *p, const struct vd_ip *to)
{
	struct vd_source *was = p->source, *now = vd_source_hold(to);
	uint64_t since = p->unproven_since;

	if (!now)
		return; /* out of memory: it goes on counting where it was */
	if (now == was) {
		vd_source_drop(now);
		return;
	}
	vd_source_proven(was, &p->unproven);
	for (uint32_t i = 0; i < p->sessions; i++) {
		vd_source_left(was);
		vd_source_joined(now, p->user);
	}
	p->source = now;
	vd_source_drop(was);
	unproven(p);
	if (since) /* patience does not begin anew */
		p->unproven_since = since;
}

void vd_peer_endpoint(uint64_t id, const struct vd_sa *remote, bool natt)
{
	struct peer *p = peer_find(id);
	char text[VD_SA_TEXT];

	if (!p)
		return;
	p->pub.natt = natt;
	if (vd_sa_equal(&p->pub.remote, remote))
		return;
	vd_table_del(&reg.remotes, &p->by_remote);
	if (!vd_ip_equal(&p->pub.remote.ip, &remote->ip))
		moved(p, &remote->ip);
	p->pub.remote = *remote;
	vd_table_add(&reg.remotes, &p->by_remote, remote_key(remote));
	vd_note('p', id, "now at %s%s", vd_sa_format(remote, text), natt ? ", behind NAT" : "");
}

/* ---- closing: sessions, then channels (by their maker), then the peer ---- */
static void peer_step(void *arg);

static void retry_steps(struct vd_timer *t)
{
	(void)t;
	while (!vd_link_empty(&reg.work))
		peer_step(NULL);
}

static void peer_kick(struct peer *p)
{
	if (!vd_link_empty(&p->work))
		return;
	vd_link_add(&reg.work, &p->work);
	if (vd_defer(peer_step, NULL) < 0)
		vd_timer_start(&reg.retry, 10);
}

static void peer_progress(struct peer *p)
{
	const struct vd_esp_1 *esp = vd_service_find("esp/1", NULL);

	if (p->down) {
		peer_free(p);
		return;
	}
	/* chan_close may come back with vd_chan_gone at once, which changes the list: start over after each. */
	for (struct vd_link *l = p->chans.next; l != &p->chans;) {
		struct chan *c = VD_CONTAINER_OF(l, struct chan, of_peer);

		if (c->closing || !vd_link_empty(&c->sessions)) { /* goodbyes still travel on it */
			l = l->next;
			continue;
		}
		c->closing = true;
		if (esp)
			esp->chan_close(esp->self, c->pub.id, p->reason);
		else
			vd_chan_gone(c->pub.id, p->reason); /* nobody is left who could have it on a worker */
		l = p->chans.next;
	}
	if (vd_link_empty(&p->chans)) {
		struct vd_peer_down event = { .peer = p->pub.id };

		vd_strcpy(event.reason, sizeof(event.reason), p->reason);
		vd_event_post(&vd_topic_peer_down, &event);
		p->down = true;
		peer_kick(p); /* the record stays until peer_down was delivered */
	}
}

static void peer_step(void *arg)
{
	struct peer *p;

	(void)arg;
	if (!reg.ready || vd_link_empty(&reg.work))
		return;
	p = VD_CONTAINER_OF(reg.work.next, struct peer, work);
	vd_link_del(&p->work);
	peer_progress(p);
}

void vd_peer_close(uint64_t id, const char *reason)
{
	struct peer *p = peer_find(id);

	if (!p || p->closing)
		return;
	p->closing = true;
	reg.n_closing++;
	vd_source_proven(p->source, &p->unproven);
	p->pub.up = false;
	vd_strcpy(p->reason, sizeof(p->reason), reason);
	vd_note('p', id, "closing: %s", reason);
	for (struct vd_link *l = p->chans.next; l != &p->chans; l = l->next)
		vd_sessions_close_on(VD_CONTAINER_OF(l, struct chan, of_peer)->pub.id, reason);
	peer_kick(p);
}

const char *vd_peer_closing(uint64_t id)
{
	struct peer *p = peer_find(id);

	return p && p->closing ? p->reason : NULL;
}

/* ---- channels ---- */
struct vd_chan_info *vd_chan_find(uint64_t id)
{
	struct chan *c = chan_find(id);

	return c ? &c->pub : NULL;
}

static struct chan *chan_insert(struct chan *c, struct peer *p)
{
	vd_link_init(&c->sessions);
	if (vd_table_add(&reg.chans, &c->by_id, c->pub.id) < 0) {
		free(c);
		return NULL;
	}
	vd_link_add(&reg.all_chans, &c->all);
	vd_link_add(&p->chans, &c->of_peer);
	return c;
}

struct vd_chan_info *vd_chan_record(uint64_t peer, const char *upper, uint16_t mtu)
{
	struct peer *p = peer_find(peer);
	struct chan *c;

	if (!p || p->closing)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->pub.id = vd_id_new();
	c->pub.peer = peer;
	c->pub.mtu = mtu;
	c->pub.home = p->pub.home;
	c->pub.protected_ = true;
	vd_strcpy(c->pub.upper, sizeof(c->pub.upper), upper);
	vd_strcpy(c->pub.connection, sizeof(c->pub.connection), p->pub.connection);
	c = chan_insert(c, p);
	return c ? &c->pub : NULL;
}

void vd_chan_set_up(uint64_t id)
{
	struct chan *c = chan_find(id);
	struct vd_chan_up event = { .chan = id };

	if (!c || c->pub.up || c->closing)
		return;
	c->pub.up = true;
	event.peer = c->pub.peer;
	event.mtu = c->pub.mtu;
	event.home = c->pub.home;
	vd_strcpy(event.connection, sizeof(event.connection), c->pub.connection);
	vd_strcpy(event.upper, sizeof(event.upper), c->pub.upper);
	vd_note('c', id, "up for %s, datagrams of %u octets", c->pub.upper, c->pub.mtu);
	vd_event_post(&vd_topic_chan_up, &event);
}

static void chan_end(struct chan *c)
{
	struct peer *p = peer_find(c->pub.peer);
	struct vd_chan_down event = { .chan = c->pub.id, .peer = c->pub.peer };

	vd_strcpy(event.reason, sizeof(event.reason), c->reason);
	vd_event_post(&vd_topic_chan_down, &event);
	vd_note('p', c->pub.peer, "channel c-%llu is gone: %s", (unsigned long long)c->pub.id, c->reason);
	vd_table_del(&reg.chans, &c->by_id);
	vd_link_del(&c->all);
	vd_link_del(&c->of_peer);
	vd_timeline_clear(&c->timeline);
	free(c);
	if (p && p->closing && !p->down)
		peer_kick(p);
}

void vd_chan_gone(uint64_t id, const char *reason)
{
	struct chan *c = chan_find(id);

	if (!c || c->gone)
		return;
	c->gone = c->closing = true;
	c->pub.up = false;
	vd_strcpy(c->reason, sizeof(c->reason), reason);
	vd_note('c', id, "gone: %s", reason);
	vd_sessions_close_on(id, reason);
	/* Whoever hears chan_down has heard session_gone of all sessions above it. */
	if (vd_link_empty(&c->sessions))
		chan_end(c);
}

bool vd_chan_closing(uint64_t id)
{
	struct chan *c = chan_find(id);

	return !c || c->closing || vd_peer_closing(c->pub.peer);
}

struct vd_link *vd_chan_sessions(uint64_t chan)
{
	struct chan *c = chan_find(chan);

	return c ? &c->sessions : NULL;
}

bool vd_chan_used(uint64_t id)
{
	const struct vd_link *head = vd_chan_sessions(id);

	return head && head->next != head;
}

void vd_chan_session_left(uint64_t chan)
{
	struct chan *c = chan_find(chan);
	struct peer *p = c ? peer_find(c->pub.peer) : NULL;

	if (c && c->gone && vd_link_empty(&c->sessions))
		chan_end(c);
	else if (p && p->closing && !p->down)
		peer_kick(p);
}

/* ---- iteration ---- */
struct vd_peer *vd_peer_after(const struct vd_peer *peer)
{
	struct vd_link *l = peer ? VD_CONTAINER_OF(peer, struct peer, pub)->all.next : reg.all_peers.next;

	return l == &reg.all_peers ? NULL : &VD_CONTAINER_OF(l, struct peer, all)->pub;
}

struct vd_chan_info *vd_chan_after(const struct vd_chan_info *chan)
{
	struct vd_link *l = chan ? VD_CONTAINER_OF(chan, struct chan, pub)->all.next : reg.all_chans.next;

	return l == &reg.all_chans ? NULL : &VD_CONTAINER_OF(l, struct chan, all)->pub;
}

size_t vd_peer_count(void)
{
	return reg.peers.n;
}

size_t vd_chan_count(void)
{
	return reg.chans.n;
}

/* ---- layer core.objects: u64 next id; u32 peers, then each; u32 channels, then each ---- */
#define LAYER_VERSION 1

void vd_sa_write(struct vd_wr *w, const struct vd_sa *sa)
{
	vd_wr_u16(w, sa->ip.family);
	vd_wr_put(w, sa->ip.a, sizeof(sa->ip.a));
	vd_wr_u16(w, sa->port);
	vd_wr_u32(w, sa->scope);
}

void vd_sa_read(struct vd_rd *r, struct vd_sa *ret_sa)
{
	*ret_sa = (struct vd_sa){ 0 };
	ret_sa->ip.family = vd_rd_u16(r);
	vd_rd_copy(r, ret_sa->ip.a, sizeof(ret_sa->ip.a));
	ret_sa->port = vd_rd_u16(r);
	ret_sa->scope = vd_rd_u32(r);
}

void vd_text_write(struct vd_wr *w, const char *text)
{
	size_t len = strlen(text);

	vd_wr_u16(w, (uint16_t)len);
	vd_wr_put(w, text, len);
}

void vd_text_read(struct vd_rd *r, char *out, size_t size)
{
	size_t len = vd_rd_u16(r);
	const uint8_t *p = len < size ? vd_rd_take(r, len) : NULL;

	out[0] = 0;
	if (!p) {
		vd_rd_fail(r);
		return;
	}
	memcpy(out, p, len);
	out[len] = 0;
}

static int objects_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	vd_wr_u64(w, vd_id_peek());
	vd_wr_u32(w, (uint32_t)reg.peers.n);
	for (struct vd_link *l = reg.all_peers.next; l != &reg.all_peers; l = l->next) {
		const struct peer *p = VD_CONTAINER_OF(l, struct peer, all);

		if (p->closing)
			return vd_error_set(err, -EAGAIN, "peer p-%llu is being closed", (unsigned long long)p->pub.id);
		vd_wr_u64(w, p->pub.id);
		vd_wr_u64(w, p->pub.endpoint);
		vd_wr_u64(w, vd_now() - p->pub.created);
		vd_sa_write(w, &p->pub.local);
		vd_sa_write(w, &p->pub.remote);
		vd_wr_u8(w, (uint8_t)(p->pub.natt | p->pub.up << 1));
		vd_wr_u8(w, p->pub.home);
		vd_text_write(w, p->pub.connection);
		vd_text_write(w, p->pub.identity);
		vd_text_write(w, p->pub.suite);
		vd_text_write(w, p->pub.profile);
		vd_text_write(w, p->pub.version);
	}
	vd_wr_u32(w, (uint32_t)reg.chans.n);
	for (struct vd_link *l = reg.all_chans.next; l != &reg.all_chans; l = l->next) {
		const struct chan *c = VD_CONTAINER_OF(l, struct chan, all);

		vd_wr_u64(w, c->pub.id);
		vd_wr_u64(w, c->pub.peer);
		vd_wr_u16(w, c->pub.mtu);
		vd_wr_u8(w, (uint8_t)(c->pub.up | c->pub.protected_ << 1));
		vd_text_write(w, c->pub.upper);
		vd_text_write(w, c->pub.connection);
	}
	return 0;
}

static int import_peer(struct vd_rd *r)
{
	struct peer *p = calloc(1, sizeof(*p));
	uint8_t flags;

	if (!p)
		return -ENOMEM;
	p->pub.id = vd_rd_u64(r);
	p->pub.endpoint = vd_rd_u64(r);
	p->pub.created = vd_now() - vd_rd_u64(r);
	vd_sa_read(r, &p->pub.local);
	vd_sa_read(r, &p->pub.remote);
	flags = vd_rd_u8(r);
	p->pub.natt = flags & 1;
	p->pub.up = flags & 2;
	p->pub.home = vd_rd_u8(r);
	vd_text_read(r, p->pub.connection, sizeof(p->pub.connection));
	vd_text_read(r, p->pub.identity, sizeof(p->pub.identity));
	vd_text_read(r, p->pub.suite, sizeof(p->pub.suite));
	vd_text_read(r, p->pub.profile, sizeof(p->pub.profile));
	vd_text_read(r, p->pub.version, sizeof(p->pub.version));
	if (!vd_rd_ok(r) || !p->pub.id || p->pub.id >= vd_id_peek() || peer_find(p->pub.id)) {
		free(p);
		return -EBADMSG;
	}
	return peer_insert(p) ? 0 : -ENOMEM;
}

static int import_chan(struct vd_rd *r)
{
	struct chan *c = calloc(1, sizeof(*c));
	struct peer *p;
	uint8_t flags;

	if (!c)
		return -ENOMEM;
	c->pub.id = vd_rd_u64(r);
	c->pub.peer = vd_rd_u64(r);
	c->pub.mtu = vd_rd_u16(r);
	flags = vd_rd_u8(r);
	c->pub.up = flags & 1;
	c->pub.protected_ = flags & 2;
	vd_text_read(r, c->pub.upper, sizeof(c->pub.upper));
	vd_text_read(r, c->pub.connection, sizeof(c->pub.connection));
	p = peer_find(c->pub.peer);
	if (!vd_rd_ok(r) || !p || !c->pub.id || c->pub.id >= vd_id_peek() || chan_find(c->pub.id)) {
		free(c);
		return -EBADMSG;
	}
	c->pub.home = p->pub.home;
	return chan_insert(c, p) ? 0 : -ENOMEM;
}

static int objects_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	int res = 0;

	(void)self;
	(void)mode;
	if (version != LAYER_VERSION)
		return vd_error_set(err, -EPROTONOSUPPORT, "core.objects version %u cannot be read", version);
	vd_id_restore(vd_rd_u64(r));
	for (uint32_t n = vd_rd_u32(r); n && !res && vd_rd_ok(r); n--)
		res = import_peer(r);
	for (uint32_t n = res ? 0 : vd_rd_u32(r); n && !res && vd_rd_ok(r); n--)
		res = import_chan(r);
	if (!res && !vd_rd_done(r))
		res = -EBADMSG;
	return res ? vd_error_set(err, res, "core.objects: %s", res == -ENOMEM ? "out of memory" : "damaged record") : 0;
}

static const struct vd_layer layer = { "core.objects", LAYER_VERSION, objects_export, objects_import };

/* Which sources are known (system/source.h). */
#define SOURCES_VERSION 1

static int sources_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	(void)err;
	vd_source_write(w);
	return 0;
}

static int sources_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	(void)self;
	(void)mode;
	if (version != SOURCES_VERSION)
		return vd_error_set(err, -EPROTONOSUPPORT, "core.sources version %u cannot be read", version);
	vd_source_read(r);
	return vd_rd_done(r) ? 0 : vd_error_set(err, -EBADMSG, "core.sources: damaged record");
}

static const struct vd_layer sources = { "core.sources", SOURCES_VERSION, sources_export, sources_import };

int vd_objects_init(void)
{
	int res;

	vd_table_init(&reg.peers);
	vd_table_init(&reg.remotes);
	vd_table_init(&reg.chans);
	vd_link_init(&reg.all_peers);
	vd_link_init(&reg.all_chans);
	vd_link_init(&reg.work);
	vd_timer_init(&reg.retry, retry_steps);
	vd_timer_init(&reg.patience, patience_fired);
	reg.ready = true;
	res = vd_layer_register(NULL, &layer, NULL);
	return res < 0 ? res : vd_layer_register(NULL, &sources, NULL);
}

void vd_objects_fini(void)
{
	if (!reg.ready)
		return;
	while (!vd_link_empty(&reg.all_chans)) {
		struct chan *c = VD_CONTAINER_OF(reg.all_chans.next, struct chan, all);

		vd_link_del(&c->all);
		vd_timeline_clear(&c->timeline);
		free(c);
	}
	while (!vd_link_empty(&reg.all_peers))
		peer_free(VD_CONTAINER_OF(reg.all_peers.next, struct peer, all));
	vd_timer_stop(&reg.retry);
	vd_timer_stop(&reg.patience);
	vd_source_fini();
	vd_table_fini(&reg.peers);
	vd_table_fini(&reg.remotes);
	vd_table_fini(&reg.chans);
	memset(&reg, 0, sizeof(reg));
	vd_state_fini();
}
