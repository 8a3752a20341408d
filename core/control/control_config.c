/* Control socket: the configuration in words, and the plugins. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/accounts.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>

#include "core/conf/conf.h"
#include "core/control/control_commands.h"
#include "core/plugin.h"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* "psk 1 of 2": the keys are tried in this order, at each login. */
static void known_by(const struct vd_conf *conf, const struct vd_conf_node *c, const char *word, char *out, size_t size)
{
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections"), *mine = vd_conf_knob(conf, vd_conf_name(c), word, "psk");
	const char *auth = vd_conf_str(vd_conf_knob(conf, vd_conf_name(c), word, "auth"));
	unsigned n = 0, at = 0;

	vd_format(out, size, "%s", or_empty(auth));
	if (!mine || !vd_conf_key(mine) || (auth && strcmp(auth, "psk")))
		return;
	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const struct vd_conf_node *other = vd_conf_nth(all, i), *accept = vd_conf_at(conf, other, "accept");

		for (size_t k = 0; k < vd_conf_count(accept); k++)
			if (!strcmp(or_empty(vd_conf_str(vd_conf_nth(accept, k))), word) &&
				vd_conf_key(vd_conf_knob(conf, vd_conf_name(other), word, "psk")))
				n++, at = other == c ? n : at;
	}
	vd_format(out, size, "psk %u of %u", at, n);
}

/* What a pool has as it is configured, free or not: addresses of IPv4, and networks of IPv6 (64 bits) in its prefixes. */
static void pool_has(const struct vd_conf *conf, const char *pool, uint64_t *ret_addresses, uint64_t *ret_networks)
{
	const struct vd_conf_node *pools = vd_conf_at(conf, NULL, "pools"), *p = pool && pools ? vd_conf_child(pools, pool) : NULL;
	const struct vd_conf_node *ranges = p ? vd_conf_at(conf, p, "range") : NULL;
	const struct vd_conf_node *prefixes = p ? vd_conf_at(conf, p, "prefix") : NULL;
	struct vd_ip first, last;

	*ret_addresses = *ret_networks = 0;
	for (size_t i = 0; i < vd_conf_count(ranges); i++)
		if (vd_conf_range(vd_conf_nth(ranges, i), &first, &last) && first.family == AF_INET)
			*ret_addresses += (uint64_t)vd_ip_u32(&last) - vd_ip_u32(&first) + 1;
	for (size_t i = 0; i < vd_conf_count(prefixes); i++) {
		const struct vd_prefix *prefix = vd_conf_prefix(vd_conf_nth(prefixes, i));

		if (prefix && prefix->ip.family == AF_INET6 && prefix->len > 0 && prefix->len <= 64)
			*ret_networks += 1ull << (64 - prefix->len);
	}
}

/* "staff (1009, 256 x /64)" */
static void addresses(const char *pool, uint64_t n, uint64_t networks, char *out, size_t size)
{
	size_t len = vd_format(out, size, "%s", or_empty(pool));

	if (n)
		len += vd_format(out + len, size - len, " (%llu", (unsigned long long)n);
	if (networks)
		len += vd_format(out + len, size - len, "%s%llu x /64", n ? ", " : " (", (unsigned long long)networks);
	if (n || networks)
		vd_format(out + len, size - len, ")");
}

static void routes(const struct vd_conf *conf, const struct vd_conf_node *c, char *out, size_t size)
{
	const struct vd_conf_node *list = vd_conf_at(conf, c, "routes");
	const char *egress = vd_conf_str(vd_conf_at(conf, c, "egress")), *first = vd_conf_str(vd_conf_nth(list, 0));
	size_t n = vd_conf_count(list), len = 0;

	if (first && !strcmp(first, "all"))
		len = vd_format(out, size, "all");
	else if (n)
		len = vd_format(out, size, "%zu network%s", n, n > 1 ? "s" : "");
	else
		out[0] = '\0';
	if (egress && !strcmp(egress, "masquerade"))
		vd_format(out + len, size - len, "%smasq.", len ? ", " : "");
}

