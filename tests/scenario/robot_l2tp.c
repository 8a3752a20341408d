/* An L2TP LAC (RFC 2661): one tunnel, one call; each message is repeated every second until it is acknowledged. */
#include <check.h>
#include <string.h>

#include "tests/scenario/robot.h"

enum { SCCRQ = 1, SCCRP = 2, SCCCN = 3, STOPCCN = 4, HELLO = 6, ICRQ = 10, ICRP = 11, ICCN = 12, CDN = 14 };

static size_t put16(uint8_t *p, size_t n, unsigned v)
{
	p[n] = (uint8_t)(v >> 8);
	p[n + 1] = (uint8_t)v;
	return n + 2;
}

static size_t avp16(uint8_t *p, size_t n, unsigned attribute, unsigned v)
{
	n = put16(p, n, 0x8008);
	n = put16(p, n, 0);
	n = put16(p, n, attribute);
	return put16(p, n, v);
}

static size_t avp(uint8_t *p, size_t n, unsigned attribute, const void *v, size_t len)
{
	n = put16(p, n, 0x8000 | (unsigned)(len + 6));
	n = put16(p, n, 0);
	n = put16(p, n, attribute);
	memcpy(p + n, v, len);
	return n + len;
}

static size_t header(struct robot *r, uint8_t *p, unsigned session)
{
	size_t n = put16(p, 0, 0xc802);

	n = put16(p, n, 0);
	n = put16(p, n, r->peer_tid);
	n = put16(p, n, session);
	n = put16(p, n, r->ns);
	return put16(p, n, r->nr);
}

static void transmit(struct robot *r, struct robot_packet *m)
{
	put16(m->p, 10, r->nr);
	robot_esp_send(r, m->p, m->len);
}

static void say(struct robot *r, unsigned type)
{
	struct robot_packet *m = &r->sent[r->ns % 8];
	size_t n = header(r, m->p, type == ICCN || type == CDN ? r->peer_sid : 0);

	n = avp16(m->p, n, 0, type);
	if (r->stock)
		n = stock_avps(r, type, m->p, n);
	switch (r->stock ? 0 : type) {
	case SCCRQ:
		n = avp16(m->p, n, 2, 0x0100);
		n = avp(m->p, n, 3, "\0\0\0\3", 4);
		n = avp(m->p, n, 7, "robot", 5);
		n = avp16(m->p, n, 9, r->tid);
		n = avp16(m->p, n, 10, 4);
		break;
	case ICRQ:
		n = avp16(m->p, n, 14, r->sid);
		n = avp(m->p, n, 15, "\0\0\0\1", 4);
		break;
	case ICCN:
		n = avp(m->p, n, 24, "\0\x98\x96\x80", 4);
		n = avp(m->p, n, 19, "\0\0\0\1", 4);
		break;
	case CDN:
		n = avp16(m->p, n, 1, 3);
		n = avp16(m->p, n, 14, r->sid);
		break;
	case STOPCCN:
		n = avp16(m->p, n, 9, r->tid);
		n = avp16(m->p, n, 1, 1);
		break;
	default:
		break;
	}
	if (type == ICCN && r->numbers)
		n = avp(m->p, n, 39, "", 0); /* Sequencing Required */
	put16(m->p, 2, (unsigned)n);
	m->len = n;
	r->ns++;
	if ((uint16_t)(r->ns - r->acked) == 1)
		r->l2tp_due = r->clock + 1000;
	transmit(r, m);
}

void robot_l2tp_start(struct robot *r)
{
	if (r->ns == 0 && !r->raw)
		say(r, SCCRQ);
}

/* Goes on when its SCCCN and its ICCN are acknowledged. */
static void went_out(struct robot *r)
{
	if (!r->stock || !r->stock->waits || r->acked != r->ns)
		return;
	if (r->peer_tid && !r->asked) {
		r->asked = true;
		say(r, ICRQ);
	} else if (r->peer_sid && !r->lcp.begun) {
		robot_ppp_start(r);
	}
}

void robot_l2tp_time(struct robot *r)
{
	if (r->acked == r->ns || r->clock < r->l2tp_due)
		return;
	r->l2tp_due = r->clock + 1000;
	for (uint16_t ns = r->acked; ns != r->ns; ns++)
		transmit(r, &r->sent[ns % 8]);
}

