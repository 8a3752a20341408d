/* What the log can be about. */
#include "core/log_area.h"

#include <string.h>

#include <viaduct/plugin.h>

#include "core/conf/conf_node.h"
#include "core/plugin.h"

static const struct vd_log_area core_areas[] = {
	{ "bus", "handlers that compute for too long" },
	{ "connect", "connections that we dial: attempts, pauses, ends" },
	{ "core", "limits and faults of the core itself" },
	{ "daemon", "start, end and privileges" },
	{ "datapath", "worker threads and what the kernel lets them do" },
	{ "firewall", "what clients may reach" },
	{ "keep", "settings of the host that are changed and put back" },
	{ "life", "peers and sessions that come up, fail and end" },
	{ "priv", "what is done with privileges: devices, routes, ports" },
	{ "record", "recordings" },
	{ "reload", "configurations that are put in force" },
	{ "timeline", "debug: each step of each peer, channel and session, as session show has it" },
	{ NULL, NULL },
};

/* Of one plugin, or of the core (NULL). */
static const struct vd_log_area *areas_of(const struct vd_host *h, struct vd_log_area room[2])
{
	if (!h)
		return core_areas;
	if (h->plugin->log_areas)
		return h->plugin->log_areas;
	room[0] = (struct vd_log_area){ h->plugin->name, h->plugin->summary ? h->plugin->summary : "" };
	room[1] = (struct vd_log_area){ NULL, NULL };
	return room;
}

static bool named_before(const struct vd_host *last, const char *name)
{
	struct vd_log_area room[2];

	for (const struct vd_host *h = NULL; h != last; h = h ? h->next : vd_plugins_first())
		for (const struct vd_log_area *a = areas_of(h, room); a->name; a++)
			if (!strcmp(a->name, name))
				return true;
	return false;
}

void vd_log_areas_each(void (*fn)(void *arg, const struct vd_log_area *area), void *arg)
{
	const struct vd_host *h = NULL;
	struct vd_log_area room[2];

	do {
		for (const struct vd_log_area *a = areas_of(h, room); a->name; a++)
			if (!h || !named_before(h, a->name))
				fn(arg, a);
		h = h ? h->next : vd_plugins_first();
	} while (h);
}

static void try_guess(void *arg, const struct vd_log_area *area)
{
	struct conf_guess *guess = arg;

	conf_guess_try(guess, area->name);
	if (!strcmp(guess->wrong, area->name))
		guess->wrong = ""; /* it is one */
}

void vd_log_areas_check(void)
{
	const struct vd_conf_node *areas = vd_conf_at(vd_conf_current(), NULL, "log.areas");
	char hint[200];

	for (size_t i = 0; i < vd_conf_count(areas); i++) {
		const struct vd_conf_node *node = vd_conf_nth(areas, i);
		struct conf_guess guess = { .wrong = vd_conf_name(node) };

		vd_log_areas_each(try_guess, &guess);
		if (guess.wrong[0])
			vd_check_warning(node, "the log has no area %s%s; viaductctl log areas shows all", vd_conf_name(node),
				guess.best ? conf_guess_hint(&guess, hint, sizeof(hint)) : "");
	}
}
