/* Whole conversations with plugin ike_v1 on the fake clock: an initiator of its own code against the gateway. */
#include "ike_steps.h"

static const struct suite_case {
	unsigned enc, bits, hash, group;
	const char *psk, *connection, *suite;
} cases[] = {
	{ 7, 256, 4, 14, PSK_A, "staff", "aes256-sha256-modp2048" },
	{ 7, 256, 2, 14, PSK_A, "staff", "aes256-sha1-modp2048" }, /* key expansion of appendix B */
	{ 7, 128, 2, 14, PSK_B, "devices", "aes128-sha1-modp2048" },
	{ 5, 0, 2, 14, PSK_A, "staff", "3des-sha1-modp2048" },
	{ 5, 0, 2, 2, PSK_B, "devices", "3des-sha1-modp1024" },
	{ 7, 256, 6, 14, PSK_A, "staff", "aes256-sha512-modp2048" },
};

static void conversation(const struct suite_case *s, bool natt, unsigned pfs)
{
	struct client c;

	client_init(&c, s->psk, s->enc, s->bits, s->hash, s->group);
	phase1(&c, natt);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 1);
	const struct vd_peer_up *up = fake_last(&vd_topic_peer_up);
	ck_assert_str_eq(up->connection, s->connection);
	ck_assert_str_eq(up->identity, "192.168.0.5");
	ck_assert_str_eq(up->suite, s->suite);
	quick(&c, 0x1001, pfs);
	ck_assert_uint_eq(fake_events(&vd_topic_chan_up), 1);
	ck_assert_uint_eq(world.chan_path.remote.port, natt ? 4500 : 0);
	uint32_t old_in = c.spi_r, old_out = c.spi_i;
	quick(&c, 0x1002, pfs); /* the client rekeys: same channel */
	ck_assert_uint_eq(vd_chan_count(), 1);
	ck_assert_uint_eq(world_live(true), 2);
	world.events->first_in(world.events_arg, world.chan, c.spi_r);
	fake_advance(29000);
	ck_assert_ptr_nonnull(world_sa_find(true, old_in));
	fake_advance(1001);
	ck_assert_ptr_null(world_sa_find(true, old_in));
	ck_assert_ptr_null(world_sa_find(false, old_out));
	step();
	delete_esp(&c, 0x2001);
	ck_assert_uint_eq(world_live(true), 0);
	ck_assert_uint_eq(world_live(false), 0);
	step();
	delete_ike(&c, 0x2002);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 1);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}

START_TEST(test_conversation)
{
	conversation(&cases[_i], false, 0);
}
END_TEST

START_TEST(test_conversation_natt)
{
	conversation(&cases[_i], true, 0);
}
END_TEST

START_TEST(test_conversation_pfs)
{
	conversation(&cases[0], true, 14);
}
END_TEST

START_TEST(test_conversation_reimport)
{
	reimport = true;
	conversation(&cases[_i], true, _i == 0 ? 14 : 0);
}
END_TEST

START_TEST(test_duplicates)
{
	struct client c;
	struct msg m, first, *r;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	first = *ask(&c, &m);
	r = ask(&c, &m);
	ck_assert(r->len == first.len && memcmp(r->p, first.p, r->len) == 0);
	ck_assert(client_mm2(&c, r));
	client_mm3(&c, &m);
	first = *ask(&c, &m);
	r = ask(&c, &m);
	ck_assert(r->len == first.len && memcmp(r->p, first.p, r->len) == 0);
	ck_assert(client_mm4(&c, r));
	client_mm5(&c, &m);
	first = *ask(&c, &m);
	r = ask(&c, &m);
	ck_assert(r->len == first.len && memcmp(r->p, first.p, r->len) == 0);
	ck_assert(client_mm6(&c, r));
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 1);
	client_qm1(&c, 7, 2, 12, 128, 2, 0, 0, &m);
	first = *ask(&c, &m);
	r = ask(&c, &m);
	ck_assert(r->len == first.len && memcmp(r->p, first.p, r->len) == 0);
	ck_assert(client_qm2(&c, r, 36));
	ck_assert_uint_eq(world.n_sas, 1);
	struct msg qm1 = m;
	client_qm3(&c, &m);
	silent(&c, &m);
	silent(&c, &m);
	ck_assert_uint_eq(world.n_sas, 2);
	fake_advance(31000); /* the finished exchange is forgotten, its message id is not */
	unsigned n = world.n_sas;
	silent(&c, &qm1);
	ck_assert_uint_eq(world.n_sas, n);
	client_free(&c);
}
END_TEST

