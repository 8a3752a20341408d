/* The options of the core, and the tables of all plugins put together as one tree. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <string.h>

#define LEVELS "error|warning|notice|info|debug"

/* A reference into "radius|" is written radius/NAME, as one into several sections is. */
const struct vd_opt vd_conf_core_schema[] = {
	{ "gateway", VD_T_MAP, 0, NULL, NULL, "Who we are." },
	{ "gateway.name", VD_T_STRING, 0, NULL, NULL, "Our IKE identity; the certificate must carry it." },
	{ "gateway.listen", VD_T_ADDR, VD_OPT_LIST, NULL, NULL, "Our addresses on which clients reach us." },
	{ "gateway.certificate", VD_T_PATH, 0, NULL, NULL, "PEM file with our certificate and its chain." },
	{ "gateway.private_key", VD_T_KEY, 0, NULL, NULL, "PEM file with the key of the certificate." },
	{ "gateway.user", VD_T_STRING, 0, "viaduct", "31", "The user as whom the daemon runs after it has opened what needs root." },
	{ "gateway.workers", VD_T_UINT, 0, "0", "0..16", "Threads that carry packets; 0 is one per core." },
	{ "gateway.df", VD_T_WORD, 0, "clear", "clear|copy|set",
		"DF in the outer IPv4 header of ESP that we send: clear, copy of the packet inside (IPv6 counts as set), or set; IKE "
		"never has it, and outer IPv6 none. With copy and set packets fit what our routes (mtu) and interfaces take, and senders of "
		"larger ones are told. ICMP from outside is ignored: where the path is narrower beyond them, large ones are lost without "
		"a word." },
	{ "gateway.max_peers", VD_T_UINT, VD_OPT_LIVE, "10000", "1..1000000", "IKE parties at one time; more are refused." },
	{ "gateway.max_sessions", VD_T_UINT, VD_OPT_LIVE, "10000", "1..1000000", "Sessions at one time; more are refused." },
	{ "realms.*", VD_T_MAP, 0, NULL, NULL, "A set of users that are asked for together." },
	{ "realms.*.authenticate", VD_T_REF, VD_OPT_LIST | VD_OPT_LIVE | VD_OPT_REQUIRED, NULL, "users|radius",
		"Who knows the users, in this order: users/NAME, radius/NAME." },
	{ "realms.*.account", VD_T_REF, VD_OPT_LIST | VD_OPT_LIVE, NULL, "radius|", "Where sessions are accounted: radius/NAME." },
	{ "realms.*.fallback", VD_T_BOOL, VD_OPT_LIVE, "false", NULL,
		"Ask the next provider also when one cannot answer now, not only when it does not know the user." },
	{ "connections.*", VD_T_MAP, 0, NULL, NULL, "Who may connect, how, and what he gets." },
	{ "connections.*.accept", VD_T_NAME, VD_OPT_LIST, NULL, NULL, "Protocols that clients may use: l2tp, ..." },
	{ "connections.*.connect", VD_T_NAME, VD_OPT_LIST, NULL, NULL, "Protocols by which we connect to the peer." },
	{ "connections.*.realm", VD_T_REF, 0, NULL, "realms", "Where the users are." },
	{ "connections.*.pool", VD_T_REF, VD_OPT_LIVE, NULL, "pools", "Where addresses come from, unless the user has his own." },
	{ "connections.*.routes", VD_T_PREFIX, VD_OPT_LIST | VD_OPT_LIVE, NULL, "all",
		"Networks that clients send through us, or (connect) we through the gateway; all is a full tunnel." },
	{ "connections.*.hold_routes", VD_T_BOOL, VD_OPT_LIVE, NULL, NULL,
		"The routes of a connection that we dial stay unreachable while it is dialled again, and after a crash until the next start; by default where routes has all." },
	{ "connections.*.second_login", VD_T_WORD, VD_OPT_LIVE, "replace", "replace|refuse|coexist",
		"What happens when a user who has a session logs in again." },
	{ "connections.*.sessions_per_user", VD_T_UINT, VD_OPT_LIVE, "8", "1..65535",
		"With second_login: coexist, how many sessions a user has at the same time; further logins are refused." },
	{ "connections.*.peer", VD_T_STRING, 0, NULL, NULL, "Address or name of the other side." },
	{ "connections.*.local", VD_T_STRING, 0, NULL, "63",
		"Address to dial from, one of gateway.listen, or the interface that has it; by default the one that the host would use, else the first." },
	{ "connections.*.start", VD_T_WORD, VD_OPT_LIVE, "manual", "boot|manual",
		"When we connect: with the daemon, or when viaductctl connection up says so." },
	{ "connections.*.user", VD_T_STRING, 0, NULL, "255", "Who we are at the gateway that we connect to." },
	{ "connections.*.password", VD_T_SECRET, 0, NULL, NULL, "The password of that user." },
	{ "plugins", VD_T_MAP, 0, NULL, NULL, "Plugins that are loaded in any case, or never." },
	{ "plugins.*", VD_T_WORD, VD_OPT_RESTART, NULL, "on|off", "off: never loaded; on: loaded although nothing names it." },
	{ "log.level", VD_T_WORD, VD_OPT_LIVE, "notice", LEVELS, "How much is logged." },
	{ "log.areas", VD_T_MAP, 0, NULL, NULL, "Other levels for single areas." },
	{ "log.areas.*", VD_T_WORD, VD_OPT_LIVE, NULL, LEVELS, "The level of this area; viaductctl log areas shows all." },
	{ "log.debug_peers", VD_T_PREFIX, VD_OPT_LIST | VD_OPT_LIVE, NULL, NULL,
		"Everything about clients and gateways at these addresses is logged, whatever the levels say; viaductctl log debug adds addresses for a while." },
	{ "control.socket", VD_T_PATH, 0, VD_RUNSTATEDIR "/control.sock", NULL, "Where viaductctl finds the daemon." },
	{ NULL },
};

