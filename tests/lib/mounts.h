/* Mounts of a test's own. */
#ifndef TESTS_LIB_MOUNTS_H
#define TESTS_LIB_MOUNTS_H

#include <stdbool.h>

/* Gives the process a mount namespace whose mounts stay in it. False with a line "SKIP WHAT: reason" on standard output: it
 * may not have one, or / is no mount point, as in a chroot, so that what is mounted could reach the host. */
bool mounts_of_our_own(const char *what);
/* The same in a child that ends: whether it would work. */
bool mounts_possible(const char *what);

#endif
