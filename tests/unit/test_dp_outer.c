/* The outer header on real sockets: the TOS of what comes. Needs root; exit 77 without. */
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
#include "tests/unit/dp_world.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEG 64
enum { ECT_0 = 2, CE = 3 };

static const struct vd_datapath_1 *dp;
static const char *const addresses[] = { "127.0.0.1", "::1" };
static unsigned seen[2][256], messages, others, added; /* seen: of each worker, by TOS */

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
	dp = dp_world_up(addresses[_i], esp, on_ike);
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

/* ---- a tunnel: behind 8 octets the inner packet ---- */
static struct vd_chan chan;

static void nothing_sent(struct vd_worker *w, struct vd_chan *c, struct vd_vec *vec)
{
	(void)c;
	for (unsigned i = 0; i < vec->n; i++)
		vd_pkt_free(w, &vec->v[i]);
}
static const struct vd_chan_ops no_ops = { .send = nothing_sent };

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
static unsigned both_added(void) { return added == 2; }

static void tunnel_up(int dev)
{
	struct vd_link_desc link = { 1, 0, 1, &tunnel_stage, NULL };
	struct vd_wsess_desc d = { .session = 1, .chan = 1, .mtu = 1300, .v4.bare = true };
	d.source[0] = (struct vd_prefix){ .ip = vd_ip4(0x0a000001), .len = 32 };
	chan = (struct vd_chan){ .id = 1, .peer = 1, .mtu = 1400, .ops = &no_ops };
	vd_ip_parse("127.0.0.1", &chan.local);
	chan.remote = chan.local;
	ck_assert_int_eq(dp->tun_add(dp->self, "vddp0", &dev, 1, 1500, on_added, NULL), 0);
	ck_assert_int_eq(dp->chan_add(dp->self, &chan, NULL, NULL), 0);
	ck_assert_int_eq(dp->chan_attach(dp->self, 1, &tunnel_stage, NULL, on_punt, NULL), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_add(dp->self, &d, on_added, NULL), 0);
	dp_world_until(both_added);
	ck_assert(both_added());
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
	dp = dp_world_up("127.0.0.1", tunnel_esp, on_ike);
	int fd = dp_world_client("127.0.0.1", 4500, SOCK_DGRAM, 0), dev = dp_world_tun();
	tunnel_up(dev);
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

int main(void)
{
	int missing = dp_world_missing();
	if (missing)
		return missing;
	Suite *s = suite_create("datapath outer");
	TCase *c = tcase_create("outer");
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_tos, 0, 2);
	if (access("/dev/net/tun", R_OK | W_OK) == 0)
		tcase_add_test(c, test_marked);
	else
		printf("left out: no /dev/net/tun\n");
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
