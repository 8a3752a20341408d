/* Every message in every state: an IKE SA takes what it waits for, and all else changes nothing. For each way to begin one, and
 * each state on that way, all exchanges are tried on it; then the conversation that was interrupted comes to its end. */
#include <viaduct/connect.h>

#include "core/system/source.h"
#include "ike_steps.h"

#define YAML \
	"connections:\n" \
	"  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A, aggressive: true, group: sales } }\n" \
	"  office: { connect: [l2tp], peer: 198.51.100.7, user: alice, password: !env IKE_TEST_PSK_B, " \
	"l2tp: { psk: !env IKE_TEST_PSK_B } }\n"

enum way_kind { MAIN_ANSWERED, AGGRESSIVE_ANSWERED, DIALLED };
enum { MAIN = 2, AGGRESSIVE = 4, INFO = 5, TRANSACTION = 6, QUICK = 32 };

static struct client c;     /* the other side */
static struct msg said, m1, m3, m5; /* what it said last; messages of a conversation of each kind, whole */
static uint64_t dialled;

static struct ike_v1_sa *the_sa(void)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;

	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = sa->hash_next)
			if (memcmp(sa->icookie, c.ic, 8) == 0)
				return sa;
	ck_abort_msg("there is no such IKE SA");
	return NULL;
}

static struct msg *last(void)
{
	return &world.sent[(world.n_sent - 1) % WORLD_SENT];
}

static void hold(const struct msg *m)
{
	world.hold_drain = true;
	world_input(&c, m);
	world.hold_drain = false;
}

static void on_up(void *arg, uint64_t p, uint64_t chan)
{
	(void)arg, (void)p, (void)chan;
}

static void on_ended(void *arg, uint64_t p, const char *why)
{
	(void)arg, (void)p, (void)why;
}

static void dial(void)
{
	static const struct vd_ike_connect_events events = { .up = on_up, .ended = on_ended };
	const struct vd_ike_connect_1 *connect = vd_service_find("ike.connect/1", NULL);
	struct vd_ike_connect what = { .connection = "office", .upper = "l2tp", .path = c.path };
	struct vd_error err = { 0 };

	memcpy(c.id, "\x01\x00\x00\x00\xc6\x33\x64\x07", 8);
	ck_assert_msg(connect->up(connect->self, &what, &events, NULL, &dialled, &err) == 0, "%s", err.text);
	fake_drain();
	memcpy(c.ic, last()->p, 8);
}

/* The conversations, cut where the SA gets into another state. A step that computes leaves that undone; what follows drains. */
static void r_mm1(void)
{
	client_mm1(&c, &said);
	ck_assert(client_mm2(&c, ask(&c, &said)));
}

static void r_mm3(void)
{
	client_mm3(&c, &said);
	hold(&said);
}

static void r_mm4(void)
{
	fake_drain();
	ck_assert(client_mm4(&c, last()));
}

static void r_mm5(void)
{
	client_mm5(&c, &said);
	hold(&said);
}

static void r_mm6(void)
{
	fake_drain();
	ck_assert(client_mm6(&c, last()));
}

static void r_quick(void)
{
	quick(&c, 7, 0);
}

static void a_am1(void)
{
	c.id_len = 9;
	memcpy(c.id, "\x0b\0\0\0sales", 9);
	client_am1(&c, &said);
	hold(&said);
	memcpy(c.rc, the_sa()->rcookie, 8); /* nobody can know it yet; still it must not matter */
}

static void a_am2(void)
{
	fake_drain();
	ck_assert(client_am2(&c, last()));
}

static void a_am3(void)
{
	client_am3(&c, true, &said);
	silent(&c, &said);
}

static void i_mm2(void)
{
	ck_assert(gateway_mm2(&c, last(), &said));
	hold(&said);
}

static void i_mm3(void)
{
	fake_drain();
}

static void i_mm4(void)
{
	ck_assert(gateway_mm4(&c, last(), &said));
	hold(&said);
}

static void i_mm5(void)
{
	fake_drain();
}

static void i_mm6(void)
{
	ck_assert(gateway_mm6(&c, last(), &said));
	world_input(&c, &said);
}

static void i_quick(void)
{
	ck_assert(gateway_qm2(&c, last(), 2, 52, &said));
	world_input(&c, &said);
	ck_assert(gateway_qm3(&c, last()));
}

static const struct way {
	enum way_kind kind;
	struct {
		void (*go)(void);
		enum ike_v1_state state; /* behind it; of an embryo, which is no SA, EMBRYO */
	} steps[8];
} ways[] = {
#define EMBRYO ((enum ike_v1_state)99)
	{ MAIN_ANSWERED, { { r_mm1, EMBRYO }, { r_mm3, IKE_V1_DH }, { r_mm4, IKE_V1_WAIT_MM5 }, { r_mm5, IKE_V1_TRIAL },
		{ r_mm6, IKE_V1_UP }, { r_quick, IKE_V1_UP } } },
	{ AGGRESSIVE_ANSWERED, { { a_am1, IKE_V1_AM_DH }, { a_am2, IKE_V1_WAIT_AM3 }, { a_am3, IKE_V1_UP },
		{ r_quick, IKE_V1_UP } } },
	{ DIALLED, { { dial, IKE_V1_WAIT_MM2 }, { i_mm2, IKE_V1_OWN_DH }, { i_mm3, IKE_V1_WAIT_MM4 },
		{ i_mm4, IKE_V1_KEYS }, { i_mm5, IKE_V1_WAIT_MM6 }, { i_mm6, IKE_V1_UP }, { i_quick, IKE_V1_UP } } },
};

