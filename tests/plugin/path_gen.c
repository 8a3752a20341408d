#include "tests/plugin/path_gen.h"

#include <check.h>
#include <string.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };
enum { TCP = 6, UDP = 17 };

uint32_t gen_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)(*s >> 16);
}

bool gen_one_in(uint64_t *s, uint32_t n)
{
	return gen_random(s) % n == 0;
}

uint16_t gen_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put32(uint8_t *p, uint32_t v)
{
	put(p, v >> 16);
	put(p + 2, v);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get(p) << 16 | get(p + 2);
}

void gen_flow(uint64_t *s, struct gen_flow *f, const uint8_t *v4, const uint8_t *v6)
{
	static const uint16_t sizes[] = { 1200, 1200, 900, 536, 100, 1 };
	memset(f, 0, sizeof(*f));
	f->v6 = gen_one_in(s, 3);
	f->udp = gen_one_in(s, 3);
	f->df = !gen_one_in(s, 4);
	f->stamps = gen_one_in(s, 2);
	memcpy(f->local, f->v6 ? v6 : v4, f->v6 ? 16 : 4);
	memcpy(f->remote, f->v6 ? "\x20\x01\x0d\xb8\xff\0\0\0\0\0\0\0\0\0\0\x01" : "\xc0\0\2\x07", f->v6 ? 16 : 4);
	f->remote[3] ^= (uint8_t)(f->v6 ? 0 : gen_random(s) & 3);
	f->sport = (uint16_t)(1024 + gen_random(s) % 4);
	f->dport = (uint16_t)(80 + gen_random(s) % 4);
	f->id = (uint16_t)gen_random(s);
	f->window = (uint16_t)gen_random(s);
	f->size = sizes[gen_random(s) % (sizeof(sizes) / sizeof(sizes[0]))];
	f->seq = gen_random(s);
	f->ack = gen_random(s);
	f->tos = gen_one_in(s, 3) ? (uint8_t)gen_random(s) : 0;
	f->ttl = 64;
}

void gen_seal(uint8_t *p, size_t len, size_t l4, bool partial)
{
	bool v6 = p[0] >> 4 == 6;
	uint8_t protocol = p[v6 ? 6 : 9];
	if (!v6) {
		put(p + 10, 0);
		put(p + 10, (uint16_t)~gen_sum(0, p, l4));
	}
	if (protocol != TCP && protocol != UDP)
		return;
	uint8_t *at = p + l4 + (protocol == TCP ? 16 : 6);
	put(at, 0);
	uint16_t sum = gen_sum(protocol + (uint32_t)(len - l4), p + (v6 ? 8 : 12), v6 ? 32 : 8);
	if (!partial)
		sum = (uint16_t)~gen_sum(sum, p + l4, len - l4);
	put(at, !partial && !sum && protocol == UDP ? 0xffff : sum);
}

/* IP header; returns its length. */
static size_t ip(const struct gen_flow *f, bool up, uint8_t *p, uint8_t protocol, size_t options)
{
	const uint8_t *src = up ? f->local : f->remote, *dst = up ? f->remote : f->local;
	memset(p, 0, 60);
	if (f->v6) {
		p[0] = (uint8_t)(0x60 | f->tos >> 4);
		p[1] = (uint8_t)(f->tos << 4);
		p[6] = protocol;
		p[7] = f->ttl;
		memcpy(p + 8, src, 16);
		memcpy(p + 24, dst, 16);
		return 40;
	}
	p[0] = (uint8_t)(0x45 + options / 4);
	p[1] = f->tos;
	put(p + 4, f->id);
	p[6] = f->df ? 0x40 : 0;
	p[8] = f->ttl;
	p[9] = protocol;
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	memset(p + 20, 1, options);
	return 20 + options;
}

static void length(uint8_t *p, size_t len)
{
	if (p[0] >> 4 == 6)
		put(p + 4, (uint32_t)len - 40);
	else
		put(p + 2, (uint32_t)len);
}

