/* PPP as a client: LCP, MS-CHAPv2, CHAP or PAP, and IPCP (RFC 1661, 2759, 1994, 1334, 1332, 1877), and ICMP packets to try the link. */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "tests/scenario/robot.h"

enum { LCP = 0xc021, CHAP = 0xc223, PAP = 0xc023, IPCP = 0x8021, IPV6CP = 0x8057, IP = 0x0021,
	IPV6 = 0x0057 };
#define RESEND_MS 3000

void robot_ppp_send(struct robot *r, unsigned protocol, const void *p, size_t len)
{
	uint8_t out[1600] = { 0xff, 0x03, (uint8_t)(protocol >> 8), (uint8_t)protocol };

	memcpy(out + 4, p, len);
	robot_l2tp_data(r, out, len + 4);
}

void robot_cp_send(struct robot *r, unsigned protocol, uint8_t code, uint8_t id, const void *p, size_t len)
{
	uint8_t out[1600] = { code, id, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4) };

	memcpy(out + 4, p, len);
	robot_ppp_send(r, protocol, out, len + 4);
}

static void request(struct robot *r, unsigned protocol)
{
	uint8_t lcp[] = { 1, 4, 1400 >> 8, 1400 & 255, 5, 6, 0x11, 0x22, 0x33, 0x44 };
	uint8_t ipv6cp[] = { 1, 10, 0, 10, 0, 11, 0, 12, 0, 13 };
	uint8_t ipcp[] = { 3, 6, 0, 0, 0, 0, 129, 6, 0, 0, 0, 0 };

	memcpy(ipcp + 2, r->address, 4);
	memcpy(ipcp + 8, r->dns, 4);
	r->ppp_due = r->clock + RESEND_MS;
	if (protocol == LCP)
		robot_cp_send(r, LCP, 1, ++r->lcp.id, lcp, sizeof(lcp));
	else if (protocol == IPV6CP)
		robot_cp_send(r, IPV6CP, 1, ++r->ipv6cp.id, ipv6cp, sizeof(ipv6cp));
	else
		robot_cp_send(r, IPCP, 1, ++r->ipcp.id, ipcp, sizeof(ipcp));
}

void robot_ppp_start(struct robot *r)
{
	r->lcp.begun = true;
	if (r->stock)
		stock_ppp_start(r);
	else
		request(r, LCP);
}

static void respond(struct robot *r)
{
	uint8_t out[1 + 49 + 64] = { 49 };
	size_t n = strlen(r->user), m = strlen(r->password);

	if (r->method == ROBOT_PAP) {
		out[0] = (uint8_t)n;
		memcpy(out + 1, r->user, n);
		out[1 + n] = (uint8_t)m;
		memcpy(out + 2 + n, r->password, m);
		r->ppp_due = r->clock + RESEND_MS;
		robot_cp_send(r, PAP, 1, ++r->chap_id, out, 2 + n + m);
		return;
	}
	if (r->method == ROBOT_CHAP) {
		uint8_t text[1 + 64 + 16] = { r->chap_id };

		memcpy(text + 1, r->password, m);
		memcpy(text + 1 + m, r->chap.challenge, 16);
		out[0] = 16;
		ck_assert_int_eq(EVP_Digest(text, 1 + m + 16, out + 1, NULL, EVP_md5(), NULL), 1);
		memcpy(out + 17, r->user, n);
		r->ppp_due = r->clock + RESEND_MS;
		robot_cp_send(r, CHAP, 2, r->chap_id, out, 17 + n);
		return;
	}
	memcpy(out + 1, r->chap.peer_challenge, 16);
	mschap_respond(&r->chap, r->user, r->password, out + 25);
	memcpy(out + 50, r->user, n);
	r->ppp_due = r->clock + RESEND_MS;
	robot_cp_send(r, CHAP, 2, r->chap_id, out, 50 + n);
}

void robot_ppp_time(struct robot *r)
{
	if (r->cdn)
		return;
	if (r->terminating && !r->term_ack && r->clock >= r->term_due)
		robot_term(r);
	if (r->clock < r->ppp_due || r->refused || r->term_req || r->terminating)
		return;
	if (r->stock && stock_ppp_time(r))
		return;
	if (r->lcp.begun && !r->lcp.ours)
		request(r, LCP);
	else if (r->challenged && !r->authenticated)
		respond(r);
	else if (r->ipv6cp.begun && !r->ipv6cp.ours)
		request(r, IPV6CP);
	else if (r->ipcp.begun && !r->ipcp.ours)
		request(r, IPCP);
}

static void let_in(struct robot *r)
{
	if (r->authenticated)
		return;
	r->authenticated = true;
	if (r->stock) {
		stock_ppp_network(r);
		return;
	}
	r->ipcp.begun = true;
	r->ipv6cp.begun = r->ipv6;
	if (r->ipv6)
		request(r, IPV6CP);
	request(r, IPCP);
}

