/* The rules of net_nat as text for nft: masquerading, and what clients may reach (connections.NAME.reach). A packet of a client
 * runs through the chain of each connection that gives addresses of its pool; a chain returns what is allowed and drops the
 * rest, so where several connections share a pool, only what all of them allow is. */
#include "plugins/net/nat/nat.h"

#include <viaduct/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOCAL4 "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15 }"
#define LOCAL6 "{ fc00::/7, fec0::/10 }"
#define NOT_INTERNET4 "{ 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, " \
	"198.18.0.0/15, 224.0.0.0/3 }"
#define NOT_INTERNET6 "{ ::/16, fc00::/7, fe80::/9, ff00::/8 }"

struct out {
	FILE *f;
	const char *table;
	char device[24]; /* as a rule names it; "": it cannot */
};

static void rule(const struct out *o, const char *chain, const char *fmt, ...) VD_PRINTF(3, 4);
static void rule(const struct out *o, const char *chain, const char *fmt, ...)
{
	va_list ap;

	fprintf(o->f, "add rule %s %s ", o->table, chain);
	va_start(ap, fmt);
	vfprintf(o->f, fmt, ap);
	va_end(ap);
	fputc('\n', o->f);
}

static void chain(const struct out *o, const char *name)
{
	fprintf(o->f, "add chain %s %s\n", o->table, name);
}

/* ---- what the configuration says ---- */
static const struct vd_conf_node *connection_of(const char *name)
{
	const struct vd_conf_node *all = vd_conf_at(vd_conf_current(), NULL, "connections");

	return all ? vd_conf_child(all, name) : NULL;
}

static const struct vd_conf_node *reach_of(const struct vd_conf_node *connection)
{
	return connection ? vd_conf_at(vd_conf_current(), connection, "reach") : NULL;
}

bool nat_reaches(const struct vd_conf *conf, const struct vd_conf_node *connection, const char *word)
{
	const struct vd_conf_node *reach = vd_conf_at(conf, connection, "reach");

	for (size_t i = 0; i < vd_conf_count(reach); i++) {
		const struct vd_conf_node *item = vd_conf_nth(reach, i);

		if (!vd_conf_prefix(item) && strcmp(vd_conf_str(item), word) == 0)
			return true;
	}
	return false;
}

static bool reaches(const char *connection, const char *word)
{
	const struct vd_conf_node *c = connection_of(connection);

	return c && nat_reaches(vd_conf_current(), c, word); /* what is gone from the configuration reaches nothing */
}

static const char *family(const struct vd_ip *ip)
{
	return ip->family == AF_INET ? "ip" : "ip6";
}

/* egress, or for IPv6 what egress6 says in its place. */
static bool masquerades(const char *connection, bool v6)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *c = connection_of(connection);
	const char *egress6 = c ? vd_conf_str(vd_conf_at(conf, c, "egress6")) : NULL;
	const char *egress = v6 && egress6 ? egress6 : c ? vd_conf_str(vd_conf_at(conf, c, "egress")) : NULL;

	return egress && strcmp(egress, "masquerade") == 0;
}

/* Does a connection that masquerades give these addresses? What no connection gives any more is as it was: there may be
 * sessions that have such an address. */
static bool masqueraded(const struct nat_source *s, bool v6)
{
	for (size_t i = 0; i < s->n_connections; i++)
		if (masquerades(s->connections[i], v6))
			return true;
	return s->pool.pool[0] && !s->n_connections && s->masqueraded;
}

/* ---- the addresses of a source, as nft writes them: "ip saddr 10.0.0.2-10.0.0.9" ---- */
static void pool_rule(const struct out *o, const struct nat_source *s, const char *name, const char *before, const char *field,
	const char *verdict)
{
	char first[VD_IP_TEXT], last[VD_IP_TEXT];

	rule(o, name, "%s%s %s %s-%s %s", before, family(&s->pool.first), field, vd_ip_format(&s->pool.first, first),
		vd_ip_format(&s->pool.last, last), verdict);
}

