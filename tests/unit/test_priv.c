/* priv/1 on a real kernel, in a network namespace of the test's own, and giving privileges up. Skipped without root. */
#include <config.h>

#include "core/system/firewall.h"
#include "core/system/priv.h"
#include "core/log.h"
#include "core/system/work.h"
#include "tests/lib/fake.h"
#include "tests/lib/mounts.h"

#include <viaduct/plugin.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct vd_priv_1 *svc;
static char dir[] = "/tmp/viaduct-test-priv-XXXXXX";
static struct { unsigned calls; int code; char text[320]; int fds[16]; unsigned n; char name[IFNAMSIZ]; } got;

static void keep(const struct vd_error *err)
{
	got.calls++;
	got.code = err ? err->code : 0;
	vd_strcpy(got.text, sizeof(got.text), err ? err->text : "");
}

static void on_plain(void *arg, const struct vd_error *err)
{
	(void)arg;
	keep(err);
}

static void on_socket(void *arg, int fd, const struct vd_error *err)
{
	(void)arg;
	got.fds[0] = fd;
	keep(err);
	ck_assert_int_eq(fd < 0, err != NULL);
}

static void on_tun(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err)
{
	(void)arg;
	got.n = n;
	for (unsigned i = 0; i < n; i++)
		got.fds[i] = fds[i];
	vd_strcpy(got.name, sizeof(got.name), name);
	keep(err);
}

static void ok(int ret)
{
	unsigned before = got.calls;

	ck_assert_int_eq(ret, 0);
	fake_drain();
	ck_assert_uint_eq(got.calls, before + 1);
	ck_assert_msg(got.code == 0, "%s", got.text);
}

static void fails(int ret, int code)
{
	ck_assert_int_eq(ret, 0);
	fake_drain();
	ck_assert_int_eq(got.code, code);
	ck_assert_str_ne(got.text, "");
}

static void setup(void)
{
	fake_init(4);
	memset(&got, 0, sizeof(got));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	/* /sys and /proc/sys/net follow the namespace of the reader; nothing to mount */
	ck_assert_int_eq(vd_netlink_up("lo", 65536, 1000, NULL), 0);
	ck_assert_int_eq(vd_priv_init(dir), 0);
	svc = vd_service_find("priv/1", NULL);
}

static void clean_dir(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/secret", dir);
	unlink(path);
	rmdir(dir);
}

static void teardown(void)
{
	vd_priv_fini();
	fake_fini();
	clean_dir();
}

static struct vd_sa sa_of(const char *ip, uint16_t port)
{
	struct vd_sa sa = { .port = port };

	ck_assert(vd_ip_parse(ip, &sa.ip));
	return sa;
}

static struct vd_prefix prefix_of(const char *text)
{
	struct vd_prefix prefix;

	ck_assert(vd_prefix_parse(text, &prefix));
	return prefix;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* What "ip" says: an independent reader of the kernel's state. */
static void ip_says(const char *command, const char *want, bool there)
{
	char line[512], all[8192] = "";
	FILE *f = popen(command, "r");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) && strlen(all) + sizeof(line) < sizeof(all))
		strcat(all, line);
	pclose(f);
	ck_assert_msg((strstr(all, want) != NULL) == there, "%s: %s \"%s\" in:\n%s", command, there ? "no" : "unexpected", want,
		all);
}

