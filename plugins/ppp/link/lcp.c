/* LCP: what its options and its own codes mean to us, the authenticator or the one who dialled (RFC 1661 section 6, RFC 1570).
 */
#include "link.h"

#include <viaduct/quirk.h>
#include <viaduct/secret.h>

#include <string.h>

static uint32_t interval(const struct ppp_cp *cp, unsigned sent)
{
	const struct ppp_link *link = cp->link;

	/* The first request is often lost: the client's PPP starts a moment after its L2TP. So it is repeated early,
	 * but only in the first negotiation and until something was heard: a copy that reaches a peer which has opened
	 * would make it begin again. */
	if (link->ever_opened || sent > 2)
		return 3000;
	return sent == 1 && !link->heard ? 300 : 1000;
}

static void request(struct ppp_cp *cp, struct vd_wr *w)
{
	struct ppp_link *link = cp->link;
	const struct vd_ppp_auth_1 *method = link->auth[link->auth_at].method;

	if (link->ask_mru) {
		vd_wr_u8(w, LCP_MRU);
		vd_wr_u8(w, 4);
		vd_wr_u16(w, link->mru);
	}
	if (!link->dial) {
		vd_wr_u8(w, LCP_AUTH);
		vd_wr_u8(w, (uint8_t)(2 + method->option_len));
		vd_wr_put(w, method->option, method->option_len);
	}
	if (link->ask_magic) {
		vd_wr_u8(w, LCP_MAGIC);
		vd_wr_u8(w, 6);
		vd_wr_u32(w, link->magic);
	}
}

static void begin(struct ppp_cp *cp)
{
	cp->link->staged = (struct ppp_lcp_peer){ .mru = PPP_MRU_DEFAULT };
}

static uint32_t new_magic(void)
{
	uint32_t magic = 0;

	while (!magic)
		vd_random_seen("magic", &magic, sizeof(magic));
	return magic;
}

static enum ppp_judgement option(struct ppp_cp *cp, uint8_t type, const uint8_t *data, size_t len, struct vd_wr *nak)
{
	struct ppp_link *link = cp->link;
	struct ppp_lcp_peer *staged = &link->staged;
	struct vd_rd r;

	vd_rd_init(&r, data, len);
	switch (type) {
	case LCP_MRU:
		if (len != 2)
			return PPP_OPT_REJ;
		staged->mru = vd_rd_u16(&r);
		if (staged->mru >= PPP_MRU_MIN)
			return PPP_OPT_ACK;
		vd_wr_u8(nak, LCP_MRU);
		vd_wr_u8(nak, 4);
		vd_wr_u16(nak, link->mru);
		return PPP_OPT_NAK;
	case LCP_ACCM:
		/* Nothing is escaped on this kind of link; whatever map the peer names is kept. */
		return len == 4 ? PPP_OPT_ACK : PPP_OPT_REJ;
	case LCP_MAGIC:
		if (len != 4)
			return PPP_OPT_REJ;
		staged->magic = vd_rd_u32(&r);
		/* Our own number: the line is looped back, or chance (RFC 1661 section 6.4). Zero is illegal. */
		if (staged->magic && !(link->ask_magic && staged->magic == link->magic))
			return PPP_OPT_ACK;
		if (staged->magic)
			vd_count("ppp_link.own_magic", 1);
		vd_wr_u8(nak, LCP_MAGIC);
		vd_wr_u8(nak, 6);
		vd_wr_u32(nak, new_magic());
		return PPP_OPT_NAK;
	case LCP_PFC:
		staged->pfc = len == 0;
		return staged->pfc ? PPP_OPT_ACK : PPP_OPT_REJ;
	case LCP_ACFC:
		staged->acfc = len == 0;
		return staged->acfc ? PPP_OPT_ACK : PPP_OPT_REJ;
	case LCP_AUTH:
		if (!link->dial)
			return PPP_OPT_REJ; /* nobody authenticates the gateway but by the method that it asks for */
		return ppp_auth_asked(link, data, len, nak) ? PPP_OPT_ACK : PPP_OPT_NAK;
	default:
		/* Callback (13), MRRU (17), SSNHF (18), endpoint discriminator (19), ... */
		return PPP_OPT_REJ;
	}
}

