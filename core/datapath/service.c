/* Viaduct: service datapath/1: channels, links and sessions, as commands to the workers that own them (addresses and TUN
 * queues: route.c). Control thread, except the functions named w_*, which are what the commands run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/dp.h"

struct dp_chan *dp_chan_of(struct vd_datapath *dp, uint64_t id)
{
	struct dp_node *n = dp_map_find(&dp->chans, id);
	struct dp_chan *c = n ? VD_CONTAINER_OF(n, struct dp_chan, node) : NULL;
	return c && !c->removing ? c : NULL;
}

struct dp_session *dp_session_of(struct vd_datapath *dp, uint64_t id)
{
	struct dp_node *n = dp_map_find(&dp->sessions, id);
	return n ? VD_CONTAINER_OF(n, struct dp_session, node) : NULL;
}

static unsigned workers(void *self)
{
	return ((struct vd_datapath *)self)->n_workers;
}

static int ike_input(void *self, void (*fn)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len),
	void *arg)
{
	struct vd_datapath *dp = self;
	if (fn && dp->ike_input)
		return -EBUSY;
	dp->ike_input = fn;
	dp->ike_arg = arg;
	return 0;
}

static int esp_input(void *self, vd_esp_input_fn *fn)
{
	struct vd_datapath *dp = self;
	/* Not while threads run. */
	if ((dp->n_workers && !dp->inline_mode) || (fn && dp->esp_input))
		return -EBUSY;
	dp->esp_input = fn;
	for (unsigned i = 0; i < dp->n_workers; i++)
		dp->w[i]->esp_input = fn;
	return 0;
}

static int call(void *self, uint8_t home, void (*fn)(struct vd_worker *w, void *arg), void (*done)(void *arg),
	void *arg)
{
	struct vd_datapath *dp = self;
	return dp->n_workers ? dp_call(dp, home % dp->n_workers, fn, arg, done, arg) : -ESHUTDOWN;
}

static int call_all(void *self, void (*fn)(struct vd_worker *w, void *arg), void (*done)(void *arg), void *arg)
{
	return dp_call_all(self, fn, arg, done, arg);
}

/* ---- channels ---- */
static void w_chan_add(struct vd_worker *w, void *arg)
{
	struct dp_wchan *c = arg;
	dp_map_add(&w->chans, &c->node, c->chan->id);
}

static void w_chan_remove(struct vd_worker *w, void *arg)
{
	struct dp_chan *c = arg;
	dp_early_deliver(w, c->chan); /* if there is anything, nobody wanted it */
	dp_map_del(&w->chans, &c->w.node);
}

static int chan_add(void *self, struct vd_chan *chan, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	if (!dp->n_workers)
		return -ESHUTDOWN;
	if (dp_map_find(&dp->chans, chan->id))
		return -EEXIST;
	struct dp_chan *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->chan = c->w.chan = chan;
	dp_map_add(&dp->chans, &c->node, chan->id);
	int rc = dp_call(dp, chan->home % dp->n_workers, w_chan_add, &c->w, done, arg);
	if (rc < 0) {
		dp_map_del(&dp->chans, &c->node);
		free(c);
	}
	return rc;
}

struct chan_remove {
	struct vd_datapath *dp;
	struct dp_chan *c;
	void (*done)(void *arg);
	void *arg;
};

static void chan_removed(void *arg)
{
	struct chan_remove *op = arg;
	dp_map_del(&op->dp->chans, &op->c->node);
	free(op->c);
	if (op->done)
		op->done(op->arg);
	free(op);
}

static int chan_remove(void *self, uint64_t chan, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_chan *c = dp_chan_of(dp, chan);
	struct chan_remove *op = c ? malloc(sizeof(*op)) : NULL;
	if (!op)
		return c ? -ENOMEM : -ESTALE;
	*op = (struct chan_remove){ dp, c, done, arg };
	int rc = dp_call(dp, c->chan->home % dp->n_workers, w_chan_remove, c, chan_removed, op);
	if (rc < 0)
		free(op);
	else
		c->removing = true;
	return rc;
}

struct attach {
	struct vd_chan *chan;
	const struct vd_stage *up;
	void *upper;
};

static void w_attach(struct vd_worker *w, void *arg)
{
	struct attach *a = arg;
	a->chan->up = a->up;
	a->chan->upper = a->upper ? a->upper : a->chan;
	dp_early_deliver(w, a->chan);
}

