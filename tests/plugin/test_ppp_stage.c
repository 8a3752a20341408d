/* The link's stage on a worker of the real data path (without threads and sockets), and the sizes it all adds up to. */
#include "test_ppp_client.h"

#include <viaduct/esp.h>
#include <viaduct/crypto.h>

#include "core/datapath/datapath.h"
#include "plugins/esp/userspace/esp.h"

#define CHAN 9
#define LINK 0x00010002u
static const struct vd_datapath_1 *dp;
static unsigned punts, tun;
static size_t last_len;
static uint8_t last_octets[2048];

static void keep(const uint8_t *p, size_t len)
{
	last_len = len;
	if (len)
		memcpy(last_octets, p, len);
}

static void on_punt(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	(void)arg;
	ck_assert_uint_eq(session, 77);
	punts++;
	keep(p, len);
}

static void on_sent(void *arg, const struct vd_datapath_sent *sent)
{
	(void)arg;
	ck_assert_int_eq(sent->way, VD_SENT_TUN);
	tun++;
	keep(sent->p, sent->len);
}

static const struct vd_chan_ops ops;
static struct vd_chan chan = { .id = CHAN, .head = 32, .mtu = 1416, .ops = &ops };

struct frames {
	const uint8_t *p;
	size_t len;
	unsigned n;
	bool known; /* the session is found */
};

static void run(struct vd_worker *w, void *arg)
{
	const struct frames *f = arg;
	const struct vd_stage *up;
	struct vd_vec vec = { .n = 0 };
	void *state;

	for (unsigned i = 0; i < f->n; i++) {
		struct vd_pkt *pkt = &vec.v[vec.n];

		ck_assert(vd_pkt_new(w, f->len, pkt));
		if (f->len)
			memcpy(pkt->p, f->p, f->len);
		pkt->len = (uint32_t)f->len;
		pkt->sess = f->known ? vd_worker_link(w, &chan, LINK, &up, &state) : 0;
		ck_assert(!f->known || (pkt->sess && up == &ppp_stage));
		vec.n++;
	}
	ppp_stage.run(w, NULL, &vec);
	ck_assert_uint_eq(vec.n, 0);
}

static void frames(const uint8_t *p, size_t len, unsigned n, bool known)
{
	struct frames f = { p, len, n, known };

	ck_assert_int_eq(dp->call(dp->self, 0, run, NULL, &f), 0);
	fake_drain();
	vd_datapath_turn();
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
}

static void frame(const char *hex, bool known)
{
	uint8_t room[256];
	int len = hex[0] ? vd_unhex(hex, room, sizeof(room)) : 0;

	ck_assert_int_ge(len, 0);
	frames(room, (size_t)len, 1, known);
}

static void path_setup(void)
{
	struct vd_link_desc link = { .chan = CHAN, .key = LINK, .session = 77, .up = &ppp_stage };

	punts = tun = 0;
	fake_init(7);
	ck_assert_int_eq(vd_datapath_init(), 0);
	dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(vd_datapath_start_inline(1), 0);
	vd_datapath_capture(on_sent, NULL);
	ck_assert_int_eq(dp->chan_add(dp->self, &chan, NULL, NULL), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_punt(dp->self, 77, on_punt, NULL), 0);
	fake_drain();
}

static void path_up(void)
{
	struct vd_wsess_desc desc = { .session = 77, .chan = CHAN, .mtu = 1400, .v4 = { .len = 20 } };

	desc.source[0] = (struct vd_prefix){ vd_ip4(0x0a080017), 32 };
	ck_assert_int_eq(dp->session_add(dp->self, &desc, NULL, NULL), 0);
	fake_drain();
}

static void path_teardown(void)
{
	dp->session_del(dp->self, 77, NULL, NULL);
	dp->link_del(dp->self, CHAN, LINK, NULL, NULL);
	dp->chan_remove(dp->self, CHAN, NULL, NULL);
	fake_drain();
	vd_datapath_stop();
	fake_drain();
	vd_datapath_fini();
	fake_fini();
}

/* 10.8.0.23 -> 10.1.0.53, UDP without payload; the checksum is right. */
#define IP "4500001c000000004011" "6696" "0a0800170a010035" "0035003500080000"

