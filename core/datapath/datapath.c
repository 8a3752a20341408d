/* Viaduct: the life of the data path: workers are made, started, parked, stopped. Control thread. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <viaduct/plugin.h>

#include "core/datapath/dp.h"
#include "core/loop.h"
#include "core/session/session.h"

struct vd_datapath *dp_instance;
static struct vd_datapath_1 table; /* outlives the instance: the registry keeps its address */

/* Zeroed, on its own cache lines. */
static void *room_new(size_t size)
{
	size = (size + 4095) & ~(size_t)4095;
	void *p = aligned_alloc(4096, size);
	if (p)
		memset(p, 0, size);
	return p;
}

static int ring_init(struct dp_ring *r, size_t size)
{
	r->room = malloc(size);
	r->size = size;
	return r->room ? 0 : -ENOMEM;
}

int vd_datapath_init(void)
{
	if (dp_instance)
		return -EBUSY;
	struct vd_datapath *dp = room_new(sizeof(*dp));
	if (!dp)
		return -ENOMEM;
	dp->wake.fd = -1;
	vd_random(&dp->limit_key, sizeof(dp->limit_key));
	dp->ike_port = 500;
	dp->natt_port = 4500;
	for (unsigned e = 0; e < DP_ENDPOINTS; e++)
		dp->ep[e].ike = dp->ep[e].natt = -1;
	pthread_mutex_init(&dp->lock, NULL);
	pthread_cond_init(&dp->cond, NULL);
	dp_service_fill(dp);
	dp_instance = dp;
	vd_session_counted_by(vd_datapath_counted);
	int rc = 0;
	if (dp_map_init(&dp->chans, 4096) || dp_map_init(&dp->sessions, 4096) || dp_map_init(&dp->links, 4096) ||
		dp_map_init(&dp->routes, 4096))
		rc = -ENOMEM;
	table = dp->service;
	if (!rc)
		rc = vd_service_provide(NULL, "datapath/1", NULL, &table);
	if (rc == -EEXIST)
		rc = 0; /* our own, of an instance before this one */
	if (rc)
		vd_datapath_fini();
	return rc;
}

void vd_datapath_ports(uint16_t ike, uint16_t natt)
{
	dp_instance->ike_port = ike;
	dp_instance->natt_port = natt;
}

void vd_datapath_df(enum vd_df df)
{
	dp_instance->df = df;
}

void vd_datapath_way_mtu(int (*fn)(const struct vd_ip *from, const struct vd_ip *to))
{
	dp_instance->way_mtu = fn;
}

int vd_worker_slot(struct vd_host *host)
{
	(void)host;
	return dp_instance && dp_instance->n_slots < DP_SLOTS ? (int)dp_instance->n_slots++ : -ENOSPC;
}

static struct vd_worker *worker_new(struct vd_datapath *dp, unsigned index, unsigned n)
{
	struct vd_worker *w = room_new(sizeof(*w));
	if (!w)
		return NULL;
	dp->w[index] = w;
	w->dp = dp;
	w->index = index;
	w->workers = n;
	w->epoll = w->tun_fd = w->wake.fd = -1;
	for (unsigned e = 0; e < DP_ENDPOINTS; e++)
		w->udp_fd[e] = w->raw_fd[e] = -1;
	w->now = vd_now();
	w->esp_input = dp->esp_input;
	vd_random(&w->limit_key, sizeof(w->limit_key));
	w->pool = aligned_alloc(DP_BUF, (size_t)DP_BUFS * DP_BUF);
	w->sess = calloc(DP_SESSIONS, sizeof(struct vd_wsess *));
	w->limits = calloc(DP_LIMITS, sizeof(*w->limits));
	w->big = malloc(DP_BIG);
	w->tx = calloc(1, dp_tx_size());
	w->caps = dp_caps_bits(&dp->caps);
	w->df = dp->df;
	if (!w->big || !w->tx || !w->pool || !w->sess || !w->limits || ring_init(&w->inbox, DP_INBOX) || ring_init(&w->auth, DP_PUNT) ||
		ring_init(&w->fresh, DP_FRESH) || ring_init(&w->raw, DP_PUNT) || dp_map_init(&w->chans, 4096) || dp_map_init(&w->links, 4096) ||
		dp_map_init(&w->fib.map, 4096) || dp_map_init(&w->own.map, 256))
		return NULL;
	dp_pool_init(w);
	return w;
}

