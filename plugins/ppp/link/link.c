/* Life of a link: start, end, sending; service link/1. */
#include "link.h"
#include "ppp_stage.h"

#include <viaduct/bus.h>
#include <viaduct/conf.h>

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

struct ppp_link *ppp_link_find(struct ppp_self *self, uint64_t session)
{
	struct ppp_map_node *node = ppp_map_find(&self->links, session);

	return node ? VD_CONTAINER_OF(node, struct ppp_link, node) : NULL;
}

uint64_t ppp_knob(const struct ppp_link *link, const char *option)
{
	return vd_conf_uint(vd_conf_knob(vd_conf_current(), link->connection, "ppp", option));
}

struct vd_ids ppp_link_ids(const struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);

	return (struct vd_ids){ .peer = session ? session->peer : 0, .chan = session ? session->chan : 0,
		.session = link->node.id };
}

/* "LCP Configure-Request 1, 18 octets: MRU, magic": for a log of level debug. Of what authenticates, code and length alone. */
void ppp_link_debug(const struct ppp_link *link, const char *what, uint16_t protocol, const uint8_t *p, size_t len)
{
	static const struct { uint16_t protocol; const char *name; } names[] = { { PPP_LCP, "LCP" }, { PPP_IPCP, "IPCP" },
		{ PPP_IPV6CP, "IPV6CP" }, { PPP_CCP, "CCP" }, { 0xc023, "PAP" }, { 0xc223, "CHAP" }, { 0xc227, "EAP" } };
	static const char *const codes[] = { "code 0", "Configure-Request", "Configure-Ack", "Configure-Nak", "Configure-Reject",
		"Terminate-Request", "Terminate-Ack", "Code-Reject", "Protocol-Reject", "Echo-Request", "Echo-Reply",
		"Discard-Request", "Identification", "Time-Remaining" };
	static const char *const lcp[] = { [LCP_MRU] = "MRU", [LCP_ACCM] = "ACCM", [LCP_AUTH] = "authentication", [LCP_MAGIC] = "magic",
		[LCP_PFC] = "PFC", [LCP_ACFC] = "ACFC" };
	struct vd_ids ids;
	const char *name = NULL;
	char options[200] = "", number[24];
	size_t n = 0;
	bool cp = protocol == PPP_LCP || protocol == PPP_IPCP || protocol == PPP_IPV6CP || protocol == PPP_CCP;

	if (protocol == PPP_IP || protocol == PPP_IPV6)
		return;
	ids = ppp_link_ids(link);
	if (!vd_log_enabled(VD_LOG_DEBUG, "ppp", &ids))
		return;
	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++)
		name = names[i].protocol == protocol ? names[i].name : name;
	if (len < 4) {
		vd_log(VD_LOG_DEBUG, "ppp", &ids, "%s protocol %04x, %zu octets", what, protocol, len);
		return;
	}
	for (size_t at = 4; cp && p[0] >= PPP_CONF_REQ && p[0] <= PPP_CONF_REJ && at + 2 <= len && p[at + 1] >= 2; at += p[at + 1]) {
		uint8_t type = p[at];

		vd_format(number, sizeof(number), "option %u", type);
		n += vd_format(options + n, sizeof(options) - n, "%s%s", n ? ", " : ": ",
			protocol == PPP_LCP && type < VD_ARRAY_SIZE(lcp) && lcp[type] ? lcp[type] :
			protocol == PPP_IPCP && type == IPCP_ADDRESS ? "address" : protocol == PPP_IPCP && type == IPCP_DNS1 ? "DNS 1" :
			protocol == PPP_IPCP && type == IPCP_DNS2 ? "DNS 2" : protocol == PPP_IPV6CP && type == IPV6CP_INTERFACE ?
			"interface identifier" : number);
	}
	vd_strcpy(number, sizeof(number), name ? name : "");
	if (!name)
		vd_format(number, sizeof(number), "protocol %04x", protocol);
	if (cp && p[0] < VD_ARRAY_SIZE(codes))
		vd_log(VD_LOG_DEBUG, "ppp", &ids, "%s %s %s %u, %zu octets%s", what, number, codes[p[0]], p[1], len, options);
	else
		vd_log(VD_LOG_DEBUG, "ppp", &ids, "%s %s code %u, identifier %u, %zu octets", what, number, p[0], p[1], len);
}

