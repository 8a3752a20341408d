/* Stock clients: PPP, as far as they differ: options, methods, and what they do when something is refused. */
#include <check.h>
#include <string.h>
#include <viaduct/bytes.h>

#include "tests/scenario/robot.h"

enum { LCP = 0xc021, CHAP = 0xc223, PAP = 0xc023, IPCP = 0x8021, CCP = 0x80fd };
enum { REQ = 1, ACK, NAK, REJ, TERM_REQ, TERM_ACK, CODE_REJ, PROTOCOL_REJ, ECHO_REQ, ECHO_REPLY, DISCARD, IDENTIFICATION };
#define RESEND_MS 3000
#define MAX_REQUESTS 12

static struct stock_cp *cp_of(struct robot *r, unsigned protocol)
{
	for (unsigned i = 0; i < r->ppp.n; i++)
		if (r->ppp.cps[i].protocol == protocol)
			return &r->ppp.cps[i];
	return NULL;
}

static struct stock_cp *cp_new(struct robot *r, uint16_t protocol, const char *options)
{
	struct stock_cp *cp = &r->ppp.cps[r->ppp.n++];

	ck_assert_uint_le(r->ppp.n, VD_ARRAY_SIZE(r->ppp.cps));
	*cp = (struct stock_cp){ .protocol = protocol };
	cp->len = stock_octets(r, options, cp->options, sizeof(cp->options));
	return cp;
}

static size_t option_at(const struct stock_cp *cp, uint8_t type)
{
	size_t at = 0;

	while (at < cp->len && cp->options[at] != type)
		at += cp->options[at + 1];
	return at;
}

static void remove_option(struct stock_cp *cp, size_t at)
{
	size_t n = cp->options[at + 1];

	memmove(cp->options + at, cp->options + at + n, cp->len - at - n);
	cp->len -= n;
}

static uint8_t next_id(struct robot *r, const struct stock_cp *cp)
{
	return r->stock->one_id ? ++r->ppp.id : (uint8_t)(cp->id + 1);
}

/* What the gateway could have answered: the option is gone from the request, or has another value. */
static void refuse_own(struct robot *r, struct stock_cp *cp)
{
	struct stock_refusal *f = &r->ppp.refusal;
	size_t at = option_at(cp, f->type);

	if (f->ours || f->done || f->protocol != cp->protocol)
		return;
	if (f->type == 0) {
		cp->len = 0;
	} else {
		ck_assert_uint_lt(at, cp->len);
		if (f->code == REJ)
			remove_option(cp, at);
		else
			cp->options[at + cp->options[at + 1] - 1] ^= 0x15;
	}
	f->done = true;
}

static void request(struct robot *r, struct stock_cp *cp)
{
	cp->begun = true;
	refuse_own(r, cp);
	if (cp->protocol == LCP || cp->protocol == IPCP)
		r->ppp_due = r->clock + RESEND_MS;
	ck_assert_msg(++cp->requests <= MAX_REQUESTS, "%s: %04x does not converge", r->stock->name, cp->protocol);
	cp->id = next_id(r, cp);
	robot_cp_send(r, cp->protocol, REQ, cp->id, cp->options, cp->len);
}

void stock_ppp_start(struct robot *r)
{
	struct stock_cp *cp = cp_new(r, LCP, r->stock->lcp);

	if (r->stock->late_ms)
		r->ppp_due = r->clock + r->stock->late_ms;
	else
		request(r, cp);
}

void stock_ppp_network(struct robot *r)
{
	for (const struct stock_ncp *n = r->stock->ncps; n->protocol; n++) {
		uint8_t p[256];

		if (n->options)
			request(r, cp_new(r, n->protocol, n->options));
		else
			robot_ppp_send(r, n->protocol, p, stock_octets(r, n->frame, p, sizeof(p)));
	}
}

bool stock_ppp_time(struct robot *r)
{
	struct stock_cp *ipcp = cp_of(r, IPCP);

	if (r->lcp.begun && !r->lcp.ours)
		request(r, cp_of(r, LCP));
	else if (ipcp && ipcp->begun && !ipcp->ours)
		request(r, ipcp);
	else
		return false;
	return true;
}

bool stock_ppp_up(const struct robot *r)
{
	return r->lcp.ours && r->lcp.theirs && r->authenticated && r->ipcp.ours && r->ipcp.theirs;
}

