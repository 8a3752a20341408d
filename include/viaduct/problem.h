/* Viaduct: what is wrong now and stays so until somebody acts: `viaductctl status` lists it, and is not "good" while there is
 * anything. For conditions ("the host lost its address"), not for events: those are logged. Control thread.
 */
#ifndef VIADUCT_PROBLEM_H
#define VIADUCT_PROBLEM_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The condition named key ("net_tun/route 10.8.0.0/24", at most 63 octets, the plugin or module first) holds from now on;
 * fmt says in one sentence what is wrong and what to do. Again with the same key: the sentence is replaced, the time of its
 * beginning is kept. Copies both; logs nothing. Up to 32 are kept; status says when there were more. */
VD_API void vd_problem_set(const char *key, const char *fmt, ...) VD_PRINTF(2, 3);
/* It holds no more. Harmless when it did not. */
VD_API void vd_problem_clear(const char *key);

#ifdef __cplusplus
}
#endif
#endif
