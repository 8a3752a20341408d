/* Plugin ike_v1: what its files share. Control thread only. */
#ifndef IKE_V1_H
#define IKE_V1_H

#include <viaduct/connect.h>
#include <viaduct/esp.h>
#include <viaduct/ike.h>
#include <viaduct/keys.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/session.h>
#include <viaduct/state.h>
#include <viaduct/work.h>

#include "../lib/advice.h"
#include "../lib/cfg.h"
#include "../lib/ident.h"
#include <viaduct/quirk.h>

#include "../lib/isakmp.h"
#include "../lib/policy.h"
#include "../lib/propose.h"
#include "../lib/tunnel_stage.h"
#include "../lib/v1keys.h"
#include "../lib/vendor.h"
#include "failures.h"

/* Keys of quirks.c. Some cut the HMAC-SHA2-256 of their ESP to 96 bits without saying so: SHA-1 is preferred to it. */
#define IKE_V1_QUIRK_CUTS_SHA256 "ike_v1.cuts_sha256"
/* It refuses rekeys of CHILD SAs that we begin: it begins its own. */
#define IKE_V1_QUIRK_NO_REKEYS "ike_v1.no_rekeys"
/* What its user has to do when it sees that the gateway is behind NAT, and goes no further. */
#define IKE_V1_QUIRK_NATTED "ike_v1.natted"
extern const struct vd_quirk ike_v1_quirks[];

/* Distinct PSKs tried at message 5; each costs one decryption and five HMACs for every login. */
#define IKE_V1_PSKS_MAX 8u
/* Connections that accept l2tp or xauth with a PSK: of each as many as PSKs, since only the PSK tells them apart. */
#define IKE_V1_CANDIDATES_MAX (2 * IKE_V1_PSKS_MAX)
/* Body of the SA payload of message 1, kept for HASH_I: Windows sends 208 octets, racoon about 500. */
#define IKE_V1_SA_MAX 1600u
/* Nonces are 8 to 256 octets (RFC 2409 section 5). */
#define IKE_V1_NONCE_MIN 8u
#define IKE_V1_NONCE_MAX 256u
#define IKE_V1_NONCE_OURS 32u
/* Ways of one set of the embryo table: an embryo lives until this many newer ones fell into its set. */
#define IKE_V1_EMBRYO_WAYS 8u
/* Octets of SA payload that there is room for, on average; at most an embryo has IKE_V1_SA_MAX. */
#define IKE_V1_EMBRYO_SA 256u
/* Seconds an embryo may wait for message 3: longer than any client's first retransmissions. */
#define IKE_V1_EMBRYO_MS 30000u
/* Parts of one message: with 576 octets for each datagram, as Windows sends them, twice as many as the longest message has. */
#define IKE_V1_FRAGMENTS_MAX 16u
/* Messages in parts that are kept at the same time, over all clients, at most about 5 kB each; new ones push out old ones. */
#define IKE_V1_FRAGMENTED_MAX 512u
/* So long parts wait for the others, as long as an embryo waits: a client says all of them again when it repeats its message,
 * as each does at least twice in this time. [MS-IKEE] section 3.3.2 allows up to 90 s. */
#define IKE_V1_FRAGMENTS_MS 30000u
/* Hash chains of IKE SAs; the key is our random cookie, so chains stay even. */
#define IKE_V1_BUCKETS 4096u
/* Wrong attempts at message 5 on one half-open SA before it is given up: each costs up to eight decryptions. */
#define IKE_V1_TRIALS_MAX 5u
/* Quick modes under way on one IKE SA: Windows runs one, racoon two when rekeying. */
#define IKE_V1_QUICK_MAX 3u
/* Finished quick modes of one IKE SA that wait for duplicates of their messages. */
#define IKE_V1_QUICK_KEPT 4u
/* Message ids remembered against replay; older ones belong to SAs that are long replaced. */
#define IKE_V1_MIDS 128u
/* CHILD SAs of one peer: the current one, those it replaces within 30 s, and room for crossing rekeys. */
#define IKE_V1_CHILDREN_MAX 8u
/* The same of a client with tunnels, which makes a pair for each of its networks. */
#define IKE_V1_TUNNELS_MAX 24u
/* IKE SAs of one peer; beyond it the oldest goes. */
#define IKE_V1_SAS_MAX 4u
/* Peers at one endpoint, of one group, whose XAuth is not finished; beyond it the oldest goes. */
#define IKE_V1_UNPROVEN_MAX 4u
/* A replaced SA stays this long, for packets under way. */
#define IKE_V1_REPLACED_MS 30000u
/* How recently the old IKE SA or its channel was heard for a new phase 1 to take over the channel. */
#define IKE_V1_REATTACH_MS 60000u
/* NAT keepalive (RFC 3948 section 4), sent only when we are behind the NAT. */
#define IKE_V1_KEEPALIVE_MS 20000u
/* A finished quick mode is kept for duplicates of its messages. */
#define IKE_V1_QUICK_LINGER_MS 30000u
/* How often a peer is looked at, whether it lacks an IKE SA or CHILD SAs and says nothing. */
#define IKE_V1_ORPHAN_CHECK_MS 30000u
/* Passwords that one XAuth takes before it is over. */
#define IKE_V1_XAUTH_TRIES 3u
/* A client that was refused may say so much longer that it heard it. */
#define IKE_V1_XAUTH_REFUSED_MS 10000u
/* Passwords and codes. */
#define IKE_V1_XAUTH_TEXT 255u

struct ike_v1_buf {
	uint8_t *p;
	uint16_t len;
};
int ike_v1_buf_set(struct ike_v1_buf *buf, const void *p, size_t len);
void ike_v1_buf_free(struct ike_v1_buf *buf); /* wipes */

