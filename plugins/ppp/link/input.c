/* Frames from the peer that are not plain data: which protocol gets them, in which phase (RFC 1661 section 3). */
#include "link.h"

#include <string.h>

/* RFC 1661 section 5.7. Once per protocol, since a peer may send many packets of one we do not speak; but each
 * Configure-Request of a control protocol is answered a few times, for the first answer may have been lost and some
 * clients are not connected before all their protocols have ended one way or the other. */
static void protocol_reject(struct ppp_link *link, uint16_t protocol, const uint8_t *p, size_t len)
{
	bool asks = protocol >= 0x8000 && protocol < 0xc000 && len && p[0] == PPP_CONF_REQ;
	uint8_t room[PPP_MRU_DEFAULT];
	struct vd_wr w;
	unsigned i = 0;

	while (i < link->n_rejected && link->rejected[i] != protocol)
		i++;
	if (i == PPP_PROTOCOLS_MAX || (i < link->n_rejected && (!asks || link->rejections[i] >= PPP_REJECTIONS_MAX))) {
		vd_count("ppp_link.drop.protocol", 1);
		return;
	}
	if (!ppp_link_token(link))
		return;
	if (i == link->n_rejected) {
		link->rejected[link->n_rejected++] = protocol;
		link->rejections[i] = 0;
		vd_note('s', link->node.id, "rejected protocol 0x%04x", protocol);
	}
	link->rejections[i]++;
	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, protocol);
	vd_wr_put(&w, p, len > sizeof(room) - 2 ? sizeof(room) - 2 : len);
	ppp_cp_send(&link->lcp, PPP_PROTOCOL_REJ, room, w.len);
}

/* CCP without having it (RFC 1962): every option is rejected, so that the peer sees there is nothing to agree on and
 * closes it by itself; that suits all clients, and IPCP is never held up. */
static void ccp(struct ppp_link *link, const uint8_t *p, size_t len)
{
	uint8_t room[4 + PPP_OPTIONS_MAX];
	uint8_t code, id;
	uint16_t total;
	struct vd_rd r;
	struct vd_wr w;

	vd_rd_init(&r, p, len);
	code = vd_rd_u8(&r);
	id = vd_rd_u8(&r);
	total = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || total < 4 || total > len || total > sizeof(room)) {
		vd_count("ppp_link.drop.length", 1);
		return;
	}
	if (code != PPP_CONF_REQ && code != PPP_TERM_REQ) {
		vd_count("ppp_link.drop.ccp", 1);
		return;
	}
	if (code == PPP_CONF_REQ && link->ccp_requests >= 10) {
		/* It does not listen: a few Protocol-Rejects, then silence. */
		protocol_reject(link, PPP_CCP, p, len);
		return;
	}
	if (!ppp_link_token(link))
		return;
	vd_wr_init(&w, room, sizeof(room));
	if (code == PPP_CONF_REQ && total > 4) {
		link->ccp_requests++;
		vd_wr_u8(&w, PPP_CONF_REJ);
		vd_wr_u8(&w, id);
		vd_wr_u16(&w, total);
		vd_wr_put(&w, p + 4, total - 4u);
	} else {
		char text[VD_ID_TEXT];

		if (code == PPP_TERM_REQ && !link->ccp_ended && ppp_reason(p + 4, total - 4u, text, sizeof(text)))
			vd_note('s', link->node.id, "%s terminates CCP: %s", ppp_peer(link), text);
		link->ccp_ended |= code == PPP_TERM_REQ;
		/* An empty request asks for nothing we could reject: answered as in state Closed. */
		vd_wr_u8(&w, PPP_TERM_ACK);
		vd_wr_u8(&w, id);
		vd_wr_u16(&w, 4);
		link->ccp_requests += code == PPP_CONF_REQ;
	}
	if (vd_wr_ok(&w))
		ppp_link_send(link, PPP_CCP, room, w.len);
}

/* The client is authenticated and quicker than its lease: the last request waits, which saves the client's timer. */
static void keep(uint8_t *room, size_t size, uint8_t *ret_len, const uint8_t *p, size_t len)
{
	if (len && p[0] == PPP_CONF_REQ && len < size) {
		memcpy(room, p, len);
		*ret_len = (uint8_t)len;
	} else {
		vd_count("ppp_link.drop.early", 1);
	}
}

static void ipcp(struct ppp_link *link, const uint8_t *p, size_t len)
{
	if (link->phase < PPP_PHASE_NETWORK)
		keep(link->early, sizeof(link->early), &link->early_len, p, len);
	else if (link->may & VD_WANT_V4)
		ppp_cp_input(&link->ipcp, p, len);
	else
		protocol_reject(link, PPP_IPCP, p, len);
}

