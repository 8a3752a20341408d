/* Which algorithms a connection allows, in the gateway's order of preference. No state; any thread except loading. */
#ifndef IKE_LIB_POLICY_H
#define IKE_LIB_POLICY_H

#include <viaduct/conf.h>
#include <viaduct/esp.h>
#include <viaduct/plugin.h>
#include <viaduct/topics.h>

#include "isakmp.h"

/* Suites of one list; the built-in ones have 25 at most. */
#define IKE_SUITES_MAX 48u

enum ike_hash { IKE_HASH_NONE, IKE_HASH_SHA1, IKE_HASH_SHA256, IKE_HASH_SHA384, IKE_HASH_SHA512 };

/* IANA numbers of IKEv2 for encr, of both versions for group. */
struct ike_suite {
	uint8_t encr, hash, group; /* hash NONE: AEAD; group 0: none (ESP) */
	uint16_t key_bits;
};
struct ike_policy {
	char name[VD_NAME_MAX];
	unsigned n_ike, n_esp;
	struct ike_suite ike[IKE_SUITES_MAX], esp[IKE_SUITES_MAX];
};

/* OpenSSL names; NULL when there is none. */
const char *ike_hash_md(uint8_t hash);
const char *ike_suite_cipher(const struct ike_suite *suite);

/* "aes256-sha256-modp2048", "aes128gcm16", "3des-sha1". ike: with group, without AEAD. -EINVAL with the reason. */
int ike_suite_parse(const char *word, bool ike, struct ike_suite *ret_suite, struct vd_error *err);
#define IKE_SUITE_TEXT 48
bool ike_suite_equal(const struct ike_suite *a, const struct ike_suite *b);
char *ike_suite_format(const struct ike_suite *suite, char out[IKE_SUITE_TEXT]);

/* The policy of this name: crypto.NAME of conf, else modern, compatible or legacy. -ENOENT, -EINVAL. Control thread. */
int ike_policy_load(const struct vd_conf *conf, const char *name, struct ike_policy *ret_policy, struct vd_error *err);
bool ike_policy_allows(const struct ike_policy *policy, const struct ike_suite *suite);
/* For PFS: the groups of the suites for phase 1, and no others. A stronger one is no gift: it costs the gateway many times what
 * those cost that its operator chose, and anybody who may connect could ask for it. */
bool ike_policy_allows_group(const struct ike_policy *policy, uint16_t group);

/* What an IKEv1 offer means as a suite. False when it is nothing that we have (DES, MD5), or of phase 1 with another
 * authentication than this (enum ike_auth). */
bool ike_suite_from_phase1(const struct ike_offer *offer, uint16_t auth, struct ike_suite *ret_suite);
bool ike_suite_from_phase2(const struct ike_offer *offer, struct ike_suite *ret_suite);
/* Is any of it what a client should no longer offer: 3DES, SHA-1, a group below 2048 bits? */
bool ike_suite_weak(const struct ike_suite *suite);
/* Any offer by name, known here or not: "aes256-sha1-modp2048", "aes128ctr-sha1", "null-md5", "ah-sha1". Returns out. */
#define IKE_OFFER_TEXT 64
char *ike_offer_format(unsigned phase, const struct ike_offer *offer, char out[IKE_OFFER_TEXT]);
/* Why an offer is no suite here. */
enum ike_fault {
	IKE_FAULT_BROKEN,   /* DES, MD5, a group of 768 bits */
	IKE_FAULT_PLAIN,    /* nothing is encrypted: NULL, AH */
	IKE_FAULT_BUNDLE,   /* together with another protocol, as IPComp */
	IKE_FAULT_UNSERVED, /* it may be as good as any */
};
enum ike_fault ike_offer_fault(unsigned phase, const struct ike_offer *offer);
/* The groups that a policy allows, each once: "ecp384, x25519". Returns out. */
char *ike_groups_format(const struct ike_policy *policy, char *out, size_t size);
/* "aes256-sha1-modp2048, 3des-sha1-modp1024, 2 with XAuth; not served here: des-md5" for reports; of phase 2 with the group for
 * PFS. Returns out. */
char *ike_offers_format(unsigned phase, const struct ike_offers *offers, char *out, size_t size);
char *ike_suites_format(const struct ike_suite *suites, unsigned n, char *out, size_t size);
/* Does this encapsulation mode (enum ike_encap) fit a tunnel, or L2TP's transport mode, with or without UDP? */
bool ike_encap_fits(uint16_t encap, bool tunnel, bool udp);
/* What the tables have: the names of built-in policies, of encryption (ret_aead may be NULL) and of hashes (enum ike_hash); NULL
 * behind the last. */
const char *ike_policy_builtin_name(unsigned i);
const char *ike_encr_word(unsigned i, bool *ret_aead);
const char *ike_hash_word(uint8_t hash);
/* See vd_plugin.words. */
void ike_policy_words(const struct vd_conf *conf, vd_word_fn fn, void *arg);
/* Of ESP: the integrity transform of esp/1. */
uint8_t ike_hash_integ(uint8_t hash);

#endif
