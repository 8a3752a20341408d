/* priv/1 in-process: everything but nftables is done at once; results are delivered through the FIFO. */
#include <config.h>

#include "core/datapath/caps.h"
#include "core/record/record.h"
#include "core/system/firewall.h"
#include "core/system/keep.h"
#include "core/system/priv.h"
#include "core/system/sysctl.h"
#include "core/system/tundev.h"

#include <viaduct/datapath.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define RECEIVE_BUFFER (8 << 20) /* half a second at 1 Gbit/s in 1400-octet datagrams, with the kernel's bookkeeping */

/* One answer on its way through the FIFO; the function that fits what was asked is set. */
struct answer {
	void *arg;
	struct vd_error err;
	void (*plain)(void *arg, const struct vd_error *err);
	void (*socket)(void *arg, int fd, const struct vd_error *err);
	void (*tun)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err);
	char name[IFNAMSIZ];
	unsigned n;
	int fds[VD_MAX_WORKERS];
};

static void deliver(void *p)
{
	struct answer *a = p;
	const struct vd_error *err = a->err.code < 0 ? &a->err : NULL;

	if (a->plain)
		a->plain(a->arg, err);
	else if (a->socket)
		a->socket(a->arg, err ? err->code : a->fds[0], err);
	else
		a->tun(a->arg, err ? NULL : a->fds, err ? 0 : a->n, a->name, err);
	free(a);
}

/* Queued before the work is done, so that nothing can fail after it: the FIFO runs later. */
static struct answer *answer_new(void *arg)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (a && vd_defer(deliver, a) < 0) {
		free(a);
		return NULL;
	}
	if (a)
		a->arg = arg;
	return a;
}

/* Of one that only succeeds or fails: where its error goes; NULL: no memory. */
static struct vd_error *answer_plain(void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct answer *a = answer_new(arg);

	if (a)
		a->plain = done;
	return a ? &a->err : NULL;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Options that older kernels lack are left out silently: the data path probes for what it uses. */
static int socket_options(int fd, enum vd_priv_socket kind, bool v6)
{
	/* (A raw IPv6 socket never gets IPv4, and refuses to be told so.) */
	if (v6 && kind != VD_SOCK_ESP && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return -errno;
	if (kind == VD_SOCK_UDP)
		return 0;
	if (kind == VD_SOCK_UDP_PORT) {
		if (set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
			return -errno;
		set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
	}
	if (set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1) < 0)
		return -errno;
	/* The outer packet is fragmented where it must, and ICMP from outside is not believed. */
	if (set_int(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
		v6 ? IPV6_PMTUDISC_OMIT : IP_PMTUDISC_OMIT) < 0)
		return -errno;
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER) < 0)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	return 0;
}

static int open_socket(void *self, enum vd_priv_socket kind, const struct vd_sa *local,
	void (*done)(void *arg, int fd, const struct vd_error *err), void *arg)
{
	struct answer *a = answer_new(arg);
	struct sockaddr_storage storage = { 0 };
	bool esp = kind == VD_SOCK_ESP;
	char text[VD_SA_TEXT];
	struct vd_sa at = *local;
	unsigned len;
	int fd, ret;

	(void)self;
	if (!a)
		return -ENOMEM;
	a->socket = done;
	if (esp)
		at.port = 0;
	len = vd_sa_to_sockaddr(&at, &storage);
	fd = socket(at.ip.family, (esp ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, esp ? IPPROTO_ESP : 0);
	ret = fd < 0 ? -errno : socket_options(fd, kind, at.ip.family == AF_INET6);
	if (ret == 0 && bind(fd, (struct sockaddr *)&storage, len) < 0)
		ret = -errno;
	a->fds[0] = fd;
	if (ret == 0)
		return 0;
	if (fd >= 0)
		close(fd);
	vd_error_set(&a->err, ret, "cannot open %s %s: %s%s", esp ? "ESP on" : "UDP", vd_sa_format(&at, text), strerror(-ret),
		ret == -EADDRINUSE ? "; another IKE or L2TP daemon has it: stop that (ss -ulpn shows it)" :
		ret == -EADDRNOTAVAIL ? "; gateway.listen must name addresses of this host" : "");
	return 0;
}

static int tun_queue(char name[IFNAMSIZ], bool multi)
{
	int vnet = dp_cap_switched_off("VNET_HDR") ? 0 : IFF_VNET_HDR;
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | vnet | (multi ? IFF_MULTI_QUEUE : 0)) };
	int fd = vd_tundev_open(), ret;

	if (fd < 0)
		return fd;
	vd_strcpy(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return fd;
}