struct ike_v1_candidate {
	char connection[VD_NAME_MAX];
	char origin[128]; /* where its crypto stands, or the connection: "20-staff.yaml:3" */
	char psk_origin[128];
	char id[128]; /* who we say we are to its clients; "": our address */
	bool crypto_written;
	bool xauth; /* by its `xauth`, else by its `l2tp` */
	char group[128]; /* name that clients say in aggressive mode; "": it is not served */
	uint64_t key;
	struct ike_policy policy;
};

static inline uint16_t ike_v1_auth(const struct ike_v1_candidate *c)
{
	return c->xauth ? IKE_AUTH_XAUTH_PSK : IKE_AUTH_PSK;
}

/* What message 1 leaves: fixed size, in a table that never grows. */
struct ike_v1_embryo {
	bool used;
	uint8_t icookie[IKE_COOKIE_LEN], rcookie[IKE_COOKIE_LEN];
	uint64_t created; /* vd_now() */
	struct vd_path path;
	uint32_t vendors;
	uint8_t offer; /* index of the chosen one */
	struct ike_v1_fragments *fragments; /* of message 3 */
	uint16_t sa_len;
	uint64_t sa_at; /* of its SA payload in ike_v1.bodies */
};

/* SA payloads of embryos, one behind the other: new ones overwrite old ones. */
struct ike_v1_bodies {
	uint8_t *p;
	size_t size;
	uint64_t head; /* octets that were ever put in: what is further back than size is gone */
};

enum ike_v1_natt { IKE_V1_NATT_NONE, IKE_V1_NATT_RFC, IKE_V1_NATT_DRAFT };
/* Those behind UP are the initiator's, on its way there. */
enum ike_v1_state { IKE_V1_DH, IKE_V1_WAIT_MM5, IKE_V1_TRIAL, IKE_V1_UP, IKE_V1_WAIT_MM2, IKE_V1_OWN_DH, IKE_V1_WAIT_MM4,
	IKE_V1_KEYS, IKE_V1_WAIT_MM6, /* aggressive mode, as responder: */ IKE_V1_AM_DH, IKE_V1_WAIT_AM3 };
enum ike_v1_timer { IKE_V1_T_HALF_OPEN = 1, IKE_V1_T_LIFE, IKE_V1_T_REPLACED, IKE_V1_T_RESEND, IKE_V1_T_QUICK,
	IKE_V1_T_LINGER, IKE_V1_T_CHILD_LIFE, IKE_V1_T_CHILD_REPLACED, IKE_V1_T_ORPHAN, IKE_V1_T_KEEPALIVE, IKE_V1_T_SWEEP,
	IKE_V1_T_XAUTH, IKE_V1_T_FRAGMENTS, IKE_V1_T_CHILD_SOFT };
/* Times of the side that dials: between repeated questions whether the gateway lives, and how many; until a rekey that failed
 * is tried again; the longest pause between repetitions of a message. */
#define IKE_V1_DPD_RETRY_MS 5000u
#define IKE_V1_DPD_TRIES 5u
/* The same when traffic of ours is unanswered, and how often a client is asked then. */
#define IKE_V1_UNANSWERED_RETRY_MS 1000u
#define IKE_V1_UNANSWERED_MS 10000u
/* No SA of ours lives shorter, whatever its client offers: else we would rekey for it without end. */
#define IKE_V1_LIFE_MIN_S 60u
/* Lifetime that is offered for a CHILD SA, as Windows does. */
#define IKE_V1_CHILD_LIFE_S 3600u
#define IKE_V1_RETRY_MS 10000u
#define IKE_V1_RESEND_MAX_MS 8000u
/* Without authentication the gateway said that it refuses: it may still answer this long. */
#define IKE_V1_HINT_MS 3000u

struct ike_v1;
struct ike_v1_peer;
struct ike_v1_fragments;

/* One Diffie-Hellman exchange in the pool; owns its memory so that it can be orphaned. */
struct ike_v1_dh {
	struct vd_job job;
	void (*done)(struct ike_v1_dh *dh, int result);
	void *owner;
	unsigned group;
	struct vd_dh *key; /* one that was made before; or made here, and done may take it */
	bool own_only;
	uint8_t peer[VD_DH_MAX_PUBLIC], own[VD_DH_MAX_PUBLIC];
	size_t len;
	struct vd_secret *shared;
};
/* Takes the peer's public value (copied); done gets own and shared filled in and need not free. key: an exponent of before,
 * which is taken, or NULL for a new one. peer NULL: only own and key are made. NULL on failure. */
struct ike_v1_dh *ike_v1_dh_start(unsigned group, struct vd_dh *key, const uint8_t *peer, size_t len, enum vd_work_class work,
	void (*done)(struct ike_v1_dh *dh, int result), void *owner);
void ike_v1_dh_cancel(struct ike_v1_dh **dh);
/* Asks the budgets for what an exchange of this group costs, and charges it to who asks; false: not now. */
bool ike_v1_dh_afford(unsigned group, const struct vd_ip *source, enum vd_standing standing);

/* The request that was answered last, by digest, with its answer for duplicates and retransmission. */
struct ike_v1_cache {
	uint8_t digest[32];
	struct ike_v1_buf reply;
};
bool ike_v1_cache_hit(const struct ike_v1_cache *cache, const uint8_t *p, size_t len);
int ike_v1_cache_set(struct ike_v1_cache *cache, const uint8_t digest[32], const uint8_t *reply, size_t len);

