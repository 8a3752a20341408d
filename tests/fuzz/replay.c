/* A fuzz target without a fuzzer: replays a corpus (its own, or the files and folders that are named), each input also with
 * a few random changes, and counts. No input at all is a failure. --seeds DIR writes the target's seeds instead. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)
#define CHANCES 4u /* mutations of each input */

static const char *seeds;
static uint8_t seed[INPUT_MAX];
static size_t seed_len;
static unsigned inputs;
#ifndef FUZZ_ENGINE
static unsigned tries;
#endif

void fuzz_put(uint8_t op, const void *p, size_t len)
{
	if (len > UINT16_MAX || seed_len + 3 + len > sizeof(seed)) {
		fputs("a seed is too long\n", stderr);
		exit(1);
	}
	seed[seed_len++] = op;
	seed[seed_len++] = (uint8_t)(len >> 8);
	seed[seed_len++] = (uint8_t)len;
	memcpy(seed + seed_len, p, len);
	seed_len += len;
}

void fuzz_put_done(const char *name)
{
	char path[4096];
	FILE *f;

	vd_format(path, sizeof(path), "%s/%s", seeds, name);
	f = fopen(path, "w");
	if (!f || fwrite(seed, 1, seed_len, f) != seed_len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
	seed_len = 0;
	inputs++;
}

void fuzz_put_text(const char *name, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(seed))
		exit(1);
	memcpy(seed, text, len);
	seed_len = len;
	fuzz_put_done(name);
}

#ifndef FUZZ_ENGINE /* which has a main of its own */
/* What chance makes of it: a bit, an octet at an edge, one taken out, or the end cut off. The same each time. */
static void chance(const uint8_t *p, size_t len, unsigned round)
{
	uint32_t x = 0x9e3779b9u * (round + 1);
	uint8_t *q = malloc(len ? len : 1);

	if (!q)
		exit(1);
	memcpy(q, p, len);
	for (unsigned k = 0; k < 1 + round % 4 && len > 0; k++) {
		x = x * 1664525u + 1013904223u;
		size_t at = (x >> 4) % len;

		switch (x >> 28) {
		case 0: case 1: q[at] = 0xff; break;
		case 2: case 3: q[at] = 0; break;
		case 4: len = at ? at : len; break;
		case 5:
			memmove(q + at, q + at + 1, len - at - 1);
			len--;
			break;
		default: q[at] ^= (uint8_t)(1u << (x >> 20) % 8); break;
		}
	}
	p = q;
	q = malloc(len ? len : 1);
	if (!q)
		exit(1);
	memcpy(q, p, len);
	free((void *)p);
	LLVMFuzzerTestOneInput(q, len);
	free(q);
	tries++;
}

static void replay_file(const char *path)
{
	uint8_t *p = malloc(INPUT_MAX), *exact;
	FILE *f = fopen(path, "r");
	size_t n;

	if (!p || !f) {
		perror(path);
		exit(1);
	}
	n = fread(p, 1, INPUT_MAX, f);
	fclose(f);
	exact = realloc(p, n ? n : 1);
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	if (LLVMFuzzerTestOneInput(exact, n) != 0) {
		fprintf(stderr, "%s: not 0\n", path);
		exit(1);
	}
	for (unsigned round = 0; round < CHANCES; round++)
		chance(exact, n, inputs * CHANCES + round);
	free(exact);
	inputs++;
	tries++;
}

static void replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	char file[4096];
	int n;

	if (stat(path, &st) < 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			vd_format(file, sizeof(file), "%s/%s", path, names[i]->d_name);
			replay_file(file);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int main(int argc, char **argv)
{
	struct timespec a, b;

	if (argc == 3 && !strcmp(argv[1], "--seeds")) {
		seeds = argv[2];
		fuzz_seeds();
		printf("%s: %u seeds\n", argv[0], inputs);
		return inputs ? 0 : 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc == 1)
		replay(FUZZ_CORPUS);
	clock_gettime(CLOCK_MONOTONIC, &b);
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	printf("%s: %u inputs, %u with what chance makes of them, %.0f a second\n", argv[0], inputs, tries, tries / (s > 0 ? s : 1));
	return inputs ? 0 : 1;
}
#endif
