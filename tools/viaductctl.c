/* viaductctl: asks a running viaductd through its control socket. Tables for people, JSON for programs. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <viaduct/text.h>

#include "core/daemon.h"
#include "tools/viaductctl_text.h"

#ifndef VD_RUNSTATEDIR
#define VD_RUNSTATEDIR "/run/viaduct"
#endif

#define EXIT_USAGE 2
#define EXIT_DEGRADED 1
#define EXIT_NOT_RUNNING 3
#define COLUMNS_MAX 12
#define SILENT_S 60 /* twice the pause between echoes, unless it is configured longer */
#define BOLD "\033[1m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

static struct {
	const char *socket;
	bool json, color;
	bool plan, defaults, origin;
	const char *uses;
} opt = { .socket = VD_RUNSTATEDIR "/control.sock" };

static int fail(int status, const char *fmt, ...)
{
	char text[2048], safe[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vd_text_safe(safe, sizeof(safe), text, strlen(text));
	fprintf(stderr, "viaductctl: %s\n", safe);
	return status;
}

static const char *color(const char *code)
{
	return opt.color ? code : "";
}

/* ---- tables ---- */
static void octets(json_int_t n, char *out, size_t size)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	double v = (double)n;
	size_t u = 0;

	for (; v >= 1000 && u + 1 < sizeof(units) / sizeof(units[0]); u++)
		v /= 1000;
	if (u)
		snprintf(out, size, "%.1f %s", v, units[u]);
	else
		snprintf(out, size, "%d B", (int)n);
}

static void duration(json_int_t s, char *out, size_t size)
{
	if (s >= 86400)
		snprintf(out, size, "%dd %dh", (int)(s / 86400), (int)(s / 3600 % 24));
	else if (s >= 3600)
		snprintf(out, size, "%dh %dm", (int)(s / 3600), (int)(s / 60 % 60));
	else if (s >= 60)
		snprintf(out, size, "%dm %ds", (int)(s / 60), (int)(s % 60));
	else
		snprintf(out, size, "%ds", (int)s);
}

struct column {
	const char *title, *key; /* "counters/octets_in" goes into an inner object */
	enum { AS_IS, AS_OCTETS, AS_DURATION, AS_YES, AS_USER, AS_STATE } how;
};

static const json_t *at(const json_t *row, const char *key)
{
	const char *slash = strchr(key, '/');
	char first[64];

	if (!slash)
		return json_object_get(row, key);
	snprintf(first, sizeof(first), "%.*s", (int)(slash - key), key);
	return at(json_object_get(row, first), slash + 1);
}

/* What stands in the same object under another key. */
static const json_t *beside(const json_t *row, const struct column *c, const char *name)
{
	const char *slash = strrchr(c->key, '/');
	char key[64];

	snprintf(key, sizeof(key), "%.*s%s", (int)(slash ? slash + 1 - c->key : 0), c->key, name);
	return at(row, key);
}

static void cell(const json_t *row, const struct column *c, char *out, size_t size)
{
	const json_t *v = at(row, c->key);

	/* A name that is only claimed does not look like a proven one. */
	if (c->how == AS_USER && !json_string_length(v)) {
		v = beside(row, c, "claimed");
		snprintf(out, size, "%s%s%s", json_string_length(v) ? "(claims: " : "-", json_string_length(v) ? json_string_value(v) : "",
			json_string_length(v) ? ")" : "");
		return;
	}
	/* Nothing comes any more, not even an answer to an echo: its client has probably gone. */
	if (c->how == AS_STATE && json_is_string(v) && !strcmp(json_string_value(v), "up") && json_integer_value(beside(row, c, "silent_s")) >= SILENT_S) {
		snprintf(out, size, "silent ");
		duration(json_integer_value(beside(row, c, "silent_s")), out + 7, size - 7);
		return;
	}
	if (json_is_integer(v) && c->how == AS_OCTETS)
		octets(json_integer_value(v), out, size);
	else if (json_is_integer(v) && c->how == AS_DURATION)
		duration(json_integer_value(v), out, size);
	else if (json_is_integer(v))
		snprintf(out, size, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(out, size, "%s", json_is_true(v) ? "yes" : "no");
	else
		snprintf(out, size, "%s", json_string_length(v) ? json_string_value(v) : "-");
}

/* Aligned columns; the last one is not padded. Columns end with a NULL title. */
static void table(const json_t *rows, const struct column *columns, const char *nothing)
{
	size_t width[COLUMNS_MAX] = { 0 }, i, n = 0;
	const json_t *row;
	char text[600];

	if (!json_array_size(rows)) {
		puts(nothing);
		return;
	}
	for (; columns[n].title && n < COLUMNS_MAX; n++)
		width[n] = strlen(columns[n].title);
	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			cell(row, &columns[k], text, sizeof(text));
			width[k] = columns_of(text) > width[k] ? columns_of(text) : width[k];
		}
	}
	fputs(color(BOLD), stdout);
	for (size_t k = 0; k < n; k++)
		put_clean(columns[k].title, k + 1 < n ? width[k] + 2 : 0);
	printf("%s\n", color(PLAIN));
	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			cell(row, &columns[k], text, sizeof(text));
			put_clean(text, k + 1 < n ? width[k] + 2 : 0);
		}
		putchar('\n');
	}
}

