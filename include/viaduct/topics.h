/* Viaduct: the events and requests that the core defines. Plugins may add their own (plugin.h, topics). */
#ifndef VIADUCT_TOPICS_H
#define VIADUCT_TOPICS_H

#include <viaduct/addr.h>
#include <viaduct/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VD_NAME_MAX 64  /* configuration names, with the terminator */
#define VD_USER_MAX 256 /* user names as on the wire */
#define VD_ID_TEXT 128  /* identities printed */

/* ---- events ---- */
/* A peer authenticated (its phase 1 is done; its user may still follow). Posted by its maker. */
struct vd_peer_up {
	uint64_t peer;
	char connection[VD_NAME_MAX]; /* "" while several are possible */
	struct vd_sa local, remote;
	char identity[VD_ID_TEXT], suite[VD_NAME_MAX], profile[VD_NAME_MAX], version[8];
	uint8_t home;
};
extern VD_API const struct vd_topic vd_topic_peer_up;
/* Posted by the core when vd_peer_close() was called and nothing of the peer is left. */
struct vd_peer_down {
	uint64_t peer;
	char reason[VD_ID_TEXT];
};
extern VD_API const struct vd_topic vd_topic_peer_down;
/* A way to the peer exists in both directions. upper says who takes its datagrams: "l2tp", "tunnel". */
struct vd_chan_up {
	uint64_t chan, peer;
	char connection[VD_NAME_MAX], upper[16];
	uint16_t mtu; /* largest datagram the channel takes now */
	uint8_t home;
};
extern VD_API const struct vd_topic vd_topic_chan_up;
struct vd_chan_down {
	uint64_t chan, peer;
	char reason[VD_ID_TEXT];
};
extern VD_API const struct vd_topic vd_topic_chan_down;
struct vd_l2tp_tunnel_up {
	uint64_t chan, peer;
	uint16_t local_id, remote_id;
	char host_name[VD_ID_TEXT], vendor_name[VD_ID_TEXT];
};
extern VD_API const struct vd_topic vd_topic_l2tp_tunnel_up;
struct vd_session_new {
	uint64_t session, chan, peer;
	char connection[VD_NAME_MAX];
};
extern VD_API const struct vd_topic vd_topic_session_new;
struct vd_auth_ok {
	uint64_t session;
	char user[VD_USER_MAX], realm[VD_NAME_MAX], provider[VD_NAME_MAX], method[16];
};
extern VD_API const struct vd_topic vd_topic_auth_ok;
struct vd_auth_failed {
	uint64_t session;
	char user[VD_USER_MAX], realm[VD_NAME_MAX], method[16], reason[VD_ID_TEXT];
};
extern VD_API const struct vd_topic vd_topic_auth_failed;
struct vd_session_up {
	uint64_t session, chan, peer;
	char user[VD_USER_MAX], connection[VD_NAME_MAX];
	struct vd_ip address;
	uint16_t mtu;
	bool dialled; /* we called: address is ours, given by a gateway */
	struct vd_prefix network; /* of IPv6, the client's; family 0: none by now, session_ipv6 tells when there is one */
};
extern VD_API const struct vd_topic vd_topic_session_up;
/* A session that is up carries IPv6 (no longer); not posted for one that ends. */
struct vd_session_ipv6 {
	uint64_t session;
	bool up;
	struct vd_prefix network;      /* the client's */
	struct vd_ip local, remote;    /* link-local addresses, ours and the client's; family 0: not known */
};
extern VD_API const struct vd_topic vd_topic_session_ipv6;
/* Once, after the workers gave up the session. Counters are final; in = from the client. */
struct vd_session_down {
	uint64_t session, chan, peer;
	char user[VD_USER_MAX], connection[VD_NAME_MAX], reason[VD_ID_TEXT]; /* user: who came up as that, else who was claimed */
	struct vd_ip address;
	uint64_t packets_in, octets_in, packets_out, octets_out, duration_ms;
};
extern VD_API const struct vd_topic vd_topic_session_down;
/* No request of it is open: whoever granted something to it frees that now. */
struct vd_session_gone {
	uint64_t session;
};
extern VD_API const struct vd_topic vd_topic_session_gone;
/* A session that goes on gives back what was leased to it of this family: nobody uses it any more, and whoever granted it
 * frees it now. It may ask again. What is leased when the session ends is freed on session_gone alone. */
