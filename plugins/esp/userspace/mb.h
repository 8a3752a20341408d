/* esp_userspace: intel-ipsec-mb, where configure found it: AES-GCM by its own code for this processor, CBC with HMAC and
 * ChaCha20 many packets at a time. It is offered beside OpenSSL: an SA is keyed for both, and each vector goes where it is
 * done faster. What it does not do, or when it is switched off (VIADUCT_NO_MB=1), OpenSSL does. */
#ifndef ESP_USERSPACE_MB_H
#define ESP_USERSPACE_MB_H

#include "esp.h"

/* Fewer CBC packets than this are faster with OpenSSL: the lanes that stay empty cost as much as full ones. */
#define ESP_MB_LEAST 8u

#ifdef ESP_MB
#include <intel-ipsec-mb.h>

struct esp_mb { /* of one thread */
	IMB_MGR *mgr;
	struct gcm_context_data ctx;
	uint8_t tag[VD_VEC][64], nonce[VD_VEC][16], aad[VD_VEC][12];
};

struct esp_mb_key { /* the key schedule of one SA, as long as its suite needs it */
	IMB_CIPHER_MODE cipher;
	IMB_HASH_ALG hash;
	uint32_t size; /* octets that are there */
	union {
		struct gcm_key_data gcm; /* wants 64 octets of alignment */
		struct {
			_Alignas(16) uint8_t enc[15 * 16];
			_Alignas(16) uint8_t dec[15 * 16];
			_Alignas(16) uint8_t ipad[64];
			_Alignas(16) uint8_t opad[64];
		};
	};
};

/* ---- mb.c, control thread ---- */
/* NULL when the library serves on this processor, else why not. */
const char *esp_mb_trouble(void);
/* -ENOMEM. Before the first SA is keyed. */
int esp_mb_start(void);
void esp_mb_stop(void);
/* NULL: not started, or out of memory. */
struct esp_mb *esp_mb_new(void);
void esp_mb_free(struct esp_mb *mb);
/* NULL when not started, or not for this suite. */
struct esp_mb_key *esp_mb_key(const struct esp_suite *s, const uint8_t *key, const uint8_t *auth);
void esp_mb_key_free(struct esp_mb_key *k);

/* ---- mb_stage.c, worker ---- */
/* Takes those jobs that it can do, and do well, and marks them done. */
void esp_mb_run(struct esp_mb *mb, struct esp_job *jobs, unsigned n, bool seal);

#else
static inline const char *esp_mb_trouble(void) { return "built without libIPSec_MB"; }
static inline int esp_mb_start(void) { return 0; }
static inline void esp_mb_stop(void) { }
static inline struct esp_mb *esp_mb_new(void) { return NULL; }
static inline void esp_mb_free(struct esp_mb *mb) { (void)mb; }
static inline struct esp_mb_key *esp_mb_key(const struct esp_suite *s, const uint8_t *key, const uint8_t *auth)
{
	(void)s, (void)key, (void)auth;
	return NULL;
}
static inline void esp_mb_key_free(struct esp_mb_key *k) { (void)k; }
static inline void esp_mb_run(struct esp_mb *mb, struct esp_job *jobs, unsigned n, bool seal)
{
	(void)mb, (void)jobs, (void)n, (void)seal;
}
#endif
#endif
