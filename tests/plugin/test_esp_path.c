/* Conversations over the data path without threads: two workers, peers on both, from UDP to TUN and back. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/log.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"
#include "plugins/esp/userspace/esp.h"
#include "tests/lib/fake.h"

VD_API extern const struct vd_plugin esp_userspace_LTX_vd_plugin;

static const struct vd_datapath_1 *dp;
static const struct vd_esp_1 *esp;
static struct client {
	struct vd_path path;
	uint64_t peer, chan, session;
	uint32_t in, out; /* SPIs: ours, the client's */
	struct esp_crypt seal, open;
	uint32_t seq;
	uint8_t address[4];
} cl[2];
static struct {
	unsigned n, soft, hard, first, rebind, punts, ikes, spunts;
	struct vd_datapath_sent last[8];
	uint8_t data[8][2048], punt[2048], ike[2048];
	size_t punt_len, ike_len;
	struct vd_path moved, ike_path;
} got;

static void on_sent(void *arg, const struct vd_datapath_sent *sent)
{
	unsigned i = got.n++ % 8;
	(void)arg;
	ck_assert_uint_le(sent->len, 2048);
	got.last[i] = *sent;
	memcpy(got.data[i], sent->p, sent->len);
	got.last[i].p = got.data[i];
}

static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg;
	got.ikes++;
	got.ike_path = *path;
	memcpy(got.ike, p, len);
	got.ike_len = len;
}

static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len)
{
	(void)id;
	++*(unsigned *)arg;
	memcpy(got.punt, p, len);
	got.punt_len = len;
}

/* A stand-in for L2TP: UDP header, then 0xc8 (control) or 0 and a link key. */
static void inner_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	for (unsigned i = 0; i < vec->n; i++)
		if (!vd_worker_session_up(w, vec->v[i].sess)) {
			vd_worker_punt(w, NULL, &vec->v[i]);
			vec->v[i--] = vec->v[--vec->n];
		}
	vd_inner_in(w, vec);
}
static const struct vd_stage inner = { "inner", inner_run };

static void link_run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	const struct vd_chan *chan = state;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		const struct vd_stage *up;
		void *arg;
		struct vd_rd r;
		vd_rd_init(&r, pkt->p, pkt->len);
		vd_rd_take(&r, 8);
		if (vd_rd_u8(&r) == 0xc8) {
			vd_worker_punt(w, chan, pkt);
			continue;
		}
		uint32_t key = vd_rd_u32(&r), sess = vd_rd_ok(&r) ? vd_worker_link(w, chan, key, &up, &arg) : 0;
		if (!sess) {
			vd_pkt_drop(w, pkt, VD_DROP_L2TP_SESSION);
			continue;
		}
		pkt->sess = sess;
		pkt->p += 13;
		pkt->len -= 13;
		struct vd_vec one = { .n = 1, .v = { *pkt } };
		up->run(w, arg, &one);
	}
}
static const struct vd_stage linkst = { "link", link_run };

static void soft(void *arg, uint64_t chan, uint32_t spi) { (void)arg, (void)chan, (void)spi; got.soft++; }
static void hard(void *arg, uint64_t chan, uint32_t spi) { (void)arg, (void)chan, (void)spi; got.hard++; }
static void first(void *arg, uint64_t chan, uint32_t spi) { (void)arg, (void)chan, (void)spi; got.first++; }
static void moved(void *arg, uint64_t chan, const struct vd_path *p) { (void)arg, (void)chan; got.rebind++; got.moved = *p; }
static const struct vd_esp_events events = { soft, hard, first, moved };
static void count(void *arg) { ++*(unsigned *)arg; }

static struct vd_secret *keys(unsigned n)
{
	uint8_t k[36];
	for (size_t i = 0; i < sizeof(k); i++)
		k[i] = (uint8_t)(n * 40 + i);
	return vd_secret_new(k, n & 1 ? 20 : 36);
}

static struct esp_crypt crypt(unsigned n, bool in)
{
	struct esp_suite s;
	struct esp_crypt c;
	struct vd_secret *k = keys(n);
	ck_assert_int_eq(esp_suite(VD_ENCR_AES_GCM_16, n & 1 ? 128 : 256, 0, &s), 0);
	ck_assert_int_eq(esp_crypt_init(&c, &s, k, in), 0);
	vd_secret_free(k);
	return c;
}

static int install(struct client *c, bool in, uint32_t spi, unsigned key, struct vd_esp_sa sa)
{
	sa.chan = c->chan;
	sa.spi = spi;
	sa.encr = VD_ENCR_AES_GCM_16;
	sa.key_bits = key & 1 ? 128 : 256;
	sa.keymat = keys(key);
	static unsigned done;
	int rc = in ? esp->install_in(esp->self, &sa, count, &done) : esp->install_out(esp->self, &sa, count, &done);
	vd_secret_free(sa.keymat);
	fake_drain();
	return rc;
}

static void world(void)
{
	fake_init(3);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	fake_plugin_start(&esp_userspace_LTX_vd_plugin);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	vd_datapath_capture(on_sent, NULL);
	dp = vd_service_find("datapath/1", NULL);
	esp = vd_service_find("esp/1", NULL);
	dp->ike_input(dp->self, on_ike, NULL);
}

