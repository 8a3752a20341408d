/* Rekeys of a client's CHILD SA that the gateway begins, on the fake clock: a client of its own code that answers quick mode. */
#include "ike_steps.h"

#include <viaduct/quirk.h>

#include "core/system/work.h"

#define LIFE_S 3600u /* as client_qm1 offers */
#define EARLY_S (LIFE_S / 100 * 94)
#define LATE_S (LIFE_S / 100 * 97)
#define USED_S 40u /* from its first use on; the old pair goes meanwhile */

static bool is_quick(const struct msg *m)
{
	return m->p[18] == 32;
}

/* Time passes until the gateway begins a quick mode; its second then, or 0 when this many pass without. */
static unsigned begun(unsigned seconds, struct msg *ret_m)
{
	for (unsigned s = 1; s <= seconds; s++) {
		unsigned n = world.n_sent;
		struct msg *m;

		fake_advance(1000);
		m = world_reply(n);
		if (m != NULL && is_quick(m)) {
			*ret_m = *m;
			return s;
		}
	}
	return 0;
}

static void up(struct client *c, bool natt, unsigned group)
{
	client_init(c, PSK_A, 7, 256, 2, 14);
	phase1(c, natt);
	quick(c, 0x1001, group);
}

/* The client answers; then both have the new pair. */
static void answered(struct client *c, const struct msg *m)
{
	struct msg answer, first;

	ck_assert(gateway_qm2(c, m, 0, 52, &answer));
	first = *ask(c, &answer);
	ck_assert(gateway_qm3(c, &first));
	struct world_sa *in = world_sa_find(true, c->spi_i), *out = world_sa_find(false, c->spi_r);
	ck_assert_ptr_nonnull(in);
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(memcmp(in->keymat, c->keymat_in, 52), 0);
	ck_assert_int_eq(memcmp(out->keymat, c->keymat_out, 52), 0);
	step();
	/* Message 3 was lost: it comes again, and nothing else happens. */
	unsigned n = world.n_sas;
	struct msg *again = ask(c, &answer);
	ck_assert(again->len == first.len && memcmp(again->p, first.p, first.len) == 0);
	ck_assert_uint_eq(world.n_sas, n);
	step();
}

START_TEST(test_rekey)
{
	struct client c;
	struct msg m;

	reimport = _i & 4;
	up(&c, _i & 1, _i & 2 ? 14 : 0);
	uint32_t old_in = c.spi_r, old_out = c.spi_i;
	for (unsigned round = 0; round < 2; round++) { /* what we rekeyed is rekeyed again */
		unsigned at = begun(LIFE_S, &m) + (round > 0 ? USED_S : 0);

		ck_assert_uint_ge(at, EARLY_S - 1);
		ck_assert_uint_le(at, LATE_S + 1);
		if (_i & 2 && reimport) { /* the exponent stayed with the exporter: what comes is of no use, and it begins anew */
			struct msg answer;

			ck_assert(gateway_qm2(&c, &m, 0, 52, &answer));
			step();
			silent(&c, &answer);
			ck_assert_ptr_null(world_sa_find(true, c.spi_i));
			ck_assert_uint_ne(begun(6, &m), 0);
		} else {
			step();
		}
		answered(&c, &m);
		/* It proposed what the client had, with the selectors exchanged. */
		ck_assert_uint_eq(c.asked_sa_len, 8 + 12 + 28 + (_i & 2 ? 4 : 0));
		static const uint8_t attributes[] = { 0x80, 1, 0, 1, 0x80, 2, 0x0e, 0x10, 0x80, 4, 0, 0, 0x80, 5, 0, 2, 0x80, 6, 1, 0 };
		uint8_t want[sizeof(attributes)];
		memcpy(want, attributes, sizeof(want));
		want[11] = _i & 1 ? 4 : 2;
		ck_assert_int_eq(memcmp(c.asked_sa + 28, want, sizeof(want)), 0);
		ck_assert(c.asked_ci_len == c.idcr_len && memcmp(c.asked_ci, c.idcr, c.idcr_len) == 0);
		ck_assert(c.asked_cr_len == c.idci_len && memcmp(c.asked_cr, c.idci, c.idci_len) == 0);
		ck_assert_uint_eq(c.asked_oa, _i & 1 ? 2 : 0);
		ck_assert_uint_eq(world_live(true), 2);
		world.events->first_in(world.events_arg, world.chan, c.spi_i);
		fake_advance(29999);
		ck_assert_ptr_nonnull(world_sa_find(true, old_in));
		fake_advance(USED_S * 1000 - 29999);
		ck_assert_ptr_null(world_sa_find(true, old_in));
		ck_assert_ptr_null(world_sa_find(false, old_out));
		ck_assert_uint_eq(world_live(true), 1);
		step();
		old_in = c.spi_i;
		old_out = c.spi_r;
	}
	ck_assert_uint_eq(fake_events(&vd_topic_chan_up), 1);
	ck_assert_uint_eq(vd_chan_count(), 1);
	client_free(&c);
}
END_TEST

