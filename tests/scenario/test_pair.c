/* Our two roles with each other: a gateway, and one that dials it, each whole and in its own process. Every datagram of a
 * set-up, of the renewal of both phases, and of the end is lost once and doubled once, in turn. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/far.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/robot.h"

#define FAR_YAML(more) \
	"gateway: { name: branch.example.com, listen: [" FAR_ADDRESS "] }\n" \
	"ike_v1: { lifetime: 5m }\n" \
	"connections:\n" \
	"  office: { connect: [l2tp], peer: 192.0.2.1, user: alice, routes: [10.1.0.0/16], " more " }\n"
#define GOOD "password: !env SCENARIO_alice, l2tp: { psk: !env SCENARIO_PSK_STAFF }"
/* Before that time nothing is renewed (85 % of 5 min), and until it everything was. */
#define RENEWAL_FROM_MS 250000
#define RENEWAL_UNTIL_MS 290000

static const uint8_t host[4] = { 192, 0, 2, 77 };
static uint64_t age; /* since the dial */

static void wait(uint64_t ms)
{
	wire_wait(ms);
	age += ms;
}

static void begin(const char *yaml, bool nat)
{
	far_start(yaml, nat);
	gateway_start(GATEWAY_DEFAULT);
	age = 0;
}

static void end(void)
{
	far_stop();
	wire_pump();
	gateway_empty();
	gateway_stop();
}

static bool until_up(uint64_t ms)
{
	wire_pump();
	for (; !far_status.up && ms > 0; ms -= 100)
		wait(100);
	return far_status.up;
}

static bool ping(void)
{
	static uint16_t seq;
	unsigned out = wire.n_tun, back = far_status.n_tun;
	uint8_t p[ROBOT_ICMP_LEN];

	robot_icmp(p, 8, ++seq, far_status.address, host);
	far_packet(p, sizeof(p));
	wire_pump();
	if (wire.n_tun != out + 1 || !robot_is_icmp(wire.tun, wire.tun_len, 8, seq, far_status.address, host))
		return false;
	robot_pong(far_status.address, seq);
	wire_pump();
	return far_status.n_tun == back + 1 &&
		robot_is_icmp(far_status.tun, far_status.tun_len, 0, seq, host, far_status.address);
}

