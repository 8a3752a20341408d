/* Viaduct: inner packets that are not for the networks behind us but for somebody on the control thread. */
#include <string.h>

#include "core/datapath/dp.h"

enum { UDP = 17, ICMP6 = 58 };

bool dp_inner_looks(const struct vd_inner_match *m, const struct vd_pkt *pkt, const struct dp_inner *in)
{
	struct vd_rd r;
	if (m->protocol != in->protocol || !(m->to.family ? vd_ip_equal(&m->to, &in->dst) : in->to_link))
		return false;
	vd_rd_init(&r, pkt->p, pkt->len);
	vd_rd_take(&r, in->l4);
	if (m->protocol == ICMP6)
		return vd_rd_u8(&r) == m->port && vd_rd_ok(&r);
	vd_rd_u16(&r);
	return vd_rd_u16(&r) == m->port && vd_rd_ok(&r);
}

bool dp_inner_take(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in)
{
	if ((in->protocol != UDP && in->protocol != ICMP6) || !in->first)
		return false;
	for (unsigned i = 0; i < DP_INNER && w->inner[i].protocol; i++) {
		if (!dp_inner_looks(&w->inner[i], pkt, in))
			continue;
		struct dp_wchan *c = dp_wchan(w, s->d.chan);
		struct dp_r_punt head = { .session = s->id };
		if (in->fragment || !c)
			vd_pkt_drop(w, pkt, VD_DROP_NO_UPPER); /* nobody puts fragments together here */
		else
			dp_punt(w, c, DP_R_INNER, &head, pkt);
		return true;
	}
	return false;
}