/* XAuth on one IKE SA, and mode config behind it. The enumerators' comments: what is waited for. */
enum ike_v1_xauth_state {
	IKE_V1_X_ASKED,    /* name and password */
	IKE_V1_X_CHECKING, /* the realm's providers */
	IKE_V1_X_ADMITTED, /* admission and address */
	IKE_V1_X_TOLD,     /* that the client knows it was accepted */
	IKE_V1_X_REFUSED,  /* that it knows it was not */
	IKE_V1_X_DONE,     /* nothing */
};
struct ike_v1_xauth {
	struct ike_v1_sa *sa;
	enum ike_v1_xauth_state state;
	unsigned tries;
	uint64_t session, conversation; /* session: the one that is being authenticated */
	bool another;                   /* what was asked is a further round */
	/* While the client's older tunnel ends: its peer, and the next one that waits for such an end. */
	uint64_t after;
	struct ike_v1_xauth *after_next;
	uint8_t given[32];              /* digest of name and password that were wrong */
	/* The transaction that we began, while sent is not empty: not answered. */
	uint32_t mid;
	uint16_t id;
	uint8_t iv[IKE_BLOCK_MAX];
	struct ike_v1_buf sent;
	unsigned resends;
	struct ike_v1_cache answered; /* the client's last one */
	struct vd_timer resend, patience;
};

struct ike_v1_sealed;
struct ike_v1_trial;
struct ike_v1_psk;
struct ike_v1_dial;

struct ike_v1_sa {
	struct ike_v1 *v;
	struct ike_v1_sa *hash_next, *peer_next; /* of its bucket; of its peer */
	uint64_t asker;               /* of aggressive mode: whose message 1 made it; 0: not of aggressive mode */
	struct ike_v1_sa *asker_next; /* of its bucket of those */
	struct ike_v1_sa *am_newer, *am_older; /* of those with a place for the unproven */
	struct ike_v1_peer *peer;                /* NULL until message 5 */
	uint8_t icookie[IKE_COOKIE_LEN], rcookie[IKE_COOKIE_LEN];
	enum ike_v1_state state;
	struct vd_path path;
	struct vd_ip half_open_source; /* family 0: no longer half-open */
	enum vd_standing half_open_as; /* of its place */
	uint32_t vendors;
	uint8_t natt;                  /* enum ike_v1_natt */
	bool natted_us, natted_peer, failed_reported;
	bool unproven;                 /* its address may be forged: it has not repeated our cookie */
	struct ike_suite suite;
	uint32_t life_seconds;         /* offered; 0: not said */
	uint16_t auth;                 /* enum ike_auth, of the chosen offer */
	struct ike_v1_xauth *xauth;    /* once it is up, with IKE_AUTH_XAUTH_PSK */
	bool began_anew;               /* its client: INITIAL-CONTACT came with its identity */
	unsigned trials;
	struct ike_v1_buf sa_body, ni, nr, gxi, gxr;
	/* Aggressive mode: its connection, the chosen offer, octets that came and went before message 3, its identity. */
	char wanted[VD_NAME_MAX];
	uint8_t offer;
	uint32_t asked, told;
	struct ike_v1_buf idii;
	struct vd_secret *shared;
	struct ike_v1_dh *dh;
	struct ike_v1_trial *trial;
	struct ike_v1_keys keys;
	uint8_t last_block[IKE_BLOCK_MAX]; /* of phase 1: start of every later IV */
	struct ike_v1_cache mm3, mm5; /* mm3: of aggressive mode, message 1 */
	uint32_t mids[IKE_V1_MIDS]; /* of exchanges that were; of informational messages a digest */
	uint16_t mid_at;
	uint32_t dpd_seq;
	bool dpd_seen;
	uint64_t established, heard;       /* vd_now() */
	struct ike_v1_quick *quicks;
	struct ike_v1_fragments *fragments; /* not exported: the other side says all parts again */
	struct vd_timer life, resend;
	uint8_t resends;
	/* initiator, until it is up */
	struct ike_v1_dial *dial;
	struct vd_dh *dh_key;
	struct ike_v1_psk *psk; /* a derivation that was asked for */
	struct ike_v1_buf sent; /* the last message, while it is not answered */
	uint16_t hint;          /* a notification that nobody authenticated */
};

/* Of a gateway that has set the commit bit and does not say CONNECTED: so often message 3 is said again, then it is used. */
#define IKE_V1_COMMIT_RESENDS 2u
enum ike_v1_quick_state {
	IKE_V1_Q_OWN_DH, /* initiator with PFS: its exponent */
	IKE_V1_Q_WAIT_QM2, IKE_V1_Q_DH, IKE_V1_Q_INSTALL, IKE_V1_Q_WAIT_QM3,
	IKE_V1_Q_WAIT_CONNECTED, /* initiator: message 3 is said, message 2 had the commit bit */
	IKE_V1_Q_OUT, IKE_V1_Q_DONE,
};
struct ike_v1_quick {
	struct ike_v1 *v;
	struct ike_v1_sa *sa; /* NULL once dead */
	struct ike_v1_quick *next;
	enum ike_v1_quick_state state;
	bool initiator;       /* qm1.reply is what we said last */
	bool commit;          /* initiator: message 2 had the commit bit */
	unsigned pending;     /* acknowledgements of esp/1 that will still come */
	uint32_t mid, spi_in, spi_out, life_seconds;
	uint8_t iv[IKE_BLOCK_MAX];
	uint64_t chan;
	struct vd_path path; /* where message 1 came from; the peer's own only changes with message 3 */
	struct ike_suite suite;
	uint16_t group, encap;
	struct vd_prefix local; /* of a tunnel: our side of it; family 0: everything */
	struct ike_offer offer; /* of sa_body: answered, or in a rekey of ours proposed, unchanged */
	struct ike_v1_buf sa_body, ni, nr, idci, idcr;
	struct ike_v1_buf gx; /* our public value */
	struct vd_secret *keymat_in, *keymat_out;
	struct ike_v1_dh *dh;
	struct vd_dh *dh_key; /* initiator: until message 2; not exported, so that this rekey is tried again elsewhere */
	struct ike_v1_cache qm1;
	struct vd_timer timer, resend;
	uint8_t resends;
};

