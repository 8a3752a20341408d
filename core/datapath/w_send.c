/* Viaduct: a worker's sends. When a socket would block, one vector is kept and TUN is not read until it has gone: the queue
 * that may grow is the device's, which drops at its tail. Receiving goes on meanwhile. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/datapath/dp.h"

/* What epoll shall tell about the descriptor. */
static void watch(struct vd_worker *w, const struct dp_src *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = (void *)(uintptr_t)src };
	/* The descriptor was added with memory for it: this cannot fail. */
	(void)epoll_ctl(w->epoll, EPOLL_CTL_MOD, src->fd, &ev);
}

/* While packets wait: the full socket tells when it takes some, and TUN tells nothing. */
static void waiting(struct vd_worker *w, bool on)
{
	for (unsigned i = 0; i < w->n_src && w->epoll >= 0; i++) {
		const struct dp_src *src = &w->src[i];
		if (src->kind == DP_SRC_TUN)
			watch(w, src, on ? 0 : EPOLLIN);
		else if (src->fd == w->blocked_fd)
			watch(w, src, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

static int transmit(struct vd_worker *w, const struct vd_path *path, const struct vd_pkt *pkt)
{
	uint64_t e = path->endpoint - 1;
	if (w->capture) {
		struct vd_datapath_sent sent = { .way = path->remote.port ? VD_SENT_UDP : VD_SENT_RAW,
			.worker = w->index, .path = *path, .p = pkt->p, .len = pkt->len };
		if (w->full)
			return -EAGAIN;
		w->capture(w->capture_arg, &sent);
		return 0;
	}
	int fd = e < w->n_listen ? (path->remote.port ? w->udp_fd[e] : w->raw_fd[e]) : -1;
	if (fd < 0)
		return -EHOSTUNREACH;
	int rc = dp_sendto(fd, path, vd_ip_is_any(&w->listen[e].ip), pkt->tos, pkt->p, pkt->len);
	if (rc == -EAGAIN)
		w->blocked_fd = fd;
	return rc;
}

static void settle(struct vd_worker *w, struct vd_pkt *pkt, int rc)
{
	if (rc < 0)
		vd_pkt_drop(w, pkt, VD_DROP_SOCKET);
	else
		vd_pkt_free(w, pkt);
}

void vd_worker_send(struct vd_worker *w, const struct vd_path *path, struct vd_pkt *pkt)
{
	/* Nothing overtakes what waits. */
	int rc = w->n_held ? -EAGAIN : transmit(w, path, pkt);
	if (rc != -EAGAIN || w->n_held == VD_ARRAY_SIZE(w->held)) {
		settle(w, pkt, rc);
		return;
	}
	struct dp_held *h = &w->held[w->n_held++];
	h->pkt = *pkt;
	h->pkt.sess = 0; /* its session may be gone, and its index another's, before this leaves */
	h->path = *path;
	pkt->p = NULL;
	if (w->n_held == 1)
		waiting(w, true);
}

void dp_send_held(struct vd_worker *w)
{
	unsigned at = 0;
	int was = w->blocked_fd;
	if (!w->n_held)
		return;
	for (; at < w->n_held; at++) {
		int rc = transmit(w, &w->held[at].path, &w->held[at].pkt);
		if (rc == -EAGAIN)
			break;
		settle(w, &w->held[at].pkt, rc);
	}
	int now = w->blocked_fd;
	if (at == w->n_held || now != was) { /* all gone, or it is another socket that is full now */
		w->blocked_fd = was;
		waiting(w, false);
	}
	w->blocked_fd = now;
	memmove(w->held, w->held + at, (w->n_held - at) * sizeof(w->held[0]));
	w->n_held -= at;
	if (w->n_held && now != was)
		waiting(w, true);
}
