/* L2TP: the side that dials (RFC 2661 sections 6.1 to 6.8, as LAC and client in one): service connect/1 "l2tp". A dial
 * is a protected channel from ike.connect/1, one tunnel, one call, one session; whatever ends one of them ends the dial,
 * from the session down. */
#include "l2tp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STOP_WAIT_MS 2000u /* for the acknowledgement of our StopCCN */
#define PROBE_MS 1000u     /* a gateway that may have started anew is asked so often, */
#define PROBES 4u          /* so many times */

static void on_timer(struct vd_timer *timer);
static void on_probe(struct vd_timer *timer);

static struct l2tp_dial *dial_of(struct l2tp *self, uint64_t id)
{
	struct l2tp_dial *d = self->dials;
	while (d && d->id != id)
		d = d->next;
	return d;
}

static struct l2tp_dial *dial_of_peer(struct l2tp *self, uint64_t peer)
{
	struct l2tp_dial *d = self->dials;
	while (d && (!peer || d->peer != peer))
		d = d->next;
	return d;
}

bool l2tp_dial_at(void *arg, const struct vd_ip *ip)
{
	const struct l2tp *self = arg;
	for (const struct l2tp_dial *d = self->dials; d; d = d->next) {
		const struct vd_peer *peer = vd_peer_find(d->peer);
		if (peer && vd_ip_equal(&peer->remote.ip, ip))
			return true;
	}
	return false;
}

static void dial_free(struct l2tp_dial *d)
{
	struct l2tp_dial **at = &d->self->dials;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (d->chan)
		d->chan->dial = NULL;
	vd_timer_stop(&d->timer);
	vd_timer_stop(&d->probe);
	free(d);
}

/* ---- the end ---- */
void l2tp_dial_end(struct l2tp_dial *d, const char *reason)
{
	if (d->ending)
		return;
	/* PPP knows better why it ended than the call that followed it. */
	const struct vd_session *session = d->session ? vd_session_find(d->session) : NULL;
	if (session && session->state >= VD_S_CLOSING && session->reason[0])
		reason = session->reason;
	d->ending = true;
	vd_timer_stop(&d->probe);
	if (!d->reason[0])
		vd_strcpy(d->reason, sizeof(d->reason), reason);
	vd_timer_start(&d->timer, 0); /* who calls may stand in the middle of a tunnel */
}

void l2tp_dial_moved_on(struct l2tp_dial *d)
{
	if (d->ending)
		vd_timer_start(&d->timer, 0);
}

static bool says_goodbye(const struct l2tp_dial *d)
{
	for (const struct l2tp_tunnel *t = d->chan ? d->chan->tunnels : NULL; t; t = t->next)
		if (t->tx)
			return true;
	return false;
}

/* One step towards the end: the tunnel, then what is below, then whoever asked hears of it. */
static void on_timer(struct vd_timer *timer)
{
	struct l2tp_dial *d = VD_CONTAINER_OF(timer, struct l2tp_dial, timer);
	if (!d->stopped) {
		d->stopped = true;
		d->until = vd_now() + STOP_WAIT_MS;
		for (struct l2tp_tunnel *t = d->chan ? d->chan->tunnels : NULL; t; t = t->next)
			l2tp_tunnel_close(t, d->peer && t->remote ? L2TP_BYE_CLEAR : L2TP_BYE_NOTHING, d->reason);
	}
	if (d->peer && says_goodbye(d) && vd_now() < d->until) {
		vd_timer_start(timer, d->until - vd_now()); /* or when it is acknowledged */
		return;
	}
	if (d->peer) {
		uint64_t peer = d->peer;
		d->peer = 0;
		d->ike->down(d->ike->self, peer, d->reason);
	}
	/* The next dial may get the same address: first everything of this one is gone. */
	if (d->chan || (d->session && vd_session_find(d->session)))
		return;
	struct vd_connect_events events = d->events;
	void *arg = d->arg;
	uint64_t id = d->id;
	char reason[VD_ID_TEXT];
	vd_strcpy(reason, sizeof(reason), d->reason);
	dial_free(d);
	events.ended(arg, id, reason);
}

static void on_session_down(void *arg, const void *event)
{
	const struct vd_session_down *e = event;
	struct l2tp *self = arg;
	for (struct l2tp_dial *d = self->dials; d; d = d->next)
		if (d->session == e->session && !d->ending)
			vd_strcpy(d->reason, sizeof(d->reason), e->reason);
}

