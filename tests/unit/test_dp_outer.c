/* The outer header on real sockets: the TOS of what comes, DF of what leaves. Needs root; exit 77 without. */
#include <check.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/loop.h>

#include "core/datapath/datapath.h"
#include "core/datapath/dp.h"
#include "core/loop.h"
#include "core/system/priv.h"
#include "tests/unit/dp_world.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEG 64
enum { ECT_0 = 2, CE = 3 };

static const struct vd_datapath_1 *dp;
static const char *const addresses[] = { "127.0.0.1", "::1" };
static unsigned seen[2][256], messages, others, added, sent_off; /* seen: of each worker, by TOS */

static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg, (void)path, (void)p, (void)len;
	messages++;
}

static void on_esp(void *arg, uint64_t worker, uint64_t tos)
{
	(void)arg;
	if (tos < 256)
		seen[worker][tos]++;
	else
		others++;
}

static void esp(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta)
{
	for (unsigned i = 0; i < vec->n; i++) {
		bool same = meta[i].path.tos == vec->v[i].tos;
		vd_worker_tell(w, on_esp, NULL, vd_worker_index(w), same ? meta[i].path.tos : 256);
		vd_pkt_free(w, &vec->v[i]);
	}
}

static void set_tos(int fd, bool v6, int tos)
{
	ck_assert_int_eq(v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos))
			    : setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
}

static void segment(uint8_t *p, uint8_t spi)
{
	memset(p, 0x22, SEG);
	memcpy(p, (uint8_t[]){ 0, 0, spi ? 1 : 0, spi }, 4);
}

static unsigned want[2], want_tos;
static unsigned all_seen(void)
{
	return seen[0][want_tos] >= want[0] && seen[1][want_tos] >= want[1];
}

static void expect(int tos, unsigned first, unsigned second)
{
	want_tos = (unsigned)tos;
	want[0] = first;
	want[1] = second;
	dp_world_until(all_seen);
	ck_assert_uint_eq(seen[0][tos], first);
	ck_assert_uint_eq(seen[1][tos], second);
	ck_assert_uint_eq(others, 0);
	memset(seen, 0, sizeof(seen));
}

/* One by one; as a batch that the kernel gives to one worker, to the other, or to the control thread, and with protocol 50. */
START_TEST(test_tos)
{
	static const int values[] = { CE, 0, 0xb8 | ECT_0, 0xff, 0 };
	bool v6 = _i;
	uint8_t data[3 * SEG];
	dp = dp_world_up(addresses[_i], VD_DF_CLEAR, esp, on_ike);
	int fd = dp_world_client(addresses[_i], 4500, SOCK_DGRAM, 0), raw = dp_world_client(addresses[_i], 0, SOCK_RAW, 50);
	for (size_t i = 0; i < VD_ARRAY_SIZE(values); i++) {
		int tos = values[i];
		set_tos(fd, v6, tos);
		set_tos(raw, v6, tos);
		for (uint8_t k = 0; k < 6; k++) {
			segment(data, 2 + k);
			ck_assert_int_eq(send(fd, data, SEG, 0), SEG);
		}
		expect(tos, 3, 3);
		for (uint8_t first = 0; first < 3; first++) {
			int size = SEG;
			for (uint8_t k = 0; k < 3; k++)
				segment(data + k * SEG, k || first ? first + k + 1 : 0);
			ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
			ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
			expect(tos, first == 1 ? 2 : 1, first == 2 ? 2 : 1);
			size = 0;
			ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
		}
		for (uint8_t k = 0; k < 4; k++) {
			segment(data, 2 + k);
			ck_assert_int_eq(send(raw, data, SEG, 0), SEG);
		}
		expect(tos, 2, 2);
	}
	ck_assert_uint_eq(messages, VD_ARRAY_SIZE(values));
	close(fd);
	close(raw);
	dp_world_down();
}
END_TEST

/* ---- a tunnel: behind 8 octets the inner packet; what leaves is the packet alone ---- */
static struct vd_chan chan;

static uint16_t tunnel_mtu = 1500;
static uint16_t to_port; /* where it sends to; 0: protocol 50 */
static void pass(struct vd_worker *w, struct vd_chan *c, struct vd_vec *vec)
{
	struct vd_path path = { .endpoint = 1, .local = { .ip = c->local }, .remote = { .ip = c->remote, .port = to_port } };
	vd_worker_send(w, &path, vec);
}
static const struct vd_chan_ops pass_ops = { .send = pass };

