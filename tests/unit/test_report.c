/* The sentence of every kind of failure, as its maker's values make it, and for whom: one literal line each. */
#include <check.h>
#include <viaduct/quirk.h>
#include <viaduct/report.h>

#include <string.h>

#include "core/plugin.h"
#include "core/report/report.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/lib/fake.h"
#include "tests/lib/failures.h"

#define STAFF "connection staff allows aes256-sha256-modp2048"

static const struct {
	struct vd_report report;
	const char *text;
} said[] = {
	{ { .kind = &vd_fail_other, .difference = "the moon is full", .remedy = "wait" },
		"the moon is full; wait" },
	{ { .kind = &ike_fail_no_proposal, .offered = "3des-sha1-modp1024", .configured = STAFF, .difference = "the group",
		.remedy = "add 'crypto: legacy' to staff (30-staff.yaml:4) or update the client" },
		"no common proposal: client offered 3des-sha1-modp1024; connection staff allows"
		" aes256-sha256-modp2048; add 'crypto: legacy' to staff (30-staff.yaml:4) or update the client"
		" (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &ike_fail_suite, .offered = "3des-sha1-modp1024", .configured = STAFF, .difference = "the group",
		.remedy = "add 'crypto: legacy' to staff (30-staff.yaml:4) or update the client" },
		"no common proposal: 3des-sha1-modp1024 was chosen, and the client's pre-shared key is that of"
		" staff; connection staff allows aes256-sha256-modp2048; add 'crypto: legacy' to staff"
		" (30-staff.yaml:4) or update the client (Windows shows error 789; macOS and iOS show"
		" \"negotiation failed\")" },
	{ { .kind = &ike_fail_psk, .count = 1, .configured = "l2tp.psk of staff (30-staff.yaml:4)" },
		"wrong PSK: the client's pre-shared key is not the one tried; compare it with l2tp.psk of staff"
		" (30-staff.yaml:4), or type it anew on the client (Windows shows error 789 or 787; macOS and iOS"
		" show \"the shared secret is incorrect\")" },
	{ { .kind = &ike_fail_identity, .offered = "other.example.com", .configured = "vpn.example.com",
		.origin = "30-staff.yaml:4" },
		"wrong identity: the client says it is other.example.com, not vpn.example.com; correct one of"
		" both (30-staff.yaml:4) (Windows shows error 787 or 789; macOS and iOS show \"negotiation"
		" failed\")" },
	{ { .kind = &ike_fail_aggressive },
		"the client wants aggressive mode, which gives the pre-shared key to anybody who listens and"
		" guesses; clear the group name (identifier) in its L2TP settings (macOS and iOS show \"the"
		" server did not respond\")" },
	{ { .kind = &ike_fail_key_exchange, .offered = "modp2048" },
		"the client's Diffie-Hellman value is not valid for modp2048; try again; if it stays so, the"
		" client's software is broken (Windows shows error 789; macOS and iOS show \"negotiation"
		" failed\")" },
	{ { .kind = &ike_fail_malformed, .offered = "the identity" },
		"the identity of the client is malformed; try again; if it stays so, the client's software or"
		" something on the way is broken (Windows shows error 789; macOS and iOS show \"negotiation"
		" failed\")" },
	{ { .kind = &ike_fail_no_message_3 },
		"the client sent message 1, and nothing after our answer; see whether packets from UDP port 500"
		" of the gateway reach the client (Windows shows error 809; macOS and iOS show \"the server did"
		" not respond\")" },
	{ { .kind = &ike_fail_no_message_5, .count = 4500 },
		"the client sent message 3, and nothing after our answer; see whether UDP port 4500 is open both"
		" ways between the client and the gateway (Windows shows error 809 or 792; macOS and iOS show"
		" \"the server did not respond\")" },
	{ { .kind = &ike_fail_busy },
		"the gateway did not finish its own key exchange in time; see its load and viaductctl counters"
		" (Windows shows error 809 or 792; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &ike_fail_peers_full, .count = 1000, .origin = "10-gateway.yaml:3" },
		"the gateway has as many peers as it may (1000), or its memory is short; raise gateway.max_peers"
		" (10-gateway.yaml:3) (Windows shows error 789 or 809; macOS and iOS show \"the server did not"
		" respond\")" },
	{ { .kind = &ike_fail_no_esp_proposal, .offered = "des-sha1", .configured = "connection staff allows aes256-sha1",
		.difference = "the cipher", .remedy = "update the client" },
		"no common proposal: client offered des-sha1 for ESP; connection staff allows aes256-sha1; update"
		" the client (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &ike_fail_selectors, .offered = "192.168.0.5 udp/1701 to 192.0.2.1 port 0 of protocol 6",
		.difference = "the selector of our side is not UDP" },
		"selectors refused: client asked for 192.168.0.5 udp/1701 to 192.0.2.1 port 0 of protocol 6; only"
		" UDP with port 1701 on the gateway's side is served; make it an L2TP/IPsec connection (transport"
		" mode, UDP port 1701) on the client (Windows shows error 789; macOS and iOS show \"negotiation"
		" failed\")" },
	{ { .kind = &ike_fail_no_quick_mode },
		"phase 1 is up, and the client never began quick mode; see the client's log: it may not accept the"
		" gateway's identity, which is its address unless the connection's id says another (Windows shows error 789 or 792; macOS and iOS show"
		" \"negotiation failed\")" },
	{ { .kind = &ike_fail_no_quick_3 },
		"the client never sent message 3 of quick mode: our message 2 or its answer was lost; see whether"
		" UDP of 400 octets and more reaches the client unfragmented (Windows shows error 789 or 792;"
		" macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &ike_fail_connection_gone },
		"connection staff is no longer configured; put it back, or end the client's old connection"
		" (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &vd_fail_resources, .difference = "no channel can be had, or no memory for it" },
		"no channel can be had, or no memory for it; see the gateway's log and viaductctl counters"
		" (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &l2tp_guard_fail_no_ipsec },
		"L2TP without IPsec was ignored: the client did not use IPsec, or its policy was lost; on Windows"
		" the connection's type must be L2TP/IPsec, the service IKEEXT must run, and the registry must"
		" not have ProhibitIpSec=1 under RasMan\\Parameters; on Linux IPsec must be switched on in the"
		" connection's IPsec settings (Windows shows error 809)" },
	{ { .kind = &l2tp_fail_silent, .count = 30 },
		"IPsec is up, and no L2TP came in 30 s; see whether ESP (IP protocol 50; with NAT, UDP port 4500)"
		" reaches the gateway (Windows shows error 809 or 800; macOS and iOS show \"the server did not"
		" respond\")" },
	{ { .kind = &l2tp_fail_sccrp_lost, .count = 30 },
		"the client asked for an L2TP tunnel, and never acknowledged our answer (SCCRP) in 30 s; packets"
		" to the client are lost on the way, or its own SA is gone: see whether ESP reaches it (Windows"
		" shows error 809 or 800; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &l2tp_fail_no_scccn, .count = 30 },
		"the client's L2TP tunnel did not come up in 30 s; see the client's L2TP log (Windows shows error"
		" 809 or 800; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &l2tp_fail_no_iccn, .count = 30 },
		"the client's L2TP call did not come up in 30 s; see the client's L2TP log (Windows shows error"
		" 809 or 800; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &l2tp_fail_tunnel_secret_none },
		"the client demands L2TP tunnel authentication, and l2tp.secret is not set; clear the \"L2TP"
		" secret\" on the client, or set l2tp.secret to the same value" },
	{ { .kind = &l2tp_fail_tunnel_secret_wrong, .origin = "30-staff.yaml:4" },
		"L2TP tunnel authentication failed: l2tp.secret (30-staff.yaml:4) is not the client's; make both"
		" the same, or remove both" },
	{ { .kind = &l2tp_fail_limit, .count = 4, .offered = "L2TP tunnels", .configured = "l2tp.tunnels",
		.origin = "10-gateway.yaml:3" },
		"the client asked for more than 4 L2TP tunnels; raise l2tp.tunnels (10-gateway.yaml:3), if that"
		" was meant" },
	{ { .kind = &ppp_fail_lcp_silent },
		"the client never sent a PPP frame: its data messages do not reach us, or its PPP did not start;"
		" see the client's PPP log (Windows shows error 718 or 721; macOS and iOS show \"the server did"
		" not respond\")" },
	{ { .kind = &ppp_fail_lcp_unacked },
		"LCP did not complete: the client did not acknowledge our Configure-Requests; see whether packets"
		" to the client arrive, and the client's PPP log (Windows shows error 718 or 721; macOS and iOS"
		" show \"the server did not respond\")" },
	{ { .kind = &ppp_fail_diverges, .offered = "the client refuses our LCP", .count = 10 },
		"the client refuses our LCP proposals 10 times in a row and does not converge; look at the"
		" options in the client's PPP log (Windows shows error 732)" },
	{ { .kind = &ppp_fail_auth_method, .offered = "pap", .configured = "mschapv2", .origin = "30-staff.yaml:4" },
		"no common authentication method: client wants pap; connection staff allows mschapv2; allow"
		" mschapv2 in the client's connection, or name a further method in ppp.auth (30-staff.yaml:4)"
		" (Windows shows error 734 or 691; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &ppp_fail_auth_none, .configured = "mschapv2, chap" },
		"the client refuses to authenticate: it rejects LCP's authentication option; switch on mschapv2,"
		" chap in the client's connection, and give it user name and password (Windows shows error 734 or"
		" 691; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &ppp_fail_auth_rejected, .offered = "mschapv2" },
		"the client agreed to mschapv2, and then rejected its protocol; see the client's PPP log (Windows"
		" shows error 720; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &ppp_fail_auth_silent, .offered = "mschapv2 challenge" },
		"the client never answered our mschapv2 challenge; the user may not have typed a password in"
		" time; else see whether packets to the client arrive (Windows shows error 718; macOS and iOS"
		" show \"user authentication failed\")" },
	{ { .kind = &ppp_fail_timeout, .count = 60, .offered = "opened", .configured = "req-sent" },
		"PPP was not up in 60 s: LCP is opened, IPCP is req-sent; see the client's PPP log (Windows shows"
		" error 718; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &ppp_fail_ipcp_rejected },
		"the client rejects IPCP: IPv4 is switched off in its connection; switch it on there: this"
		" gateway carries IPv4 (Windows shows error 720)" },
	{ { .kind = &ppp_fail_ipcp_unacked },
		"the client did not complete IPCP; IPv4 may be switched off in its connection: switch it on there"
		" (Windows shows error 720)" },
	{ { .kind = &vd_fail_gave_up, .difference = "error 732 on the client: its options do not converge with ours",
		.client = "Windows shows error 732" },
		"the client gave up: error 732 on the client: its options do not converge with ours (Windows"
		" shows error 732)" },
	{ { .kind = &vd_fail_unknown_user, .configured = "users/office", .origin = "users.yaml" },
		"unknown user: users/office (users.yaml) has no user alice; add the user there, or correct the"
		" name on the client (Windows shows error 691; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &vd_fail_password, .configured = "users/office", .origin = "users.yaml:2" },
		"wrong password: users/office knows user alice (users.yaml:2) with another password; type it anew"
		" on the client, or change it there (Windows shows error 691; macOS and iOS show \"user"
		" authentication failed\")" },
	{ { .kind = &vd_fail_disabled, .configured = "users/office", .origin = "users.yaml:2" },
		"user alice is disabled in users/office (users.yaml:2); remove 'disabled' there (Windows shows"
		" error 691; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &vd_fail_refused, .configured = "radius/nps1", .difference = "outside of office hours" },
		"user alice was refused by radius/nps1: outside of office hours; the log of that provider may say"
		" more (Windows shows error 691; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &vd_fail_unavailable, .configured = "radius/nps1", .difference = "no answer in 5 s" },
		"nobody could say whether user alice may come in: radius/nps1: no answer in 5 s; see whether that"
		" provider works (Windows shows error 649; macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &vd_fail_no_provider, .difference = "no provider of realm office takes mschapv2" },
		"no provider of realm office takes mschapv2 (Windows shows error 691; macOS and iOS show \"user"
		" authentication failed\")" },
	{ { .kind = &vd_fail_second_login, .difference = "alice is logged in as s-3 from 203.0.113.5",
		.origin = "30-staff.yaml:4" },
		"a second login is refused: alice is logged in as s-3 from 203.0.113.5; end that session"
		" (viaductctl session kill), or write 'second_login: replace' in connection staff"
		" (30-staff.yaml:4) (Windows shows error 629 or 734; macOS and iOS show \"the server ended the"
		" connection\")" },
	{ { .kind = &vd_fail_not_admitted, .difference = "outside of office hours" },
		"user alice is not admitted: outside of office hours (Windows shows error 629 or 734; macOS and"
		" iOS show \"the server ended the connection\")" },
	{ { .kind = &vd_fail_pool_full, .difference = "pool office is exhausted: 9 of its 9 addresses are in use",
		.origin = "20-pools.yaml:2" },
		"pool office is exhausted: 9 of its 9 addresses are in use; enlarge its range (20-pools.yaml:2)"
		" (Windows shows error 734 or 738; macOS and iOS show \"the server ended the connection\")" },
	{ { .kind = &vd_fail_address_held, .difference = "10.8.0.11 is held by s-3 (bob)" },
		"the address of user alice is taken: 10.8.0.11 is held by s-3 (bob); end the session that has it,"
		" or give one of both users another address (Windows shows error 734 or 738; macOS and iOS show"
		" \"the server ended the connection\")" },
	{ { .kind = &vd_fail_no_address, .difference = "10.9.0.1 is not of pool office", .origin = "users.yaml:2" },
		"no address for user alice: 10.9.0.1 is not of pool office (users.yaml:2) (Windows shows error"
		" 734 or 738; macOS and iOS show \"the server ended the connection\")" },
	{ { .kind = &vd_fail_establish, .difference = "the route of 10.8.0.11 is in use" },
		"the session of user alice cannot be brought up: the route of 10.8.0.11 is in use; see the"
		" gateway's log (Windows shows error 629 or 734; macOS and iOS show \"the server ended the"
		" connection\")" },
	{ { .kind = &ike_fail_xauth_silent, .offered = "asked for name and password", .count = 120 },
		"the client was asked for name and password by XAuth, and did not answer in 120 s; the user may not have typed"
		" a password in time; else see whether packets to the client arrive (macOS and iOS show \"the server did not"
		" respond\")" },
	{ { .kind = &ike_fail_xauth_answer, .difference = "name or password is missing" },
		"the client's answer to XAuth cannot be used: name or password is missing; set the client to user name and"
		" password (macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &ike_fail_xauth_skipped },
		"the client began quick mode without answering XAuth; give the client's connection a user name and a password"
		" (macOS and iOS show \"user authentication failed\")" },
	{ { .kind = &ike_fail_tunnel_selectors, .offered = "10.8.0.12 to 0.0.0.0/0",
		.difference = "the client's selector is not the address that it was given" },
		"selectors refused: client asked for 10.8.0.12 to 0.0.0.0/0: the client's selector is not the address that it"
		" was given; let the client take its address from the gateway, and name what it wants to reach in the"
		" connection's routes (macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &ike_fail_group, .offered = "keyid:73616c65" },
		"the client wants aggressive mode with group keyid:73616c65, which no connection has; correct the group name"
		" (identifier) on the client, or clear it for main mode (macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &ike_fail_no_aggressive_3 },
		"the client sent message 1 of aggressive mode, and nothing after our answer; its pre-shared key may be another"
		" one: type it anew there; else see whether our answer reaches it (macOS and iOS show \"the server did not"
		" respond\")" },
	{ { .kind = &ike_fail_too_much, .count = 1904, .offered = "algorithms", .configured = "64 combinations in 1600 octets" },
		"the client sent 1904 octets of algorithms, and this gateway reads 64 combinations in 1600 octets; let the client"
		" offer fewer algorithms (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &ike_fail_dials_alone, .offered = "198.51.100.7" },
		"198.51.100.7 knows the pre-shared key of staff, which this gateway dials and which accepts nobody; let a connection"
		" with a key of its own accept clients (Windows shows error 789; macOS and iOS show \"negotiation failed\")" },
	{ { .kind = &ike_fail_exchange, .count = 1 },
		"the client begins with exchange type 1, which is not served; set the client to main mode (macOS and iOS show \"the"
		" server did not respond\")" },
	{ { .kind = &ike_port_fail_version, .offered = "IKEv2", .configured = "IKEv1", .remedy = "configure the client for L2TP/IPsec" },
		"the client speaks IKEv2, and this gateway serves IKEv1; configure the client for L2TP/IPsec" },
	{ { .kind = &l2tp_fail_refused, .difference = "another version of L2TP" },
		"the client's L2TP was refused: another version of L2TP; see the client's L2TP log: its software or its settings ask for"
		" what this gateway does not do" },
	{ { .kind = &ppp_fail_refused, .difference = "client began LCP anew after authentication" },
		"the client's PPP was ended: client began LCP anew after authentication; see the client's PPP log" },
	{ { .kind = &l2tp_fail_forgotten, .count = 4, .dialled = true },
		"the gateway made IPsec anew and acknowledged nothing of our L2TP tunnel for 4 s: it was started anew; it is dialled"
		" again" },
	{ { .kind = &l2tp_fail_stray, .offered = "data", .difference = "session 9 of tunnel 1" },
		"data came for session 9 of tunnel 1, which is not here: the client kept its L2TP, and its IPsec is newer, or the gateway"
		" was restarted; it was told to end that; let the client dial again, or redial by itself when L2TP ends" },
	{ { .kind = &vd_fail_crowded_out, .count = 300, .offered = "peers", .configured = "gateway.max_peers" },
		"all 300 peers were taken, and no user of this client had been authenticated: it made room for another; let it try"
		" again; if that goes on, see with viaductctl why who fills the places, and raise gateway.max_peers (Windows shows"
		" error 789 or 809; macOS and iOS show \"the server did not respond\")" },
	{ { .kind = &vd_fail_guessing, .count = 20 },
		"not looked at: too many wrong passwords came from this address; the next one is looked at in 20 s; correct the"
		" password on the client, and wait (Windows shows error 691; macOS and iOS show \"user authentication failed\")" },
};

