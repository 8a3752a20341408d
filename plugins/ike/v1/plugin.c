/* Plugin ike_v1: IKEv1 in both roles, main mode with pre-shared keys, for L2TP over IPsec; as responder with XAuth too. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ike_v1_message(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	static const uint8_t none[IKE_COOKIE_LEN];
	bool first = vd_same(h->rcookie, none, sizeof(none));

	if (h->exchange == IKE_X_AGGRESSIVE && first && ike_v1_aggressive(v)) {
		ike_v1_am1(v, path, h, p, len);
		return;
	}
	if (h->exchange == IKE_X_AGGRESSIVE && (first || !ike_v1_aggressive(v))) {
		vd_count("ike_v1.drop.aggressive", 1);
		if (first)
			ike_v1_am_off(v, path, h);
		return;
	}
	struct ike_v1_sa *sa = ike_v1_sa_find(v, h->icookie, h->rcookie);
	if (sa == NULL && !first && !(h->flags & IKE_F_ENCRYPTED)) /* an answer to our message 1 brings a new cookie */
		sa = ike_v1_sa_find(v, h->icookie, none);
	if (sa != NULL && (!first || sa->dial != NULL)) {
		ike_v1_sa_input(sa, path, h, p, len);
		return;
	}
	if (first && h->exchange == IKE_X_MAIN) {
		ike_v1_mm1(v, path, h, p, len);
		return;
	}
	if (first && h->exchange != IKE_X_INFORMATIONAL && !(h->flags & IKE_F_ENCRYPTED)) {
		ike_v1_refuse_first(v, path, h, "ike_v1.drop.exchange", IKE_N_INVALID_EXCHANGE_TYPE, (struct vd_report){
			.kind = &ike_fail_exchange, .count = h->exchange });
		return;
	}
	struct ike_v1_embryo *e = first || h->exchange != IKE_X_MAIN ? NULL : ike_v1_embryo_find(v, h->icookie, h->rcookie);

	if (e != NULL)
		ike_v1_mm3(v, e, path, h, p, len);
	else
		vd_count("ike_v1.drop.no_sa", 1);
}

static void v1_input(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	struct ike_v1 *v = arg;
	struct ike_header h;

	if (v->stopped || ike_header_parse(p, len, &h) < 0)
		return;
	ike_v1_debug("received from", path, p, len);
	if (len > IKE_MESSAGE_MAX)
		ike_v1_refuse_first(v, path, &h, "ike_v1.drop.too_long", IKE_V1_SILENT, (struct vd_report){ .kind = &ike_fail_too_much,
			.count = len, .offered = "one message", .configured = "4096 octets" });
	else if (h.next == IKE_P_MS_FRAGMENT)
		ike_v1_fragment_input(v, path, &h, p, len);
	else
		ike_v1_message(v, path, &h, p, len);
}

bool ike_v1_speaks(const struct vd_conf *conf, const struct vd_conf_node *connection, const char *list, const char *word)
{
	const struct vd_conf_node *words = vd_conf_at(conf, connection, list);

	for (size_t i = 0; i < vd_conf_count(words); i++)
		if (strcmp(vd_conf_str(vd_conf_nth(words, i)), word) == 0)
			return true;
	return false;
}

/* What this connection accepts by that word, as one more of the list. */
static int candidate_load(const struct vd_conf *conf, const struct vd_conf_node *c, const char *word,
	struct ike_v1_candidate *out, struct vd_error *err)
{
	const struct vd_conf_node *section = vd_conf_at(conf, c, word), *psk = vd_conf_at(conf, section, "psk");
	const struct vd_conf_node *says = vd_conf_at(conf, c, "crypto");
	const char *name = vd_conf_name(c), *crypto = vd_conf_str(says);

