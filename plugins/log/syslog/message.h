/* Records as syslog messages. Any thread. */
#ifndef LOG_SYSLOG_MESSAGE_H
#define LOG_SYSLOG_MESSAGE_H

#include <viaduct/log.h>

/* RFC 5424, for a server: octets of UTF-8 without newline. host and pid: ours. Returns the length. */
size_t syslog_rfc5424(const struct vd_log_record *r, int facility, const char *host, int pid, char *out, size_t size);
/* As syslog(3) writes to /dev/log: "<PRI>Nov 25 12:00:00 viaductd[PID]: area ids: text". */
size_t syslog_local(const struct vd_log_record *r, int facility, int pid, char *out, size_t size);

#endif
