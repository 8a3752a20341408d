/* Viaduct: commands to workers, and what comes back from them: acknowledgements, punts, IKE. Control thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "core/datapath/dp.h"

static bool push(struct vd_datapath *dp, unsigned worker, const struct dp_r_call *call)
{
	if (dp->outstanding[worker] >= DP_COMMANDS)
		return false;
	void *at = dp_ring_reserve(&dp->w[worker]->inbox, DP_R_CALL, sizeof(*call), 0);
	if (!at)
		return false;
	memcpy(at, call, sizeof(*call));
	dp_ring_commit(&dp->w[worker]->inbox);
	dp->outstanding[worker]++;
	return true;
}

void dp_kick(struct vd_datapath *dp, unsigned worker)
{
	struct vd_worker *w = dp->w[worker];
	if (!dp->inline_mode && !dp->paused) {
		dp_wake(&w->wake);
		return;
	}
	if (dp->inline_mode)
		w->now = vd_now();
	dp_worker_rings(w);
	w->touched = 0;
	dp_drain_later(dp);
}

int dp_call(struct vd_datapath *dp, unsigned worker, void (*fn)(struct vd_worker *w, void *arg), void *arg,
	void (*done)(void *arg), void *done_arg)
{
	struct dp_r_call call = { fn, arg, done, done_arg };
	if (worker >= dp->n_workers)
		return -ESHUTDOWN;
	if (!dp->backlog[worker] && push(dp, worker, &call)) {
		dp_kick(dp, worker);
		return 0;
	}
	struct dp_pending *p = dp->n_backlog < DP_BACKLOG ? malloc(sizeof(*p)) : NULL;
	if (!p)
		return -ENOBUFS;
	*p = (struct dp_pending){ NULL, call };
	*dp->backlog_end[worker] = p;
	dp->backlog_end[worker] = &p->next;
	dp->n_backlog++;
	return 0;
}

void dp_flush_backlog(struct vd_datapath *dp, unsigned worker)
{
	struct dp_pending *p;
	bool any = false;
	while ((p = dp->backlog[worker]) && push(dp, worker, &p->call)) {
		dp->backlog[worker] = p->next;
		if (!p->next)
			dp->backlog_end[worker] = &dp->backlog[worker];
		dp->n_backlog--;
		free(p);
		any = true;
	}
	if (any)
		dp_kick(dp, worker);
}

struct call_all {
	void (*done)(void *arg);
	void *arg;
	unsigned left;
};

static void one_of_all(void *arg)
{
	struct call_all *all = arg;
	if (--all->left)
		return;
	if (all->done)
		all->done(all->arg);
	free(all);
}

int dp_call_all(struct vd_datapath *dp, void (*fn)(struct vd_worker *w, void *arg), void *arg, void (*done)(void *arg),
	void *done_arg)
{
	if (!dp->n_workers)
		return -ESHUTDOWN;
	/* All or nothing: room for every worker's command is certain before the first is sent. */
	struct call_all *all = dp->n_backlog + dp->n_workers <= DP_BACKLOG ? malloc(sizeof(*all)) : NULL;
	if (!all)
		return -ENOBUFS;
	*all = (struct call_all){ done, done_arg, dp->n_workers };
	for (unsigned i = 0, n = dp->n_workers; i < n; i++)
		if (dp_call(dp, i, fn, arg, one_of_all, all) < 0)
			all->left--;
	return 0;
}

static void punt(struct vd_datapath *dp, const struct dp_r_punt *head, const uint8_t *p, size_t len)
{
	if (head->session) {
		struct dp_node *n = dp_map_find(&dp->sessions, head->session);
		struct dp_session *s = n ? VD_CONTAINER_OF(n, struct dp_session, node) : NULL;
		if (s && s->punt)
			s->punt(s->punt_arg, head->session, p, len);
		else
			vd_count("datapath.drop.punt_session", 1);
		return;
	}
	struct dp_node *n = dp_map_find(&dp->chans, head->chan);
	struct dp_chan *c = n ? VD_CONTAINER_OF(n, struct dp_chan, node) : NULL;
	if (c && !c->removing && c->punt)
		c->punt(c->punt_arg, head->chan, p, len);
	else
		vd_count("datapath.drop.punt_chan", 1);
}

/* The octets stay in the ring while they are looked at: nobody else reads this ring. */
static void punted(struct vd_datapath *dp, uint32_t kind, const uint8_t *p, size_t len)
{
	struct dp_r_punt head;
	memcpy(&head, p, sizeof(head));
	if (kind == DP_R_INNER)
		dp_inner_punted(dp, &head, p + sizeof(head), len - sizeof(head));
	else
		punt(dp, &head, p + sizeof(head), len - sizeof(head));
}

/* One record of the auth ring. */
static bool auth_one(struct vd_datapath *dp, unsigned i)
{
	uint32_t kind;
	size_t len;
	struct dp_ring *ring = &dp->w[i]->auth;
	const uint8_t *p = dp_ring_peek(ring, &kind, &len);
	if (!p)
		return false;
	if (kind == DP_R_ACK) {
		struct dp_r_ack a;
		memcpy(&a, p, sizeof(a));
		dp_ring_pop(ring);
		dp->outstanding[i]--;
		if (a.done)
			a.done(a.arg);
	} else if (kind == DP_R_TELL) {
		struct dp_r_tell t;
		memcpy(&t, p, sizeof(t));
		dp_ring_pop(ring);
		t.fn(t.arg, t.a, t.b);
	} else {
		punted(dp, kind, p, len);
		dp_ring_pop(ring);
	}
	return true;
}

