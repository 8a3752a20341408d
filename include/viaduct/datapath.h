/* Viaduct: the data path: packets, vectors, stages, channels, sessions on workers; and service datapath/1.
 *
 * N workers share nothing. Every peer has a home slot; worker = slot % N owns all its channels, SAs, links and sessions
 * alone, so counters and windows are plain. The control thread sends commands over a bounded inbox, in order, each
 * acknowledged. "Stage code" (everything below marked worker) may call only functions marked worker: no bus, no log, no
 * malloc, no libev. tests/lint checks the symbols of files named *_stage.c and of core/datapath's worker files.
 */
#ifndef VIADUCT_DATAPATH_H
#define VIADUCT_DATAPATH_H

#include <viaduct/addr.h>
#include <viaduct/base.h>
#include <viaduct/bus.h>
#include <viaduct/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VD_HEAD 128 /* octets free before a packet */
#define VD_TAIL 64  /* and behind it */
#define VD_VEC 64   /* packets of a vector */
#define VD_MAX_WORKERS 16

/* ---- packets (worker) ---- */
enum {
	VD_PKT_CSUM = 1, /* L4 checksum is partial (virtio NEEDS_CSUM) */
	VD_PKT_DF = 2,   /* to be sent: the packet inside must not be fragmented (DF of IPv4; IPv6) */
};
struct vd_pkt {
	uint8_t *p;     /* inside a buffer of the worker's pool */
	uint32_t len;
	uint16_t seg;   /* 0: one packet; else L4 payload octets per segment */
	uint16_t l4;    /* offset of the L4 header of an inner packet, when known */
	uint8_t tos, flags; /* tos: of the outer header; received, or to be sent */
	uint16_t reserved;
	uint32_t sess;  /* index of its session on this worker + 1; 0: none yet */
};
struct vd_vec {
	uint16_t n;
	struct vd_pkt v[VD_VEC];
};

struct vd_worker;
/* Consumes the vector: every packet is passed on, punted, or dropped. State is what the attacher gave. */
struct vd_stage {
	const char *name;
	void (*run)(struct vd_worker *w, void *state, struct vd_vec *vec);
};

/* Why a packet was dropped; counted per worker, names by vd_drop_name(). Append only. */
enum vd_drop {
	VD_DROP_NONE,
	VD_DROP_SHORT, VD_DROP_KEEPALIVE, VD_DROP_NO_SPI, VD_DROP_REPLAY, VD_DROP_AUTH, VD_DROP_PADDING, VD_DROP_EXPIRED,
	VD_DROP_NEXT_HEADER, VD_DROP_NOT_UDP, VD_DROP_UDP_LENGTH, VD_DROP_L2TP_HEADER, VD_DROP_L2TP_SESSION,
	VD_DROP_L2TP_SEQUENCE, VD_DROP_PPP_HEADER, VD_DROP_PPP_PROTOCOL, VD_DROP_NOT_IP, VD_DROP_SOURCE, VD_DROP_NO_ROUTE,
	VD_DROP_NO_SA, VD_DROP_TOO_BIG, VD_DROP_SOCKET, VD_DROP_TUN, VD_DROP_RING_FULL, VD_DROP_PUNT_LIMIT, VD_DROP_NO_BUFFER,
	VD_DROP_SELECTOR, VD_DROP_FOREIGN, VD_DROP_NO_UPPER, VD_DROP_DESTINATION, VD_DROP_L2TP_UNNUMBERED,
	VD_DROP_ECN, /* marked on the way by a router, around a packet that cannot be (RFC 6040 section 4.2) */
	VD_DROP_MAX
};
VD_API const char *vd_drop_name(enum vd_drop why);

