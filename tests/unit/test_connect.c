/* Connections that we dial: when, how often again, and what who asked hears. connect/1 is the test's. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/connect.h>
#include <viaduct/report.h>

#include "core/connect/connect.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/lib/fake.h"

static bool unknown; /* the resolver knows no name */

/* The resolver, for one name that has several addresses, the first of which no socket of ours reaches. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	static struct sockaddr_in v4[2];
	static struct sockaddr_in6 v6;
	static struct addrinfo list[3];
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (unknown)
		return EAI_AGAIN;
	if (strcmp(name, "many.example")) {
		real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
		return real(name, service, hints, ret);
	}
	v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr.s6_addr = { 0x20, 0x01, 0x0d, 0xb8 } };
	list[0] = (struct addrinfo){ .ai_family = AF_INET6, .ai_addr = (void *)&v6, .ai_addrlen = sizeof(v6), .ai_next = &list[1] };
	for (unsigned i = 0; i < 2; i++) {
		v4[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007108 + i) };
		list[1 + i] = (struct addrinfo){ .ai_family = AF_INET, .ai_addr = (void *)&v4[i], .ai_addrlen = sizeof(v4[i]),
			.ai_next = i ? NULL : &list[2] };
	}
	*ret = list;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	void (*real)(struct addrinfo *) = (void (*)(struct addrinfo *))dlsym(RTLD_NEXT, "freeaddrinfo");

	if (list && list->ai_addr && list->ai_family == AF_INET6 && list->ai_next && list->ai_next->ai_next)
		return; /* that one */
	real(list);
}

static struct {
	unsigned ups, downs, answers;
	uint64_t id;
	bool refuses, hangs; /* hangs: down is not followed by ended at once */
	struct vd_connect_events events;
	struct vd_path path;
	char connection[VD_NAME_MAX], why[VD_ID_TEXT];
	struct vd_dial_status status;
	struct vd_error err;
	bool failed;
} t;

static int up(void *self, const char *connection, const struct vd_path *path, const struct vd_connect_events *events,
	void *arg, uint64_t *ret_dial, struct vd_error *err)
{
	(void)self;
	(void)arg;
	if (t.refuses)
		return vd_error_set(err, -ENOKEY, "it has no password");
	t.ups++;
	t.events = *events;
	t.path = *path;
	vd_strcpy(t.connection, sizeof(t.connection), connection);
	*ret_dial = ++t.id;
	return 0;
}

static void end_now(void *arg)
{
	t.events.ended(NULL, (uint64_t)(uintptr_t)arg, t.why);
}

static void down(void *self, uint64_t dial, const char *reason)
{
	(void)self;
	t.downs++;
	vd_strcpy(t.why, sizeof(t.why), reason);
	if (!t.hangs)
		vd_defer(end_now, (void *)(uintptr_t)dial);
}
static const struct vd_connect_1 dialler = { .up = up, .down = down };

static void done(void *arg, const struct vd_dial_status *status, const struct vd_error *err)
{
	(void)arg;
	t.answers++;
	t.status = *status;
	t.failed = err != NULL;
	if (err)
		t.err = *err;
}

static struct vd_dial_status status(const char *name)
{
	struct vd_dial_status s;

	ck_assert(vd_connect_status(name, &s));
	return s;
}

static uint64_t session;
static void closed(void *arg, uint64_t id, const char *reason)
{
	(void)arg;
	(void)id;
	(void)reason;
}
static const struct vd_session_owner owner = { closed };

static void make_session(void)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000207), .port = 500 }, remote = { .ip = vd_ip4(0xcb007109), .port = 500 };
	struct vd_peer_up facts = { .connection = "office" };
	struct vd_error err = { 0 };
	struct vd_peer *peer = vd_peer_new(1, &local, &remote);
	struct vd_chan_info *chan;

	vd_peer_set_up(peer->id, &facts);
	chan = vd_chan_record(peer->id, "l2tp", 1400, &fake_maker, NULL);
	vd_chan_set_up(chan->id);
	session = vd_session_new(chan->id, "office", &owner, NULL, &err);
	ck_assert_msg(session != 0, "%s", err.text);
}

