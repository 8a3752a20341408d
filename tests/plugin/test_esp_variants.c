/* What an SA may have beside the usual: extended sequence numbers over the end of the lower half, and an HMAC-SHA2-256 that the
 * peer cuts to 96 bits. One worker, one channel, no threads; the other side is the keyed contexts of the plugin, whose octets
 * test_esp_crypt compares with published ones. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/crypto.h>
#include <viaduct/log.h>

#include "core/datapath/datapath.h"
#include "core/object/registry.h"
#include "core/datapath/dp.h"
#include "core/object/object.h"
#include "plugins/esp/userspace/esp.h"
#include "tests/lib/fake.h"

VD_API extern const struct vd_plugin esp_userspace_LTX_vd_plugin;

static const struct vd_datapath_1 *dp;
static const struct vd_esp_1 *esp;
static struct vd_path path;
static uint64_t chan;
static uint32_t spi_in;
static unsigned came, sent;
static uint8_t last[2048];
static size_t last_len;

static void on_sent(void *arg, const struct vd_datapath_sent *s)
{
	(void)arg;
	sent++;
	memcpy(last, s->p, s->len);
	last_len = s->len;
}

static void up_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	came += vec->n;
	for (unsigned i = 0; i < vec->n; i++)
		vd_pkt_free(w, &vec->v[i]);
}
static const struct vd_stage up = { "up", up_run };
static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len) { (void)arg, (void)id, (void)p, (void)len; }
static const struct vd_esp_events events = { 0 };

static struct vd_secret *keys(size_t len)
{
	uint8_t k[64];
	for (size_t i = 0; i < sizeof(k); i++)
		k[i] = (uint8_t)(i * 5 + 1);
	return vd_secret_new(k, len);
}

/* Both directions with one suite; the peer's contexts for the same. */
static void install(struct vd_esp_sa sa, size_t len, struct esp_crypt *seal, struct esp_crypt *open)
{
	struct esp_suite s;
	sa.chan = chan;
	sa.keymat = keys(len);
	ck_assert_int_eq(esp_suite(sa.encr, sa.key_bits, sa.integ, &s), 0);
	ck_assert_int_eq(esp_crypt_init(seal, &s, sa.keymat, false), 0);
	ck_assert_int_eq(esp_crypt_init(open, &s, sa.keymat, true), 0);
	seal->esn = open->esn = sa.esn;
	ck_assert_int_eq(esp->alloc_spi(esp->self, chan, &spi_in), 0);
	sa.spi = spi_in;
	ck_assert_int_eq(esp->install_in(esp->self, &sa, NULL, NULL), 0);
	sa.spi ^= 0x01000000;
	ck_assert_int_eq(esp->install_out(esp->self, &sa, NULL, NULL), 0);
	vd_secret_free(sa.keymat);
	fake_drain();
}

static struct esp_chan *ours(void)
{
	return esp_chan_find(esp->self, chan);
}

static size_t seal(struct esp_crypt *c, uint64_t seq, unsigned icv, uint8_t *out)
{
	size_t t = 30, head = 8u + c->suite.iv;
	memset(out, 0, 200);
	memcpy(out, (uint8_t[]){ (uint8_t)(spi_in >> 24), (uint8_t)(spi_in >> 16), (uint8_t)(spi_in >> 8), (uint8_t)spi_in,
		(uint8_t)(seq >> 24), (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq }, 8);
	out[head + t++] = 0;
	out[head + t++] = 17;
	ck_assert_uint_eq(t % c->suite.align, 0);
	ck_assert(esp_seal(c, out, t, (uint32_t)(seq >> 32))); /* the cut value is the beginning of the whole one */
	return head + t + icv;
}

static void inject(struct esp_crypt *c, uint64_t seq, unsigned icv)
{
	uint8_t p[256];
	size_t len = seal(c, seq, icv, p);
	vd_datapath_inject(0, &path, p, len, 0);
	fake_drain();
}

static void start(void)
{
	came = sent = 0;
	fake_init(5);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	fake_plugin_start(&esp_userspace_LTX_vd_plugin);
	ck_assert_int_eq(vd_datapath_start_inline(1), 0);
	vd_datapath_capture(on_sent, NULL);
	dp = vd_service_find("datapath/1", NULL);
	esp = vd_service_find("esp/1", NULL);
	path = (struct vd_path){ .endpoint = 1, .natt = true };
	path.local = (struct vd_sa){ .ip = vd_ip4(0xc0000201), .port = 4500 };
	path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336401), .port = 4500 };
	struct vd_peer *p = vd_peer_new(1, &path.local, &path.remote);
	ck_assert_int_eq(esp->chan_new(esp->self, p->id, VD_ESP_TRANSPORT, &path, "l2tp", &events, NULL, &chan), 0);
	ck_assert_int_eq(dp->chan_attach(dp->self, chan, &up, NULL, on_punt, NULL), 0);
	fake_drain();
}