/* What the client and we agreed on, to propose just that again. */
struct ike_v1_terms {
	struct ike_suite suite;
	uint16_t group, encap;
	uint32_t life_seconds;
	struct ike_offer offer;                  /* of transform */
	struct ike_v1_buf transform, ours, theirs; /* the last two: bodies of ID payloads, our side and the client's */
};

struct ike_v1_child {
	struct ike_v1_peer *peer;
	struct ike_v1_child *next; /* older */
	uint32_t spi_in, spi_out;
	struct vd_prefix local; /* as of its quick mode */
	struct vd_timer timer;
	/* Of a client's: when we rekey it, if nobody has. */
	struct ike_v1_terms terms; /* no transform: we do not */
	struct vd_timer soft;
	uint8_t tries;
};

struct ike_v1_peer {
	struct ike_v1 *v;
	struct ike_v1_peer *next, *prev;                         /* of all */
	struct ike_v1_peer *id_next, *chan_next, *endpoint_next; /* of its chains */
	uint64_t id, chan;
	char connection[VD_NAME_MAX], identity[VD_ID_TEXT];
	struct vd_path path;
	bool natted_us, closing;
	bool tunnel;         /* it came with XAuth: its channel carries IP */
	uint64_t session;    /* of a tunnel, once it has an address; 0: none */
	struct ike_v1_dial *dial; /* we called it */
	bool quick_seen; /* a quick mode was begun, or its absence reported */
	struct ike_v1_sa *sas;          /* newest first */
	struct ike_v1_child *children;  /* newest first */
	struct vd_timer orphan, keepalive;
	uint32_t dpd_seq; /* of our last question whether it lives; not exported: another one may begin anywhere */
	uint64_t asked;   /* because of traffic without an answer */
};

/* One peer that we called; owned by it. */
struct ike_v1_dial {
	struct ike_v1 *v;
	struct ike_v1_peer *peer;
	const struct vd_ike_connect_events *events;
	void *arg;
	uint64_t peer_id, key;
	struct ike_policy policy;
	char own_id[VD_ID_TEXT], gateway_id[VD_ID_TEXT]; /* as configured; empty: our address; anybody who has the key */
	char upper[16];
	struct ike_v1_sa *phase1; /* one that is under way */
	bool udp;                 /* ESP in UDP, NAT or not */
	bool up_told, quiet;      /* quiet: whoever dialled wants to hear nothing any more */
	bool taken;               /* the gateway took its SAs away, or began phase 1: the next ones are told */
	unsigned failures;        /* of rekeys, in a row */
	uint64_t phase1_at, quick_at; /* vd_now() when the next one is due; UINT64_MAX: not known yet */
	unsigned dpd_tries;
	uint32_t dpd_seq;
	uint64_t unanswered, ask_at; /* since when our traffic has no answer, 0: it has; the next question then */
	struct vd_timer watch;
	char reason[160];
};

/* What was reported since then. */
struct ike_v1_window {
	uint64_t since;
	unsigned count;
};
/* Buckets of sources whose refusals are reported. */
#define IKE_V1_REFUSED 256u

struct ike_v1_options {
	uint32_t embryos, resends;
	uint64_t half_open_ms, quick_ms, life_max_ms, resend_ms, orphan_ms, dpd_ms, unanswered_ms, xauth_ms;
};

struct ike_v1 {
	struct vd_host *host;
	const struct vd_esp_1 *esp;
	const struct vd_ike_port_1 *port;
	const struct vd_keys_1 *keys;
	const struct vd_datapath_1 *dp;
	struct ike_v1_options opt;
	struct ike_v1_candidate *candidates;
	unsigned n_candidates;
	struct ike_v1_embryo *embryos;
	uint32_t n_embryos;
	struct ike_v1_bodies bodies;
	struct vd_timer sweep; /* embryos whose message 3 never came */
	uint32_t swept;        /* where the sweep goes on */
	bool sweep_again;      /* some are too young yet */
	struct ike_v1_fragments *fragments, *fragments_oldest; /* newest first */
	unsigned n_fragments;
	struct ike_v1_xauth *xauth_waiting; /* for the end of an older tunnel */
	uint64_t secret; /* of the keyed hashes */
	struct ike_v1_window refused[IKE_V1_REFUSED], refused_all;
	struct vd_ike_connect_1 connect;
	struct ike_v1_sa *buckets[IKE_V1_BUCKETS], *askers[IKE_V1_BUCKETS]; /* by the responder's cookie; by ike_v1_sa.asker */
	struct ike_v1_sa *am_newest, *am_oldest; /* with a place for the unproven */
	unsigned am_computing;                   /* of those: in the pool */
	struct ike_v1_peer *peers;
	struct ike_v1_peer *by_id[IKE_V1_BUCKETS], *by_chan[IKE_V1_BUCKETS], *by_endpoint[IKE_V1_BUCKETS];
	bool stopped, silent; /* silent: a successor goes on with our SAs, so nobody is told to remove them */
};

/* ---- plugin.c ---- */
/* Is this word among the protocols of this list of a connection: accept, or connect? */
bool ike_v1_speaks(const struct vd_conf *conf, const struct vd_conf_node *connection, const char *list, const char *word);

