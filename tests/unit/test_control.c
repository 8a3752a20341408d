/* The control socket, over a real socket and the system's loop: every command, and readers and writers who mean harm.
 * And viaductctl against it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/stat.h>
#include <unistd.h>

#include <viaduct/accounts.h>

#include "core/control/control.h"
#include "core/conf/conf.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "core/reload.h"
#include "core/report/report.h"
#include "plugins/l2tp/l2tp_guard.h"
#include "tests/lib/user.h"
#include "tests/unit/control_fixture.h"

START_TEST(commands_answer)
{
	static const struct {
		const char *command, *args;
	} all[] = { { "status", "{}" }, { "session.list", "{}" }, { "why", "{}" }, { "session.show", "{\"session\":\"alice\"}" },
		{ "peer.list", "{}" }, { "connection.list", "{}" }, { "plugin.list", "{}" }, { "config.check", "{}" },
		{ "config.show", "{\"defaults\":true}" }, { "counters", "{}" } };
	int fd = dial();
	json_t *r, *reply;
	uint64_t id = fx_up("staff", "alice");
	char text[VD_ID_BUF];

	for (size_t i = 0; i < VD_ARRAY_SIZE(all); i++) {
		r = asked(fd, all[i].command, all[i].args);
		ck_assert_msg(json_is_true(json_object_get(r, "ok")), "%s", all[i].command);
		ck_assert_int_eq(json_integer_value(json_object_get(r, "id")), 7);
		json_decref(r);
	}
	reply = asked(fd, "session.show", "{\"session\":\"alice\"}");
	r = json_array_get(json_object_get(reply, "result"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "session"), "session")),
		vd_id_format('s', id, text));
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(json_object_get(r, "session"), "counters"),
		"packets_in")), 7);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "lease"), "address")), "10.8.0.23");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "peer"), "identity")), "phone");
	ck_assert_uint_gt(json_array_size(json_object_get(r, "timeline")), 4);
	json_decref(reply);
	r = asked(fd, "counters", "{}");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "result"), "datapath.drop.replay")), 3);
	json_decref(r);
	r = asked(fd, "session.kill", "{\"session\":\"alice\"}");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 1);
	json_decref(r);
	turn();
	ck_assert_ptr_null(vd_session_find(id));
	expect_error(asked(fd, "session.show", "{\"session\":\"alice\"}"), "no session alice");
	expect_error(asked(fd, "session.kill", "{}"), "which session");
	expect_error(asked(fd, "plugin.info", "{\"plugin\":\"nope\"}"), "no plugin nope");
	close(fd);
}
END_TEST

START_TEST(bad_lines)
{
	int fd = dial();

	say(fd, "hello\n");
	expect_error(hear(fd), "not a request");
	say(fd, "[1,2]\n\"x\"\n\n");
	expect_error(hear(fd), "not a request");
	expect_error(hear(fd), "not a request");
	expect_error(hear(fd), "not a request");
	say(fd, "{\"command\":\"no.such\"}\n");
	expect_error(hear(fd), "no such command");
	say(fd, "{\"command\":\"status\",\"args\":5}\n");
	expect_error(hear(fd), "args must be");
	say(fd, "{\"command\":\"status\",\"command\":\"status\"}\n");
	expect_error(hear(fd), "not a request");
	say(fd, "{\"command\":\"session.kill\",\"args\":{\"session\":{}}}\n");
	expect_error(hear(fd), "which session");
	/* Two requests in one write, and one in pieces: ids tell them apart. */
	say(fd, "{\"id\":\"a\",\"command\":\"status\"}\n{\"id\":\"b\",\"command\":\"status\"}\n{\"id\":\"c\",");
	for (const char *id = "ab"; *id; id++) {
		json_t *r = hear(fd);

		ck_assert_int_eq(json_string_value(json_object_get(r, "id"))[0], *id);
		json_decref(r);
	}
	say(fd, "\"command\":\"status\"}\n");
	json_decref(hear(fd));
	close(fd);
	turn();
}
END_TEST

