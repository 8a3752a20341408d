/* L2TP: data messages with sequence numbers through the stage (RFC 2661 section 5.4). */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/datapath.h"
#include "tests/plugin/test_l2tp_world.h"

#define DATA 24u
/* A data message of a session with this number; -1: without. Its frame ends in tag. */
static void make_data(uint8_t p[DATA], uint16_t sid, long ns, uint8_t tag)
{
	struct vd_wr w;
	vd_wr_init(&w, p, DATA);
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u16(&w, DATA);
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, ns < 0 ? 0x4002 : 0x4802);
	vd_wr_u16(&w, DATA - 8);
	vd_wr_u16(&w, c_.tid);
	vd_wr_u16(&w, sid);
	if (ns >= 0) {
		vd_wr_u16(&w, (uint16_t)ns);
		vd_wr_u16(&w, 0xabcd);
	} else {
		vd_wr_u32(&w, 0xff03c021);
	}
	vd_wr_u16(&w, 0);
	vd_wr_u8(&w, 0);
	vd_wr_u8(&w, tag);
	ck_assert_uint_eq(w.len, DATA);
}

START_TEST(sequence)
{
	static const struct { long ns; bool passes; } t[] = {
		{ 5, true }, { 5, false }, { 4, false }, { 6, true }, { 8, true }, { 7, false }, { -1, true }, { 9, true },
		{ 9 + 32768, true }, /* the furthest ahead that is not behind */
		{ 10, false }, { 65535, true }, { 0, true }, { 65535, false }, { 1, true }, { -1, true }, { 0, false },
		{ 32770, false }, { 2, true },
	};
	uint8_t p[DATA];
	unsigned bad = 0;
	w_.restarts = false;
	w_begin("{}");
	c_call();
	for (size_t i = 0; i < VD_ARRAY_SIZE(t); i++) {
		unsigned frames = w_.frames;
		make_data(p, c_.sid, t[i].ns, 1);
		w_datagram(w_.chan, p, DATA);
		ck_assert_msg(w_.frames == frames + t[i].passes, "%zu: Ns %ld", i, t[i].ns);
		bad += !t[i].passes;
	}
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SEQUENCE), bad);
	/* Another process knows no numbers: it takes what comes first. */
	w_restart();
	for (unsigned i = 0; i < 2; i++) {
		unsigned frames = w_.frames;
		make_data(p, c_.sid, 50000, 1);
		w_datagram(w_.chan, p, DATA);
		ck_assert_uint_eq(w_.frames, frames + !i);
	}
	w_end();
}
END_TEST

/* Within one vector they are put in order, each session for itself. */
START_TEST(reordered)
{
	static const struct { const char *sent, *heard; } t[] = {
		{ "cb", "bc" }, /* as the first of the session; then it goes on */
		{ "def", "def" }, { "gihj", "ghij" }, { "lkk", "kl" }, { "opnmo", "mnop" },
		{ "abr", "r" }, /* too late: what follows them was passed on */
		{ "qs", "s" },  /* ... one vector too late */
		{ "XuZtYwW", "WXYZtuw" }, /* two sessions */
	};
	uint8_t p[16 * DATA];
	unsigned drops = 0;
	w_.restarts = false;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ICRQ, 0, 10);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ICRP);
	uint16_t second = c_got(-1).session_id;
	for (size_t i = 0; i < VD_ARRAY_SIZE(t); i++) {
		unsigned n = 0, from = w_.frames, last = 0, caps = 0;
		for (const char *s = t[i].sent; *s; s++, n++)
			make_data(p + n * DATA, *s < 'a' ? second : c_.sid, *s, (uint8_t)*s);
		w_datagrams(w_.chan, p, DATA, n);
		unsigned want = (unsigned)strlen(t[i].heard);
		ck_assert_msg(w_.frames == from + want, "%s: %u frames", t[i].sent, w_.frames - from);
		drops += n - want;
		for (unsigned k = from; k < w_.frames; k++) { /* in order, of each session */
			unsigned tag = w_.tags[k % 64];
			ck_assert_ptr_nonnull(strchr(t[i].heard, (int)tag));
			ck_assert_uint_gt(tag, tag < 'a' ? caps : last);
			*(tag < 'a' ? &caps : &last) = tag;
		}
	}
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SEQUENCE), drops);
	w_end();
}
END_TEST

