/* Every refusal of an exchange explains itself: what is refused, what the client is told, and which report there is. */
#include "ike_steps.h"
#include "tests/lib/failures.h"

#include <viaduct/report.h>

enum { DONE_NOTHING, DONE_MM2, DONE_MM4, DONE_PHASE1 };

static struct client c;
static struct msg m;

/* An SA payload of phase 1 with so many transforms, each known. */
static size_t many(uint8_t *p, unsigned n)
{
	struct vd_wr w;

	vd_wr_init(&w, p, 4000);
	vd_wr_u32(&w, 1), vd_wr_u32(&w, 1);
	vd_wr_u16(&w, 0), vd_wr_u16(&w, (uint16_t)(8 + 28 * n));
	vd_wr_u32(&w, 0x01010000 | n);
	for (unsigned i = 0; i < n; i++) {
		vd_wr_u16(&w, i + 1 < n ? 0x0300 : 0), vd_wr_u16(&w, 28);
		vd_wr_u32(&w, (i + 1) << 24 | 1 << 16);
		vd_wr_u32(&w, 0x80010007), vd_wr_u32(&w, 0x800e0100), vd_wr_u32(&w, 0x80020004), vd_wr_u32(&w, 0x80030001);
		vd_wr_u32(&w, 0x8004000e);
	}
	return w.len;
}

static void mm1_of(unsigned transforms)
{
	static uint8_t sa[4000];

	client_mm1_sa(&c, sa, many(sa, transforms), NULL, NULL, 0, &m);
}

static void sixty_five(void) { mm1_of(65); }
static void hundred(void) { mm1_of(100); }
static void cut(void)
{
	client_mm1(&c, &m);
	m.p[30] = 0x10; /* the SA payload is longer than the message */
}
static void other_situation(void)
{
	client_mm1(&c, &m);
	m.p[39] = 2;
}
static void other_exchange(void)
{
	client_mm1(&c, &m);
	m.p[18] = 1; /* base exchange */
}
static void aggressive(void)
{
	client_am1(&c, &m);
}
static void no_nonce(void)
{
	client_mm3(&c, &m);
	size_t ke = 4 + c.g_len;
	m.p[28] = 0; /* nothing behind the key exchange */
	m.len = 28 + ke;
	m.p[26] = (uint8_t)(m.len >> 8), m.p[27] = (uint8_t)m.len;
}
static void garbled_3(void)
{
	client_mm3(&c, &m);
	m.p[30] = 0xff;
}
static void zero_value(void)
{
	client_mm3(&c, &m);
	memset(m.p + 32, 0, c.g_len);
}
static void busy_3(void)
{
	while (ike_v1_dh_afford(14, &c.path.remote.ip, VD_STANDING_ANSWERED))
		;
	client_mm3(&c, &m);
}
static void half_open_3(void)
{
	const struct vd_ike_port_1 *port = vd_service_find("ike.port/1", NULL);

	while (port->half_open_take(port->self, &c.path.remote.ip, VD_STANDING_ANSWERED))
		;
	client_mm3(&c, &m);
}
static void psk_5(void)
{
	client_free(&c);
	client_init(&c, "another key", 7, 256, 4, 14);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	client_mm5(&c, &m);
}
static void busy_5(void)
{
	while (vd_budget_take(VD_COST_AUTH, 1, &(struct vd_budget_from){ &c.path.remote.ip, NULL, VD_STANDING_ANSWERED }))
		;
	client_mm5(&c, &m);
}
static void busy_quick(void)
{
	while (ike_v1_dh_afford(14, &c.path.remote.ip, VD_STANDING_ANSWERED))
		;
	client_qm1(&c, 1, 2, 12, 256, 2, 14, 1701, &m);
}
static void many_quick(void)
{
	static uint8_t sa[4000];
	struct vd_wr w;

	vd_wr_init(&w, sa, sizeof(sa));
	vd_wr_u32(&w, 1), vd_wr_u32(&w, 1), vd_wr_u16(&w, 0), vd_wr_u16(&w, 12 + 70 * 20), vd_wr_u32(&w, 0x01030446), vd_wr_u32(&w, 0);
	for (unsigned i = 0; i < 70; i++) {
		vd_wr_u16(&w, i + 1 < 70 ? 0x0300 : 0), vd_wr_u16(&w, 20), vd_wr_u32(&w, (i + 1) << 24 | 12 << 16);
		vd_wr_u32(&w, 0x80040002), vd_wr_u32(&w, 0x80050002), vd_wr_u32(&w, 0x80060100);
	}
	client_qm1_sa(&c, 1, sa, w.len, 0, 1701, &m);
}
static void garbled_quick(void)
{
	static const uint8_t sa[60] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 52, 1, 3, 4, 9 };

	client_qm1_sa(&c, 1, sa, sizeof(sa), 0, 1701, &m);
}
static void port_quick(void)
{
	c.port_r = 1702;
	client_qm1(&c, 1, 2, 12, 256, 2, 0, 1701, &m);
}
static void tunnel_quick(void) { client_qm1(&c, 1, 1, 12, 256, 2, 0, 1701, &m); }
static void fourth_quick(void)
{
	world.hold_acks = true;
	for (unsigned i = 1; i <= IKE_V1_QUICK_MAX; i++) {
		client_qm1(&c, i, 2, 12, 256, 2, 0, 1701, &m);
		world_input(&c, &m);
	}
	client_qm1(&c, 9, 2, 12, 256, 2, 0, 1701, &m);
}

