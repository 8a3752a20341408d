/* One pool: its ranges and which of their addresses are free. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static unsigned octets(const struct vd_ip *ip)
{
	return ip->family == AF_INET ? 4 : 16;
}

/* Octets that tell one lease of the range from another. */
static unsigned counted(const struct pool_range *r)
{
	return r->net ? 8 : octets(&r->first);
}

/* How far ip is behind the range's first, UINT32_MAX when farther than that. Same family, first <= ip. */
static uint32_t offset(const struct pool_range *r, const struct vd_ip *ip)
{
	const struct vd_ip *first = &r->first;
	unsigned n = counted(r), i, borrow = 0;
	uint8_t d[16];
	uint32_t v;

	for (i = n; i-- > 0;) {
		unsigned x = (unsigned)ip->a[i] - first->a[i] - borrow;

		d[i] = (uint8_t)x;
		borrow = x >> 8 & 1;
	}
	for (i = 0; i + 4 < n; i++)
		if (d[i])
			return UINT32_MAX;
	v = (uint32_t)d[n - 4] << 24 | (uint32_t)d[n - 3] << 16 | (uint32_t)d[n - 2] << 8 | d[n - 1];
	return v;
}

static struct vd_ip at_offset(const struct pool_range *r, uint32_t off)
{
	struct vd_ip ip = r->first;
	unsigned i, carry = 0;

	for (i = counted(r); i-- > 0 && (off || carry);) {
		unsigned x = ip.a[i] + (off & 255) + carry;

		ip.a[i] = (uint8_t)x;
		carry = x >> 8;
		off >>= 8;
	}
	return ip;
}

const struct vd_ip *pool_gateway(const struct pool *pool, int family)
{
	return &pool->gateways[family == AF_INET6];
}

bool pool_is_net(const struct vd_ip *ip)
{
	static const uint8_t zero[8];

	return ip->family == AF_INET6 && !memcmp(ip->a + 8, zero, sizeof(zero));
}

bool pool_unusable(const struct pool *pool, const struct vd_ip *ip)
{
	const struct vd_ip *gateway = pool_gateway(pool, ip->family);

	if (vd_ip_equal(ip, gateway))
		return true;
	if (ip->family == AF_INET)
		return ip->a[3] == 0 || ip->a[3] == 255;
	return pool_is_net(ip) && gateway->family && !memcmp(ip->a, gateway->a, 8);
}

static const struct pool_range *range_of(const struct pool *pool, const struct vd_ip *ip, uint32_t *ret_offset)
{
	unsigned i;

	for (i = 0; i < pool->n_ranges; i++) {
		const struct pool_range *r = &pool->ranges[i];

		if (r->first.family != ip->family || r->net != pool_is_net(ip) || vd_ip_cmp(ip, &r->first) < 0 ||
			vd_ip_cmp(ip, &r->last) > 0)
			continue;
		*ret_offset = offset(r, ip);
		return r;
	}
	return NULL;
}

bool pool_has(const struct pool *pool, const struct vd_ip *ip)
{
	uint32_t off;

	return range_of(pool, ip, &off) != NULL;
}

/* The page with what is never leased already marked. NULL when out of memory. */
static struct pool_page *page_of(const struct pool *pool, struct pool_range *r, uint32_t off)
{
	uint32_t n = off / POOL_PAGE, i;
	struct pool_page *page;
	struct vd_ip ip;

	if (!r->pages)
		r->pages = calloc(r->n_pages, sizeof(*r->pages));
	if (!r->pages || r->pages[n])
		return r->pages ? r->pages[n] : NULL;
	page = r->pages[n] = calloc(1, sizeof(*page));
	for (i = 0; page && i < POOL_PAGE; i++) {
		if (n * POOL_PAGE + i < r->size) {
			ip = at_offset(r, n * POOL_PAGE + i);
			if (r->net == pool_is_net(&ip) && !pool_unusable(pool, &ip))
				continue;
		}
		page->bits[i / 64] |= 1ull << i % 64;
		page->used++;
	}
	return page;
}

