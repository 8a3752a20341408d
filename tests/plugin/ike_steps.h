/* Steps of a conversation that the tests of ike_v1 share: the initiator asks, the gateway answers as it should. */
#ifndef TESTS_PLUGIN_IKE_STEPS_H
#define TESTS_PLUGIN_IKE_STEPS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/bytes.h>
#include <viaduct/loop.h>
#include <viaduct/log.h>
#include <viaduct/object.h>
#include <viaduct/topics.h>

#include "core/object/object.h"
#include "core/plugin.h"
#include "ike_world.h"
#include "plugins/ike/v1/v1.h"
#include "tests/lib/fake.h"

#define PSK_A "correct horse battery"
#define PSK_B "tills and routers"

static bool reimport; /* after every step of a conversation */

static inline void step(void)
{
	if (reimport)
		world_reimport();
}

/* Sends and returns the answer, which must come. */
static inline struct msg *ask(struct client *c, struct msg *m)
{
	unsigned n = world.n_sent;

	world_input(c, m);
	struct msg *r = world_reply(n);
	ck_assert_ptr_nonnull(r);
	return r;
}

static inline void silent(struct client *c, struct msg *m)
{
	unsigned n = world.n_sent;

	world_input(c, m);
	ck_assert_uint_eq(world.n_sent, n);
}

static inline void floated(struct client *c)
{
	c->path.local.port = c->path.remote.port = 4500;
	c->path.natt = true;
}

static inline void phase1(struct client *c, bool natt)
{
	struct msg m;

	client_mm1(c, &m);
	ck_assert(client_mm2(c, ask(c, &m)));
	step();
	client_mm3(c, &m);
	ck_assert(client_mm4(c, ask(c, &m)));
	step();
	if (natt)
		floated(c);
	client_mm5(c, &m);
	ck_assert(client_mm6(c, ask(c, &m)));
	step();
}

static inline void quick(struct client *c, uint32_t mid, unsigned group)
{
	struct msg m;
	unsigned encap = c->path.natt ? 4 : 2;

	client_qm1(c, mid, encap, 12, 256, 2, group, 1701, &m);
	ck_assert(client_qm2(c, ask(c, &m), 52));
	struct world_sa *in = world_sa_find(true, c->spi_r);
	ck_assert_ptr_nonnull(in); /* installed before message 2 came out */
	ck_assert_uint_eq(in->len, 52);
	ck_assert_int_eq(memcmp(in->keymat, c->keymat_in, 52), 0);
	step();
	ck_assert_ptr_null(world_sa_find(false, c->spi_i));
	client_qm3(c, &m);
	silent(c, &m);
	struct world_sa *out = world_sa_find(false, c->spi_i);
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(memcmp(out->keymat, c->keymat_out, 52), 0);
	step();
}

static inline void delete_esp(struct client *c, uint32_t mid)
{
	uint8_t body[12] = { 0, 0, 0, 1, 3, 4, 0, 1, (uint8_t)(c->spi_i >> 24), (uint8_t)(c->spi_i >> 16),
		(uint8_t)(c->spi_i >> 8), (uint8_t)c->spi_i };
	struct msg m;

	client_info(c, mid, 12, body, sizeof(body), &m);
	silent(c, &m);
}

static inline void delete_ike(struct client *c, uint32_t mid)
{
	uint8_t body[24] = { 0, 0, 0, 1, 1, 16, 0, 1 };
	struct msg m;

	memcpy(body + 8, c->ic, 8);
	memcpy(body + 16, c->rc, 8);
	client_info(c, mid, 12, body, sizeof(body), &m);
	silent(c, &m);
}

static inline void setup(void)
{
	reimport = false;
	world_start(WORLD_YAML);
}

static inline void teardown(void)
{
	world_stop();
}

#endif
