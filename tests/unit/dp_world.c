#include "tests/unit/dp_world.h"

#include <check.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/loop.h"

static unsigned ready;

static int open_socket(void *self, enum vd_priv_socket kind, const struct vd_sa *local,
	void (*done)(void *arg, int fd, const struct vd_error *err), void *arg)
{
	struct sockaddr_storage to;
	unsigned len = vd_sa_to_sockaddr(local, &to);
	int one = 1;
	int fd = kind == VD_SOCK_ESP ? socket(to.ss_family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 50)
				     : socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)self;
	ck_assert_int_ge(fd, 0);
	if (kind == VD_SOCK_UDP_PORT)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&to, len), 0);
	done(arg, fd, NULL);
	return 0;
}
static const struct vd_priv_1 priv = { .open_socket = open_socket };

static void started(void *arg, const struct vd_error *err)
{
	(void)arg;
	ck_assert_msg(!err, "%s", err ? err->text : "");
	ready = 1;
}

void dp_world_until(unsigned (*enough)(void))
{
	uint64_t end = vd_now() + 20000;
	while (!enough() && vd_now() < end)
		vd_loop_ev_once(10);
}

static unsigned is_ready(void)
{
	return ready;
}

int (*dp_world_way_mtu)(const struct vd_ip *from, const struct vd_ip *to);

const struct vd_datapath_1 *dp_world_up(const char *address, enum vd_df df, vd_esp_input_fn *input,
	void (*ike)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len))
{
	struct ifreq ifr = { .ifr_name = "lo" };
	struct vd_ip ip;
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
	ck_assert_int_eq(vd_loop_ev_init(), 0);
	ck_assert_int_eq(vd_bus_init(), 0);
	ck_assert_int_eq(vd_service_provide(NULL, "priv/1", NULL, &priv), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(dp->ike_input(dp->self, ike, NULL), 0);
	ck_assert_int_eq(dp->esp_input(dp->self, input), 0);
	vd_ip_parse(address, &ip);
	vd_datapath_df(df);
	vd_datapath_way_mtu(dp_world_way_mtu);
	ck_assert_int_eq(vd_datapath_start(2, &ip, 1, started, NULL), 0);
	dp_world_until(is_ready);
	ck_assert_uint_eq(ready, 1);
	return dp;
}

void dp_world_lo_mtu(int mtu)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_mtu = mtu };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	close(fd);
}

void dp_world_gone(void)
{
	vd_datapath_fini();
	vd_bus_fini();
	vd_loop_ev_fini();
}

void dp_world_down(void)
{
	vd_datapath_stop();
	dp_world_gone();
}

int dp_world_client(const char *address, uint16_t port, int type, int protocol)
{
	struct vd_sa sa = { .port = port };
	struct sockaddr_storage to;
	vd_ip_parse(address, &sa.ip);
	unsigned len = vd_sa_to_sockaddr(&sa, &to);
	int fd = socket(to.ss_family, type, protocol);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, len), 0);
	return fd;
}

int dp_world_tun(void)
{
	struct ifreq ifr = { .ifr_name = "vddp0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), s = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM), 0); /* checksums are left to us */
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(0x0a0000fe) } };
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	ck_assert_int_eq(ioctl(s, SIOCSIFADDR, &ifr), 0);
	in.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&ifr.ifr_netmask, &in, sizeof(in));
	ck_assert_int_eq(ioctl(s, SIOCSIFNETMASK, &ifr), 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ck_assert_int_eq(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	close(s);
	return fd;
}

int dp_world_missing(void)
{
	if (geteuid()) {
		printf("skipped: real sockets need root (a network namespace)\n");
		return 77;
	}
	/* In a child, so that the tests still have what they unshare. */
	pid_t child = fork();
	int status = 0;
	if (!child)
		_exit(unshare(CLONE_NEWNET) < 0);
	if (child < 0 || waitpid(child, &status, 0) != child || status) {
		printf("skipped: no network namespaces here\n");
		return 77;
	}
	return 0;
}
