/* Viaduct: what the files of core/datapath share. Worker files are w_*.c: they allocate nothing, log nothing and know
 * neither the bus nor the event loop (tests/lint). The other files run on the control thread. */
#ifndef CORE_DATAPATH_DP_H
#define CORE_DATAPATH_DP_H

#include <pthread.h>

#include <viaduct/datapath.h>
#include <viaduct/loop.h>

#include "core/datapath/caps.h"
#include "core/datapath/datapath.h"
#include "core/datapath/map.h"
#include "core/datapath/ring.h"

#define DP_BUF 2048u            /* octets of a buffer, also its alignment: a packet's buffer is found from its p */
#define DP_ROOM (DP_BUF - VD_HEAD - VD_TAIL)
#define DP_BUFS 1024u           /* buffers of a worker */
#define DP_VNET 10u             /* struct virtio_net_hdr */
#define DP_ENDPOINTS 16u         /* listening addresses */
#define DP_SLOTS 8u             /* per-worker pointers of plugins */
#define DP_SESSIONS 65536u      /* of one worker */
#define DP_INNER 16 /* kinds of inner packets that somebody takes */
#define DP_INBOX (1u << 20)
#define DP_PUNT (1u << 20)
#define DP_FRESH (1u << 18)     /* punts of channels without a session */
#define DP_HAND (1u << 19)      /* 128 vectors of small packets, about 340 full ones, or 7 super-packets */
#define DP_COMMANDS 4096u       /* not yet acknowledged, of one worker */
#define DP_ACK_ROOM (DP_COMMANDS * 40u) /* kept free in the auth ring, so that an acknowledgement always fits */
#define DP_BACKLOG 65536u       /* commands that wait for room in an inbox */
#define DP_RECV 65536u          /* octets of one receive, which GRO may have filled with many segments */
#define DP_BATCH 64u            /* datagrams of one source in a turn */
#define DP_SUPERS 8u            /* super-packets read from TUN in a turn */
#define DP_BIG (DP_ROOM + DP_RECV) /* where a receive that is larger than a buffer is put together */
#define DP_FLOWS 8u             /* flows that are coalesced side by side in one vector */
#define DP_INNER_MAX 65535u     /* octets of a super-packet */
#define DP_RUN_MAX 65000u       /* octets of one UDP_SEGMENT batch */
#define DP_GSO_OFF 64u          /* destinations that batches are not sent to */
#define DP_GSO_OFF_MS 60000u
#define DP_RAW_TURN 64u         /* raw punts in a turn of the control thread */
#define DP_AUTH_TURN 512u
#define DP_FRESH_TURN 64u       /* punts of channels without a session in a turn */
#define DP_PMTU_PROBE 3         /* IP_MTU_DISCOVER: DF, and ICMP from outside is ignored */
#define DP_PMTU_OMIT 5          /* the same without DF */
#define DP_LIMITS 1024u         /* buckets of the limit on raw punts */
#define DP_PUNT_MS 250u         /* window of the punt limits */
#define DP_PUNT_CHAN 256u       /* punts of one channel in a window */
#define DP_PUNT_NEW 64u         /* of one without a session: a login has fewer in all */
#define DP_PUNT_SOURCE 128u     /* of one source address and port, not authenticated */

/* Records. Inbox: CALL, SEND, SESSION, FRAME, ESP. Hand rings: ESP, OUT. Auth: ACK, TELL, PUNT. Fresh: PUNT.
 * Raw: IKE. */
enum { DP_R_CALL = 1, DP_R_SEND, DP_R_ESP, DP_R_OUT, DP_R_ACK, DP_R_TELL, DP_R_PUNT, DP_R_IKE, DP_R_INNER, DP_R_SESSION,
	DP_R_FRAME };
struct dp_r_call { void (*fn)(struct vd_worker *w, void *arg); void *arg; void (*done)(void *arg); void *done_arg; };
struct dp_r_send { uint64_t chan; };
struct dp_r_path { struct vd_path path; };
struct dp_r_ack { void (*done)(void *arg); void *arg; };
struct dp_r_tell { void (*fn)(void *arg, uint64_t a, uint64_t b); void *arg; uint64_t a, b; };
struct dp_r_punt { uint64_t chan, session; };
struct dp_r_session { uint64_t session; uint32_t sess; };
struct dp_r_frame { struct dp_r_session to; struct vd_hdr hdr; };

