/* L2TP that we dial against L2TP that is dialled, with PPP on both and the data path in between: connect/1 over a double of
 * ike.connect/1 whose channel is a loop. Every datagram lost or doubled in turn; every end from either side; gateways that
 * refuse, by hand. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/connect.h>
#include <viaduct/crypto.h>

#include "core/datapath/datapath.h"
#include "core/session/object.h"
#include "core/session/session.h"
#include "core/state.h"
#include "plugins/l2tp/l2tp.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin l2tp_LTX_vd_plugin, ppp_link_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin;
static const struct vd_opt provider_schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." },
	{ NULL },
};
static const struct vd_plugin providers = { .name = "providers", .schema = provider_schema };
static const struct vd_plugin *const plugins[] = { &l2tp_LTX_vd_plugin, &ppp_link_LTX_vd_plugin,
	&ppp_auth_mschapv2_LTX_vd_plugin, &providers, NULL };

enum { DIAL, GATE, SIDES };
#define QUEUE 128
static struct {
	const struct vd_datapath_1 *dp;
	const struct vd_connect_1 *connect;
	struct vd_chan chan[SIDES];
	uint64_t peer[SIDES];
	bool there[SIDES]; /* its channel */
	struct { unsigned to; size_t len; uint8_t p[1600]; } q[QUEUE];
	unsigned n, sent;
	int lose, twice;
	bool alone; /* the gateway is the test: nothing is delivered to ours */
	/* ike.connect/1 */
	struct vd_ike_connect_events ike;
	void *ike_arg;
	bool ike_fails;
	unsigned ike_downs;
	/* connect/1's user */
	uint64_t dial, up_session;
	unsigned ups, ended;
	char reason[VD_ID_TEXT];
	unsigned tun;
	size_t tun_len;
	const char *password;
	uint16_t ns, nr, tid, sid; /* of a gateway by hand; tid, sid: the dialling side's */
} t;

/* ---- the channel: what one side sends the other hears ---- */
static uint32_t mangled, dice; /* one datagram of the gateway in so many */
static uint32_t roll(void)
{
	dice = dice * 1664525 + 1013904223;
	return dice >> 8;
}

static void put(unsigned to, const uint8_t *p, size_t len)
{
	ck_assert_uint_lt(t.n, QUEUE);
	ck_assert_uint_le(len, sizeof(t.q[0].p));
	t.q[t.n].to = to;
	memcpy(t.q[t.n].p, p, len);
	if (mangled && to == DIAL && len > 8 && roll() % mangled == 0)
		for (unsigned n = 1 + roll() % 3; n; n--) {
			if (roll() % 3)
				t.q[t.n].p[8 + roll() % (len - 8)] ^= (uint8_t)(1u << roll() % 8);
			else
				len = 9 + roll() % (len - 8);
		}
	t.q[t.n++].len = len;
}

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	for (unsigned i = 0; i < vec->n; i++) {
		int n = (int)t.sent++;

		if (n != t.lose)
			put(chan == &t.chan[DIAL] ? GATE : DIAL, vec->v[i].p, vec->v[i].len);
		if (n == t.twice)
			put(chan == &t.chan[DIAL] ? GATE : DIAL, vec->v[i].p, vec->v[i].len);
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
	vd_chan_input(w, &t.chan[h->to], &vec);
}

static void deliver(unsigned to, const uint8_t *p, size_t len)
{
	struct heard h = { to, p, len };

	if (t.there[to])
		ck_assert_int_eq(t.dp->call(t.dp->self, t.chan[to].home, hear, NULL, &h), 0);
	fake_drain();
	vd_datapath_turn();
	fake_advance(0);
}

static void pump(void)
{
	fake_advance(0);
	for (unsigned i = 0; i < t.n; i++) {
		uint8_t p[1600];
		size_t len = t.q[i].len;

		if (t.alone && t.q[i].to == GATE)
			continue;
		memcpy(p, t.q[i].p, len);
		deliver(t.q[i].to, p, len);
	}
	if (!t.alone)
		t.n = 0;
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
		if (t.chan[i].id == chan && t.there[i]) {
			t.there[i] = false;
			t.dp->chan_remove(t.dp->self, chan, NULL, NULL);
		}
	vd_chan_gone(chan, reason);
}
static const struct vd_esp_1 esp = { .idle = esp_idle, .chan_close = esp_chan_close };

