/* Viaduct: what this kernel and build offer the data path, found out at start, and what stands in for what is missing.
 * VIADUCT_NO_<NAME>=1 in the environment switches a piece off, for tests and for finding faults. Control thread. */
#ifndef CORE_DATAPATH_CAPS_H
#define CORE_DATAPATH_CAPS_H

#include <viaduct/datapath.h>

struct dp_caps {
	struct vd_datapath_cap v[VD_CAP_MAX];
};

/* Is this piece ("GSO", "VNET_HDR") switched off by the environment? */
bool dp_cap_switched_off(const char *name);
/* Asks the kernel what can be asked without a device; the rest is known when dp_caps_tun has been called. */
void dp_caps_probe(struct dp_caps *caps);
/* What everything is for a data path without kernel: all of the software, less what is switched off. */
void dp_caps_inline(struct dp_caps *caps);
/* A TUN queue: what of segmentation it takes is switched on. */
void dp_caps_tun(struct dp_caps *caps, int fd, unsigned queues);
void dp_cap_set(struct dp_caps *caps, enum vd_cap cap, bool on, const char *why);
/* Bit per enum vd_cap that is on. */
uint32_t dp_caps_bits(const struct dp_caps *caps);
/* "on: a, b; off: c (why)" */
void dp_caps_text(const struct dp_caps *caps, char *text, size_t size);

#endif
