#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/crypto.h>

static const char *const hash_words[] = { "", "sha1", "sha256", "sha384", "sha512" };
static const char *const hash_mds[] = { NULL, "SHA1", "SHA256", "SHA384", "SHA512" };

static const struct encr_word {
	const char *word, *cipher;
	uint8_t encr;
	uint16_t bits;
} encr_words[] = {
	{ "aes256", "AES-256-CBC", VD_ENCR_AES_CBC, 256 },
	{ "aes192", "AES-192-CBC", VD_ENCR_AES_CBC, 192 },
	{ "aes128", "AES-128-CBC", VD_ENCR_AES_CBC, 128 },
	{ "3des", "DES-EDE3-CBC", VD_ENCR_3DES, 192 },
	{ "aes256gcm16", NULL, VD_ENCR_AES_GCM_16, 256 },
	{ "aes192gcm16", NULL, VD_ENCR_AES_GCM_16, 192 },
	{ "aes128gcm16", NULL, VD_ENCR_AES_GCM_16, 128 },
};

/* In the gateway's order of preference, which is strongest first, since it takes the first of its own list that a client offers.
 * Each set is the one before it and more: compatible adds what stock clients of today need, legacy what old ones do. */
static const char *const modern_ike[] = { "aes256-sha384-ecp384", "aes256-sha384-x25519", "aes256-sha256-x25519",
	"aes256-sha256-ecp256", "aes256-sha512-modp4096", "aes256-sha256-modp4096", "aes256-sha256-modp3072",
	"aes256-sha256-modp2048", "aes256-sha512-modp2048", "aes128-sha256-x25519", "aes128-sha256-ecp256",
	"aes128-sha256-modp3072", "aes128-sha256-modp2048", NULL };
static const char *const modern_esp[] = { "aes256gcm16", "aes128gcm16", "aes256-sha256", "aes256-sha384",
	"aes256-sha512", "aes128-sha256", NULL };
/* Windows offers SHA-1 alone, with these groups; RouterOS AES-128, and 3DES is what some have besides that. */
static const char *const compatible_ike[] = { "aes256-sha1-ecp384", "aes128-sha1-ecp256", "aes256-sha1-modp2048",
	"aes128-sha1-modp2048", "3des-sha1-modp2048", NULL };
static const char *const compatible_esp[] = { "aes256-sha1", "aes128-sha1", "3des-sha1", NULL };
/* Android up to 11 has group 2 alone, older Apple and ChromeOS group 5. */
static const char *const legacy_ike[] = { "aes256-sha256-modp1024", "aes256-sha1-modp1024", "aes128-sha1-modp1024",
	"3des-sha1-modp1024", "aes256-sha256-modp1536", "aes256-sha1-modp1536", "3des-sha1-modp1536", NULL };
static const char *const legacy_esp[] = { NULL };

static const struct builtin {
	const char *name;
	const char *const *ike, *const *esp; /* what it adds to the one before it */
} builtins[] = {
	{ "modern", modern_ike, modern_esp },
	{ "compatible", compatible_ike, compatible_esp },
	{ "legacy", legacy_ike, legacy_esp },
};

const char *ike_hash_md(uint8_t hash)
{
	return hash < VD_ARRAY_SIZE(hash_mds) ? hash_mds[hash] : NULL;
}

uint8_t ike_hash_integ(uint8_t hash)
{
	switch (hash) {
	case IKE_HASH_SHA1: return VD_INTEG_SHA1_96;
	case IKE_HASH_SHA256: return VD_INTEG_SHA2_256_128;
	case IKE_HASH_SHA384: return VD_INTEG_SHA2_384_192;
	case IKE_HASH_SHA512: return VD_INTEG_SHA2_512_256;
	default: return VD_INTEG_NONE;
	}
}

const char *ike_policy_builtin_name(unsigned i)
{
	return i < VD_ARRAY_SIZE(builtins) ? builtins[i].name : NULL;
}

const char *ike_encr_word(unsigned i, bool *ret_aead)
{
	if (i >= VD_ARRAY_SIZE(encr_words))
		return NULL;
	if (ret_aead != NULL)
		*ret_aead = encr_words[i].encr == VD_ENCR_AES_GCM_16;
	return encr_words[i].word;
}

const char *ike_hash_word(uint8_t hash)
{
	return hash < VD_ARRAY_SIZE(hash_words) ? hash_words[hash] : NULL;
}

