/* Clients with XAuth that answer oddly, and a gateway that asks them for further codes. What clients do as a rule is in
 * test_xauth. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/plugin.h"
#include "tests/scenario/xauth.h"
#include "tests/lib/failures.h"

enum { TYPE = 16520, USER, PASSWORD, PASSCODE, MESSAGE, CHALLENGE, DOMAIN, STATUS, NEXT_PIN, ANSWER };

/* Not a word of it was given to anybody who could have believed it. */
static void nobody_asked(void)
{
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	ck_assert_uint_eq(vd_session_count(), 0);
}

/* ---- attributes ---- */
static size_t put(uint8_t *out, unsigned type, const char *value, size_t len)
{
	out[0] = (uint8_t)(type >> 8), out[1] = (uint8_t)type;
	out[2] = (uint8_t)(len >> 8), out[3] = (uint8_t)len;
	memcpy(out + 4, value, len);
	return 4 + len;
}

static size_t text(uint8_t *out, unsigned type, const char *value)
{
	return put(out, type, value, strlen(value));
}

static size_t number(uint8_t *out, unsigned type, unsigned value)
{
	out[0] = (uint8_t)(0x80 | type >> 8), out[1] = (uint8_t)type, out[2] = (uint8_t)(value >> 8), out[3] = (uint8_t)value;
	return 4;
}

static size_t alice(uint8_t *out)
{
	size_t n = text(out, USER, "alice");

	return n + text(out + n, PASSWORD, "alice-password");
}

/* ---- what cannot be used ---- */
static size_t new_pin(unsigned asked, uint8_t *out)
{
	size_t n = alice(out);

	(void)asked;
	return n + text(out + n, NEXT_PIN, "4711");
}

static size_t pin_alone(unsigned asked, uint8_t *out)
{
	(void)asked;
	return text(out, NEXT_PIN, "4711");
}

static size_t radius_chap(unsigned asked, uint8_t *out)
{
	size_t n = number(out, TYPE, 1);

	(void)asked;
	return n + alice(out + n);
}

static size_t domain_alone(unsigned asked, uint8_t *out)
{
	size_t n = text(out, DOMAIN, "corp");

	(void)asked;
	return n + text(out + n, PASSWORD, "alice-password");
}

static size_t domain_too_long(unsigned asked, uint8_t *out)
{
	char name[300];
	size_t n = alice(out);

	(void)asked;
	memset(name, 'c', sizeof(name));
	return n + put(out + n, DOMAIN, name, sizeof(name));
}

static size_t both_too_long(unsigned asked, uint8_t *out)
{
	char name[VD_USER_MAX - 6]; /* with \ and alice: one too many */
	size_t n = alice(out);

	(void)asked;
	memset(name, 'c', sizeof(name));
	return n + put(out + n, DOMAIN, name, sizeof(name));
}

static size_t domain_no_text(unsigned asked, uint8_t *out)
{
	size_t n = alice(out);

	(void)asked;
	return n + put(out + n, DOMAIN, "co\0rp", 5);
}

static const struct {
	size_t (*says)(unsigned asked, uint8_t *out);
	const char *why;
} useless[] = {
	{ new_pin, "a new PIN was not asked for" },
	{ pin_alone, "a new PIN was not asked for" },
	{ radius_chap, "only XAuth of type generic is spoken here" },
	{ domain_alone, "name or password is missing" },
	{ domain_too_long, "name or password is too long, or is no text" },
	{ both_too_long, "name or password is too long, or is no text" },
	{ domain_no_text, "name or password is too long, or is no text" },
};

/* Told so at once, and with the reason; no second question. */
START_TEST(test_useless)
{
	start();
	r.xauth.odd = useless[_i].says;
	dial();
	nobody_asked();
	ck_assert(r.xauth.refused);
	ck_assert_uint_eq(r.xauth.asked, 1);
	ck_assert_ptr_nonnull(strstr(r.xauth.message, useless[_i].why));
	ck_assert_uint_eq(r.deletes_ike, 1);
	the_report(&ike_fail_xauth_answer, useless[_i].why);
	stop();
}
END_TEST

