/* The phases after LCP: authentication by a method, the core's configure and establish, IPCP in between. Dialled, the
 * gateway decides instead of our core: authentication, IPCP, establish. */
#include "link.h"

#include <sys/socket.h>
#include <errno.h>
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
		ppp_link_fail(link, (struct vd_report){ .kind = &vd_fail_resources, .difference = text }, "authentication could not start");
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
	if (link->ipv6cp.state >= PPP_CLOSED)
		ppp_cp_event(&link->ipv6cp, PPP_EV_DOWN);
	link->phase = PPP_PHASE_ESTABLISH;
	if (terminating)
		ppp_link_close_session(link);
	else if (phase > PPP_PHASE_AUTHENTICATE)
		/* The RFC would let it begin again, and authenticate anew. A session is one login with its address and
		 * routes, and whoever begins anew here may be another user. Clients that lost their connection dial
		 * again from the key exchange on, so none depends on it: the safe answer is a Terminate-Request. */
		ppp_link_fail(link, PPP_ODD, "%s began LCP anew after authentication", ppp_peer(link));
}

/* ---- authentication ---- */
static void auth_send(void *host, uint16_t protocol, const uint8_t *p, size_t len)
{
	ppp_link_send(host, protocol, p, len);
}

size_t ppp_phase_header(const struct ppp_link *link, enum ppp_protocol protocol, uint8_t out[4])
{
	size_t n = 0;

	/* Compressed where the peer said it takes that. */
	if (!link->peer.acfc) {
		out[n++] = 0xff;
		out[n++] = 0x03;
	}
	if (!link->peer.pfc)
		out[n++] = 0;
	out[n++] = (uint8_t)protocol; /* their first octet is 0 */
	return n;
}

/* The largest packet toward the client. */
static uint16_t mtu_of(const struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);
	const struct vd_chan_info *chan = session ? vd_chan_find(session->chan) : NULL;
	uint8_t header[4];
	int mtu = link->peer.mru, room = PPP_MRU_DEFAULT;

	if (chan && chan->mtu)
		room = chan->mtu - link->overhead - (int)ppp_phase_header(link, PPP_IP, header);
	if (mtu > room)
		mtu = room;
	if (mtu > PPP_MRU_DEFAULT)
		mtu = PPP_MRU_DEFAULT;
	return (uint16_t)(mtu < PPP_MRU_MIN ? PPP_MRU_MIN : mtu);
}

static void start_cp(struct ppp_cp *cp)
{
	ppp_cp_event(cp, PPP_EV_OPEN);
	ppp_cp_event(cp, PPP_EV_UP);
}

/* The link is large enough for IPv6 (RFC 8200 section 5); if not, the timeline says so. */
static bool carries_ipv6(struct ppp_link *link)
{
	unsigned mtu = mtu_of(link);

	if (mtu < IPV6CP_MTU)
		vd_note('s', link->node.id, "no IPv6: the link carries %u octets, and IPv6 needs %u", mtu, IPV6CP_MTU);
	return mtu >= IPV6CP_MTU;
}

/* IPCP begins; IPV6CP waits for the client, unless nothing else can come. */
static void network(struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);

	link->phase = PPP_PHASE_NETWORK;
	link->may = VD_WANT_V4;
	link->no_v6 = link->dial;
	if (!link->dial && session) {
		link->may = session->lease4.address.family ? VD_WANT_V4 : 0;
		if (session->lease6.address.family && carries_ipv6(link))
			link->may |= VD_WANT_V6;
	}
	if (!link->may)
		ppp_link_fail(link, PPP_ODD, "there is no address for this user that the link could carry");
	else
		start_cp(link->may & VD_WANT_V4 ? &link->ipcp : &link->ipv6cp);
}

static void leased6(void *arg, uint64_t session, const struct vd_error *err)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || !link->asking6)
		return;
	link->asking6 = false;
	if (err && err->code) {
		link->no_v6 = true;
	} else {
		link->may |= VD_WANT_V6;
		link->leases6++;
	}
	ppp_early(link);
	if (link->no_v6 && link->ipcp.state < PPP_REQ_SENT)
		ppp_link_fail(link, PPP_ODD, "IPCP ended, and there is no IPv6");
}