static const struct encr_word *suite_encr(const struct ike_suite *suite)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(encr_words); i++)
		if (encr_words[i].encr == suite->encr && encr_words[i].bits == suite->key_bits)
			return &encr_words[i];
	return NULL;
}

const char *ike_suite_cipher(const struct ike_suite *suite)
{
	const struct encr_word *e = suite_encr(suite);

	return e != NULL ? e->cipher : NULL;
}

static bool suite_word(struct ike_suite *s, const char *word)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(encr_words); i++)
		if (strcmp(word, encr_words[i].word) == 0 && s->encr == 0) {
			s->encr = encr_words[i].encr;
			s->key_bits = encr_words[i].bits;
			return true;
		}
	for (uint8_t i = 1; i < VD_ARRAY_SIZE(hash_words); i++)
		if (strcmp(word, hash_words[i]) == 0 && s->hash == 0) {
			s->hash = i;
			return true;
		}
	unsigned group = vd_dh_group(word);
	if (group == 0 || s->group != 0)
		return false;
	s->group = (uint8_t)group;
	return true;
}

int ike_suite_parse(const char *word, bool ike, struct ike_suite *ret_suite, struct vd_error *err)
{
	struct ike_suite s = { 0 };
	char copy[IKE_SUITE_TEXT], *save = NULL;

	if (!vd_strcpy(copy, sizeof(copy), word))
		return vd_error_set(err, -EINVAL, "suite %.40s... is too long", word);
	for (char *part = strtok_r(copy, "-", &save); part != NULL; part = strtok_r(NULL, "-", &save))
		if (!suite_word(&s, part))
			return vd_error_set(err, -EINVAL, "suite %s: %s is not an algorithm, or the second of its kind",
				word, part);
	bool aead = s.encr == VD_ENCR_AES_GCM_16;
	if (s.encr == 0)
		return vd_error_set(
			err, -EINVAL, "suite %s has no cipher; write for example aes256-sha256-modp2048", word);
	if (ike && (aead || s.hash == 0 || s.group == 0))
		return vd_error_set(err, -EINVAL,
			"suite %s: for ike write cipher, hash and group, as in aes256-sha256-modp2048", word);
	if (!ike && (s.group != 0 || aead != (s.hash == 0)))
		return vd_error_set(
			err, -EINVAL, "suite %s: for esp write aes256-sha256, or aes256gcm16 without a hash", word);
	*ret_suite = s;
	return 0;
}

char *ike_suite_format(const struct ike_suite *suite, char out[IKE_SUITE_TEXT])
{
	const struct encr_word *e = suite_encr(suite);
	const char *group = suite->group != 0 ? vd_dh_name(suite->group) : NULL;

	vd_format(out, IKE_SUITE_TEXT, "%s%s%s%s%s", e != NULL ? e->word : "?", suite->hash != 0 ? "-" : "",
		suite->hash < VD_ARRAY_SIZE(hash_words) ? hash_words[suite->hash] : "?", group != NULL ? "-" : "",
		group != NULL ? group : "");
	return out;
}

static int add_words(struct ike_suite *list, unsigned *n, bool ike, const char *const *words)
{
	for (; *words != NULL; words++) {
		int rc = ike_suite_parse(*words, ike, &list[*n], NULL);

		if (rc < 0)
			return rc;
		++*n;
	}
	return 0;
}

static int policy_builtin(const char *name, struct ike_policy *p)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(builtins); i++) {
		int rc = add_words(p->ike, &p->n_ike, true, builtins[i].ike);

		if (rc == 0)
			rc = add_words(p->esp, &p->n_esp, false, builtins[i].esp);
		if (rc < 0 || strcmp(name, builtins[i].name) == 0)
			return rc;
	}
	return -ENOENT;
}

static int add_conf(
	struct ike_suite *list, unsigned *n, bool ike, const struct vd_conf_node *words, struct vd_error *err)
{
	size_t count = vd_conf_count(words);

	if (count == 0)
		return 0;
	if (count > IKE_SUITES_MAX)
		return vd_error_set(err, -E2BIG, "more than %u suites", IKE_SUITES_MAX);
	*n = 0;
	for (size_t i = 0; i < count; i++) {
		int rc = ike_suite_parse(vd_conf_str(vd_conf_nth(words, i)), ike, &list[*n], err);

		if (rc < 0) {
			vd_error_at(err, vd_conf_nth(words, i));
			return rc;
		}
		++*n;
	}
	return 0;
}

