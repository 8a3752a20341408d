/* The tree against the schema: merging of files, extends, names, references, what must be given. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <viaduct/secret.h>

enum { EXTEND_OPEN, EXTEND_BUSY, EXTEND_DONE };

struct check {
	struct vd_conf *conf;
	const char *const *words;
	struct vd_conf_errors *errs;
};

static char *origin(const struct vd_conf_node *node, char *out, size_t size)
{
	vd_format(out, size, "%s:%u", node->file ? node->file->path : "", node->key_line);
	return out;
}

int conf_merge(struct vd_conf *conf, struct vd_conf_node *doc, struct vd_conf_errors *errs)
{
	struct vd_conf_node *section, *old, *whole, *object;
	char at[CONF_PATH_MAX];
	uint32_t i, k;

	if (doc->kind == CONF_NULL)
		return 0;
	if (doc->kind != CONF_MAP) {
		conf_bad(errs, doc, "a configuration is a map of sections, as in `pools:`");
		conf->broken = true;
		return 0;
	}
	for (i = 0; i < doc->n; i++) {
		section = doc->items[i];
		whole = conf_node_find(conf->root, section->name);
		if (!whole && conf_node_add(conf, conf->root, section) < 0)
			return -ENOMEM;
		if (!whole || section->kind == CONF_NULL)
			continue;
		if (section->kind != CONF_MAP || (whole->kind != CONF_MAP && whole->kind != CONF_NULL)) {
			conf_bad_key(errs, section, "`%s` stands already in %s", section->name, origin(whole, at, sizeof(at)));
			conf->broken = true;
			continue;
		}
		whole->kind = CONF_MAP;
		for (k = 0; k < section->n; k++) {
			object = section->items[k];
			old = conf_node_find(whole, object->name);
			if (old)
				conf_bad_key(errs, object, "%s.%s stands already in %s; an object is in one file only",
					section->name, object->name, origin(old, at, sizeof(at)));
			else if (conf_node_add(conf, whole, object) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* ---- extends ---- */

/* What base has and node has not; maps in both are gone into. */
static int take_over(struct vd_conf *conf, struct vd_conf_node *node, const struct vd_conf_node *base)
{
	struct vd_conf_node *own;
	uint32_t i;
	int err = 0;

	for (i = 0; i < base->n && !err; i++) {
		own = conf_node_find(node, base->items[i]->name);
		if (!own)
			err = conf_node_add(conf, node, base->items[i]);
		else if (own->kind == CONF_MAP && base->items[i]->kind == CONF_MAP)
			err = take_over(conf, own, base->items[i]);
	}
	return err;
}

static void guess_names(struct conf_guess *g, const struct vd_conf_node *map)
{
	uint32_t i;

	for (i = 0; map && map->kind == CONF_MAP && i < map->n; i++)
		conf_guess_try(g, map->items[i]->name);
}

static int extend(struct check *c, const struct vd_conf_node *section, struct vd_conf_node *object, unsigned depth)
{
	struct vd_conf_node *base, *word = conf_node_find(object, "extends");
	struct conf_guess guess = { 0 };
	char hint[256];
	int err;

	if (object->kind != CONF_MAP || object->extended == EXTEND_DONE || !word)
		return 0;
	object->extended = EXTEND_BUSY;
	base = word->kind == CONF_SCALAR ? conf_node_find(section, word->text) : NULL;
	if (word->kind != CONF_SCALAR) {
		conf_bad(c->errs, word, "%s.%s.extends must be the name of another object in %s", section->name,
			object->name, section->name);
	} else if (!base || base->kind != CONF_MAP) {
		guess.wrong = word->text;
		guess_names(&guess, section);
		if (guess.best || !c->conf->broken)
			conf_bad(c->errs, word, "%s.%s.extends: there is no `%s` in %s%s", section->name, object->name, word->text,
			section->name, conf_guess_hint(&guess, hint, sizeof(hint)));
	} else if (base->extended == EXTEND_BUSY || depth > CONF_DEPTH_MAX) {
		conf_bad(c->errs, word, "%s.%s.extends goes in a circle, or over more than %u objects", section->name,
			object->name, CONF_DEPTH_MAX);
	} else {
		err = extend(c, section, base, depth + 1);
		if (!err)
			err = take_over(c->conf, object, base);
		if (err)
			return err;
	}
	object->extended = EXTEND_DONE;
	return conf_node_remove(c->conf, object, conf_node_find(object, "extends"));
}

