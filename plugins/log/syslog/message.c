#include "plugins/log/syslog/message.h"

#include <string.h>
#include <time.h>
#include <viaduct/object.h>

#include "plugins/log/lib/format.h"

/* RFC 5424 section 6.3.3: ", \ and ] are escaped. */
static size_t param(char *out, size_t size, const char *name, const char *value)
{
	size_t n;

	if (!*value)
		return 0;
	n = vd_format(out, size, " %s=\"", name);
	for (; *value && n + 4 < size; value++) {
		if (strchr("\"\\]", *value))
			out[n++] = '\\';
		out[n++] = *value;
	}
	return n + vd_format(out + n, size - n, "\"");
}

size_t syslog_rfc5424(const struct vd_log_record *r, int facility, const char *host, int pid, char *out, size_t size)
{
	char buf[VD_ID_BUF], when[32];
	size_t n, begin, empty;

	log_time(r->time, when);
	n = vd_format(out, size, "<%d>1 %s %.255s viaductd %d %.32s ", facility * 8 + log_severity(r->level), when, *host ? host : "-",
		pid, *r->area ? r->area : "-");
	begin = n;
	/* 32473 is the number of examples (RFC 5612): the project has none of its own. */
	n += vd_format(out + n, size - n, "[viaduct@32473");
	empty = n;
	n += param(out + n, size - n, "peer", r->ids.peer ? vd_id_format('p', r->ids.peer, buf) : "");
	n += param(out + n, size - n, "channel", r->ids.chan ? vd_id_format('c', r->ids.chan, buf) : "");
	n += param(out + n, size - n, "session", r->ids.session ? vd_id_format('s', r->ids.session, buf) : "");
	n += param(out + n, size - n, "user", r->user);
	n += param(out + n, size - n, "code", r->code);
	if (n == empty)
		n = begin + vd_format(out + begin, size - begin, "-");
	else
		n += vd_format(out + n, size - n, "]");
	return n + vd_format(out + n, size - n, " %s", r->text);
}

size_t syslog_local(const struct vd_log_record *r, int facility, int pid, char *out, size_t size)
{
	char words[LOG_LINE_MAX / 2], when[24];
	time_t s = (time_t)(r->time / 1000);
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	log_words(r, words, sizeof(words));
	return vd_format(out, size, "<%d>%s viaductd[%d]: %s", facility * 8 + log_severity(r->level), when, pid, words);
}
