/* One control protocol: packets in, events, actions, packets out (RFC 1661 sections 4 and 5). */
#include "link.h"

#include <viaduct/secret.h>

#include <errno.h>
#include <string.h>

/* What an event's actions may need: the packet that caused it and the answer prepared for it. */
struct answer {
	const struct ppp_packet *packet;
	uint8_t code;
	const uint8_t *data;
	size_t len;
};

static void act(struct ppp_cp *cp, enum ppp_event event, const struct answer *answer);

static void timer_fired(struct vd_timer *t)
{
	struct ppp_cp *cp = VD_CONTAINER_OF(t, struct ppp_cp, timer);

	act(cp, cp->restart ? PPP_EV_TO_PLUS : PPP_EV_TO_MINUS, NULL);
}

void ppp_cp_init(struct ppp_cp *cp, const struct ppp_cp_kind *kind, struct ppp_link *link)
{
	memset(cp, 0, sizeof(*cp));
	cp->kind = kind;
	cp->link = link;
	cp->fresh = true;
	vd_timer_init(&cp->timer, timer_fired);
}

void ppp_cp_fini(struct ppp_cp *cp)
{
	vd_timer_stop(&cp->timer);
}

void ppp_cp_answer(struct ppp_cp *cp, uint8_t code, uint8_t id, const void *data, size_t len)
{
	uint8_t room[4 + PPP_MRU_DEFAULT];
	size_t limit = cp->link->peer.mru;
	struct vd_wr w;

	if (limit > PPP_MRU_DEFAULT)
		limit = PPP_MRU_DEFAULT;
	if (len > limit - 4)
		len = limit - 4;
	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u8(&w, code);
	vd_wr_u8(&w, id);
	vd_wr_u16(&w, (uint16_t)(4 + len));
	if (len)
		vd_wr_put(&w, data, len);
	if (vd_wr_ok(&w))
		ppp_link_send(cp->link, cp->kind->protocol, room, w.len);
}

uint8_t ppp_cp_send(struct ppp_cp *cp, uint8_t code, const void *data, size_t len)
{
	ppp_cp_answer(cp, code, ++cp->link->other_id, data, len);
	return cp->link->other_id;
}

uint32_t ppp_cp_interval(const struct ppp_cp *cp, unsigned sent)
{
	(void)cp;
	return sent == 1 ? 1000 : 3000;
}

static void send_request(struct ppp_cp *cp)
{
	struct vd_wr w;

	/* A repetition keeps identifier and contents, so that a late Ack of an earlier copy still counts. */
	if (cp->fresh) {
		vd_wr_init(&w, cp->request, UINT8_MAX);
		cp->kind->request(cp, &w);
		cp->request_len = (uint8_t)w.len;
		cp->id++;
		cp->fresh = false;
	}
	if (cp->restart)
		cp->restart--;
	if (cp->sent < UINT8_MAX)
		cp->sent++;
	ppp_cp_answer(cp, PPP_CONF_REQ, cp->id, cp->request, cp->request_len);
	vd_timer_start(&cp->timer, cp->kind->interval(cp, cp->sent));
}

static void send_terminate(struct ppp_cp *cp)
{
	if (cp->restart)
		cp->restart--;
	ppp_cp_answer(cp, PPP_TERM_REQ, ++cp->id, cp->link->reason, strnlen(cp->link->reason, 64));
	vd_timer_start(&cp->timer, PPP_TERMINATE_MS);
}

static void act(struct ppp_cp *cp, enum ppp_event event, const struct answer *answer)
{
	struct ppp_transition t = ppp_fsm_step(cp->state, event);
	const struct ppp_packet *packet = answer ? answer->packet : NULL;
	uint16_t todo = t.actions;

	if (todo & PPP_ILLEGAL) {
		vd_count("ppp_link.illegal_event", 1);
		return;
	}
	cp->state = t.next;
	if (!ppp_fsm_timed(cp->state))
		vd_timer_stop(&cp->timer);
	if (todo & PPP_TLD)
		cp->kind->down(cp);
	if (todo & PPP_IRC) {
		cp->restart = todo & PPP_STR ? PPP_MAX_TERMINATE : PPP_MAX_CONFIGURE;
		cp->sent = 0;
	}
	if (todo & PPP_ZRC) {
		cp->restart = 0;
		vd_timer_start(&cp->timer, PPP_TERMINATE_MS);
	}
	if (todo & PPP_SCR) {
		if (event != PPP_EV_TO_PLUS)
			cp->fresh = true;
		/* Leaving Opened the counter is not reset by the table; the exchange is a new one all the same. */
		if (todo & PPP_TLD) {
			cp->restart = PPP_MAX_CONFIGURE;
			cp->sent = 0;
		}
		send_request(cp);
	}
	if (todo & PPP_STR)
		send_terminate(cp);
	if (packet && todo & (PPP_SCA | PPP_SCN))
		ppp_cp_answer(cp, answer->code, packet->id, answer->data, answer->len);
	if (packet && todo & PPP_STA)
		ppp_cp_answer(cp, PPP_TERM_ACK, packet->id, NULL, 0);
	if (packet && todo & PPP_SCJ)
		ppp_cp_send(cp, PPP_CODE_REJ, answer->data, answer->len);
	if (packet && todo & PPP_SER && cp->kind->opened_extra)
		cp->kind->opened_extra(cp, packet);
	if (todo & PPP_TLU)
		cp->kind->up(cp);
	if (todo & PPP_TLF)
		cp->kind->finished(cp);
}

