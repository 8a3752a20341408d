/* What is known of stock clients, item by item: each has a test of its name, or stands in the table with where it is tested,
 * or why it is not of this gateway. "test_items --table" prints the table. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/scenario/wire.h"
#include "tests/lib/failures.h"

static struct robot r;
static struct stock own; /* a stock client with a whim */

static void begin_with(const char *name, bool nat, const char *yaml)
{
	const struct stock *s = stock_find(name);

	ck_assert_ptr_nonnull(s);
	own = *s;
	gateway_start(yaml);
	robot_init(&r, 0, "alice", "alice-password", nat);
	r.stock = &own;
	r.port = s->port;
	r.tid = s->tid;
	r.sid = s->sid;
}

static void begin(const char *name, bool nat)
{
	begin_with(name, nat, GATEWAY_DEFAULT);
}

static void up(const char *name, bool nat)
{
	begin(name, nat);
	steps_login(&r, own.psk, 11);
}

static void over(void)
{
	robot_free(&r);
	gateway_stop();
	wire_drop(); /* its last words */
}

static const char *why_down(void)
{
	const struct vd_session_down *down = fake_last(&vd_topic_session_down);

	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	return down->reason;
}

static const struct stock_cp *cp(uint16_t protocol)
{
	for (unsigned i = 0; i < r.ppp.n; i++)
		if (r.ppp.cps[i].protocol == protocol)
			return &r.ppp.cps[i];
	ck_abort_msg("%04x was not begun", protocol);
}

static bool protocol_rejected(uint16_t protocol)
{
	for (unsigned i = 0; i < r.ppp.rejected; i++)
		if (r.ppp.rejections[i] == protocol)
			return true;
	return false;
}

/* What it has asked for in the end. */
static void has_options(uint16_t protocol, const char *hex)
{
	char text[400];

	ck_assert_str_eq(vd_hex(text, sizeof(text), cp(protocol)->options, cp(protocol)->len), hex);
}

/* The set-up fails: this is reported, once. */
static void fails_with(const struct vd_failure *kind)
{
	const struct vd_setup_failed *f;

	wire_add(&r);
	robot_dial(&r, own.psk);
	wire_wait(30000);
	f = fake_last(&vd_topic_setup_failed);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(!strcmp(f->kind, kind->word), "%s", f->text);
	ck_assert_uint_eq(vd_session_count(), 0);
	over();
}

/* ---- Windows ---- */
START_TEST(test_client_1_1_floats_and_lives_without_dpd)
{
	up("Windows 10", true);
	ck_assert_uint_eq(r.ike[0].c.path.local.port, 4500);
	wire_wait(95000);
	ck_assert_uint_gt(r.echoes, 0);
	ck_assert_uint_eq(vd_session_count(), 1);
	over();
}
END_TEST

START_TEST(test_client_1_2_transforms)
{
	const char *const *all;

	begin("Windows 7", false);
	all = own.ike;
	own.ike = all + 4; /* the last, 3DES and group 2, alone: by name only */
	own.psk = GATEWAY_PSK_DEVICES;
	steps_login(&r, own.psk, 11);
	ck_assert_str_eq(vd_peer_find(vd_session_after(NULL)->peer)->suite, "3des-sha1-modp1024");
	over();
	begin("Windows 7", false);
	own.ike = all + 4;
	fails_with(&ike_fail_suite);
}
END_TEST

/* A fourth message of quick mode, with INITIAL_CONTACT. */
START_TEST(test_client_1_3_initial_contact_behind_quick_mode)
{
	static const uint8_t contact[] = { 0, 0, 0, 28, 0, 0, 0, 1, 1, 16, 0x60, 0x02, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		13, 14, 15, 16 };
	struct client *c = &r.ike[0].c;
	struct msg m;
	uint8_t out[4 + sizeof(m.p)] = { 0 };

	up("Windows 7", true);
	client_sealed_with(c, 32, c->mid, true, 11, contact, sizeof(contact), &m);
	memcpy(out + 4, m.p, m.len);
	wire_up(&c->path, out, m.len + 4);
	wire_pump();
	steps_ping(&r);
	ck_assert_uint_eq(vd_peer_count(), 1);
	over();
}
END_TEST