void stock_ppp_terminate(struct robot *r)
{
	uint8_t p[64];

	r->terminating = true;
	r->term_due = r->clock + RESEND_MS;
	robot_cp_send(r, LCP, TERM_REQ, next_id(r, cp_of(r, LCP)), p, stock_octets(r, r->stock->terminate, p, sizeof(p)));
}

/* ---- what the gateway asks for ---- */
static bool method(struct robot *r, const uint8_t *data, size_t len)
{
	static const char *const names[] = { [ROBOT_MSCHAPV2] = "c22381", [ROBOT_CHAP] = "c22305", [ROBOT_PAP] = "c023" };
	char text[16];

	if (len > 4)
		return false;
	vd_hex(text, sizeof(text), data, len);
	for (const char *const *m = r->stock->methods; *m; m++)
		for (unsigned i = 0; i < VD_ARRAY_SIZE(names) && strcmp(*m, text) == 0; i++)
			if (strcmp(names[i], text) == 0) {
				r->method = i;
				return true;
			}
	return false;
}

static size_t want(const struct robot *r, uint8_t *out)
{
	size_t n = stock_octets(r, r->stock->methods[0], out + 2, 8);

	out[0] = 3;
	out[1] = (uint8_t)(n + 2);
	return n + 2;
}

/* True when everything is fine; else a Nak or a Reject is under way. */
static bool agreed(struct robot *r, const struct stock_cp *cp, const uint8_t *p, size_t len)
{
	struct stock_refusal *f = &r->ppp.refusal;
	uint8_t nak[64], rej[64];
	size_t n_nak = 0, n_rej = 0;
	bool known;

	for (size_t at = 4; at < len; at += p[at + 1]) {
		const uint8_t *o = p + at;

		ck_assert_uint_ge(o[1], 2);
		ck_assert_uint_le(at + o[1], len);
		if (f->ours && !f->done && f->protocol == cp->protocol && f->type == o[0]) {
			f->done = true;
			memcpy(f->code == NAK ? nak : rej, o, o[1]);
			if (f->code == REJ) {
				n_rej += o[1];
				continue;
			}
			nak[o[1] - 1] ^= 0x15;
			if (cp->protocol == LCP && o[0] == 1)
				memcpy(nak + 2, "\x04\xb0", 2); /* an MRU of 1200 */
			n_nak += o[1];
			continue;
		}
		/* No gateway has reason to ask for more than this: Windows rejects VJ, Apple name servers. */
		known = cp->protocol == LCP ? o[0] == 1 || o[0] == 3 || o[0] == 5 : cp->protocol != IPCP || o[0] == 3;
		ck_assert_msg(known, "%s is asked for option %u of %04x", r->stock->name, o[0], cp->protocol);
		if (cp->protocol == LCP && o[0] == 3 && !method(r, o + 2, o[1] - 2u))
			n_nak += want(r, nak + n_nak);
	}
	if (n_rej)
		robot_cp_send(r, cp->protocol, REJ, p[1], rej, n_rej);
	else if (n_nak)
		robot_cp_send(r, cp->protocol, NAK, p[1], nak, n_nak);
	return !n_rej && !n_nak;
}

static void mirror(struct robot *r, const struct stock_cp *cp)
{
	struct robot_cp *to = cp->protocol == LCP ? &r->lcp : cp->protocol == IPCP ? &r->ipcp : NULL;

	if (to) {
		to->ours = cp->ours;
		to->theirs = cp->theirs;
	}
	if (cp->protocol != LCP || !cp->ours || !cp->theirs)
		return;
	for (unsigned i = 0; !r->ppp.identified && r->stock->identify[i]; i++) {
		uint8_t p[128];

		robot_cp_send(r, LCP, IDENTIFICATION, next_id(r, cp), p, stock_octets(r, r->stock->identify[i], p, sizeof(p)));
	}
	r->ppp.identified = true;
	robot_auth_begin(r);
}

