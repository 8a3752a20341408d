/* What a reload would change, row by row; and the values that stay until a restart. */
#include "tests/unit/test_conf_common.h"

#include "core/system/keys.h"

static void setup(void)
{
	fake_init(7);
	make_folder();
	put("one", "first secret\n", 0600);
	put("two", "second secret\n", 0600);
	put("one-again", "first secret", 0600);
}

static void teardown(void)
{
	remove_folder();
	fake_fini();
}

static struct vd_conf *parse(const char *yaml)
{
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char *text;

	vd_conf_parse_text(yaml, "t.yaml", folder, other_schemas, 1, &conf, &errs);
	text = findings(&errs);
	ck_assert_msg(errs.n_errors == 0, "%s", text); /* fragments are full of what nobody uses */
	free(text);
	vd_conf_errors_free(&errs);
	return conf;
}

static char *rows(const struct vd_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < plan->n; i++) {
		const struct vd_plan_row *r = &plan->v[i];

		fprintf(out, "%s|%s|%s -> %s|%s|%s%s%s\n", r->object, r->key, r->old, r->next, vd_plan_effect_name(r->effect),
			r->origin, *r->note ? "|" : "", r->note);
	}
	fclose(out);
	return text;
}

static bool no_radius(const char *path)
{
	return strncmp(path, "radius.", 7) != 0;
}

#define BASE                                                          \
	"gateway: { listen: [192.0.2.1], workers: 2 }\n"              \
	"users: { a: { file: a.yaml } }\n"                            \
	"realms: { r: { authenticate: [users/a] } }\n"                \
	"pools: { p: { range: 10.0.0.2-10.0.0.9, rate: 1mbit } }\n"   \
	"connections: { c: { accept: [l2tp], pool: p, l2tp: { psk: !file one } } }\n"

static const struct {
	const char *old, *next, *rows;
} plans[] = {
	{ BASE, BASE, "" },
	/* Other words for the same. */
	{ "l2tp: { hello: 60s }\n", "l2tp: { hello: 1m }\n", "" },
	{ "l2tp: { hello: 60s }\n", "", "" },
	{ "pools: { p: { range: 10.0.0.0/24 } }\n", "pools: { p: { range: [10.0.0.0-10.0.0.255] } }\n", "" },
	{ "connections: { c: { accept: [l2tp], l2tp: { psk: !file one } } }\n", "connections: { c: { accept: [l2tp], l2tp: { psk: !file one-again } } }\n", "" },
	{ "radius: { a: { address: 10.0.0.1, secret: !file one } }\n",
		"radius: { a: { address: 10.0.0.1, secret: !file one-again } }\n", "" },
	/* The three effects. */
	{ "log: { level: info }\n", "log: { level: debug, areas: { ike: info } }\n",
		"log|level|info -> debug|live|t.yaml:1\nlog|areas.ike|- -> info|live|t.yaml:1\n" },
	{ "log: { level: info, areas: { ike: info } }\n", "",
		"log|level|info -> notice|live|t.yaml:1\nlog|areas.ike|info -> -|live|t.yaml:1\n" },
	{ "l2tp: { hello: 90s, mru: 1300 }\n", "l2tp: { mru: 1400 }\n",
		"l2tp|hello|90s -> 60s|new sessions|t.yaml:1\nl2tp|mru|1300 -> 1400|needs a restart|t.yaml:1\n" },
	{ "plugins: { a_b: off }\n", "plugins: { c: on }\n",
		"plugins|a_b|off -> -|needs a restart|t.yaml:1\nplugins|c|- -> on|needs a restart|t.yaml:1\n" },
	{ "gateway: { df: clear }\n", "gateway: { df: copy }\n", "gateway|df|clear -> copy|needs a restart|t.yaml:1\n" },
	{ "gateway: { df: clear }\n", "", "" },
	{ BASE, "gateway: { listen: [192.0.2.1, 192.0.2.2] }\n"
		"users: { a: { file: a.yaml }, b: { file: b.yaml } }\n"
		"realms: { r: { authenticate: [users/a, users/b], fallback: true } }\n"
		"pools:\n  q: { range: 10.0.0.2-10.0.0.5 }\n"
		"connections:\n  c: { accept: [l2tp], pool: q, l2tp: { psk: !file two } }\n",
		"gateway|listen|192.0.2.1 -> 192.0.2.1, 192.0.2.2|needs a restart|t.yaml:1\n"
		"gateway|workers|2 -> 0|needs a restart|t.yaml:1\n"
		"realms.r|authenticate|users/a -> users/a, users/b|live|t.yaml:3\n"
		"realms.r|fallback|false -> true|live|t.yaml:3\n"
		"connections.c|pool|p -> q|live|t.yaml:7\n"
		"connections.c|l2tp.psk|(secret) -> (changed)|new sessions|t.yaml:7\n"
		"users.b||- -> added|live|t.yaml:2\n"
		"pools.p||there -> removed|live|t.yaml:4\n"
		"pools.q||- -> added|live|t.yaml:5\n" },
	/* Maps within objects, and values taken over. */
	{ "connections: { b: { connect: [ikev2], peer: x, networks: { one: { local: 10.0.0.0/8 } } } }\n",
		"connections: { b: { connect: [ikev2], peer: x, networks: { two: { local: 10.0.0.0/8 } } } }\n",
		"connections.b|networks.one|there -> removed|live|t.yaml:1\nconnections.b|networks.two|- -> added|live|t.yaml:1\n" },
	{ "pools: { p: { range: 10.0.0.0/24, dns: 10.0.0.1 }, q: { extends: p, range: 10.1.0.0/24 } }\n",
		"pools: { p: { range: 10.0.0.0/24, dns: 10.0.0.2 }, q: { extends: p, range: 10.1.0.0/24 } }\n",
		"pools.p|dns|10.0.0.1 -> 10.0.0.2|new sessions|t.yaml:1\npools.q|dns|10.0.0.1 -> 10.0.0.2|new sessions|t.yaml:1\n" },
	/* Nobody who runs has them. */
	{ "", "radius: { a: { address: 10.0.0.1, secret: !file one } }\n", "radius.a||- -> added|needs a restart|t.yaml:1\n" },
	{ "radius: { a: { address: 10.0.0.1, secret: !file one } }\n",
		"radius: { a: { address: 10.0.0.2, secret: !file two } }\n",
		"radius.a|address|10.0.0.1 -> 10.0.0.2|needs a restart|t.yaml:1\n"
		"radius.a|secret|(secret) -> (changed)|needs a restart|t.yaml:1\n" },
};

