/* L2TP fed with whatever comes: LLVMFuzzerTestOneInput takes datagrams of one channel, each behind its length (u16), and
 * gives them to a freshly started plugin through the real stage; length 0xffff stands for a second that passes. After the
 * last one the plugin is exported, started anew from that, and stopped. Randomness and clock are the test's, so that every
 * input does the same each time, and the ids of a recorded conversation fit. */
#include <stddef.h>
#include <stdint.h>

#include <viaduct/state.h>

#include "tests/plugin/test_l2tp_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t state[1 << 18];
	struct vd_rd r;
	w_.restarts = false;
	w_begin("{}");
	vd_rd_init(&r, data, size);
	for (unsigned i = 0; i < 64 && vd_rd_left(&r) >= 2; i++) {
		uint16_t len = vd_rd_u16(&r);
		if (len == 0xffff) {
			fake_advance(1000);
		} else {
			size_t left = vd_rd_left(&r), n = len % 1500 < left ? len % 1500 : left;
			w_datagram(w_.chan, vd_rd_take(&r, n), n);
		}
		w_.n = 0;
	}
	if (w_restart_with(state, w_export(state, sizeof(state))) < 0)
		__builtin_trap(); /* what was exported must be readable */
	w_.restarting = true; /* sessions and their links went with the import */
	fake_advance(100000);
	w_.n = 0;
	w_end();
	return 0;
}
