/* Real sockets and threads, in a network namespace of its own: steering, splitting of coalesced batches, protocol 50,
 * commands and parking. Needs root; exit 77 without. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/loop.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/datapath/dp.h"
#include "core/loop.h"
#include "tests/unit/dp_world.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEG 64

static const struct vd_datapath_1 *dp;
static vd_esp_input_fn *input;
static unsigned spis[2][4], ikes, raws, calls;
static uint64_t keepalives;
static char reply[64];

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

static void world(const char *address)
{
	dp = dp_world_up(address, VD_DF_CLEAR, input ? input : esp, on_ike);
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
	world(addresses[_i]);
	int fd = dp_world_client(addresses[_i], 4500, SOCK_DGRAM, 0);
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
	dp_world_until(batch_done);
	ck_assert_uint_eq(spis[0][1], ROUNDS);
	ck_assert_uint_eq(spis[1][2], ROUNDS);
	ck_assert_uint_eq(spis[1][1] + spis[0][2], 0);
	ck_assert_uint_eq(ikes, ROUNDS);
	ck_assert_uint_eq(keepalives, ROUNDS);
	/* The answers came from port 4500, with the marker. */
	ck_assert_int_eq(recv(fd, reply, sizeof(reply), MSG_DONTWAIT), 10);
	ck_assert_mem_eq(reply, "\0\0\0\0answer", 10);
	close(fd);
	dp_world_down();
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
	world(addresses[_i]);
	for (unsigned i = 0; i < 200; i++) {
		int fd = dp_world_client(addresses[_i], 4500, SOCK_DGRAM, 0); /* another source port each time */
		spi(data, i & 1 ? 0x201 : 0x100);
		ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
		close(fd);
	}
	dp_world_until(steer_done);
	ck_assert_uint_eq(spis[0][1], 100);
	ck_assert_uint_eq(spis[1][2], 100);
	vd_datapath_stop();
	ck_assert_uint_eq(atomic_load(&dp_instance->hand[0][1].head), 0);
	ck_assert_uint_eq(atomic_load(&dp_instance->hand[1][0].head), 0);
	dp_world_gone();
}
END_TEST

static unsigned raw_done(void)
{
	return raws == 20;
}

START_TEST(test_raw)
{
	uint8_t data[SEG];
	world(addresses[_i]);
	int fd = dp_world_client(addresses[_i], 0, SOCK_RAW, 50);
	for (unsigned i = 0; i < 20; i++) {
		spi(data, 0x700 + i);
		ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
	}
	dp_world_until(raw_done);
	for (int i = 0; i < 10; i++)
		vd_loop_ev_once(5);
	ck_assert_uint_eq(raws, 20); /* each by its owner, and by nobody else */
	close(fd);
	dp_world_down();
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
	world("127.0.0.1");
	for (unsigned i = 0; i < 20000; i++)
		ck_assert_int_eq(dp->call(dp->self, (uint8_t)i, nothing, called, ran), 0);
	ck_assert_int_eq(dp->call_all(dp->self, nothing, called, ran), 0);
	dp_world_until(calls_done);
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
	dp_world_down();
}
END_TEST

static unsigned added, gone, passed;
static struct vd_chan chans[4];

static void pass(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	struct vd_path path = { .endpoint = 1, .local = { .ip = chan->local }, .remote = { .ip = chan->remote, .port = 9 } };
	vd_worker_send(w, &path, vec);
}
static const struct vd_chan_ops pass_ops = { .send = pass };

static void inner_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	vd_inner_in(w, vec);
}
static const struct vd_stage inner_stage = { "inner", inner_run };

static void link_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	const struct vd_stage *up;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		void *arg;
		pkt->sess = vd_worker_link(w, state, 7, &up, &arg);
		struct vd_vec one = { .n = 1 };
		one.v[0] = *pkt;
		if (pkt->sess)
			up->run(w, arg, &one);
		else
			vd_worker_punt(w, state, pkt);
	}
	vec->n = 0;
}
static const struct vd_stage link_stage = { "link", link_run };

static void on_pass(void *arg, uint64_t a, uint64_t b)
{
	(void)arg, (void)a, (void)b;
	passed++;
}