START_TEST(test_losses)
{
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	unsigned n = world.n_sent;
	fake_advance(500 + 1000 + 2000 + 4000 + 10);
	ck_assert_uint_eq(world.n_sent, n + 4); /* message 4 again, four times */
	ck_assert_int_eq(memcmp(world_reply(n)->p + 28, world.sent[n - 1].p + 28, 100), 0);
	client_mm5(&c, &m);
	ck_assert(client_mm6(&c, ask(&c, &m)));
	n = world.n_sent;
	fake_advance(10000);
	ck_assert_uint_eq(world.n_sent, n);
	client_qm1(&c, 9, 2, 12, 256, 2, 0, 1701, &m);
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	n = world.n_sent;
	fake_advance(500);
	ck_assert_uint_eq(world.n_sent, n + 1);
	fake_advance(30000); /* message 3 never comes */
	ck_assert_uint_eq(world_live(true), 0);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->stage, "quick mode");
	client_free(&c);
}
END_TEST

/* Who the gateway says it is: a router before it has the address that clients know, and some of them check. */
START_TEST(test_own_id)
{
	static const struct { const char *yaml; uint8_t type; const char *data; size_t len; } ids[] = {
		{ "", 1, "\xc0\x00\x02\x01", 4 }, { ", id: 198.51.100.7", 1, "\xc6\x33\x64\x07", 4 },
		{ ", id: vpn.example.com", 2, "vpn.example.com", 15 }, { ", id: gw@example.com", 3, "gw@example.com", 14 },
	};
	unsigned which = (unsigned)_i % 4;
	bool aggressive = _i >= 4;
	struct client c;
	struct msg m;
	char yaml[400];

	world_stop();
	vd_format(yaml, sizeof(yaml), "connections:\n  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A%s%s } }\n"
		"  devices: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_B, id: other.example.com } }\n",
		ids[which].yaml, aggressive ? ", aggressive: true, group: sales" : "");
	world_start(yaml);
	client_init(&c, PSK_A, 7, 256, 4, 14);
	c.path.local.ip = vd_ip4(0xc0000201);
	if (aggressive) {
		memcpy(c.id, "\x0b\0\0\0sales", 9);
		c.id_len = 9;
		client_am1(&c, &m);
		ck_assert(client_am2(&c, ask(&c, &m)));
	} else {
		phase1(&c, true);
	}
	ck_assert_uint_eq(c.said_len, 4 + ids[which].len);
	ck_assert_uint_eq(c.said[0], ids[which].type);
	ck_assert_mem_eq(c.said + 4, ids[which].data, ids[which].len);
	client_free(&c);
}
END_TEST

START_TEST(test_half_open_timeout)
{
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	fake_advance(30001);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	client_mm5(&c, &m);
	silent(&c, &m);
	client_free(&c);
}
END_TEST

START_TEST(test_wrong_psk)
{
	struct client c;
	struct msg m;

	client_init(&c, "nobody's key", 7, 256, 4, 14);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	client_mm5(&c, &m);
	ck_assert_uint_eq(ask(&c, &m)->p[18], 5); /* a hint in the clear */
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "none of the 2 tried"));
	for (int i = 0; i < 10; i++)
		silent(&c, &m);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}