int dp_workers_make(struct vd_datapath *dp, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		dp->n_workers = i + 1;
		dp->backlog_end[i] = &dp->backlog[i];
		dp->index_used[i] = calloc(DP_SESSIONS, 1);
		if (!worker_new(dp, i, n) || !dp->index_used[i])
			return -ENOMEM;
	}
	for (unsigned from = 0; from < n; from++) {
		dp->w[from]->wake_control = &dp->wake;
		for (unsigned to = 0; to < n; to++) {
			dp->w[from]->wake_of[to] = &dp->w[to]->wake;
			if (from == to)
				continue;
			if (ring_init(&dp->hand[from][to], DP_HAND))
				return -ENOMEM;
			dp->w[from]->hand_out[to] = &dp->hand[from][to];
			dp->w[to]->hand_in[from] = &dp->hand[from][to];
		}
	}
	return 0;
}

void dp_workers_free(struct vd_datapath *dp)
{
	for (unsigned i = 0; i < dp->n_workers; i++) {
		struct vd_worker *w = dp->w[i];
		struct dp_pending *p;
		while ((p = dp->backlog[i])) {
			dp->backlog[i] = p->next;
			free(p);
		}
		free(dp->index_used[i]);
		for (unsigned to = 0; to < dp->n_workers; to++) {
			free(dp->hand[i][to].room);
			dp->hand[i][to].room = NULL;
		}
		if (!w)
			continue;
		if (w->tun_own)
			close(w->tun_fd);
		if (w->epoll >= 0)
			close(w->epoll);
		if (w->wake.fd >= 0)
			close(w->wake.fd);
		free(w->pool);
		free(w->sess);
		free(w->limits);
		free(w->inbox.room);
		free(w->auth.room);
		free(w->fresh.room);
		free(w->raw.room);
		free(w->chans.bucket);
		free(w->links.bucket);
		free(w->fib.map.bucket);
		free(w->own.map.bucket);
		free(w->rx);
		free(w->tx);
		free(w->big);
		free(w);
		dp->w[i] = NULL;
	}
	dp->n_workers = 0;
}

static void on_wake(void *arg, unsigned events)
{
	struct vd_datapath *dp = arg;
	uint64_t n;
	(void)events;
	if (read(dp->wake.fd, &n, sizeof(n)) < 0)
		return;
	dp_drain(dp);
}

/* What threads need besides sockets. */
static int descriptors(struct vd_datapath *dp)
{
	dp->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (dp->wake.fd < 0)
		return -errno;
	dp->wake_io = vd_io_new(dp->wake.fd, VD_IO_READ, on_wake, dp);
	if (!dp->wake_io)
		return -ENOMEM;
	atomic_store(&dp->wake.asleep, 1);
	for (unsigned i = 0; i < dp->n_workers; i++) {
		struct vd_worker *w = dp->w[i];
		w->rx = calloc(1, dp_rx_size());
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		w->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (!w->rx)
			return -ENOMEM;
		if (w->epoll < 0 || w->wake.fd < 0)
			return -errno;
		w->src[0] = (struct dp_src){ .kind = DP_SRC_WAKE, .fd = w->wake.fd };
		w->n_src = 1;
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &w->src[0] };
		if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake.fd, &ev) < 0)
			return -errno;
	}
	return 0;
}

static void threads_join(struct vd_datapath *dp)
{
	for (unsigned i = 0; i < dp->n_workers; i++) {
		struct vd_worker *w = dp->w[i];
		uint64_t one = 1;
		if (!w->running)
			continue;
		atomic_store_explicit(&w->stop, true, memory_order_release);
		if (write(w->wake.fd, &one, sizeof(one)) < 0)
			continue; /* full: it is awake */
	}
	for (unsigned i = 0; i < dp->n_workers; i++)
		if (dp->w[i]->running) {
			pthread_join(dp->w[i]->thread, NULL);
			dp->w[i]->running = false;
		}
}