/* SPI low byte: the channel's home; a per-worker table of what is there. */
static void w_table(struct vd_worker *w, void *arg)
{
	struct vd_chan *c = arg;
	vd_worker_set_state(w, c->home / 2, c);
}

static void w_untable(struct vd_worker *w, void *arg)
{
	vd_worker_set_state(w, ((struct vd_chan *)arg)->home / 2, NULL);
}

static void stress_esp(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta)
{
	(void)meta;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		struct vd_rd r;
		vd_rd_init(&r, pkt->p, pkt->len);
		struct vd_chan *c = vd_worker_state(w, (vd_rd_u32(&r) & 255) / 2);
		if (!c) {
			vd_pkt_drop(w, pkt, VD_DROP_NO_SPI);
			continue;
		}
		vd_worker_tell(w, on_pass, NULL, 0, 0);
		struct vd_vec one = { .n = 1 };
		pkt->p += 8;
		pkt->len -= 8;
		one.v[0] = *pkt;
		vd_chan_input(w, c, &one);
	}
}

static void on_added(void *arg) { (void)arg; added++; }
static void on_gone(void *arg)
{
	struct vd_chan *c = arg;
	memset(c, 0xee, sizeof(*c)); /* it is ours again */
	gone++;
}
static void on_counters(void *arg, uint64_t session, const struct vd_session_counters *c)
{
	(void)arg, (void)session, (void)c;
	gone++;
}
static void on_chan_punt(void *arg, uint64_t chan, const uint8_t *p, size_t len) { (void)arg, (void)chan, (void)p, (void)len; }
static unsigned all_gone(void)
{
	return gone == 2 * 4 && added == 4 * 3;
}

/* Channels, links, sessions and addresses come and go while datagrams flow to both workers; some of them go by way of a
 * wrong worker or the control thread, since a batch is steered by its first segment. For ThreadSanitizer, mostly. */
START_TEST(test_stress)
{
	uint8_t data[6 * SEG];
	input = stress_esp;
	world("127.0.0.1");
	int fd = dp_world_client("127.0.0.1", 4500, SOCK_DGRAM, 0), size = SEG;
	ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	for (unsigned i = 0; i < 6; i++) {
		spi(data + i * SEG, 0x100 + i);
		memcpy(data + i * SEG + 8, (uint8_t[]){ 0x45, 0, 0, SEG - 8, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, (uint8_t)i, 10, 0, 0,
			(uint8_t)((i + 1) % 4) }, 20);
	}
	data[4 * SEG] = data[5 * SEG + 2] = 0;
	memset(data + 5 * SEG, 0, 4);
	for (unsigned round = 0; round < 60; round++) {
		added = gone = 0;
		for (unsigned i = 0; i < 4; i++) {
			struct vd_chan *c = &chans[i];
			uint64_t id = round * 8 + i + 1;
			*c = (struct vd_chan){ .id = id, .peer = 1, .home = (uint8_t)i, .mtu = 1400, .ops = &pass_ops };
			vd_ip_parse("127.0.0.1", &c->local);
			c->remote = c->local;
			struct vd_link_desc link = { id, 7, id, &inner_stage, NULL };
			struct vd_wsess_desc d = { .session = id, .chan = id, .mtu = 1300 };
			struct vd_prefix p = { .ip = vd_ip4(0x0a000000 + i), .len = 32 };
			d.source[0] = p;
			ck_assert_int_eq(dp->chan_add(dp->self, c, on_added, NULL), 0);
			ck_assert_int_eq(dp->chan_attach(dp->self, id, &link_stage, c, on_chan_punt, NULL), 0);
			ck_assert_int_eq(dp->call(dp->self, (uint8_t)i, w_table, NULL, c), 0);
			ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
			for (unsigned k = 0; k < 2; k++) /* again, as for a new MTU */
				ck_assert_int_eq(dp->session_add(dp->self, &d, k ? on_added : NULL, NULL), 0);
			ck_assert_int_eq(dp->fib_add(dp->self, &p, id, on_added, NULL), 0);
		}
		for (unsigned i = 0; i < 20; i++) {
			ck_assert_int_eq(send(fd, data + (i & 1) * SEG, sizeof(data) - (i & 1) * SEG, 0),
				(ssize_t)(sizeof(data) - (i & 1) * SEG));
			ck_assert_int_eq(dp->chan_send(dp->self, round * 8 + i % 4 + 1, data, SEG), 0);
			if (i % 5 == 0)
				vd_loop_ev_once(0);
			if (i == 10 && round % 8 == 0) {
				vd_datapath_pause(true);
				vd_datapath_pause(false);
			}
		}
		for (unsigned i = 0; i < 4; i++) {
			uint64_t id = round * 8 + i + 1;
			struct vd_prefix p = { .ip = vd_ip4(0x0a000000 + i), .len = 32 };
			ck_assert_int_eq(dp->fib_del(dp->self, &p, id, NULL, NULL), 0);
			ck_assert_int_eq(dp->link_del(dp->self, id, 7, NULL, NULL), 0);
			ck_assert_int_eq(dp->session_del(dp->self, id, on_counters, NULL), 0);
			ck_assert_int_eq(dp->call(dp->self, (uint8_t)i, w_untable, NULL, &chans[i]), 0);
			ck_assert_int_eq(dp->chan_remove(dp->self, id, on_gone, &chans[i]), 0);
		}
		dp_world_until(all_gone);
		ck_assert(all_gone());
	}
	ck_assert_uint_gt(passed, 0);
	close(fd);
	vd_datapath_stop();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	dp_world_gone();
}
END_TEST

