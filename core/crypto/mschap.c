/* MS-CHAPv2 (RFC 2759 section 8) and the MPPE keys that come of it (RFC 3079 section 3). */
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>

#include <errno.h>
#include <string.h>

#define PASSWORD_MAX 256 /* UTF-16 units: "0-to-256-unicode-char" */

/* Decodes one character of UTF-8; overlong forms, surrogates and values above U+10FFFF are refused. */
static int utf8_next(struct vd_rd *r, uint32_t *ret_char)
{
	uint32_t c = vd_rd_u8(r), low;
	unsigned more;

	if (c < 0x80) {
		*ret_char = c;
		return vd_rd_ok(r) ? 0 : -EINVAL;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		more = 1, low = 0x80, c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2, low = 0x800, c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3, low = 0x10000, c &= 0x07;
	} else {
		return -EINVAL;
	}
	while (more-- > 0) {
		uint8_t b = vd_rd_u8(r);

		if ((b & 0xc0) != 0x80)
			return -EINVAL;
		c = c << 6 | (b & 0x3f);
	}
	if (c < low || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -EINVAL;
	*ret_char = c;
	return 0;
}

static void put_le16(struct vd_wr *w, uint32_t unit)
{
	vd_wr_u8(w, (uint8_t)unit);
	vd_wr_u8(w, (uint8_t)(unit >> 8));
}

int vd_mschap_nt_hash(const char *password, size_t len, uint8_t ret_hash[16])
{
	uint8_t unicode[2 * PASSWORD_MAX];
	struct vd_rd r;
	struct vd_wr w;
	int ret = 0;

	vd_rd_init(&r, password, len);
	vd_wr_init(&w, unicode, sizeof(unicode));
	while (ret == 0 && vd_rd_left(&r) > 0) {
		uint32_t c;

		ret = utf8_next(&r, &c);
		if (ret < 0)
			break;
		if (c >= 0x10000) {
			put_le16(&w, 0xd800 + ((c - 0x10000) >> 10));
			put_le16(&w, 0xdc00 + ((c - 0x10000) & 0x3ff));
		} else {
			put_le16(&w, c);
		}
		if (!vd_wr_ok(&w))
			ret = -EINVAL;
	}
	if (ret == 0)
		vd_md4(unicode, w.len, ret_hash);
	vd_wipe(unicode, sizeof(unicode));
	return ret;
}

const char *vd_mschap_user(const char *name)
{
	const char *slash = strrchr(name, '\\');

	return slash ? slash + 1 : name;
}

/* ChallengeHash, section 8.2. */
static int challenge_hash(const uint8_t peer_challenge[16], const uint8_t auth_challenge[16], const char *user,
	uint8_t ret_challenge[8])
{
	const char *name = vd_mschap_user(user);
	const struct vd_slice parts[] = { { peer_challenge, 16 }, { auth_challenge, 16 }, { name, strlen(name) } };
	uint8_t digest[64];
	size_t len;
	int ret = vd_digest_parts("SHA1", parts, VD_ARRAY_SIZE(parts), digest, &len);

	if (ret == 0)
		memcpy(ret_challenge, digest, 8);
	return ret;
}

/* Seven octets become eight with room for parity in the lowest bit of each (section 8.6; parity itself is not used). */
static void des_key(const uint8_t raw[7], uint8_t key[8])
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 7; i++)
		v = v << 8 | raw[i];
	for (unsigned i = 0; i < 8; i++)
		key[i] = (uint8_t)(v >> (49 - 7 * i) << 1);
	vd_wipe(&v, sizeof(v));
}

int vd_mschapv2_response(const uint8_t auth_challenge[16], const uint8_t peer_challenge[16], const char *user,
	const uint8_t nt_hash[16], uint8_t ret_response[24])
{
	uint8_t challenge[8], padded[21] = { 0 }, key[8];
	int ret = challenge_hash(peer_challenge, auth_challenge, user, challenge);

	if (ret < 0)
		return ret;
	memcpy(padded, nt_hash, 16); /* ChallengeResponse, section 8.5 */
	for (unsigned i = 0; i < 3; i++) {
		des_key(padded + 7 * i, key);
		vd_des_encrypt(key, challenge, ret_response + 8 * i);
	}
	vd_wipe(padded, sizeof(padded));
	vd_wipe(key, sizeof(key));
	return 0;
}