START_TEST(test_dial)
{
	begin(FAR_YAML(GOOD), _i);
	far_up();
	ck_assert_msg(until_up(2000), "%s", far_status.reason);
	ck_assert_mem_eq(far_status.address, "\x0a\x08\x00\x0b", 4); /* alice's own */
	ck_assert(ping());
	ck_assert_uint_eq(vd_session_count(), 1);
	/* It lives through ten renewals of both phases, with one peer, one channel and one session on either side. */
	for (unsigned i = 0; i < 55; i++) {
		wait(60000);
		ck_assert_msg(ping(), "after %u min", i + 1);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	ck_assert_uint_eq(vd_peer_count() + far_status.peers, 2);
	ck_assert_uint_eq(vd_chan_count() + far_status.chans, 2);
	ck_assert_uint_eq(vd_session_count() + far_status.sessions, 2);
	far_down();
	wait(5000);
	ck_assert(far_status.down);
	ck_assert_uint_eq(far_status.peers + far_status.chans + far_status.sessions, 0);
	gateway_empty();
	end();
}
END_TEST

/* ---- every datagram, lost and doubled ---- */
enum part { SETUP, RENEWAL, END };
static const char *const parts[] = { "dial", "renewal", "hang up" };

static void conversation(enum part part, bool nat, enum wire_way way, unsigned victim, enum wire_fate fate, unsigned counts[2])
{
	static const char *const ways[] = { "dialling side", "gateway" }, *const fates[] = { "delivered", "lost", "doubled" };
	char what[128];

	snprintf(what, sizeof(what), "%s: datagram %u of the %s was %s", parts[part], victim, ways[way], fates[fate]);
	begin(FAR_YAML(GOOD), nat);
	if (part == SETUP)
		wire_fate(way, victim, fate);
	far_up();
	ck_assert_msg(until_up(60000), "%s: %s", what, far_status.reason);
	counts[WIRE_UP] = wire.count[WIRE_UP];
	counts[WIRE_DOWN] = wire.count[WIRE_DOWN];
	for (unsigned i = 0; i < 300 && fake_events(&vd_topic_session_up) == 0; i++)
		wait(100);
	ck_assert_msg(ping(), "%s: no ping", what);
	if (part == RENEWAL) {
		while (age < RENEWAL_FROM_MS)
			wait(RENEWAL_FROM_MS - age);
		ck_assert(ping());
		wire_fate(way, victim, fate);
		while (age < RENEWAL_UNTIL_MS)
			wait(100);
		counts[WIRE_UP] = wire.count[WIRE_UP];
		counts[WIRE_DOWN] = wire.count[WIRE_DOWN];
		wait(30000);
		ck_assert_msg(ping(), "%s: no ping afterwards", what);
	}
	if (part == END)
		wire_fate(way, victim, fate);
	far_down();
	wait(10000);
	if (part == END) {
		counts[WIRE_UP] = wire.count[WIRE_UP];
		counts[WIRE_DOWN] = wire.count[WIRE_DOWN];
	}
	ck_assert_msg(far_status.down, "%s: not down", what);
	wait(part == END ? 900000 : 35000); /* who did not hear the goodbye finds out: by LCP echo, or when the peer is idle */
	ck_assert_msg(vd_session_count() == 0 && vd_peer_count() == 0, "%s: the gateway still has a session or a peer", what);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	end();
}

START_TEST(test_loss)
{
	enum part part = (enum part)(_i / 2);
	bool nat = _i % 2;
	unsigned base[2], counts[2], variants = 0;

	conversation(part, nat, WIRE_UP, UINT32_MAX, WIRE_DELIVER, base);
	ck_assert_uint_gt(base[WIRE_UP], 2);
	ck_assert_uint_gt(base[WIRE_DOWN], 1);
	for (enum wire_way way = WIRE_UP; way <= WIRE_DOWN; way++)
		for (unsigned victim = 0; victim < base[way]; victim++)
			for (enum wire_fate fate = WIRE_LOSE; fate <= WIRE_TWICE; fate++, variants++)
				conversation(part, nat, way, victim, fate, counts);
	printf("%s%s: %u datagrams of the dialling side, %u of the gateway, %u variants\n", parts[part], nat ? " behind NAT" : "",
		base[WIRE_UP], base[WIRE_DOWN], variants);
	fflush(stdout);
}
END_TEST

/* ---- what does not work, and why ---- */
START_TEST(test_refused)
{
	static const struct {
		const char *yaml, *reason;
	} wrong[] = {
		{ FAR_YAML("password: !env SCENARIO_bob, l2tp: { psk: !env SCENARIO_PSK_STAFF }"), "wrong user name or password" },
		{ FAR_YAML("password: !env SCENARIO_alice, l2tp: { psk: !env SCENARIO_bob }"),
			"the gateway refused message 5: PAYLOAD-MALFORMED: the pre-shared key may be another one there" },
		{ "crypto: { odd: { ike: [aes192-sha512-modp4096], esp: [aes256gcm16] } }\n"
			FAR_YAML(GOOD ", crypto: odd"), "the gateway refused message 1: NO-PROPOSAL-CHOSEN: it allows none of our algorithms" },
		{ "crypto: { odd: { esp: [aes192-sha512] } }\n" FAR_YAML(GOOD ", crypto: odd"),
			"the gateway refused quick mode: NO-PROPOSAL-CHOSEN: it allows none of our algorithms" },
	};

	begin(wrong[_i].yaml, false);
	far_up();
	wait(10000);
	ck_assert(far_status.down);
	ck_assert_msg(strstr(far_status.reason, wrong[_i].reason), "%s", far_status.reason);
	ck_assert_uint_eq(far_status.peers + far_status.chans + far_status.sessions, 0);
	wait(300000);
	end();
}
END_TEST

START_TEST(test_nobody)
{
	begin(FAR_YAML(GOOD), false);
	far_silent(true);
	far_up();
	wait(31000);
	ck_assert(far_status.down);
	ck_assert_msg(strstr(far_status.reason, "the gateway did not answer message 1: see whether UDP port 500 is open both ways"),
		"%s", far_status.reason);
	end();
}
END_TEST

/* The wire is cut for ten minutes: it finds out, dials again and again, and comes back with the same address. */
START_TEST(test_cut)
{
	begin(FAR_YAML(GOOD), false);
	far_up();
	ck_assert(until_up(2000));
	far_silent(true);
	wait(240000);
	ck_assert(!far_status.up);
	ck_assert_msg(far_status.reason[0], "no reason");
	wait(360000);
	far_silent(false);
	ck_assert_msg(until_up(100000), "%s", far_status.reason);
	ck_assert_mem_eq(far_status.address, "\x0a\x08\x00\x0b", 4);
	ck_assert(ping());
	far_down();
	wait(300000);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_pair");
	TCase *t = tcase_create("pair");

	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_dial, 0, 2);
	tcase_add_loop_test(t, test_refused, 0, 4);
	tcase_add_test(t, test_nobody);
	tcase_add_test(t, test_cut);
	tcase_add_loop_test(t, test_loss, 0, 6);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
