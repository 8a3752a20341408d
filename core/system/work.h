/* The life of the thread pool behind vd_work_submit, for the daemon and tests. Control thread. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include <viaduct/work.h>

/* Creates the threads: after privileges were dropped, since capabilities belong to threads. Without it, or with 0, jobs
 * run on the control thread when the FIFO drains. -EBUSY when running. */
int vd_work_start(unsigned threads);
/* Waits for the jobs that threads have, then ends every job: done gets -ECANCELED where it was not run. */
void vd_work_stop(void);

/* All buckets full again, and the machine as it is assumed before anything was measured; for tests. */
void vd_budget_reset(void);
/* Control thread: a job of so many units took so long on a pool thread, waits for a CPU included; there are so many threads. */
void vd_budget_measured(unsigned units, uint64_t ns, unsigned threads);
/* Units of VD_COST_DH that the pool can do in a second, as measured; before that, as assumed. */
unsigned vd_budget_capacity(void);

#endif
