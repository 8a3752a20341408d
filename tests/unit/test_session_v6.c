/* Sessions with a network of IPv6: what is asked of the pools, and what a session has when they give only one family. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "tests/unit/session_fixture.h"

static uint64_t configuring(void)
{
	uint64_t id = fx_new("staff");

	ck_assert_int_eq(fx_auth(id, "alice"), 0);
	fake_drain();
	fx.n_done = 0;
	ck_assert_int_eq(fx_configure(id), 0);
	fake_drain();
	return id;
}

static const char *note(uint64_t id, const char *begin)
{
	const struct vd_timeline *t = vd_session_timeline(id);

	for (unsigned i = 0; i < t->n; i++)
		if (!strncmp(t->v[i].text, begin, strlen(begin)))
			return t->v[i].text;
	return "";
}

START_TEST(both)
{
	const struct vd_session_up *up;
	uint64_t id;

	fx.want = VD_WANT_V4 | VD_WANT_V6;
	ck_assert(vd_ip_parse("2001:db8:5:1::", &fx.grant.network));
	id = fx_up("staff", "alice");
	ck_assert_msg(fx_order("ask-address ", "ask-network ", "configured ", "session_add ", "fib_add(10.8.0.23/32) ",
			      "fib_add(2001:db8:5:1::/64) ", "session_up ", NULL), "%s", fx.trace);
	ck_assert_uint_eq(fx.leased6.length, 64);
	ck_assert_uint_eq(fx.leased.length, 0);
	ck_assert(vd_ip_equal(&fx.leased6.want, &fx.grant.network));
	ck_assert_str_eq(fx.leased6.pool, "staff");
	up = fake_last(&vd_topic_session_up);
	ck_assert_uint_eq(vd_ip_u32(&up->address), 0x0a080017);
	ck_assert_uint_eq(up->network.len, 64);
	ck_assert(vd_ip_equal(&up->network.ip, &fx.grant.network));
	ck_assert_uint_eq(fx.fibs, 2);
	vd_session_close(id, "done", true);
	fake_drain();
	ck_assert_uint_eq(fx.fibs, 0);
}
END_TEST

/* A pool without a prefix is no news, and one that is exhausted does not keep anybody out. */
START_TEST(only_v4)
{
	static const enum fx_manner manners[] = { FX_NO_SUCH, FX_PASS, FX_REJECT, FX_UNAVAILABLE };

	fx.want = VD_WANT_V4 | VD_WANT_V6;
	for (size_t i = 0; i < VD_ARRAY_SIZE(manners); i++) {
		uint64_t id;

		fx.network = manners[i];
		id = configuring();
		ck_assert_uint_eq(fx.n_done, 1);
		ck_assert(!fx.failed);
		ck_assert_uint_eq(vd_session_find(id)->lease6.address.family, 0);
		ck_assert_uint_ne(vd_session_find(id)->lease4.address.family, 0);
		ck_assert_str_eq(note(id, "no IPv6"), i < 2 ? "" : "no IPv6: says the double");
		vd_session_close(id, "next", true);
		fake_drain();
	}
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
}
END_TEST

/* A pool of IPv6 alone; one that has IPv4 addresses, and none for this user, is a failure all the same. */
START_TEST(only_v6)
{
	static const enum fx_manner fatal[] = { FX_REJECT, FX_UNAVAILABLE };
	const struct vd_session_up *up;
	uint64_t id;

	fx.want = VD_WANT_V4 | VD_WANT_V6;
	fx.address = FX_NO_SUCH;
	id = fx_up("staff", "alice");
	ck_assert_uint_eq(vd_session_find(id)->lease4.address.family, 0);
	up = fake_last(&vd_topic_session_up);
	ck_assert_uint_eq(up->address.family, 0);
	ck_assert_uint_eq(up->network.len, 64);
	ck_assert_str_eq(note(id, "up with"), "up with 2001:db8:5:1::/64, mtu 1280");
	vd_session_close(id, "next", true);
	fake_drain();
	for (size_t i = 0; i < VD_ARRAY_SIZE(fatal); i++) {
		fx.address = fatal[i];
		id = configuring();
		ck_assert_uint_eq(fx.n_done, 1);
		ck_assert(fx.failed);
		ck_assert_str_eq(fx.stage, "address");
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), i + 1);
		ck_assert_int_eq(fx_establish(id), -EINVAL);
		vd_session_close(id, "next", true);
		fake_drain();
	}
	fx.address = fx.network = FX_NO_SUCH;
	id = configuring();
	ck_assert(fx.failed);
	ck_assert_int_eq(fx.err.code, -EAFNOSUPPORT);
	vd_session_close(id, "next", true);
	fake_drain();
	/* Who wants IPv6 alone gets no address, and hears why he gets nothing. */
	fx.want = VD_WANT_V6;
	fx.trace[0] = 0;
	configuring();
	ck_assert_uint_eq(fx_count("ask-address"), 0);
	ck_assert(fx.failed);
	ck_assert_str_eq(fx.stage, "address");
}
END_TEST

