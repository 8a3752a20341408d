/* L2TP: data messages with sequence numbers through the stage (RFC 2661 section 5.4). */
#include <check.h>
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
	uint16_t ids[40];
	uint8_t p[DATA];
	w_.restarts = false;
	w_begin("{l2tp: {sessions: 40}}");
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

int main(void)
{
	Suite *s = suite_create("l2tp_data");
	TCase *t = tcase_create("sequence");
	tcase_add_test(t, sequence);
	tcase_add_test(t, reordered);
	tcase_add_test(t, more_sequenced_sessions_than_places);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
