/* The automaton's table: RFC 1661 section 4.1. The options p, r and x of its footnotes are not taken. */
#include "fsm.h"

#define NO { PPP_ILLEGAL, 0 }
#define TO(state) { 0, state }
#define DO(actions, state) { actions, state }

static const struct ppp_transition table[PPP_STATES][PPP_EVENTS] = {
	[PPP_INITIAL] = {
		[PPP_EV_UP] = TO(2), [PPP_EV_DOWN] = NO, [PPP_EV_OPEN] = DO(PPP_TLS, 1), [PPP_EV_CLOSE] = TO(0),
		[PPP_EV_TO_PLUS] = NO, [PPP_EV_TO_MINUS] = NO, [PPP_EV_RCR_PLUS] = NO, [PPP_EV_RCR_MINUS] = NO,
		[PPP_EV_RCA] = NO, [PPP_EV_RCN] = NO, [PPP_EV_RTR] = NO, [PPP_EV_RTA] = NO, [PPP_EV_RUC] = NO,
		[PPP_EV_RXJ_PLUS] = NO, [PPP_EV_RXJ_MINUS] = NO, [PPP_EV_RXR] = NO,
	},
	[PPP_STARTING] = {
		[PPP_EV_UP] = DO(PPP_IRC | PPP_SCR, 6), [PPP_EV_DOWN] = NO, [PPP_EV_OPEN] = TO(1),
		[PPP_EV_CLOSE] = DO(PPP_TLF, 0), [PPP_EV_TO_PLUS] = NO, [PPP_EV_TO_MINUS] = NO, [PPP_EV_RCR_PLUS] = NO,
		[PPP_EV_RCR_MINUS] = NO, [PPP_EV_RCA] = NO, [PPP_EV_RCN] = NO, [PPP_EV_RTR] = NO, [PPP_EV_RTA] = NO,
		[PPP_EV_RUC] = NO, [PPP_EV_RXJ_PLUS] = NO, [PPP_EV_RXJ_MINUS] = NO, [PPP_EV_RXR] = NO,
	},
	[PPP_CLOSED] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(0), [PPP_EV_OPEN] = DO(PPP_IRC | PPP_SCR, 6),
		[PPP_EV_CLOSE] = TO(2),
		[PPP_EV_TO_PLUS] = NO, [PPP_EV_TO_MINUS] = NO, [PPP_EV_RCR_PLUS] = DO(PPP_STA, 2),
		[PPP_EV_RCR_MINUS] = DO(PPP_STA, 2), [PPP_EV_RCA] = DO(PPP_STA, 2), [PPP_EV_RCN] = DO(PPP_STA, 2),
		[PPP_EV_RTR] = DO(PPP_STA, 2), [PPP_EV_RTA] = TO(2), [PPP_EV_RUC] = DO(PPP_SCJ, 2),
		[PPP_EV_RXJ_PLUS] = TO(2), [PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 2), [PPP_EV_RXR] = TO(2),
	},
	[PPP_STOPPED] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = DO(PPP_TLS, 1), [PPP_EV_OPEN] = TO(3), [PPP_EV_CLOSE] = TO(2),
		[PPP_EV_TO_PLUS] = NO, [PPP_EV_TO_MINUS] = NO, [PPP_EV_RCR_PLUS] = DO(PPP_IRC | PPP_SCR | PPP_SCA, 8),
		[PPP_EV_RCR_MINUS] = DO(PPP_IRC | PPP_SCR | PPP_SCN, 6), [PPP_EV_RCA] = DO(PPP_STA, 3),
		[PPP_EV_RCN] = DO(PPP_STA, 3), [PPP_EV_RTR] = DO(PPP_STA, 3), [PPP_EV_RTA] = TO(3),
		[PPP_EV_RUC] = DO(PPP_SCJ, 3), [PPP_EV_RXJ_PLUS] = TO(3), [PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 3),
		[PPP_EV_RXR] = TO(3),
	},
	[PPP_CLOSING] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(0), [PPP_EV_OPEN] = TO(5), [PPP_EV_CLOSE] = TO(4),
		[PPP_EV_TO_PLUS] = DO(PPP_STR, 4), [PPP_EV_TO_MINUS] = DO(PPP_TLF, 2), [PPP_EV_RCR_PLUS] = TO(4),
		[PPP_EV_RCR_MINUS] = TO(4), [PPP_EV_RCA] = TO(4), [PPP_EV_RCN] = TO(4), [PPP_EV_RTR] = DO(PPP_STA, 4),
		[PPP_EV_RTA] = DO(PPP_TLF, 2), [PPP_EV_RUC] = DO(PPP_SCJ, 4), [PPP_EV_RXJ_PLUS] = TO(4),
		[PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 2), [PPP_EV_RXR] = TO(4),
	},
	[PPP_STOPPING] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(1), [PPP_EV_OPEN] = TO(5), [PPP_EV_CLOSE] = TO(4),
		[PPP_EV_TO_PLUS] = DO(PPP_STR, 5), [PPP_EV_TO_MINUS] = DO(PPP_TLF, 3), [PPP_EV_RCR_PLUS] = TO(5),
		[PPP_EV_RCR_MINUS] = TO(5), [PPP_EV_RCA] = TO(5), [PPP_EV_RCN] = TO(5), [PPP_EV_RTR] = DO(PPP_STA, 5),
		[PPP_EV_RTA] = DO(PPP_TLF, 3), [PPP_EV_RUC] = DO(PPP_SCJ, 5), [PPP_EV_RXJ_PLUS] = TO(5),
		[PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 3), [PPP_EV_RXR] = TO(5),
	},
	[PPP_REQ_SENT] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(1), [PPP_EV_OPEN] = TO(6),
		[PPP_EV_CLOSE] = DO(PPP_IRC | PPP_STR, 4),
		[PPP_EV_TO_PLUS] = DO(PPP_SCR, 6), [PPP_EV_TO_MINUS] = DO(PPP_TLF, 3),
		[PPP_EV_RCR_PLUS] = DO(PPP_SCA, 8),
		[PPP_EV_RCR_MINUS] = DO(PPP_SCN, 6), [PPP_EV_RCA] = DO(PPP_IRC, 7),
		[PPP_EV_RCN] = DO(PPP_IRC | PPP_SCR, 6),
		[PPP_EV_RTR] = DO(PPP_STA, 6), [PPP_EV_RTA] = TO(6), [PPP_EV_RUC] = DO(PPP_SCJ, 6),
		[PPP_EV_RXJ_PLUS] = TO(6), [PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 3), [PPP_EV_RXR] = TO(6),
	},
	[PPP_ACK_RCVD] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(1), [PPP_EV_OPEN] = TO(7),
		[PPP_EV_CLOSE] = DO(PPP_IRC | PPP_STR, 4),
		[PPP_EV_TO_PLUS] = DO(PPP_SCR, 6), [PPP_EV_TO_MINUS] = DO(PPP_TLF, 3),
		[PPP_EV_RCR_PLUS] = DO(PPP_SCA | PPP_TLU, 9), [PPP_EV_RCR_MINUS] = DO(PPP_SCN, 7),
		[PPP_EV_RCA] = DO(PPP_SCR, 6), [PPP_EV_RCN] = DO(PPP_SCR, 6), [PPP_EV_RTR] = DO(PPP_STA, 6),
		[PPP_EV_RTA] = TO(6), [PPP_EV_RUC] = DO(PPP_SCJ, 7), [PPP_EV_RXJ_PLUS] = TO(6),
		[PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 3), [PPP_EV_RXR] = TO(7),
	},
	[PPP_ACK_SENT] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = TO(1), [PPP_EV_OPEN] = TO(8),
		[PPP_EV_CLOSE] = DO(PPP_IRC | PPP_STR, 4),
		[PPP_EV_TO_PLUS] = DO(PPP_SCR, 8), [PPP_EV_TO_MINUS] = DO(PPP_TLF, 3),
		[PPP_EV_RCR_PLUS] = DO(PPP_SCA, 8),
		[PPP_EV_RCR_MINUS] = DO(PPP_SCN, 6), [PPP_EV_RCA] = DO(PPP_IRC | PPP_TLU, 9),
		[PPP_EV_RCN] = DO(PPP_IRC | PPP_SCR, 8), [PPP_EV_RTR] = DO(PPP_STA, 6), [PPP_EV_RTA] = TO(8),
		[PPP_EV_RUC] = DO(PPP_SCJ, 8), [PPP_EV_RXJ_PLUS] = TO(8), [PPP_EV_RXJ_MINUS] = DO(PPP_TLF, 3),
		[PPP_EV_RXR] = TO(8),
	},
	[PPP_OPENED] = {
		[PPP_EV_UP] = NO, [PPP_EV_DOWN] = DO(PPP_TLD, 1), [PPP_EV_OPEN] = TO(9),
		[PPP_EV_CLOSE] = DO(PPP_TLD | PPP_IRC | PPP_STR, 4), [PPP_EV_TO_PLUS] = NO, [PPP_EV_TO_MINUS] = NO,
		[PPP_EV_RCR_PLUS] = DO(PPP_TLD | PPP_SCR | PPP_SCA, 8),
		[PPP_EV_RCR_MINUS] = DO(PPP_TLD | PPP_SCR | PPP_SCN, 6),
		[PPP_EV_RCA] = DO(PPP_TLD | PPP_SCR, 6), [PPP_EV_RCN] = DO(PPP_TLD | PPP_SCR, 6),
		[PPP_EV_RTR] = DO(PPP_TLD | PPP_ZRC | PPP_STA, 5), [PPP_EV_RTA] = DO(PPP_TLD | PPP_SCR, 6),
		[PPP_EV_RUC] = DO(PPP_SCJ, 9), [PPP_EV_RXJ_PLUS] = TO(9),
		[PPP_EV_RXJ_MINUS] = DO(PPP_TLD | PPP_IRC | PPP_STR, 5), [PPP_EV_RXR] = DO(PPP_SER, 9),
	},
};

struct ppp_transition ppp_fsm_step(unsigned state, unsigned event)
{
	if (state >= PPP_STATES || event >= PPP_EVENTS)
		return (struct ppp_transition)NO;
	return table[state][event];
}

bool ppp_fsm_timed(unsigned state)
{
	return state >= PPP_CLOSING && state <= PPP_ACK_SENT;
}

const char *ppp_fsm_name(unsigned state)
{
	static const char *const names[PPP_STATES] = { "Initial", "Starting", "Closed", "Stopped", "Closing",
		"Stopping", "Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened" };

	return state < PPP_STATES ? names[state] : "?";
}
