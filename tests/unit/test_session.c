/* The life of sessions on the fake clock: all ways up, all ways down. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "core/session/lifelog.h"
#include "core/log.h"
#include "core/log_watch.h"
#include "core/system/source.h"
#include "tests/unit/session_fixture.h"

START_TEST(comes_up_and_goes)
{
	uint64_t id;
	const struct vd_session_down *down;

	fx.grant.routes_behind[0] = (struct vd_prefix){ vd_ip4(0x0a4d0000), 24 };
	vd_strcpy(fx.grant.user, sizeof(fx.grant.user), "Alice");
	id = fx_up("staff", "CORP\\alice");
	ck_assert_msg(fx_order("session_new ", "ask-auth(local) ", "auth_ok ", "ask-admit ", "ask-address ",
			      "configured ", "ask-route ", "session_add ", "fib_add(10.8.0.23/32) ",
			      "fib_add(10.77.0.0/24) ", "established ", "session_up ", NULL), "%s", fx.trace);
	ck_assert_str_eq(vd_session_find(id)->user, "Alice");
	ck_assert_str_eq(fx.asked.user, "CORP\\alice");
	ck_assert_str_eq(fx.asked.realm, "corp");
	ck_assert_str_eq(fx.leased.pool, "staff");
	ck_assert_uint_eq(fx.asked.session, id);
	ck_assert_uint_eq(fx.sessions, 1);
	ck_assert_uint_eq(fx.fibs, 2);
	fake_advance(60000);
	fx.trace[0] = 0;
	vd_session_close(id, "user request", true);
	vd_session_close(id, "second reason", false);
	ck_assert_int_eq(vd_session_find(id)->state, VD_S_CLOSING);
	fake_drain();
	ck_assert_msg(fx_order("fib_del(", "fib_del(", "session_del ", "session_down ", "session_gone(", NULL), "%s",
		fx.trace);
	down = fake_last(&vd_topic_session_down);
	ck_assert_str_eq(down->reason, "user request");
	ck_assert_uint_eq(down->packets_in, 7);
	ck_assert_uint_eq(down->octets_out, 500);
	ck_assert_uint_eq(down->duration_ms, 60000);
	ck_assert_str_eq(down->user, "Alice");
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fx.n_closed, 0);
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_uint_eq(fx.fibs, 0);
	ck_assert_uint_eq(fake_next(), UINT64_MAX);
}
END_TEST

START_TEST(dedicated_address_and_pool)
{
	fx.grant.address = vd_ip4(0x0a080042);
	vd_strcpy(fx.grant.pool, sizeof(fx.grant.pool), "vip");
	fx_up("staff", "bob");
	ck_assert_uint_eq(vd_ip_u32(&fx.leased.want), 0x0a080042);
	ck_assert_str_eq(fx.leased.pool, "vip");
	ck_assert_uint_eq(vd_ip_u32(&((const struct vd_session_up *)fake_last(&vd_topic_session_up))->address), 0x0a080042);
}
END_TEST

START_TEST(authentication_fails)
{
	static const enum fx_manner manners[] = { FX_REJECT, FX_UNAVAILABLE, FX_PASS };
	uint64_t id = fx_new("staff");

	for (size_t i = 0; i < VD_ARRAY_SIZE(manners); i++) {
		fx.auth = manners[i];
		fake_events_clear();
		ck_assert_int_eq(fx_auth(id, "alice"), 0);
		fake_drain();
		ck_assert_uint_eq(fx.n_done, i + 1);
		ck_assert_int_ne(fx.verdict, VD_ACCEPT);
		ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
		ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->stage, "auth");
		ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 0);
		ck_assert_int_eq(fx_configure(id), -EINVAL);
	}
	/* A later attempt may be right. */
	fx.auth = FX_ACCEPT;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	fake_drain();
	ck_assert_int_eq(fx_configure(id), 0);
}
END_TEST

