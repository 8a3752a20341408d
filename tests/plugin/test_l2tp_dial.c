/* L2TP that we dial against L2TP that is dialled, with PPP on both and the data path in between: connect/1 over a double of
 * ike.connect/1 whose channel is a loop. Every datagram lost or doubled in turn; every end from either side; gateways that
 * refuse, by hand. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"
#include "core/state.h"
#include "tests/plugin/test_l2tp_dial_world.h"
#include "tests/lib/failures.h"

START_TEST(up)
{
	const struct vd_session *s;

	d_begin();
	ck_assert(d_comes_up(1));
	s = vd_session_find(d_.up_session);
	ck_assert_int_eq(s->state, VD_S_UP);
	ck_assert(s->dialled);
	ck_assert_str_eq(s->connection, "office");
	ck_assert_uint_eq(vd_ip_u32(&s->lease4.address), 0x0a080017);
	d_data(DIAL);
	d_data(GATE);
	ck_assert_uint_eq(d_.ups, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	/* It lives: HELLOs and echoes of both sides are answered. */
	for (unsigned i = 0; i < 300; i++) {
		fake_advance(1000);
		d_pump();
	}
	ck_assert_uint_eq(d_.ended, 0);
	d_data(DIAL);
	d_end();
}
END_TEST

#define MESSAGES 32
START_TEST(lost)
{
	d_begin();
	d_.lose = _i;
	ck_assert_msg(d_comes_up(25), "datagram %d lost: %s", _i, d_.reason);
	d_.lose = d_.twice = -1;
	d_data(DIAL);
	d_data(GATE);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	d_end();
}
END_TEST

START_TEST(doubled)
{
	d_begin();
	d_.twice = _i;
	ck_assert_msg(d_comes_up(25), "datagram %d doubled: %s", _i, d_.reason);
	d_.lose = d_.twice = -1;
	d_data(DIAL);
	d_data(GATE);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	d_end();
}
END_TEST

START_TEST(fewer_datagrams_than_are_tried)
{
	d_begin();
	ck_assert(d_comes_up(1));
	ck_assert_uint_ge(d_.sent, 20);
	ck_assert_uint_le(d_.sent, MESSAGES);
	d_end();
}
END_TEST

/* Taken down at any moment: after so many datagrams. */
START_TEST(down)
{
	d_begin();
	for (int i = 0; i < _i && !(i > 40); i++) {
		fake_advance(0);
		if (d_.n) {
			uint8_t p[1600];
			size_t len = d_.q[0].len;
			unsigned to = d_.q[0].to;

			memcpy(p, d_.q[0].p, len);
			memmove(&d_.q[0], &d_.q[1], --d_.n * sizeof(d_.q[0]));
			d_deliver(to, p, len);
		}
	}
	d_.connect->down(d_.connect->self, d_.dial, "taken down");
	d_.connect->down(d_.connect->self, d_.dial, "once more");
	d_ends(20);
	ck_assert_str_eq(d_.reason, "taken down");
	ck_assert_uint_eq(d_.ike_downs, 1);
	fake_advance(15000);
	ck_assert_ptr_null(d_session_of("office"));
	d_.connect->down(d_.connect->self, d_.dial, "long gone");
	/* And the gateway heard of it. */
	ck_assert_ptr_null(d_session_of("staff"));
	d_end();
}
END_TEST

START_TEST(again)
{
	d_begin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(d_comes_up(2));
		d_.connect->down(d_.connect->self, d_.dial, "taken down");
		d_ends(10);
		fake_advance(1000);
		if (d_.there[GATE])
			vd_peer_close(d_.peer[GATE], "gone");
		fake_drain();
		d_.peer[GATE] = d_.peer[DIAL] = 0;
		d_.ups = d_.ended = d_.ike_downs = 0;
		d_.n = 0;
		d_dial();
	}
	ck_assert(d_comes_up(2));
	d_data(DIAL);
	d_end();
}
END_TEST

START_TEST(the_gateway_ends_it)
{
	d_begin();
	ck_assert(d_comes_up(1));
	vd_session_close(d_session_of("staff")->id, "closed by the operator", false);
	d_ends(10);
	ck_assert_str_eq(d_.reason, "the gateway ended the connection: closed by the operator");
	ck_assert_uint_eq(d_.ike_downs, 1);
	d_end();
}
END_TEST

