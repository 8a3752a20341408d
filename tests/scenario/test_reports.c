/* Failures explain themselves: the literal line of each, by the whole gateway, and once. */
#include <check.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/report.h>

#include "core/bus.h"
#include "core/log.h"
#include "core/report/report.h"
#include "core/session/session.h"
#include "tests/lib/nasty.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/lib/failures.h"

#define ONE(range, staff) \
	"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n" \
	"users: { office: { file: users.yaml } }\n" \
	"realms: { office: { authenticate: [users/office] } }\n" \
	"pools: { office: { range: " range ", gateway: 10.8.0.1, dns: [10.1.0.53] } }\n" \
	"connections:\n" \
	"  staff: { accept: [l2tp], realm: office, pool: office, " staff "l2tp: { psk: !env SCENARIO_PSK_STAFF } }\n"
#define PLAIN ONE("10.8.0.10-10.8.0.20", "")
#define WINDOWS " (Windows shows "

static struct robot a, b;

static void start(const char *yaml, const char *user, const char *password)
{
	gateway_start(yaml);
	robot_init(&a, 0, "alice", "alice-password", false);
	robot_init(&b, 1, user, password, false);
	b.windows = true;
}

static void stop(void)
{
	a.silent = b.silent = true;
	for (unsigned minutes = 0; minutes < 9 * 60; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	robot_free(&a);
	robot_free(&b);
	gateway_stop();
}

/* What was reported, which must be one thing only. */
static const struct vd_setup_failed *the_report(const struct vd_failure *kind, const char *stage)
{
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(!strcmp(f->kind, kind->word), "%s: %s", f->kind, f->text);
	ck_assert_str_eq(f->stage, stage);
	/* It is remembered, and so is the very same. */
	const struct vd_remembered *r = vd_report_after(NULL);
	ck_assert_ptr_nonnull(r);
	ck_assert_mem_eq(&r->what, f, sizeof(*f));
	ck_assert_uint_eq(r->count, 1);
	ck_assert_ptr_null(vd_report_after(r));
	ck_assert(vd_report_is_about(f, "203.0.113.21"));
	ck_assert(!vd_report_is_about(f, "203.0.113.20"));
	/* No secret in any of it. */
	ck_assert_ptr_null(strstr(f->text, "password-"));
	ck_assert_ptr_null(strstr(f->text, GATEWAY_PSK_STAFF));
	return f;
}

static void dial(const char *psk, uint64_t ms)
{
	wire_add(&b);
	robot_dial(&b, psk);
	wire_wait(ms);
	ck_assert(!robot_up(&b));
}

START_TEST(test_no_proposal)
{
	start(PLAIN, "bob", "bob-password");
	b.old = true;
	dial(GATEWAY_PSK_STAFF, 500);
	const struct vd_setup_failed *f = the_report(&ike_fail_no_proposal, "phase1");
	ck_assert_str_eq(f->text, "no common proposal: client offered 3des-sha1-modp1024; connection staff allows "
		"aes256-sha384-ecp384, aes256-sha384-x25519, aes256-sha256-x25519, ...; add 'crypto: legacy' to staff "
		"(test.yaml:6) or update the client (Windows shows error 789)");
	ck_assert_str_eq(f->offered, "3des-sha1-modp1024");
	ck_assert_str_eq(f->difference, "group modp1024 is offered where modp2048 is allowed");
	ck_assert_str_eq(f->remedy, "add 'crypto: legacy' to staff (test.yaml:6) or update the client");
	ck_assert_str_eq(f->origin, "test.yaml:6");
	ck_assert_str_eq(f->connection, "staff");
	ck_assert_str_eq(f->client, "Windows shows error 789");
	ck_assert_int_eq(f->trust, VD_TRUST_NONE);
	stop();
}
END_TEST

START_TEST(test_wrong_psk)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password");
	dial("not the key", 10000);
	const struct vd_setup_failed *f = the_report(&ike_fail_psk, "phase1");
	ck_assert_str_eq(f->text, "wrong PSK: the client's pre-shared key is none of the 2 tried; compare it with l2tp.psk of "
		"staff (test.yaml:6) and of devices (test.yaml:7), or type it anew on the client (Windows shows error 789 or "
		"787)");
	ck_assert_str_eq(f->connection, "");
	ck_assert_int_eq(f->trust, VD_TRUST_ADDRESS);
	stop();
}
END_TEST

