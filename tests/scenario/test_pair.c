/* Our two roles with each other: a gateway, and one that dials it, each whole and in its own process. Every datagram of a
 * set-up, of the renewal of both phases, of an end, and of a refusal is lost once and doubled once, in turn; and the gateway
 * is made anew after every datagram. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/far.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/robot.h"
#include "tests/scenario/table.h"
#include "tests/lib/failures.h"

#define MIN_VARIANTS 300

#define FAR_YAML(more) \
	"gateway: { name: branch.example.com, listen: [" FAR_ADDRESS "] }\n" \
	"ike_v1: { lifetime: 5m }\n" \
	"connections:\n" \
	"  office: { connect: [l2tp], peer: 192.0.2.1, user: alice, routes: [10.1.0.0/16], " more " }\n"
#define BAD_PASSWORD "password: !env SCENARIO_bob, l2tp: { psk: !env SCENARIO_PSK_STAFF }"
#define BAD_PSK "password: !env SCENARIO_alice, l2tp: { psk: !env SCENARIO_bob }"
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

/* So much at once: for when nothing is told apart by less. */
static void leap(uint64_t ms)
{
	fake_advance(ms);
	wire_pump();
	far_time(ms);
	wire_pump();
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

static bool up_here(void)
{
	const struct vd_session *s = vd_session_after(NULL);

	return s && s->state == VD_S_UP;
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
enum part { SETUP, RENEWAL, END, KILLED, PASSWORD, PSK };
static const struct {
	const char *name, *yaml;
	enum part part;
	bool nat;
	const struct vd_failure *why; /* what the gateway reports, once; 0: nothing */
} talks[] = {
	{ "dial", FAR_YAML(GOOD), SETUP, false, 0 },
	{ "dial from behind NAT", FAR_YAML(GOOD), SETUP, true, 0 },
	{ "renewal of both phases", FAR_YAML(GOOD), RENEWAL, false, 0 },
	{ "renewal from behind NAT", FAR_YAML(GOOD), RENEWAL, true, 0 },
	{ "hang up", FAR_YAML(GOOD), END, false, 0 },
	{ "hang up from behind NAT", FAR_YAML(GOOD), END, true, 0 },
	{ "session kill", FAR_YAML(GOOD), KILLED, false, 0 },
	{ "dial with a wrong password", FAR_YAML(BAD_PASSWORD), PASSWORD, false, &vd_fail_password },
	{ "dial with a wrong PSK", FAR_YAML(BAD_PSK), PSK, false, &ike_fail_psk },
};
static struct row *rows;

static bool down(uint64_t ms)
{
	for (; !far_status.down && ms > 0; ms -= 100)
		wait(100);
	return far_status.down;
}

static void renewal(const char *what)
{
	while (age < RENEWAL_UNTIL_MS)
		wait(100);
	ck_assert_msg(far_status.up, "%s: %s", what, far_status.reason);
}

/* What is lost is of the part alone. */
static void act(enum part part, const char *what)
{
	if (part == SETUP) {
		far_up();
		ck_assert_msg(until_up(60000), "%s: %s", what, far_status.reason);
		for (unsigned i = 0; i < 300 && !up_here(); i++)
			wait(100);
	} else if (part == RENEWAL) {
		renewal(what);
	} else if (part == END) {
		far_down();
		wait(10000);
	} else if (part == KILLED) {
		vd_session_close(vd_session_after(NULL)->id, "closed by the administrator", false);
		for (unsigned i = 0; i < 600 && far_status.up; i++)
			wait(100);
		ck_assert_msg(!far_status.up, "%s: it does not know", what);
		far_down(); /* it would dial again */
		wait(10000);
	} else {
		far_up();
		ck_assert_msg(down(120000), "%s: it still dials", what);
	}
}

static void conversation(unsigned n, enum wire_way way, unsigned victim, enum wire_fate fate, bool born)
{
	static const char *const ways[] = { "dialling side", "gateway" }, *const fates[] = { "delivered", "lost", "doubled" };
	enum part part = talks[n].part;
	char what[160];
	unsigned minutes = 0;

	snprintf(what, sizeof(what), "%s: datagram %u of the %s was %s%s", talks[n].name, victim, ways[way], fates[fate],
		born ? ", made anew" : "");
	begin(talks[n].yaml, talks[n].nat);
	if (part == RENEWAL || part == END || part == KILLED) {
		far_up();
		ck_assert_msg(until_up(2000), "%s: %s", what, far_status.reason);
		ck_assert(ping());
		while (part == RENEWAL && age < RENEWAL_FROM_MS)
			leap(1000);
	}
	wire_fate(way, victim, fate);
	wire.delivered = born ? table_reborn : NULL;
	act(part, what);
	wire.delivered = NULL;
	ck_assert_msg(fate == WIRE_DELIVER || victim < wire.count[way], "%s: there was none", what);
	if (fate == WIRE_DELIVER && !born) {
		rows[n].up = wire.count[WIRE_UP];
		rows[n].down = wire.count[WIRE_DOWN];
	}
	wire_fate(WIRE_UP, UINT32_MAX, WIRE_DELIVER);
	if (part == SETUP || part == RENEWAL) {
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_msg(ping(), "%s: no ping", what);
			ck_assert_mem_eq(far_status.address, "\x0a\x08\x00\x0b", 4);
			wait(15000); /* what is still repeated must do no harm */
			ck_assert_uint_eq(vd_session_count(), 1);
			ck_assert_uint_eq(vd_peer_count() + far_status.peers, 2);
			ck_assert_uint_eq(vd_chan_count() + far_status.chans, 2);
		}
		far_down();
	}
	ck_assert_msg(down(10000), "%s: not down", what);
	/* Who did not hear the goodbye finds out: by LCP echo, or when the peer is idle. */
	for (; minutes < 15 && (minutes == 0 || vd_peer_count() > 0 || fake_next() != UINT64_MAX); minutes++)
		leap(60000);
	if (minutes > rows[n].minutes)
		rows[n].minutes = minutes;
	gateway_empty();
	if (!born) { /* events are forgotten with the gateway */
		unsigned told = fake_events(&vd_topic_setup_failed);

		ck_assert_msg(told == (talks[n].why != 0), "%s: %u failures reported", what, told);
		if (talks[n].why)
			ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->kind, (talks[n].why)->word);
		ck_assert_uint_eq(fake_events(&vd_topic_session_up), talks[n].why ? 0 : 1);
	}
	end();
}

