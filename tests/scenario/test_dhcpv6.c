/* DHCPv6 through the tunnel: what clients ask for, what they get, and what gets nothing. */
#include "plugins/net/dhcpv6/message.h"
#include "plugins/net/lib/ipv6.h"
#include "tests/scenario/six.h"

static const uint8_t servers[16] = { 0xff, 2, [13] = 1, [15] = 2 };
static const uint8_t client_id[14] = { 0, 1, 0, 10, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7 }; /* with its option header */
static const uint8_t address[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 1, 0, 10, 0, 11, 0, 12, 0, 13 };

struct message {
	uint8_t p[1400];
	size_t len;
};

static void put(struct message *m, const void *p, size_t len)
{
	memcpy(m->p + m->len, p, len);
	m->len += len;
}

static struct message begin_message(uint8_t type, bool client)
{
	struct message m = { .p = { type, 0xab, 0xcd, 0xef }, .len = 4 };

	if (client)
		put(&m, client_id, sizeof(client_id));
	return m;
}

/* IA_NA (3) or IA_PD (25) with this address in it (NULL: none). */
static void put_ia(struct message *m, uint8_t kind, uint8_t id, const uint8_t *a)
{
	uint8_t ia[] = { 0, kind, 0, (uint8_t)(a ? 40 : 12), 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0 }, addr[28] = { 0, 5, 0, 24 };

	put(m, ia, sizeof(ia));
	if (!a)
		return;
	memcpy(addr + 4, a, 16);
	put(m, addr, sizeof(addr));
}

static const struct robot_packet *ask_to(const struct message *m, const uint8_t *to)
{
	uint8_t udp[1408] = { 2, 546 & 255, 2, 547 & 255, (uint8_t)((m->len + 8) >> 8), (uint8_t)(m->len + 8) };
	unsigned before = r.n_packets6;

	memcpy(udp + 8, m->p, m->len);
	say(17, 1, me, to, udp, m->len + 8);
	return r.n_packets6 > before ? heard(0) : NULL;
}

/* The answer, which is one of that type: headers, checksum, transaction, client. */
static const struct robot_packet *answer(const struct message *m, const uint8_t *to, uint8_t type)
{
	const struct robot_packet *a = ask_to(m, to);
	uint32_t pseudo;

	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(a->p[6], 17);
	ck_assert_mem_eq(a->p + 8, gateway, 16);
	ck_assert_mem_eq(a->p + 24, me, 16);
	ck_assert_mem_eq(a->p + 40, "\x02\x23\x02\x22", 4);
	ck_assert_uint_eq((unsigned)(a->p[44] << 8 | a->p[45]), a->len - 40);
	pseudo = 17 + (uint32_t)a->len - 40;
	for (unsigned i = 8; i < 40; i += 2)
		pseudo += (uint32_t)(a->p[i] << 8 | a->p[i + 1]);
	ck_assert_uint_eq(internet(a->p + 40, a->len - 40, pseudo), 0);
	ck_assert_uint_eq(a->p[48], type);
	ck_assert_mem_eq(a->p + 49, "\xab\xcd\xef", 3);
	return a;
}

/* The nth option of that code: its data and length. -1: there are not so many. */
static int find(const uint8_t *p, size_t len, unsigned code, unsigned nth, const uint8_t **ret_data)
{
	for (size_t at = 0; at + 4 <= len;) {
		size_t n = (size_t)p[at + 2] << 8 | p[at + 3];

		ck_assert_uint_le(at + 4 + n, len);
		if ((unsigned)(p[at] << 8 | p[at + 1]) == code && nth-- == 0) {
			*ret_data = p + at + 4;
			return (int)n;
		}
		at += 4 + n;
	}
	return -1;
}

static int option(const struct robot_packet *a, unsigned code, unsigned nth, const uint8_t **ret_data)
{
	return find(a->p + 52, a->len - 52, code, nth, ret_data);
}

