/* Kernel settings: behind priv/1. Control thread; CAP_NET_ADMIN suffices. */
#ifndef CORE_SYSCTL_H
#define CORE_SYSCTL_H

#include <viaduct/base.h>

/* Sets one of a fixed list (forwarding; accept_ra of an interface) to the one value it may get. -EPERM for everything else. */
int vd_sysctl_set(const char *name, const char *value, struct vd_error *err);
/* Says in the log what was changed, is still so, and stays so. At the end. */
void vd_sysctl_end(void);

#endif