/* One value per line, for one object. */
static void facts(const json_t *object, const struct column *columns)
{
	char text[600];

	for (; columns->title; columns++) {
		cell(object, columns, text, sizeof(text));
		fputs(color(BOLD), stdout);
		put_clean(columns->title, 14);
		fputs(color(PLAIN), stdout);
		put_clean(text, 0);
		putchar('\n');
	}
}

/* ---- what each command prints ---- */
static const char *word(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* The exit status of `status`, as service scripts have them. */
static int status_of(const json_t *r)
{
	return strcmp(word(r, "verdict"), "good") ? EXIT_DEGRADED : EXIT_SUCCESS;
}

static int show_status(const json_t *r)
{
	static const struct column columns[] = { { "Version", "version" }, { "Process", "pid" },
		{ "Running for", "uptime_s", AS_DURATION }, { "Configuration", "configuration" }, { "Workers", "workers" },
		{ "Plugins", "plugins" }, { "Peers", "peers" }, { "Channels", "channels" }, { "Sessions", "sessions" },
		{ "  of them up", "sessions_up" }, { NULL } };
	const json_t *problems = json_object_get(r, "problems"), *p;
	size_t i, n = json_array_size(problems);

	printf("%s%s%s", color(n ? RED : GREEN), n ? "degraded" : "good", color(PLAIN));
	printf(n == 1 ? ": 1 problem\n" : n ? ": %zu problems\n" : "\n", n);
	json_array_foreach(problems, i, p) {
		char since[32];

		duration(json_integer_value(json_object_get(p, "since_s")), since, sizeof(since));
		fputs("  ", stdout);
		put_clean(word(p, "text"), 0);
		printf(" (for %s)\n", since);
	}
	if (json_is_true(json_object_get(r, "problems_more")))
		puts("  ... and more");
	putchar('\n');
	facts(r, columns);
	return status_of(r);
}

static int show_sessions(const json_t *r)
{
	static const struct column columns[] = { { "ID", "session" }, { "USER", "user", AS_USER }, { "STATE", "state", AS_STATE },
		{ "ADDRESS", "address" }, { "FROM", "remote" }, { "CONNECTION", "connection" }, { "UP", "up_s", AS_DURATION },
		{ "OCTETS IN", "counters/octets_in", AS_OCTETS }, { "OCTETS OUT", "counters/octets_out", AS_OCTETS }, { NULL } };

	table(r, columns, "no sessions");
	return 0;
}

static void put_reports(const json_t *reports);

static int show_chain(const json_t *r)
{
	static const struct column columns[] = { { "Peer", "peer/peer" }, { "  from", "peer/remote" }, { "  at", "peer/local" },
		{ "  identity", "peer/identity" }, { "  IKE", "peer/version" }, { "  suite", "peer/suite" },
		{ "  profile", "peer/profile" }, { "Channel", "chan/chan" }, { "  for", "chan/upper" }, { "  mtu", "chan/mtu" },
		{ "Session", "session/session" }, { "  state", "session/state", AS_STATE }, { "  connection", "session/connection" },
		{ "  up", "session/up_s", AS_DURATION }, { "  mtu", "session/mtu" }, { "  client", "session/client" },
		{ "  in", "session/counters/octets_in", AS_OCTETS }, { "  packets", "session/counters/packets_in" },
		{ "  out", "session/counters/octets_out", AS_OCTETS }, { "  packets", "session/counters/packets_out" },
		{ "User", "session/user", AS_USER }, { "Lease", "lease/address" }, { "  gateway", "lease/gateway" },
		{ "Network", "lease/network" }, { NULL } };
	size_t i, k;
	json_t *chain, *moment;

	json_array_foreach(r, i, chain) {
		if (i)
			putchar('\n');
		facts(chain, columns);
		printf("%sTimeline%s\n", color(BOLD), color(PLAIN));
		json_array_foreach(json_object_get(chain, "timeline"), k, moment) {
			json_int_t ms = json_integer_value(json_object_get(moment, "time"));
			time_t at_s = (time_t)(ms / 1000);
			struct tm tm;
			char when[32];

			strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&at_s, &tm));
			printf("  %s.%03d  ", when, (int)(ms % 1000));
			put_clean(json_string_value(json_object_get(moment, "of")), 8);
			put_clean(json_string_value(json_object_get(moment, "text")), 0);
			putchar('\n');
		}
		if (json_array_size(json_object_get(chain, "failures"))) {
			printf("%sEarlier failures%s\n", color(BOLD), color(PLAIN));
			put_reports(json_object_get(chain, "failures"));
		}
	}
	return 0;
}

