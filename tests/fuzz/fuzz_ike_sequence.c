/* Sequences of IKEv1: several parties at once, each in an exchange of its own kind, whose messages come to the IKE SAs of the
 * others, again, late, changed, in parts, under their keys or not. A record is one step of the script: see enum op. */
#include <check.h>
#include <string.h>
#include <viaduct/connect.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>
#include <viaduct/topics.h>

#include "core/plugin.h"
#include "core/object/object.h"
#include "plugins/ike/v1/v1.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sequence.h"

/* The world is one of these: clients of L2TP in main and aggressive mode and a gateway that we dial; or XAuth. */
#define L2TP_YAML \
	"ike_v1: { embryos: 16 }\n" \
	"connections:\n" \
	"  staff: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_A, aggressive: true, group: sales } }\n" \
	"  office: { connect: [l2tp], peer: 198.51.100.7, crypto: legacy, user: alice, password: !env IKE_TEST_PSK_B, " \
	"l2tp: { psk: !env IKE_TEST_PSK_B } }\n"
#define XAUTH_YAML \
	"ike_v1: { embryos: 16 }\n" \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { road: {} }\n" \
	"connections:\n" \
	"  phones: { accept: [xauth], realm: corp, pool: road, crypto: legacy,\n" \
	"    xauth: { psk: !env IKE_TEST_PSK_A } }\n" \
	"  sales: { accept: [xauth], realm: corp, pool: road, crypto: legacy,\n" \
	"    xauth: { psk: !env IKE_TEST_PSK_B, aggressive: true, group: sales } }\n"

static struct party parties[PARTIES];

/* ---- what must hold after each step ---- */
/* An IKE SA keeps the exchange and the role that it began with: its states are those of one list. */
enum kind { ANSWERED_MAIN = 1, ANSWERED_AGGRESSIVE, DIALLED };
static struct known {
	uint8_t icookie[8], rcookie[8];
	enum kind kind;
} known[64];
static unsigned n_known;

static enum kind kind_of(enum ike_v1_state state)
{
	switch (state) {
	case IKE_V1_DH: case IKE_V1_WAIT_MM5: case IKE_V1_TRIAL: return ANSWERED_MAIN;
	case IKE_V1_AM_DH: case IKE_V1_WAIT_AM3: return ANSWERED_AGGRESSIVE;
	case IKE_V1_WAIT_MM2: case IKE_V1_OWN_DH: case IKE_V1_WAIT_MM4: case IKE_V1_KEYS: case IKE_V1_WAIT_MM6: return DIALLED;
	default: return 0; /* up: of any kind */
	}
}

static unsigned sas(void)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;
	unsigned n = 0;

	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa; sa = sa->hash_next, n++) {
			enum kind kind = kind_of(sa->state);
			unsigned k = 0;

			while (k < n_known && (memcmp(known[k].icookie, sa->icookie, 8) != 0 || memcmp(known[k].rcookie, sa->rcookie, 8) != 0))
				k++;
			if (k < n_known) {
				ck_assert_msg(kind == 0 || kind == known[k].kind, "an IKE SA of kind %u is in a state of kind %u", known[k].kind, kind);
			} else if (kind != 0 && kind != DIALLED && n_known < VD_ARRAY_SIZE(known)) { /* the cookie of a dialled one comes later */
				memcpy(known[n_known].icookie, sa->icookie, 8);
				memcpy(known[n_known].rcookie, sa->rcookie, 8);
				known[n_known++].kind = kind;
			}
		}
	return n;
}

/* Both cookies of a party's IKE SA; the gateway's one also when it has not said it yet: that nobody can know it must not matter. */
static void cookies(const struct party *p, uint8_t *to)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;

	memcpy(to, p->c.ic, 8);
	memcpy(to + 8, p->c.rc, 8);
	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa; sa = sa->hash_next)
			if (memcmp(sa->icookie, p->c.ic, 8) == 0)
				memcpy(to + 8, sa->rcookie, 8);
}

/* ---- the script ---- */
/* Sent as it is, or with some octets changed: triples of place (u16) and mask. */
static void deliver(const struct party *as, struct msg *m, const uint8_t *changes, size_t len)
{
	for (; len >= 3; changes += 3, len -= 3) {
		size_t at = (size_t)changes[0] << 8 | changes[1];

		if (m->len > 0)
			m->p[at % m->len] ^= changes[2];
	}
	world_input(&as->c, m);
}

