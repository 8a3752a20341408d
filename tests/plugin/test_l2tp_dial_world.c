#include "tests/plugin/test_l2tp_dial_world.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/crypto.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"

struct dial_world d_;

extern const struct vd_plugin l2tp_LTX_vd_plugin, ppp_link_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin;
static const struct vd_opt provider_schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." },
	{ NULL },
};
static const struct vd_plugin providers = { .name = "providers", .schema = provider_schema };
static const struct vd_plugin *const plugins[] = { &l2tp_LTX_vd_plugin, &ppp_link_LTX_vd_plugin,
	&ppp_auth_mschapv2_LTX_vd_plugin, &providers, NULL };


/* ---- the channel: what one side sends the other hears ---- */
uint32_t d_mangled, d_dice;
static uint32_t roll(void)
{
	d_dice = d_dice * 1664525 + 1013904223;
	return d_dice >> 8;
}

static void put(unsigned to, const uint8_t *p, size_t len)
{
	ck_assert_uint_lt(d_.n, QUEUE);
	ck_assert_uint_le(len, sizeof(d_.q[0].p));
	d_.q[d_.n].to = to;
	memcpy(d_.q[d_.n].p, p, len);
	if (d_mangled && to == DIAL && len > 8 && roll() % d_mangled == 0)
		for (unsigned n = 1 + roll() % 3; n; n--) {
			if (roll() % 3)
				d_.q[d_.n].p[8 + roll() % (len - 8)] ^= (uint8_t)(1u << roll() % 8);
			else
				len = 9 + roll() % (len - 8);
		}
	d_.q[d_.n++].len = len;
}

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	for (unsigned i = 0; i < vec->n; i++) {
		int n = (int)d_.sent++;

		if (n != d_.lose)
			put(chan == &d_.chan[DIAL] ? GATE : DIAL, vec->v[i].p, vec->v[i].len);
		if (n == d_.twice)
			put(chan == &d_.chan[DIAL] ? GATE : DIAL, vec->v[i].p, vec->v[i].len);
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}
static const struct vd_chan_ops ops = { .send = chan_send };

struct heard {
	unsigned to;
	const uint8_t *p;
	size_t len;
};

static void hear(struct vd_worker *w, void *arg)
{
	struct heard *h = arg;
	struct vd_vec vec = { .n = 1 };

	ck_assert(vd_pkt_new(w, h->len, &vec.v[0]));
	memcpy(vec.v[0].p, h->p, h->len);
	vec.v[0].len = (uint32_t)h->len;
	vd_chan_input(w, &d_.chan[h->to], &vec);
}

void d_deliver(unsigned to, const uint8_t *p, size_t len)
{
	struct heard h = { to, p, len };

	if (d_.there[to])
		ck_assert_int_eq(d_.dp->call(d_.dp->self, d_.chan[to].home, hear, NULL, &h), 0);
	fake_drain();
	vd_datapath_turn();
	fake_advance(0);
}

void d_pump(void)
{
	fake_advance(0);
	for (unsigned i = 0; i < d_.n; i++) {
		uint8_t p[1600];
		size_t len = d_.q[i].len;

		if (d_.alone && d_.q[i].to == GATE)
			continue;
		memcpy(p, d_.q[i].p, len);
		d_deliver(d_.q[i].to, p, len);
	}
	if (!d_.alone)
		d_.n = 0;
}

/* ---- esp/1, ike.connect/1 ---- */
static uint64_t esp_idle(void *self, uint64_t chan)
{
	(void)self;
	(void)chan;
	return 0;
}

static void esp_chan_close(void *self, uint64_t chan, const char *reason)
{
	(void)self;
	for (unsigned i = 0; i < SIDES; i++)
		if (d_.chan[i].id == chan && d_.there[i]) {
			d_.there[i] = false;
			d_.dp->chan_remove(d_.dp->self, chan, NULL, NULL);
		}
	vd_chan_gone(chan, reason);
}
static const struct vd_chan_maker maker = { "esp", esp_chan_close, esp_idle };
static const struct vd_esp_1 esp;

