/* Reload under fifty sessions with traffic: nothing is dropped, sessions keep what they were made under, new logins get
 * what is new, what the plan said is what happened; and a bad configuration changes nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <viaduct/log.h>
#include <viaduct/session.h>

#include "core/log.h"
#include "core/plugin.h"
#include "core/reload.h"
#include "core/session/session.h"
#include "tests/lib/user.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/steps.h"

#define N 50u

static struct robot robots[N], late;
static char names[N][8], passwords[N][32];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	vd_format(path, sizeof(path), "%s/%s", gateway_folder(), name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

/* u0 ... u49 with passwords from the environment; more is appended. */
static void put_users(unsigned first, const char *more)
{
	char text[N * 64 + 512], name[32];
	size_t n = 0;

	for (unsigned i = 0; i < N; i++) {
		vd_format(names[i], sizeof(names[i]), "u%u", i);
		vd_format(passwords[i], sizeof(passwords[i]), "u%u-password", i);
		vd_format(name, sizeof(name), "SCENARIO_U%u", i);
		if (!getenv(name))
			setenv(name, passwords[i], 1);
		if (i >= first)
			n += vd_format(text + n, sizeof(text) - n, "u%u: { password: !env %s }\n", i, name);
	}
	vd_format(text + n, sizeof(text) - n, "%s", more);
	put("users.yaml", text);
}

static char *dump(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_int_eq(vd_conf_dump(vd_conf_current(), VD_CONF_ORIGINS, out), 0);
	fclose(out);
	return text;
}

static char *rows(const struct vd_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < plan->n; i++) {
		const struct vd_plan_row *r = &plan->v[i];

		fprintf(out, "%s|%s|%s -> %s|%s%s%s\n", r->object, r->key, r->old, r->next, vd_plan_effect_name(r->effect),
			*r->note ? "|" : "", r->note);
	}
	fclose(out);
	return text;
}

static void reload(bool plan_only, const char *expected)
{
	struct vd_reloaded r;
	char text[1024], *got;

	ck_assert_msg(vd_reload(gateway_folder(), plan_only, &r) == 0, "%s", vd_conf_errors_first(&r.errs, text, sizeof(text)));
	ck_assert(r.done == !plan_only);
	ck_assert_uint_eq(r.errs.n, 0);
	got = rows(&r.plan);
	if (expected)
		ck_assert_str_eq(got, expected);
	free(got);
	vd_reloaded_free(&r);
}

static uint64_t drops(void)
{
	uint64_t n = 0;

	for (int i = 1; i < VD_DROP_MAX; i++)
		n += vd_datapath_drops((enum vd_drop)i);
	return n;
}

/* A ping of every session is on its way while fn works. */
static void under_traffic(void (*fn)(void))
{
	static uint16_t seq = 1000;
	unsigned out = wire.n_tun, in[N];
	uint64_t dropped = drops();

	seq++;
	for (unsigned i = 0; i < N; i++) {
		in[i] = robots[i].n_packets;
		robot_ping(&robots[i], NULL, seq);
		if (i == N / 2)
			fn();
	}
	for (unsigned i = 0; i < 10; i++)
		wire_step();
	wire_pump();
	ck_assert_uint_eq(wire.n_tun, out + N);
	for (unsigned i = 0; i < N; i++)
		robot_pong(robots[i].address, seq);
	wire_pump();
	for (unsigned i = 0; i < N; i++)
		ck_assert_uint_eq(robots[i].n_packets, in[i] + 1);
	ck_assert_uint_eq(drops(), dropped);
	ck_assert_uint_eq(vd_session_count(), N);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 0);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 0);
}

static void nothing(void)
{
}

#define OLD GATEWAY_YAML("10.8.0.10-10.8.0.99", "")
#define NEW GATEWAY_YAML("10.8.0.50-10.8.0.150", "") "log: { level: info, areas: { ike: error } }\n"
#define PLAN                                                                               \
	"connections.staff|l2tp.psk|(secret) -> (changed)|new sessions\n"                 \
	"log|level|notice -> info|live\n"                                                 \
	"log|areas.ike|- -> error|live\n"                                                 \
	"pools.office|range|10.8.0.10-10.8.0.99 -> 10.8.0.50-10.8.0.150|new sessions|"    \
	"40 sessions keep an address that is not in it any more\n"                        \
	"users.office|u0|there -> removed|live|1 session of it stays until it ends\n"     \
	"users.office|u1.password|(secret) -> (changed)|live\n"                           \
	"users.office|newcomer|- -> added|live\n"

