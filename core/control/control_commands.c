/* What the control socket can be asked: sessions, peers, counters, and the bus. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "core/control/control.h"
#include "core/control/control_commands.h"
#include "core/quirk/quirk.h"
#include "core/log.h"
#include "core/named.h"
#include "core/session/session.h"

static json_t *id_json(char letter, uint64_t id)
{
	char text[VD_ID_BUF];

	return json_string(vd_id_format(letter, id, text));
}

static json_t *ip_json(const struct vd_ip *ip)
{
	char text[VD_IP_TEXT];

	return json_string(ip->family ? vd_ip_format(ip, text) : "");
}

static json_t *network_json(const struct vd_leased_address *lease)
{
	struct vd_prefix prefix = { lease->address, lease->length };
	char text[VD_IP_TEXT];

	return json_string(lease->address.family ? vd_prefix_format(&prefix, text) : "");
}

static json_t *sa_json(const struct vd_sa *sa)
{
	char text[VD_SA_TEXT];

	return json_string(vd_sa_format(sa, text));
}

static json_int_t seconds_since(uint64_t at)
{
	return (json_int_t)((vd_now() - at) / 1000);
}

/* Since the last authentic packet of this channel came; 0 when nobody knows. */
static json_int_t silence_s(uint64_t chan)
{
	uint64_t ms = vd_chan_idle(chan);

	return ms == UINT64_MAX ? 0 : (json_int_t)(ms / 1000);
}

/* It is kept for the session, and its client uses IPv6 alone. */
static bool lease4_unused(const struct vd_session *s)
{
	const struct vd_session_rec *rec = vd_session_rec(s->id);

	return rec && s->state == VD_S_UP && !rec->link.v4.len && !rec->link.v4.bare;
}

static json_t *session_json(const struct vd_session *s)
{
	const struct vd_peer *peer = vd_peer_find(s->peer);
	const struct vd_ip none = { 0 };

	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:I,s:I,s:I,s:o,s:o,s:{s:I,s:I,s:I,s:I}}",
		"session", id_json('s', s->id), "state", vd_text_json(vd_session_state_name(s->state)), "user",
		vd_text_json(s->proven ? s->user : ""), "claimed", vd_text_json(s->proven ? "" : s->user),
		"connection", vd_text_json(s->connection), "address", ip_json(lease4_unused(s) ? &none : &s->lease4.address),
		"network", network_json(&s->lease6), "remote", peer ? sa_json(&peer->remote) : json_string(""), "chan", id_json('c', s->chan),
		"peer", id_json('p', s->peer), "mtu", (int)s->mtu, "age_s", seconds_since(s->created),
		"up_s", s->up_since ? seconds_since(s->up_since) : (json_int_t)0, "silent_s", silence_s(s->chan), "reason", vd_text_json(s->reason), "client", vd_text_json(s->client),
		"counters", "packets_in", (json_int_t)s->counters.packets_in, "octets_in", (json_int_t)s->counters.octets_in,
		"packets_out", (json_int_t)s->counters.packets_out, "octets_out", (json_int_t)s->counters.octets_out);
}

static json_t *peer_json(const struct vd_peer *p)
{
	const char *closing = vd_peer_closing(p->id);

	return json_pack("{s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:i,s:I}", "peer", id_json('p', p->id), "state",
		vd_text_json(closing ? "closing" : p->up ? "up" : "new"), "local", sa_json(&p->local), "remote", sa_json(&p->remote),
		"natt", (int)p->natt, "connection", vd_text_json(p->connection), "identity", vd_text_json(p->identity), "suite", vd_text_json(p->suite),
		"profile", vd_text_json(p->profile), "version", vd_text_json(p->version), "home", (int)p->home, "age_s", seconds_since(p->created));
}

static void add_timeline(json_t *out, char letter, uint64_t id)
{
	const struct vd_timeline *t = vd_timeline_find(letter, id);

	for (unsigned i = 0; t && i < t->n; i++) {
		const struct vd_moment *m = &t->v[(t->first + i) % VD_TIMELINE_MAX];

		json_array_append_new(out, json_pack("{s:I,s:I,s:o,s:o}", "time", (json_int_t)m->wall, "ms",
			(json_int_t)m->at, "of", id_json(letter, id), "text", vd_text_json(m->text)));
	}
}

static void add_quirk(void *arg, const struct vd_quirk *quirk)
{
	json_object_set_new(arg, quirk->key, vd_text_json(quirk->value));
}

static json_t *quirks_json(const struct vd_peer *peer)
{
	json_t *out = json_object();

	if (peer)
		vd_quirks_each(peer->profile, add_quirk, out);
	return out;
}

