/* PPP: LCP, MS-CHAPv2, CHAP with MD5, PAP and IPCP, as the gateway and as the one who dials it; frames come from below as they are punted. */
#include "tests/plugin/test_ppp_client.h"

#include "tests/fuzz/fuzz.h"

#include "plugins/ppp/lib/chap.h"

#include <viaduct/crypto.h>

#define OP_HEADER 1u /* address and control in front */
#define OP_ID 2u     /* the identifier is that of what we said last in this protocol */
#define OP_LENGTH 4u /* the packet's length is right */
#define OP_ECHO 8u   /* the octets of what we said last in this protocol, with this code */
#define OP_UNAVAILABLE 16u /* nobody can say who it is, or there is no address */
#define OP_OTHERS 32u /* in the first record: the connection names all methods, MS-CHAPv2 last but PAP */
#define OP_DIAL 64u  /* in the first record: we dial */
#define OP_RETRY 128u /* in the first record: a wrong password may be corrected; in others: it is too old */

#define YAML(ppp) \
	"gateway: { name: vpn.example.com }\n" \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections: { staff: { realm: corp, pool: staff, peer: 192.0.2.1, user: till-01, " \
	"password: !env VD_TEST_PPP_PASSWORD" ppp " } }\n"

static bool retries;

static void begin(uint8_t op)
{
	fuzz_begin();
	setenv("VD_TEST_PPP_PASSWORD", "correct horse", 1);
	double_dials = op & OP_DIAL;
	setup_with(op & OP_OTHERS ? YAML(", ppp: { auth: [chap, pap, mschapv2] }") :
		op & OP_RETRY ? YAML(", ppp: { auth_retries: 3 }") : YAML(""), 1416);
	retries = op & OP_RETRY;
	d.network = true;
}

static void end(void)
{
	fake_advance(60000);
	teardown();
}

static struct frame *said(const uint8_t *protocol)
{
	for (unsigned i = d.n_out; i-- > 0;)
		if (d.out[i].len >= 8 && d.out[i].p[2] == protocol[0] && d.out[i].p[3] == protocol[1])
			return &d.out[i];
	return NULL;
}

static void frame(const struct fuzz_record *r)
{
	uint8_t room[1500] = { 0xff, 0x03 }, *exact;
	size_t n = r->op & OP_HEADER ? 2 : 0, at = n, len = r->len;
	const struct frame *ours = len >= 4 ? said(r->p) : NULL;

	d.code = !retries ? 0 : r->op & OP_RETRY ? -EKEYEXPIRED : -EKEYREJECTED;
	if (len > sizeof(room) - 2)
		return;
	memcpy(room + n, r->p, len);
	n += len;
	if (r->op & OP_ECHO && len >= 3 && ours) {
		memcpy(room + at + 2, ours->p + 4, ours->len - 4 < 1400 ? ours->len - 4 : 1400);
		room[at + 2] = r->p[2];
		n = at + 2 + (ours->len - 4 < 1400 ? ours->len - 4 : 1400);
	}
	if (r->op & OP_ID && ours && n >= at + 4)
		room[at + 3] = ours->p[5];
	if (r->op & OP_LENGTH && n >= at + 6) {
		room[at + 4] = (uint8_t)((n - at - 2) >> 8);
		room[at + 5] = (uint8_t)(n - at - 2);
	}
	exact = malloc(n ? n : 1);
	memcpy(exact, room, n);
	if (d.punt && vd_session_find(SESSION))
		in_raw(exact, n);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	begin(size > 0 && data[0] != FUZZ_TIME ? data[0] : 0);
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		d.unavailable = d.no_address = r.op & OP_UNAVAILABLE;
		frame(&r);
		if (d.n_out > 128) { /* room for what follows; the last ones stay known */
			memmove(d.out, d.out + 64, sizeof(d.out[0]) * (d.n_out - 64));
			d.n_out -= 64;
		}
	}
	fuzz_end(&r);
	end();
	return 0;
}

/* ---- seeds ---- */
#define OPS (OP_HEADER | OP_LENGTH)

