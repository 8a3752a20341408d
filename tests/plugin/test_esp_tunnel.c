/* Tunnel mode: inner packets as they are, several SAs with selectors; what of the outer header is the packet's: ECN, DF. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"
#include "plugins/ike/lib/tunnel_stage.h"
#include "tests/lib/fake.h"
#include "tests/plugin/path_world.h"

static struct {
	unsigned tun, sent;
	uint32_t spi;      /* of the last datagram */
	size_t len;        /* of it, or of the last packet */
	bool df;           /* of the last datagram */
	char runs[65];     /* of datagrams: its place in its batch; a capital letter with DF */
	uint8_t p[2048];
} got;

static void on_sent(void *arg, const struct vd_datapath_sent *sent)
{
	(void)arg;
	ck_assert_uint_le(sent->len, sizeof(got.p));
	memcpy(got.p, sent->p, sent->len);
	got.len = sent->len;
	if (sent->way == VD_SENT_TUN) {
		got.tun++;
		return;
	}
	got.df = sent->df;
	ck_assert_uint_lt(got.sent, sizeof(got.runs) - 1);
	got.runs[got.sent++] = (char)((sent->df ? 'A' : 'a') + (int)sent->run);
	got.spi = (uint32_t)sent->p[0] << 24 | (uint32_t)sent->p[1] << 16 | (uint32_t)sent->p[2] << 8 | sent->p[3];
}
static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len) { (void)arg, (void)id, (void)p, (void)len; }
static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg, (void)path, (void)p, (void)len;
}

static void start_with(enum vd_df df)
{
	memset(&got, 0, sizeof(got));
	fake_init(3);
	path_world_up(&(struct path_told){ on_sent, on_punt, on_ike, df });
}

static void start(void)
{
	start_with(VD_DF_CLEAR);
}

static void stop(void)
{
	path_world_down();
	fake_fini();
}

/* 60 octets of UDP between the client and 192.0.HI.LO. */
static size_t udp(uint8_t *p, bool up, uint8_t hi, uint8_t lo)
{
	const uint8_t far[4] = { 192, 0, hi, lo };
	const uint8_t *client = path_world.cl[PATH_TUNNEL].v4;
	memset(p, 0, 60);
	memcpy(p, (uint8_t[]){ 0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 17 }, 10);
	memcpy(p + 12, up ? client : far, 4);
	memcpy(p + 16, up ? far : client, 4);
	p[25] = 40;
	uint16_t sum = vd_sum_fold(vd_sum(0, p, 20));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	return 60;
}

/* This client's ESP packet around it, with this next header, on this worker's socket or that of the control thread. */
static void receive_at(int worker, unsigned client, const uint8_t *p, size_t len, uint8_t next)
{
	struct path_client *c = &path_world.cl[client];
	uint8_t out[256], *q = out + 8 + c->seal.suite.iv;
	size_t t = len, align = c->seal.suite.align;
	c->seq++;
	for (unsigned i = 0; i < 4; i++) {
		out[i] = (uint8_t)(c->in >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(c->seq >> (24 - 8 * i));
	}
	memcpy(q, p, len);
	uint8_t pad = (uint8_t)((align - (t + 2) % align) % align);
	for (uint8_t i = 1; i <= pad; i++)
		q[t++] = i;
	q[t++] = pad;
	q[t++] = next;
	ck_assert(esp_seal(&c->seal, out, t, 0));
	vd_datapath_inject(worker, &c->path, out, (size_t)(q - out) + t + c->seal.suite.icv, 0);
	vd_datapath_turn();
}

static void receive(const uint8_t *p, size_t len, uint8_t next)
{
	receive_at(0, PATH_TUNNEL, p, len, next);
}

static void transmit(const uint8_t *p, size_t len)
{
	vd_datapath_inject_tun(0, NULL, p, len);
	vd_datapath_turn();
}

START_TEST(test_inner_packets)
{
	uint8_t p[64];
	start();
	size_t n = udp(p, true, 2, 1);
	receive(p, n, 4);
	ck_assert_uint_eq(got.tun, 1);
	ck_assert_uint_eq(got.len, n);
	ck_assert_mem_eq(got.p, p, n);
	/* UDP, as transport mode has it, is nothing here; somebody else's address is not let in. */
	receive(p, n, 17);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NEXT_HEADER), 1);
	p[15] ^= 1;
	receive(p, n, 4);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOURCE), 1);
	ck_assert_uint_eq(got.tun, 1);
	/* And back: nothing but the packet, its trailer (2 octets to a multiple of 4) and ESP's own 32. */
	n = udp(p, false, 2, 1);
	transmit(p, n);
	ck_assert_uint_eq(got.sent, 1);
	ck_assert_uint_eq(got.len, 8 + 8 + n + 2 + 2 + 16);
	stop();
}
END_TEST

