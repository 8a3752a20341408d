/* Plugin ike_v1 under hostile, broken and vanished peers, and ends at any moment. */
#include "ike_steps.h"
#include "tests/lib/failures.h"

#include <viaduct/crypto.h>
#include <viaduct/report.h>

START_TEST(test_flood)
{
	struct client c, real;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	for (unsigned i = 0; i < 60000; i++) {
		memcpy(c.ic, &i, 4);
		client_mm1(&c, &m);
		world_input(&c, &m);
	}
	ck_assert_uint_ge(vd_counter("ike_v1.embryo.pushed_out"), 60000 - 32768);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_init(&real, PSK_A, 7, 256, 4, 14);
	phase1(&real, true);
	client_free(&c);
	client_free(&real);
}
END_TEST

/* The round trip of a client far away, while 20,000 forged messages a second come: its embryo is still there after 0.5 s. */
START_TEST(test_flood_far)
{
	struct client c, real;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_init(&real, PSK_A, 7, 256, 4, 14);
	client_mm1(&real, &m);
	ck_assert(client_mm2(&real, ask(&real, &m)));
	for (unsigned i = 0; i < 10000; i++) {
		memcpy(c.ic, &i, 4);
		client_mm1(&c, &m);
		world_input(&c, &m);
		if (i % 20 == 0)
			fake_advance(1);
	}
	client_mm3(&real, &m);
	ck_assert(client_mm4(&real, ask(&real, &m)));
	/* What forged messages left goes in portions, and reports stay few. */
	uint64_t gone = vd_counter("ike_v1.failed.no_message_3"), pushed = vd_counter("ike_v1.embryo.pushed_out");
	fake_advance(62000);
	ck_assert_uint_eq(vd_counter("ike_v1.failed.no_message_3") - gone, 10000 - pushed);
	gone = vd_counter("ike_v1.failed.no_message_3");
	fake_advance(62000);
	ck_assert_uint_eq(vd_counter("ike_v1.failed.no_message_3"), gone);
	client_free(&c);
	client_free(&real);
}
END_TEST

START_TEST(test_hostile)
{
	struct client c;
	struct msg m, bad;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	for (size_t at = 16; at < m.len; at++) { /* every octet wrong in some ways, and every length */
		static const uint8_t flips[] = { 0x01, 0x80, 0xff };

		for (unsigned k = 0; k < 3; k++) {
			bad = m;
			bad.p[at] ^= flips[k];
			world_input(&c, &bad);
		}
		bad = m;
		bad.len = at;
		bad.p[27] = (uint8_t)at;
		bad.p[26] = (uint8_t)(at >> 8);
		world_input(&c, &bad);
	}
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	for (size_t at = 28; at < m.len; at += 7) {
		bad = m;
		bad.len = at;
		bad.p[27] = (uint8_t)at;
		bad.p[26] = (uint8_t)(at >> 8);
		world_input(&c, &bad);
	}
	memset(bad.p + 28, 0, sizeof(bad.p) - 28);
	/* A public value of 1 gives everybody the shared secret: refused. */
	bad = m;
	memset(bad.p + 32, 0, 255);
	bad.p[32 + 255] = 1;
	silent(&c, &bad);
	ck_assert_uint_ge(vd_counter("ike_v1.drop.dh"), 1);
	client_free(&c);
}
END_TEST