static int extend_all(struct check *c)
{
	const struct conf_schema *s;
	struct vd_conf_node *section;
	uint32_t i, k;
	int err = 0;

	for (i = 0; i < c->conf->root->n; i++) {
		section = c->conf->root->items[i];
		s = conf_schema_find(conf_schema_find(c->conf->schema, section->name), "*");
		if (c->conf->free_names || section->kind != CONF_MAP || !s || !conf_schema_is_map(s))
			continue;
		if (!strcmp(conf_schema_find(s, "extends") ? conf_schema_find(s, "extends")->name : "", "extends"))
			continue; /* the plugin knows better */
		for (k = 0; k < section->n && !err; k++)
			err = extend(c, section, section->items[k], 0);
		if (err)
			return err;
	}
	return 0;
}

/* ---- names and references ---- */

static bool name_ok(struct check *c, const struct vd_conf_node *node, const struct conf_schema *s, bool top)
{
	static const char *const traps[] = { "yes", "no", "on", "off", "true", "false", "null", "y", "n", "~" };
	const char *name = node->name, *p;
	size_t i, n = strlen(name);

	for (i = 0; i < VD_ARRAY_SIZE(traps) && !node->name_quoted; i++) {
		if (!strcasecmp(name, traps[i])) {
			conf_bad_key(c->errs, node, "`%s` is no name: YAML readers may take it for true, false or nothing; %s", name,
				top && c->conf->free_names ? "put it in quotes" : "choose another one");
			return false;
		}
	}
	if (top && c->conf->free_names) {
		for (p = name; (unsigned char)*p >= ' ' && *p != 127; p++)
			;
		if (n && n <= CONF_TEXT_MAX && !*p)
			return true;
		conf_bad_key(c->errs, node, "a name here has 1 to 255 octets and no control characters");
		return false;
	}
	/* Plugins and areas of the log are named like files. */
	i = strspn(name, conf_schema_is_map(s) ? "abcdefghijklmnopqrstuvwxyz0123456789-" :
						 "abcdefghijklmnopqrstuvwxyz0123456789-_");
	if (n && n <= CONF_NAME_MAX && !name[i])
		return true;
	conf_bad_key(c->errs, node, "`%s` is no name: names are a-z, 0-9 and -, at most 63 of them", name);
	return false;
}

/* The sections that may be named: the option's own, and for realms.*.authenticate those of plugins that provide
 * "authenticate/SECTION". */
static const char *sections_of(const struct check *c, const struct vd_opt *opt)
{
	const char *what = strrchr(opt->path, '.') + 1;
	size_t n = strlen(what), len = strlen(opt->arg), size = len + 1;
	const char *const *w;
	char *out;

	if (strchr(opt->arg, ':'))
		return conf_strndup(c->conf, opt->arg, strcspn(opt->arg, ":"));
	if (!c->words || strncmp(opt->path, "realms.*.", 9))
		return opt->arg;
	for (w = c->words; *w; w++)
		size += strlen(*w) + 1;
	out = conf_alloc(c->conf, size);
	if (!out)
		return opt->arg;
	memcpy(out, opt->arg, len + 1);
	for (w = c->words; *w; w++) {
		const char *name, *p = opt->arg;
		size_t k;

		if (strncmp(*w, what, n) || (*w)[n] != '/')
			continue;
		name = *w + n + 1;
		k = strlen(name);
		while (*p && (strcspn(p, "|") != k || strncmp(p, name, k)))
			p += strcspn(p, "|"), p += *p == '|';
		if (!*p)
			len += vd_format(out + len, size - len, "%s%s", len && out[len - 1] != '|' ? "|" : "", name);
	}
	return out;
}

