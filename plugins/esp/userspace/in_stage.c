/* Viaduct: received ESP: SPI, window, open, window, trailer, next header; then up the channel. RFC 4303 section 3.4. */
#include <string.h>

#include "esp.h"

#define ALIVE_MS 1000u

unsigned esp_slot;

static struct esp_sa **bucket(struct esp_table *t, uint32_t spi)
{
	return &t->bucket[(spi >> 8 ^ spi >> 20) % ESP_BUCKETS]; /* our own random numbers */
}

void esp_table_add(struct esp_table *t, struct esp_sa *sa)
{
	struct esp_sa **at = bucket(t, sa->desc.spi);
	sa->chain = *at;
	*at = sa;
}

void esp_table_del(struct esp_table *t, struct esp_sa *sa)
{
	for (struct esp_sa **at = bucket(t, sa->desc.spi); *at; at = &(*at)->chain)
		if (*at == sa) {
			*at = sa->chain;
			return;
		}
}

static struct esp_sa *find(struct esp_table *t, uint32_t spi)
{
	struct esp_sa *sa = t ? *bucket(t, spi) : NULL;
	while (sa && sa->desc.spi != spi)
		sa = sa->chain;
	return sa;
}

/* Takes padding and next header off; the padding is 1, 2, 3, ... (RFC 4303 section 2.4). */
static enum vd_drop trailer(const struct esp_sa *sa, struct vd_pkt *pkt)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, pkt->len - 2);
	unsigned pad = vd_rd_u8(&r);
	uint8_t next = vd_rd_u8(&r);
	if (!vd_rd_ok(&r) || pad + 2 > pkt->len)
		return VD_DROP_PADDING;
	pkt->len -= pad + 2;
	vd_rd_init(&r, pkt->p, pkt->len + pad);
	vd_rd_take(&r, pkt->len);
	for (unsigned i = 1; i <= pad; i++)
		if (vd_rd_u8(&r) != i)
			return VD_DROP_PADDING;
	bool ok = sa->chan->mode == VD_ESP_TRANSPORT ? next == 17 : next == 4 || next == 41;
	return ok ? VD_DROP_NONE : VD_DROP_NEXT_HEADER; /* 59, traffic flow padding, ends here too */
}

static void authentic(struct vd_worker *w, struct esp_sa *sa, bool newest, const struct vd_path *path)
{
	struct esp_chan *c = sa->chan;
	uint64_t now = vd_worker_now(w);
	if (!sa->first_told)
		sa->first_told = vd_worker_tell(w, esp_on_first, c->esp, c->c.id, sa->desc.spi);
	if ((!c->alive_told || now - c->alive_told >= ALIVE_MS) &&
		vd_worker_tell(w, esp_on_alive, c->esp, c->c.id, 0))
		c->alive_told = now;
	/* Only the newest packet may say that the peer moved, or a delayed one would move it back. */
	if (newest && !c->seen_told && (!vd_sa_equal(&path->remote, &c->path.remote) ||
					       !vd_ip_equal(&path->local.ip, &c->path.local.ip))) {
		c->seen = *path;
		c->seen_told = vd_worker_tell(w, esp_on_moved, c->esp, c->c.id, 0);
	}
}

/* One packet, in place: p and len become its payload. */
static enum vd_drop open_one(struct vd_worker *w, struct esp_table *t, struct vd_pkt *pkt, const struct vd_path *path,
	struct esp_sa **ret_sa)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	struct esp_sa *sa = find(t, vd_rd_u32(&r));
	uint32_t seq = vd_rd_u32(&r);
	if (!vd_rd_ok(&r))
		return VD_DROP_SHORT;
	if (!sa)
		return VD_DROP_NO_SPI;
	if (!esp_window_check(&sa->window, seq))
		return VD_DROP_REPLAY;
	if (sa->packets >= sa->desc.hard_packets || sa->bytes >= sa->desc.hard_bytes) {
		if (!sa->hard_told)
			sa->hard_told = vd_worker_tell(w, esp_on_hard, sa->chan->esp, sa->chan->c.id,
				sa->desc.spi | ESP_TOLD_IN);
		return VD_DROP_EXPIRED;
	}
	long text = esp_open(&sa->crypt, pkt->p, pkt->len);
	if (text < 0)
		return VD_DROP_AUTH;
	bool newest = esp_window_update(&sa->window, seq);
	sa->packets++;
	sa->bytes += pkt->len;
	authentic(w, sa, newest, path);
	pkt->p += 8u + sa->crypt.suite.iv;
	pkt->len = (uint32_t)text;
	*ret_sa = sa;
	return trailer(sa, pkt);
}

static void soft(struct vd_worker *w, struct esp_sa *sa)
{
	if (!sa->soft_told && (sa->packets >= sa->desc.soft_packets || sa->bytes >= sa->desc.soft_bytes))
		sa->soft_told = vd_worker_tell(w, esp_on_soft, sa->chan->esp, sa->chan->c.id,
			sa->desc.spi | (sa->in ? ESP_TOLD_IN : 0));
}

void esp_input(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta)
{
	struct esp_table *t = vd_worker_state(w, esp_slot);
	struct esp_chan *chan = NULL;
	struct esp_sa *last = NULL;
	struct vd_vec out;
	out.n = 0;
	for (unsigned i = 0; i < vec->n; i++) {
		struct esp_sa *sa = NULL;
		enum vd_drop why = open_one(w, t, &vec->v[i], &meta[i].path, &sa);
		if (why != VD_DROP_NONE) {
			vd_pkt_drop(w, &vec->v[i], why);
			continue;
		}
		if (last && sa != last)
			soft(w, last);
		last = sa;
		if (chan && sa->chan != chan) {
			vd_chan_input(w, &chan->c, &out);
			out.n = 0;
		}
		chan = sa->chan;
		out.v[out.n++] = vec->v[i];
	}
	if (last)
		soft(w, last);
	if (out.n)
		vd_chan_input(w, &chan->c, &out);
	vec->n = 0;
}
