#include "tests/lib/ike_client.h"
#include "tests/lib/ike_group.h"
#include "tests/lib/ike_msg.h"
#include "tests/lib/ike_peer.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

const uint8_t ike_peer_no_hash[64];

void ike_peer_hmac(
	const struct client *c, const uint8_t *key, size_t key_len, const struct part *parts, size_t n, uint8_t *out)
{
	unsigned len;
	uint8_t all[8192];
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		memcpy(all + at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	HMAC(EVP_get_digestbyname(c->md), key, (int)key_len, all, at, out, &len);
}

static void digest(const struct client *c, const struct part *parts, size_t n, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	EVP_DigestInit_ex(ctx, EVP_get_digestbyname(c->md), NULL);
	for (size_t i = 0; i < n; i++)
		EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
	EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
}

/* Whole blocks; iv is moved on to the last block of ciphertext. */
void ike_peer_crypt(const struct client *c, int enc, uint8_t *iv, uint8_t *p, size_t n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t next[16];
	int got;

	if (!enc)
		memcpy(next, p + n - c->block, c->block);
	EVP_CipherInit_ex(ctx, EVP_get_cipherbyname(c->cipher), NULL, c->key, iv, enc);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	EVP_CipherUpdate(ctx, p, &got, p, (int)n);
	EVP_CIPHER_CTX_free(ctx);
	memcpy(iv, enc ? p + n - c->block : next, c->block);
}

void (*client_plain)(const struct msg *m);

void ike_peer_encrypt(const struct client *c, uint8_t *iv, struct msg *m)
{
	while ((m->len - 28) % c->block != 0)
		put8(m, 0);
	finish(m);
	if (client_plain)
		client_plain(m);
	m->p[19] |= 1;
	ike_peer_crypt(c, 1, iv, m->p + 28, m->len - 28);
}

const uint8_t *ike_peer_find(const struct msg *m, uint8_t type, unsigned nth, size_t *ret_len)
{
	uint8_t at_type = m->p[16];
	size_t at = 28;

	while (at_type != 0 && at + 4 <= m->len) {
		size_t n = (size_t)m->p[at + 2] << 8 | m->p[at + 3];

		if (n < 4 || at + n > m->len)
			return NULL;
		if (at_type == type && nth-- == 0) {
			*ret_len = n - 4;
			return m->p + at + 4;
		}
		at_type = m->p[at];
		at += n;
	}
	return NULL;
}

static void suite(struct client *c, unsigned enc, unsigned bits, unsigned hash, unsigned group)
{
	c->enc = enc;
	c->enc_bits = bits;
	c->hash = hash;
	c->group = group;
	c->md = hash == 2 ? "SHA1" : hash == 4 ? "SHA256" : hash == 5 ? "SHA384" : "SHA512";
	c->hash_len = hash == 2 ? 20 : hash == 4 ? 32 : hash == 5 ? 48 : 64;
	c->cipher = enc == 5 ? "DES-EDE3-CBC" : bits == 256 ? "AES-256-CBC" : "AES-128-CBC";
	c->block = enc == 5 ? 8 : 16;
	c->key_len = enc == 5 ? 24 : bits / 8;
	c->g_len = ike_group_len(group);
}

void client_init(struct client *c, const char *psk, unsigned enc, unsigned bits, unsigned hash, unsigned group)
{
	memset(c, 0, sizeof(*c));
	c->psk = psk;
	suite(c, enc, bits, hash, group);
	RAND_bytes(c->ic, 8);
	RAND_bytes(c->ni, sizeof(c->ni));
	memcpy(c->id, "\x01\x11\x01\xf4\xc0\xa8\x00\x05", 8); /* ID_IPV4_ADDR 192.168.0.5, UDP 500 */
	c->id_len = 8;
	memcpy(c->inside, c->id + 4, 4);
	c->path.endpoint = 1;
	c->path.local = (struct vd_sa){ .ip = vd_ip4(0xcb00710a), .port = 500 };
	c->path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336407), .port = 500 };
}

void client_free(struct client *c)
{
	BN_free(c->x);
	c->x = NULL;
}

