/* schemadoc man|json|sample FOLDER...: the manual page viaduct.yaml(5), the JSON Schema, or a sample with every option, from
 * the schemas of the core and of the plugins in these folders. Runs when the tree is built; it is not installed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/conf/conf.h"
#include "core/log_area.h"
#include "core/loop.h"
#include "core/plugin.h"
#include "core/words.h"

#define OPTIONS_MAX 1000

static const struct vd_opt *all[OPTIONS_MAX];
static size_t n_all;
static bool in_file; /* all has the options of a file of its own: its names are any text */

static size_t section_len(const char *path)
{
	return strcspn(path, ".");
}

static bool same_section(const struct vd_opt *a, const struct vd_opt *b)
{
	size_t n = section_len(a->path);

	return n == section_len(b->path) && !strncmp(a->path, b->path, n);
}

/* Behind the last of its section, so that sections stay together. */
static void add(const struct vd_opt *opt)
{
	size_t at = n_all;

	for (size_t i = 0; i < n_all; i++) {
		if (!strcmp(all[i]->path, opt->path))
			return;
		if (same_section(all[i], opt))
			at = i + 1;
	}
	if (n_all == OPTIONS_MAX) {
		fputs("schemadoc: too many options\n", stderr);
		exit(1);
	}
	memmove(all + at + 1, all + at, (n_all - at) * sizeof(all[0]));
	all[at] = opt;
	n_all++;
}

static void add_table(const struct vd_opt *opt)
{
	for (; opt && opt->path; opt++)
		add(opt);
}

/* fn with all options of each file that an option names in the place of the configuration's own. */
static void each_file(void (*fn)(void *arg, const char *option), void *arg)
{
	static const struct vd_opt *kept[OPTIONS_MAX];
	size_t n = n_all;

	memcpy(kept, all, sizeof(kept));
	in_file = true;
	for (struct vd_host *h = vd_plugins_first(); h; h = h->next)
		for (const struct vd_file_table *f = h->plugin->files; f && f->option; f++) {
			n_all = 0;
			add_table(f->table);
			fn(arg, f->option);
		}
	in_file = false;
	memcpy(all, kept, sizeof(kept));
	n_all = n;
}

static void refused(void *arg, const char *text)
{
	fprintf(stderr, "schemadoc: %s\n", text);
	*(int *)arg = 1;
}

static const char *last_name(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot + 1 : path;
}

/* Words between bars, as "a, b or c". */
static void put_words(FILE *out, const char *words, const char *before, const char *behind)
{
	for (const char *p = words; p && *p;) {
		size_t n = strcspn(p, "|");
		bool last = !p[n] || !p[n + 1], next_last = !last && !strchr(p + n + 1, '|');

		fprintf(out, "%s%.*s%s%s", before, (int)n, p, behind, last ? "" : next_last ? " or " : ", ");
		p += n + (p[n] == '|');
	}
}