static void sockets_work(void)
{
	struct vd_sa v4 = sa_of("127.0.0.1", 4500), v6 = sa_of("::1", 4500), foreign = sa_of("192.0.2.77", 500);
	int first;

	ok(svc->open_socket(svc->self, VD_SOCK_UDP_PORT, &v4, on_socket, NULL));
	first = got.fds[0];
	ck_assert_int_eq(option(first, SOL_SOCKET, SO_REUSEPORT), 1);
	ck_assert_int_eq(option(first, IPPROTO_UDP, 104 /* UDP_GRO */), 1);
	ck_assert_int_eq(option(first, IPPROTO_IP, IP_PKTINFO), 1);
	ck_assert_int_eq(option(first, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_OMIT);
	ck_assert_int_ge(option(first, SOL_SOCKET, SO_RCVBUF), 8 << 20);
	ck_assert_int_ne(fcntl(first, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(first, F_GETFD) & FD_CLOEXEC, 0);
	ok(svc->open_socket(svc->self, VD_SOCK_UDP_PORT, &v4, on_socket, NULL)); /* the group takes a second */
	close(got.fds[0]);
	fails(svc->open_socket(svc->self, VD_SOCK_UDP, &v4, on_socket, NULL), -EADDRINUSE);
	ok(svc->open_socket(svc->self, VD_SOCK_UDP_PORT, &v6, on_socket, NULL));
	ck_assert_int_eq(option(got.fds[0], IPPROTO_IPV6, IPV6_V6ONLY), 1);
	ck_assert_int_eq(option(got.fds[0], IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	close(got.fds[0]);
	close(first);
	fails(svc->open_socket(svc->self, VD_SOCK_UDP, &foreign, on_socket, NULL), -EADDRNOTAVAIL);
	ok(svc->open_socket(svc->self, VD_SOCK_ESP, &v4, on_socket, NULL));
	ck_assert_int_eq(option(got.fds[0], SOL_SOCKET, SO_PROTOCOL), IPPROTO_ESP);
	close(got.fds[0]);
	ok(svc->open_socket(svc->self, VD_SOCK_ESP, &v6, on_socket, NULL));
	close(got.fds[0]);
}

START_TEST(sockets)
{
	sockets_work();
}
END_TEST

static void tun_works(unsigned queues)
{
	struct vd_prefix gw = prefix_of("10.8.0.1/32"), gw6 = prefix_of("2001:db8::1/128");
	struct vd_prefix net = prefix_of("10.8.0.0/24"), net6 = prefix_of("2001:db8::/64"), other = prefix_of("10.9.0.0/16");

	ok(svc->open_tun(svc->self, "vdtest%d", queues, 1400, 60, on_tun, NULL));
	ck_assert_uint_eq(got.n, queues);
	ck_assert_str_eq(got.name, "vdtest0");
	ip_says("ip link show vdtest0", "mtu 1400", true);
	ip_says("ip link show vdtest0", "qlen 60", true);
	ip_says("ip link show vdtest0", "UP", true);
	for (unsigned twice = 0; twice < 2; twice++) {
		ok(svc->address(svc->self, true, "vdtest0", &gw, on_plain, NULL));
		ok(svc->address(svc->self, true, "vdtest0", &gw6, on_plain, NULL));
		ok(svc->route(svc->self, true, "vdtest0", &net, on_plain, NULL));
		ok(svc->route(svc->self, true, "vdtest0", &net6, on_plain, NULL));
	}
	ip_says("ip addr show vdtest0", "10.8.0.1/32", true);
	ip_says("ip addr show vdtest0", "2001:db8::1/128", true);
	ip_says("ip route", "10.8.0.0/24 dev vdtest0", true);
	ip_says("ip -6 route", "2001:db8::/64 dev vdtest0", true);
	/* A route that somebody else has is not taken over, and not doubled. */
	ok(svc->route(svc->self, true, "lo", &other, on_plain, NULL));
	fails(svc->route(svc->self, true, "vdtest0", &other, on_plain, NULL), -EEXIST);
	ip_says("ip route", "10.9.0.0/16 dev lo", true);
	ip_says("ip route", "10.9.0.0/16 dev vdtest0", false);
	for (unsigned twice = 0; twice < 2; twice++) {
		ok(svc->route(svc->self, false, "vdtest0", &net, on_plain, NULL));
		ok(svc->route(svc->self, false, "vdtest0", &net6, on_plain, NULL));
		ok(svc->address(svc->self, false, "vdtest0", &gw, on_plain, NULL));
		ok(svc->address(svc->self, false, "vdtest0", &gw6, on_plain, NULL));
	}
	ip_says("ip addr show vdtest0", "10.8.0.1", false);
	ip_says("ip route", "10.8.0.0/24", false);
	ip_says("ip -6 route", "2001:db8::/64", false);
	for (unsigned i = 0; i < queues; i++)
		close(got.fds[i]);
	fails(svc->address(svc->self, true, "vdtest0", &gw, on_plain, NULL), -ENODEV);
	ok(svc->address(svc->self, false, "vdtest0", &gw, on_plain, NULL));
	ok(svc->route(svc->self, false, "vdtest0", &net, on_plain, NULL));
}

START_TEST(tun)
{
	tun_works(_i == 0 ? 1 : 4);
}
END_TEST

/* From our address; and a gateway that stays reachable when everything else goes into the tunnel. */
START_TEST(tun_dialled)
{
	struct vd_prefix own = prefix_of("10.8.0.23/32"), net = prefix_of("10.40.0.0/16"), half = prefix_of("128.0.0.0/1");
	struct vd_ip gateway = sa_of("203.0.113.9", 0).ip, near = sa_of("198.51.100.7", 0).ip, far = sa_of("192.0.2.9", 0).ip;

	ck_assert_int_eq(system("ip link add vdout0 type veth peer name vdout1 && ip link set vdout0 up && "
		"ip link set vdout1 up && "
		"ip addr add 198.51.100.2/24 dev vdout0 && ip route add default via 198.51.100.1"), 0);
	ok(svc->open_tun(svc->self, "vdtest%d", 1, 1400, 60, on_tun, NULL));
	ok(svc->address(svc->self, true, "vdtest0", &own, on_plain, NULL));
	for (unsigned twice = 0; twice < 2; twice++) {
		ok(svc->route_from(svc->self, "vdtest0", &net, &own.ip, on_plain, NULL));
		ok(svc->pin(svc->self, true, &gateway, on_plain, NULL));
		ok(svc->pin(svc->self, true, &near, on_plain, NULL));
	}
	ip_says("ip route", "10.40.0.0/16 dev vdtest0 proto static scope link src 10.8.0.23", true);
	ip_says("ip route get 10.40.1.1", "src 10.8.0.23", true);
	ok(svc->route_from(svc->self, "vdtest0", &half, &own.ip, on_plain, NULL));
	ip_says("ip route get 203.0.113.10", "dev vdtest0", true);
	ip_says("ip route get 203.0.113.9", "via 198.51.100.1 dev vdout0", true);
	ip_says("ip route get 198.51.100.7", "dev vdout0", true);
	ok(svc->route(svc->self, false, "vdtest0", &half, on_plain, NULL));
	ip_says("ip route", "128.0.0.0/1", false);
	ok(svc->pin(svc->self, false, &gateway, on_plain, NULL));
	ok(svc->pin(svc->self, false, &gateway, on_plain, NULL));
	ip_says("ip route", "203.0.113.9", false);
	ip_says("ip route", "198.51.100.7", true);
	/* Somebody else's host route serves as well, and stays. */
	ck_assert_int_eq(system("ip route add 192.0.2.9 via 198.51.100.3"), 0);
	ok(svc->pin(svc->self, true, &far, on_plain, NULL));
	ok(svc->pin(svc->self, false, &far, on_plain, NULL));
	ip_says("ip route", "192.0.2.9 via 198.51.100.3", true);
	/* What a crash left is gone at the next start, and nothing else. */
	ok(svc->pin(svc->self, true, &gateway, on_plain, NULL));
	vd_netlink_remove_ours();
	ip_says("ip route", "203.0.113.9", false);
	ip_says("ip route", "198.51.100.7", false);
	ip_says("ip route", "192.0.2.9 via 198.51.100.3", true);
	ip_says("ip route", "10.40.0.0/16", true);
	ip_says("ip route", "default via 198.51.100.1", true);
	/* Without any way it says so. */
	ck_assert_int_eq(system("ip route del default"), 0);
	fails(svc->pin(svc->self, true, &gateway, on_plain, NULL), -ENETUNREACH);
	close(got.fds[0]);
}
END_TEST

START_TEST(tun_refuses)
{
	fails(svc->open_tun(svc->self, "vdtest%d", 0, 1400, 60, on_tun, NULL), -EINVAL);
	fails(svc->open_tun(svc->self, "vdtest%d", 17, 1400, 60, on_tun, NULL), -EINVAL);
	fails(svc->open_tun(svc->self, "a-name-that-is-too-long", 1, 1400, 60, on_tun, NULL), -EINVAL);
}
END_TEST

static void nft_works(void)
{
	ok(svc->nft(svc->self, "add table inet vdtest\nadd chain inet vdtest c { type nat hook postrouting priority 100; }\n"
		"add rule inet vdtest c ip saddr 10.8.0.0/24 masquerade\n", on_plain, NULL));
	ip_says("nft list ruleset", "ip saddr 10.8.0.0/24 masquerade", true);
	/* One transaction: the good half of a bad one is not done. */
	fails(svc->nft(svc->self, "add table inet vdother\nadd rule inet nowhere c accept\n", on_plain, NULL), -EIO);
	fails(svc->nft(svc->self, "add tible\n", on_plain, NULL), -EIO);
	ip_says("nft list ruleset", "vdother", false);
	ok(svc->nft(svc->self, "delete table inet vdtest\n", on_plain, NULL));
	ip_says("nft list ruleset", "vdtest", false);
}

START_TEST(nft)
{
#ifdef HAVE_NFTABLES
	nft_works();
#endif
}
END_TEST

#ifdef HAVE_NFTABLES
/* Asks for the table that is named in arg to be removed again, from within the answer to the last of the order. */
static void on_last(void *arg, const struct vd_error *err)
{
	on_plain(NULL, err);
	ck_assert_int_eq(svc->nft(svc->self, arg, on_plain, NULL), 0);
}

/* Each of these fails unless the one before it was carried out. */
static void ask_in_order(void)
{
	ck_assert_int_eq(svc->nft(svc->self, "create table inet vdfirst\n", on_plain, NULL), 0);
	ck_assert_int_eq(svc->nft(svc->self, "create chain inet vdfirst c\n", on_plain, NULL), 0);
	ck_assert_int_eq(svc->nft(svc->self, "add rule inet vdfirst c accept\n", on_plain, NULL), 0);
	ck_assert_int_eq(svc->nft(svc->self, "flush chain inet vdfirst c\ndelete chain inet vdfirst c\n", on_last,
		(void *)(uintptr_t)"delete table inet vdfirst\ncreate table inet vdlast\n"), 0);
}
#endif

/* With threads: in order, and never lost, whenever the pool stops. */
START_TEST(nft_pool)
{
#ifdef HAVE_NFTABLES
	ck_assert_int_eq(vd_work_start(2), 0);
	ask_in_order();
	ck_assert_uint_eq(got.calls, 0); /* never from within the call */
	vd_work_stop();
	ck_assert_uint_eq(got.calls, 5);
	ck_assert_msg(got.code == 0, "%s", got.text);
	ip_says("nft list ruleset", "vdlast", true);
	ip_says("nft list ruleset", "vdfirst", false);
	/* The pool is gone already: the last thing of all. */
	ok(svc->nft(svc->self, "delete table inet vdlast\n", on_plain, NULL));
	ip_says("nft list ruleset", "vdlast", false);
	ask_in_order();
	vd_priv_nft_finish();
	ck_assert_uint_eq(got.calls, 11);
	ip_says("nft list ruleset", "vdlast", true);
	fake_drain(); /* what was queued for it finds nothing to do */
	ck_assert_uint_eq(got.calls, 11);
#endif
}
END_TEST

/* A folder of root's that is there stays root's; whoever wants viaductd to have it gives it away. */
static void given_to_nobody(void)
{
	struct passwd *pw = getpwnam("nobody");
	struct vd_error err = { 0 };
	struct stat st;

	if (geteuid() == 0) {
		ck_assert_int_eq(vd_priv_own(dir, "nobody", &err), -EPERM);
		ck_assert_msg(strstr(err.text, " is there and belongs to root; if it is for viaductd alone, do: chown nobody ") != NULL, "%s", err.text);
		ck_assert(stat(dir, &st) == 0 && st.st_uid == 0);
		ck_assert_int_eq(chown(dir, pw->pw_uid, pw->pw_gid), 0);
	}
	ck_assert_msg(vd_priv_own(dir, "nobody", &err) == 0, "%s", err.text);
}

/* The threads have the three capabilities, too. */
START_TEST(nft_pool_dropped)
{
#ifdef HAVE_NFTABLES
	struct vd_error err = { 0 };

	given_to_nobody();
	ck_assert_msg(vd_priv_drop("nobody", &err) == 0, "%s", err.text);
	ck_assert_int_eq(vd_work_start(1), 0);
	ask_in_order();
	vd_work_stop();
	ck_assert_uint_eq(got.calls, 5);
	ck_assert_msg(got.code == 0, "%s", got.text);
#endif
}
END_TEST

#define FORWARD "net/ipv4/ip_forward"
static char forward(void)
{
	FILE *f = fopen("/proc/sys/" FORWARD, "re");
	int c;

	ck_assert_ptr_nonnull(f);
	c = fgetc(f);
	fclose(f);
	return (char)c;
}

static void forward_is(char value)
{
	FILE *f = fopen("/proc/sys/" FORWARD, "we");

	ck_assert_ptr_nonnull(f);
	fputc(value, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void sysctl_works(void)
{
	ok(svc->sysctl(svc->self, FORWARD, "1", on_plain, NULL));
	ck_assert_int_eq(forward(), '1');
}

static char said[2048];

static bool hear(void *arg, const struct vd_log_record *record)
{
	(void)arg;
	strncat(said, record->text, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
	return true;
}

/* Only what is listed, and only the value that is listed; and it stays, since others may rely on it by then. */
START_TEST(sysctl)
{
	static const char *const no[][2] = {
		{ "kernel/core_pattern", "1" }, { "kernel/core_pattern", "|/tmp/x" }, { "../../etc/passwd", "1" },
		{ "net/ipv4/../../kernel/core_pattern", "1" }, { "/net/ipv4/ip_forward", "1" }, { FORWARD "/", "1" },
		{ FORWARD, "0" }, { FORWARD, "1\n0" }, { FORWARD, "2" }, { FORWARD, "" }, { "net/ipv4/conf/all/rp_filter", "0" },
		{ "net/ipv6/conf/lo/accept_ra", "1" }, { "net/ipv6/conf/all/accept_ra", "2" }, { "net/ipv6/conf/default/accept_ra", "2" },
		{ "net/ipv6/conf//accept_ra", "2" }, { "net/ipv6/conf/../accept_ra", "2" }, { "net/ipv6/conf/a/b/accept_ra", "2" },
		{ "net/ipv6/conf/../../ipv4/conf/lo/accept_ra", "2" }, { "net/ipv6/conf/a b/accept_ra", "2" },
		{ "net/ipv6/conf/sixteen-letters-/accept_ra", "2" }, { "net/ipv6/conf/accept_ra", "2" }, { "", "1" },
	};

	forward_is('0');
	for (size_t i = 0; i < VD_ARRAY_SIZE(no); i++)
		fails(svc->sysctl(svc->self, no[i][0], no[i][1], on_plain, NULL), -EPERM);
	fails(svc->sysctl(svc->self, "net/ipv6/conf/none.5/accept_ra", "2", on_plain, NULL), -ENOENT); /* allowed, and not there */
	ok(svc->sysctl(svc->self, "net/ipv6/conf/lo/accept_ra", "2", on_plain, NULL));
	ck_assert_int_eq(forward(), '0');
	vd_log_set_level(VD_LOG_NOTICE);
	ck_assert_int_eq(vd_log_sink_add(hear, NULL, 0), 0);
	sysctl_works();
	vd_priv_end();
	ck_assert_int_eq(forward(), '1');
	ck_assert_ptr_nonnull(strstr(said, FORWARD " stays 1 (it was 0): others may rely on it"));
	/* Right already, or changed by somebody else meanwhile: nothing to be said. */
	said[0] = '\0';
	sysctl_works();
	forward_is('0');
	sysctl_works();
	forward_is('0');
	vd_priv_end();
	ck_assert_ptr_null(strstr(said, FORWARD));
	ck_assert_int_eq(forward(), '0');
	vd_log_sink_remove(hear, NULL);
}
END_TEST

/* A journal of an older version, whatever it holds, is not read: it lay where an unprivileged process could write. */
START_TEST(old_journal)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sysctl.journal", dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs("kernel/core_pattern |/path core\n" FORWARD " 0 1\nnet/ipv4/conf/lo/forwarding 0 1\n", f);
	fclose(f);
	forward_is('1');
	vd_log_set_level(VD_LOG_NOTICE);
	ck_assert_int_eq(vd_log_sink_add(hear, NULL, 0), 0);
	said[0] = '\0';
	vd_priv_clean();
	ck_assert_int_eq(forward(), '1');
	ck_assert_ptr_nonnull(strstr(said, "is not read"));
	ck_assert_int_eq(access(path, F_OK), 0);
	vd_log_sink_remove(hear, NULL);
	unlink(path);
}
END_TEST

/* Tables of ours go whoever made them and whatever is configured; others with nearly such a name stay. Where another daemon is
 * in this network namespace nothing is touched. */
START_TEST(sweep)
{
#ifdef HAVE_NFTABLES
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "\0viaductd-host" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(system("for t in 'inet viaduct' 'ip viaduct_x' 'ip6 viaduct_x' 'ip viaduct2' 'inet my_viaduct' 'ip Viaduct'; do "
		"nft add table $t; done; nft 'add chain inet viaduct c; add rule inet viaduct c accept'"), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t) + 1 + strlen("viaductd-host")), 0);
	ck_assert_int_eq(listen(fd, 16), 0); /* as root, as another viaductd would */
	vd_priv_clean();
	ip_says("nft list tables", "table inet viaduct\n", true);
	close(fd);
	vd_priv_clean();
	ip_says("nft list tables", "table inet viaduct\n", false);
	ip_says("nft list tables", "viaduct_x", false);
	ip_says("nft list tables", "table ip viaduct2\n", true);
	ip_says("nft list tables", "table inet my_viaduct\n", true);
	ip_says("nft list tables", "table ip Viaduct\n", true);
	/* And at the end, what a plugin forgot. */
	ok(svc->nft(svc->self, "add table inet viaduct_forgotten\n", on_plain, NULL));
	vd_priv_end();
	ip_says("nft list tables", "viaduct_forgotten", false);
#endif
}
END_TEST

/* The name by which two daemons know of each other is anybody's to take: a user who holds it switches nothing off. */
START_TEST(squatter)
{
#ifdef HAVE_NFTABLES
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "\0viaductd-host" };
	int ready[2], hold[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(system("nft add table inet viaduct"), 0);
	ck_assert(pipe(ready) == 0 && pipe(hold) == 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		close(hold[1]);
		if (setresuid(65533, 65533, 65533) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t) + 1 + strlen("viaductd-host")) < 0 ||
			(_i == 0 && listen(fd, 16) < 0) || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(hold[0], &c, 1) != 0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	vd_priv_clean();
	ip_says("nft list tables", "table inet viaduct\n", false);
	ok(svc->nft(svc->self, "add table inet viaduct_forgotten\n", on_plain, NULL));
	vd_priv_end();
	ip_says("nft list tables", "viaduct_forgotten", false);
	close(hold[1]);
	waitpid(pid, NULL, 0);
#endif
}
END_TEST

/* A route with our number that cannot be removed by what we know of it is looked for once, not without end. */
START_TEST(foreign_route)
{
	ck_assert_int_eq(system("ip route add unreachable 203.0.113.7/32 proto 118 metric 5"), 0);
	vd_priv_clean();
	ip_says("ip route show type unreachable", "203.0.113.7", true);
	vd_priv_end();
}
END_TEST

/* A router advertisement out of one end of a veth pair, which is its router's for half an hour. */
static void advertise(const char *dev)
{
	static const uint8_t ra[16] = { 134, 0, 0, 0, 64, 0, 1800 >> 8, 1800 & 255 };
	struct sockaddr_in6 all = { .sin6_family = AF_INET6, .sin6_addr = { { { 0xff, 2, [15] = 1 } } },
		.sin6_scope_id = if_nametoindex(dev) };
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6), hops = 255, index = (int)all.sin6_scope_id;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)), 0);
	/* Until both ends are up and the address is there, there is none to send from: the caller tries again. */
	if (sendto(fd, ra, sizeof(ra), 0, (struct sockaddr *)&all, sizeof(all)) < 0)
		ck_assert_msg(errno == EADDRNOTAVAIL || errno == ENETUNREACH || errno == ENETDOWN, "%s", strerror(errno));
	close(fd);
}

