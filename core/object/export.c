/* Export and import of peers and channels. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/state.h>

#include "core/object/id.h"
#include "core/object/registry.h"
#include "core/session/session.h"
#include "core/encode.h"
#include "core/state.h"

/* ---- layer core.objects: u64 next id; u32 peers, then each; u32 channels, then each ---- */
#define LAYER_VERSION 2
static int objects_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	vd_wr_u64(w, vd_id_peek());
	vd_wr_u32(w, (uint32_t)object_reg.peers.n);
	for (struct vd_link *l = object_reg.all_peers.next; l != &object_reg.all_peers; l = l->next) {
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
	vd_wr_u32(w, (uint32_t)object_reg.chans.n);
	for (struct vd_link *l = object_reg.all_chans.next; l != &object_reg.all_chans; l = l->next) {
		const struct chan *c = VD_CONTAINER_OF(l, struct chan, all);

		vd_wr_u64(w, c->pub.id);
		vd_wr_u64(w, c->pub.peer);
		vd_wr_u16(w, c->pub.mtu);
		vd_wr_u8(w, (uint8_t)(c->pub.up | c->pub.protected_ << 1));
		vd_text_write(w, c->pub.upper);
		vd_text_write(w, c->pub.connection);
		vd_text_write(w, c->made_by);
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
	if (!vd_rd_ok(r) || !p->pub.id || p->pub.id >= vd_id_peek() || object_peer(p->pub.id)) {
		free(p);
		return -EBADMSG;
	}
	return object_peer_insert(p) ? 0 : -ENOMEM;
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
	vd_text_read(r, c->made_by, sizeof(c->made_by));
	p = object_peer(c->pub.peer);
	if (!vd_rd_ok(r) || !p || !c->pub.id || c->pub.id >= vd_id_peek() || object_chan(c->pub.id)) {
		free(c);
		return -EBADMSG;
	}
	c->pub.home = p->pub.home;
	return object_chan_insert(c, p) ? 0 : -ENOMEM;
}

/* Their maker is not here, or did not take them over: nobody has them on a worker. */
static void close_orphans(void *arg)
{
	struct vd_chan_info *next;
	char reason[VD_ID_TEXT];

	(void)arg;
	if (!object_reg.ready)
		return;
	for (struct vd_chan_info *info = vd_chan_after(NULL); info; info = next) {
		const struct chan *c = object_chan(info->id);

		next = vd_chan_after(info);
		if (c->maker || c->gone)
			continue;
		vd_format(reason, sizeof(reason), "%s, which made it, did not take it over", c->made_by);
		vd_chan_gone(info->id, reason);
	}
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
	if (!res && object_reg.chans.n) /* when all layers are read */
		res = vd_defer(close_orphans, NULL);
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

int object_layers_register(void)
{
	int res = vd_layer_register(NULL, &layer, NULL);

	return res < 0 ? res : vd_layer_register(NULL, &sources, NULL);
}
