/* L2TP: reliable delivery (RFC 2661 section 5.8): loss, repetition, congestion window, signs of life. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin/test_l2tp_world.h"

/* ---- each message of a whole conversation lost once, and repeated once ---- */
enum { SAID = 6, HEARD = 7, CASES = 2 * (SAID + HEARD) };
static unsigned seen;      /* datagrams of the gateway that were read */
static unsigned processed; /* all of them, over the conversation */
static int twice;          /* the gateway's datagram that comes twice; -1: none */
static uint16_t acked;
static bool answered;

static void hear(uint16_t wanted, unsigned i)
{
	struct l2tp_msg m = c_got((int)i);
	if ((int16_t)(m.h.nr - acked) > 0)
		acked = m.h.nr;
	if (m.type == L2TP_ZLB)
		return;
	if (m.h.ns != c_.nr) {
		ck_assert_int_lt((int16_t)(m.h.ns - c_.nr), 0); /* never out of order here */
		c_make(L2TP_ZLB, 0, 0);
		w_datagram(c_.chan, c_.said, c_.said_len);
		return;
	}
	c_.nr++;
	if (m.type == L2TP_SCCRP)
		c_.tid = m.tunnel_id;
	if (m.type == L2TP_ICRP)
		c_.sid = m.session_id;
	answered |= m.type == wanted;
}

static void hear_all(uint16_t wanted)
{
	while (seen < w_.n) {
		if ((int)processed++ == twice)
			hear(wanted, seen);
		hear(wanted, seen++);
	}
}

/* Says it until it is acknowledged, and what it asks for has come. */
static void converse(uint16_t type, uint16_t id, uint16_t wanted, bool lose, bool repeat)
{
	uint8_t said[sizeof(c_.said)];
	c_make(type, type == L2TP_ICCN || type == L2TP_CDN ? c_.sid : 0, id);
	memcpy(said, c_.said, c_.said_len);
	size_t len = c_.said_len;
	uint16_t mine = c_.ns;
	answered = !wanted;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(c_.said, said, len);
		c_.said_len = len;
		if (!lose)
			c_again();
		lose = false;
		if (repeat) {
			c_again();
			repeat = false;
		}
		hear_all(wanted);
		if (acked == mine && answered)
			return;
		w_advance(1000);
		hear_all(wanted);
		if (acked == mine && answered)
			return;
	}
	ck_abort_msg("%s was never done", l2tp_type_name(type));
}

START_TEST(lost_and_repeated)
{
	static const struct { uint16_t type, id, wanted; } steps[SAID] = {
		{ L2TP_SCCRQ, 1, L2TP_SCCRP }, { L2TP_SCCCN, 0, 0 }, { L2TP_ICRQ, 9, L2TP_ICRP }, { L2TP_ICCN, 0, 0 },
		{ L2TP_CDN, 9, 0 }, { L2TP_STOPCCN, 1, 0 },
	};
	/* 0: a message of the client is lost, 1: repeated; 2: one of the gateway is lost, 3: repeated */
	int which = _i / 2, mine = which < 2 * SAID, of = mine ? SAID : HEARD;
	int at = (mine ? which : which - 2 * SAID) % of, kind = (mine ? which : which - 2 * SAID) / of + (mine ? 0 : 2);
	w_.restarts = _i % 2;
	w_begin("{}");
	seen = processed = 0;
	acked = 0;
	twice = kind == 3 ? at : -1;
	w_.lose = kind == 2 ? (unsigned)at + 1 : 0;
	for (int i = 0; i < SAID; i++) {
		converse(steps[i].type, steps[i].id, steps[i].wanted, kind == 0 && i == at, kind == 1 && i == at);
		if (i == 3) {
			unsigned lose = w_.lose;
			w_.lose = 0;
			ck_assert_uint_eq(w_.starts, 1);
			ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, (const uint8_t *)"\xc0\x21", 2), 0);
			fake_drain();
			ck_assert(!c_is_control(w_.n - 1));
			w_.n--;
			w_.lose = lose;
		}
	}
	ck_assert_uint_eq(w_.lose, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(w_.starts, 1);
	ck_assert_uint_eq(w_.downs, 1);
	unsigned n = w_.n;
	w_advance(200000);
	ck_assert_uint_eq(w_.n, n); /* nothing was left in a queue */
	w_end();
}
END_TEST

