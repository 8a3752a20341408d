/* IPv6 inside the tunnel: what a client hears of its router, what it may send, and what it may not. */
#include "plugins/net/ra/message.h"
#include "tests/scenario/six.h"

#include <viaduct/session.h>

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 }, all_routers[16] = { 0xff, 2, [15] = 2 }, none[16];
static const uint8_t mine[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 1, [15] = 0x77 };
static const uint8_t far[16] = { 0x20, 1, 0xd, 0xb8, 0xff, 0xff, [15] = 9 };

/* An ICMPv6 packet of that type, with what every one has. */
static const uint8_t *icmp(const struct robot_packet *a, uint8_t type, const uint8_t *src, const uint8_t *dst, uint8_t hops)
{
	const uint8_t *p = a->p;
	uint32_t pseudo = 58 + (uint32_t)a->len - 40;

	ck_assert_uint_ge(a->len, 44);
	ck_assert_uint_eq(p[0], 0x60);
	ck_assert_uint_eq((unsigned)(p[4] << 8 | p[5]), a->len - 40);
	ck_assert_uint_eq(p[6], 58);
	ck_assert_uint_eq(p[7], hops);
	ck_assert_mem_eq(p + 8, src, 16);
	ck_assert_mem_eq(p + 24, dst, 16);
	for (unsigned i = 8; i < 40; i += 2)
		pseudo += (uint32_t)(p[i] << 8 | p[i + 1]);
	ck_assert_uint_eq(internet(p + 40, a->len - 40, pseudo), 0);
	ck_assert_uint_eq(p[40], type);
	ck_assert_uint_eq(p[41], 0);
	return p + 40;
}

static const uint8_t *advert(unsigned back, const uint8_t *to)
{
	return icmp(heard(back), 134, gateway, to, 255);
}

/* The nth option of that type of an advertisement; NULL: there are not so many. */
static const uint8_t *option(const struct robot_packet *a, uint8_t type, unsigned nth)
{
	for (size_t at = 40 + 16; at < a->len; at += a->p[at + 1] * 8u) {
		ck_assert_uint_ne(a->p[at + 1], 0);
		ck_assert_uint_le(at + a->p[at + 1] * 8u, a->len);
		if (a->p[at] == type && nth-- == 0)
			return a->p + at;
	}
	return NULL;
}

static const uint8_t solicit[8] = { 133 };

START_TEST(test_advertised)
{
	const struct vd_session_up *up;
	const struct robot_packet *a;
	const uint8_t *p;

	begin(PREFIX, "");
	up = fake_last(&vd_topic_session_up);
	ck_assert_uint_eq(vd_session_find(up->session)->lease6.length, 64);
	ck_assert_uint_eq(r.n_packets6, 1); /* unasked, as soon as the link carries it */
	p = advert(0, all_nodes);
	a = heard(0);
	ck_assert_uint_eq(p[4], 64);
	ck_assert_uint_eq(p[5], 0x40); /* other, not managed */
	ck_assert_uint_eq((unsigned)(p[6] << 8 | p[7]), 1800);
	ck_assert_mem_eq(p + 8, none, 8);
	ck_assert_mem_eq(option(a, 3, 0), "\x03\x04\x40\x40\x00\x01\x51\x80\x00\x00\x38\x40\0\0\0\0" "\x20\x01\x0d\xb8\0\x08\0\x01\0\0\0\0\0\0\0\0", 32);
	ck_assert_mem_eq(option(a, 5, 0), "\x05\x01\0\0\0\0", 6);
	ck_assert_uint_eq((unsigned)(option(a, 5, 0)[6] << 8 | option(a, 5, 0)[7]), up->mtu);
	ck_assert_mem_eq(option(a, 25, 0), "\x19\x05\0\0\0\0\x07\x08" "\x20\x01\x0d\xb8\0\x53\0\0\0\0\0\0\0\0\0\1"
		"\x20\x01\x0d\xb8\0\x53\0\0\0\0\0\0\0\0\0\2", 40);
	ck_assert_mem_eq(option(a, 31, 0), "\x1f\x05\0\0\0\0\x07\x08" "\4corp\7example\3com\0\7example\3com\0\0", 40);
	ck_assert_ptr_null(option(a, 24, 0));
	/* RFC 4861 section 6.2.4: three within 32 s, then at most 10 minutes apart, at least a third of that. */
	wire_wait(32100);
	ck_assert_uint_eq(r.n_packets6, 3);
	for (unsigned i = 0; i < 10; i++)
		wire_wait(60000);
	ck_assert_uint_ge(r.n_packets6, 4);
	ck_assert_uint_le(r.n_packets6, 6);
	ck_assert_uint_eq(wire.n_tun, 0);
	finish();
}
END_TEST

