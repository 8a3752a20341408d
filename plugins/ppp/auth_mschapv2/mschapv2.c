/* Plugin ppp_auth_mschapv2: MS-CHAPv2 toward the client (RFC 2759, over CHAP, RFC 1994); client.c is the other side.
 * Password change and retries (R=1) are not offered. */
#include "../lib/login.h"
#include "client.h"

#include <viaduct/record.h>

#include <errno.h>
#include <string.h>

#define RESPONSE_SIZE 49 /* 16 Peer-Challenge, 8 reserved, 24 NT-Response, 1 flags (RFC 2759 section 4) */

static bool parse(struct vd_rd *r, struct vd_authenticate *request)
{
	const uint8_t *name;
	size_t len;

	if (vd_rd_u8(r) != RESPONSE_SIZE)
		return false;
	vd_rd_copy(r, request->peer_challenge, sizeof(request->peer_challenge));
	vd_rd_take(r, 8);
	vd_rd_copy(r, request->response, sizeof(request->response));
	vd_rd_u8(r);
	name = vd_rd_rest(r, &len);
	return vd_rd_ok(r) && ppp_login_user(name, len, request);
}

static size_t welcome(const struct vd_authenticated *who, char *out, size_t size)
{
	/* Without the right S= the client hangs up with error 778; a provider that has none is misconfigured. */
	if (who->authenticator[0] != 'S' || who->authenticator[1] != '=' ||
		strnlen(who->authenticator, sizeof(who->authenticator)) != 42)
		return 0;
	vd_conceal(who->authenticator, 42);
	return vd_format(out, size, "%s M=Welcome", who->authenticator);
}

/* 649 ("no permission to dial in") stands for "our provider did not answer": Windows takes 691 for a wrong password,
 * throws the stored one away and asks the user for another, which would make an outage here a flood of password calls.
 */
static size_t refuse(bool unavailable, char *out, size_t size)
{
	uint8_t again[16];
	char hex[33], text[64];

	/* A fresh challenge must be in the packet although no retry is allowed (RFC 2759 section 6). */
	vd_random_seen("challenge", again, sizeof(again));
	vd_hex(hex, sizeof(hex), again, sizeof(again));
	for (char *c = hex; *c; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	ppp_login_refuse(unavailable, text, sizeof(text));
	return vd_format(out, size, "E=%u R=0 C=%s V=3 M=%s", unavailable ? 649u : 691u, hex, text);
}

static const struct ppp_login_kind kind = { .name = "mschapv2", .counters = PPP_LOGIN_COUNTERS("ppp_auth_mschapv2"),
	.silent = "mschapv2 challenge", .method = VD_AUTH_MSCHAPV2,
	.challenges = true, .option = { 0xc2, 0x23, 0x81 }, .option_len = 3, .strength = 30, .parse = parse,
	.welcome = welcome, .refuse = refuse };

static const char *const provides[] = { "ppp.auth/1", "ppp.auth=mschapv2", "ppp.auth.client/1", NULL };

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct ppp_logins *logins;
	int r = ppp_logins_new(host, &kind, &logins, err);

	if (r < 0)
		return r;
	r = vd_service_provide(host, "ppp.auth.client/1", kind.name, &mschapv2_client);
	if (r < 0) {
		ppp_logins_free(logins);
		return vd_error_set(err, r, "service ppp.auth.client/1 mschapv2 could not be provided");
	}
	*ret_self = logins;
	return 0;
}

static void fini(void *self)
{
	ppp_logins_free(self);
}

VD_PLUGIN(ppp_auth_mschapv2, .version = "0.1.0", .license = "MIT", .summary = "MS-CHAPv2 for PPP (RFC 2759)",
	.provides = provides, .init = init, .fini = fini);
