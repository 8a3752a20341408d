/* Header, payload chain and builder of ISAKMP messages (RFC 2408 section 3). */
#include "isakmp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int ike_header_parse(const uint8_t *p, size_t len, struct ike_header *ret_header)
{
	struct ike_header h;
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	vd_rd_copy(&r, h.icookie, sizeof(h.icookie));
	vd_rd_copy(&r, h.rcookie, sizeof(h.rcookie));
	h.next = vd_rd_u8(&r);
	h.version = vd_rd_u8(&r);
	h.exchange = vd_rd_u8(&r);
	h.flags = vd_rd_u8(&r);
	h.mid = vd_rd_u32(&r);
	h.len = vd_rd_u32(&r);
	if (!vd_rd_ok(&r))
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

int ike_chain_parse(uint8_t first, const uint8_t *p, size_t len, struct ike_chain *ret_chain)
{
	struct vd_rd r;
	uint8_t type = first;

	ret_chain->n = 0;
	vd_rd_init(&r, p, len);
	while (type != IKE_P_NONE) {
		if (ret_chain->n == IKE_PAYLOADS_MAX)
			return -E2BIG;
		uint8_t next = vd_rd_u8(&r);
		uint8_t reserved = vd_rd_u8(&r);
		uint16_t size = vd_rd_u16(&r);
		/* After decryption with a wrong key this is where the garbage shows first (RFC 2408 section 5.3). */
		if (!vd_rd_ok(&r) || reserved != 0 || size < 4)
			return -EBADMSG;
		struct ike_payload *payload = &ret_chain->v[ret_chain->n];
		payload->type = type;
		payload->len = (uint16_t)(size - 4);
		payload->p = vd_rd_take(&r, payload->len);
		if (!vd_rd_ok(&r))
			return -EBADMSG;
		ret_chain->n++;
		type = next;
	}
	size_t left;
	ret_chain->end = vd_rd_rest(&r, &left);
	if (ret_chain->n == 0)
		ret_chain->end = p;
	return 0;
}

int ike_fragment_parse(const uint8_t *p, size_t len, struct ike_fragment *ret_fragment)
{
	struct ike_fragment f;
	struct ike_chain chain;
	struct ike_header h;
	struct vd_rd r;

	if (ike_header_parse(p, len, &h) < 0 || h.next != IKE_P_MS_FRAGMENT ||
		ike_chain_parse(h.next, p + IKE_HEADER_LEN, len - IKE_HEADER_LEN, &chain) < 0 || chain.n != 1)
		return -EBADMSG;
	vd_rd_init(&r, chain.v[0].p, chain.v[0].len);
	f.id = vd_rd_u16(&r);
	f.number = vd_rd_u8(&r);
	f.last = vd_rd_u8(&r) & 1;
	f.p = vd_rd_rest(&r, &f.len);
	if (!vd_rd_ok(&r))
		return -EBADMSG;
	*ret_fragment = f;
	return 0;
}

const struct ike_payload *ike_chain_find(const struct ike_chain *chain, uint8_t type, unsigned nth)
{
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->v[i].type == type && nth-- == 0)
			return &chain->v[i];
	return NULL;
}

unsigned ike_chain_count(const struct ike_chain *chain, uint8_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < chain->n; i++)
		n += chain->v[i].type == type;
	return n;
}

bool ike_chain_notify(const struct ike_chain *chain, uint16_t type)
{
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->v[i].type == IKE_P_NOTIFY && chain->v[i].len >= 8 &&
			(chain->v[i].p[6] << 8 | chain->v[i].p[7]) == type)
			return true;
	return false;
}

void ike_out_init(struct ike_out *out, void *room, size_t size, const struct ike_header *header)
{
	vd_wr_init(&out->w, room, size);
	vd_wr_put(&out->w, header->icookie, IKE_COOKIE_LEN);
	vd_wr_put(&out->w, header->rcookie, IKE_COOKIE_LEN);
	out->next_at = vd_wr_mark(&out->w, 1);
	vd_wr_u8(&out->w, 0x10);
	vd_wr_u8(&out->w, header->exchange);
	vd_wr_u8(&out->w, header->flags);
	vd_wr_u32(&out->w, header->mid);
	vd_wr_u32(&out->w, 0);
	out->payload_at = 0;
}

void ike_out_begin(struct ike_out *out, uint8_t type)
{
	vd_wr_patch_u8(&out->w, out->next_at, type);
	out->payload_at = vd_wr_mark(&out->w, 4);
	out->next_at = out->payload_at;
}

void ike_out_end(struct ike_out *out)
{
	vd_wr_patch_u16(&out->w, out->payload_at + 2, (uint16_t)(out->w.len - out->payload_at));
}

void ike_out_payload(struct ike_out *out, uint8_t type, const void *body, size_t len)
{
	ike_out_begin(out, type);
	vd_wr_put(&out->w, body, len);
	ike_out_end(out);
}

void ike_out_sa(
	struct ike_out *out, const struct ike_offer *offer, const uint8_t *body, const void *spi, size_t spi_len)
{
	ike_out_begin(out, IKE_P_SA);
	vd_wr_u32(&out->w, 1); /* DOI: IPsec */
	vd_wr_u32(&out->w, 1); /* situation: identity only */
	size_t proposal = vd_wr_mark(&out->w, 4);
	vd_wr_u8(&out->w, offer->proposal);
	vd_wr_u8(&out->w, offer->protocol);
	vd_wr_u8(&out->w, (uint8_t)spi_len);
	vd_wr_u8(&out->w, 1);
	vd_wr_put(&out->w, spi, spi_len);
	size_t transform = vd_wr_mark(&out->w, 4);
	vd_wr_put(&out->w, body + offer->at, offer->len);
	vd_wr_patch_u16(&out->w, transform + 2, (uint16_t)(out->w.len - transform));
	vd_wr_patch_u16(&out->w, proposal + 2, (uint16_t)(out->w.len - proposal));
	ike_out_end(out);
}

void ike_out_notify(struct ike_out *out, uint8_t protocol, uint16_t type, const void *spi, size_t spi_len,
	const void *data, size_t len)
{
	ike_out_begin(out, IKE_P_NOTIFY);
	vd_wr_u32(&out->w, 1);
	vd_wr_u8(&out->w, protocol);
	vd_wr_u8(&out->w, (uint8_t)spi_len);
	vd_wr_u16(&out->w, type);
	vd_wr_put(&out->w, spi, spi_len);
	vd_wr_put(&out->w, data, len);
	ike_out_end(out);
}

static void address(struct ike_out *out, uint8_t type, const struct vd_ip *ip, uint8_t protocol, uint16_t port)
{
	bool six = ip->family == AF_INET6;

	ike_out_begin(out, type);
	vd_wr_u8(&out->w, six ? 5 : 1);
	vd_wr_u8(&out->w, protocol);
	vd_wr_u16(&out->w, port);
	vd_wr_put(&out->w, ip->a, six ? 16 : 4);
	ike_out_end(out);
}

void ike_out_address(struct ike_out *out, uint8_t type, const struct vd_ip *ip)
{
	address(out, type, ip, 0, 0);
}

void ike_out_selector(struct ike_out *out, const struct vd_ip *ip, uint8_t protocol, uint16_t port)
{
	address(out, IKE_P_ID, ip, protocol, port);
}

int ike_out_finish(struct ike_out *out)
{
	vd_wr_patch_u32(&out->w, 24, (uint32_t)out->w.len);
	return vd_wr_ok(&out->w) ? (int)out->w.len : -ENOSPC;
}
