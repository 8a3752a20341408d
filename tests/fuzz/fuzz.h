/* What the fuzz targets share. An input is a list of records: what to do (u8), how long it is (u16), the octets. A length
 * that says too much means all that is left. Every input does the same each time: clock, randomness and keys are fixed. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <viaduct/bytes.h>

#define FUZZ_RECORDS 64u /* of one input; more are not looked at */
#define FUZZ_TIME 0xffu  /* in place of what to do: so many tenths of a second pass (the octets, at most 4) */

/* The target: one input against a world that is made for it and gone afterwards. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_record {
	uint8_t op;
	uint8_t *p; /* of its own, so long exactly: a read behind it is seen */
	size_t len;
};
/* False at the end. The record is freed by the next call, or by fuzz_end. */
bool fuzz_next(struct vd_rd *r, struct fuzz_record *record);
void fuzz_end(struct fuzz_record *record);
/* How much time such a record lets pass, in ms: at most two hours. */
uint64_t fuzz_ms(const struct fuzz_record *record);
/* Before each world: OpenSSL's own randomness, which the tests' clients use, from a fixed start; configurations are kept. */
void fuzz_begin(void);

/* ---- seeds ---- */
/* Every target: plays conversations against its world and writes down what it says. */
void fuzz_seeds(void);
/* One more record of the input that is being written, then its end; name is the file's. */
void fuzz_put(uint8_t op, const void *p, size_t len);
void fuzz_put_done(const char *name);
/* A whole input that is text. */
void fuzz_put_text(const char *name, const char *text);

#endif