static void tunnel_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	const struct vd_stage *up;
	void *arg;
	for (unsigned i = 0; i < vec->n; i++)
		vec->v[i].sess = vd_worker_link(w, state, 0, &up, &arg);
	vd_inner_in(w, vec);
}
static const struct vd_stage tunnel_stage = { "tunnel", tunnel_run };

static void tunnel_esp(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta)
{
	(void)meta;
	for (unsigned i = 0; i < vec->n; i++) {
		vec->v[i].p += 8;
		vec->v[i].len -= 8;
	}
	vd_chan_input(w, &chan, vec);
}

static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len) { (void)arg, (void)id, (void)p, (void)len; }
static void on_added(void *arg) { (void)arg; added++; }
static unsigned all_added(void) { return added == 2; }

static void tunnel_up(void)
{
	struct vd_link_desc link = { 1, 0, 1, &tunnel_stage, NULL };
	struct vd_wsess_desc d = { .session = 1, .chan = 1, .mtu = tunnel_mtu, .v4.bare = true };
	d.source[0] = (struct vd_prefix){ .ip = vd_ip4(0x0a000001), .len = 32 };
	chan = (struct vd_chan){ .id = 1, .peer = 1, .mtu = 1500, .ops = &pass_ops };
	vd_ip_parse("127.0.0.1", &chan.local);
	chan.remote = chan.local;
	ck_assert_int_eq(dp->chan_add(dp->self, &chan, NULL, NULL), 0);
	ck_assert_int_eq(dp->chan_attach(dp->self, 1, &tunnel_stage, NULL, on_punt, NULL), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_add(dp->self, &d, on_added, NULL), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &d.source[0], 1, on_added, NULL), 0);
	dp_world_until(all_added);
	ck_assert(all_added());
}

static void send_inner(int fd, uint8_t outer, uint8_t inner, uint8_t id)
{
	uint8_t p[8 + 29] = { 0, 0, 1, 2 };
	memcpy(p + 8, (uint8_t[]){ 0x45, inner, 0, 29, 0, id, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 254 }, 20);
	memcpy(p + 28, (uint8_t[]){ 0, 7, 0, 7, 0, 9, 0, 0, id }, 9);
	uint16_t sum = vd_sum_fold(vd_sum(0, p + 8, 20));
	p[18] = (uint8_t)(sum >> 8);
	p[19] = (uint8_t)sum;
	set_tos(fd, false, outer);
	ck_assert_int_eq(send(fd, p, sizeof(p), 0), sizeof(p));
}

/* The kernel behind the TUN device, which looks at the header's checksum, gets a packet that a router on the way marked. */
START_TEST(test_marked)
{
	static const uint8_t rows[][3] = { /* outer, inner, what comes: 0xff nothing */
		{ CE, 0xb8 | ECT_0, 0xb8 | CE }, { 0x28 | CE, 0, 0xff }, { 0, ECT_0, ECT_0 }, { ECT_0, 0, 0 }, { CE, 1, CE } };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(0x0a0000fe) } };
	int one = 1, s = -1;
	dp = dp_world_up("127.0.0.1", VD_DF_CLEAR, tunnel_esp, on_ike);
	int fd = dp_world_client("127.0.0.1", 4500, SOCK_DGRAM, 0), dev = dp_world_tun();
	ck_assert_int_eq(dp->tun_add(dp->self, "vddp0", &dev, 1, 1500, NULL, NULL), 0);
	tunnel_up();
	s = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(setsockopt(s, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one)), 0);
	for (uint8_t i = 0; i < VD_ARRAY_SIZE(rows); i++)
		send_inner(fd, rows[i][0], rows[i][1], i);
	for (uint8_t i = 0; i < VD_ARRAY_SIZE(rows); i++) {
		_Alignas(struct cmsghdr) uint8_t control[128];
		uint8_t id = 0xff;
		struct iovec iov = { &id, 1 };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		if (rows[i][2] == 0xff)
			continue;
		struct timeval wait = { .tv_sec = 20 };
		ck_assert_int_eq(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
		ck_assert_int_eq(recvmsg(s, &m, 0), 1);
		ck_assert_uint_eq(id, i);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		ck_assert(c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS);
		ck_assert_uint_eq(*CMSG_DATA(c), rows[i][2]);
	}
	vd_datapath_stop();
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_ECN), 1);
	dp_world_gone();
	close(fd);
	close(s);
}
END_TEST