void client_mm1_sa(struct client *c, const uint8_t *sa, size_t len, const uint8_t *const *vids, const size_t *vid_lens,
	size_t n, struct msg *m)
{
	memcpy(c->sa, sa, len);
	c->sa_len = len;
	memset(c->rc, 0, 8);
	header(c, m, 1, 2, 0, 0);
	payload(m, n > 0 ? 13 : 0, sa, len);
	for (size_t i = 0; i < n; i++)
		payload(m, i + 1 < n ? 13 : 0, vids[i], vid_lens[i]);
	finish(m);
}

void ike_peer_transform1(const struct client *c, struct msg *sa)
{
	unsigned t = 8 + 4 * (c->enc == 5 ? 5u : 6u) + 8;

	put32(sa, 1), put32(sa, 1);
	put8(sa, 0), put8(sa, 0), put16(sa, 8 + t);
	put8(sa, 1), put8(sa, 1), put8(sa, 0), put8(sa, 1);
	put8(sa, 0), put8(sa, 0), put16(sa, t);
	put8(sa, 1), put8(sa, 1), put16(sa, 0);
	put16(sa, 0x8001), put16(sa, c->enc);
	if (c->enc != 5)
		put16(sa, 0x800e), put16(sa, c->enc_bits);
	put16(sa, 0x8002), put16(sa, c->hash);
	put16(sa, 0x8004), put16(sa, c->group);
	put16(sa, 0x8003), put16(sa, c->auth ? c->auth : 1);
	put16(sa, 0x800b), put16(sa, 1);
	put16(sa, 0x000c), put16(sa, 4), put32(sa, 28800);
}

void client_mm1(struct client *c, struct msg *m)
{
	static const uint8_t rfc3947[16] = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
	static const uint8_t windows[20] = "\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\0\0\0\x09";
	static const uint8_t dpd[16] = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
	static const uint8_t xauth[8] = "\x09\x00\x26\x89\xdf\xd6\xb7\x12";
	static const uint8_t unity[16] = "\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00";
	const uint8_t *vids[5] = { rfc3947 };
	size_t lens[5] = { 16 }, n = 1;
	struct msg sa = { .len = 0 };

	if (c->windows)
		vids[n] = windows, lens[n++] = 20;
	if (c->dpd)
		vids[n] = dpd, lens[n++] = 16;
	ike_peer_transform1(c, &sa);
	if (c->auth) {
		vids[n] = xauth, lens[n++] = sizeof(xauth);
		vids[n] = unity, lens[n++] = sizeof(unity);
	}
	client_mm1_sa(c, sa.p, sa.len, vids, lens, n, m);
}

bool client_mm2(struct client *c, const struct msg *m)
{
	size_t n;

	if (m->len < 28 || m->p[18] != 2 || ike_peer_find(m, 1, 0, &n) == NULL)
		return false;
	memcpy(c->rc, m->p + 8, 8);
	return true;
}

/* The nth transform of an SA payload's body, over all its proposals; NULL behind the last. */
static const uint8_t *transform(const uint8_t *sa, size_t len, unsigned nth, size_t *ret_len)
{
	for (size_t p = 8; p + 8 <= len;) {
		size_t end = p + ((size_t)sa[p + 2] << 8 | sa[p + 3]);

		for (size_t t = p + 8 + sa[p + 6]; t + 8 <= end && end <= len;) {
			*ret_len = (size_t)sa[t + 2] << 8 | sa[t + 3];
			if (*ret_len < 8 || t + *ret_len > end)
				return NULL;
			if (nth-- == 0)
				return sa + t;
			t += *ret_len;
		}
		if (end <= p)
			return NULL;
		p = end;
	}
	return NULL;
}

/* The 16-bit value of an attribute; 0 when it is not there. */
static unsigned attribute(const uint8_t *t, size_t len, unsigned type)
{
	for (size_t at = 8; at + 4 <= len;) {
		unsigned a = (unsigned)t[at] << 8 | t[at + 1], v = (unsigned)t[at + 2] << 8 | t[at + 3];

		if (a == (0x8000 | type))
			return v;
		at += a & 0x8000 ? 4 : 4 + v;
	}
	return 0;
}

/* Whether one transform comes back as it was offered, and as the only one: next payload 0, the rest unchanged (RFC 2408
 * section 4.2). */
