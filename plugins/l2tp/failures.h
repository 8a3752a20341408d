/* What can go wrong with L2TP, for vd_report.kind; the comment says which fields of the report the words use. */
#ifndef L2TP_FAILURES_H
#define L2TP_FAILURES_H

#include <viaduct/plugin.h>
#include <viaduct/report.h>

extern const struct vd_failure l2tp_fail_silent;        /* IPsec is up and no L2TP comes; count: seconds */
extern const struct vd_failure l2tp_fail_sccrp_lost;    /* count: seconds */
extern const struct vd_failure l2tp_fail_no_scccn;      /* count: seconds */
extern const struct vd_failure l2tp_fail_no_iccn;       /* count: seconds */
extern const struct vd_failure l2tp_fail_tunnel_secret_none;
extern const struct vd_failure l2tp_fail_tunnel_secret_wrong;
extern const struct vd_failure l2tp_fail_limit;         /* count; offered: of what; configured: the option; origin */
extern const struct vd_failure l2tp_fail_stray;         /* offered: what came; difference: for which tunnel and session */
extern const struct vd_failure l2tp_fail_refused;       /* difference: what is wrong with what it asked for */
extern const struct vd_failure l2tp_fail_forgotten;     /* count: seconds for which it did not answer */
/* For the descriptor: all of them, and what clients show. */
extern const struct vd_failure *const l2tp_failures[];
extern const struct vd_shown l2tp_shown[];

#endif