struct vd_lease_returned {
	uint64_t session;
	uint8_t family; /* 4 or 6 */
};
extern VD_API const struct vd_topic vd_topic_lease_returned;
/* A set-up failed; one per failure, everything a person needs to mend it. Made by vd_report_failure() (report.h). */
enum vd_trust {
	VD_TRUST_NONE,    /* one datagram: its source may be forged */
	VD_TRUST_ADDRESS, /* the source answered us */
	VD_TRUST_KEY,     /* phase 1 is done; or a connection that we dial */
	VD_TRUST_USER,    /* the user is authenticated */
};
struct vd_setup_failed {
	uint64_t peer, chan, session;
	char kind[32];          /* word of a struct vd_failure (report.h), "wrong-psk" */
	uint8_t trust;          /* enum vd_trust: how far the source had proved itself */
	bool dialled;           /* we called */
	char stage[32];         /* "phase1", "auth", "admit", "address", "establish", "dial", or a word of a protocol */
	struct vd_sa remote;    /* family 0: not known */
	char user[VD_USER_MAX], connection[VD_NAME_MAX]; /* texts are safe (text.h), the user's name too: claimed below VD_TRUST_USER */
	char offered[384];      /* by the peer */
	char configured[384];
	char difference[256];   /* the first one */
	char remedy[384];       /* what to change, and where */
	char origin[128];       /* file:line of the value that decided */
	char client[192];       /* what the client's user sees; "" when not known */
	char text[1400];        /* all of it in one sentence; long lists end with "..." */
};
extern VD_API const struct vd_topic vd_topic_setup_failed;

/* A pool of addresses is (no longer) there: its range is routed to us. Posted by the pool plugin on start, reload, stop. */
struct vd_pool_up {
	char pool[VD_NAME_MAX];
	struct vd_ip first, last, gateway; /* gateway: our address toward the clients of this pool */
};
extern VD_API const struct vd_topic vd_topic_pool_up;
struct vd_pool_down {
	char pool[VD_NAME_MAX];
	struct vd_ip first, last, gateway;
};
extern VD_API const struct vd_topic vd_topic_pool_down;

/* An address, or a network of IPv6 (its last 64 bits are zero), belongs to one user (no longer): pools give it to nobody
 * else. Posted by whoever knows accounts, at start
 * and when they change, differences only. */
struct vd_address_reserved {
	char pool[VD_NAME_MAX]; /* "": in every pool */
	struct vd_ip address;
	char user[VD_USER_MAX], source[VD_ID_TEXT]; /* source: "users/staff" */
};
extern VD_API const struct vd_topic vd_topic_address_reserved;
struct vd_address_released {
	char pool[VD_NAME_MAX];
	struct vd_ip address;
	char user[VD_USER_MAX], source[VD_ID_TEXT]; /* all as it was reserved */
};
extern VD_API const struct vd_topic vd_topic_address_released;

/* ---- requests ---- */
enum vd_auth_method { VD_AUTH_PAP, VD_AUTH_CHAP_MD5, VD_AUTH_MSCHAPV2, VD_AUTH_EAP };
/* Is this user who he claims to be? Providers in the order of the realm. The code of a REJECT tells the operator why:
 * -ENOENT unknown user, -EKEYREJECTED wrong password, which the client cannot tell apart; and, of an account whose evidence
 * was right, so that the client may be told: -EPERM disabled, -EKEYEXPIRED password too old, -ETIME not at this time,
 * -EACCES not from here; any other: text says it. Its origin is where the account stands, or would stand. */
