/* The registry of peers and channels, and timelines of all objects. */
#include "core/object/registry.h"

#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "core/session/session.h"
#include "core/state.h"

struct object_registry object_reg;

struct peer *object_peer(uint64_t id)
{
	struct vd_entry *e = vd_table_find(&object_reg.peers, id);

	return e ? VD_CONTAINER_OF(e, struct peer, by_id) : NULL;
}

struct chan *object_chan(uint64_t id)
{
	struct vd_entry *e = vd_table_find(&object_reg.chans, id);

	return e ? VD_CONTAINER_OF(e, struct chan, by_id) : NULL;
}

const struct vd_timeline *vd_timeline_find(char letter, uint64_t id)
{
	struct peer *p = letter == 'p' ? object_peer(id) : NULL;
	struct chan *c = letter == 'c' ? object_chan(id) : NULL;

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

int vd_objects_init(void)
{
	vd_table_init(&object_reg.peers);
	vd_table_init(&object_reg.remotes);
	vd_table_init(&object_reg.chans);
	vd_link_init(&object_reg.all_peers);
	vd_link_init(&object_reg.all_chans);
	vd_link_init(&object_reg.work);
	vd_timer_init(&object_reg.retry, object_retry_steps);
	vd_timer_init(&object_reg.patience, object_patience_fired);
	object_reg.ready = true;
	return object_layers_register();
}

void vd_objects_fini(void)
{
	if (!object_reg.ready)
		return;
	while (!vd_link_empty(&object_reg.all_chans)) {
		struct chan *c = VD_CONTAINER_OF(object_reg.all_chans.next, struct chan, all);

		vd_link_del(&c->all);
		vd_timeline_clear(&c->timeline);
		free(c);
	}
	while (!vd_link_empty(&object_reg.all_peers))
		object_peer_free(VD_CONTAINER_OF(object_reg.all_peers.next, struct peer, all));
	vd_timer_stop(&object_reg.retry);
	vd_timer_stop(&object_reg.patience);
	vd_source_fini();
	vd_table_fini(&object_reg.peers);
	vd_table_fini(&object_reg.remotes);
	vd_table_fini(&object_reg.chans);
	memset(&object_reg, 0, sizeof(object_reg));
	vd_state_fini();
}
