/* Key exchange by EVP: ECP, x25519, and MODP where the configuration asks for it. Any thread. */
#ifndef CORE_CRYPTO_DH_EVP_H
#define CORE_CRYPTO_DH_EVP_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

/* A key with this exponent (big-endian; x25519: the octets of RFC 7748) and its public value as on the wire, of exactly
 * public_len octets. *ret_key is the caller's. -EINVAL, -ENOMEM. */
int dh_evp_new(unsigned group, const uint8_t *exponent, size_t len, EVP_PKEY **ret_key, uint8_t *public_value,
	size_t public_len);
/* The same with a fresh exponent; for ECP and x25519. */
int dh_evp_generate(unsigned group, EVP_PKEY **ret_key, uint8_t *public_value, size_t public_len);
/* The shared secret in the length of the group. -EINVAL when the peer's value is no element of it. */
int dh_evp_shared(unsigned group, EVP_PKEY *key, const uint8_t *peer, size_t len, uint8_t *out, size_t size,
	size_t *ret_len);

#endif
