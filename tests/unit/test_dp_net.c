/* Real sockets and threads, in a network namespace of its own: steering, splitting of coalesced batches, protocol 50,
 * commands and parking. Needs root; says so when it has to be left out. */
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/datapath/dp.h"
#include "core/loop.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEG 64

static const struct vd_datapath_1 *dp;
static unsigned spis[2][4], ikes, raws, calls, ready;
static uint64_t keepalives;
static char reply[64];

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

static void on_esp(void *arg, uint64_t worker, uint64_t spi)
{
	(void)arg;
	if (spi >> 32)
		raws += worker == (spi & 255) % 2;
	else if (spi >> 8 < 4)
		spis[worker][spi >> 8]++;
}

static void esp(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta)
{
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_rd r;
		vd_rd_init(&r, vec->v[i].p, vec->v[i].len);
		uint64_t spi = vd_rd_u32(&r);
		if (!meta[i].path.remote.port)
			spi |= 1ull << 32;
		vd_worker_tell(w, on_esp, NULL, vd_worker_index(w), spi);
		vd_pkt_free(w, &vec->v[i]);
	}
}

static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg;
	if (len == SEG - 4 && p[0] == 0x22)
		ikes++;
	ck_assert_int_eq(dp->ike_send(dp->self, path, "answer", 6), 0);
}

static void started(void *arg, const struct vd_error *err)
{
	(void)arg;
	ck_assert_msg(!err, "%s", err ? err->text : "");
	ready = 1;
}

static void until(unsigned (*enough)(void))
{
	uint64_t end = vd_now() + 20000;
	while (!enough() && vd_now() < end)
		vd_loop_ev_once(10);
}

static unsigned is_ready(void)
{
	return ready;
}

static bool world(const char *address)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	struct vd_ip ip;
	if (geteuid() || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: real sockets need root (a network namespace)\n");
		return false;
	}
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
	ck_assert_int_eq(vd_loop_ev_init(), 0);
	ck_assert_int_eq(vd_bus_init(), 0);
	ck_assert_int_eq(vd_service_provide(NULL, "priv/1", NULL, &priv), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(dp->ike_input(dp->self, on_ike, NULL), 0);
	ck_assert_int_eq(dp->esp_input(dp->self, esp), 0);
	vd_ip_parse(address, &ip);
	ck_assert_int_eq(vd_datapath_start(2, &ip, 1, started, NULL), 0);
	until(is_ready);
	ck_assert_uint_eq(ready, 1);
	return true;
}

static int client(const char *address, uint16_t port, int type, int protocol)
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

static void spi(uint8_t *p, uint32_t v)
{
	memset(p, 0x22, SEG);
	memcpy(p, (uint8_t[]){ (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v }, 4);
}

#define ROUNDS 50u
static void on_drops(void *arg, const uint64_t *counts)
{
	(void)arg;
	keepalives = counts[VD_DROP_KEEPALIVE];
}

static unsigned batch_done(void)
{
	if (spis[0][1] + spis[1][2] + ikes + (unsigned)keepalives < 4 * ROUNDS)
		dp->drops(dp->self, on_drops, NULL);
	return spis[0][1] + spis[1][2] + ikes + (unsigned)keepalives == 4 * ROUNDS;
}

static const char *const addresses[] = { "127.0.0.1", "::1" };

/* One super-packet: ESP for worker 0, for worker 1, IKE, a keepalive. The kernel steers all of it by its first segment. */
START_TEST(test_batch)
{
	uint8_t data[3 * SEG + 1];
	if (!world(addresses[_i]))
		return;
	int fd = client(addresses[_i], 4500, SOCK_DGRAM, 0);
	spi(data, 0x100);
	spi(data + SEG, 0x201);
	spi(data + 2 * SEG, 0);
	data[3 * SEG] = 0xff;
	for (unsigned i = 0; i < ROUNDS; i++) {
		_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(2)] = { 0 };
		struct iovec iov = { data, sizeof(data) };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(2);
		memcpy(CMSG_DATA(c), (uint16_t[]){ SEG }, 2);
		ck_assert_int_eq(sendmsg(fd, &m, 0), sizeof(data));
		vd_loop_ev_once(0);
		usleep(1000); /* IKE from one source is limited */
	}
	until(batch_done);
	ck_assert_uint_eq(spis[0][1], ROUNDS);
	ck_assert_uint_eq(spis[1][2], ROUNDS);
	ck_assert_uint_eq(spis[1][1] + spis[0][2], 0);
	ck_assert_uint_eq(ikes, ROUNDS);
	ck_assert_uint_eq(keepalives, ROUNDS);
	/* The answers came from port 4500, with the marker. */
	ck_assert_int_eq(recv(fd, reply, sizeof(reply), MSG_DONTWAIT), 10);
	ck_assert_mem_eq(reply, "\0\0\0\0answer", 10);
	close(fd);
	vd_datapath_stop();
	vd_datapath_fini();
	vd_bus_fini();
	vd_loop_ev_fini();
}
END_TEST

