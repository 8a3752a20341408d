/* What tests of one client with XAuth share. */
#ifndef TESTS_SCENARIO_XAUTH_H
#define TESTS_SCENARIO_XAUTH_H

#include <check.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

static struct robot r;

static inline void client(int kind, const char *password)
{
	robot_init(&r, 0, "alice", password, true);
	r.xauth.kind = kind;
}

static inline void start(void)
{
	gateway_start(GATEWAY_XAUTH(""));
	client(ROBOT_APPLE, "alice-password");
}

static inline void stop(void)
{
	while (vd_session_after(NULL)) {
		vd_session_close(vd_session_after(NULL)->id, "the test is over", false);
		wire_pump();
	}
	r.silent = true;
	for (unsigned minutes = 0; minutes < 20; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

static inline void dial(void)
{
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	wire_pump();
}

static inline void logged_in(void)
{
	dial();
	ck_assert(wire_until(robot_up, &r, 2000));
	wire_pump();
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}

static inline const struct vd_setup_failed *the_report(const struct vd_failure *kind, const char *says)
{
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(!strcmp(f->kind, kind->word) && strstr(f->text, says), "%s", f->text);
	return f;
}

static inline void on_cancel(void *arg, uint64_t ticket)
{
	(void)arg, (void)ticket;
}

#endif