static void begin(const char *yaml)
{
	memset(&t, 0, sizeof(t));
	fake_init(5);
	fake_conf(yaml, NULL, NULL);
	fake_watch(&vd_topic_setup_failed);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	fake_service("connect/1", "l2tp", &dialler);
	make_session();
	ck_assert_int_eq(vd_connect_start(), 0);
	fake_advance(0);
}

static void end(void)
{
	vd_connect_stop();
	fake_advance(0);
	vd_connect_fini();
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	fake_conf_fini();
	fake_fini();
}

#define LISTEN "gateway: { listen: [192.0.2.7] }\n"
#define OFFICE LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9 }, staff: { accept: [] } }\n"
#define BOOT LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9, start: boot } }\n"

static void ask_up(void)
{
	struct vd_error err = { 0 };

	ck_assert_int_eq(vd_connect_up("office", done, NULL, &err), 0);
	ck_assert_uint_eq(t.answers, 0); /* never before it returned */
	fake_advance(0);
}

static void comes_up(void)
{
	t.events.up(NULL, t.id, session);
	fake_advance(0);
}

START_TEST(on_demand)
{
	struct vd_error err = { 0 };

	begin(OFFICE);
	fake_advance(100000);
	ck_assert_uint_eq(t.ups, 0);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	ask_up();
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_str_eq(t.connection, "office");
	ck_assert_uint_eq(t.path.endpoint, 1);
	ck_assert_uint_eq(vd_ip_u32(&t.path.local.ip), 0xc0000207);
	ck_assert_uint_eq(vd_ip_u32(&t.path.remote.ip), 0xcb007109);
	ck_assert_uint_eq(t.path.remote.port, 500);
	ck_assert_int_eq(status("office").state, VD_DIAL_DIALLING);
	comes_up();
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(!t.failed);
	ck_assert_int_eq(t.status.state, VD_DIAL_UP);
	ck_assert_uint_eq(t.status.session, session);
	/* Once more: it is up. */
	t.answers = 0;
	ask_up();
	ck_assert_uint_eq(t.answers, 1);
	ck_assert_uint_eq(t.ups, 1);
	t.answers = 0;
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(!t.failed);
	ck_assert_int_eq(t.status.state, VD_DIAL_DOWN);
	ck_assert_str_eq(t.status.reason, "enough");
	fake_advance(1000000);
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	/* And again from there. */
	t.answers = 0;
	ask_up();
	ck_assert_uint_eq(t.ups, 2);
	end();
	ck_assert_uint_eq(t.downs, 2);
}
END_TEST

START_TEST(nobody_by_that_name)
{
	struct vd_error err = { 0 };
	struct vd_dial_status s;

	begin(OFFICE);
	ck_assert_int_eq(vd_connect_up("staff", done, NULL, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "no connection staff that we dial"));
	ck_assert_int_eq(vd_connect_down("nobody", "x", done, NULL, &err), -ENOENT);
	ck_assert(!vd_connect_status("nobody", &s));
	fake_advance(0);
	ck_assert_uint_eq(t.answers, 0);
	end();
}
END_TEST

/* Somebody waits for the answer: the first failure is one, and nobody dials behind his back. */
START_TEST(a_first_failure_is_an_answer)
{
	begin(OFFICE);
	ask_up();
	t.events.ended(NULL, t.id, "wrong PSK");
	fake_advance(0);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(t.failed);
	ck_assert_str_eq(t.err.text, "wrong PSK");
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	ck_assert_str_eq(status("office").reason, "wrong PSK");
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_str_eq(((const struct vd_setup_failed *)fake_last(&vd_topic_setup_failed))->connection, "office");
	fake_advance(1000000);
	ck_assert_uint_eq(t.ups, 1);
	end();
}
END_TEST

/* Who noticed has said why already. */
START_TEST(one_report_per_failure)
{
	begin(OFFICE);
	ask_up();
	vd_report_failure(&(struct vd_report){ .kind = &vd_fail_other, .connection = "office", .dialled = true,
		.difference = "wrong password" });
	fake_drain();
	t.events.ended(NULL, t.id, "wrong password (691)");
	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	end();
}
END_TEST