static void take(struct ppp_cp *cp)
{
	cp->link->peer = cp->link->staged;
}

static void refused(struct ppp_cp *cp, bool reject, uint8_t type, const uint8_t *data, size_t len)
{
	struct ppp_link *link = cp->link;
	struct vd_rd r;

	vd_rd_init(&r, data, len);
	switch (type) {
	case LCP_MRU:
		if (reject) {
			link->ask_mru = false;
		} else if (len == 2) {
			uint16_t mru = vd_rd_u16(&r);

			/* A smaller one suits us; a larger one would not pass the channel. */
			if (mru >= PPP_MRU_MIN && mru < link->mru)
				link->mru = mru;
		}
		break;
	case LCP_AUTH:
		if (!link->dial)
			ppp_auth_refused(link, reject, data, len);
		break;
	case LCP_MAGIC:
		if (reject) {
			link->ask_magic = false;
			link->magic = 0;
		} else {
			link->magic = new_magic();
		}
		break;
	default:
		break; /* what the peer wants us to ask for besides is its wish, not ours */
	}
}

/* Windows says who it is in Identifications; they are worth having in the session's timeline. */
static void identification(struct ppp_link *link, const struct ppp_packet *packet)
{
	char text[80];
	size_t len = packet->len > 4 ? packet->len - 4 : 0;
	const uint8_t *p = packet->data + 4;
	const struct vd_session *session = vd_session_find(link->node.id);
	bool words;

	if (!len || link->notes >= 4)
		return;
	link->notes++;
	ppp_said(p, len, text, sizeof(text));
	words = text[0] != '\0';
	if (!words)
		vd_hex(text, sizeof(text), p, len > 32 ? 32 : len);
	vd_note('s', link->node.id, "%s identifies itself: %s", ppp_peer(link), text);
	if (!session || !words)
		return;
	vd_peer_evidence(session->peer, PPP_EVIDENCE_LCP, text);
	vd_session_client(link->node.id, text);
}

static bool extra(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct ppp_link *link = cp->link;
	struct vd_rd r;

	switch (packet->code) {
	case PPP_ECHO_REQ:
	case PPP_ECHO_REPLY:
	case PPP_DISCARD:
	case PPP_PROTOCOL_REJ:
		return true;
	case PPP_IDENTIFICATION:
		identification(link, packet);
		return true;
	case PPP_TIME_REMAINING:
		vd_rd_init(&r, packet->data, packet->len);
		vd_rd_u32(&r);
		if (link->notes < 4 && packet->len >= 8) {
			link->notes++;
			vd_note('s', link->node.id, "%s says %u seconds remain", ppp_peer(link), vd_rd_u32(&r));
		}
		return true;
	default:
		return false;
	}
}

/* Only with LCP open (RFC 1661 sections 5.7 to 5.9). */
static void protocol_reject(struct ppp_link *link, const struct ppp_packet *packet)
{
	const struct vd_ppp_auth_1 *method = link->auth[link->auth_at].method;
	struct vd_rd r;
	uint16_t protocol;

	vd_rd_init(&r, packet->data, packet->len);
	protocol = vd_rd_u16(&r);
	if (!vd_rd_ok(&r)) {
		vd_count("ppp_link.drop.length", 1);
		return;
	}
	vd_count("ppp_link.protocol_rejected", 1);
	if (protocol == PPP_LCP) {
		ppp_link_fail(link, PPP_ODD, "%s rejects LCP itself", ppp_peer(link));
	} else if (protocol == PPP_IPCP) {
		if (!ppp_phase_other(&link->ipcp))
			ppp_link_report(link, (struct vd_report){ .kind = &ppp_fail_ipcp_rejected });
		ppp_cp_rejected(&link->ipcp, true);
	} else if (protocol == PPP_IPV6CP) {
		ppp_cp_rejected(&link->ipv6cp, true);
	} else if (method && protocol == method->protocol && link->phase <= PPP_PHASE_AUTHENTICATE) {
		ppp_link_fail(link, (struct vd_report){ .kind = &ppp_fail_auth_rejected,
			.offered = link->auth[link->auth_at].name }, "%s rejects the authentication protocol", ppp_peer(link));
	}
}