int vd_mschapv2_authenticator(const uint8_t nt_hash[16], const uint8_t response[24],
	const uint8_t auth_challenge[16], const uint8_t peer_challenge[16], const char *user, char ret_text[43])
{
	static const char magic1[] = "Magic server to client signing constant";
	static const char magic2[] = "Pad to make it do more than one iteration";
	uint8_t hash_hash[16], challenge[8], digest[64];
	size_t len;
	int ret = challenge_hash(peer_challenge, auth_challenge, user, challenge);

	if (ret < 0)
		return ret;
	vd_md4(nt_hash, 16, hash_hash);
	const struct vd_slice inner[] = { { hash_hash, 16 }, { response, 24 }, { magic1, sizeof(magic1) - 1 } };
	ret = vd_digest_parts("SHA1", inner, VD_ARRAY_SIZE(inner), digest, &len);
	if (ret == 0) {
		const struct vd_slice outer[] = { { digest, 20 }, { challenge, 8 }, { magic2, sizeof(magic2) - 1 } };

		ret = vd_digest_parts("SHA1", outer, VD_ARRAY_SIZE(outer), digest, &len);
	}
	if (ret == 0) {
		static const char hex[] = "0123456789ABCDEF";

		memcpy(ret_text, "S=", 2);
		for (unsigned i = 0; i < 20; i++) {
			ret_text[2 + 2 * i] = hex[digest[i] >> 4];
			ret_text[3 + 2 * i] = hex[digest[i] & 15];
		}
		ret_text[42] = '\0';
	}
	vd_wipe(hash_hash, sizeof(hash_hash));
	vd_wipe(digest, sizeof(digest));
	return ret;
}

/* GetAsymmetricStartKey, RFC 3079 section 3.4. */
static int start_key(const uint8_t master[16], const char *magic, uint8_t ret_key[16])
{
	uint8_t pad1[40], pad2[40], digest[64];
	size_t len;
	int ret;

	memset(pad1, 0x00, sizeof(pad1));
	memset(pad2, 0xf2, sizeof(pad2));
	const struct vd_slice parts[] = { { master, 16 }, { pad1, 40 }, { magic, strlen(magic) }, { pad2, 40 } };
	ret = vd_digest_parts("SHA1", parts, VD_ARRAY_SIZE(parts), digest, &len);
	if (ret == 0)
		memcpy(ret_key, digest, 16);
	vd_wipe(digest, sizeof(digest));
	return ret;
}

int vd_mschapv2_mppe_keys(const uint8_t nt_hash[16], const uint8_t response[24], uint8_t ret_send[16],
	uint8_t ret_recv[16])
{
	static const char magic1[] = "This is the MPPE Master Key";
	static const char to_server[] = "On the client side, this is the send key; on the server side, it is the receive key.";
	static const char to_client[] = "On the client side, this is the receive key; on the server side, it is the send key.";
	uint8_t hash_hash[16], digest[64], send[16], recv[16];
	size_t len;
	int ret;

	vd_md4(nt_hash, 16, hash_hash);
	const struct vd_slice parts[] = { { hash_hash, 16 }, { response, 24 }, { magic1, sizeof(magic1) - 1 } };
	ret = vd_digest_parts("SHA1", parts, VD_ARRAY_SIZE(parts), digest, &len);
	if (ret == 0)
		ret = start_key(digest, to_client, send);
	if (ret == 0)
		ret = start_key(digest, to_server, recv);
	if (ret == 0) {
		memcpy(ret_send, send, 16);
		memcpy(ret_recv, recv, 16);
	}
	vd_wipe(hash_hash, sizeof(hash_hash));
	vd_wipe(digest, sizeof(digest));
	vd_wipe(send, sizeof(send));
	vd_wipe(recv, sizeof(recv));
	return ret;
}