static void stop(void)
{
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_stop();
	fake_plugin_stop(&esp_userspace_LTX_vd_plugin);
	fake_drain();
	vd_datapath_fini();
	vd_objects_fini();
	fake_fini();
}

static const struct {
	struct vd_esp_sa sa;
	size_t keymat;
	unsigned icv;
} suites[] = {
	{ { .encr = VD_ENCR_AES_GCM_16, .key_bits = 256, .esn = true }, 36, 16 },
	{ { .encr = VD_ENCR_CHACHA20_POLY1305, .key_bits = 256, .esn = true }, 36, 16 },
	{ { .encr = VD_ENCR_AES_CBC, .key_bits = 128, .integ = VD_INTEG_SHA1_96, .esn = true }, 36, 12 },
};

START_TEST(test_esn)
{
	struct esp_crypt out, open;
	install(suites[_i].sa, suites[_i].keymat, &out, &open);
	unsigned icv = suites[_i].icv;
	/* A number just below the end would lie before the first one. */
	inject(&out, 0xfffffff0, icv);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_REPLAY), 1);
	/* The lower half runs over: the receiver counts on. Nobody sends the upper one. */
	inject(&out, 0x80000000, icv);
	inject(&out, 0xffffffff, icv);
	inject(&out, 0x100000000, icv);
	inject(&out, 0x100000001, icv);
	ck_assert_uint_eq(came, 4);
	/* Late, from before; then again. */
	inject(&out, 0xfffffffd, icv);
	ck_assert_uint_eq(came, 5);
	inject(&out, 0xfffffffd, icv);
	inject(&out, 0x100000001, icv);
	ck_assert_uint_eq(came, 5);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_REPLAY), 3);
	/* A number of the first round in the second: another upper half, so not authentic. */
	inject(&out, 0x00001000, icv);
	ck_assert_uint_eq(came, 5);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_AUTH), 1);
	inject(&out, 0x100001000, icv);
	ck_assert_uint_eq(came, 6);
	/* And we send over the end. */
	ours()->out->seq = 0xfffffffe;
	for (uint64_t seq = 0xffffffff; seq <= 0x100000001; seq++) {
		ck_assert_int_eq(dp->chan_send(dp->self, chan, "0123456789", 10), 0);
		ck_assert_mem_eq(last + 4, ((uint8_t[]){ (uint8_t)(seq >> 24), (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq }), 4);
		ck_assert_int_gt(esp_open(&open, last, last_len, (uint32_t)(seq >> 32)), 0);
	}
	ck_assert_uint_eq(sent, 3);
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
}
END_TEST

static const struct vd_esp_sa sha2 = { .encr = VD_ENCR_AES_CBC, .key_bits = 256, .integ = VD_INTEG_SHA2_256_128 };