/* The chain from the peer to the user. */
static json_t *chain_json(const struct vd_session *s)
{
	const struct vd_peer *peer = vd_peer_find(s->peer);
	const struct vd_chan_info *chan = vd_chan_find(s->chan);
	json_t *timeline = json_array(), *dns = json_array();
	char about[VD_USER_MAX + 8] = "user/";

	for (size_t i = 0; i < VD_ARRAY_SIZE(s->lease4.dns) && s->lease4.dns[i].family; i++)
		json_array_append_new(dns, ip_json(&s->lease4.dns[i]));
	add_timeline(timeline, 'p', s->peer);
	add_timeline(timeline, 'c', s->chan);
	add_timeline(timeline, 's', s->id);
	/* Of a name that is only claimed, others may have reports. */
	if (!s->proven && peer)
		vd_ip_format(&peer->remote.ip, about);
	else
		vd_strcpy(about + 5, sizeof(about) - 5, s->user);
	return json_pack("{s:o,s:o,s:o,s:o,s:{s:o,s:b,s:o,s:o,s:o,s:o},s:o,s:o}", "peer", peer ? peer_json(peer) : json_null(), "quirks", quirks_json(peer), "chan",
		chan ? json_pack("{s:o,s:o,s:i,s:b,s:b}", "chan", id_json('c', chan->id), "upper", vd_text_json(chan->upper), "mtu",
			       (int)chan->mtu, "up", (int)chan->up, "protected", (int)chan->protected_) : json_null(),
		"session", session_json(s), "lease", "address", ip_json(&s->lease4.address), "used", s->lease4.address.family && !lease4_unused(s), "gateway",
		ip_json(&s->lease4.gateway), "dns", dns, "network", network_json(&s->lease6), "gateway6",
		ip_json(&s->lease6.gateway), "timeline", timeline, "failures",
		vd_control_reports(about));
}

/* By id, or by the name of a user who has proved to be that. The first after prev that is meant. */
static struct vd_session *meant(const struct vd_named *what, struct vd_session *prev)
{
	struct vd_session *s = prev;

	while ((s = vd_session_after(s)))
		if (vd_named_is_id(what, 's', s->id) || (s->proven && vd_named_is_user(what, s->user)))
			return s;
	return NULL;
}

/* Sessions that only claim to be that user's. */
static unsigned claims(const struct vd_named *what)
{
	unsigned n = 0;

	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		n += !s->proven && vd_named_is_user(what, s->user);
	return n;
}

static const char *which(struct vd_call *call, json_t *args, struct vd_named *ret_named)
{
	const char *what = json_string_value(json_object_get(args, "session"));

	if (!what || !*what) {
		vd_call_fail(call, "say which session: s-42, or a user name");
		return NULL;
	}
	vd_named_parse(what, ret_named);
	if (!meant(ret_named, NULL)) {
		json_t *failures = vd_control_reports(what);

		if (claims(ret_named))
			vd_call_fail(call, "no session of %.200s; one that is not authenticated claims that name: session list has its id", what);
		else if (json_array_size(failures))
			vd_call_fail(call, "no session %.200s; why it failed is known: viaductctl why %.200s", what, what);
		else
			vd_call_fail(call, "no session %.256s; session.list shows all", what);
		json_decref(failures);
		return NULL;
	}
	return what;
}

/* Fresh counters are fetched from the workers before the reply: of the sessions meant, or of all. */
#define FRESH_MAX 512u /* beyond it the last known ones will do: a worker takes commands between packets */
struct show {
	struct vd_call *call;
	bool all;
	struct vd_named what;
	char text[4 * VD_USER_MAX]; /* what it points to */
	unsigned waiting;
};

static struct vd_session *shown(const struct show *show, struct vd_session *after)
{
	return show->all ? vd_session_after(after) : meant(&show->what, after);
}

static void show_answer(struct show *show)
{
	if (--show->waiting > 0)
		return;
	json_t *list = json_array();
	for (struct vd_session *s = NULL; (s = shown(show, s));)
		json_array_append_new(list, show->all ? session_json(s) : chain_json(s));
	vd_call_reply(show->call, list);
	free(show);
}

static void show_counted(void *arg, uint64_t session, const struct vd_session_counters *counters)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (rec && counters && rec->pub.state == VD_S_UP)
		vd_session_count_in(rec, counters);
	show_answer(arg);
}

static void show_begin(struct vd_call *call, const char *what)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct show *show = calloc(1, sizeof(*show));

	if (!show) {
		vd_call_fail(call, "out of memory");
		return;
	}
	show->call = call;
	show->all = !what;
	vd_strcpy(show->text, sizeof(show->text), what ? what : "");
	vd_named_parse(show->text, &show->what);
	show->waiting = 1; /* ours, so that it lives while we ask */
	for (struct vd_session *s = NULL; dp && (s = shown(show, s)) && show->waiting <= FRESH_MAX;)
		if (s->state == VD_S_UP && dp->session_counters(dp->self, s->id, show_counted, show) == 0)
			show->waiting++;
	show_answer(show);
}

static void session_list(struct vd_call *call, json_t *args)
{
	(void)args;
	show_begin(call, NULL);
}

static void session_show(struct vd_call *call, json_t *args)
{
	struct vd_named named;
	const char *what = which(call, args, &named);

	if (what)
		show_begin(call, what);
}

