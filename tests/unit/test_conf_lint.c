/* What is legal but probably wrong, and who names whom. */
#include "tests/unit/test_conf_common.h"

#include <errno.h>

static const char *const words[] = { "ikev2", "l2tp", "authenticate/users", NULL };

static void setup(void)
{
	fake_init(7);
	make_folder();
	put("long.psk", "a pre-shared key of some length\n", 0600);
	put("other.psk", "another pre-shared key\n", 0600);
	put("short.psk", "password\n", 0600);
}

static void teardown(void)
{
	remove_folder();
	fake_fini();
}

#define REST                                                  \
	"users: { u: { file: u.yaml } }\n"                    \
	"realms: { r: { authenticate: users/u } }\n"          \
	"pools: { p: { range: 10.0.0.2-10.0.0.9 } }\n"
#define ALL REST "connections: { c: { accept: l2tp, realm: r, pool: p, l2tp: { psk: !file long.psk } } }\n"

static const struct {
	const char *yaml, *expected;
} cases[] = {
	{ ALL, "" },
	{ "", "" },
	/* Nobody names it. */
	{ ALL "radius: { nps: { address: 10.0.0.1, secret: !file long.psk } }\n",
		"/viaduct.yaml:5:11: warning: radius.nps is not used: no realms.NAME.authenticate names it; take it out, or name it "
		"there\n" },
	{ "users: { v: { file: v.yaml } }\nrealms: { r: { authenticate: [] } }\npools:\n  q: { range: 10.0.0.0/24 }\n",
		"/viaduct.yaml:1:10: warning: users.v is not used: no realms.NAME.authenticate names it; take it out, or name it there\n"
		"/viaduct.yaml:2:11: warning: realms.r is not used: no connections.NAME.realm names it; take it out, or name it there\n"
		"/viaduct.yaml:4:3: warning: pools.q is not used: no connections.NAME.pool names it; take it out, or name it there\n" },
	/* Named by the second of a list, and by what was taken over. */
	{ "users: { u: { file: u.yaml }, v: { file: v.yaml } }\n"
		"realms: { r: { authenticate: [users/u, users/v] } }\n"
		"connections: { c: { accept: l2tp, realm: r, l2tp: { psk: !file long.psk } },\n"
		"  d: { extends: c, l2tp: { psk: !file other.psk } } }\n", "" },
	/* Connections. */
	{ "connections: { c: { accept: [l2tp], l2tp: { psk: !file long.psk } } }\n",
		"/viaduct.yaml:1:21: warning: connections.c accepts clients and has no `realm`: nobody can log in\n" },
	{ "connections: { c: { l2tp: { psk: !file long.psk } } }\n",
		"/viaduct.yaml:1:16: warning: connections.c neither accepts nor connects: nobody can use it\n"
		"/viaduct.yaml:1:21: warning: connections.c.l2tp has no effect: neither accept nor connect names l2tp\n" },
	{ REST "connections: { c: { accept: l2tp, realm: r, pool: p, ikev2: { auth: eap }, l2tp: { psk: !file long.psk } } }\n",
		"/viaduct.yaml:4:54: warning: connections.c.ikev2 has no effect: neither accept nor connect names ikev2\n" },
	{ "connections: { c: { connect: ikev2, peer: x, ikev2: { psk: !file long.psk } } }\n", "" },
	{ REST "connections: { c: { accept: l2tp, realm: r, pool: p, l2tp: { psk: !file short.psk } } }\n",
		"/viaduct.yaml:4:62: warning: connections.c.l2tp.psk has only 8 octets and can be guessed; make one with: openssl rand "
		"-base64 24\n" },
	{ REST "connections: { c: { accept: l2tp, realm: r, pool: p, ppp: { auth: [mschapv2, chap] }, l2tp: { psk: !file long.psk } } }\n",
		"" },
	{ REST "connections: { c: { accept: l2tp, realm: r, pool: p, ppp: { auth: [mschapv2, pap] }, l2tp: { psk: !file long.psk } } }\n",
		"/viaduct.yaml:4:61: warning: connections.c.ppp.auth allows pap: clients that want it send their password in clear text "
		"to whoever knows the pre-shared key; take it out, unless one of them knows nothing else\n" },
	{ ALL "ppp: { auth: pap }\n",
		"/viaduct.yaml:5:8: warning: ppp.auth allows pap: clients that want it send their password in clear text to whoever "
		"knows the pre-shared key; take it out, unless one of them knows nothing else\n" },
	/* With errors there are no guesses about the rest. */
	{ "pools: { q: { rnage: 10.0.0.0/24, range: 10.0.0.0/24 } }\n",
		"/viaduct.yaml:1:15: error: unknown option `rnage` in pools.q; did you mean `range`?\n" },
};

START_TEST(lint)
{
	struct vd_conf_errors errs = { 0 };
	char *text;

	put("viaduct.yaml", cases[_i].yaml, 0644);
	vd_conf_check(folder, other_schemas, 1, words, &errs);
	text = findings(&errs);
	ck_assert_str_eq(text, cases[_i].expected);
	free(text);
	vd_conf_errors_free(&errs);
}
END_TEST

START_TEST(uses)
{
	static const struct {
		const char *name;
		int ret;
		const char *text;
	} asked[] = {
		{ "pools/p", 2, "connections.c.pool  # viaduct.yaml:4\nconnections.d.pool  # viaduct.yaml:5\n" },
		{ "pool/p", 2, "connections.c.pool  # viaduct.yaml:4\nconnections.d.pool  # viaduct.yaml:5\n" },
		{ "pools.p", 2, "connections.c.pool  # viaduct.yaml:4\nconnections.d.pool  # viaduct.yaml:5\n" },
		{ "users/u", 1, "realms.r.authenticate  # viaduct.yaml:2\n" }, { "connections/c", 0, "" },
		{ "pools/q", -ENOENT, "" }, { "pool/", -ENOENT, "" }, { "nothing/p", -ENOENT, "" }, { "pools", -EINVAL, "" },
		{ "", -EINVAL, "" }, { "/", -ENOENT, "" },
	};
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;

	put("viaduct.yaml", REST "connections: { c: { accept: l2tp, realm: r, pool: p, l2tp: { psk: !file long.psk } },\n"
		"  d: { accept: l2tp, realm: r, pool: p, l2tp: { psk: !file other.psk } } }\n", 0644);
	ck_assert_int_eq(vd_conf_load_dir(folder, other_schemas, 1, words, &conf, &errs), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(asked); i++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		ck_assert_msg(vd_conf_uses(conf, asked[i].name, out) == asked[i].ret, "%s", asked[i].name);
		fclose(out);
		ck_assert_str_eq(text, asked[i].text);
		free(text);
	}
	vd_conf_errors_free(&errs);
	vd_conf_unref(conf);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_lint");
	TCase *t = tcase_create("lint");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, lint, 0, VD_ARRAY_SIZE(cases));
	tcase_add_test(t, uses);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
