/* Replays a recording of viaductd --record: the same plugins get the same input at the same times on the fake clock, and
 * everything that they did must come out again, line for line. There are no secrets in a recording, so what they were
 * needed for is told instead of done: vd_observe() is linked with --wrap, here and nowhere else. */
#ifndef TESTS_SCENARIO_REPLAY_H
#define TESTS_SCENARIO_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

struct replay {
	unsigned turns; /* that were replayed */
	unsigned lines; /* that were compared */
	char text[8192]; /* why it failed */
};
/* Replays a file. 0: everything was as recorded; 1: it was not; 2: it is no recording. Once per process. */
int replay_run(const char *path, struct replay *ret_replay);

#endif
