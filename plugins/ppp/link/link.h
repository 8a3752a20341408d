/* One PPP link: its phases (RFC 1661 section 3), its control protocols and what belongs to them. Control thread. */
#ifndef PPP_LINK_H
#define PPP_LINK_H

#include "cp.h"
#include "../lib/failures.h"
#include "../lib/map.h"

#include <viaduct/link.h>
#include <viaduct/log.h>
#include <viaduct/quirk.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#define PPP_AUTH_MAX 4
#define PPP_PROTOCOLS_MAX 16 /* protocols that are rejected; further ones are dropped */
#define PPP_REJECTIONS_MAX 3 /* of one control protocol that keeps asking */
#define PPP_LEASES6_MAX 8 /* networks of IPv6 in the life of a link: the last of them is kept until it ends */

enum ppp_phase {
	PPP_PHASE_ESTABLISH,    /* LCP */
	PPP_PHASE_AUTHENTICATE, /* a method runs */
	PPP_PHASE_CONFIGURE,    /* the core admits and leases */
	PPP_PHASE_NETWORK,      /* IPCP, IPV6CP: neither is open */
	PPP_PHASE_BRING_UP,     /* the core makes routes and worker entries */
	PPP_PHASE_UP,
	PPP_PHASES
};

/* What link.end does when it fires. Ends are never done inside of a callback: the timer is armed with 0 ms. */
enum ppp_end { PPP_END_NONE, PPP_END_FAIL, PPP_END_GONE };

struct ppp_auth {
	const struct vd_ppp_auth_1 *method;
	char name[16];
	bool refused; /* by the peer, in this negotiation */
};

struct ppp_self { /* the plugin */
	const struct vd_datapath_1 *dp;
	struct vd_link_1 service;
	struct ppp_map links;
};

/* What the peer asked for itself. */
struct ppp_lcp_peer {
	uint16_t mru;
	bool pfc, acfc;
	uint32_t magic;
	uint8_t auth; /* dialled: position in link->auth of the method that it asks us for, + 1; 0: it asks for none */
};

struct ppp_link {
	struct ppp_map_node node; /* id: the session */
	struct ppp_self *self;
	const struct vd_link_lower *lower; /* NULL: gone */
	void *lower_arg;
	uint16_t overhead;
	char connection[VD_NAME_MAX];
	bool dial;     /* we called: we are authenticated and configured */
	uint8_t phase; /* enum ppp_phase */
	bool failing;        /* the end is decided; only LCP still speaks */
	bool session_closed;
	bool reported;
	bool heard;          /* the peer sent anything at all */
	bool spoke;          /* it sent something that is only allowed with LCP open */
	bool ever_opened;
	char reason[VD_ID_TEXT];
	struct vd_timer open, setup, end;

	struct ppp_cp lcp;
	uint16_t mru; /* what we ask the peer to keep to */
	bool ask_mru, ask_magic;
	uint32_t magic;
	struct ppp_lcp_peer peer, staged;
	struct ppp_auth auth[PPP_AUTH_MAX]; /* that we may ask for; dialled: that we may be asked for */
	char wants[32];   /* dialled: what the gateway asked for last and we cannot do */
	uint8_t n_auth, auth_at, auth_unknown;
	void *auth_state; /* of the method that runs or has run */
	uint8_t notes;    /* Identifications in the timeline */

	struct vd_timer echo;
	uint8_t echo_lost;
	bool echo_heard, echo_off; /* heard: any frame since the last tick; off: the peer rejects echoes */
	uint8_t echo_id;
	uint64_t echo_packets;

	struct ppp_cp ipcp;
	bool ask_address, asked_missing, saw_address;
	uint8_t address_refused;
	bool no_dns[2];                   /* dialled: the gateway rejects the option */
	struct vd_leased_address given;   /* dialled: what the gateway told us */
	/* IPv6, where the client wants it, there is a network for it and the link is large enough */
	struct ppp_cp ipv6cp;
	uint8_t may;       /* of VD_WANT_*: what there are addresses for */
	bool asking6, no_v6; /* a network is asked for; there is none, for as long as the link lives */
	uint8_t leases6;   /* networks that were leased */
	uint8_t open_now, carried; /* likewise: protocols that are open; what the core was told of them */
	uint8_t id[IPV6CP_ID], peer_id[IPV6CP_ID], staged_id[IPV6CP_ID], suggested[IPV6CP_ID];
	bool ask_id, asked_id, saw_id;
	uint8_t early6_len, early6[PPP_OPTIONS_MAX]; /* a Configure-Request of IPV6CP that came before the lease */

	uint8_t early_len; /* an IPCP Configure-Request that came before the lease */
	uint8_t early[PPP_OPTIONS_MAX];

	uint16_t rejected[PPP_PROTOCOLS_MAX];
	uint8_t rejections[PPP_PROTOCOLS_MAX];
	uint8_t n_rejected, ccp_requests;
	bool ccp_ended;      /* the timeline says why, once */
	uint8_t other_id; /* identifiers of what we send besides Configure- and Terminate-Requests */
	uint32_t tokens;     /* answers that the peer may provoke now, in thousandths */
	uint64_t tokens_at;
};

/* ---- link.c ---- */
struct ppp_link *ppp_link_find(struct ppp_self *self, uint64_t session);
/* service link/1 */
int ppp_link_start(void *self, uint64_t session, const struct vd_link_lower *lower, void *arg,
	const struct vd_link_params *params);
/* LCP begins now; the timer of start() would say so in the next turn of the loop. */
void ppp_link_open(struct ppp_link *link);
void ppp_link_stop(void *self, uint64_t session, const char *reason);
void ppp_link_lower_down(void *self, uint64_t session, const char *reason);
/* Decides the end: Terminate-Request, then lower->closed. The first reason wins. Safe in any callback: acts later. There is
 * none without its report, which says what the text says where it has no difference of its own. */
