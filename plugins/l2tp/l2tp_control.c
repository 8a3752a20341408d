/* L2TP: reliable delivery of control messages (RFC 2661 section 5.8, congestion window as in appendix A). */
#include "l2tp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint16_t congestion_window(const struct l2tp_tunnel *t)
{
	return t->cwnd < t->window ? t->cwnd : t->window;
}

static uint64_t timeout(const struct l2tp_tunnel *t)
{
	uint64_t ms = L2TP_RTO_FIRST;
	for (unsigned i = 0; i < t->tries && ms < L2TP_RTO_CAP; i++)
		ms *= 2;
	return ms < L2TP_RTO_CAP ? ms : L2TP_RTO_CAP;
}

uint64_t l2tp_cycle(const struct l2tp_chan *chan)
{
	uint64_t sum = 0, ms = L2TP_RTO_FIRST, n = l2tp_knob(chan, "retries") + 1;
	for (uint64_t i = 0; i < n; i++) {
		sum += ms;
		ms = ms * 2 < L2TP_RTO_CAP ? ms * 2 : L2TP_RTO_CAP;
	}
	return sum;
}

static void transmit(struct l2tp_tunnel *t, struct l2tp_tx *tx)
{
	struct vd_wr w;
	vd_wr_init(&w, tx->buf, tx->len);
	w.len = tx->len; /* the octets are there; only Ns and Nr change */
	vd_wr_patch_u16(&w, 8, tx->ns);
	vd_wr_patch_u16(&w, 10, t->nr);
	t->ack_due = false;
	struct vd_ids ids = l2tp_ids(t->chan, 0);
	if (vd_log_enabled(VD_LOG_DEBUG, "l2tp", &ids)) {
		struct vd_rd r;
		vd_rd_init(&r, tx->buf, tx->len);
		vd_rd_take(&r, L2TP_HEADER + 6);
		vd_log(VD_LOG_DEBUG, "l2tp", &ids, "sent %s, tunnel %u (peer's %u), Ns %u, Nr %u, %u octets", l2tp_type_name(vd_rd_u16(&r)), t->local,
			t->remote, tx->ns, t->nr, tx->len);
	}
	if (l2tp_emit(t->chan, t->local_port, t->remote_port, tx->buf, tx->len) < 0)
		vd_count("l2tp.send_failed", 1);
}

static void push(struct l2tp_tunnel *t)
{
	struct l2tp_tx *tx = t->tx;
	for (unsigned i = 0; tx && i < t->flying; i++)
		tx = tx->next;
	while (tx && t->flying < congestion_window(t)) {
		transmit(t, tx);
		t->flying++;
		if ((int16_t)(tx->ns + 1 - t->ns_sent) > 0)
			t->ns_sent = tx->ns + 1;
		tx = tx->next;
	}
	if (t->flying && !vd_timer_armed(&t->retransmit))
		vd_timer_start(&t->retransmit, timeout(t));
}

/* True when nothing but a HELLO waits for its acknowledgement. */
static bool only_hello(const struct l2tp_tunnel *t)
{
	struct vd_rd r;
	if (!t->tx || t->tx->next)
		return false;
	vd_rd_init(&r, t->tx->buf, t->tx->len);
	vd_rd_take(&r, L2TP_HEADER + 6);
	return vd_rd_u16(&r) == L2TP_HELLO;
}

void l2tp_queue(struct l2tp_tunnel *t, struct vd_wr *w)
{
	bool patient = only_hello(t);
	l2tp_end(w);
	struct l2tp_tx *tx = vd_wr_ok(w) ? malloc(sizeof(*tx) + w->len) : NULL;
	if (!tx) {
		/* Without this message the conversation cannot go on: the peer's repetitions or our timers end it. */
		vd_count("l2tp.drop.no_memory", 1);
		return;
	}
	tx->next = NULL;
	tx->ns = t->ns++;
	tx->len = (uint16_t)w->len;
	memcpy(tx->buf, w->base, w->len);
	*t->tx_end = tx;
	t->tx_end = &tx->next;
	t->queued++;
	if (patient) /* the HELLO may have been waiting for a silence; this message does not */
		vd_timer_start(&t->retransmit, timeout(t));
	push(t);
}

void l2tp_ack(struct l2tp_tunnel *t)
{
	uint8_t room[L2TP_HEADER];
	struct vd_wr w;
	vd_wr_init(&w, room, sizeof(room));
	/* A ZLB carries the next Ns without using it up; messages still waiting in the queue have theirs already. */
	l2tp_begin(&w, t->remote, 0, t->ns_sent, t->nr);
	l2tp_end(&w);
	t->ack_due = false;
	if (l2tp_emit(t->chan, t->local_port, t->remote_port, room, w.len) < 0)
		vd_count("l2tp.send_failed", 1);
}