START_TEST(schedule)
{
	static const unsigned at[] = { 1, 3, 7, 15, 23 };
	uint64_t now = 0;
	w_.restarts = _i;
	w_begin("{}");
	c_say(L2TP_SCCRQ, 0, 1);
	for (unsigned i = 0; i < 5; i++) {
		w_advance(at[i] * 1000 - now - 1);
		ck_assert_uint_eq(w_.n, i + 1);
		w_advance(1);
		ck_assert_uint_eq(w_.n, i + 2);
		ck_assert_uint_eq(w_.len[i + 1], w_.len[0]);
		ck_assert_mem_eq(w_.p[i + 1], w_.p[0], w_.len[0]);
		now = at[i] * 1000;
	}
	w_advance(70000);
	ck_assert_uint_eq(w_.n, 6);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	w_end();
}
END_TEST

/* The client begins again with the same tunnel id but another SCCRQ: the old answer would be to the wrong question. */
START_TEST(begins_again)
{
	w_.restarts = _i;
	w_begin("{}");
	c_say(L2TP_SCCRQ, 0, 1);
	uint16_t first = c_got(-1).tunnel_id;
	c_again();
	ck_assert_uint_eq(w_.n, 2);
	ck_assert_uint_eq(c_got(-1).tunnel_id, first);
	c_.ns = 0;
	c_.port = 50001;
	c_.more = (const uint8_t *)"\0\x08\0\0\0\x06\x06\x90"; /* Firmware Revision */
	c_.more_len = 8;
	c_say(L2TP_SCCRQ, 0, 1);
	ck_assert_uint_ne(c_got(-1).tunnel_id, first);
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	unsigned n = w_.n;
	c_say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	ck_assert_uint_eq(w_.n, n + 1);
	w_advance(20000);
	ck_assert_uint_eq(w_.n, n + 1); /* the first SCCRP is not sent again: it would reach the new tunnel */
	/* An up tunnel whose id is given away again: forgotten without a word when the new one is up. */
	w_advance(10000);
	c_.ns = c_.nr = c_.tid = 0;
	c_say(L2TP_SCCRQ, 0, 1);
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	n = w_.n;
	c_say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 2);
	w_advance(50000);
	ck_assert_uint_eq(w_.n, n + 1);
	w_end();
}
END_TEST

/* ---- the congestion window ---- */
static unsigned fresh(unsigned from)
{
	unsigned n = 0;
	for (unsigned i = from; i < w_.n; i++)
		n += c_got((int)i).type == L2TP_ICRP;
	return n;
}

START_TEST(congestion_window)
{
	unsigned n;
	w_.restarts = _i;
	w_begin("{l2tp: {sessions: 40}}");
	c_tunnel(); /* SCCRP was acknowledged: 2 messages may fly */
	n = w_.n;
	for (uint16_t i = 0; i < 14; i++)
		c_say(L2TP_ICRQ, 0, (uint16_t)(100 + i));
	ck_assert_uint_eq(fresh(n), 2);
	static const unsigned flying[] = { 3, 4, 5 }; /* slow start: one more per acknowledgement */
	for (unsigned i = 0; i < 3; i++) {
		n = w_.n;
		c_.nr++;
		c_say(L2TP_ZLB, 0, 0);
		ck_assert_uint_eq(fresh(n), 2);
		ck_assert_uint_eq((uint16_t)(c_got(-1).h.ns - c_.nr + 1), flying[i]);
	}
	/* The head is lost: it alone goes again, then one more per acknowledgement up to half of what flew, then linear. */
	n = w_.n;
	w_advance(1000);
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).h.ns, c_.nr);
	static const unsigned after[] = { 2, 2, 3, 3, 3 };
	for (unsigned i = 0; i < 5; i++) {
		c_.nr++;
		n = w_.n;
		c_say(L2TP_ZLB, 0, 0);
		ck_assert_uint_gt(w_.n, n);
		ck_assert_uint_eq((uint16_t)(c_got(-1).h.ns - c_.nr + 1), after[i]);
	}
	for (unsigned i = 0; i < 30; i++) { /* everything arrives at last, in order, each once acknowledged */
		c_.nr = (uint16_t)(c_got(-1).h.ns + 1);
		n = w_.n;
		c_say(L2TP_ZLB, 0, 0);
		if (w_.n == n)
			break;
	}
	ck_assert_uint_eq(c_.nr, 15); /* SCCRP and 14 ICRP */
	w_advance(8000);
	ck_assert_uint_eq(w_.n, n);
	w_end();
}
END_TEST

