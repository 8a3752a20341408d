/* The list behind include/viaduct/problem.h. Control thread. */
#ifndef CORE_PROBLEM_H
#define CORE_PROBLEM_H

#include <viaduct/problem.h>

/* The oldest first; since is vd_now() of the first vd_problem_set(). */
void vd_problems_each(void (*fn)(void *arg, const char *key, const char *text, uint64_t since), void *arg);
/* Was one left out because the list was full? No more as soon as one goes. */
bool vd_problems_more(void);
void vd_problems_reset(void);

#endif