/* Frees the packet and counts the reason (also on its session when it has one). Worker. */
VD_API void vd_pkt_drop(struct vd_worker *w, struct vd_pkt *pkt, enum vd_drop why);
/* Frees without counting. Worker. */
VD_API void vd_pkt_free(struct vd_worker *w, struct vd_pkt *pkt);
/* A fresh empty packet with VD_HEAD before it, or false. room: octets it must take (<= 2048 - head - tail today). Worker. */
VD_API bool vd_pkt_new(struct vd_worker *w, size_t room, struct vd_pkt *ret_pkt);
/* Milliseconds, monotonic, read once per turn. Worker. */
VD_API uint64_t vd_worker_now(const struct vd_worker *w);
VD_API unsigned vd_worker_index(const struct vd_worker *w);
/* A per-worker pointer of a plugin, in a slot from vd_worker_slot(). Worker. */
VD_API void *vd_worker_state(const struct vd_worker *w, unsigned slot);
/* Sets it: from a function run by call or call_all of datapath/1. Worker. */
VD_API void vd_worker_set_state(struct vd_worker *w, unsigned slot, void *state);

/* The internet checksum (RFC 1071): adds octets to a one's complement sum, odd lengths only at the end; folds and inverts
 * it; and the pseudo header of UDP and TCP (RFC 768, RFC 8200 section 8.1). Any thread: Worker. */
VD_API uint32_t vd_sum(uint32_t sum, const uint8_t *p, size_t len);
VD_API uint16_t vd_sum_fold(uint32_t sum);
VD_API uint32_t vd_sum_pseudo(const struct vd_ip *src, const struct vd_ip *dst, uint8_t protocol, uint32_t len);

/* ---- channels ---- */
enum {
	VD_CHAN_PROTECTED = 1, /* datagrams came through an SA */
	VD_CHAN_STREAM = 2,    /* ordered, lossless */
	VD_CHAN_SEGMENTS = 4,  /* takes packets with seg != 0 */
};
#define VD_OUTER_MTU 1500 /* what peers are believed to be reached with, unless more is known */
struct vd_chan;
struct vd_chan_ops { /* on the home worker; one call per vector */
	void (*send)(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec); /* consumes */
	int (*snapshot)(struct vd_chan *chan, struct vd_wr *w); /* for export; 0 or -errno */
};
struct vd_chan { /* allocated by its maker on the control thread, owned by the home worker while added */
	uint64_t id, peer;
	uint8_t home, flags;
	uint16_t head, tail, mtu; /* octets the layers below need; largest datagram now */
	uint16_t outer;           /* what mtu was reckoned from when it was added; 0: VD_OUTER_MTU */
	const struct vd_chan_ops *ops;
	void *lower;              /* the maker's: e.g. the current outbound SA */
	const struct vd_stage *up; /* where its datagrams go; NULL: dropped */
	void *upper;
	struct vd_ip local, remote; /* outer addresses: for pseudo headers inside IPv6 */
	struct vd_chan *next;       /* private */
};

/* ---- sessions on workers ---- */
struct vd_session_counters { uint64_t packets_in, octets_in, packets_out, octets_out, drops[VD_DROP_MAX]; };

/* What is put in front of an inner packet. Lengths of the layers are patched per packet: the 16-bit field at udp_len
 * (offset in bytes, 0 = none) gets the octets from udp_from to the end of the packet, likewise l2tp_len. */
struct vd_hdr {
	uint8_t bytes[64];
	uint8_t len;
	uint8_t udp_len, udp_from;
	uint8_t l2tp_len, l2tp_from;
	bool bare; /* len is 0 and the family is carried all the same: a tunnel, whose packets go as they are */
};

struct vd_wsess_desc {
	uint64_t session, chan;
	uint16_t mtu;              /* largest inner packet toward the client; MSS is clamped to it both ways */
	struct vd_hdr v4, v6;      /* len 0 and not bare: that family is not carried */
	struct vd_prefix source[10]; /* addresses the client may use; family 0 ends the list */
	/* A session that we dialled: our address there; family 0: a client's. The peer may send from any address, to this one
	 * alone. fib_add of this address as a host means packets from it; they win over entries that lead to such sessions. */
	struct vd_ip own;
	struct vd_ip link_local[2]; /* of the link, ours and the peer's; family 0: it has none, or the peer's is not known */
};

