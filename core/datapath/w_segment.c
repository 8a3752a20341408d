/* Viaduct: a super-packet from TUN (TSO, USO) becomes packets of its session. One walk over its octets: each is copied
 * behind a header of its own, and summed while it is in the cache. */
#include <string.h>

#include "core/datapath/dp.h"

enum { TCP = 6, UDP = 17 };
/* Packets of one super-packet: 64 kB over links of 576 octets, with the longest headers, make 144. */
#define DP_SEGMENTS_MAX 256u
enum { FIN = 1, SYN = 2, PSH = 8, CWR = 128 };

struct cut {
	struct dp_inner in;
	const uint8_t *p;
	uint32_t len, head, size; /* head: octets before the payload; size: payload of each packet but the last */
	uint32_t seq, base;       /* TCP; sum of the pseudo header without length */
	uint16_t id;
	uint8_t flags;
};

/* What the packets have in common; false when it is not what its virtio header says. The kernel made it, from what hosts
 * behind us sent: nothing in it is believed. */
static bool prepare(struct cut *c, const struct dp_vnet *v, const uint8_t *p, size_t len)
{
	struct vd_pkt view = { .p = (uint8_t *)(uintptr_t)p, .len = (uint32_t)len };
	struct vd_rd r;
	uint8_t gso = v->gso & (uint8_t)~DP_VNET_ECN;
	*c = (struct cut){ .p = p, .size = v->size };
	if (!dp_inner_parse(&view, &c->in) || c->in.fragment || !v->size)
		return false;
	c->len = view.len;
	vd_rd_init(&r, p, c->len);
	vd_rd_take(&r, 4);
	c->id = vd_rd_u16(&r);
	vd_rd_init(&r, p, c->len);
	vd_rd_take(&r, c->in.l4);
	c->base = vd_sum_pseudo(&c->in.src, &c->in.dst, c->in.protocol, 0);
	if (c->in.protocol == UDP && gso == DP_VNET_UDP) {
		c->head = c->in.l4 + 8u;
		return vd_rd_take(&r, 8);
	}
	vd_rd_take(&r, 4);
	c->seq = vd_rd_u32(&r);
	vd_rd_take(&r, 4);
	unsigned header = (vd_rd_u8(&r) >> 4) * 4u;
	c->flags = vd_rd_u8(&r);
	c->head = c->in.l4 + header;
	return vd_rd_ok(&r) && c->in.protocol == TCP && gso == (c->in.version == 4 ? DP_VNET_TCP4 : DP_VNET_TCP6) &&
	       header >= 20 && c->head <= c->len;
}

/* Packet number i, whose payload begins at: headers, checksums. room holds all of it. */
static void make(const struct cut *c, unsigned i, uint32_t at, uint32_t part, uint8_t *q)
{
	uint32_t len = c->head + part, l4 = c->in.l4;
	memcpy(q, c->p, c->head);
	memcpy(q + c->head, c->p + c->head + at, part);
	if (c->in.version == 4) {
		dp_put16(q, len, 2, (uint16_t)len);
		dp_put16(q, len, 4, (uint16_t)(c->id + i));
		dp_put16(q, len, 10, 0);
		dp_put16(q, len, 10, vd_sum_fold(vd_sum(0, q, l4)));
	} else {
		dp_put16(q, len, 4, (uint16_t)(len - 40));
	}
	size_t sum_at = l4 + (c->in.protocol == TCP ? 16u : 6u);
	if (c->in.protocol == TCP) {
		uint32_t seq = c->seq + at;
		dp_put16(q, len, l4 + 4, (uint16_t)(seq >> 16));
		dp_put16(q, len, l4 + 6, (uint16_t)seq);
		if (at + part < c->len - c->head)
			q[l4 + 13] &= (uint8_t)~(FIN | PSH);
		if (i)
			q[l4 + 13] &= (uint8_t)~CWR;
	} else {
		dp_put16(q, len, l4 + 4, (uint16_t)(len - l4));
	}
	dp_put16(q, len, sum_at, 0);
	uint16_t sum = vd_sum_fold(vd_sum(c->base + len - l4, q + l4, len - l4));
	dp_put16(q, len, sum_at, !sum && c->in.protocol == UDP ? 0xffff : sum);
}

void dp_out_super(struct vd_worker *w, const uint8_t vnet[DP_VNET], const uint8_t *p, size_t len)
{
	struct dp_vnet v;
	struct cut c;
	dp_vnet_read(vnet, &v);
	if (!prepare(&c, &v, p, len)) {
		w->drops[VD_DROP_TUN]++;
		return;
	}
	uint32_t pay = c.len - c.head, packets = pay ? (pay + c.size - 1) / c.size : 1;
	struct vd_wsess *s = dp_out_session(w, &c.in, vnet, p, len, packets);
	if (!s)
		return;
	w->work[VD_WORK_TUN_SUPERS]++;
	/* Smaller TCP segments are as good; datagrams must stay as they were sent, and may be too big. */
	if (c.in.protocol == TCP && s->d.mtu > c.head && c.size > s->d.mtu - c.head)
		c.size = s->d.mtu - c.head;
	if (c.head + c.size > DP_ROOM) {
		w->drops[VD_DROP_TOO_BIG] += packets;
		s->c.drops[VD_DROP_TOO_BIG] += packets;
		return;
	}
	/* A peer that asks for tiny segments does not make us seal thousands of packets at once. */
	if (pay > (uint64_t)c.size * DP_SEGMENTS_MAX) {
		w->drops[VD_DROP_TOO_BIG] += packets;
		s->c.drops[VD_DROP_TOO_BIG] += packets;
		return;
	}
	uint32_t at = 0;
	for (unsigned i = 0; i == 0 || at < pay; i++) {
		uint32_t part = pay - at < c.size ? pay - at : c.size;
		struct vd_pkt pkt;
		if (!vd_pkt_new(w, c.head + part, &pkt)) {
			w->drops[VD_DROP_NO_BUFFER]++;
			s->c.drops[VD_DROP_NO_BUFFER]++;
		} else {
			make(&c, i, at, part, pkt.p);
			pkt.len = c.head + part;
			pkt.l4 = c.in.l4;
			pkt.sess = s->index + 1;
			w->work[VD_WORK_TUN_SEGMENTS]++;
			if (pkt.len > s->d.mtu)
				dp_too_big(w, s, &pkt, &c.in, dp_out_part);
			else
				dp_out_emit(w, s, &pkt, &c.in);
		}
		at += part;
	}
}