static size_t wrong_then_useless(unsigned asked, uint8_t *out)
{
	size_t n = text(out, USER, asked == 1 ? "alice" : "");

	return n + text(out + n, PASSWORD, "guessed");
}

static size_t wrong_then_fail(unsigned asked, uint8_t *out)
{
	return asked == 1 ? wrong_then_useless(asked, out) : number(out, STATUS, 0);
}

/* One failure is one report: of what came of it before the client gave up, or said something useless. */
START_TEST(test_wrong_first)
{
	start();
	r.xauth.odd = _i ? wrong_then_fail : wrong_then_useless;
	dial();
	ck_assert_uint_eq(r.xauth.asked, 2);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	the_report(&vd_fail_password, "wrong password");
	ck_assert_uint_eq(r.deletes_ike, 1);
	ck_assert_uint_eq(vd_session_count(), 0);
	stop();
}
END_TEST

/* Section 5 of the draft: this ends it. In either form of a number, and whatever stands beside it. */
static size_t gives_up(unsigned asked, uint8_t *out)
{
	(void)asked;
	return number(out, STATUS, 0);
}

static size_t gives_up_in_long(unsigned asked, uint8_t *out)
{
	size_t n = alice(out);

	(void)asked;
	return n + put(out + n, STATUS, "\0\0", 2);
}

START_TEST(test_gives_up)
{
	start();
	r.xauth.odd = _i ? gives_up_in_long : gives_up;
	dial();
	nobody_asked();
	ck_assert(!r.xauth.refused && !r.xauth.passed); /* it knows: not told, but gone */
	ck_assert_uint_eq(r.deletes_ike, 1);
	ck_assert_uint_eq(vd_peer_count(), 0);
	the_report(&ike_fail_xauth_answer, "the user gave up");
	stop();
}
END_TEST

static size_t says_ok(unsigned asked, uint8_t *out)
{
	size_t n = number(out, STATUS, 1);

	(void)asked;
	n += text(out + n, USER, "alice");
	return n + text(out + n, PASSWORD, "guessed");
}

/* Only we say OK. */
START_TEST(test_says_ok)
{
	start();
	r.xauth.odd = says_ok;
	dial();
	ck_assert(r.xauth.refused);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	the_report(&vd_fail_password, "wrong password");
	stop();
}
END_TEST

/* ---- what can ---- */
static size_t chatty(unsigned asked, uint8_t *out)
{
	size_t n = put(out, 1, "\x0a\x08\0\x63", 4); /* an address that it would like */

	(void)asked;
	n += alice(out + n);
	n += text(out + n, USER, "bob"); /* the first counts */
	n += text(out + n, PASSCODE, "123456");
	n += text(out + n, ANSWER, "yes");
	n += text(out + n, MESSAGE, "hello");
	n += text(out + n, CHALLENGE, "who");
	n += text(out + n, 16999, "nobody knows");
	return n + text(out + n, 28672, "a banner");
}

/* Not asked for, and not listened to. No type is type generic. */
START_TEST(test_chatty)
{
	start();
	r.xauth.odd = chatty;
	r.xauth.other_id = true;
	logged_in();
	ck_assert_mem_eq(r.address, "\x0a\x08\0\x0b", 4);
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	ck_assert_str_eq(r.xauth.banner, "Welcome");
	steps_ping(&r);
	stop();
}
END_TEST

static size_t token_alone(unsigned asked, uint8_t *out)
{
	size_t n = text(out, USER, "alice");

	(void)asked;
	n += text(out + n, PASSWORD, "");
	return n + text(out + n, PASSCODE, "alice-password");
}

/* vpnc and others that call every password a passcode. */
START_TEST(test_token_alone)
{
	start();
	r.xauth.odd = token_alone;
	logged_in();
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	stop();
}
END_TEST

