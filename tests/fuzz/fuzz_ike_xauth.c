/* IKEv1 of clients with XAuth, behind decryption: answers to what is asked, mode config, quick mode for a tunnel, and
 * aggressive mode. Three IKE SAs are there from the start: one was asked for name and password, one has a session and its
 * address, one waits for message 3 of aggressive mode. */
#include <check.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/topics.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ike.h"

#define YAML \
	"ike_v1: { embryos: 16 }\n" \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { road: {} }\n" \
	"connections:\n" \
	"  phones: { accept: [xauth], realm: corp, pool: road, crypto: legacy,\n" \
	"    xauth: { psk: !env IKE_TEST_PSK_A, banner: Welcome } }\n" \
	"  sales: { accept: [xauth], realm: corp, pool: road, crypto: legacy,\n" \
	"    xauth: { psk: !env IKE_TEST_PSK_B, aggressive: true, group: sales } }\n"

/* The octets: of an answer, the body of its Attributes payload; else the type of the first payload (u8), then payloads:
 * in aggressive mode all of them, else those behind the HASH. */
enum { OP_ANSWER, OP_TRANSACTION, OP_QUICK, OP_QUICK_3, OP_INFO, OP_AM1, OP_AM3, OP_EARLY };
#define OP_KIND 7u
#define OP_PLAIN 8u   /* the HASH is the input's business, too */
#define OP_AGAIN 16u  /* with the message id used last */
#define OP_BLOCKS 32u /* not whole blocks */
#define OP_CODE 64u   /* a right password is not enough */

struct party {
	struct client c;
	uint32_t mid; /* of the last question that it was asked, and the IV to answer with */
	uint8_t iv[16];
};
struct parties {
	struct party asked, up, group;
};
static struct fuzz_ike start = { .yaml = YAML };
static struct parties at_start;

static void listen(struct party *p, unsigned since)
{
	for (unsigned i = since; i < world.n_sent; i++) {
		struct msg m = world.sent[i % WORLD_SENT];
		uint32_t mid = (uint32_t)m.p[20] << 24 | (uint32_t)m.p[21] << 16 | (uint32_t)m.p[22] << 8 | m.p[23];
		uint8_t iv[16];
		size_t n;

		if (m.len < 28 || m.p[18] != 6 || memcmp(m.p, p->c.ic, 8) != 0 || mid == p->mid ||
			client_cfg_open(&p->c, &m, true, iv, &n) == NULL)
			continue;
		p->mid = mid;
		memcpy(p->iv, iv, sizeof(iv));
	}
}

/* With a copy of the IV: the same question may be answered more than once. */
static void answer(struct party *p, const void *body, size_t len)
{
	uint8_t iv[16];
	struct msg m;
	unsigned n = world.n_sent;

	memcpy(iv, p->iv, sizeof(iv));
	client_cfg(&p->c, p->mid, false, iv, body, len, &m);
	world_input(&p->c, &m);
	listen(p, n);
}

static const uint8_t login[] = { 2, 0, 0, 1, 0xc0, 0x88, 0, 0, 0x40, 0x89, 0, 4, 'U', 's', 'e', 'r', 0x40, 0x8a, 0, 10, 'c', 'l', 'i',
	'e', 'n', 't', 'P', 'a', 's', 's' };
static const uint8_t status_ack[] = { 4, 0, 0, 2, 0xc0, 0x8f, 0, 1 };
static const uint8_t pull[] = { 1, 0, 0x47, 0x11, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0x70, 0, 0, 0,
	0x70, 2, 0, 0, 0x70, 3, 0, 0, 0x70, 4, 0, 0, 0x70, 6, 0, 0 };

static void asked(struct party *p, unsigned port)
{
	unsigned n = world.n_sent;

	fuzz_ike_main(&p->c, "correct horse battery", 65001, port, true);
	listen(p, n);
	ck_assert_uint_ne(p->mid, 0);
}

static void sales(struct client *c, unsigned port, struct msg *m)
{
	client_init(c, "tills and routers", 7, 128, 2, 2);
	c->auth = 65001;
	c->path.remote.port = (uint16_t)port;
	memcpy(c->id, "\x0b\0\0\0sales", 9);
	c->id_len = 9;
	client_am1(c, m);
}

