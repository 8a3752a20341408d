/* pool_local: the provider "pool" of lease_address. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/log.h>

#define TAKE_TRIES 64 /* free addresses that are looked at for one that nobody had last */

static const struct vd_opt schema[] = {
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Addresses for clients." },
	{ "pools.*.range", VD_T_RANGE, VD_OPT_LIST, NULL, NULL,
		"10.8.0.10-10.8.3.250 or a prefix; at most 8. Addresses that end in .0 or .255 are never leased." },
	{ "pools.*.prefix", VD_T_PREFIX, VD_OPT_LIST, NULL, NULL,
		"IPv6 prefix of which each client that speaks IPv6 gets a network of 64 bits, as 2001:db8:8::/48. The first network "
		"is ours. At most 8 with the ranges." },
	{ "pools.*.gateway", VD_T_ADDR, VD_OPT_LIST, NULL, NULL,
		"Our address toward the clients, one for IPv4 and one for IPv6; if not given, a.b.c.1 (or host 1 of the /64) of the "
		"first address of the range or prefix. Never leased." },
	{ "pools.*.dns", VD_T_ADDR, VD_OPT_LIST | VD_OPT_LIVE, NULL, NULL, "Name servers that clients are told, at most 3." },
	{ "pools.*.wins", VD_T_ADDR, VD_OPT_LIST | VD_OPT_LIVE, NULL, NULL, "NetBIOS name servers, at most 2." },
	{ "pools.*.search", VD_T_STRING, VD_OPT_LIST | VD_OPT_LIVE, NULL, "126", "Domains that clients search." },
	{ NULL },
};

struct pool *pools_find(const struct pools *self, const char *name)
{
	size_t i;

	for (i = 0; i < self->n; i++)
		if (!strcmp(self->v[i].name, name))
			return &self->v[i];
	return NULL;
}

static void drop(struct pool *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		pool_clear(&v[i]);
	free(v);
}

/* All pools of the current configuration, empty. */
static int read_all(struct pool **ret_v, size_t *ret_n, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *section = vd_conf_at(conf, NULL, "pools");
	size_t n = vd_conf_count(section), i;
	struct pool *v = calloc(n + 1, sizeof(*v));
	int ret = v ? 0 : vd_error_set(err, -ENOMEM, "out of memory");

	for (i = 0; i < n && !ret; i++)
		ret = pool_read(&v[i], conf, vd_conf_nth(section, i), err);
	if (ret) {
		drop(v, v ? n : 0);
		return ret;
	}
	*ret_v = v;
	*ret_n = n;
	return 0;
}

void pools_unmark(struct pools *self, const struct vd_ip *ip)
{
	size_t i;

	for (i = 0; i < self->n; i++)
		if (!book_holder(&self->book, ip) && !reserve_find(&self->reserve, self->v[i].name, ip, ""))
			pool_mark(&self->v[i], ip, false);
}

static struct vd_leased_address answer_of(const struct pool *pool, const struct vd_ip *ip)
{
	struct vd_leased_address answer = pool->facts;

	answer.address = *ip;
	answer.length = pool_is_net(ip) ? 64 : 0;
	answer.gateway = *pool_gateway(pool, ip->family);
	return answer;
}

void pools_answer(struct pools *self, uint64_t ticket, uint64_t session, int family, const struct vd_error *err)
{
	const struct lease *l = err ? NULL : book_of_session(&self->book, session, family);
	const struct pool *pool = l ? pools_find(self, l->pool) : NULL;
	struct vd_leased_address answer;
	struct vd_error why;

	if (err) {
		vd_count("pool_local.not_saved", 1);
		vd_reply(ticket, VD_UNAVAILABLE, NULL, err);
	} else if (!pool) {
		if (l)
			vd_error_set(&why, -ESTALE, "pool %s is gone from the configuration", l->pool);
		else
			vd_error_set(&why, -ESTALE, "the session ended, or its first request for an address failed");
		vd_reply(ticket, VD_REJECT, NULL, &why);
	} else {
		answer = answer_of(pool, &l->address);
		vd_reply(ticket, VD_ACCEPT, &answer, NULL);
	}
}

static void grant(struct pools *self, const struct vd_ask *ask, struct pool *pool, const struct vd_ip *ip)
{
	const struct vd_lease_address *r = ask->data;
	struct lease *l;
	struct vd_error why;
	int ret = book_grant(&self->book, r->session, pool->name, r->user, ip);

	if (ret) {
		vd_error_set(&why, ret, "out of memory");
	} else if ((ret = writer_grant(self->writer, l = book_of_session(&self->book, r->session, ip->family), ask->ticket, &why))) {
		book_revoke(&self->book, l);
	}
	if (ret) {
		pools_unmark(self, ip);
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, &why);
		return;
	}
	vd_count("pool_local.leased", 1);
	if (!self->writer)
		pools_answer(self, ask->ticket, r->session, ip->family, NULL);
}

