/* Viaduct: sessions and the one state machine that brings them up, shared by all protocols that carry them:
 *   new -> authenticating -> configuring (admitted, leased) -> up -> closing -> down -> gone
 * Control thread.
 */
#ifndef VIADUCT_SESSION_H
#define VIADUCT_SESSION_H

#include <viaduct/datapath.h>
#include <viaduct/object.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_session_state {
	VD_S_NEW, VD_S_AUTHENTICATING, VD_S_CONFIGURING, VD_S_UP, VD_S_CLOSING, VD_S_DOWN, VD_S_GONE,
};
VD_API const char *vd_session_state_name(enum vd_session_state state);

struct vd_session {
	uint64_t id, chan, peer;
	enum vd_session_state state;
	const struct vd_conf *conf; /* the snapshot it was made under */
	char connection[VD_NAME_MAX], user[VD_USER_MAX];
	bool proven;                /* user is authenticated, or we are: until then it is what the client claims */
	bool dialled;               /* we called: lease4 is what the gateway gave us, user is who we are there */
	bool refused;               /* its peer may try again after a no (vd_session_again), which is reported if it does not */
	struct vd_authenticated granted; /* as authenticated; current attributes may differ after a change of authority */
	struct vd_leased_address lease4, lease6; /* family 0: none of that kind. lease6: a network, length 64 */
	struct vd_ip link_local[2]; /* ours and the client's, while it carries IPv6; family 0: none, or not known */
	uint16_t mtu;
	uint64_t created, up_since;
	struct vd_session_counters counters; /* last known; final in CLOSING and later */
	char reason[VD_ID_TEXT];
	char client[VD_ID_TEXT]; /* what it calls itself, safe (text.h): separated by commas */
};

/* How the protocol that carries the session hears of decisions. All through the FIFO, never re-entrant. */
struct vd_session_owner {
	/* The session must end on the wire (a Terminate-Request, a Delete): say goodbye now, do not wait. Called once when
	 * somebody else called vd_session_close. The session's id is dead for new requests. */
	void (*closed)(void *arg, uint64_t session, const char *reason);
};

/* A new session on a channel, for a connection. 0 on failure (limit, memory) with err. Posts session_new. */
VD_API uint64_t vd_session_new(uint64_t chan, const char *connection, const struct vd_session_owner *owner, void *arg,
	struct vd_error *err);
VD_API struct vd_session *vd_session_find(uint64_t id);
/* Takes over an existing session: after an import, when the owner's own layer was read. -ENOENT, or -ESTALE when it is
 * already closing. */
VD_API int vd_session_adopt(uint64_t session, const struct vd_session_owner *owner, void *arg);

/* Step 1: who is it. request needs method, user and evidence; session, connection and realm are filled in from the
 * session's connection, providers in the realm's order. A further round (CONTINUE) passes the conversation. auth_ok or
 * auth_failed is posted by the core. -EBUSY while one is open. */
VD_API int vd_session_authenticate(uint64_t session, struct vd_authenticate *request, uint64_t conversation,
	void (*done)(void *arg, uint64_t session, const struct vd_answer *answer), void *arg);

/* From done of the above, when the answer was a no and the peer may send another proof: the no is reported (setup_failed) only
 * when the session closes without a later yes. auth_failed is posted for each. */
VD_API void vd_session_again(uint64_t session);

#define VD_WANT_V4 1u /* an IPv4 address */
#define VD_WANT_V6 2u /* a network of IPv6, where the pool has a prefix: without one, a session has IPv4 alone */
#define VD_WANT_V6_LATER 4u /* with V4: the client may ask for it (vd_session_lease6); now only when the pool has no IPv4 */
/* Step 2: after ACCEPT: admit (second_login), then what is wanted of VD_WANT_*. configured gets the session (lease4 and
 * lease6 filled in, at least one of what was wanted), or err: the session has to be closed by the caller, after it told
 * the peer. stage is "admit" or "address". */
VD_API int vd_session_configure(uint64_t session, unsigned want,
	void (*configured)(void *arg, uint64_t session, const char *stage, const struct vd_error *err), void *arg);

/* The client asks for IPv6 after step 2, at any time until the session ends: a network is leased, and done gets the session
 * with lease6, or err and everything stays as it is. done is not called when the session ends before. -ENOENT; -EBUSY while
 * it is asked for; -EINVAL for a session that has one, is not there yet or no longer, or was dialled; -ENOMEM. */
VD_API int vd_session_lease6(uint64_t session, void (*done)(void *arg, uint64_t session, const struct vd_error *err), void *arg);

/* It wants no IPv6 any more: the session carries none, lease6 is empty, and the network is the pool's again (lease_returned),
 * of which another may be leased. -ENOENT; -EINVAL when there is none; what datapath/1 says, and then the session keeps
 * it. */
VD_API int vd_session_return6(uint64_t session);

/* Steps 1 and 2 of a session that we dialled: a gateway authenticated us as connections.NAME.user and gave us this address,
 * with its own (family 0: not said) and name servers. The connection's `routes` lead to it. Establish is next. -ENOENT;
 * -EINVAL for a session that is beyond its beginning, -E2BIG for more routes than a session can have. */
VD_API int vd_session_dialled(uint64_t session, const struct vd_leased_address *given);

/* Step 3: the peer agreed to its parameters: routes, then worker entries and address tables; done when all workers have
 * them and the session is up (session_up was posted), or err. link tells how packets are wrapped; its session, sources
 * and owner are filled in by the core. */
VD_API int vd_session_establish(uint64_t session, const struct vd_wsess_desc *link,
	void (*done)(void *arg, uint64_t session, const struct vd_error *err), void *arg);

/* Clients of the session's connection send everything to us: it has no `routes`, or `all`. */
VD_API bool vd_session_routes_all(const struct vd_session *session);
/* The networks of this family that clients of the session's connection send to us (its `routes`): at most so many, with the
 * number of the others in ret_too_many. 0: everything, or none of this
 * family. */
VD_API size_t vd_session_routes(const struct vd_session *session, uint16_t family, struct vd_prefix *out, size_t most,
	size_t *ret_too_many);

/* The lower layer's part of the header in front of every packet is another one now (the peer moved to another port): its
 * len octets replace as many at the front of what establish was given, on the worker too. -ENOENT, or -EINVAL before
 * establish and for more octets than the header has. */
VD_API int vd_session_header(uint64_t session, const uint8_t *header, size_t len);

/* The session is up, and carries from now on the families for which link has a header, with its link-local addresses: a
 * network protocol of PPP opened or closed. Of link only these are looked at. Posts session_ipv6 when that changed, as
 * establish does. -ENOENT, -EINVAL for a session that is not up, or for IPv6 without a lease, or what datapath/1 says: then
 * it carries what it did before, and the caller ends what could not be added. */
VD_API int vd_session_carry(uint64_t session, const struct vd_wsess_desc *link);

/* What the client calls itself; adds to what it said before, as far as there is room. */
VD_API void vd_session_client(uint64_t session, const char *text);

/* Ends it: idempotent, the first reason wins. Requests are cancelled, worker entries removed and acknowledged, then
 * session_down, then session_gone. By_owner: the owner already knows and is not called. */
VD_API void vd_session_close(uint64_t session, const char *reason, bool by_owner);

#ifdef __cplusplus
}
#endif
#endif
