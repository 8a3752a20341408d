/* Which authentication method the link asks for, or lets itself be asked for (RFC 1661 section 6.2). */
#include "link.h"

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/secret.h>

#include <errno.h>
#include <string.h>

#define CLEAR_TEXT 10 /* the strength of PAP */

static void add(struct ppp_link *link, const char *name)
{
	const struct vd_ppp_auth_1 *method = vd_service_find(link->dial ? "ppp.auth.client/1" : "ppp.auth/1", name);

	if (!method || link->n_auth >= PPP_AUTH_MAX)
		return;
	for (unsigned i = 0; i < link->n_auth; i++)
		if (link->auth[i].method == method)
			return;
	link->auth[link->n_auth].method = method;
	vd_strcpy(link->auth[link->n_auth].name, sizeof(link->auth[0].name), name);
	link->n_auth++;
}

int ppp_auth_list(struct ppp_link *link, struct vd_error *err)
{
	/* Without a list: what is not weaker than MS-CHAPv2. The peer may choose any of the list, so what one
	 * connection names must not weaken another one. */
	static const char *const known[] = { "eap", "mschapv2" };
	const struct vd_conf_node *list = vd_conf_knob(vd_conf_current(), link->connection, "ppp", "auth");

	for (size_t i = 0; i < vd_conf_count(list); i++)
		add(link, vd_conf_str(vd_conf_nth(list, i)));
	for (size_t i = 0; !vd_conf_count(list) && i < VD_ARRAY_SIZE(known); i++)
		add(link, known[i]);
	/* Who can do better than clear text is not asked for it first. */
	for (unsigned i = 0; i + 1 < link->n_auth; i++)
		if (link->auth[i].method->strength <= CLEAR_TEXT) {
			struct ppp_auth swap = link->auth[i];

			link->auth[i] = link->auth[i + 1];
			link->auth[i + 1] = swap;
		}
	if (!link->n_auth && link->dial)
		return vd_error_set(err, -ENOENT, "ppp.auth of connection %s does not name mschapv2, and to a "
			"gateway we prove ourselves with nothing weaker: name it there", link->connection);
	if (!link->n_auth)
		return vd_error_set(err, -ENOENT, "no PPP authentication method of connection %s is loaded: restart "
			"viaductd when ppp.auth was changed, or name mschapv2 there", link->connection);
	return 0;
}

/* What an authentication option of LCP stands for (RFC 1661 section 6.2, RFC 1994, RFC 2433, RFC 2759, RFC 3748), with
 * its octets; name: as ppp.auth has it. */
static const struct known {
	const char *octets, *name, *text;
} known_methods[] = {
	{ "c023", "pap", "pap (c023)" },
	{ "c22305", "chap", "chap with MD5 (c22305)" },
	{ "c22380", NULL, "mschap version 1 (c22380)" },
	{ "c22381", "mschapv2", "mschapv2 (c22381)" },
	{ "c227", "eap", "eap (c227)" },
};

static const struct known *known_method(const uint8_t *data, size_t len, char hex[24])
{
	vd_hex(hex, 24, data, len > 8 ? 8 : len);
	for (size_t i = 0; i < VD_ARRAY_SIZE(known_methods); i++)
		if (strcmp(known_methods[i].octets, hex) == 0)
			return &known_methods[i];
	return NULL;
}

static const char *method_name(const uint8_t *data, size_t len, char hex[24])
{
	const struct known *known = known_method(data, len, hex);

	return known ? known->text : hex;
}

static const char *ours_of(const struct ppp_link *link, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < link->n_auth; i++)
		n += vd_format(out + n, size - n, "%s%s", i ? ", " : "", link->auth[i].name);
	return out;
}

