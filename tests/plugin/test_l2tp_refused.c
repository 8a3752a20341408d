/* Every place that refuses a tunnel or a call: what the client hears, and what the administrator does. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/report.h>

#include "tests/plugin/test_l2tp_world.h"
#include "tests/lib/failures.h"

enum stage { NOTHING, REPLY, TUNNEL, CALLING, CALL };

#define VERSION "8008000000020100"
#define HOST "80070000000763"
#define TID "8008000000090001"
#define SID "80080000000e0009"
#define RESULT "8008000000010002"
#define CHALLENGE "80160000000b000102030405060708090a0b0c0d0e0f"
#define UNKNOWN "8008000000c80001"

static const struct {
	const char *what;
	enum stage at;
	uint16_t type;
	bool call;          /* to the call's id */
	const char *avps;
	uint16_t answer;    /* 0: there is nobody to say it to, or nothing to say */
	const struct vd_failure *kind;
	const char *text;   /* part of the report */
	const char *yaml;
	unsigned wait_ms;   /* before the report is looked for */
} all[] = {
	{ "no tunnel id", NOTHING, L2TP_SCCRQ, false, VERSION HOST, 0, &l2tp_fail_refused, "no tunnel id", NULL, 0 },
	{ "another version", NOTHING, L2TP_SCCRQ, false, "8008000000020200" HOST TID, L2TP_STOPCCN, &l2tp_fail_refused,
		"another version of L2TP", NULL, 0 },
	{ "no version", NOTHING, L2TP_SCCRQ, false, HOST TID, L2TP_STOPCCN, &l2tp_fail_refused, "another version", NULL, 0 },
	{ "an unknown AVP", NOTHING, L2TP_SCCRQ, false, VERSION HOST TID UNKNOWN, L2TP_STOPCCN, &l2tp_fail_refused,
		"mandatory AVP 200 of vendor 0 in SCCRQ", NULL, 0 },
	{ "an empty host name", NOTHING, L2TP_SCCRQ, false, VERSION "800600000007" TID, L2TP_STOPCCN, &l2tp_fail_refused,
		"AVP 7 of vendor 0", NULL, 0 },
	{ "an AVP of a wrong length", NOTHING, L2TP_SCCRQ, false, VERSION HOST TID "80090000000a000400", L2TP_STOPCCN,
		&l2tp_fail_refused, "AVP 10 of vendor 0", NULL, 0 },
	{ "a challenge", NOTHING, L2TP_SCCRQ, false, VERSION HOST TID CHALLENGE, L2TP_STOPCCN, &l2tp_fail_tunnel_secret_none,
		"l2tp.secret is not set", NULL, 0 },
	{ "one tunnel too many", CALL, L2TP_SCCRQ, false, VERSION HOST "8008000000090002", L2TP_STOPCCN, &l2tp_fail_limit,
		"more than 1 L2TP tunnels", "{l2tp: {tunnels: 1}}", 0 },
	{ "no response", REPLY, L2TP_SCCCN, false, "", L2TP_STOPCCN, &l2tp_fail_tunnel_secret_wrong, "authentication failed",
		"{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}", 0 },
	{ "a call too early", REPLY, L2TP_ICRQ, false, SID, L2TP_STOPCCN, &l2tp_fail_refused, "before the tunnel is up", NULL, 0 },
	{ "no SCCCN", REPLY, L2TP_ZLB, false, "", 0, &l2tp_fail_no_scccn, "did not come up", NULL, 31000 },
	{ "the client's StopCCN", REPLY, L2TP_STOPCCN, false, TID RESULT, 0, &vd_fail_gave_up, "client ended it", NULL, 0 },
	{ "SCCCN twice", TUNNEL, L2TP_SCCCN, false, "", L2TP_STOPCCN, &l2tp_fail_refused, "SCCCN in a tunnel", NULL, 0 },
	{ "SCCRP", TUNNEL, L2TP_SCCRP, false, "", L2TP_STOPCCN, &l2tp_fail_refused, "set-up message inside", NULL, 0 },
	{ "an unknown message", TUNNEL, 200, false, "", L2TP_STOPCCN, &l2tp_fail_refused, "message type 200", NULL, 0 },
	{ "an unknown AVP in HELLO", TUNNEL, L2TP_HELLO, false, UNKNOWN, L2TP_STOPCCN, &l2tp_fail_refused, "AVP 200", NULL, 0 },
	{ "a call without an id", TUNNEL, L2TP_ICRQ, false, "", 0, &l2tp_fail_refused, "no session id", NULL, 0 },
	{ "an unknown AVP in ICRQ", TUNNEL, L2TP_ICRQ, false, SID UNKNOWN, L2TP_CDN, &l2tp_fail_refused, "AVP 200", NULL, 0 },
	{ "one call too many", CALL, L2TP_ICRQ, false, "80080000000e0010", L2TP_CDN, &l2tp_fail_limit, "more than 1 sessions",
		"{l2tp: {sessions: 1}}", 0 },
	{ "a call from us", TUNNEL, L2TP_OCRQ, false, SID, L2TP_CDN, &l2tp_fail_refused, "no outgoing calls", NULL, 0 },
	{ "a call from us without an id", TUNNEL, L2TP_OCRQ, false, "", 0, &l2tp_fail_refused, "no outgoing calls", NULL, 0 },
	{ "the client's CDN", CALLING, L2TP_CDN, true, SID RESULT, 0, &vd_fail_gave_up, "hung up", NULL, 0 },
	{ "no ICCN", CALLING, L2TP_ZLB, false, "", L2TP_CDN, &l2tp_fail_no_iccn, "call did not come up", NULL, 31000 },
	{ "an unknown AVP in ICCN", CALLING, L2TP_ICCN, true, UNKNOWN, L2TP_CDN, &l2tp_fail_refused, "AVP 200", NULL, 0 },
	{ "ICCN twice", CALL, L2TP_ICCN, true, "", L2TP_CDN, &l2tp_fail_refused, "ICCN is out of sequence", NULL, 0 },
	{ "ICRP", CALL, L2TP_ICRP, true, SID, L2TP_CDN, &l2tp_fail_refused, "out of sequence", NULL, 0 },
	{ "OCRP", CALL, L2TP_OCRP, true, "", L2TP_CDN, &l2tp_fail_refused, "out of sequence", NULL, 0 },
	{ "an unknown AVP in WEN", CALL, L2TP_WEN, true, UNKNOWN, L2TP_CDN, &l2tp_fail_refused, "AVP 200", NULL, 0 },
};

