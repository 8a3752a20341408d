/* Viaduct: from the network to TUN, on a worker. The way of a packet, in order:
 *
 *   recvmmsg          w_rx.c        dp_rx_socket: 64 datagrams into 64 buffers; one may be a GRO batch with one segment size
 *   split, classify   here          dp_in_udp: EVERY segment by itself, since the kernel steered the batch by its first:
 *                                   0xFF alone: keepalive; first word 0: IKE, punted raw; else ESP with its SPI
 *   owner             here          dp_in_esp: worker (SPI & 255) % N; a foreign one gets a copy over its hand ring
 *   SA                esp plugin    esp_input: SPI -> SA, replay window; the whole vector is opened; window update, padding
 *   channel           here          vd_chan_input: the stage that was attached: l2tp; w_early.c until one is
 *   link              l2tp, ppp     L2TP header -> vd_worker_link -> PPP header; control is punted (vd_worker_punt)
 *   inner packet      here          vd_inner_in: is the session up, does the source belong to it, MSS clamp (w_simple.c)
 *   for us?           w_inner.c     dp_inner_take: DHCP and the like are punted
 *   coalesce          w_coalesce.c  dp_coalesce: neighbours of a flow with good checksums become one super-packet
 *   TUN               w_tun.c       dp_tun_write, dp_tun_super
 *
 * A stage gets a vector and consumes it. What is dropped has a reason (enum vd_drop) and is counted there.
 */
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

unsigned dp_owner(const struct vd_worker *w, uint8_t home)
{
	return home % w->workers;
}

void dp_in_flush(struct vd_worker *w)
{
	struct dp_esp_batch *b = &w->in;
	if (b->vec.n && w->esp_input)
		w->esp_input(w, &b->vec, b->meta);
	else
		for (unsigned i = 0; i < b->vec.n; i++)
			vd_pkt_drop(w, &b->vec.v[i], VD_DROP_NO_SPI);
	b->vec.n = 0;
	dp_coalesce_flush(w); /* nothing of a flow waits for a next vector that may not come */
}

/* Copies path and octets into another thread's ring. */
static bool hand(struct dp_ring *ring, uint32_t kind, size_t keep, const struct vd_path *path, const uint8_t *p,
	size_t len)
{
	struct dp_r_path head = { *path };
	uint8_t *at = dp_ring_reserve(ring, kind, sizeof(head) + len, keep);
	if (!at)
		return false;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), p, len);
	dp_ring_commit(ring);
	return true;
}

void dp_in_esp(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, struct vd_pkt *own)
{
	struct vd_rd r;
	vd_rd_init(&r, p, len);
	uint32_t spi = vd_rd_u32(&r);
	vd_rd_u32(&r);
	if (!vd_rd_ok(&r)) {
		w->drops[VD_DROP_SHORT]++;
		return;
	}
	unsigned owner = dp_owner(w, (uint8_t)spi);
	if (owner != w->index) {
		if (hand(w->hand_out[owner], DP_R_ESP, 0, path, p, len)) {
			w->touched |= 1u << owner;
			w->work[VD_WORK_HANDED]++;
		} else {
			w->drops[VD_DROP_RING_FULL]++;
		}
		return;
	}
	struct dp_esp_batch *b = &w->in;
	struct vd_pkt *pkt = &b->vec.v[b->vec.n];
	if (own) {
		*pkt = (struct vd_pkt){ .p = own->p + (p - own->p), .len = (uint32_t)len };
		own->p = NULL;
	} else if (!dp_pkt_copy(w, p, len, pkt)) {
		return;
	}
	pkt->tos = path->tos;
	b->meta[b->vec.n].path = *path;
	if (++b->vec.n == VD_VEC)
		dp_in_flush(w);
}

bool dp_limit_take(struct dp_limit *limits, uint64_t key, uint64_t now, const struct vd_sa *from)
{
	uint64_t hi, lo, h = key;
	memcpy(&hi, from->ip.a, 8);
	memcpy(&lo, from->ip.a + 8, 8);
	h = (h ^ hi) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 29 ^ lo) * 0xc4ceb9fe1a85ec53ull;
	h = (h ^ h >> 31 ^ from->port ^ key >> 7) * 0x9e3779b97f4a7c15ull;
	struct dp_limit *l = &limits[(h >> 32) % DP_LIMITS];
	if (now - l->window >= DP_PUNT_MS) {
		l->window = now;
		l->n = 0;
	}
	return l->n++ < DP_PUNT_SOURCE;
}

static void in_ike(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len)
{
	if (!dp_limit_take(w->limits, w->limit_key, w->now, &path->remote)) {
		w->drops[VD_DROP_PUNT_LIMIT]++;
		return;
	}
	if (hand(&w->raw, DP_R_IKE, 0, path, p, len))
		w->touched |= 1u << 31;
	else
		w->drops[VD_DROP_RING_FULL]++;
}

