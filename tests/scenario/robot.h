/* A scripted L2TP/IPsec client of its own making: IKEv1 initiator, ESP, L2TP LAC and PPP with MS-CHAPv2, after the RFCs and
 * on OpenSSL alone. It goes on by itself from message to message, and repeats what is not answered. */
#ifndef TESTS_SCENARIO_ROBOT_H
#define TESTS_SCENARIO_ROBOT_H

#include "tests/lib/ike_client.h"
#include "tests/lib/mschap.h"
#include "tests/scenario/stock.h"
#include "tests/scenario/wire.h"

enum robot_ike_state { ROBOT_NO_IKE, ROBOT_AM2, ROBOT_MM2, ROBOT_MM4, ROBOT_MM6, ROBOT_IKE_UP };
struct robot_ike {
	enum robot_ike_state state;
	struct client c;
	struct msg last; /* ours, not answered yet; of aggressive mode, message 3 */
	size_t am2_len;  /* of its message 2 */
};

struct robot_sa { /* one direction of ESP */
	bool live;
	uint32_t spi;
	uint8_t encr[32], integ[32]; /* GCM: integ is the salt */
	uint32_t seq;
};

struct robot_packet {
	uint8_t p[1600];
	size_t len;
};

/* The PPP protocols that are negotiated, with the request that is not acknowledged yet. */
struct robot_cp {
	bool begun, ours, theirs;
	uint8_t id;
};

/* XAuth and mode config, with what the gateway told. */
struct robot_xauth {
	enum { ROBOT_NO_XAUTH, ROBOT_APPLE, ROBOT_ANDROID } kind; /* the shape of what it says */
	const char *code;      /* for who asks a further one */
	uint32_t mid;          /* the gateway's last exchange, answered with reply */
	struct msg reply, pull; /* pull: ours, not answered yet */
	uint32_t pull_mid;
	uint8_t iv[16];        /* of the pull */
	bool passed, refused;  /* heard of its status */
	bool silent;           /* it never answers what it is asked, unless robot_xauth_now() */
	struct { uint32_t mid; uint8_t iv[16], p[512]; size_t len; } question;
	unsigned id;           /* identifier of this transaction: from the first question to the status */
	bool waits;            /* it does not pull: the gateway has to push */
	/* What it says to a question, counted from 1, instead of what it should: attributes. 0: the usual; NULL: always. */
	size_t (*odd)(unsigned asked, uint8_t *out);
	bool other_id;         /* its answers have another identifier than the question */
	unsigned asked, pushed;
	char message[256], banner[512], domain[64];
	bool save_password;
	uint8_t split[14 * 8];
	size_t split_len;
	bool wants_split;      /* a pair of SAs for each network */
	unsigned next_split;   /* of them */
};

struct robot {
	struct robot_xauth xauth;
	const char *user, *password;
	const char *psk;       /* for who dials later; robot_dial takes its own */
	const char *group;     /* aggressive mode, with this name; NULL: main mode */
	bool nat, old;         /* behind NAT; 3DES, SHA-1 and group 2 */
	bool gcm;              /* ESP with AES-256-GCM instead of CBC */
	bool windows;          /* its vendor ids say so */
	bool dpd;              /* they say that it answers when asked whether it lives */
	bool ipv6;             /* speaks IPV6CP, with fe80::a:b:c:d */
	bool tunnel;           /* asks for tunnel mode, or has it, with XAuth */
	enum { ROBOT_MSCHAPV2, ROBOT_CHAP, ROBOT_PAP } method; /* the only one it knows: it Naks the others */
	const struct stock *stock; /* what it is; NULL: nothing that is sold */
	struct stock_ppp ppp;
	uint16_t port;         /* of L2TP on its side; 0: 1701 */
	bool silent;           /* the plug is pulled: hears and says nothing */
	struct vd_sa at, at4500; /* where the gateway sees it */
	struct robot_ike ike[2]; /* 0: the one in use; 1: its successor, while that is negotiated */
	bool quick;            /* quick mode is under way */
	struct msg qm1, qm2, qm3;
	uint32_t mids;
	struct robot_sa in[8], out; /* in: newest first */
	uint32_t deleted_out;  /* the gateway's Deletes */
	/* L2TP; raw, when set, gets what comes instead, and nothing is said by itself */
	void (*raw)(struct robot *r, const uint8_t *p, size_t len);
	uint16_t tid, sid, peer_tid, peer_sid, ns, nr, acked;
	struct robot_packet sent[8]; /* by Ns modulo 8, from the L2TP header on */
	bool asked;            /* a stock client that waits for acknowledgements: for its call */
	bool cdn, stopccn;     /* heard */
	unsigned hellos;
	bool numbers;          /* it requires sequence numbers in data messages: Ns of its own, and what must come */
	uint16_t data_ns, data_nr;
	/* PPP */
	struct robot_cp lcp, ipcp, ipv6cp;
	struct mschap chap;
	uint8_t chap_id;
	bool challenged, authenticated, refused, terminating, term_ack;
	unsigned term_req; /* how often it was asked to end */
	char message[128];     /* of Success or Failure */
	uint8_t address[4], dns[4];
	unsigned echoes, echo_replies;
	/* traffic */
	struct robot_packet packet; /* the last inner packet */
	unsigned n_packets;
	struct robot_packet packets6[8]; /* the last packets of IPv6, by their number modulo 8 */
	unsigned n_packets6;
	/* IKE, informational */
	unsigned dpd_asked, dpd_acks, deletes_esp, deletes_ike;
	uint32_t dpd_seq;
	uint64_t clock, ike_due, l2tp_due, ppp_due, term_due;
};

