/* Viaduct: logging. The caller who can name the ids logs, once; library code returns errors instead.
 * Never pass a secret. Control and pool threads; not for stage code (workers count, they do not log).
 */
#ifndef VIADUCT_LOG_H
#define VIADUCT_LOG_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_log_level { VD_LOG_ERROR, VD_LOG_WARNING, VD_LOG_NOTICE, VD_LOG_INFO, VD_LOG_DEBUG };

/* Whom a record is about. Ids are part of it; 0 = not known yet. */
struct vd_sa;
struct vd_ids {
	uint64_t peer, chan, session;
	const struct vd_sa *remote; /* where it comes from, while there is no peer; valid during the call, may be NULL */
};

/* What records are about; log.areas of the configuration names them. Those of a plugin stand in its descriptor. */
struct vd_log_area {
	const char *name, *doc; /* doc: one sentence without a full stop */
};

/* area is one of the core's, or of the list in the plugin's descriptor. ids may be NULL. One line, no newline, no full stop. */
VD_API void vd_log(enum vd_log_level level, const char *area, const struct vd_ids *ids, const char *fmt, ...)
	VD_PRINTF(4, 5);
/* Would such a record be written: its level, or one of the peers whose records are all written (log.debug_peers)? ids may be NULL.
 * For records that cost something to make. */
VD_API bool vd_log_enabled(enum vd_log_level level, const char *area, const struct vd_ids *ids);

/* For records that network input can provoke: at most burst per interval_ms, then one line that says how many were left
 * out. Zeroed except burst and interval_ms. Control thread. */
struct vd_log_limit {
	uint32_t burst, interval_ms;
	uint64_t since, count, suppressed;
};
#define VD_LOG_LIMIT(n, ms) { .burst = (n), .interval_ms = (ms) }
VD_API void vd_log_limited(struct vd_log_limit *limit, enum vd_log_level level, const char *area,
	const struct vd_ids *ids, const char *fmt, ...) VD_PRINTF(5, 6);

/* "error", "warning", ... Any thread. */
VD_API const char *vd_log_level_name(enum vd_log_level level);

/* ---- sinks: where records go besides standard error ---- */
/* Texts are one line, safe for every terminal (text.h), valid during the call, and never NULL: "" when there is nothing to say. */
struct vd_log_record {
	uint64_t time; /* wall clock, ms since 1970 */
	enum vd_log_level level;
	const char *area;
	struct vd_ids ids;
	const char *user; /* whose session it is, when that is known */
	const char *code; /* what happened, for programs: "session-up", "pool-full"; most records have none */
	const char *text; /* the message alone */
};
#define VD_LOG_INSTEAD 1u /* what this sink takes is not written to standard error */
/* From now on fn gets each record that the levels let through, on whatever thread logs: it must not block and must not log.
 * It returns whether it took the record. -ENOSPC: there are 8 already. Control thread. */
VD_API int vd_log_sink_add(bool (*fn)(void *arg, const struct vd_log_record *record), void *arg, unsigned flags);
/* When it returns, fn is not being called and will not be. Harmless when it is not there. */
VD_API void vd_log_sink_remove(bool (*fn)(void *arg, const struct vd_log_record *record), void *arg);

/* A named counter of one plugin or module ("net_tun.lost"), shown by the control socket and metrics.
 * Registered on first use and kept for the life of the process; name must be a literal. Control thread. */
VD_API void vd_count(const char *name, uint64_t add);
VD_API uint64_t vd_counter(const char *name);

#ifdef __cplusplus
}
#endif
#endif
