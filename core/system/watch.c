/* The kernel's words about changes: which of them may concern what is kept (keep.h). Nothing is learned from a word but that
 * it is time to compare, so a word that was lost (ENOBUFS) means just that as well. */
#include "core/system/keep.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>

#include "core/system/firewall.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netconf.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define AT_ONCE 64 /* reads in one callback */
#define RECEIVE_BUFFER (1 << 20)

static struct source {
	struct mnl_socket *nl;
	struct vd_io *io;
} routes, tables;

static bool route_is_ours(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct vd_prefix dst = { .ip.family = rtm->rtm_family, .len = rtm->rtm_dst_len };
	const struct nlattr *attr;

	if (nlh->nlmsg_type == RTM_NEWROUTE && !(nlh->nlmsg_flags & NLM_F_REPLACE))
		return false; /* one more takes nothing away */
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_DST && mnl_attr_get_payload_len(attr) <= sizeof(dst.ip.a))
			memcpy(dst.ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	return vd_keep_has(&dst);
}

static bool forwarding_of_all(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;
	bool all = false, forwarding = false;

	mnl_attr_for_each(attr, nlh, sizeof(struct netconfmsg)) {
		if (mnl_attr_get_payload_len(attr) != 4)
			continue;
		all |= mnl_attr_get_type(attr) == NETCONFA_IFINDEX && (int)mnl_attr_get_u32(attr) == NETCONFA_IFINDEX_ALL;
		forwarding |= mnl_attr_get_type(attr) == NETCONFA_FORWARDING;
	}
	return all && forwarding;
}

static int on_route_word(const struct nlmsghdr *nlh, void *arg)
{
	bool look = false;

	(void)arg;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK: { /* a device that goes down takes routes with it, and the kernel says nothing about those */
		const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

		look = ifi->ifi_family == AF_UNSPEC && ifi->ifi_change != 0;
		break;
	}
	case RTM_DELLINK:
	case RTM_DELADDR: /* so does an address that is the source of routes */
		look = true;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		look = route_is_ours(nlh);
		break;
	case RTM_NEWNETCONF:
		look = forwarding_of_all(nlh);
		break;
	default:
		break;
	}
	if (look)
		vd_keep_look();
	return MNL_CB_OK;
}

static int on_table_word(const struct nlmsghdr *nlh, void *arg)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	char name[80];

	(void)arg;
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return MNL_CB_OK;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_NEWGEN) { /* the end of every transaction */
		vd_firewall_look();
		return MNL_CB_OK;
	}
	if (nfg->nfgen_family != NFPROTO_INET)
		return MNL_CB_OK; /* ours are of this family */
	mnl_attr_for_each(attr, nlh, sizeof(*nfg)) /* in words about tables, chains, rules, sets and elements alike */
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0) {
			vd_format(name, sizeof(name), "inet %.64s", mnl_attr_get_str(attr));
			vd_keep_look_table(name);
		}
	return MNL_CB_OK;
}

static int ignore(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	(void)arg;
	return MNL_CB_OK;
}

static void on_words(void *arg, unsigned events)
{
	struct source *s = arg;
	char buf[16384];

	(void)events;
	for (unsigned i = 0; i < AT_ONCE; i++) {
		ssize_t n = mnl_socket_recvfrom(s->nl, buf, sizeof(buf));

		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) { /* words were lost, or one was too long */
			vd_count("keep.overrun", 1);
			vd_keep_look();
			vd_keep_look_table(NULL);
			vd_firewall_look();
			continue;
		}
		if (n <= 0)
			return;
		mnl_cb_run2(buf, (size_t)n, 0, 0, s == &routes ? on_route_word : on_table_word, NULL,
			(mnl_cb_t[NLMSG_MIN_TYPE]){ [NLMSG_ERROR] = ignore, [NLMSG_DONE] = ignore, [NLMSG_OVERRUN] = ignore },
			NLMSG_MIN_TYPE);
	}
}

static void close_source(struct source *s)
{
	vd_io_free(s->io);
	if (s->nl)
		mnl_socket_close(s->nl);
	*s = (struct source){ 0 };
}

static int open_source(struct source *s, int bus, const int *groups, size_t n)
{
	int ret = 0, fd;

	s->nl = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!s->nl)
		return -errno;
	fd = mnl_socket_get_fd(s->nl);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ RECEIVE_BUFFER }, sizeof(int)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ RECEIVE_BUFFER }, sizeof(int));
	if (mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		ret = -errno;
	for (size_t i = 0; i < n && ret == 0; i++)
		if (mnl_socket_setsockopt(s->nl, NETLINK_ADD_MEMBERSHIP, (void *)(uintptr_t)&groups[i], sizeof(int)) < 0)
			ret = -errno;
	if (ret == 0 && !(s->io = vd_io_new(fd, VD_IO_READ, on_words, s)))
		ret = -ENOMEM;
	if (ret < 0)
		close_source(s);
	return ret;
}

int vd_watch_init(void)
{
	static const int of_routes[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF };
	static const int of_tables[] = { NFNLGRP_NFTABLES };
	int ret;

	vd_watch_fini();
	ret = open_source(&routes, NETLINK_ROUTE, of_routes, VD_ARRAY_SIZE(of_routes));
	if (ret == 0 && open_source(&tables, NETLINK_NETFILTER, of_tables, VD_ARRAY_SIZE(of_tables)) < 0)
		vd_log(VD_LOG_INFO, "keep", NULL, "changes of nftables are not noticed here: %s", strerror(errno));
	return ret;
}

void vd_watch_fini(void)
{
	close_source(&routes);
	close_source(&tables);
}