static void lease_wanted(struct pools *self, const struct vd_ask *ask, struct pool *pool)
{
	const struct vd_lease_address *r = ask->data;
	const struct lease *holder = book_holder(&self->book, &r->want);
	const struct vd_address_reserved *owner = reserve_find(&self->reserve, pool->name, &r->want, r->user);
	struct vd_error why = { 0 };
	char text[VD_IP_TEXT];
	size_t i;

	vd_ip_format(&r->want, text);
	if (owner && strcmp(owner->user, r->user) != 0)
		vd_error_set(&why, -EADDRINUSE, "%s belongs to %s (%s)", text, owner->user, owner->source);
	else if (holder)
		vd_error_set(&why, -EADDRINUSE, "%s is held by s-%" PRIu64 " (%s)", text, holder->session, holder->user);
	for (i = 0; i < self->n; i++)
		if (!why.code && pool_unusable(&self->v[i], &r->want))
			vd_error_set(&why, -EADDRNOTAVAIL, r->length ? "%s/64 cannot be a client's network: the gateway of pool %s is in "
				"it (%s)" : "%s cannot be a client's address: it ends in .0 or .255, or is the gateway of pool %s (%s)", text,
				self->v[i].name, self->v[i].origin);
	/* It may lie in the range of another pool: nobody else is to get it there. */
	for (i = 0; i < self->n && !why.code; i++)
		if (pool_mark(&self->v[i], &r->want, true))
			vd_error_set(&why, -ENOMEM, "out of memory");
	if (!why.code) {
		grant(self, ask, pool, &r->want);
		return;
	}
	vd_count("pool_local.refused", 1);
	vd_reply(ask->ticket, why.code == -ENOMEM ? VD_UNAVAILABLE : VD_REJECT, NULL, &why);
}

/* Addresses of this pool that wait for their user. Only for the reason of a refusal. */
static size_t reserved_idle(const struct pools *self, const struct pool *pool, int family, bool net)
{
	const struct reservation *one;
	size_t i, n = 0;

	for (i = 0; i < self->reserve.size; i++)
		for (one = self->reserve.slots[i]; one; one = one->chain)
			n += one->facts.address.family == family && pool_is_net(&one->facts.address) == net &&
			     pool_has(pool, &one->facts.address) && !book_holder(&self->book, &one->facts.address);
	return n;
}

/* An address that nobody holds, and if there is one nearby, that nobody had last: so that users find theirs again. */
static int take(struct pools *self, struct pool *pool, int family, bool net, struct vd_ip *ret_ip)
{
	struct vd_ip ip, second = { 0 };
	unsigned tries;
	int err = 0;

	for (tries = 0; tries < TAKE_TRIES; tries++) {
		/* What another pool with the same addresses has given away stays marked here as well. */
		do
			err = pool_take(pool, family, net, &ip);
		while (!err && book_holder(&self->book, &ip));
		if (err)
			break;
		if (!book_remembers(&self->book, &ip)) {
			if (second.family)
				pool_mark(pool, &second, false);
			*ret_ip = ip;
			return 0;
		}
		/* The one at the cursor has rested longest. */
		if (second.family)
			pool_mark(pool, &ip, false);
		else
			second = ip;
	}
	if (!second.family)
		return err;
	*ret_ip = second;
	return 0;
}

static void lease_any(struct pools *self, const struct vd_ask *ask, struct pool *pool, int family)
{
	const struct vd_lease_address *r = ask->data;
	const struct lease *last = r->user[0] ? book_last(&self->book, pool->name, r->user, family) : NULL;
	struct vd_error why = { 0 };
	bool net = r->length;
	char reserved[64] = "";
	uint64_t size, leased;
	struct vd_ip ip;
	size_t n;
	int err;

	if (last && pool_is_net(&last->address) == net && pool_is_free(pool, &last->address) && !book_holder(&self->book, &last->address)) {
		ip = last->address;
		err = pool_mark(pool, &ip, true);
	} else {
		err = take(self, pool, family, net, &ip);
	}
	if (!err) {
		grant(self, ask, pool, &ip);
		return;
	}
	vd_count("pool_local.refused", 1);
	pool_fill(pool, family, net, &size, &leased);
	n = reserved_idle(self, pool, family, net);
	if (n)
		vd_format(reserved, sizeof(reserved), " or reserved (%zu)", n);
	if (err == -ENOSPC)
		vd_error_set(&why, err, "pool %s is exhausted: %" PRIu64 " of its %" PRIu64 " %s are in use%s", pool->name,
			leased, size, net ? "networks" : "addresses", reserved);
	else if (err == -EAFNOSUPPORT && net)
		vd_error_set(&why, err, "pool %s has no prefix", pool->name);
	else if (err == -EAFNOSUPPORT)
		vd_error_set(&why, err, "pool %s has no IPv%d range", pool->name, family == AF_INET ? 4 : 6);
	else
		vd_error_set(&why, err, "out of memory");
	vd_strcpy(why.origin, sizeof(why.origin), pool->origin);
	vd_reply(ask->ticket, err == -ENOMEM ? VD_UNAVAILABLE : VD_REJECT, NULL, &why);
}