static void is_option(const struct robot_packet *a, unsigned code, const void *want, int len)
{
	const uint8_t *p = NULL;
	int n = option(a, code, 0, &p);

	ck_assert_msg(n == len, "option %u has %d octets, not %d", code, n, len);
	if (len > 0)
		ck_assert_mem_eq(p, want, len);
}

static uint8_t duid[18];
/* Learns who the server is. */
static void learn(void)
{
	struct message m = begin_message(1, true);
	const uint8_t *p;

	ck_assert_int_eq(option(answer(&m, servers, 2), 2, 0, &p), 18);
	memcpy(duid, p, 18);
	ck_assert_mem_eq(duid, "\0\4", 2);
}

static void put_server(struct message *m)
{
	put(m, (const uint8_t[]){ 0, 2, 0, 18 }, 4);
	put(m, duid, 18);
}

#define DNS "\x20\x01\x0d\xb8\0\x53\0\0\0\0\0\0\0\0\0\1" "\x20\x01\x0d\xb8\0\x53\0\0\0\0\0\0\0\0\0\2"
#define NAMES "\4corp\7example\3com\0\7example\3com"

START_TEST(test_information)
{
	struct message m = begin_message(11, false);
	const struct robot_packet *a;

	begin(PREFIX, "");
	put(&m, (const uint8_t[]){ 0, 6, 0, 6, 0, 23, 0, 24, 0, 32 }, 10);
	a = answer(&m, servers, 7);
	is_option(a, 23, DNS, 32);
	is_option(a, 24, NAMES, 31);
	is_option(a, 32, "\0\1\x51\x80", 4);
	is_option(a, 1, NULL, -1); /* it said none */
	is_option(a, 3, NULL, -1);
	/* Only what is asked for. */
	m = begin_message(11, true);
	put(&m, (const uint8_t[]){ 0, 6, 0, 2, 0, 24 }, 6);
	a = answer(&m, servers, 7);
	is_option(a, 23, NULL, -1);
	is_option(a, 24, NAMES, 31);
	is_option(a, 1, client_id + 4, 10);
	ck_assert_uint_eq(wire.n_tun, 0);
	finish();
}
END_TEST

static void is_address(const struct robot_packet *a, unsigned nth, uint8_t id)
{
	const uint8_t *ia, *p;
	int n = option(a, 3, nth, &ia);

	ck_assert_int_ge(n, 40);
	ck_assert_mem_eq(ia, ((uint8_t[]){ 0, 0, 0, id }), 4);
	ck_assert_mem_eq(ia + 4, "\0\0\x1c\x20\0\0\x2d\0", 8); /* T1, T2 */
	ck_assert_int_eq(find(ia + 12, (size_t)n - 12, 5, 0, &p), 24);
	ck_assert_mem_eq(p, address, 16);
	ck_assert_mem_eq(p + 16, "\0\0\x38\x40\0\1\x51\x80", 8); /* preferred, valid */
	ck_assert_int_eq(find(ia + 12, (size_t)n - 12, 13, 0, &p), -1);
}

static unsigned status_in(const uint8_t *p, size_t len)
{
	const uint8_t *s;

	ck_assert_int_ge(find(p, len, 13, 0, &s), 2);
	return (unsigned)(s[0] << 8 | s[1]);
}

