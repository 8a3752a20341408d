/* L2TP: tunnels: set-up, teardown, sign of life, and the way of a control message (RFC 2661 sections 5 and 7). */
#include "l2tp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/crypto.h>

struct datagram {
	uint16_t from, to; /* UDP ports */
	const uint8_t *p;  /* the message */
	size_t len;
};

static void dropped(struct l2tp_chan *chan, const char *what)
{
	struct vd_ids ids = l2tp_ids(chan, 0);
	vd_log_limited(&chan->self->limit, VD_LOG_INFO, "l2tp", &ids, "control message ignored: %s", what);
}

static void on_hello(struct vd_timer *timer);
static void on_life(struct vd_timer *timer);

struct l2tp_tunnel *l2tp_tunnel_find(struct l2tp_chan *chan, uint16_t local)
{
	struct l2tp_tunnel *t = chan->tunnels;
	while (t && t->local != local)
		t = t->next;
	return t;
}

struct l2tp_tunnel *l2tp_tunnel_new(struct l2tp_chan *chan, uint16_t local)
{
	struct l2tp_tunnel *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	while (!local || l2tp_tunnel_find(chan, local))
		vd_random_seen("tunnel id", &local, sizeof(local));
	t->chan = chan;
	t->local = local;
	t->tx_end = &t->tx;
	t->window = 4; /* RFC 2661 section 4.4.3: when the peer does not say */
	t->cwnd = 1;
	t->ssthresh = t->window;
	vd_timer_init(&t->retransmit, l2tp_on_retransmit);
	vd_timer_init(&t->hello, on_hello);
	vd_timer_init(&t->life, on_life);
	t->retransmit.kind = L2TP_TIMER_RETRANSMIT;
	t->hello.kind = L2TP_TIMER_HELLO;
	t->life.kind = L2TP_TIMER_LIFE;
	struct l2tp_tunnel **at = &chan->tunnels;
	while (*at)
		at = &(*at)->next;
	*at = t;
	return t;
}

static void drop_early(struct l2tp_tunnel *t)
{
	for (unsigned i = 0; i < L2TP_MAX_WINDOW; i++) {
		free(t->rx[i]);
		t->rx[i] = NULL;
	}
}

static void end_calls(struct l2tp_tunnel *t, const char *reason)
{
	for (struct l2tp_call *c = t->calls; c; c = c->next)
		if (c->state != L2TP_CALL_DEAD)
			l2tp_call_end(c, false, reason);
}

void l2tp_tunnel_free(struct l2tp_tunnel *t, const char *reason)
{
	end_calls(t, reason);
	while (t->calls)
		l2tp_call_free(t->calls);
	l2tp_queue_clear(t);
	drop_early(t);
	vd_timer_stop(&t->hello);
	vd_timer_stop(&t->life);
	struct l2tp_tunnel **at = &t->chan->tunnels;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	if (t->state == L2TP_TUNNEL_CLOSED)
		t->chan->self->tombs--;
	vd_wipe(t->challenge, sizeof(t->challenge));
	free(t);
}

static void end_tunnel(struct l2tp_tunnel *t, uint16_t result, uint16_t error, const char *reason)
{
	struct vd_ids ids = l2tp_ids(t->chan, 0);
	if (t->state == L2TP_TUNNEL_CLOSED)
		return;
	t->state = L2TP_TUNNEL_CLOSED;
	t->chan->self->tombs++;
	vd_log(VD_LOG_INFO, "l2tp", &ids, "tunnel %u (peer's %u) closed: %s", t->local, t->remote, reason);
	vd_note('c', t->chan->id, "L2TP tunnel %u closed: %s", t->local, reason);
	end_calls(t, reason);
	drop_early(t);
	vd_timer_stop(&t->hello);
	if (result) {
		uint8_t room[256];
		struct vd_wr w;
		vd_wr_init(&w, room, sizeof(room));
		l2tp_begin_type(&w, t->remote, 0, L2TP_STOPCCN);
		l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, t->local);
		l2tp_avp_result(&w, result, error, reason);
		l2tp_queue(t, &w);
	} else {
		/* What still waits is for nobody: the peer may have given its tunnel id to another tunnel. */
		l2tp_queue_clear(t);
	}
	/* Delivery goes on for a full cycle: late repetitions are acknowledged, and the id is not given away. */
	vd_timer_start(&t->life, l2tp_cycle(t->chan));
	if (t->chan->dial)
		l2tp_dial_end(t->chan->dial, reason);
}

