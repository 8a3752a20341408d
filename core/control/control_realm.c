/* realm.test: would this user get in? The providers are asked as for a login with PAP; no session is made. */
#include <stdlib.h>
#include <string.h>

#include <viaduct/secret.h>
#include <viaduct/topics.h>

#include "core/control/control_commands.h"
#include "viaduct/conf.h"

#define MAX_PROVIDERS 16

static void answered(void *arg, const struct vd_answer *a)
{
	static const char *const words[] = { [VD_PASS] = "unknown", [VD_ACCEPT] = "accept", [VD_REJECT] = "reject",
		[VD_CONTINUE] = "continue", [VD_PENDING] = "pending", [VD_UNAVAILABLE] = "unavailable" };
	const struct vd_authenticated *user = a->verdict == VD_ACCEPT ? a->data : NULL;
	char address[VD_IP_TEXT] = "";

	if (user && user->address.family)
		vd_ip_format(&user->address, address);
	vd_call_reply(arg, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:i}", "verdict", vd_text_json(words[a->verdict]), "provider", vd_text_json(a->provider), "why",
		vd_text_json(a->why.text), "origin", vd_text_json(a->why.origin), "user", vd_text_json(user ? user->user : ""), "address", vd_text_json(address), "session_timeout",
		user ? (int)user->session_timeout : 0));
}

void vd_command_realm(struct vd_call *call, json_t *args)
{
	const char *realm = json_string_value(json_object_get(args, "realm")), *user = json_string_value(json_object_get(args, "user"));
	json_t *given = json_object_get(args, "password");
	const struct vd_conf_node *realms = vd_conf_at(vd_conf_current(), NULL, "realms");
	const struct vd_conf_node *node = realm && realms ? vd_conf_child(realms, realm) : NULL;
	const char *providers[MAX_PROVIDERS + 1] = { NULL };
	struct vd_request_opts opts = { .mode = VD_FIRST, .providers = providers };
	struct vd_authenticate ask = { .method = VD_AUTH_PAP };

	if (!node) {
		vd_call_fail(call, "no realm %.64s; see realms: in the configuration", realm ? realm : "was named");
		return;
	}
	if (!user || !*user || !vd_strcpy(ask.user, sizeof(ask.user), user) || !json_is_string(given)) {
		vd_call_fail(call, "a user of at most %zu octets and his password are needed", sizeof(ask.user) - 1);
		return;
	}
	if (vd_conf_bool(vd_conf_at(vd_conf_current(), node, "fallback")))
		opts.flags |= VD_REQUEST_FALLBACK;
	node = vd_conf_at(vd_conf_current(), node, "authenticate");
	for (size_t i = 0; i < vd_conf_count(node) && i < MAX_PROVIDERS; i++)
		providers[i] = vd_conf_str(vd_conf_nth(node, i));
	vd_strcpy(ask.realm, sizeof(ask.realm), realm);
	ask.data = (struct vd_blob){ (const uint8_t *)json_string_value(given), (uint32_t)json_string_length(given) };
	if (!vd_request(&vd_topic_authenticate, &ask, &opts, answered, call))
		vd_call_fail(call, "out of memory");
	vd_wipe((void *)json_string_value(given), json_string_length(given));
}
