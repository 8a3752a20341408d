/* The other party of a conversation, when it is Viaduct too: a whole gateway in a process of its own, on a fake clock that goes
 * with ours. It dials. Its datagrams take the same wire as those of the robots. */
#ifndef TESTS_SCENARIO_FAR_H
#define TESTS_SCENARIO_FAR_H

#include "core/datapath/datapath.h"

#define FAR_ADDRESS "203.0.113.20"

/* What it says of itself after each step. */
struct far_status {
	bool up;              /* the connection "office" */
	bool dialling, down;
	char reason[160];     /* why the last attempt or session ended */
	unsigned peers, chans, sessions;
	unsigned n_tun;       /* packets that left its TUN device */
	uint8_t tun[1600];    /* the last of them */
	size_t tun_len;
	uint8_t address[4];   /* inside */
};
extern struct far_status far_status;

/* Starts the process; before gateway_start. nat: it is behind one, at 198.51.100.7. */
void far_start(const char *yaml, bool nat);
/* It ends in order; what it says last is on the wire. Fails the test when something of it leaked. */
void far_stop(void);
/* connection up, connection down. */
void far_up(void);
void far_down(void);
/* A packet of its host, into its TUN device. */
void far_packet(const void *p, size_t len);
/* The plug is pulled, or put back: it neither hears nor is heard. */
void far_silent(bool on);

/* ---- for wire.c ---- */
bool far_is_at(const struct vd_sa *sa);
void far_receive(const struct vd_path *path, const void *p, size_t len);
void far_time(uint64_t ms);

#endif
