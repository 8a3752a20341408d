#include "tests/scenario/gateway.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/loop.h>
#include <viaduct/priv.h>
#include <viaduct/state.h>

#include "core/bus.h"
#include "core/connect/connect.h"
#include "core/object/object.h"
#include "core/plugin.h"
#include "core/reload.h"
#include "core/session/session.h"
#include "core/system/keys.h"
#include "core/system/work.h"
#include "plugins/l2tp/l2tp_guard.h"
#include "plugins/l2tp/l2tp_guard.h"
#include "plugins/pool/local/pool.h"
#include "tests/scenario/wire.h"

extern const struct vd_plugin esp_userspace_LTX_vd_plugin, ike_port_LTX_vd_plugin, ike_v1_LTX_vd_plugin,
	net_tun_LTX_vd_plugin, ppp_auth_chap_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin, ppp_auth_pap_LTX_vd_plugin,
	ppp_link_LTX_vd_plugin, l2tp_LTX_vd_plugin,
	pool_local_LTX_vd_plugin, aaa_users_LTX_vd_plugin, net_dhcpinform_LTX_vd_plugin, net_ra_LTX_vd_plugin,
	net_dhcpv6_LTX_vd_plugin;
/* In the order of needs. */
static const struct vd_plugin *const plugins[] = { &esp_userspace_LTX_vd_plugin, &ike_port_LTX_vd_plugin,
	&ike_v1_LTX_vd_plugin, &net_tun_LTX_vd_plugin, &ppp_auth_chap_LTX_vd_plugin, &ppp_auth_mschapv2_LTX_vd_plugin,
	&ppp_auth_pap_LTX_vd_plugin, &ppp_link_LTX_vd_plugin,
	&l2tp_LTX_vd_plugin, &net_dhcpinform_LTX_vd_plugin, &net_ra_LTX_vd_plugin, &net_dhcpv6_LTX_vd_plugin,
	&pool_local_LTX_vd_plugin, &aaa_users_LTX_vd_plugin, NULL };
#define N_PLUGINS (VD_ARRAY_SIZE(plugins) - 1)
#define WORKERS 2u

static char folder[64];
static const char *yaml_now, *address_now;
static struct gateway_how how_now;

/* ---- priv/1: everything works, nothing happens ---- */
struct later {
	void (*done)(void *arg, const struct vd_error *err);
	void (*tun)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err);
	void *arg;
	unsigned n;
};

static void later_run(void *arg)
{
	struct later l = *(struct later *)arg;
	int fds[WORKERS];

	free(arg);
	if (l.done) {
		l.done(l.arg, NULL);
		return;
	}
	for (unsigned i = 0; i < l.n; i++)
		ck_assert_int_ge(fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC), 0);
	l.tun(l.arg, fds, l.n, "viaduct0", NULL);
}

static int later(struct later what)
{
	struct later *l = malloc(sizeof(*l));

	ck_assert_ptr_nonnull(l);
	*l = what;
	return vd_defer(later_run, l);
}

static int priv_tun(void *self, const char *name, unsigned n, unsigned mtu, unsigned txqueuelen,
	void (*done)(void *arg, const int *fds, unsigned n, const char *name, const struct vd_error *err), void *arg)
{
	(void)self, (void)name, (void)mtu, (void)txqueuelen;
	ck_assert_uint_eq(n, how_now.workers ? how_now.workers : WORKERS);
	return later((struct later){ .tun = done, .arg = arg, .n = n });
}

static int priv_net(void *self, bool add, const char *dev, const struct vd_prefix *prefix,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self, (void)add, (void)dev, (void)prefix;
	return later((struct later){ .done = done, .arg = arg });
}

static int priv_sysctl(void *self, const char *name, const char *value,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self, (void)name, (void)value;
	return later((struct later){ .done = done, .arg = arg });
}

static int priv_route_from(void *self, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source,
	void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	(void)self, (void)dev, (void)dst, (void)source;
	return later((struct later){ .done = done, .arg = arg });
}

static int priv_pin(void *self, bool add, const struct vd_ip *host, void (*done)(void *arg, const struct vd_error *err),
	void *arg)
{
	(void)self, (void)add, (void)host;
	return later((struct later){ .done = done, .arg = arg });
}

static int priv_unreachable(void *self, bool add, const struct vd_prefix *dst, void (*done)(void *arg, const struct vd_error *err),
	void *arg)
{
	(void)self, (void)add, (void)dst;
	return later((struct later){ .done = done, .arg = arg });
}

static const struct vd_priv_1 priv = { .open_tun = priv_tun, .address = priv_net, .route = priv_net, .sysctl = priv_sysctl,
	.route_from = priv_route_from, .pin = priv_pin, .unreachable = priv_unreachable };

static void on_dials(void *self, bool (*dials)(void *arg, const struct vd_ip *ip), void *arg)
{
	(void)self, (void)dials, (void)arg;
}
static const struct l2tp_guard_1 guard = { NULL, on_dials };