/* What may do something there, if it is the right one: in main and aggressive mode the message that is waited for; in the clear, to
 * a side that dials, a hint. What comes behind the keys must be sealed with them, and these are not. */
static bool waited_for(enum way_kind kind, enum ike_v1_state state, unsigned exchange, bool sealed)
{
	if (kind == DIALLED && state != IKE_V1_UP && exchange == INFO && !sealed)
		return true;
	if (state == IKE_V1_WAIT_AM3)
		return exchange == AGGRESSIVE;
	return exchange == MAIN && (sealed ? state == IKE_V1_WAIT_MM5 : state == EMBRYO || state == IKE_V1_WAIT_MM2 || state == IKE_V1_WAIT_MM4);
}

/* Nothing but the parts that it may keep of a message is another one, and those only where it waits for a message. */
static void same(const struct ike_v1_sa *was, unsigned sent, const char *what, unsigned exchange, unsigned state)
{
	struct ike_v1_sa now;

	ck_assert_msg(world.n_sent == sent, "%s, exchange %u, state %u: something was said", what, exchange, state);
	if (state == EMBRYO)
		return;
	now = *the_sa();
	if (!(1u << now.state & (1u << IKE_V1_DH | 1u << IKE_V1_TRIAL | 1u << IKE_V1_AM_DH)))
		now.fragments = was->fragments;
	ck_assert_msg(memcmp(&now, was, sizeof(now)) == 0, "%s, exchange %u, state %u: the SA is not what it was", what, exchange, state);
}

static void try(const struct msg *body, const char *what, unsigned exchange, unsigned flags, uint32_t mid, enum way_kind kind,
	enum ike_v1_state state, bool parts)
{
	bool sealed = flags & 1;
	struct ike_v1_sa was = { 0 };
	struct msg m = *body, part;
	unsigned sent = world.n_sent;

	if (waited_for(kind, state, exchange, sealed))
		return;
	if (state != EMBRYO)
		was = *the_sa();
	memcpy(m.p, c.ic, 8);
	memcpy(m.p + 8, c.rc, 8);
	m.p[18] = (uint8_t)exchange;
	m.p[19] = (uint8_t)flags;
	m.p[20] = (uint8_t)(mid >> 24), m.p[21] = (uint8_t)(mid >> 16), m.p[22] = (uint8_t)(mid >> 8), m.p[23] = (uint8_t)mid;
	world.hold_drain = true;
	for (unsigned i = 1; parts && i <= 2; i++) {
		client_fragment(&m, 3, i, 2, &part);
		world_input(&c, &part);
	}
	if (!parts)
		world_input(&c, &m);
	world.hold_drain = false;
	same(&was, sent, what, exchange, state);
}

static void try_all(enum way_kind kind, enum ike_v1_state state)
{
	static const uint8_t exchanges[] = { 0, 1, MAIN, 3, AGGRESSIVE, INFO, TRANSACTION, 7, QUICK, 33, 34, 255 };
	static const struct {
		const char *name;
		const struct msg *m;
	} bodies[] = { { "main mode 1", &m1 }, { "main mode 3", &m3 }, { "main mode 5", &m5 }, { "what was said", &said } };

	for (unsigned b = 0; b < VD_ARRAY_SIZE(bodies); b++)
		for (unsigned e = 0; e < VD_ARRAY_SIZE(exchanges); e++)
			for (unsigned k = 0; k < 16; k++) {
				struct msg m = *bodies[b].m;

				if (m.len < 28)
					continue;
				if (b == 3 && exchanges[e] == m.p[18])
					continue; /* a duplicate: that is answered */
				m.p[16] = (uint8_t)(k & 8 ? 8 : m.p[16]);
				try(&m, bodies[b].name, exchanges[e], k & 1 ? 1 : 0, k & 2 ? 0x4711 : 0, kind, state, k & 4);
			}
}

/* Messages to say in the wrong place. */
static void messages(void)
{
	struct client other;

	client_init(&other, PSK_A, 7, 256, 4, 14);
	other.path.remote.port = 501;
	client_mm1(&other, &m1);
	ck_assert(client_mm2(&other, ask(&other, &m1)));
	client_mm3(&other, &m3);
	ck_assert(client_mm4(&other, ask(&other, &m3)));
	client_mm5(&other, &m5);
	ck_assert(client_mm6(&other, ask(&other, &m5)));
	client_free(&other);
}

