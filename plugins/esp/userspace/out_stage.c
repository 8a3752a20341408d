/* Viaduct: datagrams of a channel become ESP: trailer, sequence number, seal, send. RFC 4303 section 3.3. */
#include <string.h>

#include "esp.h"

static enum vd_drop seal_one(struct esp_sa *sa, const struct esp_chan *c, struct vd_pkt *pkt)
{
	const struct esp_suite *s = &sa->crypt.suite;
	if (sa->seq >= sa->desc.hard_packets || sa->bytes >= sa->desc.hard_bytes)
		return VD_DROP_EXPIRED;
	uint32_t pad = (s->align - (pkt->len + 2) % s->align) % s->align;
	struct vd_wr w;
	vd_wr_init(&w, pkt->p + pkt->len, VD_TAIL);
	for (uint32_t i = 1; i <= pad; i++)
		vd_wr_u8(&w, (uint8_t)i);
	vd_wr_u8(&w, (uint8_t)pad);
	uint8_t next = 17;
	if (c->mode == VD_ESP_TUNNEL) {
		struct vd_rd r;
		vd_rd_init(&r, pkt->p, pkt->len);
		next = vd_rd_u8(&r) >> 4 == 6 ? 41 : 4;
	}
	vd_wr_u8(&w, next);
	size_t text = pkt->len + pad + 2, head = 8u + s->iv;
	pkt->p -= head;
	vd_wr_init(&w, pkt->p, 8);
	vd_wr_u32(&w, sa->desc.spi);
	/* A number is used once, whether sealing succeeds or not. */
	vd_wr_u32(&w, (uint32_t)++sa->seq);
	if (!esp_seal(&sa->crypt, pkt->p, text))
		return VD_DROP_AUTH;
	pkt->len = (uint32_t)(head + text + s->icv);
	sa->packets++;
	sa->bytes += pkt->len;
	return VD_DROP_NONE;
}

void esp_output(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	struct esp_chan *c = (struct esp_chan *)chan;
	struct esp_sa *sa = chan->lower;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		enum vd_drop why = sa ? seal_one(sa, c, pkt) : VD_DROP_NO_SA;
		if (why == VD_DROP_NONE) {
			vd_worker_send(w, &c->path, pkt);
			continue;
		}
		if (why == VD_DROP_EXPIRED && !sa->hard_told)
			sa->hard_told = vd_worker_tell(w, esp_on_hard, c->esp, chan->id, sa->desc.spi);
		vd_pkt_drop(w, pkt, why);
	}
	if (sa && !sa->soft_told && (sa->seq >= sa->desc.soft_packets || sa->bytes >= sa->desc.soft_bytes))
		sa->soft_told = vd_worker_tell(w, esp_on_soft, c->esp, chan->id, sa->desc.spi);
	vec->n = 0;
}