enum dp_src_kind { DP_SRC_WAKE, DP_SRC_UDP, DP_SRC_RAW, DP_SRC_TUN };
struct dp_src {
	enum dp_src_kind kind;
	int fd;
	unsigned endpoint; /* index */
	bool v6;
};

struct dp_wchan { /* a channel on its worker */
	struct dp_node node;
	struct vd_chan *chan;
	uint64_t window;
	uint32_t punts;
	uint16_t sessions; /* that are up: their peer authenticated a user, so its punts are read first */
	uint16_t narrow; /* octets that its packets lack of what was believed of the way: chan->outer */
};

struct vd_wsess { /* a session on its home worker, made by the control thread */
	uint64_t id;
	uint32_t index;
	bool up;
	bool numbered; /* what is sent has sequence numbers now */
	struct vd_wsess_desc d;
	uint16_t mtu, narrow; /* as it was given, and the channel's: d.mtu is without the latter, and leaves room for numbers */
	struct vd_numbers numbers;
	struct vd_chan *chan;
	struct vd_session_counters c;
	uint64_t icmp_window;
	uint32_t icmp_sent;
	uint64_t refused_at; /* the control thread was asked how wide the way is */
};

struct dp_wlink {
	struct dp_node node;
	uint64_t chan, key, session;
	uint32_t index;
	const struct vd_stage *up;
	void *state;
};

struct dp_fib { /* one prefix, one copy per worker */
	struct dp_node node;
	struct vd_prefix prefix;
	uint64_t session;
	uint32_t index;
	uint8_t home;
	bool dialled; /* leads to a gateway */
};

struct dp_fibs {
	struct dp_map map;
	uint32_t n4[33], n6[129]; /* prefixes of each length: only lengths in use are looked up */
};

struct dp_inner_row { /* who takes inner packets that look so */
	struct vd_inner_match match;
	void (*fn)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	void *arg;
};

struct dp_limit {
	uint64_t key, window;
	uint32_t n;
};

struct dp_esp_batch { /* received ESP on its way to esp_input */
	struct vd_vec vec;
	struct vd_esp_meta meta[VD_VEC];
};

struct dp_out_batch { /* packets for one channel */
	uint64_t chan;
	struct vd_vec vec;
};

struct dp_held { /* datagrams that their socket did not take yet, oldest first */
	unsigned n;
	struct vd_pkt pkt[VD_VEC];
	struct vd_path path[VD_VEC];
};

struct dp_flow { /* segments of one flow, in sequence, that become one super-packet (w_coalesce.c) */
	struct vd_pkt v[VD_VEC];
	uint16_t n;           /* 0: unused */
	uint16_t l4, head;    /* octets before the L4 header and before the payload */
	uint16_t size, id;    /* payload and IPv4 id of the first */
	uint32_t len, next;   /* octets of the whole; TCP sequence number that fits */
	uint8_t version, protocol, flags;
	bool df;
};

struct dp_gso_off { /* batches were refused on the way there */
	struct vd_ip ip;
	uint64_t until;
};

struct dp_rx; /* buffers of recvmmsg, w_rx.c */
struct dp_tx; /* messages of sendmmsg, w_send.c */

/* A datagram that came before anything was attached to its channel: w_early.c. len 0: none. */
#define DP_EARLY 64u
#define DP_EARLY_MS 1000u /* then it comes again by itself: RFC 2661 section 5.8 */
struct dp_early {
	uint64_t chan, came;
	uint32_t len;
	uint8_t tos;
	uint8_t p[400];
};

