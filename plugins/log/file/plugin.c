/* log_file: records in a file, as lines of text or JSON. When the file is moved away, as logrotate does, the next record
 * goes into a new one of the old name. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <viaduct/file.h>

#include "plugins/log/lib/format.h"
#include "plugins/log/lib/queue.h"

#define LOOK_S 1

struct log_file {
	struct log_queue *queue;
	bool json;
	/* the queue's thread, once it runs */
	char path[1024];
	int fd;
	bool torn; /* the last line is not whole: the disk was full in the middle */
	time_t looked;
};

static const struct vd_opt schema[] = {
	{ "log.file", VD_T_MAP, 0, NULL, NULL, "Records go into a file as well." },
	{ "log.file.path", VD_T_PATH, VD_OPT_REQUIRED, NULL, NULL,
		"The file; made with mode 0640 when it is missing, and again when it was moved away." },
	{ "log.file.format", VD_T_WORD, 0, "text", "text|json", "Lines for people, or one JSON object per line." },
	{ NULL },
};

/* owner: whose a file that we make is to be; -1: ours. What is there keeps its owner and mode. */
static int open_file(struct log_file *f, uid_t owner, struct vd_error *err)
{
	const int flags = O_WRONLY | O_APPEND;
	int r;

	f->fd = vd_file_open(f->path, flags | O_CREAT | O_EXCL, 0640, err);
	if (f->fd == -EEXIST) {
		f->fd = vd_file_open(f->path, flags, 0, err);
	} else if (f->fd >= 0 && (fchown(f->fd, owner, (gid_t)-1) < 0 || fchmod(f->fd, 0640) < 0)) {
		/* (The daemon's mask takes the group's bits away, but who may read logs is a matter of the group.) */
		r = vd_error_set(err, -errno, "%s: %s", f->path, strerror(errno));
		close(f->fd);
		f->fd = -1;
		return r;
	}
	return f->fd < 0 ? f->fd : 0;
}

/* Another file, or none, has our name. */
static bool moved_away(struct log_file *f)
{
	struct stat ours, named;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec - f->looked < LOOK_S)
		return false;
	f->looked = now.tv_sec;
	return fstat(f->fd, &ours) == 0 && (stat(f->path, &named) < 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev);
}

/* All of it or an error; what was written of a line stays. */
static int put(struct log_file *f, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(f->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		f->torn = data[n - 1] != '\n';
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_record(void *arg, const char *data, size_t len)
{
	struct log_file *f = arg;
	struct vd_error err;
	int r = 0;

	if (f->fd >= 0 && moved_away(f)) {
		close(f->fd);
		f->fd = -1;
		f->torn = false;
	}
	if (f->fd < 0)
		r = open_file(f, (uid_t)-1, &err);
	if (r == 0 && f->torn)
		r = put(f, "\n", 1);
	return r < 0 ? r : put(f, data, len);
}

static bool take(void *arg, const struct vd_log_record *record)
{
	struct log_file *f = arg;
	char line[LOG_LINE_MAX];
	size_t n = f->json ? log_json(record, line, sizeof(line)) : log_line(record, line, sizeof(line));

	return log_queue_put(f->queue, line, n);
}

static void destroy(struct log_file *f)
{
	if (!log_queue_free(f->queue))
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static int first_open(struct log_file *f, uid_t owner, struct vd_error *err)
{
	int r = f->fd < 0 ? open_file(f, owner, err) : 0;
	struct vd_error said = *err;

	return r < 0 ? vd_error_set(err, r, "cannot write %s; see log.file.path", said.text) : 0;
}

/* A file in a folder of root's is opened while we are root; one that we make is the daemon's, so that it can go on alone when the
 * file was moved away. Anywhere else root could be led astray, so the daemon's user opens it, in start. */
static int open_as_root(struct log_file *f, struct vd_error *err)
{
	const char *user = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.user"));
	struct passwd *pw = user ? getpwnam(user) : NULL;
	struct stat st;
	int r = first_open(f, pw ? pw->pw_uid : (uid_t)-1, err);

	if (r == -EPERM)
		return 0;
	if (r == 0 && pw && fstat(f->fd, &st) == 0 && st.st_uid != pw->pw_uid)
		vd_log(VD_LOG_WARNING, "log_file", NULL, "%s was there already and belongs to user %u: when it is moved away nothing more is "
			"written, unless its new one belongs to %s; do: chown %s %s", f->path, (unsigned)st.st_uid, user, user, f->path);
	return r;
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct log_file *f = calloc(1, sizeof(*f));
	struct log_queue_setup setup = { .plugin = "log_file", .counter = "log_file.lost", .thread = "vd-log-file",
		.write = write_record, .arg = f };
	const char *path = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "log.file.path"));
	int r;

	(void)host;
	if (!f || !(f->queue = log_queue_new(&setup))) {
		free(f);
		return vd_error_set(err, -ENOMEM, "out of memory");
	}
	f->fd = -1;
	f->json = !strcmp(vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "log.file.format")), "json");
	if (!path || !vd_strcpy(f->path, sizeof(f->path), path))
		r = vd_error_set(err, -EINVAL, "log.file.path is missing or too long; give log.file a path");
	else
		r = geteuid() == 0 ? open_as_root(f, err) : 0;
	if (r == 0 && (r = vd_log_sink_add(take, f, 0)) < 0)
		vd_error_set(err, r, "there are too many sinks");
	if (r < 0) {
		destroy(f);
		return r;
	}
	*ret_self = f;
	return 0;
}

static int start(void *self, struct vd_error *err)
{
	struct log_file *f = self;
	int r = first_open(f, (uid_t)-1, err);

	if (r < 0)
		return r;
	r = log_queue_start(f->queue);
	return r < 0 ? vd_error_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

static void fini(void *self)
{
	struct log_file *f = self;

	vd_log_sink_remove(take, f);
	destroy(f);
}

/* A folder that is missing, or that is none, is an error before the start; who may write there is seen when it is opened. */
static int check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	const struct vd_conf_node *node = vd_conf_at(vd_conf_current(), NULL, "log.file.path");
	const char *path = vd_conf_str(node), *slash = path ? strrchr(path, '/') : NULL;
	char folder[512];
	struct stat st;

	(void)self;
	(void)plan;
	(void)err;
	if (!slash || (size_t)(slash - path) >= sizeof(folder))
		return 0;
	vd_format(folder, sizeof(folder), "%.*s", slash > path ? (int)(slash - path) : 1, path);
	if (stat(folder, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return vd_check_error(node, "log.file.path: there is no folder %s; make it, writable for the user of gateway.user", folder);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return vd_check_error(node, "log.file.path: %s is no file", path);
	return 0;
}

VD_PLUGIN(log_file, .version = "1.0", .license = "MIT", .summary = "records in a file", .schema = schema, .init = init, .check = check,
	.start = start, .fini = fini);
