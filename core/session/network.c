/* The network of IPv6 of a session whose client may ask for it late, or never: leased when it asks, carried while both agree
 * on it, given back when that is over. A pool of prefixes is for those who speak IPv6. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>

#include "core/session/session.h"

/* ---- leased ---- */
bool vd_network_take(struct vd_session_rec *rec, const struct vd_answer *answer)
{
	const struct vd_leased_address *lease = answer->data;
	char text[VD_IP_TEXT];

	if (answer->verdict != VD_ACCEPT || !lease || lease->address.family != AF_INET6 || lease->length != 64)
		return false;
	rec->pub.lease6 = *lease;
	vd_note('s', rec->pub.id, "network %s/%u from %s", vd_ip_format(&lease->address, text), lease->length,
		answer->provider);
	return true;
}

void vd_network_refused(struct vd_session_rec *rec, const struct vd_answer *answer, const char *text)
{
	if (vd_bringup_no_such(answer))
		return; /* this pool has no IPv6 for anybody: no news */
	vd_count("core.session.no_ipv6", 1);
	vd_note('s', rec->pub.id, "no IPv6: %s", text);
}

static void post_returned(const struct vd_session_rec *rec)
{
	struct vd_lease_returned event = { .session = rec->pub.id, .family = 6 };

	vd_event_post(&vd_topic_lease_returned, &event);
}

static void leased(void *arg, const struct vd_answer *answer)
{
	struct vd_session_rec *rec = arg; /* its requests are cancelled before it goes */
	void (*done)(void *, uint64_t, const struct vd_error *) = rec->leased6;
	struct vd_error err = { 0 };

	rec->leased6 = NULL;
	if (!vd_network_take(rec, answer)) {
		const char *text = vd_bringup_why(answer);

		vd_network_refused(rec, answer, text);
		vd_error_set(&err, answer->why.code ? answer->why.code : -EACCES, "%s", text);
		if (answer->verdict != VD_REJECT && answer->verdict != VD_PASS)
			post_returned(rec); /* a yes that came too late has granted what nobody will use */
	}
	done(rec->leased6_arg, rec->pub.id, err.code ? &err : NULL);
}

int vd_session_lease6(uint64_t session, void (*done)(void *arg, uint64_t session, const struct vd_error *err), void *arg)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (!rec)
		return -ENOENT;
	if (rec->leased6)
		return -EBUSY;
	if ((rec->pub.state != VD_S_CONFIGURING && rec->pub.state != VD_S_UP) || !rec->leased || rec->pub.dialled ||
		rec->pub.lease6.address.family)
		return -EINVAL;
	if (!vd_bringup_ask(rec, VD_WANT_V6, leased))
		return -ENOMEM;
	rec->leased6 = done;
	rec->leased6_arg = arg;
	return 0;
}

/* ---- carried ---- */
void vd_network_tell(struct vd_session_rec *rec, bool carried)
{
	struct vd_session_ipv6 event = { .session = rec->pub.id, .up = carried,
		.network = { rec->pub.lease6.address, rec->pub.lease6.length }, .local = rec->link.link_local[0],
		.remote = rec->link.link_local[1] };
	char text[VD_IP_TEXT];

	memcpy(rec->pub.link_local, rec->link.link_local, sizeof(rec->pub.link_local));
	vd_event_post(&vd_topic_session_ipv6, &event);
	vd_note('s', rec->pub.id, carried ? "carries IPv6, %s" : "carries IPv6 no longer", vd_prefix_format(&event.network, text));
}

/* Its place among what the workers were told to bring to this session; n_fib: it is not there. */
static unsigned place_of(const struct vd_session_rec *rec, const struct vd_prefix *net)
{
	unsigned at = 0;

	while (at < rec->n_fib && (rec->fib[at].len != net->len || !vd_ip_equal(&rec->fib[at].ip, &net->ip)))
		at++;
	return at;
}

