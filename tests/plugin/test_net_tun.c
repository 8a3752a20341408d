/* net_tun against doubles of priv/1 and datapath/1 that write down what they are asked; and covering a range. */
#include "plugins/net/tun/cover.h"
#include "tests/lib/fake.h"

#include <viaduct/bytes.h>
#include <viaduct/datapath.h>
#include <viaduct/loop.h>
#include <viaduct/priv.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

extern const struct vd_plugin net_tun_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &net_tun_LTX_vd_plugin, NULL };

static char said[65536];
static int route_fails;

static void say(const char *fmt, ...) VD_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
	size_t len = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + len, sizeof(said) - len, fmt, ap);
	va_end(ap);
}

struct later {
	void (*done)(void *arg, const struct vd_error *err);
	void *arg;
	int code;
};

static void later_run(void *arg)
{
	struct later l = *(struct later *)arg;
	struct vd_error err;

	free(arg);
	if (l.code)
		vd_error_set(&err, l.code, "no");
	l.done(l.arg, l.code ? &err : NULL);
}

static struct later *held[8]; /* answers that the kernel takes its time for */
static unsigned n_held;
static bool hold;

static int later(void (*done)(void *arg, const struct vd_error *err), void *arg, int code)
{
	struct later *l = malloc(sizeof(*l));

	*l = (struct later){ done, arg, code };
	if (!hold)
		return vd_defer(later_run, l);
	ck_assert_uint_lt(n_held, 8);
	held[n_held++] = l;
	return 0;
}

static void release(void)
{
	hold = false;
	for (unsigned i = 0; i < n_held; i++)
		ck_assert_int_eq(vd_defer(later_run, held[i]), 0);
	n_held = 0;
	fake_drain();
}

static struct {
	void (*done)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err);
	void *arg;
} tun_asked;

static int open_tun(void *self, const char *name, unsigned n, unsigned mtu, unsigned txqueuelen,
	void (*done)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err), void *arg)
{
	(void)self;
	ck_assert_uint_ge(txqueuelen, 64);
	say("open_tun %s %u %u;", name, n, mtu);
	tun_asked.done = done;
	tun_asked.arg = arg;
	return 0;
}

static void tun_opens(void)
{
	static const int fds[] = { 1001, 1002 };

	tun_asked.done(tun_asked.arg, fds, 2, "viaduct0", NULL);
	fake_drain();
}

static int address(void *self, bool add, const char *dev, const struct vd_prefix *prefix,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	char text[VD_IP_TEXT];

	(void)self;
	say("%caddr %s %s;", add ? '+' : '-', dev, vd_prefix_format(prefix, text));
	return later(done, arg, 0);
}

static int route(void *self, bool add, const char *dev, const struct vd_prefix *prefix,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	char text[VD_IP_TEXT];

	(void)self;
	say("%croute %s %s;", add ? '+' : '-', dev, vd_prefix_format(prefix, text));
	return later(done, arg, add ? route_fails : 0);
}

static int route_from(void *self, const char *dev, const struct vd_prefix *prefix, const struct vd_ip *source,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	char text[VD_IP_TEXT], from[VD_IP_TEXT];

	(void)self;
	say("+route %s %s from %s;", dev, vd_prefix_format(prefix, text), vd_ip_format(source, from));
	return later(done, arg, route_fails);
}

static int pin(void *self, bool add, const struct vd_ip *host, void (*done)(void *arg, const struct vd_error *err),
	void *arg)
{
	char text[VD_IP_TEXT];

	(void)self;
	say("%cpin %s;", add ? '+' : '-', vd_ip_format(host, text));
	return later(done, arg, 0);
}

static char guarded[4096]; /* unreachable routes */

static int unreachable(void *self, bool add, const struct vd_prefix *prefix,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	size_t len = strlen(guarded);
	char text[VD_IP_TEXT];

	(void)self;
	snprintf(guarded + len, sizeof(guarded) - len, "%c%s;", add ? '+' : '-', vd_prefix_format(prefix, text));
	return later(done, arg, 0);
}

static int refuses; /* routes to 192.0.2.0/24 */

static int in_the_way(void *self, const struct vd_prefix *dst, bool host, struct vd_error *err)
{
	(void)self;
	(void)host;
	return refuses && dst->ip.a[0] == 192 ? vd_error_set(err, refuses, "in the way") : 0;
}

