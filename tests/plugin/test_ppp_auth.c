/* CHAP with MD5 and PAP on the fake clock, byte for byte: whole logins, loss and repetition, bounds, refusals; and how LCP
 * finds a method, or ends. */
#include "test_ppp_client.h"
#include "tests/lib/failures.h"

#include <viaduct/crypto.h>

#define CONF(auth) \
	"gateway: { name: vpn.example.com }\n" \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections: { staff: { realm: corp, pool: staff, ppp: { auth: [" auth "] } } }\n"

static void start(const char *yaml)
{
	setup_with(yaml, 1416);
	fake_advance(0);
}

/* Both sides agree on what was asked for last. */
static void agree(void)
{
	in("c021 01 00 000e 0506 11223344 0702 0802");
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
}

static const char *asks_for(void)
{
	static char hex[16];
	int i = last(0xc021, 1);

	ck_assert_int_ge(i, 0);
	const uint8_t *p = out((unsigned)i) + 8;
	while (p[0] != LCP_AUTH)
		p += p[1];
	return vd_hex(hex, sizeof(hex), p + 2, p[1] - 2u);
}

static void nak(const char *option)
{
	in("c021 03 %02x %04x 03%02x %s", out((unsigned)last(0xc021, 1))[5], (unsigned)(6 + strlen(option) / 2),
		(unsigned)(2 + strlen(option) / 2), option);
	reimport();
}

static const char *the_report(const struct vd_failure *kind, const char *stage)
{
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_msg(!strcmp(f->kind, kind->word), "%s", f->text);
	ck_assert_str_eq(f->stage, stage);
	ck_assert_uint_eq(double_closed(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 0);
	return f->text;
}

static void comes_up(const char *method)
{
	const struct vd_auth_ok *ok = fake_last(&vd_topic_auth_ok);

	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(fake_events(&vd_topic_auth_ok), 1);
	ck_assert_str_eq(ok->method, method);
	ck_assert_str_eq(ok->user, "User");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}

/* ---- CHAP ---- */
/* The answer to the last Challenge in hexadecimal: MD5 over identifier, password and challenge (RFC 1994 section 4.1). */
static const char *md5(const char *password)
{
	static char hex[33];
	const uint8_t *challenge = out((unsigned)last(0xc223, 1));
	uint8_t text[64], digest[64];
	size_t n = strlen(password);

	text[0] = challenge[5];
	memcpy(text + 1, password, n);
	ck_assert_uint_eq(challenge[8], 16);
	memcpy(text + 1 + n, challenge + 9, 16);
	ck_assert_int_eq(vd_digest("MD5", text, 1 + n + 16, digest, &n), 0);
	return vd_hex(hex, sizeof(hex), digest, 16);
}

static void respond_as(const char *password, const char *name)
{
	in("c223 02 %02x %04x 10 %s %s", challenge_id(), (unsigned)(21 + strlen(name) / 2), md5(password), name);
}

static void respond(void)
{
	respond_as("clientPass", "55736572");
}

START_TEST(test_chap)
{
	start(CONF("chap"));
	expect(0, "ff03 c021 01 01 0013 0104 0574 0305 c22305 0506 %08x", our_magic());
	agree();
	unsigned at = (unsigned)last(0xc223, 1);
	ck_assert_uint_eq(d.out[at].len, 4 + 4 + 17 + 15);
	ck_assert_mem_eq(out(at) + 6, "\x00\x24\x10", 3);
	ck_assert_mem_eq(out(at) + 25, "vpn.example.com", 15);
	respond();
	ck_assert_int_eq(d.request.method, VD_AUTH_CHAP_MD5);
	ck_assert_int_eq(d.request.id, challenge_id());
	ck_assert_mem_eq(d.request.challenge, out(at) + 9, 16);
	ck_assert_str_eq(d.request.user, "User");
	expect((unsigned)last(0xc223, 3), "ff03 c223 03 %02x 000b 57656c636f6d65", challenge_id());
	reimport();
	comes_up("chap-md5");
	teardown();
}
END_TEST

START_TEST(test_chap_refused)
{
	static const struct { const char *password, *name, *says; bool unavailable; } cases[] = {
		{ "clientpass", "55736572", "0019 41757468656e7469636174696f6e206661696c6564", false },
		{ "clientPass", "6e6f6e65", "0019 41757468656e7469636174696f6e206661696c6564", false },
		{ "clientPass", "", "0019 41757468656e7469636174696f6e206661696c6564", false }, /* nobody's name */
		{ "clientPass", "55736572",
			"0026 41757468656e7469636174696f6e207365727669636520756e617661696c61626c65", true },
	};

	start(CONF("chap"));
	d.unavailable = cases[_i].unavailable;
	agree();
	respond_as(cases[_i].password, cases[_i].name);
	expect((unsigned)last(0xc223, 4), "ff03 c223 04 %02x %s", challenge_id(), cases[_i].says);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc021, 5), 1);
	the_report(cases[_i].unavailable ? &vd_fail_unavailable : &vd_fail_refused, "auth");
	teardown();
}
END_TEST

