/* Inside the core: what session.c and session_bringup.c share, and what the control socket and objects need of them. */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include <viaduct/report.h>
#include <viaduct/session.h>
#include <viaduct/state.h>

#include "core/object/object.h"

#define VD_SESSION_ROUTES VD_ARRAY_SIZE(((struct vd_authenticated *)0)->routes_behind)
/* The leases and the routes behind them. */
#define VD_SESSION_PREFIXES (2 + VD_SESSION_ROUTES)

enum vd_session_step {
	VD_STEP_IDLE, VD_STEP_AUTH, VD_STEP_ADMIT, VD_STEP_ADDRESS, VD_STEP_ROUTES, VD_STEP_ADD, VD_STEP_FIB,
	VD_STEP_FIB_DEL, VD_STEP_DEL,
	VD_STEP_HELD, /* the answer to its proof waits, as a brake on guessing */
};

/* An answer to "who is it" that was no yes, not reported yet. */
struct vd_no {
	const struct vd_failure *kind;
	struct vd_error why;
	char who[VD_NAME_MAX + 16]; /* who said so */
};

/* A session with what only the core sees of it. */
struct vd_session_rec {
	struct vd_session pub;
	struct vd_entry by_id, by_user; /* by_user from the moment it asked to be admitted */
	struct vd_link all, on_chan;
	struct vd_timeline timeline;
	struct vd_session_owner owner;
	void *owner_arg;
	char realm[VD_NAME_MAX];
	uint8_t method;
	enum vd_session_step step; /* what is being waited for */
	uint32_t round;            /* acknowledgements of an earlier step are stale */
	unsigned waiting;          /* acknowledgements of this step */
	struct vd_timer timer;     /* patience with workers; session_timeout while up */
	struct vd_timer idle;      /* looks whether it carried anything; idle.c */
	uint64_t idle_since, idle_carried; /* when it last had carried something new, and how many packets in all then */
	bool leased, added, finished;
	bool joined;               /* counted as an authenticated session of its peer */
	struct vd_no *no;          /* or NULL */
	struct vd_answer *held;    /* in VD_STEP_HELD; else NULL */
	bool tell_owner, reap;     /* deferred work */
	struct vd_timer later;     /* stands in for vd_defer when that had no memory */
	uint64_t claim;            /* order of admission; 0: not asked yet */
	uint64_t ticket;           /* of an admit that waits for other sessions of the user to be gone */
	struct vd_wsess_desc link;
	struct vd_prefix fib[VD_SESSION_PREFIXES];
	unsigned n_fib;            /* handed to the workers */
	unsigned route;            /* next that is asked for */
	uint64_t counted_before[4]; /* packets and octets from before an import */
	union {
		void (*auth)(void *arg, uint64_t session, const struct vd_answer *answer);
		void (*configured)(void *arg, uint64_t session, const char *stage, const struct vd_error *err);
		void (*established)(void *arg, uint64_t session, const struct vd_error *err);
	} done;
	void *done_arg;
	uint8_t want;              /* VD_WANT_* */
	uint8_t asking;            /* of these, what is being asked for */
	bool only6;                /* the pool has no IPv4 addresses */
	const struct vd_failure *no_address; /* why there is none, and who said so, until all answers are there */
	struct vd_error why;
	char who[VD_NAME_MAX];
	void (*leased6)(void *arg, uint64_t session, const struct vd_error *err); /* waits for a network; NULL: nobody does */
	void *leased6_arg;
};

/* Provider "core" of admit, layer core.sessions. After vd_objects_init. */
int vd_sessions_init(void);
/* Frees all records without posting. After the last plugin's fini, when the FIFO is empty. */
void vd_sessions_fini(void);

struct vd_session_rec *vd_session_rec(uint64_t id);
struct vd_session *vd_session_after(const struct vd_session *session);
size_t vd_session_count(void);
const struct vd_timeline *vd_session_timeline(uint64_t id);
/* Closes all sessions on a channel; by somebody else than their owners. */
void vd_sessions_close_on(uint64_t chan, const char *reason);

/* The daemon ends: no new session begins any more, nor a peer, and all sessions are closed. */
void vd_sessions_end(const char *reason);
bool vd_sessions_ending(void);
/* Those that are still being closed are gone, with the counters that are known. Posts the events of each. */
void vd_sessions_finish(void);

/* The same key for the same user of the same realm. */
uint64_t vd_session_user_key(const char *realm, const char *user);
/* The next session (NULL: the first) that claimed admission for this user. */
struct vd_session_rec *vd_session_of_user(const char *realm, const char *user, const struct vd_session_rec *after);
/* A session that was made without looking at the limits (vd_peer_beside) goes on for itself: 0, or -EMFILE with err. */
int vd_session_room(const struct vd_session_rec *rec, struct vd_error *err);
/* It is authenticated and admitted: from now on its peer is a proven one, and has a place of its source. Once for each session. */
void vd_session_joined(struct vd_session_rec *rec);
/* Enters rec into the index of users; -ENOMEM. */
int vd_session_claim(struct vd_session_rec *rec);