static int set_sysctl(void *self, const char *name, const char *value,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self;
	say("sysctl %s=%s;", name, value);
	return later(done, arg, 0);
}

static const struct vd_priv_1 priv = { .open_tun = open_tun, .address = address, .route = route, .sysctl = set_sysctl,
	.route_from = route_from, .pin = pin, .unreachable = unreachable, .in_the_way = in_the_way };

static unsigned workers(void *self)
{
	(void)self;
	return 2;
}

static int tun_add(void *self, const char *name, const int *fds, unsigned n, unsigned mtu, void (*done)(void *arg),
	void *arg)
{
	(void)self;
	(void)done;
	(void)arg;
	ck_assert_int_eq(fds[0], 1001);
	ck_assert_int_eq(fds[1], 1002);
	say("tun_add %s %u %u;", name, n, mtu);
	return 0;
}

static const struct vd_datapath_1 dp = { .workers = workers, .tun_add = tun_add };

static void setup(void)
{
	fake_init(5);
	fake_service("priv/1", NULL, &priv);
	fake_service("datapath/1", NULL, &dp);
	fake_conf("tun: { name: \"viaduct%d\", mtu: 1380 }\n", plugins, NULL);
	said[0] = guarded[0] = '\0';
	route_fails = refuses = 0;
	fake_plugin_start(&net_tun_LTX_vd_plugin);
}

static void teardown(void)
{
	fake_plugin_stop(&net_tun_LTX_vd_plugin);
	fake_fini();
	fake_conf_fini();
}

static void said_is(const char *want)
{
	fake_drain();
	ck_assert_str_eq(said, want);
	said[0] = '\0';
}

static struct vd_pool_up pool_of(const char *name, const char *range, const char *gateway)
{
	struct vd_pool_up pool = { 0 };

	vd_strcpy(pool.pool, sizeof(pool.pool), name);
	ck_assert(vd_range_parse(range, &pool.first, &pool.last));
	ck_assert(vd_ip_parse(gateway, &pool.gateway));
	return pool;
}

START_TEST(device_and_pools)
{
	struct vd_pool_up a = pool_of("a", "10.8.0.10-10.8.0.15", "10.8.0.1"), b = pool_of("b", "10.9.0.0/24", "10.8.0.1");

	said_is("open_tun viaduct%d 2 1380;");
	vd_event_post(&vd_topic_pool_up, &a); /* before the device is there */
	said_is("");
	tun_opens();
	said_is("tun_add viaduct0 2 1380;sysctl net/ipv4/ip_forward=1;+addr viaduct0 10.8.0.1/32;"
		"+route viaduct0 10.8.0.10/31;+route viaduct0 10.8.0.12/30;");
	vd_event_post(&vd_topic_pool_up, &b);
	said_is("sysctl net/ipv4/ip_forward=1;+addr viaduct0 10.8.0.1/32;+route viaduct0 10.9.0.0/24;");
	vd_event_post(&vd_topic_pool_down, &a); /* the gateway's address is b's, too */
	said_is("-route viaduct0 10.8.0.10/31;-route viaduct0 10.8.0.12/30;");
	vd_event_post(&vd_topic_pool_down, &b);
	said_is("-addr viaduct0 10.8.0.1/32;-route viaduct0 10.9.0.0/24;");
	vd_event_post(&vd_topic_pool_down, &b); /* unknown by now */
	said_is("");
}
END_TEST

START_TEST(pool_v6)
{
	struct vd_pool_up a = pool_of("a", "2001:db8::/64", "2001:db8::1");

	tun_opens();
	said[0] = '\0';
	vd_event_post(&vd_topic_pool_up, &a);
	said_is("sysctl net/ipv6/conf/all/forwarding=1;+addr viaduct0 2001:db8::1/128;+route viaduct0 2001:db8::/64;");
}
END_TEST

static void guarded_is(const char *want)
{
	fake_drain();
	ck_assert_str_eq(guarded, want);
	guarded[0] = '\0';
}

