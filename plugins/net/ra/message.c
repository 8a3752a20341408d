#include "message.h"
#include "plugins/net/lib/names.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { PREFIX = 3, MTU = 5, ROUTE = 24, RDNSS = 25, DNSSL = 31 };
#define AUTONOMOUS 0x40u /* of PREFIX; "on link" stays clear: nobody else is there */

int ra_check(const struct net_ipv6 *in, struct vd_ip *ret_target, const char **ret_why)
{
	bool neighbor = in->len && in->body[0] == RA_NEIGHBOR, unspecified = vd_ip_is_any(&in->src);
	struct vd_rd r;

	*ret_target = (struct vd_ip){ .family = AF_INET6 };
	*ret_why = "it was forwarded";
	if (in->hops != 255)
		return -EBADMSG;
	*ret_why = "cut short, or of another code than 0";
	vd_rd_init(&r, in->body, in->len);
	vd_rd_u8(&r);
	if (vd_rd_u8(&r) != 0 || !vd_rd_take(&r, 6))
		return -EBADMSG;
	if (neighbor && !vd_rd_copy(&r, ret_target->a, 16))
		return -EBADMSG;
	*ret_why = "it asks for a group";
	if (neighbor && ret_target->a[0] == 0xff)
		return -EBADMSG;
	while (vd_rd_left(&r)) {
		uint8_t type = vd_rd_u8(&r), len = vd_rd_u8(&r);

		*ret_why = "an option of length 0, or cut short";
		if (!len || !vd_rd_take(&r, len * 8u - 2u))
			return -EBADMSG;
		*ret_why = "no source, and a link-layer address of it";
		if (unspecified && type == 1)
			return -EBADMSG;
	}
	return vd_rd_ok(&r) ? 0 : -EBADMSG;
}

static struct vd_wr begin(uint8_t *out, size_t size, uint8_t type)
{
	struct vd_wr w;

	vd_wr_init(&w, out, size);
	vd_wr_zero(&w, NET_IPV6_HEADER);
	vd_wr_u8(&w, type);
	vd_wr_zero(&w, 3); /* code, checksum */
	return w;
}

static size_t finish(struct vd_wr *w, uint8_t *out, const struct vd_ip *from, const struct vd_ip *to, uint8_t hops)
{
	struct net_ipv6 head = { .src = *from, .dst = *to, .protocol = NET_ICMPV6, .hops = hops };

	if (!vd_wr_ok(w))
		return 0;
	net_ipv6_wrap(out, w->len, &head);
	return w->len;
}

static bool room(const struct vd_wr *w, size_t len)
{
	return vd_wr_ok(w) && w->size - w->len >= len;
}

static void put_prefix(struct vd_wr *w, const struct ra_facts *f)
{
	vd_wr_u8(w, PREFIX);
	vd_wr_u8(w, 4);
	vd_wr_u8(w, f->network.len);
	vd_wr_u8(w, AUTONOMOUS);
	vd_wr_u32(w, f->valid);
	vd_wr_u32(w, f->preferred);
	vd_wr_u32(w, 0);
	vd_wr_put(w, f->network.ip.a, 16);
}

/* RFC 8106 section 5.1. */
static void put_dns(struct vd_wr *w, const struct ra_facts *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_dns && f->dns[i].family; i++)
		n += f->dns[i].family == AF_INET6;
	if (!n || !room(w, 8 + 16 * n))
		return;
	vd_wr_u8(w, RDNSS);
	vd_wr_u8(w, (uint8_t)(1 + 2 * n));
	vd_wr_u16(w, 0);
	vd_wr_u32(w, f->dns_lifetime);
	for (size_t i = 0; i < f->n_dns && f->dns[i].family; i++)
		if (f->dns[i].family == AF_INET6)
			vd_wr_put(w, f->dns[i].a, 16);
}

/* RFC 4191 section 2.3, of medium preference. */
static void put_routes(struct vd_wr *w, const struct ra_facts *f)
{
	for (size_t i = 0; i < f->n_routes; i++) {
		const struct vd_prefix *p = &f->routes[i];
		uint8_t units = p->len == 0 ? 0 : p->len <= 64 ? 1 : 2;

		if (p->ip.family != AF_INET6 || !room(w, 8u + 8u * units))
			continue;
		vd_wr_u8(w, ROUTE);
		vd_wr_u8(w, (uint8_t)(1 + units));
		vd_wr_u8(w, p->len);
		vd_wr_u8(w, 0);
		vd_wr_u32(w, f->route_lifetime);
		vd_wr_put(w, p->ip.a, 8u * units);
	}
}

/* RFC 8106 section 5.2. */
static void put_search(struct vd_wr *w, const struct ra_facts *f)
{
	uint8_t all[256];
	struct vd_wr names;

	vd_wr_init(&names, all, sizeof(all));
	net_names_put(&names, f->search);
	while (names.len % 8)
		vd_wr_u8(&names, 0);
	if (!names.len || !room(w, 8 + names.len))
		return;
	vd_wr_u8(w, DNSSL);
	vd_wr_u8(w, (uint8_t)(1 + names.len / 8));
	vd_wr_u16(w, 0);
	vd_wr_u32(w, f->dns_lifetime);
	vd_wr_put(w, all, names.len);
}

size_t ra_advert(const struct ra_facts *f, const struct vd_ip *from, const struct vd_ip *to, uint8_t *out, size_t size)
{
	struct vd_wr w = begin(out, size, RA_ADVERT);

	vd_wr_u8(&w, 64); /* hops for what the client sends */
	vd_wr_u8(&w, (uint8_t)((f->managed ? 0x80 : 0) | (f->other ? 0x40 : 0)));
	vd_wr_u16(&w, f->lifetime);
	vd_wr_u32(&w, 0); /* reachable, retransmission: as the client thinks best */
	vd_wr_u32(&w, 0);
	put_prefix(&w, f);
	vd_wr_u8(&w, MTU);
	vd_wr_u8(&w, 1);
	vd_wr_u16(&w, 0);
	vd_wr_u32(&w, f->mtu);
	put_dns(&w, f);
	put_routes(&w, f);
	put_search(&w, f);
	return finish(&w, out, from, to, 255);
}

size_t ra_neighbor_advert(const struct net_ipv6 *in, const struct vd_ip *target, uint8_t *out, size_t size)
{
	struct vd_wr w = begin(out, size, RA_NEIGHBOR_ADVERT);
	struct vd_ip to = in->src;
	bool asked = !vd_ip_is_any(&to);

	/* From no address: somebody is about to take ours (RFC 4861 section 7.2.4, RFC 4862 section 5.4). */
	if (!asked)
		to = net_ipv6_all_nodes();
	vd_wr_u32(&w, 0x80000000u | (asked ? 0x40000000u : 0)); /* a router; solicited. There are no link-layer addresses */
	vd_wr_put(&w, target->a, 16);
	return finish(&w, out, target, &to, 255);
}

size_t ra_echo_reply(const struct net_ipv6 *in, const struct vd_ip *from, uint8_t *out, size_t size)
{
	struct vd_wr w = begin(out, size, RA_ECHO_REPLY);

	if (in->len < 8 || in->body[0] != RA_ECHO || in->body[1] != 0 || vd_ip_is_any(&in->src))
		return 0;
	vd_wr_put(&w, in->body + 4, in->len - 4);
	return finish(&w, out, from, &in->src, 64);
}