void ppp_link_send(struct ppp_link *link, uint16_t protocol, const void *p, size_t len)
{
	uint8_t room[4 + PPP_MRU_DEFAULT];
	struct vd_wr w;

	if (!link->lower)
		return;
	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, 0xff03);
	vd_wr_u16(&w, protocol);
	vd_wr_put(&w, p, len);
	ppp_link_debug(link, "sent", protocol, p, len);
	/* What is lost here is repeated by its timer, as if the network had lost it. */
	if (!vd_wr_ok(&w) || link->lower->send(link->lower_arg, link->node.id, room, w.len) < 0)
		vd_count("ppp_link.send_failed", 1);
}

bool ppp_link_token(struct ppp_link *link)
{
	enum { FULL = 20000, EACH = 1000, PER_MS = 10 };
	uint64_t now = vd_now(), gained = now > link->tokens_at ? (now - link->tokens_at) * PER_MS : 0;

	link->tokens_at = now;
	link->tokens = gained > FULL - link->tokens ? FULL : link->tokens + (uint32_t)gained;
	if (link->tokens < EACH) {
		vd_count("ppp_link.drop.flood", 1);
		return false;
	}
	link->tokens -= EACH;
	return true;
}

void ppp_link_report(struct ppp_link *link, struct vd_report report)
{
	const struct vd_session *session = vd_session_find(link->node.id);

	/* A wrong password explains why its client gives up. */
	if (link->reported || link->failing || (session && session->refused))
		return;
	link->reported = true;
	report.session = link->node.id;
	report.connection = link->connection;
	report.dialled = link->dial;
	vd_report_failure(&report);
}

void ppp_link_close_session(struct ppp_link *link)
{
	if (link->session_closed)
		return;
	link->session_closed = true;
	vd_session_close(link->node.id, link->reason[0] ? link->reason : "the link ended", true);
}

void ppp_link_fail(struct ppp_link *link, struct vd_report report, const char *fmt, ...)
{
	char text[sizeof(link->reason)];
	va_list ap;

	if (link->failing || link->end.kind == PPP_END_GONE)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (report.kind == &ppp_fail_refused || report.kind == &vd_fail_resources) {
		report.stage = report.stage ? report.stage : ppp_link_stage(link);
		report.difference = report.difference ? report.difference : text;
	}
	if (report.kind)
		ppp_link_report(link, report);
	if (!link->reason[0])
		vd_strcpy(link->reason, sizeof(link->reason), text);
	link->failing = true;
	link->end.kind = PPP_END_FAIL;
	vd_timer_start(&link->end, 0);
}

void ppp_link_gone(struct ppp_link *link, const char *reason)
{
	if (!link->reason[0])
		vd_strcpy(link->reason, sizeof(link->reason), reason);
	link->failing = true;
	link->end.kind = PPP_END_GONE;
	vd_timer_start(&link->end, 0);
}

void ppp_link_free(struct ppp_link *link)
{
	if (link->auth_state)
		link->auth[link->auth_at].method->end(link->auth[link->auth_at].method->self, link->auth_state);
	vd_timer_stop(&link->open);
	vd_timer_stop(&link->setup);
	vd_timer_stop(&link->end);
	vd_timer_stop(&link->echo);
	ppp_cp_fini(&link->lcp);
	ppp_cp_fini(&link->ipcp);
	ppp_cp_fini(&link->ipv6cp);
	ppp_map_remove(&link->self->links, &link->node);
	free(link);
}

static void end_timer(struct vd_timer *t)
{
	struct ppp_link *link = VD_CONTAINER_OF(t, struct ppp_link, end);
	const struct vd_link_lower *lower = link->lower;
	void *arg = link->lower_arg;
	uint64_t session = link->node.id;
	char reason[VD_ID_TEXT];

	if (t->kind == PPP_END_FAIL) {
		ppp_cp_event(&link->lcp, PPP_EV_CLOSE);
		ppp_link_close_session(link);
		/* Where nothing was open there is nobody to say goodbye to. */
		if (link->lcp.state != PPP_CLOSING && t->kind != PPP_END_GONE)
			ppp_link_gone(link, "the link ended");
		return;
	}
	ppp_link_close_session(link);
	vd_strcpy(reason, sizeof(reason), link->reason);
	ppp_link_free(link);
	if (lower)
		lower->closed(arg, session, reason);
}

void ppp_link_open(struct ppp_link *link)
{
	vd_timer_stop(&link->open);
	ppp_cp_event(&link->lcp, PPP_EV_OPEN);
	ppp_cp_event(&link->lcp, PPP_EV_UP);
}