START_TEST(test_solicited)
{
	static const uint8_t lladdr[16] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7 };
	unsigned n;

	begin(PREFIX, "ra: { managed: true, other: false, interval: 4s, lifetime: 90s }, ");
	/* The answer goes to who asked. */
	say(58, 255, me, all_routers, solicit, sizeof(solicit));
	ck_assert_uint_eq(r.n_packets6, 2);
	ck_assert_uint_eq(advert(0, me)[5], 0x80);
	ck_assert_uint_eq(advert(0, me)[7], 90);
	say(58, 255, me, all_routers, solicit, sizeof(solicit)); /* again at once: no */
	ck_assert_uint_eq(r.n_packets6, 2);
	wire_wait(600);
	say(58, 255, me, gateway, lladdr, sizeof(lladdr));
	advert(0, me);
	/* From no address: to all, 3 s after the last one to all at the earliest, and no second one for a second asking. */
	wire_wait(40000);
	n = r.n_packets6;
	while (r.n_packets6 == n)
		wire_wait(100); /* one unasked, now */
	n = r.n_packets6;
	say(58, 255, none, all_routers, solicit, sizeof(solicit));
	say(58, 255, none, all_routers, solicit, sizeof(solicit));
	ck_assert_uint_eq(r.n_packets6, n);
	wire_wait(3000);
	ck_assert_uint_eq(r.n_packets6, n + 1);
	advert(0, all_nodes);
	finish();
}
END_TEST

/* RFC 4861 section 6.1.1: not from afar, of that code, as long as it says, with a source when there is an address of it. */
START_TEST(test_not_answered)
{
	static const uint8_t code[8] = { 133, 1 }, zero[10] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 0 },
		lladdr[16] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7 }, group[24] = { 135, [8] = 0xff, 2 };
	uint8_t p[1600];
	size_t len;
	unsigned n;

	begin(PREFIX, "");
	wire_wait(40000);
	n = r.n_packets6;
	say(58, 254, me, all_routers, solicit, sizeof(solicit));
	say(58, 255, me, all_routers, code, sizeof(code));
	say(58, 255, me, all_routers, zero, sizeof(zero));
	say(58, 255, me, all_routers, solicit, 7);
	say(58, 255, none, all_routers, lladdr, sizeof(lladdr));
	say(58, 255, me, gateway, group, sizeof(group));
	say(58, 255, me, gateway, (const uint8_t[20]){ 135 }, 20);
	len = packet(p, 58, 255, me, all_routers, solicit, sizeof(solicit));
	p[43] ^= 1;
	robot_ip6(&r, p, len);
	wire_pump();
	ck_assert_uint_eq(r.n_packets6, n);
	ck_assert_uint_eq(wire.n_tun, 0);
	finish();
}
END_TEST

/* Are you there? Is this address free? */
START_TEST(test_neighbors)
{
	uint8_t ns[24] = { 135 }, ping[20] = { 128, 0, 0, 0, 1, 2, 0, 3, 'h', 'e', 'l', 'l', 'o' };
	const uint8_t *p;
	unsigned n;

	begin(PREFIX, "");
	memcpy(ns + 8, gateway, 16);
	say(58, 255, me, gateway, ns, sizeof(ns));
	p = icmp(heard(0), 136, gateway, me, 255);
	ck_assert_uint_eq(p[4], 0xc0); /* a router, solicited */
	ck_assert_mem_eq(p + 8, gateway, 16);
	ck_assert_uint_eq(heard(0)->len, 40 + 24);
	say(58, 255, none, (const uint8_t[16]){ 0xff, 2, [11] = 1, 0xff, 0, 0, 1 }, ns, sizeof(ns));
	ck_assert_uint_eq(icmp(heard(0), 136, gateway, all_nodes, 255)[4], 0x80);
	n = r.n_packets6;
	memcpy(ns + 8, me, 16);
	say(58, 255, none, (const uint8_t[16]){ 0xff, 2, [11] = 1, 0xff, 12, 0, 13 }, ns, sizeof(ns)); /* it is free */
	ck_assert_uint_eq(r.n_packets6, n);
	say(58, 64, me, gateway, ping, sizeof(ping));
	p = icmp(heard(0), 129, gateway, me, 64);
	ck_assert_mem_eq(p + 4, ping + 4, 16);
	say(58, 64, mine, all_routers, ping, sizeof(ping));
	icmp(heard(0), 129, gateway, mine, 64);
	n = r.n_packets6;
	say(58, 64, me, (const uint8_t[16]){ 0xfe, 0x80, [15] = 9 }, ping, sizeof(ping)); /* somebody else */
	ck_assert_uint_eq(r.n_packets6, n);
	ck_assert_uint_eq(wire.n_tun, 0);
	finish();
}
END_TEST