static void check_ref(struct check *c, const struct vd_conf_node *v, const char *path)
{
	const char *p, *sections = sections_of(c, v->opt), *slash = strchr(v->text, '/'), *name = v->text;
	const char *colon = strchr(v->opt->arg, ':'); /* words behind it may stand there as well */
	bool many = sections && strchr(sections, '|'), known = false;
	struct conf_guess guess = { .wrong = v->text };
	char section[CONF_NAME_MAX + 1], hint[256], *full;
	const struct vd_conf_node *map;
	uint32_t i;

	if (!sections || (colon && conf_word_of(colon + 1, v->text)))
		return;
	for (p = colon ? colon + 1 : ""; *p; p += strcspn(p, "|"), p += *p == '|')
		if ((full = conf_strndup(c->conf, p, strcspn(p, "|"))))
			conf_guess_try(&guess, full);
	for (p = sections; *p; p += strcspn(p, "|"), p += *p == '|') {
		vd_format(section, sizeof(section), "%.*s", (int)strcspn(p, "|"), p);
		map = conf_node_find(c->conf->root, section);
		if (!many && slash && !strncmp(v->text, section, strlen(section)) && slash == v->text + strlen(section)) {
			conf_bad(c->errs, v, "%s: `%s` names its section without need; write %s", path, v->text, slash + 1);
			return;
		}
		if (many && (!slash || (size_t)(slash - v->text) != strlen(section) ||
				    strncmp(v->text, section, strlen(section))))
			name = NULL;
		else
			name = many ? slash + 1 : v->text, known = true;
		if (name && (conf_node_find(map, name) || (map && map->kind != CONF_MAP && map->kind != CONF_NULL)))
			return;
		for (i = 0; map && map->kind == CONF_MAP && i < map->n; i++) {
			full = (char *)map->items[i]->name;
			if (many) {
				full = conf_alloc(c->conf, strlen(section) + strlen(full) + 2);
				if (!full)
					break;
				sprintf(full, "%s/%s", section, map->items[i]->name);
			}
			conf_guess_try(&guess, full);
		}
	}
	if (c->conf->broken && !guess.best)
		return; /* it may be in what could not be read */
	conf_guess_hint(&guess, hint, sizeof(hint));
	if (many && !known)
		conf_bad(c->errs, v, "%s: `%s` is not written as SECTION/NAME, SECTION being one of %.*s%s", path, v->text,
			(int)(strlen(sections) - (sections[strlen(sections) - 1] == '|')), sections, hint);
	else
		conf_bad(c->errs, v, "%s: there is no `%s`%s%s%s", path, v->text, many ? "" : " in ", many ? "" : sections, hint);
}

static void check_word(struct check *c, const struct vd_conf_node *v, const char *path, bool dials)
{
	struct conf_guess guess = { .wrong = v->text };
	const char *const *w;
	bool spoken = false, dialled = !dials;
	char hint[256];

	for (w = c->words; *w; w++) {
		if (dials && !strncmp(*w, "connect/", 8)) {
			dialled |= !strcmp(*w + 8, v->text);
			conf_guess_try(&guess, *w + 8);
		}
		spoken |= !strcmp(*w, v->text);
		if (!dials && !strchr(*w, '/'))
			conf_guess_try(&guess, *w);
	}
	if (dials ? dialled || (spoken && !guess.n_known) : spoken)
		return;
	if (spoken) {
		conf_bad(c->errs, v, "%s: no plugin dials by `%s`, it is only answered%s", path, v->text, conf_guess_hint(&guess, hint, sizeof(hint)));
		return;
	}
	if (c->errs->plugins_missing && !guess.best) {
		c->errs->n_unknown++;
		return;
	}
	conf_bad(c->errs, v, "%s: no plugin speaks `%s`%s", path, v->text, conf_guess_hint(&guess, hint, sizeof(hint)));
}

static void check_value(struct check *c, struct vd_conf_node *node, const char *path)
{
	bool words = c->words && (!strcmp(node->opt->path, "connections.*.accept") ||
					 !strcmp(node->opt->path, "connections.*.connect"));
	uint32_t i, n;

	if (!conf_values(c->conf, node, path, c->errs) || (node->opt->type != VD_T_REF && !words))
		return;
	n = node->kind == CONF_LIST ? node->n : 1;
	for (i = 0; i < n; i++) {
		const struct vd_conf_node *v = node->kind == CONF_LIST ? node->items[i] : node;

		if (words)
			check_word(c, v, path, !strcmp(node->opt->path, "connections.*.connect"));
		else
			check_ref(c, v, path);
	}
}

/* ---- the walk ---- */

/* The option that was probably meant, or NULL. */
static const char *unknown(struct check *c, const struct vd_conf_node *node, const struct conf_schema *s, const char *path)
{
	struct conf_guess guess = { .wrong = node->name };
	const struct conf_schema *k;
	char hint[256];

	for (k = s->child; k; k = k->next)
		conf_guess_try(&guess, k->name);
	if (c->errs->plugins_missing && !guess.best) {
		c->errs->n_unknown++;
		return NULL;
	}
	conf_guess_hint(&guess, hint, sizeof(hint));
	if (*path)
		conf_bad_key(c->errs, node, "unknown option `%s` in %s%s", node->name, path, hint);
	else
		conf_bad_key(c->errs, node, "no plugin knows the section `%s`%s", node->name, hint);
	return guess.best;
}

