/* Who names whom, and what is legal but probably wrong. Warnings only. */
#include "core/conf/conf_node.h"

#include "core/system/keys.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PSK_SHORT 16 /* octets; fewer are guessed offline by whoever sees one exchange */

static void warn(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...) VD_PRINTF(3, 4);
static void warn(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vd_conf_errors_add(errs, true, node->file ? node->file->path : NULL, node->key_line ? node->key_line : node->line,
		node->key_line ? node->key_column : node->column, "%s", text);
}

/* ---- references ---- */
typedef void ref_fn(void *arg, const struct vd_conf_node *ref, const char *path, struct vd_conf_node *target);

/* The object that a checked reference means; NULL for a word that stands in the place of a name. */
static struct vd_conf_node *target_of(const struct vd_conf *conf, const struct vd_conf_node *v)
{
	const char *slash = strchr(v->text, '/'), *sections = v->opt->arg;
	char section[CONF_NAME_MAX + 1];

	if (strchr(sections, '|') && slash && !strchr(sections, ':'))
		vd_format(section, sizeof(section), "%.*s", (int)(slash - v->text), v->text);
	else
		vd_format(section, sizeof(section), "%.*s", (int)strcspn(sections, ":"), sections), slash = v->text - 1;
	return conf_node_find(conf_node_find(conf->root, section), slash + 1);
}

