/* The session of a client with XAuth: its channel in tunnel mode, its link on the worker, its selectors. It comes up with
 * the first pair of SAs and goes with the peer. */
#include "v1.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void closed(void *arg, uint64_t session, const char *reason)
{
	const struct vd_session *s = vd_session_find(session);
	struct ike_v1_peer *peer = s != NULL ? ike_v1_peer_by_id(arg, s->peer) : NULL;

	if (peer == NULL)
		return;
	if (peer->session != session) {
		ike_v1_xauth_closed(peer, session);
		return;
	}
	ike_v1_peer_no_quick(peer);
	ike_v1_peer_end(peer, reason, true);
}

static const struct vd_session_owner owner = { .closed = closed };

static int attach(struct ike_v1_peer *peer)
{
	const struct vd_datapath_1 *dp = peer->v->dp;

	return dp->chan_attach(dp->self, peer->chan, &ike_tunnel_stage, NULL, NULL, NULL);
}

static int link_up(struct ike_v1_peer *peer)
{
	const struct vd_datapath_1 *dp = peer->v->dp;
	struct vd_link_desc link = { .chan = peer->chan, .key = IKE_TUNNEL_LINK, .session = peer->session,
		.up = &ike_tunnel_stage };

	return dp->link_add(dp->self, &link, NULL, NULL);
}

int ike_v1_tunnel_channel(struct ike_v1_peer *peer, const struct vd_path *path)
{
	const struct vd_esp_1 *esp = peer->v->esp;
	struct vd_path below = ike_v1_esp_path(path);
	uint64_t chan;

	if (peer->chan != 0)
		return 0;
	int rc = esp->chan_new(esp->self, peer->id, VD_ESP_TUNNEL, &below, "tunnel", &ike_v1_esp_events, peer->v, &chan);
	if (rc < 0)
		return rc;
	ike_v1_peer_set_chan(peer, chan);
	return attach(peer);
}

uint64_t ike_v1_tunnel_session(struct ike_v1_peer *peer, struct vd_error *err)
{
	return vd_session_new(peer->chan, peer->connection, &owner, peer->v, err);
}

int ike_v1_tunnel_taken(struct ike_v1_peer *peer, uint64_t session)
{
	peer->session = session;
	int rc = link_up(peer);
	if (rc < 0)
		peer->session = 0;
	return rc;
}

void ike_v1_tunnel_down(struct ike_v1_peer *peer)
{
	const struct vd_datapath_1 *dp = peer->v->dp;

	if (peer->session != 0 && !peer->v->silent)
		dp->link_del(dp->self, peer->chan, IKE_TUNNEL_LINK, NULL, NULL);
	peer->session = 0;
}

void ike_v1_tunnel_adopt(struct ike_v1_peer *peer)
{
	if (!peer->tunnel || peer->chan == 0)
		return;
	if (attach(peer) < 0 || (peer->session != 0 && (vd_session_adopt(peer->session, &owner, peer->v) < 0 || link_up(peer) < 0)))
		vd_count("ike_v1.import.no_channel", 1);
	for (struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		if (sa->xauth != NULL && sa->xauth->session != 0 && vd_session_adopt(sa->xauth->session, &owner, peer->v) < 0)
			vd_count("ike_v1.import.no_session", 1);
}

bool ike_v1_tunnel_pushes(const struct ike_v1_peer *peer)
{
	const struct vd_session *s = vd_session_find(peer->session);
	const struct vd_conf_node *all = s != NULL ? vd_conf_at(s->conf, NULL, "connections") : NULL;
	const struct vd_conf_node *one = all != NULL ? vd_conf_child(all, s->connection) : NULL;
	const char *how = one != NULL ? vd_conf_str(vd_conf_at(s->conf, one, "xauth.mode_config")) : NULL;

	return how != NULL && strcmp(how, "push") == 0;
}

/* ---- selectors ---- */
/* Everything, or a network of the connection's routes: IKEv1 has no way to narrow what a client wants. */
static bool served(const struct vd_session *s, const struct vd_prefix *want)
{
	struct vd_prefix routes[64];
	size_t too_many = 0, n = vd_session_routes(s, want->ip.family, routes, VD_ARRAY_SIZE(routes), &too_many);

	if (want->len == 0 || n == 0 || too_many > 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (routes[i].len <= want->len && vd_prefix_has(&routes[i], &want->ip))
			return true;
	return false;
}

const char *ike_v1_tunnel_selectors(const struct ike_v1_peer *peer, const struct ike_payload *ci,
	const struct ike_payload *cr, struct vd_prefix *ret_local)
{
	const struct vd_session *s = peer->session != 0 ? vd_session_find(peer->session) : NULL;
	struct ike_selector client, ours;

	if (s == NULL)
		return "it has no address yet";
	if (ci == NULL || cr == NULL)
		return "no selectors (IDci, IDcr)";
	if (!ike_selector_parse(ci->p, ci->len, &client) || !ike_selector_parse(cr->p, cr->len, &ours))
		return "a selector is no address, network, or range that is a network";
	if (client.proto != 0 || client.port != 0 || ours.proto != 0 || ours.port != 0)
		return "a selector is for one protocol or port alone";
	if (client.net.len != 32 || !vd_ip_equal(&client.net.ip, &s->lease4.address))
		return "the client's selector is not the address that it was given";
	if (ours.net.ip.family != AF_INET || !served(s, &ours.net))
		return "the selector of our side is not among the connection's routes";
	*ret_local = ours.net.len != 0 ? ours.net : (struct vd_prefix){ 0 };
	return NULL;
}

/* ---- up ---- */
static void established(void *arg, uint64_t session, const struct vd_error *err)
{
	const struct vd_session *s = vd_session_find(session);
	struct ike_v1_peer *peer = s != NULL ? ike_v1_peer_by_id(arg, s->peer) : NULL;

	if (err != NULL && peer != NULL && peer->session == session)
		ike_v1_peer_end(peer, err->text, true);
}

void ike_v1_tunnel_up(struct ike_v1_peer *peer)
{
	const struct vd_session *s = peer->session != 0 ? vd_session_find(peer->session) : NULL;
	const struct vd_chan_info *info = vd_chan_find(peer->chan);
	struct vd_wsess_desc desc = { .mtu = info != NULL ? info->mtu : 0, .v4 = { .bare = true } };

	if (s == NULL || s->state != VD_S_CONFIGURING)
		return; /* a rekey, or a further network */
	int rc = vd_session_establish(peer->session, &desc, established, peer->v);
	if (rc < 0 && rc != -EBUSY)
		ike_v1_peer_end(peer, "the session cannot be brought up", true);
}