static void upper(struct client *c)
{
	struct vd_link_desc link = { c->chan, 7, c->session, &inner, NULL };
	struct vd_wsess_desc d = { .session = c->session, .chan = c->chan, .mtu = 1300 };
	struct vd_prefix p = { .len = 32 };
	unsigned done = 0;
	/* vd_chan is what esp made; the stand-in gets it as its state. */
	struct esp *e = esp->self;
	ck_assert_int_eq(dp->chan_attach(dp->self, c->chan, &linkst, &esp_chan_find(e, c->chan)->c, on_punt, &got.punts), 0);
	ck_assert_int_eq(dp->session_punt(dp->self, c->session, on_punt, &got.spunts), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, count, &done), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), -EEXIST);
	p.ip = (struct vd_ip){ .family = AF_INET };
	memcpy(p.ip.a, c->address, 4);
	d.source[0] = p;
	d.v4 = (struct vd_hdr){ .len = 10, .udp_len = 4, .l2tp_len = 8, .l2tp_from = 8 };
	memcpy(d.v4.bytes, "\x06\xa5\x06\xa5\0\0\0\0\0\0", 10);
	d.v6 = d.v4;
	vd_ip_parse("2001:db8:1::", &d.source[1].ip);
	d.source[1].len = 64;
	ck_assert_int_eq(dp->session_add(dp->self, &d, count, &done), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &p, c->session, count, &done), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &p, c->session, count, &done), -EEXIST);
	fake_drain();
	ck_assert_uint_eq(done, 3);
}

static void start(void)
{
	memset(&got, 0, sizeof(got));
	memset(cl, 0, sizeof(cl));
	world();
	fake_watch(&vd_topic_chan_up);
	for (unsigned i = 0; i < 2; i++) {
		struct client *c = &cl[i];
		c->path = (struct vd_path){ .endpoint = 1, .natt = true };
		c->path.local = (struct vd_sa){ .ip = vd_ip4(0xc0000201), .port = 4500 };
		c->path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336401), .port = (uint16_t)(4500 + i) };
		struct vd_peer *p = vd_peer_new(1, &c->path.local, &c->path.remote);
		ck_assert_ptr_nonnull(p);
		c->peer = p->id;
		ck_assert_uint_eq(p->home % 2, i);
		ck_assert_int_eq(esp->chan_new(esp->self, p->id, VD_ESP_TRANSPORT, &c->path, "l2tp", &events, NULL, &c->chan), 0);
		ck_assert_int_eq(esp->alloc_spi(esp->self, c->chan, &c->in), 0);
		ck_assert_uint_eq(c->in & 255, p->home);
		c->out = 0x1000 + i;
		ck_assert_int_eq(install(c, true, c->in, 2 * i, (struct vd_esp_sa){ 0 }), 0);
		ck_assert_uint_eq(fake_events(&vd_topic_chan_up), i);
		ck_assert_int_eq(install(c, false, c->out, 2 * i + 1, (struct vd_esp_sa){ 0 }), 0);
		ck_assert_uint_eq(fake_events(&vd_topic_chan_up), i + 1);
		c->seal = crypt(2 * i, false);
		c->open = crypt(2 * i + 1, true);
		c->session = 1000 + i;
		memcpy(c->address, (uint8_t[]){ 10, 8, 0, (uint8_t)(10 + i) }, 4);
		upper(c);
	}
	got.n = 0;
}

