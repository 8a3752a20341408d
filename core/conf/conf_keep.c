/* Values of the old configuration that stay in force in the new one, because only a restart changes them. */
#include "core/conf/conf_node.h"

#include "core/system/keys.h"

#include <errno.h>
#include <string.h>

/* The octets behind a value that is a secret, once more. */
static bool hold_again(struct vd_conf *conf, struct vd_conf_node *copy, const struct vd_conf_node *v)
{
	struct vd_secret *key = v->opt && v->opt->type == VD_T_KEY ? vd_keys_get(v->number) : NULL;

	copy->secret = NULL;
	copy->next_held = NULL;
	if (!v->secret && !key)
		return true;
	if (v->secret)
		copy->secret = vd_secret_ref(v->secret);
	else
		copy->number = vd_keys_add(vd_secret_data(key), vd_secret_len(key));
	if (!copy->secret && !copy->number)
		return false;
	copy->next_held = conf->held;
	conf->held = copy;
	return true;
}

static struct vd_conf_node *copy_node(struct vd_conf *conf, const struct vd_conf_node *v, const struct conf_schema *s)
{
	struct vd_conf_node *copy = conf_alloc(conf, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *v;
	copy->items = NULL;
	copy->index = NULL;
	copy->n = copy->size = copy->index_size = 0;
	copy->schema = s;
	if (!hold_again(conf, copy, v) || !(copy->name = conf_strndup(conf, v->name, strlen(v->name))) ||
		(v->text && !(copy->text = conf_strndup(conf, v->text, strlen(v->text)))) ||
		(v->file && !(copy->file = conf_file_new(conf, v->file->path, v->file->dir))))
		return NULL;
	for (uint32_t i = 0; i < v->n; i++) {
		const struct vd_conf_node *child = v->items[i];
		struct vd_conf_node *one = copy_node(conf, child, v->kind == CONF_MAP ? conf_schema_find(s, child->name) : s);

		if (!one || conf_node_add(conf, copy, one) < 0)
			return NULL;
	}
	return copy;
}

static struct vd_conf_node *map_new(struct vd_conf *conf, struct vd_conf_node *parent, const char *name,
	const struct conf_schema *s)
{
	struct vd_conf_node *map = conf_node_new(conf, CONF_MAP, NULL);

	if (!map || !(map->name = conf_strndup(conf, name, strlen(name))) || conf_node_add(conf, parent, map) < 0)
		return NULL;
	map->schema = s;
	map->opt = s ? s->opt : NULL;
	map->is_default = true;
	return map;
}

/* v, of the old configuration, at this path; NULL: nothing is there. */
static int put(struct vd_conf *conf, const char *path, const struct vd_conf_node *v)
{
	struct vd_conf_node *map = conf->root, *child, *copy;
	const struct conf_schema *s = conf->schema;
	char name[CONF_TEXT_MAX + 1];
	size_t n;

	for (;; path += n + 1) {
		n = strcspn(path, ".");
		vd_format(name, sizeof(name), "%.*s", (int)n, path);
		child = conf_node_find(map, name);
		s = conf_schema_find(s, name);
		if (!path[n])
			break;
		if (!child && !v)
			return 0;
		map = child ? child : map_new(conf, map, name, s);
		if (!map)
			return -ENOMEM;
	}
	if (!v)
		return child ? conf_node_remove(conf, map, child) : 0;
	copy = copy_node(conf, v, s);
	if (!copy)
		return -ENOMEM;
	if (!child)
		return conf_node_add(conf, map, copy);
	for (uint32_t i = 0; i < map->n; i++)
		if (map->items[i] == child)
			map->items[i] = copy;
	return 0;
}

int vd_conf_keep(struct vd_conf *next, const struct vd_conf *old, const struct vd_plan *plan)
{
	char path[CONF_PATH_MAX];
	int ret = 0;

	for (size_t i = 0; i < plan->n && !ret; i++) {
		const struct vd_plan_row *row = &plan->v[i];
		const struct vd_conf_node *v;

		/* Whole objects come and go; whoever names one must find it. */
		if (row->effect != VD_PLAN_RESTART || row->whole || !*row->key)
			continue;
		vd_format(path, sizeof(path), "%s.%s", row->object, row->key);
		v = vd_conf_at(old, NULL, path);
		ret = put(next, path, vd_conf_written(v) ? v : NULL);
	}
	return ret;
}
