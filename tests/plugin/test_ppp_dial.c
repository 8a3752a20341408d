/* PPP as the one who dials, against our own PPP as the one who is dialled: both links in one process, every message lost or
 * doubled in turn, what a gateway may refuse, and gateways that are none of ours. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/crypto.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/object/object.h"
#include "core/session/session.h"
#include "core/state.h"
#include "plugins/ppp/link/link.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin ppp_link_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin;
static const struct vd_opt provider_schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." },
	{ NULL },
};
static const struct vd_plugin providers = { .name = "providers", .schema = provider_schema };
static const struct vd_plugin *const plugins[] = { &ppp_link_LTX_vd_plugin, &ppp_auth_mschapv2_LTX_vd_plugin, &providers,
	NULL };

enum { DIAL, GATE, SIDES };
#define QUEUE 64
struct side {
	uint64_t id, chan;
	struct vd_wsess_desc desc;
	void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	void *punt_arg;
	unsigned closed; /* by its link */
	char reason[VD_ID_TEXT];
	struct { uint8_t p[1600]; size_t len; } q[QUEUE]; /* frames that it is to hear */
	unsigned first, n;
};

static struct {
	struct side side[SIDES];
	unsigned sent;
	int lose, twice;
	const char *gateway_knows; /* the password */
	bool unavailable, no_address, no_dns;
	const struct vd_link_1 *service;
	struct vd_dialled_routes routes;
	unsigned asked_routes;
} t;

static struct side *side_of(uint64_t session)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (t.side[i].id == session)
			return &t.side[i];
	ck_abort_msg("no such session");
	return NULL;
}

/* What a gateway sends is taken for what it is, or dropped; mangled: one frame in so many, and how it goes on. */
static uint32_t mangled, dice;
static uint32_t roll(void)
{
	dice = dice * 1664525 + 1013904223;
	return dice >> 8;
}

static size_t mangle(uint8_t *p, size_t len)
{
	for (unsigned n = 1 + roll() % 4; n; n--)
		switch (roll() % 4) {
		case 0:
			p[roll() % len] ^= (uint8_t)(1u << roll() % 8);
			break;
		case 1:
			p[roll() % len] = (uint8_t)roll();
			break;
		case 2:
			len = 1 + roll() % len;
			break;
		default:
			for (unsigned k = roll() % 40; k; k--)
				p[len++] = (uint8_t)roll();
		}
	return len;
}

static void hear(struct side *s, const uint8_t *p, size_t len)
{
	ck_assert_uint_lt(s->n, QUEUE);
	memcpy(s->q[(s->first + s->n) % QUEUE].p, p, len);
	if (mangled && s == &t.side[DIAL] && len && roll() % mangled == 0)
		len = mangle(s->q[(s->first + s->n) % QUEUE].p, len);
	s->q[(s->first + s->n++) % QUEUE].len = len;
}

static int lower_send(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	struct side *to = &t.side[side_of(session) == &t.side[DIAL] ? GATE : DIAL];
	int n = (int)t.sent++;

	(void)arg;
	ck_assert_uint_le(len, sizeof(to->q[0].p));
	if (n == t.lose)
		return 0;
	hear(to, p, len);
	if (n == t.twice)
		hear(to, p, len);
	return 0;
}

static void lower_header(void *arg, uint64_t session, struct vd_hdr *ret_hdr)
{
	(void)arg;
	(void)session;
	*ret_hdr = (struct vd_hdr){ .len = 16, .udp_len = 4, .l2tp_len = 10, .l2tp_from = 8 };
}

static void lower_closed(void *arg, uint64_t session, const char *reason)
{
	struct side *s = side_of(session);

	(void)arg;
	s->closed++;
	vd_strcpy(s->reason, sizeof(s->reason), reason);
}

static const struct vd_link_lower lower = { lower_send, lower_header, lower_closed };

static void owner_closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	t.service->stop(t.service->self, session, reason);
}
static const struct vd_session_owner owner = { owner_closed };

/* ---- datapath/1 ---- */
static int session_punt(void *self, uint64_t session, void (*punt)(void *, uint64_t, const uint8_t *, size_t), void *arg)
{
	(void)self;
	side_of(session)->punt = punt;
	side_of(session)->punt_arg = arg;
	return 0;
}

static int session_counters(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	static const struct vd_session_counters none;

	(void)self;
	done(arg, session, &none);
	return 0;
}

