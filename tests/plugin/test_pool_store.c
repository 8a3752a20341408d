/* Leases that outlive the daemon: closed without a goodbye, a disk that refuses, files that are not ours. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/log.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "core/log.h"
#include "core/plugin.h"
#include "core/state.h"
#include "plugins/pool/local/pool.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin pool_local_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &pool_local_LTX_vd_plugin, NULL };
#define PLUGIN plugins[0]

static const char yaml[] = "pools:\n  small: { range: 10.9.0.10-10.9.0.12 }\n  wide: { range: [10.8.0.0/22, \"2001:db8::/112\"] }\n";

static char folder[64], path[128], said[4096];

static void listen_to(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (strlen(said) + strlen(line) + 2 < sizeof(said))
		strcat(strcat(said, line), "\n");
}

static void setup(void)
{
	fake_init(5);
	strcpy(folder, "/tmp/vd-leases-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/leases.db", folder);
	vd_state_dir_set(folder);
	vd_log_sink(listen_to, NULL);
	said[0] = '\0';
	fake_conf(yaml, plugins, NULL);
}

static void teardown(void)
{
	char command[128];

	fake_conf_fini();
	fake_fini();
	vd_state_dir_set(NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

struct answer {
	unsigned n;
	enum vd_verdict verdict;
	char text[400];
	int code;
};

static void done(void *arg, const struct vd_answer *answer)
{
	const struct vd_leased_address *got = answer->data;
	struct answer *a = arg;

	a->n++;
	a->verdict = answer->verdict;
	a->code = answer->why.code;
	if (answer->verdict == VD_ACCEPT)
		vd_ip_format(&got->address, a->text);
	else
		vd_strcpy(a->text, sizeof(a->text), answer->why.text);
}

static void ask_later(struct answer *a, uint64_t session, const char *user, const char *pool, const char *want, int family)
{
	struct vd_lease_address r = { .session = session, .family = (uint8_t)family };

	vd_strcpy(r.user, sizeof(r.user), user);
	vd_strcpy(r.pool, sizeof(r.pool), pool);
	if (want)
		ck_assert(vd_ip_parse(want, &r.want));
	*a = (struct answer){ 0 };
	ck_assert_uint_ne(vd_request(&vd_topic_lease_address, &r, &(struct vd_request_opts){ 0 }, done, a), 0);
}

static struct answer last;

static const char *ask(uint64_t session, const char *user, const char *pool, const char *want)
{
	ask_later(&last, session, user, pool, want, 4);
	fake_drain();
	ck_assert_uint_eq(last.n, 1);
	return last.text;
}

static void gone_later(uint64_t session)
{
	ck_assert_int_eq(vd_event_post(&vd_topic_session_gone, &(struct vd_session_gone){ session }), 0);
}

static void gone(uint64_t session)
{
	gone_later(session);
	fake_drain();
}

/* The rows of a query, fields by '|', rows by ' '. From a connection of its own, as the sqlite3 tool has one. */
static const char *query(const char *sql)
{
	static char out[2048];
	sqlite3_stmt *st;
	sqlite3 *db;
	int i;

	out[0] = '\0';
	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	while (sqlite3_step(st) == SQLITE_ROW) {
		if (out[0])
			strcat(out, " ");
		for (i = 0; i < sqlite3_column_count(st); i++)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? "|" : "", sqlite3_column_text(st, i));
	}
	ck_assert_int_eq(sqlite3_finalize(st), SQLITE_OK);
	sqlite3_close(db);
	return out;
}

#define HELD "SELECT address, pool, user, session FROM held ORDER BY rowid"
#define LAST "SELECT address, pool, user FROM last ORDER BY seq"

/* Nobody says session_gone: as after a crash, as far as the file goes. */
static void restart(void)
{
	fake_plugin_stop(PLUGIN);
	fake_plugin_start(PLUGIN);
}