static char accept_ra(const char *dev)
{
	char path[64], c = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", dev);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(&c, 1, 1, f), 1);
	fclose(f);
	return c;
}

static bool has_default(void)
{
	return system("ip -6 route show default dev va proto ra | grep -q default") == 0;
}

/* A host that has its own way out from a router keeps it when it begins to forward for others. */
START_TEST(own_router)
{
	if (system("command -v ip >/dev/null && sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.default.accept_dad=0 && "
		   "ip link add va type veth peer name vb && "
		   "sysctl -qw net.ipv6.conf.va.accept_ra_from_local=1 && ip link set va up && ip link set vb up") != 0) {
		puts("SKIP own_router: no veth pair can be made here");
		return;
	}
	for (unsigned i = 0; i < 50 && !has_default(); i++) {
		advertise("vb");
		usleep(100000);
	}
	ck_assert(has_default());
	ok(svc->sysctl(svc->self, "net/ipv6/conf/all/forwarding", "1", on_plain, NULL));
	ck_assert(has_default());
	ck_assert_int_eq(accept_ra("va"), '2');
	ck_assert_int_eq(accept_ra("vb"), '1'); /* no router there */
	/* Both stay: with accept_ra as before, a host that forwards would lose its way out. */
	vd_priv_end();
	ck_assert_int_eq(accept_ra("va"), '2');
	ck_assert(has_default());
}
END_TEST

