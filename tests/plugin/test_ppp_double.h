/* What a PPP link stands on, with the core's own sessions, channels, bus and layers; the lower layer, the data path and
 * the providers are the test's. The one account is that of RFC 2759 section 9.2: User, clientPass. */
#ifndef TEST_PPP_DOUBLE_H
#define TEST_PPP_DOUBLE_H

#include <viaduct/link.h>
#include <viaduct/state.h>

#define SESSION d.id

struct frame {
	uint8_t p[1600];
	size_t len;
};

struct double_state {
	uint64_t id, chan;      /* of the session and its channel */
	struct frame out[256];  /* frames to the client, from their start */
	unsigned n_out, attempts;
	int lose;               /* the frame of this number is lost; -1: none */
	unsigned lower_closed;  /* times lower->closed was called */
	char reason[VD_ID_TEXT];
	bool hold_auth, hold_configure, no_address, unavailable; /* answers are held back; failures */
	int code; /* of its no; 0: one that says nothing */
	bool network, no_ipv4; /* the pool has a prefix, 2001:db8:5:1::/64 for this session; it has no addresses */
	bool hold_network, no_networks; /* the answer is held back; all of its prefix is in use */
	int no_add, no_fib; /* what session_add says, and fib_add of a network of IPv6; 0: yes */
	bool hold_add; /* the workers take their time with session_add: double_ack_add() */
	void (*added)(void *);
	void *added_arg;
	unsigned asked, leased, leased6, returned, carried; /* carried: times that session_add was called */
	uint64_t auth_ticket, lease_ticket, network_ticket;
	struct vd_authenticate request;
	char password[256]; /* as PAP says it */
	struct vd_wsess_desc desc;
	struct vd_session_counters counters;
	void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	void *punt_arg;
	const struct vd_link_1 *service;
};
extern struct double_state d;
extern const struct vd_link_lower double_lower;
extern bool double_dials; /* links that begin are of the side that dials */

/* After fake_init and fake_conf: objects, sessions, providers, services, one channel and one session for "staff". */
void double_start(uint16_t mtu);
/* The link on the session. */
void double_begin(void);
/* As a new process would: objects, sessions and the lower layer's place in the list of layers, all empty. */
void double_again(void);
void double_stop(void);
/* Answers that were held back; they arrive when the FIFO is drained. */
void double_answer_auth(void);
void double_answer_configure(void);
void double_answer_network(void);
void double_ack_add(void);
/* Times the session was closed: 0 or 1, or the test fails. Why: the reason of its end. */
unsigned double_closed(void);
const char *double_why(void);
/* True when the timeline of the session has an entry with this text in it. */
bool double_noted(const char *text);

#endif