START_TEST(rounds_go_on)
{
	uint64_t id = fx_new("staff");
	struct vd_authenticate request = { .method = VD_AUTH_EAP };

	fx.auth = FX_CONTINUE;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	ck_assert_int_eq(fx_auth(id, "alice"), -EBUSY);
	fake_drain();
	ck_assert_int_eq(fx.verdict, VD_CONTINUE);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 0);
	fx.auth = FX_ACCEPT;
	(void)request;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 1);
}
END_TEST

START_TEST(authentication_times_out)
{
	uint64_t id = fx_new("staff"), ticket;

	fx.auth = FX_SILENT;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	fake_advance(9999);
	ck_assert_uint_eq(fx.n_done, 0);
	fake_advance(1);
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert_int_eq(fx.verdict, VD_UNAVAILABLE);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	/* The late answer reaches nobody, not even a new request. */
	ticket = fx.auth_ticket;
	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	fake_drain();
	vd_reply(ticket, VD_ACCEPT, &fx.grant, NULL);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 0);
}
END_TEST

START_TEST(no_realm)
{
	uint64_t id = fx_new("norealm");
	const struct vd_setup_failed *failed;

	ck_assert_int_eq(fx_auth(id, "alice"), -ENOKEY);
	fake_drain();
	failed = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(failed);
	ck_assert_ptr_nonnull(strstr(failed->text, "norealm"));
	ck_assert_uint_eq(fx.n_done, 0);
}
END_TEST

static uint64_t authenticated(const char *connection, const char *user)
{
	uint64_t id = fx_new(connection);

	ck_assert_uint_ne(id, 0);
	ck_assert_int_eq(fx_auth(id, user), 0);
	fake_drain();
	return id;
}

/* Each step of configure and establish: the double that fails, how, and the stage that is reported. */
static const struct {
	size_t at;
	enum fx_manner manner;
	const char *stage;
	uint64_t after; /* milliseconds until it is known */
} failures[] = {
	{ offsetof(struct fx, admit), FX_REJECT, "admit", 0 },
	{ offsetof(struct fx, admit), FX_UNAVAILABLE, "admit", 0 },
	{ offsetof(struct fx, admit), FX_SILENT, "admit", 5000 },
	{ offsetof(struct fx, address), FX_REJECT, "address", 0 },
	{ offsetof(struct fx, address), FX_PASS, "address", 0 },
	{ offsetof(struct fx, address), FX_UNAVAILABLE, "address", 0 },
	{ offsetof(struct fx, address), FX_SILENT, "address", 5000 },
	{ offsetof(struct fx, route), FX_REJECT, "establish", 0 },
	{ offsetof(struct fx, route), FX_PASS, "establish", 0 },
	{ offsetof(struct fx, route), FX_SILENT, "establish", 5000 },
	{ offsetof(struct fx, session_add), FX_REFUSE, "establish", 0 },
	{ offsetof(struct fx, session_add), FX_SILENT, "establish", 1000 },
	{ offsetof(struct fx, fib_add), FX_REFUSE, "establish", 0 },
	{ offsetof(struct fx, fib_add), FX_SILENT, "establish", 1000 },
};

START_TEST(a_step_fails)
{
	uint64_t id;
	bool late = failures[_i].after;

	fx.grant.routes_behind[0] = (struct vd_prefix){ vd_ip4(0x0a4d0000), 24 };
	id = authenticated("staff", "alice");
	*(enum fx_manner *)((char *)&fx + failures[_i].at) = failures[_i].manner;
	fx.n_done = 0;
	ck_assert_int_eq(fx_configure(id), 0);
	fake_drain();
	if (!strcmp(failures[_i].stage, "establish")) {
		ck_assert(!fx.failed);
		ck_assert_uint_eq(fx.n_done, 1);
		ck_assert_int_eq(fx_establish(id), 0);
		ck_assert_uint_eq(fx.n_done--, 1);
		fake_drain();
	}
	ck_assert_uint_eq(fx.n_done, late ? 0 : 1);
	if (late) {
		fake_advance(failures[_i].after - 1);
		ck_assert_uint_eq(fx.n_done, 0);
		fake_advance(1);
	}
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert(fx.failed);
	ck_assert_str_ne(fx.err.text, "");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->stage, failures[_i].stage);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	/* The protocol tells its peer and closes: nothing may be left on workers. */
	vd_session_close(id, "set-up failed", true);
	fake_advance(3000);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_uint_eq(fx.fibs, 0);
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert_ptr_null(vd_session_find(id));
}
END_TEST