static void pap_input(struct robot *r, const uint8_t *p, size_t len)
{
	ck_assert_uint_ge(len, 5);
	ck_assert_uint_eq(p[4], len - 5);
	snprintf(r->message, sizeof(r->message), "%.*s", (int)(len - 5), (const char *)p + 5);
	ck_assert(p[0] == 2 || p[0] == 3);
	if (p[0] == 3)
		r->refused = true;
	else
		let_in(r);
}

static void chap_input(struct robot *r, const uint8_t *p, size_t len)
{
	char want[43];

	if (p[0] == 1) {
		ck_assert_uint_ge(len, 21);
		ck_assert_uint_eq(p[4], 16);
		if (!r->challenged || memcmp(r->chap.challenge, p + 5, 16) != 0)
			RAND_bytes(r->chap.peer_challenge, 16);
		memcpy(r->chap.challenge, p + 5, 16);
		r->chap_id = p[1];
		r->challenged = true;
		respond(r);
		return;
	}
	snprintf(r->message, sizeof(r->message), "%.*s", (int)(len - 4), (const char *)p + 4);
	if (p[0] == 4) {
		r->refused = true;
		return;
	}
	ck_assert_uint_eq(p[0], 3);
	if (r->method == ROBOT_MSCHAPV2) {
		mschap_authenticator(&r->chap, r->user, r->password, want);
		ck_assert_mem_eq(p + 4, want, 42);
	}
	let_in(r);
}

void robot_auth_input(struct robot *r, unsigned protocol, const uint8_t *p, size_t len)
{
	if (protocol == CHAP)
		chap_input(r, p, len);
	else
		pap_input(r, p, len);
}

void robot_auth_again(struct robot *r)
{
	respond(r);
}

/* The authentication option of LCP: true when it is what we can, else a Nak is under way that says so. */
static bool method_suits(struct robot *r, const uint8_t *p, size_t len)
{
	static const uint8_t wants[][5] = { { 3, 5, 0xc2, 0x23, 0x81 }, { 3, 5, 0xc2, 0x23, 0x05 }, { 3, 4, 0xc0, 0x23 } };
	const uint8_t *want = wants[r->method];

	for (size_t at = 4; at + 2 <= len && p[at + 1] >= 2; at += p[at + 1])
		if (p[at] == 3 && (p[at + 1] != want[1] || memcmp(p + at, want, want[1]) != 0)) {
			robot_cp_send(r, LCP, 3, p[1], want, want[1]);
			return false;
		}
	return true;
}

void robot_auth_begin(struct robot *r)
{
	/* Nobody asks a client of PAP. */
	if (r->method != ROBOT_PAP || r->challenged || !r->lcp.ours || !r->lcp.theirs)
		return;
	r->challenged = true;
	respond(r);
}

static void cp_input(struct robot *r, unsigned protocol, const uint8_t *p, size_t len)
{
	struct robot_cp *cp = protocol == LCP ? &r->lcp : protocol == IPV6CP ? &r->ipv6cp : &r->ipcp;

	switch (p[0]) {
	case 1:
		if (protocol != LCP && !r->authenticated)
			return; /* its Success was lost */
		if (protocol == LCP && !method_suits(r, p, len))
			return;
		cp->theirs = true;
		robot_cp_send(r, protocol, 2, p[1], p + 4, len - 4);
		robot_auth_begin(r);
		return;
	case 2:
		if (p[1] == cp->id)
			cp->ours = true;
		robot_auth_begin(r);
		return;
	case 3:
		ck_assert_uint_eq(protocol, IPCP);
		if (p[1] != cp->id)
			return;
		for (size_t at = 4; at + 6 <= len; at += p[at + 1]) {
			ck_assert_uint_eq(p[at + 1], 6);
			memcpy(p[at] == 3 ? r->address : r->dns, p + at + 2, 4);
		}
		request(r, IPCP);
		return;
	case 5:
		r->term_req++;
		robot_cp_send(r, protocol, 6, p[1], "", 0);
		return;
	case 6:
		r->term_ack = true;
		return;
	case 8:
		ck_assert((p[4] & 0x7f) == 0 && p[5] == 0x57); /* IPv6 is all it speaks that we might not */
		r->ipv6cp.begun = r->ipv6 = false;
		return;
	case 9:
		r->echoes++;
		robot_cp_send(r, LCP, 10, p[1], "\x11\x22\x33\x44", 4);
		return;
	case 10:
		r->echo_replies++;
		return;
	default:
		ck_abort_msg("the gateway sent code %u of %04x", p[0], protocol);
	}
}