void robot_cdn(struct robot *r)
{
	say(r, CDN);
}

void robot_stopccn(struct robot *r)
{
	say(r, STOPCCN);
}

void robot_l2tp_data(struct robot *r, const uint8_t *p, size_t len)
{
	uint8_t out[1600];
	bool length = r->stock && r->stock->data_length;
	size_t n = put16(out, 0, (length ? 0x4002u : 0x0002u) | (r->numbers ? 0x0800u : 0));

	if (length)
		n = put16(out, n, (unsigned)len + (r->numbers ? 12 : 8));
	n = put16(out, n, r->peer_tid);
	n = put16(out, n, r->peer_sid);
	if (r->numbers) {
		n = put16(out, n, r->data_ns++);
		n = put16(out, n, 0);
	}
	memcpy(out + n, p, len);
	robot_esp_send(r, out, n + len);
}

static unsigned get16(const uint8_t *p, size_t at)
{
	return (unsigned)p[at] << 8 | p[at + 1];
}

static void control(struct robot *r, const uint8_t *p, size_t len)
{
	unsigned ns, nr, type = 0, tid = 0, sid = 0;

	ck_assert_uint_ge(len, 12);
	ck_assert_uint_eq(get16(p, 0), 0xc802);
	ck_assert_uint_eq(get16(p, 2), len);
	ck_assert_uint_eq(get16(p, 4), r->tid);
	ns = get16(p, 8);
	nr = get16(p, 10);
	if ((uint16_t)(nr - r->acked) <= (uint16_t)(r->ns - r->acked) && nr != r->acked) {
		r->acked = (uint16_t)nr;
		r->l2tp_due = r->clock + 1000;
	}
	if (r->stock && len > 12)
		stock_strict(r, p, len);
	if (len == 12) {
		went_out(r);
		return;
	}
	if (ns == r->nr) {
		r->nr++;
		for (size_t at = 12; at + 8 <= len;) {
			size_t n = get16(p, at) & 0x3ff;

			ck_assert_uint_ge(n, 6);
			ck_assert_uint_le(at + n, len);
			if (get16(p, at + 4) == 0)
				type = get16(p, at + 6);
			else if (get16(p, at + 4) == 9)
				tid = get16(p, at + 6);
			else if (get16(p, at + 4) == 14)
				sid = get16(p, at + 6);
			at += n;
		}
		switch (type) {
		case SCCRP:
			r->peer_tid = (uint16_t)tid;
			say(r, SCCCN);
			if (!r->stock || !r->stock->waits)
				say(r, ICRQ);
			return;
		case ICRP:
			ck_assert_uint_eq(get16(p, 6), r->sid);
			r->peer_sid = (uint16_t)sid;
			say(r, ICCN);
			if (!r->stock || !r->stock->waits)
				robot_ppp_start(r);
			return;
		case CDN:
			r->cdn = true;
			break;
		case STOPCCN:
			r->stopccn = true;
			break;
		case HELLO:
			r->hellos++;
			break;
		default:
			ck_abort_msg("the gateway sent L2TP message %u", type);
		}
	}
	/* Nothing to say: an acknowledgement of its own. */
	uint8_t ack[12];
	size_t n = header(r, ack, 0);

	put16(ack, 2, (unsigned)n);
	robot_esp_send(r, ack, n);
}

void robot_l2tp_input(struct robot *r, const uint8_t *p, size_t len)
{
	size_t at = 2;

	ck_assert_uint_ge(len, 6);
	if (r->raw) {
		r->raw(r, p, len);
		return;
	}
	if (p[0] & 0x80) {
		control(r, p, len);
		return;
	}
	if (p[0] & 0x40) {
		ck_assert_uint_eq(get16(p, 2), len);
		at = 4;
	}
	ck_assert_uint_eq(p[0] & 0x0a, r->numbers ? 0x08 : 0); /* an offset never */
	ck_assert_uint_eq(get16(p, at), r->tid);
	ck_assert_uint_eq(get16(p, at + 2), r->sid);
	at += 4;
	if (r->numbers) {
		ck_assert_uint_ge(len, at + 4);
		ck_assert_uint_eq(get16(p, at), r->data_nr);
		ck_assert_uint_eq(get16(p, at + 2), 0);
		r->data_nr++;
		at += 4;
	}
	robot_ppp_input(r, p + at, len - at);
}
