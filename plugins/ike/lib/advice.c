#include "advice.h"

#include <string.h>
#include <viaduct/crypto.h>

struct question {
	unsigned phase;
	const struct ike_offers *offers;
	bool natt, have_ke, tunnel;
};

static const struct ike_suite *suites_of(const struct question *q, const struct ike_policy *p, unsigned *ret_n)
{
	*ret_n = q->phase == 1 ? p->n_ike : p->n_esp;
	return q->phase == 1 ? p->ike : p->esp;
}

static bool suite_of(const struct question *q, unsigned i, bool xauth, struct ike_suite *ret)
{
	const struct ike_offer *o = &q->offers->v[i];

	return q->phase == 1 ? ike_suite_from_phase1(o, xauth ? IKE_AUTH_XAUTH_PSK : IKE_AUTH_PSK, ret) : ike_suite_from_phase2(o, ret);
}

/* How many of cipher, hash and group are the same; 3: all. */
static unsigned alike(const struct question *q, const struct ike_suite *a, const struct ike_suite *b)
{
	return (a->encr == b->encr && a->key_bits == b->key_bits) + (a->hash == b->hash) +
		(q->phase == 2 || a->group == b->group);
}

static bool group_fits(const struct question *q, const struct ike_policy *p, uint16_t group)
{
	return (group != 0) == q->have_ke && (group == 0 || ike_policy_allows_group(p, group));
}

/* Would any offer be taken under this policy, with or without XAuth; and if it would, for its group for PFS? ret_suite: that one. */
static bool takes_but(const struct question *q, const struct ike_policy *p, bool xauth, bool any_group, struct ike_suite *ret_suite)
{
	const struct ike_suite *list;
	struct ike_suite got;
	unsigned n;

	list = suites_of(q, p, &n);
	for (unsigned i = 0; i < q->offers->n; i++)
		for (unsigned k = 0; suite_of(q, i, xauth, &got) && k < n; k++)
			if (alike(q, &got, &list[k]) == 3 && (q->phase == 1 || (ike_encap_fits(q->offers->v[i].encap, q->tunnel, q->natt) &&
				(any_group ? q->offers->v[i].group != 0 : group_fits(q, p, q->offers->v[i].group))))) {
				*ret_suite = got;
				ret_suite->group = q->phase == 1 ? got.group : (uint8_t)q->offers->v[i].group;
				return true;
			}
	return false;
}

static bool takes(const struct question *q, const struct ike_policy *p, bool xauth, struct ike_suite *ret_suite)
{
	return takes_but(q, p, xauth, false, ret_suite);
}

/* Nothing stands in the way but the group for PFS: the policy that would take it with another one, or NULL. */
static const struct ike_policy *pfs_alone(const struct question *q, const struct ike_allows *list, unsigned n)
{
	struct ike_suite suite;

	for (unsigned i = 0; q->phase == 2 && q->have_ke && i < n; i++)
		if (takes_but(q, list[i].policy, list[i].xauth, true, &suite))
			return list[i].policy;
	return NULL;
}

static bool offers_pfs(const struct question *q)
{
	for (unsigned i = 0; q->phase == 2 && i < q->offers->n; i++)
		if (q->offers->v[i].group != 0)
			return true;
	return false;
}

static void add_word(char *out, size_t size, const char *what, const char *got, const char *want)
{
	size_t len = strlen(out);

	vd_format(out + len, size - len, "%s%s %s is offered where %s is allowed", len > 0 ? ", " : "", what, got, want);
}

/* What a suite has at one of its places, from its written form: cipher-hash-group. */
static const char *part(const struct ike_suite *s, unsigned place, char out[IKE_SUITE_TEXT])
{
	char text[IKE_SUITE_TEXT], *save = NULL;
	const char *p = strtok_r(ike_suite_format(s, text), "-", &save);

	while (place-- > 0 && p != NULL)
		p = strtok_r(NULL, "-", &save);
	vd_strcpy(out, IKE_SUITE_TEXT, p != NULL ? p : "none");
	return out;
}