static void status(const char *field, uint64_t want)
{
	char line[128], name[64];
	FILE *f = fopen("/proc/self/status", "re");
	uint64_t value = 0;
	bool found = false;

	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%63[^:]: %lx", name, &value) == 2 && strcmp(name, field) == 0;
	fclose(f);
	ck_assert_msg(found && value == want, "%s is %lx, not %lx", field, value, want);
}

/* /dev/net/tun as udev makes it, and as containers do: for root only. */
static void tun_device_mode(mode_t mode)
{
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=755"), 0);
	ck_assert_int_eq(mknod("/dev/net/tun", S_IFCHR | mode, makedev(10, 200)), 0);
	ck_assert_int_eq(chmod("/dev/net/tun", mode), 0);
}

/* The whole of priv/1 works for an ordinary user with exactly three capabilities. */
START_TEST(drop)
{
	const uint64_t three = 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW | 1u << CAP_NET_BIND_SERVICE;
	struct vd_error err = { 0 };

	ck_assert_int_eq(vd_priv_drop("no-such-user-here", &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "useradd --system no-such-user-here"));
	ck_assert_int_eq(vd_priv_drop("root", &err), -EPERM);
	given_to_nobody();
	forward_is('0');
	tun_device_mode(_i == 0 ? 0666 : 0600);
	ck_assert_msg(vd_priv_drop("nobody", &err) == 0, "%s", err.text);
	ck_assert_uint_ne(geteuid(), 0);
	ck_assert_uint_ne(getegid(), 0);
	status("CapPrm", three);
	status("CapEff", three);
	status("CapBnd", three);
	status("CapAmb", three);
	status("NoNewPrivs", 1);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	ck_assert_int_eq(open("/etc/shadow", O_RDONLY), -1);
	ck_assert_int_eq(setuid(0), -1);
	sockets_work();
	tun_works(2);
#ifdef HAVE_NFTABLES
	nft_works();
#endif
	sysctl_works();
	/* Started once more as that user with ambient capabilities: nothing changes. */
	ck_assert_msg(vd_priv_drop("viaduct", &err) == 0, "%s", err.text);
	status("CapEff", three);
}
END_TEST