static void make(unsigned i, const char *connection, uint16_t port)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 }, remote = { .ip = vd_ip4(0xc0000201), .port = port };
	struct vd_peer_up facts = { 0 };
	struct vd_peer *peer = t.peer[i] ? vd_peer_find(t.peer[i]) : vd_peer_new(1, &local, &remote);
	struct vd_chan_info *info;

	vd_strcpy(facts.connection, sizeof(facts.connection), connection);
	vd_peer_set_up(peer->id, &facts);
	info = vd_chan_record(peer->id, "l2tp", 1400);
	t.peer[i] = peer->id;
	t.chan[i] = (struct vd_chan){ .id = info->id, .peer = peer->id, .home = info->home, .flags = VD_CHAN_PROTECTED,
		.mtu = 1400, .ops = &ops };
	ck_assert_int_eq(t.dp->chan_add(t.dp->self, &t.chan[i], NULL, NULL), 0);
	t.there[i] = true;
	vd_chan_set_up(info->id);
}

static void channel(void *arg)
{
	(void)arg;
	if (t.ike_downs)
		return;
	make(DIAL, "office", 4500);
	if (!t.alone)
		make(GATE, "staff", 4501);
	t.ike.up(t.ike_arg, t.peer[DIAL], t.chan[DIAL].id);
}

static void no_channel(void *arg)
{
	(void)arg;
	vd_peer_close(t.peer[DIAL], "no proposal chosen");
	t.ike.ended(t.ike_arg, t.peer[DIAL], "no proposal chosen");
}

static int ike_up(void *self, const struct vd_ike_connect *what, const struct vd_ike_connect_events *events, void *arg,
	uint64_t *ret_peer, struct vd_error *err)
{
	struct vd_peer *peer = vd_peer_new(1, &what->path.local, &what->path.remote);

	(void)self;
	(void)err;
	ck_assert_str_eq(what->connection, "office");
	ck_assert_str_eq(what->upper, "l2tp");
	t.ike = *events;
	t.ike_arg = arg;
	*ret_peer = t.peer[DIAL] = peer->id;
	return vd_defer(t.ike_fails ? no_channel : channel, NULL);
}

static void ike_down(void *self, uint64_t peer, const char *reason)
{
	(void)self;
	ck_assert_uint_eq(peer, t.peer[DIAL]);
	t.ike_downs++;
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
	vd_mschap_nt_hash(t.password, strlen(t.password), hash);
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
	t.tun++;
	t.tun_len = s->len;
}

/* ---- life ---- */
static void on_up(void *arg, uint64_t dial, uint64_t session)
{
	(void)arg;
	ck_assert_uint_eq(dial, t.dial);
	t.ups++;
	t.up_session = session;
}

static void on_ended(void *arg, uint64_t dial, const char *reason)
{
	(void)arg;
	ck_assert_uint_eq(dial, t.dial);
	t.ended++;
	vd_strcpy(t.reason, sizeof(t.reason), reason);
	/* Nothing is left that the next dial could meet. */
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		ck_assert_str_ne(s->connection, "office");
	ck_assert(!t.there[DIAL]);
}
static const struct vd_connect_events events = { on_up, on_ended };

#define CONF(more) \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections:\n" \
	"  staff: { realm: corp, pool: staff }\n" \
	"  office: { peer: 192.0.2.1, user: till-01, password: !env VD_TEST_L2TP_PASSWORD, routes: [10.40.0.0/16] }\n" more

static void dial(void)
{
	struct vd_path path = { .endpoint = 1, .local = { .ip = vd_ip4(0xc0000201), .port = 500 },
		.remote = { .ip = vd_ip4(0xc0000209), .port = 500 } };
	struct vd_error err = { 0 };

	ck_assert_msg(t.connect->up(t.connect->self, "office", &path, &events, NULL, &t.dial, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(t.ups + t.ended, 0);
}

static bool no_ike;
static void begin_with(const char *yaml)
{
	memset(&t, 0, sizeof(t));
	t.lose = t.twice = -1;
	t.password = "correct horse";
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
	t.dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	vd_datapath_capture(on_tun, NULL);
	fake_service("esp/1", NULL, &esp);
	if (!no_ike)
		fake_service("ike.connect/1", NULL, &ike);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_auth, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "dialled_routes", "tun", on_routes, NULL, NULL), 0);
	fake_plugin_start(&ppp_auth_mschapv2_LTX_vd_plugin);
	fake_plugin_start(&ppp_link_LTX_vd_plugin);
	fake_plugin_start(&l2tp_LTX_vd_plugin);
	t.connect = vd_service_find("connect/1", "l2tp");
	ck_assert_ptr_nonnull(t.connect);
}

