/* net_nat with the core's own priv/1 and real nftables, in a network namespace of the test's own. Skipped without
 * root. */
#include <config.h>

#include "core/plugin.h"
#include "plugins/net/nat/nat.h"
#include "core/system/priv.h"
#include "tests/lib/fake.h"

#include <viaduct/topics.h>

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct vd_plugin net_nat_LTX_vd_plugin;

/* The sections that other plugins own: connections refer to pools, and rules to the device. */
static const struct vd_opt pool_schema[] = {
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "A pool." },
	{ "pools.*.range", VD_T_RANGE, 0, NULL, NULL, "Its addresses." },
	{ "tun.name", VD_T_STRING, 0, "viaduct%d", "15", "The device, of the TUN plugin." },
	{ NULL },
};
static const struct vd_plugin pools = { .name = "test_pools", .schema = pool_schema };
static const struct vd_plugin *const plugins[] = { &net_nat_LTX_vd_plugin, &pools, NULL };

#define CONF(a, b) \
	"pools:\n  pa: { range: 10.9.0.2-10.9.0.250 }\n  pb: { range: 10.8.0.0/24 }\n  pc: { range: \"2001:db8:9::/64\" }\n" \
	"connections:\n" \
	"  a: { accept: [l2tp], pool: pa, reach: all, egress: " a " }\n" \
	"  b: { accept: [l2tp], pool: pb, reach: all }\n" \
	"  c: { accept: [l2tp], pool: pc, reach: all, egress: " b " }\n"

static char dir[] = "/tmp/viaduct-test-nat-XXXXXX";
static char listing[8192];

