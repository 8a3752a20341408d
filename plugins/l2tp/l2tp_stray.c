/* L2TP: what comes for a tunnel or a call that is not here. A client whose IPsec went down and up below a living L2TP, or one
 * whose gateway was restarted, goes on with ids that nobody knows any more, and would be met by silence until its own timers
 * end that. It gets a StopCCN or a CDN (RFC 2661 sections 6.4 and 6.12), inside the SA that the message came through.
 *
 * Where to: the message has our id only, and our ids are the peer's own (l2tp_tunnel_new, l2tp_call_new), so no memory of what
 * was there is needed. With which number: a control message says which Ns the peer expects. Data does not; then the StopCCN
 * begins with 0, which is one that the peer has had, so it acknowledges that with the right Nr (section 5.8), and the StopCCN
 * goes again with that one.
 *
 * The answer is a tunnel that is closed already: it repeats its StopCCN, and hears what is still under way. */
#include "l2tp.h"

/* May the channel be answered now? What is reported is rarer still. */
static bool allowed(struct l2tp_chan *chan)
{
	uint64_t now = vd_now();
	if (chan->self->stopping || (chan->stray_answered && now - chan->stray_answered < L2TP_STRAY_MS))
		return false;
	chan->stray_answered = now ? now : 1;
	return true;
}

static void report(struct l2tp_chan *chan, const char *what, const char *where)
{
	uint64_t now = vd_now();
	vd_count("l2tp.stray", 1);
	vd_note('c', chan->id, "%s came for %s, which is not here", what, where);
	if (chan->stray_told && now - chan->stray_told < L2TP_STRAY_TELL_MS)
		return;
	chan->stray_told = now ? now : 1;
	l2tp_setup_failed(chan, 0, (struct vd_report){ .kind = &l2tp_fail_stray, .offered = what, .difference = where });
}

/* A closed tunnel in the place of the one that the peer means. Ns and Nr: as it expects them, so far as that is known. */
static struct l2tp_tunnel *tombstone(struct l2tp_chan *chan, uint16_t from, uint16_t to, uint16_t id, uint16_t ns, uint16_t nr)
{
	l2tp_tunnel_room(chan);
	struct l2tp_tunnel *t = l2tp_tunnel_new(chan, id);
	if (!t) {
		vd_count("l2tp.drop.no_memory", 1);
		return NULL;
	}
	t->remote = id;
	t->local_port = to;
	t->remote_port = from;
	t->created = t->heard = vd_now();
	t->own_window = (uint16_t)l2tp_knob(chan, "window");
	t->ns = t->ns_sent = ns;
	t->nr = nr;
	t->state = L2TP_TUNNEL_CLOSED;
	chan->self->tombs++;
	vd_timer_start(&t->life, l2tp_cycle(chan));
	return t;
}

static void stop(struct l2tp_tunnel *t)
{
	uint8_t room[128];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin_type(&w, t->remote, 0, L2TP_STOPCCN);
	l2tp_avp_u16(&w, L2TP_A_TUNNEL_ID, t->local);
	l2tp_avp_result(&w, L2TP_STOP_CLEAR, 0, "there is no such tunnel");
	l2tp_queue(t, &w);
}

static void acknowledge(struct l2tp_chan *chan, uint16_t from, uint16_t to, const struct l2tp_msg *m)
{
	uint8_t room[L2TP_HEADER];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	l2tp_begin(&w, m->h.tunnel, 0, m->h.nr, (uint16_t)(m->h.ns + 1));
	l2tp_end(&w);
	if (l2tp_emit(chan, to, from, room, w.len) < 0)
		vd_count("l2tp.send_failed", 1);
}

void l2tp_stray_data(struct l2tp_chan *chan, uint16_t from, uint16_t to, uint16_t tunnel, uint16_t session)
{
	struct l2tp_tunnel *t = l2tp_tunnel_find(chan, tunnel);
	char where[64];
	/* What is still under way when a call or a tunnel ends is no stray: both are kept for a while. */
	if (!tunnel || !session || (t && (t->state != L2TP_TUNNEL_UP || l2tp_call_find(t, session))) || !allowed(chan))
		return;
	vd_format(where, sizeof(where), "session %u of tunnel %u", session, tunnel);
	report(chan, "data", where);
	if (chan->dial) /* the ids are ours alone: the gateway's are not known */
		return;
	if (t) {
		l2tp_call_deny(t, session);
		return;
	}
	t = tombstone(chan, from, to, tunnel, 0, 0);
	if (!t)
		return;
	t->asking = true;
	stop(t);
}

void l2tp_stray_control(struct l2tp_chan *chan, uint16_t from, uint16_t to, const struct l2tp_msg *m)
{
	char where[64];
	if (!m->h.tunnel || m->type == L2TP_ZLB || m->type == L2TP_SCCRQ || m->type == L2TP_SCCRP || chan->dial || !allowed(chan))
		return;
	if (m->type == L2TP_STOPCCN) { /* both have ended it: the peer need not repeat that */
		acknowledge(chan, from, to, m);
		return;
	}
	vd_format(where, sizeof(where), "tunnel %u", m->h.tunnel);
	report(chan, l2tp_type_name(m->type), where);
	struct l2tp_tunnel *t = tombstone(chan, from, to, m->h.tunnel, m->h.nr, (uint16_t)(m->h.ns + 1));
	if (t)
		stop(t);
}

void l2tp_stray_heard(struct l2tp_tunnel *t, const struct l2tp_msg *m)
{
	t->asking = false;
	t->nr = m->h.ns;
	if (m->h.nr != t->ns_sent) /* else it acknowledges our StopCCN */
		l2tp_renumber(t, m->h.nr);
}