START_TEST(test_cut)
{
	struct esp_crypt out, open;
	install(sha2, 64, &out, &open);
	/* A forged packet of that length decides nothing. */
	uint8_t p[256];
	size_t len = seal(&out, 1, ESP_ICV_CUT, p);
	p[40] ^= 1;
	vd_datapath_inject(0, &path, p, len, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_AUTH), 1);
	ck_assert(!ours()->cut && ours()->in->crypt.icv_open);
	inject(&out, 1, ESP_ICV_CUT);
	ck_assert_uint_eq(came, 1);
	ck_assert_uint_eq(vd_counter("esp_userspace.cut_icv"), 1);
	/* Ours are alike. */
	ck_assert_int_eq(dp->chan_send(dp->self, chan, "0123456789", 10), 0);
	ck_assert_uint_eq(last_len, 8 + 16 + 16 + ESP_ICV_CUT);
	ck_assert_int_gt(esp_open(&open, last, last_len, 0), 0);
	/* It is said once, also with the next pair of SAs, which sends alike before it has heard anything. */
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
	install(sha2, 64, &out, &open);
	ck_assert_int_eq(dp->chan_send(dp->self, chan, "0123456789", 10), 0);
	ck_assert_uint_eq(last_len, 8 + 16 + 16 + ESP_ICV_CUT);
	inject(&out, 1, ESP_ICV_CUT);
	ck_assert_uint_eq(came, 2);
	ck_assert_uint_eq(vd_counter("esp_userspace.cut_icv"), 1);
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
}
END_TEST

/* Whoever does it right once cannot be made to look as if he cut. */
START_TEST(test_uncut)
{
	struct esp_crypt out, open;
	install(sha2, 64, &out, &open);
	/* Somebody cuts his first packet on the way: nothing is lost but the length of what we send, until the next one. */
	inject(&out, 1, ESP_ICV_CUT);
	ck_assert(ours()->cut);
	inject(&out, 2, 16);
	ck_assert_uint_eq(came, 2);
	ck_assert(!ours()->cut);
	ck_assert_uint_eq(vd_counter("esp_userspace.whole_icv"), 1);
	inject(&out, 3, ESP_ICV_CUT);
	ck_assert_uint_eq(came, 2);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_AUTH), 1);
	ck_assert_int_eq(dp->chan_send(dp->self, chan, "0123456789", 10), 0);
	ck_assert_uint_eq(last_len, 8 + 16 + 16 + 16);
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
}
END_TEST

static size_t export(uint8_t *out, size_t room)
{
	struct vd_wr w;
	struct vd_error err;
	vd_wr_init(&w, out, room);
	ck_assert_int_eq(esp_layer.export_(esp->self, &w, &err), 0);
	return w.len;
}

/* The channel is made anew from its record, and says the same of itself. */
static void reimport(void)
{
	uint64_t peer = vd_chan_find(chan)->peer;
	static uint8_t a[16384], b[16384];
	struct vd_error err;
	struct vd_rd r;
	size_t n = export(a, sizeof(a));
	esp_maker.close(esp->self, chan, "test");
	fake_drain();
	/* Its record in the core, as an import of core.objects leaves it. */
	struct chan *again = calloc(1, sizeof(*again));
	ck_assert_ptr_nonnull(again);
	again->pub = (struct vd_chan_info){ .id = chan, .peer = peer, .mtu = 1400 };
	vd_strcpy(again->made_by, sizeof(again->made_by), esp_maker.name);
	ck_assert_ptr_nonnull(object_chan_insert(again, object_peer(peer)));
	vd_rd_init(&r, a, n);
	ck_assert_int_eq(esp_layer.import(esp->self, esp_layer.version, &r, VD_IMPORT_SAME, &err), 0);
	fake_drain();
	ck_assert_uint_eq(export(b, sizeof(b)), n);
	ck_assert_mem_eq(a, b, n);
}

START_TEST(test_state)
{
	struct esp_crypt out, open, more, more_open;
	uint64_t old = chan;
	install(sha2, 64, &out, &open);
	inject(&out, 1, ESP_ICV_CUT);
	install(suites[0].sa, 36, &more, &more_open);
	inject(&more, 0x80000000, 16);
	inject(&more, 0x100000005, 16);
	reimport();
	ck_assert_ptr_nonnull(esp_chan_find(esp->self, old));
	ck_assert(ours()->cut);
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
	esp_crypt_fini(&more);
	esp_crypt_fini(&more_open);
}
END_TEST

