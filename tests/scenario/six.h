/* For tests of IPv6 inside the tunnel: a gateway whose pool has a prefix, a robot that speaks IPV6CP, and packets after the
 * RFCs. */
#ifndef TESTS_SCENARIO_SIX_H
#define TESTS_SCENARIO_SIX_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/topics.h>

#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define PREFIX "prefix: \"2001:db8:8::/48\", "
static const uint8_t gateway[16] = { 0xfe, 0x80, [15] = 1 }, me[16] = { 0xfe, 0x80, [9] = 10, [11] = 11, [13] = 12, [15] = 13 };

static struct robot r;

static inline void start(const char *pool, const char *staff)
{
	static char yaml[1500];

	snprintf(yaml, sizeof(yaml),
		"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n"
		"users: { office: { file: users.yaml } }\n"
		"realms: { office: { authenticate: [users/office] } }\n"
		"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1, %s\n"
		"  dns: [10.1.0.53, \"2001:db8:53::1\", \"2001:db8:53::2\"], search: [corp.example.com, example.com] } }\n"
		"connections:\n"
		"  staff: { accept: [l2tp], realm: office, pool: office, %sl2tp: { psk: !env SCENARIO_PSK_STAFF } }\n", pool, staff);
	gateway_start(yaml);
}

static inline void begin(const char *pool, const char *staff)
{
	start(pool, staff);
	robot_init(&r, 0, "carol", "carol-password", true);
	r.ipv6 = true;
	wire_add(&r);
	robot_dial(&r, GATEWAY_PSK_STAFF);
	ck_assert(wire_until(robot_up, &r, 500));
	wire_pump();
}

static inline void finish(void)
{
	steps_hang_up(&r);
	wire_wait(60000);
	gateway_empty();
	robot_free(&r);
	gateway_stop();
}

/* ---- packets, from the RFCs ---- */
static inline uint16_t internet(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline size_t packet(uint8_t *p, uint8_t next, uint8_t hops, const uint8_t *src, const uint8_t *dst, const void *body, size_t n)
{
	memset(p, 0, 40);
	p[0] = 0x60;
	p[4] = (uint8_t)(n >> 8);
	p[5] = (uint8_t)n;
	p[6] = next;
	p[7] = hops;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
	memcpy(p + 40, body, n);
	uint8_t *at = p + 40 + (next == 17 ? 6 : 2);
	uint32_t pseudo = next + (uint32_t)n;
	for (unsigned i = 8; i < 40; i += 2)
		pseudo += (uint32_t)(p[i] << 8 | p[i + 1]);
	at[0] = at[1] = 0;
	uint16_t sum = internet(p + 40, n, pseudo);
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
	return 40 + n;
}

static inline void say(uint8_t next, uint8_t hops, const uint8_t *src, const uint8_t *dst, const void *body, size_t n)
{
	uint8_t p[1600];

	robot_ip6(&r, p, packet(p, next, hops, src, dst, body, n));
	wire_pump();
}

static inline const struct robot_packet *heard(unsigned back)
{
	ck_assert_uint_gt(r.n_packets6, back);
	return &r.packets6[(r.n_packets6 - 1 - back) % VD_ARRAY_SIZE(r.packets6)];
}

#endif