/* ---- life ---- */
static void bring_up(uint64_t seed)
{
	struct vd_error err = { 0 };
	struct vd_host *hosts[N_PLUGINS];

	fake_init(seed);
	if (how_now.load)
		how_now.load();
	else
		fake_conf(yaml_now, plugins, folder);
	vd_budget_reset();
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_keys_init(), 0);
	fake_service("priv/1", NULL, &priv);
	fake_service("l2tp_guard/1", NULL, &guard);
	ck_assert_int_eq(vd_datapath_init(), 0);
	static const struct vd_topic *const watched[] = { &vd_topic_peer_up, &vd_topic_peer_down, &vd_topic_chan_up,
		&vd_topic_chan_down, &vd_topic_l2tp_tunnel_up, &vd_topic_session_new, &vd_topic_session_up,
		&vd_topic_session_down, &vd_topic_session_gone, &vd_topic_auth_ok, &vd_topic_auth_failed,
		&vd_topic_setup_failed };
	for (size_t i = 0; i < VD_ARRAY_SIZE(watched); i++)
		fake_watch(watched[i]);
	for (size_t i = 0; i < N_PLUGINS; i++) {
		hosts[i] = vd_plugin_preload(plugins[i], &err);
		ck_assert_msg(hosts[i] && vd_host_init(hosts[i], &err) == 0, "%s: %s", plugins[i]->name, err.text);
	}
	if (how_now.listen) {
		size_t n_listen = 0;
		const struct vd_ip *listen = how_now.listen(&n_listen);

		ck_assert_int_eq(vd_datapath_start_inline_on(how_now.workers, listen, n_listen), 0);
	} else {
		struct vd_ip here;

		ck_assert(vd_ip_parse(address_now, &here));
		ck_assert_int_eq(vd_datapath_start_inline_at(WORKERS, &here), 0);
	}
	vd_datapath_capture(how_now.sent ? how_now.sent : wire_sent, NULL);
	for (size_t i = 0; i < N_PLUGINS; i++)
		ck_assert_msg(vd_host_start(hosts[i], &err) == 0, "%s: %s", plugins[i]->name, err.text);
	ck_assert_msg(vd_plugins_choose(vd_conf_current(), &err) == 0, "%s", err.text); /* what a reload compares with */
	fake_drain();
}

static void take_down(bool farewell, void (*then)(void))
{
	for (size_t i = N_PLUGINS; farewell && i-- > 0;) {
		vd_host_stop(vd_plugin_find(plugins[i]->name));
		fake_drain();
	}
	if (farewell)
		fake_advance(3000);
	vd_datapath_stop();
	fake_drain();
	for (size_t i = N_PLUGINS; i-- > 0;)
		vd_host_fini(vd_plugin_find(plugins[i]->name));
	fake_drain();
	if (then)
		then();
	vd_connect_fini();
	vd_reload_fini();
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	vd_keys_fini();
	fake_conf_fini();
	fake_fini();
}

static void users_write(void)
{
	static const char *const names[] = { "alice", "bob", "carol", "dave" };
	char path[128], name[64], value[64];
	FILE *f;

	strcpy(folder, "/tmp/vd-scenario-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/users.yaml", folder);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < VD_ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "SCENARIO_%s", names[i]);
		snprintf(value, sizeof(value), "%s-password", names[i]);
		setenv(name, value, 1);
		fprintf(f, "%s: { password: !env %s", names[i], name);
		if (i < 2)
			fprintf(f, ", address: 10.8.0.%u", 11 + (unsigned)i);
		else if (i == 3)
			fputs(", prefix: \"2001:db8:8:3::/64\"", f);
		fputs(" }\n", f);
	}
	fclose(f);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

void gateway_start(const char *yaml)
{
	gateway_start_at(yaml, "192.0.2.1");
}

void gateway_start_at(const char *yaml, const char *address)
{
	setenv("SCENARIO_PSK_STAFF", GATEWAY_PSK_STAFF, 1);
	setenv("SCENARIO_PSK_DEVICES", GATEWAY_PSK_DEVICES, 1);
	users_write();
	how_now = (struct gateway_how){ 0 };
	yaml_now = yaml;
	address_now = address;
	wire_init();
	bring_up(7);
}

void gateway_start_how(const struct gateway_how *how)
{
	how_now = *how;
	users_write(); /* its folder */
	wire_init();
	bring_up(7);
}

const struct vd_plugin *const *gateway_plugins(void)
{
	return plugins;
}

const char *gateway_folder(void)
{
	return folder;
}

void gateway_stop(void)
{
	gateway_stop_with(NULL);
}

void gateway_stop_with(void (*then)(void))
{
	char path[128];

	take_down(true, then);
	snprintf(path, sizeof(path), "rm -rf %s", folder);
	ck_assert_int_eq(system(path), 0);
}

int gateway_reborn(struct vd_error *why)
{
	static uint8_t a[1 << 20], b[1 << 20];
	static uint64_t seed = 1000;
	struct vd_error err = { 0 };
	struct vd_wr wa, wb;
	struct vd_rd r;

	fake_drain();
	vd_wr_init(&wa, a, sizeof(a));
	int res = vd_state_export(&wa, why);
	if (res == -EAGAIN)
		return res;
	ck_assert_msg(res == 0, "%s", why->text);
	take_down(false, NULL);
	bring_up(++seed);
	vd_rd_init(&r, a, wa.len);
	ck_assert_msg(vd_state_import(&r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	ck_assert(vd_rd_done(&r));
	fake_drain();
	vd_wr_init(&wb, b, sizeof(b));
	ck_assert_msg(vd_state_export(&wb, &err) == 0, "%s", err.text);
	if (wa.len != wb.len || memcmp(a, b, wa.len)) {
		size_t at = 0;

		while (at < wa.len && at < wb.len && a[at] == b[at])
			at++;
		ck_abort_msg("export after import differs at octet %zu of %zu (%zu before)", at, wb.len, wa.len);
	}
	return 0;
}

void gateway_empty(void)
{
	fake_drain();
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(vd_chan_count(), 0);
	ck_assert_uint_eq(vd_peer_count(), 0);
	ck_assert_uint_eq(vd_bus_open_requests(0), 0);
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	ck_assert_uint_eq(gateway_leases(), 0);
	ck_assert_msg(fake_next() == UINT64_MAX, "a timer is left, due in %llu ms", (unsigned long long)fake_next());
}

unsigned gateway_leases(void)
{
	const struct pools *pools = vd_plugin_find("pool_local")->self;

	return (unsigned)pools->book.active.n;
}