void robot_ppp_input(struct robot *r, const uint8_t *p, size_t len)
{
	unsigned protocol;

	if (len > 2 && p[0] == 0xff && p[1] == 0x03) {
		p += 2;
		len -= 2;
	}
	ck_assert_uint_ge(len, 6);
	protocol = p[0] & 1 ? p[0] : (unsigned)p[0] << 8 | p[1];
	len -= p[0] & 1 ? 1 : 2;
	p += p[0] & 1 ? 1 : 2;
	/* RFC 1661 section 3.4 and 3.5: what is not of its phase is not looked at. */
	if (protocol != LCP && !(r->lcp.ours && r->lcp.theirs))
		return;
	if (protocol == IP) {
		ck_assert_uint_le(len, sizeof(r->packet.p));
		memcpy(r->packet.p, p, len);
		r->packet.len = len;
		r->n_packets++;
		return;
	}
	if (protocol == IPV6) {
		struct robot_packet *at = &r->packets6[r->n_packets6++ % VD_ARRAY_SIZE(r->packets6)];

		ck_assert_uint_le(len, sizeof(at->p));
		memcpy(at->p, p, len);
		at->len = len;
		return;
	}
	ck_assert_uint_eq((size_t)p[2] << 8 | p[3], len);
	if (protocol == CHAP || protocol == PAP)
		robot_auth_input(r, protocol, p, len);
	else if (r->stock)
		stock_ppp_input(r, protocol, p, len);
	else if (protocol == LCP || protocol == IPCP || (protocol == IPV6CP && r->ipv6cp.begun))
		cp_input(r, protocol, p, len);
	else
		ck_abort_msg("the gateway sent PPP protocol %04x", protocol);
}

bool robot_up(const struct robot *r)
{
	if (r->xauth.kind)
		return r->xauth.passed && r->address[0] && !r->quick && r->out.live;
	if (r->stock)
		return stock_ppp_up(r);
	return r->lcp.ours && r->lcp.theirs && r->authenticated && r->ipcp.ours && r->ipcp.theirs &&
		(!r->ipv6cp.begun || (r->ipv6cp.ours && r->ipv6cp.theirs));
}

void robot_ipv6(struct robot *r)
{
	r->ipv6 = r->ipv6cp.begun = true;
	request(r, IPV6CP);
}

void robot_echo(struct robot *r)
{
	robot_cp_send(r, LCP, 9, 77, "\x11\x22\x33\x44", 4);
}

void robot_term(struct robot *r)
{
	r->terminating = true;
	r->term_due = r->clock + RESEND_MS;
	robot_cp_send(r, LCP, 5, 99, "", 0);
}

/* ---- ICMP ---- */
static unsigned sum(const uint8_t *p, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void seal(uint8_t *p, uint8_t *at, size_t len)
{
	unsigned s = ~sum(p, len) & 0xffff;

	at[0] = (uint8_t)(s >> 8);
	at[1] = (uint8_t)s;
}

void robot_icmp(uint8_t *p, uint8_t type, uint16_t seq, const uint8_t *src, const uint8_t *dst)
{
	memset(p, 0x5a, ROBOT_ICMP_LEN);
	memcpy(p, (uint8_t[]){ 0x45, 0, 0, ROBOT_ICMP_LEN, 0, 1, 0, 0, 64, 1, 0, 0 }, 12);
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	seal(p, p + 10, 20);
	memcpy(p + 20, (uint8_t[]){ type, 0, 0, 0, 0x12, 0x34, (uint8_t)(seq >> 8), (uint8_t)seq }, 8);
	seal(p + 20, p + 22, ROBOT_ICMP_LEN - 20);
}

bool robot_is_icmp(const uint8_t *p, size_t len, uint8_t type, uint16_t seq, const uint8_t src[4], const uint8_t dst[4])
{
	return len == ROBOT_ICMP_LEN && sum(p, 20) == 0xffff && sum(p + 20, len - 20) == 0xffff && p[20] == type &&
		p[26] == seq >> 8 && p[27] == (seq & 255) && memcmp(p + 12, src, 4) == 0 && memcmp(p + 16, dst, 4) == 0;
}

static const uint8_t far[4] = { 192, 0, 2, 77 };

void robot_ping(struct robot *r, const uint8_t *source, uint16_t seq)
{
	uint8_t p[ROBOT_ICMP_LEN];

	robot_icmp(p, 8, seq, source ? source : r->address, far);
	robot_ip(r, p, sizeof(p));
}

void robot_ip(struct robot *r, const uint8_t *p, size_t len)
{
	if (r->xauth.kind)
		robot_esp_packet(r, p, len);
	else
		robot_ppp_send(r, IP, p, len);
}

void robot_ip6(struct robot *r, const uint8_t *p, size_t len)
{
	robot_ppp_send(r, IPV6, p, len);
}

void robot_pong(const uint8_t to[4], uint16_t seq)
{
	uint8_t p[ROBOT_ICMP_LEN];

	robot_icmp(p, 0, seq, far, to);
	vd_datapath_inject_tun(to[3] % 2, NULL, p, sizeof(p));
}
