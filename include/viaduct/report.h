/* Viaduct: reports of failed set-ups. Who notices that a peer or user does not come up fills in what he knows and calls
 * vd_report_failure() once; the core looks up the rest, puts it into words, posts it as setup_failed (topics.h), writes
 * the one log line, notes it in the timeline of the peer or session, and remembers it for `viaductctl why`.
 *
 * The words of every kind of failure stand in one table (core/report/words.c): a plugin passes values, not sentences.
 * Never a secret, and never which of several secrets was nearly right. Control thread.
 */
#ifndef VIADUCT_REPORT_H
#define VIADUCT_REPORT_H

#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong. The comment says which fields of struct vd_report its words use, besides those that the core knows;
 * the word of each ("wrong-psk") is vd_failure_word(). Only appended to. */
enum vd_failure {
	VD_FAIL_OTHER,            /* none of the others: difference and remedy are the words */
	/* ---- phase 1 of IKE ---- */
	VD_FAIL_NO_PROPOSAL,      /* offered, configured, difference, remedy */
	VD_FAIL_SUITE,            /* the PSK's connection does not allow the suite that was chosen: the same */
	VD_FAIL_PSK,              /* count: how many were tried; configured: of whom */
	VD_FAIL_IDENTITY,         /* offered, configured */
	VD_FAIL_AGGRESSIVE,
	VD_FAIL_KEY_EXCHANGE,     /* offered: the group */
	VD_FAIL_MALFORMED,        /* offered: what is */
	VD_FAIL_NO_MESSAGE_3,
	VD_FAIL_NO_MESSAGE_5,     /* count: the port it should come to */
	VD_FAIL_BUSY,             /* our own key exchange was not done in time */
	VD_FAIL_PEERS_FULL,       /* count: how many are allowed; origin: of that limit */
	/* ---- quick mode ---- */
	VD_FAIL_NO_ESP_PROPOSAL,  /* offered, configured, difference, remedy */
	VD_FAIL_SELECTORS,        /* offered, difference */
	VD_FAIL_NO_QUICK_MODE,    /* phase 1 is up and nothing follows */
	VD_FAIL_NO_QUICK_3,
	VD_FAIL_CONNECTION_GONE,
	VD_FAIL_RESOURCES,        /* difference: what could not be had */
	/* ---- L2TP ---- */
	VD_FAIL_NO_IPSEC,
	VD_FAIL_L2TP_SILENT,      /* IPsec is up and no L2TP comes; count: seconds */
	VD_FAIL_SCCRP_LOST,       /* count: seconds */
	VD_FAIL_NO_SCCCN,         /* count: seconds */
	VD_FAIL_NO_ICCN,          /* count: seconds */
	VD_FAIL_TUNNEL_SECRET_NONE,
	VD_FAIL_TUNNEL_SECRET_WRONG,
	VD_FAIL_LIMIT,            /* count; offered: of what; configured: the option; origin */
	/* ---- PPP ---- */
	VD_FAIL_LCP_SILENT,       /* not one frame came */
	VD_FAIL_LCP_UNACKED,
	VD_FAIL_PPP_DIVERGES,     /* offered: the protocol, who refused; count: how often */
	VD_FAIL_AUTH_METHOD,      /* offered, configured */
	VD_FAIL_AUTH_REJECTED,    /* offered: the method whose protocol is rejected after it was agreed */
	VD_FAIL_AUTH_SILENT,      /* offered: what is not answered, "mschapv2 challenge" */
	VD_FAIL_PPP_TIMEOUT,      /* count: seconds; offered, configured: states of LCP and IPCP */
	VD_FAIL_IPCP_REJECTED,
	VD_FAIL_IPCP_UNACKED,
	VD_FAIL_GAVE_UP,          /* the peer ended it: difference has its words, client what its user sees */
	/* ---- the user ---- */
	VD_FAIL_UNKNOWN_USER,     /* configured: who does not know him; origin */
	VD_FAIL_PASSWORD,         /* configured: who knows him; origin */
	VD_FAIL_DISABLED,         /* configured, origin */
	VD_FAIL_REFUSED,          /* configured: who refused; difference: his words */
	VD_FAIL_UNAVAILABLE,      /* configured: who did not answer; difference */
	VD_FAIL_NO_PROVIDER,      /* no provider of the realm takes this */
	VD_FAIL_SECOND_LOGIN,     /* difference, origin */
	VD_FAIL_NOT_ADMITTED,     /* difference */
	VD_FAIL_POOL_FULL,        /* difference, origin */
	VD_FAIL_ADDRESS_HELD,     /* difference, origin */
	VD_FAIL_NO_ADDRESS,       /* difference, origin */
	VD_FAIL_ESTABLISH,        /* difference */
	VD_FAIL_AUTH_NONE,        /* the client refuses to be authenticated; configured: the methods it may use */
	/* ---- XAuth ---- */
	VD_FAIL_XAUTH_SILENT,     /* offered: what it was told, or asked; count: seconds */
	VD_FAIL_XAUTH_ANSWER,     /* difference: what is wrong with it */
	VD_FAIL_XAUTH_SKIPPED,    /* it began quick mode before */
	VD_FAIL_TUNNEL_SELECTORS, /* offered, difference */
	/* ---- aggressive mode ---- */
	VD_FAIL_GROUP,            /* offered: the name that no connection has */
	VD_FAIL_NO_AGGRESSIVE_3,
	VD_FAIL_VERSION,          /* of a protocol; offered: what it speaks; configured: what is served; remedy */
	/* ---- L2TP ---- */
	VD_FAIL_L2TP_STRAY,       /* offered: what came; difference: for which tunnel and session */
	VD_FAIL_L2TP_REFUSED,     /* difference: what is wrong with what it asked for */
	VD_FAIL_PPP_REFUSED,      /* stage; difference: what the peer does that cannot be */
	VD_FAIL_L2TP_FORGOTTEN,   /* count: seconds for which it did not answer */
	/* ---- phase 1 of IKE ---- */
	VD_FAIL_TOO_MUCH,         /* more than is read; count: octets; offered: of what; configured: what is read */
	VD_FAIL_DIALS_ALONE,      /* it has the key of a connection that dials, and accepts nobody; offered: who it is */
	VD_FAIL_EXCHANGE,         /* it begins with an exchange that is not served; count: its type */
	/* ---- limits that hold for all protocols ---- */
	VD_FAIL_CROWDED_OUT,      /* no user of it was authenticated when others needed its place; count: the limit; offered: of what */
	VD_FAIL_GUESSING,         /* too many wrong passwords came before this one; count: seconds until the next is looked at */
	VD_FAILURES
};

/* NULL pointers and zeroes: not known, or as the table has it. Nothing is kept beyond the call. */
struct vd_report {
	enum vd_failure kind;
	const char *stage;          /* NULL: as the table has it */
	uint64_t peer, chan, session; /* the innermost that is known; what lies below it is looked up, and with it address,
	                                 connection, user, and what kind of client it is */
	const struct vd_sa *remote; /* when there is no peer yet */
	const char *profile;        /* likewise: "windows", "apple", ... */
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
VD_API const char *vd_failure_word(enum vd_failure kind);

#ifdef __cplusplus
}
#endif
#endif