/* Closing while the step waits: done is never called, everything is undone, once. */
static const size_t open_steps[] = {
	offsetof(struct fx, auth), offsetof(struct fx, admit), offsetof(struct fx, address), offsetof(struct fx, route),
	offsetof(struct fx, session_add), offsetof(struct fx, fib_add),
};

START_TEST(closed_while_open)
{
	uint64_t id;
	unsigned n_done;

	fx.grant.routes_behind[0] = (struct vd_prefix){ vd_ip4(0x0a4d0000), 24 };
	*(enum fx_manner *)((char *)&fx + open_steps[_i]) = FX_SILENT;
	id = authenticated("staff", "alice");
	if (fx_configure(id) == 0) {
		fake_drain();
		if (fx_establish(id) == 0)
			fake_drain();
	}
	ck_assert_int_ne(vd_session_find(id)->state, VD_S_UP);
	n_done = fx.n_done;
	vd_session_close(id, "the peer left", false);
	ck_assert_uint_eq(fx.n_closed, 0); /* never from inside */
	if (_i == 0)
		ck_assert_uint_eq(fx_count("cancel-auth"), 1);
	fake_drain();
	if (fx.auth_ticket)
		vd_reply(fx.auth_ticket, VD_ACCEPT, &fx.grant, NULL);
	fake_advance(20000);
	ck_assert_uint_eq(fx.n_done, n_done);
	ck_assert_uint_eq(fx.n_closed, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_uint_eq(fx.fibs, 0);
	ck_assert_msg(fx_order("closed(", "session_down ", "session_gone(", NULL), "%s", fx.trace);
}
END_TEST

/* The same with answers that are already on their way when it closes. */
START_TEST(closed_just_before_the_answer)
{
	uint64_t id = fx_new("staff");

	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	if (_i > 0) {
		fake_drain();
		ck_assert_int_eq(fx_configure(id), 0);
	}
	if (_i > 1) {
		fake_drain();
		ck_assert_int_eq(fx_establish(id), 0);
	}
	fx.n_done = 0;
	vd_session_close(id, "gone", false);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, 0);
	ck_assert_uint_eq(fx.n_closed, 1);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_int_eq(fx_auth(id, "alice"), -ENOENT);
	ck_assert_int_eq(fx_configure(id), -ENOENT);
	ck_assert_int_eq(fx_establish(id), -ENOENT);
}
END_TEST

/* The usual reaction of a protocol to a failure, and the rude one to a success. */
START_TEST(closed_inside_done)
{
	uint64_t id;
	bool fails = _i < (int)VD_ARRAY_SIZE(failures);

	id = authenticated("staff", "alice");
	if (fails)
		*(enum fx_manner *)((char *)&fx + failures[_i].at) = failures[_i].manner;
	fx.grant.routes_behind[0] = (struct vd_prefix){ vd_ip4(0x0a4d0000), 24 };
	vd_session_find(id)->granted.routes_behind[0] = fx.grant.routes_behind[0];
	fx.close_in_done = fails && strcmp(failures[_i].stage, "establish");
	ck_assert_int_eq(fx_configure(id), 0);
	fake_drain();
	if (!fx.close_in_done) {
		fx.close_in_done = true;
		ck_assert_int_eq(fx_establish(id), 0);
	}
	fake_advance(20000);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_uint_eq(fx.sessions, 0);
	ck_assert_uint_eq(fx.fibs, 0);
	ck_assert_uint_eq(fx.n_closed, 0);
}
END_TEST

START_TEST(workers_that_never_answer)
{
	uint64_t id = fx_up("staff", "alice");

	fx.fib_del = _i == 0 ? FX_SILENT : FX_ACCEPT;
	fx.session_del = FX_SILENT;
	vd_session_close(id, "gone", true);
	fake_advance(999);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	fake_advance(1001);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_uint_eq(vd_counter("core.session.worker_timeout"), _i == 0 ? 2 : 1);
}
END_TEST

