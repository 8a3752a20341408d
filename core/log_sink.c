/* Sinks: where records go besides standard error. Any thread logs; the control thread adds and removes. */
#include <errno.h>
#include <pthread.h>

#include "core/log.h"

#define SINKS_MAX 8

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct {
	bool (*fn)(void *arg, const struct vd_log_record *record);
	void *arg;
	unsigned flags;
} sinks[SINKS_MAX];
static size_t n_sinks;

int vd_log_sink_add(bool (*fn)(void *arg, const struct vd_log_record *record), void *arg, unsigned flags)
{
	int r = 0;

	pthread_rwlock_wrlock(&lock);
	if (n_sinks == SINKS_MAX) {
		r = -ENOSPC;
	} else {
		sinks[n_sinks].fn = fn;
		sinks[n_sinks].arg = arg;
		sinks[n_sinks++].flags = flags;
	}
	pthread_rwlock_unlock(&lock);
	return r;
}

void vd_log_sink_remove(bool (*fn)(void *arg, const struct vd_log_record *record), void *arg)
{
	size_t i;

	pthread_rwlock_wrlock(&lock);
	for (i = 0; i < n_sinks && (sinks[i].fn != fn || sinks[i].arg != arg); i++)
		;
	if (i < n_sinks) {
		n_sinks--;
		for (; i < n_sinks; i++)
			sinks[i] = sinks[i + 1];
	}
	pthread_rwlock_unlock(&lock);
}

bool vd_log_sinks_take(const struct vd_log_record *record)
{
	bool instead = false;

	pthread_rwlock_rdlock(&lock);
	for (size_t i = 0; i < n_sinks; i++) {
		bool took = sinks[i].fn(sinks[i].arg, record);

		instead |= took && (sinks[i].flags & VD_LOG_INSTEAD);
	}
	pthread_rwlock_unlock(&lock);
	return instead;
}