/* The offer that is nearest to something that is allowed, and where the two part. */
static void differ(const struct question *q, const struct ike_allows *list, unsigned n, char *out, size_t size)
{
	struct ike_suite got, best_got = { 0 }, best_want = { 0 };
	char a[IKE_SUITE_TEXT], b[IKE_SUITE_TEXT];
	unsigned best = 0, best_offer = 0, count;
	bool any = false;

	for (unsigned c = 0; c < n; c++) {
		const struct ike_suite *want = suites_of(q, list[c].policy, &count);

		for (unsigned i = 0; i < q->offers->n; i++)
			for (unsigned k = 0; suite_of(q, i, list[c].xauth, &got) && k < count; k++)
				if (!any || alike(q, &got, &want[k]) > best) {
					any = true;
					best = alike(q, &got, &want[k]);
					best_offer = i;
					best_got = got;
					best_want = want[k];
				}
	}
	out[0] = '\0';
	if (!any) {
		vd_strcpy(out, size, "nothing that is offered is served here");
		return;
	}
	if (best_got.encr != best_want.encr || best_got.key_bits != best_want.key_bits)
		add_word(out, size, "cipher", part(&best_got, 0, a), part(&best_want, 0, b));
	if (best_got.hash != best_want.hash)
		add_word(out, size, "hash", part(&best_got, 1, a), part(&best_want, 1, b));
	if (q->phase == 1 && best_got.group != best_want.group)
		add_word(out, size, "group", part(&best_got, 2, a), part(&best_want, 2, b));
	if (out[0] != '\0' || q->phase == 1)
		return;
	if (!ike_encap_fits(q->offers->v[best_offer].encap, q->tunnel, q->natt))
		vd_format(out, size, "encapsulation mode %u is offered where %s mode%s is served",
			q->offers->v[best_offer].encap, q->tunnel ? "tunnel" : "transport", q->natt ? " in UDP" : "");
	else if (q->offers->v[best_offer].group != 0 && !q->have_ke)
		vd_strcpy(out, size, "a group for perfect forward secrecy comes without a key exchange value");
	else if (q->offers->v[best_offer].group != 0)
		vd_format(out, size, "%s is offered for perfect forward secrecy, and the connection does not have it",
			vd_dh_name(q->offers->v[best_offer].group) != NULL ? vd_dh_name(q->offers->v[best_offer].group) :
			"an unknown group");
	else
		vd_strcpy(out, size, "a key exchange value comes without a group for it");
}

/* "connection staff allows A, B; connection devices allows C": those with the same set are named together. */
static void allow(const struct question *q, const struct ike_allows *list, unsigned n, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		char names[160] = "", suites[256];
		bool said = false;
		unsigned same = 0, count;
		size_t at = 0;

		for (unsigned k = 0; k < i; k++)
			said |= strcmp(list[k].policy->name, list[i].policy->name) == 0;
		if (said)
			continue;
		for (unsigned k = i; k < n; k++)
			if (strcmp(list[k].policy->name, list[i].policy->name) == 0)
				at += vd_format(names + at, sizeof(names) - at, "%s%s", same++ > 0 ? " and " : "",
					list[k].connection);
		const struct ike_suite *s = suites_of(q, list[i].policy, &count);
		len += vd_format(out + len, size - len, "%sconnection%s %s allow%s %s", len > 0 ? "; " : "",
			same > 1 ? "s" : "", names, same > 1 ? "" : "s", ike_suites_format(s, count, suites, sizeof(suites)));
		if (offers_pfs(q))
			len += vd_format(out + len, size - len, "; for perfect forward secrecy %s",
				ike_groups_format(list[i].policy, suites, sizeof(suites)));
	}
	if (n == 0)
		vd_strcpy(out, size, "no connection accepts this");
}

/* The strongest three that a connection allows. */
static const char *strongest(const struct question *q, const struct ike_policy *p, char *out, size_t size)
{
	const struct ike_suite *s;
	unsigned n;

	s = suites_of(q, p, &n);
	return ike_suites_format(s, n < 3 ? n : 3, out, size);
}