/* After keys: each octet of an encrypted message changed in turn; nothing gets through, nothing breaks. */
START_TEST(test_hostile_quick)
{
	struct client c;
	struct msg m, bad;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 3, 4, 12, 256, 2, 0, 1701, &m);
	for (size_t at = 28; at < m.len; at++) {
		bad = m;
		bad.p[at] ^= 0x55;
		silent(&c, &bad);
	}
	for (size_t at = 28; at < m.len; at++) {
		bad = m;
		bad.len = at;
		bad.p[27] = (uint8_t)at;
		bad.p[26] = (uint8_t)(at >> 8);
		silent(&c, &bad);
	}
	ck_assert_uint_eq(world.n_sas, 0);
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	for (size_t at = 28; at < 92; at++) {
		client_qm3(&c, &bad);
		bad.p[at < bad.len ? at : 28] ^= 1;
		silent(&c, &bad);
	}
	ck_assert_uint_eq(world_live(false), 0);
	client_qm3(&c, &m);
	silent(&c, &m);
	ck_assert_uint_eq(world_live(false), 1);
	client_free(&c);
}
END_TEST

START_TEST(test_rebind)
{
	struct client c;
	struct vd_path moved;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	quick(&c, 1, 0);
	moved = c.path;
	moved.remote.port = 61000;
	world.events->rebind(world.events_arg, world.chan, &moved);
	ck_assert_uint_eq(world.chan_path.remote.port, 61000);
	c.path.remote.port = 61000;
	quick(&c, 2, 0);
	ck_assert_uint_eq(world.sent_path[(world.n_sent - 1) % WORLD_SENT].remote.port, 61000);
	client_free(&c);
}
END_TEST

START_TEST(test_admin_close)
{
	struct client c;
	struct msg *r;
	uint8_t type;
	size_t len;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	quick(&c, 1, 0);
	unsigned n = world.n_sent;
	vd_peer_close(vd_peer_after(NULL)->id, "administrator");
	fake_drain();
	ck_assert_uint_ge(world.n_sent, n + 1);
	r = world_reply(n);
	const uint8_t *p = client_info_open(&c, r, &type, &len);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(type, 12); /* Delete */
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}
END_TEST

/* The gateway closes peers, or stops, at every step of a conversation: with Diffie-Hellman in the pool, keys/1 and
 * esp/1 not yet answered, SAs half installed. The sanitizers judge; afterwards a new client must get through. */
enum { CLOSE_AT = 12 };
static bool close_here(unsigned at, unsigned step)
{
	struct vd_peer *peer = vd_peer_after(NULL);

	if (at != step)
		return false;
	if (peer != NULL)
		vd_peer_close(peer->id, "administrator");
	fake_drain();
	world.hold_drain = world.hold_acks = false;
	world_acks();
	return true;
}

static void until_closed(struct client *c, unsigned at)
{
	struct msg m;
	unsigned n;

	client_mm1(c, &m);
	ck_assert(client_mm2(c, ask(c, &m)));
	client_mm3(c, &m);
	world.hold_drain = true;
	n = world.n_sent;
	world_input(c, &m); /* Diffie-Hellman is in the pool */
	ck_assert_uint_eq(world.n_sent, n);
	if (at == 0 || close_here(at, 1)) /* 0: the clock runs, and teardown stops the plugin meanwhile */
		return;
	fake_drain();
	ck_assert(client_mm4(c, world_reply(n)));
	floated(c);
	client_mm5(c, &m);
	n = world.n_sent;
	world_input(c, &m); /* keys/1 is asked */
	if (at == 2 || close_here(at, 3))
		return;
	fake_drain();
	ck_assert(client_mm6(c, world_reply(n)));
	world.hold_acks = true;
	client_qm1(c, 1, 4, 12, 256, 2, 14, 1701, &m);
	world_input(c, &m); /* Diffie-Hellman for PFS */
	if (at == 4 || close_here(at, 5))
		return;
	fake_drain(); /* install_in is under way */
	if (at == 6 || close_here(at, 7))
		return;
	n = world.n_sent;
	world_acks();
	ck_assert(client_qm2(c, world_reply(n), 52));
	world.hold_drain = false;
	if (close_here(at, 8)) /* waits for message 3 */
		return;
	world.hold_acks = true;
	client_qm3(c, &m);
	world_input(c, &m); /* install_out is under way */
	if (at == 9 || close_here(at, 10))
		return;
	world_acks();
	ck_assert(close_here(at, 11));
}

