/* Viaduct: a datagram that comes on a channel to which nothing is attached yet. A client says its first word above ESP
 * together with what brings the channel up; until the control thread has attached the layer above, one of each channel is
 * kept, so that it need not come again a second later. */
#include <string.h>
#include <viaduct/record.h>

#include "core/datapath/dp.h"

static void give_up(struct vd_worker *w, struct dp_early *e)
{
	if (!e->len)
		return;
	if (w->conceal)
		vd_conceal_at(e->p, e->len);
	w->drops[VD_DROP_NO_UPPER]++;
	e->len = 0;
}

void dp_early_keep(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt)
{
	struct dp_early *e = NULL;

	for (unsigned i = 0; i < DP_EARLY; i++)
		if (w->early[i].len && w->early[i].chan == chan->id)
			e = &w->early[i];
	if (e && w->now - e->came <= DP_EARLY_MS) { /* the first is what the others follow from */
		vd_pkt_drop(w, pkt, VD_DROP_NO_UPPER);
		return;
	}
	if (!e)
		e = &w->early[w->early_next++ % DP_EARLY];
	give_up(w, e);
	if (pkt->len > sizeof(e->p)) {
		vd_pkt_drop(w, pkt, VD_DROP_NO_UPPER);
		return;
	}
	e->chan = chan->id;
	e->came = w->now;
	e->len = pkt->len;
	e->tos = pkt->tos;
	memcpy(e->p, pkt->p, pkt->len);
	vd_pkt_free(w, pkt);
}

void dp_early_deliver(struct vd_worker *w, struct vd_chan *chan)
{
	for (unsigned i = 0; i < DP_EARLY; i++) {
		struct dp_early *e = &w->early[i];
		struct vd_vec vec;

		if (!e->len || e->chan != chan->id)
			continue;
		if (chan->up && w->now - e->came <= DP_EARLY_MS && dp_pkt_copy(w, e->p, e->len, &vec.v[0])) {
			e->len = 0;
			vec.v[0].tos = e->tos;
			vec.n = 1;
			vd_chan_input(w, chan, &vec);
		} else {
			give_up(w, e);
		}
	}
}