void ppp_link_fail(struct ppp_link *link, struct vd_report report, const char *fmt, ...) VD_PRINTF(3, 4);
/* What a client is known by, and what is odd about some: quirks.c. */
#define PPP_EVIDENCE_LCP "lcp"
extern const struct vd_quirk ppp_link_quirks[];
#define PPP_ODD ((struct vd_report){ .kind = &ppp_fail_refused })
#define PPP_RESOURCES ((struct vd_report){ .kind = &vd_fail_resources })
/* Who decided that has reported it, or it is no failure of a set-up: the end of what was up, or asked for. */
#define PPP_SAID ((struct vd_report){ .kind = NULL })
/* What ends a set-up, and is an end like others in a session that is up. */
#define PPP_ODD_BEFORE_UP(link) ((link)->phase == PPP_PHASE_UP ? PPP_SAID : PPP_ODD)
/* LCP is finished: the link goes. Safe in any callback. */
void ppp_link_gone(struct ppp_link *link, const char *reason);
/* Ends the session in the core, once. */
void ppp_link_close_session(struct ppp_link *link);
/* One report of a failed set-up; the first counts. Who it is about is filled in. */
void ppp_link_report(struct ppp_link *link, struct vd_report report);
/* What a failure now is a failure of, as in struct vd_setup_failed: "lcp", "auth", "address", "ipcp". */
const char *ppp_link_stage(const struct ppp_link *link);
struct vd_ids ppp_link_ids(const struct ppp_link *link);
/* Frees at once; nothing is sent. */
void ppp_link_free(struct ppp_link *link);
/* A frame of this protocol to the peer, uncompressed header in front. */
void ppp_link_send(struct ppp_link *link, uint16_t protocol, const void *p, size_t len);
/* One packet, for a log of level debug. */
void ppp_link_debug(const struct ppp_link *link, const char *what, uint16_t protocol, const uint8_t *p, size_t len);
/* True when the peer may provoke another answer: 10 a second, 20 at once. */
bool ppp_link_token(struct ppp_link *link);

/* Who the other side is, in words: "the client", or "the gateway" when we called. */
static inline const char *ppp_peer(const struct ppp_link *link)
{
	return link->dial ? "the gateway" : "the client";
}

/* ---- phase.c: from LCP open to the session up ---- */
void ppp_phase_lcp_up(struct ppp_link *link);
void ppp_phase_lcp_down(struct ppp_link *link, bool terminating);
/* A network protocol (VD_WANT_V4, VD_WANT_V6) is open, or no longer. With the first the session comes up, others join. */
void ppp_phase_ncp(struct ppp_link *link, unsigned family, bool open);
/* True while the other network protocol is open or being negotiated: the link does not end with this one. */
bool ppp_phase_other(const struct ppp_cp *cp);
/* The client asks for IPv6. True: its request has to wait for a lease, and ppp_early() follows. False: IPV6CP takes it,
 * having begun, or (link->no_v6) there is no IPv6. */
bool ppp_phase_ipv6(struct ppp_link *link);
/* IPV6CP ended: the network goes back. */
void ppp_phase_ipv6_over(struct ppp_link *link);
extern const struct vd_ppp_auth_host ppp_auth_host; /* its argument is the link */
/* Octets in front of a packet of PPP_IP or PPP_IPV6 toward the peer, as negotiated. */
size_t ppp_phase_header(const struct ppp_link *link, enum ppp_protocol protocol, uint8_t out[4]);

/* ---- auth.c: which method ---- */
/* Fills link->auth from the connection's list, or with what is not weaker than MS-CHAPv2. -ENOENT with err when none. */
int ppp_auth_list(struct ppp_link *link, struct vd_error *err);
/* The peer refused our method. A Nak: takes what it named when we allow it, else the next; when there is none left, and
 * with a Reject, the link ends with a report. */
void ppp_auth_refused(struct ppp_link *link, bool reject, const uint8_t *data, size_t len);
/* We dialled, and the gateway asks for this method: notes it and returns true when we have it, else writes the option we
 * would rather have to nak. */
bool ppp_auth_asked(struct ppp_link *link, const uint8_t *data, size_t len, struct vd_wr *nak);
/* We dialled, and the gateway asks for none that we have, or for none at all: ends the link. */
void ppp_auth_unasked(struct ppp_link *link);

/* ---- input.c ---- */
/* A punted frame (datapath/1 session_punt). */
void ppp_input(void *self, uint64_t session, const uint8_t *p, size_t len);
/* The lease is here: requests of network protocols that came before it. */
void ppp_early(struct ppp_link *link);

/* ---- echo.c ---- */
void ppp_echo_start(struct ppp_link *link);
void ppp_echo_timer(struct vd_timer *t);

/* ---- export.c ---- */
extern const struct vd_layer ppp_layer;

extern const struct ppp_cp_kind ppp_lcp, ppp_ipcp, ppp_ipcp_client, ppp_ipv6cp;
/* Knobs of the connection. */
uint64_t ppp_knob(const struct ppp_link *link, const char *option);

/* ---- ras.c ---- */
/* Decodes the data of a Windows Terminate-Request: false when it is none. */
bool ppp_ras_reason(const uint8_t *data, size_t len, char *out, size_t size);
/* Words in such data: what fits, or nothing when it has what is not safe (text.h). size is not 0. */
void ppp_said(const uint8_t *data, size_t len, char *out, size_t size);
/* Either; false (and nothing) when it says nothing. */
bool ppp_reason(const uint8_t *data, size_t len, char *out, size_t size);

#endif
