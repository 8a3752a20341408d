/* Nodes of a configuration and the arena they live in. */
#include "core/conf/conf_node.h"

#include "core/system/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/loop.h>

#define CHUNK 16384
#define INDEX_FROM 16 /* children; below that a walk is as fast */

struct conf_chunk {
	struct conf_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void *conf_alloc(struct vd_conf *conf, size_t size)
{
	struct conf_chunk *c = conf->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK ? size : CHUNK;

		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		c->used = 0;
		c->size = room;
		c->next = conf->chunks;
		conf->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return memset(p, 0, size);
}

char *conf_strndup(struct vd_conf *conf, const char *text, size_t len)
{
	char *p = conf_alloc(conf, len + 1);

	if (p && len)
		memcpy(p, text, len);
	return p;
}

struct vd_conf *conf_new(void)
{
	struct vd_conf *conf = calloc(1, sizeof(*conf));

	if (!conf)
		return NULL;
	conf->refs = 1;
	vd_random(&conf->seed, sizeof(conf->seed));
	conf->root = conf_node_new(conf, CONF_MAP, NULL);
	if (!conf->root) {
		vd_conf_unref(conf);
		return NULL;
	}
	return conf;
}

const struct vd_conf *vd_conf_ref(const struct vd_conf *conf)
{
	if (conf)
		((struct vd_conf *)conf)->refs++;
	return conf;
}

void vd_conf_unref(const struct vd_conf *c)
{
	struct vd_conf *conf = (struct vd_conf *)c;
	struct vd_conf_node *node;
	struct conf_chunk *chunk;

	if (!conf || --conf->refs)
		return;
	for (node = conf->held; node; node = node->next_held) {
		vd_secret_free(node->secret);
		if (node->opt && node->opt->type == VD_T_KEY)
			vd_keys_remove(node->number);
	}
	while ((chunk = conf->chunks)) {
		conf->chunks = chunk->next;
		free(chunk);
	}
	free(conf);
}

struct conf_file *conf_file_new(struct vd_conf *conf, const char *path, const char *dir)
{
	struct conf_file *f = conf_alloc(conf, sizeof(*f));
	const char *slash;
	size_t n = dir ? strlen(dir) : 0;
	char *d;

	if (!f || !(f->path = conf_strndup(conf, path, strlen(path))))
		return NULL;
	slash = strrchr(f->path, '/');
	f->base = slash ? slash + 1 : f->path;
	d = conf_alloc(conf, n + 2);
	if (!d)
		return NULL;
	if (n)
		memcpy(d, dir, n);
	if (n && d[n - 1] != '/')
		d[n] = '/';
	f->dir = d;
	return f;
}

struct vd_conf_node *conf_node_new(struct vd_conf *conf, enum conf_kind kind, const struct conf_file *file)
{
	struct vd_conf_node *node = conf_alloc(conf, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->name = "";
	node->file = file;
	return node;
}

/* FNV-1a, started at a random value so that names cannot be chosen to collide. */
static uint32_t hash(uint32_t seed, const char *name)
{
	uint32_t h = 2166136261u ^ seed;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return h ^ h >> 15;
}

static void index_put(struct vd_conf_node *node, uint32_t position)
{
	uint32_t i = hash(node->index_seed, node->items[position]->name);

	while (node->index[i & (node->index_size - 1)])
		i++;
	node->index[i & (node->index_size - 1)] = position + 1;
}

int conf_node_add(struct vd_conf *conf, struct vd_conf_node *node, struct vd_conf_node *child)
{
	uint32_t i;

	if (node->n == node->size) {
		uint32_t size = node->size ? node->size * 2 : 4;
		struct vd_conf_node **items = conf_alloc(conf, size * sizeof(*items));

		if (!items)
			return -ENOMEM;
		if (node->n)
			memcpy(items, node->items, node->n * sizeof(*items));
		node->items = items;
		node->size = size;
	}
	node->items[node->n++] = child;
	if (node->kind != CONF_MAP || node->n < INDEX_FROM)
		return 0;
	if (node->n * 2 <= node->index_size) {
		index_put(node, node->n - 1);
		return 0;
	}
	node->index_size = node->index_size ? node->index_size * 4 : INDEX_FROM * 4;
	node->index = conf_alloc(conf, node->index_size * sizeof(*node->index));
	if (!node->index) {
		node->index_size = 0;
		return -ENOMEM;
	}
	node->index_seed = conf->seed;
	for (i = 0; i < node->n; i++)
		index_put(node, i);
	return 0;
}

int conf_node_remove(struct vd_conf *conf, struct vd_conf_node *node, const struct vd_conf_node *child)
{
	struct vd_conf_node **items = node->items;
	uint32_t i, n = node->n;
	int err = 0;

	node->items = NULL;
	node->index = NULL;
	node->n = node->size = node->index_size = 0;
	for (i = 0; i < n && !err; i++)
		if (items[i] != child)
			err = conf_node_add(conf, node, items[i]);
	return err;
}

struct vd_conf_node *conf_node_find(const struct vd_conf_node *node, const char *name)
{
	uint32_t i;

	if (!node || node->kind != CONF_MAP)
		return NULL;
	if (node->index) {
		for (i = hash(node->index_seed, name); node->index[i & (node->index_size - 1)]; i++) {
			struct vd_conf_node *c = node->items[node->index[i & (node->index_size - 1)] - 1];

			if (!strcmp(c->name, name))
				return c;
		}
		return NULL;
	}
	for (i = 0; i < node->n; i++)
		if (!strcmp(node->items[i]->name, name))
			return node->items[i];
	return NULL;
}

const struct conf_schema *conf_schema_find(const struct conf_schema *s, const char *name)
{
	const struct conf_schema *c, *any = NULL;

	for (c = s ? s->child : NULL; c; c = c->next) {
		if (!strcmp(c->name, name) && strcmp(name, "*"))
			return c;
		if (!strcmp(c->name, "*"))
			any = c;
	}
	return any;
}

bool conf_schema_is_map(const struct conf_schema *s)
{
	return !s->opt || s->opt->type == VD_T_MAP || s->child;
}
