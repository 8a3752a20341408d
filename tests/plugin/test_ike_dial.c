/* The side that dials on the fake clock, service ike.connect/1: a gateway of its own code answers, forges, renews and leaves. */
#include <viaduct/connect.h>

#include "ike_steps.h"

#define DIAL_YAML(more) \
	"connections:\n" \
	"  office: { connect: [l2tp], peer: 198.51.100.7, user: alice, password: !env IKE_TEST_PSK_B, " \
	"l2tp: { psk: !env IKE_TEST_PSK_A" more " } }\n"

static struct client g; /* the gateway */
static unsigned ups, ends, anews;
static uint64_t peer, channel;
static char reason[256];

static void on_up(void *arg, uint64_t p, uint64_t chan)
{
	(void)arg;
	ck_assert_uint_eq(p, peer);
	ups++;
	channel = chan;
}

static void on_ended(void *arg, uint64_t p, const char *why)
{
	(void)arg;
	ck_assert_uint_eq(p, peer);
	ends++;
	vd_strcpy(reason, sizeof(reason), why);
}

static void on_anew(void *arg, uint64_t p)
{
	(void)arg;
	ck_assert_uint_eq(p, peer);
	anews++;
}

static const struct vd_ike_connect_1 *service(void)
{
	return vd_service_find("ike.connect/1", NULL);
}

static void gateway_init(struct client *c, const char *psk)
{
	client_init(c, psk, 7, 256, 4, 14);
	memcpy(c->id, "\x01\x00\x00\x00\xc6\x33\x64\x07", 8); /* 198.51.100.7 */
}

static void begin(const char *yaml)
{
	static const struct vd_ike_connect_events events = { .up = on_up, .ended = on_ended, .anew = on_anew };
	struct vd_ike_connect what = { .connection = "office", .upper = "l2tp" };
	struct vd_error err = { 0 };

	ups = ends = anews = 0;
	reason[0] = '\0';
	world_start(yaml);
	gateway_init(&g, PSK_A);
	what.path = g.path;
	ck_assert_msg(service()->up(service()->self, &what, &events, NULL, &peer, &err) == 0, "%s", err.text);
	fake_drain();
}

static void finish(void)
{
	client_free(&g);
	world_stop();
}

static struct msg *said(void)
{
	ck_assert_uint_gt(world.n_sent, 0);
	return &world.sent[(world.n_sent - 1) % WORLD_SENT];
}

/* What was asked last is lost, comes again, and is answered twice. */
static bool rough;
static bool in_parts; /* what answers comes in two, the second one first */

static void answer(struct client *c, struct msg *m)
{
	if (rough) {
		struct msg lost = *said();
		unsigned n = world.n_sent;

		fake_advance(501);
		ck_assert_uint_eq(world.n_sent, n + 1);
		ck_assert(said()->len == lost.len && memcmp(said()->p, lost.p, lost.len) == 0);
	}
	unsigned n = world.n_sent;
	if (in_parts) {
		struct msg part;

		client_fragment(m, 1, 2, 2, &part);
		world_input(c, &part);
		ck_assert_uint_eq(world.n_sent, n);
		client_fragment(m, 1, 1, 2, &part);
		world_input(c, &part);
	} else {
		world_input(c, m);
	}
	if (rough) {
		unsigned now = world.n_sent;

		world_input(c, m);
		ck_assert_uint_le(world.n_sent, now + (now - n)); /* no new exchange begins with it */
	}
}

static void main_mode(struct client *c, bool natt)
{
	struct msg m;

	ck_assert(gateway_mm2(c, said(), &m));
	answer(c, &m);
	ck_assert(gateway_mm4(c, said(), &m));
	answer(c, &m);
	ck_assert_uint_eq(world.sent_path[(world.n_sent - 1) % WORLD_SENT].remote.port, natt ? 4500 : c->path.remote.port);
	if (natt)
		floated(c);
	ck_assert(gateway_mm6(c, said(), &m));
	answer(c, &m);
}

static void quick_mode(struct client *c)
{
	struct msg m;

	ck_assert(gateway_qm2(c, said(), c->path.natt ? 4 : 2, 52, &m));
	ck_assert_ptr_null(world_sa_find(true, c->spi_i)); /* nothing is installed before the answer */
	answer(c, &m);
	ck_assert(gateway_qm3(c, said()));
	const struct world_sa *in = world_sa_find(true, c->spi_i), *out = world_sa_find(false, c->spi_r);
	ck_assert(in != NULL && out != NULL && in->len == 52);
	ck_assert_int_eq(memcmp(in->keymat, c->keymat_in, 52), 0);
	ck_assert_int_eq(memcmp(out->keymat, c->keymat_out, 52), 0);
}

