#include "tests/scenario/replay.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <viaduct/bytes.h>
#include <viaduct/log.h>

#include "core/conf/conf.h"
#include "core/connect/connect.h"
#include "core/control/control.h"
#include "core/loop.h"
#include "core/record/record.h"
#include "core/state.h"
#include "plugins/pool/local/store.h"
#include "tests/lib/fake.h"
#include "tests/scenario/gateway.h"

void __real_vd_observe(const char *what, void *p, size_t len);
void __wrap_vd_observe(const char *what, void *p, size_t len);

extern const struct vd_plugin net_nat_LTX_vd_plugin, l2tp_guard_LTX_vd_plugin, log_file_LTX_vd_plugin;
/* Whose options the configuration may have, though they do nothing here. */
static const struct vd_plugin *const others[] = { &net_nat_LTX_vd_plugin, &l2tp_guard_LTX_vd_plugin, &log_file_LTX_vd_plugin };

#define LISTEN_MAX 16

static struct {
	char **line;
	size_t n, at;  /* at: the line that must come next */
	size_t *saw;   /* of each line: it was told already */
	char root[64]; /* files of the configuration, and the state */
	char conf[1024];
	uint64_t now, wall;
	struct vd_ip listen[LISTEN_MAX];
	struct replay *result;
	bool begun, ended, failed;
	int control;
} r;

static void differs(const char *fmt, ...) VD_PRINTF(1, 2);
static void differs(const char *fmt, ...)
{
	va_list ap;

	if (r.failed || r.ended)
		return; /* the first is the one that counts */
	r.failed = true;
	va_start(ap, fmt);
	vsnprintf(r.result->text, sizeof(r.result->text), fmt, ap);
	va_end(ap);
}

/* ---- what was seen ---- */
/* The recorded octets of the next observation of this kind. */
void __wrap_vd_observe(const char *what, void *p, size_t len)
{
	char head[64];
	size_t n = (size_t)snprintf(head, sizeof(head), " saw %s ", what);

	for (size_t i = r.at; r.line && i < r.n; i++) {
		if (r.saw[i] || strncmp(r.line[i], head, n))
			continue;
		if (strlen(r.line[i] + n) != 2 * len)
			differs("line %zu: %zu octets of \"%s\" were recorded, and now there are %zu", i + 1, strlen(r.line[i] + n) / 2,
				what, len);
		else
			vd_unhex(r.line[i] + n, p, len);
		r.saw[i] = 1;
		__real_vd_observe(what, p, len);
		return;
	}
	if (r.begun)
		differs("line %zu: nothing more of \"%s\" was recorded, and now there is", r.at + 1, what);
	__real_vd_observe(what, p, len);
}

static void on_line(void *arg, const char *line)
{
	(void)arg;
	if (r.failed || r.ended || !strncmp(line, "viaduct-recording ", 18))
		return;
	if (r.at >= r.n && strncmp(r.line[r.n - 1], "end ", 4))
		return; /* it was cut in this turn */
	if (r.at >= r.n)
		differs("behind the end of the recording: %s", line);
	else if (strcmp(line, r.line[r.at]))
		differs("line %zu\n  recorded: %.3000s\n  replayed: %.3000s", r.at + 1, r.line[r.at], line);
	else
		r.result->lines++;
	r.at++;
}

/* ---- the file ---- */
static bool read_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0, n_room = 0;
	ssize_t len;

	while (f && (len = getline(&line, &room, f)) > 0) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (r.n == n_room) {
			n_room = n_room ? 2 * n_room : 1024;
			r.line = realloc(r.line, n_room * sizeof(*r.line));
			ck_assert_ptr_nonnull(r.line);
		}
		ck_assert_ptr_nonnull(r.line[r.n++] = strdup(line));
	}
	free(line);
	if (f)
		fclose(f);
	r.saw = calloc(r.n + 1, sizeof(*r.saw));
	ck_assert_ptr_nonnull(r.saw);
	return f != NULL;
}

static void folders(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

/* A secret of our own: 32 hexadecimal digits, which may be anything. Another for each name. */
static void stand_in(const char *name, char out[33])
{
	uint64_t h = 1469598103934665603u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211u;
	snprintf(out, 33, "%016llx%016llx", (unsigned long long)h, (unsigned long long)~h);
}

/* What follows "!file" or "!env" up to the end of the word; "" when there is none. */
static void tagged(const char *line, const char *tag, char *out, size_t size)
{
	const char *at = strstr(line, tag);
	size_t n = 0;

	out[0] = '\0';
	if (!at)
		return;
	at += strlen(tag);
	at += strspn(at, " \"'");
	n = strcspn(at, " ,}]\"'\t");
	if (n < size) {
		memcpy(out, at, n);
		out[n] = '\0';
	}
}

static void secret_of(const char *folder, const char *line)
{
	char name[512], path[2048], secret[33];
	FILE *f;

	tagged(line, "!env", name, sizeof(name));
	stand_in(name, secret);
	if (name[0])
		setenv(name, secret, 1);
	tagged(line, "!file", name, sizeof(name));
	stand_in(name, secret);
	if (!name[0])
		return;
	snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? r.root : folder, name[0] == '/' ? "" : "/", name);
	folders(path);
	f = fopen(path, "w");
	if (f) {
		fputs(secret, f);
		fclose(f);
		chmod(path, 0600);
	}
}

