/* What is odd about clients of IKEv1: vendor ids name the kind (ike/lib/vendor.c). */
#include "v1.h"

const struct vd_quirk ike_v1_quirks[] = {
	{ "racoon", VD_QUIRK_RANK, "1" },
	{ "racoon", IKE_V1_QUIRK_CUTS_SHA256, "yes" },
	{ "strongswan", VD_QUIRK_RANK, "1" },
	{ "strongswan", VD_QUIRK_SHOWS, "" },
	{ "windows", VD_QUIRK_RANK, "2" },
	{ "windows", VD_QUIRK_SHOWS, "windows" },
	{ "windows", IKE_V1_QUIRK_NO_REKEYS, "yes" },
	{ "windows", IKE_V1_QUIRK_NATTED, "Windows sees that the gateway is behind NAT, and does not connect to one until the DWORD "
		"AssumeUDPEncapsulationContextOnSendRule in HKLM\\SYSTEM\\CurrentControlSet\\Services\\PolicyAgent is 2 and it "
		"was started anew" },
	{ "apple", VD_QUIRK_RANK, "2" },
	{ "apple", VD_QUIRK_SHOWS, "apple" },
	{ "android", VD_QUIRK_RANK, "2" },
	{ "android", IKE_V1_QUIRK_CUTS_SHA256, "yes" },
	{ NULL, NULL, NULL },
};
