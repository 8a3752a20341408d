/* PPP of a client (RFC 1661): LCP, the authentication that the gateway wants (MS-CHAPv2, CHAP, PAP), IPCP, echo. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

enum { LCP = 0xc021, PAP = 0xc023, CHAP = 0xc223, IPCP = 0x8021, IP = 0x0021 };
enum {
	CONF_REQ = 1,
	CONF_ACK,
	CONF_NAK,
	CONF_REJ,
	TERM_REQ,
	TERM_ACK,
	CODE_REJ,
	PROTO_REJ,
	ECHO_REQ,
	ECHO_REPLY,
	DISCARD,
	IDENT
};
#define RESEND_S 3.0
#define TRIES 10u
#define MISSING 4u /* so many echoes without an answer */

static void send_frame(struct load_client *c, unsigned protocol, const void *p, size_t len)
{
	uint8_t out[1600];
	struct vd_wr w;

	vd_wr_init(&w, out, sizeof(out));
	vd_wr_u16(&w, 0xff03);
	vd_wr_u16(&w, (uint16_t)protocol);
	vd_wr_put(&w, p, len);
	if (vd_wr_ok(&w))
		load_l2tp_data(c, out, w.len);
}

static void send_cp(struct load_client *c, unsigned protocol, uint8_t code, uint8_t id, const void *p, size_t len)
{
	uint8_t out[1600];
	struct vd_wr w;

	vd_wr_init(&w, out, sizeof(out));
	vd_wr_u8(&w, code);
	vd_wr_u8(&w, id);
	vd_wr_u16(&w, (uint16_t)(len + 4));
	vd_wr_put(&w, p, len);
	if (vd_wr_ok(&w))
		send_frame(c, protocol, out, w.len);
}

/* Where the number of that name server lies in c->dns: options 129 to 132 of RFC 1877. */
static unsigned dns_at(uint8_t option) { return (option - 129u) % 4; }

static void request(struct load_client *c, unsigned protocol)
{
	struct load_cp *cp = protocol == LCP ? &c->lcp : &c->ipcp;
	const char *options = protocol == LCP ? load_opt.profile->lcp : load_opt.profile->ipcp;
	uint8_t room[64];
	struct vd_wr w;

	if (cp->tries++ > TRIES) {
		load_client_failed(c, "%s does not converge", protocol == LCP ? "LCP" : "IPCP");
		return;
	}
	vd_wr_init(&w, room, sizeof(room));
	for (unsigned i = 0; options[i]; i++) {
		uint8_t option = (uint8_t)options[i];

		if (cp->rejected & 1u << i)
			continue;
		vd_wr_u8(&w, option);
		if (protocol == IPCP) {
			vd_wr_u8(&w, 6);
			vd_wr_put(&w, option == 3 ? c->address : c->dns[dns_at(option)], 4);
		} else if (option == 1) {
			vd_wr_u8(&w, 4);
			vd_wr_u16(&w, c->mru);
		} else if (option == 2) {
			vd_wr_u8(&w, 6);
			vd_wr_u32(&w, 0);
		} else if (option == 5) {
			vd_wr_u8(&w, 6);
			vd_wr_u32(&w, c->magic);
		} else if (option == 13) { /* callback */
			vd_wr_u8(&w, 3);
			vd_wr_u8(&w, 6);
		} else { /* 7, 8: compression of the header */
			vd_wr_u8(&w, 2);
		}
	}
	load_due(c, DUE_PPP, RESEND_S);
	send_cp(c, protocol, CONF_REQ, ++cp->id, room, w.len);
}

void load_ppp_start(struct load_client *c)
{
	RAND_bytes((uint8_t *)&c->magic, sizeof(c->magic));
	c->mru = 1400;
	c->method = CHAP;
	request(c, LCP);
}

/* ---- authentication ---- */
/* The user's name or password: of the text, "%" is the client's number. */
static size_t expand(const struct load_client *c, const char *text, char *out, size_t size)
{
	const char *at = strchr(text, '%');

	if (!at)
		snprintf(out, size, "%s", text);
	else
		snprintf(out, size, "%.*s%u%s", (int)(at - text), text, c->number, at + 1);
	return strlen(out);
}

