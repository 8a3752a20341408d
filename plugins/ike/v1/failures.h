/* What can go wrong with IKEv1, for vd_report.kind; the comment says which fields of the report the words use. */
#ifndef IKE_V1_FAILURES_H
#define IKE_V1_FAILURES_H

#include <viaduct/plugin.h>
#include <viaduct/report.h>

extern const struct vd_failure ike_fail_no_proposal;    /* offered, configured, difference, remedy */
extern const struct vd_failure ike_fail_suite;          /* the PSK's connection does not allow the suite that was chosen: the same */
extern const struct vd_failure ike_fail_psk;            /* count: how many were tried; configured: of whom */
extern const struct vd_failure ike_fail_identity;       /* offered, configured */
extern const struct vd_failure ike_fail_aggressive;
extern const struct vd_failure ike_fail_key_exchange;   /* offered: the group */
extern const struct vd_failure ike_fail_malformed;      /* offered: what is */
extern const struct vd_failure ike_fail_no_message_3;
extern const struct vd_failure ike_fail_no_message_5;   /* count: the port it should come to */
extern const struct vd_failure ike_fail_busy;           /* our own key exchange was not done in time */
extern const struct vd_failure ike_fail_peers_full;     /* count: how many are allowed; origin: of that limit */
extern const struct vd_failure ike_fail_no_esp_proposal; /* offered, configured, difference, remedy */
extern const struct vd_failure ike_fail_selectors;      /* offered, difference */
extern const struct vd_failure ike_fail_no_quick_mode;  /* phase 1 is up and nothing follows */
extern const struct vd_failure ike_fail_no_quick_3;
extern const struct vd_failure ike_fail_connection_gone;
extern const struct vd_failure ike_fail_xauth_silent;   /* offered: what it was told, or asked; count: seconds */
extern const struct vd_failure ike_fail_xauth_answer;   /* difference: what is wrong with it */
extern const struct vd_failure ike_fail_xauth_skipped;  /* it began quick mode before */
extern const struct vd_failure ike_fail_tunnel_selectors; /* offered, difference */
extern const struct vd_failure ike_fail_group;          /* offered: the name that no connection has */
extern const struct vd_failure ike_fail_no_aggressive_3;
extern const struct vd_failure ike_fail_too_much;       /* more than is read; count: octets; offered: of what; configured: what is read */
extern const struct vd_failure ike_fail_dials_alone;    /* it has the key of a connection that dials, and accepts nobody; offered: who it is */
extern const struct vd_failure ike_fail_exchange;       /* it begins with an exchange that is not served; count: its type */
/* For the descriptor: all of them, and what clients show. */
extern const struct vd_failure *const ike_v1_failures[];
extern const struct vd_shown ike_v1_shown[];

#endif
