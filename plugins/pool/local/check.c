/* Whether the pools of a configuration make sense: what the schema cannot say, and what they are to each other and to the gateway's
 * own addresses. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Each address of the list is one that a host can have. what: "a name server" */
static bool hosts(const struct vd_conf_node *list, const char *pool, const char *option, const char *what)
{
	char text[VD_IP_TEXT];
	bool good = true;

	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(list, i));
		enum vd_ip_kind kind = vd_range_kind(ip, ip);

		if (kind == VD_IP_HOST)
			continue;
		good = false;
		vd_check_error(vd_conf_nth(list, i), "pools.%s.%s: %s is %s, and cannot be %s", pool, option, vd_ip_format(ip, text),
			vd_ip_kind_name(kind), what);
	}
	return good;
}

static const struct vd_ip *listening(const struct vd_conf *conf, const struct vd_ip *first, const struct vd_ip *last)
{
	const struct vd_conf_node *list = vd_conf_at(conf, NULL, "gateway.listen");

	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(list, i));

		if (ip->family == first->family && vd_ip_cmp(first, ip) <= 0 && vd_ip_cmp(ip, last) <= 0)
			return ip;
	}
	return NULL;
}

/* The value of the configuration behind the nth range of a pool: ranges come first, then prefixes. */
static const struct vd_conf_node *value_of(const struct vd_conf *conf, const struct vd_conf_node *pool, size_t i)
{
	const struct vd_conf_node *ranges = vd_conf_at(conf, pool, "range");
	size_t n = vd_conf_count(ranges);

	return i < n ? vd_conf_nth(ranges, i) : vd_conf_nth(vd_conf_at(conf, pool, "prefix"), i - n);
}

static const char *option_of(const struct pool_range *r)
{
	return r->net ? "prefix" : "range";
}

static bool overlap(const struct pool_range *a, const struct pool_range *b)
{
	return a->first.family == b->first.family && vd_ip_cmp(&a->first, &b->last) <= 0 && vd_ip_cmp(&b->first, &a->last) <= 0;
}

static bool ranges_good(const struct vd_conf *conf, const struct vd_conf_node *node, const struct pool *pool)
{
	const struct vd_ip *ours;
	char text[VD_IP_TEXT];
	bool good = true;
	unsigned i, k;

	for (i = 0; i < pool->n_ranges; i++) {
		const struct pool_range *r = &pool->ranges[i];
		enum vd_ip_kind kind = vd_range_kind(&r->first, &r->last);

		if (kind != VD_IP_HOST) {
			good = false;
			vd_check_error(value_of(conf, node, i), "pools.%s.%s has %s, which no client can have", pool->name, option_of(r),
				vd_ip_kind_name(kind));
		} else if ((ours = listening(conf, &r->first, &r->last))) {
			good = false;
			vd_check_error(value_of(conf, node, i), "pools.%s.%s has %s, our own address in gateway.listen", pool->name, option_of(r),
				vd_ip_format(ours, text));
		}
		for (k = 0; k < i; k++)
			if (overlap(r, &pool->ranges[k])) {
				good = false;
				vd_check_error(value_of(conf, node, i), "pools.%s.%s and a range or prefix before it have addresses in common",
					pool->name, option_of(r));
				break;
			}
	}
	return good;
}

/* A pool out of which nobody gets an address is found out by the first client otherwise. */
static void usable(const struct vd_conf *conf, const struct vd_conf_node *node, const struct pool *pool)
{
	static const int families[] = { AF_INET, AF_INET6 };
	uint64_t size, leased;

	for (size_t f = 0; f < VD_ARRAY_SIZE(families); f++) {
		pool_fill(pool, families[f], false, &size, &leased);
		for (unsigned i = 0; i < pool->n_ranges && !size; i++)
			if (pool->ranges[i].first.family == families[f] && !pool->ranges[i].net) {
				vd_check_error(value_of(conf, node, i), "pools.%s has no address that a client can get: those that end in .0 or .255, and "
					"the gateway's, are never leased", pool->name);
				break;
			}
	}
}

static void gateways(const struct vd_conf *conf, const struct vd_conf_node *node, const struct pool *pool)
{
	const struct vd_conf_node *list = vd_conf_at(conf, node, "gateway");
	char text[VD_IP_TEXT];

	if (!hosts(list, pool->name, "gateway", "our address toward clients"))
		return;
	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(list, i));

		if (listening(conf, ip, ip))
			vd_check_error(vd_conf_nth(list, i), "pools.%s.gateway: %s is in gateway.listen; clients need another address of ours inside "
				"the tunnel", pool->name, vd_ip_format(ip, text));
	}
}

static bool is_domain(const char *text)
{
	size_t n = strlen(text);

	return n && text[0] != '.' && !strstr(text, "..") &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

static void search(const struct vd_conf_node *list, const char *pool)
{
	for (size_t i = 0; i < vd_conf_count(list); i++)
		if (!is_domain(vd_conf_str(vd_conf_nth(list, i))))
			vd_check_error(vd_conf_nth(list, i), "pools.%s.search: `%s` is no domain; several are a list: [a.example, b.example]", pool,
				vd_conf_str(vd_conf_nth(list, i)));
}

static void two_pools(const struct vd_conf *conf, const struct vd_conf_node *section, const struct pool *earlier, const struct pool *pool,
	size_t at)
{
	for (unsigned i = 0; i < pool->n_ranges; i++)
		for (unsigned k = 0; k < earlier->n_ranges; k++)
			if (overlap(&pool->ranges[i], &earlier->ranges[k])) {
				vd_check_error(value_of(conf, vd_conf_nth(section, at), i), "pools.%s.%s has addresses of pools.%s (%s): give each its own",
					pool->name, option_of(&pool->ranges[i]), earlier->name, earlier->origin);
				return;
			}
}

int pools_judge(struct pool **ret_v, size_t *ret_n, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *section = vd_conf_at(conf, NULL, "pools"), *node;
	size_t n = vd_conf_count(section), i, k;
	struct pool *v = calloc(n + 1, sizeof(*v));
	int ret = 0, one;

	if (!v)
		return vd_error_set(err, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		node = vd_conf_nth(section, i);
		one = pool_read(&v[i], conf, node, err);
		if (one) {
			ret = one;
			vd_check_error(node, "%s", err->text);
			v[i].n_ranges = 0;
			continue;
		}
		hosts(vd_conf_at(conf, node, "dns"), v[i].name, "dns", "a name server");
		hosts(vd_conf_at(conf, node, "wins"), v[i].name, "wins", "a name server");
		search(vd_conf_at(conf, node, "search"), v[i].name);
		gateways(conf, node, &v[i]);
		if (!ranges_good(conf, node, &v[i]))
			continue;
		usable(conf, node, &v[i]);
		for (k = 0; k < i && i < 1000; k++)
			two_pools(conf, section, &v[k], &v[i], i);
	}
	*ret_v = v;
	*ret_n = n;
	return ret;
}