/* ---- signs of life ---- */
START_TEST(simultaneous_hello)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	unsigned n = w_.n;
	w_advance(60000);
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_HELLO);
	c_say(L2TP_HELLO, 0, 0); /* said before ours was heard: it acknowledges nothing new */
	ck_assert_uint_eq(w_.n, n + 2);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	ck_assert_uint_eq(c_got(-1).h.nr, c_.ns);
	c_.nr++;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(59000);
	ck_assert_uint_eq(w_.n, n + 2); /* ours is not repeated */
	ck_assert_uint_eq(w_.downs, 0);
	w_end();
}
END_TEST

START_TEST(no_answer)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	unsigned n = w_.n;
	w_advance(60000);
	ck_assert_uint_eq(w_.n, n + 1);
	w_advance(30999);
	ck_assert_uint_eq(w_.n, n + 6); /* the HELLO and 5 repetitions */
	w_advance(150000 - 90999 - 1); /* a line may be down: it is asked on, every 8 s, until the patience ends */
	ck_assert_uint_eq(w_.n, n + 14);
	ck_assert_uint_eq(w_.downs, 0);
	w_advance(1);
	ck_assert_uint_eq(w_.downs, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(vd_counter("l2tp.timeout"), 1);
	w_advance(200000);
	ck_assert_uint_eq(w_.n, n + 14);
	w_end();
}
END_TEST

/* A line that was down for a minute and a half: the answer to the last repetition is enough. */
START_TEST(line_comes_back)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(60000 + 80000);
	ck_assert_uint_eq(c_got(-1).type, L2TP_HELLO);
	c_.nr = 3;
	c_say(L2TP_ZLB, 0, 0);
	unsigned n = w_.n;
	w_advance(59000);
	ck_assert_uint_eq(w_.n, n);
	w_advance(1500); /* and the next silence is asked about as the first one */
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_HELLO);
	ck_assert_uint_eq(w_.downs, 0);
	w_end();
}
END_TEST

/* Android 9 and 10 do not answer HELLO while data flows. */
START_TEST(silent_while_data_flows)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	unsigned n = w_.n;
	w_.flowing = true;
	w_advance(300000);
	ck_assert_uint_eq(w_.n, n); /* who is heard is not asked */
	w_.flowing = false;
	w_.data_at = vd_now();
	w_advance(60000);
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_HELLO);
	w_advance(25000); /* 5 repetitions: all there are */
	ck_assert_uint_eq(w_.n, n + 6);
	w_.data_at = vd_now(); /* one packet of data in the last moment */
	w_advance(59999);
	ck_assert_uint_eq(w_.downs, 0);
	ck_assert_uint_eq(w_.n, n + 6);
	w_.flowing = true; /* and it flows for an hour, without an answer to the HELLO */
	w_advance(3600000);
	ck_assert_uint_eq(w_.downs, 0);
	ck_assert_uint_eq(w_.n, n + 6);
	c_say(L2TP_ICRQ, 0, 10); /* control messages still get their answers; this one waits behind the HELLO */
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 2);
	w_.flowing = false;
	w_.data_at = vd_now();
	c_.nr = 3; /* it was heard after all */
	c_say(L2TP_ZLB, 0, 0);
	c_.nr = 4;
	c_say(L2TP_ZLB, 0, 0);
	n = w_.n;
	w_advance(60000 + 100000);
	ck_assert_uint_gt(w_.n, n);
	ck_assert_uint_eq(w_.downs, 1); /* silent in every way: gone */
	w_end();
}
END_TEST

