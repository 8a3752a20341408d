/* What the files of net_tun share. Control thread. */
#ifndef NET_TUN_TUN_H
#define NET_TUN_TUN_H

#include <viaduct/datapath.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>
#include <viaduct/topics.h>

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
};

/* A host's prefix. */
struct vd_prefix tun_host(const struct vd_ip *ip);
/* Logs what priv/1 could not be asked (ret) or could not do (done). */
void tun_ask(int ret, const char *what);
void tun_done(void *arg, const struct vd_error *err);

/* ---- dialled.c: address and routes of sessions that we dialled ---- */
int tun_dialled_init(struct tun *t);
/* A session is gone; harmless for one that has nothing here. */
void tun_dialled_gone(struct tun *t, uint64_t session);
/* The device is a new one: sets what those that are there had on the old one. */
void tun_dialled_again(struct tun *t);
void tun_dialled_fini(struct tun *t);

/* ---- check.c: see check of struct vd_plugin ---- */
int tun_check(void *self, struct vd_plan *plan, struct vd_error *err);

#endif
