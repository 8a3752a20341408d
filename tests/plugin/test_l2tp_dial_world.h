/* What the tests of dialled L2TP stand on: both sides in one process, with PPP and the data path; ike.connect/1 is a double
 * whose channel is a loop. */
#ifndef TESTS_PLUGIN_TEST_L2TP_DIAL_WORLD_H
#define TESTS_PLUGIN_TEST_L2TP_DIAL_WORLD_H

#include <viaduct/connect.h>

#include "core/session/session.h"
#include "plugins/l2tp/l2tp.h"
#include "tests/lib/fake.h"

enum { DIAL, GATE, SIDES };
#define QUEUE 128
struct dial_world {
	const struct vd_datapath_1 *dp;
	const struct vd_connect_1 *connect;
	struct vd_chan chan[SIDES];
	uint64_t peer[SIDES];
	bool there[SIDES]; /* its channel */
	struct { unsigned to; size_t len; uint8_t p[1600]; } q[QUEUE];
	unsigned n, sent;
	int lose, twice;
	bool alone; /* the gateway is the test: nothing is delivered to ours */
	/* ike.connect/1 */
	struct vd_ike_connect_events ike;
	void *ike_arg;
	bool ike_fails;
	unsigned ike_downs;
	/* connect/1's user */
	uint64_t dial, up_session;
	unsigned ups, ended;
	char reason[VD_ID_TEXT];
	unsigned tun;
	size_t tun_len;
	const char *password;
	uint16_t ns, nr, tid, sid; /* of a gateway by hand; tid, sid: the dialling side's */
};
extern struct dial_world d_;
extern uint32_t d_mangled, d_dice; /* one datagram of the gateway in so many; what chooses them */
extern bool d_no_ike;              /* nobody provides ike.connect/1 */
extern const struct vd_connect_events d_events;

void d_begin_with(const char *yaml);
/* ... with CONF(""), and dials. */
void d_begin(void);
void d_end(void);
void d_dial(void);
/* What was sent is heard, and what that provokes, until it is quiet. */
void d_pump(void);
/* A datagram for one side, now. */
void d_deliver(unsigned to, const uint8_t *p, size_t len);
bool d_comes_up(unsigned seconds);
/* ... and must. */
void d_ends(unsigned seconds);
struct vd_session *d_session_of(const char *connection);
/* A packet from one side's address to the other comes out of TUN again. */
void d_data(unsigned from);

#define CONF(more) \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections:\n" \
	"  staff: { realm: corp, pool: staff }\n" \
	"  office: { peer: 192.0.2.1, user: till-01, password: !env VD_TEST_L2TP_PASSWORD, routes: [10.40.0.0/16] }\n" more

#define SECRET "l2tp: { secret: !env VD_TEST_L2TP_SECRET }\n" CONF("")
/* "another secret" is the gateway's. */
#define OTHER_SECRET \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections:\n" \
	"  staff: { realm: corp, pool: staff, l2tp: { secret: !env VD_TEST_L2TP_OTHER } }\n" \
	"  office: { peer: 192.0.2.1, user: till-01, password: !env VD_TEST_L2TP_PASSWORD, routes: [10.40.0.0/16],\n" \
	"    l2tp: { secret: !env VD_TEST_L2TP_SECRET } }\n"

#endif
