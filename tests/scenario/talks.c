/* The conversations: set-ups, what happens while it is up, and both sides' ends. */
#include "tests/scenario/talks.h"

#include <check.h>
#include <string.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/lib/fake.h"
#include "tests/scenario/gateway.h"
#include "tests/lib/failures.h"

#define PATIENCE_MS 60000
#define QUIET_MS 200000 /* some LCP echoes and L2TP Hellos */
#define OLD_SA_MS 31000 /* so long the old IKE SA stays */

#define COMES(done, r, what) \
	ck_assert_msg(wire_until(done, r, PATIENCE_MS), "%s: it does not come to " #done, what)

/* ---- set-up ---- */
static bool session_up(const struct robot *r)
{
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		if (s->state == VD_S_UP && memcmp(s->lease4.address.a, r->address, 4) == 0)
			return robot_up(r);
	return false;
}

static struct robot *login(struct robot *r, const char *what)
{
	wire_add(r);
	robot_dial(r, r->psk);
	COMES(session_up, r, what);
	if (r->ipv6)
		wire_wait(4000); /* up with one protocol: the last word of the other may have been lost, and is asked for again */
	return r;
}

/* The same user again from elsewhere: the newer login wins. */
static struct robot *replace(struct robot *r, const char *what)
{
	static struct robot again;

	robot_init(&again, 1, r->user, r->password, r->nat);
	again.psk = r->psk;
	again.xauth.kind = r->xauth.kind;
	again.group = r->group;
	login(&again, what);
	wire_wait(10000);
	ck_assert_msg(r->cdn || r->xauth.kind, "%s: the older login was not told", what); /* Deletes are not repeated */
	r->silent = true;
	return &again;
}

/* ---- while it is up ---- */
static struct robot *quick(struct robot *r, const char *what)
{
	uint32_t spi = r->out.spi;

	robot_quick(r);
	COMES(robot_quick_done, r, what);
	ck_assert_uint_ne(r->out.spi, spi);
	wire_wait(5000); /* message 3 may come after our message 2 was repeated */
	robot_delete_esp(r, false);
	wire_wait(1000);
	return r;
}

static struct robot *phase1(struct robot *r, const char *what)
{
	uint8_t cookie[8];

	memcpy(cookie, r->ike[0].c.ic, 8);
	robot_phase1(r);
	COMES(robot_phase1_done, r, what);
	ck_assert(memcmp(cookie, r->ike[0].c.ic, 8) != 0);
	wire_wait(OLD_SA_MS);
	return r;
}

static struct robot *both(struct robot *r, const char *what)
{
	return quick(phase1(r, what), what);
}

static bool dpd_answered(const struct robot *r)
{
	return r->dpd_acks > 0;
}

static struct robot *dpd(struct robot *r, const char *what)
{
	for (unsigned i = 0; i < 5 && !dpd_answered(r); i++) {
		robot_dpd(r);
		wire_wait(2000);
	}
	ck_assert_msg(dpd_answered(r), "%s: nobody answers", what);
	return r;
}

static struct robot *quiet(struct robot *r, const char *what)
{
	wire_wait(QUIET_MS);
	ck_assert_msg(r->echoes > 0, "%s: the gateway did not ask", what);
	return r;
}

/* ---- ends that the client chose ---- */
static bool said(const struct robot *r)
{
	return r->acked == r->ns;
}

static bool term_answered(const struct robot *r)
{
	return r->term_ack || r->cdn;
}

static struct robot *delete_all(struct robot *r, const char *what)
{
	(void)what;
	robot_delete_esp(r, true);
	robot_delete_ike(r);
	wire_wait(1000);
	return NULL;
}

static struct robot *stopccn(struct robot *r, const char *what)
{
	robot_stopccn(r);
	COMES(said, r, what);
	return delete_all(r, what);
}

static struct robot *cdn(struct robot *r, const char *what)
{
	robot_cdn(r);
	COMES(said, r, what);
	return stopccn(r, what);
}

static struct robot *term(struct robot *r, const char *what)
{
	robot_term(r);
	COMES(term_answered, r, what);
	wire_wait(1000);
	return r->cdn ? stopccn(r, what) : cdn(r, what);
}

/* ---- ends that the gateway chose ---- */
static bool hung_up(const struct robot *r)
{
	return r->cdn;
}

static bool stopped(const struct robot *r)
{
	return r->stopccn;
}

static struct robot *killed(struct robot *r, const char *what)
{
	vd_session_close(vd_session_after(NULL)->id, "closed by the administrator", false);
	COMES(hung_up, r, what);
	/* A tunnel without a call is closed after a minute. */
	wire_wait(30000);
	COMES(stopped, r, what);
	wire_wait(5000);
	return delete_all(r, what);
}

static struct robot *refused(struct robot *r, const char *what)
{
	wire_add(r);
	robot_dial(r, r->psk);
	COMES(hung_up, r, what);
	ck_assert_msg(!r->authenticated && r->term_req, "%s: not refused", what);
	return stopccn(r, what);
}

static struct robot *wrong_psk(struct robot *r, const char *what)
{
	wire_add(r);
	robot_dial(r, r->psk);
	wire_wait(10000);
	ck_assert_msg(r->ike[0].state == ROBOT_MM6, "%s: phase 1 is not where it fails", what);
	return NULL;
}

/* ---- with XAuth ---- */
static struct robot *killed_tunnel(struct robot *r, const char *what)
{
	(void)r, (void)what;
	vd_session_close(vd_session_after(NULL)->id, "closed by the administrator", false);
	wire_wait(5000);
	return NULL;
}

static bool told_so(const struct robot *r)
{
	return r->xauth.refused;
}

static struct robot *refused_by_xauth(struct robot *r, const char *what)
{
	wire_add(r);
	robot_dial(r, r->psk);
	COMES(told_so, r, what);
	ck_assert_msg(!r->address[0], "%s: not refused", what);
	return NULL;
}

const struct talk talks[] = {
	{ "login", false, login },
	{ "login behind NAT", false, login, .nat = true },
	{ "login with IPv6", false, login, .ipv6 = true },
	{ "login, 3DES, SHA-1, group 2", false, login, .old = true, .psk = GATEWAY_PSK_DEVICES },
	{ "second login replaces", true, replace, .replaced = true, .minutes = 61 },
	{ "quick mode rekey", true, quick },
	{ "quick mode rekey behind NAT", true, quick, .nat = true },
	{ "phase 1 rekey", true, phase1 },
	{ "phase 1 rekey behind NAT", true, phase1, .nat = true },
	{ "phase 1 rekey, quick mode in it", true, both },
	{ "dead peer detection", true, dpd },
	{ "quiet", true, quiet },
	{ "Terminate-Request and all else", true, term, .minutes = 12 },
	{ "CDN, StopCCN, Deletes", true, cdn, .minutes = 12 },
	{ "StopCCN, Deletes", true, stopccn, .minutes = 12 },
	{ "Deletes", true, delete_all, .minutes = 12 },
	{ "session kill", true, killed, .minutes = 12 },
	{ "wrong password", false, refused, .password = "guessed", .why = &vd_fail_password, .minutes = 12 },
	{ "wrong password behind NAT", false, refused, .password = "guessed", .why = &vd_fail_password, .nat = true,
		.minutes = 12 },
	{ "wrong PSK", false, wrong_psk, .psk = "not the key", .why = &ike_fail_psk },
	{ "XAuth as macOS", false, login, .xauth = ROBOT_APPLE, .nat = true },
	{ "XAuth as macOS, protocol 50", false, login, .xauth = ROBOT_APPLE },
	{ "XAuth as Android", false, login, .xauth = ROBOT_ANDROID, .nat = true, .old = true, .psk = GATEWAY_PSK_DEVICES },
	{ "XAuth, mode config pushed", false, login, .xauth = ROBOT_APPLE, .push = true },
	{ "XAuth, aggressive mode", false, login, .xauth = ROBOT_APPLE, .aggressive = true },
	{ "XAuth, aggressive mode behind NAT", false, login, .xauth = ROBOT_ANDROID, .aggressive = true, .nat = true },
	{ "XAuth, aggressive mode again", true, phase1, .xauth = ROBOT_APPLE, .aggressive = true, .nat = true },
	{ "XAuth, second login replaces", true, replace, .xauth = ROBOT_APPLE, .replaced = true },
	{ "XAuth, quick mode rekey", true, quick, .xauth = ROBOT_APPLE },
	{ "XAuth, phase 1 rekey behind NAT", true, phase1, .xauth = ROBOT_APPLE, .nat = true },
	{ "XAuth, phase 1 rekey, quick mode in it", true, both, .xauth = ROBOT_APPLE },
	{ "XAuth, dead peer detection", true, dpd, .xauth = ROBOT_APPLE },
	{ "XAuth, Deletes", true, delete_all, .xauth = ROBOT_APPLE, .minutes = 12 },
	{ "XAuth, session kill", true, killed_tunnel, .xauth = ROBOT_APPLE },
	{ "XAuth, wrong password", false, refused_by_xauth, .xauth = ROBOT_APPLE, .password = "guessed",
		.why = &vd_fail_password },
	{ "XAuth, wrong PSK", false, wrong_psk, .xauth = ROBOT_APPLE, .psk = "not the key", .why = &ike_fail_psk },
};
const unsigned n_talks = VD_ARRAY_SIZE(talks);
