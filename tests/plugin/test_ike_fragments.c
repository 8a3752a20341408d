/* Plugin ike_v1 and messages that come in several parts: in any order, twice, late, too many, and all that is no part. */
#include "ike_steps.h"

#define GROUP_YAML \
	"connections:\n" \
	"  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A, aggressive: true, group: sales } }\n" \
	"  devices: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_B } }\n"

/* How a client cuts its messages. */
static const struct manner {
	unsigned parts;
	bool backwards, twice;
	bool alike; /* strongSwan, racoon: id 1, main mode and message id 0 for all */
	bool sealed; /* racoon: the encryption bit is set on parts, too */
} manners[] = {
	{ .parts = 1 }, { .parts = 2 }, { .parts = 3, .backwards = true }, { .parts = 2, .twice = true }, { .parts = 2, .alike = true },
	{ .parts = 2, .alike = true, .backwards = true }, { .parts = 3, .alike = true, .twice = true },
	{ .parts = 2, .alike = true, .sealed = true }, { .parts = 16, .alike = true }, { .parts = 16, .backwards = true, .twice = true },
};

static void cut(const struct manner *how, const struct msg *m, unsigned number, struct msg *ret_part)
{
	client_fragment(m, how->alike ? 1 : (unsigned)m->p[40] << 8 | m->p[41], number, how->parts, ret_part);
	if (how->alike) {
		ret_part->p[18] = 2;
		memset(ret_part->p + 20, 0, 4);
	}
	ret_part->p[19] |= how->sealed;
}

/* The message in parts; nothing is answered before all of it is there. NULL: nothing was answered. */
static struct msg *tell(struct client *c, const struct msg *m, const struct manner *how)
{
	unsigned n = world.n_sent;
	struct msg part;

	for (unsigned i = 1; i <= how->parts; i++) {
		ck_assert_uint_eq(world.n_sent, n);
		cut(how, m, how->backwards ? how->parts + 1 - i : i, &part);
		world_input(c, &part);
		if (how->twice)
			world_input(c, &part);
	}
	return world_reply(n);
}

static struct msg *ask_in(struct client *c, const struct msg *m, const struct manner *how)
{
	uint64_t whole = vd_counter("ike_v1.fragmented");
	struct msg *r = tell(c, m, how);

	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(vd_counter("ike_v1.fragmented"), whole + 1);
	return r;
}

/* Message 2 and what comes behind it are the same as ever. */
static void to_message_2(struct client *c, const char *psk)
{
	struct msg m;

	client_init(c, psk, 7, 256, 4, 14);
	client_mm1(c, &m);
	ck_assert(client_mm2(c, ask(c, &m)));
}

START_TEST(test_login)
{
	const struct manner *how = &manners[_i];
	struct client c;
	struct msg m, again, *r;

	reimport = true;
	to_message_2(&c, PSK_A);
	client_mm3(&c, &m);
	r = ask_in(&c, &m, how);
	ck_assert(client_mm4(&c, r));
	again = *r;
	step();
	r = ask_in(&c, &m, how); /* it did not hear us: all of it once more */
	ck_assert(r->len == again.len && memcmp(r->p, again.p, r->len) == 0);
	floated(&c);
	client_mm5(&c, &m);
	r = ask_in(&c, &m, how);
	ck_assert(client_mm6(&c, r));
	again = *r;
	step();
	ck_assert_uint_eq(vd_peer_count(), 1);
	r = ask_in(&c, &m, how);
	ck_assert(r->len == again.len && memcmp(r->p, again.p, r->len) == 0);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	r = ask_in(&c, &m, how);
	ck_assert(client_qm2(&c, r, 52));
	again = *r;
	step();
	r = ask_in(&c, &m, how);
	ck_assert(r->len == again.len && memcmp(r->p, again.p, r->len) == 0);
	client_qm3(&c, &m);
	ck_assert_ptr_null(tell(&c, &m, how));
	ck_assert_uint_eq(world_live(false), 1);
	delete_esp(&c, 10);
	ck_assert_uint_eq(world_live(false), 0);
	client_free(&c);
}
END_TEST

static bool says_fragmentation(const struct msg *m)
{
	for (size_t at = 28; at + 20 <= m->len; at++)
		if (memcmp(m->p + at, "\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\0\0", 20) == 0)
			return true;
	return false;
}

/* Aggressive mode: message 1 must come whole, message 3 need not when it is encrypted. Who says that it knows parts is told that
 * we do, and nobody else is. */