START_TEST(test_client_1_4_tunnel_mode_is_refused)
{
	begin("Windows 10", false);
	r.tunnel = true;
	wire_add(&r);
	robot_dial(&r, own.psk);
	wire_wait(30000);
	ck_assert_uint_eq(vd_session_count() + vd_chan_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	over();
}
END_TEST

/* The selector's port is 1701 or any; identities come back unchanged, see client_qm2(). */
START_TEST(test_client_1_5_selectors)
{
	for (unsigned i = 0; i < 4; i++) {
		begin("Windows 10", i & 1);
		own.idci_port = i & 2 ? 0 : 1701;
		steps_login(&r, own.psk, 11);
		steps_ping(&r);
		over();
	}
}
END_TEST

START_TEST(test_client_1_6_name_in_quick_mode)
{
	up("Windows 7", true);
	r.ike[0].c.fqdn = "desktop-1a2b3cd";
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_1_7_neither_des_nor_null)
{
	begin("Windows 10", true);
	own.esp += 3;
	fails_with(&ike_fail_no_esp_proposal);
}
END_TEST

/* Quick mode, a new phase 1 and quick mode in it; all CHILD SAs deleted when idle, and a new one later. */
START_TEST(test_client_1_8_rekeys)
{
	up("Windows 10", true);
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	robot_delete_esp(&r, false);
	wire_pump();
	steps_ping(&r);
	robot_phase1(&r);
	ck_assert(wire_until(robot_phase1_done, &r, 5000));
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	robot_delete_esp(&r, true);
	wire_wait(20000);
	ck_assert_uint_eq(vd_session_count(), 1);
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	ck_assert_uint_eq(vd_chan_count(), 1);
	over();
}
END_TEST

/* It stops when it sees that the gateway is behind NAT; who runs the gateway is told which key of the registry helps. */
START_TEST(test_client_1_9_gateway_behind_nat)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct vd_setup_failed *f;

		begin(i ? "macOS" : "Windows 10", true);
		wire_add(&r);
		robot_dial(&r, own.psk);
		r.ike[0].c.bad_natd_us = true;
		while (r.ike[0].state != ROBOT_MM4)
			ck_assert(wire_step());
		r.silent = true;
		wire_wait(90000);
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
		f = fake_last(&vd_topic_setup_failed);
		ck_assert_str_eq(f->kind, ike_fail_no_message_5.word);
		ck_assert_msg((strstr(f->remedy, "PolicyAgent is 2") == NULL) == (i == 1), "%s", f->text);
		over();
	}
}
END_TEST

START_TEST(test_client_1_11_sccrq_twice)
{
	uint64_t repeated = vd_counter("l2tp.repeated_sccrq");

	begin("Windows 10", true);
	wire_add(&r);
	robot_dial(&r, own.psk);
	while (r.ns == 0)
		ck_assert(wire_step());
	robot_esp_send(&r, r.sent[0].p, r.sent[0].len);
	ck_assert(wire_until(robot_up, &r, 5000));
	wire_pump();
	ck_assert_uint_eq(vd_counter("l2tp.repeated_sccrq"), repeated + 1);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_1_12_correlation_id)
{
	up("Windows 7", false);
	ck_assert_ptr_nonnull(strstr(own.icrq, "01370001"));
	ck_assert_uint_eq(vd_counter("l2tp.bad_avp"), 0);
	over();
}
END_TEST

START_TEST(test_client_1_13_proxy_avps)
{
	begin("Windows 10", false);
	own.iccn = stock_find("RouterOS")->iccn;
	steps_login(&r, own.psk, 11);
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_1_14_lcp)
{
	up("Windows with multilink", false);
	has_options(0xc021, "01040578" "050611223344" "0702" "0802");
	over();
}
END_TEST

START_TEST(test_client_1_15_identification)
{
	up("Windows 10", false);
	ck_assert_str_eq(vd_session_after(NULL)->client, "MSRASV5.20, MSRAS-0-DESKTOP-1A2B3CD");
	ck_assert_uint_eq(vd_counter("ppp_link.unknown_code"), 0);
	robot_echo(&r);
	wire_pump();
	ck_assert_uint_eq(r.echo_replies, 1);
	over();
}
END_TEST

