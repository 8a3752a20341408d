/* Viaduct: peers, channels and sessions as the control thread sees them. A session points down
 * (session -> chan -> peer), never up. Ids are 64-bit, from one allocator, never reused. Control thread.
 */
#ifndef VIADUCT_OBJECT_H
#define VIADUCT_OBJECT_H

#include <viaduct/addr.h>
#include <viaduct/conf.h>
#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

VD_API uint64_t vd_id_new(void);
#define VD_ID_BUF 24
/* "s-42"; "-" for id 0. */
VD_API char *vd_id_format(char letter, uint64_t id, char out[VD_ID_BUF]);

/* One remote party; outlives rekeys of its SA. Owned by the core, written through the functions below. */
struct vd_peer {
	uint64_t id;
	struct vd_sa local, remote;
	uint64_t endpoint;  /* of the listening address */
	bool natt;          /* both sides speak on 4500 */
	bool up;
	uint8_t home;       /* slot 0..255; worker = home % workers */
	char connection[VD_NAME_MAX], identity[VD_ID_TEXT], suite[VD_NAME_MAX], profile[VD_NAME_MAX], version[8];
	uint64_t created;   /* vd_now() */
};

/* A new peer on the least loaded home slot, or on the slot of a living peer with the same remote address and port.
 * NULL when the limit (gateway.max_peers) is reached or memory is short. When it is reached, a peer without an authenticated
 * session makes room where there is one: the oldest of the source network that has the most of them. */
VD_API struct vd_peer *vd_peer_new(uint64_t endpoint, const struct vd_sa *local, const struct vd_sa *remote);
/* One beside a living peer, at the same endpoint and on the same slot, for somebody who may turn out to be that peer and must
 * show it first. gateway.max_peers and max_sessions do not hold it up, since who has a place must be able to renew what it
 * stands on; where it is somebody else its session is not admitted beyond them. NULL: no such peer, or no memory. */
VD_API struct vd_peer *vd_peer_beside(uint64_t peer);
/* We began it (a connection that is dialled): no source network is charged for it, and it has no authenticated session for as
 * long as it needs. */
VD_API void vd_peer_ours(uint64_t id);
VD_API struct vd_peer *vd_peer_find(uint64_t id);
/* Fills in what is known now (fields of struct vd_peer_up), marks it up, posts peer_up. */
VD_API void vd_peer_set_up(uint64_t id, const struct vd_peer_up *facts);
VD_API void vd_peer_endpoint(uint64_t id, const struct vd_sa *remote, bool natt);
/* Its maker is done with it: sessions on its channels are closed, channels removed, then peer_down. The first
 * reason wins. Harmless twice. */
VD_API void vd_peer_close(uint64_t id, const char *reason);

/* A way to send and receive datagrams to the peer. The control thread's record; packets use struct vd_chan. */
struct vd_chan_info {
	uint64_t id, peer;
	char upper[16], connection[VD_NAME_MAX];
	uint16_t mtu;
	uint8_t home;
	bool up, protected_;
};
VD_API struct vd_chan_info *vd_chan_find(uint64_t id);
/* Is there a session on it? False for an unknown channel. */
VD_API bool vd_chan_used(uint64_t id);
/* Who made a channel, and has it on a worker. All verbs are called on the control thread. */
struct vd_chan_maker {
	const char *name; /* of the plugin: an exported channel is given back to the maker of this name */
	/* Removes it from its worker, then vd_chan_gone(), at once or later. Once. */
	void (*close)(void *arg, uint64_t chan, const char *reason);
	/* Milliseconds since an authentic packet came last, as far as that is known. May be NULL. */
	uint64_t (*idle)(void *arg, uint64_t chan);
};
/* Registers a channel for a peer. maker outlives it; arg is passed to its verbs. Returns its record, NULL for an unknown peer, one
 * that is being closed, or when out of memory. */
VD_API struct vd_chan_info *vd_chan_record(uint64_t peer, const char *upper, uint16_t mtu, const struct vd_chan_maker *maker, void *arg);
/* After an import: its maker has it again. -ENOENT: there is none, -EPERM: another one made it. */
VD_API int vd_chan_adopt(uint64_t id, const struct vd_chan_maker *maker, void *arg);
/* What its maker says; UINT64_MAX when nobody knows. */
VD_API uint64_t vd_chan_idle(uint64_t id);
/* Both directions work: posts chan_up. */
VD_API void vd_chan_set_up(uint64_t id);
/* The channel is gone from its worker: its sessions are closed, chan_down is posted, the record is freed. */
VD_API void vd_chan_gone(uint64_t id, const char *reason);

/* Timelines: what happened to an object, in words; the last 64 entries are kept. letter is 'p', 'c' or 's'. */
VD_API void vd_note(char letter, uint64_t id, const char *fmt, ...) VD_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