static void prefix_rule(const struct out *o, const struct vd_prefix *p, const char *name, const char *before, const char *field,
	const char *verdict)
{
	char text[VD_IP_TEXT];

	rule(o, name, "%s%s %s %s %s", before, family(&p->ip), field, vd_prefix_format(p, text), verdict);
}

/* Are all its addresses, from p->ip to the one whose host bits are ones, within first and last? */
static bool lies_in(const struct vd_prefix *p, const struct vd_ip *first, const struct vd_ip *last)
{
	struct vd_ip end = p->ip;

	if (p->ip.family != first->family)
		return false;
	for (unsigned bit = p->len; bit < (p->ip.family == AF_INET ? 32u : 128u); bit++)
		end.a[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return vd_ip_cmp(&p->ip, first) >= 0 && vd_ip_cmp(&end, last) <= 0;
}

static void look_inside(struct nat *n)
{
	for (struct nat_source *s = n->sources; s; s = s->next)
		memset(s->inside, 0, sizeof(s->inside));
	for (const struct nat_source *pool = n->sources; pool; pool = pool->next)
		for (struct nat_source *s = pool->pool.pool[0] ? n->sources : NULL; s; s = s->next)
			for (size_t i = 0; i < s->n_prefixes; i++)
				s->inside[i] |= lies_in(&s->prefixes[i], &pool->pool.first, &pool->pool.last);
}

/* One rule for all addresses of each source, the narrowest first: what sessions have within pools, pools, then what sessions have
 * elsewhere, by the length of the prefix. So a network behind one user takes nothing from pools, or from a narrower network, that
 * lie in it. kind NULL: only what a gateway that we dialled gave us; else "goto KIND<number of the source>" for all others. */
static void dispatch(const struct nat *n, const struct out *o, const char *name, const char *before, const char *field,
	const char *kind)
{
	char verdict[32] = "accept";
	unsigned number;

	for (int pass = -1; pass <= 129; pass++) { /* -1: in pools; 0: pools; then 128, 127, ... 0 bits */
		number = 0;
		for (const struct nat_source *s = n->sources; s; s = s->next, number++) {
			if (s->dialled != !kind)
				continue;
			if (kind)
				vd_format(verdict, sizeof(verdict), "goto %s%u", kind, number);
			if (pass == 0 && s->pool.pool[0])
				pool_rule(o, s, name, before, field, verdict);
			for (size_t i = 0; pass != 0 && i < s->n_prefixes; i++)
				if (pass < 0 ? s->inside[i] : !s->inside[i] && s->prefixes[i].len == 129 - pass)
					prefix_rule(o, &s->prefixes[i], name, before, field, verdict);
		}
	}
}

/* ---- masquerading ---- */
static bool put_nat(struct nat *n, const struct out *o)
{
	bool any = false;

	fprintf(o->f, "add chain %s postrouting { type nat hook postrouting priority srcnat; policy accept; }\n", o->table);
	/* Networks behind clients are reached through our device like the clients themselves: nothing is translated there. */
	if (o->device[0])
		rule(o, "postrouting", "oifname \"%s\" return", o->device);
	for (struct nat_source *s = n->sources; s; s = s->next) /* between clients nothing is translated */
		if (s->pool.pool[0])
			pool_rule(o, s, "postrouting", "", "daddr", "return");
	for (struct nat_source *s = n->sources; s; s = s->next) {
		if (s->dialled)
			continue;
		if (s->pool.pool[0]) {
			s->masqueraded = masqueraded(s, s->pool.first.family == AF_INET6);
			if (s->masqueraded)
				pool_rule(o, s, "postrouting", "", "saddr", "masquerade");
			any |= s->masqueraded;
		}
		for (size_t i = 0; i < s->n_prefixes; i++)
			/* Networks behind users keep their addresses: other sites know them by these. */
			if (!s->behind[i] && masqueraded(s, s->prefixes[i].ip.family == AF_INET6)) {
				prefix_rule(o, &s->prefixes[i], "postrouting", "", "saddr", "masquerade");
				any = true;
			}
	}
	return any;
}

/* ---- what a connection's clients may reach ---- */
static bool host_prefix(const struct vd_prefix *p)
{
	return p->len == (p->ip.family == AF_INET ? 32 : 128);
}

static bool link_local(const struct vd_prefix *p)
{
	return p->ip.family == AF_INET ? p->ip.a[0] == 169 && p->ip.a[1] == 254 && p->len >= 16 :
		p->ip.a[0] == 0xfe && (p->ip.a[1] & 0xc0) == 0x80 && p->len >= 10;
}

/* Services of this host. */
static void put_host(const struct out *o, const char *name, const struct vd_conf_node *reach, const char *connection)
{
	char text[VD_IP_TEXT];

	chain(o, name);
	if (reaches(connection, "host") || reaches(connection, "all"))
		rule(o, name, "return");
	for (size_t i = 0; i < vd_conf_count(reach); i++) {
		const struct vd_prefix *p = vd_conf_prefix(vd_conf_nth(reach, i));

		if (p && host_prefix(p)) /* a network that an address of this host happens to be in is not meant */
			rule(o, name, "%s daddr %s return", family(&p->ip), vd_prefix_format(p, text));
	}
	if (reaches(connection, "dns"))
		rule(o, name, "meta l4proto { tcp, udp } th dport 53 return");
	rule(o, name, "drop");
}

/* Name servers that clients are told. */
static void put_servers(const struct out *o, const char *name, const char *connection)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *c = connection_of(connection), *pools = vd_conf_at(conf, NULL, "pools");
	const char *pool = c ? vd_conf_str(vd_conf_at(conf, c, "pool")) : NULL;
	const struct vd_conf_node *p = pool && pools ? vd_conf_child(pools, pool) : NULL;
	const struct vd_conf_node *dns = p ? vd_conf_child(p, "dns") : NULL;
	char text[VD_IP_TEXT];

	for (size_t i = 0; i < vd_conf_count(dns); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(dns, i));

		if (ip)
			rule(o, name, "%s daddr %s meta l4proto { tcp, udp } th dport { 53, 853 } return", family(ip), vd_ip_format(ip, text));
	}
}