static void put_time(json_int_t ms, const char *format)
{
	time_t at_s = (time_t)(ms / 1000);
	struct tm tm;
	char when[32];

	strftime(when, sizeof(when), format, localtime_r(&at_s, &tm));
	fputs(when, stdout);
}

/* Reports of failed set-ups: who and when, the sentence, and the fields that have more than it. */
static void put_reports(const json_t *reports)
{
	static const char *const fields[] = { "offered", "configured", "difference", "remedy", "origin", "client" };
	size_t i;
	json_t *r;

	json_array_foreach(reports, i, r) {
		json_int_t count = json_integer_value(json_object_get(r, "count"));
		char head[1400];
		bool claimed = *word(r, "user") && strcmp(word(r, "trust"), "user") && !json_is_true(json_object_get(r, "dialled"));

		if (i)
			putchar('\n');
		snprintf(head, sizeof(head), "  %s%s%s%s%s%s%s%s", claimed ? "claimed user " : "", word(r, "user"), *word(r, "user") ? " at " : "",
			word(r, "remote"), *word(r, "connection") ? ", connection " : "", word(r, "connection"),
			json_is_true(json_object_get(r, "dialled")) ? " (dialled)" : "",
			count > 1 ? ", " : "");
		fputs(color(BOLD), stdout);
		put_time(json_integer_value(json_object_get(r, "time")), "%Y-%m-%d %H:%M:%S");
		put_clean(head, 0);
		if (count > 1) {
			printf("%lld times since ", (long long)count);
			put_time(json_integer_value(json_object_get(r, "first")), "%Y-%m-%d %H:%M:%S");
		}
		printf("%s\n", color(PLAIN));
		put_clean(word(r, "stage"), 0);
		fputs(" failed: ", stdout);
		put_clean(word(r, "text"), 0);
		putchar('\n');
		for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
			if (!*word(r, fields[k]))
				continue;
			fputs("  ", stdout);
			put_clean(fields[k], 12);
			put_clean(word(r, fields[k]), 0);
			putchar('\n');
		}
	}
}

static int show_why(const json_t *r)
{
	if (!json_array_size(r)) {
		puts("no failure of that is remembered");
		return 0;
	}
	put_reports(r);
	return 0;
}

static int show_closed(const json_t *r)
{
	size_t i;
	json_t *id;

	json_array_foreach(r, i, id) {
		put_clean(json_string_value(id) ? json_string_value(id) : "", 0);
		puts(" is being closed");
	}
	return 0;
}