/* One answer is late, or the session ends between the two. */
START_TEST(one_is_late)
{
	struct vd_leased_address net = { .length = 64 };
	uint64_t id;

	fx.want = VD_WANT_V4 | VD_WANT_V6;
	fx.network = FX_SILENT;
	id = configuring();
	ck_assert_uint_eq(fx.n_done, 0);
	ck_assert_int_eq(fx_configure(id), -EBUSY);
	ck_assert(vd_ip_parse("2001:db8:5:7::", &net.address));
	vd_reply(fx.network_ticket, VD_ACCEPT, &net, NULL);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert(vd_ip_equal(&vd_session_find(id)->lease6.address, &net.address));
	vd_session_close(id, "next", true);
	fake_drain();

	id = configuring();
	fake_advance(5000);
	ck_assert_uint_eq(fx.n_done, 1);
	ck_assert(!fx.failed);
	vd_session_close(id, "next", true);
	fake_drain();

	id = configuring();
	vd_session_close(id, "next", true);
	fake_drain();
	vd_reply(fx.network_ticket, VD_ACCEPT, &net, NULL);
	fake_drain();
	ck_assert_uint_eq(fx.n_done, 0);
	ck_assert_ptr_null(vd_session_find(id));
	ck_assert_uint_eq(fake_next(), UINT64_MAX);
}
END_TEST

static struct {
	unsigned n;
	int code;
	char text[128];
} six;

static void leased6(void *arg, uint64_t session, const struct vd_error *err)
{
	ck_assert_ptr_eq(arg, &six);
	ck_assert_ptr_nonnull(vd_session_find(session));
	six.n++;
	six.code = err ? err->code : 0;
	vd_strcpy(six.text, sizeof(six.text), err ? err->text : "");
}

static int lease6(uint64_t id)
{
	return vd_session_lease6(id, leased6, &six);
}