START_TEST(somebody_closes_the_session)
{
	d_begin();
	ck_assert(d_comes_up(1));
	vd_session_close(d_.up_session, "closed by the operator", false);
	d_ends(10);
	ck_assert_str_eq(d_.reason, "closed by the operator");
	ck_assert_ptr_null(d_session_of("staff"));
	d_end();
}
END_TEST

START_TEST(ike_ends)
{
	d_begin();
	if (_i)
		ck_assert(d_comes_up(1));
	else
		fake_drain();
	vd_peer_close(d_.peer[DIAL], "the gateway is dead");
	d_.ike.ended(d_.ike_arg, d_.peer[DIAL], "the gateway is dead");
	d_ends(10);
	ck_assert_str_eq(d_.reason, "the gateway is dead");
	ck_assert_uint_eq(d_.ike_downs, 0);
	d_end();
}
END_TEST

START_TEST(ike_fails)
{
	d_begin_with(CONF(""));
	d_.ike_fails = true;
	d_dial();
	d_ends(1);
	ck_assert_str_eq(d_.reason, "no proposal chosen");
	d_end();
}
END_TEST

START_TEST(silent_gateway)
{
	d_begin_with(CONF(""));
	d_.alone = true;
	d_dial();
	for (unsigned i = 0; i < 40 && !d_.ended; i++) {
		fake_advance(1000);
		d_.n = d_.n > 100 ? 0 : d_.n;
	}
	ck_assert_str_eq(d_.reason, "the gateway did not answer our L2TP (SCCRQ)");
	d_end();
}
END_TEST

START_TEST(wrong_password)
{
	d_begin_with(CONF(""));
	d_.password = "another";
	d_dial();
	d_ends(10);
	ck_assert_str_eq(d_.reason, "wrong user name or password (691); it says \"Authentication failed\"");
	ck_assert_uint_eq(d_.ups, 0);
	d_end();
}
END_TEST

/* Tunnel authentication, of both by both. */
START_TEST(tunnel_secret)
{
	d_begin_with(_i ? SECRET : CONF(""));
	d_dial();
	ck_assert(d_comes_up(1));
	ck_assert_uint_eq(vd_counter("l2tp.auth_failed"), 0);
	d_end();
}
END_TEST

/* Of each side's own: what the gateway answers is not what we asked for. */
START_TEST(tunnel_secrets_differ)
{
	setenv("VD_TEST_L2TP_OTHER", "another secret", 1);
	d_begin_with(OTHER_SECRET);
	d_dial();
	d_ends(5);
	ck_assert_str_eq(d_.reason, "tunnel authentication failed: the secrets differ");
	ck_assert_uint_eq(vd_counter("l2tp.auth_failed"), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 2); /* ours, and the gateway's: its client gave up */
	ck_assert_uint_eq(d_.ups, 0);
	d_end();
}
END_TEST

/* ---- a gateway by hand ---- */
static struct l2tp_msg said(uint16_t type)
{
	struct l2tp_msg m = { 0 };

	for (unsigned i = d_.n; i-- > 0;) {
		if (d_.q[i].to != GATE || d_.q[i].len < 8 + L2TP_HEADER || !(d_.q[i].p[8] & 0x80))
			continue;
		ck_assert_int_eq(l2tp_msg_parse(d_.q[i].p + 8, d_.q[i].len - 8, NULL, &m), 0);
		if (m.type == type)
			return m;
	}
	ck_abort_msg("%s was not sent", l2tp_type_name(type));
	return m;
}

static void answer(uint16_t type, uint16_t session, const char *more)
{
	uint8_t room[512], extra[200];
	int n = more ? vd_unhex(more, extra, sizeof(extra)) : 0;
	struct vd_wr w, m;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, 1701);
	vd_wr_u16(&w, 1701);
	vd_wr_mark(&w, 4);
	vd_wr_init(&m, room + 8, sizeof(room) - 8);
	l2tp_begin(&m, d_.tid, session, d_.ns++, d_.nr);
	l2tp_avp_u16(&m, L2TP_A_MESSAGE_TYPE, type);
	vd_wr_put(&m, extra, (size_t)n);
	l2tp_end(&m);
	vd_wr_patch_u16(&w, 4, (uint16_t)(m.len + 8));
	d_deliver(DIAL, room, m.len + 8);
}

