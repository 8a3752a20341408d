/* What viaductctl makes of a daemon: verdicts, names that mean harm or are only claimed, and mistakes on its command line. */
#include <sys/stat.h>
#include <sys/wait.h>

#include <viaduct/text.h>

#include "core/conf/conf.h"
#include "core/log_area.h"
#include "core/named.h"
#include "core/problem.h"
#include "core/report/report.h"
#include "tests/lib/nasty.h"
#include "tests/unit/control_fixture.h"

/* What somebody has to mend: listed until it is mended, and the exit status says so. */
START_TEST(problems)
{
	char key[100];
	json_t *r, *all;
	struct vd_error err;
	int fd = dial();

	r = asked(fd, "status", "{}");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "result"), "verdict")), "good");
	json_decref(r);
	vd_problem_set("net/route", "the route of %s is gone", "10.8.0.0/24");
	vd_problem_set("net/address", "the host lost 192.0.2.1");
	vd_problem_set("net/route", "the route of %s cannot be put back", "10.8.0.0/24");
	r = asked(fd, "status", "{}");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "result"), "verdict")), "degraded");
	all = json_object_get(json_object_get(r, "result"), "problems");
	ck_assert_uint_eq(json_array_size(all), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(all, 0), "text")),
		"the route of 10.8.0.0/24 cannot be put back");
	json_decref(r);
	ck_assert_int_eq(ctl("status"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "degraded: 2 problems"));
	ck_assert_int_eq(ctl("--json status"), 1);
	vd_problem_clear("net/route");
	vd_problem_clear("net/route");
	vd_problem_clear("net/none");
	ck_assert_int_eq(ctl("status"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "degraded: 1 problem\n  the host lost 192.0.2.1"));
	vd_problem_clear("net/address");
	ck_assert_int_eq(ctl("status"), 0);
	ck_assert_int_eq(strncmp(printed, "good\n", 5), 0);
	for (int i = 0; i < 40; i++) {
		vd_format(key, sizeof(key), "net/%d and a key that is longer than what is kept of it, in words that do not end", i);
		vd_problem_set(key, "number %d", i);
		vd_problem_set(key, "number %d again", i);
	}
	ck_assert_int_eq(ctl("status"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "degraded: 32 problems"));
	ck_assert_ptr_nonnull(strstr(printed, "number 31 again"));
	ck_assert_ptr_nonnull(strstr(printed, "more"));
	vd_problems_reset();
	vd_control_stop();
	ck_assert_int_eq(ctl("status"), 3);
	close(fd);
	ck_assert_int_eq(vd_control_start(path, &err), 0);
}
END_TEST

/* A client that has vanished is not shown as if it were there. */
START_TEST(silent_session)
{
	uint64_t s = fx_up("many", "alice");
	char text[64], id[VD_ID_BUF];
	json_t *list;

	fx.silent_ms = 59000;
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_null(strstr(printed, "silent"));
	fx.silent_ms = 95000;
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_msg(strstr(printed, "silent 1m 35s") != NULL, "%s", printed);
	vd_format(text, sizeof(text), "session show %s", vd_id_format('s', s, id));
	ck_assert_int_eq(ctl(text), 0);
	ck_assert_msg(strstr(printed, "silent "), "%s", printed);
	ck_assert_int_eq(ctl("--json session list"), 0);
	list = json_loads(printed, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "state")), "up");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "silent_s")), 95);
	json_decref(list);
	/* A session that only begins is not "silent". */
	fx_new("many");
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, " new "));
	fx.silent_ms = 0;
}
END_TEST