bool ppp_phase_ipv6(struct ppp_link *link)
{
	int r;

	/* What we closed (it did not converge) stays closed: the automaton tells the client. */
	if (link->no_v6 || link->ipv6cp.state == PPP_CLOSED)
		return false;
	if (link->may & VD_WANT_V6) {
		if (link->ipv6cp.state < PPP_CLOSED)
			start_cp(&link->ipv6cp);
		return false;
	}
	link->no_v6 = !carries_ipv6(link);
	if (link->no_v6)
		return false;
	r = vd_session_lease6(link->node.id, leased6, link->self);
	link->no_v6 = r < 0;
	link->asking6 = r >= 0;
	if (r < 0)
		vd_note('s', link->node.id, "no IPv6: a network cannot be asked for: %s", strerror(-r));
	return link->asking6;
}

void ppp_phase_ipv6_over(struct ppp_link *link)
{
	int r;

	/* Who begins and ends it over and over makes each lease a write to the disk. */
	if (link->failing || link->leases6 >= PPP_LEASES6_MAX)
		return;
	r = vd_session_return6(link->node.id);
	if (r < 0 && r != -EINVAL) /* -EINVAL: there is none */
		vd_note('s', link->node.id, "the network stays until the session ends: %s", strerror(-r));
	if (r < 0)
		return;
	link->may &= (uint8_t)~VD_WANT_V6;
	/* The core carries it no longer, also in a session that is still being brought up: begun anew, it is told anew. */
	link->carried &= (uint8_t)~VD_WANT_V6;
}

static void configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || link->phase != PPP_PHASE_CONFIGURE)
		return;
	if (err && err->code) {
		bool admit = stage && strcmp(stage, "admit") == 0;

		vd_note('s', session, "%s: %s", stage ? stage : "configure", err->text);
		ppp_link_fail(link, PPP_SAID, "%s", admit ? "not admitted" : "no address for this user");
		return;
	}
	network(link);
	ppp_early(link);
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
	r = vd_session_configure(link->node.id, VD_WANT_V4 | VD_WANT_V6_LATER, configured, link->self);
	if (r < 0)
		ppp_link_fail(link, PPP_RESOURCES, "the session cannot be configured: %s", strerror(-r));
}

static void rejected(void *host, const char *reason)
{
	struct ppp_link *link = host;

	if (link->phase == PPP_PHASE_AUTHENTICATE)
		ppp_link_fail(link, PPP_SAID, "%s", reason);
}

const struct vd_ppp_auth_host ppp_auth_host = { .send = auth_send, .accepted = accepted, .rejected = rejected };

/* ---- up ---- */
/* What the workers need to know of the link with these families. -EMSGSIZE: the headers of the lower layer are too long. */
static int describe(struct ppp_link *link, unsigned families, struct vd_wsess_desc *desc)
{
	static const struct {
		unsigned family;
		enum ppp_protocol protocol;
	} all[] = { { VD_WANT_V4, PPP_IP }, { VD_WANT_V6, PPP_IPV6 } };
	static const uint8_t nothing[IPV6CP_ID];

	for (unsigned i = 0; i < VD_ARRAY_SIZE(all); i++) {
		struct vd_hdr *hdr = all[i].family == VD_WANT_V6 ? &desc->v6 : &desc->v4;
		uint8_t header[4];
		size_t n = ppp_phase_header(link, all[i].protocol, header);

		if (!(families & all[i].family))
			continue;
		link->lower->header(link->lower_arg, link->node.id, hdr);
		if (hdr->len + n > sizeof(hdr->bytes))
			return -EMSGSIZE;
		memcpy(hdr->bytes + hdr->len, header, n);
		hdr->len = (uint8_t)(hdr->len + n);
	}
	for (unsigned i = 0; i < 2 && families & VD_WANT_V6; i++) {
		const uint8_t *id = i ? link->peer_id : link->id;

		if (i && !memcmp(id, nothing, IPV6CP_ID))
			continue;
		desc->link_local[i] = (struct vd_ip){ .family = AF_INET6, .a = { 0xfe, 0x80 } };
		memcpy(desc->link_local[i].a + 8, id, IPV6CP_ID);
	}
	return 0;
}