#define SCCRP "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0042" "80080000000a" "0004"
static void by_hand_with(const char *yaml)
{
	struct l2tp_msg m;

	d_begin_with(yaml);
	d_.alone = true;
	d_dial();
	fake_advance(0);
	m = said(L2TP_SCCRQ);
	ck_assert_uint_eq(m.h.tunnel, 0);
	ck_assert_uint_eq(m.h.ns, 0);
	ck_assert_uint_eq(m.version, 0x0100);
	ck_assert_uint_eq(m.framing, 3);
	ck_assert_str_eq(m.host, "viaduct");
	ck_assert_uint_eq(m.window, 16);
	d_.tid = m.tunnel_id;
	ck_assert_uint_ne(d_.tid, 0);
	d_.nr = 1;
}

static void by_hand(void)
{
	by_hand_with(CONF(""));
}

static void to_icrq(void)
{
	struct l2tp_msg m;

	by_hand();
	answer(L2TP_SCCRP, 0, SCCRP);
	m = said(L2TP_SCCCN);
	ck_assert_uint_eq(m.h.tunnel, 0x42);
	d_.nr = 2;
	m = said(L2TP_ICRQ);
	ck_assert_uint_eq(m.h.session, 0);
	ck_assert(L2TP_SEEN(&m, L2TP_A_CALL_SERIAL));
	d_.sid = m.session_id;
	ck_assert_uint_ne(d_.sid, 0);
	d_.nr = 3;
}

START_TEST(messages_are_complete)
{
	struct l2tp_msg m;

	to_icrq();
	answer(L2TP_ICRP, d_.sid, "80080000000e" "0099");
	m = said(L2TP_ICCN);
	ck_assert_uint_eq(m.h.tunnel, 0x42);
	ck_assert_uint_eq(m.h.session, 0x99);
	ck_assert(L2TP_SEEN(&m, L2TP_A_SPEED) && L2TP_SEEN(&m, L2TP_A_FRAMING_TYPE));
	d_.nr = 4;
	fake_advance(500);
	/* LCP, in data messages of that session. */
	unsigned frames = 0;
	for (unsigned i = 0; i < d_.n; i++)
		frames += d_.q[i].len > 20 && !memcmp(d_.q[i].p + 8, "\x40\x02", 2) && !memcmp(d_.q[i].p + 12, "\0\x42\0\x99", 4);
	ck_assert_uint_ge(frames, 1);
	answer(L2TP_CDN, d_.sid, "80080000000e" "0099" "801000000001" "0003" "0000" "66756c6c2121");
	for (unsigned i = 0; i < 40 && !d_.ended; i++)
		fake_advance(100);
	ck_assert_str_eq(d_.reason, "the gateway hung up (result 3, error 0: full!!)");
	said(L2TP_STOPCCN);
	d_end();
}
END_TEST

/* ---- sequence numbers of data messages (RFC 2661 section 5.4) ---- */
static void to_call(const char *yaml)
{
	by_hand_with(yaml);
	answer(L2TP_SCCRP, 0, SCCRP);
	d_.nr = 2;
	d_.sid = said(L2TP_ICRQ).session_id;
	d_.nr = 3;
	answer(L2TP_ICRP, d_.sid, "80080000000e" "0099");
	d_.nr = 4;
	fake_advance(500);
}

/* A Configure-Request of the gateway, with this number (below 0: without). Whether it was answered, and with a number: below 0
 * without, -2: not at all. */
static long asks(long ns)
{
	static uint8_t id;
	uint8_t p[40];
	unsigned from = d_.n;
	struct vd_wr w;

	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u16(&w, ns < 0 ? 24 : 28);
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, ns < 0 ? 0x4002 : 0x4802);
	vd_wr_u16(&w, ns < 0 ? 16 : 20);
	vd_wr_u16(&w, d_.tid);
	vd_wr_u16(&w, d_.sid);
	if (ns >= 0)
		vd_wr_u32(&w, (uint32_t)ns << 16);
	vd_wr_u32(&w, 0xff03c021);
	vd_wr_u8(&w, 1);
	vd_wr_u8(&w, ++id);
	vd_wr_u16(&w, 4);
	d_deliver(DIAL, p, w.len);
	for (unsigned i = from; i < d_.n; i++) {
		const uint8_t *q = d_.q[i].p;
		bool numbered = q[8] == 0x48;

		if (q[8] & 0x80 || memcmp(q + (numbered ? 20 : 16), "\xff\x03\xc0\x21\x02", 5) || q[(numbered ? 20 : 16) + 5] != id)
			continue;
		ck_assert_uint_eq(d_.q[i].len, (numbered ? 20 : 16) + 8u);
		ck_assert_uint_eq((unsigned)(q[10] << 8 | q[11]), (numbered ? 12 : 8) + 8u);
		return numbered ? q[16] << 8 | q[17] : -1;
	}
	return -2;
}

