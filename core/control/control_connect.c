/* Control socket: connections that we dial. */
#include <errno.h>
#include <string.h>

#include <viaduct/loop.h>
#include <viaduct/object.h>

#include "core/connect/connect.h"
#include "core/control/control_commands.h"

static json_t *status_json(const struct vd_dial_status *s)
{
	char session[VD_ID_BUF], address[VD_IP_TEXT] = "", gateway[VD_IP_TEXT] = "", text[400], which[96] = "";

	if (s->address.family)
		vd_ip_format(&s->address, address);
	if (s->gateway.ip.family)
		vd_ip_format(&s->gateway.ip, gateway);
	if (s->turns > 1 && s->state == VD_DIAL_DIALLING)
		vd_format(which, sizeof(which), " %s (%u of %u addresses)", gateway, s->turn, s->turns);
	if (s->state == VD_DIAL_UP)
		vd_format(text, sizeof(text), "up, %s", address);
	else if (s->state == VD_DIAL_WAITING)
		vd_format(text, sizeof(text), "waiting %llu s: %s", (unsigned long long)((s->next_ms + 999) / 1000),
			s->reason);
	else
		vd_format(text, sizeof(text), "%s%s%s%s", vd_dial_state_name(s->state), which, s->reason[0] ? ": " : "", s->reason);
	return json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:i,s:I,s:i,s:o,s:o}", "connection", vd_text_json(s->name), "state",
		vd_text_json(vd_dial_state_name(s->state)), "since_s", (json_int_t)((vd_now() - s->since) / 1000), "session",
		vd_text_json(s->session ? vd_id_format('s', s->session, session) : ""), "address", vd_text_json(address), "gateway", vd_text_json(gateway),
		"gateways", (int)s->turns, "next_ms", (json_int_t)s->next_ms, "failures", (int)s->failures, "reason", vd_text_json(s->reason), "text",
		vd_text_json(text));
}

json_t *vd_control_dialled(const char *connection)
{
	struct vd_dial_status s;

	return vd_connect_status(connection, &s) ? status_json(&s) : json_null();
}

static void done(void *arg, const struct vd_dial_status *status, const struct vd_error *err)
{
	if (err)
		vd_call_fail(arg, "connection %s: %s", status->name, err->text);
	else
		vd_call_reply(arg, status_json(status));
}

static const char *named(struct vd_call *call, json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "connection"));

	if (!name || !*name)
		vd_call_fail(call, "say which connection; connection.list shows all");
	return name && *name ? name : NULL;
}

void vd_command_connection_up(struct vd_call *call, json_t *args)
{
	const char *name = named(call, args);
	struct vd_error err;

	if (name && vd_connect_up(name, done, call, &err) < 0)
		vd_call_fail(call, "%s", err.text);
}

void vd_command_connection_down(struct vd_call *call, json_t *args)
{
	const char *name = named(call, args);
	struct vd_error err;

	if (name && vd_connect_down(name, "taken down by the operator", done, call, &err) < 0)
		vd_call_fail(call, "%s", err.text);
}
