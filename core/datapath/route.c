/* Viaduct: service datapath/1: addresses, which every worker has a copy of, and TUN queues. Control thread, except the
 * functions named w_*, which are what the commands run. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/log.h>

#include "core/datapath/dp.h"

/* ---- addresses ---- */
struct fib_op {
	struct dp_fib *copy[VD_MAX_WORKERS];
	unsigned n;
	bool release, own;
	void (*done)(void *arg);
	void *arg;
};

static void w_fib_add(struct vd_worker *w, void *arg)
{
	struct fib_op *op = arg;
	dp_fib_put(op->own ? &w->own : &w->fib, op->copy[w->index]);
}

static void w_fib_del(struct vd_worker *w, void *arg)
{
	struct fib_op *op = arg;
	dp_fib_take(op->own ? &w->own : &w->fib, op->copy[w->index]);
}

static void fib_done(void *arg)
{
	struct fib_op *op = arg;
	for (unsigned i = 0; op->release && i < op->n; i++)
		free(op->copy[i]);
	if (op->done)
		op->done(op->arg);
	free(op);
}

/* 10.1.2.3/24 is 10.1.2.0/24: only that is looked up. */
static bool normal(const struct vd_prefix *given, struct vd_prefix *ret_net)
{
	if ((given->ip.family != AF_INET || given->len > 32) && (given->ip.family != AF_INET6 || given->len > 128))
		return false;
	*ret_net = *given;
	ret_net->ip = dp_fib_net(&given->ip, given->len);
	return true;
}

static struct dp_route *route_of(struct vd_datapath *dp, const struct vd_prefix *p, bool own)
{
	for (struct dp_node *n = dp_map_find(&dp->routes, dp_fib_key(&p->ip, p->len)); n; n = dp_map_same(n)) {
		struct dp_route *r = VD_CONTAINER_OF(n, struct dp_route, node);
		if (r->own == own && r->prefix.len == p->len && vd_ip_equal(&r->prefix.ip, &p->ip))
			return r;
	}
	return NULL;
}

int dp_fib_add(void *self, const struct vd_prefix *given, uint64_t session, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = dp_session_of(dp, session);
	struct vd_prefix net, *prefix = &net;
	if (!s || !s->w)
		return -ESTALE;
	if (!normal(given, prefix))
		return -EINVAL;
	bool own = s->own.family && prefix->len == (s->own.family == AF_INET ? 32 : 128) &&
		vd_ip_equal(&prefix->ip, &s->own);
	struct dp_route *r = route_of(dp, prefix, own);
	if (r)
		return -EEXIST;
	r = calloc(1, sizeof(*r));
	struct fib_op *op = calloc(1, sizeof(*op));
	bool ok = r && op;
	for (unsigned i = 0; ok && i < dp->n_workers; i++) {
		struct dp_fib *f = r->copy[i] = op->copy[i] = calloc(1, sizeof(*f));
		ok = f;
		if (f) {
			f->prefix = *prefix;
			f->session = session;
			f->index = s->w->index;
			f->home = s->home;
			f->dialled = s->own.family;
		}
	}
	int rc = ok ? 0 : -ENOMEM;
	if (ok) {
		op->n = dp->n_workers;
		op->own = own;
		op->done = done;
		op->arg = arg;
		rc = dp_call_all(dp, w_fib_add, op, fib_done, op);
	}
	if (rc < 0) {
		for (unsigned i = 0; r && i < dp->n_workers; i++)
			free(r->copy[i]);
		free(r);
		free(op);
		return rc;
	}
	r->prefix = *prefix;
	r->session = session;
	r->own = own;
	dp_map_add(&dp->routes, &r->node, dp_fib_key(&prefix->ip, prefix->len));
	return 0;
}

int dp_fib_del(void *self, const struct vd_prefix *given, uint64_t session, void (*done)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	struct vd_prefix net;
	if (!normal(given, &net))
		return -ENOENT;
	struct dp_route *r = route_of(dp, &net, true);
	if (!r || r->session != session)
		r = route_of(dp, &net, false);
	if (!r || r->session != session)
		return -ENOENT;
	struct fib_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	memcpy(op->copy, r->copy, sizeof(op->copy));
	op->n = dp->n_workers;
	op->release = true;
	op->own = r->own;
	op->done = done;
	op->arg = arg;
	int rc = dp_call_all(dp, w_fib_del, op, fib_done, op);
	if (rc < 0) {
		free(op);
		return rc;
	}
	dp_map_del(&dp->routes, &r->node);
	free(r);
	return 0;
}

