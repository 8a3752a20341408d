/* Work budgets: token buckets per source network, per user and for the whole daemon, asked before expensive work. The
 * table is of fixed size and its hash is keyed, so that nobody can aim at somebody else's bucket or make it grow. */
#include "core/system/work.h"

#include <viaduct/loop.h>

#include <string.h>
#include <sys/socket.h>

#include "core/table.h"

#define SETS 512
#define WAYS 8
#define UNIT 1000 /* a bucket counts in thousandths, so that a rate per second is added per millisecond */

/* Units per second, and at once. "Source" has to carry an office behind one NAT whose clients all return after an
 * outage (200 at once), "user" is one person with a few devices and typing errors, "daemon" keeps this work near a
 * quarter of one core: an exchange with a 2048-bit group costs about 0.6 ms, an RSA signature about as much, a password
 * check little but often a question to a server, and new state a few microseconds and some kilobytes. */
static const struct rate { uint32_t per_s, burst; } rates[3][VD_COST_MAX] = {
	{ [VD_COST_DH] = { 50, 200 }, [VD_COST_SIGNATURE] = { 50, 200 }, [VD_COST_AUTH] = { 50, 200 },
	  [VD_COST_STATE] = { 100, 400 } },
	{ [VD_COST_DH] = { 5, 20 }, [VD_COST_SIGNATURE] = { 5, 20 }, [VD_COST_AUTH] = { 1, 20 }, [VD_COST_STATE] = { 5, 20 } },
	{ [VD_COST_DH] = { 400, 1200 }, [VD_COST_SIGNATURE] = { 400, 1200 }, [VD_COST_AUTH] = { 500, 2000 },
	  [VD_COST_STATE] = { 2000, 8000 } },
};
enum { SCOPE_SOURCE, SCOPE_USER, SCOPE_DAEMON };

struct bucket {
	uint64_t key; /* keyed hash of who; 0: free */
	uint64_t at;  /* when tokens were last added, ms */
	uint32_t tokens[VD_COST_MAX];
};

static struct bucket table[SETS][WAYS], daemon_bucket;
static uint8_t hash_key[3][16]; /* one for each scope, so that the same octets are somebody else there */
static bool ready;

static void fill(struct bucket *b, unsigned scope, uint64_t now)
{
	uint64_t passed = now - b->at;

	if (b->at > now || passed > 3600 * UNIT)
		passed = 3600 * UNIT; /* longer than any bucket takes to fill; also keeps the product small */
	for (unsigned i = 0; i < VD_COST_MAX; i++) {
		uint64_t tokens = b->tokens[i] + passed * rates[scope][i].per_s, most = (uint64_t)rates[scope][i].burst * UNIT;

		b->tokens[i] = (uint32_t)(tokens < most ? tokens : most);
	}
	b->at = now;
}

/* The bucket of that key, filled up to now; a new one takes the place of the one longest unused in its set. */
static struct bucket *bucket_of(unsigned scope, const void *who, size_t len, uint64_t now)
{
	uint64_t key = vd_siphash(hash_key[scope], who, len) | 1;
	struct bucket *set = table[(key >> 1) % SETS], *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			fill(&set[i], scope, now);
			return &set[i];
		}
		if (set[i].at < oldest->at)
			oldest = &set[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	oldest->key = key;
	for (unsigned i = 0; i < VD_COST_MAX; i++)
		oldest->tokens[i] = rates[scope][i].burst * UNIT;
	oldest->at = now;
	return oldest;
}

void vd_budget_reset(void)
{
	memset(table, 0, sizeof(table));
	vd_random(hash_key, sizeof(hash_key));
	for (unsigned i = 0; i < VD_COST_MAX; i++)
		daemon_bucket.tokens[i] = rates[SCOPE_DAEMON][i].burst * UNIT;
	daemon_bucket.at = vd_now();
	ready = true;
}

bool vd_budget_take(enum vd_cost cost, const struct vd_ip *source, const char *user)
{
	uint64_t now = vd_now();
	struct bucket *of[3];
	unsigned n = 0;

	if (cost >= VD_COST_MAX)
		return false;
	if (!ready)
		vd_budget_reset();
	fill(&daemon_bucket, SCOPE_DAEMON, now);
	of[n++] = &daemon_bucket;
	if (source && source->family != 0) {
		uint8_t who[10] = { source->family == AF_INET ? 4 : 6 }; /* /32, or /64: one subscriber has a whole one */

		memcpy(who + 1, source->a, source->family == AF_INET ? 4 : 8);
		of[n++] = bucket_of(SCOPE_SOURCE, who, sizeof(who), now);
	}
	if (user && *user)
		of[n++] = bucket_of(SCOPE_USER, user, strlen(user), now);
	for (unsigned i = 0; i < n; i++)
		if (of[i]->tokens[cost] < UNIT)
			return false; /* and nobody pays */
	for (unsigned i = 0; i < n; i++)
		of[i]->tokens[cost] -= UNIT;
	return true;
}