/* The gateway decides, at any time, and the numbers go on where they were. */
START_TEST(numbers_follow_the_gateway)
{
	to_call(CONF(""));
	ck_assert(!L2TP_SEEN(&(struct l2tp_msg){ .seen = said(L2TP_ICCN).seen }, L2TP_A_SEQUENCING));
	ck_assert_int_eq(asks(-1), -1);
	ck_assert_int_eq(asks(0), 0);
	ck_assert_int_eq(asks(1), 1);
	ck_assert_int_eq(asks(1), -2); /* once more: dropped */
	ck_assert_int_eq(asks(-1), -1);
	ck_assert_int_eq(asks(2), 2);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), 0);
	d_end();
}
END_TEST

#define CONF_NUMBERS(gate, dialled) \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections:\n" \
	"  staff: { realm: corp, pool: staff" gate " }\n" \
	"  office: { peer: 192.0.2.1, user: till-01, password: !env VD_TEST_L2TP_PASSWORD, routes: [10.40.0.0/16]" dialled " }\n"
#define SEQUENCING ", l2tp: { sequencing: true }"

START_TEST(numbers_are_required)
{
	to_call(CONF_NUMBERS("", SEQUENCING));
	ck_assert(L2TP_SEEN(&(struct l2tp_msg){ .seen = said(L2TP_ICCN).seen }, L2TP_A_SEQUENCING));
	/* The first was the Configure-Request of our own. */
	long first = asks(0);
	ck_assert_int_ge(first, 1);
	ck_assert_int_eq(asks(-1), -2);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), 1);
	ck_assert_int_eq(asks(1), first + 1);
	d_end();
}
END_TEST

/* Both ends are ours: one that decides, one that requires. */
START_TEST(numbers_between_both)
{
	uint8_t p[1600] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17 };
	static const uint8_t from[] = { 10, 40, 0, 5 }, to[] = { 10, 8, 0, 23 };
	uint32_t sum = 0;

	d_begin_with(_i ? CONF_NUMBERS("", SEQUENCING) : CONF_NUMBERS(SEQUENCING, ""));
	d_dial();
	ck_assert_msg(d_comes_up(5), "%s", d_.reason);
	d_data(DIAL);
	d_data(GATE);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SEQUENCE) + vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), 0);
	/* Who follows has 4 octets less from now on. */
	unsigned mtu = d_session_of("office")->mtu, fits = mtu - (_i ? 0 : 4);
	for (unsigned len = fits; len <= fits + 1; len++) {
		p[2] = (uint8_t)(len >> 8);
		p[3] = (uint8_t)len;
		memcpy(p + 12, to, 4);
		memcpy(p + 16, from, 4);
		p[10] = p[11] = 0;
		sum = 0;
		for (unsigned i = 0; i < 20; i += 2)
			sum += (uint32_t)p[i] << 8 | p[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		p[10] = (uint8_t)~(sum >> 8);
		p[11] = (uint8_t)~sum;
		vd_datapath_inject_tun(0, NULL, p, len);
		vd_datapath_turn();
		d_pump();
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_TOO_BIG), len - fits);
	}
	d_end();
}
END_TEST