/* "internet, dns". */
static void reach(const struct vd_conf *conf, const struct vd_conf_node *c, char *out, size_t size)
{
	const struct vd_conf_node *list = vd_conf_at(conf, c, "reach");
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < vd_conf_count(list); i++)
		len += vd_format(out + len, size - len, "%s%s", i ? ", " : "", or_empty(vd_conf_str(vd_conf_nth(list, i))));
}

/* Who knows the users, "users/devices (3), radius/nps1, nps2": a section is said once in a row, with the number of those who are known by themselves. */
static json_t *providers(const struct vd_conf_node *list)
{
	char text[512] = "", section[VD_NAME_MAX] = "";
	size_t len = 0;

	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const char *who = or_empty(vd_conf_str(vd_conf_nth(list, i))), *slash = strchr(who, '/');
		const struct vd_accounts_1 *accounts = NULL;
		size_t before = strlen(section);
		bool again = before && !strncmp(who, section, before) && who[before] == '/';
		int n = -1;

		if (slash) {
			vd_format(section, sizeof(section), "%.*s", (int)(slash - who), who);
			accounts = vd_service_find("accounts/1", section);
		}
		if (accounts)
			n = accounts->count(accounts->self, slash + 1);
		len += vd_format(text + len, sizeof(text) - len, "%s%s", i ? ", " : "", again ? slash + 1 : who);
		if (n >= 0)
			len += vd_format(text + len, sizeof(text) - len, " (%d)", n);
	}
	return vd_text_json(text);
}

static json_t *connection_json(const struct vd_conf *conf, const struct vd_conf_node *c, const char *accept, bool dialled)
{
	const struct vd_conf_node *realms = vd_conf_at(conf, NULL, "realms");
	const char *realm = vd_conf_str(vd_conf_at(conf, c, "realm"));
	const struct vd_conf_node *users = realm && realms ? vd_conf_child(realms, realm) : NULL;
	const char *crypto = vd_conf_str(vd_conf_at(conf, c, "crypto"));
	const char *pool = vd_conf_str(vd_conf_at(conf, c, "pool"));
	char origin[160], word[80], known[300], from[VD_NAME_MAX + 64], to[64], reached[512];
	uint64_t n, networks;
	json_t *out;

	vd_format(word, sizeof(word), "%s%s", dialled ? "-> " : "", accept);
	if (dialled)
		vd_format(known, sizeof(known), "%s", or_empty(vd_conf_str(vd_conf_at(conf, c, "peer"))));
	else
		known_by(conf, c, accept, known, sizeof(known));
	pool_has(conf, pool, &n, &networks);
	addresses(pool, n, networks, from, sizeof(from));
	routes(conf, c, to, sizeof(to));
	out = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o}", "name", vd_text_json(vd_conf_name(c)), "accepts", vd_text_json(word),
		"known_by", vd_text_json(known), "crypto", vd_text_json(crypto ? crypto : "compatible"), "realm", vd_text_json(or_empty(realm)), "users_from",
		providers(users ? vd_conf_at(conf, users, "authenticate") : NULL), "pool", vd_text_json(or_empty(pool)),
		"addresses", vd_text_json(from), "addresses4", (json_int_t)n, "networks6", (json_int_t)networks, "routes", vd_text_json(to),
		"second_login", vd_text_json(or_empty(vd_conf_str(vd_conf_at(conf, c, "second_login")))), "from",
		vd_text_json(vd_conf_origin(c, origin, sizeof(origin))));
	reach(conf, c, reached, sizeof(reached));
	if (!dialled && out)
		json_object_set_new(out, "reach", vd_text_json(reached));
	if (dialled && out)
		json_object_set_new(out, "dialled", vd_control_dialled(vd_conf_name(c)));
	return out;
}

void vd_command_connections(struct vd_call *call, json_t *args)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections");
	json_t *list = json_array();

	(void)args;
	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const struct vd_conf_node *c = vd_conf_nth(all, i), *accept = vd_conf_at(conf, c, "accept");
		const struct vd_conf_node *dial = vd_conf_at(conf, c, "connect");

		for (size_t k = 0; k < vd_conf_count(accept); k++)
			json_array_append_new(list, connection_json(conf, c, or_empty(vd_conf_str(vd_conf_nth(accept, k))), false));
		for (size_t k = 0; k < vd_conf_count(dial); k++)
			json_array_append_new(list, connection_json(conf, c, or_empty(vd_conf_str(vd_conf_nth(dial, k))), true));
		if (!vd_conf_count(accept) && !vd_conf_count(dial))
			json_array_append_new(list, connection_json(conf, c, "", false));
	}
	vd_call_reply(call, list);
}

