/* The fuzz target of L2TP driven without a fuzzer: a recorded conversation, and what chance makes of it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/state.h>

#include "tests/plugin/test_l2tp_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t seed[4096];
static size_t seed_len, starts[32], n_starts;

static void keep(void)
{
	ck_assert_uint_lt(seed_len + 2 + c_.said_len, sizeof(seed));
	starts[n_starts++] = seed_len;
	seed[seed_len++] = (uint8_t)(c_.said_len >> 8);
	seed[seed_len++] = (uint8_t)c_.said_len;
	memcpy(seed + seed_len, c_.said, c_.said_len);
	seed_len += c_.said_len;
}

static void record(void)
{
	seed_len = n_starts = 0;
	w_begin("{}");
	c_say(L2TP_SCCRQ, 0, 1);
	keep();
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	c_say(L2TP_SCCCN, 0, 0);
	keep();
	c_say(L2TP_ICRQ, 0, 9);
	keep();
	c_.sid = c_got(-1).session_id;
	c_.nr = 2;
	c_say(L2TP_ICCN, c_.sid, 0);
	keep();
	c_say(L2TP_HELLO, 0, 0);
	keep();
	c_say(L2TP_CDN, c_.sid, 9);
	keep();
	c_say(L2TP_STOPCCN, 0, 1);
	keep();
	ck_assert_uint_eq(w_.starts, 1);
	ck_assert_uint_eq(w_.downs, 1);
	w_end();
}

START_TEST(chance)
{
	uint32_t x = 0x9e3779b9u * (uint32_t)(_i + 1);
	record();
	ck_assert_int_eq(LLVMFuzzerTestOneInput(seed, seed_len), 0);
	for (unsigned round = 0; round < 40; round++) {
		uint8_t p[sizeof(seed)];
		size_t len = seed_len;
		memcpy(p, seed, len);
		for (unsigned k = 0; k < 1 + round % 4; k++) {
			x = x * 1664525u + 1013904223u;
			size_t at = starts[(x >> 8) % n_starts] + (x >> 16) % 60 % (len - 8);
			switch (x >> 28) {
			case 0: case 1: /* a field of 16 bits at an edge */
				p[at % (len - 1)] = 0xff;
				p[at % (len - 1) + 1] = 0xff;
				break;
			case 2: case 3: p[at % (len - 1)] = 0; p[at % (len - 1) + 1] = 0; break;
			case 4: len = at > 16 ? at : len; break; /* cut */
			case 5: /* an octet taken out */
				memmove(p + at % len, p + at % len + 1, len - at % len - 1);
				len--;
				break;
			default: p[at % len] ^= (uint8_t)(1u << (x >> 20) % 8); break;
			}
		}
		ck_assert_int_eq(LLVMFuzzerTestOneInput(p, len), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_fuzz");
	TCase *t = tcase_create("chance");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, chance, 0, 6);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