void l2tp_tunnel_close(struct l2tp_tunnel *t, enum l2tp_bye say, const char *reason)
{
	end_tunnel(t, (uint16_t)say, 0, reason);
}

void l2tp_tunnel_refuse(struct l2tp_tunnel *t, struct vd_report report, uint16_t result, uint16_t error, const char *why)
{
	if (t->state == L2TP_TUNNEL_CLOSED)
		return;
	l2tp_refused(t->chan, 0, report, why);
	end_tunnel(t, result, error, why);
}

uint64_t l2tp_tunnel_silence(const struct l2tp_tunnel *t)
{
	uint64_t silence = vd_now() - t->heard;
	/* Packets of the channel speak for its newest tunnel: an older one may have been forgotten by its client. */
	for (const struct l2tp_tunnel *u = t->next; u; u = u->next)
		if (u->state == L2TP_TUNNEL_UP)
			return silence;
	uint64_t idle = vd_chan_idle(t->chan->id);
	return idle < silence ? idle : silence;
}

static void on_hello(struct vd_timer *timer)
{
	struct l2tp_tunnel *t = VD_CONTAINER_OF(timer, struct l2tp_tunnel, hello);
	uint64_t every = l2tp_knob(t->chan, "hello"), silence = l2tp_tunnel_silence(t);
	if (silence < every) {
		vd_timer_start(&t->hello, every - silence);
		return;
	}
	l2tp_ask(t);
	vd_timer_start(&t->hello, every);
}

void l2tp_tunnel_idle(struct l2tp_tunnel *t)
{
	for (const struct l2tp_call *c = t->calls; c; c = c->next)
		if (c->state != L2TP_CALL_DEAD)
			return;
	if (t->state == L2TP_TUNNEL_UP)
		vd_timer_start(&t->life, L2TP_IDLE_MS);
}

static void on_life(struct vd_timer *timer)
{
	struct l2tp_tunnel *t = VD_CONTAINER_OF(timer, struct l2tp_tunnel, life);
	switch (t->state) {
	case L2TP_TUNNEL_ASK:
		vd_count("l2tp.setup_timeout", 1);
		l2tp_tunnel_refuse(t, L2TP_ODD, 0, 0, "the gateway did not answer our L2TP (SCCRQ)");
		break;
	case L2TP_TUNNEL_REPLY:
		vd_count("l2tp.setup_timeout", 1);
		l2tp_tunnel_refuse(t, (struct vd_report){ .count = L2TP_SETUP_MS / 1000,
			.kind = t->tx ? &l2tp_fail_sccrp_lost : &l2tp_fail_no_scccn }, 0, 0, "no SCCCN came");
		break;
	case L2TP_TUNNEL_UP:
		for (const struct l2tp_call *c = t->calls; c; c = c->next)
			if (c->state != L2TP_CALL_DEAD)
				return;
		l2tp_tunnel_close(t, L2TP_BYE_CLEAR, "no session");
		break;
	case L2TP_TUNNEL_CLOSED:
		l2tp_tunnel_free(t, "closed");
		break;
	}
}

/* A refusal that leaves no state behind: repetitions of the SCCRQ get it again. */
static void refuse(struct l2tp_chan *chan, const struct datagram *d, const struct l2tp_msg *m, struct vd_report report,
	uint16_t result, uint16_t error, const char *why)
{
	uint8_t room[256];
	uint16_t none = 0;
	struct vd_wr w;
	vd_count("l2tp.refused_tunnel", 1);
	l2tp_refused(chan, 0, report, why);
	while (!none || l2tp_tunnel_find(chan, none))
		vd_random_seen("tunnel id", &none, sizeof(none));
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin(&w, m->tunnel_id, 0, 0, (uint16_t)(m->h.ns + 1));
	l2tp_avp_u16(&w, L2TP_A_MESSAGE_TYPE, L2TP_STOPCCN);
	l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, none);
	l2tp_avp_result(&w, result, error, why);
	l2tp_end(&w);
	if (l2tp_emit(chan, d->to, d->from, room, w.len) < 0)
		vd_count("l2tp.send_failed", 1);
}

