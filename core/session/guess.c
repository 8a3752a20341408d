/* Wrong passwords: how many came from a source network, for a user, and for a user from one source. They are forgotten one by
 * one. The table is of fixed size and its hash is keyed; the entry longest unused makes room. */
#include "core/session/guess.h"

#include <viaduct/loop.h>

#include <string.h>

#include "core/system/source.h"
#include "core/table.h"

#define SETS 1024
#define WAYS 4
#define ONE 1000u /* a wrong proof, in thousandths */
#define FORGET_MS 10000u /* one, of a source that is no known one */
#define FREE_WRONG 3u  /* answered at once */
#define HELD_MS 250u   /* the next; twice as long each time */
#define HELD_MAX_MS 4000u /* before clients take the gateway for dead */
#define OF_USER 10u    /* from one source, then they are not looked at */
#define OF_SOURCE 20u  /* of all users together, and two for each place that it keeps */
#define OF_PLACE 2u
#define EVERYWHERE 20u /* for one user: from then on strangers are held up, and refused never */
#define TELL_MS 60000u

struct guess {
	uint64_t key; /* 0: free */
	uint64_t at;  /* when some were last forgotten */
	uint64_t right, told; /* when; 0: never */
	uint32_t wrong; /* in thousandths */
};
static struct guess table[SETS][WAYS];
static uint8_t secret[16];
static bool ready;

void vd_guess_reset(void)
{
	memset(table, 0, sizeof(table));
	vd_random(secret, sizeof(secret));
	ready = true;
}

/* make: one that is not there takes the place of the one longest unused of its set; else NULL. */
static struct guess *look(const struct vd_ip *source, uint64_t user, uint32_t places, bool make)
{
	uint8_t who[VD_SOURCE_KEY + 8] = { 0 };
	uint64_t key, gone;
	struct guess *set, *g;

	if (!ready)
		vd_guess_reset();
	if (source)
		vd_source_key(source, who);
	memcpy(who + VD_SOURCE_KEY, &user, 8);
	key = vd_siphash(secret, who, sizeof(who)) | 1;
	set = table[(key >> 1) % SETS];
	g = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			g = &set[i];
			break;
		}
		if (set[i].at < g->at)
			g = &set[i];
	}
	if (g->key != key && !make)
		return NULL;
	if (g->key != key)
		*g = (struct guess){ .key = key, .at = vd_now() };
	gone = (vd_now() - g->at) * (10 + places) * ONE / 10 / FORGET_MS;
	g->wrong = gone < g->wrong ? g->wrong - (uint32_t)gone : 0;
	if (gone)
		g->at = vd_now();
	return g;
}

static struct guess *of(const struct vd_ip *source, uint64_t user, uint32_t places)
{
	return look(source, user, places, true);
}

static bool right_here(const struct guess *g)
{
	return g && g->right && vd_now() - g->right <= VD_SOURCE_DAY;
}

static uint64_t until(const struct guess *g, uint32_t most, uint32_t places)
{
	if (!g || g->wrong <= (most - 1) * ONE)
		return 0;
	return (uint64_t)(g->wrong - (most - 1) * ONE) * FORGET_MS * 10 / (10 + places) / ONE + 1;
}

uint64_t vd_guess_wait(const struct vd_ip *source, uint64_t user)
{
	uint32_t places = vd_known_places(source);
	/* Names that are only claimed push out nothing: it is remembered what was wrong, or right. */
	const struct guess *pair = look(source, user, 0, false);
	uint64_t wait = until(pair, OF_USER, 0);
	bool known = right_here(pair);

	return wait || known ? wait : until(look(source, 0, places, false), OF_SOURCE + OF_PLACE * places, places);
}

static uint64_t held(uint32_t wrong, uint32_t free_)
{
	uint64_t ms = HELD_MS;

	if (wrong <= free_ * ONE)
		return 0;
	for (uint32_t n = (wrong - free_ * ONE) / ONE; n > 1 && ms < HELD_MAX_MS; n--)
		ms *= 2;
	return ms < HELD_MAX_MS ? ms : HELD_MAX_MS;
}

uint64_t vd_guess_wrong(const struct vd_ip *source, uint64_t user)
{
	uint32_t places = vd_known_places(source), here, wrong;
	struct guess *g = of(source, user, 0);
	bool known = right_here(g);
	uint64_t ms, more;

	g->wrong += ONE;
	here = g->wrong;
	g = of(source, 0, places);
	g->wrong += ONE;
	wrong = places || known || here > g->wrong ? here : g->wrong;
	ms = held(wrong, FREE_WRONG);
	g = of(NULL, user, 0);
	g->wrong += g->wrong < 1000 * ONE ? ONE : 0;
	more = known ? 0 : held(g->wrong, EVERYWHERE);
	return ms > more ? ms : more;
}

void vd_guess_right(const struct vd_ip *source, uint64_t user)
{
	struct guess *g = of(source, user, 0);

	g->right = vd_now() ? vd_now() : 1;
	g->wrong = 0;
}

bool vd_guess_tell(const struct vd_ip *source)
{
	struct guess *g = of(source, 0, vd_known_places(source));

	if (g->told && vd_now() - g->told < TELL_MS)
		return false;
	g->told = vd_now() ? vd_now() : 1;
	return true;
}
