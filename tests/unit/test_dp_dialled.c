/* The data path of sessions that we dialled: found by source first, whatever their routes; in from anywhere, to our address
 * alone. Two workers without threads: sessions 1 and 2 dialled on either, session 3 a client's. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/datapath.h"
#include "tests/lib/fake.h"

#define N 3
static const struct vd_datapath_1 *dp;
static struct vd_chan chans[N];
static unsigned sent[N + 1], tun;

static void chan_send(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec)
{
	for (unsigned i = 0; i < vec->n; i++) {
		sent[chan->id]++;
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}
static const struct vd_chan_ops ops = { .send = chan_send };

static void on_sent(void *arg, const struct vd_datapath_sent *s)
{
	(void)arg;
	tun += s->way == VD_SENT_TUN;
}

static void inner(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	vd_inner_in(w, vec);
}
static const struct vd_stage stage = { "inner", inner };

/* An empty UDP datagram. */
static void make(uint8_t p[28], uint32_t src, uint32_t dst)
{
	struct vd_wr w;
	uint32_t sum = 0;

	vd_wr_init(&w, p, 28);
	vd_wr_u32(&w, 0x4500001c);
	vd_wr_u32(&w, 0);
	vd_wr_u32(&w, 0x40110000);
	vd_wr_u32(&w, src);
	vd_wr_u32(&w, dst);
	vd_wr_u32(&w, 0x00350035);
	vd_wr_u32(&w, 0x00080000);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	vd_wr_patch_u16(&w, 10, (uint16_t)~sum);
}

/* The channel that a packet from TUN leaves through; 0: none. From either worker's queue. */
static unsigned out(uint32_t src, uint32_t dst)
{
	unsigned got[2] = { 0 };

	for (unsigned worker = 0; worker < 2; worker++) {
		uint8_t p[28];

		memset(sent, 0, sizeof(sent));
		make(p, src, dst);
		vd_datapath_inject_tun(worker, NULL, p, sizeof(p));
		vd_datapath_turn();
		fake_drain();
		for (unsigned i = 1; i <= N; i++)
			if (sent[i])
				got[worker] = i;
	}
	ck_assert_uint_eq(got[0], got[1]);
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	return got[0];
}

struct in {
	unsigned n;
	uint8_t p[28];
};

static void put_in(struct vd_worker *w, void *arg)
{
	struct in *in = arg;
	struct vd_vec vec = { .n = 1 };
	const struct vd_stage *up;
	void *state;

	ck_assert(vd_pkt_new(w, sizeof(in->p), &vec.v[0]));
	memcpy(vec.v[0].p, in->p, sizeof(in->p));
	vec.v[0].len = sizeof(in->p);
	vec.v[0].sess = vd_worker_link(w, &chans[in->n - 1], 7, &up, &state);
	ck_assert_uint_ne(vec.v[0].sess, 0);
	up->run(w, state, &vec);
}

/* Whether a packet that came through session n reaches TUN. */
static bool in(unsigned n, uint32_t src, uint32_t dst)
{
	struct in what = { .n = n };
	unsigned before = tun;

	make(what.p, src, dst);
	ck_assert_int_eq(dp->call(dp->self, chans[n - 1].home, put_in, NULL, &what), 0);
	fake_drain();
	vd_datapath_turn();
	fake_drain();
	return tun > before;
}

static struct vd_prefix host(uint32_t ip)
{
	return (struct vd_prefix){ vd_ip4(ip), 32 };
}

static void add(unsigned n, uint8_t home, uint32_t address, bool dialled)
{
	struct vd_chan *c = &chans[n - 1];
	struct vd_link_desc link = { .chan = n, .key = 7, .session = n, .up = &stage };
	struct vd_wsess_desc d = { .session = n, .chan = n, .mtu = 1300, .v4 = { .len = 8 } };
	struct vd_prefix own = host(address);

	*c = (struct vd_chan){ .id = n, .peer = n, .home = home, .mtu = 1400, .ops = &ops };
	if (dialled)
		d.own = own.ip;
	else
		d.source[0] = own;
	ck_assert_int_eq(dp->chan_add(dp->self, c, NULL, NULL), 0);
	ck_assert_int_eq(dp->link_add(dp->self, &link, NULL, NULL), 0);
	ck_assert_int_eq(dp->session_add(dp->self, &d, NULL, NULL), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &own, n, NULL, NULL), 0);
	fake_drain();
}

