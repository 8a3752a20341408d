/* MD4 (RFC 1320), for MS-CHAP only: OpenSSL 3 keeps it in the legacy provider, which need not be there. */
#include <viaduct/crypto.h>

#include <string.h>

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* RFC 1320 section 3.4. */
static void md4_block(uint32_t s[4], const uint8_t *p)
{
	static const uint8_t order2[16] = { 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 };
	static const uint8_t order3[16] = { 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 };
	static const uint8_t turn[3][4] = { { 3, 7, 11, 19 }, { 3, 5, 9, 13 }, { 3, 9, 11, 15 } };
	uint32_t x[16], v[4];

	for (unsigned i = 0; i < 16; i++)
		x[i] = p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
	memcpy(v, s, sizeof(v));
	for (unsigned i = 0; i < 48; i++) {
		/* The roles of a, b, c, d turn backwards by one with each step. */
		uint32_t *a = &v[(48 - i) % 4];
		uint32_t b = v[(49 - i) % 4], c = v[(50 - i) % 4], d = v[(51 - i) % 4], f;

		if (i < 16)
			f = ((b & c) | (~b & d)) + x[i];
		else if (i < 32)
			f = ((b & c) | (b & d) | (c & d)) + x[order2[i - 16]] + 0x5a827999u;
		else
			f = (b ^ c ^ d) + x[order3[i - 32]] + 0x6ed9eba1u;
		*a = rol(*a + f, turn[i / 16][i % 4]);
	}
	for (unsigned i = 0; i < 4; i++)
		s[i] += v[i];
	vd_wipe(x, sizeof(x));
	vd_wipe(v, sizeof(v));
}

void vd_md4(const void *data, size_t len, uint8_t ret_digest[16])
{
	uint32_t s[4] = { 0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u };
	uint64_t bits = (uint64_t)len * 8;
	const uint8_t *p = data;
	uint8_t tail[128] = { 0 };
	size_t left = len, end;

	for (; left >= 64; left -= 64, p += 64)
		md4_block(s, p);
	if (left > 0)
		memcpy(tail, p, left);
	tail[left] = 0x80;
	end = left < 56 ? 64 : 128;
	for (unsigned i = 0; i < 8; i++)
		tail[end - 8 + i] = (uint8_t)(bits >> (8 * i));
	md4_block(s, tail);
	if (end == 128)
		md4_block(s, tail + 64);
	for (unsigned i = 0; i < 16; i++)
		ret_digest[i] = (uint8_t)(s[i / 4] >> (8 * (i % 4)));
	vd_wipe(tail, sizeof(tail));
	vd_wipe(s, sizeof(s));
}