static void begin(void)
{
	begin_with(CONF(""));
	dial();
}

static void end(void)
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

static struct vd_session *session_of(const char *connection)
{
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		if (!strcmp(s->connection, connection))
			return s;
	return NULL;
}

static bool comes_up(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10 && !t.ended; i++) {
		const struct vd_session *gate;

		pump();
		gate = session_of("staff");
		if (t.ups && gate && gate->state == VD_S_UP)
			return true;
		fake_advance(100);
	}
	return false;
}

static void ends(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10 && !t.ended; i++) {
		pump();
		fake_advance(100);
	}
	ck_assert_uint_eq(t.ended, 1);
	pump();
	fake_drain();
}

/* A packet from one side's address to the other comes out of TUN again. */
static void data(unsigned from)
{
	uint8_t p[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0 };
	uint32_t inside = 0x0a080017, beyond = 0x0a280005, sum = 0;
	struct vd_wr w;
	unsigned before = t.tun;

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
	pump();
	ck_assert_uint_eq(t.tun, before + 1);
	ck_assert_uint_eq(t.tun_len, 28);
}

START_TEST(up)
{
	const struct vd_session *s;

	begin();
	ck_assert(comes_up(1));
	s = vd_session_find(t.up_session);
	ck_assert_int_eq(s->state, VD_S_UP);
	ck_assert(s->dialled);
	ck_assert_str_eq(s->connection, "office");
	ck_assert_uint_eq(vd_ip_u32(&s->lease4.address), 0x0a080017);
	data(DIAL);
	data(GATE);
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	/* It lives: HELLOs and echoes of both sides are answered. */
	for (unsigned i = 0; i < 300; i++) {
		fake_advance(1000);
		pump();
	}
	ck_assert_uint_eq(t.ended, 0);
	data(DIAL);
	end();
}
END_TEST

#define MESSAGES 32
START_TEST(lost)
{
	begin();
	t.lose = _i;
	ck_assert_msg(comes_up(25), "datagram %d lost: %s", _i, t.reason);
	t.lose = t.twice = -1;
	data(DIAL);
	data(GATE);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(doubled)
{
	begin();
	t.twice = _i;
	ck_assert_msg(comes_up(25), "datagram %d doubled: %s", _i, t.reason);
	t.lose = t.twice = -1;
	data(DIAL);
	data(GATE);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(fewer_datagrams_than_are_tried)
{
	begin();
	ck_assert(comes_up(1));
	ck_assert_uint_ge(t.sent, 20);
	ck_assert_uint_le(t.sent, MESSAGES);
	end();
}
END_TEST

/* Taken down at any moment: after so many datagrams. */
START_TEST(down)
{
	begin();
	for (int i = 0; i < _i && !(i > 40); i++) {
		fake_advance(0);
		if (t.n) {
			uint8_t p[1600];
			size_t len = t.q[0].len;
			unsigned to = t.q[0].to;

			memcpy(p, t.q[0].p, len);
			memmove(&t.q[0], &t.q[1], --t.n * sizeof(t.q[0]));
			deliver(to, p, len);
		}
	}
	t.connect->down(t.connect->self, t.dial, "taken down");
	t.connect->down(t.connect->self, t.dial, "once more");
	ends(20);
	ck_assert_str_eq(t.reason, "taken down");
	ck_assert_uint_eq(t.ike_downs, 1);
	fake_advance(15000);
	ck_assert_ptr_null(session_of("office"));
	t.connect->down(t.connect->self, t.dial, "long gone");
	/* And the gateway heard of it. */
	ck_assert_ptr_null(session_of("staff"));
	end();
}
END_TEST

START_TEST(again)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(comes_up(2));
		t.connect->down(t.connect->self, t.dial, "taken down");
		ends(10);
		fake_advance(1000);
		if (t.there[GATE])
			vd_peer_close(t.peer[GATE], "gone");
		fake_drain();
		t.peer[GATE] = t.peer[DIAL] = 0;
		t.ups = t.ended = t.ike_downs = 0;
		t.n = 0;
		dial();
	}
	ck_assert(comes_up(2));
	data(DIAL);
	end();
}
END_TEST

