/* Viaduct: a worker's buffers. They never leave their worker: what crosses to another thread is copied into a ring. */
#include <string.h>

#include <viaduct/record.h>

#include "core/datapath/dp.h"

static const char *const drop_names[VD_DROP_MAX] = {
	[VD_DROP_NONE] = "none", [VD_DROP_SHORT] = "short", [VD_DROP_KEEPALIVE] = "keepalive",
	[VD_DROP_NO_SPI] = "no_spi", [VD_DROP_REPLAY] = "replay", [VD_DROP_AUTH] = "auth",
	[VD_DROP_PADDING] = "padding", [VD_DROP_EXPIRED] = "expired", [VD_DROP_NEXT_HEADER] = "next_header",
	[VD_DROP_NOT_UDP] = "not_udp", [VD_DROP_UDP_LENGTH] = "udp_length", [VD_DROP_L2TP_HEADER] = "l2tp_header",
	[VD_DROP_L2TP_SESSION] = "l2tp_session", [VD_DROP_L2TP_SEQUENCE] = "l2tp_sequence",
	[VD_DROP_PPP_HEADER] = "ppp_header", [VD_DROP_PPP_PROTOCOL] = "ppp_protocol", [VD_DROP_NOT_IP] = "not_ip",
	[VD_DROP_SOURCE] = "source", [VD_DROP_NO_ROUTE] = "no_route", [VD_DROP_NO_SA] = "no_sa",
	[VD_DROP_TOO_BIG] = "too_big", [VD_DROP_SOCKET] = "socket", [VD_DROP_TUN] = "tun",
	[VD_DROP_RING_FULL] = "ring_full", [VD_DROP_PUNT_LIMIT] = "punt_limit", [VD_DROP_NO_BUFFER] = "no_buffer",
	[VD_DROP_SELECTOR] = "selector", [VD_DROP_FOREIGN] = "foreign", [VD_DROP_NO_UPPER] = "no_upper",
	[VD_DROP_DESTINATION] = "destination", [VD_DROP_L2TP_UNNUMBERED] = "l2tp_unnumbered",
	[VD_DROP_ECN] = "ecn",
};

const char *vd_drop_name(enum vd_drop why)
{
	return (unsigned)why < VD_DROP_MAX && drop_names[why] ? drop_names[why] : "unknown";
}

void dp_pool_init(struct vd_worker *w)
{
	w->free = NULL;
	w->n_free = DP_BUFS;
	for (unsigned i = DP_BUFS; i-- > 0;) {
		void *buf = w->pool + (size_t)i * DP_BUF;
		memcpy(buf, &w->free, sizeof(w->free));
		w->free = buf;
	}
}

bool vd_pkt_new(struct vd_worker *w, size_t room, struct vd_pkt *ret_pkt)
{
	if (room > DP_ROOM || !w->free)
		return false;
	uint8_t *buf = w->free;
	memcpy(&w->free, buf, sizeof(w->free));
	w->n_free--;
	*ret_pkt = (struct vd_pkt){ .p = buf + VD_HEAD };
	return true;
}

bool dp_pkt_copy(struct vd_worker *w, const void *p, size_t len, struct vd_pkt *ret_pkt)
{
	if (!vd_pkt_new(w, len, ret_pkt)) {
		w->drops[len > DP_ROOM ? VD_DROP_TOO_BIG : VD_DROP_NO_BUFFER]++;
		return false;
	}
	if (len)
		memcpy(ret_pkt->p, p, len);
	ret_pkt->len = (uint32_t)len;
	return true;
}

void vd_pkt_free(struct vd_worker *w, struct vd_pkt *pkt)
{
	if (!pkt->p)
		return;
	/* Stages move p inside the buffer only, and never onto its end (VD_TAIL is behind every packet). */
	void *buf = (void *)((uintptr_t)pkt->p & ~(uintptr_t)(DP_BUF - 1));
	memcpy(buf, &w->free, sizeof(w->free));
	w->free = buf;
	w->n_free++;
	pkt->p = NULL;
}

void vd_pkt_drop(struct vd_worker *w, struct vd_pkt *pkt, enum vd_drop why)
{
	if (w->conceal && pkt->p)
		vd_conceal_at(pkt->p, pkt->len);
	struct vd_wsess *s = dp_sess(w, pkt->sess);
	w->drops[why]++;
	if (s)
		s->c.drops[why]++;
	vd_pkt_free(w, pkt);
}

uint64_t vd_worker_now(const struct vd_worker *w)
{
	return w->now;
}

unsigned vd_worker_index(const struct vd_worker *w)
{
	return w->index;
}

void *vd_worker_state(const struct vd_worker *w, unsigned slot)
{
	return slot < DP_SLOTS ? w->state[slot] : NULL;
}

void vd_worker_set_state(struct vd_worker *w, unsigned slot, void *state)
{
	if (slot < DP_SLOTS)
		w->state[slot] = state;
}