static int session_add(void *self, const struct vd_wsess_desc *desc, void (*done)(void *), void *arg)
{
	(void)self;
	side_of(desc->session)->desc = *desc;
	return done ? vd_defer(done, arg) : 0;
}

static int fib(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	(void)self;
	(void)prefix;
	(void)session;
	return done ? vd_defer(done, arg) : 0;
}

static const struct vd_datapath_1 datapath = { .session_punt = session_punt, .session_counters = session_counters,
	.session_add = session_add, .session_del = session_counters, .fib_add = fib, .fib_del = fib };

/* ---- providers ---- */
static void on_auth(void *arg, const struct vd_ask *ask)
{
	const struct vd_authenticate *q = ask->data;
	struct vd_authenticated who = { .user = "till-01" };
	uint8_t hash[16], want[24];

	(void)arg;
	ck_assert_int_eq(vd_mschap_nt_hash(t.gateway_knows, strlen(t.gateway_knows), hash), 0);
	ck_assert_int_eq(vd_mschapv2_response(q->challenge, q->peer_challenge, q->user, hash, want), 0);
	ck_assert_int_eq(vd_mschapv2_authenticator(hash, q->response, q->challenge, q->peer_challenge, q->user,
		who.authenticator), 0);
	if (t.unavailable)
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, NULL);
	else
		vd_reply(ask->ticket, strcmp(q->user, "till-01") || memcmp(want, q->response, 24) ? VD_REJECT : VD_ACCEPT, &who,
			NULL);
}

static void on_address(void *arg, const struct vd_ask *ask)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080017), .gateway = vd_ip4(0x0a080001),
		.dns = { vd_ip4(0x0a010035) } };

	(void)arg;
	if (t.no_dns)
		lease.dns[0] = (struct vd_ip){ 0 };
	vd_reply(ask->ticket, t.no_address ? VD_REJECT : VD_ACCEPT, &lease, NULL);
}

static void on_routes(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	t.routes = *(const struct vd_dialled_routes *)ask->data;
	t.asked_routes++;
	vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
}

/* ---- life ---- */
#define CONF(office) \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections:\n" \
	"  staff: { realm: corp, pool: staff }\n" \
	"  office: { peer: 192.0.2.1, routes: [10.40.0.0/16, 10.41.0.0/24], user: till-01, password: !env VD_TEST_PPP_PASSWORD" \
	office " }\n"

static void make_side(unsigned i, const char *connection, const struct vd_sa *remote)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_peer_up facts = { 0 };
	struct vd_error err = { 0 };
	struct vd_peer *peer = vd_peer_new(1, &local, remote);
	struct vd_chan_info *chan;

	ck_assert_ptr_nonnull(peer);
	vd_strcpy(facts.connection, sizeof(facts.connection), connection);
	vd_peer_set_up(peer->id, &facts);
	chan = vd_chan_record(peer->id, "l2tp", 1400, &fake_maker, NULL);
	ck_assert_ptr_nonnull(chan);
	vd_chan_set_up(chan->id);
	t.side[i].chan = chan->id;
	t.side[i].id = vd_session_new(chan->id, connection, &owner, NULL, &err);
	ck_assert_msg(t.side[i].id != 0, "%s", err.text);
}

static void begin_with(const char *yaml)
{
	struct vd_sa a = { .ip = vd_ip4(0xc0000202), .port = 4500 }, b = { .ip = vd_ip4(0xc0000203), .port = 4500 };

	memset(&t, 0, sizeof(t));
	t.lose = t.twice = -1;
	t.gateway_knows = "correct horse";
	setenv("VD_TEST_PPP_PASSWORD", "correct horse", 1);
	fake_init(11);
	fake_conf(yaml, plugins, NULL);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_session_up);
	fake_watch(&vd_topic_session_down);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_auth, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "dialled_routes", "tun", on_routes, NULL, NULL), 0);
	fake_service("datapath/1", NULL, &datapath);
	fake_plugin_start(plugins[1]);
	fake_plugin_start(plugins[0]);
	t.service = vd_service_find("link/1", NULL);
	make_side(DIAL, "office", &a);
	make_side(GATE, "staff", &b);
	fake_drain();
}

static void start(unsigned i)
{
	struct vd_link_params params = { .overhead = 16, .dial = i == DIAL };

	vd_strcpy(params.connection, sizeof(params.connection), i == DIAL ? "office" : "staff");
	ck_assert_int_eq(t.service->start(t.service->self, t.side[i].id, &lower, NULL, &params), 0);
}