START_TEST(again_and_again)
{
	uint64_t least = 0, most = 0;

	begin(BOOT);
	ck_assert_uint_eq(t.ups, 1);
	for (unsigned i = 1; i <= 12; i++) {
		uint64_t base = i > 6 ? 60000 : 1000u << (i - 1), wait;

		t.events.ended(NULL, t.id, "no answer");
		fake_drain();
		ck_assert_int_eq(status("office").state, VD_DIAL_WAITING);
		ck_assert_uint_eq(status("office").failures, i);
		wait = status("office").next_ms;
		ck_assert_uint_ge(wait, base * 3 / 4);
		ck_assert_uint_le(wait, base * 5 / 4);
		if (base == 60000) {
			least = !least || wait < least ? wait : least;
			most = wait > most ? wait : most;
		}
		fake_advance(wait - 1);
		ck_assert_uint_eq(t.ups, i);
		fake_advance(1);
		ck_assert_uint_eq(t.ups, i + 1);
	}
	ck_assert_uint_gt(most, least); /* a hundred of them do not come back at one moment */
	end();
}
END_TEST

/* What broke after it was up is dialled again, also a manual one; steady ones from the shortest wait. */
START_TEST(it_breaks)
{
	begin(OFFICE);
	ask_up();
	comes_up();
	for (unsigned i = 1; i <= 3; i++) { /* up, and gone at once: no faster than failures */
		fake_advance(1000);
		t.events.ended(NULL, t.id, "the peer is dead");
		fake_drain();
		ck_assert_int_eq(status("office").state, VD_DIAL_WAITING);
		ck_assert_uint_eq(status("office").failures, i);
		ck_assert_uint_ge(status("office").next_ms, (500u << i) * 3 / 4);
		fake_advance(status("office").next_ms);
		comes_up();
	}
	fake_advance(60000);
	t.events.ended(NULL, t.id, "the peer is dead");
	fake_drain();
	ck_assert_uint_eq(status("office").failures, 1);
	ck_assert_uint_le(status("office").next_ms, 1250);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0); /* no set-up failed */
	/* down while it waits */
	struct vd_error err = { 0 };
	t.answers = 0;
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(100000);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	end();
}
END_TEST

static unsigned ways;
static struct vd_held_way way;
static uint64_t way_ticket;

static void on_held_way(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	ways++;
	way = *(const struct vd_held_way *)ask->data;
	way_ticket = ask->ticket;
}

static void on_way_cancelled(void *arg, uint64_t ticket)
{
	(void)arg;
	ck_assert_uint_eq(ticket, way_ticket);
	way_ticket = 0;
}

/* A connection for everything: from its first session on no attempt begins before its gateway has a way around what is held, and its
 * routes are free when nobody wants it any more. */
START_TEST(routes_are_held)
{
	struct vd_error err = { 0 };

	begin(LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9, routes: all } }\n");
	fake_watch(&vd_topic_routes_free);
	ways = 0;
	ck_assert_int_eq(vd_provide(NULL, "held_way", "tun", on_held_way, on_way_cancelled, NULL), 0);
	ask_up();
	ck_assert_uint_eq(ways, 0); /* nothing is held yet */
	comes_up();
	t.events.ended(NULL, t.id, "the peer is dead");
	fake_drain();
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 0);
	fake_advance(2000);
	ck_assert_uint_eq(ways, 1);
	ck_assert_uint_eq(t.ups, 1); /* waits */
	ck_assert_uint_eq(vd_ip_u32(&way.gateways[0]), 0xcb007109);
	ck_assert_uint_eq(way.gateways[1].family, 0);
	ck_assert_str_eq(way.connection, "office");
	vd_reply(way_ticket, VD_ACCEPT, NULL, NULL);
	fake_advance(0);
	ck_assert_uint_eq(t.ups, 2);
	t.events.ended(NULL, t.id, "no answer");
	fake_drain();
	fake_advance(4000);
	ck_assert_uint_eq(ways, 2);
	/* Taken down while it waits for the way. */
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(20000);
	ck_assert_uint_eq(way_ticket, 0);
	ck_assert_uint_eq(t.ups, 2);
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 1);
	ck_assert_str_eq(((const struct vd_routes_free *)fake_last(&vd_topic_routes_free))->connection, "office");
	/* Up again and down in order: held in between. */
	t.answers = 0;
	ask_up();
	comes_up();
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 2);
	end();
	/* A session that held them and never came up. */
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9, routes: all } }\n");
	fake_watch(&vd_topic_routes_free);
	ask_up();
	t.events.ended(NULL, t.id, "not today");
	fake_advance(0);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 1);
	end();
	/* One with some networks holds nothing, unless that is said. */
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9, routes: [10.0.0.0/8] } }\n");
	fake_watch(&vd_topic_routes_free);
	ask_up();
	comes_up();
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 0);
	end();
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: 203.0.113.9, routes: [10.0.0.0/8], hold_routes: true } }\n");
	fake_watch(&vd_topic_routes_free);
	ask_up();
	comes_up();
	ck_assert_int_eq(vd_connect_down("office", "enough", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(fake_events(&vd_topic_routes_free), 1);
	end();
}
END_TEST

/* The name server may be behind what is held: the last addresses of the name have to do. */
START_TEST(name_lost_while_held)
{
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: many.example, routes: all } }\n");
	ask_up();
	ck_assert_uint_eq(t.ups, 1);
	comes_up();
	unknown = true;
	t.events.ended(NULL, t.id, "the peer is dead");
	fake_drain();
	fake_advance(2000);
	unknown = false;
	ck_assert_uint_eq(t.ups, 2);
	end();
}
END_TEST

