/* Fuzz target: what clients ask of their router and of DHCPv6. The op of a record says what it is: a whole inner packet as
 * the data path punts it (0), or, behind the checksum that chance would hardly find, a message of DHCPv6 (1) or of ICMPv6
 * (2). What is understood is answered, and the answer must be readable. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "plugins/net/dhcpv6/message.h"
#include "plugins/net/ra/message.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t duid[18] = { 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static void readable(const uint8_t *p, size_t len, uint8_t protocol)
{
	struct net_ipv6 in;
	const char *why = "";

	ck_assert_msg(net_ipv6_read(p, len, &in, &why) == 0, "%s", why);
	ck_assert_uint_eq(in.protocol, protocol);
}

static void dhcp(const struct net_ipv6 *in, uint8_t op)
{
	struct vd_ip dns[2] = { { .family = AF_INET6, .a = { 0x20, 1 } }, vd_ip4(1) };
	struct dhcp6_facts f = { .duid = duid, .duid_len = sizeof(duid), .address = { .family = AF_INET6, .a = { 0x20, 1, [15] = 1 } },
		.network = { { .family = AF_INET6, .a = { 0x20, 1 } }, 64 }, .valid = 86400, .preferred = 14400, .dns = dns, .n_dns = 2,
		.search = "corp.example.com x..y example.com" };
	size_t front = net_ipv6_head(NET_UDP), room = op & 4 ? 1400 : 20 + op, n;
	struct net_ipv6 head = { .src = in->dst, .dst = in->src, .protocol = NET_UDP, .hops = 64, .from = 547, .to = 546 };
	struct dhcp6_request q;
	const char *why = NULL;
	uint8_t *out;

	if (dhcp6_parse(in->body, in->len, &q, &why) < 0) {
		ck_assert_ptr_nonnull(why);
		return;
	}
	ck_assert_ptr_nonnull(out = malloc(front + room));
	n = dhcp6_answer(&q, op & 8, &f, out + front, room, &why);
	ck_assert_uint_le(n, room);
	ck_assert(n || why);
	if (n) {
		net_ipv6_wrap(out, front + n, &head);
		readable(out, front + n, NET_UDP);
		ck_assert(out[front] == DHCP6_REPLY || (out[front] == DHCP6_ADVERTISE && q.type == DHCP6_SOLICIT));
	}
	free(out);
}

static void icmp(const struct net_ipv6 *in)
{
	struct vd_ip target, from = { .family = AF_INET6, .a = { 0xfe, 0x80, [15] = 1 } };
	uint8_t *out = malloc(NET_IPV6_ROOM);
	const char *why = NULL;
	size_t n = 0;

	ck_assert_ptr_nonnull(out);
	if (in->len && in->body[0] == RA_ECHO)
		n = ra_echo_reply(in, &from, out, NET_IPV6_ROOM);
	else if (in->len && ra_check(in, &target, &why) == 0)
		n = ra_neighbor_advert(in, &target, out, NET_IPV6_ROOM);
	ck_assert_uint_le(n, NET_IPV6_ROOM);
	if (n)
		readable(out, n, NET_ICMPV6);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record record = { 0 };
	struct vd_rd r;

	vd_rd_init(&r, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&r, &record); i++) {
		struct net_ipv6 in = { .src = { .family = AF_INET6, .a = { 0xfe, 0x80, [15] = 9 } },
			.dst = { .family = AF_INET6, .a = { 0xff, 2, [15] = 2 } }, .hops = 255, .body = record.p, .len = record.len };
		const char *why = NULL;

		if ((record.op & 3) == 1) {
			in.protocol = NET_UDP;
		} else if (record.op & 3) {
			in.protocol = NET_ICMPV6;
		} else if (net_ipv6_read(record.p, record.len, &in, &why) < 0) {
			ck_assert_ptr_nonnull(why);
			continue;
		}
		if (in.protocol == NET_UDP)
			dhcp(&in, record.op);
		else
			icmp(&in);
	}
	fuzz_end(&record);
	return 0;
}

static void packet(const char *name, uint8_t protocol, const uint8_t *body, size_t len)
{
	struct net_ipv6 head = { .src = { .family = AF_INET6, .a = { 0xfe, 0x80, [15] = 9 } },
		.dst = { .family = AF_INET6, .a = { 0xff, 2, [15] = 2 } }, .protocol = protocol, .hops = 255, .from = 546, .to = 547 };
	uint8_t room[400] = { 0 };
	size_t front = net_ipv6_head(protocol);

	memcpy(room + front, body, len);
	net_ipv6_wrap(room, front + len, &head);
	fuzz_put(8 | 4, room, front + len);
	fuzz_put((uint8_t)(8 | 4 | (protocol == NET_UDP ? 1 : 2)), body, len);
	fuzz_put_done(name);
}

void fuzz_seeds(void)
{
	static const uint8_t rs[16] = { RA_SOLICIT, [8] = 1, 1 }, ns[24] = { RA_NEIGHBOR, [8] = 0xfe, 0x80, [23] = 1 },
		echo[24] = { RA_ECHO, [5] = 1 };
	static const uint8_t solicit[] = { 1, 0xab, 0xcd, 0xef, 0, 1, 0, 10, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 0, 14, 0, 0, 0, 6, 0, 4,
		0, 23, 0, 24, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0, 12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t rebind[] = { 6, 0xab, 0xcd, 0xef, 0, 1, 0, 10, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 0, 3, 0, 40, 0, 0, 0, 1, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 5, 0, 24, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t information[] = { 11, 0xab, 0xcd, 0xef, 0, 6, 0, 6, 0, 23, 0, 24, 0, 32 };
	uint8_t renew[sizeof(rebind) + 22];

	packet("rs", NET_ICMPV6, rs, sizeof(rs));
	packet("ns", NET_ICMPV6, ns, sizeof(ns));
	packet("echo", NET_ICMPV6, echo, sizeof(echo));
	packet("solicit", NET_UDP, solicit, sizeof(solicit));
	packet("rebind", NET_UDP, rebind, sizeof(rebind));
	packet("information", NET_UDP, information, sizeof(information));
	memcpy(renew, rebind, sizeof(rebind));
	renew[0] = DHCP6_RENEW;
	memcpy(renew + sizeof(rebind), "\0\2\0\x12", 4);
	memcpy(renew + sizeof(rebind) + 4, duid, sizeof(duid));
	packet("renew", NET_UDP, renew, sizeof(renew));
}
