/* What a turn of the control thread reads: those who are in first, and a share for those who are not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/dp.h"
#include "core/loop.h"
#include "tests/lib/fake.h"

static unsigned punts[3], ike;

static void on_punt(void *arg, uint64_t chan, const uint8_t *p, size_t len)
{
	(void)arg;
	(void)p;
	(void)len;
	punts[chan]++;
}

static void on_ike(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	(void)arg;
	(void)path;
	(void)p;
	(void)len;
	ike++;
}

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	(void)chan;
	for (unsigned i = 0; i < vec->n; i++)
		vd_pkt_free(w, &vec->v[i]);
	vec->n = 0;
}
static const struct vd_chan_ops ops = { .send = chan_send };
static struct vd_chan chans[3] = { { 0 }, { .id = 1, .ops = &ops, .mtu = 1400 }, { .id = 2, .ops = &ops, .mtu = 1400 } };

/* Channel 1 has a session that is up, channel 2 has none. */
static void start(void)
{
	const struct vd_datapath_1 *dp;
	struct vd_wsess_desc desc = { .session = 11, .chan = 1, .mtu = 1400 };

	fake_init(1);
	ck_assert_int_eq(vd_datapath_init(), 0);
	ck_assert_int_eq(vd_datapath_start_inline(1), 0);
	dp = &dp_instance->service;
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(dp->chan_add(dp->self, &chans[i], NULL, NULL), 0);
		ck_assert_int_eq(dp->chan_attach(dp->self, i, NULL, NULL, on_punt, NULL), 0);
	}
	ck_assert_int_eq(dp->session_add(dp->self, &desc, NULL, NULL), 0);
	dp->ike_input(dp->self, on_ike, NULL);
	fake_drain();
	memset(punts, 0, sizeof(punts));
	ike = 0;
}

static void stop(void)
{
	const struct vd_datapath_1 *dp = &dp_instance->service;

	dp->session_del(dp->self, 11, NULL, NULL);
	dp->chan_remove(dp->self, 1, NULL, NULL);
	dp->chan_remove(dp->self, 2, NULL, NULL);
	fake_drain();
	vd_datapath_fini();
	fake_fini();
}

static void fill(struct dp_ring *ring, uint32_t kind, uint64_t chan, unsigned n)
{
	struct dp_r_punt punt = { .chan = chan };
	struct dp_r_path path = { 0 };
	size_t len = kind == DP_R_PUNT ? sizeof(punt) : sizeof(path);

	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = dp_ring_reserve(ring, kind, len + 4, 0);

		ck_assert_ptr_nonnull(at);
		memcpy(at, kind == DP_R_PUNT ? (void *)&punt : (void *)&path, len);
		memset(at + len, 0, 4);
		dp_ring_commit(ring);
	}
}

/* However much of each kind waits, a turn has some of all. */
START_TEST(shares)
{
	struct vd_worker *w = dp_instance->w[0];

	fill(&w->auth, DP_R_PUNT, 1, 2000);
	fill(&w->fresh, DP_R_PUNT, 2, 2000);
	fill(&w->raw, DP_R_IKE, 0, 200);
	dp_drain(dp_instance);
	ck_assert_uint_eq(punts[1], DP_AUTH_TURN);
	ck_assert_uint_eq(punts[2], DP_FRESH_TURN);
	ck_assert_uint_eq(ike, DP_RAW_TURN);
	fake_drain();
	ck_assert_uint_eq(punts[1] + punts[2], 4000);
	ck_assert_uint_eq(ike, 200);
}
END_TEST

static unsigned punt(uint64_t chan, unsigned n)
{
	struct vd_worker *w = dp_instance->w[0];
	unsigned before = punts[chan];

	for (unsigned i = 0; i < n; i++) {
		struct vd_pkt pkt;

		ck_assert(dp_pkt_copy(w, "abcd", 4, &pkt));
		vd_worker_punt(w, &chans[chan], &pkt);
	}
	dp_drain(dp_instance);
	fake_drain();
	return punts[chan] - before;
}

/* A key is not enough for the first place: a user must have been authenticated. And what a peer says before is bounded. */
START_TEST(first_place)
{
	const struct vd_datapath_1 *dp = &dp_instance->service;
	struct vd_worker *w = dp_instance->w[0];
	struct vd_pkt pkt;

	ck_assert(dp_pkt_copy(w, "abcd", 4, &pkt));
	vd_worker_punt(w, &chans[2], &pkt);
	ck_assert(dp_ring_empty(&w->auth) && !dp_ring_empty(&w->fresh));
	dp_drain(dp_instance);
	ck_assert(dp_pkt_copy(w, "abcd", 4, &pkt));
	vd_worker_punt(w, &chans[1], &pkt);
	ck_assert(!dp_ring_empty(&w->auth) && dp_ring_empty(&w->fresh));
	dp_drain(dp_instance);
	w->now += DP_PUNT_MS;
	ck_assert_uint_eq(punt(2, 1000), DP_PUNT_NEW);
	ck_assert_uint_eq(punt(1, 1000), DP_PUNT_CHAN);
	ck_assert_uint_eq(w->drops[VD_DROP_PUNT_LIMIT], 2000 - DP_PUNT_NEW - DP_PUNT_CHAN);
	/* Its session gone, it is one of many again. */
	dp->session_del(dp->self, 11, NULL, NULL);
	fake_drain();
	w->now += 10 * DP_PUNT_MS;
	ck_assert_uint_eq(punt(1, 1000), DP_PUNT_NEW);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dp_turn");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failures;

	tcase_add_checked_fixture(c, start, stop);
	tcase_add_test(c, shares);
	tcase_add_test(c, first_place);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