static void put_new(void)
{
	setenv("SCENARIO_PSK_STAFF", "another one for everybody", 1);
	setenv("SCENARIO_U1", "u1-other", 1);
	setenv("SCENARIO_NEW", "new-password", 1);
	put_users(1, "newcomer: { password: !env SCENARIO_NEW }\n");
	put("viaduct.yaml", NEW);
}

static void plan_only(void)
{
	reload(true, PLAN);
}

static void for_good(void)
{
	reload(false, PLAN);
}

static void fifty(void)
{
	setenv("SCENARIO_PSK_STAFF", GATEWAY_PSK_STAFF, 1);
	setenv("SCENARIO_PSK_MORE", "more than enough of it", 1);
	gateway_start(OLD);
	put_users(0, "");
	put("viaduct.yaml", OLD);
	reload(false, NULL);
	reload(true, "");
	ck_assert_uint_ne(vd_plugin_find("esp_userspace")->order, 0); /* it is needed, also when it runs already */
	for (unsigned i = 0; i < N; i++) {
		robot_init(&robots[i], i, names[i], passwords[i], false);
		steps_login(&robots[i], GATEWAY_PSK_STAFF, 0);
	}
	under_traffic(nothing);
}

static void finish(void)
{
	vd_log_set_level(VD_LOG_WARNING);
	for (unsigned i = 0; i < N; i++)
		robot_free(&robots[i]);
	gateway_stop();
}

/* A further client at the place of its own; true when it came up. */
static bool dials(const char *user, const char *password, const char *psk)
{
	static unsigned index = N;

	robot_init(&late, index++, user, password, false);
	wire_add(&late);
	robot_dial(&late, psk);
	return wire_until(robot_up, &late, 5000);
}

static void is_gone(void)
{
	if (robot_up(&late))
		steps_hang_up(&late);
	late.silent = true;
	wire.n_robots--;
	robot_free(&late);
}

static enum vd_log_level told;

static void sink(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	if (strstr(line, "asked for"))
		told = level;
}

static bool is_logged(const char *area, enum vd_log_level level)
{
	told = VD_LOG_ERROR - 1;
	vd_log(level, area, NULL, "asked for");
	return told == level;
}

START_TEST(test_live)
{
	const struct vd_conf *old;
	struct vd_ip first, last;
	char *before, *after;
	uint64_t ids[N];
	unsigned n = 0;

	fifty();
	old = vd_conf_current();
	for (struct vd_session *s = NULL; (s = vd_session_after(s)); n++) {
		ck_assert_ptr_eq(s->conf, old);
		ids[n] = s->id;
	}
	ck_assert_uint_eq(n, N);
	put_new();
	before = dump();
	under_traffic(plan_only);
	after = dump();
	ck_assert_str_eq(before, after);
	ck_assert_ptr_eq(vd_conf_current(), old);
	free(before);
	free(after);
	under_traffic(for_good);
	ck_assert_ptr_ne(vd_conf_current(), old);
	reload(true, "");
	/* Sessions are as they were. */
	for (unsigned i = 0; i < N; i++) {
		const struct vd_session *s = vd_session_find(ids[i]);

		ck_assert_ptr_nonnull(s);
		ck_assert_int_eq(s->state, VD_S_UP);
		ck_assert_ptr_eq(s->conf, old);
		ck_assert(vd_conf_range(vd_conf_at(s->conf, NULL, "pools.office.range"), &first, &last));
		ck_assert_uint_eq(vd_ip_u32(&last), 0x0a080063);
	}
	/* What comes now gets what is new. */
	vd_log_sink(sink, NULL);
	ck_assert(is_logged("daemon", VD_LOG_INFO));
	ck_assert(!is_logged("daemon", VD_LOG_DEBUG));
	ck_assert(!is_logged("ike", VD_LOG_WARNING));
	ck_assert(is_logged("ike", VD_LOG_ERROR));
	vd_log_sink(NULL, NULL);
	ck_assert(dials("newcomer", "new-password", "another one for everybody"));
	ck_assert_uint_ge(late.address[3], 60); /* the first that nobody has */
	steps_ping(&late);
	is_gone();
	ck_assert(!dials("newcomer", "new-password", GATEWAY_PSK_STAFF));
	is_gone();
	ck_assert(!dials("u1", "u1-password", "another one for everybody"));
	ck_assert(late.refused);
	is_gone();
	ck_assert(!dials("u0", "u0-password", "another one for everybody"));
	ck_assert(late.refused);
	is_gone();
	/* The old one is forgotten but for its sessions, which live on. */
	fake_events_clear();
	wire_wait(VD_RELOAD_GRACE_MS + 1000);
	under_traffic(nothing);
	ck_assert_ptr_eq(vd_session_find(ids[0])->conf, old);
	finish();
}
END_TEST

