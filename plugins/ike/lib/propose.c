#include "propose.h"

/* Attributes with a value of 16 bits, and one of 32 (RFC 2408 section 3.3). */
static void attribute(struct vd_wr *w, uint16_t class, uint16_t value)
{
	vd_wr_u16(w, 0x8000u | class);
	vd_wr_u16(w, value);
}

static void attribute32(struct vd_wr *w, uint16_t class, uint32_t value)
{
	vd_wr_u16(w, class);
	vd_wr_u16(w, 4);
	vd_wr_u32(w, value);
}

static size_t proposal_begin(struct ike_out *out, uint8_t protocol, unsigned transforms, const uint32_t *spi)
{
	struct vd_wr *w = &out->w;

	ike_out_begin(out, IKE_P_SA);
	vd_wr_u32(w, 1); /* DOI IPsec */
	vd_wr_u32(w, 1); /* identity only */
	size_t at = vd_wr_mark(w, 4);
	vd_wr_u8(w, 1);
	vd_wr_u8(w, protocol);
	vd_wr_u8(w, spi != NULL ? 4 : 0);
	vd_wr_u8(w, (uint8_t)transforms);
	if (spi != NULL)
		vd_wr_u32(w, *spi);
	return at;
}

static size_t transform_begin(struct vd_wr *w, unsigned i, unsigned n, uint8_t id)
{
	size_t at = vd_wr_mark(w, 4);

	vd_wr_patch_u8(w, at, i + 1 < n ? IKE_P_TRANSFORM : IKE_P_NONE);
	vd_wr_u8(w, (uint8_t)(i + 1));
	vd_wr_u8(w, id);
	vd_wr_u16(w, 0);
	return at;
}

static void length(struct vd_wr *w, size_t at)
{
	vd_wr_patch_u16(w, at + 2, (uint16_t)(w->len - at));
}

static bool aes(const struct ike_suite *s)
{
	return s->encr != VD_ENCR_3DES;
}

void ike_out_propose_phase1(struct ike_out *out, const struct ike_policy *policy, uint32_t life_seconds)
{
	static const uint8_t hashes[] = { [IKE_HASH_SHA1] = 2, [IKE_HASH_SHA256] = 4, [IKE_HASH_SHA384] = 5, [IKE_HASH_SHA512] = 6 };
	struct vd_wr *w = &out->w;
	size_t proposal = proposal_begin(out, IKE_PROTO_ISAKMP, policy->n_ike, NULL);

	for (unsigned i = 0; i < policy->n_ike; i++) {
		const struct ike_suite *s = &policy->ike[i];
		size_t at = transform_begin(w, i, policy->n_ike, 1); /* KEY_IKE */

		attribute(w, 1, aes(s) ? 7 : 5);
		if (aes(s))
			attribute(w, 14, s->key_bits);
		attribute(w, 2, hashes[s->hash]);
		attribute(w, 4, s->group);
		attribute(w, 3, 1); /* pre-shared key */
		attribute(w, 11, 1);
		attribute32(w, 12, life_seconds);
		length(w, at);
	}
	length(w, proposal);
	ike_out_end(out);
}

void ike_out_propose_phase2(struct ike_out *out, const struct ike_policy *policy, uint32_t spi, uint16_t encap,
	uint32_t life_seconds)
{
	static const uint8_t hashes[] = { [IKE_HASH_SHA1] = 2, [IKE_HASH_SHA256] = 5, [IKE_HASH_SHA384] = 6, [IKE_HASH_SHA512] = 7 };
	struct vd_wr *w = &out->w;
	size_t proposal = proposal_begin(out, IKE_PROTO_ESP, policy->n_esp, &spi);

	for (unsigned i = 0; i < policy->n_esp; i++) {
		const struct ike_suite *s = &policy->esp[i];
		size_t at = transform_begin(w, i, policy->n_esp, s->encr == VD_ENCR_3DES ? 3 : s->encr == VD_ENCR_AES_CBC ? 12 : 20);

		attribute(w, 1, 1);
		attribute32(w, 2, life_seconds);
		attribute(w, 4, encap);
		if (s->hash != IKE_HASH_NONE)
			attribute(w, 5, hashes[s->hash]);
		if (aes(s))
			attribute(w, 6, s->key_bits);
		length(w, at);
	}
	length(w, proposal);
	ike_out_end(out);
}