/* Whatever a user is called: every row is there, in tables and in JSON, and shows nothing but safe text. */
START_TEST(steering_the_terminal)
{
	const char *name = nasty_names[_i];
	json_t *list, *row;
	char text[256], id[VD_ID_BUF];
	uint64_t s = fx_up("many", name);

	fx_up("many", "last");
	vd_note('s', s, "noted: %s", name);
	vd_report_failure(&(struct vd_report){ .kind = &vd_fail_other, .session = s, .stage = "test", .difference = name, .remedy = name });
	ck_assert_int_eq(ctl("session list"), 0);
	nasty_check(printed, true);
	ck_assert_ptr_nonnull(strstr(printed, vd_text_safe_string(text, sizeof(text), name)));
	ck_assert_ptr_nonnull(strstr(printed, "last"));
	ck_assert_int_eq(ctl("--json session list"), 0);
	nasty_check(printed, true);
	list = json_loads(printed, 0, NULL);
	ck_assert_uint_eq(json_array_size(list), 2);
	row = json_array_get(list, 0);
	ck_assert_str_eq(json_string_value(json_object_get(row, "user")), text);
	json_decref(list);
	vd_format(text, sizeof(text), "session show %s", vd_id_format('s', s, id));
	ck_assert_int_eq(ctl(text), 0);
	nasty_check(printed, true);
	ck_assert_ptr_nonnull(strstr(printed, "noted: "));
	ck_assert_int_eq(ctl("why"), 0);
	nasty_check(printed, true);
	ck_assert_ptr_nonnull(strstr(printed, "test failed: "));
	ck_assert_int_eq(ctl("--json why"), 0);
	nasty_check(printed, true);
	list = json_loads(printed, 0, NULL);
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert(json_is_object(json_array_get(list, 0)));
	json_decref(list);
}
END_TEST

/* A name that is only claimed is marked, and no command that names a user meets it. Ids are no names, and names no ids. */
START_TEST(claimed_names)
{
	uint64_t alice = fx_up("many", "alice"), liar, odd;
	char text[128], id[VD_ID_BUF], name[VD_ID_BUF];
	json_t *r, *rows;
	int fd = dial();

	fx.auth = FX_REJECT;
	liar = fx_new("many");
	ck_assert_int_eq(fx_auth(liar, "alice"), 0);
	turn();
	ck_assert_ptr_nonnull(vd_session_find(liar));
	r = asked(fd, "session.list", "{}");
	rows = json_object_get(r, "result");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "user")), "alice");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "claimed")), "");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 1), "user")), "");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 1), "claimed")), "alice");
	json_decref(r);
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "(claims: alice)"));
	r = asked(fd, "session.show", "{\"session\":\"alice\"}");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 1);
	json_decref(r);
	ck_assert_int_eq(ctl("why alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "claimed user alice at "));
	r = asked(fd, "session.kill", "{\"session\":\"alice\"}");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 1);
	json_decref(r);
	turn();
	ck_assert_ptr_null(vd_session_find(alice));
	ck_assert_ptr_nonnull(vd_session_find(liar));
	expect_error(asked(fd, "session.kill", "{\"session\":\"alice\"}"), "claims that name");
	expect_error(asked(fd, "session.kill", "{\"session\":\"user/alice\"}"), "claims that name");
	ck_assert_ptr_nonnull(vd_session_find(liar));
	/* A user who is called like the id of another session. */
	fx.auth = FX_ACCEPT;
	alice = fx_up("many", "alice");
	odd = fx_up("many", vd_id_format('s', alice, name));
	vd_format(text, sizeof(text), "session kill %s", name);
	ck_assert_int_eq(ctl(text), 0);
	turn();
	ck_assert_ptr_null(vd_session_find(alice));
	ck_assert_ptr_nonnull(vd_session_find(odd));
	ck_assert_int_eq(ctl(text), 1); /* the id is gone, and it is nobody's name */
	ck_assert_ptr_nonnull(vd_session_find(odd));
	vd_format(text, sizeof(text), "session kill user/%s", name);
	ck_assert_int_eq(ctl(text), 0);
	turn();
	ck_assert_ptr_null(vd_session_find(odd));
	vd_format(text, sizeof(text), "session kill %s", vd_id_format('s', liar, id));
	ck_assert_int_eq(ctl(text), 0);
	turn();
	ck_assert_ptr_null(vd_session_find(liar));
	close(fd);
	turn();
}
END_TEST

