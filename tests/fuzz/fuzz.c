#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/fuzz/fuzz.h"

#include <check.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fake.h"

bool fuzz_next(struct vd_rd *r, struct fuzz_record *record)
{
	size_t len, left;

	fuzz_end(record);
	if (vd_rd_left(r) < 3)
		return false;
	record->op = vd_rd_u8(r);
	len = vd_rd_u16(r);
	left = vd_rd_left(r);
	record->len = len < left ? len : left;
	record->p = malloc(record->len ? record->len : 1);
	if (!record->p)
		abort();
	vd_rd_copy(r, record->p, record->len);
	return true;
}

void fuzz_end(struct fuzz_record *record)
{
	free(record->p);
	*record = (struct fuzz_record){ 0 };
}

uint64_t fuzz_ms(const struct fuzz_record *record)
{
	uint64_t v = 0;

	for (size_t i = 0; i < record->len && i < 4; i++)
		v = v << 8 | record->p[i];
	return v * 100 % 7200000;
}

/* Quality is nobody's concern here. */
static uint64_t state;

static int octets(unsigned char *out, int len)
{
	for (int i = 0; i < len; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(state >> 56);
	}
	return 1;
}

static int always(void)
{
	return 1;
}

void fuzz_begin(void)
{
	static const RAND_METHOD method = { .bytes = octets, .pseudorand = octets, .status = always };

	fake_conf_keep();
	state = 1;
	if (RAND_get_rand_method() != &method && RAND_set_rand_method(&method) != 1)
		abort();
}

/* These two in place of Check's own, which want a running test: what is wrong is said, and ends it at once, for a fuzzer to
 * see. */
void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: %s ", file, line, expr);
	if (msg) {
		va_start(ap, msg);
		vfprintf(stderr, msg, ap);
		va_end(ap);
	}
	fputc('\n', stderr);
	abort();
}