END_TEST

/* Garbage from elsewhere at message 5 does not spoil it for the real client. */
START_TEST(test_garbage_before_mm5)
{
	struct client c;
	struct msg m, bad;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	client_mm5(&c, &m);
	bad = m;
	bad.p[40] ^= 1;
	world_input(&c, &bad);
	ck_assert(client_mm6(&c, ask(&c, &m)));
	client_free(&c);
}
END_TEST

START_TEST(test_no_proposal)
{
	struct client c;
	struct msg m, *r;

	client_init(&c, PSK_A, 1, 0, 1, 1); /* DES, MD5 */
	client_mm1(&c, &m);
	r = ask(&c, &m);
	ck_assert_uint_eq(r->p[18], 5);
	ck_assert_uint_eq(r->p[39], 14); /* NO_PROPOSAL_CHOSEN */
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_ptr_nonnull(strstr(f->text, "no common proposal"));
	client_free(&c);
}
END_TEST

/* 3DES and group 2 are only for devices: the PSK of staff does not get them. */
START_TEST(test_suite_after_binding)
{
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 5, 0, 2, 2);
	client_mm1(&c, &m);
	ck_assert(client_mm2(&c, ask(&c, &m)));
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask(&c, &m)));
	client_mm5(&c, &m);
	ck_assert_uint_eq(ask(&c, &m)->p[18], 5);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_ptr_nonnull(strstr(f->text, "staff"));
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 0);
	silent(&c, &m);
	client_free(&c);
}
END_TEST

START_TEST(test_natd)
{
	struct client c;
	unsigned n;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	c.bad_natd_us = _i & 1;
	c.bad_natd_peer = _i & 2;
	phase1(&c, _i != 0);
	n = world.n_sent;
	fake_advance(20001);
	ck_assert_uint_eq(world.n_sent - n, _i & 1 ? 1 : 0); /* keepalive only when we are behind the NAT */
	if (_i & 1) {
		ck_assert_uint_eq(world_reply(n)->len, 1);
		ck_assert_uint_eq(world_reply(n)->p[0], 0xff);
	}
	if (_i != 0)
		quick(&c, 5, 0);
	client_free(&c);
}
END_TEST

START_TEST(test_dpd)
{
	struct client c;
	struct msg m, *r;
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 0x8d, 0x28 }, type;
	size_t len;

	client_init(&c, PSK_A, 7, 256, 2, 14);
	phase1(&c, true);
	memcpy(body + 8, c.ic, 8);
	memcpy(body + 16, c.rc, 8);
	body[27] = 42;
	client_info(&c, 0x77, 11, body, sizeof(body), &m);
	r = ask(&c, &m);
	const uint8_t *p = client_info_open(&c, r, &type, &len);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(type, 11);
	ck_assert_uint_eq(len, 28);
	ck_assert_uint_eq((unsigned)p[6] << 8 | p[7], 36137);
	ck_assert_int_eq(memcmp(p + 8, body + 8, 20), 0);
	silent(&c, &m); /* replayed */
	body[27] = 41;
	client_info(&c, 0x78, 11, body, sizeof(body), &m);
	silent(&c, &m); /* an old number */
	body[27] = 43;
	client_info(&c, 0x79, 11, body, sizeof(body), &m);
	m.p[60] ^= 1;
	silent(&c, &m); /* forged */
	client_free(&c);
}
END_TEST

