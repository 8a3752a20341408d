/* Channels: ways to send datagrams to a peer, and how one ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/object/id.h"
#include "core/object/registry.h"
#include "core/session/session.h"

struct vd_chan_info *vd_chan_find(uint64_t id)
{
	struct chan *c = object_chan(id);

	return c ? &c->pub : NULL;
}

struct chan *object_chan_insert(struct chan *c, struct peer *p)
{
	vd_link_init(&c->sessions);
	if (vd_table_add(&object_reg.chans, &c->by_id, c->pub.id) < 0) {
		free(c);
		return NULL;
	}
	vd_link_add(&object_reg.all_chans, &c->all);
	vd_link_add(&p->chans, &c->of_peer);
	return c;
}

struct vd_chan_info *vd_chan_record(uint64_t peer, const char *upper, uint16_t mtu, const struct vd_chan_maker *maker, void *arg)
{
	struct peer *p = object_peer(peer);
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
	c->maker = maker;
	c->arg = arg;
	vd_strcpy(c->made_by, sizeof(c->made_by), maker->name);
	vd_strcpy(c->pub.upper, sizeof(c->pub.upper), upper);
	vd_strcpy(c->pub.connection, sizeof(c->pub.connection), p->pub.connection);
	c = object_chan_insert(c, p);
	return c ? &c->pub : NULL;
}

int vd_chan_adopt(uint64_t id, const struct vd_chan_maker *maker, void *arg)
{
	struct chan *c = object_chan(id);

	if (!c)
		return -ENOENT;
	if (strcmp(c->made_by, maker->name) || c->maker)
		return -EPERM;
	c->maker = maker;
	c->arg = arg;
	return 0;
}

uint64_t vd_chan_idle(uint64_t id)
{
	const struct chan *c = object_chan(id);

	return c && c->maker && c->maker->idle ? c->maker->idle(c->arg, id) : UINT64_MAX;
}

void vd_chan_set_up(uint64_t id)
{
	struct chan *c = object_chan(id);
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
	struct peer *p = object_peer(c->pub.peer);
	struct vd_chan_down event = { .chan = c->pub.id, .peer = c->pub.peer };

	vd_strcpy(event.reason, sizeof(event.reason), c->reason);
	vd_event_post(&vd_topic_chan_down, &event);
	vd_note('p', c->pub.peer, "channel c-%llu is gone: %s", (unsigned long long)c->pub.id, c->reason);
	vd_table_del(&object_reg.chans, &c->by_id);
	vd_link_del(&c->all);
	vd_link_del(&c->of_peer);
	vd_timeline_clear(&c->timeline);
	free(c);
	if (p && p->closing && !p->down)
		object_peer_step_soon(p);
}

void vd_chan_gone(uint64_t id, const char *reason)
{
	struct chan *c = object_chan(id);

	if (!c || c->gone)
		return;
	c->gone = c->closing = true;
	c->pub.up = false;
	vd_strcpy(c->reason, sizeof(c->reason), reason);
	vd_note('c', id, "gone: %s", reason);
	vd_sessions_close_on(id, reason);
	/* chan_down comes after session_gone of all sessions above it. */
	if (vd_link_empty(&c->sessions))
		chan_end(c);
}

bool vd_chan_closing(uint64_t id)
{
	struct chan *c = object_chan(id);

	return !c || c->closing || vd_peer_closing(c->pub.peer);
}

struct vd_link *vd_chan_sessions(uint64_t chan)
{
	struct chan *c = object_chan(chan);

	return c ? &c->sessions : NULL;
}

bool vd_chan_used(uint64_t id)
{
	const struct vd_link *head = vd_chan_sessions(id);

	return head && head->next != head;
}

void vd_chan_session_left(uint64_t chan)
{
	struct chan *c = object_chan(chan);
	struct peer *p = c ? object_peer(c->pub.peer) : NULL;

	if (c && c->gone && vd_link_empty(&c->sessions))
		chan_end(c);
	else if (p && p->closing && !p->down)
		object_peer_step_soon(p);
}

struct vd_chan_info *vd_chan_after(const struct vd_chan_info *chan)
{
	struct vd_link *l = chan ? VD_CONTAINER_OF(chan, struct chan, pub)->all.next : object_reg.all_chans.next;

	return l == &object_reg.all_chans ? NULL : &VD_CONTAINER_OF(l, struct chan, all)->pub;
}

size_t vd_chan_count(void)
{
	return object_reg.chans.n;
}
