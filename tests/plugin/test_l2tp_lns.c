/* L2TP as LNS: whole conversations on the fake clock, with doubles of the data path and of the link. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/object.h"
#include "core/session.h"
#include "core/state.h"
#include "plugins/l2tp/l2tp.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin l2tp_LTX_vd_plugin;

/* ---- doubles ---- */
static struct {
	uint8_t p[64][600];
	size_t len[64];
	unsigned n;
	void (*punt)(void *arg, uint64_t chan, const uint8_t *p, size_t len);
	void *punt_arg, *upper;
	unsigned attached, links, unlinks, starts, downs, stops, drops[VD_DROP_MAX], punts, frames;
	uint64_t key, session, idle, frame_len;
	const struct vd_link_lower *lower;
	void *lower_arg;
} d;

static int chan_attach(void *self, uint64_t chan, const struct vd_stage *up, void *upper,
	void (*punt)(void *arg, uint64_t chan, const uint8_t *p, size_t len), void *arg)
{
	(void)self; (void)chan;
	ck_assert_ptr_eq(up, &l2tp_in);
	d.punt = punt; d.punt_arg = arg; d.upper = upper; d.attached++;
	return 0;
}

static int chan_send(void *self, uint64_t chan, const void *p, size_t len)
{
	(void)self; (void)chan;
	ck_assert_uint_lt(d.n, 64);
	ck_assert_uint_le(len, sizeof(d.p[0]));
	memcpy(d.p[d.n], p, len);
	d.len[d.n++] = len;
	return 0;
}

static int link_add(void *self, const struct vd_link_desc *l, void (*done)(void *arg), void *arg)
{
	(void)self;
	d.links++; d.key = l->key; d.session = l->session;
	ck_assert_uint_eq(d.n && (d.p[d.n - 1][8 + 19] == L2TP_ICRP), 0);
	return vd_defer(done, arg);
}

static int link_del(void *self, uint64_t chan, uint64_t key, void (*done)(void *arg), void *arg)
{
	(void)self; (void)chan; (void)key; (void)done; (void)arg;
	d.unlinks++;
	return 0;
}

static int session_del(void *self, uint64_t session,
	void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg)
{
	static const struct vd_session_counters none;
	(void)self;
	done(arg, session, &none);
	return 0;
}

static uint64_t esp_idle(void *self, uint64_t chan) { (void)self; (void)chan; return d.idle; }

static int link_start(void *self, uint64_t session, const struct vd_link_lower *lower, void *arg,
	const struct vd_link_params *params)
{
	(void)self; (void)session;
	ck_assert_uint_eq(params->overhead, 16);
	d.lower = lower; d.lower_arg = arg; d.starts++;
	return 0;
}
static void link_down(void *self, uint64_t session, const char *reason) { (void)self; (void)session; (void)reason; d.downs++; }
static void link_stop(void *self, uint64_t session, const char *reason) { (void)self; (void)session; (void)reason; d.stops++; }

static void frames_in(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)w; (void)state;
	d.frames += vec->n;
	d.frame_len = vec->v[0].len;
}
static const struct vd_stage frames = { "frames", frames_in };

void vd_pkt_drop(struct vd_worker *w, struct vd_pkt *pkt, enum vd_drop why) { (void)w; (void)pkt; d.drops[why]++; }
void vd_worker_punt(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt)
{
	(void)w; (void)chan; (void)pkt;
	d.punts++;
}
uint32_t vd_worker_link(struct vd_worker *w, const struct vd_chan *chan, uint64_t key, const struct vd_stage **ret_up,
	void **ret_state)
{
	(void)w; (void)chan;
	if (key != 0x00010002)
		return 0;
	*ret_up = &frames;
	*ret_state = NULL;
	return 5;
}

static const struct vd_datapath_1 dp = { .chan_attach = chan_attach, .chan_send = chan_send, .link_add = link_add,
	.link_del = link_del, .session_del = session_del };
static const struct vd_esp_1 esp = { .idle = esp_idle };
static const struct vd_link_1 link_1 = { .start = link_start, .stage = &frames, .lower_down = link_down, .stop = link_stop };

