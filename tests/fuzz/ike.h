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

#endif
