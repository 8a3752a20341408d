/* A range of addresses as the fewest prefixes that hold it and nothing else. Any thread. */
#ifndef NET_TUN_COVER_H
#define NET_TUN_COVER_H

#include <viaduct/addr.h>

#define TUN_COVER_MAX 254 /* no range of IPv6 needs more: two per bit but the first and the last */

/* Writes the prefixes in order; returns how many, 0 when the range is no range (families differ, first above last). */
size_t tun_cover(const struct vd_ip *first, const struct vd_ip *last, struct vd_prefix out[TUN_COVER_MAX]);

#endif
