/* The gateway's side of IKE tests: real ike_port and ike_v1 between doubles of datapath/1, esp/1 and keys/1. */
#ifndef TESTS_IKE_WORLD_H
#define TESTS_IKE_WORLD_H

#include <viaduct/esp.h>

#include "tests/lib/ike_client.h"

struct world_sa {
	bool in, live, esn;
	uint64_t chan;
	uint32_t spi;
	uint8_t encr, integ, keymat[128];
	uint16_t key_bits;
	size_t len;
};
#define WORLD_SENT 64u
struct world {
	struct msg sent[WORLD_SENT];
	struct vd_path sent_path[WORLD_SENT];
	unsigned n_sent, n_sas, n_closed;
	struct world_sa sas[64];
	struct vd_path chan_path;
	uint64_t chan, idle_ms;
	const struct vd_esp_events *events;
	void *events_arg;
	void (*wire)(const struct vd_path *path, const void *p, size_t len); /* also told of what is sent */
	bool hold_drain; /* world_input leaves the FIFO, with pool jobs and answers of keys/1, as it is */
	bool hold_acks; /* install_in answers only when world_acks is called */
	bool again; /* the next answer to a right password asks for a further code */
};
extern struct world world;
/* Set before world_start: clients have XAuth and sessions in tunnel mode. "User" is let in by "clientPass" and gets
 * 10.8.0.23; "down" as a password finds nobody to ask. */
extern bool world_tunnels;

#define WORLD_YAML \
	"connections:\n" \
	"  staff: { accept: [l2tp], l2tp: { psk: !env IKE_TEST_PSK_A } }\n" \
	"  devices: { accept: [l2tp], crypto: legacy, l2tp: { psk: !env IKE_TEST_PSK_B } }\n"

void world_start(const char *yaml);
void world_stop(void);
/* Octets from anybody. */
void world_datagram(const struct vd_path *path, const uint8_t *p, size_t len);
/* A message from the client, then everything that follows from it. */
void world_input(const struct client *c, const struct msg *m);
/* The last message sent since the count, or NULL. */
struct msg *world_reply(unsigned since);
void world_acks(void);
/* Exports, starts a fresh plugin, imports, exports again: must be equal. */
void world_reimport(void);
unsigned world_live(bool in);
struct world_sa *world_sa_find(bool in, uint32_t spi);

#endif