static struct conf_schema *child_of(struct vd_conf *conf, struct conf_schema *s, const char *name, size_t len)
{
	struct conf_schema *c, **at;

	for (at = &s->child; (c = *at); at = &c->next)
		if (strlen(c->name) == len && !memcmp(c->name, name, len))
			return c;
	c = conf_alloc(conf, sizeof(*c));
	if (!c || !(c->name = conf_strndup(conf, name, len)))
		return NULL;
	return *at = c;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static int add_default(struct vd_conf *conf, struct conf_schema *s, const struct conf_file *file,
	struct vd_conf_errors *errs)
{
	struct vd_conf_node *node = NULL;
	int err = conf_yaml(conf, file, s->opt->def, strlen(s->opt->def), &node, errs);

	if (err == -ENOMEM)
		return err;
	if (err || !node) {
		vd_conf_errors_add(errs, false, file->path, 0, 0, "the default of %s cannot be read", s->opt->path);
		return 0;
	}
	node->name = s->name;
	node->opt = s->opt;
	node->schema = s;
	node->is_default = true;
	if (conf_values(conf, node, s->opt->path, errs))
		s->def = node;
	return 0;
}

static int add_option(struct vd_conf *conf, const struct vd_opt *opt, const struct conf_file *file,
	struct vd_conf_errors *errs)
{
	struct conf_schema *s = conf->schema;
	const char *p, *dot;

	for (p = opt->path; p; p = dot ? dot + 1 : NULL) {
		dot = strchr(p, '.');
		s = child_of(conf, s, p, dot ? (size_t)(dot - p) : strlen(p));
		if (!s)
			return -ENOMEM;
	}
	if (s->opt && (s->opt->type != opt->type || s->opt->flags != opt->flags || !same(s->opt->arg, opt->arg) ||
			      !same(s->opt->def, opt->def)))
		vd_conf_errors_add(errs, false, file->path, 0, 0, "two plugins declare %s, each in another way", opt->path);
	if (s->opt)
		return 0;
	s->opt = opt;
	return opt->def ? add_default(conf, s, file, errs) : 0;
}

int conf_schema_build(struct vd_conf *conf, const struct vd_opt *const *tables, size_t n, struct vd_conf_errors *errs)
{
	const struct conf_file *file = conf_file_new(conf, "(schema)", "/");
	const struct vd_opt *opt;
	size_t i;
	int err;

	conf->schema = conf_alloc(conf, sizeof(*conf->schema));
	if (!file || !conf->schema)
		return -ENOMEM;
	conf->schema->name = "";
	for (i = 0; i < n; i++) {
		for (opt = tables[i]; opt && opt->path; opt++) {
			err = add_option(conf, opt, file, errs);
			if (err)
				return err;
		}
	}
	conf->root->schema = conf->schema;
	return 0;
}
