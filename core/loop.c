/* The loop's front: clock, randomness and descriptors by the ops in force, and the FIFO. */
#include <errno.h>
#include <stdlib.h>

#include "core/loop.h"

static const struct vd_loop_ops *ops;
static struct vd_fifo_entry *fifo_head, **fifo_tail = &fifo_head;
static size_t fifo_len;
static bool fifo_draining;

void vd_loop_use(const struct vd_loop_ops *new_ops)
{
	ops = new_ops;
}

const struct vd_loop_ops *vd_loop_ops(void)
{
	return ops;
}

uint64_t vd_now(void)
{
	return ops->now();
}

uint64_t vd_wall(void)
{
	return ops->wall();
}

void vd_random(void *out, size_t len)
{
	ops->random(out, len);
}

struct vd_io *vd_io_new(int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg)
{
	return ops->io_new(fd, events, fn, arg);
}

void vd_io_events(struct vd_io *io, unsigned events)
{
	ops->io_events(io, events);
}

void vd_io_free(struct vd_io *io)
{
	if (io)
		ops->io_free(io);
}

void vd_fifo_push(struct vd_fifo_entry *entry)
{
	entry->next = NULL;
	*fifo_tail = entry;
	fifo_tail = &entry->next;
	fifo_len++;
}

size_t vd_fifo_len(void)
{
	return fifo_len;
}

void vd_fifo_drain(void)
{
	if (fifo_draining)
		return;
	fifo_draining = true;
	while (fifo_head) {
		struct vd_fifo_entry *e = fifo_head;

		fifo_head = e->next;
		if (!fifo_head)
			fifo_tail = &fifo_head;
		fifo_len--;
		e->run(e);
	}
	fifo_draining = false;
}

struct deferred {
	struct vd_fifo_entry entry;
	void (*fn)(void *arg);
	void *arg;
};

static void run_deferred(struct vd_fifo_entry *entry)
{
	struct deferred d = *VD_CONTAINER_OF(entry, struct deferred, entry);

	free(VD_CONTAINER_OF(entry, struct deferred, entry));
	d.fn(d.arg);
}

int vd_defer(void (*fn)(void *arg), void *arg)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	*d = (struct deferred){ .entry.run = run_deferred, .fn = fn, .arg = arg };
	vd_fifo_push(&d->entry);
	return 0;
}