/* Nobody gets in with the key as its operator meant it: the report says what is odd about the file. */
START_TEST(test_odd_psk)
{
	setenv("SCENARIO_PSK_ODD", "\"the key\"", 1);
	start("gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n"
		"users: { office: { file: users.yaml } }\n"
		"realms: { office: { authenticate: [users/office] } }\n"
		"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1 } }\n"
		"connections:\n"
		"  staff: { accept: [l2tp], realm: office, pool: office, l2tp: { psk: !env SCENARIO_PSK_ODD } }\n", "bob", "bob-password");
	dial("the key", 10000);
	const struct vd_setup_failed *f = the_report(&ike_fail_psk, "phase1");
	ck_assert_msg(strstr(f->text, "staff (test.yaml:6), whose key is in quotes, which are part of the secret") ||
		strstr(f->text, "staff (test.yaml:6, whose key is in quotes, which are part of the secret)"), "%s", f->text);
	ck_assert_ptr_null(strstr(f->text, "\"the key\""));
	stop();
}
END_TEST

START_TEST(test_wrong_password)
{
	start(PLAIN, "bob", "guessed");
	dial(GATEWAY_PSK_STAFF, 5000);
	const struct vd_setup_failed *f = the_report(&vd_fail_password, "auth");
	ck_assert_str_eq(f->text, "wrong password: users/office knows user bob (users.yaml:2) with another password; type it anew "
		"on the client, or change it there (Windows shows error 691)");
	ck_assert_str_eq(f->user, "bob");
	ck_assert_str_eq(f->origin, "users.yaml:2");
	ck_assert_int_eq(f->trust, VD_TRUST_KEY);
	ck_assert(vd_report_is_about(f, "bob"));
	/* What the client sees does not tell it from an unknown user. */
	ck_assert_ptr_nonnull(strstr(b.message, " V=3 M=Authentication failed"));
	stop();
}
END_TEST

/* ---- who the user is, and what he may have ---- */
static unsigned n_records;

static bool record(void *arg, const struct vd_log_record *r)
{
	(void)arg;
	n_records++;
	nasty_check(r->text, false);
	nasty_check(r->user, false);
	return false;
}

static void on_bus(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer)
{
	static char json[131072];

	(void)arg;
	(void)answer;
	ck_assert_int_gt(vd_fields_json(topic->fields, topic->n_fields, data, json, sizeof(json)), 0);
	nasty_check(json, false);
}

static void check_timeline(const struct vd_timeline *t)
{
	for (unsigned i = 0; t && i < t->n; i++)
		nasty_check(t->v[(t->first + i) % VD_TIMELINE_MAX].text, false);
}

/* Whatever a client calls its user: each sink gets text that is safe, and says something. */
START_TEST(test_nasty_names)
{
	struct vd_tap *tap;

	start(PLAIN, nasty_names[_i], "guessed");
	n_records = 0;
	ck_assert_int_eq(vd_log_sink_add(record, NULL, 0), 0);
	tap = vd_bus_tap(on_bus, NULL);
	wire_add(&b);
	robot_dial(&b, GATEWAY_PSK_STAFF);
	for (unsigned i = 0; i < 40; i++) {
		wire_wait(100);
		for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
			check_timeline(vd_session_timeline(s->id));
		for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
			check_timeline(vd_timeline_find('p', p->id));
	}
	ck_assert(!robot_up(&b));
	const struct vd_setup_failed *f = the_report(&vd_fail_unknown_user, "auth");
	const char *const texts[] = { f->user, f->offered, f->configured, f->difference, f->remedy, f->client, f->text };
	for (size_t i = 0; i < VD_ARRAY_SIZE(texts); i++)
		nasty_check(texts[i], false);
	ck_assert_uint_gt(strlen(f->user), 1);
	ck_assert_uint_gt(n_records, 0);
	stop();
	vd_bus_untap(tap);
	vd_log_sink_remove(record, NULL);
}
END_TEST