void ppp_cp_event(struct ppp_cp *cp, enum ppp_event event)
{
	act(cp, event, NULL);
}

void ppp_cp_rejected(struct ppp_cp *cp, bool fatal)
{
	if (cp->state >= PPP_CLOSED)
		act(cp, fatal ? PPP_EV_RXJ_MINUS : PPP_EV_RXJ_PLUS, NULL);
}

/* Takes one option; false at the end or, with r bad, when it is malformed. */
static bool next_option(struct vd_rd *r, uint8_t *type, const uint8_t **data, size_t *len, struct vd_rd *whole)
{
	uint8_t total;

	if (!vd_rd_left(r))
		return false;
	whole->p = r->p;
	*type = vd_rd_u8(r);
	total = vd_rd_u8(r);
	if (total < 2) {
		vd_rd_fail(r);
		return false;
	}
	*len = total - 2u;
	*data = vd_rd_take(r, *len);
	whole->end = r->p;
	return vd_rd_ok(r);
}

static bool well_formed(const struct ppp_packet *packet)
{
	struct vd_rd r, whole = { 0 };
	const uint8_t *data;
	uint8_t type;
	size_t len;

	if (packet->len >= PPP_OPTIONS_MAX)
		return false;
	vd_rd_init(&r, packet->data, packet->len);
	while (next_option(&r, &type, &data, &len, &whole))
		;
	return vd_rd_ok(&r);
}

static void give_up(struct ppp_cp *cp, const char *who)
{
	char text[96];

	/* A network protocol takes nothing else with it. */
	if (cp->kind->protocol != PPP_LCP && ppp_phase_other(cp)) {
		vd_note('s', cp->link->node.id, "%s does not converge: ended", cp->kind->name);
		ppp_cp_event(cp, PPP_EV_CLOSE);
		return;
	}
	vd_format(text, sizeof(text), "%s: %s refused", cp->kind->name, who);
	ppp_link_fail(cp->link, (struct vd_report){ .kind = &ppp_fail_diverges, .offered = text,
		.stage = cp->kind->protocol == PPP_LCP ? "lcp" : "ipcp", .count = PPP_MAX_REFUSALS }, "%s does not converge", cp->kind->name);
}

static void configure_request(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	uint8_t nak_room[2 * PPP_OPTIONS_MAX], rej_room[PPP_OPTIONS_MAX];
	struct answer answer = { .packet = packet, .code = PPP_CONF_ACK, .data = packet->data, .len = packet->len };
	struct vd_rd r, whole = { 0 };
	struct vd_wr nak, rej;
	const uint8_t *data;
	uint8_t type;
	size_t len;

	/* A copy that the network made of the request we acknowledged, when the peer is known to have opened since:
	 * only answered again. Taken as an event it would tear down a working link (a peer that began anew has another
	 * magic number; one that missed our Ack has not spoken yet). */
	if (cp->state == PPP_OPENED && (cp->link->spoke || cp->kind->protocol != PPP_LCP) && cp->acked_any &&
		packet->id == cp->acked_id && packet->len == cp->acked_len &&
		vd_same(packet->data, cp->acked, packet->len)) {
		vd_count("ppp_link.repeated_request", 1);
		if (ppp_link_token(cp->link))
			ppp_cp_answer(cp, PPP_CONF_ACK, packet->id, packet->data, packet->len);
		return;
	}
	/* In the set-up its timer bounds how long this can go on; nothing bounds it in a session that is up. */
	if (cp->link->phase == PPP_PHASE_UP && !ppp_link_token(cp->link))
		return;
	vd_rd_init(&r, packet->data, packet->len);
	vd_wr_init(&nak, nak_room, sizeof(nak_room));
	vd_wr_init(&rej, rej_room, sizeof(rej_room));
	cp->kind->begin(cp);
	while (next_option(&r, &type, &data, &len, &whole)) {
		size_t before = nak.len;
		enum ppp_judgement j = cp->kind->option(cp, type, data, len, &nak);

		if (j == PPP_OPT_NAK && cp->refusals >= PPP_MAX_FAILURE &&
			!(cp->kind->keep_nak && cp->kind->keep_nak(type))) {
			nak.len = before;
			j = PPP_OPT_REJ;
		}
		if (j == PPP_OPT_REJ)
			vd_wr_put(&rej, whole.p, (size_t)(whole.end - whole.p));
	}
	if (!rej.len && cp->kind->missing)
		cp->kind->missing(cp, &nak);
	if (!vd_wr_ok(&nak) || !vd_wr_ok(&rej)) {
		vd_count("ppp_link.drop.options", 1);
		return;
	}
	if (rej.len || nak.len) {
		answer.code = rej.len ? PPP_CONF_REJ : PPP_CONF_NAK;
		answer.data = rej.len ? rej_room : nak_room;
		answer.len = rej.len ? rej.len : nak.len;
		if (cp->refusals >= PPP_MAX_REFUSALS) {
			give_up(cp, "we");
			return;
		}
		cp->refusals++;
		act(cp, PPP_EV_RCR_MINUS, &answer);
		return;
	}
	/* Only what the automaton answers with an Ack is in force. */
	if (ppp_fsm_step(cp->state, PPP_EV_RCR_PLUS).actions & PPP_SCA) {
		cp->refusals = 0;
		cp->kind->accept(cp);
		memcpy(cp->acked, packet->data, packet->len);
		cp->acked_len = (uint8_t)packet->len;
		cp->acked_id = packet->id;
		cp->acked_any = true;
	}
	act(cp, PPP_EV_RCR_PLUS, &answer);
}