/* ---- the client ---- */
static uint64_t peer, chan;
static uint16_t ns, nr, tid, sid;

static struct l2tp_msg last(void)
{
	struct l2tp_msg m;
	ck_assert_uint_gt(d.n, 0);
	ck_assert_uint_eq((size_t)d.p[d.n - 1][4] << 8 | d.p[d.n - 1][5], d.len[d.n - 1]);
	ck_assert_int_eq(l2tp_msg_parse(d.p[d.n - 1] + 8, d.len[d.n - 1] - 8, NULL, &m), 0);
	return m;
}

static void put(const uint8_t *msg, size_t len, uint64_t on)
{
	uint8_t p[700];
	struct vd_wr w;
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u16(&w, 49152);
	vd_wr_u16(&w, 1701);
	vd_wr_u16(&w, (uint16_t)(len + 8));
	vd_wr_u16(&w, 0xdead);
	vd_wr_put(&w, msg, len);
	d.punt(d.punt_arg, on, p, w.len);
	fake_drain();
}

static uint8_t said[512];
static size_t said_len;
static void say(uint16_t type, uint16_t session, uint16_t id)
{
	struct vd_wr w;
	vd_wr_init(&w, said, sizeof(said));
	if (type) {
		l2tp_begin(&w, type == L2TP_SCCRQ ? 0 : tid, session, ns++, nr);
		l2tp_avp_u16(&w, L2TP_A_MESSAGE_TYPE, type);
	} else {
		l2tp_begin(&w, tid, 0, ns, nr);
	}
	if (type == L2TP_SCCRQ) {
		l2tp_avp_u16(&w, L2TP_A_VERSION, 0x0100);
		l2tp_avp_u32(&w, L2TP_A_FRAMING, 3);
		l2tp_avp(&w, L2TP_A_HOST_NAME, "c", 1);
		l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, id);
		l2tp_avp_u16(&w, L2TP_A_WINDOW, 4);
	} else if (type == L2TP_ICRQ) {
		l2tp_avp_u16(&w, L2TP_A_SESSION_ID, id);
		l2tp_avp_u32(&w, L2TP_A_CALL_SERIAL, 1);
	} else if (type == L2TP_CDN || type == L2TP_STOPCCN) {
		l2tp_avp_u16(&w, type == L2TP_CDN ? L2TP_A_SESSION_ID : L2TP_A_TUNNEL_ID, id);
		l2tp_avp_u16(&w, L2TP_A_RESULT, 0x0300);
	}
	l2tp_end(&w);
	said_len = w.len;
	put(said, said_len, chan);
}

