/* What the others were told of the pools: their ranges are routed to us, and masqueraded. A range that has gone from the
 * configuration stays so for as long as somebody has an address of it. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/log.h>

struct pool_told {
	struct pool_told *next;
	struct vd_pool_up facts;
	bool wanted; /* it is in the configuration */
};

static void post(const struct vd_pool_up *facts, bool up)
{
	struct vd_pool_down down = { .first = facts->first, .last = facts->last, .gateway = facts->gateway };
	int err;

	vd_strcpy(down.pool, sizeof(down.pool), facts->pool);
	err = up ? vd_event_post(&vd_topic_pool_up, facts) : vd_event_post(&vd_topic_pool_down, &down);
	if (err)
		vd_log(VD_LOG_ERROR, "pool", NULL, "cannot tell the others of pool %s: %s", facts->pool, strerror(-err));
}

static bool within(const struct vd_pool_up *facts, const struct vd_ip *ip)
{
	return ip->family == facts->first.family && vd_ip_cmp(&facts->first, ip) <= 0 && vd_ip_cmp(ip, &facts->last) <= 0;
}

static bool same(const struct vd_pool_up *a, const struct vd_pool_up *b)
{
	return !strcmp(a->pool, b->pool) && vd_ip_equal(&a->first, &b->first) && vd_ip_equal(&a->last, &b->last) &&
	       vd_ip_equal(&a->gateway, &b->gateway);
}

/* Is there an address that would lose its route, or our address behind it? */
static bool in_use(const struct pools *self, const struct pool_told *t)
{
	const struct pool_told *other;
	const struct lease *l;

	for (l = self->book.active.head; l; l = l->next) {
		if (strcmp(l->pool, t->facts.pool) != 0 || !within(&t->facts, &l->address))
			continue;
		for (other = self->told; other; other = other->next)
			if (other->wanted && within(&other->facts, &l->address) &&
				vd_ip_equal(&other->facts.gateway, &t->facts.gateway))
				break;
		if (!other)
			return true;
	}
	return false;
}

static void tell(struct pools *self, const struct vd_pool_up *facts)
{
	struct pool_told *t;

	for (t = self->told; t; t = t->next)
		if (same(&t->facts, facts))
			break;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t) {
			vd_log(VD_LOG_ERROR, "pool", NULL, "cannot tell the others of pool %s: %s", facts->pool, strerror(ENOMEM));
			return;
		}
		t->facts = *facts;
		t->next = self->told;
		self->told = t;
		self->n_idle++; /* until it is wanted, a few lines on */
		post(facts, true);
	}
	self->n_idle -= !t->wanted;
	t->wanted = true;
}

void pools_told_release(struct pools *self, bool all)
{
	struct pool_told *t, **at;

	if (!all && !self->n_idle)
		return;
	for (at = &self->told; (t = *at);) {
		if (!all && (t->wanted || in_use(self, t))) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		self->n_idle -= !t->wanted;
		post(&t->facts, false);
		free(t);
	}
}

void pools_tell(struct pools *self)
{
	struct vd_pool_up facts;
	struct pool_told *t;
	size_t i;
	unsigned k;

	for (t = self->told; t; t = t->next) {
		self->n_idle += t->wanted;
		t->wanted = false;
	}
	/* The new ones first: what is in both is never without. */
	for (i = 0; i < self->n; i++) {
		for (k = 0; k < self->v[i].n_ranges; k++) {
			memset(&facts, 0, sizeof(facts));
			vd_strcpy(facts.pool, sizeof(facts.pool), self->v[i].name);
			facts.first = self->v[i].ranges[k].first;
			facts.last = self->v[i].ranges[k].last;
			facts.gateway = *pool_gateway(&self->v[i], facts.first.family);
			tell(self, &facts);
		}
	}
	pools_told_release(self, false);
}

void pools_told_forget(struct pools *self)
{
	struct pool_told *t;

	while ((t = self->told)) {
		self->told = t->next;
		free(t);
	}
	self->n_idle = 0;
}
