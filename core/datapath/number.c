/* Viaduct: frames of a session's link, and the sequence numbers that they share with its data. Control thread, except the
 * function named w_*. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/dp.h"

/* On the worker by way of a link, and its channel is there. */
static struct dp_session *placed(struct vd_datapath *dp, uint64_t session)
{
	struct dp_session *s = dp_session_of(dp, session);
	return s && s->w && dp_chan_of(dp, s->chan) ? s : NULL;
}

int dp_link_send(void *self, uint64_t session, const struct vd_hdr *hdr, const void *p, size_t len)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = placed(dp, session);
	if (!s)
		return -ESTALE;
	struct dp_r_frame head = { { session, s->w->index + 1 }, *hdr };
	if (len > DP_ROOM || hdr->len > sizeof(hdr->bytes))
		return -EMSGSIZE;
	return dp->backlog[s->worker] ? -ENOBUFS : dp_hand(dp, s->worker, DP_R_FRAME, &head, sizeof(head), p, len);
}

struct numbers_op {
	struct vd_wsess *w;
	struct vd_numbers numbers;
};

static void w_numbers(struct vd_worker *w, void *arg)
{
	const struct numbers_op *op = arg;
	(void)w;
	op->w->numbers = op->numbers;
	op->w->numbered = op->numbers.when >= VD_NUMBERED_YES;
	if (op->w->up)
		dp_number_fit(op->w);
}

int dp_session_numbers(void *self, uint64_t session, const struct vd_numbers *numbers)
{
	struct vd_datapath *dp = self;
	struct dp_session *s = placed(dp, session);
	if (!s)
		return -ESTALE;
	if (numbers->when != VD_NUMBERED_NO && !numbers->at)
		return -EINVAL;
	struct numbers_op *op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct numbers_op){ s->w, *numbers };
	int rc = dp_call(dp, s->worker, w_numbers, op, free, op);
	if (rc < 0)
		free(op);
	return rc;
}

int dp_session_number(void *self, uint64_t session)
{
	struct vd_datapath *dp = self;
	const struct dp_session *s = dp_session_of(dp, session);
	if (!s || !s->w)
		return -ENOENT;
	if (!dp->inline_mode && !dp->paused)
		return -EBUSY;
	return s->w->numbers.next;
}
