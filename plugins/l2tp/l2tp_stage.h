/* L2TP: what runs on workers. */
#ifndef L2TP_STAGE_H
#define L2TP_STAGE_H

#include <viaduct/datapath.h>

/* Where a session's sequence numbers are, when its peer sends them (RFC 2661 section 5.4). */
struct l2tp_order {
	uint64_t key;
	uint32_t sess;   /* as in vd_pkt; 0: not in use */
	uint16_t next;   /* one beyond the highest that came */
	uint16_t passed; /* the same when packets were last passed on: what is older comes too late */
};
#define L2TP_ORDERS 16u /* sessions of one channel whose order is kept; of more, those that were not seen for longest lose it */

/* State of the stage on one channel: filled in by the control thread before the channel is attached, the home worker's
 * from then on, freed after chan_down (the worker has given the channel up by then). */
struct l2tp_in {
	struct vd_chan chan; /* only id, peer and home: the name under which links are found and packets punted */
	uint64_t stray; /* vd_worker_now() when data without a link was last shown to the control thread */
	struct l2tp_order orders[L2TP_ORDERS]; /* the last used comes first; learnt from the packets, so never exported */
};
extern const struct vd_stage l2tp_in;

#endif