static void begin(void)
{
	begin_with(CONF(""));
	start(DIAL);
	start(GATE);
}

static void end(void)
{
	fake_plugin_stop(plugins[0]);
	fake_plugin_stop(plugins[1]);
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	fake_conf_fini();
	fake_fini();
}

static void pump(void)
{
	bool more = true;

	fake_advance(0);
	while (more) {
		more = false;
		for (unsigned i = 0; i < SIDES; i++) {
			struct side *s = &t.side[i];
			unsigned at = s->first % QUEUE;

			if (!s->n)
				continue;
			s->n--;
			s->first++;
			more = true;
			if (s->punt)
				s->punt(s->punt_arg, s->id, s->q[at].p, s->q[at].len);
			fake_drain();
			fake_advance(0);
		}
	}
}

static struct ppp_link *link_of(unsigned i)
{
	return ppp_link_find(t.service->self, t.side[i].id);
}

static bool is_up(unsigned i)
{
	struct ppp_link *link = link_of(i);

	return link && link->phase == PPP_PHASE_UP;
}

static bool comes_up(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10; i++) {
		pump();
		if (is_up(DIAL) && is_up(GATE))
			return true;
		fake_advance(100);
	}
	return false;
}

static void ends(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 10 && !(t.side[DIAL].closed && t.side[GATE].closed); i++) {
		pump();
		fake_advance(100);
	}
	ck_assert_uint_eq(t.side[DIAL].closed, 1);
	ck_assert_uint_eq(t.side[GATE].closed, 1);
	fake_drain();
}

static const struct vd_setup_failed *report(void)
{
	const struct vd_setup_failed *e = fake_last(&vd_topic_setup_failed);

	ck_assert_ptr_nonnull(e);
	return e;
}

