/* Which authentication method the link asks for, or lets itself be asked for (RFC 1661 section 6.2). */
#include "link.h"

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/secret.h>

#include <errno.h>
#include <string.h>

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
	/* Without a list: what is loaded, the strongest first. PAP only by name. */
	static const char *const known[] = { "eap", "mschapv2", "chap" };
	const struct vd_conf_node *list = vd_conf_knob(vd_conf_current(), link->connection, "ppp", "auth");

	for (size_t i = 0; i < vd_conf_count(list); i++)
		add(link, vd_conf_str(vd_conf_nth(list, i)));
	if (!vd_conf_count(list)) {
		for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
			add(link, known[i]);
		for (unsigned i = 1; i < link->n_auth; i++)
			for (unsigned k = i; k; k--) {
				struct ppp_auth swap = link->auth[k];

				if (swap.method->strength <= link->auth[k - 1].method->strength)
					break;
				link->auth[k] = link->auth[k - 1];
				link->auth[k - 1] = swap;
			}
	}
	if (!link->n_auth)
		return vd_error_set(err, -ENOENT, "no PPP authentication method is loaded for connection %s: load "
			"ppp_auth_mschapv2, or name a loaded one in ppp.auth", link->connection);
	return 0;
}

/* What an authentication option of LCP stands for (RFC 1661 section 6.2, RFC 1994, RFC 2433, RFC 2759, RFC 3748), with its
 * octets. */
static const char *method_name(const uint8_t *data, size_t len, char hex[24])
{
	static const struct { const char *octets, *text; } known[] = { { "c023", "pap (c023)" },
		{ "c22305", "chap with MD5 (c22305)" }, { "c22380", "mschap version 1 (c22380)" },
		{ "c22381", "mschapv2 (c22381)" }, { "c227", "eap (c227)" } };

	vd_hex(hex, 24, data, len > 8 ? 8 : len);
	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		if (strcmp(known[i].octets, hex) == 0)
			return known[i].text;
	return hex;
}

static void no_method(struct ppp_link *link, bool reject, const uint8_t *data, size_t len)
{
	const struct vd_conf_node *list = vd_conf_knob(vd_conf_current(), link->connection, "ppp", "auth");
	char ours[80] = "", hex[24], theirs[64], at[128];
	size_t n = 0;

	for (unsigned i = 0; i < link->n_auth; i++)
		n += vd_format(ours + n, sizeof(ours) - n, "%s%s", i ? ", " : "", link->auth[i].name);
	if (link->dial)
		vd_format(theirs, sizeof(theirs), "%s", link->wants[0] ? link->wants : "no authentication");
	else if (reject)
		vd_format(theirs, sizeof(theirs), "none at all (it rejects option %s)",
			vd_hex(hex, sizeof(hex), data, len > 8 ? 8 : len));
	else
		vd_format(theirs, sizeof(theirs), "%s", method_name(data, len, hex));
	ppp_link_report(link, (struct vd_report){ .kind = VD_FAIL_AUTH_METHOD, .offered = theirs, .configured = ours,
		.origin = vd_conf_origin(list, at, sizeof(at)) });
	if (link->dial)
		ppp_link_fail(link, "the gateway wants %s, and we can %s", theirs, ours);
	else
		ppp_link_fail(link, "no authentication method in common");
}

void ppp_auth_refused(struct ppp_link *link, bool reject, const uint8_t *data, size_t len)
{
	unsigned i;

	link->auth[link->auth_at].refused = true;
	if (!reject)
		for (i = 0; i < link->n_auth; i++) {
			const struct vd_ppp_auth_1 *method = link->auth[i].method;

			if (method->option_len == len && vd_same(method->option, data, len)) {
				/* It names what we just asked for: a confused peer, and only so often. */
				if (i == link->auth_at && ++link->auth_unknown > 3)
					no_method(link, reject, data, len);
				link->auth_at = (uint8_t)i;
				return;
			}
		}
	for (i = 0; i < link->n_auth; i++)
		if (!link->auth[i].refused) {
			link->auth_at = (uint8_t)i;
			return;
		}
	/* All were refused. A reject of the option is the peer's last word; a Nak may be a wish: insist a little. */
	if (reject || ++link->auth_unknown > 3) {
		no_method(link, reject, data, len);
		return;
	}
	for (i = 0; i < link->n_auth; i++)
		link->auth[i].refused = false;
	link->auth_at = 0;
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
	no_method(link, false, NULL, 0);
}
