/* The configuration in force, for people and for programs. Secrets appear as where they come from. */
#include "core/conf/conf_node.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

bool conf_is_secret(const struct vd_conf_node *v)
{
	return v->opt && (v->opt->type == VD_T_SECRET || v->opt->type == VD_T_KEY);
}

/* "" or the tag that stands before the value. */
static const char *tag(const struct vd_conf_node *v)
{
	if (!conf_is_secret(v))
		return "";
	return v->style == CONF_TAG_ENV ? "!env " : v->style == CONF_TAG_FILE ? "!file " : "(secret)";
}

/* Plain when every reader would read it back as the same text. */
static void put_scalar(FILE *out, const struct vd_conf_node *v)
{
	const char *p, *t = conf_is_secret(v) && !*tag(v) ? "" : v->text ? v->text : "";
	bool plain = *t && (isalnum((unsigned char)*t) || *t == '.') && strlen(t) < 200;

	for (p = t; *p && plain; p++)
		plain = isalnum((unsigned char)*p) || strchr("-_./@", *p) || (*p == ':' && p[1] && p[1] != ' ' && p[1] != ':');
	plain = plain && !(v->opt && v->opt->type == VD_T_STRING && v->style == CONF_QUOTED);
	fputs(tag(v), out);
	if (plain || (*t == '/' && !strpbrk(t, " #:\"'\\,[]{}"))) {
		fputs(t, out);
		return;
	}
	fputc('"', out);
	for (p = t; *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', out);
		fputc(*p, out);
	}
	fputc('"', out);
}

static void put_node(FILE *out, const struct vd_conf_node *node, unsigned depth, unsigned flags);

static void put_origin(FILE *out, const struct vd_conf_node *node, unsigned flags)
{
	char at[128];

	if (flags & VD_CONF_ORIGINS)
		fprintf(out, "  # %s", vd_conf_origin(node, at, sizeof(at)));
	fputc('\n', out);
}

/* True when this option of the schema has a default and was not written. */
static bool shows_default(const struct vd_conf_node *map, const struct conf_schema *s, unsigned flags)
{
	return flags & VD_CONF_DEFAULTS && s->def && strcmp(s->name, "*") && !conf_node_find(map, s->name);
}

static void put_children(FILE *out, const struct vd_conf_node *map, unsigned depth, unsigned flags)
{
	const struct conf_schema *s;
	uint32_t i;

	for (i = 0; i < map->n; i++)
		put_node(out, map->items[i], depth, flags);
	for (s = map->schema ? map->schema->child : NULL; s; s = s->next)
		if (shows_default(map, s, flags))
			put_node(out, s->def, depth, flags);
}

static void put_node(FILE *out, const struct vd_conf_node *node, unsigned depth, unsigned flags)
{
	uint32_t i;

	fprintf(out, "%*s%s:", (int)depth * 2, "", node->name);
	if (node->kind == CONF_MAP) {
		fputs(node->n || flags & VD_CONF_DEFAULTS ? "" : " {}", out);
		put_origin(out, node, flags);
		put_children(out, node, depth + 1, flags);
		return;
	}
	fputc(' ', out);
	if (node->kind == CONF_LIST) {
		fputc('[', out);
		for (i = 0; i < node->n; i++) {
			fputs(i ? ", " : "", out);
			put_scalar(out, node->items[i]);
		}
		fputc(']', out);
	} else {
		put_scalar(out, node);
	}
	put_origin(out, node, flags);
}

static json_t *json_scalar(const struct vd_conf_node *v)
{
	enum vd_opt_type type = v->opt ? v->opt->type : VD_T_STRING;

	if (conf_is_secret(v))
		return json_sprintf("%s%s", tag(v), v->style == CONF_TAG_FILE || v->style == CONF_TAG_ENV ? v->text : "");
	if (type == VD_T_BOOL)
		return json_boolean(v->number);
	if (type == VD_T_UINT)
		return json_integer((json_int_t)v->number);
	return json_string(v->text ? v->text : "");
}

static json_t *json_node(const struct vd_conf_node *node, unsigned flags)
{
	const struct conf_schema *s;
	json_t *ret;
	char at[128];
	uint32_t i;

	if (node->kind == CONF_MAP) {
		ret = json_object();
		for (i = 0; i < node->n; i++)
			json_object_set_new(ret, node->items[i]->name, json_node(node->items[i], flags));
		for (s = node->schema ? node->schema->child : NULL; s; s = s->next)
			if (shows_default(node, s, flags))
				json_object_set_new(ret, s->name, json_node(s->def, flags));
		return ret;
	}
	if (node->kind == CONF_LIST) {
		ret = json_array();
		for (i = 0; i < node->n; i++)
			json_array_append_new(ret, json_scalar(node->items[i]));
	} else {
		ret = json_scalar(node);
	}
	if (flags & VD_CONF_ORIGINS)
		ret = json_pack("{s:o, s:s}", "value", ret, "from", vd_conf_origin(node, at, sizeof(at)));
	return ret;
}

int vd_conf_dump(const struct vd_conf *conf, unsigned flags, FILE *out)
{
	json_t *tree;
	int ret;

	if (!(flags & VD_CONF_JSON)) {
		put_children(out, conf->root, 0, flags);
		return ferror(out) ? -EIO : 0;
	}
	tree = json_node(conf->root, flags);
	if (!tree)
		return -ENOMEM;
	ret = json_dumpf(tree, out, JSON_INDENT(2)) || fputc('\n', out) == EOF ? -EIO : 0;
	json_decref(tree);
	return ret;
}