static bool ours(const char *prefix)
{
	return strcmp(prefix, "10.8.0.0/24") == 0;
}

/* Other programs' forward chains, as nft lists them: which of them drop, and whose remedy is told. */
START_TEST(forward_chains)
{
	static const struct { const char *listing, *table, *chain, *remedy; } cases[] = {
		{ "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n", "ip filter", "FORWARD",
			"nft insert rule ip filter FORWARD iifname \"vd0\" accept" },
		{ "table ip filter {\n\tchain DOCKER-USER {\n\t\tcounter packets 0 bytes 0 return\n\t}\n\tchain FORWARD {\n"
		  "\t\ttype filter hook forward priority filter; policy drop;\n\t\tcounter packets 1 bytes 84 jump DOCKER-USER\n\t}\n}\n",
			"ip filter", "FORWARD", "iptables -I DOCKER-USER -i vd0 -j ACCEPT" },
		{ "table ip6 filter {\n\tchain ufw-before-forward {\n\t}\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n"
		  "\t}\n}\n", "ip6 filter", "FORWARD", "ufw route allow in on vd0" },
		{ "table inet firewalld {\n\tchain filter_FORWARD {\n\t\ttype filter hook forward priority filter + 10; policy accept;\n"
		  "\t\tct state { established, related } accept\n\t\treject with icmpx admin-prohibited\n\t}\n}\n", "inet firewalld", "filter_FORWARD",
			"firewall-cmd --permanent --zone=trusted --add-interface=vd0" },
		/* Those that let us through. */
		{ "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n", "ip filter", "FORWARD", NULL },
		{ "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n"
		  "\t\tiifname \"vd*\" accept\n\t}\n}\n", "ip filter", "FORWARD", NULL },
		{ "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n"
		  "\t\tip saddr 10.8.0.0/24 accept\n\t}\n}\n", "ip filter", "FORWARD", NULL },
		{ "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n"
		  "\t\tcounter packets 0 bytes 0 accept\n\t}\n}\n", "ip filter", "FORWARD", NULL },
	};
	char text[VD_FIREWALL_TEXT], table[128], chain[128];

	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		const char *at = cases[i].listing;
		bool drops = vd_firewall_drops(cases[i].listing, cases[i].table, cases[i].chain, "vd0", ours, text);

		ck_assert_msg(drops == (cases[i].remedy != NULL), "%zu", i);
		ck_assert_msg(!drops || strstr(text, cases[i].remedy), "%zu: %s", i, text);
		ck_assert(vd_firewall_next(&at, table, chain));
		ck_assert_str_eq(table, cases[i].table);
		ck_assert_str_eq(chain, cases[i].chain);
	}
	ck_assert(vd_firewall_names_filter("filter\n"));
	ck_assert(vd_firewall_names_filter("nat\nfilter"));
	ck_assert(!vd_firewall_names_filter("nat\nfilters\nmangle\n"));
	ck_assert(!vd_firewall_names_filter(""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("priv");
	TCase *tc = tcase_create("namespace");
	SRunner *runner;
	int failed;

	if (geteuid() != 0) {
		puts("skipped: needs root for a network namespace of its own");
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sockets);
	tcase_add_loop_test(tc, tun, 0, 2);
	tcase_add_test(tc, tun_dialled);
	tcase_add_test(tc, tun_refuses);
	tcase_add_test(tc, nft);
	tcase_add_test(tc, nft_pool);
	tcase_add_test(tc, nft_pool_dropped);
	tcase_add_test(tc, sysctl);
	tcase_add_test(tc, own_router);
	tcase_add_test(tc, old_journal);
	tcase_add_test(tc, sweep);
	tcase_add_loop_test(tc, squatter, 0, 2);
	tcase_add_test(tc, foreign_route);
	tcase_add_test(tc, forward_chains);
	if (mounts_possible("priv: drop"))
		tcase_add_loop_test(tc, drop, 0, 2);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