static size_t too_many(unsigned asked, uint8_t *out)
{
	size_t n = alice(out);

	(void)asked;
	for (unsigned i = 0; i < 60; i++)
		n += number(out + n, 17000 + i, i);
	return n;
}

/* More than anybody has: no answer at all. */
START_TEST(test_too_many)
{
	start();
	r.xauth.odd = too_many;
	dial();
	wire_wait(119000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_gt(vd_counter("ike_v1.drop.transaction"), 0);
	wire_wait(2000);
	nobody_asked();
	the_report(&ike_fail_xauth_silent, "did not answer in 120 s");
	stop();
}
END_TEST

/* ---- a domain: as on the wire of MS-CHAPv2 ---- */
static const char *domain, *name;

static size_t with_domain(unsigned asked, uint8_t *out)
{
	size_t n = text(out, DOMAIN, domain);

	if (asked > 1)
		return number(out, STATUS, 0);
	n += text(out + n, USER, name);
	return n + text(out + n, PASSWORD, "alice-password");
}

static const struct {
	const char *domain, *name, *asked_for; /* of the realm; the account is always alice's */
} domains[] = {
	{ "corp", "alice", "corp\\alice" },
	{ "", "alice", "alice" },
	{ "corp", "corp\\alice", "corp\\alice" }, /* typed, and set as well: it is there once */
	{ "", "elsewhere\\alice", "elsewhere\\alice" },
	{ "corp", "elsewhere\\alice", "elsewhere\\alice" }, /* what the user typed counts */
};

START_TEST(test_domain)
{
	start();
	domain = domains[_i].domain, name = domains[_i].name;
	r.xauth.odd = with_domain;
	logged_in();
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	ck_assert_mem_eq(r.address, "\x0a\x08\0\x0b", 4);
	stop();
}
END_TEST

static size_t longest(unsigned asked, uint8_t *out)
{
	char all[VD_USER_MAX - 1];
	size_t n;

	(void)asked;
	memset(all, 'n', sizeof(all));
	n = put(out, USER, all, sizeof(all));
	return n + text(out + n, PASSWORD, "alice-password");
}

/* A name that just fits is asked for. */
START_TEST(test_longest)
{
	start();
	r.xauth.odd = longest;
	dial();
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert(f == NULL || strcmp(f->kind, ike_fail_xauth_answer.word));
	stop();
}
END_TEST

/* ---- a gateway that asks for codes ---- */
static struct {
	char user[VD_USER_MAX], said[300];
	unsigned asked;
	const char *message;
	size_t message_len;
} otp;

/* "first" is followed by a code: 111111, or 222222 and then 333333. Says nothing of who it is. */
static void on_otp(void *arg, const struct vd_ask *ask)
{
	const struct vd_authenticate *q = ask->data;
	struct vd_authenticated who = { .data = { (const uint8_t *)otp.message, (uint32_t)otp.message_len } };
	struct vd_error why = { 0 };

	(void)arg;
	otp.asked++;
	vd_strcpy(otp.user, sizeof(otp.user), q->user);
	vd_format(otp.said, sizeof(otp.said), "%.*s", (int)q->data.len, (const char *)q->data.p);
	vd_error_set(&why, -EKEYREJECTED, "no such code");
	if (!ask->conversation && strcmp(otp.said, "alice-password") == 0)
		vd_reply(ask->ticket, VD_CONTINUE, &who, NULL);
	else if (ask->conversation && strcmp(otp.said, "222222") == 0)
		vd_reply(ask->ticket, VD_CONTINUE, &who, NULL);
	else if (ask->conversation && (strcmp(otp.said, "111111") == 0 || strcmp(otp.said, "333333") == 0))
		vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
	else
		vd_reply(ask->ticket, VD_REJECT, NULL, &why);
}

static const struct vd_opt otp_schema[] = {
	{ "radius.*", VD_T_MAP, 0, NULL, NULL, "Codes." },
	{ NULL },
};
static const char *const otp_provides[] = { "authenticate/radius", NULL };
VD_PLUGIN(test_otp, .version = "1.0", .license = "MIT", .summary = "codes", .provides = otp_provides, .schema = otp_schema);

static void otp_load(void)
{
	static const char yaml[] =
		"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n"
		"radius: { office: {} }\n"
		"realms: { office: { authenticate: [radius/office] } }\n"
		"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1, dns: [10.1.0.53] } }\n"
		"connections:\n"
		"  staff: { accept: [xauth], realm: office, pool: office, xauth: { psk: !env SCENARIO_PSK_STAFF } }\n";
	const struct vd_plugin *all[32] = { &test_otp_LTX_vd_plugin };
	struct vd_error err;

	for (size_t i = 0; gateway_plugins()[i]; i++)
		all[i + 1] = gateway_plugins()[i];
	ck_assert_ptr_nonnull(vd_plugin_preload(&test_otp_LTX_vd_plugin, &err));
	fake_conf(yaml, all, gateway_folder());
}

static const struct vd_ip *otp_listen(size_t *ret_n)
{
	static struct vd_ip here;

	ck_assert(vd_ip_parse("192.0.2.1", &here));
	*ret_n = 1;
	return &here;
}

static void otp_start(void)
{
	static const struct gateway_how how = { .load = otp_load, .workers = 2, .listen = otp_listen };

	memset(&otp, 0, sizeof(otp));
	setenv("SCENARIO_PSK_STAFF", GATEWAY_PSK_STAFF, 1);
	gateway_start_how(&how);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "radius", on_otp, on_cancel, NULL), 0);
	client(ROBOT_APPLE, "alice-password");
}

