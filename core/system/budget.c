/* Work budgets: token buckets, asked before expensive work. Three pools for the whole daemon, one for each standing, so that
 * what one kind of asker uses up is never another kind's; in them buckets for each source network and each user. How fast
 * all of them fill follows what the pool of threads was measured to do. The tables are of fixed size and their hash is keyed,
 * so that nobody can aim at somebody else's bucket or make them grow. */
#include "core/system/work.h"

#include <viaduct/loop.h>

#include <string.h>

#include "core/system/source.h"
#include "core/table.h"

#define SETS 512
#define WAYS 8
#define UNIT 1000 /* a bucket counts in thousandths, so that a rate per second is added per millisecond */

/* Before the first measurement: one exchange takes 0.6 ms of one thread. */
#define ASSUMED_NS 625000u
#define CAPACITY_MIN 16u /* units a second: slower, nobody would ever get in */
#define CAPACITY_MAX 100000u

/* Of what the machine can do; the last quarter is for established peers, who do not ask here for what they renew. What a pool
 * does not need, because it is full, goes to those who answered. */
static const unsigned eighths[] = {
	[VD_STANDING_FORGEABLE] = 1, [VD_STANDING_ANSWERED] = 2, [VD_STANDING_KNOWN] = 3,
};
#define POOLS VD_ARRAY_SIZE(eighths)
#define ALL_EIGHTHS 6

/* Password checks and signatures are one for each exchange, or fewer; new state costs next to no time. */
static const unsigned weight[VD_COST_MAX] = {
	[VD_COST_DH] = 1, [VD_COST_SIGNATURE] = 1, [VD_COST_AUTH] = 1, [VD_COST_STATE] = 4,
};

/* While more than half of the pool is left nobody is slowed down: an office comes back as fast as the machine can take it.
 * When it is busy, a source has an eighth of what those who answered share, and four seconds of that at once. */
#define SOURCE_PART 8
#define SOURCE_SECONDS 4
#define BURST_MIN 64 /* the dearest exchange must fit in */
/* A user: one person with a few devices and typing errors. */
static const struct rate { uint32_t per_s, burst; } user_rates[VD_COST_MAX] = {
	[VD_COST_DH] = { 5, 20 }, [VD_COST_SIGNATURE] = { 5, 20 }, [VD_COST_AUTH] = { 1, 20 }, [VD_COST_STATE] = { 5, 20 },
};
/* A known source has this beyond what strangers have: for each of its places, what a client needs to come back. */
#define PLACE_PER_S 1
#define PLACE_BURST 8
#define PLACES_MAX 60000u
enum { SCOPE_SOURCE, SCOPE_KNOWN, SCOPE_USER, SCOPES };

struct bucket {
	uint64_t key; /* keyed hash of who; 0: free */
	uint64_t at;  /* when tokens were last added, ms */
	uint32_t tokens[VD_COST_MAX];
};

static struct bucket table[SETS][WAYS], pools[POOLS];
static uint8_t hash_key[SCOPES][16]; /* one for each scope, so that the same octets are somebody else there */
static bool ready;
static uint64_t unit_ns = ASSUMED_NS;
static unsigned threads = 1;

unsigned vd_budget_capacity(void)
{
	uint64_t n = threads * UINT64_C(1000000000) / unit_ns;

	return n < CAPACITY_MIN ? CAPACITY_MIN : n > CAPACITY_MAX ? CAPACITY_MAX : (unsigned)n;
}

void vd_budget_measured(unsigned units, uint64_t ns, unsigned n)
{
	uint64_t one = ns / units, part = units < 16 ? units : 16;

	threads = n ? n : 1;
	/* A thread that had to wait once says little about the next one; a machine that stays slow is believed all the same. */
	one = one > 4 * unit_ns ? 4 * unit_ns : one ? one : 1;
	unit_ns = (unit_ns * (64 - part) + one * part) / 64;
	if (!unit_ns)
		unit_ns = 1;
}

static struct rate pool_rate(unsigned pool, enum vd_cost cost)
{
	uint32_t all = vd_budget_capacity() * weight[cost];
	uint32_t per_s = all * eighths[pool] / 8;

	/* A second's worth; of all there may be where a pool gets what the others leave. */
	uint32_t burst = pool == VD_STANDING_ANSWERED ? all * ALL_EIGHTHS / 8 : per_s;

	return (struct rate){ per_s ? per_s : 1, burst < BURST_MIN ? BURST_MIN : burst };
}

static struct rate source_rate(enum vd_cost cost)
{
	uint32_t per_s = pool_rate(VD_STANDING_ANSWERED, cost).per_s / SOURCE_PART, burst;

	per_s = per_s ? per_s : 1;
	burst = per_s * SOURCE_SECONDS;
	return (struct rate){ per_s, burst < BURST_MIN ? BURST_MIN : burst };
}

static uint64_t passed(const struct bucket *b, uint64_t now)
{
	/* Longer than any bucket takes to fill; also keeps the product small. */
	return b->at > now || now - b->at > 3600 * UNIT ? 3600 * UNIT : now - b->at;
}

/* What does not fit. */
static uint64_t add(uint32_t *tokens, uint64_t more, uint32_t burst)
{
	uint64_t sum = *tokens + more, most = (uint64_t)burst * UNIT;

	*tokens = (uint32_t)(sum < most ? sum : most);
	return sum < most ? 0 : sum - most;
}