static uint16_t sum16(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void until_added(unsigned n)
{
	for (uint64_t end = vd_now() + 20000; added < n && vd_now() < end;)
		vd_loop_ev_once(10);
	ck_assert_uint_eq(added, n);
}

/* The next inner packet of this protocol that comes to the peer. */
static size_t peer_gets(int fd, uint8_t protocol, uint8_t *p, size_t size)
{
	ssize_t n = 0;
	for (uint64_t end = vd_now() + 20000; vd_now() < end;) {
		n = recv(fd, p, size, MSG_DONTWAIT);
		if (n > 20 && p[0] == 0x55 && p[1 + 9] == protocol)
			return (size_t)n;
		vd_loop_ev_once(5);
	}
	ck_abort_msg("nothing came");
}

/* Client i of worker i: 10.0.0.(1 + i). */
static void join(unsigned i)
{
	struct vd_chan *c = &chans[i];
	*c = (struct vd_chan){ .id = i + 1, .peer = 1, .home = (uint8_t)i, .mtu = 1400, .ops = &pass_ops };
	vd_ip_parse("127.0.0.1", &c->local);
	c->remote = c->local;
	struct vd_link_desc link = { i + 1, 7, i + 1, &inner_stage, NULL };
	struct vd_wsess_desc d = { .session = i + 1, .chan = i + 1, .mtu = 1300 };
	d.v4.len = 1; /* one octet in front of what the peer sees */
	struct vd_prefix p = { .ip = vd_ip4(0x0a000001 + i), .len = 32 };
	d.source[0] = p;
	d.v4.bytes[0] = 0x55;
	ck_assert_int_eq(dp->chan_add(dp->self, c, NULL, NULL), 0);
	ck_assert_int_eq(dp->chan_attach(dp->self, i + 1, &link_stage, c, on_chan_punt, NULL), 0);
	ck_assert_int_eq(dp->call(dp->self, (uint8_t)i, w_table, NULL, c), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_add(dp->self, &d, NULL, NULL), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &p, i + 1, on_added, NULL), 0);
	until_added(2 + i);
}

/* A real TUN device with one queue for two workers: the kernel answers a ping of each worker's client; what it sends by
 * UDP with its checksum left out comes with a right one. */
