/* Clients that are sold, as data: what each says first, octet by octet, and how it goes on. The robot speaks for them. */
#ifndef TESTS_SCENARIO_STOCK_H
#define TESTS_SCENARIO_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct msg;
struct robot;

/* All strings of octets are hexadecimal; lists end with NULL. */
struct stock_esp {
	const char *id, *attributes; /* ENCAP as the last octet of the encapsulation mode is filled in */
};

struct stock_ncp {
	uint16_t protocol;
	const char *options; /* NULL: no Configure-Request but this, data of one frame that is only sent */
	const char *frame;
};

struct stock {
	const char *name;
	const char *psk;               /* the group that its connection must allow */
	const char *profile;           /* what the gateway takes it for */
	const char *ike_chosen, *esp_chosen; /* what it gets, as the gateway names it */
	const char *const *ike;        /* attributes of each transform of phase 1 */
	unsigned aggressive;           /* the group of its aggressive mode, where it offers what it has of that group; 0: none */
	const char *const *vendors;
	const struct stock_esp *esp;   /* ends with id NULL */
	bool each;                     /* a proposal for each; else one for all */
	bool natoa;                    /* NAT-OA in quick mode, behind NAT */
	unsigned pfs;                  /* group of quick mode; 0: none */
	uint16_t idci_port;            /* of L2TP in its selector */
	uint16_t port, tid, sid;       /* of L2TP; port 0: 1701 */
	/* AVPs behind the Message Type; TTTT and SSSS are its ids. */
	const char *sccrq, *scccn, *icrq, *iccn, *cdn, *stopccn;
	bool waits;                    /* asks for its call, and begins PPP, only when the last message is acknowledged */
	bool data_length;              /* data messages have a length */
	unsigned late_ms;              /* after its ICCN it says nothing for so long */
	const char *lcp;               /* options of its Configure-Requests */
	const char *const *methods;    /* data of LCP's option 3 that it agrees to; the first is what it Naks with */
	const char *identify[4];       /* Identifications, when LCP is open */
	struct stock_ncp ncps[6];      /* when it is authenticated, in this order; ends with protocol 0 */
	bool one_id;                   /* identifiers go on over all protocols */
	bool closes_ccp;               /* Terminate-Request when every option of CCP was rejected; else an empty request */
	const char *terminate;         /* data of its Terminate-Request */
};
extern const struct stock stocks[];
extern const unsigned n_stocks;
/* With XAuth: nothing of L2TP and PPP. The first is Apple's, the second Android's. */
extern const struct stock xauth_stocks[];
extern const unsigned n_xauth_stocks;
/* NULL when there is none of this name. */
const struct stock *stock_find(const char *name);

/* What is refused once, to see whether it goes on. */
struct stock_refusal {
	uint16_t protocol; /* 0: nothing */
	uint8_t type;      /* of the option; 0: all of them */
	uint8_t code;      /* 3: Configure-Nak, 4: Configure-Reject */
	bool ours;         /* an option of the gateway's, by the client; else the client's, as the gateway could */
	bool done;
};

struct stock_cp {
	uint16_t protocol;
	bool begun, ours, theirs, over;
	uint8_t id, requests;
	uint8_t options[160];
	size_t len;
};

struct stock_ppp {
	struct stock_refusal refusal;
	struct stock_cp cps[8]; /* the first is LCP */
	unsigned n;
	uint8_t id;
	unsigned rejected;      /* Protocol-Rejects that came */
	uint16_t rejections[8]; /* of which protocols */
	unsigned naks, rejects; /* that came, of all protocols */
	bool identified;
};

/* stock.c */
void stock_mm1(const struct stock *s, struct client *c, struct msg *m);
/* Aggressive mode, as c->id. */
void stock_am1(const struct stock *s, struct client *c, struct msg *m);
void stock_qm1(struct robot *r, unsigned encap);
/* The octets of hex at p with its ids; how many. */
size_t stock_octets(const struct robot *r, const char *hex, uint8_t *p, size_t size);
size_t stock_avps(struct robot *r, unsigned type, uint8_t *p, size_t n);
/* A control message must suit the strictest: Apple and Android. */
void stock_strict(const struct robot *r, const uint8_t *p, size_t len);

/* stock_ppp.c */
void stock_ppp_start(struct robot *r);
void stock_ppp_network(struct robot *r);
void stock_ppp_input(struct robot *r, unsigned protocol, const uint8_t *p, size_t len);
/* True when it repeated something. */
bool stock_ppp_time(struct robot *r);
bool stock_ppp_up(const struct robot *r);
/* Its Terminate-Request, with its words. */
void stock_ppp_terminate(struct robot *r);

#endif