static const struct {
	const char *name;
	unsigned done;
	void (*make)(void);
	unsigned notify; /* 0: silence */
	const struct vd_failure *kind;
} refusals[] = {
	{ "more transforms than are read", DONE_NOTHING, sixty_five, 14, &ike_fail_too_much },
	{ "a hundred transforms", DONE_NOTHING, hundred, 14, &ike_fail_too_much },
	{ "a message that is cut", DONE_NOTHING, cut, 0, &ike_fail_malformed },
	{ "another situation", DONE_NOTHING, other_situation, 0, &ike_fail_malformed },
	{ "another exchange", DONE_NOTHING, other_exchange, 7, &ike_fail_exchange },
	{ "aggressive mode", DONE_NOTHING, aggressive, 7, &ike_fail_aggressive },
	{ "message 3 without a nonce", DONE_MM2, no_nonce, 0, &ike_fail_malformed },
	{ "message 3 that is cut", DONE_MM2, garbled_3, 0, &ike_fail_malformed },
	{ "a wrong key exchange value", DONE_MM2, zero_value, 0, &ike_fail_key_exchange },
	{ "no budget for message 3", DONE_MM2, busy_3, 0, &vd_fail_resources },
	{ "too many half-open exchanges", DONE_MM2, half_open_3, 0, &vd_fail_resources },
	{ "a wrong pre-shared key", DONE_NOTHING, psk_5, 16, &ike_fail_psk },
	{ "no budget for message 5", DONE_MM4, busy_5, 0, &vd_fail_resources },
	{ "no budget for PFS", DONE_PHASE1, busy_quick, 14, &vd_fail_resources },
	{ "more transforms of ESP than are read", DONE_PHASE1, many_quick, 14, &ike_fail_too_much },
	{ "a proposal of ESP that is cut", DONE_PHASE1, garbled_quick, 16, &ike_fail_malformed },
	{ "another port", DONE_PHASE1, port_quick, 18, &ike_fail_selectors },
	{ "tunnel mode", DONE_PHASE1, tunnel_quick, 14, &ike_fail_no_esp_proposal },
	{ "a fourth quick mode at the same time", DONE_PHASE1, fourth_quick, 0, &vd_fail_resources },
};

static void go_on(unsigned until)
{
	client_init(&c, PSK_A, 7, 256, 4, 14);
	if (until == DONE_PHASE1)
		phase1(&c, false);
	if (until != DONE_MM2 && until != DONE_MM4)
		return;
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	if (until == DONE_MM2)
		return;
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
}

static unsigned told(const struct msg *r)
{
	struct msg copy = *r;
	uint8_t type;
	size_t len;

	if (!(r->p[19] & 1))
		return (unsigned)r->p[28 + 10] << 8 | r->p[28 + 11];
	const uint8_t *note = client_info_open(&c, &copy, &type, &len);
	ck_assert(note != NULL && type == 11 && len >= 8);
	return (unsigned)note[6] << 8 | note[7];
}

START_TEST(test_refused)
{
	go_on(refusals[_i].done);
	refusals[_i].make();
	unsigned n = world.n_sent, reports = fake_events(&vd_topic_setup_failed);
	world_input(&c, &m);
	ck_assert_msg(fake_events(&vd_topic_setup_failed) == reports + 1, "%s: %u reports", refusals[_i].name,
		fake_events(&vd_topic_setup_failed) - reports);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_msg(!strcmp(f->kind, (refusals[_i].kind)->word), "%s: %s", refusals[_i].name, f->text);
	ck_assert(vd_ip_equal(&f->remote.ip, &c.path.remote.ip));
	ck_assert(f->text[0] != '\0' && f->difference[0] != '\0' && f->remedy[0] != '\0');
	ck_assert_msg(world.n_sent == n + (refusals[_i].notify != 0), "%s: %u messages", refusals[_i].name, world.n_sent - n);
	if (refusals[_i].notify != 0)
		ck_assert_uint_eq(told(world_reply(n)), refusals[_i].notify);
	client_free(&c);
}
END_TEST

/* The same refusal without end: few reports for one source, and another one still gets its own. */
START_TEST(test_limits)
{
	struct client other;
	unsigned reports;

	go_on(DONE_PHASE1);
	for (unsigned i = 0; i < 500; i++) {
		client_qm1(&c, i + 1, 2, 2, 0, 2, 0, 1701, &m); /* DES */
		world_input(&c, &m);
	}
	reports = fake_events(&vd_topic_setup_failed);
	ck_assert_uint_le(reports, 20);
	ck_assert_uint_ge(reports, 10);
	ck_assert_uint_eq(vd_counter("ike_v1.unreported"), 500 - reports);
	client_init(&other, PSK_A, 7, 256, 4, 14);
	other.path.remote.ip = vd_ip4(0xc6336463);
	phase1(&other, false);
	client_qm1(&other, 1, 2, 2, 0, 2, 0, 1701, &m);
	world_input(&other, &m);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), reports + 1);
	fake_advance(10001);
	client_qm1(&c, 1000, 2, 2, 0, 2, 0, 1701, &m);
	world_input(&c, &m);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), reports + 2);
	client_free(&other);
	client_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_refused");
	TCase *t = tcase_create("refused");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_refused, 0, VD_ARRAY_SIZE(refusals));
	tcase_add_test(t, test_limits);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