#define OWN1 0x0a080017u
#define OWN2 0x0a090017u
#define CLIENT 0x0a070002u
#define OFFICE 0x0a280005u /* behind both gateways */
static const struct vd_prefix office = { { 2, { 10, 40, 0, 0 } }, 16 };

static void setup(void)
{
	memset(sent, 0, sizeof(sent));
	tun = 0;
	fake_init(7);
	ck_assert_int_eq(vd_datapath_init(), 0);
	dp = vd_service_find("datapath/1", NULL);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	vd_datapath_capture(on_sent, NULL);
	add(1, 0, OWN1, true);
	add(2, 1, OWN2, true);
	add(3, 0, CLIENT, false);
	ck_assert_int_eq(dp->fib_add(dp->self, &office, 1, NULL, NULL), 0);
	fake_drain();
}

static void teardown(void)
{
	fake_drain();
	vd_datapath_stop();
	fake_drain();
	vd_datapath_fini();
	fake_fini();
}

START_TEST(by_source)
{
	ck_assert_int_eq(dp->fib_add(dp->self, &office, 2, NULL, NULL), -EEXIST);
	ck_assert_uint_eq(out(OWN1, OFFICE), 1);
	ck_assert_uint_eq(out(OWN2, OFFICE), 2);
	ck_assert_uint_eq(out(OWN2, 0x08080808), 2); /* nothing leads there but what it comes from */
	ck_assert_uint_eq(out(0x0a010005, OFFICE), 1); /* forwarded: by the route */
	ck_assert_uint_eq(out(0x0a010005, 0x08080808), 0);
	/* To a client of ours, even from such an address. */
	ck_assert_uint_eq(out(OWN1, CLIENT), 3);
	ck_assert_uint_eq(out(0x0a010005, CLIENT), 3);
	/* Our own address leads nowhere as a destination: it is the host's. */
	ck_assert_uint_eq(out(0x0a010005, OWN1), 0);
}
END_TEST

START_TEST(routes_are_handed_on)
{
	struct vd_prefix own = host(OWN1);

	ck_assert_int_eq(dp->fib_del(dp->self, &office, 2, NULL, NULL), -ENOENT);
	ck_assert_int_eq(dp->fib_del(dp->self, &office, 1, NULL, NULL), 0);
	ck_assert_int_eq(dp->fib_del(dp->self, &own, 2, NULL, NULL), -ENOENT);
	ck_assert_int_eq(dp->fib_del(dp->self, &own, 1, NULL, NULL), 0);
	ck_assert_uint_eq(out(OWN1, OFFICE), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &office, 2, NULL, NULL), 0);
	ck_assert_uint_eq(out(0x0a010005, OFFICE), 2);
	ck_assert_uint_eq(out(OWN1, OFFICE), 2); /* nobody's address any more */
}
END_TEST

START_TEST(one_address_is_one_session)
{
	struct vd_wsess_desc d = { .session = 4, .chan = 2, .mtu = 1300, .own = vd_ip4(OWN1) };
	struct vd_prefix own = host(OWN1), client = host(CLIENT);

	ck_assert_int_eq(dp->session_add(dp->self, &d, NULL, NULL), 0);
	ck_assert_int_eq(dp->fib_add(dp->self, &own, 4, NULL, NULL), -EEXIST);
	/* The same address may be a client's: that is a destination. */
	ck_assert_int_eq(dp->fib_add(dp->self, &own, 3, NULL, NULL), 0);
	fake_drain();
	ck_assert_uint_eq(out(0x0a010005, OWN1), 3);
	ck_assert_uint_eq(out(OWN1, OFFICE), 1);
	ck_assert_int_eq(dp->fib_add(dp->self, &client, 1, NULL, NULL), -EEXIST);
	ck_assert_int_eq(dp->session_del(dp->self, 4, NULL, NULL), 0);
}
END_TEST

START_TEST(inward)
{
	ck_assert(in(1, OFFICE, OWN1));
	ck_assert(in(1, 0x08080808, OWN1));
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_DESTINATION), 0);
	ck_assert(!in(1, OFFICE, OWN2));
	ck_assert(!in(1, OFFICE, 0x0a010005));
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_DESTINATION), 2);
	ck_assert(!in(3, OFFICE, OWN1)); /* a client has its own address and no other */
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_SOURCE), 1);
	ck_assert(in(3, CLIENT, OWN1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dialled sessions in the data path");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, by_source);
	tcase_add_test(c, routes_are_handed_on);
	tcase_add_test(c, one_address_is_one_session);
	tcase_add_test(c, inward);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
