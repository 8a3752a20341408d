/* log_journal: records to systemd's journal with their fields, so that "journalctl VIADUCT_USER=alice" finds them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include <viaduct/object.h>

#include "plugins/log/lib/format.h"
#include "plugins/log/lib/queue.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 12

struct log_journal {
	struct log_queue *queue;
};

static const struct vd_opt schema[] = {
	{ "log.journal", VD_T_MAP, 0, NULL, NULL,
		"Records go to systemd's journal with fields of their own (VIADUCT_SESSION, VIADUCT_PEER, VIADUCT_USER, VIADUCT_CODE, ...)." },
	{ NULL },
};

/* As it was put: fields, each with a zero octet behind. */
static int write_record(void *arg, const char *data, size_t len)
{
	struct iovec fields[FIELDS_MAX];
	size_t n = 0;

	(void)arg;
	for (size_t at = 0; at < len && n < FIELDS_MAX; n++) {
		fields[n].iov_base = (char *)data + at;
		fields[n].iov_len = strlen(data + at);
		at += fields[n].iov_len + 1;
	}
	return sd_journal_sendv(fields, (int)n);
}

static size_t field(char *out, size_t size, const char *name, const char *value)
{
	return *value && size > 1 ? vd_format(out, size, "%s=%s", name, value) + 1 : 0;
}

static bool take(void *arg, const struct vd_log_record *record)
{
	struct log_journal *j = arg;
	char text[LOG_LINE_MAX], words[LOG_LINE_MAX / 2], buf[VD_ID_BUF];
	size_t n, size = sizeof(text);

	log_words(record, words, sizeof(words));
	n = field(text, size, "MESSAGE", words);
	vd_format(buf, sizeof(buf), "%d", log_severity(record->level));
	n += field(text + n, size - n, "PRIORITY", buf);
	n += field(text + n, size - n, "SYSLOG_IDENTIFIER", "viaductd");
	n += field(text + n, size - n, "VIADUCT_AREA", record->area);
	n += field(text + n, size - n, "VIADUCT_PEER", record->ids.peer ? vd_id_format('p', record->ids.peer, buf) : "");
	n += field(text + n, size - n, "VIADUCT_CHANNEL", record->ids.chan ? vd_id_format('c', record->ids.chan, buf) : "");
	n += field(text + n, size - n, "VIADUCT_SESSION", record->ids.session ? vd_id_format('s', record->ids.session, buf) : "");
	n += field(text + n, size - n, "VIADUCT_USER", record->user);
	n += field(text + n, size - n, "VIADUCT_CODE", record->code);
	return log_queue_put(j->queue, text, n);
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct log_journal *j = calloc(1, sizeof(*j));
	struct log_queue_setup setup = { .plugin = "log_journal", .counter = "log_journal.lost", .thread = "vd-log-journal",
		.write = write_record, .arg = j };
	/* When standard error is the journal too, each record would stand there twice. */
	unsigned flags = getenv("JOURNAL_STREAM") && access(JOURNAL_SOCKET, F_OK) == 0 ? VD_LOG_INSTEAD : 0;
	int r;

	(void)host;
	if (!j || !(j->queue = log_queue_new(&setup))) {
		free(j);
		return vd_error_set(err, -ENOMEM, "out of memory");
	}
	r = vd_log_sink_add(take, j, flags);
	if (r < 0) {
		log_queue_free(j->queue);
		free(j);
		return vd_error_set(err, r, "there are too many sinks");
	}
	*ret_self = j;
	return 0;
}

static int start(void *self, struct vd_error *err)
{
	struct log_journal *j = self;
	int r = log_queue_start(j->queue);

	if (r < 0)
		return vd_error_set(err, r, "cannot start a thread: %s", strerror(-r));
	/* The library is silent about it. */
	if (access(JOURNAL_SOCKET, F_OK) < 0)
		vd_log(VD_LOG_WARNING, "log_journal", NULL, "there is no journal at %s: nothing is written there", JOURNAL_SOCKET);
	return 0;
}

static void fini(void *self)
{
	struct log_journal *j = self;

	vd_log_sink_remove(take, j);
	if (log_queue_free(j->queue))
		free(j);
}

VD_PLUGIN(log_journal, .version = "1.0", .license = "MIT", .summary = "records with fields in systemd's journal", .schema = schema,
	.init = init, .start = start, .fini = fini);
