/* Rekeys of a client's CHILD SA that the gateway begins, on the fake clock: a client of its own code that answers quick mode. */
#include "ike_steps.h"

#include <viaduct/quirk.h>

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
	ck_assert_str_eq(vd_peer_quirks(((const struct vd_peer_up *)fake_last(&vd_topic_peer_up))->peer)->name, "windows");
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
