/* Inside the core: the registries of peers, channels and sessions, and what they are built from. Control thread. */
#ifndef CORE_OBJECT_H
#define CORE_OBJECT_H

#include <viaduct/bytes.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>

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

/* ---- timelines ---- */
#define VD_TIMELINE_MAX 64
struct vd_moment {
	uint64_t at, wall; /* vd_now(), vd_wall() */
	char *text;
};
/* Zeroed is empty. Moment i (0 = oldest) is v[(first + i) % VD_TIMELINE_MAX]. */
struct vd_timeline {
	struct vd_moment *v;
	uint8_t first, n;
	uint64_t forgotten; /* entries that were overwritten */
};
void vd_timeline_add(struct vd_timeline *t, const char *fmt, va_list ap);
void vd_timeline_clear(struct vd_timeline *t);
/* The timeline of an object ('p', 'c', 's'), NULL when the object does not exist. Valid during the callback. */
const struct vd_timeline *vd_timeline_find(char letter, uint64_t id);

/* ---- registries ---- */
/* Registers layer core.objects. After the loop and the bus, before plugins. */
int vd_objects_init(void);
/* Frees all records without posting anything, and forgets all layers. After vd_sessions_fini and the last plugin's
 * fini, when the FIFO is empty. */
void vd_objects_fini(void);

/* Iteration in the order of ids: the first after id (0: from the start), NULL at the end. */
struct vd_peer *vd_peer_after(const struct vd_peer *peer);
struct vd_chan_info *vd_chan_after(const struct vd_chan_info *chan);
size_t vd_peer_count(void);
size_t vd_chan_count(void);
/* Why it is being closed; NULL while it is not. */
const char *vd_peer_closing(uint64_t id);
/* True when it takes no new sessions: unknown, going, or its peer is. */
bool vd_chan_closing(uint64_t id);

/* The head of the list of sessions on a channel (struct vd_link in the session); NULL when the channel is unknown. */
struct vd_link *vd_chan_sessions(uint64_t chan);
/* Told by session.c after a session left a channel's list, so that closing can go on. */
void vd_chan_session_left(uint64_t chan);

/* How the core's layers write addresses and texts (u16 length, octets). Reading marks r failed when it does not fit. */
void vd_sa_write(struct vd_wr *w, const struct vd_sa *sa);
void vd_sa_read(struct vd_rd *r, struct vd_sa *ret_sa);
void vd_text_write(struct vd_wr *w, const char *text);
void vd_text_read(struct vd_rd *r, char *out, size_t size);

#endif