/* Nothing that is meant for clients leaves by another way: not before there is a device, nor when it is gone. */
START_TEST(pools_guarded)
{
	struct vd_pool_up a = pool_of("a", "10.8.0.10-10.8.0.13", "10.8.0.1"), b = pool_of("b", "2001:db8::/64", "2001:db8::1");

	vd_event_post(&vd_topic_pool_up, &a);
	guarded_is("+10.8.0.10/31;+10.8.0.12/31;");
	vd_event_post(&vd_topic_pool_up, &b);
	guarded_is("+2001:db8::/64;");
	vd_event_post(&vd_topic_pool_down, &a);
	guarded_is("-10.8.0.10/31;-10.8.0.12/31;");
}
END_TEST

static enum vd_verdict verdict;
static unsigned answers;

static void on_answer(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	verdict = answer->verdict;
	answers++;
}

static uint64_t ask(uint64_t session, const char *prefix)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST, .session = session };
	struct vd_route_add want = { .session = session };

	ck_assert(vd_prefix_parse(prefix, &want.prefix));
	return vd_request(&vd_topic_route_add, &want, &opts, on_answer, NULL);
}

static uint64_t ask_own(uint64_t session, const char *address)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST, .session = session };
	struct vd_route_add want = { .session = session, .own = true };

	ck_assert(vd_prefix_parse(address, &want.prefix));
	return vd_request(&vd_topic_route_add, &want, &opts, on_answer, NULL);
}

/* An address that an account gives, in no pool: a route of its own while the session is there, and none out of the tunnel
 * before and after. In a pool it needs nothing. */
START_TEST(outside_of_pools)
{
	struct vd_pool_up a = pool_of("a", "10.8.0.0/24", "10.8.0.1"), wide = pool_of("w", "192.0.2.0/24", "10.8.0.1");
	struct vd_address_reserved in = { .user = "alice" }, out = { .user = "bob" };
	struct vd_session_gone gone = { 7 };
	struct vd_address_released released = { .user = "bob" };

	answers = 0;
	ck_assert(vd_ip_parse("10.8.0.11", &in.address) && vd_ip_parse("192.0.2.50", &out.address));
	released.address = out.address;
	vd_event_post(&vd_topic_pool_up, &a);
	guarded_is("+10.8.0.0/24;");
	vd_event_post(&vd_topic_address_reserved, &in);
	guarded_is("");
	vd_event_post(&vd_topic_address_reserved, &out);
	guarded_is("+192.0.2.50/32;");
	tun_opens();
	said[0] = guarded[0] = '\0';
	ck_assert(ask_own(6, "10.8.0.11"));
	said_is("");
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(verdict, VD_ACCEPT);
	ck_assert(ask_own(7, "192.0.2.50"));
	said_is("+route viaduct0 192.0.2.50/32;");
	ck_assert_uint_eq(answers, 2);
	ck_assert_int_eq(verdict, VD_ACCEPT);
	/* Another device. */
	tun_opens();
	ck_assert_ptr_nonnull(strstr(said, "+route viaduct0 192.0.2.50/32;"));
	said[0] = guarded[0] = '\0';
	vd_event_post(&vd_topic_session_gone, &gone);
	said_is("-route viaduct0 192.0.2.50/32;");
	guarded_is(""); /* answers come late */
	vd_event_post(&vd_topic_address_released, &released);
	guarded_is("");
	/* A pool that has it leads there: an unreachable route would be in its way. */
	vd_event_post(&vd_topic_pool_up, &wide);
	guarded_is("+192.0.2.0/24;-192.0.2.50/32;");
	/* It would take away what the host needs. */
	vd_event_post(&vd_topic_pool_down, &wide);
	fake_drain();
	refuses = -EADDRINUSE;
	answers = 0;
	ck_assert(ask_own(8, "192.0.2.51"));
	ck_assert(ask(8, "192.0.2.128/25"));
	fake_drain();
	ck_assert_uint_eq(answers, 2);
	ck_assert_int_eq(verdict, VD_REJECT);
}
END_TEST

