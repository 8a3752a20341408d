#include "plugins/log/lib/format.h"

#include <string.h>
#include <time.h>
#include <viaduct/object.h>
#include <viaduct/text.h>

int log_severity(enum vd_log_level level)
{
	return 3 + (int)level; /* error is 3 */
}

void log_time(uint64_t ms, char out[32])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	vd_format(out + n, 32 - n, ".%03uZ", (unsigned)(ms % 1000));
}

size_t log_words(const struct vd_log_record *r, char *out, size_t size)
{
	const struct {
		char letter;
		uint64_t id;
	} ids[] = { { 'p', r->ids.peer }, { 'c', r->ids.chan }, { 's', r->ids.session } };
	size_t n = vd_format(out, size, "%s", r->area);
	char buf[VD_ID_BUF];

	for (size_t i = 0; i < VD_ARRAY_SIZE(ids); i++)
		if (ids[i].id)
			n += vd_format(out + n, size - n, " %s", vd_id_format(ids[i].letter, ids[i].id, buf));
	return n + vd_format(out + n, size - n, ": %s", r->text);
}

size_t log_line(const struct vd_log_record *r, char *out, size_t size)
{
	time_t s = (time_t)(r->time / 1000);
	char words[LOG_LINE_MAX / 2], when[24];
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	log_words(r, words, sizeof(words));
	return vd_format(out, size, "%s.%03u %-7s %s\n", when, (unsigned)(r->time % 1000), vd_log_level_name(r->level), words);
}

/* ,"key":"value"; texts of records are safe, which makes each of their characters one of JSON but for two. */
static size_t member(char *out, size_t size, const char *key, const char *value)
{
	size_t n, len = strlen(value);

	if (!*value)
		return 0;
	n = vd_format(out, size, "%s\"%s\":\"", *key == 't' && key[1] == 'i' ? "" : ",", key);
	while (len > 0 && n + 2 * VD_TEXT_STEP < size) {
		char step[VD_TEXT_STEP];
		size_t took = vd_text_step(value, len, step);

		for (const char *p = step; *p; p++) {
			if (*p == '"' || *p == '\\')
				out[n++] = '\\';
			out[n++] = *p;
		}
		value += took;
		len -= took;
	}
	return n + vd_format(out + n, size - n, "\"");
}

size_t log_json(const struct vd_log_record *r, char *out, size_t size)
{
	char buf[VD_ID_BUF], when[32];
	size_t n = vd_format(out, size, "{");

	log_time(r->time, when);
	n += member(out + n, size - n, "time", when);
	n += member(out + n, size - n, "level", vd_log_level_name(r->level));
	n += member(out + n, size - n, "area", r->area);
	n += member(out + n, size - n, "peer", r->ids.peer ? vd_id_format('p', r->ids.peer, buf) : "");
	n += member(out + n, size - n, "channel", r->ids.chan ? vd_id_format('c', r->ids.chan, buf) : "");
	n += member(out + n, size - n, "session", r->ids.session ? vd_id_format('s', r->ids.session, buf) : "");
	n += member(out + n, size - n, "user", r->user);
	n += member(out + n, size - n, "code", r->code);
	n += member(out + n, size - n, "message", r->text);
	return n + vd_format(out + n, size - n, "}\n");
}