static void check_node(struct check *c, struct vd_conf_node *node, const struct conf_schema *s, const char *path)
{
	const struct conf_schema *k;
	char sub[CONF_PATH_MAX];
	const char *meant = NULL;
	uint32_t i;

	if (node->checked)
		return;
	node->checked = true;
	node->schema = s;
	node->opt = s->opt;
	if (!conf_schema_is_map(s)) {
		check_value(c, node, path);
		return;
	}
	if (node->kind == CONF_NULL)
		node->kind = CONF_MAP;
	if (node->kind != CONF_MAP) {
		conf_bad(c->errs, node, "%s must be a map of %s", path,
			conf_schema_find(s, "*") ? "names" : "options");
		return;
	}
	for (i = 0; i < node->n; i++) {
		struct vd_conf_node *child = node->items[i];

		k = conf_schema_find(s, child->name);
		if (!k) {
			meant = unknown(c, child, s, path);
			continue;
		}
		if (!strcmp(k->name, "*") && !child->checked && !name_ok(c, child, k, !*path))
			continue;
		vd_format(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", child->name);
		check_node(c, child, k, sub);
	}
	for (k = s->child; k; k = k->next)
		if (k->opt && k->opt->flags & VD_OPT_REQUIRED && strcmp(k->name, "*") && !conf_node_find(node, k->name) &&
			(!meant || strcmp(meant, k->name)))
			conf_bad_key(c->errs, node, "%s needs `%s`%s%.*s", path, k->name, k->opt->doc ? ": " : "",
				k->opt->doc ? (int)strcspn(k->opt->doc, ".") : 0, k->opt->doc ? k->opt->doc : "");
}

/* ---- connections that nothing can tell apart ---- */

static bool takes_word(const struct vd_conf_node *connection, const char *word)
{
	const struct vd_conf_node *list = conf_node_find(connection, "accept");
	uint32_t i;

	for (i = 0; list && list->kind == CONF_LIST && i < list->n; i++)
		if (list->items[i]->text && !strcmp(list->items[i]->text, word))
			return true;
	return false;
}

/* What a responder can tell clients apart by, besides the key. */
static bool differs(const struct vd_conf_node *a, const struct vd_conf_node *b)
{
	static const char *const marks[] = { "id", "peer_id", "auth", "certificate" };
	size_t i;

	for (i = 0; i < VD_ARRAY_SIZE(marks); i++) {
		const struct vd_conf_node *x = conf_node_find(a, marks[i]), *y = conf_node_find(b, marks[i]);
		const char *s = vd_conf_str(x), *t = vd_conf_str(y);

		if (!x != !y || (x && strcmp(s ? s : "", t ? t : "")))
			return true;
	}
	return false;
}

static void check_pair(struct check *c, const struct vd_conf_node *a, const struct vd_conf_node *b, const char *word)
{
	const struct vd_conf_node *x = vd_conf_knob(c->conf, a->name, word, "psk");
	const struct vd_conf_node *y = vd_conf_knob(c->conf, b->name, word, "psk");
	char at[CONF_PATH_MAX];

	if (!x || !y || !x->number || !y->number || !x->opt || x->opt->type != VD_T_KEY || y->opt != x->opt)
		return;
	if (!vd_same(x->digest, y->digest, sizeof(x->digest)))
		return;
	if (differs(a, b) || differs(conf_node_find(a, word), conf_node_find(b, word)))
		return;
	conf_bad_key(c->errs, b,
		"nothing tells connections.%s from connections.%s (%s): both accept %s with the same psk; give each its own",
		b->name, a->name, origin(a, at, sizeof(at)), word);
}

static void check_connections(struct check *c)
{
	const struct vd_conf_node *all = conf_node_find(c->conf->root, "connections"), *a, *list;
	uint32_t i, k, w;

	for (i = 0; all && all->kind == CONF_MAP && i < all->n; i++) {
		a = all->items[i];
		list = conf_node_find(a, "accept");
		if (a->kind == CONF_MAP && !list && !conf_node_find(a, "connect"))
			vd_conf_errors_add(c->errs, true, a->file->path, a->key_line, a->key_column,
				"connections.%s neither accepts nor connects: nobody can use it", a->name);
		if (a->kind == CONF_MAP && conf_node_find(a, "connect") && !conf_node_find(a, "peer"))
			vd_conf_errors_add(c->errs, false, a->file->path, a->key_line, a->key_column,
				"connections.%s connects, and has no `peer`: write the gateway's address or name there", a->name);
		for (w = 0; list && list->kind == CONF_LIST && w < list->n; w++)
			for (k = i + 1; k < all->n; k++)
				if (list->items[w]->text && takes_word(all->items[k], list->items[w]->text))
					check_pair(c, a, all->items[k], list->items[w]->text);
	}
}

int conf_check_all(struct vd_conf *conf, const char *const *words, struct vd_conf_errors *errs)
{
	struct check c = { conf, words, errs };
	int err = extend_all(&c);

	if (err)
		return err;
	check_node(&c, conf->root, conf->schema, "");
	if (!conf->free_names)
		check_connections(&c);
	return 0;
}
