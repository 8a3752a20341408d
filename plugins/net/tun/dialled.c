/* The host's side of sessions that we dialled (request dialled_routes): our address there, on the device; routes into the
 * tunnel from that address; and the gateway pinned to the way it is reached by now, where a route would lead the tunnel
 * into itself. Of sessions with equal routes the oldest has them, and hands them on. */
#include "plugins/net/tun/tun.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES VD_ARRAY_SIZE(((struct vd_dialled_routes *)0)->routes)

struct tun_dialled {
	struct tun_dialled *next; /* younger */
	struct tun *tun;
	struct vd_dialled_routes want;
	uint64_t ticket;  /* 0: answered, or nobody waits any more */
	unsigned waiting; /* answers of priv/1 */
	bool pinned, dead;
	struct vd_error err;
};

static bool same(const struct vd_prefix *a, const struct vd_prefix *b)
{
	return a->len == b->len && vd_ip_equal(&a->ip, &b->ip);
}

static bool has(const struct tun_dialled *d, const struct vd_prefix *route)
{
	for (size_t i = 0; i < ROUTES && d->want.routes[i].ip.family; i++)
		if (same(&d->want.routes[i], route))
			return true;
	return false;
}

/* The oldest other session with this route. */
static struct tun_dialled *other_with(const struct tun *t, const struct tun_dialled *not, const struct vd_prefix *route)
{
	for (struct tun_dialled *d = t->dialled; d; d = d->next)
		if (d != not && !d->dead && has(d, route))
			return d;
	return NULL;
}

bool tun_dialled_pins(const struct tun *t, const struct vd_ip *gateway)
{
	for (const struct tun_dialled *d = t->dialled; d; d = d->next)
		if (d->pinned && vd_ip_equal(&d->want.gateway, gateway))
			return true;
	return false;
}

static bool other_pins(const struct tun *t, const struct tun_dialled *not)
{
	for (const struct tun_dialled *d = t->dialled; d; d = d->next)
		if (d != not && d->pinned && vd_ip_equal(&d->want.gateway, &not->want.gateway))
			return true;
	return false;
}

static void forget(struct tun_dialled *d)
{
	struct tun_dialled **at = &d->tun->dialled;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	free(d);
}

static void undo(struct tun_dialled *d)
{
	struct tun *t = d->tun;
	const struct vd_priv_1 *priv = t->priv;
	struct vd_prefix host = tun_host(&d->want.address);
	bool works = t->up && !t->stopped;

	d->dead = true;
	for (size_t i = 0; works && i < ROUTES && d->want.routes[i].ip.family; i++) {
		struct tun_dialled *heir = other_with(t, d, &d->want.routes[i]);
		bool older = false;

		for (const struct tun_dialled *o = heir; o && !older; o = o->next)
			older = o == d;
		if (older)
			continue; /* that one has it */
		tun_ask(priv->route(priv->self, false, t->dev, &d->want.routes[i], tun_done, NULL), "remove a route");
		if (heir)
			tun_ask(priv->route_from(priv->self, t->dev, &d->want.routes[i], &heir->want.address, tun_done,
				NULL),
				"set a route");
	}
	if (d->pinned && !other_pins(t, d) && !tun_hold_pins(t, &d->want.gateway)) /* it lies on another device, which stays */
		tun_ask(priv->pin(priv->self, false, &d->want.gateway, tun_done, NULL), "remove the route to a gateway");
	if (works)
		tun_ask(priv->address(priv->self, false, t->dev, &host, tun_done, NULL), "remove an address");
	forget(d);
}

static void set(void *arg, const struct vd_error *err)
{
	struct tun_dialled *d = arg;

	if (err && !d->err.code)
		d->err = *err;
	if (--d->waiting)
		return;
	if (!d->err.code && !d->dead)
		tun_hold(d->tun, &d->want);
	if (d->ticket)
		vd_reply(d->ticket, d->err.code ? VD_REJECT : VD_ACCEPT, NULL, d->err.code ? &d->err : NULL);
	d->ticket = 0;
	if (d->err.code || d->dead)
		undo(d);
}