struct vd_worker {
	struct vd_datapath *dp;
	unsigned index, workers;
	uint64_t now;
	void *state[DP_SLOTS];
	/* buffers */
	uint8_t *pool;
	void *free;
	unsigned n_free;
	/* rings: read by this worker, and written by it */
	struct dp_ring inbox, *hand_in[VD_MAX_WORKERS];
	struct dp_ring auth, fresh, raw;
	struct dp_ring *hand_out[VD_MAX_WORKERS];
	struct dp_wake wake, *wake_of[VD_MAX_WORKERS], *wake_control;
	uint32_t touched; /* readers to wake at the end of the turn: bit per worker, bit 31 the control thread */
	/* tables */
	struct dp_map chans, links, spare;
	struct vd_wsess **sess;
	struct dp_fibs fib, own; /* own: by source, what we were given by gateways that we dialled */
	struct dp_limit *limits;
	uint64_t limit_key;
	struct vd_inner_match inner[DP_INNER]; /* protocol 0: none */
	vd_esp_input_fn *esp_input;
	struct dp_esp_batch in;
	struct dp_early early[DP_EARLY];
	unsigned early_next;
	struct dp_out_batch out;
	struct dp_flow flow[DP_FLOWS];
	unsigned flow_next; /* the one that makes room */
	struct dp_gso_off gso_off[DP_GSO_OFF];
	uint64_t drops[VD_DROP_MAX], work[VD_WORK_MAX];
	uint32_t caps; /* bit per enum vd_cap */
	uint8_t *big;  /* DP_BIG octets */
	/* descriptors */
	int epoll;
	struct dp_src src[2 + 2 * DP_ENDPOINTS];
	unsigned n_src;
	int udp_fd[DP_ENDPOINTS], raw_fd[DP_ENDPOINTS];
	struct vd_sa listen[DP_ENDPOINTS]; /* local address and NAT-T port */
	unsigned n_listen;
	enum vd_df df;
	uint32_t df_udp, df_raw; /* VD_DF_COPY: the sockets that set DF as they are, bit per endpoint */
	int tun_fd;
	bool tun_reads, tun_own;
	void (*tun_lost)(void *arg, uint64_t a, uint64_t b); /* told when the device is gone */
	void *tun_lost_arg;
	struct dp_held held; /* TUN is not read while there are any */
	int blocked_fd;
	struct dp_rx *rx;
	struct dp_tx *tx;
	_Atomic bool stop;
	pthread_t thread;
	bool running;
	struct vd_io *io; /* of epoll, when the control thread turns this worker */
	/* Inline mode: what would leave is given to this instead; in a recording (alone.c) to both, and what came to these. */
	void (*capture)(void *arg, const struct vd_datapath_sent *sent);
	void *capture_arg;
	bool tee, conceal;
	void (*came)(int worker, const struct vd_path *path, const uint8_t *p, size_t len);
	void (*came_tun)(unsigned worker, const uint8_t *p, size_t len);
	bool full;  /* and as if its sockets would block */
	int refuse; /* and as if they refused batches with this error */
};
static inline bool dp_can(const struct vd_worker *w, enum vd_cap cap)
{
	return w->caps >> cap & 1;
}

/* ---- w_pool.c ---- */
void dp_pool_init(struct vd_worker *w);
/* Copies of these octets as a packet; false when there is no buffer or they do not fit (counted). */
bool dp_pkt_copy(struct vd_worker *w, const void *p, size_t len, struct vd_pkt *ret_pkt);

/* ---- w_early.c ---- */
/* Takes the packet. */
void dp_early_keep(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt);
/* What was kept of this channel goes to what is attached to it now; when that is nothing, it is dropped. */
void dp_early_deliver(struct vd_worker *w, struct vd_chan *chan);

/* ---- w_table.c ---- */
struct vd_wsess *dp_sess(const struct vd_worker *w, uint32_t sess);
/* The address with everything behind the first len bits zero. */
struct vd_ip dp_fib_net(const struct vd_ip *ip, unsigned len);
uint64_t dp_fib_key(const struct vd_ip *ip, unsigned len);
void dp_fib_put(struct dp_fibs *fibs, struct dp_fib *f);
void dp_fib_take(struct dp_fibs *fibs, struct dp_fib *f);
/* Longest prefix; NULL when nothing leads there. */
const struct dp_fib *dp_fib_find(const struct dp_fibs *fibs, const struct vd_ip *ip);
struct dp_wchan *dp_wchan(const struct vd_worker *w, uint64_t chan);