static void each_ref(const struct vd_conf *conf, const struct vd_conf_node *node, const char *path, ref_fn *fn, void *arg)
{
	char sub[CONF_PATH_MAX];

	if (node->kind == CONF_MAP) {
		for (uint32_t i = 0; i < node->n; i++) {
			vd_format(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", node->items[i]->name);
			each_ref(conf, node->items[i], sub, fn, arg);
		}
		return;
	}
	if (!node->opt || node->opt->type != VD_T_REF)
		return;
	for (uint32_t i = 0; node->kind == CONF_LIST && i < node->n; i++)
		fn(arg, node->items[i], path, target_of(conf, node->items[i]));
	if (node->kind == CONF_SCALAR)
		fn(arg, node, path, target_of(conf, node));
}

struct uses {
	const struct vd_conf_node *target;
	FILE *out;
	size_t n;
};

static void put_use(void *arg, const struct vd_conf_node *ref, const char *path, struct vd_conf_node *target)
{
	struct uses *u = arg;
	char at[128];

	if (target != u->target)
		return;
	fprintf(u->out, "%s  # %s\n", path, vd_conf_origin(ref, at, sizeof(at)));
	u->n++;
}

int vd_conf_uses(const struct vd_conf *conf, const char *name, FILE *out)
{
	size_t n = strcspn(name, "/.");
	struct uses u = { .out = out };
	char section[CONF_NAME_MAX + 2];
	const struct vd_conf_node *map;

	if (!name[n] || n >= CONF_NAME_MAX)
		return -EINVAL;
	vd_format(section, sizeof(section), "%.*s", (int)n, name);
	map = conf_node_find(conf->root, section);
	if (!map) { /* "pool/staff" */
		vd_format(section, sizeof(section), "%.*ss", (int)n, name);
		map = conf_node_find(conf->root, section);
	}
	u.target = conf_node_find(map, name + n + 1);
	if (!u.target)
		return -ENOENT;
	each_ref(conf, conf->root, "", put_use, &u);
	return ferror(out) ? -EIO : (int)u.n;
}

struct first_use {
	const struct vd_conf_node *section, *ref;
	char *path;
	size_t size;
};

static void first_use(void *arg, const struct vd_conf_node *ref, const char *path, struct vd_conf_node *target)
{
	struct first_use *u = arg;

	for (uint32_t i = 0; target && !u->ref && i < u->section->n; i++)
		if (u->section->items[i] == target) {
			u->ref = ref;
			vd_strcpy(u->path, u->size, path);
		}
}

const struct vd_conf_node *vd_conf_section_named(const struct vd_conf *conf, const char *section, char *ret_path, size_t size)
{
	struct first_use u = { .section = conf_node_find(conf->root, section), .path = ret_path, .size = size };

	if (u.section && u.section->kind == CONF_MAP)
		each_ref(conf, conf->root, "", first_use, &u);
	return u.ref;
}

static void mark(void *arg, const struct vd_conf_node *ref, const char *path, struct vd_conf_node *target)
{
	(void)arg;
	(void)ref;
	(void)path;
	if (target)
		target->named = true;
}

/* Does an option refer into this section, and which one? */
static const char *referred_by(const struct conf_schema *s, const char *section)
{
	const char *p, *found;
	size_t n = strlen(section);

	if (s->opt && s->opt->type == VD_T_REF)
		for (p = s->opt->arg; *p && *p != ':'; p += strcspn(p, "|:"), p += *p == '|')
			if (strcspn(p, "|:") == n && !strncmp(p, section, n))
				return s->opt->path;
	for (s = s->child; s; s = s->next)
		if ((found = referred_by(s, section)))
			return found;
	return NULL;
}

/* "connections.*.pool" as people write it. */
static const char *with_name(const char *path, char *out, size_t size)
{
	const char *star = strchr(path, '*');

	if (star)
		vd_format(out, size, "%.*sNAME%s", (int)(star - path), path, star + 1);
	else
		vd_strcpy(out, size, path);
	return out;
}

static void unused(const struct vd_conf *conf, struct vd_conf_errors *errs)
{
	char text[CONF_PATH_MAX];

	each_ref(conf, conf->root, "", mark, NULL);
	for (uint32_t i = 0; i < conf->root->n; i++) {
		const struct vd_conf_node *section = conf->root->items[i];
		const char *by = section->kind == CONF_MAP ? referred_by(conf->schema, section->name) : NULL;

		for (uint32_t k = 0; by && k < section->n; k++)
			if (!section->items[k]->named)
				warn(errs, section->items[k], "%s.%s is not used: no %s names it; take it out, or name it there",
					section->name, section->items[k]->name, with_name(by, text, sizeof(text)));
	}
}

/* ---- connections ---- */
static bool lists(const struct vd_conf_node *connection, const char *option, const char *word)
{
	const struct vd_conf_node *list = conf_node_find(connection, option);

	for (uint32_t i = 0; list && list->kind == CONF_LIST && i < list->n; i++)
		if (!strcmp(list->items[i]->text, word))
			return true;
	return false;
}

/* what: "connections.NAME." or nothing. */
static void clear_text(const struct vd_conf_node *in, const char *what, struct vd_conf_errors *errs)
{
	const struct vd_conf_node *ppp = conf_node_find(in, "ppp");

	if (ppp && lists(ppp, "auth", "pap"))
		warn(errs, conf_node_find(ppp, "auth"), "%sppp.auth allows pap: clients that want it send their password in clear "
			"text to whoever knows the pre-shared key; take it out, unless one of them knows nothing else", what);
}

static void connection(const struct vd_conf_node *c, const char *const *words, struct vd_conf_errors *errs)
{
	const struct vd_conf_node *accept = conf_node_find(c, "accept"), *part;
	struct vd_secret *key;
	char what[CONF_PATH_MAX];

	vd_format(what, sizeof(what), "connections.%s.", c->name);
	clear_text(c, what, errs);
	if (vd_conf_count(accept) && !conf_node_find(c, "realm"))
		warn(errs, accept, "connections.%s accepts clients and has no `realm`: nobody can log in", c->name);
	for (; words && *words; words++) {
		part = conf_node_find(c, *words);
		if (part && !lists(c, "accept", *words) && !lists(c, "connect", *words))
			warn(errs, part, "connections.%s.%s has no effect: neither accept nor connect names %s", c->name, *words,
				*words);
		if (part && vd_conf_bool(conf_node_find(part, "aggressive")))
			warn(errs, conf_node_find(part, "aggressive"), "connections.%s.%s.aggressive: whoever knows the group's name gets "
				"something to guess the pre-shared key from, offline; take it out unless a client knows no main mode, and make "
				"the key with: openssl rand -base64 24", c->name, *words);
		part = part ? conf_node_find(part, "psk") : NULL;
		key = part && part->opt && part->opt->type == VD_T_KEY ? vd_keys_get(part->number) : NULL;
		if (key && vd_secret_len(key) < PSK_SHORT)
			warn(errs, part, "connections.%s.%s.psk has only %zu octets and can be guessed; make one with: "
				"openssl rand -base64 24", c->name, *words, vd_secret_len(key));
	}
}

void conf_lint(const struct vd_conf *conf, const char *const *words, struct vd_conf_errors *errs)
{
	const struct vd_conf_node *all = conf_node_find(conf->root, "connections");

	unused(conf, errs);
	clear_text(conf->root, "", errs);
	for (uint32_t i = 0; all && all->kind == CONF_MAP && i < all->n; i++)
		connection(all->items[i], words, errs);
}
