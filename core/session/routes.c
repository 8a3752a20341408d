/* What clients of a session send through us. */
#include "core/session/session.h"

static const struct vd_conf_node *routes_of(const struct vd_session *s)
{
	const struct vd_conf_node *all = vd_conf_at(s->conf, NULL, "connections");
	const struct vd_conf_node *node = all ? vd_conf_child(all, s->connection) : NULL;

	return node ? vd_conf_at(s->conf, node, "routes") : NULL;
}

bool vd_session_routes_all(const struct vd_session *s)
{
	const struct vd_conf_node *list = routes_of(s);
	bool all = vd_conf_count(list) == 0;

	for (size_t i = 0; i < vd_conf_count(list); i++)
		all |= !vd_conf_prefix(vd_conf_nth(list, i));
	return all;
}

size_t vd_session_routes(const struct vd_session *s, uint16_t family, struct vd_prefix *out, size_t most,
	size_t *ret_too_many)
{
	const struct vd_conf_node *list = routes_of(s);
	size_t n = 0;

	*ret_too_many = 0;
	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_prefix *p = vd_conf_prefix(vd_conf_nth(list, i));

		if (!p)
			return 0; /* all */
		if (p->ip.family == family && n == most)
			++*ret_too_many;
		else if (p->ip.family == family)
			out[n++] = *p;
	}
	return n;
}