START_TEST(test_code)
{
	static char longer[400];

	otp_start();
	memset(longer, 'm', sizeof(longer));
	otp.message = _i == 1 ? "Code of your token, please:" : longer;
	otp.message_len = _i == 0 ? 0 : _i == 1 ? strlen(otp.message) : sizeof(longer);
	r.xauth.code = "111111";
	r.xauth.kind = _i ? ROBOT_ANDROID : ROBOT_APPLE;
	logged_in();
	ck_assert_uint_eq(r.xauth.asked, 2);
	ck_assert_uint_eq(otp.asked, 2);
	ck_assert_str_eq(otp.user, ""); /* in that conversation it is known */
	ck_assert_str_eq(otp.said, "111111");
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	if (_i < 2) {
		ck_assert_str_eq(r.xauth.message, _i ? otp.message : "Next code:");
	} else {
		ck_assert_uint_eq(strlen(r.xauth.message), 255); /* cut */
		ck_assert_mem_eq(r.xauth.message, longer, 255);
	}
	steps_ping(&r);
	stop();
}
END_TEST

static const char *codes[4];

static size_t several(unsigned asked, uint8_t *out)
{
	ck_assert_uint_le(asked, VD_ARRAY_SIZE(codes));
	if (strcmp(codes[asked - 1], "alice-password") == 0)
		return alice(out);
	return text(out, PASSCODE, codes[asked - 1]);
}

START_TEST(test_domain_asked)
{
	otp_start();
	domain = domains[_i].domain, name = domains[_i].name;
	r.xauth.odd = with_domain;
	dial();
	ck_assert_uint_eq(otp.asked, 1);
	ck_assert_str_eq(otp.user, domains[_i].asked_for);
	stop();
}
END_TEST

/* Two codes, one after the other: nobody is let in before the last. */
START_TEST(test_two_codes)
{
	otp_start();
	memcpy(codes, (const char *[]){ "alice-password", "222222", "333333" }, 3 * sizeof(codes[0]));
	r.xauth.odd = several;
	logged_in();
	ck_assert_uint_eq(r.xauth.asked, 3);
	ck_assert_uint_eq(otp.asked, 3);
	stop();
}
END_TEST

