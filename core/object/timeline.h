/* What happened to a peer, a channel or a session, in words. Control thread. */
#ifndef CORE_TIMELINE_H
#define CORE_TIMELINE_H

#include <stdarg.h>
#include <stdint.h>

#define VD_TIMELINE_MAX 64
#define VD_TIMELINE_FEW 4 /* a power of two below */
struct vd_moment {
	uint64_t at, wall; /* vd_now(), vd_wall() */
	char *text;
};
/* Zeroed is empty. Moment i (0 = oldest) is v[(first + i) % VD_TIMELINE_MAX]. */
struct vd_timeline {
	struct vd_moment *v;
	uint8_t first, n, room; /* room: moments that v has space for */
	uint64_t forgotten; /* entries that were overwritten */
};
/* The oldest goes when there are VD_TIMELINE_MAX. Without memory nothing is added. */
void vd_timeline_add(struct vd_timeline *t, const char *fmt, va_list ap);
void vd_timeline_clear(struct vd_timeline *t);

#endif