/* An SA payload for quick mode: AES-256 and SHA-1, with this lifetime in seconds, and in kilobytes when it is not 0. */
static size_t short_lived(uint8_t *p, unsigned seconds, unsigned kbytes, unsigned group)
{
	unsigned attributes = 8 + (kbytes != 0 ? 8 : 0) + (group != 0 ? 4 : 0) + 12;
	struct vd_wr w;

	vd_wr_init(&w, p, 256);
	vd_wr_u32(&w, 1), vd_wr_u32(&w, 1);
	vd_wr_u16(&w, 0), vd_wr_u16(&w, (uint16_t)(12 + 8 + attributes));
	vd_wr_u32(&w, 0x01030401), vd_wr_u32(&w, 0);
	vd_wr_u16(&w, 0), vd_wr_u16(&w, (uint16_t)(8 + attributes)), vd_wr_u32(&w, 1 << 24 | 12 << 16);
	vd_wr_u32(&w, 0x80010001), vd_wr_u32(&w, 0x80020000 | seconds);
	if (kbytes != 0)
		vd_wr_u32(&w, 0x80010002), vd_wr_u32(&w, 0x80020000 | kbytes);
	if (group != 0)
		vd_wr_u32(&w, 0x80030000 | group);
	vd_wr_u32(&w, 0x80040002), vd_wr_u32(&w, 0x80050002), vd_wr_u32(&w, 0x80060100);
	ck_assert(vd_wr_ok(&w));
	return w.len;
}

/* However short a lifetime is offered, and whatever the client does not do then: we do not rekey for it without end. */
START_TEST(test_short_lives)
{
	static const struct { unsigned seconds, kbytes, group; bool raised; } lives[] = {
		{ 1, 0, 0, true }, { 1, 0, 14, true }, { 0, 1, 0, false }, { 1, 1, 0, true }, { 59, 0, 0, true }, { 60, 0, 0, false },
		{ 3600, 1, 14, false },
	};
	unsigned n = 0, rekeys = 0;
	uint8_t sa[256];
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 2, 14);
	phase1(&c, false);
	client_qm1_sa(&c, 0x1001, sa, short_lived(sa, lives[_i].seconds, lives[_i].kbytes, lives[_i].group), lives[_i].group, 1701, &m);
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	client_qm3(&c, &m);
	silent(&c, &m);
	ck_assert_uint_eq(vd_counter("ike_v1.life_raised"), lives[_i].raised);
	for (unsigned s = 0; s < 55; s++) {
		n = world.n_sent;
		fake_advance(1000);
		rekeys += world.n_sent - n;
		ck_assert_uint_eq(world_live(true), 1); /* it works on all the time */
	}
	ck_assert_uint_eq(rekeys, 0);
	for (unsigned s = 0; s < 600; s++) {
		n = world.n_sent;
		fake_advance(1000);
		if (world.n_sent > n && is_quick(&world.sent[n % WORLD_SENT]))
			rekeys++;
	}
	ck_assert_uint_le(rekeys, 10 * 8);
	client_free(&c);
}
END_TEST

