/* The control socket: who may connect, lines in, lines out, all bounded. */
#include "core/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <viaduct/file.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/secret.h>
#include <viaduct/text.h>

#include "core/bus.h"
#include "core/record/record.h"
#include "core/object/object.h"

#define LINE_MAX_ 65536
#define CONNS_MAX 32
#define CONNS_ROOT 4        /* places more, that only root gets */
#define IDLE_MS 1000        /* who asks nothing for so long gives its place to who comes, when all are taken */
#define CALLS_MAX 64
#define OUT_EVENTS 262144   /* a stream loses records beyond this, and no more requests are read */
#define OUT_MAX 33554432    /* a reply that makes it longer ends the connection */

struct vd_call {
	struct vd_link all;
	struct conn *conn; /* NULL: the asker has gone */
	json_t *id, *topics;
	bool tail;
	uint64_t lost;
};

struct conn {
	struct vd_link all, calls;
	unsigned n_calls;
	int fd;
	bool root;
	uint64_t asked; /* when the last request came, or it connected */
	struct vd_io *io;
	char *in, *out;
	size_t in_len, out_len, out_size;
	bool last, dead; /* last: closed when out is written */
};

static struct {
	int fd;
	struct vd_io *io;
	struct vd_link conns, orphans;
	unsigned n_conns, n_tails;
	struct vd_tap *tap;
	gid_t group;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)], dir[512];
	uint64_t started;
	bool running, bound;
} ctl;

/* ---- out ---- */
static void conn_watch(struct conn *c)
{
	vd_io_events(c->io, (!c->last && c->out_len < OUT_EVENTS ? VD_IO_READ : 0) | (c->out_len || c->last ? VD_IO_WRITE : 0));
}

