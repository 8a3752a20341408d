/* The control thread's loop: what the daemon and tests drive. See include/viaduct/loop.h for what everybody uses. */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <viaduct/loop.h>

/* Where time, randomness and descriptors come from: the system (loop_ev.c) or a test. */
struct vd_loop_ops {
	uint64_t (*now)(void);
	uint64_t (*wall)(void);
	void (*random)(void *out, size_t len);
	struct vd_io *(*io_new)(int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
	void (*io_events)(struct vd_io *io, unsigned events);
	void (*io_free)(struct vd_io *io);
	bool fake;  /* nothing runs unless told */
	bool alone; /* there are no threads: what others would do is done here */
};
void vd_loop_use(const struct vd_loop_ops *ops);
const struct vd_loop_ops *vd_loop_ops(void);

/* The system's loop. */
int vd_loop_ev_init(void);
/* From now on there are no threads, and wall time goes as monotonic time does: for a recording. Before anything else. */
void vd_loop_ev_alone(void);
void vd_loop_ev_fini(void);
/* Calls fn on a signal. */
int vd_loop_ev_signal(int signo, void (*fn)(int signo));
/* Runs until vd_loop_ev_stop(). */
void vd_loop_ev_run(void);
void vd_loop_ev_stop(void);
/* Handles what is due, waiting at most ms; for orderly shutdown. */
void vd_loop_ev_once(uint64_t ms);

/* Timers: earliest deadline (UINT64_MAX: none), and firing all that are due at now, in order of deadline, then of arming. */
uint64_t vd_timers_next(void);
bool vd_timers_fire_one(uint64_t now);
void vd_timers_fini(void);

/* The FIFO. run is called once, then owns the entry. */
struct vd_fifo_entry {
	void (*run)(struct vd_fifo_entry *entry);
	struct vd_fifo_entry *next;
};
void vd_fifo_push(struct vd_fifo_entry *entry);
size_t vd_fifo_len(void);
void vd_fifo_drain(void);

#endif
