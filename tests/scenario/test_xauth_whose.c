/* Whose tunnel it is: a client with XAuth whose user changes, or claims to be another one; and its message ids. */
#include <check.h>
#include <string.h>

#include "core/object/object.h"
#include "tests/scenario/xauth.h"

static void again_as(const char *user, const char *password)
{
	r.user = user;
	r.password = password;
	r.xauth.asked = 0;
	robot_phase1(&r);
	wire_pump();
}

/* Of one user's tunnel, what another one's on the same machine takes the place of. */
struct tunnel {
	struct robot_sa out;
	uint8_t address[4];
};

static struct tunnel swap(struct tunnel other)
{
	struct tunnel was = { .out = r.out };

	memcpy(was.address, r.address, 4);
	r.out = other.out;
	memcpy(r.address, other.address, 4);
	return was;
}

static const uint8_t alices[4] = { 10, 8, 0, 11 }, bobs[4] = { 10, 8, 0, 12 };

static const struct vd_session *session_of(const char *user)
{
	const struct vd_session *s = NULL;

	while ((s = vd_session_after((struct vd_session *)s)) != NULL && strcmp(s->user, user) != 0)
		;
	return s;
}

/* A new phase 1, same endpoint and identity, another user: he has a tunnel of his own, and hers stays as it is, with all that
 * belongs to it. With initial contact as well: who else has this endpoint is not known. */
START_TEST(test_another_user)
{
	start();
	logged_in();
	uint64_t id = session_of("alice")->id;
	struct tunnel hers = swap((struct tunnel){ 0 });
	again_as("bob", "bob-password");
	r.ike[1].c.initial_contact = _i;
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_pump();
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert_mem_eq(r.address, bobs, 4);
	ck_assert_uint_eq(vd_session_count(), 2);
	ck_assert_uint_eq(vd_peer_count(), 2);
	ck_assert_uint_eq(vd_chan_count(), 2);
	ck_assert_uint_eq(gateway_leases(), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(session_of("alice")->id, id);
	ck_assert_uint_eq(session_of("bob")->state, VD_S_UP);
	steps_ping(&r);
	/* Her address is no source of his. */
	unsigned tun = wire.n_tun;
	robot_ping(&r, alices, 1);
	wire_pump();
	ck_assert_uint_eq(wire.n_tun, tun);
	struct tunnel his = swap(hers);
	steps_ping(&r);
	hers = swap(his);
	/* He goes, and names all SAs of the machine: she does not. */
	struct robot_sa in[VD_ARRAY_SIZE(r.in)];
	memcpy(in, r.in, sizeof(in));
	robot_delete_esp(&r, true);
	robot_delete_ike(&r);
	wire_wait(1000);
	ck_assert_ptr_null(session_of("bob"));
	ck_assert_uint_eq(vd_peer_count(), 1);
	memcpy(r.in, in, sizeof(in));
	swap(hers);
	steps_ping(&r);
	stop();
}
END_TEST

/* While he is asked, and when he was refused, what he says of her SAs is not believed. */
static void delete_hers(void)
{
	struct robot_sa in = r.in[0], out = r.out;

	robot_delete_esp(&r, true);
	r.in[0] = in;
	r.out = out;
	wire_pump();
}

static void of_ike_sa(unsigned type, unsigned message, const struct client *sa)
{
	static uint32_t mid = 0x50000000u;
	struct msg m;
	uint8_t body[24] = { 0, 0, 0, 1, 1, 16, (uint8_t)(message >> 8), (uint8_t)message };

	memcpy(body + 8, sa->ic, 8);
	memcpy(body + 16, sa->rc, 8);
	client_info(&r.ike[0].c, ++mid, (uint8_t)type, body, sizeof(body), &m);
	robot_ike_send(&r, &m);
	wire_pump();
}

START_TEST(test_not_believed)
{
	struct client old = { 0 };

	start();
	logged_in();
	memcpy(old.ic, r.ike[0].c.ic, 8);
	memcpy(old.rc, r.ike[0].c.rc, 8);
	r.xauth.silent = true;
	again_as("bob", "bob-password");
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert(!r.xauth.refused);
	ck_assert_uint_eq(vd_peer_count(), 2);
	delete_hers();
	steps_ping(&r);
	of_ike_sa(11, 24578, &r.ike[0].c); /* INITIAL-CONTACT */
	steps_ping(&r);
	of_ike_sa(12, 1, &old); /* Delete */
	steps_ping(&r);
	/* When his time is over hers is what it was, and what her peer lives by. */
	wire_wait(125000);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_chan_count(), 1);
	const struct vd_timeline *hers = vd_timeline_find('p', session_of("alice")->peer);
	for (unsigned i = 0; i < hers->n; i++)
		ck_assert_msg(!strstr(hers->v[i].text, "IKE SA is gone"), "%s", hers->v[i].text);
	steps_ping(&r);
	stop();
}
END_TEST

