/* Lanes: one thread each, for jobs that wait for a disk; completions come back through an eventfd. Where the loop is
 * alone there is no thread: a job runs when the FIFO drains. */
#include "core/loop.h"

#include <viaduct/work.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { JOB_IDLE = 0, JOB_IN_LANE = 100 }; /* values that work.c does not have */

struct jobs {
	struct vd_job *head, **tail;
};

struct vd_lane {
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t more;
	struct jobs waiting, finished;
	bool stopping;
	uint64_t until; /* stopping: no job is begun after it */
	bool threaded;
	int wake_fd;
	struct vd_io *wake_io;
	struct vd_lane *next; /* of those without a thread */
};

static struct vd_lane *threadless; /* whose jobs run_inline does */

static void push(struct jobs *list, struct vd_job *job)
{
	job->next = NULL;
	*list->tail = job;
	list->tail = &job->next;
}

static struct vd_job *pop(struct jobs *list)
{
	struct vd_job *job = list->head;

	if (job && !(list->head = job->next))
		list->tail = &list->head;
	return job;
}

/* Not the loop's clock, which only moves with the loop. */
static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static void *lane_thread(void *arg)
{
	static const uint64_t one = 1;
	struct vd_lane *lane = arg;
	struct vd_job *job;

	pthread_mutex_lock(&lane->lock);
	for (;;) {
		job = lane->stopping && now_ms() >= lane->until ? NULL : pop(&lane->waiting);
		if (!job && lane->stopping)
			break;
		if (!job) {
			pthread_cond_wait(&lane->more, &lane->lock);
			continue;
		}
		pthread_mutex_unlock(&lane->lock);
		job->result = job->run(job);
		pthread_mutex_lock(&lane->lock);
		push(&lane->finished, job);
		/* Fails only when the counter is full, and then the reader has been woken already. */
		while (write(lane->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	pthread_mutex_unlock(&lane->lock);
	return NULL;
}

static struct vd_job *take_finished(struct vd_lane *lane)
{
	struct vd_job *job;

	pthread_mutex_lock(&lane->lock);
	job = pop(&lane->finished);
	pthread_mutex_unlock(&lane->lock);
	return job;
}

static void deliver(struct vd_job *job)
{
	job->state = JOB_IDLE;
	job->done(job, job->result);
}

static void on_wake(void *arg, unsigned events)
{
	struct vd_lane *lane = arg;
	struct vd_job *job;
	uint64_t count;

	(void)events;
	while (read(lane->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	while ((job = take_finished(lane)))
		deliver(job);
}

/* One job for each call that was deferred; a lane that went meanwhile did its jobs then. */
static void run_inline(void *arg)
{
	struct vd_lane *lane;
	struct vd_job *job = NULL;

	(void)arg;
	for (lane = threadless; lane && !(job = pop(&lane->waiting)); lane = lane->next)
		;
	if (job) {
		job->result = job->run(job);
		deliver(job);
	}
}

int vd_lane_submit(struct vd_lane *lane, struct vd_job *job)
{
	int ret;

	if (job->state != JOB_IDLE)
		return -EBUSY;
	if (!lane->threaded && (ret = vd_defer(run_inline, NULL)) < 0)
		return ret;
	pthread_mutex_lock(&lane->lock);
	job->state = JOB_IN_LANE;
	push(&lane->waiting, job);
	pthread_cond_signal(&lane->more);
	pthread_mutex_unlock(&lane->lock);
	return 0;
}

/* -errno. */
static int begin_thread(struct vd_lane *lane, const char *name)
{
	sigset_t all, old;
	int ret;

	lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (lane->wake_fd < 0)
		return -errno;
	lane->wake_io = vd_io_new(lane->wake_fd, VD_IO_READ, on_wake, lane);
	if (!lane->wake_io)
		return -ENOMEM;
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&lane->thread, NULL, lane_thread, lane);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	lane->threaded = !ret;
	if (!ret)
		pthread_setname_np(lane->thread, name);
	return ret;
}

struct vd_lane *vd_lane_new(const char *name)
{
	struct vd_lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->waiting.tail = &lane->waiting.head;
	lane->finished.tail = &lane->finished.head;
	lane->wake_fd = -1;
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->more, NULL);
	if (vd_loop_ops()->alone) {
		lane->next = threadless;
		threadless = lane;
	} else if (begin_thread(lane, name) < 0) {
		vd_lane_free(lane);
		return NULL;
	}
	return lane;
}

void vd_lane_free(struct vd_lane *lane)
{
	struct vd_lane **at = &threadless;
	struct vd_job *job;

	if (!lane)
		return;
	if (lane->threaded) {
		pthread_mutex_lock(&lane->lock);
		lane->stopping = true;
		lane->until = now_ms() + VD_LANE_END_MS;
		pthread_cond_signal(&lane->more);
		pthread_mutex_unlock(&lane->lock);
		pthread_join(lane->thread, NULL);
	}
	while ((job = pop(&lane->finished)))
		deliver(job);
	while ((job = pop(&lane->waiting))) { /* submitted by a done function, too late, or there never was a thread */
		job->result = lane->until && now_ms() >= lane->until ? -ECANCELED : job->run(job);
		deliver(job);
	}
	vd_io_free(lane->wake_io);
	if (lane->wake_fd >= 0)
		close(lane->wake_fd);
	pthread_cond_destroy(&lane->more);
	pthread_mutex_destroy(&lane->lock);
	while (*at && *at != lane)
		at = &(*at)->next;
	if (*at)
		*at = lane->next;
	free(lane);
}