/* A restart between two steps: sessions and channels stay, the plugin is made anew from its state. */
static void reborn(void)
{
	static uint8_t a[65536], b[65536];
	struct l2tp *self = d.punt_arg, *fresh;
	struct vd_wr w;
	struct vd_rd r;
	struct vd_error err = { 0 };
	vd_wr_init(&w, a, sizeof(a));
	ck_assert_int_eq(l2tp_layer.export_(self, &w, &err), 0);
	fresh = calloc(1, sizeof(*fresh));
	fresh->dp = &dp; fresh->esp = &esp; fresh->link = &link_1; fresh->chans_end = &fresh->chans;
	vd_rd_init(&r, a, w.len);
	ck_assert_msg(l2tp_layer.import(fresh, 1, &r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	ck_assert(vd_rd_done(&r));
	size_t len = w.len;
	vd_wr_init(&w, b, sizeof(b));
	ck_assert_int_eq(l2tp_layer.export_(fresh, &w, &err), 0);
	ck_assert_uint_eq(w.len, len);
	ck_assert_mem_eq(a, b, len);
	for (size_t cut = 0; cut < len; cut += 7) { /* damaged state is refused, never followed */
		struct l2tp *broken = calloc(1, sizeof(*broken));
		broken->dp = &dp; broken->esp = &esp; broken->link = &link_1; broken->chans_end = &broken->chans;
		vd_rd_init(&r, a, cut);
		ck_assert_int_lt(l2tp_layer.import(broken, 1, &r, VD_IMPORT_SAME, &err), 0);
		broken->esp = NULL;
		while (broken->chans) { /* without ending the sessions of the living one */
			for (struct l2tp_tunnel *t = broken->chans->tunnels; t; t = t->next)
				for (struct l2tp_call *c = t->calls; c; c = c->next)
					c->state = L2TP_CALL_DEAD;
			l2tp_chan_free(broken->chans, "test");
		}
		free(broken);
	}
	/* Now the fresh one takes over: the old one's calls are only forgotten. */
	for (struct l2tp_chan *c = self->chans; c; c = c->next)
		for (struct l2tp_tunnel *t = c->tunnels; t; t = t->next)
			for (struct l2tp_call *k = t->calls; k; k = k->next)
				k->state = L2TP_CALL_DEAD;
	fake_drain();
	while (fresh->chans)  {
		for (struct l2tp_tunnel *t = fresh->chans->tunnels; t; t = t->next)
			for (struct l2tp_call *k = t->calls; k; k = k->next)
				k->state = L2TP_CALL_DEAD;
		l2tp_chan_free(fresh->chans, "test");
	}
	free(fresh);
	d.punt_arg = self;
}

static void begin(const char *yaml)
{
	static const struct vd_plugin *const plugins[] = { &l2tp_LTX_vd_plugin, NULL };
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 }, remote = { .ip = vd_ip4(0xc6336401), .port = 4500 };
	memset(&d, 0, sizeof(d));
	ns = nr = tid = sid = 0;
	d.idle = UINT64_MAX;
	fake_init(7);
	fake_conf(yaml, plugins, NULL);
	vd_objects_init();
	vd_sessions_init();
	fake_service("datapath/1", NULL, &dp);
	fake_service("esp/1", NULL, &esp);
	fake_service("link/1", NULL, &link_1);
	fake_watch(&vd_topic_l2tp_tunnel_up);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_session_down);
	fake_plugin_start(&l2tp_LTX_vd_plugin);
	peer = vd_peer_new(1, &local, &remote)->id;
	chan = vd_chan_record(peer, "l2tp", 1400)->id;
	vd_chan_set_up(chan);
	fake_drain();
	ck_assert_uint_eq(d.attached, 1);
}

static void end(void)
{
	fake_plugin_stop(&l2tp_LTX_vd_plugin);
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	vd_state_fini();
	fake_fini();
}

static void up(void)
{
	say(L2TP_SCCRQ, 0, 1);
	tid = last().tunnel_id;
	nr = 1;
	say(L2TP_SCCCN, 0, 0);
}

static void call_up(void)
{
	up();
	say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(last().type, L2TP_ICRP);
	sid = last().session_id;
	nr++;
	say(L2TP_ICCN, sid, 0);
}

