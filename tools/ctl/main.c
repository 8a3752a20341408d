/* viaductctl: asks a running viaductd through its control socket. Tables for people, JSON for programs. */
#include <errno.h>
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

#include "core/daemon.h"
#include "tools/ctl/show.h"
#include "tools/ctl/text.h"

#ifndef VD_RUNSTATEDIR
#define VD_RUNSTATEDIR "/run/viaduct"
#endif

static struct {
	const char *socket;
	bool json;
	bool plan, defaults, origin;
	const char *uses;
} opt = { .socket = VD_RUNSTATEDIR "/control.sock" };

static const struct command {
	const char *group, *verb, *wire, *arg; /* wire NULL: done here; arg: name of the one argument, NULL: none; "topics": any number */
	int (*show)(const json_t *result);
	const char *doc;
	const char *subject; /* of words */
	bool optional;       /* its argument */
} commands[] = {
	{ "status", NULL, "status", NULL, show_status, "how the daemon is" },
	{ "session", "list", "session.list", NULL, show_sessions, "all sessions" },
	{ "session", "show", "session.show", "session", show_chain, "one session, from peer to user: s-42 or a user name" },
	{ "session", "kill", "session.kill", "session", show_closed, "ends a session, or all of a user" },
	{ "peer", "list", "peer.list", NULL, show_peers, "all peers" },
	{ "why", NULL, "why", "about", show_why, "why set-ups of this address or user failed, or all that is remembered",
		.optional = true },
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
	{ "crypto", "list", "words", NULL, show_words, "what names of algorithms and policies a configuration may have", "crypto" },
	{ "log", "areas", "log.areas", NULL, show_areas, "what log.areas of the configuration may name, and the level of each" },
	{ "log", "debug", "log.debug", "peer", show_debug, "logs everything of an address or network, whatever the levels say; off ends that", .optional = true },
	{ "bus", "tail", "bus.tail", "topics", NULL, "everything that happens, as it happens; topics narrow it" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char *shape_of(const struct command *c)
{
	static const char *const shapes[][2] = { { "session", "ID|USER" }, { "plugin", "NAME" }, { "connection", "NAME" },
		{ "realm", "REALM USER" }, { "file", "FILE.so" }, { "about", "[PEER|USER]" }, { "peer", "[ADDRESS|off]" }, { "topics", "[TOPIC...]" } };

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
	if (c->subject)
		json_object_set_new(args, "subject", json_string(c->subject));
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

	text_color = isatty(STDOUT_FILENO) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
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
		if (c->arg && !any && !c->optional && n < used + wants)
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
