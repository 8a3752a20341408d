/* Viaduct: a channel whose way is narrower than its sessions' MTUs were reckoned from. */
#include <sys/socket.h>

#include "core/datapath/dp.h"

#define ASK_MS 1000u /* one question in this time for each session */

void vd_worker_narrow(struct vd_worker *w, const struct vd_chan *chan, uint16_t outer)
{
	struct dp_wchan *c = dp_wchan(w, chan->id);
	uint16_t was = chan->outer ? chan->outer : VD_OUTER_MTU;
	/* In whole blocks, so that the padding of what is largest stays as it was reckoned. */
	uint16_t narrow = outer < was ? (uint16_t)((was - outer + 15u) & ~15u) : 0;
	if (!c || c->narrow == narrow)
		return;
	c->narrow = narrow;
	for (unsigned i = 0; i < DP_SESSIONS; i++) {
		struct vd_wsess *s = w->sess[i];
		if (!s || !s->up || s->d.chan != chan->id)
			continue;
		s->narrow = narrow;
		dp_number_fit(s);
	}
}

void dp_refused(struct vd_worker *w, const struct vd_path *path, uint32_t sess)
{
	struct vd_wsess *s = dp_sess(w, sess);
	if (!s || !w->dp->way_mtu || path->remote.ip.family != AF_INET || (s->refused_at && w->now - s->refused_at < ASK_MS))
		return;
	if (vd_worker_tell(w, dp_on_refused, w->dp, s->d.chan, (path->endpoint - 1) << 32 | vd_ip_u32(&path->remote.ip)))
		s->refused_at = w->now;
}