/* ---- what the gateway answers ---- */
static void rejected(struct robot *r, struct stock_cp *cp, const uint8_t *p, size_t len)
{
	size_t last = 0;
	bool any = cp->len > 0;

	r->ppp.rejects++;
	for (size_t at = 4; at < len; at += p[at + 1]) {
		size_t own = option_at(cp, p[at]);

		/* RFC 1661 section 5.4: in their order, unchanged. */
		ck_assert_msg(own < cp->len && own >= last && cp->options[own + 1] == p[at + 1] &&
			memcmp(cp->options + own, p + at, p[at + 1]) == 0, "%s: rejects what was not asked", r->stock->name);
		ck_assert_msg(cp->protocol != IPCP || p[at] != 3, "%s hangs up when its address is rejected", r->stock->name);
		last = own;
		remove_option(cp, own);
	}
	if (any && !cp->len && cp->protocol == CCP && r->stock->closes_ccp) {
		robot_cp_send(r, CCP, TERM_REQ, next_id(r, cp), "", 0);
		return;
	}
	request(r, cp);
}

static void naked(struct robot *r, struct stock_cp *cp, const uint8_t *p, size_t len)
{
	r->ppp.naks++;
	for (size_t at = 4; at < len; at += p[at + 1]) {
		size_t own = option_at(cp, p[at]);

		if (own < cp->len && cp->options[own + 1] == p[at + 1]) {
			memcpy(cp->options + own, p + at, p[at + 1]);
		} else if (cp->protocol == IPCP && p[at] == 3) { /* told without having asked */
			memcpy(cp->options + cp->len, p + at, 6);
			cp->len += 6;
		}
		if (cp->protocol == IPCP && p[at] == 3)
			memcpy(r->address, p + at + 2, 4);
		else if (cp->protocol == IPCP && p[at] == 129)
			memcpy(r->dns, p + at + 2, 4);
	}
	request(r, cp);
}

static void protocol_rejected(struct robot *r, const uint8_t *p, size_t len)
{
	ck_assert_uint_ge(len, 6);
	unsigned protocol = (unsigned)p[4] << 8 | p[5];
	struct stock_cp *cp = cp_of(r, protocol);

	ck_assert_msg(protocol != IPCP && protocol != CHAP && protocol != PAP, "%s: %04x is rejected", r->stock->name, protocol);
	ck_assert_uint_lt(r->ppp.rejected, VD_ARRAY_SIZE(r->ppp.rejections));
	r->ppp.rejections[r->ppp.rejected++] = (uint16_t)protocol;
	if (cp)
		cp->over = true;
}

void stock_ppp_input(struct robot *r, unsigned protocol, const uint8_t *p, size_t len)
{
	struct stock_cp *cp = cp_of(r, protocol);

	if (!cp && protocol >= 0x8000 && protocol < 0xc000 && !r->authenticated)
		return; /* its Success was lost */
	ck_assert_msg(cp, "%s gets protocol %04x", r->stock->name, protocol);
	switch (p[0]) {
	case REQ:
		/* No client wants compression here, and some hang up over it. */
		ck_assert_msg(protocol != CCP, "%s is asked for CCP", r->stock->name);
		if (!agreed(r, cp, p, len))
			return;
		cp->theirs = true;
		robot_cp_send(r, protocol, ACK, p[1], p + 4, len - 4);
		break;
	case ACK:
		if (p[1] != cp->id)
			return;
		ck_assert_uint_eq(len - 4, cp->len);
		ck_assert_mem_eq(p + 4, cp->options, cp->len);
		cp->ours = true;
		break;
	case NAK:
	case REJ:
		if (p[1] != cp->id || cp->ours)
			return;
		(p[0] == NAK ? naked : rejected)(r, cp, p, len);
		return;
	case TERM_REQ:
		r->term_req += protocol == LCP;
		cp->over = true;
		robot_cp_send(r, protocol, TERM_ACK, p[1], "", 0);
		return;
	case TERM_ACK:
		r->term_ack |= protocol == LCP;
		cp->over = true;
		return;
	case PROTOCOL_REJ:
		ck_assert_uint_eq(protocol, LCP);
		protocol_rejected(r, p, len);
		return;
	case ECHO_REQ:
		r->echoes++;
		robot_cp_send(r, LCP, ECHO_REPLY, p[1], "\x11\x22\x33\x44", 4);
		return;
	case ECHO_REPLY:
		r->echo_replies++;
		return;
	default:
		/* Identification must not be rejected, among others. */
		ck_abort_msg("%s gets code %u of %04x", r->stock->name, p[0], protocol);
	}
	mirror(r, cp);
}