void l2tp_challenge(struct l2tp_tunnel *t, struct vd_wr *w)
{
	vd_random_seen("challenge", t->challenge, sizeof(t->challenge));
	t->challenged = true;
	l2tp_avp(w, L2TP_A_CHALLENGE, t->challenge, sizeof(t->challenge));
}

bool l2tp_authentic(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	const struct vd_conf_node *node = vd_conf_knob(vd_conf_current(), t->chan->connection, "l2tp", "secret");
	struct vd_secret *secret = l2tp_secret(t->chan);
	char at[128];
	uint8_t want[16];
	if (!t->challenged)
		return true;
	bool answered = L2TP_SEEN(m, L2TP_A_RESPONSE);
	bool ok = answered && secret &&
		l2tp_response((uint8_t)m->type, secret, t->challenge, sizeof(t->challenge), want) == 0 &&
		vd_verified(vd_same(want, m->response, sizeof(want)));
	if (answered)
		vd_conceal(m->response, sizeof(m->response));
	vd_wipe(want, sizeof(want));
	if (ok)
		return true;
	vd_count("l2tp.auth_failed", 1);
	l2tp_tunnel_refuse(t, (struct vd_report){ .kind = &l2tp_fail_tunnel_secret_wrong,
		.origin = vd_conf_origin(node, at, sizeof(at)) }, L2TP_STOP_AUTH, 0, answered ? "tunnel authentication failed: the secrets differ" :
		"tunnel authentication failed: our challenge was not answered");
	return false;
}

static void send_sccrp(struct l2tp_tunnel *t, const struct l2tp_msg *m, const struct vd_secret *secret)
{
	const char *name = vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "l2tp.host_name"));
	uint8_t room[512], md[16];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	/* RFC 2661's minimum, and all of it: Apple aborts when one of these is missing, or an unknown one is mandatory. */
	l2tp_begin_type(&w, t->remote, 0, L2TP_SCCRP);
	l2tp_avp_u16(&w, L2TP_A_VERSION, 0x0100);
	l2tp_avp_u32(&w, L2TP_A_FRAMING, 3);
	l2tp_avp(&w, L2TP_A_HOST_NAME, name && name[0] ? name : "viaduct", name && name[0] ? strlen(name) : 7);
	l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, t->local);
	l2tp_avp_u16(&w, L2TP_A_WINDOW, t->own_window);
	if (secret) {
		l2tp_challenge(t, &w);
		if (L2TP_SEEN(m, L2TP_A_CHALLENGE) &&
		    l2tp_response(L2TP_SCCRP, secret, m->challenge, m->challenge_len, md) == 0)
			l2tp_avp(&w, L2TP_A_RESPONSE, md, sizeof(md));
	}
	l2tp_queue(t, &w);
}

unsigned l2tp_tunnel_room(struct l2tp_chan *chan)
{
	unsigned living = 0, closed = 0;
	struct l2tp_tunnel *oldest = NULL;
	for (struct l2tp_tunnel *t = chan->tunnels; t; t = t->next) {
		if (t->state != L2TP_TUNNEL_CLOSED) {
			living++;
		} else {
			closed++;
			oldest = oldest ? oldest : t;
		}
	}
	if (closed >= (chan->self->tombs < L2TP_ALL_TOMBS ? L2TP_MAX_TOMBS : L2TP_FEW_TOMBS))
		l2tp_tunnel_free(oldest, "closed");
	return living;
}