static int show_peers(const json_t *r)
{
	static const struct column columns[] = { { "ID", "peer" }, { "STATE", "state" }, { "FROM", "remote" },
		{ "NAT", "natt" }, { "CONNECTION", "connection" }, { "IDENTITY", "identity" }, { "IKE", "version" },
		{ "SUITE", "suite" }, { "PROFILE", "profile" }, { "AGE", "age_s", AS_DURATION }, { NULL } };

	table(r, columns, "no peers");
	return 0;
}

static int show_connections(const json_t *r)
{
	static const struct column columns[] = { { "NAME", "name" }, { "ACCEPTS", "accepts" }, { "KNOWN BY", "known_by" },
		{ "CRYPTO", "crypto" }, { "USERS FROM", "users_from" }, { "ADDRESSES", "addresses" }, { "ROUTES", "routes" },
		{ "STATE", "dialled/text" }, { "FROM", "from" }, { NULL } };

	table(r, columns, "no connections; add one under connections: in the configuration");
	return 0;
}

static int show_dialled(const json_t *r)
{
	put_line(word(r, "text"));
	return 0;
}

static int show_plugins(const json_t *r)
{
	static const struct column columns[] = { { "NAME", "name" }, { "VERSION", "version" }, { "STATE", "state" },
		{ "NEEDED BY", "why" }, { "WHAT", "summary" }, { NULL } };

	table(r, columns, "no plugins");
	return 0;
}

static int show_plugin(const json_t *r)
{
	static const struct column columns[] = { { "Name", "name" }, { "Version", "version" }, { "License", "license" },
		{ "State", "state" }, { "Needed by", "why" }, { "File", "file" }, { "What", "summary" }, { NULL } };
	static const struct column options[] = { { "OPTION", "option" }, { "DEFAULT", "default" }, { "VALUES", "values" },
		{ "MEANING", "doc" }, { NULL } };
	static const char *const lists[] = { "provides", "needs", "topics" };

	facts(r, columns);
	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		size_t i;
		json_t *name;

		json_array_foreach(json_object_get(r, lists[k]), i, name) {
			printf("%-14s", i ? "" : lists[k]);
			put_line(json_string_value(name) ? json_string_value(name) : "");
		}
	}
	putchar('\n');
	table(json_object_get(r, "options"), options, "no options");
	return 0;
}

static void put_findings(const json_t *r)
{
	const json_t *list = json_object_get(r, "findings");
	size_t i;
	json_t *f;

	json_array_foreach(list, i, f) {
		json_int_t line = json_integer_value(json_object_get(f, "line"));

		put_clean(word(f, "file"), 0);
		if (line)
			printf(":%d:%d", (int)line, (int)json_integer_value(json_object_get(f, "column")));
		printf(": %s", color(RED));
		put_clean(word(f, "level"), 0);
		printf("%s: ", color(PLAIN));
		put_line(word(f, "text"));
	}
}

static int show_check(const json_t *r)
{
	put_findings(r);
	if (!json_is_true(json_object_get(r, "good")))
		return EXIT_FAILURE;
	fputs(color(GREEN), stdout);
	put_clean(word(r, "configuration"), 0);
	printf(" is good%s\n", color(PLAIN));
	return EXIT_SUCCESS;
}

/* Warnings are told and no failure: what was asked for has been done. */
static int show_reload(const json_t *r)
{
	static const struct column columns[] = { { "OBJECT", "object" }, { "KEY", "key" }, { "OLD", "old" }, { "NEW", "new" },
		{ "EFFECT", "effect" }, { "NOTE", "note" }, { "FROM", "from" }, { NULL } };
	bool done = json_is_true(json_object_get(r, "done"));
	json_int_t more = json_integer_value(json_object_get(r, "more"));

	put_findings(r);
	if (!json_is_true(json_object_get(r, "good"))) {
		fflush(stdout);
		fail(0, "%s has errors; the configuration in force is the one before", word(r, "configuration"));
		return EXIT_FAILURE;
	}
	table(json_object_get(r, "changes"), columns, "nothing changes");
	if (more)
		printf("... and %lld more\n", (long long)more);
	fputs(color(GREEN), stdout);
	put_clean(word(r, "configuration"), 0);
	printf(" %s%s\n", done ? "is in force" : "would be put in force by: viaductctl reload", color(PLAIN));
	return EXIT_SUCCESS;
}

