/* Rekeys that we begin, of CHILD SAs that a client began. Clients do it themselves, most of them at 80 to 92 % of the lifetime;
 * one that has not done it close to the end, or at the limit of a key, would lose its connection. It is proposed just what it
 * agreed on before, with the roles of quick mode exchanged (RFC 2409 section 5.5 lets either side begin). A client that
 * refuses, or does not answer, has lost nothing: its CHILD SA ends when it would have ended. What a rekey costs comes out of the
 * client's budget, and no lifetime is below a minute here, however short a client offers it.
 *
 * Both may begin at the same time. Then both exchanges are brought to their end, and there are two new pairs: none is given up
 * half-way, since the other side may have come further. The newest is what we send on, each side hears both, and what is older
 * goes by the rule for every rekey (first_in), or at its end. */
#include "v1.h"

#include <viaduct/quirk.h>

#include <string.h>

/* While there is no IKE SA, or another quick mode under way; between attempts. */
#define RETRY_MS 5000u
#define TRIES 3u

static bool same_side(const struct vd_prefix *a, const struct vd_prefix *b)
{
	return a->len == b->len && vd_ip_equal(&a->ip, &b->ip);
}

static bool replaced(const struct ike_v1_child *child)
{
	if (child->timer.kind != IKE_V1_T_CHILD_LIFE)
		return true;
	for (const struct ike_v1_child *c = child->peer->children; c != child; c = c->next)
		if (same_side(&c->local, &child->local))
			return true;
	return false;
}

/* The newest IKE SA whose user is known. */
static struct ike_v1_sa *usable(const struct ike_v1_peer *peer)
{
	struct ike_v1_sa *sa = peer->sas;

	while (sa != NULL && sa->xauth != NULL && sa->xauth->state != IKE_V1_X_DONE)
		sa = sa->peer_next;
	return sa;
}

static bool busy(const struct ike_v1_peer *peer)
{
	for (const struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		for (const struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
			if (q->state < IKE_V1_Q_OUT)
				return true;
	return false;
}

void ike_v1_rekey(struct ike_v1_child *child)
{
	struct ike_v1_peer *peer = child->peer;
	struct ike_v1_sa *sa = usable(peer);

	if (child->terms.transform.len == 0 || child->tries >= TRIES || replaced(child))
		return;
	if (vd_peer_quirk(peer->id, IKE_V1_QUIRK_NO_REKEYS) != NULL) {
		vd_note('p', peer->id, "a CHILD SA is near its end, and this client takes no rekey that the gateway begins");
		return;
	}
	vd_timer_start(&child->soft, RETRY_MS);
	if (sa == NULL || busy(peer))
		return;
	if (child->terms.group != 0 && !ike_v1_dh_afford(child->terms.group, &peer->path.remote.ip, VD_STANDING_ANSWERED)) {
		vd_count("ike_v1.rekey.budget", 1); /* later: what is there still works */
		return;
	}
	child->tries++;
	vd_note('p', peer->id, "a CHILD SA is near its end, and the client has not rekeyed it: we do");
	if (ike_v1_quick_rekey(sa, child) < 0)
		ike_v1_rekey_failed(peer, &child->local, "it cannot be begun", false);
}

static void soft_fired(struct vd_timer *t)
{
	ike_v1_rekey(VD_CONTAINER_OF(t, struct ike_v1_child, soft));
}

void ike_v1_rekey_timer_init(struct ike_v1_child *child)
{
	vd_timer_init(&child->soft, soft_fired);
	child->soft.kind = IKE_V1_T_CHILD_SOFT;
}

uint64_t ike_v1_life(const struct ike_v1 *v, uint32_t seconds)
{
	uint64_t ms = (uint64_t)seconds * 1000;

	if (ms == 0 || ms > v->opt.life_max_ms)
		return v->opt.life_max_ms;
	return ms < IKE_V1_LIFE_MIN_S * 1000 ? IKE_V1_LIFE_MIN_S * 1000 : ms;
}

void ike_v1_rekey_plan(struct ike_v1_child *child, uint64_t life_ms)
{
	/* 94 to 97 %: behind what clients do, and not for all of them at once. SPIs are random. */
	vd_timer_start(&child->soft, life_ms / 1000 * (940 + (child->spi_in >> 8) % 31));
}

void ike_v1_rekey_failed(struct ike_v1_peer *peer, const struct vd_prefix *local, const char *why, bool refused)
{
	vd_note('p', peer->id, "our rekey of a CHILD SA failed: %s", why);
	if (!refused)
		return;
	for (struct ike_v1_child *c = peer->children; c != NULL; c = c->next)
		if (same_side(&c->local, local))
			c->tries = TRIES;
}