/* Octets as they are, without the AVPs that the world's client has in its messages. */
static void say(uint16_t type, uint16_t tunnel, uint16_t session, const char *hex)
{
	uint8_t p[256], avps[200];
	struct vd_wr w, m;
	int n = hex[0] ? vd_unhex(hex, avps, sizeof(avps)) : 0;
	ck_assert_int_ge(n, 0);
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u32(&w, 0);
	vd_wr_init(&m, p + 8, sizeof(p) - 8);
	l2tp_begin(&m, tunnel, session, c_.ns, c_.nr);
	if (type)
		l2tp_avp_u16(&m, L2TP_A_MESSAGE_TYPE, type);
	vd_wr_put(&m, avps, (size_t)n);
	l2tp_end(&m);
	ck_assert(vd_wr_ok(&m));
	vd_wr_patch_u16(&w, 4, (uint16_t)(m.len + 8));
	w_datagram(w_.chan, p, m.len + 8);
	c_.ns += type != 0;
}

START_TEST(reported)
{
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	w_begin(all[_i].yaml ? all[_i].yaml : "{}");
	switch (all[_i].at) {
	case NOTHING: break;
	case REPLY: case CALLING:
		if (all[_i].at == CALLING)
			c_tunnel();
		c_say(all[_i].at == REPLY ? L2TP_SCCRQ : L2TP_ICRQ, 0, all[_i].at == REPLY ? 1 : 9);
		c_.tid = 1;
		c_.sid = 9;
		c_.nr++;
		break;
	case TUNNEL: c_tunnel(); break;
	case CALL: c_call(); break;
	}
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	unsigned n = w_.n;
	if (all[_i].type == L2TP_SCCRQ)
		c_.ns = 0;
	say(all[_i].type, all[_i].type == L2TP_SCCRQ ? 0 : c_.tid, all[_i].call ? c_.sid : 0, all[_i].avps);
	w_advance(all[_i].wait_ms);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_msg(f != NULL, "%s: no report", all[_i].what);
	ck_assert_msg(!strcmp(f->kind, all[_i].kind->word), "%s: it is %s", all[_i].what, f->kind);
	ck_assert_msg(strstr(f->text, all[_i].text) != NULL, "%s: %s", all[_i].what, f->text);
	ck_assert_str_eq(f->stage, "l2tp");
	ck_assert_uint_eq(f->chan, w_.chan);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	unsigned answers = 0;
	for (; n < w_.n; n++) {
		uint16_t type = c_got((int)n).type;
		ck_assert_msg(type == all[_i].answer || (type != L2TP_STOPCCN && type != L2TP_CDN), "%s: %s", all[_i].what,
			l2tp_type_name(type));
		answers += type == all[_i].answer;
	}
	ck_assert_msg(answers > 0 || !all[_i].answer, "%s: no answer", all[_i].what);
	w_end();
}
END_TEST

/* A client that asks for ever is in the log once in 10 s. */
START_TEST(seldom)
{
	w_begin("{}");
	for (unsigned i = 0; i < 200; i++) {
		c_.ns = 0;
		say(L2TP_SCCRQ, 0, 0, "8008000000020200" HOST TID);
		w_.n = 0;
		w_advance(100);
	}
	ck_assert_uint_eq(vd_counter("l2tp.refused"), 200);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 2);
	w_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_refused");
	TCase *t = tcase_create("refused");
	tcase_add_loop_test(t, reported, 0, (int)VD_ARRAY_SIZE(all));
	tcase_add_test(t, seldom);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