/* Solicit, Advertise, Request, Reply; Renew, Rebind, Confirm; Release. */
START_TEST(test_address)
{
	static const uint8_t stranger[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 9, [15] = 1 };
	static const uint8_t other[16] = { 0x20, 1, 0xd, 0xb8, 0, 8, 0, 1, [15] = 0x55 };
	const struct robot_packet *a;
	struct message m;
	const uint8_t *p, *q;
	int n;

	begin(PREFIX, "");
	learn();
	m = begin_message(1, true);
	put_ia(&m, 3, 7, NULL);
	a = answer(&m, servers, 2);
	is_address(a, 0, 7);
	is_option(a, 2, duid, 18);
	is_option(a, 7, "\xff", 1);
	is_option(a, 14, NULL, -1);
	is_option(a, 23, DNS, 32); /* it said nothing of what it wants */
	put(&m, (const uint8_t[]){ 0, 14, 0, 0 }, 4);
	a = answer(&m, servers, 7);
	is_option(a, 14, "", 0);
	is_address(a, 0, 7);
	for (uint8_t type = 3; type <= 5; type += 2) { /* Request, Renew */
		m = begin_message(type, true);
		put_server(&m);
		put_ia(&m, 3, 7, address);
		a = answer(&m, servers, 7);
		is_address(a, 0, 7);
		is_option(a, 7, NULL, -1);
		ck_assert_int_eq(option(a, 3, 0, &p), 40); /* and no other address */
	}
	m = begin_message(6, true);
	put_ia(&m, 3, 7, stranger);
	a = answer(&m, servers, 7);
	is_address(a, 0, 7);
	n = option(a, 3, 0, &p);
	ck_assert_int_eq(find(p + 12, (size_t)n - 12, 5, 1, &q), 24); /* the other one ends */
	ck_assert_mem_eq(q, stranger, 16);
	ck_assert_mem_eq(q + 16, "\0\0\0\0\0\0\0\0", 8);
	m = begin_message(4, true);
	put_ia(&m, 3, 7, address);
	put_ia(&m, 3, 8, other); /* of its own network: as good */
	a = answer(&m, servers, 7);
	ck_assert_uint_eq(status_in(a->p + 52, a->len - 52), 0);
	put_ia(&m, 3, 9, stranger);
	a = answer(&m, servers, 7);
	ck_assert_uint_eq(status_in(a->p + 52, a->len - 52), 4);
	for (uint8_t type = 8; type <= 9; type++) { /* Release, Decline */
		m = begin_message(type, true);
		put_server(&m);
		put_ia(&m, 3, 7, address);
		a = answer(&m, servers, 7);
		ck_assert_uint_eq(status_in(a->p + 52, a->len - 52), 0);
		is_option(a, 3, NULL, -1);
	}
	/* A second address and a prefix: there is none. */
	m = begin_message(1, true);
	put_ia(&m, 25, 1, NULL);
	put_ia(&m, 3, 2, NULL);
	put_ia(&m, 3, 3, NULL);
	a = answer(&m, servers, 2);
	is_address(a, 0, 2);
	n = option(a, 3, 1, &p);
	ck_assert_uint_eq(status_in(p + 12, (size_t)n - 12), 2);
	n = option(a, 25, 0, &p);
	ck_assert_uint_eq(status_in(p + 12, (size_t)n - 12), 6);
	finish();
}
END_TEST

/* RFC 8415 section 16: what is not answered, and what is told to come to the group. */
START_TEST(test_refused)
{
	struct message m;
	const struct robot_packet *a;

	begin(PREFIX, "");
	learn();
	wire_wait(40000);
	for (uint8_t type = 0; type < 14; type++) {
		bool named = type == 3 || type == 5 || type == 8 || type == 9; /* has to name the server */

		m = begin_message(type, false);
		put_ia(&m, 3, 1, address);
		if (named)
			put_server(&m);
		ck_assert_ptr_null(ask_to(&m, servers)); /* no client; an Information-request with an IA */
		m = begin_message(type, true);
		put_ia(&m, 3, 1, address);
		if (!named)
			put_server(&m);
		ck_assert_ptr_null(ask_to(&m, servers)); /* names one though it must not, or the reverse */
		m = begin_message(type, true);
		put_ia(&m, 3, 1, address);
		duid[17] ^= 1;
		put_server(&m);
		duid[17] ^= 1;
		ck_assert_ptr_null(ask_to(&m, servers)); /* another server's */
		m = begin_message(type, true);
		if (type != 11)
			put_ia(&m, 3, 1, address);
		if (named)
			put_server(&m);
		a = ask_to(&m, gateway);
		ck_assert_int_eq(a != NULL, named);
		if (a)
			ck_assert_uint_eq(status_in(a->p + 52, a->len - 52), 5);
	}
	m = begin_message(4, true);
	put_ia(&m, 3, 1, NULL);
	ck_assert_ptr_null(ask_to(&m, servers)); /* nothing to confirm */
	/* From a global address; without checksum; to another port. */
	m = begin_message(1, true);
	uint8_t udp[64] = { 2, 546 & 255, 2, 547 & 255, 0, (uint8_t)(m.len + 8) }, p[200];
	unsigned before = r.n_packets6;
	memcpy(udp + 8, m.p, m.len);
	say(17, 1, address, servers, udp, m.len + 8);
	size_t len = packet(p, 17, 1, me, servers, udp, m.len + 8);
	p[46] = p[47] = 0;
	robot_ip6(&r, p, len);
	udp[3]++;
	say(17, 1, me, servers, udp, m.len + 8);
	ck_assert_uint_eq(r.n_packets6, before);
	ck_assert_uint_eq(wire.n_tun, 0);
	finish();
}
END_TEST

