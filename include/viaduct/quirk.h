/* Viaduct: kinds of clients, and what is odd about each, as one table (core/quirk/quirk.c). A peer is of one kind at a time
 * (struct vd_peer, profile); what it says of itself on the way up narrows it. What suits everybody is no quirk: it is simply
 * how we do things. Control thread.
 */
#ifndef VIADUCT_QUIRK_H
#define VIADUCT_QUIRK_H

#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_quirks {
	const char *name;
	/* A row replaces one of lower rank: a family of programs (1) nobody knew, a product (2) its family. */
	uint8_t rank;
	/* ---- what it is known by; NULL: not by this. Vendor ids of IKE name their row (ike/lib/vendor.c). ---- */
	const char *l2tp_vendor; /* the Vendor Name of its L2TP begins like this */
	const char *l2tp_host;   /* its Host Name is this */
	const char *lcp;         /* an Identification of LCP begins like this */
	/* ---- what is odd ---- */
	/* The family whose words its user gets to see when it does not connect (struct vd_shown); "": its user reads a log; NULL: nobody
	 * knows, all that is known is quoted. */
	const char *shows;
	/* Some of them cut the HMAC-SHA2-256 of their ESP to 96 bits without saying so: SHA-1 is preferred to it. */
	bool cuts_sha256;
	/* Milliseconds for which it may sleep: LCP echoes and L2TP Hellos that are not answered end nothing before. 0: as
	 * ppp.echo_failures and l2tp.patience say. */
	uint32_t sleeps_ms;
	/* It refuses rekeys of CHILD SAs that we begin: it begins its own. */
	bool no_rekeys;
	/* What its user has to do when it sees that the gateway is behind NAT, and goes no further; NULL: nothing is known. */
	const char *natted;
};

/* Never NULL: "generic" for names that are none. */
VD_API const struct vd_quirks *vd_quirks_named(const char *name);
/* Of the peer's profile; "generic" when there is no such peer. */
VD_API const struct vd_quirks *vd_peer_quirks(uint64_t peer);

enum vd_evidence { VD_EVIDENCE_L2TP_VENDOR, VD_EVIDENCE_L2TP_HOST, VD_EVIDENCE_LCP };
/* What the peer says of itself, safe (text.h). Its profile becomes a row that is known by this, when that one's rank is higher
 * than its own; its timeline says so. */
VD_API void vd_peer_evidence(uint64_t peer, enum vd_evidence kind, const char *text);

#ifdef __cplusplus
}
#endif
#endif
