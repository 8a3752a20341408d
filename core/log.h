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
/* Where whole lines go, without newline; NULL: standard error (with journald's priority prefix when it reads us). */
void vd_log_sink(void (*sink)(void *arg, enum vd_log_level level, const char *line), void *arg);

/* A record whose code and user are known where it is made; either may be NULL, limit as well. Control thread. */
void vd_log_coded(struct vd_log_limit *limit, enum vd_log_level level, const char *area, const struct vd_ids *ids,
	const char *code, const char *user, const char *fmt, ...) VD_PRINTF(7, 8);
/* Who knows the user of a session; called on the control thread only, and may return NULL. The text is copied. */
void vd_log_on_user(const char *(*fn)(uint64_t session));
/* Who knows whether all records of this peer are written; called on the control thread only. NULL: nobody. */
void vd_log_on_watched(bool (*fn)(const struct vd_ids *ids));
/* Hands a record to all sinks. True when one has taken it instead of standard error. */
bool vd_log_sinks_take(const struct vd_log_record *record);

/* Walks all counters in the order of their names' first use. */
void vd_counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg);
void vd_counters_reset(void);

#endif
