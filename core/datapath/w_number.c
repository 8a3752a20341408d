/* Viaduct: whether a session's messages are numbered, on its worker (RFC 2661 section 5.4). */
#include "core/datapath/dp.h"

void dp_number_fit(struct vd_wsess *s)
{
	uint16_t mtu = s->mtu > s->narrow + DP_LEAST_MTU ? (uint16_t)(s->mtu - s->narrow)
		: s->mtu > DP_LEAST_MTU ? DP_LEAST_MTU : s->mtu;
	bool less = s->numbered && s->numbers.when == VD_NUMBERED_AS_PEER && mtu > VD_NUMBER_LEN;
	s->d.mtu = (uint16_t)(mtu - (less ? VD_NUMBER_LEN : 0));
}

bool vd_worker_numbered(struct vd_worker *w, uint32_t sess, bool numbered)
{
	struct vd_wsess *s = dp_sess(w, sess);
	if (!s || s->numbered == numbered)
		return true;
	if (s->numbers.when == VD_NUMBERED_AS_PEER) {
		/* Switched on again, the numbers go on where they were. */
		s->numbered = numbered;
		dp_number_fit(s);
	}
	return s->numbers.when != VD_NUMBERED_BOTH;
}
