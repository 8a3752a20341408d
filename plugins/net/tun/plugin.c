/* net_tun: the TUN device of the gateway: opened at start with a queue per worker and given to the data path; addresses
 * and routes of the pools on it; routes to networks behind clients. The device, and with it every address and route,
 * goes when the data path closes its queues. */
#include "plugins/net/tun/cover.h"
#include "plugins/net/tun/tun.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>
#include <viaduct/problem.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two full vectors, so that a worker coming back to the device finds work. In super-packets of 64 KiB that is at most 8
 * MiB, 67 ms at 1 Gbit/s; the kernel's default of 500 would be a quarter of a second. */
#define TXQUEUELEN 128
#define AGAIN_MS 200u
#define AGAIN_MOST 60000u /* where somebody removes it again and again */
#define ROUTES_MAX 65536 /* of an import */

struct tun_pool {
	struct tun_pool *next;
	struct vd_pool_up facts;
};

struct tun_route {
	struct tun_route *next;
	struct tun *tun;
	uint64_t session, ticket; /* ticket 0: nobody waits */
	struct vd_prefix prefix;
	bool pending, dead; /* asked of the kernel; to be removed when that is answered */
};

void tun_done(void *arg, const struct vd_error *err)
{
	(void)arg;
	if (err)
		vd_log(VD_LOG_ERROR, "net_tun", NULL, "%s", err->text);
}

/* ---- pools ---- */
struct vd_prefix tun_host(const struct vd_ip *ip)
{
	return (struct vd_prefix){ *ip, ip->family == AF_INET ? 32 : 128 };
}

void tun_ask(int ret, const char *what)
{
	if (ret < 0)
		vd_log(VD_LOG_ERROR, "net_tun", NULL, "cannot %s: %s", what, strerror(-ret));
}

/* Does another pool need this route as well? */
static bool route_shared(const struct tun *t, const struct vd_pool_up *but, const struct vd_prefix *prefix)
{
	struct vd_prefix cover[TUN_COVER_MAX];

	for (const struct tun_pool *p = t->pools; p; p = p->next) {
		size_t n = &p->facts != but ? tun_cover(&p->facts.first, &p->facts.last, cover) : 0;

		for (size_t i = 0; i < n; i++)
			if (cover[i].len == prefix->len && vd_ip_equal(&cover[i].ip, &prefix->ip))
				return true;
	}
	return false;
}

bool tun_covered(const struct tun *t, const struct vd_ip *ip)
{
	for (const struct tun_pool *p = t->pools; p; p = p->next)
		if (ip->family == p->facts.first.family && vd_ip_cmp(ip, &p->facts.first) >= 0 && vd_ip_cmp(ip, &p->facts.last) <= 0)
			return true;
	return false;
}

/* Under the routes to the device lie unreachable ones: while there is no device, or it is down, nothing that is meant for
 * clients leaves by another way. */