START_TEST(test_loss)
{
	struct row *row = &rows[_i];

	strcpy(row->name, talks[_i].name);
	conversation((unsigned)_i, WIRE_UP, UINT32_MAX, WIRE_DELIVER, false);
	ck_assert_uint_gt(row->up, 0);
	ck_assert_uint_gt(row->down, 0);
	table_births = 0;
	conversation((unsigned)_i, WIRE_UP, UINT32_MAX, WIRE_DELIVER, true);
	row->births = table_births;
	for (enum wire_way way = WIRE_UP; way <= WIRE_DOWN; way++)
		for (unsigned victim = 0; victim < (way == WIRE_UP ? row->up : row->down); victim++) {
			conversation((unsigned)_i, way, victim, WIRE_LOSE, false);
			row->lost++;
			conversation((unsigned)_i, way, victim, WIRE_TWICE, false);
			row->doubled++;
		}
}
END_TEST

/* ---- what does not work, and why ---- */
START_TEST(test_refused)
{
	static const struct {
		const char *yaml, *reason;
	} wrong[] = {
		{ FAR_YAML(BAD_PASSWORD), "wrong user name or password" },
		{ FAR_YAML(BAD_PSK),
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

/* Milliseconds until the dialling side has ended the connection; a packet of its host goes out every so often, 0: none. */
static uint64_t until_ended(uint64_t every)
{
	uint8_t p[ROBOT_ICMP_LEN];
	uint64_t ms;

	for (ms = 0; ms < 120000 && far_status.up; ms += 100) {
		if (every && ms % every == 0) {
			robot_icmp(p, 8, (uint16_t)ms, far_status.address, host);
			far_packet(p, sizeof(p));
		}
		wait(100);
	}
	return ms;
}

/* The gateway goes silent without a word: with traffic that is known soon, and without it at the usual patience. */
START_TEST(test_silent)
{
	uint64_t ms;

	begin(FAR_YAML(GOOD), false);
	far_up();
	ck_assert(until_up(2000));
	ck_assert(ping());
	far_silent(true);
	ms = until_ended(_i ? 1000 : 0);
	if (_i) {
		ck_assert_uint_ge(ms, 9000);
		ck_assert_uint_le(ms, 12000);
		ck_assert_msg(strstr(far_status.reason, "answers neither our traffic nor dead peer detection"), "%s",
			far_status.reason);
	} else {
		ck_assert_uint_ge(ms, 25000);
		ck_assert_uint_le(ms, 60000);
	}
	far_silent(false);
	ck_assert_msg(until_up(70000), "%s", far_status.reason);
	ck_assert(ping());
	far_down();
	wait(300000);
	end();
}
END_TEST

/* Packets that nobody answers go to a gateway that lives, and a path that is dead for 6 s comes back: neither ends anything. */
START_TEST(test_one_way)
{
	begin(FAR_YAML(GOOD), false);
	far_up();
	ck_assert(until_up(2000));
	for (unsigned i = 0; i < 120; i++) {
		uint8_t p[ROBOT_ICMP_LEN];

		if (i == 60)
			far_silent(true);
		if (i == 66)
			far_silent(false);
		robot_icmp(p, 8, (uint16_t)i, far_status.address, host);
		far_packet(p, sizeof(p));
		wait(1000);
		ck_assert_msg(far_status.up, "after %u s: %s", i, far_status.reason);
	}
	ck_assert(ping());
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	far_down();
	wait(5000);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_pair");
	TCase *t = tcase_create("pair");

	rows = table_new(VD_ARRAY_SIZE(talks));
	if (!rows)
		return 1;
	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_dial, 0, 2);
	tcase_add_loop_test(t, test_refused, 0, 4);
	tcase_add_test(t, test_nobody);
	tcase_add_test(t, test_cut);
	tcase_add_loop_test(t, test_loss, 0, VD_ARRAY_SIZE(talks));
	suite_add_tcase(s, t);
	t = tcase_create("silence");
	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_silent, 0, 2);
	tcase_add_test(t, test_one_way);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return table_print(rows, VD_ARRAY_SIZE(talks)) < MIN_VARIANTS || failed ? 1 : 0;
}
