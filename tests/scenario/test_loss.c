/* Every datagram of every conversation, of the client and of the gateway, lost once and delivered twice, in turn; and a
 * gateway that is made anew from its exported state after every datagram. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"
#include "tests/scenario/table.h"
#include "tests/scenario/talks.h"

#define MIN_VARIANTS 150

/* Each conversation runs in a process of its own. */
static struct row *rows;
static bool nothing_due(void)
{
	return fake_next() == UINT64_MAX;
}

/* Nobody says anything more. */
static void everything_goes(const struct talk *talk, struct row *row, const char *what)
{
	unsigned minutes = 0, most = talk->minutes ? talk->minutes : 2;

	for (; minutes < most && !nothing_due(); minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	ck_assert_msg(nothing_due(), "%s: something is left after %u minutes", what, most);
	if (minutes > row->minutes)
		row->minutes = minutes;
	gateway_empty();
}

static void it_is_up(struct robot *r, const struct talk *talk, const char *what)
{
	for (unsigned n = 0; n < 2; n++) {
		ck_assert_msg(vd_session_count() == 1, "%s: %zu sessions", what, vd_session_count());
		if (!talk->replaced) { /* the other's IKE SA lives until its client ends it, or for its time */
			ck_assert_msg(vd_peer_count() == 1, "%s: %zu peers", what, vd_peer_count());
			ck_assert_msg(vd_chan_count() == 1, "%s: %zu channels", what, vd_chan_count());
		}
		ck_assert_uint_eq(gateway_leases(), talk->ipv6 ? 2 : 1);
		ck_assert_uint_eq(vd_session_after(NULL)->link_local[1].family, talk->ipv6 ? AF_INET6 : 0);
		ck_assert_uint_eq(r->address[3], 11);
		steps_ping(r);
		wire_wait(10000); /* what is still repeated must do no harm */
		steps_ping(r);
	}
	steps_hang_up(r);
}

static void run(const struct talk *talk, enum wire_way way, unsigned victim, enum wire_fate fate, bool born, struct row *row)
{
	static const char *const ways[] = { "client", "gateway" }, *const fates[] = { "delivered", "lost", "doubled" };
	struct robot r, *up;
	char what[128];

	snprintf(what, sizeof(what), "%s, datagram %u of the %s %s%s", talk->name, victim, ways[way], fates[fate],
		born ? ", made anew" : "");
	gateway_start(talk->ipv6 ? GATEWAY_YAML("10.8.0.10-10.8.0.20, prefix: \"2001:db8:8::/48\"", "") : !talk->xauth ? GATEWAY_DEFAULT :
		talk->push ? GATEWAY_XAUTH("mode_config: push, ") :
		talk->aggressive ? GATEWAY_XAUTH("aggressive: true, group: sales, ") : GATEWAY_XAUTH(""));
	robot_init(&r, 0, "alice", talk->password ? talk->password : "alice-password", talk->nat);
	r.old = talk->old;
	r.ipv6 = talk->ipv6;
	r.xauth.kind = talk->xauth;
	r.xauth.waits = talk->push;
	r.group = talk->aggressive ? "sales" : NULL;
	r.psk = talk->psk ? talk->psk : GATEWAY_PSK_STAFF;
	if (talk->logged_in) {
		steps_login(&r, r.psk, 11);
		steps_ping(&r);
	}
	wire_fate(way, victim, fate);
	wire.delivered = born ? table_reborn : NULL;
	up = talk->run(&r, what);
	wire.delivered = NULL;
	ck_assert_msg(fate == WIRE_DELIVER || victim < wire.count[way], "%s: there was none", what);
	if (fate == WIRE_DELIVER && !born) {
		row->up = wire.count[WIRE_UP];
		row->down = wire.count[WIRE_DOWN];
	}
	wire_fate(WIRE_UP, UINT_MAX, WIRE_DELIVER);
	if (up)
		it_is_up(up, talk, what);
	r.silent = true;
	if (up)
		up->silent = true;
	everything_goes(talk, row, what);
	if (!born) { /* events are forgotten with the gateway */
		unsigned told = fake_events(&vd_topic_setup_failed), sessions = fake_events(&vd_topic_session_up);

		ck_assert_msg(told == (talk->why != 0), "%s: %u failures reported", what, told);
		if (talk->why) {
			const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

			ck_assert_msg(!strcmp(f->kind, talk->why->word), "%s: %s", what, f->text);
		}
		ck_assert_uint_eq(sessions, talk->why ? 0 : talk->replaced ? 2 : 1);
		ck_assert_uint_eq(fake_events(&vd_topic_session_gone), fake_events(&vd_topic_session_new));
	}
	robot_free(&r);
	if (up && up != &r)
		robot_free(up);
	gateway_stop();
}

START_TEST(test_loss)
{
	const struct talk *talk = &talks[_i];
	struct row *row = &rows[_i];

	run(talk, WIRE_UP, UINT_MAX, WIRE_DELIVER, false, row);
	ck_assert_uint_gt(row->up + row->down, 0);
	strcpy(row->name, talk->name);
	table_births = 0;
	run(talk, WIRE_UP, UINT_MAX, WIRE_DELIVER, true, row);
	row->births = table_births;
	ck_assert_uint_gt(table_births, 0);
	for (enum wire_way way = WIRE_UP; way <= WIRE_DOWN; way++)
		for (unsigned victim = 0; victim < (way == WIRE_UP ? row->up : row->down); victim++) {
			run(talk, way, victim, WIRE_LOSE, false, row);
			row->lost++;
			run(talk, way, victim, WIRE_TWICE, false, row);
			row->doubled++;
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_loss");
	TCase *t = tcase_create("loss");

	rows = table_new(n_talks);
	if (!rows)
		return 1;
	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_loss, 0, (int)n_talks);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return table_print(rows, n_talks) < MIN_VARIANTS || failed ? 1 : 0;
}
