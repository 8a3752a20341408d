/* Peers without an authenticated session: shares of their source networks, and patience. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "core/object/id.h"
#include "core/object/registry.h"
#include "core/session/session.h"

#define MAX_PEERS 20000 /* when the configuration does not say */
/* With peers that have no authenticated session, beyond the places of their sources, while more than a quarter of all places
 * are taken; while there is room the protocols have times of their own. */
#define PATIENCE_PART 4
#define PATIENCE_MS 60000
#define PATIENCE_SESSION_MS 600000 /* and with one that has: its protocol has times of its own */
#define PATIENCE_CHECK_MS 5000

uint64_t object_peers_max(void)
{
	uint64_t limit = vd_conf_uint(vd_conf_at(vd_conf_current(), NULL, "gateway.max_peers"));

	return limit ? limit : MAX_PEERS;
}

static bool busy(void)
{
	return object_reg.peers.n - object_reg.n_closing > object_peers_max() / PATIENCE_PART;
}

void object_peer_unproven(struct peer *p)
{
	if (p->closing || p->ours || p->sessions)
		return;
	p->unproven_since = vd_now();
	vd_source_unproven(p->source, &p->unproven);
	if (!object_reg.watching && busy())
		vd_timer_start(&object_reg.patience, PATIENCE_CHECK_MS);
	object_reg.watching |= busy();
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

void object_patience_fired(struct vd_timer *t)
{
	object_reg.watching = false;
	if (busy())
		vd_source_each_beyond(out_of_patience, &object_reg.watching);
	if (object_reg.watching)
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
	struct peer *p = object_peer(id);

	if (!p)
		return;
	p->sessions++;
	p->user = user;
	vd_source_joined(p->source, user);
	vd_source_proven(p->source, &p->unproven);
}

void vd_peer_left(uint64_t id)
{
	struct peer *p = object_peer(id);

	if (!p)
		return;
	vd_source_left(p->source);
	if (--p->sessions == 0)
		object_peer_unproven(p);
}

bool vd_peer_is_unproven(uint64_t id)
{
	const struct peer *p = object_peer(id);

	return p && !p->ours && !p->sessions;
}

unsigned vd_peer_sessions(uint64_t id)
{
	const struct peer *p = object_peer(id);
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
	struct peer *p = object_peer(id);

	if (!p)
		return;
	p->ours = true;
	vd_source_proven(p->source, &p->unproven);
}
