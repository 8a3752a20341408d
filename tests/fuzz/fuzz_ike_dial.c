/* IKEv1 as the one who dials: answers of a gateway, in the clear and behind decryption. Opening a message leaves its octets as
 * they are (--wrap=ike_v1_crypt), and every HASH of SHA-1's length is right (--wrap=vd_same): what authenticates the gateway
 * is not the subject, but what an authenticated or a forged one can say. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/connect.h>

#include "core/plugin.h"
#include "plugins/ike/lib/v1keys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ike.h"

#define OP_COOKIES 1u /* both cookies are those of what we said last; where ours named none, the gateway's stays */
#define OP_MID 2u     /* so is the message id */
#define OP_LENGTH 4u  /* the header's length is right */
#define OP_NATT 8u    /* from port 4500 */
#define OP_DOWN 16u   /* the operator hangs up instead */

#define YAML \
	"ike_v1: { embryos: 16 }\n" \
	"connections:\n" \
	"  office: { connect: [l2tp], peer: 198.51.100.7, crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_A } }\n"

static struct msg plain; /* the last message that was sealed, before it was */
static uint64_t peer;
static const struct vd_ike_connect_1 *ike;

int __real_ike_v1_crypt(const struct ike_v1_keys *keys, bool encrypt, uint8_t *iv, uint8_t *message, size_t len);
int __wrap_ike_v1_crypt(const struct ike_v1_keys *keys, bool encrypt, uint8_t *iv, uint8_t *message, size_t len);
int __wrap_ike_v1_crypt(const struct ike_v1_keys *keys, bool encrypt, uint8_t *iv, uint8_t *message, size_t len)
{
	if (encrypt)
		return __real_ike_v1_crypt(keys, encrypt, iv, message, len);
	return len <= IKE_HEADER_LEN || (len - IKE_HEADER_LEN) % keys->block != 0 ? -EBADMSG : 0;
}

int __real_ike_v1_seal(const struct ike_v1_keys *keys, uint8_t *iv, uint8_t *message, size_t len, size_t size);
int __wrap_ike_v1_seal(const struct ike_v1_keys *keys, uint8_t *iv, uint8_t *message, size_t len, size_t size);
int __wrap_ike_v1_seal(const struct ike_v1_keys *keys, uint8_t *iv, uint8_t *message, size_t len, size_t size)
{
	memcpy(plain.p, message, len);
	plain.len = len;
	return __real_ike_v1_seal(keys, iv, message, len, size);
}

bool __real_vd_same(const void *a, const void *b, size_t len);
bool __wrap_vd_same(const void *a, const void *b, size_t len);
bool __wrap_vd_same(const void *a, const void *b, size_t len)
{
	return len == 20 || __real_vd_same(a, b, len);
}

static void on_up(void *arg, uint64_t id, uint64_t chan)
{
	(void)arg, (void)id, (void)chan;
}

static void on_ended(void *arg, uint64_t id, const char *reason)
{
	(void)arg;
	ck_assert_uint_eq(id, peer);
	ck_assert_uint_gt(strlen(reason), 0);
	peer = 0;
}

static const struct vd_ike_connect_events events = { on_up, on_ended };

static void begin(void)
{
	struct vd_ike_connect what = { .connection = "office", .upper = "l2tp" };
	struct vd_error err = { 0 };

	fuzz_begin();
	world_start(YAML);
	what.path.endpoint = 1;
	what.path.local = (struct vd_sa){ .ip = vd_ip4(0xcb00710a), .port = 500 };
	what.path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336407), .port = 500 };
	ike = vd_service_find("ike.connect/1", NULL);
	ck_assert_ptr_nonnull(ike);
	ck_assert_msg(ike->up(ike->self, &what, &events, NULL, &peer, &err) == 0, "%s", err.text);
	fake_drain();
	ck_assert_uint_eq(world.n_sent, 1);
}

static void end(void)
{
	if (peer)
		ike->down(ike->self, peer, "the test ends");
	fake_drain();
	world_stop();
	peer = 0;
}

