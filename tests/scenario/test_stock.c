/* Stock clients, octet by octet: what they are known to send, literally, and what they must be answered. Nothing of the
 * gateway made these octets. In what is compared "?" is any digit. */
#include <check.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/log.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

static struct robot_packet got[64];
static unsigned n_got, at;

/* ---- comparing ---- */
static void is(const struct robot_packet *m, const char *want)
{
	char text[2 * sizeof(m->p) + 1], seen[2 * sizeof(m->p) + 1];

	vd_hex(text, sizeof(text), m->p, m->len);
	strcpy(seen, text);
	for (size_t i = 0; want[i] && text[i]; i++)
		if (want[i] == '?')
			text[i] = '?';
	ck_assert_msg(strcmp(text, want) == 0, "datagram %u\ngot  %s\nwant %s", at, seen, want);
}

/* The next that came; its L2TP acknowledgements alone (ZLB) are left out. */
static const struct robot_packet *next(const char *want)
{
	ck_assert_msg(at < n_got, "nothing came; want %s", want);
	is(&got[at], want);
	return &got[at++];
}

static void nothing_else(void)
{
	char text[2 * sizeof(got[0].p) + 1];

	ck_assert_msg(at == n_got, "%s", at < n_got ? vd_hex(text, sizeof(text), got[at].p, got[at].len) : "");
}

/* ---- message 1 of phase 1 ---- */
static const char windows_mm1[] =
	"112233445566778800000000000000000110020000000000000001980d0000d40000000100000001000000c801010005"
	"030000280101000080010007800e0100800200028004001480030001800b0001000c0004000070800300002802010000"
	"80010007800e0080800200028004001380030001800b0001000c000400007080030000280301000080010007800e0100"
	"800200028004000e80030001800b0001000c000400007080030000240401000080010005800200028004000e80030001"
	"800b0001000c000400007080000000240501000080010005800200028004000280030001800b0001000c000400007080"
	"0d00001801528bbbc00696121849ab9a1c5b2a51000000010d0000181e2b516905991c7d7c96fcbfb587e46100000009"
	"0d0000144a131c81070358455c5728f20e95452f0d00001490cb80913ebb696e086381b5ec427b1f0d0000144048b7d5"
	"6ebce88525e7de7f00d6c2d30d000014fb1de3cdf341b7ea16b7e5be0855f1200d00001426244d38eddb61b3172a36e3"
	"d0cfb81900000014e3a5966a76379fe707228231e5ce8652";
static const char macos_mm1[] =
	"887766554433221100000000000000000110020000000000000003140d0002040000000100000001000001f80101000e"
	"0300002401010000800b0001800c0e1080010007800e010080030001800200048004000e0300002402010000800b0001"
	"800c0e1080010007800e010080030001800200028004000e0300002403010000800b0001800c0e1080010007800e0100"
	"80030001800200018004000e0300002404010000800b0001800c0e1080010007800e010080030001800200068004000e"
	"0300002405010000800b0001800c0e1080010007800e01008003000180020004800400050300002406010000800b0001"
	"800c0e1080010007800e01008003000180020002800400050300002407010000800b0001800c0e1080010007800e0100"
	"8003000180020001800400050300002408010000800b0001800c0e1080010007800e0100800300018002000480040002"
	"0300002409010000800b0001800c0e1080010007800e0100800300018002000280040002030000240a010000800b0001"
	"800c0e1080010007800e0100800300018002000180040002030000240b010000800b0001800c0e1080010007800e0080"
	"800300018002000280040002030000240c010000800b0001800c0e1080010007800e0080800300018002000180040002"
	"030000200d010000800b0001800c0e1080010005800300018002000280040002000000200e010000800b0001800c0e10"
	"800100058003000180020001800400020d0000144a131c81070358455c5728f20e95452f0d0000144df37928e9fc4fd1"
	"b3262170d515c6620d0000148f8d83826d246b6fc7a8a6a428c11de80d000014439b59f8ba676c4c7737ae22eab8f582"
	"0d0000144d1e0e136deafa34c4f3ea9f02ec72850d00001480d0bb3def54565ee84645d4c85ce3ee0d0000149909b64e"
	"ed937c6573de52ace952fa6b0d0000147d9419a65310ca6f2c179d9215529d560d000014cd60464335df21f87cfdb2fc"
	"68b6a4480d00001490cb80913ebb696e086381b5ec427b1f0d0000184048b7d56ebce88525e7de7f00d6c2d380000000"
	"00000014afcad71368a1f1c96b8696fc77570100";

