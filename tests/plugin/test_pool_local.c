/* Leases: whole conversations on the bus, the edges of ranges, and export and import after every step. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "core/plugin.h"
#include "plugins/pool/local/pool.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin pool_local_LTX_vd_plugin;
#define PLUGIN (&pool_local_LTX_vd_plugin)

static struct vd_answer last;
static struct vd_leased_address got;
static unsigned answers;

static void use(const char *yaml)
{
	const struct vd_opt *const schemas[] = { PLUGIN->schema };
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;

	vd_conf_parse_text(yaml, "t.yaml", NULL, schemas, 1, &conf, &errs);
	vd_conf_errors_print(&errs, stderr);
	ck_assert_ptr_nonnull(conf);
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
}

static void setup(void)
{
	fake_init(11);
	fake_watch(&vd_topic_pool_up);
	fake_watch(&vd_topic_pool_down);
}

static void teardown(void)
{
	vd_conf_install(NULL);
	fake_fini();
}

static void done(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	last = *answer;
	if (answer->data)
		got = *(const struct vd_leased_address *)answer->data;
	last.data = NULL;
	answers++;
}

static size_t export_now(uint8_t *room, size_t size)
{
	struct vd_error err;
	struct vd_wr w;

	vd_wr_init(&w, room, size);
	ck_assert_int_eq(vd_state_export(&w, &err), 0);
	return w.len;
}

static const char *text_of(const struct vd_ip *ip)
{
	static char text[VD_IP_TEXT];

	return vd_ip_format(ip, text);
}

/* The address as text, or the verdict and its reason. */
static const char *ask_all(uint64_t session, const char *user, const char *pool, const char *want, int family, int length)
{
	struct vd_lease_address r = { .session = session, .family = (uint8_t)family, .length = (uint8_t)length };
	static const char *const providers[] = { "pool", NULL };
	struct vd_request_opts opts = { .providers = providers };

	strcpy(r.user, user);
	strcpy(r.pool, pool);
	if (want)
		ck_assert(vd_ip_parse(want, &r.want));
	answers = 0;
	ck_assert_uint_ne(vd_request(&vd_topic_lease_address, &r, &opts, done, NULL), 0);
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	return last.verdict == VD_ACCEPT ? text_of(&got.address) : last.why.text;
}

static const char *ask6(uint64_t session, const char *user, const char *pool, const char *want, int family)
{
	return ask_all(session, user, pool, want, family, 0);
}

static const char *ask_net(uint64_t session, const char *user, const char *pool, const char *want)
{
	const char *text = ask_all(session, user, pool, want, 6, 64);

	ck_assert_uint_eq(got.length, last.verdict == VD_ACCEPT ? 64 : got.length);
	return text;
}

static const char *ask(uint64_t session, const char *user, const char *pool, const char *want)
{
	return ask6(session, user, pool, want, 4);
}

static void gone(uint64_t session)
{
	struct vd_session_gone e = { session };

	ck_assert_int_eq(vd_event_post(&vd_topic_session_gone, &e), 0);
	fake_drain();
}

/* Into a fresh plugin and out again: the same octets. The conversation goes on with the fresh one. */
static void move(void)
{
	static uint8_t before[65536], after[65536];
	size_t n = export_now(before, sizeof(before));
	struct vd_error err;
	struct vd_rd r;

	fake_plugin_stop(PLUGIN);
	fake_plugin_start(PLUGIN);
	vd_rd_init(&r, before, n);
	ck_assert_msg(!vd_state_import(&r, VD_IMPORT_SAME, &err), "%s", err.text);
	ck_assert_uint_eq(export_now(after, sizeof(after)), n);
	ck_assert_mem_eq(before, after, n);
}

static const char small[] = "pools:\n"
			    "  small: { range: 10.9.0.254-10.9.1.2, dns: [9.9.9.9, 1.1.1.1], wins: 10.0.0.5, "
			    "search: [a.example, b.example] }\n"
			    "  other: { range: [10.8.0.0/29, \"2001:db8::/112\"], gateway: 10.8.0.3 }\n";