/* Phase 1 of a second: the SA lives a minute. */
START_TEST(test_short_phase1)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;

	ck_assert_uint_eq(ike_v1_life(v, 0), 86400000);
	ck_assert_uint_eq(ike_v1_life(v, 1), 60000);
	ck_assert_uint_eq(ike_v1_life(v, 61), 61000);
	ck_assert_uint_eq(ike_v1_life(v, UINT32_MAX), 86400000);
}
END_TEST

/* Our rekeys are paid for as the client's own exchanges are: without a budget none is begun, and later it is. */
START_TEST(test_budget)
{
	struct client c;
	struct msg m;

	up(&c, false, 15); /* which costs more than what is left over at any moment */
	fake_advance((EARLY_S - 1) * 1000);
	for (unsigned i = 0; i < 100; i++)
		vd_budget_measured(16, UINT64_C(16000000000), 1); /* a machine on which tokens come slowly */
	unsigned n = world.n_sent;
	for (unsigned ms = 0; ms < 120000 && vd_counter("ike_v1.rekey.budget") == 0; ms++) {
		while (ike_v1_dh_afford(14, &c.path.remote.ip, VD_STANDING_ANSWERED))
			;
		fake_advance(1);
	}
	ck_assert_uint_eq(world.n_sent, n);
	ck_assert_uint_ne(vd_counter("ike_v1.rekey.budget"), 0);
	ck_assert_uint_ne(begun(6, &m), 0);
	client_free(&c);
}
END_TEST

START_TEST(test_client_first)
{
	struct client c;
	struct msg m;

	up(&c, true, 0);
	ck_assert_uint_eq(begun(LIFE_S / 10 * 9, &m), 0);
	quick(&c, 0x1002, 0);
	ck_assert_uint_eq(begun(LIFE_S / 10 * 9, &m), 0); /* neither of the first one nor, yet, of the second */
	ck_assert_uint_ne(begun(LIFE_S / 10, &m), 0);
	client_free(&c);
}
END_TEST

/* Windows begins its own, and refuses ours. */
START_TEST(test_windows)
{
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 2, 14);
	c.windows = true;
	phase1(&c, true);
	quick(&c, 0x1001, 0);
	ck_assert_str_eq(vd_peer_find(((const struct vd_peer_up *)fake_last(&vd_topic_peer_up))->peer)->profile, "windows");
	ck_assert_uint_eq(begun(LIFE_S - 2, &m), 0);
	ck_assert_uint_eq(world_live(true), 1);
	client_free(&c);
}
END_TEST

START_TEST(test_unanswered)
{
	uint32_t mids[8];
	unsigned n = 0;
	struct client c;
	struct msg m;

	up(&c, true, 0);
	for (unsigned left = LIFE_S - 1, s; (s = begun(left, &m)) != 0; left -= s) {
		uint32_t mid;

		memcpy(&mid, m.p + 20, 4);
		if (n == 0 || mids[n - 1] != mid) {
			ck_assert_uint_lt(n, 8);
			mids[n++] = mid;
		}
	}
	ck_assert_uint_ge(n, 2);
	ck_assert_uint_le(n, 3);
	ck_assert_uint_eq(world_live(true), 1); /* it has lost nothing */
	fake_advance(1001);
	ck_assert_uint_eq(world_live(true), 0);
	client_free(&c);
}
END_TEST

START_TEST(test_refused)
{
	static const uint8_t types[] = { 14, 18 }; /* NO-PROPOSAL-CHOSEN, INVALID-ID-INFORMATION */
	uint8_t body[8] = { 0, 0, 0, 1, 3, 0, 0, types[_i] };
	struct client c;
	struct msg m;

	up(&c, true, 0);
	unsigned at = begun(LIFE_S, &m);
	ck_assert_uint_ne(at, 0);
	client_info(&c, 0x7777, 11, body, sizeof(body), &m);
	silent(&c, &m);
	ck_assert_uint_eq(begun(LIFE_S - at - 1, &m), 0);
	ck_assert_uint_eq(world_live(true), 1);
	ck_assert_uint_eq(vd_counter("ike_v1.rekey.failed"), 1);
	client_free(&c);
}
END_TEST

