/* Keyed hash tables of embedded entries. */
#include <errno.h>
#include <stdlib.h>

#include <viaduct/loop.h>

#include "core/table.h"

#define TABLE_MIN 64
#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static uint64_t load_le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with 2 and 4 rounds. */
uint64_t vd_siphash(const uint8_t secret[16], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t k0 = load_le(secret, 8), k1 = load_le(secret + 8, 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL, k0 ^ 0x6c7967656e657261ULL,
		k1 ^ 0x7465646279746573ULL };
	size_t whole = len & ~(size_t)7;

	for (size_t i = 0; i <= whole; i += 8) {
		uint64_t m = i < whole ? load_le(p + i, 8) : load_le(p + i, len - whole) | (uint64_t)len << 56;

		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct vd_entry **slot_of(const struct vd_table *t, uint64_t key)
{
	return &t->slots[vd_siphash(t->secret, &key, sizeof(key)) & (t->size - 1)];
}

void vd_table_init(struct vd_table *t)
{
	*t = (struct vd_table){ 0 };
	vd_random(t->secret, sizeof(t->secret));
}

void vd_table_fini(struct vd_table *t)
{
	free(t->slots);
	*t = (struct vd_table){ 0 };
}

static int table_grow(struct vd_table *t)
{
	struct vd_table old = *t;
	size_t size = old.size ? old.size * 2 : TABLE_MIN;
	struct vd_entry **slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	t->slots = slots;
	t->size = size;
	for (size_t i = 0; i < old.size; i++) {
		for (struct vd_entry *e = old.slots[i], *next; e; e = next) {
			struct vd_entry **slot = slot_of(t, e->key);

			next = e->next;
			e->next = *slot;
			*slot = e;
		}
	}
	free(old.slots);
	return 0;
}

int vd_table_add(struct vd_table *t, struct vd_entry *e, uint64_t key)
{
	struct vd_entry **slot;

	if (t->n >= t->size && table_grow(t) < 0 && !t->size)
		return -ENOMEM;
	slot = slot_of(t, key);
	e->key = key;
	e->next = *slot;
	*slot = e;
	t->n++;
	return 0;
}

void vd_table_del(struct vd_table *t, struct vd_entry *e)
{
	if (!t->size)
		return;
	for (struct vd_entry **at = slot_of(t, e->key); *at; at = &(*at)->next) {
		if (*at != e)
			continue;
		*at = e->next;
		e->next = NULL;
		t->n--;
		return;
	}
}

struct vd_entry *vd_table_find(const struct vd_table *t, uint64_t key)
{
	struct vd_entry *e = t->size ? *slot_of(t, key) : NULL;

	while (e && e->key != key)
		e = e->next;
	return e;
}

struct vd_entry *vd_table_again(const struct vd_entry *e)
{
	uint64_t key = e->key;
	struct vd_entry *next = e->next;

	while (next && next->key != key)
		next = next->next;
	return next;
}
