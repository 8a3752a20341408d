/* net_dhcpv6: answers clients that ask by DHCPv6 for name servers, search domains and an address. The address is that which
 * their interface identifier makes in the session's own network, so that there is nothing to remember, and nothing to take
 * back: it ends with the session. */
#include "message.h"
#include "plugins/net/lib/ipv6.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/conf.h>
#include <viaduct/crypto.h>
#include <viaduct/datapath.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/session.h>

struct dhcpv6 {
	const struct vd_datapath_1 *dp;
	bool started;
	uint8_t duid[18];
	struct vd_log_limit limit;
};

/* DUID-UUID (RFC 6355) of the gateway's name: the same after every start, another one for another gateway. */
static void make_duid(uint8_t duid[18])
{
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "gateway.name"));
	struct vd_slice parts[] = { { "viaduct dhcpv6 ", 15 }, { name ? name : "", name ? strlen(name) : 0 } };
	uint8_t digest[64] = { 0 };
	size_t n = 0;

	memset(duid, 0, 18);
	duid[1] = 4;
	if (vd_digest_parts("SHA256", parts, 2, digest, &n) == 0)
		memcpy(duid + 2, digest, 16);
}

static void ignored(struct dhcpv6 *self, uint64_t session, const char *counter, const char *why)
{
	vd_count(counter, 1);
	vd_log_limited(&self->limit, VD_LOG_INFO, "dhcpv6", &(struct vd_ids){ .session = session },
		"a DHCPv6 message of the client was ignored: %s", why);
}

static void on_packet(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	const struct vd_session *s = vd_session_find(session);
	struct net_ipv6 in, head = { .protocol = NET_UDP, .hops = 64, .from = DHCP6_SERVER, .to = DHCP6_CLIENT };
	size_t front = net_ipv6_head(NET_UDP), n, room;
	struct dhcpv6 *self = arg;
	uint8_t out[NET_IPV6_ROOM];
	struct dhcp6_request q;
	const char *why;

	if (!s || s->state != VD_S_UP || !s->link_local[0].family) {
		vd_count("dhcpv6.drop.session", 1);
		return;
	}
	if (net_ipv6_read(p, len, &in, &why) < 0 || dhcp6_parse(in.body, in.len, &q, &why) < 0) {
		ignored(self, session, "dhcpv6.drop.malformed", why);
		return;
	}
	if (!net_ipv6_link_local(&in.src)) {
		ignored(self, session, "dhcpv6.drop.source", "it comes from an address of another kind than link-local");
		return;
	}
	struct dhcp6_facts f = { .duid = self->duid, .duid_len = sizeof(self->duid), .address = s->lease6.address,
		.network = { s->lease6.address, s->lease6.length }, .valid = NET_VALID, .preferred = NET_PREFERRED,
		.dns = s->lease6.dns, .n_dns = VD_ARRAY_SIZE(s->lease6.dns), .search = s->lease6.search };
	memcpy(f.address.a + 8, in.src.a + 8, 8);
	room = s->mtu < sizeof(out) ? s->mtu : sizeof(out);
	n = room > front ? dhcp6_answer(&q, in.dst.a[0] == 0xff, &f, out + front, room - front, &why) : 0;
	if (!n) {
		ignored(self, session, "dhcpv6.drop.refused", why);
		return;
	}
	head.src = s->link_local[0];
	head.dst = in.src;
	net_ipv6_wrap(out, front + n, &head);
	vd_count(self->dp->session_send(self->dp->self, session, out, front + n) < 0 ? "dhcpv6.not_sent" : "dhcpv6.answered", 1);
}

static int take(struct dhcpv6 *self, bool on)
{
	struct vd_inner_match match = { .protocol = NET_UDP, .port = DHCP6_SERVER };

	return self->dp->inner_input(self->dp->self, &match, on ? on_packet : NULL, self);
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct dhcpv6 *self = calloc(1, sizeof(*self));

	(void)host;
	if (!self)
		return vd_error_set(err, -ENOMEM, "out of memory");
	self->dp = vd_service_find("datapath/1", NULL);
	self->limit = (struct vd_log_limit)VD_LOG_LIMIT(5, 60000);
	if (!self->dp) {
		free(self);
		return vd_error_set(err, -ENOENT, "service datapath/1 is missing");
	}
	*ret_self = self;
	return 0;
}

static int start(void *arg, struct vd_error *err)
{
	struct dhcpv6 *self = arg;
	int ret = take(self, true);

	if (ret < 0)
		return vd_error_set(err, ret, "cannot take DHCPv6 from the data path: %s", strerror(-ret));
	make_duid(self->duid);
	self->started = true;
	return 0;
}

static void stop(void *arg)
{
	struct dhcpv6 *self = arg;

	if (self->started)
		take(self, false);
	self->started = false;
}

static void fini(void *arg)
{
	free(arg);
}

static const char *const provides[] = { "accept=l2tp", NULL };
static const char *const needs[] = { "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "dhcpv6", "an address and names for clients that ask by DHCPv6" },
	{ NULL, NULL },
};

VD_PLUGIN(net_dhcpv6, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "an address and names for clients that ask by DHCPv6",
	.provides = provides, .needs = needs, .init = init, .start = start, .stop = stop, .fini = fini);