/* Asked for by the client: leased, brought to it, given back, and all of it again. */
START_TEST(later)
{
	struct vd_wsess_desc link = { .v4 = { .len = 3 }, .v6 = { .len = 3 }, .mtu = 9 };
	uint64_t id;

	memset(&six, 0, sizeof(six));
	fx.want = VD_WANT_V4 | VD_WANT_V6_LATER;
	ck_assert(vd_ip_parse("2001:db8:5:1::", &fx.grant.network));
	ck_assert_int_eq(lease6(99), -ENOENT);
	ck_assert_int_eq(vd_session_return6(99), -ENOENT);
	id = fx_new("staff");
	ck_assert_int_eq(lease6(id), -EINVAL);
	vd_session_close(id, "next", true);
	ck_assert_int_eq(lease6(id), -EINVAL);
	fake_drain();
	id = fx_up("staff", "alice");
	ck_assert_uint_eq(fx_count("ask-network"), 0);
	ck_assert_uint_eq(fx.fibs, 1);
	ck_assert_int_eq(vd_session_carry(id, &link), -EINVAL);
	ck_assert_int_eq(vd_session_return6(id), -EINVAL);
	for (unsigned i = 1; i < 4; i++) {
		fx.trace[0] = 0;
		ck_assert_int_eq(lease6(id), 0);
		ck_assert_int_eq(lease6(id), -EBUSY);
		ck_assert_uint_eq(six.n, i - 1);
		fake_drain();
		ck_assert_uint_eq(six.n, i);
		ck_assert_int_eq(six.code, 0);
		ck_assert(vd_ip_equal(&fx.leased6.want, &fx.grant.network));
		ck_assert_str_eq(fx.leased6.pool, "staff");
		ck_assert_uint_eq(vd_session_find(id)->lease6.length, 64);
		ck_assert_int_eq(lease6(id), -EINVAL);
		ck_assert_int_eq(vd_session_carry(id, &link), 0);
		ck_assert_int_eq(vd_session_carry(id, &link), 0);
		ck_assert_uint_eq(fx.fibs, 2);
		ck_assert_uint_eq(fx.desc.source[1].len, 64);
		ck_assert_int_eq(vd_session_return6(id), 0);
		fake_drain();
		ck_assert_msg(fx_order("ask-network ", "fib_add(2001:db8:5:1::/64) ", "session_add ", "session_add ", "session_add ",
				      "fib_del(2001:db8:5:1::/64) ", "lease_returned ", NULL), "%s", fx.trace);
		ck_assert_uint_eq(fx.fibs, 1);
		ck_assert_uint_eq(fx.desc.source[1].len, 0);
		ck_assert_uint_eq(fx.desc.source[0].len, 32);
		ck_assert_uint_eq(fx.desc.v6.len, 0);
		ck_assert_uint_eq(fx.desc.v4.len, 3);
		ck_assert_uint_eq(vd_session_find(id)->lease6.address.family, 0);
	}
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	ck_assert_int_eq(vd_session_carry(id, &link), 0);
	vd_session_close(id, "done", true);
	ck_assert_int_eq(vd_session_return6(id), -EINVAL);
	fake_drain();
	ck_assert_uint_eq(fx.fibs, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_lease_returned), 3);
}
END_TEST

/* Leased before the session comes up it is brought there with the address; while it comes up, when it is carried. */
START_TEST(later_early)
{
	struct vd_wsess_desc link = { .v4 = { .len = 3 }, .v6 = { .len = 3 }, .mtu = 9 };

	fx.want = VD_WANT_V4 | VD_WANT_V6_LATER;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t id = configuring();

		fx.trace[0] = 0;
		memset(&six, 0, sizeof(six));
		if (i == 1)
			ck_assert_int_eq(fx_establish(id), 0);
		ck_assert_int_eq(lease6(id), 0);
		fake_drain();
		ck_assert_uint_eq(six.n, 1);
		if (i == 2) { /* given back before it was told to anybody */
			ck_assert_int_eq(vd_session_return6(id), 0);
			ck_assert_int_eq(lease6(id), 0);
			fake_drain();
		}
		if (i != 1)
			ck_assert_int_eq(fx_establish(id), 0);
		fake_drain();
		ck_assert_int_eq(vd_session_find(id)->state, VD_S_UP);
		ck_assert_int_eq(vd_session_carry(id, &link), 0);
		ck_assert_uint_eq(fx_count("fib_add(2001:db8:5:1::/64)"), 1);
		ck_assert_uint_eq(fx.fibs, 2);
		ck_assert_uint_eq(fx.desc.source[1].len, 64);
		vd_session_close(id, "next", true);
		fake_drain();
		ck_assert_uint_eq(fx.fibs, 0);
		ck_assert_uint_eq(fx.sessions, fx_count("session_add ") - fx_count("session_del "));
		fx.sessions = 0;
	}
}
END_TEST