START_TEST(refused)
{
	static const struct { unsigned after; uint16_t type; const char *avps, *reason; } v[] = {
		{ 0, L2TP_STOPCCN, "800800000009" "0042" "800800000001" "0004",
			"the gateway ended it (result 4, error 0)" },
		{ 0, L2TP_SCCRP, "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67",
			"the gateway's SCCRP has no tunnel id" },
		{ 0, L2TP_SCCRP, "800800000002" "0200" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0042",
			"the gateway speaks another version of L2TP" },
		{ 0, L2TP_SCCRP, SCCRP "800a0000000b" "01020304",
			"the gateway demands tunnel authentication, and l2tp.secret is not set" },
		{ 0, L2TP_SCCRP, SCCRP "8008000000c8" "0001",
			"mandatory AVP 200 of vendor 0 in SCCRP is unknown or malformed" },
		{ 0, L2TP_ICRQ, "80080000000e" "0007" "800a0000000f" "00000001",
			"a call's message before the tunnel is up" },
		{ 1, L2TP_CDN, "80080000000e" "0099" "800800000001" "0004",
			"the gateway hung up (result 4, error 0)" },
		{ 1, L2TP_ICRP, "", "the gateway's ICRP is out of sequence or has no session id" },
		{ 1, L2TP_ICCN, "", "ICCN is out of sequence" },
		{ 1, L2TP_STOPCCN, "800800000009" "0042" "800800000001" "0006", "the gateway ended it (result 6, error 0)" },
		{ 1, L2TP_SCCRP, SCCRP, "set-up message inside a tunnel" },
	};

	if (v[_i].after)
		to_icrq();
	else
		by_hand();
	answer(v[_i].type, v[_i].after && v[_i].type >= L2TP_OCRQ ? d_.sid : 0, v[_i].avps);
	for (unsigned i = 0; i < 40 && !d_.ended; i++)
		fake_advance(100);
	ck_assert_uint_eq(d_.ended, 1);
	ck_assert_str_eq(d_.reason, v[_i].reason);
	ck_assert_uint_eq(d_.ike_downs, 1);
	d_end();
}
END_TEST

/* The gateway must know the secret too: its answer is right, of another secret, for another message, missing, or our own
 * challenge thrown back. */
START_TEST(gateway_is_authenticated)
{
	static const char secret[] = "tunnel-secret";
	struct vd_secret *s = vd_secret_new(_i == 1 ? "another" : secret, _i == 1 ? 7 : sizeof(secret) - 1);
	char avps[160], hex[33] = "";
	uint8_t md[16];
	struct l2tp_msg m;

	by_hand_with(SECRET);
	m = said(L2TP_SCCRQ);
	ck_assert_uint_eq(m.challenge_len, 16);
	ck_assert_int_eq(l2tp_response(_i == 2 ? L2TP_SCCCN : L2TP_SCCRP, s, m.challenge, m.challenge_len, md), 0);
	vd_secret_free(s);
	for (unsigned i = 0; i < 16; i++)
		vd_format(hex + 2 * i, 3, "%02x", _i == 4 ? m.challenge[i] : md[i]);
	vd_format(avps, sizeof(avps), SCCRP "%s%s", _i == 3 ? "" : "80160000000d", _i == 3 ? "" : hex);
	answer(L2TP_SCCRP, 0, avps);
	ck_assert_uint_eq(vd_counter("l2tp.auth_failed"), _i != 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), _i != 0);
	if (_i == 0) {
		m = said(L2TP_SCCCN);
		ck_assert(!L2TP_SEEN(&m, L2TP_A_RESPONSE));
	} else {
		m = said(L2TP_STOPCCN);
		ck_assert_uint_eq(m.h.tunnel, 0x42);
		ck_assert_uint_eq(m.result, L2TP_STOP_AUTH);
		for (unsigned i = 0; i < 40 && !d_.ended; i++)
			fake_advance(100);
		ck_assert_str_eq(d_.reason, _i == 3 ? "tunnel authentication failed: our challenge was not answered" :
			"tunnel authentication failed: the secrets differ");
	}
	d_end();
}
END_TEST

/* Nobody gets in by the way that we opened to get out. */
START_TEST(takes_no_calls)
{
	struct l2tp_msg m;

	to_icrq();
	answer(L2TP_ICRQ, 0, "80080000000e" "0007" "800a0000000f" "00000001");
	m = said(L2TP_CDN);
	ck_assert_uint_eq(m.h.session, 7);
	ck_assert_uint_eq(m.result, L2TP_CDN_NEVER);
	d_.tid = 0;
	d_.ns = 0;
	answer(L2TP_SCCRQ, 0, "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0043");
	m = said(L2TP_STOPCCN);
	ck_assert_uint_eq(m.h.tunnel, 0x43);
	ck_assert_uint_eq(m.result, L2TP_STOP_AUTH);
	ck_assert_uint_eq(d_.ended, 0);
	d_end();
}
END_TEST

START_TEST(does_not_travel)
{
	static uint8_t room[65536];
	struct vd_error err = { 0 };
	struct vd_wr w;

	by_hand();
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "office was dialled"));
	d_end();
}
END_TEST