/* More sessions than are remembered: those of before begin anew, nothing is lost. */
START_TEST(more_sequenced_sessions_than_places)
{
	uint16_t ids[32]; /* as many as a peer has before a user is authenticated; L2TP_ORDERS are remembered */
	uint8_t p[DATA];
	w_.restarts = false;
	w_begin("{l2tp: {sessions: 32}}");
	c_tunnel();
	w_.many = true;
	for (uint16_t i = 0; i < VD_ARRAY_SIZE(ids); i++) {
		c_say(L2TP_ICRQ, 0, (uint16_t)(100 + i));
		ck_assert_uint_eq(c_got(-1).type, L2TP_ICRP);
		ids[i] = c_got(-1).session_id;
		c_.nr = (uint16_t)(c_got(-1).h.ns + 1);
		c_say(L2TP_ZLB, 0, 0);
		w_.n = 0;
		w_advance(10);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < VD_ARRAY_SIZE(ids); i++) {
			make_data(p, ids[i], 7 + round, 1);
			w_datagram(w_.chan, p, DATA);
		}
	}
	ck_assert_uint_eq(w_.frames, 3 * VD_ARRAY_SIZE(ids));
	for (unsigned i = 0; i < 4; i++) { /* and the last ones are remembered */
		make_data(p, ids[VD_ARRAY_SIZE(ids) - 1 - i], 8, 1);
		w_datagram(w_.chan, p, DATA);
	}
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SEQUENCE), 4);
	w_end();
}
END_TEST

/* ---- numbers of ours ---- */
#define REQUIRED "\x80\x06\0\0\0\x27"
#define CONF "realms: {corp: {authenticate: [users/local]}}, users: {local: {}}, pools: {staff: {}}, " \
	"connections: {staff: {realm: corp, pool: staff}}"

static void number_call(const char *yaml, bool required, bool v6)
{
	w_begin(yaml);
	w_.numbers = true;
	w_.connection = "staff";
	w_.v6 = v6;
	w_.chan = c_.chan = w_channel(4600, true);
	c_tunnel();
	c_say(L2TP_ICRQ, 0, 9);
	c_.sid = c_got(-1).session_id;
	c_.nr++;
	c_.more = (const uint8_t *)REQUIRED;
	c_.more_len = required ? 6 : 0;
	c_say(L2TP_ICCN, c_.sid, 0);
}

/* RFC 2661 section 3.1: the whole header; ns below 0: without number. */
static void is_header(unsigned at, long ns, size_t frame)
{
	uint8_t want[20];
	struct vd_wr w;
	vd_wr_init(&w, want, sizeof(want));
	vd_wr_u32(&w, 0x06a5c000);
	vd_wr_u16(&w, (uint16_t)(frame + (ns < 0 ? 16 : 20)));
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, ns < 0 ? 0x4002 : 0x4802);
	vd_wr_u16(&w, (uint16_t)(frame + (ns < 0 ? 8 : 12)));
	vd_wr_u32(&w, 0x00010009);
	if (ns >= 0)
		vd_wr_u32(&w, (uint32_t)ns << 16);
	ck_assert_uint_lt(at, w_.n);
	ck_assert_uint_eq(w_.len[at], w.len + frame);
	ck_assert_mem_eq(w_.p[at], want, w.len);
}

/* A frame of PPP's own, then a packet. */
static void frame(long ns)
{
	static const uint8_t echo[] = { 0xff, 0x03, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4 };
	ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, echo, sizeof(echo)), 0);
	fake_drain();
	is_header(w_.n - 1, ns, sizeof(echo));
	ck_assert_mem_eq(w_.p[w_.n - 1] + w_.len[w_.n - 1] - sizeof(echo), echo, sizeof(echo));
}

static void packet(long ns)
{
	static const uint8_t ip[] = { 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0x60, 0xb4, 8, 8, 8, 8, 10, 8, 0, 2, 0, 53, 0, 99, 0, 8,
		0, 0 };
	unsigned n = w_.n;
	vd_datapath_inject_tun(0, NULL, ip, sizeof(ip));
	fake_drain();
	ck_assert_uint_eq(w_.n, n + 1);
	is_header(n, ns, sizeof(ip) + 4);
	ck_assert_mem_eq(w_.p[n] + w_.len[n] - sizeof(ip) - 4, "\xff\x03\0\x21", 4);
	ck_assert_mem_eq(w_.p[n] + w_.len[n] - sizeof(ip), ip, sizeof(ip));
}

static void comes(long ns, bool passes)
{
	unsigned frames = w_.frames;
	uint8_t p[DATA];
	make_data(p, c_.sid, ns, 1);
	w_datagram(w_.chan, p, DATA);
	ck_assert_uint_eq(w_.frames, frames + passes);
}

