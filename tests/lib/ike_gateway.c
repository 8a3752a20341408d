/* The scripted peer in the other role: a gateway that is dialled. */
#include "tests/lib/ike_peer.h"

#include <openssl/rand.h>
#include <string.h>

#include "tests/lib/ike_group.h"
#include "tests/lib/ike_msg.h"

bool gateway_mm2(struct client *c, const struct msg *in, struct msg *m)
{
	static const uint8_t rfc3947[16] = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f";
	static const uint8_t dpd[16] = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00";
	struct msg sa = { .len = 0 };
	size_t n;
	const uint8_t *body = in->len > 28 && in->p[18] == 2 ? ike_peer_find(in, 1, 0, &n) : NULL;

	if (body == NULL || n > sizeof(c->sa))
		return false;
	memcpy(c->ic, in->p, 8);
	RAND_bytes(c->rc, 8);
	memcpy(c->sa, body, n);
	c->sa_len = n;
	ike_peer_transform1(c, &sa);
	header(c, m, 1, 2, 0, 0);
	payload(m, 13, sa.p, sa.len);
	payload(m, 13, rfc3947, 16);
	payload(m, 0, dpd, 16);
	finish(m);
	return true;
}

bool gateway_mm4(struct client *c, const struct msg *in, struct msg *m)
{
	size_t n, nn;
	const uint8_t *ke = ike_peer_find(in, 4, 0, &n), *ni = ike_peer_find(in, 10, 0, &nn);
	struct msg own;
	uint8_t h[64], theirs[512];

	if (ke == NULL || ni == NULL || n != c->g_len || nn != sizeof(c->ni))
		return false;
	memcpy(theirs, ke, n);
	memcpy(c->ni, ni, nn);
	client_mm3(c, &own); /* an exponent, and our public value in gxi */
	memcpy(c->gxr, c->gxi, n);
	memcpy(c->gxi, theirs, n);
	RAND_bytes(c->nr, 32);
	c->nr_len = 32;
	c->gxy_len = ike_group_shared(c, c->group, theirs, c->gxy);
	if (c->gxy_len == 0)
		return false;
	ike_peer_derive(c);
	header(c, m, 4, 2, 0, 0);
	payload(m, 10, c->gxr, n);
	payload(m, 20, c->nr, 32);
	ike_peer_natd(c, &c->path.local, c->bad_natd_us, h);
	payload(m, 20, h, c->hash_len);
	ike_peer_natd(c, &c->path.remote, c->bad_natd_peer, h);
	payload(m, 0, h, c->hash_len);
	finish(m);
	return true;
}

bool gateway_mm6(struct client *c, const struct msg *in, struct msg *m)
{
	struct msg five = *in;
	uint8_t hash[64];
	size_t n, hn;

	memcpy(c->last, c->iv, 16);
	if (five.len < 60 || (five.len - 28) % c->block != 0 || !(five.p[19] & 1))
		return false;
	ike_peer_crypt(c, 0, c->last, five.p + 28, five.len - 28);
	const uint8_t *id = ike_peer_find(&five, 5, 0, &n), *h = ike_peer_find(&five, 8, 0, &hn);
	if (id == NULL || h == NULL || hn != c->hash_len || n > sizeof(c->said))
		return false;
	struct part pi[] = { { c->gxi, c->g_len }, { c->gxr, c->g_len }, { c->ic, 8 }, { c->rc, 8 }, { c->sa, c->sa_len },
		{ id, n } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, pi, 6, hash);
	if (memcmp(hash, h, hn) != 0)
		return false;
	memcpy(c->said, id, n);
	c->said_len = n;
	struct part pr[] = { { c->gxr, c->g_len }, { c->gxi, c->g_len }, { c->rc, 8 }, { c->ic, 8 }, { c->sa, c->sa_len },
		{ c->id, c->id_len } };
	ike_peer_hmac(c, c->skeyid, c->hash_len, pr, 6, hash);
	header(c, m, 5, 2, 0, 0);
	payload(m, 8, c->id, c->id_len);
	payload(m, 0, hash, c->hash_len);
	ike_peer_encrypt(c, c->last, m);
	return true;
}