/* The daemon ends: nothing begins any more, and what is late ends without its worker's word, once. */
START_TEST(end_of_all)
{
	uint64_t a = fx_up("staff", "alice"), b = fx_up("staff", "bob");
	struct vd_error err;

	fx.fib_del = FX_SILENT;
	vd_session_close(b, "user request", true);
	vd_sessions_end("the gateway stops");
	fake_drain();
	ck_assert_uint_eq(vd_session_count(), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	ck_assert_uint_eq(fx.n_closed, 1); /* who ended it himself is not told */
	ck_assert_uint_eq(vd_session_new(vd_session_find(a)->chan, "staff", &(struct vd_session_owner){ NULL }, NULL, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "the gateway stops"));
	ck_assert_ptr_null(vd_peer_new(1, &vd_peer_find(vd_session_find(a)->peer)->local, &(struct vd_sa){ .port = 1 }));
	vd_sessions_finish();
	vd_sessions_finish();
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 2);
	ck_assert_uint_eq(vd_session_count(), 0);
	fake_advance(5000); /* no timer of theirs is left */
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 2);
	ck_assert_uint_eq(vd_counter("core.session.worker_timeout"), 0);
}
END_TEST

START_TEST(replace)
{
	uint64_t first = fx_up("staff", "alice"), other = fx_up("staff", "bob"), second;

	second = authenticated("staff", "alice");
	fx.trace[0] = 0;
	fx.n_done = 0;
	ck_assert_int_eq(fx_configure(second), 0);
	fake_drain();
	ck_assert_ptr_null(vd_session_find(first));
	ck_assert_int_eq(vd_session_find(other)->state, VD_S_UP);
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert(!fx.failed);
	/* The address is asked for only when the first one is gone. */
	ck_assert_msg(fx_order("closed(", "session_down ", "session_gone(", "ask-address ", "configured ", NULL), "%s",
		fx.trace);
	ck_assert_ptr_nonnull(strstr(((const struct vd_session_down *)fake_last(&vd_topic_session_down))->reason,
		"replaced by s-"));
	ck_assert_int_eq(fx_establish(second), 0);
	fake_drain();
	ck_assert_int_eq(vd_session_find(second)->state, VD_S_UP);
}
END_TEST

/* A user who is authenticated any number of times, and not admitted, earns the source no places. */
START_TEST(refused_earn_no_places)
{
	struct vd_ip from = vd_peer_find(fx.peer)->remote.ip;

	fx_up("one", "alice");
	ck_assert_uint_eq(vd_known_places(&from), 1);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(fx_configure(authenticated("one", "alice")), 0);
		fake_drain();
	}
	ck_assert_uint_eq(vd_known_places(&from), 1);
	fx_up("many", "alice");
	ck_assert_uint_eq(vd_known_places(&from), 2);
}
END_TEST

START_TEST(refuse)
{
	uint64_t first = fx_up("one", "alice"), second = authenticated("one", "alice");
	char text[VD_ID_BUF];

	ck_assert_int_eq(fx_configure(second), 0);
	fake_drain();
	ck_assert(fx.failed);
	ck_assert_str_eq(fx.stage, "admit");
	ck_assert_ptr_nonnull(strstr(fx.err.text, vd_id_format('s', first, text)));
	ck_assert_ptr_nonnull(strstr(fx.err.text, "alice is logged in as"));
	ck_assert_int_eq(vd_session_find(first)->state, VD_S_UP);
	vd_session_close(second, "refused", true);
	/* One that is just closing is waited for, not held against the user. */
	second = authenticated("one", "alice");
	fx.trace[0] = 0;
	vd_session_close(first, "gone", true);
	ck_assert_int_eq(fx_configure(second), 0);
	fake_drain();
	ck_assert(!fx.failed);
	ck_assert_msg(fx_order("session_gone(", "ask-address ", NULL), "%s", fx.trace);
}
END_TEST