	*out = (struct ike_v1_candidate){ .key = section != NULL ? vd_conf_key(psk) : 0,
		.xauth = strcmp(word, "xauth") == 0, .crypto_written = vd_conf_written(says) };
	if (out->key == 0)
		return vd_error_set(err, -EINVAL, "connections.%s accepts %s and has no %s.psk", name, word, word);
	const char *group = vd_conf_str(vd_conf_at(conf, section, "group"));
	bool aggressive = vd_conf_bool(vd_conf_at(conf, section, "aggressive"));
	if (aggressive != (group != NULL && group[0] != '\0'))
		return vd_error_set(err, -EINVAL, aggressive ? "connections.%s.%s.aggressive needs %s.group, the name that clients say" :
			"connections.%s.%s.group is heard in aggressive mode alone: write %s.aggressive: true, or take the group out",
			name, word, word);
	vd_strcpy(out->group, sizeof(out->group), aggressive ? group : "");
	const char *id = vd_conf_str(vd_conf_at(conf, section, "id"));
	vd_strcpy(out->id, sizeof(out->id), id != NULL ? id : "");
	vd_strcpy(out->connection, sizeof(out->connection), name);
	vd_conf_origin(out->crypto_written ? says : c, out->origin, sizeof(out->origin));
	size_t n = strlen(vd_conf_origin(psk, out->psk_origin, sizeof(out->psk_origin)));
	if (vd_conf_odd(psk) != NULL)
		vd_format(out->psk_origin + n, sizeof(out->psk_origin) - n, ", whose key %s", vd_conf_odd(psk));
	return ike_policy_load(conf, crypto != NULL ? crypto : "compatible", &out->policy, err);
}

static int candidates_load(struct ike_v1_candidate *list, unsigned *ret_n, struct vd_error *err)
{
	static const char *const words[] = { "l2tp", "xauth" };
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *connections = vd_conf_at(conf, NULL, "connections");
	unsigned n = 0, of[VD_ARRAY_SIZE(words)] = { 0 };

	for (size_t i = 0; i < vd_conf_count(connections); i++)
		for (size_t w = 0; w < VD_ARRAY_SIZE(words); w++) {
			const struct vd_conf_node *c = vd_conf_nth(connections, i);

			if (!ike_v1_speaks(conf, c, "accept", words[w]))
				continue;
			int rc = of[w]++ < IKE_V1_PSKS_MAX ? candidate_load(conf, c, words[w], &list[n], err)
				: vd_error_set(err, -E2BIG, "connections.%s: at most %u connections can accept %s with a PSK, since every "
					"PSK is tried at each login", vd_conf_name(c), IKE_V1_PSKS_MAX, words[w]);
			for (unsigned k = 0; rc == 0 && list[n].group[0] != '\0' && k < n; k++)
				if (strcmp(list[k].group, list[n].group) == 0 && list[k].xauth == list[n].xauth)
					rc = vd_error_set(err, -EINVAL, "connections.%s and %s have the same %s.group: nothing tells their "
						"clients apart in aggressive mode", list[k].connection, list[n].connection, words[w]);
			if (rc < 0) {
				if (err != NULL && err->origin[0] == '\0')
					vd_error_at(err, c);
				return rc;
			}
			n++;
		}
	*ret_n = n;
	return 0;
}

static uint64_t option(const char *path)
{
	return vd_conf_uint(vd_conf_at(vd_conf_current(), NULL, path));
}

static void aggressive_tell(const struct ike_v1 *v)
{
	for (unsigned i = 0; i < v->n_candidates; i++)
		if (v->candidates[i].group[0] != '\0')
			vd_log(VD_LOG_WARNING, "ike", NULL, "connections.%s answers aggressive mode: whoever knows the name of its group can "
				"guess its pre-shared key offline", v->candidates[i].connection);
}

static void options_load(struct ike_v1 *v)
{
	v->opt.half_open_ms = option("ike_v1.half_open_timeout");
	v->opt.quick_ms = option("ike_v1.quick_timeout");
	v->opt.life_max_ms = option("ike_v1.lifetime");
	v->opt.resend_ms = option("ike_v1.retransmit");
	v->opt.resends = (uint32_t)option("ike_v1.retransmits");
	v->opt.orphan_ms = option("ike_v1.orphan_idle");
	v->opt.dpd_ms = option("ike_v1.dpd");
	v->opt.unanswered_ms = option("ike_v1.dpd_traffic");
	v->opt.xauth_ms = option("ike_v1.xauth_timeout");
}

