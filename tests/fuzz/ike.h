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

/* A world that inputs begin with. */
struct fuzz_ike {
	const char *yaml;
	uint8_t state[1 << 16];
	size_t len; /* 0: not kept yet */
};
/* Keeps the state of the world there is, and ends it; makes it again. */
void fuzz_ike_keep(struct fuzz_ike *start);
void fuzz_ike_again(const struct fuzz_ike *start);
/* Main mode from this port, with auth as in struct client: from message 1 to 4, or to 6 when whole. */
void fuzz_ike_main(struct client *c, const char *psk, unsigned auth, unsigned port, bool whole);
/* Payloads of an exchange after phase 1, behind the right HASH(1) when hashed; cut: not whole blocks. What answers quick mode
 * is taken for message 3. */
void fuzz_ike_sealed(struct client *c, uint8_t exchange, uint32_t mid, bool hashed, bool cut, uint8_t next, uint8_t *body,
	size_t len);

/* What was made goes to the gateway in so many parts. */
extern unsigned fuzz_ike_parts;
void fuzz_ike_input(const struct client *c, const struct msg *m);

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