/* Its first request comes late, ours is acknowledged before; it wants MS-CHAPv2 instead of CHAP with MD5. */
START_TEST(test_client_1_16_late_and_choosy)
{
	begin_with("Windows 10", true, GATEWAY_YAML("10.8.0.10-10.8.0.20", "ppp: { auth: [chap, mschapv2] }, "));
	own.late_ms = 2000;
	wire_add(&r);
	robot_dial(&r, own.psk);
	ck_assert(wire_until(robot_up, &r, 3500));
	wire_pump();
	ck_assert_str_eq(((const struct vd_auth_ok *)fake_last(&vd_topic_auth_ok))->method, "mschapv2");
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_1_17_ncps_at_once)
{
	up("Windows 10", false);
	ck_assert(cp(0x8057)->over || cp(0x8057)->ours);
	ck_assert_uint_gt(cp(0x8021)->id, cp(0x80fd)->id); /* identifiers count over all protocols */
	over();
}
END_TEST

START_TEST(test_client_1_18_ccp_is_closed_by_itself)
{
	up("Windows 10", false);
	ck_assert_uint_eq(cp(0x80fd)->len, 0);
	ck_assert(cp(0x80fd)->over && !cp(0x80fd)->theirs);
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_1_19_ipcp)
{
	up("Windows 10", false);
	has_options(0x8021, "03060a08000b" "81060a010035" "83060a010036");
	over();
}
END_TEST

START_TEST(test_client_1_20_goodbye)
{
	up("Windows 10", false);
	own.terminate = "11223344003ccd74000002dc";
	stock_ppp_terminate(&r);
	wire_wait(2000);
	ck_assert_str_eq(why_down(), "client error 732: PPP control protocols do not converge");
	over();
}
END_TEST

START_TEST(test_client_1_21_failure_message)
{
	begin("Windows 10", false);
	r.password = "guessed";
	wire_add(&r);
	robot_dial(&r, own.psk);
	wire_wait(10000);
	ck_assert_mem_eq(r.message, "E=691 R=0 C=", 12);
	ck_assert_uint_eq(strspn(r.message + 12, "0123456789ABCDEF"), 32);
	ck_assert_mem_eq(r.message + 44, " V=3 M=", 7);
	over();
}
END_TEST

/* ---- macOS and iOS ---- */
START_TEST(test_client_3_2_proposals)
{
	const char *const *all;

	begin("macOS", false);
	all = own.ike;
	own.ike = all + 1; /* without SHA-256 in front: still the strongest that there is, whatever comes first */
	steps_login(&r, own.psk, 11);
	ck_assert_str_eq(vd_peer_find(vd_session_after(NULL)->peer)->suite, "aes256-sha512-modp2048");
	over();
	begin("macOS", false);
	own.ike = all + 7; /* group 2 alone */
	fails_with(&ike_fail_suite);
}
END_TEST

START_TEST(test_client_3_4_keepalive)
{
	uint64_t moved = vd_counter("ike_v1.moved");

	up("iOS", true);
	for (unsigned i = 0; i < 5; i++) {
		wire_up(&r.ike[0].c.path, "\xff", 1);
		wire_wait(20000);
	}
	steps_ping(&r);
	ck_assert_uint_le(vd_counter("ike_v1.moved"), moved + 1); /* to port 4500 */
	over();
}
END_TEST

START_TEST(test_client_3_5_sha256_and_ephemeral_port)
{
	up("macOS", true);
	ck_assert_uint_eq(r.ike[0].c.esp_auth, 5);
	ck_assert_uint_eq(r.port, 56322); /* robot_esp.c holds every datagram to it */
	steps_ping(&r);
	over();
	up("macOS, older", true);
	ck_assert_uint_eq(r.ike[0].c.esp_auth, 2);
	over();
}
END_TEST

/* "Thanks Apple": message 3 once more when the ISAKMP SA is deleted. */
START_TEST(test_client_3_6_quick_mode_after_delete)
{
	uint8_t out[4 + sizeof(r.qm3.p)] = { 0 };

	up("macOS", true);
	robot_delete_ike(&r);
	wire_pump();
	memcpy(out + 4, r.qm3.p, r.qm3.len);
	wire_up(&r.ike[0].c.path, out, r.qm3.len + 4);
	wire_pump();
	steps_ping(&r);
	ck_assert_uint_eq(vd_session_count(), 1);
	over();
}
END_TEST