START_TEST(test_aggressive_mode)
{
	uint64_t first = vd_counter("ike_v1.drop.fragment_first"), plain = vd_counter("ike_v1.drop.fragment_plain");
	struct client c;
	struct msg m, *r;

	world_stop();
	world_start(GROUP_YAML);
	client_init(&c, PSK_A, 7, 256, 4, 14);
	c.id_len = 9;
	memcpy(c.id, "\x0b\0\0\0sales", 9);
	client_am1(&c, &m);
	ck_assert_ptr_null(tell(&c, &m, &manners[1]));
	ck_assert_uint_eq(vd_counter("ike_v1.drop.fragment_first"), first + 2);
	r = ask(&c, &m);
	ck_assert(!says_fragmentation(r));
	ck_assert(client_am2(&c, r));
	client_free(&c);
	client_init(&c, PSK_A, 7, 256, 4, 14);
	c.id_len = 9;
	memcpy(c.id, "\x0b\0\0\0sales", 9);
	client_am1(&c, &m);
	m.p[m.len - 20] = 13; /* behind its only vendor id */
	memcpy(m.p + m.len, "\0\0\0\x14\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3", 20);
	m.len += 20;
	m.p[26] = (uint8_t)(m.len >> 8);
	m.p[27] = (uint8_t)m.len;
	r = ask(&c, &m);
	ck_assert(says_fragmentation(r));
	ck_assert(client_am2(&c, r));
	client_am3(&c, false, &m);
	ck_assert_ptr_null(tell(&c, &m, &manners[1]));
	ck_assert_uint_eq(vd_counter("ike_v1.drop.fragment_plain"), plain + 1);
	ck_assert_uint_eq(vd_peer_count(), 0);
	client_am3(&c, true, &m);
	ck_assert_ptr_null(tell(&c, &m, &manners[1]));
	ck_assert_uint_eq(vd_peer_count(), 1);
	quick(&c, 7, 0);
	client_free(&c);
}
END_TEST

/* The network says a part of message 3 once more, later: it is not taken for one of message 5. */
START_TEST(test_late_part)
{
	const struct manner *how = &manners[4];
	uint64_t conflict = vd_counter("ike_v1.drop.fragment_conflict");
	struct client c;
	struct msg m, part;

	to_message_2(&c, PSK_A);
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask_in(&c, &m, how)));
	cut(how, &m, 1 + _i, &part);
	silent(&c, &part);
	client_mm5(&c, &m);
	ck_assert(client_mm6(&c, ask_in(&c, &m, how)));
	ck_assert_uint_eq(vd_counter("ike_v1.drop.fragment_conflict"), conflict);
	quick(&c, 7, 0);
	client_free(&c);
}
END_TEST

/* A part is lost, and comes with the next repetition; too late it is not missed any more. */
START_TEST(test_lost_part)
{
	const struct manner *how = &manners[1 + _i]; /* two parts in order, three backwards */
	uint64_t late = vd_counter("ike_v1.drop.fragment_timeout"), twice = vd_counter("ike_v1.duplicate.fragment");
	struct client c;
	struct msg m, part;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	for (unsigned i = 0; i < 3; i++) {
		cut(how, &m, 1, &part);
		silent(&c, &part);
		fake_advance(5000);
	}
	ck_assert_uint_eq(vd_counter("ike_v1.duplicate.fragment"), twice + 2);
	fake_advance(15001);
	ck_assert_uint_eq(vd_counter("ike_v1.drop.fragment_timeout"), late + 1);
	for (unsigned i = how->parts; i > 1; i--) {
		cut(how, &m, i, &part);
		silent(&c, &part);
	}
	fake_advance(29999);
	cut(how, &m, 1, &part);
	ck_assert(client_qm2(&c, ask(&c, &part), 52));
	fake_advance(30001); /* what was whole goes without a word */
	ck_assert_uint_eq(vd_counter("ike_v1.drop.fragment_timeout"), late + 1);
	client_free(&c);
}
END_TEST

/* Before message 3 is whole there is only the embryo; parts go with it, and with us. */
START_TEST(test_embryo_goes)
{
	struct client c;
	struct msg m, part;

	to_message_2(&c, PSK_A);
	client_mm3(&c, &m);
	cut(&manners[1], &m, 1, &part);
	silent(&c, &part);
	if (_i == 0) {
		fake_advance(30002);
		cut(&manners[1], &m, 2, &part);
		silent(&c, &part);
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	} else if (_i == 1) { /* what is gathered is not exported */
		world_reimport();
		cut(&manners[1], &m, 2, &part);
		silent(&c, &part);
		cut(&manners[1], &m, 1, &part);
		ck_assert(client_mm4(&c, ask(&c, &part)));
	}
	client_free(&c);
}
END_TEST

