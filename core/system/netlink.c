/* Devices, addresses and routes by rtnetlink. One socket per change: they are few, and nothing is left behind. */
#include "core/system/keep.h"
#include "core/system/priv.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define ROOM VD_NETLINK_ROOM
/* Worse than any route somebody makes: it is there for the time when there is no other one. */
#define METRIC_WORST 0x7fffffffu

int vd_netlink_ask(struct nlmsghdr *nlh, int (*read)(const struct nlmsghdr *nlh, void *arg), void *arg)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[8192];
	ssize_t n;
	int ret = 0;

	if (!nl)
		return -errno;
	mnl_socket_setsockopt(nl, NETLINK_GET_STRICT_CHK, &(int){ 1 }, sizeof(int)); /* older kernels filter nothing */
	nlh->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		ret = -errno;
	else
		do {
			n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
			ret = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), read, arg);
		} while (ret > MNL_CB_STOP);
	if (ret == -1)
		ret = -errno;
	mnl_socket_close(nl);
	return ret;
}

static int talk(struct nlmsghdr *nlh)
{
	return vd_netlink_ask(nlh, NULL, NULL);
}

struct nlmsghdr *vd_netlink_message(char *room, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return nlh;
}

static size_t ip_len(const struct vd_ip *ip)
{
	return ip->family == AF_INET ? 4 : 16;
}

int vd_netlink_up(const char *dev, unsigned mtu, unsigned txqueuelen, struct vd_error *err)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_NEWLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	int ret;

	ifi->ifi_index = (int)if_nametoindex(dev);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, txqueuelen);
	ret = ifi->ifi_index ? talk(nlh) : -ENODEV;
	return ret < 0 ? vd_error_set(err, ret, "cannot set MTU %u on %s and bring it up: %s", mtu, dev, strerror(-ret)) : 0;
}

int vd_netlink_address(bool add, const char *dev, const struct vd_prefix *address, struct vd_error *err)
{
	char room[ROOM], text[VD_IP_TEXT];
	struct nlmsghdr *nlh = vd_netlink_message(room, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	int ret;

	ifa->ifa_family = (uint8_t)address->ip.family;
	ifa->ifa_prefixlen = address->len;
	ifa->ifa_index = if_nametoindex(dev);
	if (address->ip.family == AF_INET6)
		ifa->ifa_flags = IFA_F_NODAD; /* nobody else is on this link */
	mnl_attr_put(nlh, IFA_LOCAL, ip_len(&address->ip), address->ip.a);
	mnl_attr_put(nlh, IFA_ADDRESS, ip_len(&address->ip), address->ip.a);
	ret = ifa->ifa_index ? talk(nlh) : -ENODEV;
	if (add ? ret == -EEXIST : ret == -EADDRNOTAVAIL || ret == -ENODEV)
		ret = 0;
	return ret < 0 ? vd_error_set(err, ret, "cannot %s address %s %s %s: %s", add ? "add" : "remove",
		vd_prefix_format(address, text), add ? "to" : "from", dev, strerror(-ret)) : 0;
}

static int route(uint16_t type, uint16_t flags, unsigned dev, const struct vd_prefix *dst, const struct vd_ip *source)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, type, flags);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)dst->ip.family;
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = dst->ip.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, ip_len(&dst->ip), dst->ip.a);
	mnl_attr_put_u32(nlh, RTA_OIF, dev);
	if (source)
		mnl_attr_put(nlh, RTA_PREFSRC, ip_len(source), source->a);
	return talk(nlh);
}

int vd_netlink_route(bool add, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source,
	struct vd_error *err)
{
	unsigned index = if_nametoindex(dev);
	char text[VD_IP_TEXT];
	int ret;

	if (!index) {
		ret = add ? -ENODEV : 0; /* a device takes its routes with it */
	} else if (!add) {
		ret = route(RTM_DELROUTE, 0, index, dst, NULL);
		if (ret == -ESRCH)
			ret = 0;
	} else {
		ret = route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, dst, source);
		if (ret == -EEXIST) {
			/* Ours or somebody else's? Only the very same route cannot be appended. */
			ret = route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, index, dst, source);
			if (ret == 0) {
				route(RTM_DELROUTE, 0, index, dst, NULL);
				return vd_error_set(err, -EEXIST, "there is another route to %s already; remove it, or use another range",
					vd_prefix_format(dst, text));
			}
			if (ret == -EEXIST)
				ret = 0;
		}
	}
	return ret < 0 ? vd_error_set(err, ret, "cannot %s route %s %s %s: %s", add ? "add" : "remove",
		vd_prefix_format(dst, text), add ? "to" : "from", dev, strerror(-ret)) : 0;
}

