/* Service ike.port/1: UDP 500 and 4500 shared by the IKE versions. Checks the header, hands whole messages to the
 * version that registered, and keeps the account of half-open exchanges. It answers one thing itself: a first message of a
 * version that nobody registered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/datapath.h>
#include <viaduct/ike.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>

#include "../lib/isakmp.h"
#include "../lib/policy.h"

#define VERSIONS_MAX 4u
/* Buckets of source networks. Two networks that share one share its limit, which only counts while the gateway is busy.
 */
#define SOURCES 4096u
/* Answers to other versions: a second apart for one source bucket, so many a second for all. */
#define OTHER_VERSION_MS 1000u
#define OTHER_VERSION_MAX 200u

extern const struct vd_failure ike_port_fail_version;
const struct vd_failure ike_port_fail_version = { .word = "protocol-version", .stage = "phase1",
	.say = "the {peer} speaks {offered}, and this gateway serves {configured}", .difference = "the version of the protocol" };

struct ike_port {
	struct vd_ike_port_1 service;
	const struct vd_datapath_1 *datapath;
	struct vd_ike_version versions[VERSIONS_MAX];
	void *version_args[VERSIONS_MAX];
	unsigned n_versions;
	uint32_t half_open, half_open_max, half_open_busy, per_source;
	uint32_t forgeable, forgeable_max; /* places apart, for exchanges from addresses that nothing proves */
	uint64_t secret;
	uint16_t sources[SOURCES];
	uint64_t version_said[SOURCES]; /* vd_now() of the last answer to another version; 0: none */
	uint64_t version_since;
	unsigned version_count; /* of such answers since then */
	struct vd_log_limit limit;
};

/* /32 for IPv4, /64 for IPv6: what one attacker has for certain. */
static uint32_t source_of(const struct ike_port *port, const struct vd_ip *ip)
{
	uint64_t h = port->secret;
	unsigned n = ip->family == AF_INET6 ? 8 : 4;

	for (unsigned i = 0; i < n; i++)
		h = (h ^ ip->a[i]) * 0x9e3779b97f4a7c15u;
	return (h ^ h >> 29) % SOURCES;
}

static uint16_t *source_bucket(struct ike_port *port, const struct vd_ip *ip)
{
	return &port->sources[source_of(port, ip)];
}

static bool port_half_open_take(void *self, const struct vd_ip *source, enum vd_standing standing)
{
	struct ike_port *port = self;
	uint16_t *bucket = source_bucket(port, source);

	if (standing == VD_STANDING_FORGEABLE) {
		if (port->forgeable >= port->forgeable_max) {
			vd_count("ike_port.refused.half_open_forgeable", 1);
			return false;
		}
		port->forgeable++;
		return true;
	}
	if (port->half_open >= port->half_open_max) {
		vd_count("ike_port.refused.half_open", 1);
		return false;
	}
	if (port->half_open >= port->half_open_busy && *bucket >= port->per_source + vd_known_places(source)) {
		vd_count("ike_port.refused.half_open_source", 1);
		return false;
	}
	if (*bucket < UINT16_MAX)
		++*bucket;
	port->half_open++;
	return true;
}

static void port_half_open_give(void *self, const struct vd_ip *source, enum vd_standing standing)
{
	struct ike_port *port = self;
	uint16_t *bucket = source_bucket(port, source);

	if (standing == VD_STANDING_FORGEABLE) {
		if (port->forgeable > 0)
			port->forgeable--;
		return;
	}
	if (*bucket > 0)
		--*bucket;
	if (port->half_open > 0)
		port->half_open--;
}

static int port_version(void *self, const struct vd_ike_version *version, void *arg)
{
	struct ike_port *port = self;

	for (unsigned i = 0; i < port->n_versions; i++)
		if (port->versions[i].major == version->major) {
			if (version->input != NULL)
				return -EEXIST;
			port->n_versions--;
			port->versions[i] = port->versions[port->n_versions];
			port->version_args[i] = port->version_args[port->n_versions];
			return 0;
		}
	if (version->input == NULL)
		return -ENOENT;
	if (port->n_versions == VERSIONS_MAX)
		return -ENOSPC;
	port->versions[port->n_versions] = *version;
	port->version_args[port->n_versions++] = arg;
	return 0;
}

static int port_send(void *self, const struct vd_path *path, const void *p, size_t len)
{
	struct ike_port *port = self;
	int rc = port->datapath->ike_send(port->datapath->self, path, p, len);

	if (rc < 0)
		vd_count("ike_port.send_failed", 1);
	return rc;
}

static void drop(struct ike_port *port, const struct vd_path *path, const char *why)
{
	const struct vd_ids ids = { .remote = &path->remote };
	char text[VD_SA_TEXT];

	vd_log_limited(&port->limit, VD_LOG_DEBUG, "ike", &ids, "message from %s dropped: %s",
		vd_sa_format(&path->remote, text), why);
}

