/* net_nat: clients of connections with "egress: masquerade" go out with the gateway's address. One nftables table of
 * our own, replaced as a whole in one transaction whenever pools or the configuration change. (No chain of ours could
 * let a packet through that another table drops: a host firewall has to allow forwarding for these ranges itself.) */
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>
#include <viaduct/topics.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "inet viaduct"
#define RULE_MAX 256

struct nat_pool {
	struct nat_pool *next;
	struct vd_pool_up facts;
	bool masqueraded;
};

struct nat {
	const struct vd_priv_1 *priv;
	struct nat_pool *pools;
	bool started;
};

static void on_done(void *arg, const struct vd_error *err)
{
	(void)arg;
	if (err)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "%s", err->text);
}

static void run(struct nat *n, const char *commands)
{
	int ret = n->priv->nft_table(n->priv->self, TABLE, commands, on_done, n);

	if (ret < 0)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot change nftables: %s", strerror(-ret));
}

/* egress, or for IPv6 what egress6 says in its place. */
static bool masquerades(const struct vd_conf *conf, const struct vd_conf_node *connection, bool v6)
{
	const char *egress6 = vd_conf_str(vd_conf_at(conf, connection, "egress6"));
	const char *egress = v6 && egress6 ? egress6 : vd_conf_str(vd_conf_at(conf, connection, "egress"));

	return egress && strcmp(egress, "masquerade") == 0;
}

/* Does a connection that masquerades give addresses of this pool? What no connection gives any more is as it was:
 * there may be sessions that have such an address. */
static bool masqueraded(const struct nat_pool *pool)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *connections = vd_conf_at(conf, NULL, "connections");
	bool named = false;

	for (size_t i = 0; i < vd_conf_count(connections); i++) {
		const struct vd_conf_node *connection = vd_conf_nth(connections, i);
		const char *its = vd_conf_str(vd_conf_at(conf, connection, "pool"));

		if (!its || strcmp(its, pool->facts.pool) != 0)
			continue;
		if (masquerades(conf, connection, pool->facts.first.family == AF_INET6))
			return true;
		named = true;
	}
	return !named && pool->masqueraded;
}

static size_t add(char *out, size_t size, size_t len, const struct vd_pool_up *pool, const char *field,
	const char *verdict)
{
	char first[VD_IP_TEXT], last[VD_IP_TEXT];

	return len + vd_format(out + len, size - len, "add rule " TABLE " postrouting %s %s %s-%s %s\n",
		pool->first.family == AF_INET ? "ip" : "ip6", field, vd_ip_format(&pool->first, first),
		vd_ip_format(&pool->last, last), verdict);
}

/* Networks behind clients are reached through our device like the clients themselves: nothing is translated there. The
 * device's name has a number that the kernel chooses, so all with its beginning are meant. */
static size_t add_device(char *out, size_t size, size_t len)
{
	static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "tun.name"));
	size_t n = name ? strspn(name, usual) : 0;

	if (n == 0 || (name[n] != '\0' && name[n] != '%')) {
		if (name)
			vd_log(VD_LOG_WARNING, "net_nat", NULL, "tun.name %s cannot be used in a rule: what goes to networks behind clients "
				"is masqueraded as well", name);
		return len;
	}
	return len + vd_format(out + len, size - len, "add rule " TABLE " postrouting oifname \"%.*s%s\" return\n", (int)n, name,
		name[n] ? "*" : "");
}

static void forwarding(struct nat *n, const char *name)
{
	int ret = n->priv->sysctl(n->priv->self, name, "1", on_done, n);

	if (ret < 0)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot switch %s on: %s", name, strerror(-ret));
}

