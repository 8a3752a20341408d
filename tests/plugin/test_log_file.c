/* log_file: what stands in the file, a file that is moved away, a full disk, and a writer that hangs. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "plugins/log/lib/format.h"
#include "plugins/log/lib/queue.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin log_file_LTX_vd_plugin;
#define PLUGIN (&log_file_LTX_vd_plugin)

static char dir[64], path[96], text[1 << 20];

static void setup(void)
{
	vd_strcpy(dir, sizeof(dir), "/tmp/vdlog-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	vd_format(path, sizeof(path), "%s/viaduct.log", dir);
	fake_init(1);
	vd_log_set_level(VD_LOG_INFO);
}

static void teardown(void)
{
	char command[128];

	fake_conf_fini();
	fake_fini();
	vd_format(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void begin(const char *format)
{
	static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };
	char yaml[256];

	vd_format(yaml, sizeof(yaml), "gateway: { user: nobody }\nlog: { file: { path: %s, format: %s } }", path, format);
	fake_conf(yaml, plugins, NULL);
	fake_plugin_start(PLUGIN);
}

static const char *contents(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s", file);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

/* The queue has a real thread: what it wrote is there in a moment. */
static bool appears(const char *file, const char *what)
{
	for (int i = 0; i < 500; i++) {
		if (access(file, F_OK) == 0 && strstr(contents(file), what))
			return true;
		usleep(10000);
	}
	return false;
}

