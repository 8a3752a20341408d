/* Files of plugins that must be refused, each with its own words: by the daemon when it opens its folder, and by
 * viaductctl plugin check in a process that may crash. They are compiled here, as their authors would. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/loop.h"
#include "core/plugin.h"

static char dir[64], printed[8192], refused[1024];

static void setup(void)
{
	vd_strcpy(dir, sizeof(dir), "/tmp/vdplug-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(vd_loop_ev_init(), 0);
}

static void teardown(void)
{
	char command[128];

	vd_plugins_forget();
	vd_loop_ev_fini();
	vd_format(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *so(void)
{
	static char path[96];

	vd_format(path, sizeof(path), "%s/odd.so", dir);
	return path;
}

static void build(const char *flags)
{
	char command[2048];

	/* A new inode: the linker knows the file that it has open already. */
	unlink(so());
	vd_format(command, sizeof(command), "%s -w -fPIC -shared -fvisibility=hidden -I%s/include -I%s/include %s -o %s "
		"%s/tests/sdk/odd.c", VD_TEST_CC, VD_TEST_SRCDIR, VD_TEST_BUILDDIR, flags, so(), VD_TEST_SRCDIR);
	ck_assert_msg(system(command) == 0, "%s", command);
	ck_assert_int_eq(chmod(so(), 0644), 0);
}

static int ctl(const char *options, const char *file)
{
	char command[512];
	size_t n;
	FILE *p;
	int status;

	vd_format(command, sizeof(command), "%s/tools/viaductctl %s plugin check %s 2>&1", VD_TEST_BUILDDIR, options, file);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	n = fread(printed, 1, sizeof(printed) - 1, p);
	printed[n] = 0;
	status = pclose(p);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void on_refused(void *arg, const char *text)
{
	(void)arg;
	ck_assert(vd_strcpy(refused, sizeof(refused), text));
}

/* text: what is said behind the file's path or the plugin's name; an asterisk stands for anything. */
static void expect(const char *who, const char *said, const char *text)
{
	const char *star = strchr(text, '*');
	size_t n = strlen(who);

	ck_assert_msg(!strncmp(said, who, n), "%s", said);
	if (!star) {
		ck_assert_str_eq(said + n, text);
		return;
	}
	ck_assert_msg(!strncmp(said + n, text, (size_t)(star - text)), "%s", said);
	ck_assert_msg(strlen(said) > strlen(star + 1) && !strcmp(said + strlen(said) - strlen(star + 1), star + 1), "%s", said);
}

static void both_refuse(const char *who, const char *text)
{
	char *end;

	refused[0] = 0;
	ck_assert_int_eq(vd_plugins_open(dir, on_refused, NULL), 1);
	ck_assert_ptr_null(vd_plugin_find("odd"));
	expect(who, refused, text);
	ck_assert_msg(ctl("", so()) == 1, "%s", printed);
	ck_assert_msg(!strncmp(printed, "refused: ", 9), "%s", printed);
	end = strchr(printed, '\n');
	ck_assert(end && !end[1]);
	*end = 0;
	expect(who, printed + 9, text);
}

START_TEST(a_good_one)
{
	json_t *json;

	build("");
	ck_assert_msg(vd_plugins_open(dir, on_refused, NULL) == 0, "%s", refused);
	ck_assert_ptr_nonnull(vd_plugin_find("odd"));
	ck_assert_int_eq(ctl("", so()), 0);
	ck_assert_ptr_nonnull(strstr(printed, "/odd.so is good: odd 1.0, is odd\n"));
	ck_assert_int_eq(ctl("--json", so()), 0);
	json = json_loads(printed, 0, NULL);
	ck_assert_msg(json_is_true(json_object_get(json, "good")), "%s", printed);
	ck_assert_str_eq(json_string_value(json_object_get(json, "file")), so());
	ck_assert_int_eq(json_integer_value(json_object_get(json, "options")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "abi_major")), VD_ABI_MAJOR);
	json_decref(json);
}
END_TEST

