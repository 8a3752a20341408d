/* Fuzz target: DHCPINFORM. A record is an inner IPv4 packet as the data path punts it; its first octet (op) chooses the MTU
 * and how many routes there are. What is understood is answered, and the answer must be one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/datapath.h>

#include "plugins/net/dhcpinform/message.h"
#include "tests/fuzz/fuzz.h"

static void answered(const struct inform_request *q, uint8_t op)
{
	struct vd_prefix routes[INFORM_ROUTES];
	struct vd_ip dns[2] = { vd_ip4(0x0a010035), vd_ip4(0x0a010036) };
	size_t mtu = 200 + (op & 15u) * 86u, n_routes = (op >> 4) * 17u, left_out = 0;
	struct inform_facts f = { .gateway = vd_ip4(0x0a080001), .dns = dns, .n_dns = 2, .search = "corp.example.com example.com",
		.routes = routes, .n_routes = n_routes };
	uint8_t *out = malloc(mtu);

	ck_assert_ptr_nonnull(out);
	for (size_t i = 0; i < n_routes; i++)
		routes[i] = (struct vd_prefix){ .ip = vd_ip4((uint32_t)i << 12), .len = (uint8_t)(i % 33) };
	int n = inform_answer(q, &f, mtu, out, mtu, &left_out);
	ck_assert_int_le(n, (int)mtu);
	if (n >= 0) {
		ck_assert_int_ge(n, 328);
		ck_assert_uint_eq(vd_sum_fold(vd_sum(0, out, 20)), 0);
		ck_assert_uint_eq(out[28], 2);
		ck_assert_uint_le(left_out, n_routes);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record record = { 0 };
	struct vd_rd r;

	vd_rd_init(&r, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&r, &record); i++) {
		struct inform_request q;
		const char *why = NULL;
		int rc = inform_parse(record.p, record.len, &q, &why);

		ck_assert(rc == 0 || why != NULL);
		if (rc == 0)
			answered(&q, record.op);
	}
	fuzz_end(&record);
	return 0;
}

static void seed(const char *name, uint8_t op, const uint8_t *options, size_t n)
{
	uint8_t room[600];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, 0x4500);
	size_t total = vd_wr_mark(&w, 2);
	vd_wr_u32(&w, 0x12340000);
	vd_wr_u32(&w, 0x80110000);
	vd_wr_u32(&w, 0x0a08000b);
	vd_wr_u32(&w, 0xffffffff);
	vd_wr_u16(&w, INFORM_CLIENT);
	vd_wr_u16(&w, INFORM_SERVER);
	size_t len = vd_wr_mark(&w, 2);
	vd_wr_u16(&w, 0); /* no checksum */
	vd_wr_u32(&w, 0x01080000);
	vd_wr_u32(&w, 0xdeadbeef);
	vd_wr_u32(&w, 0);
	vd_wr_u32(&w, 0x0a08000b);
	vd_wr_zero(&w, 12 + 16 + 64 + 128);
	vd_wr_u32(&w, 0x63825363);
	vd_wr_u8(&w, INFORM_TYPE);
	vd_wr_u16(&w, 0x0108);
	vd_wr_put(&w, options, n);
	vd_wr_u8(&w, 255);
	vd_wr_patch_u16(&w, total, (uint16_t)w.len);
	vd_wr_patch_u16(&w, len, (uint16_t)(w.len - 20));
	ck_assert(vd_wr_ok(&w));
	fuzz_put(op, room, w.len);
	fuzz_put_done(name);
}

void fuzz_seeds(void)
{
	static const uint8_t windows[] = { 61, 7, 1, 2, 0, 0, 0, 0, 1, 12, 2, 'p', 'c', 60, 8, 'M', 'S', 'F', 'T', ' ', '5', '.', '0',
		55, 13, 1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43, 252 };
	static const uint8_t macos[] = { 55, 6, 6, 44, 43, 1, 249, 15 }, overload[] = { 52, 1, 3, 57, 2, 5, 0x78 };

	seed("windows", 0xfe, windows, sizeof(windows));
	seed("macos", 0x39, macos, sizeof(macos));
	seed("overload", 0x1f, overload, sizeof(overload));
	seed("nothing", 0x00, overload, 0);
}