static uint64_t drops(const char *what)
{
	char name[64];

	vd_format(name, sizeof(name), "ike_v1.drop.%s", what);
	return vd_counter(name);
}

static void dropped(struct client *c, struct msg *m, const char *what)
{
	uint64_t n = drops(what);

	m->p[26] = (uint8_t)(m->len >> 8);
	m->p[27] = (uint8_t)m->len;
	silent(c, m);
	ck_assert_msg(drops(what) == n + 1, "%s: %u", what, (unsigned)(drops(what) - n));
}

/* Shapes that are wrong by themselves: dropped, and the message is whole all the same when the right ones come. */
START_TEST(test_bad_parts)
{
	struct client c;
	struct msg m, bad, part;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	cut(&manners[1], &m, 1, &part);
	silent(&c, &part);
	bad = part;
	bad.p[34] = 0;
	dropped(&c, &bad, "fragment_number");
	bad.p[34] = IKE_V1_FRAGMENTS_MAX + 1;
	dropped(&c, &bad, "fragment_number");
	for (unsigned len = 28; len < 37; len++) { /* without payload, cut, empty */
		bad = part;
		bad.len = len;
		bad.p[31] = (uint8_t)(len - 28);
		bad.p[30] = 0;
		dropped(&c, &bad, "fragment_malformed");
	}
	bad = part;
	bad.p[31]++; /* longer than the message */
	dropped(&c, &bad, "fragment_malformed");
	bad = part;
	bad.p[28] = 13; /* something behind it */
	bad.p[bad.len++] = 0, bad.p[bad.len++] = 0, bad.p[bad.len++] = 0, bad.p[bad.len++] = 4;
	dropped(&c, &bad, "fragment_malformed");
	bad = part;
	memset(bad.p + 8, 0, 8);
	dropped(&c, &bad, "fragment_first");
	bad = part;
	bad.p[8] ^= 1;
	dropped(&c, &bad, "no_sa");
	cut(&manners[1], &m, 2, &part);
	part.p[part.len++] = 0; /* padding behind the payload means nothing */
	part.p[27]++;
	ck_assert(client_qm2(&c, ask(&c, &part), 52));
	client_free(&c);
}
END_TEST

/* Whole, but not what the parts said: another SA's, another exchange's, of another length, parts once more. */
START_TEST(test_bad_whole)
{
	struct client c;
	struct msg m, bad, part;
	static const unsigned flips[] = { 0, 8, 18, 26, 27, 17 };

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	for (unsigned i = 0; i < VD_ARRAY_SIZE(flips); i++) {
		bad = m;
		bad.p[flips[i]] ^= flips[i] == 17 ? 0x30 : flips[i] == 18 ? 0x25 : 1;
		client_fragment(&bad, 1, 1, 2, &part);
		memcpy(part.p, m.p, 16);
		part.p[17] = m.p[17];
		part.p[18] = m.p[18];
		silent(&c, &part);
		client_fragment(&bad, 1, 2, 2, &part);
		memcpy(part.p, m.p, 16);
		part.p[17] = m.p[17];
		part.p[18] = m.p[18];
		dropped(&c, &part, "fragment_header");
	}
	client_fragment(&m, 1, 1, 1, &bad);
	client_fragment(&bad, 1, 1, 1, &part);
	dropped(&c, &part, "fragment_nested");
	m.len = 20;
	client_fragment(&m, 1, 1, 1, &part);
	dropped(&c, &part, "fragment_header");
	ck_assert_uint_eq(world.n_sas, 0);
	quick(&c, 10, 0);
	client_free(&c);
}
END_TEST

/* Parts that contradict each other: the newest begins anew, and its message is answered. */
START_TEST(test_conflict)
{
	struct client c;
	struct msg m, part, bad;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	if (_i == 0) { /* other content */
		client_fragment(&m, 1, 1, 2, &bad);
		bad.p[40] ^= 1;
		silent(&c, &bad);
		client_fragment(&m, 1, 1, 2, &part);
	} else if (_i == 1) { /* the last one is another one */
		client_fragment(&m, 1, 3, 3, &bad);
		silent(&c, &bad);
		client_fragment(&m, 1, 2, 2, &part);
	} else if (_i == 2) { /* there is one behind the last one */
		client_fragment(&m, 1, 2, 2, &part);
		silent(&c, &part);
		client_fragment(&m, 1, 3, 4, &part);
	} else if (_i == 3) { /* the last one comes before one that was there */
		client_fragment(&m, 1, 3, 4, &part);
		silent(&c, &part);
		client_fragment(&m, 1, 2, 2, &part);
	} else { /* the last one, not last any more */
		client_fragment(&m, 1, 2, 2, &part);
		silent(&c, &part);
		part.p[35] = 0;
	}
	dropped(&c, &part, "fragment_conflict");
	client_fragment(&m, 1, 1, 2, &part);
	world_input(&c, &part);
	client_fragment(&m, 1, 2, 2, &part);
	unsigned n = world.n_sent;
	world_input(&c, &part);
	if (world.n_sent == n) { /* parts that contradict those were there: the client repeats its message */
		client_fragment(&m, 1, 1, 2, &part);
		world_input(&c, &part);
	}
	ck_assert_uint_eq(world.n_sent, n + 1);
	ck_assert(client_qm2(&c, world_reply(n), 52));
	client_free(&c);
}
END_TEST

