/* Random inner packets of random flows, good and bad, and a segmentation of super-packets that shares no code with the
 * product's. */
#ifndef TESTS_PLUGIN_PATH_GEN_H
#define TESTS_PLUGIN_PATH_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GEN_ROOM 1400u   /* octets of one packet at most */
#define GEN_BIG 66000u
#define GEN_FLOWS 6u

uint32_t gen_random(uint64_t *state);
/* true in one of n cases */
bool gen_one_in(uint64_t *state, uint32_t n);
uint16_t gen_sum(uint32_t sum, const uint8_t *p, size_t len); /* RFC 1071, folded, not inverted */

struct gen_flow {
	bool v6, udp, df, stamps;
	uint8_t local[16], remote[16]; /* the client's address, the other's */
	uint16_t sport, dport, id, window, size;
	uint32_t seq, ack;
	uint8_t tos, ttl;
};
void gen_flow(uint64_t *state, struct gen_flow *f, const uint8_t *v4, const uint8_t *v6);
/* The next packet of a flow, mostly in sequence, now and then something else. up: from the client. Returns its length. */
size_t gen_packet(uint64_t *state, struct gen_flow *f, bool up, uint8_t *p);
/* Puts in the sums of the IP header and of the TCP or UDP header at l4, which must be whole. partial: there, only that of
 * the pseudo header. */
void gen_seal(uint8_t *p, size_t len, size_t l4, bool partial);
/* A super-packet toward the client and its virtio header, NEEDS_CSUM. */
size_t gen_super(uint64_t *state, struct gen_flow *f, uint8_t *p, uint8_t vnet[10]);

/* Cuts what has a virtio header into packets with complete checksums, mtu: TCP is cut finer when needed (0: not). */
void gen_cut(const uint8_t *p, size_t len, const uint8_t *vnet, size_t mtu,
	void (*fn)(void *arg, const uint8_t *p, size_t len), void *arg);

#endif
