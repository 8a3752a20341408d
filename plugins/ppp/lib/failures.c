/* Failures of PPP, in words, and what clients show their users then: what their forums quote. */
#include "failures.h"

#define WINDOWS(failure_, text_) { failure_, "windows", "Windows shows " text_ }
#define APPLE(failure_, text_) { failure_, "apple", "macOS and iOS show \"" text_ "\"" }

const struct vd_failure ppp_fail_lcp_silent = { .word = "lcp-silent", .stage = "lcp",
	.say = "the {peer} never sent a PPP frame: its data messages do not reach us, or its PPP did not start",
	.difference = "LCP Configure-Request did not come",
	.remedy = "see the client's PPP log",
	.dial = "see the gateway's PPP log" };

const struct vd_failure ppp_fail_lcp_unacked = { .word = "lcp-unacked", .stage = "lcp",
	.say = "LCP did not complete: the {peer} did not acknowledge our Configure-Requests",
	.difference = "our Configure-Request is not acknowledged",
	.remedy = "see whether packets to the client arrive, and the client's PPP log",
	.dial = "see the gateway's PPP log" };

const struct vd_failure ppp_fail_diverges = { .word = "ppp-diverges", .stage = "lcp",
	.say = "{offered} proposals {count} times in a row and does not converge",
	.difference = "the options of both sides",
	.remedy = "look at the options in the client's PPP log",
	.dial = "look at the options in the gateway's PPP log" };

const struct vd_failure ppp_fail_auth_method = { .word = "auth-method", .stage = "lcp",
	.say = "no common authentication method: {peer} wants {offered}; connection {connection} allows {configured}",
	.difference = "the authentication method",
	.remedy = "allow {configured} in the client's connection, or name a further method in ppp.auth{at}",
	.dial = "allow {configured} on the gateway" };

const struct vd_failure ppp_fail_auth_none = { .word = "auth-none", .stage = "lcp",
	.say = "the {peer} refuses to authenticate: it rejects LCP's authentication option",
	.difference = "authentication",
	.remedy = "switch on {configured} in the client's connection, and give it user name and password" };

const struct vd_failure ppp_fail_auth_rejected = { .word = "auth-rejected", .stage = "auth",
	.say = "the {peer} agreed to {offered}, and then rejected its protocol",
	.difference = "the authentication method",
	.remedy = "see the client's PPP log",
	.dial = "see the gateway's PPP log" };

const struct vd_failure ppp_fail_auth_silent = { .word = "auth-silent", .stage = "auth",
	.say = "the {peer} never answered our {offered}",
	.difference = "the answer did not come",
	.remedy = "the user may not have typed a password in time; else see whether packets to the client arrive" };

const struct vd_failure ppp_fail_timeout = { .word = "ppp-timeout", .stage = "ipcp",
	.say = "PPP was not up in {count} s: LCP is {offered}, IPCP is {configured}",
	.difference = "PPP did not come up",
	.remedy = "see the client's PPP log",
	.dial = "see the gateway's PPP log" };

const struct vd_failure ppp_fail_ipcp_rejected = { .word = "ipcp-rejected", .stage = "ipcp",
	.say = "the {peer} rejects IPCP: IPv4 is switched off in its connection",
	.difference = "IPv4",
	.remedy = "switch it on there: this gateway carries IPv4",
	.dial = "switch it on there: PPP here carries IPv4" };

const struct vd_failure ppp_fail_ipcp_unacked = { .word = "ipcp-unacked", .stage = "ipcp",
	.say = "the {peer} did not complete IPCP",
	.difference = "IPCP did not complete",
	.remedy = "IPv4 may be switched off in its connection: switch it on there" };

const struct vd_failure ppp_fail_refused = { .word = "ppp-refused", .stage = "ppp",
	.say = "the {peer}'s PPP was ended: {difference}",
	.remedy = "see the client's PPP log",
	.dial = "see the gateway's PPP log" };

const struct vd_failure *const ppp_failures[] = {
	&ppp_fail_lcp_silent,
	&ppp_fail_lcp_unacked,
	&ppp_fail_diverges,
	&ppp_fail_auth_method,
	&ppp_fail_auth_none,
	&ppp_fail_auth_rejected,
	&ppp_fail_auth_silent,
	&ppp_fail_timeout,
	&ppp_fail_ipcp_rejected,
	&ppp_fail_ipcp_unacked,
	&ppp_fail_refused,
	NULL,
};

const struct vd_shown ppp_shown[] = {
	WINDOWS("lcp-silent", "error 718 or 721"),
	APPLE("lcp-silent", "the server did not respond"),
	WINDOWS("lcp-unacked", "error 718 or 721"),
	APPLE("lcp-unacked", "the server did not respond"),
	WINDOWS("ppp-diverges", "error 732"),
	WINDOWS("auth-method", "error 734 or 691"),
	APPLE("auth-method", "user authentication failed"),
	WINDOWS("auth-none", "error 734 or 691"),
	APPLE("auth-none", "user authentication failed"),
	WINDOWS("auth-rejected", "error 720"),
	APPLE("auth-rejected", "user authentication failed"),
	WINDOWS("auth-silent", "error 718"),
	APPLE("auth-silent", "user authentication failed"),
	WINDOWS("ppp-timeout", "error 718"),
	APPLE("ppp-timeout", "the server did not respond"),
	WINDOWS("ipcp-rejected", "error 720"),
	WINDOWS("ipcp-unacked", "error 720"),
	/* Of users. */
	WINDOWS("resources", "error 789"),
	APPLE("resources", "negotiation failed"),
	WINDOWS("unknown-user", "error 691"),
	APPLE("unknown-user", "user authentication failed"),
	WINDOWS("wrong-password", "error 691"),
	APPLE("wrong-password", "user authentication failed"),
	WINDOWS("user-disabled", "error 691"),
	APPLE("user-disabled", "user authentication failed"),
	WINDOWS("user-refused", "error 691"),
	APPLE("user-refused", "user authentication failed"),
	WINDOWS("no-answer-about-user", "error 649"),
	APPLE("no-answer-about-user", "user authentication failed"),
	WINDOWS("no-provider", "error 691"),
	APPLE("no-provider", "user authentication failed"),
	WINDOWS("second-login", "error 629 or 734"),
	APPLE("second-login", "the server ended the connection"),
	WINDOWS("not-admitted", "error 629 or 734"),
	APPLE("not-admitted", "the server ended the connection"),
	WINDOWS("pool-full", "error 734 or 738"),
	APPLE("pool-full", "the server ended the connection"),
	WINDOWS("address-held", "error 734 or 738"),
	APPLE("address-held", "the server ended the connection"),
	WINDOWS("no-address", "error 734 or 738"),
	APPLE("no-address", "the server ended the connection"),
	WINDOWS("crowded-out", "error 789 or 809"),
	APPLE("crowded-out", "the server did not respond"),
	WINDOWS("too-many-guesses", "error 691"),
	APPLE("too-many-guesses", "user authentication failed"),
	WINDOWS("establish", "error 629 or 734"),
	APPLE("establish", "the server ended the connection"),
	{ NULL, NULL, NULL },
};
