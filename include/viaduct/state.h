/* Viaduct: export and import of state, layer by layer: for restart, hand-over, replication and tests.
 *
 * A layer writes plain records (tag, version, length, fields through vd_wr), stable states only, timers as
 * {id, kind, milliseconds left}. Importing into a freshly initialised plugin and exporting again gives the same octets.
 * Control thread.
 */
#ifndef VIADUCT_STATE_H
#define VIADUCT_STATE_H

#include <viaduct/base.h>
#include <viaduct/bus.h>
#include <viaduct/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_import_mode {
	VD_IMPORT_SAME,     /* nothing was sent since the export: numbers go on where they were */
	VD_IMPORT_TAKEOVER, /* the exporter may have gone on: outbound sequence numbers +2^20, IV epoch +1 */
};

struct vd_layer {
	const char *name; /* of the plugin */
	uint16_t version; /* of its records; import gets the exporter's and refuses what it cannot read */
	/* Appends all objects. -EAGAIN when something is in a state that cannot be exported now (it says so in err). */
	int (*export_)(void *self, struct vd_wr *w, struct vd_error *err);
	int (*import)(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err);
	bool upper; /* reads after all that are not: its objects are made again by the layer below, which starts later */
};

VD_API int vd_layer_register(struct vd_host *host, const struct vd_layer *layer, void *self);
/* All layers in the order core, esp, ike, l2tp, ... (order of plugin start), then the upper ones: ppp. */
VD_API int vd_state_export(struct vd_wr *w, struct vd_error *err);
VD_API int vd_state_import(struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err);

/* The folder for files that must survive a restart; it belongs to the user the daemon runs as, from start() on: open its files in
 * start or later, never in init, which runs as root. The daemon's umask is 077: a file is of mode 0600 whatever is asked for, unless
 * it is changed after it was made. A file outside of this folder is opened by vd_file_open (file.h). NULL in
 * tests that have none: then nothing is kept in files. */
VD_API const char *vd_state_dir(void);

#ifdef __cplusplus
}
#endif
#endif
