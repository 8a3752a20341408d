/* The surroundings of a link: see test_ppp_double.h. */
#include "test_ppp_double.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/crypto.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "core/object/object.h"
#include "core/session/session.h"
#include "core/state.h"
#include "tests/lib/fake.h"

struct double_state d;
bool double_dials;

static const uint8_t vector_response[24] = { 0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f, 0xaa, 0x39,
	0x81, 0xcd, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf };
static const uint8_t vector_peer[16] = { 0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b, 0x3a,
	0x33, 0x7c, 0x7e };

/* ---- the lower layer ---- */
static int lower_send(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	(void)arg;
	if (session != d.id || d.n_out == VD_ARRAY_SIZE(d.out) || len > sizeof(d.out[0].p))
		return -ENOBUFS;
	if ((int)d.attempts++ == d.lose)
		return 0;
	memcpy(d.out[d.n_out].p, p, len);
	d.out[d.n_out++].len = len;
	return 0;
}

static void lower_header(void *arg, uint64_t session, struct vd_hdr *ret_hdr)
{
	(void)arg;
	(void)session;
	*ret_hdr = (struct vd_hdr){ .len = 16, .udp_len = 4, .udp_from = 0, .l2tp_len = 10, .l2tp_from = 8 };
	for (unsigned i = 0; i < 16; i++)
		ret_hdr->bytes[i] = (uint8_t)(0xa0 + i);
}

static void lower_closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	(void)session;
	d.lower_closed++;
	vd_strcpy(d.reason, sizeof(d.reason), reason);
}

const struct vd_link_lower double_lower = { lower_send, lower_header, lower_closed };

static void owner_closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	d.service->stop(d.service->self, session, reason);
}

static const struct vd_session_owner owner = { owner_closed };

void double_begin(void)
{
	struct vd_link_params params = { .overhead = 16, .connection = "staff", .dial = double_dials };

	d.service = vd_service_find("link/1", NULL);
	ck_assert_ptr_nonnull(d.service);
	ck_assert_int_eq(d.service->start(d.service->self, d.id, &double_lower, NULL, &params), 0);
}

static int lower_export(void *self, struct vd_wr *w, struct vd_error *err)
{
	(void)self;
	(void)err;
	vd_wr_u64(w, d.id);
	return 0;
}

static int lower_import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	(void)self;
	(void)version;
	(void)mode;
	(void)err;
	ck_assert_uint_eq(vd_rd_u64(r), d.id);
	double_begin();
	return vd_session_adopt(d.id, &owner, NULL);
}

static const struct vd_layer lower_layer = { "test.lower", 1, lower_export, lower_import };

/* ---- datapath/1 ---- */
static int session_punt(void *self, uint64_t session, void (*punt)(void *, uint64_t, const uint8_t *, size_t),
	void *arg)
{
	(void)self;
	(void)session;
	d.punt = punt;
	d.punt_arg = arg;
	return 0;
}

static int session_counters(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	(void)self;
	done(arg, session, &d.counters);
	return 0;
}

static int session_add(void *self, const struct vd_wsess_desc *desc, void (*done)(void *), void *arg)
{
	(void)self;
	if (d.no_add)
		return d.no_add;
	d.desc = *desc;
	d.carried++;
	if (done && d.hold_add) {
		d.added = done;
		d.added_arg = arg;
		return 0;
	}
	return done ? vd_defer(done, arg) : 0;
}

void double_ack_add(void)
{
	ck_assert(d.added);
	ck_assert_int_eq(vd_defer(d.added, d.added_arg), 0);
	d.added = NULL;
}

static int session_del(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	(void)self;
	done(arg, session, &d.counters);
	return 0;
}

static int fib_add(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	(void)self;
	(void)session;
	if (d.no_fib && prefix->ip.family == AF_INET6)
		return d.no_fib;
	return done ? vd_defer(done, arg) : 0;
}

static int fib_del(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	(void)self;
	(void)prefix;
	(void)session;
	return done ? vd_defer(done, arg) : 0;
}

static const struct vd_datapath_1 datapath = { .session_punt = session_punt, .session_counters = session_counters,
	.session_add = session_add, .session_del = session_del, .fib_add = fib_add, .fib_del = fib_del };

/* ---- providers ---- */
static bool knows(const struct vd_authenticate *r)
{
	struct vd_slice parts[] = { { &r->id, 1 }, { "clientPass", 10 }, { r->challenge, 16 } };
	uint8_t digest[64];
	size_t n;

	if (r->method == VD_AUTH_PAP)
		return r->data.len == 10 && strcmp(d.password, "clientPass") == 0;
	if (r->method == VD_AUTH_CHAP_MD5)
		return vd_digest_parts("MD5", parts, 3, digest, &n) == 0 && memcmp(r->response, digest, 16) == 0;
	return memcmp(r->response, vector_response, 24) == 0 && memcmp(r->peer_challenge, vector_peer, 16) == 0;
}