static void lease_address(void *arg, const struct vd_ask *ask)
{
	const struct vd_lease_address *r = ask->data;
	struct pools *self = arg;
	int family = r->family == 6 ? AF_INET6 : AF_INET;
	struct pool *pool = pools_find(self, r->pool);
	struct lease *held = book_of_session(&self->book, r->session, family);
	struct vd_error why;
	size_t i;

	for (i = 0; i < self->n && !pool && !r->pool[0] && r->want.family; i++)
		if (pool_has(&self->v[i], &r->want))
			pool = &self->v[i];
	if (!pool) {
		vd_reply(ask->ticket, VD_PASS, NULL, NULL);
	} else if (held && !strcmp(held->pool, pool->name) && (!r->want.family || vd_ip_equal(&r->want, &held->address))) {
		/* Asked again: the same answer. */
		if (!held->unsaved)
			pools_answer(self, ask->ticket, r->session, family, NULL);
		else if (writer_wait(self->writer, held, ask->ticket, &why))
			pools_answer(self, ask->ticket, r->session, family, &why);
	} else if (held || (r->want.family && (r->want.family != family || pool_is_net(&r->want) != (r->length != 0))) ||
		(r->length && (r->length != 64 || family != AF_INET6))) {
		vd_error_set(&why, -EINVAL, held ? "the session has an address already" : r->want.family == family ?
			"what is wanted is a network in place of an address, or the reverse" : r->want.family ?
			"the wanted address is of another family" : "networks are of IPv6 and have 64 bits");
		vd_reply(ask->ticket, VD_REJECT, NULL, &why);
	} else if (r->want.family) {
		lease_wanted(self, ask, pool);
	} else {
		lease_any(self, ask, pool, family);
	}
}

/* Of this family; 0: of any. */
static void end_leases(struct pools *self, uint64_t session, int family)
{
	struct vd_ip ip;
	struct lease *l;

	while ((l = book_of_session(&self->book, session, family))) {
		ip = l->address;
		writer_end(self->writer, l);
		book_end(&self->book, l);
		pools_unmark(self, &ip);
		vd_count("pool_local.freed", 1);
	}
	pools_told_release(self, false);
}

static void session_gone(void *arg, const void *event)
{
	const struct vd_session_gone *e = event;

	end_leases(arg, e->session, 0);
}

static void lease_returned(void *arg, const void *event)
{
	const struct vd_lease_returned *e = event;

	end_leases(arg, e->session, e->family == 6 ? AF_INET6 : AF_INET);
}

static void address_reserved(void *arg, const void *event)
{
	const struct vd_address_reserved *e = event;
	struct pools *self = arg;
	const struct lease *holder = book_holder(&self->book, &e->address);
	char text[VD_IP_TEXT];
	size_t i;
	int ret = reserve_add(&self->reserve, e);

	vd_ip_format(&e->address, text);
	for (i = 0; i < self->n && !ret; i++)
		if (reserve_find(&self->reserve, self->v[i].name, &e->address, e->user))
			ret = pool_mark(&self->v[i], &e->address, true);
	if (ret)
		vd_log(VD_LOG_ERROR, "pool", NULL, "out of memory: %s is not reserved for %s (%s)", text, e->user, e->source);
	else if (holder && strcmp(holder->user, e->user) != 0)
		vd_log(VD_LOG_NOTICE, "pool", &(struct vd_ids){ .session = holder->session },
			"%s belongs to %s (%s) from now on, but %s has it until the session ends", text, e->user, e->source,
			holder->user);
}

