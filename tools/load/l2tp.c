/* L2TP of a client (RFC 2661): a LAC with one tunnel and one call in it. What is not acknowledged is said again. */
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { SCCRQ = 1, SCCRP = 2, SCCCN = 3, STOPCCN = 4, HELLO = 6, ICRQ = 10, ICRP = 11, ICCN = 12, CDN = 14 };
enum {
	A_MESSAGE = 0,
	A_RESULT = 1,
	A_VERSION = 2,
	A_FRAMING = 3,
	A_HOST = 7,
	A_VENDOR = 8,
	A_TUNNEL = 9,
	A_WINDOW = 10,
	A_SESSION = 14,
	A_SERIAL = 15,
	A_FRAMING_TYPE = 19,
	A_SPEED = 24
};
#define CONTROL 0xc802u
#define DATA 0x4002u /* with its length, as stock clients send */
#define OURS 1u /* tunnel and session have the same number at everybody's: nothing but the SA tells clients apart */

static void avp(struct vd_wr *w, unsigned attribute, const void *v, size_t len)
{
	vd_wr_u16(w, (uint16_t)(0x8000 | (len + 6)));
	vd_wr_u16(w, 0);
	vd_wr_u16(w, (uint16_t)attribute);
	vd_wr_put(w, v, len);
}

static void avp16(struct vd_wr *w, unsigned attribute, unsigned v)
{
	uint8_t p[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	avp(w, attribute, p, 2);
}

static void header(const struct load_client *c, struct vd_wr *w, unsigned session)
{
	vd_wr_u16(w, CONTROL);
	vd_wr_u16(w, 0); /* length */
	vd_wr_u16(w, c->peer_tid);
	vd_wr_u16(w, (uint16_t)session);
	vd_wr_u16(w, c->ns);
	vd_wr_u16(w, c->nr);
}

static void transmit(struct load_client *c, struct load_kept *k)
{
	struct vd_wr w = { .base = k->p, .len = k->len, .size = k->len };

	vd_wr_patch_u16(&w, 10, c->nr);
	load_esp_send(c, k->p, k->len);
}

static void say(struct load_client *c, unsigned type)
{
	uint8_t room[256];
	struct vd_wr w;
	struct load_kept **at = &c->unacked[c->ns % VD_ARRAY_SIZE(c->unacked)];
	char host[32];

	vd_wr_init(&w, room, sizeof(room));
	header(c, &w, type == ICCN || type == CDN ? c->peer_sid : 0);
	avp16(&w, A_MESSAGE, type);
	switch (type) {
	case SCCRQ:
		snprintf(host, sizeof(host), "load-%u", c->number);
		avp16(&w, A_VERSION, 0x0100);
		avp(&w, A_FRAMING, "\0\0\0\3", 4);
		avp(&w, A_HOST, host, strlen(host));
		if (load_opt.profile->windows)
			avp(&w, A_VENDOR, "Microsoft", 9);
		avp16(&w, A_TUNNEL, OURS);
		avp16(&w, A_WINDOW, 4);
		break;
	case ICRQ:
		avp16(&w, A_SESSION, OURS);
		avp(&w, A_SERIAL, "\0\0\0\1", 4);
		break;
	case ICCN:
		avp(&w, A_SPEED, "\0\x0f\x42\x40", 4);
		avp(&w, A_FRAMING_TYPE, "\0\0\0\1", 4);
		break;
	case CDN:
		avp16(&w, A_RESULT, 3);
		avp16(&w, A_SESSION, OURS);
		break;
	case STOPCCN:
		avp16(&w, A_TUNNEL, OURS);
		avp16(&w, A_RESULT, 1);
		break;
	default: break;
	}
	vd_wr_patch_u16(&w, 2, (uint16_t)w.len);
	struct load_kept *k = *at ? NULL : malloc(sizeof(*k) + w.len);
	if (!k) /* a gateway that acknowledges nothing: what is said now waits for nobody */
		return;
	k->len = w.len;
	memcpy(k->p, room, w.len);
	*at = k;
	c->ns++;
	c->l2tp_tries = 0;
	load_due(c, DUE_L2TP, 1);
	transmit(c, k);
}

void load_l2tp_start(struct load_client *c)
{
	c->tid = OURS;
	say(c, SCCRQ);
}

void load_l2tp_free(struct load_client *c)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(c->unacked); i++) {
		free(c->unacked[i]);
		c->unacked[i] = NULL;
	}
}

bool load_l2tp_quiet(const struct load_client *c) { return c->acked == c->ns; }

void load_l2tp_due(struct load_client *c)
{
	if (load_l2tp_quiet(c))
		return;
	if (c->state == LOAD_UP && ++c->l2tp_tries > 6) {
		load_client_failed(c, "the gateway does not acknowledge L2TP messages");
		return;
	}
	load_due(c, DUE_L2TP, 1 << (c->l2tp_tries < 3 ? c->l2tp_tries : 3));
	for (uint16_t ns = c->acked; ns != c->ns; ns++)
		transmit(c, c->unacked[ns % VD_ARRAY_SIZE(c->unacked)]);
}