static void say(uint8_t op, const char *hex)
{
	uint8_t p[1500];
	struct fuzz_record r = { .op = op, .p = p };
	int len = vd_unhex(hex, p, sizeof(p));

	ck_assert_int_gt(len, 0);
	r.len = (size_t)len;
	fuzz_put(op, p, r.len);
	frame(&r);
}

/* Makes the link begin, acknowledges what it asks for (nothing of ours may have come between), and asks for our options. */
static void open_lcp(uint8_t first)
{
	say(OPS | first, "c0210c010000000000005669616475637420746573");
	say(OPS | OP_ECHO, "c0210200");
	say(OPS, "c0210101000e0104057805061122334407020802");
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
}

static void open_ipcp(void)
{
	say(OPS | OP_ECHO, "80210200");
	say(OPS, "8021010100160306000000008106000000008306000000000206002d0f01");
	say(OPS, "80210102001603060a08001781060a01003583060a010036");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}

static void log_in(const char *name, bool refused)
{
	begin(0);
	open_lcp(0);
	say(OPS | OP_ID, "c2230200000031" PEER "0000000000000000" NT "0055736572");
	if (refused) {
		say(OPS | OP_ECHO, "c0210600");
		fuzz_put(FUZZ_TIME, "\x03\xff", 2);
		fuzz_put_done(name);
		end();
		return;
	}
	open_ipcp();
	say(OPS, "80fd0101000a1206010000e0"); /* CCP: rejected */
	say(OPS, "8057010100040000");         /* IPV6CP */
	say(OPS, "c02109070008112233440000");
	fuzz_put(FUZZ_TIME, "\x03\xff", 2);
	say(OPS | OP_ECHO, "c0210a00");
	say(OPS, "c02108080008aabb00000000");
	say(OPS, "c0210509000400000000");
	fuzz_put_done(name);
	end();
}

/* A wrong password, twice, then the right one; or one that is too old, and another. */
static void retry(const char *name, bool expired)
{
	static const char wrong[] = "c2230200000031" PEER "0000000000000000000102030405060708090a0b0c0d0e0f10111213141516170055736572";
	char change[13 + 2 * 582];

	begin(OP_RETRY);
	open_lcp(OP_RETRY);
	if (expired) {
		say(OPS | OP_ID | OP_RETRY, wrong);
		memset(change, 'a', sizeof(change));
		memcpy(change, "c22307000000", 12);
		change[sizeof(change) - 1] = 0;
		say(OPS | OP_ID, change);
		ck_assert_uint_eq(count(CHAP, 4), 2);
	} else {
		say(OPS | OP_ID, wrong);
		say(OPS | OP_ID, wrong);
		say(OPS | OP_ID, "c2230200000031" PEER "0000000000000000" NT "0055736572");
		open_ipcp();
	}
	fuzz_put_done(name);
	end();
}

static void negotiate(void)
{
	begin(0);
	say(OPS, "c0210c010000000000005669616475637420746573");
	say(OPS | OP_ECHO, "c0210300");
	say(OPS | OP_ECHO, "c0210200");
	say(OPS, "c0210101000e0104010005061122334407020802110405dc13090300c0ffee1234");
	ck_assert_int_eq(link_now()->lcp.state, PPP_ACK_RCVD);
	say(OPS, "c0210701000400000000");
	fuzz_put(FUZZ_TIME, "\x00\x64", 2);
	fuzz_put_done("negotiate");
	end();
}

static void dialled(void)
{
	begin(OP_DIAL);
	say(OPS | OP_DIAL, "c0210c010000000000005669616475637420746573");
	say(OPS | OP_ECHO, "c0210200");
	say(OPS, "c0210101000e010405780305c223810506aabbccdd");
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_AUTHENTICATE);
	say(OPS, "c22301070015105b5d7c7d7b3f2f3e3c2c602132262628677731");
	say(OPS | OP_ID, "c2230400000045353d3639312052");
	say(OPS | OP_ID, "c2230300000053533d3430374135353839313135464430443632303946353130464539433034353636393332434441353620");
	say(OPS, "80210101000a03060a080001");
	say(OPS | OP_ID, "80210300000003060a08001781060a010035");
	say(OPS | OP_ECHO, "80210200");
	fuzz_put(FUZZ_TIME, "\x01\xff", 2);
	fuzz_put_done("dialled");
	end();
}