/* A pool goes while a session has an address of it: that one keeps a route. */
START_TEST(pool_gone)
{
	struct vd_pool_up a = pool_of("a", "10.8.0.0/24", "10.8.0.1");
	struct vd_session_up up = { .session = 9 };
	struct vd_session_ipv6 six = { .session = 9, .up = true };
	struct vd_session_gone gone = { 9 };

	ck_assert(vd_ip_parse("10.8.0.20", &up.address) && vd_prefix_parse("2001:db8:1::/64", &six.network));
	tun_opens();
	vd_event_post(&vd_topic_pool_up, &a);
	vd_event_post(&vd_topic_session_up, &up);
	fake_drain();
	said[0] = guarded[0] = '\0';
	vd_event_post(&vd_topic_pool_down, &a);
	said_is("+route viaduct0 10.8.0.20/32;-addr viaduct0 10.8.0.1/32;-route viaduct0 10.8.0.0/24;");
	guarded_is("+10.8.0.20/32;-10.8.0.0/24;");
	vd_event_post(&vd_topic_session_ipv6, &six);
	said_is("+route viaduct0 2001:db8:1::/64;");
	guarded_is("+2001:db8:1::/64;");
	six.up = false;
	vd_event_post(&vd_topic_session_ipv6, &six);
	said_is("-route viaduct0 2001:db8:1::/64;");
	vd_event_post(&vd_topic_session_gone, &gone);
	said_is("-route viaduct0 10.8.0.20/32;");
}
END_TEST

static size_t export(uint8_t *room, size_t size)
{
	struct vd_error err = { 0 };
	struct vd_wr w;

	vd_wr_init(&w, room, size);
	ck_assert_msg(vd_state_export(&w, &err) == 0, "%s", err.text);
	return w.len;
}

/* Export, a fresh plugin, import, export again: the same octets. */
static void round_trip(void)
{
	uint8_t before[1024], after[1024];
	size_t len = export(before, sizeof(before));
	struct vd_error err = { 0 };
	struct vd_rd r;

	fake_plugin_stop(&net_tun_LTX_vd_plugin);
	fake_plugin_start(&net_tun_LTX_vd_plugin);
	tun_opens();
	vd_rd_init(&r, before, len);
	ck_assert_msg(vd_state_import(&r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(export(after, sizeof(after)), len);
	ck_assert_mem_eq(after, before, len);
	fake_drain();
	said[0] = '\0';
}

START_TEST(routes)
{
	struct vd_session_gone gone = { 7 };

	tun_opens();
	said[0] = '\0';
	ask(7, "10.77.0.0/24");
	said_is("+route viaduct0 10.77.0.0/24;");
	ck_assert_int_eq(verdict, VD_ACCEPT);
	round_trip();
	ask(7, "2001:db8:77::/48");
	said_is("+route viaduct0 2001:db8:77::/48;");
	round_trip();
	ask(8, "10.77.0.0/24"); /* taken */
	said_is("");
	ck_assert_int_eq(verdict, VD_REJECT);
	ask(8, "10.78.0.0/24");
	said_is("+route viaduct0 10.78.0.0/24;");
	route_fails = -EEXIST;
	ask(8, "10.79.0.0/24");
	said_is("+route viaduct0 10.79.0.0/24;");
	ck_assert_int_eq(verdict, VD_REJECT);
	route_fails = 0;
	ck_assert_uint_eq(answers, 5);
	round_trip();
	vd_event_post(&vd_topic_session_gone, &gone);
	said_is("-route viaduct0 10.77.0.0/24;-route viaduct0 2001:db8:77::/48;");
	round_trip();
	ask(9, "10.77.0.0/24"); /* free again */
	said_is("+route viaduct0 10.77.0.0/24;");
	ck_assert_int_eq(verdict, VD_ACCEPT);
}
END_TEST

START_TEST(no_device)
{
	fake_drain();
	ask(7, "10.77.0.0/24");
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(verdict, VD_UNAVAILABLE);
}
END_TEST

START_TEST(import_hostile)
{
	uint8_t good[1024], bad[1024];
	struct vd_error err;
	struct vd_rd r;
	size_t len;

	tun_opens();
	ask(7, "10.77.0.0/24");
	fake_drain();
	len = export(good, sizeof(good));
	for (size_t cut = 0; cut < len; cut++) {
		int ret;

		vd_rd_init(&r, good, cut);
		ret = vd_state_import(&r, VD_IMPORT_SAME, &err);
		if (cut > len - 18) /* inside our record, which is the last: a count, and one route of IPv4 */
			ck_assert_int_lt(ret, 0);
	}
	for (size_t i = 0; i < len; i++) { /* any octet wrong: refused or taken, but never out of bounds */
		memcpy(bad, good, len);
		bad[i] ^= 0xff;
		vd_rd_init(&r, bad, len);
		vd_state_import(&r, VD_IMPORT_SAME, &err);
	}
}
END_TEST

/* ---- sessions that we dialled ---- */
static uint64_t dialled(uint64_t session, uint32_t address_, uint32_t gateway, const char *one, const char *two)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST, .session = session };
	struct vd_dialled_routes want = { .session = session, .address = vd_ip4(address_), .gateway = vd_ip4(gateway) };

	if (one)
		ck_assert(vd_prefix_parse(one, &want.routes[0]));
	if (two)
		ck_assert(vd_prefix_parse(two, &want.routes[1]));
	return vd_request(&vd_topic_dialled_routes, &want, &opts, on_answer, NULL);
}

