/* Failures of IKEv1, in words, and what clients show their users then: what their forums quote. */
#include "failures.h"

#define WINDOWS(failure_, text_) { failure_, "windows", "Windows shows " text_ }
#define APPLE(failure_, text_) { failure_, "apple", "macOS and iOS show \"" text_ "\"" }

const struct vd_failure ike_fail_no_proposal = { .word = "no-proposal", .stage = "phase1",
	.say = "no common proposal: {peer} offered {offered}; {configured}" };

const struct vd_failure ike_fail_suite = { .word = "suite-not-allowed", .stage = "phase1",
	.say = "no common proposal: {offered} was chosen, and the {peer}'s pre-shared key is that of {connection}; {configured}" };

const struct vd_failure ike_fail_psk = { .word = "wrong-psk", .stage = "phase1",
	.say = "wrong PSK: the {peer}'s pre-shared key is {none} tried",
	.difference = "the pre-shared key",
	.remedy = "compare it with {configured}, or type it anew on the client",
	.dial = "compare {configured} with the gateway's" };

const struct vd_failure ike_fail_identity = { .word = "wrong-identity", .stage = "phase1",
	.say = "wrong identity: the {peer} says it is {offered}, not {configured}",
	.difference = "the identity",
	.remedy = "correct one of both{at}" };

const struct vd_failure ike_fail_aggressive = { .word = "aggressive-mode", .stage = "phase1",
	.say = "the {peer} wants aggressive mode, which gives the pre-shared key to anybody who listens and guesses",
	.difference = "aggressive mode instead of main mode",
	.remedy = "clear the group name (identifier) in its L2TP settings" };

const struct vd_failure ike_fail_key_exchange = { .word = "bad-key-exchange", .stage = "phase1",
	.say = "the {peer}'s Diffie-Hellman value is not valid for {offered}",
	.difference = "the key exchange value",
	.remedy = "try again; if it stays so, the {peer}'s software is broken" };

const struct vd_failure ike_fail_malformed = { .word = "malformed", .stage = "phase1",
	.say = "{offered} of the {peer} is malformed",
	.difference = "its form",
	.remedy = "try again; if it stays so, the {peer}'s software or something on the way is broken" };

const struct vd_failure ike_fail_no_message_3 = { .word = "no-message-3", .stage = "phase1",
	.say = "the {peer} sent message 1, and nothing after our answer",
	.difference = "message 3 did not come",
	.remedy = "see whether packets from UDP port 500 of the gateway reach the client" };

const struct vd_failure ike_fail_no_message_5 = { .word = "no-message-5", .stage = "phase1",
	.say = "the {peer} sent message 3, and nothing after our answer",
	.difference = "message 5 did not come",
	.remedy = "see whether UDP port {count} is open both ways between the client and the gateway" };

const struct vd_failure ike_fail_busy = { .word = "gateway-busy", .stage = "phase1",
	.say = "the gateway did not finish its own key exchange in time",
	.difference = "message 4 could not be made",
	.remedy = "see its load and viaductctl counters" };

const struct vd_failure ike_fail_peers_full = { .word = "too-many-peers", .stage = "phase1",
	.say = "the gateway has as many peers as it may ({count}), or its memory is short",
	.difference = "one peer too many",
	.remedy = "raise gateway.max_peers{at}" };

const struct vd_failure ike_fail_no_esp_proposal = { .word = "no-esp-proposal", .stage = "quick mode",
	.say = "no common proposal: {peer} offered {offered} for ESP; {configured}" };

const struct vd_failure ike_fail_selectors = { .word = "selectors", .stage = "quick mode",
	.say = "selectors refused: {peer} asked for {offered}; only UDP with port 1701 on the gateway's side is served",
	.remedy = "make it an L2TP/IPsec connection (transport mode, UDP port 1701) on the client" };