int ike_policy_load(const struct vd_conf *conf, const char *name, struct ike_policy *ret_policy, struct vd_error *err)
{
	const struct vd_conf_node *node = vd_conf_child(vd_conf_at(conf, NULL, "crypto"), name);
	struct ike_policy p = { 0 };
	int rc;

	vd_strcpy(p.name, sizeof(p.name), name);
	if (node == NULL) {
		rc = policy_builtin(name, &p);
		if (rc < 0)
			return vd_error_set(err, rc,
				"crypto %s is neither modern, compatible or legacy nor a name under crypto:", name);
	} else {
		const char *base = vd_conf_str(vd_conf_at(conf, node, "extends"));

		rc = policy_builtin(base != NULL ? base : "compatible", &p);
		if (rc == 0)
			rc = add_conf(p.ike, &p.n_ike, true, vd_conf_at(conf, node, "ike"), err);
		if (rc == 0)
			rc = add_conf(p.esp, &p.n_esp, false, vd_conf_at(conf, node, "esp"), err);
		if (rc < 0)
			return vd_error_prefix(err, "crypto.%s: ", name);
	}
	*ret_policy = p;
	return 0;
}

bool ike_suite_equal(const struct ike_suite *a, const struct ike_suite *b)
{
	return a->encr == b->encr && a->hash == b->hash && a->group == b->group && a->key_bits == b->key_bits;
}

bool ike_policy_allows(const struct ike_policy *policy, const struct ike_suite *suite)
{
	for (unsigned i = 0; i < policy->n_ike; i++)
		if (ike_suite_equal(&policy->ike[i], suite))
			return true;
	return false;
}

bool ike_policy_allows_group(const struct ike_policy *policy, uint16_t group)
{
	for (unsigned i = 0; i < policy->n_ike; i++)
		if (policy->ike[i].group == group)
			return true;
	return false;
}

/* HMAC and hash numbers of phase 1 (RFC 2409 appendix A and the IANA registry). */
static uint8_t hash_phase1(uint16_t hash)
{
	switch (hash) {
	case 2: return IKE_HASH_SHA1;
	case 4: return IKE_HASH_SHA256;
	case 5: return IKE_HASH_SHA384;
	case 6: return IKE_HASH_SHA512;
	default: return IKE_HASH_NONE;
	}
}

bool ike_suite_from_phase1(const struct ike_offer *offer, uint16_t auth, struct ike_suite *ret_suite)
{
	struct ike_suite s = { .hash = hash_phase1(offer->hash) };

	/* transform id 1: KEY_IKE */
	if (!offer->usable || offer->id != 1 || offer->auth != auth || s.hash == 0)
		return false;
	if (offer->encr == 7)
		s = (struct ike_suite){ .encr = VD_ENCR_AES_CBC, .hash = s.hash, .key_bits = offer->key_bits };
	else if (offer->encr == 5 && offer->key_bits == 0)
		s = (struct ike_suite){ .encr = VD_ENCR_3DES, .hash = s.hash, .key_bits = 192 };
	else
		return false;
	if (suite_encr(&s) == NULL || offer->group > UINT8_MAX || vd_dh_public_len(offer->group) == 0)
		return false;
	s.group = (uint8_t)offer->group;
	*ret_suite = s;
	return true;
}

static uint8_t hash_phase2(uint16_t auth)
{
	switch (auth) {
	case 2: return IKE_HASH_SHA1;
	case 5: return IKE_HASH_SHA256;
	case 6: return IKE_HASH_SHA384;
	case 7: return IKE_HASH_SHA512;
	default: return IKE_HASH_NONE;
	}
}

bool ike_encap_fits(uint16_t encap, bool tunnel, bool udp)
{
	if (tunnel)
		return udp ? encap == IKE_ENCAP_UDP_TUNNEL || encap == IKE_ENCAP_UDP_TUNNEL_DRAFT : encap == IKE_ENCAP_TUNNEL;
	return udp ? encap == IKE_ENCAP_UDP_TRANSPORT || encap == IKE_ENCAP_UDP_TRANSPORT_DRAFT : encap == IKE_ENCAP_TRANSPORT;
}