static unsigned steer_done(void)
{
	return spis[0][1] + spis[1][2] == 200;
}

/* Single datagrams: the kernel's steering alone brings each to its owner, so that nothing was handed over. */
START_TEST(test_steer)
{
	uint8_t data[SEG];
	if (!world(addresses[_i]))
		return;
	for (unsigned i = 0; i < 200; i++) {
		int fd = client(addresses[_i], 4500, SOCK_DGRAM, 0); /* another source port each time */
		spi(data, i & 1 ? 0x201 : 0x100);
		ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
		close(fd);
	}
	until(steer_done);
	ck_assert_uint_eq(spis[0][1], 100);
	ck_assert_uint_eq(spis[1][2], 100);
	vd_datapath_stop();
	ck_assert_uint_eq(atomic_load(&dp_instance->hand[0][1].head), 0);
	ck_assert_uint_eq(atomic_load(&dp_instance->hand[1][0].head), 0);
	vd_datapath_fini();
	vd_bus_fini();
	vd_loop_ev_fini();
}
END_TEST

static unsigned raw_done(void)
{
	return raws == 20;
}

START_TEST(test_raw)
{
	uint8_t data[SEG];
	if (!world(addresses[_i]))
		return;
	int fd = client(addresses[_i], 0, SOCK_RAW, 50);
	for (unsigned i = 0; i < 20; i++) {
		spi(data, 0x700 + i);
		ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
	}
	until(raw_done);
	for (int i = 0; i < 10; i++)
		vd_loop_ev_once(5);
	ck_assert_uint_eq(raws, 20); /* each by its owner, and by nobody else */
	close(fd);
	vd_datapath_stop();
	vd_datapath_fini();
	vd_bus_fini();
	vd_loop_ev_fini();
}
END_TEST

static void nothing(struct vd_worker *w, void *arg)
{
	((unsigned *)arg)[vd_worker_index(w)]++;
}

static void called(void *arg)
{
	(void)arg;
	calls++;
}

static unsigned calls_done(void)
{
	return calls == 20001;
}

/* More commands than may be open at once: none is lost or out of order; parked workers leave commands to the caller. */
START_TEST(test_commands)
{
	unsigned ran[2] = { 0 }, paused[2] = { 0 };
	if (!world("127.0.0.1"))
		return;
	for (unsigned i = 0; i < 20000; i++)
		ck_assert_int_eq(dp->call(dp->self, (uint8_t)i, nothing, called, ran), 0);
	ck_assert_int_eq(dp->call_all(dp->self, nothing, called, ran), 0);
	until(calls_done);
	ck_assert_uint_eq(calls, 20001);
	ck_assert_uint_eq(ran[0], 10001);
	ck_assert_uint_eq(ran[1], 10001);
	for (int i = 0; i < 20; i++) {
		vd_datapath_pause(true);
		for (int k = 0; k < 10; k++)
			ck_assert_int_eq(dp->call_all(dp->self, nothing, NULL, paused), 0);
		ck_assert_uint_eq(paused[0], 10u * (unsigned)(i + 1));
		ck_assert_uint_eq(paused[1], 10u * (unsigned)(i + 1));
		vd_datapath_pause(false);
	}
	vd_datapath_stop();
	vd_datapath_fini();
	vd_bus_fini();
	vd_loop_ev_fini();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("datapath net");
	TCase *c = tcase_create("net");
	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, test_batch, 0, 2);
	tcase_add_loop_test(c, test_steer, 0, 2);
	tcase_add_loop_test(c, test_raw, 0, 2);
	tcase_add_test(c, test_commands);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