/* The whole network is the client's; nothing else is, and nothing of the link leaves it. */
START_TEST(test_sources)
{
	static const uint8_t other[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 2, [15] = 0x77 };
	static const uint8_t ping[8] = { 128 }, udp[12] = { 0x10, 0, 0x20, 0, 0, 12 };
	uint8_t p[100];
	unsigned n;

	begin(PREFIX, "");
	say(58, 64, mine, far, ping, sizeof(ping));
	ck_assert_uint_eq(wire.n_tun, 1);
	ck_assert_mem_eq(wire.tun + 8, mine, 16);
	say(58, 64, other, far, ping, sizeof(ping));
	say(58, 64, me, far, ping, sizeof(ping));
	say(58, 64, none, far, ping, sizeof(ping));
	say(17, 64, mine, all_nodes, udp, sizeof(udp));
	say(17, 64, me, gateway, udp, sizeof(udp));
	say(17, 64, mine, gateway, udp, sizeof(udp));
	say(58, 255, me, all_nodes, (const uint8_t[16]){ 134 }, 16); /* we are the router here */
	ck_assert_uint_eq(wire.n_tun, 1);
	/* And back. */
	n = r.n_packets6;
	vd_datapath_inject_tun(0, NULL, p, packet(p, 58, 64, far, mine, (const uint8_t[8]){ 129 }, 8));
	wire_pump();
	ck_assert_uint_eq(r.n_packets6, n + 1);
	icmp(heard(0), 129, far, mine, 64);
	vd_datapath_inject_tun(0, NULL, p, packet(p, 58, 64, far, other, (const uint8_t[8]){ 129 }, 8));
	wire_pump();
	ck_assert_uint_eq(r.n_packets6, n + 1);
	finish();
}
END_TEST

/* Split tunnel: routes in place of a default route; those of IPv4 are DHCPINFORM's. */
START_TEST(test_routes)
{
	const struct robot_packet *a;

	begin(PREFIX, "routes: [10.1.0.0/16, \"2001:db8:1::/48\", \"2001:db8:2:3:4::/80\"], ");
	a = heard(0);
	ck_assert_uint_eq((unsigned)(a->p[46] << 8 | a->p[47]), 0);
	ck_assert_mem_eq(option(a, 24, 0), "\x18\x02\x30\0\0\0\x07\x08" "\x20\x01\x0d\xb8\0\1\0\0", 16);
	ck_assert_mem_eq(option(a, 24, 1), "\x18\x03\x50\0\0\0\x07\x08" "\x20\x01\x0d\xb8\0\2\0\3\0\4\0\0\0\0\0\0", 24);
	ck_assert_ptr_null(option(a, 24, 2));
	finish();
	begin(PREFIX, "routes: all, ");
	ck_assert_uint_eq((unsigned)(heard(0)->p[46] << 8 | heard(0)->p[47]), 1800);
	finish();
}
END_TEST

START_TEST(test_no_prefix)
{
	begin("", "");
	ck_assert(!r.ipv6); /* IPV6CP was rejected */
	say(58, 255, me, all_routers, solicit, sizeof(solicit));
	say(58, 64, mine, far, (const uint8_t[8]){ 128 }, 8);
	ck_assert_uint_eq(r.n_packets6, 0);
	ck_assert_uint_eq(wire.n_tun, 0);
	steps_ping(&r);
	finish();
}
END_TEST