static bool version_allowed(struct ike_port *port, const struct vd_ip *source)
{
	uint64_t now = vd_now(), *said = &port->version_said[source_of(port, source)];

	if (*said != 0 && now - *said < OTHER_VERSION_MS)
		return false;
	if (port->version_count == 0 || now - port->version_since >= 1000) {
		port->version_since = now;
		port->version_count = 0;
	}
	if (port->version_count >= OTHER_VERSION_MAX)
		return false;
	port->version_count++;
	*said = now != 0 ? now : 1;
	return true;
}

/* Nobody serves this version. A first request of it (IKEv2 and what may come after it have its header: RFC 7296 section 3.1)
 * gets a one-way response, INVALID_MAJOR_VERSION with the version that we do serve in its header (sections 1.5, 2.5 and
 * 3.10.1), and a report, since a client set to the wrong kind of VPN looks as if the gateway were not there. */
static void other_version(struct ike_port *port, const struct vd_path *path, const struct ike_header *h)
{
	static const uint8_t none[IKE_COOKIE_LEN], notify[] = { 0, 0, 0, IKE2_N_INVALID_MAJOR_VERSION };
	struct ike_header answer = { .exchange = h->exchange, .flags = IKE2_F_RESPONSE, .mid = h->mid };
	uint8_t room[IKE_HEADER_LEN + 4 + sizeof(notify)];
	char version[16];
	struct ike_out out;

	vd_count("ike_port.drop.version", 1);
	drop(port, path, "IKE version that is not served");
	if (h->version >> 4 < 2 || h->exchange != IKE2_X_SA_INIT || h->flags & IKE2_F_RESPONSE || h->mid != 0 ||
		memcmp(h->rcookie, none, sizeof(none)) != 0)
		return;
	if (!version_allowed(port, &path->remote.ip)) {
		vd_count("ike_port.refused.version_limit", 1);
		return;
	}
	vd_format(version, sizeof(version), "IKEv%u", h->version >> 4);
	vd_report_failure(&(struct vd_report){ .kind = &ike_port_fail_version, .remote = &path->remote, .offered = version,
		.configured = "IKEv1", .remedy = "configure the client for L2TP/IPsec, or for IPsec with XAuth (\"Cisco IPsec\"): "
		"IKEv2 is served from a later version of the gateway on" });
	memcpy(answer.icookie, h->icookie, IKE_COOKIE_LEN);
	ike_out_init(&out, room, sizeof(room), &answer);
	ike_out_payload(&out, IKE2_P_NOTIFY, notify, sizeof(notify));
	int len = ike_out_finish(&out);
	if (len <= 0 || (uint32_t)len > h->len) /* an answer is never longer than its question */
		return;
	vd_count("ike_port.refused.version", 1);
	port_send(port, path, room, (size_t)len);
}

static void port_input(void *arg, const struct vd_path *path, const uint8_t *p, size_t len)
{
	struct ike_port *port = arg;
	struct ike_header h;

	if (ike_header_parse(p, len, &h) < 0) {
		vd_count("ike_port.drop.short", 1);
		return drop(port, path, "shorter than an IKE header");
	}
	if (h.len != len) {
		vd_count("ike_port.drop.length", 1);
		return drop(port, path, "length field is wrong");
	}
	if (path->remote.port == 0) {
		vd_count("ike_port.drop.source", 1);
		return drop(port, path, "source port 0");
	}
	static const uint8_t none[IKE_COOKIE_LEN];
	if (memcmp(h.icookie, none, sizeof(none)) == 0) {
		vd_count("ike_port.drop.cookie", 1);
		return drop(port, path, "no initiator cookie");
	}
	for (unsigned i = 0; i < port->n_versions; i++)
		if (port->versions[i].major == h.version >> 4) {
			port->versions[i].input(port->version_args[i], path, p, len);
			return;
		}
	other_version(port, path, &h);
}

static void port_options(struct ike_port *port)
{
	const struct vd_conf *conf = vd_conf_current();

	port->half_open_max = (uint32_t)vd_conf_uint(vd_conf_at(conf, NULL, "ike_port.half_open"));
	port->per_source = (uint32_t)vd_conf_uint(vd_conf_at(conf, NULL, "ike_port.half_open_per_source"));
	port->half_open_busy = port->half_open_max / 4;
	port->forgeable_max = port->half_open_max / 8; /* at least 2, as the least half_open is 16 */
}

/* The sets of algorithms, also those that nobody names. */
static bool is_built_in(const char *name)
{
	return strcmp(name, "modern") == 0 || strcmp(name, "compatible") == 0 || strcmp(name, "legacy") == 0;
}