START_TEST(test_close_at)
{
	struct client c, next;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	until_closed(&c, (unsigned)_i);
	if (_i == 1 || _i == 3 || _i == 5 || _i == 7 || _i == 8 || _i >= 10) {
		ck_assert_uint_eq(vd_peer_count(), _i == 3); /* at 3 there was none yet to close */
		client_info(&c, 99, 12, "", 0, &m);
		world_input(&c, &m);
		client_init(&next, PSK_A, 7, 256, 4, 14);
		next.path.remote.ip = vd_ip4(0xc6336477);
		phase1(&next, true);
		quick(&next, 1, 0);
		client_free(&next);
	}
	world.hold_drain = false;
	client_free(&c); /* teardown stops in the middle of it */
}
END_TEST

/* The message ids of 128 exchanges are remembered. What is replayed after that, from elsewhere, must move nobody. */
START_TEST(test_replay_moves_nobody)
{
	struct client c;
	struct msg old_qm, old_info, m;
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 0x8d, 0x28 };
	struct vd_path home;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 1, 4, 12, 256, 2, 0, 1701, &old_qm);
	ck_assert(client_qm2(&c, ask(&c, &old_qm), 52));
	client_qm3(&c, &m);
	silent(&c, &m);
	memcpy(body + 8, c.ic, 8);
	memcpy(body + 16, c.rc, 8);
	client_info(&c, 2, 11, body, sizeof(body), &old_info);
	ask(&c, &old_info);
	fake_advance(31000);
	for (uint32_t i = 1; i < 100; i++) {
		body[27] = (uint8_t)i;
		client_info(&c, 100 + i, 11, body, sizeof(body), &m);
		ask(&c, &m);
	}
	home = c.path;
	c.path.remote.ip = vd_ip4(0xcb007163);
	world_input(&c, &old_qm);
	world_input(&c, &old_info);
	ck_assert(vd_sa_equal(&world.chan_path.remote, &home.remote));
	/* A live client that a NAT has moved is answered where it is; its message 3 proves it. */
	c.path = home;
	c.path.remote.port = 61001;
	client_qm1(&c, 9001, 4, 12, 256, 2, 0, 1701, &m);
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	ck_assert_uint_eq(world.sent_path[(world.n_sent - 1) % WORLD_SENT].remote.port, 61001);
	ck_assert_uint_eq(world.chan_path.remote.port, 4500);
	client_qm3(&c, &m);
	silent(&c, &m);
	ck_assert_uint_eq(world.chan_path.remote.port, 61001);
	client_free(&c);
}
END_TEST

/* A client that rekeys as fast as it can: finished exchanges and CHILD SAs stay few. */
START_TEST(test_quick_storm)
{
	static uint8_t room[1 << 17];
	struct vd_error err = { 0 };
	struct client c;
	struct vd_wr w;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	for (uint32_t i = 1; i < 300; i++) {
		struct msg m;

		client_qm1(&c, i, 4, 12, 256, 2, 0, 1701, &m);
		ck_assert(client_qm2(&c, ask(&c, &m), 52));
		client_qm3(&c, &m);
		world_input(&c, &m); /* the oldest CHILD SA is deleted from the eighth on */
	}
	ck_assert_uint_le(world_live(true), 8);
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(ike_v1_layer.export_(vd_plugin_find("ike_v1")->self, &w, &err), 0);
	ck_assert_uint_lt(w.len, 80000);
	client_free(&c);
}
END_TEST

