/* What reports say of offers that are not taken: no sentence that is not so. */
#include <check.h>
#include <string.h>
#include <viaduct/bytes.h>

#include "plugins/ike/lib/advice.h"

/* One transform of each; encr, hash, auth, group of phase 1, id, auth, group, protocol and with of phase 2. */
static struct ike_offer p1(unsigned encr, unsigned bits, unsigned hash, unsigned group, unsigned auth)
{
	return (struct ike_offer){ .usable = true, .protocol = 1, .id = 1, .encr = (uint16_t)encr, .key_bits = (uint16_t)bits,
		.hash = (uint16_t)hash, .group = (uint16_t)group, .auth = (uint16_t)auth };
}

static struct ike_offer p2(unsigned protocol, unsigned id, unsigned bits, unsigned auth, unsigned group, unsigned with)
{
	return (struct ike_offer){ .usable = protocol == IKE_PROTO_ESP && with == 0, .protocol = (uint8_t)protocol, .id = (uint8_t)id,
		.key_bits = (uint16_t)bits, .auth = (uint16_t)auth, .group = (uint16_t)group, .with = (uint8_t)with,
		.encap = IKE_ENCAP_TRANSPORT };
}

static struct ike_advice asked(unsigned phase, const char *set, struct ike_offer offer, bool xauth)
{
	struct ike_offers offers = { .n = 1, .v = { offer } };
	struct ike_policy policy;
	struct ike_advice advice;

	ck_assert_int_eq(ike_policy_load(NULL, set, &policy, NULL), 0);
	struct ike_allows list[] = { { "staff", "30-staff.yaml:4", false, xauth, &policy } };
	ike_advise(NULL, phase, &offers, list, 1, false, offer.group != 0, &advice);
	return advice;
}

static const struct {
	unsigned phase;
	const char *set;
	struct ike_offer offer;
	const char *offered, *remedy;
	const char *not; /* must not stand in the remedy */
} cases[] = {
	/* stronger than what the connection has */
	{ 1, "modern", { .encr = 7, .key_bits = 256, .hash = 6, .group = 18, .auth = 1 }, "aes256-sha512-modp8192",
		"let the client offer one of aes256-sha384-ecp384", "update the client" },
	{ 1, "compatible", { .encr = 7, .key_bits = 256, .hash = 6, .group = 21, .auth = 1 }, "aes256-sha512-ecp521",
		"let the client offer one of aes256-sha384-ecp384", "update the client" },
	{ 1, "compatible", { .encr = 7, .key_bits = 192, .hash = 4, .group = 14, .auth = 1 }, "aes192-sha256-modp2048",
		"make a set with aes192-sha256-modp2048", "update the client" },
	/* weaker */
	{ 1, "compatible", { .encr = 5, .hash = 2, .group = 2, .auth = 1 }, "3des-sha1-modp1024",
		"add 'crypto: legacy' to staff (30-staff.yaml:4) or update the client", "offer one of" },
	{ 1, "modern", { .encr = 7, .key_bits = 256, .hash = 2, .group = 14, .auth = 1 }, "aes256-sha1-modp2048",
		"add 'crypto: compatible' to staff (30-staff.yaml:4) or update the client", "legacy" },
	{ 1, "compatible", { .encr = 1, .hash = 1, .group = 1, .auth = 1 }, "des-md5-modp768", "is broken", "served here" },
	{ 1, "compatible", { .encr = 8, .key_bits = 256, .hash = 4, .group = 14, .auth = 1 }, "camellia256-sha256-modp2048",
		"what it offers is not served here", "broken" },
	/* certificates */
	{ 1, "compatible", { .encr = 7, .key_bits = 256, .hash = 4, .group = 14, .auth = 3 }, "1 with certificates",
		"a pre-shared key instead of a certificate", "XAuth" },
	/* ESP */
	{ 2, "compatible", { .protocol = 3, .id = 13, .key_bits = 128, .auth = 2 }, "aes128ctr-sha1", "not served here", "broken" },
	{ 2, "compatible", { .protocol = 3, .id = 16, .key_bits = 256 }, "aes256ccm16", "not served here", "broken" },
	{ 2, "compatible", { .protocol = 3, .id = 11, .auth = 2 }, "null-sha1", "let the client encrypt", "broken" },
	{ 2, "compatible", { .protocol = 2, .id = 3, .auth = 2 }, "ah-sha1", "let the client encrypt", "broken" },
	{ 2, "compatible", { .protocol = 3, .id = 12, .key_bits = 256, .auth = 2, .with = 4 }, "aes256-sha1",
		"switch compression (IPComp) or AH off", "broken" },
	{ 2, "compatible", { .protocol = 4, .id = 2, .with = 3 }, "ipcomp", "switch compression (IPComp) or AH off", "broken" },
	{ 2, "compatible", { .protocol = 3, .id = 2, .auth = 1 }, "des-md5", "is broken", "not served" },
	{ 2, "compatible", { .protocol = 3, .id = 99, .auth = 99 }, "cipher-99-hash-99", "not served here", "broken" },
	{ 2, "modern", { .protocol = 3, .id = 12, .key_bits = 256, .auth = 2 }, "aes256-sha1", "add 'crypto: compatible'", "offer one of" },
	/* PFS */
	{ 2, "compatible", { .protocol = 3, .id = 12, .key_bits = 256, .auth = 2, .group = 18 }, "aes256-sha1-modp8192",
		"set perfect forward secrecy on the client to one of ecp384", "update the client" },
	{ 2, "compatible", { .protocol = 3, .id = 12, .key_bits = 256, .auth = 2, .group = 2 }, "aes256-sha1-modp1024",
		"add 'crypto: legacy' to staff (30-staff.yaml:4), or switch perfect forward secrecy off", "update the client" },
};