static void put_prefixes(const struct out *o, const char *name, const struct vd_conf_node *reach, const char *field, bool local)
{
	char text[VD_IP_TEXT];

	for (size_t i = 0; i < vd_conf_count(reach); i++) {
		const struct vd_prefix *p = vd_conf_prefix(vd_conf_nth(reach, i));

		if (p && link_local(p) == local)
			rule(o, name, "%s %s %s return", family(&p->ip), field, vd_prefix_format(p, text));
	}
}

/* Where it goes from the host on. */
static void put_from(const struct out *o, const char *name, const struct vd_conf_node *reach, const char *connection)
{
	chain(o, name);
	if (reaches(connection, "all"))
		rule(o, name, "return");
	if (o->device[0] && !reaches(connection, "clients")) {
		rule(o, name, "oifname \"%s\" ip daddr @clients4 drop", o->device);
		rule(o, name, "oifname \"%s\" ip6 daddr @clients6 drop", o->device);
	} else {
		rule(o, name, "ip daddr @clients4 return");
		rule(o, name, "ip6 daddr @clients6 return");
	}
	put_prefixes(o, name, reach, "daddr", true);
	rule(o, name, "ip daddr 169.254.0.0/16 drop"); /* what cloud providers tell a machine about itself */
	rule(o, name, "ip6 daddr fe80::/10 drop");
	put_prefixes(o, name, reach, "daddr", false);
	if (reaches(connection, "dns"))
		put_servers(o, name, connection);
	if (reaches(connection, "local")) {
		rule(o, name, "ip daddr " LOCAL4 " return");
		rule(o, name, "ip6 daddr " LOCAL6 " return");
	}
	if (reaches(connection, "internet")) {
		rule(o, name, "ip daddr != " NOT_INTERNET4 " return");
		rule(o, name, "ip6 daddr != " NOT_INTERNET6 " return");
	}
	rule(o, name, "drop");
}

