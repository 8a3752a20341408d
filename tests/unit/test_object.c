/* Peers, channels, timelines, ids, and the cascade of closing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/system/source.h"
#include "tests/unit/session_fixture.h"

static struct vd_sa sa(uint32_t ip, uint16_t port)
{
	return (struct vd_sa){ .ip = vd_ip4(ip), .port = port };
}

/* The vectors of the reference implementation: key 00..0f, input 00..(n-1). */
START_TEST(siphash_vectors)
{
	uint8_t key[16], in[64];
	static const struct {
		size_t len;
		uint64_t want;
	} v[] = {
		{ 0, 0x726fdb47dd0e0e31ULL }, { 1, 0x74f839c593dc67fdULL }, { 7, 0xab0200f58b01d137ULL },
		{ 8, 0x93f5f5799a932462ULL }, { 15, 0xa129ca6149be45e5ULL },
	};

	for (unsigned i = 0; i < sizeof(in); i++) {
		in[i] = (uint8_t)i;
		if (i < sizeof(key))
			key[i] = (uint8_t)i;
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(v); i++)
		ck_assert_uint_eq(vd_siphash(key, in, v[i].len), v[i].want);
}
END_TEST

START_TEST(table_holds_many)
{
	static struct vd_entry entries[1000];
	struct vd_table t;
	size_t n = 0;

	vd_table_init(&t);
	ck_assert_ptr_null(vd_table_find(&t, 1));
	for (size_t i = 0; i < VD_ARRAY_SIZE(entries); i++)
		ck_assert_int_eq(vd_table_add(&t, &entries[i], i / 2), 0);
	for (struct vd_entry *e = vd_table_find(&t, 7); e; e = vd_table_again(e))
		n += e == &entries[14] || e == &entries[15];
	ck_assert_uint_eq(n, 2);
	for (size_t i = 0; i < VD_ARRAY_SIZE(entries); i += 2)
		vd_table_del(&t, &entries[i]);
	vd_table_del(&t, &entries[0]);
	ck_assert_uint_eq(t.n, 500);
	for (size_t i = 0; i < 500; i++)
		ck_assert_ptr_eq(vd_table_find(&t, i), &entries[2 * i + 1]);
	vd_table_fini(&t);
}
END_TEST

START_TEST(homes)
{
	struct vd_sa local = sa(1, 500), a = sa(2, 4500), b = sa(3, 4500), c = sa(2, 4501);
	struct vd_peer *first = vd_peer_new(1, &local, &a);
	uint8_t home = first->home, seen[256] = { 0 };

	ck_assert_uint_eq(vd_peer_new(1, &local, &a)->home, home);
	ck_assert_uint_ne(vd_peer_new(1, &local, &b)->home, home);
	ck_assert_uint_ne(vd_peer_new(1, &local, &c)->home, home);
	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		seen[p->home]++;
	ck_assert_uint_eq(seen[home], 2);
	/* It moved: the next from there shares its home, one from the old place does not. */
	vd_peer_endpoint(first->id, &(struct vd_sa){ .ip = vd_ip4(9), .port = 9 }, true);
	ck_assert(first->natt);
	a = sa(9, 9);
	ck_assert_uint_eq(vd_peer_new(1, &local, &a)->home, home);
}
END_TEST

START_TEST(peer_limit)
{
	struct vd_sa local = sa(1, 500);
	unsigned n = 0;

	vd_peer_joined(fx.peer, 1);
	for (unsigned i = 0; i < 40; i++) {
		struct vd_sa remote = sa(100 + i, 500);
		struct vd_peer *p = vd_peer_new(1, &local, &remote);

		n += p != NULL;
		if (p)
			vd_peer_joined(p->id, i); /* none of them makes room for others */
	}
	ck_assert_uint_eq(n, 29); /* one was there, 30 may be */
	ck_assert_uint_eq(vd_peer_count(), 30);
	/* Who has a place may renew what it stands on. */
	const struct vd_peer *of = vd_peer_after(NULL), *beside = vd_peer_beside(of->id);
	ck_assert_ptr_nonnull(beside);
	ck_assert_uint_ne(beside->id, of->id);
	ck_assert_uint_eq(beside->home, of->home);
	ck_assert_uint_eq(beside->endpoint, of->endpoint);
	ck_assert(vd_sa_equal(&beside->remote, &of->remote) && vd_sa_equal(&beside->local, &of->local));
	ck_assert_uint_eq(vd_peer_count(), 31);
	vd_peer_joined(beside->id, 1);
	ck_assert_ptr_null(vd_peer_new(1, &local, &of->remote));
	ck_assert_ptr_null(vd_peer_beside(beside->id + 1000));
}
END_TEST