static void put_type(FILE *out, const struct vd_opt *o, const char *b, const char *e)
{
	const char *colon = o->arg ? strchr(o->arg, ':') : NULL;

	switch (o->type) {
	case VD_T_MAP:
		fputs("a map", out);
		break;
	case VD_T_BOOL:
		fprintf(out, "%strue%s or %sfalse%s", b, e, b, e);
		break;
	case VD_T_UINT:
		fprintf(out, "a number%s%s", o->arg ? ", " : "", o->arg ? o->arg : "");
		break;
	case VD_T_DURATION:
		fprintf(out, "a time%s%s", o->arg ? ", " : "", o->arg ? o->arg : "");
		break;
	case VD_T_RATE:
		fputs("a rate such as 20mbit", out);
		break;
	case VD_T_STRING:
		fprintf(out, "text of at most %s octets", o->arg ? o->arg : "255");
		break;
	case VD_T_NAME:
		fputs("a name", out);
		break;
	case VD_T_WORD:
		put_words(out, o->arg, b, e);
		break;
	case VD_T_REF:
		if (colon) {
			put_words(out, colon + 1, b, e);
			fprintf(out, ", or the name of an object in %s%.*s%s", b, (int)(colon - o->arg), o->arg, e);
		} else if (strchr(o->arg, '|')) {
			for (const char *p = o->arg; *p; p += strcspn(p, "|"), p += *p == '|')
				fprintf(out, "%s%s%.*s/%sNAME", p == o->arg ? "" : " or ", b, (int)strcspn(p, "|"), p, e);
		} else {
			fprintf(out, "the name of an object in %s%s%s", b, o->arg, e);
		}
		break;
	case VD_T_ADDR:
		fputs("an address", out);
		break;
	case VD_T_PREFIX:
		fputs("a prefix such as 10.0.0.0/8", out);
		if (o->arg)
			fprintf(out, ", or %s%s%s", b, o->arg, e);
		break;
	case VD_T_RANGE:
		fputs("a range such as 10.8.0.10-10.8.3.250, or a prefix", out);
		break;
	case VD_T_SECRET:
	case VD_T_KEY:
		fprintf(out, "a secret: %s!file%s PATH or %s!env%s NAME", b, e, b, e);
		break;
	case VD_T_PATH:
		fputs("a path, relative to the file that says it", out);
		break;
	}
	if (o->flags & VD_OPT_LIST)
		fputs("; or a list of such", out);
}

static const char *effect(const struct vd_opt *o)
{
	if (o->flags & VD_OPT_RESTART)
		return "needs a restart";
	if (o->flags & VD_OPT_LIVE)
		return "live";
	return o->flags & VD_OPT_KNOB || strchr(o->path, '*') ? "new sessions" : "needs a restart";
}

/* ---- the manual page ---- */
static void put_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

/* "pools.*.range" as pools.NAME.range. */
static void put_path(const char *path)
{
	fputs("\\fB", stdout);
	for (; *path; path++) {
		if (*path == '*')
			fputs("\\fINAME\\fB", stdout);
		else if (*path == '-')
			fputs("\\-", stdout);
		else
			putchar(*path);
	}
	fputs("\\fR", stdout);
}

static void man_options(void)
{
	char *type = NULL;
	size_t size;

	for (size_t i = 0; i < n_all; i++) {
		const struct vd_opt *o = all[i];
		FILE *out;

		if (!in_file && (i == 0 || !same_section(all[i - 1], o)))
			printf(".SS %.*s\n", (int)section_len(o->path), o->path);
		if (o->type == VD_T_MAP && !strchr(o->path, '.')) {
			put_roff(o->doc ? o->doc : "");
			putchar('\n');
			continue;
		}
		fputs(".TP\n", stdout);
		put_path(o->path);
		putchar('\n');
		put_roff(o->doc ? o->doc : "");
		putchar('\n');
		if (o->type == VD_T_MAP)
			continue;
		out = open_memstream(&type, &size);
		if (!out)
			exit(1);
		put_type(out, o, "", "");
		fclose(out);
		fputs(".br\n", stdout);
		put_roff(type);
		free(type);
		if (o->flags & VD_OPT_REQUIRED)
			fputs("; must be given", stdout);
		if (o->def) {
			fputs("; default ", stdout);
			put_roff(o->def);
		}
		printf("; %s\n", effect(o));
	}
}

static void man_file(void *arg, const char *option)
{
	(void)arg;
	fputs(".SS The file of ", stdout);
	put_path(option);
	putchar('\n');
	man_options();
}

static void man_word(const char *word, const char *doc)
{
	fputs(".TP\n\\fB", stdout);
	put_roff(word);
	fputs("\\fR\n", stdout);
	put_roff(doc);
	putchar('\n');
}

static void man_vocabulary(void *arg, const struct vd_word *word)
{
	const char **subject = arg;

	if (strcmp(*subject, word->subject)) {
		*subject = word->subject;
		printf(".SS Words of %s:\n", *subject);
	}
	fputs(".TP\n\\fB", stdout);
	put_roff(word->word);
	fputs("\\fR (", stdout);
	put_roff(word->kind);
	fputs(")\n", stdout);
	put_roff(word->doc);
	putchar('\n');
}

