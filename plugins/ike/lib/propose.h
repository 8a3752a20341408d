/* SA payloads that we offer as initiator of IKEv1: every suite of a policy, in its order. No state; any thread. */
#ifndef IKE_LIB_PROPOSE_H
#define IKE_LIB_PROPOSE_H

#include "policy.h"

/* Phase 1 (RFC 2409 section 5, appendix A): one proposal, a transform for each suite, PSK, lifetime in seconds. */
void ike_out_propose_phase1(struct ike_out *out, const struct ike_policy *policy, uint32_t life_seconds);
/* Phase 2 (RFC 2407 section 4.4.4): one ESP proposal with our SPI; encap is an enum ike_encap. No PFS. */
void ike_out_propose_phase2(struct ike_out *out, const struct ike_policy *policy, uint32_t spi, uint16_t encap,
	uint32_t life_seconds);

#endif
