/* Accounts and pools together: a dedicated address is never leased to somebody else. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "core/plugin.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin aaa_users_LTX_vd_plugin, pool_local_LTX_vd_plugin;
#define USERS (&aaa_users_LTX_vd_plugin)
#define POOL (&pool_local_LTX_vd_plugin)

static char folder[64];
static struct vd_answer last;
static struct vd_ip got;
static const char alice_has_11[] = "alice: { password: !file pw, address: 10.8.0.11 }\nbob: { password: !file pw }\n";

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

static void use(const char *yaml)
{
	const struct vd_opt *const schemas[] = { USERS->schema, POOL->schema };
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;

	vd_conf_parse_text(yaml, "t.yaml", folder, schemas, 2, &conf, &errs);
	vd_conf_errors_print(&errs, stderr);
	ck_assert_ptr_nonnull(conf);
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
}

#define TWO_FILES "users:\n  local: { file: local.yaml }\n  other: { file: other.yaml }\n"

static void setup(void)
{
	fake_init(8);
	fake_watch(&vd_topic_address_reserved);
	fake_watch(&vd_topic_address_released);
	strcpy(folder, "/tmp/vd-reserved-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	put("pw", "sesame\n");
	put("local.yaml", alice_has_11);
	put("other.yaml", "carol: { password: !file pw }\n");
	use(TWO_FILES "pools:\n  small: { range: 10.8.0.10-10.8.0.12 }\n");
}

static void teardown(void)
{
	char command[128];

	vd_conf_install(NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
	fake_fini();
}

static void done(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	last = *answer;
	if (answer->data && answer->verdict == VD_ACCEPT)
		got = ((const struct vd_leased_address *)answer->data)->address;
}

static const char *lease(uint64_t session, const char *user, const char *want)
{
	struct vd_lease_address r = { .session = session, .family = 4, .pool = "small" };
	static char text[VD_IP_TEXT];

	vd_strcpy(r.user, sizeof(r.user), user);
	if (want)
		ck_assert(vd_ip_parse(want, &r.want));
	ck_assert_uint_ne(vd_request(&vd_topic_lease_address, &r, &(struct vd_request_opts){ 0 }, done, NULL), 0);
	fake_drain();
	return last.verdict == VD_ACCEPT ? vd_ip_format(&got, text) : last.why.text;
}

static void gone(uint64_t session)
{
	struct vd_session_gone e = { session };

	ck_assert_int_eq(vd_event_post(&vd_topic_session_gone, &e), 0);
	fake_drain();
}

static void login_done(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	last = *answer;
}

/* Somebody of another file logs in: all files are looked at, and the pool knows before his address is asked for. */
static void login(const char *user, const char *instance)
{
	const char *const providers[] = { instance, NULL };
	struct vd_request_opts opts = { .providers = providers };
	struct vd_authenticate r = { .method = VD_AUTH_PAP, .data = { (const uint8_t *)"sesame", 6 } };

	vd_strcpy(r.user, sizeof(r.user), user);
	fake_advance(1000);
	ck_assert_uint_ne(vd_request(&vd_topic_authenticate, &r, &opts, login_done, NULL), 0);
	fake_drain();
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
}

static void start(bool users_first)
{
	struct vd_error err = { 0 };
	struct vd_host *a = vd_plugin_preload(users_first ? USERS : POOL, &err);
	struct vd_host *b = vd_plugin_preload(users_first ? POOL : USERS, &err);

	ck_assert_int_eq(vd_host_init(a, &err), 0);
	ck_assert_int_eq(vd_host_init(b, &err), 0);
	ck_assert_int_eq(vd_host_start(a, &err), 0);
	ck_assert_int_eq(vd_host_start(b, &err), 0);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_address_reserved), 1);
}

static void stop(void)
{
	fake_plugin_stop(USERS);
	fake_plugin_stop(POOL);
}

/* In both orders of start. */
START_TEST(reserved)
{
	start(_i == 0);
	ck_assert_str_eq(lease(1, "bob", NULL), "10.8.0.10");
	ck_assert_str_eq(lease(2, "carol", NULL), "10.8.0.12"); /* past .11 */
	ck_assert_str_eq(lease(3, "dave", NULL), "pool small is exhausted: 3 of its 3 addresses are in use or reserved (1)");
	ck_assert_str_eq(lease(3, "dave", "10.8.0.11"), "10.8.0.11 belongs to alice (users/local)");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	ck_assert_str_eq(lease(4, "alice", "10.8.0.11"), "10.8.0.11");
	gone(4);
	ck_assert_int_eq(strncmp(lease(3, "dave", NULL), "pool small is exhausted", 23), 0); /* still hers */
	ck_assert_str_eq(lease(5, "alice", "10.8.0.11"), "10.8.0.11");
	ck_assert_str_eq(lease(6, "alice", "10.8.0.11"), "10.8.0.11 is held by s-5 (alice)");
	stop();
}
END_TEST