START_TEST(conversation)
{
	const struct vd_pool_up *up;

	use(small);
	fake_plugin_start(PLUGIN);
	ck_assert_uint_eq(fake_events(&vd_topic_pool_up), 3);
	up = fake_last(&vd_topic_pool_up);
	ck_assert_str_eq(up->pool, "other");
	ck_assert_str_eq(text_of(&up->gateway), "2001:db8::1"); /* of its IPv6 range */
	/* .254, never .255 and .0, then .1, .2; the gateway is 10.9.0.1. */
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.254");
	ck_assert_str_eq(text_of(&got.gateway), "10.9.0.1");
	ck_assert_str_eq(text_of(&got.dns[1]), "1.1.1.1");
	ck_assert_uint_eq(got.dns[2].family, 0);
	ck_assert_str_eq(text_of(&got.wins[0]), "10.0.0.5");
	ck_assert_str_eq(got.search, "a.example b.example");
	move();
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.1.1");
	move();
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.1.1"); /* asked again */
	ck_assert_str_eq(ask(3, "carol", "small", NULL), "10.9.1.2");
	ck_assert_str_eq(ask(4, "dave", "small", NULL),
		"pool small is exhausted: 3 of its 3 addresses are in use");
	ck_assert_int_eq(last.why.code, -ENOSPC);
	ck_assert_str_eq(last.why.origin, "t.yaml:2");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	move();
	/* Freed, and remembered for the user who had it, though another comes first. */
	gone(1);
	gone(3);
	move();
	ck_assert_str_eq(ask(5, "carol", "small", NULL), "10.9.1.2");
	gone(5);
	ck_assert_str_eq(ask(6, "alice", "small", NULL), "10.9.0.254");
	gone(6);
	ck_assert_str_eq(ask(7, "dave", "small", NULL), "10.9.0.254");
	ck_assert_str_eq(ask(8, "alice", "small", NULL), "10.9.1.2"); /* hers is taken */
	move();
	gone(99);
	fake_plugin_stop(PLUGIN);
	ck_assert_uint_ge(fake_events(&vd_topic_pool_down), 3);
}
END_TEST