START_TEST(test_client_3_7_host_name_with_terminator)
{
	const struct vd_l2tp_tunnel_up *tunnel;

	up("macOS", false);
	tunnel = fake_last(&vd_topic_l2tp_tunnel_up);
	ck_assert_str_eq(tunnel->host_name, "MacBook.local");
	over();
}
END_TEST

START_TEST(test_client_3_8_swapped_result_code)
{
	up("macOS", false);
	robot_cdn(&r);
	wire_wait(2000);
	ck_assert_ptr_nonnull(strstr(why_down(), "(result 3,"));
	over();
}
END_TEST

START_TEST(test_client_3_9_data_has_a_length)
{
	up("macOS", false);
	ck_assert(own.data_length);
	steps_ping(&r);
	over();
}
END_TEST

/* stock_strict() looks at each of our control messages, for every client. */
START_TEST(test_client_3_10_strict)
{
	up("macOS", true);
	wire_wait(200000);
	over();
}
END_TEST

START_TEST(test_client_3_13_echo_at_once)
{
	begin("macOS", false);
	wire_add(&r);
	robot_dial(&r, own.psk);
	while (!r.lcp.ours || !r.lcp.theirs)
		ck_assert(wire_step());
	robot_echo(&r);
	ck_assert(wire_until(robot_up, &r, 500));
	ck_assert_uint_eq(r.echo_replies, 1);
	wire_pump();
	has_options(0x8021, "03060a08000b" "81060a010035" "83060a010036");
	over();
}
END_TEST

START_TEST(test_client_3_14_acscp)
{
	up("macOS", false);
	ck_assert(protocol_rejected(0x8235));
	steps_ping(&r);
	over();
}
END_TEST

/* ---- Android ---- */
START_TEST(test_client_6_1_group_2_by_name_only)
{
	begin("Android", true);
	own.psk = GATEWAY_PSK_STAFF;
	fails_with(&ike_fail_suite);
}
END_TEST

START_TEST(test_client_6_4_any_port)
{
	up("Android", true);
	ck_assert_uint_eq(own.idci_port, 0);
	ck_assert_uint_ne(r.port, 1701);
	ck_assert_uint_eq(r.ike[0].c.esp_auth, 2); /* SHA-1 before SHA-256 */
	over();
}
END_TEST

/* No answer of ours waits for anything: whoever goes on only when he is acknowledged does so at once (no time passes). */
START_TEST(test_client_6_7_acknowledged_at_once)
{
	begin("Android", true);
	wire_add(&r);
	robot_dial(&r, own.psk);
	wire_pump();
	ck_assert(own.waits && robot_up(&r));
	over();
}
END_TEST

START_TEST(test_client_6_8_stopccn_alone)
{
	up("Android", true);
	robot_stopccn(&r);
	wire_wait(2000);
	ck_assert_uint_eq(r.acked, r.ns);
	ck_assert_ptr_nonnull(strstr(why_down(), "(result 6,"));
	over();
}
END_TEST

START_TEST(test_client_6_9_ppp)
{
	up("Android", false);
	has_options(0xc021, "01040578" "020600000000" "050611223344" "0702" "0802");
	has_options(0x8021, "03060a08000b" "81060a010035" "83060a010036");
	ck_assert_uint_eq(cp(0x80fd)->len, 0);
	over();
}
END_TEST

/* ---- NetworkManager-l2tp, RouterOS, ChromeOS ---- */
START_TEST(test_client_9_1_source_port)
{
	up("NetworkManager-l2tp", true);
	ck_assert_uint_eq(r.port, 0);
	over();
	up("NetworkManager-l2tp, ephemeral port", true);
	ck_assert_uint_eq(r.port, 38500);
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_9_2_without_group_2)
{
	static const char *const few[] = { "80010007800e01008002000280040014800300018" "00b0001800c2a30", NULL };

	begin("NetworkManager-l2tp", false);
	own.ike = few;
	steps_login(&r, own.psk, 11);
	ck_assert_str_eq(vd_peer_find(vd_session_after(NULL)->peer)->suite, "aes256-sha1-ecp384");
	over();
}
END_TEST

