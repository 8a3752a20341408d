/* What a PPP link sees of the rest of the gateway, played by the test: one session, its lower layer, its data path. */
#ifndef TEST_PPP_DOUBLE_H
#define TEST_PPP_DOUBLE_H

#include <viaduct/link.h>
#include <viaduct/state.h>

#define SESSION 42

struct frame {
	uint8_t p[1600];
	size_t len;
};

struct double_state {
	struct vd_session session;
	struct vd_chan_info chan;
	struct frame out[256]; /* frames to the client, from their start */
	unsigned n_out;
	unsigned closed, lower_closed; /* times vd_session_close and lower->closed were called */
	char reason[VD_ID_TEXT], notes[2048];
	bool hold_auth, hold_configure, no_address, unavailable; /* answers are held back; failures */
	unsigned asked, configured, established;
	struct vd_authenticate request;
	struct vd_wsess_desc desc;
	struct vd_session_counters counters;
	void (*punt)(void *arg, uint64_t session, const uint8_t *p, size_t len);
	void *punt_arg;
	const struct vd_layer *layer;
	void *layer_self;
	unsigned dropped[VD_DROP_MAX], punted, inner; /* by the stage */
	bool worker_up;
	struct vd_pkt last; /* that the stage passed on or punted */
	/* held callbacks */
	void (*auth_done)(void *arg, uint64_t session, const struct vd_answer *answer);
	void (*configure_done)(void *arg, uint64_t session, const char *stage, const struct vd_error *err);
	void *auth_arg, *configure_arg;
};
extern struct double_state d;
extern const struct vd_link_lower double_lower;

void double_reset(void);
const struct vd_datapath_1 *double_datapath(void);
/* Answers that were held back. */
void double_answer_auth(void);
void double_answer_configure(void);

#endif