static void peer_down(void *arg, const void *event)
{
	const struct vd_peer_down *down = event;
	struct ike_v1_peer *peer = ike_v1_peer_by_id(arg, down->peer);

	if (peer != NULL)
		ike_v1_peer_end(peer, down->reason, true);
	ike_v1_xauth_peer_gone(arg, down->peer);
}

/* Of a channel to a gateway that we called, whoever did so is told. */
static void chan_up(void *arg, const void *event)
{
	const struct vd_chan_up *up = event;
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, up->chan);

	if (peer == NULL || peer->dial == NULL || peer->dial->up_told)
		return;
	peer->dial->up_told = true;
	peer->dial->events->up(peer->dial->arg, peer->id, up->chan);
}

/* The channel went by itself or somebody closed it: the next quick mode makes a new one. */
static void chan_down(void *arg, const void *event)
{
	const struct vd_chan_down *down = event;
	struct ike_v1_peer *peer = ike_v1_peer_by_chan(arg, down->chan);

	if (peer == NULL)
		return;
	for (struct ike_v1_sa *sa = peer->sas; sa != NULL; sa = sa->peer_next)
		ike_v1_quick_kill_on(sa, down->chan);
	while (peer->children != NULL)
		ike_v1_child_remove(peer->children, true);
	ike_v1_peer_set_chan(peer, 0);
	if (peer->dial != NULL || peer->tunnel) /* what is above it is gone as well */
		ike_v1_peer_end(peer, down->reason, true);
	else
		ike_v1_peer_check(peer, down->reason);
}

static void v1_free(struct ike_v1 *v)
{
	if (v == NULL)
		return;
	while (v->fragments != NULL)
		ike_v1_fragments_free(v->fragments);
	free(v->candidates);
	ike_v1_embryos_free(v);
	free(v);
}

static int v1_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct ike_v1 *v = calloc(1, sizeof(*v));
	int rc;

	if (v == NULL)
		return vd_error_set(err, -ENOMEM, "out of memory");
	v->host = host;
	v->esp = vd_service_find("esp/1", NULL);
	v->port = vd_service_find("ike.port/1", NULL);
	v->keys = vd_service_find("keys/1", NULL);
	v->dp = vd_service_find("datapath/1", NULL);
	if (v->esp == NULL || v->port == NULL || v->keys == NULL || v->dp == NULL) {
		v1_free(v);
		return vd_error_set(err, -ENOENT, "a service is missing: esp/1, ike.port/1, keys/1 and datapath/1 are needed");
	}
	vd_random(&v->secret, sizeof(v->secret));
	vd_timer_init(&v->sweep, ike_v1_embryo_sweep_fired);
	v->sweep.kind = IKE_V1_T_SWEEP;
	options_load(v);
	bool room = ike_v1_embryos_new(v, (uint32_t)option("ike_v1.embryos"));
	v->candidates = calloc(IKE_V1_CANDIDATES_MAX, sizeof(*v->candidates));
	rc = !room || v->candidates == NULL ? vd_error_set(err, -ENOMEM, "out of memory")
		: candidates_load(v->candidates, &v->n_candidates, err);
	static const struct vd_ike_version version = { .major = 1, .input = v1_input };
	if (rc == 0 && (vd_event_subscribe(host, "peer_down", peer_down, v) < 0 ||
		vd_event_subscribe(host, "chan_down", chan_down, v) < 0 ||
		vd_event_subscribe(host, "chan_up", chan_up, v) < 0 || ike_v1_dial_service(v) < 0 ||
		vd_layer_register(host, &ike_v1_layer, v) < 0 ||
		v->port->version(v->port->self, &version, v) < 0))
		rc = vd_error_set(err, -EBUSY, "events, state layer or port cannot be had");
	if (rc < 0) {
		v1_free(v);
		return rc;
	}
	aggressive_tell(v);
	*ret_self = v;
	return 0;
}

static void v1_reload(void *self)
{
	struct ike_v1 *v = self;
	struct ike_v1_candidate *fresh = calloc(IKE_V1_CANDIDATES_MAX, sizeof(*fresh));
	struct vd_error err = { 0 };
	unsigned n;

	options_load(v);
	if (fresh == NULL || candidates_load(fresh, &n, &err) < 0) {
		vd_log(VD_LOG_ERROR, "ike", NULL, "reload: %s; the old connections stay in force",
			fresh != NULL ? err.text : "out of memory");
		free(fresh);
		return;
	}
	free(v->candidates);
	v->candidates = fresh;
	v->n_candidates = n;
	aggressive_tell(v);
}

