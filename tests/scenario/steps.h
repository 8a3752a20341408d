/* The steps of a whole conversation, each with what must be true after it. */
#ifndef TESTS_SCENARIO_STEPS_H
#define TESTS_SCENARIO_STEPS_H

#include "tests/scenario/robot.h"

/* Everything up to IPCP at once; the session must have this address (last octet of 10.8.0.x; 0: any). */
void steps_login(struct robot *r, const char *psk, uint8_t address);
/* An ICMP echo out of the TUN device, and the reply back to the client. */
void steps_ping(struct robot *r);
/* One step of the conversation after the login; false behind the last. Works on a gateway that was made anew between the
 * steps, too: what is counted is what this step did. */
bool steps_next(struct robot *r, unsigned step);
/* The name of that step. */
const char *steps_name(unsigned step);
/* An end in order, by the client. */
void steps_hang_up(struct robot *r);

/* Its Deletes; nothing is left a quarter of an hour later, no failure was reported, and all ends. */
void steps_over(struct robot *r);

#endif
