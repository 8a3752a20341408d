/* The life of the thread pool behind vd_work_submit, for the daemon and tests. Control thread. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include <viaduct/work.h>

/* Creates the threads: after privileges were dropped, since capabilities belong to threads. Without it, or with 0, jobs
 * run on the control thread when the FIFO drains. -EBUSY when running. */
int vd_work_start(unsigned threads);
/* Waits for the jobs that threads have, then ends every job: done gets -ECANCELED where it was not run. */
void vd_work_stop(void);
/* All buckets full again; for tests. */
void vd_budget_reset(void);

#endif
