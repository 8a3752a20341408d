/* Identities as in ID payloads (RFC 2407 section 4.6.2), printed for people and compared as text. */
#ifndef IKE_LIB_IDENT_H
#define IKE_LIB_IDENT_H

#include <viaduct/topics.h>

#include "isakmp.h"

enum ike_id_type {
	IKE_ID_IPV4_ADDR = 1, IKE_ID_FQDN = 2, IKE_ID_USER_FQDN = 3, IKE_ID_IPV4_SUBNET = 4, IKE_ID_IPV6_ADDR = 5,
	IKE_ID_IPV6_SUBNET = 6, IKE_ID_IPV4_RANGE = 7, IKE_ID_IPV6_RANGE = 8, IKE_ID_DER_ASN1_DN = 9, IKE_ID_KEY_ID = 11,
};

struct ike_ident {
	uint8_t type, proto;
	uint16_t port;
	char text[VD_ID_TEXT]; /* "192.0.2.1", "host", "keyid:6162", "DN of 57 octets, 0123456789abcdef"; safe (text.h) */
};

/* body: type, protocol, port, data. -EBADMSG when the data does not fit the type, -EPROTONOSUPPORT for other types
 * (text then is the type's number). Any thread. */
int ike_ident_parse(const uint8_t *body, size_t len, struct ike_ident *ret_ident);

/* A selector of quick mode: an address, a network, or a range that is one. */
struct ike_selector {
	uint8_t proto;
	uint16_t port;
	struct vd_prefix net;
};
/* body: as above. False for other types, and for ranges and masks that are no network. */
bool ike_selector_parse(const uint8_t *body, size_t len, struct ike_selector *ret_selector);

/* An ID payload for what a configuration says: an address, a name with an @ (ID_USER_FQDN), or another name (ID_FQDN). */
void ike_out_ident(struct ike_out *out, const char *text);
/* Whether this is who a configuration expects: names without regard to case. */
bool ike_ident_is(const struct ike_ident *ident, const char *text);

#endif