/* One family goes back, the other stays; and the user finds his network again. */
START_TEST(returned)
{
	struct vd_lease_returned e = { 1, 6 };

	use("pools: { both: { range: 10.9.0.0/24, prefix: \"2001:db8:8::/62\" } }\n");
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "alice", "both", NULL), "10.9.0.2");
	ck_assert_str_eq(ask_net(1, "alice", "both", NULL), "2001:db8:8:1::");
	ck_assert_str_eq(ask_net(2, "bob", "both", NULL), "2001:db8:8:2::");
	ck_assert_int_eq(vd_event_post(&vd_topic_lease_returned, &e), 0);
	ck_assert_int_eq(vd_event_post(&vd_topic_lease_returned, &e), 0); /* nothing is left of it */
	fake_drain();
	move();
	ck_assert_str_eq(ask(1, "alice", "both", NULL), "10.9.0.2");
	ck_assert_str_eq(ask_net(3, "carol", "both", NULL), "2001:db8:8:3::");
	ck_assert_str_eq(ask_net(1, "alice", "both", NULL), "2001:db8:8:1::");
	ck_assert_str_eq(ask_net(4, "dave", "both", NULL), "pool both is exhausted: 3 of its 3 networks are in use");
	e = (struct vd_lease_returned){ 1, 4 };
	ck_assert_int_eq(vd_event_post(&vd_topic_lease_returned, &e), 0);
	fake_drain();
	ck_assert_str_eq(ask(5, "alice", "both", NULL), "10.9.0.2");
	ck_assert_str_eq(ask_net(1, "alice", "both", NULL), "2001:db8:8:1::");
	gone(1);
	ck_assert_str_eq(ask_net(4, "dave", "both", NULL), "2001:db8:8:1::");
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(dedicated)
{
	use(small);
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "till", "other", "10.8.0.1"), "10.8.0.1");
	ck_assert_str_eq(ask(2, "eve", "other", "10.8.0.1"), "10.8.0.1 is held by s-1 (till)");
	ck_assert_int_eq(last.verdict, VD_REJECT);
	ck_assert_str_eq(ask(2, "eve", "other", "172.16.5.5"), "172.16.5.5"); /* outside of every range */
	move();
	ck_assert_str_eq(ask(3, "x", "other", NULL), "10.8.0.2");
	ck_assert_str_eq(ask(4, "y", "other", NULL), "10.8.0.4"); /* .3 is the gateway */
	/* From the range of another pool: that one does not give it away a second time. */
	ck_assert_str_eq(ask(5, "z", "other", "10.9.0.254"), "10.9.0.254");
	ck_assert_str_eq(ask(6, "w", "small", NULL), "10.9.1.1");
	move();
	ck_assert_ptr_nonnull(strstr(ask(7, "v", "other", "10.8.0.3"), "cannot be a client's address"));
	ck_assert_ptr_nonnull(strstr(ask(7, "v", "other", "10.8.7.0"), "cannot be a client's address"));
	ck_assert_ptr_nonnull(strstr(ask(7, "v", "other", "10.8.7.255"), "cannot be a client's address"));
	ck_assert_ptr_nonnull(strstr(ask(7, "v", "other", "2001:db8::9"), "another family"));
	gone(1);
	ck_assert_str_eq(ask(8, "eve", "other", "10.8.0.1"), "10.8.0.1");
	ck_assert_ptr_nonnull(strstr(ask(8, "eve", "other", "10.8.0.6"), "has an address already"));
	/* No pool named: the one whose range has it. */
	ck_assert_str_eq(ask(9, "u", "", "10.8.0.5"), "10.8.0.5");
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(not_mine)
{
	use(small);
	fake_plugin_start(PLUGIN);
	ask(1, "a", "unknown", NULL);
	ck_assert_int_ne(last.verdict, VD_ACCEPT);
	ask(1, "a", "", NULL);
	ck_assert_int_ne(last.verdict, VD_ACCEPT);
	ck_assert_str_eq(ask6(1, "a", "small", NULL, 6), "pool small has no IPv6 range");
	ck_assert_str_eq(last.why.origin, "t.yaml:2");
	ck_assert_str_eq(ask6(1, "a", "other", NULL, 6), "2001:db8::2");
	ck_assert_str_eq(ask(1, "a", "other", NULL), "10.8.0.1"); /* both families */
	gone(1);
	ck_assert_str_eq(ask(2, "b", "other", NULL), "10.8.0.2");
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(two_gateways)
{
	use("pools:\n  both: { range: [10.8.0.0/29, \"2001:db8:5::/112\"], gateway: [\"2001:db8:5::3\", 10.8.0.2] }\n"
	    "  usual: { range: [\"2001:db8:6::10-2001:db8:6::20\", 10.6.7.10-10.6.7.20] }\n");
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(text_of(&((const struct vd_pool_up *)fake_last(&vd_topic_pool_up))->gateway), "10.6.7.1");
	ck_assert_str_eq(ask(1, "a", "both", NULL), "10.8.0.1");
	ck_assert_str_eq(text_of(&got.gateway), "10.8.0.2");
	ck_assert_str_eq(ask(2, "b", "both", NULL), "10.8.0.3");
	ck_assert_str_eq(ask6(1, "a", "both", NULL, 6), "2001:db8:5::1");
	ck_assert_str_eq(text_of(&got.gateway), "2001:db8:5::3");
	ck_assert_str_eq(ask6(1, "a", "both", NULL, 6), "2001:db8:5::1"); /* asked again */
	ck_assert_str_eq(text_of(&got.gateway), "2001:db8:5::3");
	ck_assert_str_eq(ask6(2, "b", "both", NULL, 6), "2001:db8:5::2");
	ck_assert_str_eq(ask6(3, "c", "both", NULL, 6), "2001:db8:5::4");
	ck_assert_ptr_nonnull(strstr(ask6(4, "d", "both", "2001:db8:5::3", 6), "cannot be a client's address"));
	ask6(1, "a", "usual", NULL, 6);
	ck_assert_int_eq(last.verdict, VD_REJECT); /* has one of the other pool */
	ck_assert_str_eq(ask6(5, "e", "usual", NULL, 6), "2001:db8:6::10");
	ck_assert_str_eq(text_of(&got.gateway), "2001:db8:6::1");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Each session gets a network of its own, remembered, dedicated, and moved as addresses are. */
START_TEST(networks)
{
	const struct vd_pool_up *up;

	use("pools:\n  p: { range: 10.8.0.10-10.8.0.20, prefix: \"2001:db8:8::/62\", dns: [\"2001:db8::53\"] }\n"
	    "  six: { prefix: \"fd00:1:2::/48\", gateway: \"fd00:ffff::1\" }\n");
	fake_plugin_start(PLUGIN);
	ck_assert_uint_eq(fake_events(&vd_topic_pool_up), 3);
	up = fake_last(&vd_topic_pool_up);
	ck_assert_str_eq(up->pool, "six");
	ck_assert_str_eq(text_of(&up->first), "fd00:1:2::");
	ck_assert_str_eq(text_of(&up->last), "fd00:1:2:ffff:ffff:ffff:ffff:ffff");
	ck_assert_str_eq(ask_net(1, "alice", "p", NULL), "2001:db8:8:1::"); /* the first is ours */
	ck_assert_str_eq(text_of(&got.gateway), "2001:db8:8::1");
	ck_assert_str_eq(text_of(&got.dns[0]), "2001:db8::53");
	ck_assert_str_eq(ask(1, "alice", "p", NULL), "10.8.0.10");
	ck_assert_uint_eq(got.length, 0);
	move();
	ck_assert_str_eq(ask_net(1, "alice", "p", NULL), "2001:db8:8:1::"); /* asked again */
	ck_assert_str_eq(ask_net(2, "bob", "p", "2001:db8:8:3::"), "2001:db8:8:3::");
	move();
	ck_assert_str_eq(ask_net(3, "carol", "p", NULL), "2001:db8:8:2::");
	ck_assert_str_eq(ask_net(4, "dave", "p", NULL), "pool p is exhausted: 3 of its 3 networks are in use");
	ck_assert_int_eq(last.why.code, -ENOSPC);
	ck_assert_ptr_nonnull(strstr(ask_net(4, "dave", "p", "2001:db8:8::"), "the gateway of pool p is in it"));
	ck_assert_ptr_nonnull(strstr(ask_net(4, "dave", "p", "2001:db8:8:3::"), "is held by s-2 (bob)"));
	ck_assert_ptr_nonnull(strstr(ask_net(4, "dave", "p", "2001:db8:8:3::7"), "in place of an address"));
	ck_assert_ptr_nonnull(strstr(ask_all(4, "dave", "p", NULL, 6, 56), "have 64 bits"));
	ck_assert_ptr_nonnull(strstr(ask_all(4, "dave", "p", NULL, 4, 64), "have 64 bits"));
	gone(1);
	gone(3);
	move();
	ck_assert_str_eq(ask_net(5, "carol", "p", NULL), "2001:db8:8:2::");
	ck_assert_str_eq(ask_net(6, "alice", "p", NULL), "2001:db8:8:1::");
	/* Without a range there are no addresses, and the reverse. */
	ck_assert_str_eq(ask(7, "eve", "six", NULL), "pool six has no IPv4 range");
	ck_assert_int_eq(last.why.code, -EAFNOSUPPORT);
	ck_assert_str_eq(ask6(7, "eve", "six", NULL, 6), "pool six has no IPv6 range");
	ck_assert_str_eq(ask_net(7, "eve", "six", NULL), "fd00:1:2::"); /* the gateway is elsewhere */
	ck_assert_str_eq(ask_net(8, "fay", "six", NULL), "fd00:1:2:1::");
	use("pools:\n  p: { range: 10.8.0.10-10.8.0.20 }\n");
	PLUGIN->reload(vd_plugin_find("pool_local")->self);
	fake_drain();
	ck_assert_str_eq(ask_net(9, "gus", "p", NULL), "pool p has no prefix");
	ck_assert_int_eq(last.why.code, -EAFNOSUPPORT);
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Addresses and networks of one pool do not meet. */
START_TEST(addresses_beside_networks)
{
	use("pools:\n  p: { range: \"2001:db8:9::-2001:db8:9::2\", prefix: \"2001:db8:8::/63\", gateway: \"2001:db8:7::1\" }\n");
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask6(1, "a", "p", NULL, 6), "2001:db8:9::1"); /* never the router's anycast address */
	ck_assert_str_eq(ask_net(2, "b", "p", NULL), "2001:db8:8::");
	ck_assert_str_eq(ask6(3, "b", "p", NULL, 6), "2001:db8:9::2"); /* what b had was a network */
	ck_assert_str_eq(ask_net(4, "a", "p", NULL), "2001:db8:8:1::");
	ck_assert_ptr_nonnull(strstr(ask6(5, "c", "p", NULL, 6), "of its 3 addresses are in use"));
	ck_assert_str_eq(ask_net(5, "c", "p", NULL), "pool p is exhausted: 2 of its 2 networks are in use");
	ck_assert_ptr_nonnull(strstr(ask6(6, "d", "p", "2001:db8:9::", 6), "in place of an address"));
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(wrong_prefixes)
{
	static const struct {
		const char *pool, *text;
	} table[] = {
		{ "prefix: 10.8.0.0/16", "pools.p.prefix: 10.8.0.0/16 is not an IPv6 prefix of 16 to 64 bits" },
		{ "prefix: \"2001:db8::/72\"", "is not an IPv6 prefix of 16 to 64 bits" },
		{ "prefix: \"2001:db8::/64\"", "the only network of 64 bits in it has our own address" },
		{ "prefix: [\"2001:db8::/48\", \"2001:db8:0:7::/64\"]", "have addresses in common" },
		{ "range: \"2001:db8::5-2001:db8::9\", prefix: \"2001:db8::/48\"", "have addresses in common" },
		{ "dns: [9.9.9.9]", "pools.p: one to 8 ranges and prefixes are possible" },
	};
	char yaml[256];
	struct vd_error err;
	void *self = NULL;
	size_t i;

	for (i = 0; i < VD_ARRAY_SIZE(table); i++) {
		snprintf(yaml, sizeof(yaml), "pools:\n  p: { %s }\n", table[i].pool);
		use(yaml);
		ck_assert_int_eq(PLUGIN->init(NULL, &self, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, table[i].text) != NULL, "%s", err.text);
	}
}
END_TEST

START_TEST(wrong_gateways)
{
	static const struct {
		const char *gateway, *text;
	} table[] = {
		{ "[10.8.0.1, 10.8.0.2]", "pools.p.gateway: one for IPv4 and one for IPv6 are possible" },
		{ "\"2001:db8::1\"", "pools.p.gateway: the pool has no IPv6 range" },
	};
	char yaml[128];
	struct vd_error err;
	void *self = NULL;
	size_t i;

	for (i = 0; i < VD_ARRAY_SIZE(table); i++) {
		snprintf(yaml, sizeof(yaml), "pools:\n  p: { range: 10.8.0.0/24, gateway: %s }\n", table[i].gateway);
		use(yaml);
		ck_assert_int_eq(PLUGIN->init(NULL, &self, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, table[i].text) != NULL, "%s", err.text);
	}
}
END_TEST

/* A pool larger than memory, and one where all is leased and freed. */
START_TEST(large)
{
	char expected[32];
	uint64_t i;

	use("pools:\n  huge: { range: [\"2001:db8:1::/64\", 10.0.0.0/8] }\n  full: { range: 10.200.0.0/22 }\n");
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask6(1, "a", "huge", NULL, 6), "2001:db8:1::2");
	ck_assert_str_eq(ask(1, "a", "huge", NULL), "10.0.0.2");
	for (i = 0; i < 1016 - 1; i++)
		ck_assert_msg(!strncmp(ask(100 + i, "", "full", NULL), "10.200.", 7), "%s", last.why.text);
	ck_assert_str_eq(ask(5000, "", "full", NULL),
		"pool full is exhausted: 1015 of its 1015 addresses are in use");
	gone(100 + 500);
	snprintf(expected, sizeof(expected), "10.200.%u.%u", 1, 247 + 1);
	ck_assert_str_eq(ask(5000, "", "full", NULL), expected);
	for (i = 0; i < 1016 - 1; i++)
		gone(100 + i);
	gone(5000);
	for (i = 0; i < 1016 - 1; i++)
		ck_assert_int_eq(strncmp(ask(9000 + i, "", "full", NULL), "10.200.", 7), 0);
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Cut off anywhere, or with any octet changed: refused or taken, never worse. */
START_TEST(damaged_state)
{
	struct pools full = { 0 }, fresh = { 0 };
	static uint8_t room[4096];
	struct vd_error err;
	struct vd_ip ip = vd_ip4(0x0a000002);
	struct vd_wr w;
	struct vd_rd r;
	size_t i;

	ck_assert_int_eq(book_init(&full.book), 0);
	ck_assert_int_eq(book_grant(&full.book, 5, "small", "alice", &ip), 0);
	ck_assert_int_eq(book_remember(&full.book, "small", "bob", &ip), 0);
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(pool_layer.export_(&full, &w, &err), 0);
	for (i = 0; i <= w.len; i++) {
		ck_assert_int_eq(book_init(&fresh.book), 0);
		vd_rd_init(&r, room, i);
		ck_assert_int_eq(pool_layer.import(&fresh, 1, &r, VD_IMPORT_SAME, &err), i < w.len ? -EBADMSG : 0);
		book_clear(&fresh.book);
	}
	for (i = 0; i < w.len; i++) {
		ck_assert_int_eq(book_init(&fresh.book), 0);
		room[i] ^= 0x81;
		vd_rd_init(&r, room, w.len);
		pool_layer.import(&fresh, 1, &r, VD_IMPORT_SAME, &err);
		room[i] ^= 0x81;
		book_clear(&fresh.book);
	}
	ck_assert_int_eq(pool_layer.import(&fresh, 2, &r, VD_IMPORT_SAME, &err), -EPROTO);
	book_clear(&full.book);
}
END_TEST

START_TEST(reload)
{
	use(small);
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.254");
	ck_assert_str_eq(ask(2, "bob", "other", NULL), "10.8.0.1");
	fake_events_clear();
	/* small stays, other moves and keeps what it gave, one is new. */
	use("pools:\n  small: { range: 10.9.0.254-10.9.1.2, dns: 8.8.8.8 }\n  other: { range: 10.8.0.0-10.8.0.9 }\n"
	    "  more: { range: 10.7.0.0/24 }\n");
	PLUGIN->reload(vd_plugin_find("pool_local")->self);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_pool_up), 2);
	ck_assert_uint_eq(fake_events(&vd_topic_pool_down), 1); /* one range of other; the other one is bob's way to us */
	ck_assert_str_eq(ask(3, "carol", "small", NULL), "10.9.1.1");
	ck_assert_str_eq(text_of(&got.dns[0]), "8.8.8.8");
	ck_assert_str_eq(ask(4, "dave", "other", NULL), "10.8.0.2");
	ck_assert_ptr_nonnull(strstr(ask(5, "eve", "other", "10.9.0.254"), "held by s-1 (alice)"));
	gone(2);
	ck_assert_uint_eq(fake_events(&vd_topic_pool_down), 1); /* dave's address was in it, too */
	gone(4);
	ck_assert_uint_eq(fake_events(&vd_topic_pool_down), 2);
	/* Gone from the configuration: nothing new, and nothing is forgotten. */
	use("pools:\n  more: { range: 10.9.0.250-10.9.0.254 }\n");
	PLUGIN->reload(vd_plugin_find("pool_local")->self);
	fake_drain();
	ck_assert_ptr_nonnull(strstr(ask(6, "eve", "more", "10.9.0.254"), "held by s-1 (alice)"));
	gone(1);
	ck_assert_str_eq(ask(6, "eve", "more", "10.9.0.254"), "10.9.0.254");
	fake_plugin_stop(PLUGIN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_local");
	TCase *t = tcase_create("leases");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, conversation);
	tcase_add_test(t, returned);
	tcase_add_test(t, dedicated);
	tcase_add_test(t, not_mine);
	tcase_add_test(t, two_gateways);
	tcase_add_test(t, networks);
	tcase_add_test(t, addresses_beside_networks);
	tcase_add_test(t, wrong_prefixes);
	tcase_add_test(t, wrong_gateways);
	tcase_add_test(t, large);
	tcase_add_test(t, damaged_state);
	tcase_add_test(t, reload);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