static const uint8_t *answered(const struct client *c, const uint8_t *sa, size_t len, size_t *ret_len)
{
	size_t n, k;
	const uint8_t *t = transform(sa, len, 0, &n), *o;

	if (t == NULL || t[0] != 0 || transform(sa, len, 1, &k) != NULL)
		return NULL;
	for (unsigned i = 0; (o = transform(c->sa, c->sa_len, i, &k)) != NULL; i++)
		if (k == n && memcmp(o + 1, t + 1, n - 1) == 0) {
			*ret_len = n;
			return t;
		}
	return NULL;
}

bool client_mm2_chosen(struct client *c, const struct msg *m)
{
	size_t n, tn;
	const uint8_t *sa = ike_peer_find(m, 1, 0, &n), *t = sa != NULL ? answered(c, sa, n, &tn) : NULL;

	if (t == NULL || attribute(t, tn, 3) != (c->auth ? c->auth : 1))
		return false;
	suite(c, attribute(t, tn, 1), attribute(t, tn, 14), attribute(t, tn, 2), attribute(t, tn, 4));
	return true;
}

void ike_peer_natd(const struct client *c, const struct vd_sa *sa, bool bad, uint8_t *out)
{
	uint8_t port[2] = { (uint8_t)(sa->port >> 8), (uint8_t)sa->port };
	struct part parts[] = { { c->ic, 8 }, { c->rc, 8 }, { sa->ip.a, 4 }, { port, 2 } };

	digest(c, parts, 4, out);
	if (bad)
		out[0] ^= 1;
}

void client_mm3(struct client *c, struct msg *m)
{
	uint8_t h[64];

	if (c->dh_of)
		memcpy(c->gxi, c->dh_of->gxi, c->g_len);
	else
		ike_group_make(c, c->group);
	header(c, m, 4, 2, 0, 0);
	payload(m, 10, c->gxi, c->g_len);
	payload(m, 20, c->ni, sizeof(c->ni));
	ike_peer_natd(c, &c->path.local, c->bad_natd_us, h);
	payload(m, 20, h, c->hash_len);
	ike_peer_natd(c, &c->path.remote, c->bad_natd_peer, h);
	payload(m, 0, h, c->hash_len);
	finish(m);
}

void ike_peer_derive(struct client *c)
{
	uint8_t z = 0, one = 1, two = 2, hash[64];
	size_t n = c->gxy_len, g = c->g_len;

	struct part non[] = { { c->ni, sizeof(c->ni) }, { c->nr, c->nr_len } };
	ike_peer_hmac(c, (const uint8_t *)c->psk, strlen(c->psk), non, 2, c->skeyid);
	struct part pd[] = { { c->gxy, n }, { c->ic, 8 }, { c->rc, 8 }, { &z, 1 } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, pd, 4, c->d);
	struct part pa[] = { { c->d, c->hash_len }, { c->gxy, n }, { c->ic, 8 }, { c->rc, 8 }, { &one, 1 } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, pa, 5, c->a);
	struct part pe[] = { { c->a, c->hash_len }, { c->gxy, n }, { c->ic, 8 }, { c->rc, 8 }, { &two, 1 } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, pe, 5, c->e);
	if (c->key_len <= c->hash_len) {
		memcpy(c->key, c->e, c->key_len);
	} else {
		uint8_t k1[64], k2[64];
		struct part p1[] = { { &z, 1 } }, p2[] = { { k1, c->hash_len } };

		ike_peer_hmac(c, c->e, c->hash_len, p1, 1, k1);
		ike_peer_hmac(c, c->e, c->hash_len, p2, 1, k2);
		memcpy(c->key, k1, c->hash_len);
		memcpy(c->key + c->hash_len, k2, c->key_len - c->hash_len);
	}
	struct part pi[] = { { c->gxi, g }, { c->gxr, g } };
	digest(c, pi, 2, hash);
	memcpy(c->iv, hash, c->block);
}

bool client_mm4(struct client *c, const struct msg *m)
{
	size_t n, nn;
	const uint8_t *ke = ike_peer_find(m, 4, 0, &n), *nr = ike_peer_find(m, 10, 0, &nn);

	if (ke == NULL || nr == NULL || n != c->g_len || nn > sizeof(c->nr))
		return false;
	memcpy(c->gxr, ke, n);
	memcpy(c->nr, nr, nn);
	c->nr_len = nn;
	c->gxy_len = ike_group_shared(c, c->group, ke, c->gxy);
	if (c->gxy_len == 0)
		return false;
	ike_peer_derive(c);
	return true;
}

