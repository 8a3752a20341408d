/* Clients with XAuth: what they are told, what is refused, and how it is said. Lost and repeated messages of the same
 * conversations are in test_loss. */
#include <check.h>
#include <string.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "core/report/report.h"
#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/scenario/stock.h"
#include "tests/lib/failures.h"

static struct robot r;

static void start(const char *yaml, int kind, const char *password)
{
	gateway_start(yaml);
	robot_init(&r, 0, "alice", password, true);
	r.xauth.kind = kind;
}

static void stop(void)
{
	r.silent = true;
	for (unsigned minutes = 0; minutes < 20; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

static void dial(void)
{
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	wire_pump();
}

static const struct vd_setup_failed *the_report(const struct vd_failure *kind)
{
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(!strcmp(f->kind, kind->word), "%s", f->text);
	ck_assert_ptr_null(strstr(f->text, "guessed"));
	return f;
}

START_TEST(test_what_is_told)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert_str_eq(r.xauth.banner, "Welcome");
	ck_assert_str_eq(r.xauth.domain, "corp.example.com");
	ck_assert(r.xauth.save_password);
	ck_assert_uint_eq(r.xauth.split_len, 28);
	ck_assert_mem_eq(r.xauth.split, "\xc0\0\2\0\xff\xff\xff\0\0\0\0\0\0\0" "\x0a\1\0\0\xff\xff\0\0\0\0\0\0\0\0", 28);
	steps_ping(&r);
	const struct vd_session *s = vd_session_after(NULL);
	ck_assert_str_eq(s->user, "alice");
	ck_assert_uint_eq(s->state, VD_S_UP);
	/* 1500 less 20 IP, 8 UDP, 8 ESP, 16 IV, 16 ICV: whole blocks of 16, two octets of trailer. */
	ck_assert_uint_eq(s->mtu, 1424 - 2);
	steps_hang_up(&r);
	stop();
}
END_TEST

START_TEST(test_full_tunnel)
{
	start(GATEWAY_XAUTH(""), ROBOT_ANDROID, "alice-password");
	r.old = true;
	steps_login(&r, GATEWAY_PSK_DEVICES, 11);
	ck_assert_uint_eq(r.xauth.split_len, 0);
	ck_assert_str_eq(r.xauth.banner, "");
	steps_ping(&r);
	steps_hang_up(&r);
	stop();
}
END_TEST

START_TEST(test_password_not_to_be_kept)
{
	start(GATEWAY_XAUTH("save_password: false, "), ROBOT_APPLE, "alice-password");
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	ck_assert(!r.xauth.save_password);
	steps_hang_up(&r);
	stop();
}
END_TEST

/* A pair of SAs for each network: what comes from one goes through its own. */
START_TEST(test_split_networks)
{
	uint8_t p[ROBOT_ICMP_LEN];
	uint32_t first;

	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	r.xauth.wants_split = true;
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	ck_assert_uint_eq(r.xauth.next_split, 2);
	ck_assert(r.in[0].live && r.in[1].live);
	ck_assert_uint_eq(vd_session_count(), 1);
	first = r.in[0].seq;
	robot_icmp(p, 0, 9, (const uint8_t[]){ 10, 1, 7, 7 }, r.address);
	vd_datapath_inject_tun(r.address[3] % 2, NULL, p, sizeof(p));
	wire_pump();
	ck_assert_uint_eq(r.in[0].seq, first + 1);
	ck_assert_uint_eq(r.in[1].seq, 0);
	robot_pong(r.address, 10); /* of 192.0.2.77, the first network */
	wire_pump();
	ck_assert_uint_eq(r.in[1].seq, 1);
	ck_assert_uint_eq(r.n_packets, 2);
	/* From neither: nothing that the client made an SA for. */
	robot_icmp(p, 0, 11, (const uint8_t[]){ 172, 16, 0, 1 }, r.address);
	vd_datapath_inject_tun(r.address[3] % 2, NULL, p, sizeof(p));
	wire_pump();
	ck_assert_uint_eq(r.n_packets, 2);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SELECTOR), 1);
	steps_hang_up(&r);
	stop();
}
END_TEST

