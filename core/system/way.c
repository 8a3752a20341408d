/* Viaduct: how large packets to an address may be, by the host's routes and interfaces. Control thread. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "core/system/priv.h"

static int read_link_mtu(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	uint32_t *mtu = arg;

	if (nlh->nlmsg_type == RTM_NEWLINK)
		mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
			if (mnl_attr_get_type(attr) == IFLA_MTU && mnl_attr_get_payload_len(attr) == sizeof(*mtu))
				*mtu = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static uint32_t link_mtu(uint32_t dev)
{
	char room[VD_NETLINK_ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	uint32_t mtu = UINT32_MAX;

	ifi->ifi_index = (int)dev;
	vd_netlink_ask(nlh, read_link_mtu, &mtu);
	return mtu;
}

struct widths {
	uint32_t route, dev[16]; /* the route's own, UINT32_MAX: none; its devices */
	unsigned n;
};

static void add_dev(struct widths *w, uint32_t dev)
{
	if (dev && w->n < VD_ARRAY_SIZE(w->dev))
		w->dev[w->n++] = dev;
}

static int read_widths(const struct nlmsghdr *nlh, void *arg)
{
	struct widths *w = arg;
	const struct nlattr *attr, *metric;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(struct rtmsg)) {
		const void *p = mnl_attr_get_payload(attr);
		size_t len = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) == RTA_OIF && len == 4)
			add_dev(w, mnl_attr_get_u32(attr));
		if (mnl_attr_get_type(attr) == RTA_METRICS)
			mnl_attr_for_each_nested(metric, attr)
				if (mnl_attr_get_type(metric) == RTAX_MTU && mnl_attr_get_payload_len(metric) == 4 &&
					mnl_attr_get_u32(metric))
					w->route = mnl_attr_get_u32(metric);
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH) {
			const struct rtnexthop *nh = p;

			for (; RTNH_OK(nh, (int)len); len -= NLMSG_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh))
				add_dev(w, (uint32_t)nh->rtnh_ifindex);
		}
	}
	return MNL_CB_OK;
}

int vd_way_mtu(const struct vd_ip *from, const struct vd_ip *to)
{
	struct widths w = { .route = UINT32_MAX };
	size_t len = to->family == AF_INET ? 4 : 16;
	uint32_t mtu;
	int ret = 0;

	/* The route as it was configured: without that flag the answer is what the kernel remembers of the address, and that
	 * is what anybody may have told it. Once more without, where the route names no device. */
	for (unsigned how = 0; how < 2 && !w.n && ret >= 0; how++) {
		char room[VD_NETLINK_ROOM];
		struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, 0);
		struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
		struct widths again = { .route = UINT32_MAX };

		rtm->rtm_family = (uint8_t)to->family;
		rtm->rtm_dst_len = (uint8_t)(8 * len);
		rtm->rtm_flags = how ? 0 : RTM_F_FIB_MATCH;
		mnl_attr_put(nlh, RTA_DST, len, to->a);
		if (from->family == to->family && !vd_ip_is_any(from)) {
			rtm->rtm_src_len = rtm->rtm_dst_len;
			mnl_attr_put(nlh, RTA_SRC, len, from->a);
		}
		ret = vd_netlink_ask(nlh, read_widths, &again);
		if (!how)
			w.route = again.route;
		w.n = again.n;
		memcpy(w.dev, again.dev, sizeof(w.dev));
	}
	if (ret < 0 || !w.n)
		return ret < 0 ? ret : -ENETUNREACH;
	mtu = w.route;
	for (unsigned i = 0; i < w.n; i++) {
		uint32_t dev = link_mtu(w.dev[i]);

		mtu = dev < mtu ? dev : mtu;
	}
	return mtu > 65535 ? 65535 : (int)mtu;
}
