/* What each command prints for people: see show.h. */
#include "tools/ctl/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/ctl/table.h"
#include "tools/ctl/text.h"

/* The exit status of `status`, as service scripts have them. */
int status_of(const json_t *r)
{
	return strcmp(word(r, "verdict"), "good") ? EXIT_DEGRADED : EXIT_SUCCESS;
}

/* What is wrong until somebody acts. */
static void put_problems(const json_t *problems)
{
	const json_t *p;
	size_t i;

	json_array_foreach(problems, i, p) {
		char since[32];

		duration(json_integer_value(json_object_get(p, "since_s")), since, sizeof(since));
		fputs("  ", stdout);
		put_clean(word(p, "text"), 0);
		printf(" (for %s)\n", since);
	}
}

int show_status(const json_t *r)
{
	static const struct column columns[] = { { "Version", "version" }, { "Process", "pid" },
		{ "Running for", "uptime_s", AS_DURATION }, { "Configuration", "configuration" }, { "Workers", "workers" },
		{ "Plugins", "plugins" }, { "Peers", "peers" }, { "Channels", "channels" }, { "Sessions", "sessions" },
		{ "  of them up", "sessions_up" }, { NULL } };
	const json_t *problems = json_object_get(r, "problems");
	size_t n = json_array_size(problems);

	printf("%s%s%s", color(n ? RED : GREEN), n ? "degraded" : "good", color(PLAIN));
	printf(n == 1 ? ": 1 problem\n" : n ? ": %zu problems\n" : "\n", n);
	put_problems(problems);
	if (json_is_true(json_object_get(r, "problems_more")))
		puts("  ... and more");
	putchar('\n');
	facts(r, columns);
	return status_of(r);
}

int show_sessions(const json_t *r)
{
	static const struct column columns[] = { { "ID", "session" }, { "USER", "user", AS_USER }, { "STATE", "state", AS_STATE },
		{ "ADDRESS", "address" }, { "FROM", "remote" }, { "CONNECTION", "connection" }, { "UP", "up_s", AS_DURATION },
		{ "OCTETS IN", "counters/octets_in", AS_OCTETS }, { "OCTETS OUT", "counters/octets_out", AS_OCTETS }, { NULL } };

	table(r, columns, "no sessions");
	return 0;
}

static void put_reports(const json_t *reports);

/* What is odd about this kind of client; what it is known by is of no use here. */
static void put_quirks(const json_t *quirks)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)quirks, key, value) {
		if (!strncmp(key, "known-by/", 9) || !strcmp(key, "rank"))
			continue;
		fputs("  quirk       ", stdout);
		put_clean(key, 0);
		fputs(": ", stdout);
		put_line(json_string_value(value) ? json_string_value(value) : "");
	}
}