static bool abrupt; /* stop without hearing acknowledgements first */
static void stop(void)
{
	if (!abrupt)
		fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	for (unsigned i = 0; i < 2; i++) {
		esp_crypt_fini(&cl[i].seal);
		esp_crypt_fini(&cl[i].open);
	}
	vd_datapath_stop();
	if (abrupt) /* what plugins do in their fini, before this one's */
		esp_maker.close(esp->self, cl[0].chan, "end");
	fake_plugin_stop(&esp_userspace_LTX_vd_plugin);
	fake_drain();
	vd_datapath_fini();
	vd_objects_fini();
	fake_fini();
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static uint32_t naive(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return s;
}

/* One's complement sum of pseudo header and TCP of an IPv4 packet: 0xffff when its checksum is right. */
static uint16_t tcp_sum(const uint8_t *ip, size_t len)
{
	return fold(naive(naive(6 + (uint32_t)(len - 20), ip + 12, 8), ip + 20, len - 20));
}

/* IPv4, TCP SYN with an MSS option at an odd or even offset; checksums right. */
static size_t syn(uint8_t *p, const uint8_t src[4], const uint8_t dst[4], uint16_t mss, bool odd, size_t payload)
{
	size_t n = 20 + 28 + payload;
	memset(p, 0, n);
	memcpy(p, (uint8_t[]){ 0x45, 0, (uint8_t)(n >> 8), (uint8_t)n, 0, 1, 0x40, 0, 64, 6 }, 10);
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	p[33] = 0x02;
	p[32] = 7 << 4;
	uint8_t *o = p + 40;
	if (odd)
		*o++ = 1;
	memcpy(o, (uint8_t[]){ 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 1, 1 }, 6);
	uint16_t sum = (uint16_t)~tcp_sum(p, n);
	p[36] = (uint8_t)(sum >> 8);
	p[37] = (uint8_t)sum;
	sum = (uint16_t)~fold(naive(0, p, 20));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
	return n;
}

/* The client's ESP packet around UDP + stand-in link header + inner. Returns its length. */
static size_t wrap(struct client *c, uint8_t *out, const uint8_t *in, size_t len, uint8_t type)
{
	size_t t = 8 + 5 + len;
	c->seq++;
	memcpy(out, (uint8_t[]){ (uint8_t)(c->in >> 24), (uint8_t)(c->in >> 16), (uint8_t)(c->in >> 8), (uint8_t)c->in,
		(uint8_t)(c->seq >> 24), (uint8_t)(c->seq >> 16), (uint8_t)(c->seq >> 8), (uint8_t)c->seq }, 8);
	memset(out + 16, 0, 13);
	out[24] = type;
	out[28] = 7;
	memcpy(out + 29, in, len);
	unsigned pad = (unsigned)(-(int)(t + 2)) & 3;
	for (unsigned i = 1; i <= pad; i++)
		out[16 + t++] = (uint8_t)i;
	out[16 + t++] = (uint8_t)pad;
	out[16 + t++] = 17;
	ck_assert(esp_seal(&c->seal, out, t, 0));
	return 16 + t + 16;
}

START_TEST(test_batch)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	for (int where = -1; where < 2; where++) {
		uint8_t a[256], b[1024] = { 0 }, tcp[256];
		size_t n = syn(tcp, cl[0].address, far, 1000, false, 0), len = wrap(&cl[0], a, tcp, n, 0);
		unsigned ikes = got.ikes, keep = (unsigned)vd_datapath_drops(VD_DROP_KEEPALIVE);
		unsigned control = (unsigned)vd_counter("datapath.drop.keepalive");
		memcpy(b, a, len);
		n = syn(tcp, cl[1].address, far, 1000, false, 0);
		ck_assert_uint_eq(wrap(&cl[1], a, tcp, n, 0), len);
		memcpy(b + len, a, len);
		for (size_t i = 4; i < len; i++)
			b[2 * len + i] = (uint8_t)i; /* marker, then an IKE message */
		b[3 * len] = 0xff;
		got.n = 0;
		vd_datapath_inject(where, &cl[0].path, b, 3 * len + 1, len);
		fake_drain();
		ck_assert_uint_eq(got.n, 2);
		bool seen[2] = { false };
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_int_eq(got.last[i].way, VD_SENT_TUN);
			unsigned w = got.last[i].worker;
			seen[w] = true;
			ck_assert_mem_eq(got.data[i] + 12, cl[w].address, 4);
			ck_assert_uint_eq(got.last[i].len, n);
		}
		ck_assert(seen[0] && seen[1]);
		ck_assert_uint_eq(got.ikes, ikes + 1);
		ck_assert_uint_eq(got.ike_len, len - 4);
		ck_assert_uint_eq(got.ike[0], 4);
		ck_assert(got.ike_path.natt && vd_sa_equal(&got.ike_path.remote, &cl[0].path.remote));
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_KEEPALIVE), keep + (where >= 0));
		ck_assert_uint_eq(vd_counter("datapath.drop.keepalive"), control + (where < 0));
	}
	ck_assert_uint_eq(got.first, 2);
	/* IKE goes back with its marker, from the right place. */
	got.n = 0;
	ck_assert_int_eq(dp->ike_send(dp->self, &got.ike_path, "abc", 3), 0);
	ck_assert_int_eq(got.last[0].way, VD_SENT_IKE);
	ck_assert_mem_eq(got.data[0], "\0\0\0\0abc", 7);
	ck_assert_uint_eq(got.last[0].len, 7);
	/* A NAT keepalive goes without it (RFC 3948 section 2.3): the peer would take it for a cut message. */
	got.n = 0;
	ck_assert_int_eq(dp->ike_send(dp->self, &got.ike_path, "\xff", 1), 0);
	ck_assert_uint_eq(got.last[0].len, 1);
	ck_assert_uint_eq(got.data[0][0], 0xff);
}
END_TEST

