/* Whether the name of the device is one that the kernel takes. */
#include "plugins/net/tun/tun.h"

#include <string.h>

int tun_check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	const struct vd_conf_node *node = vd_conf_at(vd_conf_current(), NULL, "tun.name");
	const char *name = vd_conf_str(node), *percent = name ? strchr(name, '%') : NULL;

	(void)self;
	(void)plan;
	(void)err;
	if (!name)
		return 0;
	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == ':' || (unsigned char)*p <= ' ' || (unsigned char)*p > '~')
			return vd_check_error(node, "tun.name: `%s` is no name of an interface: letters, digits, -, _ and . are possible", name);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return vd_check_error(node, "tun.name: `%s` is no name of an interface", name);
	if (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))
		return vd_check_error(node, "tun.name: `%s` may have one %%d, for the first free number, and no other %%", name);
	return 0;
}
