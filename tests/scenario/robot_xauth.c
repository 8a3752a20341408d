/* The robot's XAuth and mode config, in the shapes of macOS and iOS, and of Android's old racoon. */
#include <check.h>
#include <string.h>

#include "tests/scenario/robot.h"

enum { REQUEST = 1, REPLY, SET, ACK };
enum { TYPE = 16520, USER, PASSWORD, PASSCODE, MESSAGE, STATUS = 16527 };
enum { BANNER = 28672, SAVE_PASSWORD, DEF_DOMAIN, SPLIT_DNS, SPLIT_INCLUDE, LOCAL_LAN = 28678 };

struct attrs {
	uint8_t p[1024];
	size_t len;
};

static void put16(struct attrs *a, unsigned v)
{
	a->p[a->len++] = (uint8_t)(v >> 8);
	a->p[a->len++] = (uint8_t)v;
}

static void begin(struct attrs *a, unsigned kind, unsigned id)
{
	a->len = 0;
	put16(a, kind << 8);
	put16(a, id);
}

static void put(struct attrs *a, unsigned type, const void *p, size_t len)
{
	put16(a, type);
	put16(a, (unsigned)len);
	if (len)
		memcpy(a->p + a->len, p, len);
	a->len += len;
}

/* The value of an attribute, or NULL. */
static const uint8_t *attr(const uint8_t *p, size_t len, unsigned type, size_t *ret_len)
{
	for (size_t at = 4; at + 4 <= len;) {
		unsigned t = (unsigned)p[at] << 8 | p[at + 1];
		size_t n = t & 0x8000 ? 2 : (size_t)p[at + 2] << 8 | p[at + 3], from = at + (t & 0x8000 ? 2 : 4);

		ck_assert_uint_le(from + n, len);
		if ((t & 0x7fff) == type) {
			*ret_len = n;
			return p + from;
		}
		at = from + n;
	}
	return NULL;
}

static void text(const uint8_t *p, size_t len, unsigned type, char *out, size_t size)
{
	size_t n = 0;
	const uint8_t *v = attr(p, len, type, &n);

	if (!v)
		return;
	ck_assert_uint_lt(n, size);
	memcpy(out, v, n);
	out[n] = 0;
}

/* Android counts the terminator in. */
static void put_own(const struct robot *r, struct attrs *a, unsigned type, const char *value)
{
	put(a, type, value, strlen(value) + (r->xauth.kind == ROBOT_ANDROID));
}

static void answer(struct robot *r, uint32_t mid, uint8_t iv[16], const struct attrs *a)
{
	r->xauth.mid = mid;
	client_cfg(&r->ike[0].c, mid, false, iv, a->p, a->len, &r->xauth.reply);
	robot_ike_send(r, &r->xauth.reply);
}

static void reply(struct robot *r, uint32_t mid, uint8_t iv[16], const uint8_t *p, size_t len)
{
	struct attrs a;
	size_t n = 0;

	begin(&a, REPLY, ((unsigned)p[2] << 8 | p[3]) ^ (r->xauth.other_id ? 0x5a5a : 0));
	size_t odd = r->xauth.odd ? r->xauth.odd(r->xauth.asked, a.p + a.len) : 0;
	a.len += odd;
	ck_assert_uint_le(a.len, sizeof(a.p));
	if (!odd)
		put16(&a, 0x8000 | TYPE), put16(&a, 0);
	if (odd) {
		/* that is all */
	} else if (attr(p, len, PASSCODE, &n)) {
		put_own(r, &a, PASSCODE, r->xauth.code);
	} else {
		ck_assert_ptr_nonnull(attr(p, len, USER, &n));
		ck_assert_ptr_nonnull(attr(p, len, PASSWORD, &n));
		put_own(r, &a, USER, r->user);
		put_own(r, &a, PASSWORD, r->password);
	}
	answer(r, mid, iv, &a);
}

static void asked(struct robot *r, uint32_t mid, uint8_t iv[16], const uint8_t *p, size_t len)
{
	struct robot_xauth *x = &r->xauth;
	size_t n = 0;

	const uint8_t *type = attr(p, len, TYPE, &n);
	ck_assert(type && n == 2 && type[0] == 0 && type[1] == 0);
	x->asked++;
	if (!x->id)
		x->id = (unsigned)p[2] << 8 | p[3];
	ck_assert_uint_eq(x->id, (unsigned)p[2] << 8 | p[3]);
	text(p, len, MESSAGE, x->message, sizeof(x->message));
	if (!x->silent) {
		reply(r, mid, iv, p, len);
		return;
	}
	ck_assert_uint_le(len, sizeof(x->question.p));
	x->question.mid = mid;
	memcpy(x->question.iv, iv, 16);
	memcpy(x->question.p, p, len);
	x->question.len = len;
}

void robot_xauth_now(struct robot *r)
{
	ck_assert_uint_gt(r->xauth.question.len, 0);
	reply(r, r->xauth.question.mid, r->xauth.question.iv, r->xauth.question.p, r->xauth.question.len);
}

