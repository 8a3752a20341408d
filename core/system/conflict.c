/* What a new route would take away from the host: see in_the_way of priv/1. Control thread. */
#include "core/system/priv.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "core/object/object.h"
#include "core/system/keep.h"

struct look {
	const struct vd_prefix *dst;
	bool host;
	uint32_t dev; /* ours */
	struct vd_ip hops[16];
	unsigned n_hops;
	struct vd_prefix network; /* family 0: none is covered */
	uint32_t network_dev;
};

static bool overlap(const struct vd_prefix *a, const struct vd_prefix *b)
{
	return a->len <= b->len ? vd_prefix_has(a, &b->ip) : vd_prefix_has(b, &a->ip);
}

static void hop(struct look *l, uint16_t family, const struct nlattr *attr)
{
	struct vd_ip ip = { .family = family };

	if (mnl_attr_get_payload_len(attr) > sizeof(ip.a))
		return;
	memcpy(ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	if (vd_prefix_has(l->dst, &ip) && l->n_hops < VD_ARRAY_SIZE(l->hops))
		l->hops[l->n_hops++] = ip;
}

static void hops_of(struct look *l, uint16_t family, const struct nlattr *attr)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(attr);
	int len = mnl_attr_get_payload_len(attr);

	for (; RTNH_OK(nh, len); len -= (int)NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		const struct nlattr *of;

		for (of = (const void *)RTNH_DATA(nh); mnl_attr_ok(of, (int)((const char *)nh + nh->rtnh_len - (const char *)of));
			of = mnl_attr_next(of))
			if (mnl_attr_get_type(of) == RTA_GATEWAY)
				hop(l, family, of);
	}
}

static int read_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct vd_prefix net = { .ip.family = rtm->rtm_family, .len = rtm->rtm_dst_len };
	struct look *l = arg;
	const struct nlattr *attr, *many = NULL, *one = NULL;
	uint32_t dev = 0;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST || rtm->rtm_family != l->dst->ip.family)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == RTA_OIF && mnl_attr_get_payload_len(attr) == sizeof(dev))
			dev = mnl_attr_get_u32(attr);
		if (type == RTA_DST && mnl_attr_get_payload_len(attr) <= sizeof(net.ip.a))
			memcpy(net.ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
		one = type == RTA_GATEWAY ? attr : one;
		many = type == RTA_MULTIPATH ? attr : many;
	}
	if (dev && dev == l->dev)
		return MNL_CB_OK;
	if (one)
		hop(l, rtm->rtm_family, one);
	if (many)
		hops_of(l, rtm->rtm_family, many);
	/* Where the new route is longer, or as long, it wins. A network with more bits than the new one stays as it is. */
	if (!l->host && rtm->rtm_protocol == RTPROT_KERNEL && net.len && l->dst->len >= net.len && overlap(l->dst, &net) &&
		!(rtm->rtm_family == AF_INET6 && net.ip.a[0] == 0xfe)) {
		l->network = net;
		l->network_dev = dev;
	}
	return MNL_CB_OK;
}

/* Would packets to this host take the new route? */
static bool taken(const struct vd_prefix *dst, const struct vd_ip *host)
{
	int len = vd_prefix_has(dst, host) ? vd_netlink_match(host) : 129;

	return len <= dst->len; /* also where there is no way to it by now */
}

int vd_netlink_in_the_way(const struct vd_prefix *dst, bool host, struct vd_error *err)
{
	char room[VD_NETLINK_ROOM], text[VD_IP_TEXT], other[VD_IP_TEXT], dev[IF_NAMESIZE], id[VD_ID_BUF];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct look l = { .dst = dst, .host = host, .dev = if_nametoindex(vd_keep_dev()) };

	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		if (!vd_peer_closing(p->id) && !vd_peer_is_unproven(p->id) && taken(dst, &p->remote.ip)) /* nobody's mere claim */
			return vd_error_set(err, -EADDRINUSE, "%s would lead %s, the outer address of peer %s, into the tunnel: name a smaller "
				"network", vd_prefix_format(dst, text), vd_ip_format(&p->remote.ip, other), vd_id_format('p', p->id, id));
	rtm->rtm_family = (uint8_t)dst->ip.family;
	rtm->rtm_table = RT_TABLE_MAIN;
	if (vd_netlink_ask(nlh, read_route, &l) < 0)
		return 0; /* it cannot be known; the kernel has the last word */
	for (unsigned i = 0; i < l.n_hops; i++)
		if (taken(dst, &l.hops[i]))
			return vd_error_set(err, -EADDRINUSE, "%s would lead %s, a next hop of this host, into the tunnel: name another network",
				vd_prefix_format(dst, text), vd_ip_format(&l.hops[i], other));
	if (l.network.ip.family)
		return vd_error_set(err, -EADDRINUSE, "%s would take addresses of %s, the network on %s, away from this host: name another "
			"network", vd_prefix_format(dst, text), vd_prefix_format(&l.network, other),
			if_indextoname(l.network_dev, dev) ? dev : "an interface");
	return 0;
}
