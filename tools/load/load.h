/* viaduct-load: many L2TP/IPsec clients in one process, against any gateway.
 *
 * Why clients of its own: those of tests/scenario are made to be strict and scripted. They abort at the first octet
 * that is not as expected, live on a fake clock and keep 45 KiB each. A load tool must go on and count why one of
 * thousands failed, put up with what gateways of others say, and be small. What is the same lies in tests/lib and is
 * used by both: the messages and keys of IKEv1 (ike_client.c) and MS-CHAPv2 (mschap.c). Nothing is shared with the
 * plugins that it tests. */
#ifndef TOOLS_LOAD_LOAD_H
#define TOOLS_LOAD_LOAD_H

#include <ev.h>
#include <stddef.h>
#include <viaduct/addr.h>
#include <viaduct/bytes.h>

#include "tests/lib/ike_client.h"
#include "tests/lib/mschap.h"

#define LOAD_CLIENTS_MAX 50000u
#define LOAD_PACKET_MAX 1500u

/* What kind of client: what it offers, and what it says of itself. */
struct load_profile {
	const char *name, *what;
	unsigned encr, bits, hash, group; /* phase 1, as RFC 2409 numbers them */
	unsigned esp, esp_bits, esp_auth; /* quick mode, as RFC 2407 does */
	bool windows, dpd;                /* vendor IDs */
	const char *lcp;                  /* option numbers of its first LCP request, as octets */
	const char *ipcp;
};
extern const struct load_profile load_profiles[];
extern const unsigned load_n_profiles;

enum load_phase { LOAD_PHASE1, LOAD_QUICK, LOAD_L2TP, LOAD_LCP, LOAD_AUTH, LOAD_IPCP, LOAD_PHASES };

struct load_from { /* where clients come from */
	struct vd_ip first;
	unsigned n;
	bool nat; /* n clients at this one address; else one at each of n */
};

struct load_options {
	struct vd_ip to;
	const char *psk, *user, *password;
	const struct load_profile *profile;
	struct load_from from[64];
	unsigned n_from, clients;
	double rate, hold, timeout, echo, rekey, pps;
	unsigned at_once, size;
	struct vd_sa target; /* of ping (port 0) or UDP; family 0: no traffic */
	int pid;
	enum load_attack { LOAD_HONEST, LOAD_ATTACK_PASSWORD, LOAD_ATTACK_KEY } attack;
	bool fast_dh, kill, json, quiet;
};
extern struct load_options load_opt;

/* ---- a client ---- */
enum load_state { LOAD_IDLE, LOAD_DIALLING, LOAD_UP, LOAD_ENDING, LOAD_OVER };
enum load_due { DUE_SETUP, DUE_IKE, DUE_L2TP, DUE_PPP, DUE_ECHO, DUE_TRAFFIC, DUE_REKEY, DUE_END, DUE_OLD, DUE_N };

struct load_sa {                     /* one direction of ESP */
	uint32_t spi, seq;           /* spi 0: there is none */
	uint8_t encr[32], integ[32]; /* GCM: integ is the salt */
};
struct load_kept { /* a message that may have to be said again */
	size_t len;
	uint8_t p[];
};
struct load_cp { /* LCP, IPCP */
	uint8_t id;
	bool ours, theirs; /* acknowledged */
	uint32_t rejected; /* bits: options of ours that the gateway does not want, by their place in the profile */
	unsigned tries;
};

struct load_client {
	unsigned number; /* from 1 */
	enum load_state state;
	enum load_phase phase;
	double began, phase_began, due[DUE_N], wake; /* due 0: not; wake: when the timer fires */
	ev_timer timer;
	/* net.c */
	struct vd_ip from;
	bool nat, floated; /* shares its address; uses port 4500 */
	int fd;
	ev_io io;
	/* ike.c */
	struct client *ike;
	struct load_kept *said; /* the last message: not answered yet, or the last of its exchange */
	uint8_t message, tries; /* of phase 1: 1, 3, 5; of quick mode: 1, 3; 0: nothing is waited for */
	uint8_t seen[16];       /* the end of the gateway's message of quick mode */
	/* esp.c; in[1] is the one before */
	struct load_sa in[2], out;
	/* l2tp.c */
	uint16_t tid, peer_tid, peer_sid, ns, nr, acked;
	uint8_t l2tp_tries;
	struct load_kept *unacked[4]; /* by Ns modulo 4 */
	/* ppp.c */
	struct load_cp lcp, ipcp;
	uint32_t magic, peer_magic;
	uint16_t mru;
	uint16_t method;   /* 0xc023, 0xc223 */
	uint8_t algorithm; /* of CHAP */
	uint8_t chap_id, echo_id, echo_missing;
	bool answered, authenticated;
	struct mschap chap;
	uint8_t address[4], dns[4][4];
	/* traffic.c */
	uint32_t ping_seq;
};
extern struct load_client *load_clients;

