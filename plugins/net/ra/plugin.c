/* net_ra: we are the router of clients that have IPv6. Router Advertisements (RFC 4861) tell them their network, from which
 * they make addresses (RFC 4862), the way out, name servers, and the link's MTU; and whoever asks on the link whether we
 * are there (Neighbor Solicitation, echo) hears so. The kernel cannot do this: the link ends at the session, not at the
 * TUN device. No farewell is sent: with the link its address and routes go from the client. */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/conf.h>
#include <viaduct/datapath.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/session.h>
#include <viaduct/state.h>
#include <viaduct/topics.h>

/* RFC 4861 section 10. */
#define INITIAL 3           /* advertisements at the beginning of a link ... */
#define INITIAL_MS 16000u   /* ... at most so far apart */
#define BETWEEN_MS 3000u    /* at least between two to all nodes */
#define ANSWER_MS 500u      /* at least between two answers to one client: a client asks three times in all */
#define BUCKETS 1024u
#define CLIENTS_MAX 1000000u /* of an import */

struct client { /* a session that carries IPv6 */
	struct client *next;
	struct ra *self;
	uint64_t session;
	struct vd_timer timer;
	uint8_t sent;                 /* of the initial ones */
	bool told, answered;          /* the times below are set */
	uint64_t told_at, answered_at; /* to all nodes; to one who asked */
};

struct ra {
	const struct vd_datapath_1 *dp;
	struct client *clients[BUCKETS];
	bool started;
	struct vd_log_limit limit;
};

static struct client **place(struct ra *self, uint64_t session)
{
	struct client **at = &self->clients[session % BUCKETS];

	while (*at && (*at)->session != session)
		at = &(*at)->next;
	return at;
}

static uint64_t knob(const struct vd_session *s, const char *option)
{
	return vd_conf_uint(vd_conf_knob(vd_conf_current(), s->connection, "ra", option));
}

static void advertise(struct client *c, const struct vd_ip *to)
{
	const struct vd_session *s = vd_session_find(c->session);
	struct vd_prefix routes[RA_ROUTES];
	uint8_t out[NET_IPV6_ROOM];
	size_t too_many; /* what does not fit is left out of the message as well */

	if (!s || s->state != VD_S_UP || !s->link_local[0].family)
		return;
	uint32_t seconds = (uint32_t)(knob(s, "interval") / 1000), lifetime = (uint32_t)(knob(s, "lifetime") / 1000);
	struct ra_facts f = { .network = { s->lease6.address, s->lease6.length }, .valid = NET_VALID, .preferred = NET_PREFERRED,
		.managed = vd_conf_bool(vd_conf_knob(vd_conf_current(), s->connection, "ra", "managed")),
		.other = vd_conf_bool(vd_conf_knob(vd_conf_current(), s->connection, "ra", "other")), .mtu = s->mtu,
		.dns = s->lease6.dns, .n_dns = VD_ARRAY_SIZE(s->lease6.dns), .search = s->lease6.search,
		.dns_lifetime = 3 * seconds, .routes = routes, .route_lifetime = lifetime };
	f.n_routes = vd_session_routes(s, AF_INET6, routes, VD_ARRAY_SIZE(routes), &too_many);
	f.lifetime = (uint16_t)(vd_session_routes_all(s) ? lifetime : 0);
	size_t len = ra_advert(&f, &s->link_local[0], to, out, s->mtu < sizeof(out) ? s->mtu : sizeof(out));
	if (!len || c->self->dp->session_send(c->self->dp->self, s->id, out, len) < 0)
		vd_count("ra.not_sent", 1);
	else
		vd_count("ra.sent", 1);
}

static uint32_t random_between(uint32_t least, uint32_t most)
{
	uint32_t x;

	vd_random_seen("ra", &x, sizeof(x));
	return least + (most > least ? x % (most - least + 1) : 0);
}

/* To all nodes of the link, which is the client; and when the next one is due. RFC 4861 section 6.2.4. */
static void tell_all(struct client *c)
{
	const struct vd_session *s = vd_session_find(c->session);
	struct vd_ip all = net_ipv6_all_nodes();
	uint32_t most, wait;

	advertise(c, &all);
	c->told = true;
	c->told_at = vd_now();
	if (c->sent < INITIAL)
		c->sent++;
	most = s ? (uint32_t)knob(s, "interval") : INITIAL_MS;
	wait = random_between(most / 3 > BETWEEN_MS ? most / 3 : BETWEEN_MS, most);
	if (c->sent < INITIAL && wait > INITIAL_MS)
		wait = INITIAL_MS;
	vd_timer_start(&c->timer, wait);
}

static void on_timer(struct vd_timer *t)
{
	tell_all(VD_CONTAINER_OF(t, struct client, timer));
}

