/* L2TP: datagrams of a channel on its home worker: data messages to their link, control messages to the control thread
 * (RFC 2661 section 3.1). */
#include "l2tp_stage.h"

#include <string.h>

#include <viaduct/bytes.h>

#include "l2tp_codec.h"

#define STRAY_MS 100u
#define STRAY_LEN (L2TP_UDP + 14u) /* UDP header, and of L2TP as far as the ids at most */

struct message { /* what its header says */
	bool control, sequenced;
	uint16_t ns;
	uint64_t key;
};

struct batch {
	const struct vd_stage *up;
	void *state;
	struct vd_vec vec;
	struct message m[VD_VEC]; /* of each packet */
};

static void flush(struct vd_worker *w, struct l2tp_in *in, struct batch *b)
{
	if (!b->vec.n)
		return;
	b->up->run(w, b->state, &b->vec);
	b->vec.n = 0;
	for (unsigned i = 0; i < L2TP_ORDERS; i++)
		in->orders[i].passed = in->orders[i].next;
}

/* Moves the packet to its PPP frame, when it is no control message. VD_DROP_NONE, or why it is dropped. */
static enum vd_drop parse(struct vd_pkt *pkt, struct message *ret_m)
{
	*ret_m = (struct message){ 0 };
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
		ret_m->control = true;
		return VD_DROP_NONE;
	}
	size_t end = whole;
	if (flags & L2TP_F_L)
		end = vd_rd_u16(&udp);
	uint64_t tunnel = vd_rd_u16(&udp), session = vd_rd_u16(&udp);
	if (flags & L2TP_F_S) {
		ret_m->sequenced = true;
		ret_m->ns = vd_rd_u16(&udp);
		vd_rd_u16(&udp); /* Nr means nothing here (section 3.1) */
	}
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
	ret_m->key = tunnel << 16 | session;
	return VD_DROP_NONE;
}

/* The session's numbers, moved to the front; a new session's begin with this one. */
static struct l2tp_order *order_of(struct l2tp_in *in, uint32_t sess, const struct message *m)
{
	/* Its neighbours in this vector may still come before it. */
	struct l2tp_order o = { .key = m->key, .sess = sess, .next = m->ns, .passed = (uint16_t)(m->ns - VD_VEC) };
	unsigned i = 0;
	while (i < L2TP_ORDERS - 1 && in->orders[i].sess && (in->orders[i].sess != sess || in->orders[i].key != m->key))
		i++;
	if (in->orders[i].sess == sess && in->orders[i].key == m->key)
		o = in->orders[i];
	for (; i > 0; i--)
		in->orders[i] = in->orders[i - 1];
	in->orders[0] = o;
	return &in->orders[0];
}

/* Where in the batch the packet belongs; false: it comes twice, or what follows it was passed on already. Nothing waits
 * for a packet that is missing: the next vector goes on without it. */
static bool find_place(struct l2tp_order *o, const struct batch *b, const struct message *m, unsigned *at)
{
	if ((uint16_t)(m->ns - o->next) < 0x8000) {
		o->next = (uint16_t)(m->ns + 1);
		return true;
	}
	if ((uint16_t)(m->ns - o->passed) >= 0x8000)
		return false;
	for (unsigned i = b->vec.n; i > 0; i--) {
		const struct message *other = &b->m[i - 1];
		if (b->vec.v[i - 1].sess != o->sess || !other->sequenced || other->key != o->key)
			continue;
		if (other->ns == m->ns)
			return false;
		if ((uint16_t)(other->ns - m->ns) >= 0x8000)
			break;
		*at = i - 1;
	}
	return true;
}

static void put(struct batch *b, unsigned at, const struct vd_pkt *pkt, const struct message *m)
{
	for (unsigned i = b->vec.n++; i > at; i--) {
		b->vec.v[i] = b->vec.v[i - 1];
		b->m[i] = b->m[i - 1];
	}
	b->vec.v[at] = *pkt;
	b->m[at] = *m;
}

/* Data without a link: the control thread may know why, and answers the peer; it gets a copy of the headers. */
static void stray(struct vd_worker *w, struct l2tp_in *in, const uint8_t *p, size_t len)
{
	uint64_t now = vd_worker_now(w);
	struct vd_pkt copy;
	struct vd_wr wr;
	if ((in->stray && now - in->stray < STRAY_MS) || !vd_pkt_new(w, STRAY_LEN, &copy))
		return;
	in->stray = now ? now : 1;
	copy.len = (uint32_t)(len < STRAY_LEN ? len : STRAY_LEN);
	memcpy(copy.p, p, copy.len);
	vd_wr_init(&wr, copy.p, copy.len);
	wr.len = copy.len;
	vd_wr_patch_u16(&wr, 4, (uint16_t)copy.len); /* all that is left of the datagram */
	vd_worker_punt(w, &in->chan, &copy);
}

static void run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	struct l2tp_in *in = state;
	struct batch b;
	b.vec.n = 0;
	b.up = NULL;
	b.state = NULL;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		struct message m;
		const uint8_t *datagram = pkt->p;
		size_t len = pkt->len;
		enum vd_drop why = parse(pkt, &m);
		if (why != VD_DROP_NONE) {
			vd_pkt_drop(w, pkt, why);
			continue;
		}
		if (m.control) {
			/* What came before it must not be overtaken: a Terminate-Ack before its CDN. */
			flush(w, in, &b);
			vd_worker_punt(w, &in->chan, pkt);
			continue;
		}
		const struct vd_stage *up = NULL;
		void *up_state = NULL;
		uint32_t sess = vd_worker_link(w, &in->chan, m.key, &up, &up_state);
		if (!sess || !up) {
			stray(w, in, datagram, len);
			vd_pkt_drop(w, pkt, VD_DROP_L2TP_SESSION);
			continue;
		}
		pkt->sess = sess;
		if (b.vec.n && (b.up != up || b.state != up_state))
			flush(w, in, &b);
		unsigned at = b.vec.n;
		if (m.sequenced && !find_place(order_of(in, sess, &m), &b, &m, &at)) {
			vd_pkt_drop(w, pkt, VD_DROP_L2TP_SEQUENCE);
			continue;
		}
		if (!vd_worker_numbered(w, sess, m.sequenced)) {
			vd_pkt_drop(w, pkt, VD_DROP_L2TP_UNNUMBERED);
			continue;
		}
		b.up = up;
		b.state = up_state;
		put(&b, at, pkt, &m);
	}
	flush(w, in, &b);
	vec->n = 0;
}

const struct vd_stage l2tp_in = { .name = "l2tp_in", .run = run };
