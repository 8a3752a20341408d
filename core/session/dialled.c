/* Sessions that we dialled: the gateway gave the address, and the connection's routes lead to it. What differs from a
 * client's session: nobody is asked who it is; the host gets an address and routes; workers find the session by the source
 * of a packet first, so that several gateways may be dialled that have the same networks behind them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/plugin.h>

#include "core/connect/connect.h"
#include "core/session/session.h"

static const struct vd_conf_node *connection(const struct vd_session_rec *rec)
{
	const struct vd_conf_node *all = vd_conf_at(rec->pub.conf, NULL, "connections");

	return all ? vd_conf_child(all, rec->pub.connection) : NULL;
}

/* The connection's routes; `all` is two halves, which win against the default route and leave it in place. */
static int routes_of(struct vd_session_rec *rec)
{
	const struct vd_conf_node *node = connection(rec);
	const struct vd_conf_node *list = node ? vd_conf_at(rec->pub.conf, node, "routes") : NULL;
	struct vd_prefix *out = rec->pub.granted.routes_behind;
	char text[VD_IP_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < vd_conf_count(list); i++) {
		const struct vd_prefix *p = vd_conf_prefix(vd_conf_nth(list, i));
		struct vd_prefix halves[2] = { { vd_ip4(0), 1 }, { vd_ip4(0x80000000), 1 } };

		if (p && p->ip.family != AF_INET) {
			vd_note('s', rec->pub.id, "route %s left out: PPP carries IPv4", vd_prefix_format(p, text));
			continue;
		}
		for (size_t k = 0; k < (p ? 1 : 2); k++) {
			if (n == VD_SESSION_ROUTES)
				return -E2BIG;
			out[n++] = p ? *p : halves[k];
		}
	}
	return 0;
}

int vd_session_dialled(uint64_t session, const struct vd_leased_address *given)
{
	struct vd_session_rec *rec = vd_session_rec(session);
	const struct vd_conf_node *node = rec ? connection(rec) : NULL;
	const char *user = node ? vd_conf_str(vd_conf_at(rec->pub.conf, node, "user")) : NULL;
	char text[VD_IP_TEXT];
	int res;

	if (!rec)
		return -ENOENT;
	if (rec->pub.state != VD_S_NEW || rec->step != VD_STEP_IDLE || !given->address.family)
		return -EINVAL;
	res = routes_of(rec);
	if (res < 0)
		return res;
	vd_strcpy(rec->pub.user, sizeof(rec->pub.user), user ? user : "");
	rec->pub.dialled = true;
	rec->pub.lease4 = *given;
	rec->pub.state = VD_S_CONFIGURING;
	rec->pub.proven = rec->leased = true;
	vd_note('s', session, "the gateway gave us %s", vd_ip_format(&given->address, text));
	vd_session_patience(rec);
	return 0;
}

bool vd_dialled_ask(struct vd_session_rec *rec, const struct vd_request_opts *opts,
	void (*done)(void *arg, const struct vd_answer *answer))
{
	struct vd_dialled_routes request = { .session = rec->pub.id, .address = rec->pub.lease4.address };
	const struct vd_peer *peer = vd_peer_find(rec->pub.peer);

	if (peer)
		request.gateway = peer->remote.ip;
	memcpy(request.routes, rec->pub.granted.routes_behind, sizeof(request.routes));
	vd_strcpy(request.connection, sizeof(request.connection), rec->pub.connection);
	request.hold = vd_connect_holds(rec->pub.conf, connection(rec));
	return vd_request(&vd_topic_dialled_routes, &request, opts, done, rec);
}

static bool held(const struct vd_session_rec *rec, const struct vd_prefix *prefix)
{
	for (unsigned i = 0; i < rec->n_fib; i++)
		if (rec->fib[i].len == prefix->len && vd_ip_equal(&rec->fib[i].ip, &prefix->ip))
			return true;
	return false;
}

void vd_dialled_left(void)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);

	for (struct vd_session *s = vd_session_after(NULL); dp && s; s = vd_session_after(s)) {
		struct vd_session_rec *rec = VD_CONTAINER_OF(s, struct vd_session_rec, pub);

		for (size_t i = 0; s->dialled && s->state == VD_S_UP && i < VD_SESSION_ROUTES; i++) {
			const struct vd_prefix *p = &s->granted.routes_behind[i];

			if (p->ip.family && !held(rec, p) && rec->n_fib < VD_SESSION_PREFIXES &&
				dp->fib_add(dp->self, p, s->id, NULL, NULL) == 0)
				rec->fib[rec->n_fib++] = *p;
		}
	}
}