START_TEST(coexist)
{
	uint64_t first = fx_up("many", "alice"), second = fx_up("many", "alice");

	ck_assert_int_eq(vd_session_find(first)->state, VD_S_UP);
	ck_assert_int_eq(vd_session_find(second)->state, VD_S_UP);
	/* A connection that replaces does so for all sessions of the user in this realm. */
	fx_up("staff", "alice");
	ck_assert_ptr_null(vd_session_find(first));
	ck_assert_ptr_null(vd_session_find(second));
}
END_TEST

/* A user does not fill the gateway's places with sessions of his own; the ones he has stay. */
START_TEST(coexist_has_an_end)
{
	uint64_t sessions[8], other;

	for (unsigned i = 0; i < 8; i++)
		sessions[i] = fx_up("many", "alice");
	other = authenticated("many", "alice");
	ck_assert_int_eq(fx_configure(other), 0);
	fake_drain();
	ck_assert(fx.failed);
	ck_assert_str_eq(fx.stage, "admit");
	ck_assert_ptr_nonnull(strstr(fx.err.text, "alice has 8 sessions already"));
	vd_session_close(other, "refused", true);
	fake_drain();
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(vd_session_find(sessions[i])->state, VD_S_UP);
	fx_up("many", "bob");
	vd_session_close(sessions[3], "gone", true);
	fake_drain();
	fx_up("many", "alice");
}
END_TEST

START_TEST(logins_race)
{
	uint64_t up = fx_up("staff", "alice"), a, b, c;

	a = authenticated("staff", "alice");
	b = authenticated("staff", "alice");
	c = authenticated("staff", "alice");
	fx.session_del = FX_SILENT; /* the one that is up takes a second to go */
	fx.n_done = 0;
	ck_assert_int_eq(fx_configure(a), 0);
	ck_assert_int_eq(fx_configure(b), 0);
	fake_drain();
	ck_assert_int_eq(fx_configure(c), 0);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, 0);
	ck_assert_ptr_null(vd_session_find(a)); /* b and c came later; a had nothing on workers */
	ck_assert_ptr_null(vd_session_find(b));
	ck_assert_ptr_nonnull(vd_session_find(up));
	fake_advance(1000);
	ck_assert_ptr_null(vd_session_find(up));
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert(!fx.failed);
	ck_assert_int_eq(vd_session_find(c)->state, VD_S_CONFIGURING);
	ck_assert_uint_eq(vd_session_count(), 1);
}
END_TEST

START_TEST(limit_and_ids)
{
	uint64_t ids[20], last = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(ids); i++) {
		ids[i] = fx_new("staff");
		ck_assert_uint_gt(ids[i], last);
		last = ids[i];
	}
	ck_assert_uint_eq(fx_new("staff"), 0);
	ck_assert_ptr_nonnull(strstr(fx.err.text, "max_sessions"));
	vd_session_close(ids[0], "gone", true);
	fake_drain();
	ck_assert_uint_gt(fx_new("staff"), last);
	ck_assert_uint_eq(vd_session_new(999999, "staff", &fx_owner, NULL, &fx.err), 0);
}
END_TEST

START_TEST(session_timeout)
{
	uint64_t id;

	fx.grant.session_timeout = 30;
	id = fx_up("staff", "alice");
	fake_advance(29999);
	ck_assert_ptr_nonnull(vd_session_find(id));
	fake_advance(1);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fx.n_closed, 1);
	ck_assert_str_eq(((const struct vd_session_down *)fake_last(&vd_topic_session_down))->reason, "session timeout");
}
END_TEST

START_TEST(idle_timeout)
{
	uint64_t id;

	fx.grant.idle_timeout = 90;
	id = fx_up("staff", "alice");
	fake_advance(60000); /* seen within 11.25 s */
	ck_assert_ptr_nonnull(vd_session_find(id));
	fx.more_packets = 1;
	fake_advance(89999);
	ck_assert_ptr_nonnull(vd_session_find(id));
	fake_advance(12000);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fx.n_closed, 1);
	ck_assert_str_eq(((const struct vd_session_down *)fake_last(&vd_topic_session_down))->reason, "idle timeout");
	/* and nobody looks at a session that may be idle */
	fx.grant.idle_timeout = 0;
	id = fx_up("staff", "bob");
	fake_advance(365 * 86400000ull);
	ck_assert_ptr_nonnull(vd_session_find(id));
}
END_TEST

