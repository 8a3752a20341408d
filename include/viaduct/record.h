/* Viaduct: recording and replay. A recording (viaductd --record) holds what came in, what was observed of it, and what went
 * out. What a program cannot compute again without its secrets is observed: octets that were drawn and are seen by others,
 * decrypted text, public values, whether a proof was right. A replay has no secrets, and is told these instead. So whatever
 * depends on a secret passes through here once, and nothing else needs to know of recordings.
 *
 * Nothing here does anything unless a recording is being made. Everything then runs on the control thread.
 */
#ifndef VIADUCT_RECORD_H
#define VIADUCT_RECORD_H

#include <viaduct/base.h>
#include <viaduct/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* These octets were found out by the help of a secret; what says how ("plain", "nonce", "spi"). A replay puts the recorded
 * ones in their place; nobody else changes them. Worker or control thread. */
VD_API void vd_observe(const char *what, void *p, size_t len);
/* These octets are about to be sealed: recorded, for comparison. Worker or control thread. */
VD_API void vd_record_sealed(const void *p, size_t len);
/* Octets from which a secret could be guessed at leisure (a proof, a password): wherever they stand in what is recorded of
 * this turn of the loop and later, zeros stand instead; the newest 512 are kept in mind, since a message may be sent again. At
 * least 4 octets: shorter ones are left as they are. Worker or control thread. */
VD_API void vd_conceal(const void *p, size_t len);
/* The same for a place in memory, and for what is recorded from it later in this turn: what a user sends and receives.
 * Worker or control thread. */
VD_API void vd_conceal_at(const void *p, size_t len);

/* The name of a user: in a recording another one of the same length stands for it. Copied. Control thread. */
VD_API void vd_record_name(const char *name);

/* What was there before, of which a replay must know: a kind, and words. Control thread. */
VD_API void vd_record_state(const char *what, const char *words);

/* Was the proof right? To be asked once per proof. Worker or control thread. */
static inline bool vd_verified(bool right)
{
	uint8_t octet = right;

	vd_observe("verified", &octet, 1);
	return octet != 0;
}

/* Random octets that others will see: ids, cookies, nonces, challenges; never keys. Control thread. */
static inline void vd_random_seen(const char *what, void *out, size_t len)
{
	vd_random(out, len);
	vd_observe(what, out, len);
}

#ifdef __cplusplus
}
#endif
#endif