START_TEST(numbered_when_required)
{
	const struct vd_datapath_1 *dp;
	w_.restarts = false;
	number_call("{" CONF "}", true, false);
	ck_assert_uint_eq(w_.overhead, 20);
	frame(0);
	frame(1);
	w_establish();
	packet(2);
	frame(3);
	packet(4);
	/* What comes without is dropped, before the session is up and afterwards. */
	comes(7, true);
	comes(-1, false);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), 1);
	comes(8, true);
	/* Another process goes on with the next number. */
	w_restart();
	ck_assert_uint_eq(w_.overhead, 20);
	packet(5);
	frame(6);
	comes(-1, false);
	/* ... and one that takes over leaves out what the other may still have sent. */
	static uint8_t state[1 << 18];
	w_.takeover = true;
	ck_assert_int_eq(w_restart_with(state, w_export(state, sizeof(state))), 0);
	w_.takeover = false;
	frame(7 + 16384);
	packet(8 + 16384);
	/* Behind 65535 comes 0. */
	dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(dp->session_numbers(dp->self, w_.session, &(struct vd_numbers){ VD_NUMBERED_BOTH, 16, 65534 }), 0);
	packet(65534);
	frame(65535);
	packet(0);
	frame(1);
	ck_assert_int_eq(dp->session_number(dp->self, w_.session), 2);
	w_restart();
	packet(2);
	ck_assert_int_eq(dp->session_numbers(dp->self, w_.session, &(struct vd_numbers){ .when = VD_NUMBERED_YES }), -EINVAL);
	ck_assert_int_eq(dp->session_numbers(dp->self, 12345, &(struct vd_numbers){ VD_NUMBERED_YES, 16, 0 }), -ESTALE);
	ck_assert_int_eq(dp->session_number(dp->self, 12345), -ENOENT);
	w_end();
}
END_TEST

/* Without the AVP we decide, and do not: that the client has numbers changes nothing. */
START_TEST(not_numbered_by_itself)
{
	w_.restarts = false;
	number_call("{" CONF "}", false, false);
	ck_assert_uint_eq(w_.overhead, 16);
	frame(-1);
	comes(3, true);
	frame(-1);
	w_establish();
	comes(4, true);
	packet(-1);
	comes(-1, true);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_UNNUMBERED), 0);
	w_end();
}
END_TEST

/* By configuration: we have numbers, and a client that does not follow is heard all the same. */
START_TEST(numbered_by_option)
{
	w_.restarts = false;
	number_call("{l2tp: {sequencing: true}, " CONF "}", false, false);
	ck_assert_uint_eq(w_.overhead, 20);
	frame(0);
	comes(-1, true);
	comes(0, true);
	w_restart();
	frame(1);
	comes(-1, true);
	w_end();
}
END_TEST

/* The checksum of UDP covers the number (RFC 8200 section 8.1). */
START_TEST(numbered_inside_ipv6)
{
	w_.restarts = false;
	number_call("{" CONF "}", true, true);
	for (unsigned i = 0; i < 40; i++) {
		uint8_t echo[13] = { 0xff, 0x03, 0xc0, 0x21, 9, 1, 0, 9, (uint8_t)(i * 37), 2, 3, 4, 5 };
		ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, echo, sizeof(echo)), 0);
		fake_drain();
		const uint8_t *p = w_.p[w_.n - 1];
		const struct vd_peer *peer = vd_peer_find(vd_chan_find(w_.chan)->peer);
		size_t len = w_.len[w_.n - 1];
		ck_assert_uint_eq(len, 20 + sizeof(echo));
		ck_assert(p[6] || p[7]);
		ck_assert_mem_eq(p + 8, "\x48\x02", 2);
		ck_assert_uint_eq((unsigned)(p[16] << 8 | p[17]), i);
		uint32_t sum = vd_sum_pseudo(&peer->local.ip, &peer->remote.ip, 17, (uint32_t)len);
		ck_assert_uint_eq(vd_sum_fold(vd_sum(sum, p, len)), 0);
	}
	w_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_data");
	TCase *t = tcase_create("sequence");
	tcase_add_test(t, sequence);
	tcase_add_test(t, reordered);
	tcase_add_test(t, more_sequenced_sessions_than_places);
	tcase_add_test(t, numbered_when_required);
	tcase_add_test(t, not_numbered_by_itself);
	tcase_add_test(t, numbered_by_option);
	tcase_add_test(t, numbered_inside_ipv6);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
