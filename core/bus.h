/* The bus as the daemon and tests see it. Control thread. */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <viaduct/bus.h>

extern const struct vd_topic *const vd_core_topics[]; /* NULL-terminated */

/* Starts with the core's topics. */
int vd_bus_init(void);
/* Is there a topic of that name? If not, why says so, what was probably meant, and which there are. */
bool vd_bus_has_topic(const char *name, char *why, size_t size);
/* Why a subscription or a provider of this plugin was refused last; "" when none was. */
const char *vd_bus_unknown(const struct vd_host *host);
/* Drops what is queued and frees everything. */
void vd_bus_fini(void);
/* Makes a plugin's topic known; -EEXIST when the name is taken by another. */
int vd_bus_topic(const struct vd_topic *topic);
/* Calls fn for each event when it is delivered, and for each request and answer (answer != NULL), before its receivers.
 * For traces. Returns a handle for vd_bus_untap; NULL when out of memory. */
struct vd_tap;
struct vd_tap *vd_bus_tap(void (*fn)(void *arg, const struct vd_topic *topic, const void *data,
	const struct vd_answer *answer), void *arg);
void vd_bus_untap(struct vd_tap *tap);
/* Cancels all requests and forgets all conversations without calling done: before the plugins that asked are finished. */
void vd_bus_cancel_all(void);
/* Requests that wait for an answer, of one session (0: all). */
size_t vd_bus_open_requests(uint64_t session);

#endif
