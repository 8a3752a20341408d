/* Is the peer alive? Echo-Requests when nothing else was heard (RFC 1661 section 5.8). */
#include "link.h"

#include <viaduct/conf.h>
#include <viaduct/quirk.h>

void ppp_echo_start(struct ppp_link *link)
{
	link->echo_lost = 0;
	link->echo_heard = false;
	vd_timer_start(&link->echo, ppp_knob(link, "echo_interval"));
}

/* How long a phone may be out of reach. */
static uint64_t sleeps(const struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);

	return session && !link->dial ? vd_peer_quirk_number(session->peer, VD_QUIRK_SLEEPS) : 0;
}

static void send_echo(struct ppp_link *link)
{
	uint64_t failures = ppp_knob(link, "echo_failures");
	uint8_t room[4];
	struct vd_wr w;

	if (!failures || link->echo_off)
		return;
	if (link->echo_lost >= failures && link->echo_lost * ppp_knob(link, "echo_interval") >= sleeps(link)) {
		ppp_link_fail(link, PPP_ODD_BEFORE_UP(link), "%s answered none of %u LCP echoes", ppp_peer(link), link->echo_lost);
		return;
	}
	if (link->echo_lost < UINT8_MAX)
		link->echo_lost++;
	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u32(&w, link->magic);
	link->echo_id = ppp_cp_send(&link->lcp, PPP_ECHO_REQ, room, w.len);
}

/* The worker knows whether data came: packets do not pass the control thread. */
static void counted(void *arg, uint64_t session, const struct vd_session_counters *counters)
{
	struct ppp_link *link = ppp_link_find(arg, session);

	if (!link || link->failing || link->lcp.state != PPP_OPENED)
		return;
	if (counters && counters->packets_in != link->echo_packets) {
		link->echo_packets = counters->packets_in;
		link->echo_lost = 0;
		return;
	}
	send_echo(link);
}

void ppp_echo_timer(struct vd_timer *t)
{
	struct ppp_link *link = VD_CONTAINER_OF(t, struct ppp_link, echo);
	const struct vd_datapath_1 *dp = link->self->dp;

	if (link->lcp.state != PPP_OPENED || link->failing)
		return;
	vd_timer_start(t, ppp_knob(link, "echo_interval"));
	if (link->echo_heard) {
		link->echo_heard = false;
		link->echo_lost = 0;
		return;
	}
	if (link->phase != PPP_PHASE_UP || dp->session_counters(dp->self, link->node.id, counted, link->self) < 0)
		send_echo(link);
}