/* The owner never says that its client agreed: the address is not held for ever. */
START_TEST(stuck_between_steps)
{
	uint64_t s = fx_new("staff");

	fx_auth(s, "alice");
	fake_drain();
	fx_configure(s);
	fake_drain();
	ck_assert_int_eq(vd_session_find(s)->state, VD_S_CONFIGURING);
	fake_advance(59999);
	ck_assert_int_eq(vd_session_find(s)->state, VD_S_CONFIGURING);
	fake_advance(1);
	ck_assert_ptr_null(vd_session_find(s));
	ck_assert_uint_eq(fx.n_closed, 1);
	ck_assert_uint_eq(fx.in_use, 0);
	/* one that comes up in time stays */
	s = fx_up("staff", "bob");
	fake_advance(120000);
	ck_assert_int_eq(vd_session_find(s)->state, VD_S_UP);
}
END_TEST

static char lines[2048];
static unsigned n_lines;

static void on_line(void *arg, enum vd_log_level level, const char *line)
{
	size_t len = strlen(lines);

	(void)arg;
	if (level <= VD_LOG_NOTICE) {
		n_lines++;
		vd_format(lines + len, sizeof(lines) - len, "%s\n", line);
	}
}

static char taken[2048];
static bool takes = true;

static bool on_record(void *arg, const struct vd_log_record *r)
{
	size_t len = strlen(taken);

	ck_assert_ptr_eq(arg, taken);
	ck_assert_uint_gt(r->time, 1600000000000u);
	vd_format(taken + len, sizeof(taken) - len, "%s|%s|%s|%s|%s|%s\n", vd_log_level_name(r->level), r->area, r->ids.session ? "s" : "-",
		r->user, r->code, r->text);
	return takes;
}

/* Sinks get what a line is made of, and the user of a session even from who did not know him. */
START_TEST(records_for_sinks)
{
	uint64_t s;

	ck_assert_int_eq(vd_lifelog_init(), 0);
	vd_log_set_level(VD_LOG_NOTICE);
	vd_log_sink(on_line, NULL);
	ck_assert_int_eq(vd_log_sink_add(on_record, taken, VD_LOG_INSTEAD), 0);
	n_lines = 0;
	s = fx_up("staff", "alice");
	ck_assert_msg(!strncmp(taken, "notice|life|s|alice|session-up|up: user alice has ", 50), "%s", taken);
	taken[0] = '\0';
	vd_log(VD_LOG_WARNING, "ppp", &(struct vd_ids){ .session = s }, "odd\001 %d", 7);
	vd_log(VD_LOG_WARNING, "ppp", &(struct vd_ids){ .session = s + 100 }, "nobody's");
	vd_log(VD_LOG_DEBUG, "ppp", NULL, "not at this level");
	ck_assert_str_eq(taken, "warning|ppp|s|alice||odd\\x01 7\nwarning|ppp|s|||nobody's\n");
	ck_assert_uint_eq(n_lines, 0); /* taken instead */
	takes = false;
	fx.auth = FX_REJECT;
	taken[0] = '\0';
	fx_auth(fx_new("staff"), "mallory");
	fake_drain();
	ck_assert_msg(!strncmp(taken, "notice|life|s||user-refused|auth failed, claimed user mallory at ", 65), "%s", taken);
	ck_assert_uint_eq(n_lines, 1); /* not taken */
	takes = true;
	for (unsigned i = 1; i < 8; i++)
		ck_assert_int_eq(vd_log_sink_add(on_record, taken, 0), 0);
	ck_assert_int_eq(vd_log_sink_add(on_record, taken, 0), -ENOSPC);
	for (unsigned i = 0; i < 9; i++)
		vd_log_sink_remove(on_record, taken);
	taken[0] = '\0';
	vd_log(VD_LOG_WARNING, "ppp", NULL, "to nobody");
	ck_assert_str_eq(taken, "");
	vd_log_sink(NULL, NULL);
}
END_TEST

