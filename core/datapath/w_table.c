/* Viaduct: a worker's private tables: channels, links, sessions, and its copy of the address table. */
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

struct vd_wsess *dp_sess(const struct vd_worker *w, uint32_t sess)
{
	return sess && sess <= DP_SESSIONS ? w->sess[sess - 1] : NULL;
}

struct dp_wchan *dp_wchan(const struct vd_worker *w, uint64_t chan)
{
	struct dp_node *n = dp_map_find(&w->chans, chan);
	return n ? VD_CONTAINER_OF(n, struct dp_wchan, node) : NULL;
}

uint32_t vd_worker_link(struct vd_worker *w, const struct vd_chan *chan, uint64_t key, const struct vd_stage **ret_up,
	void **ret_state)
{
	/* The channel's own id is part of what is looked up: a tunnel and session id heard on another channel is nobody's. */
	for (struct dp_node *n = dp_map_find(&w->links, key ^ chan->id << 32); n; n = dp_map_same(n)) {
		const struct dp_wlink *l = VD_CONTAINER_OF(n, struct dp_wlink, node);
		if (l->chan != chan->id || l->key != key)
			continue;
		const struct vd_wsess *s = dp_sess(w, l->index + 1);
		if (!s || s->id != l->session)
			return 0;
		*ret_up = l->up;
		*ret_state = l->state;
		return l->index + 1;
	}
	return 0;
}

bool vd_worker_session_up(const struct vd_worker *w, uint32_t sess)
{
	const struct vd_wsess *s = dp_sess(w, sess);
	return s && s->up;
}

bool vd_worker_session_up6(const struct vd_worker *w, uint32_t sess)
{
	const struct vd_wsess *s = dp_sess(w, sess);
	return s && s->up && s->d.v6.len;
}

struct vd_ip dp_fib_net(const struct vd_ip *ip, unsigned len)
{
	struct vd_ip out = *ip;
	unsigned size = ip->family == AF_INET ? 4 : 16;
	for (unsigned i = 0; i < size; i++) {
		unsigned bits = len > 8 * i ? len - 8 * i : 0;
		if (bits < 8)
			out.a[i] &= (uint8_t)(0xff00u >> bits);
	}
	return out;
}

uint64_t dp_fib_key(const struct vd_ip *ip, unsigned len)
{
	uint64_t hi, lo;
	memcpy(&hi, ip->a, 8);
	memcpy(&lo, ip->a + 8, 8);
	return (hi ^ lo * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull + len + ((uint64_t)ip->family << 8);
}

static uint32_t *length_count(struct dp_fibs *fibs, const struct vd_prefix *p)
{
	return p->ip.family == AF_INET ? &fibs->n4[p->len] : &fibs->n6[p->len];
}

void dp_fib_put(struct dp_fibs *fibs, struct dp_fib *f)
{
	dp_map_add(&fibs->map, &f->node, dp_fib_key(&f->prefix.ip, f->prefix.len));
	(*length_count(fibs, &f->prefix))++;
}

void dp_fib_take(struct dp_fibs *fibs, struct dp_fib *f)
{
	dp_map_del(&fibs->map, &f->node);
	(*length_count(fibs, &f->prefix))--;
}

const struct dp_fib *dp_fib_find(const struct dp_fibs *fibs, const struct vd_ip *ip)
{
	const uint32_t *count = ip->family == AF_INET ? fibs->n4 : fibs->n6;
	for (int len = ip->family == AF_INET ? 32 : 128; len >= 0; len--) {
		if (!count[len])
			continue;
		struct vd_ip net = dp_fib_net(ip, (unsigned)len);
		struct dp_node *n = dp_map_find(&fibs->map, dp_fib_key(&net, (unsigned)len));
		for (; n; n = dp_map_same(n)) {
			const struct dp_fib *f = VD_CONTAINER_OF(n, struct dp_fib, node);
			if (f->prefix.len == len && f->prefix.ip.family == ip->family &&
				!memcmp(f->prefix.ip.a, net.a, sizeof(net.a)))
				return f;
		}
	}
	return NULL;
}