bool client_mm4_nat(const struct client *c, const struct msg *m)
{
	uint8_t us[64], them[64];
	bool seen_them = false;
	size_t n;
	const uint8_t *h = ike_peer_find(m, 20, 0, &n);

	if (h == NULL)
		return false;
	ike_peer_natd(c, &c->path.remote, false, us);
	ike_peer_natd(c, &c->path.local, false, them);
	if (n != c->hash_len || memcmp(h, us, n) != 0)
		return true;
	for (unsigned i = 1; !seen_them && (h = ike_peer_find(m, 20, i, &n)) != NULL; i++)
		seen_them = n == c->hash_len && memcmp(h, them, n) == 0;
	return !seen_them;
}

void client_mm5(struct client *c, struct msg *m)
{
	uint8_t hash[64], note[12] = { 0, 0, 0, 1, 1, 0, 0x60, 0x02 };

	client_hash_i(c, c->id, c->id_len, hash);
	header(c, m, 5, 2, 0, 0);
	payload(m, 8, c->id, c->id_len);
	payload(m, c->initial_contact ? 11 : 0, hash, c->hash_len);
	if (c->initial_contact)
		payload(m, 0, note, 8);
	memcpy(c->last, c->iv, 16);
	ike_peer_encrypt(c, c->last, m);
}

bool client_mm6(struct client *c, const struct msg *in)
{
	struct msg m = *in;
	uint8_t hash[64], iv[16];
	size_t n, hn;

	memcpy(iv, c->last, 16);
	if (m.len < 60 || (m.len - 28) % c->block != 0 || !(m.p[19] & 1))
		return false;
	ike_peer_crypt(c, 0, iv, m.p + 28, m.len - 28);
	const uint8_t *id = ike_peer_find(&m, 5, 0, &n), *h = ike_peer_find(&m, 8, 0, &hn);
	if (id == NULL || h == NULL || hn != c->hash_len)
		return false;
	struct part parts[] = { { c->gxr, c->g_len }, { c->gxi, c->g_len }, { c->rc, 8 }, { c->ic, 8 },
		{ c->sa, c->sa_len }, { id, n } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, parts, 6, hash);
	if (memcmp(hash, h, hn) != 0 || n > sizeof(c->said))
		return false;
	memcpy(c->said, id, c->said_len = n);
	memcpy(c->last, iv, 16);
	return true;
}

void client_am1(struct client *c, struct msg *m)
{
	static const uint8_t rfc3947[20] = "\0\0\0\x14\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
	struct msg sa = { .len = 0 };

	ike_peer_transform1(c, &sa);
	client_am1_sa(c, sa.p, sa.len, rfc3947, sizeof(rfc3947), m);
}

void client_am1_sa(struct client *c, const uint8_t *sa, size_t len, const uint8_t *vendors, size_t vendors_len, struct msg *m)
{
	struct msg mm3;

	memcpy(c->sa, sa, len);
	c->sa_len = len;
	memset(c->rc, 0, 8);
	client_mm3(c, &mm3); /* an exponent, and our public value */
	header(c, m, 1, 4, 0, 0);
	payload(m, 4, sa, len);
	payload(m, 10, c->gxi, c->g_len);
	payload(m, 5, c->ni, sizeof(c->ni));
	payload(m, 13, c->id, c->id_len);
	put(m, vendors, vendors_len);
	finish(m);
}

bool client_am2(struct client *c, const struct msg *m)
{
	uint8_t hash[64];
	size_t n, hn;

	if (m->len < 28 || m->p[18] != 4 || ike_peer_find(m, 1, 0, &n) == NULL)
		return false;
	memcpy(c->rc, m->p + 8, 8);
	if (!client_mm4(c, m))
		return false;
	const uint8_t *id = ike_peer_find(m, 5, 0, &n), *h = ike_peer_find(m, 8, 0, &hn);
	if (id == NULL || h == NULL || hn != c->hash_len)
		return false;
	struct part parts[] = { { c->gxr, c->g_len }, { c->gxi, c->g_len }, { c->rc, 8 }, { c->ic, 8 },
		{ c->sa, c->sa_len }, { id, n } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, parts, 6, hash);
	if (n > sizeof(c->said))
		return false;
	memcpy(c->said, id, c->said_len = n);
	return memcmp(hash, h, hn) == 0;
}