/* ---- DF ---- */
#define INNER 200u
static unsigned large_is = 1400;
static struct vd_datapath_info known;
static unsigned is_known;
static void on_info(void *arg, const struct vd_datapath_info *info)
{
	(void)arg;
	known = *info;
	is_known = 1;
}
static unsigned info_there(void) { return is_known; }

static uint64_t work(enum vd_work what)
{
	is_known = 0;
	ck_assert_int_eq(dp->info(dp->self, on_info, NULL), 0);
	dp_world_until(info_there);
	return known.work[0][what] + known.work[1][what];
}

static uint64_t dropped(enum vd_drop why)
{
	work(VD_WORK_SENT);
	return known.drops[0][why] + known.drops[1][why];
}

/* Packets to 10.0.0.1, in one vector: '4' with DF, '-' without; in capitals 'L' with, 'l' without those that are large. */
static void w_send(struct vd_worker *w, void *arg)
{
	for (const char *what = arg; *what; what++) {
		bool large = *what == 'L' || *what == 'l', df = *what == '4' || *what == 'L';
		unsigned n = large ? large_is : INNER;
		struct vd_pkt pkt;
		ck_assert(vd_pkt_new(w, n, &pkt));
		pkt.len = n;
		memset(pkt.p, 0, n);
		memcpy(pkt.p, (uint8_t[]){ 0x45, 0, (uint8_t)(n >> 8), (uint8_t)n, 0, 1, df ? 0x40 : 0, 0, 64, 17, 0, 0, 10, 0, 0, 254,
			10, 0, 0, 1 }, 20);
		dp_out_packet(w, &pkt);
	}
	dp_out_flush(w);
}

static void on_sent(void *arg) { (void)arg; sent_off = 1; }
static unsigned is_sent_off(void) { return sent_off; }

static void send_off(const char *what)
{
	sent_off = 0;
	ck_assert_int_eq(dp->call(dp->self, 0, w_send, on_sent, (void *)(uintptr_t)what), 0);
	dp_world_until(is_sent_off);
	ck_assert_uint_eq(sent_off, 1);
}

/* What stands in the IP headers of what comes to this socket, as many datagrams as of what: a letter for each, in order. A batch
 * is still one packet on this device, with one header. */
static const char *on_wire(int fd, uint16_t port, const char *what)
{
	static uint8_t p[65536];
	static char ret[64];
	size_t at = 0;
	memset(ret, 0, sizeof(ret));
	for (uint64_t end = vd_now() + 20000; at < strlen(what) && vd_now() < end;) {
		size_t head = port ? 28 : 20;
		ssize_t n = recv(fd, p, sizeof(p), MSG_DONTWAIT);
		if (n < 0)
			vd_loop_ev_once(1);
		if (n < 20 || (port && (n < 28 || (p[22] << 8 | p[23]) != port)))
			continue;
		for (size_t left = (size_t)n - head; left && at < sizeof(ret) - 1; left -= left < INNER ? left : INNER)
			ret[at++] = p[6] & 0x40 ? '4' : '-';
	}
	return ret;
}

static const char *const df_words[] = { [VD_DF_CLEAR] = "-------", [VD_DF_COPY] = "444--4-", [VD_DF_SET] = "4444444" };

/* As UDP and as protocol 50, in batches all the same. IKE has no DF. */
START_TEST(test_df)
{
	enum vd_df df = (enum vd_df)_i;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	dp = dp_world_up("127.0.0.1", df, esp, on_ike);
	tunnel_up();
	int peer = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&at, sizeof(at)), 0);
	int udp = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), raw = socket(AF_INET, SOCK_RAW, 50);
	ck_assert(udp >= 0 && raw >= 0);
	for (unsigned round = 0; round < 2; round++) { /* the second begins as the first ended */
		to_port = 9;
		uint64_t batches = work(VD_WORK_BATCHES);
		send_off("444--4-");
		ck_assert_str_eq(on_wire(udp, 9, "444--4-"), df_words[df]);
		batches = work(VD_WORK_BATCHES) - batches;
		ck_assert_uint_eq(batches, known.caps[VD_CAP_GSO].on ? df == VD_DF_COPY ? 2 : 1 : 0);
		to_port = 0;
		send_off("444--4-");
		ck_assert_str_eq(on_wire(raw, 0, "444--4-"), df_words[df]);
	}
	for (unsigned natt = 0; natt < 2; natt++) {
		struct vd_path path = { .endpoint = 1, .natt = natt, .remote = { .ip = vd_ip4(INADDR_LOOPBACK), .port = 9 } };
		path.local = (struct vd_sa){ .ip = path.remote.ip, .port = natt ? 4500 : 500 };
		ck_assert_int_eq(dp->ike_send(dp->self, &path, "hello", 5), 0);
		ck_assert_str_eq(on_wire(udp, 9, "-"), "-");
	}
	ck_assert_uint_eq(dropped(VD_DROP_SOCKET) + dropped(VD_DROP_TOO_BIG), 0);
	close(udp);
	close(raw);
	close(peer);
	dp_world_down();
}
END_TEST

