/* Services: versioned tables of functions, found by name and variant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bus.h"
#include "core/plugin.h"

struct service {
	struct service *next;
	struct vd_host *host;
	char name[64], variant[64];
	const void *table;
};

static struct service *services;
static void (*fini_hooks[8])(struct vd_host *host);
static size_t n_fini_hooks;

static void forget_host(struct vd_host *host)
{
	for (struct service **p = &services; *p;) {
		struct service *s = *p;

		if (s->host != host) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		free(s);
	}
}

const void *vd_service_find(const char *name, const char *variant)
{
	for (struct service *s = services; s; s = s->next)
		if (strcmp(s->name, name) == 0 && (!variant || strcmp(s->variant, variant) == 0))
			return s->table;
	return NULL;
}

/* Known before they are provided, so that a check of the configuration, which starts nothing, finds them. */
static const char *const of_the_core[] = { "datapath/1", "keys/1", "priv/1" };

bool vd_service_is_core(const char *name)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(of_the_core); i++)
		if (strcmp(of_the_core[i], name) == 0)
			return true;
	for (struct service *s = services; s; s = s->next)
		if (strcmp(s->name, name) == 0)
			return s->host == NULL;
	return false;
}

int vd_service_provide(struct vd_host *host, const char *name, const char *variant, const void *table)
{
	struct service *s, **at;

	if (!variant)
		variant = "";
	for (s = services; s; s = s->next)
		if (strcmp(s->name, name) == 0 && strcmp(s->variant, variant) == 0)
			return -EEXIST;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->host = host;
	s->table = table;
	if (!vd_strcpy(s->name, sizeof(s->name), name) || !vd_strcpy(s->variant, sizeof(s->variant), variant)) {
		free(s);
		return -ENAMETOOLONG;
	}
	/* In the order of variants, so that "any" does not depend on load order. */
	for (at = &services; *at && strcmp((*at)->variant, variant) < 0; at = &(*at)->next)
		;
	s->next = *at;
	*at = s;
	return 0;
}

int vd_on_host_fini(void (*fn)(struct vd_host *host))
{
	for (size_t i = 0; i < n_fini_hooks; i++)
		if (fini_hooks[i] == fn)
			return 0;
	if (n_fini_hooks == VD_ARRAY_SIZE(fini_hooks))
		return -ENOSPC;
	fini_hooks[n_fini_hooks++] = fn;
	return 0;
}

const char *vd_host_name(const struct vd_host *host)
{
	return host ? host->plugin->name : "core";
}

static void (*failed_fn)(struct vd_host *host, const struct vd_error *err);

void vd_on_failed(void (*fn)(struct vd_host *host, const struct vd_error *err))
{
	failed_fn = fn;
}

void vd_host_failed(struct vd_host *host, const struct vd_error *err)
{
	if (failed_fn)
		failed_fn(host, err);
}

void vd_services_fini(void)
{
	while (services)
		forget_host(services->host);
	n_fini_hooks = 0;
	failed_fn = NULL;
}

/* ---- one plugin through its life ---- */
/* What a plugin that failed has to say, or, where it only passed the bus's answer on, what the bus refused. */
static const char *reason(const struct vd_host *host, const struct vd_error *why, int r)
{
	if (why->text[0])
		return why->text;
	return r == -ENOENT && vd_bus_unknown(host)[0] ? vd_bus_unknown(host) : strerror(-r);
}

int vd_host_init(struct vd_host *host, struct vd_error *err)
{
	const struct vd_plugin *p = host->plugin;
	struct vd_error why = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && p->topics && p->topics[i]; i++) {
		if ((r = vd_bus_topic(p->topics[i])) < 0)
			vd_error_set(&why, r, "its topic %s is already defined by another plugin", p->topics[i]->name);
	}
	host->self = NULL;
	if (r == 0 && p->init)
		r = p->init(host, &host->self, &why);
	if (r < 0) {
		for (size_t i = 0; i < n_fini_hooks; i++)
			fini_hooks[i](host);
		forget_host(host);
		return vd_error_set(err, r, "plugin %s cannot be initialised: %s", p->name,
			reason(host, &why, r));
	}
	host->state = VD_HOST_INIT;
	return 0;
}

int vd_host_start(struct vd_host *host, struct vd_error *err)
{
	const struct vd_plugin *p = host->plugin;
	struct vd_error why = { 0 };
	int r = p->start ? p->start(host->self, &why) : 0;

	if (r < 0)
		return vd_error_set(err, r, "plugin %s cannot start: %s", p->name, reason(host, &why, r));
	host->state = VD_HOST_STARTED;
	return 0;
}

void vd_host_close(struct vd_host *host)
{
	if (host->state != VD_HOST_STARTED)
		return;
	host->state = VD_HOST_CLOSED;
	if (host->plugin->close)
		host->plugin->close(host->self);
}

void vd_host_stop(struct vd_host *host)
{
	vd_host_close(host);
	if (host->state == VD_HOST_CLOSED && host->plugin->stop)
		host->plugin->stop(host->self);
	if (host->state == VD_HOST_CLOSED)
		host->state = VD_HOST_STOPPED;
}

void vd_host_fini(struct vd_host *host)
{
	if (host->state == VD_HOST_OPEN)
		return;
	if (host->plugin->fini)
		host->plugin->fini(host->self);
	host->self = NULL;
	for (size_t i = 0; i < n_fini_hooks; i++)
		fini_hooks[i](host);
	forget_host(host);
	host->state = VD_HOST_OPEN;
}
