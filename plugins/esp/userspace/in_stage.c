/* Viaduct: received ESP, a vector at a time: SPI, window; all of it is opened; window, trailer, next header; then up the
 * channel. RFC 4303 section 3.4. */
#include <string.h>
#include <sys/socket.h>

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

/* RFC 4301 section 5.2: what came out of a tunnel must be for what its SA was made for. Its source is the session's to
 * check. */
static enum vd_drop selector(const struct esp_sa *sa, const struct vd_pkt *pkt)
{
	const struct vd_prefix *local = &sa->desc.local;
	struct vd_ip dst = { .family = local->ip.family };
	struct vd_rd r;
	if (!local->ip.family)
		return VD_DROP_NONE;
	vd_rd_init(&r, pkt->p, pkt->len);
	bool same = (vd_rd_peek(&r) >> 4 == 4) == (dst.family == AF_INET);
	vd_rd_take(&r, dst.family == AF_INET ? 16 : 24);
	vd_rd_copy(&r, dst.a, dst.family == AF_INET ? 4 : 16);
	return same && vd_rd_ok(&r) && vd_prefix_has(local, &dst) ? VD_DROP_NONE : VD_DROP_SELECTOR;
}

static void authentic(struct vd_worker *w, struct esp_sa *sa, bool newest, const struct vd_path *path)
{
	struct esp_chan *c = sa->chan;
	uint64_t now = vd_worker_now(w);
	c->unanswered = 0;
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

/* A packet of the vector on its way through the SA. */
struct entry {
	struct esp_sa *sa;
	uint64_t seq;
	struct esp_job *job; /* NULL: too short to be one */
};

static enum vd_drop expired(struct vd_worker *w, struct esp_sa *sa)
{
	if (sa->packets < sa->desc.hard_packets && sa->bytes < sa->desc.hard_bytes)
		return VD_DROP_NONE;
	if (!sa->hard_told)
		sa->hard_told = vd_worker_tell(w, esp_on_hard, sa->chan->esp, sa->chan->c.id, sa->desc.spi | ESP_TOLD_IN);
	return VD_DROP_EXPIRED;
}

/* Before opening: what can be said without. */
static enum vd_drop lookup(struct vd_worker *w, struct esp_table *t, const struct vd_pkt *pkt, struct entry *e)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	e->sa = find(t, vd_rd_u32(&r));
	uint32_t lo = vd_rd_u32(&r);
	if (!vd_rd_ok(&r))
		return VD_DROP_SHORT;
	if (!e->sa)
		return VD_DROP_NO_SPI;
	e->seq = e->sa->desc.esn ? esp_window_infer(&e->sa->window, lo) : lo;
	if (!esp_window_check(&e->sa->window, e->seq))
		return VD_DROP_REPLAY;
	return expired(w, e->sa);
}

/* An authentic packet says how long the peer's ICV is, and we send alike. A whole one settles it: whoever cuts would not send
 * one, but somebody on the way can cut a whole one. */
static void icv_decide(struct vd_worker *w, struct esp_sa *sa, uint8_t icv)
{
	struct esp_chan *c = sa->chan;
	if (!sa->crypt.icv_open)
		return;
	sa->crypt.icv_open = icv == ESP_ICV_CUT;
	if (c->cut != sa->crypt.icv_open) {
		c->cut = sa->crypt.icv_open;
		vd_worker_tell(w, esp_on_cut, c->esp, c->c.id, c->cut);
	}
}

/* After it, in order of arrival; window and limits are asked again, since packets before this one in the vector have
 * changed them. p and len become the payload. */
static enum vd_drop admit(struct vd_worker *w, struct entry *e, struct vd_pkt *pkt, const struct vd_path *path)
{
	struct esp_sa *sa = e->sa;
	if (!esp_window_check(&sa->window, e->seq))
		return VD_DROP_REPLAY;
	enum vd_drop why = expired(w, sa);
	if (why != VD_DROP_NONE)
		return why;
	if (!e->job || !e->job->ok || (!sa->crypt.icv_open && e->job->icv != sa->crypt.suite.icv))
		return VD_DROP_AUTH;
	icv_decide(w, sa, e->job->icv);
	bool newest = esp_window_update(&sa->window, e->seq);
	sa->packets++;
	sa->bytes += pkt->len;
	authentic(w, sa, newest, path);
	pkt->p += 8u + sa->crypt.suite.iv;
	pkt->len = e->job->text;
	why = trailer(sa, pkt);
	return why == VD_DROP_NONE ? selector(sa, pkt) : why;
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
	struct entry entry[VD_VEC];
	struct esp_job jobs[VD_VEC];
	struct vd_vec out;
	unsigned n = 0;
	out.n = 0;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		struct entry *e = &entry[i];
		enum vd_drop why = lookup(w, t, pkt, e);
		uint8_t icv = 0;
		uint32_t text = why == VD_DROP_NONE ? esp_text(&e->sa->crypt, pkt->len, &icv) : 0;
		e->job = text ? &jobs[n++] : NULL;
		if (text)
			*e->job = (struct esp_job){ .crypt = &e->sa->crypt, .esp = pkt->p, .text = text,
				.hi = (uint32_t)(e->seq >> 32), .icv = icv };
		if (why != VD_DROP_NONE)
			vd_pkt_drop(w, pkt, why);
	}
	esp_open_jobs(t ? t->mb : NULL, jobs, n);
	for (unsigned i = 0; i < n; i++) {
		jobs[i].ok = vd_verified(jobs[i].ok);
		if (jobs[i].ok)
			vd_observe("plain", jobs[i].esp + 8 + jobs[i].crypt->suite.iv, jobs[i].text);
	}
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		struct esp_sa *sa = entry[i].sa;
		if (!pkt->p)
			continue; /* dropped above */
		enum vd_drop why = admit(w, &entry[i], pkt, &meta[i].path);
		if (why != VD_DROP_NONE) {
			vd_pkt_drop(w, pkt, why);
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
		out.v[out.n++] = *pkt;
	}
	if (last)
		soft(w, last);
	if (out.n)
		vd_chan_input(w, &chan->c, &out);
	vec->n = 0;
}
