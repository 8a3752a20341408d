/* Viaduct: system calls of a worker: receiving in batches, reading TUN, sending one datagram. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/datapath/dp.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RX_MSGS 16u

struct dp_rx {
	struct mmsghdr msg[RX_MSGS];
	struct iovec iov[RX_MSGS];
	struct sockaddr_storage from[RX_MSGS];
	_Alignas(struct cmsghdr) uint8_t control[RX_MSGS][128];
	uint8_t data[RX_MSGS][DP_RECV];
};

size_t dp_rx_size(void)
{
	return sizeof(struct dp_rx);
}

void dp_cmsg_read(struct msghdr *m, struct vd_ip *local, size_t *seg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = (struct vd_ip){ .family = AF_INET };
			memcpy(local->a, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = (struct vd_ip){ .family = AF_INET6 };
			memcpy(local->a, &info.ipi6_addr, 16);
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			*seg = size > 0 ? (size_t)size : 0;
		}
	}
}

void dp_rx_socket(struct vd_worker *w, const struct dp_src *src)
{
	struct dp_rx *rx = w->rx;
	for (unsigned total = 0; total < DP_BATCH; total += RX_MSGS) {
		for (unsigned i = 0; i < RX_MSGS; i++) {
			rx->iov[i] = (struct iovec){ rx->data[i], DP_RECV };
			rx->msg[i].msg_hdr = (struct msghdr){ .msg_name = &rx->from[i], .msg_namelen = sizeof(rx->from[i]),
				.msg_iov = &rx->iov[i], .msg_iovlen = 1, .msg_control = rx->control[i],
				.msg_controllen = sizeof(rx->control[i]) };
		}
		int n = recvmmsg(src->fd, rx->msg, RX_MSGS, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			struct vd_path path = { .endpoint = src->endpoint + 1u, .local = w->listen[src->endpoint],
				.natt = src->kind == DP_SRC_UDP };
			size_t seg = 0;
			if (rx->msg[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
				w->drops[VD_DROP_TOO_BIG]++;
				continue;
			}
			if (!vd_sa_from_sockaddr((struct sockaddr *)&rx->from[i], &path.remote)) {
				w->drops[VD_DROP_SHORT]++;
				continue;
			}
			dp_cmsg_read(&rx->msg[i].msg_hdr, &path.local.ip, &seg);
			if (src->kind == DP_SRC_UDP) {
				dp_in_udp(w, &path, rx->data[i], rx->msg[i].msg_len, seg);
			} else {
				path.local.port = path.remote.port = 0;
				dp_in_raw(w, &path, rx->data[i], rx->msg[i].msg_len);
			}
		}
		if (n < (int)RX_MSGS)
			break;
	}
	dp_in_flush(w);
}

void dp_rx_tun(struct vd_worker *w)
{
	for (unsigned i = 0; i < DP_BATCH && !w->n_held; i++) {
		struct vd_pkt pkt;
		uint8_t vnet[DP_VNET];
		if (!vd_pkt_new(w, 0, &pkt))
			return; /* stays in the device's queue */
		ssize_t n = read(w->tun_fd, pkt.p - DP_VNET, DP_ROOM + DP_VNET);
		if (n < (ssize_t)DP_VNET) {
			vd_pkt_free(w, &pkt);
			break;
		}
		memcpy(vnet, pkt.p - DP_VNET, DP_VNET);
		pkt.len = (uint32_t)n - DP_VNET;
		dp_out_tun(w, vnet, &pkt);
	}
	dp_out_flush(w);
}

int dp_sendto(int fd, const struct vd_path *path, bool pktinfo, uint8_t tos, const void *p, size_t len)
{
	struct sockaddr_storage to;
	_Alignas(struct cmsghdr) uint8_t control[128] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr m = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	bool v4 = path->remote.ip.family == AF_INET;
	size_t used = 0;
	m.msg_namelen = vd_sa_to_sockaddr(&path->remote, &to);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (pktinfo && v4) {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, path->local.ip.a, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		used += CMSG_SPACE(sizeof(info));
	} else if (pktinfo) {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, path->local.ip.a, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		used += CMSG_SPACE(sizeof(info));
	}
	if (tos) {
		int value = tos;
		c = (struct cmsghdr *)(void *)(control + used);
		c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		c->cmsg_type = v4 ? IP_TOS : IPV6_TCLASS;
		c->cmsg_len = CMSG_LEN(sizeof(value));
		memcpy(CMSG_DATA(c), &value, sizeof(value));
		used += CMSG_SPACE(sizeof(value));
	}
	m.msg_controllen = used;
	if (!used)
		m.msg_control = NULL;
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