/* vpnc draws its message ids of one octet: 0 comes, and the same for two messages. */
START_TEST(test_info_message_id)
{
	static const uint32_t mids[] = { 0, 0x77 };
	struct client c;
	struct msg m, *r;
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 0x8d, 0x28 }, type;
	size_t len;

	client_init(&c, PSK_A, 7, 256, 2, 14);
	phase1(&c, true);
	memcpy(body + 8, c.ic, 8);
	memcpy(body + 16, c.rc, 8);
	for (body[27] = 42; body[27] < 45; body[27]++) {
		client_info(&c, mids[_i], 11, body, sizeof(body), &m);
		r = ask(&c, &m);
		const uint8_t *p = client_info_open(&c, r, &type, &len);
		ck_assert_ptr_nonnull(p);
		ck_assert_int_eq(memcmp(p + 8, body + 8, 20), 0);
		uint64_t replays = vd_counter("ike_v1.drop.info_replay");
		silent(&c, &m);
		ck_assert_uint_eq(vd_counter("ike_v1.drop.info_replay"), replays + 1);
	}
	delete_ike(&c, mids[_i]);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}
END_TEST

START_TEST(test_phase1_rekey)
{
	struct client a, b;

	client_init(&a, PSK_A, 7, 256, 4, 14);
	phase1(&a, true);
	quick(&a, 1, 0);
	client_init(&b, PSK_A, 7, 256, 4, 14);
	b.path = a.path;
	fake_advance(1800000);
	world.idle_ms = 10000;
	phase1(&b, true);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 1);
	quick(&b, 1, 0);
	ck_assert_uint_eq(vd_chan_count(), 1);
	unsigned n = world.n_sent;
	fake_advance(30001);
	ck_assert_uint_gt(world.n_sent, n); /* Delete of the old IKE SA */
	ck_assert_uint_eq(vd_peer_count(), 1);
	client_free(&a);
	client_free(&b);
}
END_TEST

START_TEST(test_reattach)
{
	struct client a, b, other;

	client_init(&a, PSK_A, 7, 256, 4, 14);
	phase1(&a, true);
	quick(&a, 1, 0);
	world.idle_ms = 120000; /* silent for long: whoever has the PSK must not get that channel */
	fake_advance(120000);
	client_init(&b, PSK_A, 7, 256, 4, 14);
	phase1(&b, true);
	ck_assert_uint_eq(vd_peer_count(), 2);
	/* Same private identity from another NAT: never the same peer, and its INITIAL_CONTACT ends nobody. */
	client_init(&other, PSK_A, 7, 256, 4, 14);
	other.path.remote.ip = vd_ip4(0xc6336499);
	other.initial_contact = true;
	phase1(&other, true);
	ck_assert_uint_eq(vd_peer_count(), 3);
	client_free(&a);
	client_free(&b);
	client_free(&other);
}
END_TEST

START_TEST(test_initial_contact)
{
	struct client a, b;

	client_init(&a, PSK_A, 7, 256, 4, 14);
	phase1(&a, true);
	quick(&a, 1, 0);
	client_init(&b, PSK_A, 7, 256, 4, 14);
	b.initial_contact = true;
	phase1(&b, true);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_up), 2);
	ck_assert_uint_eq(world_live(true), 0);
	client_free(&a);
	client_free(&b);
}
END_TEST

START_TEST(test_phase1_deleted_alone)
{
	struct client c;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	quick(&c, 1, 0);
	delete_ike(&c, 2);
	ck_assert_uint_eq(vd_peer_count(), 1); /* Windows idles */
	ck_assert_uint_eq(world_live(true), 1);
	world.idle_ms = 60000;
	fake_advance(60000);
	ck_assert_uint_eq(vd_peer_count(), 1);
	world.idle_ms = 600000;
	fake_advance(30001);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_free(&c);
}
END_TEST