int pool_mark(struct pool *pool, const struct vd_ip *ip, bool leased)
{
	struct pool_page *page;
	struct pool_range *r;
	uint32_t off;
	uint64_t bit;

	r = (struct pool_range *)range_of(pool, ip, &off);
	if (!r || off >= r->size || pool_unusable(pool, ip))
		return 0;
	page = page_of(pool, r, off);
	if (!page)
		return -ENOMEM;
	bit = 1ull << off % 64;
	if (!(page->bits[off % POOL_PAGE / 64] & bit) == !leased)
		return 0;
	page->bits[off % POOL_PAGE / 64] ^= bit;
	page->used += leased ? 1 : -1u;
	r->leased += leased ? 1 : -1u;
	return 0;
}

bool pool_is_free(const struct pool *pool, const struct vd_ip *ip)
{
	const struct pool_page *page;
	const struct pool_range *r;
	uint32_t off;

	r = range_of(pool, ip, &off);
	if (!r || off >= r->size || pool_unusable(pool, ip))
		return false;
	page = r->pages ? r->pages[off / POOL_PAGE] : NULL;
	return !page || !(page->bits[off % POOL_PAGE / 64] >> off % 64 & 1);
}

/* A clear bit of the page at or behind from; POOL_PAGE when there is none. */
static uint32_t clear_bit(const struct pool_page *page, uint32_t from)
{
	uint32_t w = from / 64;
	uint64_t word = ~page->bits[w] & ~0ull << from % 64;

	while (!word && ++w < POOL_PAGE / 64)
		word = ~page->bits[w];
	return word ? w * 64 + (uint32_t)__builtin_ctzll(word) : POOL_PAGE;
}

static int take_in(struct pool *pool, struct pool_range *r, struct vd_ip *ret_ip)
{
	uint32_t n = r->cursor / POOL_PAGE, from = r->cursor % POOL_PAGE, i, bit;
	struct pool_page *page;

	/* One round over the pages; the first is looked at again in the end, before its cursor. */
	for (i = 0; i <= r->n_pages; i++, n = (n + 1) % r->n_pages, from = 0) {
		page = page_of(pool, r, n * POOL_PAGE);
		if (!page)
			return -ENOMEM;
		bit = page->used < POOL_PAGE ? clear_bit(page, from) : POOL_PAGE;
		if (bit == POOL_PAGE)
			continue;
		*ret_ip = at_offset(r, n * POOL_PAGE + bit);
		r->cursor = (n * POOL_PAGE + bit + 1) % r->size;
		return pool_mark(pool, ret_ip, true);
	}
	return -ENOSPC;
}

int pool_take(struct pool *pool, int family, bool net, struct vd_ip *ret_ip)
{
	int err = -EAFNOSUPPORT;
	unsigned i;

	for (i = 0; i < pool->n_ranges; i++) {
		if (pool->ranges[i].first.family != family || pool->ranges[i].net != net)
			continue;
		err = take_in(pool, &pool->ranges[i], ret_ip);
		if (err != -ENOSPC)
			break;
	}
	return err;
}

/* Numbers up to and including x that leave this rest when divided by 256. */
static uint64_t ending(uint64_t x, unsigned rest)
{
	return x < rest ? 0 : (x - rest) / 256 + 1;
}

void pool_fill(const struct pool *pool, int family, bool net, uint64_t *ret_size, uint64_t *ret_leased)
{
	const struct pool_range *r;
	struct vd_ip gateway;
	uint32_t off, a;
	uint64_t b;

	*ret_size = *ret_leased = 0;
	for (r = pool->ranges; r < pool->ranges + pool->n_ranges; r++) {
		if (r->first.family != family || r->net != net)
			continue;
		*ret_size += r->size;
		*ret_leased += r->leased;
		if (family == AF_INET) {
			a = vd_ip_u32(&r->first);
			b = (uint64_t)a + r->size - 1;
			*ret_size -= ending(b, 0) + ending(b, 255) - (a ? ending(a - 1, 0) + ending(a - 1, 255) : 0);
		}
		gateway = *pool_gateway(pool, family);
		if (net)
			memset(gateway.a + 8, 0, 8);
		if (range_of(pool, &gateway, &off) == r && off < r->size && (family == AF_INET6 || gateway.a[3] % 255))
			--*ret_size;
	}
}

