/* Viaduct: a worker's TUN queue: reading packets and super-packets, writing both. Each has a virtio header in front when
 * the device was opened so. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/datapath/dp.h"

/* The one place where multi-octet fields are in host order. */
void dp_vnet_read(const uint8_t vnet[DP_VNET], struct dp_vnet *ret_vnet)
{
	struct dp_vnet v = { .flags = vnet[0], .gso = vnet[1] };
	memcpy(&v.head, vnet + 2, 2);
	memcpy(&v.size, vnet + 4, 2);
	memcpy(&v.start, vnet + 6, 2);
	memcpy(&v.offset, vnet + 8, 2);
	*ret_vnet = v;
}

void dp_vnet_write(const struct dp_vnet *v, uint8_t ret_vnet[DP_VNET])
{
	ret_vnet[0] = v->flags;
	ret_vnet[1] = v->gso;
	memcpy(ret_vnet + 2, &v->head, 2);
	memcpy(ret_vnet + 4, &v->size, 2);
	memcpy(ret_vnet + 6, &v->start, 2);
	memcpy(ret_vnet + 8, &v->offset, 2);
}

/* Somebody removed the device: epoll would tell so for ever. */
static void device_gone(struct vd_worker *w)
{
	if (!w->tun_lost || !vd_worker_tell(w, w->tun_lost, w->tun_lost_arg, 0, 0))
		return; /* the next turn tells */
	for (unsigned i = 0; i < w->n_src && w->epoll >= 0; i++)
		if (w->src[i].kind == DP_SRC_TUN && w->src[i].fd >= 0) {
			(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->src[i].fd, NULL);
			w->src[i].fd = -1;
		}
}

/* A packet is read into a buffer where it stays; what is larger runs over into room that lies behind DP_ROOM octets kept
 * free, so that the beginning can be put in front of it. */
void dp_rx_tun(struct vd_worker *w)
{
	bool header = dp_can(w, VD_CAP_VNET_HDR);
	struct vd_pkt pkt = { 0 };
	for (unsigned i = 0, supers = 0, most = w->came_tun ? 1 : DP_BATCH; i < most && supers < DP_SUPERS && !w->held.n; i++) {
		uint8_t vnet[DP_VNET] = { 0 };
		if (!pkt.p && !vd_pkt_new(w, 0, &pkt))
			break; /* it stays in the device's queue */
		struct iovec iov[3] = { { vnet, DP_VNET }, { pkt.p, DP_ROOM }, { w->big + DP_ROOM, DP_BIG - DP_ROOM } };
		ssize_t n = readv(w->tun_fd, header ? iov : iov + 1, header ? 3 : 2);
		size_t skip = header ? DP_VNET : 0;
		if (n < 0 && errno == EBADFD)
			device_gone(w);
		if (n < (ssize_t)skip || n <= 0)
			break;
		size_t len = (size_t)n - skip;
		w->work[VD_WORK_TUN_READS]++;
		supers += vnet[1] != 0;
		if (w->came_tun && len <= DP_ROOM) {
			w->came_tun(w->index, pkt.p, len);
			dp_conceal(w, pkt.p, len);
		}
		if (len > DP_ROOM) {
			memcpy(w->big, pkt.p, DP_ROOM);
			dp_out_tun(w, vnet, w->big, len, NULL);
		} else {
			pkt.len = (uint32_t)len;
			dp_out_tun(w, vnet, pkt.p, len, &pkt);
		}
	}
	vd_pkt_free(w, &pkt);
	dp_out_flush(w);
}

static void drop_all(struct vd_worker *w, struct vd_pkt *pkts, unsigned n, bool bad)
{
	for (unsigned i = 0; i < n; i++)
		if (bad)
			vd_pkt_drop(w, &pkts[i], VD_DROP_TUN);
		else
			vd_pkt_free(w, &pkts[i]);
}

void dp_tun_write(struct vd_worker *w, struct vd_pkt *pkt)
{
	size_t header = dp_can(w, VD_CAP_VNET_HDR) ? DP_VNET : 0;
	w->work[VD_WORK_TUN_WRITES]++;
	if (w->capture) {
		struct vd_datapath_sent sent = { .way = VD_SENT_TUN, .worker = w->index, .p = pkt->p, .len = pkt->len };
		dp_conceal(w, pkt->p, pkt->len);
		w->capture(w->capture_arg, &sent);
	}
	if (w->capture && !w->tee) {
		vd_pkt_free(w, pkt);
		return;
	}
	memset(pkt->p - header, 0, header);
	bool bad = w->tun_fd < 0 || write(w->tun_fd, pkt->p - header, pkt->len + header) < 0;
	drop_all(w, pkt, 1, bad);
}

void dp_tun_super(struct vd_worker *w, const uint8_t vnet[DP_VNET], struct vd_pkt *pkts, unsigned n, uint32_t head)
{
	struct iovec iov[VD_VEC + 1] = { { (void *)(uintptr_t)vnet, DP_VNET }, { pkts[0].p, pkts[0].len } };
	for (unsigned i = 1; i < n; i++)
		iov[i + 1] = (struct iovec){ pkts[i].p + head, pkts[i].len - head };
	w->work[VD_WORK_TUN_WRITES]++;
	w->work[VD_WORK_TUN_COALESCED] += n;
	bool bad = false;
	if (w->capture) {
		size_t len = 0;
		for (unsigned i = 1; i <= n; len += iov[i++].iov_len)
			memcpy(w->big + len, iov[i].iov_base, iov[i].iov_len);
		struct vd_datapath_sent sent = { .way = VD_SENT_TUN, .worker = w->index, .p = w->big, .len = len, .vnet = vnet };
		w->capture(w->capture_arg, &sent);
	} else {
		bad = w->tun_fd < 0 || writev(w->tun_fd, iov, (int)n + 1) < 0;
	}
	drop_all(w, pkts, n, bad);
}
