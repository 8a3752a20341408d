/* Inside the core: lists and keyed hash tables of embedded entries. A table belongs to one thread. */
#ifndef CORE_TABLE_H
#define CORE_TABLE_H

#include <viaduct/base.h>

/* ---- circular lists; a head is a link that points at itself ---- */
struct vd_link {
	struct vd_link *prev, *next;
};

static inline void vd_link_init(struct vd_link *l)
{
	l->prev = l->next = l;
}

/* Appends l at the end of the list. */
static inline void vd_link_add(struct vd_link *head, struct vd_link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Takes l out; harmless when it is in no list but was initialised. */
static inline void vd_link_del(struct vd_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	vd_link_init(l);
}

static inline bool vd_link_empty(const struct vd_link *head)
{
	return head->next == head;
}

/* ---- hash tables of embedded entries, keyed with SipHash so that a peer cannot choose collisions ---- */
struct vd_entry {
	struct vd_entry *next;
	uint64_t key;
};

struct vd_table {
	struct vd_entry **slots;
	size_t n, size; /* size is a power of two, 0 before the first entry */
	uint8_t secret[16];
};

/* SipHash-2-4 of data under a secret of 16 octets. */
uint64_t vd_siphash(const uint8_t secret[16], const void *data, size_t len);
/* An empty table with a fresh random secret; takes no memory yet. */
void vd_table_init(struct vd_table *t);
/* Frees the table, not the entries. */
void vd_table_fini(struct vd_table *t);
/* Several entries may have the same key. -ENOMEM when a first allocation fails; a failed growth only makes it slower. */
int vd_table_add(struct vd_table *t, struct vd_entry *e, uint64_t key);
/* Harmless for an entry that is not there. */
void vd_table_del(struct vd_table *t, struct vd_entry *e);
/* The first entry with that key, and the next one after e; NULL when there is none. */
struct vd_entry *vd_table_find(const struct vd_table *t, uint64_t key);
struct vd_entry *vd_table_again(const struct vd_entry *e);

#endif
