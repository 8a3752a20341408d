/* L2TP: calls, that come in or that we dialled: ICRQ to CDN, and the link above (RFC 2661 sections 6.6 to 6.12, 7.4). */
#include "l2tp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(struct vd_timer *timer);

static uint64_t link_key(const struct l2tp_call *c)
{
	return (uint64_t)c->tunnel->local << 16 | c->local;
}

struct l2tp_call *l2tp_call_find(struct l2tp_tunnel *t, uint16_t local)
{
	struct l2tp_call *c = t->calls;
	while (c && c->local != local)
		c = c->next;
	return c;
}

static struct l2tp_call *find_session(struct l2tp *self, uint64_t session)
{
	struct l2tp_call *c = self->calls[session % L2TP_HASH];
	while (c && c->session != session)
		c = c->hashed;
	return c;
}

void l2tp_call_hash(struct l2tp_call *c)
{
	struct l2tp_call **bucket = &c->tunnel->chan->self->calls[c->session % L2TP_HASH];
	c->hashed = *bucket;
	*bucket = c;
}

static void unhash(struct l2tp_call *c)
{
	struct l2tp_call **at = &c->tunnel->chan->self->calls[c->session % L2TP_HASH];
	while (*at && *at != c)
		at = &(*at)->hashed;
	if (*at)
		*at = c->hashed;
	c->hashed = NULL;
}

struct l2tp_call *l2tp_call_new(struct l2tp_tunnel *t, uint16_t local)
{
	struct l2tp_call *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	while (!local || l2tp_call_find(t, local))
		vd_random_seen("session id", &local, sizeof(local));
	c->tunnel = t;
	c->local = local;
	vd_timer_init(&c->timer, on_timer);
	c->timer.kind = L2TP_TIMER_CALL;
	struct l2tp_call **at = &t->calls;
	while (*at)
		at = &(*at)->next;
	*at = c;
	return c;
}

void l2tp_call_free(struct l2tp_call *c)
{
	vd_timer_stop(&c->timer);
	unhash(c);
	struct l2tp_call **at = &c->tunnel->calls;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

static void send_cdn(struct l2tp_tunnel *t, uint16_t remote, uint16_t local, uint16_t result, uint16_t error,
	const char *why)
{
	bool fresh = !local;
	uint8_t room[256];
	struct vd_wr w;
	/* 0 is no valid Assigned Session ID: a call that is refused gets one that nobody has. */
	while (!local || (fresh && l2tp_call_find(t, local)))
		vd_random_seen("session id", &local, sizeof(local));
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, t->remote, remote, L2TP_CDN);
	l2tp_avp_result(&w, result, error, why);
	l2tp_avp_u16(&w, L2TP_A_SESSION_ID, local);
	l2tp_queue(t, &w);
}

/* A call that does not come to be. */
static void deny(struct l2tp_tunnel *t, uint16_t remote, struct vd_report report, uint16_t result, uint16_t error, const char *why)
{
	vd_count("l2tp.refused_call", 1);
	l2tp_refused(t->chan, 0, report, why);
	send_cdn(t, remote, 0, result, error, why);
}

static void end_call(struct l2tp_call *c, uint16_t result, uint16_t error, const char *reason)
{
	struct l2tp_tunnel *t = c->tunnel;
	struct l2tp *self = t->chan->self;
	enum l2tp_call_state was = c->state;
	if (was == L2TP_CALL_DEAD)
		return;
	c->state = L2TP_CALL_DEAD;
	vd_note('s', c->session, "L2TP call ended: %s", reason);
	if (result)
		send_cdn(t, c->remote, c->local, result, error, reason);
	self->dp->link_del(self->dp->self, t->chan->id, link_key(c), NULL, NULL);
	/* An answer of the link (closed) finds no call any more. */
	unhash(c);
	if (was == L2TP_CALL_UP || was == L2TP_CALL_STOP)
		self->link->lower_down(self->link->self, c->session, reason);
	vd_session_close(c->session, reason, true);
	vd_timer_start(&c->timer, l2tp_cycle(t->chan));
	l2tp_tunnel_idle(t);
	if (t->chan->dial)
		l2tp_dial_end(t->chan->dial, reason);
}

void l2tp_call_end(struct l2tp_call *c, bool say, const char *reason)
{
	end_call(c, say ? L2TP_CDN_ADMIN : 0, 0, reason);
}