static size_t l4_header(uint64_t *s, struct gen_flow *f, bool up, uint8_t *q, uint8_t flags)
{
	put(q, up ? f->sport : f->dport);
	put(q + 2, up ? f->dport : f->sport);
	if (f->udp)
		return 8;
	size_t options = f->stamps ? 12 : 0;
	put32(q + 4, f->seq);
	put32(q + 8, f->ack);
	put(q + 14, f->window);
	put32(q + 16, 0);
	if (flags & SYN) {
		memcpy(q + 20, "\x02\x04\x05\xb4\x01\x01\x04\x02", 8);
		put(q + 22, gen_one_in(s, 2) ? 1460 : 500);
		options = 8;
	} else if (f->stamps) {
		memcpy(q + 20, "\x01\x01\x08\x0a\0\0\0\x09\0\0\0\x07", 12);
	}
	q[12] = (uint8_t)((20 + options) << 2);
	q[13] = flags;
	return 20 + options;
}

static void fill(uint64_t *s, uint8_t *p, size_t n)
{
	uint32_t v = gen_random(s);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (i & 3) * 8) ^ (uint8_t)i;
}

size_t gen_packet(uint64_t *s, struct gen_flow *f, bool up, uint8_t *p)
{
	uint32_t odd = gen_random(s) % 100; /* most packets are what they should be */
	uint8_t flags = ACK;
	size_t pay = f->size, options = !f->v6 && gen_one_in(s, 60) ? 4 : 0;
	struct gen_flow was = *f;
	switch (odd) {
	case 0: case 1: flags |= PSH; break;
	case 2: flags |= FIN; break;
	case 3: flags = SYN; pay = 0; break;
	case 4: flags |= RST; break;
	case 5: flags |= URG; break;
	case 6: case 7: flags |= CWR; break;
	case 8: flags |= ECE; break;
	case 9: case 10: pay = 0; break;
	case 11: case 12: case 13: pay = 1 + gen_random(s) % f->size; break;
	case 14: f->seq -= gen_random(s) % 5000; break;
	case 15: f->seq += gen_random(s) % 5000; break;
	case 16: f->ack += 99; was.ack = f->ack; break;
	case 17: f->window++; was.window = f->window; break;
	case 18: f->ttl--; break;
	case 19: f->tos ^= 1; break;
	case 20: f->id = (uint16_t)gen_random(s); break;
	case 21: f->df = !f->df; break;
	case 22: pay = GEN_ROOM - 100; break;
	case 23: f->size = (uint16_t)(1 + gen_random(s) % 1200); was.size = f->size; pay = f->size; break;
	default: break;
	}
	size_t l4 = ip(f, up, p, odd == 30 ? 1 : f->udp ? UDP : TCP, options);
	size_t len = l4 + l4_header(s, f, up, p + l4, flags);
	fill(s, p + len, pay);
	len += pay;
	length(p, len);
	if (f->udp)
		put(p + l4 + 4, (uint32_t)(len - l4));
	if (odd == 31 && !f->v6)
		p[6] |= 0x20; /* more fragments */
	if (odd == 32 && f->v6)
		p[3] ^= 9; /* flow label */
	if (odd == 33 && !f->v6)
		p[6] |= 0x80;
	if (odd == 34 && !f->udp)
		p[l4 + 12] |= 1;
	if (odd == 35 && !f->udp)
		p[l4 + 12] = (uint8_t)(gen_random(s) << 4);
	if (odd == 36 && f->udp)
		put(p + l4 + 4, (uint32_t)(len - l4 + 1));
	if (odd == 37) /* the whole is shorter than what carries it */
		length(p, len - (pay ? 1 : 0));
	if (odd == 38)
		length(p, len + 5);
	gen_seal(p, odd == 37 && pay ? len - 1 : len, l4, false);
	if (odd == 40 || odd == 41)
		p[len - 1] ^= 0x20; /* somewhere behind its checksum */
	if (odd == 42 && !f->v6)
		p[10] ^= 1;
	if (odd == 43 && f->udp)
		put(p + l4 + 6, 0);
	if (odd == 44)
		p[f->v6 ? 23 : 15] ^= 0x55; /* a source address that is not the client's */
	if (odd == 45)
		p[0] ^= 0x70;
	*f = was;
	f->id++;
	f->seq += (uint32_t)pay;
	if (gen_one_in(s, 400)) {
		f->sport ^= 1;
		f->seq = gen_random(s);
	}
	return len;
}