static void on_session_gone(void *arg, const void *event)
{
	const struct vd_session_gone *e = event;
	struct l2tp *self = arg;
	for (struct l2tp_dial *d = self->dials; d; d = d->next)
		if (d->session == e->session)
			l2tp_dial_moved_on(d); /* its call ends when PPP has said goodbye, and the dial with it */
}

static void on_session_up(void *arg, const void *event)
{
	const struct vd_session_up *e = event;
	struct l2tp *self = arg;
	for (struct l2tp_dial *d = self->dials; d; d = d->next)
		if (d->session == e->session && !d->ending) {
			d->events.up(d->arg, d->id, d->session);
			return;
		}
}

/* ---- the tunnel ---- */
static void begin_tunnel(struct l2tp_dial *d)
{
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "l2tp.host_name"));
	struct l2tp_tunnel *t = l2tp_tunnel_new(d->chan, 0);
	uint8_t room[256];
	struct vd_wr w;
	if (!t) {
		l2tp_dial_end(d, "no memory for an L2TP tunnel");
		return;
	}
	t->state = L2TP_TUNNEL_ASK;
	t->local_port = t->remote_port = L2TP_PORT;
	t->created = t->heard = vd_now();
	t->own_window = (uint16_t)l2tp_knob(d->chan, "window");
	vd_timer_start(&t->life, L2TP_SETUP_MS);
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, 0, 0, L2TP_SCCRQ);
	l2tp_avp_u16(&w, L2TP_A_VERSION, 0x0100);
	l2tp_avp_u32(&w, L2TP_A_FRAMING, 3);
	l2tp_avp(&w, L2TP_A_HOST_NAME, name && name[0] ? name : "viaduct", name && name[0] ? strlen(name) : 7);
	l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, t->local);
	l2tp_avp_u16(&w, L2TP_A_WINDOW, t->own_window);
	if (l2tp_secret(d->chan))
		l2tp_challenge(t, &w);
	l2tp_queue(t, &w);
	vd_note('c', d->chan->id, "asking for an L2TP tunnel, ours is %u", t->local);
}

static void begin_call(struct l2tp_tunnel *t)
{
	struct l2tp_chan *chan = t->chan;
	struct l2tp_dial *d = chan->dial;
	struct vd_error err = { 0 };
	struct l2tp_call *c = l2tp_call_new(t, 0);
	d->session = c ? vd_session_new(chan->id, chan->connection, &l2tp_owner, chan->self, &err) : 0;
	if (!d->session) {
		if (c)
			l2tp_call_free(c);
		l2tp_dial_end(d, err.text[0] ? err.text : "no memory for an L2TP call");
		return;
	}
	c->session = d->session;
	c->serial = (uint32_t)d->id;
	l2tp_call_hash(c);
	vd_timer_stop(&t->life);
	vd_timer_start(&c->timer, L2TP_SETUP_MS);
	vd_note('s', c->session, "L2TP call %u in tunnel %u, which we dialled", c->local, t->local);
	/* The key first, as for calls that come in: the gateway's LCP may be right behind its ICRP. */
	if (l2tp_call_link(c) < 0)
		l2tp_call_refuse(c, (struct vd_report){ .kind = &vd_fail_resources, .stage = "l2tp", .difference = "no memory for our call" },
			L2TP_CDN_BUSY, L2TP_E_RESOURCES, "no resources");
}

void l2tp_dial_sccrp(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	struct l2tp_chan *chan = t->chan;
	struct vd_ids ids = l2tp_ids(chan, 0);
	struct vd_secret *secret = l2tp_secret(chan);
	bool asked = L2TP_SEEN(m, L2TP_A_CHALLENGE);
	uint8_t room[128], md[16];
	struct vd_wr w;
	t->remote = m->tunnel_id;
	if (!t->remote) {
		l2tp_tunnel_refuse(t, L2TP_ODD, 0, 0, "the gateway's SCCRP has no tunnel id");
		return;
	}
	if (!L2TP_SEEN(m, L2TP_A_VERSION) || m->version >> 8 != 1) {
		l2tp_tunnel_refuse(t, L2TP_ODD, L2TP_STOP_VERSION, 0x0100, "the gateway speaks another version of L2TP");
		return;
	}
	if (asked && (!secret || l2tp_response(L2TP_SCCCN, secret, m->challenge, m->challenge_len, md) < 0)) {
		l2tp_tunnel_refuse(t, (struct vd_report){ .kind = &l2tp_fail_tunnel_secret_none,
			.remedy = "set l2tp.secret of the connection to the gateway's" }, L2TP_STOP_AUTH, 0,
			"the gateway demands tunnel authentication, and l2tp.secret is not set");
		return;
	}
	if (!l2tp_authentic(t, m)) {
		vd_wipe(md, sizeof(md));
		return;
	}
	if (m->window)
		t->window = m->window;
	t->ssthresh = t->window;
	vd_strcpy(t->host, sizeof(t->host), m->host);
	vd_strcpy(t->vendor, sizeof(t->vendor), m->vendor);
	t->state = L2TP_TUNNEL_UP;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, t->remote, 0, L2TP_SCCCN);
	if (asked)
		l2tp_avp(&w, L2TP_A_RESPONSE, md, sizeof(md));
	vd_wipe(md, sizeof(md));
	l2tp_queue(t, &w);
	vd_timer_start(&t->hello, l2tp_knob(chan, "hello"));
	vd_log(VD_LOG_INFO, "l2tp", &ids, "tunnel %u (gateway's %u) is up: host \"%s\", vendor \"%s\"", t->local,
		t->remote, t->host, t->vendor);
	vd_note('c', chan->id, "L2TP tunnel %u is up", t->local);
	begin_call(t);
}