/* Success was lost: the Response that comes again hears it again, and so does another one (RFC 1994 section 4.2). */
START_TEST(test_chap_repeated)
{
	start(CONF("chap"));
	agree();
	respond();
	respond();
	respond_as("clientpass", "55736572");
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc223, 3), 3);
	ck_assert_uint_eq(count(0xc223, 4), 0);
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.repeated"), 2);
	reimport();
	comes_up("chap-md5");
	for (int i = 0; i < 400; i++)
		respond();
	ck_assert_uint_le(count(0xc223, 3), UINT8_MAX);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(double_closed(), 0);
	teardown();
}
END_TEST

START_TEST(test_chap_failure_repeated)
{
	start(CONF("chap"));
	d.hold_auth = true;
	agree();
	respond_as("clientpass", "55736572");
	respond_as("clientPass", "55736572"); /* no second guess */
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.busy"), 1);
	ck_assert_uint_eq(count(0xc223, 3) + count(0xc223, 4), 0);
	double_answer_auth();
	fake_drain();
	ck_assert_uint_eq(count(0xc223, 4), 1);
	respond_as("clientPass", "55736572");
	ck_assert_uint_eq(count(0xc223, 3), 0);
	ck_assert_uint_eq(d.asked, 1);
	teardown();
}
END_TEST

START_TEST(test_chap_silent)
{
	start(CONF("chap"));
	agree();
	unsigned first = (unsigned)last(0xc223, 1);
	for (int i = 0; i < 9; i++) {
		fake_advance(3000);
		ck_assert_mem_eq(out(first), out((unsigned)last(0xc223, 1)), d.out[first].len);
		reimport();
	}
	ck_assert_uint_eq(count(0xc223, 1), 10);
	ck_assert_uint_eq(double_closed(), 0);
	fake_advance(3000);
	ck_assert_uint_eq(count(0xc223, 1), 10);
	ck_assert_ptr_nonnull(strstr(the_report(&ppp_fail_auth_silent, "auth"), "the client never answered our chap challenge"));
	teardown();
}
END_TEST

/* What is no answer is counted and changes nothing; the right one then comes in. */
START_TEST(test_chap_bounds)
{
	char name[2 * 256 + 1];

	start(CONF("chap"));
	agree();
	in("c223 02 %02x 0019 10 %s 55736572", challenge_id() ^ 1, md5("clientPass"));
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.drop.id"), 1);
	for (unsigned code = 0; code < 6; code++)
		if (code != 2)
			in("c223 %02x %02x 0019 10 %s 55736572", code, challenge_id(), md5("clientPass"));
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.drop.code"), 5);
	in("c223 02 %02x 0003 10", challenge_id());
	in("c223 02 %02x 0019 10 %s 557365", challenge_id(), md5("clientPass"));
	in("c223 02 %02x", challenge_id());
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.drop.length"), 3);
	in("c223 02 %02x 0004", challenge_id());
	in("c223 02 %02x 0014 10 0102030405060708090a0b0c0d0e0f", challenge_id());
	in("c223 02 %02x 0019 0f %s 55736572", challenge_id(), md5("clientPass"));
	in("c223 02 %02x 0019 11 %s 55736572", challenge_id(), md5("clientPass"));
	in("c223 02 %02x 0019 00 %s 55736572", challenge_id(), md5("clientPass"));
	in("c223 02 %02x 0019 10 %s 55007365", challenge_id(), md5("clientPass"));
	for (int i = 0; i < 256; i++)
		memcpy(name + 2 * i, "61", 3);
	in("c223 02 %02x 0115 10 %s %s", challenge_id(), md5("clientPass"), name);
	ck_assert_uint_eq(vd_counter("ppp_auth_chap.drop.request"), 7);
	ck_assert_uint_eq(d.asked, 0);
	/* A string's end, and padding behind the packet. */
	in("c223 02 %02x 001a 10 %s 5573657200 ffff", challenge_id(), md5("clientPass"));
	ck_assert_str_eq(d.request.user, "User");
	comes_up("chap-md5");
	teardown();
}
END_TEST