static int v1_check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	struct ike_v1_candidate *list = calloc(IKE_V1_CANDIDATES_MAX, sizeof(*list));
	unsigned n;
	int rc = list != NULL ? candidates_load(list, &n, err) : vd_error_set(err, -ENOMEM, "out of memory");
	const struct vd_conf_node *all = vd_conf_at(vd_conf_current(), NULL, "connections");

	for (size_t i = 0; rc == 0 && i < vd_conf_count(all); i++) {
		const struct vd_conf_node *c = vd_conf_nth(all, i);

		if (ike_v1_speaks(vd_conf_current(), c, "connect", "l2tp") && vd_conf_at(vd_conf_current(), c, "l2tp.psk") == NULL)
			rc = vd_check_error(c, "connections.%s connects by l2tp and has no l2tp.psk", vd_conf_name(c));
	}
	(void)self;
	(void)plan;
	free(list);
	return rc;
}

static void half_open_free(struct ike_v1 *v)
{
	struct ike_v1_sa *next;

	vd_timer_stop(&v->sweep);
	for (unsigned i = 0; i < IKE_V1_BUCKETS; i++)
		for (struct ike_v1_sa *sa = v->buckets[i]; sa != NULL; sa = next) {
			next = sa->hash_next;
			ike_v1_sa_free(sa, "stopping");
		}
}

static void v1_close(void *self)
{
	struct ike_v1 *v = self;

	v->stopped = true;
	while (v->peers != NULL)
		ike_v1_peer_end(v->peers, "the gateway is stopping", true);
	half_open_free(v);
}

/* Without close before it (the state was exported for a successor) nothing is said to anybody. */
static void v1_fini(void *self)
{
	struct ike_v1 *v = self;
	struct vd_ike_version none = { .major = 1 };

	v->stopped = v->silent = true;
	while (v->peers != NULL)
		ike_v1_peer_discard(v->peers, "stopping", false);
	half_open_free(v);
	v->port->version(v->port->self, &none, NULL);
	v1_free(v);
}

