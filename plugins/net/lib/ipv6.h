/* IPv6 packets of one link: what is inside of a received one, and the headers in front of one of ours. No state. */
#ifndef NET_LIB_IPV6_H
#define NET_LIB_IPV6_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>

#define NET_IPV6_HEADER 40
#define NET_UDP_HEADER 8
#define NET_IPV6_ROOM 1500
/* Seconds that addresses of a session's network are good for, however the client learns of them; and preferred. */
#define NET_VALID 86400u
#define NET_PREFERRED 14400u
enum { NET_ICMPV6 = 58, NET_UDP = 17 };

struct net_ipv6 {
	struct vd_ip src, dst;
	uint8_t protocol, hops;
	uint16_t from, to;   /* ports of UDP */
	const uint8_t *body; /* of ICMPv6 from its type on, of UDP behind the header */
	size_t len;
};

/* Reads a packet of ICMPv6 or UDP without extension headers, none of which what is read here has, and checks its
 * checksum. -EBADMSG with *ret_why. */
int net_ipv6_read(const uint8_t *p, size_t len, struct net_ipv6 *ret_packet, const char **ret_why);
/* fe80::/10. */
bool net_ipv6_link_local(const struct vd_ip *ip);
/* ff02::1, all nodes of the link. */
struct vd_ip net_ipv6_all_nodes(void);

/* Octets before the body of a packet of this protocol. */
size_t net_ipv6_head(uint8_t protocol);
/* Writes the headers into the first octets of p, and the checksum (of ICMPv6 into its octets 2 and 3, which are zero until
 * then). len: of all. Of packet, body and len are not looked at. */
void net_ipv6_wrap(uint8_t *p, size_t len, const struct net_ipv6 *packet);

#endif
