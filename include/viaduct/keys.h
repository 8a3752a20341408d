/* Viaduct: service keys/1: work with keys that never leave it. Asynchronous, in-process today. Control thread;
 * every done is called once through the FIFO. Key ids come from options of type VD_T_KEY.
 */
#ifndef VIADUCT_KEYS_H
#define VIADUCT_KEYS_H

#include <viaduct/base.h>
#include <viaduct/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_keys_1 {
	void *self;
	/* HMAC(md, key, data): SKEYID = prf(pre-shared-key, Ni_b | Nr_b) of RFC 2409 section 5, and the PSK padding of
	 * RFC 7296 section 2.15 likewise. The result belongs to the callee (use vd_secret_ref to keep it). */
	int (*psk_prf)(void *self, uint64_t key, const char *md, const void *data, size_t len,
		void (*done)(void *arg, struct vd_secret *result, const struct vd_error *err), void *arg);
	/* Signature over a message: scheme is an OpenSSL digest name with padding, "RSA-SHA1", "RSA-PSS-SHA256", "ECDSA-SHA384". */
	int (*sign)(void *self, uint64_t key, const char *scheme, const void *data, size_t len,
		void (*done)(void *arg, const uint8_t *signature, size_t len, const struct vd_error *err), void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
