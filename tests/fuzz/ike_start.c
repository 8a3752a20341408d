/* What IKE targets behind decryption share: IKE SAs that are there from the start, and messages on them. */
#include <check.h>
#include <string.h>
#include <viaduct/state.h>

#include "core/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ike.h"

void fuzz_ike_keep(struct fuzz_ike *start)
{
	struct vd_error err = { 0 };
	struct vd_wr w;

	vd_wr_init(&w, start->state, sizeof(start->state));
	ck_assert_msg(vd_state_export(&w, &err) == 0, "%s", err.text);
	start->len = w.len;
	world_stop();
}

void fuzz_ike_again(const struct fuzz_ike *start)
{
	struct vd_error err = { 0 };
	struct vd_rd r;

	fuzz_begin();
	world_start(start->yaml);
	vd_rd_init(&r, start->state, start->len);
	ck_assert_msg(vd_state_import(&r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	fake_drain();
}

void fuzz_ike_main(struct client *c, const char *psk, unsigned auth, unsigned port, bool whole)
{
	struct msg m;
	unsigned n = world.n_sent;

	client_init(c, psk, 7, 128, 2, 2);
	c->auth = auth;
	c->path.remote.port = (uint16_t)port;
	client_mm1(c, &m);
	world_input(c, &m);
	ck_assert(client_mm2(c, world_reply(n)));
	client_mm3(c, &m);
	world_input(c, &m);
	ck_assert(client_mm4(c, world_reply(n + 1)));
	if (!whole)
		return;
	client_mm5(c, &m);
	world_input(c, &m);
	ck_assert(client_mm6(c, &world.sent[(n + 2) % WORLD_SENT]));
}

unsigned fuzz_ike_parts = 1;

void fuzz_ike_input(const struct client *c, const struct msg *m)
{
	struct msg part;

	for (unsigned i = 1; fuzz_ike_parts > 1 && i <= fuzz_ike_parts; i++) {
		client_fragment(m, 1, i, fuzz_ike_parts, &part);
		world_input(c, &part);
	}
	if (fuzz_ike_parts <= 1)
		world_input(c, m);
}

void fuzz_ike_sealed(struct client *c, uint8_t exchange, uint32_t mid, bool hashed, bool cut, uint8_t next, uint8_t *body,
	size_t len)
{
	unsigned sent = world.n_sent;
	struct msg m;
	size_t n;
	const uint8_t *nonce = exchange == 32 ? fuzz_payload(next, body, len, 10, &n) : NULL;

	if (nonce && n == sizeof(c->qni))
		memcpy(c->qni, nonce, n);
	client_sealed_with(c, exchange, mid, hashed, next, body, len, &m);
	m.len -= cut ? 3 : 0;
	fuzz_ike_input(c, &m);
	if (exchange == 32 && world_reply(sent))
		client_qm2(c, world_reply(sent), 36);
}
