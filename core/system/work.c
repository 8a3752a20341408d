/* The pool for asymmetric cryptography: two queues, few threads, completions back on the control thread through an
 * eventfd. Without threads (tests) a job runs when the FIFO drains. */
#include "core/system/work.h"

#include <viaduct/loop.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 2
/* Waiting work of peers that proved nothing yet. At 1 ms each this is a quarter of a second: later answers would only
 * meet retransmissions. */
#define NEW_MAX 256
#define NEW_PASSED_MAX 3

enum { JOB_IDLE, JOB_QUEUED_ESTABLISHED, JOB_QUEUED_NEW, JOB_RUNNING, JOB_ORPHANED, JOB_FINISHED };

struct job_list {
	struct vd_job *head, **tail;
	size_t len;
};

static struct job_list established = { NULL, &established.head, 0 };
static struct job_list fresh = { NULL, &fresh.head, 0 };
static struct job_list finished = { NULL, &finished.head, 0 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for the lists, states and "stopping" */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_t threads[THREADS_MAX];
static unsigned n_threads;
static bool stopping;
static unsigned done_units; /* of jobs that say how many they are, since the control thread looked */
static uint64_t done_ns;    /* and what they took together */
static int wake_fd = -1;
static struct vd_io *wake_io;

static void list_push(struct job_list *list, struct vd_job *job)
{
	job->next = NULL;
	*list->tail = job;
	list->tail = &job->next;
	list->len++;
}

static struct vd_job *list_pop(struct job_list *list)
{
	struct vd_job *job = list->head;

	if (!job)
		return NULL;
	list->head = job->next;
	if (!list->head)
		list->tail = &list->head;
	list->len--;
	return job;
}

static void list_remove(struct job_list *list, struct vd_job *job)
{
	for (struct vd_job **p = &list->head; *p; p = &(*p)->next) {
		if (*p != job)
			continue;
		*p = job->next;
		if (!*p)
			list->tail = p;
		list->len--;
		return;
	}
}

/* Those who proved themselves first; but however many of them ask for work, one turn in four is for new ones. */
static struct vd_job *next_job(void)
{
	static unsigned passed; /* turns since a new one that waited had one */

	if (!fresh.head || (established.head && passed < NEW_PASSED_MAX)) {
		passed = fresh.head ? passed + 1 : 0;
		return list_pop(&established);
	}
	passed = 0;
	return list_pop(&fresh);
}

/* Tells the owner, on the control thread. */
static void deliver(struct vd_job *job, bool orphan)
{
	job->state = JOB_IDLE;
	if (orphan)
		((void (*)(struct vd_job *))(void (*)(void))job->done)(job); /* see vd_work_cancel */
	else
		job->done(job, job->result);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *pool_thread(void *arg)
{
	static const uint64_t one = 1;

	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct vd_job *job = stopping ? NULL : next_job();
		uint64_t began;
		int result;

		if (!job) {
			if (stopping)
				break;
			pthread_cond_wait(&more, &lock);
			continue;
		}
		job->state = JOB_RUNNING;
		pthread_mutex_unlock(&lock);
		began = now_ns();
		result = job->run(job);
		began = now_ns() - began;
		pthread_mutex_lock(&lock);
		job->result = result;
		if (job->units && result == 0) {
			done_units += job->units;
			done_ns += began;
		}
		if (job->state == JOB_RUNNING)
			job->state = JOB_FINISHED;
		list_push(&finished, job);
		/* Fails only when the counter is full, and then the reader has been woken already. */
		while (write(wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* One at a time, since a done function may cancel the job behind it. */
static void deliver_finished(void)
{
	unsigned units;
	uint64_t ns;

	pthread_mutex_lock(&lock);
	units = done_units;
	ns = done_ns;
	done_units = 0;
	done_ns = 0;
	pthread_mutex_unlock(&lock);
	if (units)
		vd_budget_measured(units, ns, n_threads);
	for (;;) {
		struct vd_job *job;
		bool orphan;

		pthread_mutex_lock(&lock);
		job = list_pop(&finished);
		orphan = job && job->state == JOB_ORPHANED;
		pthread_mutex_unlock(&lock);
		if (!job)
			return;
		deliver(job, orphan);
	}
}

static void on_wake(void *arg, unsigned events)
{
	uint64_t count;

	(void)arg;
	(void)events;
	while (read(wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	deliver_finished();
}

/* Without threads: the next job that is still wanted. */
static void run_inline(void *arg)
{
	struct vd_job *job;

	(void)arg;
	pthread_mutex_lock(&lock);
	job = n_threads == 0 ? next_job() : NULL;
	pthread_mutex_unlock(&lock);
	if (!job)
		return;
	job->state = JOB_RUNNING;
	job->result = job->run(job);
	deliver(job, job->state == JOB_ORPHANED);
}

int vd_work_submit(struct vd_job *job, enum vd_work_class work)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (job->state != JOB_IDLE) {
		ret = -EBUSY;
	} else if (work == VD_WORK_NEW && fresh.len >= NEW_MAX) {
		ret = -EAGAIN;
	} else if (n_threads == 0) {
		ret = vd_defer(run_inline, NULL);
	}
	if (ret == 0) {
		job->state = work == VD_WORK_NEW ? JOB_QUEUED_NEW : JOB_QUEUED_ESTABLISHED;
		list_push(work == VD_WORK_NEW ? &fresh : &established, job);
		pthread_cond_signal(&more);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool vd_work_cancel(struct vd_job *job, void (*orphaned)(struct vd_job *job))
{
	bool gone = true;

	pthread_mutex_lock(&lock);
	switch (job->state) {
	case JOB_QUEUED_ESTABLISHED:
		list_remove(&established, job);
		break;
	case JOB_QUEUED_NEW:
		list_remove(&fresh, job);
		break;
	case JOB_FINISHED:
		list_remove(&finished, job);
		break;
	case JOB_RUNNING:
	case JOB_ORPHANED:
		/* done will not be called any more: its place keeps the other function, as any function pointer may. */
		job->done = (void (*)(struct vd_job *, int))(void (*)(void))orphaned;
		job->state = JOB_ORPHANED;
		gone = false;
		break;
	default:
		break;
	}
	if (gone)
		job->state = JOB_IDLE;
	pthread_mutex_unlock(&lock);
	return gone;
}

int vd_work_start(unsigned n)
{
	sigset_t all, old;
	int ret = 0;

	if (n_threads > 0)
		return -EBUSY;
	if (n == 0)
		return 0;
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake_fd < 0)
		return -errno;
	wake_io = vd_io_new(wake_fd, VD_IO_READ, on_wake, NULL);
	if (!wake_io) {
		close(wake_fd);
		wake_fd = -1;
		return -ENOMEM;
	}
	stopping = false;
	sigfillset(&all); /* signals are the control thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&lock);
	while (ret == 0 && n_threads < n && n_threads < THREADS_MAX) {
		ret = -pthread_create(&threads[n_threads], NULL, pool_thread, NULL);
		if (ret == 0)
			n_threads++;
	}
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret < 0)
		vd_work_stop();
	return ret;
}

void vd_work_stop(void)
{
	struct vd_job *job;

	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_broadcast(&more);
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	n_threads = 0;
	deliver_finished();
	/* A done function may submit more: that is ended likewise, when the FIFO drains or here. */
	while ((job = next_job())) {
		job->result = -ECANCELED;
		deliver(job, false);
	}
	vd_io_free(wake_io);
	wake_io = NULL;
	if (wake_fd >= 0)
		close(wake_fd);
	wake_fd = -1;
}