/* What the client could do instead: an old one be updated, one that is strict as well as strong be told to offer more. */
static size_t client_offers(const struct question *q, const struct ike_allows *list, const struct ike_suite *offered, char *out,
	size_t size)
{
	char suites[160];

	if (ike_suite_weak(offered))
		return vd_format(out, size, "update the client");
	return vd_format(out, size, "let the client offer one of %s as well", strongest(q, list[0].policy, suites, sizeof(suites)));
}

/* "add 'crypto: legacy' to staff (30-staff.yaml:4)" */
static void change(const struct question *q, const struct ike_allows *list, unsigned n, const char *name,
	const struct ike_suite *offered, char *out, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		if (list[i].written)
			len += vd_format(out + len, size - len, "%schange '%s' to 'crypto: %s' in %s (%s)",
				len > 0 ? ", or " : "", list[i].policy->name, name, list[i].connection, list[i].origin);
		else
			len += vd_format(out + len, size - len, "%sadd 'crypto: %s' to %s (%s)", len > 0 ? ", or " : "", name,
				list[i].connection, list[i].origin);
	len += vd_format(out + len, size - len, pfs_alone(q, list, n) != NULL ? ", or switch perfect forward secrecy off on the client" :
		" or ");
	if (pfs_alone(q, list, n) == NULL)
		client_offers(q, list, offered, out + len, size - len);
}

/* "staff (30-staff.yaml:4) or devices (40-devices.yaml:10)" */
static void where(const struct ike_allows *list, unsigned n, char *out, size_t size)
{
	size_t len = 0;

	vd_strcpy(out, size, "a connection");
	for (unsigned i = 0; i < n; i++)
		len += vd_format(out + len, size - len, "%s%s (%s)", i > 0 ? " or " : "", list[i].connection, list[i].origin);
}

/* A connection that accepts clients by this word, or NULL. */
static const char *accepts(const struct vd_conf *conf, const char *word)
{
	const struct vd_conf_node *connections = vd_conf_at(conf, NULL, "connections");

	for (size_t i = 0; i < vd_conf_count(connections); i++) {
		const struct vd_conf_node *words = vd_conf_at(conf, vd_conf_nth(connections, i), "accept");

		for (size_t k = 0; k < vd_conf_count(words); k++)
			if (strcmp(vd_conf_str(vd_conf_nth(words, k)), word) == 0)
				return vd_conf_name(vd_conf_nth(connections, i));
	}
	return NULL;
}

/* Its offers are for another kind of connection. False: that is not it. */
static bool other_kind(const struct vd_conf *conf, const struct question *q, const bool served[2], const char *names, char *out,
	size_t size)
{
	size_t len;

	for (unsigned i = 0; q->phase == 1 && i < q->offers->n; i++) {
		uint16_t auth = q->offers->v[i].auth;
		bool xauth = auth > 65000, psk = auth == IKE_AUTH_PSK || auth == IKE_AUTH_XAUTH_PSK;

		if (psk && served[xauth])
			continue;
		const char *word = xauth ? "xauth" : "l2tp", *elsewhere = accepts(conf, word);
		if (!psk && (served[xauth] || elsewhere != NULL)) {
			vd_format(out, size, "set the client to a pre-shared key instead of a certificate, as %s wants it", names);
			return true;
		}
		len = vd_format(out, size, xauth ? "make it an L2TP connection with a pre-shared key on the client, as %s wants it, or " :
			psk ? "make it an \"IPSec\" (Cisco, XAuth) connection on the client, as %s wants it, or " :
			"set the client to a pre-shared key instead of a certificate, as %s wants it, or ", names);
		if (elsewhere != NULL)
			vd_format(out + len, size - len, "set it up for %s, which accepts %s", elsewhere, word);
		else
			vd_format(out + len, size - len, "let a connection accept %s%s", word, xauth ? " (\"Cisco IPsec\")" : "");
		return true;
	}
	return false;
}