/* Who may begin to talk to its clients. */
static void put_to(const struct out *o, const char *name, const struct vd_conf_node *reach, const char *connection)
{
	chain(o, name);
	if (reaches(connection, "all"))
		rule(o, name, "return");
	if (reaches(connection, "inbound")) {
		put_prefixes(o, name, reach, "saddr", true);
		put_prefixes(o, name, reach, "saddr", false);
		if (reaches(connection, "local")) {
			rule(o, name, "ip saddr " LOCAL4 " return");
			rule(o, name, "ip6 saddr " LOCAL6 " return");
		}
	}
	rule(o, name, "drop");
}

/* ---- chains ---- */
static bool seen_before(const struct nat *n, const struct nat_source *until, size_t at)
{
	for (const struct nat_source *s = n->sources; s; s = s->next)
		for (size_t i = 0; i < s->n_connections && !s->dialled; i++) {
			if (s == until && i == at)
				return false;
			if (strcmp(s->connections[i], until->connections[at]) == 0)
				return true;
		}
	return false;
}

/* Chains of one connection. Names of connections are letters, digits and -; a chain's are letters, digits, _ and more. */
static void put_connection(const struct out *o, const char *connection)
{
	const struct vd_conf_node *reach = reach_of(connection_of(connection));
	char name[3][VD_NAME_MAX + 8];

	vd_format(name[0], sizeof(name[0]), "host_%s", connection);
	vd_format(name[1], sizeof(name[1]), "from_%s", connection);
	vd_format(name[2], sizeof(name[2]), "to_%s", connection);
	put_host(o, name[0], reach, connection);
	put_from(o, name[1], reach, connection);
	put_to(o, name[2], reach, connection);
}

/* All addresses of clients, and of what is behind them, of one family. */
static void put_clients(const struct nat *n, const struct out *o, bool v6)
{
	const char *set = v6 ? "clients6" : "clients4";
	char first[VD_IP_TEXT], last[VD_IP_TEXT];

	fprintf(o->f, "add set %s %s { type %s; flags interval; auto-merge; }\n", o->table, set, v6 ? "ipv6_addr" : "ipv4_addr");
	for (const struct nat_source *s = n->sources; s; s = s->next) {
		if (s->dialled)
			continue;
		if (s->pool.pool[0] && (s->pool.first.family == AF_INET6) == v6)
			fprintf(o->f, "add element %s %s { %s-%s }\n", o->table, set, vd_ip_format(&s->pool.first, first),
				vd_ip_format(&s->pool.last, last));
		for (size_t i = 0; i < s->n_prefixes; i++)
			if ((s->prefixes[i].ip.family == AF_INET6) == v6)
				fprintf(o->f, "add element %s %s { %s }\n", o->table, set, vd_prefix_format(&s->prefixes[i], first));
	}
}

static bool filters(const struct nat *n)
{
	for (const struct nat_source *s = n->sources; s; s = s->next)
		for (size_t i = 0; i < s->n_connections; i++)
			if (!reaches(s->connections[i], "all"))
				return true;
	return false;
}

/* A source's own chain: each of its connections must agree. A pool that no connection names reaches nothing: sessions that have
 * addresses of it have sources of their own. */
static void put_source(const struct out *o, const struct nat_source *s, unsigned number)
{
	static const char *const kinds[] = { "host", "from", "to" };

	for (size_t k = 0; k < VD_ARRAY_SIZE(kinds); k++) {
		char name[32];

		vd_format(name, sizeof(name), "%s%u", kinds[k], number);
		chain(o, name);
		for (size_t i = 0; i < s->n_connections; i++)
			rule(o, name, "jump %s_%s", kinds[k], s->connections[i]);
		rule(o, name, s->n_connections ? "accept" : "drop");
	}
}