static void up(bool natt)
{
	main_mode(&g, natt);
	quick_mode(&g);
	ck_assert_uint_eq(ups, 1);
	ck_assert_uint_eq(ends, 0);
	ck_assert_uint_eq(channel, world.chan);
}

/* Waits until a message of main or quick mode is said; its exchange, or 0. What else is asked meanwhile goes unanswered. */
static uint8_t begun(uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds * 10; i++) {
		unsigned n = world.n_sent;

		world.idle_ms = 0;
		fake_advance(100);
		if (world.n_sent > n && said()->len > 28 && (said()->p[18] == 2 || said()->p[18] == 32))
			return said()->p[18];
	}
	return 0;
}

START_TEST(test_up)
{
	rough = _i & 4;
	in_parts = _i & 8;
	begin(DIAL_YAML(""));
	g.bad_natd_us = _i & 1;
	g.bad_natd_peer = _i & 2;
	bool natt = (_i & 3) != 0;
	up(natt);
	ck_assert_uint_eq(world.chan_path.remote.port, natt ? 4500 : 0);
	ck_assert_uint_eq(g.said_len, 8);
	ck_assert_int_eq(memcmp(g.said + 4, g.path.local.ip.a, 4), 0);
	unsigned n = world.n_sent;
	fake_advance(20001);
	bool kept = false;
	for (; n < world.n_sent; n++)
		kept |= world.sent[n % WORLD_SENT].len == 1;
	ck_assert_int_eq(kept, _i & 1); /* behind a NAT, and only then */
	service()->down(service()->self, peer, "the test says so");
	fake_drain();
	ck_assert_uint_eq(ends, 0); /* who takes it down is not told */
	ck_assert_uint_eq(world_live(true) + world_live(false), 0);
	rough = false;
	finish();
}
END_TEST

START_TEST(test_unanswered)
{
	static const char *const says[] = { "did not answer message 1:", "did not answer message 3:", "did not answer message 5:",
		"did not answer message 1 of quick mode" };
	struct msg m;

	begin(DIAL_YAML(""));
	if (_i > 0)
		ck_assert(gateway_mm2(&g, said(), &m)), world_input(&g, &m);
	if (_i > 1)
		ck_assert(gateway_mm4(&g, said(), &m)), world_input(&g, &m);
	if (_i > 2)
		ck_assert(gateway_mm6(&g, said(), &m)), world_input(&g, &m);
	unsigned n = world.n_sent;
	fake_advance(29000);
	ck_assert_uint_ge(world.n_sent - n, 4);
	ck_assert_uint_le(world.n_sent - n, 9);
	ck_assert_uint_eq(ends, 0);
	fake_advance(2000);
	ck_assert_uint_eq(ends, 1);
	ck_assert_msg(strstr(reason, says[_i]) != NULL, "%s", reason);
	ck_assert_uint_eq(vd_peer_count(), 0);
	finish();
}
END_TEST

/* A refusal in the clear shortens the wait; an answer that fits shows that it was not true. */
START_TEST(test_forged)
{
	struct msg m;

	begin(DIAL_YAML(""));
	struct msg first = *said();
	memcpy(g.ic, first.p, 8);
	gateway_plain(&g, 14, &m);
	world_input(&g, &m);
	if (_i == 0) {
		fake_advance(3001);
		ck_assert_uint_eq(ends, 1);
		ck_assert_msg(strstr(reason, "NO-PROPOSAL-CHOSEN") != NULL, "%s", reason);
		finish();
		return;
	}
	fake_advance(2000);
	ck_assert(gateway_mm2(&g, &first, &m));
	world_input(&g, &m);
	struct msg three = *said();
	fake_advance(8000); /* lost, and lost again */
	ck_assert_uint_eq(ends, 0);
	ck_assert(gateway_mm4(&g, &three, &m));
	world_input(&g, &m);
	struct msg five = *said();
	gateway_plain(&g, 16, &m);
	world_input(&g, &m);
	ck_assert(gateway_mm6(&g, &five, &m));
	m.p[40] ^= 1; /* forged, then the real one */
	world_input(&g, &m);
	m.p[40] ^= 1;
	world_input(&g, &m);
	fake_advance(2000);
	ck_assert_uint_eq(ends, 0);
	struct msg note;
	gateway_plain(&g, 14, &note);
	world_input(&g, &note);
	ck_assert(gateway_qm2(&g, said(), 2, 52, &m));
	world_input(&g, &m);
	ck_assert_uint_eq(ups, 1);
	finish();
}
END_TEST