static struct client *client_new(struct ra *self, uint64_t session)
{
	struct client **at = place(self, session);

	if (*at)
		return *at;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return NULL;
	(*at)->self = self;
	(*at)->session = session;
	vd_timer_init(&(*at)->timer, on_timer);
	return *at;
}

static void client_free(struct client **at)
{
	struct client *c = *at;

	vd_timer_stop(&c->timer);
	*at = c->next;
	free(c);
}

static void on_ipv6(void *arg, const void *event)
{
	const struct vd_session_ipv6 *e = event;
	struct ra *self = arg;
	struct client **at = place(self, e->session), *c;

	if (!e->up) {
		if (*at)
			client_free(at);
		return;
	}
	c = client_new(self, e->session);
	if (!c) {
		vd_count("ra.no_memory", 1); /* whoever asks is answered all the same when there is some again */
		return;
	}
	c->sent = 0;
	tell_all(c);
}

static void on_down(void *arg, const void *event)
{
	const struct vd_session_down *e = event;
	struct client **at = place(arg, e->session);

	if (*at)
		client_free(at);
}

/* ---- what clients ask ---- */
static void solicited(struct client *c, const struct net_ipv6 *in)
{
	uint64_t now = vd_now();

	if (!vd_ip_is_any(&in->src)) {
		if (c->answered && now - c->answered_at < ANSWER_MS) {
			vd_count("ra.drop.flood", 1);
			return;
		}
		c->answered = true;
		c->answered_at = now;
		advertise(c, &in->src);
	} else if (!c->told || now - c->told_at >= BETWEEN_MS) {
		tell_all(c);
	} else if (vd_timer_left(&c->timer) > BETWEEN_MS - (now - c->told_at)) {
		vd_timer_start(&c->timer, BETWEEN_MS - (now - c->told_at));
	}
}

static bool ours(const struct vd_session *s, const struct vd_ip *ip)
{
	return vd_ip_equal(ip, &s->link_local[0]) || vd_ip_equal(ip, &s->lease6.gateway);
}

static void on_packet(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	const struct vd_session *s = vd_session_find(session);
	struct ra *self = arg;
	struct client *c = *place(self, session);
	uint8_t out[NET_IPV6_ROOM];
	struct net_ipv6 in;
	struct vd_ip target;
	const char *why;
	size_t n;

	if (!s || s->state != VD_S_UP || !s->link_local[0].family) {
		vd_count("ra.drop.session", 1);
		return;
	}
	if (net_ipv6_read(p, len, &in, &why) < 0 || in.protocol != NET_ICMPV6 || !in.len ||
		(in.body[0] != RA_ECHO && ra_check(&in, &target, &why) < 0)) {
		vd_count("ra.drop.malformed", 1);
		vd_log_limited(&self->limit, VD_LOG_INFO, "ra", &(struct vd_ids){ .session = session },
			"an ICMPv6 message of the client was ignored: %s", why);
		return;
	}
	if (in.body[0] == RA_SOLICIT) {
		c = c ? c : client_new(self, session);
		if (c)
			solicited(c, &in);
		return;
	}
	/* Echo to us or to all that are here; a Neighbor Solicitation for an address that is ours. */
	if (in.body[0] == RA_ECHO && (ours(s, &in.dst) || in.dst.a[0] == 0xff))
		n = ra_echo_reply(&in, &s->link_local[0], out, sizeof(out));
	else if (in.body[0] == RA_NEIGHBOR && ours(s, &target))
		n = ra_neighbor_advert(&in, &target, out, sizeof(out));
	else
		return; /* the client looks whether its own address is free: it is, and silence says so */
	if (!n || self->dp->session_send(self->dp->self, session, out, n) < 0)
		vd_count("ra.not_sent", 1);
}

static int take(struct ra *self, bool on)
{
	static const uint16_t types[] = { RA_SOLICIT, RA_NEIGHBOR, RA_ECHO };
	int ret = 0;

	for (size_t i = 0; i < VD_ARRAY_SIZE(types) && ret >= 0; i++) {
		struct vd_inner_match match = { .protocol = NET_ICMPV6, .port = types[i] };

		ret = self->dp->inner_input(self->dp->self, &match, on ? on_packet : NULL, self);
	}
	return ret;
}

/* ---- state: what is due when ---- */
static void put_ago(struct vd_wr *w, bool set, uint64_t at)
{
	vd_wr_u8(w, set);
	vd_wr_u64(w, set ? vd_now() - at : 0);
}

static uint64_t get_ago(struct vd_rd *r, bool *ret_set)
{
	*ret_set = vd_rd_u8(r);
	return vd_now() - vd_rd_u64(r);
}