/* ---- w_simple.c: one packet, straight from the RFCs; pure functions ---- */
/* The inner IP packet at p: version, lengths, addresses. Trims what follows its total length. */
struct dp_inner {
	uint8_t version, protocol, tos;
	uint16_t l4;          /* offset */
	bool first, fragment; /* first: the L4 header is here */
	bool df;
	bool from_link, to_link; /* IPv6: source, destination mean something on this link alone */
	struct vd_ip src, dst;
};
bool dp_inner_parse(struct vd_pkt *pkt, struct dp_inner *ret_inner);
/* Lowers the MSS option of a TCP SYN to what fits mtu, checksum by RFC 1624. */
void dp_mss_clamp(struct vd_pkt *pkt, const struct dp_inner *in, uint16_t mtu);
/* From a client: VD_DROP_NONE, or why it must not pass. pkt->tos: of the outer header; in a tunnel its ECN field is put into the
 * packet's own. */
enum vd_drop dp_simple_in(const struct vd_wsess *s, struct vd_pkt *pkt, struct dp_inner *ret_inner);
/* To a client: the header block is put in front, with the session's next number where it has some; the caller counts it on.
 * The packet fits the session. */
enum vd_drop dp_simple_out(const struct vd_wsess *s, const struct vd_chan *chan, struct vd_pkt *pkt,
	const struct dp_inner *in);
/* The same for a frame that is no inner packet. */
enum vd_drop dp_simple_frame(const struct vd_wsess *s, const struct vd_chan *chan, const struct vd_hdr *h, struct vd_pkt *pkt);
/* A big-endian field of a header at p; outside of len octets nothing is written. */
void dp_put16(uint8_t *p, size_t len, size_t at, uint16_t v);
/* Completes a partial checksum (virtio NEEDS_CSUM): start and offset as in the virtio header. */
bool dp_csum_complete(struct vd_pkt *pkt, uint16_t start, uint16_t offset);

/* ---- w_number.c ---- */
/* d.mtu: less what its channel lacks, and with room for numbers while the peer wants some. */
void dp_number_fit(struct vd_wsess *s);
/* ---- number.c: members of datapath/1 ---- */
int dp_link_send(void *self, uint64_t session, const struct vd_hdr *hdr, const void *p, size_t len);
int dp_session_numbers(void *self, uint64_t session, const struct vd_numbers *numbers);
int dp_session_number(void *self, uint64_t session);

/* ---- w_inner.c ---- */
bool dp_inner_looks(const struct vd_inner_match *m, const struct vd_pkt *pkt, const struct dp_inner *in);
/* Is this packet from a client for somebody on the control thread? Then it is punted, and gone. */
bool dp_inner_take(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in);
/* ---- inner.c ---- */
int dp_inner_input(void *self, const struct vd_inner_match *match,
	void (*fn)(void *arg, uint64_t session, const uint8_t *p, size_t len), void *arg);
int dp_session_send(void *self, uint64_t session, const void *p, size_t len);
void dp_inner_punted(struct vd_datapath *dp, const struct dp_r_punt *head, const uint8_t *p, size_t len);

/* ---- w_conceal.c ---- */
/* In a recording: what users say to each other is their own. The payload of the inner packet, or all that is no such. */
void dp_conceal(const struct vd_worker *w, const uint8_t *p, size_t len);

/* ---- w_toobig.c ---- */
/* The packet is larger than the session takes: emits fragments of it (IPv4 without DF), or drops it and answers with
 * ICMP. Consumes. */
void dp_too_big(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in,
	void (*emit)(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt));

/* ---- w_narrow.c ---- */
#define DP_LEAST_MTU 68u    /* RFC 791 section 3.2 */
#define DP_LEAST_OUTER 576u /* less is not believed of any way */
/* The kernel refused a packet of this path for its size: what the way takes is looked up, and the channel's sessions follow. */
void dp_refused(struct vd_worker *w, const struct vd_path *path, uint32_t sess);
/* ---- narrow.c ---- */
/* What the former tells: a channel, and endpoint index << 32 with the peer's IPv4 address. */
void dp_on_refused(void *arg, uint64_t chan, uint64_t way);
uint16_t dp_outer_mtu(void *self, const struct vd_path *path);