/* The gateway sets the commit bit: nothing leaves until it says CONNECTED, as message 4 or by itself, or is silent for long.
 * What it repeats is not answered, so that it never answers back. */
START_TEST(test_commit)
{
	uint8_t payload[16] = { 0, 0, 0, 16, 0, 0, 0, 1, 3, 4, 0x40, 0 }, iv[16];
	struct msg m, lost;

	begin(DIAL_YAML(""));
	main_mode(&g, false);
	ck_assert(gateway_qm2(&g, said(), 2, 52, &m));
	m.p[19] |= 2;
	world_input(&g, &m);
	ck_assert(gateway_qm3(&g, said()));
	lost = *said();
	ck_assert_ptr_nonnull(world_sa_find(true, g.spi_i));
	ck_assert_ptr_null(world_sa_find(false, g.spi_r));
	unsigned n = world.n_sent;
	world_input(&g, &m);
	ck_assert_uint_eq(world.n_sent, n + 1);
	ck_assert(said()->len == lost.len && memcmp(said()->p, lost.p, lost.len) == 0);
	memcpy(iv, lost.p + lost.len - g.block, g.block);
	memcpy(payload + 12, (uint8_t[]){ (uint8_t)(g.spi_r >> 24), (uint8_t)(g.spi_r >> 16), (uint8_t)(g.spi_r >> 8), (uint8_t)g.spi_r }, 4);
	if (_i == 0) {
		g.go_on = iv;
		client_sealed_with(&g, 32, g.mid, true, 11, payload, sizeof(payload), &m);
		g.go_on = NULL;
		n = world.n_sent;
		m.p[m.len - 1] ^= 1;
		world_input(&g, &m); /* forged */
		ck_assert_ptr_null(world_sa_find(false, g.spi_r));
		m.p[m.len - 1] ^= 1;
		for (unsigned i = 0; i < 3; i++)
			world_input(&g, &m);
		ck_assert_uint_eq(world.n_sent, n);
	} else if (_i == 1) {
		client_info(&g, 0x4711, 11, payload + 4, sizeof(payload) - 4, &m);
		world_input(&g, &m);
	} else {
		fake_advance(3000);
		ck_assert_ptr_null(world_sa_find(false, g.spi_r));
		fake_advance(1000);
	}
	ck_assert_ptr_nonnull(world_sa_find(false, g.spi_r));
	ck_assert_uint_eq(vd_counter("ike_v1.connected"), _i == 0 ? 3 : _i == 1);
	ck_assert_uint_eq(ups, 1);
	ck_assert_uint_eq(ends, 0);
	finish();
}
END_TEST

START_TEST(test_wrong_psk)
{
	struct msg m;

	begin(DIAL_YAML(""));
	g.psk = "another";
	ck_assert(gateway_mm2(&g, said(), &m));
	world_input(&g, &m);
	ck_assert(gateway_mm4(&g, said(), &m));
	world_input(&g, &m);
	ck_assert(!gateway_mm6(&g, said(), &m));
	gateway_plain(&g, 16, &m);
	world_input(&g, &m);
	fake_advance(3001);
	ck_assert_uint_eq(ends, 1);
	ck_assert_msg(strstr(reason, "message 5") != NULL && strstr(reason, "pre-shared key") != NULL, "%s", reason);
	finish();
}
END_TEST

static const struct {
	const char *yaml;
	bool good;
	const char *said; /* of ours: type, then text */
} identities[] = {
	{ DIAL_YAML(", peer_id: \"198.51.100.7\""), true, NULL },
	{ DIAL_YAML(", peer_id: \"198.51.100.8\""), false, NULL },
	{ DIAL_YAML(", peer_id: vpn.example.com"), false, NULL },
	{ DIAL_YAML(", id: branch.example.org"), true, "\x02" "branch.example.org" },
	{ DIAL_YAML(", id: branch@example.org"), true, "\x03" "branch@example.org" },
	{ DIAL_YAML(", id: \"10.0.0.9\""), true, "\x01" "\x0a\x00\x00\x09" },
};