/* Whether what a session's peer gets from us has sequence numbers (RFC 2661 section 5.4). */
enum vd_numbered {
	VD_NUMBERED_NO,
	VD_NUMBERED_AS_PEER, /* as what came last from the peer, who decides */
	VD_NUMBERED_YES,
	VD_NUMBERED_BOTH,    /* and what comes without is dropped */
};
/* A number has four octets, Ns and an Nr of 0, which are put into every header block of the session, and the S bit is set in
 * its octet l2tp_from. They are no part of the block; the mtu of a session leaves room for them, but with AS_PEER, where
 * they take it from the mtu while there are any. */
#define VD_NUMBER_LEN 4u
struct vd_numbers {
	enum vd_numbered when;
	uint8_t at;    /* the octet of the block before which they are put, behind all lengths */
	uint16_t next; /* Ns of the next message */
};

struct vd_wsess; /* a session on its home worker; index = vd_pkt.sess - 1 */

/* Finds what a link key leads to on this channel: for L2TP (tunnel id << 16 | session id). Sets *ret_up to the stage and
 * its state. Returns the packet's session index + 1, or 0 when unknown. Worker. */
VD_API uint32_t vd_worker_link(struct vd_worker *w, const struct vd_chan *chan, uint64_t key,
	const struct vd_stage **ret_up, void **ret_state);
/* True when the session behind this index is established and takes IP packets; before, everything is punted. Worker. */
VD_API bool vd_worker_session_up(const struct vd_worker *w, uint32_t sess);
/* True when it also takes those of IPv6: its v6 has a length. Worker. */
VD_API bool vd_worker_session_up6(const struct vd_worker *w, uint32_t sess);
/* A message came from the session's peer, with a sequence number or without. False: it must have one, and is to be dropped
 * (VD_DROP_L2TP_UNNUMBERED). Worker. */
VD_API bool vd_worker_numbered(struct vd_worker *w, uint32_t sess, bool numbered);
/* IP packets from a client (pkt.sess set, p at the IP header): source check, counters, MSS clamp, TUN. Worker. */
VD_API void vd_inner_in(struct vd_worker *w, struct vd_vec *vec);
/* To the control thread: punt_auth with the channel, or with the session when pkt.sess is set. Frees the packet; full
 * rings and per-peer limits drop and count. Worker. */
VD_API void vd_worker_punt(struct vd_worker *w, const struct vd_chan *chan, struct vd_pkt *pkt);

/* ---- below channels: what esp/1 needs (worker) ---- */
struct vd_path {
	uint64_t endpoint;       /* id of the listening address */
	struct vd_sa local, remote; /* port 0: protocol 50 */
	bool natt;               /* UDP 4500: IKE messages carry the non-ESP marker */
	uint8_t tos;             /* of what came: its outer DSCP and ECN field; nothing of it is used when sending */
};
/* Outer datagrams to one peer, in order, from the home worker's own socket of that endpoint; kind as in struct vd_path.
 * Neighbours of one size, TOS and (gateway.df: copy) DF leave as one batch where the kernel takes it. Consumes the vector. Worker. */
VD_API void vd_worker_send(struct vd_worker *w, const struct vd_path *path, struct vd_vec *vec);
/* The channel's packets may have only so many octets outside: its sessions take less, and say so to who sends more. Home
 * worker. */
VD_API void vd_worker_narrow(struct vd_worker *w, const struct vd_chan *chan, uint16_t outer);
/* Commands to the control thread from stage code: fn(arg, a, b) runs there through the auth ring. For soft limits and
 * endpoint changes. False when the ring is full. Worker. */
VD_API bool vd_worker_tell(struct vd_worker *w, void (*fn)(void *arg, uint64_t a, uint64_t b), void *arg, uint64_t a,
	uint64_t b);
/* Datagrams of one channel, decrypted: calls chan->up, or drops. Consumes. Worker. */
VD_API void vd_chan_input(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec);

/* A received ESP datagram before classification by SA: the vector's packets start at the SPI; meta[i] belongs to v[i]. */
struct vd_esp_meta {
	struct vd_path path;
};
typedef void vd_esp_input_fn(struct vd_worker *w, struct vd_vec *vec, const struct vd_esp_meta *meta);

/* ---- control side ---- */
/* Reserves a slot of per-worker pointers; before workers run or during init. -ENOSPC. */
VD_API int vd_worker_slot(struct vd_host *host);