/* What a command line may name, and what it does not name. */
START_TEST(naming)
{
	struct vd_sa sa = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_named n;

	vd_named_parse("s-42", &n);
	ck_assert(vd_named_is_id(&n, 's', 42) && !vd_named_is_id(&n, 'p', 42) && !vd_named_is_user(&n, "s-42"));
	vd_named_parse("s-99999999999999999999", &n);
	ck_assert(!vd_named_is_id(&n, 's', 0) && !vd_named_is_user(&n, "s-99999999999999999999"));
	vd_named_parse("17", &n);
	ck_assert(!vd_named_is_id(&n, 's', 17) && vd_named_is_user(&n, "17"));
	vd_named_parse("s-4x", &n);
	ck_assert(vd_named_is_user(&n, "s-4x"));
	vd_named_parse("user/s-42", &n);
	ck_assert(vd_named_is_user(&n, "s-42") && !vd_named_is_id(&n, 's', 42) && !vd_named_is_connection(&n, "s-42"));
	vd_named_parse("192.0.2.1", &n);
	ck_assert(vd_named_is_address(&n, &sa) && !vd_named_is_user(&n, "192.0.2.1"));
	vd_named_parse("192.0.2.1:4500", &n);
	ck_assert(vd_named_is_address(&n, &sa));
	vd_named_parse("192.0.2.1:500", &n);
	ck_assert(!vd_named_is_address(&n, &sa));
	vd_named_parse("user/192.0.2.1", &n);
	ck_assert(vd_named_is_user(&n, "192.0.2.1") && !vd_named_is_address(&n, &sa));
	vd_named_parse("berlin", &n);
	ck_assert(vd_named_is_user(&n, "berlin") && vd_named_is_connection(&n, "berlin"));
	vd_named_parse("connection/berlin", &n);
	ck_assert(!vd_named_is_user(&n, "berlin") && vd_named_is_connection(&n, "berlin"));
	vd_named_parse("al\\x1bice", &n);
	ck_assert(vd_named_is_user(&n, "al\x1b" "ice"));
	vd_named_parse("", &n);
	ck_assert(!vd_named_is_user(&n, "") && !vd_named_is_connection(&n, ""));
}
END_TEST

START_TEST(helping)
{
	ck_assert_int_eq(ctl("help"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "session kill ID|USER"));
	ck_assert_int_eq(ctl("help session kill"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "session kill ID|USER"));
	ck_assert_ptr_null(strstr(printed, "peer list"));
	ck_assert_int_eq(ctl("help session"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "session show"));
	ck_assert_int_eq(ctl("help nonsense"), 2);
	ck_assert_int_eq(ctl("complete"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "session\n"));
	ck_assert_int_eq(ctl("complete session"), 0);
	ck_assert_str_eq(printed, "list\nshow\nkill\n");
	fx_up("staff", "alice");
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, " B"));
	ck_assert_ptr_nonnull(strstr(printed, "OCTETS IN  OCTETS OUT"));
	ck_assert_int_eq(ctl("bus tail nosuchtopic"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "there is no topic nosuchtopic"));
	ck_assert_int_eq(ctl("log areas"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "timeline"));
	ck_assert_int_eq(ctl("crypto list"), 0); /* this daemon has no plugin */
	ck_assert_ptr_nonnull(strstr(printed, "no plugin that was found has such words"));
}
END_TEST

/* For programs: every command, and what it takes. */
START_TEST(help_as_json)
{
	json_t *all, *one, *c;
	size_t i;
	bool kill = false;

	ck_assert_int_eq(ctl("--json help"), 0);
	all = json_loads(printed, 0, NULL);
	ck_assert_msg(json_array_size(all) > 15, "%s", printed);
	json_array_foreach(all, i, c) {
		ck_assert_msg(json_string_length(json_object_get(c, "command")) && json_string_length(json_object_get(c, "doc")), "%s", printed);
		kill = kill || (json_string_value(json_object_get(c, "verb")) && !strcmp(json_string_value(json_object_get(c, "verb")), "kill") &&
			!strcmp(json_string_value(json_object_get(c, "arguments")), "ID|USER"));
	}
	ck_assert(kill);
	ck_assert_int_eq(ctl("help why --json"), 0);
	one = json_loads(printed, 0, NULL);
	ck_assert_msg(json_array_size(one) == 1 && json_is_null(json_object_get(json_array_get(one, 0), "verb")), "%s", printed);
	ck_assert_int_eq(ctl("--json help nonsense"), 2);
	json_decref(all);
	json_decref(one);
}
END_TEST

