/* Who holds which address, and who held it last. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/loop.h>

enum { BY_SESSION, BY_ADDRESS, BY_USER, BY_MEMORY, N_TABLES };
_Static_assert(N_TABLES == BOOK_TABLES, "pool.h has as many");

/* FNV-1a from a random start. */
static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len--)
		h = (h ^ *p++) * 1099511628211u;
	return h ^ h >> 29;
}

static uint64_t hash_session(const struct book *b, uint64_t session)
{
	return mix(b->seed, &session, sizeof(session));
}

static uint64_t hash_address(const struct book *b, const struct vd_ip *ip)
{
	return mix(b->seed, ip->a, sizeof(ip->a));
}

static uint64_t hash_user(const struct book *b, const char *pool, const char *user)
{
	return mix(mix(b->seed, pool, strlen(pool) + 1), user, strlen(user));
}

static uint64_t hash_of(const struct book *b, int which, const struct lease *l)
{
	return which == BY_SESSION ? hash_session(b, l->session) :
	       which == BY_USER    ? hash_user(b, l->pool, l->user) :
				     hash_address(b, &l->address);
}

static int grow(struct book *b, int which)
{
	struct lease_table *t = &b->tables[which], bigger = { .size = t->size ? t->size * 2 : 64, .n = t->n };
	struct lease *l, *next;
	size_t i, k;

	if (t->n < t->size)
		return 0;
	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (i = 0; i < t->size; i++) {
		for (l = t->slots[i]; l; l = next) {
			next = l->chain[which];
			k = hash_of(b, which, l) & (bigger.size - 1);
			l->chain[which] = bigger.slots[k];
			bigger.slots[k] = l;
		}
	}
	free(t->slots);
	*t = bigger;
	return 0;
}

static struct lease *slot(const struct book *b, int which, uint64_t hash)
{
	const struct lease_table *t = &b->tables[which];

	return t->size ? t->slots[hash & (t->size - 1)] : NULL;
}

/* There is room: grow was called. */
static void enter(struct book *b, int which, struct lease *l)
{
	struct lease_table *t = &b->tables[which];
	size_t k = hash_of(b, which, l) & (t->size - 1);

	l->chain[which] = t->slots[k];
	t->slots[k] = l;
	t->n++;
}

static void leave(struct book *b, int which, struct lease *l)
{
	struct lease_table *t = &b->tables[which];
	struct lease **at = &t->slots[hash_of(b, which, l) & (t->size - 1)];

	while (*at != l)
		at = &(*at)->chain[which];
	*at = l->chain[which];
	t->n--;
}

static void append(struct lease_list *list, struct lease *l)
{
	l->prev = list->tail;
	l->next = NULL;
	*(list->tail ? &list->tail->next : &list->head) = l;
	list->tail = l;
	list->n++;
}

static void take_out(struct lease_list *list, struct lease *l)
{
	*(l->prev ? &l->prev->next : &list->head) = l->next;
	*(l->next ? &l->next->prev : &list->tail) = l->prev;
	list->n--;
}

int book_init(struct book *book)
{
	int which, err = 0;

	memset(book, 0, sizeof(*book));
	vd_random_seen("pool", &book->seed, sizeof(book->seed));
	for (which = 0; which < N_TABLES && !err; which++)
		err = grow(book, which);
	if (err)
		book_clear(book);
	return err;
}

void book_clear(struct book *book)
{
	struct lease *l;
	int i;

	while ((l = book->active.head)) {
		take_out(&book->active, l);
		free(l->end);
		free(l);
	}
	while ((l = book->ended.head)) {
		take_out(&book->ended, l);
		free(l);
	}
	for (i = 0; i < N_TABLES; i++)
		free(book->tables[i].slots);
	memset(book, 0, sizeof(*book));
}

static struct lease *lease_new(const char *pool, const char *user, const struct vd_ip *address)
{
	struct lease *l = calloc(1, sizeof(*l) + strlen(user) + 1);

	if (!l)
		return NULL;
	strcpy(l->user, user);
	vd_strcpy(l->pool, sizeof(l->pool), pool);
	l->address = *address;
	return l;
}

static void forget(struct book *b, struct lease *l)
{
	leave(b, BY_USER, l);
	leave(b, BY_MEMORY, l);
	take_out(&b->ended, l);
	free(l);
}

static void add_ended(struct book *b, struct lease *l)
{
	struct lease *old = book_last(b, l->pool, l->user, l->address.family);

	if (old)
		forget(b, old);
	if (b->ended.n >= BOOK_ENDED_MAX)
		forget(b, b->ended.head);
	append(&b->ended, l);
	enter(b, BY_USER, l);
	enter(b, BY_MEMORY, l);
}

int book_grant(struct book *b, uint64_t session, const char *pool, const char *user, const struct vd_ip *address)
{
	struct lease *l;

	/* Room in all tables now, so that ending it cannot fail. */
	if (grow(b, BY_SESSION) || grow(b, BY_ADDRESS) || !(l = lease_new(pool, user, address)))
		return -ENOMEM;
	l->session = session;
	append(&b->active, l);
	enter(b, BY_SESSION, l);
	enter(b, BY_ADDRESS, l);
	return 0;
}

int book_remember(struct book *b, const char *pool, const char *user, const struct vd_ip *address)
{
	struct lease *l = lease_new(pool, user, address);

	if (!l || grow(b, BY_USER) || grow(b, BY_MEMORY)) {
		free(l);
		return -ENOMEM;
	}
	add_ended(b, l);
	return 0;
}

static void strike(struct book *b, struct lease *l)
{
	leave(b, BY_SESSION, l);
	leave(b, BY_ADDRESS, l);
	take_out(&b->active, l);
	free(l->end);
	l->end = NULL;
	l->session = 0;
}

void book_revoke(struct book *b, struct lease *l)
{
	strike(b, l);
	free(l);
}

void book_forget_ended(struct book *b)
{
	while (b->ended.head)
		forget(b, b->ended.head);
}

void book_end(struct book *b, struct lease *l)
{
	strike(b, l);
	if (l->user[0]) {
		/* Without memory the chains only get longer: init made the first tables. */
		grow(b, BY_USER);
		grow(b, BY_MEMORY);
		add_ended(b, l);
	} else {
		free(l);
	}
}

struct lease *book_of_session(const struct book *b, uint64_t session, int family)
{
	struct lease *l = slot(b, BY_SESSION, hash_session(b, session));

	while (l && (l->session != session || (family && l->address.family != family)))
		l = l->chain[BY_SESSION];
	return l;
}

bool book_unsaved(const struct book *b)
{
	const struct lease *l;

	for (l = b->active.tail; l; l = l->prev)
		if (l->unsaved)
			return true;
	return false;
}

struct lease *book_holder(const struct book *b, const struct vd_ip *address)
{
	struct lease *l = slot(b, BY_ADDRESS, hash_address(b, address));

	while (l && !vd_ip_equal(&l->address, address))
		l = l->chain[BY_ADDRESS];
	return l;
}

struct lease *book_last(const struct book *b, const char *pool, const char *user, int family)
{
	struct lease *l = slot(b, BY_USER, hash_user(b, pool, user));

	while (l && (l->address.family != family || strcmp(l->pool, pool) || strcmp(l->user, user)))
		l = l->chain[BY_USER];
	return l;
}

bool book_remembers(const struct book *b, const struct vd_ip *address)
{
	struct lease *l = slot(b, BY_MEMORY, hash_address(b, address));

	while (l && !vd_ip_equal(&l->address, address))
		l = l->chain[BY_MEMORY];
	return l;
}
