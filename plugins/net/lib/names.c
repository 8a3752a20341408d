#include "names.h"

#include <string.h>

void net_names_put(struct vd_wr *w, const char *search)
{
	while (*search) {
		size_t word = strcspn(search, " ,");
		bool good = word > 0 && vd_wr_ok(w) && word + 2 <= w->size - w->len;
		size_t before = w->len;

		for (size_t at = 0; good && at < word;) {
			size_t n = strcspn(search + at, ". ,");

			good = n > 0 && n <= 63 && at + n <= word;
			if (good) {
				vd_wr_u8(w, (uint8_t)n);
				vd_wr_put(w, search + at, n);
			}
			at += n + 1;
		}
		if (good)
			vd_wr_u8(w, 0);
		else
			w->len = before;
		search += word + (search[word] != '\0');
	}
}
