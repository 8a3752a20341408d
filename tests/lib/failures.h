/* Failures of all plugins of this tree, for tests that look at reports. */
#ifndef TESTS_LIB_FAILURES_H
#define TESTS_LIB_FAILURES_H

#include "plugins/ike/v1/failures.h"
#include "plugins/l2tp/failures.h"
#include "plugins/l2tp/l2tp_guard.h"
#include "plugins/ppp/lib/failures.h"

extern const struct vd_failure ike_port_fail_version;

#endif