double load_now(void);
/* In that many seconds; 0: never. */
void load_due(struct load_client *c, enum load_due which, double seconds);
/* client.c: begins; the next phase is reached (its latency is noted); it is up; it did not get that far; what was up is
 * down. */
void load_client_start(struct load_client *c);
void load_client_phase(struct load_client *c, enum load_phase next);
void load_client_up(struct load_client *c);
void load_client_failed(struct load_client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void load_client_end(struct load_client *c);    /* in order: TermReq, CDN, StopCCN, Deletes */
void load_client_vanish(struct load_client *c); /* without a word */

/* ---- net.c: IKE and ESP over UDP, ESP over IP ---- */
bool load_net_open(struct load_client *c); /* says why not */
void load_net_close(struct load_client *c);
bool load_net_float(struct load_client *c); /* from port 500 to 4500 */
void load_net_ike(struct load_client *c, const void *p, size_t len);
void load_net_esp(struct load_client *c, const void *p, size_t len);
bool load_net_init(void); /* the raw socket, when some client needs it */

/* ---- the layers, from below ---- */
void load_ike_start(struct load_client *c);
void load_ike_input(struct load_client *c, const uint8_t *p, size_t len);
void load_ike_due(struct load_client *c);
void load_ike_rekey(struct load_client *c);
void load_ike_old(struct load_client *c); /* the SA before is given up */
void load_ike_goodbye(struct load_client *c);
void load_ike_free(struct load_client *c);

size_t load_esp_keymat(void);
void load_esp_keys(struct load_sa *sa, uint32_t spi, const uint8_t *keymat);
void load_esp_send(struct load_client *c, const void *l2tp, size_t len);
void load_esp_input(struct load_client *c, const uint8_t *p, size_t len);

void load_l2tp_start(struct load_client *c);
void load_l2tp_input(struct load_client *c, const uint8_t *p, size_t len);
void load_l2tp_due(struct load_client *c);
void load_l2tp_data(struct load_client *c, const void *p, size_t len);
void load_l2tp_goodbye(struct load_client *c);
bool load_l2tp_quiet(const struct load_client *c); /* everything is acknowledged */
void load_l2tp_free(struct load_client *c);

void load_ppp_start(struct load_client *c);
void load_ppp_input(struct load_client *c, const uint8_t *p, size_t len);
void load_ppp_due(struct load_client *c);
void load_ppp_echo(struct load_client *c);
void load_ppp_terminate(struct load_client *c);
void load_ppp_ip(struct load_client *c, const void *p, size_t len);

void load_traffic_due(struct load_client *c);
void load_traffic_input(struct load_client *c, const uint8_t *p, size_t len);

/* ---- attack.c ---- */
bool load_attack_over(void);
bool load_attack_start(void);
void load_attack_key(struct load_client *c); /* its ESP SA is there */
void load_attack_due(struct load_client *c);

/* ---- stats.c ---- */
struct load_stats {
	double began, all_up, over;
	unsigned started, up, failed, dropped, ended, unanswered, now_up, dialling;
	unsigned most_up;
	uint64_t ip_out, ip_in, octets_out, octets_in, pings, pongs, echoes_out, echoes_in, echoes_asked, dpd, rekeys,
		rekeys_theirs, strayed, unauthentic;
	double traffic_began, traffic_over;
	/* the gateway's process, when it is here: KiB, seconds of CPU */
	double rss_before, rss_up, rss_after, cpu_before, cpu_up, cpu_held, cpu_after;
};
extern struct load_stats load_stats;

void load_latency(enum load_phase phase, double seconds); /* LOAD_PHASES: the whole */
void load_round_trip(double seconds);
void load_reason(bool dropped, const char *text);
void load_gateway_read(double *ret_rss, double *ret_cpu); /* 0 when it cannot be read */
void load_progress(bool last);
void load_result(void);

#endif
