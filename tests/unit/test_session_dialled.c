/* Sessions that we dialled, from what the gateway gave to the end, on the real data path without threads: several of them
 * with one network behind their gateways. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/plugin.h>

#include "core/datapath/datapath.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/lib/fake.h"

#define N 3
static const struct vd_datapath_1 *dp;
static struct vd_chan chans[N];
static uint64_t sessions[N];
static struct vd_error failed[N];
static bool up[N];
static enum vd_verdict verdict;
static const struct vd_prefix office = { { 2, { 10, 40, 0, 0 } }, 16 };

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	(void)chan;
	for (unsigned i = 0; i < vec->n; i++)
		vd_pkt_free(w, &vec->v[i]);
	vec->n = 0;
}
static const struct vd_chan_ops ops = { .send = chan_send };

static void on_routes(void *arg, const struct vd_ask *ask)
{
	struct vd_error why;

	(void)arg;
	vd_error_set(&why, -EEXIST, "there is another route to 10.40.0.0/16 already");
	vd_reply(ask->ticket, verdict, NULL, verdict == VD_ACCEPT ? NULL : &why);
}

static void closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	(void)session;
	(void)reason;
}
static const struct vd_session_owner owner = { closed };

static void established(void *arg, uint64_t session, const struct vd_error *err)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	ck_assert_uint_eq(session, sessions[i]);
	up[i] = !err;
	if (err)
		failed[i] = *err;
}

static void establish(unsigned i, uint32_t address)
{
	struct vd_leased_address given = { .address = vd_ip4(address) };
	struct vd_wsess_desc desc = { .mtu = 1300, .v4.len = 8 };

	ck_assert_int_eq(vd_session_dialled(sessions[i], &given), 0);
	ck_assert_int_eq(vd_session_find(sessions[i])->state, VD_S_CONFIGURING);
	ck_assert_int_eq(vd_session_establish(sessions[i], &desc, established, (void *)(uintptr_t)i), 0);
	fake_drain();
}

static void setup(void)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_error err = { 0 };

	memset(up, 0, sizeof(up));
	memset(failed, 0, sizeof(failed));
	verdict = VD_ACCEPT;
	fake_init(7);
	fake_conf("connections: { office: { connect: [l2tp], peer: 203.0.113.9, user: till-01, routes: [10.40.0.0/16] } }\n", NULL,
		NULL);
	fake_watch(&vd_topic_session_up);
	fake_watch(&vd_topic_session_gone);
	fake_watch(&vd_topic_setup_failed);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	ck_assert_int_eq(vd_provide(NULL, "dialled_routes", "tun", on_routes, NULL, NULL), 0);
	for (unsigned i = 0; i < N; i++) {
		struct vd_sa remote = { .ip = vd_ip4(0xcb007109), .port = (uint16_t)(4500 + i) };
		struct vd_peer_up facts = { .connection = "office" };
		struct vd_peer *peer = vd_peer_new(1, &local, &remote);
		struct vd_chan_info *info;

		vd_peer_set_up(peer->id, &facts);
		info = vd_chan_record(peer->id, "l2tp", 1400, &fake_maker, NULL);
		chans[i] = (struct vd_chan){ .id = info->id, .peer = peer->id, .home = info->home, .mtu = 1400, .ops = &ops };
		ck_assert_int_eq(dp->chan_add(dp->self, &chans[i], NULL, NULL), 0);
		vd_chan_set_up(info->id);
		sessions[i] = vd_session_new(info->id, "office", &owner, NULL, &err);
		ck_assert_msg(sessions[i] != 0, "%s", err.text);
	}
	fake_drain();
}

static void teardown(void)
{
	fake_drain();
	vd_datapath_stop();
	fake_drain();
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	fake_conf_fini();
	fake_fini();
}

/* Who has the network in the address table. */
static int holder(void)
{
	for (unsigned i = 0; i < N; i++)
		if (dp->fib_del(dp->self, &office, sessions[i], NULL, NULL) == 0) {
			ck_assert_int_eq(dp->fib_add(dp->self, &office, sessions[i], NULL, NULL), 0);
			return (int)i;
		}
	return -1;
}