/* ---- shares of source networks ---- */
static uint64_t peer_at(uint32_t ip, uint16_t port)
{
	struct vd_sa local = sa(1, 500), remote = sa(ip, port);
	struct vd_peer *p = vd_peer_new(1, &local, &remote);
	uint64_t id = p ? p->id : 0;

	fake_drain();
	return id;
}

static unsigned peers_at(uint32_t ip)
{
	struct vd_ip at = vd_ip4(ip);
	unsigned n = 0;

	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		n += vd_ip_equal(&p->remote.ip, &at);
	return n;
}

#define ATTACKER 0x0a000001u

/* A holder of the group key who never authenticates a user has what nobody else needs. */
START_TEST(unproven_make_room)
{
	uint64_t honest[10], elsewhere;

	vd_peer_ours(fx.peer);
	for (unsigned i = 0; i < 29; i++)
		ck_assert_uint_ne(peer_at(ATTACKER, (uint16_t)(1000 + i)), 0);
	ck_assert_uint_eq(vd_peer_count(), 30);
	for (unsigned i = 0; i < 10; i++) {
		honest[i] = peer_at(0x0b000000u + i, 500);
		ck_assert_uint_ne(honest[i], 0);
		peer_at(ATTACKER, (uint16_t)(2000 + 2 * i)); /* who goes on */
		peer_at(ATTACKER, (uint16_t)(2001 + 2 * i));
		ck_assert_uint_le(vd_peer_count(), 30);
	}
	for (unsigned i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(vd_peer_find(honest[i]));
	ck_assert_uint_eq(peers_at(ATTACKER), 19);
	ck_assert_ptr_nonnull(vd_peer_find(fx.peer)); /* what we dialled is not among them */
	/* Each that was pushed out has a report. */
	ck_assert_uint_ge(fake_events(&vd_topic_setup_failed), 10);
	/* Every place is a proven user's: nobody makes room. */
	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		vd_peer_joined(p->id, p->id);
	ck_assert_uint_eq(peer_at(0x0c000001u, 500), 0);
	/* Without its session a peer is an unproven one again: the oldest of the source that has most. */
	elsewhere = honest[3];
	vd_peer_left(elsewhere);
	fake_advance(VD_SOURCE_DAY + 1);
	ck_assert_uint_ne(peer_at(0x0c000001u, 500), 0);
	ck_assert_ptr_null(vd_peer_find(elsewhere));
}
END_TEST

/* Where places of sessions are short, a source full of peers without any does not shield another one's. */
START_TEST(peers_without_sessions_shield_nobody)
{
	for (unsigned i = 0; i < 20; i++)
		ck_assert_uint_ne(peer_at(ATTACKER, (uint16_t)(1000 + i)), 0);
	ck_assert(!vd_peer_make_room(true, 30, 0));
	ck_assert_uint_ne(fx_new("staff"), 0); /* on the channel of fx.peer, which is somewhere else */
	ck_assert(!vd_peer_make_room(true, 30, fx.peer));
	ck_assert(vd_peer_make_room(true, 30, 0));
	ck_assert(vd_peer_closing(fx.peer));
	ck_assert_uint_eq(peers_at(ATTACKER), 20);
	fake_drain();
}
END_TEST

/* Whoever had so many sessions within a day keeps so many places, whatever strangers do. */
START_TEST(known_keep_places)
{
	struct vd_ip office = vd_ip4(0x0b000001);
	uint64_t ids[8];

	vd_peer_ours(fx.peer);
	for (unsigned i = 0; i < 8; i++) {
		ids[i] = peer_at(0x0b000001u, (uint16_t)(500 + i));
		vd_peer_joined(ids[i], 7);
	}
	for (unsigned i = 0; i < 8; i++) {
		vd_peer_left(ids[i]);
		vd_peer_close(ids[i], "the office lost its line");
	}
	fake_drain();
	ck_assert_uint_eq(vd_known_places(&office), 8);
	for (unsigned i = 0; i < 29; i++) /* from everywhere, so that each has but one */
		ck_assert_uint_ne(peer_at(0x0d000000u + i, 500), 0);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_ne(peer_at(0x0b000001u, (uint16_t)(500 + i)), 0);
	for (unsigned i = 0; i < 60; i++)
		peer_at(0x0e000000u + i, 500);
	ck_assert_uint_eq(peers_at(0x0b000001u), 8);
	/* A day later it is a stranger. */
	fake_advance(VD_SOURCE_DAY + 1);
	ck_assert_uint_eq(vd_known_places(&office), 0);
}
END_TEST

/* While there are many, strangers have a minute. */
START_TEST(patience)
{
	uint64_t early = peer_at(ATTACKER, 1);

	vd_peer_ours(fx.peer);
	fake_advance(120000);
	ck_assert_ptr_nonnull(vd_peer_find(early)); /* there is room */
	for (unsigned i = 0; i < 20; i++)
		peer_at(ATTACKER, (uint16_t)(100 + i));
	uint64_t user = peer_at(0x0b000001u, 500);
	vd_peer_joined(user, 1);
	fake_advance(50000);
	ck_assert_ptr_null(vd_peer_find(early));
	ck_assert_uint_eq(peers_at(ATTACKER), 20);
	fake_advance(20000);
	ck_assert_uint_le(peers_at(ATTACKER), 7); /* a quarter of 30 in all */
	ck_assert_ptr_nonnull(vd_peer_find(user));
}
END_TEST

/* One user who was everywhere is remembered at a few places only, and pushes nobody out. */
START_TEST(sources_of_a_user)
{
	vd_peer_ours(fx.peer);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t id = peer_at(0x20000000u + i, 500);

		vd_peer_joined(id, 99);
		fake_advance(1);
		vd_peer_left(id);
		vd_peer_close(id, "done");
		fake_drain();
	}
	unsigned known = 0;
	for (unsigned i = 0; i < 200; i++) {
		struct vd_ip ip = vd_ip4(0x20000000u + i);

		known += vd_known_places(&ip) > 0;
	}
	ck_assert_uint_eq(known, 16);
}
END_TEST