static void gone(uint64_t session)
{
	struct vd_session_gone event = { session };

	vd_event_post(&vd_topic_session_gone, &event);
}

START_TEST(dialled_one)
{
	tun_opens();
	said[0] = '\0';
	dialled(7, 0x0a080017, 0xcb007109, "10.40.0.0/16", "10.41.0.0/24");
	said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 10.40.0.0/16 from 10.8.0.23;"
		"+route viaduct0 10.41.0.0/24 from 10.8.0.23;");
	ck_assert_int_eq(verdict, VD_ACCEPT);
	gone(8);
	said_is("");
	gone(7);
	said_is("-route viaduct0 10.40.0.0/16;-route viaduct0 10.41.0.0/24;-addr viaduct0 10.8.0.23/32;");
	gone(7);
	said_is("");
}
END_TEST

/* Whatever leads the gateway into its own tunnel would end both. */
START_TEST(dialled_all)
{
	tun_opens();
	said[0] = '\0';
	dialled(7, 0x0a080017, 0xcb007109, "0.0.0.0/1", "128.0.0.0/1");
	said_is("+addr viaduct0 10.8.0.23/32;+pin 203.0.113.9;+route viaduct0 0.0.0.0/1 from 10.8.0.23;"
		"+route viaduct0 128.0.0.0/1 from 10.8.0.23;");
	dialled(8, 0x0a080018, 0xcb007109, "203.0.113.0/24", NULL);
	said_is("+addr viaduct0 10.8.0.24/32;+route viaduct0 203.0.113.0/24 from 10.8.0.24;");
	gone(7);
	said_is("-route viaduct0 0.0.0.0/1;-route viaduct0 128.0.0.0/1;-addr viaduct0 10.8.0.23/32;");
	gone(8);
	said_is("-route viaduct0 203.0.113.0/24;-pin 203.0.113.9;-addr viaduct0 10.8.0.24/32;");
}
END_TEST

static uint64_t dialled_held_by(uint64_t session, const char *connection, uint32_t gateway, const char *one, const char *two)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST, .session = session };
	struct vd_dialled_routes want = { .session = session, .address = vd_ip4(0x0a080017), .gateway = vd_ip4(gateway), .hold = true };

	vd_strcpy(want.connection, sizeof(want.connection), connection);
	ck_assert(vd_prefix_parse(one, &want.routes[0]));
	if (two)
		ck_assert(vd_prefix_parse(two, &want.routes[1]));
	return vd_request(&vd_topic_dialled_routes, &want, &opts, on_answer, NULL);
}

static void dials(const char *connection, uint32_t one, uint32_t two)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST };
	struct vd_held_way want = { .gateways = { vd_ip4(one) } };

	if (two)
		want.gateways[1] = vd_ip4(two);
	vd_strcpy(want.connection, sizeof(want.connection), connection);
	verdict = VD_PENDING;
	vd_request(&vd_topic_held_way, &want, &opts, on_answer, NULL);
}

static void wanted_no_more(const char *connection)
{
	struct vd_routes_free event = { { 0 } };

	vd_strcpy(event.connection, sizeof(event.connection), connection);
	vd_event_post(&vd_topic_routes_free, &event);
}