static const struct {
	const char *mm1, *mm2;
} flights[] = {
	{ windows_mm1, "1122334455667788????????????????0110020000000000000000980d00003c000000010000000100000030"
		"01010001000000280101000080010007800e0100800200028004001480030001800b0001000c000400007080"
		"0d0000144a131c81070358455c5728f20e95452f0d000014afcad71368a1f1c96b8696fc77570100"
		"000000184048b7d56ebce88525e7de7f00d6c2d380000000" },
	{ macos_mm1, "8877665544332211????????????????0110020000000000000000940d00003800000001000000010000002c"
		"010100010000002401010000800b0001800c0e1080010007800e010080030001800200048004000e0d000014"
		"4a131c81070358455c5728f20e95452f0d000014afcad71368a1f1c96b8696fc77570100"
		"000000184048b7d56ebce88525e7de7f00d6c2d380000000" },
};

static void seen(void *arg, const struct vd_datapath_sent *sent)
{
	(void)arg;
	ck_assert_uint_lt(n_got, VD_ARRAY_SIZE(got));
	ck_assert_uint_le(sent->len, sizeof(got[0].p));
	memcpy(got[n_got].p, sent->p, sent->len);
	got[n_got++].len = sent->len;
}

START_TEST(test_first_flight)
{
	struct vd_path path = { .endpoint = 1, .local.port = 500, .remote = { .ip = vd_ip4(0xcb007114), .port = 500 } };
	uint8_t mm1[1600];
	int len = vd_unhex(flights[_i].mm1, mm1, sizeof(mm1));

	gateway_start(GATEWAY_DEFAULT);
	vd_datapath_capture(seen, NULL);
	vd_ip_parse("192.0.2.1", &path.local.ip);
	ck_assert_int_gt(len, 0);
	wire_up(&path, mm1, (size_t)len);
	wire_pump();
	next(flights[_i].mm2);
	wire_up(&path, mm1, (size_t)len); /* again: the same answer with the same cookie */
	wire_pump();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].len, got[1].len);
	ck_assert_mem_eq(got[0].p, got[1].p, got[0].len);
	gateway_stop();
}
END_TEST

/* ---- L2TP and PPP in an SA ---- */
static struct robot r;

static void came(struct robot *robot, const uint8_t *p, size_t len)
{
	(void)robot;
	if (p[0] == 0xc8 && len == 12)
		return;
	ck_assert_uint_lt(n_got, VD_ARRAY_SIZE(got));
	ck_assert_uint_le(len, sizeof(got[0].p));
	memcpy(got[n_got].p, p, len);
	got[n_got++].len = len;
}

/* Phase 1 and quick mode as the robot does them; then every octet is the test's. */
static void begin(void)
{
	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", true);
	r.raw = came;
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	wire_pump();
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(n_got, 0);
}

/* TTTT and SSSS are the ids that the gateway assigned. */
static void say(const char *hex)
{
	char text[1024], id[5];
	uint8_t p[512], ids[4] = { (uint8_t)(r.peer_tid >> 8), (uint8_t)r.peer_tid, (uint8_t)(r.peer_sid >> 8), (uint8_t)r.peer_sid };
	char *place;

	ck_assert_uint_lt(strlen(hex), sizeof(text));
	strcpy(text, hex);
	if ((place = strstr(text, "TTTT")))
		memcpy(place, vd_hex(id, sizeof(id), ids, 2), 4);
	if ((place = strstr(text, "SSSS")))
		memcpy(place, vd_hex(id, sizeof(id), ids + 2, 2), 4);
	int len = vd_unhex(text, p, sizeof(p));
	ck_assert_int_gt(len, 0);
	robot_esp_send(&r, p, (size_t)len);
	wire_pump();
}