void l2tp_bad_avp(const struct l2tp_chan *chan, const struct l2tp_msg *m, struct l2tp_why *ret_why)
{
	const struct vd_conf_node *node = vd_conf_knob(vd_conf_current(), chan->connection, "l2tp", "secret");
	l2tp_msg_bad(m, ret_why->text, sizeof(ret_why->text));
	ret_why->report = L2TP_ODD;
	vd_count("l2tp.bad_avp", 1);
	switch (m->bad_hidden) {
	case L2TP_HIDDEN_NONE: break;
	case L2TP_HIDDEN_SECRET:
		vd_count("l2tp.hidden_no_secret", 1);
		ret_why->report.kind = &l2tp_fail_tunnel_secret_none;
		break;
	case L2TP_HIDDEN_RULE: vd_count("l2tp.hidden_no_vector", 1); break;
	case L2TP_HIDDEN_NOISE:
		vd_count("l2tp.hidden_wrong_secret", 1);
		ret_why->report = (struct vd_report){ .kind = &l2tp_fail_tunnel_secret_wrong,
			.origin = vd_conf_origin(node, ret_why->at, sizeof(ret_why->at)) };
		break;
	}
}

static void on_sccrq(struct l2tp_chan *chan, const struct datagram *d, const struct l2tp_msg *m)
{
	uint8_t digest[64] = { 0 };
	size_t digest_len;
	struct l2tp_why why;
	struct vd_secret *secret = l2tp_secret(chan);
	if (!chan->dial && !m->tunnel_id && m->h.ns == 0 && m->bad_hidden) {
		/* Its id is hidden too: it finds itself in tunnel id 0 (RFC 2661 section 4.4.3, Assigned Tunnel ID). */
		l2tp_bad_avp(chan, m, &why);
		refuse(chan, d, m, why.report, L2TP_STOP_ERROR, m->bad_code, why.text);
		return;
	}
	if (!L2TP_SEEN(m, L2TP_A_TUNNEL_ID) || m->tunnel_id == 0 || m->h.ns != 0) {
		/* Nowhere to answer to; the client goes on asking, and somebody will want to know why it does not come in. */
		vd_count("l2tp.drop.bad_sccrq", 1);
		l2tp_refused(chan, 0, L2TP_ODD, "its SCCRQ has no tunnel id, or a sequence number");
		return;
	}
	if (chan->dial) { /* it could log in to us, or have us forward for it */
		refuse(chan, d, m, L2TP_ODD, L2TP_STOP_AUTH, 0, "no tunnels are taken on a connection that we dialled");
		return;
	}
	if (vd_digest("SHA256", d->p, d->len, digest, &digest_len) < 0)
		return;
	for (struct l2tp_tunnel *t = chan->tunnels; t; t = t->next) {
		if (t->remote != m->tunnel_id)
			continue;
		bool same = vd_same(t->sccrq, digest, sizeof(t->sccrq));
		if (t->state == L2TP_TUNNEL_REPLY && same) {
			vd_count("l2tp.repeated_sccrq", 1);
			t->heard = vd_now();
			t->local_port = d->to;
			t->remote_port = d->from;
			l2tp_resend(t);
			return;
		}
		if (t->state == L2TP_TUNNEL_UP && vd_now() - t->created < L2TP_DUP_MS && same) {
			vd_count("l2tp.repeated_sccrq", 1);
			l2tp_ack(t);
			return;
		}
		if (t->state == L2TP_TUNNEL_REPLY) /* begun anew with the same id: our SCCRP answered another question */
			l2tp_tunnel_close(t, L2TP_BYE_NOTHING, "the client began again");
	}
	if (m->bad_code) {
		l2tp_bad_avp(chan, m, &why);
		refuse(chan, d, m, why.report, L2TP_STOP_ERROR, m->bad_code, why.text);
		return;
	}
	if (!L2TP_SEEN(m, L2TP_A_VERSION) || m->version >> 8 != 1) {
		refuse(chan, d, m, L2TP_ODD, L2TP_STOP_VERSION, 0x0100, "another version of L2TP");
		return;
	}
	if (L2TP_SEEN(m, L2TP_A_CHALLENGE) && !secret) {
		refuse(chan, d, m, (struct vd_report){ .kind = &l2tp_fail_tunnel_secret_none }, L2TP_STOP_AUTH, 0,
			"no tunnel secret is configured here");
		return;
	}
	if (l2tp_tunnel_room(chan) >= l2tp_knob(chan, "tunnels")) {
		l2tp_limit_reached(chan, "l2tp.tunnels", "L2TP tunnels", &why);
		refuse(chan, d, m, why.report, L2TP_STOP_ERROR, L2TP_E_RESOURCES, why.text);
		return;
	}
	/* The peer's own id where it is free: then what comes for a tunnel that a crash took says where the answer goes to. */
	struct l2tp_tunnel *t = l2tp_tunnel_new(chan, m->tunnel_id);
	if (!t) {
		vd_count("l2tp.drop.no_memory", 1);
		refuse(chan, d, m, (struct vd_report){ .kind = &vd_fail_resources, .stage = "l2tp",
			.difference = "no memory for the client's tunnel" }, L2TP_STOP_ERROR, L2TP_E_RESOURCES, "no resources");
		return;
	}
	t->remote = m->tunnel_id;
	t->local_port = d->to;
	t->remote_port = d->from;
	t->created = t->heard = vd_now();
	t->nr = 1;
	if (m->window) /* 0 is invalid (RFC 2661 section 5.8) */
		t->window = m->window;
	t->ssthresh = t->window;
	t->own_window = (uint16_t)l2tp_knob(chan, "window");
	memcpy(t->sccrq, digest, sizeof(t->sccrq));
	vd_strcpy(t->host, sizeof(t->host), m->host);
	vd_strcpy(t->vendor, sizeof(t->vendor), m->vendor);
	vd_note('c', chan->id, "L2TP tunnel %u asked for by \"%s\" (%s)", t->local, t->host, t->vendor);
	vd_timer_start(&t->life, L2TP_SETUP_MS);
	send_sccrp(t, m, secret);
}

