/* Viaduct: service ike.port/1: ports 500 and 4500 shared by the IKE versions. Control thread. */
#ifndef VIADUCT_IKE_H
#define VIADUCT_IKE_H

#include <viaduct/datapath.h>
#include <viaduct/work.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_ike_version { /* what ike_v1 and ike_v2 register */
	uint8_t major;
	/* One whole message, header included; its length field equals len and is at least 28. */
	void (*input)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len);
};

struct vd_ike_port_1 {
	void *self;
	/* input NULL: no longer (fini). -EEXIST, -ENOENT, -ENOSPC. */
	int (*version)(void *self, const struct vd_ike_version *version, void *arg);
	int (*send)(void *self, const struct vd_path *path, const void *p, size_t len);
	/* Half-open accounting, shared by the versions: true when another half-open exchange from this source may start: a limit
	 * for all, and one for each source network that only counts while the gateway is busy. An exchange that costs a place
	 * before its address is proved (VD_STANDING_FORGEABLE) takes one of a pool apart, an eighth as large, and its source is
	 * not charged: anybody may have written that address. A place is given back with the standing that it was taken with. */
	bool (*half_open_take)(void *self, const struct vd_ip *source, enum vd_standing standing);
	void (*half_open_give)(void *self, const struct vd_ip *source, enum vd_standing standing);
};

#ifdef __cplusplus
}
#endif
#endif
