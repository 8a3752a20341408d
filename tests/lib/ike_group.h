/* Diffie-Hellman of a scripted peer: MODP groups 2, 5, 14 and 15, and the curves 19 and 20. */
#ifndef TESTS_IKE_GROUP_H
#define TESTS_IKE_GROUP_H

#include "tests/lib/ike_client.h"

/* Octets of a public value. */
size_t ike_group_len(unsigned group);
/* A new private value in x, the public one in gxi. */
void ike_group_make(struct client *c, unsigned group);
/* What both know then; returns its octets: the first coordinate alone of a curve's point (RFC 5903 section 9); 0 when the
 * peer's value is none. */
size_t ike_group_shared(const struct client *c, unsigned group, const uint8_t *peer, uint8_t *out);

#endif