START_TEST(sticky)
{
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.10");
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.0.11");
	ck_assert_str_eq(query(HELD), "10.9.0.10|small|alice|1 10.9.0.11|small|bob|2");
	gone(1);
	ck_assert_str_eq(query(HELD), "10.9.0.11|small|bob|2");
	ck_assert_str_eq(query(LAST), "10.9.0.10|small|alice");
	restart();
	ck_assert_ptr_nonnull(strstr(said, "1 leases were held when viaductd ended"));
	ck_assert_str_eq(query(HELD), "");
	ck_assert_str_eq(query(LAST), "10.9.0.10|small|alice 10.9.0.11|small|bob");
	/* Who is new gets what nobody had, though the search begins anew. */
	ck_assert_str_eq(ask(1, "carol", "small", NULL), "10.9.0.12");
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.0.11");
	ck_assert_str_eq(ask(3, "dave", "small", NULL), "10.9.0.10"); /* nothing else is left */
	ck_assert_str_eq(ask(4, "alice", "small", NULL), "pool small is exhausted: 3 of its 3 addresses are in use");
	ck_assert_int_eq(last.code, -ENOSPC);
	ck_assert_int_eq(last.verdict, VD_REJECT);
	gone(3);
	restart();
	ck_assert_str_eq(ask(4, "alice", "small", NULL), "10.9.0.10"); /* remembered, though dave had it since */
	fake_plugin_stop(PLUGIN);
}
END_TEST

#define DAY_MS 86400000ll
#define SINCE "SELECT user, since / 86400 - 19675 FROM held ORDER BY rowid" /* days since the fake clock began */
#define ENDED "SELECT user, ended / 86400 - 19675 FROM last ORDER BY seq"

/* The clock is set back, and forward: leases have the time that it showed, and who had what, and last, is told by their order. */
START_TEST(clock_set)
{
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.10");
	fake_wall_step(-2 * DAY_MS);
	fake_advance(600000);
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.0.11");
	ck_assert_str_eq(query(SINCE), "alice|0 bob|-2");
	gone(1);
	ck_assert_str_eq(query(ENDED), "alice|-2");
	ck_assert_str_eq(ask(3, "carol", "small", NULL), "10.9.0.12");
	ck_assert_str_eq(ask(4, "dave", "small", NULL), "10.9.0.10"); /* alice's, when nothing else is left */
	gone(4);
	fake_wall_step(4 * DAY_MS);
	restart();
	ck_assert_str_eq(query(HELD), "");
	ck_assert_str_eq(query(ENDED), "alice|-2 dave|-2 bob|-2 carol|-2");
	/* From the future now, which is over again. */
	ck_assert_str_eq(ask(5, "bob", "small", NULL), "10.9.0.11");
	gone(5);
	fake_wall_step(-3 * DAY_MS);
	restart();
	ck_assert_str_eq(query(ENDED), "alice|-2 dave|-2 carol|-2 bob|2");
	ck_assert_str_eq(ask(6, "eve", "small", NULL), "10.9.0.10");
	ck_assert_str_eq(ask(7, "carol", "small", NULL), "10.9.0.12");
	ck_assert_str_eq(ask(8, "bob", "small", NULL), "10.9.0.11");
	ck_assert_str_eq(query(SINCE), "eve|-1 carol|-1 bob|-1");
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(dedicated)
{
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "till", "small", "10.9.0.11"), "10.9.0.11");
	ck_assert_str_eq(ask(2, "far", "", "10.8.1.7"), "10.8.1.7");
	ask_later(&last, 2, "far", "wide", NULL, 6);
	fake_drain();
	ck_assert_str_eq(last.text, "2001:db8::2");
	ck_assert_str_eq(query(HELD), "10.9.0.11|small|till|1 10.8.1.7|wide|far|2 2001:db8::2|wide|far|2");
	restart();
	ck_assert_str_eq(ask(5, "till", "small", "10.9.0.11"), "10.9.0.11");
	ck_assert_str_eq(ask(6, "other", "small", "10.9.0.11"), "10.9.0.11 is held by s-5 (till)");
	ask_later(&last, 7, "far", "wide", NULL, 6);
	fake_drain();
	ck_assert_str_eq(last.text, "2001:db8::2");
	ck_assert_str_eq(ask(7, "far", "wide", NULL), "10.8.1.7");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Answers come after the commit, many of them after one. */
