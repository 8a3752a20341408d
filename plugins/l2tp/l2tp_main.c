/* L2TP: the plugin, its options, and the channels it is attached to. */
#include "l2tp.h"
#include "l2tp_guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/state.h>

#define REFUSED_TELL_MS 10000u /* one report of a kind of refusal of one channel */

static const struct vd_opt schema[] = {
	{ "l2tp.hello", VD_T_DURATION, VD_OPT_LIVE | VD_OPT_KNOB, "60s", "5s..1h",
		"After this time without a packet from the client it is asked for a sign of life (HELLO)." },
	{ "connections.*.l2tp.hello", VD_T_DURATION, VD_OPT_LIVE | VD_OPT_KNOB, NULL, "5s..1h",
		"As l2tp.hello, for this connection." },
	{ "l2tp.patience", VD_T_DURATION, VD_OPT_LIVE | VD_OPT_KNOB, "150s", "31s..1d",
		"A client that is silent in every way for so long, and answers no HELLO, counts as gone: its line may be down for "
		"less. One of Apple's or an Android may sleep for half an hour." },
	{ "connections.*.l2tp.patience", VD_T_DURATION, VD_OPT_LIVE | VD_OPT_KNOB, NULL, "31s..1d",
		"As l2tp.patience, for this connection." },
	{ "l2tp.window", VD_T_UINT, VD_OPT_KNOB, "16", "1..64",
		"Control messages that a client may send ahead (Receive Window Size)." },
	{ "l2tp.retries", VD_T_UINT, VD_OPT_LIVE | VD_OPT_KNOB, "5", "5..8",
		"Retransmissions of a control message (after 1, 2, 4, 8, 8 seconds) before the client counts as gone." },
	{ "l2tp.tunnels", VD_T_UINT, VD_OPT_LIVE | VD_OPT_KNOB, "4", "1..64",
		"L2TP tunnels that one client may have open at once." },
	{ "l2tp.sessions", VD_T_UINT, VD_OPT_LIVE | VD_OPT_KNOB, "4", "1..256", "Sessions in one L2TP tunnel." },
	{ "l2tp.host_name", VD_T_STRING, VD_OPT_LIVE, "viaduct", "64", "Our name in L2TP (Host Name of the SCCRP)." },
	{ "l2tp.secret", VD_T_SECRET, VD_OPT_KNOB, NULL, NULL,
		"Shared secret for L2TP tunnel authentication and hidden AVPs; clients must know it when it is set. Rarely needed inside "
		"IPsec." },
	{ "connections.*.l2tp.secret", VD_T_SECRET, VD_OPT_KNOB, NULL, NULL, "As l2tp.secret, for this connection; a gateway that we dial must prove that it knows it." },
	{ "l2tp.sequencing", VD_T_BOOL, VD_OPT_LIVE | VD_OPT_KNOB, "false", NULL,
		"Number the data messages of new sessions, for ways that reorder packets; costs 4 octets in each. Clients follow, and one "
		"that requires it gets it in any case (xl2tpd cannot say so: pppd's pppol2tp_recv_seq needs this). "
		"A gateway that we dial is told that it must: what it sends without is dropped." },
	{ "connections.*.l2tp.sequencing", VD_T_BOOL, VD_OPT_LIVE | VD_OPT_KNOB, NULL, NULL,
		"As l2tp.sequencing, for this connection." },
	{ NULL },
};

uint64_t l2tp_knob(const struct l2tp_chan *chan, const char *option)
{
	return vd_conf_uint(vd_conf_knob(vd_conf_current(), chan->connection, "l2tp", option));
}

struct vd_secret *l2tp_secret(const struct l2tp_chan *chan)
{
	return vd_conf_secret(vd_conf_knob(vd_conf_current(), chan->connection, "l2tp", "secret"));
}

struct vd_ids l2tp_ids(const struct l2tp_chan *chan, uint64_t session)
{
	return (struct vd_ids){ .peer = chan->peer, .chan = chan->id, .session = session };
}

void l2tp_setup_failed(const struct l2tp_chan *chan, uint64_t session, struct vd_report report)
{
	report.chan = chan->id;
	report.session = session;
	report.connection = chan->connection;
	report.dialled = chan->dial != NULL;
	vd_report_failure(&report);
}

void l2tp_refused(struct l2tp_chan *chan, uint64_t session, struct vd_report report, const char *why)
{
	uint64_t now = vd_now();
	size_t i = 0;

	vd_count("l2tp.refused", 1);
	while (i + 1 < VD_ARRAY_SIZE(chan->refused_told) && chan->refused_told[i].kind && chan->refused_told[i].kind != report.kind)
		i++;
	if (chan->refused_told[i].kind == report.kind && now - chan->refused_told[i].at < REFUSED_TELL_MS)
		return;
	chan->refused_told[i].kind = report.kind;
	chan->refused_told[i].at = now;
	if (report.kind == &l2tp_fail_refused && !report.difference)
		report.difference = why;
	l2tp_setup_failed(chan, session, report);
}