/* No, and no answer; and workers that cannot be told. */
START_TEST(later_refused)
{
	struct vd_wsess_desc link = { .v4 = { .len = 3 }, .v6 = { .len = 3 }, .mtu = 9 };
	struct vd_leased_address net = { .length = 64 };
	uint64_t id, before = vd_counter("core.session.no_ipv6");
	static uint8_t room[4096];
	struct vd_error err;
	struct vd_wr w;

	memset(&six, 0, sizeof(six));
	fx.want = VD_WANT_V4 | VD_WANT_V6_LATER;
	id = fx_up("staff", "alice");
	fx.network = FX_NO_SUCH;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	ck_assert_int_eq(six.code, -EAFNOSUPPORT);
	ck_assert_uint_eq(vd_counter("core.session.no_ipv6"), before);
	fx.network = FX_PASS;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	ck_assert_int_eq(six.code, -EACCES);
	ck_assert_str_eq(note(id, "no IPv6"), "");
	fx.network = FX_REJECT;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	ck_assert_uint_eq(six.n, 3);
	ck_assert_str_eq(six.text, "says the double");
	ck_assert_str_eq(note(id, "no IPv6"), "no IPv6: says the double");
	ck_assert_uint_eq(vd_counter("core.session.no_ipv6"), before + 1);
	ck_assert_uint_eq(fake_events(&vd_topic_lease_returned), 0);
	/* Too late: what is granted all the same is given back. */
	fx.network = FX_SILENT;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), -EAGAIN);
	fake_advance(5000);
	ck_assert_uint_eq(six.n, 4);
	ck_assert_int_ne(six.code, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_lease_returned), 1);
	ck_assert(vd_ip_parse("2001:db8:5:7::", &net.address));
	vd_reply(fx.network_ticket, VD_ACCEPT, &net, NULL);
	fake_drain();
	ck_assert_uint_eq(vd_session_find(id)->lease6.address.family, 0);
	/* Workers that cannot be told. */
	fx.network = FX_ACCEPT;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	fx.fib_add = FX_REFUSE;
	ck_assert_int_eq(vd_session_carry(id, &link), -EEXIST);
	fx.fib_add = FX_ACCEPT;
	ck_assert_int_eq(vd_session_carry(id, &link), 0);
	fx.session_add = FX_REFUSE;
	ck_assert_int_eq(vd_session_return6(id), -ENOBUFS);
	fx.session_add = FX_ACCEPT;
	ck_assert_uint_eq(vd_session_find(id)->lease6.length, 64);
	ck_assert_uint_eq(fx.desc.source[1].len, 64);
	fx.fib_del = FX_REFUSE;
	ck_assert_int_eq(vd_session_return6(id), -ENOBUFS);
	fx.fib_del = FX_ACCEPT;
	ck_assert_uint_eq(vd_session_find(id)->lease6.length, 64);
	ck_assert_uint_eq(fx.desc.v6.len, 0);
	ck_assert_int_eq(vd_session_carry(id, &link), 0);
	ck_assert_uint_eq(fx.desc.source[1].len, 64);
	ck_assert_uint_eq(fx.fibs, 2);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_lease_returned), 1);
	ck_assert_int_eq(vd_session_return6(id), 0);
	/* The session ends while it is asked for. */
	fx.network = FX_SILENT;
	ck_assert_int_eq(lease6(id), 0);
	fake_drain();
	vd_session_close(id, "done", true);
	fake_drain();
	vd_reply(fx.network_ticket, VD_ACCEPT, &net, NULL);
	fake_drain();
	ck_assert_uint_eq(six.n, 5);
	ck_assert_uint_eq(fake_next(), UINT64_MAX);
}
END_TEST

/* A pool without IPv4 addresses: the network is all there is. */
START_TEST(later_only_v6)
{
	uint64_t id;

	fx.want = VD_WANT_V4 | VD_WANT_V6_LATER;
	fx.address = FX_NO_SUCH;
	id = configuring();
	ck_assert_msg(fx_order("ask-address ", "ask-network ", "configured ", NULL), "%s", fx.trace);
	ck_assert(!fx.failed);
	ck_assert_uint_eq(vd_session_find(id)->lease6.length, 64);
	vd_session_close(id, "next", true);
	fake_drain();
	fx.network = FX_NO_SUCH;
	id = configuring();
	ck_assert(fx.failed);
	ck_assert_int_eq(fx.err.code, -EAFNOSUPPORT);
	vd_session_close(id, "next", true);
	fake_drain();
	/* One that has some, and none for this user, is a failure without IPv6 too. */
	fx.address = FX_REJECT;
	fx.trace[0] = 0;
	configuring();
	ck_assert(fx.failed);
	ck_assert_uint_eq(fx_count("ask-network"), 0);
}
END_TEST

