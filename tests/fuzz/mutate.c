/* libFuzzer's mutations, kept within one record or applied to the list of them: a length stays right when its record
 * changes, and a datagram moves as a whole. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out,
	size_t max_size, unsigned seed);

struct span {
	size_t at, len; /* whole record */
};

static unsigned spans(const uint8_t *p, size_t size, struct span *v)
{
	unsigned n = 0;

	for (size_t at = 0; n < FUZZ_RECORDS && at + 3 <= size; n++) {
		size_t len = 3 + ((size_t)p[at + 1] << 8 | p[at + 2]);

		v[n] = (struct span){ at, at + len <= size ? len : size - at };
		at += v[n].len;
	}
	return n;
}

static size_t replace(uint8_t *data, size_t size, size_t max_size, struct span at, const uint8_t *with, size_t len)
{
	if (size - at.len + len > max_size)
		return size;
	memmove(data + at.at + len, data + at.at + at.len, size - at.at - at.len);
	memcpy(data + at.at, with, len);
	return size - at.len + len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct span v[FUZZ_RECORDS];
	unsigned n = spans(data, size, v);
	static uint8_t room[65536 + 3];

	if (n == 0 || seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	struct span *s = &v[(seed >> 8) % n], *t = &v[(seed >> 16) % n];
	size_t len;

	switch (seed % 16) {
	case 1: /* another thing to do */
		data[s->at] = (uint8_t)(seed >> 24);
		return size;
	case 2: /* once more, there or elsewhere */
		memcpy(room, data + s->at, s->len);
		return replace(data, size, max_size, (struct span){ t->at, 0 }, room, s->len);
	case 3: /* not at all */
		return n > 1 ? replace(data, size, max_size, *s, room, 0) : size;
	case 4: /* some time passes */
		room[0] = FUZZ_TIME;
		room[1] = 0;
		room[2] = 2;
		room[3] = (uint8_t)((seed >> 24) & 0x0f);
		room[4] = (uint8_t)(seed >> 16);
		return replace(data, size, max_size, (struct span){ s->at, 0 }, room, 5);
	default:
		if (s->len < 3)
			return size;
		memcpy(room, data + s->at, s->len);
		len = LLVMFuzzerMutate(room + 3, s->len - 3, s->len - 3 + 64 < 4096 ? s->len - 3 + 64 : 4096);
		room[1] = (uint8_t)(len >> 8);
		room[2] = (uint8_t)len;
		return replace(data, size, max_size, *s, room, len + 3);
	}
}

/* Some records of one, then some of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out,
	size_t max_size, unsigned seed)
{
	struct span v[FUZZ_RECORDS];
	unsigned n = spans(a, a_len, v);
	size_t head = n ? v[(seed >> 8) % n].at : 0, from = 0;

	n = spans(b, b_len, v);
	from = n ? v[(seed >> 16) % n].at : 0;
	if (head > max_size)
		head = max_size;
	size_t tail = b_len - from < max_size - head ? b_len - from : max_size - head;
	memcpy(out, a, head);
	memcpy(out + head, b + from, tail);
	return head + tail;
}
