#include "ipv6.h"

#include <errno.h>
#include <sys/socket.h>
#include <viaduct/datapath.h>

size_t net_ipv6_head(uint8_t protocol)
{
	return NET_IPV6_HEADER + (protocol == NET_UDP ? NET_UDP_HEADER : 0);
}

bool net_ipv6_link_local(const struct vd_ip *ip)
{
	return ip->family == AF_INET6 && ip->a[0] == 0xfe && (ip->a[1] & 0xc0) == 0x80;
}

struct vd_ip net_ipv6_all_nodes(void)
{
	return (struct vd_ip){ .family = AF_INET6, .a = { 0xff, 0x02, [15] = 1 } };
}

int net_ipv6_read(const uint8_t *p, size_t len, struct net_ipv6 *ret_packet, const char **ret_why)
{
	struct net_ipv6 in = { .src = { .family = AF_INET6 }, .dst = { .family = AF_INET6 } };
	struct vd_rd r, body;

	*ret_why = "cut short";
	vd_rd_init(&r, p, len);
	uint32_t first = vd_rd_u32(&r);
	size_t payload = vd_rd_u16(&r);
	in.protocol = vd_rd_u8(&r);
	in.hops = vd_rd_u8(&r);
	vd_rd_copy(&r, in.src.a, 16);
	vd_rd_copy(&r, in.dst.a, 16);
	if (!vd_rd_sub(&r, payload, &body))
		return -EBADMSG;
	*ret_why = "neither ICMPv6 nor UDP right behind the header of IPv6";
	if (first >> 28 != 6 || (in.protocol != NET_ICMPV6 && in.protocol != NET_UDP))
		return -EBADMSG;
	*ret_why = "cut short";
	if (in.protocol == NET_UDP) {
		struct vd_rd udp = body;

		in.from = vd_rd_u16(&udp);
		in.to = vd_rd_u16(&udp);
		payload = vd_rd_u16(&udp);
		if (!vd_rd_ok(&udp) || payload < NET_UDP_HEADER || payload > vd_rd_left(&body))
			return -EBADMSG;
		*ret_why = "no checksum"; /* RFC 8200 section 8.1 */
		if (!vd_rd_u16(&udp))
			return -EBADMSG;
	}
	in.len = payload;
	in.body = vd_rd_take(&body, payload);
	*ret_why = "wrong checksum";
	if (vd_sum_fold(vd_sum(vd_sum_pseudo(&in.src, &in.dst, in.protocol, (uint32_t)payload), in.body, payload)) != 0)
		return -EBADMSG;
	if (in.protocol == NET_UDP) {
		in.body += NET_UDP_HEADER;
		in.len -= NET_UDP_HEADER;
	}
	*ret_packet = in;
	return 0;
}

void net_ipv6_wrap(uint8_t *p, size_t len, const struct net_ipv6 *packet)
{
	size_t n = len - NET_IPV6_HEADER;
	struct vd_wr w;

	vd_wr_init(&w, p, net_ipv6_head(packet->protocol));
	vd_wr_u32(&w, 0x60000000);
	vd_wr_u16(&w, (uint16_t)n);
	vd_wr_u8(&w, packet->protocol);
	vd_wr_u8(&w, packet->hops);
	vd_wr_put(&w, packet->src.a, 16);
	vd_wr_put(&w, packet->dst.a, 16);
	if (packet->protocol == NET_UDP) {
		vd_wr_u16(&w, packet->from);
		vd_wr_u16(&w, packet->to);
		vd_wr_u16(&w, (uint16_t)n);
		vd_wr_u16(&w, 0);
	}
	uint16_t sum = vd_sum_fold(vd_sum(vd_sum_pseudo(&packet->src, &packet->dst, packet->protocol, (uint32_t)n),
		p + NET_IPV6_HEADER, n));
	vd_wr_init(&w, p + NET_IPV6_HEADER + (packet->protocol == NET_UDP ? 6 : 2), 2);
	vd_wr_u16(&w, sum ? sum : 0xffff);
}