static bool raw_one(struct vd_datapath *dp, unsigned i)
{
	uint32_t kind;
	size_t len;
	struct dp_ring *ring = &dp->w[i]->raw;
	const uint8_t *p = dp_ring_peek(ring, &kind, &len);
	if (!p)
		return false;
	struct dp_r_path head;
	memcpy(&head, p, sizeof(head));
	if (dp->ike_input)
		dp->ike_input(dp->ike_arg, &head.path, p + sizeof(head), len - sizeof(head));
	else
		vd_count("datapath.drop.no_upper", 1);
	dp_ring_pop(ring);
	return true;
}

static bool fresh_one(struct vd_datapath *dp, unsigned i)
{
	uint32_t kind;
	size_t len;
	struct dp_ring *ring = &dp->w[i]->fresh;
	const uint8_t *p = dp_ring_peek(ring, &kind, &len);
	if (!p)
		return false;
	punted(dp, kind, p, len);
	dp_ring_pop(ring);
	return true;
}

/* About so many records, the workers by turns. */
static void some(struct vd_datapath *dp, bool (*one)(struct vd_datapath *dp, unsigned i), unsigned most)
{
	bool any = true;
	for (unsigned n = 0; any && n < most; n += dp->n_workers) {
		any = false;
		for (unsigned i = 0; i < dp->n_workers; i++)
			any |= one(dp, i);
	}
}

/* What comes from peers with a session goes first. Peers that showed a key and no user, and what came without any, have a
 * share of each turn of their own: neither can keep the other from logging in, nor from those who are in. */
void dp_drain(struct vd_datapath *dp)
{
	some(dp, auth_one, DP_AUTH_TURN);
	some(dp, raw_one, DP_RAW_TURN);
	some(dp, fresh_one, DP_FRESH_TURN);
	for (unsigned i = 0; i < dp->n_workers; i++)
		dp_flush_backlog(dp, i);
	atomic_store_explicit(&dp->wake.asleep, 1, memory_order_seq_cst);
	for (unsigned i = 0; i < dp->n_workers; i++)
		if (!dp_ring_empty(&dp->w[i]->auth) || !dp_ring_empty(&dp->w[i]->fresh) || !dp_ring_empty(&dp->w[i]->raw)) {
			dp_drain_later(dp);
			return;
		}
}

static void drain_deferred(void *arg)
{
	struct vd_datapath *dp = dp_instance;
	if (dp && dp == arg && dp->drain_again) {
		dp->drain_again = false;
		if (dp->inline_mode)
			vd_datapath_turn();
		else
			dp_drain(dp);
	}
}

void dp_drain_later(struct vd_datapath *dp)
{
	if (!dp->inline_mode) {
		dp_wake(&dp->wake); /* through the loop, so that other work gets its turn */
		return;
	}
	if (!dp->drain_again && !vd_defer(drain_deferred, dp))
		dp->drain_again = true;
}

int dp_hand(struct vd_datapath *dp, unsigned worker, uint32_t kind, const void *head, size_t head_len, const void *p, size_t len)
{
	uint8_t *at = dp_ring_reserve(&dp->w[worker]->inbox, kind, head_len + len, DP_INBOX / 2);
	if (!at)
		return -ENOBUFS;
	memcpy(at, head, head_len);
	memcpy(at + head_len, p, len);
	dp_ring_commit(&dp->w[worker]->inbox);
	dp_kick(dp, worker);
	return 0;
}

static bool to_owner(struct vd_datapath *dp, const struct vd_path *path, const uint8_t *p, size_t len)
{
	struct vd_rd r;
	vd_rd_init(&r, p, len);
	unsigned owner = (vd_rd_u32(&r) & 255) % dp->n_workers;
	struct dp_r_path head = { *path };
	return dp_hand(dp, owner, DP_R_ESP, &head, sizeof(head), p, len) == 0;
}

unsigned dp_control_datagram(struct vd_datapath *dp, const struct vd_path *path, const uint8_t *p, size_t len, size_t seg)
{
	struct vd_rd all;
	unsigned messages = 0;
	vd_rd_init(&all, p, len);
	if (!len)
		vd_count("datapath.drop.short", 1);
	while (vd_rd_left(&all)) {
		size_t n = seg && seg < vd_rd_left(&all) ? seg : vd_rd_left(&all), rest;
		const uint8_t *d = vd_rd_take(&all, n);
		struct vd_rd r;
		vd_rd_init(&r, d, n);
		if (n == 1 && vd_rd_peek(&r) == 0xff) {
			vd_count("datapath.drop.keepalive", 1);
			continue;
		}
		if (path->natt) {
			uint32_t first = vd_rd_u32(&r);
			if (n < 8) {
				vd_count("datapath.drop.short", 1);
				continue;
			}
			if (first) {
				if (!to_owner(dp, path, d, n))
					vd_count("datapath.drop.ring_full", 1);
				continue;
			}
		}
		if (!dp_limit_take(dp->limits, dp->limit_key, vd_now(), &path->remote)) {
			vd_count("datapath.drop.punt_limit", 1);
			continue;
		}
		messages++;
		const uint8_t *ike = vd_rd_rest(&r, &rest);
		if (dp->ike_input)
			dp->ike_input(dp->ike_arg, path, ike, rest);
		else
			vd_count("datapath.drop.no_upper", 1);
	}
	return messages;
}