static void sa_add(uint32_t spi, bool in, const char *local)
{
	struct path_client *c = &path_world.cl[PATH_TUNNEL];
	uint8_t k[36] = { (uint8_t)spi };
	struct vd_esp_sa sa = { .chan = c->chan, .spi = spi, .encr = VD_ENCR_AES_GCM_16, .key_bits = 256,
		.keymat = vd_secret_new(k, sizeof(k)) };
	struct esp_suite s;
	ck_assert(vd_prefix_parse(local, &sa.local));
	const struct vd_esp_1 *esp = path_world.esp;
	ck_assert_int_eq(in ? esp->install_in(esp->self, &sa, NULL, NULL) : esp->install_out(esp->self, &sa, NULL, NULL), 0);
	if (in) {
		esp_crypt_fini(&c->seal);
		ck_assert_int_eq(esp_suite(sa.encr, 256, sa.integ, &s), 0);
		ck_assert_int_eq(esp_crypt_init(&c->seal, &s, sa.keymat, false), 0);
		c->in = spi;
		c->seq = 0;
	}
	vd_secret_free(sa.keymat);
	fake_drain();
}

static uint32_t leaves(uint8_t hi)
{
	uint8_t p[64];
	size_t n = udp(p, false, hi, 1);
	got.spi = 0;
	transmit(p, n);
	return got.spi;
}

/* A client with split networks makes one pair of SAs for each. */
START_TEST(test_selectors)
{
	const struct vd_esp_1 *esp;
	uint64_t chan;
	uint32_t spi;
	uint8_t p[64];
	start();
	esp = path_world.esp;
	chan = path_world.cl[PATH_TUNNEL].chan;
	sa_add(0x2001, false, "192.0.2.0/24");
	sa_add(0x2002, false, "192.0.3.0/24");
	ck_assert_uint_eq(leaves(2), 0x2001);
	ck_assert_uint_eq(leaves(3), 0x2002);
	ck_assert_uint_eq(leaves(4), 0x1002); /* the first one carries everything */
	sa_add(0x2003, false, "192.0.2.0/24");
	ck_assert_uint_eq(leaves(2), 0x2003);
	ck_assert_uint_eq(leaves(3), 0x2002);
	esp->remove_out(esp->self, chan, 0x1002);
	fake_drain();
	ck_assert_uint_eq(leaves(4), 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SELECTOR), 1);
	esp->remove_out(esp->self, chan, 0x2003);
	fake_drain();
	ck_assert_uint_eq(leaves(2), 0x2001);
	esp->remove_out(esp->self, chan, 0x2002);
	esp->remove_out(esp->self, chan, 0x2001);
	fake_drain();
	ck_assert_uint_eq(leaves(2), 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_SA), 1);
	/* Inward: what is for elsewhere stays outside, whatever the version. */
	ck_assert_int_eq(esp->alloc_spi(esp->self, chan, &spi), 0);
	sa_add(spi, true, "192.0.2.0/24");
	receive(p, udp(p, true, 2, 1), 4);
	ck_assert_uint_eq(got.tun, 1);
	receive(p, udp(p, true, 3, 1), 4);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SELECTOR), 2);
	p[0] = 0x60;
	receive(p, 60, 41);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SELECTOR), 3);
	ck_assert_uint_eq(got.tun, 1);
	stop();
}
END_TEST

