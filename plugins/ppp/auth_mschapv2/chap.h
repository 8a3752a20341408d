/* CHAP packets (RFC 1994 section 4.1), as both sides read them. */
#ifndef PPP_MSCHAPV2_CHAP_H
#define PPP_MSCHAPV2_CHAP_H

#include <viaduct/bytes.h>

#define CHAP 0xc223
enum { CODE_CHALLENGE = 1, CODE_RESPONSE, CODE_SUCCESS, CODE_FAILURE };

/* body: what the length covers behind the header; octets behind it are padding. False, counted: it is cut. */
bool chap_parse(const uint8_t *p, size_t len, uint8_t *ret_code, uint8_t *ret_id, struct vd_rd *ret_body);

#endif
