/* Packets of CHAP and PAP (RFC 1994 section 4, RFC 1334 section 2.2), as both sides read them. */
#ifndef PPP_LIB_CHAP_H
#define PPP_LIB_CHAP_H

#include <viaduct/bytes.h>

#define CHAP 0xc223
enum { CODE_CHALLENGE = 1, CODE_RESPONSE, CODE_SUCCESS, CODE_FAILURE };

#define PAP 0xc023
enum { PAP_REQUEST = 1, PAP_ACK, PAP_NAK };

/* body: what the length covers behind the header; octets behind it are padding. False: it is cut. */
bool ppp_chap_parse(const uint8_t *p, size_t len, uint8_t *ret_code, uint8_t *ret_id, struct vd_rd *ret_body);

#endif
