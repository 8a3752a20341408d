/* Plugin ppp_auth_mschapv2: MS-CHAPv2 toward the client (RFC 2759, over CHAP, RFC 1994); client.c is the other side.
 * A wrong password may be corrected (R=1) as often as `ppp.auth_retries` says; nobody can change one from here. */
#include "../lib/login.h"
#include "client.h"

#include <viaduct/record.h>

#include <errno.h>
#include <string.h>

#define CHANGE_PASSWORD 7  /* its body: 516 encrypted password, 16 encrypted hash, 16 Peer-Challenge, 8 reserved, 24 NT-Response,
                            * 2 flags (RFC 2759 section 7) */
#define CHANGE_SIZE 582
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

/* What clients show (RFC 2759 section 6). All but 691 are told only to who knew the password: see `authenticate` in topics.h.
 * 649 ("no permission to dial in") stands for "our provider did not answer" as well: Windows takes 691 for a wrong password,
 * throws the stored one away and asks the user for another, which would make an outage here a flood of password calls. */
static const struct {
	int code;
	unsigned error;
	const char *text;
} errors[] = {
	{ -ETIME, 646, "Not at this time" },
	{ -EPERM, 647, "The account is disabled" },
	{ -EKEYEXPIRED, 648, "The password has expired" },
	{ -EACCES, 649, "This account may not dial in" },
	{ -EOPNOTSUPP, 709, "Passwords cannot be changed here" },
};

static size_t refuse(const struct ppp_refusal *why, char *out, size_t size)
{
	unsigned error = why->unavailable ? 649u : 691u;
	char hex[33], text[64];

	/* A fresh challenge must be in the packet even when no retry is allowed (RFC 2759 section 6). */
	vd_hex(hex, sizeof(hex), why->challenge, 16);
	for (char *c = hex; *c; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	ppp_login_refuse(why, text, sizeof(text));
	for (size_t i = 0; i < VD_ARRAY_SIZE(errors); i++)
		if (errors[i].code == why->code) {
			error = errors[i].error;
			vd_strcpy(text, sizeof(text), errors[i].text);
		}
	return vd_format(out, size, "E=%u R=%u C=%s V=3 M=%s", error, why->again, hex, text);
}

static const struct ppp_login_kind kind = { .name = "mschapv2", .counters = PPP_LOGIN_COUNTERS("ppp_auth_mschapv2"),
	.silent = "mschapv2 challenge", .method = VD_AUTH_MSCHAPV2,
	.challenges = true, .option = { 0xc2, 0x23, 0x81 }, .option_len = 3, .strength = 30, .parse = parse,
	.welcome = welcome, .refuse = refuse, .retries = true, .change = CHANGE_PASSWORD, .change_len = CHANGE_SIZE };

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