/* A record in state new with the current configuration; on no channel yet. NULL when out of memory. */
struct vd_session_rec *vd_session_rec_new(uint64_t id);
void vd_session_rec_free(struct vd_session_rec *rec);

/* session_state.c: registers layer core.sessions. */
int vd_session_layer_init(void);
/* Where an export gets counters at once, while no worker runs: set by the data path (vd_datapath_counted), NULL: nowhere. */
void vd_session_counted_by(int (*fn)(uint64_t session, struct vd_session_counters *ret_counters));

/* session_bringup.c: registers provider "core" of admit; tells waiting logins of a user that one of his sessions is gone. */
int vd_bringup_init(void);
void vd_bringup_gone(const char *realm, const char *user);
/* The time is over for which the answer was held back. */
void vd_bringup_held(struct vd_session_rec *rec);
/* Asks the pools for an address (VD_WANT_V4) or a network (VD_WANT_V6); false when out of memory. */
bool vd_bringup_ask(struct vd_session_rec *rec, unsigned family, void (*done)(void *arg, const struct vd_answer *answer));
/* The answer is no, since the pool has none of this family, or there is no pool. NULL: there is no answer. */
bool vd_bringup_no_such(const struct vd_answer *answer);
/* Why it is no, in words. */
const char *vd_bringup_why(const struct vd_answer *answer);
/* Fills link.source from the lease and the routes behind the client. */
void vd_session_sources(struct vd_session_rec *rec);

/* network.c: takes the network that the answer has into lease6, with a note; false when it has none. */
bool vd_network_take(struct vd_session_rec *rec, const struct vd_answer *answer);
/* There is none: note and count, where the pool could have had one. */
void vd_network_refused(struct vd_session_rec *rec, const struct vd_answer *answer, const char *text);
/* Posts session_ipv6. */
void vd_network_tell(struct vd_session_rec *rec, bool carried);
/* This is the network of a client that has IPv4 and did not agree on IPv6 so far: the session does not end when it cannot
 * be brought to it; vd_session_carry() tries again. */
bool vd_network_waits(const struct vd_session_rec *rec, const struct vd_prefix *net);

/* dialled.c: of a session that we dialled, its routes_behind being the connection's routes. Asks for address and routes of
 * the host; false when out of memory. */
bool vd_dialled_ask(struct vd_session_rec *rec, const struct vd_request_opts *opts,
	void (*done)(void *arg, const struct vd_answer *answer));
/* One of them is gone: the others take over what it had of the address table. */
void vd_dialled_left(void);

/* no.c: takes the place of an earlier one. Then it is forgotten, because a later answer was a yes, or reported: at once when
 * the owner did not say vd_session_again(), else when the session closes. Without memory for it, it is counted alone. */
void vd_session_no(struct vd_session_rec *rec, const struct vd_no *no);
void vd_session_no_forget(struct vd_session_rec *rec);
void vd_session_no_report(struct vd_session_rec *rec);
void vd_session_no_write(struct vd_wr *w, const struct vd_session_rec *rec);
void vd_session_no_read(struct vd_rd *r, struct vd_session_rec *rec);

/* idle.c: from now on the session ends when it carries nothing for its idle_timeout. Once it is up. */
void vd_session_idle_begin(struct vd_session_rec *rec);

/* Waiting for workers. A step begins with vd_step_begin (earlier acknowledgements become stale), then each command gets a
 * ticket from vd_ack_new (NULL: out of memory) as the argument of vd_ack_done or vd_ack_counters; when datapath/1 refused
 * the command the ticket is given back with vd_ack_drop. vd_step_wait ends the list of commands: false when there is
 * nothing to wait for and the caller goes on at once. Else, when all are there or 1 s passed, session.c goes on. */
/* The owner has 60 s for what it does between two steps; then the session is closed. */
void vd_session_patience(struct vd_session_rec *rec);
struct vd_ack;
void vd_step_begin(struct vd_session_rec *rec, enum vd_session_step step);
bool vd_step_wait(struct vd_session_rec *rec);
struct vd_ack *vd_ack_new(struct vd_session_rec *rec);
void vd_ack_drop(struct vd_ack *ack);
void vd_ack_done(void *arg);
void vd_ack_counters(void *arg, uint64_t session, const struct vd_session_counters *counters);
/* Takes over counters as a worker reports them. */
void vd_session_count_in(struct vd_session_rec *rec, const struct vd_session_counters *counters);
/* Called by session.c when all acknowledgements of a bring-up step are there, or (late) 1 s passed. */
void vd_bringup_acked(struct vd_session_rec *rec, bool late);

#endif