/* ---- w_in.c ---- */
/* A received datagram or GRO batch of the NAT-T port: each segment by itself. own: the buffer of ours that p lies in, for
 * one datagram without batch: it is taken (own->p becomes NULL) when the packet is kept; NULL: octets are copied. */
void dp_in_udp(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, size_t seg,
	struct vd_pkt *own);
/* A received packet of protocol 50, behind the IP header that IPv4 raw sockets deliver (v6: none). */
void dp_in_raw(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, struct vd_pkt *own);
void dp_in_esp(struct vd_worker *w, const struct vd_path *path, const uint8_t *p, size_t len, struct vd_pkt *own);
/* What was collected goes up, and what comes out of that to TUN. */
void dp_in_flush(struct vd_worker *w);
/* So many messages of one source in a window, before anybody looks at them. limits: DP_LIMITS buckets; the key is random,
 * so that nobody can aim at another's bucket. */
bool dp_limit_take(struct dp_limit *limits, uint64_t key, uint64_t now, const struct vd_sa *from);

/* ---- w_coalesce.c ---- */
/* A packet that may pass, on its way to TUN: alone, or as a part of a super-packet. Consumes. */
void dp_coalesce(struct vd_worker *w, struct vd_pkt *pkt, const struct dp_inner *in);
void dp_coalesce_flush(struct vd_worker *w);

/* ---- w_tun.c ---- */
void dp_rx_tun(struct vd_worker *w);
/* One packet, as it is. Consumes. */
void dp_tun_write(struct vd_worker *w, struct vd_pkt *pkt);
/* n packets as one: the first whole, of the others what is behind head octets. Consumes. */
void dp_tun_super(struct vd_worker *w, const uint8_t vnet[DP_VNET], struct vd_pkt *pkts, unsigned n, uint32_t head);
/* struct virtio_net_hdr is in host order on a TUN device (no TUNSETVNETBE). */
struct dp_vnet {
	uint8_t flags, gso;
	uint16_t head, size, start, offset;
};
enum { DP_VNET_NEEDS_CSUM = 1, DP_VNET_TCP4 = 1, DP_VNET_TCP6 = 4, DP_VNET_UDP = 5, DP_VNET_ECN = 0x80 };
void dp_vnet_read(const uint8_t vnet[DP_VNET], struct dp_vnet *ret_vnet);
void dp_vnet_write(const struct dp_vnet *v, uint8_t ret_vnet[DP_VNET]);

/* ---- w_out.c ---- */
/* What a TUN queue gave: a packet, or a super-packet of which only the octets are read. The packet is consumed when own is
 * given and it goes alone, else own (NULL: none) stays the caller's. */
void dp_out_tun(struct vd_worker *w, const uint8_t vnet[DP_VNET], const uint8_t *p, size_t len, struct vd_pkt *own);
/* One IP packet for one of our sessions, or another worker's; consumes. */
/* To this session, if it is still that one; what is emitted leaves with the next flush. Consumes. */
void dp_out_to(struct vd_worker *w, const struct dp_r_session *to, struct vd_pkt *pkt);
/* Punts for that channel, within its limit; frees the packet. */
void dp_punt(struct vd_worker *w, struct dp_wchan *c, uint32_t kind, const struct dp_r_punt *head, struct vd_pkt *pkt);
void dp_out_packet(struct vd_worker *w, struct vd_pkt *pkt);
/* A frame of this session's link, if it is still that one; leaves at once, behind what is in the batch. Consumes. */
void dp_out_frame(struct vd_worker *w, const struct dp_r_frame *frame, struct vd_pkt *pkt);
/* The session that a packet's addresses lead to: NULL when there is none, or when the packet was for another worker and is in its
 * ring. Counts what is dropped. */
struct vd_wsess *dp_out_session(struct vd_worker *w, const struct dp_inner *in, const uint8_t vnet[DP_VNET],
	const uint8_t *p, size_t len, uint32_t packets);