START_TEST(huge_line)
{
	static char junk[70000];
	int fd = dial(), other = dial();
	size_t sent = 0;

	memset(junk, 'x', sizeof(junk));
	for (int i = 0; i < 100 && sent < sizeof(junk); i++) {
		ssize_t n = send(fd, junk + sent, sizeof(junk) - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	expect_error(hear(fd), "65535");
	ck_assert_ptr_null(hear(fd));
	json_decref(asked(other, "status", "{}")); /* others are served */
	close(fd);
	close(other);
}
END_TEST

START_TEST(gone_in_the_middle)
{
	int fd;

	fx_up("staff", "alice");
	for (int i = 0; i < 5; i++) {
		fd = dial();
		say(fd, "{\"command\":\"session.show\",\"args\":{\"session\":\"alice\"}}\n{\"command\":");
		if (i % 2)
			turn();
		close(fd);
		turn();
	}
	fd = dial();
	say(fd, "{\"command\":\"bus.tail\"}\n");
	json_decref(hear(fd));
	close(fd);
	fx_up("many", "bob"); /* events for a reader that has gone */
	turn();
	fd = dial();
	json_decref(asked(fd, "status", "{}"));
	close(fd);
}
END_TEST

/* Many who ask nothing hold no place for long, and root gets in at once. */
START_TEST(too_many_connections)
{
	bool as_root = geteuid() == 0;
	int fd[40], one, keeper, tail[64];
	unsigned refused = 0, n_tails = 0;
	char buf[256];

	if (as_root) { /* the daemon is this process: its own user may ask, and is not root for a while */
		ck_assert_int_eq(chmod(dir, 0755), 0);
		ck_assert_int_eq(chmod(path, 0777), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(fd); i++) {
		fd[i] = dial();
		turn();
	}
	for (size_t i = 0; i < 1000; i++) {
		one = dial();
		turn();
		refused += read(one, buf, sizeof(buf)) > 0;
		close(one);
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(fd); i++)
		refused += read(fd[i], buf, sizeof(buf)) > 0;
	ck_assert_uint_ge(refused, 8);
	if (as_root) {
		ck_assert_int_eq(seteuid(0), 0);
		json_decref(asked(one = dial(), "status", "{}"));
		close(one);
		turn();
		ck_assert_int_eq(seteuid(65534), 0);
	}
	/* Time passes: who comes takes the place of one that asked nothing, and who asks meanwhile keeps it. */
	for (int i = 0; i < 150; i++) {
		usleep(10000);
		turn();
	}
	json_decref(asked(keeper = dial(), "status", "{}"));
	for (size_t i = 0; i < 3; i++) {
		json_t *r = asked(one = dial(), "status", "{}");

		ck_assert(json_is_true(json_object_get(r, "ok")));
		json_decref(r);
		close(one);
	}
	json_decref(asked(keeper, "status", "{}"));
	close(keeper);
	for (size_t i = 0; i < VD_ARRAY_SIZE(fd); i++)
		close(fd[i]);
	turn();
	turn();
	/* All are busy with streams: nobody gets in but root. */
	for (; n_tails < 32; n_tails++) {
		tail[n_tails] = dial();
		json_decref(asked(tail[n_tails], "bus.tail", "{}"));
	}
	expect_error(hear(one = dial()), "too many");
	close(one);
	if (as_root) {
		ck_assert_int_eq(seteuid(0), 0);
		for (; n_tails < 40; n_tails++) {
			json_t *r = asked(tail[n_tails] = dial(), "bus.tail", "{}");

			ck_assert(json_is_true(json_object_get(r, "ok")));
			json_decref(r);
		}
	}
	while (n_tails > 0)
		close(tail[--n_tails]);
	turn();
	turn();
}
END_TEST

START_TEST(tail_streams_and_drops)
{
	int fd = dial(), slow = dial();
	json_t *r;

	expect_error(asked(fd, "bus.tail", "{\"topics\":[\"session_up\",\"session_upp\"]}"), "there is no topic session_upp; did you mean");
	expect_error(asked(fd, "bus.tail", "{\"topics\":[\"nosuchtopic\"]}"), "all topics: ");
	bool lost = false;
	struct vd_setup_failed event = { .peer = 1 };

	say(fd, "{\"id\":1,\"command\":\"bus.tail\",\"args\":{\"topics\":[\"session_new\"]}}\n");
	json_decref(hear(fd));
	say(slow, "{\"id\":2,\"command\":\"bus.tail\"}\n");
	json_decref(hear(slow));
	fx_new("staff");
	r = hear(fd);
	ck_assert_str_eq(json_string_value(json_object_get(r, "topic")), "session_new");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(r, "data"), "connection")), "staff");
	json_decref(r);
	memset(event.text, 'x', sizeof(event.text) - 1);
	for (int i = 0; i < 3000; i++) {
		vd_event_post(&vd_topic_setup_failed, &event);
		if (i % 100 == 0)
			turn();
	}
	/* It reads at last: after what was kept it hears how many it missed. */
	for (int i = 0; i < 3000 && !lost; i++) {
		vd_event_post(&vd_topic_setup_failed, &event);
		r = hear(slow);
		lost = json_integer_value(json_object_get(r, "lost")) > 0;
		json_decref(r);
	}
	ck_assert(lost);
	fx_new("staff"); /* the other one is as before */
	r = hear(fd);
	ck_assert_str_eq(json_string_value(json_object_get(r, "topic")), "session_new");
	json_decref(r);
	close(fd);
	close(slow);
	turn();
}
END_TEST