/* ---- ways that are narrower (gateway.df: set) ---- */
static int wide;
static int way(const struct vd_ip *from, const struct vd_ip *to)
{
	ck_assert_uint_eq(vd_ip_u32(from), 0xc0000201);
	return to->family == AF_INET ? wide : -ENETUNREACH;
}

static struct vd_wsess *session(void)
{
	struct vd_datapath *all = dp->self;
	for (unsigned i = 0; i < 16; i++)
		if (all->w[0]->sess[i] && all->w[0]->sess[i]->d.chan == chan)
			return all->w[0]->sess[i];
	ck_abort_msg("no session");
}

static void session_up(uint64_t id, uint16_t mtu)
{
	struct vd_link_desc link = { chan, id, id, &up, NULL };
	struct vd_wsess_desc d = { .session = id, .chan = chan, .mtu = mtu, .v4.bare = true };
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_add(dp->self, &d, NULL, NULL), 0);
	fake_drain();
}

/* The first path says how large datagrams are; later ones make the sessions narrower, or as wide again, and never wider. So
 * does the one that is found after an import. */
START_TEST(test_narrow)
{
	struct esp_crypt out, open;
	struct esp_suite s;
	struct vd_path other = path;
	struct vd_peer *p = vd_peer_new(1, &path.local, &path.remote);
	esp_maker.close(esp->self, chan, "another one");
	fake_drain();
	vd_datapath_df(VD_DF_SET);
	vd_datapath_way_mtu(way);
	wide = 1300;
	ck_assert_int_eq(esp->chan_new(esp->self, p->id, VD_ESP_TRANSPORT, &path, "l2tp", &events, NULL, &chan), 0);
	ck_assert_uint_eq(vd_chan_find(chan)->mtu, esp_mtu(NULL, &path, 1300));
	ck_assert_int_eq(dp->chan_attach(dp->self, chan, &up, NULL, on_punt, NULL), 0);
	install(suites[0].sa, 36, &out, &open);
	ck_assert_int_eq(esp_suite(VD_ENCR_AES_GCM_16, 256, 0, &s), 0);
	uint16_t mtu = esp_mtu(&s, &path, 1300);
	ck_assert_uint_eq(vd_chan_find(chan)->mtu, mtu);
	session_up(7, mtu);
	ck_assert_uint_eq(session()->d.mtu, mtu);
	other.remote.port = 9999;
	for (wide = 1501; wide > 1200; wide--) {
		ck_assert_int_eq(esp->set_path(esp->self, chan, &other, NULL, NULL), 0);
		fake_drain();
		uint16_t most = esp_mtu(&s, &other, (uint16_t)(wide > 1300 ? 1300 : wide));
		ck_assert_uint_le(session()->d.mtu, most);
		ck_assert_uint_gt(session()->d.mtu + 16u, most);
	}
	wide = 1201;
	uint16_t narrow = session()->d.mtu;
	/* What the core says anew does not undo it, and less than any link takes is not believed. */
	struct vd_wsess_desc d = { .session = 7, .chan = chan, .mtu = mtu, .v4.bare = true };
	ck_assert_int_eq(dp->session_add(dp->self, &d, NULL, NULL), 0);
	fake_drain();
	ck_assert_uint_eq(session()->d.mtu, narrow);
	wide = 1;
	ck_assert_int_eq(esp->set_path(esp->self, chan, &other, NULL, NULL), 0);
	fake_drain();
	ck_assert_uint_gt(session()->d.mtu, 400);
	wide = 1201;
	ck_assert_int_eq(dp->link_del(dp->self, chan, 7, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_del(dp->self, 7, NULL, NULL), 0);
	fake_drain();
	reimport();
	session_up(8, mtu);
	ck_assert_uint_eq(session()->d.mtu, narrow);
	esp_crypt_fini(&out);
	esp_crypt_fini(&open);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("esp variants");
	TCase *c = tcase_create("variants");
	tcase_add_checked_fixture(c, start, stop);
	tcase_add_loop_test(c, test_esn, 0, VD_ARRAY_SIZE(suites));
	tcase_add_test(c, test_cut);
	tcase_add_test(c, test_uncut);
	tcase_add_test(c, test_state);
	tcase_add_test(c, test_narrow);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