/* Authenticated clients ask for Diffie-Hellman too: the same budget. */
START_TEST(test_budget)
{
	struct client c;
	struct msg m;
	uint32_t mid = 1;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	while (vd_budget_take(VD_COST_DH, 1, &(struct vd_budget_from){ &c.path.remote.ip, NULL, VD_STANDING_ANSWERED }))
		;
	client_qm1(&c, mid++, 4, 12, 256, 2, 14, 1701, &m);
	uint64_t before = vd_counter("ike_v1.refused.budget");
	world_input(&c, &m);
	ck_assert_uint_eq(vd_counter("ike_v1.refused.budget"), before + 1);
	ck_assert_uint_eq(world.n_sas, 0);
	fake_advance(1000);
	struct client other;
	client_init(&other, PSK_A, 7, 256, 4, 14);
	other.path.remote.port = 1011;
	client_mm1(&other, &m);
	ck_assert(client_mm2(&other, ask(&other, &m)));
	client_mm3(&other, &m);
	ck_assert(client_mm4(&other, ask(&other, &m)));
	while (vd_budget_take(VD_COST_AUTH, 1, &(struct vd_budget_from){ &c.path.remote.ip, NULL, VD_STANDING_ANSWERED }))
		;
	client_mm5(&other, &m);
	silent(&other, &m); /* no PSK is tried now; the next retransmission may get through */
	ck_assert_uint_eq(vd_counter("ike_v1.refused.budget"), before + 2);
	fake_advance(1000);
	ck_assert(client_mm6(&other, ask(&other, &m)));
	client_free(&c);
	client_free(&other);
}
END_TEST

/* SHA-256 before SHA-1 for ESP, except toward the family of clients of which some cut HMAC-SHA-256. */
START_TEST(test_sha256_esp)
{
	struct ike_v1 *v = vd_plugin_find("ike_v1")->self;
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	ike_v1_sa_find(v, c.ic, c.rc)->vendors |= _i == 0 ? IKE_V_FRAGMENTATION | IKE_V_NATT_DRAFT | IKE_V_DPD :
		_i == 1 ? IKE_V_APPLE : 0;
	c.also_auth = 5;
	client_qm1(&c, 1, 4, 12, 256, 2, 0, 1701, &m);
	ck_assert(client_qm2(&c, ask(&c, &m), _i == 0 ? 52 : 64));
	ck_assert_uint_eq(world.sas[0].integ, _i == 0 ? VD_INTEG_SHA1_96 : VD_INTEG_SHA2_256_128);
	client_free(&c);
}
END_TEST

/* PFS with a group that the connection does not have for IKE: it costs what its operator did not choose. */
START_TEST(test_pfs_group)
{
	static const struct { unsigned group; bool allowed; } groups[] = { { 14, true }, { 15, true }, { 19, true }, { 20, true },
		{ 31, true }, { 2, false }, { 5, false }, { 17, false }, { 18, false }, { 21, false } };
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	uint64_t work = vd_counter("ike_v1.failed.quick");
	uint8_t sa[64] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 44, 1, 3, 4, 1, 0, 0, 0, 0, 0, 0, 0, 32, 1, 12, 0, 0, 0x80, 1, 0, 1, 0x80, 2,
		0x0e, 0x10, 0x80, 3, 0, (uint8_t)groups[_i].group, 0x80, 4, 0, 4, 0x80, 5, 0, 2, 0x80, 6, 1, 0 };
	client_qm1_sa(&c, 1, sa, 52, 14, 1701, &m); /* the value is of group 14 */
	unsigned n = world.n_sent;
	world_input(&c, &m);
	ck_assert_uint_eq(world.n_sent, n + 1);
	if (groups[_i].allowed) { /* refused for its value, if at all */
		const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

		ck_assert(groups[_i].group == 14 ? f == NULL : strcmp(f->kind, ike_fail_no_esp_proposal.word));
	} else {
		const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);

		ck_assert_uint_eq(vd_counter("ike_v1.failed.quick"), work + 1);
		ck_assert_str_eq(f->kind, ike_fail_no_esp_proposal.word);
	}
	client_free(&c);
}
END_TEST

