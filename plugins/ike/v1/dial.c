/* Service ike.connect/1: gateways that we call. The dial begins phase 1 and quick mode, renews both before their time, asks
 * whether the gateway lives when it is silent (RFC 3706), and makes anew what the gateway took away. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Renewals are due at 85 to 93 % of a lifetime, so that many dials do not come at once. */
static uint64_t renewal(uint64_t life_ms)
{
	uint8_t r;

	vd_random_seen("chance", &r, sizeof(r));
	return vd_now() + life_ms / 100 * (85 + r % 9);
}

static void told(void *arg)
{
	struct ike_v1_dial *dial = arg;

	if (!dial->quiet)
		dial->events->ended(dial->arg, dial->peer_id, dial->reason);
	free(dial);
}

void ike_v1_dial_end(struct ike_v1_peer *peer, const char *why)
{
	struct ike_v1_dial *dial = peer->dial;

	peer->dial = NULL;
	dial->peer = NULL;
	vd_timer_stop(&dial->watch);
	if (dial->phase1 != NULL)
		ike_v1_sa_free(dial->phase1, why);
	vd_strcpy(dial->reason, sizeof(dial->reason), why);
	if (dial->v->silent || vd_defer(told, dial) < 0)
		free(dial);
}

static void watch(struct ike_v1_dial *dial)
{
	uint64_t now = vd_now(), due = UINT64_MAX, silence;
	const struct ike_v1_peer *peer = dial->peer;

	if (dial->phase1 == NULL)
		due = dial->phase1_at;
	if (dial->quick_at < due)
		due = dial->quick_at;
	if (peer->sas != NULL && peer->sas->vendors & IKE_V_DPD) {
		silence = ike_v1_peer_silence(peer);
		uint64_t ask = dial->dpd_tries > 0 ? IKE_V1_DPD_RETRY_MS :
			silence < dial->v->opt.dpd_ms ? dial->v->opt.dpd_ms - silence : 0;
		if (dial->unanswered != 0)
			ask = dial->ask_at > now ? dial->ask_at - now : 0;
		if (now + ask < due)
			due = now + ask;
	}
	if (due == UINT64_MAX)
		vd_timer_stop(&dial->watch);
	else
		vd_timer_start(&dial->watch, due > now ? due - now : 0);
}

/* As alive(), while our traffic has no answer. */
static bool answers(struct ike_v1_dial *dial, struct ike_v1_sa *sa)
{
	uint64_t now = vd_now();
	char why[128];

	if (now - dial->unanswered >= dial->v->opt.unanswered_ms) {
		vd_count("ike_v1.dial.dead", 1);
		vd_format(why, sizeof(why), "the gateway answers neither our traffic nor dead peer detection for %llu s",
			(unsigned long long)(ike_v1_peer_silence(dial->peer) / 1000));
		ike_v1_peer_end(dial->peer, why, true);
		return false;
	}
	if (now < dial->ask_at)
		return true;
	dial->ask_at = now + IKE_V1_UNANSWERED_RETRY_MS;
	vd_count("ike_v1.dial.dpd", 1);
	ike_v1_info_alive(sa, &dial->dpd_seq);
	return true;
}

/* False when the gateway is given up, and the dial is gone. */
static bool alive(struct ike_v1_dial *dial)
{
	struct ike_v1_sa *sa = dial->peer->sas;

	if (sa == NULL || !(sa->vendors & IKE_V_DPD))
		return true;
	if (dial->unanswered != 0 && ike_v1_peer_silence(dial->peer) < vd_now() - dial->unanswered)
		dial->unanswered = 0;
	if (dial->unanswered != 0)
		return answers(dial, sa);
	if (ike_v1_peer_silence(dial->peer) < dial->v->opt.dpd_ms) {
		dial->dpd_tries = 0;
		return true;
	}
	if (dial->dpd_tries >= IKE_V1_DPD_TRIES) {
		vd_count("ike_v1.dial.dead", 1);
		ike_v1_peer_end(dial->peer, "the gateway does not answer any more (dead peer detection)", true);
		return false;
	}
	dial->dpd_tries++;
	vd_count("ike_v1.dial.dpd", 1);
	ike_v1_info_alive(sa, &dial->dpd_seq);
	return true;
}

