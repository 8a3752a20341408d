/* Objects by session id, for plugins of the PPP family: chained hash table with links inside the objects.
 * Ids come from our own allocator, so the hash needs no key. Control thread. No state of its own. */
#ifndef PPP_MAP_H
#define PPP_MAP_H

#include <viaduct/base.h>

struct ppp_map_node {
	uint64_t id;
	struct ppp_map_node *next;
};

/* Zeroed memory is an empty map. */
struct ppp_map {
	struct ppp_map_node **buckets;
	size_t size, count; /* size is a power of two */
};

/* Puts the node in under its id, which the caller has made sure is not there. Memory stays the caller's. -ENOMEM. */
int ppp_map_add(struct ppp_map *map, struct ppp_map_node *node);
/* NULL when there is none. */
struct ppp_map_node *ppp_map_find(const struct ppp_map *map, uint64_t id);
/* Harmless when the node is not in. */
void ppp_map_remove(struct ppp_map *map, struct ppp_map_node *node);
/* The node with the smallest id above after; NULL at the end. Linear: for export and shutdown. */
struct ppp_map_node *ppp_map_after(const struct ppp_map *map, uint64_t after);
/* Any node, or NULL when empty: for taking all out one by one. */
struct ppp_map_node *ppp_map_any(const struct ppp_map *map);
/* Frees the table; the nodes are the caller's. */
void ppp_map_fini(struct ppp_map *map);

#endif