START_TEST(test_in)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	uint8_t a[2048], tcp[2048];
	for (int odd = 0; odd < 2; odd++) {
		size_t n = syn(tcp, cl[0].address, far, 1460, odd, 9), len = wrap(&cl[0], a, tcp, n, 0);
		got.n = 0;
		vd_datapath_inject(0, &cl[0].path, a, len, 0);
		ck_assert_uint_eq(got.n, 1);
		ck_assert_uint_eq(tcp_sum(got.data[0], n), 0xffff);
		ck_assert_uint_eq(got.data[0][42 + odd] << 8 | got.data[0][43 + odd], 1260);
		/* The same packet again is a replay. */
		vd_datapath_inject(0, &cl[0].path, a, len, 0);
		ck_assert_uint_eq(got.n, 1);
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_REPLAY), (unsigned)odd + 1);
	}
	/* Somebody else's source. */
	size_t n = syn(tcp, cl[1].address, far, 1000, false, 0), len = wrap(&cl[0], a, tcp, n, 0);
	got.n = 0;
	vd_datapath_inject(0, &cl[0].path, a, len, 0);
	ck_assert_uint_eq(got.n, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOURCE), 1);
	/* Control is punted, whole, and limited. */
	len = wrap(&cl[1], a, (const uint8_t *)"hello", 5, 0xc8);
	vd_datapath_inject(1, &cl[1].path, a, len, 0);
	fake_drain();
	ck_assert_uint_eq(got.punts, 1);
	ck_assert_uint_eq(got.punt_len, 18);
	ck_assert_mem_eq(got.punt + 13, "hello", 5);
	for (unsigned i = 0; i < 1000; i++) {
		len = wrap(&cl[1], a, (const uint8_t *)"hello", 5, 0xc8);
		vd_datapath_inject(1, &cl[1].path, a, len, 0);
	}
	fake_drain();
	ck_assert_uint_eq(got.punts, 256);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_PUNT_LIMIT), 745);
	/* A link key of another channel leads nowhere. */
	unsigned done = 0;
	ck_assert_int_eq(dp->link_del(dp->self, cl[1].chan, 7, count, &done), 0);
	fake_drain();
	ck_assert_uint_eq(done, 1);
	n = syn(tcp, cl[1].address, far, 1000, false, 0);
	len = wrap(&cl[1], a, tcp, n, 0);
	vd_datapath_inject(1, &cl[1].path, a, len, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SESSION), 1);
	/* The peer's address changed: told once, and a delayed packet does not tell. */
	struct vd_path path = cl[0].path;
	path.remote.port = 9999;
	for (int i = 0; i < 3; i++) {
		len = wrap(&cl[0], a, tcp, n, 0xc8);
		vd_datapath_inject(0, &path, a, len, 0);
	}
	fake_drain();
	ck_assert_uint_eq(got.rebind, 1);
	ck_assert_uint_eq(got.moved.remote.port, 9999);
	ck_assert_int_eq(esp->set_path(esp->self, cl[0].chan, &path, NULL, NULL), 0);
	got.n = 0;
	ck_assert_int_eq(dp->chan_send(dp->self, cl[0].chan, "datagram", 8), 0);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_uint_eq(got.last[0].path.remote.port, 9999);
	ck_assert_uint_eq(vd_chan_idle(cl[0].chan), 0);
}
END_TEST

START_TEST(test_out)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	uint8_t p[2048];
	for (unsigned queue = 0; queue < 2; queue++)
		for (unsigned to = 0; to < 2; to++) {
			struct client *c = &cl[to];
			size_t n = syn(p, far, c->address, 1460, to, 100);
			got.n = 0;
			vd_datapath_inject_tun(queue, NULL, p, n);
			fake_drain();
			ck_assert_uint_eq(got.n, 1);
			ck_assert_int_eq(got.last[0].way, VD_SENT_UDP);
			ck_assert_uint_eq(got.last[0].worker, to);
			ck_assert(vd_sa_equal(&got.last[0].path.remote, &c->path.remote));
			ck_assert_mem_eq(got.data[0], ((uint8_t[]){ 0, 0, 0x10, (uint8_t)to }), 4);
			ck_assert_uint_eq(got.data[0][7], queue + 1);
			ck_assert_uint_eq(got.data[0][15], queue); /* IV counter, not the sequence number */
			long t = esp_open(&c->open, got.data[0], got.last[0].len, 0);
			ck_assert_int_gt(t, 0);
			const uint8_t *udp = got.data[0] + 16;
			ck_assert_uint_eq(udp[4] << 8 | udp[5], 10 + n);
			ck_assert_uint_eq(udp[6] | udp[7], 0);
			ck_assert_uint_eq(udp[8] << 8 | udp[9], 2 + n);
			ck_assert_uint_eq(tcp_sum(udp + 10, n), 0xffff);
			ck_assert_uint_eq(udp[10 + 42 + to] << 8 | udp[10 + 43 + to], 1260);
			ck_assert_uint_eq(udp[t - 1], 17);
		}
	/* Too large with DF: ICMP to the sender. Without: fragments that fit. */
	size_t n = syn(p, far, cl[0].address, 1000, false, 1400);
	got.n = 0;
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_int_eq(got.last[0].way, VD_SENT_TUN);
	ck_assert_mem_eq(got.data[0] + 16, far, 4);
	ck_assert_uint_eq(got.data[0][20] << 8 | got.data[0][21], 3 << 8 | 4);
	ck_assert_uint_eq(got.data[0][26] << 8 | got.data[0][27], 1300);
	ck_assert_uint_eq(fold(naive(0, got.data[0], 20)), 0xffff);
	ck_assert_uint_eq(fold(naive(0, got.data[0] + 20, got.last[0].len - 20)), 0xffff);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_TOO_BIG), 1);
	for (int i = 0; i < 100; i++)
		vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_uint_eq(got.n, 10);
	p[6] = 0;
	got.n = 0;
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_uint_eq(got.n, 2);
	size_t sum = 0;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_gt(esp_open(&cl[0].open, got.data[i], got.last[i].len, 0), 0);
		const uint8_t *ip = got.data[i] + 26;
		ck_assert_uint_eq(fold(naive(0, ip, 20)), 0xffff);
		ck_assert_uint_eq((ip[6] & 0x1f) << 8 | ip[7], sum / 8);
		ck_assert_uint_eq(ip[6] >> 5, i ? 0 : 1);
		sum += (size_t)(ip[2] << 8 | ip[3]) - 20;
	}
	ck_assert_uint_eq(sum, n - 20);
	/* A partial checksum is completed (virtio): TCP at 20, its field at 16. */
	n = syn(p, far, cl[0].address, 1000, false, 40);
	uint16_t pseudo = fold(naive(6 + (uint32_t)(n - 20), p + 12, 8));
	p[36] = (uint8_t)(pseudo >> 8);
	p[37] = (uint8_t)pseudo;
	uint8_t vnet[10] = { 1 };
	memcpy(vnet + 6, (uint16_t[]){ 20, 16 }, 4);
	got.n = 0;
	vd_datapath_inject_tun(1, vnet, p, n);
	fake_drain();
	ck_assert_uint_eq(got.n, 1);
	ck_assert_int_gt(esp_open(&cl[0].open, got.data[0], got.last[0].len, 0), 0);
	ck_assert_uint_eq(tcp_sum(got.data[0] + 26, n), 0xffff);
	/* Nobody's address; rubbish. */
	p[19] = 200;
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_ROUTE), 1);
	for (size_t i = 0; i < 40; i++)
		vd_datapath_inject_tun(0, NULL, p, i);
	ck_assert_uint_ge(vd_datapath_drops(VD_DROP_NOT_IP), 40);
	/* Inside IPv6 the UDP checksum is there, and right. */
	struct vd_path six = cl[0].path;
	six.endpoint = 2;
	vd_ip_parse("2001:db8::1", &six.local.ip);
	vd_ip_parse("2001:db8::99", &six.remote.ip);
	ck_assert_int_eq(esp->set_path(esp->self, cl[0].chan, &six, NULL, NULL), 0);
	n = syn(p, far, cl[0].address, 1000, false, 41);
	got.n = 0;
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_int_gt(esp_open(&cl[0].open, got.data[0], got.last[0].len, 0), 0);
	uint32_t s = naive(naive(17 + (uint32_t)(n + 10), six.local.ip.a, 16), six.remote.ip.a, 16);
	ck_assert_uint_eq(fold(naive(s, got.data[0] + 16, n + 10)), 0xffff);
}
END_TEST

