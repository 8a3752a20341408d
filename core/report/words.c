/* All sentences of failure reports. What clients show is what their users and their forums quote. */
#include "core/report/report.h"

/* kind, word, stage, what happened, the first difference (NULL: the reporter's), remedy for our clients (NULL: the
 * reporter's), remedy when we called (NULL: the same), Windows, Apple */
#define KINDS(K) \
	K(OTHER, "other", "set-up", "{difference}", NULL, NULL, NULL, NULL, NULL) \
	\
	K(NO_PROPOSAL, "no-proposal", "phase1", "no common proposal: {peer} offered {offered}; {configured}", NULL, \
		NULL, NULL, "error 789", "negotiation failed") \
	K(SUITE, "suite-not-allowed", "phase1", \
		"no common proposal: {offered} was chosen, and the {peer}'s pre-shared key is that of {connection}; {configured}", \
		NULL, NULL, NULL, "error 789", "negotiation failed") \
	K(PSK, "wrong-psk", "phase1", "wrong PSK: the {peer}'s pre-shared key is {none} tried", "the pre-shared key", \
		"compare it with {configured}, or type it anew on the client", \
		"compare {configured} with the gateway's", "error 789 or 787", "the shared secret is incorrect") \
	K(IDENTITY, "wrong-identity", "phase1", "wrong identity: the {peer} says it is {offered}, not {configured}", \
		"the identity", "correct one of both{at}", NULL, "error 787 or 789", "negotiation failed") \
	K(AGGRESSIVE, "aggressive-mode", "phase1", \
		"the {peer} wants aggressive mode, which gives the pre-shared key to anybody who listens and guesses", \
		"aggressive mode instead of main mode", "clear the group name (identifier) in its L2TP settings", NULL, NULL, \
		"the server did not respond") \
	K(KEY_EXCHANGE, "bad-key-exchange", "phase1", "the {peer}'s Diffie-Hellman value is not valid for {offered}", \
		"the key exchange value", "try again; if it stays so, the {peer}'s software is broken", NULL, "error 789", \
		"negotiation failed") \
	K(MALFORMED, "malformed", "phase1", "{offered} of the {peer} is malformed", "its form", \
		"try again; if it stays so, the {peer}'s software or something on the way is broken", NULL, "error 789", \
		"negotiation failed") \
	K(NO_MESSAGE_3, "no-message-3", "phase1", "the {peer} sent message 1, and nothing after our answer", \
		"message 3 did not come", "see whether packets from UDP port 500 of the gateway reach the client", NULL, \
		"error 809", "the server did not respond") \
	K(NO_MESSAGE_5, "no-message-5", "phase1", "the {peer} sent message 3, and nothing after our answer", \
		"message 5 did not come", \
		"see whether UDP port {count} is open both ways between the client and the gateway", NULL, \
		"error 809 or 792", "the server did not respond") \
	K(BUSY, "gateway-busy", "phase1", "the gateway did not finish its own key exchange in time", \
		"message 4 could not be made", "see its load and viaductctl counters", NULL, "error 809 or 792", \
		"the server did not respond") \
	K(PEERS_FULL, "too-many-peers", "phase1", "the gateway has as many peers as it may ({count}), or its memory is short", \
		"one peer too many", "raise gateway.max_peers{at}", NULL, "error 789 or 809", "the server did not respond") \
	\
	K(NO_ESP_PROPOSAL, "no-esp-proposal", "quick mode", \
		"no common proposal: {peer} offered {offered} for ESP; {configured}", NULL, NULL, NULL, "error 789", \
		"negotiation failed") \
	K(SELECTORS, "selectors", "quick mode", \
		"selectors refused: {peer} asked for {offered}; only UDP with port 1701 on the gateway's side is served", NULL, \
		"make it an L2TP/IPsec connection (transport mode, UDP port 1701) on the client", NULL, "error 789", \
		"negotiation failed") \
	K(NO_QUICK_MODE, "no-quick-mode", "quick mode", "phase 1 is up, and the {peer} never began quick mode", \
		"message 1 of quick mode did not come", \
		"see the client's log: it may not accept the gateway's identity, which is its address unless the connection's id says " \
		"another", NULL, "error 789 or 792", \
		"negotiation failed") \
	K(NO_QUICK_3, "no-quick-3", "quick mode", \
		"the {peer} never sent message 3 of quick mode: our message 2 or its answer was lost", \
		"message 3 of quick mode did not come", \
		"see whether UDP of 400 octets and more reaches the client unfragmented", NULL, "error 789 or 792", \
		"the server did not respond") \
	K(CONNECTION_GONE, "connection-gone", "quick mode", "connection {connection} is no longer configured", \
		"the connection", "put it back, or end the client's old connection", NULL, "error 789", "negotiation failed") \
	K(RESOURCES, "resources", "quick mode", "{difference}", NULL, "see the gateway's log and viaductctl counters", NULL, \
		"error 789", "negotiation failed") \
	\
	K(NO_IPSEC, "no-ipsec", "l2tp", \
		"L2TP without IPsec was ignored: the {peer} did not use IPsec, or its policy was lost", "IPsec", \
		"on Windows the connection's type must be L2TP/IPsec, the service IKEEXT must run, and the registry must not have " \
		"ProhibitIpSec=1 under RasMan\\Parameters; on Linux IPsec must be switched on in the connection's IPsec settings", \
		"see its IPsec log; it is dialled anew when it answers no more", "error 809", NULL) \
	K(L2TP_SILENT, "l2tp-silent", "l2tp", "IPsec is up, and no L2TP came in {count} s", "SCCRQ did not come", \
		"see whether ESP (IP protocol 50; with NAT, UDP port 4500) reaches the gateway", NULL, "error 809 or 800", \
		"the server did not respond") \
	K(SCCRP_LOST, "sccrp-lost", "l2tp", \
		"the {peer} asked for an L2TP tunnel, and never acknowledged our answer (SCCRP) in {count} s", \
		"our SCCRP is not acknowledged", \
		"packets to the client are lost on the way, or its own SA is gone: see whether ESP reaches it", NULL, \
		"error 809 or 800", "the server did not respond") \
	K(NO_SCCCN, "no-scccn", "l2tp", "the {peer}'s L2TP tunnel did not come up in {count} s", "SCCCN did not come", \
		"see the client's L2TP log", NULL, "error 809 or 800", "the server did not respond") \
	K(NO_ICCN, "no-iccn", "l2tp", "the {peer}'s L2TP call did not come up in {count} s", "ICCN did not come", \
		"see the client's L2TP log", NULL, "error 809 or 800", "the server did not respond") \
	K(TUNNEL_SECRET_NONE, "tunnel-secret-missing", "l2tp", \
		"the {peer} demands L2TP tunnel authentication, and l2tp.secret is not set", "the L2TP secret", \
		"clear the \"L2TP secret\" on the client, or set l2tp.secret to the same value", NULL, NULL, NULL) \
	K(TUNNEL_SECRET_WRONG, "tunnel-secret-wrong", "l2tp", \
		"L2TP tunnel authentication failed: l2tp.secret{at} is not the {peer}'s", "the L2TP secret", \
		"make both the same, or remove both", NULL, NULL, NULL) \
	K(LIMIT, "limit", "l2tp", "the {peer} asked for more than {count} {offered}", "one too many", \
		"raise {configured}{at}, if that was meant", NULL, NULL, NULL) \
	\
	K(LCP_SILENT, "lcp-silent", "lcp", \
		"the {peer} never sent a PPP frame: its data messages do not reach us, or its PPP did not start", \
		"LCP Configure-Request did not come", "see the client's PPP log", "see the gateway's PPP log", "error 718 or 721", \
		"the server did not respond") \
	K(LCP_UNACKED, "lcp-unacked", "lcp", "LCP did not complete: the {peer} did not acknowledge our Configure-Requests", \
		"our Configure-Request is not acknowledged", \
		"see whether packets to the client arrive, and the client's PPP log", "see the gateway's PPP log", \
		"error 718 or 721", \
		"the server did not respond") \
	K(PPP_DIVERGES, "ppp-diverges", "lcp", "{offered} proposals {count} times in a row and does not converge", \
		"the options of both sides", "look at the options in the client's PPP log", "look at the options in the gateway's PPP log", \
		"error 732", NULL) \
	K(AUTH_METHOD, "auth-method", "lcp", \
		"no common authentication method: {peer} wants {offered}; connection {connection} allows {configured}", \
		"the authentication method", "allow {configured} in the client's connection, or name a further method in ppp.auth{at}", \
		"allow {configured} on the gateway", "error 734 or 691", "user authentication failed") \
	K(AUTH_NONE, "auth-none", "lcp", "the {peer} refuses to authenticate: it rejects LCP's authentication option", \
		"authentication", "switch on {configured} in the client's connection, and give it user name and password", NULL, \
		"error 734 or 691", "user authentication failed") \
	K(AUTH_REJECTED, "auth-rejected", "auth", "the {peer} agreed to {offered}, and then rejected its protocol", \
		"the authentication method", "see the client's PPP log", "see the gateway's PPP log", "error 720", "user authentication failed") \
	K(AUTH_SILENT, "auth-silent", "auth", "the {peer} never answered our {offered}", "the answer did not come", \
		"the user may not have typed a password in time; else see whether packets to the client arrive", NULL, \
		"error 718", "user authentication failed") \
	K(PPP_TIMEOUT, "ppp-timeout", "ipcp", "PPP was not up in {count} s: LCP is {offered}, IPCP is {configured}", \
		"PPP did not come up", "see the client's PPP log", "see the gateway's PPP log", "error 718", "the server did not respond") \
	K(IPCP_REJECTED, "ipcp-rejected", "ipcp", "the {peer} rejects IPCP: IPv4 is switched off in its connection", "IPv4", \
		"switch it on there: this gateway carries IPv4", "switch it on there: PPP here carries IPv4", "error 720", NULL) \
	K(IPCP_UNACKED, "ipcp-unacked", "ipcp", "the {peer} did not complete IPCP", "IPCP did not complete", \
		"IPv4 may be switched off in its connection: switch it on there", NULL, "error 720", NULL) \
	K(GAVE_UP, "gave-up", "ppp", "the {peer} gave up: {difference}", NULL, "", NULL, NULL, NULL) \
	\
	K(UNKNOWN_USER, "unknown-user", "auth", "unknown user: {configured}{at} has no user {user}", "the user name", \
		"add the user there, or correct the name on the client", NULL, "error 691", "user authentication failed") \
	K(PASSWORD, "wrong-password", "auth", "wrong password: {configured} knows user {user}{at} with another password", \
		"the password", "type it anew on the client, or change it there", NULL, "error 691", \
		"user authentication failed") \
	K(DISABLED, "user-disabled", "auth", "user {user} is disabled in {configured}{at}", "disabled: true", \
		"remove 'disabled' there", NULL, "error 691", "user authentication failed") \
	K(REFUSED, "user-refused", "auth", "user {user} was refused by {configured}: {difference}", NULL, \
		"the log of that provider may say more", NULL, "error 691", "user authentication failed") \
	K(UNAVAILABLE, "no-answer-about-user", "auth", "nobody could say whether user {user} may come in: {configured}: {difference}", \
		NULL, "see whether that provider works", NULL, "error 649", "user authentication failed") \
	K(NO_PROVIDER, "no-provider", "auth", "{difference}", NULL, "", NULL, "error 691", "user authentication failed") \
	K(SECOND_LOGIN, "second-login", "admit", "a second login is refused: {difference}", NULL, \
		"end that session (viaductctl session kill), or write 'second_login: replace' in connection {connection}{at}", NULL, \
		"error 629 or 734", "the server ended the connection") \
	K(NOT_ADMITTED, "not-admitted", "admit", "user {user} is not admitted: {difference}", NULL, "", NULL, \
		"error 629 or 734", "the server ended the connection") \
	K(POOL_FULL, "pool-full", "address", "{difference}", NULL, "enlarge its range{at}", NULL, "error 734 or 738", \
		"the server ended the connection") \
	K(ADDRESS_HELD, "address-held", "address", "the address of user {user} is taken: {difference}", NULL, \
		"end the session that has it, or give one of both users another address", NULL, "error 734 or 738", \
		"the server ended the connection") \
	K(NO_ADDRESS, "no-address", "address", "no address for user {user}: {difference}{at}", NULL, "", NULL, \
		"error 734 or 738", "the server ended the connection") \
	K(XAUTH_SILENT, "xauth-silent", "xauth", "the {peer} was {offered} by XAuth, and did not answer in {count} s", \
		"the answer to XAuth did not come", \
		"the user may not have typed a password in time; else see whether packets to the client arrive", NULL, NULL, \
		"the server did not respond") \
	K(XAUTH_ANSWER, "xauth-answer", "xauth", "the {peer}'s answer to XAuth cannot be used: {difference}", NULL, \
		"set the client to user name and password", NULL, NULL, "user authentication failed") \
	K(XAUTH_SKIPPED, "xauth-skipped", "xauth", "the {peer} began quick mode without answering XAuth", "XAuth", \
		"give the client's connection a user name and a password", NULL, NULL, "user authentication failed") \
	K(TUNNEL_SELECTORS, "tunnel-selectors", "quick mode", "selectors refused: {peer} asked for {offered}: {difference}", NULL, \
		"let the client take its address from the gateway, and name what it wants to reach in the connection's routes", \
		NULL, NULL, "negotiation failed") \
	K(GROUP, "unknown-group", "phase1", "the {peer} wants aggressive mode with group {offered}, which no connection has", "the group name", \
		"correct the group name (identifier) on the client, or clear it for main mode", NULL, NULL, \
		"the server did not respond") \
	K(NO_AGGRESSIVE_3, "no-aggressive-3", "phase1", \
		"the {peer} sent message 1 of aggressive mode, and nothing after our answer", "message 3 did not come", \
		"its pre-shared key may be another one: type it anew there; else see whether our answer reaches it", NULL, NULL, \
		"the server did not respond") \
	K(VERSION, "protocol-version", "phase1", "the {peer} speaks {offered}, and this gateway serves {configured}", \
		"the version of the protocol", NULL, NULL, NULL, NULL) \
	K(L2TP_STRAY, "l2tp-stray", "l2tp", \
		"{offered} came for {difference}, which is not here: the {peer} kept its L2TP, and its IPsec is newer, or the gateway was " \
		"restarted", NULL, \
		"it was told to end that; let the client dial again, or redial by itself when L2TP ends", \
		"it was not answered, because the gateway's own number of it is not known; end that session on the gateway", NULL, NULL) \
	K(L2TP_REFUSED, "l2tp-refused", "l2tp", "the {peer}'s L2TP was refused: {difference}", NULL, \
		"see the client's L2TP log: its software or its settings ask for what this gateway does not do", \
		"see the gateway's L2TP log", NULL, NULL) \
	K(PPP_REFUSED, "ppp-refused", "ppp", "the {peer}'s PPP was ended: {difference}", NULL, \
		"see the client's PPP log", "see the gateway's PPP log", NULL, NULL) \
	K(L2TP_FORGOTTEN, "l2tp-forgotten", "l2tp", \
		"the {peer} made IPsec anew and acknowledged nothing of our L2TP tunnel for {count} s: it was started anew", \
		"its L2TP has forgotten our tunnel", "it is dialled again", NULL, NULL, NULL) \
	K(TOO_MUCH, "too-much", "phase1", "the {peer} sent {count} octets of {offered}, and this gateway reads {configured}", \
		"the size of what it sent", "let the {peer} offer fewer algorithms", NULL, "error 789", "negotiation failed") \
	K(DIALS_ALONE, "dials-alone", "phase1", \
		"{offered} knows the pre-shared key of {connection}, which this gateway dials and which accepts nobody", \
		"who calls whom", "let a connection with a key of its own accept clients", NULL, "error 789", "negotiation failed") \
	K(EXCHANGE, "other-exchange", "phase1", "the {peer} begins with exchange type {count}, which is not served", \
		"the type of exchange", "set the {peer} to main mode", NULL, NULL, "the server did not respond") \
	K(CROWDED_OUT, "crowded-out", "auth", \
		"all {count} {offered} were taken, and no user of this {peer} had been authenticated: it made room for another", \
		"its place", "let it try again; if that goes on, see with viaductctl why who fills the places, and raise {configured}", NULL, \
		"error 789 or 809", "the server did not respond") \
	K(GUESSING, "too-many-guesses", "auth", \
		"not looked at: too many wrong passwords came from this address; the next one is looked at in {count} s", "their number", \
		"correct the password on the client, and wait", NULL, "error 691", "user authentication failed") \
	K(ESTABLISH, "establish", "establish", "the session of user {user} cannot be brought up: {difference}", NULL, \
		"see the gateway's log", NULL, "error 629 or 734", "the server ended the connection")

#define ROW(kind, word, stage, say, difference, remedy, dial, windows, apple) \
	[VD_FAIL_##kind] = { word, stage, say, difference, remedy, dial, windows, apple },
const struct vd_failure_words vd_failure_table[VD_FAILURES] = { KINDS(ROW) };

#define WORD(kind, word, ...) [VD_FAIL_##kind] = word,
const char *const vd_failure_words[VD_FAILURES + 1] = { KINDS(WORD) };
