/* log_journal: the datagram that systemd's journal would get, at its socket in mounts of our own. Needs root, or user
 * namespaces; otherwise it is skipped (status 77). */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"
#include "tests/lib/fake.h"
#include "tests/lib/mounts.h"

extern const struct vd_plugin log_journal_LTX_vd_plugin;
#define PLUGIN (&log_journal_LTX_vd_plugin)
#define SOCKET "/run/systemd/journal/socket"

static char got[16384];
static ssize_t len;
static unsigned lines;

static void on_line(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	lines++;
	vd_strcpy(got, sizeof(got), line);
}

static void begin(void)
{
	static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };

	fake_init(1);
	vd_log_set_level(VD_LOG_INFO);
	vd_log_sink(on_line, NULL);
	fake_conf("log: { journal: {} }", plugins, NULL);
	fake_plugin_start(PLUGIN);
	lines = 0;
}

static void end(void)
{
	fake_plugin_stop(PLUGIN);
	fake_conf_fini();
	fake_fini();
}

static int journal(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(SOCKET);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void hear(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ck_assert_msg(poll(&p, 1, 5000) == 1, "nothing came");
	len = recv(fd, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(len, 0);
	got[len] = 0;
}

static bool has(const char *field)
{
	size_t n = strlen(field);

	for (char *at = got; (at = strstr(at, field)); at++)
		if ((at == got || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}

START_TEST(fields)
{
	int fd = journal();

	unsetenv("JOURNAL_STREAM");
	begin();
	vd_log_coded(NULL, VD_LOG_NOTICE, "life", &(struct vd_ids){ 7, 8, 42 }, "session-up", "alice", "up: user alice");
	hear(fd);
	ck_assert_msg(has("MESSAGE=life p-7 c-8 s-42: up: user alice"), "%s", got);
	ck_assert(has("PRIORITY=5"));
	ck_assert(has("SYSLOG_IDENTIFIER=viaductd"));
	ck_assert(has("VIADUCT_AREA=life"));
	ck_assert(has("VIADUCT_PEER=p-7"));
	ck_assert(has("VIADUCT_CHANNEL=c-8"));
	ck_assert(has("VIADUCT_SESSION=s-42"));
	ck_assert(has("VIADUCT_USER=alice"));
	ck_assert(has("VIADUCT_CODE=session-up"));
	ck_assert_uint_eq(lines, 1); /* standard error is another place, and has it too */
	vd_log(VD_LOG_ERROR, "ike", NULL, "plain");
	hear(fd);
	ck_assert(has("MESSAGE=ike: plain") && has("PRIORITY=3"));
	ck_assert_ptr_null(strstr(got, "VIADUCT_SESSION"));
	ck_assert_ptr_null(strstr(got, "VIADUCT_USER"));
	end();
	close(fd);
}
END_TEST

/* Started by systemd, whose journal reads standard error: no record stands there twice. */
START_TEST(not_twice)
{
	int fd = journal();

	setenv("JOURNAL_STREAM", "8:12345", 1);
	begin();
	vd_log(VD_LOG_NOTICE, "life", NULL, "once");
	ck_assert_uint_eq(lines, 0);
	hear(fd);
	ck_assert(has("MESSAGE=life: once"));
	end();
	unsetenv("JOURNAL_STREAM");
	close(fd);
}
END_TEST

START_TEST(no_journal)
{
	unlink(SOCKET);
	setenv("JOURNAL_STREAM", "8:12345", 1);
	begin();
	ck_assert_str_eq(got, "log_journal: there is no journal at /run/systemd/journal/socket: nothing is written there");
	vd_log(VD_LOG_NOTICE, "life", NULL, "still on standard error");
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(got, "life: still on standard error");
	end();
	unsetenv("JOURNAL_STREAM");
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *tc;
	SRunner *sr;
	int failed;

	if (!mounts_of_our_own("log_journal"))
		return 77;
	if (mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 ||
		mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0) {
		printf("SKIP log_journal: /run cannot be mounted: %s\n", strerror(errno));
		return 77;
	}
	s = suite_create("log_journal");
	tc = tcase_create("all");
	sr = srunner_create(s);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, fields);
	tcase_add_test(tc, not_twice);
	tcase_add_test(tc, no_journal);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
