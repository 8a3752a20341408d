/* Viaduct: service link/1 (PPP over something), ppp.auth/1 and ppp.auth.client/1 (one PPP authentication method, as the one
 * who asks and as the one who is asked). Control thread. */
#ifndef VIADUCT_LINK_H
#define VIADUCT_LINK_H

#include <viaduct/bytes.h>
#include <viaduct/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What carries PPP frames: implemented by l2tp. Frames start with the PPP address/control or protocol field. */
struct vd_link_lower {
	/* One frame to the peer, in order. p starts with FF 03 where the link says so. */
	int (*send)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	/* The bytes before each PPP frame of a data message (UDP and L2TP headers), to which the link appends its own. */
	void (*header)(void *arg, uint64_t session, struct vd_hdr *ret_hdr);
	/* The link ended (Terminate, authentication failed, echo lost): end the call. The session is already closed. */
	void (*closed)(void *arg, uint64_t session, const char *reason);
};

struct vd_link_params {
	uint16_t overhead;    /* octets of UDP and L2TP around the PPP frame in the channel's datagram */
	char connection[VD_NAME_MAX];
	bool dial;            /* we called: the peer is a gateway, which authenticates us and gives us an address */
};

struct vd_link_1 {
	void *self;
	/* Opens LCP on the session, as the authenticator or (dial) as the one who is authenticated. When dial, the link hands
	 * what it was given to vd_session_dialled(), and failures are reports about the gateway. */
	int (*start)(void *self, uint64_t session, const struct vd_link_lower *lower, void *arg,
		const struct vd_link_params *params);
	/* The stage that worker links lead to; frames that it punts reach the link by datapath/1 session_punt, which
	 * the link sets in start. */
	const struct vd_stage *stage;
	/* The lower layer is gone: no farewell is possible. */
	void (*lower_down)(void *self, uint64_t session, const char *reason);
	/* End it with a Terminate-Request; lower->closed follows. */
	void (*stop)(void *self, uint64_t session, const char *reason);
};

/* ---- ppp.auth/1, variant = method name ("mschapv2") ----
 * ppp.auth.client/1 is the same table seen from the other side: we dialled, the peer asked for this method in its LCP
 * option, and start() proves that we are connections.NAME.user, who knows connections.NAME.password. accepted() is called
 * when the gateway took us and (where the method can) proved that it knows the password too; who has the user alone.
 * rejected() has words for the person who wants to connect, as "wrong user name or password (691)". It has no export_ and
 * import: links that we dialled do not travel.
 */
struct vd_ppp_auth_host { /* the link, seen by a method */
	void (*send)(void *host, uint16_t protocol, const uint8_t *p, size_t len);
	/* Exactly one of these ends the method. The session was authenticated through vd_session_authenticate. */
	void (*accepted)(void *host, const struct vd_authenticated *who);
	void (*rejected)(void *host, const char *reason);
};

struct vd_ppp_auth_1 {
	void *self;
	uint16_t protocol;      /* PPP protocol it speaks, 0xc223 */
	uint8_t option[8];      /* LCP option 3 data: protocol, then algorithm */
	uint8_t option_len;
	uint8_t strength;       /* PAP 10, CHAP-MD5 20, MS-CHAPv2 30, EAP 40; what is not above 10 shows the password to the
	                         * other side, and is asked for last */
	/* Authenticates the peer. The state belongs to the method until end. */
	int (*start)(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg, void **ret_state);
	/* One packet of its protocol: code, id, length, data. */
	void (*input)(void *self, void *state, const uint8_t *p, size_t len);
	void (*end)(void *self, void *state);
	/* Export and import of one running or finished state, by the link's layer. */
	int (*export_)(void *self, void *state, struct vd_wr *w);
	int (*import)(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg, struct vd_rd *r,
		void **ret_state);
};

#ifdef __cplusplus
}
#endif
#endif
