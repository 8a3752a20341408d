/* leases.db. Two tables: held has who holds which address now, one row per address; last has what each user had last.
 *
 * The journal is a write-ahead log and synchronous is FULL: each commit waits for the disk, so a lease that a client was
 * told outlives a power failure as well as a crash. One commit holds all that waited for it, so that the price is one
 * flush per round, not per client. */
#include "plugins/pool/local/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define APPLICATION 0x56644c73 /* "VdLs" */
#define SCHEMA 1
#define LAST_MAX 16384  /* what book.c keeps */
#define TRIM_AFTER 1024 /* rows more than that before some are deleted */
#define BUSY_MS 2000    /* how long another program may write to it */

enum { GRANT, RELEASE, REMEMBER, FORGET_HELD, FORGET_LAST, N_STATEMENTS };

static const char *const statements[N_STATEMENTS] = {
	[GRANT] = "INSERT INTO held (pool, user, address, session, since) VALUES (?1, ?2, ?3, ?4, ?5)",
	[RELEASE] = "DELETE FROM held WHERE address = ?3 AND session = ?4",
	[REMEMBER] = "INSERT OR REPLACE INTO last (pool, user, address, family, ended) VALUES (?1, ?2, ?3, ?6, ?5)",
	[FORGET_HELD] = "DELETE FROM held",
	[FORGET_LAST] = "DELETE FROM last",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *prepared[N_STATEMENTS];
	unsigned since_trim;
	char path[512];
};