static void on_scccn(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	struct l2tp_chan *chan = t->chan;
	struct vd_ids ids = l2tp_ids(chan, 0);
	if (t->state != L2TP_TUNNEL_REPLY) {
		l2tp_tunnel_refuse(t, L2TP_ODD, L2TP_STOP_FSM, 0, "SCCCN in a tunnel that is up");
		return;
	}
	if (!l2tp_authentic(t, m))
		return;
	t->state = L2TP_TUNNEL_UP;
	l2tp_tunnel_idle(t);
	vd_timer_start(&t->hello, l2tp_knob(chan, "hello"));
	vd_log(VD_LOG_INFO, "l2tp", &ids, "tunnel %u (peer's %u) is up: host \"%s\", vendor \"%s\"", t->local, t->remote,
		t->host, t->vendor);
	vd_note('c', chan->id, "L2TP tunnel %u is up", t->local);
	vd_peer_evidence(chan->peer, L2TP_EVIDENCE_VENDOR, t->vendor);
	vd_peer_evidence(chan->peer, L2TP_EVIDENCE_HOST, t->host);
	struct vd_l2tp_tunnel_up e = { .chan = chan->id, .peer = chan->peer, .local_id = t->local, .remote_id = t->remote };
	vd_strcpy(e.host_name, sizeof(e.host_name), t->host);
	vd_strcpy(e.vendor_name, sizeof(e.vendor_name), t->vendor);
	vd_event_post(&vd_topic_l2tp_tunnel_up, &e);
	/* The client gave the id of an older tunnel away again: it has forgotten that one. */
	for (struct l2tp_tunnel *u = chan->tunnels; u != t; u = u->next)
		if (u->remote == t->remote && u->state == L2TP_TUNNEL_UP)
			l2tp_tunnel_close(u, L2TP_BYE_NOTHING, "replaced by a new tunnel of the client");
}

static void on_stopccn(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	char why[L2TP_TEXT + 64];
	if (!t->remote) /* it refuses our SCCRQ: where the acknowledgement goes to */
		t->remote = m->tunnel_id;
	vd_format(why, sizeof(why), "%s ended it (result %u, error %u%s%s)", t->chan->dial ? "the gateway" : "client", m->result, m->error,
		m->text[0] ? ": " : "", m->text);
	if (t->state == L2TP_TUNNEL_UP)
		l2tp_tunnel_close(t, L2TP_BYE_NOTHING, why);
	else /* it did not come up, and this is the peer's word on why */
		l2tp_tunnel_refuse(t, (struct vd_report){ .kind = &vd_fail_gave_up, .stage = "l2tp", .difference = why }, 0, 0, why);
}

