/* Stock clients: each with its own first messages reaches an open link, and reaches it too when any option is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/log.h>
#include <viaduct/quirk.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

static struct robot r;

static void begin(const struct stock *s, bool nat)
{
	ck_assert_ptr_nonnull(s);
	gateway_start(GATEWAY_DEFAULT);
	robot_init(&r, 0, "alice", "alice-password", nat);
	r.stock = s;
	r.port = s->port;
	r.tid = s->tid;
	r.sid = s->sid;
}

/* It hangs up as it does: Terminate-Request, CDN, StopCCN. */
static void hang_up(void)
{
	const struct vd_session_down *down;

	stock_ppp_terminate(&r);
	wire_wait(1000);
	ck_assert(r.term_ack);
	if (!r.cdn)
		robot_cdn(&r);
	robot_stopccn(&r);
	wire_wait(5000);
	ck_assert_uint_eq(r.acked, r.ns);
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	down = fake_last(&vd_topic_session_down);
	ck_assert_str_eq(down->user, "alice");
	steps_over(&r);
}

/* ESP as the gateway names it. */
static const char *esp_chosen(void)
{
	static char text[32];
	const struct client *c = &r.ike[0].c;

	vd_format(text, sizeof(text), "%s%s", c->esp == 3 ? "3des" : c->esp == 20 ? "gcm" : c->esp_bits == 256 ? "aes256" :
		c->esp_bits == 128 ? "aes128" : "?", c->esp_auth == 2 ? "-sha1" : c->esp_auth == 5 ? "-sha256" : "");
	return text;
}

/* Every client, with NAT and without: from its first octet to traffic. */
START_TEST(test_first_flight)
{
	const struct stock *s = &stocks[_i / 2];
	const struct vd_peer_up *peer;

	begin(s, _i % 2);
	steps_login(&r, s->psk, 11);
	peer = fake_last(&vd_topic_peer_up);
	ck_assert_str_eq(peer->suite, s->ike_chosen);
	ck_assert_str_eq(esp_chosen(), s->esp_chosen);
	ck_assert_str_eq(vd_peer_find(peer->peer)->profile, s->profile);
	ck_assert_str_eq(vd_session_after(NULL)->client, s->identify[0] ? "MSRASV5.20, MSRAS-0-DESKTOP-1A2B3CD" : "");
	ck_assert_uint_eq(vd_counter("l2tp.bad_avp"), 0);
	ck_assert_uint_eq(vd_counter("ppp_link.unknown_code"), 0);
	steps_ping(&r);
	/* What it asks for is answered, what it cannot have is refused: nothing is left to repeat. */
	for (unsigned i = 0; i < r.ppp.n; i++)
		ck_assert_msg(r.ppp.cps[i].ours || r.ppp.cps[i].over || r.ppp.cps[i].protocol == 0x80fd, "%s: %04x is not answered",
			s->name, r.ppp.cps[i].protocol);
	hang_up();
}
END_TEST

