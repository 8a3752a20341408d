/* What can go wrong with PPP, for vd_report.kind; the comment says which fields of the report the words use. */
#ifndef PPP_FAILURES_H
#define PPP_FAILURES_H

#include <viaduct/plugin.h>
#include <viaduct/report.h>

extern const struct vd_failure ppp_fail_lcp_silent;     /* not one frame came */
extern const struct vd_failure ppp_fail_lcp_unacked;
extern const struct vd_failure ppp_fail_diverges;       /* offered: the protocol, who refused; count: how often */
extern const struct vd_failure ppp_fail_auth_method;    /* offered, configured */
extern const struct vd_failure ppp_fail_auth_none;      /* the client refuses to be authenticated; configured: the methods it may use */
extern const struct vd_failure ppp_fail_auth_rejected;  /* offered: the method whose protocol is rejected after it was agreed */
extern const struct vd_failure ppp_fail_auth_silent;    /* offered: what is not answered, "mschapv2 challenge" */
extern const struct vd_failure ppp_fail_timeout;        /* count: seconds; offered, configured: states of LCP and IPCP */
extern const struct vd_failure ppp_fail_ipcp_rejected;
extern const struct vd_failure ppp_fail_ipcp_unacked;
extern const struct vd_failure ppp_fail_refused;        /* stage; difference: what the peer does that cannot be */
/* For the descriptor: all of them, and what clients show. */
extern const struct vd_failure *const ppp_failures[];
extern const struct vd_shown ppp_shown[];

#endif
