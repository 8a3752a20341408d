/* Viaduct: the straight path of one packet, as the RFCs say it: what is checked and changed between a session and TUN.
 * Pure functions of the packet and the session. Batches call them too where they treat packets singly; what comes out of a
 * batch is compared with this path alone (tests/plugin/test_path_diff.c). */
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

enum { IPPROTO_TCP_ = 6, IPPROTO_UDP_ = 17 };

static bool parse4(struct vd_pkt *pkt, struct dp_inner *in)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	unsigned ihl = (vd_rd_u8(&r) & 15u) * 4;
	in->tos = vd_rd_u8(&r);
	unsigned total = vd_rd_u16(&r);
	vd_rd_u16(&r);
	unsigned frag = vd_rd_u16(&r);
	vd_rd_u8(&r);
	in->protocol = vd_rd_u8(&r);
	vd_rd_u16(&r);
	in->src.family = in->dst.family = AF_INET;
	vd_rd_copy(&r, in->src.a, 4);
	vd_rd_copy(&r, in->dst.a, 4);
	if (!vd_rd_ok(&r) || ihl < 20 || total < ihl || total > pkt->len)
		return false;
	in->l4 = (uint16_t)ihl;
	in->df = frag & 0x4000;
	in->first = !(frag & 0x1fff);
	in->fragment = frag & 0x3fff;
	pkt->len = total;
	return true;
}

/* RFC 4291 sections 2.5.2, 2.5.6 and 2.7: what has a meaning on one link alone. */
static bool link_source(const struct vd_ip *ip)
{
	return vd_ip_is_any(ip) || (ip->a[0] == 0xfe && (ip->a[1] & 0xc0) == 0x80);
}

static bool link_destination(const struct vd_ip *ip)
{
	return link_source(ip) || (ip->a[0] == 0xff && (ip->a[1] & 15) <= 2);
}

static bool parse6(struct vd_pkt *pkt, struct dp_inner *in)
{
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	uint32_t first = vd_rd_u32(&r);
	unsigned payload = vd_rd_u16(&r);
	uint8_t next = vd_rd_u8(&r);
	vd_rd_u8(&r);
	in->src.family = in->dst.family = AF_INET6;
	vd_rd_copy(&r, in->src.a, 16);
	vd_rd_copy(&r, in->dst.a, 16);
	if (!vd_rd_ok(&r) || payload + 40 > pkt->len)
		return false;
	pkt->len = payload + 40;
	in->from_link = link_source(&in->src);
	in->to_link = link_destination(&in->dst);
	in->tos = (uint8_t)(first >> 20);
	in->df = in->first = true;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, 40);
	/* RFC 8200 section 4: hop-by-hop, routing, fragment, destination options. */
	for (unsigned i = 0; i < 8 && (next == 0 || next == 43 || next == 44 || next == 60); i++) {
		uint8_t was = next;
		next = vd_rd_u8(&r);
		unsigned ext = vd_rd_u8(&r);
		if (was == 44) {
			in->first = !(vd_rd_u16(&r) & 0xfff8);
			in->fragment = true;
			vd_rd_take(&r, 4);
			if (!in->first)
				break; /* the rest is the middle of something, not headers */
		} else {
			vd_rd_take(&r, 8 * ext + 6);
		}
	}
	if (!vd_rd_ok(&r))
		return false;
	in->protocol = next;
	in->l4 = (uint16_t)(pkt->len - vd_rd_left(&r));
	return true;
}

bool dp_inner_parse(struct vd_pkt *pkt, struct dp_inner *ret_inner)
{
	struct dp_inner in = { 0 };
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	in.version = vd_rd_u8(&r) >> 4;
	if (!(in.version == 4 ? parse4(pkt, &in) : in.version == 6 && parse6(pkt, &in)))
		return false;
	pkt->l4 = in.l4;
	*ret_inner = in;
	return true;
}

void dp_put16(uint8_t *p, size_t len, size_t at, uint16_t v)
{
	struct vd_wr w;
	if (at > len)
		return;
	vd_wr_init(&w, p + at, len - at);
	vd_wr_u16(&w, v);
}

