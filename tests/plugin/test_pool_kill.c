/* kill -9 at any moment, with the real loop and the writer's own thread: what somebody was told is in the file, no address
 * is told to two users, and the next start gives everybody his address again. VD_TEST_KILLS says how often (50). */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <viaduct/log.h>
#include <viaduct/topics.h>

#include "core/bus.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "core/state.h"
#include "plugins/pool/local/pool.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin pool_local_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &pool_local_LTX_vd_plugin, NULL };

#define USERS 40
#define LIFE_MS 5000 /* of a child that nobody kills */

static char folder[64];
/* What the user was told, by the account of who was told: the parent's from the pipe, the child's own. */
static struct user {
	uint64_t session; /* 0: none that he was told of */
	char address[VD_IP_TEXT];
	bool asked;
} users[USERS];
static uint64_t next_session;

/* ---- the child: a pool with users that come and go ---- */
static int out_fd;

static void say(const char *line)
{
	/* Shorter than PIPE_BUF: all of it or nothing. */
	if (write(out_fd, line, strlen(line)) < 0)
		_exit(3);
}

static void done(void *arg, const struct vd_answer *answer)
{
	struct user *u = arg;
	const struct vd_leased_address *got = answer->data;
	char address[VD_IP_TEXT], line[160];
	int i = (int)(u - users);

	u->asked = false;
	if (answer->verdict != VD_ACCEPT) {
		snprintf(line, sizeof(line), "! u%d refused: %.100s\n", i, answer->why.text);
		say(line);
		return;
	}
	vd_ip_format(&got->address, address);
	if (u->address[0] && strcmp(u->address, address) != 0) {
		snprintf(line, sizeof(line), "! u%d had %s and got %s\n", i, u->address, address);
		say(line);
	}
	strcpy(u->address, address);
	snprintf(line, sizeof(line), "+ %d %llu %s\n", i, (unsigned long long)u->session, address);
	say(line);
}

static void come(int i)
{
	struct vd_lease_address r = { .family = 4, .pool = "p" };

	users[i].session = r.session = ++next_session;
	users[i].asked = true;
	snprintf(r.user, sizeof(r.user), "u%d", i);
	if (!vd_request(&vd_topic_lease_address, &r, &(struct vd_request_opts){ 0 }, done, &users[i]))
		_exit(4);
}

static void go(int i)
{
	char line[80];

	snprintf(line, sizeof(line), "- %d %llu\n", i, (unsigned long long)users[i].session);
	say(line);
	if (vd_event_post(&vd_topic_session_gone, &(struct vd_session_gone){ users[i].session }))
		_exit(4);
	users[i].session = 0;
}

static void listen_to(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void child(int fd)
{
	struct vd_error err = { 0 };
	struct vd_host *host;
	uint64_t end;
	uint32_t dice;
	int i;

	out_fd = fd;
	vd_log_sink(listen_to, NULL);
	if (vd_loop_ev_init() || vd_bus_init())
		_exit(5);
	fake_conf("pools:\n  p: { range: 10.8.0.0/22 }\n", plugins, NULL);
	vd_state_dir_set(folder);
	host = vd_plugin_preload(plugins[0], &err);
	if (!host || vd_host_init(host, &err) || vd_host_start(host, &err)) {
		say("! cannot start: ");
		say(err.text);
		say("\n");
		_exit(5);
	}
	/* All who were there come back first. */
	for (i = 0; i < USERS; i++)
		if (users[i].address[0])
			come(i);
	for (end = vd_now() + LIFE_MS; vd_now() < end;) {
		vd_loop_ev_once(1);
		vd_random(&dice, sizeof(dice));
		i = (int)(dice % USERS);
		if (!users[i].session)
			come(i);
		else if (!users[i].asked && dice >> 31)
			go(i);
	}
	_exit(0);
}

/* ---- the parent ---- */
static void heard(char *line)
{
	unsigned long long session;
	char address[VD_IP_TEXT];
	int i, k;

	ck_assert_msg(line[0] != '!', "%s", line);
	if (line[0] == '+') {
		ck_assert_int_eq(sscanf(line, "+ %d %llu %45s", &i, &session, address), 3);
		for (k = 0; k < USERS; k++)
			ck_assert_msg(k == i || !users[k].session || strcmp(users[k].address, address) != 0,
				"u%d and u%d have %s", k, i, address);
		users[i].session = session;
		strcpy(users[i].address, address);
	} else {
		ck_assert_int_eq(sscanf(line, "- %d %llu", &i, &session), 2);
		ck_assert_uint_eq(users[i].session, session);
		users[i].session = 0;
	}
	if (session > next_session)
		next_session = session;
}

/* Every lease that was told is held in the file, unless its end was begun. */
static unsigned check_file(void)
{
	char path[128];
	bool seen[USERS] = { false };
	sqlite3_stmt *st;
	sqlite3 *db;
	unsigned n = 0;
	int i, user;

	snprintf(path, sizeof(path), "%s/leases.db", folder);
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT address, user, session FROM held", -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		ck_assert_int_eq(sscanf((const char *)sqlite3_column_text(st, 1), "u%d", &user), 1);
		for (i = 0; i < USERS; i++)
			ck_assert_msg(i == user || !users[i].session ||
				strcmp(users[i].address, (const char *)sqlite3_column_text(st, 0)) != 0,
				"u%d was told %s, and the file says u%d", i, users[i].address, user);
		if ((uint64_t)sqlite3_column_int64(st, 2) != users[user].session)
			continue; /* nobody was told of it */
		ck_assert_str_eq((const char *)sqlite3_column_text(st, 0), users[user].address);
		seen[user] = true;
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	for (i = 0; i < USERS; i++) {
		ck_assert_msg(!users[i].session || seen[i], "u%d was told %s, and the file forgot it", i, users[i].address);
		n += seen[i];
	}
	return n;
}

/* Lines until so many were heard or the pipe ends. */
static unsigned listen_lines(FILE *in, unsigned most)
{
	char line[400];
	unsigned n = 0;

	while (n < most && fgets(line, sizeof(line), in)) {
		if (!strchr(line, '\n'))
			break; /* cannot be: lines are whole */
		heard(line);
		n++;
	}
	return n;
}

static unsigned one_round(void)
{
	unsigned before, n;
	uint16_t dice;
	int fds[2], status;
	pid_t pid;
	FILE *in;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		close(fds[0]);
		child(fds[1]);
	}
	close(fds[1]);
	in = fdopen(fds[0], "r");
	for (int i = 0; i < USERS; i++)
		users[i].session = 0; /* their daemon is gone */
	before = (unsigned)(random() % 120);
	n = listen_lines(in, before);
	ck_assert_uint_eq(n, before);
	dice = (uint16_t)random();
	usleep(dice % 3000);
	kill(pid, SIGKILL);
	listen_lines(in, 100000);
	fclose(in);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %x", status);
	return check_file();
}

START_TEST(killed)
{
	const char *text = getenv("VD_TEST_KILLS");
	int kills = text ? atoi(text) : 50, i;
	unsigned held = 0;
	char command[128];

	srandom((unsigned)getpid());
	strcpy(folder, "/tmp/vd-leases-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (i = 0; i < kills; i++)
		held += one_round();
	printf("killed %d times with %u leases held\n", kills, held);
	ck_assert_uint_ge(held, (unsigned)kills); /* or nothing was tried */
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_kill");
	TCase *t = tcase_create("kill");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, killed);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