/* A packet that fits its session; in: its header. Consumes. */
void dp_out_emit(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt, const struct dp_inner *in);
/* A part of a packet that did not fit. Consumes. */
void dp_out_part(struct vd_worker *w, struct vd_wsess *s, struct vd_pkt *pkt);
void dp_out_flush(struct vd_worker *w);

/* ---- w_segment.c ---- */
/* A super-packet from TUN: cut into packets of one session. Copies. */
void dp_out_super(struct vd_worker *w, const uint8_t vnet[DP_VNET], const uint8_t *p, size_t len);

/* ---- w_send.c ---- */
/* What waits for a socket, as far as it goes now. */
void dp_send_held(struct vd_worker *w);
size_t dp_tx_size(void);
/* One datagram from an endpoint's socket, with its source address when the socket is bound to a wildcard. */
int dp_sendto(int fd, const struct vd_path *path, bool pktinfo, uint8_t tos, const void *p, size_t len);

/* ---- w_rx.c ---- */
/* At most DP_BATCH datagrams of one source. */
void dp_rx_socket(struct vd_worker *w, const struct dp_src *src);
size_t dp_rx_size(void);
/* Gives its buffers back. */
void dp_rx_empty(struct vd_worker *w);
/* The control part of a received message: local address and TOS of the path, and segment size (0: one datagram). */
struct msghdr;
void dp_cmsg_read(struct msghdr *m, struct vd_path *path, size_t *seg);

/* ---- w_loop.c ---- */
/* What a descriptor of the worker has. */
void dp_worker_serve(struct vd_worker *w, const struct dp_src *src, uint32_t events);
void *dp_worker_main(void *arg);
/* Inbox and hand rings, and what they lead to. */
void dp_worker_rings(struct vd_worker *w);
void dp_worker_wake_others(struct vd_worker *w);
unsigned dp_owner(const struct vd_worker *w, uint8_t home);

/* ---- control thread ---- */
struct dp_chan {
	struct dp_node node;
	struct vd_chan *chan;
	struct dp_wchan w;
	bool removing;
	void (*punt)(void *arg, uint64_t chan, const uint8_t *p, size_t len);
	void *punt_arg;
};

struct dp_session {
	struct dp_node node;
	struct vd_wsess *w; /* NULL until a link or session_add */
	uint64_t chan; /* with w: what the worker has of it is the worker's to read */
	unsigned worker, links;
	uint8_t home;
	bool established;
	bool resting; /* deleted, and waiting for its last link to go */
	struct vd_ip own; /* we dialled it; family 0: a client's */
	void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	void *punt_arg;
};

struct dp_route {
	struct dp_node node;
	struct vd_prefix prefix;
	uint64_t session;
	bool own; /* by source */
	struct dp_fib *copy[VD_MAX_WORKERS];
};

struct dp_link {
	struct dp_node node;
	unsigned worker;
	struct dp_wlink w;
};

struct dp_pending {
	struct dp_pending *next;
	struct dp_r_call call;
};

struct dp_endpoint {
	struct vd_sa local;      /* address, NAT-T port */
	int ike, natt;           /* control thread's sockets */
	struct vd_io *ike_io, *natt_io;
};

