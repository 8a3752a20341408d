/* The option negotiation automaton of RFC 1661 section 4, as data: one table, no code. Any thread. */
#ifndef PPP_FSM_H
#define PPP_FSM_H

#include <stdbool.h>
#include <stdint.h>

/* Numbered as in RFC 1661 section 4.1. */
enum ppp_state {
	PPP_INITIAL,
	PPP_STARTING,
	PPP_CLOSED,
	PPP_STOPPED,
	PPP_CLOSING,
	PPP_STOPPING,
	PPP_REQ_SENT,
	PPP_ACK_RCVD,
	PPP_ACK_SENT,
	PPP_OPENED,
	PPP_STATES
};

enum ppp_event {
	PPP_EV_UP,
	PPP_EV_DOWN,
	PPP_EV_OPEN,
	PPP_EV_CLOSE,
	PPP_EV_TO_PLUS,
	PPP_EV_TO_MINUS,
	PPP_EV_RCR_PLUS,
	PPP_EV_RCR_MINUS,
	PPP_EV_RCA,
	PPP_EV_RCN,
	PPP_EV_RTR,
	PPP_EV_RTA,
	PPP_EV_RUC,
	PPP_EV_RXJ_PLUS,
	PPP_EV_RXJ_MINUS,
	PPP_EV_RXR,
	PPP_EVENTS
};

/* Actions, a set; done in this order (the RFC leaves the order to us). Our Configure-Request leaves before our answer
 * to the peer's, which one client insists on. */
enum ppp_action {
	PPP_TLD = 1 << 0, /* this layer down */
	PPP_TLS = 1 << 1, /* this layer started */
	PPP_IRC = 1 << 2, /* initialize the restart counter */
	PPP_ZRC = 1 << 3, /* zero it */
	PPP_SCR = 1 << 4, /* send Configure-Request */
	PPP_STR = 1 << 5, /* send Terminate-Request */
	PPP_SCA = 1 << 6, /* send Configure-Ack */
	PPP_SCN = 1 << 7, /* send Configure-Nak or -Reject */
	PPP_STA = 1 << 8, /* send Terminate-Ack */
	PPP_SCJ = 1 << 9, /* send Code-Reject */
	PPP_SER = 1 << 10, /* send Echo-Reply, or treat what the event brought */
	PPP_TLU = 1 << 11, /* this layer up */
	PPP_TLF = 1 << 12, /* this layer finished */
	PPP_ILLEGAL = 1 << 13, /* the table's dash: cannot happen; counted and ignored */
};

struct ppp_transition {
	uint16_t actions;
	uint8_t next; /* enum ppp_state */
};

/* What an event does in a state. Values outside the enums give an illegal transition to PPP_INITIAL. */
struct ppp_transition ppp_fsm_step(unsigned state, unsigned event);
/* True in the states in which the Restart timer runs. */
bool ppp_fsm_timed(unsigned state);
/* "Req-Sent"; "?" for what is none. */
const char *ppp_fsm_name(unsigned state);

#endif
