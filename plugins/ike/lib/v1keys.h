/* The key schedule of IKEv1 (RFC 2409 section 5 and appendix B). No state; any thread. */
#ifndef IKE_LIB_V1KEYS_H
#define IKE_LIB_V1KEYS_H

#include <viaduct/crypto.h>

#include "isakmp.h"
#include "policy.h"

#define IKE_HASH_MAX 64u
#define IKE_BLOCK_MAX 16u

/* All keys of one IKE SA. Wiped with vd_wipe by its owner. */
struct ike_v1_keys {
	char md[8], cipher[16];
	uint16_t hash_len, key_len, block;
	uint8_t skeyid[IKE_HASH_MAX], d[IKE_HASH_MAX], a[IKE_HASH_MAX], e[IKE_HASH_MAX];
	uint8_t key[32]; /* of the cipher, expanded when SKEYID_e is shorter (appendix B) */
};

/* skeyid has the length of the suite's hash. -EINVAL for a suite that IKEv1 phase 1 does not have. */
int ike_v1_keys_derive(struct ike_v1_keys *ret_keys, const struct ike_suite *suite, const uint8_t *skeyid, size_t len,
	const uint8_t *shared, size_t shared_len, const uint8_t *icookie, const uint8_t *rcookie);
/* IV of message 5: hash(g^xi | g^xr). Of a later exchange: hash(last block of phase 1 | message id). block octets. */
int ike_v1_iv_first(
	const struct ike_v1_keys *keys, const uint8_t *gxi, const uint8_t *gxr, size_t len, uint8_t *ret_iv);
int ike_v1_iv_exchange(const struct ike_v1_keys *keys, const uint8_t *last, uint32_t mid, uint8_t *ret_iv);
/* HASH_I and HASH_R: own is the public value and cookie of who proves himself. */
int ike_v1_hash_main(const struct ike_v1_keys *keys, const uint8_t *own_pub, const uint8_t *other_pub, size_t pub_len,
	const uint8_t *own_cookie, const uint8_t *other_cookie, const uint8_t *sa, size_t sa_len, const uint8_t *id,
	size_t id_len, uint8_t *ret_hash);
/* prf(SKEYID_a, parts): HASH(1) to HASH(3) and of informational exchanges. */
int ike_v1_hash_a(const struct ike_v1_keys *keys, const struct vd_slice *parts, size_t n, uint8_t *ret_hash);
/* KEYMAT of one direction (section 5.5), len octets; shared is g(qm)^xy or NULL. spi in network order. */
int ike_v1_keymat(const struct ike_v1_keys *keys, const uint8_t *shared, size_t shared_len, uint8_t protocol,
	const uint8_t spi[4], const uint8_t *ni, size_t ni_len, const uint8_t *nr, size_t nr_len, uint8_t *ret_keymat,
	size_t len);
/* NAT-D: hash(CKY-I | CKY-R | address | port) (RFC 3947 section 3.2). */
int ike_v1_natd(const char *md, const uint8_t *icookie, const uint8_t *rcookie, const struct vd_sa *sa,
	uint8_t *ret_hash, size_t *ret_len);
/* Encrypts or decrypts what stands behind the header, in place; iv becomes the last block of ciphertext. len is that of
 * the message, whose encrypted part must be whole blocks (-EBADMSG). */
int ike_v1_crypt(const struct ike_v1_keys *keys, bool encrypt, uint8_t *iv, uint8_t *message, size_t len);
/* Pads a finished message to whole blocks, sets flag and length, encrypts. Returns the length or -ENOSPC. */
int ike_v1_seal(const struct ike_v1_keys *keys, uint8_t *iv, uint8_t *message, size_t len, size_t size);

#endif
