/* Whether the options of L2TP make sense together. */
#include "plugins/l2tp/l2tp.h"

#include <string.h>

/* connection NULL: the section that holds for all. */
static void silence(const struct vd_conf *conf, const char *connection, const struct vd_conf_node *at)
{
	const struct vd_conf_node *hello = vd_conf_knob(conf, connection, "l2tp", "hello");
	const struct vd_conf_node *patience = vd_conf_knob(conf, connection, "l2tp", "patience");

	if (vd_conf_uint(patience) <= vd_conf_uint(hello))
		vd_check_warning(at, "%s%s%sl2tp.patience (%s) is not longer than hello (%s): clients are given up before they are asked for a sign "
			"of life", connection ? "connections." : "", connection ? connection : "", connection ? "." : "", vd_conf_str(patience),
			vd_conf_str(hello));
}

int l2tp_check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *all = vd_conf_at(conf, NULL, "connections"), *own;

	(void)self;
	(void)plan;
	(void)err;
	if (vd_conf_written(vd_conf_at(conf, NULL, "l2tp.patience")) || vd_conf_written(vd_conf_at(conf, NULL, "l2tp.hello")))
		silence(conf, NULL, vd_conf_at(conf, NULL, "l2tp"));
	for (size_t i = 0; i < vd_conf_count(all); i++) {
		own = vd_conf_child(vd_conf_nth(all, i), "l2tp");
		if (own && (vd_conf_child(own, "patience") || vd_conf_child(own, "hello")))
			silence(conf, vd_conf_name(vd_conf_nth(all, i)), own);
	}
	return 0;
}