static size_t addresses(const struct vd_conf_node *list, struct vd_ip *room, size_t max)
{
	size_t i, n = vd_conf_count(list);

	for (i = 0; i < n && i < max; i++)
		room[i] = *vd_conf_ip(vd_conf_nth(list, i));
	return n;
}

/* Where nobody says it: host 1 of the network of the family's first address (/24, or /64 in IPv6). */
static struct vd_ip default_gateway(const struct pool *pool, int family)
{
	struct vd_ip ip = { 0 };
	unsigned i;

	for (i = 0; i < pool->n_ranges && !ip.family; i++)
		if (pool->ranges[i].first.family == family)
			ip = pool->ranges[i].first;
	if (!ip.family)
		return ip;
	if (family == AF_INET6)
		memset(ip.a + 8, 0, 8);
	ip.a[octets(&ip) - 1] = 1;
	return ip;
}

static int read_gateways(struct pool *pool, const struct vd_conf_node *list, struct vd_error *err)
{
	bool given[2] = { false, false };
	size_t i;

	pool->gateways[0] = default_gateway(pool, AF_INET);
	pool->gateways[1] = default_gateway(pool, AF_INET6);
	for (i = 0; i < vd_conf_count(list); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(list, i));
		bool v6 = ip->family == AF_INET6;

		if (given[v6])
			return vd_error_set(err, -EINVAL, "pools.%s.gateway: one for IPv4 and one for IPv6 are possible", pool->name);
		if (!pool->gateways[v6].family)
			return vd_error_set(err, -EINVAL, "pools.%s.gateway: the pool has no IPv%d range", pool->name,
				v6 ? 6 : 4);
		given[v6] = true;
		pool->gateways[v6] = *ip;
	}
	return 0;
}

static void add_range(struct pool *pool, const struct vd_ip *first, const struct vd_ip *last, bool net)
{
	struct pool_range *r = &pool->ranges[pool->n_ranges++];
	uint32_t span;

	r->first = *first;
	r->last = *last;
	r->net = net;
	span = offset(r, &r->last);
	r->size = span >= POOL_RANGE_MAX ? POOL_RANGE_MAX : span + 1;
	r->n_pages = (r->size + POOL_PAGE - 1) / POOL_PAGE;
}

/* Networks are cut from prefixes; an address of a range must not lie in a network that somebody gets whole. */
static int add_prefix(struct pool *pool, const struct vd_prefix *prefix, struct vd_error *err)
{
	struct vd_ip last = prefix->ip;
	char text[VD_IP_TEXT];
	unsigned i;

	vd_prefix_format(prefix, text);
	if (prefix->ip.family != AF_INET6 || prefix->len < 16 || prefix->len > 64)
		return vd_error_set(err, -EINVAL, "pools.%s.prefix: %s is not an IPv6 prefix of 16 to 64 bits", pool->name, text);
	for (i = prefix->len; i < 128; i++)
		last.a[i / 8] |= (uint8_t)(128u >> i % 8);
	for (i = 0; i < pool->n_ranges; i++)
		if (pool->ranges[i].first.family == AF_INET6 && vd_ip_cmp(&pool->ranges[i].first, &last) <= 0 &&
			vd_ip_cmp(&prefix->ip, &pool->ranges[i].last) <= 0)
			return vd_error_set(err, -EINVAL, "pools.%s.prefix: %s and a range or prefix before it have addresses in "
				"common", pool->name, text);
	add_range(pool, &prefix->ip, &last, true);
	return 0;
}

