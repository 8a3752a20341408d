/* net_nat: clients of connections with "egress: masquerade" go out with the gateway's address, and reach what their connection
 * names in `reach`. One nftables table of our own, replaced as a whole in one transaction whenever pools, the configuration, or
 * addresses outside of pools change. (No chain of ours could let a packet through that another table drops: a host firewall has
 * to allow forwarding for these ranges itself.) */
#include "plugins/net/nat/nat.h"

#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/problem.h>
#include <viaduct/session.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "inet viaduct"

static void apply(struct nat *n);

static void on_plain(void *arg, const struct vd_error *err)
{
	(void)arg;
	if (err)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "%s", err->text);
}

static void on_done(void *arg, const struct vd_error *err)
{
	struct nat *n = arg;

	n->busy = false;
	on_plain(n, err);
	if (err)
		vd_problem_set("net_nat/table", "clients are not masqueraded, and what they reach is not limited: %s", err->text);
	else
		vd_problem_clear("net_nat/table");
	if (n->again)
		apply(n);
}

static void run(struct nat *n, const char *commands)
{
	int ret = n->priv->nft_table(n->priv->self, TABLE, commands, on_done, n);

	n->busy = ret >= 0;
	if (ret < 0)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot change nftables: %s", strerror(-ret));
}

static void forwarding(struct nat *n, const char *name)
{
	int ret = n->priv->sysctl(n->priv->self, name, "1", on_plain, n);

	if (ret < 0)
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot switch %s on: %s", name, strerror(-ret));
}

/* While one transaction is under way the next one waits, so that many sessions make few of them. */
static void apply(struct nat *n)
{
	bool any;
	char *text;

	n->again = n->busy;
	if (!n->started || n->busy)
		return;
	text = nat_rules(n, TABLE, &any);
	if (!text) {
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "cannot change nftables: out of memory");
		return;
	}
	for (const struct nat_source *s = n->sources; s; s = s->next)
		if (s->masqueraded)
			forwarding(n, s->pool.first.family == AF_INET ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding");
	run(n, any ? text : NULL);
	free(text);
}

/* ---- sources ---- */
static bool knows(const struct nat_source *s, const char *connection)
{
	for (size_t i = 0; i < s->n_connections; i++)
		if (strcmp(s->connections[i], connection) == 0)
			return true;
	return false;
}

static void learn(struct nat_source *s, const char *connection)
{
	if (!knows(s, connection) && s->n_connections < NAT_CONNECTIONS)
		vd_strcpy(s->connections[s->n_connections++], VD_NAME_MAX, connection);
}

/* The connections that give addresses of it, by the configuration. */
static void name_connections(struct nat_source *s)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections");

	s->n_connections = 0;
	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const char *pool = vd_conf_str(vd_conf_at(conf, vd_conf_nth(all, i), "pool"));

		if (!pool || strcmp(pool, s->pool.pool) != 0)
			continue;
		if (s->n_connections == NAT_CONNECTIONS)
			vd_log(VD_LOG_WARNING, "net_nat", NULL, "more than %d connections give addresses of pool %s: what the others may reach is not "
				"looked at; give each a pool of its own", NAT_CONNECTIONS, pool);
		learn(s, vd_conf_name(vd_conf_nth(all, i)));
	}
}

static struct nat_source *source_new(struct nat *n)
{
	struct nat_source *s = calloc(1, sizeof(*s));

	if (!s) {
		vd_log(VD_LOG_ERROR, "net_nat", NULL, "out of memory: some clients are not masqueraded and reach nothing");
		return NULL;
	}
	s->next = n->sources;
	n->sources = s;
	return s;
}

static void on_pool_up(void *arg, const void *event)
{
	struct nat *n = arg;
	struct nat_source *s = source_new(n);

	if (!s)
		return;
	s->pool = *(const struct vd_pool_up *)event;
	name_connections(s);
	apply(n);
}

static void on_pool_down(void *arg, const void *event)
{
	const struct vd_pool_down *down = event;
	struct nat *n = arg;

	for (struct nat_source **at = &n->sources; *at; at = &(*at)->next) {
		struct nat_source *s = *at;

		if (strcmp(s->pool.pool, down->pool) != 0 || !vd_ip_equal(&s->pool.first, &down->first) ||
			!vd_ip_equal(&s->pool.last, &down->last) || !vd_ip_equal(&s->pool.gateway, &down->gateway))
			continue;
		*at = s->next;
		free(s);
		apply(n);
		return;
	}
}

static struct nat_source *pool_of(const struct nat *n, const struct vd_ip *ip)
{
	for (struct nat_source *s = n->sources; s; s = s->next)
		if (s->pool.pool[0] && s->pool.first.family == ip->family && vd_ip_cmp(ip, &s->pool.first) >= 0 &&
			vd_ip_cmp(ip, &s->pool.last) <= 0)
			return s;
	return NULL;
}

static struct nat_source *session_of(struct nat *n, uint64_t session, const char *connection, bool make)
{
	struct nat_source *s = n->sources;

	while (s && s->session != session)
		s = s->next;
	if (!s && make && (s = source_new(n))) {
		s->session = session;
		learn(s, connection);
	}
	return s;
}

static bool add(struct nat_source *s, const struct vd_prefix *p, bool behind)
{
	for (size_t i = 0; s && i < s->n_prefixes; i++)
		if (s->prefixes[i].len == p->len && vd_ip_equal(&s->prefixes[i].ip, &p->ip))
			return false;
	if (!s || s->n_prefixes == NAT_PREFIXES)
		return false;
	s->behind[s->n_prefixes] = behind;
	s->prefixes[s->n_prefixes++] = *p;
	return true;
}