static void pool_apply(struct tun *t, const struct vd_pool_up *pool, bool add)
{
	struct vd_prefix cover[TUN_COVER_MAX], gateway = tun_host(&pool->gateway);
	size_t n = tun_cover(&pool->first, &pool->last, cover);
	bool shared = false;

	for (size_t i = 0; i < n && !t->stopped; i++)
		if (add || !route_shared(t, pool, &cover[i]))
			tun_ask(t->priv->unreachable(t->priv->self, add, &cover[i], tun_done, t), "set an unreachable route");
	if (!t->up || t->stopped)
		return;
	for (const struct tun_pool *p = t->pools; p; p = p->next)
		shared |= &p->facts != pool && vd_ip_equal(&p->facts.gateway, &pool->gateway);
	if (add) /* packets of clients are forwarded, to networks behind us as well as to the internet */
		tun_ask(t->priv->sysctl(t->priv->self,
			pool->first.family == AF_INET ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding", "1", tun_done, t),
			"switch forwarding on");
	if (pool->gateway.family && (add || !shared))
		tun_ask(t->priv->address(t->priv->self, add, t->dev, &gateway, tun_done, t), "set an address");
	for (size_t i = 0; i < n; i++)
		if (add || !route_shared(t, pool, &cover[i]))
			tun_ask(t->priv->route(t->priv->self, add, t->dev, &cover[i], tun_done, t), "set a route");
}

static void on_pool_up(void *arg, const void *event)
{
	struct tun *t = arg;
	struct tun_pool *p = calloc(1, sizeof(*p));

	if (!p) {
		tun_ask(-ENOMEM, "keep a pool");
		return;
	}
	p->facts = *(const struct vd_pool_up *)event;
	p->next = t->pools;
	t->pools = p;
	pool_apply(t, &p->facts, true);
	tun_leases_check(t);
}

static void on_pool_down(void *arg, const void *event)
{
	const struct vd_pool_down *down = event;
	struct tun *t = arg;

	for (struct tun_pool **at = &t->pools; *at; at = &(*at)->next) {
		struct tun_pool *p = *at;

		if (strcmp(p->facts.pool, down->pool) != 0 || !vd_ip_equal(&p->facts.first, &down->first) ||
			!vd_ip_equal(&p->facts.last, &down->last) || !vd_ip_equal(&p->facts.gateway, &down->gateway))
			continue;
		*at = p->next;
		tun_leases_check(t); /* sessions that have an address of it */
		pool_apply(t, &p->facts, false);
		free(p);
		return;
	}
}

/* ---- routes behind clients ---- */
static void route_forget(struct tun_route *r)
{
	for (struct tun_route **at = &r->tun->routes; *at; at = &(*at)->next) {
		if (*at != r)
			continue;
		*at = r->next;
		break;
	}
	free(r);
}

static void route_remove(struct tun_route *r)
{
	const struct tun *t = r->tun;

	if (t->up && !t->stopped)
		tun_ask(t->priv->route(t->priv->self, false, t->dev, &r->prefix, tun_done, NULL), "remove a route");
	route_forget(r);
}

static void on_route(void *arg, const struct vd_error *err)
{
	struct tun_route *r = arg;

	r->pending = false;
	if (r->ticket)
		vd_reply(r->ticket, err ? VD_REJECT : VD_ACCEPT, NULL, err);
	r->ticket = 0;
	if (err)
		route_forget(r);
	else if (r->dead)
		route_remove(r);
}

static struct tun_route *route_new(struct tun *t, uint64_t session, const struct vd_prefix *prefix)
{
	struct tun_route *r = calloc(1, sizeof(*r)), **at = &t->routes;

	if (!r)
		return NULL;
	r->tun = t;
	r->session = session;
	r->prefix = *prefix;
	while (*at)
		at = &(*at)->next;
	*at = r;
	return r;
}

static void on_route_add(void *arg, const struct vd_ask *ask_)
{
	const struct vd_route_add *want = ask_->data;
	struct vd_error err = { 0 };
	struct tun *t = arg;
	struct tun_route *r;
	char text[VD_IP_TEXT];
	int ret = -ENODEV;

	if (want->own) {
		tun_lease_ask(t, ask_);
		return;
	}
	if (t->priv->in_the_way && t->priv->in_the_way(t->priv->self, &want->prefix, false, &err) < 0) {
		vd_reply(ask_->ticket, VD_REJECT, NULL, &err);
		return;
	}
	for (r = t->routes; r; r = r->next) {
		if (r->prefix.len != want->prefix.len || !vd_ip_equal(&r->prefix.ip, &want->prefix.ip) || r->dead)
			continue;
		vd_error_set(&err, -EEXIST, "the network %s is behind another session already",
			vd_prefix_format(&want->prefix, text));
		vd_reply(ask_->ticket, VD_REJECT, NULL, &err);
		return;
	}
	r = t->up ? route_new(t, want->session, &want->prefix) : NULL;
	if (r) {
		r->ticket = ask_->ticket;
		r->pending = true;
		ret = t->priv->route(t->priv->self, true, t->dev, &r->prefix, on_route, r);
	}
	if (!r || ret < 0) {
		if (r)
			route_forget(r);
		vd_error_set(&err, ret, "there is no TUN device to route to: %s", strerror(-ret));
		vd_reply(ask_->ticket, VD_UNAVAILABLE, NULL, &err);
	}
}

static void on_route_cancel(void *arg, uint64_t ticket)
{
	struct tun *t = arg;

	if (tun_lease_cancel(t, ticket))
		return;
	for (struct tun_route *r = t->routes; r; r = r->next) {
		if (r->ticket != ticket)
			continue;
		r->ticket = 0;
		r->dead = true;
		return;
	}
}

static void on_session_gone(void *arg, const void *event)
{
	const struct vd_session_gone *gone = event;
	struct tun *t = arg;
	struct tun_route *next;

	tun_dialled_gone(t, gone->session);
	tun_leases_gone(t, gone->session);
	for (struct tun_route *r = t->routes; r; r = next) {
		next = r->next;
		if (r->session != gone->session)
			continue;
		if (r->pending)
			r->dead = true;
		else
			route_remove(r);
	}
}

/* ---- export: session routes; pools come again by their events ---- */
struct out {
	struct vd_wr *w; /* NULL: they are counted */
	uint32_t n;
};

static void export_one(void *arg, uint64_t session, const struct vd_prefix *prefix)
{
	struct out *out = arg;

	out->n++;
	if (!out->w)
		return;
	vd_wr_u64(out->w, session);
	vd_wr_u8(out->w, prefix->ip.family == AF_INET ? 4 : 6);
	vd_wr_u8(out->w, prefix->len);
	vd_wr_put(out->w, prefix->ip.a, prefix->ip.family == AF_INET ? 4 : 16);
}

static int tun_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	const struct tun *t = self;
	struct out count = { NULL, 0 }, out = { w, 0 };

	for (const struct tun_route *r = t->routes; r; r = r->next) {
		if (r->pending)
			return vd_error_set(err, -EAGAIN, "a route is being set");
		count.n++;
	}
	tun_leases_each(t, export_one, &count);
	vd_wr_u32(w, count.n);
	for (const struct tun_route *r = t->routes; r; r = r->next)
		export_one(&out, r->session, &r->prefix);
	tun_leases_each(t, export_one, &out);
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "no room for the routes");
}

