/* Viaduct: kinds of clients, and what is odd about each. Plugins bring rows in their descriptor (.quirks); a peer is of one kind at a
 * time (struct vd_peer, profile), and what it says of itself on the way up narrows it. What suits everybody is no quirk: it is simply
 * how we do things. Control thread.
 */
#ifndef VIADUCT_QUIRK_H
#define VIADUCT_QUIRK_H

#include <viaduct/topics.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thing that is known of one kind of clients. Keys are words of the plugin that reads them, beside those below; where several
 * plugins have a row of the same kind and key, the first is read. */
struct vd_quirk {
	const char *client; /* the kind: what struct vd_peer has as its profile; NULL ends the table */
	const char *key, *value;
};

/* A number: a kind replaces one of lower rank. A family of programs (1) what nobody knew (0), a product (2) its family. */
#define VD_QUIRK_RANK "rank"
/* The family whose words its user gets to see when it does not connect (struct vd_shown); "": its user reads a log. */
#define VD_QUIRK_SHOWS "shows"
/* Milliseconds for which it may sleep: what is asked of it and not answered ends nothing before. */
#define VD_QUIRK_SLEEPS "sleeps_ms"
/* Known by what it says of itself (vd_peer_evidence): "known-by/KIND", the text as a whole, or how it begins with * behind. */
#define VD_QUIRK_KNOWN_BY "known-by/"

/* NULL: nothing is known. */
VD_API const char *vd_quirk(const char *client, const char *key);
/* Of the peer's profile; NULL also when there is no such peer. */
VD_API const char *vd_peer_quirk(uint64_t peer, const char *key);
/* Likewise, as a number; 0: nothing is known. */
VD_API uint64_t vd_peer_quirk_number(uint64_t peer, const char *key);
/* What the peer says of itself, safe (text.h). Its profile becomes a kind that is known by this, when that one's rank is higher
 * than its own; its timeline says so. */
VD_API void vd_peer_evidence(uint64_t peer, const char *kind, const char *text);

#ifdef __cplusplus
}
#endif
#endif
