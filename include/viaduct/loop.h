/* Viaduct: the control thread's clock, timers, descriptors, randomness and FIFO. Tests replace all of them by fakes.
 *
 * Timers live in one heap that the core owns, in real runs and on the fake clock alike, so that order is the same.
 * Everything here: control thread, except vd_random (any thread).
 */
#ifndef VIADUCT_LOOP_H
#define VIADUCT_LOOP_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Monotonic milliseconds; constant during one callback. */
VD_API uint64_t vd_now(void);
/* Wall clock, milliseconds since 1970; for people and logs, never for timers. */
VD_API uint64_t vd_wall(void);
/* Cryptographically strong octets. Never fails (ends the process when the system has none). Any thread. */
VD_API void vd_random(void *out, size_t len);

/* Embedded in the object it belongs to (VD_CONTAINER_OF). Zeroed memory is a valid stopped timer. */
struct vd_timer {
	uint64_t deadline; /* vd_now() time; meaningful while armed */
	void (*fn)(struct vd_timer *t);
	uint32_t heap; /* position in the heap + 1; 0 = stopped. Private */
	uint32_t kind; /* for the owner: an enum, exported with the deadline */
};

VD_API void vd_timer_init(struct vd_timer *t, void (*fn)(struct vd_timer *t));
/* Arms or re-arms, in_ms from now. */
VD_API void vd_timer_start(struct vd_timer *t, uint64_t in_ms);
/* Harmless on a stopped timer. Must be called before the memory goes. */
VD_API void vd_timer_stop(struct vd_timer *t);
VD_API bool vd_timer_armed(const struct vd_timer *t);
/* Milliseconds until it fires, 0 when due; UINT64_MAX when stopped. */
VD_API uint64_t vd_timer_left(const struct vd_timer *t);

/* Runs fn(arg) once after the current callback, in the same FIFO as bus events. -ENOMEM, or 0. */
VD_API int vd_defer(void (*fn)(void *arg), void *arg);

#define VD_IO_READ 1u
#define VD_IO_WRITE 2u
struct vd_io; /* a watched descriptor */
/* Watches fd (not owned). NULL when out of memory. */
VD_API struct vd_io *vd_io_new(int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
VD_API void vd_io_events(struct vd_io *io, unsigned events);
VD_API void vd_io_free(struct vd_io *io);

#ifdef __cplusplus
}
#endif
#endif
