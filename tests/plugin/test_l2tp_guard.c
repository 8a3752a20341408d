/* L2TP without IPsec: whom to speak of, and silence on the wire, in a network namespace of the test's own. */
#include <config.h>

#include "core/bus.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "core/report/report.h"
#include "core/system/priv.h"
#include "plugins/l2tp/l2tp_guard.h"
#include "tests/lib/fake.h"

#include <viaduct/log.h>
#include <viaduct/topics.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct vd_plugin l2tp_guard_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &l2tp_guard_LTX_vd_plugin, NULL };

START_TEST(limiter)
{
	struct guard_sources sources = { 0 };
	struct vd_ip a = vd_ip4(0xcb007107), b;
	unsigned i, told = 0;

	fake_init(2);
	ck_assert(l2tp_guard_tell(&sources, &a));
	ck_assert(!l2tp_guard_tell(&sources, &a));
	fake_advance(59999);
	ck_assert(!l2tp_guard_tell(&sources, &a));
	fake_advance(1);
	ck_assert(l2tp_guard_tell(&sources, &a));
	/* Many sources: as many as the table holds, the rest in silence, nobody twice. */
	for (i = 0; i < 1000; i++) {
		b = vd_ip4(0x0a000000 + i);
		told += l2tp_guard_tell(&sources, &b);
		ck_assert(!l2tp_guard_tell(&sources, &b));
	}
	ck_assert_uint_eq(told, GUARD_SOURCES - 1);
	ck_assert(!l2tp_guard_tell(&sources, &a));
	fake_advance(60000);
	b = vd_ip4(0x0a0003e7);
	ck_assert(l2tp_guard_tell(&sources, &b));
	ck_assert(l2tp_guard_tell(&sources, &a));
	fake_fini();
}
END_TEST

/* A connected socket hears of ICMP port unreachable as ECONNREFUSED. */
static int client(const char *to)
{
	struct sockaddr_storage storage = { 0 };
	struct vd_sa sa = { .port = 1701 };
	unsigned len;
	int fd;

	ck_assert(vd_ip_parse(to, &sa.ip));
	len = vd_sa_to_sockaddr(&sa, &storage);
	fd = socket(sa.ip.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&storage, len), 0);
	return fd;
}

static bool refused(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int error = 0;
	socklen_t len = sizeof(error);

	/* On the loopback the answer is there when send returns. */
	ck_assert_int_ge(poll(&p, 1, 0), 0);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	ck_assert_int_eq(p.revents & POLLIN & ~(p.revents & POLLERR ? POLLIN : 0), 0); /* nor any datagram */
	return error == ECONNREFUSED;
}

static void *failed;
static unsigned events;
static void on_failed(void *arg, const void *event)
{
	(void)arg;
	memcpy(failed, event, sizeof(struct vd_setup_failed));
	events++;
}

static void pump(uint64_t counted)
{
	for (unsigned i = 0; i < 100 && vd_counter("l2tp.unprotected") < counted; i++)
		vd_loop_ev_once(50);
	ck_assert_uint_eq(vd_counter("l2tp.unprotected"), counted);
}

static char dir[] = "/tmp/viaduct-test-guard-XXXXXX";

START_TEST(silence)
{
	static struct vd_setup_failed e;
	struct vd_error err = { 0 };
	struct vd_host *host;
	int fd, fd6, i;

	if (geteuid() != 0)
		return;
	failed = &e;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(vd_netlink_up("lo", 65536, 1000, NULL), 0);
	ck_assert_int_eq(vd_loop_ev_init(), 0);
	ck_assert_int_eq(vd_bus_init(), 0);
	ck_assert_int_eq(vd_priv_init(dir), 0);
	ck_assert_int_eq(vd_event_subscribe(NULL, "setup_failed", on_failed, NULL), 0);
	fake_conf("gateway: { listen: [127.0.0.1, \"::1\", 192.0.2.1] }\n", plugins, NULL);

	fd = client("127.0.0.1");
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert(refused(fd)); /* without the guard: the test can see it */

	host = vd_plugin_preload(&l2tp_guard_LTX_vd_plugin, &err);
	ck_assert_ptr_nonnull(host);
	ck_assert_msg(vd_host_init(host, &err) == 0, "%s", err.text);
	ck_assert_int_eq(vd_host_start(host, &err), 0); /* the address that is not ours is a warning */
	vd_fifo_drain();
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(send(fd, "\xc8\x02\x00\x14", 4, 0), 4);
	pump(3);
	ck_assert(!refused(fd));
	vd_fifo_drain();
	ck_assert_uint_eq(events, 1);
	ck_assert_msg(!strncmp(e.text, "L2TP without IPsec was ignored: ", 32), "%s", e.text);
	ck_assert_str_eq(e.stage, "l2tp");
	ck_assert(vd_report_is_about(&e, "127.0.0.1"));
	fd6 = client("::1");
	ck_assert_int_eq(send(fd6, "", 0, 0), 0);
	pump(4);
	ck_assert(!refused(fd6));
	vd_fifo_drain();
	ck_assert_uint_eq(events, 2);
	/* A flood: one batch is read at once, the rest later, and what does not fit is lost in silence. */
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	vd_loop_ev_once(50);
	ck_assert_uint_eq(vd_counter("l2tp.unprotected"), 4 + 16);
	pump(24);
	for (i = 0; i < 2000; i++)
		ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert(!refused(fd));
	vd_host_stop(host);
	vd_host_fini(host);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	ck_assert(refused(fd)); /* the port is given back */
	close(fd);
	close(fd6);
	fake_conf_fini();
	vd_priv_fini();
	vd_bus_fini();
	vd_services_fini();
	vd_plugins_forget();
	vd_loop_ev_fini();
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_guard");
	TCase *t = tcase_create("guard");
	SRunner *r = srunner_create(s);
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, limiter);
	tcase_add_test(t, silence);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures != 0;
}
