/* Viaduct: what of an inner packet a recording may show: addresses, ports, flags, lengths. */
#include <viaduct/record.h>

#include "core/datapath/dp.h"

void dp_conceal(const struct vd_worker *w, const uint8_t *p, size_t len)
{
	enum { ICMP = 1, TCP = 6, ICMP6 = 58, ICMP_TYPE = 2, TCP_HEADER = 20, OTHER_HEADER = 8 };
	struct vd_pkt pkt = { .p = (uint8_t *)(uintptr_t)p, .len = (uint32_t)len };
	struct dp_inner in;

	if (!w->conceal)
		return;
	size_t clear = 0;
	if (dp_inner_parse(&pkt, &in))
		clear = in.l4 + (!in.first ? 0u : in.protocol == TCP ? TCP_HEADER
			: in.protocol == ICMP || in.protocol == ICMP6 ? ICMP_TYPE : OTHER_HEADER);
	if (clear < len)
		vd_conceal_at(p + clear, len - clear);
}
