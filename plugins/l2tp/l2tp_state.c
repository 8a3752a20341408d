/* L2TP: export and import of channels, tunnels, calls, queues and timers. */
#include "l2tp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/state.h>

#define MAX_OBJECTS 4096u
#define AHEAD 16384u /* data messages that an exporter may have sent afterwards; a peer takes half of all numbers for new */

static void put_timer(struct vd_wr *w, uint64_t id, const struct vd_timer *t)
{
	vd_wr_u64(w, id);
	vd_wr_u8(w, (uint8_t)t->kind);
	vd_wr_u64(w, vd_timer_armed(t) ? vd_timer_left(t) : UINT64_MAX);
}

static void get_timer(struct vd_rd *r, uint64_t id, struct vd_timer *t)
{
	uint64_t of = vd_rd_u64(r);
	uint8_t kind = vd_rd_u8(r);
	uint64_t left = vd_rd_u64(r);
	if (of != id || kind != t->kind)
		vd_rd_fail(r);
	else if (vd_rd_ok(r) && left != UINT64_MAX)
		vd_timer_start(t, left);
}

static void put_text(struct vd_wr *w, const char *s)
{
	size_t n = strlen(s);
	vd_wr_u8(w, (uint8_t)n);
	vd_wr_put(w, s, n);
}

static void get_text(struct vd_rd *r, char *out, size_t size)
{
	uint8_t n = vd_rd_u8(r);
	if (n >= size)
		vd_rd_fail(r);
	else if (vd_rd_copy(r, out, n))
		out[n] = 0;
}

static void put_call(struct vd_wr *w, const struct l2tp_call *c)
{
	const struct vd_datapath_1 *dp = c->tunnel->chan->self->dp;
	vd_wr_u16(w, c->local);
	vd_wr_u16(w, c->remote);
	vd_wr_u8(w, c->state);
	vd_wr_u32(w, c->serial);
	int number = c->numbered ? dp->session_number(dp->self, c->session) : -ENOENT;
	vd_wr_u8(w, c->numbered);
	vd_wr_u16(w, number < 0 ? c->number : (uint16_t)number);
	vd_wr_u64(w, c->session);
	put_timer(w, c->session, &c->timer);
}

static void put_tunnel(struct vd_wr *w, const struct l2tp_tunnel *t)
{
	uint64_t id = t->chan->id << 16 | t->local;
	unsigned n = 0;
	vd_wr_u16(w, t->local);
	vd_wr_u16(w, t->remote);
	vd_wr_u8(w, t->state);
	vd_wr_u8(w, t->asking);
	vd_wr_u16(w, t->local_port);
	vd_wr_u16(w, t->remote_port);
	put_text(w, t->host);
	put_text(w, t->vendor);
	vd_wr_put(w, t->sccrq, sizeof(t->sccrq));
	vd_wr_u8(w, t->challenged);
	vd_wr_put(w, t->challenge, sizeof(t->challenge));
	vd_wr_u64(w, vd_now() - t->created);
	vd_wr_u64(w, vd_now() - t->heard);
	vd_wr_u16(w, t->ns);
	vd_wr_u16(w, t->ns_sent);
	vd_wr_u16(w, t->nr);
	vd_wr_u16(w, t->window);
	vd_wr_u16(w, t->cwnd);
	vd_wr_u16(w, t->ssthresh);
	vd_wr_u16(w, t->cwnd_acks);
	vd_wr_u16(w, t->flying);
	vd_wr_u8(w, t->tries);
	vd_wr_u16(w, t->own_window);
	put_timer(w, id, &t->retransmit);
	put_timer(w, id, &t->hello);
	put_timer(w, id, &t->life);
	vd_wr_u16(w, t->queued);
	for (const struct l2tp_tx *tx = t->tx; tx; tx = tx->next) {
		vd_wr_u16(w, tx->ns);
		vd_wr_u16(w, tx->len);
		vd_wr_put(w, tx->buf, tx->len);
	}
	for (unsigned i = 0; i < L2TP_MAX_WINDOW; i++)
		n += t->rx[i] != NULL;
	vd_wr_u16(w, (uint16_t)n);
	for (unsigned i = 0; i < L2TP_MAX_WINDOW; i++) {
		if (!t->rx[i])
			continue;
		vd_wr_u16(w, (uint16_t)i);
		vd_wr_u16(w, t->rx[i]->len);
		vd_wr_put(w, t->rx[i]->buf, t->rx[i]->len);
	}
	n = 0;
	for (const struct l2tp_call *c = t->calls; c; c = c->next)
		n++;
	vd_wr_u16(w, (uint16_t)n);
	for (const struct l2tp_call *c = t->calls; c; c = c->next)
		put_call(w, c);
}

