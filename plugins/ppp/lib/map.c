/* Objects by session id. */
#include "map.h"

#include <errno.h>
#include <stdlib.h>

static struct ppp_map_node **bucket(const struct ppp_map *map, uint64_t id)
{
	return &map->buckets[(id ^ id >> 32) & (map->size - 1)];
}

static int grow(struct ppp_map *map)
{
	struct ppp_map old = *map;
	struct ppp_map_node **buckets;
	size_t size = old.size ? old.size * 2 : 16;

	buckets = calloc(size, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	map->buckets = buckets;
	map->size = size;
	for (size_t i = 0; i < old.size; i++)
		for (struct ppp_map_node *n = old.buckets[i], *next; n; n = next) {
			struct ppp_map_node **at = bucket(map, n->id);

			next = n->next;
			n->next = *at;
			*at = n;
		}
	free(old.buckets);
	return 0;
}

int ppp_map_add(struct ppp_map *map, struct ppp_map_node *node)
{
	struct ppp_map_node **at;

	if (map->count >= map->size) {
		int r = grow(map);

		/* A fuller table is slower, not wrong. */
		if (r < 0 && !map->size)
			return r;
	}
	at = bucket(map, node->id);
	node->next = *at;
	*at = node;
	map->count++;
	return 0;
}

struct ppp_map_node *ppp_map_find(const struct ppp_map *map, uint64_t id)
{
	if (!map->size)
		return NULL;
	for (struct ppp_map_node *n = *bucket(map, id); n; n = n->next)
		if (n->id == id)
			return n;
	return NULL;
}

void ppp_map_remove(struct ppp_map *map, struct ppp_map_node *node)
{
	if (!map->size)
		return;
	for (struct ppp_map_node **at = bucket(map, node->id); *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			node->next = NULL;
			map->count--;
			return;
		}
}

struct ppp_map_node *ppp_map_after(const struct ppp_map *map, uint64_t after)
{
	struct ppp_map_node *best = NULL;

	for (size_t i = 0; i < map->size; i++)
		for (struct ppp_map_node *n = map->buckets[i]; n; n = n->next)
			if (n->id > after && (!best || n->id < best->id))
				best = n;
	return best;
}

struct ppp_map_node *ppp_map_any(const struct ppp_map *map)
{
	for (size_t i = 0; i < map->size; i++)
		if (map->buckets[i])
			return map->buckets[i];
	return NULL;
}

void ppp_map_fini(struct ppp_map *map)
{
	free(map->buckets);
	*map = (struct ppp_map){ 0 };
}