START_TEST(test_chap_longest_name)
{
	char name[2 * 255 + 1];

	start(CONF("chap"));
	agree();
	for (int i = 0; i < 255; i++)
		memcpy(name + 2 * i, "61", 3);
	respond_as("clientPass", name);
	ck_assert_uint_eq(strlen(d.request.user), 255);
	teardown();
}
END_TEST

/* ---- PAP ---- */
#define USER "04 55736572"
#define PASS "0a 636c69656e7450617373"
#define REQUEST "c023 01 %02x 0014 " USER PASS

START_TEST(test_pap)
{
	start(CONF("pap"));
	expect(0, "ff03 c021 01 01 0012 0104 0574 0304 c023 0506 %08x", our_magic());
	agree();
	unsigned n = d.n_out;
	in(REQUEST, 7);
	ck_assert_int_eq(d.request.method, VD_AUTH_PAP);
	ck_assert_str_eq(d.request.user, "User");
	ck_assert_str_eq(d.password, "clientPass");
	expect(n, "ff03 c023 02 07 000c 07 57656c636f6d65");
	reimport();
	comes_up("pap");
	teardown();
}
END_TEST

START_TEST(test_pap_refused)
{
	static const struct { const char *request, *says; bool unavailable; } cases[] = {
		{ "0014 " USER "0a 636c69656e7470617373", "001a 15 41757468656e7469636174696f6e206661696c6564", false },
		{ "000a " USER "00", "001a 15 41757468656e7469636174696f6e206661696c6564", false },
		{ "0010 00" PASS, "001a 15 41757468656e7469636174696f6e206661696c6564", false }, /* nobody's name */
		{ "0006 00 00", "001a 15 41757468656e7469636174696f6e206661696c6564", false },
		{ "0014 " USER PASS, "0027 22 41757468656e7469636174696f6e207365727669636520756e617661696c61626c65", true },
	};

	start(CONF("pap"));
	d.unavailable = cases[_i].unavailable;
	agree();
	in("c023 01 21 %s", cases[_i].request);
	expect((unsigned)last(0xc023, 3), "ff03 c023 03 21 %s", cases[_i].says);
	/* What comes then is no second guess (RFC 1334 section 2.2.1: the same reply). */
	in(REQUEST, 0x22);
	ck_assert_uint_eq(count(0xc023, 2), 0);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc021, 5), 1);
	the_report(cases[_i].unavailable ? &vd_fail_unavailable : &vd_fail_refused, "auth");
	teardown();
}
END_TEST

/* Clients count their requests; the answer is to the latest, once for all that came while nobody could say. */
START_TEST(test_pap_repeated)
{
	start(CONF("pap"));
	d.hold_auth = true;
	agree();
	in(REQUEST, 1);
	in(REQUEST, 2);
	in(REQUEST, 3);
	ck_assert_uint_eq(d.asked, 1);
	ck_assert_uint_eq(count(0xc023, 2), 0);
	ck_assert_uint_eq(vd_counter("ppp_auth_pap.busy"), 2);
	double_answer_auth();
	fake_drain();
	expect((unsigned)last(0xc023, 2), "ff03 c023 02 03 000c 07 57656c636f6d65");
	ck_assert_uint_eq(count(0xc023, 2), 1);
	in(REQUEST, 4);
	in(REQUEST, 4);
	expect((unsigned)last(0xc023, 2), "ff03 c023 02 04 000c 07 57656c636f6d65");
	ck_assert_uint_eq(count(0xc023, 2), 3);
	ck_assert_uint_eq(d.asked, 1);
	reimport();
	comes_up("pap");
	for (int i = 0; i < 400; i++)
		in(REQUEST, i & 255);
	ck_assert_uint_le(count(0xc023, 2), UINT8_MAX);
	ck_assert_uint_eq(double_closed(), 0);
	teardown();
}
END_TEST