extern const struct vd_plugin ppp_link_LTX_vd_plugin; /* knows what clients show */

static void knows_clients(void)
{
	struct vd_error err;

	ck_assert_msg(vd_plugin_preload(&ppp_link_LTX_vd_plugin, &err) != NULL, "%s", err.text);
}

/* Failures by address, user and session; the newest first, the same ones counted. */
START_TEST(why)
{
	struct vd_report password = { .kind = &vd_fail_password, .configured = "users/staff", .origin = "users.yaml:3" };
	struct vd_sa at = { .ip = vd_ip4(0xc0000263), .port = 500 };
	struct vd_report guard = { .kind = &l2tp_guard_fail_no_ipsec, .remote = &at };
	char args[64], id[VD_ID_BUF];
	int fd = dial();
	json_t *r, *one;

	knows_clients();
	r = asked(fd, "why", "{}");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 0);
	json_decref(r);
	password.session = fx_new("staff");
	ck_assert_int_eq(fx_auth(password.session, "alice"), 0);
	vd_report_failure(&guard);
	vd_report_failure(&password);
	vd_report_failure(&password);
	r = asked(fd, "why", "{}");
	ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 2);
	json_decref(r);
	vd_format(args, sizeof(args), "{\"about\":\"%s\"}", vd_id_format('s', password.session, id));
	const char *const about[] = { "{\"about\":\"alice\"}", "{\"about\":\"203.0.113.5\"}",
		"{\"about\":\"203.0.113.5:4500\"}", args };
	for (size_t i = 0; i < VD_ARRAY_SIZE(about); i++) {
		r = asked(fd, "why", about[i]);
		ck_assert_uint_eq(json_array_size(json_object_get(r, "result")), 1);
		one = json_array_get(json_object_get(r, "result"), 0);
		ck_assert_str_eq(json_string_value(json_object_get(one, "kind")), "wrong-password");
		ck_assert_str_eq(json_string_value(json_object_get(one, "user")), "alice");
		ck_assert_str_eq(json_string_value(json_object_get(one, "remote")), "203.0.113.5:4500");
		ck_assert_str_eq(json_string_value(json_object_get(one, "connection")), "staff");
		ck_assert_str_eq(json_string_value(json_object_get(one, "origin")), "users.yaml:3");
		ck_assert_str_eq(json_string_value(json_object_get(one, "client")),
			"Windows shows error 691; macOS and iOS show \"user authentication failed\"");
		ck_assert_int_eq(json_integer_value(json_object_get(one, "count")), 2);
		json_decref(r);
	}
	r = asked(fd, "why", "{\"about\":\"192.0.2.99\"}");
	one = json_array_get(json_object_get(r, "result"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(one, "kind")), "no-ipsec");
	ck_assert_str_eq(json_string_value(json_object_get(one, "trust")), "none");
	json_decref(r);
	r = asked(fd, "session.show", args[0] ? "{\"session\":\"alice\"}" : "{}");
	one = json_array_get(json_object_get(r, "result"), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(one, "failures")), 1);
	json_decref(r);
	vd_session_close(password.session, "authentication failed", true);
	turn();
	expect_error(asked(fd, "session.show", "{\"session\":\"alice\"}"), "viaductctl why alice");
	close(fd);
	turn();
}
END_TEST

