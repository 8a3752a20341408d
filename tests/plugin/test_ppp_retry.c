/* MS-CHAPv2 after a no (RFC 2759 sections 6 and 7), byte for byte: what the client is told, other tries, another password. */
#include "test_ppp_client.h"

#define CONF(retries) \
	"gateway: { name: vpn.example.com }\n" \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections: { staff: { realm: corp, pool: staff, ppp: { auth_retries: " retries ", setup_timeout: 5m } } }\n"
#define WRONG "000102030405060708090a0b0c0d0e0f1011121314151617"
#define WRONG_TOO "170102030405060708090a0b0c0d0e0f1011121314151617"

static void start(const char *yaml)
{
	setup_with(yaml, 1416);
	d.code = -EKEYREJECTED;
	lcp_open();
}

/* The text of the last Failure, and in ret_c the challenge in it. */
static const char *failure(uint8_t id, uint8_t ret_c[16])
{
	static char text[160];
	int i = last(0xc223, 4);
	uint8_t c[16];
	char hex[33];

	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(out((unsigned)i)[5], id);
	size_t len = d.out[i].len - 8;
	ck_assert_uint_lt(len, sizeof(text));
	memcpy(text, out((unsigned)i) + 8, len);
	text[len] = 0;
	ck_assert_uint_gt(len, 44);
	ck_assert_mem_eq(text + 5, " R=", 3);
	ck_assert_mem_eq(text + 9, " C=", 3);
	snprintf(hex, sizeof(hex), "%.32s", text + 12);
	ck_assert_uint_eq(strspn(hex, "0123456789ABCDEF"), 32);
	for (char *p = hex; *p; p++)
		*p = (char)(*p >= 'A' ? *p - 'A' + 'a' : *p);
	ck_assert_int_eq(vd_unhex(hex, c, 16), 16);
	if (ret_c)
		memcpy(ret_c, c, 16);
	memmove(text + 9, text + 44, strlen(text + 44) + 1);
	return text;
}

static void respond(uint8_t id, const char *nt)
{
	in("c223 02 %02x 003a 31 " PEER " 0000000000000000 %s 00 55736572", id, nt);
	reimport();
}

static void ended(const char *why)
{
	fake_advance(0);
	ck_assert_uint_eq(count(0xc021, 5), 1);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_str_eq(double_why(), why);
}

/* The second try has the same identifier or the next one. */
START_TEST(test_second_try)
{
	uint8_t id, c[16], again[16];

	start(CONF("2"));
	id = challenge_id();
	respond(id, WRONG);
	ck_assert_str_eq(failure(id, c), "E=691 R=1 V=3 M=Authentication failed");
	ck_assert_uint_eq(d.asked, 1);
	/* That was lost: the Response comes again and is no second try. */
	respond(id, WRONG);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc223, 4), 2);
	ck_assert_str_eq(failure(id, again), "E=691 R=1 V=3 M=Authentication failed");
	ck_assert_mem_eq(c, again, 16);
	ck_assert_uint_eq(count(0xc021, 5), 0);
	id = (uint8_t)(id + _i);
	respond(id, NT);
	ck_assert_uint_eq(d.asked, 2);
	ck_assert_mem_eq(d.request.challenge, c, 16);
	ck_assert_uint_eq(out((unsigned)last(0xc223, 3))[5], id);
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(count(0xc223, 1), 1);
	/* Who gets in at last has not failed, not even when it leaves. */
	vd_session_close(SESSION, "test", false);
	fake_advance(20000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	teardown();
}
END_TEST

START_TEST(test_bounded)
{
	uint8_t id, c[3][16];

	start(CONF("2"));
	id = challenge_id();
	for (unsigned i = 0; i < 3; i++) {
		respond(id, i % 2 ? WRONG_TOO : WRONG);
		ck_assert_str_eq(failure(id, c[i]), i < 2 ? "E=691 R=1 V=3 M=Authentication failed" :
			"E=691 R=0 V=3 M=Authentication failed");
	}
	ck_assert_uint_eq(d.asked, 3);
	ck_assert(memcmp(c[0], c[1], 16) != 0 && memcmp(c[1], c[2], 16) != 0);
	ended("authentication failed");
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_str_eq(f->kind, vd_fail_password.word);
	ck_assert_str_eq(f->stage, "auth");
	respond(id, NT);
	ck_assert_uint_eq(d.asked, 3);
	teardown();
}
END_TEST

START_TEST(test_nobody_tries)
{
	uint8_t id;

	start(CONF("5"));
	id = challenge_id();
	respond(id, WRONG);
	fake_advance(59000);
	ck_assert_uint_eq(double_closed(), 0);
	ck_assert_uint_eq(count(0xc223, 1), 1); /* a person is asked: nothing is repeated */
	fake_advance(1000);
	ended("authentication failed");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	teardown();
}
END_TEST