const struct vd_failure ike_fail_no_quick_mode = { .word = "no-quick-mode", .stage = "quick mode",
	.say = "phase 1 is up, and the {peer} never began quick mode",
	.difference = "message 1 of quick mode did not come",
	.remedy = "see the client's log: it may not accept the gateway's identity, which is its address unless the connection's id says another" };

const struct vd_failure ike_fail_no_quick_3 = { .word = "no-quick-3", .stage = "quick mode",
	.say = "the {peer} never sent message 3 of quick mode: our message 2 or its answer was lost",
	.difference = "message 3 of quick mode did not come",
	.remedy = "see whether UDP of 400 octets and more reaches the client unfragmented" };

const struct vd_failure ike_fail_connection_gone = { .word = "connection-gone", .stage = "quick mode",
	.say = "connection {connection} is no longer configured",
	.difference = "the connection",
	.remedy = "put it back, or end the client's old connection" };

const struct vd_failure ike_fail_xauth_silent = { .word = "xauth-silent", .stage = "xauth",
	.say = "the {peer} was {offered} by XAuth, and did not answer in {count} s",
	.difference = "the answer to XAuth did not come",
	.remedy = "the user may not have typed a password in time; else see whether packets to the client arrive" };

const struct vd_failure ike_fail_xauth_answer = { .word = "xauth-answer", .stage = "xauth",
	.say = "the {peer}'s answer to XAuth cannot be used: {difference}",
	.remedy = "set the client to user name and password" };

const struct vd_failure ike_fail_xauth_skipped = { .word = "xauth-skipped", .stage = "xauth",
	.say = "the {peer} began quick mode without answering XAuth",
	.difference = "XAuth",
	.remedy = "give the client's connection a user name and a password" };

const struct vd_failure ike_fail_tunnel_selectors = { .word = "tunnel-selectors", .stage = "quick mode",
	.say = "selectors refused: {peer} asked for {offered}: {difference}",
	.remedy = "let the client take its address from the gateway, and name what it wants to reach in the connection's routes" };

const struct vd_failure ike_fail_group = { .word = "unknown-group", .stage = "phase1",
	.say = "the {peer} wants aggressive mode with group {offered}, which no connection has",
	.difference = "the group name",
	.remedy = "correct the group name (identifier) on the client, or clear it for main mode" };

const struct vd_failure ike_fail_no_aggressive_3 = { .word = "no-aggressive-3", .stage = "phase1",
	.say = "the {peer} sent message 1 of aggressive mode, and nothing after our answer",
	.difference = "message 3 did not come",
	.remedy = "its pre-shared key may be another one: type it anew there; else see whether our answer reaches it" };

const struct vd_failure ike_fail_too_much = { .word = "too-much", .stage = "phase1",
	.say = "the {peer} sent {count} octets of {offered}, and this gateway reads {configured}",
	.difference = "the size of what it sent",
	.remedy = "let the {peer} offer fewer algorithms" };

const struct vd_failure ike_fail_dials_alone = { .word = "dials-alone", .stage = "phase1",
	.say = "{offered} knows the pre-shared key of {connection}, which this gateway dials and which accepts nobody",
	.difference = "who calls whom",
	.remedy = "let a connection with a key of its own accept clients" };

const struct vd_failure ike_fail_exchange = { .word = "other-exchange", .stage = "phase1",
	.say = "the {peer} begins with exchange type {count}, which is not served",
	.difference = "the type of exchange",
	.remedy = "set the {peer} to main mode" };

const struct vd_failure *const ike_v1_failures[] = {
	&ike_fail_no_proposal,
	&ike_fail_suite,
	&ike_fail_psk,
	&ike_fail_identity,
	&ike_fail_aggressive,
	&ike_fail_key_exchange,
	&ike_fail_malformed,
	&ike_fail_no_message_3,
	&ike_fail_no_message_5,
	&ike_fail_busy,
	&ike_fail_peers_full,
	&ike_fail_no_esp_proposal,
	&ike_fail_selectors,
	&ike_fail_no_quick_mode,
	&ike_fail_no_quick_3,
	&ike_fail_connection_gone,
	&ike_fail_xauth_silent,
	&ike_fail_xauth_answer,
	&ike_fail_xauth_skipped,
	&ike_fail_tunnel_selectors,
	&ike_fail_group,
	&ike_fail_no_aggressive_3,
	&ike_fail_too_much,
	&ike_fail_dials_alone,
	&ike_fail_exchange,
	NULL,
};

