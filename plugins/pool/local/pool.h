/* pool_local: addresses from ranges, in memory. A pool (pool.c) knows which addresses of its ranges are free; the book
 * (book.c) knows who holds which and who held it last; what belongs to one user is in reserve.c. Control thread. */
#ifndef POOL_LOCAL_H
#define POOL_LOCAL_H

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#define POOL_RANGES 8
#define POOL_PAGE 4096u        /* addresses in one piece of a bitmap, which is made when the first of them is leased */
#define POOL_RANGE_MAX (1u << 24) /* of a larger range only the first so many are leased */

struct pool_page {
	uint32_t used; /* bits set: leased, or never leased */
	uint64_t bits[POOL_PAGE / 64];
};

struct pool_range {
	struct vd_ip first, last;
	uint32_t size, cursor; /* where the search for a free address goes on, so that a freed one rests longest */
	uint32_t n_pages, leased;
	struct pool_page **pages;
};

struct pool {
	char name[VD_NAME_MAX], origin[128];
	struct pool_range ranges[POOL_RANGES];
	unsigned n_ranges;
	struct vd_ip gateways[2];       /* of IPv4 and of IPv6; family 0: no range of that kind */
	struct vd_leased_address facts; /* without the address and the gateway */
};

/* Reads pools.NAME. The pool is empty. */
int pool_read(struct pool *pool, const struct vd_conf *conf, const struct vd_conf_node *node, struct vd_error *err);
void pool_clear(struct pool *pool);
/* Our address toward the clients, of this family (AF_INET, AF_INET6). */
const struct vd_ip *pool_gateway(const struct pool *pool, int family);
/* Same ranges and gateways: leases can stay where they are. */
bool pool_same(const struct pool *a, const struct pool *b);
/* An IPv4 address that ends in .0 or .255, or our own address: never leased. */
bool pool_unusable(const struct pool *pool, const struct vd_ip *ip);
/* Marks an address; nothing happens to one outside of the ranges, or already in that state. -ENOMEM. */
int pool_mark(struct pool *pool, const struct vd_ip *ip, bool leased);
/* Takes a free address of the family (AF_INET, AF_INET6). -ENOSPC, -EAFNOSUPPORT when there is no such range, -ENOMEM. */
int pool_take(struct pool *pool, int family, struct vd_ip *ret_ip);
/* True when the address lies within the ranges, is usable and free. */
bool pool_is_free(const struct pool *pool, const struct vd_ip *ip);
bool pool_has(const struct pool *pool, const struct vd_ip *ip);
/* Addresses that can be leased at all (ranges of this family) and that are leased. */
void pool_fill(const struct pool *pool, int family, uint64_t *ret_size, uint64_t *ret_leased);

/* One grant; kept after its end as the memory of who had what, until it is the oldest of too many. */
struct lease {
	struct lease *next, *prev;    /* in order of granting, or of ending */
	struct lease *chain[3];       /* hash tables */
	uint64_t session;             /* 0: ended */
	struct vd_ip address;
	char pool[VD_NAME_MAX];
	char user[];
};

#define BOOK_ENDED_MAX 16384

struct lease_list {
	struct lease *head, *tail;
	size_t n;
};

struct lease_table {
	struct lease **slots;
	size_t size, n;
};

struct book {
	struct lease_list active, ended;
	struct lease_table tables[3]; /* by session, by address (active); by user and pool (ended) */
	uint64_t seed;
};

int book_init(struct book *book);
void book_clear(struct book *book);
/* Enters a grant. -ENOMEM. */
int book_grant(struct book *book, uint64_t session, const char *pool, const char *user, const struct vd_ip *address);
/* Enters the memory of an ended one. */
int book_remember(struct book *book, const char *pool, const char *user, const struct vd_ip *address);
/* Moves a grant to the ended ones. */
void book_end(struct book *book, struct lease *lease);
/* A grant of this session (family 0: any), or NULL. */
struct lease *book_of_session(const struct book *book, uint64_t session, int family);
struct lease *book_holder(const struct book *book, const struct vd_ip *address);
/* What this user had last from this pool in this family, or NULL. */
struct lease *book_last(const struct book *book, const char *pool, const char *user, int family);

/* An address that belongs to one user. Two sources may say different users: then it is for each of them. */
struct reservation {
	struct reservation *chain;
	struct vd_address_reserved facts;
};

struct reserve {
	struct reservation **slots;
	size_t size, n;
	uint64_t seed;
};

/* Enters it; 0 also when it is there already. -ENOMEM. */
int reserve_add(struct reserve *reserve, const struct vd_address_reserved *facts);
/* False when there was none like that. */
bool reserve_remove(struct reserve *reserve, const struct vd_address_reserved *facts);
/* Whose address it is in this pool, or NULL. Of several that one of user. */
const struct vd_address_reserved *reserve_find(const struct reserve *reserve, const char *pool,
	const struct vd_ip *address, const char *user);
void reserve_clear(struct reserve *reserve);

/* The plugin's object, for its layer (state.c). */
struct pools {
	struct pool *v;
	size_t n;
	struct book book;
	struct reserve reserve;
};
struct pool *pools_find(const struct pools *self, const char *name);
extern const struct vd_layer pool_layer;

#endif
