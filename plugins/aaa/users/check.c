/* One login against one account. Whether the user exists cannot be seen from outside: the same work is done for
 * somebody who does not, and every refusal looks alike; only the log says why. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>

/* What is known of the user, or of nobody. Wiped by its user. */
struct proof {
	const uint8_t *password;
	size_t len;
	bool has_password;
	uint8_t hash[16]; /* NT hash */
};

static const uint8_t nobody[] = "an account that does not exist";

static bool proof_of(const struct users_file *file, const struct vd_conf_node *user, struct proof *p)
{
	const struct vd_secret *password = vd_conf_secret(vd_conf_at(file->conf, user, "password"));
	const struct vd_secret *hash = vd_conf_secret(vd_conf_at(file->conf, user, "nt_hash"));
	char text[33] = "";
	bool ok;

	p->has_password = password != NULL;
	p->password = password ? vd_secret_data(password) : nobody;
	p->len = password ? vd_secret_len(password) : sizeof(nobody) - 1;
	ok = !vd_mschap_nt_hash((const char *)p->password, p->len, p->hash);
	if (hash && vd_secret_len(hash) == 32) {
		memcpy(text, vd_secret_data(hash), 32);
		text[32] = '\0';
		ok = vd_unhex(text, p->hash, sizeof(p->hash)) == 16;
		vd_wipe(text, sizeof(text));
	} else if (!user) {
		memcpy(p->hash, file->blind, sizeof(p->hash));
	}
	return ok;
}

static bool check_mschapv2(const struct proof *p, const struct vd_authenticate *r, struct vd_authenticated *a)
{
	const char *user = vd_mschap_user(r->user);
	char text[43];
	uint8_t expected[24];
	bool ok = !vd_mschapv2_response(r->challenge, r->peer_challenge, user, p->hash, expected) &&
		  !vd_mschapv2_authenticator(p->hash, r->response, r->challenge, r->peer_challenge, user, text) &&
		  !vd_mschapv2_mppe_keys(p->hash, r->response, a->send_key, a->recv_key);

	ok &= vd_verified(vd_same(expected, r->response, sizeof(expected)));
	vd_conceal(text, 42);
	if (ok)
		vd_strcpy(a->authenticator, sizeof(a->authenticator), text);
	vd_wipe(expected, sizeof(expected));
	return ok;
}

/* By the digests, since the lengths may differ; by the NT hash when that is all there is. */
static bool check_pap(const struct proof *p, const struct vd_authenticate *r)
{
	const void *password = r->data.p ? (const void *)r->data.p : "";
	uint8_t given[64], known[64], hash[16] = { 0 };
	size_t n = 0, m = 0;
	bool ok, same;

	ok = !vd_digest("SHA256", password, r->data.len, given, &n) && !vd_digest("SHA256", p->password, p->len, known, &m);
	same = ok && n == m && vd_same(given, known, n);
	ok = !vd_mschap_nt_hash(password, r->data.len, hash) && vd_same(hash, p->hash, sizeof(hash));
	vd_wipe(given, sizeof(given));
	vd_wipe(known, sizeof(known));
	vd_wipe(hash, sizeof(hash));
	vd_conceal(password, r->data.len);
	return vd_verified(p->has_password ? same : ok);
}

/* RFC 1994 section 4.1: MD5 over identifier, secret, challenge. */
static bool check_chap(const struct proof *p, const struct vd_authenticate *r)
{
	struct vd_slice parts[] = { { &r->id, 1 }, { p->password, p->len }, { r->challenge, sizeof(r->challenge) } };
	uint8_t expected[64];
	size_t n = 0;
	bool ok = !vd_digest_parts("MD5", parts, VD_ARRAY_SIZE(parts), expected, &n);

	ok = vd_verified(ok && n == 16 && vd_same(expected, r->response, 16));
	vd_wipe(expected, sizeof(expected));
	return ok && p->has_password;
}

static void attributes(const struct users_file *file, const struct vd_conf_node *user, struct vd_authenticated *a)
{
	const struct vd_conf_node *list = vd_conf_at(file->conf, user, "routes_behind");
	const struct vd_ip *address = vd_conf_ip(vd_conf_at(file->conf, user, "address"));
	const struct vd_prefix *prefix = vd_conf_prefix(vd_conf_at(file->conf, user, "prefix"));
	const char *pool = vd_conf_str(vd_conf_at(file->conf, user, "pool"));
	size_t i;

	vd_strcpy(a->user, sizeof(a->user), vd_conf_name(user));
	if (address)
		a->address = *address;
	if (prefix)
		a->network = prefix->ip;
	vd_strcpy(a->pool, sizeof(a->pool), pool ? pool : "");
	for (i = 0; i < vd_conf_count(list) && i < VD_ARRAY_SIZE(a->routes_behind); i++)
		a->routes_behind[i] = *vd_conf_prefix(vd_conf_nth(list, i));
	a->session_timeout = (uint32_t)(vd_conf_uint(vd_conf_at(file->conf, user, "session_timeout")) / 1000);
	a->idle_timeout = (uint32_t)(vd_conf_uint(vd_conf_at(file->conf, user, "idle_timeout")) / 1000);
}

enum vd_verdict users_check(const struct users_file *file, const struct vd_authenticate *r,
	struct vd_authenticated *ret_answer, struct vd_error *why)
{
	const struct vd_conf_node *user = users_file_find(file, r->user);
	struct vd_authenticated a = { 0 };
	const char *odd = vd_conf_odd(vd_conf_at(file->conf, user, "password"));
	struct proof p;
	char at[128];
	bool ok;

	if (r->method != VD_AUTH_MSCHAPV2 && r->method != VD_AUTH_PAP && r->method != VD_AUTH_CHAP_MD5)
		return VD_PASS;
	ok = proof_of(file, user, &p);
	if (r->method == VD_AUTH_MSCHAPV2)
		ok &= check_mschapv2(&p, r, &a);
	else if (r->method == VD_AUTH_PAP)
		ok &= check_pap(&p, r);
	else
		ok &= check_chap(&p, r);
	vd_conf_origin(user, at, sizeof(at));
	if (!user)
		vd_error_set(why, -ENOENT, "users/%s has no user of this name (%s)", file->name, file->path);
	else if (r->method == VD_AUTH_CHAP_MD5 && !p.has_password)
		vd_error_set(why, -EACCES, "%s has only an nt_hash (%s), and CHAP with MD5 needs the password: give the account a "
			"`password`, or switch on mschapv2 in the client", vd_conf_name(user), at);
	else if (!ok)
		vd_error_set(why, -EKEYREJECTED, "wrong password for %s (%s%s%s)", vd_conf_name(user), at, odd ? ", whose secret " : "",
			odd ? odd : "");
	else if (vd_conf_bool(vd_conf_at(file->conf, user, "disabled")))
		vd_error_set(why, -EPERM, "%s is disabled (%s)", vd_conf_name(user), at);
	else
		attributes(file, user, &a);
	if (!a.user[0])
		vd_strcpy(why->origin, sizeof(why->origin), user ? at : strrchr(file->path, '/') ? strrchr(file->path, '/') + 1 : file->path);
	vd_wipe(&p, sizeof(p));
	if (a.user[0])
		*ret_answer = a;
	ok = a.user[0];
	vd_wipe(&a, sizeof(a));
	return ok ? VD_ACCEPT : VD_REJECT;
}