/* A message of one party in the SA of another. The octets: whose it was, which of them, what is done to it, the exchange, the
 * flags, the message id's last octet, changes. */
enum { COOKIES = 1, PATH = 2, KEYS = 4, EXCHANGE = 8, FLAGS = 16, MID = 32, PARTS = 64 };
static void cross(struct party *to, const uint8_t *p, size_t len)
{
	const struct party *from = &parties[p[0] % PARTIES];
	const struct said *said = &from->said[p[1] % SAID];
	struct msg m = said->wire;
	uint8_t exchange = p[2] & EXCHANGE ? p[3] : said->wire.p[18];

	if (m.len < 28)
		return;
	if (p[2] & KEYS && said->plain.len > 28 && to->c.gxy_len > 0) {
		const uint8_t *body = said->plain.p + 28;
		size_t n = said->plain.len - 28;
		uint8_t next = said->plain.p[16];
		struct client was = to->c; /* its own conversation goes on as if this had not been */

		if (exchange == 2 || exchange == 4) {
			client_main_with(&to->c, next, body, n, &m);
			m.p[18] = exchange;
		} else {
			size_t hash = (size_t)body[2] << 8 | body[3];
			bool hashed = next == 8 && hash <= n;

			client_sealed_with(&to->c, exchange, (uint32_t)(0x4000 + p[5]), hashed, hashed ? body[0] : next, hashed ? body + hash : body,
				hashed ? n - hash : n, &m);
		}
		to->c = was;
	}
	if (p[2] & COOKIES)
		cookies(to, m.p);
	m.p[18] = exchange;
	if (p[2] & FLAGS)
		m.p[19] = p[4];
	if (p[2] & MID)
		memset(m.p + 20, 0, 3), m.p[23] = p[5];
	if (p[2] & PARTS) {
		for (unsigned i = 1; i <= 2; i++) {
			struct msg part;

			client_fragment(&m, p[5], i, 2, &part);
			deliver(p[2] & PATH ? to : from, &part, p + 6, i == 1 ? len - 6 : 0);
		}
		return;
	}
	deliver(p[2] & PATH ? to : from, &m, p + 6, len - 6);
}

/* One of its messages once more, in parts: which, how many, under which number; then the parts in this order. */
static void in_parts(struct party *p, const uint8_t *o, size_t len)
{
	const struct msg *m = &p->said[o[0] % SAID].wire;
	unsigned of = 1 + o[1] % 8;

	for (size_t i = 3; i < len && i < 19 && m->len >= 28 + of; i++) {
		unsigned number = 1 + o[i] % of;
		struct msg part;

		if ((number - 1) * ((m->len + of - 1) / of) >= m->len)
			continue;
		client_fragment(m, o[2], number, of, &part);
		world_input(&p->c, &part);
	}
}

/* In the clear, with the cookies of its IKE SA: next payload, exchange, flags, message id's last octet, payloads. */
static void clear(const struct party *p, const uint8_t *o, size_t len)
{
	struct msg m = { .len = 28 + len - 4 };

	cookies(p, m.p);
	m.p[16] = o[0], m.p[17] = 0x10, m.p[18] = o[1], m.p[19] = o[2], m.p[23] = o[3];
	m.p[26] = (uint8_t)(m.len >> 8), m.p[27] = (uint8_t)m.len;
	memcpy(m.p + 28, o + 4, len - 4);
	world_input(&p->c, &m);
}

/* An operator ends all peers there are. */
static void end_peers(void)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;
	uint64_t ids[32];
	unsigned n = 0;

	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa && n < VD_ARRAY_SIZE(ids); sa = sa->hash_next)
			if (sa->peer)
				ids[n++] = sa->peer->id;
	for (unsigned i = 0; i < n; i++)
		vd_peer_close(ids[i], "the operator ends it");
}

