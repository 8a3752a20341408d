/* L2TP as LNS, and as the side that dials (RFC 2661), over protected channels (RFC 3193). Control thread, but for
 * l2tp_stage.c.
 *
 * A tunnel belongs to the channel that its SCCRQ came through and is found by (channel, our tunnel id) alone: addresses
 * and ports never identify anybody, so many clients behind one NAT, all with tunnel id 1 and port 1701, are no special
 * case.
 */
#ifndef L2TP_H
#define L2TP_H

#include <viaduct/connect.h>
#include <viaduct/datapath.h>
#include <viaduct/esp.h>
#include <viaduct/link.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/quirk.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/session.h>

#include "failures.h"
#include "l2tp_codec.h"
#include "l2tp_stage.h"

#define L2TP_PORT 1701u
#define L2TP_MAX_MESSAGE 4096u /* longest control message that is read */
#define L2TP_MAX_QUEUE 48u     /* of ours not acknowledged: beyond it the peer's requests wait */
#define L2TP_DEAD_CALLS 8u     /* kept per tunnel, whose numbers tell late messages for them; only their ids are spared */
/* Closed tunnels are kept for a cycle of retransmissions: nobody else acknowledges what the peer still repeats (RFC 2661
 * section 5.8). A channel may have so many while the plugin has no more than L2TP_ALL_TOMBS (about 1 MB), else so few. */
#define L2TP_MAX_TOMBS 64u
#define L2TP_FEW_TOMBS 8u
#define L2TP_ALL_TOMBS 1024u
#define L2TP_MAX_WINDOW 64u
#define L2TP_RTO_FIRST 1000u
#define L2TP_RTO_CAP 8000u     /* RFC 2661 section 5.8: not below 8 s */
#define L2TP_SETUP_MS 30000u   /* for SCCCN and ICCN to come */
#define L2TP_IDLE_MS 60000u    /* a tunnel without a call */
#define L2TP_STOP_MS 10000u    /* for the link's farewell */
#define L2TP_DUP_MS 4000u      /* an equal SCCRQ this soon after set-up is a late duplicate */
#define L2TP_STRAY_MS 1000u    /* one answer of a channel in this time to what is for no tunnel or call, */
#define L2TP_STRAY_TELL_MS 60000u /* and one report */

enum l2tp_timer { L2TP_TIMER_RETRANSMIT = 1, L2TP_TIMER_HELLO, L2TP_TIMER_LIFE, L2TP_TIMER_CALL };

struct l2tp_tx { /* one of our messages, from the header on */
	struct l2tp_tx *next;
	uint16_t ns, len;
	uint8_t buf[];
};

struct l2tp_rx { /* came before its turn */
	uint16_t len;
	uint8_t buf[];
};

enum l2tp_call_state {
	L2TP_CALL_LINK,  /* ICRQ came; the worker learns the key */
	L2TP_CALL_REPLY, /* ICRP sent, ICCN awaited */
	L2TP_CALL_UP,    /* the link has it */
	L2TP_CALL_STOP,  /* the link says goodbye */
	L2TP_CALL_DEAD,  /* its id is kept for a while */
	L2TP_CALL_ASK,   /* dialled: ICRQ sent, ICRP awaited */
};
struct l2tp_call {
	struct l2tp_tunnel *tunnel;
	struct l2tp_call *next;   /* of the tunnel */
	struct l2tp_call *hashed; /* same bucket of self->calls */
	enum l2tp_call_state state;
	uint16_t local, remote;
	uint32_t serial;
	uint64_t session;
	/* Sequence numbers of our data messages: settled before the link begins (RFC 2661 section 5.4). */
	enum vd_numbered numbered;
	uint16_t number; /* where an imported call goes on; from then on the worker's */
	bool importing; /* the link may not send yet */
	struct vd_timer timer;
};

