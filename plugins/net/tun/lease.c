/* Addresses that no route of a pool leads to: those that an account gives outside of every pool, and those of sessions whose
 * pool is gone. A session that has one gets a route of its own. Under it, and for as long as the address belongs to somebody,
 * lies an unreachable route, so that what is meant for it never leaves by the host's default route, which is not encrypted:
 * before the session is up, while there is no device, and after its end. */
#include "plugins/net/tun/tun.h"

#include <viaduct/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GUARDS_MAX 65536u

struct tun_guard { /* an unreachable route, where no pool covers it */
	struct tun_guard *next;
	struct vd_prefix prefix;
	unsigned reserved; /* by accounts */
	bool used;         /* a session has or had it: to the end of the daemon, since answers come late */
	bool set;
};

struct tun_lease {
	struct tun_lease *next;
	struct tun *tun;
	uint64_t session, ticket; /* ticket 0: nobody waits */
	struct vd_prefix prefix;
	bool set, pending, dead;
};

static unsigned bucket_of(const struct vd_prefix *p)
{
	uint32_t sum = 2166136261u ^ p->len;

	for (size_t i = 0; i < sizeof(p->ip.a); i++)
		sum = (sum ^ p->ip.a[i]) * 16777619u;
	return (sum ^ sum >> 16) % TUN_BUCKETS;
}

static bool same(const struct vd_prefix *a, const struct vd_prefix *b)
{
	return a->len == b->len && vd_ip_equal(&a->ip, &b->ip);
}

/* ---- guards ---- */
static void guard_free(struct tun *t, struct tun_guard *g)
{
	struct tun_guard **at = &t->guards[bucket_of(&g->prefix)];

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	t->n_guards--;
	free(g);
}

static void guard_apply(struct tun *t, struct tun_guard *g)
{
	bool want = (g->reserved || g->used) && !tun_covered(t, &g->prefix.ip);

	if (want != g->set)
		tun_ask(t->priv->unreachable(t->priv->self, want, &g->prefix, tun_done, t),
			want ? "set an unreachable route" : "remove an unreachable route");
	g->set = want;
}

static struct tun_guard *guard_of(struct tun *t, const struct vd_prefix *p)
{
	struct tun_guard **at = &t->guards[bucket_of(p)], *g;

	for (g = *at; g; g = g->next)
		if (same(&g->prefix, p))
			return g;
	g = t->n_guards < GUARDS_MAX ? calloc(1, sizeof(*g)) : NULL;
	if (!g) {
		tun_ask(-ENOMEM, "keep an address from leaving outside of the tunnel");
		return NULL;
	}
	g->prefix = *p;
	g->next = *at;
	*at = g;
	t->n_guards++;
	return g;
}

static struct vd_prefix dedicated(const struct vd_ip *ip)
{
	struct vd_prefix p = tun_host(ip);

	if (ip->family == AF_INET6)
		p.len = 64; /* networks are what accounts give */
	return p;
}

static void on_reserved(void *arg, const void *event)
{
	const struct vd_address_reserved *e = event;
	struct vd_prefix p = dedicated(&e->address);
	struct tun *t = arg;
	struct tun_guard *g = guard_of(t, &p);

	if (!g)
		return;
	g->reserved++;
	guard_apply(t, g);
}

static void on_released(void *arg, const void *event)
{
	const struct vd_address_released *e = event;
	struct vd_prefix p = dedicated(&e->address);
	struct tun *t = arg;
	struct tun_guard *g = guard_of(t, &p);

	if (!g)
		return;
	g->reserved -= g->reserved > 0;
	guard_apply(t, g);
	if (!g->reserved && !g->used)
		guard_free(t, g);
}

/* ---- leases ---- */
static void lease_free(struct tun_lease *l)
{
	struct tun_lease **at = &l->tun->leases[l->session % TUN_BUCKETS];

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l);
}

static struct tun_lease *lease_of(const struct tun *t, uint64_t session, const struct vd_prefix *p)
{
	for (struct tun_lease *l = t->leases[session % TUN_BUCKETS]; l; l = l->next)
		if (l->session == session && same(&l->prefix, p))
			return l;
	return NULL;
}

static struct tun_lease *lease_new(struct tun *t, uint64_t session, const struct vd_prefix *p)
{
	struct tun_lease *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->tun = t;
	l->session = session;
	l->prefix = *p;
	l->next = t->leases[session % TUN_BUCKETS];
	t->leases[session % TUN_BUCKETS] = l;
	return l;
}

static void remove_route(struct tun_lease *l)
{
	struct tun *t = l->tun;

	if (l->set && t->up && !t->stopped)
		tun_ask(t->priv->route(t->priv->self, false, t->dev, &l->prefix, tun_done, t), "remove a route");
	lease_free(l);
}

static void on_set(void *arg, const struct vd_error *err)
{
	struct tun_lease *l = arg;
	bool asked = l->ticket;

	l->pending = false;
	if (l->ticket)
		vd_reply(l->ticket, err ? VD_REJECT : VD_ACCEPT, NULL, err);
	l->ticket = 0;
	if (err)
		l->set = false;
	if (err && !asked)
		tun_done(NULL, err);
	if (l->dead || (err && asked))
		remove_route(l);
}

