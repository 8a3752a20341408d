#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/addr.h>

static size_t ip_len(const struct vd_ip *ip)
{
	return ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0;
}

bool vd_ip_parse(const char *text, struct vd_ip *ret_ip)
{
	struct vd_ip ip = { .family = AF_INET };

	if (inet_pton(AF_INET, text, ip.a) != 1) {
		ip.family = AF_INET6;
		if (inet_pton(AF_INET6, text, ip.a) != 1)
			return false;
	}
	*ret_ip = ip;
	return true;
}

char *vd_ip_format(const struct vd_ip *ip, char out[VD_IP_TEXT])
{
	if (ip_len(ip) == 0 || !inet_ntop(ip->family, ip->a, out, VD_IP_TEXT))
		vd_strcpy(out, VD_IP_TEXT, "-");
	return out;
}

struct vd_ip vd_ip4(uint32_t host_order)
{
	struct vd_ip ip = { .family = AF_INET };

	for (int i = 0; i < 4; i++)
		ip.a[i] = (uint8_t)(host_order >> (24 - 8 * i));
	return ip;
}

uint32_t vd_ip_u32(const struct vd_ip *ip)
{
	if (ip->family != AF_INET)
		return 0;
	return (uint32_t)ip->a[0] << 24 | (uint32_t)ip->a[1] << 16 | (uint32_t)ip->a[2] << 8 | ip->a[3];
}

int vd_ip_cmp(const struct vd_ip *a, const struct vd_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->a, b->a, ip_len(a));
}

bool vd_ip_equal(const struct vd_ip *a, const struct vd_ip *b)
{
	return vd_ip_cmp(a, b) == 0;
}

bool vd_ip_is_any(const struct vd_ip *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->a, zero, ip_len(ip)) == 0;
}

