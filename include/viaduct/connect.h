/* Viaduct: connections that we dial ("connect: [l2tp]"). Two services, one above the other, both on the control thread:
 * connect/1 (variant = the word in "connect:") is called by the core, which decides when to dial; ike.connect/1 is called
 * by whoever needs a protected channel to a gateway.
 */
#ifndef VIADUCT_CONNECT_H
#define VIADUCT_CONNECT_H

#include <viaduct/datapath.h>
#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- ike.connect/1: an IKE party that we call ---- */
struct vd_ike_connect {
	char connection[VD_NAME_MAX]; /* its section has the PSK, the identities and the suites */
	struct vd_path path;          /* endpoint and local address to dial from; remote: the gateway, port 500 */
	char upper[16];               /* "l2tp": a transport-mode SA for UDP port 1701 (RFC 3193) */
};

struct vd_ike_connect_events { /* through the FIFO, never before up() returned */
	/* Both directions of the channel are installed (after chan_up was posted). Once per dial. */
	void (*up)(void *arg, uint64_t peer, uint64_t chan);
	/* The dial failed, or what was up has ended; nothing of it is left and nothing follows. Not after down(). */
	void (*ended)(void *arg, uint64_t peer, const char *reason);
	/* The channel has new SAs which we did not begin in time: the gateway took the old ones away, or began phase 1 itself.
	 * It may have started anew, and know nothing of what is above the channel: ask it. NULL: nobody wants to know. */
	void (*anew)(void *arg, uint64_t peer);
};

struct vd_ike_connect_1 {
	void *self;
	/* Makes a peer and dials it: phase 1, then one channel. Rekeys of both phases and dead peer detection are the
	 * provider's business. -ENOENT: no such connection, -ENOKEY: it has no PSK, -ENOSPC, -ENOMEM; err says why. */
	int (*up)(void *self, const struct vd_ike_connect *what, const struct vd_ike_connect_events *events, void *arg,
		uint64_t *ret_peer, struct vd_error *err);
	/* Deletes both phases on the wire and ends the peer. Harmless for an unknown one. */
	void (*down)(void *self, uint64_t peer, const char *reason);
};

/* ---- connect/1: one connection that we dial, up to its session ---- */
struct vd_connect_events { /* through the FIFO, never before up() returned */
	void (*up)(void *arg, uint64_t dial, uint64_t session);
	/* The dial failed, or its session ended: once, last. */
	void (*ended)(void *arg, uint64_t dial, const char *reason);
};

struct vd_connect_1 {
	void *self;
	/* Dials the connection's peer at the given path (see struct vd_ike_connect). */
	int (*up)(void *self, const char *connection, const struct vd_path *path, const struct vd_connect_events *events,
		void *arg, uint64_t *ret_dial, struct vd_error *err);
	/* Says goodbye in every layer; ended follows. Harmless for an unknown one. */
	void (*down)(void *self, uint64_t dial, const char *reason);
};

#ifdef __cplusplus
}
#endif
#endif
