/* Stage code: IP packets out of a tunnel, on the home worker. No allocation, log or bus here. */
#include "tunnel_stage.h"

static void run(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	const struct vd_stage *up = NULL;
	void *up_state = NULL;
	uint32_t sess = vd_worker_link(w, state, IKE_TUNNEL_LINK, &up, &up_state);

	if (!sess) {
		for (unsigned i = 0; i < vec->n; i++)
			vd_pkt_drop(w, &vec->v[i], VD_DROP_NO_UPPER);
		vec->n = 0;
		return;
	}
	for (unsigned i = 0; i < vec->n; i++)
		vec->v[i].sess = sess;
	vd_inner_in(w, vec);
}

const struct vd_stage ike_tunnel_stage = { .name = "tunnel", .run = run };