void dp_mss_clamp(struct vd_pkt *pkt, const struct dp_inner *in, uint16_t mtu)
{
	uint16_t most = (uint16_t)(in->version == 4 ? mtu - 40 : mtu - 60);
	if (in->protocol != IPPROTO_TCP_ || !in->first || mtu < 100)
		return;
	struct vd_rd tcp, opt;
	vd_rd_init(&tcp, pkt->p, pkt->len);
	vd_rd_take(&tcp, in->l4);
	size_t base = in->l4;
	vd_rd_take(&tcp, 12);
	unsigned header = (vd_rd_u8(&tcp) >> 4) * 4u;
	uint8_t bits = vd_rd_u8(&tcp);
	vd_rd_u16(&tcp);
	uint16_t sum = vd_rd_u16(&tcp);
	vd_rd_u16(&tcp);
	if (!vd_rd_ok(&tcp) || !(bits & 2) || header < 20 || !vd_rd_sub(&tcp, header - 20, &opt))
		return;
	while (vd_rd_left(&opt)) {
		uint8_t kind = vd_rd_u8(&opt);
		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		uint8_t len = vd_rd_u8(&opt);
		if (len < 2)
			return;
		if (kind != 2 || len != 4) {
			vd_rd_take(&opt, len - 2u);
			continue;
		}
		size_t at = header - vd_rd_left(&opt); /* of the value, from the TCP header */
		uint16_t old = vd_rd_u16(&opt);
		if (!vd_rd_ok(&opt) || old <= most)
			return;
		/* RFC 1624 equation 3; a value on an odd offset lies across two words: its octets count swapped. */
		uint16_t a = old, b = most;
		if (at & 1) {
			a = (uint16_t)(a << 8 | a >> 8);
			b = (uint16_t)(b << 8 | b >> 8);
		}
		dp_put16(pkt->p, pkt->len, base + at, most);
		dp_put16(pkt->p, pkt->len, base + 16,
			vd_sum_fold((uint32_t)(uint16_t)~sum + (uint16_t)~a + b));
		return;
	}
}

bool dp_csum_complete(struct vd_pkt *pkt, uint16_t start, uint16_t offset)
{
	if ((uint32_t)start + offset + 2 > pkt->len)
		return false;
	/* The field holds the sum of the pseudo header. */
	uint16_t sum = vd_sum_fold(vd_sum(0, pkt->p + start, pkt->len - start));
	if (!sum && offset == 6)
		sum = 0xffff; /* UDP: 0 means none */
	dp_put16(pkt->p, pkt->len, (size_t)start + offset, sum);
	pkt->flags &= (uint8_t)~VD_PKT_CSUM;
	return true;
}

/* What routers marked in the outer header goes into the inner one: RFC 6040 section 4.2. An inner packet that says that its ends
 * do not know ECN must not pass when it was marked, since a loss is all that they understand. Only the header of a tunnel
 * is the packet's own: that below L2TP is not looked at, since both ends would have to say that they do (RFC 9601 section
 * 3). */
static enum vd_drop ecn_in(const struct vd_hdr *h, struct vd_pkt *pkt, struct dp_inner *in)
{
	enum { NOT_ECT, ECT_1, ECT_0, CE };
	uint8_t outer = pkt->tos & 3, inner = in->tos & 3;
	if (!h->bare || outer == NOT_ECT || outer == ECT_0 || outer == inner || inner == CE)
		return VD_DROP_NONE;
	if (inner == NOT_ECT)
		return outer == CE ? VD_DROP_ECN : VD_DROP_NONE;
	struct vd_rd r;
	vd_rd_init(&r, pkt->p, pkt->len);
	uint16_t old = vd_rd_u16(&r), new;
	in->tos = (in->tos & 0xfc) | outer;
	if (in->version == 6) {
		new = (old & 0xf00f) | (uint16_t)(in->tos << 4);
	} else {
		new = (old & 0xff00) | in->tos;
		vd_rd_take(&r, 8);
		uint16_t sum = vd_rd_u16(&r);
		/* RFC 1624 equation 3: what was wrong stays wrong. */
		dp_put16(pkt->p, pkt->len, 10, vd_sum_fold((uint32_t)(uint16_t)~sum + (uint16_t)~old + new));
	}
	dp_put16(pkt->p, pkt->len, 0, new);
	return VD_DROP_NONE;
}

enum vd_drop dp_simple_in(const struct vd_wsess *s, struct vd_pkt *pkt, struct dp_inner *ret_inner)
{
	if (!dp_inner_parse(pkt, ret_inner))
		return VD_DROP_NOT_IP;
	const struct vd_hdr *h = ret_inner->version == 4 ? &s->d.v4 : &s->d.v6;
	if (s->d.own.family) {
		if (!vd_ip_equal(&s->d.own, &ret_inner->dst))
			return VD_DROP_DESTINATION;
		dp_mss_clamp(pkt, ret_inner, s->d.mtu);
		return ecn_in(h, pkt, ret_inner);
	}
	bool ours = ret_inner->from_link && s->d.v6.len;
	for (size_t i = 0; i < VD_ARRAY_SIZE(s->d.source) && s->d.source[i].ip.family && !ours; i++)
		ours = vd_prefix_has(&s->d.source[i], &ret_inner->src);
	if (!ours)
		return VD_DROP_SOURCE;
	dp_mss_clamp(pkt, ret_inner, s->d.mtu);
	return ecn_in(h, pkt, ret_inner);
}