static void conn_put(struct conn *c, const char *text, size_t len)
{
	if (c->dead || c->last)
		return;
	if (c->out_len + len + 1 > c->out_size) {
		size_t size = c->out_size ? c->out_size : 4096;
		char *more;

		while (size < c->out_len + len + 1)
			size *= 2;
		more = size <= OUT_MAX ? realloc(c->out, size) : NULL;
		if (!more) {
			c->last = true;
			conn_watch(c);
			return;
		}
		c->out = more;
		c->out_size = size;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	conn_watch(c);
}

static void conn_put_json(struct conn *c, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (text)
		conn_put(c, text, strlen(text));
	else
		c->last = true;
	free(text);
	json_decref(line);
}

/* ---- calls ---- */
static void call_free(struct vd_call *call)
{
	if (call->conn)
		call->conn->n_calls--;
	if (call->tail && --ctl.n_tails == 0) {
		vd_bus_untap(ctl.tap);
		ctl.tap = NULL;
	}
	vd_link_del(&call->all);
	json_decref(call->id);
	json_decref(call->topics);
	free(call);
}

void vd_call_reply(struct vd_call *call, json_t *result)
{
	if (!result) {
		vd_call_fail(call, "out of memory");
		return;
	}
	if (call->conn)
		conn_put_json(call->conn, json_pack("{s:O,s:b,s:O}", "id", call->id, "ok", 1, "result", result));
	json_decref(result);
	call_free(call);
}

void vd_call_fail(struct vd_call *call, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (call->conn)
		conn_put_json(call->conn, json_pack("{s:O,s:b,s:o}", "id", call->id, "ok", 0, "error", vd_text_json(text)));
	call_free(call);
}

static json_t *safe_json(const char *text, size_t len, const char *stay)
{
	size_t size = len * 4 + 1, n = 0; /* an octet becomes four at most, two become six */
	char *safe = malloc(size);
	json_t *json;

	if (!safe)
		return NULL;
	while (len > 0) {
		size_t line = 0;

		while (line < len && (!text[line] || !strchr(stay, text[line])))
			line++;
		n += vd_text_safe(safe + n, size - n, text, line);
		if (line < len)
			safe[n++] = text[line++];
		text += line;
		len -= line;
	}
	json = json_stringn(safe, n);
	free(safe);
	return json;
}

json_t *vd_lines_json(const char *text, size_t len)
{
	return safe_json(text, len, "\n\t");
}

json_t *vd_text_json(const char *text)
{
	return safe_json(text ? text : "", text ? strlen(text) : 0, "");
}

static bool wanted(const struct vd_call *call, const char *topic)
{
	size_t i;
	json_t *name;

	if (!call->topics)
		return true;
	json_array_foreach(call->topics, i, name)
		if (json_is_string(name) && !strcmp(json_string_value(name), topic))
			return true;
	return false;
}

static void on_bus(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer)
{
	static char fields[131072], line[sizeof(fields) + 4096]; /* control thread only */

	(void)arg;
	if (vd_fields_json(topic->fields, topic->n_fields, data, fields, sizeof(fields)) < 0)
		vd_strcpy(fields, sizeof(fields), "null");
	for (struct vd_link *l = ctl.conns.next; l != &ctl.conns; l = l->next) {
		struct conn *c = VD_CONTAINER_OF(l, struct conn, all);

		for (struct vd_link *k = c->calls.next; k != &c->calls; k = k->next) {
			struct vd_call *call = VD_CONTAINER_OF(k, struct vd_call, all);
			char *id;
			size_t len;

			if (!call->tail || !wanted(call, topic->name))
				continue;
			if (c->out_len >= OUT_EVENTS) {
				call->lost++;
				continue;
			}
			if (call->lost)
				conn_put_json(c, json_pack("{s:O,s:I}", "id", call->id, "lost", (json_int_t)call->lost));
			call->lost = 0;
			id = json_dumps(call->id, JSON_COMPACT | JSON_ENCODE_ANY);
			len = vd_format(line, sizeof(line),
				"{\"id\":%s,\"time\":%llu,\"topic\":\"%s\",\"kind\":\"%s\",\"verdict\":\"%s\",\"data\":%s}",
				id ? id : "null", (unsigned long long)vd_wall(), topic->name,
				topic->kind == VD_EVENT ? "event" : answer ? "answer" : "request",
				answer ? vd_verdict_name(answer->verdict) : "", fields);
			conn_put(c, line, len);
			free(id);
		}
	}
}

void vd_call_tail(struct vd_call *call, json_t *topics)
{
	char why[2048];
	json_t *name;
	size_t i;

	json_array_foreach(topics, i, name) {
		if (!json_is_string(name) || vd_bus_has_topic(json_string_value(name), why, sizeof(why)))
			continue;
		vd_call_fail(call, "%s", why);
		return;
	}
	if (!ctl.tap)
		ctl.tap = vd_bus_tap(on_bus, NULL);
	if (!ctl.tap) {
		vd_call_fail(call, "out of memory");
		return;
	}
	call->topics = json_is_array(topics) ? json_incref(topics) : NULL;
	call->tail = true;
	ctl.n_tails++;
	if (call->conn)
		conn_put_json(call->conn, json_pack("{s:O,s:b,s:s}", "id", call->id, "ok", 1, "result", "streaming"));
}

/* ---- in ---- */
static void conn_line(struct conn *c, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "command"));
	json_t *id = json_object_get(request, "id"), *args = json_object_get(request, "args"), *none = NULL;
	struct vd_call *call = calloc(1, sizeof(*call));
	const struct vd_command *command = vd_commands;

	if (!call) {
		c->last = true;
		json_decref(request);
		return;
	}
	c->asked = vd_now();
	call->conn = c;
	call->id = id && !json_is_object(id) && !json_is_array(id) ? json_incref(id) : json_null();
	vd_link_add(&c->calls, &call->all);
	c->n_calls++;
	while (name && command->name && strcmp(command->name, name))
		command++;
	if (!json_is_object(request) || !name)
		vd_call_fail(call, "not a request: one JSON object per line, with \"command\"");
	else if (!command->name)
		vd_call_fail(call, "no such command: %.64s", name);
	else if (args && !json_is_object(args))
		vd_call_fail(call, "args must be an object");
	else if (c->n_calls > CALLS_MAX)
		vd_call_fail(call, "more than %d requests are open on this connection", CALLS_MAX);
	else if (!args && !(args = none = json_object()))
		vd_call_fail(call, "out of memory");
	else
		command->fn(call, args);
	json_decref(none);
	json_decref(request);
}

