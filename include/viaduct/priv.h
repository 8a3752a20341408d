/* Viaduct: service priv/1: what needs privilege. Asynchronous, in-process today; a root monitor may take it over.
 * Every done is called once on the control thread through the FIFO. Results that are descriptors are owned by the caller.
 *
 * What was set stays set until it is asked to go: devices, addresses, routes, kernel settings and tables that another
 * program takes away are put back, and that is logged. On a device that was removed nothing is put back: open_tun makes
 * another one, and all that was on the old one is asked for again.
 */
#ifndef VIADUCT_PRIV_H
#define VIADUCT_PRIV_H

#include <viaduct/addr.h>
#include <viaduct/base.h>
#include <viaduct/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_priv_socket {
	VD_SOCK_UDP,      /* bound UDP */
	VD_SOCK_UDP_PORT, /* bound UDP in a reuseport group, with the receive options of datapath.h's endpoint */
	VD_SOCK_ESP,      /* raw, protocol 50 */
};

struct vd_priv_1 {
	void *self;
	/* One bound socket, non-blocking, close-on-exec. result: the descriptor or a negative errno with err. */
	int (*open_socket)(void *self, enum vd_priv_socket kind, const struct vd_sa *local,
		void (*done)(void *arg, int fd, const struct vd_error *err), void *arg);
	/* A TUN device with n queues (IFF_MULTI_QUEUE when n > 1) and IFF_VNET_HDR, up, with this MTU and queue length.
	 * fds is valid during the call; name is what the kernel gave. */
	int (*open_tun)(void *self, const char *name, unsigned n, unsigned mtu, unsigned txqueuelen,
		void (*done)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err), void *arg);
	/* Addresses and routes on devices, by netlink. */
	int (*address)(void *self, bool add, const char *dev, const struct vd_prefix *address,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	int (*route)(void *self, bool add, const char *dev, const struct vd_prefix *dst,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* One nftables transaction in nft syntax. A table must be named "viaduct" or "viaduct_SOMETHING": all of that kind are removed
	 * when the daemon starts and when it ends, so that nothing outlives a crash or a changed configuration. */
	int (*nft)(void *self, const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* Sets a sysctl of a fixed list: "net/ipv4/ip_forward" and "net/ipv6/conf/all/forwarding" to "1",
	 * "net/ipv6/conf/INTERFACE/accept_ra" to "2"; -EPERM for others. None is put back, since other programs may rely on it by
	 * then: the end says in the log what stays. Before IPv6 is forwarded, interfaces with a default route from router
	 * advertisements are told to keep it (accept_ra 2). */
	int (*sysctl)(void *self, const char *name, const char *value,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* Adds a route that packets without a source of their own take from this address of ours. Removed by route. */
	int (*route_from)(void *self, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* A route to nowhere, which counts while there is no other to this network: what is meant for the tunnel never leaves
	 * by another way. Gone at a clean end, or at the next start. */
	int (*unreachable)(void *self, bool add, const struct vd_prefix *dst,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* Would a route to this network lead into the tunnel what must not: the outer address of a peer, a next hop of the host, or
	 * (unless host: it is one address, which a pool's own router may answer for) a network that an interface of it is in?
	 * Answers at once: 0, or -EADDRINUSE with err. NULL in a provider that cannot tell. */
	int (*in_the_way)(void *self, const struct vd_prefix *dst, bool host, struct vd_error *err);
	/* Makes a table ("inet viaduct") anew as a whole, in one transaction, whatever it was: commands in nft syntax add its
	 * chains and what is in them, and the table itself is there when they begin. NULL: removes it. */
	int (*nft_table)(void *self, const char *name, const char *commands,
		void (*done)(void *arg, const struct vd_error *err), void *arg);
	/* Keeps a host on the way it is reached by now, whatever routes come later; or lets it go. What a crash left of this
	 * is removed at the next start. A route to this host alone that is somebody else's is left as it is. */
	int (*pin)(void *self, bool add, const struct vd_ip *host, void (*done)(void *arg, const struct vd_error *err),
		void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
