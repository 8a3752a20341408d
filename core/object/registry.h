/* Inside core/object: the records of peers and channels, and what its files share. Control thread. */
#ifndef CORE_OBJECT_REGISTRY_H
#define CORE_OBJECT_REGISTRY_H

#include "core/object/object.h"
#include "core/system/source.h"

#define OBJECT_SLOTS 256

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
	const struct vd_chan_maker *maker; /* NULL: imported, and not adopted yet */
	void *arg;                 /* of maker */
	char made_by[VD_NAME_MAX]; /* name of the maker, also before it adopts an imported one */
	struct vd_timeline timeline;
	char reason[VD_ID_TEXT];
	bool closing; /* its maker was told */
	bool gone;    /* the maker said so; the record waits for its sessions */
};

struct object_registry {
	bool ready;
	struct vd_table peers, remotes, chans;
	struct vd_link all_peers, all_chans;
	struct vd_link work; /* peers that are being closed and have a next step; one deferred call each */
	uint32_t load[OBJECT_SLOTS];
	size_t n_closing;
	struct vd_timer patience;
	bool watching; /* it runs: there may be unproven peers beyond the places of their sources */
	struct vd_timer retry; /* goes on with closing when vd_defer had no memory */
};
extern struct object_registry object_reg;

/* NULL when there is none of this id. */
struct peer *object_peer(uint64_t id);
struct chan *object_chan(uint64_t id);

/* ---- peer.c ---- */
/* Puts a record with id, home and remote filled in into the registry. Frees it on failure: NULL. */
struct peer *object_peer_insert(struct peer *p);
void object_peer_free(struct peer *p);
/* Goes on with closing it, later. */
void object_peer_step_soon(struct peer *p);
void object_retry_steps(struct vd_timer *timer);

/* ---- share.c ---- */
uint64_t object_peers_max(void);
/* It has no authenticated session from now on. */
void object_peer_unproven(struct peer *p);
void object_patience_fired(struct vd_timer *timer);

/* ---- channel.c ---- */
/* Puts a record with id into the registry and on its peer's list. Frees it on failure: NULL. */
struct chan *object_chan_insert(struct chan *c, struct peer *p);

/* ---- export.c ---- */
/* Registers the layers core.objects and core.sources. */
int object_layers_register(void);

#endif
