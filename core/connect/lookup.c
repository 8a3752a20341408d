/* Where a connection that we dial leads to, and from which of our addresses. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <viaduct/conf.h>
#include <viaduct/datapath.h>
#include <viaduct/loop.h>
#include <viaduct/work.h>

#include "core/connect/connect.h"

#define IKE_PORT 500

/* ---- names: the resolver waits for the network, so a lane asks it ---- */
struct vd_lookup {
	struct vd_job job;
	char name[256];
	struct vd_ip ips[VD_LOOKUP_MAX]; /* in the order of getaddrinfo (RFC 6724) */
	size_t n;
	int code; /* of getaddrinfo */
	void (*done)(void *arg, const struct vd_ip *ips, size_t n, const struct vd_error *err); /* NULL: nobody wants to know */
	void *arg;
};
static struct vd_lane *lane; /* made for the first name that is no address */

static int resolve(struct vd_job *job)
{
	struct vd_lookup *l = VD_CONTAINER_OF(job, struct vd_lookup, job);
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;
	struct vd_sa sa;

	l->code = getaddrinfo(l->name, NULL, &hints, &list);
	if (l->code)
		return -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && l->n < VD_LOOKUP_MAX; a = a->ai_next)
		if (vd_sa_from_sockaddr(a->ai_addr, &sa))
			l->ips[l->n++] = sa.ip;
	freeaddrinfo(list);
	return l->n ? 0 : -EHOSTUNREACH;
}

static void resolved(struct vd_job *job, int result)
{
	struct vd_lookup *l = VD_CONTAINER_OF(job, struct vd_lookup, job);
	struct vd_error err;

	if (result < 0)
		vd_error_set(&err, result, "the name %.200s cannot be found: %s", l->name,
			gai_strerror(l->code ? l->code : EAI_NONAME));
	if (l->done)
		l->done(l->arg, l->ips, l->n, result < 0 ? &err : NULL);
	free(l);
}

static void known(void *arg)
{
	resolved(&((struct vd_lookup *)arg)->job, 0);
}

struct vd_lookup *vd_lookup_new(const char *name,
	void (*done)(void *arg, const struct vd_ip *ips, size_t n, const struct vd_error *err), void *arg)
{
	struct vd_lookup *l = calloc(1, sizeof(*l));
	bool begun;

	if (!l)
		return NULL;
	l->job = (struct vd_job){ .run = resolve, .done = resolved };
	vd_strcpy(l->name, sizeof(l->name), name);
	l->done = done;
	l->arg = arg;
	if (vd_ip_parse(name, &l->ips[0])) {
		l->n = 1;
		begun = vd_defer(known, l) == 0;
	} else {
		lane = lane ? lane : vd_lane_new("resolver");
		begun = lane && vd_lane_submit(lane, &l->job) == 0;
	}
	if (begun)
		return l;
	free(l);
	return NULL;
}

void vd_lookup_cancel(struct vd_lookup *lookup)
{
	if (lookup)
		lookup->done = NULL;
}

void vd_lookups_fini(void)
{
	if (lane)
		vd_lane_free(lane);
	lane = NULL;
}

/* ---- our side ---- */
/* The address that the host would use toward this one. */
static bool source_for(const struct vd_ip *remote, struct vd_ip *ret_ip)
{
	struct vd_sa to = { .ip = *remote, .port = IKE_PORT }, sa;
	struct sockaddr_storage ss;
	socklen_t len = vd_sa_to_sockaddr(&to, &ss);
	int fd = socket(remote->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) == 0;

	len = sizeof(ss);
	found = found && getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
		vd_sa_from_sockaddr((struct sockaddr *)&ss, &sa);
	if (fd >= 0)
		close(fd);
	if (found)
		*ret_ip = sa.ip;
	return found;
}

/* An interface's first address of the family. */
static bool address_of(const char *dev, uint16_t family, struct vd_ip *ret_ip)
{
	struct ifaddrs *list = NULL;
	struct vd_sa sa;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == family && !strcmp(i->ifa_name, dev) &&
			vd_sa_from_sockaddr(i->ifa_addr, &sa)) {
			*ret_ip = sa.ip;
			found = true;
		}
	freeifaddrs(list);
	return found;
}

static bool written(const struct vd_conf_node *list, const struct vd_ip *ip)
{
	for (size_t i = 0; i < vd_conf_count(list); i++)
		if (vd_ip_equal(vd_conf_ip(vd_conf_nth(list, i)), ip))
			return true;
	return false;
}

int vd_dial_path(const char *local, const struct vd_ip *remote, struct vd_path *ret_path, struct vd_error *err)
{
	const struct vd_conf_node *list = vd_conf_at(vd_conf_current(), NULL, "gateway.listen");
	struct vd_path path = { .local.port = IKE_PORT, .remote = { .ip = *remote, .port = IKE_PORT } };
	struct vd_ip want = { 0 };
	char text[VD_IP_TEXT];

	if (local && !vd_ip_parse(local, &want) && !address_of(local, remote->family, &want))
		return vd_error_set(err, -EADDRNOTAVAIL, "local: %s is neither an address nor an interface that has one",
			local);
	/* Of several that are written, the one that the host would use: it may have moved from one network to another. */
	if (!local && vd_conf_count(list) > 1 && (!source_for(remote, &want) || !written(list, &want)))
		want = (struct vd_ip){ 0 };
	/* The order is that of the data path's endpoints. One that is written wins over a wildcard. */
	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_ip *ip = vd_conf_ip(vd_conf_nth(list, i));
		bool any = vd_ip_is_any(ip);

		if (ip->family != remote->family || (want.family && !any && !vd_ip_equal(ip, &want)) ||
			(path.endpoint && any))
			continue;
		path.endpoint = i + 1;
		path.local.ip = any ? want : *ip;
		if (!any)
			break;
	}
	if (!path.endpoint && want.family)
		return vd_error_set(err, -EADDRNOTAVAIL, "local: %s is not in gateway.listen; write it there",
			vd_ip_format(&want, text));
	if (!path.endpoint)
		return vd_error_set(err, -EADDRNOTAVAIL, "gateway.listen has no address of the family of %s",
			vd_ip_format(remote, text));
	if (!path.local.ip.family && !source_for(remote, &path.local.ip))
		return vd_error_set(err, -ENETUNREACH, "there is no route to %s", vd_ip_format(remote, text));
	*ret_path = path;
	return 0;
}