/* Another message begins before one is whole. */
START_TEST(test_abandoned)
{
	struct client c;
	struct msg m, other, part;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm1(&c, 9, 4, 12, 256, 2, 0, 1701, &m);
	client_fragment(&m, 1, 1, 2, &part);
	silent(&c, &part);
	other = part;
	other.p[_i == 0 ? 33 : _i == 1 ? 23 : 18] ^= 4; /* id, message id, exchange */
	dropped(&c, &other, "fragment_abandoned");
	dropped(&c, &part, "fragment_abandoned");
	client_fragment(&m, 1, 2, 2, &part);
	ck_assert(client_qm2(&c, ask(&c, &part), 52));
	client_free(&c);
}
END_TEST

/* Sixteen parts of any length are no longer than one message may be. */
START_TEST(test_too_long)
{
	struct client c;
	struct msg part = { .len = 0 };

	client_init(&c, PSK_A, 7, 256, 4, 14);
	phase1(&c, true);
	client_qm3(&c, &part); /* any header */
	part.p[16] = 132;
	memset(part.p + 28, 0, 8 + 300);
	part.len = 28 + 8 + 300;
	part.p[30] = (8 + 300) >> 8, part.p[31] = (8 + 300) & 0xff;
	part.p[26] = (uint8_t)(part.len >> 8), part.p[27] = (uint8_t)part.len;
	for (unsigned i = 1; i <= 13; i++) {
		part.p[34] = (uint8_t)i;
		silent(&c, &part);
	}
	part.p[34] = 14;
	dropped(&c, &part, "too_long");
	quick(&c, 10, 0);
	client_free(&c);
}
END_TEST

/* Whoever repeats our cookie has parts kept, so many of all; who comes next is served nevertheless. */
START_TEST(test_flood)
{
	uint64_t out = drops("fragment_pushed_out"), embryos = vd_counter("ike_v1.embryo.pushed_out");
	struct client c;
	struct msg m, m3 = { .len = 0 }, part;

	client_init(&c, PSK_A, 7, 256, 4, 14);
	client_mm3(&c, &m3);
	for (unsigned i = 0; i < IKE_V1_FRAGMENTED_MAX + 100; i++) {
		memcpy(c.ic, &i, 4);
		client_mm1(&c, &m);
		ck_assert(client_mm2(&c, ask(&c, &m)));
		memcpy(m3.p, c.ic, 8);
		memcpy(m3.p + 8, c.rc, 8);
		client_fragment(&m3, 1, 2, 2, &part);
		silent(&c, &part);
	}
	ck_assert_uint_gt(drops("fragment_pushed_out"), out);
	/* Some went with their embryos before. */
	ck_assert_uint_ge(drops("fragment_pushed_out") - out + vd_counter("ike_v1.embryo.pushed_out") - embryos, 100);
	client_free(&c);
	to_message_2(&c, PSK_A);
	client_mm3(&c, &m);
	ck_assert(client_mm4(&c, ask_in(&c, &m, &manners[2])));
	client_mm5(&c, &m);
	ck_assert(client_mm6(&c, ask_in(&c, &m, &manners[2])));
	fake_advance(120000); /* the rest goes by itself */
	client_free(&c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_fragments");
	TCase *t = tcase_create("v1");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_login, 0, VD_ARRAY_SIZE(manners));
	tcase_add_test(t, test_aggressive_mode);
	tcase_add_loop_test(t, test_late_part, 0, 2);
	tcase_add_loop_test(t, test_lost_part, 0, 2);
	tcase_add_loop_test(t, test_embryo_goes, 0, 3);
	tcase_add_test(t, test_bad_parts);
	tcase_add_test(t, test_bad_whole);
	tcase_add_loop_test(t, test_conflict, 0, 5);
	tcase_add_loop_test(t, test_abandoned, 0, 3);
	tcase_add_test(t, test_too_long);
	tcase_add_test(t, test_flood);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