/* What to do about a client that wants this: something in the client, or its wish in our list. */
static void remedy(const struct ppp_link *link, const struct known *wish, char *out, size_t size)
{
	const struct vd_conf_node *list = vd_conf_knob(vd_conf_current(), link->connection, "ppp", "auth");
	char ours[80], at[128] = "";
	bool allowed = false;

	ours_of(link, ours, sizeof(ours));
	for (unsigned i = 0; wish && wish->name && i < link->n_auth; i++)
		allowed |= strcmp(wish->name, link->auth[i].name) == 0;
	if (vd_conf_written(list))
		vd_conf_origin(list, at, sizeof(at));
	if (allowed)
		vd_format(out, size, "see the client's PPP log: it was offered what it asks for");
	else if (!wish || !wish->name)
		vd_format(out, size, "switch on %s in the client's connection", ours);
	else
		vd_format(out, size, "switch on %s in the client's connection, or write 'auth: [%s, %s]' in "
			"connections.%s.ppp%s%s%s%s", ours, ours, wish->name, link->connection,
			at[0] ? " (now " : "", at, at[0] ? ")" : "",
			strcmp(wish->name, "pap") ? "" : ", which sends the password in clear text inside of IPsec");
}

static void no_method(struct ppp_link *link, const uint8_t *data, size_t len)
{
	const struct vd_conf_node *list = vd_conf_knob(vd_conf_current(), link->connection, "ppp", "auth");
	char ours[80], hex[24], theirs[64], at[128], what[384] = "";

	ours_of(link, ours, sizeof(ours));
	if (link->dial) {
		vd_format(theirs, sizeof(theirs), "%s", link->wants[0] ? link->wants : "no authentication");
	} else {
		vd_format(theirs, sizeof(theirs), "%s", method_name(data, len, hex));
		remedy(link, known_method(data, len, hex), what, sizeof(what));
	}
	struct vd_report report = { .kind = &ppp_fail_auth_method, .offered = theirs, .configured = ours, .remedy = what,
		.origin = vd_conf_origin(list, at, sizeof(at)) };
	if (link->dial)
		ppp_link_fail(link, report, "the gateway wants %s, and we can %s", theirs, ours);
	else
		ppp_link_fail(link, report, "no authentication method in common");
}

static unsigned not_refused(const struct ppp_link *link)
{
	unsigned i = 0;

	while (i < link->n_auth && link->auth[i].refused)
		i++;
	return i;
}

void ppp_auth_refused(struct ppp_link *link, bool reject, const uint8_t *data, size_t len)
{
	unsigned i;

	/* A method that does not suit is Nak'ed; who rejects the option will not be authenticated at all (RFC 1661
	 * section 6.2), and nobody comes in so. */
	if (reject) {
		char ours[80];

		ppp_link_fail(link, (struct vd_report){ .kind = &ppp_fail_auth_none,
			.configured = ours_of(link, ours, sizeof(ours)) }, "the client refuses to authenticate");
		return;
	}
	link->auth[link->auth_at].refused = true;
	for (i = 0; i < link->n_auth; i++) {
		const struct vd_ppp_auth_1 *method = link->auth[i].method;

		if (method->option_len != len || !vd_same(method->option, data, len))
			continue;
		/* It names what we just asked for: a confused peer, and only so often. */
		if (i == link->auth_at && ++link->auth_unknown > 3)
			no_method(link, data, len);
		link->auth_at = (uint8_t)i;
		return;
	}
	i = not_refused(link);
	if (i == link->n_auth) {
		/* All were refused. A Nak may be a wish: insist a little. */
		if (++link->auth_unknown > 3) {
			no_method(link, data, len);
			return;
		}
		for (i = 0; i < link->n_auth; i++)
			link->auth[i].refused = false;
		i = 0;
	}
	link->auth_at = (uint8_t)i;
}

bool ppp_auth_asked(struct ppp_link *link, const uint8_t *data, size_t len, struct vd_wr *nak)
{
	const struct vd_ppp_auth_1 *best = link->auth[0].method;
	char hex[24];

	for (unsigned i = 0; i < link->n_auth; i++) {
		const struct vd_ppp_auth_1 *method = link->auth[i].method;

		if (method->option_len != len || !vd_same(method->option, data, len))
			continue;
		link->staged.auth = (uint8_t)(i + 1);
		link->wants[0] = '\0';
		return true;
	}
	vd_strcpy(link->wants, sizeof(link->wants), method_name(data, len, hex));
	vd_wr_u8(nak, LCP_AUTH);
	vd_wr_u8(nak, (uint8_t)(2 + best->option_len));
	vd_wr_put(nak, best->option, best->option_len);
	return false;
}

void ppp_auth_unasked(struct ppp_link *link)
{
	/* A gateway that lets in anybody proves nothing about itself either: whoever knows a group's key could be it. */
	no_method(link, NULL, 0);
}
