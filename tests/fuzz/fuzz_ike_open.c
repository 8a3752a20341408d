/* IKEv1 behind decryption: the payloads are the input's, the HASH and the encryption are made right for them. Two IKE SAs
 * are there from the start: one waits for message 5, one is up. */
#include <check.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ike.h"

/* The octets: type of the first payload (u8), then payloads. For message 5 all of them; else those behind the HASH. */
enum { OP_MAIN, OP_QUICK, OP_INFO, OP_QUICK_3 };
#define OP_KIND 3u
#define OP_PLAIN 4u   /* the HASH is the input's business, too */
#define OP_AGAIN 8u   /* with the message id used last */
#define OP_BLOCKS 16u /* not whole blocks */
#define OP_PARTS 32u  /* comes in two parts */

static struct fuzz_ike start = { .yaml = FUZZ_IKE_YAML };
static struct client at_start[2]; /* the one that is up, the one that waits */

static void prepare(void)
{
	fuzz_begin();
	world_start(start.yaml);
	fuzz_ike_main(&at_start[0], "tills and routers", 0, 500, true);
	fuzz_ike_main(&at_start[1], "tills and routers", 0, 501, false);
	fuzz_ike_keep(&start);
}

static void begin(struct client *up, struct client *waiting)
{
	if (!start.len)
		prepare();
	fuzz_ike_again(&start);
	*up = at_start[0];
	*waiting = at_start[1];
	up->x = BN_dup(at_start[0].x);
	waiting->x = BN_dup(at_start[1].x);
}

static void end(struct client *up, struct client *waiting)
{
	client_free(up);
	client_free(waiting);
	world_stop();
}

static void message_5(struct client *c, uint8_t next, uint8_t *p, size_t len, bool plain, struct msg *m)
{
	size_t n = 0, hn = 0;
	const uint8_t *id = fuzz_payload(next, p, len, 5, &n);
	uint8_t *hash = fuzz_payload(next, p, len, 8, &hn);

	if (!plain && id && hash && hn == c->hash_len)
		client_hash_i(c, id, n, hash);
	client_main_with(c, next, p, len, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct client up, waiting;
	struct vd_rd rd;
	struct msg m;
	uint32_t mid = 0x1000;

	begin(&up, &waiting);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		if (r.len < 1 || r.len > 3900)
			continue;
		unsigned kind = r.op & OP_KIND;
		fuzz_ike_parts = r.op & OP_PARTS ? 2 : 1;
		uint8_t *p = r.p + 1;
		size_t len = r.len - 1;

		mid += !(r.op & OP_AGAIN);
		if (kind == OP_MAIN) {
			message_5(&waiting, r.p[0], p, len, r.op & OP_PLAIN, &m);
			m.len -= r.op & OP_BLOCKS ? 3 : 0;
			fuzz_ike_input(&waiting, &m);
		} else if (kind == OP_QUICK_3 && !(r.op & OP_PLAIN)) {
			client_qm3(&up, &m);
			m.len -= r.op & OP_BLOCKS ? 3 : 0;
			fuzz_ike_input(&up, &m);
		} else {
			fuzz_ike_sealed(&up, kind == OP_INFO ? 5 : 32, mid, !(r.op & OP_PLAIN), r.op & OP_BLOCKS, r.p[0], p, len);
		}
	}
	fuzz_end(&r);
	end(&up, &waiting);
	return 0;
}

/* ---- seeds: what the tests' client says, before it is encrypted ---- */
static uint8_t seed_op, seed_parts; /* seed_parts: OP_PARTS, or 0 */

static void keep(const struct msg *m)
{
	uint8_t body[sizeof(m->p)];
	size_t at = 28;

	if (seed_op == OP_QUICK_3) {
		fuzz_put(seed_op | seed_parts, "", 1);
		return;
	}
	body[0] = m->p[16];
	if (seed_op != OP_MAIN) { /* its HASH is made anew */
		body[0] = m->p[28];
		at += (size_t)m->p[30] << 8 | m->p[31];
	}
	memcpy(body + 1, m->p + at, m->len - at);
	fuzz_put(seed_op | seed_parts, body, m->len - at + 1);
}

static void quick_mode(const char *name, uint32_t mid, unsigned encap, unsigned esp, unsigned bits, unsigned auth,
	unsigned group, bool deletes)
{
	struct client up, waiting;
	struct msg m;

	begin(&up, &waiting);
	client_plain = keep;
	unsigned n = world.n_sent;
	seed_op = OP_QUICK;
	client_qm1(&up, mid, encap, esp, bits, auth, group, 1701, &m);
	world_input(&up, &m);
	ck_assert(client_qm2(&up, world_reply(n), 36));
	seed_op = OP_QUICK_3;
	client_qm3(&up, &m);
	world_input(&up, &m);
	seed_op = OP_INFO;
	if (deletes) {
		uint8_t esp_delete[12] = { 0, 0, 0, 1, 3, 4, 0, 1, (uint8_t)(up.spi_i >> 24), (uint8_t)(up.spi_i >> 16),
			(uint8_t)(up.spi_i >> 8), (uint8_t)up.spi_i };
		uint8_t ike_delete[24] = { 0, 0, 0, 1, 1, 16, 0, 1 };

		client_info(&up, mid + 1, 12, esp_delete, sizeof(esp_delete), &m);
		world_input(&up, &m);
		memcpy(ike_delete + 8, up.ic, 8);
		memcpy(ike_delete + 16, up.rc, 8);
		client_info(&up, mid + 2, 12, ike_delete, sizeof(ike_delete), &m);
		world_input(&up, &m);
	}
	client_plain = NULL;
	fuzz_put_done(name);
	end(&up, &waiting);
}

static void message_5_seed(const char *name, bool contact)
{
	struct client up, waiting;
	struct msg m;

	begin(&up, &waiting);
	client_plain = keep;
	seed_op = OP_MAIN;
	waiting.initial_contact = contact;
	unsigned n = world.n_sent;
	client_mm5(&waiting, &m);
	world_input(&waiting, &m);
	ck_assert(client_mm6(&waiting, world_reply(n)));
	client_plain = NULL;
	fuzz_put_done(name);
	end(&up, &waiting);
}

static void dpd(void)
{
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 36136 >> 8, 36136 & 255 };
	struct client up, waiting;
	struct msg m;

	begin(&up, &waiting);
	client_plain = keep;
	seed_op = OP_INFO;
	memcpy(body + 8, up.ic, 8);
	memcpy(body + 16, up.rc, 8);
	for (uint8_t i = 1; i < 3; i++) {
		body[27] = i;
		client_info(&up, i, 11, body, sizeof(body), &m);
		world_input(&up, &m);
	}
	body[6] = 0x60, body[7] = 2; /* INITIAL-CONTACT */
	client_info(&up, 3, 11, body, 24, &m);
	world_input(&up, &m);
	client_plain = NULL;
	fuzz_put_done("notify");
	end(&up, &waiting);
}

void fuzz_seeds(void)
{
	message_5_seed("message-5", false);
	message_5_seed("message-5-contact", true);
	quick_mode("quick-aes-deleted", 0x77, 2, 12, 128, 2, 0, true);
	quick_mode("quick-3des", 0x78, 2, 3, 0, 2, 0, false);
	quick_mode("quick-pfs", 0x79, 2, 12, 128, 2, 2, false);
	dpd();
	seed_parts = OP_PARTS;
	message_5_seed("message-5-fragments", true);
	quick_mode("quick-fragments", 0x7a, 2, 12, 128, 2, 2, true);
}