/* AES-256 and SHA-1 twice, the first with this attribute for sequence numbers of 64 bits (RFC 4304). */
static size_t esn_offer(uint8_t *p, const char *attribute)
{
	struct vd_wr w;
	uint8_t more[16];
	int n = vd_unhex(attribute, more, sizeof(more));

	vd_wr_init(&w, p, 256);
	vd_wr_u32(&w, 1), vd_wr_u32(&w, 1);
	vd_wr_u16(&w, 0), vd_wr_u16(&w, (uint16_t)(12 + 2 * 28 + n));
	vd_wr_u32(&w, 0x01030402), vd_wr_u32(&w, 0);
	for (unsigned i = 0; i < 2; i++) {
		vd_wr_u16(&w, i ? 0 : 0x0300), vd_wr_u16(&w, (uint16_t)(28 + (i ? 0 : n)));
		vd_wr_u32(&w, (i + 1) << 24 | 12 << 16);
		vd_wr_u32(&w, 0x80010001), vd_wr_u32(&w, 0x80020e10), vd_wr_u32(&w, 0x80040004), vd_wr_u32(&w, 0x80050002);
		vd_wr_u32(&w, 0x80060100);
		vd_wr_put(&w, more, i ? 0 : (size_t)n);
	}
	return w.len;
}

/* Taken when it is offered first; what is no such attribute is passed over for the next transform. */
START_TEST(test_esn)
{
	static const struct { const char *attribute; bool esn; } cases[] = { { "800b0001", true },
		{ "000b000400000001", true }, { "", false }, { "800b0000", false }, { "800b0002", false }, { "800b0001800b0001", false } };
	uint8_t sa[256];
	struct client c;
	struct msg m;

	reimport = true;
	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	size_t len = esn_offer(sa, cases[_i].attribute);
	client_qm1_sa(&c, 1, sa, len, 0, 1701, &m);
	step();
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	ck_assert_uint_eq(world.sas[0].esn, cases[_i].esn);
	step(); /* it is in the state, too: the outbound SA comes after it */
	client_qm3(&c, &m);
	world_input(&c, &m);
	ck_assert_uint_eq(world_live(false), 1);
	for (unsigned i = 0; i < world.n_sas; i++)
		ck_assert_uint_eq(world.sas[i].esn, cases[_i].esn);
	client_free(&c);
}
END_TEST

/* A client that sets the commit bit (RFC 2408 section 3.1) is answered as any other, and its CONNECTED hurts nobody. */
START_TEST(test_commit)
{
	uint8_t note[12] = { 0, 0, 0, 1, 3, 4, 0x40, 0 };
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 1, 4, 12, 256, 2, 0, 1701, &m);
	m.p[19] |= 2;
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	client_qm3(&c, &m);
	m.p[19] |= 2;
	silent(&c, &m);
	ck_assert_uint_eq(world_live(false), 1);
	client_info(&c, 2, 11, note, sizeof(note), &m);
	silent(&c, &m);
	ck_assert_uint_eq(world_live(true), 1);
	ck_assert_uint_eq(world_live(false), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	client_free(&c);
}
END_TEST

START_TEST(test_aggressive)
{
	struct client c;
	struct msg m, *r;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	m.p[18] = 4;
	r = ask(&c, &m);
	ck_assert_uint_eq(r->p[18], 5);
	ck_assert_uint_eq(r->p[39], 7); /* INVALID_EXCHANGE_TYPE */
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "aggressive mode"));
	for (int i = 0; i < 50; i++)
		world_input(&c, &m);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 3); /* a forged source can provoke it */
	client_free(&c);
}
END_TEST

#define GROUP_YAML \
	"connections:\n" \
	"  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A, aggressive: true, group: sales } }\n" \
	"  devices: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_B } }\n"

static void sales(struct client *c, const char *psk, const char *group)
{
	client_init(c, psk, 7, 256, 4, 14);
	c->id_len = 4 + strlen(group);
	memcpy(c->id, "\x0b\0\0\0", 4);
	memcpy(c->id + 4, group, strlen(group));
}