void l2tp_call_refuse(struct l2tp_call *c, struct vd_report report, uint16_t result, uint16_t error, const char *why)
{
	if (c->state == L2TP_CALL_DEAD)
		return;
	l2tp_refused(c->tunnel->chan, c->session, report, why);
	end_call(c, result, error, why);
}

/* Only so many ids of dead calls are spared. */
static void dead_room(struct l2tp_tunnel *t)
{
	unsigned dead = 0;
	struct l2tp_call *oldest = NULL;
	for (struct l2tp_call *c = t->calls; c; c = c->next)
		if (c->state == L2TP_CALL_DEAD && dead++ == 0)
			oldest = c;
	if (dead >= L2TP_DEAD_CALLS)
		l2tp_call_free(oldest);
}

void l2tp_call_deny(struct l2tp_tunnel *t, uint16_t id)
{
	dead_room(t);
	struct l2tp_call *c = l2tp_call_new(t, id);
	if (!c) {
		vd_count("l2tp.drop.no_memory", 1);
		return;
	}
	c->state = L2TP_CALL_DEAD;
	c->remote = id;
	vd_timer_start(&c->timer, l2tp_cycle(t->chan));
	send_cdn(t, id, id, L2TP_CDN_CARRIER, 0, "there is no such session");
}

static void on_timer(struct vd_timer *timer)
{
	struct l2tp_call *c = VD_CONTAINER_OF(timer, struct l2tp_call, timer);
	switch (c->state) {
	case L2TP_CALL_LINK: case L2TP_CALL_REPLY:
		vd_count("l2tp.setup_timeout", 1);
		l2tp_call_refuse(c, (struct vd_report){ .kind = &l2tp_fail_no_iccn, .count = L2TP_SETUP_MS / 1000 }, L2TP_CDN_ERROR,
			L2TP_E_VENDOR, "no ICCN came");
		break;
	case L2TP_CALL_ASK:
		vd_count("l2tp.setup_timeout", 1);
		l2tp_call_refuse(c, L2TP_ODD, L2TP_CDN_ERROR, L2TP_E_VENDOR, "the gateway did not answer our call (ICRQ)");
		break;
	case L2TP_CALL_UP: break;
	case L2TP_CALL_STOP: l2tp_call_end(c, true, "session ended"); break;
	case L2TP_CALL_DEAD: l2tp_call_free(c); break;
	}
}

/* ---- towards the link ---- */
/* Without number: the worker puts it in. */
static void call_header(const struct l2tp_call *c, struct vd_hdr *ret_hdr)
{
	const struct l2tp_tunnel *t = c->tunnel;
	struct vd_wr w;
	memset(ret_hdr, 0, sizeof(*ret_hdr));
	vd_wr_init(&w, ret_hdr->bytes, sizeof(ret_hdr->bytes));
	vd_wr_u16(&w, t->local_port);
	vd_wr_u16(&w, t->remote_port);
	vd_wr_u16(&w, 0); /* lengths are patched per packet */
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, L2TP_DATA_FLAGS);
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, t->remote);
	vd_wr_u16(&w, c->remote);
	ret_hdr->len = (uint8_t)w.len;
	ret_hdr->udp_len = 4;
	ret_hdr->udp_from = 0;
	ret_hdr->l2tp_len = L2TP_UDP + 2;
	ret_hdr->l2tp_from = L2TP_UDP;
}

static int lower_send(void *arg, uint64_t session, const uint8_t *p, size_t len)
{
	const struct l2tp *self = arg;
	const struct l2tp_call *c = find_session(arg, session);
	struct vd_hdr hdr;
	if (!c || c->state == L2TP_CALL_DEAD)
		return -ESTALE;
	if (c->importing)
		return -EAGAIN;
	/* Behind the header that data has: the worker counts both. */
	call_header(c, &hdr);
	return self->dp->link_send(self->dp->self, session, &hdr, p, len);
}

void l2tp_call_moved(struct l2tp_call *c)
{
	struct vd_hdr hdr;
	if (c->state != L2TP_CALL_UP)
		return;
	call_header(c, &hdr);
	/* -EINVAL while the link negotiates: it asks for the header when it needs it. */
	int rc = vd_session_header(c->session, hdr.bytes, hdr.len);
	if (rc < 0 && rc != -EINVAL)
		vd_count("l2tp.header_failed", 1);
}

static void lower_header(void *arg, uint64_t session, struct vd_hdr *ret_hdr)
{
	const struct l2tp_call *c = find_session(arg, session);
	if (c)
		call_header(c, ret_hdr);
	else
		memset(ret_hdr, 0, sizeof(*ret_hdr));
}