static int chan_attach(void *self, uint64_t chan, const struct vd_stage *up, void *upper,
	void (*punt)(void *arg, uint64_t chan, const uint8_t *p, size_t len), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_chan *c = dp_chan_of(dp, chan);
	struct attach *a = c ? malloc(sizeof(*a)) : NULL;
	if (!a)
		return c ? -ENOMEM : -ESTALE;
	*a = (struct attach){ c->chan, up, upper };
	int rc = dp_call(dp, c->chan->home % dp->n_workers, w_attach, a, free, a);
	if (rc < 0) {
		free(a);
		return rc;
	}
	c->punt = punt;
	c->punt_arg = arg;
	return 0;
}

static int chan_send(void *self, uint64_t chan, const void *p, size_t len)
{
	struct vd_datapath *dp = self;
	struct dp_chan *c = dp_chan_of(dp, chan);
	struct dp_r_send head = { chan };
	if (!c)
		return -ESTALE;
	unsigned worker = c->chan->home % dp->n_workers;
	if (len > DP_ROOM)
		return -EMSGSIZE;
	return dp->backlog[worker] ? -ENOBUFS : dp_hand(dp, worker, DP_R_SEND, &head, sizeof(head), p, len);
}

/* ---- sessions ---- */
static void index_free(struct vd_datapath *dp, unsigned worker, uint32_t index)
{
	dp->index_used[worker][index] = 0;
}

static bool index_take(struct vd_datapath *dp, unsigned worker, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < DP_SESSIONS; i++) {
		uint32_t at = (dp->index_next[worker] + i) % DP_SESSIONS;
		if (dp->index_used[worker][at])
			continue;
		dp->index_used[worker][at] = 1;
		dp->index_next[worker] = at + 1;
		*ret_index = at;
		return true;
	}
	return false;
}

static void w_session_new(struct vd_worker *w, void *arg)
{
	struct vd_wsess *s = arg;
	w->sess[s->index] = s;
}

static struct dp_session *session_make(struct vd_datapath *dp, uint64_t id)
{
	struct dp_session *s = dp_session_of(dp, id);
	if (s || !id)
		return s;
	s = calloc(1, sizeof(*s));
	if (s)
		dp_map_add(&dp->sessions, &s->node, id);
	return s;
}

/* The worker's part of a session, once its channel is known. */
static int session_place(struct vd_datapath *dp, struct dp_session *s, const struct dp_chan *c)
{
	if (s->w)
		return s->chan == c->chan->id ? 0 : -EEXIST;
	struct vd_wsess *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	s->home = c->chan->home;
	s->worker = s->home % dp->n_workers;
	w->id = s->node.key;
	w->d.chan = c->chan->id;
	if (!index_take(dp, s->worker, &w->index)) {
		free(w);
		return -ENOSPC;
	}
	int rc = dp_call(dp, s->worker, w_session_new, w, NULL, NULL);
	if (rc < 0) {
		index_free(dp, s->worker, w->index);
		free(w);
		return rc;
	}
	s->w = w;
	s->chan = c->chan->id;
	return 0;
}

struct session_op {
	struct vd_datapath *dp;
	struct vd_wsess *w;
	unsigned worker;
	struct vd_wsess_desc desc;
	struct vd_session_counters c;
	void (*done)(void *arg);
	void (*report)(void *arg, uint64_t session, const struct vd_session_counters *counters);
	void *arg;
};

static void session_op_done(void *arg)
{
	struct session_op *op = arg;
	if (op->done)
		op->done(op->arg);
	free(op);
}

static void w_session_add(struct vd_worker *w, void *arg)
{
	struct session_op *op = arg;
	struct dp_wchan *c = dp_wchan(w, op->desc.chan);
	op->w->d = op->desc;
	op->w->mtu = op->desc.mtu;
	op->w->narrow = c ? c->narrow : 0;
	if (c && !op->w->up && c->sessions < UINT16_MAX)
		c->sessions++;
	op->w->up = true;
	dp_number_fit(op->w);
}

static int session_add(void *self, const struct vd_wsess_desc *desc, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_chan *c = dp_chan_of(dp, desc->chan);
	if (!c)
		return -ESTALE;
	if (desc->v4.len > sizeof(desc->v4.bytes) || desc->v6.len > sizeof(desc->v6.bytes))
		return -EINVAL;
	struct dp_session *s = session_make(dp, desc->session);
	if (s && s->resting)
		return -ESTALE;
	struct session_op *op = s ? calloc(1, sizeof(*op)) : NULL;
	if (!op)
		return -ENOMEM;
	int rc = session_place(dp, s, c);
	if (!rc) {
		*op = (struct session_op){ .w = s->w, .desc = *desc, .done = done, .arg = arg };
		rc = dp_call(dp, s->worker, w_session_add, op, session_op_done, op);
	}
	if (rc < 0)
		free(op);
	else
		s->established = true;
	if (rc >= 0)
		s->own = desc->own;
	return rc;
}