START_TEST(the_gateway_ends_it)
{
	begin();
	ck_assert(comes_up(1));
	vd_session_close(session_of("staff")->id, "closed by the operator", false);
	ends(10);
	ck_assert_str_eq(t.reason, "the gateway ended the connection: closed by the operator");
	ck_assert_uint_eq(t.ike_downs, 1);
	end();
}
END_TEST

START_TEST(somebody_closes_the_session)
{
	begin();
	ck_assert(comes_up(1));
	vd_session_close(t.up_session, "closed by the operator", false);
	ends(10);
	ck_assert_str_eq(t.reason, "closed by the operator");
	ck_assert_ptr_null(session_of("staff"));
	end();
}
END_TEST

START_TEST(ike_ends)
{
	begin();
	if (_i)
		ck_assert(comes_up(1));
	else
		fake_drain();
	vd_peer_close(t.peer[DIAL], "the gateway is dead");
	t.ike.ended(t.ike_arg, t.peer[DIAL], "the gateway is dead");
	ends(10);
	ck_assert_str_eq(t.reason, "the gateway is dead");
	ck_assert_uint_eq(t.ike_downs, 0);
	end();
}
END_TEST

START_TEST(ike_fails)
{
	begin_with(CONF(""));
	t.ike_fails = true;
	dial();
	ends(1);
	ck_assert_str_eq(t.reason, "no proposal chosen");
	end();
}
END_TEST

START_TEST(silent_gateway)
{
	begin_with(CONF(""));
	t.alone = true;
	dial();
	for (unsigned i = 0; i < 40 && !t.ended; i++) {
		fake_advance(1000);
		t.n = t.n > 100 ? 0 : t.n;
	}
	ck_assert_str_eq(t.reason, "the gateway did not answer our L2TP (SCCRQ)");
	end();
}
END_TEST

START_TEST(wrong_password)
{
	begin_with(CONF(""));
	t.password = "another";
	dial();
	ends(10);
	ck_assert_str_eq(t.reason, "wrong user name or password (691); it says \"Authentication failed\"");
	ck_assert_uint_eq(t.ups, 0);
	end();
}
END_TEST

/* Tunnel authentication: ours answers; without the secret it says so. */
START_TEST(tunnel_secret)
{
	begin_with(_i ? "l2tp: { secret: !env VD_TEST_L2TP_SECRET }\n" CONF("") : CONF(""));
	dial();
	ck_assert(comes_up(1));
	end();
}
END_TEST

/* ---- a gateway by hand ---- */
static struct l2tp_msg said(uint16_t type)
{
	struct l2tp_msg m = { 0 };

	for (unsigned i = t.n; i-- > 0;) {
		if (t.q[i].to != GATE || t.q[i].len < 8 + L2TP_HEADER || !(t.q[i].p[8] & 0x80))
			continue;
		ck_assert_int_eq(l2tp_msg_parse(t.q[i].p + 8, t.q[i].len - 8, NULL, &m), 0);
		if (m.type == type)
			return m;
	}
	ck_abort_msg("%s was not sent", l2tp_type_name(type));
	return m;
}

static void answer(uint16_t type, uint16_t session, const char *more)
{
	uint8_t room[512], extra[200];
	int n = more ? vd_unhex(more, extra, sizeof(extra)) : 0;
	struct vd_wr w, m;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, 1701);
	vd_wr_u16(&w, 1701);
	vd_wr_mark(&w, 4);
	vd_wr_init(&m, room + 8, sizeof(room) - 8);
	l2tp_begin(&m, t.tid, session, t.ns++, t.nr);
	l2tp_avp_u16(&m, L2TP_A_MESSAGE_TYPE, type);
	vd_wr_put(&m, extra, (size_t)n);
	l2tp_end(&m);
	vd_wr_patch_u16(&w, 4, (uint16_t)(m.len + 8));
	deliver(DIAL, room, m.len + 8);
}