/* One peer is followed: every record about it is written, also of its session, and before it is a peer; nothing of others. */
START_TEST(watched_peer)
{
	struct vd_sa other = { .ip = vd_ip4(0xcb007106), .port = 500 }, same = { .ip = vd_ip4(0xcb007105), .port = 500 };
	struct vd_prefix network;
	uint64_t s = fx_up("staff", "alice");
	unsigned n_forged = 0;

	ck_assert(vd_prefix_parse("203.0.113.5", &network));
	vd_log_set_level(VD_LOG_NOTICE);
	ck_assert_int_eq(vd_log_sink_add(on_record, taken, VD_LOG_INSTEAD), 0);
	taken[0] = '\0';
	vd_log(VD_LOG_DEBUG, "ppp", &(struct vd_ids){ .session = s }, "before");
	ck_assert_int_eq(vd_log_watch(&network), 0);
	ck_assert_int_eq(vd_log_watch(&network), -EEXIST);
	ck_assert(!vd_log_enabled(VD_LOG_DEBUG, "ppp", NULL));
	vd_log(VD_LOG_DEBUG, "ppp", &(struct vd_ids){ .session = s }, "session");
	vd_log(VD_LOG_DEBUG, "ppp", &(struct vd_ids){ .peer = vd_session_find(s)->peer }, "peer");
	vd_log(VD_LOG_DEBUG, "ppp", &(struct vd_ids){ .chan = vd_session_find(s)->chan }, "channel");
	vd_log(VD_LOG_DEBUG, "ike", &(struct vd_ids){ .remote = &same }, "address");
	vd_log(VD_LOG_DEBUG, "ike", &(struct vd_ids){ .remote = &other }, "another");
	vd_log(VD_LOG_DEBUG, "ike", NULL, "nobody");
	vd_note('s', s, "step");
	vd_log_unwatch();
	vd_log(VD_LOG_DEBUG, "ppp", &(struct vd_ids){ .session = s }, "after");
	for (unsigned i = 0; i < 5; i++)
		ck_assert_msg(strstr(taken, ((const char *[]){ "|session", "|peer", "|channel", "ike|-|||address", "|step" })[i]) != NULL, "%u in %s", i, taken);
	ck_assert_msg(!strstr(taken, "before") && !strstr(taken, "after") && !strstr(taken, "another") && !strstr(taken, "nobody"), "%s", taken);
	/* Whoever forges that address does not fill the log; a second later it is followed again. */
	ck_assert_int_eq(vd_log_watch(&network), 0);
	for (unsigned i = 0; i < 10 * VD_LOG_WATCHED_RATE; i++) {
		taken[0] = '\0';
		vd_log(VD_LOG_DEBUG, "ike", &(struct vd_ids){ .remote = &same }, "forged");
		n_forged += taken[0] != '\0';
	}
	ck_assert_uint_gt(n_forged, VD_LOG_WATCHED_RATE / 2);
	ck_assert_uint_le(n_forged, VD_LOG_WATCHED_RATE);
	ck_assert_uint_gt(vd_counter("log.watched_left_out"), 0);
	fake_advance(1000);
	ck_assert(vd_log_enabled(VD_LOG_DEBUG, "ike", &(struct vd_ids){ .remote = &same }));
	vd_log_unwatch();
	for (unsigned i = 0; i < VD_LOG_WATCHED_MAX; i++) {
		network.ip = vd_ip4(0x0a000000 + i);
		ck_assert_int_eq(vd_log_watch(&network), 0);
	}
	network.ip = vd_ip4(0x0b000000);
	ck_assert_int_eq(vd_log_watch(&network), -ENOSPC);
	vd_log_unwatch();
	vd_log_sink_remove(on_record, taken);
}
END_TEST

/* At the default level: a session that comes and goes leaves a line for each, a refused login exactly one. */
static void listen_to_life(void)
{
	ck_assert_int_eq(vd_lifelog_init(), 0);
	lines[0] = '\0';
	n_lines = 0;
	vd_log_sink(on_line, NULL);
}

