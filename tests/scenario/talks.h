/* Conversations for the tables of lost and repeated messages: each goes on until it has come to its end, whatever happens
 * to one datagram of it. */
#ifndef TESTS_SCENARIO_TALKS_H
#define TESTS_SCENARIO_TALKS_H

#include <viaduct/report.h>

#include "tests/scenario/robot.h"

struct talk {
	const char *name;
	bool logged_in;        /* begins with the client logged in, and only then messages are lost */
	/* Returns who is logged in after it; NULL: everything shall be gone. what is for messages of assertions. */
	struct robot *(*run)(struct robot *r, const char *what);
	bool nat, old, ipv6;   /* ipv6: the pool has a prefix, and the client wants it */
	int xauth;             /* the shape of its XAuth; 0: L2TP */
	bool push;             /* with mode config pushed */
	bool aggressive;
	const char *password, *psk; /* NULL: the right one */
	const struct vd_failure *why;   /* what is reported, once; 0: nothing */
	bool replaced;         /* the session is one of a second login */
	unsigned minutes;      /* when everything is gone at the latest, after the client's last word; 0: 2 */
};

extern const struct talk talks[];
extern const unsigned n_talks;

#endif