/* An answer that is not what was asked for: nothing of it is used, and the next attempt may be right. */
START_TEST(test_wrong_answer)
{
	struct msg m, answer;
	struct client c;

	up(&c, false, 0);
	ck_assert_uint_ne(begun(LIFE_S, &m), 0);
	ck_assert(gateway_qm2(&c, &m, 1, 52, &answer)); /* tunnel mode */
	unsigned n = world.n_sas;
	world_input(&c, &answer);
	ck_assert_uint_eq(world.n_sas, n);
	ck_assert_uint_ne(begun(6, &m), 0);
	answered(&c, &m);
	client_free(&c);
}
END_TEST

/* Both begin at the same time: two new pairs, in both orders, and the client prefers either. */
START_TEST(test_collision)
{
	struct msg ours, answer, m;
	struct client c, d;

	reimport = _i & 4;
	up(&c, true, 0);
	uint32_t old = c.spi_r;
	ck_assert_uint_ne(begun(LIFE_S, &ours), 0);
	d = c;
	client_qm1(&c, 0x1002, 4, 12, 256, 2, 0, 1701, &m);
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	if (_i & 1) {
		answered(&d, &ours);
		client_qm3(&c, &m);
		silent(&c, &m);
	} else {
		ck_assert(gateway_qm2(&d, &ours, 0, 52, &answer));
		client_qm3(&c, &m);
		silent(&c, &m);
		struct msg *r = ask(&d, &answer);
		ck_assert(gateway_qm3(&d, r));
	}
	step();
	ck_assert_ptr_nonnull(world_sa_find(true, c.spi_r));
	ck_assert_ptr_nonnull(world_sa_find(false, c.spi_i));
	ck_assert_ptr_nonnull(world_sa_find(true, d.spi_i));
	ck_assert_ptr_nonnull(world_sa_find(false, d.spi_r));
	uint32_t used = _i & 2 ? c.spi_r : d.spi_i;
	world.events->first_in(world.events_arg, world.chan, used);
	fake_advance(30001);
	ck_assert_ptr_null(world_sa_find(true, old));
	ck_assert_ptr_nonnull(world_sa_find(true, used));
	ck_assert_uint_le(world_live(true), 2);
	/* One of them is rekeyed in its time, not both. */
	ck_assert_uint_ne(begun(LIFE_S, &m), 0);
	answered(&d, &m);
	world.events->first_in(world.events_arg, world.chan, d.spi_i);
	fake_advance(30001);
	ck_assert_uint_eq(world_live(true), 1);
	client_free(&c);
}
END_TEST

/* The limit of a key, not of time. */
START_TEST(test_soft)
{
	struct client c;
	struct msg m;

	up(&c, true, 0);
	unsigned n = world.n_sent;
	world.events->soft(world.events_arg, world.chan, _i ? c.spi_r : c.spi_i);
	struct msg *r = world_reply(n);
	ck_assert_ptr_nonnull(r);
	m = *r;
	ck_assert(is_quick(&m));
	n = world.n_sent;
	world.events->soft(world.events_arg, world.chan, _i ? c.spi_i : c.spi_r); /* of the other direction: one is enough */
	ck_assert_uint_eq(world.n_sent, n);
	answered(&c, &m);
	client_free(&c);
}
END_TEST

/* Without an IKE SA there is nothing to say it on; with a new one it goes on. */
START_TEST(test_no_ike_sa)
{
	struct client c;
	struct msg m;

	up(&c, true, 0);
	fake_advance((EARLY_S - 60) * 1000);
	delete_ike(&c, 0x2002);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(begun(LIFE_S / 100 * 4, &m), 0);
	client_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike rekey");
	TCase *t = tcase_create("rekey");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_rekey, 0, 8);
	tcase_add_loop_test(t, test_short_lives, 0, 7);
	tcase_add_test(t, test_short_phase1);
	tcase_add_test(t, test_budget);
	tcase_add_test(t, test_client_first);
	tcase_add_test(t, test_windows);
	tcase_add_test(t, test_unanswered);
	tcase_add_loop_test(t, test_refused, 0, 2);
	tcase_add_test(t, test_wrong_answer);
	tcase_add_loop_test(t, test_collision, 0, 8);
	tcase_add_loop_test(t, test_soft, 0, 2);
	tcase_add_test(t, test_no_ike_sa);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
