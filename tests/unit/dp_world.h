/* The data path with real sockets and two threads, in a network namespace of its own. One in a process. */
#ifndef TESTS_UNIT_DP_WORLD_H
#define TESTS_UNIT_DP_WORLD_H

#include "core/datapath/datapath.h"

/* What the tests need here: 0, or the exit status 77 with words why it is missing. */
int dp_world_missing(void);
/* vd_datapath_way_mtu() of the next one; NULL, the default: nobody. */
extern int (*dp_world_way_mtu)(const struct vd_ip *from, const struct vd_ip *to);
/* Listens on this address; what comes goes to these two. df: of what leaves. */
const struct vd_datapath_1 *dp_world_up(const char *address, enum vd_df df, vd_esp_input_fn *input,
	void (*ike)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len));
void dp_world_down(void);
/* The interface takes no larger packets. */
void dp_world_lo_mtu(int mtu);
/* The rest of that, after vd_datapath_stop. */
void dp_world_gone(void);
/* Turns the loop until it is enough, or for 20 s. */
void dp_world_until(unsigned (*enough)(void));
/* A socket connected to this address. */
int dp_world_client(const char *address, uint16_t port, int type, int protocol);
/* A TUN device with 10.0.0.254/24, and its only queue. */
int dp_world_tun(void);

#endif