static int show_realm(const json_t *r)
{
	static const struct column columns[] = { { "Provider", "provider" }, { "Verdict", "verdict" }, { "Why", "why" },
		{ "Where", "origin" }, { "User", "user" }, { "Address", "address" },
		{ "Longest", "session_timeout", AS_DURATION }, { NULL } };
	const char *verdict = json_string_value(json_object_get(r, "verdict"));

	facts(r, columns);
	return verdict && !strcmp(verdict, "accept") ? 0 : EXIT_FAILURE;
}

static int show_text(const json_t *r)
{
	put_lines(word(r, "text"));
	return 0;
}

static int show_counters(const json_t *r)
{
	const char *name;
	json_t *v;
	size_t width = 0;

	json_object_foreach((json_t *)r, name, v)
		width = strlen(name) > width ? strlen(name) : width;
	json_object_foreach((json_t *)r, name, v) {
		if (!json_integer_value(v))
			continue;
		put_clean(name, width + 2);
		printf("%lld\n", (long long)json_integer_value(v));
	}
	return 0;
}

static int show_datapath(const json_t *r)
{
	static const struct column caps[] = { { "PIECE", "name" }, { "ON", "on", AS_YES }, { "WHY NOT", "why" },
		{ "INSTEAD", "without" }, { NULL } };
	static const struct column in[] = { { "WORKER", "worker" }, { "RECEIVES", "receives" }, { "DATAGRAMS", "datagrams" },
		{ "SEGMENTS", "segments" }, { "HANDED OVER", "handed_over" }, { "TUN WRITES", "tun_writes" },
		{ "COALESCED", "tun_coalesced" }, { NULL } };
	static const struct column out[] = { { "WORKER", "worker" }, { "TUN READS", "tun_reads" }, { "SUPER", "tun_supers" },
		{ "SEGMENTS", "tun_segments" }, { "SENDS", "sends" }, { "SENT", "sent" }, { "BATCHES", "batches" },
		{ "GSO REFUSED", "gso_refused" }, { NULL } };

	table(json_object_get(r, "caps"), caps, "nothing is known");
	putchar('\n');
	table(json_object_get(r, "workers"), in, "no workers");
	putchar('\n');
	table(json_object_get(r, "workers"), out, "no workers");
	printf("\n%sDropped%s\n", color(BOLD), color(PLAIN));
	return show_counters(json_object_get(r, "drops"));
}

static int show_areas(const json_t *r)
{
	static const struct column columns[] = { { "AREA", "area" }, { "LEVEL", "level" }, { "WHAT", "doc" }, { NULL } };

	table(r, columns, "no areas");
	return 0;
}

