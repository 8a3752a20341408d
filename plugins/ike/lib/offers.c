/* SA payloads: proposals, transforms and their attributes (RFC 2408 sections 3.3 to 3.6). */
#include "isakmp.h"

#include <errno.h>
#include <string.h>

/* Attribute classes by phase: RFC 2409 appendix A; RFC 2407 section 4.5 and RFC 4304. */
enum { P1_ENCR = 1, P1_HASH = 2, P1_AUTH = 3, P1_GROUP = 4, P1_LIFE_TYPE = 11, P1_LIFE = 12, P1_KEYLEN = 14 };
enum { P2_LIFE_TYPE = 1, P2_LIFE = 2, P2_GROUP = 3, P2_ENCAP = 4, P2_AUTH = 5, P2_KEYLEN = 6, P2_ESN = 11 };

/* A value in short form, or in long form of up to four octets; larger durations are taken as the largest number. */
static bool attribute_value(struct vd_rd *r, bool is_short, uint32_t *ret_value)
{
	if (is_short) {
		*ret_value = vd_rd_u16(r);
		return vd_rd_ok(r);
	}
	struct vd_rd sub;
	if (!vd_rd_sub(r, vd_rd_u16(r), &sub) || vd_rd_left(&sub) == 0)
		return false;
	uint64_t v = 0;
	while (vd_rd_left(&sub) > 0) {
		v = v << 8 | vd_rd_u8(&sub);
		if (v > UINT32_MAX)
			v = UINT32_MAX;
	}
	*ret_value = (uint32_t)v;
	return true;
}

static bool take16(uint16_t *field, uint32_t value)
{
	if (*field != 0 || value == 0 || value > UINT16_MAX)
		return false; /* twice, or no number of this class */
	*field = (uint16_t)value;
	return true;
}

static bool take_life(struct ike_offer *o, uint32_t *type, uint32_t value)
{
	uint32_t t = *type;

	*type = 0;
	if (t == 1)
		o->life_seconds = value;
	else if (t == 2)
		o->life_kbytes = value;
	else
		return false; /* a life type must come before its duration */
	return true;
}

/* True when the attribute was understood. */
static bool attribute_take(unsigned phase, struct ike_offer *o, uint16_t class, uint32_t value, uint32_t *life_type)
{
	if (phase == 1)
		switch (class) {
		case P1_ENCR: return take16(&o->encr, value);
		case P1_HASH: return take16(&o->hash, value);
		case P1_AUTH: return take16(&o->auth, value);
		case P1_GROUP: return take16(&o->group, value);
		case P1_KEYLEN: return take16(&o->key_bits, value);
		case P1_LIFE_TYPE: *life_type = value; return true;
		case P1_LIFE: return take_life(o, life_type, value);
		default: return false;
		}
	switch (class) {
	case P2_GROUP: return take16(&o->group, value);
	case P2_ENCAP: return take16(&o->encap, value);
	case P2_AUTH: return take16(&o->auth, value);
	case P2_KEYLEN: return take16(&o->key_bits, value);
	case P2_ESN: return o->esn ? false : (o->esn = value == 1);
	case P2_LIFE_TYPE: *life_type = value; return true;
	case P2_LIFE: return take_life(o, life_type, value);
	default: return false;
	}
}

static int attributes_parse(unsigned phase, struct vd_rd *r, struct ike_offer *o)
{
	uint32_t life_type = 0, value;
	unsigned n = 0;

	while (vd_rd_left(r) > 0) {
		uint16_t class = vd_rd_u16(r);
		if (++n > IKE_ATTRIBUTES_MAX)
			return -E2BIG;
		if (!attribute_value(r, class & 0x8000, &value))
			return -EBADMSG;
		if (!attribute_take(phase, o, class & 0x7fff, value, &life_type))
			o->usable = false;
	}
	return vd_rd_ok(r) ? 0 : -EBADMSG;
}

static int transforms_parse(unsigned phase, const uint8_t *body, struct vd_rd *r, unsigned n, struct ike_offer *like,
	struct ike_offers *out)
{
	uint8_t next = IKE_P_TRANSFORM;

	for (unsigned i = 0; i < n; i++) {
		struct vd_rd sub;

		if (next != IKE_P_TRANSFORM)
			return -EBADMSG;
		if (out->n == IKE_OFFERS_MAX)
			return -E2BIG;
		next = vd_rd_u8(r);
		vd_rd_u8(r);
		uint16_t size = vd_rd_u16(r);
		if (!vd_rd_ok(r) || size < 8 || !vd_rd_sub(r, size - 4u, &sub))
			return -EBADMSG;
		struct ike_offer *o = &out->v[out->n];
		*o = *like;
		o->at = (uint16_t)(sub.p - body);
		o->len = (uint16_t)vd_rd_left(&sub);
		o->number = vd_rd_u8(&sub);
		o->id = vd_rd_u8(&sub);
		vd_rd_u16(&sub);
		int rc = attributes_parse(phase, &sub, o);
		if (rc < 0)
			return rc;
		out->n++;
	}
	return next == IKE_P_NONE && vd_rd_done(r) ? 0 : -EBADMSG;
}

int ike_offers_parse(unsigned phase, const uint8_t *body, size_t len, struct ike_offers *ret_offers)
{
	struct vd_rd r;
	uint8_t next = IKE_P_PROPOSAL, last_protocol = 0;
	int last = -1;
	unsigned last_from = 0;

	ret_offers->n = 0;
	vd_rd_init(&r, body, len);
	uint32_t doi = vd_rd_u32(&r), situation = vd_rd_u32(&r);
	if (!vd_rd_ok(&r))
		return -EBADMSG;
	if (doi != 1 || situation != 1)
		return -EPROTONOSUPPORT;
	while (next == IKE_P_PROPOSAL) {
		struct ike_offer like = { .usable = true };
		struct vd_rd sub;

		next = vd_rd_u8(&r);
		vd_rd_u8(&r);
		uint16_t size = vd_rd_u16(&r);
		if (!vd_rd_ok(&r) || size < 8 || !vd_rd_sub(&r, size - 4u, &sub))
			return -EBADMSG;
		like.proposal = vd_rd_u8(&sub);
		like.protocol = vd_rd_u8(&sub);
		like.spi_len = vd_rd_u8(&sub);
		unsigned n = vd_rd_u8(&sub);
		const uint8_t *spi = vd_rd_take(&sub, like.spi_len);
		if (!vd_rd_ok(&sub) || n == 0)
			return -EBADMSG;
		if (phase == 2) {
			/* SPIs below 256 are reserved (RFC 4303 section 2.1). */
			if (like.protocol != IKE_PROTO_ESP || like.spi_len != 4 || (spi[0] | spi[1] | spi[2]) == 0)
				like.usable = false;
			else
				memcpy(like.spi, spi, 4);
		} else if (like.protocol != IKE_PROTO_ISAKMP) {
			like.usable = false;
		}
		unsigned from = ret_offers->n;
		if (last == like.proposal) { /* several protocols at once, as ESP with IPCOMP: not for us */
			like.usable = false;
			like.with = last_protocol;
			for (unsigned i = last_from; i < from; i++) {
				ret_offers->v[i].usable = false;
				ret_offers->v[i].with = like.protocol;
			}
		} else {
			last_from = from;
		}
		last = like.proposal;
		last_protocol = like.protocol;
		int rc = transforms_parse(phase, body, &sub, n, &like, ret_offers);
		if (rc < 0)
			return rc;
	}
	return next == IKE_P_NONE && vd_rd_done(&r) ? 0 : -EBADMSG;
}
