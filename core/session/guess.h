/* Wrong passwords, counted where all protocols pass. Control thread. */
#ifndef CORE_GUESS_H
#define CORE_GUESS_H

#include <viaduct/addr.h>

/* user: vd_session_user_key(). How long (ms) the next proof of this user from there is not looked at; 0: it is. Never because of
 * what comes from elsewhere. */
uint64_t vd_guess_wait(const struct vd_ip *source, uint64_t user);
/* That one was wrong. How long (ms) the answer is held back. */
uint64_t vd_guess_wrong(const struct vd_ip *source, uint64_t user);
/* That one was right: for a day, other users' mistakes there do not hold this one up. */
void vd_guess_right(const struct vd_ip *source, uint64_t user);
/* Is it time for a report that proofs from there are not looked at? Once a minute for each source. */
bool vd_guess_tell(const struct vd_ip *source);
/* Forgets all; for tests. */
void vd_guess_reset(void);

#endif