static void apply(struct nat *n)
{
	bool any = false, v6 = false, v4 = false;
	size_t pools = 0, size, len;
	char *text;

	if (!n->started)
		return;
	for (const struct nat_pool *p = n->pools; p; p = p->next)
		pools++;
	size = (2 * pools + 4) * RULE_MAX;
	text = malloc(size);
	if (!text) {
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot change nftables: out of memory");
		return;
	}
	len = vd_format(text, size, "add chain " TABLE " postrouting { type nat hook postrouting priority srcnat; policy accept; }\n");
	len = add_device(text, size, len);
	for (const struct nat_pool *p = n->pools; p; p = p->next) /* between clients nothing is translated */
		len = add(text, size, len, &p->facts, "daddr", "return");
	for (struct nat_pool *p = n->pools; p; p = p->next) {
		p->masqueraded = masqueraded(p);
		if (!p->masqueraded)
			continue;
		len = add(text, size, len, &p->facts, "saddr", "masquerade");
		any = true;
		v4 |= p->facts.first.family == AF_INET;
		v6 |= p->facts.first.family == AF_INET6;
	}
	if (v4)
		forwarding(n, "net/ipv4/ip_forward");
	if (v6)
		forwarding(n, "net/ipv6/conf/all/forwarding");
	run(n, any ? text : NULL);
	free(text);
}

static void on_pool_up(void *arg, const void *event)
{
	struct nat *n = arg;
	struct nat_pool *p = calloc(1, sizeof(*p));

	if (!p) {
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "out of memory: a pool is not masqueraded");
		return;
	}
	p->facts = *(const struct vd_pool_up *)event;
	p->next = n->pools;
	n->pools = p;
	apply(n);
}

static void on_pool_down(void *arg, const void *event)
{
	const struct vd_pool_down *down = event;
	struct nat *n = arg;

	for (struct nat_pool **at = &n->pools; *at; at = &(*at)->next) {
		struct nat_pool *p = *at;

		if (strcmp(p->facts.pool, down->pool) != 0 || !vd_ip_equal(&p->facts.first, &down->first) ||
			!vd_ip_equal(&p->facts.last, &down->last) || !vd_ip_equal(&p->facts.gateway, &down->gateway))
			continue;
		*at = p->next;
		free(p);
		apply(n);
		return;
	}
}

static int nat_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct nat *n = calloc(1, sizeof(*n));
	int ret = -ENOMEM;

	if (n) {
		n->priv = vd_service_find("priv/1", NULL);
		ret = n->priv ? 0 : -ENOENT;
	}
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_up", on_pool_up, n);
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_down", on_pool_down, n);
	if (ret < 0) {
		free(n);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	*ret_self = n;
	return 0;
}

/* Also removes what a run that crashed left behind. */
static int nat_start(void *self, struct vd_error *err)
{
	struct nat *n = self;

	(void)err;
	n->started = true;
	apply(n);
	return 0;
}

static void nat_reload(void *self)
{
	apply(self);
}

static void nat_stop(void *self)
{
	struct nat *n = self;

	n->started = false;
	run(n, NULL);
}

static void nat_fini(void *self)
{
	struct nat *n = self;

	while (n->pools) {
		struct nat_pool *p = n->pools;

		n->pools = p->next;
		free(p);
	}
	free(n);
}

static const struct vd_opt schema[] = {
	{ "connections.*.egress", VD_T_WORD, VD_OPT_LIVE, "none", "none|masquerade",
		"How clients reach other networks: with their own addresses, or masqueraded behind the gateway's." },
	{ "connections.*.egress6", VD_T_WORD, VD_OPT_LIVE, NULL, "none|masquerade",
		"The same for IPv6 where that is another way: none for a prefix that is routed to us; without it as egress." },
	{ NULL },
};
static const char *const needs[] = { "priv/1", NULL };

VD_PLUGIN(net_nat, .version = "1.0", .license = "MIT", .summary = "masquerading of clients by nftables", .needs = needs,
	.schema = schema, .init = nat_init, .start = nat_start, .reload = nat_reload, .stop = nat_stop, .fini = nat_fini);