/* The same name is the same server, after whatever. */
START_TEST(test_identifier)
{
	uint8_t first[18];

	begin(PREFIX, "");
	learn();
	memcpy(first, duid, 18);
	finish();
	begin(PREFIX, "");
	learn();
	ck_assert_mem_eq(first, duid, 18);
	finish();
}
END_TEST

/* ---- the codec alone ---- */
START_TEST(test_hostile)
{
	static const uint8_t ours[18] = { 0, 4 };
	struct dhcp6_facts f = { .duid = ours, .duid_len = 18, .search = "a.example", .network = { { .family = AF_INET6 }, 64 } };
	struct message m = begin_message(1, true);
	uint8_t out[1400], *copy;
	struct dhcp6_request q;
	const char *why;

	put_ia(&m, 3, 7, address);
	put_ia(&m, 25, 8, NULL);
	put(&m, (const uint8_t[]){ 0, 6, 0, 4, 0, 23, 0, 24, 0, 14, 0, 0 }, 12);
	for (size_t n = 0; n <= m.len; n++) {
		ck_assert_ptr_nonnull(copy = malloc(n ? n : 1));
		memcpy(copy, m.p, n);
		if (dhcp6_parse(copy, n, &q, &why) == 0)
			dhcp6_answer(&q, true, &f, out, sizeof(out), &why);
		else
			ck_assert(n < m.len);
		free(copy);
	}
	ck_assert_ptr_nonnull(copy = malloc(m.len));
	for (size_t at = 0; at < m.len; at++)
		for (unsigned v = 0; v < 256; v += 3) {
			memcpy(copy, m.p, m.len);
			copy[at] = (uint8_t)v;
			if (dhcp6_parse(copy, m.len, &q, &why) == 0)
				dhcp6_answer(&q, true, &f, out, sizeof(out), &why);
		}
	free(copy);
	/* No answer is longer than there is room. */
	ck_assert_int_eq(dhcp6_parse(m.p, m.len, &q, &why), 0);
	size_t whole = dhcp6_answer(&q, true, &f, out, sizeof(out), &why);
	ck_assert_uint_gt(whole, 100);
	for (size_t n = 0; n < whole; n++)
		ck_assert_uint_eq(dhcp6_answer(&q, true, &f, out, n, &why), 0);
	/* An identifier of a client: 1 to 130 octets. */
	for (size_t n = 0; n < 140; n++) {
		m = begin_message(1, false);
		put(&m, (const uint8_t[]){ 0, 1, 0, (uint8_t)n }, 4);
		m.len += n;
		ck_assert_int_eq(dhcp6_parse(m.p, m.len, &q, &why) == 0, n >= 1 && n <= 130);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_dhcpv6");
	TCase *t = tcase_create("dhcpv6");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_information);
	tcase_add_test(t, test_address);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_identifier);
	tcase_add_test(t, test_hostile);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