static void put_filter(struct nat *n, const struct out *o)
{
	char before[64];
	unsigned number = 0;

	look_inside(n);
	put_clients(n, o, false);
	put_clients(n, o, true);
	for (const struct nat_source *s = n->sources; s; s = s->next)
		for (size_t i = 0; i < s->n_connections && !s->dialled; i++)
			if (!seen_before(n, s, i))
				put_connection(o, s->connections[i]);
	for (const struct nat_source *s = n->sources; s; s = s->next, number++)
		if (!s->dialled)
			put_source(o, s, number);
	fprintf(o->f, "add chain %s input { type filter hook input priority filter; policy accept; }\n", o->table);
	rule(o, "input", "iifname != \"%s\" accept", o->device);
	rule(o, "input", "ct state established,related accept");
	rule(o, "input", "icmp type echo-request accept");
	rule(o, "input", "icmpv6 type echo-request accept");
	rule(o, "forward", "ct state established,related accept");
	vd_format(before, sizeof(before), "iifname \"%s\" ", o->device);
	dispatch(n, o, "input", "", "daddr", NULL); /* what a gateway that we dialled sends us is not of clients */
	dispatch(n, o, "input", "", "saddr", "host");
	dispatch(n, o, "forward", before, "saddr", "from");
	rule(o, "input", "drop");
	rule(o, "forward", "iifname \"%s\" drop", o->device);
	vd_format(before, sizeof(before), "oifname \"%s\" ", o->device);
	dispatch(n, o, "forward", before, "daddr", "to");
}

/* Forwarding is switched on for all interfaces. Where that was our doing, those that were there then do not begin to forward to
 * each other. Interfaces that come later belong to programs that want them forwarded (containers, virtual machines). */
static bool put_others(const struct nat *n, const struct out *o, unsigned v6)
{
	static const char *const directions[] = { "iifname", "oifname" };

	if (n->n_others[v6] < 2)
		return false;
	fprintf(o->f, "add rule %s forward meta nfproto %s", o->table, v6 ? "ipv6" : "ipv4");
	for (size_t d = 0; d < VD_ARRAY_SIZE(directions); d++) {
		fprintf(o->f, " %s {", directions[d]);
		for (size_t i = 0; i < n->n_others[v6]; i++)
			fprintf(o->f, "%s \"%s\"", i ? "," : "", n->others[v6][i]);
		fputs(" }", o->f);
	}
	fputs(" drop\n", o->f);
	return true;
}

/* The device's name has a number that the kernel chooses, so all with its beginning are meant. */
static void name_device(struct out *o)
{
	static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "tun.name"));
	size_t n = name ? strspn(name, usual) : 0;

	if (n > 0 && (name[n] == '\0' || name[n] == '%'))
		vd_format(o->device, sizeof(o->device), "%.*s%s", (int)n, name, name[n] ? "*" : "");
}

char *nat_rules(struct nat *n, const char *table, bool *ret_any)
{
	struct out o = { .table = table };
	size_t size = 0;
	char *text = NULL;
	bool any;

	o.f = open_memstream(&text, &size);
	if (!o.f)
		return NULL;
	name_device(&o);
	if (!o.device[0])
		vd_log(VD_LOG_WARNING, "net_nat", NULL, "tun.name cannot be used in a rule: what clients reach is not limited, and what goes "
			"to networks behind them is masqueraded as well");
	any = put_nat(n, &o);
	fprintf(o.f, "add chain %s forward { type filter hook forward priority filter; policy accept; }\n", table);
	if (o.device[0] && filters(n)) {
		put_filter(n, &o);
		any = true;
	}
	any |= put_others(n, &o, 0);
	any |= put_others(n, &o, 1);
	*ret_any = any;
	if (fclose(o.f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