static void conn_free(struct conn *c)
{
	while (!vd_link_empty(&c->calls)) {
		struct vd_call *call = VD_CONTAINER_OF(c->calls.next, struct vd_call, all);

		if (call->tail) {
			call_free(call);
			continue;
		}
		/* Somebody still works on the answer: he frees it. */
		vd_link_del(&call->all);
		vd_link_add(&ctl.orphans, &call->all);
		call->conn = NULL;
	}
	vd_io_free(c->io);
	close(c->fd);
	vd_link_del(&c->all);
	ctl.n_conns--;
	free(c->in);
	free(c->out);
	free(c);
}

static void conn_read(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->in_len, LINE_MAX_ - c->in_len);
	char *start = c->in, *end;

	if (n <= 0) {
		c->last |= n == 0; /* what was answered so far is still sent */
		c->dead = n < 0 && errno != EAGAIN && errno != EINTR;
		return;
	}
	c->in_len += (size_t)n;
	while (!c->last && (end = memchr(start, '\n', c->in_len - (size_t)(start - c->in)))) {
		vd_record_control(start, (size_t)(end - start));
		conn_line(c, start, (size_t)(end - start));
		vd_wipe(start, (size_t)(end - start)); /* it may have had a password */
		start = end + 1;
	}
	c->in_len -= (size_t)(start - c->in);
	memmove(c->in, start, c->in_len);
	if (c->in_len == LINE_MAX_) {
		static const char text[] = "{\"id\":null,\"ok\":false,\"error\":\"a line may have 65535 octets\"}";

		conn_put(c, text, sizeof(text) - 1);
		c->last = true;
	}
}

static void conn_write(struct conn *c)
{
	ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

	if (n < 0) {
		c->dead = errno != EAGAIN && errno != EINTR;
		return;
	}
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
}

static void on_conn(void *arg, unsigned events)
{
	struct conn *c = arg;

	if (events & VD_IO_READ && !c->last)
		conn_read(c);
	if (!c->dead && c->out_len)
		conn_write(c);
	if (c->dead || (c->last && !c->out_len))
		conn_free(c);
	else
		conn_watch(c);
}

/* ---- who may ---- */
bool vd_control_allowed(uid_t uid, gid_t gid, const gid_t *groups, size_t n, gid_t group)
{
	if (uid == 0 || uid == geteuid())
		return true;
	if (group == (gid_t)-1)
		return false;
	if (gid == group)
		return true;
	for (size_t i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool peer_allowed(int fd, bool *ret_root)
{
	struct ucred cred;
	gid_t groups[256];
	socklen_t len = sizeof(cred), groups_len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*ret_root = cred.uid == 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len) < 0)
		groups_len = 0;
	return vd_control_allowed(cred.uid, cred.gid, groups, groups_len / sizeof(groups[0]), ctl.group);
}