extern const struct vd_plugin ike_v1_LTX_vd_plugin, ike_port_LTX_vd_plugin, l2tp_LTX_vd_plugin, l2tp_guard_LTX_vd_plugin,
	ppp_link_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &ike_v1_LTX_vd_plugin, &ike_port_LTX_vd_plugin, &l2tp_LTX_vd_plugin,
	&l2tp_guard_LTX_vd_plugin, &ppp_link_LTX_vd_plugin };

static void start(void)
{
	struct vd_error err;

	fake_init(1);
	for (size_t i = 0; i < VD_ARRAY_SIZE(plugins); i++)
		ck_assert_msg(vd_plugin_preload(plugins[i], &err) != NULL, "%s", err.text);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	fake_watch(&vd_topic_setup_failed);
}

static void stop(void)
{
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	fake_fini();
}

static struct vd_setup_failed reported(struct vd_report report)
{
	struct vd_sa at = { .ip = vd_ip4(0xcb007105), .port = 500 };

	report.remote = &at;
	report.answered = true;
	report.connection = "staff";
	report.user = "alice";
	vd_report_failure(&report);
	fake_drain();
	return *(const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed);
}

START_TEST(test_said)
{
	struct vd_report report = said[_i].report;

	ck_assert_ptr_nonnull(said[_i].text);
	start();
	struct vd_setup_failed e = reported(report);
	ck_assert_str_eq(e.text, said[_i].text);
	ck_assert_str_eq(e.kind, report.kind->word);
	ck_assert_ptr_eq(vd_failure_named(e.kind), report.kind);
	ck_assert(e.stage[0] && e.difference[0]);
	ck_assert_str_eq(e.connection, "staff");
	ck_assert_str_eq(e.user, "alice");
	stop();
}
END_TEST