static void lower_closed(void *arg, uint64_t session, const char *reason)
{
	struct l2tp_call *c = find_session(arg, session);
	if (!c || (c->state != L2TP_CALL_UP && c->state != L2TP_CALL_STOP))
		return;
	c->state = L2TP_CALL_LINK; /* the link has let go: it must not be told that we are down */
	l2tp_call_end(c, true, reason);
}

static const struct vd_link_lower lower = { .send = lower_send, .header = lower_header, .closed = lower_closed };

static void owner_closed(void *arg, uint64_t session, const char *reason)
{
	struct l2tp *self = arg;
	struct l2tp_call *c = find_session(self, session);
	if (!c)
		return;
	if (c->state == L2TP_CALL_UP) {
		c->state = L2TP_CALL_STOP;
		vd_timer_start(&c->timer, L2TP_STOP_MS);
		self->link->stop(self->link->self, session, reason);
	} else if (c->state != L2TP_CALL_STOP) {
		l2tp_call_end(c, true, reason);
	}
}

const struct vd_session_owner l2tp_owner = { .closed = owner_closed };

bool l2tp_call_sequencing(const struct l2tp_call *c)
{
	return vd_conf_bool(vd_conf_knob(vd_conf_current(), c->tunnel->chan->connection, "l2tp", "sequencing"));
}

static int start_link(struct l2tp_call *c)
{
	struct l2tp_chan *chan = c->tunnel->chan;
	struct vd_link_params params = { .overhead = L2TP_UDP + L2TP_DATA_HEADER, .dial = chan->dial != NULL };
	struct vd_numbers numbers = { .when = c->numbered, .at = L2TP_UDP + L2TP_DATA_HEADER, .next = c->number };
	int rc = c->numbered ? chan->self->dp->session_numbers(chan->self->dp->self, c->session, &numbers) : 0;
	if (rc < 0)
		return rc;
	/* Where the peer decides, the worker makes room when it comes to that. */
	if (c->numbered >= VD_NUMBERED_YES)
		params.overhead += VD_NUMBER_LEN;
	vd_strcpy(params.connection, sizeof(params.connection), chan->connection);
	return chan->self->link->start(chan->self->link->self, c->session, &lower, chan->self, &params);
}

/* ---- the worker knows the key ---- */
static struct l2tp_wait *wait_new(struct l2tp *self, uint64_t session)
{
	struct l2tp_wait *wait = malloc(sizeof(*wait));
	if (!wait)
		return NULL;
	*wait = (struct l2tp_wait){ .next = self->waits, .at = &self->waits, .self = self, .session = session };
	if (wait->next)
		wait->next->at = &wait->next;
	self->waits = wait;
	return wait;
}

/* Frees it; the call that it was for, when it is still there. */
static struct l2tp_call *wait_end(struct l2tp_wait *wait)
{
	struct l2tp_call *c = wait->self ? find_session(wait->self, wait->session) : NULL;
	if (wait->self) {
		*wait->at = wait->next;
		if (wait->next)
			wait->next->at = wait->at;
	}
	free(wait);
	return c;
}

void l2tp_waits_forget(struct l2tp *self)
{
	for (struct l2tp_wait *wait = self->waits; wait; wait = wait->next)
		wait->self = NULL;
	self->waits = NULL;
}

static void on_link_added(void *arg)
{
	struct l2tp_call *c = wait_end(arg);
	if (!c || c->state != L2TP_CALL_LINK)
		return;
	if (c->tunnel->chan->dial) {
		l2tp_dial_icrq(c);
		return;
	}
	c->state = L2TP_CALL_REPLY;
	uint8_t room[64];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, c->tunnel->remote, c->remote, L2TP_ICRP);
	l2tp_avp_u16(&w, L2TP_A_SESSION_ID, c->local);
	l2tp_queue(c->tunnel, &w);
}

int l2tp_call_link(struct l2tp_call *c)
{
	struct l2tp_chan *chan = c->tunnel->chan;
	struct l2tp *self = chan->self;
	struct vd_link_desc desc = { .chan = chan->id, .key = link_key(c), .session = c->session, .up = self->link->stage };
	struct l2tp_wait *wait = wait_new(self, c->session);
	if (!wait)
		return -ENOMEM;
	int rc = self->dp->link_add(self->dp->self, &desc, on_link_added, wait);
	if (rc < 0)
		wait_end(wait);
	return rc;
}

