/* The link's stage on workers. */
#ifndef PPP_STAGE_H
#define PPP_STAGE_H

#include <viaduct/datapath.h>

/* PPP frames in: IP packets of an established session go on to vd_inner_in, all else is punted from the start of the
 * frame. No state: the attacher passes NULL. */
extern const struct vd_stage ppp_stage;

#endif