/* Whoever has proved nothing cannot push out what is remembered of users, nor one address all the others of its kind. */
START_TEST(why_is_bounded)
{
	struct vd_sa at = { .ip = vd_ip4(0xc6120000), .port = 500 };
	struct vd_failure many[12];
	static char names[12][8];
	struct vd_report forged = { .kind = &many[0], .remote = &at };
	uint64_t s = fx_new("staff");
	unsigned n = 0, users = 0, neighbours = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(many); i++) {
		vd_format(names[i], sizeof(names[i]), "f%zu", i);
		many[i] = (struct vd_failure){ .word = names[i], .stage = "phase1", .say = "it fails" };
	}
	ck_assert_int_eq(fx_auth(s, "alice"), 0);
	turn();
	vd_report_failure(&(struct vd_report){ .kind = &vd_fail_pool_full, .session = s, .difference = "full" });
	for (unsigned i = 0; i < 5000; i++) {
		at.ip = vd_ip4(0xc6120000 + i);
		forged.answered = i & 1;
		vd_report_failure(&forged);
	}
	at.ip = vd_ip4(0xc6130001);
	forged.answered = true;
	vd_report_failure(&forged);
	at.ip = vd_ip4(0xc6130002);
	for (unsigned i = 0; i < 40; i++) {
		forged.user = i & 1 ? "x" : "y";
		forged.kind = &many[i % VD_ARRAY_SIZE(many)];
		vd_report_failure(&forged);
	}
	for (const struct vd_remembered *r = vd_report_after(NULL); r; r = vd_report_after(r)) {
		n++;
		users += r->what.trust == VD_TRUST_USER;
		neighbours += vd_report_is_about(&r->what, "198.19.0.1");
	}
	ck_assert_uint_eq(n, 32 + 32 + 1);
	ck_assert_uint_eq(users, 1);
	ck_assert_uint_eq(neighbours, 1);
	vd_session_close(s, "done", true);
	turn();
}
END_TEST

START_TEST(who_may)
{
	gid_t groups[] = { 5, 77 };

	ck_assert(vd_control_allowed(0, 9, NULL, 0, (gid_t)-1));
	ck_assert(vd_control_allowed(geteuid(), 9, NULL, 0, (gid_t)-1));
	ck_assert(vd_control_allowed(4242, 77, NULL, 0, 77));
	ck_assert(vd_control_allowed(4242, 9, groups, 2, 77));
	ck_assert(!vd_control_allowed(4242, 9, groups, 2, 78));
	ck_assert(!vd_control_allowed(4242, 9, groups, 2, (gid_t)-1));
	ck_assert(!vd_control_allowed(4242, (gid_t)-1, groups, 2, (gid_t)-1));
}
END_TEST