/* It is no longer one that shows that its peer authenticated a user. */
static void w_session_down(struct vd_worker *w, struct vd_wsess *s)
{
	struct dp_wchan *c = s->up ? dp_wchan(w, s->d.chan) : NULL;
	if (c && c->sessions)
		c->sessions--;
	s->up = false;
}

static void w_session_del(struct vd_worker *w, void *arg)
{
	struct session_op *op = arg;
	dp_out_flush(w);
	w_session_down(w, op->w);
	op->c = op->w->c;
	w->sess[op->w->index] = NULL;
}

static void session_deleted(void *arg)
{
	struct session_op *op = arg;
	if (op->report)
		op->report(op->arg, op->w->id, &op->c);
	index_free(op->dp, op->worker, op->w->index);
	free(op->w);
	free(op);
}

/* Takes the session from its worker; the record goes at once, so that its punts end here. */
static int session_remove(struct vd_datapath *dp, struct dp_session *s,
	void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg)
{
	struct session_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	if (!s->w) { /* only a punt function was set */
		s->w = calloc(1, sizeof(*s->w));
		if (!s->w) {
			free(op);
			return -ENOMEM;
		}
		s->w->id = s->node.key;
		if (!index_take(dp, s->worker, &s->w->index)) {
			free(s->w);
			s->w = NULL;
			free(op);
			return -ENOSPC;
		}
	}
	*op = (struct session_op){ .dp = dp, .w = s->w, .worker = s->worker, .report = done, .arg = arg };
	int rc = dp_call(dp, s->worker, w_session_del, op, session_deleted, op);
	if (rc < 0) {
		free(op);
		return rc;
	}
	dp_map_del(&dp->sessions, &s->node);
	free(s);
	return 0;
}

static void w_session_rest(struct vd_worker *w, void *arg)
{
	struct session_op *op = arg;
	dp_out_flush(w);
	op->c = op->w->c;
	w_session_down(w, op->w);
}

static void session_rests(void *arg)
{
	struct session_op *op = arg;
	if (op->report)
		op->report(op->arg, op->w->id, &op->c);
	free(op);
}

/* While it has links the peer may still be saying goodbye over them: no more data, but its frames are punted until the
 * last link goes, and the record with it. */
static int session_rest(struct vd_datapath *dp, struct dp_session *s,
	void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg)
{
	struct session_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct session_op){ .dp = dp, .w = s->w, .worker = s->worker, .report = done, .arg = arg };
	int rc = dp_call(dp, s->worker, w_session_rest, op, session_rests, op);
	if (rc < 0)
		free(op);
	if (rc >= 0) {
		s->established = false;
		s->resting = true;
	}
	return rc;
}

static int session_del(void *self, uint64_t session,
	void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = dp_session_of(dp, session);
	if (!s || s->resting)
		return -ENOENT;
	return s->links ? session_rest(dp, s, done, arg) : session_remove(dp, s, done, arg);
}

static void w_session_counters(struct vd_worker *w, void *arg)
{
	struct session_op *op = arg;
	(void)w;
	op->c = op->w->c;
}

static void session_counted(void *arg)
{
	struct session_op *op = arg;
	op->report(op->arg, op->desc.session, &op->c);
	free(op);
}

static int session_counters(void *self, uint64_t session,
	void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = dp_session_of(dp, session);
	if (!s || !s->w)
		return -ENOENT;
	struct session_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct session_op){ .w = s->w, .report = done, .arg = arg };
	op->desc.session = session;
	int rc = dp_call(dp, s->worker, w_session_counters, op, session_counted, op);
	if (rc < 0)
		free(op);
	return rc;
}

int vd_datapath_counted(uint64_t session, struct vd_session_counters *ret_counters)
{
	struct vd_datapath *dp = dp_instance;
	struct dp_session *s = dp ? dp_session_of(dp, session) : NULL;
	if (!s || !s->w)
		return -ENOENT;
	if (!dp->inline_mode && !dp->paused)
		return -EBUSY;
	*ret_counters = s->w->c;
	return 0;
}

static int session_punt(void *self, uint64_t session,
	void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = punt ? session_make(dp, session) : dp_session_of(dp, session);
	if (!s)
		return punt ? -ENOMEM : 0;
	s->punt = punt;
	s->punt_arg = arg;
	return 0;
}

/* ---- links ---- */
static struct dp_link *link_of(struct vd_datapath *dp, uint64_t chan, uint64_t key)
{
	for (struct dp_node *n = dp_map_find(&dp->links, key ^ chan << 32); n; n = dp_map_same(n)) {
		struct dp_link *l = VD_CONTAINER_OF(n, struct dp_link, node);
		if (l->w.chan == chan && l->w.key == key)
			return l;
	}
	return NULL;
}