bool gateway_qm2(struct client *c, const struct msg *in, unsigned encap, size_t keymat_len, struct msg *m)
{
	struct msg one = *in, sa = { .len = 0 };
	uint8_t hash[64], gxy[512];
	size_t sn, nn, hn, kn, in1, in2, end, gn = 0;

	if (one.len < 60 || one.p[18] != 32 || (one.len - 28) % c->block != 0)
		return false;
	c->mid = (uint32_t)one.p[20] << 24 | (uint32_t)one.p[21] << 16 | (uint32_t)one.p[22] << 8 | one.p[23];
	ike_peer_mid_iv(c, c->mid, c->qiv);
	ike_peer_crypt(c, 0, c->qiv, one.p + 28, one.len - 28);
	const uint8_t *h = ike_peer_find(&one, 8, 0, &hn), *offer = ike_peer_find(&one, 1, 0, &sn), *ni = ike_peer_find(&one, 10, 0, &nn);
	const uint8_t *id1 = ike_peer_find(&one, 5, 0, &in1), *id2 = ike_peer_find(&one, 5, 1, &in2);
	const uint8_t *ke = ike_peer_find(&one, 4, 0, &kn);
	if (h == NULL || offer == NULL || ni == NULL || id1 == NULL || id2 == NULL || hn != c->hash_len || sn < 20 ||
		nn != sizeof(c->qni) || sn > sizeof(c->asked_sa) || in1 > sizeof(c->asked_ci) || in2 > sizeof(c->asked_cr) ||
		(ke != NULL) != (c->qgroup != 0) || (ke != NULL && kn != ike_group_len(c->qgroup)))
		return false;
	memcpy(c->asked_sa, offer, c->asked_sa_len = sn);
	memcpy(c->asked_ci, id1, c->asked_ci_len = in1);
	memcpy(c->asked_cr, id2, c->asked_cr_len = in2);
	for (c->asked_oa = 0; ike_peer_find(&one, 21, c->asked_oa, &end) != NULL;)
		c->asked_oa++;
	if (!ike_peer_chain_end(&one, &end))
		return false;
	uint8_t b[4] = { (uint8_t)(c->mid >> 24), (uint8_t)(c->mid >> 16), (uint8_t)(c->mid >> 8), (uint8_t)c->mid };
	size_t from = 32 + c->hash_len;
	struct part parts[] = { { b, 4 }, { one.p + from, end - from } };
	ike_peer_hmac(c, c->a, c->hash_len, parts, 2, hash);
	if (memcmp(hash, h, hn) != 0)
		return false;
	memcpy(c->qni, ni, nn);
	RAND_bytes(c->qnr, 32);
	c->qnr_len = 32;
	c->spi_i = (uint32_t)offer[16] << 24 | (uint32_t)offer[17] << 16 | (uint32_t)offer[18] << 8 | offer[19];
	do
		RAND_bytes((uint8_t *)&c->spi_r, 4);
	while (c->spi_r < 256);
	if (ke != NULL) {
		ike_group_make(c, c->qgroup);
		gn = ike_group_shared(c, c->qgroup, ke, gxy);
	}
	ike_peer_keymat(c, c->spi_i, gxy, gn, c->keymat_in, keymat_len);
	ike_peer_keymat(c, c->spi_r, gxy, gn, c->keymat_out, keymat_len);
	if (encap == 0) {
		if (offer[15] != 1)
			return false;
		put(&sa, offer, 16);
		put32(&sa, c->spi_r);
		put(&sa, offer + 20, sn - 20);
	} else {
		put32(&sa, 1), put32(&sa, 1);
		put8(&sa, 0), put8(&sa, 0), put16(&sa, 12 + 28);
		put8(&sa, 1), put8(&sa, 3), put8(&sa, 4), put8(&sa, 1);
		put32(&sa, c->spi_r);
		put8(&sa, 0), put8(&sa, 0), put16(&sa, 28);
		put8(&sa, 1), put8(&sa, 12), put16(&sa, 0);
		put16(&sa, 0x8001), put16(&sa, 1);
		put16(&sa, 0x8002), put16(&sa, 3600);
		put16(&sa, 0x8004), put16(&sa, encap);
		put16(&sa, 0x8005), put16(&sa, 2);
		put16(&sa, 0x8006), put16(&sa, 256);
	}
	header(c, m, 8, 32, 0, c->mid);
	payload(m, 1, ike_peer_no_hash, c->hash_len);
	payload(m, 10, sa.p, sa.len);
	payload(m, ke != NULL ? 4 : 5, c->qnr, 32);
	if (ke != NULL)
		payload(m, 5, c->gxi, kn);
	payload(m, 5, id1, in1);
	payload(m, 0, id2, in2);
	ike_peer_hash1(c, c->mid, c->qni, sizeof(c->qni), m);
	ike_peer_encrypt(c, c->qiv, m);
	return true;
}

bool gateway_qm3(struct client *c, const struct msg *in)
{
	struct msg want;

	client_qm3(c, &want);
	return want.len == in->len && memcmp(want.p, in->p, in->len) == 0;
}

void gateway_plain(const struct client *c, unsigned type, struct msg *m)
{
	uint8_t note[8] = { 0, 0, 0, 1, 1, 0, (uint8_t)(type >> 8), (uint8_t)type };

	header(c, m, 11, 5, 0, 0x12345678);
	payload(m, 0, note, 8);
	finish(m);
}