START_TEST(test_quick_refused)
{
	struct client c;
	struct msg m;
	static const struct { unsigned encap, esp, bits, auth; uint16_t group; const char *why; } bad[] = {
		{ 2, 12, 256, 2, 0, "no common proposal" }, /* not encapsulated behind NAT */
		{ 3, 12, 256, 2, 0, "no common proposal" }, /* tunnel */
		{ 4, 2, 0, 2, 0, "no common proposal" },    /* DES */
		{ 4, 11, 0, 2, 0, "no common proposal" },   /* NULL */
		{ 4, 12, 256, 1, 0, "no common proposal" }, /* MD5 */
	};

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	for (unsigned i = 0; i < VD_ARRAY_SIZE(bad); i++) {
		client_qm1(&c, 100 + i, bad[i].encap, bad[i].esp, bad[i].bits, bad[i].auth, 0, 1701, &m);
		ck_assert_uint_eq(ask(&c, &m)->p[18], 5);
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), i + 1);
		ck_assert_ptr_nonnull(
			strstr(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->text, bad[i].why));
	}
	ck_assert_uint_eq(world.n_sas, 0);
	client_qm1(&c, 200, 61444, 12, 256, 2, 0, 0, &m); /* the drafts' number is answered as offered */
	ck_assert(client_qm2(&c, ask(&c, &m), 52));
	client_qm1(&c, 201, 4, 20, 128, 0, 0, 49152, &m); /* AES-GCM, ephemeral port */
	ck_assert(client_qm2(&c, ask(&c, &m), 20));
	ck_assert_uint_eq(world.sas[1].encr, VD_ENCR_AES_GCM_16);
	client_free(&c);
}
END_TEST

START_TEST(test_install_ack_first)
{
	struct client c;
	struct msg m;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	world.hold_acks = true;
	client_qm1(&c, 1, 4, 12, 256, 2, 0, 1701, &m);
	silent(&c, &m); /* message 2 waits for the worker */
	silent(&c, &m);
	unsigned n = world.n_sent;
	world_acks();
	ck_assert_uint_eq(world.n_sent, n + 1);
	ck_assert(client_qm2(&c, world_reply(n), 52));
	/* Three at most, and an SA that dies while acknowledgements are under way. */
	for (uint32_t i = 2; i < 8; i++) {
		client_qm1(&c, i, 4, 12, 256, 2, 0, 1701, &m);
		silent(&c, &m);
	}
	ck_assert_uint_eq(world.n_sas, 3);
	delete_ike(&c, 99);
	world_acks();
	client_free(&c);
}
END_TEST

/* First flights of stock clients: transforms in their order and form, vendor ids in their order. */
struct transform {
	unsigned enc, bits, hash, group;
};
static size_t flight_sa(uint8_t *p, const struct transform *t, unsigned n, bool windows, unsigned life)
{
	struct vd_wr w;

	vd_wr_init(&w, p, 1600);
	vd_wr_u32(&w, 1);
	vd_wr_u32(&w, 1);
	size_t proposal = vd_wr_mark(&w, 4);
	vd_wr_u8(&w, 1), vd_wr_u8(&w, 1), vd_wr_u8(&w, 0), vd_wr_u8(&w, (uint8_t)n);
	for (unsigned i = 0; i < n; i++) {
		size_t at = vd_wr_mark(&w, 4);

		vd_wr_patch_u8(&w, at, i + 1 < n ? 3 : 0);
		vd_wr_u8(&w, (uint8_t)(i + 1)), vd_wr_u8(&w, 1), vd_wr_u16(&w, 0);
		if (!windows) { /* racoon: lifetime first, in short form */
			vd_wr_u16(&w, 0x800b), vd_wr_u16(&w, 1);
			vd_wr_u16(&w, 0x800c), vd_wr_u16(&w, (uint16_t)life);
		}
		vd_wr_u16(&w, 0x8001), vd_wr_u16(&w, (uint16_t)t[i].enc);
		if (t[i].bits != 0)
			vd_wr_u16(&w, 0x800e), vd_wr_u16(&w, (uint16_t)t[i].bits);
		if (!windows)
			vd_wr_u16(&w, 0x8003), vd_wr_u16(&w, 1);
		vd_wr_u16(&w, 0x8002), vd_wr_u16(&w, (uint16_t)t[i].hash);
		vd_wr_u16(&w, 0x8004), vd_wr_u16(&w, (uint16_t)t[i].group);
		if (windows) {
			vd_wr_u16(&w, 0x8003), vd_wr_u16(&w, 1);
			vd_wr_u16(&w, 0x800b), vd_wr_u16(&w, 1);
			vd_wr_u16(&w, 12), vd_wr_u16(&w, 4), vd_wr_u32(&w, life);
		}
		vd_wr_patch_u16(&w, at + 2, (uint16_t)(w.len - at));
	}
	vd_wr_patch_u16(&w, proposal + 2, (uint16_t)(w.len - proposal));
	ck_assert(vd_wr_ok(&w));
	return w.len;
}