static const char *output(const char *command)
{
	FILE *f = popen(command, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(listing, 1, sizeof(listing) - 1, f);
	listing[n] = '\0';
	pclose(f);
	return listing;
}

static void rules(const char *want, bool there)
{
	fake_drain();
	output("nft -p list ruleset"); /* numbers of protocols: not every host has names for them */
	ck_assert_msg((strstr(listing, want) != NULL) == there, "%s \"%s\" in:\n%s", there ? "no" : "unexpected", want, listing);
}

static void pool(const struct vd_topic *topic, const char *name, const char *range)
{
	struct vd_pool_up facts = { 0 };

	vd_strcpy(facts.pool, sizeof(facts.pool), name);
	ck_assert(vd_range_parse(range, &facts.first, &facts.last));
	facts.gateway = facts.first;
	ck_assert_int_eq(vd_event_post(topic, &facts), 0);
}

static void setup(void)
{
	fake_init(6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(vd_priv_init(dir), 0);
	ck_assert_int_eq(system("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"), 0);
	fake_conf(CONF("masquerade", "none"), plugins, NULL);
}

static void teardown(void)
{
	vd_priv_fini();
	fake_fini();
	fake_conf_fini();
	ck_assert_int_eq(rmdir(dir), 0); /* nothing is written there */
}

START_TEST(life)
{
	/* What a crashed run left, and what belongs to somebody else. */
	ck_assert_int_eq(system("nft add table inet viaduct; nft add chain inet viaduct stale; nft add table inet theirs"), 0);
	fake_plugin_start(&net_nat_LTX_vd_plugin);
	rules("stale", false);
	rules("table inet viaduct", false);

	pool(&vd_topic_pool_up, "pb", "10.8.0.0/24"); /* not masqueraded: nothing to do */
	rules("table inet viaduct", false);
	ck_assert_str_eq(output("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
	pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
	rules("ip saddr 10.9.0.2-10.9.0.250 masquerade", true);
	rules("ip daddr 10.9.0.2-10.9.0.250 return", true);
	rules("ip daddr 10.8.0.0", true); /* clients of one pool reach those of another with their own address */
	rules("ip saddr 10.8.0.0", false);
	rules("hook postrouting", true);
	ck_assert_str_eq(output("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
	ck_assert_str_eq(output("cat /proc/sys/net/ipv6/conf/all/forwarding"), "0\n");

	/* Reload: the other connection is masqueraded now, and IPv6 with it. */
	pool(&vd_topic_pool_up, "pc", "2001:db8:9::/64");
	fake_drain();
	fake_conf(CONF("none", "masquerade"), plugins, NULL);
	net_nat_LTX_vd_plugin.reload(vd_plugin_find("net_nat")->self);
	rules("10.9.0.2-10.9.0.250 masquerade", false);
	rules("ip6 saddr 2001:db8:9::", true);
	ck_assert_str_eq(output("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");

	pool(&vd_topic_pool_down, "pc", "2001:db8:9::/64");
	rules("masquerade", false);
	rules("table inet viaduct", false);
	pool(&vd_topic_pool_up, "pc", "2001:db8:9::/64");
	rules("masquerade", true);
	fake_plugin_stop(&net_nat_LTX_vd_plugin);
	rules("inet viaduct", false);
	rules("table inet theirs", true);
	/* Forwarding stays on: by now somebody else may need it. */
	vd_priv_end();
	ck_assert_str_eq(output("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
	ck_assert_str_eq(output("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1\n");
}
END_TEST

/* A prefix that is routed to us goes out as it is, where the addresses do not; and a prefix alone may be masqueraded. */
START_TEST(another_way_for_v6)
{
	static const char *const ways[][2] = { { "masquerade", "none" }, { "none", "masquerade" } };
	char yaml[256];

	for (size_t i = 0; i < VD_ARRAY_SIZE(ways); i++) {
		snprintf(yaml, sizeof(yaml), "pools: { pa: {} }\nconnections:\n  a: { pool: pa, reach: all, egress: %s, egress6: %s }\n", ways[i][0], ways[i][1]);
		fake_conf(yaml, plugins, NULL);
		fake_plugin_start(&net_nat_LTX_vd_plugin);
		pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
		pool(&vd_topic_pool_up, "pa", "2001:db8:8::/48");
		rules("ip saddr 10.9.0.2-10.9.0.250 masquerade", i == 0);
		rules("ip6 saddr 2001:db8:8::", i == 1);
		rules("ip6 daddr 2001:db8:8::", true);
		fake_plugin_stop(&net_nat_LTX_vd_plugin);
	}
}
END_TEST

/* Two connections, IPv4 and IPv6, with and without another name of the device: nothing is left. */
START_TEST(everything_goes)
{
	static const char *const confs[] = {
		CONF("masquerade", "masquerade"),
		CONF("masquerade", "masquerade") "tun: { name: gate0 }\n",
		CONF("masquerade", "masquerade") "tun: { name: 'a\"b' }\n",
	};
	static const char *const device[] = { "oifname \"viaduct*\" return", "oifname \"gate0\" return", NULL };

	for (size_t i = 0; i < VD_ARRAY_SIZE(confs); i++) {
		fake_conf(confs[i], plugins, NULL);
		fake_plugin_start(&net_nat_LTX_vd_plugin);
		pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
		pool(&vd_topic_pool_up, "pb", "10.8.0.0/24");
		pool(&vd_topic_pool_up, "pc", "2001:db8:9::/64");
		rules("ip saddr 10.9.0.2-10.9.0.250 masquerade", true);
		rules("ip6 saddr 2001:db8:9::", true);
		rules("oifname", device[i] != NULL);
		if (device[i]) { /* before what is masqueraded */
			rules(device[i], true);
			ck_assert(strstr(listing, device[i]) < strstr(listing, "masquerade"));
		}
		net_nat_LTX_vd_plugin.reload(vd_plugin_find("net_nat")->self);
		rules("ip saddr 10.9.0.2-10.9.0.250 masquerade", true);
		fake_plugin_stop(&net_nat_LTX_vd_plugin);
		ck_assert_str_eq(output("nft list ruleset"), "");
	}
}
END_TEST

#define REACH(a, b) \
	"pools:\n  pa: { range: 10.9.0.2-10.9.0.250 }\n  pb: { range: 10.8.0.0/24 }\nconnections:\n" \
	"  a: { accept: [l2tp], pool: pa, reach: " a " }\n  b: { accept: [l2tp], pool: pa, reach: " b " }\n"

/* What connections reach. Where two share a pool, both must allow it. */
START_TEST(reach)
{
	struct vd_session_up up = { .session = 5, .connection = "b" };
	struct vd_session_gone gone = { 5 };

	fake_conf(REACH("[internet, dns]", "[10.1.0.0/16, 10.2.0.1, host]"), plugins, NULL);
	fake_plugin_start(&net_nat_LTX_vd_plugin);
	rules("table inet viaduct", false);
	pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
	rules("ip saddr 10.9.0.2-10.9.0.250 goto from0", true);
	rules("jump from_a\n\t\tjump from_b\n\t\taccept", true);
	rules("jump host_a\n\t\tjump host_b\n\t\taccept", true);
	rules("ip daddr @clients4 drop", true);
	rules("ip daddr 169.254.0.0/16 drop", true);
	rules("ip daddr 10.1.0.0/16 return", true);
	rules("ip daddr 10.2.0.1 return", true);
	/* An address of an account, in no pool: what the connection of its session says. */
	ck_assert(vd_ip_parse("192.0.2.50", &up.address));
	vd_event_post(&vd_topic_session_up, &up);
	rules("ip saddr 192.0.2.50 goto from", true);
	rules("192.0.2.50", true);
	vd_event_post(&vd_topic_session_gone, &gone);
	rules("192.0.2.50", false);
	/* A pool that an account names, and no connection: nothing for the pool, and for the session what its connection says. */
	pool(&vd_topic_pool_up, "pb", "10.8.0.0/24");
	rules("chain from0 {\n\t\tdrop", true);
	ck_assert(vd_ip_parse("10.8.0.5", &up.address));
	vd_event_post(&vd_topic_session_up, &up);
	rules("chain from0 {\n\t\tjump from_b\n\t\taccept", true);
	rules("chain from1 {\n\t\tdrop", true);
	rules("ip saddr 10.8.0.5 goto from0", true);
	rules("ip saddr 10.8.0.0-10.8.0.255 goto from1", true);
	vd_event_post(&vd_topic_session_gone, &gone);
	rules("10.8.0.5", false);
	/* Without any limit there is no chain that looks at connections. */
	fake_conf(REACH("all", "all"), plugins, NULL);
	net_nat_LTX_vd_plugin.reload(vd_plugin_find("net_nat")->self);
	rules("ct state", false);
	/* The default: everything but services of the host. */
	fake_conf("pools: { pa: {} }\nconnections: { a: { pool: pa } }\n", plugins, NULL);
	net_nat_LTX_vd_plugin.reload(vd_plugin_find("net_nat")->self);
	rules("chain host_a {\n\t\tmeta l4proto { 6, 17 } th dport 53 return\n\t\tdrop", true);
	rules("ip daddr @clients4 return", true);
	rules("169.254.0.0/16 drop", true);
	fake_plugin_stop(&net_nat_LTX_vd_plugin);
	rules("table inet viaduct", false);
}
END_TEST

/* A login with an address in another connection's pool changes nothing for the other clients of that pool; a wide network behind a
 * user takes nothing from pools in it, and is not masqueraded. */
START_TEST(one_for_itself)
{
	struct nat_source site = { .session = 1, .connections = { "c" }, .n_connections = 1, .n_prefixes = 2, .behind = { true, true } };
	struct nat_source guest = { .next = &site, .session = 2, .connections = { "b" }, .n_connections = 1, .n_prefixes = 1 };
	struct nat_source staff = { .next = &guest, .connections = { "a" }, .n_connections = 1 };
	struct nat n = { .sources = &staff };
	struct vd_session_up up = { .session = 5, .connection = "b" };
	char *text, *in, *whole, *narrow, *wide;
	bool any;

	fake_conf("pools: { pa: {}, pb: {}, pc: {} }\nconnections:\n  a: { pool: pa, reach: [internet] }\n"
		"  b: { pool: pb, egress: masquerade, reach: [dns] }\n  c: { pool: pc, egress: masquerade, reach: [host] }\n", plugins, NULL);
	vd_strcpy(staff.pool.pool, sizeof(staff.pool.pool), "pa");
	ck_assert(vd_range_parse("10.9.0.2-10.9.0.250", &staff.pool.first, &staff.pool.last));
	ck_assert(vd_prefix_parse("10.0.0.0/8", &site.prefixes[0]));
	ck_assert(vd_prefix_parse("10.9.0.0/24", &site.prefixes[1])); /* wider than the pool */
	ck_assert(vd_prefix_parse("10.9.0.7/32", &guest.prefixes[0]));
	text = nat_rules(&n, "inet viaduct", &any);
	ck_assert_ptr_nonnull(text);
	in = strstr(text, "ip saddr 10.9.0.7/32 goto from");
	whole = strstr(text, "ip saddr 10.9.0.2-10.9.0.250 goto from");
	narrow = strstr(text, "ip saddr 10.9.0.0/24 goto from");
	wide = strstr(text, "ip saddr 10.0.0.0/8 goto from");
	ck_assert_msg(in && whole && narrow && wide && in < whole && whole < narrow && narrow < wide, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "ip saddr 10.9.0.7/32 masquerade"));
	ck_assert_ptr_null(strstr(text, "10.0.0.0/8 masquerade"));
	ck_assert_ptr_null(strstr(text, "10.9.0.2-10.9.0.250 masquerade"));
	free(text);

	fake_plugin_start(&net_nat_LTX_vd_plugin);
	pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
	ck_assert(vd_ip_parse("10.9.0.9", &up.address));
	vd_event_post(&vd_topic_session_up, &up);
	rules("ip saddr 10.9.0.9 goto from0", true);
	rules("chain from1 {\n\t\tjump from_a\n\t\taccept", true); /* of the pool, as before */
	rules("10.9.0.2-10.9.0.250 masquerade", false);
	rules("ip saddr 10.9.0.9 masquerade", true);
	fake_plugin_stop(&net_nat_LTX_vd_plugin);
}
END_TEST

/* Forwarding was off: the interfaces that the host had then stay apart. It was on: that is not ours to change. */
START_TEST(others)
{
	ck_assert_int_eq(system("ip link add o1 type veth peer name o2"), 0);
	fake_plugin_start(&net_nat_LTX_vd_plugin);
	pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
	rules("meta nfproto ipv4 iifname { \"o1\", \"o2\" } oifname { \"o1\", \"o2\" } drop", true);
	fake_plugin_stop(&net_nat_LTX_vd_plugin);
	ck_assert_int_eq(system("sysctl -qw net.ipv4.ip_forward=1"), 0);
	fake_plugin_start(&net_nat_LTX_vd_plugin);
	pool(&vd_topic_pool_up, "pa", "10.9.0.2-10.9.0.250");
	rules("meta nfproto ipv4 iifname", false);
	rules("masquerade", true);
	fake_plugin_stop(&net_nat_LTX_vd_plugin);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_nat");
	TCase *tc = tcase_create("namespace");
	SRunner *runner;
	int failed;

	if (geteuid() != 0 || system("nft --version >/dev/null 2>&1") != 0) {
		puts("skipped: needs root for a network namespace of its own, and the nft command");
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, life);
	tcase_add_test(tc, one_for_itself);
	tcase_add_test(tc, another_way_for_v6);
	tcase_add_test(tc, everything_goes);
	tcase_add_test(tc, reach);
	tcase_add_test(tc, others);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
