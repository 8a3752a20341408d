/* The user that root's daemon becomes: without it no configuration of root's is right. tools/test makes it. */
#ifndef TESTS_LIB_USER_H
#define TESTS_LIB_USER_H

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* False with a line "SKIP WHAT: reason" on standard output: we are root, and there is no such user. */
static inline bool user_there(const char *what)
{
	if (geteuid() != 0 || getpwnam("viaduct") != NULL)
		return true;
	printf("SKIP %s: there is no user viaduct; tools/test makes it, or run: useradd --system viaduct\n", what);
	return false;
}

#endif