int show_chain(const json_t *r)
{
	static const struct column columns[] = { { "Peer", "peer/peer" }, { "  from", "peer/remote" }, { "  at", "peer/local" },
		{ "  identity", "peer/identity" }, { "  IKE", "peer/version" }, { "  suite", "peer/suite" },
		{ "  profile", "peer/profile" }, { "Channel", "chan/chan" }, { "  for", "chan/upper" }, { "  mtu", "chan/mtu" },
		{ "Session", "session/session" }, { "  state", "session/state", AS_STATE }, { "  connection", "session/connection" },
		{ "  up", "session/up_s", AS_DURATION }, { "  mtu", "session/mtu" }, { "  client", "session/client" },
		{ "  in", "session/counters/octets_in", AS_OCTETS }, { "  packets", "session/counters/packets_in" },
		{ "  out", "session/counters/octets_out", AS_OCTETS }, { "  packets", "session/counters/packets_out" },
		{ "User", "session/user", AS_USER }, { "Lease", "lease/address" }, { "  in use", "lease/used" }, { "  gateway", "lease/gateway" },
		{ "Network", "lease/network" }, { NULL } };
	size_t i, k;
	json_t *chain, *moment;

	json_array_foreach(r, i, chain) {
		if (i)
			putchar('\n');
		facts(chain, columns);
		put_quirks(json_object_get(chain, "quirks"));
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

int show_why(const json_t *r)
{
	json_t *reports = json_array(), *problems = json_array(), *one;
	size_t i;

	json_array_foreach(r, i, one)
		json_array_append(strcmp(word(one, "kind"), "problem") ? reports : problems, one);
	if (!json_array_size(reports))
		puts("no failure of that is remembered");
	put_reports(reports);
	if (json_array_size(problems))
		printf("\n%sWrong on this host now%s\n", color(BOLD), color(PLAIN));
	put_problems(problems);
	json_decref(reports);
	json_decref(problems);
	return 0;
}

int show_closed(const json_t *r)
{
	size_t i;
	json_t *id;

	json_array_foreach(r, i, id) {
		put_clean(json_string_value(id) ? json_string_value(id) : "", 0);
		puts(" is being closed");
	}
	return 0;
}

int show_peers(const json_t *r)
{
	static const struct column columns[] = { { "ID", "peer" }, { "STATE", "state" }, { "FROM", "remote" },
		{ "NAT", "natt" }, { "CONNECTION", "connection" }, { "IDENTITY", "identity" }, { "IKE", "version" },
		{ "SUITE", "suite" }, { "PROFILE", "profile" }, { "AGE", "age_s", AS_DURATION }, { NULL } };

	table(r, columns, "no peers");
	return 0;
}

int show_connections(const json_t *r)
{
	static const struct column columns[] = { { "NAME", "name" }, { "ACCEPTS", "accepts" }, { "KNOWN BY", "known_by" },
		{ "CRYPTO", "crypto" }, { "USERS FROM", "users_from" }, { "ADDRESSES", "addresses" }, { "ROUTES", "routes" },
		{ "STATE", "dialled/text" }, { "FROM", "from" }, { NULL } };

	table(r, columns, "no connections; add one under connections: in the configuration");
	return 0;
}

int show_dialled(const json_t *r)
{
	put_line(word(r, "text"));
	return 0;
}

int show_plugins(const json_t *r)
{
	static const struct column columns[] = { { "NAME", "name" }, { "VERSION", "version" }, { "STATE", "state" },
		{ "NEEDED BY", "why" }, { "WHAT", "summary" }, { NULL } };

	table(r, columns, "no plugins");
	return 0;
}

int show_plugin(const json_t *r)
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

int show_check(const json_t *r)
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
int show_reload(const json_t *r)
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

int show_realm(const json_t *r)
{
	static const struct column columns[] = { { "Provider", "provider" }, { "Verdict", "verdict" }, { "Why", "why" },
		{ "Where", "origin" }, { "User", "user" }, { "Address", "address" },
		{ "Longest", "session_timeout", AS_DURATION }, { NULL } };
	const char *verdict = json_string_value(json_object_get(r, "verdict"));

	facts(r, columns);
	return verdict && !strcmp(verdict, "accept") ? 0 : EXIT_FAILURE;
}

int show_text(const json_t *r)
{
	put_lines(word(r, "text"));
	return 0;
}

int show_counters(const json_t *r)
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

int show_datapath(const json_t *r)
{
	static const struct column caps[] = { { "PIECE", "name" }, { "ON", "on", AS_YES }, { "WHY NOT", "why" },
		{ "INSTEAD", "without" }, { NULL } };
	static const struct column in[] = { { "WORKER", "worker" }, { "RECEIVES", "receives" }, { "DATAGRAMS", "datagrams" },
		{ "SEGMENTS", "segments" }, { "HANDED OVER", "handed_over" }, { "TUN WRITES", "tun_writes" },
		{ "COALESCED", "tun_coalesced" }, { NULL } };
	static const struct column out[] = { { "WORKER", "worker" }, { "TUN READS", "tun_reads" }, { "SUPER", "tun_supers" },
		{ "SEGMENTS", "tun_segments" }, { "SENDS", "sends" }, { "SENT", "sent" }, { "BATCHES", "batches" },
		{ "GSO REFUSED", "gso_refused" }, { NULL } };

	put_problems(json_object_get(r, "problems"));
	if (json_array_size(json_object_get(r, "problems")))
		putchar('\n');
	table(json_object_get(r, "caps"), caps, "nothing is known");
	putchar('\n');
	table(json_object_get(r, "workers"), in, "no workers");
	putchar('\n');
	table(json_object_get(r, "workers"), out, "no workers");
	printf("\n%sDropped%s\n", color(BOLD), color(PLAIN));
	return show_counters(json_object_get(r, "drops"));
}

int show_areas(const json_t *r)
{
	static const struct column columns[] = { { "AREA", "area" }, { "LEVEL", "level" }, { "WHAT", "doc" }, { NULL } };

	table(r, columns, "no areas");
	return 0;
}

int show_words(const json_t *r)
{
	static const struct column columns[] = { { "KIND", "kind" }, { "WORD", "word" }, { "WHAT", "doc", AS_WRAPPED }, { NULL } };

	table(r, columns, "no plugin that was found has such words");
	return 0;
}

int show_debug(const json_t *r)
{
	static const struct column columns[] = { { "PEER", "peer" }, { "FROM", "from" }, { NULL } };

	table(r, columns, "no peer is logged in full");
	return 0;
}