/* No failure without a sentence above, of plugins or of the core. */
START_TEST(test_all_said)
{
	unsigned n = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(plugins); i++)
		for (const struct vd_failure *const *f = plugins[i]->failures; f && *f; f++) {
			bool found = false;

			for (size_t k = 0; k < VD_ARRAY_SIZE(said); k++)
				found |= said[k].report.kind == *f;
			ck_assert_msg(found, "%s", (*f)->word);
			n++;
		}
	ck_assert_uint_eq(VD_ARRAY_SIZE(said), n + 17); /* those of the core */
}
END_TEST

/* A plugin's words are its own, and can be words. */
START_TEST(test_words_are_checked)
{
	static const struct vd_failure mine = { .word = "cable-eaten", .stage = "set-up", .say = "the {peer}'s cable was eaten" },
		taken = { .word = "wrong-psk", .stage = "x", .say = "x" }, ours = { .word = "pool-full", .stage = "x", .say = "x" },
		shouted = { .word = "Loud", .stage = "x", .say = "x" }, mute = { .word = "mute", .stage = "x" };
	static const struct vd_failure *const good[] = { &mine, NULL };
	static const struct vd_failure *const bad[][3] = { { &taken, NULL }, { &ours, NULL }, { &shouted, NULL }, { &mute, NULL },
		{ &mine, &mine, NULL } };
	static const char *const why[] = { "wrong-psk is known already", "pool-full is known already", "failure Loud has no word",
		"failure mute has no word", "cable-eaten twice" };
	static const struct vd_shown shown[] = { { "cable-eaten", "windows", "Windows shows error 8" }, { "pool-full", "apple", "a dialog" },
		{ NULL, NULL, NULL } };
	static struct vd_plugin plugin;
	struct vd_error err;

	start();
	plugin = ppp_link_LTX_vd_plugin;
	plugin.name = "third";
	plugin.shown = shown;
	for (size_t i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		plugin.failures = bad[i];
		ck_assert_ptr_null(vd_plugin_preload(&plugin, &err));
		ck_assert_msg(strstr(err.text, why[i]) != NULL, "%s", err.text);
	}
	static const struct vd_quirk quirks[] = { { "windows", "third.odd", "yes" }, { "windows", VD_QUIRK_SHOWS, "third" },
		{ "toaster", VD_QUIRK_RANK, "7" }, { NULL, NULL, NULL } };
	plugin.quirks = quirks;
	plugin.failures = good;
	ck_assert_ptr_nonnull(vd_plugin_preload(&plugin, &err));
	struct vd_setup_failed e = reported((struct vd_report){ .kind = &mine });
	ck_assert_str_eq(e.text, "the client's cable was eaten (Windows shows error 8)");
	ck_assert_str_eq(e.kind, "cable-eaten");
	e = reported((struct vd_report){ .kind = &vd_fail_pool_full, .difference = "full" });
	ck_assert_ptr_nonnull(strstr(e.client, "a dialog; "));
	/* So are its quirks; of two rows with one key the first counts. */
	ck_assert_str_eq(vd_quirk("windows", "third.odd"), "yes");
	ck_assert_str_eq(vd_quirk("windows", VD_QUIRK_SHOWS), "windows");
	ck_assert_str_eq(vd_quirk("toaster", VD_QUIRK_RANK), "7");
	ck_assert_ptr_null(vd_quirk("toaster", VD_QUIRK_SHOWS));
	stop();
}
END_TEST

