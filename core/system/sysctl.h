/* Kernel settings that are put back: behind priv/1. Control thread. */
#ifndef CORE_SYSCTL_H
#define CORE_SYSCTL_H

#include <viaduct/base.h>

/* Remembers where the journal lives. */
int vd_sysctl_init(const char *statedir);
int vd_sysctl_set(const char *name, const char *value, struct vd_error *err);
int vd_sysctl_restore(struct vd_error *err);
void vd_sysctl_fini(void);

#endif
