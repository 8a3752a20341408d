/* What both roles of the scripted IKEv1 peer share. Only for their own files. */
#ifndef TESTS_IKE_PEER_H
#define TESTS_IKE_PEER_H

#include "tests/lib/ike_client.h"

struct part {
	const void *p;
	size_t n;
};

extern const uint8_t ike_peer_no_hash[64]; /* in place of a HASH that is not known yet */
void ike_peer_hmac(const struct client *c, const uint8_t *key, size_t key_len, const struct part *parts,
	size_t n, uint8_t *out);
void ike_peer_crypt(const struct client *c, int enc, uint8_t *iv, uint8_t *p, size_t n);
void ike_peer_encrypt(const struct client *c, uint8_t *iv, struct msg *m);
const uint8_t *ike_peer_find(const struct msg *m, uint8_t type, unsigned nth, size_t *ret_len);
void ike_peer_transform1(const struct client *c, struct msg *sa);
void ike_peer_natd(const struct client *c, const struct vd_sa *sa, bool bad, uint8_t *out);
void ike_peer_derive(struct client *c);
void ike_peer_mid_iv(const struct client *c, uint32_t mid, uint8_t *iv);
void ike_peer_hash1(const struct client *c, uint32_t mid, const void *extra, size_t extra_len, struct msg *m);
void ike_peer_keymat(const struct client *c, uint32_t spi, const uint8_t *gxy, size_t gxy_len, uint8_t *out,
	size_t len);
bool ike_peer_chain_end(const struct msg *m, size_t *ret_end);

#endif