START_TEST(test_unknown_user)
{
	start(PLAIN, "mallory", "guessed");
	dial(GATEWAY_PSK_STAFF, 5000);
	ck_assert_str_eq(the_report(&vd_fail_unknown_user, "auth")->text, "unknown user: users/office (users.yaml) has no user "
		"mallory; add the user there, or correct the name on the client (Windows shows error 691)");
	ck_assert_ptr_nonnull(strstr(b.message, " V=3 M=Authentication failed"));
	stop();
}
END_TEST

static char debug_lines[262144];

static bool keep_lines(void *arg, const struct vd_log_record *r)
{
	size_t n = strlen(debug_lines);

	(void)arg;
	vd_format(debug_lines + n, sizeof(debug_lines) - n, "%s: %s\n", r->area, r->text);
	return false;
}

/* A set-up can be followed message by message, and nothing secret is among them. */
START_TEST(test_debug)
{
	static const char *const steps[] = { "ike: received from 203.0.113.21:500: main mode, ", "ike: sent to 203.0.113.21:500: main mode, ",
		"quick mode", "l2tp: received SCCRQ, ", "l2tp: sent SCCRP, ", "l2tp: received ICCN, ", "ppp: sent LCP Configure-Request 1, ",
		"ppp: received CHAP code 2, ", "timeline: bob authenticated by ", "ppp: received IPCP Configure-Request " };
	debug_lines[0] = '\0';
	start(PLAIN, "bob", "bob-password");
	ck_assert_int_eq(vd_log_sink_add(keep_lines, NULL, 0), 0);
	vd_log_set_level(VD_LOG_DEBUG);
	wire_add(&b);
	robot_dial(&b, GATEWAY_PSK_STAFF);
	wire_wait(3000);
	ck_assert(robot_up(&b));
	for (size_t i = 0; i < VD_ARRAY_SIZE(steps); i++)
		ck_assert_msg(strstr(debug_lines, steps[i]) != NULL, "%s is not in:\n%s", steps[i], debug_lines);
	ck_assert_ptr_null(strstr(debug_lines, "bob-password"));
	ck_assert_ptr_null(strstr(debug_lines, GATEWAY_PSK_STAFF));
	vd_log_set_level(VD_LOG_NOTICE);
	vd_log_sink_remove(keep_lines, NULL);
	stop();
}
END_TEST

/* alice is in; b is another one, or she again. */
static const struct vd_setup_failed *second(const char *yaml, const char *user, const char *password, const struct vd_failure *kind,
	const char *stage)
{
	start(yaml, user, password);
	steps_login(&a, GATEWAY_PSK_STAFF, 0);
	dial(GATEWAY_PSK_STAFF, 5000);
	return the_report(kind, stage);
}

START_TEST(test_pool_full)
{
	const struct vd_setup_failed *f = second(ONE("10.8.0.11-10.8.0.11", ""), "carol", "carol-password", &vd_fail_pool_full,
		"address");

	ck_assert_str_eq(f->text, "pool office is exhausted: 1 of its 1 addresses are in use; enlarge its range (test.yaml:4) "
		"(Windows shows error 734 or 738)");
	ck_assert_int_eq(f->trust, VD_TRUST_USER);
	stop();
}
END_TEST

START_TEST(test_second_login)
{
	const struct vd_setup_failed *f = second(ONE("10.8.0.10-10.8.0.20", "second_login: refuse, "), "alice", "alice-password",
		&vd_fail_second_login, "admit");

	ck_assert_msg(!strncmp(f->text, "a second login is refused: alice is logged in as s-", 51), "%s", f->text);
	ck_assert_ptr_nonnull(strstr(f->text, "; end that session (viaductctl session kill), or write 'second_login: replace' in "
		"connection staff (test.yaml:6) (Windows shows error 629 or 734)"));
	stop();
}
END_TEST

START_TEST(test_address_held)
{
	const struct vd_setup_failed *f = second(ONE("10.8.0.10-10.8.0.20", "second_login: coexist, "), "alice", "alice-password",
		&vd_fail_address_held, "address");

	ck_assert_msg(!strncmp(f->text, "the address of user alice is taken: 10.8.0.11 is held by s-", 59), "%s", f->text);
	ck_assert_ptr_nonnull(strstr(f->text, " (alice); end the session that has it, or give one of both users another address "
		"(Windows shows error 734 or 738)"));
	stop();
}
END_TEST

