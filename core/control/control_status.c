/* status: how the daemon is, and what somebody has to mend; what its log is about. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <viaduct/loop.h>

#include "core/conf/conf.h"
#include "core/connect/connect.h"
#include "core/control/control_commands.h"
#include "core/log_area.h"
#include "core/log_watch.h"
#include "core/plugin.h"
#include "core/problem.h"
#include "core/session/session.h"
#include "core/words.h"

static json_int_t seconds_since(uint64_t at)
{
	return (json_int_t)((vd_now() - at) / 1000);
}

static void add_problem(void *arg, const char *key, const char *text, uint64_t since)
{
	json_array_append_new(arg, json_pack("{s:o,s:o,s:I}", "key", vd_text_json(key), "text", vd_text_json(text), "since_s", seconds_since(since)));
}

json_t *vd_control_problems(void)
{
	json_t *list = json_array();

	vd_problems_each(add_problem, list);
	return list;
}

/* A connection that we dial and that failed: it is tried again, and until then nothing goes through it. */
static void add_waiting(json_t *problems)
{
	const struct vd_conf_node *all = vd_conf_at(vd_conf_current(), NULL, "connections");

	for (size_t i = 0; i < vd_conf_count(all); i++) {
		const char *name = vd_conf_name(vd_conf_nth(all, i));
		struct vd_dial_status s;
		char key[VD_NAME_MAX + 16], text[VD_NAME_MAX + VD_ID_TEXT + 32];

		if (!vd_connect_status(name, &s) || s.state != VD_DIAL_WAITING)
			continue;
		vd_format(key, sizeof(key), "connection/%s", name);
		vd_format(text, sizeof(text), "connection %s is not up: %s", name, s.reason);
		add_problem(problems, key, text, s.since);
	}
}

static void add_area(void *arg, const struct vd_log_area *area)
{
	enum vd_log_level level = VD_LOG_ERROR;

	while (level < VD_LOG_DEBUG && vd_log_enabled(level + 1, area->name, NULL))
		level++;
	json_array_append_new(arg, json_pack("{s:o,s:s,s:o}", "area", vd_text_json(area->name), "level", vd_log_level_name(level),
		"doc", vd_text_json(area->doc)));
}

void vd_command_log_areas(struct vd_call *call, json_t *args)
{
	json_t *list = json_array();

	(void)args;
	vd_log_areas_each(add_area, list);
	vd_call_reply(call, list);
}

static void add_watched(void *arg, const struct vd_prefix *peers, bool configured)
{
	char text[VD_IP_TEXT];

	json_array_append_new(arg, json_pack("{s:o,s:o}", "peer", vd_text_json(vd_prefix_format(peers, text)), "from",
		vd_text_json(configured ? "configuration" : "command")));
}

void vd_command_log_debug(struct vd_call *call, json_t *args)
{
	const char *peer = json_string_value(json_object_get(args, "peer"));
	json_t *list;
	struct vd_prefix prefix;

	if (peer && !strcmp(peer, "off")) {
		vd_log_unwatch();
	} else if (peer && !vd_prefix_parse(peer, &prefix)) {
		vd_call_fail(call, "%s is no address or network; write 192.0.2.7, 192.0.2.0/24, 2001:db8::7, or off", peer);
		return;
	} else if (peer && vd_log_watch(&prefix) == -ENOSPC) {
		vd_call_fail(call, "there are %u already; say off first", VD_LOG_WATCHED_MAX);
		return;
	}
	list = json_array();
	vd_log_watched_each(add_watched, list);
	vd_call_reply(call, list);
}

static void add_word(void *arg, const struct vd_word *word)
{
	json_array_append_new(arg, json_pack("{s:o,s:o,s:o,s:o}", "subject", vd_text_json(word->subject), "kind", vd_text_json(word->kind),
		"word", vd_text_json(word->word), "doc", vd_text_json(word->doc)));
}

void vd_command_words(struct vd_call *call, json_t *args)
{
	json_t *list = json_array();

	vd_words_each(vd_conf_current(), json_string_value(json_object_get(args, "subject")), add_word, list);
	vd_call_reply(call, list);
}

void vd_command_status(struct vd_call *call, json_t *args)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	json_t *problems = vd_control_problems();
	unsigned up = 0, started = 0;

	(void)args;
	for (struct vd_session *s = vd_session_after(NULL); s; s = vd_session_after(s))
		up += s->state == VD_S_UP;
	for (struct vd_host *h = vd_plugins_first(); h; h = h->next)
		started += h->state == VD_HOST_STARTED;
	add_waiting(problems);
	vd_call_reply(call, json_pack("{s:o,s:o,s:I,s:I,s:i,s:I,s:I,s:I,s:i,s:i,s:o,s:b,s:o}", "verdict",
		vd_text_json(json_array_size(problems) ? "degraded" : "good"), "version", vd_text_json(VD_VERSION), "pid", (json_int_t)getpid(), "uptime_s",
		seconds_since(vd_control_started()), "workers", dp ? (int)dp->workers(dp->self) : 0, "peers",
		(json_int_t)vd_peer_count(), "channels", (json_int_t)vd_chan_count(), "sessions", (json_int_t)vd_session_count(),
		"sessions_up", (int)up, "plugins", (int)started, "configuration", vd_text_json(vd_control_dir()), "problems_more",
		(int)vd_problems_more(), "problems", problems));
}
