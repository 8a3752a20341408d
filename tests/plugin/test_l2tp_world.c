#include "tests/plugin/test_l2tp_world.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"
#include "core/plugin.h"
#include "core/session/session.h"
#include "core/state.h"

struct world w_;
struct client c_;

/* ---- esp: channels without encryption ---- */
static struct vd_chan chans[8];
static unsigned n_chans;

/* Whatever a test provokes: a refusal is never sent without a report. */
static void refusal_reported(const uint8_t *p, size_t len)
{
	struct l2tp_msg m;
	if (!(p[8] & 0x80) || l2tp_msg_parse(p + 8, len - 8, NULL, &m) < 0)
		return;
	bool stop = m.type == L2TP_STOPCCN && m.result != L2TP_STOP_CLEAR && m.result != L2TP_STOP_SHUTDOWN;
	bool cdn = m.type == L2TP_CDN && m.result != L2TP_CDN_CARRIER && m.result != L2TP_CDN_ADMIN;
	if (stop || cdn)
		ck_assert_msg(vd_counter("l2tp.refused") > 0, "refused without a report: %s", m.text);
}

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	(void)chan;
	for (unsigned i = 0; i < vec->n; i++) {
		refusal_reported(vec->v[i].p, vec->v[i].len);
		if (w_.lose && --w_.lose == 0) {
			vd_pkt_free(w, &vec->v[i]);
			continue;
		}
		ck_assert_uint_lt(w_.n, W_SENT);
		ck_assert_uint_le(vec->v[i].len, sizeof(w_.p[0]));
		memcpy(w_.p[w_.n], vec->v[i].p, vec->v[i].len);
		w_.len[w_.n++] = vec->v[i].len;
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}

static const struct vd_chan_ops ops = { .send = chan_send };

static uint64_t esp_idle(void *self, uint64_t chan)
{
	(void)self;
	(void)chan;
	return w_.flowing ? 0 : w_.data_at ? vd_now() - w_.data_at : UINT64_MAX;
}

static void esp_chan_close(void *self, uint64_t chan, const char *reason)
{
	(void)self;
	vd_chan_gone(chan, reason);
}

static const struct vd_chan_maker maker = { "esp", esp_chan_close, esp_idle };
static const struct vd_esp_1 esp;

static void chan_install(uint64_t id)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	const struct vd_chan_info *info = vd_chan_find(id);
	ck_assert_ptr_nonnull(info);
	const struct vd_peer *peer = vd_peer_find(info->peer);
	ck_assert_ptr_nonnull(peer);
	ck_assert_uint_lt(n_chans, VD_ARRAY_SIZE(chans));
	chans[n_chans] = (struct vd_chan){ .id = id, .peer = info->peer, .home = info->home, .flags = VD_CHAN_PROTECTED,
		.mtu = 1400, .ops = &ops, .local = peer->local.ip, .remote = peer->remote.ip };
	ck_assert_int_eq(dp->chan_add(dp->self, &chans[n_chans++], NULL, NULL), 0);
}

static int esp_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	(void)err;
	vd_wr_u32(w, n_chans);
	for (unsigned i = 0; i < n_chans; i++)
		vd_wr_u64(w, chans[i].id);
	return 0;
}

static int esp_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	(void)self;
	(void)version;
	(void)mode;
	(void)err;
	n_chans = 0;
	for (uint32_t n = vd_rd_u32(r); n; n--)
		chan_install(vd_rd_u64(r));
	return 0;
}

static const struct vd_layer esp_layer = { "esp", 1, esp_export, esp_import };

/* ---- the link ---- */
static int link_start(void *self, uint64_t session, const struct vd_link_lower *lower, void *arg,
	const struct vd_link_params *params)
{
	(void)self;
	ck_assert(params->overhead == 16 || (w_.numbers && params->overhead == 20));
	w_.overhead = params->overhead;
	w_.lower = lower;
	w_.lower_arg = arg;
	w_.session = session;
	if (w_.restarting) {
		/* State is about to be put in: nothing may leave before that. */
		ck_assert_int_eq(lower->send(arg, session, (const uint8_t *)"\xff\x03\xc0\x21", 4), -EAGAIN);
		return 0;
	}
	w_.starts++;
	if (w_.calls_back)
		lower->closed(arg, session, "no resources");
	return w_.bad_start ? -ENOMEM : 0;
}