enum { NOT_ECT, ECT_1, ECT_0, CE };

/* 60 octets of the client's with this TOS, from it or to it. */
static size_t marked(uint8_t *p, unsigned client, bool v6, bool up, uint8_t tos)
{
	const struct path_client *c = &path_world.cl[client];
	udp(p, up, 2, 1);
	if (v6) {
		memset(p, 0, 60);
		memcpy(p, (uint8_t[]){ 0x60 | tos >> 4, (uint8_t)(tos << 4) | 0x0a, 0xbc, 0xde, 0, 20, 17, 64 }, 8);
		memcpy(p + 8, up ? c->v6 : (const uint8_t *)"\x20\x01\x0d\xb8\xff\xff\0\0\0\0\0\0\0\0\0\1", 16);
		memcpy(p + 24, up ? (const uint8_t *)"\x20\x01\x0d\xb8\xff\xff\0\0\0\0\0\0\0\0\0\1" : c->v6, 16);
		p[45] = 20;
		return 60;
	}
	memcpy(p + (up ? 12 : 16), c->v4, 4);
	p[1] = tos;
	p[10] = p[11] = 0;
	uint16_t sum = vd_sum_fold(vd_sum(0, p, 20));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	return 60;
}

/* RFC 6040 section 4.1: nobody says that he hears what routers mark, in a tunnel as little as in L2TP. */
START_TEST(test_ecn_out)
{
	struct vd_chan chan = { .head = 24, .remote.family = AF_INET };
	uint8_t room[VD_HEAD + 64];
	start();
	for (unsigned i = 0; i < 16; i++) {
		bool v6 = i & 4, bare = i & 8;
		struct vd_wsess s = { .d = { .mtu = 1300, .v4 = { .bare = bare, .len = bare ? 0 : 10 } } };
		struct vd_pkt pkt = { .p = room + VD_HEAD };
		struct dp_inner in;
		s.d.v6 = s.d.v4;
		pkt.len = (uint32_t)marked(pkt.p, PATH_TUNNEL, v6, false, (uint8_t)(0xb8 | (i & 3)));
		ck_assert(dp_inner_parse(&pkt, &in));
		ck_assert_int_eq(dp_simple_out(&s, &chan, &pkt, &in), VD_DROP_NONE);
		ck_assert_uint_eq(pkt.tos, 0xb8);
		ck_assert_uint_eq(pkt.len, bare ? 60 : 70);
		s.d.v4 = s.d.v6 = (struct vd_hdr){ 0 };
		ck_assert_int_eq(dp_simple_out(&s, &chan, &pkt, &in), VD_DROP_NO_ROUTE);
	}
	stop();
}
END_TEST

/* RFC 6040 section 4.2, figure 4; 4: dropped. */
static const uint8_t merged[4][4] = { /* [inner][outer] */
	[NOT_ECT] = { [NOT_ECT] = NOT_ECT, [ECT_0] = NOT_ECT, [ECT_1] = NOT_ECT, [CE] = 4 },
	[ECT_0] = { [NOT_ECT] = ECT_0, [ECT_0] = ECT_0, [ECT_1] = ECT_1, [CE] = CE },
	[ECT_1] = { [NOT_ECT] = ECT_1, [ECT_0] = ECT_1, [ECT_1] = ECT_1, [CE] = CE },
	[CE] = { [NOT_ECT] = CE, [ECT_0] = CE, [ECT_1] = CE, [CE] = CE },
};

/* What has come out is the packet with this ECN field, and nothing else in it is changed. */
static void came_out(unsigned tun, uint8_t *p, size_t n, bool v6, uint8_t ecn)
{
	ck_assert_uint_eq(got.tun, tun);
	ck_assert_uint_eq(got.len, n);
	if (v6)
		p[1] = (uint8_t)((p[1] & 0xcf) | ecn << 4);
	else
		p[1] = (uint8_t)((p[1] & 0xfc) | ecn);
	p[10] = v6 ? p[10] : got.p[10];
	p[11] = v6 ? p[11] : got.p[11];
	ck_assert_mem_eq(got.p, p, n);
	if (!v6)
		ck_assert_uint_eq(vd_sum_fold(vd_sum(0, got.p, 20)), 0);
}

