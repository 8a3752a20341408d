/* Viaduct: cryptography that several plugins share (core/crypto). Everything else comes from OpenSSL's EVP.
 * Any thread except where said; no global state. "md" names are OpenSSL digest names: "MD5", "SHA1", "SHA256", ...
 */
#ifndef VIADUCT_CRYPTO_H
#define VIADUCT_CRYPTO_H

#include <viaduct/base.h>
#include <viaduct/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

/* MD4 (RFC 1320) and single-block DES encryption (FIPS 46-3), needed by MS-CHAP only; own code, because
 * OpenSSL 3 keeps both in its legacy provider. */
VD_API void vd_md4(const void *data, size_t len, uint8_t ret_digest[16]);
/* key is 8 octets with parity bits (ignored). */
VD_API void vd_des_encrypt(const uint8_t key[8], const uint8_t in[8], uint8_t out[8]);

/* MS-CHAPv2 (RFC 2759 section 8). Passwords are UTF-8 and converted to UTF-16LE inside; at most 256 characters. */
VD_API int vd_mschap_nt_hash(const char *password, size_t len, uint8_t ret_hash[16]);
/* The user name of the hash: what stands behind the last backslash of DOMAIN\user (RFC 2759 section 4). */
VD_API const char *vd_mschap_user(const char *name);
VD_API int vd_mschapv2_response(const uint8_t auth_challenge[16], const uint8_t peer_challenge[16], const char *user,
	const uint8_t nt_hash[16], uint8_t ret_response[24]);
/* "S=" and 40 upper-case hexadecimal digits (RFC 2759 section 8.7). */
VD_API int vd_mschapv2_authenticator(const uint8_t nt_hash[16], const uint8_t response[24],
	const uint8_t auth_challenge[16], const uint8_t peer_challenge[16], const char *user, char ret_text[43]);
/* MS-MPPE keys (RFC 3079 section 3.3): 16 octets each, "send" and "recv" as seen by the server. */
VD_API int vd_mschapv2_mppe_keys(const uint8_t nt_hash[16], const uint8_t response[24], uint8_t ret_send[16],
	uint8_t ret_recv[16]);

/* Digest and HMAC by name. ret_mac must hold the digest (at most 64 octets). -EINVAL for an unknown name. */
VD_API int vd_digest(const char *md, const void *data, size_t len, uint8_t *ret_mac, size_t *ret_len);
struct vd_slice {
	const void *p;
	size_t len;
};
/* HMAC over the concatenation of n slices. */
VD_API int vd_hmac(const char *md, const void *key, size_t key_len, const struct vd_slice *parts, size_t n,
	uint8_t *ret_mac, size_t *ret_len);
/* Digest over the concatenation of n slices. */
VD_API int vd_digest_parts(const char *md, const struct vd_slice *parts, size_t n, uint8_t *ret_mac, size_t *ret_len);
/* Octets of a digest; 0 when unknown. */
VD_API size_t vd_digest_size(const char *md);

/* CBC without padding, in place allowed. cipher: "AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC".
 * len must be a multiple of the block size. iv is read only. */
VD_API int vd_cbc(const char *cipher, bool encrypt, const uint8_t *key, const uint8_t *iv, const uint8_t *in,
	size_t len, uint8_t *out);
/* Key and block octets of such a cipher; -EINVAL when unknown. */
VD_API int vd_cbc_sizes(const char *cipher, size_t *ret_key, size_t *ret_block);

/* Key exchange groups by IANA number (IKEv1 and IKEv2 share them): MODP 2, 5, 14-18; ECP 19, 20, 21; x25519 31. */
struct vd_dh; /* one exponent; wiped when freed. Used by one thread at a time. */
#define VD_DH_MAX_PUBLIC 1024
#define VD_DH_MAX_SHARED 1024
/* Name as in configurations ("modp2048", "ecp384", "x25519"); NULL when unknown. */
VD_API const char *vd_dh_name(unsigned group);
/* 0 when unknown. "curve25519" is another name of x25519. */
VD_API unsigned vd_dh_group(const char *name);
/* Octets of the public value on the wire (RFC 2409, RFC 5903: x | y, RFC 8031); 0 when unknown. */
VD_API size_t vd_dh_public_len(unsigned group);
/* What one exchange, a fresh exponent and a shared secret, costs in those of modp2048, at least 1: for budgets (work.h). 0 when
 * unknown. */
VD_API unsigned vd_dh_cost(unsigned group);
/* A fresh exponent and its public value. Expensive: pool threads, see work.h. -ENOTSUP for an unknown group. */
VD_API int vd_dh_new(unsigned group, struct vd_dh **ret_dh);
/* With a given exponent, for published vectors: big-endian octets. */
VD_API int vd_dh_new_with(unsigned group, const uint8_t *exponent, size_t len, struct vd_dh **ret_dh);
VD_API void vd_dh_free(struct vd_dh *dh);
VD_API unsigned vd_dh_group_of(const struct vd_dh *dh);
VD_API const uint8_t *vd_dh_public(const struct vd_dh *dh, size_t *ret_len);
/* Shared secret with the peer's public value: checks its length and 1 < y < p-1 (MODP) or that it lies on the curve;
 * -EINVAL when it does not. Expensive: pool threads. The result has the full length of the group (RFC 2409, RFC 5903). */
VD_API int vd_dh_shared(struct vd_dh *dh, const uint8_t *peer, size_t len, struct vd_secret **ret_shared);
/* Same by EVP_PKEY_derive; the test that holds both equal uses it, and `modp: evp` does. */
VD_API void vd_dh_use_evp(bool on);

#ifdef __cplusplus
}
#endif
#endif