/* A wrong code ends that conversation: name and password are asked again, and the same ones are no repetition. */
START_TEST(test_wrong_code)
{
	otp_start();
	memcpy(codes, (const char *[]){ "alice-password", "999999", "alice-password", "111111" }, sizeof(codes));
	r.xauth.odd = several;
	logged_in();
	ck_assert_uint_eq(r.xauth.asked, 4);
	ck_assert_uint_eq(otp.asked, 4);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_failed), 1);
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	stop();
}
END_TEST

static size_t another_name(unsigned asked, uint8_t *out)
{
	size_t n;

	if (asked == 1)
		return alice(out);
	n = text(out, DOMAIN, "corp");
	n += text(out + n, USER, "bob");
	return n + text(out + n, PASSCODE, "111111");
}

static size_t domain_again(unsigned asked, uint8_t *out)
{
	size_t n;

	if (asked == 1)
		return alice(out);
	n = text(out, DOMAIN, "corp");
	return n + text(out + n, PASSCODE, "111111");
}

/* Who gave alice's password is alice, whatever name stands beside the code. */
START_TEST(test_code_with_a_name)
{
	otp_start();
	r.xauth.odd = _i ? domain_again : another_name;
	logged_in();
	ck_assert_str_eq(otp.user, "");
	ck_assert_str_eq(vd_session_after(NULL)->user, "alice");
	stop();
}
END_TEST

static size_t password_again(unsigned asked, uint8_t *out)
{
	size_t n = alice(out);

	return asked == 1 ? n : n + text(out + n, PASSCODE, "111111");
}

/* It says its kept password every time: the code is what was asked for. */
START_TEST(test_code_beside_password)
{
	otp_start();
	r.xauth.odd = password_again;
	logged_in();
	ck_assert_str_eq(otp.said, "111111");
	stop();
}
END_TEST

static size_t no_code(unsigned asked, uint8_t *out)
{
	return asked == 1 ? alice(out) : number(out, STATUS, 0);
}

/* The user has no token at hand. */
START_TEST(test_no_code)
{
	otp_start();
	r.xauth.odd = no_code;
	dial();
	ck_assert_uint_eq(r.xauth.asked, 2);
	ck_assert_uint_eq(otp.asked, 1);
	the_report(&ike_fail_xauth_answer, "the user gave up");
	ck_assert_uint_eq(vd_session_count(), 0);
	stop();
}
END_TEST

/* Each question may take its user as long as the first: a code comes once a minute, a wrong password is looked up. */
START_TEST(test_time_for_each)
{
	start();
	r.xauth.silent = true;
	r.password = "guessed";
	dial();
	wire_wait(110000);
	robot_xauth_now(&r);
	wire_pump();
	ck_assert_str_eq(r.xauth.message, "Wrong user name or password.");
	r.password = "alice-password";
	wire_wait(110000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	robot_xauth_now(&r);
	ck_assert(wire_until(robot_up, &r, 2000));
	steps_ping(&r);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_xauth_odd");
	TCase *t = tcase_create("odd");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_useless, 0, (int)VD_ARRAY_SIZE(useless));
	tcase_add_loop_test(t, test_wrong_first, 0, 2);
	tcase_add_loop_test(t, test_gives_up, 0, 2);
	tcase_add_test(t, test_says_ok);
	tcase_add_test(t, test_chatty);
	tcase_add_test(t, test_token_alone);
	tcase_add_test(t, test_too_many);
	tcase_add_loop_test(t, test_domain, 0, (int)VD_ARRAY_SIZE(domains));
	tcase_add_loop_test(t, test_domain_asked, 0, (int)VD_ARRAY_SIZE(domains));
	tcase_add_test(t, test_longest);
	tcase_add_loop_test(t, test_code, 0, 3);
	tcase_add_test(t, test_two_codes);
	tcase_add_test(t, test_wrong_code);
	tcase_add_loop_test(t, test_code_with_a_name, 0, 2);
	tcase_add_test(t, test_code_beside_password);
	tcase_add_test(t, test_no_code);
	tcase_add_test(t, test_time_for_each);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