static int tun_import(void *self, uint16_t version, struct vd_rd *rd, enum vd_import_mode mode, struct vd_error *err)
{
	struct tun *t = self;
	uint32_t n = vd_rd_u32(rd);

	(void)mode;
	if (version != 1 || n > ROUTES_MAX)
		return vd_error_set(err, -EINVAL, "the routes are of another version (%u)", version);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t session = vd_rd_u64(rd);
		bool v4 = vd_rd_u8(rd) == 4;
		struct vd_prefix prefix = { .ip.family = v4 ? AF_INET : AF_INET6, .len = vd_rd_u8(rd) };
		struct tun_route *r;

		vd_rd_copy(rd, prefix.ip.a, v4 ? 4 : 16);
		if (!vd_rd_ok(rd) || prefix.len > (v4 ? 32 : 128))
			return vd_error_set(err, -EINVAL, "a route is cut short or malformed");
		r = route_new(t, session, &prefix);
		if (!r)
			return vd_error_set(err, -ENOMEM, "out of memory");
		/* Set as far as export is concerned: a kernel that already has it says so, and adding is idempotent. */
		if (t->up)
			tun_ask(t->priv->route(t->priv->self, true, t->dev, &prefix, tun_done, t), "set a route");
	}
	return 0;
}

static const struct vd_layer layer = { .name = "net_tun", .version = 1, .export_ = tun_export, .import = tun_import };

/* ---- the device ---- */
static void on_tun(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err)
{
	unsigned mtu = (unsigned)vd_conf_uint(vd_conf_at(vd_conf_current(), NULL, "tun.mtu"));
	struct tun *t = arg;
	int ret = -ECANCELED;

	if (err) {
		vd_host_failed(t->host, err); /* without a device there is no way for packets */
		return;
	}
	vd_strcpy(t->dev, sizeof(t->dev), name);
	if (!t->stopped)
		ret = t->dp->tun_add(t->dp->self, name, fds, n, mtu, NULL, NULL);
	if (ret < 0) {
		if (!t->stopped)
			vd_log(VD_LOG_ERROR, "net_tun", NULL, "the data path does not take %s: %s", name, strerror(-ret));
		for (unsigned i = 0; i < n; i++)
			close(fds[i]);
		return;
	}
	t->up = true;
	vd_problem_clear("net_tun/device");
	vd_log(VD_LOG_INFO, "net_tun", NULL, "device %s with %u queues, MTU %u", name, n, mtu);
	for (const struct tun_pool *p = t->pools; p; p = p->next)
		pool_apply(t, &p->facts, true);
	for (const struct tun_route *r = t->routes; r; r = r->next) /* imported before the device was there, or of one that is gone */
		tun_ask(t->priv->route(t->priv->self, true, t->dev, &r->prefix, tun_done, t), "set a route");
	tun_leases_again(t);
	tun_dialled_again(t);
}

static int open_device(struct tun *t)
{
	const struct vd_conf *conf = vd_conf_current();
	unsigned n = t->dp->workers(t->dp->self);

	return t->priv->open_tun(t->priv->self, vd_conf_str(vd_conf_at(conf, NULL, "tun.name")), n ? n : 1,
		(unsigned)vd_conf_uint(vd_conf_at(conf, NULL, "tun.mtu")), TXQUEUELEN, on_tun, t);
}

