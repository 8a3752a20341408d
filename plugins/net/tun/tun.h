/* What the files of net_tun share. Control thread. */
#ifndef NET_TUN_TUN_H
#define NET_TUN_TUN_H

#include <viaduct/datapath.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>
#include <viaduct/topics.h>

#include <sys/socket.h>

#define TUN_BUCKETS 1024u

struct tun {
	struct vd_host *host;
	const struct vd_priv_1 *priv;
	const struct vd_datapath_1 *dp;
	char dev[16];
	bool up, stopped;
	struct vd_timer again; /* until a device that was removed is made anew */
	unsigned lost;         /* how often that was, in short order, and when last */
	uint64_t lost_at;
	struct tun_pool *pools;
	struct tun_route *routes;
	struct tun_dialled *dialled;
	struct tun_hold *holds;
	struct tun_held_ask *held_asks;
	struct tun_lease *leases[TUN_BUCKETS]; /* by session */
	struct tun_guard *guards[TUN_BUCKETS]; /* by address */
	unsigned n_guards;
};

/* A host's prefix. */
struct vd_prefix tun_host(const struct vd_ip *ip);
/* Logs what priv/1 could not be asked (ret) or could not do (done). */
void tun_ask(int ret, const char *what);
void tun_done(void *arg, const struct vd_error *err);

/* Is this address in a pool, so that its route leads there? */
bool tun_covered(const struct tun *t, const struct vd_ip *ip);

/* ---- lease.c: addresses outside of every pool, and unreachable routes under them ---- */
int tun_leases_init(struct tun *t);
/* Request route_add for the address of the session itself; and nobody waits for it any more. */
void tun_lease_ask(struct tun *t, const struct vd_ask *ask);
bool tun_lease_cancel(struct tun *t, uint64_t ticket);
void tun_leases_gone(struct tun *t, uint64_t session);
/* Pools are others now: t->pools is as it will be. Before routes of a pool go, after those of one are set. */
void tun_leases_check(struct tun *t);
/* The device is a new one. */
void tun_leases_again(struct tun *t);
/* Each address that has a route of its own. */
void tun_leases_each(const struct tun *t, void (*fn)(void *arg, uint64_t session, const struct vd_prefix *prefix), void *arg);
void tun_leases_fini(struct tun *t);

/* ---- dialled.c: address and routes of sessions that we dialled ---- */
int tun_dialled_init(struct tun *t);
/* A session is gone; harmless for one that has nothing here. */
void tun_dialled_gone(struct tun *t, uint64_t session);
/* The device is a new one: sets what those that are there had on the old one. */
void tun_dialled_again(struct tun *t);
void tun_dialled_fini(struct tun *t);

/* Does a session keep this gateway outside of its routes? */
bool tun_dialled_pins(const struct tun *t, const struct vd_ip *gateway);

/* ---- hold.c: their routes while they are dialled again ---- */
int tun_hold_init(struct tun *t);
/* From now on, as the session's connection wants it: its routes are unreachable wherever they do not lead into the tunnel; or no
 * longer. */
void tun_hold(struct tun *t, const struct vd_dialled_routes *want);
/* Does a held connection keep this gateway outside of its routes? */
bool tun_hold_pins(const struct tun *t, const struct vd_ip *gateway);
void tun_hold_fini(struct tun *t);

/* ---- check.c: see check of struct vd_plugin ---- */
int tun_check(void *self, struct vd_plan *plan, struct vd_error *err);

#endif
