/* Failures explain themselves: the literal line of each, by the whole gateway, and once. */
#include <check.h>
#include <string.h>
#include <viaduct/report.h>

#include "core/report/report.h"
#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define ONE(range, staff) \
	"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n" \
	"users: { office: { file: users.yaml } }\n" \
	"realms: { office: { authenticate: [users/office] } }\n" \
	"pools: { office: { range: " range ", gateway: 10.8.0.1, dns: [10.1.0.53] } }\n" \
	"connections:\n" \
	"  staff: { accept: [l2tp], realm: office, pool: office, " staff "l2tp: { psk: !env SCENARIO_PSK_STAFF } }\n"
#define PLAIN ONE("10.8.0.10-10.8.0.20", "")
#define WINDOWS " (Windows shows "

static struct robot a, b;

static void start(const char *yaml, const char *user, const char *password)
{
	gateway_start(yaml);
	robot_init(&a, 0, "alice", "alice-password", false);
	robot_init(&b, 1, user, password, false);
	b.windows = true;
}

static void stop(void)
{
	a.silent = b.silent = true;
	for (unsigned minutes = 0; minutes < 9 * 60; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	robot_free(&a);
	robot_free(&b);
	gateway_stop();
}

/* What was reported, which must be one thing only. */
static const struct vd_setup_failed *the_report(enum vd_failure kind, const char *stage)
{
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(f->kind == kind, "%s: %s", vd_failure_word(f->kind), f->text);
	ck_assert_str_eq(f->stage, stage);
	/* It is remembered, and so is the very same. */
	const struct vd_remembered *r = vd_report_after(NULL);
	ck_assert_ptr_nonnull(r);
	ck_assert_mem_eq(&r->what, f, sizeof(*f));
	ck_assert_uint_eq(r->count, 1);
	ck_assert_ptr_null(vd_report_after(r));
	ck_assert(vd_report_is_about(f, "203.0.113.21"));
	ck_assert(!vd_report_is_about(f, "203.0.113.20"));
	/* No secret in any of it. */
	ck_assert_ptr_null(strstr(f->text, "password-"));
	ck_assert_ptr_null(strstr(f->text, GATEWAY_PSK_STAFF));
	return f;
}

static void dial(const char *psk, uint64_t ms)
{
	wire_add(&b);
	robot_dial(&b, psk);
	wire_wait(ms);
	ck_assert(!robot_up(&b));
}

START_TEST(test_no_proposal)
{
	start(PLAIN, "bob", "bob-password");
	b.old = true;
	dial(GATEWAY_PSK_STAFF, 500);
	const struct vd_setup_failed *f = the_report(VD_FAIL_NO_PROPOSAL, "phase1");
	ck_assert_str_eq(f->text, "no common proposal: client offered 3des-sha1-modp1024; connection staff allows "
		"aes256-sha256-modp3072, aes256-sha256-modp2048, aes256-sha1-ecp384, ...; add 'crypto: legacy' to staff "
		"(test.yaml:6) or update the client (Windows shows error 789)");
	ck_assert_str_eq(f->offered, "3des-sha1-modp1024");
	ck_assert_str_eq(f->difference, "group modp1024 is offered where modp2048 is allowed");
	ck_assert_str_eq(f->remedy, "add 'crypto: legacy' to staff (test.yaml:6) or update the client");
	ck_assert_str_eq(f->origin, "test.yaml:6");
	ck_assert_str_eq(f->connection, "staff");
	ck_assert_str_eq(f->client, "Windows shows error 789");
	ck_assert_int_eq(f->trust, VD_TRUST_NONE);
	stop();
}
END_TEST

START_TEST(test_wrong_psk)
{
	start(GATEWAY_DEFAULT, "bob", "bob-password");
	dial("not the key", 10000);
	const struct vd_setup_failed *f = the_report(VD_FAIL_PSK, "phase1");
	ck_assert_str_eq(f->text, "wrong PSK: the client's pre-shared key is none of the 2 tried; compare it with l2tp.psk of "
		"staff (test.yaml:6) and of devices (test.yaml:7), or type it anew on the client (Windows shows error 789 or "
		"787)");
	ck_assert_str_eq(f->connection, "");
	ck_assert_int_eq(f->trust, VD_TRUST_ADDRESS);
	stop();
}
END_TEST

START_TEST(test_wrong_password)
{
	start(PLAIN, "bob", "guessed");
	dial(GATEWAY_PSK_STAFF, 5000);
	const struct vd_setup_failed *f = the_report(VD_FAIL_PASSWORD, "auth");
	ck_assert_str_eq(f->text, "wrong password: users/office knows user bob (users.yaml:2) with another password; type it anew "
		"on the client, or change it there (Windows shows error 691)");
	ck_assert_str_eq(f->user, "bob");
	ck_assert_str_eq(f->origin, "users.yaml:2");
	ck_assert_int_eq(f->trust, VD_TRUST_KEY);
	ck_assert(vd_report_is_about(f, "bob"));
	/* What the client sees does not tell it from an unknown user. */
	ck_assert_ptr_nonnull(strstr(b.message, " V=3 M=Authentication failed"));
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_reports");
	TCase *t = tcase_create("reports");

	tcase_set_timeout(t, 200);
	tcase_add_test(t, test_no_proposal);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_test(t, test_wrong_password);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
