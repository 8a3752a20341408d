/* Another configuration for a running daemon: read, checked, compared, put in force; or not, and then nothing changed.
 * Control thread; reading the files takes as long as reading takes. */
#ifndef CORE_RELOAD_H
#define CORE_RELOAD_H

#include "core/conf/conf.h"

/* The old configuration lives at least so long after it was replaced, whoever still holds numbers of its keys. It is
 * longer than an exchange may take. */
#define VD_RELOAD_GRACE_MS 150000

struct vd_reloaded {
	struct vd_conf_errors errs; /* also warnings */
	struct vd_plan plan;        /* what changes, or would change; empty when there were errors */
	bool done;                  /* it is in force */
};

/* Reads dir and asks all plugins. plan_only: that is all. 0, or -EINVAL with errors in ret->errs, -ENOMEM: the
 * configuration in force is the same as before. *ret is filled in any case, to be freed by vd_reloaded_free. */
int vd_reload(const char *dir, bool plan_only, struct vd_reloaded *ret);
void vd_reloaded_free(struct vd_reloaded *r);
/* vd_reload for a signal: what became of it goes to the log. */
void vd_reload_logged(const char *dir);
/* Could a start with vd_conf_current() find its plugins, and do they take it? Findings go to errs. */
void vd_reload_ask(struct vd_plan *plan, struct vd_conf_errors *errs);
/* log.level and log.areas of the configuration in force. everything: log all, whatever they say, from now on. */
void vd_reload_log_levels(bool everything);
/* Drops old configurations that are kept for a while; at the end. */
void vd_reload_fini(void);

#endif