START_TEST(test_ecn_in)
{
	static const uint8_t dscps[][2] = { { 0, 0 }, { 0xb8, 0x28 }, { 0xfc, 0 }, { 0, 0xfc } }; /* inner, outer */
	uint64_t dropped = 0;
	unsigned tun = 0;
	uint8_t p[64];
	start();
	for (unsigned i = 0; i < 2 * 4 * 16; i++) {
		uint8_t inner = i & 3, outer = i >> 2 & 3, expect = merged[inner][outer];
		const uint8_t *dscp = dscps[i >> 5];
		bool v6 = i & 16;
		size_t n = marked(p, PATH_TUNNEL, v6, true, dscp[0] | inner);
		path_world.cl[PATH_TUNNEL].path.tos = dscp[1] | outer;
		receive(p, n, v6 ? 41 : 4);
		dropped += expect == 4;
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_ECN), dropped);
		if (expect == 4)
			ck_assert_uint_eq(got.tun, tun);
		else
			came_out(++tun, p, n, v6, expect);
	}
	ck_assert_uint_eq(dropped, 8);
	/* Who must not come in is not counted there, and a wrong sum stays wrong. */
	marked(p, PATH_TUNNEL, false, true, NOT_ECT);
	p[15] ^= 1;
	path_world.cl[PATH_TUNNEL].path.tos = CE;
	receive(p, 60, 4);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOURCE), 1);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_ECN), dropped);
	marked(p, PATH_TUNNEL, false, true, ECT_0);
	p[11] ^= 1;
	receive(p, 60, 4);
	ck_assert_uint_eq(got.tun, ++tun);
	ck_assert_uint_eq(got.p[1], CE);
	ck_assert_uint_ne(vd_sum_fold(vd_sum(0, got.p, 20)), 0);
	stop();
}
END_TEST

/* Below L2TP the outer field means nothing as long as nobody has said that it does (RFC 9601). */
START_TEST(test_ecn_l2tp)
{
	uint8_t p[96] = { 0x06, 0xa5, 0x06, 0xa5, 0, 18 + 60, 0, 0, 0x40, 2, 0, 10 + 60, 0, 7, 0, 9, 0, 0x21 };
	unsigned tun = 0;
	start();
	for (unsigned i = 0; i < 32; i++) {
		bool v6 = i & 16;
		size_t n = marked(p + 18, 0, v6, true, i & 3);
		p[17] = v6 ? 0x57 : 0x21;
		path_world.cl[0].path.tos = i >> 2 & 3;
		receive_at(0, 0, p, 18 + n, 17);
		came_out(++tun, p + 18, n, v6, i & 3);
	}
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_ECN), 0);
	stop();
}
END_TEST

/* Received by another worker, by the control thread, or before anybody took what comes on the channel. */
START_TEST(test_ecn_handed_over)
{
	struct path_client *c = &path_world.cl[PATH_TUNNEL];
	unsigned tun = 0;
	uint8_t p[64];
	start();
	c->path.tos = CE;
	for (int worker = -1; worker < 2; worker++) {
		size_t n = marked(p, PATH_TUNNEL, false, true, ECT_0);
		receive_at(worker, PATH_TUNNEL, p, n, 4);
		fake_drain();
		vd_datapath_turn();
		came_out(++tun, p, n, false, CE);
	}
	ck_assert_int_eq(path_world.dp->chan_attach(path_world.dp->self, c->chan, NULL, NULL, on_punt, NULL), 0);
	fake_drain();
	size_t n = marked(p, PATH_TUNNEL, true, true, ECT_1);
	receive(p, n, 41);
	ck_assert_uint_eq(got.tun, tun);
	ck_assert_int_eq(path_world.dp->chan_attach(path_world.dp->self, c->chan, &ike_tunnel_stage, NULL, on_punt, NULL), 0);
	fake_drain();
	vd_datapath_turn();
	came_out(++tun, p, n, true, CE);
	stop();
}
END_TEST