#define SCCRP "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0042" "80080000000a" "0004"
static void by_hand(void)
{
	struct l2tp_msg m;

	begin_with(CONF(""));
	t.alone = true;
	dial();
	fake_advance(0);
	m = said(L2TP_SCCRQ);
	ck_assert_uint_eq(m.h.tunnel, 0);
	ck_assert_uint_eq(m.h.ns, 0);
	ck_assert_uint_eq(m.version, 0x0100);
	ck_assert_uint_eq(m.framing, 3);
	ck_assert_str_eq(m.host, "viaduct");
	ck_assert_uint_eq(m.window, 16);
	t.tid = m.tunnel_id;
	ck_assert_uint_ne(t.tid, 0);
	t.nr = 1;
}

static void to_icrq(void)
{
	struct l2tp_msg m;

	by_hand();
	answer(L2TP_SCCRP, 0, SCCRP);
	m = said(L2TP_SCCCN);
	ck_assert_uint_eq(m.h.tunnel, 0x42);
	t.nr = 2;
	m = said(L2TP_ICRQ);
	ck_assert_uint_eq(m.h.session, 0);
	ck_assert(L2TP_SEEN(&m, L2TP_A_CALL_SERIAL));
	t.sid = m.session_id;
	ck_assert_uint_ne(t.sid, 0);
	t.nr = 3;
}

START_TEST(messages_are_complete)
{
	struct l2tp_msg m;

	to_icrq();
	answer(L2TP_ICRP, t.sid, "80080000000e" "0099");
	m = said(L2TP_ICCN);
	ck_assert_uint_eq(m.h.tunnel, 0x42);
	ck_assert_uint_eq(m.h.session, 0x99);
	ck_assert(L2TP_SEEN(&m, L2TP_A_SPEED) && L2TP_SEEN(&m, L2TP_A_FRAMING_TYPE));
	t.nr = 4;
	fake_advance(500);
	/* LCP, in data messages of that session. */
	unsigned frames = 0;
	for (unsigned i = 0; i < t.n; i++)
		frames += t.q[i].len > 20 && !memcmp(t.q[i].p + 8, "\x40\x02", 2) && !memcmp(t.q[i].p + 12, "\0\x42\0\x99", 4);
	ck_assert_uint_ge(frames, 1);
	answer(L2TP_CDN, t.sid, "80080000000e" "0099" "801000000001" "0003" "0000" "66756c6c2121");
	for (unsigned i = 0; i < 40 && !t.ended; i++)
		fake_advance(100);
	ck_assert_str_eq(t.reason, "the gateway hung up (result 3, error 0: full!!)");
	said(L2TP_STOPCCN);
	end();
}
END_TEST

START_TEST(refused)
{
	static const struct { unsigned after; uint16_t type; const char *avps, *reason; } v[] = {
		{ 0, L2TP_STOPCCN, "800800000009" "0042" "800800000001" "0004",
			"the gateway ended it (result 4, error 0)" },
		{ 0, L2TP_SCCRP, "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67",
			"the gateway's SCCRP has no tunnel id" },
		{ 0, L2TP_SCCRP, "800800000002" "0200" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0042",
			"the gateway speaks another version of L2TP" },
		{ 0, L2TP_SCCRP, SCCRP "800a0000000b" "01020304",
			"the gateway demands tunnel authentication, and l2tp.secret is not set" },
		{ 0, L2TP_SCCRP, SCCRP "8008000000c8" "0001",
			"mandatory AVP 200 of vendor 0 in SCCRP is unknown or malformed" },
		{ 0, L2TP_ICRQ, "80080000000e" "0007" "800a0000000f" "00000001",
			"a call's message before the tunnel is up" },
		{ 1, L2TP_CDN, "80080000000e" "0099" "800800000001" "0004",
			"the gateway hung up (result 4, error 0)" },
		{ 1, L2TP_ICRP, "", "the gateway's ICRP is out of sequence or has no session id" },
		{ 1, L2TP_ICCN, "", "ICCN is out of sequence" },
		{ 1, L2TP_STOPCCN, "800800000009" "0042" "800800000001" "0006", "the gateway ended it (result 6, error 0)" },
		{ 1, L2TP_SCCRP, SCCRP, "set-up message inside a tunnel" },
	};

	if (v[_i].after)
		to_icrq();
	else
		by_hand();
	answer(v[_i].type, v[_i].after && v[_i].type >= L2TP_OCRQ ? t.sid : 0, v[_i].avps);
	for (unsigned i = 0; i < 40 && !t.ended; i++)
		fake_advance(100);
	ck_assert_uint_eq(t.ended, 1);
	ck_assert_str_eq(t.reason, v[_i].reason);
	ck_assert_uint_eq(t.ike_downs, 1);
	end();
}
END_TEST