bool vd_network_waits(const struct vd_session_rec *rec, const struct vd_prefix *net)
{
	return rec->link.v4.len && !rec->link.v6.len && rec->pub.lease6.address.family && net->len == rec->pub.lease6.length &&
		vd_ip_equal(&net->ip, &rec->pub.lease6.address);
}

/* All workers bring it here. Nobody waits for that: the client hears of its network from the worker that is told first, and
 * a packet that overtakes this on another one is lost like any that the network loses. */
static int bring_here(struct vd_session_rec *rec, const struct vd_datapath_1 *dp)
{
	struct vd_prefix net = { rec->pub.lease6.address, rec->pub.lease6.length };
	int res;

	if (place_of(rec, &net) < rec->n_fib)
		return 0; /* it was leased before the session came up */
	res = dp->fib_add(dp->self, &net, rec->pub.id, NULL, NULL);
	if (res >= 0)
		rec->fib[rec->n_fib++] = net;
	return res;
}

int vd_session_carry(uint64_t session, const struct vd_wsess_desc *link)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_session_rec *rec = vd_session_rec(session);
	struct vd_wsess_desc next;
	bool was;
	int res;

	if (!rec)
		return -ENOENT;
	if (rec->pub.state != VD_S_UP || !dp || (link->v6.len && !rec->pub.lease6.address.family))
		return -EINVAL;
	if (link->v6.len) {
		res = bring_here(rec, dp);
		if (res < 0)
			return res;
		vd_session_sources(rec);
	}
	next = rec->link;
	next.v4 = link->v4;
	next.v6 = link->v6;
	memcpy(next.link_local, link->link_local, sizeof(next.link_local));
	res = dp->session_add(dp->self, &next, NULL, NULL);
	if (res < 0)
		return res;
	was = rec->link.v6.len;
	if (was && next.v6.len && memcmp(next.link_local, rec->link.link_local, sizeof(next.link_local))) {
		vd_network_tell(rec, false); /* the workers could not be told of its end before */
		was = false;
	}
	rec->link = next;
	if (was != (next.v6.len != 0))
		vd_network_tell(rec, !was);
	return 0;
}

/* ---- given back ---- */
int vd_session_return6(uint64_t session)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_session_rec *rec = vd_session_rec(session);
	struct vd_leased_address lease;
	struct vd_wsess_desc before;
	struct vd_prefix net;
	char text[VD_IP_TEXT];
	unsigned at;
	int res = 0;

	if (!rec)
		return -ENOENT;
	if (rec->pub.state >= VD_S_CLOSING || rec->pub.dialled || !rec->pub.lease6.address.family)
		return -EINVAL;
	lease = rec->pub.lease6;
	before = rec->link;
	net = (struct vd_prefix){ lease.address, lease.length };
	rec->pub.lease6 = (struct vd_leased_address){ 0 };
	vd_session_sources(rec);
	rec->link.v6 = (struct vd_hdr){ 0 };
	memset(rec->link.link_local, 0, sizeof(rec->link.link_local));
	if (rec->added)
		res = dp ? dp->session_add(dp->self, &rec->link, NULL, NULL) : -ENODEV;
	if (res < 0) { /* the client could go on to use it: it keeps it */
		rec->pub.lease6 = lease;
		rec->link = before;
		return res;
	}
	if (rec->pub.state == VD_S_UP && before.v6.len) {
		rec->pub.lease6 = lease;
		vd_network_tell(rec, false);
		rec->pub.lease6 = (struct vd_leased_address){ 0 };
	}
	at = place_of(rec, &net);
	if (at < rec->n_fib) {
		res = dp ? dp->fib_del(dp->self, &net, rec->pub.id, NULL, NULL) : -ENODEV;
		if (res < 0) { /* whoever gets it next could not have it */
			rec->pub.lease6 = lease;
			return res;
		}
		memmove(&rec->fib[at], &rec->fib[at + 1], (--rec->n_fib - at) * sizeof(rec->fib[0]));
	}
	vd_note('s', session, "network %s given back", vd_prefix_format(&net, text));
	/* Each worker hears of what comes next for this network after it heard the above. */
	post_returned(rec);
	return 0;
}
