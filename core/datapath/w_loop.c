/* Viaduct: a worker's turn: inbox whole, hand rings, then at most 64 datagrams from each source that has some; between
 * turns it sleeps in one epoll_wait. */
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/datapath/dp.h"

static void ack(struct vd_worker *w, void (*done)(void *arg), void *arg)
{
	/* Never full: DP_COMMANDS bounds what is not acknowledged, and DP_ACK_ROOM is kept free of everything else. */
	struct dp_r_ack a = { done, arg };
	void *at = dp_ring_reserve(&w->auth, DP_R_ACK, sizeof(a), 0);
	if (!at)
		return;
	memcpy(at, &a, sizeof(a));
	dp_ring_commit(&w->auth);
	w->touched |= 1u << 31;
}

static void send_one(struct vd_worker *w, uint64_t chan, struct vd_pkt *pkt)
{
	struct dp_wchan *c = dp_wchan(w, chan);
	struct vd_vec *vec = &w->out.vec;
	if (!c) {
		vd_pkt_drop(w, pkt, VD_DROP_NO_SA);
		return;
	}
	/* The vector for data is used here too: nothing waits in it between packets of the rings. */
	dp_out_flush(w);
	vec->v[0] = *pkt;
	vec->n = 1;
	w->out.chan = chan;
	dp_out_flush(w);
}

/* One record; its octets are copied and the record is popped before anything runs, because a command may park us here
 * while the control thread goes on with this very ring. */
static bool one(struct vd_worker *w, struct dp_ring *ring)
{
	uint32_t kind;
	size_t len;
	const uint8_t *p = dp_ring_peek(ring, &kind, &len);
	if (!p)
		return false;
	struct vd_pkt pkt = { 0 };
	switch (kind) {
	case DP_R_CALL: {
		struct dp_r_call call;
		memcpy(&call, p, sizeof(call));
		dp_ring_pop(ring);
		call.fn(w, call.arg);
		ack(w, call.done, call.done_arg);
		return true;
	}
	case DP_R_SEND: {
		struct dp_r_send head;
		memcpy(&head, p, sizeof(head));
		bool ok = dp_pkt_copy(w, p + sizeof(head), len - sizeof(head), &pkt);
		dp_ring_pop(ring);
		if (ok)
			send_one(w, head.chan, &pkt);
		return true;
	}
	case DP_R_SESSION: {
		struct dp_r_session head;
		memcpy(&head, p, sizeof(head));
		bool ok = dp_pkt_copy(w, p + sizeof(head), len - sizeof(head), &pkt);
		dp_ring_pop(ring);
		if (ok)
			dp_out_to(w, &head, &pkt);
		return true;
	}
	case DP_R_FRAME: {
		struct dp_r_frame head;
		memcpy(&head, p, sizeof(head));
		bool ok = dp_pkt_copy(w, p + sizeof(head), len - sizeof(head), &pkt);
		dp_ring_pop(ring);
		if (ok)
			dp_out_frame(w, &head, &pkt);
		return true;
	}
	case DP_R_ESP: {
		struct dp_r_path head;
		memcpy(&head, p, sizeof(head));
		dp_in_esp(w, &head.path, p + sizeof(head), len - sizeof(head), NULL);
		break;
	}
	case DP_R_OUT:
		dp_out_tun(w, p, p + DP_VNET, len - DP_VNET, NULL);
		break;
	default:
		break;
	}
	dp_ring_pop(ring);
	return true;
}

void dp_worker_rings(struct vd_worker *w)
{
	while (one(w, &w->inbox))
		continue;
	for (unsigned v = 0; v < w->workers; v++)
		for (unsigned i = 0; i < DP_BATCH && w->hand_in[v] && one(w, w->hand_in[v]); i++)
			continue;
	dp_in_flush(w);
	dp_out_flush(w);
}

void dp_worker_wake_others(struct vd_worker *w)
{
	for (unsigned v = 0; v < w->workers; v++)
		if (w->touched & 1u << v)
			dp_wake(w->wake_of[v]);
	if (w->touched & 1u << 31)
		dp_wake(w->wake_control);
	w->touched = 0;
}

static bool rings_empty(struct vd_worker *w)
{
	bool empty = dp_ring_empty(&w->inbox);
	for (unsigned v = 0; v < w->workers && empty; v++)
		empty = !w->hand_in[v] || dp_ring_empty(w->hand_in[v]);
	return empty;
}

void dp_worker_serve(struct vd_worker *w, const struct dp_src *src, uint32_t events)
{
	uint64_t n;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return; /* what waited for it was sent at the start of the turn */
	switch (src->kind) {
	case DP_SRC_WAKE:
		if (read(src->fd, &n, sizeof(n)) < 0)
			return;
		break;
	case DP_SRC_UDP:
	case DP_SRC_RAW:
		dp_rx_socket(w, src);
		break;
	case DP_SRC_TUN:
		dp_rx_tun(w);
		break;
	}
}

void *dp_worker_main(void *arg)
{
	struct vd_worker *w = arg;
	struct epoll_event ev[32];
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		atomic_store_explicit(&w->wake.asleep, 1, memory_order_seq_cst);
		int n = epoll_wait(w->epoll, ev, VD_ARRAY_SIZE(ev), rings_empty(w) ? -1 : 0);
		atomic_store_explicit(&w->wake.asleep, 0, memory_order_seq_cst);
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		w->now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
		dp_send_held(w);
		dp_worker_rings(w);
		for (int i = 0; i < n; i++)
			dp_worker_serve(w, ev[i].data.ptr, ev[i].events);
		dp_worker_wake_others(w);
	}
	dp_worker_rings(w); /* commands that were sent before the stop are finished */
	dp_rx_empty(w);
	return NULL;
}