/* Without a network for a client a prefix is an error that nobody would see before the first of them calls. */
static int check_prefixes(const struct pool *pool, struct vd_error *err)
{
	uint64_t size, leased;

	pool_fill(pool, AF_INET6, true, &size, &leased);
	for (unsigned i = 0; i < pool->n_ranges && !size; i++)
		if (pool->ranges[i].net)
			return vd_error_set(err, -EINVAL, "pools.%s.prefix: the only network of 64 bits in it has our own address; "
				"give a shorter prefix, or another gateway", pool->name);
	return 0;
}

int pool_read(struct pool *pool, const struct vd_conf *conf, const struct vd_conf_node *node, struct vd_error *err)
{
	const struct vd_conf_node *ranges = vd_conf_at(conf, node, "range"), *prefixes = vd_conf_at(conf, node, "prefix");
	const struct vd_conf_node *list;
	size_t i, n, len = 0;
	int ret;

	memset(pool, 0, sizeof(*pool));
	vd_strcpy(pool->name, sizeof(pool->name), vd_conf_name(node));
	vd_conf_origin(node, pool->origin, sizeof(pool->origin));
	n = vd_conf_count(ranges) + vd_conf_count(prefixes);
	if (!n || n > POOL_RANGES)
		return vd_error_set(err, -EINVAL, "pools.%s: one to %u ranges and prefixes are possible", pool->name,
			POOL_RANGES);
	for (i = 0; i < vd_conf_count(ranges); i++) {
		struct vd_ip first, last;

		vd_conf_range(vd_conf_nth(ranges, i), &first, &last);
		add_range(pool, &first, &last, false);
	}
	for (i = 0, ret = 0; i < vd_conf_count(prefixes) && !ret; i++)
		ret = add_prefix(pool, vd_conf_prefix(vd_conf_nth(prefixes, i)), err);
	if (!ret)
		ret = read_gateways(pool, vd_conf_at(conf, node, "gateway"), err);
	if (!ret)
		ret = check_prefixes(pool, err);
	if (ret)
		return ret;
	if (addresses(vd_conf_at(conf, node, "dns"), pool->facts.dns, VD_ARRAY_SIZE(pool->facts.dns)) > 3 ||
		addresses(vd_conf_at(conf, node, "wins"), pool->facts.wins, VD_ARRAY_SIZE(pool->facts.wins)) > 2)
		return vd_error_set(err, -EINVAL, "pools.%s: at most 3 dns and 2 wins", pool->name);
	list = vd_conf_at(conf, node, "search");
	for (i = 0; i < vd_conf_count(list); i++) {
		const char *domain = vd_conf_str(vd_conf_nth(list, i));

		if (len + strlen(domain) + 2 > sizeof(pool->facts.search))
			return vd_error_set(err, -EINVAL, "pools.%s.search is longer than 126 octets", pool->name);
		len += vd_format(pool->facts.search + len, sizeof(pool->facts.search) - len, "%s%s", i ? " " : "", domain);
	}
	return 0;
}

void pool_clear(struct pool *pool)
{
	uint32_t i, k;

	for (i = 0; i < pool->n_ranges; i++) {
		for (k = 0; pool->ranges[i].pages && k < pool->ranges[i].n_pages; k++)
			free(pool->ranges[i].pages[k]);
		free(pool->ranges[i].pages);
	}
	memset(pool, 0, sizeof(*pool));
}

bool pool_same(const struct pool *a, const struct pool *b)
{
	unsigned i;

	if (a->n_ranges != b->n_ranges || !vd_ip_equal(&a->gateways[0], &b->gateways[0]) ||
		!vd_ip_equal(&a->gateways[1], &b->gateways[1]))
		return false;
	for (i = 0; i < a->n_ranges; i++)
		if (!vd_ip_equal(&a->ranges[i].first, &b->ranges[i].first) || a->ranges[i].net != b->ranges[i].net ||
			!vd_ip_equal(&a->ranges[i].last, &b->ranges[i].last))
			return false;
	return true;
}