START_TEST(test_identity)
{
	begin(identities[_i].yaml);
	unsigned n = world.n_sent;
	main_mode(&g, false);
	if (identities[_i].said != NULL) {
		size_t len = g.said[0] == 1 ? 4 : strlen(identities[_i].said + 1);

		ck_assert_uint_eq(g.said[0], (uint8_t)identities[_i].said[0]);
		ck_assert_uint_eq(g.said_len, 4 + len);
		ck_assert_int_eq(memcmp(g.said + 4, identities[_i].said + 1, len), 0);
	}
	if (identities[_i].good) {
		quick_mode(&g);
		ck_assert_uint_eq(ups, 1);
	} else {
		uint8_t type;
		size_t len;

		ck_assert_uint_eq(ends, 1);
		ck_assert_msg(strstr(reason, "198.51.100.7") != NULL && strstr(reason, "peer_id") != NULL, "%s", reason);
		ck_assert_uint_eq(world.n_sent, n + 4); /* two messages, and the gateway is told */
		const uint8_t *p = client_info_open(&g, said(), &type, &len);
		ck_assert(p != NULL && type == 12);
		ck_assert_uint_eq(vd_peer_count(), 0);
	}
	finish();
}
END_TEST

/* We renew the CHILD SA, then the IKE SA; the old ones go and the channel stays. */
START_TEST(test_renew)
{
	struct client next;

	begin(DIAL_YAML(""));
	g.bad_natd_us = _i;
	up(_i);
	ck_assert_uint_eq(begun(3600 * 84 / 100), 0);
	ck_assert_uint_eq(begun(3600 / 10), 32);
	uint32_t old = g.spi_i;
	quick_mode(&g);
	ck_assert_uint_ne(g.spi_i, old);
	world.events->first_in(world.events_arg, world.chan, g.spi_i);
	fake_advance(30001);
	ck_assert_ptr_null(world_sa_find(true, old));
	gateway_init(&next, PSK_A);
	next.path = g.path;
	next.bad_natd_us = _i;
	uint64_t chan = world.chan;
	uint64_t began = vd_now();
	uint8_t exchange;
	while ((exchange = begun(3600)) == 32)
		quick_mode(&g);
	ck_assert_uint_eq(exchange, 2);
	ck_assert_uint_ge(vd_now() - began, 21000 * 1000); /* 28800 s were agreed */
	ck_assert_uint_le(vd_now() - began, 24000 * 1000);
	main_mode(&next, _i);
	unsigned n = world.n_sent;
	fake_advance(30001); /* the old IKE SA is deleted */
	ck_assert_uint_gt(world.n_sent, n);
	ck_assert_uint_eq(world.chan, chan);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(ups, 1);
	ck_assert_uint_eq(ends, 0);
	ck_assert_uint_eq(anews, 0); /* all of it was ours to do */
	client_free(&next);
	finish();
}
END_TEST

static void answered_phase1(struct client *c)
{
	struct msg m;

	c->path = g.path;
	client_mm1(c, &m);
	ck_assert(client_mm2(c, ask(c, &m)));
	client_mm3(c, &m);
	ck_assert(client_mm4(c, ask(c, &m)));
	client_mm5(c, &m);
	ck_assert(client_mm6(c, ask(c, &m)));
}

/* The gateway renews what we dialled. */
START_TEST(test_renewed_by_gateway)
{
	struct client next;

	begin(DIAL_YAML(""));
	g.bad_natd_peer = _i;
	up(_i);
	quick(&g, 0x7001, 0);
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(begun(3600 * 84 / 100), 0); /* ours is due later again */
	gateway_init(&next, PSK_A);
	next.bad_natd_peer = _i;
	answered_phase1(&next);
	ck_assert_uint_eq(vd_peer_count(), 1);
	delete_ike(&g, 0x7002);
	ck_assert_uint_eq(ends, 0);
	ck_assert_uint_eq(anews, 0);
	quick(&next, 0x7003, 0);
	ck_assert_uint_eq(anews, 1); /* a gateway that started anew does the same */
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(ups, 1);
	ck_assert_uint_eq(ends, 0);
	client_free(&next);
	finish();
}
END_TEST

/* With the same key, but from elsewhere, before there is anything to renew, or as somebody else: no way in. */
START_TEST(test_not_accepting)
{
	struct client other;
	struct msg m, *r;

	begin(DIAL_YAML(""));
	gateway_init(&other, PSK_A);
	if (_i == 0) { /* elsewhere */
		up(false);
		other.path.remote.ip.a[3]++;
	}
	client_mm1(&other, &m);
	if (_i == 2) {
		up(false);
		other.id[7]++;
		ck_assert(client_mm2(&other, ask(&other, &m)));
		client_mm3(&other, &m);
		ck_assert(client_mm4(&other, ask(&other, &m)));
		client_mm5(&other, &m);
	}
	r = ask(&other, &m);
	ck_assert_uint_eq(r->p[18], 5); /* a refusal */
	ck_assert_uint_eq(vd_peer_count(), 1);
	client_free(&other);
	finish();
}
END_TEST

