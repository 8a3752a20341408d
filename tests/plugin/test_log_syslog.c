/* log_syslog: what a daemon at a socket of ours and a server at a port of ours get; a daemon that goes and comes back. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"
#include "core/plugin.h"
#include "plugins/log/syslog/message.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin log_syslog_LTX_vd_plugin;
#define PLUGIN (&log_syslog_LTX_vd_plugin)

static char dir[64], path[96], got[16384];
static const struct vd_plugin *const plugins[] = { PLUGIN, NULL };

static void setup(void)
{
	vd_strcpy(dir, sizeof(dir), "/tmp/vdsys-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	vd_format(path, sizeof(path), "%s/log", dir);
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

static int listen_here(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	vd_strcpy(sa.sun_path, sizeof(sa.sun_path), path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static const char *hear(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	ck_assert_msg(poll(&p, 1, 5000) == 1, "nothing came");
	n = recv(fd, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = 0;
	return got;
}

static void begin(const char *more)
{
	char yaml[512];

	vd_format(yaml, sizeof(yaml), "log: { syslog: { socket: %s%s } }", path, more);
	fake_conf(yaml, plugins, NULL);
	fake_plugin_start(PLUGIN);
}

START_TEST(the_hosts_daemon)
{
	int fd = listen_here();
	char want[128];

	begin(", facility: local3");
	vd_log(VD_LOG_NOTICE, "life", &(struct vd_ids){ 7, 0, 42 }, "up: user alice");
	hear(fd); /* local3 is 19, notice here is warning's next: 19 * 8 + 5 */
	ck_assert_msg(!strncmp(got, "<157>", 5), "%s", got);
	vd_format(want, sizeof(want), " viaductd[%d]: life p-7 s-42: up: user alice", (int)getpid());
	ck_assert_msg(strstr(got, want) == got + 20, "%s", got);
	/* it is restarted: records are lost meanwhile and told of, and go to the new one */
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
	vd_log(VD_LOG_NOTICE, "life", NULL, "nobody hears this");
	usleep(300000);
	fake_advance(1000);
	ck_assert_uint_ge(vd_counter("log_syslog.lost"), 1);
	usleep(300000);
	fd = listen_here();
	vd_log(VD_LOG_ERROR, "ike", NULL, "back again");
	ck_assert_ptr_nonnull(strstr(hear(fd), "ike: back again"));
	ck_assert_msg(!strncmp(got, "<155>", 5), "%s", got);
	usleep(100000);
	for (int i = 0; i < 3; i++)
		fake_advance(1000);
	ck_assert_ptr_nonnull(strstr(hear(fd), " records were lost; they are written again"));
	fake_plugin_stop(PLUGIN);
	close(fd);
}
END_TEST

START_TEST(a_server)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), local = listen_here();
	char more[128];

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	vd_format(more, sizeof(more), ", local: false, server: 127.0.0.1, port: %u", ntohs(in.sin_port));
	begin(more);
	vd_log_coded(NULL, VD_LOG_NOTICE, "life", &(struct vd_ids){ 7, 8, 42 }, "pool-full", "a\"]\\b", "address failed");
	hear(fd);
	ck_assert_msg(!strncmp(got, "<29>1 2", 7), "%s", got); /* daemon is 3 */
	ck_assert_ptr_nonnull(strstr(got, " viaductd "));
	ck_assert_msg(strstr(got, " life [viaduct@32473 peer=\"p-7\" channel=\"c-8\" session=\"s-42\" user=\"a\\\"\\]\\\\b\" code=\"pool-full\"] "
		"address failed") != NULL, "%s", got);
	ck_assert_int_eq(recv(local, got, sizeof(got), MSG_DONTWAIT), -1);
	vd_log(VD_LOG_INFO, "ike", NULL, "plain");
	hear(fd);
	ck_assert_msg(strstr(got, " ike - plain") && !strncmp(got, "<30>1 ", 6), "%s", got);
	fake_plugin_stop(PLUGIN);
	close(fd);
	close(local);
}
END_TEST

START_TEST(both_and_none)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), local = listen_here();
	struct vd_host *host;
	struct vd_error err;
	char more[128];

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	vd_format(more, sizeof(more), ", server: 127.0.0.1, port: %u", ntohs(in.sin_port));
	begin(more);
	vd_log(VD_LOG_NOTICE, "life", NULL, "to both");
	ck_assert_ptr_nonnull(strstr(hear(fd), "life - to both"));
	ck_assert_ptr_nonnull(strstr(hear(local), "life: to both"));
	fake_plugin_stop(PLUGIN);
	close(fd);
	close(local);
	fake_conf("log: { syslog: { local: false } }", plugins, NULL);
	host = vd_plugin_preload(PLUGIN, &err);
	ck_assert_int_eq(vd_host_init(host, &err), -EINVAL);
	ck_assert_str_eq(err.text, "plugin log_syslog cannot be initialised: log.syslog sends to nobody: give it a server, or set local to true");
}
END_TEST

/* Messages are bounded whatever stands in a record. */
START_TEST(small_buffers)
{
	char user[300], out[64];
	struct vd_log_record r = { .level = VD_LOG_ERROR, .area = "life", .ids = { 1, 2, 3 }, .user = user, .code = "x", .text = user };

	memset(user, '"', sizeof(user) - 1);
	user[sizeof(user) - 1] = 0;
	for (size_t size = 1; size <= sizeof(out); size++) {
		ck_assert_uint_lt(syslog_rfc5424(&r, 3, "host", 1, out, size), size);
		ck_assert_uint_lt(syslog_local(&r, 3, 1, out, size), size);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_syslog");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_hosts_daemon);
	tcase_add_test(tc, a_server);
	tcase_add_test(tc, both_and_none);
	tcase_add_test(tc, small_buffers);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
