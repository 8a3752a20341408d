/* Plugin ppp_auth_pap: PAP (RFC 1334 section 2). The client sends name and password in clear text, so whoever knows the
 * pre-shared key and stands in for us learns them: only for connections that name it, and after all other methods. */
#include "../lib/login.h"

static bool parse(struct vd_rd *r, struct vd_authenticate *request)
{
	const uint8_t *name, *password;
	uint8_t len;

	len = vd_rd_u8(r);
	name = vd_rd_take(r, len);
	if (!vd_rd_ok(r) || !ppp_login_user(name, len, request))
		return false;
	len = vd_rd_u8(r);
	password = vd_rd_take(r, len);
	request->data = (struct vd_blob){ password, len };
	return vd_rd_ok(r);
}

static const struct ppp_login_kind kind = { .name = "pap", .counters = PPP_LOGIN_COUNTERS("ppp_auth_pap"),
	.silent = "request for its name and password (pap)",
	.method = VD_AUTH_PAP, .option = { 0xc0, 0x23 }, .option_len = 2, .strength = 10, .parse = parse,
	.welcome = ppp_login_welcome, .refuse = ppp_login_refuse };

static const char *const provides[] = { "ppp.auth/1", "ppp.auth=pap", NULL };

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct ppp_logins *logins;
	int r = ppp_logins_new(host, &kind, &logins, err);

	if (r >= 0)
		*ret_self = logins;
	return r;
}

static void fini(void *self)
{
	ppp_logins_free(self);
}

VD_PLUGIN(ppp_auth_pap, .version = "0.1.0", .license = "MIT", .summary = "PAP for PPP (RFC 1334), in clear text",
	.provides = provides, .init = init, .fini = fini);