START_TEST(test_pap_silent)
{
	start(CONF("pap"));
	agree();
	unsigned n = d.n_out;
	fake_advance(29000);
	reimport();
	ck_assert_uint_eq(d.n_out, n);
	ck_assert_uint_eq(double_closed(), 0);
	fake_advance(1000);
	ck_assert_ptr_nonnull(strstr(the_report(&ppp_fail_auth_silent, "auth"),
		"the client never answered our request for its name and password (pap)"));
	teardown();
}
END_TEST

START_TEST(test_pap_bounds)
{
	char name[2 * 255 + 1];

	start(CONF("pap"));
	agree();
	for (unsigned code = 0; code < 5; code++)
		if (code != 1)
			in("c023 %02x 01 0014 " USER PASS, code);
	ck_assert_uint_eq(vd_counter("ppp_auth_pap.drop.code"), 4);
	in("c023 01 01 0003");
	in("c023 01 01 0015 " USER PASS);
	in("c023 01");
	ck_assert_uint_eq(vd_counter("ppp_auth_pap.drop.length"), 3);
	in("c023 01 01 0004");
	in("c023 01 01 0005 00");
	in("c023 01 01 0009 05 55736572");
	in("c023 01 01 0009 " USER);
	in("c023 01 01 0013 " USER "0a 636c69656e74506173");
	in("c023 01 01 0014 ff 55736572" PASS);
	in("c023 01 01 0014 04 55007365" PASS);
	ck_assert_uint_eq(vd_counter("ppp_auth_pap.drop.request"), 7);
	ck_assert_uint_eq(d.asked, 0);
	for (int i = 0; i < 255; i++)
		memcpy(name + 2 * i, "61", 3);
	in("c023 01 01 0204 ff %s ff %s", name, name);
	ck_assert_uint_eq(strlen(d.request.user), 255);
	ck_assert_uint_eq(d.request.data.len, 255);
	ck_assert_uint_eq(strlen(d.password), 255);
	teardown();
}
END_TEST

/* What was agreed on is what is heard: another method's packets are nothing. */
START_TEST(test_other_method)
{
	start(CONF("mschapv2, chap, pap"));
	agree();
	in(REQUEST, 1);
	ck_assert_uint_eq(vd_counter("ppp_link.drop.not_authenticated"), 1);
	respond(); /* MD5 where MS-CHAPv2 was asked for */
	ck_assert_uint_eq(vd_counter("ppp_auth_mschapv2.drop.request"), 1);
	ck_assert_uint_eq(d.asked, 0);
	teardown();
}
END_TEST

/* ---- a bad line: each message of either side lost once or twice there ---- */
static struct {
	unsigned seen, sent;
	int lose, twice;
	bool pap, lcp_open, success;
	uint8_t chap_id, pap_id;
} c;

static void client(const char *fmt, ...)
{
	char text[400];
	va_list ap;
	int n = (int)c.sent++;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (int times = n == c.lose ? 0 : n == c.twice ? 2 : 1; times; times--) {
		in("%s", text);
		reimport();
	}
}

static void client_speaks(void)
{
	if (!c.lcp_open)
		client("c021 01 01 000e 0506 11223344 0702 0802");
	else if (c.success)
		client("8021 01 05 000a 0306 0a080017");
	else if (c.pap)
		client(REQUEST, ++c.pap_id);
	else if (last(0xc223, 1) >= 0 && c.chap_id)
		client("c223 02 %02x 0019 10 %s 55736572", challenge_id(), md5("clientPass"));
}