static void make(unsigned i, const char *connection, uint16_t port)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 }, remote = { .ip = vd_ip4(0xc0000201), .port = port };
	struct vd_peer_up facts = { 0 };
	struct vd_peer *peer = d_.peer[i] ? vd_peer_find(d_.peer[i]) : vd_peer_new(1, &local, &remote);
	struct vd_chan_info *info;

	vd_strcpy(facts.connection, sizeof(facts.connection), connection);
	vd_peer_set_up(peer->id, &facts);
	info = vd_chan_record(peer->id, "l2tp", 1400, &maker, NULL);
	d_.peer[i] = peer->id;
	d_.chan[i] = (struct vd_chan){ .id = info->id, .peer = peer->id, .home = info->home, .flags = VD_CHAN_PROTECTED,
		.mtu = 1400, .ops = &ops };
	ck_assert_int_eq(d_.dp->chan_add(d_.dp->self, &d_.chan[i], NULL, NULL), 0);
	d_.there[i] = true;
	vd_chan_set_up(info->id);
}

static void channel(void *arg)
{
	(void)arg;
	if (d_.ike_downs)
		return;
	make(DIAL, "office", 4500);
	if (!d_.alone)
		make(GATE, "staff", 4501);
	d_.ike.up(d_.ike_arg, d_.peer[DIAL], d_.chan[DIAL].id);
}

static void no_channel(void *arg)
{
	(void)arg;
	vd_peer_close(d_.peer[DIAL], "no proposal chosen");
	d_.ike.ended(d_.ike_arg, d_.peer[DIAL], "no proposal chosen");
}

static int ike_up(void *self, const struct vd_ike_connect *what, const struct vd_ike_connect_events *events, void *arg,
	uint64_t *ret_peer, struct vd_error *err)
{
	struct vd_peer *peer = vd_peer_new(1, &what->path.local, &what->path.remote);

	(void)self;
	(void)err;
	ck_assert_str_eq(what->connection, "office");
	ck_assert_str_eq(what->upper, "l2tp");
	d_.ike = *events;
	d_.ike_arg = arg;
	*ret_peer = d_.peer[DIAL] = peer->id;
	return vd_defer(d_.ike_fails ? no_channel : channel, NULL);
}

static void ike_down(void *self, uint64_t peer, const char *reason)
{
	(void)self;
	ck_assert_uint_eq(peer, d_.peer[DIAL]);
	d_.ike_downs++;
	vd_peer_close(peer, reason);
}
static const struct vd_ike_connect_1 ike = { .up = ike_up, .down = ike_down };

/* ---- providers ---- */
static void on_auth(void *arg, const struct vd_ask *ask)
{
	const struct vd_authenticate *q = ask->data;
	struct vd_authenticated who = { .user = "till-01" };
	uint8_t hash[16], want[24];

	(void)arg;
	vd_mschap_nt_hash(d_.password, strlen(d_.password), hash);
	vd_mschapv2_response(q->challenge, q->peer_challenge, q->user, hash, want);
	vd_mschapv2_authenticator(hash, q->response, q->challenge, q->peer_challenge, q->user, who.authenticator);
	vd_reply(ask->ticket, memcmp(want, q->response, 24) ? VD_REJECT : VD_ACCEPT, &who, NULL);
}

static void on_address(void *arg, const struct vd_ask *ask)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080017), .gateway = vd_ip4(0x0a080001) };

	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, &lease, NULL);
}

static void on_routes(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
}

static void on_tun(void *arg, const struct vd_datapath_sent *s)
{
	(void)arg;
	if (s->way != VD_SENT_TUN)
		return;
	d_.tun++;
	d_.tun_len = s->len;
}

/* ---- life ---- */
static void on_up(void *arg, uint64_t dial, uint64_t session)
{
	(void)arg;
	ck_assert_uint_eq(dial, d_.dial);
	d_.ups++;
	d_.up_session = session;
}

