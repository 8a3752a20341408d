/* The data path with two clients behind ESP, L2TP and PPP, each on a worker of its own, without threads: the first with
 * AES-GCM, the second with AES-CBC and SHA2-256 and numbered messages of L2TP; and a third in tunnel mode with AES-GCM. Between fake_init and fake_fini. */
#ifndef TESTS_PLUGIN_PATH_WORLD_H
#define TESTS_PLUGIN_PATH_WORLD_H

#include "core/datapath/datapath.h"
#include "plugins/esp/userspace/esp.h"
#include "plugins/l2tp/l2tp_stage.h"

#define PATH_CLIENTS 3u
#define PATH_TUNNEL 2u /* the one in tunnel mode */
#define PATH_MTU 1300u

struct path_client {
	struct vd_path path;
	struct l2tp_in l2tp;
	uint64_t chan, session;
	uint32_t in, seq;      /* the gateway's SPI; of the packets sealed so far */
	struct esp_crypt seal; /* as the client */
	uint8_t v4[4], v6[16];
};
struct path_world {
	const struct vd_datapath_1 *dp;
	const struct vd_esp_1 *esp;
	struct path_client cl[PATH_CLIENTS];
};
extern struct path_world path_world;

struct path_told { /* who hears what */
	void (*sent)(void *arg, const struct vd_datapath_sent *sent);
	void (*punt)(void *arg, uint64_t id, const uint8_t *p, size_t len);
	void (*ike)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len);
	enum vd_df df;
};

void path_world_up(const struct path_told *told);
/* Nothing may be left in it. */
void path_world_down(void);

#endif
