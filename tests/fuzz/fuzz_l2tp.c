/* L2TP, control and data: datagrams of one channel, from their UDP header on, through the real stage to a freshly started
 * plugin. At the end the plugin is exported and started anew from that. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/state.h>

#include "core/session/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/plugin/test_l2tp_world.h"

#define OP_LENGTH 1u  /* the lengths of UDP and of L2TP control are right */
#define OP_NUMBERS 2u /* Ns is what the gateway waits for, and Nr acknowledges all that it said */
#define OP_IDS 4u     /* the ids are those of the tunnel and the call that the gateway named last */
#define OP_SESSION 8u /* the call becomes an established session before this */
#define OP_SECRET 16u /* in the first record: the gateway has a tunnel secret */

static struct {
	uint16_t tid, sid, ns, nr;
} gw;

#define CONF "realms: {corp: {authenticate: [users/local]}}, users: {local: {}}, pools: {staff: {}}, " \
	"connections: {staff: {realm: corp, pool: staff}}"

static void begin(bool secret)
{
	fuzz_begin();
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	w_begin(secret ? "{l2tp: {secret: !env VD_TEST_L2TP_SECRET}, " CONF "}" : "{" CONF "}");
	w_.many = w_.numbers = true;
	w_.connection = "staff";
	w_.chan = c_.chan = w_channel(4600, true);
}

/* What the gateway's control messages say about themselves. */
static void learn(void)
{
	for (unsigned i = 0; i < w_.n && i < W_SENT; i++) {
		struct l2tp_msg m;

		if (!c_is_control(i) || l2tp_msg_parse(w_.p[i] + 8, w_.len[i] - 8, NULL, &m) < 0)
			continue;
		gw.ns = m.h.nr;
		gw.nr = (uint16_t)(m.h.ns + (m.type != 0));
		if (m.type == L2TP_SCCRP)
			gw.tid = m.tunnel_id;
		if (m.type == L2TP_ICRP)
			gw.sid = m.session_id;
	}
	w_.n = 0;
}

static void put16(uint8_t *p, size_t at, size_t v)
{
	p[at] = (uint8_t)(v >> 8);
	p[at + 1] = (uint8_t)v;
}

static void repair(const struct fuzz_record *r)
{
	bool control = r->len >= 20 && r->p[8] & 0x80;
	size_t ids = r->len >= 10 && r->p[8] & 0x40 ? 12 : 10;

	if (r->op & OP_LENGTH && r->len >= 8)
		put16(r->p, 4, r->len);
	if (r->op & OP_LENGTH && ids == 12 && r->len >= 12)
		put16(r->p, 10, r->len - 8);
	if (r->op & OP_NUMBERS && control) {
		put16(r->p, 16, gw.ns);
		put16(r->p, 18, gw.nr);
	}
	if (r->op & OP_IDS && r->len >= ids + 4) {
		put16(r->p, ids, gw.tid);
		if (!control || r->p[ids + 2] | r->p[ids + 3])
			put16(r->p, ids + 2, gw.sid);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t state[1 << 18];
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	memset(&gw, 0, sizeof(gw));
	w_.restarts = false;
	begin(size && data[0] != FUZZ_TIME && data[0] & OP_SECRET);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
		} else if (r.len <= 1400) {
			if (r.op & OP_SESSION && w_.starts == 1 && !w_.downs && !w_.stops && !w_.established &&
				vd_session_find(w_.session))
				w_establish();
			repair(&r);
			w_datagram(w_.chan, r.p, r.len);
		}
		learn();
	}
	fuzz_end(&r);
	if (w_restart_with(state, w_export(state, sizeof(state))) < 0)
		__builtin_trap(); /* what was exported must be readable */
	w_.restarting = true; /* sessions and their links went with the import */
	fake_advance(100000);
	w_.n = 0;
	w_end();
	return 0;
}

/* ---- seeds ---- */
#define OPS (OP_LENGTH | OP_NUMBERS | OP_IDS)

static void keep(uint8_t op)
{
	fuzz_put(op, c_.said, c_.said_len);
}

static void data(const char *ppp, size_t len, bool lengths)
{
	uint8_t p[200];
	struct vd_wr w;

	vd_wr_init(&w, p, sizeof(p));
	vd_wr_put(&w, "\x06\xa5\x06\xa5\0\0\0\0", 8);
	vd_wr_u16(&w, lengths ? 0x4002 : 0x0002);
	if (lengths)
		vd_wr_u16(&w, 0);
	vd_wr_u32(&w, 1);
	vd_wr_put(&w, ppp, len);
	fuzz_put(OPS, p, w.len);
}