/* Between the end of its session and that of all below it. */
START_TEST(says_goodbye)
{
	begin(OFFICE);
	ask_up();
	comes_up();
	ck_assert_int_eq(status("office").state, VD_DIAL_UP);
	vd_session_close(session, "the gateway ended the connection", true);
	ck_assert_int_eq(status("office").state, VD_DIAL_ENDING);
	fake_advance(0);
	ck_assert_int_eq(status("office").state, VD_DIAL_ENDING);
	t.events.ended(NULL, t.id, "the gateway ended the connection");
	fake_drain();
	ck_assert_int_eq(status("office").state, VD_DIAL_WAITING);
	end();
}
END_TEST

/* up while it waits: now. */
START_TEST(impatience)
{
	begin(BOOT);
	t.events.ended(NULL, t.id, "no answer");
	fake_drain();
	ask_up();
	ck_assert_uint_eq(t.ups, 2);
	t.events.ended(NULL, t.id, "no answer");
	fake_advance(0);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(t.failed);
	ck_assert_int_eq(status("office").state, VD_DIAL_WAITING); /* of the boot: it goes on */
	end();
}
END_TEST

/* The daemon ends before anything else has: whoever waits hears so. */
START_TEST(stopped_while_it_dials)
{
	begin(OFFICE);
	t.hangs = true;
	ask_up();
	end();
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(t.failed);
}
END_TEST

START_TEST(taken_down_while_it_dials)
{
	struct vd_error err = { 0 };

	begin(OFFICE);
	t.hangs = true;
	ask_up();
	ck_assert_int_eq(vd_connect_down("office", "changed my mind", done, NULL, &err), 0);
	ck_assert_uint_eq(t.answers, 1); /* the one who waited for up */
	ck_assert(t.failed);
	ck_assert_int_eq(status("office").state, VD_DIAL_ENDING);
	ck_assert_int_eq(vd_connect_up("office", done, NULL, &err), -EBUSY);
	comes_up(); /* too late */
	ck_assert_int_eq(status("office").state, VD_DIAL_ENDING);
	t.events.ended(NULL, t.id, t.why);
	fake_advance(0);
	ck_assert_uint_eq(t.answers, 2);
	ck_assert(!t.failed);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	end();
}
END_TEST

START_TEST(names)
{
	/* No address as we read them, but one to the resolver, on hosts without a file of names too. */
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: \"127.1\" } }\n");
	ask_up();
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_uint_eq(vd_ip_u32(&t.path.remote.ip), 0x7f000001);
	end();
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: \"no such name.invalid\" } }\n");
	ask_up();
	ck_assert_uint_eq(t.ups, 0);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert_ptr_nonnull(strstr(t.err.text, "the name no such name.invalid cannot be found"));
	end();
}
END_TEST