/* The answer to the Challenge: right, or of another user; then as MS-CHAPv2 has it. */
static void chap(const char *name, bool refused)
{
	uint8_t text[1 + 10 + 16] = { 0 }, digest[64];
	char hex[200], md5[33];
	size_t n;

	begin(OP_OTHERS);
	open_lcp(OP_OTHERS);
	const struct frame *challenge = said((const uint8_t *)"\xc2\x23");
	ck_assert_ptr_nonnull(challenge);
	text[0] = challenge->p[5];
	memcpy(text + 1, "clientPass", 10);
	memcpy(text + 11, challenge->p + 9, 16);
	ck_assert_int_eq(vd_digest("MD5", text, sizeof(text), digest, &n), 0);
	vd_format(hex, sizeof(hex), "c2230200000010%s%s", vd_hex(md5, sizeof(md5), digest, 16), refused ? "6e6f6e65" : "55736572");
	say(OPS | OP_ID, hex);
	say(OPS | OP_ID, hex);
	ck_assert_int_ge(last(CHAP, refused ? 4 : 3), 0);
	if (!refused)
		open_ipcp();
	fuzz_put_done(name);
	end();
}

static void pap(const char *name, const char *request, bool refused)
{
	begin(OP_OTHERS);
	say(OPS | OP_OTHERS, "c0210c010000000000005669616475637420746573");
	say(OPS | OP_ID, "c021030000000304c023");
	open_lcp(0);
	say(OPS, request);
	say(OPS, request);
	ck_assert_int_ge(last(PAP, refused ? 3 : 2), 0);
	if (!refused)
		open_ipcp();
	fuzz_put_done(name);
	end();
}

/* No method suits, one after the other, and then none at all. */
static void methods(void)
{
	begin(OP_OTHERS);
	say(OPS | OP_OTHERS, "c0210c010000000000005669616475637420746573");
	say(OPS | OP_ID, "c021030000000304c227");
	say(OPS | OP_ID, "c021030000000305c22381");
	say(OPS | OP_ID, "c021030000000305c22380");
	say(OPS | OP_ID, "c021030000000305c22305");
	ck_assert(!link_now()->failing);
	say(OPS | OP_ID, "c021040000000305c22305");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	fuzz_put_done("methods");
	end();
}

/* IPv6 beside IPv4: identifiers that are none, ours, another; what the client thinks of ours; data, and both ends. */
static void ipv6(void)
{
	begin(0);
	open_lcp(0);
	say(OPS | OP_ID, "c2230200000031" PEER "0000000000000000" NT "0055736572");
	open_ipcp();
	say(OPS, "80570101000e010a0000000000000000");
	say(OPS, "80570102000e010a0000000000000001");
	say(OPS, "805701030012010a0123456789abcdef0204004f");
	say(OPS, "80570104000e010a0123456789abcdef");
	say(OPS, "80570301000e010a0000000000000009");
	say(OPS | OP_ECHO, "80570200");
	ck_assert_int_eq(link_now()->ipv6cp.state, PPP_OPENED);
	ck_assert_uint_eq(d.desc.v6.len, 17);
	say(OPS, "8021050b0004");
	say(OPS, "80570105000e010a0000000000000077");
	say(OPS, "c0210809000a805701010004");
	fuzz_put_done("ipv6");
	end();
}

void fuzz_seeds(void)
{
	ipv6();
	chap("chap", false);
	chap("chap-refused", true);
	pap("pap", "c023010700140455736572" "0a636c69656e7450617373", false);
	pap("pap-empty", "c02301070006" "0000", true);
	methods();
	log_in("login", false);
	log_in("refused", true);
	retry("retry", false);
	retry("expired", true);
	negotiate();
	dialled();
}