static json_t *plugin_json(const struct vd_host *h)
{
	static const char *const states[] = { "open", "initialised", "started", "stopped" };
	const struct vd_plugin *p = h->plugin;

	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:i}", "name", vd_text_json(p->name), "version", vd_text_json(or_empty(p->version)), "state",
		vd_text_json(h->order || h->state ? states[h->state] : vd_plugin_is_off(h) ? "off" : "not needed"), "why", vd_text_json(or_empty(h->why)), "summary",
		vd_text_json(or_empty(p->summary)), "order", (int)h->order);
}

void vd_command_plugins(struct vd_call *call, json_t *args)
{
	json_t *list = json_array();

	(void)args;
	for (struct vd_host *h = vd_plugins_first(); h; h = h->next)
		json_array_append_new(list, plugin_json(h));
	vd_call_reply(call, list);
}

static json_t *names(const char *const *list)
{
	json_t *out = json_array();

	for (; list && *list; list++)
		json_array_append_new(out, vd_text_json(*list));
	return out;
}

void vd_command_plugin(struct vd_call *call, json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "plugin"));
	struct vd_host *h = name ? vd_plugin_find(name) : NULL;
	json_t *out, *options = NULL, *topics;

	if (!h) {
		vd_call_fail(call, "no plugin %.64s; plugin.list shows all", name ? name : "was named");
		return;
	}
	out = plugin_json(h);
	options = json_array();
	topics = json_array();
	for (const struct vd_opt *o = h->plugin->schema; o && o->path; o++)
		json_array_append_new(options, json_pack("{s:o,s:o,s:o,s:o}", "option", vd_text_json(o->path), "default",
			vd_text_json(or_empty(o->def)), "values", vd_text_json(or_empty(o->arg)), "doc", vd_text_json(or_empty(o->doc))));
	for (const struct vd_topic *const *t = h->plugin->topics; t && *t; t++)
		json_array_append_new(topics, vd_text_json((*t)->name));
	json_object_set_new(out, "license", vd_text_json(or_empty(h->plugin->license)));
	json_object_set_new(out, "file", vd_text_json(h->file));
	json_object_set_new(out, "provides", names(h->plugin->provides));
	json_object_set_new(out, "needs", names(h->plugin->needs));
	json_object_set_new(out, "topics", topics);
	json_object_set_new(out, "options", options);
	vd_call_reply(call, out);
}

/* What an stdio writer wrote, as the reply. */
static void reply_text(struct vd_call *call, int res, char *text, size_t len)
{
	if (res < 0)
		vd_call_fail(call, "the configuration cannot be shown: %s", strerror(-res));
	else
		vd_call_reply(call, json_pack("{s:o}", "text", vd_lines_json(text, len)));
	free(text);
}

static void show_uses(struct vd_call *call, const char *name)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int res = out ? vd_conf_uses(vd_conf_current(), name, out) : -ENOMEM;

	if (res == 0)
		fprintf(out, "nothing names %.64s\n", name);
	if (out && fclose(out) != 0)
		res = -ENOMEM;
	if (res == -EINVAL || res == -ENOENT) {
		free(text);
		vd_call_fail(call, "there is no object %.64s; write SECTION/NAME, as in pools/staff", name);
		return;
	}
	reply_text(call, res, text, len);
}

void vd_command_show(struct vd_call *call, json_t *args)
{
	unsigned flags = (json_is_true(json_object_get(args, "defaults")) ? VD_CONF_DEFAULTS : 0) |
		(json_is_true(json_object_get(args, "origins")) ? VD_CONF_ORIGINS : 0);
	const char *uses = json_string_value(json_object_get(args, "uses"));
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int res;

	if (uses) {
		show_uses(call, uses);
		return;
	}
	out = open_memstream(&text, &len);
	res = out ? vd_conf_dump(vd_conf_current(), flags, out) : -ENOMEM;
	if (out && fclose(out) != 0 && res == 0)
		res = -ENOMEM;
	reply_text(call, res, text, len);
}
