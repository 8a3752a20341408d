/* Plugin ike_port: what it answers itself, which is a first message of an IKE version that is not served. */
#include "ike_steps.h"
#include "tests/lib/failures.h"

#define SA_INIT 34

static struct vd_path from(unsigned host)
{
	struct vd_path path = { .local = { .ip = vd_ip4(0xc0000201), .port = 500 },
		.remote = { .ip = vd_ip4(0xcb007100 + host), .port = 500 } };

	return path;
}

/* A message of IKEv2: header, and nothing that anybody reads behind it. */
static void v2(struct msg *m, unsigned version, unsigned exchange, unsigned flags, unsigned mid, unsigned rcookie, size_t len)
{
	memset(m, 0, sizeof(*m));
	memset(m->p, 0xa5, 8);
	m->p[15] = (uint8_t)rcookie;
	m->p[16] = 33;
	m->p[17] = (uint8_t)version;
	m->p[18] = (uint8_t)exchange;
	m->p[19] = (uint8_t)flags;
	m->p[23] = (uint8_t)mid;
	m->p[26] = (uint8_t)(len >> 8);
	m->p[27] = (uint8_t)len;
	m->len = len;
}

static unsigned answers(const struct vd_path *path, const struct msg *m)
{
	unsigned n = world.n_sent;

	world_datagram(path, m->p, m->len);
	return world.n_sent - n;
}

START_TEST(test_version)
{
	static const unsigned versions[] = { 0x20, 0x21, 0x2f, 0x30, 0xf0 };
	struct vd_path path = from(_i);
	struct msg m, *r;

	v2(&m, versions[_i], SA_INIT, 0x08, 0, 0, 400);
	ck_assert_uint_eq(answers(&path, &m), 1);
	r = world_reply(0);
	ck_assert_uint_le(r->len, m.len);
	ck_assert_mem_eq(r->p, m.p, 16);           /* both SPIs */
	ck_assert_uint_eq(r->p[16], 41);           /* Notify */
	ck_assert_uint_eq(r->p[17], 0x10);         /* the version that is served */
	ck_assert_uint_eq(r->p[18], SA_INIT);
	ck_assert_uint_eq(r->p[19], 0x20);         /* a response, of who is not the initiator */
	ck_assert_mem_eq(r->p + 20, m.p + 20, 4);  /* message id */
	ck_assert_uint_eq(r->p[27], r->len);
	ck_assert_mem_eq(r->p + 28, "\0\0\0\x08\0\0\0\x05", 8); /* INVALID_MAJOR_VERSION */
	ck_assert_uint_eq(r->len, 36);
	ck_assert(vd_sa_equal(&world.sent_path[0].remote, &path.remote));
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	const struct vd_setup_failed *f = fake_last(&vd_topic_setup_failed);
	ck_assert_str_eq(f->kind, ike_port_fail_version.word);
	ck_assert_ptr_nonnull(strstr(f->text, versions[_i] >> 4 == 2 ? "speaks IKEv2" : "speaks IKEv"));
	ck_assert_ptr_nonnull(strstr(f->text, "L2TP/IPsec"));
	ck_assert(vd_ip_equal(&f->remote.ip, &path.remote.ip));
}
END_TEST

/* What is no first request of a later version is not answered: a response above all, or two gateways would talk for ever. */
START_TEST(test_version_silent)
{
	static const struct { unsigned version, exchange, flags, mid, rcookie; size_t len; } no[] = {
		{ 0x20, SA_INIT, 0x20, 0, 0, 400 }, { 0x20, SA_INIT, 0x28, 0, 0, 400 }, { 0x20, 35, 0x08, 1, 7, 400 },
		{ 0x20, SA_INIT, 0x08, 0, 7, 400 }, { 0x20, SA_INIT, 0x08, 1, 0, 400 }, { 0x20, 37, 0x08, 0, 0, 400 },
		{ 0x00, SA_INIT, 0x08, 0, 0, 400 }, { 0x20, SA_INIT, 0x08, 0, 0, 28 }, { 0x20, SA_INIT, 0x08, 0, 0, 35 },
	};
	struct vd_path path = from(9);
	struct msg m;

	for (size_t i = 0; i < VD_ARRAY_SIZE(no); i++) {
		v2(&m, no[i].version, no[i].exchange, no[i].flags, no[i].mid, no[i].rcookie, no[i].len);
		ck_assert_msg(answers(&path, &m) == 0, "%zu", i);
		fake_advance(2000);
	}
	v2(&m, 0x20, SA_INIT, 0x08, 0, 0, 36);
	ck_assert_uint_eq(answers(&path, &m), 1);
}
END_TEST

START_TEST(test_version_limits)
{
	struct vd_path path = from(1), other = from(2);
	unsigned n = 0;
	struct msg m;

	v2(&m, 0x20, SA_INIT, 0x08, 0, 0, 400);
	for (unsigned i = 0; i < 1000; i++)
		n += answers(&path, &m);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(answers(&other, &m), 1); /* nobody pays for the other */
	fake_advance(1000);
	ck_assert_uint_eq(answers(&path, &m), 1);
	n = 0;
	for (unsigned i = 0; i < 20000; i++) {
		path.remote.ip = vd_ip4(0x0a000000 + i);
		n += answers(&path, &m);
	}
	ck_assert_uint_le(n, 200);
	ck_assert_uint_ge(n, 100);
	ck_assert_uint_le(fake_events(&vd_topic_setup_failed), 3); /* provoked by anybody */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ike_port");
	TCase *t = tcase_create("port");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_version, 0, 5);
	tcase_add_test(t, test_version_silent);
	tcase_add_test(t, test_version_limits);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
