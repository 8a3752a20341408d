/* Behind ESP: what an authenticated client puts into its SAs, through the stages of ESP, L2TP and PPP to the TUN device,
 * and packets from there to the client. The encryption is made right for the input's octets. */
#include <check.h>
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/datapath.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake.h"
#include "tests/plugin/path_gen.h"
#include "tests/plugin/path_world.h"

#define OP_SECOND 1u  /* the other client: AES-CBC and SHA2-256 instead of AES-GCM */
#define OP_WRAP 2u    /* the octets are an inner packet: UDP, L2TP and PPP are put in front */
#define OP_TRAILER 4u /* padding and next header are put behind */
#define OP_SUMS 8u    /* the inner packet's checksums are right */
#define OP_MORE 16u   /* comes in one vector with the next */
#define OP_TUN 32u    /* from TUN to the client instead: virtio header, packet */
#define OP_WIRE 64u   /* the octets are what is on the wire, undecrypted */
#define OP_TUNNEL 128u /* the third client, whose packets go in a tunnel as they are */
#define OP_MARK (OP_TUN | OP_WIRE) /* the first octet is the outer DSCP and ECN field of what comes from this client from now on */

static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len) { (void)arg, (void)id, (void)p, (void)len; }
static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg, (void)path, (void)p, (void)len;
}

/* What reaches the TUN device is IP with the source of one of the sessions, whatever was put in. */
static void on_sent(void *arg, const struct vd_datapath_sent *sent)
{
	bool known = false;

	(void)arg;
	if (sent->way != VD_SENT_TUN)
		return;
	ck_assert_uint_ge(sent->len, 20);
	for (unsigned i = 0; i < PATH_CLIENTS; i++)
		known |= sent->p[0] >> 4 == 4 ? memcmp(sent->p + 12, path_world.cl[i].v4, 4) == 0
			: sent->p[0] >> 4 == 6 && sent->len >= 40 && memcmp(sent->p + 8, path_world.cl[i].v6, 8) == 0;
	ck_assert(known);
}

/* What a router may have marked around a packet that cannot be, since the data path last turned; nothing else is dropped for that. */
static uint64_t congested, refused;

static void turn(void)
{
	vd_datapath_turn();
	ck_assert_uint_le(vd_datapath_drops(VD_DROP_ECN) - refused, congested);
	refused = vd_datapath_drops(VD_DROP_ECN);
	congested = 0;
}

static void begin(void)
{
	congested = refused = 0;
	fuzz_begin();
	fake_init(3);
	path_world_up(&(struct path_told){ on_sent, on_punt, on_ike });
}

static void end(void)
{
	vd_datapath_gather(false);
	turn();
	path_world_down();
	fake_fini();
}

/* The checksums of an inner packet, as far as it is one. */
static void sums(uint8_t *p, size_t len)
{
	bool v6 = len >= 40 && p[0] >> 4 == 6;
	size_t l4 = v6 ? 40 : len >= 20 && p[0] >> 4 == 4 ? (size_t)(p[0] & 15) * 4 : 0;

	if (l4 < 20 || l4 > len)
		return;
	if (v6) {
		p[4] = (uint8_t)((len - 40) >> 8);
		p[5] = (uint8_t)(len - 40);
	} else {
		p[2] = (uint8_t)(len >> 8);
		p[3] = (uint8_t)len;
	}
	uint8_t protocol = p[v6 ? 6 : 9];
	if ((protocol != 6 && protocol != 17) || l4 + (protocol == 6 ? 18 : 8) <= len)
		gen_seal(p, len, l4, false);
}