START_TEST(test_hostile)
{
	uint8_t a[512], b[512];
	for (unsigned pad = 0; pad < 300; pad++) { /* padding longer than the packet, or not 1, 2, 3 */
		size_t t = 64;
		struct client *c = &cl[0];
		c->seq++;
		memcpy(a, (uint8_t[]){ (uint8_t)(c->in >> 24), (uint8_t)(c->in >> 16), (uint8_t)(c->in >> 8), (uint8_t)c->in, 0, 0,
			(uint8_t)(c->seq >> 8), (uint8_t)c->seq }, 8);
		memset(a + 16, 0x77, t);
		a[16 + t - 2] = pad < 256 ? (uint8_t)(pad + !pad) : 0;
		a[16 + t - 1] = pad < 256 ? 17 : 59;
		ck_assert(esp_seal(&c->seal, a, t, 0));
		vd_datapath_inject(0, &c->path, a, t + 32, 0);
	}
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_PADDING), 256);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NEXT_HEADER), 44);
	size_t len = wrap(&cl[0], a, (const uint8_t *)"abc", 3, 0xc8);
	unsigned auth = 0;
	for (size_t i = 0; i < len; i++) {
		memcpy(b, a, len);
		vd_datapath_inject(0, &cl[0].path, b, i, 0); /* truncated */
		b[i] ^= 0x10;
		vd_datapath_inject(0, &cl[0].path, b, len, 0); /* changed */
		auth += i >= 8;
	}
	fake_drain();
	ck_assert_uint_eq(got.punts, 0);
	ck_assert_uint_ge(vd_datapath_drops(VD_DROP_AUTH), auth);
	ck_assert_uint_ge(vd_datapath_drops(VD_DROP_SHORT), 3);
	ck_assert_uint_ge(vd_datapath_drops(VD_DROP_NO_SPI), 3);
	/* None of it touched the window: the real one still comes through. */
	vd_datapath_inject(0, &cl[0].path, a, len, 0);
	fake_drain();
	ck_assert_uint_eq(got.punts, 1);
	/* A flood of IKE from one source is cut off before the control thread. */
	memset(b, 0, sizeof(b));
	for (int i = 0; i < 1000; i++)
		vd_datapath_inject(1, &cl[0].path, b, 60, 0);
	fake_drain();
	ck_assert_uint_eq(got.ikes, 128);
}
END_TEST