/* Twenty minutes without a word: a phone's session is still there when it wakes up, and works; another one has ended. */
START_TEST(test_sleep)
{
	static const struct {
		const char *name;
		bool stays;
	} sleepers[] = { { "Android", true }, { "iOS", true }, { "Windows 10", false }, { "NetworkManager-l2tp", false } };
	const struct stock *s = stock_find(sleepers[_i].name);
	const struct vd_session_down *down;

	begin(s, true);
	steps_login(&r, s->psk, 11);
	r.silent = true;
	wire_wait(20 * 60000);
	r.silent = false;
	ck_assert_uint_eq(vd_session_count(), sleepers[_i].stays);
	if (sleepers[_i].stays) {
		steps_ping(&r);
		wire_wait(120000);
		ck_assert_uint_gt(r.echoes + r.hellos, 0);
		steps_ping(&r);
		r.silent = true;
		wire_wait(40 * 60000); /* not for ever */
		ck_assert_uint_eq(vd_session_count(), 0);
	}
	down = fake_last(&vd_topic_session_down);
	ck_assert_msg(strstr(down->reason, "LCP echoes") || strstr(down->reason, "does not answer"), "%s", down->reason);
	r.silent = true;
	for (unsigned minutes = 0; minutes < 600; minutes++) { /* its IKE SA lives for 8 hours */
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}
END_TEST

/* What a client says of itself makes its profile more exact, never less. */
START_TEST(test_evidence)
{
	struct vd_peer *p;

	begin(stock_find("macOS"), false);
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	p = vd_peer_find(vd_session_after(NULL)->peer);
	vd_peer_evidence(p->id, "l2tp-vendor", "Microsoft"); /* IKE knew better */
	ck_assert_str_eq(p->profile, "apple");
	ck_assert_str_eq(vd_peer_quirk(p->id, VD_QUIRK_SHOWS), "apple");
	strcpy(p->profile, "strongswan");
	vd_peer_evidence(p->id, "l2tp-host", "Microsoft");
	vd_peer_evidence(p->id, "lcp", "MSR");
	vd_peer_evidence(p->id, "l2tp-vendor", "");
	vd_peer_evidence(p->id + 1000, "l2tp-vendor", "MikroTik");
	ck_assert_str_eq(p->profile, "strongswan");
	vd_peer_evidence(p->id, "lcp", "MSRASV5.20");
	ck_assert_str_eq(p->profile, "windows");
	ck_assert_str_eq(vd_peer_quirk(p->id, VD_QUIRK_SHOWS), "windows");
	ck_assert_ptr_null(vd_quirk("nobody", VD_QUIRK_SHOWS));
	ck_assert_ptr_null(vd_peer_quirk(p->id + 1000, VD_QUIRK_SHOWS));
	ck_assert_uint_eq(vd_peer_quirk_number(p->id, VD_QUIRK_RANK), 2);
	hang_up();
}
END_TEST

/* Message 1 is as long as in traces: 408 octets of Windows, 788 of macOS, whose octets test_stock.c has one by one. */
START_TEST(test_length)
{
	static const struct {
		const char *name;
		size_t len;
	} traces[] = { { "Windows 7", 408 }, { "Windows 10", 408 }, { "macOS", 788 }, { "iOS", 788 } };

	for (size_t i = 0; i < VD_ARRAY_SIZE(traces); i++) {
		struct client c;
		struct msg m;

		client_init(&c, "psk", 7, 256, 4, 14);
		stock_mm1(stock_find(traces[i].name), &c, &m);
		ck_assert_msg(m.len == traces[i].len, "%s: %zu octets", traces[i].name, m.len);
		client_free(&c);
	}
}
END_TEST

/* ---- every option, refused in turn ---- */
static struct variant {
	const struct stock *stock;
	struct stock_refusal refusal;
} variants[1000];
static unsigned n_variants;

static void variant(const struct stock *s, uint16_t protocol, uint8_t type, uint8_t code, bool ours)
{
	if (n_variants == VD_ARRAY_SIZE(variants)) /* no test runs yet that could fail */
		abort();
	variants[n_variants++] = (struct variant){ s, { .protocol = protocol, .type = type, .code = code, .ours = ours } };
}

static void variants_of(const struct stock *s, uint16_t protocol, const char *hex)
{
	uint8_t p[256];
	int len = vd_unhex(hex, p, sizeof(p));

	if (len < 0)
		abort();
	variant(s, protocol, 0, 4, false);
	for (int at = 0; at < len; at += p[at + 1]) {
		variant(s, protocol, p[at], 4, false);
		if (p[at + 1] > 2) /* one with a value */
			variant(s, protocol, p[at], 3, false);
	}
}

static void variants_make(void)
{
	/* What we ask for ourselves; a method that is refused is another matter. */
	static const uint16_t ours[][2] = { { 0xc021, 1 }, { 0xc021, 5 }, { 0x8021, 3 } };

	for (unsigned i = 0; i < n_stocks; i++) {
		const struct stock *s = &stocks[i];

		variants_of(s, 0xc021, s->lcp);
		for (const struct stock_ncp *n = s->ncps; n->protocol; n++)
			if (n->protocol == 0x8021)
				variants_of(s, 0x8021, n->options);
		for (unsigned k = 0; k < VD_ARRAY_SIZE(ours); k++)
			for (uint8_t code = 3; code <= 4; code++)
				variant(s, ours[k][0], (uint8_t)ours[k][1], code, true);
	}
}

START_TEST(test_refused_in_turn)
{
	const struct variant *v = &variants[_i];

	begin(v->stock, _i % 2);
	r.ppp.refusal = v->refusal;
	wire_add(&r);
	robot_dial(&r, v->stock->psk);
	ck_assert_msg(wire_until(robot_up, &r, 500), "%s: %s option %u of %04x is %s: no link", v->stock->name,
		v->refusal.ours ? "our" : "its", v->refusal.type, v->refusal.protocol, v->refusal.code == 3 ? "naked" : "rejected");
	wire_pump();
	ck_assert(r.ppp.refusal.done);
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), 1);
	ck_assert_mem_eq(r.address, "\x0a\x08\x00\x0b", 4);
	steps_ping(&r);
	hang_up();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_clients");
	TCase *t = tcase_create("clients");

	tcase_set_timeout(t, 120);
	variants_make();
	tcase_add_loop_test(t, test_first_flight, 0, (int)n_stocks * 2);
	tcase_add_loop_test(t, test_sleep, 0, 4);
	tcase_add_test(t, test_evidence);
	tcase_add_test(t, test_length);
	tcase_add_loop_test(t, test_refused_in_turn, 0, (int)n_variants);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
