/* Viaduct: the pool for asymmetric cryptography, lanes for what waits for a disk, and the work budgets that are asked
 * before expensive work. */
#ifndef VIADUCT_WORK_H
#define VIADUCT_WORK_H

#include <viaduct/addr.h>
#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Embedded in the owner's object. run is called on a pool thread and touches only what the job owns; done is called on
 * the control thread through the FIFO, with run's result. On a fake loop run is called when the FIFO drains. */
struct vd_job {
	int (*run)(struct vd_job *job);
	void (*done)(struct vd_job *job, int result);
	struct vd_job *next; /* private from here on */
	int result;
	uint8_t state;
};

enum vd_work_class {
	VD_WORK_ESTABLISHED, /* for a peer that already proved itself: served first */
	VD_WORK_NEW,         /* refused with -EAGAIN when the queue is full */
};
VD_API int vd_work_submit(struct vd_job *job, enum vd_work_class work);
/* After it, done is not called. Returns true when the job is not running and the memory may go now; false when a thread
 * has it: then orphaned(job) is called on the control thread when it is finished, and must free it. */
VD_API bool vd_work_cancel(struct vd_job *job, void (*orphaned)(struct vd_job *job));

/* A lane: a thread that does its owner's jobs one after the other, in the order of submission: for files and databases,
 * which may take long and must not hold up the pool. Jobs of a lane cannot be cancelled. On a fake loop a job is run when
 * the FIFO drains. Control thread. */
struct vd_lane;
/* From start() on: what was opened for the control thread may be used by jobs instead. name (at most 15 octets) is the
 * thread's. NULL: out of memory, threads or descriptors. */
VD_API struct vd_lane *vd_lane_new(const char *name);
/* -EBUSY when the job is waiting already. -ENOMEM on a fake loop only. */
VD_API int vd_lane_submit(struct vd_lane *lane, struct vd_job *job);
/* Waits until all that was submitted is done, calling done of each, then ends the thread. */
VD_API void vd_lane_free(struct vd_lane *lane);

enum vd_cost { VD_COST_DH, VD_COST_SIGNATURE, VD_COST_AUTH, VD_COST_STATE, VD_COST_MAX };
/* Takes one unit of this kind from the buckets of the source network (/32 or /64; may be NULL), of the user (may be NULL)
 * and of the daemon. False: refuse the work now, and count it. Control thread. */
VD_API bool vd_budget_take(enum vd_cost cost, const struct vd_ip *source, const char *user);

#ifdef __cplusplus
}
#endif
#endif
