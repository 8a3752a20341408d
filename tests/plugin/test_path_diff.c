/* The batched path against the straight one: the same random packets, once one by one with everything switched off, once in
 * vectors, coalesced and as super-packets. What is accepted, every flow's octets once they are cut again, what is sent, and
 * every drop counter must be the same. VIADUCT_DIFF_PACKETS=1000000 in the environment, or an argument, makes it long. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/datapath.h"
#include "tests/lib/fake.h"
#include "tests/plugin/path_gen.h"
#include "tests/plugin/path_world.h"

#define MSGS 64u
#define CHAINS 512u

static struct gen_flow flows[PATH_CLIENTS][GEN_FLOWS];

/* What came out, in order within each flow or channel. */
struct chain {
	uint64_t key, value;
	unsigned n;
};
static struct chain chains[CHAINS];
static unsigned supers, alone, batched_out, with_df, without_df;

struct round { /* of both runs, to find the first that differs */
	uint64_t digest, drops[VD_DROP_MAX];
};

static uint64_t mix(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static void chain(uint64_t key, const uint8_t *p, size_t len)
{
	unsigned at = (unsigned)(key % CHAINS);
	while (chains[at].n && chains[at].key != key)
		at = (at + 1) % CHAINS;
	chains[at].key = key;
	chains[at].value = mix(chains[at].value + len, p, len);
	chains[at].n++;
	ck_assert_uint_lt(chains[at].n, 1u << 30);
}

/* An inner packet that leaves through TUN. The id of a packet that may not be fragmented means nothing (RFC 6864). */
static void tun_packet(void *arg, const uint8_t *p, size_t len)
{
	uint8_t q[2048];
	bool v6 = p[0] >> 4 == 6;
	(void)arg;
	ck_assert_uint_le(len, sizeof(q));
	memcpy(q, p, len);
	if (!v6 && (q[6] & 0x40)) {
		/* A header whose checksum was bad stays so: what is hashed is the sum, not the field. */
		uint16_t sum = gen_sum(0, q, (size_t)(q[0] & 15) * 4);
		memset(q + 4, 0, 2);
		memcpy(q + 10, &sum, 2);
	}
	uint8_t protocol = p[v6 ? 6 : 9];
	size_t l4 = v6 ? 40 : (size_t)(p[0] & 15) * 4;
	uint64_t key = mix(protocol, p + (v6 ? 8 : 12), v6 ? 32 : 8);
	if ((protocol == 6 || protocol == 17) && len >= l4 + 4)
		key = mix(key, p + l4, 4);
	chain(key, q, len);
}

static void on_sent(void *arg, const struct vd_datapath_sent *sent)
{
	(void)arg;
	if (sent->way == VD_SENT_TUN && sent->vnet) {
		gen_cut(sent->p, sent->len, sent->vnet, 0, tun_packet, NULL);
		supers++;
	} else if (sent->way == VD_SENT_TUN) {
		tun_packet(NULL, sent->p, sent->len);
		alone++;
	} else {
		chain(sent->path.remote.port, sent->p, sent->len); /* sealed: the same, octet by octet */
		chain(sent->path.remote.port, (const uint8_t *)&sent->df, sizeof(sent->df));
		batched_out += sent->run > 0;
		with_df += sent->df;
		without_df += !sent->df;
	}
}

static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len) { (void)arg; chain(id, p, len); }
static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg, (void)path;
	chain(4500, p, len);
}

static void begin(bool batched)
{
	static const char *const pieces[] = { "GSO", "TSO", "USO", "COALESCE", "MB", "SENDMMSG", "RECVMMSG" };
	for (size_t i = 0; i < VD_ARRAY_SIZE(pieces); i++) {
		char name[32];
		vd_format(name, sizeof(name), "VIADUCT_NO_%s", pieces[i]);
		setenv(name, batched ? "0" : "1", 1);
	}
	memset(chains, 0, sizeof(chains));
	supers = alone = batched_out = with_df = without_df = 0;
	fake_init(3);
	path_world_up(&(struct path_told){ on_sent, on_punt, on_ike, VD_DF_COPY });
	memset(flows, 0, sizeof(flows));
}

/* ---- from clients ---- */
static struct msg {
	uint8_t p[2048];
	size_t len;
} msgs[MSGS], old[8];

