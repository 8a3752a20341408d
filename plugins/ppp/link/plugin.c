/* Plugin ppp_link: PPP toward the client (service link/1). */
#include "link.h"
#include "ppp_stage.h"

#include <viaduct/conf.h>
#include <viaduct/plugin.h>
#include <viaduct/state.h>

#include <errno.h>
#include <stdlib.h>

static const char *const provides[] = { "link/1", NULL };
/* MS-CHAPv2 for connections without a list; then, before us, the other methods that lists name. */
static const char *const needs[] = { "datapath/1", "ppp.auth=mschapv2", "ppp.auth/1", "tun/1", NULL };

static const struct vd_opt schema[] = {
	{ "ppp", VD_T_MAP, 0, NULL, NULL, "PPP with the clients; each option may also stand in a connection." },
	{ "ppp.auth", VD_T_WORD, VD_OPT_KNOB | VD_OPT_LIST | VD_OPT_LIVE, NULL, "mschapv2|chap|pap|eap",
		"How clients prove who they are, the preferred method first and pap always last; without it eap and "
		"mschapv2, as far as they are loaded." },
	{ "ppp.auth_retries", VD_T_UINT, VD_OPT_KNOB | VD_OPT_LIVE, "0", "0..5",
		"So often a client that was told that its password is wrong may send another one without dialling anew (MS-CHAPv2)." },
	{ "ppp.echo_interval", VD_T_DURATION, VD_OPT_KNOB | VD_OPT_LIVE, "30s", "1s..1h",
		"After this much silence the client is asked whether it is still there." },
	{ "ppp.echo_failures", VD_T_UINT, VD_OPT_KNOB | VD_OPT_LIVE, "4", "0..100",
		"So many unanswered LCP echoes in a row end the session, of a client of Apple's or an Android only after half an "
		"hour; 0 never asks." },
	{ "ppp.setup_timeout", VD_T_DURATION, VD_OPT_KNOB | VD_OPT_LIVE, "60s", "5s..10m",
		"A client whose PPP is not up after this time is dropped." },
	{ "connections.*.ppp", VD_T_MAP, 0, NULL, NULL, "PPP knobs for the clients of this connection." },
	{ "connections.*.ppp.auth", VD_T_WORD, VD_OPT_LIST | VD_OPT_LIVE, NULL, "mschapv2|chap|pap|eap",
		"How clients prove who they are, the preferred method first and pap always last; without it eap and "
		"mschapv2, as far as they are loaded." },
	{ "connections.*.ppp.auth_retries", VD_T_UINT, VD_OPT_LIVE, NULL, "0..5",
		"So often a client that was told that its password is wrong may send another one without dialling anew (MS-CHAPv2)." },
	{ "connections.*.ppp.echo_interval", VD_T_DURATION, VD_OPT_LIVE, NULL, "1s..1h",
		"After this much silence the client is asked whether it is still there." },
	{ "connections.*.ppp.echo_failures", VD_T_UINT, VD_OPT_LIVE, NULL, "0..100",
		"So many unanswered LCP echoes in a row end the session, of a client of Apple's or an Android only after half an "
		"hour; 0 never asks." },
	{ "connections.*.ppp.setup_timeout", VD_T_DURATION, VD_OPT_LIVE, NULL, "5s..10m",
		"A client whose PPP is not up after this time is dropped." },
	{ NULL },
};

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct ppp_self *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return vd_error_set(err, -ENOMEM, "out of memory");
	self->dp = vd_service_find("datapath/1", NULL);
	if (!self->dp) {
		free(self);
		return vd_error_set(err, -ENOENT, "service datapath/1 is missing");
	}
	self->service = (struct vd_link_1){ .self = self, .start = ppp_link_start, .stage = &ppp_stage,
		.lower_down = ppp_link_lower_down, .stop = ppp_link_stop };
	r = vd_service_provide(host, "link/1", NULL, &self->service);
	if (r >= 0)
		r = vd_layer_register(host, &ppp_layer, self);
	if (r < 0) {
		free(self);
		return vd_error_set(err, r, "service link/1 or its layer could not be registered");
	}
	*ret_self = self;
	return 0;
}

static void end_links(void *self_)
{
	struct ppp_self *self = self_;
	uint64_t after = 0;

	for (struct ppp_map_node *node; (node = ppp_map_after(&self->links, after)); after = node->id)
		ppp_link_fail(VD_CONTAINER_OF(node, struct ppp_link, node), PPP_SAID, "the gateway stops");
}

static void fini(void *self_)
{
	struct ppp_self *self = self_;

	for (struct ppp_map_node *node; (node = ppp_map_any(&self->links));)
		ppp_link_free(VD_CONTAINER_OF(node, struct ppp_link, node));
	ppp_map_fini(&self->links);
	free(self);
}

static const struct vd_log_area log_areas[] = {
	{ "ppp", "PPP; debug: each packet of its control protocols, never passwords" },
	{ NULL, NULL },
};

VD_PLUGIN(ppp_link, .version = "0.1.0", .license = "MIT", .log_areas = log_areas, .summary = "PPP: LCP, IPCP, IPV6CP and the phases between them",
	.provides = provides, .needs = needs, .schema = schema, .failures = ppp_failures, .quirks = ppp_link_quirks, .shown = ppp_shown, .init = init, .close = end_links, .fini = fini);
