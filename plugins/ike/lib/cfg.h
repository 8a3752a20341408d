/* Attributes payloads of transaction exchanges: mode config (draft-ietf-ipsec-isakmp-mode-cfg-05), XAuth
 * (draft-ietf-ipsec-isakmp-xauth-06) and what Cisco's Unity clients add. No state; any thread. */
#ifndef IKE_LIB_CFG_H
#define IKE_LIB_CFG_H

#include "isakmp.h"

/* Attributes of one payload: the longest request seen has about 20. */
#define IKE_CFG_ATTRS_MAX 48u

enum ike_cfg_kind { IKE_CFG_REQUEST = 1, IKE_CFG_REPLY = 2, IKE_CFG_SET = 3, IKE_CFG_ACK = 4 };

enum ike_cfg_type {
	IKE_CFG_IP4_ADDRESS = 1, IKE_CFG_IP4_NETMASK = 2, IKE_CFG_IP4_DNS = 3, IKE_CFG_IP4_NBNS = 4,
	IKE_CFG_ADDRESS_EXPIRY = 5, IKE_CFG_IP4_DHCP = 6, IKE_CFG_APPLICATION_VERSION = 7, IKE_CFG_IP6_ADDRESS = 8,
	IKE_CFG_SUPPORTED = 14,
	IKE_XAUTH_TYPE = 16520, IKE_XAUTH_USER_NAME = 16521, IKE_XAUTH_USER_PASSWORD = 16522, IKE_XAUTH_PASSCODE = 16523,
	IKE_XAUTH_MESSAGE = 16524, IKE_XAUTH_CHALLENGE = 16525, IKE_XAUTH_DOMAIN = 16526, IKE_XAUTH_STATUS = 16527,
	IKE_XAUTH_NEXT_PIN = 16528, IKE_XAUTH_ANSWER = 16529,
	IKE_UNITY_BANNER = 28672, IKE_UNITY_SAVE_PASSWORD = 28673, IKE_UNITY_DEF_DOMAIN = 28674,
	IKE_UNITY_SPLIT_DNS = 28675, IKE_UNITY_SPLIT_INCLUDE = 28676, IKE_UNITY_LOCAL_LAN = 28678, IKE_UNITY_PFS = 28679,
};

/* A value in short form is its two octets. */
struct ike_cfg_attr {
	uint16_t type, len;
	const uint8_t *p;
};
struct ike_cfg {
	uint8_t kind; /* enum ike_cfg_kind, or something else */
	uint16_t id;
	unsigned n;
	struct ike_cfg_attr v[IKE_CFG_ATTRS_MAX];
};

/* Reads a payload's body, which it points into. -EBADMSG, -E2BIG. */
int ike_cfg_parse(const uint8_t *body, size_t len, struct ike_cfg *ret_cfg);
/* The first attribute of this type, or NULL. */
const struct ike_cfg_attr *ike_cfg_find(const struct ike_cfg *cfg, uint16_t type);
/* A number of at most four octets; false for anything else. */
bool ike_cfg_number(const struct ike_cfg_attr *attr, uint32_t *ret_value);

/* Begins an Attributes payload; ike_out_end() ends it. */
void ike_out_cfg(struct ike_out *out, uint8_t kind, uint16_t id);
void ike_out_attr(struct ike_out *out, uint16_t type, const void *p, size_t len);
/* In short form. */
void ike_out_attr16(struct ike_out *out, uint16_t type, uint16_t value);

#endif
