/* pool_local: addresses from ranges. A pool (pool.c) knows which addresses of its ranges are free; the book (book.c) knows
 * who holds which and who held it last; what belongs to one user is in reserve.c. All three are in memory and decide; the
 * writer (writer.c) brings what they decided into a file (store.h) before anybody is told. Control thread. */
#ifndef POOL_LOCAL_H
#define POOL_LOCAL_H

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#include "plugins/pool/local/store.h"

#define POOL_RANGES 8
#define POOL_PAGE 4096u        /* addresses in one piece of a bitmap, which is made when the first of them is leased */
#define POOL_RANGE_MAX (1u << 24) /* of a larger range only the first so many are leased */

struct pool_page {
	uint32_t used; /* bits set: leased, or never leased */
	uint64_t bits[POOL_PAGE / 64];
};

/* Addresses; or (net) networks of IPv6, each written as its first address, whose last 64 bits are zero. As no host has such
 * an address (RFC 4291 section 2.6.1) the two cannot be taken for each other. */
struct pool_range {
	struct vd_ip first, last;
	bool net;
	uint32_t size, cursor; /* where the search for a free address goes on, so that a freed one rests longest */
	uint32_t n_pages, leased;
	struct pool_page **pages;
};

struct pool {
	char name[VD_NAME_MAX], origin[128];
	struct pool_range ranges[POOL_RANGES];
	unsigned n_ranges;
	struct vd_ip gateways[2];       /* of IPv4 and of IPv6; family 0: no range of that family */
	struct vd_leased_address facts; /* without the address and the gateway */
};

/* Reads pools.NAME. The pool is empty. */
int pool_read(struct pool *pool, const struct vd_conf *conf, const struct vd_conf_node *node, struct vd_error *err);
/* All pools of vd_conf_current(), empty, with a finding of the running check for everything that is wrong with them. A negative errno
 * with err: one cannot be read. *ret_v, *ret_n are then also to be freed. Nothing is returned with -ENOMEM. */
int pools_judge(struct pool **ret_v, size_t *ret_n, struct vd_error *err);
void pool_clear(struct pool *pool);
/* Our address toward the clients, of this family (AF_INET, AF_INET6). */
const struct vd_ip *pool_gateway(const struct pool *pool, int family);
/* Same ranges and gateways: leases can stay where they are. */
bool pool_same(const struct pool *a, const struct pool *b);
/* One network of IPv6, 64 bits long. */
bool pool_is_net(const struct vd_ip *ip);
/* An IPv4 address that ends in .0 or .255, our own address, or the network it is in: never leased. */
bool pool_unusable(const struct pool *pool, const struct vd_ip *ip);
/* Marks an address; nothing happens to one outside of the ranges, or already in that state. -ENOMEM. */
int pool_mark(struct pool *pool, const struct vd_ip *ip, bool leased);
/* Takes a free address of the family (AF_INET, AF_INET6), or a free network. -ENOSPC, -EAFNOSUPPORT when there is no such
 * range, -ENOMEM. */
int pool_take(struct pool *pool, int family, bool net, struct vd_ip *ret_ip);
/* True when the address lies within the ranges, is usable and free. */
bool pool_is_free(const struct pool *pool, const struct vd_ip *ip);
bool pool_has(const struct pool *pool, const struct vd_ip *ip);
/* Addresses or networks that can be leased at all (ranges of this family) and that are leased. */
void pool_fill(const struct pool *pool, int family, bool net, uint64_t *ret_size, uint64_t *ret_leased);

#define BOOK_TABLES 4

/* One grant; kept after its end as the memory of who had what, until it is the oldest of too many. */
struct lease {
	struct lease *next, *prev;    /* in order of granting, or of ending */
	struct lease *chain[BOOK_TABLES];
	uint64_t session;             /* 0: ended */
	struct store_op *end;         /* what will tell the store of its end; NULL without a store */
	bool unsaved;                 /* the store does not have it: nobody was told */
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
	struct lease_table tables[BOOK_TABLES]; /* by session, by address (active); by user and pool, by address (ended) */
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
/* A grant that nobody was told of: as if it had never been. */
void book_revoke(struct book *book, struct lease *lease);
/* True when the store does not have all grants. */
bool book_unsaved(const struct book *book);
/* Forgets all ended ones. */
void book_forget_ended(struct book *book);
/* A grant of this session (family 0: any), or NULL. */
struct lease *book_of_session(const struct book *book, uint64_t session, int family);
struct lease *book_holder(const struct book *book, const struct vd_ip *address);
/* What this user had last from this pool in this family, or NULL. */
struct lease *book_last(const struct book *book, const char *pool, const char *user, int family);

/* Somebody had the address last. */
bool book_remembers(const struct book *book, const struct vd_ip *address);

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

struct writer;

/* The plugin's object. */
struct pools {
	struct pool *v;
	size_t n;
	struct book book;
	struct reserve reserve;
	struct pool_told *told;
	size_t n_idle;         /* of these: not in the configuration any more */
	struct writer *writer; /* NULL: nothing is kept in a file, and every answer is given at once */
};
/* Tells the others of the pools as they are now: what is new, and what is gone and nobody has an address of. */
void pools_tell(struct pools *self);
/* A lease ended, or (all) the plugin stops: what was told for its sake alone is taken back. */
void pools_told_release(struct pools *self, bool all);
void pools_told_forget(struct pools *self);
struct pool *pools_find(const struct pools *self, const char *name);
/* Whatever the ranges say: an address that belongs to nobody any more may be leased again. */
void pools_unmark(struct pools *self, const struct vd_ip *ip);
/* The answer for who asked for this session: its address, or err, or that there is none. */
void pools_answer(struct pools *self, uint64_t ticket, uint64_t session, int family, const struct vd_error *err);
extern const struct vd_layer pool_layer;

/* Brings changes of the book into the store, in order, as few commits as there are rounds of the disk; a thread of its own
 * waits for them. Of the file that is there, what users had last goes into the book. */
int writer_open(struct pools *self, const char *folder, struct vd_error *err);
/* After the last change: writes what is left. */
void writer_close(struct writer *writer);
/* The lease was entered. Who holds the ticket (0: nobody) gets his answer when it is on the disk; when it cannot be
 * written it is revoked. -ENOMEM, -ENOBUFS when the disk is too far behind, with err; then the caller revokes it. Without
 * a writer these four do nothing. */
int writer_grant(struct writer *writer, struct lease *lease, uint64_t ticket, struct vd_error *err);
/* Somebody asks again for what is not written yet. */
int writer_wait(struct writer *writer, const struct lease *lease, uint64_t ticket, struct vd_error *err);
/* The lease is about to end. */
void writer_end(struct writer *writer, struct lease *lease);
/* All that is in the file, replaced by all that is in the book. */
int writer_replace(struct writer *writer, struct vd_error *err);

#endif