/* ---- the call ---- */
void l2tp_dial_icrq(struct l2tp_call *c)
{
	uint8_t room[64];
	struct vd_wr w;
	c->state = L2TP_CALL_ASK;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, c->tunnel->remote, 0, L2TP_ICRQ);
	l2tp_avp_u16(&w, L2TP_A_SESSION_ID, c->local);
	l2tp_avp_u32(&w, L2TP_A_CALL_SERIAL, c->serial);
	l2tp_queue(c->tunnel, &w);
}

void l2tp_dial_icrp(struct l2tp_call *c, const struct l2tp_msg *m)
{
	uint8_t room[64];
	struct vd_wr w;
	if (c->state != L2TP_CALL_ASK || !L2TP_SEEN(m, L2TP_A_SESSION_ID) || !m->session_id) {
		l2tp_call_refuse(c, L2TP_ODD, L2TP_CDN_ERROR, L2TP_E_VALUE,
			"the gateway's ICRP is out of sequence or has no session id");
		return;
	}
	c->remote = m->session_id;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, c->tunnel->remote, c->remote, L2TP_ICCN);
	l2tp_avp_u32(&w, L2TP_A_SPEED, 100000000); /* there is no line whose speed would mean something */
	l2tp_avp_u32(&w, L2TP_A_FRAMING_TYPE, 1);
	/* Without it the gateway decides by what it sends, at any time (RFC 2661 section 5.4). */
	c->numbered = l2tp_call_sequencing(c) ? VD_NUMBERED_BOTH : VD_NUMBERED_AS_PEER;
	if (c->numbered == VD_NUMBERED_BOTH)
		l2tp_avp(&w, L2TP_A_SEQUENCING, "", 0);
	l2tp_queue(c->tunnel, &w);
	l2tp_call_begin(c);
}

/* ---- what is below ---- */
static void on_ike_up(void *arg, uint64_t peer, uint64_t chan)
{
	struct l2tp *self = arg;
	struct l2tp_dial *d = dial_of_peer(self, peer);
	if (!d || d->ending)
		return;
	if (!d->chan) /* chan_up may be on its way still */
		l2tp_chan_open(self, chan, d->connection);
	if (!d->chan || d->chan->id != chan || d->chan->tunnels)
		l2tp_dial_end(d, "L2TP cannot use the channel");
	else
		begin_tunnel(d);
}

bool l2tp_dial_chan(struct l2tp_chan *chan)
{
	struct l2tp_dial *d = dial_of_peer(chan->self, chan->peer);
	if (d && d->chan)
		return false;
	chan->dial = d;
	if (d)
		d->chan = chan;
	return true;
}

static void on_ike_ended(void *arg, uint64_t peer, const char *reason)
{
	struct l2tp_dial *d = dial_of_peer(arg, peer);
	if (!d)
		return;
	d->peer = 0;
	l2tp_dial_end(d, reason);
	l2tp_dial_moved_on(d);
}
/* ---- a gateway that may have started anew ---- */
static struct l2tp_tunnel *tunnel_up(const struct l2tp_dial *d)
{
	struct l2tp_tunnel *t = d->chan ? d->chan->tunnels : NULL;
	while (t && t->state != L2TP_TUNNEL_UP)
		t = t->next;
	return t;
}