void dp_in_udp(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, size_t seg,
	struct vd_pkt *own)
{
	struct vd_rd all;
	vd_rd_init(&all, p, len);
	if (!len)
		w->drops[VD_DROP_SHORT]++;
	while (vd_rd_left(&all)) {
		size_t n = seg && seg < vd_rd_left(&all) ? seg : vd_rd_left(&all);
		const uint8_t *d = vd_rd_take(&all, n);
		w->work[VD_WORK_SEGMENTS]++;
		struct vd_rd r;
		vd_rd_init(&r, d, n);
		if (n == 1 && vd_rd_peek(&r) == 0xff) {
			w->drops[VD_DROP_KEEPALIVE]++; /* RFC 3948 section 2.3 */
			continue;
		}
		uint32_t first = vd_rd_u32(&r);
		if (!vd_rd_ok(&r))
			w->drops[VD_DROP_SHORT]++;
		else if (first == 0) {
			size_t rest;
			const uint8_t *ike = vd_rd_rest(&r, &rest);
			in_ike(w, path, ike, rest);
		} else
			dp_in_esp(w, path, d, n, own);
	}
}

void dp_in_raw(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, struct vd_pkt *own)
{
	struct vd_rd r;
	vd_rd_init(&r, p, len);
	if (path->local.ip.family == AF_INET) {
		unsigned ihl = (vd_rd_u8(&r) & 15u) * 4;
		vd_rd_init(&r, p, len);
		if (ihl < 20 || !vd_rd_take(&r, ihl)) {
			w->drops[VD_DROP_SHORT]++;
			return;
		}
	}
	size_t rest;
	const uint8_t *esp = vd_rd_rest(&r, &rest);
	if (w->came)
		w->came((int)w->index, path, esp, rest);
	dp_in_esp(w, path, esp, rest, own);
}

void vd_chan_input(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	if (chan->up) {
		chan->up->run(w, chan->upper, vec);
	} else {
		for (unsigned i = 0; i < vec->n; i++)
			dp_early_keep(w, chan, &vec->v[i]);
	}
	vec->n = 0;
}

void vd_inner_in(struct vd_worker *w, struct vd_vec *vec)
{
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		struct vd_wsess *s = dp_sess(w, pkt->sess);
		dp_conceal(w, pkt->p, pkt->len);
		if (!s || !s->up) {
			vd_pkt_drop(w, pkt, VD_DROP_NO_ROUTE);
			continue;
		}
		struct dp_inner in;
		enum vd_drop why = dp_simple_in(s, pkt, &in);
		if (why != VD_DROP_NONE) {
			vd_pkt_drop(w, pkt, why);
			continue;
		}
		s->c.packets_in++;
		s->c.octets_in += pkt->len;
		if (w->inner[0].protocol && dp_inner_take(w, s, pkt, &in))
			continue;
		if (in.from_link || in.to_link) { /* it ends here (RFC 4291 section 2.5.6) */
			vd_pkt_drop(w, pkt, VD_DROP_DESTINATION);
			continue;
		}
		dp_coalesce(w, pkt, &in);
	}
	vec->n = 0;
}

void dp_punt(struct vd_worker *w, struct dp_wchan *c, uint32_t kind, const struct dp_r_punt *head, struct vd_pkt *pkt)
{
	if (w->now - c->window >= DP_PUNT_MS) {
		c->window = w->now;
		c->punts = 0;
	}
	if (c->punts++ >= (c->sessions ? DP_PUNT_CHAN : DP_PUNT_NEW)) {
		vd_pkt_drop(w, pkt, VD_DROP_PUNT_LIMIT);
		return;
	}
	struct dp_ring *ring = c->sessions ? &w->auth : &w->fresh;
	uint8_t *at = dp_ring_reserve(ring, kind, sizeof(*head) + pkt->len, c->sessions ? DP_ACK_ROOM : 0);
	if (!at) {
		vd_pkt_drop(w, pkt, VD_DROP_RING_FULL);
		return;
	}
	memcpy(at, head, sizeof(*head));
	memcpy(at + sizeof(*head), pkt->p, pkt->len);
	dp_ring_commit(ring);
	w->touched |= 1u << 31;
	vd_pkt_free(w, pkt);
}

void vd_worker_punt(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt)
{
	const struct vd_wsess *s = dp_sess(w, pkt->sess);
	struct dp_wchan *c = chan ? dp_wchan(w, chan->id) : s ? dp_wchan(w, s->d.chan) : NULL;
	struct dp_r_punt head = { .chan = c ? c->node.key : 0, .session = s ? s->id : 0 };
	if (c)
		dp_punt(w, c, DP_R_PUNT, &head, pkt);
	else
		vd_pkt_drop(w, pkt, VD_DROP_NO_UPPER);
}

bool vd_worker_tell(struct vd_worker *w, void (*fn)(void *arg, uint64_t a, uint64_t b), void *arg, uint64_t a,
	uint64_t b)
{
	struct dp_r_tell t = { fn, arg, a, b };
	void *at = dp_ring_reserve(&w->auth, DP_R_TELL, sizeof(t), DP_ACK_ROOM);
	if (!at)
		return false;
	memcpy(at, &t, sizeof(t));
	dp_ring_commit(&w->auth);
	w->touched |= 1u << 31;
	return true;
}