size_t gen_super(uint64_t *s, struct gen_flow *f, uint8_t *p, uint8_t vnet[10])
{
	uint8_t flags = ACK | (gen_one_in(s, 3) ? PSH : 0) | (gen_one_in(s, 9) ? FIN : 0) | (gen_one_in(s, 9) ? CWR : 0);
	uint16_t most = f->udp ? 1220 : 1500, size = (uint16_t)(1 + gen_random(s) % most);
	size_t l4 = ip(f, false, p, f->udp ? UDP : TCP, gen_one_in(s, 20) && !f->v6 ? 8 : 0);
	size_t head = l4 + l4_header(s, f, false, p + l4, flags), pay = 1 + gen_random(s) % ((size_t)size * 64);
	if (size < 200)
		size = 200;
	if (pay > 60000)
		pay = 60000;
	fill(s, p + head, pay);
	length(p, head + pay);
	if (f->udp)
		put(p + l4 + 4, (uint32_t)(head + pay - l4));
	gen_seal(p, head + pay, l4, true);
	memset(vnet, 0, 10);
	vnet[0] = 1;
	vnet[1] = (uint8_t)((f->udp ? 5 : f->v6 ? 4 : 1) | (!f->udp && (flags & CWR) ? 0x80 : 0));
	memcpy(vnet + 2, (uint16_t[]){ (uint16_t)head, size, (uint16_t)l4, f->udp ? 6 : 16 }, 8);
	f->id = (uint16_t)(f->id + 64);
	f->seq += (uint32_t)pay;
	return head + pay;
}

void gen_cut(const uint8_t *p, size_t len, const uint8_t *vnet, size_t mtu,
	void (*fn)(void *arg, const uint8_t *p, size_t len), void *arg)
{
	uint8_t q[2048], gso = vnet[1] & 0x7f;
	uint16_t size, l4;
	memcpy(&size, vnet + 4, 2);
	memcpy(&l4, vnet + 6, 2);
	size_t head = l4 + (gso == 5 ? 8u : (p[l4 + 12] >> 4) * 4u), pay = len - head, step = size;
	ck_assert_uint_eq(vnet[0], 1);
	ck_assert_uint_eq(p[0] >> 4, gso == 4 ? 6 : gso == 1 ? 4 : p[0] >> 4);
	ck_assert_uint_eq(get(p + (p[0] >> 4 == 6 ? 4 : 2)) + (p[0] >> 4 == 6 ? 40 : 0), len);
	ck_assert_uint_eq(!(vnet[1] & 0x80), gso == 5 || !(p[l4 + 13] & CWR));
	/* The kernel gets a partial checksum: that of the pseudo header, with the length of the whole. */
	bool v6 = p[0] >> 4 == 6;
	uint16_t pseudo = gen_sum((gso == 5 ? UDP : TCP) + (uint32_t)(len - l4), p + (v6 ? 8 : 12), v6 ? 32 : 8);
	ck_assert_uint_eq(get(p + l4 + (gso == 5 ? 6 : 16)), pseudo);
	if (gso != 5 && mtu && head + step > mtu)
		step = mtu - head;
	for (size_t at = 0, i = 0; at < pay; at += step, i++) {
		size_t part = pay - at < step ? pay - at : step;
		ck_assert_uint_le(head + part, sizeof(q));
		memcpy(q, p, head);
		memcpy(q + head, p + head + at, part);
		length(q, head + part);
		if (!v6)
			put(q + 4, get(p + 4) + (uint32_t)i);
		if (gso == 5) {
			put(q + l4 + 4, (uint32_t)(head + part - l4));
		} else {
			put32(q + l4 + 4, get32(p + l4 + 4) + (uint32_t)at);
			q[l4 + 13] = (uint8_t)(p[l4 + 13] & ~((at + part < pay ? FIN | PSH : 0) | (i ? CWR : 0)));
		}
		gen_seal(q, head + part, l4, false);
		fn(arg, q, head + part);
	}
}
