/* Peers: what outlives an IKE SA. Their CHILD SAs, the one channel of these, and the end. */
#include "v1.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Keyed, since endpoints are the clients' choice. */
static size_t endpoint_hash(const struct ike_v1 *v, const struct vd_sa *sa)
{
	uint64_t h = v->secret;

	for (size_t i = 0; i < (sa->ip.family == AF_INET6 ? 16u : 4u); i++)
		h = (h ^ sa->ip.a[i]) * 0x9e3779b97f4a7c15u;
	h = (h ^ sa->port) * 0x9e3779b97f4a7c15u;
	return (h ^ h >> 29) % IKE_V1_BUCKETS;
}

static struct ike_v1_peer **endpoint_bucket(struct ike_v1 *v, const struct vd_sa *sa)
{
	return &v->by_endpoint[endpoint_hash(v, sa)];
}

/* Ids are ours and count up, so their low bits are even. */
static struct ike_v1_peer **id_bucket(struct ike_v1 *v, uint64_t id)
{
	return &v->by_id[id % IKE_V1_BUCKETS];
}

static struct ike_v1_peer **chan_bucket(struct ike_v1 *v, uint64_t chan)
{
	return &v->by_chan[chan % IKE_V1_BUCKETS];
}

#define CHAIN_REMOVE(bucket, peer, link)                                                                            \
	do {                                                                                                        \
		struct ike_v1_peer **at_ = (bucket);                                                                \
		while (*at_ != NULL && *at_ != (peer))                                                              \
			at_ = &(*at_)->link;                                                                        \
		if (*at_ != NULL)                                                                                   \
			*at_ = (peer)->link;                                                                        \
	} while (0)

void ike_v1_peer_index(struct ike_v1_peer *p)
{
	struct ike_v1_peer **id = id_bucket(p->v, p->id), **endpoint = endpoint_bucket(p->v, &p->path.remote);

	p->id_next = *id;
	*id = p;
	p->endpoint_next = *endpoint;
	*endpoint = p;
	if (p->chan != 0) {
		struct ike_v1_peer **chan = chan_bucket(p->v, p->chan);

		p->chan_next = *chan;
		*chan = p;
	}
}

static void peer_unindex(struct ike_v1_peer *p)
{
	CHAIN_REMOVE(id_bucket(p->v, p->id), p, id_next);
	CHAIN_REMOVE(endpoint_bucket(p->v, &p->path.remote), p, endpoint_next);
	if (p->chan != 0)
		CHAIN_REMOVE(chan_bucket(p->v, p->chan), p, chan_next);
}

void ike_v1_peer_set_chan(struct ike_v1_peer *peer, uint64_t chan)
{
	peer_unindex(peer);
	peer->chan = chan;
	ike_v1_peer_index(peer);
}

/* The next one behind p, or the first (NULL), that can be meant. */
static struct ike_v1_peer *peer_after(struct ike_v1_peer *p, struct ike_v1 *v, const struct vd_sa *remote, const char *connection,
	const char *identity, bool tunnel)
{
	for (p = p != NULL ? p->endpoint_next : *endpoint_bucket(v, remote); p != NULL; p = p->endpoint_next)
		if (!p->closing && p->tunnel == tunnel && vd_sa_equal(&p->path.remote, remote) &&
			strcmp(p->connection, connection) == 0 && strcmp(p->identity, identity) == 0)
			return p;
	return NULL;
}

struct ike_v1_peer *ike_v1_peer_find(struct ike_v1 *v, const struct vd_sa *remote, const char *connection, const char *identity)
{
	return peer_after(NULL, v, remote, connection, identity, false);
}

struct ike_v1_peer *ike_v1_peer_tunnel(struct ike_v1 *v, const struct vd_sa *remote, const char *connection,
	const char *identity, const char *user)
{
	struct ike_v1_peer *p = NULL;

	while ((p = peer_after(p, v, remote, connection, identity, true)) != NULL) {
		const struct vd_session *s = p->session != 0 ? vd_session_find(p->session) : NULL;

		if (s != NULL && s->state < VD_S_CLOSING && (user == NULL || (s->proven && strcmp(s->user, user) == 0)))
			return p;
	}
	return NULL;
}

