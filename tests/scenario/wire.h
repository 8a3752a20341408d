/* What is between the clients and the gateway: datagrams can be lost and doubled, and time passes. */
#ifndef TESTS_SCENARIO_WIRE_H
#define TESTS_SCENARIO_WIRE_H

#include "core/datapath/datapath.h"

struct robot;
enum wire_way { WIRE_UP, WIRE_DOWN }; /* to the gateway, to a client */
enum wire_fate { WIRE_DELIVER, WIRE_LOSE, WIRE_TWICE };

struct wire {
	struct robot *robots[64];
	unsigned n_robots;
	unsigned count[2]; /* datagrams since wire_init or wire_fate */
	enum wire_fate fate; /* of datagram number victim on that way */
	enum wire_way way;
	unsigned victim;
	void (*delivered)(void); /* after each datagram, when everybody has done with it; NULL: nothing */
	uint8_t tun[2048]; /* the last packet that left the TUN device */
	size_t tun_len;
	unsigned n_tun;
};
extern struct wire wire;

void wire_init(void);
void wire_add(struct robot *robot);
/* Counts anew; the datagram with that number has this fate. */
void wire_fate(enum wire_way way, unsigned victim, enum wire_fate fate);
/* For vd_datapath_capture. */
void wire_sent(void *arg, const struct vd_datapath_sent *sent);
/* A client's datagram: as it is behind the UDP header, or ESP when path's ports are 0. */
void wire_up(const struct vd_path *path, const void *p, size_t len);
/* Delivers one datagram and lets the gateway finish with it; false when there is none. */
bool wire_step(void);
/* All that is on the wire now arrives at once, before the gateway did anything with the first of it. */
void wire_burst(void);
/* What is on the wire now is lost. */
void wire_drop(void);
/* Delivers until nobody says anything more; no time passes. */
void wire_pump(void);
/* Time passes, for gateway and clients. */
void wire_wait(uint64_t ms);
/* Until done(robot), at most ms; false when it did not come to that. */
bool wire_until(bool (*done)(const struct robot *robot), const struct robot *robot, uint64_t ms);

#endif