/* The next number goes into the header that is in front (RFC 2661 section 3.1). */
static void number(const struct vd_wsess *s, const struct vd_hdr *h, struct vd_pkt *pkt)
{
	unsigned at = s->numbers.at;
	pkt->p -= VD_NUMBER_LEN;
	pkt->len += VD_NUMBER_LEN;
	memmove(pkt->p, pkt->p + VD_NUMBER_LEN, at);
	dp_put16(pkt->p, pkt->len, at, s->numbers.next);
	dp_put16(pkt->p, pkt->len, at + 2u, 0); /* Nr means nothing in data messages */
	pkt->p[h->l2tp_from] |= 0x08;
}

static bool roomy(const struct vd_wsess *s, const struct vd_chan *chan, const struct vd_hdr *h)
{
	return (size_t)h->len + (s->numbered ? VD_NUMBER_LEN : 0) + chan->head <= VD_HEAD;
}

static void head(const struct vd_wsess *s, const struct vd_chan *chan, const struct vd_hdr *h, struct vd_pkt *pkt)
{
	pkt->p -= h->len;
	pkt->len += h->len;
	memcpy(pkt->p, h->bytes, h->len);
	if (s->numbered && s->numbers.at <= h->len && h->l2tp_from < s->numbers.at)
		number(s, h, pkt);
	if (h->l2tp_len && h->l2tp_from < h->len)
		dp_put16(pkt->p, h->len, h->l2tp_len, (uint16_t)(pkt->len - h->l2tp_from));
	if (!h->udp_len || h->udp_from >= h->len)
		return;
	dp_put16(pkt->p, h->len, h->udp_len, (uint16_t)(pkt->len - h->udp_from));
	dp_put16(pkt->p, h->len, h->udp_len + 2u, 0);
	/* RFC 2661 section 8.1 lets IPv4 go without; in IPv6 zero is illegal (RFC 8200 section 8.1). */
	if (chan->remote.family == AF_INET6) {
		uint32_t len = pkt->len - h->udp_from;
		uint16_t sum = vd_sum_fold(vd_sum(vd_sum_pseudo(&chan->local, &chan->remote, IPPROTO_UDP_, len),
			pkt->p + h->udp_from, len));
		dp_put16(pkt->p, h->len, h->udp_len + 2u, sum ? sum : 0xffff);
	}
}

enum vd_drop dp_simple_out(const struct vd_wsess *s, const struct vd_chan *chan, struct vd_pkt *pkt,
	const struct dp_inner *in)
{
	const struct vd_hdr *h = in->version == 4 ? &s->d.v4 : &s->d.v6;
	if ((!h->len && !h->bare) || h->len > sizeof(h->bytes))
		return VD_DROP_NO_ROUTE;
	if (pkt->len > s->d.mtu || !roomy(s, chan, h))
		return VD_DROP_TOO_BIG;
	dp_mss_clamp(pkt, in, s->d.mtu);
	/* DSCP, but no ECN field (the compatibility mode of RFC 6040 section 4.1): a router that marked the outer header instead of
	 * dropping would be heard by nobody when the other end throws that header away. Ends of L2TP do, unless they have said
	 * otherwise (RFC 9601), and so may those of IKEv1: RFC 2401 had them do so, RFC 3168 section 9.2 needs an attribute of
	 * the SA that nobody sends, and only IKEv2 implies RFC 4301. */
	pkt->tos = in->tos & 0xfc;
	pkt->flags = (uint8_t)(in->df ? pkt->flags | VD_PKT_DF : pkt->flags & ~VD_PKT_DF);
	head(s, chan, h, pkt);
	return VD_DROP_NONE;
}

enum vd_drop dp_simple_frame(const struct vd_wsess *s, const struct vd_chan *chan, const struct vd_hdr *h, struct vd_pkt *pkt)
{
	if (h->len > sizeof(h->bytes) || !roomy(s, chan, h))
		return VD_DROP_TOO_BIG;
	head(s, chan, h, pkt);
	return VD_DROP_NONE;
}