START_TEST(test_every_state)
{
	const struct way *w = &ways[_i];

	for (unsigned at = 0; w->steps[at].go != NULL; at++) {
		world_start(YAML);
		messages();
		said.len = 0;
		client_init(&c, w->kind == DIALLED ? PSK_B : PSK_A, 7, 256, 4, 14);
		for (unsigned i = 0; w->steps[i].go != NULL; i++) {
			w->steps[i].go();
			if (w->steps[i].state != EMBRYO)
				ck_assert_uint_eq(the_sa()->state, w->steps[i].state);
			if (i == at)
				try_all(w->kind, w->steps[i].state);
		}
		ck_assert_uint_ge(vd_counter("ike_v1.drop.state") + vd_counter("ike_v1.drop.no_sa"), 1);
		ck_assert_uint_eq(world_live(true), 1);
		ck_assert_uint_eq(world_live(false), 1);
		client_free(&c);
		world_stop();
	}
}
END_TEST

static void sales(struct client *one)
{
	client_init(one, PSK_A, 7, 256, 4, 14);
	one->id_len = 9;
	memcpy(one->id, "\x0b\0\0\0sales", 9);
}

/* Forged first messages of aggressive mode, more than its budget and its places have room for: clients in main mode do not notice,
 * and a client in aggressive mode gets in as well, after a few tries. */
START_TEST(test_aggressive_flood)
{
	unsigned first = 0, tries = 0, in = 0;
	struct client forged, one;
	struct msg m;

	world_start("ike_port: { half_open: 100 }\n" YAML);
	sales(&forged);
	for (uint32_t i = 0; i < 2400; i++) {
		forged.path.remote.ip = vd_ip4(i % 3 ? 0x0a000000 + i : 0xc0000207); /* some of them in the name of a client */
		memcpy(forged.ic, &i, 4);
		client_am1(&forged, &m);
		world_input(&forged, &m);
		if (i % 4 == 3)
			fake_advance(5); /* 800 a second */
		if (i % 200 != 199)
			continue;
		client_init(&one, PSK_A, 7, 256, 4, 14);
		one.path.remote.port = (uint16_t)(4000 + i);
		unsigned n = world.n_sent;
		client_mm1(&one, &m);
		world_input(&one, &m);
		ck_assert(client_mm2(&one, world_reply(n)));
		n = world.n_sent;
		client_mm3(&one, &m);
		world_input(&one, &m);
		ck_assert_msg(world.n_sent > n, "main mode was refused, after %u forged messages", i);
		ck_assert(client_mm4(&one, world_reply(n)));
		client_mm5(&one, &m);
		ck_assert(client_mm6(&one, ask(&one, &m)));
		first++;
		client_free(&one);
		sales(&one);
		one.path.remote.port = (uint16_t)(1000 + i);
		client_am1(&one, &m);
		for (unsigned k = 0; k < 10; k++) {
			n = world.n_sent;
			tries++;
			world_input(&one, &m);
			if (world.n_sent > n && client_am2(&one, world_reply(n))) {
				client_am3(&one, true, &m);
				world_input(&one, &m);
				in++;
				break;
			}
			fake_advance(1);
		}
		client_free(&one);
	}
	ck_assert_uint_eq(first, 12);
	ck_assert_uint_eq(in, 12);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 24);
	ck_assert_uint_gt(vd_counter("ike_v1.aggressive.pushed_out"), 100);
	ck_assert_uint_eq(vd_counter("ike_port.refused.half_open"), 0);
	ck_assert_uint_eq(vd_counter("ike_port.refused.half_open_source"), 0);
	client_free(&forged);
	world_stop();
}
END_TEST

/* While many logins are under way, an address has its share of half-open places, and one for each session that it had. */
START_TEST(test_office_has_places)
{
	const struct vd_ip office = vd_ip4(0xc6336440), other = vd_ip4(0xc6336441);
	const struct vd_ike_port_1 *port;
	struct vd_source *s;
	unsigned n = 0, k = 0;

	world_start("ike_port: { half_open: 1000, half_open_per_source: 20 }\n" YAML);
	port = vd_service_find("ike.port/1", NULL);
	s = vd_source_hold(&office);
	for (unsigned i = 0; i < 100; i++)
		vd_source_joined(s, i);
	for (uint32_t i = 0; i < 250; i++) {
		struct vd_ip ip = vd_ip4(0x0a000000 + i);

		ck_assert(port->half_open_take(port->self, &ip, VD_STANDING_ANSWERED));
	}
	while (port->half_open_take(port->self, &other, VD_STANDING_ANSWERED))
		k++;
	while (port->half_open_take(port->self, &office, VD_STANDING_ANSWERED))
		n++;
	ck_assert_uint_le(k, 20);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_le(n, 120);
	for (unsigned i = 0; i < 100; i++)
		vd_source_left(s);
	vd_source_drop(s);
	world_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_states");
	TCase *t = tcase_create("states");
	SRunner *r = srunner_create(s);

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_aggressive_flood);
	tcase_add_test(t, test_office_has_places);
	tcase_add_loop_test(t, test_every_state, 0, VD_ARRAY_SIZE(ways));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
