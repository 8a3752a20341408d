/* The client's side of MS-CHAPv2 (RFC 2759). */
#ifndef TESTS_LIB_MSCHAP_H
#define TESTS_LIB_MSCHAP_H

#include <stdint.h>

struct mschap {
	uint8_t challenge[16], peer_challenge[16];
};

void mschap_respond(const struct mschap *m, const char *user, const char *password, uint8_t out[24]);
/* "S=" and 40 hexadecimal digits. */
void mschap_authenticator(const struct mschap *m, const char *user, const char *password, char out[43]);

#endif