/* A daemon that we may not ask is not one that does not run. */
START_TEST(status_of_what_cannot_be_asked)
{
	char command[512], said[256] = "";
	FILE *p;

	ck_assert_int_eq(chmod(path, 0), 0);
	/* Root without what lets it pass by permissions; anybody else has none of that. */
	vd_format(command, sizeof(command), "%s %s/tools/viaductctl --socket %s status 2>&1", geteuid() ? "" :
		"setpriv --bounding-set=-dac_override,-dac_read_search", VD_TEST_BUILDDIR, path);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_gt(fread(said, 1, sizeof(said) - 1, p), 0);
	ck_assert_msg(WEXITSTATUS(pclose(p)) == 2 && strstr(said, "be root, or a member of group viaduct"), "%s", said);
	ck_assert_int_eq(ctl("--socket /dev/null/no status"), 2);
}
END_TEST

/* The words before the cursor, which are what bash makes of them, and what is offered. */
static const struct {
	const char *words, *offered;
} completions[] = {
	{ "session \"\"", "list show kill" },
	{ "--socket /a/b session \"\"", "list show kill" },
	{ "--socket = /a/b session l", "list" },
	{ "--json --socket /a/b status \"\"", "" },
	{ "--socket /dev/nul", "/dev/null" },
	{ "--socket = /dev/nul", "/dev/null" },
	{ "config show --uses pools/staff --so", "--socket" },
	{ "config --uses pools/staff s", "show" },
	{ "config show --uses \"\"", "" },
};

START_TEST(completion)
{
	char command[2048], said[1024] = "";
	FILE *p;

	vd_format(command, sizeof(command), "bash -c 'viaductctl() { %s/tools/viaductctl \"$@\"; }; . %s/tools/completion/viaductctl; "
		"set -- %s; COMP_WORDS=(viaductctl \"$@\"); COMP_CWORD=$#; _viaductctl; echo \"${COMPREPLY[*]}\"' 2>&1",
		VD_TEST_BUILDDIR, VD_TEST_SRCDIR, completions[_i].words);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(fgets(said, sizeof(said), p));
	ck_assert_int_eq(pclose(p), 0);
	said[strcspn(said, "\n")] = '\0';
	ck_assert_msg(!strcmp(said, completions[_i].offered), "%s: %s instead of %s", completions[_i].words, said, completions[_i].offered);
}
END_TEST

/* A wrong name of an area is not taken in silence. */
START_TEST(areas)
{
	struct vd_conf_errors errs = { 0 }, *before;
	struct vd_conf *conf = NULL, *old;

	ck_assert_int_eq(vd_conf_parse_text("log: { areas: { life: debug, tiemline: debug } }\n", "10-log.yaml", NULL, NULL, 0, &conf, &errs), 0);
	old = vd_conf_swap(conf);
	before = vd_conf_judge(&errs);
	vd_log_areas_check();
	vd_conf_judge(before);
	ck_assert_uint_eq(errs.n, 1);
	ck_assert(errs.v[0].warning);
	ck_assert_msg(strstr(errs.v[0].text, "the log has no area tiemline; did you mean") && strstr(errs.v[0].text, "timeline"), "%s",
		errs.v[0].text);
	vd_conf_errors_free(&errs);
	vd_conf_swap(old);
	vd_conf_unref(conf);
}
END_TEST

START_TEST(usage)
{
	static const char *const wrong[] = { "", "nonsense", "session", "session frob", "session show", "status now",
		"--frob status", "session show a b", "--socket" };

	for (size_t i = 0; i < VD_ARRAY_SIZE(wrong); i++)
		ck_assert_msg(ctl(wrong[i]) == 2, "%s: %s", wrong[i], printed);
	ck_assert_int_eq(ctl("session show nobody"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "viaductctl: no session nobody"));
	ck_assert_int_eq(ctl("--socket /nonexistent status"), 3);
	ck_assert_int_eq(ctl("--socket /nonexistent counters"), 1);
	ck_assert_ptr_nonnull(strstr(printed, "is viaductd running?"));
	ck_assert_int_eq(ctl("--help"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "session show ID|USER"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("viaductctl");
	TCase *t = tcase_create("socket");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, start, stop);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, problems);
	tcase_add_test(t, silent_session);
	tcase_add_loop_test(t, steering_the_terminal, 0, NASTY_N);
	tcase_add_test(t, claimed_names);
	tcase_add_test(t, naming);
	tcase_add_test(t, helping);
	tcase_add_test(t, help_as_json);
	tcase_add_test(t, status_of_what_cannot_be_asked);
	tcase_add_loop_test(t, completion, 0, VD_ARRAY_SIZE(completions));
	tcase_add_test(t, areas);
	tcase_add_test(t, usage);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
