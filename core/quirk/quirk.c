/* Kinds of clients: the table. */
#include <viaduct/bytes.h>
#include <viaduct/object.h>
#include <viaduct/quirk.h>

#include <string.h>

#define MINUTES 60000u

/* The columns are explained in quirk.h. Phones sleep: their radio goes off, with all that is open, and comes back. */
static const struct vd_quirks table[] = {
	{ "generic", 0, NULL, NULL, NULL, NULL, false, 0, false, NULL },
	{ "racoon", 1, NULL, NULL, NULL, NULL, true, 0, false, NULL },
	{ "strongswan", 1, NULL, NULL, NULL, "", false, 0, false, NULL },
	{ "windows", 2, "Microsoft", NULL, "MSRAS", "windows", false, 0, true,
		"Windows sees that the gateway is behind NAT, and does not connect to one until the DWORD "
		"AssumeUDPEncapsulationContextOnSendRule in HKLM\\SYSTEM\\CurrentControlSet\\Services\\PolicyAgent is 2 and it "
		"was started anew" },
	{ "apple", 2, NULL, NULL, NULL, "apple", false, 30 * MINUTES, false, NULL },
	{ "android", 2, NULL, "anonymous", NULL, NULL, true, 30 * MINUTES, false, NULL },
	{ "routeros", 2, "MikroTik", NULL, NULL, "", false, 0, false, NULL },
	{ "xl2tpd", 2, "xelerance.com", NULL, NULL, "", false, 0, false, NULL },
};

const struct vd_quirks *vd_quirks_named(const char *name)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return &table[0];
}

const struct vd_quirks *vd_peer_quirks(uint64_t peer)
{
	const struct vd_peer *p = vd_peer_find(peer);

	return vd_quirks_named(p ? p->profile : "");
}

static bool begins(const char *text, const char *with)
{
	return with && strncmp(text, with, strlen(with)) == 0;
}

static bool known_by(const struct vd_quirks *q, enum vd_evidence kind, const char *text)
{
	switch (kind) {
	case VD_EVIDENCE_L2TP_VENDOR: return begins(text, q->l2tp_vendor);
	case VD_EVIDENCE_L2TP_HOST: return q->l2tp_host && strcmp(text, q->l2tp_host) == 0;
	case VD_EVIDENCE_LCP: return begins(text, q->lcp);
	}
	return false;
}

void vd_peer_evidence(uint64_t peer, enum vd_evidence kind, const char *text)
{
	struct vd_peer *p = vd_peer_find(peer);

	for (size_t i = 0; p && i < VD_ARRAY_SIZE(table); i++) {
		const struct vd_quirks *q = &table[i];

		if (q->rank <= vd_peer_quirks(peer)->rank || !known_by(q, kind, text))
			continue;
		vd_note('p', peer, "it is %s, by its name \"%s\"; was %s", q->name, text, p->profile[0] ? p->profile : "unknown");
		vd_strcpy(p->profile, sizeof(p->profile), q->name);
	}
}
