/* template: a whole authentication provider, to start one's own from. It knows guests, who share a password:
 *
 *   template: { lobby: { guests: [anna, bert], password: !file ../secrets/lobby } }
 *   realms: { lobby: { authenticate: [template/lobby] } }
 *
 * Build:  cc -O2 -o template.so template.c $(pkg-config --cflags --libs viaduct)
 * Copy it, call everything "template" by your plugin's name (the file too), and change check().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/topics.h>

/* All state hangs on one object: no mutable globals, since init may be called again after fini. */
struct template {
	const struct vd_conf *conf; /* a reference: what we look at does not change until reload() */
};

/* The options. The core reads, checks and documents them; what it accepted needs no second check here. */
static const struct vd_opt schema[] = {
	{ "template.*", VD_T_MAP, 0, NULL, NULL, "Guests who share a password; realms name them as template/NAME." },
	{ "template.*.guests", VD_T_STRING, VD_OPT_LIST | VD_OPT_REQUIRED | VD_OPT_LIVE, NULL, NULL,
		"Names that may log in." },
	{ "template.*.password", VD_T_SECRET, VD_OPT_REQUIRED | VD_OPT_LIVE, NULL, NULL, "The password of all of them." },
	{ "template.*.session_timeout", VD_T_DURATION, VD_OPT_LIVE, "12h", "1m..7d", "Longest session of a guest." },
	{ NULL },
};

/* Secrets are compared in constant time, by digests of one length, and what was derived from them is wiped. */
static bool check_pap(const struct vd_secret *password, const struct vd_authenticate *r)
{
	uint8_t known[64], given[64];
	size_t n = 0, m = 0;
	bool ok = !vd_digest("SHA256", vd_secret_data(password), vd_secret_len(password), known, &n) &&
		  !vd_digest("SHA256", r->data.p ? (const void *)r->data.p : "", r->data.len, given, &m) &&
		  vd_same(known, given, n);

	vd_wipe(known, sizeof(known));
	vd_wipe(given, sizeof(given));
	return ok;
}

/* The client proves that it knows the password, and the answer proves to it that we do. */
static bool check_mschapv2(const struct vd_secret *password, const struct vd_authenticate *r, struct vd_authenticated *a)
{
	const char *user = vd_mschap_user(r->user);
	uint8_t hash[16], expected[24];
	char text[43];
	bool ok = !vd_mschap_nt_hash((const char *)vd_secret_data(password), vd_secret_len(password), hash) &&
		  !vd_mschapv2_response(r->challenge, r->peer_challenge, user, hash, expected) &&
		  vd_same(expected, r->response, sizeof(expected)) &&
		  !vd_mschapv2_authenticator(hash, r->response, r->challenge, r->peer_challenge, user, text) &&
		  !vd_mschapv2_mppe_keys(hash, r->response, a->send_key, a->recv_key);

	if (ok)
		vd_strcpy(a->authenticator, sizeof(a->authenticator), text);
	vd_wipe(hash, sizeof(hash));
	vd_wipe(expected, sizeof(expected));
	return ok;
}

/* One login against one set of guests. why is for the operator: the client never learns whether the user exists, so the
 * password is checked for strangers too. */
static enum vd_verdict check(const struct vd_conf *conf, const struct vd_conf_node *set, const struct vd_authenticate *r,
	struct vd_authenticated *a, struct vd_error *why)
{
	const struct vd_conf_node *guests = vd_conf_at(conf, set, "guests"), *guest = NULL;
	const struct vd_secret *password = vd_conf_secret(vd_conf_at(conf, set, "password"));
	bool right;

	for (size_t i = 0; i < vd_conf_count(guests) && !guest; i++)
		if (!strcmp(vd_conf_str(vd_conf_nth(guests, i)), r->user))
			guest = vd_conf_nth(guests, i);
	if (r->method == VD_AUTH_PAP)
		right = check_pap(password, r);
	else if (r->method == VD_AUTH_MSCHAPV2)
		right = check_mschapv2(password, r, a);
	else
		return VD_PASS; /* not our business: the next provider of the realm is asked */
	if (!guest)
		vd_error_set(why, -ENOENT, "template/%s has no such guest", vd_conf_name(set));
	else if (!right)
		vd_error_set(why, -EKEYREJECTED, "wrong password for guest %s", r->user);
	vd_error_at(why, guests); /* where the operator finds it */
	if (!guest || !right)
		return VD_REJECT;
	/* What the user is entitled to; vd_authenticated has more: an address, a pool, routes behind him. */
	vd_strcpy(a->user, sizeof(a->user), vd_conf_str(guest));
	a->session_timeout = (uint32_t)(vd_conf_uint(vd_conf_at(conf, set, "session_timeout")) / 1000);
	return VD_ACCEPT;
}

/* Asked for each login. It must answer each ask once, but need not do so here: who has to ask somebody else keeps
 * ask->ticket, returns at once (nothing may block), and calls vd_reply() when he knows. */
static void authenticate(void *arg, const struct vd_ask *ask)
{
	const struct template *self = arg;
	const struct vd_conf_node *set = vd_conf_child(vd_conf_at(self->conf, NULL, "template"), ask->instance);
	struct vd_authenticated answer = { 0 };
	struct vd_error why = { 0 };
	enum vd_verdict verdict = set ? check(self->conf, set, ask->data, &answer, &why) : VD_PASS;

	vd_count(verdict == VD_ACCEPT ? "template.accepted" : "template.refused", 1);
	vd_reply(ask->ticket, verdict, verdict == VD_ACCEPT ? &answer : NULL, verdict == VD_REJECT ? &why : NULL);
	vd_wipe(&answer, sizeof(answer));
}

/* Registers what it offers. Still root, nothing is running: look, but leave sockets and the like to start(). */
static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct template *self = calloc(1, sizeof(*self));
	int r = self ? vd_provide(host, "authenticate", "template", authenticate, NULL, self) : -ENOMEM;

	if (r < 0) {
		free(self);
		return vd_error_set(err, r, "cannot provide authenticate: %s", strerror(-r));
	}
	self->conf = vd_conf_ref(vd_conf_current());
	*ret_self = self;
	return 0;
}

/* The configuration in force is another one, and was found good. */
static void reload(void *arg)
{
	struct template *self = arg;

	vd_conf_unref(self->conf);
	self->conf = vd_conf_ref(vd_conf_current());
	vd_log(VD_LOG_INFO, "template", NULL, "guests were read again");
}

static void fini(void *arg)
{
	struct template *self = arg;

	vd_conf_unref(self->conf);
	free(self);
}

/* Which sections of the configuration realms may name. */
static const char *const provides[] = { "authenticate/template", NULL };

/* The one symbol that the file exports. The plugin is loaded when the configuration has a section "template". */
VD_PLUGIN(template, .version = "1.0", .license = "MIT", .summary = "guests who share a password", .provides = provides,
	.schema = schema, .init = init, .reload = reload, .fini = fini);