/* Absolute paths lead below our root. */
static void write_line(FILE *f, const char *line)
{
	for (; *line; line++) {
		if (*line == '/' && line[1] && (line[-1] == ' ' || line[-1] == '"' || line[-1] == '\''))
			fputs(r.root, f);
		fputc(*line, f);
	}
	fputc('\n', f);
}

static bool head(void)
{
	char folder[2048] = "", path[2048];
	FILE *f = NULL;
	unsigned long long now = 0, wall = 0, id;

	strcpy(r.root, "/tmp/vd-replay-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r.root));
	for (r.at = 0; r.at < r.n; r.at++) {
		const char *line = r.line[r.at];

		if (!strncmp(line, "| ", 2) && f) {
			write_line(f, line + 2);
			secret_of(folder, line + 2);
			continue;
		}
		if (f)
			fclose(f);
		f = NULL;
		if (!strncmp(line, "conf ", 5)) {
			snprintf(r.conf, sizeof(r.conf), "%s%s", r.root, line + 5);
		} else if (!strncmp(line, "file ", 5)) {
			snprintf(path, sizeof(path), "%s%s", r.root, line + 5);
			folders(path);
			ck_assert_ptr_nonnull(f = fopen(path, "w"));
			chmod(path, 0600);
			strcpy(folder, path);
			*strrchr(folder, '/') = '\0';
		} else if (sscanf(line, "begin %llu %llu %llu", &now, &wall, &id) == 3) {
			r.now = now;
			r.wall = wall;
			return r.conf[0];
		}
	}
	if (f)
		fclose(f);
	return false;
}

/* What the pool remembers from before. */
static void leases(void)
{
	struct vd_error err = { 0 };
	struct store_found found;
	struct store *store = NULL;
	char pool[VD_NAME_MAX], address[VD_IP_TEXT], user[256];
	int64_t when = 1;

	ck_assert_msg(store_open(r.root, &store, &found, NULL, NULL, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < r.at && store; i++) {
		struct store_op *op;

		if (sscanf(r.line[i], "state lease %63s %45s %255s", pool, address, user) != 3)
			continue;
		ck_assert_ptr_nonnull(op = calloc(1, sizeof(*op) + sizeof(user)));
		op->what = STORE_LAST;
		op->when = when++;
		vd_ip_parse(address, &op->address);
		vd_strcpy(op->pool, sizeof(op->pool), pool);
		vd_strcpy(op->user, sizeof(user), user);
		ck_assert_msg(store_write(store, op, &err) == 0, "%s", err.text);
		free(op);
	}
	store_close(store);
}

/* ---- the gateway ---- */
static void load(void)
{
	const struct vd_plugin *const *ours = gateway_plugins();
	static const char *const words[] = { "l2tp", "authenticate/users", NULL };
	const struct vd_opt *schemas[64];
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char text[1024];
	size_t n = 0;

	fake_clock(r.now, r.wall);
	for (; *ours; ours++)
		if ((*ours)->schema)
			schemas[n++] = (*ours)->schema;
	for (size_t i = 0; i < VD_ARRAY_SIZE(others); i++)
		if (others[i]->schema)
			schemas[n++] = others[i]->schema;
	ck_assert_msg(vd_conf_load_dir(r.conf, schemas, n, words, &conf, &errs) == 0, "%s",
		vd_conf_errors_first(&errs, text, sizeof(text)));
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
}

static const struct vd_ip *listen_on(size_t *ret_n)
{
	const struct vd_conf_node *list = vd_conf_at(vd_conf_current(), NULL, "gateway.listen");
	size_t n = 0;

	for (size_t i = 0; i < vd_conf_count(list) && n < LISTEN_MAX; i++)
		r.listen[n++] = *vd_conf_ip(vd_conf_nth(list, i));
	*ret_n = n;
	return r.listen;
}

static bool address(const char *text, struct vd_sa *ret_sa)
{
	char ip[VD_SA_TEXT];
	const char *port = strrchr(text, ':');

	*ret_sa = (struct vd_sa){ 0 };
	if (!port || (size_t)(port - text) >= sizeof(ip))
		return false;
	memcpy(ip, text + (text[0] == '['), (size_t)(port - text));
	ip[port - text - (text[0] == '[' ? 2 : 0)] = '\0';
	ret_sa->port = (uint16_t)strtoul(port + 1, NULL, 10);
	return vd_ip_parse(ip, &ret_sa->ip);
}

/* Octets of a line, with zeros up to the length. */
static uint8_t *octets(const char *hex, size_t len)
{
	uint8_t *p = calloc(1, len + 1);

	ck_assert_ptr_nonnull(p);
	if (hex && vd_unhex(hex, p, len) < 0)
		differs("line %zu: bad octets", r.at + 1);
	return p;
}

static void came(const char *line)
{
	char local[128], remote[128], *hex = NULL;
	unsigned long long endpoint;
	struct vd_path path = { 0 };
	size_t len;
	int worker, natt, end = 0, behind = 0;
	unsigned tos = 0;

	if (sscanf(line, "in %d %llu %d %127s %127s %zu%n", &worker, &endpoint, &natt, local, remote, &len, &end) != 6 ||
		len > 65535 || !address(local, &path.local) || !address(remote, &path.remote)) {
		differs("line %zu: not a datagram: %.200s", r.at + 1, line);
		return;
	}
	path.endpoint = endpoint;
	path.natt = natt;
	if (sscanf(line + end, " tos %u%n", &tos, &behind) == 1 && tos < 256) {
		path.tos = (uint8_t)tos;
		end += behind;
	}
	hex = line[end] ? (char *)(uintptr_t)line + end + 1 : NULL;
	uint8_t *p = octets(hex, len);
	vd_record_in(worker, &path, p, len);
	vd_datapath_inject(worker, &path, p, len, 0);
	fake_drain();
	vd_record_turn();
	free(p);
}

static void tun(const char *line)
{
	unsigned worker;
	size_t len;
	int end = 0;

	if (sscanf(line, "tun %u %zu%n", &worker, &len, &end) != 2 || len > 65535 || worker) {
		differs("line %zu: not a packet: %.200s", r.at + 1, line);
		return;
	}
	uint8_t *p = octets(line[end] ? line + end + 1 : NULL, len);
	vd_record_tun(worker, p, len);
	vd_datapath_inject_tun(worker, NULL, p, len);
	fake_drain();
	vd_record_turn();
	free(p);
}

static void command(const char *line)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), theirs;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control.sock", r.root);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert(fake_io(r.control, VD_IO_READ));
	theirs = fake_io_last();
	ck_assert_int_eq(dprintf(fd, "%s\n", line), (int)strlen(line) + 1);
	ck_assert(fake_io(theirs, VD_IO_READ));
	vd_record_turn();
	close(fd);
	fake_io(theirs, VD_IO_READ);
}

