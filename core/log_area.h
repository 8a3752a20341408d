/* The areas that log.areas may name: the core's own, and those of the plugins that were found. Control thread. */
#ifndef CORE_LOG_AREA_H
#define CORE_LOG_AREA_H

#include <viaduct/log.h>

/* Each name once. */
void vd_log_areas_each(void (*fn)(void *arg, const struct vd_log_area *area), void *arg);
/* Warnings about names in log.areas of vd_conf_current() that are no area, with what was probably meant, to where vd_conf_judge says. */
void vd_log_areas_check(void);

#endif
