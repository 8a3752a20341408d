/* What values of the core's own options mean to each other and to this host: findings of a check. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_MAX 16 /* sockets are made for so many */

/* ---- gateway ---- */
static void one_listen(const struct vd_conf_node *list, size_t i)
{
	const struct vd_conf_node *node = vd_conf_nth(list, i);
	const struct vd_ip *ip = vd_conf_ip(node);
	enum vd_ip_kind kind = vd_range_kind(ip, ip);
	char text[VD_IP_TEXT];

	vd_ip_format(ip, text);
	if (kind == VD_IP_MAPPED)
		vd_check_error(node, "gateway.listen: %s is an IPv4 address in IPv6 clothes; write %s", text, text + strlen("::ffff:"));
	else if (kind == VD_IP_LINK && ip->family == AF_INET6)
		vd_check_error(node, "gateway.listen: %s is a link-local address: it says nothing without its interface, and leads no further; "
			"write another one of ours", text);
	else if (kind == VD_IP_MULTICAST || kind == VD_IP_RESERVED || (kind == VD_IP_NONE && !vd_ip_is_any(ip)))
		vd_check_error(node, "gateway.listen: %s is %s, and no address of a host", text, vd_ip_kind_name(kind));
	if (i >= LISTEN_MAX)
		vd_check_error(node, "gateway.listen: more than %u addresses; write 0.0.0.0 for all", LISTEN_MAX);
	for (size_t k = 0; k < i; k++) {
		const struct vd_ip *other = vd_conf_ip(vd_conf_nth(list, k));

		if (other->family != ip->family)
			continue;
		if (vd_ip_equal(other, ip))
			vd_check_error(node, "gateway.listen: %s stands there twice", text);
		else if (vd_ip_is_any(other) || vd_ip_is_any(ip))
			vd_check_error(node, "gateway.listen: %s is all addresses, and others of its family stand with it; take those out, or it",
				ip->family == AF_INET ? "0.0.0.0" : "::");
		else
			continue;
		return;
	}
}

static void gateway(const struct vd_conf *conf)
{
	const struct vd_conf_node *list = vd_conf_at(conf, NULL, "gateway.listen"), *user = vd_conf_at(conf, NULL, "gateway.user");
	const char *name = vd_conf_str(user);
	const struct passwd *pw;

	for (size_t i = 0; i < vd_conf_count(list); i++)
		one_listen(list, i);
	if (!name || (!vd_conf_written(user) && geteuid()))
		return; /* only root becomes somebody else */
	pw = getpwnam(name);
	if (pw && pw->pw_uid == 0)
		vd_check_error(user, "gateway.user: %s is root, which the daemon does not run as; name another user", name);
	else if (!pw)
		vd_check_error(user, "gateway.user: there is no user `%s`; run: useradd --system %s", name, *name ? name : "viaduct");
}

/* ---- connections ---- */
static void connections(const struct vd_conf *conf)
{
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections");
	bool any = false;

	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const struct vd_conf_node *c = vd_conf_nth(all, i);
		bool dials = vd_conf_count(vd_conf_at(conf, c, "connect"));

		any |= dials || vd_conf_count(vd_conf_at(conf, c, "accept"));
		if (dials && !vd_conf_at(conf, c, "user"))
			vd_check_warning(c, "connections.%s connects and has no `user`: gateways that ask for a name and password will refuse us",
				vd_conf_name(c));
		else if (dials && !vd_conf_at(conf, c, "password"))
			vd_check_warning(c, "connections.%s connects as %s and has no `password`", vd_conf_name(c),
				vd_conf_str(vd_conf_at(conf, c, "user")));
		if (!dials && vd_conf_count(vd_conf_at(conf, c, "accept")) && (vd_conf_at(conf, c, "peer") || vd_conf_at(conf, c, "user")))
			vd_check_warning(c, "connections.%s has a `%s`, and does not connect: it has no effect without `connect`", vd_conf_name(c),
				vd_conf_at(conf, c, "peer") ? "peer" : "user");
	}
	if (!any)
		vd_check_warning(all, "no connection accepts or connects: nobody can use this gateway");
}

/* ---- this host ---- */
static struct vd_ip ip_of(const struct sockaddr *sa)
{
	struct vd_ip ip = { .family = sa ? sa->sa_family : 0 };

	if (ip.family == AF_INET)
		memcpy(ip.a, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	else if (ip.family == AF_INET6)
		memcpy(ip.a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	else
		ip.family = 0;
	return ip;
}

static void range_of(const struct vd_conf_node *node, struct vd_ip *ret_first, struct vd_ip *ret_last)
{
	const struct vd_prefix *p = vd_conf_prefix(node);

	if (!p) {
		vd_conf_range(node, ret_first, ret_last);
		return;
	}
	*ret_first = *ret_last = p->ip;
	for (unsigned i = p->len; i < (p->ip.family == AF_INET ? 32 : 128); i++)
		ret_last->a[i / 8] |= (uint8_t)(128u >> i % 8);
}

/* Addresses of an interface's network in a pool: routes of the pool take them away from that network. */
static void against_host(const struct vd_conf_node *node, const char *pool, const char *option, const struct ifaddrs *all)
{
	char first_text[VD_IP_TEXT], last_text[VD_IP_TEXT];
	struct vd_ip first, last;

	range_of(node, &first, &last);
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct vd_ip low = ip_of(i->ifa_addr), mask = ip_of(i->ifa_netmask), high = low;

		if (!low.family || low.family != first.family || mask.family != low.family || (i->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) ||
			!(i->ifa_flags & IFF_UP) || vd_range_kind(&low, &low) == VD_IP_LINK)
			continue;
		for (size_t k = 0; k < sizeof(low.a); k++) {
			low.a[k] &= mask.a[k];
			high.a[k] = (uint8_t)(low.a[k] | (k < (low.family == AF_INET ? 4u : 16u) ? (uint8_t)~mask.a[k] : 0));
		}
		if (vd_ip_cmp(&first, &high) > 0 || vd_ip_cmp(&low, &last) > 0)
			continue;
		vd_check_warning(node, "pools.%s.%s has addresses of the network on %s (%s-%s): hosts there, a router among them, may be out of "
			"reach; give the pool a range of its own", pool, option, i->ifa_name, vd_ip_format(&low, first_text),
			vd_ip_format(&high, last_text));
		return;
	}
}

static void pools(const struct vd_conf *conf)
{
	static const char *const options[] = { "range", "prefix" };
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "pools");
	struct ifaddrs *host = NULL;

	if (!vd_conf_count(all) || getifaddrs(&host) < 0)
		return;
	for (size_t i = 0; i < vd_conf_count(all); i++)
		for (size_t o = 0; o < VD_ARRAY_SIZE(options); o++) {
			const struct vd_conf_node *list = vd_conf_at(conf, vd_conf_nth(all, i), options[o]);

			for (size_t k = 0; k < vd_conf_count(list); k++)
				against_host(vd_conf_nth(list, k), vd_conf_name(vd_conf_nth(all, i)), options[o], host);
		}
	freeifaddrs(host);
}

void vd_conf_judge_values(const struct vd_conf *conf)
{
	gateway(conf);
	connections(conf);
	pools(conf);
}