static void answer(const struct fuzz_record *r)
{
	const struct msg *last = &world.sent[(world.n_sent - 1) % WORLD_SENT];
	uint16_t port = r->op & OP_NATT ? 4500 : 500;
	struct vd_path path = { .endpoint = 1, .natt = r->op & OP_NATT };
	static const uint8_t none[8];

	path.local = (struct vd_sa){ .ip = vd_ip4(0xcb00710a), .port = port };
	path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336407), .port = port };
	if (r->len >= 28 && r->op & OP_COOKIES) {
		memcpy(r->p, last->p, 8);
		if (memcmp(last->p + 8, none, 8) != 0)
			memcpy(r->p + 8, last->p + 8, 8);
	}
	if (r->len >= 28 && r->op & OP_MID)
		memcpy(r->p + 20, last->p + 20, 4);
	if (r->len >= 28 && r->op & OP_LENGTH)
		memcpy(r->p + 24, (uint8_t[]){ 0, 0, (uint8_t)(r->len >> 8), (uint8_t)r->len }, 4);
	world_datagram(&path, r->p, r->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	begin();
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME)
			fake_advance(fuzz_ms(&r));
		else if (r.op & OP_DOWN && peer)
			ike->down(ike->self, peer, "the operator hangs up");
		else
			answer(&r);
		fake_drain();
	}
	fuzz_end(&r);
	end();
	return 0;
}

/* ---- seeds: a gateway that takes the first of what is offered and has SHA-1 in it ---- */
#define OPS (OP_COOKIES | OP_MID | OP_LENGTH)

static void header(struct msg *m, uint8_t next, uint8_t exchange, bool encrypted)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->p + 8, "gateway!", 8);
	m->p[16] = next;
	m->p[17] = 0x10;
	m->p[18] = exchange;
	m->p[19] = encrypted;
	m->len = 28;
}

static void add(struct msg *m, uint8_t next, const void *p, size_t len)
{
	memcpy(m->p + m->len, (uint8_t[]){ next, 0, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4) }, 4);
	memcpy(m->p + m->len + 4, p, len);
	m->len += len + 4;
}

static void say(struct msg *m, bool encrypted)
{
	struct fuzz_record r = { .op = OPS, .p = m->p };

	while (encrypted && (m->len - 28) % 16 != 0)
		m->len++;
	r.len = m->len;
	fuzz_put(OPS, m->p, m->len);
	answer(&r);
}

/* The first proposal with one transform: SHA-1 and the group of 2048 bits, or (phase 2) any. Returns the length. */
static size_t one_of(const uint8_t *sa, size_t len, bool phase1, uint8_t *out)
{
	size_t at = 8, spi = sa[at + 6];
	size_t t = at + 8 + spi;

	while (t + 8 <= len) {
		size_t n = (size_t)sa[t + 2] << 8 | sa[t + 3];
		unsigned has = 0;

		for (size_t a = t + 8; a + 4 <= t + n; a += sa[a] & 0x80 ? 4 : 4 + ((size_t)sa[a + 2] << 8 | sa[a + 3]))
			has += memcmp(sa + a, "\x80\x02\x00\x02", 4) == 0 || memcmp(sa + a, "\x80\x04\x00\x0e", 4) == 0;
		if (!phase1 || has == 2) {
			size_t head = 8 + 8 + spi;

			memcpy(out, sa, head);
			memcpy(out + head, sa + t, n);
			out[8] = out[head] = 0;
			out[10] = (uint8_t)((8 + spi + n) >> 8);
			out[11] = (uint8_t)(8 + spi + n);
			out[15] = 1;
			return head + n;
		}
		t += n;
	}
	ck_abort_msg("nothing that fits is offered");
	return 0;
}