/* Encrypted or not, and quick mode on it; message 3 again changes nothing. */
START_TEST(test_aggressive_by_name)
{
	struct client c;
	struct msg m;

	world_stop();
	world_start(GROUP_YAML);
	reimport = true;
	sales(&c, PSK_A, "sales");
	client_am1(&c, &m);
	ck_assert(client_am2(&c, ask(&c, &m)));
	step();
	client_am3(&c, _i, &m);
	silent(&c, &m);
	step();
	ck_assert_uint_eq(vd_peer_count(), 1);
	silent(&c, &m);
	quick(&c, 7, 0);
	ck_assert_uint_eq(vd_peer_count(), 1);
	client_free(&c);
}
END_TEST

/* Nobody gets more than three times what he sent, whatever he repeats; the forged one holds nothing for long. */
START_TEST(test_aggressive_amplify)
{
	struct client c;
	struct msg m;
	size_t up = 0, down = 0;

	world_stop();
	world_start(GROUP_YAML);
	sales(&c, PSK_A, "sales");
	client_am1(&c, &m);
	for (unsigned i = 0; i < 10; i++) {
		unsigned n = world.n_sent;

		world_input(&c, &m);
		fake_advance(i < 2 ? 3000 : 100);
		up += m.len;
		for (; n < world.n_sent; n++)
			down += world.sent[n % WORLD_SENT].len;
		ck_assert_uint_le(down, 3 * up);
	}
	ck_assert_uint_gt(down, 0);
	fake_advance(40000);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, ike_fail_no_aggressive_3.word);
	ck_assert_uint_eq(f->trust, VD_TRUST_NONE);
	client_free(&c);
}
END_TEST

/* Another group, another key, a suite that is not allowed. */
START_TEST(test_aggressive_refused)
{
	static const struct vd_failure *const kinds[] = { &ike_fail_group, &ike_fail_psk, &ike_fail_no_proposal };
	struct client c;
	struct msg m;

	world_stop();
	world_start(GROUP_YAML);
	sales(&c, _i == 1 ? "guessed" : PSK_A, _i == 0 ? "sale" : "sales");
	if (_i == 2) {
		client_free(&c);
		client_init(&c, PSK_A, 5, 0, 2, 2);
		memcpy(c.id, "\x0b\0\0\0sales", 9);
		c.id_len = 9;
	}
	client_am1(&c, &m);
	struct msg *r = ask(&c, &m);
	if (_i == 1) {
		ck_assert(!client_am2(&c, r)); /* its own HASH_R is wrong already; it may go on all the same */
		for (unsigned i = 0; i < IKE_V1_TRIALS_MAX + 2; i++) {
			client_am3(&c, true, &m);
			silent(&c, &m);
		}
	} else {
		ck_assert_uint_eq(r->p[18], 5);
		ck_assert_uint_eq(r->p[39], _i == 0 ? 7 : 14);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, (kinds[_i])->word);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 0);
	client_free(&c);
}
END_TEST

/* Cut anywhere, with any octet changed: nothing but drops and refusals. */
START_TEST(test_aggressive_hostile)
{
	struct client c;
	struct msg m, bad;

	world_stop();
	world_start(GROUP_YAML);
	sales(&c, PSK_A, "sales");
	client_am1(&c, &m);
	for (size_t at = 28; at < m.len; at++) {
		bad = m;
		bad.p[at] ^= 0x55;
		bad.p[1]++; /* another client */
		world_input(&c, &bad);
		bad = m;
		bad.len = at;
		world_input(&c, &bad);
	}
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 0);
	client_free(&c);
}
END_TEST

