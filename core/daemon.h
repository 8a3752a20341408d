/* The daemon's life, from the command line to its exit status. */
#ifndef CORE_DAEMON_H
#define CORE_DAEMON_H

#include <viaduct/base.h>

/* Returns the exit status: 0 well ended, 1 failed while running, 2 wrong command line or configuration. */
VD_API int vd_daemon_main(int argc, char **argv);

#endif
