/* Viaduct: ways that are narrower than peers are believed to be reached with. Only where DF is set: without it packets leave in
 * fragments. What counts is the host's configuration (its routes, its interfaces), never what ICMP from outside says.
 * Control thread, except the function named w_*. */
#include <stdlib.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

static uint16_t ask(const struct vd_datapath *dp, const struct vd_ip *from, const struct vd_ip *to)
{
	int mtu = dp->way_mtu && dp->df != VD_DF_CLEAR && to->family == AF_INET ? dp->way_mtu(from, to) : -1;
	if (mtu < 0 || mtu > VD_OUTER_MTU)
		mtu = VD_OUTER_MTU;
	return (uint16_t)(mtu < (int)DP_LEAST_OUTER ? (int)DP_LEAST_OUTER : mtu);
}

uint16_t dp_outer_mtu(void *self, const struct vd_path *path)
{
	return ask(self, &path->local.ip, &path->remote.ip);
}

/* ---- refused by a socket ---- */
struct narrow_op {
	uint64_t chan;
	uint16_t outer;
};

static void w_narrow(struct vd_worker *w, void *arg)
{
	const struct narrow_op *op = arg;
	const struct dp_wchan *c = dp_wchan(w, op->chan);
	if (c)
		vd_worker_narrow(w, c->chan, op->outer);
}

void dp_on_refused(void *arg, uint64_t chan, uint64_t way)
{
	struct vd_datapath *dp = arg;
	const struct dp_chan *c = dp_chan_of(dp, chan);
	unsigned e = (unsigned)(way >> 32);
	struct vd_ip from = { 0 }, to = vd_ip4((uint32_t)way);
	struct narrow_op *op = c && dp->n_workers ? malloc(sizeof(*op)) : NULL;
	if (!op)
		return;
	if (e < dp->n_ep)
		from = dp->ep[e].local.ip;
	*op = (struct narrow_op){ chan, ask(dp, &from, &to) };
	if (dp_call(dp, c->chan->home % dp->n_workers, w_narrow, op, free, op) < 0)
		free(op);
}
