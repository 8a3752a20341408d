/* Fuzz target: attributes of transaction exchanges (XAuth and mode config). A record is the body of an Attributes payload;
 * what is understood is written anew and must be understood as the same. */
#include <check.h>
#include <string.h>

#include "plugins/ike/lib/cfg.h"
#include "tests/fuzz/fuzz.h"

static void again(const struct ike_cfg *cfg)
{
	uint8_t room[IKE_MESSAGE_MAX];
	struct ike_header h = { .exchange = IKE_X_TRANSACTION };
	struct ike_chain chain;
	struct ike_cfg other;
	struct ike_out out;
	size_t sum = 0;

	for (unsigned i = 0; i < cfg->n; i++)
		sum += 4u + cfg->v[i].len;
	if (sum > sizeof(room) - 100)
		return; /* no message holds it */
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_cfg(&out, cfg->kind, cfg->id);
	for (unsigned i = 0; i < cfg->n; i++)
		ike_out_attr(&out, cfg->v[i].type, cfg->v[i].p, cfg->v[i].len);
	ike_out_end(&out);
	int len = ike_out_finish(&out);
	ck_assert_int_gt(len, IKE_HEADER_LEN);
	ck_assert_int_eq(ike_chain_parse(IKE_P_ATTRIBUTES, room + IKE_HEADER_LEN, (size_t)len - IKE_HEADER_LEN, &chain), 0);
	const struct ike_payload *p = ike_chain_find(&chain, IKE_P_ATTRIBUTES, 0);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(ike_cfg_parse(p->p, p->len, &other), 0);
	ck_assert_uint_eq(other.kind, cfg->kind);
	ck_assert_uint_eq(other.id, cfg->id);
	ck_assert_uint_eq(other.n, cfg->n);
	for (unsigned i = 0; i < cfg->n; i++) {
		ck_assert_uint_eq(other.v[i].type, cfg->v[i].type);
		ck_assert_uint_eq(other.v[i].len, cfg->v[i].len);
		ck_assert(cfg->v[i].len == 0 || !memcmp(other.v[i].p, cfg->v[i].p, cfg->v[i].len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record record = { 0 };
	struct vd_rd r;

	vd_rd_init(&r, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&r, &record); i++) {
		struct ike_cfg cfg;
		uint32_t number;

		if (ike_cfg_parse(record.p, record.len, &cfg) < 0)
			continue;
		ck_assert_uint_le(cfg.n, IKE_CFG_ATTRS_MAX);
		for (unsigned k = 0; k < cfg.n; k++) {
			ck_assert(cfg.v[k].p >= record.p && cfg.v[k].p + cfg.v[k].len <= record.p + record.len);
			ck_assert_ptr_nonnull(ike_cfg_find(&cfg, cfg.v[k].type));
			ck_assert(ike_cfg_number(&cfg.v[k], &number) == (cfg.v[k].len >= 1 && cfg.v[k].len <= 4));
		}
		again(&cfg);
	}
	fuzz_end(&record);
	return 0;
}

static void seed(const char *name, const void *body, size_t len)
{
	fuzz_put(0, body, len);
	fuzz_put_done(name);
}

void fuzz_seeds(void)
{
	static const uint8_t reply[] = "\2\0\x47\x11\xc0\x88\0\0\x40\x89\0\5alice\x40\x8a\0\6secret";
	static const uint8_t pull[] = "\1\0\0\1\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\7\0\x0c" "Cisco Client" "\x70\0\0\0\x70\1\0\0\x70\2\0\0\x70\4\0\0";
	static const uint8_t ack[] = "\4\0\0\2\xc0\x8f\0\1";

	seed("xauth", reply, sizeof(reply) - 1);
	seed("pull", pull, sizeof(pull) - 1);
	seed("ack", ack, sizeof(ack) - 1);
}