const struct vd_shown ike_v1_shown[] = {
	WINDOWS("no-proposal", "error 789"),
	APPLE("no-proposal", "negotiation failed"),
	WINDOWS("suite-not-allowed", "error 789"),
	APPLE("suite-not-allowed", "negotiation failed"),
	WINDOWS("wrong-psk", "error 789 or 787"),
	APPLE("wrong-psk", "the shared secret is incorrect"),
	WINDOWS("wrong-identity", "error 787 or 789"),
	APPLE("wrong-identity", "negotiation failed"),
	APPLE("aggressive-mode", "the server did not respond"),
	WINDOWS("bad-key-exchange", "error 789"),
	APPLE("bad-key-exchange", "negotiation failed"),
	WINDOWS("malformed", "error 789"),
	APPLE("malformed", "negotiation failed"),
	WINDOWS("no-message-3", "error 809"),
	APPLE("no-message-3", "the server did not respond"),
	WINDOWS("no-message-5", "error 809 or 792"),
	APPLE("no-message-5", "the server did not respond"),
	WINDOWS("gateway-busy", "error 809 or 792"),
	APPLE("gateway-busy", "the server did not respond"),
	WINDOWS("too-many-peers", "error 789 or 809"),
	APPLE("too-many-peers", "the server did not respond"),
	WINDOWS("no-esp-proposal", "error 789"),
	APPLE("no-esp-proposal", "negotiation failed"),
	WINDOWS("selectors", "error 789"),
	APPLE("selectors", "negotiation failed"),
	WINDOWS("no-quick-mode", "error 789 or 792"),
	APPLE("no-quick-mode", "negotiation failed"),
	WINDOWS("no-quick-3", "error 789 or 792"),
	APPLE("no-quick-3", "the server did not respond"),
	WINDOWS("connection-gone", "error 789"),
	APPLE("connection-gone", "negotiation failed"),
	APPLE("xauth-silent", "the server did not respond"),
	APPLE("xauth-answer", "user authentication failed"),
	APPLE("xauth-skipped", "user authentication failed"),
	APPLE("tunnel-selectors", "negotiation failed"),
	APPLE("unknown-group", "the server did not respond"),
	APPLE("no-aggressive-3", "the server did not respond"),
	WINDOWS("too-much", "error 789"),
	APPLE("too-much", "negotiation failed"),
	WINDOWS("dials-alone", "error 789"),
	APPLE("dials-alone", "negotiation failed"),
	APPLE("other-exchange", "the server did not respond"),
	/* Of users of XAuth. */
	APPLE("resources", "negotiation failed"),
	APPLE("unknown-user", "user authentication failed"),
	APPLE("wrong-password", "user authentication failed"),
	APPLE("user-disabled", "user authentication failed"),
	APPLE("user-refused", "user authentication failed"),
	APPLE("no-answer-about-user", "user authentication failed"),
	APPLE("no-provider", "user authentication failed"),
	APPLE("second-login", "the server ended the connection"),
	APPLE("not-admitted", "the server ended the connection"),
	APPLE("pool-full", "the server ended the connection"),
	APPLE("address-held", "the server ended the connection"),
	APPLE("no-address", "the server ended the connection"),
	APPLE("crowded-out", "the server did not respond"),
	APPLE("too-many-guesses", "user authentication failed"),
	APPLE("establish", "the server ended the connection"),
	{ NULL, NULL, NULL },
};