START_TEST(set_up_and_down)
{
	begin("{}");
	reborn();
	say(L2TP_SCCRQ, 0, 1);
	struct l2tp_msg m = last();
	ck_assert_uint_eq(d.n, 1);
	ck_assert_uint_eq(m.type, L2TP_SCCRP);
	ck_assert_uint_eq(m.h.tunnel, 1);
	ck_assert_uint_eq(m.h.nr, 1);
	ck_assert_uint_eq(m.window, 16);
	ck_assert_mem_eq(d.p[0], "\x06\xa5\xc0\x00", 4); /* from the port it hit, to the port it came from */
	ck_assert_mem_eq(d.p[0] + 8, "\xc8\x02", 2);
	tid = m.tunnel_id;
	reborn();
	put(said, said_len, chan); /* SCCRQ repeated: the same tunnel */
	ck_assert_uint_eq(d.n, 2);
	ck_assert_mem_eq(d.p[0], d.p[1], d.len[0]);
	nr = 1;
	say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(d.n, 3);
	ck_assert_uint_eq(last().type, L2TP_ZLB); /* at once */
	ck_assert_uint_eq(last().h.nr, 2);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	reborn();
	put(said, said_len, chan); /* repeated: acknowledged */
	ck_assert_uint_eq(last().h.nr, 2);
	say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(last().type, L2TP_ICRP);
	ck_assert_uint_eq(last().h.session, 9);
	ck_assert_uint_eq(d.links, 1);
	sid = last().session_id;
	ck_assert_uint_eq(d.key, (uint64_t)tid << 16 | sid);
	nr = 2;
	say(L2TP_ICCN, sid, 0);
	ck_assert_uint_eq(last().type, L2TP_ZLB);
	ck_assert_uint_eq(d.starts, 1);
	unsigned n = d.n;
	struct vd_hdr h;
	d.lower->header(d.lower_arg, d.session, &h);
	ck_assert_uint_eq(h.len, 16);
	ck_assert_mem_eq(h.bytes, "\x06\xa5\xc0\x00\0\0\0\0\x40\x02\0\0\0\x01\0\x09", 16);
	ck_assert_int_eq(d.lower->send(d.lower_arg, d.session, (const uint8_t *)"\xff\x03\xc0\x21", 4), 0);
	ck_assert_mem_eq(d.p[n], "\x06\xa5\xc0\x00\0\x14\0\0\x40\x02\0\x0c\0\x01\0\x09\xff\x03\xc0\x21", 20);
	say(L2TP_CDN, sid, 9);
	ck_assert_uint_eq(d.downs, 1);
	ck_assert_uint_eq(d.unlinks, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	reborn();
	say(L2TP_STOPCCN, 0, 1);
	n = d.n;
	put(said, said_len, chan); /* the tombstone acknowledges */
	ck_assert_uint_eq(d.n, n + 1);
	ck_assert_uint_eq(last().type, L2TP_ZLB);
	reborn();
	fake_advance(32000);
	put(said, said_len, chan);
	ck_assert_uint_eq(d.n, n + 1);
	ck_assert_uint_eq(vd_counter("l2tp.drop.no_tunnel"), 1);
	end();
}
END_TEST

START_TEST(retransmission)
{
	static const unsigned at[] = { 1, 3, 7, 15, 23 };
	uint64_t now = 0;
	begin("{}");
	say(L2TP_SCCRQ, 0, 1);
	for (unsigned i = 0; i < 5; i++) {
		fake_advance(at[i] * 1000 - now - 1);
		ck_assert_uint_eq(d.n, i + 1);
		fake_advance(1);
		ck_assert_uint_eq(d.n, i + 2);
		now = at[i] * 1000;
	}
	fake_advance(70000);
	ck_assert_uint_eq(d.n, 6);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	end();
}
END_TEST

START_TEST(hello)
{
	begin("{}");
	call_up();
	unsigned n = d.n;
	d.idle = 0; /* data flows */
	fake_advance(300000);
	ck_assert_uint_eq(d.n, n);
	d.idle = UINT64_MAX;
	fake_advance(60000);
	ck_assert_uint_eq(last().type, L2TP_HELLO);
	nr++;
	ns--; say(L2TP_HELLO, 0, 0); ns++; /* an old number */
	d.idle = 0; /* Android: silent, but data flows */
	say(L2TP_ZLB, 0, 0);
	d.idle = UINT64_MAX;
	fake_advance(200000);
	ck_assert_uint_eq(d.downs, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	end();
}
END_TEST

START_TEST(strangers)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 }, remote = { .ip = vd_ip4(0xc6336401), .port = 4501 };
	begin("{}");
	call_up();
	void *in = d.upper;
	uint64_t other = vd_chan_record(vd_peer_new(1, &local, &remote)->id, "l2tp", 1400)->id;
	vd_chan_set_up(other);
	fake_drain();
	ck_assert_uint_eq(d.attached, 2);
	ck_assert_ptr_ne(in, d.upper);
	say(L2TP_ZLB, 0, 0);
	unsigned n = d.n;
	uint8_t stop[64];
	struct vd_wr w;
	vd_wr_init(&w, stop, sizeof(stop));
	l2tp_begin(&w, tid, 0, ns, nr);
	l2tp_avp_u16(&w, L2TP_A_MESSAGE_TYPE, L2TP_STOPCCN);
	l2tp_end(&w);
	put(stop, w.len, other); /* the right id on another channel */
	ck_assert_uint_eq(d.n, n);
	ck_assert_uint_eq(d.downs, 0);
	ck_assert_uint_eq(vd_counter("l2tp.drop.no_tunnel"), 1);
	put(stop, w.len, chan);
	ck_assert_uint_eq(d.downs, 1);
	vd_chan_gone(other, "test");
	vd_chan_gone(chan, "test");
	fake_drain();
	end();
}
END_TEST