/* A message in its turn. */
static void deliver(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	if (t->state == L2TP_TUNNEL_CLOSED)
		return;
	bool of_call = m->type >= L2TP_OCRQ && m->type <= L2TP_SLI && m->type != 13;
	bool known = of_call || (m->type <= L2TP_HELLO && m->type != 5);
	if (!known) {
		/* Its Message Type says whether it may be ignored, whole (RFC 2661 section 4.4.1): its AVPs are nobody's. */
		char why[64];
		vd_count("l2tp.unknown_type", 1);
		if (!m->type_m)
			return;
		vd_format(why, sizeof(why), "unknown mandatory message type %u", m->type);
		l2tp_tunnel_refuse(t, L2TP_ODD, L2TP_STOP_ERROR, L2TP_E_VALUE, why);
		return;
	}
	if (m->bad_code && !of_call && m->type != L2TP_STOPCCN) {
		struct l2tp_why why;
		l2tp_bad_avp(t->chan, m, &why);
		if (m->type == L2TP_SCCRP && t->state == L2TP_TUNNEL_ASK) /* whom the StopCCN goes to */
			t->remote = m->tunnel_id;
		l2tp_tunnel_refuse(t, why.report, L2TP_STOP_ERROR, m->bad_code, why.text);
		return;
	}
	if (of_call && t->state != L2TP_TUNNEL_UP) {
		l2tp_tunnel_refuse(t, L2TP_ODD, L2TP_STOP_FSM, 0, "a call's message before the tunnel is up");
		return;
	}
	switch (m->type) {
	case L2TP_SCCCN: on_scccn(t, m); break;
	case L2TP_STOPCCN: on_stopccn(t, m); break;
	case L2TP_HELLO: break;
	case L2TP_SCCRP:
		if (t->state == L2TP_TUNNEL_ASK) {
			l2tp_dial_sccrp(t, m);
			break;
		}
		/* fall through */
	case L2TP_SCCRQ:
		l2tp_tunnel_refuse(t, L2TP_ODD, L2TP_STOP_FSM, 0, "set-up message inside a tunnel");
		break;
	default: l2tp_call_input(t, m); break;
	}
}

static void deliver_early(struct l2tp_tunnel *t)
{
	struct l2tp_msg m;
	for (;;) {
		struct l2tp_rx **slot = &t->rx[t->nr % t->own_window], *rx = *slot;
		if (!rx)
			return;
		*slot = NULL;
		t->nr++;
		t->ack_due = true;
		if (l2tp_msg_parse(rx->buf, rx->len, l2tp_secret(t->chan), &m) == 0)
			deliver(t, &m);
		free(rx);
	}
}

static void keep_early(struct l2tp_tunnel *t, uint16_t ns, const struct datagram *d)
{
	struct l2tp_rx **slot = &t->rx[ns % t->own_window];
	if (*slot)
		return;
	*slot = malloc(sizeof(**slot) + d->len);
	if (!*slot)
		return;
	(*slot)->len = (uint16_t)d->len;
	memcpy((*slot)->buf, d->p, d->len);
}

static void tunnel_input(struct l2tp_tunnel *t, const struct datagram *d, const struct l2tp_msg *m)
{
	bool moved = t->local_port != d->to || t->remote_port != d->from;
	t->heard = vd_now();
	t->local_port = d->to;
	t->remote_port = d->from;
	for (struct l2tp_call *c = moved ? t->calls : NULL; c; c = c->next)
		l2tp_call_moved(c);
	if (t->asking)
		l2tp_stray_heard(t, m);
	if (!l2tp_acked(t, m->h.nr)) {
		vd_count("l2tp.drop.bad_nr", 1);
		dropped(t->chan, "acknowledges what was never sent");
		return;
	}
	if (m->type == L2TP_ZLB)
		return;
	uint16_t ahead = (uint16_t)(m->h.ns - t->nr);
	if (ahead >= 0x8000) { /* seen before: the acknowledgement was lost (RFC 2661 section 5.8) */
		vd_count("l2tp.repeated", 1);
		l2tp_ack(t);
		return;
	}
	if (t->queued > L2TP_MAX_QUEUE) {
		vd_count("l2tp.drop.queue_full", 1);
		return;
	}
	if (ahead >= t->own_window) {
		vd_count("l2tp.drop.window", 1);
		dropped(t->chan, "beyond the window");
		return;
	}
	if (ahead > 0) {
		vd_count("l2tp.early", 1);
		if (t->state != L2TP_TUNNEL_CLOSED)
			keep_early(t, m->h.ns, d);
		return;
	}
	t->nr++;
	t->ack_due = true;
	deliver(t, m);
	deliver_early(t);
	/* At once, always: Android goes on only when SCCCN and ICCN are acknowledged. */
	if (t->ack_due)
		l2tp_ack(t);
}

