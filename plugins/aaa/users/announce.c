/* Dedicated addresses, told to the pools: the differences to what they know. */
#include "plugins/aaa/users/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/log.h>

static int in_order(const void *a, const void *b)
{
	const struct vd_address_reserved *x = a, *y = b;
	int d = vd_ip_cmp(&x->address, &y->address);

	d = d ? d : strcmp(x->source, y->source);
	return d ? d : strcmp(x->user, y->user);
}

static void add(struct users_reserved *all, const struct users_file *file, const struct vd_conf_node *user,
	const struct vd_ip *ip)
{
	struct vd_address_reserved *one = &all->v[all->n];

	if (!ip || !vd_strcpy(one->user, sizeof(one->user), vd_conf_name(user)))
		return;
	vd_format(one->source, sizeof(one->source), "users/%s", file->name);
	one->address = *ip;
	all->n++;
}

/* All that the files say. */
static int collect(struct users_reserved *ret, const struct users_file *files, size_t n)
{
	struct users_reserved all = { 0 };
	size_t i, k, room = 1;

	for (i = 0; i < n; i++)
		room += 2 * vd_conf_count(vd_conf_at(files[i].conf, NULL, ""));
	all.v = calloc(room, sizeof(*all.v));
	if (!all.v)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct vd_conf_node *root = vd_conf_at(files[i].conf, NULL, "");

		for (k = 0; k < vd_conf_count(root); k++) {
			const struct vd_conf_node *user = vd_conf_nth(root, k);
			const struct vd_prefix *prefix = vd_conf_prefix(vd_conf_at(files[i].conf, user, "prefix"));

			add(&all, &files[i], user, vd_conf_ip(vd_conf_at(files[i].conf, user, "address")));
			add(&all, &files[i], user, prefix ? &prefix->ip : NULL);
		}
	}
	qsort(all.v, all.n, sizeof(*all.v), in_order);
	*ret = all;
	return 0;
}

static void tell(const struct vd_address_reserved *one, bool reserved)
{
	struct vd_address_released gone = { .address = one->address };
	char text[VD_IP_TEXT];
	int ret;

	vd_strcpy(gone.user, sizeof(gone.user), one->user);
	vd_strcpy(gone.source, sizeof(gone.source), one->source);
	ret = reserved ? vd_event_post(&vd_topic_address_reserved, one) :
			 vd_event_post(&vd_topic_address_released, &gone);
	if (ret)
		vd_log(VD_LOG_ERROR, "users", NULL, "cannot tell the pools that %s is %s %s: %s",
			vd_ip_format(&one->address, text), reserved ? "reserved for" : "no longer reserved for", one->user, strerror(-ret));
}

int users_announce(struct users_reserved *held, const struct users_file *files, size_t n)
{
	struct users_reserved now;
	size_t i = 0, k = 0;
	int ret = collect(&now, files, n);

	if (ret)
		return ret;
	while (i < held->n || k < now.n) {
		int d = i == held->n ? 1 : k == now.n ? -1 : in_order(&held->v[i], &now.v[k]);

		if (d < 0)
			tell(&held->v[i], false);
		else if (d > 0)
			tell(&now.v[k], true);
		i += d <= 0;
		k += d >= 0;
	}
	free(held->v);
	*held = now;
	return 0;
}
