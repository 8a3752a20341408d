/* What plugins read from a configuration. */
#include "core/conf/conf_node.h"

#include <string.h>

/* The step from node and its schema to the child of this name. */
static void step(const struct vd_conf_node **node, const struct conf_schema **schema, const char *name)
{
	*node = conf_node_find(*node, name);
	*schema = *node ? (*node)->schema : conf_schema_find(*schema, name);
}

/* Without defaults when written_only. */
static const struct vd_conf_node *walk(const struct vd_conf *conf, const struct vd_conf_node *from, const char *path,
	bool written_only)
{
	const struct vd_conf_node *node = from ? from : conf ? conf->root : NULL;
	const struct conf_schema *schema = node ? node->schema : NULL;
	char name[CONF_TEXT_MAX + 1];
	size_t n;

	while (*path && schema) {
		n = strcspn(path, ".");
		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		step(&node, &schema, name);
		path += n + (path[n] == '.');
	}
	if (*path || node || written_only)
		return *path ? NULL : node;
	return schema ? schema->def : NULL;
}

const struct vd_conf_node *vd_conf_at(const struct vd_conf *conf, const struct vd_conf_node *from, const char *path)
{
	return walk(conf, from, path, false);
}

const struct vd_conf_node *vd_conf_child(const struct vd_conf_node *node, const char *name)
{
	return conf_node_find(node, name);
}

const struct vd_conf_node *vd_conf_knob(const struct vd_conf *conf, const char *connection, const char *section,
	const char *option)
{
	const struct vd_conf_node *node = NULL;
	char own[CONF_PATH_MAX], shared[CONF_PATH_MAX];

	vd_format(own, sizeof(own), "connections.%s.%s.%s", connection ? connection : "*", section, option);
	vd_format(shared, sizeof(shared), "%s.%s", section, option);
	if (connection)
		node = walk(conf, NULL, own, true);
	if (!node)
		node = walk(conf, NULL, shared, true);
	if (!node)
		node = walk(conf, NULL, shared, false);
	return node ? node : walk(conf, NULL, own, false);
}

size_t vd_conf_count(const struct vd_conf_node *node)
{
	return node && (node->kind == CONF_MAP || node->kind == CONF_LIST) ? node->n : 0;
}

const struct vd_conf_node *vd_conf_nth(const struct vd_conf_node *node, size_t i)
{
	return i < vd_conf_count(node) ? node->items[i] : NULL;
}

const char *vd_conf_name(const struct vd_conf_node *node)
{
	return node ? node->name : NULL;
}

/* The scalar that a getter means: a list's first item. */
static const struct vd_conf_node *scalar(const struct vd_conf_node *node)
{
	if (node && node->kind == CONF_LIST)
		node = vd_conf_nth(node, 0);
	return node && node->kind == CONF_SCALAR ? node : NULL;
}

static const struct vd_conf_node *typed(const struct vd_conf_node *node, enum vd_opt_type type)
{
	node = scalar(node);
	return node && node->opt && node->opt->type == type ? node : NULL;
}

bool vd_conf_bool(const struct vd_conf_node *node)
{
	node = typed(node, VD_T_BOOL);
	return node && node->number;
}

uint64_t vd_conf_uint(const struct vd_conf_node *node)
{
	node = scalar(node);
	return node && node->opt && node->opt->type != VD_T_KEY ? node->number : 0;
}

const char *vd_conf_str(const struct vd_conf_node *node)
{
	node = scalar(node);
	return node ? node->text : NULL;
}

const struct vd_ip *vd_conf_ip(const struct vd_conf_node *node)
{
	node = typed(node, VD_T_ADDR);
	return node ? &node->ip : NULL;
}

const struct vd_prefix *vd_conf_prefix(const struct vd_conf_node *node)
{
	node = typed(node, VD_T_PREFIX);
	return node && node->prefix.ip.family ? &node->prefix : NULL;
}

bool vd_conf_range(const struct vd_conf_node *node, struct vd_ip *ret_first, struct vd_ip *ret_last)
{
	node = typed(node, VD_T_RANGE);
	if (!node)
		return false;
	*ret_first = node->ip;
	*ret_last = node->ip_last;
	return true;
}

struct vd_secret *vd_conf_secret(const struct vd_conf_node *node)
{
	node = typed(node, VD_T_SECRET);
	return node ? node->secret : NULL;
}

uint64_t vd_conf_key(const struct vd_conf_node *node)
{
	node = typed(node, VD_T_KEY);
	return node ? node->number : 0;
}

const char *vd_conf_odd(const struct vd_conf_node *node)
{
	node = scalar(node);
	return node ? node->odd : NULL;
}

bool vd_conf_written(const struct vd_conf_node *node)
{
	return node && !node->is_default;
}

char *vd_conf_origin(const struct vd_conf_node *node, char *out, size_t size)
{
	if (!vd_conf_written(node) || !node->file)
		vd_strcpy(out, size, "default");
	else
		vd_format(out, size, "%s:%u", node->file->base, node->key_line ? node->key_line : node->line);
	return out;
}
