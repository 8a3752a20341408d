/* The template of a plugin: its guests, by both methods. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin template_LTX_vd_plugin;
#define PLUGIN (&template_LTX_vd_plugin)

static const char yaml[] =
	"template:\n"
	"  lobby: { guests: [anna, User], password: !env TEST_LOBBY, session_timeout: 2h }\n"
	"  attic: { guests: bert, password: !env TEST_ATTIC }\n";
static struct vd_answer last;
static struct vd_authenticated got;
static unsigned answers;

static void done(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	answers++;
	last = *answer;
	if (answer->data)
		got = *(const struct vd_authenticated *)answer->data;
}

static void ask(const char *provider, const struct vd_authenticate *request)
{
	const char *providers[] = { provider, NULL };
	struct vd_request_opts opts = { .providers = providers };
	unsigned before = answers;

	memset(&got, 0, sizeof(got));
	ck_assert(vd_request(&vd_topic_authenticate, request, &opts, done, NULL) > 0);
	fake_drain();
	ck_assert_uint_eq(answers, before + 1);
}

static void pap(const char *provider, const char *user, const char *password)
{
	struct vd_authenticate r = { .method = VD_AUTH_PAP };

	vd_strcpy(r.user, sizeof(r.user), user);
	r.data = (struct vd_blob){ (const uint8_t *)password, (uint32_t)strlen(password) };
	ask(provider, &r);
}

static void setup(void)
{
	static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };

	setenv("TEST_LOBBY", "clientPass", 1);
	setenv("TEST_ATTIC", "sesame", 1);
	fake_init(5);
	fake_conf(yaml, plugins, NULL);
	fake_plugin_start(PLUGIN);
}

static void teardown(void)
{
	fake_plugin_stop(PLUGIN);
	fake_conf_fini();
	fake_fini();
}

START_TEST(guests_by_pap)
{
	pap("template/lobby", "anna", "clientPass");
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
	ck_assert_str_eq(got.user, "anna");
	ck_assert_uint_eq(got.session_timeout, 7200);
	pap("template/attic", "bert", "sesame");
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
	ck_assert_uint_eq(got.session_timeout, 43200); /* the default */
	pap("template/attic", "bert", "sesam");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	ck_assert_int_eq(last.why.code, -EKEYREJECTED);
	ck_assert_str_eq(last.why.text, "wrong password for guest bert");
	ck_assert_ptr_nonnull(strstr(last.why.origin, ":3"));
	pap("template/attic", "bert", "");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	pap("template/attic", "anna", "sesame"); /* a guest of the other set */
	ck_assert_int_eq(last.verdict, VD_REJECT);
	ck_assert_int_eq(last.why.code, -ENOENT);
	ck_assert_str_eq(last.why.text, "template/attic has no such guest");
	pap("template/cellar", "anna", "sesame");
	ck_assert_int_ne(last.verdict, VD_ACCEPT);
}
END_TEST

/* RFC 2759 section 9.2. */
START_TEST(guests_by_mschapv2)
{
	struct vd_authenticate r = { .method = VD_AUTH_MSCHAPV2 };

	vd_strcpy(r.user, sizeof(r.user), "User");
	ck_assert_int_eq(vd_unhex("5B5D7C7D7B3F2F3E3C2C602132262628", r.challenge, 16), 16);
	ck_assert_int_eq(vd_unhex("21402324255E262A28295F2B3A337C7E", r.peer_challenge, 16), 16);
	ck_assert_int_eq(vd_unhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF", r.response, 24), 24);
	ask("template/lobby", &r);
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
	ck_assert_str_eq(got.authenticator, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
	r.response[23] ^= 1;
	ask("template/lobby", &r);
	ck_assert_int_eq(last.verdict, VD_REJECT);
	ck_assert_str_eq(last.why.text, "wrong password for guest User");
	r.method = VD_AUTH_EAP;
	ask("template/lobby", &r);
	ck_assert_int_ne(last.verdict, VD_ACCEPT);
	ck_assert_int_eq(last.why.code == -EKEYREJECTED, 0);
}
END_TEST

START_TEST(what_a_reload_brings)
{
	static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };

	fake_conf("template: { lobby: { guests: [carol], password: !env TEST_LOBBY } }", plugins, NULL);
	pap("template/lobby", "anna", "clientPass"); /* until reload, as it was */
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
	fake_plugin_stop(PLUGIN);
	fake_plugin_start(PLUGIN);
	pap("template/lobby", "anna", "clientPass");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	pap("template/lobby", "carol", "clientPass");
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("template");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, guests_by_pap);
	tcase_add_test(tc, guests_by_mschapv2);
	tcase_add_test(tc, what_a_reload_brings);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