START_TEST(file_change)
{
	const struct vd_address_released *e;

	start(true);
	ck_assert_str_eq(lease(1, "bob", NULL), "10.8.0.10");
	/* Nothing about addresses changed: nothing is said. */
	put("local.yaml", "alice: { password: !file pw, address: 10.8.0.11, idle_timeout: 90s }\nbob: { password: !file pw }\n");
	login("carol", "users/other");
	ck_assert_uint_eq(fake_events(&vd_topic_address_reserved), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_address_released), 0);
	/* .11 is free, .10 and .12 belong to two people; bob has .10 until his session ends. */
	put("local.yaml", "alice: { password: !file pw, address: 10.8.0.12 }\nerin: { password: !file pw, address: 10.8.0.10 }\n");
	login("carol", "users/other");
	ck_assert_uint_eq(fake_events(&vd_topic_address_reserved), 3);
	ck_assert_uint_eq(fake_events(&vd_topic_address_released), 1);
	e = fake_last(&vd_topic_address_released);
	ck_assert_str_eq(e->user, "alice");
	ck_assert_str_eq(e->source, "users/local");
	ck_assert_str_eq(lease(2, "carol", NULL), "10.8.0.11");
	gone(1);
	ck_assert_int_eq(strncmp(lease(1, "bob", NULL), "pool small is exhausted", 23), 0); /* though he had it last */
	ck_assert_str_eq(lease(3, "erin", "10.8.0.10"), "10.8.0.10");
	/* Released while she has it: free when her session ends, not before. */
	put("local.yaml", "alice: { password: !file pw, address: 10.8.0.12 }\n");
	login("carol", "users/other");
	ck_assert_int_eq(strncmp(lease(1, "bob", NULL), "pool small is exhausted", 23), 0);
	gone(3);
	ck_assert_str_eq(lease(1, "bob", NULL), "10.8.0.10");
	stop();
}
END_TEST

START_TEST(reload)
{
	start(false);
	/* The pool moves, and another file with an address comes. */
	put("other.yaml", "carol: { password: !file pw, address: 10.8.0.14 }\n");
	use(TWO_FILES "pools:\n  small: { range: 10.8.0.11-10.8.0.15 }\n");
	POOL->reload(vd_plugin_find("pool_local")->self);
	USERS->reload(vd_plugin_find("aaa_users")->self);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_address_reserved), 2);
	ck_assert_str_eq(lease(1, "bob", NULL), "10.8.0.12");
	ck_assert_str_eq(lease(2, "bob", NULL), "10.8.0.13");
	ck_assert_str_eq(lease(3, "bob", NULL), "10.8.0.15");
	ck_assert_str_eq(lease(4, "bob", "10.8.0.14"), "10.8.0.14 belongs to carol (users/other)");
	/* Two files say two people: it is for each of them, and for nobody else. */
	put("other.yaml", "carol: { password: !file pw, address: 10.8.0.11 }\n");
	USERS->reload(vd_plugin_find("aaa_users")->self);
	fake_drain();
	ck_assert_str_eq(lease(4, "bob", NULL), "10.8.0.14");
	ck_assert_str_eq(lease(5, "carol", "10.8.0.11"), "10.8.0.11");
	gone(5);
	put("other.yaml", "carol: { password: !file pw }\n");
	USERS->reload(vd_plugin_find("aaa_users")->self);
	fake_drain();
	ck_assert_str_eq(lease(5, "carol", "10.8.0.11"), "10.8.0.11 belongs to alice (users/local)");
	ck_assert_str_eq(lease(6, "alice", "10.8.0.11"), "10.8.0.11");
	/* The set of accounts is gone from the configuration. */
	use("users:\n  other: { file: other.yaml }\npools:\n  small: { range: 10.8.0.11-10.8.0.15 }\n");
	USERS->reload(vd_plugin_find("aaa_users")->self);
	fake_drain();
	gone(6);
	ck_assert_str_eq(lease(5, "carol", NULL), "10.8.0.11");
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_reserved");
	TCase *t = tcase_create("reserved");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, reserved, 0, 2);
	tcase_add_test(t, file_change);
	tcase_add_test(t, reload);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
