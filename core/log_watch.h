/* Peers of which every record is written, whatever the levels say: to follow one client's set-up on a busy gateway. Those that
 * log.debug_peers names, and those that the operator's tool adds for a while. Control thread. */
#ifndef CORE_LOG_WATCH_H
#define CORE_LOG_WATCH_H

#include <viaduct/addr.h>

#define VD_LOG_WATCHED_MAX 16u
/* So often a second it is answered that a record of theirs is wanted, which is about twice for each; the rest is counted. */
#define VD_LOG_WATCHED_RATE 1000u

/* Puts log.debug_peers of the configuration in force; what was added by vd_log_watch stays. */
void vd_log_watch_conf(void);
/* Until vd_log_unwatch, or the end of the daemon. -EEXIST; -ENOSPC: VD_LOG_WATCHED_MAX have been added. */
int vd_log_watch(const struct vd_prefix *peers);
/* Forgets what vd_log_watch added. */
void vd_log_unwatch(void);
void vd_log_watched_each(void (*fn)(void *arg, const struct vd_prefix *peers, bool configured), void *arg);

#endif
