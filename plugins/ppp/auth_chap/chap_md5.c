/* Plugin ppp_auth_chap: CHAP with MD5 (RFC 1994). The provider needs the password: a hash of it is not enough. */
#include "../lib/login.h"

#define RESPONSE_SIZE 16

static bool parse(struct vd_rd *r, struct vd_authenticate *request)
{
	const uint8_t *name;
	size_t len;

	if (vd_rd_u8(r) != RESPONSE_SIZE)
		return false;
	vd_rd_copy(r, request->response, RESPONSE_SIZE);
	name = vd_rd_rest(r, &len);
	return vd_rd_ok(r) && ppp_login_user(name, len, request);
}

static const struct ppp_login_kind kind = { .name = "chap", .counters = PPP_LOGIN_COUNTERS("ppp_auth_chap"),
	.silent = "chap challenge", .method = VD_AUTH_CHAP_MD5,
	.challenges = true, .option = { 0xc2, 0x23, 0x05 }, .option_len = 3, .strength = 20, .parse = parse,
	.welcome = ppp_login_welcome, .refuse = ppp_login_refuse };

static const char *const provides[] = { "ppp.auth/1", "ppp.auth=chap", NULL };

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

VD_PLUGIN(ppp_auth_chap, .version = "0.1.0", .license = "MIT", .summary = "CHAP with MD5 for PPP (RFC 1994)",
	.provides = provides, .init = init, .fini = fini);
