/* The client's side of MS-CHAPv2 (RFC 2759 section 8), on the low-level functions of OpenSSL. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/lib/mschap.h"

#include <openssl/des.h>
#include <openssl/md4.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static void nt_hash(const char *password, uint8_t out[16])
{
	uint8_t wide[256];
	size_t n = 0;

	for (; *password && n < sizeof(wide); password++) {
		wide[n++] = (uint8_t)*password;
		wide[n++] = 0;
	}
	MD4(wide, n, out);
}

static void challenge_hash(const struct mschap *m, const char *user, uint8_t out[8])
{
	uint8_t all[32 + 256], md[20];

	memcpy(all, m->peer_challenge, 16);
	memcpy(all + 16, m->challenge, 16);
	memcpy(all + 32, user, strlen(user));
	SHA1(all, 32 + strlen(user), md);
	memcpy(out, md, 8);
}

/* 7 octets of key, spread over 8; parity is not looked at. */
static void des(const uint8_t key[7], const uint8_t in[8], uint8_t out[8])
{
	DES_cblock k, from, to;
	DES_key_schedule schedule;
	uint64_t bits = 0;

	for (unsigned i = 0; i < 7; i++)
		bits = bits << 8 | key[i];
	for (unsigned i = 0; i < 8; i++)
		k[i] = (uint8_t)(bits >> (49 - 7 * i) << 1);
	DES_set_key_unchecked(&k, &schedule);
	memcpy(from, in, 8);
	DES_ecb_encrypt(&from, &to, &schedule, DES_ENCRYPT);
	memcpy(out, to, 8);
}

void mschap_respond(const struct mschap *m, const char *user, const char *password, uint8_t out[24])
{
	uint8_t keys[21] = { 0 }, hash[8];

	nt_hash(password, keys);
	challenge_hash(m, user, hash);
	for (unsigned i = 0; i < 3; i++)
		des(keys + 7 * i, hash, out + 8 * i);
}

void mschap_authenticator(const struct mschap *m, const char *user, const char *password, char out[43])
{
	static const char one[] = "Magic server to client signing constant";
	static const char two[] = "Pad to make it do more than one iteration";
	uint8_t nt[16], ntnt[16], response[24], all[128], md[20], hash[8];

	nt_hash(password, nt);
	MD4(nt, 16, ntnt);
	mschap_respond(m, user, password, response);
	memcpy(all, ntnt, 16);
	memcpy(all + 16, response, 24);
	memcpy(all + 40, one, 39);
	SHA1(all, 79, md);
	challenge_hash(m, user, hash);
	memcpy(all, md, 20);
	memcpy(all + 20, hash, 8);
	memcpy(all + 28, two, 41);
	SHA1(all, 69, md);
	memcpy(out, "S=", 2);
	for (unsigned i = 0; i < 20; i++)
		snprintf(out + 2 + 2 * i, 3, "%02X", md[i]);
}
