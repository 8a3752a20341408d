/* Router and neighbour discovery on a link with one neighbour (RFC 4861, RFC 4191, RFC 8106), inside IPv6. No state. */
#ifndef NET_RA_MESSAGE_H
#define NET_RA_MESSAGE_H

#include "plugins/net/lib/ipv6.h"

enum ra_type { RA_ECHO = 128, RA_ECHO_REPLY = 129, RA_SOLICIT = 133, RA_ADVERT = 134, RA_NEIGHBOR = 135, RA_NEIGHBOR_ADVERT = 136 };
#define RA_ROUTES 16

struct ra_facts {
	struct vd_prefix network;        /* the client's, 64 bits */
	uint32_t valid, preferred;       /* seconds, of addresses in it */
	uint16_t lifetime;               /* seconds as its default router; 0: it is not to send everything here */
	bool managed, other;             /* addresses, other things by DHCPv6 */
	uint32_t mtu;
	const struct vd_ip *dns;         /* those of IPv6 are told; family 0 ends them, as n does */
	size_t n_dns;
	const char *search;
	uint32_t dns_lifetime;
	const struct vd_prefix *routes;  /* those of IPv6 lead here; with route_lifetime */
	size_t n_routes;
	uint32_t route_lifetime;
};

/* Checks what has to be true of every Router and Neighbor Solicitation (RFC 4861 sections 6.1.1 and 7.1.1). *ret_target is
 * what a Neighbor Solicitation asks for. -EBADMSG with *ret_why. */
int ra_check(const struct net_ipv6 *packet, struct vd_ip *ret_target, const char **ret_why);
/* A Router Advertisement from an address of ours to one of the client's or all nodes. Returns its length; what does not
 * fit into size is left out, from the end: names, routes. */
size_t ra_advert(const struct ra_facts *facts, const struct vd_ip *from, const struct vd_ip *to, uint8_t *out, size_t size);
/* The answer to a Neighbor Solicitation for an address of ours. */
size_t ra_neighbor_advert(const struct net_ipv6 *packet, const struct vd_ip *target, uint8_t *out, size_t size);
/* The answer to an Echo Request. 0: it does not fit, or is none. */
size_t ra_echo_reply(const struct net_ipv6 *packet, const struct vd_ip *from, uint8_t *out, size_t size);

#endif
