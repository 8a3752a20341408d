/* IKEv1 before there are keys: whatever comes to UDP 500 and 4500, through the real ike_port and ike_v1. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ike.h"

#define OP_NATT 1u    /* on port 4500 */
#define OP_COOKIE 2u  /* the gateway's cookie is the one that it said last */
#define OP_LENGTH 4u  /* the header's length is right */
#define OP_OTHER 8u   /* from another address */
#define OP_ASIS 16u   /* may say that it is encrypted */

/* Also in the header that the first part of a message begins with. */
static void cookie(uint8_t *p, size_t len, const uint8_t *rcookie)
{
	memcpy(p + 8, rcookie, 8);
	if (p[16] == 132 && len >= 28 + 8 + 28 && p[34] == 1)
		memcpy(p + 28 + 8 + 8, rcookie, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	fuzz_begin();
	world_start(FUZZ_IKE_YAML);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		struct vd_path path = { .endpoint = 1, .natt = r.op & OP_NATT };
		uint16_t port = path.natt ? 4500 : 500;

		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		path.local = (struct vd_sa){ .ip = vd_ip4(0xcb00710a), .port = port };
		path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336407 + (r.op & OP_OTHER ? 1 : 0)), .port = port };
		if (r.len >= 28) {
			if (r.op & OP_COOKIE && world.n_sent > 0)
				cookie(r.p, r.len, world.sent[(world.n_sent - 1) % WORLD_SENT].p + 8);
			if (r.op & OP_LENGTH)
				memcpy(r.p + 24, (uint8_t[]){ 0, 0, (uint8_t)(r.len >> 8), (uint8_t)r.len }, 4);
			if (!(r.op & OP_ASIS))
				r.p[19] &= 0xfe;
		}
		world_datagram(&path, r.p, r.len);
	}
	fuzz_end(&r);
	fake_advance(120000); /* what is half open ends */
	world_stop();
	return 0;
}

static void say(struct client *c, struct msg *m, uint8_t op)
{
	fuzz_put(op | OP_LENGTH | (c->path.natt ? OP_NATT : 0), m->p, m->len);
	world_input(c, m);
}

static void login(const char *name, unsigned enc, unsigned bits, unsigned hash, unsigned group, bool natt, bool windows)
{
	struct client c;
	struct msg m;

	fuzz_begin();
	world_start(FUZZ_IKE_YAML);
	client_init(&c, "tills and routers", enc, bits, hash, group);
	c.windows = windows;
	c.bad_natd_peer = natt;
	client_mm1(&c, &m);
	say(&c, &m, 0);
	say(&c, &m, 0);
	ck_assert(client_mm2(&c, world_reply(0)));
	client_mm3(&c, &m);
	say(&c, &m, OP_COOKIE);
	say(&c, &m, OP_COOKIE);
	ck_assert(client_mm4(&c, world_reply(1)));
	if (natt)
		c.path.local.port = c.path.remote.port = 4500, c.path.natt = true;
	client_mm5(&c, &m);
	say(&c, &m, OP_COOKIE | OP_ASIS);
	fuzz_put_done(name);
	client_free(&c);
	world_stop();
}

/* Messages 3 and 5 in parts: in order and twice, and the last one first. */
static void parts(void)
{
	struct client c;
	struct msg m, part;

	fuzz_begin();
	world_start(FUZZ_IKE_YAML);
	client_init(&c, "tills and routers", 7, 128, 2, 2);
	client_mm1(&c, &m);
	say(&c, &m, 0);
	ck_assert(client_mm2(&c, world_reply(0)));
	client_mm3(&c, &m);
	for (unsigned i = 0; i < 4; i++) {
		client_fragment(&m, 1, 1 + i % 2, 2, &part);
		say(&c, &part, OP_COOKIE);
	}
	ck_assert(client_mm4(&c, world_reply(1)));
	client_mm5(&c, &m);
	for (unsigned i = 3; i > 0; i--) {
		client_fragment(&m, 7, i, 3, &part);
		say(&c, &part, OP_COOKIE);
	}
	ck_assert(client_mm6(&c, &world.sent[(world.n_sent - 1) % WORLD_SENT]));
	fuzz_put_done("fragments");
	client_free(&c);
	world_stop();
}

/* Real clients' messages have more transforms and vendor ids than the tests' client: many offers, the good one last. */
static void offers(void)
{
	static const uint8_t vid[16] = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
	static const uint8_t dpd[16] = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
	const uint8_t *vids[] = { vid, dpd };
	size_t lens[] = { 16, 16 };
	uint8_t sa[400] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0 };
	size_t n = 16;
	struct client c;
	struct msg m;

	for (unsigned i = 0; i < 8; i++) {
		const uint8_t t[] = { i < 7 ? 3 : 0, 0, 0, 40, (uint8_t)(i + 1), 1, 0, 0, 0x80, 1, 0, 7, 0x80, 14,
			i & 1 ? 0 : 1, i & 1 ? 128 : 0, 0x80, 2, 0, (uint8_t)(2 + 2 * (i & 1)), 0x80, 3, 0, 1, 0x80, 4, 0,
			(uint8_t)(i < 4 ? 20 - i : 14), 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0, 0x70, 0x80 };

		memcpy(sa + n, t, sizeof(t));
		n += sizeof(t);
	}
	sa[15] = 8;
	sa[10] = (uint8_t)((n - 8) >> 8);
	sa[11] = (uint8_t)(n - 8);
	fuzz_begin();
	world_start(FUZZ_IKE_YAML);
	client_init(&c, "tills and routers", 7, 256, 2, 14);
	client_mm1_sa(&c, sa, n, vids, lens, 2, &m);
	say(&c, &m, 0);
	ck_assert_uint_eq(world.n_sent, 1);
	fuzz_put_done("offers");
	world_stop();
}

void fuzz_seeds(void)
{
	login("main-aes", 7, 256, 2, 14, false, false);
	login("main-natt", 7, 128, 2, 14, true, true);
	login("main-3des", 5, 0, 2, 2, false, true);
	offers();
	parts();
}
