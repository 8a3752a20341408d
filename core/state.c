/* Export and import of all layers. One record per layer: u32 magic, text name, u16 version, u32 length, octets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/object/object.h"
#include "core/state.h"

#define MAGIC 0x56445354u /* "VDST" */
#define MAX_LAYERS 64

static struct {
	const struct vd_layer *layer;
	void *self;
} layers[MAX_LAYERS];
static size_t n_layers;
static const char *state_dir;

const char *vd_state_dir(void)
{
	return state_dir;
}

void vd_state_dir_set(const char *dir)
{
	state_dir = dir;
}

int vd_layer_register(struct vd_host *host, const struct vd_layer *layer, void *self)
{
	(void)host;
	for (size_t i = 0; i < n_layers; i++) {
		/* A plugin that is initialised again brings a new self and keeps its place in the order. */
		if (!strcmp(layers[i].layer->name, layer->name)) {
			layers[i].layer = layer;
			layers[i].self = self;
			return 0;
		}
	}
	if (n_layers == MAX_LAYERS)
		return -ENOSPC;
	layers[n_layers].layer = layer;
	layers[n_layers].self = self;
	n_layers++;
	return 0;
}

void vd_state_fini(void)
{
	n_layers = 0;
}

static int export_layer(const struct vd_layer *layer, void *self, struct vd_wr *w, struct vd_error *err)
{
	size_t at, start;
	int res;

	vd_wr_u32(w, MAGIC);
	vd_text_write(w, layer->name);
	vd_wr_u16(w, layer->version);
	at = vd_wr_mark(w, 4);
	start = w->len;
	res = layer->export_(self, w, err);
	if (res < 0)
		return vd_error_prefix(err, "layer %s: ", layer->name), res;
	vd_wr_patch_u32(w, at, (uint32_t)(w->len - start));
	return 0;
}

int vd_state_export(struct vd_wr *w, struct vd_error *err)
{
	/* They are read in the order in which they were written. */
	for (int upper = 0; upper < 2; upper++) {
		for (size_t i = 0; i < n_layers; i++) {
			int res = layers[i].layer->upper == upper ? export_layer(layers[i].layer, layers[i].self, w, err) : 0;

			if (res < 0)
				return res;
		}
	}
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "the state does not fit into %zu octets", w->size);
}

int vd_state_import(struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	while (vd_rd_left(r)) {
		uint32_t magic = vd_rd_u32(r);
		char name[64];
		uint16_t version;
		struct vd_rd body;
		size_t i;
		int res;

		vd_text_read(r, name, sizeof(name));
		version = vd_rd_u16(r);
		if (!vd_rd_sub(r, vd_rd_u32(r), &body) || magic != MAGIC)
			return vd_error_set(err, -EBADMSG, "not exported state, or damaged");
		for (i = 0; i < n_layers && strcmp(layers[i].layer->name, name); i++)
			;
		if (i == n_layers)
			return vd_error_set(err, -ENOENT, "nobody reads layer %s; load the plugin that wrote it", name);
		res = layers[i].layer->import(layers[i].self, version, &body, mode, err);
		if (res < 0)
			return vd_error_prefix(err, "layer %s: ", name), res;
	}
	return vd_rd_ok(r) ? 0 : vd_error_set(err, -EBADMSG, "exported state is cut off");
}
