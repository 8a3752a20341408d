/* What clients offer, by name: also what the gateway does not serve, and why it does not. Numbers of RFC 2407, RFC 2409 and the
 * registries that go on from them. */
#include <string.h>
#include <viaduct/crypto.h>

#include "policy.h"

struct number_name {
	uint16_t number;
	const char *name;
};

static const struct number_name ike_ciphers[] = { { 1, "des" }, { 2, "idea" }, { 3, "blowfish" }, { 4, "rc5" }, { 5, "3des" },
	{ 6, "cast" }, { 7, "aes" }, { 8, "camellia" } };
static const struct number_name ike_hashes[] = { { 1, "md5" }, { 2, "sha1" }, { 3, "tiger" }, { 4, "sha256" }, { 5, "sha384" },
	{ 6, "sha512" } };
static const struct number_name esp_ciphers[] = { { 1, "des" }, { 2, "des" }, { 3, "3des" }, { 4, "rc5" }, { 5, "idea" },
	{ 6, "cast" }, { 7, "blowfish" }, { 11, "null" }, { 12, "aes" }, { 13, "aes%uctr" }, { 14, "aes%uccm8" },
	{ 15, "aes%uccm12" }, { 16, "aes%uccm16" }, { 18, "aes%ugcm8" }, { 19, "aes%ugcm12" }, { 20, "aes%ugcm16" },
	{ 22, "camellia" }, { 23, "aes%ugmac" } };
static const struct number_name esp_hashes[] = { { 1, "md5" }, { 2, "sha1" }, { 3, "desmac" }, { 5, "sha256" }, { 6, "sha384" },
	{ 7, "sha512" }, { 8, "ripemd160" }, { 9, "aesxcbc" } };

static const char *name_of(const struct number_name *list, size_t n, uint16_t number)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].number == number)
			return list[i].name;
	return NULL;
}

/* "aes256", "aes128ctr", "cipher-99" */
static size_t cipher_format(const char *name, uint16_t number, uint16_t bits, char *out, size_t size)
{
	const char *key = name != NULL ? strstr(name, "%u") : NULL;

	if (name == NULL)
		return vd_format(out, size, "cipher-%u", number);
	if (key != NULL)
		return vd_format(out, size, "%.*s%u%s", (int)(key - name), name, bits != 0 ? bits : 128, key + 2);
	if (bits != 0)
		return vd_format(out, size, "%s%u", name, bits);
	return vd_format(out, size, "%s%s", name, strcmp(name, "aes") == 0 ? "128" : "");
}

char *ike_offer_format(unsigned phase, const struct ike_offer *o, char out[IKE_OFFER_TEXT])
{
	const char *hash = phase == 1 ? name_of(ike_hashes, VD_ARRAY_SIZE(ike_hashes), o->hash) :
		name_of(esp_hashes, VD_ARRAY_SIZE(esp_hashes), o->auth);
	uint16_t hash_number = phase == 1 ? o->hash : o->auth;
	const char *group = vd_dh_name(o->group);
	size_t len;

	if (phase == 2 && o->protocol == IKE_PROTO_IPCOMP) {
		vd_strcpy(out, IKE_OFFER_TEXT, "ipcomp");
		return out;
	}
	if (phase == 2 && o->protocol == IKE_PROTO_AH)
		len = vd_format(out, IKE_OFFER_TEXT, "ah");
	else if (phase == 1)
		len = cipher_format(name_of(ike_ciphers, VD_ARRAY_SIZE(ike_ciphers), o->encr), o->encr, o->key_bits, out, IKE_OFFER_TEXT);
	else
		len = cipher_format(name_of(esp_ciphers, VD_ARRAY_SIZE(esp_ciphers), o->id), o->id, o->key_bits, out, IKE_OFFER_TEXT);
	if (hash != NULL)
		len += vd_format(out + len, IKE_OFFER_TEXT - len, "-%s", hash);
	else if (hash_number != 0)
		len += vd_format(out + len, IKE_OFFER_TEXT - len, "-hash-%u", hash_number);
	if (group != NULL)
		vd_format(out + len, IKE_OFFER_TEXT - len, "-%s", group);
	else if (o->group == 1)
		vd_format(out + len, IKE_OFFER_TEXT - len, "-modp768");
	else if (o->group != 0)
		vd_format(out + len, IKE_OFFER_TEXT - len, "-group-%u", o->group);
	return out;
}

enum ike_fault ike_offer_fault(unsigned phase, const struct ike_offer *o)
{
	if (phase == 2 && o->with != 0)
		return IKE_FAULT_BUNDLE;
	if (phase == 2 && (o->protocol == IKE_PROTO_AH || (o->protocol == IKE_PROTO_ESP && (o->id == 11 || o->id == 23))))
		return IKE_FAULT_PLAIN;
	if (phase == 1 ? o->encr == 1 || o->hash == 1 || o->group == 1 :
		o->protocol == IKE_PROTO_ESP && (o->id == 1 || o->id == 2 || o->auth == 1))
		return IKE_FAULT_BROKEN;
	return IKE_FAULT_UNSERVED;
}