enum l2tp_tunnel_state {
	L2TP_TUNNEL_REPLY,  /* SCCRP sent, SCCCN awaited */
	L2TP_TUNNEL_UP,
	L2TP_TUNNEL_CLOSED, /* StopCCN sent or received: only acknowledges */
	L2TP_TUNNEL_ASK,    /* dialled: SCCRQ sent, SCCRP awaited */
};
struct l2tp_tunnel {
	struct l2tp_chan *chan;
	struct l2tp_tunnel *next; /* of the channel, oldest first */
	enum l2tp_tunnel_state state;
	uint16_t local, remote;
	uint16_t local_port, remote_port;
	char host[L2TP_TEXT], vendor[L2TP_TEXT];
	uint8_t sccrq[16]; /* digest of the SCCRQ's octets */
	uint8_t challenge[16];
	bool challenged;
	uint64_t created, heard; /* vd_now() of the SCCRQ, of the last control message */
	/* Reliable delivery (RFC 2661 section 5.8, appendix A). */
	uint16_t ns;       /* of the next message that is queued */
	uint16_t ns_sent;  /* one beyond the highest that ever went out */
	uint16_t nr;       /* expected next */
	uint16_t window;   /* the peer's */
	uint16_t cwnd, ssthresh, cwnd_acks;
	uint16_t queued, flying; /* messages in tx; of these, from the head, sent and not yet given up */
	uint8_t tries;     /* retransmissions of the head */
	bool ack_due;
	bool asking; /* closed, and which Ns the peer expects is not known: it says so when it gets one that it had */
	struct l2tp_tx *tx, **tx_end;
	uint16_t own_window;
	struct l2tp_rx *rx[L2TP_MAX_WINDOW]; /* by Ns modulo own_window */
	struct vd_timer retransmit, hello, life;
	struct l2tp_call *calls;
};

struct l2tp_chan {
	struct l2tp *self;
	struct l2tp_chan *next, **at; /* in the order of their coming, and what points to this one */
	struct l2tp_chan *hashed;
	uint64_t id, peer;
	char connection[VD_NAME_MAX];
	struct l2tp_in *in;
	struct l2tp_tunnel *tunnels;
	struct vd_timer silence; /* until the first datagram of the client */
	uint64_t stray_answered, stray_told; /* vd_now() of the last; 0: never */
	struct {
		const struct vd_failure *kind;
		uint64_t at;
	} refused_told[8]; /* reports of refusals, by kind: vd_now() of the last */
	struct l2tp_dial *dial; /* we dialled: it has our tunnel alone, and takes none; NULL: the peer did */
};

/* What a client is known by: quirks.c. */
#define L2TP_EVIDENCE_VENDOR "l2tp-vendor"
#define L2TP_EVIDENCE_HOST "l2tp-host"
extern const struct vd_quirk l2tp_quirks[];

struct l2tp_guard_1;
struct l2tp_dial { /* a connection that we dial, from ike.connect/1 to its session */
	struct l2tp_dial *next;
	struct l2tp *self;
	uint64_t id;
	char connection[VD_NAME_MAX];
	const struct vd_ike_connect_1 *ike;
	uint64_t peer;          /* 0: IKE is done with it */
	struct l2tp_chan *chan; /* NULL: none yet, or none any more */
	uint64_t session;       /* 0: none yet */
	struct vd_connect_events events;
	void *arg;
	bool ending, stopped;   /* stopped: the tunnel was told */
	uint64_t until;         /* the tunnel's goodbye is waited for */
	char reason[VD_ID_TEXT];
	struct vd_timer timer;  /* the next step of the end */
	struct vd_timer probe;  /* the gateway must acknowledge what is asked, which has this Ns */
	uint16_t probe_ns;
	unsigned probes;        /* how often it was asked */
};

/* What an answer of the data path or of the FIFO is for: the call, or the whole plugin, may be gone when it comes. */
struct l2tp_wait {
	struct l2tp_wait *next, **at;
	struct l2tp *self; /* NULL: the plugin is gone */
	uint64_t session;
};

#define L2TP_HASH 1024u
struct l2tp { /* also the table of l2tp/1, which has no functions yet */
	void *self;
	struct vd_host *host;
	const struct vd_datapath_1 *dp;
	const struct vd_esp_1 *esp;
	const struct vd_link_1 *link;
	const struct l2tp_guard_1 *guard;
	struct l2tp_chan *chans, **chans_end;
	struct l2tp_chan *by_id[L2TP_HASH];
	struct l2tp_call *calls[L2TP_HASH]; /* by session id */
	struct l2tp_wait *waits;
	struct vd_connect_1 connect;
	struct l2tp_dial *dials;
	struct vd_log_limit limit;
	unsigned tombs; /* tunnels of all channels that are closed */
	bool stopping;
};

/* ---- l2tp_main.c ---- */
struct l2tp_chan *l2tp_chan_find(struct l2tp *self, uint64_t id);
/* Attaches the plugin to a channel; NULL (with a log record) when it must not or cannot. */
struct l2tp_chan *l2tp_chan_open(struct l2tp *self, uint64_t id, const char *connection);
void l2tp_chan_free(struct l2tp_chan *chan, const char *reason);
/* A knob's value for the channel's connection. */
uint64_t l2tp_knob(const struct l2tp_chan *chan, const char *option);
struct vd_secret *l2tp_secret(const struct l2tp_chan *chan);
struct vd_ids l2tp_ids(const struct l2tp_chan *chan, uint64_t session);
/* Logs and counts nothing itself: posts setup_failed with a stage of "l2tp". */
void l2tp_setup_failed(const struct l2tp_chan *chan, uint64_t session, struct vd_report report);

