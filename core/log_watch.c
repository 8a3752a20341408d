/* Peers of which every record is written: see log_watch.h. */
#include "core/log_watch.h"

#include <errno.h>

#include <viaduct/loop.h>
#include <viaduct/session.h>

#include "core/log.h"

static struct vd_prefix added[VD_LOG_WATCHED_MAX];
static size_t n_added;

static const struct vd_conf_node *configured(void)
{
	return vd_conf_at(vd_conf_current(), NULL, "log.debug_peers");
}

static bool watched_address(const struct vd_ip *ip)
{
	const struct vd_conf_node *list = configured();

	for (size_t i = 0; i < n_added; i++)
		if (vd_prefix_has(&added[i], ip))
			return true;
	for (size_t i = 0; i < vd_conf_count(list); i++)
		if (vd_prefix_has(vd_conf_prefix(vd_conf_nth(list, i)), ip))
			return true;
	return false;
}

/* A source address can be forged, and then its records are as many as its datagrams. */
static bool within_limit(void)
{
	static uint64_t since, n;
	uint64_t now = vd_now();

	if (now - since >= 1000 || now < since) {
		since = now;
		n = 0;
	}
	if (n++ < VD_LOG_WATCHED_RATE)
		return true;
	vd_count("log.watched_left_out", 1);
	return false;
}

static bool watched(const struct vd_ids *ids)
{
	const struct vd_session *session = ids->session ? vd_session_find(ids->session) : NULL;
	const struct vd_chan_info *chan = ids->chan ? vd_chan_find(ids->chan) : NULL;
	const struct vd_peer *peer = vd_peer_find(ids->peer ? ids->peer : chan ? chan->peer : session ? session->peer : 0);

	return ((ids->remote && watched_address(&ids->remote->ip)) || (peer && watched_address(&peer->remote.ip))) && within_limit();
}

/* Nobody pays for it while there are none. */
void vd_log_watch_conf(void)
{
	vd_log_on_watched(n_added || vd_conf_count(configured()) ? watched : NULL);
}

int vd_log_watch(const struct vd_prefix *peers)
{
	for (size_t i = 0; i < n_added; i++)
		if (added[i].len == peers->len && vd_ip_equal(&added[i].ip, &peers->ip))
			return -EEXIST;
	if (n_added == VD_LOG_WATCHED_MAX)
		return -ENOSPC;
	added[n_added++] = *peers;
	vd_log_watch_conf();
	return 0;
}

void vd_log_unwatch(void)
{
	n_added = 0;
	vd_log_watch_conf();
}

void vd_log_watched_each(void (*fn)(void *arg, const struct vd_prefix *peers, bool configured), void *arg)
{
	const struct vd_conf_node *list = configured();

	for (size_t i = 0; i < vd_conf_count(list); i++)
		fn(arg, vd_conf_prefix(vd_conf_nth(list, i)), true);
	for (size_t i = 0; i < n_added; i++)
		fn(arg, &added[i], false);
}
