/* A fake loop for tests: clock, randomness and thread pool are deterministic and move only when told. */
#ifndef TESTS_LIB_FAKE_H
#define TESTS_LIB_FAKE_H

#include <viaduct/bus.h>
#include <viaduct/conf.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>

/* Starts: clock at 1,000,000 ms, randomness from seed, empty bus, no services, empty configuration. */
void fake_init(uint64_t seed);
/* Frees everything; registered plugins must have been stopped. */
void fake_fini(void);
/* Runs the FIFO (events, requests, deferred calls, pool jobs) until it is empty. */
void fake_drain(void);
/* Moves the clock, firing timers in order and draining after each. */
void fake_advance(uint64_t ms);
/* The clocks as somebody else saw them, and all timers that are due then. */
void fake_clock(uint64_t now, uint64_t wall);
void fake_fire(void);
/* Somebody sets the wall clock: so many milliseconds forward, or back. The clock that waits are measured by goes on. */
void fake_wall_step(int64_t ms);
/* Milliseconds to the next timer; UINT64_MAX when none. */
uint64_t fake_next(void);
/* Parses YAML text with the schemas of the core and of these plugins (NULL-terminated) and puts it in force. Fails the
 * test with the error text when it is wrong. Relative !file paths are resolved against dir (NULL: the current folder). */
void fake_conf(const char *yaml, const struct vd_plugin *const *plugins, const char *dir);
/* Nothing is ever ready by itself: says that fd is, drains, and returns whether anybody waited for that. */
bool fake_io(int fd, unsigned events);
/* The descriptor that was watched last, of those that still are; -1: none. */
int fake_io_last(void);
/* From now on what fake_conf parsed is kept, and installed again when it gets the same text (the same pointer): for who
 * begins anew thousands of times with the same plugins. */
void fake_conf_keep(void);
/* Drops the configuration; before fake_fini, when fake_conf was used. */
void fake_conf_fini(void);
/* Provides a service from a test double. */
/* Makes channels that are gone as soon as they are closed. */
extern const struct vd_chan_maker fake_maker;
/* After an import: this one takes over all channels. */
void fake_adopt(const struct vd_chan_maker *maker);
void fake_service(const char *name, const char *variant, const void *table);
/* init and start of a preloaded plugin, then drains. Fails the test when they fail. */
void fake_plugin_start(const struct vd_plugin *plugin);
/* stop, drain, fini; what it registered is forgotten. */
void fake_plugin_stop(const struct vd_plugin *plugin);
/* Collects events: number of events of a topic since fake_init or fake_events_clear, and a copy of the last one. */
void fake_watch(const struct vd_topic *topic);
unsigned fake_events(const struct vd_topic *topic);
const void *fake_last(const struct vd_topic *topic);
void fake_events_clear(void);

#endif
