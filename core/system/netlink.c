/* Devices, addresses and routes by rtnetlink. One socket per change: they are few, and nothing is left behind. */
#include "core/system/priv.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define ROOM 512

/* Sends one message and reads its acknowledgement. */
static int talk(struct nlmsghdr *nlh)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[8192];
	ssize_t n;
	int ret = 0;

	if (!nl)
		return -errno;
	nlh->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		ret = -errno;
	else if ((n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) < 0 ||
		mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		ret = -errno;
	mnl_socket_close(nl);
	return ret;
}

static struct nlmsghdr *message(char *room, uint16_t type, uint16_t flags)
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
	struct nlmsghdr *nlh = message(room, RTM_NEWLINK, 0);
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
	struct nlmsghdr *nlh = message(room, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
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

static int route(uint16_t type, uint16_t flags, unsigned dev, const struct vd_prefix *dst)
{
	char room[ROOM];
	struct nlmsghdr *nlh = message(room, type, flags);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = (uint8_t)dst->ip.family;
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = dst->ip.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, ip_len(&dst->ip), dst->ip.a);
	mnl_attr_put_u32(nlh, RTA_OIF, dev);
	return talk(nlh);
}

int vd_netlink_route(bool add, const char *dev, const struct vd_prefix *dst, struct vd_error *err)
{
	unsigned index = if_nametoindex(dev);
	char text[VD_IP_TEXT];
	int ret;

	if (!index) {
		ret = add ? -ENODEV : 0; /* a device takes its routes with it */
	} else if (!add) {
		ret = route(RTM_DELROUTE, 0, index, dst);
		if (ret == -ESRCH)
			ret = 0;
	} else {
		ret = route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, index, dst);
		if (ret == -EEXIST) {
			/* Ours or somebody else's? Only the very same route cannot be appended. */
			ret = route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, index, dst);
			if (ret == 0) {
				route(RTM_DELROUTE, 0, index, dst);
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