static void address_released(void *arg, const void *event)
{
	const struct vd_address_released *e = event;
	struct vd_address_reserved facts = { .address = e->address };
	struct pools *self = arg;

	vd_strcpy(facts.pool, sizeof(facts.pool), e->pool);
	vd_strcpy(facts.user, sizeof(facts.user), e->user);
	vd_strcpy(facts.source, sizeof(facts.source), e->source);
	if (reserve_remove(&self->reserve, &facts))
		pools_unmark(self, &e->address);
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct pools *self = calloc(1, sizeof(*self));
	int ret;

	if (!self || book_init(&self->book)) {
		free(self);
		return vd_error_set(err, -ENOMEM, "out of memory");
	}
	ret = read_all(&self->v, &self->n, err);
	if (!ret) {
		if ((ret = vd_provide(host, "lease_address", "pool", lease_address, NULL, self)) ||
			(ret = vd_event_subscribe(host, "session_gone", session_gone, self)) ||
			(ret = vd_event_subscribe(host, "lease_returned", lease_returned, self)) ||
			(ret = vd_event_subscribe(host, "address_reserved", address_reserved, self)) ||
			(ret = vd_event_subscribe(host, "address_released", address_released, self)) ||
			(ret = vd_layer_register(host, &pool_layer, self)))
			vd_error_set(err, ret, "cannot register with the core");
	}
	if (ret) {
		drop(self->v, self->n);
		book_clear(&self->book);
		free(self);
		return ret;
	}
	*ret_self = self;
	return 0;
}

static int start(void *arg, struct vd_error *err)
{
	struct pools *self = arg;
	int ret = vd_state_dir() ? writer_open(self, vd_state_dir(), err) : 0;

	if (!ret)
		pools_tell(self);
	return ret;
}

/* What a fresh pool must not lease. */
static int mark_all(const struct pools *self, struct pool *pool)
{
	const struct reservation *one;
	const struct lease *l;
	int ret = 0;
	size_t i;

	for (l = self->book.active.head; l; l = l->next)
		ret |= pool_mark(pool, &l->address, true);
	for (i = 0; i < self->reserve.size; i++)
		for (one = self->reserve.slots[i]; one; one = one->chain)
			if (!one->facts.pool[0] || !strcmp(one->facts.pool, pool->name))
				ret |= pool_mark(pool, &one->facts.address, true);
	return ret;
}

/* A pool that stays as it is is not announced again; sessions keep their addresses in any case. */
static void reload(void *arg)
{
	struct pools *self = arg;
	struct pool *v, *old;
	struct vd_error err;
	size_t n, i, k;

	if (read_all(&v, &n, &err)) {
		vd_log(VD_LOG_ERROR, "pool", NULL, "the pools stay as they were: %s", err.text);
		return;
	}
	for (k = 0; k < n; k++) {
		old = pools_find(self, v[k].name);
		for (i = 0; old && i < v[k].n_ranges && pool_same(&v[k], old); i++)
			v[k].ranges[i].cursor = old->ranges[i].cursor;
	}
	drop(self->v, self->n);
	self->v = v;
	self->n = n;
	for (k = 0; k < n; k++)
		if (mark_all(self, &v[k]))
			vd_log(VD_LOG_ERROR, "pool", NULL, "out of memory while reading pool %s again", v[k].name);
	pools_tell(self);
}

/* Who has an address that its pool would not have any more keeps it; the plan says how many those are. */
static int check(void *arg, struct vd_plan *plan, struct vd_error *err)
{
	struct pools *self = arg, next = { 0 };
	char object[VD_NAME_MAX + 8];
	const struct lease *l;
	size_t i, n;
	int ret = pools_judge(&next.v, &next.n, err);

	if (ret) {
		drop(next.v, next.n);
		return ret;
	}
	for (i = 0; self && i < self->n; i++) {
		const struct pool *pool = pools_find(&next, self->v[i].name);

		n = 0;
		for (l = self->book.active.head; l; l = l->next)
			n += !strcmp(l->pool, self->v[i].name) && (!pool || !pool_has(pool, &l->address));
		vd_format(object, sizeof(object), "pools.%s", self->v[i].name);
		if (n)
			vd_plan_note(plan, object, "%zu session%s an address that is not in it any more", n,
				n > 1 ? "s keep" : " keeps");
	}
	drop(next.v, next.n);
	return 0;
}

static void stop(void *arg)
{
	pools_told_release(arg, true);
}

static void fini(void *arg)
{
	struct pools *self = arg;

	writer_close(self->writer);
	drop(self->v, self->n);
	book_clear(&self->book);
	reserve_clear(&self->reserve);
	pools_told_forget(self);
	free(self);
}

static const char *const provides[] = { "lease_address/pool", NULL };

static const struct vd_log_area log_areas[] = {
	{ "pool", "addresses that are leased, and the file that keeps them" },
	{ NULL, NULL },
};

VD_PLUGIN(pool_local, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "pools of addresses, kept in a file",
	.provides = provides, .schema = schema, .init = init, .start = start, .reload = reload, .check = check, .stop = stop, .fini = fini);