static void w_link_add(struct vd_worker *w, void *arg)
{
	struct dp_wlink *l = arg;
	dp_map_add(&w->links, &l->node, l->key ^ l->chan << 32);
}

static int link_add(void *self, const struct vd_link_desc *link, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_chan *c = dp_chan_of(dp, link->chan);
	if (!c)
		return -ESTALE;
	if (!link->up || !link->session)
		return -EINVAL;
	if (link_of(dp, link->chan, link->key))
		return -EEXIST;
	struct dp_session *s = session_make(dp, link->session);
	struct dp_link *l = s ? calloc(1, sizeof(*l)) : NULL;
	if (!l)
		return -ENOMEM;
	int rc = session_place(dp, s, c);
	if (!rc) {
		l->worker = s->worker;
		l->w = (struct dp_wlink){ .chan = link->chan, .key = link->key, .session = link->session,
			.index = s->w->index, .up = link->up, .state = link->state };
		rc = dp_call(dp, s->worker, w_link_add, &l->w, done, arg);
	}
	if (rc < 0) {
		free(l);
		return rc;
	}
	dp_map_add(&dp->links, &l->node, link->key ^ link->chan << 32);
	s->links++;
	return 0;
}

struct link_op {
	struct dp_link *l;
	void (*done)(void *arg);
	void *arg;
};

static void w_link_del(struct vd_worker *w, void *arg)
{
	struct link_op *op = arg;
	dp_map_del(&w->links, &op->l->w.node);
}

static void link_deleted(void *arg)
{
	struct link_op *op = arg;
	if (op->done)
		op->done(op->arg);
	free(op->l);
	free(op);
}

static int link_del(void *self, uint64_t chan, uint64_t key, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_link *l = link_of(dp, chan, key); /* its channel may be gone already */
	if (!l)
		return -ENOENT;
	struct link_op *op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct link_op){ l, done, arg };
	struct dp_session *s = dp_session_of(dp, l->w.session);
	int rc = dp_call(dp, l->worker, w_link_del, op, link_deleted, op);
	if (rc < 0) {
		free(op);
		return rc;
	}
	dp_map_del(&dp->links, &l->node);
	/* A session that never was established is nobody's business but its links'. */
	if (s && --s->links == 0 && !s->established)
		session_remove(dp, s, NULL, NULL);
	return 0;
}

/* ---- all of it ---- */
static void free_all(struct dp_map *m, size_t node, void (*more)(struct vd_datapath *dp, void *item),
	struct vd_datapath *dp)
{
	for (uint32_t i = 0; m->bucket && i <= m->mask; i++)
		for (struct dp_node *n = m->bucket[i], *next; n; n = next) {
			void *item = (char *)n - node;
			next = n->next;
			if (more)
				more(dp, item);
			free(item);
		}
	free(m->bucket);
	m->bucket = NULL;
}

static void free_session(struct vd_datapath *dp, void *item)
{
	(void)dp;
	free(((struct dp_session *)item)->w);
}

static void free_route(struct vd_datapath *dp, void *item)
{
	for (unsigned i = 0; i < dp->n_workers; i++)
		free(((struct dp_route *)item)->copy[i]);
}

void dp_tables_free(struct vd_datapath *dp)
{
	free_all(&dp->links, offsetof(struct dp_link, node), NULL, dp);
	free_all(&dp->sessions, offsetof(struct dp_session, node), free_session, dp);
	free_all(&dp->routes, offsetof(struct dp_route, node), free_route, dp);
	free_all(&dp->chans, offsetof(struct dp_chan, node), NULL, dp);
}

void dp_service_fill(struct vd_datapath *dp)
{
	dp->service = (struct vd_datapath_1){ .self = dp, .workers = workers, .ike_input = ike_input,
		.ike_send = dp_ike_send, .esp_input = esp_input, .call = call, .call_all = call_all,
		.chan_add = chan_add, .chan_remove = chan_remove, .chan_attach = chan_attach, .chan_send = chan_send,
		.link_add = link_add, .link_del = link_del, .session_punt = session_punt, .session_add = session_add,
		.session_del = session_del, .session_counters = session_counters, .fib_add = dp_fib_add, .fib_del = dp_fib_del,
		.tun_add = dp_tun_add, .tun_lost = dp_tun_lost, .drops = dp_drops, .info = dp_info, .cap = dp_cap,
		.inner_input = dp_inner_input, .session_send = dp_session_send, .link_send = dp_link_send,
		.session_numbers = dp_session_numbers, .session_number = dp_session_number, .outer_mtu = dp_outer_mtu };
}
