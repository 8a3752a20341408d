/* Messages after phase 1: HASH first, encrypted as a whole (RFC 2409 sections 5.5 and 5.7). */
#include "v1.h"

#include <errno.h>
#include <string.h>

void ike_v1_sealed_begin(const struct ike_v1_sa *sa, struct ike_v1_sealed *m, uint8_t exchange, uint32_t mid)
{
	static const uint8_t none[IKE_HASH_MAX];
	struct ike_header h = ike_v1_header(sa, exchange, mid);

	ike_out_init(&m->out, m->room, sizeof(m->room), &h);
	ike_out_payload(&m->out, IKE_P_HASH, none, sa->keys.hash_len);
}

static int hash_of(const struct ike_v1_sa *sa, uint32_t mid, const void *extra, size_t extra_len, const uint8_t *rest,
	size_t rest_len, uint8_t *ret_hash)
{
	uint8_t id[4] = { (uint8_t)(mid >> 24), (uint8_t)(mid >> 16), (uint8_t)(mid >> 8), (uint8_t)mid };
	struct vd_slice parts[] = { { id, 4 }, { extra, extra_len }, { rest, rest_len } };

	return ike_v1_hash_a(&sa->keys, parts, 3, ret_hash);
}

int ike_v1_sealed_finish(const struct ike_v1_sa *sa, struct ike_v1_sealed *m, uint32_t mid, const void *extra,
	size_t extra_len, uint8_t *iv)
{
	size_t hash_at = IKE_HEADER_LEN + 4, rest_at = hash_at + sa->keys.hash_len;
	uint8_t hash[IKE_HASH_MAX];

	int len = ike_out_finish(&m->out);
	if (len < 0)
		return len;
	int rc = hash_of(sa, mid, extra, extra_len, m->room + rest_at, (size_t)len - rest_at, hash);
	if (rc < 0)
		return rc;
	memcpy(m->room + hash_at, hash, sa->keys.hash_len);
	return ike_v1_seal(&sa->keys, iv, m->room, (size_t)len, sizeof(m->room));
}

int ike_v1_open(const struct ike_v1_sa *sa, uint8_t *p, size_t len, uint8_t *iv, const void *extra, size_t extra_len,
	struct ike_chain *ret_chain, const char **ret_why)
{
	uint8_t hash[IKE_HASH_MAX];
	struct ike_header h;

	*ret_why = "not whole blocks";
	if (ike_header_parse(p, len, &h) < 0 || ike_v1_crypt(&sa->keys, false, iv, p, len) < 0)
		return -EBADMSG;
	*ret_why = "malformed after decryption";
	if (ike_chain_parse(h.next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, ret_chain) < 0 || ret_chain->n == 0)
		return -EBADMSG;
	*ret_why = "HASH is missing or wrong";
	const struct ike_payload *first = &ret_chain->v[0];
	if (first->type != IKE_P_HASH || first->len != sa->keys.hash_len)
		return -EBADMSG;
	vd_conceal(first->p, first->len);
	const uint8_t *rest = first->p + first->len;
	if (hash_of(sa, h.mid, extra, extra_len, rest, (size_t)(ret_chain->end - rest), hash) < 0 ||
		!vd_verified(vd_same(hash, first->p, first->len)))
		return -EBADMSG;
	return 0;
}