/* A protocol of PPP joins and leaves a session that is up. */
START_TEST(joins)
{
	struct vd_wsess_desc link = { .v4 = { .bytes = { 1, 2, 3 }, .len = 3 }, .v6 = { .bytes = { 1, 2, 4 }, .len = 3 },
		.mtu = 9 };
	const struct vd_session_ipv6 *told;
	uint64_t id;

	fake_watch(&vd_topic_session_ipv6);
	fx.want = VD_WANT_V4 | VD_WANT_V6;
	id = fx_new("staff");
	ck_assert_int_eq(vd_session_carry(id + 99, &link), -ENOENT);
	ck_assert_int_eq(vd_session_carry(id, &link), -EINVAL);
	vd_session_close(id, "next", true);
	fake_drain();
	id = fx_up("staff", "alice");
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 0);
	ck_assert(vd_ip_parse("fe80::1", &link.link_local[0]) && vd_ip_parse("fe80::77", &link.link_local[1]));
	ck_assert_int_eq(vd_session_carry(id, &link), 0);
	fake_drain();
	told = fake_last(&vd_topic_session_ipv6);
	ck_assert(told->up);
	ck_assert_uint_eq(told->network.len, 64);
	ck_assert(vd_ip_equal(&told->remote, &link.link_local[1]));
	ck_assert(vd_ip_equal(&vd_session_find(id)->link_local[0], &link.link_local[0]));
	/* The rest of what the workers know stays. */
	ck_assert_uint_eq(fx.desc.v6.bytes[2], 4);
	ck_assert_uint_eq(fx.desc.mtu, 1280);
	ck_assert_uint_eq(fx.desc.session, id);
	ck_assert_uint_eq(fx.desc.source[1].len, 64);
	ck_assert_int_eq(vd_session_carry(id, &link), 0); /* nothing new */
	/* The peer moved: both headers follow. */
	ck_assert_int_eq(vd_session_header(id, (const uint8_t *)"\7\7", 2), 0);
	ck_assert_mem_eq(fx.desc.v4.bytes, "\7\7\3", 3);
	ck_assert_mem_eq(fx.desc.v6.bytes, "\7\7\4", 3);
	link.v4.len = 0;
	ck_assert_int_eq(vd_session_carry(id, &link), 0);
	ck_assert_int_eq(vd_session_header(id, (const uint8_t *)"\5\5", 2), 0);
	ck_assert_mem_eq(fx.desc.v6.bytes, "\5\5\4", 3);
	ck_assert_uint_eq(fx.desc.v4.len, 0);
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
	fx.session_add = FX_REFUSE;
	ck_assert_int_eq(vd_session_carry(id, &(struct vd_wsess_desc){ .v4 = { .len = 3 } }), -ENOBUFS);
	fx.session_add = FX_ACCEPT;
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_session_ipv6), 1);
	ck_assert_int_eq(vd_session_carry(id, &(struct vd_wsess_desc){ .v4 = { .len = 3 } }), 0);
	fake_drain();
	ck_assert(!((const struct vd_session_ipv6 *)fake_last(&vd_topic_session_ipv6))->up);
	ck_assert_uint_eq(vd_session_find(id)->link_local[0].family, 0);
	vd_session_close(id, "done", true);
	ck_assert_int_eq(vd_session_carry(id, &link), -EINVAL);
	fake_drain();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions with IPv6");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failures;

	tcase_add_checked_fixture(c, fx_start, fx_stop);
	tcase_add_test(c, both);
	tcase_add_test(c, only_v4);
	tcase_add_test(c, only_v6);
	tcase_add_test(c, one_is_late);
	tcase_add_test(c, later);
	tcase_add_test(c, later_early);
	tcase_add_test(c, later_refused);
	tcase_add_test(c, later_only_v6);
	tcase_add_test(c, joins);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failures = srunner_ntests_failed(r);
	srunner_free(r);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