void client_am3(struct client *c, bool encrypted, struct msg *m)
{
	uint8_t hash[64], h[64];

	client_hash_i(c, c->id, c->id_len, hash);
	header(c, m, 8, 4, 0, 0);
	payload(m, 20, hash, c->hash_len);
	ike_peer_natd(c, &c->path.local, c->bad_natd_us, h);
	payload(m, 20, h, c->hash_len);
	ike_peer_natd(c, &c->path.remote, c->bad_natd_peer, h);
	payload(m, 0, h, c->hash_len);
	finish(m);
	memcpy(c->last, c->iv, 16);
	if (encrypted)
		ike_peer_encrypt(c, c->last, m);
}

void ike_peer_mid_iv(const struct client *c, uint32_t mid, uint8_t *iv)
{
	uint8_t hash[64], b[4] = { (uint8_t)(mid >> 24), (uint8_t)(mid >> 16), (uint8_t)(mid >> 8), (uint8_t)mid };
	struct part parts[] = { { c->last, c->block }, { b, 4 } };

	digest(c, parts, 2, hash);
	memcpy(iv, hash, c->block);
}

/* Fills HASH(1) into the payload at 32 over everything behind it. */
void ike_peer_hash1(const struct client *c, uint32_t mid, const void *extra, size_t extra_len, struct msg *m)
{
	uint8_t b[4] = { (uint8_t)(mid >> 24), (uint8_t)(mid >> 16), (uint8_t)(mid >> 8), (uint8_t)mid };
	size_t at = 32 + c->hash_len;
	struct part parts[] = { { b, 4 }, { extra, extra_len }, { m->p + at, m->len - at } };

	ike_peer_hmac(c, c->a, c->hash_len, parts, 3, m->p + 32);
}

static void new_spi(struct client *c)
{
	RAND_bytes(c->qni, sizeof(c->qni));
	do
		RAND_bytes((uint8_t *)&c->spi_i, 4);
	while (c->spi_i < 256);
}

static void send_qm1(struct client *c, uint32_t mid, const struct msg *sa, unsigned group, uint16_t port, struct msg *m)
{
	const uint8_t id[8] = { 1, 17, (uint8_t)(port >> 8), (uint8_t)port, c->inside[0], c->inside[1], c->inside[2], c->inside[3] };
	uint16_t port_r = c->port_r ? c->port_r : 1701;
	uint8_t *idr = c->idcr, oa[8] = { 1 };

	memcpy(c->idci, id, 8);
	c->idci_len = 8;
	if (c->fqdn) {
		c->idci[0] = 2;
		c->idci_len = 4 + strlen(c->fqdn);
		memcpy(c->idci + 4, c->fqdn, c->idci_len - 4);
	}
	memcpy(idr, (uint8_t[]){ 1, 17, (uint8_t)(port_r >> 8), (uint8_t)port_r }, 4);
	memcpy(idr + 4, c->path.local.ip.a, 4);
	c->mid = mid;
	c->qgroup = group;
	header(c, m, 8, 32, 0, mid);
	payload(m, 1, ike_peer_no_hash, c->hash_len);
	payload(m, 10, sa->p, sa->len);
	payload(m, group ? 4 : 5, c->qni, sizeof(c->qni));
	if (group) {
		ike_group_make(c, group);
		payload(m, 5, c->gxi, ike_group_len(group));
	}
	c->idcr_len = 8;
	if (c->tunnel[0]) {
		memcpy(c->idci, (uint8_t[]){ 1, 0, 0, 0 }, 4);
		memcpy(c->idci + 4, c->tunnel, 4);
		memcpy(idr, (uint8_t[]){ 4, 0, 0, 0 }, 4);
		memcpy(idr + 4, c->tunnel + 4, 8);
		c->idci_len = 8;
		c->idcr_len = 12;
	}
	payload(m, 5, c->idci, c->idci_len);
	payload(m, c->natoa ? 21 : 0, idr, c->idcr_len);
	if (c->natoa) { /* RFC 3947 section 5.2 */
		memcpy(oa + 4, id + 4, 4);
		payload(m, 21, oa, 8);
		memcpy(oa + 4, idr + 4, 4);
		payload(m, 0, oa, 8);
	}
	ike_peer_hash1(c, mid, "", 0, m);
	ike_peer_mid_iv(c, mid, c->qiv);
	ike_peer_encrypt(c, c->qiv, m);
}

