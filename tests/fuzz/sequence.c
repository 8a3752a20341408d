#include "tests/fuzz/sequence.h"

#include <check.h>
#include <string.h>
#include <viaduct/connect.h>
#include <viaduct/plugin.h>

static struct msg plain; /* of the message that was built last; length 0: it was not encrypted */

static void keep_plain(const struct msg *m)
{
	plain = *m;
}

/* Remembered, and sent unless an octet is left over behind the changes. */
static void send(struct party *p, const struct msg *m, const uint8_t *changes, size_t len)
{
	struct said *said = &p->said[p->n_said++ % SAID];
	struct msg changed = *m;

	said->wire = *m;
	said->plain = plain;
	plain.len = 0;
	if (len % 3 == 1)
		return;
	for (; len >= 3; changes += 3, len -= 3)
		changed.p[((size_t)changes[0] << 8 | changes[1]) % changed.len] ^= changes[2];
	p->since = world.n_sent;
	world_input(&p->c, &changed);
}

/* The last message of this exchange for its IKE SA that the gateway has said since its own last one; NULL: none. */
static struct msg *answer(struct party *p, uint8_t exchange)
{
	for (unsigned i = world.n_sent; i > p->since && i + WORLD_SENT > world.n_sent; i--) {
		struct msg *m = &world.sent[(i - 1) % WORLD_SENT];

		if (m->len >= 28 && m->p[18] == exchange && memcmp(m->p, p->c.ic, 8) == 0)
			return m;
	}
	return NULL;
}

void party_init(struct party *p, unsigned number)
{
	memset(p, 0, sizeof(*p));
	p->number = number;
	p->mid = 0x100 * (number + 1);
	client_plain = keep_plain;
	party_begin(p, WAY_MAIN);
}

void party_begin(struct party *p, enum way way)
{
	static const char *const keys[] = { "correct horse battery", "tills and routers" };
	bool dialled = p->number == PARTIES - 1 && !world_tunnels;

	client_free(&p->c);
	/* A client of XAuth has another connection, thus another key, in aggressive mode. */
	client_init(&p->c, keys[dialled || (world_tunnels && way == WAY_AGGRESSIVE)], 7, 128, 2, 2);
	p->way = dialled ? WAY_DIALLED : way == WAY_DIALLED ? WAY_MAIN : way;
	p->step = 0;
	p->since = world.n_sent;
	p->c.dpd = true;
	p->c.auth = world_tunnels ? 65001 : 0;
	if (dialled) {
		memcpy(p->c.id, "\x01\x00\x00\x00\xc6\x33\x64\x07", 8);
	} else {
		p->c.path.remote.ip.a[3] = (uint8_t)(8 + p->number % 2);
		p->c.path.remote.port = (uint16_t)(500 + p->number);
	}
	if (p->way == WAY_AGGRESSIVE) {
		p->c.id_len = 9;
		memcpy(p->c.id, "\x0b\0\0\0sales", 9);
	}
}

/* ---- a gateway that is dialled ---- */
static void on_up(void *arg, uint64_t peer, uint64_t chan)
{
	(void)arg, (void)peer, (void)chan;
}

static void on_ended(void *arg, uint64_t peer, const char *why)
{
	struct party *p = arg;

	(void)why;
	if (p->dialled == peer)
		p->dialled = 0;
}

static bool dial(struct party *p)
{
	static const struct vd_ike_connect_events events = { .up = on_up, .ended = on_ended };
	const struct vd_ike_connect_1 *connect = vd_service_find("ike.connect/1", NULL);
	struct vd_ike_connect what = { .connection = "office", .upper = "l2tp", .path = p->c.path };
	struct vd_error err = { 0 };

	party_hang_up(p);
	p->since = world.n_sent;
	if (connect->up(connect->self, &what, &events, p, &p->dialled, &err) != 0)
		p->dialled = 0;
	if (!world.hold_drain)
		fake_drain();
	return false; /* it is not ours to say something */
}

void party_hang_up(struct party *p)
{
	const struct vd_ike_connect_1 *connect = vd_service_find("ike.connect/1", NULL);

	if (p->dialled != 0)
		connect->down(connect->self, p->dialled, "the party hangs up");
	p->dialled = 0;
	if (!world.hold_drain)
		fake_drain();
}

static bool gateway_step(struct party *p, struct msg *m)
{
	struct msg *in = NULL;
	uint8_t exchange = p->step < 4 ? 2 : 32;

	if (p->step == 0)
		return dial(p);
	for (unsigned i = world.n_sent; i > p->since && i + WORLD_SENT > world.n_sent && !in; i--) {
		struct msg *said = &world.sent[(i - 1) % WORLD_SENT];

		if (said->len >= 28 && said->p[18] == exchange && (p->step == 1 || memcmp(said->p, p->c.ic, 8) == 0))
			in = said;
	}
	if (!in)
		return false;
	if (p->step == 1) {
		memcpy(p->c.ic, in->p, 8);
		return gateway_mm2(&p->c, in, m);
	}
	if (p->step == 2)
		return gateway_mm4(&p->c, in, m);
	if (p->step == 3)
		return gateway_mm6(&p->c, in, m);
	return gateway_qm2(&p->c, in, 2, 36, m);
}

/* ---- clients ---- */
static const uint8_t login[] = { 2, 0, 0, 1, 0xc0, 0x88, 0, 0, 0x40, 0x89, 0, 4, 'U', 's', 'e', 'r', 0x40, 0x8a, 0, 10, 'c', 'l', 'i',
	'e', 'n', 't', 'P', 'a', 's', 's' };
static const uint8_t status_ack[] = { 4, 0, 0, 2, 0xc0, 0x8f, 0, 1 };
static const uint8_t pull[] = { 1, 0, 0x47, 0x11, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0 };

