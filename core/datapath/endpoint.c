/* Viaduct: endpoints: the sockets of each listening address, opened through priv/1 one after the other, since the kernel
 * numbers the members of a reuseport group in the order of their bind: 0 the control thread's, 1..N the workers'. */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>

#include "core/datapath/dp.h"
#include "core/record/record.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif
#define RCVBUF (8 * 1024 * 1024)
#define SNDBUF (2 * 1024 * 1024) /* the kernel's own counting: about 16 full batches; its default holds one */

enum step { STEP_IKE, STEP_NATT, STEP_ESP, STEP_DONE };

struct dp_open { /* a start in progress; outlives the data path when that is stopped before an answer comes */
	struct vd_datapath *dp;
	unsigned ep, i;
	enum step step;
	void (*done)(void *arg, const struct vd_error *err);
	void *arg;
	struct vd_sa local;
};

/* All members of the group must take coalesced datagrams, or the kernel stops coalescing for the peers that hash to the one
 * that does not; they never coalesce datagrams of different TOS, which is asked for because routers mark congestion in it.
 * df: outer DF is set (VD_DF_COPY changes it on the way); ICMP from outside is ignored in any case. */
static void options(int fd, bool v6, bool natt, bool coalesced, bool df)
{
	int one = 1, gro = coalesced, omit = DP_PMTU_OMIT, pmtu = df ? DP_PMTU_PROBE : DP_PMTU_OMIT, size = RCVBUF;
	if (natt)
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof(gro));
	if (v6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(omit));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &pmtu, sizeof(pmtu));
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	size = SNDBUF;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Shorter than 8 octets or first word 0: socket 0; else 1 + (SPI & 255) % N. Only a hint: the kernel asks it once per GRO
 * batch, so every segment is classified again. Without it the kernel hashes, and workers hand over. */
static int steer(int fd, unsigned workers)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 8, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 255),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { VD_ARRAY_SIZE(code), code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

/* Every raw socket is offered every packet of protocol 50. An IPv4 one sees the IP header, an IPv6 one does not. */
static int raw_filter(int fd, bool v6, unsigned worker, unsigned workers)
{
	struct sock_filter code[] = {
		v6 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0)
		   : (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 255),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, worker, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { VD_ARRAY_SIZE(code), code };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static void readable(struct dp_endpoint *ep, int fd, bool natt)
{
	static uint8_t data[DP_RECV]; /* control thread only */
	struct vd_datapath *dp = dp_instance;
	for (unsigned i = 0, messages = 0, most = dp->tee ? 1 : DP_BATCH; i < most && messages < DP_RAW_TURN; i++) {
		_Alignas(struct cmsghdr) uint8_t control[128];
		struct sockaddr_storage from;
		struct iovec iov = { data, sizeof(data) };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control) };
		struct vd_path path = { .endpoint = (uint64_t)(ep - dp->ep) + 1, .local = ep->local, .natt = natt };
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
		size_t seg = 0;
		if (n < 0)
			break;
		if (!vd_sa_from_sockaddr((struct sockaddr *)&from, &path.remote) || (m.msg_flags & MSG_TRUNC)) {
			vd_count("datapath.drop.too_big", 1);
			continue;
		}
		if (!natt)
			path.local.port = dp->ike_port;
		dp_cmsg_read(&m, &path, &seg);
		vd_record_in(-1, &path, data, (size_t)n);
		messages += dp_control_datagram(dp, &path, data, (size_t)n, seg);
	}
}

static void on_ike(void *arg, unsigned events)
{
	struct dp_endpoint *ep = arg;
	(void)events;
	readable(ep, ep->ike, false);
}

static void on_natt(void *arg, unsigned events)
{
	struct dp_endpoint *ep = arg;
	(void)events;
	readable(ep, ep->natt, true);
}

static int watch(struct vd_worker *w, enum dp_src_kind kind, int fd, unsigned ep, bool v6)
{
	struct dp_src *src = &w->src[w->n_src++];
	*src = (struct dp_src){ kind, fd, ep, v6 };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = src };
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static void next(struct dp_open *o);

static void finish(struct dp_open *o, const struct vd_error *why)
{
	struct vd_datapath *dp = o->dp;
	struct vd_error err = { 0 };
	dp->open = NULL;
	if (why)
		err = *why;
	else
		dp_threads_start(dp, &err);
	if (err.code)
		dp_endpoints_close(dp);
	if (o->done)
		o->done(o->arg, err.code ? &err : NULL);
	free(o);
}