struct vd_datapath {
	struct vd_datapath_1 service;
	struct dp_caps caps;
	bool inline_mode, started, paused, tun, tun_closing, gathering;
	void (*on_tun_lost)(void *arg);
	void *on_tun_lost_arg;
	unsigned n_workers;
	struct vd_worker *w[VD_MAX_WORKERS];
	struct dp_ring hand[VD_MAX_WORKERS][VD_MAX_WORKERS]; /* [from][to] */
	unsigned outstanding[VD_MAX_WORKERS], n_backlog;
	struct dp_pending *backlog[VD_MAX_WORKERS], **backlog_end[VD_MAX_WORKERS];
	uint8_t *index_used[VD_MAX_WORKERS]; /* session indexes */
	uint32_t index_next[VD_MAX_WORKERS];
	unsigned n_slots;
	struct dp_wake wake; /* of the control thread */
	struct vd_io *wake_io;
	bool drain_again;
	struct dp_limit limits[DP_LIMITS]; /* of what comes on the control thread's own sockets */
	uint64_t limit_key;
	struct dp_map chans, sessions, links, routes;
	struct dp_inner_row inner[DP_INNER];
	vd_esp_input_fn *esp_input;
	void (*ike_input)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len);
	void *ike_arg;
	struct dp_endpoint ep[DP_ENDPOINTS];
	unsigned n_ep;
	uint16_t ike_port, natt_port;
	enum vd_df df;
	int (*way_mtu)(const struct vd_ip *from, const struct vd_ip *to); /* NULL: nothing is known of any */
	struct dp_open *open; /* start in progress */
	bool tee; /* what is captured leaves all the same */
	void (*capture)(void *arg, const struct vd_datapath_sent *sent);
	void *capture_arg;
	/* parking for state export */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned parked;
	bool resume;
};

extern struct vd_datapath *dp_instance;
/* Runs fn on a worker (in order), then done on the control thread. Never refused below DP_BACKLOG. */
int dp_call(struct vd_datapath *dp, unsigned worker, void (*fn)(struct vd_worker *w, void *arg), void *arg,
	void (*done)(void *arg), void *done_arg);
int dp_call_all(struct vd_datapath *dp, void (*fn)(struct vd_worker *w, void *arg), void *arg,
	void (*done)(void *arg), void *done_arg);
/* Inline or paused: what is in the inbox runs now. Everything a worker wrote is drained by a deferred dp_drain. */
void dp_kick(struct vd_datapath *dp, unsigned worker);
/* Hands head and then p to a worker. Commands keep half of the inbox to themselves: -ENOBUFS when the rest is full. Behind a
 * backlog of commands nothing that belongs to them may overtake them: the caller looks. */
int dp_hand(struct vd_datapath *dp, unsigned worker, uint32_t kind, const void *head, size_t head_len, const void *p, size_t len);
void dp_flush_backlog(struct vd_datapath *dp, unsigned worker);
void dp_drain(struct vd_datapath *dp);
void dp_drain_later(struct vd_datapath *dp);
/* A datagram on one of the control thread's sockets, by segments. Returns how many of them went to IKE. */
unsigned dp_control_datagram(struct vd_datapath *dp, const struct vd_path *path, const uint8_t *p, size_t len, size_t seg);
void dp_service_fill(struct vd_datapath *dp);
struct dp_session *dp_session_of(struct vd_datapath *dp, uint64_t id);
struct dp_chan *dp_chan_of(struct vd_datapath *dp, uint64_t id); /* NULL also while it is removed */
/* route.c: members of datapath/1. */
int dp_fib_add(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *arg), void *arg);
int dp_fib_del(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *arg), void *arg);
void dp_tun_lost(void *self, void (*fn)(void *arg), void *arg);
int dp_tun_add(void *self, const char *name, const int *fds, unsigned n, unsigned mtu, void (*done)(void *arg), void *arg);
/* info.c: likewise. */
int dp_drops(void *self, void (*done)(void *arg, const uint64_t *counts), void *arg);
int dp_info(void *self, void (*done)(void *arg, const struct vd_datapath_info *info), void *arg);
bool dp_cap(void *self, enum vd_cap cap, bool there, const char *why);
void dp_tables_free(struct vd_datapath *dp);
int dp_endpoints_open(struct vd_datapath *dp, const struct vd_ip *listen, size_t n,
	void (*done)(void *arg, const struct vd_error *err), void *arg);
void dp_endpoints_close(struct vd_datapath *dp);
int dp_ike_send(void *self, const struct vd_path *path, const void *p, size_t len);
int dp_workers_make(struct vd_datapath *dp, unsigned n);
void dp_workers_free(struct vd_datapath *dp);
int dp_threads_start(struct vd_datapath *dp, struct vd_error *err);
/* The same without threads, in alone.c: the loop of the control thread turns the workers, a datagram or packet at a time. */
int dp_alone_start(struct vd_datapath *dp, struct vd_error *err);

#endif
