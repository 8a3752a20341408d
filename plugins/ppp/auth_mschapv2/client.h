/* MS-CHAPv2 as the one who is asked: service ppp.auth.client/1. Control thread. */
#ifndef PPP_MSCHAPV2_CLIENT_H
#define PPP_MSCHAPV2_CLIENT_H

#include <viaduct/link.h>

extern const struct vd_ppp_auth_1 mschapv2_client;

#endif