/* Nobody gets in by the way that we opened to get out. */
START_TEST(takes_no_calls)
{
	struct l2tp_msg m;

	to_icrq();
	answer(L2TP_ICRQ, 0, "80080000000e" "0007" "800a0000000f" "00000001");
	m = said(L2TP_CDN);
	ck_assert_uint_eq(m.h.session, 7);
	ck_assert_uint_eq(m.result, L2TP_CDN_NEVER);
	t.tid = 0;
	t.ns = 0;
	answer(L2TP_SCCRQ, 0, "800800000002" "0100" "800a00000003" "00000003" "800700000007" "67" "800800000009" "0043");
	m = said(L2TP_STOPCCN);
	ck_assert_uint_eq(m.h.tunnel, 0x43);
	ck_assert_uint_eq(m.result, L2TP_STOP_AUTH);
	ck_assert_uint_eq(t.ended, 0);
	end();
}
END_TEST

START_TEST(does_not_travel)
{
	static uint8_t room[65536];
	struct vd_error err = { 0 };
	struct vd_wr w;

	by_hand();
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "office was dialled"));
	end();
}
END_TEST

START_TEST(without_ike)
{
	struct vd_path path = { .endpoint = 1 };
	struct vd_error err = { 0 };
	uint64_t id;

	no_ike = true;
	begin_with(CONF(""));
	no_ike = false;
	ck_assert_int_eq(t.connect->up(t.connect->self, "office", &path, &events, NULL, &id, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "no plugin dials IKE"));
	end();
}
END_TEST

/* Whatever comes, it comes up or ends with a reason; and what it had is free again. */
START_TEST(mangled_gateway)
{
	for (unsigned round = 0; round < 30; round++) {
		dice = (uint32_t)_i * 1000 + round;
		begin();
		mangled = 1 + round % 6;
		for (unsigned i = 0; i < 1200 && !t.ended && !t.ups; i++) {
			pump();
			fake_advance(100);
		}
		ck_assert(t.ended || t.ups);
		mangled = 0;
		if (!t.ended) {
			t.connect->down(t.connect->self, t.dial, "taken down");
			ends(30);
		}
		ck_assert_str_ne(t.reason, "");
		end();
	}
}
END_TEST

/* The daemon ends while it dials or is up. */
START_TEST(the_end)
{
	begin();
	if (_i == 1)
		fake_drain();
	else if (_i)
		ck_assert(comes_up(1));
	end();
	ck_assert_uint_le(t.ended, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp dial");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, up);
	tcase_add_loop_test(tc, lost, 0, MESSAGES);
	tcase_add_loop_test(tc, doubled, 0, MESSAGES);
	tcase_add_test(tc, fewer_datagrams_than_are_tried);
	tcase_add_loop_test(tc, down, 0, MESSAGES);
	tcase_add_test(tc, again);
	tcase_add_test(tc, the_gateway_ends_it);
	tcase_add_test(tc, somebody_closes_the_session);
	tcase_add_loop_test(tc, ike_ends, 0, 2);
	tcase_add_test(tc, ike_fails);
	tcase_add_test(tc, silent_gateway);
	tcase_add_test(tc, wrong_password);
	tcase_add_loop_test(tc, tunnel_secret, 0, 2);
	tcase_add_test(tc, messages_are_complete);
	tcase_add_loop_test(tc, refused, 0, 11);
	tcase_add_test(tc, takes_no_calls);
	tcase_add_test(tc, does_not_travel);
	tcase_add_test(tc, without_ike);
	tcase_add_loop_test(tc, mangled_gateway, 0, 4);
	tcase_add_loop_test(tc, the_end, 0, 3);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
