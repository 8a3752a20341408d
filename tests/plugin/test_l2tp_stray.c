/* What comes for a tunnel or a call that is not here, of a client that goes on with what the gateway has forgotten. */
#include <check.h>
#include <string.h>

#include <viaduct/report.h>

#include "tests/plugin/test_l2tp_world.h"
#include "tests/lib/failures.h"

static void say_data(uint64_t chan, uint16_t tunnel, uint16_t session)
{
	uint8_t p[64];
	struct vd_wr w;
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u32(&w, 18 << 16);
	vd_wr_u16(&w, 0x0002);
	vd_wr_u16(&w, tunnel);
	vd_wr_u16(&w, session);
	vd_wr_u32(&w, 0xff03c021);
	w_datagram(chan, p, w.len);
}

/* A client whose IPsec is new below a living L2TP. The peer's own id is ours, so the answer finds it; with data it is the
 * client's acknowledgement that says which number it expects. */
START_TEST(stray_data)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	uint16_t tid = c_.tid, sid = c_.sid;
	ck_assert_uint_eq(tid, 1);
	ck_assert_uint_eq(sid, 9);
	c_.chan = w_channel(4501, true);
	w_.n = 0;
	say_data(c_.chan, tid, sid);
	ck_assert_uint_eq(w_.n, 1);
	struct l2tp_msg m = c_got(0);
	ck_assert_uint_eq(m.type, L2TP_STOPCCN);
	ck_assert_uint_eq(m.h.tunnel, 1);
	ck_assert_uint_eq(m.tunnel_id, tid);
	ck_assert_uint_eq(m.h.ns, 0);
	ck_assert_mem_eq(w_.p[0], "\x06\xa5\x06\xa5", 4);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(f);
	ck_assert_str_eq(f->kind, l2tp_fail_stray.word);
	ck_assert_msg(strstr(f->text, "data came for session 9 of tunnel 1") != NULL, "%s", f->text);
	for (unsigned i = 0; i < 5; i++) /* what follows at once has its answer */
		say_data(c_.chan, tid, sid);
	ck_assert_uint_eq(w_.n, 1);
	c_.nr = 7; /* it had 0 to 6 */
	c_say(L2TP_ZLB, 0, 0);
	ck_assert_uint_eq(w_.n, 2);
	ck_assert_uint_eq(c_got(1).type, L2TP_STOPCCN);
	ck_assert_uint_eq(c_got(1).h.ns, 7);
	ck_assert_uint_eq(c_got(1).h.nr, c_.ns);
	c_.nr = 8;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(20000);
	ck_assert_uint_eq(w_.n, 2); /* acknowledged: neither repeated, nor answered again */
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_uint_eq(w_.downs, 0);
	w_end();
}
END_TEST

/* A client that acknowledges nothing hears it as often as any other message; one that had nothing acknowledges 0. */
START_TEST(stray_data_unheard)
{
	w_begin("{}");
	say_data(c_.chan, 77, 78);
	ck_assert_uint_eq(c_got(0).h.tunnel, 77);
	w_advance(32000);
	ck_assert_uint_eq(w_.n, 6);
	ck_assert_uint_eq(c_got(-1).h.ns, 0);
	say_data(c_.chan, 77, 78);
	ck_assert_uint_eq(w_.n, 7);
	c_.tid = 77;
	c_.nr = 1;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(32000);
	ck_assert_uint_eq(w_.n, 7);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1); /* one a minute */
	w_end();
}
END_TEST

/* A control message says itself which number comes next. Nothing is said to what may be an answer. */
START_TEST(stray_control)
{
	static const struct { uint16_t type; bool stop; } t[] = { { L2TP_HELLO, true }, { L2TP_ICRQ, true }, { L2TP_CDN, true },
		{ L2TP_WEN, true }, { 200, true }, { L2TP_ZLB, false } };
	w_begin("{}");
	c_.tid = 500;
	c_.ns = 12;
	c_.nr = 34;
	c_say(t[_i].type, 3, 9);
	ck_assert_uint_eq(w_.n, t[_i].stop);
	if (t[_i].stop) {
		struct l2tp_msg m = c_got(0);
		ck_assert_uint_eq(m.type, L2TP_STOPCCN);
		ck_assert_uint_eq(m.h.tunnel, 500);
		ck_assert_uint_eq(m.tunnel_id, 500);
		ck_assert_uint_eq(m.h.ns, 34);
		ck_assert_uint_eq(m.h.nr, 13);
		ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->kind, l2tp_fail_stray.word);
		c_.nr = 35;
		c_say(L2TP_ZLB, 0, 0);
		w_advance(10000);
		ck_assert_uint_eq(w_.n, 1);
	}
	w_end();
}
END_TEST

/* A call that is not there in a tunnel that is; what is under way when one ends gets no answer. */
START_TEST(stray_call)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	w_.n = 0;
	say_data(c_.chan, c_.tid, 55);
	ck_assert_uint_eq(w_.n, 1);
	ck_assert_uint_eq(c_got(0).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(0).h.session, 55);
	ck_assert_uint_eq(c_got(0).session_id, 55);
	c_.nr++;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(2000);
	say_data(c_.chan, c_.tid, 55);
	ck_assert_uint_eq(w_.n, 1);
	c_say(L2TP_CDN, c_.sid, 9);
	w_.n = 0;
	w_advance(2000);
	say_data(c_.chan, c_.tid, c_.sid);
	ck_assert_uint_eq(w_.n, 0);
	c_say(L2TP_STOPCCN, 0, 1);
	w_.n = 0;
	w_advance(2000);
	say_data(c_.chan, c_.tid, c_.sid);
	ck_assert_uint_eq(w_.n, 0);
	w_end();
}
END_TEST

/* A client that sends for ever new tunnels: what it makes us keep and send is bounded. */
START_TEST(stray_flood)
{
	w_begin("{}");
	for (unsigned i = 1; i <= 3000; i++) {
		say_data(c_.chan, (uint16_t)i, 1);
		w_.n = 0;
		w_advance(i % 10 ? 0 : 1000);
	}
	unsigned n = 0;
	struct l2tp *self = ((const struct l2tp *)vd_service_find("l2tp/1", NULL))->self;
	for (struct l2tp_tunnel *t = l2tp_chan_find(self, c_.chan)->tunnels; t; t = t->next)
		n++;
	ck_assert_uint_le(n, 64);
	ck_assert_uint_le(vd_counter("l2tp.stray"), 301);
	ck_assert_uint_le(fake_events(&vd_topic_setup_failed), 6);
	c_call();
	ck_assert_uint_eq(w_.starts, 1);
	w_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_stray");
	TCase *t = tcase_create("strays");
	tcase_add_loop_test(t, stray_data, 0, 2);
	tcase_add_test(t, stray_data_unheard);
	tcase_add_loop_test(t, stray_control, 0, 6);
	tcase_add_loop_test(t, stray_call, 0, 2);
	tcase_add_test(t, stray_flood);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