START_TEST(lines_of_text)
{
	struct stat st;

	begin("text");
	vd_log(VD_LOG_NOTICE, "life", &(struct vd_ids){ 7, 0, 42 }, "up: user %s\nhas\x7f lines", "alice");
	vd_log(VD_LOG_DEBUG, "life", NULL, "not at this level");
	vd_log_coded(NULL, VD_LOG_ERROR, "ike", NULL, "no-proposal", "bob", "last");
	fake_plugin_stop(PLUGIN); /* writes what waits */
	contents(path);
	ck_assert_msg(strstr(text, " notice  life p-7 s-42: up: user alice\\x0ahas\\x7f lines\n") == text + 23, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, " error   ike: last\n"));
	ck_assert_ptr_null(strstr(text, "not at this level"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	/* appended to, and its mode is whoever's it was */
	ck_assert_int_eq(chmod(path, 0600), 0);
	begin("text");
	vd_log(VD_LOG_NOTICE, "life", NULL, "second run");
	fake_plugin_stop(PLUGIN);
	ck_assert_ptr_nonnull(strstr(contents(path), "ike: last\n"));
	ck_assert_ptr_nonnull(strstr(text, "life: second run\n"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(lines_of_json)
{
	json_t *json;
	char *line, *end;

	begin("json");
	vd_log_coded(NULL, VD_LOG_NOTICE, "life", &(struct vd_ids){ 7, 8, 42 }, "session-up", "al\"ice\\", "quote \" and bad \xff\xc3( octets \xc3\xa4");
	vd_log(VD_LOG_INFO, "ike", NULL, "plain");
	fake_plugin_stop(PLUGIN);
	line = (char *)contents(path);
	end = strchr(line, '\n');
	ck_assert_ptr_nonnull(end);
	*end = 0;
	json = json_loads(line, 0, NULL);
	ck_assert_msg(json != NULL, "%s", line);
	ck_assert_str_eq(json_string_value(json_object_get(json, "level")), "notice");
	ck_assert_str_eq(json_string_value(json_object_get(json, "area")), "life");
	ck_assert_str_eq(json_string_value(json_object_get(json, "peer")), "p-7");
	ck_assert_str_eq(json_string_value(json_object_get(json, "channel")), "c-8");
	ck_assert_str_eq(json_string_value(json_object_get(json, "session")), "s-42");
	ck_assert_str_eq(json_string_value(json_object_get(json, "user")), "al\"ice\\");
	ck_assert_str_eq(json_string_value(json_object_get(json, "code")), "session-up");
	ck_assert_str_eq(json_string_value(json_object_get(json, "message")), "quote \" and bad \\xff\\xc3( octets \xc3\xa4");
	ck_assert_int_eq(strlen(json_string_value(json_object_get(json, "time"))), 24);
	json_decref(json);
	json = json_loads(end + 1, JSON_DISABLE_EOF_CHECK, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(json, "message")), "plain");
	ck_assert_ptr_null(json_object_get(json, "session"));
	ck_assert_ptr_null(json_object_get(json, "user"));
	json_decref(json);
}
END_TEST

/* As logrotate does it: no signal is needed. */
START_TEST(moved_away)
{
	char old[96];

	vd_format(old, sizeof(old), "%s.1", path);
	begin("text");
	vd_log(VD_LOG_NOTICE, "a", NULL, "first");
	ck_assert(appears(path, "a: first\n"));
	ck_assert_int_eq(rename(path, old), 0);
	usleep(2100000); /* it looks once a second, by a coarse clock */
	vd_log(VD_LOG_NOTICE, "a", NULL, "second");
	ck_assert(appears(path, "a: second\n"));
	ck_assert_ptr_null(strstr(contents(old), "second"));
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* A limit on the size of files stands for the full disk: lines are lost, counted and told, and the file goes on with whole
 * lines when there is room again. */
START_TEST(full_disk)
{
	struct rlimit old, small = { 2000, 2000 };
	char *broken;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	begin("text");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 100; i++)
		vd_log(VD_LOG_NOTICE, "a", NULL, "record number %d of one hundred", i);
	ck_assert(appears(path, "record number 20 of"));
	usleep(300000);
	fake_advance(1000);
	ck_assert_uint_gt(vd_counter("log_file.lost"), 50);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	vd_log(VD_LOG_NOTICE, "a", NULL, "there is room again");
	ck_assert(appears(path, "there is room again\n"));
	fake_advance(1000);
	fake_advance(1000);
	ck_assert(appears(path, " records were lost; they are written again\n"));
	fake_plugin_stop(PLUGIN);
	contents(path);
	broken = strstr(text, "there is room again");
	while (broken > text && broken[-1] != '\n')
		broken--;
	ck_assert_msg(!strncmp(broken, "20", 2), "%s", broken); /* begins with its date: the torn line before it was ended */
}
END_TEST

START_TEST(cannot_be_opened)
{
	static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };
	char yaml[256], want[256];
	struct vd_host *host;
	struct vd_error err;

	vd_format(yaml, sizeof(yaml), "log: { file: { path: %s/none/x.log } }", dir);
	fake_conf(yaml, plugins, NULL);
	host = vd_plugin_preload(PLUGIN, &err);
	ck_assert_int_eq(vd_host_init(host, &err), -ENOENT);
	vd_format(want, sizeof(want), "plugin log_file cannot be initialised: cannot write %s/none/x.log: No such file or directory; see "
		"log.file.path", dir);
	ck_assert_str_eq(err.text, want);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	vd_format(yaml, sizeof(yaml), "log: { file: { path: %s } }", path);
	fake_conf(yaml, plugins, NULL);
	ck_assert_int_lt(vd_host_init(host, &err), 0); /* nobody reads it, or it is no file */
	vd_log(VD_LOG_NOTICE, "a", NULL, "nobody listens"); /* no sink was left behind */
}
END_TEST

/* ---- the queue, with a writer that hangs ---- */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static unsigned written;
static struct log_queue *volatile kept; /* by a thread that hangs */

static int slow_write(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	pthread_mutex_lock(&gate);
	__atomic_fetch_add(&written, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&gate);
	return 0;
}

static uint64_t us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

START_TEST(who_logs_is_not_held_up)
{
	struct log_queue_setup setup = { .plugin = "t", .counter = "t.lost", .thread = "t", .octets = 4000, .write = slow_write };
	struct log_queue *q = log_queue_new(&setup);
	char line[100] = "x";
	uint64_t longest = 0;

	written = 0;
	ck_assert_int_eq(log_queue_start(q), 0);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 1000; i++) {
		uint64_t began = us();

		log_queue_put(q, line, sizeof(line));
		longest = us() - began > longest ? us() - began : longest;
	}
	ck_assert_msg(log_queue_lost(q) == 960, "%llu", (unsigned long long)log_queue_lost(q)); /* 40 of 100 octets fit */
	ck_assert(!log_queue_settle(q, 50));
	ck_assert_msg(longest < 200000, "%llu us", (unsigned long long)longest); /* not a matter of the writer */
	pthread_mutex_unlock(&gate);
	ck_assert(log_queue_settle(q, 5000));
	ck_assert_uint_eq(written, 40);
	fake_advance(1000);
	ck_assert_uint_eq(vd_counter("t.lost"), 960);
	ck_assert(log_queue_put(q, line, sizeof(line)));
	ck_assert(log_queue_free(q));
	ck_assert_uint_eq(written, 41);
}
END_TEST

/* A sink that fails every other time, as UDP to a server that is down does, must not talk about that for ever: what it says
 * is a record too. */
static int flaky_write(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return written++ % 2 ? -ECONNREFUSED : 0;
}

static struct log_queue *flaky;
static bool to_flaky(void *arg, const struct vd_log_record *record)
{
	(void)arg;
	return log_queue_put(flaky, record->text, strlen(record->text));
}

START_TEST(no_talk_about_itself)
{
	struct log_queue_setup setup = { .plugin = "t", .counter = "t.lost", .thread = "t", .write = flaky_write };

	written = 0;
	flaky = log_queue_new(&setup);
	ck_assert_int_eq(log_queue_start(flaky), 0);
	ck_assert_int_eq(vd_log_sink_add(to_flaky, NULL, 0), 0);
	vd_log(VD_LOG_NOTICE, "a", NULL, "one");
	vd_log(VD_LOG_NOTICE, "a", NULL, "two");
	for (int i = 0; i < 50; i++) {
		ck_assert(log_queue_settle(flaky, 5000));
		fake_advance(1000);
	}
	ck_assert(log_queue_settle(flaky, 5000));
	ck_assert_msg(written >= 3 && written <= 4, "%u", written);
	vd_log_sink_remove(to_flaky, NULL);
	ck_assert(log_queue_free(flaky));
}
END_TEST

/* A writer in the kernel's hands does not keep the daemon from ending. */
START_TEST(a_writer_that_never_returns)
{
	struct log_queue_setup setup = { .plugin = "t", .counter = "t.lost", .thread = "t", .write = slow_write };
	struct log_queue *q = log_queue_new(&setup);
	uint64_t began = us();

	written = 0;
	kept = q;
	ck_assert_int_eq(log_queue_start(q), 0);
	pthread_mutex_lock(&gate);
	ck_assert(log_queue_put(q, "x", 1));
	ck_assert(!log_queue_free(q));
	ck_assert_uint_lt(us() - began, 10000000);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 500 && __atomic_load_n(&written, __ATOMIC_ACQUIRE) == 0; i++)
		usleep(10000);
	ck_assert_uint_eq(written, 1);
	usleep(100000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_file");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lines_of_text);
	tcase_add_test(tc, lines_of_json);
	tcase_add_test(tc, moved_away);
	tcase_add_test(tc, full_disk);
	tcase_add_test(tc, cannot_be_opened);
	tcase_add_test(tc, who_logs_is_not_held_up);
	tcase_add_test(tc, no_talk_about_itself);
	tcase_add_test(tc, a_writer_that_never_returns);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