static void client_hears(void)
{
	while (c.seen < d.n_out) {
		struct frame f = d.out[c.seen++];
		unsigned protocol = (unsigned)f.p[2] << 8 | f.p[3], code = f.p[4];
		char hex[600];

		if ((protocol == 0xc021 && code == 1 && !c.success) || (protocol == 0x8021 && code == 1 && c.success)) {
			vd_hex(hex, sizeof(hex), f.p + 2, f.len - 2);
			hex[5] = '2';
			client("%s", hex);
		} else if (protocol == 0xc021 && code == 2) {
			c.lcp_open = true;
			if (c.pap)
				client_speaks();
		} else if (protocol == 0xc223 && code == 1 && c.lcp_open) {
			c.chap_id = 1;
			client_speaks();
		} else if (protocol == (c.pap ? 0xc023 : 0xc223) && code == (c.pap ? 2 : 3) && !c.success) {
			c.success = true;
			client_speaks();
		}
	}
}

static void converse(bool pap)
{
	c.pap = pap;
	start(pap ? CONF("pap") : CONF("chap"));
	d.lose = c.lose <= -100 ? -100 - c.lose : -1;
	client_speaks();
	for (int seconds = 0; seconds < 50 && link_now()->phase != PPP_PHASE_UP; seconds++) {
		client_hears();
		fake_advance(1000);
		reimport();
		client_hears();
		if (seconds % 3 == 2)
			client_speaks();
	}
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	ck_assert_uint_eq(d.leased, 1);
	teardown();
}

#define MESSAGES 7
START_TEST(test_loss)
{
	memset(&c, 0, sizeof(c));
	c.twice = -1;
	c.lose = _i / 3 % MESSAGES;
	if (_i % 3 == 1) {
		c.twice = c.lose;
		c.lose = -1;
	} else if (_i % 3 == 2) {
		c.lose = -100 - c.lose; /* the gateway's */
	}
	converse(_i >= 3 * MESSAGES);
}
END_TEST

/* ---- which method ---- */
START_TEST(test_order)
{
	start(CONF("pap, chap, mschapv2"));
	ck_assert_str_eq(asks_for(), "c22305"); /* as configured, clear text last */
	nak("c227"); /* not ours: the next */
	ck_assert_str_eq(asks_for(), "c22381");
	nak("c227");
	ck_assert_str_eq(asks_for(), "c023");
	agree();
	in(REQUEST, 1);
	comes_up("pap");
	teardown();
}
END_TEST

START_TEST(test_nak_chooses)
{
	start(CONF("mschapv2, chap, pap"));
	ck_assert_str_eq(asks_for(), "c22381");
	nak("c023");
	ck_assert_str_eq(asks_for(), "c023");
	nak("c22305");
	ck_assert_str_eq(asks_for(), "c22305");
	agree();
	respond();
	comes_up("chap-md5");
	teardown();
}
END_TEST

/* It is loaded, for another connection; this one did not name it. */
START_TEST(test_only_by_name)
{
	static const char yaml[] = "realms: { corp: { authenticate: [users/local] } }\nusers: { local: {} }\npools: { staff: {} }\n"
		"connections:\n  staff: { realm: corp, pool: staff }\n  old: { realm: corp, ppp: { auth: [pap, chap] } }\n";

	start(yaml);
	for (int i = 0; i < 4; i++) {
		ck_assert_str_eq(asks_for(), "c22381");
		nak(_i ? "c023" : "c22305");
	}
	the_report(&ppp_fail_auth_method, "lcp");
	ck_assert_uint_eq(d.asked, 0);
	teardown();
}
END_TEST

#define NO_COMMON "no common authentication method: client wants "
#define SEES " (Windows shows error 734 or 691; macOS and iOS show \"user authentication failed\")"
static const struct {
	const char *conf, *wants, *text;
} wishes[] = {
	{ CONF("mschapv2"), "c22305",
		NO_COMMON "chap with MD5 (c22305); connection staff allows mschapv2; switch on mschapv2 in the client's connection, "
		"or write 'auth: [mschapv2, chap]' in connections.staff.ppp (now test.yaml:5)" SEES },
	{ REALM, "c22305",
		NO_COMMON "chap with MD5 (c22305); connection staff allows mschapv2; switch on mschapv2 in the client's connection, "
		"or write 'auth: [mschapv2, chap]' in connections.staff.ppp" SEES },
	{ CONF("mschapv2, chap"), "c023",
		NO_COMMON "pap (c023); connection staff allows mschapv2, chap; switch on mschapv2, chap in the client's connection, or "
		"write 'auth: [mschapv2, chap, pap]' in connections.staff.ppp (now test.yaml:5), which sends the password in "
		"clear text inside of IPsec" SEES },
	{ CONF("mschapv2"), "c22380",
		NO_COMMON "mschap version 1 (c22380); connection staff allows mschapv2; switch on mschapv2 in the client's "
		"connection" SEES },
	{ CONF("mschapv2"), "c0de07", NO_COMMON "c0de07; connection staff allows mschapv2; switch on mschapv2 in the client's "
		"connection" SEES },
	{ CONF("mschapv2"), "c22381",
		NO_COMMON "mschapv2 (c22381); connection staff allows mschapv2; see the client's PPP log: it was offered what it asks "
		"for" SEES },
};