static void pools_fill(uint64_t now)
{
	for (unsigned c = 0; c < VD_COST_MAX; c++) {
		uint64_t left = 0;

		for (unsigned i = 0; i < POOLS; i++) {
			struct rate r = pool_rate(i, c);

			left += add(&pools[i].tokens[c], passed(&pools[i], now) * r.per_s, r.burst);
		}
		add(&pools[VD_STANDING_ANSWERED].tokens[c], left, pool_rate(VD_STANDING_ANSWERED, c).burst);
	}
	for (unsigned i = 0; i < POOLS; i++)
		pools[i].at = now;
}

static struct rate rate_of(unsigned scope, enum vd_cost cost, uint32_t places)
{
	places = places < PLACES_MAX ? places : PLACES_MAX;
	if (scope == SCOPE_KNOWN)
		return (struct rate){ PLACE_PER_S * places * weight[cost], PLACE_BURST * places * weight[cost] };
	return scope == SCOPE_USER ? user_rates[cost] : source_rate(cost);
}

/* The bucket of that key, filled up to now; a new one takes the place of the one longest unused in its set. */
static struct bucket *bucket_of(unsigned scope, const void *who, size_t len, uint32_t places, uint64_t now)
{
	uint64_t key = vd_siphash(hash_key[scope], who, len) | 1;
	struct bucket *set = table[(key >> 1) % SETS], *b = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			b = &set[i];
			break;
		}
		if (set[i].at < b->at)
			b = &set[i];
	}
	if (b->key != key) {
		memset(b, 0, sizeof(*b));
		b->key = key;
		b->at = UINT64_MAX; /* filled at once */
	}
	for (unsigned c = 0; c < VD_COST_MAX; c++) {
		struct rate r = rate_of(scope, c, places);

		add(&b->tokens[c], passed(b, now) * r.per_s, r.burst);
	}
	b->at = now;
	return b;
}

void vd_budget_reset(void)
{
	memset(table, 0, sizeof(table));
	vd_random(hash_key, sizeof(hash_key));
	unit_ns = ASSUMED_NS;
	threads = 1;
	memset(pools, 0, sizeof(pools));
	for (unsigned i = 0; i < POOLS; i++)
		pools[i].at = UINT64_MAX;
	pools_fill(vd_now());
	ready = true;
}

/* Its bucket, or as if it had none while the pool has more than half. */
static bool source_pays(enum vd_cost cost, uint32_t price, const uint8_t who[VD_SOURCE_KEY], const struct bucket *pool, uint64_t now)
{
	struct bucket *own = bucket_of(SCOPE_SOURCE, who, VD_SOURCE_KEY, 0, now);

	if (own->tokens[cost] >= price) {
		own->tokens[cost] -= price;
		return true;
	}
	return pool->tokens[cost] / UNIT > pool_rate(VD_STANDING_ANSWERED, cost).burst / 2;
}

/* What its places give a known source. That pool empty, it takes as much from where strangers do, and is not held up there. */
static struct bucket *known_pays(enum vd_cost cost, uint32_t price, const uint8_t who[VD_SOURCE_KEY], uint32_t places, uint64_t now)
{
	struct bucket *own = bucket_of(SCOPE_KNOWN, who, VD_SOURCE_KEY, places, now);
	struct bucket *pool = &pools[VD_STANDING_KNOWN];

	if (own->tokens[cost] < price)
		return NULL;
	if (pool->tokens[cost] < price)
		pool = &pools[VD_STANDING_ANSWERED];
	if (pool->tokens[cost] < price)
		return NULL;
	own->tokens[cost] -= price;
	return pool;
}

/* The pool that pays for it, the source's own part having been paid; NULL: nobody does. */
static struct bucket *payer(enum vd_cost cost, uint32_t price, const struct vd_budget_from *from, uint64_t now)
{
	struct bucket *pool = &pools[from->standing], *known;
	uint8_t who[VD_SOURCE_KEY];
	uint32_t places;

	if (from->standing == VD_STANDING_FORGEABLE || !from->source || !from->source->family)
		return pool->tokens[cost] < price ? NULL : pool;
	vd_source_key(from->source, who);
	places = vd_known_places(from->source);
	if (!places && from->standing == VD_STANDING_KNOWN)
		places = 1;
	known = places ? known_pays(cost, price, who, places, now) : NULL;
	if (known)
		return known;
	pool = &pools[VD_STANDING_ANSWERED];
	return pool->tokens[cost] < price || !source_pays(cost, price, who, pool, now) ? NULL : pool;
}

bool vd_budget_take(enum vd_cost cost, unsigned units, const struct vd_budget_from *from)
{
	uint64_t now = vd_now();
	struct bucket *pool, *user = NULL;
	uint32_t price;

	if (cost >= VD_COST_MAX || !units || units > UINT16_MAX || from->standing >= POOLS)
		return false;
	if (!ready)
		vd_budget_reset();
	price = units * UNIT;
	pools_fill(now);
	if (from->user && *from->user) {
		user = bucket_of(SCOPE_USER, from->user, strlen(from->user), 0, now);
		if (user->tokens[cost] < price)
			return false;
	}
	pool = payer(cost, price, from, now);
	if (!pool)
		return false;
	pool->tokens[cost] -= price;
	if (user)
		user->tokens[cost] -= price;
	return true;
}
