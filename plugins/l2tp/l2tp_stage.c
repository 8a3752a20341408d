/* L2TP: datagrams of a channel on its home worker: data messages to their link, control messages to the control thread
 * (RFC 2661 section 3.1). */
#include "l2tp_stage.h"

#include <viaduct/bytes.h>

#include "l2tp_codec.h"

struct batch {
	const struct vd_stage *up;
	void *state;
	struct vd_vec vec;
};

static void flush(struct vd_worker *w, struct batch *b)
{
	if (b->vec.n)
		b->up->run(w, b->state, &b->vec);
	b->vec.n = 0;
}

/* Moves the packet to its PPP frame. VD_DROP_NONE with *ret_key, or *ret_control, or why it is dropped. */
static enum vd_drop parse(struct vd_pkt *pkt, uint64_t *ret_key, bool *ret_control)
{
	struct vd_rd r, udp;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, 4);
	uint16_t udp_len = vd_rd_u16(&r);
	vd_rd_take(&r, 2); /* the checksum is wrong behind a NAT, and ESP has authenticated the packet (RFC 3948 3.1.2) */
	if (!vd_rd_ok(&r))
		return VD_DROP_SHORT;
	if (udp_len < L2TP_UDP || !vd_rd_sub(&r, udp_len - L2TP_UDP, &udp))
		return VD_DROP_UDP_LENGTH;
	size_t whole = vd_rd_left(&udp);
	uint16_t flags = vd_rd_u16(&udp);
	if (!vd_rd_ok(&udp) || (flags & L2TP_F_VER) != 2)
		return VD_DROP_L2TP_HEADER;
	if (flags & L2TP_F_T) {
		pkt->len = udp_len;
		*ret_control = true;
		return VD_DROP_NONE;
	}
	size_t end = whole;
	if (flags & L2TP_F_L)
		end = vd_rd_u16(&udp);
	uint64_t tunnel = vd_rd_u16(&udp), session = vd_rd_u16(&udp);
	if (flags & L2TP_F_S)
		vd_rd_take(&udp, 4);
	if (flags & L2TP_F_O) {
		uint16_t pad = vd_rd_u16(&udp);
		vd_rd_take(&udp, pad);
	}
	if (!vd_rd_ok(&udp) || end > whole)
		return VD_DROP_L2TP_HEADER;
	size_t header = whole - vd_rd_left(&udp);
	if (header > end)
		return VD_DROP_L2TP_HEADER;
	pkt->p += L2TP_UDP + header;
	pkt->len = (uint32_t)(end - header);
	*ret_key = tunnel << 16 | session;
	return VD_DROP_NONE;
}

static void run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	const struct l2tp_in *in = state;
	struct batch b;
	b.vec.n = 0;
	b.up = NULL;
	b.state = NULL;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		uint64_t key = 0;
		bool control = false;
		enum vd_drop why = parse(pkt, &key, &control);
		if (why != VD_DROP_NONE) {
			vd_pkt_drop(w, pkt, why);
			continue;
		}
		if (control) {
			/* What came before it must not be overtaken: a Terminate-Ack before its CDN. */
			flush(w, &b);
			vd_worker_punt(w, &in->chan, pkt);
			continue;
		}
		const struct vd_stage *up = NULL;
		void *up_state = NULL;
		uint32_t sess = vd_worker_link(w, &in->chan, key, &up, &up_state);
		if (!sess || !up) {
			vd_pkt_drop(w, pkt, VD_DROP_L2TP_SESSION);
			continue;
		}
		pkt->sess = sess;
		if (b.vec.n && (b.up != up || b.state != up_state))
			flush(w, &b);
		b.up = up;
		b.state = up_state;
		b.vec.v[b.vec.n++] = *pkt;
	}
	flush(w, &b);
	vec->n = 0;
}

const struct vd_stage l2tp_in = { .name = "l2tp_in", .run = run };
