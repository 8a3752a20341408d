/* Inside the core: the words of failure reports, and the reports that are remembered. Control thread. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "core/table.h"

/* ---- failures.c ---- */
/* What clients show when this happens, as plugins say: fn with those of a family, or of all (NULL). */
void vd_failure_shown(const char *word, const char *family, void (*fn)(void *arg, const struct vd_shown *shown), void *arg);
/* A plugin's table: -EINVAL with the reason when a word is none, or another plugin or the core has it. */
int vd_failures_check(const struct vd_plugin *plugin, struct vd_error *err);

/* ---- memory.c: what `viaductctl why` knows. Of fixed size; each level of trust has its own part, in which the report that
 * is oldest goes, so nobody can push out reports of those who proved more than he did ---- */
struct vd_remembered {
	struct vd_link all;           /* newest first */
	struct vd_setup_failed what;  /* the latest of its like */
	uint64_t first, last, count;  /* wall clock in ms; how often it happened */
};
/* One that is like the last of its peer and user is counted there. */
void vd_report_remember(const struct vd_setup_failed *what);
/* The next older one; NULL: the newest. */
const struct vd_remembered *vd_report_after(const struct vd_remembered *r);
/* Is it about this (core/named.h): an address, a user, also one whose name was only claimed, a connection that we dialled, a peer or session? */
bool vd_report_is_about(const struct vd_setup_failed *what, const char *about);
/* Frees the memory and begins the limits anew. */
void vd_reports_fini(void);

/* ---- report.c ---- */
void vd_report_limits_reset(void);

#endif