/* The same password again does not count against the account; another one does. */
START_TEST(test_wrong_password)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "guessed");
	dial();
	ck_assert(r.xauth.refused);
	ck_assert_uint_eq(r.xauth.asked, 2);
	ck_assert_str_eq(r.xauth.message, "Wrong user name or password.");
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	ck_assert_uint_eq(r.deletes_ike, 1);
	const struct vd_setup_failed *f = the_report(&vd_fail_password);
	ck_assert_str_eq(f->stage, "auth");
	ck_assert(vd_report_is_about(f, "alice"));
	ck_assert_ptr_nonnull(strstr(f->text, "wrong password: users/office knows user alice"));
	stop();
}
END_TEST

static void one_more(void)
{
	static char password[] = "guess-0";

	if (r.xauth.asked == 2)
		r.password = "alice-password";
	else if (r.xauth.asked < 2)
		password[6]++, r.password = password;
}

START_TEST(test_second_thought)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "guessed");
	wire.delivered = one_more; /* its user types another one */
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	wire.delivered = NULL;
	ck_assert_uint_ge(r.xauth.asked, 2);
	ck_assert_uint_ge(fake_events(&vd_topic_auth_failed), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0); /* it has got in */
	steps_ping(&r);
	steps_hang_up(&r);
	stop();
}
END_TEST

static void always_another(void)
{
	static char password[] = "guess-0";

	password[6]++;
	r.password = password;
}

START_TEST(test_three_passwords)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "guessed");
	wire.delivered = always_another;
	dial();
	wire.delivered = NULL;
	ck_assert(r.xauth.refused);
	ck_assert_uint_eq(r.xauth.asked, 3);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 3);
	the_report(&vd_fail_password);
	stop();
}
END_TEST

static void no_more(void)
{
	r.xauth.silent = r.xauth.asked > 0;
}

/* Its user has no other one, or went to look for it: reported once, as what it was. */
START_TEST(test_wrong_and_away)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "guessed");
	wire.delivered = no_more;
	dial();
	wire.delivered = NULL;
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	for (unsigned i = 0; i < 300; i++) {
		fake_advance(1000);
		wire_pump();
	}
	the_report(&vd_fail_password);
	stop();
}
END_TEST

START_TEST(test_silent_user)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	r.xauth.silent = true;
	dial();
	wire_wait(119000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(r.xauth.asked, 5); /* repeated, not for ever */
	wire_wait(2000);
	const struct vd_setup_failed *f = the_report(&ike_fail_xauth_silent);
	ck_assert_ptr_nonnull(strstr(f->text, "the client was asked for name and password by XAuth, and did not answer in 120 s"));
	ck_assert_uint_eq(vd_peer_count(), 0);
	ck_assert_uint_eq(vd_session_count(), 0);
	stop();
}
END_TEST

/* A tunnel says nothing by itself: its client is asked, and what does not answer is let go. */
START_TEST(test_asked_whether_it_lives)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	r.dpd = true;
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	wire_wait(20 * 60000);
	ck_assert_uint_ge(r.dpd_asked, 19);
	ck_assert_uint_eq(vd_session_count(), 1);
	steps_ping(&r);
	r.silent = true;
	wire_wait(9 * 60000);
	ck_assert_uint_eq(vd_session_count(), 1);
	wire_wait(2 * 60000);
	gateway_empty();
	stop();
}
END_TEST

/* Nothing works before XAuth, whoever tries. */
START_TEST(test_quick_mode_first)
{
	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	r.xauth.silent = true;
	dial();
	memcpy(r.ike[0].c.tunnel, "\x0a\x08\0\x0b", 4);
	memcpy(r.address, "\x0a\x08\0\x0b", 4);
	robot_quick(&r);
	wire_wait(5000);
	ck_assert(r.quick);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	the_report(&ike_fail_xauth_skipped);
	stop();
}
END_TEST

/* Somebody else's address, and a network that nobody routes. */
START_TEST(test_selectors)
{
	uint8_t own[4];

	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	memcpy(own, r.address, 4);
	r.address[3]++;
	robot_quick(&r);
	wire_pump();
	ck_assert(r.quick);
	const struct vd_setup_failed *f = the_report(&ike_fail_tunnel_selectors);
	ck_assert_ptr_nonnull(strstr(f->text, "10.8.0.12"));
	ck_assert_ptr_nonnull(strstr(f->text, "not the address that it was given"));
	memcpy(r.address, own, 4);
	memcpy(r.ike[0].c.tunnel + 4, "\xac\x10\0\0\xff\xff\0\0", 8);
	robot_quick(&r);
	wire_pump();
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 2);
	f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "172.16.0.0/16"));
	r.quick = false;
	steps_ping(&r); /* what was there stays */
	steps_hang_up(&r);
	stop();
}
END_TEST

