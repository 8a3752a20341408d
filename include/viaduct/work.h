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
	uint16_t units; /* of vd_budget_take that it does: its time says what the machine can do; 0: do not measure it */
	struct vd_job *next; /* private from here on */
	int result;
	uint8_t state;
};

enum vd_work_class {
	VD_WORK_ESTABLISHED, /* for a peer that already proved itself: served first, three turns of four */
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
/* Waits until all that was submitted is done, calling done of each, then ends the thread. Jobs that have not begun after
 * VD_LANE_END_MS get -ECANCELED instead: the end of the daemon must not wait for all that somebody queued. */
#define VD_LANE_END_MS 2000
VD_API void vd_lane_free(struct vd_lane *lane);

/* ---- work budgets: asked before expensive work ---- */
enum vd_cost { VD_COST_DH, VD_COST_SIGNATURE, VD_COST_AUTH, VD_COST_STATE, VD_COST_MAX };

/* What is known of the address that asks for work. */
enum vd_standing {
	/* No round trip proved the address. The work is paid from a small pool of its own: never by the source, since anybody
	 * may have written that address, and never from what the others share. */
	VD_STANDING_FORGEABLE,
	/* It answered something that only it could have received. */
	VD_STANDING_ANSWERED,
	/* Sessions from there were authenticated within a day. The core knows this by itself: a caller passes ANSWERED, and KNOWN
	 * only where it knows more (a peer with an authenticated session). */
	VD_STANDING_KNOWN,
};

struct vd_budget_from {
	const struct vd_ip *source; /* NULL: none, as for what we begin ourselves; else its /32 or /64 is charged */
	const char *user;           /* NULL: not known; else the user is charged too */
	enum vd_standing standing;
};

/* May this work be done now? units: what it costs; 1 is an exchange with the 2048-bit MODP group, a signature, a password
 * check, a new state. More than that: in proportion. False: refuse it now, and count it; then nobody pays. How many units
 * a second there are follows the time that jobs of the pool take on this machine. The shares are in core/THREAT-MODEL.md,
 * "Who is charged for what". Control thread. */
VD_API bool vd_budget_take(enum vd_cost cost, unsigned units, const struct vd_budget_from *from);
/* The most authenticated sessions at a time that this address (IPv6: its /64) had within a day: so many places it may have in
 * a plugin's own limits per address. 0: a stranger. Control thread. */
VD_API uint32_t vd_known_places(const struct vd_ip *source);

#ifdef __cplusplus
}
#endif
#endif
