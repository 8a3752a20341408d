/* Viaduct: from TUN to the network, on a worker. The way of a packet, in order:
 *
 *   read              w_tun.c       dp_rx_tun: up to 64 packets or 8 super-packets, each behind a virtio header
 *   virtio header     here          dp_out_tun: a partial checksum is completed
 *   address table     here          dp_out_session: source of a gateway's, else longest prefix -> {home slot, session}; foreign: over the hand ring
 *   cut               w_segment.c   dp_out_super: a super-packet becomes packets that the session takes
 *   size              w_toobig.c    larger than the session's MTU: ICMP, or fragments
 *   clamp, headers    w_simple.c    MSS; header block in front, its lengths patched, L2TP's sequence number where the session
 *                                   has some, UDP checksum inside IPv6
 *   batch             here          packets of one channel in a row make a vector, with frames of the link (dp_out_frame)
 *                                   between two of them
 *   channel           esp plugin    chan->ops->send: sequence numbers, IVs, the whole vector is sealed
 *   send              w_send.c      vd_worker_send: UDP_SEGMENT batches from this worker's socket; a vector waits while
 *                                   it is full
 */
#include <errno.h>
#include <string.h>

#include "core/datapath/dp.h"

void dp_out_flush(struct vd_worker *w)
{
	struct dp_out_batch *b = &w->out;
	if (!b->vec.n)
		return;
	struct dp_wchan *c = dp_wchan(w, b->chan);
	if (c)
		c->chan->ops->send(w, c->chan, &b->vec);
	else
		for (unsigned i = 0; i < b->vec.n; i++)
			vd_pkt_drop(w, &b->vec.v[i], VD_DROP_NO_SA);
	b->vec.n = 0;
}

void dp_out_emit(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in)
{
	dp_conceal(w, pkt->p, pkt->len);
	struct dp_wchan *c = dp_wchan(w, s->d.chan);
	uint32_t octets = pkt->len;
	enum vd_drop why = c ? dp_simple_out(s, c->chan, pkt, in) : VD_DROP_NO_SA;
	if (why != VD_DROP_NONE) {
		vd_pkt_drop(w, pkt, why);
		return;
	}
	s->numbers.next = (uint16_t)(s->numbers.next + s->numbered);
	s->c.packets_out++;
	s->c.octets_out += octets;
	if (w->out.vec.n && (w->out.chan != s->d.chan || w->out.vec.n == VD_VEC))
		dp_out_flush(w);
	w->out.chan = s->d.chan;
	w->out.vec.v[w->out.vec.n++] = *pkt;
}

void dp_out_frame(struct vd_worker *w, const struct dp_r_frame *frame, struct vd_pkt *pkt)
{
	struct vd_wsess *s = dp_sess(w, frame->to.sess);
	bool same = s && s->id == frame->to.session;
	struct dp_wchan *c = same ? dp_wchan(w, s->d.chan) : NULL;
	enum vd_drop why = c ? dp_simple_frame(s, c->chan, &frame->hdr, pkt) : same ? VD_DROP_NO_SA : VD_DROP_NO_ROUTE;
	if (why != VD_DROP_NONE) {
		vd_pkt_drop(w, pkt, why);
		return;
	}
	s->numbers.next = (uint16_t)(s->numbers.next + s->numbered);
	dp_out_flush(w);
	w->out.chan = s->d.chan;
	w->out.vec.v[0] = *pkt;
	w->out.vec.n = 1;
	dp_out_flush(w);
}

void dp_out_to(struct vd_worker *w, const struct dp_r_session *to, struct vd_pkt *pkt)
{
	struct vd_wsess *s = dp_sess(w, to->sess);
	struct dp_inner in;
	if (!s || !s->up || s->id != to->session) {
		vd_pkt_drop(w, pkt, VD_DROP_NO_ROUTE);
	} else if (!dp_inner_parse(pkt, &in)) {
		vd_pkt_drop(w, pkt, VD_DROP_NOT_IP);
	} else {
		pkt->sess = to->sess;
		if (pkt->len > s->d.mtu)
			dp_too_big(w, s, pkt, &in, dp_out_part);
		else
			dp_out_emit(w, s, pkt, &in);
	}
}

void dp_out_part(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt)
{
	struct dp_inner in;
	if (dp_inner_parse(pkt, &in))
		dp_out_emit(w, s, pkt, &in);
	else
		vd_pkt_drop(w, pkt, VD_DROP_NOT_IP);
}

/* Octets of a TUN queue that are another worker's. */
static bool hand(struct vd_worker *w, unsigned owner, const uint8_t vnet[DP_VNET], const uint8_t *p, size_t len)
{
	uint8_t *at = dp_ring_reserve(w->hand_out[owner], DP_R_OUT, DP_VNET + len, 0);
	if (!at)
		return false;
	memcpy(at, vnet, DP_VNET);
	memcpy(at + DP_VNET, p, len);
	dp_ring_commit(w->hand_out[owner]);
	w->touched |= 1u << owner;
	w->work[VD_WORK_HANDED]++;
	return true;
}

struct vd_wsess *dp_out_session(struct vd_worker *w, const struct dp_inner *in, const uint8_t vnet[DP_VNET],
	const uint8_t *p, size_t len, uint32_t packets)
{
	const struct dp_fib *f = dp_fib_find(&w->fib, &in->dst);
	/* What has our address from a gateway goes back to it, unless a client of ours is meant. */
	if (w->own.map.n && (!f || f->dialled)) {
		const struct dp_fib *own = dp_fib_find(&w->own, &in->src);
		f = own ? own : f;
	}
	unsigned owner = f ? dp_owner(w, f->home) : w->index;
	if (owner != w->index) {
		if (!hand(w, owner, vnet, p, len))
			w->drops[VD_DROP_RING_FULL] += packets;
		return NULL;
	}
	struct vd_wsess *s = f ? dp_sess(w, f->index + 1) : NULL;
	if (s && s->up && s->id == f->session)
		return s;
	w->drops[VD_DROP_NO_ROUTE] += packets;
	return NULL;
}

void dp_out_packet(struct vd_worker *w, struct vd_pkt *pkt)
{
	static const uint8_t plain[DP_VNET];
	struct dp_inner in;
	if (!dp_inner_parse(pkt, &in)) {
		vd_pkt_drop(w, pkt, VD_DROP_NOT_IP);
		return;
	}
	struct vd_wsess *s = dp_out_session(w, &in, plain, pkt->p, pkt->len, 1);
	if (!s) {
		vd_pkt_free(w, pkt);
		return;
	}
	pkt->sess = s->index + 1;
	if (pkt->len > s->d.mtu)
		dp_too_big(w, s, pkt, &in, dp_out_part);
	else
		dp_out_emit(w, s, pkt, &in);
}

void dp_out_tun(struct vd_worker *w, const uint8_t vnet[DP_VNET], const uint8_t *p, size_t len, struct vd_pkt *own)
{
	struct vd_pkt copy;
	struct dp_vnet v;
	dp_vnet_read(vnet, &v);
	if (v.gso) {
		dp_out_super(w, vnet, p, len);
		return;
	}
	if (own) {
		copy = *own;
		own->p = NULL;
	} else if (!dp_pkt_copy(w, p, len, &copy)) {
		return;
	}
	if ((v.flags & DP_VNET_NEEDS_CSUM) && !dp_csum_complete(&copy, v.start, v.offset))
		vd_pkt_drop(w, &copy, VD_DROP_TUN);
	else
		dp_out_packet(w, &copy);
}
