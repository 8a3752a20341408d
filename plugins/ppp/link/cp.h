/* One control protocol (LCP, IPCP) of one link: runs the automaton, speaks its packets, keeps its timer and counters.
 * What the options mean is the protocol's own (lcp.c, ipcp.c). Control thread. */
#ifndef PPP_CP_H
#define PPP_CP_H

#include "fsm.h"
#include "proto.h"

#include <viaduct/bytes.h>
#include <viaduct/loop.h>

struct ppp_link;
struct ppp_cp;

enum ppp_judgement { PPP_OPT_ACK, PPP_OPT_NAK, PPP_OPT_REJ };

/* A received packet, header taken off. */
struct ppp_packet {
	uint8_t code, id;
	const uint8_t *data;
	size_t len;
};

struct ppp_cp_kind {
	uint16_t protocol;
	const char *name;
	/* Restart timer before the next Configure-Request, ms; sent: how many went out since the counter was set. */
	uint32_t (*interval)(const struct ppp_cp *cp, unsigned sent);
	/* Writes the options we ask for now. */
	void (*request)(struct ppp_cp *cp, struct vd_wr *w);
	/* A Configure-Request begins: forget what was staged from the last one. */
	void (*begin)(struct ppp_cp *cp);
	/* One option of it. For NAK the wanted option is appended to nak. Values are staged, not yet in force. */
	enum ppp_judgement (*option)(
		struct ppp_cp *cp, uint8_t type, const uint8_t *data, size_t len, struct vd_wr *nak);
	/* All options were seen: append to nak what is missing. */
	void (*missing)(struct ppp_cp *cp, struct vd_wr *nak);
	/* True when a refused value must stay a Nak and never become a Reject. */
	bool (*keep_nak)(uint8_t type);
	/* The request was fine: what was staged is in force. */
	void (*accept)(struct ppp_cp *cp);
	/* One option of a valid Configure-Nak or -Reject to our last request. */
	void (*refused)(struct ppp_cp *cp, bool reject, uint8_t type, const uint8_t *data, size_t len);
	/* Codes from 8 up. False: this protocol does not know the code. */
	bool (*extra)(struct ppp_cp *cp, const struct ppp_packet *packet);
	/* Echo-Request, Echo-Reply, Discard in Opened state. */
	void (*opened_extra)(struct ppp_cp *cp, const struct ppp_packet *packet);
	void (*terminate)(struct ppp_cp *cp, const struct ppp_packet *packet); /* the data of a Terminate-Request */
	void (*up)(struct ppp_cp *cp);
	void (*down)(struct ppp_cp *cp);
	void (*finished)(struct ppp_cp *cp);
};

struct ppp_cp {
	const struct ppp_cp_kind *kind;
	struct ppp_link *link;
	uint8_t state;     /* enum ppp_state */
	uint8_t restart;   /* requests that may still be sent */
	uint8_t sent;      /* Configure-Requests since the counter was set */
	uint8_t id;        /* of our last Configure- or Terminate-Request */
	bool fresh;        /* the next Configure-Request is a new one, not a repetition */
	uint8_t refusals;  /* Naks and Rejects we sent since the last Ack: Max-Failure, then the end */
	uint8_t refused;   /* Naks and Rejects the peer sent since its last Ack */
	uint8_t request_len, acked_len, acked_id;
	uint8_t request[PPP_OPTIONS_MAX]; /* options of our last Configure-Request; at most 255 octets */
	uint8_t acked[PPP_OPTIONS_MAX];   /* options of the peer's that we acknowledged last */
	bool acked_any;
	struct vd_timer timer; /* Restart timer */
};

#define PPP_MAX_CONFIGURE 10
#define PPP_MAX_TERMINATE 2
#define PPP_MAX_FAILURE 5      /* Naks before an option is rejected (RFC 1661 section 4.6) */
#define PPP_MAX_REFUSALS 20    /* refusals in either direction before we give up */
#define PPP_TERMINATE_MS 1000

void ppp_cp_init(struct ppp_cp *cp, const struct ppp_cp_kind *kind, struct ppp_link *link);
/* An event that brings no packet: Up, Down, Open, Close. */
void ppp_cp_event(struct ppp_cp *cp, enum ppp_event event);
/* A packet of this protocol, from its code on. Malformed ones are counted and dropped. */
void ppp_cp_input(struct ppp_cp *cp, const uint8_t *p, size_t len);
/* The peer cannot speak this protocol, or rejected one of its codes. */
void ppp_cp_rejected(struct ppp_cp *cp, bool fatal);
/* Sends one packet with an identifier of its own, which leaves that of our open request alone; returns it. */
uint8_t ppp_cp_send(struct ppp_cp *cp, uint8_t code, const void *data, size_t len);
/* Answers with the given identifier; data is cut so that the packet fits the peer's MRU. */
void ppp_cp_answer(struct ppp_cp *cp, uint8_t code, uint8_t id, const void *data, size_t len);
void ppp_cp_fini(struct ppp_cp *cp);
/* Export and import of everything above; import of a kind that init has set. */
void ppp_cp_export(const struct ppp_cp *cp, struct vd_wr *w);
int ppp_cp_import(struct ppp_cp *cp, struct vd_rd *r);

/* Timers in exports: UINT32_MAX when stopped. */
void ppp_timer_export(const struct vd_timer *t, struct vd_wr *w);
void ppp_timer_import(struct vd_timer *t, struct vd_rd *r);

/* When the next Configure-Request is due, for kinds whose first one may be lost: after 1 s, then every 3 s. */
uint32_t ppp_cp_interval(const struct ppp_cp *cp, unsigned sent);

#endif