static void turn_away(int fd, const char *why)
{
	char line[256];
	size_t len = vd_format(line, sizeof(line), "{\"id\":null,\"ok\":false,\"error\":\"%s\"}\n", why);

	vd_count("control.refused", 1);
	send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* A place for who comes, when all are taken: of those that ask nothing the one that has been silent longest; for root at once, and
 * at last the oldest of anybody else's. False: all are busy. */
static bool make_room(bool root)
{
	static const char text[] = "{\"id\":null,\"ok\":false,\"error\":\"closed: others need the place of who asks nothing\"}";
	struct conn *idle = NULL, *other = NULL;

	if (ctl.n_conns < CONNS_MAX)
		return true;
	for (struct vd_link *l = ctl.conns.next; l != &ctl.conns; l = l->next) {
		struct conn *c = VD_CONTAINER_OF(l, struct conn, all);

		if (!c->n_calls && !c->out_len && (root || vd_now() - c->asked >= IDLE_MS) && (!idle || c->asked < idle->asked))
			idle = c;
		if (!c->root && (!other || c->asked < other->asked))
			other = c;
	}
	if (!idle && root) {
		if (ctl.n_conns < CONNS_MAX + CONNS_ROOT)
			return true;
		idle = other;
	}
	if (!idle)
		return false;
	vd_count("control.displaced", 1);
	conn_put(idle, text, sizeof(text) - 1);
	conn_write(idle);
	conn_free(idle);
	return true;
}

static void on_accept(void *arg, unsigned events)
{
	int fd = accept4(ctl.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c;
	bool root = false;

	(void)arg;
	(void)events;
	if (fd < 0)
		return;
	if (!peer_allowed(fd, &root)) {
		turn_away(fd, "not allowed; be root, or a member of group viaduct");
		return;
	}
	c = make_room(root) ? calloc(1, sizeof(*c)) : NULL;
	if (c)
		c->in = malloc(LINE_MAX_);
	if (c && c->in)
		c->io = vd_io_new(fd, VD_IO_READ, on_conn, c);
	if (!c || !c->in || !c->io) {
		turn_away(fd, "too many connections to the control socket; end one and try again");
		if (c)
			free(c->in);
		free(c);
		return;
	}
	c->fd = fd;
	c->root = root;
	c->asked = vd_now();
	vd_link_init(&c->calls);
	vd_link_add(&ctl.conns, &c->all);
	ctl.n_conns++;
}

/* ---- start and stop ---- */
void vd_control_config_dir(const char *dir)
{
	vd_strcpy(ctl.dir, sizeof(ctl.dir), dir);
}

const char *vd_control_dir(void)
{
	return ctl.dir[0] ? ctl.dir : VD_SYSCONFDIR;
}

uint64_t vd_control_started(void)
{
	return ctl.started;
}

/* A name for the socket. One that a killed daemon left is replaced. */
static int bind_to(const char *path, struct vd_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct group *group = getgrnam("viaduct");
	struct stat st;
	int code;

	if (!vd_strcpy(sa.sun_path, sizeof(sa.sun_path), path))
		return vd_error_set(err, -ENAMETOOLONG, "control socket %s: the path is too long", path);
	ctl.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ctl.fd < 0)
		return vd_error_set(err, -errno, "control socket: %s", strerror(errno));
	if (connect(ctl.fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EAGAIN) {
		close(ctl.fd);
		return vd_error_set(err, -EADDRINUSE, "control socket %s: another viaductd answers there; end it first", path);
	}
	if (errno == ECONNREFUSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) /* a file that is no socket refuses, too */
		unlink(path);
	if (bind(ctl.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		code = -errno;
		close(ctl.fd);
		return vd_error_set(err, code, "control socket %s: %s", path, strerror(-code));
	}
	ctl.group = group ? group->gr_gid : (gid_t)-1;
	/* The group is let in by the file's mode where we may set it; who connects is checked again in any case. */
	if (group && chown(path, (uid_t)-1, group->gr_gid) == 0)
		chmod(path, 0660);
	vd_strcpy(ctl.path, sizeof(ctl.path), path);
	ctl.bound = true;
	return 0;
}

int vd_control_bind(const char *path, struct vd_error *err)
{
	return geteuid() == 0 && vd_file_safe(path) ? bind_to(path, err) : 0;
}

static void unbind(void)
{
	if (!ctl.bound)
		return;
	close(ctl.fd);
	unlink(ctl.path); /* in a folder of root's it stays, and the next start replaces it */
	ctl.bound = false;
}

int vd_control_start(const char *path, struct vd_error *err)
{
	int ret = ctl.bound ? 0 : bind_to(path, err);

	if (ret < 0)
		return ret;
	if (listen(ctl.fd, 16) < 0) {
		ret = vd_error_set(err, -errno, "control socket %s: %s", path, strerror(errno));
		unbind();
		return ret;
	}
	ctl.io = vd_io_new(ctl.fd, VD_IO_READ, on_accept, NULL);
	if (!ctl.io) {
		unbind();
		return vd_error_set(err, -ENOMEM, "control socket: out of memory");
	}
	vd_link_init(&ctl.conns);
	if (!ctl.orphans.next) /* some may outlive an earlier start */
		vd_link_init(&ctl.orphans);
	ctl.started = vd_now();
	ctl.running = true;
	return 0;
}

void vd_control_stop(void)
{
	while (ctl.running && !vd_link_empty(&ctl.conns))
		conn_free(VD_CONTAINER_OF(ctl.conns.next, struct conn, all));
	if (ctl.running)
		vd_io_free(ctl.io);
	ctl.running = false;
	unbind();
}