#define TABLE " has a bad option table: row 3 "
static const struct {
	const char *flags;
	bool path; /* who: the file's path, or the plugin's name */
	const char *text;
} odd[] = {
	{ "-DODD_FIELD=.magic=1", false, " is not a Viaduct plugin (magic 00000001)" },
	{ "-DODD_FIELD=.abi_major=9", false, " was built for plugin ABI 9, this is 2; rebuild it against the headers of this version" },
	{ "-DODD_FIELD=.abi_minor=7", false, " needs plugin ABI 2.7, this is 2.0; update Viaduct" },
	{ "-DODD_FIELD=.abi_hash=1", false, " was built with other headers (abi_hash 0000000000000001, here *); rebuild it against the "
		"installed headers" },
	{ "-DODD_FIELD=.struct_size=4096", false, " has a descriptor of 4096 octets, this version knows *; update Viaduct" },
	{ "-DODD_FIELD=.build_id='\"yesterday\"'", false, " is of another build (build_id yesterday, here *); finish the upgrade and restart" },
	{ "-DODD_FIELD=.name='\"even\"'", false, " calls itself even; the file must be named after the plugin" },
	{ "-DODD_NAME=even", true, " exports no odd_LTX_vd_plugin; is it a Viaduct plugin?" },
	{ "-DODD_SYMBOL", true, " needs vd_from_the_future, which this version of Viaduct does not have; rebuild it against the installed "
		"headers, or update Viaduct" },
	{ "-DODD_LIBRARY", true, " needs odd_helper, which no library gives it; link it with the library that does" },
	{ "-DODD_SANITIZER", true, " was built with a sanitizer (it needs __asan_from_elsewhere) that this viaductd is not built with; "
		"rebuild it without -fsanitize" },
	{ "-DODD_ROW='{\"odd.size\",VD_T_UINT,0,\"7\",\"1..9\",\"Twice.\"}'", false, TABLE "(odd.size): the path stands already in row 2" },
	{ "-DODD_ROW='{\"odd..x\",VD_T_BOOL,0,0,0,\"X.\"}'", false, TABLE "(odd..x): the path is not like section.*.option" },
	{ "-DODD_ROW='{\"odd.X\",VD_T_BOOL,0,0,0,\"X.\"}'", false, TABLE "(odd.X): the path is not like section.*.option" },
	{ "-DODD_ROW='{\"odd.x\",99,0,0,0,\"X.\"}'", false, TABLE "(odd.x): its type 99 is unknown" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_BOOL,64,0,0,\"X.\"}'", false, TABLE "(odd.x): its flags 0x40 are unknown" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_BOOL}'", false, TABLE "(odd.x): a sentence of documentation is missing" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_UINT,0,0,\"1-9\",\"X.\"}'", false, TABLE "(odd.x): its range is not written as LOW..HIGH" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_UINT,0,0,\"9..1\",\"X.\"}'", false, TABLE "(odd.x): its range is empty: the higher end stands first" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_DURATION,0,0,\"1m..30s\",\"X.\"}'", false,
		TABLE "(odd.x): its range is empty: the higher end stands first" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_DURATION,0,0,\"1..30s\",\"X.\"}'", false, TABLE "(odd.x): an end of its range is no value of its type" },
	{ "-DODD_ROW='{\"gateway.odd\",VD_T_UINT,1,0,0,\"X.\"}'", false,
		TABLE "(gateway.odd): it is required in a map that another part declares, so configurations without it would be wrong" },
	{ "-DODD_ROW='{\"connections.*.odd\",VD_T_UINT,1,0,0,\"X.\"}'", false,
		TABLE "(connections.*.odd): it is required in a map that another part declares, so configurations without it would be wrong" },
	{ "-DODD_ROW='{\"even.x\",VD_T_UINT,1,0,0,\"X.\"}'", false,
		TABLE "(even.x): it is required in a map that another part declares, so configurations without it would be wrong" },
	{ "'-DODD_FIELD=.init=0,.fini=odd_fini'", false, " has fini but no init, so fini would get no object; give it an init, or leave fini out" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_STRING,0,0,\"long\",\"X.\"}'", false, TABLE "(odd.x): its largest length is no number" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_WORD,0,0,0,\"X.\"}'", false, TABLE "(odd.x): it is a word, but no words are given" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_REF,0,0,0,\"X.\"}'", false, TABLE "(odd.x): it is a reference, but no section is given" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_UINT,0,\"12\",\"1..9\",\"X.\"}'", false,
		" has a bad option table: odd.x: 12 is out of range; allowed is 1..9" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_DURATION,0,\"12\",0,\"X.\"}'", false, " has a bad option table: odd.x: `12` needs a unit, as in *" },
	{ "-DODD_ROW='{\"odd.x\",VD_T_STRING,0,\"[a\",0,\"X.\"}'", false, " has a bad option table: *" },
	{ "-DODD_ROW='{\"gateway.user\",VD_T_UINT,0,0,0,\"X.\"}'", false,
		" has a bad option table: two plugins declare gateway.user, each in another way" },
};

START_TEST(each_in_its_words)
{
	build(odd[_i].flags);
	both_refuse(odd[_i].path ? so() : "odd", odd[_i].text);
}
END_TEST

START_TEST(no_shared_object)
{
	FILE *f = fopen(so(), "w");

	ck_assert_ptr_nonnull(f);
	fputs("#!/bin/sh\necho a script that was given the wrong name, long enough to be read as a header\n", f);
	fclose(f);
	both_refuse(so(), " is no shared object for this machine (*); build it with cc -shared");
}
END_TEST

