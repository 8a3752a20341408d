/* Viaduct: a hash table of embedded nodes with a fixed number of buckets: nothing is allocated after dp_map_init, so
 * workers may add and remove. Keys are numbers that we chose ourselves (ids, SPIs), never a peer's. */
#ifndef CORE_DATAPATH_MAP_H
#define CORE_DATAPATH_MAP_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

struct dp_node {
	struct dp_node *next;
	uint64_t key;
};

struct dp_map {
	struct dp_node **bucket;
	uint32_t mask, n;
};

static inline int dp_map_init(struct dp_map *m, uint32_t buckets)
{
	m->bucket = calloc(buckets, sizeof(*m->bucket));
	m->mask = buckets - 1;
	m->n = 0;
	return m->bucket ? 0 : -ENOMEM;
}

static inline struct dp_node **dp_map_at(const struct dp_map *m, uint64_t key)
{
	return &m->bucket[(uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & m->mask];
}

/* The first node with this key; its successors with the same key by dp_map_same. */
static inline struct dp_node *dp_map_find(const struct dp_map *m, uint64_t key)
{
	struct dp_node *n = *dp_map_at(m, key);
	while (n && n->key != key)
		n = n->next;
	return n;
}

static inline struct dp_node *dp_map_same(const struct dp_node *node)
{
	struct dp_node *n = node->next;
	while (n && n->key != node->key)
		n = n->next;
	return n;
}

static inline void dp_map_add(struct dp_map *m, struct dp_node *node, uint64_t key)
{
	struct dp_node **at = dp_map_at(m, key);
	node->key = key;
	node->next = *at;
	*at = node;
	m->n++;
}

/* Harmless when the node is not in the table. */
static inline void dp_map_del(struct dp_map *m, struct dp_node *node)
{
	for (struct dp_node **at = dp_map_at(m, node->key); *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			m->n--;
			return;
		}
}

#endif
