/* What bus.c (topics, events) and bus_request.c (requests, providers) share. Control thread. */
#ifndef CORE_BUS_INTERNAL_H
#define CORE_BUS_INTERNAL_H

#include "core/bus.h"

struct vd_bus_provider {
	struct vd_bus_provider *next;
	struct vd_host *host;
	char name[64];
	void (*fn)(void *arg, const struct vd_ask *ask);
	void (*cancel)(void *arg, uint64_t ticket);
	void *arg;
	bool dead; /* its plugin is gone: kept until the bus ends, because requests may point to it */
};

struct vd_bus_topic {
	struct vd_bus_topic *next;
	const struct vd_topic *desc;
	struct sub *subs;
	struct vd_bus_provider *providers;
	struct event *pending; /* undelivered, of coalescing topics */
};

/* NULL when not known. */
struct vd_bus_topic *vd_bus_topic_by_name(const char *name);
struct vd_bus_topic *vd_bus_topic_of(const struct vd_topic *desc);
/* -ENOENT, after noting for vd_bus_unknown() which plugin asked for which topic of that kind and what was probably meant. */
int vd_bus_no_topic(const struct vd_host *host, const char *name, enum vd_topic_kind kind);
/* Shows a message to all taps. */
void vd_bus_tap_all(const struct vd_topic *desc, const void *data, const struct vd_answer *answer);
/* What this thread has computed, for vd_bus_name_slow, which logs a handler that took too long: on a busy host others take the
 * processor away in between, which is no fault of the handler. */
uint64_t vd_bus_clock_us(void);
void vd_bus_name_slow(uint64_t began_us, const char *topic, struct vd_host *host);

void vd_bus_requests_init(void);
/* Answers UNAVAILABLE for all that this plugin was asked; its providers are marked dead already. */
void vd_bus_requests_forget(const struct vd_host *host);
/* Cancels all requests and forgets all conversations, without calling done. */
void vd_bus_requests_fini(void);

#endif