/* It moves to another address: its session counts there. */
START_TEST(source_moves)
{
	struct vd_ip a = vd_ip4(0x0b000001), b = vd_ip4(0x0b000002);
	struct vd_sa to = sa(0x0b000002, 4500);
	uint64_t id = peer_at(0x0b000001, 500);

	vd_peer_joined(id, 1);
	vd_peer_endpoint(id, &to, true);
	ck_assert_uint_eq(vd_known_places(&a), 1); /* for a day */
	ck_assert_uint_eq(vd_known_places(&b), 1);
	vd_peer_left(id);
	vd_peer_close(id, "done");
	fake_drain();
	fake_advance(VD_SOURCE_DAY + 1);
	ck_assert_uint_eq(vd_known_places(&b), 0);
}
END_TEST

START_TEST(cascade)
{
	uint64_t up = fx_up("staff", "alice"), fresh = fx_new("staff"), peer = fx.peer;

	fx.trace[0] = 0;
	vd_peer_close(peer, "deleted by the peer");
	vd_peer_close(peer, "second reason");
	ck_assert_ptr_null(vd_chan_record(peer, "l2tp", 1400, &fake_maker, NULL));
	ck_assert_uint_eq(fx_new("staff"), 0);
	ck_assert_uint_eq(fx_count("chan_close"), 0);
	fake_drain();
	ck_assert_msg(fx_order("closed(", "session_down ", "session_gone(", "chan_close ", "chan_down ", "peer_down ",
			      NULL), "%s", fx.trace);
	ck_assert_uint_eq(fx_count("chan_close"), 1);
	ck_assert_uint_eq(fx_count("session_gone("), 2);
	ck_assert_uint_eq(fx.n_closed, 2);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 1);
	ck_assert_str_eq(((const struct vd_peer_down *)fake_last(&vd_topic_peer_down))->reason, "deleted by the peer");
	ck_assert_ptr_null(vd_peer_find(peer));
	ck_assert_ptr_null(vd_chan_find(fx.chan));
	ck_assert_ptr_null(vd_session_find(up));
	ck_assert_ptr_null(vd_session_find(fresh));
	ck_assert_uint_eq(vd_peer_count() + vd_chan_count() + vd_session_count(), 0);
	vd_peer_close(peer, "long gone");
	vd_chan_gone(fx.chan, "long gone");
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 1);
}
END_TEST

