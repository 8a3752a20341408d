/* Large blocks of memory are used again instead of mapped anew: a world with a data path has a dozen megabytes of them, and
 * thousands of worlds are made. Linked with --wrap for malloc and its kin; AddressSanitizer sees their
 * ends, and freed ones, as before. */
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE 32768u
#define ROOM (1ul << 30)
#define PAGE 4096u
#define KINDS 64u

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

struct block {
	struct block *next; /* of its kind, while free */
	size_t size;
};
static uint8_t *room;
static size_t used;
static struct block *kinds[KINDS]; /* by size */

/* In front of each block one page, for its record. */
static void *take(size_t size)
{
	unsigned k = 0;

	if (!room) {
		room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (room == MAP_FAILED)
			abort();
	}
	for (struct block **b = kinds; k < KINDS && *b; k++, b++) {
		if ((*b)->size != size)
			continue;
		struct block *found = *b;

		*b = found->next;
		if (!*b) { /* the last of them closes the gap */
			unsigned last = k;

			while (last + 1 < KINDS && kinds[last + 1])
				last++;
			kinds[k] = kinds[last];
			kinds[last] = NULL;
		}
		void *p = (uint8_t *)found + PAGE;

		ASAN_UNPOISON_MEMORY_REGION(p, size);
		return p;
	}
	if (used + size + 3 * PAGE > ROOM)
		abort();
	struct block *fresh = (struct block *)(room + used);

	fresh->size = size;
	used += PAGE + (size + 2 * PAGE - 1) / PAGE * PAGE;
	ASAN_POISON_MEMORY_REGION((uint8_t *)fresh + PAGE + size, (size_t)(room + used - ((uint8_t *)fresh + PAGE + size)));
	return (uint8_t *)fresh + PAGE;
}

void *__wrap_malloc(size_t size)
{
	return size < LARGE ? __real_malloc(size) : take(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p;

	if (size == 0 || n < LARGE / size || n > SIZE_MAX / size)
		return __real_calloc(n, size);
	p = take(n * size);
	return memset(p, 0, n * size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return size < LARGE || alignment > PAGE ? __real_aligned_alloc(alignment, size) : take(size);
}

static bool ours(const void *p)
{
	return room && (const uint8_t *)p >= room && (const uint8_t *)p < room + ROOM;
}

void *__wrap_realloc(void *p, size_t size)
{
	const struct block *b;
	void *q;

	if (!ours(p))
		return __real_realloc(p, size);
	b = (const struct block *)((uint8_t *)p - PAGE);
	q = __wrap_malloc(size);
	if (q) {
		memcpy(q, p, size < b->size ? size : b->size);
		__wrap_free(p);
	}
	return q;
}

void __wrap_free(void *p)
{
	struct block *b;
	unsigned k = 0;

	if (!ours(p)) {
		__real_free(p);
		return;
	}
	b = (struct block *)((uint8_t *)p - PAGE);
	while (k < KINDS && kinds[k] && kinds[k]->size != b->size)
		k++;
	if (k == KINDS)
		abort();
	b->next = kinds[k];
	kinds[k] = b;
	ASAN_POISON_MEMORY_REGION(p, b->size);
}
