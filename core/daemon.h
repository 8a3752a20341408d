/* What programs call: the daemon's life, from the command line to its exit status, and the check of a plugin. */
#ifndef CORE_DAEMON_H
#define CORE_DAEMON_H

#include <viaduct/base.h>

/* Returns the exit status: 0 well ended, 1 failed while running, 2 wrong command line or configuration. */
VD_API int vd_daemon_main(int argc, char **argv);

/* For viaductctl: opens a plugin's file in a process of its own, checks it as the daemon would, and prints the result. Exit
 * status 0: good, 1: refused, 2: there is nothing to check. */
VD_API int vd_plugin_probe(const char *file, bool json);

#endif
