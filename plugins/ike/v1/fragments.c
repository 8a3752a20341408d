/* Messages that come in several parts: payload type 132, as of Windows, Cisco, racoon and strongSwan ([MS-IKEE] sections
 * 2.2.3.1 and 3.3.6). Each part is a message in the clear with a part of the whole one, header and all, in its only payload.
 * Who sends one must know our cookie, or the one that we began with. One whole message is gathered at a time for each IKE SA
 * or embryo; when all of it is there it goes on as if it had come whole.
 *
 * strongSwan and racoon number every message 1 and say message id 0, and strongSwan main mode, whatever is inside: by its
 * header alone a part that the network delivers twice or late looks like one of the next message. So a whole message stays for
 * a while to compare parts with: one that differs begins another message, and a message is repeated when all of its parts came
 * again. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ike_v1_fragments {
	struct ike_v1 *v;
	struct ike_v1_fragments **at;           /* where its IKE SA or embryo has it */
	struct ike_v1_fragments *newer, *older; /* of all */
	uint16_t id;
	uint8_t exchange;
	uint32_t mid;
	bool whole;          /* it was, at least once */
	unsigned last, came; /* number of the last part, 0: not known; parts that came since it was whole, 1 << (number - 1) */
	size_t len;
	struct ike_v1_buf parts[IKE_V1_FRAGMENTS_MAX];
	struct vd_timer timer;
};

void ike_v1_fragments_free(struct ike_v1_fragments *f)
{
	if (f == NULL)
		return;
	*(f->newer != NULL ? &f->newer->older : &f->v->fragments) = f->older;
	*(f->older != NULL ? &f->older->newer : &f->v->fragments_oldest) = f->newer;
	f->v->n_fragments--;
	vd_timer_stop(&f->timer);
	for (unsigned i = 0; i < IKE_V1_FRAGMENTS_MAX; i++)
		ike_v1_buf_free(&f->parts[i]);
	*f->at = NULL;
	free(f);
}

void ike_v1_fragments_move(struct ike_v1_fragments **from, struct ike_v1_fragments **to)
{
	*to = *from;
	*from = NULL;
	if (*to != NULL)
		(*to)->at = to;
}

/* Gives it up, and counts that unless all that it has is of a message that was whole. */
static void give_up(struct ike_v1_fragments *f, const char *counter)
{
	if (!f->whole)
		vd_count(counter, 1);
	ike_v1_fragments_free(f);
}

static void timer_fired(struct vd_timer *t)
{
	give_up(VD_CONTAINER_OF(t, struct ike_v1_fragments, timer), "ike_v1.drop.fragment_timeout");
}

static struct ike_v1_fragments *begin(struct ike_v1 *v, struct ike_v1_fragments **at, const struct ike_header *h,
	const struct ike_fragment *part)
{
	struct ike_v1_fragments *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	if (v->n_fragments >= IKE_V1_FRAGMENTED_MAX)
		give_up(v->fragments_oldest, "ike_v1.drop.fragment_pushed_out");
	*f = (struct ike_v1_fragments){ .v = v, .at = at, .older = v->fragments, .id = part->id, .exchange = h->exchange,
		.mid = h->mid };
	*(f->older != NULL ? &f->older->newer : &v->fragments_oldest) = f;
	v->fragments = f;
	v->n_fragments++;
	vd_timer_init(&f->timer, timer_fired);
	f->timer.kind = IKE_V1_T_FRAGMENTS;
	vd_timer_start(&f->timer, IKE_V1_FRAGMENTS_MS);
	*at = f;
	return f;
}

/* Can it be of the message that the other parts are of? */
static bool fits(const struct ike_v1_fragments *f, const struct ike_fragment *part)
{
	const struct ike_v1_buf *same = &f->parts[part->number - 1];

	if (same->p != NULL && (same->len != part->len || !vd_same(same->p, part->p, part->len)))
		return false;
	if (!part->last)
		return f->last == 0 || part->number < f->last;
	for (unsigned i = part->number; i < IKE_V1_FRAGMENTS_MAX; i++)
		if (f->parts[i].p != NULL)
			return false;
	return f->last == 0 || f->last == part->number;
}

/* Keeps one part: 1: the message is whole, or whole again; 0: it is not; or -ENOMEM, -E2BIG. */
static int keep(struct ike_v1_fragments *f, const struct ike_fragment *part)
{
	struct ike_v1_buf *buf = &f->parts[part->number - 1];
	unsigned bit = 1u << (part->number - 1);

	if (buf->p == NULL) {
		if (f->len + part->len > IKE_MESSAGE_MAX)
			return -E2BIG;
		if (ike_v1_buf_set(buf, part->p, part->len) < 0)
			return -ENOMEM;
		f->len += part->len;
	} else if (f->came & bit) {
		vd_count("ike_v1.duplicate.fragment", 1);
	}
	f->came |= bit;
	if (part->last)
		f->last = part->number;
	return f->last != 0 && f->came == (1u << f->last) - 1;
}

