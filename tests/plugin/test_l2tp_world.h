/* What the tests of L2TP stand on: the core's own objects, sessions and data path (inline), doubles of esp/1 and
 * link/1, and a client that speaks through the real stage. */
#ifndef TESTS_PLUGIN_TEST_L2TP_WORLD_H
#define TESTS_PLUGIN_TEST_L2TP_WORLD_H

#include "plugins/l2tp/l2tp.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin l2tp_LTX_vd_plugin;

#define W_SENT 256
struct world {
	/* What left on the channel, whole datagrams. */
	uint8_t p[W_SENT][600];
	size_t len[W_SENT];
	unsigned n;
	unsigned lose; /* the so-manieth datagram from now is lost; 0: none */
	bool flowing;  /* esp says that the client sends data all the time */
	uint64_t data_at; /* ... or that it last did then; 0: never */
	/* The link. */
	unsigned starts, downs, stops, frames;
	bool answers;  /* to stop: at once with closed() */
	bool bad_start, calls_back;
	bool numbers, takeover; /* calls may be numbered; restarts are takeovers */
	unsigned overhead; /* of the call that came last */
	uint64_t session;  /* of the call that came last */
	bool many;         /* several calls at once: the link is not asked which */
	size_t frame_len;
	uint8_t tags[64]; /* the last octet of each frame, by its number modulo 64 */
	uint32_t sess;
	const struct vd_link_lower *lower;
	void *lower_arg;
	bool restarts, restarting; /* a restart after every step of the conversation */
	unsigned restarted;
	uint64_t peer, chan;
	const char *connection; /* of channels that are made from now on; NULL: none */
	bool v6;                /* ... and their outer addresses */
	bool established;
};
extern struct world w_;

/* One peer, one channel that is up. */
void w_begin(const char *yaml);
void w_end(void);
/* Another channel of another peer behind the same address. */
uint64_t w_channel(uint16_t port, bool up);
/* The process ends without a word and another one goes on with the exported state; its own export is compared. */
void w_restart(void);
/* A process that gets this state instead; returns what the import said. w_end() must follow. */
int w_restart_with(const uint8_t *state, size_t len);
size_t w_export(uint8_t *out, size_t size);
/* The session of the call that is up becomes 10.8.0.2's, with "ff 03 00 21" as the link's part of the header. */
void w_establish(void);
/* A datagram of the client, from its UDP header on, through the channel's stage. */
void w_datagram(uint64_t chan, const uint8_t *p, size_t len);
/* n of them, each of len octets, as one vector. */
void w_datagrams(uint64_t chan, const uint8_t *p, size_t len, unsigned n);
void w_advance(uint64_t ms);

/* ---- the client ---- */
struct client {
	uint16_t port, to, ns, nr, tid, sid; /* tid, sid: the gateway's */
	uint64_t chan;
	uint8_t said[600];
	size_t said_len;
	const uint8_t *more; /* AVPs to append to the next message, octets as they are */
	size_t more_len;
};
extern struct client c_;
/* Builds a message with the next Ns; type 0: a ZLB. id: our tunnel or session id in it. */
void c_make(uint16_t type, uint16_t session, uint16_t id);
/* The one that was made, with the current Nr; again() as often as wanted. */
void c_again(void);
void c_say(uint16_t type, uint16_t session, uint16_t id);
void c_tunnel(void);
void c_call(void);
/* The datagram i (0: first; negative: from the end) as a message. Fails the test when it is none. */
struct l2tp_msg c_got(int i);
/* True when datagram i is a control message. */
bool c_is_control(unsigned i);

#endif