/* While it is dialled again its routes lead nowhere, and the gateway stays reachable, also where its name has another address. */
START_TEST(dialled_held)
{
	tun_opens();
	said[0] = guarded[0] = '\0';
	dialled_held_by(7, "office", 0xcb007109, "0.0.0.0/1", "128.0.0.0/1");
	said_is("+addr viaduct0 10.8.0.23/32;+pin 203.0.113.9;+route viaduct0 0.0.0.0/1 from 10.8.0.23;"
		"+route viaduct0 128.0.0.0/1 from 10.8.0.23;");
	guarded_is("+0.0.0.0/1;+128.0.0.0/1;");
	gone(7);
	said_is("-route viaduct0 0.0.0.0/1;-route viaduct0 128.0.0.0/1;-addr viaduct0 10.8.0.23/32;");
	guarded_is("");
	dials("office", 0xcb007109, 0xcb00710a);
	said_is("+pin 203.0.113.9;+pin 203.0.113.10;");
	ck_assert_int_eq(verdict, VD_ACCEPT);
	dialled_held_by(8, "office", 0xcb00710a, "0.0.0.0/1", "128.0.0.0/1"); /* pinned already; the other one is not needed */
	said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 0.0.0.0/1 from 10.8.0.23;"
		"+route viaduct0 128.0.0.0/1 from 10.8.0.23;-pin 203.0.113.9;");
	guarded_is("");
	/* Another connection, with one route of the same and one more. */
	dialled_held_by(9, "branch", 0xcb00710b, "0.0.0.0/1", "10.0.0.0/8");
	guarded_is("+10.0.0.0/8;");
	gone(8);
	wanted_no_more("nobody");
	wanted_no_more("office");
	fake_drain();
	guarded_is("-128.0.0.0/1;"); /* the other one holds the first half */
	gone(9);
	wanted_no_more("branch");
	fake_drain();
	guarded_is("-0.0.0.0/1;-10.0.0.0/8;");
	said[0] = '\0';
	dials("branch", 0xcb00710b, 0); /* nothing is held: at once, and nothing is asked for */
	said_is("");
	ck_assert_int_eq(verdict, VD_ACCEPT);
	/* Routes that cannot be set hold nothing. */
	route_fails = -EEXIST;
	dialled_held_by(11, "third", 0xcb007109, "10.50.0.0/16", NULL);
	fake_drain();
	route_fails = 0;
	ck_assert_int_eq(verdict, VD_REJECT);
	guarded_is("");
	said[0] = '\0';
	/* Some networks, which the gateway is not in; what is held at the end goes with the plugin. */
	dialled_held_by(10, "office", 0xcb007109, "10.40.0.0/16", NULL);
	said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 10.40.0.0/16 from 10.8.0.23;"); /* the gateway is not in it */
	guarded_is("+10.40.0.0/16;");
	gone(10);
	said_is("-route viaduct0 10.40.0.0/16;-addr viaduct0 10.8.0.23/32;");
	dials("office", 0xcb007109, 0);
	said_is("");
}
END_TEST

/* Several gateways with one network behind them. */
START_TEST(dialled_share)
{
	tun_opens();
	said[0] = '\0';
	for (unsigned i = 0; i < 3; i++)
		dialled(7 + i, 0x0a080017 + i, 0xcb007109, "10.40.0.0/16", NULL);
	said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 10.40.0.0/16 from 10.8.0.23;+addr viaduct0 10.8.0.24/32;"
		"+addr viaduct0 10.8.0.25/32;");
	gone(8); /* has it not */
	said_is("-addr viaduct0 10.8.0.24/32;");
	gone(7); /* hands it on */
	said_is("-route viaduct0 10.40.0.0/16;+route viaduct0 10.40.0.0/16 from 10.8.0.25;-addr viaduct0 10.8.0.23/32;");
	gone(9);
	said_is("-route viaduct0 10.40.0.0/16;-addr viaduct0 10.8.0.25/32;");
}
END_TEST