/* A network is leased when the client asks for IPv6, and not before: most never do. */
static void ipv6cp(struct ppp_link *link, const uint8_t *p, size_t len)
{
	bool request = len && p[0] == PPP_CONF_REQ;

	if (link->phase < PPP_PHASE_NETWORK || link->asking6)
		keep(link->early6, sizeof(link->early6), &link->early6_len, p, len);
	else if (request && len < sizeof(link->early6) && ppp_phase_ipv6(link))
		keep(link->early6, sizeof(link->early6), &link->early6_len, p, len);
	else if (link->no_v6)
		protocol_reject(link, PPP_IPV6CP, p, len);
	else
		ppp_cp_input(&link->ipv6cp, p, len);
}

/* What is known not to be spoken is rejected. Else it may come before its negotiation, overtake its end or follow it, and is
 * discarded silently (RFC 1661 section 3.6). */
static void ipv6(struct ppp_link *link, const uint8_t *p, size_t len)
{
	if (link->no_v6)
		protocol_reject(link, PPP_IPV6, p, len);
	else
		vd_count("ppp_link.drop.data_before_up", 1);
}

void ppp_early(struct ppp_link *link)
{
	uint8_t len = link->early_len, len6 = link->early6_len;

	link->early_len = link->early6_len = 0;
	if (len)
		ipcp(link, link->early, len);
	if (len6)
		ipv6cp(link, link->early6, len6);
}

/* Packets of control protocols, LCP and authentication included, have one header; what is beyond their Length is padding
 * (RFC 1661 sections 2 and 5), of which nobody behind this sees anything. A Length that cannot be stays for them to count. */
static size_t without_padding(uint16_t protocol, const uint8_t *p, size_t len)
{
	size_t total;
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	vd_rd_u16(&r); /* code and identifier */
	total = vd_rd_u16(&r);
	return protocol & 0x8000 && vd_rd_ok(&r) && total >= 4 && total < len ? total : len;
}

void ppp_input(void *self, uint64_t session, const uint8_t *p, size_t len)
{
	struct ppp_link *link = ppp_link_find(self, session);
	const struct vd_ppp_auth_1 *method;
	uint16_t protocol;
	struct vd_rd r;

	if (!link) {
		vd_count("ppp_link.drop.no_link", 1);
		return;
	}
	vd_rd_init(&r, p, len);
	if (vd_rd_peek(&r) == 0xff)
		vd_rd_u16(&r);
	protocol = vd_rd_u8(&r);
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | vd_rd_u8(&r));
	p = vd_rd_rest(&r, &len);
	if (!vd_rd_ok(&r) || !(protocol & 1)) {
		vd_count("ppp_link.drop.header", 1);
		return;
	}
	len = without_padding(protocol, p, len);
	ppp_link_debug(link, "received", protocol, p, len);
	/* The client's first request often comes right behind the message that made the link: lost, it would come again only
	 * after 3 s. */
	if (vd_timer_armed(&link->open))
		ppp_link_open(link);
	link->echo_heard = true;
	if (!link->heard) {
		link->heard = true;
		/* The path works, so our own request is probably under way: see lcp.c, interval. */
		if (link->lcp.state == PPP_REQ_SENT && vd_timer_left(&link->lcp.timer) < 1000)
			vd_timer_start(&link->lcp.timer, 1000);
	}
	if (protocol == PPP_LCP) {
		ppp_cp_input(&link->lcp, p, len);
		return;
	}
	if (link->failing || link->lcp.state != PPP_OPENED) {
		vd_count("ppp_link.drop.lcp_not_open", 1);
		return;
	}
	link->spoke = true;
	method = link->auth[link->auth_at].method;
	if (protocol == method->protocol) {
		if (link->auth_state)
			method->input(method->self, link->auth_state, p, len);
		else
			vd_count("ppp_link.drop.no_method", 1);
		return;
	}
	/* RFC 1661 section 3.5: nothing but LCP and authentication until the latter is done. */
	if (link->phase < PPP_PHASE_CONFIGURE) {
		vd_count("ppp_link.drop.not_authenticated", 1);
		return;
	}
	switch (protocol) {
	case PPP_IPCP:
		ipcp(link, p, len);
		break;
	case PPP_IPV6CP:
		ipv6cp(link, p, len);
		break;
	case PPP_CCP:
		ccp(link, p, len);
		break;
	case PPP_IP:
		vd_count("ppp_link.drop.data_before_up", 1);
		break;
	case PPP_IPV6:
		ipv6(link, p, len);
		break;
	default:
		protocol_reject(link, protocol, p, len);
	}
}
