/* Routes of connections that are dialled again: they stay unreachable outside of the tunnel until the session is back, or until
 * nobody wants the connection any more (event routes_free). The unreachable routes are there while the tunnel is up too, where its
 * own routes are better, so there is no moment without one of both. The gateway keeps a way around them. */
#include "plugins/net/tun/tun.h"

#include <viaduct/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES VD_ARRAY_SIZE(((struct vd_dialled_routes *)0)->routes)
#define GATEWAYS VD_ARRAY_SIZE(((struct vd_held_way *)0)->gateways)

struct tun_hold {
	struct tun_hold *next;
	char connection[VD_NAME_MAX];
	struct vd_prefix routes[ROUTES];    /* family 0 ends the list */
	struct vd_ip gateways[GATEWAYS];    /* that are kept outside; likewise */
};

struct tun_held_ask { /* a held_way that waits for priv/1 */
	struct tun_held_ask *next;
	struct tun *tun;
	uint64_t ticket; /* 0: nobody waits any more */
	unsigned waiting;
};

static struct tun_hold *hold_of(const struct tun *t, const char *connection)
{
	for (struct tun_hold *h = t->holds; h; h = h->next)
		if (!strcmp(h->connection, connection))
			return h;
	return NULL;
}

static bool has_route(const struct tun_hold *h, const struct vd_prefix *route)
{
	for (size_t i = 0; i < ROUTES && h->routes[i].ip.family; i++)
		if (h->routes[i].len == route->len && vd_ip_equal(&h->routes[i].ip, &route->ip))
			return true;
	return false;
}

static bool has_gateway(const struct tun_hold *h, const struct vd_ip *gateway)
{
	for (size_t i = 0; i < GATEWAYS && h->gateways[i].family; i++)
		if (vd_ip_equal(&h->gateways[i], gateway))
			return true;
	return false;
}

static bool covers(const struct tun_hold *h, const struct vd_ip *gateway)
{
	for (size_t i = 0; i < ROUTES && h->routes[i].ip.family; i++)
		if (vd_prefix_has(&h->routes[i], gateway))
			return true;
	return false;
}

static bool other_has(const struct tun *t, const struct tun_hold *not, const struct vd_prefix *route)
{
	for (const struct tun_hold *h = t->holds; h; h = h->next)
		if (h != not && has_route(h, route))
			return true;
	return false;
}

bool tun_hold_pins(const struct tun *t, const struct vd_ip *gateway)
{
	for (const struct tun_hold *h = t->holds; h; h = h->next)
		if (has_gateway(h, gateway))
			return true;
	return false;
}

static void unpin(struct tun *t, struct tun_hold *h, const struct vd_ip *not)
{
	struct vd_ip old[GATEWAYS];

	memcpy(old, h->gateways, sizeof(old));
	memset(h->gateways, 0, sizeof(h->gateways));
	for (size_t i = 0; i < GATEWAYS && old[i].family; i++)
		if (!(not && vd_ip_equal(&old[i], not)) && !tun_hold_pins(t, &old[i]) && !tun_dialled_pins(t, &old[i]))
			tun_ask(t->priv->pin(t->priv->self, false, &old[i], tun_done, NULL), "remove the route to a gateway");
}

static void unhold(struct tun *t, struct tun_hold *h)
{
	struct tun_hold **at = &t->holds;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	for (size_t i = 0; i < ROUTES && h->routes[i].ip.family; i++)
		if (!other_has(t, h, &h->routes[i]))
			tun_ask(t->priv->unreachable(t->priv->self, false, &h->routes[i], tun_done, NULL), "remove an unreachable route");
	unpin(t, h, NULL);
	free(h);
}