/* Data says that the client lives, but not that it hears us: what must arrive is not repeated for ever. */
START_TEST(deaf_while_data_flows)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	w_.flowing = true;
	c_say(L2TP_ICRQ, 0, 10);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ICRP);
	unsigned n = w_.n;
	w_advance(31000);
	ck_assert_uint_eq(w_.n, n + 5); /* 5 repetitions; the CDN for the ICCN that did not come waits behind them */
	w_advance(400000);
	ck_assert_uint_eq(w_.downs, 1);
	ck_assert_uint_eq(w_.n, n + 5);
	w_end();
}
END_TEST

/* A client that opened and closed many tunnels, and whose messages all come once more: each is acknowledged for a full cycle
 * of retransmissions (RFC 2661 section 5.8), and what is kept for that is bounded. */
START_TEST(many_close)
{
	enum { MANY = 100, KEPT = 64 };
	static uint16_t tid[MANY];
	w_begin("{}");
	for (unsigned i = 0; i < MANY; i++) {
		c_.ns = c_.nr = c_.tid = 0;
		c_say(L2TP_SCCRQ, 0, (uint16_t)(i + 1));
		ck_assert_uint_eq(c_got(-1).type, L2TP_SCCRP);
		tid[i] = c_.tid = c_got(-1).tunnel_id;
		c_.nr = 1;
		c_say(L2TP_SCCCN, 0, 0);
		c_say(L2TP_STOPCCN, 0, (uint16_t)(i + 1));
		w_.n = 0;
		w_advance(100); /* the limit on punts is not what is looked at here */
	}
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t lost = vd_counter("l2tp.drop.no_tunnel");
		c_.ns = 2;
		c_.tid = tid[i];
		c_say(L2TP_STOPCCN, 0, (uint16_t)(i + 1));
		ck_assert_uint_eq(vd_counter("l2tp.drop.no_tunnel") - lost, i < MANY - KEPT);
		/* What is not kept any more is acknowledged once a second. */
		ck_assert_uint_eq(w_.n, i >= MANY - KEPT || i % 10 == 0);
		if (w_.n) {
			ck_assert_uint_eq(c_got(0).type, L2TP_ZLB);
			ck_assert_uint_eq(c_got(0).h.tunnel, i + 1);
			ck_assert_uint_eq(c_got(0).h.nr, 3);
		}
		w_.n = 0;
		w_advance(100);
	}
	w_advance(32000);
	c_again();
	ck_assert_uint_eq(w_.n, 1);
	c_again();
	ck_assert_uint_eq(w_.n, 1);
	w_end();
}
END_TEST

/* Of several channels one in the middle goes, then the last, and another comes: the list has all the others. */
START_TEST(channels_go)
{
	static uint8_t state[65536];
	uint64_t v[4];
	size_t two = 0;
	w_.restarts = false;
	w_begin("{}");
	for (unsigned i = 0; i < 3; i++) {
		v[i] = w_channel((uint16_t)(4501 + i), true);
		if (i == 1)
			two = w_export(state, sizeof(state)); /* goes along the list */
	}
	for (unsigned i = 1; i < 3; i++) {
		vd_peer_close(vd_chan_find(v[i])->peer, "deleted");
		fake_drain();
		w_advance(1000);
		ck_assert_ptr_null(vd_chan_find(v[i]));
	}
	v[3] = w_channel(4504, true);
	/* The world's own list keeps the ids of those that went. */
	ck_assert_uint_eq(w_export(state, sizeof(state)), two + 2 * sizeof(v[0]));
	c_.chan = v[3];
	c_call();
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 1);
	w_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_loss");
	TCase *t = tcase_create("loss");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, many_close);
	tcase_add_test(t, channels_go);
	tcase_add_loop_test(t, lost_and_repeated, 0, 2 * CASES);
	tcase_add_loop_test(t, schedule, 0, 2);
	tcase_add_loop_test(t, begins_again, 0, 2);
	tcase_add_loop_test(t, congestion_window, 0, 2);
	tcase_add_loop_test(t, simultaneous_hello, 0, 2);
	tcase_add_loop_test(t, line_comes_back, 0, 2);
	tcase_add_loop_test(t, no_answer, 0, 2);
	tcase_add_loop_test(t, silent_while_data_flows, 0, 2);
	tcase_add_loop_test(t, deaf_while_data_flows, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
