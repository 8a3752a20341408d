/* Greedy from the left: the largest aligned block that starts here and does not pass the end. */
#include "plugins/net/tun/cover.h"

#include <sys/socket.h>

typedef unsigned __int128 wide;

static wide to_wide(const struct vd_ip *ip, unsigned octets)
{
	wide v = 0;

	for (unsigned i = 0; i < octets; i++)
		v = v << 8 | ip->a[i];
	return v;
}

static struct vd_ip to_ip(wide v, uint16_t family, unsigned octets)
{
	struct vd_ip ip = { .family = family };

	for (unsigned i = 0; i < octets; i++)
		ip.a[octets - 1 - i] = (uint8_t)(v >> (8 * i));
	return ip;
}

size_t tun_cover(const struct vd_ip *first, const struct vd_ip *last, struct vd_prefix out[TUN_COVER_MAX])
{
	unsigned octets = first->family == AF_INET ? 4 : 16, bits = octets * 8;
	wide at = to_wide(first, octets), end = to_wide(last, octets);
	size_t n = 0;

	if (first->family != last->family || (first->family != AF_INET && first->family != AF_INET6) || at > end)
		return 0;
	while (n < TUN_COVER_MAX) {
		unsigned free_bits = 0;

		/* host = the octets that vary in a block one bit larger than now */
		while (free_bits < bits) {
			wide host = free_bits == 127 ? ~(wide)0 : ((wide)1 << (free_bits + 1)) - 1;

			if ((at & host) != 0 || (at | host) > end)
				break;
			free_bits++;
		}
		out[n].ip = to_ip(at, first->family, octets);
		out[n++].len = (uint8_t)(bits - free_bits);
		at |= free_bits == 0 ? 0 : free_bits == 128 ? ~(wide)0 : ((wide)1 << free_bits) - 1;
		if (at == end)
			break;
		at++;
	}
	return n;
}