START_TEST(order_and_limits)
{
	begin("{l2tp: {tunnels: 1, sessions: 1}}");
	up();
	ns = 3; say(L2TP_ICRQ, 0, 10); /* early */
	ck_assert_uint_eq(d.links, 0);
	reborn();
	ns = 2; say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(d.links, 1); /* the second was one too many */
	ck_assert_uint_eq(vd_counter("l2tp.refused_call"), 1);
	ns = 40; say(L2TP_ICRQ, 0, 11);
	ck_assert_uint_eq(vd_counter("l2tp.drop.window"), 1);
	ns = 4; nr = 99; say(L2TP_HELLO, 0, 0);
	ck_assert_uint_eq(vd_counter("l2tp.drop.bad_nr"), 1);
	uint16_t keep = tid;
	tid = 0; ns = 0; nr = 0;
	say(L2TP_SCCRQ, 0, 2);
	ck_assert_uint_eq(last().type, L2TP_STOPCCN);
	ck_assert_uint_eq(last().error, L2TP_E_RESOURCES);
	tid = keep; ns = 4; nr = 2;
	say(L2TP_OCRQ, 0, 0);
	put((const uint8_t *)"\xc8\x02\x00", 3, chan);
	ck_assert_uint_eq(vd_counter("l2tp.drop.header"), 1);
	end();
}
END_TEST

static void stage(const char *hex)
{
	static uint8_t p[256];
	struct vd_vec vec = { .n = 1 };
	struct l2tp_in in = { 0 };
	int len = vd_unhex(hex, p, sizeof(p));
	vec.v[0] = (struct vd_pkt){ .p = p, .len = (uint32_t)len };
	l2tp_in.run(NULL, &in, &vec);
	ck_assert_uint_eq(vec.n, 0);
}

START_TEST(stage_code)
{
	memset(&d, 0, sizeof(d));
	stage("06a506a500140000" "4002000c00010002" "ff03c021");
	ck_assert_uint_eq(d.frames, 1);
	ck_assert_uint_eq(d.frame_len, 4);
	stage("06a506a500120000" "000200010002" "ff03c021"); /* the kernel's: no L bit */
	stage("06a506a5001a0000" "4b0200120001000200050000" "0002eeee" "0021"); /* S, O, P */
	ck_assert_uint_eq(d.frames, 3);
	ck_assert_uint_eq(d.frame_len, 2);
	stage("06a506a500140000" "c802000c0001000000000000");
	ck_assert_uint_eq(d.punts, 1);
	stage("06a506a500140000" "4002000c00010003" "ff03c021");
	ck_assert_uint_eq(d.drops[VD_DROP_L2TP_SESSION], 1);
	stage("06a506a500140000" "4002000d00010002" "ff03c021"); /* longer than the datagram */
	stage("06a506a500140000" "4002000400010002" "ff03c021"); /* shorter than its header */
	stage("06a506a500140000" "4003000c00010002" "ff03c021");
	stage("06a506a500140000" "4202000c00010002" "ffffc021");
	ck_assert_uint_eq(d.drops[VD_DROP_L2TP_HEADER], 4);
	stage("06a506a500150000" "4002000c00010002" "ff03c021");
	stage("06a506a500070000");
	ck_assert_uint_eq(d.drops[VD_DROP_UDP_LENGTH], 2);
	stage("06a506a50008");
	ck_assert_uint_eq(d.drops[VD_DROP_SHORT], 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_lns");
	TCase *t = tcase_create("lns");
	tcase_add_test(t, set_up_and_down);
	tcase_add_test(t, retransmission);
	tcase_add_test(t, hello);
	tcase_add_test(t, strangers);
	tcase_add_test(t, order_and_limits);
	tcase_add_test(t, stage_code);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