/* To this client: 60 octets of IPv4 with DF ('4') or without ('-'), or of IPv6 ('6'). */
static void send_df(unsigned client, char what)
{
	uint8_t p[64];
	size_t n = marked(p, client, what == '6', false, 0);
	if (what == '-') {
		p[6] = 0;
		p[10] = p[11] = 0;
		uint16_t sum = vd_sum_fold(vd_sum(0, p, 20));
		p[10] = (uint8_t)(sum >> 8);
		p[11] = (uint8_t)sum;
	}
	vd_datapath_inject_tun(0, NULL, p, n);
}

static const char *vector(const char *what)
{
	got.sent = 0;
	memset(got.runs, 0, sizeof(got.runs));
	vd_datapath_gather(true);
	for (; *what; what++)
		send_df(PATH_TUNNEL, *what);
	vd_datapath_gather(false);
	vd_datapath_turn();
	return got.runs;
}

/* RFC 4301 section 8.1. A batch has one outer header, more or less: packets of other DF are not in it. */
START_TEST(test_df)
{
	static const char *const left[][2] = { /* 44-46-4 and, after a refusal, -- */
		[VD_DF_CLEAR] = { "abcdefg", "aa" }, [VD_DF_COPY] = { "ABaABaA", "aa" }, [VD_DF_SET] = { "ABCDEFG", "AA" } };
	enum vd_df df = (enum vd_df)_i;
	start_with(df);
	for (unsigned client = 0; client < PATH_CLIENTS; client++)
		for (const char *what = "4-6"; *what; what++) {
			send_df(client, *what);
			vd_datapath_turn();
			ck_assert_int_eq(got.df, df == VD_DF_SET || (df == VD_DF_COPY && *what != '-'));
		}
	ck_assert_str_eq(vector("44-46-4"), left[df][0]);
	vd_datapath_refuse(EIO);
	ck_assert_str_eq(vector("--"), left[df][1]);
	vd_datapath_refuse(0);
	ck_assert_str_eq(vector("--"), left[df][1]); /* for a minute */
	stop();
}
END_TEST

/* With DF a batch may be refused because its datagrams are too large. That says nothing about batches: whether it was so is
 * seen when the first goes alone, as here, where it can. */
START_TEST(test_df_refused)
{
	static const int errors[] = { EINVAL, EMSGSIZE, EIO };
	start_with(VD_DF_SET);
	vd_datapath_refuse(errors[_i]);
	ck_assert_str_eq(vector("4444"), "AAAA");
	vd_datapath_refuse(0);
	ck_assert_str_eq(vector("4444"), "AAAA");
	fake_advance(61000);
	ck_assert_str_eq(vector("4444"), "ABCD");
	stop();
}
END_TEST

/* Outer IPv6 has no such bit. */
START_TEST(test_df_outer_v6)
{
	const struct vd_esp_1 *esp;
	struct path_client *c = &path_world.cl[PATH_TUNNEL];
	start_with(_i ? VD_DF_SET : VD_DF_COPY);
	esp = path_world.esp;
	struct vd_path six = { .endpoint = 2, .natt = true, .local.port = 4500, .remote.port = 4500 };
	ck_assert(vd_ip_parse("2001:db8::1", &six.local.ip) && vd_ip_parse("2001:db8:5::7", &six.remote.ip));
	ck_assert_int_eq(esp->set_path(esp->self, c->chan, &six, NULL, NULL), 0);
	fake_drain();
	ck_assert_str_eq(vector("4-46"), "abcd");
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("esp_tunnel");
	TCase *t = tcase_create("tunnel");
	tcase_add_test(t, test_inner_packets);
	tcase_add_test(t, test_selectors);
	tcase_add_test(t, test_ecn_out);
	tcase_add_test(t, test_ecn_in);
	tcase_add_test(t, test_ecn_l2tp);
	tcase_add_test(t, test_ecn_handed_over);
	tcase_add_loop_test(t, test_df, VD_DF_CLEAR, VD_DF_SET + 1);
	tcase_add_loop_test(t, test_df_refused, 0, 3);
	tcase_add_loop_test(t, test_df_outer_v6, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