/* Larger than the interface takes: lost and counted, and batches of what fits go on. Without DF it leaves in fragments. */
START_TEST(test_df_too_big)
{
	enum vd_df df = (enum vd_df)_i;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	uint64_t lost = 0;
	dp = dp_world_up("127.0.0.1", df, esp, on_ike);
	dp_world_lo_mtu(1280);
	tunnel_up();
	int peer = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&at, sizeof(at)), 0);
	static const struct {
		const char *what;
		unsigned lost, batches; /* UDP */
	} rows[] = { { "LLLL", 4, 0 }, { "4444", 0, 1 }, { "LL4", 2, 0 }, { "44L444", 1, 2 }, { "L", 1, 0 }, { "4444", 0, 1 } };
	for (size_t i = 0; i < VD_ARRAY_SIZE(rows) && df != VD_DF_CLEAR; i++) {
		to_port = 9;
		uint64_t batches = work(VD_WORK_BATCHES), sent = work(VD_WORK_SENT);
		send_off(rows[i].what);
		lost += rows[i].lost;
		ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), lost);
		ck_assert_uint_eq(work(VD_WORK_SENT) - sent, strlen(rows[i].what) - rows[i].lost);
		ck_assert_uint_eq(work(VD_WORK_BATCHES) - batches, known.caps[VD_CAP_GSO].on ? rows[i].batches : 0);
		to_port = 0;
		send_off(rows[i].what);
		lost += rows[i].lost;
		ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), lost);
	}
	ck_assert_uint_eq(work(VD_WORK_GSO_REFUSED), 0);
	if (df != VD_DF_SET)
		for (unsigned i = 0; i < 2; i++) {
			to_port = i ? 0 : 9;
			uint64_t sent = work(VD_WORK_SENT);
			send_off("ll-");
			ck_assert_uint_eq(work(VD_WORK_SENT) - sent, 3);
		}
	ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), lost);
	ck_assert_uint_eq(dropped(VD_DROP_SOCKET), 0);
	close(peer);
	dp_world_down();
}
END_TEST

static void shell(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command); /* NOLINT(cert-env33-c) */
}

static unsigned outer_mtu(const char *to)
{
	struct vd_path path = { .endpoint = 1, .local.ip = vd_ip4(INADDR_LOOPBACK) };
	ck_assert(vd_ip_parse(to, &path.remote.ip));
	return dp->outer_mtu(dp->self, &path);
}

/* The interface is narrower than peers are believed to be reached with: the first packet is lost, and whoever sends the next
 * hears how large it may be. What is as large passes, through batches or alone. */
START_TEST(test_df_narrow)
{
	enum vd_df df = _i % 2 ? VD_DF_COPY : VD_DF_SET;
	uint8_t p[1500];
	dp_world_way_mtu = vd_way_mtu;
	tunnel_mtu = 1472;
	dp = dp_world_up("127.0.0.1", df, esp, on_ike);
	dp_world_lo_mtu(1280);
	int dev = dp_world_tun(), icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct timeval wait = { .tv_sec = 20 };
	ck_assert_int_eq(setsockopt(icmp, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	ck_assert_int_eq(dp->tun_add(dp->self, "vddp0", &dev, 1, 1500, NULL, NULL), 0);
	tunnel_up();
	to_port = _i / 2 ? 0 : 9;
	send_off("L");
	ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), 1);
	send_off("L");
	ck_assert_int_eq(recv(icmp, p, sizeof(p), 0), 20 + 28 + 528); /* and 20 octets of its own IP header */
	ck_assert_mem_eq(p + 12, ((uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 254, 3, 4 }), 10);
	ck_assert_uint_eq((unsigned)p[26] << 8 | p[27], 1472 - 224); /* 220, in blocks of 16 */
	ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), 2);
	large_is = 1248;
	uint64_t sent = work(VD_WORK_SENT);
	send_off("LLL4");
	ck_assert_uint_eq(work(VD_WORK_SENT) - sent, 4);
	ck_assert_uint_eq(dropped(VD_DROP_TOO_BIG), 2);
	ck_assert_uint_eq(dropped(VD_DROP_SOCKET), 0);
	close(icmp);
	dp_world_down();
}
END_TEST

