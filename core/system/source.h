/* Source networks (/32, /64): how much each has of what strangers share, and which of them had authenticated sessions within a
 * day. A known source has as many places as it had such sessions at a time; beyond them it is a stranger. Control thread. */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>
#include <viaduct/work.h> /* vd_known_places */

#include "core/table.h"

#define VD_SOURCE_KEY 9
#define VD_SOURCE_DAY (24u * 3600 * 1000)
#define VD_SOURCE_CLASSES 33 /* by how much a source has beyond its places: none, 1, 2..3, 4..7, ... */

struct vd_source {
	struct vd_entry by_net, by_user;
	struct vd_link all;
	struct vd_link heavy;     /* of its class, while somebody holds it */
	struct vd_link idle;      /* while nobody does: the list of all such, oldest first */
	struct vd_link unproven;  /* head: what strangers may hold of it, oldest first; its owner's links */
	uint8_t net[VD_SOURCE_KEY];
	bool remembered;          /* in by_user */
	uint32_t refs;
	uint32_t n_unproven;      /* in the list above */
	uint32_t now, most;       /* authenticated sessions: at the moment, and the most of the last day */
	uint64_t most_at;         /* when there were so many */
};

/* The octets that say which source that is: family and network. */
void vd_source_key(const struct vd_ip *ip, uint8_t out[VD_SOURCE_KEY]);

/* Its record, with one more reference; NULL when out of memory. */
struct vd_source *vd_source_hold(const struct vd_ip *ip);
void vd_source_drop(struct vd_source *s);

/* The owner of l, which holds s, begins or ends to count as unproven; the list stays in the order of the former. */
void vd_source_unproven(struct vd_source *s, struct vd_link *l);
void vd_source_proven(struct vd_source *s, struct vd_link *l);

/* An authenticated session of this user (a hash of who) is there, of somebody who holds s, or has gone. */
void vd_source_joined(struct vd_source *s, uint64_t user);
void vd_source_left(struct vd_source *s);

/* The places it keeps: 0 for a stranger. Of an address: vd_known_places. */
uint32_t vd_source_places_of(struct vd_source *s);
/* How many of its unproven ones are beyond its places. */
uint32_t vd_source_beyond(struct vd_source *s);
/* The source with the most beyond its places (within a factor of two); NULL: no source has any. */
struct vd_source *vd_source_heaviest(void);
/* Those with unproven peers beyond their places, from the class with the most of them, until fn says false. fn must not free
 * sources at once; closing peers does not. */
void vd_source_each_heavy(bool (*fn)(struct vd_source *s, void *arg), void *arg);
/* Iteration over all that have any beyond their places; what is given may be proven, or left out, before the next call. fn may
 * not hold or drop other sources than that. */
void vd_source_each_beyond(void (*fn)(struct vd_source *s, void *arg), void *arg);

/* Layer core.sources: what is remembered. Reading marks r failed when it is damaged. */
void vd_source_write(struct vd_wr *w);
void vd_source_read(struct vd_rd *r);

/* Forgets all that nobody holds. */
void vd_source_fini(void);

#endif