static const struct flight {
	const char *name;
	bool windows;
	unsigned life, n, chosen, total; /* total: octets of message 1 where known */
	struct transform t[14];
	const char *vids[9];
} flights[] = {
	{ "windows 10", true, 28800, 5, 1, 408,
		{ { 7, 256, 2, 20 }, { 7, 128, 2, 19 }, { 7, 256, 2, 14 }, { 5, 0, 2, 14 }, { 5, 0, 2, 2 } },
		{ "01528bbbc00696121849ab9a1c5b2a5100000001", "1e2b516905991c7d7c96fcbfb587e46100000009",
			"4a131c81070358455c5728f20e95452f", "90cb80913ebb696e086381b5ec427b1f",
			"4048b7d56ebce88525e7de7f00d6c2d3", "fb1de3cdf341b7ea16b7e5be0855f120",
			"26244d38eddb61b3172a36e3d0cfb819", "e3a5966a76379fe707228231e5ce8652" } },
	{ "macos", false, 3600, 14, 1, 0,
		{ { 7, 256, 4, 14 }, { 7, 256, 2, 14 }, { 7, 256, 1, 14 }, { 7, 256, 6, 14 }, { 7, 256, 4, 5 },
			{ 7, 256, 2, 5 }, { 7, 256, 1, 5 }, { 7, 256, 4, 2 }, { 7, 256, 2, 2 }, { 7, 256, 1, 2 },
			{ 7, 128, 2, 2 }, { 7, 128, 1, 2 }, { 5, 0, 2, 2 }, { 5, 0, 1, 2 } },
		{ "4a131c81070358455c5728f20e95452f", "4df37928e9fc4fd1b3262170d515c662",
			"8f8d83826d246b6fc7a8a6a428c11de8", "4048b7d56ebce88525e7de7f00d6c2d380000000",
			"afcad71368a1f1c96b8696fc77570100" } },
	{ "android 10", false, 28800, 12, 1, 0, /* only devices, which is legacy, has group 2 */
		{ { 7, 256, 4, 2 }, { 7, 256, 2, 2 }, { 7, 256, 1, 2 }, { 7, 128, 4, 2 }, { 7, 128, 2, 2 },
			{ 7, 128, 1, 2 }, { 5, 0, 4, 2 }, { 5, 0, 2, 2 }, { 5, 0, 1, 2 }, { 1, 0, 4, 2 },
			{ 1, 0, 2, 2 }, { 1, 0, 1, 2 } },
		{ "4a131c81070358455c5728f20e95452f", "cd60464335df21f87cfdb2fc68b6a448",
			"90cb80913ebb696e086381b5ec427b1f", "4485152d18b6bbcd0be8a8469579ddcc",
			"4048b7d56ebce88525e7de7f00d6c2d380000000", "afcad71368a1f1c96b8696fc77570100" } },
	{ "networkmanager", false, 10800, 5, 3, 0, /* first match would have taken group 2 */
		{ { 7, 256, 4, 2 }, { 5, 0, 2, 14 }, { 7, 256, 4, 14 }, { 7, 256, 2, 14 }, { 7, 256, 2, 20 } },
		{ "09002689dfd6b712", "afcad71368a1f1c96b8696fc77570100", "4a131c81070358455c5728f20e95452f",
			"90cb80913ebb696e086381b5ec427b1f" } },
	{ "windows xp", true, 28800, 2, 1, 0, { { 5, 0, 2, 14 }, { 5, 0, 2, 2 } },
		{ "1e2b516905991c7d7c96fcbfb587e46100000003", "4048b7d56ebce88525e7de7f00d6c2d3",
			"90cb80913ebb696e086381b5ec427b1f" } },
};

