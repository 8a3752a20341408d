/* Where log records go and which are written. Control thread, except that records may come from any thread. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <viaduct/log.h>

/* Levels: the default, and per area (a copy of the name is kept; at most 32). */
void vd_log_set_level(enum vd_log_level level);
int vd_log_set_area(const char *area, enum vd_log_level level);
void vd_log_clear_areas(void);
/* -EINVAL for an unknown word. */
int vd_log_level_parse(const char *word, enum vd_log_level *ret_level);
const char *vd_log_level_name(enum vd_log_level level);
/* Where whole lines go, without newline; NULL: standard error (with journald's priority prefix when it reads us). */
void vd_log_sink(void (*sink)(void *arg, enum vd_log_level level, const char *line), void *arg);

/* Walks all counters in the order of their names' first use. */
void vd_counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg);
void vd_counters_reset(void);

#endif
