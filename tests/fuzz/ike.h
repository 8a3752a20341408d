/* What the IKE targets share: their configuration, and Diffie-Hellman with short exponents. */
#ifndef TESTS_FUZZ_IKE_H
#define TESTS_FUZZ_IKE_H

#include "tests/lib/fake.h"
#include "tests/plugin/ike_world.h"

#define FUZZ_IKE_YAML \
	"ike_v1: { embryos: 16 }\n" \
	"connections:\n" \
	"  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A } }\n" \
	"  devices: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_B } }\n"

/* The body of the first payload of this type in a chain, or NULL. */
static inline uint8_t *fuzz_payload(uint8_t at_type, uint8_t *p, size_t len, uint8_t type, size_t *ret_len)
{
	for (size_t at = 0; at_type != 0 && at + 4 <= len;) {
		size_t n = (size_t)p[at + 2] << 8 | p[at + 3];

		if (n < 4 || at + n > len)
			return NULL;
		if (at_type == type) {
			*ret_len = n - 4;
			return p + at + 4;
		}
		at_type = p[at];
		at += n;
	}
	return NULL;
}

#endif