/* What the way takes is what the route and the interface say, and not what ICMP says. */
START_TEST(test_outer_mtu)
{
	enum vd_df df = (enum vd_df)_i;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(0xc6336407) } };
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr = { htonl(0x0a050501) } };
	uint8_t icmp[36] = { 3, 4, 0, 0, 0, 0, 700 >> 8, 700 & 255, 0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 5, 5, 1,
		198, 51, 100, 7, 0, 0, 0, 9, 5, 200 };
	bool asked = df != VD_DF_CLEAR;
	socklen_t len = sizeof(own);
	int mtu = 0;
	dp_world_way_mtu = vd_way_mtu;
	dp = dp_world_up("127.0.0.1", df, esp, on_ike);
	shell("ip address add 10.5.5.1/32 dev lo && ip route add 198.51.100.0/24 dev lo mtu 1300 src 10.5.5.1 &&"
	      " ip route add 198.51.101.0/24 dev lo mtu lock 400 && ip route add 198.51.102.0/24 dev lo mtu 9000 &&"
	      " ip route add 198.51.103.0/24 mtu 1350 nexthop dev lo nexthop dev lo weight 2");
	ck_assert_uint_eq(outer_mtu("127.0.0.1"), 1500);
	ck_assert_uint_eq(outer_mtu("198.51.100.7"), asked ? 1300 : 1500);
	ck_assert_uint_eq(outer_mtu("198.51.101.7"), asked ? 576 : 1500);
	ck_assert_uint_eq(outer_mtu("198.51.102.7"), 1500);
	ck_assert_uint_eq(outer_mtu("198.51.103.7"), asked ? 1350 : 1500);
	ck_assert_uint_eq(outer_mtu("203.0.113.1"), 1500); /* no way there */
	ck_assert_uint_eq(outer_mtu("2001:db8::1"), 1500);
	/* The kernel believes a stranger's word for its own sockets. */
	int fd = socket(AF_INET, SOCK_DGRAM, 0), raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	memcpy(icmp + 28, &own.sin_port, 2);
	uint16_t sum = vd_sum_fold(vd_sum(0, icmp, sizeof(icmp)));
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	own.sin_port = 0;
	ck_assert_int_eq(sendto(raw, icmp, sizeof(icmp), 0, (struct sockaddr *)&own, sizeof(own)), sizeof(icmp));
	len = sizeof(mtu);
	for (uint64_t end = vd_now() + 20000; mtu != 700 && vd_now() < end; vd_loop_ev_once(1))
		ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, 14 /* IP_MTU */, &mtu, &len), 0);
	ck_assert_int_eq(mtu, 700);
	ck_assert_uint_eq(outer_mtu("198.51.100.7"), asked ? 1300 : 1500);
	dp_world_lo_mtu(1290);
	ck_assert_uint_eq(outer_mtu("198.51.100.7"), asked ? 1290 : 1500);
	ck_assert_uint_eq(outer_mtu("198.51.103.7"), asked ? 1290 : 1500);
	ck_assert_uint_eq(outer_mtu("127.0.0.1"), asked ? 1290 : 1500);
	close(fd);
	close(raw);
	dp_world_down();
}
END_TEST

int main(void)
{
	int missing = dp_world_missing();
	if (missing)
		return missing;
	Suite *s = suite_create("datapath outer");
	TCase *c = tcase_create("outer");
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_tos, 0, 2);
	tcase_add_loop_test(c, test_df, VD_DF_CLEAR, VD_DF_SET + 1);
	tcase_add_loop_test(c, test_df_too_big, VD_DF_CLEAR, VD_DF_SET + 1);
	tcase_add_loop_test(c, test_outer_mtu, VD_DF_CLEAR, VD_DF_SET + 1);
	if (access("/dev/net/tun", R_OK | W_OK) == 0) {
		tcase_add_test(c, test_marked);
		tcase_add_loop_test(c, test_df_narrow, 0, 4);
	} else
		printf("left out: no /dev/net/tun\n");
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