START_TEST(test_words)
{
	struct ike_offer o = cases[_i].offer;
	struct ike_advice a;

	if (cases[_i].phase == 1)
		o = p1(o.encr, o.key_bits, o.hash, o.group, o.auth);
	else
		o = p2(o.protocol, o.id, o.key_bits, o.auth, o.group, o.with);
	a = asked(cases[_i].phase, cases[_i].set, o, false);
	ck_assert_msg(strncmp(a.offered, cases[_i].offered, strlen(cases[_i].offered)) == 0, "%s", a.offered);
	ck_assert_msg(strstr(a.remedy, cases[_i].remedy) != NULL, "%s", a.remedy);
	ck_assert_msg(strstr(a.remedy, cases[_i].not) == NULL, "%s", a.remedy);
	ck_assert(a.difference[0] != '\0' && a.configured[0] != '\0');
	if (cases[_i].phase == 2 && o.group != 0) { /* what is offered is not what is said to be allowed */
		ck_assert_ptr_nonnull(strstr(a.configured, "for perfect forward secrecy ecp384, x25519"));
		ck_assert_ptr_nonnull(strstr(a.difference, "is offered for perfect forward secrecy, and the connection does not have it"));
	}
}
END_TEST

/* "let a connection accept xauth" only where none does. */
START_TEST(test_kinds)
{
	struct ike_advice a = asked(1, "compatible", p1(7, 256, 4, 14, IKE_AUTH_XAUTH_PSK), false);

	ck_assert_ptr_nonnull(strstr(a.remedy, "let a connection accept xauth"));
	a = asked(1, "compatible", p1(7, 256, 4, 14, 65005), true); /* XAuth with a certificate, where XAuth is accepted */
	ck_assert_ptr_null(strstr(a.remedy, "let a connection accept"));
	ck_assert_ptr_nonnull(strstr(a.remedy, "instead of a certificate"));
	a = asked(1, "compatible", p1(7, 256, 4, 18, IKE_AUTH_XAUTH_PSK), true);
	ck_assert_ptr_null(strstr(a.remedy, "accept"));
	a = asked(1, "compatible", p1(7, 256, 4, 14, IKE_AUTH_PSK), true);
	ck_assert_ptr_nonnull(strstr(a.remedy, "let a connection accept l2tp"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_advice");
	TCase *t = tcase_create("advice");

	tcase_add_loop_test(t, test_words, 0, VD_ARRAY_SIZE(cases));
	tcase_add_test(t, test_kinds);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