/* It opened, and packets of it will not pass: it ends alone, with a Terminate-Request (RFC 1661 section 5.5), and stays
 * closed. The other goes on; where there is none, the link has no use. */
static void not_added(struct ppp_link *link, unsigned family, int code)
{
	struct ppp_cp *cp = family == VD_WANT_V6 ? &link->ipv6cp : &link->ipcp;
	char text[VD_ID_TEXT];

	vd_format(text, sizeof(text), "%s could not be added: %s", family == VD_WANT_V6 ? "IPv6" : "IPv4", strerror(-code));
	link->open_now &= (uint8_t)~family;
	if (!ppp_phase_other(cp)) {
		ppp_link_fail(link, PPP_RESOURCES, "%s", text);
		return;
	}
	vd_note('s', link->node.id, "%s", text);
	ppp_cp_event(cp, PPP_EV_CLOSE);
}

/* The core has to know of a protocol that opened or closed while the session is up. Its answer is final: no command that
 * it could give to the workers fails later. */
static void carry(struct ppp_link *link)
{
	struct vd_wsess_desc desc = { .session = link->node.id };
	unsigned joins = link->open_now & ~link->carried;
	int r;

	if (link->carried == link->open_now || !link->lower)
		return;
	r = describe(link, link->open_now, &desc);
	if (r >= 0)
		r = vd_session_carry(link->node.id, &desc);
	if (r < 0)
		vd_count("ppp_link.carry_failed", 1);
	if (r < 0 && joins) {
		not_added(link, joins, r);
		return;
	}
	/* What has left and the workers still carry is packets that the peer does not take: harm to nobody. They are told
	 * with the next change, or when the network goes back. */
	if (r < 0)
		vd_note('s', link->node.id, "%s could not be taken away: %s",
			link->carried & ~link->open_now & VD_WANT_V6 ? "IPv6" : "IPv4", strerror(-r));
	link->carried = link->open_now;
}

static void established(void *arg, uint64_t session, const struct vd_error *err)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || link->phase != PPP_PHASE_BRING_UP)
		return;
	if (err && err->code) {
		ppp_link_fail(link, PPP_SAID, "the session could not be brought up: %s", err->text);
		return;
	}
	link->phase = PPP_PHASE_UP;
	vd_timer_stop(&link->setup);
	carry(link);
}

static void bring_up(struct ppp_link *link, const char *name)
{
	const struct vd_session *session = vd_session_find(link->node.id);
	struct vd_wsess_desc desc = { .session = link->node.id };
	int r;

	if (!session) {
		ppp_link_fail(link, PPP_SAID, "the session is gone");
		return;
	}
	desc.chan = session->chan;
	desc.mtu = mtu_of(link);
	if (describe(link, link->open_now, &desc) < 0) {
		ppp_link_fail(link, PPP_RESOURCES, "the headers of the lower layer are too long");
		return;
	}
	vd_note('s', link->node.id, "%s open, mtu %u", name, desc.mtu);
	link->phase = PPP_PHASE_BRING_UP;
	link->carried = link->open_now;
	r = vd_session_establish(link->node.id, &desc, established, link->self);
	if (r < 0)
		ppp_link_fail(link, PPP_RESOURCES, "the session cannot be established: %s", strerror(-r));
}

void ppp_phase_ncp(struct ppp_link *link, unsigned family, bool open)
{
	const char *name = family == VD_WANT_V6 ? "IPV6CP" : "IPCP";
	unsigned before = link->open_now;

	link->open_now = (uint8_t)(open ? before | family : before & ~family);
	if (link->failing || link->open_now == before)
		return; /* negotiated again: nothing that the workers know can have changed */
	if (link->phase == PPP_PHASE_NETWORK && open) {
		bring_up(link, name);
		return;
	}
	if (open)
		vd_note('s', link->node.id, "%s open", name);
	if (link->phase == PPP_PHASE_UP)
		carry(link);
}

bool ppp_phase_other(const struct ppp_cp *cp)
{
	const struct ppp_link *link = cp->link;
	const struct ppp_cp *other = cp == &link->ipcp ? &link->ipv6cp : &link->ipcp;

	/* A client that asked for IPv6 and waits for the lease is negotiating. */
	return !link->failing && (other->state >= PPP_REQ_SENT || (other == &link->ipv6cp && link->asking6));
}
