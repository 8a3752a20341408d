/* How a scripted peer writes an ISAKMP message. */
#ifndef TESTS_IKE_MSG_H
#define TESTS_IKE_MSG_H

#include "tests/lib/ike_client.h"

#include <string.h>

static inline void put(struct msg *m, const void *p, size_t n)
{
	memcpy(m->p + m->len, p, n);
	m->len += n;
}

static inline void put8(struct msg *m, unsigned v)
{
	m->p[m->len++] = (uint8_t)v;
}

static inline void put16(struct msg *m, unsigned v)
{
	put8(m, v >> 8);
	put8(m, v);
}

static inline void put32(struct msg *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static inline void payload(struct msg *m, uint8_t next, const void *p, size_t n)
{
	put8(m, next);
	put8(m, 0);
	put16(m, (unsigned)n + 4);
	put(m, p, n);
}

static inline void header(const struct client *c, struct msg *m, uint8_t next, uint8_t exchange, uint8_t flags, uint32_t mid)
{
	m->len = 0;
	put(m, c->ic, 8);
	put(m, c->rc, 8);
	put8(m, next);
	put8(m, 0x10);
	put8(m, exchange);
	put8(m, flags);
	put32(m, mid);
	put32(m, 0);
}

static inline void finish(struct msg *m)
{
	m->p[24] = 0;
	m->p[25] = 0;
	m->p[26] = (uint8_t)(m->len >> 8);
	m->p[27] = (uint8_t)m->len;
}

#endif
