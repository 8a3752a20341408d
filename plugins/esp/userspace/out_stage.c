/* Viaduct: datagrams of a channel become ESP: trailer, sequence number, seal, send. RFC 4303 section 3.3. */
#include <string.h>
#include <sys/socket.h>

#include "esp.h"

static uint8_t version(const struct vd_pkt *pkt)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	return vd_rd_u8(&r) >> 4;
}

/* Does this SA carry the packet? In a tunnel its source has to lie in what the SA was made for. */
static bool carries(const struct esp_sa *sa, const struct vd_pkt *pkt)
{
	const struct vd_prefix *local = &sa->desc.local;
	struct vd_ip src = { .family = AF_INET };
	struct vd_rd r;
	if (!local->ip.family)
		return true;
	vd_rd_init(&r, pkt->p, pkt->len);
	if (version(pkt) == 6)
		src.family = AF_INET6;
	vd_rd_take(&r, src.family == AF_INET ? 12 : 8);
	vd_rd_copy(&r, src.a, src.family == AF_INET ? 4 : 16);
	return vd_rd_ok(&r) && vd_prefix_has(local, &src);
}

/* The newest that carries it; without one, why. */
static struct esp_sa *choose(struct esp_sa *newest, const struct vd_pkt *pkt, enum vd_drop *ret_why)
{
	struct esp_sa *sa = newest;
	while (sa && !carries(sa, pkt))
		sa = sa->chain;
	*ret_why = newest ? VD_DROP_SELECTOR : VD_DROP_NO_SA;
	return sa;
}

/* Everything but the sealing: the job says what is left to do. */
static enum vd_drop prepare(struct esp_sa *sa, const struct esp_chan *c, struct vd_pkt *pkt, struct esp_job *ret_job)
{
	const struct esp_suite *s = &sa->crypt.suite;
	uint8_t icv = c->cut && !s->aead && s->integ == VD_INTEG_SHA2_256_128 ? ESP_ICV_CUT : s->icv;
	if (sa->seq >= sa->desc.hard_packets || sa->bytes >= sa->desc.hard_bytes)
		return VD_DROP_EXPIRED;
	uint32_t pad = (s->align - (pkt->len + 2) % s->align) % s->align;
	struct vd_wr w;
	vd_wr_init(&w, pkt->p + pkt->len, VD_TAIL);
	for (uint32_t i = 1; i <= pad; i++)
		vd_wr_u8(&w, (uint8_t)i);
	vd_wr_u8(&w, (uint8_t)pad);
	uint8_t next = 17;
	if (c->mode == VD_ESP_TUNNEL)
		next = version(pkt) == 6 ? 41 : 4;
	vd_wr_u8(&w, next);
	uint32_t text = pkt->len + pad + 2, head = 8u + s->iv;
	pkt->p -= head;
	vd_wr_init(&w, pkt->p, 8);
	vd_wr_u32(&w, sa->desc.spi);
	/* A number is used once, whether sealing succeeds or not. */
	vd_wr_u32(&w, (uint32_t)++sa->seq);
	if (!esp_iv(&sa->crypt, pkt->p))
		return VD_DROP_AUTH;
	pkt->len = head + text + icv;
	sa->packets++;
	sa->bytes += pkt->len;
	*ret_job = (struct esp_job){ .crypt = &sa->crypt, .esp = pkt->p, .text = text, .hi = (uint32_t)(sa->seq >> 32),
		.icv = icv };
	return VD_DROP_NONE;
}

static void soft(struct vd_worker *w, struct esp_sa *sa)
{
	if (!sa->soft_told && (sa->seq >= sa->desc.soft_packets || sa->bytes >= sa->desc.soft_bytes))
		sa->soft_told = vd_worker_tell(w, esp_on_soft, sa->chan->esp, sa->chan->c.id, sa->desc.spi);
}

/* The worry metric of RFC 3706 section 4.1: traffic goes out, and nothing comes. */
static void unanswered(struct vd_worker *w, struct esp_chan *c)
{
	uint64_t now = vd_worker_now(w);
	if (!c->unanswered)
		c->unanswered = now ? now : 1;
	else if (now - c->unanswered >= ESP_UNANSWERED_MS && now - c->unanswered_told >= ESP_UNANSWERED_MS &&
		vd_worker_tell(w, esp_on_unanswered, c->esp, c->c.id, 0))
		c->unanswered_told = now;
}

void esp_output(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	struct esp_chan *c = (struct esp_chan *)chan;
	struct esp_sa *last = NULL;
	struct esp_table *t = vd_worker_state(w, esp_slot);
	struct esp_job jobs[VD_VEC];
	struct vd_vec out;
	unsigned n = 0;
	out.n = 0;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		enum vd_drop why;
		struct esp_sa *sa = choose(chan->lower, pkt, &why);
		if (sa)
			why = prepare(sa, c, pkt, &jobs[n]);
		if (last && sa && last != sa)
			soft(w, last);
		last = sa ? sa : last;
		if (why == VD_DROP_NONE) {
			vec->v[n++] = *pkt; /* n <= i: what it takes the place of is done with */
			continue;
		}
		if (why == VD_DROP_EXPIRED && !sa->hard_told)
			sa->hard_told = vd_worker_tell(w, esp_on_hard, c->esp, chan->id, sa->desc.spi);
		vd_pkt_drop(w, pkt, why);
	}
	for (unsigned i = 0; i < n; i++)
		vd_record_sealed(jobs[i].esp + 8 + jobs[i].crypt->suite.iv, jobs[i].text);
	esp_seal_jobs(t ? t->mb : NULL, jobs, n);
	for (unsigned i = 0; i < n; i++)
		if (jobs[i].ok)
			out.v[out.n++] = vec->v[i];
		else
			vd_pkt_drop(w, &vec->v[i], VD_DROP_AUTH);
	if (out.n) {
		vd_worker_send(w, &c->path, &out);
		unanswered(w, c);
	}
	if (last)
		soft(w, last);
	vec->n = 0;
}
