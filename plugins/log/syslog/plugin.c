/* log_syslog: records to the syslog daemon of this host, and to a server by UDP (RFC 5424 in RFC 5426). */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugins/log/lib/format.h"
#include "plugins/log/lib/queue.h"
#include "plugins/log/syslog/message.h"

#define PATIENCE_MS 200

struct target {
	struct sockaddr_storage to;
	socklen_t len; /* 0: this one is not used */
	int fd;
};

struct log_syslog {
	struct log_queue *queue;
	int facility, pid;
	char host[256];
	struct target local, server; /* the queue's thread, once it runs */
};

static const char facilities[] = "kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|audit|alert|clock|"
	"local0|local1|local2|local3|local4|local5|local6|local7";

static const struct vd_opt schema[] = {
	{ "log.syslog", VD_T_MAP, 0, NULL, NULL, "Records go to syslog as well." },
	{ "log.syslog.local", VD_T_BOOL, 0, "true", NULL, "To the syslog daemon of this host." },
	{ "log.syslog.socket", VD_T_PATH, 0, "/dev/log", NULL, "Where that daemon listens." },
	{ "log.syslog.server", VD_T_ADDR, 0, NULL, NULL, "To this server by UDP, unprotected: records name users and addresses." },
	{ "log.syslog.port", VD_T_UINT, 0, "514", "1..65535", "The server's port." },
	{ "log.syslog.facility", VD_T_WORD, 0, "daemon", facilities, "The facility of the messages." },
	{ NULL },
};

static int connect_target(struct target *t)
{
	t->fd = socket(t->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return -errno;
	if (connect(t->fd, (struct sockaddr *)&t->to, t->len) < 0) {
		int r = -errno;

		close(t->fd);
		t->fd = -1;
		return r;
	}
	return 0;
}

/* A daemon that was restarted has another socket at the same place: one more try with a new one. */
static int send_to(struct target *t, const char *data, size_t len)
{
	int r = 0;

	for (int i = 0; i < 2; i++) {
		if (t->fd < 0 && (r = connect_target(t)) < 0)
			return r;
		if (send(t->fd, data, len, MSG_NOSIGNAL) >= 0)
			return 0;
		r = -errno;
		if (r == -EAGAIN || r == -ENOBUFS) {
			struct pollfd p = { .fd = t->fd, .events = POLLOUT };

			poll(&p, 1, PATIENCE_MS);
		} else {
			close(t->fd);
			t->fd = -1;
		}
	}
	return r;
}

/* As it was put: one octet that says where to, and the message. */
static int write_record(void *arg, const char *data, size_t len)
{
	struct log_syslog *s = arg;

	return send_to(data[0] == 'l' ? &s->local : &s->server, data + 1, len - 1);
}

static bool take(void *arg, const struct vd_log_record *record)
{
	struct log_syslog *s = arg;
	char text[LOG_LINE_MAX];
	bool took = true;
	size_t n;

	if (s->local.len) {
		text[0] = 'l';
		n = syslog_local(record, s->facility, s->pid, text + 1, sizeof(text) - 1);
		took &= log_queue_put(s->queue, text, n + 1);
	}
	if (s->server.len) {
		text[0] = 's';
		n = syslog_rfc5424(record, s->facility, s->host, s->pid, text + 1, sizeof(text) - 1);
		took &= log_queue_put(s->queue, text, n + 1);
	}
	return took;
}

static int facility_of(const char *word)
{
	int i = 0;

	for (const char *p = facilities; *p; p += strcspn(p, "|"), p += *p == '|', i++)
		if (strcspn(p, "|") == strlen(word) && !strncmp(p, word, strlen(word)))
			return i;
	return 3;
}

static int set_targets(struct log_syslog *s, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_ip *server = vd_conf_ip(vd_conf_at(conf, NULL, "log.syslog.server"));
	const char *path = vd_conf_str(vd_conf_at(conf, NULL, "log.syslog.socket"));
	struct sockaddr_un *un = (struct sockaddr_un *)&s->local.to;

	s->local.fd = s->server.fd = -1;
	if (vd_conf_bool(vd_conf_at(conf, NULL, "log.syslog.local"))) {
		un->sun_family = AF_UNIX;
		if (!vd_strcpy(un->sun_path, sizeof(un->sun_path), path))
			return vd_error_set(err, -ENAMETOOLONG, "%s: the path of a socket has at most 107 octets; see log.syslog.socket", path);
		s->local.len = sizeof(*un);
	}
	if (server) {
		struct vd_sa sa = { .ip = *server, .port = (uint16_t)vd_conf_uint(vd_conf_at(conf, NULL, "log.syslog.port")) };

		s->server.len = vd_sa_to_sockaddr(&sa, &s->server.to);
	}
	if (!s->local.len && !s->server.len)
		return vd_error_set(err, -EINVAL, "log.syslog sends to nobody: give it a server, or set local to true");
	return 0;
}

static void destroy(struct log_syslog *s)
{
	if (!log_queue_free(s->queue))
		return;
	if (s->local.fd >= 0)
		close(s->local.fd);
	if (s->server.fd >= 0)
		close(s->server.fd);
	free(s);
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct log_syslog *s = calloc(1, sizeof(*s));
	struct log_queue_setup setup = { .plugin = "log_syslog", .counter = "log_syslog.lost", .thread = "vd-log-syslog",
		.write = write_record, .arg = s };
	int r;

	(void)host;
	if (!s || !(s->queue = log_queue_new(&setup))) {
		free(s);
		return vd_error_set(err, -ENOMEM, "out of memory");
	}
	s->pid = (int)getpid();
	s->facility = facility_of(vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "log.syslog.facility")));
	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		s->host[0] = '\0';
	r = set_targets(s, err);
	if (r == 0 && (r = vd_log_sink_add(take, s, 0)) < 0)
		vd_error_set(err, r, "there are too many sinks");
	if (r < 0) {
		destroy(s);
		return r;
	}
	*ret_self = s;
	return 0;
}

static int start(void *self, struct vd_error *err)
{
	struct log_syslog *s = self;
	int r = log_queue_start(s->queue);

	return r < 0 ? vd_error_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

static void fini(void *self)
{
	struct log_syslog *s = self;

	vd_log_sink_remove(take, s);
	destroy(s);
}

static int check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	struct log_syslog to = { 0 };
	struct vd_error why = { 0 };

	(void)self;
	(void)plan;
	(void)err;
	return set_targets(&to, &why) < 0 ? vd_check_error(vd_conf_at(vd_conf_current(), NULL, "log.syslog"), "%s", why.text) : 0;
}

VD_PLUGIN(log_syslog, .version = "1.0", .license = "MIT", .summary = "records to syslog, here or on a server", .schema = schema,
	.init = init, .start = start, .check = check, .fini = fini);
