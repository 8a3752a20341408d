/* Peers: who is connected, from where, and how one ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/object/id.h"
#include "core/object/registry.h"
#include "core/session/session.h"

#define CLOSING_PART 8 /* of the limit, on top of it: peers that are being closed to make room */

static uint64_t remote_key(const struct vd_sa *sa)
{
	struct vd_wr w;
	uint8_t room[24];

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, sa->ip.family);
	vd_wr_put(&w, sa->ip.a, sizeof(sa->ip.a));
	vd_wr_u16(&w, sa->port);
	vd_wr_u32(&w, sa->scope);
	return vd_siphash(object_reg.remotes.secret, room, w.len);
}

/* Datagrams of one source port reach one socket, so peers that share it must share a home. */
static uint8_t home_for(const struct vd_sa *remote)
{
	uint8_t best = 0;

	for (struct vd_entry *e = vd_table_find(&object_reg.remotes, remote_key(remote)); e; e = vd_table_again(e)) {
		const struct peer *p = VD_CONTAINER_OF(e, struct peer, by_remote);

		if (vd_sa_equal(&p->pub.remote, remote))
			return p->pub.home;
	}
	for (unsigned i = 1; i < OBJECT_SLOTS; i++)
		if (object_reg.load[i] < object_reg.load[best])
			best = i;
	return best;
}

void object_peer_free(struct peer *p)
{
	vd_table_del(&object_reg.peers, &p->by_id);
	vd_table_del(&object_reg.remotes, &p->by_remote);
	vd_link_del(&p->all);
	vd_link_del(&p->work);
	vd_source_proven(p->source, &p->unproven);
	vd_source_drop(p->source);
	object_reg.n_closing -= p->closing;
	object_reg.load[p->pub.home]--;
	vd_timeline_clear(&p->timeline);
	free(p);
}

/* Puts a record with id, home and remote filled in into the registry. Frees it on failure. */
struct peer *object_peer_insert(struct peer *p)
{
	vd_link_init(&p->all);
	vd_link_init(&p->chans);
	vd_link_init(&p->work);
	vd_link_init(&p->unproven);
	p->source = vd_source_hold(&p->pub.remote.ip);
	if (!p->source || vd_table_add(&object_reg.peers, &p->by_id, p->pub.id) < 0)
		goto fail;
	if (vd_table_add(&object_reg.remotes, &p->by_remote, remote_key(&p->pub.remote)) < 0) {
		vd_table_del(&object_reg.peers, &p->by_id);
		goto fail;
	}
	vd_link_add(&object_reg.all_peers, &p->all);
	object_reg.load[p->pub.home]++;
	object_peer_unproven(p);
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
	p = object_peer_insert(p);
	if (!p)
		return NULL;
	vd_note('p', p->pub.id, "first message from %s", vd_sa_format(remote, text));
	return &p->pub;
}

struct vd_peer *vd_peer_new(uint64_t endpoint, const struct vd_sa *local, const struct vd_sa *remote)
{
	uint64_t max = object_peers_max();

	if (object_reg.peers.n - object_reg.n_closing >= max && (object_reg.n_closing > max / CLOSING_PART + 1 || !vd_peer_make_room(false, max, 0))) {
		vd_count("core.peer.limit", 1);
		return NULL;
	}
	return peer_make(endpoint, local, remote);
}

struct vd_peer *vd_peer_beside(uint64_t peer)
{
	const struct peer *of = object_peer(peer);
	struct vd_peer *made = of && !of->closing ? peer_make(of->pub.endpoint, &of->pub.local, &of->pub.remote) : NULL;

	if (made)
		VD_CONTAINER_OF(made, struct peer, pub)->beside = true;
	return made;
}

bool vd_peer_is_beside(uint64_t id)
{
	const struct peer *p = object_peer(id);

	return p && p->beside;
}

bool vd_peers_too_many(void)
{
	return object_reg.peers.n - object_reg.n_closing > object_peers_max();
}

struct vd_peer *vd_peer_find(uint64_t id)
{
	struct peer *p = object_peer(id);

	return p ? &p->pub : NULL;
}

