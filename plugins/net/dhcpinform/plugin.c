/* net_dhcpinform: answers the DHCPINFORM that Windows, macOS and others send through the tunnel once it is up: name servers,
 * search domains, and the connection's routes, which are split tunnelling for clients that learn them in no other way. It
 * gives no addresses: those come by IPCP. */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/conf.h>
#include <viaduct/datapath.h>
#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/session.h>
#include <viaduct/topics.h>

#define DHCPINFORM 8
enum { UDP = 17 };

struct pool { /* an address of ours that clients of a pool know; of several pools with the same one, one has it */
	struct pool *next;
	struct vd_pool_up facts;
	bool taken;
};

struct inform {
	const struct vd_datapath_1 *dp;
	struct pool *pools;
	bool started;
	struct vd_log_limit limit;
};

static void answer(struct inform *self, const struct vd_session *s, const struct inform_request *q)
{
	struct vd_prefix routes[INFORM_ROUTES];
	uint8_t out[INFORM_ROOM];
	size_t left_out = 0, too_many = 0, mtu = s->mtu && s->mtu < sizeof(out) ? s->mtu : sizeof(out);
	struct inform_facts f = { .gateway = s->lease4.gateway, .dns = s->lease4.dns, .n_dns = VD_ARRAY_SIZE(s->lease4.dns),
		.wins = s->lease4.wins, .n_wins = VD_ARRAY_SIZE(s->lease4.wins), .search = s->lease4.search, .routes = routes };
	int n;

	f.n_routes = vd_session_routes(s, AF_INET, routes, VD_ARRAY_SIZE(routes), &too_many);
	n = inform_answer(q, &f, mtu, out, sizeof(out), &left_out);
	if (n < 0 || self->dp->session_send(self->dp->self, s->id, out, (size_t)n) < 0) {
		vd_count("dhcpinform.not_sent", 1);
		return;
	}
	vd_count("dhcpinform.answered", 1);
	if (left_out + too_many)
		vd_log_limited(&self->limit, VD_LOG_WARNING, "dhcpinform", &(struct vd_ids){ .session = s->id },
			"%zu of %s's routes do not fit into the answer: make fewer of them, or a full tunnel of it", left_out + too_many,
			s->connection);
}

static void on_packet(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	const struct vd_session *s = vd_session_find(session);
	struct inform *self = arg;
	struct inform_request q;
	const char *why;

	if (!s || s->state != VD_S_UP || s->dialled) {
		vd_count("dhcpinform.drop.session", 1);
	} else if (inform_parse(p, len, &q, &why) < 0) {
		vd_count("dhcpinform.drop.malformed", 1);
		vd_log_limited(&self->limit, VD_LOG_INFO, "dhcpinform", &(struct vd_ids){ .session = s->id },
			"a DHCP message of the client was ignored: %s", why);
	} else if (q.type != DHCPINFORM) {
		vd_count("dhcpinform.drop.type", 1); /* addresses are not ours to give here */
	} else if (!vd_ip_equal(&q.address, &s->lease4.address)) {
		vd_count("dhcpinform.drop.address", 1);
	} else {
		answer(self, s, &q);
	}
}

static int take(struct inform *self, const struct vd_ip *to, bool on)
{
	struct vd_inner_match match = { .protocol = UDP, .port = INFORM_SERVER, .to = *to };
	int ret = self->dp->inner_input(self->dp->self, &match, on ? on_packet : NULL, self);

	if (ret < 0 && ret != -EEXIST && on)
		vd_log_limited(&self->limit, VD_LOG_WARNING, "dhcpinform", NULL, "DHCPINFORM to a pool's gateway is not answered: %s",
			strerror(-ret));
	return ret;
}

static void on_pool_up(void *arg, const void *event)
{
	struct inform *self = arg;
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return; /* broadcasts are answered all the same */
	p->facts = *(const struct vd_pool_up *)event;
	p->next = self->pools;
	self->pools = p;
	if (self->started && p->facts.gateway.family == AF_INET)
		p->taken = take(self, &p->facts.gateway, true) == 0;
}

static void on_pool_down(void *arg, const void *event)
{
	const struct vd_pool_down *down = event;
	struct inform *self = arg;
	struct pool **at = &self->pools, *p;
	bool taken;

	while (*at && (strcmp((*at)->facts.pool, down->pool) || !vd_ip_equal(&(*at)->facts.first, &down->first) ||
		!vd_ip_equal(&(*at)->facts.last, &down->last) || !vd_ip_equal(&(*at)->facts.gateway, &down->gateway)))
		at = &(*at)->next;
	p = *at;
	if (!p)
		return;
	*at = p->next;
	taken = p->taken;
	if (taken)
		take(self, &p->facts.gateway, false);
	for (struct pool *other = self->pools; taken && other; other = other->next)
		if (vd_ip_equal(&other->facts.gateway, &p->facts.gateway)) {
			other->taken = take(self, &other->facts.gateway, true) == 0;
			break;
		}
	free(p);
}

static struct vd_ip everybody(void)
{
	return vd_ip4(0xffffffffu);
}

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct inform *self = calloc(1, sizeof(*self));
	int ret = self ? 0 : -ENOMEM;

	if (ret == 0) {
		self->dp = vd_service_find("datapath/1", NULL);
		self->limit = (struct vd_log_limit)VD_LOG_LIMIT(5, 60000);
		ret = self->dp ? 0 : -ENOENT;
	}
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_up", on_pool_up, self);
	if (ret == 0)
		ret = vd_event_subscribe(host, "pool_down", on_pool_down, self);
	if (ret < 0) {
		free(self);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	*ret_self = self;
	return 0;
}

static int start(void *arg, struct vd_error *err)
{
	struct vd_ip all = everybody();
	struct inform *self = arg;
	int ret = take(self, &all, true);

	if (ret < 0)
		return vd_error_set(err, ret, "cannot take DHCPINFORM from the data path: %s", strerror(-ret));
	self->started = true;
	for (struct pool *p = self->pools; p; p = p->next)
		if (p->facts.gateway.family == AF_INET)
			p->taken = take(self, &p->facts.gateway, true) == 0;
	return 0;
}

static void stop(void *arg)
{
	struct vd_ip all = everybody();
	struct inform *self = arg;

	if (self->started)
		take(self, &all, false);
	for (struct pool *p = self->pools; p; p = p->next) {
		if (p->taken)
			take(self, &p->facts.gateway, false);
		p->taken = false;
	}
	self->started = false;
}

static void fini(void *arg)
{
	struct inform *self = arg;

	while (self->pools) {
		struct pool *p = self->pools;

		self->pools = p->next;
		free(p);
	}
	free(self);
}

static const char *const provides[] = { "accept=l2tp", NULL };
static const char *const needs[] = { "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "dhcpinform", "routes and names for clients that ask by DHCPINFORM" },
	{ NULL, NULL },
};

VD_PLUGIN(net_dhcpinform, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "routes and names for clients that ask by DHCPINFORM",
	.provides = provides, .needs = needs, .init = init, .start = start, .stop = stop, .fini = fini);
