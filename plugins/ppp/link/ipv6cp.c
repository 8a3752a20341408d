/* IPV6CP: an interface identifier for each end, and nothing else (RFC 5072). Addresses come by router advertisements and
 * DHCPv6. It begins when the client does, so that one without IPv6 never hears of it, and its end is nobody else's. */
#include "link.h"

#include <string.h>

static void put(struct vd_wr *w, const uint8_t id[IPV6CP_ID])
{
	vd_wr_u8(w, IPV6CP_INTERFACE);
	vd_wr_u8(w, 2 + IPV6CP_ID);
	vd_wr_put(w, id, IPV6CP_ID);
}

static bool usable(const uint8_t *id, const uint8_t other[IPV6CP_ID])
{
	static const uint8_t zero[IPV6CP_ID];

	return memcmp(id, zero, IPV6CP_ID) != 0 && memcmp(id, other, IPV6CP_ID) != 0;
}

/* RFC 5072 section 4.1: what we suggest to a client that has none, or ours. Not derived from anything, and with the
 * "universal" bit clear. */
static void suggest(struct ppp_link *link, struct vd_wr *nak)
{
	while (!usable(link->suggested, link->id)) {
		vd_random_seen("interface id", link->suggested, IPV6CP_ID);
		link->suggested[0] &= (uint8_t)~2u;
	}
	put(nak, link->suggested);
}

static void request(struct ppp_cp *cp, struct vd_wr *w)
{
	if (cp->link->ask_id)
		put(w, cp->link->id);
}

static void begin(struct ppp_cp *cp)
{
	cp->link->saw_id = false;
	memset(cp->link->staged_id, 0, IPV6CP_ID);
}

static enum ppp_judgement option(struct ppp_cp *cp, uint8_t type, const uint8_t *data, size_t len, struct vd_wr *nak)
{
	struct ppp_link *link = cp->link;

	if (type != IPV6CP_INTERFACE)
		return PPP_OPT_REJ; /* also the compression protocol (2) */
	link->saw_id = true;
	if (len == IPV6CP_ID && usable(data, link->id)) {
		memcpy(link->staged_id, data, IPV6CP_ID);
		return PPP_OPT_ACK;
	}
	suggest(link, nak);
	return PPP_OPT_NAK;
}

/* Once; a client that goes on without has told us nothing, and makes its identifier up by itself. */
static void missing(struct ppp_cp *cp, struct vd_wr *nak)
{
	struct ppp_link *link = cp->link;

	if (link->saw_id || link->asked_id)
		return;
	link->asked_id = true;
	suggest(link, nak);
}

static void take(struct ppp_cp *cp)
{
	memcpy(cp->link->peer_id, cp->link->staged_id, IPV6CP_ID);
}

static void refused(struct ppp_cp *cp, bool reject, uint8_t type, const uint8_t *data, size_t len)
{
	struct ppp_link *link = cp->link;

	if (type != IPV6CP_INTERFACE)
		return;
	if (reject)
		link->ask_id = false;
	else if (len == IPV6CP_ID && usable(data, link->peer_id))
		memcpy(link->id, data, IPV6CP_ID);
}

static void terminate(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	(void)packet;
	vd_note('s', cp->link->node.id, "%s terminates IPV6CP", ppp_peer(cp->link));
}

static void up(struct ppp_cp *cp)
{
	ppp_phase_ncp(cp->link, VD_WANT_V6, true);
}

static void down(struct ppp_cp *cp)
{
	ppp_phase_ncp(cp->link, VD_WANT_V6, false);
}

static void finished(struct ppp_cp *cp)
{
	vd_note('s', cp->link->node.id, "IPV6CP ended");
	if (!ppp_phase_other(cp))
		ppp_link_fail(cp->link, PPP_ODD_BEFORE_UP(cp->link), "IPV6CP ended, and there is nothing else");
	ppp_phase_ipv6_over(cp->link);
}

const struct ppp_cp_kind ppp_ipv6cp = {
	.protocol = PPP_IPV6CP,
	.name = "IPV6CP",
	.interval = ppp_cp_interval,
	.request = request,
	.begin = begin,
	.option = option,
	.missing = missing,
	.accept = take,
	.refused = refused,
	.terminate = terminate,
	.up = up,
	.down = down,
	.finished = finished,
};