START_TEST(plan)
{
	struct vd_conf *old = parse(plans[_i].old), *next = parse(plans[_i].next);
	struct vd_plan p = { 0 };
	char *text;

	vd_plan_make(&p, old, next, no_radius);
	text = rows(&p);
	ck_assert_str_eq(text, plans[_i].rows);
	free(text);
	vd_plan_free(&p);
	vd_conf_unref(old);
	vd_conf_unref(next);
}
END_TEST

/* With what stays, nothing is left to tell but what needs no restart, and the dump shows what the process does. */
START_TEST(keep)
{
	static const struct {
		const char *old, *next, *dump;
	} cases[] = {
		{ "gateway: { listen: [192.0.2.1, 192.0.2.2], private_key: !file one }\nlog: { level: info }\n",
			"gateway: { listen: [192.0.2.3], private_key: !file two, workers: 4 }\nlog: { level: debug }\n",
			"gateway:\n  listen: [192.0.2.1, 192.0.2.2]\n  private_key: !file one\nlog:\n  level: debug\n" },
		{ "l2tp: { mru: 1300 }\n", "log: { level: debug }\n", "log:\n  level: debug\nl2tp:\n  mru: 1300\n" },
		{ "", "l2tp: { mru: 1300 }\nplugins: { x: on }\n", "l2tp: {}\nplugins: {}\n" },
		{ "plugins: { ab: off }\n", "plugins: { ab: on, cd: off }\n", "plugins:\n  ab: off\n" },
		{ "radius: { a: { address: 10.0.0.1, secret: !file one } }\n",
			"radius: { a: { address: 10.0.0.2, secret: !file two }, b: { address: 10.0.0.3, secret: !file one } }\n",
			"radius:\n  a:\n    address: 10.0.0.1\n    secret: !file one\n  b:\n    address: 10.0.0.3\n    secret: !file one\n" },
	};
	struct vd_conf *old = parse(cases[_i].old), *next = parse(cases[_i].next);
	struct vd_plan p = { 0 };
	char *text = NULL, *at;
	uint64_t key;
	size_t size;
	FILE *out;

	vd_plan_make(&p, old, next, no_radius);
	ck_assert_int_eq(vd_conf_keep(next, old, &p), 0);
	vd_plan_free(&p);
	vd_conf_unref(old); /* nothing of it is needed */
	key = vd_conf_key(vd_conf_at(next, NULL, "gateway.private_key"));
	if (_i == 0) {
		ck_assert_uint_eq(vd_secret_len(vd_keys_get(key)), 12);
		ck_assert_mem_eq(vd_secret_data(vd_keys_get(key)), "first secret", 12);
		ck_assert_uint_eq(vd_conf_count(vd_conf_at(next, NULL, "gateway.listen")), 2);
		ck_assert_uint_eq(vd_conf_uint(vd_conf_at(next, NULL, "gateway.workers")), 0);
	}
	out = open_memstream(&text, &size);
	ck_assert_int_eq(vd_conf_dump(next, 0, out), 0);
	fclose(out);
	while ((at = strstr(text, folder)))
		memmove(at, at + strlen(folder), strlen(at + strlen(folder)) + 1);
	ck_assert_str_eq(text, cases[_i].dump);
	free(text);
	vd_conf_unref(next);
	ck_assert_ptr_null(vd_keys_get(key));
}
END_TEST

