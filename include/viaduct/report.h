/* Viaduct: reports of failed set-ups. Who notices that a peer or user does not come up fills in what he knows and calls
 * vd_report_failure() once; the core looks up the rest, puts it into words, posts it as setup_failed (topics.h), writes
 * the one log line, notes it in the timeline of the peer or session, and remembers it for `viaductctl why`.
 *
 * The words of every kind of failure stand in a table of the plugin: a report passes values, not sentences.
 * Never a secret, and never which of several secrets was nearly right. Control thread.
 */
#ifndef VIADUCT_REPORT_H
#define VIADUCT_REPORT_H

#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong: a plugin has a table of its own in its descriptor. Braces in texts are replaced: {offered}, {configured},
 * {difference}, {connection}, {user}, {count} by these fields of the report, {peer} by "client" or "gateway", {at} by " (ORIGIN)" or
 * nothing, {none} by "none of the COUNT" or "not the one". */
struct vd_failure {
	const char *word;  /* for programs, "wrong-psk": a-z, 0-9 and -, at most VD_FAILURE_WORD - 1 octets; no other plugin has it */
	const char *stage; /* where in a set-up, if the report does not say; at most 15 octets */
	const char *say;   /* what happened */
	const char *difference; /* the first one; NULL: as the report says */
	const char *remedy, *dial; /* what to do; NULL: as the report says. dial: when we called, NULL: as remedy */
};
#define VD_FAILURE_WORD 32

/* What the user of one family of clients (quirk.h) gets to see when that happens; in a plugin's descriptor, also for failures of
 * others. */
struct vd_shown {
	const char *failure; /* its word; NULL ends the table */
	const char *family;
	const char *text;    /* "X shows error 7" */
};

/* Of no protocol. The comment says which fields of struct vd_report the words use, besides those that the core knows. */
extern VD_API const struct vd_failure vd_fail_other;    /* none of the others: difference and remedy are the words */
extern VD_API const struct vd_failure vd_fail_resources; /* difference: what could not be had */
extern VD_API const struct vd_failure vd_fail_gave_up;  /* the peer ended it: difference has its words, client what its user sees */
extern VD_API const struct vd_failure vd_fail_unknown_user; /* configured: who does not know him; origin */
extern VD_API const struct vd_failure vd_fail_password; /* configured: who knows him; origin */
extern VD_API const struct vd_failure vd_fail_disabled; /* configured, origin */
extern VD_API const struct vd_failure vd_fail_refused;  /* configured: who refused; difference: his words */
extern VD_API const struct vd_failure vd_fail_unavailable; /* configured: who did not answer; difference */
extern VD_API const struct vd_failure vd_fail_no_provider; /* no provider of the realm takes this */
extern VD_API const struct vd_failure vd_fail_second_login; /* difference, origin */
extern VD_API const struct vd_failure vd_fail_not_admitted; /* difference */
extern VD_API const struct vd_failure vd_fail_pool_full; /* difference, origin */
extern VD_API const struct vd_failure vd_fail_address_held; /* difference, origin */
extern VD_API const struct vd_failure vd_fail_no_address; /* difference, origin */
extern VD_API const struct vd_failure vd_fail_crowded_out; /* no user of it was authenticated when others needed its place; count: the limit; offered: of what */
extern VD_API const struct vd_failure vd_fail_guessing; /* too many wrong passwords came before this one; count: seconds until the next is looked at */
extern VD_API const struct vd_failure vd_fail_establish; /* difference */
/* NULL: neither the core nor a plugin that was found has it. */
VD_API const struct vd_failure *vd_failure_named(const char *word);

/* NULL pointers and zeroes: not known, or as the table has it. Nothing is kept beyond the call. */
struct vd_report {
	const struct vd_failure *kind; /* NULL: vd_fail_other */
	const char *stage;          /* NULL: as the table has it */
	uint64_t peer, chan, session; /* the innermost that is known; what lies below it is looked up, and with it address,
	                                 connection, user, and what kind of client it is */
	const struct vd_sa *remote; /* when there is no peer yet */
	const char *profile;        /* likewise: a name of quirk.h */
	const char *connection, *user;
	bool dialled;               /* we called: the peer is a gateway, and who reads this is its client */
	bool answered;              /* no peer yet, but it repeated a cookie of ours: the address is no forged one */
	uint64_t count;
	const char *offered;        /* what the peer offered or did */
	const char *configured;     /* what is configured here */
	const char *difference;     /* the first thing that differs */
	const char *remedy;         /* what to change, and where */
	const char *origin;         /* file:line of the value that decided (vd_conf_origin) */
	const char *client;         /* what the client's user sees */
};

/* Reports. What a single forged datagram can provoke (no peer, not answered) is posted and logged at most three times a
 * minute for each kind. */
VD_API void vd_report_failure(const struct vd_report *report);

#ifdef __cplusplus
}
#endif
#endif