static void opened_extra(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct ppp_link *link = cp->link;
	uint8_t room[PPP_MRU_DEFAULT];
	struct vd_wr w;
	struct vd_rd r;
	uint32_t magic;

	vd_rd_init(&r, packet->data, packet->len);
	switch (packet->code) {
	case PPP_PROTOCOL_REJ:
		protocol_reject(link, packet);
		return;
	case PPP_ECHO_REQ:
		magic = vd_rd_u32(&r);
		if (!vd_rd_ok(&r)) {
			vd_count("ppp_link.drop.length", 1);
			return;
		}
		if (magic && magic == link->magic) {
			vd_count("ppp_link.drop.own_magic", 1);
			return;
		}
		if (!ppp_link_token(link))
			return;
		vd_wr_init(&w, room, sizeof(room));
		vd_wr_u32(&w, link->magic);
		size_t len = vd_rd_left(&r) > sizeof(room) - 4 ? sizeof(room) - 4 : vd_rd_left(&r);
		const uint8_t *data = vd_rd_take(&r, len);
		if (len && data)
			vd_wr_put(&w, data, len);
		ppp_cp_answer(cp, PPP_ECHO_REPLY, packet->id, room, w.len);
		return;
	case PPP_ECHO_REPLY:
		if (packet->id == link->echo_id)
			link->echo_lost = 0;
		return;
	default:
		return; /* Discard, Identification, Time-Remaining */
	}
}

static void terminate(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct ppp_link *link = cp->link;
	char text[VD_ID_TEXT];
	size_t n;

	if (link->reason[0])
		return;
	if (ppp_ras_reason(packet->data, packet->len, text, sizeof(text))) {
		vd_format(link->reason, sizeof(link->reason), "%s", text);
	} else {
		ppp_said(packet->data, packet->len, text, 65);
		n = vd_format(link->reason, sizeof(link->reason), "%s ended the connection%s%s", ppp_peer(link),
			text[0] ? ": " : "", text);
		if (link->wants[0])
			vd_format(link->reason + n, sizeof(link->reason) - n, "; it wants to authenticate us with %s",
				link->wants);
	}
	vd_note('s', link->node.id, "%s sent Terminate-Request: %s", ppp_peer(link), link->reason);
	/* In the set-up this is the client's own word on why it does not connect. */
	if (link->phase < PPP_PHASE_UP)
		ppp_link_report(link, (struct vd_report){ .kind = &vd_fail_gave_up, .stage = ppp_link_stage(link),
			.difference = link->reason });
}

static void up(struct ppp_cp *cp)
{
	ppp_phase_lcp_up(cp->link);
}

static void down(struct ppp_cp *cp)
{
	ppp_phase_lcp_down(cp->link, cp->state == PPP_CLOSING || cp->state == PPP_STOPPING);
}

static void finished(struct ppp_cp *cp)
{
	struct ppp_link *link = cp->link;

	if (!link->failing && !link->reason[0])
		ppp_link_report(link,
			(struct vd_report){ .kind = link->heard ? &ppp_fail_lcp_unacked : &ppp_fail_lcp_silent });
	ppp_link_gone(link, "LCP did not complete");
}

const struct ppp_cp_kind ppp_lcp = {
	.protocol = PPP_LCP,
	.name = "LCP",
	.interval = interval,
	.request = request,
	.begin = begin,
	.option = option,
	.accept = take,
	.refused = refused,
	.extra = extra,
	.opened_extra = opened_extra,
	.terminate = terminate,
	.up = up,
	.down = down,
	.finished = finished,
};
