/* Every datagram of a login, of the client and of the gateway, lost once and delivered twice, in turn. */
#include <check.h>
#include <stdio.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define PATIENCE_MS 60000

/* A whole login; returns how many datagrams went each way. */
static void login(bool nat, enum wire_way way, unsigned victim, enum wire_fate fate, unsigned counts[2])
{
	static const char *const ways[] = { "client", "gateway" }, *const fates[] = { "delivered", "lost", "doubled" };
	struct robot r;

	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", nat);
	wire_add(&r);
	wire_fate(way, victim, fate);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	ck_assert_msg(wire_until(robot_up, &r, PATIENCE_MS), "no login: datagram %u of the %s was %s", victim, ways[way],
		fates[fate]);
	counts[WIRE_UP] = wire.count[WIRE_UP];
	counts[WIRE_DOWN] = wire.count[WIRE_DOWN];
	/* The gateway may still wait for the last of the client's. */
	for (unsigned ms = 0; ms < PATIENCE_MS && fake_events(&vd_topic_session_up) == 0; ms += 100)
		wire_wait(100);
	ck_assert_msg(fake_events(&vd_topic_session_up) == 1, "not up: datagram %u of the %s was %s", victim, ways[way],
		fates[fate]);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(gateway_leases(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	ck_assert_uint_eq(r.address[3], 11);
	steps_ping(&r);
	wire_wait(10000); /* what is still repeated must do no harm */
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	steps_ping(&r);
	steps_hang_up(&r);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

START_TEST(test_loss)
{
	bool nat = _i;
	unsigned base[2], counts[2], variants = 0;

	login(nat, WIRE_UP, 0, WIRE_DELIVER, base);
	ck_assert_uint_gt(base[WIRE_UP], 10);
	ck_assert_uint_gt(base[WIRE_DOWN], 10);
	for (enum wire_way way = WIRE_UP; way <= WIRE_DOWN; way++)
		for (unsigned victim = 0; victim < base[way]; victim++)
			for (enum wire_fate fate = WIRE_LOSE; fate <= WIRE_TWICE; fate++, variants++)
				login(nat, way, victim, fate, counts);
	printf("login%s: %u datagrams of the client, %u of the gateway, %u variants\n", nat ? " behind NAT" : "",
		base[WIRE_UP], base[WIRE_DOWN], variants);
	fflush(stdout);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_loss");
	TCase *t = tcase_create("loss");

	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_loss, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