void double_answer_auth(void)
{
	struct vd_authenticated who = { .user = "User" };
	struct vd_error why = { 0 };
	uint64_t ticket = d.auth_ticket;

	d.auth_ticket = 0;
	vd_strcpy(who.authenticator, sizeof(who.authenticator), "S=407A5589115FD0D6209F510FE9C04566932CDA56");
	vd_error_set(&why, d.code ? d.code : -EINVAL, "the double says no");
	if (d.unavailable)
		vd_reply(ticket, VD_UNAVAILABLE, NULL, &why);
	else if ((strcmp(d.request.user, "User") == 0 || strcmp(d.request.user, "CORP\\User") == 0) &&
		knows(&d.request))
		vd_reply(ticket, VD_ACCEPT, &who, NULL);
	else
		vd_reply(ticket, VD_REJECT, NULL, &why);
}

static void on_auth(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	d.asked++;
	d.request = *(const struct vd_authenticate *)ask->data;
	vd_format(d.password, sizeof(d.password), "%.*s", (int)d.request.data.len, (const char *)d.request.data.p);
	d.auth_ticket = ask->ticket;
	if (!d.hold_auth)
		double_answer_auth();
}

void double_answer_configure(void)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080017), .gateway = vd_ip4(0x0a080001),
		.dns = { vd_ip4(0x0a010035), vd_ip4(0x0a010036) } };
	struct vd_error why = { 0 };

	vd_error_set(&why, d.no_ipv4 ? -EAFNOSUPPORT : -ENOSPC, "the pool is empty");
	if (d.no_address || d.no_ipv4)
		vd_reply(d.lease_ticket, VD_REJECT, NULL, &why);
	else
		vd_reply(d.lease_ticket, VD_ACCEPT, &lease, NULL);
}

void double_answer_network(void)
{
	struct vd_leased_address net = { .length = 64 };
	struct vd_error why = { 0 };

	vd_error_set(&why, d.network ? -ENOSPC : -EAFNOSUPPORT, d.network ? "the prefix is exhausted" : "the pool has no prefix");
	ck_assert(vd_ip_parse("2001:db8:5:1::", &net.address));
	if (d.network && !d.no_networks)
		vd_reply(d.network_ticket, VD_ACCEPT, &net, NULL);
	else
		vd_reply(d.network_ticket, VD_REJECT, NULL, &why);
}

static void on_returned(void *arg, const void *event)
{
	(void)arg;
	ck_assert_uint_eq(((const struct vd_lease_returned *)event)->family, 6);
	d.returned++;
}

static void on_cancel(void *arg, uint64_t ticket)
{
	(void)arg;
	(void)ticket;
}

static void on_address(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	if (((const struct vd_lease_address *)ask->data)->family == 6) {
		d.leased6++;
		d.network_ticket = ask->ticket;
		if (!d.hold_network)
			double_answer_network();
		return;
	}
	d.leased++;
	d.lease_ticket = ask->ticket;
	if (!d.hold_configure)
		double_answer_configure();
}

static void on_route(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
}

/* ---- life ---- */
void double_again(void)
{
	vd_sessions_fini();
	vd_objects_fini();
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_layer_register(NULL, &lower_layer, NULL), 0);
}

void double_start(uint16_t mtu)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_sa remote = { .ip = vd_ip4(0xcb007105), .port = 4500 };
	struct vd_peer_up facts = { .connection = "staff" };
	struct vd_error err = { 0 };
	struct vd_peer *peer;
	struct vd_chan_info *chan;

	memset(&d, 0, sizeof(d));
	d.lose = -1;
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_layer_register(NULL, &lower_layer, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_auth, on_cancel, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, on_cancel, NULL), 0);
	ck_assert_int_eq(vd_event_subscribe(NULL, "lease_returned", on_returned, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "route_add", "tun", on_route, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "dialled_routes", "tun", on_route, NULL, NULL), 0);
	fake_service("datapath/1", NULL, &datapath);
	peer = vd_peer_new(1, &local, &remote);
	ck_assert_ptr_nonnull(peer);
	vd_peer_set_up(peer->id, &facts);
	chan = vd_chan_record(peer->id, "l2tp", mtu, &fake_maker, NULL);
	ck_assert_ptr_nonnull(chan);
	d.chan = chan->id;
	vd_chan_set_up(d.chan);
	fake_drain();
	d.id = vd_session_new(d.chan, "staff", &owner, NULL, &err);
	ck_assert_msg(d.id != 0, "%s", err.text);
	fake_drain();
}

void double_stop(void)
{
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
}

unsigned double_closed(void)
{
	ck_assert_uint_le(fake_events(&vd_topic_session_down), 1);
	return fake_events(&vd_topic_session_down);
}

const char *double_why(void)
{
	const struct vd_session_down *down = fake_last(&vd_topic_session_down);

	return down ? down->reason : "";
}

bool double_noted(const char *text)
{
	const struct vd_timeline *t = vd_timeline_find('s', d.id);

	for (unsigned i = 0; t && i < t->n; i++)
		if (strstr(t->v[(t->first + i) % VD_TIMELINE_MAX].text, text))
			return true;
	return false;
}