START_TEST(test_client_9_4_data_without_length)
{
	up("NetworkManager-l2tp", false);
	ck_assert(!own.data_length);
	steps_ping(&r);
	ck_assert_str_eq(vd_peer_find(vd_session_after(NULL)->peer)->profile, "xl2tpd");
	over();
}
END_TEST

START_TEST(test_client_10_1_pfs)
{
	up("RouterOS", true);
	ck_assert_uint_eq(r.ike[0].c.qgroup, 2); /* client_qm2() wants it back */
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	over();
}
END_TEST

START_TEST(test_client_10_2_protocols)
{
	up("RouterOS", false);
	ck_assert(protocol_rejected(0x8281));
	ck_assert_uint_eq(cp(0x80fd)->len, 0);
	has_options(0xc021, "010405aa" "050611223344");
	over();
}
END_TEST

START_TEST(test_client_11_1_proposals)
{
	begin("ChromeOS", true);
	own.esp = (const struct stock_esp[]){ own.esp[0], { 0 } }; /* AES-GCM alone, in IKEv1 */
	steps_login(&r, own.psk, 11);
	ck_assert_uint_eq(r.ike[0].c.esp, 20);
	steps_ping(&r);
	over();
}
END_TEST

/* ---- other gateways' experience ---- */
/* Everything rejected: an empty request is acknowledged. */
START_TEST(test_peer_17_empty_request)
{
	begin("NetworkManager-l2tp", false);
	r.ppp.refusal = (struct stock_refusal){ .protocol = 0xc021, .code = 4 };
	steps_login(&r, own.psk, 11);
	ck_assert_uint_eq(cp(0xc021)->len, 0);
	over();
}
END_TEST

START_TEST(test_peer_24_no_address_asked)
{
	begin("RouterOS", false);
	r.ppp.refusal = (struct stock_refusal){ .protocol = 0x8021, .type = 3, .code = 4 };
	steps_login(&r, own.psk, 11);
	ck_assert_mem_eq(r.address, "\x0a\x08\x00\x0b", 4);
	over();
}
END_TEST

/* A client that wants another address gets its own. */
START_TEST(test_peer_25_dedicated_address)
{
	begin("Windows 10", false);
	r.ppp.refusal = (struct stock_refusal){ .protocol = 0x8021, .type = 3, .code = 3 };
	steps_login(&r, own.psk, 11);
	over();
}
END_TEST

/* Echoes are answered between the messages of a rekey. */
START_TEST(test_peer_22_echo_through_rekey)
{
	up("macOS", true);
	robot_quick(&r);
	for (unsigned i = 0; i < 6; i++) {
		robot_echo(&r);
		wire_step();
	}
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	robot_phase1(&r);
	for (unsigned i = 0; i < 6; i++) {
		robot_echo(&r);
		wire_step();
	}
	ck_assert(wire_until(robot_phase1_done, &r, 5000));
	wire_pump();
	ck_assert_uint_eq(r.echo_replies, 12);
	over();
}
END_TEST

/* Sequencing Required (RFC 2661 sections 4.4.6 and 5.4): every data message has a number, both ways; what comes without is
 * dropped and counted; the link leaves room for them. */
START_TEST(test_peer_38_sequencing_required)
{
	uint64_t asked = vd_counter("l2tp.sequencing_asked");
	unsigned mtu[2];

	for (unsigned numbers = 0; numbers < 2; numbers++) {
		begin("NetworkManager-l2tp", true);
		r.numbers = numbers;
		ck_assert_mem_eq(own.lcp, "01040578", 8);
		own.lcp += 8; /* without its MRU of 1400, which is less than the channel takes */
		steps_login(&r, own.psk, 11);
		mtu[numbers] = vd_session_after(NULL)->mtu;
		if (!numbers)
			over();
	}
	ck_assert_uint_eq(vd_counter("l2tp.sequencing_asked"), asked + 1);
	ck_assert_uint_eq(mtu[1], mtu[0] - 4);
	steps_ping(&r);
	robot_echo(&r);
	wire_pump();
	ck_assert_uint_eq(r.echo_replies, 1);
	ck_assert_uint_gt(r.data_nr, 5);
	for (unsigned without = 0; without < 2; without++) { /* data, and PPP's own */
		unsigned out = wire.n_tun, echoed = r.echo_replies;

		r.numbers = false;
		if (without)
			robot_echo(&r);
		else
			robot_ping(&r, NULL, 77);
		r.numbers = true;
		wire_pump();
		ck_assert_uint_eq(wire.n_tun, out);
		ck_assert_uint_eq(r.echo_replies, echoed);
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), without + 1);
	}
	steps_ping(&r);
	over();
}
END_TEST