/* ---- refusals ----
 * Whatever refuses a tunnel or call says so to the peer and to the administrator: the functions that send a StopCCN or CDN with
 * a result that is a refusal take the report, and there are no others. */
struct l2tp_why {
	struct vd_report report;
	char text[L2TP_TEXT]; /* for the peer */
	char at[128];         /* report.origin */
};
/* When nothing more is known than what the peer hears. */
#define L2TP_ODD ((struct vd_report){ .kind = &l2tp_fail_refused })
/* The report of a refusal; why: as the peer hears it. One of a kind in 10 s for each channel. For who sends it. */
void l2tp_refused(struct l2tp_chan *chan, uint64_t session, struct vd_report report, const char *why);
/* The client asked for more than this option allows, which is one of l2tp; what: of what, in the plural. */
void l2tp_limit_reached(const struct l2tp_chan *chan, const char *option, const char *what, struct l2tp_why *ret_why);
/* One datagram: the message at p from our port to the peer's. Returns what chan_send returns. */
int l2tp_emit(struct l2tp_chan *chan, uint16_t from, uint16_t to, const uint8_t *p, size_t len);

/* ---- l2tp_control.c: reliable delivery ---- */
/* Queues a finished message (its Ns and Nr are set when it leaves) and sends what the window allows. */
void l2tp_queue(struct l2tp_tunnel *t, struct vd_wr *w);
/* An acknowledgement without a message, now. */
void l2tp_ack(struct l2tp_tunnel *t);
/* The peer acknowledged everything below nr. False when nr lies outside of what we sent. */
bool l2tp_acked(struct l2tp_tunnel *t, uint16_t nr);
/* For a repeated SCCRQ: sends the head of the queue again, without touching timers, or an acknowledgement. */
void l2tp_resend(struct l2tp_tunnel *t);
void l2tp_queue_clear(struct l2tp_tunnel *t);
/* The peer expects ns next: all that waits gets numbers from there on, and goes out again. */
void l2tp_renumber(struct l2tp_tunnel *t, uint16_t ns);
/* Something that needs an acknowledgement is on its way: a HELLO, unless there is. Returns its Ns. */
uint16_t l2tp_ask(struct l2tp_tunnel *t);
void l2tp_on_retransmit(struct vd_timer *timer);
/* Milliseconds of one full cycle of retransmissions with the configured number. */
uint64_t l2tp_cycle(const struct l2tp_chan *chan);

/* ---- l2tp_tunnel.c ---- */
/* A datagram that starts at its UDP header: a control message, or data that has no link on the worker. */
void l2tp_input(struct l2tp_chan *chan, const uint8_t *p, size_t len);
/* A zeroed tunnel with its timers, last in the channel's list; NULL when out of memory. local: the wanted id; another one is
 * taken when it is 0 or in use. */
struct l2tp_tunnel *l2tp_tunnel_new(struct l2tp_chan *chan, uint16_t local);
struct l2tp_tunnel *l2tp_tunnel_find(struct l2tp_chan *chan, uint16_t local);
/* Tombstones of the channel above their number go, oldest first. Returns how many of its tunnels live. */
unsigned l2tp_tunnel_room(struct l2tp_chan *chan);
/* Calls end, the tunnel stays for one cycle of retransmissions. say: with a StopCCN that blames nobody, or a silent end. */
enum l2tp_bye { L2TP_BYE_NOTHING, L2TP_BYE_CLEAR = L2TP_STOP_CLEAR, L2TP_BYE_SHUTDOWN = L2TP_STOP_SHUTDOWN };
void l2tp_tunnel_close(struct l2tp_tunnel *t, enum l2tp_bye say, const char *reason);
/* The same with a refusal. result 0: it cannot be said, since the peer's id is not known or its SAs are gone. */
void l2tp_tunnel_refuse(struct l2tp_tunnel *t, struct vd_report report, uint16_t result, uint16_t error, const char *why);
/* Without a word on the wire; the tunnel and its calls are freed. */
void l2tp_tunnel_free(struct l2tp_tunnel *t, const char *reason);
/* Since the peer was last heard, by control message or (newest tunnel of its channel) any packet of the channel. */
uint64_t l2tp_tunnel_silence(const struct l2tp_tunnel *t);
/* No call is left: the tunnel lives on for L2TP_IDLE_MS. */
void l2tp_tunnel_idle(struct l2tp_tunnel *t);

