/* Inside the core: the words of failure reports, and the reports that are remembered. Control thread. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include <viaduct/report.h>

#include "core/table.h"

/* ---- words.c ---- */
/* Braces are replaced: {offered}, {configured}, {difference}, {connection}, {user}, {count} by these fields, {peer} by "client"
 * or "gateway", {at} by " (ORIGIN)" or nothing, {none} by "none of the COUNT" or "not the one". */
struct vd_failure_words {
	const char *word, *stage;
	const char *say;               /* what happened */
	const char *difference;        /* NULL: the reporter's */
	const char *remedy, *dial;     /* NULL: the reporter's; dial: when we called, NULL: as remedy */
	const char *windows, *apple;   /* what the built-in clients show; NULL: not known */
};
extern const struct vd_failure_words vd_failure_table[VD_FAILURES];
/* The words alone, NULL-terminated, for the field table of setup_failed. */
extern const char *const vd_failure_words[VD_FAILURES + 1];

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