void ike_v1_peer_crowded(struct ike_v1 *v, const struct vd_sa *remote, const char *connection, const char *identity)
{
	struct ike_v1_peer *p = NULL, *oldest = NULL;
	unsigned n = 0;

	while ((p = peer_after(p, v, remote, connection, identity, true)) != NULL)
		if (p->session == 0) {
			oldest = p; /* the newest is first */
			n++;
		}
	if (n < IKE_V1_UNPROVEN_MAX)
		return;
	ike_v1_refuse(oldest->sas, &oldest->path, IKE_PROTO_ISAKMP, "ike_v1.refused.crowded", IKE_V1_SILENT, (struct vd_report){
		.kind = &vd_fail_resources, .stage = "xauth", .difference = "more unfinished logins of one group at this address than may be" });
	ike_v1_peer_end(oldest, "too many logins at the same time", true);
}

struct ike_v1_peer *ike_v1_peer_dialled(const struct ike_v1 *v, const struct vd_sa *remote)
{
	struct vd_sa at[] = { *remote, { .ip = remote->ip, .port = 4500 } };

	for (unsigned i = 0; i < 2; i++)
		for (struct ike_v1_peer *p = v->by_endpoint[endpoint_hash(v, &at[i])]; p != NULL; p = p->endpoint_next)
			if (!p->closing && p->dial != NULL && p->sas != NULL && vd_sa_equal(&p->path.remote, &at[i]))
				return p;
	return NULL;
}

struct ike_v1_peer *ike_v1_peer_by_id(struct ike_v1 *v, uint64_t id)
{
	struct ike_v1_peer *p = *id_bucket(v, id);

	while (p != NULL && p->id != id)
		p = p->id_next;
	return p;
}

struct ike_v1_peer *ike_v1_peer_by_chan(struct ike_v1 *v, uint64_t chan)
{
	struct ike_v1_peer *p = chan != 0 ? *chan_bucket(v, chan) : NULL;

	while (p != NULL && p->chan != chan)
		p = p->chan_next;
	return p;
}

/* A peer that is going, or says nothing, and never began quick mode. */
void ike_v1_peer_no_quick(struct ike_v1_peer *p)
{
	if (p->quick_seen || (p->chan != 0 && p->session == 0) || p->v->stopped || p->dial != NULL)
		return;
	p->quick_seen = true;
	vd_report_failure(&(struct vd_report){ .kind = &ike_fail_no_quick_mode, .peer = p->id });
}

/* Why a client that says nothing is of no more use, or NULL. Without an IKE SA: Windows lets it go when idle, and comes back.
 * Without a CHILD SA or a session: it went away without a word, or never came further; it must not hold a place of
 * gateway.max_peers for hours. What carries L2TP is asked by LCP and L2TP whether it lives; a tunnel has to be asked here,
 * and a client that cannot be asked keeps it for the lifetime of its SAs. */
static const char *orphaned(struct ike_v1_peer *p)
{
	bool asked = p->tunnel && p->sas != NULL && (p->sas->vendors & IKE_V_DPD);

	if (p->dial != NULL && p->sas != NULL && p->children != NULL)
		return NULL; /* dial.c asks */
	if (p->sas == NULL)
		return "no IKE SA and nothing heard";
	if (p->children == NULL)
		return "no CHILD SA and nothing heard";
	if (!vd_chan_used(p->chan))
		return "no session and nothing heard";
	return asked ? "the client does not answer any more (dead peer detection)" : NULL;
}

static void orphan_fired(struct vd_timer *t)
{
	struct ike_v1_peer *p = VD_CONTAINER_OF(t, struct ike_v1_peer, orphan);
	uint64_t silence = ike_v1_peer_silence(p);
	const char *why = orphaned(p);

	ike_v1_peer_no_quick(p);
	if (why != NULL && silence >= p->v->opt.orphan_ms) {
		vd_count("ike_v1.orphaned", 1);
		ike_v1_peer_end(p, why, true);
		return;
	}
	if (why != NULL && p->dial == NULL && p->sas != NULL && (p->sas->vendors & IKE_V_DPD) && silence >= IKE_V1_ORPHAN_CHECK_MS) {
		vd_count("ike_v1.dpd", 1);
		ike_v1_info_alive(p->sas, &p->dpd_seq);
	}
	vd_timer_start(t, IKE_V1_ORPHAN_CHECK_MS);
}