static void man_area(void *arg, const struct vd_log_area *area)
{
	(void)arg;
	man_word(area->name, area->doc);
}

static void man(void)
{
	const char *subject = "";

	puts(".\\\" Made from the schemas of the core and the plugins when the tree was built.\n"
	     ".TH VIADUCT.YAML 5 \"\" \"Viaduct " VD_VERSION "\" \"File formats\"\n.ad l\n.nh\n.SH NAME\nviaduct.yaml \\- configuration of the VPN gateway viaductd\n"
	     ".SH SYNOPSIS\n.I " VD_SYSCONFDIR "/viaduct.yaml\n.br\n.IR " VD_SYSCONFDIR "/conf.d/ * .yaml\n.SH DESCRIPTION\n"
	     "A configuration is a set of named objects in sections.\n.I viaduct.yaml\nis read first, then the files in\n.I conf.d\n"
	     "in the order of their names; each may add objects to any section, and an object stands in one file only.\n"
	     ".B extends: \\fINAME\\fR\nin an object takes over what another object of its section has and it has not. Names are a\\-z, 0\\-9 and \\-.\n"
	     "Times are numbers with a unit, 500ms, 30s, 5m, 8h or 1d; rates are 64kbit, 20mbit or 1gbit.\n"
	     "Secrets stand in files of their own, which not everybody may read, or in the environment. Paths are relative to the file\n"
	     "that says them. YAML anchors, merge keys and the words yes, no, on and off for true and false are refused.\n.PP\n"
	     ".B viaductd \\-\\-check\nreports everything that is wrong with a configuration, and what is legal but probably wrong.\n"
	     ".B viaductctl reload\nputs a changed one in force; each option below says what that means for it: it is live at once, holds for\n"
	     "new sessions, or needs a restart.\n.SH SECTIONS");
	man_options();
	puts(".SH FILES THAT OPTIONS NAME");
	each_file(man_file, NULL);
	puts(".SH WORDS THAT VALUES CONTAIN");
	vd_words_each(NULL, NULL, man_vocabulary, &subject);
	puts(".SS Areas of the log, for log.areas");
	vd_log_areas_each(man_area, NULL);
	puts(".SH SEE ALSO\n.BR viaductctl (8)");
}

/* ---- JSON Schema ---- */
static json_t *pattern(const char *text)
{
	return json_pack("{s:s,s:s}", "type", "string", "pattern", text);
}

static json_t *words(const char *list)
{
	json_t *out = json_array();

	for (const char *p = list; p && *p; p += strcspn(p, "|"), p += *p == '|')
		json_array_append_new(out, json_stringn(p, strcspn(p, "|")));
	return json_pack("{s:o}", "enum", out);
}

static json_t *type_json(const struct vd_opt *o)
{
	const char *dots;
	json_t *t;

	switch (o->type) {
	case VD_T_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case VD_T_UINT:
		t = json_pack("{s:s}", "type", "integer");
		dots = o->arg ? strstr(o->arg, "..") : NULL;
		json_object_set_new(t, "minimum", json_integer(dots ? strtoll(o->arg, NULL, 10) : 0));
		if (dots && dots[2])
			json_object_set_new(t, "maximum", json_integer(strtoll(dots + 2, NULL, 10)));
		return t;
	case VD_T_DURATION:
		return pattern("^[0-9]+(ms|s|m|h|d)$");
	case VD_T_RATE:
		return pattern("^[0-9]+(bit|kbit|mbit|gbit)$");
	case VD_T_NAME:
		return pattern("^[a-z0-9-]{1,63}$");
	case VD_T_WORD:
		return words(o->arg);
	case VD_T_STRING:
		return json_pack("{s:s,s:i}", "type", "string", "maxLength", o->arg ? atoi(o->arg) : 255);
	default:
		return json_pack("{s:s,s:i}", "type", "string", "minLength", 1);
	}
}

static json_t *json_map(void)
{
	return json_pack("{s:[s,s],s:{},s:b}", "type", "object", "null", "properties", "additionalProperties", 0);
}

