/* The pool and the budgets for tests that do not run the core's: jobs run when the FIFO drains. Weak, so that the core's
 * own take precedence where they are linked. */
#include <viaduct/loop.h>
#include <viaduct/work.h>

static void job_run(void *arg)
{
	struct vd_job *job = arg;

	if (job->state == 1) {
		job->state = 0;
		job->done(job, job->run(job));
	}
}

__attribute__((weak)) int vd_work_submit(struct vd_job *job, enum vd_work_class work)
{
	(void)work;
	job->state = 1;
	return vd_defer(job_run, job);
}

/* A deferred call cannot be taken back: the job is finished and handed to orphaned. */
__attribute__((weak)) bool vd_work_cancel(struct vd_job *job, void (*orphaned)(struct vd_job *job))
{
	job->done = (void (*)(struct vd_job *, int))(void (*)(void))orphaned;
	return false;
}

__attribute__((weak)) bool vd_budget_take(enum vd_cost cost, const struct vd_ip *source, const char *user)
{
	(void)cost;
	(void)source;
	(void)user;
	return true;
}