/* A message with the SA's cookies that anybody who saw them can send. */
static void rogue(const struct client *c, const uint8_t rc[8], unsigned exchange, bool sealed, uint32_t mid, struct msg *m)
{
	memset(m, 0, sizeof(*m));
	m->len = 28 + 64;
	for (size_t i = 28; i < m->len; i++)
		m->p[i] = (uint8_t)(i * 37 + exchange);
	memcpy(m->p, c->ic, 8);
	memcpy(m->p + 8, rc, 8);
	m->p[16] = 5;
	m->p[17] = 0x10;
	m->p[18] = (uint8_t)exchange;
	m->p[19] = sealed;
	m->p[23] = (uint8_t)mid;
	m->p[27] = (uint8_t)m->len;
}

/* The responder's cookie of this client's SA, from inside: it may not have left yet. */
static bool cookie_of(const struct client *c, uint8_t ret_rc[8])
{
	const struct ike_v1 *v = vd_plugin_find("ike_v1")->self;

	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (const struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = sa->hash_next)
			if (memcmp(sa->icookie, c->ic, 8) == 0) {
				memcpy(ret_rc, sa->rcookie, 8);
				return true;
			}
	return false;
}

/* The cookie of an SA that is over says nothing about the next one: message 5 of main mode, sealed, once crashed an SA that
 * waited for its own value of aggressive mode. */
START_TEST(test_main_into_aggressive)
{
	struct client c;
	struct msg m, evil;
	uint8_t old[8], now[8];

	world_stop();
	world_start(GROUP_YAML);
	sales(&c, PSK_A, "sales");
	client_am1(&c, &m);
	memcpy(old, ask(&c, &m)->p + 8, 8);
	fake_advance(31000);
	ck_assert(!cookie_of(&c, now));
	world.hold_drain = true;
	world_input(&c, &m);
	ck_assert(cookie_of(&c, now));
	ck_assert(memcmp(old, now, 8) != 0);
	rogue(&c, old, 2, true, 0, &evil);
	world_input(&c, &evil);
	rogue(&c, now, 2, true, 0, &evil);
	world_input(&c, &evil);
	world.hold_drain = false;
	fake_drain();
	client_free(&c);
}
END_TEST

/* In every state that a responder's SA can be seen in, messages of every exchange with its cookies: nothing is answered but what
 * is listed for that state, and the honest conversation goes on to its end. */
enum { AT_DH, AT_MM5, AT_TRIAL, AT_UP, AT_AM_DH, AT_AM3, AT_AM_UP, AT_N };
static void rogues(const struct client *c)
{
	static const uint8_t exchanges[] = { 0, 1, 2, 4, 5, 6, 32, 33, 34, 35, 36, 37, 255 };
	unsigned sent = world.n_sent;
	struct msg m;
	uint8_t rc[8];

	ck_assert(cookie_of(c, rc));
	for (size_t i = 0; i < sizeof(exchanges); i++)
		for (unsigned k = 0; k < 4; k++) {
			/* What is honest in its form gets its one trial: message 5 with a wrong key, message 3 of aggressive mode. */
			rogue(c, rc, exchanges[i], k & 1, k & 2 ? 7 : 0, &m);
			world_input(c, &m);
		}
	for (; sent < world.n_sent; sent++) /* the first wrong message 5 is told so, in the clear */
		ck_assert_uint_eq(world.sent[sent % WORLD_SENT].p[18], 5);
}