/* Of what a dialled link can report nothing sends the reader to a client: that is he. */
START_TEST(dialled_has_no_client)
{
	static const struct vd_failure *const kinds[] = { &ppp_fail_lcp_silent, &ppp_fail_lcp_unacked, &ppp_fail_diverges,
		&ppp_fail_auth_method, &ppp_fail_auth_rejected, &ppp_fail_timeout, &ppp_fail_ipcp_rejected, &vd_fail_gave_up,
		&vd_fail_resources, &vd_fail_establish };

	start();
	struct vd_setup_failed e = reported((struct vd_report){ .kind = kinds[_i], .dialled = true, .offered = "pap",
		.configured = "mschapv2", .difference = "it is so", .count = 3 });
	ck_assert_msg(!strstr(e.text, "client"), "%s", e.text);
	ck_assert_str_eq(e.client, "");
	ck_assert(e.dialled);
	stop();
}
END_TEST

/* Strays of a client are answered, those of a gateway that we dialled are not: the sentence says which. */
START_TEST(test_stray_dialled)
{
	start();
	struct vd_setup_failed e = reported((struct vd_report){ .kind = &l2tp_fail_stray, .dialled = true, .offered = "data",
		.difference = "session 9 of tunnel 1" });
	ck_assert_msg(!strstr(e.text, "was told to end"), "%s", e.text);
	ck_assert_ptr_nonnull(strstr(e.text, "; it was not answered, because the gateway's own number of it is not known; "));
	stop();
}
END_TEST