/* Inner packets that somebody on the control thread wants: first fragments of UDP with this destination port, ICMPv6 of this
 * type; to: the destination, an address of the host's or of everybody. Family 0: all destinations that IPv6 has for one link
 * alone, which are link-local addresses and groups of ff01: and ff02:. Packets from or to those never go farther than to
 * who takes them here. */
struct vd_inner_match {
	uint8_t protocol; /* 17 or 58 */
	uint16_t port;
	struct vd_ip to;
};

struct vd_link_desc {
	uint64_t chan, key, session;
	const struct vd_stage *up; /* static storage */
	void *state;
};

/* Pieces that a kernel or a build may lack; names as in the environment: VIADUCT_NO_GSO=1. Append only. */
enum vd_cap {
	VD_CAP_RECVMMSG, VD_CAP_SENDMMSG, VD_CAP_GRO, VD_CAP_GSO, VD_CAP_CBPF, VD_CAP_VNET_HDR, VD_CAP_TSO, VD_CAP_USO,
	VD_CAP_COALESCE, VD_CAP_MULTIQUEUE, VD_CAP_MB,
	VD_CAP_MAX
};
struct vd_datapath_cap {
	const char *name, *without; /* without: what stands in for it */
	bool on;
	char why[80]; /* it is off */
};
/* What a worker has done since its start. Append only. */
enum vd_work {
	VD_WORK_RECVS, VD_WORK_DATAGRAMS, VD_WORK_SEGMENTS, VD_WORK_HANDED, VD_WORK_TUN_READS, VD_WORK_TUN_SUPERS,
	VD_WORK_TUN_SEGMENTS, VD_WORK_TUN_WRITES, VD_WORK_TUN_COALESCED, VD_WORK_SENDS, VD_WORK_SENT, VD_WORK_BATCHES,
	VD_WORK_GSO_REFUSED,
	VD_WORK_MAX
};
VD_API const char *vd_work_name(enum vd_work what);
struct vd_datapath_info {
	struct vd_datapath_cap caps[VD_CAP_MAX];
	unsigned workers;
	uint64_t work[VD_MAX_WORKERS][VD_WORK_MAX];
	uint64_t drops[VD_MAX_WORKERS][VD_DROP_MAX];
};

/* Service datapath/1, provided by the core. Every done runs on the control thread when the worker(s) acknowledged. */
struct vd_datapath_1 {
	void *self;
	unsigned (*workers)(void *self);