/* index tells robots apart; behind NAT all have the same address outside and the same one inside. */
void robot_init(struct robot *r, unsigned index, const char *user, const char *password, bool nat);
void robot_free(struct robot *r);
bool robot_is_at(const struct robot *r, const struct vd_sa *sa);
void robot_receive(struct robot *r, bool ike, const struct vd_path *path, const uint8_t *p, size_t len);
void robot_time(struct robot *r, uint64_t ms);
/* Asks for IPv6 now, or anew. */
void robot_ipv6(struct robot *r);
/* From phase 1 to IPCP; goes on by itself. */
void robot_dial(struct robot *r, const char *psk);
bool robot_up(const struct robot *r);

/* ---- while it is up ---- */
void robot_phase1(struct robot *r);
bool robot_phase1_done(const struct robot *r);
void robot_quick(struct robot *r);
bool robot_quick_done(const struct robot *r);
void robot_dpd(struct robot *r);
void robot_echo(struct robot *r);
/* ICMP echo request with that source (NULL: its own) to 192.0.2.77. */
void robot_ping(struct robot *r, const uint8_t *source, uint16_t seq);
/* Any IP packet. */
void robot_ip(struct robot *r, const uint8_t *p, size_t len);
/* Any packet of IPv6. */
void robot_ip6(struct robot *r, const uint8_t *p, size_t len);
/* What comes from the network toward an address: an ICMP echo reply. */
void robot_pong(const uint8_t to[4], uint16_t seq);
/* An ICMP echo packet of ROBOT_ICMP_LEN octets. */
#define ROBOT_ICMP_LEN 60u
void robot_icmp(uint8_t *p, uint8_t type, uint16_t seq, const uint8_t *src, const uint8_t *dst);
/* True when it is an ICMP packet of that type and number from source to destination with right checksums. */
bool robot_is_icmp(const uint8_t *p, size_t len, uint8_t type, uint16_t seq, const uint8_t src[4], const uint8_t dst[4]);
void robot_term(struct robot *r);
void robot_cdn(struct robot *r);
void robot_stopccn(struct robot *r);
/* The older inbound SAs, or all; with their Deletes. */
void robot_delete_esp(struct robot *r, bool all);
void robot_delete_ike(struct robot *r);

/* robot_xauth.c: with XAuth, instead of L2TP and PPP */
void robot_xauth_begin(struct robot *r);
void robot_xauth_input(struct robot *r, const struct msg *m);
void robot_xauth_time(struct robot *r);
/* Its user has typed what a silent one was asked last. */
void robot_xauth_now(struct robot *r);
/* One more network's quick mode. */
bool robot_xauth_next(struct robot *r);
/* robot.c */
void robot_ike_send(const struct robot *r, const struct msg *m);


/* robot_ppp.c, told by robot.c; and for stock_ppp.c */
void robot_ppp_send(struct robot *r, unsigned protocol, const void *p, size_t len);
void robot_cp_send(struct robot *r, unsigned protocol, uint8_t code, uint8_t id, const void *p, size_t len);
/* LCP is open: who is asked for PAP begins. */
void robot_auth_begin(struct robot *r);
void robot_auth_input(struct robot *r, unsigned protocol, const uint8_t *p, size_t len);
void robot_auth_again(struct robot *r);
void robot_ppp_start(struct robot *r);
void robot_ppp_input(struct robot *r, const uint8_t *p, size_t len);
void robot_ppp_time(struct robot *r);
/* robot_l2tp.c */
void robot_l2tp_start(struct robot *r);
void robot_l2tp_input(struct robot *r, const uint8_t *p, size_t len);
void robot_l2tp_time(struct robot *r);
void robot_l2tp_data(struct robot *r, const uint8_t *p, size_t len);
/* robot_esp.c: a UDP datagram 1701 to 1701 */
void robot_esp_send(struct robot *r, const uint8_t *p, size_t len);
/* An inner packet, in a tunnel. */
void robot_esp_packet(struct robot *r, const uint8_t *p, size_t len);
void robot_esp_receive(struct robot *r, const uint8_t *p, size_t len);
size_t robot_keymat(const struct robot *r);
void robot_keys(const struct robot *r, struct robot_sa *sa, uint32_t spi, const uint8_t *keymat);

#endif