START_TEST(channel_goes_first)
{
	uint64_t id = fx_up("staff", "alice"), other = fx_channel();

	fx.trace[0] = 0;
	fx.session_del = FX_SILENT;
	vd_chan_gone(fx.chan, "hard limit");
	vd_chan_gone(fx.chan, "again");
	ck_assert_uint_eq(fx_new("staff"), 0);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_chan_down), 0);
	fake_advance(1000);
	ck_assert_msg(fx_order("session_down ", "session_gone(", "chan_down ", NULL), "%s", fx.trace);
	ck_assert_str_eq(((const struct vd_chan_down *)fake_last(&vd_topic_chan_down))->reason, "hard limit");
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_ptr_null(vd_chan_find(fx.chan));
	ck_assert_ptr_nonnull(vd_chan_find(other));
	ck_assert_uint_eq(fx_count("peer_down"), 0);
	/* The peer lives on and may get another channel. */
	ck_assert_uint_eq(vd_peer_count(), 2);
}
END_TEST

START_TEST(slow_maker)
{
	fx.no_esp_gone = true;
	vd_peer_close(fx.peer, "bye");
	fake_drain();
	ck_assert_uint_eq(fx_count("chan_close"), 1);
	ck_assert_uint_eq(fx_count("peer_down"), 0);
	ck_assert_ptr_nonnull(vd_peer_find(fx.peer));
	vd_chan_gone(fx.chan, "bye");
	fake_drain();
	ck_assert_uint_eq(fx_count("chan_close"), 1);
	ck_assert_uint_eq(fx_count("peer_down"), 1);
}
END_TEST

START_TEST(many_peers_close_at_once)
{
	for (unsigned i = 0; i < 25; i++)
		fx_channel();
	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		vd_peer_close(p->id, "shutdown");
	fake_drain();
	ck_assert_uint_eq(vd_peer_count(), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 26);
	ck_assert_uint_eq(fake_events(&vd_topic_chan_down), 26);
}
END_TEST

/* Room follows need, and what was noted before stays in order while it grows. */
START_TEST(timeline_grows)
{
	const struct vd_timeline *t = vd_timeline_find('p', fx.peer);
	unsigned had = t->n, i;
	char text[32];

	ck_assert_uint_le(t->room, 8);
	for (i = 0; i < 20; i++) {
		vd_note('p', fx.peer, "grown %u", i);
		ck_assert_uint_eq(t->n, had + i + 1);
		ck_assert_uint_ge(t->room, t->n);
		ck_assert_uint_le(t->room, t->n <= 4 ? 4 : 2 * t->n);
	}
	for (i = 0; i < 20; i++) {
		vd_format(text, sizeof(text), "grown %u", i);
		ck_assert_str_eq(t->v[had + i].text, text);
	}
	ck_assert_uint_eq(t->forgotten, 0);
}
END_TEST

START_TEST(timelines)
{
	const struct vd_timeline *t;

	for (unsigned i = 0; i < 200; i++)
		vd_note('p', fx.peer, "entry %u", i);
	vd_note('x', fx.peer, "no such kind");
	vd_note('s', 999999, "no such session");
	t = vd_timeline_find('p', fx.peer);
	ck_assert_uint_eq(t->n, VD_TIMELINE_MAX);
	ck_assert_uint_ge(t->forgotten, 136);
	ck_assert_str_eq(t->v[(t->first + VD_TIMELINE_MAX - 1) % VD_TIMELINE_MAX].text, "entry 199");
	ck_assert_str_eq(t->v[t->first].text, "entry 136");
	ck_assert_ptr_null(vd_timeline_find('c', 999999));
}
END_TEST

START_TEST(ids)
{
	char text[VD_ID_BUF];

	ck_assert_str_eq(vd_id_format('s', 42, text), "s-42");
	ck_assert_str_eq(vd_id_format('p', 0, text), "-");
	ck_assert_str_eq(vd_id_format('c', UINT64_MAX, text), "c-18446744073709551615");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("object");
	TCase *t = tcase_create("objects");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, fx_start, fx_stop);
	tcase_add_test(t, siphash_vectors);
	tcase_add_test(t, table_holds_many);
	tcase_add_test(t, homes);
	tcase_add_test(t, peer_limit);
	tcase_add_test(t, unproven_make_room);
	tcase_add_test(t, peers_without_sessions_shield_nobody);
	tcase_add_test(t, known_keep_places);
	tcase_add_test(t, patience);
	tcase_add_test(t, sources_of_a_user);
	tcase_add_test(t, source_moves);
	tcase_add_test(t, cascade);
	tcase_add_test(t, channel_goes_first);
	tcase_add_test(t, slow_maker);
	tcase_add_test(t, many_peers_close_at_once);
	tcase_add_test(t, timelines);
	tcase_add_test(t, timeline_grows);
	tcase_add_test(t, ids);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