START_TEST(test_tun)
{
	uint8_t got[2048], ping[8 + 28];
	input = stress_esp;
	world("127.0.0.1");
	int fd = dp_world_client("127.0.0.1", 4500, SOCK_DGRAM, 0), peer = socket(AF_INET, SOCK_DGRAM, 0), dev = dp_world_tun();
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(dp->tun_add(dp->self, "vddp0", &dev, 1, 1500, on_added, NULL), 0);
	until_added(1);
	for (unsigned i = 0; i < 2; i++)
		join(i);
	for (unsigned i = 0; i < 2; i++) {
		memset(ping, 0, sizeof(ping));
		memcpy(ping, (uint8_t[]){ 0, 0, 1, (uint8_t)i, 0, 0, 0, 1, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0,
			(uint8_t)(1 + i), 10, 0, 0, 254, 8, 0, 0xf7, 0xff }, 32);
		uint16_t sum = (uint16_t)~sum16(0, ping + 8, 20);
		ping[18] = (uint8_t)(sum >> 8);
		ping[19] = (uint8_t)sum;
		ck_assert_int_eq(send(fd, ping, sizeof(ping), 0), sizeof(ping));
		size_t n = peer_gets(peer, 1, got, sizeof(got));
		ck_assert_uint_eq(n, 1 + 28);
		ck_assert_mem_eq(got + 1 + 12, ((uint8_t[]){ 10, 0, 0, 254, 10, 0, 0, (uint8_t)(1 + i) }), 8);
		ck_assert_uint_eq(got[1 + 20], 0); /* echo reply */
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(0x0a000001 + i) } };
		ck_assert_int_eq(sendto(s, "odd", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
		n = peer_gets(peer, 17, got, sizeof(got));
		ck_assert_uint_eq(n, 1 + 31);
		ck_assert(got[1 + 26] || got[1 + 27]);
		ck_assert_uint_eq(sum16(sum16(17 + 11, got + 1 + 12, 8), got + 1 + 20, 11), 0xffff);
		close(s);
	}
	close(fd);
	close(peer);
	dp_world_down();
}
END_TEST

/* What the other end of a channel sends back: as if a host at 10.0.0.2 had sent what was for 10.0.0.1, and the other way
 * round. The sum changes by what the addresses change: RFC 1624. */