void client_qm1(struct client *c, uint32_t mid, unsigned encap, unsigned esp, unsigned bits, unsigned auth,
	unsigned group, uint16_t port, struct msg *m)
{
	struct msg sa = { .len = 0 };
	unsigned t = 8 + 4 + 4 + 4 + (auth ? 4u : 0) + (bits ? 4u : 0) + (group ? 4u : 0);

	new_spi(c);
	put32(&sa, 1), put32(&sa, 1);
	unsigned n = c->also_auth ? 2 : 1;
	put8(&sa, 0), put8(&sa, 0), put16(&sa, 12 + n * t);
	put8(&sa, 1), put8(&sa, 3), put8(&sa, 4), put8(&sa, n);
	put32(&sa, c->spi_i);
	for (unsigned i = 0; i < n; i++) {
		put8(&sa, i + 1 < n ? 3 : 0), put8(&sa, 0), put16(&sa, t);
		put8(&sa, i + 1), put8(&sa, esp), put16(&sa, 0);
		put16(&sa, 0x8001), put16(&sa, 1);
		put16(&sa, 0x8002), put16(&sa, 3600);
		put16(&sa, 0x8004), put16(&sa, encap);
		if (auth)
			put16(&sa, 0x8005), put16(&sa, i ? c->also_auth : auth);
		if (bits)
			put16(&sa, 0x8006), put16(&sa, bits);
		if (group)
			put16(&sa, 0x8003), put16(&sa, group);
	}
	send_qm1(c, mid, &sa, group, port, m);
}

void client_qm1_sa(struct client *c, uint32_t mid, const uint8_t *sa, size_t len, unsigned group, uint16_t port, struct msg *m)
{
	struct msg body = { .len = 0 };

	new_spi(c);
	put(&body, sa, len);
	for (size_t p = 8; p + 12 <= len; p += (size_t)sa[p + 2] << 8 | sa[p + 3])
		for (unsigned i = 0; i < 4; i++)
			body.p[p + 8 + i] = (uint8_t)(c->spi_i >> (24 - 8 * i));
	memcpy(c->sa, body.p, len);
	c->sa_len = len;
	send_qm1(c, mid, &body, group, port, m);
}

void ike_peer_keymat(const struct client *c, uint32_t spi, const uint8_t *gxy, size_t gxy_len, uint8_t *out, size_t len)
{
	uint8_t k[64], proto = 3,
		b[4] = { (uint8_t)(spi >> 24), (uint8_t)(spi >> 16), (uint8_t)(spi >> 8), (uint8_t)spi };
	size_t have = 0;

	while (have < len) {
		struct part parts[] = { { k, have ? c->hash_len : 0 }, { gxy, gxy_len }, { &proto, 1 }, { b, 4 },
			{ c->qni, sizeof(c->qni) }, { c->qnr, c->qnr_len } };

		ike_peer_hmac(c, c->d, c->hash_len, parts, 6, k);
		size_t n = len - have < c->hash_len ? len - have : c->hash_len;
		memcpy(out + have, k, n);
		have += n;
	}
}

/* Where the payloads end and padding begins; false when they do not end in the message. */
bool ike_peer_chain_end(const struct msg *m, size_t *ret_end)
{
	size_t at = 28;

	for (uint8_t type = m->p[16]; type != 0;) {
		size_t n = at + 4 <= m->len ? (size_t)m->p[at + 2] << 8 | m->p[at + 3] : 0;

		if (n < 4 || n > m->len - at)
			return false;
		type = m->p[at];
		at += n;
	}
	*ret_end = at;
	return true;
}