static void keepalive_fired(struct vd_timer *t)
{
	struct ike_v1_peer *p = VD_CONTAINER_OF(t, struct ike_v1_peer, keepalive);
	static const uint8_t octet = 0xff; /* datapath/1 sends it without a marker (RFC 3948 section 2.3) */

	if (p->path.natt)
		ike_v1_send(p->v, &p->path, &octet, 1);
	vd_timer_start(t, IKE_V1_KEEPALIVE_MS);
}

void ike_v1_peer_timers_init(struct ike_v1_peer *peer)
{
	vd_timer_init(&peer->orphan, orphan_fired);
	peer->orphan.kind = IKE_V1_T_ORPHAN;
	vd_timer_init(&peer->keepalive, keepalive_fired);
	peer->keepalive.kind = IKE_V1_T_KEEPALIVE;
}

struct ike_v1_peer *ike_v1_peer_add(struct ike_v1 *v, uint64_t id, const struct vd_path *path)
{
	struct ike_v1_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->v = v;
	p->id = id;
	p->path = *path;
	ike_v1_peer_timers_init(p);
	p->next = v->peers;
	if (p->next != NULL)
		p->next->prev = p;
	v->peers = p;
	ike_v1_peer_index(p);
	return p;
}

uint64_t ike_v1_peer_silence(const struct ike_v1_peer *peer)
{
	uint64_t least = UINT64_MAX;

	for (const struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		if (vd_now() - sa->heard < least)
			least = vd_now() - sa->heard;
	if (peer->chan != 0 && peer->children != NULL) {
		uint64_t idle = vd_chan_idle(peer->chan);

		if (idle < least)
			least = idle;
	}
	return least;
}

void ike_v1_peer_join(struct ike_v1_peer *peer, struct ike_v1_sa *sa)
{
	unsigned n = 0;

	for (struct ike_v1_sa *old = peer->sas; old != NULL; old = old->peer_next)
		if (old->life.kind != IKE_V1_T_REPLACED) {
			old->life.kind = IKE_V1_T_REPLACED;
			vd_timer_start(&old->life, IKE_V1_REPLACED_MS);
		}
	for (struct ike_v1_sa *old = peer->sas; old != NULL; old = old->peer_next, n++) {
		if (old->peer_next == NULL && n + 1 >= IKE_V1_SAS_MAX) {
			ike_v1_sa_free(old, "replaced"); /* the oldest; others remain, so the peer does too */
			break;
		}
	}
	sa->peer = peer;
	sa->peer_next = peer->sas;
	peer->sas = sa;
	peer->natted_us = sa->natted_us;
	if (vd_timer_left(&peer->orphan) == UINT64_MAX)
		vd_timer_start(&peer->orphan, IKE_V1_ORPHAN_CHECK_MS);
	if (peer->natted_us)
		vd_timer_start(&peer->keepalive, IKE_V1_KEEPALIVE_MS);
	else
		vd_timer_stop(&peer->keepalive);
	ike_v1_peer_moved(peer, &sa->path);
}

void ike_v1_peer_pass_on(struct ike_v1_peer *peer, struct ike_v1_peer *to)
{
	char why[64];

	while (peer->sas != NULL) {
		struct ike_v1_sa *sa = peer->sas;

		peer->sas = sa->peer_next;
		ike_v1_peer_join(to, sa);
	}
	vd_format(why, sizeof(why), "it is p-%llu", (unsigned long long)to->id);
	ike_v1_peer_end(peer, why, false);
}

void ike_v1_peer_check(struct ike_v1_peer *peer, const char *why)
{
	if (peer->closing)
		return;
	if (peer->dial != NULL && (peer->sas != NULL || peer->children != NULL)) {
		ike_v1_dial_wake(peer->dial); /* a quick mode of ours may have gone with it */
		return;
	}
	if (peer->sas != NULL)
		return;
	if (peer->children == NULL) {
		ike_v1_peer_no_quick(peer);
		ike_v1_peer_end(peer, why, false);
		return;
	}
	vd_note('p', peer->id, "IKE SA is gone (%s), its channel stays while it is used", why);
	if (vd_timer_left(&peer->orphan) == UINT64_MAX)
		vd_timer_start(&peer->orphan, IKE_V1_ORPHAN_CHECK_MS);
}

static void child_free(struct ike_v1_child *child)
{
	vd_timer_stop(&child->timer);
	vd_timer_stop(&child->soft);
	ike_v1_buf_free(&child->terms.transform);
	ike_v1_buf_free(&child->terms.ours);
	ike_v1_buf_free(&child->terms.theirs);
	free(child);
}

void ike_v1_peer_discard(struct ike_v1_peer *peer, const char *why, bool farewell)
{
	struct ike_v1 *v = peer->v;

	peer->closing = true;
	if (peer->dial != NULL)
		ike_v1_dial_end(peer, why);
	while (peer->children != NULL) { /* their SAs stay until the core closes the channel: goodbyes travel on it */
		struct ike_v1_child *child = peer->children;

		peer->children = child->next;
		if (farewell && peer->sas != NULL)
			ike_v1_info_delete_esp(peer->sas, child->spi_in);
		child_free(child);
	}
	while (peer->sas != NULL) {
		if (farewell)
			ike_v1_info_delete_ike(peer->sas);
		ike_v1_sa_free(peer->sas, why);
	}
	ike_v1_tunnel_down(peer);
	vd_timer_stop(&peer->orphan);
	vd_timer_stop(&peer->keepalive);
	peer_unindex(peer);
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	*(peer->prev != NULL ? &peer->prev->next : &v->peers) = peer->next;
	free(peer);
}

void ike_v1_peer_end(struct ike_v1_peer *peer, const char *why, bool farewell)
{
	uint64_t id = peer->id;

	if (peer->closing)
		return;
	ike_v1_peer_discard(peer, why, farewell);
	vd_peer_close(id, why);
}

struct vd_path ike_v1_esp_path(const struct vd_path *path)
{
	struct vd_path esp = *path;

	if (!path->natt)
		esp.local.port = esp.remote.port = 0; /* protocol 50 */
	return esp;
}

void ike_v1_peer_moved(struct ike_v1_peer *peer, const struct vd_path *path)
{
	bool same = vd_sa_equal(&peer->path.remote, &path->remote) && vd_sa_equal(&peer->path.local, &path->local) &&
		peer->path.natt == path->natt;

	for (struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		sa->path = *path;
	if (same)
		return;
	peer_unindex(peer);
	peer->path = *path;
	ike_v1_peer_index(peer);
	vd_count("ike_v1.moved", 1);
	char text[VD_SA_TEXT];
	vd_note('p', peer->id, "moved to %s", vd_sa_format(&path->remote, text));
	vd_peer_endpoint(peer->id, &path->remote, path->natt);
	if (peer->chan != 0) {
		struct vd_path esp = ike_v1_esp_path(path);

		peer->v->esp->set_path(peer->v->esp->self, peer->chan, &esp, NULL, NULL);
	}
}

static void child_fired(struct vd_timer *t)
{
	struct ike_v1_child *child = VD_CONTAINER_OF(t, struct ike_v1_child, timer);
	struct ike_v1_peer *peer = child->peer;

	ike_v1_child_remove(child, true);
	ike_v1_peer_check(peer, "CHILD SA lifetime is over");
}

struct ike_v1_child *ike_v1_child_add(struct ike_v1_peer *peer, uint32_t spi_in, uint32_t spi_out,
	const struct vd_prefix *local)
{
	struct ike_v1_child *child = calloc(1, sizeof(*child));
	struct ike_v1_child *last = NULL;
	unsigned n = 0;

	if (child == NULL)
		return NULL;
	for (struct ike_v1_child *c = peer->children; c != NULL; c = c->next, n++)
		last = c;
	if (n >= (peer->tunnel ? IKE_V1_TUNNELS_MAX : IKE_V1_CHILDREN_MAX) && last != NULL)
		ike_v1_child_remove(last, true);
	child->peer = peer;
	child->spi_in = spi_in;
	child->spi_out = spi_out;
	child->local = *local;
	vd_timer_init(&child->timer, child_fired);
	ike_v1_rekey_timer_init(child);
	child->next = peer->children;
	peer->children = child;
	return child;
}

void ike_v1_child_keep(struct ike_v1_child *child, const struct ike_v1_quick *q)
{
	const struct ike_v1_buf *ours = q->initiator ? &q->idci : &q->idcr, *theirs = q->initiator ? &q->idcr : &q->idci;
	struct ike_v1_terms *t = &child->terms;

	t->suite = q->suite;
	t->group = q->group;
	t->encap = q->encap;
	t->life_seconds = q->life_seconds;
	t->offer = q->offer;
	t->offer.at = 0;
	if (ike_v1_buf_set(&t->ours, ours->p, ours->len) < 0 || ike_v1_buf_set(&t->theirs, theirs->p, theirs->len) < 0 ||
		ike_v1_buf_set(&t->transform, q->sa_body.p + q->offer.at, q->offer.len) < 0)
		ike_v1_buf_free(&t->transform);
}

void ike_v1_child_life(struct ike_v1_child *child, uint64_t ms, uint32_t kind)
{
	child->timer.kind = kind;
	vd_timer_start(&child->timer, ms);
}

void ike_v1_child_remove(struct ike_v1_child *child, bool delete_)
{
	struct ike_v1_peer *peer = child->peer;
	const struct vd_esp_1 *esp = peer->v->esp;

	for (struct ike_v1_child **at = &peer->children; *at != NULL; at = &(*at)->next)
		if (*at == child) {
			*at = child->next;
			break;
		}
	if (delete_ && peer->sas != NULL)
		ike_v1_info_delete_esp(peer->sas, child->spi_in);
	esp->remove_in(esp->self, peer->chan, child->spi_in);
	esp->remove_out(esp->self, peer->chan, child->spi_out);
	child_free(child);
}

static struct ike_v1_child *child_by_in(struct ike_v1_peer *peer, uint32_t spi_in)
{
	struct ike_v1_child *child = peer->children;

	while (child != NULL && child->spi_in != spi_in)
		child = child->next;
	return child;
}

/* The new SA is used: what is older goes in 30 s, unless its Delete comes first. */
static void esp_first_in(void *arg, uint64_t chan, uint32_t spi)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, chan);
	struct ike_v1_child *child = peer != NULL ? child_by_in(peer, spi) : NULL;

	if (child == NULL)
		return;
	for (struct ike_v1_child *old = child->next; old != NULL; old = old->next)
		if (old->timer.kind != IKE_V1_T_CHILD_REPLACED && old->local.len == child->local.len &&
			vd_ip_equal(&old->local.ip, &child->local.ip))
			ike_v1_child_life(old, IKE_V1_REPLACED_MS, IKE_V1_T_CHILD_REPLACED);
}