static void reflect(int peer, int fd)
{
	uint8_t p[2048], out[2048 + 8];
	for (unsigned i = 0; i < 512; i++) {
		ssize_t n = recv(peer, p, sizeof(p), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (n < 1 + 40 || p[0] != 0x55 || p[1 + 9] != 6)
			continue;
		uint8_t *q = p + 1, from = (uint8_t)(3 - q[19]);
		ck_assert_uint_eq(sum16(0, q, 20), 0xffff);
		ck_assert_uint_eq(sum16(sum16(6 + (uint32_t)(n - 21), q + 12, 8), q + 20, (size_t)n - 21), 0xffff);
		ck_assert_uint_le(n, 1 + 1300);
		memcpy(q + 12, (uint8_t[]){ 10, 0, 0, from, 10, 0, 0, 254 }, 8);
		q[10] = q[11] = q[36] = q[37] = 0;
		uint16_t sum = (uint16_t)~sum16(0, q, 20);
		memcpy(q + 10, (uint8_t[]){ (uint8_t)(sum >> 8), (uint8_t)sum }, 2);
		sum = (uint16_t)~sum16(sum16(6 + (uint32_t)(n - 21), q + 12, 8), q + 20, (size_t)n - 21);
		memcpy(q + 36, (uint8_t[]){ (uint8_t)(sum >> 8), (uint8_t)sum }, 2);
		memcpy(out, (uint8_t[]){ 0, 0, 1, (uint8_t)(from - 1), 0, 0, 0, 1 }, 8);
		memcpy(out + 8, q, (size_t)n - 1);
		if (send(fd, out, (size_t)n + 7, 0) < 0)
			return; /* lost on the way: TCP sends it again */
	}
}

static struct vd_datapath_info known;
static unsigned is_known;
static void on_info(void *arg, const struct vd_datapath_info *info)
{
	(void)arg;
	known = *info;
	is_known = 1;
}

static unsigned info_there(void)
{
	return is_known;
}

static uint64_t work(enum vd_work what)
{
	return known.work[0][what] + known.work[1][what];
}

/* A kernel's TCP through all of it: super-packets from TUN, cut, handed to the other worker, sent in batches; received,
 * coalesced, written back; every octet arrives. The second time with everything switched off. */
START_TEST(test_tcp)
{
	static const char *const pieces[] = { "GSO", "GRO", "TSO", "USO", "COALESCE", "RECVMMSG", "SENDMMSG", "CBPF" };
	enum { TOTAL = 4 << 20 };
	static uint8_t data[65536], back[65536];
	for (size_t i = 0; i < VD_ARRAY_SIZE(pieces); i++) {
		char name[32];
		snprintf(name, sizeof(name), "VIADUCT_NO_%s", pieces[i]);
		setenv(name, _i ? "1" : "0", 1);
	}
	input = stress_esp;
	world("127.0.0.1");
	int fd = dp_world_client("127.0.0.1", 4500, SOCK_DGRAM, 0), peer = socket(AF_INET, SOCK_DGRAM, 0), dev = dp_world_tun(), size = 4 << 20;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(peer, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	ck_assert_int_eq(dp->tun_add(dp->self, "vddp0", &dev, 1, 1500, on_added, NULL), 0);
	until_added(1);
	for (unsigned i = 0; i < 2; i++)
		join(i);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), in = -1;
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(0x0a0000fe) } };
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&own, sizeof(own)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	own.sin_addr.s_addr = htonl(0x0a000001);
	ck_assert(connect(out, (struct sockaddr *)&own, sizeof(own)) < 0 && errno == EINPROGRESS);
	size_t sent = 0, got = 0;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	for (uint64_t end = vd_now() + 60000; got < TOTAL && vd_now() < end;) {
		reflect(peer, fd);
		vd_loop_ev_once(0);
		if (in < 0)
			in = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (sent < TOTAL) {
			size_t from = sent % sizeof(data);
			ssize_t n = send(out, data + from, sizeof(data) - from, MSG_NOSIGNAL);
			sent += n > 0 ? (size_t)n : 0;
		}
		ssize_t n = in < 0 ? -1 : recv(in, back, sizeof(back) - got % sizeof(back), 0);
		if (n > 0)
			ck_assert_mem_eq(back, data + got % sizeof(data), (size_t)n);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_uint_ge(got, TOTAL);
	ck_assert_int_eq(dp->info(dp->self, on_info, NULL), 0);
	dp_world_until(info_there);
	ck_assert_uint_gt(work(VD_WORK_HANDED), 0);
	if (_i) {
		ck_assert_uint_eq(work(VD_WORK_TUN_SUPERS) + work(VD_WORK_TUN_COALESCED) + work(VD_WORK_BATCHES), 0);
	} else if (known.caps[VD_CAP_TSO].on && known.caps[VD_CAP_GSO].on) {
		ck_assert_uint_gt(work(VD_WORK_TUN_SEGMENTS), 1000);
		ck_assert_uint_gt(work(VD_WORK_TUN_COALESCED), 100);
		ck_assert_uint_gt(work(VD_WORK_BATCHES), 10);
	}
	printf("%s: %llu reads of %llu segments, %llu sends of %llu; %llu received by %llu calls, %llu writes\n",
		_i ? "all off" : "all on", (unsigned long long)work(VD_WORK_TUN_READS),
		(unsigned long long)work(VD_WORK_TUN_SEGMENTS), (unsigned long long)work(VD_WORK_SENDS),
		(unsigned long long)work(VD_WORK_SENT), (unsigned long long)work(VD_WORK_SEGMENTS),
		(unsigned long long)work(VD_WORK_RECVS), (unsigned long long)work(VD_WORK_TUN_WRITES));
	close(in);
	close(out);
	close(listener);
	close(fd);
	close(peer);
	vd_datapath_stop();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	dp_world_gone();
}
END_TEST

int main(void)
{
	int missing = dp_world_missing();
	if (missing)
		return missing;
	Suite *s = suite_create("datapath net");
	TCase *c = tcase_create("net");
	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, test_batch, 0, 2);
	tcase_add_loop_test(c, test_steer, 0, 2);
	tcase_add_loop_test(c, test_raw, 0, 2);
	tcase_add_test(c, test_commands);
	tcase_add_test(c, test_stress);
	if (access("/dev/net/tun", R_OK | W_OK) == 0) {
		tcase_add_test(c, test_tun);
		tcase_add_loop_test(c, test_tcp, 0, 2);
	} else {
		printf("left out: no /dev/net/tun\n");
	}
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