/* Trailer and ICV behind t octets; returns the length of all. */
static size_t finish(uint64_t *s, struct path_client *c, uint8_t *out, size_t head, size_t t, uint8_t next)
{
	uint8_t *q = out + head;
	unsigned align = c->seal.suite.align, pad = (unsigned)((align - (t + 2) % align) % align);
	for (unsigned i = 1; i <= pad; i++)
		q[t++] = (uint8_t)(gen_one_in(s, 1000) ? 0 : i);
	q[t++] = (uint8_t)pad;
	q[t++] = next;
	ck_assert(esp_seal(&c->seal, out, t, 0));
	return head + t + c->seal.suite.icv;
}

/* ESP around UDP, L2TP, PPP and the packet, or around the packet alone. */
static size_t wrap(uint64_t *s, struct path_client *c, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t head = 8u + c->seal.suite.iv, t = 0;
	uint8_t *q = out + head;
	bool lengths = gen_one_in(s, 2);
	c->seq++;
	for (unsigned i = 0; i < 4; i++) {
		out[i] = (uint8_t)(c->in >> (24 - 8 * i));
		out[4 + i] = (uint8_t)(c->seq >> (24 - 8 * i));
	}
	if (c == &path_world.cl[PATH_TUNNEL]) {
		memcpy(q, in, len);
		return finish(s, c, out, head, len, gen_one_in(s, 300) ? 17 : in[0] >> 4 == 6 ? 41 : 4);
	}
	size_t l2tp = lengths ? 8 : 6, ppp = 2, whole = 8 + l2tp + ppp + len;
	memcpy(q, "\x06\xa5\x06\xa5", 4);
	q[4] = (uint8_t)(whole >> 8);
	q[5] = (uint8_t)whole;
	q[6] = q[7] = 0;
	q[8] = lengths ? 0x40 : 0;
	q[9] = gen_one_in(s, 200) ? 3 : 2;
	t = 10;
	if (lengths) {
		q[t++] = (uint8_t)((whole - 8) >> 8);
		q[t++] = (uint8_t)(whole - 8);
	}
	memcpy(q + t, "\0\7\0\x09", 4);
	q[t + 3] ^= gen_one_in(s, 100) ? 1 : 0;
	t += 4;
	q[t++] = gen_one_in(s, 200) ? 0xc0 : 0;
	q[t++] = in[0] >> 4 == 6 && !gen_one_in(s, 4) ? 0x57 : 0x21;
	memcpy(q + t, in, len);
	t += len;
	return finish(s, c, out, head, t, gen_one_in(s, 300) ? 59 : 17);
}

static void spoil(uint64_t *s, struct msg *m, unsigned i)
{
	uint32_t odd = gen_random(s) % 200;
	if (odd == 0)
		m->p[gen_random(s) % m->len] ^= 4;
	else if (odd == 1)
		m->len = gen_random(s) % m->len;
	else if (odd == 2 && i)
		*m = msgs[gen_random(s) % i];
	else if (odd == 3)
		*m = old[gen_random(s) % VD_ARRAY_SIZE(old)];
	else if (odd == 4)
		memset(m->p, 0, 4); /* IKE */
	else if (odd == 5)
		m->len = 1, m->p[0] = 0xff;
	else if (odd == 6 && i) { /* the same number again, spoiled: whichever comes first */
		*m = msgs[i - 1];
		msgs[i - 1].p[msgs[i - 1].len / 2] ^= 1;
	} else if (odd == 8)
		m->p[gen_random(s) % 3] ^= 4; /* an SPI of nobody */
	else if (odd == 7)
		old[gen_random(s) % VD_ARRAY_SIZE(old)] = *m;
}

static unsigned up(uint64_t *s, bool batched)
{
	static uint8_t gro[65536];
	struct path_client *c = &path_world.cl[gen_random(s) % PATH_CLIENTS];
	unsigned n = 1 + gen_random(s) % MSGS, worker = gen_random(s) & 1, k = 0;
	struct gen_flow *f = &flows[c - path_world.cl][0];
	for (unsigned i = 0; i < n; i++) {
		uint8_t in[GEN_ROOM + 100];
		if (gen_one_in(s, 6))
			f = &flows[c - path_world.cl][gen_random(s) % GEN_FLOWS];
		size_t len = gen_packet(s, f, true, in);
		msgs[i].len = wrap(s, c, in, len, msgs[i].p);
		spoil(s, &msgs[i], i);
		ck_assert_uint_le(msgs[i].len, sizeof(msgs[i].p));
	}
	bool coalesced = gen_one_in(s, 3);
	vd_datapath_gather(batched);
	for (unsigned i = 0; i < n; i += k) {
		c->path.tos = gen_one_in(s, 2) ? (uint8_t)gen_random(s) : 0; /* of a batch too: the kernel joins no others */
		size_t size = msgs[i].len, at = 0;
		for (k = 0; i + k < n && msgs[i + k].len && msgs[i + k].len <= size && at + size < sizeof(gro);) {
			memcpy(gro + at, msgs[i + k].p, msgs[i + k].len);
			at += msgs[i + k].len;
			if (msgs[i + k++].len < size || !coalesced)
				break;
		}
		if (batched && k > 1)
			vd_datapath_inject((int)worker, &c->path, gro, at, size);
		else if (k)
			for (unsigned j = 0; j < k; j++)
				vd_datapath_inject((int)worker, &c->path, msgs[i + j].p, msgs[i + j].len, 0);
		else
			vd_datapath_inject((int)worker, &c->path, msgs[i].p, 0, 0), k = 1;
	}
	vd_datapath_gather(false);
	return n;
}