START_TEST(up_and_down)
{
	struct vd_prefix own = { vd_ip4(0x0a080017), 32 };
	const struct vd_session_up *e;

	establish(0, 0x0a080017);
	ck_assert(up[0]);
	e = fake_last(&vd_topic_session_up);
	ck_assert_ptr_nonnull(e);
	ck_assert(e->dialled);
	ck_assert_str_eq(e->user, "till-01");
	ck_assert_uint_eq(vd_ip_u32(&e->address), 0x0a080017);
	ck_assert_int_eq(holder(), 0);
	vd_session_close(sessions[0], "enough", false);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	ck_assert_ptr_null(vd_session_find(sessions[0]));
	ck_assert_int_eq(holder(), -1);
	ck_assert_int_eq(dp->fib_del(dp->self, &own, sessions[0], NULL, NULL), -ENOENT);
}
END_TEST

START_TEST(one_network_behind_all)
{
	for (unsigned i = 0; i < N; i++) {
		establish(i, 0x0a080017 + i);
		ck_assert(up[i]);
	}
	ck_assert_int_eq(holder(), 0);
	vd_session_close(sessions[1], "enough", false);
	fake_drain();
	ck_assert_int_eq(holder(), 0);
	vd_session_close(sessions[0], "enough", false);
	fake_drain();
	ck_assert_int_eq(holder(), 2);
	vd_session_close(sessions[2], "enough", false);
	fake_drain();
	ck_assert_int_eq(holder(), -1);
}
END_TEST

START_TEST(two_gateways_give_one_address)
{
	establish(0, 0x0a080017);
	establish(1, 0x0a080017);
	ck_assert(!up[1]);
	ck_assert_int_eq(failed[1].code, -EEXIST);
	ck_assert_ptr_nonnull(strstr(failed[1].text, "10.8.0.23/32"));
	vd_session_close(sessions[1], failed[1].text, true);
	fake_drain();
	ck_assert_int_eq(vd_session_find(sessions[0])->state, VD_S_UP);
	ck_assert_int_eq(holder(), 0);
}
END_TEST

START_TEST(the_host_refuses)
{
	verdict = VD_REJECT;
	establish(0, 0x0a080017);
	ck_assert(!up[0]);
	ck_assert_str_eq(failed[0].text, "our address and routes: there is another route to 10.40.0.0/16 already");
	ck_assert_int_eq(holder(), -1);
	/* It is our own host that failed, and who reads this is no client. */
	const struct vd_setup_failed *e = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(e);
	ck_assert(e->dialled);
	ck_assert_str_eq(e->stage, "establish");
	ck_assert_str_eq(e->client, "");
}
END_TEST

/* Nobody who proved nothing passes as one whom we dialled, and the other way round. */
START_TEST(not_both)
{
	struct vd_authenticate request = { .method = VD_AUTH_MSCHAPV2, .user = "till-01" };

	establish(0, 0x0a080017);
	ck_assert_int_lt(vd_session_authenticate(sessions[0], &request, 0, NULL, NULL), 0);
	ck_assert_int_eq(vd_session_configure(sessions[0], VD_WANT_V4, NULL, NULL), -EINVAL);
	ck_assert_int_eq(vd_session_dialled(sessions[0], &(struct vd_leased_address){ .address = vd_ip4(9) }), -EINVAL);
	ck_assert_int_eq(vd_session_dialled(sessions[1], &(struct vd_leased_address){ 0 }), -EINVAL);
	ck_assert_int_eq(vd_session_find(sessions[1])->state, VD_S_NEW);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions that we dialled");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failures;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, up_and_down);
	tcase_add_test(c, one_network_behind_all);
	tcase_add_test(c, two_gateways_give_one_address);
	tcase_add_test(c, the_host_refuses);
	tcase_add_test(c, not_both);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
