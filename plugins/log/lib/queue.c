#include "plugins/log/lib/queue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <viaduct/log.h>

#define OCTETS 1048576
#define LOOK_MS 1000
#define GOODBYE_MS 2000

struct entry {
	struct entry *next;
	size_t len;
	char data[];
};

struct log_queue {
	struct log_queue_setup setup;
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t more, settled;
	struct entry *head, **tail;
	size_t waiting; /* octets, of what is being written too */
	uint64_t lost;
	int error;      /* of the last write, 0 when it was good */
	bool writing, stopping, ended;
	/* control thread */
	bool started;
	struct vd_timer look;
	uint64_t counted, lost_before;
	int said; /* the error that was told */
	struct vd_log_limit limit; /* what is told goes into this very queue: it must not keep itself going */
};

static struct timespec in_ms(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

struct log_queue *log_queue_new(const struct log_queue_setup *setup)
{
	struct log_queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (!q)
		return NULL;
	q->setup = *setup;
	if (!q->setup.octets)
		q->setup.octets = OCTETS;
	q->tail = &q->head;
	q->limit = (struct vd_log_limit)VD_LOG_LIMIT(2, 60000);
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->more, &attr);
	pthread_cond_init(&q->settled, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

bool log_queue_put(struct log_queue *q, const char *data, size_t len)
{
	struct entry *e = malloc(sizeof(*e) + len);
	bool fits = false;

	if (e) {
		memcpy(e->data, data, len);
		e->len = len;
		e->next = NULL;
	}
	pthread_mutex_lock(&q->lock);
	if (e && q->waiting + len <= q->setup.octets) {
		fits = true;
		q->waiting += len;
		*q->tail = e;
		q->tail = &e->next;
		pthread_cond_signal(&q->more);
	} else {
		q->lost++;
	}
	pthread_mutex_unlock(&q->lock);
	if (!fits)
		free(e);
	return fits;
}

static void *run(void *arg)
{
	struct log_queue *q = arg;
	struct entry *e;

	pthread_mutex_lock(&q->lock);
	while ((e = q->head) || !q->stopping) {
		int r;

		if (!e) {
			pthread_cond_broadcast(&q->settled);
			pthread_cond_wait(&q->more, &q->lock);
			continue;
		}
		q->head = e->next;
		if (!q->head)
			q->tail = &q->head;
		q->writing = true;
		pthread_mutex_unlock(&q->lock);
		r = q->setup.write(q->setup.arg, e->data, e->len);
		pthread_mutex_lock(&q->lock);
		q->writing = false;
		q->waiting -= e->len;
		q->error = r;
		q->lost += r < 0;
		free(e);
	}
	q->ended = true;
	pthread_cond_broadcast(&q->settled);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* Counts what was lost, and says once that records are lost, and once that they no longer are. */
static void look(struct vd_timer *t)
{
	struct log_queue *q = VD_CONTAINER_OF(t, struct log_queue, look);
	uint64_t lost;
	int error;

	pthread_mutex_lock(&q->lock);
	lost = q->lost;
	error = q->error;
	pthread_mutex_unlock(&q->lock);
	if (lost > q->counted)
		vd_count(q->setup.counter, lost - q->counted);
	if (error && error != q->said) {
		vd_log_limited(&q->limit, VD_LOG_WARNING, q->setup.plugin, NULL, "records cannot be written and are lost: %s",
			strerror(-error));
		q->said = error;
	} else if (!error && lost > q->lost_before && lost == q->counted) {
		vd_log_limited(&q->limit, VD_LOG_WARNING, q->setup.plugin, NULL, "%llu records were lost; they are written again",
			(unsigned long long)(lost - q->lost_before));
		q->lost_before = lost;
		q->said = 0;
	}
	q->counted = lost;
	vd_timer_start(&q->look, LOOK_MS);
}

int log_queue_start(struct log_queue *q)
{
	sigset_t all, old;
	int r;

	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&q->thread, NULL, run, q);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		return r;
	pthread_setname_np(q->thread, q->setup.thread);
	q->started = true;
	vd_timer_init(&q->look, look);
	vd_timer_start(&q->look, LOOK_MS);
	return 0;
}

bool log_queue_settle(struct log_queue *q, uint64_t ms)
{
	struct timespec until = in_ms(ms);
	bool done;

	pthread_mutex_lock(&q->lock);
	while (q->started && !q->ended && (q->head || q->writing) &&
		pthread_cond_timedwait(&q->settled, &q->lock, &until) == 0)
		;
	done = !q->head && !q->writing;
	pthread_mutex_unlock(&q->lock);
	return done;
}

uint64_t log_queue_lost(struct log_queue *q)
{
	uint64_t lost;

	pthread_mutex_lock(&q->lock);
	lost = q->lost;
	pthread_mutex_unlock(&q->lock);
	return lost;
}

bool log_queue_free(struct log_queue *q)
{
	struct entry *e;

	if (!q)
		return true;
	if (q->started) {
		vd_timer_stop(&q->look);
		pthread_mutex_lock(&q->lock);
		q->stopping = true;
		pthread_cond_signal(&q->more);
		pthread_mutex_unlock(&q->lock);
		if (!log_queue_settle(q, GOODBYE_MS)) {
			pthread_detach(q->thread);
			return false;
		}
		pthread_join(q->thread, NULL);
	}
	while ((e = q->head)) {
		q->head = e->next;
		free(e);
	}
	pthread_cond_destroy(&q->more);
	pthread_cond_destroy(&q->settled);
	pthread_mutex_destroy(&q->lock);
	free(q);
	return true;
}