START_TEST(test_wishes)
{
	start(wishes[_i].conf);
	for (int i = 0; i < 10 && !fake_events(&vd_topic_setup_failed); i++)
		nak(wishes[_i].wants);
	ck_assert_str_eq(the_report(&ppp_fail_auth_method, "lcp"), wishes[_i].text);
	ck_assert_str_eq(double_why(), "no authentication method in common");
	teardown();
}
END_TEST

/* Who rejects the option does not want to be authenticated: he hears no other offer, and does not come in. */
START_TEST(test_reject)
{
	start(CONF("mschapv2, chap, pap"));
	in("c021 04 01 0009 0305 c22381");
	ck_assert_str_eq(the_report(&ppp_fail_auth_none, "lcp"),
		"the client refuses to authenticate: it rejects LCP's authentication option; switch on mschapv2, chap, pap in the "
		"client's connection, and give it user name and password" SEES);
	ck_assert_str_eq(double_why(), "the client refuses to authenticate");
	in("c021 01 00 000e 0506 11223344 0702 0802");
	in("c021 02 01 000e 0104 0574 0506 %08x", our_magic());
	in("8021 01 05 000a 0306 0a080017");
	in("0021 4500");
	ck_assert_uint_eq(d.asked + d.leased, 0);
	ck_assert_uint_eq(count(0x8021, 1) + count(0x8021, 2), 0);
	fake_advance(60000);
	ck_assert_uint_eq(d.lower_closed, 1);
	teardown();
}
END_TEST

/* An Ack without the option acknowledges something that was not asked for. */
START_TEST(test_ack_without)
{
	start(CONF("chap"));
	in("c021 01 00 000e 0506 11223344 0702 0802");
	in("c021 02 01 000e 0104 0574 0506 %08x", our_magic());
	ck_assert_int_ne(link_now()->lcp.state, PPP_OPENED);
	in("8021 01 05 000a 0306 0a080017");
	ck_assert_uint_eq(d.leased, 0);
	teardown();
}
END_TEST

/* The client took the method and rejects its protocol: no way around it either. */
START_TEST(test_protocol_rejected)
{
	start(CONF("pap"));
	agree();
	in("c021 08 09 0006 c023");
	ck_assert_ptr_nonnull(strstr(the_report(&ppp_fail_auth_rejected, "auth"), "the client agreed to pap"));
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp auth");
	TCase *t = tcase_create("auth");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_chap);
	tcase_add_loop_test(t, test_chap_refused, 0, 4);
	tcase_add_test(t, test_chap_repeated);
	tcase_add_test(t, test_chap_failure_repeated);
	tcase_add_test(t, test_chap_silent);
	tcase_add_test(t, test_chap_bounds);
	tcase_add_test(t, test_chap_longest_name);
	tcase_add_test(t, test_pap);
	tcase_add_loop_test(t, test_pap_refused, 0, 5);
	tcase_add_test(t, test_pap_repeated);
	tcase_add_test(t, test_pap_silent);
	tcase_add_test(t, test_pap_bounds);
	tcase_add_test(t, test_other_method);
	tcase_add_loop_test(t, test_loss, 0, 2 * 3 * MESSAGES);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_nak_chooses);
	tcase_add_loop_test(t, test_only_by_name, 0, 2);
	tcase_add_loop_test(t, test_wishes, 0, VD_ARRAY_SIZE(wishes));
	tcase_add_test(t, test_reject);
	tcase_add_test(t, test_ack_without);
	tcase_add_test(t, test_protocol_rejected);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