static const struct vd_opt v1_schema[] = {
	{ "connections.*.l2tp", VD_T_MAP, 0, NULL, NULL, "L2TP over IPsec on this connection." },
	{ "connections.*.l2tp.aggressive", VD_T_BOOL, 0, "false", NULL,
		"Answer aggressive mode, which some clients insist on: whoever knows the group's name gets something to guess the "
		"pre-shared key from, offline, so the key must have 128 random bits." },
	{ "connections.*.l2tp.auth", VD_T_WORD, 0, "psk", "psk",
		"How gateway and client prove themselves to each other in IKE." },
	{ "connections.*.l2tp.encap", VD_T_WORD, 0, "auto", "auto|udp",
		"How ESP of a connection that we dial travels: in UDP where there is a NAT, or always." },
	{ "connections.*.l2tp.group", VD_T_STRING, 0, NULL, "127",
		"With aggressive: the name by which clients choose this connection; they call it group or identifier." },
	{ "connections.*.l2tp.id", VD_T_STRING, 0, NULL, "127",
		"Who the gateway says it is, to clients or to a gateway that it dials: an address, a name, or a name with @; its own "
		"address if not given. Behind a router, peers that check it, as libreswan with right=, want the public address." },
	{ "connections.*.l2tp.peer_id", VD_T_STRING, 0, NULL, "127",
		"Of a connection that we dial: who the gateway must say it is; anybody with the key if not given." },
	{ "connections.*.l2tp.psk", VD_T_KEY, 0, NULL, NULL,
		"The pre-shared key, at best 128 random bits: who has it can pose as the gateway." },
	{ "connections.*.xauth", VD_T_MAP, 0, NULL, NULL,
		"IPsec with XAuth on this connection: \"Cisco IPsec\" of Apple, \"IPSec Xauth PSK\" of Android, vpnc." },
	{ "connections.*.xauth.aggressive", VD_T_BOOL, 0, "false", NULL,
		"Answer aggressive mode, which some clients insist on: whoever knows the group's name gets something to guess the "
		"pre-shared key from, offline, so the key must have 128 random bits." },
	{ "connections.*.xauth.banner", VD_T_STRING, 0, NULL, "500", "A text that clients show to their users." },
	{ "connections.*.xauth.group", VD_T_STRING, 0, NULL, "127",
		"With aggressive: the name by which clients choose this connection; they call it group or identifier." },
	{ "connections.*.xauth.id", VD_T_STRING, 0, NULL, "127",
		"Who the gateway says it is: an address, a name, or a name with @; its own address if not given." },
	{ "connections.*.xauth.mode_config", VD_T_WORD, 0, "pull", "pull|push",
		"Whether clients ask for their address, as all stock clients do, or are told." },
	{ "connections.*.xauth.psk", VD_T_KEY, 0, NULL, NULL,
		"The pre-shared key, at best 128 random bits: who has it can pose as the gateway and learn passwords." },
	{ "connections.*.xauth.save_password", VD_T_BOOL, 0, "true", NULL,
		"Whether clients may keep the password; without, users type it again at every rekey of phase 1." },
	{ "ike_v1", VD_T_MAP, 0, NULL, NULL, "IKEv1, for L2TP over IPsec and for IPsec with XAuth." },
	{ "ike_v1.embryos", VD_T_UINT, 0, "32768", "8..262144",
		"First messages that are remembered at the same time, 0.4 kB each; new ones push out old ones." },
	{ "ike_v1.half_open_timeout", VD_T_DURATION, VD_OPT_LIVE, "30s", "5s..120s",
		"Time for a client to finish phase 1." },
	{ "ike_v1.quick_timeout", VD_T_DURATION, VD_OPT_LIVE, "30s", "5s..120s",
		"Time for a client to finish a quick mode." },
	{ "ike_v1.lifetime", VD_T_DURATION, VD_OPT_LIVE, "24h", "5m..24h",
		"Longest life of an SA; shorter ones as the client offers." },
	{ "ike_v1.retransmit", VD_T_DURATION, VD_OPT_LIVE, "500ms", "100ms..10s",
		"Time to the first repetition of an answer that got no answer; doubled each time." },
	{ "ike_v1.retransmits", VD_T_UINT, VD_OPT_LIVE, "4", "0..8", "How often an answer is repeated by itself." },
	{ "ike_v1.orphan_idle", VD_T_DURATION, VD_OPT_LIVE, "10m", "30s..1d",
		"A client without an IKE SA, a CHILD SA or a session is let go after this time without a packet, and one with a "
		"tunnel (XAuth) when it did not answer in it either." },
	{ "ike_v1.dpd", VD_T_DURATION, VD_OPT_LIVE, "30s", "5s..1h",
		"A gateway that we dialled and that is silent this long is asked whether it lives." },
	{ "ike_v1.dpd_traffic", VD_T_DURATION, VD_OPT_LIVE, "7s", "2s..1h",
		"When packets that we sent to a gateway that we dialled had no answer for 3 s, it is asked every second whether it "
		"lives, and given up after this time of silence more." },
	{ "ike_v1.xauth_timeout", VD_T_DURATION, VD_OPT_LIVE, "2m", "10s..10m",
		"Time for a user to answer what XAuth asks." },
	{ NULL, 0, 0, NULL, NULL, NULL },
};
static const char *const v1_provides[] = { "ike/v1", "accept/l2tp", "accept/xauth", "ike.connect/1", NULL };
static const char *const v1_needs[] = { "esp/1", "ike.port/1", "keys/1", "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "ike", "IKE: negotiations; debug: each message that comes and goes" },
	{ NULL, NULL },
};

VD_PLUGIN(ike_v1, .version = "1.0", .license = "MIT", .log_areas = log_areas, .words = ike_policy_words, .failures = ike_v1_failures, .quirks = ike_v1_quirks, .shown = ike_v1_shown,
	.summary = "IKEv1 with pre-shared keys for L2TP over IPsec, answering and dialling, and for XAuth", .provides = v1_provides,
	.needs = v1_needs, .schema = v1_schema, .init = v1_init, .reload = v1_reload, .check = v1_check, .close = v1_close, .fini = v1_fini);