/* ---- commands ---- */
static const struct command {
	const char *group, *verb, *wire, *arg; /* wire NULL: done here; arg: name of the one argument, NULL: none; "topics": any number */
	int (*show)(const json_t *result);
	const char *doc;
} commands[] = {
	{ "status", NULL, "status", NULL, show_status, "how the daemon is" },
	{ "session", "list", "session.list", NULL, show_sessions, "all sessions" },
	{ "session", "show", "session.show", "session", show_chain, "one session, from peer to user: s-42 or a user name" },
	{ "session", "kill", "session.kill", "session", show_closed, "ends a session, or all of a user" },
	{ "peer", "list", "peer.list", NULL, show_peers, "all IKE parties" },
	{ "why", NULL, "why", "about", show_why, "why set-ups of this address or user failed, or all that is remembered" },
	{ "connection", "list", "connection.list", NULL, show_connections, "what the configuration lets in, and what we dial" },
	{ "connection", "up", "connection.up", "connection", show_dialled, "dials a connection, and says how that went" },
	{ "connection", "down", "connection.down", "connection", show_dialled, "ends a connection that we dialled" },
	{ "plugin", "list", "plugin.list", NULL, show_plugins, "all plugins" },
	{ "plugin", "info", "plugin.info", "plugin", show_plugin, "one plugin and its options" },
	{ "plugin", "check", NULL, "file", NULL, "whether viaductd would load this file, and why not; needs no daemon" },
	{ "realm", "test", "realm.test", "realm", show_realm, "would the user get in? his password is read from standard input" },
	{ "config", "check", "config.check", NULL, show_check, "reads the files again and reports every finding" },
	{ "reload", NULL, "reload", NULL, show_reload, "reads the files again and puts them in force; --plan only tells what changes" },
	{ "config", "show", "config.show", NULL, show_text, "the configuration in force, without secrets" },
	{ "datapath", NULL, "datapath", NULL, show_datapath, "what the data path can on this host, does and drops" },
	{ "counters", NULL, "counters", NULL, show_counters, "all counters that are not zero" },
	{ "log", "areas", "log.areas", NULL, show_areas, "what log.areas of the configuration may name, and the level of each" },
	{ "bus", "tail", "bus.tail", "topics", NULL, "everything that happens, as it happens; topics narrow it" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char *shape_of(const struct command *c)
{
	static const char *const shapes[][2] = { { "session", "ID|USER" }, { "plugin", "NAME" }, { "connection", "NAME" },
		{ "realm", "REALM USER" }, { "file", "FILE.so" }, { "about", "[PEER|USER]" }, { "topics", "[TOPIC...]" } };

	for (size_t i = 0; c->arg && i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (!strcmp(shapes[i][0], c->arg))
			return shapes[i][1];
	return "";
}

static void help_line(FILE *out, const struct command *c)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s%s", c->group, c->verb ? " " : "", c->verb ? c->verb : "", c->arg ? " " : "", shape_of(c));
	fprintf(out, "  %-24s%s\n", text, c->doc);
}

static void help(FILE *out)
{
	fputs("usage: viaductctl [--json] [--socket PATH] COMMAND\n\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		help_line(out, &commands[i]);
	fputs("  help [COMMAND]          this, or one command\n", out);
	fputs("\n  reload --plan; config show --origin, --defaults, --uses SECTION/NAME\n"
	      "\n  --json         replies as JSON, as the daemon gave them\n"
	      "  --socket PATH  the daemon's control socket (" VD_RUNSTATEDIR "/control.sock)\n"
	      "  --version, --help\n", out);
}

/* help [COMMAND]: a group stands for all its commands. */
static int help_about(char **words, int n)
{
	json_t *list = json_array();
	bool any = false;

	if (!n && !opt.json) {
		json_decref(list);
		help(stdout);
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (n && (strcmp(c->group, words[0]) || (n > 1 && (!c->verb || strcmp(c->verb, words[1])))))
			continue;
		any = true;
		if (opt.json)
			json_array_append_new(list, json_pack("{s:s,s:s?,s:s,s:s}", "command", c->group, "verb", c->verb, "arguments",
				shape_of(c), "doc", c->doc));
		else
			help_line(stdout, c);
	}
	if (any && opt.json) {
		put_json(list, JSON_INDENT(2));
		json_decref(list);
		return 0;
	}
	json_decref(list);
	if (!any)
		return fail(EXIT_USAGE, "%s%s%s is no command; see viaductctl help", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
	puts("More is in viaductctl(8).");
	return 0;
}

/* For tools/completion/viaductctl: what may follow these words. */
static int complete(char **words, int n)
{
	const char *last = "";

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (n == 0 && strcmp(last, c->group))
			puts(last = c->group);
		else if (n == 1 && c->verb && !strcmp(c->group, words[0]))
			puts(c->verb);
	}
	if (n == 0)
		puts("help");
	return 0;
}

/* ---- a password, from standard input, never from the command line that everybody can read ---- */
static int read_password(char *out, size_t size)
{
	struct termios old, quiet;
	bool tty = tcgetattr(STDIN_FILENO, &old) == 0;
	bool got;

	if (tty) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		fputs("Password: ", stderr);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	got = fgets(out, (int)size, stdin) != NULL;
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	if (!got)
		return fail(EXIT_USAGE, "there is no password on standard input");
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

/* ---- talking to the daemon ---- */
static FILE *dial(int *ret_errno)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f;

	*ret_errno = ENAMETOOLONG;
	if (strlen(opt.socket) >= sizeof(sa.sun_path)) {
		fail(0, "%s: the path of the socket is too long", opt.socket);
		goto out;
	}
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", opt.socket);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		const char *hint = errno == EACCES ? "be root, or a member of group viaduct" :
			errno == ENOENT || errno == ECONNREFUSED ? "is viaductd running? start it, or give --socket" : "give --socket";

		*ret_errno = errno;
		fail(0, "%s: %s; %s", opt.socket, strerror(*ret_errno), hint);
		goto out;
	}
	f = fdopen(fd, "r+");
	*ret_errno = errno;
	if (f)
		return f;
out:
	if (fd >= 0)
		close(fd);
	return NULL;
}

static json_t *read_line(FILE *f, char **line, size_t *size)
{
	ssize_t n = getline(line, size, f);

	return n > 0 ? json_loadb(*line, (size_t)n, 0, NULL) : NULL;
}

static int tail(FILE *f, char **line, size_t *size)
{
	json_t *record;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((record = read_line(f, line, size))) {
		json_int_t ms = json_integer_value(json_object_get(record, "time")), lost;
		time_t at_s = (time_t)(ms / 1000);
		struct tm tm;
		char when[32], *data = json_dumps(json_object_get(record, "data"), JSON_COMPACT | JSON_PRESERVE_ORDER);

		lost = json_integer_value(json_object_get(record, "lost"));
		if (opt.json) {
			put_json(record, JSON_COMPACT);
		} else if (lost) {
			printf("%s... %lld records were lost: this reader is too slow%s\n", color(RED), (long long)lost,
				color(PLAIN));
		} else if (json_object_get(record, "topic")) {
			strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&at_s, &tm));
			printf("%s.%03d ", when, (int)(ms % 1000));
			put_clean(word(record, "kind"), 8);
			printf(" %s", color(BOLD));
			put_clean(word(record, "topic"), 0);
			printf("%s ", color(PLAIN));
			put_clean(word(record, "verdict"), 0);
			putchar(' ');
			put_clean(data ? data : "", 0);
			putchar('\n');
		}
		free(data);
		json_decref(record);
	}
	return fail(EXIT_FAILURE, "viaductd closed the connection");
}

