/* Viaduct: addresses, prefixes, ranges and transport addresses as values. Any thread. */
#ifndef VIADUCT_ADDR_H
#define VIADUCT_ADDR_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sockaddr;

/* family is AF_INET, AF_INET6 or 0 for "none"; an IPv4 address occupies a[0..3], the rest is zero. Network order. */
struct vd_ip {
	uint16_t family;
	uint8_t a[16];
};

struct vd_prefix {
	struct vd_ip ip; /* host bits are zero */
	uint8_t len;
};

/* An address with a UDP port in host order. scope is the interface index of a link-local IPv6 address, else 0. */
struct vd_sa {
	struct vd_ip ip;
	uint16_t port;
	uint32_t scope;
};

#define VD_IP_TEXT 48
#define VD_SA_TEXT 64

VD_API bool vd_ip_parse(const char *text, struct vd_ip *ret_ip);
VD_API char *vd_ip_format(const struct vd_ip *ip, char out[VD_IP_TEXT]);
VD_API struct vd_ip vd_ip4(uint32_t host_order);
/* Host-order value of an IPv4 address; 0 for another family. */
VD_API uint32_t vd_ip_u32(const struct vd_ip *ip);
VD_API int vd_ip_cmp(const struct vd_ip *a, const struct vd_ip *b);
VD_API bool vd_ip_equal(const struct vd_ip *a, const struct vd_ip *b);
VD_API bool vd_ip_is_any(const struct vd_ip *ip);
/* What kind of addresses there are from first to last (the same family): the first kind of the table in addr.c that one of them is. */
enum vd_ip_kind {
	VD_IP_HOST, /* unicast, as a host anywhere may have */
	VD_IP_NONE, /* 0.0.0.0/8 and :: */
	VD_IP_LOOPBACK,
	VD_IP_LINK, /* link-local */
	VD_IP_MULTICAST,
	VD_IP_RESERVED, /* 240.0.0.0/4, broadcast */
	VD_IP_MAPPED,   /* ::ffff:0.0.0.0/96 */
};
VD_API enum vd_ip_kind vd_range_kind(const struct vd_ip *first, const struct vd_ip *last);
/* "a loopback address" */
VD_API const char *vd_ip_kind_name(enum vd_ip_kind kind);
/* "10.0.0.0/8", or an address alone as a host prefix. False when host bits are set or the text is wrong. */
VD_API bool vd_prefix_parse(const char *text, struct vd_prefix *ret_prefix);
VD_API bool vd_prefix_has(const struct vd_prefix *prefix, const struct vd_ip *ip);
VD_API char *vd_prefix_format(const struct vd_prefix *prefix, char out[VD_IP_TEXT]);
/* "10.8.0.10-10.8.3.250" or a prefix; same family, first <= last. */
VD_API bool vd_range_parse(const char *text, struct vd_ip *ret_first, struct vd_ip *ret_last);

VD_API bool vd_sa_from_sockaddr(const struct sockaddr *sa, struct vd_sa *ret_sa);
/* storage is a struct sockaddr_storage; returns the length for bind and sendto. */
VD_API unsigned vd_sa_to_sockaddr(const struct vd_sa *sa, void *storage);
VD_API bool vd_sa_equal(const struct vd_sa *a, const struct vd_sa *b);
/* "192.0.2.1:4500" or "[2001:db8::1]:4500". */
VD_API char *vd_sa_format(const struct vd_sa *sa, char out[VD_SA_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