/* Who goes away instead of trying again has failed, once. */
START_TEST(test_leaves)
{
	start(CONF("5"));
	respond(challenge_id(), WRONG);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	in("c021 05 09 0004");
	fake_advance(20000);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->kind, vd_fail_password.word);
	teardown();
}
END_TEST

/* Other identifiers, and what is no Response. */
START_TEST(test_strange)
{
	uint8_t id;

	start(CONF("1"));
	id = challenge_id();
	in("c223 07 %02x 0004", id + 1);
	respond(id, WRONG);
	respond((uint8_t)(id + 2), NT);
	respond((uint8_t)(id - 1), NT);
	in("c223 07 %02x 0004", id + 1); /* the password is not too old */
	in("c223 02 %02x 000a 31 0102030405", id + 1);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(vd_counter("ppp_auth_mschapv2.drop.id"), 2);
	ck_assert_uint_eq(double_closed(), 0);
	respond((uint8_t)(id + 1), NT);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_NETWORK);
	teardown();
}
END_TEST

/* Nobody could say: another try would not help. */
START_TEST(test_unavailable)
{
	start(CONF("5"));
	d.unavailable = true;
	respond(challenge_id(), WRONG);
	ck_assert_str_eq(failure(challenge_id(), NULL), "E=649 R=0 V=3 M=Authentication service unavailable");
	ended("the authentication provider did not answer");
	teardown();
}
END_TEST

static const struct {
	int code;
	const char *says;
} codes[] = {
	{ -ENOENT, "E=691 R=0 V=3 M=Authentication failed" },
	{ -EKEYREJECTED, "E=691 R=0 V=3 M=Authentication failed" },
	{ -EIO, "E=691 R=0 V=3 M=Authentication failed" },
	{ -ETIME, "E=646 R=0 V=3 M=Not at this time" },
	{ -EPERM, "E=647 R=0 V=3 M=The account is disabled" },
	{ -EACCES, "E=649 R=0 V=3 M=This account may not dial in" },
};

START_TEST(test_codes)
{
	start(CONF("0"));
	d.code = codes[_i].code;
	respond(challenge_id(), WRONG);
	ck_assert_str_eq(failure(challenge_id(), NULL), codes[_i].says);
	ended("authentication failed");
	teardown();
}
END_TEST

static void change(uint8_t id, size_t len)
{
	uint8_t p[1200] = { 0xff, 0x03, 0xc2, 0x23, 7, id, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4) };

	memset(p + 8, 0xa5, len);
	in_raw(p, 8 + len);
	reimport();
}

/* The password is too old; the client sends another one, and hears that it is of no use. */
START_TEST(test_change_password)
{
	uint8_t id;

	start(CONF("0"));
	d.code = -EKEYEXPIRED;
	id = challenge_id();
	change((uint8_t)(id + 1), 582); /* nobody asked for it */
	ck_assert_uint_eq(count(0xc223, 4), 0);
	respond(id, WRONG);
	ck_assert_str_eq(failure(id, NULL), "E=648 R=0 V=3 M=The password has expired");
	ck_assert_uint_eq(double_closed(), 0);
	respond((uint8_t)(id + 1), NT); /* the old one does not become better */
	ck_assert_uint_eq(d.asked, 1);
	change((uint8_t)(id + 1), 581);
	change((uint8_t)(id + 3), 582);
	ck_assert_uint_eq(count(0xc223, 4), 2);
	change((uint8_t)(id + 1), 582);
	ck_assert_str_eq(failure((uint8_t)(id + 1), NULL), "E=709 R=0 V=3 M=Passwords cannot be changed here");
	ended("authentication failed");
	ck_assert_uint_eq(d.asked, 1);
	teardown();
}
END_TEST

START_TEST(test_expired_and_gone)
{
	start(CONF("0"));
	d.code = -EKEYEXPIRED;
	respond(challenge_id(), WRONG);
	fake_advance(60000);
	ended("the password has expired");
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp_retry");
	TCase *t = tcase_create("retry");

	tcase_add_loop_test(t, test_second_try, 0, 2);
	tcase_add_test(t, test_bounded);
	tcase_add_test(t, test_nobody_tries);
	tcase_add_test(t, test_leaves);
	tcase_add_test(t, test_strange);
	tcase_add_test(t, test_unavailable);
	tcase_add_loop_test(t, test_codes, 0, VD_ARRAY_SIZE(codes));
	tcase_add_test(t, test_change_password);
	tcase_add_test(t, test_expired_and_gone);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