/* The schema for this name below map; made when it is not there. */
static json_t *below(json_t *map, const char *name)
{
	const char *group = strcmp(name, "*") ? "properties" : "patternProperties";
	const char *key = strcmp(name, "*") ? name : in_file ? "^.+$" : "^[a-z0-9_-]{1,63}$";
	json_t *list = json_object_get(map, group), *child;

	if (!list) {
		json_object_set_new(map, group, json_object());
		list = json_object_get(map, group);
	}
	child = json_object_get(list, key);
	if (!child) {
		json_object_set_new(list, key, json_map());
		child = json_object_get(list, key);
	}
	return child;
}

/* It must be given, or taken over. */
static json_t *json_must(json_t *list, const char *name)
{
	list = list ? json_incref(list) : json_array();
	json_array_append_new(list, json_pack("{s:[{s:[s]},{s:[s]}]}", "anyOf", "required", name, "required", "extends"));
	return list;
}

static void json_add(json_t *root, const struct vd_opt *o)
{
	json_t *map = root, *value, *item;
	char *type = NULL, name[64];
	size_t size, n;
	FILE *out;

	for (const char *p = o->path; *p; p += n + (p[n] == '.')) {
		n = strcspn(p, ".");
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		if (p[n] || o->type == VD_T_MAP) {
			map = below(map, name);
			/* Objects may take over from others, unless that word is an option of theirs. */
			if (!strcmp(name, "*") && !in_file && !json_object_get(json_object_get(map, "properties"), "extends"))
				json_object_set_new(json_object_get(map, "properties"), "extends",
					json_pack("{s:s}", "type", "string"));
		}
	}
	if (o->type == VD_T_MAP) {
		json_object_set_new(map, "description", json_string(o->doc ? o->doc : ""));
		return;
	}
	item = type_json(o);
	value = o->flags & VD_OPT_LIST ? json_pack("{s:[O,{s:s,s:O}]}", "anyOf", item, "type", "array", "items", item) : json_incref(item);
	json_decref(item);
	out = open_memstream(&type, &size);
	if (!value || !out)
		exit(1);
	fprintf(out, "%s (", o->doc ? o->doc : "");
	put_type(out, o, "", "");
	fprintf(out, "; reload: %s)", effect(o));
	fclose(out);
	json_object_set_new(value, "description", json_string(type));
	free(type);
	if (o->def)
		json_object_set_new(value, "default", json_string(o->def));
	if (o->flags & VD_OPT_REQUIRED)
		json_object_set_new(map, "allOf", json_must(json_object_get(map, "allOf"), name));
	if (!strcmp(name, "*")) {
		below(map, name);
		json_object_set_new(json_object_get(map, "patternProperties"), "^[a-z0-9_-]{1,63}$", value);
	} else {
		json_object_set_new(json_object_get(map, "properties"), name, value);
	}
}

/* "$defs": { "users.*.file": ... } */
static void json_file(void *arg, const char *option)
{
	json_t *root = json_map();

	for (size_t i = 0; i < n_all; i++)
		json_add(root, all[i]);
	json_object_set_new(arg, option, root);
}

static int json(void)
{
	json_t *files = json_object();
	json_t *root = json_map();
	int failed;

	json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(root, "title", json_string("Viaduct configuration"));
	for (size_t i = 0; i < n_all; i++)
		json_add(root, all[i]);
	each_file(json_file, files);
	json_object_set_new(root, "$defs", files);
	failed = json_dumpf(root, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER) < 0 || putchar('\n') < 0;
	json_decref(root);
	return failed;
}

/* ---- a sample with everything ---- */
static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '.';
	return n;
}

static void put_key(const char *path, const char *name, const char *behind)
{
	printf("# %*s%s:%s\n", (int)depth_of(path) * 2, "", strcmp(name, "*") ? name : "name", behind);
}

