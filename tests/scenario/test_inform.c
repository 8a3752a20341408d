/* DHCPINFORM through the tunnel: what Windows and macOS ask, what they get, and what gets nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/log.h>

#include "plugins/net/dhcpinform/message.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define SPLIT "routes: [10.1.0.0/16, 192.168.7.0/25, 172.16.5.9/32], "

/* ---- a client's packet, from the RFCs ---- */
static uint16_t internet(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static size_t packet(uint8_t *p, const uint8_t src[4], const uint8_t dst[4], const uint8_t ciaddr[4], uint8_t type,
	const uint8_t *options, size_t n, bool sum)
{
	static const uint8_t cookie[4] = { 0x63, 0x82, 0x53, 0x63 };
	uint8_t *udp = p + 20, *bootp = p + 28;
	size_t len = 236 + 4 + 3 + n + 1;

	memset(p, 0, 28 + len);
	memcpy(p, "\x45\0\0\0\x12\x34\0\0\x80\x11", 10);
	put16(p + 2, (uint16_t)(28 + len));
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	put16(p + 10, internet(p, 20, 0));
	put16(udp, 68);
	put16(udp + 2, 67);
	put16(udp + 4, (uint16_t)(8 + len));
	bootp[0] = 1;
	bootp[1] = 8;
	memcpy(bootp + 4, "\xde\xad\xbe\xef", 4);
	memcpy(bootp + 12, ciaddr, 4);
	memcpy(bootp + 28, "RAS \x01", 5);
	memcpy(bootp + 236, cookie, 4);
	memcpy(bootp + 240, "\x35\x01", 2);
	bootp[242] = type;
	if (n)
		memcpy(bootp + 243, options, n);
	bootp[243 + n] = 255;
	if (sum)
		put16(udp + 6, internet(udp, 8 + len, (uint32_t)(p[12] << 8 | p[13]) + (uint32_t)(p[14] << 8 | p[15]) +
			(uint32_t)(p[16] << 8 | p[17]) + (uint32_t)(p[18] << 8 | p[19]) + 17 + 8 + (uint32_t)len));
	return 28 + len;
}

static const uint8_t broadcast[4] = { 255, 255, 255, 255 }, gateway[4] = { 10, 8, 0, 1 }, none[4];
/* Windows: vendor class, then what it wants (client-side order of the parameter list as it sends it). */
static const uint8_t windows[] = { 61, 7, 1, 2, 0, 0, 0, 0, 1, 12, 2, 'p', 'c', 60, 8, 'M', 'S', 'F', 'T', ' ', '5', '.', '0',
	55, 13, 1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43, 252 };
/* macOS, with "send all traffic" off. */
static const uint8_t macos[] = { 55, 6, 6, 44, 43, 1, 249, 15 };

/* An option of an answer, its parts joined (RFC 3396); its length, or -1. */
static int option(const struct robot_packet *a, unsigned code, uint8_t *out)
{
	int len = -1;

	for (size_t at = 28 + 240; at + 1 < a->len && a->p[at] != 255;) {
		if (a->p[at] == 0) {
			at++;
			continue;
		}
		ck_assert_uint_le(at + 2u + a->p[at + 1], a->len);
		if (a->p[at] == code) {
			len = len < 0 ? 0 : len;
			memcpy(out + len, a->p + at + 2, a->p[at + 1]);
			len += a->p[at + 1];
		}
		at += 2u + a->p[at + 1];
	}
	return len;
}

static void is_option(const struct robot_packet *a, unsigned code, const char *want, int len)
{
	uint8_t got[1500];
	int n = option(a, code, got);

	ck_assert_msg(n == len, "option %u has %d octets, not %d", code, n, len);
	if (len > 0)
		ck_assert_mem_eq(got, want, len);
}

/* Headers, checksums and what belongs to every answer. */
static void is_answer(const struct robot *r)
{
	const uint8_t *p = r->packet.p;
	size_t len = r->packet.len;

	ck_assert_uint_ge(len, 28 + 300);
	ck_assert_uint_eq(p[0], 0x45);
	ck_assert_uint_eq((unsigned)(p[2] << 8 | p[3]), len);
	ck_assert_uint_eq(internet(p, 20, 0), 0);
	ck_assert_mem_eq(p + 12, gateway, 4);
	ck_assert_mem_eq(p + 16, r->address, 4);
	ck_assert_mem_eq(p + 20, "\0\x43\0\x44", 4);
	ck_assert_uint_ne(p[26] | p[27], 0);
	uint32_t pseudo = 17 + (uint32_t)len - 20;
	for (unsigned i = 12; i < 20; i += 2)
		pseudo += (uint32_t)(p[i] << 8 | p[i + 1]);
	ck_assert_uint_eq(internet(p + 20, len - 20, pseudo), 0);
	ck_assert_uint_eq(p[28], 2);
	ck_assert_mem_eq(p + 32, "\xde\xad\xbe\xef", 4);
	ck_assert_mem_eq(p + 40, r->address, 4);
	ck_assert_mem_eq(p + 44, none, 4); /* yiaddr */
	ck_assert_mem_eq(p + 56, "RAS \x01", 5);
	is_option(&r->packet, 53, "\x05", 1);
	is_option(&r->packet, 54, "\x0a\x08\x00\x01", 4);
	is_option(&r->packet, 51, NULL, -1); /* no lease */
}

static struct robot r;

static void begin(const char *staff)
{
	static char yaml[1500];

	snprintf(yaml, sizeof(yaml),
		"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n"
		"users: { office: { file: users.yaml } }\n"
		"realms: { office: { authenticate: [users/office] } }\n"
		"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1, dns: [10.1.0.53, 10.1.0.54],\n"
		"  wins: [10.1.0.60], search: [corp.example.com, example.com] } }\n"
		"connections:\n"
		"  staff: { accept: [l2tp], realm: office, pool: office, %sl2tp: { psk: !env SCENARIO_PSK_STAFF } }\n", staff);
	gateway_start(yaml);
	robot_init(&r, 0, "alice", "alice-password", true);
	steps_login(&r, GATEWAY_PSK_STAFF, 11);
	wire.n_tun = 0;
	r.n_packets = 0;
}

static void finish(void)
{
	steps_hang_up(&r);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

static void ask(const uint8_t *dst, const uint8_t *ciaddr, uint8_t type, const uint8_t *options, size_t n)
{
	uint8_t p[1500];

	robot_ip(&r, p, packet(p, r.address, dst, ciaddr, type, options, n, true));
	wire_pump();
}

/* 121 and 249 alike: width, significant octets, router. */
#define ROUTES "\x10\x0a\x01\x0a\x08\x00\x01" "\x19\xc0\xa8\x07\x00\x0a\x08\x00\x01" "\x20\xac\x10\x05\x09\x0a\x08\x00\x01"

START_TEST(test_windows)
{
	begin(SPLIT);
	ask(broadcast, r.address, 8, windows, sizeof(windows));
	ck_assert_uint_eq(r.n_packets, 1);
	ck_assert_uint_eq(wire.n_tun, 0); /* it is not for the networks behind us */
	is_answer(&r);
	is_option(&r.packet, 6, "\x0a\x01\x00\x35\x0a\x01\x00\x36", 8);
	is_option(&r.packet, 15, "corp.example.com", 16);
	is_option(&r.packet, 44, "\x0a\x01\x00\x3c", 4);
	is_option(&r.packet, 121, ROUTES, sizeof(ROUTES) - 1);
	is_option(&r.packet, 249, ROUTES, sizeof(ROUTES) - 1);
	is_option(&r.packet, 119, NULL, -1); /* it did not ask */
	is_option(&r.packet, 3, NULL, -1);
	finish();
}
END_TEST

START_TEST(test_macos)
{
	begin(SPLIT);
	ask(broadcast, r.address, 8, macos, sizeof(macos));
	is_answer(&r);
	is_option(&r.packet, 6, "\x0a\x01\x00\x35\x0a\x01\x00\x36", 8);
	is_option(&r.packet, 15, "corp.example.com", 16);
	is_option(&r.packet, 249, ROUTES, sizeof(ROUTES) - 1);
	is_option(&r.packet, 121, NULL, -1);
	finish();
}
END_TEST

/* To the gateway's address, from a client that leaves ciaddr empty and wants no checksum. Asking for nothing is asking for all. */
START_TEST(test_unicast)
{
	uint8_t p[1500];

	begin(SPLIT);
	robot_ip(&r, p, packet(p, r.address, gateway, none, 8, NULL, 0, false));
	wire_pump();
	ck_assert_uint_eq(r.n_packets, 1);
	ck_assert_uint_eq(wire.n_tun, 0);
	ck_assert_mem_eq(r.packet.p + 40, r.address, 4);
	is_option(&r.packet, 121, ROUTES, sizeof(ROUTES) - 1);
	is_option(&r.packet, 119, "\4corp\7example\3com\0\7example\3com\0", 31);
	finish();
}
END_TEST

START_TEST(test_full_tunnel)
{
	begin("");
	ask(broadcast, r.address, 8, windows, sizeof(windows));
	is_answer(&r);
	is_option(&r.packet, 6, "\x0a\x01\x00\x35\x0a\x01\x00\x36", 8);
	is_option(&r.packet, 121, NULL, -1);
	is_option(&r.packet, 249, NULL, -1);
	finish();
}
END_TEST

/* DHCPDISCOVER, another's address, wrong checksum, cut options, another server, another port: no answer. What is for others
 * goes there. */
START_TEST(test_no_answer)
{
	static const uint8_t office[4] = { 10, 1, 0, 5 }, other[4] = { 10, 8, 0, 99 }, cut[] = { 55, 40, 1 };
	uint8_t p[1500];
	size_t len;

	begin(SPLIT);
	ask(broadcast, none, 1, windows, sizeof(windows));
	ask(broadcast, other, 8, windows, sizeof(windows));
	ask(broadcast, r.address, 8, cut, sizeof(cut));
	len = packet(p, r.address, broadcast, r.address, 8, windows, sizeof(windows), true);
	p[27] ^= 1;
	robot_ip(&r, p, len);
	len = packet(p, r.address, broadcast, r.address, 8, windows, sizeof(windows), true);
	robot_ip(&r, p, len - 1); /* shorter than it says: not an IP packet */
	p[6] = 0x20; /* the first of several fragments */
	robot_ip(&r, p, len);
	wire_pump();
	ck_assert_uint_eq(r.n_packets, 0);
	ck_assert_uint_eq(wire.n_tun, 0);
	ask(office, r.address, 8, windows, sizeof(windows)); /* the office has a DHCP server of its own */
	ck_assert_uint_eq(wire.n_tun, 1);
	len = packet(p, r.address, gateway, r.address, 8, NULL, 0, false);
	p[23] = 53;
	robot_ip(&r, p, len);
	wire_pump();
	ck_assert_uint_eq(wire.n_tun, 2);
	ck_assert_uint_eq(r.n_packets, 0);
	finish();
}
END_TEST

/* A client that asks without end gets as much as its channel may punt, and the gateway goes on. */
START_TEST(test_flood)
{
	begin(SPLIT);
	for (unsigned i = 0; i < 5000; i++)
		ask(broadcast, r.address, 8, windows, sizeof(windows));
	ck_assert_uint_ge(r.n_packets, 1);
	ck_assert_uint_lt(r.n_packets, 5000);
	wire_wait(5000);
	r.n_packets = 0;
	ask(broadcast, r.address, 8, windows, sizeof(windows));
	ck_assert_uint_eq(r.n_packets, 1);
	finish();
}
END_TEST

/* ---- the codec alone ---- */
static int answer_with(const uint8_t *options, size_t n, size_t n_routes, size_t mtu, struct robot_packet *ret, size_t *ret_left)
{
	static struct vd_prefix routes[INFORM_ROUTES];
	static const uint8_t me[4] = { 10, 8, 0, 11 };
	struct inform_facts f = { .search = "", .routes = routes, .n_routes = n_routes };
	struct inform_request q;
	const char *why;
	uint8_t p[1500];

	vd_ip_parse("10.8.0.1", &f.gateway);
	for (size_t i = 0; i < n_routes; i++)
		routes[i] = (struct vd_prefix){ .ip = vd_ip4(0x0a640000u + ((uint32_t)i << 8)), .len = 24 };
	ck_assert_int_eq(inform_parse(p, packet(p, me, broadcast, me, 8, options, n, true), &q, &why), 0);
	int len = inform_answer(&q, &f, mtu, ret->p, sizeof(ret->p) < mtu ? sizeof(ret->p) : mtu, ret_left);
	ret->len = len > 0 ? (size_t)len : 0;
	return len;
}

/* Routes beyond 255 octets come in parts that belong together; beyond the client's size some are left out, and counted. */
START_TEST(test_many_routes)
{
	static const uint8_t big[] = { 57, 2, 5, 0x78, 55, 1, 121 }, both[] = { 57, 2, 5, 0x78, 55, 2, 121, 249 },
		small[] = { 55, 1, 121 }, tiny[] = { 57, 2, 0, 100, 55, 1, 121 };
	uint8_t got[1500];
	struct robot_packet a;
	size_t left = 9;

	ck_assert_int_gt(answer_with(big, sizeof(big), 100, 1400, &a, &left), 0);
	ck_assert_uint_eq(left, 0);
	ck_assert_int_eq(option(&a, 121, got), 800);
	ck_assert_mem_eq(got + 99 * 8, "\x18\x0a\x64\x63\x0a\x08\x00\x01", 8);
	/* 548 octets without option 57; less than that is not believed. */
	ck_assert_int_le(answer_with(small, sizeof(small), 100, 1400, &a, &left), 576);
	ck_assert_int_eq(option(&a, 121, got), (int)(100 - left) * 8);
	ck_assert_uint_gt(left, 50);
	ck_assert_uint_lt(left, 75);
	ck_assert_int_le(answer_with(tiny, sizeof(tiny), 100, 1400, &a, &left), 576);
	ck_assert_uint_lt(left, 75);
	/* Who asks for both gets the same in both. */
	ck_assert_int_le(answer_with(both, sizeof(both), INFORM_ROUTES, 1400, &a, &left), 1400);
	int n = option(&a, 121, got);
	ck_assert_int_gt(n, 400);
	ck_assert_int_eq(option(&a, 249, got), n);
	ck_assert_uint_eq(left, INFORM_ROUTES - (size_t)n / 8);
	/* The link's MTU wins. */
	ck_assert_int_le(answer_with(big, sizeof(big), 100, 700, &a, &left), 700);
	ck_assert_uint_gt(left, 30);
	ck_assert_int_lt(answer_with(big, sizeof(big), 1, 200, &a, &left), 0);
}
END_TEST

/* RFC 2131 section 4.1: options may go on in file and sname. */
START_TEST(test_overload)
{
	static const uint8_t me[4] = { 10, 8, 0, 11 }, overload[] = { 52, 1, 3 };
	struct inform_request q;
	const char *why;
	uint8_t p[1500];
	size_t len = packet(p, me, broadcast, me, 8, overload, sizeof(overload), false);

	memcpy(p + 28 + 108, "\x37\x02\x06\x79\xff", 5);
	memcpy(p + 28 + 44, "\x39\x02\x04\x00\xff", 5);
	ck_assert_int_eq(inform_parse(p, len, &q, &why), 0);
	ck_assert(q.asked && q.wanted[6] && q.wanted[121] && !q.wanted[249]);
	ck_assert_uint_eq(q.size, 1024);
	memset(p + 28 + 108, 7, 128); /* no end, and the last option runs over */
	ck_assert_int_lt(inform_parse(p, len, &q, &why), 0);
}
END_TEST

/* Any cut and any changed octet: read within its bounds, refused or understood. */
START_TEST(test_hostile)
{
	static const uint8_t me[4] = { 10, 8, 0, 11 };
	struct inform_request q;
	const char *why;
	uint8_t p[1500], *copy;
	size_t len = packet(p, me, broadcast, me, 8, windows, sizeof(windows), false);

	for (size_t n = 0; n < len; n++) {
		ck_assert_ptr_nonnull(copy = malloc(n ? n : 1));
		memcpy(copy, p, n);
		ck_assert_int_lt(inform_parse(copy, n, &q, &why), 0);
		free(copy);
	}
	ck_assert_ptr_nonnull(copy = malloc(len));
	for (size_t at = 0; at < len; at++)
		for (unsigned v = 0; v < 256; v += 5) {
			memcpy(copy, p, len);
			copy[at] = (uint8_t)v;
			inform_parse(copy, len, &q, &why);
		}
	free(copy);
	ck_assert_int_eq(inform_parse(p, len, &q, &why), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_inform");
	TCase *t = tcase_create("inform");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_windows);
	tcase_add_test(t, test_macos);
	tcase_add_test(t, test_unicast);
	tcase_add_test(t, test_full_tunnel);
	tcase_add_test(t, test_no_answer);
	tcase_add_test(t, test_flood);
	tcase_add_test(t, test_many_routes);
	tcase_add_test(t, test_overload);
	tcase_add_test(t, test_hostile);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
