/* l2tp_guard: of which sources of unprotected L2TP to speak, and the service that the L2TP plugin uses. Control thread. */
#ifndef L2TP_GUARD_H
#define L2TP_GUARD_H

#include <viaduct/addr.h>
#include <viaduct/report.h>

extern const struct vd_failure l2tp_guard_fail_no_ipsec;

/* Service l2tp_guard/1. */
struct l2tp_guard_1 {
	void *self;
	/* From now on dials tells whether we dial a gateway at this address: what is said of it then is meant for us. NULL: nobody
	 * tells any more. */
	void (*on_dials)(void *self, bool (*dials)(void *arg, const struct vd_ip *ip), void *arg);
};

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
