#include "vendor.h"

#include <string.h>

const uint8_t ike_vendor_rfc3947[16] = { 0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e,
	0x95, 0x45, 0x2f };
const uint8_t ike_vendor_natt_02n[16] = { 0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec,
	0x42, 0x7b, 0x1f };
const uint8_t ike_vendor_dpd[16] = { 0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57,
	0x01, 0x00 };

const uint8_t ike_vendor_unity[16] = { 0x12, 0xf5, 0xf2, 0x8c, 0x45, 0x71, 0x68, 0xa9, 0x70, 0x2d, 0x9f, 0xe2, 0x74, 0xcc,
	0x01, 0x00 };
const uint8_t ike_vendor_xauth[8] = { 0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12 };
const uint8_t ike_vendor_fragmentation[20] = { 0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc, 0xe8, 0x85, 0x25, 0xe7, 0xde, 0x7f, 0x00,
	0xd6, 0xc2, 0xd3, 0x80, 0x00, 0x00, 0x00 };

/* Compared over the length given here; longer bodies carry a version or capabilities behind it. */
static const struct fingerprint {
	uint8_t bytes[16];
	uint8_t len;
	bool longer;
	uint32_t flag;
} fingerprints[] = {
	{ "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f", 16, false, IKE_V_RFC3947 },
	{ "\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f", 16, false, IKE_V_NATT_02N },
	{ "\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48", 16, false, IKE_V_NATT_DRAFT },
	{ "\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56", 16, false, IKE_V_NATT_DRAFT },
	{ "\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc", 16, false, IKE_V_NATT_DRAFT },
	{ "\x8f\x8d\x83\x82\x6d\x24\x6b\x6f\xc7\xa8\xa6\xa4\x28\xc1\x1d\xe8", 16, false, IKE_V_NATT_DRAFT },
	{ "\x4d\xf3\x79\x28\xe9\xfc\x4f\xd1\xb3\x26\x21\x70\xd5\x15\xc6\x62", 16, false, IKE_V_APPLE },
	{ "\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61", 16, true, IKE_V_MICROSOFT },
	{ "\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3", 16, true, IKE_V_FRAGMENTATION },
	{ "\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20", 16, false, IKE_V_MS_OTHER },
	{ "\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19", 16, false, IKE_V_MS_OTHER },
	{ "\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52", 16, false, IKE_V_MS_OTHER },
	{ "\x21\x4c\xa4\xfa\xff\xa7\xf3\x2d\x67\x48\xe5\x30\x33\x95\xae\x83", 16, false, IKE_V_MS_OTHER },
	{ "\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51", 16, true, IKE_V_MS_OTHER },
	{ "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57", 14, true, IKE_V_DPD },
	{ "\x09\x00\x26\x89\xdf\xd6\xb7\x12", 8, true, IKE_V_XAUTH },
	{ "\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc", 14, true, IKE_V_UNITY },
	{ "\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb", 16, false, IKE_V_STRONGSWAN },
};

uint32_t ike_vendor_flag(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(fingerprints); i++) {
		const struct fingerprint *f = &fingerprints[i];

		if ((len == f->len || (f->longer && len > f->len)) && memcmp(p, f->bytes, f->len) == 0)
			return f->flag;
	}
	return IKE_V_UNKNOWN;
}

const char *ike_vendor_profile(uint32_t flags)
{
	static const struct {
		uint32_t all; /* of these it must have sent */
		const char *row;
	} profiles[] = {
		{ IKE_V_MICROSOFT, "windows" }, { IKE_V_APPLE, "apple" }, { IKE_V_STRONGSWAN, "strongswan" },
		{ IKE_V_FRAGMENTATION | IKE_V_NATT_DRAFT | IKE_V_DPD, "racoon" },
	};

	for (size_t i = 0; i < VD_ARRAY_SIZE(profiles); i++)
		if ((flags & profiles[i].all) == profiles[i].all)
			return profiles[i].row;
	return "generic";
}