/* What it wants to know; macOS in this order, Android with the version last and without expiry. */
static void pull(struct robot *r)
{
	static const unsigned apple[] = { 1, 2, 3, 4, 5, 7, BANNER, DEF_DOMAIN, SPLIT_DNS, SPLIT_INCLUDE, LOCAL_LAN, SAVE_PASSWORD };
	static const unsigned android[] = { 1, 2, 3, 4, BANNER, DEF_DOMAIN, SPLIT_DNS, SPLIT_INCLUDE, 7 };
	bool mac = r->xauth.kind == ROBOT_APPLE;
	struct attrs a;

	begin(&a, REQUEST, 0x4711);
	for (size_t i = 0; i < (mac ? VD_ARRAY_SIZE(apple) : VD_ARRAY_SIZE(android)); i++)
		put(&a, mac ? apple[i] : android[i], NULL, 0);
	r->xauth.pull_mid = 0x20000000u + ++r->mids;
	client_cfg(&r->ike[0].c, r->xauth.pull_mid, true, r->xauth.iv, a.p, a.len, &r->xauth.pull);
	r->ike_due = r->clock + 1000;
	robot_ike_send(r, &r->xauth.pull);
}

static void configured(struct robot *r, const uint8_t *p, size_t len)
{
	size_t n = 0;
	const uint8_t *v = attr(p, len, 1, &n);

	ck_assert(v && n == 4);
	if (r->address[0])
		ck_assert_mem_eq(r->address, v, 4); /* it stays */
	memcpy(r->address, v, 4);
	v = attr(p, len, 2, &n);
	ck_assert(v && n == 4);
	v = attr(p, len, 3, &n);
	if (v)
		memcpy(r->dns, v, 4);
	text(p, len, BANNER, r->xauth.banner, sizeof(r->xauth.banner));
	text(p, len, DEF_DOMAIN, r->xauth.domain, sizeof(r->xauth.domain));
	v = attr(p, len, SAVE_PASSWORD, &n);
	r->xauth.save_password = v && n == 2 && v[1] == 1;
	v = attr(p, len, SPLIT_INCLUDE, &n);
	if (v) {
		ck_assert_uint_eq(n % 14, 0);
		ck_assert_uint_le(n, sizeof(r->xauth.split));
		memcpy(r->xauth.split, v, n);
		r->xauth.split_len = n;
	}
	ck_assert_ptr_null(attr(p, len, 5, &n)); /* nothing is known of that */
	if (r->out.live)
		return;
	if (!robot_xauth_next(r)) {
		memset(r->ike[0].c.tunnel, 0, 12); /* everything */
		robot_quick(r);
	}
}

bool robot_xauth_next(struct robot *r)
{
	struct robot_xauth *x = &r->xauth;

	if (!x->wants_split || (size_t)(x->next_split + 1) * 14 > x->split_len)
		return false;
	memcpy(r->ike[0].c.tunnel + 4, x->split + (size_t)14 * x->next_split++, 8);
	robot_quick(r);
	return true;
}

static void set(struct robot *r, uint32_t mid, uint8_t iv[16], const uint8_t *p, size_t len)
{
	struct attrs a;
	size_t n = 0;
	const uint8_t *status = attr(p, len, STATUS, &n);

	begin(&a, ACK, (unsigned)p[2] << 8 | p[3]);
	if (status) {
		ck_assert_uint_eq(n, 2);
		ck_assert_uint_eq(r->xauth.id, (unsigned)p[2] << 8 | p[3]);
		put16(&a, 0x8000 | STATUS), put16(&a, status[1]);
		text(p, len, MESSAGE, r->xauth.message, sizeof(r->xauth.message));
		answer(r, mid, iv, &a);
		r->xauth.passed = status[1] == 1;
		r->xauth.refused = !status[1];
		if (r->xauth.passed && !r->xauth.waits)
			pull(r);
		return;
	}
	put(&a, 1, NULL, 0);
	answer(r, mid, iv, &a);
	r->xauth.pushed++;
	r->xauth.pull.len = 0;
	configured(r, p, len);
}

void robot_xauth_begin(struct robot *r)
{
	r->xauth.passed = r->xauth.refused = false;
	r->xauth.id = 0;
	r->xauth.pull.len = 0;
}

void robot_xauth_input(struct robot *r, const struct msg *in)
{
	uint32_t mid = (uint32_t)in->p[20] << 24 | (uint32_t)in->p[21] << 16 | (uint32_t)in->p[22] << 8 | in->p[23];
	struct msg m = *in;
	uint8_t iv[16];
	size_t len = 0;

	if (mid == r->xauth.mid) {
		robot_ike_send(r, &r->xauth.reply); /* it did not arrive */
		return;
	}
	bool first = mid != r->xauth.pull_mid;
	if (!first && r->xauth.pull.len == 0)
		return;
	memcpy(iv, r->xauth.iv, 16);
	const uint8_t *p = client_cfg_open(&r->ike[0].c, &m, first, iv, &len);
	if (!p)
		return; /* of the IKE SA before */
	ck_assert_uint_ge(len, 4);
	if (!first) {
		ck_assert_uint_eq(p[0], REPLY);
		ck_assert_uint_eq(p[2] << 8 | p[3], 0x4711);
		r->xauth.pull.len = 0;
		configured(r, p, len);
	} else if (p[0] == REQUEST) {
		asked(r, mid, iv, p, len);
	} else {
		ck_assert_uint_eq(p[0], SET);
		set(r, mid, iv, p, len);
	}
}

void robot_xauth_time(struct robot *r)
{
	if (r->xauth.pull.len)
		robot_ike_send(r, &r->xauth.pull);
}
