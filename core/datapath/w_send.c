/* Viaduct: a worker's sends. Neighbours of one size, TOS and DF leave as one UDP_SEGMENT batch: the walk through the network
 * stack is what a datagram costs, and a batch makes it once. When a socket would block, one vector is kept and TUN is not
 * read until it has gone: the queue that may grow is the device's, which drops at its tail. Receiving goes on meanwhile. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct dp_tx { /* one sendmmsg: messages of one path, each a run of datagrams */
	struct mmsghdr msg[VD_VEC];
	struct iovec iov[VD_VEC];
	unsigned first[VD_VEC], n[VD_VEC];
	struct sockaddr_storage to;
	_Alignas(struct cmsghdr) uint8_t control[VD_VEC][128];
};

size_t dp_tx_size(void)
{
	return sizeof(struct dp_tx);
}

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
		if (src->kind == DP_SRC_TUN && src->fd < 0)
			continue;
		if (src->kind == DP_SRC_TUN)
			watch(w, src, on ? 0 : EPOLLIN);
		else if (src->fd == w->blocked_fd)
			watch(w, src, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

static void put(uint8_t *control, size_t *used, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(control + *used);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	*used += CMSG_SPACE(len);
}

/* Source address, TOS and segment size, as far as they are wanted. */
static void control_write(struct msghdr *m, uint8_t control[128], const struct vd_path *path, bool pktinfo, uint8_t tos,
	uint16_t seg)
{
	bool v4 = path->remote.ip.family == AF_INET;
	size_t used = 0;
	if (pktinfo && v4) {
		struct in_pktinfo info = { 0 };
		memcpy(&info.ipi_spec_dst, path->local.ip.a, 4);
		put(control, &used, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (pktinfo) {
		struct in6_pktinfo info = { 0 };
		memcpy(&info.ipi6_addr, path->local.ip.a, 16);
		put(control, &used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (tos) {
		int value = tos;
		put(control, &used, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &value, sizeof(value));
	}
	if (seg)
		put(control, &used, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof(seg));
	m->msg_control = used ? control : NULL;
	m->msg_controllen = used;
}

int dp_sendto(int fd, const struct vd_path *path, bool pktinfo, uint8_t tos, const void *p, size_t len)
{
	struct sockaddr_storage to;
	_Alignas(struct cmsghdr) uint8_t control[128] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr m = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };
	m.msg_namelen = vd_sa_to_sockaddr(&path->remote, &to);
	control_write(&m, control, path, pktinfo, tos, 0);
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* ---- destinations that take no batches ---- */
static struct dp_gso_off *gso_off(struct vd_worker *w, const struct vd_ip *ip)
{
	uint64_t hi, lo;
	memcpy(&hi, ip->a, 8);
	memcpy(&lo, ip->a + 8, 8);
	return &w->gso_off[((hi ^ lo) * 0x9e3779b97f4a7c15ull >> 32) % DP_GSO_OFF];
}

static bool batches(struct vd_worker *w, const struct vd_path *path)
{
	const struct dp_gso_off *off = gso_off(w, &path->remote.ip);
	/* A raw socket has no segmentation. */
	return dp_can(w, VD_CAP_GSO) && path->remote.port && !(w->now < off->until && vd_ip_equal(&off->ip, &path->remote.ip));
}

static void no_batches(struct vd_worker *w, const struct vd_path *path)
{
	*gso_off(w, &path->remote.ip) = (struct dp_gso_off){ path->remote.ip, w->now + DP_GSO_OFF_MS };
	w->work[VD_WORK_GSO_REFUSED]++;
}

/* The device on the way cannot (EIO), or a segment is larger than its MTU: one by one it goes, in fragments if need be. With DF
 * the latter says nothing about batches, and such a datagram cannot go at all: *ret_doubt, ask one by one whether it was that. */
static bool refused(struct vd_worker *w, const struct vd_path *path, int rc, bool df, bool *ret_doubt)
{
	if (rc != -EIO && rc != -EINVAL && rc != -EMSGSIZE && rc != -EOPNOTSUPP)
		return false;
	*ret_doubt = df && (rc == -EINVAL || rc == -EMSGSIZE);
	if (!*ret_doubt)
		no_batches(w, path);
	return true;
}

/* ---- DF ---- */
static bool df_of(const struct vd_worker *w, const struct vd_path *path, const struct vd_pkt *pkt)
{
	if (path->remote.ip.family != AF_INET || w->df == VD_DF_CLEAR)
		return false;
	return w->df == VD_DF_SET || (pkt->flags & VD_PKT_DF);
}

/* How many of the packets are alike in it: it belongs to the socket, not to a message. */
static unsigned alike(const struct vd_worker *w, const struct vd_path *path, const struct vd_pkt *pkts, unsigned n)
{
	unsigned i = 1;
	if (w->df != VD_DF_COPY)
		return n;
	while (i < n && df_of(w, path, &pkts[i]) == df_of(w, path, &pkts[0]))
		i++;
	return i;
}

/* The endpoint's socket, as it has to be for what comes next. fd < 0: there is no such endpoint. */
static void df_switch(struct vd_worker *w, uint64_t e, bool raw, int fd, bool df)
{
	if (w->df != VD_DF_COPY || fd < 0)
		return;
	uint32_t *set = raw ? &w->df_raw : &w->df_udp, bit = 1u << e;
	int pmtu = df ? DP_PMTU_PROBE : DP_PMTU_OMIT;
	if (df == !(*set & bit) && setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &pmtu, sizeof(pmtu)) == 0)
		*set ^= bit;
}

/* ---- runs ---- */
/* How many of the packets make one batch: all of one size but the last, which may be shorter. */
static unsigned run_length(const struct vd_pkt *pkts, unsigned n)
{
	uint32_t size = pkts[0].len, total = size;
	unsigned i = 1;
	for (; i < n && pkts[i].len <= size && pkts[i].tos == pkts[0].tos && total + pkts[i].len <= DP_RUN_MAX; i++) {
		total += pkts[i].len;
		if (pkts[i].len < size)
			return i + 1;
	}
	return i;
}

/* Fills tx with the messages of these packets, of which the first may have to go alone each; returns how many there are. */
static unsigned runs(struct vd_worker *w, const struct vd_path *path, const struct vd_pkt *pkts, unsigned n, unsigned alone,
	bool pktinfo)
{
	struct dp_tx *tx = w->tx;
	bool gso = batches(w, path);
	unsigned messages = 0, name = vd_sa_to_sockaddr(&path->remote, &tx->to);
	for (unsigned at = 0; at < n; messages++) {
		unsigned k = gso && at >= alone ? run_length(pkts + at, n - at) : 1;
		struct msghdr *m = &tx->msg[messages].msg_hdr;
		for (unsigned i = 0; i < k; i++)
			tx->iov[at + i] = (struct iovec){ pkts[at + i].p, pkts[at + i].len };
		*m = (struct msghdr){ .msg_name = &tx->to, .msg_namelen = name, .msg_iov = &tx->iov[at], .msg_iovlen = k };
		control_write(m, tx->control[messages], path, pktinfo, pkts[at].tos, k > 1 ? (uint16_t)pkts[at].len : 0);
		tx->first[messages] = at;
		tx->n[messages] = k;
		at += k;
	}
	return messages;
}

static int capture(struct vd_worker *w, const struct vd_path *path, const struct vd_pkt *pkts, unsigned at, unsigned n)
{
	if (w->full)
		return -EAGAIN;
	if (n > 1 && w->refuse)
		return -w->refuse;
	for (unsigned i = 0; i < n; i++) {
		struct vd_datapath_sent sent = { .way = path->remote.port ? VD_SENT_UDP : VD_SENT_RAW, .worker = w->index,
			.path = *path, .p = pkts[at + i].p, .len = pkts[at + i].len, .run = i,
			.df = df_of(w, path, &pkts[at + i]) };
		w->capture(w->capture_arg, &sent);
	}
	return 1;
}

/* Messages from number m on, as many as go: their number, or -errno of the first. */
static int transmit(struct vd_worker *w, int fd, const struct vd_path *path, const struct vd_pkt *pkts, unsigned m,
	unsigned messages)
{
	struct dp_tx *tx = w->tx;
	w->work[VD_WORK_SENDS]++;
	if (w->capture && !w->tee)
		return capture(w, path, pkts, tx->first[m], tx->n[m]);
	if (fd < 0)
		return -EHOSTUNREACH;
	int rc = dp_can(w, VD_CAP_SENDMMSG)
		? sendmmsg(fd, tx->msg + m, messages - m, MSG_DONTWAIT | MSG_NOSIGNAL)
		: sendmsg(fd, &tx->msg[m].msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 1;
	rc = rc < 0 ? -errno : rc;
	if (w->tee && rc != -EAGAIN)
		capture(w, path, pkts, tx->first[m], tx->n[m]);
	return rc;
}

/* rc < 0: why they were not sent. */
static void settle(struct vd_worker *w, const struct vd_path *path, struct vd_pkt *pkts, unsigned n, int rc)
{
	for (unsigned i = 0; i < n; i++) {
		if (rc == -EMSGSIZE)
			dp_refused(w, path, pkts[i].sess);
		if (rc >= 0)
			vd_pkt_free(w, &pkts[i]);
		else
			vd_pkt_drop(w, &pkts[i], rc == -EMSGSIZE ? VD_DROP_TOO_BIG : VD_DROP_SOCKET);
	}
	if (rc >= 0) {
		w->work[VD_WORK_SENT] += n;
		w->work[VD_WORK_BATCHES] += n > 1;
	}
}

/* Sends packets of one path, in order; returns how many were settled before the socket would block. */
static unsigned push(struct vd_worker *w, const struct vd_path *path, struct vd_pkt *pkts, unsigned n)
{
	uint64_t e = path->endpoint - 1;
	bool raw = !path->remote.port, pktinfo = e < w->n_listen && vd_ip_is_any(&w->listen[e].ip), doubt = false;
	int fd = e < w->n_listen ? (raw ? w->raw_fd[e] : w->udp_fd[e]) : -1;
	unsigned at = 0, alone = 0; /* alone: those before it were in a batch that was refused */
	while (at < n) {
		unsigned m = 0, base = at, part = alike(w, path, pkts + base, n - base);
		unsigned messages = runs(w, path, pkts + base, part, alone > base ? alone - base : 0, pktinfo);
		const struct dp_tx *tx = w->tx;
		bool df = df_of(w, path, &pkts[base]);
		df_switch(w, e, raw, fd, df);
		while (m < messages) {
			int rc = transmit(w, fd, path, pkts + base, m, messages);
			if (rc == -EAGAIN) {
				w->blocked_fd = fd;
				return at;
			}
			if (rc < 0 && tx->n[m] > 1 && refused(w, path, rc, df, &doubt)) {
				alone = at + tx->n[m];
				break; /* what is left is cut anew, without batches */
			}
			if (doubt && rc > 0)
				no_batches(w, path); /* it goes alone: not its size was wrong */
			doubt = false;
			for (unsigned k = rc < 0 ? 1 : (unsigned)rc; k && m < messages; k--, m++) {
				settle(w, path, pkts + at, tx->n[m], rc);
				at += tx->n[m];
			}
		}
	}
	return at;
}

/* ---- what waits ---- */
static void hold(struct vd_worker *w, const struct vd_path *path, struct vd_pkt *pkts, unsigned n)
{
	struct dp_held *h = &w->held;
	bool first = !h->n;
	for (unsigned i = 0; i < n; i++) {
		if (h->n == VD_VEC) {
			vd_pkt_drop(w, &pkts[i], VD_DROP_SOCKET);
			continue;
		}
		h->pkt[h->n] = pkts[i];
		h->pkt[h->n].sess = 0; /* its session may be gone, and its index another's, before this leaves */
		h->path[h->n++] = *path;
	}
	if (first && h->n)
		waiting(w, true);
}

void vd_worker_send(struct vd_worker *w, const struct vd_path *path, struct vd_vec *vec)
{
	/* Nothing overtakes what waits. */
	unsigned done = w->held.n ? 0 : push(w, path, vec->v, vec->n);
	hold(w, path, vec->v + done, vec->n - done);
	vec->n = 0;
}

static bool same_path(const struct vd_path *a, const struct vd_path *b)
{
	return a->endpoint == b->endpoint && vd_sa_equal(&a->local, &b->local) && vd_sa_equal(&a->remote, &b->remote);
}

void dp_send_held(struct vd_worker *w)
{
	struct dp_held *h = &w->held;
	unsigned at = 0;
	int was = w->blocked_fd;
	while (at < h->n) {
		unsigned n = 1;
		while (at + n < h->n && same_path(&h->path[at], &h->path[at + n]))
			n++;
		unsigned done = push(w, &h->path[at], h->pkt + at, n);
		at += done;
		if (done < n)
			break;
	}
	if (!h->n)
		return;
	int now = w->blocked_fd;
	if (at == h->n || now != was) { /* all gone, or it is another socket that is full now */
		w->blocked_fd = was;
		waiting(w, false);
	}
	w->blocked_fd = now;
	h->n -= at;
	memmove(h->pkt, h->pkt + at, h->n * sizeof(h->pkt[0]));
	memmove(h->path, h->path + at, h->n * sizeof(h->path[0]));
	if (h->n && now != was)
		waiting(w, true);
}