/* AAAA and two A records, and no address of ours for the first: the second is dead, the third is dialled at once, and the turn comes
 * to the second again when it has failed too. */
START_TEST(several_addresses)
{
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: many.example, start: boot } }\n");
	fake_advance(0);
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_uint_eq(vd_ip_u32(&t.path.remote.ip), 0xcb007108);
	ck_assert_uint_eq(status("office").turn, 1);
	ck_assert_uint_eq(status("office").turns, 2);
	t.events.ended(NULL, t.id, "the gateway does not answer");
	fake_advance(1);
	ck_assert_uint_eq(t.ups, 2);
	ck_assert_uint_eq(vd_ip_u32(&t.path.remote.ip), 0xcb007109);
	ck_assert_int_eq(status("office").state, VD_DIAL_DIALLING);
	ck_assert_uint_eq(status("office").turn, 2);
	t.events.ended(NULL, t.id, "the gateway does not answer");
	fake_advance(1);
	ck_assert_uint_eq(t.ups, 2);
	ck_assert_int_eq(status("office").state, VD_DIAL_WAITING);
	fake_advance(2000);
	ck_assert_uint_eq(t.ups, 3);
	ck_assert_uint_eq(vd_ip_u32(&t.path.remote.ip), 0xcb007108);
	comes_up();
	end();
	/* Somebody who asks waits for all of them. */
	begin(LISTEN "connections: { office: { connect: [l2tp], peer: many.example } }\n");
	ask_up();
	t.events.ended(NULL, t.id, "the gateway does not answer");
	fake_advance(1);
	ck_assert_uint_eq(t.answers, 0);
	ck_assert_uint_eq(t.ups, 2);
	t.events.ended(NULL, t.id, "the gateway does not answer");
	fake_advance(1);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	end();
}
END_TEST

/* What the configuration can have wrong. */
START_TEST(cannot_be_dialled)
{
	static const struct { const char *yaml, *why; } v[] = {
		{ LISTEN "connections: { office: { connect: [l2tp], peer: \"\" } }\n", "it has no peer" },
		{ LISTEN "connections: { office: { connect: [ikev2], peer: 192.0.2.1 } }\n", "no plugin dials ikev2" },
		{ LISTEN "connections: { office: { connect: [l2tp], peer: 192.0.2.1, local: 192.0.2.8 } }\n",
			"local: 192.0.2.8 is not in gateway.listen" },
		{ LISTEN "connections: { office: { connect: [l2tp], peer: 192.0.2.1, local: nosuch0 } }\n",
			"local: nosuch0 is neither an address nor an interface" },
		{ LISTEN "connections: { office: { connect: [l2tp], peer: \"2001:db8::9\" } }\n",
			"gateway.listen has no address of the family of 2001:db8::9" },
	};

	begin(v[_i].yaml);
	ask_up();
	ck_assert_uint_eq(t.answers, 1);
	ck_assert(t.failed);
	ck_assert_msg(strstr(t.err.text, v[_i].why) != NULL, "%s", t.err.text);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	ck_assert_int_eq(status("office").state, VD_DIAL_DOWN);
	end();
}
END_TEST

START_TEST(the_plugin_refuses)
{
	begin(OFFICE);
	t.refuses = true;
	ask_up();
	ck_assert_str_eq(t.err.text, "it has no password");
	end();
}
END_TEST