/* Keeps the descriptor just opened where it belongs, and moves on to the next one. */
static int keep(struct dp_open *o, int fd, struct vd_error *err)
{
	struct vd_datapath *dp = o->dp;
	struct dp_endpoint *ep = &dp->ep[o->ep];
	bool v6 = ep->local.ip.family == AF_INET6;
	bool data = o->step == STEP_ESP || (o->step == STEP_NATT && o->i);
	int rc = 0;
	/* The control thread's send IKE messages, which may be larger than the path. */
	options(fd, v6, o->step == STEP_NATT, dp->caps.v[VD_CAP_GRO].on, data && dp->df == VD_DF_SET);
	if (o->step == STEP_IKE) {
		ep->ike = fd;
		ep->ike_io = vd_io_new(fd, VD_IO_READ, on_ike, ep);
		rc = ep->ike_io ? 0 : -ENOMEM;
		o->step = STEP_NATT;
		o->i = 0;
	} else if (o->step == STEP_NATT && !o->i) {
		ep->natt = fd;
		ep->natt_io = vd_io_new(fd, VD_IO_READ, on_natt, ep);
		rc = ep->natt_io ? 0 : -ENOMEM;
		o->i = 1;
	} else if (o->step == STEP_NATT) {
		struct vd_worker *w = dp->w[o->i - 1];
		w->udp_fd[o->ep] = fd;
		rc = watch(w, DP_SRC_UDP, fd, o->ep, v6);
		if (o->i++ == dp->n_workers) {
			if (dp->caps.v[VD_CAP_CBPF].on && steer(ep->natt, dp->n_workers) < 0)
				dp_cap_set(&dp->caps, VD_CAP_CBPF, false, "the kernel does not steer by SPI (Linux 4.5)");
			o->step = STEP_ESP;
			o->i = 0;
		}
	} else {
		struct vd_worker *w = dp->w[o->i];
		w->raw_fd[o->ep] = fd;
		rc = raw_filter(fd, v6, o->i, dp->n_workers);
		if (!rc)
			rc = watch(w, DP_SRC_RAW, fd, o->ep, v6);
		if (++o->i == dp->n_workers) {
			o->step = STEP_IKE;
			o->i = 0;
			o->ep++;
		}
	}
	return rc ? vd_error_set(err, rc, "cannot set up a socket of the data path: %s", strerror(-rc)) : 0;
}

static void opened(void *arg, int fd, const struct vd_error *why)
{
	struct dp_open *o = arg;
	struct vd_error err = { 0 };
	if (!o->dp) { /* stopped meanwhile */
		if (fd >= 0)
			close(fd);
		free(o);
		return;
	}
	if (fd < 0) {
		if (why)
			err = *why;
		else
			vd_error_set(&err, fd, "cannot open a socket: %s", strerror(-fd));
		if (!err.code)
			err.code = fd;
		finish(o, &err);
	} else if (keep(o, fd, &err) < 0) {
		finish(o, &err);
	} else {
		next(o);
	}
}

static void next(struct dp_open *o)
{
	struct vd_datapath *dp = o->dp;
	if (o->ep == dp->n_ep) {
		finish(o, NULL);
		return;
	}
	const struct vd_priv_1 *priv = vd_service_find("priv/1", NULL);
	o->local = dp->ep[o->ep].local;
	o->local.port = o->step == STEP_IKE ? dp->ike_port : o->step == STEP_NATT ? dp->natt_port : 0;
	enum vd_priv_socket kind = o->step == STEP_IKE ? VD_SOCK_UDP
		: o->step == STEP_NATT ? VD_SOCK_UDP_PORT : VD_SOCK_ESP;
	int rc = priv ? priv->open_socket(priv->self, kind, &o->local, opened, o) : -ENOSYS;
	if (rc < 0) {
		struct vd_error err;
		vd_error_set(&err, rc, "cannot ask for a socket: %s", strerror(-rc));
		finish(o, &err);
	}
}

int dp_endpoints_open(struct vd_datapath *dp, const struct vd_ip *listen, size_t n,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct dp_open *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct dp_open){ .dp = dp, .done = done, .arg = arg };
	for (size_t e = 0; e < n; e++)
		dp->ep[e].local = (struct vd_sa){ .ip = listen[e], .port = dp->natt_port };
	dp->n_ep = (unsigned)n;
	for (unsigned i = 0; i < dp->n_workers; i++) {
		for (size_t e = 0; e < n; e++)
			dp->w[i]->listen[e] = dp->ep[e].local;
		dp->w[i]->n_listen = (unsigned)n;
	}
	dp->open = o;
	next(o);
	return 0;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void dp_endpoints_close(struct vd_datapath *dp)
{
	if (dp->open)
		dp->open->dp = NULL;
	dp->open = NULL;
	for (unsigned e = 0; e < DP_ENDPOINTS; e++) {
		vd_io_free(dp->ep[e].ike_io);
		vd_io_free(dp->ep[e].natt_io);
		dp->ep[e].ike_io = dp->ep[e].natt_io = NULL;
		shut(&dp->ep[e].ike);
		shut(&dp->ep[e].natt);
		for (unsigned i = 0; i < dp->n_workers; i++) {
			shut(&dp->w[i]->udp_fd[e]);
			shut(&dp->w[i]->raw_fd[e]);
		}
	}
}

int dp_ike_send(void *self, const struct vd_path *path, const void *p, size_t len)
{
	struct vd_datapath *dp = self;
	static uint8_t room[DP_RECV]; /* control thread only */
	uint64_t e = path->endpoint - 1;
	/* A NAT keepalive is the single octet 0xFF, without the marker of RFC 3948 section 2.2: with it the receiver would take
	 * it for a cut IKE message (section 2.3). No IKE message is that short. */
	bool keepalive = len == 1 && *(const uint8_t *)p == 0xff;
	size_t marker = path->natt && !keepalive ? 4 : 0;
	if (e >= dp->n_ep)
		return -EHOSTUNREACH;
	if (len + marker > sizeof(room))
		return -EMSGSIZE;
	memset(room, 0, marker);
	memcpy(room + marker, p, len);
	int rc = 0, fd = path->natt ? dp->ep[e].natt : dp->ep[e].ike;
	if (dp->capture) {
		struct vd_datapath_sent sent = { .way = VD_SENT_IKE, .path = *path, .p = room, .len = len + marker };
		dp->capture(dp->capture_arg, &sent);
	}
	if (!dp->capture || dp->tee)
		rc = fd < 0 ? -EHOSTUNREACH : dp_sendto(fd, path, vd_ip_is_any(&dp->ep[e].local.ip), 0, room, len + marker);
	uint8_t error = (uint8_t)-rc;
	vd_observe("sent", &error, 1);
	return -(int)error;
}