/* A gateway that was made anew goes on where the other was: the next advertisement comes when it would have. */
START_TEST(test_reborn)
{
	struct vd_error why = { 0 };
	unsigned n;

	begin(PREFIX, "");
	wire_wait(40000);
	n = r.n_packets6;
	ck_assert_int_eq(gateway_reborn(&why), 0);
	wire_pump();
	ck_assert_uint_eq(r.n_packets6, n);
	say(58, 64, mine, far, (const uint8_t[8]){ 128 }, 8);
	ck_assert_uint_eq(wire.n_tun, 1);
	say(58, 255, me, all_routers, solicit, sizeof(solicit));
	advert(0, me);
	wire_wait(600000);
	ck_assert_uint_ge(r.n_packets6, n + 2);
	finish();
}
END_TEST

/* ---- the codec alone ---- */
/* Any cut, and any changed octet: read within its bounds, refused or understood. */
START_TEST(test_hostile)
{
	static const uint8_t body[32] = { 135, [8] = 0xfe, 0x80, [23] = 1, 1, 1, 2, 3, 4, 5, 6, 7 };
	uint8_t p[100], out[NET_IPV6_ROOM], *copy;
	size_t len = packet(p, 58, 255, me, gateway, body, sizeof(body));
	struct net_ipv6 in;
	struct vd_ip target;
	const char *why;

	ck_assert_int_eq(net_ipv6_read(p, len, &in, &why), 0);
	ck_assert_int_eq(ra_check(&in, &target, &why), 0);
	for (size_t n = 0; n < len; n++) {
		ck_assert_ptr_nonnull(copy = malloc(n ? n : 1));
		memcpy(copy, p, n);
		ck_assert_int_lt(net_ipv6_read(copy, n, &in, &why), 0);
		free(copy);
	}
	for (size_t n = 0; n <= sizeof(body); n++) {
		ck_assert_ptr_nonnull(copy = malloc(n ? n : 1));
		memcpy(copy, body, n);
		in = (struct net_ipv6){ .src = { .family = AF_INET6 }, .hops = 255, .body = copy, .len = n };
		ra_check(&in, &target, &why);
		if (n)
			ra_echo_reply(&in, &target, out, sizeof(out));
		free(copy);
	}
	for (size_t at = 0; at < sizeof(body); at++)
		for (unsigned v = 0; v < 256; v += 5) {
			uint8_t changed[sizeof(body)];

			memcpy(changed, body, sizeof(body));
			changed[at] = (uint8_t)v;
			in = (struct net_ipv6){ .src = { .family = AF_INET6 }, .hops = 255, .body = changed, .len = sizeof(body) };
			ra_check(&in, &target, &why);
		}
}
END_TEST

/* What does not fit is left out, from the end; without room for the prefix there is nothing. */
START_TEST(test_small)
{
	struct vd_prefix routes[RA_ROUTES];
	struct vd_ip from = { .family = AF_INET6 }, to = net_ipv6_all_nodes(), dns = { .family = AF_INET6, .a = { 0x20 } };
	struct ra_facts f = { .network = { .ip = { .family = AF_INET6 }, .len = 64 }, .dns = &dns, .n_dns = 1, .search = "a.example",
		.routes = routes, .n_routes = RA_ROUTES };
	uint8_t out[NET_IPV6_ROOM];
	size_t all;

	for (unsigned i = 0; i < RA_ROUTES; i++)
		routes[i] = (struct vd_prefix){ { .family = AF_INET6, .a = { 0x20, 1, 0xd, 0xb8, 0, (uint8_t)i } }, 48 };
	all = ra_advert(&f, &from, &to, out, sizeof(out));
	ck_assert_uint_eq(all, 40 + 16 + 32 + 8 + 24 + 16 * RA_ROUTES + 24);
	ck_assert_uint_eq(ra_advert(&f, &from, &to, out, all - 1), all - 24);
	ck_assert_uint_eq(ra_advert(&f, &from, &to, out, 40 + 16 + 32 + 8 + 24 + 16 + 15), 40 + 16 + 32 + 8 + 24 + 16);
	ck_assert_uint_eq(ra_advert(&f, &from, &to, out, 40 + 16 + 32 + 7), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_ipv6");
	TCase *t = tcase_create("ipv6");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_advertised);
	tcase_add_test(t, test_solicited);
	tcase_add_test(t, test_not_answered);
	tcase_add_test(t, test_neighbors);
	tcase_add_test(t, test_sources);
	tcase_add_test(t, test_routes);
	tcase_add_test(t, test_no_prefix);
	tcase_add_test(t, test_reborn);
	tcase_add_test(t, test_hostile);
	tcase_add_test(t, test_small);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
