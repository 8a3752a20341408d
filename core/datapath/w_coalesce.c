/* Viaduct: coalescing between a session and TUN: segments of one TCP flow (and datagrams of one UDP flow, where the kernel
 * takes USO) that came one behind the other in a vector are written as one super-packet, which costs the kernel little
 * more than a single one.
 *
 * Nothing changes for who receives them: cut again, they are what they were. So only neighbours in sequence with the same
 * header are joined, all of one size but the last; PSH and FIN end a super-packet, CWR may only begin one. And every
 * segment's own checksums are verified first: the kernel makes new ones (NEEDS_CSUM), which must never make good what came
 * bad. What does not fit goes alone and unchanged, behind what came before it in its flow. */
#include <string.h>

#include "core/datapath/dp.h"

enum { TCP = 6, UDP = 17 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, CWR = 128 };

struct piece { /* what of a packet decides */
	uint16_t head, pay, id;
	uint32_t seq;
	uint8_t flags;
	bool df;
};

static bool tcp(struct vd_rd *r, uint16_t l4, struct piece *ret)
{
	vd_rd_take(r, 4);
	ret->seq = vd_rd_u32(r);
	vd_rd_take(r, 4);
	unsigned header = (vd_rd_u8(r) >> 4) * 4u;
	ret->flags = vd_rd_u8(r);
	ret->head = (uint16_t)(l4 + header);
	return vd_rd_ok(r) && header >= 20 && (ret->flags & (SYN | RST | ACK | URG)) == ACK;
}

static bool udp(struct vd_rd *r, uint16_t l4, uint32_t len, struct piece *ret)
{
	vd_rd_take(r, 4);
	uint16_t length = vd_rd_u16(r), sum = vd_rd_u16(r);
	ret->head = (uint16_t)(l4 + 8);
	return vd_rd_ok(r) && sum && length == len - l4;
}

/* Can it be part of a super-packet at all? */
static bool look(const struct vd_worker *w, const struct vd_pkt *pkt, const struct dp_inner *in, struct piece *ret)
{
	struct vd_rd r;
	bool v4 = in->version == 4;
	*ret = (struct piece){ .df = in->df };
	if (in->fragment || in->l4 != (v4 ? 20 : 40))
		return false; /* options would have to be the same, and are rare */
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, 4);
	ret->id = vd_rd_u16(&r);
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, in->l4);
	if (in->protocol == TCP ? !tcp(&r, in->l4, ret)
				: in->protocol != UDP || !dp_can(w, VD_CAP_USO) || !udp(&r, in->l4, pkt->len, ret))
		return false;
	if (ret->head >= pkt->len)
		return false;
	ret->pay = (uint16_t)(pkt->len - ret->head);
	uint32_t l4 = pkt->len - in->l4;
	return (!v4 || vd_sum_fold(vd_sum(0, pkt->p, 20)) == 0) &&
	       vd_sum_fold(vd_sum(vd_sum_pseudo(&in->src, &in->dst, in->protocol, l4), pkt->p + in->l4, l4)) == 0;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* Also when it has IP options and so cannot be joined. */
static bool same_flow(const struct dp_flow *f, const struct vd_pkt *pkt, const struct dp_inner *in)
{
	const uint8_t *a = f->v[0].p, *b = pkt->p;
	if (!f->n || f->v[0].sess != pkt->sess || f->version != in->version || f->protocol != in->protocol ||
		pkt->len < in->l4 + 4u)
		return false;
	return same(a, b, in->version == 4 ? 12 : 8, in->version == 4 ? 20 : 40) &&
	       memcmp(a + f->l4, b + in->l4, 4) == 0;
}

static bool fits(const struct dp_flow *f, const struct vd_pkt *pkt, const struct piece *p)
{
	const uint8_t *a = f->v[0].p, *b = pkt->p;
	size_t l4 = f->l4;
	if (f->n == VD_VEC || p->head != f->head || p->pay > f->size || f->len + p->pay > DP_INNER_MAX)
		return false;
	if (f->version == 4) {
		/* Version, TOS; flags; time to live, protocol. The ids count up, or mean nothing (RFC 6864). */
		if (!same(a, b, 0, 2) || !same(a, b, 6, 10) || (!p->df && p->id != (uint16_t)(f->id + f->n)))
			return false;
	} else if (!same(a, b, 0, 4) || !same(a, b, 6, 8)) {
		return false;
	}
	if (f->protocol == UDP)
		return true;
	/* Acknowledgement and offset; flags; window; urgent pointer and options. */
	return p->seq == f->next && same(a, b, l4 + 8, l4 + 13) && !(p->flags & CWR) &&
	       !((p->flags ^ f->flags) & ~(FIN | PSH | CWR)) && same(a, b, l4 + 14, l4 + 16) &&
	       same(a, b, l4 + 18, f->head);
}