/* RFC 1661 section 5.4: a Configure-Reject lists options of our request, unmodified and in order. */
static bool reject_matches(const struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct vd_rd r, ours, whole = { 0 }, mine = { 0 };
	const uint8_t *data;
	uint8_t type;
	size_t len;

	vd_rd_init(&r, packet->data, packet->len);
	vd_rd_init(&ours, cp->request, cp->request_len);
	while (next_option(&r, &type, &data, &len, &whole)) {
		size_t n = (size_t)(whole.end - whole.p);

		do {
			if (!next_option(&ours, &type, &data, &len, &mine))
				return false;
		} while ((size_t)(mine.end - mine.p) != n || !vd_same(mine.p, whole.p, n));
	}
	return true;
}

static void configure_reply(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	struct answer answer = { .packet = packet };
	bool fits = packet->id == cp->id && !cp->fresh;
	struct vd_rd r, whole = { 0 };
	const uint8_t *data;
	uint8_t type;
	size_t len;

	if (packet->code == PPP_CONF_ACK)
		fits = fits && packet->len == cp->request_len && vd_same(packet->data, cp->request, packet->len);
	else if (packet->code == PPP_CONF_REJ)
		fits = fits && packet->len && reject_matches(cp, packet);
	/* In Closed and Stopped the automaton wants to answer with a Terminate-Ack whatever the identifier. */
	if (!fits && cp->state > PPP_STOPPED) {
		vd_count("ppp_link.drop.reply_id", 1);
		return;
	}
	/* The answer came again, by a copy in the network: the RFC's "crossed connection" would undo a good exchange.
	 * pppd ignores it as well (seen_ack). */
	if (packet->code == PPP_CONF_ACK && (cp->state == PPP_ACK_RCVD || cp->state == PPP_OPENED)) {
		vd_count("ppp_link.repeated_ack", 1);
		return;
	}
	if (packet->code == PPP_CONF_ACK) {
		cp->refused = 0;
		act(cp, PPP_EV_RCA, &answer);
		return;
	}
	if (cp->state == PPP_ACK_RCVD || cp->state == PPP_OPENED) {
		vd_count("ppp_link.drop.late_nak", 1);
		return;
	}
	if (cp->state > PPP_STOPPED) {
		if (++cp->refused >= PPP_MAX_REFUSALS) {
			give_up(cp, ppp_peer(cp->link));
			return;
		}
		vd_rd_init(&r, packet->data, packet->len);
		while (next_option(&r, &type, &data, &len, &whole))
			cp->kind->refused(cp, packet->code == PPP_CONF_REJ, type, data, len);
		if (cp->link->failing)
			return;
	}
	act(cp, PPP_EV_RCN, &answer);
}

static void code_reject(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	uint8_t code = packet->len ? packet->data[0] : 0;

	/* Codes 1 to 7 are the protocol itself; losing another one is harmless (RFC 1661 section 4.3, RXJ). */
	if (code >= PPP_CONF_REQ && code <= PPP_CODE_REJ) {
		act(cp, PPP_EV_RXJ_MINUS, NULL);
		return;
	}
	if (code == PPP_ECHO_REQ && cp->kind->protocol == PPP_LCP)
		cp->link->echo_off = true;
	/* RXJ+ drops Ack-Rcvd to Req-Sent for nothing here: the code it names was no part of the negotiation. */
	vd_count("ppp_link.code_rejected", 1);
}

