/* The MODP groups (RFC 2409, RFC 3526) as constants. Any thread. */
#ifndef CORE_CRYPTO_DH_MODP_H
#define CORE_CRYPTO_DH_MODP_H

#include <stddef.h>
#include <stdint.h>

struct dh_modp {
	unsigned group;
	const uint8_t *p; /* big-endian */
	size_t len;       /* octets of p, of the public value and of the shared secret */
	size_t exponent;  /* octets of a fresh exponent */
};

/* Static storage; NULL when the group is none of 2, 5, 14-18. The generator is 2 in all of them. */
const struct dh_modp *dh_modp_find(unsigned group);

#endif