static void respond(struct load_client *c)
{
	char user[65], password[65];
	size_t n = expand(c, load_opt.user, user, sizeof(user)),
	       m = expand(c, load_opt.password, password, sizeof(password));
	uint8_t out[256];
	struct vd_wr w;

	vd_wr_init(&w, out, sizeof(out));
	load_due(c, DUE_PPP, RESEND_S);
	c->answered = true;
	if (c->method == PAP) {
		vd_wr_u8(&w, (uint8_t)n);
		vd_wr_put(&w, user, n);
		vd_wr_u8(&w, (uint8_t)m);
		vd_wr_put(&w, password, m);
		send_cp(c, PAP, 1, ++c->chap_id, out, w.len);
		return;
	}
	if (c->algorithm == 5) { /* RFC 1994 */
		uint8_t text[1 + 64 + 16] = { c->chap_id };

		memcpy(text + 1, password, m);
		memcpy(text + 1 + m, c->chap.challenge, 16);
		vd_wr_u8(&w, 16);
		EVP_Digest(text, 1 + m + 16, out + vd_wr_mark(&w, 16), NULL, EVP_md5(), NULL);
	} else {
		vd_wr_u8(&w, 49);
		vd_wr_put(&w, c->chap.peer_challenge, 16);
		vd_wr_zero(&w, 8);
		mschap_respond(&c->chap, user, password, out + vd_wr_mark(&w, 24));
		vd_wr_u8(&w, 0);
	}
	vd_wr_put(&w, user, n);
	send_cp(c, CHAP, 2, c->chap_id, out, w.len);
}

static void let_in(struct load_client *c)
{
	if (c->authenticated)
		return;
	c->authenticated = true;
	load_client_phase(c, LOAD_IPCP);
	request(c, IPCP);
}

static void refused(struct load_client *c, const uint8_t *p, size_t len)
{
	char text[128], *challenge, *behind;

	/* Without the challenge of RFC 2759, so that equal reasons are equal. */
	snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)p);
	challenge = strstr(text, " C=");
	if (challenge) {
		behind = challenge + 1 + strcspn(challenge + 1, " ");
		memmove(challenge, behind, strlen(behind) + 1);
	}
	load_client_failed(c, "authentication refused: %s", text);
}

static void chap_input(struct load_client *c, const uint8_t *p, size_t len)
{
	char user[65], password[65], want[43];

	if (p[0] == 1 && len >= 21 && p[4] == 16) {
		if (!c->answered || memcmp(c->chap.challenge, p + 5, 16) != 0)
			RAND_bytes(c->chap.peer_challenge, 16);
		memcpy(c->chap.challenge, p + 5, 16);
		c->chap_id = p[1];
		respond(c);
	} else if (p[0] == 4) {
		refused(c, p + 4, len - 4);
	} else if (p[0] == 3 && c->answered) {
		if (c->algorithm != 5) {
			expand(c, load_opt.user, user, sizeof(user));
			expand(c, load_opt.password, password, sizeof(password));
			mschap_authenticator(&c->chap, user, password, want);
			if (len < 4 + 42 || memcmp(p + 4, want, 42) != 0) {
				load_client_failed(c, "the gateway does not know the password");
				return;
			}
		}
		let_in(c);
	}
}

static void pap_input(struct load_client *c, const uint8_t *p, size_t len)
{
	if (p[0] == 2)
		let_in(c);
	else if (p[0] == 3)
		refused(c, p + 5, len > 5 ? len - 5 : 0);
}

/* ---- LCP and IPCP ---- */
static void opened(struct load_client *c)
{
	if (c->lcp.ours && c->lcp.theirs && c->phase == LOAD_LCP) {
		load_client_phase(c, LOAD_AUTH);
		load_due(c, DUE_PPP, 0);
		if (c->method == PAP)
			respond(c);
		else if (c->method == 0)
			let_in(c);
	} else if (c->ipcp.ours && c->ipcp.theirs && c->phase == LOAD_IPCP && c->state == LOAD_DIALLING) {
		load_due(c, DUE_PPP, 0);
		load_client_up(c);
	}
}