static const char make_tables[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE held (address TEXT PRIMARY KEY NOT NULL, pool TEXT NOT NULL, user TEXT NOT NULL,"
	" session INTEGER NOT NULL, since INTEGER NOT NULL);"
	"CREATE TABLE last (seq INTEGER PRIMARY KEY, pool TEXT NOT NULL, user TEXT NOT NULL, family INTEGER NOT NULL,"
	" address TEXT NOT NULL, ended INTEGER NOT NULL, UNIQUE (pool, user, family));"
	"PRAGMA application_id = 1449413747;" /* APPLICATION */
	"PRAGMA user_version = 1;"
	"COMMIT";

/* Nobody's session outlives the daemon; what it had is what its user had last. */
static const char release_all[] =
	"INSERT OR REPLACE INTO last (pool, user, family, address, ended)"
	" SELECT pool, user, CASE WHEN instr(address, ':') THEN 6 ELSE 4 END, address, since FROM held"
	" WHERE user <> '' ORDER BY rowid;"
	"DELETE FROM held;";
static const char trim[] =
	"DELETE FROM last WHERE seq IN (SELECT seq FROM last ORDER BY seq LIMIT max(0, (SELECT count(*) FROM last) - 16384))";
_Static_assert(APPLICATION == 1449413747 && LAST_MAX == 16384 && SCHEMA == 1, "the statements above have these numbers");

/* The reason, in words that tell what to do. */
static int failed(const struct store *s, const char *what, struct vd_error *err)
{
	int code = sqlite3_extended_errcode(s->db);

	switch (code & 0xff) {
	case SQLITE_FULL:
		return vd_error_set(err, -EIO, "%s %s: the disk is full; make room", what, s->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return vd_error_set(err, -EIO, "%s %s: another program has been writing to it for %d s; end it", what, s->path,
			BUSY_MS / 1000);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return vd_error_set(err, -EBADMSG, "%s %s: the file is damaged; restart viaductd, which moves it aside", what,
			s->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return vd_error_set(err, -EACCES, "%s %s: %s; the folder and all leases.db* in it must belong to viaductd's user, "
			"and the file system must be writable", what, s->path, sqlite3_errmsg(s->db));
	default:
		return vd_error_set(err, -EIO, "%s %s: %s (SQLite %d)", what, s->path, sqlite3_errmsg(s->db), code);
	}
}

static bool damaged(const struct store *s)
{
	int code = sqlite3_errcode(s->db) & 0xff;

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

#define NO_NUMBER INT64_MIN

/* The first column of the first row as a number; NO_NUMBER when that failed. */
static int64_t number(const struct store *s, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = NO_NUMBER;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* The file is there, ours alone, before SQLite opens it: its companions get the same mode. */
static int touch(const struct store *s, struct vd_error *err)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600), ret = 0;
	struct stat st;

	if (fd < 0)
		return vd_error_set(err, -errno, "cannot open %s: %s; the folder and the file must belong to viaductd's user",
			s->path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		ret = vd_error_set(err, -EINVAL, "%s is not a file: move it away", s->path);
	else if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
		ret = vd_error_set(err, -errno, "cannot make %s private: %s", s->path, strerror(errno));
	close(fd);
	return ret;
}

/* Opens, and says in *ret_wrong why the file cannot be used as it is ("" when it can). */
static int look(struct store *s, char *wrong, size_t size, struct vd_error *err)
{
	int64_t application, version, faults;

	*wrong = '\0';
	if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return s->db ? failed(s, "cannot open", err) : vd_error_set(err, -ENOMEM, "out of memory");
	sqlite3_busy_timeout(s->db, BUSY_MS);
	application = number(s, "PRAGMA application_id");
	version = application == NO_NUMBER ? NO_NUMBER : number(s, "PRAGMA user_version");
	if (!application && !version && !number(s, "SELECT count(*) FROM sqlite_schema"))
		return 0;
	faults = version == NO_NUMBER || application != APPLICATION ? 0 :
		 number(s, "SELECT count(*) FROM pragma_quick_check WHERE quick_check <> 'ok'");
	if (version == NO_NUMBER || faults == NO_NUMBER) {
		if (!damaged(s))
			return failed(s, "cannot read", err);
		vd_strcpy(wrong, size, "it is damaged, or no database");
	} else if (application != APPLICATION) {
		vd_strcpy(wrong, size, "it is the database of another program");
	} else if (version != SCHEMA) {
		vd_format(wrong, size, "it has version %" PRId64 " of its tables, and this viaductd knows version %d", version, SCHEMA);
	} else if (faults) {
		vd_strcpy(wrong, size, "it is damaged");
	}
	return 0;
}

/* Both names of the companions move with it, because a log that stays would be taken for the next file's. */
static int move_aside(struct store *s, const char *wrong, struct store_found *found, struct vd_error *err)
{
	static const char *const companions[] = { "-wal", "-shm", "-journal" };
	char to[600], from2[600], to2[640], when[32];
	time_t now = time(NULL);
	struct tm tm;
	size_t i;
	unsigned n;

	sqlite3_close(s->db);
	s->db = NULL;
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	vd_format(to, sizeof(to), "%s.aside-%s", s->path, when);
	for (n = 1; access(to, F_OK) == 0 && n < 1000; n++)
		vd_format(to, sizeof(to), "%s.aside-%s-%u", s->path, when, n);
	if (rename(s->path, to) < 0)
		return vd_error_set(err, -errno, "%s cannot be used (%s), nor moved aside: %s", s->path, wrong, strerror(errno));
	for (i = 0; i < VD_ARRAY_SIZE(companions); i++) {
		vd_format(from2, sizeof(from2), "%s%s", s->path, companions[i]);
		vd_format(to2, sizeof(to2), "%s%s", to, companions[i]);
		if (rename(from2, to2) < 0 && errno != ENOENT)
			return vd_error_set(err, -errno, "cannot move %s aside: %s", from2, strerror(errno));
	}
	vd_format(found->note, sizeof(found->note), "%s cannot be used: %s; it is now %s, and who had which address begins anew",
		s->path, wrong, strrchr(to, '/') + 1);
	return 0;
}

static int run(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int prepare(struct store *s, struct vd_error *err)
{
	int i;

	/* Where the file system has no shared memory SQLite keeps its older journal, which is as safe. */
	if (run(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;"
			"PRAGMA trusted_schema = OFF;"))
		return failed(s, "cannot prepare", err);
	if (!number(s, "PRAGMA application_id") && run(s, make_tables))
		return failed(s, "cannot make the tables of", err);
	for (i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[i], NULL) != SQLITE_OK)
			return failed(s, "cannot use", err);
	return 0;
}

static int load(struct store *s, struct store_found *found,
	void (*each)(void *arg, const char *pool, const char *user, const struct vd_ip *address), void *arg,
	struct vd_error *err)
{
	const char *pool, *user, *address;
	sqlite3_stmt *st = NULL;
	struct vd_ip ip;
	int64_t held;
	int step = SQLITE_ERROR;

	if (run(s, "BEGIN IMMEDIATE"))
		return failed(s, "cannot write to", err);
	held = number(s, "SELECT count(*) FROM held");
	if (held == NO_NUMBER || (held && run(s, release_all)) || run(s, trim) || run(s, "COMMIT")) {
		failed(s, "cannot write to", err);
		run(s, "ROLLBACK");
		return err->code;
	}
	found->released = (size_t)held;
	sqlite3_prepare_v2(s->db, "SELECT pool, user, address FROM last ORDER BY seq", -1, &st, NULL);
	while (st && (step = sqlite3_step(st)) == SQLITE_ROW) {
		pool = (const char *)sqlite3_column_text(st, 0);
		user = (const char *)sqlite3_column_text(st, 1);
		address = (const char *)sqlite3_column_text(st, 2);
		if (pool && user && address && strlen(pool) < VD_NAME_MAX && *user && strlen(user) < VD_USER_MAX &&
			vd_ip_parse(address, &ip))
			each(arg, pool, user, &ip);
		else
			found->unreadable++;
	}
	if (step != SQLITE_DONE)
		failed(s, "cannot read", err);
	sqlite3_finalize(st);
	return step != SQLITE_DONE ? err->code : 0;
}

int store_open(const char *folder, struct store **ret_store, struct store_found *ret_found,
	void (*each)(void *arg, const char *pool, const char *user, const struct vd_ip *address), void *arg,
	struct vd_error *err)
{
	struct store *s = calloc(1, sizeof(*s));
	char wrong[128];
	int ret;

	memset(ret_found, 0, sizeof(*ret_found));
	if (!s)
		return vd_error_set(err, -ENOMEM, "out of memory");
	vd_format(s->path, sizeof(s->path), "%s/leases.db", folder);
	ret = touch(s, err);
	if (!ret)
		ret = look(s, wrong, sizeof(wrong), err);
	if (!ret && wrong[0]) {
		ret = move_aside(s, wrong, ret_found, err);
		if (!ret)
			ret = touch(s, err);
		if (!ret)
			ret = look(s, wrong, sizeof(wrong), err);
	}
	if (!ret)
		ret = prepare(s, err);
	if (!ret)
		ret = load(s, ret_found, each, arg, err);
	if (ret) {
		store_close(s);
		return ret;
	}
	*ret_store = s;
	return 0;
}

static int run_prepared(struct store *s, int which, const struct store_op *op)
{
	sqlite3_stmt *st = s->prepared[which];
	char address[VD_IP_TEXT];
	int step;

	if (op->address.family)
		sqlite3_bind_text(st, 3, vd_ip_format(&op->address, address), -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 1, op->pool, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, op->user, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (int64_t)op->session);
	sqlite3_bind_int64(st, 5, op->when);
	sqlite3_bind_int(st, 6, op->address.family == AF_INET ? 4 : 6);
	step = sqlite3_step(st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return step == SQLITE_DONE ? 0 : step == SQLITE_CONSTRAINT ? -EADDRINUSE : -EIO;
}

/* -EIO: not only this one but all of the transaction failed. */
static int write_one(struct store *s, struct store_op *op)
{
	int ret = 0;

	switch (op->what) {
	case STORE_GRANT:
		op->result = run_prepared(s, GRANT, op);
		return op->result == -EADDRINUSE ? 0 : op->result;
	case STORE_END:
		ret = run_prepared(s, RELEASE, op);
		if (!op->user[0])
			return ret;
		/* fall through */
	case STORE_LAST:
		s->since_trim++;
		return ret ? ret : run_prepared(s, REMEMBER, op);
	case STORE_FORGET:
		ret = run_prepared(s, FORGET_HELD, op);
		return ret ? ret : run_prepared(s, FORGET_LAST, op);
	default:
		return 0;
	}
}

int store_write(struct store *s, struct store_op *ops, struct vd_error *err)
{
	struct store_op *op;
	int ret;

	for (op = ops; op; op = op->next)
		op->result = 0;
	ret = run(s, "BEGIN IMMEDIATE");
	for (op = ops; op && !ret; op = op->next)
		ret = write_one(s, op);
	if (!ret && s->since_trim >= TRIM_AFTER) {
		ret = run(s, trim);
		s->since_trim = 0;
	}
	if (!ret)
		ret = run(s, "COMMIT");
	if (!ret)
		return 0;
	failed(s, "cannot write to", err);
	if (!sqlite3_get_autocommit(s->db))
		run(s, "ROLLBACK");
	return err->code;
}

void store_close(struct store *s)
{
	int i;

	if (!s)
		return;
	for (i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(s->prepared[i]);
	sqlite3_close(s->db);
	free(s);
}
