/* The life of peers and sessions in the log: one line for each event a person wants to see at the default level. Whoever
 * posts the event does not log it again. A failure is limited, because anybody can provoke one. */
#include <viaduct/log.h>
#include <viaduct/session.h>
#include <viaduct/topics.h>

#include "core/log.h"
#include "core/report/report.h"
#include "core/session/lifelog.h"

static struct vd_log_limit limit = VD_LOG_LIMIT(30, 10000), peers = VD_LOG_LIMIT(30, 10000);

static void on_peer_up(void *arg, const void *event)
{
	const struct vd_peer_up *e = event;
	char remote[VD_SA_TEXT];

	(void)arg;
	/* Limited, because a key that many have is enough to provoke it; the line of the user is not. */
	vd_log_coded(&peers, VD_LOG_NOTICE, "life", &(struct vd_ids){ .peer = e->peer }, "peer-up", NULL, "up: %s as %s, %s, %s",
		vd_sa_format(&e->remote, remote), e->identity[0] ? e->identity : "nobody by name", e->version, e->suite);
}

static void on_session_up(void *arg, const void *event)
{
	const struct vd_session_up *e = event;
	char address[VD_IP_TEXT];

	(void)arg;
	vd_log_coded(NULL, VD_LOG_NOTICE, "life", &(struct vd_ids){ e->peer, e->chan, e->session }, "session-up", e->user,
		"up: user %s has %s on connection %s", e->user, e->address.family ? vd_ip_format(&e->address, address) :
		"no address", e->connection);
}

static void on_session_down(void *arg, const void *event)
{
	const struct vd_session_down *e = event;
	const struct vd_session *s = vd_session_find(e->session); /* until everybody heard session_gone */
	bool claimed = e->user[0] && s && !s->proven;

	(void)arg;
	/* One that never was up has its failure in the log already. */
	vd_log_coded(NULL, e->address.family && e->duration_ms ? VD_LOG_NOTICE : VD_LOG_INFO, "life",
		&(struct vd_ids){ e->peer, e->chan, e->session }, "session-down", claimed ? "" : e->user,
		"down: %suser %s, %s; %llu s, %llu octets in, %llu out", claimed ? "claimed " : "", e->user[0] ? e->user : "unknown", e->reason,
		(unsigned long long)(e->duration_ms / 1000), (unsigned long long)e->octets_in,
		(unsigned long long)e->octets_out);
}

/* A refused login is one of these, with stage "auth": auth_failed says no more than it. */
static void on_setup_failed(void *arg, const void *event)
{
	const struct vd_setup_failed *e = event;

	char from[VD_SA_TEXT] = "";
	bool where = e->remote.ip.family, claimed = e->user[0] && e->trust < VD_TRUST_USER && !e->dialled;

	(void)arg;
	vd_log_coded(&limit, VD_LOG_NOTICE, "life", &(struct vd_ids){ e->peer, e->chan, e->session }, e->kind,
		claimed ? "" : e->user,
		"%s failed%s%s%s%s%s: %s",
		e->stage, e->user[0] || where ? ", " : "", claimed ? "claimed user " : "", e->user, e->user[0] && where ? " at " : "",
		where ? vd_sa_format(&e->remote, from) : "", e->text);
}

static const char *user_of(uint64_t session)
{
	const struct vd_session *s = vd_session_find(session);

	return s && s->proven ? s->user : NULL;
}

int vd_lifelog_init(void)
{
	static const struct { const char *topic; void (*fn)(void *arg, const void *event); } lines[] = {
		{ "peer_up", on_peer_up }, { "session_up", on_session_up }, { "session_down", on_session_down },
		{ "setup_failed", on_setup_failed },
	};

	limit = peers = (struct vd_log_limit)VD_LOG_LIMIT(30, 10000);
	vd_log_on_user(user_of);
	for (size_t i = 0; i < VD_ARRAY_SIZE(lines); i++) {
		int r = vd_event_subscribe(NULL, lines[i].topic, lines[i].fn, NULL);

		if (r < 0)
			return r;
	}
	return 0;
}