/* Both would throw each other out for ever. */
START_TEST(one_from_each_address)
{
	struct vd_error err = { 0 };

	begin("gateway: { listen: [192.0.2.7, 192.0.2.8] }\n"
		"connections: { office: { connect: [l2tp], peer: 203.0.113.9 }, same: { connect: [l2tp], peer: 203.0.113.9 },\n"
		"  other: { connect: [l2tp], peer: 203.0.113.9, local: 192.0.2.8 } }\n");
	ask_up();
	comes_up();
	t.answers = 0;
	ck_assert_int_eq(vd_connect_up("same", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert(t.failed);
	ck_assert_str_eq(t.err.text, "connection office has this gateway from this address already: give one of both another "
		"`local`");
	ck_assert_uint_eq(t.ups, 1);
	ck_assert_int_eq(vd_connect_up("other", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(t.ups, 2);
	ck_assert_uint_eq(t.path.endpoint, 2);
	comes_up();
	/* One of both ends: its place is free. */
	t.events.ended(NULL, 1, "the peer is dead");
	ck_assert_int_eq(vd_connect_down("office", "enough", NULL, NULL, &err), 0);
	ck_assert_int_eq(vd_connect_up("same", done, NULL, &err), 0);
	fake_advance(0);
	ck_assert_uint_eq(t.ups, 3);
	end();
}
END_TEST

START_TEST(where_from)
{
	struct vd_path path;
	struct vd_error err = { 0 };
	struct vd_ip to = vd_ip4(0x7f000001);

	begin("gateway: { listen: [192.0.2.7, 0.0.0.0, 127.0.0.9] }\nconnections: {}\n");
	ck_assert_int_eq(vd_dial_path(NULL, &to, &path, &err), 0);
	ck_assert_uint_eq(path.endpoint, 1);
	ck_assert_int_eq(vd_dial_path("127.0.0.9", &to, &path, &err), 0);
	ck_assert_uint_eq(path.endpoint, 3);
	ck_assert_int_eq(vd_dial_path("127.0.0.5", &to, &path, &err), 0); /* the wildcard has it */
	ck_assert_uint_eq(path.endpoint, 2);
	ck_assert_uint_eq(vd_ip_u32(&path.local.ip), 0x7f000005);
	ck_assert_int_eq(vd_dial_path("lo", &to, &path, &err), 0);
	ck_assert_uint_eq(vd_ip_u32(&path.local.ip), 0x7f000001);
	end();
	begin("gateway: { listen: [0.0.0.0] }\nconnections: {}\n");
	ck_assert_int_eq(vd_dial_path(NULL, &to, &path, &err), 0);
	ck_assert_uint_eq(vd_ip_u32(&path.local.ip), 0x7f000001); /* what the host would take */
	end();
	begin("gateway: { listen: [192.0.2.7, 127.0.0.1] }\nconnections: {}\n");
	ck_assert_int_eq(vd_dial_path(NULL, &to, &path, &err), 0);
	ck_assert_uint_eq(path.endpoint, 2); /* likewise, and it is written */
	ck_assert_int_eq(vd_dial_path("192.0.2.7", &to, &path, &err), 0);
	ck_assert_uint_eq(path.endpoint, 1);
	end();
}
END_TEST

/* Another configuration: what is gone from it ends, what is new is known. */
START_TEST(reload)
{
	begin(BOOT);
	comes_up();
	fake_conf(LISTEN "connections: { branch: { connect: [l2tp], peer: 203.0.113.10 } }\n", NULL, NULL);
	ck_assert_int_eq(vd_connect_start(), 0);
	ck_assert_uint_eq(t.downs, 1);
	fake_advance(0);
	struct vd_dial_status s;
	ck_assert(!vd_connect_status("office", &s));
	ck_assert_int_eq(status("branch").state, VD_DIAL_DOWN);
	fake_advance(100000);
	ck_assert_uint_eq(t.ups, 1);
	/* The same once more changes nothing. */
	ck_assert_int_eq(vd_connect_start(), 0);
	ck_assert_int_eq(status("branch").state, VD_DIAL_DOWN);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("connect");
	TCase *c = tcase_create("all");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(c, on_demand);
	tcase_add_test(c, nobody_by_that_name);
	tcase_add_test(c, a_first_failure_is_an_answer);
	tcase_add_test(c, one_report_per_failure);
	tcase_add_test(c, again_and_again);
	tcase_add_test(c, it_breaks);
	tcase_add_test(c, routes_are_held);
	tcase_add_test(c, name_lost_while_held);
	tcase_add_test(c, says_goodbye);
	tcase_add_test(c, impatience);
	tcase_add_test(c, taken_down_while_it_dials);
	tcase_add_test(c, stopped_while_it_dials);
	tcase_add_test(c, names);
	tcase_add_test(c, several_addresses);
	tcase_add_loop_test(c, cannot_be_dialled, 0, 5);
	tcase_add_test(c, the_plugin_refuses);
	tcase_add_test(c, one_from_each_address);
	tcase_add_test(c, where_from);
	tcase_add_test(c, reload);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