START_TEST(up)
{
	const struct vd_session *s;

	begin();
	ck_assert(comes_up(1));
	s = vd_session_find(t.side[DIAL].id);
	ck_assert_int_eq(s->state, VD_S_UP);
	ck_assert(s->dialled);
	ck_assert_str_eq(s->user, "till-01");
	ck_assert_uint_eq(vd_ip_u32(&s->lease4.address), 0x0a080017);
	ck_assert_uint_eq(vd_ip_u32(&s->lease4.gateway), 0x0a080001);
	ck_assert_uint_eq(vd_ip_u32(&s->lease4.dns[0]), 0x0a010035);
	ck_assert_uint_eq(s->lease4.dns[1].family, 0);
	/* 1400 octets of channel, less UDP and L2TP; PPP's four, since neither side asked for less. */
	ck_assert_uint_eq(s->mtu, 1400 - 16 - 4);
	ck_assert_uint_eq(vd_ip_u32(&t.side[DIAL].desc.own), 0x0a080017);
	ck_assert_uint_eq(t.side[DIAL].desc.source[0].ip.family, 0);
	ck_assert_uint_eq(t.side[GATE].desc.own.family, 0);
	ck_assert_uint_eq(vd_ip_u32(&t.side[GATE].desc.source[0].ip), 0x0a080017);
	ck_assert_uint_eq(t.asked_routes, 1);
	ck_assert_uint_eq(vd_ip_u32(&t.routes.address), 0x0a080017);
	ck_assert_uint_eq(vd_ip_u32(&t.routes.gateway), 0xc0000202);
	ck_assert_uint_eq(vd_ip_u32(&t.routes.routes[0].ip), 0x0a280000);
	ck_assert_uint_eq(t.routes.routes[1].len, 24);
	ck_assert_uint_eq(t.routes.routes[2].ip.family, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(all_routes_are_two_halves)
{
	begin_with("connections: { staff: {}, office: { routes: all, user: till-01, password: !env VD_TEST_PPP_PASSWORD } }\n");
	ck_assert_int_eq(vd_session_dialled(t.side[DIAL].id, &(struct vd_leased_address){ .address = vd_ip4(0x0a080017) }), 0);
	const struct vd_session *s = vd_session_find(t.side[DIAL].id);

	ck_assert_uint_eq(s->granted.routes_behind[0].len, 1);
	ck_assert_uint_eq(vd_ip_u32(&s->granted.routes_behind[1].ip), 0x80000000);
	ck_assert_uint_eq(s->granted.routes_behind[1].len, 1);
	ck_assert_uint_eq(s->granted.routes_behind[2].ip.family, 0);
	/* Once only, and not of a session that is another's business already. */
	ck_assert_int_eq(vd_session_dialled(t.side[DIAL].id, &(struct vd_leased_address){ .address = vd_ip4(1) }), -EINVAL);
	ck_assert_int_eq(vd_session_dialled(12345, &(struct vd_leased_address){ .address = vd_ip4(1) }), -ENOENT);
	end();
}
END_TEST

static const char *const many = "10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24, 10.0.4.0/24, 10.0.5.0/24, 10.0.6.0/24, 10.0.7.0/24, "
	"10.0.8.0/24";
START_TEST(more_routes_than_fit)
{
	char yaml[600];

	snprintf(yaml, sizeof(yaml), "connections: { staff: {}, office: { routes: [%s, 10.0.9.0/24] } }\n", many);
	begin_with(yaml);
	ck_assert_int_eq(vd_session_dialled(t.side[DIAL].id, &(struct vd_leased_address){ .address = vd_ip4(7) }), -E2BIG);
	end();
	snprintf(yaml, sizeof(yaml), "connections: { staff: {}, office: { routes: [\"2001:db8::/32\", %s] } }\n", many);
	begin_with(yaml);
	ck_assert_int_eq(vd_session_dialled(t.side[DIAL].id, &(struct vd_leased_address){ .address = vd_ip4(7) }), 0);
	end();
}
END_TEST

START_TEST(without_name_servers)
{
	begin_with(CONF(""));
	t.no_dns = true;
	start(DIAL);
	start(GATE);
	ck_assert(comes_up(1));
	ck_assert_uint_eq(vd_session_find(t.side[DIAL].id)->lease4.dns[0].family, 0);
	end();
}
END_TEST

/* Each message of either side once lost, once doubled. */
#define MESSAGES 20
START_TEST(lost)
{
	begin();
	t.lose = _i;
	ck_assert_msg(comes_up(20), "message %d lost", _i);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(doubled)
{
	begin();
	t.twice = _i;
	ck_assert_msg(comes_up(20), "message %d doubled", _i);
	fake_advance(5000);
	pump();
	ck_assert(is_up(DIAL) && is_up(GATE));
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(fewer_messages_than_are_tried)
{
	begin();
	ck_assert(comes_up(1));
	ck_assert_uint_ge(t.sent, 14);
	ck_assert_uint_le(t.sent, MESSAGES);
	end();
}
END_TEST

START_TEST(goodbye)
{
	begin();
	ck_assert(comes_up(1));
	if (_i)
		vd_session_close(t.side[GATE].id, "closed by the operator", false);
	else
		vd_session_close(t.side[DIAL].id, "taken down", false);
	ends(5);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 2);
	if (_i)
		ck_assert_str_eq(t.side[DIAL].reason, "the gateway ended the connection: closed by the operator");
	end();
}
END_TEST

START_TEST(silence)
{
	begin_with("ppp: { echo_interval: 2s, echo_failures: 2 }\n" CONF(""));
	start(DIAL);
	start(GATE);
	ck_assert(comes_up(1));
	t.service->lower_down(t.service->self, t.side[GATE].id, "gone without a word");
	for (unsigned i = 0; i < 15 && !t.side[DIAL].closed; i++) {
		pump();
		fake_advance(1000);
	}
	ck_assert_str_eq(t.side[DIAL].reason, "the gateway answered none of 2 LCP echoes");
	end();
}
END_TEST

START_TEST(wrong_password)
{
	begin_with(CONF(""));
	t.gateway_knows = "another";
	start(DIAL);
	start(GATE);
	ends(10);
	ck_assert_str_eq(t.side[DIAL].reason, "wrong user name or password (691); it says \"Authentication failed\"");
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	end();
}
END_TEST

START_TEST(no_answer_about_the_user)
{
	begin_with(CONF(""));
	t.unavailable = true;
	start(DIAL);
	start(GATE);
	ends(10);
	ck_assert_ptr_nonnull(strstr(t.side[DIAL].reason, "(649)"));
	end();
}
END_TEST

START_TEST(no_address)
{
	begin_with(CONF(""));
	t.no_address = true;
	start(DIAL);
	start(GATE);
	ends(10);
	ck_assert_str_eq(t.side[DIAL].reason, "the gateway ended the connection: no address for this user");
	end();
}
END_TEST

START_TEST(no_credentials)
{
	begin_with("connections: { staff: {}, office: { user: till-01 } }\n");
	start(DIAL);
	struct ppp_link *link = link_of(DIAL);

	ppp_link_open(link);
	link->peer.auth = 1;
	ppp_phase_lcp_up(link);
	fake_advance(0);
	ck_assert_str_eq(report()->text, "mschapv2 could not start: Required key not available; see the gateway's log and "
		"viaductctl counters");
	ck_assert(report()->dialled);
	end();
}
END_TEST

/* ---- gateways that are none of ours, by hand ---- */
static void says(const char *hex)
{
	uint8_t room[600] = { 0xff, 0x03 };
	char packed[1200];
	size_t n = 0;
	int len;

	for (const char *c = hex; *c; c++)
		if (*c != ' ')
			packed[n++] = *c;
	packed[n] = 0;
	len = vd_unhex(packed, room + 2, sizeof(room) - 2);
	ck_assert_int_gt(len, 0);
	t.side[DIAL].punt(t.side[DIAL].punt_arg, t.side[DIAL].id, room, (size_t)len + 2);
	fake_drain();
	fake_advance(0);
}

/* The newest frame of this protocol and code that the dialling side sent, from its code on; NULL: none. */
static const uint8_t *sent(uint16_t protocol, uint8_t code, size_t *ret_len)
{
	struct side *s = &t.side[GATE];

	for (unsigned i = s->n; i-- > 0;) {
		const uint8_t *p = s->q[(s->first + i) % QUEUE].p;

		if (p[2] == protocol >> 8 && p[3] == (protocol & 0xff) && p[4] == code) {
			*ret_len = s->q[(s->first + i) % QUEUE].len - 4;
			return p + 4;
		}
	}
	return NULL;
}

static void want_sent(uint16_t protocol, uint8_t code, const char *hex)
{
	size_t len;
	const uint8_t *p = sent(protocol, code, &len);
	char got[1200];

	ck_assert_msg(p != NULL, "no %04x with code %u was sent", protocol, code);
	ck_assert_str_eq(vd_hex(got, sizeof(got), p, len), hex);
}

static void acknowledge(uint16_t protocol)
{
	uint8_t room[600] = { 0xff, 0x03, (uint8_t)(protocol >> 8), (uint8_t)protocol };
	size_t len;
	const uint8_t *p = sent(protocol, 1, &len);

	ck_assert_ptr_nonnull(p);
	memcpy(room + 4, p, len);
	room[4] = 2;
	t.side[DIAL].punt(t.side[DIAL].punt_arg, t.side[DIAL].id, room, len + 4);
	fake_drain();
	fake_advance(0);
}

static void by_hand(void)
{
	begin_with(CONF(""));
	start(DIAL);
	fake_advance(0);
}

#define CHALLENGE "c223 01 09 0018 10 000102030405060708090a0b0c0d0e0f 677764"
static void to_challenge(void)
{
	by_hand();
	says("c021 01 01 000f 0305c22381 0506 11223344");
	want_sent(0xc021, 2, "0201000f0305c22381050611223344");
	acknowledge(0xc021);
	says(CHALLENGE);
}

static void success(const char *more)
{
	const uint8_t *p;
	size_t len;
	uint8_t hash[16], auth[16], response[24];
	char text[43], hex[300] = "", packet[600];

	p = sent(0xc223, 2, &len);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(len, 4 + 1 + 49 + 7);
	ck_assert_uint_eq(p[1], 9);
	ck_assert_mem_eq(p + 4 + 1 + 49, "till-01", 7);
	for (unsigned i = 0; i < 16; i++)
		auth[i] = (uint8_t)i;
	vd_mschap_nt_hash("correct horse", 13, hash);
	vd_mschapv2_response(auth, p + 5, "till-01", hash, response);
	ck_assert_mem_eq(response, p + 5 + 24, 24);
	vd_mschapv2_authenticator(hash, response, auth, p + 5, "till-01", text);
	vd_hex(hex, sizeof(hex), text, 42);
	snprintf(packet, sizeof(packet), "c223 03 09 %04x %s %s", (unsigned)(4 + 42 + strlen(more) / 2), hex, more);
	says(packet);
}

START_TEST(another_gateway)
{
	to_challenge();
	success("204d3d4f4b");
	ck_assert_int_eq(link_of(DIAL)->phase, PPP_PHASE_NETWORK);
	want_sent(0x8021, 1, "010100160306000000008106000000008306" "00000000");
	/* It has one name server, and an address of its own behind compression that we do not speak. */
	says("8021 01 01 0010 0206002d0f01 0306 c0000201");
	want_sent(0x8021, 4, "0401000a0206002d0f01");
	says("8021 01 02 000a 0306 c0000201");
	want_sent(0x8021, 2, "0202000a0306c0000201");
	says("8021 04 01 000a 8306 00000000");
	says("8021 03 02 0010 0306 0a090007 8106 08080808");
	want_sent(0x8021, 1, "010300100306" "0a090007" "810608080808");
	acknowledge(0x8021);
	ck_assert(is_up(DIAL));
	ck_assert_uint_eq(vd_ip_u32(&vd_session_find(t.side[DIAL].id)->lease4.address), 0x0a090007);
	ck_assert_uint_eq(vd_ip_u32(&vd_session_find(t.side[DIAL].id)->lease4.dns[0]), 0x08080808);
	ck_assert_uint_eq(vd_session_find(t.side[DIAL].id)->lease4.dns[1].family, 0);
	/* A question while we are in gets an answer, too. */
	says("c223 01 0a 0018 10 100102030405060708090a0b0c0d0e0f 677764");
	size_t len;
	ck_assert_uint_eq(sent(0xc223, 2, &len)[1], 10);
	ck_assert(is_up(DIAL));
	end();
}
END_TEST

START_TEST(the_same_question_the_same_answer)
{
	uint8_t first[64];
	size_t len;

	to_challenge();
	memcpy(first, sent(0xc223, 2, &len), 61);
	says(CHALLENGE);
	ck_assert_mem_eq(first, sent(0xc223, 2, &len), 61);
	/* And again by itself, until it is judged. */
	t.side[GATE].n = 0;
	fake_advance(3000);
	ck_assert_mem_eq(first, sent(0xc223, 2, &len), 61);
	success("");
	ck_assert_int_eq(link_of(DIAL)->phase, PPP_PHASE_NETWORK);
	end();
}
END_TEST

START_TEST(a_gateway_that_does_not_know_the_password)
{
	to_challenge();
	says("c223 03 09 002e 533d 30303030303030303030303030303030303030303030303030303030303030303030303030303030");
	ck_assert_str_eq(t.side[DIAL].reason, "");
	ck_assert_ptr_nonnull(strstr(report()->text, "the gateway does not know our password"));
	ck_assert(report()->dialled);
	ck_assert_str_eq(report()->connection, "office");
	fake_advance(5000);
	ck_assert_str_eq(t.side[DIAL].reason, "the gateway does not know our password: it is not the one we meant");
	end();
}
END_TEST

/* "S=" alone, nothing at all, another identifier. */
START_TEST(success_that_is_none)
{
	static const char *const said[] = { "c223 03 09 0006 533d", "c223 03 09 0004", "c223 03 08 0006 533d" };

	to_challenge();
	says(said[_i]);
	ck_assert_int_lt(link_of(DIAL)->phase, PPP_PHASE_NETWORK);
	ck_assert_int_eq(link_of(DIAL)->failing, _i != 2);
	end();
}
END_TEST

START_TEST(refusals_in_words)
{
	static const struct { const char *hex, *reason; } v[] = {
		{ "453d363437 20523d30", "the account is disabled (647)" },
		{ "453d363438 20523d30 204d3d 6f6c64", "the password has expired (648); it says \"old\"" },
		{ "453d363436", "not at this time of day (646)" },
		{ "453d393939", "refused (999)" },
		{ "6e6f", "refused: no" },
		{ "", "refused" },
	};
	char text[300];
	size_t octets = 0;

	to_challenge();
	for (const char *c = v[_i].hex; *c; c++)
		octets += *c != ' ';
	snprintf(text, sizeof(text), "c223 04 09 %04x %s", (unsigned)(4 + octets / 2), v[_i].hex);
	says(text);
	fake_advance(5000);
	ck_assert_str_eq(t.side[DIAL].reason, v[_i].reason);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_ptr_nonnull(strstr(report()->text, "user till-01 was refused by the gateway"));
	end();
}
END_TEST

START_TEST(pap_is_not_spoken)
{
	by_hand();
	says("c021 01 01 0008 0304c023");
	want_sent(0xc021, 3, "030100090305c22381");
	says("c021 01 02 0008 0304c023");
	want_sent(0xc021, 3, "030200090305c22381");
	acknowledge(0xc021);
	says("c021 05 03 0004");
	ck_assert_ptr_nonnull(strstr(report()->text, "it wants to authenticate us with pap (c023)"));
	fake_advance(40000); /* it may begin again; this one only went */
	ck_assert_ptr_nonnull(strstr(t.side[DIAL].reason, "it wants to authenticate us with pap (c023)"));
	end();
}
END_TEST

START_TEST(no_authentication_is_not_accepted)
{
	by_hand();
	says("c021 01 01 000a 0506 11223344");
	acknowledge(0xc021);
	fake_advance(5000);
	ck_assert_str_eq(t.side[DIAL].reason, "the gateway wants no authentication, and we can mschapv2");
	end();
}
END_TEST

/* To a gateway we prove ourselves with nothing weaker than MS-CHAPv2, whatever the list says. */
START_TEST(only_weaker_methods_named)
{
	struct vd_link_params params = { .overhead = 16, .dial = true, .connection = "office" };

	begin_with(CONF(", ppp: { auth: [chap, pap] }"));
	ck_assert_int_eq(t.service->start(t.service->self, t.side[DIAL].id, &lower, NULL, &params), -ENOENT);
	fake_drain();
	ck_assert_str_eq(report()->text, "ppp.auth of connection office does not name mschapv2, and to a gateway we prove "
		"ourselves with nothing weaker: name it there");
	end();
}
END_TEST

START_TEST(no_address_from_another_gateway)
{
	to_challenge();
	success("");
	says("8021 01 02 000a 0306 c0000201");
	says("8021 04 01 000a 0306 00000000");
	acknowledge(0x8021);
	fake_advance(5000);
	ck_assert_str_eq(t.side[DIAL].reason, "the gateway gave us no address");
	end();
}
END_TEST

/* Whatever comes, it comes up with an address or ends with a reason, and in time. */
START_TEST(mangled_gateway)
{
	for (unsigned round = 0; round < 40; round++) {
		dice = (uint32_t)_i * 1000 + round;
		mangled = 1 + round % 5;
		begin();
		for (unsigned i = 0; i < 700 && !t.side[DIAL].closed && !is_up(DIAL); i++) {
			pump();
			fake_advance(100);
		}
		ck_assert(t.side[DIAL].closed || is_up(DIAL));
		if (t.side[DIAL].closed)
			ck_assert_str_ne(t.side[DIAL].reason, "");
		else
			ck_assert_uint_ne(vd_ip_u32(&vd_session_find(t.side[DIAL].id)->lease4.address), 0);
		mangled = 0;
		end();
	}
}
END_TEST

START_TEST(does_not_travel)
{
	static uint8_t room[65536];
	struct vd_error err = { 0 };
	struct vd_wr w;

	begin();
	ck_assert(comes_up(1));
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "was dialled"));
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp dial");
	TCase *tc = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(tc, up);
	tcase_add_test(tc, all_routes_are_two_halves);
	tcase_add_test(tc, more_routes_than_fit);
	tcase_add_test(tc, without_name_servers);
	tcase_add_loop_test(tc, lost, 0, MESSAGES);
	tcase_add_loop_test(tc, doubled, 0, MESSAGES);
	tcase_add_test(tc, fewer_messages_than_are_tried);
	tcase_add_loop_test(tc, goodbye, 0, 2);
	tcase_add_test(tc, silence);
	tcase_add_test(tc, wrong_password);
	tcase_add_test(tc, no_answer_about_the_user);
	tcase_add_test(tc, no_address);
	tcase_add_test(tc, no_credentials);
	tcase_add_test(tc, another_gateway);
	tcase_add_test(tc, the_same_question_the_same_answer);
	tcase_add_test(tc, a_gateway_that_does_not_know_the_password);
	tcase_add_loop_test(tc, success_that_is_none, 0, 3);
	tcase_add_loop_test(tc, refusals_in_words, 0, 6);
	tcase_add_test(tc, pap_is_not_spoken);
	tcase_add_test(tc, no_authentication_is_not_accepted);
	tcase_add_test(tc, only_weaker_methods_named);
	tcase_add_test(tc, no_address_from_another_gateway);
	tcase_add_loop_test(tc, mangled_gateway, 0, 5);
	tcase_add_test(tc, does_not_travel);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
