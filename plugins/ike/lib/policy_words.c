/* The words of crypto: as the manual page and `viaductctl crypto list` show them. Made from the tables that read them. */
#include "policy.h"

#include <string.h>
#include <viaduct/crypto.h>

#define SUBJECT "crypto"
#define POLICY_TEXT ((size_t)IKE_SUITES_MAX * 2 * (IKE_SUITE_TEXT + 2))

static void tell(vd_word_fn fn, void *arg, const char *kind, const char *word, const char *doc)
{
	fn(arg, &(struct vd_word){ .subject = SUBJECT, .kind = kind, .word = word, .doc = doc });
}

static void tell_policy(const struct vd_conf *conf, const char *name, vd_word_fn fn, void *arg)
{
	char text[POLICY_TEXT];
	struct ike_policy policy;
	size_t len;

	if (ike_policy_load(conf, name, &policy, NULL) < 0)
		return;
	vd_strcpy(text, sizeof(text), "ike: ");
	len = strlen(ike_suites_format(policy.ike, policy.n_ike, text + 5, sizeof(text) - 5)) + 5;
	len += vd_format(text + len, sizeof(text) - len, "; esp: ");
	ike_suites_format(policy.esp, policy.n_esp, text + len, sizeof(text) - len);
	tell(fn, arg, "policy", name, text);
}

void ike_policy_words(const struct vd_conf *conf, vd_word_fn fn, void *arg)
{
	const struct vd_conf_node *own = conf != NULL ? vd_conf_at(conf, NULL, "crypto") : NULL;
	char doc[80];

	for (unsigned i = 0; ike_policy_builtin_name(i) != NULL; i++)
		if (vd_conf_child(own, ike_policy_builtin_name(i)) == NULL)
			tell_policy(conf, ike_policy_builtin_name(i), fn, arg);
	for (size_t i = 0; i < vd_conf_count(own); i++)
		tell_policy(conf, vd_conf_name(vd_conf_nth(own, i)), fn, arg);
	for (unsigned i = 0; ike_encr_word(i, NULL) != NULL; i++) {
		bool aead;
		const char *word = ike_encr_word(i, &aead);
		struct ike_suite s = { 0 };

		vd_format(doc, sizeof(doc), "%s-sha256", word);
		vd_format(doc, sizeof(doc), "%s%s", aead ? "esp only, without a hash" : "ike and esp, with a hash",
			!aead && ike_suite_parse(doc, false, &s, NULL) == 0 && ike_suite_weak(&s) ? "; old" : "");
		tell(fn, arg, "encryption", word, doc);
	}
	for (uint8_t i = 1; ike_hash_word(i) != NULL; i++) {
		vd_format(doc, sizeof(doc), "ike: hash and PRF; esp: HMAC%s", i == IKE_HASH_SHA1 ? "; old" : "");
		tell(fn, arg, "hash", ike_hash_word(i), doc);
	}
	for (unsigned group = 1; group <= UINT8_MAX; group++)
		if (vd_dh_name(group) != NULL) {
			vd_format(doc, sizeof(doc), "group %u, ike only%s", group,
				ike_suite_weak(&(struct ike_suite){ .encr = VD_ENCR_AES_CBC, .group = (uint8_t)group }) ? "; old" : "");
			tell(fn, arg, "group", vd_dh_name(group), doc);
		}
}