static void main_mode(bool natt)
{
	static const uint8_t vid[16] = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
	static const uint8_t dpd[16] = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
	static const uint8_t id[8] = { 1, 17, 1, 0xf4, 198, 51, 100, 7 };
	uint8_t sa[400], ke[256] = { 1, 2, 3 }, nonce[32] = { 9 }, hash[20] = { 0 };
	struct msg m, *mm1 = world_reply(0);
	size_t n, len;
	const uint8_t *offered = fuzz_payload(mm1->p[16], mm1->p + 28, mm1->len - 28, 1, &n);

	ck_assert_ptr_nonnull(offered);
	len = one_of(offered, n, true, sa);
	header(&m, 1, 2, false);
	add(&m, 13, sa, len);
	add(&m, natt ? 13 : 0, dpd, 16);
	if (natt)
		add(&m, 0, vid, 16);
	say(&m, false);
	ck_assert_uint_eq(world.n_sent, 2);
	struct msg *mm3 = &world.sent[1];
	fuzz_payload(mm3->p[16], mm3->p + 28, mm3->len - 28, 4, &n);
	ck_assert_uint_le(n, sizeof(ke));
	header(&m, 4, 2, false);
	add(&m, 10, ke, n);
	add(&m, natt ? 20 : 0, nonce, sizeof(nonce));
	if (natt) {
		add(&m, 20, hash, 20);
		add(&m, 0, hash, 20);
	}
	say(&m, false);
	ck_assert_uint_eq(world.n_sent, 3);
	header(&m, 5, 2, true);
	add(&m, 8, id, 8);
	add(&m, 0, hash, 20);
	say(&m, true);
	ck_assert_uint_eq(world.n_sent, 4); /* quick mode */
}

static void quick(void)
{
	static const uint8_t selectors[2][8] = { { 1, 17, 6, 0xa5, 203, 0, 113, 10 }, { 1, 17, 6, 0xa5, 198, 51, 100, 7 } };
	uint8_t sa[400], nonce[32] = { 7 }, hash[20] = { 0 };
	struct msg m;
	size_t n, len;
	const uint8_t *offered = fuzz_payload(plain.p[16], plain.p + 28, plain.len - 28, 1, &n);

	ck_assert_ptr_nonnull(offered);
	len = one_of(offered, n, false, sa);
	header(&m, 8, 32, true);
	add(&m, 1, hash, 20);
	add(&m, 10, sa, len);
	add(&m, 5, nonce, sizeof(nonce));
	add(&m, 5, selectors[0], 8);
	add(&m, 0, selectors[1], 8);
	say(&m, true);
	ck_assert_uint_ge(world.n_sent, 5);
}

static void inform(uint8_t type, const void *body, size_t len)
{
	uint8_t hash[20] = { 0 };
	struct msg m;

	header(&m, 8, 5, true);
	add(&m, type, hash, 20);
	add(&m, 0, body, len);
	m.p[23] = type;
	while ((m.len - 28) % 16 != 0)
		m.len++;
	struct fuzz_record r = { .op = OP_COOKIES | OP_LENGTH, .p = m.p, .len = m.len };
	fuzz_put(r.op, m.p, m.len);
	answer(&r);
}

void fuzz_seeds(void)
{
	static const uint8_t deleted[12] = { 0, 0, 0, 1, 3, 4, 0, 1, 0, 0, 16, 1 };
	static const uint8_t refused[12] = { 0, 0, 0, 1, 3, 4, 0, 14, 0, 0, 16, 1 };
	struct msg m;

	begin();
	main_mode(false);
	quick();
	inform(12, deleted, sizeof(deleted));
	fuzz_put(FUZZ_TIME, "\x01\x00", 2);
	fuzz_put(FUZZ_TIME, "\x80\x00", 2);
	fuzz_put_done("dial");
	end();
	begin();
	main_mode(true);
	inform(11, refused, sizeof(refused));
	fuzz_put(OP_DOWN, "", 0);
	fuzz_put_done("dial-natt-refused");
	end();
	begin();
	header(&m, 11, 5, false);
	add(&m, 0, refused, sizeof(refused));
	say(&m, false);
	fuzz_put(FUZZ_TIME, "\x02\x00", 2);
	fuzz_put_done("refused-clear");
	end();
}
