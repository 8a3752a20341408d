/* Viaduct: workers that the control thread turns, one datagram or packet at a time, so that a recording shows everything in
 * the order in which it happened. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/datapath/dp.h"
#include "core/record/record.h"

static void turn(void *arg, unsigned events)
{
	struct vd_worker *w = arg;
	struct epoll_event ev;

	(void)events;
	if (epoll_wait(w->epoll, &ev, 1, 0) < 1)
		return;
	w->now = vd_now();
	dp_send_held(w);
	dp_worker_serve(w, ev.data.ptr, ev.events);
	w->touched = 0;
	dp_drain_later(w->dp);
}

int dp_alone_start(struct vd_datapath *dp, struct vd_error *err)
{
	for (unsigned i = 0; i < dp->n_workers; i++) {
		struct vd_worker *w = dp->w[i];

		w->io = vd_io_new(w->epoll, VD_IO_READ, turn, w);
		if (!w->io)
			return vd_error_set(err, -ENOMEM, "out of memory");
		w->tee = w->conceal = true;
		w->came = vd_record_in;
		w->came_tun = vd_record_tun;
	}
	dp->tee = true;
	vd_datapath_capture(vd_record_out, NULL);
	return 0;
}