static int open_tun(void *self, const char *name, unsigned n, unsigned mtu, unsigned txqueuelen,
	void (*done)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err), void *arg)
{
	struct answer *a = answer_new(arg);
	int fd = 0;

	(void)self;
	if (!a)
		return -ENOMEM;
	a->tun = done;
	if (n < 1 || n > VD_MAX_WORKERS || !vd_strcpy(a->name, sizeof(a->name), name)) {
		vd_error_set(&a->err, -EINVAL, "a TUN device has 1 to %d queues and a name of at most 15 characters", VD_MAX_WORKERS);
		return 0;
	}
	while (a->n < n && (fd = tun_queue(a->name, n > 1)) >= 0)
		a->fds[a->n++] = fd;
	if (fd < 0)
		vd_error_set(&a->err, fd, "cannot make TUN device %s: %s%s", name, strerror(-fd),
			fd == -EBUSY ? "; another program has it, or an older one was made with other queues" :
			fd == -ENOENT ? "; load the module: modprobe tun" :
			fd == -EACCES ? "; start as root, or do: chmod 666 /dev/net/tun" : "");
	else
		vd_netlink_up(a->name, mtu, txqueuelen, &a->err);
	if (a->err.code >= 0) {
		vd_keep_device(a->name, mtu, txqueuelen);
		vd_firewall_look();
	}
	while (a->err.code < 0 && a->n > 0)
		close(a->fds[--a->n]);
	return 0;
}

static int address(void *self, bool add, const char *dev, const struct vd_prefix *prefix,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (!add)
		vd_keep_address(false, dev, prefix); /* before it goes: nobody may put it back meanwhile */
	if (vd_netlink_address(add, dev, prefix, err) == 0 && add)
		vd_keep_address(true, dev, prefix);
	return 0;
}

static int route(void *self, bool add, const char *dev, const struct vd_prefix *dst,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (!add)
		vd_keep_route(false, dev, dst, NULL);
	if (vd_netlink_route(add, dev, dst, NULL, err) == 0 && add)
		vd_keep_route(true, dev, dst, NULL);
	return 0;
}

static int route_from(void *self, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (vd_netlink_route(true, dev, dst, source, err) == 0)
		vd_keep_route(true, dev, dst, source);
	return 0;
}

static int unreachable(void *self, bool add, const struct vd_prefix *dst,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (!add)
		vd_keep_unreachable(false, dst);
	if (vd_netlink_unreachable(add, dst, err) == 0 && add)
		vd_keep_unreachable(true, dst);
	return 0;
}

static int pin(void *self, bool add, const struct vd_ip *host, void (*done)(void *arg, const struct vd_error *err),
	void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (!add)
		vd_keep_pin(false, host);
	if (vd_netlink_pin(add, host, err) == 0 && add)
		vd_keep_pin(true, host);
	return 0;
}

static int in_the_way(void *self, const struct vd_prefix *dst, bool host, struct vd_error *err)
{
	(void)self;
	return vd_netlink_in_the_way(dst, host, err);
}

static int nft_commands(void *self, const char *commands,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self;
	return vd_priv_nft(commands, done, arg);
}

static int nft_table(void *self, const char *name, const char *commands,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self;
	return vd_priv_nft_table(name, commands, done, arg);
}

static int set_sysctl(void *self, const char *name, const char *value,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct vd_error *err = answer_plain(done, arg);

	(void)self;
	if (!err)
		return -ENOMEM;
	if (vd_sysctl_set(name, value, err) == 0)
		vd_keep_sysctl(name, value);
	return 0;
}

