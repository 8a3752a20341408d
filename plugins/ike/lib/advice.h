/* Why no offer of a peer fits, and what would make one fit: values for failure reports. No state; control thread. */
#ifndef IKE_LIB_ADVICE_H
#define IKE_LIB_ADVICE_H

#include "policy.h"

/* A connection that the peer could be meant for. */
struct ike_allows {
	const char *connection, *origin; /* origin: of its crypto when that is written, else of the connection */
	bool written;
	bool xauth; /* it wants XAuth in phase 1, and tunnels in phase 2 */
	const struct ike_policy *policy;
};

struct ike_advice {
	char offered[384], configured[384], difference[256], remedy[384];
};

/* phase 1 or 2, then with one connection at most. natt, have_ke: of phase 2, what the offers had to fit besides. Sets of crypto are suggested only when one
 * of the offers would be taken under them. conf: where they are looked up. */
void ike_advise(const struct vd_conf *conf, unsigned phase, const struct ike_offers *offers, const struct ike_allows *list,
	unsigned n, bool natt, bool have_ke, struct ike_advice *ret_advice);

#endif