/* The whole message, whose header must be one of the same IKE SA. The header of a part that strongSwan sends is one of phase 1
 * in any exchange. */
static void deliver(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *outer, const uint8_t *p, size_t len)
{
	struct ike_header h;

	if (ike_header_parse(p, len, &h) < 0 || h.len != len || h.version >> 4 != 1 ||
		!vd_same(h.icookie, outer->icookie, IKE_COOKIE_LEN) || !vd_same(h.rcookie, outer->rcookie, IKE_COOKIE_LEN) ||
		(outer->exchange != h.exchange && outer->exchange != IKE_X_MAIN && outer->exchange != IKE_X_AGGRESSIVE)) {
		vd_count("ike_v1.drop.fragment_header", 1);
		return;
	}
	if (h.next == IKE_P_MS_FRAGMENT) {
		vd_count("ike_v1.drop.fragment_nested", 1);
		return;
	}
	/* Message 3 in the clear is short, so nobody cuts it; and its proof, in two parts, is not known to vd_conceal(). */
	if (h.exchange == IKE_X_AGGRESSIVE && !(h.flags & IKE_F_ENCRYPTED)) {
		vd_count("ike_v1.drop.fragment_plain", 1);
		return;
	}
	vd_count("ike_v1.fragmented", 1);
	ike_v1_message(v, path, &h, p, len);
}

static struct ike_v1_fragments **place(struct ike_v1 *v, const struct ike_header *h)
{
	static const uint8_t none[IKE_COOKIE_LEN];

	if (vd_same(h->rcookie, none, sizeof(none))) { /* anybody's: nothing is kept for it */
		vd_count("ike_v1.drop.fragment_first", 1);
		return NULL;
	}
	struct ike_v1_sa *sa = ike_v1_sa_find(v, h->icookie, h->rcookie);
	if (sa == NULL) /* an answer to our message 1 brings a new cookie */
		sa = ike_v1_sa_find(v, h->icookie, none);
	if (sa != NULL && ike_v1_sa_listens(sa))
		return &sa->fragments;
	if (sa != NULL) {
		vd_count("ike_v1.drop.state", 1);
		return NULL;
	}
	struct ike_v1_embryo *e = ike_v1_embryo_find(v, h->icookie, h->rcookie);
	if (e != NULL)
		return &e->fragments;
	vd_count("ike_v1.drop.no_sa", 1);
	return NULL;
}

void ike_v1_fragment_input(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len)
{
	struct ike_v1_fragments **at = place(v, h), *f;
	uint8_t message[IKE_MESSAGE_MAX];
	struct ike_fragment part;
	size_t n = 0;

	if (at == NULL)
		return;
	if (ike_fragment_parse(p, len, &part) < 0 || part.len == 0) {
		vd_count("ike_v1.drop.fragment_malformed", 1);
		return;
	}
	if (part.number == 0 || part.number > IKE_V1_FRAGMENTS_MAX) {
		vd_count("ike_v1.drop.fragment_number", 1);
		return;
	}
	f = *at;
	if (f != NULL && (f->id != part.id || f->exchange != h->exchange || f->mid != h->mid)) {
		give_up(f, "ike_v1.drop.fragment_abandoned");
		f = NULL;
	}
	if (f != NULL && !fits(f, &part)) {
		give_up(f, "ike_v1.drop.fragment_conflict");
		f = NULL;
	}
	if (f == NULL)
		f = begin(v, at, h, &part);
	int rc = f != NULL ? keep(f, &part) : -ENOMEM;
	if (rc == -E2BIG)
		give_up(f, "ike_v1.drop.too_long");
	if (rc == -ENOMEM) {
		vd_count("ike_v1.drop.fragment_memory", 1);
		ike_v1_fragments_free(f);
	}
	if (rc <= 0)
		return;
	for (unsigned i = 0; i < f->last; i++) {
		memcpy(message + n, f->parts[i].p, f->parts[i].len);
		n += f->parts[i].len;
	}
	f->whole = true;
	f->came = 0;
	vd_timer_start(&f->timer, IKE_V1_FRAGMENTS_MS);
	deliver(v, path, h, message, n); /* the IKE SA may go, and f with it */
	vd_wipe(message, n);
}