START_TEST(life_in_the_log)
{
	uint64_t s;

	listen_to_life();
	s = fx_up("staff", "alice");
	fake_advance(5000);
	vd_session_close(s, "the user hung up", true);
	fake_drain();
	ck_assert_uint_eq(n_lines, 2);
	ck_assert_ptr_nonnull(strstr(lines, ": up: user alice has 10.8.0.23 on connection staff\n"));
	ck_assert_ptr_nonnull(strstr(lines, ": down: user alice, the user hung up; 5 s, "));
	n_lines = 0;
	lines[0] = '\0';
	fx.auth = FX_REJECT;
	s = fx_new("staff");
	fx_auth(s, "mallory");
	fake_drain();
	vd_session_close(s, "authentication failed", true);
	fake_drain();
	ck_assert_uint_eq(n_lines, 1);
	ck_assert_ptr_nonnull(strstr(lines, ": auth failed, claimed user mallory at 203.0.113.5:4500: user mallory was refused by "));
	vd_log_sink(NULL, NULL);
}
END_TEST

/* Failures that the holders of a key can provoke do not fill the log, nor keep the lines of users out of it; most of them are not
 * even events. What is left out is counted. */
START_TEST(provoked_lines)
{
	const struct vd_report provoked = { .kind = &vd_fail_other, .peer = fx.peer, .stage = "test", .difference = "provoked" };

	listen_to_life();
	fake_watch(&vd_topic_setup_failed);
	for (unsigned i = 0; i < 300; i++) {
		vd_report_failure(&provoked);
		fake_drain();
		fake_advance(10);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 100);
	ck_assert_uint_eq(vd_counter("core.report.unreported"), 200);
	ck_assert_uint_eq(n_lines, 30);
	n_lines = 0;
	lines[0] = '\0';
	fx_up("staff", "alice");
	ck_assert_ptr_nonnull(strstr(lines, ": up: user alice has 10.8.0.23 on connection staff\n"));
	vd_log_sink(NULL, NULL);
}
END_TEST

START_TEST(wrong_order)
{
	uint64_t id = fx_new("staff");

	ck_assert_int_eq(fx_configure(id), -EINVAL);
	ck_assert_int_eq(fx_establish(id), -EINVAL);
	id = fx_up("staff", "alice");
	ck_assert_int_eq(fx_auth(id, "alice"), -EINVAL);
	ck_assert_int_eq(fx_configure(id), -EINVAL);
	ck_assert_int_eq(fx_establish(id), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session");
	TCase *t = tcase_create("life");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, fx_start, fx_stop);
	tcase_add_test(t, comes_up_and_goes);
	tcase_add_test(t, dedicated_address_and_pool);
	tcase_add_test(t, authentication_fails);
	tcase_add_test(t, rounds_go_on);
	tcase_add_test(t, authentication_times_out);
	tcase_add_test(t, no_realm);
	tcase_add_loop_test(t, a_step_fails, 0, VD_ARRAY_SIZE(failures));
	tcase_add_loop_test(t, closed_while_open, 0, VD_ARRAY_SIZE(open_steps));
	tcase_add_loop_test(t, closed_just_before_the_answer, 0, 3);
	tcase_add_loop_test(t, closed_inside_done, 0, VD_ARRAY_SIZE(failures) + 1);
	tcase_add_loop_test(t, workers_that_never_answer, 0, 2);
	tcase_add_test(t, replace);
	tcase_add_test(t, refuse);
	tcase_add_test(t, refused_earn_no_places);
	tcase_add_test(t, coexist);
	tcase_add_test(t, coexist_has_an_end);
	tcase_add_test(t, logins_race);
	tcase_add_test(t, limit_and_ids);
	tcase_add_test(t, session_timeout);
	tcase_add_test(t, end_of_all);
	tcase_add_test(t, idle_timeout);
	tcase_add_test(t, stuck_between_steps);
	tcase_add_test(t, life_in_the_log);
	tcase_add_test(t, provoked_lines);
	tcase_add_test(t, records_for_sinks);
	tcase_add_test(t, watched_peer);
	tcase_add_test(t, wrong_order);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