struct vd_authenticate {
	uint64_t session, peer;
	char connection[VD_NAME_MAX], realm[VD_NAME_MAX];
	char user[VD_USER_MAX]; /* as on the wire, DOMAIN\ included */
	uint8_t method;         /* enum vd_auth_method */
	uint8_t id;             /* CHAP identifier */
	uint8_t challenge[16], peer_challenge[16], response[24]; /* MS-CHAPv2; CHAP-MD5 uses response[0..15] */
	struct vd_blob data;    /* SECRET: PAP password, or an EAP packet */
};
struct vd_authenticated {
	char user[VD_USER_MAX]; /* the account's own spelling */
	char authenticator[44]; /* MS-CHAPv2 "S=..." */
	uint8_t send_key[16], recv_key[16]; /* SECRET */
	struct vd_ip address;   /* dedicated address; family 0: none */
	struct vd_ip network;   /* dedicated network of IPv6, 64 bits long; family 0: none */
	char pool[VD_NAME_MAX]; /* "" : the connection's */
	struct vd_prefix routes_behind[8]; /* family 0 ends the list */
	uint32_t session_timeout, idle_timeout; /* seconds, 0 none */
	struct vd_blob data;    /* EAP packet to send */
};
extern VD_API const struct vd_topic vd_topic_authenticate;
/* May this user have (another) session? Combined by VD_ALL; the answer has no data. REJECT with -EEXIST: logged in already. */
struct vd_admit {
	uint64_t session;
	char user[VD_USER_MAX], connection[VD_NAME_MAX];
};
extern VD_API const struct vd_topic vd_topic_admit;
/* An address for the session, or a network. The grant belongs to the session id and is freed on session_gone, or before that
 * on lease_returned. Networks are asked for when the client wants one, long after its address perhaps. REJECT with -ENOSPC: the
 * pool is full, text has the counts; -EADDRINUSE: somebody else has the wanted address; origin is the pool's. */
struct vd_lease_address {
	uint64_t session;
	char user[VD_USER_MAX], pool[VD_NAME_MAX];
	uint8_t family;      /* 4 or 6 */
	struct vd_ip want;   /* dedicated address, or family 0 */
	uint8_t length;      /* 0: an address; 64: a network of IPv6 */
};
struct vd_leased_address {
	struct vd_ip address, gateway; /* gateway: our end of the link */
	uint8_t length;                /* 0; or address is a network of so many bits, all of which is the client's */
	struct vd_ip dns[3], wins[2];  /* family 0 ends the list */
	char search[VD_ID_TEXT];
};
extern VD_API const struct vd_topic vd_topic_lease_address;
/* A route to a network behind the session's client, or to the client itself (own): that is asked for where its address
 * comes from the account and not from a pool, whose route would lead to it. REJECT with -EADDRINUSE: it would lead a next hop, the
 * host's own network or the outer address of a peer into the tunnel. Freed on session_gone. */
struct vd_route_add {
	uint64_t session;
	struct vd_prefix prefix;
	bool own;
};
extern VD_API const struct vd_topic vd_topic_route_add;
/* The host's side of a session that we dialled: its address on the TUN device, and routes into it from that address. The
 * gateway itself stays reachable as it is now, whatever the routes say. Several sessions may have the same routes: the
 * oldest has them, and hands them on. All of it is freed on session_gone; the answer has no data. */
struct vd_dialled_routes {
	uint64_t session;
	struct vd_ip address;       /* ours, inside */
	struct vd_ip gateway;       /* the peer's, outside */
	struct vd_prefix routes[8]; /* family 0 ends the list */
	char connection[VD_NAME_MAX];
	bool hold;                  /* they stay unreachable by another way until it is back, or routes_free comes */
};
extern VD_API const struct vd_topic vd_topic_dialled_routes;

/* A connection whose routes may be held is dialled (again): these gateways are kept outside of them, on the way that the host has now.
 * The answer has no data, and comes when that is done as far as it can be; UNAVAILABLE where nobody holds routes. */
struct vd_held_way {
	char connection[VD_NAME_MAX];
	struct vd_ip gateways[8]; /* family 0 ends the list */
};
extern VD_API const struct vd_topic vd_topic_held_way;

/* Nobody wants this connection any more: its routes are held no longer. */
struct vd_routes_free {
	char connection[VD_NAME_MAX];
};
extern VD_API const struct vd_topic vd_topic_routes_free;

#ifdef __cplusplus
}
#endif
#endif