void load_l2tp_goodbye(struct load_client *c)
{
	if (c->peer_sid)
		say(c, CDN);
	if (c->peer_tid)
		say(c, STOPCCN);
}

void load_l2tp_data(struct load_client *c, const void *p, size_t len)
{
	uint8_t out[1700];
	struct vd_wr w;

	vd_wr_init(&w, out, sizeof(out));
	vd_wr_u16(&w, DATA);
	vd_wr_u16(&w, (uint16_t)(len + 8));
	vd_wr_u16(&w, c->peer_tid);
	vd_wr_u16(&w, c->peer_sid);
	vd_wr_put(&w, p, len);
	if (vd_wr_ok(&w))
		load_esp_send(c, out, w.len);
}

/* ---- what comes ---- */
struct told {
	unsigned type, tid, sid, result, error;
	char text[64];
};

static void read_avps(struct vd_rd *r, struct told *t)
{
	while (vd_rd_left(r) >= 6) {
		uint16_t flags = vd_rd_u16(r), vendor = vd_rd_u16(r), attribute = vd_rd_u16(r);
		struct vd_rd v;

		if ((flags & 0x3ff) < 6 || !vd_rd_sub(r, (flags & 0x3ffu) - 6, &v))
			return;
		if (vendor != 0)
			continue;
		if (attribute == A_MESSAGE)
			t->type = vd_rd_u16(&v);
		else if (attribute == A_TUNNEL)
			t->tid = vd_rd_u16(&v);
		else if (attribute == A_SESSION)
			t->sid = vd_rd_u16(&v);
		else if (attribute == A_RESULT) {
			size_t n;

			t->result = vd_rd_u16(&v);
			if (vd_rd_left(&v) < 2)
				continue;
			t->error = vd_rd_u16(&v);
			const uint8_t *text = vd_rd_rest(&v, &n);
			snprintf(t->text, sizeof(t->text), "%.*s", (int)n, (const char *)text);
		}
	}
}

static void act(struct load_client *c, const struct told *t)
{
	switch (t->type) {
	case SCCRP:
		c->peer_tid = (uint16_t)t->tid;
		say(c, SCCCN);
		say(c, ICRQ);
		break;
	case ICRP:
		c->peer_sid = (uint16_t)t->sid;
		say(c, ICCN);
		load_client_phase(c, LOAD_LCP);
		load_ppp_start(c);
		break;
	case CDN:
	case STOPCCN:
		if (c->state == LOAD_ENDING)
			break;
		c->peer_sid = 0; /* no goodbye for what the gateway has ended */
		c->peer_tid = t->type == CDN ? c->peer_tid : 0;
		load_client_failed(c, "%s of the gateway: result %u, error %u%s%s",
			t->type == CDN ? "CDN" : "StopCCN", t->result, t->error, *t->text ? ": " : "", t->text);
		break;
	default: /* Hello, and what sets parameters of modems */ break;
	}
}

static void control(struct load_client *c, const uint8_t *p, size_t len)
{
	struct told t = { 0 };
	struct vd_rd r;
	uint16_t before = c->ns;

	vd_rd_init(&r, p, len);
	vd_rd_u32(&r); /* flags, length */
	uint16_t tid = vd_rd_u16(&r);
	vd_rd_u16(&r);
	uint16_t ns = vd_rd_u16(&r), nr = vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || tid != c->tid)
		return;
	if ((uint16_t)(nr - c->acked) <= (uint16_t)(c->ns - c->acked)) {
		for (; c->acked != nr; c->acked++) {
			struct load_kept **k = &c->unacked[c->acked % VD_ARRAY_SIZE(c->unacked)];

			free(*k);
			*k = NULL;
			c->l2tp_tries = 0;
			load_due(c, DUE_L2TP, 1);
		}
	}
	if (vd_rd_left(&r) == 0)
		return; /* an acknowledgement alone */
	if (ns == c->nr) {
		c->nr++;
		read_avps(&r, &t);
		act(c, &t);
		if (c->state == LOAD_OVER || c->ns != before)
			return; /* acknowledged with what we said */
	}
	uint8_t ack[12];
	struct vd_wr w;

	vd_wr_init(&w, ack, sizeof(ack));
	header(c, &w, 0);
	vd_wr_patch_u16(&w, 2, (uint16_t)w.len);
	load_esp_send(c, ack, w.len);
}

void load_l2tp_input(struct load_client *c, const uint8_t *p, size_t len)
{
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	uint16_t flags = vd_rd_u16(&r);
	if ((flags & 0xf) != 2)
		return;
	if (flags & 0x8000) {
		control(c, p, len);
		return;
	}
	if (flags & 0x4000)
		vd_rd_u16(&r);
	uint16_t tid = vd_rd_u16(&r), sid = vd_rd_u16(&r);
	if (flags & 0x0800)
		vd_rd_u32(&r); /* Ns, Nr */
	if (flags & 0x0200)
		vd_rd_take(&r, vd_rd_u16(&r));
	size_t n;
	const uint8_t *ppp = vd_rd_rest(&r, &n);
	if (vd_rd_ok(&r) && tid == OURS && sid == OURS && c->peer_sid)
		load_ppp_input(c, ppp, n);
}