START_TEST(dialled_fails)
{
	fake_drain();
	dialled(7, 0x0a080017, 0xcb007109, "10.40.0.0/16", NULL); /* no device yet */
	fake_drain();
	ck_assert_int_eq(verdict, VD_UNAVAILABLE);
	tun_opens();
	said[0] = '\0';
	route_fails = -EEXIST;
	dialled(8, 0x0a080017, 0xcb007109, "0.0.0.0/1", "10.40.0.0/16");
	said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 0.0.0.0/1 from 10.8.0.23;"
		"+route viaduct0 10.40.0.0/16 from 10.8.0.23;-route viaduct0 0.0.0.0/1;-route viaduct0 10.40.0.0/16;"
		"-addr viaduct0 10.8.0.23/32;");
	ck_assert_int_eq(verdict, VD_REJECT);
	route_fails = 0;
	/* The session ends before the host has answered. */
	for (unsigned cancelled = 0; cancelled < 2; cancelled++) {
		hold = true;
		uint64_t request = dialled(9, 0x0a080017, 0xcb007109, "10.40.0.0/16", NULL);
		said_is("+addr viaduct0 10.8.0.23/32;+route viaduct0 10.40.0.0/16 from 10.8.0.23;");
		if (cancelled)
			vd_request_cancel(request);
		gone(9);
		said_is("");
		release();
		said_is("-route viaduct0 10.40.0.0/16;-addr viaduct0 10.8.0.23/32;");
	}
	/* The daemon ends first: what lies on another device is taken back all the same. */
	dialled(10, 0x0a080017, 0xcb007109, "128.0.0.0/1", NULL);
	fake_drain();
	said[0] = '\0';
	fake_plugin_stop(&net_tun_LTX_vd_plugin);
	said_is("-pin 203.0.113.9;");
	fake_plugin_start(&net_tun_LTX_vd_plugin);
}
END_TEST

/* Ranges and the only right answers. */
static const struct { const char *range, *want; } covers[] = {
	{ "10.0.0.0/8", "10.0.0.0/8 " },
	{ "10.8.0.1-10.8.0.1", "10.8.0.1/32 " },
	{ "10.8.0.1-10.8.0.2", "10.8.0.1/32 10.8.0.2/32 " },
	{ "10.8.0.1-10.8.0.6", "10.8.0.1/32 10.8.0.2/31 10.8.0.4/31 10.8.0.6/32 " },
	{ "0.0.0.0-255.255.255.255", "0.0.0.0/0 " },
	{ "255.255.255.254-255.255.255.255", "255.255.255.254/31 " },
	{ "10.8.0.255-10.8.1.0", "10.8.0.255/32 10.8.1.0/32 " },
	{ "2001:db8::1-2001:db8::4", "2001:db8::1/128 2001:db8::2/127 2001:db8::4/128 " },
	{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0 " },
};

START_TEST(cover)
{
	struct vd_prefix out[TUN_COVER_MAX];
	struct vd_ip first, last;
	char text[VD_IP_TEXT], all[1024] = "";
	size_t n;

	ck_assert(vd_range_parse(covers[_i].range, &first, &last));
	n = tun_cover(&first, &last, out);
	for (size_t i = 0; i < n; i++) {
		vd_prefix_format(&out[i], text);
		strcat(all, text);
		if (!strchr(text, '/')) /* a host may be written without its length */
			strcat(all, first.family == AF_INET ? "/32" : "/128");
		strcat(all, " ");
	}
	ck_assert_str_eq(all, covers[_i].want);
}
END_TEST

START_TEST(cover_worst)
{
	struct vd_prefix out[TUN_COVER_MAX];
	struct vd_ip first, last;

	ck_assert(vd_ip_parse("::1", &first) && vd_ip_parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &last));
	ck_assert_uint_eq(tun_cover(&first, &last, out), 254);
	ck_assert_uint_eq(tun_cover(&last, &first, out), 0);
	first = vd_ip4(1);
	ck_assert_uint_eq(tun_cover(&first, &last, out), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_tun");
	TCase *tc = tcase_create("plugin"), *pure = tcase_create("cover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, device_and_pools);
	tcase_add_test(tc, pool_v6);
	tcase_add_test(tc, pools_guarded);
	tcase_add_test(tc, outside_of_pools);
	tcase_add_test(tc, pool_gone);
	tcase_add_test(tc, routes);
	tcase_add_test(tc, no_device);
	tcase_add_test(tc, import_hostile);
	tcase_add_test(tc, dialled_one);
	tcase_add_test(tc, dialled_all);
	tcase_add_test(tc, dialled_held);
	tcase_add_test(tc, dialled_share);
	tcase_add_test(tc, dialled_fails);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(pure, cover, 0, VD_ARRAY_SIZE(covers));
	tcase_add_test(pure, cover_worst);
	suite_add_tcase(suite, pure);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