START_TEST(test_first_flight)
{
	const struct flight *f = &flights[_i];
	uint8_t sa[1600], vids[9][20];
	const uint8_t *list[9];
	size_t lens[9], n = 0;
	struct client c;
	struct msg m, *r;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	for (; n < 9 && f->vids[n] != NULL; n++) {
		lens[n] = (size_t)vd_unhex(f->vids[n], vids[n], sizeof(vids[n]));
		list[n] = vids[n];
	}
	client_mm1_sa(&c, sa, flight_sa(sa, f->t, f->n, f->windows, f->life), list, lens, n, &m);
	if (f->total != 0)
		ck_assert_uint_eq(m.len, f->total);
	r = ask(&c, &m);
	ck_assert(client_mm2(&c, r));
	/* header 28, generic 4, DOI and situation 8, proposal 8, transform: its number is the fifth octet */
	ck_assert_msg(r->p[28 + 4 + 8 + 8 + 4] == f->chosen, "%s: transform %u", f->name, r->p[52]);
	ck_assert_uint_le(r->len, 3 * m.len); /* no amplifier */
	unsigned rfc = 0, draft = 0, parts = 0, asked = 0;
	for (size_t i = 28; i + 16 <= r->len; i++) {
		rfc += memcmp(r->p + i, "\x4a\x13\x1c\x81", 4) == 0;
		draft += memcmp(r->p + i, "\x90\xcb\x80\x91", 4) == 0;
		parts += memcmp(r->p + i, ike_vendor_fragmentation, 16) == 0;
	}
	for (size_t i = 0; i < n; i++)
		asked += lens[i] >= 16 && memcmp(list[i], ike_vendor_fragmentation, 16) == 0;
	ck_assert_uint_eq(parts, asked); /* we say so to who did, and to no other */
	bool xp = strcmp(f->name, "windows xp") == 0;
	ck_assert_uint_eq(rfc, !xp);
	ck_assert_uint_eq(draft, xp);
	client_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_v1");
	TCase *t = tcase_create("v1");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_conversation, 0, VD_ARRAY_SIZE(cases));
	tcase_add_loop_test(t, test_conversation_natt, 0, VD_ARRAY_SIZE(cases));
	tcase_add_test(t, test_conversation_pfs);
	tcase_add_loop_test(t, test_conversation_reimport, 0, VD_ARRAY_SIZE(cases));
	tcase_add_test(t, test_duplicates);
	tcase_add_test(t, test_losses);
	tcase_add_loop_test(t, test_own_id, 0, 8);
	tcase_add_test(t, test_half_open_timeout);
	tcase_add_test(t, test_wrong_psk);
	tcase_add_test(t, test_garbage_before_mm5);
	tcase_add_test(t, test_no_proposal);
	tcase_add_test(t, test_suite_after_binding);
	tcase_add_loop_test(t, test_natd, 0, 4);
	tcase_add_loop_test(t, test_first_flight, 0, VD_ARRAY_SIZE(flights));
	tcase_add_test(t, test_dpd);
	tcase_add_loop_test(t, test_info_message_id, 0, 2);
	tcase_add_test(t, test_phase1_rekey);
	tcase_add_test(t, test_reattach);
	tcase_add_test(t, test_initial_contact);
	tcase_add_test(t, test_phase1_deleted_alone);
	tcase_add_test(t, test_quick_refused);
	tcase_add_test(t, test_install_ack_first);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
