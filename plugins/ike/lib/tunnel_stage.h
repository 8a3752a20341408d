/* What a channel of tunnel mode leads to: the one session on it. Its state is the channel (chan_attach with upper NULL). */
#ifndef IKE_LIB_TUNNEL_STAGE_H
#define IKE_LIB_TUNNEL_STAGE_H

#include <viaduct/datapath.h>

#define IKE_TUNNEL_LINK 0u /* key of the session's link */

extern const struct vd_stage ike_tunnel_stage;

#endif