static void link_down(void *self, uint64_t session, const char *reason)
{
	(void)self;
	(void)reason;
	if (w_.restarting)
		return;
	ck_assert(w_.many || session == w_.session);
	ck_assert_int_eq(w_.lower->send(w_.lower_arg, session, (const uint8_t *)"\xff\x03\xc0\x21", 4), -ESTALE);
	w_.downs++;
}

static void link_stop(void *self, uint64_t session, const char *reason)
{
	(void)self;
	w_.stops++;
	if (w_.answers)
		w_.lower->closed(w_.lower_arg, session, reason);
}

static void frames_in(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	for (unsigned i = 0; i < vec->n; i++) {
		w_.frame_len = vec->v[i].len;
		w_.tags[w_.frames++ % VD_ARRAY_SIZE(w_.tags)] = vec->v[i].len ? vec->v[i].p[vec->v[i].len - 1] : 0;
		w_.sess = vec->v[i].sess;
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}
static const struct vd_stage frames = { "frames", frames_in };
static const struct vd_link_1 link_1 = {
	.start = link_start, .stage = &frames, .lower_down = link_down, .stop = link_stop,
};

/* ---- life ---- */
static void on_authenticate(void *arg, const struct vd_ask *ask)
{
	struct vd_authenticated who = { .user = "alice" };
	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, &who, NULL);
}

static void on_address(void *arg, const struct vd_ask *ask)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080002), .gateway = vd_ip4(0x0a080001) };
	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, &lease, NULL);
}

static void on_authenticated(void *arg, uint64_t session, const struct vd_answer *answer)
{
	(void)arg;
	(void)session;
	ck_assert_int_eq(answer->verdict, VD_ACCEPT);
}

static void on_configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err)
{
	(void)arg;
	(void)session;
	ck_assert_msg(!err, "%s: %s", stage, err ? err->text : "");
}

static void on_established(void *arg, uint64_t session, const struct vd_error *err)
{
	(void)arg;
	(void)session;
	ck_assert_msg(!err, "%s", err ? err->text : "");
	w_.established = true;
}

void w_establish(void)
{
	struct vd_authenticate request = { .method = VD_AUTH_MSCHAPV2, .user = "alice" };
	struct vd_wsess_desc desc = { .mtu = 1280, .chan = w_.chan };
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_authenticate, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, NULL, NULL), 0);
	ck_assert_int_eq(vd_session_authenticate(w_.session, &request, 0, on_authenticated, NULL), 0);
	fake_drain();
	ck_assert_int_eq(vd_session_configure(w_.session, VD_WANT_V4, on_configured, NULL), 0);
	fake_drain();
	w_.lower->header(w_.lower_arg, w_.session, &desc.v4);
	memcpy(desc.v4.bytes + desc.v4.len, "\xff\x03\x00\x21", 4);
	desc.v4.len += 4;
	ck_assert_int_eq(vd_session_establish(w_.session, &desc, on_established, NULL), 0);
	fake_drain();
	ck_assert(w_.established);
}

static void core_up(void)
{
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	ck_assert_int_eq(vd_layer_register(NULL, &esp_layer, NULL), 0);
	n_chans = 0;
}

uint64_t w_channel(uint16_t port, bool up)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_sa remote = { .ip = vd_ip4(0xc6336401), .port = port };
	struct vd_peer_up facts = { 0 };
	if (w_.v6) {
		ck_assert(vd_ip_parse("2001:db8::1", &local.ip));
		ck_assert(vd_ip_parse("2001:db8:1:2:ffff:abcd:3:4", &remote.ip));
	}
	uint64_t peer = vd_peer_new(1, &local, &remote)->id;
	if (w_.connection) {
		vd_strcpy(facts.connection, sizeof(facts.connection), w_.connection);
		vd_peer_set_up(peer, &facts);
	}
	uint64_t id = vd_chan_record(peer, "l2tp", 1400, &maker, NULL)->id;
	chan_install(id);
	if (up) {
		vd_chan_set_up(id);
		fake_drain();
	}
	return id;
}