static void prepare(void)
{
	struct parties *p = &at_start;
	struct msg m;

	fuzz_begin();
	world_tunnels = true;
	world_start(start.yaml);
	asked(&p->asked, 500);
	asked(&p->up, 501);
	answer(&p->up, login, sizeof(login));
	answer(&p->up, status_ack, sizeof(status_ack));
	memcpy(p->up.c.tunnel, "\x0a\x08\0\x17", 4);
	unsigned n = world.n_sent;
	sales(&p->group.c, 502, &m);
	world_input(&p->group.c, &m);
	ck_assert(client_am2(&p->group.c, world_reply(n)));
	fuzz_ike_keep(&start);
}

static void begin(struct parties *p)
{
	if (!start.len)
		prepare();
	fuzz_ike_again(&start);
	*p = at_start;
	p->asked.c.x = BN_dup(at_start.asked.c.x);
	p->up.c.x = BN_dup(at_start.up.c.x);
	p->group.c.x = BN_dup(at_start.group.c.x);
}

static void end(struct parties *p)
{
	client_free(&p->asked.c);
	client_free(&p->up.c);
	client_free(&p->group.c);
	world_stop();
}

/* In the clear, under a cookie of its own. */
static void message_1(const struct client *c, uint32_t mid, uint8_t next, const uint8_t *p, size_t len, struct msg *m)
{
	memset(m->p, 0, 28);
	memcpy(m->p, "fuzz", 4);
	for (unsigned i = 0; i < 4; i++)
		m->p[4 + i] = (uint8_t)(mid >> (24 - 8 * i));
	m->len = 28 + len;
	m->p[16] = next, m->p[17] = 0x10, m->p[18] = 4;
	m->p[26] = (uint8_t)(m->len >> 8), m->p[27] = (uint8_t)m->len;
	memcpy(m->p + 28, p, len);
	world_input(c, m);
}

static void message_3(struct client *c, uint8_t next, uint8_t *p, size_t len, uint8_t op)
{
	struct msg m;
	size_t n = 0;
	uint8_t *hash = fuzz_payload(next, p, len, 8, &n);

	if (!(op & OP_PLAIN) && hash && n == c->hash_len)
		client_hash_i(c, c->id, c->id_len, hash);
	client_main_with(c, next, p, len, &m);
	m.p[18] = 4;
	m.len -= op & OP_BLOCKS ? 3 : 0;
	world_input(c, &m);
}

static void sealed(struct party *p, uint8_t exchange, uint32_t mid, uint8_t next, uint8_t *body, size_t len, uint8_t op)
{
	unsigned sent = world.n_sent;

	fuzz_ike_sealed(&p->c, exchange, mid, !(op & OP_PLAIN), op & OP_BLOCKS, next, body, len);
	listen(p, sent);
}

static void play(struct parties *p, const struct fuzz_record *r, uint32_t mid)
{
	uint8_t next = r->p[0], *body = r->p + 1;
	size_t len = r->len - 1;
	struct msg m;

	world.again = r->op & OP_CODE;
	switch (r->op & OP_KIND) {
	case OP_ANSWER:
		answer(&p->asked, r->p, r->len);
		break;
	case OP_TRANSACTION:
		sealed(&p->up, 6, mid, next, body, len, r->op);
		break;
	case OP_QUICK:
		sealed(&p->up, 32, mid, next, body, len, r->op);
		break;
	case OP_QUICK_3:
		client_qm3(&p->up.c, &m);
		world_input(&p->up.c, &m);
		break;
	case OP_INFO:
		sealed(r->op & OP_CODE ? &p->up : &p->asked, 5, mid, next, body, len, r->op);
		break;
	case OP_AM1:
		message_1(&p->group.c, mid, next, body, len, &m);
		break;
	case OP_AM3:
		message_3(&p->group.c, next, body, len, r->op);
		break;
	default: /* before it is known who it is, and after */
		sealed(&p->asked, r->op & OP_CODE ? 32 : 6, mid, next, body, len, r->op);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct parties p;
	struct vd_rd rd;
	uint32_t mid = 0x1000;

	begin(&p);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		if (r.len < 1 || r.len > 3900)
			continue;
		mid += !(r.op & OP_AGAIN);
		play(&p, &r, mid);
	}
	fuzz_end(&r);
	end(&p);
	return 0;
}