START_TEST(socket_in_use_or_left)
{
	struct vd_error err;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	vd_control_stop();
	vd_strcpy(sa.sun_path, sizeof(sa.sun_path), path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(vd_control_start(path, &err), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(err.text, "another viaductd"));
	close(fd); /* killed: the file stays */
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(vd_control_start(path, &err), 0);
	json_decref(asked(fd = dial(), "status", "{}"));
	close(fd);
}
END_TEST

START_TEST(tables)
{
	uint64_t id = fx_up("staff", "alice");
	char text[VD_ID_BUF], arguments[64];

	knows_clients();
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_eq(strstr(printed, "ID "), printed);
	ck_assert_ptr_nonnull(strstr(printed, "alice  up     10.8.0.23  203.0.113.5:4500  staff"));
	ck_assert_ptr_null(strchr(printed, '\033')); /* not a terminal */
	vd_format(arguments, sizeof(arguments), "session show %s", vd_id_format('s', id, text));
	ck_assert_int_eq(ctl(arguments), 0);
	ck_assert_ptr_nonnull(strstr(printed, "  identity    phone"));
	ck_assert_ptr_nonnull(strstr(printed, "Timeline"));
	ck_assert_ptr_nonnull(strstr(printed, "User          alice"));
	ck_assert_int_eq(ctl("session show alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "Lease         10.8.0.23\n  in use      yes\n"));
	/* A client that ends IPv4 keeps the lease, and does not use it. */
	ck_assert_int_eq(vd_session_carry(id, &(struct vd_wsess_desc){ .mtu = 1280 }), 0);
	ck_assert_int_eq(ctl("session show alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "Lease         10.8.0.23\n  in use      no\n"));
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "alice  up     -        203.0.113.5:4500  staff"));
	ck_assert_int_eq(ctl("peer list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "203.0.113.5:4500"));
	ck_assert_int_eq(ctl("connection list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "users/local"));
	ck_assert_int_eq(ctl("status"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "Sessions      1"));
	ck_assert_int_eq(ctl("plugin list"), 0);
	ck_assert_int_eq(ctl("counters"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "datapath.drop.replay"));
	ck_assert_int_eq(ctl("config show"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "second_login: refuse"));
	ck_assert_int_eq(ctl("--json session list"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\"user\": \"alice\""));
	ck_assert_int_eq(ctl("config check"), 1); /* the folder is empty */
	ck_assert_int_eq(ctl("why alice"), 0);
	ck_assert_str_eq(printed, "no failure of that is remembered\n");
	for (unsigned i = 0; i < 2; i++)
		vd_report_failure(&(struct vd_report){ .kind = &vd_fail_pool_full, .session = id, .origin = "30-staff.yaml:2",
			.difference = "pool staff is exhausted: 3 of its 3 addresses are in use", .profile = "windows" });
	ck_assert_int_eq(ctl("why alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "  alice at 203.0.113.5:4500, connection staff, 2 times since "));
	ck_assert_ptr_nonnull(strstr(printed, "\naddress failed: pool staff is exhausted: 3 of its 3 addresses are in use; enlarge "
		"its range (30-staff.yaml:2) (Windows shows error 734 or 738)\n"));
	ck_assert_ptr_nonnull(strstr(printed, "\n  origin      30-staff.yaml:2\n  client      Windows shows error 734 or 738\n"));
	ck_assert_int_eq(ctl("session show alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\nEarlier failures\n"));
	ck_assert_int_eq(ctl("--json why"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\"kind\": \"pool-full\""));
	ck_assert_int_eq(ctl("session kill alice"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "is being closed"));
	turn();
	ck_assert_int_eq(ctl("session list"), 0);
	ck_assert_str_eq(printed, "no sessions\n");
}
END_TEST

static const char *with(char *out, size_t size, const char *arguments, const char *file)
{
	vd_format(out, size, "%s <%s", arguments, file);
	return out;
}

START_TEST(logins_are_tried)
{
	char secret[128], line[256];
	FILE *f;

	vd_format(secret, sizeof(secret), "%s/password", dir);
	f = fopen(secret, "w");
	ck_assert_ptr_nonnull(f);
	fputs("wonderland\n", f);
	fclose(f);
	vd_strcpy(fx.grant.user, sizeof(fx.grant.user), "Alice");
	fx.grant.session_timeout = 3600;
	ck_assert_int_eq(ctl(with(line, sizeof(line), "realm test corp alice", secret)), 0);
	ck_assert_ptr_nonnull(strstr(printed, "Verdict       accept\n"));
	ck_assert_ptr_nonnull(strstr(printed, "User          Alice\n"));
	ck_assert_ptr_nonnull(strstr(printed, "Longest       1h 0m\n"));
	ck_assert_str_eq(fx.asked.user, "alice");
	ck_assert_str_eq(fx.asked.realm, "corp");
	ck_assert_int_eq(fx.asked.method, VD_AUTH_PAP);
	fx.auth = FX_REJECT;
	ck_assert_int_eq(ctl(with(line, sizeof(line), "--json realm test corp alice", secret)), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\"verdict\": \"reject\""));
	ck_assert_ptr_nonnull(strstr(printed, "\"why\": \"says the double\""));
	ck_assert_int_eq(ctl(with(line, sizeof(line), "realm test corp alice", secret)), 1);
	ck_assert_int_eq(ctl(with(line, sizeof(line), "realm test nowhere alice", secret)), 1);
	ck_assert_str_eq(printed, "viaductctl: no realm nowhere; see realms: in the configuration\n");
	ck_assert_int_eq(ctl("realm test corp alice </dev/null"), 2);
	ck_assert_str_eq(printed, "viaductctl: there is no password on standard input\n");
	ck_assert_int_eq(ctl("realm test corp"), 2);
	ck_assert_int_eq(unlink(secret), 0);
}
END_TEST

static int three(void *self, const char *name)
{
	(void)self;
	return strcmp(name, "devices") ? -ENOENT : 3;
}

/* As in the example of the documentation. */
START_TEST(connections_shown)
{
	static const struct vd_accounts_1 accounts = { .count = three };
	static const struct vd_opt schema[] = { { "users.*.file", VD_T_PATH, 0, NULL, NULL, "" },
		{ "radius.*.address", VD_T_ADDR, 0, NULL, NULL, "" }, { "pools.*.range", VD_T_RANGE, VD_OPT_LIST, NULL, NULL, "" },
		{ "connections.*.crypto", VD_T_REF, 0, "compatible", "crypto:modern|compatible|legacy", "" },
		{ "connections.*.egress", VD_T_WORD, 0, "none", "none|masquerade", "" },
		{ "connections.*.l2tp.auth", VD_T_WORD, 0, "psk", "psk", "" },
		{ "connections.*.l2tp.psk", VD_T_KEY, 0, NULL, NULL, "" }, { "connections.*.ikev2.auth", VD_T_WORD, 0, NULL, "eap|psk", "" },
		{ "crypto.*.ike", VD_T_STRING, 0, NULL, NULL, "" }, { NULL } };
	static const struct vd_opt *const schemas[] = { schema };
	static const char text[] = "radius: { nps1: { address: 10.1.0.21 }, nps2: { address: 10.1.0.22 } }\n"
		"users: { devices: { file: devices.yaml } }\n"
		"realms: { corp: { authenticate: [radius/nps1, radius/nps2] }, devices: { authenticate: users/devices } }\n"
		"pools: { staff: { range: 10.8.0.10-10.8.3.250 }, devices: { range: 10.9.0.2-10.9.0.250 } }\n"
		"connections:\n"
		"  staff: { accept: [ikev2, l2tp], realm: corp, pool: staff, routes: [10.1.0.0/16, 10.2.0.0/16],\n"
		"    ikev2: { auth: eap }, l2tp: { psk: !env VD_TEST_PSK_A } }\n"
		"  devices: { accept: l2tp, realm: devices, pool: devices, routes: all, egress: masquerade, crypto: legacy,\n"
		"    l2tp: { psk: !env VD_TEST_PSK_B } }\n"
		"  berlin: { connect: [l2tp], peer: berlin.example.com, crypto: modern, routes: 10.40.0.0/16 }\n";
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL, *old;

	fake_service("accounts/1", "users", &accounts);
	setenv("VD_TEST_PSK_A", "one key for the staff", 1);
	setenv("VD_TEST_PSK_B", "another for devices", 1);
	ck_assert_int_eq(vd_conf_parse_text(text, "30-staff.yaml", NULL, schemas, 1, &conf, &errs), 0);
	vd_conf_errors_free(&errs);
	old = vd_conf_swap(conf);
	ck_assert_int_eq(ctl("connection list"), 0);
	ck_assert_str_eq(printed,
		"NAME     ACCEPTS  KNOWN BY            CRYPTO      USERS FROM         ADDRESSES      ROUTES      STATE  FROM\n"
		"staff    ikev2    eap                 compatible  radius/nps1, nps2  staff (1009)   2 networks  -      30-staff.yaml:6\n"
		"staff    l2tp     psk 1 of 2          compatible  radius/nps1, nps2  staff (1009)   2 networks  -      30-staff.yaml:6\n"
		"devices  l2tp     psk 2 of 2          legacy      users/devices (3)  devices (249)  all, masq.  -      30-staff.yaml:8\n"
		"berlin   -> l2tp  berlin.example.com  modern      -                  -              1 network   -      30-staff.yaml:10\n");
	ck_assert_int_eq(ctl("config show --uses pool/staff"), 0);
	ck_assert_str_eq(printed, "connections.staff.pool  # 30-staff.yaml:6\n");
	ck_assert_int_eq(ctl("config show --uses connections/staff"), 0);
	ck_assert_str_eq(printed, "nothing names connections/staff\n");
	ck_assert_int_eq(ctl("config show --uses pools/stuff"), 1);
	ck_assert_str_eq(printed, "viaductctl: there is no object pools/stuff; write SECTION/NAME, as in pools/staff\n");
	ck_assert_int_eq(ctl("config show --uses"), 2);
	ck_assert_str_eq(printed, "viaductctl: --uses needs a name such as pools/staff; see viaductctl --help\n");
	static const char *const short_of[][2] = { { "connection up", "the name of a connection" },
		{ "session show", "s-42 or a user name" }, { "plugin info", "a plugin's name" },
		{ "plugin check", "the file of a plugin" }, { "realm test", "a realm and a user" } };
	for (size_t i = 0; i < VD_ARRAY_SIZE(short_of); i++) {
		char want[128];

		ck_assert_int_eq(ctl(short_of[i][0]), 2);
		snprintf(want, sizeof(want), "viaductctl: %s needs %s; see viaductctl --help\n", short_of[i][0], short_of[i][1]);
		ck_assert_str_eq(printed, want);
	}
	ck_assert_int_eq(ctl("config show --origin"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\n    egress: masquerade  # 30-staff.yaml:8\n"));
	ck_assert_ptr_null(strstr(printed, "second_login"));
	ck_assert_int_eq(ctl("config show --defaults --origin"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\n    second_login: replace  # default\n"));
	ck_assert_ptr_null(strstr(printed, "another for"));
	ck_assert_ptr_eq(vd_conf_swap(old), conf);
	vd_conf_unref(conf);
}
END_TEST

static void put_file(const char *text)
{
	char name[128];
	FILE *f;

	vd_format(name, sizeof(name), "%s/viaduct.yaml", dir);
	f = fopen(name, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* What a pool has of each family, in words and, for programs, in numbers; columns stay columns. */
START_TEST(pools_counted)
{
	static const struct vd_opt schema[] = { { "pools.*", VD_T_MAP, 0, NULL, NULL, "" },
		{ "pools.*.range", VD_T_RANGE, VD_OPT_LIST, NULL, NULL, "" }, { "pools.*.prefix", VD_T_PREFIX, VD_OPT_LIST, NULL, NULL, "" },
		{ NULL } };
	static const struct vd_opt *const schemas[] = { schema };
	static const char text[] = "pools:\n"
		"  both: { range: [10.8.0.10-10.8.3.250, 10.7.0.1], prefix: [\"2001:db8:8::/48\", \"2001:db8:9::/63\"] }\n"
		"  six: { prefix: \"2001::/16\" }\n"
		"  four: { range: 10.9.0.2-10.9.0.250 }\n"
		"  none: {}\n"
		"connections:\n"
		"  a: { accept: l2tp, pool: both }\n"
		"  b: { accept: l2tp, pool: six, routes: all }\n"
		"  c: { accept: l2tp, pool: four }\n"
		"  d: { accept: l2tp, pool: none }\n"
		"  e: { accept: l2tp }\n";
	static const struct {
		const char *name, *pool;
		json_int_t addresses, networks;
	} want[] = { { "a", "both", 1010, 65538 }, { "b", "six", 0, 1ll << 48 }, { "c", "four", 249, 0 }, { "d", "none", 0, 0 },
		{ "e", "", 0, 0 } };
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL, *old;
	json_t *list;

	ck_assert_int_eq(vd_conf_parse_text(text, "pools.yaml", NULL, schemas, 1, &conf, &errs), 0);
	vd_conf_errors_free(&errs);
	old = vd_conf_swap(conf);
	ck_assert_int_eq(ctl("connection list"), 0);
	ck_assert_str_eq(printed,
		"NAME  ACCEPTS  KNOWN BY  CRYPTO      USERS FROM  ADDRESSES                    ROUTES  STATE  FROM\n"
		"a     l2tp     -         compatible  -           both (1010, 65538 x /64)     -       -      pools.yaml:7\n"
		"b     l2tp     -         compatible  -           six (281474976710656 x /64)  all     -      pools.yaml:8\n"
		"c     l2tp     -         compatible  -           four (249)                   -       -      pools.yaml:9\n"
		"d     l2tp     -         compatible  -           none                         -       -      pools.yaml:10\n"
		"e     l2tp     -         compatible  -           -                            -       -      pools.yaml:11\n");
	ck_assert_int_eq(ctl("--json connection list"), 0);
	list = json_loads(printed, 0, NULL);
	ck_assert_uint_eq(json_array_size(list), VD_ARRAY_SIZE(want));
	for (size_t i = 0; i < VD_ARRAY_SIZE(want); i++) {
		const json_t *c = json_array_get(list, i);

		ck_assert_str_eq(json_string_value(json_object_get(c, "name")), want[i].name);
		ck_assert_str_eq(json_string_value(json_object_get(c, "pool")), want[i].pool);
		ck_assert(json_is_integer(json_object_get(c, "addresses4")));
		ck_assert_int_eq(json_integer_value(json_object_get(c, "addresses4")), want[i].addresses);
		ck_assert(json_is_integer(json_object_get(c, "networks6")));
		ck_assert_int_eq(json_integer_value(json_object_get(c, "networks6")), want[i].networks);
	}
	json_decref(list);
	ck_assert_ptr_eq(vd_conf_swap(old), conf);
	vd_conf_unref(conf);
}
END_TEST

START_TEST(reloading)
{
	const struct vd_conf *before = vd_conf_current();
	char name[128], text[512];

	put_file("log: { level: debug }\nplugins: { net_nat: off }\nlgo: {}\n");
	ck_assert_int_eq(ctl("reload --plan"), 1);
	vd_format(text, sizeof(text), "%s/viaduct.yaml:3:1: error: no plugin knows the section `lgo`; did you mean `log`?\n"
		"viaductctl: %s has errors; the configuration in force is the one before\n", dir, dir);
	ck_assert_str_eq(printed, text);
	ck_assert_int_eq(ctl("reload"), 1);
	ck_assert_str_eq(printed, text);
	ck_assert_int_eq(ctl("config check"), 1);
	ck_assert_ptr_eq(vd_conf_current(), before);
	put_file("log: { level: debug }\n");
	ck_assert_int_eq(ctl("config check"), 0);
	put_file("log: { level: debug }\nplugins: { net_nat: off }\n");
	ck_assert_int_eq(ctl("config check"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "/viaduct.yaml:2:12: warning: no plugin net_nat is installed; viaductctl plugin list shows all\n"));
	ck_assert_int_eq(ctl("reload --plan"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\nplugins              net_nat       -       off      needs a restart  -     viaduct.yaml:2\n"));
	ck_assert_ptr_nonnull(strstr(printed, "\nlog                  level         notice  debug    live             -     viaduct.yaml:1\n"));
	vd_format(text, sizeof(text), "\n%s would be put in force by: viaductctl reload\n", dir);
	ck_assert_ptr_nonnull(strstr(printed, text));
	ck_assert_ptr_eq(vd_conf_current(), before);
	ck_assert_int_eq(ctl("--json reload --plan"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\"effect\": \"needs a restart\""));
	ck_assert_int_eq(ctl("reload"), 0);
	vd_format(text, sizeof(text), "\n%s is in force\n", dir);
	ck_assert_ptr_nonnull(strstr(printed, text));
	ck_assert_ptr_ne(vd_conf_current(), before);
	/* What waits for a restart is told again. */
	ck_assert_int_eq(ctl("reload"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "\nplugins  net_nat  -    off  needs a restart  -     viaduct.yaml:2\n"));
	ck_assert_ptr_null(strstr(printed, "level"));
	/* A warning is no failure of a reload, nor of a check. */
	put_file("connections: { idle: { realm: local } }\nrealms: { local: { authenticate: [] } }\n");
	ck_assert_int_eq(ctl("config check"), 0);
	ck_assert_ptr_nonnull(strstr(printed, "warning: connections.idle neither accepts nor connects: nobody can use it\n"));
	ck_assert_ptr_nonnull(strstr(printed, " is good\n"));
	ck_assert_int_eq(ctl("reload"), 0);
	ck_assert_int_eq(ctl("status --plan"), 2);
	ck_assert_str_eq(printed, "viaductctl: --plan does not go with status; see viaductctl --help\n");
	vd_format(name, sizeof(name), "%s/viaduct.yaml", dir);
	ck_assert_int_eq(unlink(name), 0);
	vd_reload_fini();
	vd_log_set_level(VD_LOG_NOTICE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("socket");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, start, stop);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, commands_answer);
	tcase_add_test(t, bad_lines);
	tcase_add_test(t, huge_line);
	tcase_add_test(t, gone_in_the_middle);
	tcase_add_test(t, too_many_connections);
	tcase_add_test(t, tail_streams_and_drops);
	tcase_add_test(t, why);
	tcase_add_test(t, why_is_bounded);
	tcase_add_test(t, who_may);
	tcase_add_test(t, socket_in_use_or_left);
	tcase_add_test(t, tables);
	tcase_add_test(t, logins_are_tried);
	tcase_add_test(t, connections_shown);
	tcase_add_test(t, pools_counted);
	if (user_there("control: reloading"))
		tcase_add_test(t, reloading);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