void tun_hold(struct tun *t, const struct vd_dialled_routes *want)
{
	struct tun_hold *h = hold_of(t, want->connection), before = { 0 };

	if (!want->hold) {
		if (h)
			unhold(t, h);
		return;
	}
	if (!h && (h = calloc(1, sizeof(*h)))) {
		vd_strcpy(h->connection, sizeof(h->connection), want->connection);
		h->next = t->holds;
		t->holds = h;
	}
	if (!h) {
		vd_log(VD_LOG_ERROR, "net_tun", NULL, "out of memory: routes of connection %s are not held", want->connection);
		return;
	}
	memcpy(before.routes, h->routes, sizeof(before.routes));
	memcpy(h->routes, want->routes, sizeof(h->routes));
	for (size_t i = 0; i < ROUTES && h->routes[i].ip.family; i++)
		if (!has_route(&before, &h->routes[i]) && !other_has(t, h, &h->routes[i]))
			tun_ask(t->priv->unreachable(t->priv->self, true, &h->routes[i], tun_done, NULL), "set an unreachable route");
	for (size_t i = 0; i < ROUTES && before.routes[i].ip.family; i++)
		if (!has_route(h, &before.routes[i]) && !other_has(t, h, &before.routes[i]))
			tun_ask(t->priv->unreachable(t->priv->self, false, &before.routes[i], tun_done, NULL), "remove an unreachable route");
	if (want->gateway.family && covers(h, &want->gateway)) {
		unpin(t, h, &want->gateway);
		h->gateways[0] = want->gateway; /* its session has pinned it */
	} else {
		unpin(t, h, NULL);
	}
}

/* ---- the gateway of the next attempt ---- */
static void way_set(void *arg, const struct vd_error *err)
{
	struct tun_held_ask *a = arg, **at = &a->tun->held_asks;

	tun_done(NULL, err);
	if (--a->waiting)
		return;
	if (a->ticket)
		vd_reply(a->ticket, VD_ACCEPT, NULL, NULL); /* what could not be set makes the attempt fail, with better words */
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	free(a);
}

static void on_held_way(void *arg, const struct vd_ask *ask)
{
	struct tun *t = arg;
	const struct vd_held_way *want = ask->data;
	struct tun_hold *h = hold_of(t, want->connection);
	struct tun_held_ask *a = h ? calloc(1, sizeof(*a)) : NULL;
	size_t n = 0;

	if (!a) {
		vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
		return;
	}
	*a = (struct tun_held_ask){ .next = t->held_asks, .tun = t, .ticket = ask->ticket, .waiting = 1 };
	t->held_asks = a;
	while (n < GATEWAYS && h->gateways[n].family)
		n++;
	/* Those that have one get a new one: the host may have moved. */
	for (size_t i = 0; i < GATEWAYS && want->gateways[i].family; i++) {
		const struct vd_ip *gateway = &want->gateways[i];

		if (!covers(h, gateway) || tun_dialled_pins(t, gateway) || (!has_gateway(h, gateway) && n == GATEWAYS))
			continue;
		if (!has_gateway(h, gateway))
			h->gateways[n++] = *gateway;
		a->waiting++;
		if (t->priv->pin(t->priv->self, true, gateway, way_set, a) < 0)
			a->waiting--;
	}
	way_set(a, NULL);
}

static void on_cancel(void *arg, uint64_t ticket)
{
	struct tun *t = arg;

	for (struct tun_held_ask *a = t->held_asks; a; a = a->next)
		if (a->ticket == ticket)
			a->ticket = 0;
}

static void on_routes_free(void *arg, const void *event)
{
	const struct vd_routes_free *e = event;
	struct tun *t = arg;
	struct tun_hold *h = hold_of(t, e->connection);

	if (h)
		unhold(t, h);
}

int tun_hold_init(struct tun *t)
{
	int ret = vd_provide(t->host, "held_way", "tun", on_held_way, on_cancel, t);

	return ret < 0 ? ret : vd_event_subscribe(t->host, "routes_free", on_routes_free, t);
}

void tun_hold_fini(struct tun *t)
{
	while (t->holds)
		unhold(t, t->holds);
	while (t->held_asks) {
		struct tun_held_ask *a = t->held_asks;

		t->held_asks = a->next;
		free(a);
	}
}