static void until(struct client *c, unsigned at, struct msg *m)
{
	bool aggressive = at >= AT_AM_DH;

	if (aggressive)
		client_am1(c, m);
	else {
		client_mm1(c, m);
		ck_assert(client_mm2(c, ask(c, m)));
		client_mm3(c, m);
	}
	world.hold_drain = at == AT_DH || at == AT_AM_DH;
	if (world.hold_drain) {
		unsigned n = world.n_sent;

		world_input(c, m);
		rogues(c);
		world.hold_drain = false;
		fake_drain();
		ck_assert(aggressive ? client_am2(c, world_reply(n)) : client_mm4(c, world_reply(n)));
	} else
		ck_assert(aggressive ? client_am2(c, ask(c, m)) : client_mm4(c, ask(c, m)));
	if (at == AT_MM5 || at == AT_AM3)
		rogues(c);
	if (aggressive) {
		client_am3(c, true, m);
		silent(c, m);
		if (at == AT_AM_UP)
			rogues(c);
		return;
	}
	client_mm5(c, m);
	if (at == AT_TRIAL) {
		unsigned n = world.n_sent;

		world.hold_drain = true;
		world_input(c, m);
		rogues(c);
		world.hold_drain = false;
		fake_drain();
		ck_assert(client_mm6(c, world_reply(n)));
	} else
		ck_assert(client_mm6(c, ask(c, m)));
	if (at == AT_UP)
		rogues(c);
}

START_TEST(test_states_by_list)
{
	struct client c;
	struct msg m;

	world_stop();
	world_start(GROUP_YAML);
	if (_i >= AT_AM_DH)
		sales(&c, PSK_A, "sales");
	else
		client_init(&c, PSK_A, 7, 256, 4, 14);
	until(&c, (unsigned)_i, &m);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_gt(vd_counter("ike_v1.drop.state"), 0);
	quick(&c, 9, 0);
	client_free(&c);
}
END_TEST

/* XAuth is refused with its name; the report says where the connections stand. */
START_TEST(test_xauth)
{
	uint8_t sa[] = { 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 40, 1, 1, 0, 1, 0, 0, 0, 32, 1, 1, 0, 0, 0x80, 1, 0, 7, 0x80,
		14, 1, 0, 0x80, 2, 0, 2, 0x80, 3, 0xfd, 0xe9, 0x80, 4, 0, 14, 0x80, 11, 0, 1 };
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1_sa(&c, sa, sizeof(sa), NULL, NULL, 0, &m);
	ck_assert_uint_eq(ask(&c, &m)->p[39], 14);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "client offered aes256-sha1-modp2048 with XAuth"));
	ck_assert_ptr_nonnull(strstr(f->text, "staff ("));
	ck_assert_ptr_nonnull(strstr(f->text, ":2"));
	ck_assert_ptr_nonnull(strstr(f->text, "let a connection accept xauth"));
	client_free(&c);
}
END_TEST

/* Who never comes further, or goes without a word, gives his place back. */
START_TEST(test_dead_peer)
{
	struct client c;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	if (_i == 1) {
		quick(&c, 1, 0);
		delete_esp(&c, 2);
	}
	fake_advance(590000);
	ck_assert_uint_eq(vd_peer_count(), 1);
	fake_advance(60000);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_attack");
	TCase *t = tcase_create("v1");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_flood_far);
	tcase_add_test(t, test_hostile);
	tcase_add_test(t, test_hostile_quick);
	tcase_add_test(t, test_rebind);
	tcase_add_test(t, test_admin_close);
	tcase_add_loop_test(t, test_close_at, 0, CLOSE_AT);
	tcase_add_test(t, test_replay_moves_nobody);
	tcase_add_test(t, test_quick_storm);
	tcase_add_test(t, test_budget);
	tcase_add_loop_test(t, test_sha256_esp, 0, 3);
	tcase_add_loop_test(t, test_pfs_group, 0, 10);
	tcase_add_loop_test(t, test_esn, 0, 6);
	tcase_add_test(t, test_commit);
	tcase_add_test(t, test_aggressive);
	tcase_add_loop_test(t, test_aggressive_by_name, 0, 2);
	tcase_add_test(t, test_aggressive_amplify);
	tcase_add_loop_test(t, test_aggressive_refused, 0, 3);
	tcase_add_test(t, test_aggressive_hostile);
	tcase_add_test(t, test_main_into_aggressive);
	tcase_add_loop_test(t, test_states_by_list, 0, AT_N);
	tcase_add_test(t, test_xauth);
	tcase_add_loop_test(t, test_dead_peer, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
