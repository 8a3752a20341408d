/* l2tp_guard: whom of the sources of unprotected L2TP to speak of. Control thread. */
#ifndef L2TP_GUARD_H
#define L2TP_GUARD_H

#include <viaduct/addr.h>

#define GUARD_SOURCES 64
#define GUARD_TELL_MS 60000u

struct guard_source {
	struct vd_ip ip;
	uint64_t told; /* vd_now() */
};

struct guard_sources {
	struct guard_source v[GUARD_SOURCES];
};

/* True when this source is to be reported now: once a minute each, and at most GUARD_SOURCES of them a minute. */
bool l2tp_guard_tell(struct guard_sources *sources, const struct vd_ip *source);

#endif