void l2tp_limit_reached(const struct l2tp_chan *chan, const char *option, const char *what, struct l2tp_why *ret_why)
{
	const struct vd_conf_node *node = vd_conf_knob(vd_conf_current(), chan->connection, "l2tp", strchr(option, '.') + 1);

	ret_why->report = (struct vd_report){ .kind = &l2tp_fail_limit, .count = vd_conf_uint(node), .offered = what,
		.configured = option, .origin = vd_conf_origin(node, ret_why->at, sizeof(ret_why->at)) };
	vd_format(ret_why->text, sizeof(ret_why->text), "too many %s", what);
}

/* UDP checksums may be 0 inside IPv4 (RFC 3948 section 3.1.2), never inside IPv6 (RFC 8200 section 8.1). */
static uint16_t udp_checksum(const struct vd_peer *peer, const uint8_t *p, size_t len)
{
	uint8_t pseudo[40] = { 0 };
	struct vd_wr w;
	uint32_t sum = 0;
	vd_wr_init(&w, pseudo, sizeof(pseudo));
	vd_wr_put(&w, peer->local.ip.a, 16);
	vd_wr_put(&w, peer->remote.ip.a, 16);
	vd_wr_u32(&w, (uint32_t)len);
	vd_wr_u32(&w, 17);
	for (size_t i = 0; i < w.len; i += 2)
		sum += (uint32_t)(pseudo[i] << 8 | pseudo[i + 1]);
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | (i + 1 < len ? p[i + 1] : 0));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

int l2tp_emit(struct l2tp_chan *chan, uint16_t from, uint16_t to, const uint8_t *p, size_t len)
{
	uint8_t room[2048];
	struct vd_wr w;
	const struct vd_peer *peer = vd_peer_find(chan->peer);
	vd_wr_init(&w, room, sizeof(room));
	vd_wr_u16(&w, from);
	vd_wr_u16(&w, to);
	vd_wr_u16(&w, (uint16_t)(len + L2TP_UDP));
	vd_wr_u16(&w, 0);
	vd_wr_put(&w, p, len);
	if (!vd_wr_ok(&w))
		return -EMSGSIZE;
	if (peer && peer->remote.ip.family == AF_INET6)
		vd_wr_patch_u16(&w, 6, udp_checksum(peer, room, w.len));
	return chan->self->dp->chan_send(chan->self->dp->self, chan->id, room, w.len);
}

struct l2tp_chan *l2tp_chan_find(struct l2tp *self, uint64_t id)
{
	struct l2tp_chan *chan = self->by_id[id % L2TP_HASH];
	while (chan && chan->id != id)
		chan = chan->hashed;
	return chan;
}

static void on_punt(void *arg, uint64_t id, const uint8_t *p, size_t len)
{
	struct l2tp_chan *chan = l2tp_chan_find(arg, id);
	if (chan) {
		vd_timer_stop(&chan->silence);
		l2tp_input(chan, p, len);
	} else {
		vd_count("l2tp.drop.no_channel", 1);
	}
}

static void on_silence(struct vd_timer *t)
{
	vd_count("l2tp.silent", 1);
	l2tp_setup_failed(VD_CONTAINER_OF(t, struct l2tp_chan, silence), 0,
		(struct vd_report){ .kind = &l2tp_fail_silent, .count = L2TP_SETUP_MS / 1000 });
}

struct l2tp_chan *l2tp_chan_open(struct l2tp *self, uint64_t id, const char *connection)
{
	const struct vd_chan_info *info = vd_chan_find(id);
	if (!info)
		return NULL;
	struct vd_ids ids = { .peer = info->peer, .chan = id };
	if (!info->protected_) {
		vd_count("l2tp.unprotected", 1);
		vd_log(VD_LOG_WARNING, "l2tp", &ids, "channel is not protected by IPsec: no L2TP on it");
		return NULL;
	}
	struct l2tp_chan *chan = calloc(1, sizeof(*chan));
	struct l2tp_in *in = calloc(1, sizeof(*in));
	if (!chan || !in)
		goto fail;
	chan->self = self;
	chan->id = in->chan.id = id;
	chan->peer = in->chan.peer = info->peer;
	in->chan.home = info->home;
	chan->in = in;
	vd_timer_init(&chan->silence, on_silence);
	vd_strcpy(chan->connection, sizeof(chan->connection), connection[0] ? connection : info->connection);
	if (!l2tp_dial_chan(chan)) {
		vd_log(VD_LOG_WARNING, "l2tp", &ids, "a second channel of a gateway that we dialled: no L2TP on it");
		goto fail;
	}
	int rc = self->dp->chan_attach(self->dp->self, id, &l2tp_in, in, on_punt, self);
	if (rc < 0) {
		vd_log(VD_LOG_ERROR, "l2tp", &ids, "cannot attach to the channel: %s", strerror(-rc));
		if (chan->dial)
			l2tp_dial_chan_gone(chan->dial, "L2TP cannot attach to the channel");
		goto fail;
	}
	chan->at = self->chans_end;
	*chan->at = chan;
	self->chans_end = &chan->next;
	chan->hashed = self->by_id[id % L2TP_HASH];
	self->by_id[id % L2TP_HASH] = chan;
	return chan;
fail:
	free(chan);
	free(in);
	return NULL;
}