/* Plain L2TP with the same key is another thing altogether, and both work next to each other. */
START_TEST(test_beside_l2tp)
{
	static struct robot other;

	start(GATEWAY_XAUTH(""), ROBOT_APPLE, "alice-password");
	robot_init(&other, 1, "bob", "bob-password", true);
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	wire_add(&other);
	robot_dial(&other, GATEWAY_PSK_STAFF);
	ck_assert(wire_until(robot_up, &other, 1000));
	ck_assert_uint_eq(vd_session_count(), 2);
	steps_ping(&r);
	steps_ping(&other);
	steps_hang_up(&other);
	steps_hang_up(&r);
	other.silent = true;
	robot_free(&other);
	stop();
}
END_TEST

/* No name, or one that is longer than any: nobody is asked whether it is right. */
START_TEST(test_useless_answer)
{
	static char name[600];

	start(GATEWAY_XAUTH(""), _i ? ROBOT_ANDROID : ROBOT_APPLE, "alice-password");
	memset(name, 'a', sizeof(name) - 1);
	r.user = _i ? name : "";
	dial();
	ck_assert(r.xauth.refused);
	ck_assert(!r.xauth.passed);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 0);
	const struct vd_setup_failed *f = the_report(&ike_fail_xauth_answer);
	ck_assert_ptr_nonnull(strstr(f->text, _i ? "name or password is too long" : "name or password is missing"));
	ck_assert_uint_eq(vd_session_count(), 0);
	stop();
}
END_TEST

/* What is sold, octet by octet: without NAT and behind one, in main mode and, with a group's name, in aggressive mode. Then both
 * its SAs are made anew, and it keeps its address. */
START_TEST(test_stock)
{
	const struct stock *sold = &xauth_stocks[_i / 4];

	gateway_start(_i / 2 % 2 ? GATEWAY_GROUPS : GATEWAY_XAUTH(""));
	robot_init(&r, 0, "alice", "alice-password", _i % 2);
	r.xauth.kind = _i / 4 ? ROBOT_ANDROID : ROBOT_APPLE;
	r.stock = sold;
	r.group = _i / 2 % 2 ? _i / 4 ? "phones" : "sales" : NULL;
	steps_login(&r, sold->psk, 11);
	const struct vd_session *s = vd_session_after(NULL);
	ck_assert_ptr_nonnull(s);
	ck_assert_str_eq(s->user, "alice"); /* without the terminator that Android sends */
	ck_assert_str_eq(vd_peer_find(s->peer)->profile, sold->profile);
	ck_assert_str_eq(((const struct vd_peer_up *)fake_last(&vd_topic_peer_up))->suite, sold->ike_chosen);
	ck_assert_uint_eq(r.ike[0].c.esp, 12);
	ck_assert_uint_eq(r.ike[0].c.esp_bits, 256);
	ck_assert_uint_eq(r.ike[0].c.esp_auth, strcmp(sold->esp_chosen, "aes256-sha1") == 0 ? 2 : 5);
	steps_ping(&r);
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	robot_phase1(&r);
	ck_assert(wire_until(robot_phase1_done, &r, 5000));
	ck_assert_uint_eq(r.xauth.asked, 2);
	robot_quick(&r);
	ck_assert(wire_until(robot_quick_done, &r, 5000));
	steps_ping(&r);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	steps_hang_up(&r);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_xauth");
	TCase *t = tcase_create("xauth");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_what_is_told);
	tcase_add_test(t, test_full_tunnel);
	tcase_add_test(t, test_password_not_to_be_kept);
	tcase_add_test(t, test_split_networks);
	tcase_add_test(t, test_wrong_password);
	tcase_add_test(t, test_second_thought);
	tcase_add_test(t, test_three_passwords);
	tcase_add_test(t, test_wrong_and_away);
	tcase_add_test(t, test_silent_user);
	tcase_add_test(t, test_asked_whether_it_lives);
	tcase_add_test(t, test_quick_mode_first);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_beside_l2tp);
	tcase_add_loop_test(t, test_useless_answer, 0, 2);
	tcase_add_loop_test(t, test_stock, 0, (int)n_xauth_stocks * 4);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