/* The route of its own, when no pool's leads there. */
static int lease_apply(struct tun_lease *l)
{
	struct tun *t = l->tun;
	struct tun_guard *g;
	int ret;

	if (l->set || l->dead || tun_covered(t, &l->prefix.ip))
		return 0;
	g = guard_of(t, &l->prefix);
	if (g) {
		g->used = true;
		guard_apply(t, g);
	}
	if (!t->up || t->stopped)
		return -ENODEV;
	ret = t->priv->route(t->priv->self, true, t->dev, &l->prefix, on_set, l);
	l->set = l->pending = ret >= 0;
	return ret < 0 ? ret : 1;
}

void tun_lease_ask(struct tun *t, const struct vd_ask *ask)
{
	const struct vd_route_add *want = ask->data;
	struct tun_lease *l = lease_new(t, want->session, &want->prefix);
	struct vd_error err = { 0 };
	int ret = -ENOMEM;

	if (l && !tun_covered(t, &want->prefix.ip) && t->priv->in_the_way &&
		t->priv->in_the_way(t->priv->self, &want->prefix, true, &err) < 0) {
		lease_free(l);
		vd_reply(ask->ticket, VD_REJECT, NULL, &err);
		return;
	}
	if (l)
		ret = lease_apply(l);
	if (ret == 1) {
		l->ticket = ask->ticket;
		return;
	}
	if (ret == 0) {
		vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL); /* a pool's route leads there */
		return;
	}
	if (l)
		lease_free(l);
	vd_error_set(&err, ret, "there is no TUN device to route to: %s", strerror(-ret));
	vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, &err);
}

bool tun_lease_cancel(struct tun *t, uint64_t ticket)
{
	for (unsigned i = 0; i < TUN_BUCKETS; i++)
		for (struct tun_lease *l = t->leases[i]; l; l = l->next)
			if (l->ticket == ticket) {
				l->ticket = 0;
				l->dead = true;
				return true;
			}
	return false;
}

static void learn(struct tun *t, uint64_t session, const struct vd_prefix *p)
{
	struct tun_lease *l = lease_of(t, session, p);

	if (!l)
		l = lease_new(t, session, p);
	if (l)
		lease_apply(l);
	else
		tun_ask(-ENOMEM, "keep a session's address");
}

static void on_session_up(void *arg, const void *event)
{
	const struct vd_session_up *e = event;
	struct vd_prefix p = tun_host(&e->address);

	if (!e->dialled && e->address.family)
		learn(arg, e->session, &p);
}

static void on_session_ipv6(void *arg, const void *event)
{
	const struct vd_session_ipv6 *e = event;
	struct tun_lease *l;

	if (e->up && e->network.ip.family)
		learn(arg, e->session, &e->network);
	else if ((l = lease_of(arg, e->session, &e->network)) && !l->pending)
		remove_route(l);
	else if (l)
		l->dead = true;
}

void tun_leases_gone(struct tun *t, uint64_t session)
{
	struct tun_lease *next;

	for (struct tun_lease *l = t->leases[session % TUN_BUCKETS]; l; l = next) {
		next = l->next;
		if (l->session != session)
			continue;
		if (l->pending)
			l->dead = true;
		else
			remove_route(l);
	}
}

void tun_leases_check(struct tun *t)
{
	for (unsigned i = 0; i < TUN_BUCKETS; i++) {
		for (struct tun_lease *l = t->leases[i]; l; l = l->next)
			lease_apply(l);
		for (struct tun_guard *g = t->guards[i]; g; g = g->next)
			guard_apply(t, g);
	}
}

void tun_leases_again(struct tun *t)
{
	for (unsigned i = 0; i < TUN_BUCKETS; i++)
		for (struct tun_lease *l = t->leases[i]; l; l = l->next)
			l->set &= l->pending;
	tun_leases_check(t);
}

/* As routes of sessions: whoever takes over needs no more of them. */
void tun_leases_each(const struct tun *t, void (*fn)(void *arg, uint64_t session, const struct vd_prefix *prefix), void *arg)
{
	for (unsigned i = 0; i < TUN_BUCKETS; i++)
		for (const struct tun_lease *l = t->leases[i]; l; l = l->next)
			if (l->set && !l->dead)
				fn(arg, l->session, &l->prefix);
}

int tun_leases_init(struct tun *t)
{
	int ret = vd_event_subscribe(t->host, "address_reserved", on_reserved, t);

	if (ret >= 0)
		ret = vd_event_subscribe(t->host, "address_released", on_released, t);
	if (ret >= 0)
		ret = vd_event_subscribe(t->host, "session_up", on_session_up, t);
	if (ret >= 0)
		ret = vd_event_subscribe(t->host, "session_ipv6", on_session_ipv6, t);
	return ret;
}

void tun_leases_fini(struct tun *t)
{
	for (unsigned i = 0; i < TUN_BUCKETS; i++) {
		while (t->leases[i])
			lease_free(t->leases[i]);
		while (t->guards[i])
			guard_free(t, t->guards[i]);
	}
}