/* Somebody removed it: sessions go on with another one. A pause between, in case somebody does so again and again. */
static void on_lost(void *arg)
{
	struct tun *t = arg;
	uint64_t wait = AGAIN_MS;

	if (t->stopped)
		return;
	t->up = false;
	vd_count("net_tun.lost", 1);
	t->lost = vd_now() - t->lost_at > AGAIN_MOST ? 1 : t->lost + 1;
	t->lost_at = vd_now();
	for (unsigned i = 3; i < t->lost && wait < AGAIN_MOST; i++)
		wait *= 2;
	vd_log(VD_LOG_NOTICE, "net_tun", NULL, "another program removed the device %s; another one is made%s", t->dev,
		wait > AGAIN_MS ? ", after a pause, since it does so again and again" : "");
	if (wait > AGAIN_MS)
		vd_problem_set("net_tun/device", "another program removes the device %s again and again: find it and stop it", t->dev);
	vd_timer_start(&t->again, wait < AGAIN_MOST ? wait : AGAIN_MOST);
}

static void again(struct vd_timer *timer)
{
	struct tun *t = VD_CONTAINER_OF(timer, struct tun, again);
	struct vd_error err;
	int ret = t->stopped ? 0 : open_device(t);

	if (ret < 0) {
		vd_error_set(&err, ret, "cannot ask for a TUN device: %s", strerror(-ret));
		vd_host_failed(t->host, &err);
	}
}

static int tun_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct tun *t = calloc(1, sizeof(*t));
	int ret = -ENOMEM;

	if (t) {
		t->host = host;
		vd_timer_init(&t->again, again);
		t->priv = vd_service_find("priv/1", NULL);
		t->dp = vd_service_find("datapath/1", NULL);
		ret = t->priv && t->dp ? 0 : -ENOENT;
	}
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_up", on_pool_up, t);
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_down", on_pool_down, t);
	if (ret == 0)
		ret = vd_event_subscribe(host, "session_gone", on_session_gone, t);
	if (ret == 0)
		ret = vd_provide(host, "route_add", "tun", on_route_add, on_route_cancel, t);
	if (ret == 0)
		ret = tun_leases_init(t);
	if (ret == 0)
		ret = tun_dialled_init(t);
	if (ret == 0)
		ret = tun_hold_init(t);
	if (ret == 0)
		ret = vd_layer_register(host, &layer, t);
	if (ret < 0) {
		free(t);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	*ret_self = t;
	return 0;
}

static int tun_start(void *self, struct vd_error *err)
{
	struct tun *t = self;
	int ret = open_device(t);

	if (t->dp->tun_lost)
		t->dp->tun_lost(t->dp->self, on_lost, t);

	return ret < 0 ? vd_error_set(err, ret, "cannot ask for a TUN device: %s", strerror(-ret)) : 0;
}

static void tun_stop(void *self)
{
	struct tun *t = self;

	t->stopped = true;
	vd_timer_stop(&t->again);
}

static void tun_fini(void *self)
{
	struct tun *t = self;

	while (t->pools) {
		struct tun_pool *p = t->pools;

		t->pools = p->next;
		free(p);
	}
	while (t->routes)
		route_forget(t->routes);
	tun_leases_fini(t);
	tun_dialled_fini(t);
	tun_hold_fini(t);
	free(t);
}

static const struct vd_opt schema[] = {
	{ "tun", VD_T_MAP, 0, NULL, NULL, "The device that clients' packets come out of." },
	{ "tun.name", VD_T_STRING, 0, "viaduct%d", "15", "Name of the TUN device; %d is replaced by the first free number." },
	{ "tun.mtu", VD_T_UINT, 0, "1400", "1280..1500",
		"MTU of the device; sessions that carry less are helped by MSS clamping and too-big messages." },
	{ NULL },
};
static const char *const provides[] = { "tun/1", "accept=xauth", NULL };
static const char *const needs[] = { "priv/1", "datapath/1", NULL };

VD_PLUGIN(net_tun, .version = "1.0", .license = "MIT",
	.summary = "TUN device, addresses and routes of pools and sessions",
	.provides = provides, .needs = needs, .schema = schema, .init = tun_init, .check = tun_check, .start = tun_start, .stop = tun_stop,
	.fini = tun_fini);