#define TEST(name) &test_##name, "test_" #name
static const struct item {
	const char *id, *what;
	const TTest *const *test;
	const char *where; /* its name; without a test: where it is tested, or "n.a.: " and why */
} items[] = {
	{ "0.1", "Windows, racoon, strongSwan: messages in parts", NULL, "tests/plugin/test_ike_fragments.c; netns 67" },
	{ "1.1", "Windows: vendor ids, 500 to 4500, no DPD", TEST(client_1_1_floats_and_lives_without_dpd) },
	{ "1.2", "Windows: five transforms", TEST(client_1_2_transforms) },
	{ "1.3", "Windows: private identity, INITIAL_CONTACT behind quick mode",
		TEST(client_1_3_initial_contact_behind_quick_mode) },
	{ "1.4", "Windows: transport mode only", TEST(client_1_4_tunnel_mode_is_refused) },
	{ "1.5", "Windows: selectors, NAT-OA", TEST(client_1_5_selectors) },
	{ "1.6", "Windows XP: a name as IDci", TEST(client_1_6_name_in_quick_mode) },
	{ "1.7", "Windows: DES and NULL are never chosen", TEST(client_1_7_neither_des_nor_null) },
	{ "1.8", "Windows: rekeys, idle CHILD SAs", TEST(client_1_8_rekeys) },
	{ "1.9", "Windows: a gateway behind NAT needs a registry key", TEST(client_1_9_gateway_behind_nat) },
	{ "1.10", "Windows: NAT-D with the public address", NULL, "n.a.: never tried on a device; the gateway is told no public address" },
	{ "1.11", "Windows: SCCRQ twice", TEST(client_1_11_sccrq_twice) },
	{ "1.12", "Windows: correlation id is no Result Code", TEST(client_1_12_correlation_id) },
	{ "1.13", "Windows: ICCN, proxy AVPs", TEST(client_1_13_proxy_avps) },
	{ "1.14", "Windows: LCP, callback and multilink", TEST(client_1_14_lcp) },
	{ "1.15", "Windows: Identification", TEST(client_1_15_identification) },
	{ "1.16", "Windows: late first request, Nak of other methods", TEST(client_1_16_late_and_choosy) },
	{ "1.17", "Windows: NCPs at once, identifiers", TEST(client_1_17_ncps_at_once) },
	{ "1.18", "Windows: CCP", TEST(client_1_18_ccp_is_closed_by_itself) },
	{ "1.19", "Windows: IPCP", TEST(client_1_19_ipcp) },
	{ "1.20", "Windows: errors in Terminate-Request", TEST(client_1_20_goodbye) },
	{ "1.21", "Windows: messages of MS-CHAPv2", TEST(client_1_21_failure_message) },
	{ "1.22", "Windows: DHCPINFORM", NULL, "tests/scenario/test_inform.c" },
	{ "2", "Windows: IKEv2", NULL, "n.a.: IKEv2 is not served" },
	{ "3.1", "Apple: aggressive mode with a group name", NULL, "tests/scenario/test_xauth.c, test_stock" },
	{ "3.2", "Apple: proposals", TEST(client_3_2_proposals) },
	{ "3.3", "Apple: vendor ids, octet by octet", NULL, "tests/scenario/test_stock.c, test_first_flight" },
	{ "3.4", "Apple: NAT keepalive", TEST(client_3_4_keepalive) },
	{ "3.5", "Apple: SHA-256 in ESP, ephemeral port", TEST(client_3_5_sha256_and_ephemeral_port) },
	{ "3.6", "Apple: quick mode after its phase 1 is deleted", TEST(client_3_6_quick_mode_after_delete) },
	{ "3.7", "Apple: SCCRQ, host name with terminator", TEST(client_3_7_host_name_with_terminator) },
	{ "3.8", "Apple: Result Code in its own octet order", TEST(client_3_8_swapped_result_code) },
	{ "3.9", "Apple: data with a length", TEST(client_3_9_data_has_a_length) },
	{ "3.10", "Apple: nothing but the RFC's minimum", TEST(client_3_10_strict) },
	{ "3.11", "Apple: every option of LCP rejected", NULL, "tests/scenario/test_clients.c, test_refused_in_turn" },
	{ "3.12", "Apple: no CCP", NULL, "tests/scenario/test_clients.c, test_first_flight" },
	{ "3.13", "Apple: echo at once, IPCP, no name servers in ours", TEST(client_3_13_echo_at_once) },
	{ "3.14", "Apple: ACSCP", TEST(client_3_14_acscp) },
	{ "3.15", "iOS: sleep", NULL, "tests/scenario/test_clients.c, test_sleep" },
	{ "4", "Apple: IKEv2", NULL, "n.a.: IKEv2 is not served" },
	{ "5", "Apple: XAuth", NULL, "tests/scenario/test_xauth.c, test_stock" },
	{ "6.1", "Android: group 2 alone", TEST(client_6_1_group_2_by_name_only) },
	{ "6.2", "Android: aggressive mode with an identifier", NULL, "tests/scenario/test_xauth.c, test_stock" },
	{ "6.3", "Android: vendor ids", NULL, "tests/scenario/test_clients.c, test_first_flight" },
	{ "6.4", "Android: any port in its selector, SHA-1 first", TEST(client_6_4_any_port) },
	{ "6.5", "Android: SHA-256 cut to 96 bits", NULL, "tests/plugin/test_esp_variants.c" },
	{ "6.6", "Android: SCCRQ, window of 1", NULL, "tests/scenario/test_clients.c, test_first_flight" },
	{ "6.7", "Android: waits for acknowledgements", TEST(client_6_7_acknowledged_at_once) },
	{ "6.8", "Android: StopCCN 6 and no CDN", TEST(client_6_8_stopccn_alone) },
	{ "6.9", "Android: PPP", TEST(client_6_9_ppp) },
	{ "6.10", "Android: XAuth with a terminator", NULL, "tests/scenario/test_xauth.c, test_stock" },
	{ "7, 8", "Android, strongSwan's app: IKEv2", NULL, "n.a.: IKEv2 is not served" },
	{ "9.1", "NetworkManager: 1701 or an ephemeral port", TEST(client_9_1_source_port) },
	{ "9.2", "NetworkManager: proposals", TEST(client_9_2_without_group_2) },
	{ "9.3", "NetworkManager: vendor ids", NULL, "tests/scenario/test_clients.c, test_first_flight" },
	{ "9.4", "xl2tpd: SCCRQ, data without a length", TEST(client_9_4_data_without_length) },
	{ "9.5", "pppd: options; order of control messages", NULL, "tests/plugin/test_ppp_link.c, test_l2tp_loss.c" },
	{ "10.1", "RouterOS: proposals, PFS", TEST(client_10_1_pfs) },
	{ "10.2", "RouterOS: MRU, MPPE, MPLSCP, BCP", TEST(client_10_2_protocols) },
	{ "10.3", "RouterOS: IKEv2", NULL, "n.a.: IKEv2 is not served" },
	{ "11.1", "ChromeOS: proposals, AES-GCM", TEST(client_11_1_proposals) },
	{ "11.2", "ChromeOS: IKEv2", NULL, "n.a.: IKEv2 is not served" },
	{ "Q1", "Result Code in host order", NULL, "3.8" },
	{ "Q2", "Result Code of 8 octets", NULL, "tests/scenario/test_clients.c: every client but Apple's" },
	{ "Q3", "Rx Connect Speed is mandatory", NULL, "tests/scenario/test_clients.c: ChromeOS, NetworkManager" },
	{ "Q4", "vendor before attribute", NULL, "1.12" },
	{ "Q5", "tunnel id 0 after the set-up", NULL, "n.a.: one router of 2009; its message is dropped and counted" },
	{ "Q6", "strict Ns and Nr, duplicates are acknowledged", NULL, "tests/plugin/test_l2tp_loss.c" },
	{ "Q7", "the same ids from every PC", NULL, "tests/scenario/test_login.c, test_two_behind_one_nat" },
	{ "Q8", "low ids, port not 1701", NULL, "3.5" },
	{ "Q9", "SLI and WEN", NULL, "tests/plugin/test_l2tp_lns.c" },
	{ "Q10", "LCP before ICCN", NULL, "tests/scenario/test_loss.c, where ICCN is lost" },
	{ "Q11", "frames without FF 03, all header bits, other ports", NULL, "tests/plugin/test_l2tp_data.c, test_l2tp_lns.c" },
	{ "Q12", "ephemeral port in the selector", NULL, "9.1" },
	{ "Q13", "Hellos unanswered while data flows", NULL, "tests/plugin/test_l2tp_loss.c" },
	{ "Q14", "proxy LCP, lengths of hidden AVPs", NULL, "1.13; tests/plugin/test_l2tp_codec.c" },
	{ "Q15", "tombstones", NULL, "tests/plugin/test_l2tp_lns.c" },
	{ "Q16", "Identification, callback, multilink", NULL, "1.14, 1.15" },
	{ "Q17", "an empty request", TEST(peer_17_empty_request) },
	{ "Q18", "methods by preference", NULL, "1.16; tests/plugin/test_ppp_auth.c" },
	{ "Q19", "messages of MS-CHAPv2", NULL, "1.21; tests/plugin/test_ppp_dial.c" },
	{ "Q20", "DOMAIN\\user", NULL, "tests/plugin/test_aaa_users.c, test_ppp_link.c" },
	{ "Q21", "EAP", NULL, "n.a.: EAP is not served" },
	{ "Q22", "echoes through rekeys", TEST(peer_22_echo_through_rekey) },
	{ "Q23", "magic number 0, or none", NULL, "tests/plugin/test_ppp_link.c" },
	{ "Q24", "no address asked for", TEST(peer_24_no_address_asked) },
	{ "Q25", "another address asked for", TEST(peer_25_dedicated_address) },
	{ "Q26", "no .0 and .255", NULL, "tests/plugin/test_pool_local.c" },
	{ "Q27", "our address is refused: 192.0.0.8", NULL, "tests/scenario/test_clients.c, test_refused_in_turn" },
	{ "Q28", "WINS rejected, no name servers in ours", NULL, "1.19, 3.13" },
	{ "Q29", "CCP never holds IPCP up", NULL, "1.18; tests/plugin/test_ppp_options.c" },
	{ "Q30", "VJ, deflate, BSD, IPV6CP; rejects are bounded", NULL, "9.5; tests/plugin/test_ppp_options.c" },
	{ "Q31", "router advertisements", NULL, "tests/scenario/test_ipv6.c" },
	{ "Q32", "DHCPINFORM", NULL, "tests/scenario/test_inform.c" },
	{ "Q33", "registry for a gateway behind NAT", NULL, "1.9" },
	{ "Q34", "NAT-D that forces encapsulation", NULL, "n.a.: 1.10" },
	{ "Q35", "vendor ids", NULL, "tests/plugin/test_ike_lib.c" },
	{ "Q36", "MTU and MSS", NULL, "tests/plugin/test_ppp_link.c, test_esp_path.c" },
	{ "Q37", "UDP checksum 0 inside", NULL, "every scenario: robot_esp.c sends none" },
	{ "Q38", "sequence numbers are required of data messages", TEST(peer_38_sequencing_required) },
};

static int table(void)
{
	unsigned tested = 0, not_ours = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(items); i++) {
		bool na = strncmp(items[i].where, "n.a.", 4) == 0;

		printf("%-5s %-60s %-8s %s\n", items[i].id, items[i].what, na ? "n.a." : "tested", items[i].where + (na ? 6 : 0));
		tested += !na;
		not_ours += na;
	}
	printf("%u items tested, %u not of this gateway\n", tested, not_ours);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--table") == 0)
		return table();
	Suite *s = suite_create("scenario_items");
	TCase *t = tcase_create("items");

	tcase_set_timeout(t, 120);
	for (size_t i = 0; i < VD_ARRAY_SIZE(items); i++)
		if (items[i].test)
			tcase_add_test(t, *items[i].test);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