/* Writes the maps that lead to path and are not in opened yet. */
static void open_maps(const char *path, char *opened, size_t size)
{
	char part[256];

	for (const char *p = strchr(path, '.'); p; p = strchr(p + 1, '.')) {
		char mark[300];

		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		snprintf(mark, sizeof(mark), "|%s|", part);
		if (strstr(opened, mark))
			continue;
		put_key(part, last_name(part), "");
		snprintf(opened + strlen(opened), size - strlen(opened), "%s", mark);
	}
}

/* Something beside it must be given, and has no default. */
static bool stands_with_required(const struct vd_opt *o)
{
	size_t len = (size_t)(last_name(o->path) - o->path);

	for (size_t i = 0; i < n_all; i++)
		if (all[i]->flags & VD_OPT_REQUIRED && !all[i]->def && !strncmp(all[i]->path, o->path, len) &&
			last_name(all[i]->path) == all[i]->path + len)
			return true;
	return false;
}

static void sample_file(void *arg, const char *option)
{
	char *type = NULL;
	size_t size;

	(void)arg;
	printf("##\n## The file that %s names:\n", option);
	for (size_t i = 0; i < n_all; i++) {
		const struct vd_opt *o = all[i];
		FILE *out = open_memstream(&type, &size);

		if (!out)
			exit(1);
		put_type(out, o, "", "");
		fclose(out);
		printf("## %s: %s%s%s. %s\n", o->path, type, o->def ? "; default " : "", o->def ? o->def : "", o->doc ? o->doc : "");
		free(type);
	}
}

static void sample_word(void *arg, const struct vd_word *word)
{
	(void)arg;
	printf("## %s: %s %s: %s\n", word->subject, word->kind, word->word, word->doc);
}

static void sample_area(void *arg, const struct vd_log_area *area)
{
	(void)arg;
	printf("## log.areas: %s: %s\n", area->name, area->doc);
}

static void sample(void)
{
	static char opened[65536];
	char *type = NULL, value[300];
	size_t size;

	puts("## Every option there is, with its default. Take the `# ` away from the lines you want and from those above that lead to\n"
	     "## them. What has no default stands behind ##, with what may be written. See viaduct.yaml(5).");
	for (size_t i = 0; i < n_all; i++) {
		const struct vd_opt *o = all[i];
		int indent = (int)depth_of(o->path) * 2;
		FILE *out;

		/* Objects have to be whole: what they need is shown in the other samples. */
		if (o->type == VD_T_MAP)
			continue;
		if (strchr(o->path, '*') || !o->def || stands_with_required(o)) {
			out = open_memstream(&type, &size);
			if (!out)
				exit(1);
			put_type(out, o, "", "");
			fclose(out);
			printf("## %s: %s%s%s. %s\n", o->path, type, o->def ? "; default " : "", o->def ? o->def : "", o->doc ? o->doc : "");
			free(type);
			continue;
		}
		open_maps(o->path, opened, sizeof(opened));
		printf("## %*s%s\n", indent, "", o->doc ? o->doc : "");
		snprintf(value, sizeof(value), " %s", o->def);
		put_key(o->path, last_name(o->path), value);
	}
	each_file(sample_file, NULL);
	puts("##\n## Words that values contain:");
	vd_words_each(NULL, NULL, sample_word, NULL);
	vd_log_areas_each(sample_area, NULL);
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 3) {
		fputs("usage: schemadoc man|json|sample FOLDER...\n", stderr);
		return 2;
	}
	if (vd_loop_ev_init() < 0) /* a plugin's schema is tried, and configurations want randomness */
		return 1;
	for (int i = 2; i < argc; i++) {
		if (vd_plugins_open(argv[i], refused, &failed) < 0 || failed) {
			fprintf(stderr, "schemadoc: cannot use the plugins in %s\n", argv[i]);
			return 1;
		}
	}
	add_table(vd_conf_core_schema);
	for (struct vd_host *h = vd_plugins_first(); h; h = h->next)
		add_table(h->plugin->schema);
	if (!strcmp(argv[1], "man"))
		man();
	else if (!strcmp(argv[1], "json"))
		failed = json();
	else
		sample();
	vd_plugins_forget();
	vd_loop_ev_fini();
	return failed || fflush(stdout) != 0;
}