static int export_(void *arg, struct vd_wr *w, struct vd_error *err)
{
	struct l2tp *self = arg;
	uint32_t n = 0;
	for (const struct l2tp_chan *chan = self->chans; chan; chan = chan->next) {
		n++;
		if (chan->dial)
			return vd_error_set(err, -EOPNOTSUPP, "connection %s was dialled, and such connections do not travel: take it "
				"down first (viaductctl connection down %s)", chan->connection, chan->connection);
		for (const struct l2tp_tunnel *t = chan->tunnels; t; t = t->next)
			for (const struct l2tp_call *c = t->calls; c; c = c->next) {
				/* Its session is gone already: by us, or by the link that the client closed. */
				if (c->state == L2TP_CALL_STOP || (c->state != L2TP_CALL_DEAD && !vd_session_find(c->session)))
					return vd_error_set(err, -EAGAIN, "session s-%llu is saying goodbye",
						(unsigned long long)c->session);
				if (c->numbered && self->dp->session_number(self->dp->self, c->session) == -EBUSY)
					return vd_error_set(err, -EAGAIN, "workers run, and count data messages");
			}
	}
	vd_wr_u32(w, n);
	for (const struct l2tp_chan *chan = self->chans; chan; chan = chan->next) {
		vd_wr_u64(w, chan->id);
		put_text(w, chan->connection);
		n = 0;
		for (const struct l2tp_tunnel *t = chan->tunnels; t; t = t->next)
			n++;
		vd_wr_u16(w, (uint16_t)n);
		for (const struct l2tp_tunnel *t = chan->tunnels; t; t = t->next)
			put_tunnel(w, t);
	}
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "no room for the state of L2TP");
}

static bool get_call(struct vd_rd *r, struct l2tp_tunnel *t)
{
	uint16_t local = vd_rd_u16(r);
	if (!local || l2tp_call_find(t, local))
		return false;
	struct l2tp_call *c = l2tp_call_new(t, local);
	if (!c)
		return false;
	c->remote = vd_rd_u16(r);
	c->state = vd_rd_u8(r);
	c->serial = vd_rd_u32(r);
	uint8_t numbered = vd_rd_u8(r);
	c->number = vd_rd_u16(r);
	c->session = vd_rd_u64(r);
	get_timer(r, c->session, &c->timer);
	if (!vd_rd_ok(r) || c->state > L2TP_CALL_DEAD || c->state == L2TP_CALL_STOP || numbered > VD_NUMBERED_BOTH ||
	    numbered == VD_NUMBERED_AS_PEER) /* those that we dialled do not travel */
		return false;
	c->numbered = numbered;
	if (c->state != L2TP_CALL_DEAD)
		l2tp_call_hash(c);
	return true;
}

static bool get_queues(struct vd_rd *r, struct l2tp_tunnel *t)
{
	uint16_t n = vd_rd_u16(r);
	for (unsigned i = 0; i < n && vd_rd_ok(r); i++) {
		uint16_t ns = vd_rd_u16(r), len = vd_rd_u16(r);
		const uint8_t *p = vd_rd_take(r, len);
		struct l2tp_tx *tx = p && len >= L2TP_HEADER ? malloc(sizeof(*tx) + len) : NULL;
		if (!tx)
			return false;
		*tx = (struct l2tp_tx){ .ns = ns, .len = len };
		memcpy(tx->buf, p, len);
		*t->tx_end = tx;
		t->tx_end = &tx->next;
		t->queued++;
	}
	n = vd_rd_u16(r);
	for (unsigned i = 0; i < n && vd_rd_ok(r); i++) {
		uint16_t at = vd_rd_u16(r), len = vd_rd_u16(r);
		const uint8_t *p = vd_rd_take(r, len);
		if (!p || at >= L2TP_MAX_WINDOW || t->rx[at])
			return false;
		t->rx[at] = malloc(sizeof(*t->rx[at]) + len);
		if (!t->rx[at])
			return false;
		t->rx[at]->len = len;
		memcpy(t->rx[at]->buf, p, len);
	}
	return vd_rd_ok(r);
}

