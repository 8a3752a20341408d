/* Addresses that belong to one user. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/loop.h>

/* FNV-1a from a random start. */
static size_t hash_of(const struct reserve *r, const struct vd_ip *ip)
{
	uint64_t h = r->seed;
	size_t i;

	for (i = 0; i < sizeof(ip->a); i++)
		h = (h ^ ip->a[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 29) & (r->size - 1);
}

static struct reservation **place(const struct reserve *r, const struct vd_address_reserved *facts)
{
	struct reservation **at;

	for (at = &r->slots[hash_of(r, &facts->address)]; *at; at = &(*at)->chain)
		if (vd_ip_equal(&(*at)->facts.address, &facts->address) && !strcmp((*at)->facts.pool, facts->pool) &&
			!strcmp((*at)->facts.user, facts->user) && !strcmp((*at)->facts.source, facts->source))
			break;
	return at;
}

static int grow(struct reserve *r)
{
	struct reserve bigger = { .size = r->size ? r->size * 2 : 64, .n = r->n, .seed = r->seed };
	struct reservation *one, *next;
	size_t i, k;

	if (r->n < r->size)
		return 0;
	if (!r->size)
		vd_random_seen("pool", &bigger.seed, sizeof(bigger.seed));
	bigger.slots = calloc(bigger.size, sizeof(struct reservation *));
	if (!bigger.slots)
		return -ENOMEM;
	for (i = 0; i < r->size; i++) {
		for (one = r->slots[i]; one; one = next) {
			next = one->chain;
			k = hash_of(&bigger, &one->facts.address);
			one->chain = bigger.slots[k];
			bigger.slots[k] = one;
		}
	}
	free(r->slots);
	*r = bigger;
	return 0;
}

int reserve_add(struct reserve *r, const struct vd_address_reserved *facts)
{
	struct reservation **at;

	if (grow(r))
		return -ENOMEM;
	at = place(r, facts);
	if (*at)
		return 0;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return -ENOMEM;
	(*at)->facts = *facts;
	r->n++;
	return 0;
}

bool reserve_remove(struct reserve *r, const struct vd_address_reserved *facts)
{
	struct reservation **at = r->size ? place(r, facts) : NULL, *one = at ? *at : NULL;

	if (!one)
		return false;
	*at = one->chain;
	free(one);
	r->n--;
	return true;
}

const struct vd_address_reserved *reserve_find(const struct reserve *r, const char *pool,
	const struct vd_ip *address, const char *user)
{
	const struct reservation *one, *found = NULL;

	for (one = r->size ? r->slots[hash_of(r, address)] : NULL; one; one = one->chain) {
		if (!vd_ip_equal(&one->facts.address, address) || (one->facts.pool[0] && strcmp(one->facts.pool, pool) != 0))
			continue;
		if (!strcmp(one->facts.user, user))
			return &one->facts;
		found = one;
	}
	return found ? &found->facts : NULL;
}

void reserve_clear(struct reserve *r)
{
	struct reservation *one;
	size_t i;

	for (i = 0; i < r->size; i++) {
		while ((one = r->slots[i])) {
			r->slots[i] = one->chain;
			free(one);
		}
	}
	free(r->slots);
	memset(r, 0, sizeof(*r));
}
