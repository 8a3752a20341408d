/* Tables of JSON objects, for people: see table.h. */
#include "tools/ctl/table.h"

#include <stdio.h>
#include <string.h>

#include "tools/ctl/text.h"

#define COLUMNS_MAX 12
#define WIDTH ((size_t)110) /* of wrapped text with what stands before it */
#define SILENT_S 60 /* twice the pause between echoes, unless it is configured longer */

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

void duration(json_int_t s, char *out, size_t size)
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

/* Lines of words that together are no wider than WIDTH, the later ones indented. */
static void wrapped(const char *text, size_t indent)
{
	size_t room = indent + 40 < WIDTH ? WIDTH - indent : 40;
	char line[600];

	while (strlen(text) > room) {
		size_t n = room;

		while (n > 1 && text[n] != ' ')
			n--;
		n = n > 1 ? n : room;
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		put_line(line);
		put_clean("", indent);
		text += n + (text[n] == ' ');
	}
	put_clean(text, 0);
}

/* Aligned columns; the last one is not padded. Columns end with a NULL title. */
void table(const json_t *rows, const struct column *columns, const char *nothing)
{
	size_t width[COLUMNS_MAX] = { 0 }, i, n = 0, before = 0;
	const json_t *row;
	char text[2400];

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
	for (size_t k = 0; k + 1 < n; k++)
		before += width[k] + 2;
	fputs(color(BOLD), stdout);
	for (size_t k = 0; k < n; k++)
		put_clean(columns[k].title, k + 1 < n ? width[k] + 2 : 0);
	printf("%s\n", color(PLAIN));
	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			cell(row, &columns[k], text, sizeof(text));
			if (columns[k].how == AS_WRAPPED)
				wrapped(text, before);
			else
				put_clean(text, k + 1 < n ? width[k] + 2 : 0);
		}
		putchar('\n');
	}
}

/* One value per line, for one object. */
void facts(const json_t *object, const struct column *columns)
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