/* The gateway replaces its IKE SA and deletes the old one while our quick mode on that waits: it begins on the new one. */
START_TEST(test_quick_mode_overtaken)
{
	struct client next;

	begin(DIAL_YAML(""));
	up(false);
	ck_assert_uint_eq(begun(3600), 32);
	gateway_init(&next, PSK_A);
	answered_phase1(&next);
	delete_ike(&g, 0x8001);
	ck_assert_uint_eq(begun(15), 32);
	quick_mode(&next);
	ck_assert_uint_eq(ends, 0);
	client_free(&next);
	finish();
}
END_TEST

/* The IKE SA is gone when the CHILD SA's time comes: phase 1 first, then the renewal. */
START_TEST(test_renew_without_phase1)
{
	struct client next;
	struct msg m;

	begin(DIAL_YAML(""));
	up(false);
	fake_advance(3600 * 1000 * 84 / 100ull);
	delete_ike(&g, 0x8101);
	gateway_init(&next, PSK_A);
	ck_assert_uint_eq(begun(1), 2);
	ck_assert(gateway_mm2(&next, said(), &m));
	world_input(&next, &m);
	ck_assert(gateway_mm4(&next, said(), &m));
	world_input(&next, &m);
	ck_assert(gateway_mm6(&next, said(), &m));
	world_input(&next, &m);
	ck_assert_uint_eq(begun(3600 / 10), 32);
	quick_mode(&next);
	ck_assert_uint_eq(ends, 0);
	client_free(&next);
	finish();
}
END_TEST

START_TEST(test_deleted)
{
	begin(DIAL_YAML(""));
	up(false);
	if (_i == 0) { /* an SA alone: it is made anew */
		uint8_t body[12] = { 0, 0, 0, 1, 3, 4, 0, 1, (uint8_t)(g.spi_r >> 24), (uint8_t)(g.spi_r >> 16),
			(uint8_t)(g.spi_r >> 8), (uint8_t)g.spi_r };
		struct msg m;

		client_info(&g, 0x9001, 12, body, sizeof(body), &m);
		world_input(&g, &m);
		ck_assert_uint_eq(world_live(true), 0);
		ck_assert_uint_eq(begun(1), 32);
		ck_assert_uint_eq(anews, 0);
		quick_mode(&g);
		ck_assert_uint_eq(anews, 1);
		ck_assert_uint_eq(ends, 0);
	} else { /* the IKE SA alone: phase 1 begins anew, the channel carries on */
		delete_ike(&g, 0x9002);
		ck_assert_uint_eq(ends, 0);
		ck_assert_uint_eq(world_live(true), 1);
		ck_assert_uint_eq(begun(1), 2);
	}
	finish();
}
END_TEST

START_TEST(test_dead)
{
	begin(DIAL_YAML(""));
	up(false);
	world.idle_ms = 31000;
	unsigned n = world.n_sent;
	fake_advance(31000);
	ck_assert_uint_ge(world.n_sent, n + 1);
	uint8_t type;
	size_t len;
	struct msg asked = *said(), m;
	const uint8_t *p = client_info_open(&g, &asked, &type, &len);
	ck_assert(p != NULL && type == 11 && len == 28);
	ck_assert_uint_eq((unsigned)p[6] << 8 | p[7], 36136);
	if (_i == 0) {
		uint8_t body[28];

		memcpy(body, p, 28);
		body[6] = 36137 >> 8;
		body[7] = 36137 & 0xff;
		client_info(&g, 0xa001, 11, body, sizeof(body), &m);
		world_input(&g, &m);
		fake_advance(29000);
		ck_assert_uint_eq(ends, 0);
		finish();
		return;
	}
	world.idle_ms = 100000;
	fake_advance(30000);
	ck_assert_uint_eq(ends, 1);
	ck_assert_msg(strstr(reason, "does not answer any more") != NULL, "%s", reason);
	finish();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_dial");
	TCase *t = tcase_create("ike_dial");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_up, 0, 16);
	tcase_add_loop_test(t, test_unanswered, 0, 4);
	tcase_add_loop_test(t, test_forged, 0, 2);
	tcase_add_loop_test(t, test_commit, 0, 3);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_loop_test(t, test_identity, 0, (int)VD_ARRAY_SIZE(identities));
	tcase_add_loop_test(t, test_renew, 0, 2);
	tcase_add_loop_test(t, test_renewed_by_gateway, 0, 2);
	tcase_add_loop_test(t, test_not_accepting, 0, 3);
	tcase_add_test(t, test_quick_mode_overtaken);
	tcase_add_test(t, test_renew_without_phase1);
	tcase_add_loop_test(t, test_deleted, 0, 2);
	tcase_add_loop_test(t, test_dead, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