/* Tunnel id 0 in anything but SCCRQ: a StopCCN of one that does not know ours yet (RFC 2661 section 4.4.3), or D-Link
 * routers, which never fill it in. */
static struct l2tp_tunnel *find_nameless(struct l2tp_chan *chan, const struct l2tp_msg *m)
{
	struct l2tp_tunnel *only = NULL;
	for (struct l2tp_tunnel *t = chan->tunnels; t; t = t->next) {
		if (m->type == L2TP_STOPCCN && L2TP_SEEN(m, L2TP_A_TUNNEL_ID)) {
			if (t->remote == m->tunnel_id)
				only = t; /* the newest */
		} else if (t->state != L2TP_TUNNEL_CLOSED) {
			if (only)
				return NULL;
			only = t;
		}
	}
	return only;
}

void l2tp_input(struct l2tp_chan *chan, const uint8_t *p, size_t len)
{
	struct datagram d;
	struct l2tp_msg m;
	struct vd_rd r, udp;
	vd_rd_init(&r, p, len);
	d.from = vd_rd_u16(&r);
	d.to = vd_rd_u16(&r);
	uint16_t udp_len = vd_rd_u16(&r);
	vd_rd_u16(&r);
	if (!vd_rd_ok(&r) || udp_len < L2TP_UDP || !vd_rd_sub(&r, udp_len - L2TP_UDP, &udp)) {
		vd_count("l2tp.drop.udp", 1);
		return;
	}
	d.p = vd_rd_rest(&udp, &d.len);
	uint16_t tunnel, session;
	if (l2tp_data_ids(d.p, d.len, &tunnel, &session)) {
		l2tp_stray_data(chan, d.from, d.to, tunnel, session);
		return;
	}
	if (d.len > L2TP_MAX_MESSAGE) {
		vd_count("l2tp.drop.too_long", 1);
		dropped(chan, "too long");
		return;
	}
	int rc = l2tp_msg_parse(d.p, d.len, l2tp_secret(chan), &m);
	if (rc < 0) {
		vd_count(rc == -EPROTONOSUPPORT ? "l2tp.drop.version" : rc == -EINVAL ? "l2tp.drop.no_type" :
			"l2tp.drop.header", 1);
		dropped(chan, rc == -EPROTONOSUPPORT ? "another version" : "malformed");
		return;
	}
	struct vd_ids ids = l2tp_ids(chan, 0);
	if (vd_log_enabled(VD_LOG_DEBUG, "l2tp", &ids))
		vd_log(VD_LOG_DEBUG, "l2tp", &ids, "received %s, tunnel %u, session %u, Ns %u, Nr %u, %zu octets", l2tp_type_name(m.type),
			m.h.tunnel, m.h.session, m.h.ns, m.h.nr, d.len);
	if (chan->self->stopping && m.type == L2TP_SCCRQ)
		return;
	if (m.type == L2TP_SCCRQ && m.h.tunnel == 0) {
		on_sccrq(chan, &d, &m);
		return;
	}
	struct l2tp_tunnel *t = m.h.tunnel ? l2tp_tunnel_find(chan, m.h.tunnel) : find_nameless(chan, &m);
	if (!t) {
		/* Also a tunnel of somebody else's channel: a shared PSK gives no right to it. */
		vd_count("l2tp.drop.no_tunnel", 1);
		dropped(chan, "no such tunnel on this channel");
		l2tp_stray_control(chan, d.from, d.to, &m);
		return;
	}
	tunnel_input(t, &d, &m);
}
