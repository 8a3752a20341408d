/* What the gateway set on the host and what must stay there: devices, addresses, routes, kernel settings, nftables tables.
 * priv/1 writes down here what it was asked for; this is the one place that knows it. The kernel tells of changes
 * (watch.c); then what is there is compared with what must be, and what is missing is put back, with one notice for all of
 * it. Our own changes are there when the comparison comes, so they cause nothing. Control thread. */
#ifndef CORE_KEEP_H
#define CORE_KEEP_H

#include <viaduct/addr.h>
#include <viaduct/base.h>

#define VD_KEEP_SETTLE_MS 100u /* from the kernel's word to the comparison: a change from outside comes in several words */

/* Begins with nothing. Without it, and after vd_keep_fini, all that follows has no effect. */
int vd_keep_init(void);
/* Forgets everything, and takes nothing off the host. */
void vd_keep_fini(void);

/* What must be there from now on (add), or no longer. Repeating is harmless. Without memory it is said in the log that the
 * thing is not watched. */
/* A device that must be up. What was to be on devices before is forgotten: there is one device, and another one has
 * nothing of it until that is asked for again. */
void vd_keep_device(const char *dev, unsigned mtu, unsigned txqueuelen);
void vd_keep_address(bool add, const char *dev, const struct vd_prefix *address);
void vd_keep_route(bool add, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source); /* source: NULL, or ours */
void vd_keep_unreachable(bool add, const struct vd_prefix *dst);
void vd_keep_pin(bool add, const struct vd_ip *host);
void vd_keep_sysctl(const char *name, const char *value);
/* name: "inet viaduct". commands: what makes it anew as a whole; NULL: it is not wanted. It is compared from the moment on
 * when those same commands were carried out, and this is how nft shows it since (vd_priv_nft_list). */
void vd_keep_table(const char *name, const char *commands);
void vd_keep_listed(const char *name, const char *commands, const char *listing);

/* The kernel told of a change that may concern something of ours: the comparison comes after VD_KEEP_SETTLE_MS. */
void vd_keep_look(void);
/* The same, for a table; NULL: for all of them. */
void vd_keep_look_table(const char *name);
/* Is there something of ours with this destination? For watch.c, which sees every route of the host. */
bool vd_keep_has(const struct vd_prefix *dst);
/* The comparison at once: before a reload says how things stand. */
void vd_keep_compare(void);
/* The device that must be up; "" when there is none. Is a table one of ours? Does this network hold one that is routed to the
 * device? */
const char *vd_keep_dev(void);
bool vd_keep_is_table(const char *name);
bool vd_keep_routes_in(const struct vd_prefix *network);

/* ---- watch.c ---- */
/* Subscribes to the kernel's words about links, addresses, routes, forwarding and nftables, and calls vd_keep_look. A
 * negative errno: nothing is watched. */
int vd_watch_init(void);
void vd_watch_fini(void);

#endif