/* ---- host routes to gateways ---- */
struct way { /* how a host is reached */
	uint32_t dev;
	struct vd_ip via; /* family 0: on the link */
};

/* The first of several next hops: one way is as good as another. */
static void read_hop(const struct rtnexthop *hop, uint8_t family, struct way *way)
{
	int left = hop->rtnh_len - (int)RTNH_LENGTH(0);

	way->dev = (uint32_t)hop->rtnh_ifindex;
	for (const struct rtattr *a = RTNH_DATA(hop); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_GATEWAY && RTA_PAYLOAD(a) <= sizeof(way->via.a)) {
			way->via.family = family;
			memcpy(way->via.a, RTA_DATA(a), RTA_PAYLOAD(a));
		}
}

static int read_way(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct way *way = arg;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_OIF && mnl_attr_get_payload_len(attr) == sizeof(way->dev))
			way->dev = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == RTA_GATEWAY && mnl_attr_get_payload_len(attr) <= sizeof(way->via.a)) {
			way->via.family = rtm->rtm_family;
			memcpy(way->via.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
		}
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH && mnl_attr_get_payload_len(attr) >= sizeof(struct rtnexthop))
			read_hop(mnl_attr_get_payload(attr), rtm->rtm_family, way);
	}
	return MNL_CB_OK;
}

/* Of several routes. */
struct best_way {
	const struct vd_ip *host;
	uint32_t without; /* a device */
	struct way way;
	int len;          /* of its network, -1: none yet */
	uint32_t metric;
};

static int read_best_way(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct best_way *b = arg;
	struct vd_prefix dst = { .ip.family = rtm->rtm_family, .len = rtm->rtm_dst_len };
	struct way way = { 0 };
	const struct nlattr *attr;
	uint32_t metric = 0;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_type != RTN_UNICAST || rtm->rtm_table != RT_TABLE_MAIN ||
		rtm->rtm_protocol == VD_NETLINK_OURS || rtm->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))
		return MNL_CB_OK;
	read_way(nlh, &way);
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_DST && mnl_attr_get_payload_len(attr) <= sizeof(dst.ip.a))
			memcpy(dst.ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
		if (mnl_attr_get_type(attr) == RTA_PRIORITY && mnl_attr_get_payload_len(attr) == sizeof(metric))
			metric = mnl_attr_get_u32(attr);
	}
	if (!way.dev || way.dev == b->without || !vd_prefix_has(&dst, b->host) || dst.len < b->len ||
		(dst.len == b->len && metric >= b->metric))
		return MNL_CB_OK;
	b->way = way;
	b->len = dst.len;
	b->metric = metric;
	return MNL_CB_OK;
}

/* The way that the host would take without our device and without unreachable routes of ours. */
static int find_way_around(const struct vd_ip *host, struct way *ret_way)
{
	struct best_way best = { .host = host, .without = vd_keep_dev()[0] ? if_nametoindex(vd_keep_dev()) : 0, .len = -1 };
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	int ret;

	rtm->rtm_family = (uint8_t)host->family;
	rtm->rtm_table = RT_TABLE_MAIN;
	ret = vd_netlink_ask(nlh, read_best_way, &best);
	*ret_way = best.way;
	return ret < 0 ? ret : best.len >= 0 ? 0 : -ENETUNREACH;
}

static int find_way(const struct vd_ip *host, struct way *ret_way)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	int ret;

	rtm->rtm_family = (uint8_t)host->family;
	rtm->rtm_dst_len = (uint8_t)(8 * ip_len(host));
	mnl_attr_put(nlh, RTA_DST, ip_len(host), host->a);
	*ret_way = (struct way){ 0 };
	ret = vd_netlink_ask(nlh, read_way, ret_way);
	/* Nowhere, or into the tunnel: what is asked for is the way without both. */
	if (ret < 0 || !ret_way->dev || (vd_keep_dev()[0] && ret_way->dev == if_nametoindex(vd_keep_dev())))
		return find_way_around(host, ret_way);
	return 0;
}

static int pin(uint16_t type, uint16_t flags, const struct vd_ip *host, const struct way *way)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, type, flags);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)host->family;
	rtm->rtm_dst_len = (uint8_t)(8 * ip_len(host));
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = VD_NETLINK_OURS;
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE :
		host->family == AF_INET && !way->via.family ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	mnl_attr_put(nlh, RTA_DST, ip_len(host), host->a);
	if (way && way->via.family)
		mnl_attr_put(nlh, RTA_GATEWAY, ip_len(&way->via), way->via.a);
	if (way)
		mnl_attr_put_u32(nlh, RTA_OIF, way->dev);
	return talk(nlh);
}