/* Her own client, which says so in message 5, began anew: nothing of before is left, and she gets her address, which is free by
 * then, whatever else is thought of second logins. */
static const char *const second_logins[] = {
	GATEWAY_XAUTH_ALL("", "second_login: replace, ", "", ""), GATEWAY_XAUTH_ALL("", "second_login: refuse, ", "", ""),
	GATEWAY_XAUTH_ALL("", "second_login: coexist, ", "", ""),
};

static size_t peers_at_admission;

static void on_admission(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	peers_at_admission = vd_peer_count();
	vd_reply(ask->ticket, VD_PASS, NULL, NULL);
}

START_TEST(test_began_anew)
{
	gateway_start(second_logins[_i]);
	client(ROBOT_APPLE, "alice-password");
	logged_in();
	ck_assert_int_eq(vd_provide(NULL, "admit", "test", on_admission, on_cancel, NULL), 0);
	uint64_t id = session_of("alice")->id;
	memset(r.address, 0, sizeof(r.address));
	r.out.live = false;
	robot_phase1(&r);
	r.ike[1].c.initial_contact = true;
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_pump();
	ck_assert_mem_eq(r.address, alices, 4);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_ne(session_of("alice")->id, id);
	ck_assert_uint_eq(peers_at_admission, 1);
	steps_ping(&r);
	stop();
}
END_TEST

static const char *const full[] = { GATEWAY_XAUTH_ALL("max_peers: 1, ", "", "", ""),
	GATEWAY_XAUTH_ALL("max_sessions: 1, ", "", "", "") };

/* She goes on without that: with her session, her address and her SAs, whatever else is thought of second logins, and where nobody
 * else may come in. */
START_TEST(test_goes_on)
{
	gateway_start(_i < 3 ? second_logins[_i] : full[_i - 3]);
	client(ROBOT_APPLE, "alice-password");
	logged_in();
	uint64_t id = session_of("alice")->id, peer = session_of("alice")->peer;
	again_as("alice", "alice-password");
	ck_assert(wire_until(robot_phase1_done, &r, 2000));
	wire_pump();
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(session_of("alice")->id, id);
	ck_assert_uint_eq(session_of("alice")->peer, peer);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(vd_counter("ike_v1.reattached"), 1);
	steps_ping(&r);
	wire_wait(31000); /* the old IKE SA is gone: the new one serves */
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 2000));
	steps_ping(&r);
	robot_delete_esp(&r, false);
	wire_pump();
	steps_ping(&r);
	/* What her new IKE SA says of her tunnel is believed. */
	robot_delete_esp(&r, true);
	robot_delete_ike(&r);
	wire_wait(1000);
	gateway_empty();
	stop();
}
END_TEST