/* An address of a session, or a network. What its connection gives from its own pool is that pool's. All else is the session's own,
 * also an address in the pool of another connection: what one client reaches must not change for the others of that pool. Returns
 * whether the rules change. */
static bool belongs(struct nat *n, uint64_t session, const char *connection, const struct vd_prefix *p)
{
	const struct nat_source *s = pool_of(n, &p->ip);

	return (!s || !knows(s, connection)) && add(session_of(n, session, connection, true), p, false);
}

static void on_session_up(void *arg, const void *event)
{
	const struct vd_session_up *e = event;
	const struct vd_session *session = vd_session_find(e->session);
	struct vd_prefix p = { e->address, 32 };
	struct nat *n = arg;
	struct nat_source *s;
	bool changed = false;

	if (e->dialled && (s = session_of(n, e->session, e->connection, true))) {
		s->dialled = true;
		add(s, &p, false);
		apply(n);
		return;
	}
	if (e->dialled)
		return;
	if (e->address.family)
		changed = belongs(n, e->session, e->connection, &p);
	for (size_t i = 0; session && i < VD_ARRAY_SIZE(session->granted.routes_behind); i++) {
		p = session->granted.routes_behind[i];
		if (p.ip.family)
			changed |= add(session_of(n, e->session, e->connection, true), &p, true);
	}
	if (changed)
		apply(n);
}

static void on_session_ipv6(void *arg, const void *event)
{
	const struct vd_session_ipv6 *e = event;
	const struct vd_session *session = vd_session_find(e->session);
	struct nat *n = arg;

	if (e->up && session && e->network.ip.family && belongs(n, e->session, session->connection, &e->network))
		apply(n);
}

static void on_session_gone(void *arg, const void *event)
{
	const struct vd_session_gone *e = event;
	struct nat *n = arg;

	for (struct nat_source **at = &n->sources; *at; at = &(*at)->next) {
		struct nat_source *s = *at;

		if (s->session != e->session)
			continue;
		*at = s->next;
		free(s);
		apply(n);
		return;
	}
}

/* ---- life ---- */
/* The interfaces of the host, where nothing is forwarded by now: they are to stay apart when we switch that on. */
static void look_at_host(struct nat *n)
{
	static const char *const switches[] = { "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding" };
	struct if_nameindex *all = if_nameindex();

	for (size_t v = 0; v < VD_ARRAY_SIZE(switches) && all; v++) {
		FILE *f = fopen(switches[v], "re");
		int value = f ? fgetc(f) : '1';

		if (f)
			fclose(f);
		for (size_t i = 0; value == '0' && all[i].if_index && n->n_others[v] < NAT_OTHERS; i++)
			if (strcmp(all[i].if_name, "lo") != 0 && !strchr(all[i].if_name, '"'))
				vd_strcpy(n->others[v][n->n_others[v]++], sizeof(n->others[v][0]), all[i].if_name);
	}
	if_freenameindex(all);
}

static int nat_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	static const struct {
		const char *topic;
		void (*fn)(void *arg, const void *event);
	} heard[] = {
		{ "pool_up", on_pool_up }, { "pool_down", on_pool_down }, { "session_up", on_session_up },
		{ "session_ipv6", on_session_ipv6 }, { "session_gone", on_session_gone },
	};
	struct nat *n = calloc(1, sizeof(*n));
	int ret = -ENOMEM;

	if (n) {
		n->host = host;
		n->priv = vd_service_find("priv/1", NULL);
		ret = n->priv ? 0 : -ENOENT;
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(heard) && ret >= 0; i++)
		ret = vd_event_subscribe(host, heard[i].topic, heard[i].fn, n);
	if (ret < 0) {
		free(n);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	look_at_host(n);
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
	struct nat *n = self;

	for (struct nat_source *s = n->sources; s; s = s->next)
		if (s->pool.pool[0])
			name_connections(s);
	apply(n);
}

static void nat_stop(void *self)
{
	struct nat *n = self;

	n->started = n->again = false;
	run(n, NULL);
}

static void nat_fini(void *self)
{
	struct nat *n = self;

	while (n->sources) {
		struct nat_source *s = n->sources;

		n->sources = s->next;
		free(s);
	}
	vd_problem_clear("net_nat/table");
	free(n);
}

static const struct vd_opt schema[] = {
	{ "connections.*.egress", VD_T_WORD, VD_OPT_LIVE, "none", "none|masquerade",
		"How clients reach other networks: with their own addresses, or masqueraded behind the gateway's." },
	{ "connections.*.egress6", VD_T_WORD, VD_OPT_LIVE, NULL, "none|masquerade",
		"The same for IPv6 where that is another way: none for a prefix that is routed to us; without it as egress." },
	{ "connections.*.reach", VD_T_PREFIX, VD_OPT_LIVE | VD_OPT_LIST, "[internet, local, dns, clients, inbound]",
		"internet|local|dns|clients|host|inbound|all|none",
		"What clients may reach: internet (public addresses), local (private ones), dns (the pool's name servers, and ours), clients (each "
		"other), host (all services of this host; ping always works), networks such as 10.1.0.0/16; inbound: local and those networks may "
		"also begin to talk to clients; all: no limit; none. Link-local addresses (169.254.0.0/16) only when they are named." },
	{ NULL },
};
static const char *const provides[] = { "accept=l2tp", "accept=xauth", NULL };
static const char *const needs[] = { "priv/1", NULL };

VD_PLUGIN(net_nat, .version = "1.0", .license = "MIT", .summary = "masquerading of clients, and what they reach, by nftables",
	.provides = provides, .needs = needs, .schema = schema, .init = nat_init, .start = nat_start, .reload = nat_reload,
	.stop = nat_stop, .fini = nat_fini);