static void up(struct path_client *c, const struct fuzz_record *r)
{
	uint8_t out[2200], *q = out + 8 + c->seal.suite.iv;
	size_t n = 0, align = c->seal.suite.align;

	if (r->op & OP_WIRE) {
		vd_datapath_inject(r->op & OP_SECOND, &c->path, r->p, r->len, 0);
		return;
	}
	if (r->len > 1600)
		return;
	c->seq++;
	for (unsigned i = 0; i < 4; i++) {
		out[i] = (uint8_t)(c->in >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(c->seq >> (24 - 8 * i));
	}
	if (r->op & OP_SUMS)
		sums(r->p, r->len);
	bool tunnel = r->op & OP_TUNNEL;
	if (r->op & OP_WRAP && !tunnel) {
		bool v6 = r->len > 0 && r->p[0] >> 4 == 6;

		memcpy(q, "\x06\xa5\x06\xa5\0\0\0\0\0\2\0\7\0\x09\0\x21", 16);
		q[4] = (uint8_t)((r->len + 16) >> 8);
		q[5] = (uint8_t)(r->len + 16);
		q[15] = v6 ? 0x57 : 0x21;
		n = 16;
	}
	memcpy(q + n, r->p, r->len);
	n += r->len;
	if (r->op & OP_TRAILER) {
		size_t pad = (align - (n + 2) % align) % align;

		for (size_t i = 1; i <= pad; i++)
			q[n++] = (uint8_t)i;
		q[n++] = (uint8_t)pad;
		q[n++] = !tunnel ? 17 : r->len > 0 && r->p[0] >> 4 == 6 ? 41 : 4;
	}
	n -= n % align;
	if (n && esp_seal(&c->seal, out, n, 0))
		vd_datapath_inject(r->op & OP_SECOND, &c->path, out, 8u + c->seal.suite.iv + n + c->seal.suite.icv, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	begin();
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		struct path_client *c = &path_world.cl[r.op & OP_TUNNEL ? PATH_TUNNEL : r.op & OP_SECOND];

		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		if ((r.op & OP_MARK) == OP_MARK) {
			c->path.tos = r.len ? r.p[0] : 0;
			continue;
		}
		vd_datapath_gather(true);
		if (!(r.op & OP_TUN)) {
			congested += r.op & OP_TUNNEL && (c->path.tos & 3) == 3;
			up(c, &r);
		} else if (r.len >= 10) {
			if (r.op & OP_SUMS)
				sums(r.p + 10, r.len - 10);
			vd_datapath_inject_tun(r.op & OP_SECOND, r.p, r.p + 10, r.len - 10);
		}
		if (r.op & OP_MORE)
			continue;
		vd_datapath_gather(false);
		turn();
		fake_drain();
	}
	fuzz_end(&r);
	end();
	return 0;
}

/* ---- seeds: flows of every kind ---- */
#define OPS (OP_WRAP | OP_TRAILER)

static void flows(const char *name, bool v6, bool udp, unsigned client)
{
	uint8_t a4[4] = { 10, 8, 0, (uint8_t)(10 + client) }, a6[16] = { 0x20, 1, 0xd, 0xb8, 0, (uint8_t)client }, p[GEN_ROOM + 100];
	struct gen_flow f;
	uint64_t s = 5;

	do
		gen_flow(&s, &f, a4, a6);
	while (f.v6 != v6 || f.udp != udp);
	for (unsigned i = 0; i < 8; i++) {
		f.size = 100;
		fuzz_put((uint8_t)(OPS | OP_SUMS | (i < 7 ? OP_MORE : 0) | (client == PATH_TUNNEL ? OP_TUNNEL : client)), p, gen_packet(&s, &f, true, p));
	}
	fuzz_put_done(name);
}

/* A flow, with every field of the inner header below every one of the outer, in vectors of four. */
static void marks(const char *name, bool v6, unsigned client)
{
	uint8_t a4[4] = { 10, 8, 0, (uint8_t)(10 + client) }, a6[16] = { 0x20, 1, 0xd, 0xb8, 0, (uint8_t)client }, p[GEN_ROOM + 100];
	uint8_t who = client == PATH_TUNNEL ? OP_TUNNEL : (uint8_t)client;
	struct gen_flow f;
	uint64_t s = 7;

	do
		gen_flow(&s, &f, a4, a6);
	while (f.v6 != v6);
	for (uint8_t i = 0; i < 16; i++) {
		uint8_t outer = (uint8_t)(0xb8 | (i >> 2 & 3));

		if (i % 4 == 0)
			fuzz_put(OP_MARK | who, &outer, 1);
		f.size = 40;
		f.tos = (uint8_t)((f.tos & 0xfc) | (i & 3));
		fuzz_put((uint8_t)(OPS | OP_SUMS | (i % 4 < 3 ? OP_MORE : 0) | who), p, gen_packet(&s, &f, true, p));
	}
	fuzz_put_done(name);
}

static void down(const char *name, bool v6, bool udp)
{
	static const uint8_t a4[4] = { 10, 8, 0, 10 };
	uint8_t a6[16] = { 0x20, 1, 0xd, 0xb8 };
	static uint8_t p[GEN_BIG + 10];
	struct gen_flow f;
	uint64_t s = 6;
	size_t n;

	do
		gen_flow(&s, &f, a4, a6);
	while (f.v6 != v6 || f.udp != udp);
	for (unsigned i = 0; i < 3; i++) {
		do
			n = gen_super(&s, &f, p + 10, p);
		while (n > 3000);
		fuzz_put(OP_TUN, p, n + 10);
	}
	memset(p, 0, 10);
	n = gen_packet(&s, &f, false, p + 10);
	fuzz_put(OP_TUN | OP_SUMS, p, n + 10);
	fuzz_put_done(name);
}

void fuzz_seeds(void)
{
	static const char control[] = "\x06\xa5\x06\xa5\0\x14\0\0\xc8\2\0\x0c\0\7\0\0\0\1\0\1";
	static const char lcp[] = "\x06\xa5\x06\xa5\0\x18\0\0\x40\2\0\x10\0\7\0\x09\xff\3\xc0\x21\x09\1\0\4";

	flows("tcp4", false, false, 0);
	flows("tcp6", true, false, 1);
	flows("udp4", false, true, 1);
	flows("udp6", true, true, 0);
	flows("tunnel4", false, false, PATH_TUNNEL);
	flows("tunnel6", true, true, PATH_TUNNEL);
	marks("ecn4", false, PATH_TUNNEL);
	marks("ecn6", true, PATH_TUNNEL);
	marks("ecn-l2tp", false, 1);
	down("tun-tcp4", false, false);
	down("tun-tcp6", true, false);
	down("tun-udp4", false, true);
	fuzz_put(OP_TRAILER, control, sizeof(control) - 1);
	fuzz_put(OP_TRAILER | OP_SECOND, lcp, sizeof(lcp) - 1);
	fuzz_put(OP_WIRE, "\0\0\0\0not IKE, but so it seems", 28);
	fuzz_put(OP_WIRE | OP_SECOND, "\xff", 1);
	fuzz_put(OP_WIRE, "\0\0\1\0\0\0\0\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40);
	fuzz_put_done("control");
}