/* ---- embryo.c ---- */
void ike_v1_mm1(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
struct ike_v1_embryo *ike_v1_embryo_find(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie);
/* Embryos that waited in vain are reported and forgotten some time after this; armed while there are any. */
void ike_v1_embryo_sweep(struct ike_v1 *v);
void ike_v1_embryo_sweep_fired(struct vd_timer *t);
/* Vendor ids that say what we speak, to somebody who sent these (enum ike_vendor) and offers this authentication. */
void ike_v1_vendors(struct ike_out *out, uint32_t vendors, uint16_t auth);
/* Free place for a new embryo of this cookie: an old one of its set goes. */
struct ike_v1_embryo *ike_v1_embryo_place(struct ike_v1 *v, const uint8_t *icookie);
/* Its place is free, and what it kept of message 3 is gone. */
void ike_v1_embryo_free(struct ike_v1_embryo *e);
/* The table; n: how many, of which the last may go unused. False: out of memory. */
bool ike_v1_embryos_new(struct ike_v1 *v, uint32_t n);
void ike_v1_embryos_free(struct ike_v1 *v);
/* Keeps the SA payload of an embryo that was placed, at most IKE_V1_SA_MAX octets. */
void ike_v1_embryo_body_put(struct ike_v1 *v, struct ike_v1_embryo *e, const uint8_t *sa, size_t len);
/* Its sa_len octets; good until the next one is put. */
const uint8_t *ike_v1_embryo_body(const struct ike_v1 *v, const struct ike_v1_embryo *e);
/* It is there, not too old, and its SA payload is not overwritten. */
bool ike_v1_embryo_lives(const struct ike_v1 *v, const struct ike_v1_embryo *e);

/* ---- main_mode.c, bind.c ---- */
/* What may answer a phase 1 that comes from there: connections that accept, and behind them one that we dialled to there.
 * auth: those of this authentication alone; 0: of all. */
struct ike_v1_possible {
	const char *connection;
	const char *id; /* who we say we are; "": our address */
	uint64_t key;
	const struct ike_policy *policy;
	uint16_t auth;
	bool dialled;
};
#define IKE_V1_POSSIBLE_MAX (IKE_V1_CANDIDATES_MAX + 1u)
unsigned ike_v1_possible(const struct ike_v1 *v, const struct vd_sa *remote, uint16_t auth,
	struct ike_v1_possible list[IKE_V1_POSSIBLE_MAX]);
void ike_v1_mm3(struct ike_v1 *v, struct ike_v1_embryo *embryo, const struct vd_path *path, const struct ike_header *h,
	const uint8_t *p, size_t len);
/* What may come in the states of main mode as responder: see dispatch.c. */
void ike_v1_mm3_again(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
void ike_v1_mm5_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
void ike_v1_mm5_again(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
void ike_v1_trial_abandon(struct ike_v1_sa *sa);

/* HASHes of where a message goes to and comes from (RFC 3947 section 3.2), in this order. */
void ike_v1_natd_out(const struct ike_v1_sa *sa, struct ike_out *out);
/* What the other side's NAT-D payloads tell; natt becomes NONE when there are none. */
void ike_v1_natd_in(struct ike_v1_sa *sa, const struct ike_chain *chain);
/* Phase 1 as responder is done: the SA is up and joins its peer, or one that is made; fresh: the client knows of no older
 * ones. NULL: not, and the SA is freed. */
struct ike_v1_peer *ike_v1_take(struct ike_v1_sa *sa, const char *connection, bool dialled, const char *identity, bool fresh);
/* What comes after phase 1, once the other side can know that it is done; may free the SA. */
void ike_v1_above(struct ike_v1_sa *sa);
/* The keys are there and both have proved themselves: the SA is up and joins the peer. */
void ike_v1_sa_up(struct ike_v1_sa *sa, struct ike_v1_peer *peer, const char *identity);
/* Our identity on this SA: what a configuration says, or "" for our address. */
void ike_v1_own_id(const struct ike_v1_sa *sa, const char *id, struct ike_out *out);
/* Makes the first IKE SA of a peer known to the core. */
void ike_v1_peer_announce(struct ike_v1_peer *peer, const struct ike_v1_sa *sa, const char *identity);

/* ---- main_initiator.c: main mode as initiator ---- */
/* Begins one toward the dial's peer. */
int ike_v1_phase1_dial(struct ike_v1_dial *dial, const struct vd_path *path);
/* Messages 2, 4 and 6. */
void ike_v1_main_answer(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len);
/* A notification in the clear, while we wait: it may be forged. */
void ike_v1_hint(struct ike_v1_sa *sa, const struct ike_header *h, const uint8_t *p, size_t len);
void ike_v1_phase1_resend(struct ike_v1_sa *sa);
/* It took too long, or cannot go on; frees it. why NULL: by what it waited for. */
void ike_v1_phase1_failed(struct ike_v1_sa *sa, const char *why);

/* ---- psk.c ---- */
/* Derives the SA's keys from this key, its nonces, cookies and shared value; done comes later, unless it is abandoned. */
int ike_v1_psk_ask(struct ike_v1_sa *sa, uint64_t key, void (*done)(struct ike_v1_sa *sa, bool ok));
void ike_v1_psk_abandon(struct ike_v1_sa *sa);

/* ---- aggressive.c ---- */
/* Does any connection serve it? */
bool ike_v1_aggressive(const struct ike_v1 *v);
/* A message 1 while none does. */
void ike_v1_am_off(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h);
void ike_v1_am1(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
void ike_v1_am3(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
/* An imported SA is found again by a repeated message 1; one that ends no longer is. */
void ike_v1_am_imported(struct ike_v1_sa *sa);
void ike_v1_am_forget(struct ike_v1_sa *sa);
/* It has no place for the unproven any more. */
void ike_v1_am_half_open_done(struct ike_v1_sa *sa);
/* Message 2 again, as long as it is in proportion to what came. */
void ike_v1_am2_again(struct ike_v1_sa *sa);

/* ---- dial.c: what we called, and keeping it alive ---- */
int ike_v1_dial_service(struct ike_v1 *v);
/* The dial's phase 1 is up, or failed for this reason. */
void ike_v1_dial_phase1_up(struct ike_v1_dial *dial, const struct ike_v1_sa *sa);
void ike_v1_dial_phase1_failed(struct ike_v1_dial *dial, const char *why);
void ike_v1_dial_quick_up(struct ike_v1_dial *dial, uint64_t life_ms);
void ike_v1_dial_quick_failed(struct ike_v1_dial *dial, const char *why);
/* Something of it is gone: what it lacks is made anew. */
/* A CHILD SA is up, both ways. */
void ike_v1_dial_child_up(struct ike_v1_dial *dial);
/* Traffic to the gateway has no answer. */
void ike_v1_dial_unanswered(struct ike_v1_dial *dial);
void ike_v1_dial_wake(struct ike_v1_dial *dial);
/* Takes it off its peer, which goes; whoever dialled is told later, and it is freed then. */
void ike_v1_dial_end(struct ike_v1_peer *peer, const char *why);
/* The name of a notification's number, for people. */
const char *ike_v1_notify_name(uint16_t type);

/* ---- sa.c ---- */
struct ike_v1_sa *ike_v1_sa_new(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie);
struct ike_v1_sa *ike_v1_sa_find(struct ike_v1 *v, const uint8_t *icookie, const uint8_t *rcookie);
/* The responder's cookie came. */
void ike_v1_sa_answered(struct ike_v1_sa *sa, const uint8_t *rcookie);
/* Frees it and, when nothing is left of its peer, starts that one's end. */
void ike_v1_sa_free(struct ike_v1_sa *sa, const char *why);
void ike_v1_sa_half_open_done(struct ike_v1_sa *sa);
void ike_v1_sa_life_fired(struct vd_timer *t);
void ike_v1_sa_resend_fired(struct vd_timer *t);
void ike_v1_sa_resend_start(struct ike_v1_sa *sa);
/* True once per message id and SA. */
bool ike_v1_mid_fresh(struct ike_v1_sa *sa, uint32_t mid);
/* True once per informational message and SA: all of it, decrypted, its HASH(1) verified (RFC 2409 section 5.7). The message id
 * alone must not decide: some clients use one twice, or 0. */
bool ike_v1_info_fresh(struct ike_v1_sa *sa, const uint8_t *p, size_t len);
/* One message, for a log of level debug: what it is, never what is in it. */
void ike_v1_debug(const char *what, const struct vd_path *path, const uint8_t *p, size_t len);
int ike_v1_send(struct ike_v1 *v, const struct vd_path *path, const uint8_t *p, size_t len);
/* The header of a message on this SA. */
struct ike_header ike_v1_header(const struct ike_v1_sa *sa, uint8_t exchange, uint32_t mid);
/* The SPI of an IKE SA in notifications and Deletes: both cookies. */
#define IKE_V1_SPI_LEN (2 * IKE_COOKIE_LEN)
void ike_v1_spi(const struct ike_v1_sa *sa, uint8_t ret_spi[IKE_V1_SPI_LEN]);
/* Reports a failure of this SA's client; the report's fields about who it is are filled in. */
void ike_v1_failed(const struct ike_v1_sa *sa, struct vd_report report);
/* The same with what a policy says to its offers. connection NULL: all candidates. */
void ike_v1_failed_offers(const struct ike_v1_sa *sa, struct vd_report report, unsigned phase,
	const struct ike_offers *offers, const char *connection, bool have_ke);
/* Candidates as ike/lib/advice.h wants them; returns how many. auth: as of ike_v1_possible. */
unsigned ike_v1_allows(const struct ike_v1 *v, const char *connection, uint16_t auth,
	struct ike_allows list[IKE_V1_CANDIDATES_MAX]);

/* ---- peer.c ---- */
/* One without XAuth. */
struct ike_v1_peer *ike_v1_peer_find(struct ike_v1 *v, const struct vd_sa *remote, const char *connection, const char *identity);
/* One with XAuth that has the tunnel of this user; NULL: of anybody. */
struct ike_v1_peer *ike_v1_peer_tunnel(struct ike_v1 *v, const struct vd_sa *remote, const char *connection,
	const char *identity, const char *user);
/* One more is about to begin XAuth there: where too many have not come to its end the oldest of them goes. */
void ike_v1_peer_crowded(struct ike_v1 *v, const struct vd_sa *remote, const char *connection, const char *identity);
/* One that we dialled and that is up, at this address and port, or at port 4500 of it. */
struct ike_v1_peer *ike_v1_peer_dialled(const struct ike_v1 *v, const struct vd_sa *remote);
struct ike_v1_peer *ike_v1_peer_by_id(struct ike_v1 *v, uint64_t id);
struct ike_v1_peer *ike_v1_peer_by_chan(struct ike_v1 *v, uint64_t chan);
struct ike_v1_peer *ike_v1_peer_add(struct ike_v1 *v, uint64_t id, const struct vd_path *path);
/* Enters a new peer into the chains that the finders above use. */
void ike_v1_peer_index(struct ike_v1_peer *peer);
/* 0: it has none now. */
void ike_v1_peer_set_chan(struct ike_v1_peer *peer, uint64_t chan);
/* Another IKE SA of it: older ones go in 30 s. */
void ike_v1_peer_join(struct ike_v1_peer *peer, struct ike_v1_sa *sa);
/* It turned out to be another one, which gets its IKE SAs; frees it. */
void ike_v1_peer_pass_on(struct ike_v1_peer *peer, struct ike_v1_peer *to);
/* Reports, once, that it never began quick mode. */
void ike_v1_peer_no_quick(struct ike_v1_peer *peer);
/* Milliseconds since an authenticated packet of it was seen. */
uint64_t ike_v1_peer_silence(const struct ike_v1_peer *peer);
/* The last IKE SA went, or the last CHILD SA did: waits, or ends the peer. */
void ike_v1_peer_check(struct ike_v1_peer *peer, const char *why);
/* Forgets what we have of it; Deletes are sent when farewell. The core's peer and channel are not touched. */
void ike_v1_peer_discard(struct ike_v1_peer *peer, const char *why, bool farewell);
/* The same, and the core closes sessions, channel and peer. */
void ike_v1_peer_end(struct ike_v1_peer *peer, const char *why, bool farewell);
void ike_v1_peer_moved(struct ike_v1_peer *peer, const struct vd_path *path);
struct ike_v1_child *ike_v1_child_add(struct ike_v1_peer *peer, uint32_t spi_in, uint32_t spi_out,
	const struct vd_prefix *local);
/* Keeps the terms of its quick mode; without memory for them it is not rekeyed by us. */
void ike_v1_child_keep(struct ike_v1_child *child, const struct ike_v1_quick *q);
/* delete_: the peer is told. */
void ike_v1_child_remove(struct ike_v1_child *child, bool delete_);
void ike_v1_child_life(struct ike_v1_child *child, uint64_t ms, uint32_t kind);
void ike_v1_peer_timers_init(struct ike_v1_peer *peer);
/* ESP path below an IKE path. */
struct vd_path ike_v1_esp_path(const struct vd_path *path);
extern const struct vd_esp_events ike_v1_esp_events;

/* ---- rekey.c: CHILD SAs that a client began, and does not rekey in time ---- */
/* How long an SA lives here, in milliseconds, for which this was offered; 0: nothing was. */
uint64_t ike_v1_life(const struct ike_v1 *v, uint32_t seconds);
/* It lives this long. */
void ike_v1_rekey_plan(struct ike_v1_child *child, uint64_t life_ms);
/* Rekeys it now, or soon; nothing happens when it was replaced, or must not be. */
void ike_v1_rekey(struct ike_v1_child *child);
void ike_v1_rekey_timer_init(struct ike_v1_child *child);
/* A quick mode that we began toward the client has failed. refused: it said so, authenticated. */
void ike_v1_rekey_failed(struct ike_v1_peer *peer, const struct vd_prefix *local, const char *why, bool refused);

/* ---- quick.c ---- */
void ike_v1_quick_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len);
/* Takes it off its SA; freed now, or when the last acknowledgement came. */
void ike_v1_quick_kill(struct ike_v1_quick *q);
/* Those of a channel that is gone. */
void ike_v1_quick_kill_on(struct ike_v1_sa *sa, uint64_t chan);
void ike_v1_quick_timers_init(struct ike_v1_quick *q);
/* A new one on this SA; its timers run. NULL: out of memory. */
struct ike_v1_quick *ike_v1_quick_new(struct ike_v1_sa *sa, const struct vd_path *path, uint32_t mid);
/* A channel for the peer when it has none, and an SPI. */
int ike_v1_quick_channel(struct ike_v1_quick *q, const char *upper);
/* PFS with the other side's value, then ike_v1_quick_install(). key: ours, which is taken, or NULL for a new one. False: it cannot. */
bool ike_v1_quick_pfs(struct ike_v1_quick *q, struct vd_dh *key, const struct ike_payload *ke);
/* Keys of both directions; then the inbound SA. shared: of PFS, or NULL. */
void ike_v1_quick_install(struct ike_v1_quick *q, const struct vd_secret *shared);
/* The other side has its inbound SA: ours toward it, and the pair is the peer's newest. */
void ike_v1_quick_out(struct ike_v1_quick *q);

/* ---- quick_initiator.c: quick mode as initiator ---- */
int ike_v1_quick_dial(struct ike_v1_sa *sa);
/* The same once more for a client's CHILD SA of this SA's peer. */
int ike_v1_quick_rekey(struct ike_v1_sa *sa, const struct ike_v1_child *child);
/* A message of one that we began. */
void ike_v1_quick_answer(struct ike_v1_quick *q, const struct ike_header *h, uint8_t *p, size_t len);
/* CONNECTED came, authenticated, outside of a quick mode. */
void ike_v1_quick_connected(struct ike_v1_sa *sa);
/* The inbound SA is in place. */
void ike_v1_qm3_send(struct ike_v1_quick *q);
void ike_v1_quick_failed(struct ike_v1_quick *q, const char *why);
void ike_v1_quick_unanswered(struct ike_v1_quick *q);
/* The other side said so, authenticated: what we began there is over. */
void ike_v1_quick_refused(struct ike_v1_sa *sa, uint16_t type);

/* ---- transaction.c: transaction exchanges (draft-ietf-ipsec-isakmp-mode-cfg-05) ---- */
void ike_v1_transaction_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h,
	const uint8_t *p, size_t len);
/* One of ours on an SA with XAuth: begin, put attributes into m->out, finish. It is repeated until it is answered, and is
 * then handed to ike_v1_xauth_answer(). One at a time. */
void ike_v1_transaction_begin(struct ike_v1_xauth *x, struct ike_v1_sealed *m, uint8_t kind);
int ike_v1_transaction_finish(struct ike_v1_xauth *x, struct ike_v1_sealed *m);
/* It is answered, or nobody cares any more. */
void ike_v1_transaction_over(struct ike_v1_xauth *x);
void ike_v1_transaction_timer_init(struct ike_v1_xauth *x);

/* ---- xauth.c ---- */
/* Phase 1 is up: asks for name and password. False: it cannot; the SA was not touched. */
bool ike_v1_xauth_begin(struct ike_v1_sa *sa);
/* The client's answer to what we asked or told; may free the SA. */
void ike_v1_xauth_answer(struct ike_v1_xauth *x, const struct ike_cfg *cfg);
/* The client goes on, which it does only after it heard that it was accepted. False: it was not, or not yet. */
bool ike_v1_xauth_passed(struct ike_v1_sa *sa);
/* A peer is gone, and its address is free. */
void ike_v1_xauth_peer_gone(struct ike_v1 *v, uint64_t peer);
void ike_v1_xauth_free(struct ike_v1_sa *sa);
/* Somebody ended the session that is being authenticated. */
void ike_v1_xauth_closed(struct ike_v1_peer *peer, uint64_t session);
/* For an import. NULL: out of memory. */
struct ike_v1_xauth *ike_v1_xauth_new(struct ike_v1_sa *sa);

/* ---- modecfg.c ---- */
/* Answers a request of the client's in m: what it asked for and we have. */
void ike_v1_cfg_reply(const struct ike_v1_sa *sa, const struct ike_cfg *request, struct ike_v1_sealed *m);
/* The same without being asked (push). */
void ike_v1_cfg_push(const struct ike_v1_sa *sa, struct ike_v1_sealed *m);

/* ---- tunnel.c: the session of a client with XAuth ---- */
/* A channel for it. */
int ike_v1_tunnel_channel(struct ike_v1_peer *peer, const struct vd_path *path);
/* A session on it, to be authenticated; 0 with err. */
uint64_t ike_v1_tunnel_session(struct ike_v1_peer *peer, struct vd_error *err);
/* It has an address now and is the peer's. */
int ike_v1_tunnel_taken(struct ike_v1_peer *peer, uint64_t session);
/* NULL, or why the selectors are not those of this client; ret_local: our side. */
const char *ike_v1_tunnel_selectors(const struct ike_v1_peer *peer, const struct ike_payload *ci,
	const struct ike_payload *cr, struct vd_prefix *ret_local);
/* A pair of SAs is there: brings the session up. */
void ike_v1_tunnel_up(struct ike_v1_peer *peer);
/* The peer goes: its link on the worker. The core closes the session. */
void ike_v1_tunnel_down(struct ike_v1_peer *peer);
/* After an import. */
void ike_v1_tunnel_adopt(struct ike_v1_peer *peer);
/* Does its connection tell clients without being asked? */
bool ike_v1_tunnel_pushes(const struct ike_v1_peer *peer);

/* ---- refuse.c: refusals, each with its counter, what the other side is told, and its report ---- */
/* For notify: nothing is said. Repetitions may do better, or what came may be anybody's. */
#define IKE_V1_SILENT 0u
/* Where there is no IKE SA: a message with this header from there. report.answered: it repeated our cookie. */
void ike_v1_refuse_first(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const char *counter,
	uint16_t notify, struct vd_report report);
/* An exchange of this SA, which goes on as it was; told in the clear until it is up, then authenticated, about this protocol
 * (enum ike_protocol). What we dial is reported by whoever asked for it. */
void ike_v1_refuse(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, const char *counter, uint16_t notify,
	struct vd_report report);
/* Reports of limits of our own: an SA payload of so many octets has more transforms than are read; more unfinished logins, more
 * work than is kept. */
struct vd_report ike_v1_too_many(size_t len);
struct vd_report ike_v1_too_many_half_open(bool answered);
struct vd_report ike_v1_too_much_work(void);
/* The same with what a policy says to its offers, as ike_v1_failed_offers. */
void ike_v1_refuse_offers(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, const char *counter,
	struct vd_report report, unsigned phase, const struct ike_offers *offers, const char *connection, bool have_ke);

/* ---- info.c ---- */
/* Statuses; errors are refusals. */
void ike_v1_info_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, uint8_t *p,
	size_t len);
void ike_v1_info_notify(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, uint16_t type,
	const void *spi, size_t spi_len, const void *data, size_t len);
/* R-U-THERE (RFC 3706 section 5). seq: of the last one, 0 before the first. */
void ike_v1_info_alive(struct ike_v1_sa *sa, uint32_t *seq);
void ike_v1_info_delete_ike(struct ike_v1_sa *sa);
void ike_v1_info_delete_esp(struct ike_v1_sa *sa, uint32_t spi);
/* The peer says it has lost all older state. */
void ike_v1_initial_contact(struct ike_v1_sa *sa);

/* ---- plugin.c ---- */
/* A whole message; h is its header. */
void ike_v1_message(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);

/* ---- dispatch.c ---- */
/* Is there a message of an exchange that does something in its state? */
bool ike_v1_sa_listens(const struct ike_v1_sa *sa);
/* A whole message with the cookies of this SA; may free it. What its state does not list is dropped and counted. */
void ike_v1_sa_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);

/* ---- fragments.c: messages in several parts ---- */
/* One part. What becomes whole by it goes to ike_v1_message(); whatever cannot be used is dropped and counted. */
void ike_v1_fragment_input(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p,
	size_t len);
/* Takes them from whatever has them; f may be NULL. */
void ike_v1_fragments_free(struct ike_v1_fragments *f);
/* From an embryo to its SA, which has none. */
void ike_v1_fragments_move(struct ike_v1_fragments **from, struct ike_v1_fragments **to);

/* ---- seal.c ---- */
/* A message of an exchange after phase 1: starts with room for its HASH payload. */
struct ike_v1_sealed {
	struct ike_out out;
	uint8_t room[IKE_MESSAGE_MAX];
};
void ike_v1_sealed_begin(const struct ike_v1_sa *sa, struct ike_v1_sealed *m, uint8_t exchange, uint32_t mid);
/* Fills in prf(SKEYID_a, mid | extra | what follows), encrypts with iv. Returns the length. */
int ike_v1_sealed_finish(const struct ike_v1_sa *sa, struct ike_v1_sealed *m, uint32_t mid, const void *extra,
	size_t extra_len, uint8_t *iv);
/* Decrypts in place with iv and reads the chain; the first payload must be the right HASH(mid | extra | rest).
 * On failure why names it. */
int ike_v1_open(const struct ike_v1_sa *sa, uint8_t *p, size_t len, uint8_t *iv, const void *extra, size_t extra_len,
	struct ike_chain *ret_chain, const char **ret_why);

/* ---- state.c ---- */
extern const struct vd_layer ike_v1_layer;

#endif
