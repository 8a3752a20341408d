/* Viaduct: the internet checksum (RFC 1071), eight octets at a time: most of what a packet costs besides cryptography. */
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

static uint64_t load(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* Sums in the order of the machine; the result's octets are swapped once at the end (RFC 1071 section 2, B). */
uint32_t vd_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	uint64_t low = 0, high = 0;
	for (; len >= 32; p += 32, len -= 32) {
		uint64_t a = load(p), b = load(p + 8), c = load(p + 16), d = load(p + 24);
		low += (a & 0xffffffffu) + (b & 0xffffffffu) + (c & 0xffffffffu) + (d & 0xffffffffu);
		high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t a = load(p);
		low += a & 0xffffffffu;
		high += a >> 32;
	}
	if (len) {
		uint8_t rest[8] = { 0 };
		memcpy(rest, p, len);
		low += load(rest) & 0xffffffffu;
		high += load(rest) >> 32;
	}
	uint64_t all = (low & 0xffffffffu) + (low >> 32) + (high & 0xffffffffu) + (high >> 32);
	all = (all & 0xffff) + (all >> 16 & 0xffff) + (all >> 32);
	all = (all & 0xffff) + (all >> 16);
	all = (all & 0xffff) + (all >> 16);
	uint16_t part = (uint16_t)all;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	part = (uint16_t)(part << 8 | part >> 8);
#endif
	return (sum & 0xffff) + (sum >> 16) + part;
}

uint16_t vd_sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t vd_sum_pseudo(const struct vd_ip *src, const struct vd_ip *dst, uint8_t protocol, uint32_t len)
{
	size_t n = src->family == AF_INET ? 4 : 16;
	return vd_sum(vd_sum(protocol + (len >> 16) + (len & 0xffff), src->a, n), dst->a, n);
}