/* ---- phase 1 turned out to be another connection's ---- */
START_TEST(test_suite)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password");
	b.old = true;
	dial(GATEWAY_PSK_STAFF, 5000);
	ck_assert_str_eq(the_report(&ike_fail_suite, "phase1")->text, "no common proposal: 3des-sha1-modp1024 was chosen, and the "
		"client's pre-shared key is that of staff; connection staff allows aes256-sha384-ecp384, "
		"aes256-sha384-x25519, aes256-sha256-x25519, ...; add 'crypto: legacy' to staff (test.yaml:6) or update the "
		"client (Windows shows error 789)");
	stop();
}
END_TEST

/* ---- what the client proves or asks for in IKE ---- */
START_TEST(test_identity)
{
	start(PLAIN, "bob", "bob-password");
	wire_add(&b);
	robot_dial(&b, GATEWAY_PSK_STAFF);
	b.ike[0].c.id_len = 5; /* an IPv4 address of one octet */
	wire_wait(5000);
	ck_assert_str_eq(the_report(&ike_fail_malformed, "phase1")->text, "the identity of the client is malformed; try again; if "
		"it stays so, the client's software or something on the way is broken (Windows shows error 789)");
	stop();
}
END_TEST

/* It is told once, also by a gateway that was made anew meanwhile: nobody complains that no quick mode came. */
static void once(void)
{
	struct vd_error why = { 0 };

	ck_assert_msg(gateway_reborn(&why) == 0, "%s", why.text);
	b.silent = true;
	fake_advance(20 * 60000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	stop();
}

START_TEST(test_selectors)
{
	start(PLAIN, "bob", "bob-password");
	wire_add(&b);
	robot_dial(&b, GATEWAY_PSK_STAFF);
	b.ike[0].c.port_r = 1702;
	wire_pump();
	const struct vd_setup_failed *f = the_report(&ike_fail_selectors, "quick mode");
	ck_assert_str_eq(f->text, "selectors refused: client asked for 192.168.0.5 udp/1701 to 192.0.2.1 udp/1702; only UDP with "
		"port 1701 on the gateway's side is served; make it an L2TP/IPsec connection (transport mode, UDP port 1701) on "
		"the client (Windows shows error 789)");
	ck_assert_str_eq(f->difference, "the selector of our side is not port 1701");
	ck_assert_int_eq(f->trust, VD_TRUST_KEY);
	once();
}
END_TEST

START_TEST(test_no_esp_proposal)
{
	start(PLAIN, "bob", "bob-password");
	wire_add(&b);
	b.tunnel = true;
	robot_dial(&b, GATEWAY_PSK_STAFF);
	wire_pump();
	const struct vd_setup_failed *f = the_report(&ike_fail_no_esp_proposal, "quick mode");
	ck_assert_str_eq(f->text, "no common proposal: client offered aes256-sha256 for ESP; connection staff allows aes256gcm16, "
		"aes128gcm16, aes256-sha256, ...; make it an L2TP/IPsec connection on the client: L2TP is carried in transport mode "
		"(Windows shows error 789)");
	once();
}
END_TEST

/* ---- the client falls silent in each phase ---- */
static bool in_mm4(const struct robot *r)
{
	return r->ike[0].state == ROBOT_MM4;
}

static bool in_mm6(const struct robot *r)
{
	return r->ike[0].state == ROBOT_MM6;
}

static bool ike_up(const struct robot *r)
{
	return r->ike[0].state == ROBOT_IKE_UP;
}

static bool has_sa(const struct robot *r)
{
	return r->out.live;
}

static bool has_tunnel(const struct robot *r)
{
	return r->peer_tid != 0;
}

static bool has_call(const struct robot *r)
{
	return r->peer_sid != 0;
}

static bool challenged(const struct robot *r)
{
	return r->challenged;
}

static bool authenticated(const struct robot *r)
{
	return r->authenticated;
}

static const struct {
	bool (*until)(const struct robot *r);
	const char *text;
	const struct vd_failure *kind;
	const char *stage;
	unsigned arrive; /* so many of the datagrams on the wire then */
} silences[] = {
	{ in_mm4, "the client sent message 1, and nothing after our answer; see whether packets from UDP port 500 of the "
		"gateway reach the client (Windows shows error 809)", &ike_fail_no_message_3, "phase1" },
	{ in_mm6, "the client sent message 3, and nothing after our answer; see whether UDP port 500 is open both ways "
		"between the client and the gateway (Windows shows error 809 or 792)", &ike_fail_no_message_5, "phase1" },
	{ ike_up, "phase 1 is up, and the client never began quick mode; see the client's log: it may not accept the "
		"gateway's identity, which is its address unless the connection's id says another (Windows shows error 789 or 792)", &ike_fail_no_quick_mode, "quick mode" },
	{ has_sa, "the client never sent message 3 of quick mode: our message 2 or its answer was lost; see whether UDP of 400 "
		"octets and more reaches the client unfragmented (Windows shows error 789 or 792)", &ike_fail_no_quick_3, "quick mode" },
	{ has_sa, "IPsec is up, and no L2TP came in 30 s; see whether ESP (IP protocol 50; with NAT, UDP port 4500) "
		"reaches the gateway (Windows shows error 809 or 800)", &l2tp_fail_silent, "l2tp", 1 },
	{ has_tunnel, "the client asked for an L2TP tunnel, and never acknowledged our answer (SCCRP) in 30 s; packets to the "
		"client are lost on the way, or its own SA is gone: see whether ESP reaches it (Windows shows error 809 or 800)",
		&l2tp_fail_sccrp_lost, "l2tp" },
	{ has_call, "the client's L2TP call did not come up in 30 s; see the client's L2TP log (Windows shows error 809 or 800)",
		&l2tp_fail_no_iccn, "l2tp" },
	{ has_call, "the client never sent a PPP frame: its data messages do not reach us, or its PPP did not start; see the "
		"client's PPP log (Windows shows error 718 or 721)", &ppp_fail_lcp_silent, "lcp", 1 },
	{ has_call, "LCP did not complete: the client did not acknowledge our Configure-Requests; see whether packets to the "
		"client arrive, and the client's PPP log (Windows shows error 718 or 721)", &ppp_fail_lcp_unacked, "lcp", 2 },
	{ challenged, "the client never answered our mschapv2 challenge; the user may not have typed a password in time; else see "
		"whether packets to the client arrive (Windows shows error 718)", &ppp_fail_auth_silent, "auth" },
	{ authenticated, "the client did not complete IPCP; IPv4 may be switched off in its connection: switch it on there "
		"(Windows shows error 720)", &ppp_fail_ipcp_unacked, "ipcp" },
};

START_TEST(test_silence)
{
	start(PLAIN, "bob", "bob-password");
	wire_add(&b);
	robot_dial(&b, GATEWAY_PSK_STAFF);
	for (unsigned n = 0; n < 500 && !silences[_i].until(&b); n++)
		if (!wire_step())
			wire_wait(10);
	ck_assert(silences[_i].until(&b));
	for (unsigned n = 0; n < silences[_i].arrive; n++)
		ck_assert(wire_step());
	b.silent = true;
	wire_drop();
	wire_wait(120000);
	const struct vd_setup_failed *f = the_report(silences[_i].kind, silences[_i].stage);
	ck_assert_str_eq(f->text, silences[_i].text);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_reports");
	TCase *t = tcase_create("reports");

	tcase_set_timeout(t, 200);
	tcase_add_test(t, test_no_proposal);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_test(t, test_odd_psk);
	tcase_add_test(t, test_wrong_password);
	tcase_add_test(t, test_unknown_user);
	tcase_add_test(t, test_debug);
	tcase_add_loop_test(t, test_nasty_names, 0, NASTY_N);
	tcase_add_test(t, test_pool_full);
	tcase_add_test(t, test_second_login);
	tcase_add_test(t, test_address_held);
	tcase_add_test(t, test_suite);
	tcase_add_test(t, test_identity);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_no_esp_proposal);
	tcase_add_loop_test(t, test_silence, 0, VD_ARRAY_SIZE(silences));
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