START_TEST(test_life)
{
	struct client *c = &cl[0];
	struct vd_esp_sa limits = { .soft_packets = 2, .hard_packets = 4 };
	ck_assert_int_eq(install(c, false, 0x2000, 1, limits), 0);
	got.n = 0;
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(dp->chan_send(dp->self, c->chan, "12345678", 8), 0);
	ck_assert_uint_eq(got.n, 4);
	ck_assert_mem_eq(got.data[0], "\0\0\x20\0\0\0\0\1", 8);
	fake_drain();
	ck_assert_uint_eq(got.soft, 1);
	ck_assert_uint_eq(got.hard, 1);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_EXPIRED), 2);
	/* The SA is gone: the one before it serves again. */
	ck_assert_int_eq(dp->chan_send(dp->self, c->chan, "12345678", 8), 0);
	ck_assert_mem_eq(got.data[4], "\0\0\x10\0\0\0\0\1", 8);
	esp->remove_out(esp->self, c->chan, c->out);
	esp->remove_out(esp->self, c->chan, 0x9999);
	fake_drain();
	ck_assert_int_eq(dp->chan_send(dp->self, c->chan, "12345678", 8), 0);
	ck_assert_uint_eq(got.n, 5);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_SA), 1);
	/* Removed inbound: nobody's SPI. */
	uint8_t a[256];
	esp->remove_in(esp->self, c->chan, c->in);
	size_t len = wrap(c, a, (const uint8_t *)"abc", 3, 0xc8);
	vd_datapath_inject(0, &c->path, a, len, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_SPI), 1);
	ck_assert_int_eq(install(c, true, (c->in & ~255u) | ((c->in + 1) & 255), 0, limits), -EINVAL);
	fake_watch(&vd_topic_chan_down);
	esp_maker.close(esp->self, c->chan, "test");
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_chan_down), 1);
	ck_assert_int_eq(dp->chan_send(dp->self, c->chan, "12345678", 8), -ESTALE);
	/* Links and sessions may be taken back after their channel. */
	unsigned done = 0;
	ck_assert_int_eq(dp->link_del(dp->self, c->chan, 7, count, &done), 0);
	ck_assert_int_eq(dp->session_del(dp->self, c->session, NULL, NULL), 0);
	fake_drain();
	ck_assert_uint_eq(done, 1);
	ck_assert_int_eq(dp->link_del(dp->self, c->chan, 7, NULL, NULL), -ENOENT);
	uint32_t spi;
	ck_assert_int_eq(esp->alloc_spi(esp->self, c->chan, &spi), -ESTALE);
}
END_TEST

static void final(void *arg, uint64_t session, const struct vd_session_counters *c)
{
	ck_assert_uint_eq(session, cl[0].session);
	*(struct vd_session_counters *)arg = *c;
}

START_TEST(test_counters)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	uint8_t p[512], a[512];
	struct vd_session_counters c = { 0 };
	size_t n = syn(p, cl[0].address, far, 1000, false, 0), len = wrap(&cl[0], a, p, n, 0);
	vd_datapath_inject(0, &cl[0].path, a, len, 0);
	n = syn(p, cl[1].address, far, 1000, false, 0);
	len = wrap(&cl[0], a, p, n, 0);
	vd_datapath_inject(0, &cl[0].path, a, len, 0);
	n = syn(p, far, cl[0].address, 1000, false, 0);
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_int_eq(dp->session_del(dp->self, cl[0].session, final, &c), 0);
	ck_assert_int_eq(dp->session_del(dp->self, cl[0].session, final, &c), -ENOENT);
	fake_drain();
	ck_assert_uint_eq(c.packets_in, 1);
	ck_assert_uint_eq(c.octets_in, n);
	ck_assert_uint_eq(c.packets_out, 1);
	ck_assert_uint_eq(c.octets_out, n);
	ck_assert_uint_eq(c.drops[VD_DROP_SOURCE], 1);
	vd_datapath_inject_tun(0, NULL, p, n);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_ROUTE), 1);
}
END_TEST

static size_t export_esp(uint8_t *room, size_t size)
{
	struct vd_wr w;
	struct vd_error err = { 0 };
	vd_wr_init(&w, room, size);
	ck_assert_msg(esp_layer.export_(esp->self, &w, &err) == 0, "%s", err.text);
	return w.len;
}

static size_t export_all(uint8_t *room, size_t size)
{
	struct vd_wr w;
	struct vd_error err = { 0 };
	vd_wr_init(&w, room, size);
	ck_assert_msg(vd_state_export(&w, &err) == 0, "%s", err.text);
	return w.len;
}

START_TEST(test_export)
{
	static uint8_t whole[65536];
	static uint8_t one[65536], two[65536];
	uint8_t a[256], b[256];
	uint32_t spare;
	ck_assert_int_eq(esp->alloc_spi(esp->self, cl[1].chan, &spare), 0);
	for (int i = 0; i < 70; i++) {
		size_t len = wrap(&cl[0], a, (const uint8_t *)"abc", 3, 0xc8);
		if (i % 3 != 1)
			vd_datapath_inject(0, &cl[0].path, a, len, 0);
		dp->chan_send(dp->self, cl[0].chan, "12345678", 8);
	}
	size_t late = wrap(&cl[0], b, (const uint8_t *)"abc", 3, 0xc8);
	fake_drain();
	size_t n = export_esp(one, sizeof(one));
	ck_assert_uint_eq(export_esp(two, sizeof(two)), n);
	ck_assert_mem_eq(one, two, n);
	size_t all = export_all(whole, sizeof(whole)); /* with the records of the core */
	for (int mode = 0; mode < 2; mode++) {
		vd_datapath_stop();
		fake_plugin_stop(&esp_userspace_LTX_vd_plugin);
		vd_datapath_fini();
		vd_objects_fini();
		fake_fini();
		world();
		struct vd_rd r;
		struct vd_error err = { 0 };
		vd_rd_init(&r, whole, all);
		int rc = vd_state_import(&r, mode ? VD_IMPORT_TAKEOVER : VD_IMPORT_SAME, &err);
		ck_assert_msg(!rc && vd_rd_done(&r), "%s", err.text);
		fake_drain();
		if (!mode) {
			ck_assert_uint_eq(export_esp(two, sizeof(two)), n);
			ck_assert_mem_eq(one, two, n);
		}
		got.n = got.punts = 0;
		ck_assert_int_eq(esp->chan_adopt(esp->self, cl[0].chan, &events, NULL), 0);
		ck_assert_int_eq(dp->chan_send(dp->self, cl[0].chan, "12345678", 8), 0);
		ck_assert_uint_eq(got.n, 1);
		struct vd_rd s;
		vd_rd_init(&s, got.data[0] + 4, 12);
		ck_assert_uint_eq(vd_rd_u32(&s), mode ? 71u + (1u << 20) : 71u);
		ck_assert_uint_eq(vd_rd_u64(&s), mode ? 1ull << 48 : 70u);
		ck_assert_int_gt(esp_open(&cl[0].open, got.data[0], got.last[0].len, 0), 0);
		/* The window came along: an old packet is a replay, the next one is good. */
		upper(&cl[0]);
		vd_datapath_inject(0, &cl[0].path, a, late, 0);
		vd_datapath_inject(0, &cl[0].path, b, late, 0);
		fake_drain();
		ck_assert_uint_eq(got.punts, 1);
	}
	/* Cut off anywhere: refused, and nothing leaks. */
	for (size_t cut = 0; cut < n; cut += 7) {
		struct vd_rd r;
		vd_datapath_stop();
		fake_plugin_stop(&esp_userspace_LTX_vd_plugin);
		vd_datapath_fini();
		vd_objects_fini();
		fake_fini();
		world();
		vd_rd_init(&r, one, cut);
		ck_assert_int_lt(esp_layer.import(esp->self, esp_layer.version, &r, VD_IMPORT_SAME, NULL), 0);
	}
}
END_TEST