static void asked(struct tun_dialled *d, int ret)
{
	if (ret >= 0)
		d->waiting++;
	else if (!d->err.code)
		vd_error_set(&d->err, ret, "the host cannot be asked for address and routes: %s", strerror(-ret));
}

static void on_dialled(void *arg, const struct vd_ask *ask)
{
	struct tun *t = arg;
	const struct vd_priv_1 *priv = t->priv;
	struct tun_dialled *d = t->up && !t->stopped ? calloc(1, sizeof(*d)) : NULL, **at = &t->dialled;
	struct vd_error err;
	struct vd_prefix host;

	if (!d) {
		vd_error_set(&err, -ENODEV, "there is no TUN device to route to");
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, &err);
		return;
	}
	d->tun = t;
	d->want = *(const struct vd_dialled_routes *)ask->data;
	d->ticket = ask->ticket;
	d->waiting = 1; /* ours */
	while (*at)
		at = &(*at)->next;
	*at = d;
	host = tun_host(&d->want.address);
	asked(d, priv->address(priv->self, true, t->dev, &host, set, d));
	/* The gateway first: once a route covers it there is no other way to be found. */
	for (size_t i = 0; i < ROUTES && d->want.routes[i].ip.family; i++)
		d->pinned |= d->want.gateway.family && vd_prefix_has(&d->want.routes[i], &d->want.gateway);
	if (d->pinned && !other_pins(t, d) && !tun_hold_pins(t, &d->want.gateway))
		asked(d, priv->pin(priv->self, true, &d->want.gateway, set, d));
	for (size_t i = 0; i < ROUTES && d->want.routes[i].ip.family; i++)
		if (!other_with(t, d, &d->want.routes[i]))
			asked(d, priv->route_from(priv->self, t->dev, &d->want.routes[i], &d->want.address, set, d));
	set(d, NULL);
}

static void on_cancel(void *arg, uint64_t ticket)
{
	struct tun *t = arg;

	for (struct tun_dialled *d = t->dialled; d; d = d->next)
		if (d->ticket == ticket) {
			d->ticket = 0;
			d->dead = true;
			return;
		}
}

int tun_dialled_init(struct tun *t)
{
	return vd_provide(t->host, "dialled_routes", "tun", on_dialled, on_cancel, t);
}

void tun_dialled_gone(struct tun *t, uint64_t session)
{
	struct tun_dialled *next;

	for (struct tun_dialled *d = t->dialled; d; d = next) {
		next = d->next;
		if (d->want.session != session)
			continue;
		if (d->waiting)
			d->dead = true;
		else
			undo(d);
	}
}

void tun_dialled_again(struct tun *t)
{
	const struct vd_priv_1 *priv = t->priv;

	for (const struct tun_dialled *d = t->dialled; d; d = d->next) {
		struct vd_prefix host = tun_host(&d->want.address);

		if (d->dead)
			continue;
		tun_ask(priv->address(priv->self, true, t->dev, &host, tun_done, NULL), "set an address");
		for (size_t i = 0; i < ROUTES && d->want.routes[i].ip.family; i++) {
			const struct tun_dialled *older = t->dialled;

			while (older != d && (older->dead || !has(older, &d->want.routes[i])))
				older = older->next;
			if (older == d)
				tun_ask(priv->route_from(priv->self, t->dev, &d->want.routes[i], &d->want.address, tun_done, NULL),
					"set a route");
		}
	}
}

void tun_dialled_fini(struct tun *t)
{
	while (t->dialled) {
		if (t->dialled->pinned && !other_pins(t, t->dialled) && !tun_hold_pins(t, &t->dialled->want.gateway))
			tun_ask(t->priv->pin(t->priv->self, false, &t->dialled->want.gateway, tun_done, NULL),
				"remove the route to a gateway");
		forget(t->dialled);
	}
}