bool client_qm2(struct client *c, const struct msg *in, size_t keymat_len)
{
	struct msg m = *in;
	uint8_t iv[16], hash[64], gxy[512],
		b[4] = { (uint8_t)(c->mid >> 24), (uint8_t)(c->mid >> 16), (uint8_t)(c->mid >> 8), (uint8_t)c->mid };
	size_t n, sn, hn, kn, in1, in2, end;

	memcpy(iv, c->qiv, 16);
	if (m.len < 60 || (m.len - 28) % c->block != 0 || m.p[18] != 32)
		return false;
	ike_peer_crypt(c, 0, iv, m.p + 28, m.len - 28);
	const uint8_t *h = ike_peer_find(&m, 8, 0, &hn), *sa = ike_peer_find(&m, 1, 0, &sn), *nr = ike_peer_find(&m, 10, 0, &n),
		*ke = ike_peer_find(&m, 4, 0, &kn);
	const uint8_t *id1 = ike_peer_find(&m, 5, 0, &in1), *id2 = ike_peer_find(&m, 5, 1, &in2);
	if (h == NULL || sa == NULL || nr == NULL || id1 == NULL || id2 == NULL || hn != c->hash_len || sn < 20 ||
		n > 256)
		return false;
	if (!ike_peer_chain_end(&m, &end))
		return false;
	size_t from = 32 + c->hash_len;
	struct part parts[] = { { b, 4 }, { c->qni, sizeof(c->qni) }, { m.p + from, end - from } };
	ike_peer_hmac(c, c->a, c->hash_len, parts, 3, hash);
	if (memcmp(hash, h, hn) != 0)
		return false;
	memcpy(c->qiv, iv, 16);
	memcpy(c->qnr, nr, n);
	c->qnr_len = n;
	c->spi_r = (uint32_t)sa[16] << 24 | (uint32_t)sa[17] << 16 | (uint32_t)sa[18] << 8 | sa[19];
	/* They come back as they were sent. */
	if (in1 != c->idci_len || in2 != c->idcr_len || memcmp(id1, c->idci, c->seen_id ? 4 : in1) != 0 ||
		memcmp(id2, c->idcr, in2) != 0)
		return false;
	if ((ke != NULL) != (c->qgroup != 0) || (ke != NULL && kn != ike_group_len(c->qgroup)))
		return false;
	size_t gn = ke != NULL ? ike_group_shared(c, c->qgroup, ke, gxy) : 0;
	ike_peer_keymat(c, c->spi_r, gxy, gn, c->keymat_in, keymat_len);
	ike_peer_keymat(c, c->spi_i, gxy, gn, c->keymat_out, keymat_len);
	const uint8_t *t = transform(sa, sn, 0, &n);
	if (t != NULL) {
		c->esp = t[5];
		c->esp_bits = attribute(t, n, 6);
		c->esp_auth = attribute(t, n, 5);
		c->esp_unchanged = answered(c, sa, sn, &n) != NULL;
	}
	return true;
}

void client_main_with(struct client *c, uint8_t next, const void *body, size_t len, struct msg *m)
{
	header(c, m, next, 2, 0, 0);
	put(m, body, len);
	memcpy(c->last, c->iv, 16);
	ike_peer_encrypt(c, c->last, m);
}

void client_fragment(const struct msg *m, unsigned id, unsigned number, unsigned of, struct msg *part)
{
	size_t size = (m->len + of - 1) / of, at = (number - 1) * size, n = at + size < m->len ? size : m->len - at;

	memcpy(part->p, m->p, 28);
	part->len = 28;
	part->p[16] = 132;
	part->p[19] &= 0xfe;
	put8(part, 0), put8(part, 0), put16(part, (unsigned)(8 + n));
	put16(part, id), put8(part, number), put8(part, number == of);
	put(part, m->p + at, n);
	finish(part);
}

void client_hash_i(const struct client *c, const void *id, size_t len, uint8_t *ret_hash)
{
	struct part parts[] = { { c->gxi, c->g_len }, { c->gxr, c->g_len }, { c->ic, 8 }, { c->rc, 8 },
		{ c->sa, c->sa_len }, { id, len } };

	ike_peer_hmac(c, c->skeyid, c->hash_len, parts, 6, ret_hash);
}