START_TEST(together)
{
	uint64_t commits;
	struct answer a[60], again, early;
	char user[16];
	unsigned i;

	fake_plugin_start(PLUGIN);
	commits = vd_counter("pool_local.commits");
	for (i = 0; i < 60; i++) {
		snprintf(user, sizeof(user), "u%u", i);
		ask_later(&a[i], 100 + i, user, "wide", NULL, 4);
	}
	ask_later(&again, 159, "u59", "wide", NULL, 4); /* asked twice before the first is answered */
	ask_later(&early, 500, "early", "wide", NULL, 4);
	gone_later(500); /* and gone before it is */
	fake_drain();
	for (i = 0; i < 60; i++) {
		ck_assert_uint_eq(a[i].n, 1);
		ck_assert_int_eq(a[i].verdict, VD_ACCEPT);
	}
	ck_assert_str_eq(again.text, a[59].text);
	ck_assert_uint_eq(early.n, 1);
	ck_assert_uint_le(vd_counter("pool_local.commits") - commits, 3);
	ck_assert_str_eq(query("SELECT count(*), count(DISTINCT address), count(DISTINCT user) FROM held"), "60|60|60");
	ck_assert_str_eq(query("SELECT user FROM last"), "early");
	for (i = 0; i < 60; i++)
		gone_later(100 + i);
	fake_drain();
	ck_assert_str_eq(query("SELECT count(*) FROM held"), "0");
	ck_assert_str_eq(query("SELECT count(*) FROM last"), "61");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* What waits when the daemon ends is written before it does. */
START_TEST(end_is_written)
{
	struct answer a, b;

	fake_plugin_start(PLUGIN);
	ask_later(&a, 1, "alice", "small", NULL, 4);
	ask_later(&b, 2, "bob", "small", NULL, 4);
	fake_drain();
	gone_later(1);
	gone_later(2);
	PLUGIN->stop(vd_plugin_find("pool_local")->self);
	fake_plugin_stop(PLUGIN);
	ck_assert_str_eq(query(HELD), "");
	ck_assert_str_eq(query(LAST), "10.9.0.10|small|alice 10.9.0.11|small|bob");
}
END_TEST

static void file_limit(rlim_t limit)
{
	struct rlimit r;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = limit;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* The disk takes no more: refused with the reason, nothing is half there, and it goes on when there is room. */
START_TEST(disk_refuses)
{
	struct answer a, b, again;
	struct stat st;
	char wal[160];

	signal(SIGXFSZ, SIG_IGN);
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.10");
	snprintf(wal, sizeof(wal), "%s-wal", path);
	ck_assert_int_eq(stat(wal, &st), 0);
	file_limit((rlim_t)st.st_size);
	said[0] = '\0';
	ask_later(&a, 2, "bob", "small", NULL, 4);
	ask_later(&b, 3, "carol", "small", NULL, 4);
	ask_later(&again, 3, "carol", "small", NULL, 4);
	fake_drain();
	ck_assert_uint_eq(a.n + b.n + again.n, 3);
	ck_assert_int_eq(a.verdict, VD_UNAVAILABLE);
	ck_assert_int_eq(b.verdict, VD_UNAVAILABLE);
	ck_assert_int_eq(again.verdict, VD_UNAVAILABLE);
	ck_assert_int_ne(a.code, -ENOSPC); /* the pool is not full */
	ck_assert_msg(strstr(a.text, "cannot write to") && strstr(a.text, path), "%s", a.text);
	ck_assert_ptr_nonnull(strstr(said, "leases cannot be saved, and nobody who needs an address comes in"));
	gone(1); /* cannot be written now, and is not forgotten */
	gone(2);
	ck_assert_str_eq(query(HELD), "10.9.0.10|small|alice|1");
	file_limit(RLIM_INFINITY);
	fake_advance(6000);
	ck_assert_str_eq(query(HELD), "");
	ck_assert_str_eq(query(LAST), "10.9.0.10|small|alice");
	ck_assert_ptr_nonnull(strstr(said, "leases are saved again"));
	ck_assert_str_eq(ask(3, "carol", "small", NULL), "10.9.0.11"); /* alice had .10 */
	ck_assert_str_eq(ask(4, "bob", "small", NULL), "10.9.0.12");
	ck_assert_str_eq(ask(5, "eve", "small", NULL), "10.9.0.10");
	ck_assert_str_eq(query(HELD), "10.9.0.11|small|carol|3 10.9.0.12|small|bob|4 10.9.0.10|small|eve|5");
	/* It ends while the disk refuses: nothing hangs, and the next start puts it right. */
	file_limit(0);
	gone(3);
	fake_plugin_stop(PLUGIN);
	file_limit(RLIM_INFINITY);
	fake_plugin_start(PLUGIN);
	ck_assert_str_eq(query(HELD), "");
	ck_assert_str_eq(ask(1, "bob", "small", NULL), "10.9.0.12");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Somebody works on the file with a tool and does not let go. */
START_TEST(locked)
{
	sqlite3 *db;

	fake_plugin_start(PLUGIN);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ask(1, "alice", "small", NULL);
	ck_assert_int_eq(last.verdict, VD_UNAVAILABLE);
	ck_assert_msg(strstr(last.text, "another program has been writing to it"), "%s", last.text);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_str_eq(ask(1, "alice", "small", NULL), "10.9.0.11");
	/* Somebody changed what is held: never one address to two, and the operator is told. */
	ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO held VALUES ('10.9.0.12', 'small', 'mallory', 77, 0)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	ask(2, "bob", "small", NULL);
	ck_assert_int_eq(last.verdict, VD_UNAVAILABLE);
	ck_assert_str_eq(last.text, "10.9.0.12 is held by somebody else, says the file of leases; restart viaductd");
	ck_assert_str_eq(ask(3, "carol", "small", NULL), "10.9.0.10");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Given back before it was saved, and another one leased: what becomes of the first is not the second's. */
START_TEST(returned_early)
{
	struct answer first, second;
	sqlite3 *db;

	fake_plugin_start(PLUGIN);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO held VALUES ('10.8.0.50', 'wide', 'mallory', 77, 0)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	ask_later(&first, 1, "alice", "wide", "10.8.0.50", 4);
	ck_assert_int_eq(vd_event_post(&vd_topic_lease_returned, &(struct vd_lease_returned){ 1, 4 }), 0);
	ask_later(&second, 1, "alice", "wide", "10.8.0.60", 4);
	fake_drain();
	ck_assert_int_eq(first.verdict, VD_UNAVAILABLE);
	ck_assert_int_eq(second.verdict, VD_ACCEPT);
	ck_assert_str_eq(second.text, "10.8.0.60");
	ck_assert_str_eq(query(HELD), "10.8.0.50|wide|mallory|77 10.8.0.60|wide|alice|1");
	ask(2, "bob", "wide", "10.8.0.60");
	ck_assert_int_eq(last.code, -EADDRINUSE);
	gone(1);
	ck_assert_str_eq(ask(2, "bob", "wide", "10.8.0.60"), "10.8.0.60");
	fake_plugin_stop(PLUGIN);
}
END_TEST

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void sql(const char *text)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* The one file that was moved aside. */
static const char *aside(void)
{
	static char found[256];
	char pattern[160];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s.aside-*", path);
	ck_assert_int_eq(glob(pattern, 0, NULL, &g), 0);
	ck_assert_uint_eq(g.gl_pathc, 1);
	strcpy(found, g.gl_pathv[0]);
	globfree(&g);
	return found;
}

enum { NO_DATABASE, FOREIGN, NEWER, TORN, N_BAD };
static const char *const reasons[N_BAD] = {
	[NO_DATABASE] = "it is damaged, or no database", [FOREIGN] = "it is the database of another program",
	[NEWER] = "it has version 7 of its tables, and this viaductd knows version 1", [TORN] = "it is damaged",
};

/* Never deleted, never used: moved aside with one line that says so. */
START_TEST(not_ours)
{
	static uint8_t before[65536], after[65536];
	size_t n, n_after;
	FILE *f;

	fake_plugin_start(PLUGIN);
	ask(1, "alice", "small", NULL);
	fake_plugin_stop(PLUGIN);
	if (_i == NO_DATABASE) {
		put(path, "these are the leases of somebody who thinks that this is a text file\n");
	} else if (_i == FOREIGN) {
		ck_assert_int_eq(unlink(path), 0);
		sql("CREATE TABLE songs (name); INSERT INTO songs VALUES ('x')");
	} else if (_i == NEWER) {
		sql("PRAGMA user_version = 7");
	} else {
		f = fopen(path, "r+");
		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(fseek(f, 4096, SEEK_SET), 0);
		for (n = 0; n < 4096; n++)
			fputc((int)(n * 7), f);
		fclose(f);
	}
	f = fopen(path, "r");
	n = fread(before, 1, sizeof(before), f);
	fclose(f);
	said[0] = '\0';
	fake_plugin_start(PLUGIN);
	ck_assert_msg(strstr(said, reasons[_i]) && strstr(said, strrchr(aside(), '/') + 1), "%s", said);
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
	f = fopen(aside(), "r");
	n_after = fread(after, 1, sizeof(after), f);
	fclose(f);
	ck_assert_uint_eq(n_after, n);
	ck_assert_mem_eq(after, before, n);
	ck_assert_str_eq(ask(2, "bob", "small", NULL), "10.9.0.10");
	ck_assert_str_eq(query(HELD), "10.9.0.10|small|bob|2");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Rows that somebody wrote by hand. */
START_TEST(odd_rows)
{
	fake_plugin_start(PLUGIN);
	fake_plugin_stop(PLUGIN);
	sql("INSERT INTO last (pool, user, family, address, ended) VALUES ('small', 'alice', 4, 'ten', 0),"
	    " (printf('%.*c', 90, 'x'), 'bob', 4, '10.9.0.10', 0), ('small', '', 4, '10.9.0.10', 0),"
	    " ('small', printf('%.*c', 300, 'y'), 4, '10.9.0.10', 0), ('small', 'carol', 4, '10.9.0.12', 0);"
	    "INSERT INTO held VALUES ('10.9.0.11', 'small', 'dave', -5, 0), ('x', 'small', '', 1, 0)");
	fake_plugin_start(PLUGIN);
	ck_assert_ptr_nonnull(strstr(said, "4 rows of leases.db make no sense and were left out"));
	ck_assert_str_eq(ask(1, "eve", "small", NULL), "10.9.0.10");
	ck_assert_str_eq(ask(2, "carol", "small", NULL), "10.9.0.12");
	ck_assert_str_eq(ask(3, "dave", "small", NULL), "10.9.0.11");
	fake_plugin_stop(PLUGIN);
}
END_TEST

static int try_start(struct vd_error *err)
{
	struct vd_host *host = vd_plugin_preload(PLUGIN, err);
	int ret;

	ck_assert_ptr_nonnull(host);
	ck_assert_int_eq(vd_host_init(host, err), 0);
	ret = vd_host_start(host, err);
	fake_plugin_stop(PLUGIN);
	return ret;
}

/* Where the file cannot be, the daemon does not start, and says why. */
START_TEST(no_place)
{
	struct vd_error err = { 0 };

	ck_assert_int_eq(chmod(folder, 0555), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(try_start(&err), -EACCES);
	ck_assert_msg(strstr(err.text, "/leases.db: Permission denied; the folder and the file must belong to viaductd's user"),
		"%s", err.text);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(folder, 0700), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_lt(try_start(&err), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0); /* somebody else's file is not opened */
	ck_assert_int_eq(try_start(&err), -ELOOP);
}
END_TEST

START_TEST(private)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	struct stat st;
	char name[160];
	size_t i;

	put(path, "");
	ck_assert_int_eq(chmod(path, 0644), 0);
	umask(0);
	fake_plugin_start(PLUGIN);
	ask(1, "alice", "small", NULL);
	for (i = 0; i < VD_ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		ck_assert_int_eq(stat(name, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
	}
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* Into a fresh plugin: the exporter's leases, in the file as well. */
START_TEST(moved)
{
	static uint8_t room[65536], after[65536];
	struct vd_error err;
	struct vd_wr w, w2;
	struct vd_rd r;

	fake_plugin_start(PLUGIN);
	ask(1, "alice", "small", NULL);
	ask(2, "bob", "small", NULL);
	ask(3, "carol", "wide", NULL);
	gone(1);
	vd_wr_init(&w, room, sizeof(room));
	ck_assert_int_eq(vd_state_export(&w, &err), 0);
	ask_later(&last, 4, "dave", "wide", NULL, 4);
	restart();
	vd_rd_init(&r, room, w.len);
	ck_assert_msg(!vd_state_import(&r, VD_IMPORT_SAME, &err), "%s", err.text);
	fake_drain();
	vd_wr_init(&w2, after, sizeof(after));
	ck_assert_int_eq(vd_state_export(&w2, &err), 0);
	ck_assert_uint_eq(w2.len, w.len);
	ck_assert_mem_eq(after, room, w.len);
	ck_assert_str_eq(query(HELD), "10.9.0.11|small|bob|2 10.8.0.2|wide|carol|3");
	ck_assert_str_eq(query(LAST), "10.9.0.10|small|alice");
	gone(2);
	ck_assert_str_eq(query(HELD), "10.8.0.2|wide|carol|3");
	fake_plugin_stop(PLUGIN);
}
END_TEST

static unsigned counted;
static char first_user[VD_USER_MAX];

static void count(void *arg, const char *pool, const char *user, const struct vd_ip *address)
{
	(void)arg;
	(void)pool;
	(void)address;
	if (!counted++)
		vd_strcpy(first_user, sizeof(first_user), user);
}

/* However many users come and go: the oldest are forgotten. */
START_TEST(bounded)
{
	struct store_op *ops = NULL, *op;
	struct store_found found;
	struct vd_error err;
	struct store *s;
	unsigned i;

	ck_assert_int_eq(store_open(folder, &s, &found, count, NULL, &err), 0);
	ck_assert_uint_eq(counted, 0);
	for (i = 20000; i > 0; i--) {
		op = calloc(1, sizeof(*op) + 16);
		op->what = STORE_LAST;
		snprintf(op->user, 16, "u%u", i);
		strcpy(op->pool, "wide");
		op->address = vd_ip4(0x0a080000 + i);
		op->next = ops;
		ops = op;
	}
	ck_assert_int_eq(store_write(s, ops, &err), 0);
	while ((op = ops)) {
		ops = op->next;
		free(op);
	}
	ck_assert_str_eq(query("SELECT count(*) FROM last"), "16384");
	store_close(s);
	ck_assert_int_eq(store_open(folder, &s, &found, count, NULL, &err), 0);
	ck_assert_uint_eq(counted, 16384);
	ck_assert_str_eq(first_user, "u3617");
	store_close(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool_store");
	TCase *t = tcase_create("store");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, sticky);
	tcase_add_test(t, clock_set);
	tcase_add_test(t, dedicated);
	tcase_add_test(t, together);
	tcase_add_test(t, end_is_written);
	tcase_add_test(t, disk_refuses);
	tcase_add_test(t, locked);
	tcase_add_test(t, returned_early);
	tcase_add_loop_test(t, not_ours, 0, N_BAD);
	tcase_add_test(t, odd_rows);
	tcase_add_test(t, no_place);
	tcase_add_test(t, private);
	tcase_add_test(t, moved);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