/* ---- seeds: what the tests' client says, before it is encrypted ---- */
static uint8_t seed_op;

static void keep(const struct msg *m)
{
	uint8_t body[sizeof(m->p)];
	size_t at = 28;

	body[0] = m->p[16];
	if (seed_op != OP_AM3) { /* its HASH is made anew */
		body[0] = m->p[28];
		at += (size_t)m->p[30] << 8 | m->p[31];
	}
	memcpy(body + 1, m->p + at, m->len - at);
	fuzz_put(seed_op, body, m->len - at + 1);
}

static void put_transaction(uint8_t op, const void *body, size_t len)
{
	uint8_t p[5 + 512] = { 14, 0, 0, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4) };

	ck_assert_uint_le(len, 512);
	memcpy(p + 5, body, len);
	fuzz_put(op, p, len + 5);
}

static void say(struct parties *p, uint8_t op, const uint8_t *body, size_t len)
{
	fuzz_put(op, body, len);
	world.again = op & OP_CODE;
	answer(&p->asked, body, len);
}

static void log_in(const char *name, const char *password, uint8_t op, unsigned passed)
{
	static const uint8_t code[] = { 2, 0, 0, 2, 0xc0, 0x88, 0, 0, 0x40, 0x8b, 0, 10, 'c', 'l', 'i', 'e', 'n', 't', 'P', 'a', 's', 's' };
	uint8_t body[64];
	struct parties p;

	memcpy(body, login, sizeof(login));
	body[19] = (uint8_t)strlen(password);
	memcpy(body + 20, password, strlen(password));
	begin(&p);
	say(&p, op, body, sizeof(login) - 10 + strlen(password));
	if (op & OP_CODE)
		say(&p, OP_ANSWER, code, sizeof(code));
	ck_assert_uint_eq(vd_counter("ike_v1.xauth"), passed);
	say(&p, OP_ANSWER, status_ack, sizeof(status_ack));
	put_transaction(OP_EARLY, pull, sizeof(pull));
	fuzz_put_done(name);
	end(&p);
}

static void tunnel(void)
{
	struct parties p;
	struct msg m;

	begin(&p);
	put_transaction(OP_TRANSACTION, pull, sizeof(pull));
	client_plain = keep;
	unsigned n = world.n_sent;
	seed_op = OP_QUICK;
	client_qm1(&p.up.c, 0x77, 1, 12, 128, 2, 0, 0, &m);
	world_input(&p.up.c, &m);
	ck_assert(client_qm2(&p.up.c, world_reply(n), 36));
	client_plain = NULL;
	fuzz_put(OP_QUICK_3, "", 1);
	client_qm3(&p.up.c, &m);
	world_input(&p.up.c, &m);
	ck_assert_uint_eq(fake_events(&vd_topic_chan_up), 1);
	fuzz_put_done("tunnel");
	end(&p);
}

static void aggressive(void)
{
	struct parties p;
	struct client c;
	struct msg m;
	uint8_t body[sizeof(m.p)];

	begin(&p);
	sales(&c, 503, &m);
	body[0] = m.p[16];
	memcpy(body + 1, m.p + 28, m.len - 28);
	fuzz_put(OP_AM1, body, m.len - 27);
	client_free(&c);
	client_plain = keep;
	seed_op = OP_AM3;
	client_am3(&p.group.c, true, &m);
	unsigned n = world.n_sent;
	world_input(&p.group.c, &m);
	listen(&p.group, n);
	ck_assert_uint_ne(p.group.mid, 0); /* it is asked who it is */
	client_plain = NULL;
	fuzz_put_done("aggressive");
	end(&p);
}

void fuzz_seeds(void)
{
	log_in("login", "clientPass", OP_ANSWER, 1);
	log_in("login-code", "clientPass", OP_ANSWER | OP_CODE, 1);
	log_in("wrong", "guessed", OP_ANSWER, 0);
	log_in("nobody-to-ask", "down", OP_ANSWER, 0);
	tunnel();
	aggressive();
}
