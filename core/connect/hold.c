/* Routes of a connection that stay unreachable while it is dialled again, so that nothing of it leaves in clear by another way. */
#include <string.h>

#include <viaduct/conf.h>
#include <viaduct/topics.h>

#include "core/connect/connect.h"

bool vd_connect_holds(const struct vd_conf *conf, const struct vd_conf_node *connection)
{
	const struct vd_conf_node *written = connection ? vd_conf_at(conf, connection, "hold_routes") : NULL;
	const struct vd_conf_node *routes = connection ? vd_conf_at(conf, connection, "routes") : NULL;

	if (written)
		return vd_conf_bool(written);
	for (size_t i = 0; i < vd_conf_count(routes); i++)
		if (!vd_conf_prefix(vd_conf_nth(routes, i)))
			return true; /* all */
	return false;
}

uint64_t vd_hold_ask(const char *name, const struct vd_ip *gateways, size_t n,
	void (*done)(void *arg, const struct vd_answer *answer), void *arg)
{
	const struct vd_request_opts opts = { .mode = VD_FIRST };
	struct vd_held_way request = { 0 };

	vd_strcpy(request.connection, sizeof(request.connection), name);
	for (size_t i = 0; i < n && i < VD_ARRAY_SIZE(request.gateways); i++)
		request.gateways[i] = gateways[i];
	return vd_request(&vd_topic_held_way, &request, &opts, done, arg);
}

void vd_hold_free(const char *name)
{
	struct vd_routes_free event = { { 0 } };

	vd_strcpy(event.connection, sizeof(event.connection), name);
	vd_event_post(&vd_topic_routes_free, &event);
}