static const struct {
	const char *yaml, *users, *text;
} bad[] = {
	{ "pools: { office\n  range: 10.8.0.0/24 }\n", NULL,
		"/viaduct.yaml:2:8: error: while parsing a flow mapping: did not find expected ',' or '}'\n" },
	{ OLD "lgo: { level: info }\n", NULL,
		"/viaduct.yaml:8:1: error: no plugin knows the section `lgo`; did you mean `log`?\n" },
	{ OLD "log: { levle: info }\n", NULL, "/viaduct.yaml:8:8: error: unknown option `levle` in log; did you mean `level`?\n" },
	{ GATEWAY_YAML("10.8.0.10-10.8.0.99", "second_login: perhaps, "), NULL,
		"/viaduct.yaml:6:71: error: connections.staff.second_login: `perhaps` is not one of its words; known are replace, "
		"refuse, coexist\n" },
	/* Good for the schema, but not for a plugin. */
	{ OLD "  more: { accept: [l2tp], realm: office, pool: office }\n", NULL,
		"/viaduct.yaml:8:3: error: connections.more accepts l2tp and has no l2tp.psk\n" },
	{ OLD "  more: { accept: [l2tp], realm: office, crypto: own, l2tp: { psk: !env SCENARIO_PSK_MORE } }\n"
		"crypto: { own: { ike: [rot13-md5-modp768] } }\n", NULL,
		"/viaduct.yaml:9:24: error: crypto.own: suite rot13-md5-modp768: rot13 is not an algorithm, or the second of its kind\n" },
	{ GATEWAY_YAML("10.8.0.10-10.8.0.99", "crypto: legcay, "), NULL,
		"/viaduct.yaml:6:65: error: connections.staff.crypto: there is no `legcay` in crypto; did you mean `legacy`?\n" },
	{ OLD, "u0: { pasword: !env SCENARIO_U0 }\n",
		"/users.yaml:1:7: error: unknown option `pasword` in u0; did you mean `password`?\n" },
};

static char *findings(const struct vd_conf_errors *errs)
{
	char *text = NULL, *at;
	size_t size, n = strlen(gateway_folder());
	FILE *out = open_memstream(&text, &size);

	vd_conf_errors_print(errs, out);
	fclose(out);
	while ((at = strstr(text, gateway_folder())))
		memmove(at, at + n, strlen(at + n) + 1);
	return text;
}

static int bad_now;

static void bad_reload(void)
{
	struct vd_reloaded r;
	char *text;

	ck_assert_int_lt(vd_reload(gateway_folder(), false, &r), 0);
	ck_assert(!r.done);
	ck_assert_uint_eq(r.plan.n, 0);
	ck_assert_uint_ge(r.errs.n_errors, 1);
	text = findings(&r.errs);
	ck_assert_str_eq(text, bad[bad_now].text);
	free(text);
	vd_reloaded_free(&r);
}

START_TEST(test_bad)
{
	const struct vd_conf *old;
	char *before, *after;

	fifty();
	old = vd_conf_current();
	before = dump();
	for (bad_now = 0; bad_now < (int)VD_ARRAY_SIZE(bad); bad_now++) {
		put("viaduct.yaml", bad[bad_now].yaml);
		if (bad[bad_now].users)
			put("users.yaml", bad[bad_now].users);
		under_traffic(bad_reload);
		after = dump();
		ck_assert_str_eq(before, after);
		ck_assert_ptr_eq(vd_conf_current(), old);
		free(after);
	}
	free(before);
	finish();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_reload");
	TCase *t = tcase_create("reload");

	tcase_set_timeout(t, 120);
	if (user_there("reload")) {
		tcase_add_test(t, test_live);
		tcase_add_test(t, test_bad);
	}
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