START_TEST(without_ike)
{
	struct vd_path path = { .endpoint = 1 };
	struct vd_error err = { 0 };
	uint64_t id;

	d_no_ike = true;
	d_begin_with(CONF(""));
	d_no_ike = false;
	ck_assert_int_eq(d_.connect->up(d_.connect->self, "office", &path, &d_events, NULL, &id, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "no plugin dials IKE"));
	d_end();
}
END_TEST

/* Whatever comes, it comes up or ends with a reason; and what it had is free again. */
START_TEST(mangled_gateway)
{
	for (unsigned round = 0; round < 30; round++) {
		d_dice = (uint32_t)_i * 1000 + round;
		d_begin();
		d_mangled = 1 + round % 6;
		for (unsigned i = 0; i < 1200 && !d_.ended && !d_.ups; i++) {
			d_pump();
			fake_advance(100);
		}
		ck_assert(d_.ended || d_.ups);
		d_mangled = 0;
		if (!d_.ended) {
			d_.connect->down(d_.connect->self, d_.dial, "taken down");
			d_ends(30);
		}
		ck_assert_str_ne(d_.reason, "");
		d_end();
	}
}
END_TEST

/* The daemon ends while it dials or is up. */
START_TEST(the_end)
{
	d_begin();
	if (_i == 1)
		fake_drain();
	else if (_i)
		ck_assert(d_comes_up(1));
	d_end();
	ck_assert_uint_le(d_.ended, 1);
}
END_TEST

/* IPsec is new, and not by us: a gateway that knows the tunnel acknowledges what it is asked, whatever is lost; one that was
 * started anew does not, and is dialled again within seconds. */
START_TEST(gateway_asked)
{
	d_begin();
	ck_assert(d_comes_up(1));
	d_.lose = _i < 0 ? -1 : (int)d_.sent + _i;
	for (unsigned i = 0; i < 5; i++) {
		d_.ike.anew(d_.ike_arg, d_.peer[DIAL]);
		for (unsigned ms = 0; ms < 6000; ms += 100) {
			fake_advance(100);
			d_pump();
		}
	}
	ck_assert_uint_eq(d_.ended, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	d_.lose = -1;
	d_data(DIAL);
	d_end();
}
END_TEST

START_TEST(gateway_forgot)
{
	d_begin();
	ck_assert(d_comes_up(1));
	d_.alone = true;
	d_.ike.anew(d_.ike_arg, d_.peer[DIAL]);
	d_ends(7); /* 4 s, and what a goodbye waits for */
	ck_assert_str_eq(d_.reason, "the gateway has new IPsec and does not know our tunnel: it was started anew");
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->kind, l2tp_fail_forgotten.word);
	ck_assert_uint_eq(d_.ike_downs, 1);
	d_.ike.anew(d_.ike_arg, d_.peer[DIAL]); /* too late */
	d_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp dial");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, up);
	tcase_add_loop_test(tc, lost, 0, MESSAGES);
	tcase_add_loop_test(tc, doubled, 0, MESSAGES);
	tcase_add_test(tc, fewer_datagrams_than_are_tried);
	tcase_add_loop_test(tc, down, 0, MESSAGES);
	tcase_add_test(tc, again);
	tcase_add_test(tc, the_gateway_ends_it);
	tcase_add_test(tc, somebody_closes_the_session);
	tcase_add_loop_test(tc, ike_ends, 0, 2);
	tcase_add_test(tc, ike_fails);
	tcase_add_test(tc, silent_gateway);
	tcase_add_loop_test(tc, gateway_asked, -1, 3);
	tcase_add_test(tc, gateway_forgot);
	tcase_add_test(tc, wrong_password);
	tcase_add_loop_test(tc, tunnel_secret, 0, 2);
	tcase_add_test(tc, tunnel_secrets_differ);
	tcase_add_loop_test(tc, gateway_is_authenticated, 0, 5);
	tcase_add_test(tc, messages_are_complete);
	tcase_add_test(tc, numbers_follow_the_gateway);
	tcase_add_test(tc, numbers_are_required);
	tcase_add_loop_test(tc, numbers_between_both, 0, 2);
	tcase_add_loop_test(tc, refused, 0, 11);
	tcase_add_test(tc, takes_no_calls);
	tcase_add_test(tc, does_not_travel);
	tcase_add_test(tc, without_ike);
	tcase_add_loop_test(tc, mangled_gateway, 0, 4);
	tcase_add_loop_test(tc, the_end, 0, 3);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