const char *ppp_link_stage(const struct ppp_link *link)
{
	static const char *const stages[PPP_PHASES] = { "lcp", "auth", "address", "ipcp", "ipcp", "ipcp" };

	return stages[link->phase];
}

static void open_timer(struct vd_timer *t)
{
	ppp_link_open(VD_CONTAINER_OF(t, struct ppp_link, open));
}

static void setup_timer(struct vd_timer *t)
{
	struct ppp_link *link = VD_CONTAINER_OF(t, struct ppp_link, setup);

	if (link->phase == PPP_PHASE_UP)
		return;
	ppp_link_fail(link, (struct vd_report){ .kind = &ppp_fail_timeout, .stage = ppp_link_stage(link),
		.count = ppp_knob(link, "setup_timeout") / 1000, .offered = ppp_fsm_name(link->lcp.state),
		.configured = ppp_fsm_name(link->ipcp.state) }, "%s's PPP was not up in time", ppp_peer(link));
}

/* What the channel leaves for a PPP information field behind an uncompressed header. */
static uint16_t channel_mru(const struct ppp_link *link)
{
	const struct vd_session *session = vd_session_find(link->node.id);
	const struct vd_chan_info *chan = session ? vd_chan_find(session->chan) : NULL;
	int mru = PPP_MRU_DEFAULT;

	if (chan && chan->mtu)
		mru = chan->mtu - link->overhead - 4;
	if (mru > PPP_MRU_DEFAULT)
		mru = PPP_MRU_DEFAULT;
	/* An IPv4 host takes 576 (RFC 791); smaller channels fragment outside. */
	return (uint16_t)(mru < PPP_MRU_MIN ? PPP_MRU_MIN : mru);
}

int ppp_link_start(void *self_, uint64_t session, const struct vd_link_lower *lower, void *arg,
	const struct vd_link_params *params)
{
	struct ppp_self *self = self_;
	struct ppp_link *link;
	struct vd_error err = { 0 };
	int r;

	if (!vd_session_find(session))
		return -ESTALE;
	if (ppp_link_find(self, session))
		return -EEXIST;
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->node.id = session;
	link->self = self;
	link->lower = lower;
	link->lower_arg = arg;
	link->overhead = params->overhead;
	link->dial = params->dial;
	vd_strcpy(link->connection, sizeof(link->connection), params->connection);
	link->peer.mru = PPP_MRU_DEFAULT;
	link->mru = channel_mru(link);
	link->ask_mru = link->mru != PPP_MRU_DEFAULT;
	link->ask_magic = link->ask_address = link->ask_id = true;
	link->id[IPV6CP_ID - 1] = 1; /* fe80::1 */
	while (!link->magic)
		vd_random_seen("magic", &link->magic, sizeof(link->magic));
	link->tokens = 20000;
	link->tokens_at = vd_now();
	vd_timer_init(&link->open, open_timer);
	vd_timer_init(&link->setup, setup_timer);
	vd_timer_init(&link->end, end_timer);
	vd_timer_init(&link->echo, ppp_echo_timer);
	ppp_cp_init(&link->lcp, &ppp_lcp, link);
	ppp_cp_init(&link->ipcp, link->dial ? &ppp_ipcp_client : &ppp_ipcp, link);
	ppp_cp_init(&link->ipv6cp, &ppp_ipv6cp, link);
	r = ppp_auth_list(link, &err);
	if (r < 0) {
		ppp_link_report(link, (struct vd_report){ .kind = &vd_fail_other, .stage = "lcp", .difference = err.text });
		goto fail;
	}
	r = self->dp->session_punt(self->dp->self, session, ppp_input, self);
	if (r < 0)
		goto fail;
	r = ppp_map_add(&self->links, &link->node);
	if (r < 0)
		goto fail;
	/* The first Configure-Request leaves when the caller is back, and an import may still replace what is here. */
	vd_timer_start(&link->open, 0);
	vd_timer_start(&link->setup, ppp_knob(link, "setup_timeout"));
	return 0;
fail:
	free(link);
	return r;
}

void ppp_link_stop(void *self, uint64_t session, const char *reason)
{
	struct ppp_link *link = ppp_link_find(self, session);

	if (link)
		ppp_link_fail(link, PPP_SAID, "%s", reason && reason[0] ? reason : "stopped");
}

void ppp_link_lower_down(void *self, uint64_t session, const char *reason)
{
	struct ppp_link *link = ppp_link_find(self, session);

	if (!link)
		return;
	link->lower = NULL;
	ppp_link_gone(link, reason && reason[0] ? reason : "the lower layer went down");
}
