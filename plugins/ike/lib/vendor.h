/* Vendor ids: what a peer is and can, by the fingerprints it sends. No state; any thread. */
#ifndef IKE_LIB_VENDOR_H
#define IKE_LIB_VENDOR_H

#include <viaduct/base.h>

enum ike_vendor {
	IKE_V_RFC3947 = 1u << 0,       /* NAT traversal as in the RFC */
	IKE_V_NATT_02N = 1u << 1,      /* draft 02 with the newline, which Windows XP has alone */
	IKE_V_NATT_DRAFT = 1u << 2,    /* another draft */
	IKE_V_DPD = 1u << 3,
	IKE_V_MICROSOFT = 1u << 4,
	IKE_V_APPLE = 1u << 5,
	IKE_V_FRAGMENTATION = 1u << 6,
	IKE_V_XAUTH = 1u << 7,
	IKE_V_UNITY = 1u << 8,
	IKE_V_STRONGSWAN = 1u << 9,
	IKE_V_MS_OTHER = 1u << 10,     /* discovery, CGA, initial contact, key mods */
	IKE_V_UNKNOWN = 1u << 31,
};

/* The flag of one vendor id body; IKE_V_UNKNOWN for others. */
uint32_t ike_vendor_flag(const uint8_t *p, size_t len);
/* The row of viaduct/quirk.h: "windows", "apple", "strongswan", "racoon", "generic". */
const char *ike_vendor_profile(uint32_t flags);
/* Bodies that we send. */
extern const uint8_t ike_vendor_rfc3947[16], ike_vendor_natt_02n[16], ike_vendor_dpd[16], ike_vendor_unity[16];
extern const uint8_t ike_vendor_xauth[8];
/* With the capability of phase 1: racoon reads it without a look at the length, Windows takes the id with it and without. */
extern const uint8_t ike_vendor_fragmentation[20];

#endif
