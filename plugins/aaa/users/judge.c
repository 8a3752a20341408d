/* Whether the accounts of a configuration make sense: what they are to each other, to the pools and to the gateway's own addresses.
 * Findings of a check only, since what a file says about one account does not make the others wrong. */
#include "plugins/aaa/users/users.h"

#include <string.h>
#include <sys/socket.h>

static const struct vd_conf_node *names(const struct vd_conf_node *list, const struct vd_ip *ip)
{
	for (size_t i = 0; i < vd_conf_count(list); i++)
		if (vd_ip_equal(vd_conf_ip(vd_conf_nth(list, i)), ip))
			return vd_conf_nth(list, i);
	return NULL;
}

/* Is it our address toward the clients of this pool: as written, else the first of the /24 in which the range begins? */
static bool is_gateway(const struct vd_conf *conf, const struct vd_conf_node *pool, const struct vd_ip *ip)
{
	const struct vd_conf_node *written = vd_conf_at(conf, pool, "gateway");
	struct vd_ip first, last;

	if (vd_conf_count(written))
		return names(written, ip);
	if (ip->family != AF_INET || !vd_conf_range(vd_conf_nth(vd_conf_at(conf, pool, "range"), 0), &first, &last))
		return false;
	return first.family == AF_INET && !memcmp(first.a, ip->a, 3) && ip->a[3] == 1;
}

static void address(const struct vd_conf *conf, const struct vd_conf_node *user, const struct vd_conf_node *node)
{
	const struct vd_conf_node *pools = vd_conf_at(conf, NULL, "pools");
	const struct vd_ip *ip = vd_conf_ip(node);
	const char *name = vd_conf_name(user);
	enum vd_ip_kind kind;
	char text[VD_IP_TEXT];

	if (!ip)
		return;
	kind = vd_range_kind(ip, ip);
	vd_ip_format(ip, text);
	if (kind != VD_IP_HOST) {
		vd_check_error(node, "%s.address: %s is %s, which no client can have", name, text, vd_ip_kind_name(kind));
		return;
	}
	if (ip->family == AF_INET && (ip->a[3] == 0 || ip->a[3] == 255))
		vd_check_error(node, "%s.address: %s ends in .%u, which clients take for a network or all of its hosts", name, text, ip->a[3]);
	if (names(vd_conf_at(conf, NULL, "gateway.listen"), ip))
		vd_check_error(node, "%s.address: %s is our own address in gateway.listen", name, text);
	for (size_t i = 0; i < vd_conf_count(pools); i++)
		if (is_gateway(conf, vd_conf_nth(pools, i), ip))
			vd_check_error(node, "%s.address: %s is our own address toward the clients of pools.%s", name, text,
				vd_conf_name(vd_conf_nth(pools, i)));
}

static void prefixes(const struct vd_conf_node *user, const struct vd_conf_node *node, const char *option)
{
	char text[VD_IP_TEXT];

	for (size_t i = 0; i < (vd_conf_prefix(node) && !vd_conf_count(node) ? 1 : vd_conf_count(node)); i++) {
		const struct vd_conf_node *one = vd_conf_count(node) ? vd_conf_nth(node, i) : node;
		const struct vd_prefix *p = vd_conf_prefix(one);
		enum vd_ip_kind kind = p ? vd_range_kind(&p->ip, &p->ip) : VD_IP_HOST;

		if (p && kind != VD_IP_HOST && p->len)
			vd_check_error(one, "%s.%s: %s has %s, and leads nowhere", vd_conf_name(user), option, vd_prefix_format(p, text),
				vd_ip_kind_name(kind));
	}
}

static void account(const struct vd_conf *conf, const struct vd_conf *own, const struct vd_conf_node *user)
{
	const struct vd_conf_node *pool = vd_conf_at(own, user, "pool"), *pools = vd_conf_at(conf, NULL, "pools");
	uint64_t session = vd_conf_uint(vd_conf_at(own, user, "session_timeout"));
	const struct vd_conf_node *idle = vd_conf_at(own, user, "idle_timeout");

	address(conf, user, vd_conf_at(own, user, "address"));
	prefixes(user, vd_conf_at(own, user, "prefix"), "prefix");
	prefixes(user, vd_conf_at(own, user, "routes_behind"), "routes_behind");
	if (pool && (!pools || !vd_conf_child(pools, vd_conf_str(pool))))
		vd_check_error(pool, "%s.pool: there is no `%s` in pools", vd_conf_name(user), vd_conf_str(pool));
	if (session && vd_conf_uint(idle) >= session)
		vd_check_warning(idle, "%s.idle_timeout has no effect: session_timeout is not longer", vd_conf_name(user));
}

/* Do both stand in one realm? The realm's name, or NULL. */
static const char *one_realm(const struct vd_conf *conf, const char *a, const char *b)
{
	const struct vd_conf_node *realms = vd_conf_at(conf, NULL, "realms");

	for (size_t i = 0; i < vd_conf_count(realms); i++) {
		const struct vd_conf_node *list = vd_conf_at(conf, vd_conf_nth(realms, i), "authenticate");
		unsigned seen = 0;

		for (size_t k = 0; k < vd_conf_count(list); k++) {
			const char *who = vd_conf_str(vd_conf_nth(list, k));

			if (!strncmp(who, "users/", 6))
				seen |= !strcmp(who + 6, a) ? 1u : !strcmp(who + 6, b) ? 2u : 0;
		}
		if (seen == 3)
			return vd_conf_name(vd_conf_nth(realms, i));
	}
	return NULL;
}

static void twice(const struct vd_conf *conf, const struct users_file *earlier, const struct users_file *file)
{
	const struct vd_conf_node *before = vd_conf_at(earlier->conf, NULL, ""), *root = vd_conf_at(file->conf, NULL, ""), *other;
	const char *realm = one_realm(conf, earlier->name, file->name);
	char at[128];

	for (size_t i = 0; realm && i < vd_conf_count(root); i++)
		if ((other = vd_conf_child(before, vd_conf_name(vd_conf_nth(root, i)))))
			vd_check_warning(vd_conf_nth(root, i), "%s is in users.%s as well (%s): realms.%s takes the account of the file that it names "
				"first", vd_conf_name(other), earlier->name, vd_conf_origin(other, at, sizeof(at)), realm);
}

void users_judge(const struct vd_conf *conf, const struct users_file *files, size_t n, const struct vd_conf_node *where)
{
	const struct users_file *file = &files[n - 1];
	const struct vd_conf_node *root = vd_conf_at(file->conf, NULL, "");

	if (!vd_conf_count(root))
		vd_check_warning(where, "users.%s.file: %s has no accounts", file->name, file->path);
	for (size_t i = 0; i < vd_conf_count(root); i++)
		account(conf, file->conf, vd_conf_nth(root, i));
	for (size_t k = 0; k + 1 < n; k++)
		if (files[k].conf)
			twice(conf, &files[k], file);
}