/* That is not for another user. */
START_TEST(test_full)
{
	gateway_start(full[_i]);
	client(ROBOT_APPLE, "alice-password");
	logged_in();
	again_as("bob", "bob-password");
	ck_assert(r.xauth.refused && !r.xauth.passed);
	the_report(&vd_fail_not_admitted, _i ? "all 1 sessions are taken; raise gateway.max_sessions" : "raise gateway.max_peers");
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* Logins that nobody brings to an end, beside a tunnel: a few are kept, the oldest goes. */
START_TEST(test_crowded)
{
	start();
	logged_in();
	struct tunnel hers = { r.out, { 10, 8, 0, 11 } };
	r.xauth.silent = true;
	for (unsigned i = 0; i < 6; i++) {
		again_as("bob", "bob-password");
		ck_assert_uint_eq(r.xauth.asked, 1);
		ck_assert_uint_eq(vd_peer_count(), i < 4 ? i + 2 : 5);
	}
	ck_assert_uint_eq(vd_counter("ike_v1.refused.crowded"), 2);
	swap(hers);
	steps_ping(&r);
	wire_wait(125000);
	ck_assert_uint_eq(vd_peer_count(), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* A wrong password on a new phase 1 ends nothing that is there, and is reported. */
START_TEST(test_wrong_again)
{
	start();
	logged_in();
	again_as("alice", "guessed");
	ck_assert(r.xauth.refused);
	the_report(&vd_fail_password, "wrong password");
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&r);
	stop();
}
END_TEST

/* With another spelling, as from a client that was set up with a domain: the account counts. */
START_TEST(test_same_user_otherwise)
{
	start();
	logged_in();
	again_as("corp\\alice", "alice-password");
	ck_assert(wire_until(robot_phase1_done, &r, 2000));
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	steps_ping(&r);
	stop();
}
END_TEST

/* Two phase 1 of one client at the same time, before either has a session: another one comes while alice's address is still on
 * its way. Each user has one tunnel at the end. */
static struct {
	uint64_t ticket;
	unsigned asked;
} admit;

static void on_admit(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	if (admit.asked++ == 0)
		admit.ticket = ask->ticket;
	else
		vd_reply(ask->ticket, VD_PASS, NULL, NULL);
}

START_TEST(test_two_at_once)
{
	start();
	memset(&admit, 0, sizeof(admit));
	ck_assert_int_eq(vd_provide(NULL, "admit", "test", on_admit, on_cancel, NULL), 0);
	dial();
	ck_assert_uint_eq(admit.asked, 1);
	r.user = _i ? "alice" : "bob", r.password = _i ? "alice-password" : "bob-password";
	robot_phase1(&r);
	wire_pump();
	ck_assert_uint_eq(admit.asked, 2);
	vd_reply(admit.ticket, VD_PASS, NULL, NULL);
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_wait(1000);
	ck_assert_uint_eq(vd_session_count(), _i ? 1 : 2);
	ck_assert_uint_eq(gateway_leases(), _i ? 1 : 2);
	ck_assert_mem_eq(session_of(r.user)->lease4.address.a, r.address, 4);
	steps_ping(&r);
	robot_quick(&r); /* the peer knows whose tunnel it is, too */
	ck_assert(wire_until(robot_quick_done, &r, 2000));
	steps_ping(&r);
	stop();
}
END_TEST

/* ---- message ids ---- */
static void ask_with(uint32_t mid, unsigned id, unsigned type)
{
	uint8_t p[8] = { 1, 0, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(type >> 8), (uint8_t)type, 0, 0 }, iv[16];
	struct msg m;

	client_cfg(&r.ike[0].c, mid, true, iv, p, sizeof(p), &m);
	robot_ike_send(&r, &m);
	wire_pump();
}

/* A question of its own is answered once; the same octets get the same answer, another question under that message id none. The
 * identifier within says nothing: it may be used again. */
START_TEST(test_message_ids)
{
	start();
	logged_in();
	unsigned down = wire.count[WIRE_DOWN];
	ask_with(0x31000001, 7, 1);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 1);
	ask_with(0x31000001, 7, 1);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 2);
	ck_assert_uint_eq(vd_counter("ike_v1.duplicate.transaction"), 1);
	ask_with(0x31000001, 8, 3);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 2);
	ck_assert_uint_eq(vd_counter("ike_v1.drop.transaction_replay"), 1);
	ask_with(0x31000002, 7, 3);
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	ask_with(0x31000001, 7, 1); /* forgotten, and known as used: no answer */
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	ck_assert_uint_eq(vd_counter("ike_v1.drop.transaction_replay"), 2);
	ask_with(r.xauth.mid, 7, 1); /* one of ours */
	ck_assert_uint_eq(wire.count[WIRE_DOWN], down + 3);
	steps_ping(&r);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_xauth_whose");
	TCase *t = tcase_create("whose");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_another_user, 0, 2);
	tcase_add_test(t, test_not_believed);
	tcase_add_loop_test(t, test_began_anew, 0, 3);
	tcase_add_loop_test(t, test_goes_on, 0, 5);
	tcase_add_loop_test(t, test_full, 0, 2);
	tcase_add_test(t, test_crowded);
	tcase_add_test(t, test_wrong_again);
	tcase_add_test(t, test_same_user_otherwise);
	tcase_add_loop_test(t, test_two_at_once, 0, 2);
	tcase_add_test(t, test_message_ids);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