/* What kind of client it is decides what its user sees; one that we dialled is a gateway, and its client is us. */
START_TEST(test_for_whom)
{
	static const struct {
		const char *profile, *text;
		bool dialled;
	} v[] = {
		{ "windows", "wrong PSK: the client's pre-shared key is none of the 3 tried; compare it with l2tp.psk of staff, "
			"or type it anew on the client (Windows shows error 789 or 787)", false },
		{ "apple", "wrong PSK: the client's pre-shared key is none of the 3 tried; compare it with l2tp.psk of staff, "
			"or type it anew on the client (macOS and iOS show \"the shared secret is incorrect\")", false },
		{ "strongswan", "wrong PSK: the client's pre-shared key is none of the 3 tried; compare it with l2tp.psk of staff, "
			"or type it anew on the client", false },
		{ "", "wrong PSK: the gateway's pre-shared key is none of the 3 tried; compare l2tp.psk of staff with the "
			"gateway's", true },
	};

	start();
	struct vd_setup_failed e = reported((struct vd_report){ .kind = &ike_fail_psk, .count = 3,
		.profile = v[_i].profile, .configured = "l2tp.psk of staff", .dialled = v[_i].dialled });
	ck_assert_str_eq(e.text, v[_i].text);
	ck_assert_int_eq(e.trust, v[_i].dialled ? VD_TRUST_KEY : VD_TRUST_ADDRESS);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("report");

	tcase_add_loop_test(t, test_said, 0, (int)VD_ARRAY_SIZE(said));
	tcase_add_test(t, test_all_said);
	tcase_add_test(t, test_words_are_checked);
	tcase_add_loop_test(t, dialled_has_no_client, 0, 10);
	tcase_add_test(t, test_stray_dialled);
	tcase_add_loop_test(t, test_for_whom, 0, 4);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