static void clear_importing(void *arg)
{
	struct l2tp_call *c = wait_end(arg);
	if (c)
		c->importing = false;
}

int l2tp_call_restore(struct l2tp_call *c)
{
	struct l2tp *self = c->tunnel->chan->self;
	if (c->state == L2TP_CALL_DEAD)
		return 0;
	if (vd_session_adopt(c->session, &l2tp_owner, self) < 0) {
		vd_count("l2tp.import_no_session", 1);
		c->state = L2TP_CALL_LINK; /* the link never had it */
		l2tp_call_end(c, true, "session ended");
		return 0;
	}
	int rc = l2tp_call_link(c);
	if (rc < 0 || c->state != L2TP_CALL_UP)
		return rc;
	/* The link opens as for a new call and its own layer then puts its state in; until that is done it stays silent. */
	struct l2tp_wait *wait = wait_new(self, c->session);
	if (!wait)
		return -ENOMEM;
	c->importing = true;
	rc = vd_defer(clear_importing, wait);
	if (rc < 0) {
		wait_end(wait);
		return rc;
	}
	return start_link(c);
}

/* ---- messages ---- */
static void on_icrq(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	struct l2tp_chan *chan = t->chan;
	unsigned living = 0;
	struct l2tp_why why;
	if (!L2TP_SEEN(m, L2TP_A_SESSION_ID) || m->session_id == 0) {
		vd_count("l2tp.drop.bad_icrq", 1);
		l2tp_refused(chan, 0, L2TP_ODD, "its ICRQ has no session id"); /* nowhere to answer to */
		return;
	}
	for (struct l2tp_call *c = t->calls; c; c = c->next) {
		if (c->state == L2TP_CALL_DEAD)
			continue;
		living++;
		if (c->remote == m->session_id) { /* an answer would hit the call that has this id */
			vd_count("l2tp.drop.id_in_use", 1);
			return;
		}
	}
	if (m->bad_code) {
		l2tp_bad_avp(chan, m, &why);
		deny(t, m->session_id, why.report, L2TP_CDN_ERROR, m->bad_code, why.text);
		return;
	}
	if (living >= l2tp_knob(chan, "sessions")) {
		l2tp_limit_reached(chan, "l2tp.sessions", "sessions in one tunnel", &why);
		deny(t, m->session_id, why.report, L2TP_CDN_BUSY, L2TP_E_RESOURCES, why.text);
		return;
	}
	dead_room(t);
	struct vd_error err = { 0 };
	struct l2tp_call *c = l2tp_call_new(t, m->session_id); /* as for tunnels: both sides use one id where they can */
	uint64_t session = c ? vd_session_new(chan->id, chan->connection, &l2tp_owner, chan->self, &err) : 0;
	if (!session) {
		if (c)
			l2tp_call_free(c);
		deny(t, m->session_id, (struct vd_report){ .kind = &vd_fail_resources, .stage = "l2tp",
			.difference = err.text[0] ? err.text : "no memory for the client's call", .origin = err.origin },
			L2TP_CDN_BUSY, L2TP_E_RESOURCES, "no resources");
		return;
	}
	c->remote = m->session_id;
	c->serial = m->serial;
	c->session = session;
	l2tp_call_hash(c);
	vd_timer_stop(&t->life);
	vd_timer_start(&c->timer, L2TP_SETUP_MS);
	vd_note('s', session, "L2TP call %u in tunnel %u, peer's %u", c->local, t->local, c->remote);
	/* The key first: the client's LCP may come before its ICCN, and right behind our ICRP. */
	if (l2tp_call_link(c) < 0)
		l2tp_call_refuse(c, (struct vd_report){ .kind = &vd_fail_resources, .stage = "l2tp",
			.difference = "the workers cannot take the client's call" }, L2TP_CDN_BUSY, L2TP_E_RESOURCES, "no resources");
}

void l2tp_call_begin(struct l2tp_call *c)
{
	c->state = L2TP_CALL_UP;
	vd_timer_stop(&c->timer);
	vd_note('s', c->session, "L2TP call is up");
	int rc = start_link(c);
	if (rc < 0 && c->state == L2TP_CALL_UP) {
		char text[64];
		vd_format(text, sizeof(text), "PPP cannot start: %s", strerror(-rc));
		c->state = L2TP_CALL_REPLY; /* the link does not have it */
		l2tp_call_refuse(c, (struct vd_report){ .kind = &vd_fail_resources, .stage = "l2tp", .difference = text },
			L2TP_CDN_BUSY, L2TP_E_RESOURCES, "no resources");
	}
}