static void session_kill(struct vd_call *call, json_t *args)
{
	struct vd_named named;
	const char *what = which(call, args, &named), *reason = json_string_value(json_object_get(args, "reason"));
	json_t *closed = what ? json_array() : NULL;

	if (!what)
		return;
	for (struct vd_session *s = NULL; (s = meant(&named, s));) {
		json_array_append_new(closed, id_json('s', s->id));
		vd_session_close(s->id, reason ? reason : "closed by the operator", false);
	}
	vd_call_reply(call, closed);
}

static void peer_list(struct vd_call *call, json_t *args)
{
	json_t *list = json_array();

	(void)args;
	for (struct vd_peer *p = vd_peer_after(NULL); p; p = vd_peer_after(p))
		json_array_append_new(list, peer_json(p));
	vd_call_reply(call, list);
}

static void add_counter(void *arg, const char *name, uint64_t value)
{
	json_object_set_new(arg, name, json_integer((json_int_t)value));
}

static void drops_known(void *arg, const uint64_t *counts)
{
	json_t *out = json_object();

	vd_counters_each(add_counter, out);
	for (unsigned i = 1; counts && i < VD_DROP_MAX; i++) {
		char name[64];

		vd_format(name, sizeof(name), "datapath.drop.%s", vd_drop_name(i));
		add_counter(out, name, counts[i]);
	}
	vd_call_reply(arg, out);
}

static void counters(struct vd_call *call, json_t *args)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);

	(void)args;
	if (!dp || dp->drops(dp->self, drops_known, call) < 0)
		drops_known(call, NULL);
}

static void datapath_known(void *arg, const struct vd_datapath_info *info)
{
	json_t *caps = json_array(), *workers = json_array(), *drops = json_object();

	for (unsigned i = 0; i < VD_CAP_MAX; i++) {
		const struct vd_datapath_cap *c = &info->caps[i];

		json_array_append_new(caps, json_pack("{s:o,s:b,s:o,s:o}", "name", vd_text_json(c->name), "on", (int)c->on, "why", vd_text_json(c->why),
			"without", vd_text_json(c->on ? "" : c->without)));
	}
	for (unsigned w = 0; w < info->workers; w++) {
		json_t *one = json_pack("{s:i}", "worker", (int)w);

		for (unsigned i = 0; i < VD_WORK_MAX; i++)
			add_counter(one, vd_work_name(i), info->work[w][i]);
		json_array_append_new(workers, one);
	}
	for (unsigned i = 1; i < VD_DROP_MAX; i++) {
		uint64_t n = 0;

		for (unsigned w = 0; w < info->workers; w++)
			n += info->drops[w][i];
		add_counter(drops, vd_drop_name(i), n);
	}
	vd_call_reply(arg, json_pack("{s:o,s:o,s:o,s:o}", "problems", vd_control_problems(), "caps", caps, "workers", workers, "drops", drops));
}

static void datapath(struct vd_call *call, json_t *args)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);

	(void)args;
	if (!dp || dp->info(dp->self, datapath_known, call) < 0)
		vd_call_fail(call, "the data path is not running");
}

static void bus_tail(struct vd_call *call, json_t *args)
{
	vd_call_tail(call, json_object_get(args, "topics"));
}

const struct vd_command vd_commands[] = {
	{ "status", "", "a verdict with what is wrong, version, uptime, and how much there is", vd_command_status },
	{ "session.list", "", "all sessions", session_list },
	{ "session.show", "session", "the chain from peer to user, counters and timeline", session_show },
	{ "session.kill", "session, reason", "ends a session", session_kill },
	{ "peer.list", "", "all peers", peer_list },
	{ "why", "about", "why set-ups failed: of an address, a user, p-7, s-42, a connection that is dialled; or all", vd_command_why },
	{ "connection.list", "", "what the configuration lets in, and what we dial", vd_command_connections },
	{ "connection.up", "connection", "dials a connection; the reply comes when it is up, or not", vd_command_connection_up },
	{ "connection.down", "connection", "ends a connection that we dialled", vd_command_connection_down },
	{ "plugin.list", "", "all plugins that were found", vd_command_plugins },
	{ "plugin.info", "plugin", "one plugin with its options", vd_command_plugin },
	{ "realm.test", "realm, user, password", "asks the providers of a realm as if somebody logged in", vd_command_realm },
	{ "config.check", "", "reads the configuration again and reports every finding", vd_command_check },
	{ "reload", "plan", "reads the configuration again and puts it in force; plan: only tells what that would change",
		vd_command_reload },
	{ "config.show", "defaults, origins, uses", "the configuration in force, without secrets", vd_command_show },
	{ "datapath", "", "what the data path can on this host, does and drops", datapath },
	{ "counters", "", "all counters, and why packets were dropped", counters },
	{ "log.areas", "", "what the log can be about, and how much of it is logged", vd_command_log_areas },
	{ "log.debug", "peer", "of which peers everything is logged; peer: an address or network more, or off", vd_command_log_debug },
	{ "words", "subject", "words that values in files may contain and no option lists: of a subject as crypto, or all", vd_command_words },
	{ "bus.tail", "topics", "a stream of everything on the bus", bus_tail },
	{ NULL },
};