void vd_peer_set_up(uint64_t id, const struct vd_peer_up *facts)
{
	struct peer *p = object_peer(id);
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
	object_peer_unproven(p);
	if (since) /* patience does not begin anew */
		p->unproven_since = since;
}

void vd_peer_endpoint(uint64_t id, const struct vd_sa *remote, bool natt)
{
	struct peer *p = object_peer(id);
	char text[VD_SA_TEXT];

	if (!p)
		return;
	p->pub.natt = natt;
	if (vd_sa_equal(&p->pub.remote, remote))
		return;
	vd_table_del(&object_reg.remotes, &p->by_remote);
	if (!vd_ip_equal(&p->pub.remote.ip, &remote->ip))
		moved(p, &remote->ip);
	p->pub.remote = *remote;
	vd_table_add(&object_reg.remotes, &p->by_remote, remote_key(remote));
	vd_note('p', id, "now at %s%s", vd_sa_format(remote, text), natt ? ", behind NAT" : "");
}

/* ---- closing: sessions, then channels (by their maker), then the peer ---- */
static void peer_step(void *arg);

void object_retry_steps(struct vd_timer *t)
{
	(void)t;
	while (!vd_link_empty(&object_reg.work))
		peer_step(NULL);
}

void object_peer_step_soon(struct peer *p)
{
	if (!vd_link_empty(&p->work))
		return;
	vd_link_add(&object_reg.work, &p->work);
	if (vd_defer(peer_step, NULL) < 0)
		vd_timer_start(&object_reg.retry, 10);
}

static void peer_progress(struct peer *p)
{
	if (p->down) {
		object_peer_free(p);
		return;
	}
	/* Its maker may come back with vd_chan_gone at once, which changes the list: start over after each. */
	for (struct vd_link *l = p->chans.next; l != &p->chans;) {
		struct chan *c = VD_CONTAINER_OF(l, struct chan, of_peer);

		if (c->closing || !vd_link_empty(&c->sessions)) { /* goodbyes still travel on it */
			l = l->next;
			continue;
		}
		c->closing = true;
		if (c->maker)
			c->maker->close(c->arg, c->pub.id, p->reason);
		else
			vd_chan_gone(c->pub.id, p->reason); /* nobody has taken it over after an import */
		l = p->chans.next;
	}
	if (vd_link_empty(&p->chans)) {
		struct vd_peer_down event = { .peer = p->pub.id };

		vd_strcpy(event.reason, sizeof(event.reason), p->reason);
		vd_event_post(&vd_topic_peer_down, &event);
		p->down = true;
		object_peer_step_soon(p); /* the record stays until peer_down was delivered */
	}
}

static void peer_step(void *arg)
{
	struct peer *p;

	(void)arg;
	if (!object_reg.ready || vd_link_empty(&object_reg.work))
		return;
	p = VD_CONTAINER_OF(object_reg.work.next, struct peer, work);
	vd_link_del(&p->work);
	peer_progress(p);
}

void vd_peer_close(uint64_t id, const char *reason)
{
	struct peer *p = object_peer(id);

	if (!p || p->closing)
		return;
	p->closing = true;
	object_reg.n_closing++;
	vd_source_proven(p->source, &p->unproven);
	p->pub.up = false;
	vd_strcpy(p->reason, sizeof(p->reason), reason);
	vd_note('p', id, "closing: %s", reason);
	for (struct vd_link *l = p->chans.next; l != &p->chans; l = l->next)
		vd_sessions_close_on(VD_CONTAINER_OF(l, struct chan, of_peer)->pub.id, reason);
	object_peer_step_soon(p);
}

const char *vd_peer_closing(uint64_t id)
{
	struct peer *p = object_peer(id);

	return p && p->closing ? p->reason : NULL;
}

struct vd_peer *vd_peer_after(const struct vd_peer *peer)
{
	struct vd_link *l = peer ? VD_CONTAINER_OF(peer, struct peer, pub)->all.next : object_reg.all_peers.next;

	return l == &object_reg.all_peers ? NULL : &VD_CONTAINER_OF(l, struct peer, all)->pub;
}

size_t vd_peer_count(void)
{
	return object_reg.peers.n;
}
