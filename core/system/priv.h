/* What needs privilege: the in-process provider of priv/1, its netlink helpers, and giving privileges up. */
#ifndef CORE_PRIV_H
#define CORE_PRIV_H

#include <viaduct/priv.h>

/* Registers priv/1. statedir is where versions before this one kept a journal: it is warned about, and not read. */
int vd_priv_init(const char *statedir);
/* Removes what viaductd puts on a host and what the kernel does not remove with the process: nftables tables whose names are
 * VD_NFT_OURS or begin with it and "_", and routes with our protocol number. They are known by their marks in the kernel and not by
 * a file, so it does not matter what is configured now, and there is no file to be believed. After vd_priv_drop. Nothing is done
 * where another viaductd runs in this network namespace. */
void vd_priv_clean(void);
#define VD_NFT_OURS "viaduct"
/* Carries out what is left, cleans, and says which settings stay as we set them. After vd_work_stop, while the log's sinks are
 * there; vd_priv_fini does what was not done. */
void vd_priv_end(void);
void vd_priv_fini(void);

/* One transaction in nft syntax, carried out by the work pool in the order of asking; done is called on the control
 * thread. Where the pool stops first it is carried out on the control thread (vd_work_stop, vd_priv_fini). commands is
 * copied. -ENOMEM. */
int vd_priv_nft(const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg);
/* commands (NULL: none) likewise, and then what nft answers to show ("list table inet viaduct"), without counters; listing is
 * NULL where there is no such thing. err is never NULL: code 0 when all went well. -ENOMEM. */
int vd_priv_nft_list(const char *commands, const char *show,
	void (*done)(void *arg, const char *listing, const struct vd_error *err), void *arg);
/* Makes a table anew as a whole; commands: of vd_priv_1's table. */
int vd_priv_nft_table(const char *name, const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg);
/* Carries out what is left, at once; after vd_work_stop. Part of vd_priv_fini. */
void vd_priv_nft_finish(void);
/* The nftables part of vd_priv_clean; synchronous, some milliseconds. */
void vd_priv_nft_sweep(void);

/* Becomes user, keeping exactly CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE (permitted, effective, inheritable,
 * ambient), with no_new_privs and without core dumps. Started without root, it keeps these three where they were given
 * as ambient capabilities. Before any thread is created: capabilities belong to threads. */
int vd_priv_drop(const char *user, struct vd_error *err);
/* Makes dir where it is missing (mode 0750, of user and its group), or takes one that belongs to user; before vd_priv_drop.
 * Never through a link that is not root's. Without root it is made, or stays as it is. */
int vd_priv_own(const char *dir, const char *user, struct vd_error *err);
/* The same for the folder of the control socket: made as root's, with user's group; one that is there stays as it is. */
int vd_priv_run(const char *dir, const char *user, struct vd_error *err);

/* Netlink, synchronous (the kernel answers within the call). Idempotent: adding what is there and deleting what is gone
 * succeed. A route that exists on another device is -EEXIST. Negative errno with err. */
int vd_netlink_up(const char *dev, unsigned mtu, unsigned txqueuelen, struct vd_error *err);
int vd_netlink_address(bool add, const char *dev, const struct vd_prefix *address, struct vd_error *err);
int vd_netlink_route(bool add, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source,
	struct vd_error *err); /* source: NULL, or what packets without one get */
/* A host route along the way that the kernel would take to this address now without our device and without unreachable routes of
 * ours; marked as ours by its protocol number. One that is there already is made anew. */
int vd_netlink_pin(bool add, const struct vd_ip *host, struct vd_error *err);
/* A route to nowhere that any other route to the same network is better than; marked likewise. */
int vd_netlink_unreachable(bool add, const struct vd_prefix *dst, struct vd_error *err);
#define VD_NETLINK_OURS 118 /* rtm_protocol of those two: only those are ever removed without being known */
/* Removes all that are marked, of any process. */
void vd_netlink_remove_ours(void);
/* See in_the_way of vd_priv_1. */
int vd_netlink_in_the_way(const struct vd_prefix *dst, bool host, struct vd_error *err);
/* The length of the prefix of the route that packets to this host take. -ENETUNREACH: there is none. */
int vd_netlink_match(const struct vd_ip *host);
/* How large packets from our address (any, or family 0: not known) to another one may be by the host's configuration: the
 * least of the route's `mtu` and of its interfaces', not what ICMP said. -ENETUNREACH when there is no route. */
int vd_way_mtu(const struct vd_ip *from, const struct vd_ip *to);

/* Of all of these: a message in room, which wants an acknowledgement; and sending it, with what comes read by read (NULL:
 * nothing else comes). */
#define VD_NETLINK_ROOM 512
struct nlmsghdr;
struct nlmsghdr *vd_netlink_message(char *room, uint16_t type, uint16_t flags);
int vd_netlink_ask(struct nlmsghdr *nlh, int (*read)(const struct nlmsghdr *nlh, void *arg), void *arg);

#endif