/* ---- TUN ---- */
struct tun_op {
	struct vd_datapath *dp;
	int fd[VD_MAX_WORKERS];
	bool reads[VD_MAX_WORKERS];
	uint32_t caps;
	void (*done)(void *arg);
	void *arg;
};

static void w_tun_close(struct vd_worker *w, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < w->n_src; i++)
		if (w->src[i].kind == DP_SRC_TUN) {
			if (w->src[i].fd >= 0 && w->epoll >= 0)
				epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->src[i].fd, NULL);
			w->src[i].fd = -1;
		}
	if (w->tun_own)
		close(w->tun_fd);
	w->tun_fd = -1;
	w->tun_own = w->tun_reads = false;
}

static void closed(void *arg)
{
	struct vd_datapath *dp = arg;
	dp->tun = dp->tun_closing = false;
	if (dp->on_tun_lost)
		dp->on_tun_lost(dp->on_tun_lost_arg);
}

/* A worker found its queue without a device. */
static void lost(void *arg, uint64_t a, uint64_t b)
{
	struct vd_datapath *dp = arg;
	(void)a;
	(void)b;
	if (!dp->tun || dp->tun_closing)
		return;
	dp->tun_closing = true;
	if (dp_call_all(dp, w_tun_close, NULL, closed, dp) < 0) {
		dp->tun_closing = false;
		vd_log(VD_LOG_ERROR, "datapath", NULL, "the TUN device was removed, and its queues cannot be closed: out of memory");
	}
}

void dp_tun_lost(void *self, void (*fn)(void *arg), void *arg)
{
	struct vd_datapath *dp = self;
	dp->on_tun_lost = fn;
	dp->on_tun_lost_arg = arg;
}

static void w_tun_add(struct vd_worker *w, void *arg)
{
	struct tun_op *op = arg;
	w->tun_fd = op->fd[w->index];
	w->tun_own = true;
	w->caps = op->caps;
	w->tun_reads = op->reads[w->index];
	w->tun_lost = lost;
	w->tun_lost_arg = op->dp;
	if (!w->tun_reads || w->epoll < 0)
		return;
	unsigned at = 0; /* that of a device before this one */
	while (at < w->n_src && w->src[at].kind != DP_SRC_TUN)
		at++;
	w->n_src += at == w->n_src;
	struct dp_src *src = &w->src[at];
	*src = (struct dp_src){ .kind = DP_SRC_TUN, .fd = w->tun_fd };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = src };
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->tun_fd, &ev) < 0)
		w->drops[VD_DROP_TUN]++;
}

static void tun_added(void *arg)
{
	struct tun_op *op = arg;
	if (op->done)
		op->done(op->arg);
	free(op);
}

/* One line that says what this gateway runs with. */
static void tell_caps(const struct vd_datapath *dp)
{
	char text[1000];
	dp_caps_text(&dp->caps, text, sizeof(text));
	vd_log(VD_LOG_NOTICE, "datapath", NULL, "%u workers; %s", dp->n_workers, text);
}

int dp_tun_add(void *self, const char *name, const int *fds, unsigned n, unsigned mtu, void (*done)(void *arg),
	void *arg)
{
	struct vd_datapath *dp = self;
	(void)name;
	if (!n || mtu > DP_ROOM)
		return -EINVAL;
	if (!dp->n_workers)
		return -ESHUTDOWN;
	if (dp->tun)
		return -EEXIST;
	struct tun_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	op->dp = dp;
	op->done = done;
	op->arg = arg;
	/* A worker without a queue of its own writes to a copy of another's, and reads nothing. */
	int rc = 0;
	for (unsigned i = 0; i < dp->n_workers; i++) {
		op->reads[i] = i < n;
		op->fd[i] = i < n ? fds[i] : fcntl(fds[i % n], F_DUPFD_CLOEXEC, 0);
		if (op->fd[i] < 0)
			rc = -errno;
	}
	dp_caps_tun(&dp->caps, fds[0], n);
	op->caps = dp_caps_bits(&dp->caps);
	if (!rc)
		rc = dp_call_all(dp, w_tun_add, op, tun_added, op);
	if (rc < 0) {
		for (unsigned i = n; i < dp->n_workers; i++)
			if (op->fd[i] >= 0)
				close(op->fd[i]);
		free(op);
		return rc;
	}
	for (unsigned i = dp->n_workers; i < n; i++)
		close(fds[i]);
	dp->tun = true;
	tell_caps(dp);
	return 0;
}
