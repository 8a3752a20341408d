/* Failures of L2TP, in words, and what clients show their users then: what their forums quote. */
#include "failures.h"

#define WINDOWS(failure_, text_) { failure_, "windows", "Windows shows " text_ }
#define APPLE(failure_, text_) { failure_, "apple", "macOS and iOS show \"" text_ "\"" }

const struct vd_failure l2tp_fail_silent = { .word = "l2tp-silent", .stage = "l2tp",
	.say = "IPsec is up, and no L2TP came in {count} s",
	.difference = "SCCRQ did not come",
	.remedy = "see whether ESP (IP protocol 50; with NAT, UDP port 4500) reaches the gateway" };

const struct vd_failure l2tp_fail_sccrp_lost = { .word = "sccrp-lost", .stage = "l2tp",
	.say = "the {peer} asked for an L2TP tunnel, and never acknowledged our answer (SCCRP) in {count} s",
	.difference = "our SCCRP is not acknowledged",
	.remedy = "packets to the client are lost on the way, or its own SA is gone: see whether ESP reaches it" };

const struct vd_failure l2tp_fail_no_scccn = { .word = "no-scccn", .stage = "l2tp",
	.say = "the {peer}'s L2TP tunnel did not come up in {count} s",
	.difference = "SCCCN did not come",
	.remedy = "see the client's L2TP log" };

const struct vd_failure l2tp_fail_no_iccn = { .word = "no-iccn", .stage = "l2tp",
	.say = "the {peer}'s L2TP call did not come up in {count} s",
	.difference = "ICCN did not come",
	.remedy = "see the client's L2TP log" };

const struct vd_failure l2tp_fail_tunnel_secret_none = { .word = "tunnel-secret-missing", .stage = "l2tp",
	.say = "the {peer} demands L2TP tunnel authentication, and l2tp.secret is not set",
	.difference = "the L2TP secret",
	.remedy = "clear the \"L2TP secret\" on the client, or set l2tp.secret to the same value" };

const struct vd_failure l2tp_fail_tunnel_secret_wrong = { .word = "tunnel-secret-wrong", .stage = "l2tp",
	.say = "L2TP tunnel authentication failed: l2tp.secret{at} is not the {peer}'s",
	.difference = "the L2TP secret",
	.remedy = "make both the same, or remove both" };

const struct vd_failure l2tp_fail_limit = { .word = "limit", .stage = "l2tp",
	.say = "the {peer} asked for more than {count} {offered}",
	.difference = "one too many",
	.remedy = "raise {configured}{at}, if that was meant" };

const struct vd_failure l2tp_fail_stray = { .word = "l2tp-stray", .stage = "l2tp",
	.say = "{offered} came for {difference}, which is not here: the {peer} kept its L2TP, and its IPsec is newer, or the gateway was restarted",
	.remedy = "it was told to end that; let the client dial again, or redial by itself when L2TP ends",
	.dial = "it was not answered, because the gateway's own number of it is not known; end that session on the gateway" };

const struct vd_failure l2tp_fail_refused = { .word = "l2tp-refused", .stage = "l2tp",
	.say = "the {peer}'s L2TP was refused: {difference}",
	.remedy = "see the client's L2TP log: its software or its settings ask for what this gateway does not do",
	.dial = "see the gateway's L2TP log" };

const struct vd_failure l2tp_fail_forgotten = { .word = "l2tp-forgotten", .stage = "l2tp",
	.say = "the {peer} made IPsec anew and acknowledged nothing of our L2TP tunnel for {count} s: it was started anew",
	.difference = "its L2TP has forgotten our tunnel",
	.remedy = "it is dialled again" };

const struct vd_failure *const l2tp_failures[] = {
	&l2tp_fail_silent,
	&l2tp_fail_sccrp_lost,
	&l2tp_fail_no_scccn,
	&l2tp_fail_no_iccn,
	&l2tp_fail_tunnel_secret_none,
	&l2tp_fail_tunnel_secret_wrong,
	&l2tp_fail_limit,
	&l2tp_fail_stray,
	&l2tp_fail_refused,
	&l2tp_fail_forgotten,
	NULL,
};

const struct vd_shown l2tp_shown[] = {
	WINDOWS("l2tp-silent", "error 809 or 800"),
	APPLE("l2tp-silent", "the server did not respond"),
	WINDOWS("sccrp-lost", "error 809 or 800"),
	APPLE("sccrp-lost", "the server did not respond"),
	WINDOWS("no-scccn", "error 809 or 800"),
	APPLE("no-scccn", "the server did not respond"),
	WINDOWS("no-iccn", "error 809 or 800"),
	APPLE("no-iccn", "the server did not respond"),
	{ NULL, NULL, NULL },
};