static void add_options(const struct command *c, json_t *args)
{
	if (!strcmp(c->wire, "reload")) {
		json_object_set_new(args, "plan", json_boolean(opt.plan));
	} else if (!strcmp(c->wire, "config.show")) {
		json_object_set_new(args, "origins", json_boolean(opt.origin));
		json_object_set_new(args, "defaults", json_boolean(opt.defaults));
		if (opt.uses)
			json_object_set_new(args, "uses", json_string(opt.uses));
	}
}

/* An option that means nothing to this command is a mistake. */
static const char *idle_option(const struct command *c)
{
	const char *wire = c->wire ? c->wire : "";
	bool show = !strcmp(wire, "config.show");

	if (opt.plan && strcmp(wire, "reload"))
		return "--plan";
	return show ? NULL : opt.origin ? "--origin" : opt.defaults ? "--defaults" : opt.uses ? "--uses" : NULL;
}

static int run(const struct command *c, char **args, int n)
{
	json_t *request = json_pack("{s:i,s:s,s:{}}", "id", 1, "command", c->wire, "args"), *reply;
	json_t *wire_args = json_object_get(request, "args");
	char *text, *line = NULL;
	size_t size = 0;
	int status, why = ENOMEM;
	FILE *f;

	if (c->arg && !strcmp(c->arg, "topics") && n > 0) {
		json_t *topics = json_array();

		for (int i = 0; i < n; i++)
			json_array_append_new(topics, json_string(args[i]));
		json_object_set_new(wire_args, "topics", topics);
	} else if (c->arg && n > 0) {
		json_object_set_new(wire_args, c->arg, json_string(args[0]));
	}
	if (c->arg && !strcmp(c->arg, "realm")) {
		char password[512];

		status = read_password(password, sizeof(password));
		json_object_set_new(wire_args, "user", json_string(args[1]));
		json_object_set_new(wire_args, "password", json_string(password));
		explicit_bzero(password, sizeof(password));
		if (status) {
			json_decref(request);
			return status;
		}
	}
	add_options(c, wire_args);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	f = text ? dial(&why) : NULL;
	if (!f) {
		free(text);
		if (strcmp(c->wire, "status"))
			return EXIT_FAILURE;
		/* Else it may well be running: we cannot ask it. */
		return why == ENOENT || why == ECONNREFUSED ? EXIT_NOT_RUNNING : EXIT_USAGE;
	}
	fprintf(f, "%s\n", text);
	fflush(f);
	free(text);
	reply = read_line(f, &line, &size);
	if (!reply)
		status = fail(EXIT_FAILURE, "viaductd gave no answer; see its log");
	else if (!json_is_true(json_object_get(reply, "ok")))
		status = fail(EXIT_FAILURE, "%s", json_string_value(json_object_get(reply, "error")) ?
			json_string_value(json_object_get(reply, "error")) : "viaductd gave an answer that makes no sense");
	else if (!c->show)
		status = tail(f, &line, &size);
	else if (opt.json)
		status = put_json(json_object_get(reply, "result"), JSON_INDENT(2)) ? EXIT_FAILURE : !strcmp(c->wire, "status") ? status_of(json_object_get(reply, "result")) : EXIT_SUCCESS;
	else
		status = c->show(json_object_get(reply, "result"));
	json_decref(reply);
	free(line);
	fclose(f);
	return status;
}