static void step(uint8_t op, const uint8_t *o, size_t len)
{
	struct party *p = &parties[(op >> 4) % PARTIES];
	uint8_t body[4096];

	world.hold_drain = op & OP_HOLD;
	switch (op & OP_KIND) {
	case OP_NEXT:
		party_next(p, o, len);
		break;
	case OP_BEGIN:
		party_begin(p, len > 0 ? o[0] % WAYS : 0);
		break;
	case OP_AGAIN:
		if (len >= 1) {
			struct msg m = p->said[o[0] % SAID].wire;

			deliver(p, &m, o + 1, len - 1);
		}
		break;
	case OP_CROSS:
		if (len >= 6)
			cross(p, o, len);
		break;
	case OP_PARTS:
		if (len >= 4)
			in_parts(p, o, len);
		break;
	case OP_CLEAR:
		if (len >= 4 && len < sizeof(body) - 28)
			clear(p, o, len);
		break;
	case OP_SEALED: /* exchange, message id's last octet, next payload, payloads */
		if (len >= 3 && len < 3900 && p->c.gxy_len > 0) {
			memcpy(body, o + 3, len - 3);
			fuzz_ike_sealed(&p->c, o[0], 0x5000u + o[1], true, false, o[2], body, len - 3);
		}
		break;
	case OP_INFO:
		party_info(p, len > 0 ? o[0] : 0);
		break;
	case OP_MOVE: /* port, address */
		if (len >= 2) {
			p->c.path.remote.port = (uint16_t)(500 + o[0] % 8);
			p->c.path.remote.ip.a[3] = (uint8_t)(7 + o[1] % 4);
		}
		break;
	case OP_DRAIN:
		world.hold_drain = false;
		world.hold_acks = len > 0 && o[0] & 1;
		if (!world.hold_acks)
			world_acks();
		fake_drain();
		break;
	case OP_END:
		end_peers();
		if (!world.hold_drain)
			fake_drain();
		break;
	default:
		break;
	}
	world.hold_drain = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	fuzz_begin();
	world_tunnels = size > 0 && (data[0] & OP_KIND) == OP_BEGIN && size > 3 && data[3] & 0x80;
	world_start(world_tunnels ? XAUTH_YAML : L2TP_YAML);
	n_known = 0;
	for (unsigned i = 0; i < PARTIES; i++)
		party_init(&parties[i], i);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME)
			fake_advance(fuzz_ms(&r));
		else
			step(r.op, r.p, r.len);
		sas();
	}
	fuzz_end(&r);
	/* Nobody says anything any more: no IKE SA lives longer than its life. */
	world.hold_acks = false;
	world_acks();
	for (unsigned i = 0; i < PARTIES; i++)
		party_hang_up(&parties[i]);
	for (unsigned h = 0; h < 2 && sas() > 0; h++)
		fake_advance(86400000);
	ck_assert_uint_eq(sas(), 0);
	for (unsigned i = 0; i < PARTIES; i++)
		client_free(&parties[i].c);
	world_stop();
	return 0;
}

/* ---- seeds ---- */
static void say(uint8_t op, const void *p, size_t len)
{
	fuzz_put(op, p, len);
	step(op, p, len);
	sas();
}

static void begin(bool tunnels, unsigned who, unsigned way)
{
	uint8_t o = (uint8_t)(way | (tunnels ? 0x80 : 0));

	if (!vd_plugin_find("ike_v1")) {
		fuzz_begin();
		world_tunnels = tunnels;
		world_start(tunnels ? XAUTH_YAML : L2TP_YAML);
		n_known = 0;
		for (unsigned i = 0; i < PARTIES; i++)
			party_init(&parties[i], i);
	}
	say((uint8_t)(OP_BEGIN | who << 4), &o, 1);
}

static void next(unsigned who, unsigned steps)
{
	while (steps-- > 0)
		say((uint8_t)(OP_NEXT | who << 4), "", 0);
}

static void done(const char *name)
{
	fuzz_put_done(name);
	for (unsigned i = 0; i < PARTIES; i++) {
		party_hang_up(&parties[i]);
		client_free(&parties[i].c);
	}
	world_stop();
}

/* All of them at once, a step each in turn. */
static void interleaved(void)
{
	begin(false, 0, WAY_MAIN);
	begin(false, 1, WAY_MAIN);
	begin(false, 2, WAY_AGGRESSIVE);
	begin(false, 3, WAY_DIALLED);
	for (unsigned i = 0; i < 9; i++)
		for (unsigned who = 0; who < 4; who++)
			next(who, 1);
	ck_assert_uint_eq(sas(), 4);
	ck_assert_uint_eq(vd_peer_count(), 4);
	ck_assert_uint_ge(world_live(true), 4);
	ck_assert_uint_ge(world_live(false), 4);
	done("interleaved");
}

static void xauth(void)
{
	begin(true, 0, WAY_MAIN);
	begin(true, 1, WAY_MAIN);
	begin(true, 2, WAY_AGGRESSIVE);
	for (unsigned i = 0; i < 10; i++)
		for (unsigned who = 0; who < 3; who += 2)
			next(who, 1);
	ck_assert_uint_ge(vd_counter("ike_v1.xauth"), 1);
	ck_assert_uint_ge(world_live(true), 1);
	done("xauth");
}

