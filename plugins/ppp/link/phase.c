/* The phases after LCP: authentication by a method, the core's configure and establish, IPCP in between. Dialled, the
 * gateway decides instead of our core: authentication, IPCP, establish. */
#include "link.h"

#include <sys/socket.h>
#include <string.h>

void ppp_phase_lcp_up(struct ppp_link *link)
{
	const struct ppp_auth *auth;
	int r;

	if (link->dial && !link->peer.auth) {
		ppp_auth_unasked(link);
		return;
	}
	if (link->dial)
		link->auth_at = (uint8_t)(link->peer.auth - 1);
	auth = &link->auth[link->auth_at];
	link->ever_opened = true;
	link->spoke = false;
	link->phase = PPP_PHASE_AUTHENTICATE;
	link->auth_unknown = 0;
	for (unsigned i = 0; i < link->n_auth; i++)
		link->auth[i].refused = false;
	vd_note('s', link->node.id, "LCP open: mru %u, peer's mru %u, %s%s%s", link->mru, link->peer.mru, auth->name,
		link->peer.pfc ? ", pfc" : "", link->peer.acfc ? ", acfc" : "");
	ppp_echo_start(link);
	r = auth->method->start(auth->method->self, link->node.id, &ppp_auth_host, link, &link->auth_state);
	if (r < 0) {
		link->auth_state = NULL;
		char text[128];

		vd_format(text, sizeof(text), "%s could not start: %s", auth->name, strerror(-r));
		ppp_link_report(link, (struct vd_report){ .kind = VD_FAIL_RESOURCES, .stage = "auth", .difference = text });
		ppp_link_fail(link, "authentication could not start");
	}
}

void ppp_phase_lcp_down(struct ppp_link *link, bool terminating)
{
	const struct vd_ppp_auth_1 *method = link->auth[link->auth_at].method;
	uint8_t phase = link->phase;

	vd_timer_stop(&link->echo);
	if (link->auth_state)
		method->end(method->self, link->auth_state);
	link->auth_state = NULL;
	if (link->ipcp.state >= PPP_CLOSED)
		ppp_cp_event(&link->ipcp, PPP_EV_DOWN);
	link->phase = PPP_PHASE_ESTABLISH;
	if (terminating)
		ppp_link_close_session(link);
	else if (phase > PPP_PHASE_AUTHENTICATE)
		/* The RFC would let it begin again, and authenticate anew. A session is one login with its address and
		 * routes, and whoever begins anew here may be another user. Clients that lost their connection dial
		 * again from the key exchange on, so none depends on it: the safe answer is a Terminate-Request. */
		ppp_link_fail(link, "%s began LCP anew after authentication", ppp_peer(link));
}

/* ---- authentication ---- */
static void auth_send(void *host, uint16_t protocol, const uint8_t *p, size_t len)
{
	ppp_link_send(host, protocol, p, len);
}

static void network(struct ppp_link *link)
{
	link->phase = PPP_PHASE_NETWORK;
	ppp_cp_event(&link->ipcp, PPP_EV_OPEN);
	ppp_cp_event(&link->ipcp, PPP_EV_UP);
}

static void configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || link->phase != PPP_PHASE_CONFIGURE)
		return;
	if (err && err->code) {
		bool admit = stage && strcmp(stage, "admit") == 0;

		vd_note('s', session, "%s: %s", stage ? stage : "configure", err->text);
		ppp_link_fail(link, "%s", admit ? "not admitted" : "no address for this user");
		return;
	}
	network(link);
	if (link->early_len) {
		uint8_t len = link->early_len;

		link->early_len = 0;
		ppp_cp_input(&link->ipcp, link->early, len);
	}
}

static void accepted(void *host, const struct vd_authenticated *who)
{
	struct ppp_link *link = host;
	int r;

	if (link->failing || link->phase != PPP_PHASE_AUTHENTICATE)
		return;
	if (link->dial) {
		vd_note('s', link->node.id, "the gateway took us as %s with %s", who->user, link->auth[link->auth_at].name);
		network(link);
		return;
	}
	vd_note('s', link->node.id, "authenticated as %s by %s", who->user, link->auth[link->auth_at].name);
	link->phase = PPP_PHASE_CONFIGURE;
	r = vd_session_configure(link->node.id, VD_WANT_V4, configured, link->self);
	if (r < 0)
		ppp_link_fail(link, "the session cannot be configured: %s", strerror(-r));
}

static void rejected(void *host, const char *reason)
{
	struct ppp_link *link = host;

	if (link->phase == PPP_PHASE_AUTHENTICATE)
		ppp_link_fail(link, "%s", reason);
}

const struct vd_ppp_auth_host ppp_auth_host = { .send = auth_send, .accepted = accepted, .rejected = rejected };

/* ---- up ---- */
size_t ppp_phase_header(const struct ppp_link *link, uint8_t out[4])
{
	size_t n = 0;

	/* Compressed where the peer said it takes that. */
	if (!link->peer.acfc) {
		out[n++] = 0xff;
		out[n++] = 0x03;
	}
	if (!link->peer.pfc)
		out[n++] = 0;
	out[n++] = PPP_IP;
	return n;
}

static void established(void *arg, uint64_t session, const struct vd_error *err)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || link->phase != PPP_PHASE_BRING_UP)
		return;
	if (err && err->code) {
		ppp_link_fail(link, "the session could not be brought up: %s", err->text);
		return;
	}
	link->phase = PPP_PHASE_UP;
	vd_timer_stop(&link->setup);
}

void ppp_phase_ipcp_up(struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);
	const struct vd_chan_info *chan = session ? vd_chan_find(session->chan) : NULL;
	struct vd_wsess_desc desc = { .session = link->node.id };
	uint8_t header[4];
	size_t n = ppp_phase_header(link, header);
	int mtu = link->peer.mru, room, r;

	if (link->phase != PPP_PHASE_NETWORK)
		return; /* negotiated again: nothing that the workers know can have changed */
	if (!session) {
		ppp_link_fail(link, "the session is gone");
		return;
	}
	desc.chan = session->chan;
	room = chan && chan->mtu ? chan->mtu - link->overhead - (int)n : PPP_MRU_DEFAULT;
	if (mtu > room)
		mtu = room;
	if (mtu > PPP_MRU_DEFAULT)
		mtu = PPP_MRU_DEFAULT;
	desc.mtu = (uint16_t)(mtu < 68 ? 68 : mtu);
	link->lower->header(link->lower_arg, link->node.id, &desc.v4);
	if (desc.v4.len + n > sizeof(desc.v4.bytes)) {
		ppp_link_fail(link, "the headers of the lower layer are too long");
		return;
	}
	memcpy(desc.v4.bytes + desc.v4.len, header, n);
	desc.v4.len = (uint8_t)(desc.v4.len + n);
	vd_note('s', link->node.id, "IPCP open, mtu %u", desc.mtu);
	link->phase = PPP_PHASE_BRING_UP;
	r = vd_session_establish(link->node.id, &desc, established, link->self);
	if (r < 0)
		ppp_link_fail(link, "the session cannot be established: %s", strerror(-r));
}