void w_begin(const char *yaml)
{
	static const struct vd_opt others[] = { { "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
		{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." }, { NULL } };
	static const struct vd_plugin other = { .schema = others };
	static const struct vd_plugin *const plugins[] = { &l2tp_LTX_vd_plugin, &other, NULL };
	bool restarts = w_.restarts;
	memset(&w_, 0, sizeof(w_));
	memset(&c_, 0, sizeof(c_));
	w_.restarts = restarts;
	c_.port = 49152;
	c_.to = 1701;
	fake_init(7);
	fake_conf(yaml, plugins, NULL);
	core_up();
	fake_service("esp/1", NULL, &esp);
	fake_service("link/1", NULL, &link_1);
	fake_watch(&vd_topic_l2tp_tunnel_up);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_session_new);
	fake_watch(&vd_topic_session_down);
	fake_plugin_start(&l2tp_LTX_vd_plugin);
	w_.chan = c_.chan = w_channel(4500, true);
	w_.peer = vd_chan_find(w_.chan)->peer;
}

void w_end(void)
{
	fake_plugin_stop(&l2tp_LTX_vd_plugin);
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	vd_state_fini();
	fake_conf_fini();
	fake_fini();
}

size_t w_export(uint8_t *out, size_t size)
{
	struct vd_error err = { 0 };
	struct vd_wr w;
	vd_wr_init(&w, out, size);
	ck_assert_msg(vd_state_export(&w, &err) == 0, "%s", err.text);
	return w.len;
}

int w_restart_with(const uint8_t *state, size_t len)
{
	struct vd_host *host = vd_plugin_find("l2tp");
	struct vd_error err = { 0 };
	struct vd_rd r;
	fake_drain();
	w_.restarting = true;
	/* Sessions first: this end is none that anybody should hear of. */
	vd_sessions_fini();
	vd_objects_fini();
	vd_host_fini(host);
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_fini();
	vd_state_fini();
	core_up();
	ck_assert_msg(vd_host_init(host, &err) == 0, "%s", err.text);
	ck_assert_msg(vd_host_start(host, &err) == 0, "%s", err.text);
	vd_rd_init(&r, state, len);
	int rc = vd_state_import(&r, w_.takeover ? VD_IMPORT_TAKEOVER : VD_IMPORT_SAME, &err);
	fake_adopt(&maker);
	fake_drain();
	w_.restarting = false;
	w_.restarted++;
	return rc;
}

void w_restart(void)
{
	static uint8_t a[1 << 18], b[1 << 18];
	unsigned n = w_.n;
	fake_drain();
	size_t len = w_export(a, sizeof(a));
	ck_assert_int_eq(w_restart_with(a, len), 0);
	ck_assert_uint_eq(w_export(b, sizeof(b)), len);
	ck_assert_mem_eq(a, b, len);
	ck_assert_uint_eq(w_.n, n); /* not a word to the client */
}

struct injected {
	uint64_t chan;
	const uint8_t *p;
	size_t len; /* of each */
	unsigned n;
};

static void inject(struct vd_worker *w, void *arg)
{
	struct injected *in = arg;
	struct vd_vec vec = { .n = (uint16_t)in->n };
	for (unsigned i = 0; i < n_chans; i++) {
		if (chans[i].id != in->chan)
			continue;
		for (unsigned k = 0; k < in->n; k++) {
			ck_assert(vd_pkt_new(w, in->len, &vec.v[k]));
			memcpy(vec.v[k].p, in->p + k * in->len, in->len);
			vec.v[k].len = (uint32_t)in->len;
		}
		vd_chan_input(w, &chans[i], &vec);
		return;
	}
	ck_abort_msg("no such channel");
}

void w_datagram(uint64_t chan, const uint8_t *p, size_t len)
{
	w_datagrams(chan, p, len, 1);
}

void w_datagrams(uint64_t chan, const uint8_t *p, size_t len, unsigned n)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct injected in = { chan, p, len, n };
	ck_assert_int_eq(dp->call(dp->self, vd_chan_find(chan)->home, inject, NULL, &in), 0);
	fake_drain();
	if (w_.restarts)
		w_restart();
}

void w_advance(uint64_t ms)
{
	fake_advance(ms);
	if (w_.restarts)
		w_restart();
}

/* ---- the client ---- */
void c_make(uint16_t type, uint16_t session, uint16_t id)
{
	struct vd_wr w;
	vd_wr_init(&w, c_.said, sizeof(c_.said));
	vd_wr_u16(&w, c_.port);
	vd_wr_u16(&w, c_.to);
	vd_wr_mark(&w, 2);
	vd_wr_u16(&w, 0xdead); /* wrong behind a NAT, and nobody's business inside an SA */
	struct vd_wr m;
	vd_wr_init(&m, c_.said + 8, sizeof(c_.said) - 8);
	if (type) {
		l2tp_begin(&m, type == L2TP_SCCRQ ? 0 : c_.tid, session, c_.ns++, c_.nr);
		l2tp_avp_u16(&m, L2TP_A_MESSAGE_TYPE, type);
	} else {
		l2tp_begin(&m, c_.tid, 0, c_.ns, c_.nr);
	}
	if (type == L2TP_SCCRQ) {
		l2tp_avp_u16(&m, L2TP_A_VERSION, 0x0100);
		l2tp_avp_u32(&m, L2TP_A_FRAMING, 3);
		l2tp_avp(&m, L2TP_A_HOST_NAME, "c", 1);
		l2tp_avp_u16(&m, L2TP_A_TUNNEL_ID, id);
		l2tp_avp_u16(&m, L2TP_A_WINDOW, 8);
	} else if (type == L2TP_ICRQ) {
		l2tp_avp_u16(&m, L2TP_A_SESSION_ID, id);
		l2tp_avp_u32(&m, L2TP_A_CALL_SERIAL, 1);
	} else if (type == L2TP_CDN || type == L2TP_STOPCCN) {
		l2tp_avp_u16(&m, type == L2TP_CDN ? L2TP_A_SESSION_ID : L2TP_A_TUNNEL_ID, id);
		l2tp_avp_u16(&m, L2TP_A_RESULT, 0x0300);
	}
	vd_wr_put(&m, c_.more, c_.more_len);
	c_.more_len = 0;
	l2tp_end(&m);
	ck_assert(vd_wr_ok(&m));
	c_.said_len = m.len + 8;
	vd_wr_patch_u16(&w, 4, (uint16_t)c_.said_len);
}

void c_again(void)
{
	struct vd_wr w;
	vd_wr_init(&w, c_.said, sizeof(c_.said));
	w.len = c_.said_len;
	vd_wr_patch_u16(&w, 8 + 10, c_.nr);
	w_datagram(c_.chan, c_.said, c_.said_len);
}

void c_say(uint16_t type, uint16_t session, uint16_t id)
{
	c_make(type, session, id);
	c_again();
}

bool c_is_control(unsigned i)
{
	return w_.len[i] >= 10 && w_.p[i][8] & 0x80;
}

struct l2tp_msg c_got(int i)
{
	struct l2tp_msg m;
	unsigned at = (unsigned)(i < 0 ? (int)w_.n + i : i);
	ck_assert_uint_lt(at, w_.n);
	ck_assert_uint_eq((size_t)w_.p[at][4] << 8 | w_.p[at][5], w_.len[at]);
	ck_assert_int_eq(l2tp_msg_parse(w_.p[at] + 8, w_.len[at] - 8, NULL, &m), 0);
	ck_assert_uint_eq(m.h.len, w_.len[at] - 8); /* Android demands it */
	ck_assert_mem_eq(w_.p[at] + 8, "\xc8\x02", 2);
	return m;
}

void c_tunnel(void)
{
	c_say(L2TP_SCCRQ, 0, 1);
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	c_say(L2TP_SCCCN, 0, 0);
}

void c_call(void)
{
	c_tunnel();
	c_say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ICRP);
	c_.sid = c_got(-1).session_id;
	c_.nr++;
	c_say(L2TP_ICCN, c_.sid, 0);
}
