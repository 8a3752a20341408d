/* What L2TP tells of clients: their Vendor Name and Host Name (RFC 2661 section 4.4.3). */
#include "l2tp.h"

const struct vd_quirk l2tp_quirks[] = {
	{ "windows", VD_QUIRK_RANK, "2" },
	{ "windows", VD_QUIRK_KNOWN_BY L2TP_EVIDENCE_VENDOR, "Microsoft*" },
	{ "android", VD_QUIRK_RANK, "2" },
	{ "android", VD_QUIRK_KNOWN_BY L2TP_EVIDENCE_HOST, "anonymous" },
	{ "routeros", VD_QUIRK_RANK, "2" },
	{ "routeros", VD_QUIRK_SHOWS, "" },
	{ "routeros", VD_QUIRK_KNOWN_BY L2TP_EVIDENCE_VENDOR, "MikroTik*" },
	{ "xl2tpd", VD_QUIRK_RANK, "2" },
	{ "xl2tpd", VD_QUIRK_SHOWS, "" },
	{ "xl2tpd", VD_QUIRK_KNOWN_BY L2TP_EVIDENCE_VENDOR, "xelerance.com*" },
	{ NULL, NULL, NULL },
};
