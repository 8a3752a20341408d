/* Viaduct: packets that are larger than their session takes: ICMP to the sender (RFC 1191, RFC 8201), or fragments when
 * IPv4's sender allows it. */
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

#define ICMP_MS 1000u
#define ICMP_BURST 10u

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4: never about an error, a later fragment or to a group. */
static bool may_answer(const struct vd_pkt *pkt, const struct dp_inner *in)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, in->l4);
	int type = vd_rd_peek(&r);
	if (!in->first || vd_ip_is_any(&in->src))
		return false;
	if (in->version == 4)
		return in->src.a[0] < 224 && in->dst.a[0] < 224 && (in->protocol != 1 || type == 0 || type == 8);
	return in->src.a[0] != 0xff && in->dst.a[0] != 0xff && (in->protocol != 58 || type >= 128);
}

/* The source is the address that the packet was for: the error speaks for the way to it, passes the kernel's reverse path
 * check on TUN, and hosts look only at the packet inside. */
static void answer(struct vd_worker *w, const struct vd_wsess *s, const struct vd_pkt *about, const struct dp_inner *in)
{
	bool v4 = in->version == 4;
	uint32_t quote = v4 ? 548 : 1232, head = v4 ? 28 : 48;
	struct vd_pkt pkt;
	struct vd_wr wr;
	if (quote > about->len)
		quote = about->len;
	if (!vd_pkt_new(w, head + quote, &pkt))
		return;
	pkt.len = head + quote;
	vd_wr_init(&wr, pkt.p, pkt.len);
	if (v4) {
		vd_wr_u16(&wr, 0x45c0);
		vd_wr_u16(&wr, (uint16_t)pkt.len);
		vd_wr_u32(&wr, 0);
		vd_wr_u16(&wr, 64 << 8 | 1);
		vd_wr_u16(&wr, 0);
		vd_wr_put(&wr, in->dst.a, 4);
		vd_wr_put(&wr, in->src.a, 4);
		vd_wr_u16(&wr, 3 << 8 | 4); /* fragmentation needed */
		vd_wr_u16(&wr, 0);
		vd_wr_u32(&wr, s->d.mtu);
	} else {
		vd_wr_u32(&wr, 0x6c000000);
		vd_wr_u16(&wr, (uint16_t)(8 + quote));
		vd_wr_u16(&wr, 58 << 8 | 64);
		vd_wr_put(&wr, in->dst.a, 16);
		vd_wr_put(&wr, in->src.a, 16);
		vd_wr_u16(&wr, 2 << 8); /* packet too big */
		vd_wr_u16(&wr, 0);
		vd_wr_u32(&wr, s->d.mtu);
	}
	vd_wr_put(&wr, about->p, quote);
	uint32_t icmp = v4 ? 20 : 40;
	uint32_t sum = v4 ? 0 : vd_sum_pseudo(&in->dst, &in->src, 58, 8 + quote);
	uint16_t check = vd_sum_fold(vd_sum(sum, pkt.p + icmp, pkt.len - icmp));
	vd_wr_init(&wr, pkt.p + icmp + 2, 2);
	vd_wr_u16(&wr, check);
	if (v4) {
		check = vd_sum_fold(vd_sum(0, pkt.p, 20));
		vd_wr_init(&wr, pkt.p + 10, 2);
		vd_wr_u16(&wr, check);
	}
	dp_tun_write(w, &pkt);
}

/* RFC 791 section 3.2; packets with options are dropped by the caller. */
static void fragments(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt,
	void (*emit)(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt))
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, 6);
	uint16_t flags = vd_rd_u16(&r);
	uint32_t most = (s->d.mtu - 20u) & ~7u, total = pkt->len - 20, sess = pkt->sess;
	for (uint32_t at = 0; at < total; at += most) {
		uint32_t part = total - at < most ? total - at : most;
		struct vd_pkt f;
		struct vd_wr wr;
		if (!vd_pkt_new(w, 20 + part, &f)) {
			w->drops[VD_DROP_NO_BUFFER]++;
			break;
		}
		f.len = 20 + part;
		f.sess = sess;
		vd_wr_init(&wr, f.p, f.len);
		vd_wr_put(&wr, pkt->p, 20);
		vd_wr_put(&wr, pkt->p + 20 + at, part);
		vd_wr_init(&wr, f.p + 2, 2);
		vd_wr_u16(&wr, (uint16_t)f.len);
		vd_wr_init(&wr, f.p + 6, 6);
		vd_wr_u16(&wr, (uint16_t)(((flags & 0x1fff) + at / 8) | (at + part < total ? 0x2000 : flags & 0x2000)));
		vd_wr_put(&wr, pkt->p + 8, 2);
		vd_wr_u16(&wr, 0);
		uint16_t check = vd_sum_fold(vd_sum(0, f.p, 20));
		vd_wr_init(&wr, f.p + 10, 2);
		vd_wr_u16(&wr, check);
		emit(w, s, &f);
	}
	vd_pkt_free(w, pkt);
}

void dp_too_big(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in,
	void (*emit)(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt))
{
	if (in->version == 4 && !in->df && in->l4 == 20 && s->d.mtu >= 68) {
		fragments(w, s, pkt, emit);
		return;
	}
	if (w->now - s->icmp_window >= ICMP_MS) {
		s->icmp_window = w->now;
		s->icmp_sent = 0;
	}
	if (s->icmp_sent < ICMP_BURST && may_answer(pkt, in)) {
		s->icmp_sent++;
		answer(w, s, pkt, in);
	}
	vd_pkt_drop(w, pkt, VD_DROP_TOO_BIG);
}