/* The 16 bits of an AVP. */
static uint16_t avp16(const struct robot_packet *m, uint16_t attribute)
{
	for (size_t i = 12; i + 8 <= m->len; i += (size_t)(m->p[i] << 8 | m->p[i + 1]) & 0x3ff)
		if ((m->p[i + 4] << 8 | m->p[i + 5]) == attribute)
			return (uint16_t)(m->p[i + 6] << 8 | m->p[i + 7]);
	ck_abort_msg("AVP %u is missing", attribute);
}

/* An L2TP data message with a length, as both send them, around a PPP frame. */
static void frame(const char *ppp)
{
	char text[1024], hex[9];
	uint8_t head[4] = { 0x40, 0x02, 0, (uint8_t)(8 + strlen(ppp) / 2) };

	strcpy(text, vd_hex(hex, sizeof(hex), head, 4));
	strcat(text, "TTTTSSSS");
	strcat(text, ppp);
	say(text);
}

/* Where the PPP packet begins behind the protocol number. */
static size_t packet_at(const struct robot_packet *m)
{
	return 8 + (m->p[8] == 0xff ? 2 : 0) + 2;
}

/* Acknowledges a Configure-Request of the gateway, in the form in which it came. */
static void acknowledge(const struct robot_packet *m)
{
	char text[1024];
	struct robot_packet ack = *m;

	ck_assert_uint_eq(ack.p[packet_at(m)], 1);
	ack.p[packet_at(m)] = 2;
	frame(vd_hex(text, sizeof(text), ack.p + 8, ack.len - 8));
}

/* Answers the challenge; the answer and what proves the gateway are RFC 2759's. */
static void log_in(const struct robot_packet *m)
{
	struct mschap chap;
	uint8_t answer[] = "\xff\x03\xc2\x23\2\0\0\x3b\x31RRRRRRRRRRRRRRRR\0\0\0\0\0\0\0\0NNNNNNNNNNNNNNNNNNNNNNNN\0alice";
	const uint8_t *challenge = m->p + packet_at(m);
	char text[256];

	answer[5] = challenge[1];
	memcpy(chap.challenge, challenge + 5, 16);
	memset(chap.peer_challenge, 'R', 16);
	mschap_respond(&chap, "alice", "alice-password", answer + 33);
	frame(vd_hex(text, sizeof(text), answer, sizeof(answer) - 1));
	mschap_authenticator(&chap, "alice", "alice-password", text);
	ck_assert_uint_lt(at, n_got);
	ck_assert_mem_eq(got[at].p + packet_at(&got[at]) + 4, text, 42);
}

