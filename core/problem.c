/* Conditions that somebody has to mend, by key, in the order in which they began. */
#include "core/problem.h"

#include <stdio.h>
#include <string.h>

#include <viaduct/loop.h>

#define PROBLEMS_MAX 32

struct problem {
	char key[64], text[320];
	uint64_t since;
};
static struct problem problems[PROBLEMS_MAX];
static unsigned n_problems;
static bool more;

static struct problem *find(const char *key)
{
	for (unsigned i = 0; i < n_problems; i++)
		if (!strncmp(problems[i].key, key, sizeof(problems[i].key) - 1))
			return &problems[i];
	return NULL;
}

void vd_problem_set(const char *key, const char *fmt, ...)
{
	struct problem *p = find(key);
	va_list ap;

	if (!p && n_problems == PROBLEMS_MAX) {
		more = true;
		return;
	}
	if (!p) {
		p = &problems[n_problems++];
		vd_strcpy(p->key, sizeof(p->key), key);
		p->since = vd_now();
	}
	va_start(ap, fmt);
	if (vsnprintf(p->text, sizeof(p->text), fmt, ap) < 0)
		p->text[0] = '\0';
	va_end(ap);
}

void vd_problem_clear(const char *key)
{
	struct problem *p = find(key);

	if (!p)
		return;
	n_problems--;
	memmove(p, p + 1, (size_t)(problems + n_problems - p) * sizeof(*p));
	more = false; /* those that still hold are set again when they are looked at next, and now there is room */
}

void vd_problems_each(void (*fn)(void *arg, const char *key, const char *text, uint64_t since), void *arg)
{
	for (unsigned i = 0; i < n_problems; i++)
		fn(arg, problems[i].key, problems[i].text, problems[i].since);
}

bool vd_problems_more(void)
{
	return more;
}

void vd_problems_reset(void)
{
	n_problems = 0;
	more = false;
}