bool vd_prefix_has(const struct vd_prefix *prefix, const struct vd_ip *ip)
{
	unsigned full = prefix->len / 8, rest = prefix->len % 8;

	if (prefix->ip.family != ip->family || ip->family == 0)
		return false;
	if (memcmp(prefix->ip.a, ip->a, full) != 0)
		return false;
	return rest == 0 || ((prefix->ip.a[full] ^ ip->a[full]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

bool vd_prefix_parse(const char *text, struct vd_prefix *ret_prefix)
{
	char buf[VD_IP_TEXT];
	const char *slash = strchr(text, '/');
	struct vd_prefix p = { 0 };
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned bits, len = 0;

	if (n == 0 || n >= sizeof(buf))
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (!vd_ip_parse(buf, &p.ip))
		return false;
	bits = (unsigned)ip_len(&p.ip) * 8;
	if (!slash) {
		len = bits;
	} else {
		const char *d = slash + 1;

		if (!*d || strlen(d) > 3 || (d[0] == '0' && d[1]))
			return false;
		for (; *d; d++) {
			if (*d < '0' || *d > '9')
				return false;
			len = len * 10 + (unsigned)(*d - '0');
		}
		if (len > bits)
			return false;
	}
	p.len = (uint8_t)len;
	for (unsigned i = len; i < bits; i++)
		if (p.ip.a[i / 8] & (0x80 >> (i % 8)))
			return false;
	*ret_prefix = p;
	return true;
}

char *vd_prefix_format(const struct vd_prefix *prefix, char out[VD_IP_TEXT])
{
	size_t n;

	vd_ip_format(&prefix->ip, out);
	n = strlen(out);
	vd_format(out + n, VD_IP_TEXT - n, "/%u", prefix->len);
	return out;
}

bool vd_range_parse(const char *text, struct vd_ip *ret_first, struct vd_ip *ret_last)
{
	const char *dash = strchr(text, '-');
	char buf[VD_IP_TEXT];
	struct vd_ip first, last;

	if (!dash) {
		struct vd_prefix p;
		unsigned bits;

		if (!vd_prefix_parse(text, &p))
			return false;
		first = last = p.ip;
		bits = (unsigned)ip_len(&p.ip) * 8;
		for (unsigned i = p.len; i < bits; i++)
			last.a[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	} else {
		size_t n = (size_t)(dash - text);

		if (n == 0 || n >= sizeof(buf))
			return false;
		memcpy(buf, text, n);
		buf[n] = '\0';
		if (!vd_ip_parse(buf, &first) || !vd_ip_parse(dash + 1, &last) || first.family != last.family ||
			vd_ip_cmp(&first, &last) > 0)
			return false;
	}
	*ret_first = first;
	*ret_last = last;
	return true;
}

bool vd_sa_from_sockaddr(const struct sockaddr *sa, struct vd_sa *ret_sa)
{
	struct vd_sa out = { 0 };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		out.ip.family = AF_INET;
		memcpy(out.ip.a, &in.sin_addr, 4);
		out.port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		out.ip.family = AF_INET6;
		memcpy(out.ip.a, &in6.sin6_addr, 16);
		out.port = ntohs(in6.sin6_port);
		out.scope = in6.sin6_scope_id;
	} else {
		return false;
	}
	*ret_sa = out;
	return true;
}

unsigned vd_sa_to_sockaddr(const struct vd_sa *sa, void *storage)
{
	if (sa->ip.family == AF_INET6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(sa->port),
			.sin6_scope_id = sa->scope };

		memcpy(&in6.sin6_addr, sa->ip.a, 16);
		memcpy(storage, &in6, sizeof(in6));
		return sizeof(in6);
	} else {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(sa->port) };

		memcpy(&in.sin_addr, sa->ip.a, 4);
		memcpy(storage, &in, sizeof(in));
		return sizeof(in);
	}
}

bool vd_sa_equal(const struct vd_sa *a, const struct vd_sa *b)
{
	return a->port == b->port && a->scope == b->scope && vd_ip_equal(&a->ip, &b->ip);
}

char *vd_sa_format(const struct vd_sa *sa, char out[VD_SA_TEXT])
{
	char ip[VD_IP_TEXT];

	vd_ip_format(&sa->ip, ip);
	vd_format(out, VD_SA_TEXT, sa->ip.family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, sa->port);
	return out;
}

static const struct {
	const char *prefix;
	enum vd_ip_kind kind;
} kinds[] = {
	{ "0.0.0.0/8", VD_IP_NONE }, { "::/128", VD_IP_NONE }, { "127.0.0.0/8", VD_IP_LOOPBACK }, { "::1/128", VD_IP_LOOPBACK },
	{ "169.254.0.0/16", VD_IP_LINK }, { "fe80::/10", VD_IP_LINK }, { "224.0.0.0/4", VD_IP_MULTICAST }, { "ff00::/8", VD_IP_MULTICAST },
	{ "240.0.0.0/4", VD_IP_RESERVED }, { "::ffff:0:0/96", VD_IP_MAPPED },
};

enum vd_ip_kind vd_range_kind(const struct vd_ip *first, const struct vd_ip *last)
{
	struct vd_prefix p;

	for (size_t i = 0; i < VD_ARRAY_SIZE(kinds); i++)
		if (vd_prefix_parse(kinds[i].prefix, &p) && p.ip.family == first->family &&
			(vd_prefix_has(&p, first) || vd_prefix_has(&p, last) || (vd_ip_cmp(first, &p.ip) <= 0 && vd_ip_cmp(&p.ip, last) <= 0)))
			return kinds[i].kind;
	return VD_IP_HOST;
}

const char *vd_ip_kind_name(enum vd_ip_kind kind)
{
	static const char *const names[] = { "an address of a host", "an unspecified address", "a loopback address", "a link-local address",
		"a multicast address", "a reserved address", "an IPv4-mapped address" };

	return (unsigned)kind < VD_ARRAY_SIZE(names) ? names[kind] : "no address";
}