static int port_check(void *self, struct vd_plan *plan, struct vd_error *err)
{
	const struct vd_conf_node *sets = vd_conf_at(vd_conf_current(), NULL, "crypto");
	struct ike_policy *policy = malloc(sizeof(*policy));
	int rc = policy != NULL ? 0 : vd_error_set(err, -ENOMEM, "out of memory");

	(void)self;
	(void)plan;
	for (size_t i = 0; i < vd_conf_count(sets); i++)
		if (is_built_in(vd_conf_name(vd_conf_nth(sets, i))))
			rc = vd_check_error(vd_conf_nth(sets, i), "crypto.%s: a built-in set has this name; give yours another one",
				vd_conf_name(vd_conf_nth(sets, i)));
	for (size_t i = 0; i < vd_conf_count(sets) && rc >= 0; i++)
		rc = ike_policy_load(vd_conf_current(), vd_conf_name(vd_conf_nth(sets, i)), policy, err);
	free(policy);
	return rc < 0 ? rc : 0;
}

static int port_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	const struct vd_datapath_1 *datapath = vd_service_find("datapath/1", NULL);
	int rc = port_check(NULL, NULL, err);

	if (rc < 0)
		return rc;
	if (datapath == NULL)
		return vd_error_set(err, -ENOENT, "service datapath/1 is not there");
	struct ike_port *port = calloc(1, sizeof(*port));
	if (port == NULL)
		return vd_error_set(err, -ENOMEM, "out of memory");
	port->datapath = datapath;
	port->limit = (struct vd_log_limit)VD_LOG_LIMIT(10, 60000);
	vd_random(&port->secret, sizeof(port->secret));
	port->service = (struct vd_ike_port_1){ .self = port, .version = port_version, .send = port_send,
		.half_open_take = port_half_open_take, .half_open_give = port_half_open_give };
	port_options(port);
	rc = datapath->ike_input(datapath->self, port_input, port);
	if (rc == 0)
		rc = vd_service_provide(host, "ike.port/1", NULL, &port->service);
	if (rc < 0) {
		free(port);
		return vd_error_set(err, rc, "ike.port/1 cannot be provided");
	}
	*ret_self = port;
	return 0;
}

static void port_reload(void *self)
{
	port_options(self);
}

static void port_fini(void *self)
{
	struct ike_port *port = self;

	port->datapath->ike_input(port->datapath->self, NULL, NULL);
	free(port);
}

static const struct vd_opt port_schema[] = {
	{ "crypto", VD_T_MAP, 0, NULL, NULL, "Own sets of algorithms, beside modern, compatible and legacy." },
	{ "crypto.*", VD_T_MAP, 0, NULL, NULL, "One set of algorithms." },
	{ "crypto.*.extends", VD_T_WORD, 0, "compatible", "modern|compatible|legacy",
		"The set whose lists hold where no own list is given." },
	{ "crypto.*.ike", VD_T_STRING, VD_OPT_LIST, NULL, "47",
		"Suites for IKE in order of preference, as aes256-sha256-modp2048. Their groups are those allowed for PFS." },
	{ "crypto.*.esp", VD_T_STRING, VD_OPT_LIST, NULL, "47",
		"Suites for ESP in order of preference, as aes256-sha256 or aes256gcm16." },
	{ "connections.*.crypto", VD_T_REF, 0, "compatible", "crypto:modern|compatible|legacy",
		"Algorithms allowed: modern, compatible, legacy, or a set of your own under crypto." },
	{ "ike_port", VD_T_MAP, 0, NULL, NULL, "The ports that all IKE versions share." },
	{ "ike_port.half_open", VD_T_UINT, VD_OPT_LIVE, "2000", "16..1000000",
		"Unfinished first exchanges that are kept at the same time, over all clients; for aggressive mode, where the client's "
		"address may be forged, there are an eighth as many places apart." },
	{ "ike_port.half_open_per_source", VD_T_UINT, VD_OPT_LIVE, "50", "1..60000",
		"Of these for one source address (IPv6: network) while more than a quarter of half_open is used, besides one for each "
		"session that was authenticated from there within a day." },
	{ NULL, 0, 0, NULL, NULL, NULL },
};
static const char *const port_provides[] = { "ike.port/1", NULL };
static const char *const port_needs[] = { "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "ike", "IKE: negotiations; debug: each message that comes and goes" },
	{ NULL, NULL },
};

static const struct vd_failure *const port_failures[] = { &ike_port_fail_version, NULL };

VD_PLUGIN(ike_port, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "UDP ports 500 and 4500 for all IKE versions",
	.provides = port_provides, .needs = port_needs, .schema = port_schema, .failures = port_failures, .init = port_init, .reload = port_reload, .check = port_check,
	.fini = port_fini);