void ppp_cp_input(struct ppp_cp *cp, const uint8_t *p, size_t len)
{
	struct ppp_packet packet;
	struct answer answer;
	struct vd_rd r, body;
	uint16_t total;

	vd_rd_init(&r, p, len);
	packet.code = vd_rd_u8(&r);
	packet.id = vd_rd_u8(&r);
	total = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || total < 4 || !vd_rd_sub(&r, total - 4u, &body)) {
		vd_count("ppp_link.drop.length", 1);
		return;
	}
	packet.data = vd_rd_rest(&body, &packet.len); /* what follows is padding (RFC 1661 section 2) */
	/* Before Up and after Down nothing is expected. */
	if (cp->state < PPP_CLOSED) {
		vd_count("ppp_link.drop.state", 1);
		return;
	}
	answer = (struct answer){ .packet = &packet };
	switch (packet.code) {
	case PPP_CONF_REQ:
	case PPP_CONF_ACK:
	case PPP_CONF_NAK:
	case PPP_CONF_REJ:
		if (!well_formed(&packet)) {
			vd_count("ppp_link.drop.options", 1);
			return;
		}
		if (packet.code == PPP_CONF_REQ)
			configure_request(cp, &packet);
		else
			configure_reply(cp, &packet);
		break;
	case PPP_TERM_REQ:
		if (!ppp_link_token(cp->link))
			return;
		cp->kind->terminate(cp, &packet);
		act(cp, PPP_EV_RTR, &answer);
		break;
	case PPP_TERM_ACK:
		/* One that answers our Terminate-Request names it. In the other states it says that the peer is closed,
		 * whatever its identifier (RFC 1661 section 4.3, RTA). */
		if (cp->state == PPP_CLOSING && packet.id != cp->id) {
			vd_count("ppp_link.drop.reply_id", 1);
			return;
		}
		act(cp, PPP_EV_RTA, NULL);
		break;
	case PPP_CODE_REJ:
		code_reject(cp, &packet);
		break;
	default:
		if (cp->kind->extra && cp->kind->extra(cp, &packet)) {
			act(cp, PPP_EV_RXR, &answer);
			break;
		}
		if (!ppp_link_token(cp->link))
			return;
		vd_count("ppp_link.unknown_code", 1);
		answer.data = p;
		answer.len = total;
		act(cp, PPP_EV_RUC, &answer);
	}
}

void ppp_timer_export(const struct vd_timer *t, struct vd_wr *w)
{
	uint64_t left = vd_timer_left(t);

	vd_wr_u32(w, vd_timer_armed(t) && left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
}

void ppp_timer_import(struct vd_timer *t, struct vd_rd *r)
{
	uint32_t left = vd_rd_u32(r);

	vd_timer_stop(t);
	if (vd_rd_ok(r) && left != UINT32_MAX)
		vd_timer_start(t, left);
}

void ppp_cp_export(const struct ppp_cp *cp, struct vd_wr *w)
{
	vd_wr_u8(w, cp->state);
	vd_wr_u8(w, cp->restart);
	vd_wr_u8(w, cp->sent);
	vd_wr_u8(w, cp->id);
	vd_wr_u8(w, (uint8_t)(cp->fresh | cp->acked_any << 1));
	vd_wr_u8(w, cp->refusals);
	vd_wr_u8(w, cp->refused);
	vd_wr_u8(w, cp->acked_id);
	vd_wr_u8(w, cp->request_len);
	vd_wr_put(w, cp->request, cp->request_len);
	vd_wr_u8(w, cp->acked_len);
	vd_wr_put(w, cp->acked, cp->acked_len);
	ppp_timer_export(&cp->timer, w);
}

int ppp_cp_import(struct ppp_cp *cp, struct vd_rd *r)
{
	uint8_t flags;

	cp->state = vd_rd_u8(r);
	cp->restart = vd_rd_u8(r);
	cp->sent = vd_rd_u8(r);
	cp->id = vd_rd_u8(r);
	flags = vd_rd_u8(r);
	cp->fresh = flags & 1;
	cp->acked_any = flags & 2;
	cp->refusals = vd_rd_u8(r);
	cp->refused = vd_rd_u8(r);
	cp->acked_id = vd_rd_u8(r);
	cp->request_len = vd_rd_u8(r);
	vd_rd_copy(r, cp->request, cp->request_len);
	cp->acked_len = vd_rd_u8(r);
	vd_rd_copy(r, cp->acked, cp->acked_len);
	ppp_timer_import(&cp->timer, r);
	return vd_rd_ok(r) && cp->state < PPP_STATES ? 0 : -EBADMSG;
}
