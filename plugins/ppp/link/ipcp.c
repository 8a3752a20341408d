/* IPCP: the address the session was leased, name servers, nothing else (RFC 1332, RFC 1877). */
#include "link.h"

#include <sys/socket.h>

/* What stands in for our address when the client finds the configured one impossible: RFC 7335's host address, which
 * cannot be an address the client has another use for. */
static const struct vd_ip dummy = { AF_INET, { 192, 0, 0, 8 } };

static struct vd_ip our_address(const struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);

	if (!session || session->lease4.gateway.family != AF_INET || link->address_refused >= 3)
		return dummy;
	return session->lease4.gateway;
}

static void request(struct ppp_cp *cp, struct vd_wr *w)
{
	struct vd_ip ip = our_address(cp->link);

	if (!cp->link->ask_address)
		return;
	vd_wr_u8(w, IPCP_ADDRESS);
	vd_wr_u8(w, 6);
	vd_wr_put(w, ip.a, 4);
}

static void begin(struct ppp_cp *cp)
{
	cp->link->saw_address = false;
}

/* The value we have for an address option; family 0 when none. */
static struct vd_ip wanted(const struct ppp_link *link, uint8_t type)
{
	const struct vd_session *session = vd_session_find(link->node.id);
	struct vd_ip none = { 0 };

	if (!session)
		return none;
	switch (type) {
	case IPCP_ADDRESS:
		return session->lease4.address;
	case IPCP_DNS1:
	case IPCP_DNS2: {
		unsigned nth = type == IPCP_DNS2, seen = 0;

		/* Lists may mix families; the protocol asks for the first and second of its own. */
		for (size_t i = 0; i < VD_ARRAY_SIZE(session->lease4.dns) && session->lease4.dns[i].family; i++)
			if (session->lease4.dns[i].family == AF_INET && seen++ == nth)
				return session->lease4.dns[i];
		return none;
	}
	case IPCP_WINS1:
		return session->lease4.wins[0];
	case IPCP_WINS2:
		return session->lease4.wins[0].family ? session->lease4.wins[1] : none;
	default:
		return none;
	}
}

static void put_address(struct vd_wr *w, uint8_t type, const struct vd_ip *ip)
{
	vd_wr_u8(w, type);
	vd_wr_u8(w, 6);
	vd_wr_put(w, ip->a, 4);
}

static enum ppp_judgement option(struct ppp_cp *cp, uint8_t type, const uint8_t *data, size_t len, struct vd_wr *nak)
{
	struct vd_ip want = wanted(cp->link, type);
	struct vd_ip got = { AF_INET, { 0 } };
	struct vd_rd r;

	if (type == IPCP_ADDRESS)
		cp->link->saw_address = true;
	if (want.family != AF_INET)
		return PPP_OPT_REJ; /* also VJ (2), the old addresses option (1), and what we do not know */
	vd_rd_init(&r, data, len);
	vd_rd_copy(&r, got.a, 4);
	if (vd_rd_done(&r) && vd_ip_equal(&got, &want))
		return PPP_OPT_ACK;
	put_address(nak, type, &want);
	return PPP_OPT_NAK;
}

static void missing(struct ppp_cp *cp, struct vd_wr *nak)
{
	struct ppp_link *link = cp->link;
	struct vd_ip want = wanted(link, IPCP_ADDRESS);

	/* Some routers ask for nothing and mean "tell me": once. */
	if (link->saw_address || link->asked_missing || want.family != AF_INET)
		return;
	link->asked_missing = true;
	put_address(nak, IPCP_ADDRESS, &want);
}

/* Windows hangs up when its address option is rejected. */
static bool keep_nak(uint8_t type)
{
	return type == IPCP_ADDRESS;
}

static void take(struct ppp_cp *cp)
{
	(void)cp; /* only the leased values are ever accepted, and those the session has */
}

static void refused(struct ppp_cp *cp, bool reject, uint8_t type, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	if (type != IPCP_ADDRESS)
		return;
	if (reject)
		cp->link->ask_address = false;
	else if (cp->link->address_refused < UINT8_MAX)
		cp->link->address_refused++;
}

static void terminate(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct ppp_link *link = cp->link;
	char text[VD_ID_TEXT];
	bool why = ppp_reason(packet->data, packet->len, text, sizeof(text));

	vd_note('s', link->node.id, "%s terminates IPCP%s%s", ppp_peer(link), why ? ": " : "", text);
	/* The link ends with it, see finished(); before IPCP is open the client may go on. */
	if (why && cp->state == PPP_OPENED && !link->reason[0])
		vd_format(link->reason, sizeof(link->reason), "%s ended IPCP: %s", ppp_peer(link), text);
}

static void up(struct ppp_cp *cp)
{
	ppp_phase_ncp(cp->link, VD_WANT_V4, true);
}

static void down(struct ppp_cp *cp)
{
	(void)cp; /* the worker's entry stays: the address cannot change, and the exchange that follows decides */
}

static void finished(struct ppp_cp *cp)
{
	struct ppp_link *link = cp->link;

	if (ppp_phase_other(cp)) {
		vd_note('s', link->node.id, "IPCP ended");
		ppp_phase_ncp(link, VD_WANT_V4, false);
		return;
	}
	if (cp->state == PPP_CLOSED) { /* it was ours to end it, and what was left then has ended meanwhile */
		ppp_link_fail(link, PPP_ODD_BEFORE_UP(link), "IPCP ended, and there is nothing else");
		return;
	}
	if (link->phase == PPP_PHASE_UP)
		ppp_link_fail(link, PPP_SAID, "the client ended IPCP");
	else
		ppp_link_fail(link, (struct vd_report){ .kind = &ppp_fail_ipcp_unacked }, "IPCP did not complete");
}

const struct ppp_cp_kind ppp_ipcp = {
	.protocol = PPP_IPCP,
	.name = "IPCP",
	.interval = ppp_cp_interval,
	.request = request,
	.begin = begin,
	.option = option,
	.missing = missing,
	.keep_nak = keep_nak,
	.accept = take,
	.refused = refused,
	.terminate = terminate,
	.up = up,
	.down = down,
	.finished = finished,
};
