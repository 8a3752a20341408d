/* The reports that are remembered, for who asks why something did not work. */
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>

#include "core/named.h"
#include "core/report/report.h"

/* By level of trust: how many reports in all, and how many about one address. One report has about 3.5 kB. */
static const struct { unsigned all, of_address; } room[] = {
	[VD_TRUST_NONE] = { 32, 2 }, [VD_TRUST_ADDRESS] = { 32, 4 }, [VD_TRUST_KEY] = { 96, 16 }, [VD_TRUST_USER] = { 160, 160 },
};
#define OF_USER_MAX 4u

static struct vd_link all;

static struct vd_remembered *rem(const struct vd_link *l)
{
	return VD_CONTAINER_OF(l, struct vd_remembered, all);
}

static bool same_address(const struct vd_setup_failed *a, const struct vd_setup_failed *b)
{
	return a->remote.ip.family && vd_ip_equal(&a->remote.ip, &b->remote.ip);
}

static bool same_user(const struct vd_setup_failed *a, const struct vd_setup_failed *b)
{
	return a->user[0] && !strcmp(a->user, b->user);
}

/* A place for it: that of its like, else that of the oldest when one of the limits is reached, else a new one. */
static struct vd_remembered *place(const struct vd_setup_failed *what)
{
	struct vd_remembered *of_address = NULL, *of_user = NULL, *oldest = NULL;
	unsigned n = 0, n_address = 0, n_user = 0;

	for (struct vd_link *l = all.next; l != &all; l = l->next) {
		struct vd_remembered *r = rem(l);

		if (r->what.trust != what->trust)
			continue;
		if (!strcmp(r->what.kind, what->kind) && !strcmp(r->what.user, what->user) &&
			vd_ip_equal(&r->what.remote.ip, &what->remote.ip) && !strcmp(r->what.connection, what->connection))
			return r;
		n++;
		oldest = r;
		if (same_address(&r->what, what)) {
			n_address++;
			of_address = r;
		}
		if (same_user(&r->what, what)) {
			n_user++;
			of_user = r;
		}
	}
	if (n_user >= OF_USER_MAX)
		oldest = of_user;
	else if (n_address >= room[what->trust].of_address)
		oldest = of_address;
	else if (n < room[what->trust].all)
		return calloc(1, sizeof(*oldest));
	if (oldest) {
		oldest->count = 0;
		vd_count("core.report.forgotten", 1);
	}
	return oldest;
}

void vd_report_remember(const struct vd_setup_failed *what)
{
	struct vd_remembered *r;

	if (!all.next)
		vd_link_init(&all);
	r = place(what);
	if (!r)
		return;
	if (r->all.next)
		vd_link_del(&r->all);
	r->what = *what;
	r->last = vd_wall();
	if (!r->count++ || r->first > r->last) /* the clock may have been set back meanwhile */
		r->first = r->last;
	vd_link_add(all.next, &r->all); /* before what was the first: the newest leads */
}

const struct vd_remembered *vd_report_after(const struct vd_remembered *r)
{
	struct vd_link *l;

	if (!all.next)
		return NULL;
	l = r ? r->all.next : all.next;
	return l == &all ? NULL : rem(l);
}

bool vd_report_is_about(const struct vd_setup_failed *what, const char *about)
{
	struct vd_named named;

	vd_named_parse(about, &named);
	return vd_named_is_user(&named, what->user) || (what->dialled && vd_named_is_connection(&named, what->connection)) ||
		vd_named_is_address(&named, &what->remote) || vd_named_is_id(&named, 'p', what->peer) ||
		vd_named_is_id(&named, 's', what->session);
}

void vd_reports_fini(void)
{
	while (all.next && !vd_link_empty(&all)) {
		struct vd_remembered *r = rem(all.next);

		vd_link_del(&r->all);
		free(r);
	}
	vd_report_limits_reset();
}