/* The gateway's question of a transaction exchange. */
static bool asked(struct party *p)
{
	uint8_t iv[16];
	size_t n;
	struct msg m, *in = answer(p, 6);

	if (!in)
		return false;
	m = *in;
	if (m.len < 60 || !client_cfg_open(&p->c, &m, true, iv, &n))
		return false;
	memcpy(&p->asked, in->p + 20, 4);
	memcpy(p->asked_iv, iv, sizeof(iv));
	return true;
}

static bool answer_asked(struct party *p, const uint8_t *body, size_t len, struct msg *m)
{
	uint8_t iv[16];
	uint8_t b[4];

	if (!asked(p))
		return false;
	memcpy(iv, p->asked_iv, sizeof(iv));
	memcpy(b, &p->asked, 4);
	client_cfg(&p->c, (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3], false, iv, body, len, m);
	return true;
}

static bool pulls(struct party *p, struct msg *m)
{
	uint8_t iv[16];

	client_cfg(&p->c, ++p->mid, true, iv, pull, sizeof(pull), m);
	memcpy(p->c.tunnel, "\x0a\x08\0\x17", 4);
	return true;
}

enum { STEP_UP = 4, STEP_QUICK_3 = 8, STEP_INFO };

/* Behind phase 1: with XAuth its login first; then quick mode, a question whether the gateway lives, quick mode and so on. */
static bool later_step(struct party *p, struct msg *m)
{
	if (!world_tunnels && p->step < STEP_QUICK_3 - 1)
		p->step = STEP_QUICK_3 - 1;
	switch (p->step) {
	case STEP_UP:
		return answer_asked(p, login, sizeof(login), m);
	case STEP_UP + 1:
		return answer_asked(p, status_ack, sizeof(status_ack), m);
	case STEP_UP + 2:
		return pulls(p, m);
	case STEP_UP + 3:
		client_qm1(&p->c, ++p->mid, world_tunnels ? 1 : 2, 12, 128, 2, 0, world_tunnels ? 0 : 1701, m);
		return true;
	case STEP_QUICK_3: {
		struct msg *in = answer(p, 32);

		if (!in || !client_qm2(&p->c, in, 36))
			return false;
		client_qm3(&p->c, m);
		return true;
	}
	default:
		party_info(p, 0);
		p->step = STEP_UP + 3;
		return false;
	}
}

static bool main_step(struct party *p, struct msg *m)
{
	struct msg *in = answer(p, 2);

	switch (p->step) {
	case 0:
		client_mm1(&p->c, m);
		return true;
	case 1:
		if (!in || !client_mm2(&p->c, in))
			return false;
		client_mm3(&p->c, m);
		return true;
	case 2:
		if (!in || !client_mm4(&p->c, in))
			return false;
		client_mm5(&p->c, m);
		return true;
	default:
		if (!in || !client_mm6(&p->c, in))
			return false;
		p->step = STEP_UP;
		return later_step(p, m);
	}
}

static bool aggressive_step(struct party *p, struct msg *m)
{
	struct msg *in = answer(p, 4);

	switch (p->step) {
	case 0:
		client_am1(&p->c, m);
		return true;
	case 1:
		if (!in || !client_am2(&p->c, in))
			return false;
		client_am3(&p->c, true, m);
		return true;
	default:
		p->step = STEP_UP;
		return later_step(p, m);
	}
}

void party_next(struct party *p, const uint8_t *changes, size_t len)
{
	unsigned was = p->step;
	struct msg m = { .len = 0 };
	bool says;

	plain.len = 0;
	if (p->way == WAY_DIALLED)
		says = gateway_step(p, &m);
	else if (p->step >= STEP_UP)
		says = later_step(p, &m);
	else
		says = p->way == WAY_MAIN ? main_step(p, &m) : aggressive_step(p, &m);
	if (says && m.len >= 28) {
		send(p, &m, changes, len);
		p->step++;
		return;
	}
	if (p->way == WAY_DIALLED && p->step == 0)
		p->step++;
	else if (p->step == was && p->n_said > 0) /* the answer did not come: once more */
		world_input(&p->c, &p->said[(p->n_said - 1) % SAID].wire);
}

void party_info(struct party *p, unsigned kind)
{
	uint8_t body[28] = { 0, 0, 0, 1, 1, 16, 36136 >> 8, 36136 & 255 };
	uint8_t spi[12] = { 0, 0, 0, 1, 3, 4, 0, 1, (uint8_t)(p->c.spi_i >> 24), (uint8_t)(p->c.spi_i >> 16), (uint8_t)(p->c.spi_i >> 8), (uint8_t)p->c.spi_i };
	uint8_t cookies[24] = { 0, 0, 0, 1, 1, 16, 0, 1 };
	struct msg m;

	if (p->c.gxy_len == 0)
		return;
	plain.len = 0;
	memcpy(body + 8, p->c.ic, 8);
	memcpy(body + 16, p->c.rc, 8);
	memcpy(cookies + 8, body + 8, 16);
	body[27] = (uint8_t)p->mid;
	switch (kind % INFOS) {
	case 0:
		client_info(&p->c, ++p->mid, 11, body, sizeof(body), &m);
		break;
	case 1:
		body[7]++;
		client_info(&p->c, ++p->mid, 11, body, sizeof(body), &m);
		break;
	case 2:
		client_info(&p->c, ++p->mid, 12, cookies, sizeof(cookies), &m);
		break;
	case 3:
		client_info(&p->c, ++p->mid, 12, spi, sizeof(spi), &m);
		break;
	default:
		body[6] = 0x60, body[7] = 2;
		client_info(&p->c, ++p->mid, 11, body, 24, &m);
	}
	send(p, &m, NULL, 0);
}