/* With a sequence number. */
static void numbered(uint16_t ns)
{
	uint8_t p[40];
	struct vd_wr w;

	vd_wr_init(&w, p, sizeof(p));
	vd_wr_put(&w, "\x06\xa5\x06\xa5\0\0\0\0\x48\x02\0\0\0\1\0\1", 16);
	vd_wr_u16(&w, ns);
	vd_wr_u16(&w, 0);
	vd_wr_put(&w, "\xff\x03\xc0\x21\x09\x01\x00\x04", 8);
	fuzz_put(OPS, p, w.len);
}

static void call(const char *name, bool whole)
{
	begin(false);
	c_say(L2TP_SCCRQ, 0, 1);
	keep(OPS & ~OP_IDS);
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	c_say(L2TP_SCCCN, 0, 0);
	keep(OPS);
	c_say(L2TP_ICRQ, 0, 9);
	keep(OPS);
	c_.sid = c_got(-1).session_id;
	c_.nr = 2;
	data("\xff\x03\xc0\x21\x01\x01\x00\x04", 8, true); /* before its ICCN */
	c_say(L2TP_ICCN, c_.sid, 0);
	keep(OPS);
	data("\x00\x21\x45\0\0\x14", 6, false);
	c_say(L2TP_HELLO, 0, 0);
	keep(OPS | OP_SESSION);
	c_make(0, 0, 0);
	keep(OPS);
	data("\x21\x45\0\0\x14", 5, true);
	if (whole) {
		c_say(L2TP_CDN, c_.sid, 9);
		keep(OPS);
		c_say(L2TP_STOPCCN, 0, 1);
		keep(OPS);
	} else {
		fuzz_put(FUZZ_TIME, "\x0f\xff", 2);
	}
	fuzz_put_done(name);
	w_end();
}

/* Ids hidden with the secret and VECTOR (tests/plugin/test_l2tp_lns.c), and tunnel authentication both ways. */
#define VECTOR "\x80\x18\0\0\0\x24\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf\x10\x11"
#define CHALLENGE "\x80\x0a\0\0\0\x0b" "abcd"

static void say_more(uint16_t type, uint16_t id, const char *more, size_t len, uint8_t op)
{
	c_.more = (const uint8_t *)more;
	c_.more_len = len;
	c_say(type, 0, id);
	keep(op);
}

static void hidden_call(void)
{
	struct vd_secret *secret = vd_secret_new("tunnel-secret", 13);
	char response[22] = "\x80\x16\0\0\0\x0d";
	struct l2tp_msg m;

	begin(true);
	say_more(L2TP_SCCRQ, 0, VECTOR "\xc0\x0a\0\0\0\x09\x34\x0c\xad\x7f" CHALLENGE, 44, (OPS & ~OP_IDS) | OP_SECRET);
	m = c_got(-1);
	c_.tid = m.tunnel_id;
	c_.nr = 1;
	if (m.type != L2TP_SCCRP || l2tp_response(L2TP_SCCCN, secret, m.challenge, m.challenge_len, (uint8_t *)response + 6) < 0)
		abort();
	vd_secret_free(secret);
	say_more(L2TP_SCCCN, 0, response, 22, OPS);
	say_more(L2TP_ICRQ, 0, VECTOR "\xc0\x0a\0\0\0\x0e\x34\x20\xa8\x51", 34, OPS);
	if (c_got(-1).type != L2TP_ICRP)
		abort();
	c_.sid = c_got(-1).session_id;
	c_.nr = 2;
	c_say(L2TP_ICCN, c_.sid, 0);
	keep(OPS);
	numbered(1);
	numbered(0);
	numbered(3);
	numbered(2);
	c_say(L2TP_STOPCCN, 0, 1);
	keep(OPS);
	fuzz_put_done("hidden-call");
	w_end();
}

/* Numbers are required of all data messages. */
static void numbered_call(void)
{
	begin(false);
	c_say(L2TP_SCCRQ, 0, 1);
	keep(OPS & ~OP_IDS);
	c_.tid = c_got(-1).tunnel_id;
	c_.nr = 1;
	c_say(L2TP_SCCCN, 0, 0);
	keep(OPS);
	c_say(L2TP_ICRQ, 0, 9);
	keep(OPS);
	c_.sid = c_got(-1).session_id;
	c_.nr = 2;
	c_.more = (const uint8_t *)"\x80\x06\0\0\0\x27";
	c_.more_len = 6;
	c_say(L2TP_ICCN, c_.sid, 0);
	keep(OPS);
	numbered(0);
	data("\xff\x03\xc0\x21\x09\x01\x00\x04", 8, true); /* which this has not */
	c_say(L2TP_HELLO, 0, 0);
	keep(OPS | OP_SESSION);
	numbered(1);
	data("\x21\x45\0\0\x14", 5, true);
	fuzz_put_done("call-numbered");
	w_end();
}

void fuzz_seeds(void)
{
	numbered_call();
	hidden_call();
	call("call", true);
	call("call-silent", false);
}