/* Not one of its offers is a suite that we have. */
static void nothing_known(const struct question *q, const struct ike_allows *list, unsigned n, const char *names, char *out,
	size_t size)
{
	char suites[160] = "AES";
	bool seen[4] = { false };

	for (unsigned i = 0; i < q->offers->n; i++)
		seen[ike_offer_fault(q->phase, &q->offers->v[i])] = true;
	if (n > 0)
		strongest(q, list[0].policy, suites, sizeof(suites));
	if (seen[IKE_FAULT_BUNDLE])
		vd_format(out, size, "switch compression (IPComp) or AH off on the client: ESP alone is served by %s", names);
	else if (seen[IKE_FAULT_UNSERVED])
		vd_format(out, size, "let the client offer one of %s as well: what it offers is not served here", suites);
	else if (seen[IKE_FAULT_PLAIN])
		vd_format(out, size, "let the client encrypt, with one of %s: what it offers (NULL, AH) does not", suites);
	else
		vd_strcpy(out, size, "update the client: what it offers (DES, MD5) is broken");
}

static void remedy(const struct vd_conf *conf, const struct question *q, const struct ike_allows *list, unsigned n,
	char *out, size_t size)
{
	static const char *const sets[] = { "compatible", "legacy" };
	const struct ike_policy *pfs = pfs_alone(q, list, n);
	bool mode = q->phase == 1, served[2] = { false, false };
	char word[IKE_SUITE_TEXT], names[256], groups[160];
	struct ike_suite known;
	struct ike_policy p;
	size_t len;

	where(list, n, names, sizeof(names));
	for (unsigned i = 0; i < n; i++)
		served[list[i].xauth] = true;
	for (size_t s = 0; n > 0 && s < VD_ARRAY_SIZE(sets); s++)
		if (ike_policy_load(conf, sets[s], &p, NULL) == 0 && ((served[0] && takes(q, &p, false, &known)) ||
			(served[1] && takes(q, &p, true, &known)))) {
			change(q, list, n, sets[s], &known, out, size);
			return;
		}
	if (pfs != NULL) {
		vd_format(out, size, "set perfect forward secrecy on the client to one of %s, or switch it off",
			ike_groups_format(pfs, groups, sizeof(groups)));
		return;
	}
	for (unsigned i = 0; i < q->offers->n; i++) {
		const struct ike_offer *o = &q->offers->v[i];

		mode |= q->phase == 1 || ike_encap_fits(o->encap, q->tunnel, q->natt) || !o->usable;
		if (!mode || !((served[0] && suite_of(q, i, false, &known)) || (served[1] && suite_of(q, i, true, &known))))
			continue;
		len = client_offers(q, list, &known, out, size);
		vd_format(out + len, size - len, ", or make a set with %s under 'crypto:' and name it in %s",
			ike_suite_format(&known, word), names);
		return;
	}
	if (other_kind(conf, q, served, names, out, size))
		return;
	if (mode)
		nothing_known(q, list, n, names, out, size);
	else
		vd_strcpy(out, size, q->tunnel ?
			"make it an IPsec connection in tunnel mode on the client: with XAuth nothing else is served" :
			"make it an L2TP/IPsec connection on the client: L2TP is carried in transport mode");
}

void ike_advise(const struct vd_conf *conf, unsigned phase, const struct ike_offers *offers, const struct ike_allows *list,
	unsigned n, bool natt, bool have_ke, struct ike_advice *ret_advice)
{
	struct question q = { phase, offers, natt, have_ke, phase == 2 && n > 0 && list[0].xauth };

	ike_offers_format(phase, offers, ret_advice->offered, sizeof(ret_advice->offered));
	allow(&q, list, n, ret_advice->configured, sizeof(ret_advice->configured));
	differ(&q, list, n, ret_advice->difference, sizeof(ret_advice->difference));
	remedy(conf, &q, list, n, ret_advice->remedy, sizeof(ret_advice->remedy));
}