	/* Endpoints: one per listening address. IKE: each datagram from 500 or 4500 without its marker. */
	int (*ike_input)(void *self, void (*fn)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len),
		void *arg);
	/* Adds the marker where natt says so. Sent from the control thread's socket. -EHOSTUNREACH, -EMSGSIZE, -EAGAIN. */
	int (*ike_send)(void *self, const struct vd_path *path, const void *p, size_t len);
	/* Where received ESP goes, on the worker that owns (SPI & 255) % N. Once, before workers run. */
	int (*esp_input)(void *self, vd_esp_input_fn *fn);

	/* Runs fn(w, arg) on the worker of that home slot, in order with everything else sent there; then done(arg). done
	 * may be NULL. -ENOBUFS when the inbox is full. The generic command behind all others. */
	int (*call)(void *self, uint8_t home, void (*fn)(struct vd_worker *w, void *arg), void (*done)(void *arg), void *arg);
	/* The same on every worker, one after the other; done when all have run. */
	int (*call_all)(void *self, void (*fn)(struct vd_worker *w, void *arg), void (*done)(void *arg), void *arg);

	/* Channels: add before use; after remove's done the memory belongs to the caller again. */
	int (*chan_add)(void *self, struct vd_chan *chan, void (*done)(void *arg), void *arg);
	int (*chan_remove)(void *self, uint64_t chan, void (*done)(void *arg), void *arg);
	/* Who takes the datagrams of a channel: a stage on the worker, and a function for what is punted without a session.
	 * upper: the stage's state; NULL: the channel itself, a struct vd_chan. */
	int (*chan_attach)(void *self, uint64_t chan, const struct vd_stage *up, void *upper,
		void (*punt)(void *arg, uint64_t chan, const uint8_t *p, size_t len), void *arg);
	/* One datagram to the peer, copied; sent by the home worker in order. -ENOBUFS, -ESTALE, -EMSGSIZE. */
	int (*chan_send)(void *self, uint64_t chan, const void *p, size_t len);

	/* Links: (channel, key) -> session; all its frames are punted until session_add. */
	int (*link_add)(void *self, const struct vd_link_desc *link, void (*done)(void *arg), void *arg);
	int (*link_del)(void *self, uint64_t chan, uint64_t key, void (*done)(void *arg), void *arg);
	/* Frames of a session that are not plain data: p starts where the link's stage left it. */
	int (*session_punt)(void *self, uint64_t session,
		void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len), void *arg);

	/* Sessions and addresses. session_add may be repeated to change mtu and headers. */
	int (*session_add)(void *self, const struct vd_wsess_desc *desc, void (*done)(void *arg), void *arg);
	/* counters are final: no data passes afterwards. Frames on links that are left are punted until the last of them is
	 * deleted, so that the link can say goodbye. */
	int (*session_del)(void *self, uint64_t session,
		void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg);
	int (*session_counters)(void *self, uint64_t session,
		void (*done)(void *arg, uint64_t session, const struct vd_session_counters *counters), void *arg);
	/* On all workers. -EEXIST when the prefix leads to another session. */
	int (*fib_add)(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *arg), void *arg);
	int (*fib_del)(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *arg), void *arg);

	/* TUN queues, one per worker (or one for all): taken over from the caller. */
	int (*tun_add)(void *self, const char *name, const int *fds, unsigned n, unsigned mtu, void (*done)(void *arg),
		void *arg);
	/* Sum over workers of the drop counters; counts[VD_DROP_MAX]. */
	int (*drops)(void *self, void (*done)(void *arg, const uint64_t *counts), void *arg);

	/* The capability table and what each worker has done; info is valid during done. */
	int (*info)(void *self, void (*done)(void *arg, const struct vd_datapath_info *info), void *arg);
	/* Says of a piece that a plugin brings (VD_CAP_MB) whether it is there; why: when it is not. Returns whether it is to
	 * be used: VIADUCT_NO_<NAME> may switch it off. */
	bool (*cap)(void *self, enum vd_cap cap, bool there, const char *why);

	/* IP packets from clients that look so go to fn instead of TUN, after the check of their source and within the limit
	 * of punts; fn NULL: they do no longer. -EEXIST, -ENOSPC, -ENOBUFS. */
	int (*inner_input)(void *self, const struct vd_inner_match *match,
		void (*fn)(void *arg, uint64_t session, const uint8_t *p, size_t len), void *arg);
	/* One IP packet to the client, copied; sent by the home worker in order, in fragments when it has to be. -ENOBUFS,
	 * -ESTALE when the session is not up, -EMSGSIZE. */
	int (*session_send)(void *self, uint64_t session, const void *p, size_t len);
	/* fn runs when somebody removed the TUN device: its queues are closed, and tun_add may be called again. */
	void (*tun_lost)(void *self, void (*fn)(void *arg), void *arg);

	/* One frame of a session's link that is no inner packet, copied, behind this header block, which is completed as for
	 * data. In order with data and with chan_send; from link_add on, up or not. -ENOBUFS, -ESTALE, -EMSGSIZE. */
	int (*link_send)(void *self, uint64_t session, const struct vd_hdr *hdr, const void *p, size_t len);
	/* From link_add on; holds for what is sent and what comes from now on. -ESTALE, -EINVAL, -ENOMEM, -ENOBUFS. */
	int (*session_numbers)(void *self, uint64_t session, const struct vd_numbers *numbers);
	/* For export: the Ns of the next message. -ENOENT; -EBUSY while workers run. */
	int (*session_number)(void *self, uint64_t session);
	/* The largest outer packet to this peer: VD_OUTER_MTU, or less where the route or the interface takes less and DF goes
	 * with it (gateway.df). May ask the kernel. */
	uint16_t (*outer_mtu)(void *self, const struct vd_path *path);
};

#ifdef __cplusplus
}
#endif
#endif
