/* L2TP: what runs on workers. */
#ifndef L2TP_STAGE_H
#define L2TP_STAGE_H

#include <viaduct/datapath.h>

/* State of the stage on one channel: filled in by the control thread before the channel is attached, read by the home
 * worker from then on, freed after chan_down (the worker has given the channel up by then). */
struct l2tp_in {
	struct vd_chan chan; /* only id, peer and home: the name under which links are found and packets punted */
};
extern const struct vd_stage l2tp_in;

#endif