START_TEST(test_headers)
{
	static const char *const forms[] = { "ff030021" IP, "0021" IP, "ff0321" IP, "21" IP };

	frame(forms[0], true); /* before the session is up everything is the link's */
	ck_assert_uint_eq(punts, 1);
	ck_assert_uint_eq(last_len, 32);
	path_up();
	for (unsigned i = 0; i < VD_ARRAY_SIZE(forms); i++) {
		frame(forms[i], true);
		ck_assert_uint_eq(tun, i + 1);
		ck_assert_uint_eq(last_len, 28);
		ck_assert_uint_eq(last_octets[0], 0x45);
	}
	frame("ff03c0210101", true);
	ck_assert_uint_eq(punts, 2);
	ck_assert_uint_eq(last_len, 6);
	frame("00574500", true);
	ck_assert_uint_eq(punts, 3);
	frame("", true);
	frame("ff", true);
	frame("ff04002145", true);
	frame("ff03", true);
	frame("ff0300", true);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_PPP_HEADER), 5);
	frame("ff0300204500", true);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_PPP_PROTOCOL), 1);
	frame("214500", false);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_UPPER), 1);
	ck_assert_uint_eq(tun, 4);
	ck_assert_uint_eq(punts, 3);
}
END_TEST

/* Every frame is passed on, punted, or dropped with a reason; no buffer stays behind. */
START_TEST(test_random_frames)
{
	uint8_t room[64];
	unsigned n = 0;
	uint64_t dropped = 0;

	path_up();
	for (unsigned i = 0; i < 20000; i++) {
		unsigned copies = 1 + i % 3;

		vd_random(room, sizeof(room));
		if (room[40] & 1)
			memcpy(room, (const uint8_t[]){ 0xff, 0x03, 0x00, 0x21, 0x45, 0 }, room[40] & 2 ? 6 : 2);
		frames(room, room[41] % 40, copies, room[42] % 8);
		n += copies;
		if (i % 50 == 0)
			fake_advance(1000); /* a new window of the limit on punts */
	}
	for (unsigned why = 0; why < VD_DROP_MAX; why++)
		dropped += vd_datapath_drops((enum vd_drop)why);
	ck_assert_uint_eq(dropped + punts + tun, n);
	ck_assert_uint_gt(punts, 0);
	ck_assert_uint_gt(dropped, 0);
}
END_TEST

/* ---- sizes ---- */
/* Octets on the wire of an inner packet, from the RFCs: 2661 section 3.1 with L bit, 3948, 4303 section 2, 3602,
 * 4106. */
static unsigned on_the_wire(unsigned inner, unsigned ppp, bool udp, unsigned iv, unsigned align, unsigned icv)
{
	unsigned clear = 8 + 8 + ppp + inner; /* UDP, L2TP */

	while ((clear + 2) % align)
		clear++;
	return 20 + (udp ? 8 : 0) + 8 + iv + clear + 2 + icv;
}

START_TEST(test_sizes)
{
	static const struct { uint8_t encr, integ; uint16_t bits; unsigned iv, align, icv; } suites[] = {
		{ VD_ENCR_AES_CBC, VD_INTEG_SHA1_96, 256, 16, 16, 12 },
		{ VD_ENCR_AES_GCM_16, VD_INTEG_NONE, 256, 8, 4, 16 },
	};

	for (unsigned i = 0; i < 8; i++) {
		unsigned which = i & 1, ppp = i & 4 ? 1 : 4;
		bool udp = i & 2;
		struct vd_path path = { .local = { vd_ip4(0xc0000201), 4500 },
			.remote = { vd_ip4(0xcb007105), udp ? 4500 : 0 } };
		struct esp_suite suite;

		ck_assert_int_eq(esp_suite(suites[which].encr, suites[which].bits, suites[which].integ, &suite), 0);
		setup_with("gateway: { name: vpn.example.com }\n" REALM, esp_mtu(&suite, &path, 1500));
		fake_advance(0);
		in(ppp == 1 ? "c021 01 00 0008 0702 0802" : "c021 01 00 0004");
		ack(0xc021);
		login();
		in("8021 01 05 000a 0306 0a080017");
		ack(0x8021);
		ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
		ck_assert_uint_le(
			on_the_wire(d.desc.mtu, ppp, udp, suites[which].iv, suites[which].align, suites[which].icv),
			1500);
		ck_assert_uint_gt(on_the_wire(d.desc.mtu + 1u, ppp, udp, suites[which].iv, suites[which].align,
			suites[which].icv), 1500);
		/* What we let the client send fits a path of the same kind, with an uncompressed header. */
		ck_assert_uint_le(on_the_wire(link_now()->mru, 4, udp, suites[which].iv, suites[which].align,
			suites[which].icv), 1500);
		teardown();
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp stage");
	TCase *t = tcase_create("stage"), *sizes = tcase_create("sizes");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, path_setup, path_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_headers);
	tcase_add_test(t, test_random_frames);
	suite_add_tcase(s, t);
	tcase_add_test(sizes, test_sizes);
	suite_add_tcase(s, sizes);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