void ike_v1_dial_unanswered(struct ike_v1_dial *dial)
{
	if (dial->unanswered != 0)
		return;
	dial->unanswered = dial->ask_at = vd_now();
	watch(dial);
}

static bool quick_waits(const struct ike_v1_peer *peer)
{
	for (const struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		for (const struct ike_v1_quick *q = sa->quicks; q != NULL; q = q->next)
			if (q->initiator && q->state < IKE_V1_Q_OUT)
				return true;
	return false;
}

static void watch_fired(struct vd_timer *t)
{
	struct ike_v1_dial *dial = VD_CONTAINER_OF(t, struct ike_v1_dial, watch);
	struct ike_v1_peer *peer = dial->peer;
	uint64_t now = vd_now();

	if (!alive(dial))
		return;
	if (dial->phase1 == NULL && now >= dial->phase1_at) {
		dial->phase1_at = UINT64_MAX;
		vd_note('p', peer->id, "phase 1 is renewed");
		if (ike_v1_phase1_dial(dial, &peer->path) < 0)
			dial->phase1_at = now + IKE_V1_RETRY_MS;
	}
	if (now >= dial->quick_at) {
		dial->quick_at = UINT64_MAX;
		if (peer->sas == NULL || quick_waits(peer))
			; /* phase 1 comes first, and asks for it then */
		else if (ike_v1_quick_dial(peer->sas) < 0)
			dial->quick_at = now + IKE_V1_RETRY_MS;
	}
	watch(dial);
}

void ike_v1_dial_wake(struct ike_v1_dial *dial)
{
	const struct ike_v1_peer *peer = dial->peer;
	uint64_t now = vd_now();

	if (peer->sas == NULL && dial->phase1 == NULL && dial->phase1_at > now + IKE_V1_RETRY_MS)
		dial->phase1_at = now;
	if (peer->sas != NULL && !quick_waits(peer) &&
		(dial->quick_at == UINT64_MAX || (peer->children == NULL && dial->up_told && dial->quick_at > now + IKE_V1_RETRY_MS)))
		dial->quick_at = now;
	watch(dial);
}

void ike_v1_dial_phase1_up(struct ike_v1_dial *dial, const struct ike_v1_sa *sa)
{
	struct ike_v1_peer *peer = dial->peer;

	dial->failures = 0;
	dial->dpd_tries = 0;
	dial->unanswered = 0;
	dial->phase1_at = renewal(vd_timer_left(&sa->life));
	/* One that was due while there was no IKE SA, or went with the last one, is begun now. */
	bool due = peer->children == NULL || dial->quick_at == UINT64_MAX;
	if (due && !quick_waits(peer) && ike_v1_quick_dial(peer->sas) < 0) {
		ike_v1_peer_end(peer, "quick mode cannot be begun: no channel, or no memory for it", true);
		return;
	}
	watch(dial);
}

/* True while what is there may be used further and the renewal tried again. */
static bool again(struct ike_v1_dial *dial, const char *why)
{
	struct ike_v1_peer *peer = dial->peer;

	if (peer->children == NULL || ++dial->failures > 3) {
		ike_v1_peer_end(peer, why, true);
		return false;
	}
	vd_note('p', peer->id, "a renewal failed, and is tried again: %s", why);
	return true;
}

void ike_v1_dial_phase1_failed(struct ike_v1_dial *dial, const char *why)
{
	if (!again(dial, why))
		return;
	dial->phase1_at = vd_now() + IKE_V1_RETRY_MS;
	watch(dial);
}

void ike_v1_dial_quick_up(struct ike_v1_dial *dial, uint64_t life_ms)
{
	dial->failures = 0;
	dial->quick_at = renewal(life_ms);
	watch(dial);
}

void ike_v1_dial_child_up(struct ike_v1_dial *dial)
{
	if (!dial->taken)
		return;
	dial->taken = false;
	if (dial->up_told && !dial->quiet && dial->events->anew != NULL)
		dial->events->anew(dial->arg, dial->peer_id);
}

void ike_v1_dial_quick_failed(struct ike_v1_dial *dial, const char *why)
{
	if (!again(dial, why))
		return;
	dial->quick_at = vd_now() + IKE_V1_RETRY_MS;
	watch(dial);
}

/* ---- the service ---- */
static int dial_configure(struct ike_v1_dial *dial, const char *name, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *c = vd_conf_child(vd_conf_at(conf, NULL, "connections"), name);

	if (c == NULL || !ike_v1_speaks(conf, c, "connect", "l2tp"))
		return vd_error_set(err, -ENOENT, "there is no connection %s with connect: [l2tp]", name);
	dial->key = vd_conf_key(vd_conf_at(conf, c, "l2tp.psk"));
	if (dial->key == 0)
		return vd_error_set(err, -ENOKEY, "connections.%s dials l2tp and has no l2tp.psk", name);
	dial->udp = strcmp(vd_conf_str(vd_conf_at(conf, c, "l2tp.encap")), "udp") == 0;
	const char *id = vd_conf_str(vd_conf_at(conf, c, "l2tp.id"));
	const char *peer_id = vd_conf_str(vd_conf_at(conf, c, "l2tp.peer_id"));
	vd_strcpy(dial->own_id, sizeof(dial->own_id), id != NULL ? id : "");
	vd_strcpy(dial->gateway_id, sizeof(dial->gateway_id), peer_id != NULL ? peer_id : "");
	const char *crypto = vd_conf_str(vd_conf_at(conf, c, "crypto"));
	int rc = ike_policy_load(conf, crypto != NULL ? crypto : "compatible", &dial->policy, err);
	return rc < 0 ? vd_error_prefix(err, "connections.%s: ", name) : 0;
}

static int connect_up(void *self, const struct vd_ike_connect *what, const struct vd_ike_connect_events *events, void *arg,
	uint64_t *ret_peer, struct vd_error *err)
{
	struct ike_v1 *v = self;
	struct ike_v1_dial *dial = calloc(1, sizeof(*dial));
	struct vd_path path = what->path;
	struct vd_peer *object;

	if (dial == NULL)
		return vd_error_set(err, -ENOMEM, "out of memory");
	int rc = dial_configure(dial, what->connection, err);
	if (rc < 0) {
		free(dial);
		return rc;
	}
	path.local.port = path.remote.port = 500;
	path.natt = false;
	dial->v = v;
	dial->events = events;
	dial->arg = arg;
	dial->phase1_at = dial->quick_at = UINT64_MAX;
	vd_strcpy(dial->upper, sizeof(dial->upper), what->upper);
	vd_timer_init(&dial->watch, watch_fired);
	object = vd_peer_new(path.endpoint, &path.local, &path.remote);
	dial->peer = object != NULL ? ike_v1_peer_add(v, object->id, &path) : NULL;
	if (dial->peer == NULL) {
		if (object != NULL)
			vd_peer_close(object->id, "out of memory");
		free(dial);
		return vd_error_set(err, -ENOSPC, "no more peers: gateway.max_peers, or memory, is used up");
	}
	dial->peer_id = object->id;
	vd_peer_ours(object->id);
	vd_strcpy(dial->peer->connection, sizeof(dial->peer->connection), what->connection);
	dial->peer->dial = dial;
	rc = ike_v1_phase1_dial(dial, &path);
	if (rc < 0) {
		dial->quiet = true;
		ike_v1_peer_end(dial->peer, "out of memory", false);
		return vd_error_set(err, rc, "out of memory");
	}
	*ret_peer = object->id;
	return 0;
}

static void connect_down(void *self, uint64_t id, const char *reason)
{
	struct ike_v1_peer *peer = ike_v1_peer_by_id(self, id);

	if (peer == NULL || peer->dial == NULL)
		return;
	peer->dial->quiet = true;
	ike_v1_peer_end(peer, reason, true);
}

int ike_v1_dial_service(struct ike_v1 *v)
{
	v->connect = (struct vd_ike_connect_1){ .self = v, .up = connect_up, .down = connect_down };
	return vd_service_provide(v->host, "ike.connect/1", NULL, &v->connect);
}