static bool get_tunnel(struct vd_rd *r, struct l2tp_chan *chan)
{
	uint16_t local = vd_rd_u16(r);
	uint64_t id = chan->id << 16 | local;
	if (!local || l2tp_tunnel_find(chan, local))
		return false;
	struct l2tp_tunnel *t = l2tp_tunnel_new(chan, local);
	if (!t)
		return false;
	t->remote = vd_rd_u16(r);
	t->state = vd_rd_u8(r);
	chan->self->tombs += t->state == L2TP_TUNNEL_CLOSED; /* the end of the tunnel takes it back */
	t->asking = vd_rd_u8(r);
	t->local_port = vd_rd_u16(r);
	t->remote_port = vd_rd_u16(r);
	get_text(r, t->host, sizeof(t->host));
	get_text(r, t->vendor, sizeof(t->vendor));
	vd_rd_copy(r, t->sccrq, sizeof(t->sccrq));
	t->challenged = vd_rd_u8(r);
	vd_rd_copy(r, t->challenge, sizeof(t->challenge));
	t->created = vd_now() - vd_rd_u64(r);
	t->heard = vd_now() - vd_rd_u64(r);
	t->ns = vd_rd_u16(r);
	t->ns_sent = vd_rd_u16(r);
	t->nr = vd_rd_u16(r);
	t->window = vd_rd_u16(r);
	t->cwnd = vd_rd_u16(r);
	t->ssthresh = vd_rd_u16(r);
	t->cwnd_acks = vd_rd_u16(r);
	t->flying = vd_rd_u16(r);
	t->tries = vd_rd_u8(r);
	t->own_window = vd_rd_u16(r);
	get_timer(r, id, &t->retransmit);
	get_timer(r, id, &t->hello);
	get_timer(r, id, &t->life);
	if (!vd_rd_ok(r) || t->state > L2TP_TUNNEL_CLOSED || t->own_window < 1 || t->own_window > L2TP_MAX_WINDOW ||
	    t->window < 1 || t->cwnd < 1 || t->ssthresh < 1 || !get_queues(r, t))
		return false;
	uint16_t n = vd_rd_u16(r);
	for (unsigned i = 0; i < n && vd_rd_ok(r); i++)
		if (!get_call(r, t))
			return false;
	return vd_rd_ok(r) && t->flying <= t->queued;
}

static int restore(struct l2tp *self, enum vd_import_mode mode, struct vd_error *err)
{
	for (struct l2tp_chan *chan = self->chans; chan; chan = chan->next)
		for (struct l2tp_tunnel *t = chan->tunnels; t; t = t->next)
			for (struct l2tp_call *c = t->calls; c; c = c->next) {
				if (mode == VD_IMPORT_TAKEOVER && c->numbered)
					c->number = (uint16_t)(c->number + AHEAD);
				int rc = l2tp_call_restore(c);
				if (rc < 0)
					return vd_error_set(err, rc, "cannot restore an L2TP call: %s", strerror(-rc));
			}
	return 0;
}

/* Numbers of control messages are the same in both modes: a control message that the exporter sent later is repeated by the
 * peer, and one that it received later is a gap, which our window holds open until the peer gives up. Those of data messages
 * go on: a peer drops what is behind (RFC 2661 section 5.4). */
static int import(void *arg, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	struct l2tp *self = arg;
	char connection[VD_NAME_MAX] = "";
	if (version != l2tp_layer.version)
		return vd_error_set(err, -EPROTONOSUPPORT, "state of L2TP has version %u, %u is needed", version,
			l2tp_layer.version);
	uint32_t n = vd_rd_u32(r);
	for (uint32_t i = 0; i < n && vd_rd_ok(r); i++) {
		uint64_t id = vd_rd_u64(r);
		get_text(r, connection, sizeof(connection));
		uint16_t tunnels = vd_rd_u16(r);
		if (!vd_rd_ok(r))
			break;
		struct l2tp_chan *chan = l2tp_chan_find(self, id);
		if (!chan)
			chan = l2tp_chan_open(self, id, connection);
		if (!chan)
			return vd_error_set(err, -ESTALE, "channel %llu of the L2TP state does not exist", (unsigned long long)id);
		for (unsigned k = 0; k < tunnels; k++)
			if (tunnels > MAX_OBJECTS || !get_tunnel(r, chan))
				return vd_error_set(err, -EBADMSG, "the state of L2TP is damaged");
	}
	if (!vd_rd_ok(r))
		return vd_error_set(err, -EBADMSG, "the state of L2TP is damaged");
	return restore(self, mode, err);
}

const struct vd_layer l2tp_layer = { .name = "l2tp", .version = 3, .export_ = export_, .import = import };