/* The plugin ends while a channel's removal has not been acknowledged: nothing of it is touched afterwards. */
START_TEST(test_close_at_end)
{
	abrupt = true;
	ck_assert_int_eq(esp->install_in(esp->self, &(struct vd_esp_sa){ 0 }, NULL, NULL), -ESTALE);
}
END_TEST

/* One report of a new path is on its way: set_path by somebody else does not let a second one overwrite it. */
START_TEST(test_rebind_once)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	uint8_t tcp[256], a[512];
	struct vd_path other = cl[0].path, third = cl[0].path;
	size_t n = syn(tcp, cl[0].address, far, 1000, false, 0);
	other.remote.port = 9;
	third.remote.port = 10;
	size_t len = wrap(&cl[0], a, tcp, n, 0);
	vd_datapath_inject(0, &other, a, len, 0);
	ck_assert_int_eq(esp->set_path(esp->self, cl[0].chan, &cl[0].path, NULL, NULL), 0);
	len = wrap(&cl[0], a, tcp, n, 0);
	vd_datapath_inject(0, &third, a, len, 0);
	fake_drain();
	ck_assert_uint_eq(got.rebind, 1);
	ck_assert_uint_eq(got.moved.remote.port, 9);
	/* And then it is told again. */
	len = wrap(&cl[0], a, tcp, n, 0);
	vd_datapath_inject(0, &third, a, len, 0);
	fake_drain();
	ck_assert_uint_eq(got.rebind, 2);
	ck_assert_uint_eq(got.moved.remote.port, 10);
}
END_TEST

/* Sockets that would block: one vector waits in order, more is dropped and counted, receiving goes on. */
START_TEST(test_full)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 };
	uint8_t tcp[256], a[512];
	size_t n = syn(tcp, far, cl[0].address, 1000, false, 0);
	vd_datapath_full(true);
	for (unsigned i = 0; i < 70; i++)
		vd_datapath_inject_tun(0, NULL, tcp, n);
	ck_assert_uint_eq(got.n, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOCKET), 6);
	ck_assert_uint_eq(vd_datapath_buffers(), 64);
	vd_datapath_turn();
	ck_assert_uint_eq(vd_datapath_buffers(), 64);
	size_t up = syn(tcp, cl[0].address, far, 1000, false, 0), len = wrap(&cl[0], a, tcp, up, 0);
	vd_datapath_inject(0, &cl[0].path, a, len, 0);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_int_eq(got.last[0].way, VD_SENT_TUN);
	/* Its session goes while they wait. */
	ck_assert_int_eq(dp->session_del(dp->self, cl[0].session, NULL, NULL), 0);
	vd_datapath_full(false);
	vd_datapath_turn();
	ck_assert_uint_eq(got.n, 65);
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	for (unsigned i = 0; i < 8; i++) /* the last eight: sequence numbers 57 to 64 in order */
		ck_assert_uint_eq(got.data[(1 + 56 + i) % 8][7], 57 + i);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOCKET), 6);
}
END_TEST

/* IKE on the control thread's own sockets: one source is limited there too. */
START_TEST(test_control_limit)
{
	struct vd_path other = cl[0].path;
	uint8_t ike[32] = { 0 };
	ike[4] = 1;
	for (unsigned i = 0; i < 1000; i++)
		vd_datapath_inject(-1, &cl[0].path, ike, sizeof(ike), 0);
	ck_assert_uint_eq(got.ikes, 128);
	ck_assert_uint_eq(vd_counter("datapath.drop.punt_limit"), 1000 - 128);
	other.remote.ip = vd_ip4(0x0a000001);
	vd_datapath_inject(-1, &other, ike, sizeof(ike), 0);
	ck_assert_uint_eq(got.ikes, 129);
}
END_TEST