static int pin_done(int ret, bool add, const struct vd_ip *host, struct vd_error *err)
{
	char text[VD_IP_TEXT];

	if (add ? ret == -EEXIST : ret == -ESRCH)
		ret = 0;
	return ret < 0 ? vd_error_set(err, ret, "cannot %s the way to %s outside of the tunnel: %s", add ? "keep" : "give up",
		vd_ip_format(host, text), strerror(-ret)) : 0;
}

int vd_netlink_pin(bool add, const struct vd_ip *host, struct vd_error *err)
{
	struct way way;
	int ret = pin(RTM_DELROUTE, 0, host, NULL); /* before the way is looked for: it may have changed since */

	if (add)
		ret = find_way(host, &way);
	if (add && ret == 0)
		ret = pin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, host, &way);
	return pin_done(ret, add, host, err);
}

static int read_match(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	int *len = arg;

	if (nlh->nlmsg_type == RTM_NEWROUTE)
		*len = rtm->rtm_dst_len;
	return MNL_CB_OK;
}

int vd_netlink_match(const struct vd_ip *host)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	int len = -ENETUNREACH, ret;

	rtm->rtm_family = (uint8_t)host->family;
	rtm->rtm_dst_len = (uint8_t)(8 * ip_len(host));
	rtm->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(nlh, RTA_DST, ip_len(host), host->a);
	ret = vd_netlink_ask(nlh, read_match, &len);
	return ret < 0 ? ret : len;
}

/* ---- nowhere, when there is no other way ---- */
static int unreachable(bool add, const struct vd_prefix *dst)
{
	char room[ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)dst->ip.family;
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = VD_NETLINK_OURS;
	rtm->rtm_scope = add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE;
	rtm->rtm_type = RTN_UNREACHABLE;
	mnl_attr_put(nlh, RTA_DST, ip_len(&dst->ip), dst->ip.a);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, METRIC_WORST);
	return talk(nlh);
}

int vd_netlink_unreachable(bool add, const struct vd_prefix *dst, struct vd_error *err)
{
	char text[VD_IP_TEXT];
	int ret = unreachable(add, dst);

	if (add ? ret == -EEXIST : ret == -ESRCH)
		ret = 0;
	return ret < 0 ? vd_error_set(err, ret, "cannot %s %s unreachable outside of the tunnel: %s", add ? "make" : "no longer keep",
		vd_prefix_format(dst, text), strerror(-ret)) : 0;
}

/* ---- at the end, and after a crash ---- */
struct ours {
	struct vd_prefix dst[128];
	uint8_t type[128];
	unsigned n;
};

static int read_ours(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct ours *o = arg;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_protocol != VD_NETLINK_OURS || rtm->rtm_table != RT_TABLE_MAIN ||
		o->n == VD_ARRAY_SIZE(o->dst))
		return MNL_CB_OK;
	o->type[o->n] = rtm->rtm_type;
	o->dst[o->n] = (struct vd_prefix){ .ip.family = rtm->rtm_family, .len = rtm->rtm_dst_len };
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_DST && mnl_attr_get_payload_len(attr) <= sizeof(o->dst[0].ip.a))
			memcpy(o->dst[o->n].ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	o->n++;
	return MNL_CB_OK;
}

/* Whether any was removed: one that stays, with another metric than ours, must not be looked for without end. */
static bool remove_ours(const struct ours *o)
{
	bool any = false;

	for (unsigned i = 0; i < o->n; i++)
		any |= (o->type[i] == RTN_UNREACHABLE ? unreachable(false, &o->dst[i]) : pin(RTM_DELROUTE, 0, &o->dst[i].ip, NULL)) == 0;
	return any;
}

void vd_netlink_remove_ours(void)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < VD_ARRAY_SIZE(families); i++)
		for (;;) {
			char room[ROOM];
			struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, NLM_F_DUMP);
			struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
			struct ours ours = { .n = 0 };

			rtm->rtm_family = families[i];
			rtm->rtm_table = RT_TABLE_MAIN;
			rtm->rtm_protocol = VD_NETLINK_OURS; /* a strict kernel sends only these */
			if (vd_netlink_ask(nlh, read_ours, &ours) < 0 || !ours.n || !remove_ours(&ours))
				break;
		}
}