/* An encrypted message 5 of main mode into an IKE SA of aggressive mode, while that computes and when it waits; then it goes on. */
static void main_into_aggressive(void)
{
	static const uint8_t five[] = { 0, 2, COOKIES | PATH | KEYS, 0, 0, 0 };

	begin(false, 0, WAY_MAIN);
	next(0, 3);
	begin(false, 2, WAY_AGGRESSIVE);
	say(OP_NEXT | OP_HOLD | 2 << 4, "", 0);
	say(OP_CROSS | OP_HOLD | 2 << 4, five, sizeof(five));
	say(OP_DRAIN | 2 << 4, "", 1);
	say(OP_CROSS | 2 << 4, five, sizeof(five));
	say(OP_NEXT | 2 << 4, "", 1); /* message 3, not sent */
	say(OP_CROSS | 2 << 4, five, sizeof(five));
	ck_assert_uint_ge(vd_counter("ike_v1.drop.state"), 3);
	say(OP_AGAIN | 2 << 4, "\1", 1);
	next(2, 2);
	ck_assert_uint_eq(world_live(true), 1);
	done("main-into-aggressive");
}

/* Each message of one into each state of another. */
static void crossed(const char *name, unsigned from, enum way of, unsigned to, enum way way, uint8_t how)
{
	begin(false, from, of);
	next(from, 6);
	begin(false, to, way);
	for (unsigned i = 0; i < 10; i++) {
		for (uint8_t k = 0; k < 5; k++) {
			uint8_t o[] = { (uint8_t)from, k, how, 0, 0, k };

			if (i < 8)
				say((uint8_t)(OP_CROSS | to << 4), o, sizeof(o));
		}
		if (i % 2 == 0) { /* it reads the answer and makes its next message; that is sent behind what was crossed */
			say((uint8_t)(OP_NEXT | to << 4), "", 1);
		} else {
			uint8_t o = (uint8_t)(parties[to].n_said - 1);

			say((uint8_t)(OP_AGAIN | to << 4), &o, 1);
		}
	}
	done(name);
}

static void rest(void)
{
	static const uint8_t order[] = { 0, 2, 9, 2, 0, 1, 0 };
	static const uint8_t hour[] = { 0, 0, 0x8c, 0xa0 };

	begin(false, 0, WAY_MAIN);
	say(OP_NEXT, "", 0);
	say(OP_PARTS, order, sizeof(order));
	next(0, 6);
	for (uint8_t kind = 0; kind < INFOS - 1; kind++)
		say(OP_INFO, &kind, 1);
	for (unsigned i = 0; i < 4; i++)
		say(OP_AGAIN, &(uint8_t){ (uint8_t)i }, 1);
	say(OP_MOVE, "\1\1", 2);
	next(0, 3);
	fuzz_put(FUZZ_TIME, hour, sizeof(hour));
	say(OP_END, "", 0);
	done("parts-infos-repeats");

	begin(false, 3, WAY_DIALLED);
	say(OP_NEXT | OP_HOLD | 3 << 4, "", 0);
	say(OP_NEXT | OP_HOLD | 3 << 4, "", 0);
	say(OP_END, "", 0);
	begin(false, 3, WAY_DIALLED);
	next(3, 6);
	say(OP_INFO | 3 << 4, &(uint8_t){ 2 }, 1);
	done("dialled-ended");
}

void fuzz_seeds(void)
{
	interleaved();
	xauth();
	main_into_aggressive();
	crossed("main-into-aggressive-keys", 0, WAY_MAIN, 2, WAY_AGGRESSIVE, COOKIES | PATH | KEYS);
	crossed("aggressive-into-main-keys", 2, WAY_AGGRESSIVE, 0, WAY_MAIN, COOKIES | PATH | KEYS);
	crossed("aggressive-into-main", 2, WAY_AGGRESSIVE, 0, WAY_MAIN, COOKIES);
	crossed("main-into-dialled-keys", 0, WAY_MAIN, 3, WAY_DIALLED, COOKIES | PATH | KEYS);
	crossed("dialled-into-main-parts", 3, WAY_DIALLED, 0, WAY_MAIN, COOKIES | PATH | PARTS);
	crossed("main-into-main-keys", 1, WAY_MAIN, 0, WAY_MAIN, COOKIES | PATH | KEYS);
	rest();
}