bool l2tp_acked(struct l2tp_tunnel *t, uint16_t nr)
{
	uint16_t first = t->tx ? t->tx->ns : t->ns_sent;
	if ((int16_t)(nr - t->ns_sent) > 0)
		return false;
	if ((int16_t)(nr - first) <= 0)
		return true;
	while (t->tx && (int16_t)(nr - t->tx->ns) > 0) {
		struct l2tp_tx *tx = t->tx;
		t->tx = tx->next;
		if (!t->tx)
			t->tx_end = &t->tx;
		t->queued--;
		if (t->flying)
			t->flying--;
		free(tx);
	}
	if (t->cwnd < t->ssthresh) {
		t->cwnd++;
	} else if (t->cwnd < t->window && ++t->cwnd_acks >= t->cwnd) {
		t->cwnd++;
		t->cwnd_acks = 0;
	}
	t->tries = 0;
	vd_timer_stop(&t->retransmit);
	push(t);
	if (!t->tx && t->chan->dial)
		l2tp_dial_moved_on(t->chan->dial);
	return true;
}

void l2tp_resend(struct l2tp_tunnel *t)
{
	if (t->tx)
		transmit(t, t->tx);
	else
		l2tp_ack(t);
}

void l2tp_queue_clear(struct l2tp_tunnel *t)
{
	while (t->tx) {
		struct l2tp_tx *tx = t->tx;
		t->tx = tx->next;
		free(tx);
	}
	t->tx_end = &t->tx;
	t->queued = t->flying = 0;
	t->tries = 0;
	vd_timer_stop(&t->retransmit);
}

uint16_t l2tp_ask(struct l2tp_tunnel *t)
{
	if (!t->tx) {
		uint8_t room[64];
		struct vd_wr w;
		vd_wr_init(&w, room, sizeof(room));
		l2tp_begin_type(&w, t->remote, 0, L2TP_HELLO);
		l2tp_queue(t, &w);
	}
	return t->tx ? t->tx->ns : t->ns;
}

void l2tp_renumber(struct l2tp_tunnel *t, uint16_t ns)
{
	t->ns = t->ns_sent = ns;
	for (struct l2tp_tx *tx = t->tx; tx; tx = tx->next)
		tx->ns = t->ns++;
	t->flying = 0;
	t->tries = 0;
	vd_timer_stop(&t->retransmit);
	push(t);
}

void l2tp_on_retransmit(struct vd_timer *timer)
{
	struct l2tp_tunnel *t = VD_CONTAINER_OF(timer, struct l2tp_tunnel, retransmit);
	uint64_t retries = l2tp_knob(t->chan, "retries");
	if (!t->tx)
		return;
	if (t->state == L2TP_TUNNEL_UP && only_hello(t)) {
		/* Android 9 and 10 stop answering HELLO while data flows: one who is heard at all needs not be asked, and the
		 * question goes out again after the next silence. Other messages have no such excuse. */
		uint64_t every = l2tp_knob(t->chan, "hello"), silence = l2tp_tunnel_silence(t);
		bool asleep = t->tries >= retries && silence < vd_peer_quirk_number(t->chan->peer, VD_QUIRK_SLEEPS);
		if (silence < every || asleep) {
			t->tries = 0;
			vd_timer_start(&t->retransmit, asleep ? every : every - silence);
			return;
		}
		/* Lines are down for a minute and come back; nobody waits for this message. It is asked on, as slowly as it goes. */
		uint64_t patience = l2tp_knob(t->chan, "patience");
		if (t->tries >= retries && silence < patience) {
			uint64_t left = patience - silence;
			t->flying = 0;
			vd_count("l2tp.retransmitted", 1);
			push(t);
			if (left < timeout(t))
				vd_timer_start(&t->retransmit, left);
			return;
		}
	}
	if (t->tries >= retries) {
		if (t->state == L2TP_TUNNEL_CLOSED) {
			l2tp_queue_clear(t);
			return;
		}
		struct vd_ids ids = l2tp_ids(t->chan, 0);
		vd_count("l2tp.timeout", 1);
		vd_log(VD_LOG_NOTICE, "l2tp", &ids, "tunnel %u: no answer after %u retransmissions", t->local, t->tries);
		l2tp_tunnel_close(t, L2TP_BYE_NOTHING, "peer does not answer");
		return;
	}
	t->tries++;
	t->ssthresh = congestion_window(t) / 2 ? congestion_window(t) / 2 : 1;
	t->cwnd = 1;
	t->cwnd_acks = 0;
	t->flying = 0; /* what was sent behind the head goes again when the head is acknowledged */
	vd_count("l2tp.retransmitted", 1);
	push(t);
}
