/* Viaduct: from TUN to the network, on a worker. The way of a packet, in order:
 *
 *   read              w_rx.c        dp_rx_tun: up to 64 packets, each behind a virtio header
 *   virtio header     here          dp_out_tun: a partial checksum is completed
 *   address table     here          dp_out_packet: longest prefix -> {home slot, session}; foreign: over the hand ring
 *   size              w_toobig.c    larger than the session's MTU: ICMP, or fragments
 *   clamp, headers    w_simple.c    MSS; header block in front, its lengths patched, UDP checksum inside IPv6
 *   batch             here          packets of one channel in a row make a vector
 *   channel           esp plugin    chan->ops->send: sequence number, IV, seal
 *   send              w_send.c      vd_worker_send: this worker's socket of the endpoint; a vector waits while it is full
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/datapath/dp.h"

enum { VNET_NEEDS_CSUM = 1 };

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

static void emit(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt)
{
	struct dp_inner in;
	struct dp_wchan *c = dp_wchan(w, s->d.chan);
	uint32_t octets = pkt->len;
	enum vd_drop why = !c ? VD_DROP_NO_SA
			   : dp_inner_parse(pkt, &in) ? dp_simple_out(s, c->chan, pkt, &in) : VD_DROP_NOT_IP;
	if (why != VD_DROP_NONE) {
		vd_pkt_drop(w, pkt, why);
		return;
	}
	s->c.packets_out++;
	s->c.octets_out += octets;
	if (w->out.vec.n && (w->out.chan != s->d.chan || w->out.vec.n == VD_VEC))
		dp_out_flush(w);
	w->out.chan = s->d.chan;
	w->out.vec.v[w->out.vec.n++] = *pkt;
}

void dp_out_packet(struct vd_worker *w, struct vd_pkt *pkt)
{
	struct dp_inner in;
	if (!dp_inner_parse(pkt, &in)) {
		vd_pkt_drop(w, pkt, VD_DROP_NOT_IP);
		return;
	}
	const struct dp_fib *f = dp_fib_find(w, &in.dst);
	if (!f) {
		vd_pkt_drop(w, pkt, VD_DROP_NO_ROUTE);
		return;
	}
	unsigned owner = dp_owner(w, f->home);
	if (owner != w->index) {
		void *at = dp_ring_reserve(w->hand_out[owner], DP_R_OUT, pkt->len, 0);
		if (!at) {
			vd_pkt_drop(w, pkt, VD_DROP_RING_FULL);
			return;
		}
		memcpy(at, pkt->p, pkt->len);
		dp_ring_commit(w->hand_out[owner]);
		w->touched |= 1u << owner;
		vd_pkt_free(w, pkt);
		return;
	}
	struct vd_wsess *s = dp_sess(w, f->index + 1);
	if (!s || !s->up || s->id != f->session) {
		vd_pkt_drop(w, pkt, VD_DROP_NO_ROUTE);
		return;
	}
	pkt->sess = f->index + 1;
	if (pkt->len > s->d.mtu)
		dp_too_big(w, s, pkt, &in, emit);
	else
		emit(w, s, pkt);
}

void dp_out_tun(struct vd_worker *w, const uint8_t vnet[DP_VNET], struct vd_pkt *pkt)
{
	/* struct virtio_net_hdr is in host order on a TUN device (no TUNSETVNETBE): the one place where we read it so. */
	uint8_t flags = vnet[0], gso = vnet[1];
	uint16_t start, offset;
	memcpy(&start, vnet + 6, 2);
	memcpy(&offset, vnet + 8, 2);
	if (gso || ((flags & VNET_NEEDS_CSUM) && !dp_csum_complete(pkt, start, offset))) {
		vd_pkt_drop(w, pkt, VD_DROP_TUN);
		return;
	}
	dp_out_packet(w, pkt);
}

void dp_tun_write(struct vd_worker *w, struct vd_pkt *pkt)
{
	if (w->capture) {
		struct vd_datapath_sent sent = { .way = VD_SENT_TUN, .worker = w->index, .p = pkt->p, .len = pkt->len };
		w->capture(w->capture_arg, &sent);
		vd_pkt_free(w, pkt);
		return;
	}
	memset(pkt->p - DP_VNET, 0, DP_VNET);
	if (w->tun_fd < 0 || write(w->tun_fd, pkt->p - DP_VNET, pkt->len + DP_VNET) < 0)
		vd_pkt_drop(w, pkt, VD_DROP_TUN);
	else
		vd_pkt_free(w, pkt);
}