/* A line that is down is waited for much longer (l2tp.patience), but here it has just carried a key exchange. */
static void on_probe(struct vd_timer *timer)
{
	struct l2tp_dial *d = VD_CONTAINER_OF(timer, struct l2tp_dial, probe);
	struct l2tp_tunnel *t = tunnel_up(d);
	if (!t || !t->tx || t->tx->ns != d->probe_ns) /* it knows the tunnel */
		return;
	if (d->probes < PROBES) {
		d->probes++;
		l2tp_resend(t);
		vd_timer_start(timer, PROBE_MS);
		return;
	}
	vd_count("l2tp.forgotten", 1);
	l2tp_tunnel_refuse(t, (struct vd_report){ .kind = &l2tp_fail_forgotten, .count = PROBES * PROBE_MS / 1000 }, 0, 0,
		"the gateway has new IPsec and does not know our tunnel: it was started anew");
}

static void on_ike_anew(void *arg, uint64_t peer)
{
	struct l2tp_dial *d = dial_of_peer(arg, peer);
	struct l2tp_tunnel *t = d && !d->ending ? tunnel_up(d) : NULL;
	if (!t || vd_timer_armed(&d->probe))
		return;
	vd_note('c', d->chan->id, "IPsec is new, not by us: is the gateway's L2TP the old one?");
	d->probe_ns = l2tp_ask(t);
	d->probes = 1;
	vd_timer_start(&d->probe, PROBE_MS);
}

static const struct vd_ike_connect_events ike_events = { .up = on_ike_up, .ended = on_ike_ended, .anew = on_ike_anew };

void l2tp_dial_chan_gone(struct l2tp_dial *d, const char *reason)
{
	d->chan = NULL;
	l2tp_dial_end(d, reason);
	l2tp_dial_moved_on(d);
}

/* ---- connect/1 ---- */
static int dial_up(void *arg, const char *connection, const struct vd_path *path, const struct vd_connect_events *events,
	void *events_arg, uint64_t *ret_dial, struct vd_error *err)
{
	struct l2tp *self = arg;
	struct vd_ike_connect what = { .path = *path, .upper = "l2tp" };
	const struct vd_ike_connect_1 *ike = vd_service_find("ike.connect/1", NULL);
	if (!ike)
		return vd_error_set(err, -ENOTSUP, "no plugin dials IKE; is ike_v1 switched off?");
	if (self->stopping)
		return vd_error_set(err, -ESHUTDOWN, "the gateway stops");
	const struct vd_conf_node *all = vd_conf_at(vd_conf_current(), NULL, "connections");
	const struct vd_conf_node *node = all ? vd_conf_child(all, connection) : NULL;
	if (!node || !vd_conf_child(node, "user") || !vd_conf_child(node, "password"))
		return vd_error_set(err, -ENOKEY, "connections.%s needs user and password to dial l2tp", connection);
	struct l2tp_dial *d = calloc(1, sizeof(*d));
	if (!d)
		return vd_error_set(err, -ENOMEM, "out of memory");
	*d = (struct l2tp_dial){ .self = self, .id = vd_id_new(), .ike = ike, .events = *events, .arg = events_arg };
	vd_strcpy(d->connection, sizeof(d->connection), connection);
	vd_strcpy(what.connection, sizeof(what.connection), connection);
	vd_timer_init(&d->timer, on_timer);
	vd_timer_init(&d->probe, on_probe);
	int rc = ike->up(ike->self, &what, &ike_events, self, &d->peer, err);
	if (rc < 0) {
		free(d);
		return rc;
	}
	d->next = self->dials;
	self->dials = d;
	*ret_dial = d->id;
	return 0;
}

static void dial_down(void *arg, uint64_t id, const char *reason)
{
	struct l2tp_dial *d = dial_of(arg, id);
	if (!d || d->ending)
		return;
	/* From the top: PPP says goodbye, then the call, the tunnel, IKE. */
	if (d->session && vd_session_find(d->session))
		vd_session_close(d->session, reason, false);
	else
		l2tp_dial_end(d, reason);
}

int l2tp_dial_init(struct l2tp *self)
{
	int rc;
	self->connect = (struct vd_connect_1){ .self = self, .up = dial_up, .down = dial_down };
	if ((rc = vd_event_subscribe(self->host, "session_up", on_session_up, self)) < 0 ||
	    (rc = vd_event_subscribe(self->host, "session_down", on_session_down, self)) < 0 ||
	    (rc = vd_event_subscribe(self->host, "session_gone", on_session_gone, self)) < 0)
		return rc;
	return vd_service_provide(self->host, "connect/1", "l2tp", &self->connect);
}

void l2tp_dial_stop(struct l2tp *self)
{
	for (struct l2tp_dial *d = self->dials; d; d = d->next)
		l2tp_dial_end(d, "the gateway stops");
}

void l2tp_dial_fini(struct l2tp *self)
{
	while (self->dials)
		dial_free(self->dials);
}
