/* Viaduct: a bounded ring of records of any length between one writing and one reading thread, and the way a writer wakes
 * a sleeping reader. Records are copied in and read in place, so that no buffer ever changes its owner.
 *
 * Dekker's pattern between writer (publish, then look whether the reader sleeps) and reader (say that it sleeps, then
 * look for records) needs sequential consistency on exactly these accesses; elsewhere acquire and release do.
 */
#ifndef CORE_DATAPATH_RING_H
#define CORE_DATAPATH_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define DP_RING_SKIP UINT32_MAX /* the rest of the room up to its end is unused */

struct dp_rec {
	uint32_t len;  /* octets behind this header, or DP_RING_SKIP */
	uint32_t kind; /* for the user */
};

struct dp_ring {
	uint8_t *room;
	size_t size; /* a power of two */
	_Alignas(64) _Atomic size_t head; /* written by the writer: octets ever put in */
	size_t open;                      /* writer: head after the record being written */
	_Alignas(64) _Atomic size_t tail; /* written by the reader: octets ever taken out */
};

struct dp_wake {
	int fd;              /* eventfd; -1 in inline mode */
	_Atomic int asleep;
};

static inline size_t dp_ring_step(size_t len)
{
	return (sizeof(struct dp_rec) + len + 7) & ~(size_t)7;
}

/* Writer: room for len octets, or NULL when fewer than keep octets would stay free behind it. Valid until the commit; a
 * second reserve without commit replaces the first. */
static inline void *dp_ring_reserve(struct dp_ring *r, uint32_t kind, size_t len, size_t keep)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	size_t at = head & (r->size - 1), step = dp_ring_step(len), skip = 0;
	if (step > r->size - at)
		skip = r->size - at;
	if (len >= r->size || skip + step + keep > r->size - (head - tail))
		return NULL;
	if (skip) {
		struct dp_rec pad = { DP_RING_SKIP, 0 };
		memcpy(r->room + at, &pad, sizeof(pad));
		at = 0;
	}
	struct dp_rec rec = { (uint32_t)len, kind };
	memcpy(r->room + at, &rec, sizeof(rec));
	r->open = head + skip + step;
	return r->room + at + sizeof(rec);
}

/* Writer: makes the reserved record visible. */
static inline void dp_ring_commit(struct dp_ring *r)
{
	atomic_store_explicit(&r->head, r->open, memory_order_seq_cst);
}

/* Reader: the oldest record, NULL when there is none. Valid until dp_ring_pop. */
static inline void *dp_ring_peek(struct dp_ring *r, uint32_t *ret_kind, size_t *ret_len)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	for (;;) {
		if (atomic_load_explicit(&r->head, memory_order_acquire) == tail)
			return NULL;
		size_t at = tail & (r->size - 1);
		struct dp_rec rec;
		memcpy(&rec, r->room + at, sizeof(rec));
		if (rec.len != DP_RING_SKIP) {
			*ret_kind = rec.kind;
			*ret_len = rec.len;
			return r->room + at + sizeof(rec);
		}
		tail += r->size - at;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
}

/* Reader: done with the record that dp_ring_peek gave. */
static inline void dp_ring_pop(struct dp_ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct dp_rec rec;
	memcpy(&rec, r->room + (tail & (r->size - 1)), sizeof(rec));
	atomic_store_explicit(&r->tail, tail + dp_ring_step(rec.len), memory_order_release);
}

/* Reader, after it said that it sleeps. */
static inline bool dp_ring_empty(struct dp_ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_seq_cst) ==
	       atomic_load_explicit(&r->tail, memory_order_relaxed);
}

/* Writer, after a commit: one write to the eventfd, only when the reader sleeps. */
static inline void dp_wake(struct dp_wake *wake)
{
	if (atomic_load_explicit(&wake->asleep, memory_order_seq_cst) &&
		atomic_exchange_explicit(&wake->asleep, 0, memory_order_seq_cst) && wake->fd >= 0) {
		uint64_t one = 1;
		ssize_t n = write(wake->fd, &one, sizeof(one));
		(void)n; /* the counter cannot overflow: one write per sleep */
	}
}

#endif
