/* Stage code: PPP frames from a link, on the home worker. No allocation, log or bus here. */
#include "ppp_stage.h"
#include "proto.h"

#include <viaduct/bytes.h>

/* Reads address, control and protocol (RFC 1661 section 2, RFC 1662 section 3.1; compressed forms 6.5 and 6.6 of RFC
 * 1661 are always taken: who compresses without having asked does no harm). Returns the octets read, or 0 with why. */
static uint32_t ppp_header(const struct vd_pkt *pkt, uint16_t *ret_protocol, enum vd_drop *ret_why)
{
	struct vd_rd r;
	uint16_t protocol;

	vd_rd_init(&r, pkt->p, pkt->len);
	*ret_why = VD_DROP_PPP_HEADER;
	if (vd_rd_peek(&r) == 0xff && vd_rd_u16(&r) != 0xff03)
		return 0;
	protocol = vd_rd_u8(&r);
	if (!vd_rd_ok(&r))
		return 0;
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | vd_rd_u8(&r));
	if (!vd_rd_ok(&r))
		return 0;
	*ret_why = VD_DROP_PPP_PROTOCOL;
	if (!(protocol & 1))
		return 0;
	*ret_protocol = protocol;
	return pkt->len - (uint32_t)vd_rd_left(&r);
}

static void run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	struct vd_vec inner;

	(void)state;
	inner.n = 0;
	for (uint16_t i = 0; i < vec->n; i++) {
		struct vd_pkt *pkt = &vec->v[i];
		enum vd_drop why;
		uint16_t protocol;
		uint32_t header = ppp_header(pkt, &protocol, &why);

		if (!header) {
			vd_pkt_drop(w, pkt, why);
			continue;
		}
		if (!pkt->sess) {
			vd_pkt_drop(w, pkt, VD_DROP_NO_UPPER);
			continue;
		}
		if (!(protocol == PPP_IP && vd_worker_session_up(w, pkt->sess)) &&
			!(protocol == PPP_IPV6 && vd_worker_session_up6(w, pkt->sess))) {
			vd_worker_punt(w, NULL, pkt);
			continue;
		}
		pkt->p += header;
		pkt->len -= header;
		inner.v[inner.n++] = *pkt;
	}
	vec->n = 0;
	if (inner.n)
		vd_inner_in(w, &inner);
}

const struct vd_stage ppp_stage = { .name = "ppp", .run = run };