int dp_threads_start(struct vd_datapath *dp, struct vd_error *err)
{
	sigset_t all, old;
	int rc = 0;
	if (dp->inline_mode)
		return dp_alone_start(dp, err);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the control thread */
	for (unsigned i = 0; i < dp->n_workers && !rc; i++) {
		rc = -pthread_create(&dp->w[i]->thread, NULL, dp_worker_main, dp->w[i]);
		dp->w[i]->running = !rc;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		threads_join(dp); /* before the caller closes the sockets under those that run */
	return rc ? vd_error_set(err, rc, "cannot start a worker thread: %s", strerror(-rc)) : 0;
}

int vd_datapath_start(unsigned workers, const struct vd_ip *listen, size_t n,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_datapath *dp = dp_instance;
	if (!workers) {
		long cpus = sysconf(_SC_NPROCESSORS_ONLN);
		workers = cpus < 1 ? 1 : cpus > VD_MAX_WORKERS ? VD_MAX_WORKERS : (unsigned)cpus;
	}
	if (!dp || dp->started || workers > VD_MAX_WORKERS || !n || n > DP_ENDPOINTS)
		return -EINVAL;
	dp->started = true;
	dp->inline_mode = vd_loop_ops()->alone;
	dp_caps_probe(&dp->caps);
	int rc = dp_workers_make(dp, workers);
	if (!rc)
		rc = descriptors(dp);
	return rc ? rc : dp_endpoints_open(dp, listen, n, done, arg);
}

/* Is there anything that the control thread has not heard yet? A turn takes a part of it only. */
static bool unfinished(const struct vd_datapath *dp)
{
	bool any = dp->n_backlog;
	for (unsigned i = 0; i < dp->n_workers && !any; i++)
		any = dp->outstanding[i] || !dp_ring_empty(&dp->w[i]->auth) ||
			!dp_ring_empty(&dp->w[i]->fresh) || !dp_ring_empty(&dp->w[i]->raw);
	return any;
}

void vd_datapath_stop(void)
{
	struct vd_datapath *dp = dp_instance;
	if (!dp || !dp->started)
		return;
	if (dp->paused)
		vd_datapath_pause(false);
	while (dp->n_backlog && dp->n_workers && dp->w[0]->running) {
		dp_drain(dp);
		sched_yield();
	}
	threads_join(dp);
	for (unsigned i = 0; i < dp->n_workers; i++) {
		vd_io_free(dp->w[i]->io);
		dp->w[i]->io = NULL;
	}
	dp_endpoints_close(dp);
	vd_io_free(dp->wake_io);
	dp->wake_io = NULL;
	if (dp->wake.fd >= 0)
		close(dp->wake.fd);
	dp->wake.fd = -1;
	/* From here on commands run on the caller, so that plugins can take back what they added. */
	dp->inline_mode = true;
	do
		vd_datapath_turn();
	while (unfinished(dp));
}

void vd_datapath_fini(void)
{
	struct vd_datapath *dp = dp_instance;
	if (!dp)
		return;
	vd_datapath_stop();
	dp_tables_free(dp);
	dp_workers_free(dp);
	pthread_mutex_destroy(&dp->lock);
	pthread_cond_destroy(&dp->cond);
	dp_instance = NULL;
	vd_session_counted_by(NULL);
	free(dp);
}

/* On a worker: waits until the control thread lets it go on. */
static void park(struct vd_worker *w, void *arg)
{
	struct vd_datapath *dp = arg;
	(void)w;
	pthread_mutex_lock(&dp->lock);
	dp->parked++;
	pthread_cond_broadcast(&dp->cond);
	while (!dp->resume)
		pthread_cond_wait(&dp->cond, &dp->lock);
	dp->parked--;
	pthread_cond_broadcast(&dp->cond);
	pthread_mutex_unlock(&dp->lock);
}

void vd_datapath_pause(bool on)
{
	struct vd_datapath *dp = dp_instance;
	if (!dp || dp->inline_mode || !dp->n_workers || !dp->w[0]->running || dp->paused == on)
		return;
	if (on) {
		while (dp->n_backlog) {
			dp_drain(dp);
			sched_yield();
		}
		dp->resume = false;
		for (unsigned i = 0; i < dp->n_workers; i++)
			while (dp_call(dp, i, park, dp, NULL, NULL) < 0 || dp->n_backlog) {
				dp_drain(dp);
				sched_yield();
			}
		pthread_mutex_lock(&dp->lock);
		while (dp->parked < dp->n_workers)
			pthread_cond_wait(&dp->cond, &dp->lock);
		pthread_mutex_unlock(&dp->lock);
		dp->paused = true;
		return;
	}
	dp->paused = false;
	pthread_mutex_lock(&dp->lock);
	dp->resume = true;
	pthread_cond_broadcast(&dp->cond);
	while (dp->parked)
		pthread_cond_wait(&dp->cond, &dp->lock);
	pthread_mutex_unlock(&dp->lock);
}