bool ike_suite_from_phase2(const struct ike_offer *offer, struct ike_suite *ret_suite)
{
	struct ike_suite s = { .hash = hash_phase2(offer->auth), .key_bits = offer->key_bits };

	if (!offer->usable)
		return false;
	switch (offer->id) {
	case 3:
		if (offer->key_bits != 0 && offer->key_bits != 192)
			return false;
		s.encr = VD_ENCR_3DES;
		s.key_bits = 192;
		break;
	case 12:
		s.encr = VD_ENCR_AES_CBC;
		if (s.key_bits == 0)
			s.key_bits = 128; /* RFC 3602 section 5.3 */
		break;
	case 20:
		s.encr = VD_ENCR_AES_GCM_16;
		if (offer->auth != 0)
			return false;
		break;
	default:
		return false;
	}
	if (suite_encr(&s) == NULL || (s.encr != VD_ENCR_AES_GCM_16 && s.hash == 0))
		return false;
	*ret_suite = s;
	return true;
}

char *ike_suites_format(const struct ike_suite *suites, unsigned n, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		char word[IKE_SUITE_TEXT];

		ike_suite_format(&suites[i], word);
		if (len + strlen(word) + 20 > size) {
			vd_format(out + len, size - len, ", %u more", n - i);
			break;
		}
		len += vd_format(out + len, size - len, "%s%s", i > 0 ? ", " : "", word);
	}
	return out;
}

bool ike_suite_weak(const struct ike_suite *s)
{
	return s->encr == VD_ENCR_3DES || s->hash == IKE_HASH_SHA1 || s->group == 2 || s->group == 5;
}

char *ike_groups_format(const struct ike_policy *policy, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < policy->n_ike; i++) {
		unsigned k = 0;

		while (policy->ike[k].group != policy->ike[i].group)
			k++;
		if (k == i)
			len += vd_format(out + len, size - len, "%s%s", len > 0 ? ", " : "", vd_dh_name(policy->ike[i].group));
	}
	return out;
}

/* Those that are no suites here, each name once. */
static void unserved_format(unsigned phase, const struct ike_offers *offers, char *out, size_t size)
{
	char names[8][IKE_OFFER_TEXT];
	size_t len = strlen(out);
	unsigned n = 0;

	for (unsigned i = 0; i < offers->n && n < VD_ARRAY_SIZE(names); i++) {
		const struct ike_offer *o = &offers->v[i];
		struct ike_suite s;
		unsigned k = 0;

		if (phase == 1 ? o->auth != IKE_AUTH_PSK || ike_suite_from_phase1(o, IKE_AUTH_PSK, &s) : ike_suite_from_phase2(o, &s))
			continue;
		ike_offer_format(phase, o, names[n]);
		while (strcmp(names[k], names[n]) != 0)
			k++;
		if (k < n)
			continue;
		len += vd_format(out + len, size - len, "%s%s", n > 0 ? ", " : len > 0 ? "; not served here: " : "", names[n]);
		n++;
	}
}

char *ike_offers_format(unsigned phase, const struct ike_offers *offers, char *out, size_t size)
{
	struct ike_suite known[IKE_OFFERS_MAX];
	unsigned n = 0, xauth = 0, other_auth = 0; /* xauth: with no more to tell */

	for (unsigned i = 0; i < offers->n; i++) {
		const struct ike_offer *o = &offers->v[i];

		if (phase == 1 ? ike_suite_from_phase1(o, IKE_AUTH_PSK, &known[n]) : ike_suite_from_phase2(o, &known[n])) {
			if (phase == 2 && vd_dh_name(o->group) != NULL)
				known[n].group = (uint8_t)o->group; /* of PFS */
			n++;
		}
		else if (phase == 1 && o->auth > 65000) /* draft-ietf-ipsec-isakmp-xauth */
			xauth++;
		else if (phase == 1 && o->auth != 1)
			other_auth++;
	}
	bool all_xauth = n == 0 && xauth > 0;
	for (unsigned i = 0; all_xauth && i < offers->n; i++)
		if (ike_suite_from_phase1(&offers->v[i], IKE_AUTH_XAUTH_PSK, &known[n])) {
			n++;
			xauth--;
		}
	ike_suites_format(known, n, out, size);
	if (all_xauth && n > 0)
		vd_format(out + strlen(out), size - strlen(out), " with XAuth");
	const struct { unsigned n; const char *what; } rest[] = { { xauth, "with XAuth" },
		{ other_auth, "with certificates or another authentication" } };
	for (size_t i = 0, len = strlen(out); i < VD_ARRAY_SIZE(rest); i++)
		if (rest[i].n > 0)
			len += vd_format(
				out + len, size - len, "%s%u %s", len > 0 ? ", " : "", rest[i].n, rest[i].what);
	unserved_format(phase, offers, out, size);
	return out;
}