/* ---- to clients ---- */
static void down_one(void *arg, const uint8_t *p, size_t len)
{
	vd_datapath_inject_tun(*(unsigned *)arg, NULL, p, len);
}

static unsigned down(uint64_t *s, bool batched)
{
	static uint8_t p[GEN_BIG];
	unsigned n = 1 + gen_random(s) % 4, worker = gen_random(s) & 1, count = 0;
	struct path_client *c = &path_world.cl[gen_random(s) % PATH_CLIENTS];
	/* A segmented packet that is sent one by one after a refusal is the same packet. */
	static const int errors[] = { EIO, EINVAL, EMSGSIZE };
	int error = gen_one_in(s, 30) ? errors[gen_random(s) % 3] : 0;
	vd_datapath_refuse(batched ? error : 0);
	vd_datapath_gather(batched);
	for (unsigned i = 0; i < n; i++) {
		uint8_t vnet[10] = { 0 };
		if (gen_one_in(s, 8))
			c = &path_world.cl[gen_random(s) % PATH_CLIENTS];
		struct gen_flow f = flows[c - path_world.cl][gen_random(s) % GEN_FLOWS];
		bool nobody = gen_one_in(s, 30);
		if (nobody)
			f.local[f.v6 ? 6 : 0] ^= 0x40;
		if (gen_one_in(s, 3)) {
			size_t len = gen_packet(s, &f, false, p);
			vd_datapath_inject_tun(worker, NULL, p, len);
			count++;
			continue;
		}
		size_t len = gen_super(s, &f, p, vnet);
		uint16_t size;
		memcpy(&size, vnet + 4, 2);
		count += (unsigned)(len / size) + 1;
		if (batched)
			vd_datapath_inject_tun(worker, vnet, p, len);
		else /* what leads nowhere is not cut finer */
			gen_cut(p, len, vnet, nobody ? 0 : PATH_MTU, down_one, &worker);
	}
	vd_datapath_gather(false);
	return count;
}

/* ---- both ---- */
static void counted(void *arg, uint64_t session, const struct vd_session_counters *c)
{
	(void)session;
	*(struct vd_session_counters *)arg = *c;
}

static unsigned play(bool batched, unsigned packets, struct round *rounds, struct vd_session_counters *counters)
{
	uint64_t s = 0x9e3779b97f4a7c15ull;
	unsigned n = 0;
	begin(batched);
	for (unsigned i = 0; i < PATH_CLIENTS; i++)
		for (unsigned f = 0; f < GEN_FLOWS; f++)
			gen_flow(&s, &flows[i][f], path_world.cl[i].v4, path_world.cl[i].v6);
	memset(old, 0, sizeof(old));
	for (unsigned done = 0; done < packets; n++) {
		done += gen_one_in(&s, 3) ? down(&s, batched) : up(&s, batched);
		if (gen_one_in(&s, 10))
			gen_flow(&s, &flows[0][gen_random(&s) % GEN_FLOWS], path_world.cl[0].v4, path_world.cl[0].v6);
		for (unsigned i = 0; i < 8; i++) /* a turn takes a part of what was handed over */
			vd_datapath_turn();
		fake_drain();
		/* Now and then long enough for a destination that refused batches to be tried again. */
		fake_advance(gen_one_in(&s, 20) ? 61000 : gen_random(&s) % 300);
		for (unsigned i = 0; i < CHAINS; i++)
			rounds[n].digest += chains[i].value * (chains[i].key | 1);
		for (unsigned d = 0; d < VD_DROP_MAX; d++)
			rounds[n].drops[d] = vd_datapath_drops(d);
	}
	for (unsigned i = 0; i < PATH_CLIENTS; i++)
		ck_assert_int_eq(path_world.dp->session_counters(path_world.dp->self, path_world.cl[i].session, counted, &counters[i]), 0);
	fake_drain();
	path_world_down();
	fake_fini();
	return n;
}

