/* Connections that we dial ("connect:" in the configuration): when, how often again, and how they stand. Control
 * thread.
 *
 *   down -> dialling -> up            up() or start: boot
 *              |         |
 *              +-> waiting <-+        another attempt: after 1 s, 2, 4, ... 60 s, a quarter more or less by chance
 *   any -> ending -> down             down(), or the first attempt of a manual one failed
 *
 * A name is looked up anew for each attempt. Where it has several addresses, the next one follows a failure at once, and the
 * waiting begins when all have failed.
 */
#ifndef CORE_CONNECT_H
#define CORE_CONNECT_H

#include <viaduct/addr.h>
#include <viaduct/bus.h>
#include <viaduct/conf.h>
#include <viaduct/topics.h>

enum vd_dial_state { VD_DIAL_DOWN, VD_DIAL_DIALLING, VD_DIAL_UP, VD_DIAL_WAITING, VD_DIAL_ENDING };
/* "down", "dialling", ... */
const char *vd_dial_state_name(enum vd_dial_state state);

struct vd_dial_status {
	char name[VD_NAME_MAX];
	enum vd_dial_state state;
	uint64_t since;      /* vd_now() of the state */
	uint64_t session;    /* up */
	struct vd_ip address; /* up: ours, inside */
	struct vd_sa gateway; /* as found when it was dialled last; family 0: not yet */
	unsigned turn, turns; /* it is the turn-th of so many addresses of its name that we can dial; 0: not known yet */
	uint64_t next_ms;    /* waiting: until the next attempt */
	unsigned failures;   /* attempts in a row that failed */
	char reason[VD_ID_TEXT]; /* why the last one failed or ended; "" */
};

/* Takes over the configuration in force: new connections are known, those with `start: boot` are dialled, those that
 * are gone from it end. At the start, when the data path can send, and after a reload. -ENOMEM. */
int vd_connect_start(void);
/* The daemon ends: every connection says goodbye, and none is dialled any more. */
void vd_connect_stop(void);
/* Frees everything; after the last plugin's fini. */
void vd_connect_fini(void);

/* Dials now; a connection that is up stays so. done (may be NULL) is called once, later: up with err NULL, or not.
 * -ENOENT for a name that is no connection which we dial, with err. */
int vd_connect_up(const char *name,
	void (*done)(void *arg, const struct vd_dial_status *status, const struct vd_error *err), void *arg,
	struct vd_error *err);
/* Ends it for good; done when nothing of it is left. */
int vd_connect_down(const char *name, const char *reason,
	void (*done)(void *arg, const struct vd_dial_status *status, const struct vd_error *err), void *arg,
	struct vd_error *err);
/* False for a name that is none. */
bool vd_connect_status(const char *name, struct vd_dial_status *ret_status);

/* ---- hold.c: routes that stay unreachable while a connection is dialled again ---- */
/* As hold_routes says, else where `all` is among its routes. connection: its node; NULL: false. */
bool vd_connect_holds(const struct vd_conf *conf, const struct vd_conf_node *connection);
/* Request held_way; 0 when out of memory. */
uint64_t vd_hold_ask(const char *name, const struct vd_ip *gateways, size_t n,
	void (*done)(void *arg, const struct vd_answer *answer), void *arg);
/* Event routes_free. */
void vd_hold_free(const char *name);

/* ---- lookup.c: where to dial to, and from where ---- */
struct vd_lookup;
#define VD_LOOKUP_MAX 8 /* addresses of one name that are kept */
/* Finds the addresses of a name, on a thread of its own; done is called once, later, with the n best in the resolver's order, or
 * with err when there is none. NULL when out of memory. */
struct vd_lookup *vd_lookup_new(const char *name,
	void (*done)(void *arg, const struct vd_ip *ips, size_t n, const struct vd_error *err), void *arg);
/* Before done was called: it is not called any more. NULL is accepted. */
void vd_lookup_cancel(struct vd_lookup *lookup);
/* Ends the thread, after it has heard of the name that it asks for (seconds, when nobody answers). */
void vd_lookups_fini(void);

struct vd_path;
/* The endpoint and address to dial this remote address from: local is an address, the name of an interface, or NULL for
 * the first of gateway.listen that fits. -EADDRNOTAVAIL, -ENETUNREACH with err. */
int vd_dial_path(const char *local, const struct vd_ip *remote, struct vd_path *ret_path, struct vd_error *err);

#endif