START_TEST(whose_it_is)
{
	struct stat st = { .st_mode = S_IFREG | 0644, .st_uid = 1000, .st_gid = 1000 };
	struct vd_error err;

	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 0, 0, &err), -EPERM);
	ck_assert_str_eq(err.text, "/p/a.so belongs to user 1000, who could make viaductd run anything; do: chown root /p/a.so");
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 1000, 0, &err), 0);
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 0, 1000, &err), 0);
	st.st_uid = 0;
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 1000, 1000, &err), 0);
	st.st_mode = S_IFREG | 0664; /* group 1000 is not root's */
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 0, 0, &err), -EPERM);
	ck_assert_str_eq(err.text, "/p/a.so may be written by others (mode 0664), who could make viaductd run anything; do: chmod go-w /p/a.so");
	st.st_gid = 0;
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 0, 0, &err), 0);
	st.st_mode = S_IFDIR | 0777;
	ck_assert_int_eq(vd_plugin_owner_check("/p", &st, 0, 0, &err), -EPERM);
	ck_assert_str_eq(err.text, "the folder /p may be written by others (mode 0777), who could make viaductd run anything; do: chmod go-w /p");
	st.st_mode |= S_ISVTX;
	ck_assert_int_eq(vd_plugin_owner_check("/p", &st, 0, 0, &err), 0);
	st.st_mode = S_IFIFO | 0600;
	ck_assert_int_eq(vd_plugin_owner_check("/p/a.so", &st, 0, 0, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "/p/a.so is not a file");
}
END_TEST

/* Nothing of such a file may run: this one would crash. */
START_TEST(writable_by_others)
{
	char text[256];

	build("-DODD_CRASH");
	ck_assert_int_eq(chmod(so(), 0646), 0);
	vd_format(text, sizeof(text), " may be written by others (mode 0646), who could make viaductd run anything; do: chmod go-w %s", so());
	both_refuse(so(), text);
	ck_assert_int_eq(chmod(so(), 0644), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(vd_plugins_open(dir, on_refused, NULL), 1);
	vd_format(text, sizeof(text), "the folder %s may be written by others (mode 0777), who could make viaductd run anything; "
		"do: chmod go-w %s", dir, dir);
	ck_assert_str_eq(refused, text);
}
END_TEST

START_TEST(what_it_does_when_loaded)
{
	static const struct {
		const char *flags, *text;
	} deeds[] = {
		{ "-DODD_CRASH", "odd.so crashed while it was loaded (Segmentation fault); a plugin runs no code before its init\n" },
		{ "-DODD_EXIT", "odd.so ended the process that loaded it (status 0); a plugin runs no code before its init\n" },
		{ "-DODD_HANG", "odd.so was not loaded in 10 seconds; a plugin runs no code before its init\n" },
	};

	build(deeds[_i].flags);
	ck_assert_msg(ctl("", so()) == 1, "%s", printed);
	ck_assert_msg(strstr(printed, deeds[_i].text) != NULL, "%s", printed);
	ck_assert_msg(!strncmp(printed, "refused: ", 9), "%s", printed);
}
END_TEST

/* A start, and --check, end with a line that names the plugin. */
START_TEST(never_returns_from_loading)
{
	char command[512];
	size_t n;
	FILE *p;

	build("-DODD_HANG");
	vd_format(command, sizeof(command), "%s/core/viaductd --check --config %s --plugins %s 2>&1", VD_TEST_BUILDDIR, dir, dir);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	n = fread(printed, 1, sizeof(printed) - 1, p);
	printed[n] = 0;
	int status = pclose(p);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "%s", printed);
	ck_assert_msg(strstr(printed, "/odd.so was not loaded in 10 seconds; a plugin runs no code before its init; take it out of the "
		"folder\n") != NULL, "%s", printed);
}
END_TEST

START_TEST(nothing_to_check)
{
	ck_assert_int_eq(ctl("", so()), 2);
	ck_assert_ptr_nonnull(strstr(printed, "/odd.so: No such file or directory\n"));
	ck_assert_int_eq(ctl("", "/etc/passwd"), 2);
	ck_assert_str_eq(printed, "viaductctl: /etc/passwd is not called NAME.so, so viaductd would not look at it\n");
	ck_assert_int_eq(ctl("", ""), 2);
	ck_assert_str_eq(printed, "viaductctl: plugin check needs the file of a plugin; see viaductctl --help\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("plugin_file");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	umask(022);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_good_one);
	tcase_add_loop_test(tc, each_in_its_words, 0, VD_ARRAY_SIZE(odd));
	tcase_add_test(tc, no_shared_object);
	tcase_add_test(tc, whose_it_is);
	tcase_add_test(tc, writable_by_others);
	tcase_add_loop_test(tc, what_it_does_when_loaded, 0, 3);
	tcase_add_test(tc, nothing_to_check);
	tcase_add_test(tc, never_returns_from_loading);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