static void turns(void)
{
	while (!r.failed && r.at < r.n) {
		const char *line = r.line[r.at];
		unsigned long long now;

		if (sscanf(line, "now %llu", &now) == 1) {
			fake_clock(now, r.wall + now - r.now);
			line = r.at + 1 < r.n ? r.line[r.at + 1] : "";
		}
		size_t before = r.at;
		if (!strncmp(line, "other ", 6)) {
			while (++r.at < r.n && r.line[r.at][0] == ' ')
				r.saw[r.at] = 1;
			continue;
		}
		if (!strcmp(line, "start")) {
			vd_record_start();
			vd_connect_start();
			fake_drain();
			vd_record_turn();
		} else if (!strncmp(line, "in ", 3)) {
			came(line);
		} else if (!strncmp(line, "tun ", 4)) {
			tun(line);
		} else if (!strcmp(line, "timer")) {
			vd_record_timer();
			fake_fire();
			vd_record_turn();
		} else if (!strncmp(line, "control ", 8)) {
			command(line + 8);
		} else if (!strncmp(line, "end ", 4)) {
			vd_record_close(line + 4);
			return;
		} else {
			differs("line %zu was recorded, and does not come: %.3000s", r.at + 1, line);
		}
		r.result->turns++;
		if (r.at == before && !r.failed)
			differs("line %zu: nothing came of it: %.200s", r.at + 1, line);
	}
}

static void forget(void)
{
	for (size_t i = 0; i < r.n; i++)
		free(r.line[i]);
	free(r.line);
	free(r.saw);
	r.line = NULL;
	r.saw = NULL;
	r.n = 0;
}

int replay_run(const char *path, struct replay *ret_replay)
{
	struct gateway_how how = { .load = load, .workers = 1, .listen = listen_on, .sent = vd_record_out };
	struct vd_error err = { 0 };
	char text[256];

	*ret_replay = (struct replay){ 0 };
	r.result = ret_replay;
	if (!read_lines(path) || !r.n || strncmp(r.line[0], "viaduct-recording 1 ", 20)) {
		differs("%s: not a recording of this version (viaductd --record)", path);
		forget();
		return 2;
	}
	if (!head()) {
		differs("%s: it ends before the gateway was ready", path);
		forget();
		return 2;
	}
	size_t begin = r.at;
	leases();
	r.at = 0; /* what was seen before is looked for from the first line on */
	vd_datapath_plain();
	vd_state_dir_set(r.root);
	gateway_start_how(&how);
	vd_datapath_conceal();
	snprintf(text, sizeof(text), "%s/control.sock", r.root);
	ck_assert_msg(vd_control_start(text, &err) == 0, "%s", err.text);
	r.control = fake_io_last();
	r.at = begin;
	r.begun = true;
	vd_record_to(on_line, NULL);
	vd_record_begin();
	turns();
	r.ended = true; /* that of a daemon which was killed has no end */
	vd_record_close("");
	vd_control_stop();
	gateway_stop();
	vd_state_dir_set(NULL);
	snprintf(text, sizeof(text), "rm -rf %s", r.root);
	ck_assert_int_eq(system(text), 0);
	forget();
	return r.failed;
}
