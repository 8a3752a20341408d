/* Export, import, export: the same octets, and life goes on. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "tests/unit/session_fixture.h"

static uint8_t room[2][65536];

static size_t exported(unsigned i)
{
	struct vd_error err;
	struct vd_wr w;

	vd_wr_init(&w, room[i], sizeof(room[i]));
	if (vd_state_export(&w, &err) < 0)
		ck_abort_msg("%s", err.text);
	return w.len;
}

/* Replaces everything by what was exported, and compares a second export. */
static void round_trip(void)
{
	struct vd_error err;
	struct vd_rd r;
	size_t len;

	fake_drain();
	len = exported(0);
	fx_again();
	vd_rd_init(&r, room[0], len);
	if (vd_state_import(&r, VD_IMPORT_SAME, &err) < 0)
		ck_abort_msg("%s", err.text);
	fake_adopt(&fx_maker);
	fake_drain();
	ck_assert_uint_eq(exported(1), len);
	ck_assert_mem_eq(room[0], room[1], len);
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		ck_assert_int_eq(vd_session_adopt(s->id, &fx_owner, NULL), 0);
}

/* The plugin that made the channels is not there after the import, or is another one: nobody has them on a worker. */
START_TEST(nobody_adopts)
{
	static const struct vd_chan_maker other = { "other", NULL, NULL };
	struct vd_error err;
	struct vd_rd r;
	uint64_t id = fx_up("staff", "alice"), chan = vd_session_find(id)->chan;
	size_t len;

	ck_assert_int_eq(vd_chan_adopt(chan, &fx_maker, NULL), -EPERM); /* it has it */
	ck_assert_int_eq(vd_chan_adopt(chan + 1000, &fx_maker, NULL), -ENOENT);
	fake_drain();
	len = exported(0);
	fx_again();
	vd_rd_init(&r, room[0], len);
	ck_assert_int_eq(vd_state_import(&r, VD_IMPORT_SAME, &err), 0);
	ck_assert_uint_eq(vd_chan_idle(chan), UINT64_MAX);
	ck_assert_int_eq(vd_chan_adopt(chan, &other, NULL), -EPERM);
	ck_assert_int_eq(vd_session_adopt(id, &fx_owner, NULL), 0);
	fake_drain();
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_ptr_null(vd_chan_find(chan));
}
END_TEST

START_TEST(after_each_step)
{
	uint64_t id = fx_new("staff"), up;

	fx.grant.routes_behind[0] = (struct vd_prefix){ vd_ip4(0x0a4d0000), 24 };
	fx.grant.session_timeout = 3600;
	ck_assert(vd_ip_parse("2001:db8:5:1::", &fx.grant.network));
	fx.want = VD_WANT_V4 | VD_WANT_V6;
	round_trip();
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	round_trip();
	ck_assert_int_eq(vd_session_find(id)->state, VD_S_AUTHENTICATING);
	ck_assert_int_eq(fx_configure(id), 0);
	round_trip();
	ck_assert_int_eq(fx_establish(id), 0);
	fake_advance(1234);
	round_trip();
	ck_assert_int_eq(vd_session_find(id)->state, VD_S_UP);
	ck_assert_uint_eq(fx.sessions, 1);
	ck_assert_uint_eq(fx.fibs, 3);
	ck_assert_uint_eq(vd_session_find(id)->lease6.length, 64);
	/* The user is still known as logged in, ids go on, and the end is orderly. */
	up = fx_up("staff", "alice");
	ck_assert_uint_gt(up, id);
	ck_assert_ptr_null(vd_session_find(id));
	round_trip();
	fake_advance(3600 * 1000);
	ck_assert_ptr_null(vd_session_find(up));
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_uint_eq(fx.fibs, 0);
	round_trip();
	vd_peer_close(fx.peer, "bye");
	fake_drain();
	ck_assert_uint_eq(vd_peer_count() + vd_chan_count(), 0);
	round_trip();
}
END_TEST

START_TEST(counters_go_on)
{
	uint64_t id = fx_up("staff", "alice");

	vd_session_count_in(vd_session_rec(id), &(struct vd_session_counters){ .packets_in = 100, .octets_out = 9000 });
	round_trip();
	vd_session_close(id, "bye", true);
	fake_drain();
	ck_assert_uint_eq(((const struct vd_session_down *)fake_last(&vd_topic_session_down))->packets_in, 107);
	ck_assert_uint_eq(((const struct vd_session_down *)fake_last(&vd_topic_session_down))->octets_out, 9500);
}
END_TEST

START_TEST(unstable_is_refused)
{
	uint64_t id = fx_new("staff");
	struct vd_error err = { 0 };
	struct vd_wr w;

	fx.auth = FX_SILENT;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	vd_wr_init(&w, room[0], sizeof(room[0]));
	ck_assert_int_eq(vd_state_export(&w, &err), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(err.text, "core.sessions"));
	vd_wr_init(&w, room[0], 40);
	vd_session_close(id, "bye", true);
	fake_drain();
	ck_assert_int_eq(vd_state_export(&w, &err), -ENOSPC);
}
END_TEST

/* Every cut and every flipped octet is survived; what is accepted can be exported again. */
START_TEST(damaged)
{
	struct vd_error err;
	struct vd_rd r;
	size_t len;

	fx_up("staff", "alice");
	len = exported(0);
	for (size_t i = 0; i < len; i++) {
		fx_again();
		vd_rd_init(&r, room[0], i);
		/* A cut between layers is a shorter, valid export. */
		if (vd_state_import(&r, VD_IMPORT_SAME, &err) < 0)
			ck_assert_str_ne(err.text, "");
	}
	for (size_t i = 0; i < len; i++) {
		fx_again();
		memcpy(room[1], room[0], len);
		room[1][i] ^= 0x81;
		vd_rd_init(&r, room[1], len);
		if (vd_state_import(&r, VD_IMPORT_SAME, &err) == 0)
			fake_drain();
	}
}
END_TEST

START_TEST(unknown_layer)
{
	struct vd_error err;
	struct vd_rd r;
	struct vd_wr w;

	vd_wr_init(&w, room[0], sizeof(room[0]));
	vd_wr_u32(&w, 0x56445354);
	vd_text_write(&w, "nobody");
	vd_wr_u16(&w, 1);
	vd_wr_u32(&w, 0);
	vd_rd_init(&r, room[0], w.len);
	ck_assert_int_eq(vd_state_import(&r, VD_IMPORT_SAME, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "nobody"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("state");
	TCase *t = tcase_create("layers");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, fx_start, fx_stop);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, after_each_step);
	tcase_add_test(t, nobody_adopts);
	tcase_add_test(t, counters_go_on);
	tcase_add_test(t, unstable_is_refused);
	tcase_add_test(t, damaged);
	tcase_add_test(t, unknown_layer);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