/* What the gateway asks for: acknowledged, or what is not known rejected, or another method of authentication wished
 * for. */
static void requested(struct load_client *c, unsigned protocol, const uint8_t *p, size_t len)
{
	uint8_t rejected[1500];
	uint16_t method = 0;
	struct vd_wr w;
	struct vd_rd r;

	vd_wr_init(&w, rejected, sizeof(rejected));
	vd_rd_init(&r, p + 4, len - 4);
	while (vd_rd_left(&r) >= 2) {
		uint8_t type = vd_rd_u8(&r), n = vd_rd_u8(&r);
		struct vd_rd v;

		if (n < 2 || !vd_rd_sub(&r, n - 2u, &v))
			return;
		bool known = protocol == IPCP
				     ? type == 3
				     : type == 1 || type == 2 || type == 3 || type == 5 || type == 7 || type == 8;
		if (!known) {
			vd_wr_put(&w, v.p - 2, n);
		} else if (protocol == LCP && type == 3) {
			method = vd_rd_u16(&v);
			c->algorithm = vd_rd_u8(&v);
			if (method != PAP && !(method == CHAP && (c->algorithm == 0x81 || c->algorithm == 5))) {
				send_cp(c, LCP, CONF_NAK, p[1], "\x03\x05\xc2\x23\x81", 5);
				return;
			}
		} else if (protocol == LCP && type == 5) {
			c->peer_magic = vd_rd_u32(&v);
		}
	}
	if (w.len > 0) {
		send_cp(c, protocol, CONF_REJ, p[1], rejected, w.len);
		return;
	}
	if (protocol == LCP)
		c->method = method;
	send_cp(c, protocol, CONF_ACK, p[1], p + 4, len - 4);
	(protocol == LCP ? &c->lcp : &c->ipcp)->theirs = true;
	opened(c);
}

/* A Nak or Reject of ours: the next request has other values, or is without. */
static void answered(struct load_client *c, unsigned protocol, const uint8_t *p, size_t len)
{
	struct load_cp *cp = protocol == LCP ? &c->lcp : &c->ipcp;
	const char *options = protocol == LCP ? load_opt.profile->lcp : load_opt.profile->ipcp;
	struct vd_rd r;

	vd_rd_init(&r, p + 4, len - 4);
	while (vd_rd_left(&r) >= 2) {
		uint8_t type = vd_rd_u8(&r), n = vd_rd_u8(&r);
		const char *at = type ? strchr(options, type) : NULL;
		struct vd_rd v;

		if (n < 2 || !vd_rd_sub(&r, n - 2u, &v))
			return;
		if (!at)
			continue;
		if (p[0] == CONF_REJ)
			cp->rejected |= 1u << (at - options);
		else if (protocol == IPCP)
			vd_rd_copy(&v, type == 3 ? c->address : c->dns[dns_at(type)], 4);
		else if (type == 1)
			c->mru = vd_rd_u16(&v);
		else if (type == 5)
			c->magic ^= 0x5a5a1234;
		else
			cp->rejected |= 1u << (at - options);
	}
	request(c, protocol);
}

static void echo_reply(struct load_client *c, const uint8_t *p, size_t len)
{
	uint8_t body[1500];
	struct vd_wr w;

	load_stats.echoes_asked++;
	vd_wr_init(&w, body, sizeof(body));
	vd_wr_u32(&w, c->magic);
	if (len > 8)
		vd_wr_put(&w, p + 8, len - 8);
	send_cp(c, LCP, ECHO_REPLY, p[1], body, w.len);
}

