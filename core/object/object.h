/* Inside the core: the registry of peers and channels, and timelines. Control thread. */
#ifndef CORE_OBJECT_OBJECT_H
#define CORE_OBJECT_OBJECT_H

#include <viaduct/bytes.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>

#include "core/table.h"
#include "core/object/timeline.h"

/* ---- timelines ---- */
/* The timeline of an object ('p', 'c', 's'), NULL when the object does not exist. Valid during the callback. */
const struct vd_timeline *vd_timeline_find(char letter, uint64_t id);

/* ---- registries ---- */
/* Registers layer core.objects. After the loop and the bus, before plugins. */
int vd_objects_init(void);
/* Frees all records without posting anything, and forgets all layers. After vd_sessions_fini and the last plugin's
 * fini, when the FIFO is empty. */
void vd_objects_fini(void);

/* Iteration in the order of ids: the first after id (0: from the start), NULL at the end. */
struct vd_peer *vd_peer_after(const struct vd_peer *peer);
struct vd_chan_info *vd_chan_after(const struct vd_chan_info *chan);
size_t vd_peer_count(void);
size_t vd_chan_count(void);
/* Was it made by vd_peer_beside()? Not exported: whoever asks does so before it has a session that is up. */
bool vd_peer_is_beside(uint64_t id);
/* More than gateway.max_peers, which such a peer can bring about. */
bool vd_peers_too_many(void);
/* A session of it, of this user (a hash of whose), is authenticated from now on, or no longer: with at least one it is proven. A
 * peer without any has a place of what its source network may hold, for a minute, and goes first when places are needed. */
void vd_peer_joined(uint64_t id, uint64_t user);
void vd_peer_left(uint64_t id);
bool vd_peer_is_unproven(uint64_t id);
/* How many sessions it has, of any kind. */
unsigned vd_peer_sessions(uint64_t id);
/* Closes the unproven peer that has to give up its place first, since all max peers, or sessions, are taken; with_session: of
 * those that have a session. Never that one. False: there is none. */
bool vd_peer_make_room(bool with_session, uint64_t max, uint64_t except);
/* Why it is being closed; NULL while it is not. */
const char *vd_peer_closing(uint64_t id);
/* True when it takes no new sessions: unknown, going, or its peer is. */
bool vd_chan_closing(uint64_t id);

/* The head of the list of sessions on a channel (struct vd_link in the session); NULL when the channel is unknown. */
struct vd_link *vd_chan_sessions(uint64_t chan);
/* Told by session.c after a session left a channel's list, so that closing can go on. */
void vd_chan_session_left(uint64_t chan);

#endif