static void on_iccn(struct l2tp_call *c, const struct l2tp_msg *m)
{
	if (c->state != L2TP_CALL_REPLY) {
		l2tp_call_refuse(c, L2TP_ODD, L2TP_CDN_ERROR, L2TP_E_VALUE, "ICCN is out of sequence");
		return;
	}
	if (L2TP_SEEN(m, L2TP_A_SEQUENCING)) {
		vd_count("l2tp.sequencing_asked", 1);
		vd_note('s', c->session, "the client requires sequence numbers in data messages");
		c->numbered = VD_NUMBERED_BOTH;
	} else if (l2tp_call_sequencing(c)) {
		vd_note('s', c->session, "data messages have sequence numbers, as l2tp.sequencing says");
		c->numbered = VD_NUMBERED_YES;
	}
	l2tp_call_begin(c);
}

static void on_cdn(struct l2tp_call *c, const struct l2tp_msg *m)
{
	char why[L2TP_TEXT + 64];
	vd_format(why, sizeof(why), "%s hung up (result %u, error %u%s%s)", c->tunnel->chan->dial ? "the gateway" : "client",
		m->result, m->error, m->text[0] ? ": " : "", m->text);
	if (c->state == L2TP_CALL_UP || c->state == L2TP_CALL_STOP)
		l2tp_call_end(c, false, why);
	else /* as for a StopCCN */
		l2tp_call_refuse(c, (struct vd_report){ .kind = &vd_fail_gave_up, .stage = "l2tp", .difference = why }, 0, 0, why);
}

static struct l2tp_call *find_call(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	if (m->h.session)
		return l2tp_call_find(t, m->h.session);
	/* A CDN of one that does not know our id yet (RFC 2661 section 4.4.4). */
	if (m->type == L2TP_CDN && L2TP_SEEN(m, L2TP_A_SESSION_ID))
		for (struct l2tp_call *c = t->calls; c; c = c->next)
			if (c->remote == m->session_id && c->state != L2TP_CALL_DEAD)
				return c;
	return NULL;
}

void l2tp_call_input(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	if ((m->type == L2TP_ICRQ || m->type == L2TP_OCRQ) && !m->session_id && m->bad_hidden) {
		struct l2tp_why why;
		/* Its id is hidden too: until it is known the answer goes to session id 0 (RFC 2661 section 4.4.4). */
		l2tp_bad_avp(t->chan, m, &why);
		deny(t, 0, why.report, L2TP_CDN_ERROR, m->bad_code, why.text);
		return;
	}
	if (m->type == L2TP_ICRQ && !t->chan->dial) {
		on_icrq(t, m);
		return;
	}
	if (m->type == L2TP_OCRQ || m->type == L2TP_ICRQ) {
		const char *never = t->chan->dial ? "we dialled, and take no calls" : "no outgoing calls here";
		if (m->session_id)
			deny(t, m->session_id, L2TP_ODD, L2TP_CDN_NEVER, 0, never);
		else
			l2tp_refused(t->chan, 0, L2TP_ODD, never);
		return;
	}
	struct l2tp_call *c = find_call(t, m);
	if (!c || c->state == L2TP_CALL_DEAD) {
		vd_count("l2tp.drop.no_call", 1);
		return;
	}
	if (m->bad_code && m->type != L2TP_CDN) {
		struct l2tp_why why;
		l2tp_bad_avp(t->chan, m, &why);
		l2tp_call_refuse(c, why.report, L2TP_CDN_ERROR, m->bad_code, why.text);
		return;
	}
	switch (m->type) {
	case L2TP_ICCN: on_iccn(c, m); break;
	case L2TP_ICRP:
		if (t->chan->dial) {
			l2tp_dial_icrp(c, m);
			break;
		}
		l2tp_call_refuse(c, L2TP_ODD, L2TP_CDN_ERROR, L2TP_E_VALUE, "message is out of sequence");
		break;
	case L2TP_CDN: on_cdn(c, m); break;
	case L2TP_WEN: case L2TP_SLI: break; /* line errors and ACCM of serial lines say nothing about us */
	default: l2tp_call_refuse(c, L2TP_ODD, L2TP_CDN_ERROR, L2TP_E_VALUE, "message is out of sequence"); break;
	}
}