static const struct vd_priv_1 table = {
	.open_socket = open_socket,
	.open_tun = open_tun,
	.address = address,
	.route = route,
	.nft = nft_commands,
	.sysctl = set_sysctl,
	.route_from = route_from,
	.pin = pin,
	.unreachable = unreachable,
	.nft_table = nft_table,
	.in_the_way = in_the_way,
};

static int claim = -1;     /* the socket that says that this network namespace has a viaductd */
static struct vd_io *claim_io;
static bool cleans;        /* nobody else's things are there */
static char old_journal[512];

static void on_claim(void *arg, unsigned events)
{
	int fd = accept4(claim, NULL, NULL, SOCK_CLOEXEC);

	(void)arg;
	(void)events;
	if (fd >= 0) /* the other side only looked at our credentials */
		close(fd);
}

/* The user of the process that listens on this name; UINT32_MAX when none answers, as a viaductd does. */
static uid_t claim_holder(const struct sockaddr_un *sa, socklen_t len)
{
	const struct timeval patience = { .tv_usec = 300000 };
	struct ucred who = { .uid = UINT32_MAX };
	socklen_t size = sizeof(who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0; /* rather than clean up what may be in use */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)sa, len) == 0)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	close(fd);
	return who.uid;
}

/* Two daemons in one network namespace: the second must not clean up what the first has set. An abstract name belongs to the
 * namespace, as what is cleaned up does, and goes with the process. Any local user can bind it, so only a holder that is root or our
 * own user is believed. Daemons in one namespace must therefore run as the same user. */
static bool claim_namespace(void)
{
	static const char name[] = "\0viaductd-host";
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	uid_t holder;

	memcpy(sa.sun_path, name, sizeof(name) - 1);
	claim = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (claim >= 0 && bind(claim, (struct sockaddr *)&sa, len) == 0 && listen(claim, 16) == 0) {
		claim_io = vd_io_new(claim, VD_IO_READ, on_claim, NULL);
		return true;
	}
	if (claim >= 0)
		close(claim);
	claim = -1;
	holder = claim_holder(&sa, len);
	if (holder == 0 || holder == geteuid())
		return false;
	vd_log(VD_LOG_WARNING, "priv", NULL, "a program of user %d holds the name @viaductd-host, by which viaductd knows another one of "
		"itself: not believed; ss -xlp shows it", (int)holder);
	return true;
}

int vd_priv_init(const char *statedir)
{
	vd_format(old_journal, sizeof(old_journal), "%s/sysctl.journal", statedir);
	/* Whoever plays a recording has another host, on which nothing of this happens. */
	if (!vd_record_on() && vd_keep_init() < 0)
		return -ENOMEM;
	if (!vd_record_on())
		vd_firewall_init();
	return vd_service_provide(NULL, "priv/1", NULL, &table);
}

void vd_priv_clean(void)
{
	struct stat st;

	if (lstat(old_journal, &st) == 0)
		vd_log(VD_LOG_WARNING, "priv", NULL, "%s is of an older version and is not read: what it names is not put back; look at it, "
			"and remove it", old_journal);
	old_journal[0] = '\0';
	cleans = cleans || claim_namespace();
	if (!cleans) {
		vd_log(VD_LOG_NOTICE, "priv", NULL, "another viaductd runs in this network namespace: what a crash left here is not looked for");
		return;
	}
	vd_priv_nft_sweep();
	vd_netlink_remove_ours();
}

void vd_priv_end(void)
{
	vd_firewall_fini();
	vd_keep_fini(); /* nothing is put back any more */
	vd_priv_nft_finish();
	if (cleans)
		vd_priv_clean();
	cleans = false;
	vd_io_free(claim_io);
	claim_io = NULL;
	if (claim >= 0)
		close(claim);
	claim = -1;
	vd_sysctl_end();
}

void vd_priv_fini(void)
{
	vd_priv_end();
	vd_tundev_fini();
}