static int ra_export(void *arg, struct vd_wr *w, struct vd_error *err)
{
	struct ra *self = arg;
	uint32_t n = 0;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct client *c = self->clients[i]; c; c = c->next)
			n++;
	vd_wr_u32(w, n);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct client *c = self->clients[i]; c; c = c->next) {
			vd_wr_u64(w, c->session);
			vd_wr_u64(w, vd_timer_left(&c->timer));
			vd_wr_u8(w, c->sent);
			put_ago(w, c->told, c->told_at);
			put_ago(w, c->answered, c->answered_at);
		}
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "no room for what net_ra knows");
}

static int ra_import(void *arg, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	uint32_t n = vd_rd_u32(r);
	struct ra *self = arg;

	(void)mode;
	if (version != 1 || n > CLIENTS_MAX)
		return vd_error_set(err, -EPROTO, "router advertisements were exported in version %u, which is not known here", version);
	for (; n && vd_rd_ok(r); n--) {
		uint64_t session = vd_rd_u64(r), left = vd_rd_u64(r);
		struct client *c = *place(self, session) ? NULL : client_new(self, session);

		if (!c)
			return vd_error_set(err, -EBADMSG, "a session is there twice, or memory is short");
		c->sent = vd_rd_u8(r);
		c->told_at = get_ago(r, &c->told);
		c->answered_at = get_ago(r, &c->answered);
		if (left != UINT64_MAX)
			vd_timer_start(&c->timer, left);
	}
	return vd_rd_ok(r) ? 0 : vd_error_set(err, -EBADMSG, "the state of net_ra is cut short");
}

static const struct vd_layer layer = { .name = "net_ra", .version = 1, .export_ = ra_export, .import = ra_import };

/* ---- life ---- */
static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct ra *self = calloc(1, sizeof(*self));
	int ret = self ? 0 : -ENOMEM;

	if (ret == 0) {
		self->dp = vd_service_find("datapath/1", NULL);
		self->limit = (struct vd_log_limit)VD_LOG_LIMIT(5, 60000);
		ret = self->dp ? 0 : -ENOENT;
	}
	if (ret == 0)
		ret = vd_event_subscribe(host, "session_ipv6", on_ipv6, self);
	if (ret == 0)
		ret = vd_event_subscribe(host, "session_down", on_down, self);
	if (ret == 0)
		ret = vd_layer_register(host, &layer, self);
	if (ret < 0) {
		free(self);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	*ret_self = self;
	return 0;
}

static int start(void *arg, struct vd_error *err)
{
	struct ra *self = arg;
	int ret = take(self, true);

	if (ret < 0)
		return vd_error_set(err, ret, "cannot take ICMPv6 from the data path: %s", strerror(-ret));
	self->started = true;
	return 0;
}

static void stop(void *arg)
{
	struct ra *self = arg;

	if (self->started)
		take(self, false);
	self->started = false;
}

static void fini(void *arg)
{
	struct ra *self = arg;

	for (size_t i = 0; i < BUCKETS; i++)
		while (self->clients[i])
			client_free(&self->clients[i]);
	free(self);
}

#define KNOBS(at, knob, managed, other, interval, lifetime) \
	{ at, VD_T_MAP, 0, NULL, NULL, "Router advertisements to clients with IPv6; each option may also stand in a connection." }, \
	{ at ".managed", VD_T_BOOL, VD_OPT_LIVE | (knob), managed, NULL, "Clients are told to ask for an address by DHCPv6 (M)." }, \
	{ at ".other", VD_T_BOOL, VD_OPT_LIVE | (knob), other, NULL, "Clients are told to ask for name servers by DHCPv6 (O)." }, \
	{ at ".interval", VD_T_DURATION, VD_OPT_LIVE | (knob), interval, "4s..30m", "The longest time between two of them." }, \
	{ at ".lifetime", VD_T_DURATION, VD_OPT_LIVE | (knob), lifetime, "0s..150m", \
		"How long we are the client's default router without another one; 0s: never. With a list of routes in the " \
		"connection these lead here instead." }

static const struct vd_opt schema[] = {
	KNOBS("ra", VD_OPT_KNOB, "false", "true", "10m", "30m"),
	KNOBS("connections.*.ra", 0, NULL, NULL, NULL, NULL),
	{ NULL },
};
static const char *const provides[] = { "accept=l2tp", NULL };
static const char *const needs[] = { "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "ra", "router advertisements to clients with IPv6" },
	{ NULL, NULL },
};

VD_PLUGIN(net_ra, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "router advertisements to clients with IPv6",
	.provides = provides, .needs = needs, .schema = schema, .init = init, .start = start, .stop = stop, .fini = fini);