void client_sealed_with(struct client *c, uint8_t exchange, uint32_t mid, bool hashed, uint8_t next, const void *body,
	size_t len, struct msg *m)
{
	header(c, m, hashed ? 8 : next, exchange, 0, mid);
	if (hashed)
		payload(m, next, ike_peer_no_hash, c->hash_len);
	put(m, body, len);
	if (hashed)
		ike_peer_hash1(c, mid, "", 0, m);
	c->mid = mid;
	if (c->go_on)
		memcpy(c->qiv, c->go_on, c->block);
	else
		ike_peer_mid_iv(c, mid, c->qiv);
	ike_peer_encrypt(c, c->qiv, m);
}

void client_qm3(struct client *c, struct msg *m)
{
	uint8_t hash[64], zero = 0, b[4] = { (uint8_t)(c->mid >> 24), (uint8_t)(c->mid >> 16), (uint8_t)(c->mid >> 8),
		(uint8_t)c->mid };
	struct part parts[] = { { &zero, 1 }, { b, 4 }, { c->qni, sizeof(c->qni) }, { c->qnr, c->qnr_len } };
	uint8_t iv[16];

	ike_peer_hmac(c, c->a, c->hash_len, parts, 4, hash);
	header(c, m, 8, 32, 0, c->mid);
	payload(m, 0, hash, c->hash_len);
	memcpy(iv, c->qiv, 16);
	ike_peer_encrypt(c, iv, m);
}

void client_info(struct client *c, uint32_t mid, uint8_t type, const void *body, size_t len, struct msg *m)
{
	uint8_t iv[16];

	header(c, m, 8, 5, 0, mid);
	payload(m, type, ike_peer_no_hash, c->hash_len);
	payload(m, 0, body, len);
	ike_peer_hash1(c, mid, "", 0, m);
	ike_peer_mid_iv(c, mid, iv);
	ike_peer_encrypt(c, iv, m);
}

const uint8_t *client_info_open(struct client *c, struct msg *m, uint8_t *ret_type, size_t *ret_len)
{
	uint8_t iv[16];
	uint32_t mid = (uint32_t)m->p[20] << 24 | (uint32_t)m->p[21] << 16 | (uint32_t)m->p[22] << 8 | m->p[23];

	if (m->p[18] != 5 || (m->len - 28) % c->block != 0)
		return NULL;
	ike_peer_mid_iv(c, mid, iv);
	ike_peer_crypt(c, 0, iv, m->p + 28, m->len - 28);
	if (m->p[16] != 8 || m->p[31] != c->hash_len + 4)
		return NULL;
	*ret_type = m->p[28];
	return ike_peer_find(m, *ret_type, 0, ret_len);
}

void client_cfg(struct client *c, uint32_t mid, bool first, uint8_t iv[16], const void *body, size_t len, struct msg *m)
{
	header(c, m, 8, 6, 0, mid);
	payload(m, 14, ike_peer_no_hash, c->hash_len);
	payload(m, 0, body, len);
	ike_peer_hash1(c, mid, "", 0, m);
	if (first)
		ike_peer_mid_iv(c, mid, iv);
	ike_peer_encrypt(c, iv, m);
}

const uint8_t *client_cfg_open(struct client *c, struct msg *m, bool first, uint8_t iv[16], size_t *ret_len)
{
	uint32_t mid = (uint32_t)m->p[20] << 24 | (uint32_t)m->p[21] << 16 | (uint32_t)m->p[22] << 8 | m->p[23];
	uint8_t hash[64], b[4];
	size_t end = 28, from = 32 + c->hash_len;

	if (m->p[18] != 6 || !(m->p[19] & 1) || (m->len - 28) % c->block != 0)
		return NULL;
	if (first)
		ike_peer_mid_iv(c, mid, iv);
	ike_peer_crypt(c, 0, iv, m->p + 28, m->len - 28);
	if (m->p[16] != 8 || m->p[31] != c->hash_len + 4 || m->p[28] != 14)
		return NULL;
	for (uint8_t type = m->p[16]; type != 0 && end + 4 <= m->len;) {
		type = m->p[end];
		end += (size_t)m->p[end + 2] << 8 | m->p[end + 3];
	}
	memcpy(b, m->p + 20, 4);
	struct part parts[] = { { b, 4 }, { m->p + from, end - from } };
	if (end > m->len)
		return NULL;
	ike_peer_hmac(c, c->a, c->hash_len, parts, 2, hash);
	return memcmp(hash, m->p + 32, c->hash_len) == 0 ? ike_peer_find(m, 14, 0, ret_len) : NULL;
}
