/* Viaduct: the anti-replay window without bit shifting (RFC 6479), owned by one worker. */
#include "esp.h"

static uint32_t possible(uint32_t size)
{
	return size < 64 ? 64 : size > ESP_WINDOW_MAX ? ESP_WINDOW_MAX : size;
}

uint32_t esp_window_words(uint32_t size)
{
	uint32_t words = 2;
	/* One word is always partly outside the window. */
	while (words * 64 < possible(size) + 64)
		words *= 2;
	return words;
}

void esp_window_init(struct esp_window *w, uint32_t size, uint64_t *bits)
{
	*w = (struct esp_window){ .size = possible(size), .words = esp_window_words(size), .bits = bits };
}

static bool bit(const struct esp_window *w, uint64_t seq)
{
	return w->bits[(seq >> 6) & (w->words - 1)] >> (seq & 63) & 1;
}

uint64_t esp_window_infer(const struct esp_window *w, uint32_t lo)
{
	uint64_t top_hi = w->top >> 32;
	uint32_t top_lo = (uint32_t)w->top, bottom = top_lo - (w->size - 1); /* wraps when the window spans two halves */
	if (top_lo >= w->size - 1) /* the window lies within one upper half */
		return (lo >= bottom ? top_hi : top_hi + 1) << 32 | lo;
	if (lo >= bottom) /* what is left of the window belongs to the half before */
		return top_hi ? (top_hi - 1) << 32 | lo : 0;
	return top_hi << 32 | lo;
}

bool esp_window_check(const struct esp_window *w, uint64_t seq)
{
	if (!seq)
		return false; /* RFC 4303 section 3.3.3: the first is 1 */
	if (seq > w->top)
		return true;
	return w->top - seq < w->size && !bit(w, seq);
}

bool esp_window_update(struct esp_window *w, uint64_t seq)
{
	bool newest = seq > w->top;
	if (newest) {
		uint64_t steps = (seq >> 6) - (w->top >> 6);
		for (uint64_t i = 1; i <= steps && i <= w->words; i++)
			w->bits[((w->top >> 6) + i) & (w->words - 1)] = 0;
		w->top = seq;
	}
	w->bits[(seq >> 6) & (w->words - 1)] |= 1ull << (seq & 63);
	return newest;
}