/* Tunnel authentication (RFC 2661 section 5.1.1): a Challenge of ours into a message; then whether the message that answers
 * it holds the right Challenge Response. True when nothing was asked; else the tunnel is closed, counted and reported. */
void l2tp_challenge(struct l2tp_tunnel *t, struct vd_wr *w);
bool l2tp_authentic(struct l2tp_tunnel *t, const struct l2tp_msg *m);
/* Counts a message whose bad_code is set, and says what is wrong. */
void l2tp_bad_avp(const struct l2tp_chan *chan, const struct l2tp_msg *m, struct l2tp_why *ret_why);

/* ---- l2tp_call.c ---- */
void l2tp_call_input(struct l2tp_tunnel *t, const struct l2tp_msg *m);
/* local: as for l2tp_tunnel_new. */
struct l2tp_call *l2tp_call_new(struct l2tp_tunnel *t, uint16_t local);
struct l2tp_call *l2tp_call_find(struct l2tp_tunnel *t, uint16_t local);
/* Data came for a call that the tunnel does not have: CDN to the peer's call of this id, which is kept as a dead one. */
void l2tp_call_deny(struct l2tp_tunnel *t, uint16_t id);
/* The session is closed, the worker forgets the key, the id is kept for a while. say: with a CDN that blames nobody. */
void l2tp_call_end(struct l2tp_call *c, bool say, const char *reason);
/* The same with a refusal. */
void l2tp_call_refuse(struct l2tp_call *c, struct vd_report report, uint16_t result, uint16_t error, const char *why);
void l2tp_call_free(struct l2tp_call *c);
/* The worker learns the key, then the call goes on by itself: with ICRP, or with ICRQ when we dialled. */
int l2tp_call_link(struct l2tp_call *c);
/* Both sides have it: starts the link. */
void l2tp_call_begin(struct l2tp_call *c);
/* Do our data messages have sequence numbers, as far as we decide it? */
bool l2tp_call_sequencing(const struct l2tp_call *c);
/* The bucket by session id. */
void l2tp_call_hash(struct l2tp_call *c);
/* The peer moved to another port: data follows. */
void l2tp_call_moved(struct l2tp_call *c);
/* Gives an imported call back to the worker and to the link; one whose session is gone is hung up. -ENOMEM, or what the
 * data path or the link said. */
int l2tp_call_restore(struct l2tp_call *c);
/* The plugin goes: answers that are still on their way find nobody. */
void l2tp_waits_forget(struct l2tp *self);
/* The owner of sessions: its closed() finds the call. */
extern const struct vd_session_owner l2tp_owner;

/* ---- l2tp_dial.c ---- */
/* Do we dial a gateway at this address? arg: struct l2tp. */
bool l2tp_dial_at(void *arg, const struct vd_ip *ip);
int l2tp_dial_init(struct l2tp *self);
void l2tp_dial_stop(struct l2tp *self);
void l2tp_dial_fini(struct l2tp *self);
/* A channel is there: it belongs to the dial of its peer, if we dialled that. False when that one has a channel already. */
bool l2tp_dial_chan(struct l2tp_chan *chan);
/* Its call, tunnel or channel has ended: so does the dial, in the next turn. The first reason wins. */
void l2tp_dial_end(struct l2tp_dial *d, const char *reason);
/* Something that its end waits for may have happened. */
void l2tp_dial_moved_on(struct l2tp_dial *d);
void l2tp_dial_chan_gone(struct l2tp_dial *d, const char *reason);
void l2tp_dial_sccrp(struct l2tp_tunnel *t, const struct l2tp_msg *m);
void l2tp_dial_icrq(struct l2tp_call *c);
void l2tp_dial_icrp(struct l2tp_call *c, const struct l2tp_msg *m);

/* ---- l2tp_stray.c: what comes for a tunnel or call that is not here ---- */
/* A data message that found no link. from, to: its UDP ports. */
void l2tp_stray_data(struct l2tp_chan *chan, uint16_t from, uint16_t to, uint16_t tunnel, uint16_t session);
/* A control message for a tunnel that the channel does not have. */
void l2tp_stray_control(struct l2tp_chan *chan, uint16_t from, uint16_t to, const struct l2tp_msg *m);
/* A control message of the peer of a tunnel that is asking. */
void l2tp_stray_heard(struct l2tp_tunnel *t, const struct l2tp_msg *m);

/* ---- l2tp_state.c ---- */
extern const struct vd_layer l2tp_layer;

/* ---- l2tp_check.c: see check of struct vd_plugin ---- */
int l2tp_check(void *self, struct vd_plan *plan, struct vd_error *err);

#endif