/* Host bits of a route do not hide it; a later IPv6 fragment is not read as headers. */
START_TEST(test_prefixes_and_fragments)
{
	static const uint8_t far[4] = { 192, 0, 2, 77 }, there[4] = { 10, 9, 0, 200 };
	struct vd_prefix p = { .len = 24 };
	uint8_t tcp[256], a[512], v6[64] = { 0x60, 0, 0, 0, 0, 24, 44, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 1 };
	p.ip = vd_ip4(0x0a090007);
	ck_assert_int_eq(dp->fib_add(dp->self, &p, cl[0].session, NULL, NULL), 0);
	vd_datapath_inject_tun(0, NULL, tcp, syn(tcp, far, there, 1000, false, 0));
	ck_assert_uint_eq(got.n, 1);
	p.ip = vd_ip4(0x0a090000);
	ck_assert_int_eq(dp->fib_add(dp->self, &p, cl[1].session, NULL, NULL), -EEXIST);
	ck_assert_int_eq(dp->fib_del(dp->self, &p, cl[0].session, NULL, NULL), 0);
	p.len = 33;
	ck_assert_int_eq(dp->fib_add(dp->self, &p, cl[0].session, NULL, NULL), -EINVAL);
	v6[23] = 9;
	v6[24] = 0x20;
	v6[39] = 1;
	v6[40] = 60; /* the first fragment began with destination options */
	v6[42] = 1;  /* offset 256 */
	memset(v6 + 48, 0xff, 16);
	got.n = 0;
	vd_datapath_inject(0, &cl[0].path, a, wrap(&cl[0], a, v6, sizeof(v6), 0), 0);
	ck_assert_uint_eq(got.n, 1);
	ck_assert_mem_eq(got.data[0], v6, sizeof(v6));
}
END_TEST

/* SPIs are one name space: reserved, installed, freed, of another channel, gone with the channel. */
START_TEST(test_spis)
{
	uint32_t spi, other;
	ck_assert_int_eq(esp->alloc_spi(esp->self, cl[0].chan, &spi), 0);
	ck_assert_int_eq(esp->alloc_spi(esp->self, cl[1].chan, &other), 0);
	esp->free_spi(esp->self, cl[0].in); /* an SA's: not reserved, stays */
	ck_assert_int_eq(install(&cl[0], true, cl[0].in, 0, (struct vd_esp_sa){ 0 }), -EEXIST);
	ck_assert_int_eq(install(&cl[0], true, other, 0, (struct vd_esp_sa){ 0 }), -EINVAL); /* not of this home */
	ck_assert_int_eq(install(&cl[0], true, spi, 0, (struct vd_esp_sa){ 0 }), 0);
	ck_assert_int_eq(install(&cl[0], true, spi, 0, (struct vd_esp_sa){ 0 }), -EEXIST);
	esp->remove_in(esp->self, cl[0].chan, spi);
	fake_drain();
	ck_assert_int_eq(install(&cl[0], true, spi, 0, (struct vd_esp_sa){ 0 }), 0);
	for (unsigned i = 0; i < 100; i++) { /* given back each time: never more than the eight of a channel */
		ck_assert_int_eq(esp->alloc_spi(esp->self, cl[0].chan, &spi), 0);
		esp->free_spi(esp->self, spi);
	}
	for (unsigned i = 0; i < ESP_RESERVED_MAX; i++)
		ck_assert_int_eq(esp->alloc_spi(esp->self, cl[0].chan, &spi), 0);
	ck_assert_int_eq(esp->alloc_spi(esp->self, cl[0].chan, &spi), -ENOSPC);
	esp_maker.close(esp->self, cl[0].chan, "test");
	fake_drain();
	for (unsigned i = 0; i < ESP_BUCKETS; i++)
		for (const struct esp_spi *s = ((struct esp *)esp->self)->spi[i]; s; s = s->next)
			ck_assert_uint_eq(s->chan->c.id, cl[1].chan);
}
END_TEST

/* More acknowledgements than a turn takes: stop delivers them all. */
START_TEST(test_stop_drains)
{
	unsigned done = 0;
	struct vd_prefix p = { .len = 32 };
	for (unsigned i = 0; i < 1500; i++) {
		p.ip = vd_ip4(0x0b000000 + i);
		ck_assert_int_eq(dp->fib_add(dp->self, &p, cl[0].session, count, &done), 0);
	}
	vd_datapath_stop();
	ck_assert_uint_eq(done, 1500);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("esp path");
	TCase *c = tcase_create("path");
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, start, stop);
	tcase_add_test(c, test_batch);
	tcase_add_test(c, test_in);
	tcase_add_test(c, test_out);
	tcase_add_test(c, test_hostile);
	tcase_add_test(c, test_life);
	tcase_add_test(c, test_counters);
	tcase_add_test(c, test_export);
	tcase_add_test(c, test_close_at_end);
	tcase_add_test(c, test_rebind_once);
	tcase_add_test(c, test_full);
	tcase_add_test(c, test_control_limit);
	tcase_add_test(c, test_prefixes_and_fragments);
	tcase_add_test(c, test_stop_drains);
	tcase_add_test(c, test_spis);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