START_TEST(test_windows)
{
	begin();
	say("c802006c000000000000000080080000000000018008000000020100800a0000000300000001800a0000000400000000000800000006"
		"0a008015000000074445534b544f502d31413242334344000f000000084d6963726f736f6674800800000009000180080000000a0008");
	r.peer_tid = avp16(next("c8020043000100000000000180080000000000028008000000020100800a0000000300000003800d00000007"
		"76696164756374800800000009????80080000000a0010"), 9);
	say("c8020014TTTT0000000100018008000000000003");
	say("c802003cTTTT000000020001800800000000000a80080000000e0001800a0000000f00000000001601370001b48d1bc5a63c4e5d9f0e"
		"112233445566");
	r.peer_sid = avp16(next("c802001c0001000100010003800800000000000b80080000000e????"), 14);
	say("c8020028TTTTSSSS00030002800800000000000c800a0000001805f5e100800a0000001300000001");
	frame("ff03c0210100001501040578050611223344070208020d0306");
	acknowledge(next("4002001f00010001ff03c021010100130104057a0305c223810506????????"));
	next("4002001300010001ff03c021040000070d0306");
	frame("ff03c021010100120104057805061122334407020802");
	next("4002001e00010001ff03c021020100120104057805061122334407020802");
	log_in(next("4002003000010001ff03c22301??002410????????????????????????????????76706e2e6578616d706c65"
		"2e636f6d"));
	frame("ff03c0210c020012112233444d5352415356352e3230");
	frame("ff03c0210c03001f112233444d535241532d302d4445534b544f502d31413242334344");
	frame("ff03c0210c0400181122334449a5c1f4e0f1432d8e5e55667788aabb");
	next("4002004400010001ff03c22303??0038533d????????????????????????????????????????????????????"
		"????????????????????????????204d3d57656c636f6d65");
	acknowledge(next("4002001600010001ff0380210101000a03060a080001"));
	frame("80570105000e010a0102030405060708");
	next("4002002000010001ff03c0210801001480570105000e010a0102030405060708");
	frame("80fd0106000a120601000000");
	next("4002001600010001ff0380fd0406000a120601000000");
	frame("80fd05070004");
	next("4002001000010001ff0380fd06070004");
	frame("802101070022030600000000810600000000820600000000830600000000840600000000");
	next("4002001c00010001ff03802104070010820600000000840600000000");
	frame("802101080016030600000000810600000000830600000000");
	next("4002002200010001ff0380210308001603060a08000b81060a01003583060a010036");
	frame("80210109001603060a08000b81060a01003583060a010036");
	next("4002002200010001ff0380210209001603060a08000b81060a01003583060a010036");
	nothing_else();
	ck_assert_uint_eq(vd_counter("l2tp.bad_avp"), 0);
	ck_assert_uint_eq(vd_session_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	/* It hangs up: Terminate-Request with its reason, CDN, StopCCN. */
	frame("ff03c021050a001011223344003ccd7400000000");
	next("4002001000010001ff03c021060a0004");
	say("c8020024TTTTSSSS00040002800800000000000e800800000001000380080000000e0001");
	say("c8020024TTTT000000050002800800000000000480080000000900018008000000010001");
	wire_wait(5000);
	nothing_else();
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	steps_over(&r);
}
END_TEST

START_TEST(test_macos)
{
	begin();
	say("c802004a000000000000000080080000000000018008000000020100800a00000003000000038014000000074d6163426f6f6b2e6c6f6361"
		"6c00800800000009000180080000000a0004");
	r.peer_tid = avp16(next("c8020043000100000000000180080000000000028008000000020100800a0000000300000003800d00000007"
		"76696164756374800800000009????80080000000a0010"), 9);
	say("c8020014TTTT0000000100018008000000000003");
	say("c8020026TTTT000000020001800800000000000a80080000000e1d3a800a0000000f00000001");
	r.peer_sid = avp16(next("c802001c00011d3a00010003800800000000000b80080000000e????"), 14);
	say("c8020028TTTTSSSS00030002800800000000000c800a00000018000f4240800a0000001300000003");
	frame("ff03c0210101001402060000000005061122334407020802");
	acknowledge(next("4002001f00011d3aff03c021010100130104057a0305c223810506????????"));
	next("4002002000011d3aff03c0210201001402060000000005061122334407020802");
	log_in(next("4002003000011d3aff03c22301??002410????????????????????????????????76706e2e6578616d706c65"
		"2e636f6d"));
	next("4002004400011d3aff03c22303??0038533d????????????????????????????????????????????????????"
		"????????????????????????????204d3d57656c636f6d65");
	acknowledge(next("4002001600011d3aff0380210101000a03060a080001"));
	frame("802101010016030600000000810600000000830600000000");
	next("4002002200011d3aff0380210301001603060a08000b81060a01003583060a010036");
	frame("80570101000e010a0102030405060708");
	next("4002002000011d3aff03c0210801001480570101000e010a0102030405060708");
	frame("82350101000a010600000000");
	next("4002001c00011d3aff03c0210802001082350101000a010600000000");
	frame("80210102001603060a08000b81060a01003583060a010036");
	next("4002002200011d3aff0380210202001603060a08000b81060a01003583060a010036");
	nothing_else();
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	/* The Result Code of its CDN and StopCCN has its octets swapped, and 6 stale ones behind it. */
	say("c802002aTTTTSSSS00040002800800000000000e800e00000001030000000000000080080000000e1d3a");
	say("c802002aTTTT00000005000280080000000000048008000000090001800e000000010100000000000000");
	wire_wait(5000);
	nothing_else();
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	steps_over(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_stock");
	TCase *t = tcase_create("stock");

	tcase_add_loop_test(t, test_first_flight, 0, VD_ARRAY_SIZE(flights));
	tcase_add_test(t, test_windows);
	tcase_add_test(t, test_macos);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
