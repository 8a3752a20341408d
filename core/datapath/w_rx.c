/* Viaduct: a worker's sockets: vectors of datagrams are received into buffers where they stay until they leave through
 * TUN. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Clients mostly send without UDP checksum, which the kernel never coalesces: a datagram of its own in a buffer of its own
 * is the normal case. What is larger, a GRO batch as a rule, runs over into room that lies behind DP_ROOM octets kept free,
 * so that its beginning can be put in front of it. */
struct dp_rx {
	struct mmsghdr msg[DP_BATCH];
	struct iovec iov[DP_BATCH][2];
	struct sockaddr_storage from[DP_BATCH];
	struct vd_pkt pkt[DP_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[DP_BATCH][128];
	uint8_t over[DP_BATCH][DP_BIG];
};

size_t dp_rx_size(void)
{
	return sizeof(struct dp_rx);
}

void dp_rx_empty(struct vd_worker *w)
{
	for (unsigned i = 0; w->rx && i < DP_BATCH; i++)
		vd_pkt_free(w, &w->rx->pkt[i]);
}

void dp_cmsg_read(struct msghdr *m, struct vd_path *path, size_t *seg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			path->local.ip = (struct vd_ip){ .family = AF_INET };
			memcpy(path->local.ip.a, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			path->local.ip = (struct vd_ip){ .family = AF_INET6 };
			memcpy(path->local.ip.a, &info.ipi6_addr, 16);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			memcpy(&path->tos, CMSG_DATA(c), 1);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			int class;
			memcpy(&class, CMSG_DATA(c), sizeof(class));
			path->tos = (uint8_t)class;
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			*seg = size > 0 ? (size_t)size : 0;
		}
	}
}

/* Buffers for up to want messages; how many there are. */
static unsigned prepare(struct vd_worker *w, unsigned want)
{
	struct dp_rx *rx = w->rx;
	for (unsigned i = 0; i < want; i++) {
		if (!rx->pkt[i].p && !vd_pkt_new(w, 0, &rx->pkt[i]))
			return i;
		rx->iov[i][0] = (struct iovec){ rx->pkt[i].p, DP_ROOM };
		rx->iov[i][1] = (struct iovec){ rx->over[i] + DP_ROOM, DP_BIG - DP_ROOM };
		rx->msg[i].msg_hdr = (struct msghdr){ .msg_name = &rx->from[i], .msg_namelen = sizeof(rx->from[i]),
			.msg_iov = rx->iov[i], .msg_iovlen = 2, .msg_control = rx->control[i],
			.msg_controllen = sizeof(rx->control[i]) };
	}
	return want;
}

static void message(struct vd_worker *w, const struct dp_src *src, unsigned i)
{
	struct dp_rx *rx = w->rx;
	struct vd_path path = { .endpoint = src->endpoint + 1u, .local = w->listen[src->endpoint],
		.natt = src->kind == DP_SRC_UDP };
	size_t len = rx->msg[i].msg_len, seg = 0;
	struct vd_pkt *own = &rx->pkt[i];
	const uint8_t *p = own->p;
	if (rx->msg[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		w->drops[VD_DROP_TOO_BIG]++;
		return;
	}
	if (!vd_sa_from_sockaddr((struct sockaddr *)&rx->from[i], &path.remote)) {
		w->drops[VD_DROP_SHORT]++;
		return;
	}
	dp_cmsg_read(&rx->msg[i].msg_hdr, &path, &seg);
	if (len > DP_ROOM) {
		memcpy(rx->over[i], p, DP_ROOM);
		p = rx->over[i];
	}
	if (len > DP_ROOM || (seg && seg < len))
		own = NULL;
	if (src->kind == DP_SRC_UDP) {
		if (w->came)
			w->came((int)w->index, &path, p, len);
		dp_in_udp(w, &path, p, len, seg, own);
	} else {
		path.local.port = path.remote.port = 0;
		dp_in_raw(w, &path, p, len, own);
	}
}

void dp_rx_socket(struct vd_worker *w, const struct dp_src *src)
{
	for (unsigned total = 0, most = w->came ? 1 : DP_BATCH; total < most;) {
		unsigned want = prepare(w, dp_can(w, VD_CAP_RECVMMSG) ? DP_BATCH - total : 1);
		int n = 0;
		if (want > 1) {
			n = recvmmsg(src->fd, w->rx->msg, want, MSG_DONTWAIT, NULL);
		} else if (want) {
			ssize_t len = recvmsg(src->fd, &w->rx->msg[0].msg_hdr, MSG_DONTWAIT);
			w->rx->msg[0].msg_len = len > 0 ? (unsigned)len : 0;
			n = len >= 0;
		}
		if (n <= 0)
			break;
		w->work[VD_WORK_RECVS]++;
		w->work[VD_WORK_DATAGRAMS] += (unsigned)n;
		for (unsigned i = 0; i < (unsigned)n; i++)
			message(w, src, i);
		if ((unsigned)n < want)
			break;
		total += (unsigned)n;
	}
	dp_in_flush(w);
}
