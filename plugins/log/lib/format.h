/* Records as text and as JSON. Any thread. */
#ifndef LOG_FORMAT_H
#define LOG_FORMAT_H

#include <viaduct/log.h>

#define LOG_LINE_MAX 8192

/* "2026-11-25T12:00:00.123Z" */
void log_time(uint64_t ms, char out[32]);
/* "p-7 c-8 s-42: text", with the area before it. Returns the length. */
size_t log_words(const struct vd_log_record *r, char *out, size_t size);
/* "2026-11-25 12:00:00.123 notice  life s-42: text\n", local time, as on standard error. */
size_t log_line(const struct vd_log_record *r, char *out, size_t size);
/* One object in one line; what is empty is left out, what is not UTF-8 becomes U+FFFD. */
size_t log_json(const struct vd_log_record *r, char *out, size_t size);
/* 0 (emergency) to 7 (debug), RFC 5424 section 6.2.1. */
int log_severity(enum vd_log_level level);

#endif