static void write_out(struct vd_worker *w, struct dp_flow *f)
{
	struct vd_pkt *first = &f->v[0];
	uint8_t vnet[DP_VNET];
	uint16_t l4 = f->l4, sum_at = f->protocol == TCP ? 16 : 6;
	if (f->n == 1) {
		dp_tun_write(w, first);
		f->n = 0;
		return;
	}
	struct dp_vnet v = { .flags = DP_VNET_NEEDS_CSUM, .head = f->head, .size = f->size, .start = l4, .offset = sum_at };
	v.gso = f->protocol == UDP ? DP_VNET_UDP : f->version == 4 ? DP_VNET_TCP4 : DP_VNET_TCP6;
	struct dp_inner in = { 0 };
	dp_inner_parse(first, &in); /* for its addresses */
	if (f->version == 4) {
		dp_put16(first->p, f->head, 2, (uint16_t)f->len);
		dp_put16(first->p, f->head, 10, 0);
		dp_put16(first->p, f->head, 10, vd_sum_fold(vd_sum(0, first->p, 20)));
	} else {
		dp_put16(first->p, f->head, 4, (uint16_t)(f->len - 40));
	}
	if (f->protocol == TCP) {
		if (first->p[l4 + 13] & CWR)
			v.gso |= DP_VNET_ECN;
		first->p[l4 + 13] |= f->flags & (FIN | PSH);
	} else {
		dp_put16(first->p, f->head, l4 + 4u, (uint16_t)(f->len - l4));
	}
	/* Partial: the sum of the pseudo header, for the kernel to complete. */
	dp_put16(first->p, f->head, (size_t)l4 + sum_at,
		(uint16_t)~vd_sum_fold(vd_sum_pseudo(&in.src, &in.dst, f->protocol, f->len - l4)));
	dp_vnet_write(&v, vnet);
	dp_tun_super(w, vnet, f->v, f->n, f->head);
	f->n = 0;
}

static void start(struct vd_worker *w, struct dp_flow *f, struct vd_pkt *pkt, const struct dp_inner *in,
	const struct piece *p)
{
	if (p->flags & (FIN | PSH)) { /* nothing may follow it */
		dp_tun_write(w, pkt);
		return;
	}
	f->v[0] = *pkt;
	f->n = 1;
	f->l4 = in->l4;
	f->head = p->head;
	f->size = p->pay;
	f->id = p->id;
	f->len = pkt->len;
	f->next = p->seq + p->pay;
	f->version = in->version;
	f->protocol = in->protocol;
	f->flags = p->flags;
	f->df = p->df;
}

void dp_coalesce(struct vd_worker *w, struct vd_pkt *pkt, const struct dp_inner *in)
{
	struct dp_flow *f = NULL, *room = NULL;
	struct piece p;
	if (!dp_can(w, VD_CAP_COALESCE) || (in->protocol != TCP && in->protocol != UDP) || !in->first) {
		dp_tun_write(w, pkt);
		return;
	}
	for (unsigned i = 0; i < DP_FLOWS && !f; i++) {
		if (same_flow(&w->flow[i], pkt, in))
			f = &w->flow[i];
		else if (!w->flow[i].n)
			room = &w->flow[i];
	}
	bool can = look(w, pkt, in, &p);
	if (f && can && fits(f, pkt, &p)) {
		f->v[f->n++] = *pkt;
		f->len += p.pay;
		f->next += p.pay;
		f->flags |= p.flags & (FIN | PSH);
		if (p.pay < f->size || (p.flags & (FIN | PSH)))
			write_out(w, f);
		return;
	}
	if (f)
		write_out(w, f);
	if (!can) {
		dp_tun_write(w, pkt);
		return;
	}
	f = f ? f : room;
	if (!f) {
		f = &w->flow[w->flow_next++ % DP_FLOWS];
		write_out(w, f);
	}
	start(w, f, pkt, in, &p);
}

void dp_coalesce_flush(struct vd_worker *w)
{
	for (unsigned i = 0; i < DP_FLOWS; i++)
		if (w->flow[i].n)
			write_out(w, &w->flow[i]);
}