/* One super-packet does not make thousands of packets, however small its segments are. */
START_TEST(test_tiny_segments)
{
	static uint8_t p[GEN_BIG];
	uint64_t s = 1;
	uint8_t vnet[10];
	struct vd_session_counters c = { 0 };
	struct gen_flow f;
	size_t len = 0;
	begin(true);
	do
		gen_flow(&s, &f, path_world.cl[0].v4, path_world.cl[0].v6);
	while (f.udp || f.v6);
	for (unsigned i = 0; i < 2000 && len < 20000; i++)
		len = gen_super(&s, &f, p, vnet);
	ck_assert_uint_gt(len, 20000);
	memcpy(vnet + 4, (uint16_t[]){ 48 }, 2); /* the least that TCP of Linux agrees on */
	vd_datapath_inject_tun(0, vnet, p, len);
	vd_datapath_gather(false);
	for (unsigned i = 0; i < 64; i++)
		vd_datapath_turn();
	fake_drain();
	ck_assert_int_eq(path_world.dp->session_counters(path_world.dp->self, path_world.cl[0].session, counted, &c), 0);
	fake_drain();
	ck_assert_uint_eq(c.packets_out, 0);
	ck_assert_uint_ge(vd_datapath_drops(VD_DROP_TOO_BIG), len / 48 - 2);
	path_world_down();
	fake_fini();
}
END_TEST

static unsigned packets = 20000;

START_TEST(test_same)
{
	struct round *straight = calloc(packets + 1, sizeof(*straight)), *batched = calloc(packets + 1, sizeof(*batched));
	struct vd_session_counters a[PATH_CLIENTS] = { 0 }, b[PATH_CLIENTS] = { 0 };
	ck_assert(straight && batched);
	unsigned n = play(false, packets, straight, a);
	ck_assert_uint_eq(supers + batched_out, 0);
	ck_assert_uint_eq(play(true, packets, batched, b), n);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned d = 0; d < VD_DROP_MAX; d++)
			ck_assert_msg(straight[i].drops[d] == batched[i].drops[d], "round %u: drops %s: %llu one by one, %llu batched", i,
				vd_drop_name(d), (unsigned long long)straight[i].drops[d], (unsigned long long)batched[i].drops[d]);
		ck_assert_msg(straight[i].digest == batched[i].digest, "round %u: other octets, or in another order", i);
	}
	ck_assert_mem_eq(a, b, sizeof(a));
	/* It was about something: both ways, batches of all kinds, and nearly every reason to drop. */
	printf("%u packets in %u rounds: %llu in, %llu out; %u super-packets and %u single ones written, %u sent in batches\n",
		packets, n, (unsigned long long)(b[0].packets_in + b[1].packets_in + b[2].packets_in),
		(unsigned long long)(b[0].packets_out + b[1].packets_out + b[2].packets_out), supers, alone, batched_out);
	ck_assert_uint_gt(supers, packets / 100);
	ck_assert_uint_gt(batched_out, packets / 10);
	ck_assert_uint_gt(with_df, packets / 10);
	ck_assert_uint_gt(without_df, packets / 100);
	static const enum vd_drop reasons[] = { VD_DROP_SHORT, VD_DROP_KEEPALIVE, VD_DROP_NO_SPI, VD_DROP_REPLAY, VD_DROP_AUTH,
		VD_DROP_NEXT_HEADER, VD_DROP_L2TP_HEADER, VD_DROP_L2TP_SESSION, VD_DROP_NOT_IP, VD_DROP_SOURCE, VD_DROP_NO_ROUTE,
		VD_DROP_TOO_BIG, VD_DROP_ECN };
	for (size_t i = 0; i < VD_ARRAY_SIZE(reasons); i++)
		ck_assert_msg(batched[n - 1].drops[reasons[i]], "nothing was dropped as %s", vd_drop_name(reasons[i]));
	free(straight);
	free(batched);
}
END_TEST

int main(int argc, char **argv)
{
	const char *many = argc > 1 ? argv[1] : getenv("VIADUCT_DIFF_PACKETS");
	if (many && atoi(many) > 0)
		packets = (unsigned)atoi(many);
	Suite *s = suite_create("path diff");
	TCase *c = tcase_create("diff");
	tcase_set_timeout(c, 120 + packets / 1000);
	tcase_add_test(c, test_same);
	tcase_add_test(c, test_tiny_segments);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