static struct ike_v1_child *child_by_spi(struct ike_v1_peer *peer, uint32_t spi)
{
	struct ike_v1_child *child = peer->children;

	while (child != NULL && child->spi_in != spi && child->spi_out != spi)
		child = child->next;
	return child;
}

static void esp_soft(void *arg, uint64_t chan, uint32_t spi)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, chan);
	struct ike_v1_child *child = peer != NULL ? child_by_spi(peer, spi) : NULL;

	vd_count("ike_v1.soft_limit", 1);
	if (peer != NULL && peer->dial != NULL) {
		peer->dial->quick_at = vd_now();
		ike_v1_dial_wake(peer->dial);
	} else if (child != NULL) {
		vd_note('p', peer->id, "a CHILD SA is near its limit");
		ike_v1_rekey(child);
	}
}

static void esp_hard(void *arg, uint64_t chan, uint32_t spi)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, chan);
	struct ike_v1_child *child = peer != NULL ? child_by_spi(peer, spi) : NULL;

	if (child == NULL)
		return;
	vd_note('p', peer->id, "a CHILD SA reached its hard limit and is gone");
	ike_v1_child_remove(child, true);
	ike_v1_peer_check(peer, "CHILD SA reached its limit");
}

static void esp_rebind(void *arg, uint64_t chan, const struct vd_path *path)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, chan);
	struct vd_path moved = *path;

	if (peer == NULL || path->remote.port == 0)
		return;
	moved.natt = true; /* ESP in UDP is on 4500 */
	ike_v1_peer_moved(peer, &moved);
}

/* A gateway that we dialled is given up soon then; a client, which may sleep or have no network for a while, is only asked. */
static void esp_unanswered(void *arg, uint64_t chan)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, chan);

	if (peer == NULL || peer->sas == NULL || !(peer->sas->vendors & IKE_V_DPD))
		return;
	if (peer->dial != NULL) {
		ike_v1_dial_unanswered(peer->dial);
	} else if (peer->asked == 0 || vd_now() - peer->asked >= IKE_V1_UNANSWERED_MS) {
		peer->asked = vd_now();
		vd_count("ike_v1.dpd", 1);
		ike_v1_info_alive(peer->sas, &peer->dpd_seq);
	}
}

const struct vd_esp_events ike_v1_esp_events = { .soft = esp_soft, .hard = esp_hard, .first_in = esp_first_in,
	.rebind = esp_rebind, .unanswered = esp_unanswered };