/* Files of a plugin's own, and remarks. */
START_TEST(files_and_notes)
{
	static const struct vd_opt schema[] = { { "*.password", VD_T_SECRET, VD_OPT_REQUIRED, NULL, NULL, "Password." },
		{ "*.address", VD_T_ADDR, 0, NULL, NULL, "Address." }, { NULL } };
	const struct vd_conf *old, *next;
	struct vd_plan p = { 0 };
	struct vd_error err;
	char path[128], *text;

	snprintf(path, sizeof(path), "%s/u.yaml", folder);
	put("u.yaml", "alice: { password: !file one }\nbob.smith: { password: !file one }\ndave: { password: !file one }\n", 0600);
	ck_assert_int_eq(vd_conf_load_file(path, schema, &old, NULL, &err), 0);
	put("u.yaml", "alice: { password: !file two, address: 10.0.0.1 }\ndave: { password: !file one-again }\n"
		"carol: { password: !file one }\n", 0600);
	ck_assert_int_eq(vd_conf_load_file(path, schema, &next, NULL, &err), 0);
	vd_plan_compare(&p, "users.office", old, next);
	vd_plan_note(&p, "users.office", "%u sessions", 3);
	vd_plan_note(&p, "users.office", "and more");
	vd_plan_note(&p, "users.other", "nobody hears");
	vd_plan_note(NULL, "users.office", "nobody hears");
	vd_plan_compare(NULL, "users.office", old, next);
	text = rows(&p);
	ck_assert_str_eq(text, "users.office|alice.password|(secret) -> (changed)|new sessions|u.yaml:1|3 sessions; and more\n"
		"users.office|alice.address|- -> 10.0.0.1|new sessions|u.yaml:1\n"
		"users.office|bob.smith|there -> removed|live|u.yaml:2\n"
		"users.office|carol|- -> added|live|u.yaml:3\n");
	free(text);
	vd_plan_free(&p);
	vd_conf_unref(old);
	vd_conf_unref(next);
}
END_TEST

START_TEST(bounded)
{
	struct vd_plan p = { 0 };
	char object[32];

	for (unsigned i = 0; i < 3000; i++) {
		vd_format(object, sizeof(object), "users.u%u", i);
		vd_plan_add(&p, i % 100 ? VD_PLAN_LIVE : VD_PLAN_RESTART, object, "", "-", "added", NULL);
	}
	ck_assert_uint_eq(p.n + p.more, 3000);
	ck_assert_uint_eq(p.n, 2010); /* what needs a restart is always told */
	ck_assert(!p.no_memory);
	vd_plan_free(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_plan");
	TCase *t = tcase_create("plan");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, plan, 0, VD_ARRAY_SIZE(plans));
	tcase_add_loop_test(t, keep, 0, 5);
	tcase_add_test(t, files_and_notes);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
