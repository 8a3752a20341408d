/* IPCP toward a gateway that we dialled: it tells us our address and name servers (RFC 1332, RFC 1877). */
#include "link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Where the value of an option of ours is kept; NULL: we do not ask for that one. */
static struct vd_ip *place(struct ppp_link *link, uint8_t type)
{
	switch (type) {
	case IPCP_ADDRESS:
		return &link->given.address;
	case IPCP_DNS1:
		return &link->given.dns[0];
	case IPCP_DNS2:
		return &link->given.dns[1];
	default:
		return NULL;
	}
}

/* 0.0.0.0 is a question (RFC 1332 section 3.3). */
static void request(struct ppp_cp *cp, struct vd_wr *w)
{
	static const uint8_t types[] = { IPCP_ADDRESS, IPCP_DNS1, IPCP_DNS2 };
	struct ppp_link *link = cp->link;
	const bool ask[] = { link->ask_address, !link->no_dns[0], !link->no_dns[1] };

	for (size_t i = 0; i < VD_ARRAY_SIZE(types); i++) {
		if (!ask[i])
			continue;
		vd_wr_u8(w, types[i]);
		vd_wr_u8(w, 6);
		vd_wr_put(w, place(link, types[i])->a, 4);
	}
}

static void begin(struct ppp_cp *cp)
{
	cp->link->given.gateway = (struct vd_ip){ 0 };
}

static enum ppp_judgement option(struct ppp_cp *cp, uint8_t type, const uint8_t *data, size_t len, struct vd_wr *nak)
{
	struct vd_ip ip = { .family = AF_INET };
	struct vd_rd r;

	(void)nak;
	vd_rd_init(&r, data, len);
	vd_rd_copy(&r, ip.a, 4);
	/* Its own address is its business; we have none to give away. Compression (2) and the like are not spoken. */
	if (type != IPCP_ADDRESS || !vd_rd_done(&r) || vd_ip_is_any(&ip))
		return PPP_OPT_REJ;
	cp->link->given.gateway = ip;
	return PPP_OPT_ACK;
}

static void take(struct ppp_cp *cp)
{
	(void)cp; /* option() has kept it; a request that is refused is followed by another, which begins anew */
}

static void refused(struct ppp_cp *cp, bool reject, uint8_t type, const uint8_t *data, size_t len)
{
	struct ppp_link *link = cp->link;
	struct vd_ip ip = { .family = AF_INET }, *at = place(link, type);
	struct vd_rd r;

	vd_rd_init(&r, data, len);
	vd_rd_copy(&r, ip.a, 4);
	if (!at || (!reject && !vd_rd_done(&r)))
		return;
	if (!reject) {
		*at = ip;
		return;
	}
	*at = (struct vd_ip){ 0 };
	if (type == IPCP_ADDRESS)
		link->ask_address = false;
	else
		link->no_dns[type == IPCP_DNS2] = true;
}

static void terminate(struct ppp_cp *cp, const struct ppp_packet *packet)
{
	(void)packet;
	vd_note('s', cp->link->node.id, "the gateway terminates IPCP");
}

static void fail(struct ppp_link *link, const char *what)
{
	ppp_link_fail(link, (struct vd_report){ .kind = &vd_fail_other, .stage = "ipcp", .difference = what,
		.remedy = "see the gateway's log: it may have no address for this user" }, "%s", what);
}

static void up(struct ppp_cp *cp)
{
	struct ppp_link *link = cp->link;
	int r;

	if (link->phase != PPP_PHASE_NETWORK)
		return;
	if (link->given.address.family != AF_INET || vd_ip_is_any(&link->given.address)) {
		fail(link, "the gateway gave us no address");
		return;
	}
	/* A list that ends where the family is 0. */
	for (unsigned i = 0; i < 2; i++)
		if (vd_ip_is_any(&link->given.dns[i]))
			link->given.dns[i] = (struct vd_ip){ 0 };
	if (!link->given.dns[0].family) {
		link->given.dns[0] = link->given.dns[1];
		link->given.dns[1] = (struct vd_ip){ 0 };
	}
	r = vd_session_dialled(link->node.id, &link->given);
	if (r < 0)
		ppp_link_fail(link, PPP_RESOURCES, "the session cannot be configured: %s", strerror(-r));
	else
		ppp_phase_ncp(link, VD_WANT_V4, true);
}

static void down(struct ppp_cp *cp)
{
	(void)cp; /* the address cannot change: who wants another one is told to dial again */
}

static void finished(struct ppp_cp *cp)
{
	struct ppp_link *link = cp->link;

	if (link->phase == PPP_PHASE_UP)
		ppp_link_fail(link, PPP_SAID, "the gateway ended IPCP");
	else
		fail(link, "the gateway did not complete IPCP");
}

const struct ppp_cp_kind ppp_ipcp_client = {
	.protocol = PPP_IPCP,
	.name = "IPCP",
	.interval = ppp_cp_interval,
	.request = request,
	.begin = begin,
	.option = option,
	.accept = take,
	.refused = refused,
	.terminate = terminate,
	.up = up,
	.down = down,
	.finished = finished,
};