static void on_ended(void *arg, uint64_t dial, const char *reason)
{
	(void)arg;
	ck_assert_uint_eq(dial, d_.dial);
	d_.ended++;
	vd_strcpy(d_.reason, sizeof(d_.reason), reason);
	/* Nothing is left that the next dial could meet. */
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		ck_assert_str_ne(s->connection, "office");
	ck_assert(!d_.there[DIAL]);
}
const struct vd_connect_events d_events = { on_up, on_ended };

void d_dial(void)
{
	struct vd_path path = { .endpoint = 1, .local = { .ip = vd_ip4(0xc0000201), .port = 500 },
		.remote = { .ip = vd_ip4(0xc0000209), .port = 500 } };
	struct vd_error err = { 0 };

	ck_assert_msg(d_.connect->up(d_.connect->self, "office", &path, &d_events, NULL, &d_.dial, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(d_.ups + d_.ended, 0);
}

bool d_no_ike;
void d_begin_with(const char *yaml)
{
	memset(&d_, 0, sizeof(d_));
	d_.lose = d_.twice = -1;
	d_.password = "correct horse";
	setenv("VD_TEST_L2TP_PASSWORD", "correct horse", 1);
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	fake_init(13);
	fake_conf(yaml, plugins, NULL);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_session_up);
	fake_watch(&vd_topic_session_gone);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	d_.dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	vd_datapath_capture(on_tun, NULL);
	fake_service("esp/1", NULL, &esp);
	if (!d_no_ike)
		fake_service("ike.connect/1", NULL, &ike);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_auth, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "dialled_routes", "tun", on_routes, NULL, NULL), 0);
	fake_plugin_start(&ppp_auth_mschapv2_LTX_vd_plugin);
	fake_plugin_start(&ppp_link_LTX_vd_plugin);
	fake_plugin_start(&l2tp_LTX_vd_plugin);
	d_.connect = vd_service_find("connect/1", "l2tp");
	ck_assert_ptr_nonnull(d_.connect);
}

void d_begin(void)
{
	d_begin_with(CONF(""));
	d_dial();
}

void d_end(void)
{
	fake_plugin_stop(&l2tp_LTX_vd_plugin);
	fake_plugin_stop(&ppp_link_LTX_vd_plugin);
	fake_plugin_stop(&ppp_auth_mschapv2_LTX_vd_plugin);
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	fake_conf_fini();
	fake_fini();
}

struct vd_session *d_session_of(const char *connection)
{
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		if (!strcmp(s->connection, connection))
			return s;
	return NULL;
}

bool d_comes_up(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10 && !d_.ended; i++) {
		const struct vd_session *gate;

		d_pump();
		gate = d_session_of("staff");
		if (d_.ups && gate && gate->state == VD_S_UP)
			return true;
		fake_advance(100);
	}
	return false;
}

void d_ends(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10 && !d_.ended; i++) {
		d_pump();
		fake_advance(100);
	}
	ck_assert_uint_eq(d_.ended, 1);
	d_pump();
	fake_drain();
}

void d_data(unsigned from)
{
	uint8_t p[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0 };
	uint32_t inside = 0x0a080017, beyond = 0x0a280005, sum = 0;
	struct vd_wr w;
	unsigned before = d_.tun;

	vd_wr_init(&w, p + 12, 16);
	vd_wr_u32(&w, from == DIAL ? inside : beyond);
	vd_wr_u32(&w, from == DIAL ? beyond : inside);
	vd_wr_u32(&w, 0x00350035);
	vd_wr_u32(&w, 0x00080000);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	p[10] = (uint8_t)~(sum >> 8);
	p[11] = (uint8_t)~sum;
	vd_datapath_inject_tun(0, NULL, p, sizeof(p));
	vd_datapath_turn();
	d_pump();
	ck_assert_uint_eq(d_.tun, before + 1);
	ck_assert_uint_eq(d_.tun_len, 28);
}