static void cp_input(struct load_client *c, unsigned protocol, const uint8_t *p, size_t len)
{
	struct load_cp *cp = protocol == LCP ? &c->lcp : &c->ipcp;

	switch (p[0]) {
	case CONF_REQ:
		if (protocol == LCP || c->authenticated)
			requested(c, protocol, p, len);
		break;
	case CONF_ACK:
		if (p[1] != cp->id || cp->ours)
			break;
		cp->ours = true;
		opened(c);
		break;
	case CONF_NAK:
	case CONF_REJ:
		if (p[1] == cp->id && !cp->ours)
			answered(c, protocol, p, len);
		break;
	case TERM_REQ:
		send_cp(c, protocol, TERM_ACK, p[1], "", 0);
		if (c->state != LOAD_ENDING)
			load_client_failed(c, "the gateway ends %s%s%.*s", protocol == LCP ? "PPP" : "IPCP",
				len > 4 ? ": " : "", (int)(len - 4), (const char *)p + 4);
		break;
	case TERM_ACK:
		if (c->state == LOAD_ENDING && protocol == LCP)
			load_due(c, DUE_END, 1e-3);
		break;
	case ECHO_REQ:
		if (protocol == LCP)
			echo_reply(c, p, len);
		break;
	case ECHO_REPLY:
		c->echo_missing = 0;
		load_stats.echoes_in++;
		break;
	default: /* Code-Reject, Protocol-Reject, Discard, Identification */ break;
	}
}

void load_ppp_due(struct load_client *c)
{
	if (c->state != LOAD_DIALLING)
		return;
	if (c->phase == LOAD_LCP && !c->lcp.ours)
		request(c, LCP);
	else if (c->phase == LOAD_AUTH && c->answered)
		respond(c);
	else if (c->phase == LOAD_IPCP && !c->ipcp.ours)
		request(c, IPCP);
}

void load_ppp_echo(struct load_client *c)
{
	uint8_t magic[4];
	struct vd_wr w;

	if (c->echo_missing++ >= MISSING) {
		load_client_failed(c, "the gateway does not answer LCP echoes");
		return;
	}
	vd_wr_init(&w, magic, sizeof(magic));
	vd_wr_u32(&w, c->magic);
	load_stats.echoes_out++;
	load_due(c, DUE_ECHO, load_opt.echo);
	send_cp(c, LCP, ECHO_REQ, ++c->echo_id, magic, w.len);
}

void load_ppp_terminate(struct load_client *c) { send_cp(c, LCP, TERM_REQ, ++c->lcp.id, "", 0); }

void load_ppp_ip(struct load_client *c, const void *p, size_t len) { send_frame(c, IP, p, len); }

void load_ppp_input(struct load_client *c, const uint8_t *p, size_t len)
{
	struct vd_rd r;
	unsigned protocol;
	size_t n;

	vd_rd_init(&r, p, len);
	if (len > 2 && p[0] == 0xff && p[1] == 0x03)
		vd_rd_u16(&r);
	protocol = vd_rd_u8(&r);
	if (!(protocol & 1))
		protocol = protocol << 8 | vd_rd_u8(&r);
	p = vd_rd_rest(&r, &n);
	if (!vd_rd_ok(&r) || n == 0)
		return;
	if (protocol == IP) {
		load_traffic_input(c, p, n);
		return;
	}
	len = n;
	if (len < 4)
		return;
	size_t said = (size_t)p[2] << 8 | p[3];
	if (said >= 4 && said < len && (protocol == LCP || protocol == IPCP || protocol == CHAP || protocol == PAP))
		len = said; /* padding is behind it */
	if (protocol == LCP || protocol == IPCP) {
		cp_input(c, protocol, p, len);
	} else if (c->phase < LOAD_AUTH) {
		return; /* RFC 1661 section 3.4: not looked at before LCP is open */
	} else if (protocol == CHAP && c->method == CHAP) {
		chap_input(c, p, len);
	} else if (protocol == PAP && c->method == PAP) {
		pap_input(c, p, len);
	} else {
		uint8_t out[1500] = { (uint8_t)(protocol >> 8), (uint8_t)protocol };

		if (len > sizeof(out) - 2 - 64)
			len = sizeof(out) - 2 - 64;
		memcpy(out + 2, p, len);
		send_cp(c, LCP, PROTO_REJ, ++c->echo_id, out, len + 2);
	}
}
