/* What PPP tells of clients, by Identifications of LCP (RFC 1570), and which of them sleep: the radio of phones goes off with all that
 * is open, and comes back. */
#include "link.h"

#include <viaduct/quirk.h>

#define HALF_AN_HOUR "1800000"

const struct vd_quirk ppp_link_quirks[] = {
	{ "windows", VD_QUIRK_RANK, "2" },
	{ "windows", VD_QUIRK_KNOWN_BY PPP_EVIDENCE_LCP, "MSRAS*" },
	{ "windows", VD_QUIRK_SHOWS, "windows" },
	{ "apple", VD_QUIRK_SHOWS, "apple" },
	{ "apple", VD_QUIRK_SLEEPS, HALF_AN_HOUR },
	{ "android", VD_QUIRK_SLEEPS, HALF_AN_HOUR },
	{ NULL, NULL, NULL },
};