void l2tp_chan_free(struct l2tp_chan *chan, const char *reason)
{
	struct l2tp *self = chan->self;
	vd_timer_stop(&chan->silence);
	while (chan->tunnels)
		l2tp_tunnel_free(chan->tunnels, reason);
	*chan->at = chan->next;
	*(chan->next ? &chan->next->at : &self->chans_end) = chan->at;
	struct l2tp_chan **at = &self->by_id[chan->id % L2TP_HASH];
	while (*at != chan)
		at = &(*at)->hashed;
	*at = chan->hashed;
	if (chan->dial)
		l2tp_dial_chan_gone(chan->dial, reason);
	free(chan->in);
	free(chan);
}

static void on_chan_up(void *arg, const void *event)
{
	struct l2tp *self = arg;
	const struct vd_chan_up *e = event;
	if (strcmp(e->upper, "l2tp") != 0 || self->stopping || l2tp_chan_find(self, e->chan))
		return;
	struct l2tp_chan *chan = l2tp_chan_open(self, e->chan, e->connection);
	if (!chan)
		return;
	vd_note('c', e->chan, "L2TP may begin");
	if (!chan->dial) /* else we begin */
		vd_timer_start(&chan->silence, L2TP_SETUP_MS);
}

static void on_chan_down(void *arg, const void *event)
{
	const struct vd_chan_down *e = event;
	struct l2tp_chan *chan = l2tp_chan_find(arg, e->chan);
	if (chan)
		l2tp_chan_free(chan, e->reason);
}

static int l2tp_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct l2tp *self = calloc(1, sizeof(*self));
	if (!self)
		return vd_error_set(err, -ENOMEM, "out of memory");
	self->self = self;
	self->host = host;
	self->chans_end = &self->chans;
	self->limit = (struct vd_log_limit)VD_LOG_LIMIT(10, 60000);
	self->dp = vd_service_find("datapath/1", NULL);
	self->esp = vd_service_find("esp/1", NULL);
	self->link = vd_service_find("link/1", NULL);
	int rc = -ENOENT;
	if (!self->dp || !self->esp || !self->link) {
		vd_error_set(err, rc, "service %s is missing",
			!self->dp ? "datapath/1" : !self->esp ? "esp/1" : "link/1");
		goto fail;
	}
	if ((rc = vd_event_subscribe(host, "chan_up", on_chan_up, self)) < 0 ||
	    (rc = vd_event_subscribe(host, "chan_down", on_chan_down, self)) < 0 ||
	    (rc = vd_layer_register(host, &l2tp_layer, self)) < 0 ||
	    (rc = vd_service_provide(host, "l2tp/1", NULL, self)) < 0 || (rc = l2tp_dial_init(self)) < 0) {
		vd_error_set(err, rc, "cannot register with the core: %s", strerror(-rc));
		goto fail;
	}
	self->guard = vd_service_find("l2tp_guard/1", NULL);
	if (self->guard)
		self->guard->on_dials(self->guard->self, l2tp_dial_at, self);
	*ret_self = self;
	return 0;
fail:
	free(self);
	return rc;
}

static void l2tp_close(void *arg)
{
	struct l2tp *self = arg;
	self->stopping = true;
	l2tp_dial_stop(self);
	for (struct l2tp_chan *chan = self->chans; chan; chan = chan->next)
		for (struct l2tp_tunnel *t = chan->tunnels; t; t = t->next)
			if (t->state != L2TP_TUNNEL_CLOSED)
				l2tp_tunnel_close(t, L2TP_BYE_SHUTDOWN, "gateway is shutting down");
}

static void l2tp_fini(void *arg)
{
	struct l2tp *self = arg;
	self->stopping = true;
	while (self->chans) {
		/* Nobody runs the stage any more, but what it punted may still be on its way to us. -ESTALE: it is gone. */
		self->dp->chan_attach(self->dp->self, self->chans->id, NULL, NULL, NULL, NULL);
		l2tp_chan_free(self->chans, "gateway is shutting down");
	}
	if (self->guard)
		self->guard->on_dials(self->guard->self, NULL, NULL);
	l2tp_dial_fini(self);
	l2tp_waits_forget(self);
	free(self);
}

static const char *const provides[] = { "l2tp/1", "connect/1", "accept/l2tp", "connect/l2tp", NULL };
static const char *const needs[] = { "datapath/1", "esp/1", "ike/v1", "link/1", "l2tp_guard/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "l2tp", "L2TP; debug: each control message that comes and goes" },
	{ NULL, NULL },
};

VD_PLUGIN(l2tp, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "L2TP inside IPsec: server (LNS), and the side that dials", .provides = provides,
	.needs = needs, .schema = schema, .failures = l2tp_failures, .quirks = l2tp_quirks, .shown = l2tp_shown, .init = l2tp_init, .check = l2tp_check, .close = l2tp_close, .fini = l2tp_fini);