/* What stands for an argument in a usage error. */
static const char *wanted(const char *arg)
{
	static const char *const words[][2] = { { "session", "s-42 or a user name" }, { "realm", "a realm and a user" },
		{ "file", "the file of a plugin" }, { "connection", "the name of a connection" }, { "plugin", "a plugin's name" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i][0], arg))
			return words[i][1];
	return arg;
}

int main(int argc, char **argv)
{
	char *words[64];
	int n = 0;
	bool group_known = false;

	opt.color = isatty(STDOUT_FILENO) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			opt.json = true;
		} else if (!strcmp(argv[i], "--socket") && i + 1 < argc) {
			opt.socket = argv[++i];
		} else if (!strncmp(argv[i], "--socket=", 9)) {
			opt.socket = argv[i] + 9;
		} else if (!strcmp(argv[i], "--plan")) {
			opt.plan = true;
		} else if (!strcmp(argv[i], "--origin")) {
			opt.origin = true;
		} else if (!strcmp(argv[i], "--defaults")) {
			opt.defaults = true;
		} else if (!strcmp(argv[i], "--uses") && i + 1 < argc) {
			opt.uses = argv[++i];
		} else if (!strcmp(argv[i], "--help")) {
			help(stdout);
			return 0;
		} else if (!strcmp(argv[i], "--version")) {
			puts("viaductctl " VD_VERSION);
			return 0;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			return fail(EXIT_USAGE, "%s %s; see viaductctl --help", argv[i],
				!strcmp(argv[i], "--socket") ? "needs a path" : !strcmp(argv[i], "--uses") ? "needs a name such as pools/staff" :
				"is no option");
		} else if (n < (int)(sizeof(words) / sizeof(words[0]))) {
			words[n++] = argv[i];
		}
	}
	if (!n) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(words[0], "help"))
		return help_about(words + 1, n - 1);
	if (!strcmp(words[0], "complete"))
		return complete(words + 1, n - 1);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];
		int used = c->verb ? 2 : 1;
		bool any = c->arg && !strcmp(c->arg, "topics");
		int wants = !c->arg ? 0 : strcmp(c->arg, "realm") ? 1 : 2;

		if (strcmp(c->group, words[0]))
			continue;
		group_known = true;
		if (c->verb && (n < 2 || strcmp(c->verb, words[1])))
			continue;
		if (c->arg && !any && strcmp(c->arg, "about") && n < used + wants)
			return fail(EXIT_USAGE, "%s %s needs %s; see viaductctl --help", c->group, c->verb, wanted(c->arg));
		if (!any && n > used + wants)
			return fail(EXIT_USAGE, "unexpected argument %s; see viaductctl --help", words[used + wants]);
		if (idle_option(c))
			return fail(EXIT_USAGE, "%s does not go with %s%s%s; see viaductctl --help", idle_option(c), c->group,
				c->verb ? " " : "", c->verb ? c->verb : "");
		return c->wire ? run(c, words + used, n - used) : vd_plugin_probe(words[used], opt.json);
	}
	if (group_known)
		return fail(EXIT_USAGE, "%s %s is no command; see viaductctl --help", words[0], n > 1 ? words[1] : "alone");
	return fail(EXIT_USAGE, "%s is no command; see viaductctl --help", words[0]);
}
