#include "ike_world.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/keys.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>
#include <viaduct/state.h>
#include <viaduct/crypto.h>

#include "core/object/object.h"
#include "core/plugin.h"
#include "core/session/session.h"
#include "core/state.h"
#include "core/system/work.h"
#include "plugins/ike/v1/v1.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin ike_port_LTX_vd_plugin, ike_v1_LTX_vd_plugin;
struct world world;
bool world_tunnels;

/* ---- datapath/1 ---- */
static void (*ike_fn)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len);
static void *ike_arg;

static int dp_ike_input(
	void *self, void (*fn)(void *arg, const struct vd_path *path, const uint8_t *p, size_t len), void *arg)
{
	(void)self;
	ike_fn = fn;
	ike_arg = arg;
	return 0;
}

static int dp_ike_send(void *self, const struct vd_path *path, const void *p, size_t len)
{
	unsigned i = world.n_sent++ % WORLD_SENT;

	(void)self;
	ck_assert_uint_le(len, sizeof(world.sent[i].p));
	memcpy(world.sent[i].p, p, len);
	world.sent[i].len = len;
	world.sent_path[i] = *path;
	if (world.wire != NULL)
		world.wire(path, p, len);
	return 0;
}

static int dp_done(void (*done)(void *), void *arg)
{
	return done != NULL ? vd_defer(done, arg) : 0;
}

static int dp_chan_attach(void *self, uint64_t chan, const struct vd_stage *up, void *upper,
	void (*punt)(void *, uint64_t, const uint8_t *, size_t), void *arg)
{
	(void)self, (void)up, (void)upper, (void)punt, (void)arg;
	ck_assert_ptr_nonnull(vd_chan_find(chan));
	return 0;
}

static int dp_link_add(void *self, const struct vd_link_desc *link, void (*done)(void *), void *arg)
{
	(void)self;
	ck_assert_ptr_nonnull(vd_session_find(link->session));
	return dp_done(done, arg);
}

static int dp_link_del(void *self, uint64_t chan, uint64_t key, void (*done)(void *), void *arg)
{
	(void)self, (void)chan, (void)key;
	return dp_done(done, arg);
}

static int dp_session_add(void *self, const struct vd_wsess_desc *desc, void (*done)(void *), void *arg)
{
	(void)self, (void)desc;
	return dp_done(done, arg);
}

static int dp_session_counters(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	static const struct vd_session_counters none;

	(void)self;
	done(arg, session, &none);
	return 0;
}

static int dp_fib(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	(void)self, (void)prefix, (void)session;
	return dp_done(done, arg);
}

static const struct vd_datapath_1 datapath = { .ike_input = dp_ike_input, .ike_send = dp_ike_send,
	.chan_attach = dp_chan_attach, .link_add = dp_link_add, .link_del = dp_link_del, .session_add = dp_session_add,
	.session_del = dp_session_counters, .session_counters = dp_session_counters, .fib_add = dp_fib, .fib_del = dp_fib };

/* ---- who lets sessions in ---- */
static void on_authenticate(void *arg, const struct vd_ask *ask)
{
	const struct vd_authenticate *r = ask->data;
	struct vd_authenticated who = { .user = "User" };
	struct vd_error why = { 0 };

	(void)arg;
	vd_error_set(&why, -EINVAL, "the world says no");
	if (r->data.len == 4 && memcmp(r->data.p, "down", 4) == 0) {
		vd_reply(ask->ticket, VD_UNAVAILABLE, NULL, &why);
	} else if (r->data.len != 10 || memcmp(r->data.p, "clientPass", 10) != 0) {
		vd_reply(ask->ticket, VD_REJECT, NULL, &why);
	} else {
		vd_reply(ask->ticket, world.again ? VD_CONTINUE : VD_ACCEPT, &who, NULL);
		world.again = false;
	}
}

static void on_lease(void *arg, const struct vd_ask *ask)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080017), .gateway = vd_ip4(0x0a080001) };

	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, &lease, NULL);
}

static void on_route(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	vd_reply(ask->ticket, VD_ACCEPT, NULL, NULL);
}

static void on_cancel(void *arg, uint64_t ticket)
{
	(void)arg, (void)ticket;
}

static void tunnels_start(void)
{
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_authenticate, on_cancel, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_lease, on_cancel, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "route_add", "tun", on_route, NULL, NULL), 0);
}

/* ---- esp/1 ---- */
static struct {
	void (*done)(void *arg);
	void *arg;
} acks[16];
static unsigned n_acks;
static uint32_t next_spi;

static size_t esp_keymat_len(void *self, uint8_t encr, uint16_t key_bits, uint8_t integ)
{
	static const size_t integs[] = { [VD_INTEG_SHA1_96] = 20,
		[VD_INTEG_SHA2_256_128] = 32,
		[VD_INTEG_SHA2_384_192] = 48,
		[VD_INTEG_SHA2_512_256] = 64 };

	(void)self;
	return key_bits / 8u + (encr == VD_ENCR_AES_GCM_16 ? 4 : integs[integ]);
}

static void esp_chan_close(void *self, uint64_t chan, const char *reason);
static uint64_t esp_idle(void *self, uint64_t chan);
static const struct vd_chan_maker maker = { "esp", esp_chan_close, esp_idle };

static int esp_chan_new(void *self, uint64_t peer, enum vd_esp_mode mode, const struct vd_path *path, const char *upper,
	const struct vd_esp_events *events, void *arg, uint64_t *ret_chan)
{
	struct vd_chan_info *info = vd_chan_record(peer, upper, 1400, &maker, NULL);

	(void)self;
	ck_assert_int_eq(mode, world_tunnels ? VD_ESP_TUNNEL : VD_ESP_TRANSPORT);
	ck_assert_ptr_nonnull(info);
	world.chan_path = *path;
	world.events = events;
	world.events_arg = arg;
	*ret_chan = world.chan = info->id;
	return 0;
}

static int esp_alloc_spi(void *self, uint64_t chan, uint32_t *ret_spi)
{
	(void)self;
	(void)chan;
	*ret_spi = next_spi += 0x100;
	return 0;
}

static void esp_free_spi(void *self, uint32_t spi)
{
	(void)self;
	(void)spi;
}

static int install(bool in, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg)
{
	struct world_sa *out = &world.sas[world.n_sas++ % VD_ARRAY_SIZE(world.sas)];

	*out = (struct world_sa){ .in = in,
		.live = true,
		.esn = sa->esn,
		.chan = sa->chan,
		.spi = sa->spi,
		.encr = sa->encr,
		.integ = sa->integ,
		.key_bits = sa->key_bits,
		.len = vd_secret_len(sa->keymat) };
	memcpy(out->keymat, vd_secret_data(sa->keymat), out->len);
	if (!world.hold_acks || n_acks == VD_ARRAY_SIZE(acks))
		return vd_defer(done, arg);
	acks[n_acks].done = done;
	acks[n_acks++].arg = arg;
	return 0;
}

static int esp_install_in(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg)
{
	(void)self;
	return install(true, sa, done, arg);
}

static int esp_install_out(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg)
{
	(void)self;
	vd_chan_set_up(sa->chan);
	return install(false, sa, done, arg);
}

static void esp_remove(bool in, uint32_t spi)
{
	struct world_sa *sa = world_sa_find(in, spi);

	if (sa != NULL)
		sa->live = false;
}

static void esp_remove_in(void *self, uint64_t chan, uint32_t spi)
{
	(void)self;
	(void)chan;
	esp_remove(true, spi);
}

static void esp_remove_out(void *self, uint64_t chan, uint32_t spi)
{
	(void)self;
	(void)chan;
	esp_remove(false, spi);
}

static int esp_set_path(void *self, uint64_t chan, const struct vd_path *path, void (*done)(void *arg), void *arg)
{
	(void)self;
	(void)chan;
	world.chan_path = *path;
	return done != NULL ? vd_defer(done, arg) : 0;
}

static void esp_chan_close(void *self, uint64_t chan, const char *reason)
{
	(void)self;
	for (unsigned i = 0; i < VD_ARRAY_SIZE(world.sas); i++)
		if (world.sas[i].chan == chan)
			world.sas[i].live = false;
	world.n_closed++;
	vd_chan_gone(chan, reason);
}

static uint64_t esp_idle(void *self, uint64_t chan)
{
	(void)self;
	(void)chan;
	return world.idle_ms;
}

static int esp_chan_adopt(void *self, uint64_t chan, const struct vd_esp_events *events, void *arg)
{
	(void)self;
	vd_chan_adopt(chan, &maker, NULL);
	world.events = events;
	world.events_arg = arg;
	return 0;
}

static const struct vd_esp_1 esp = { .keymat_len = esp_keymat_len,
	.chan_new = esp_chan_new,
	.alloc_spi = esp_alloc_spi,
	.free_spi = esp_free_spi,
	.install_in = esp_install_in,
	.install_out = esp_install_out,
	.remove_in = esp_remove_in,
	.remove_out = esp_remove_out,
	.set_path = esp_set_path,
	.chan_adopt = esp_chan_adopt };

/* ---- keys/1 ---- */
struct prf_answer {
	void (*done)(void *arg, struct vd_secret *result, const struct vd_error *err);
	void *arg;
	struct vd_secret *result;
};

static void prf_answer(void *arg)
{
	struct prf_answer *a = arg;

	a->done(a->arg, a->result, NULL);
	vd_secret_free(a->result);
	free(a);
}

static int keys_psk_prf(void *self, uint64_t key, const char *md, const void *data, size_t len,
	void (*done)(void *arg, struct vd_secret *result, const struct vd_error *err), void *arg)
{
	const struct vd_conf_node *connections = vd_conf_at(vd_conf_current(), NULL, "connections");
	const char *psk = NULL;
	struct prf_answer *a = calloc(1, sizeof(*a));
	struct vd_slice part = { data, len };
	uint8_t out[64];
	size_t n;

	(void)self;
	for (size_t i = 0; i < vd_conf_count(connections); i++)
		if (vd_conf_key(vd_conf_at(vd_conf_current(), vd_conf_nth(connections, i), world_tunnels ? "xauth.psk" : "l2tp.psk")) == key)
			psk = i == 0 ? getenv("IKE_TEST_PSK_A") : getenv("IKE_TEST_PSK_B");
	ck_assert_ptr_nonnull(psk);
	ck_assert_int_eq(vd_hmac(md, psk, strlen(psk), &part, 1, out, &n), 0);
	a->done = done;
	a->arg = arg;
	a->result = vd_secret_new(out, n);
	return vd_defer(prf_answer, a);
}

static const struct vd_keys_1 keys = { .psk_prf = keys_psk_prf };

/* ---- the world ---- */
void world_start(const char *yaml)
{
	static const struct vd_opt names[] = { { "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
		{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." }, { NULL } };
	static const struct vd_plugin others = { .schema = names };
	static const struct vd_plugin *const plugins[] = { &ike_port_LTX_vd_plugin, &ike_v1_LTX_vd_plugin, &others, NULL };

	memset(&world, 0, sizeof(world));
	n_acks = 0;
	next_spi = 0x11000001; /* each world is the same, whatever was before it */
	setenv("IKE_TEST_PSK_A", "correct horse battery", 1);
	setenv("IKE_TEST_PSK_B", "tills and routers", 1);
	fake_init(7);
	vd_budget_reset();
	ck_assert_int_eq(vd_objects_init(), 0);
	if (world_tunnels)
		tunnels_start();
	fake_service("datapath/1", NULL, &datapath);
	fake_service("esp/1", NULL, &esp);
	fake_service("keys/1", NULL, &keys);
	fake_conf(yaml, plugins, NULL);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_peer_up);
	fake_watch(&vd_topic_peer_down);
	fake_watch(&vd_topic_chan_up);
	fake_plugin_start(&ike_port_LTX_vd_plugin);
	fake_plugin_start(&ike_v1_LTX_vd_plugin);
}

void world_stop(void)
{
	world.hold_acks = false;
	world_acks();
	fake_plugin_stop(&ike_v1_LTX_vd_plugin);
	fake_drain();
	ck_assert_uint_eq(vd_peer_count(), 0);
	fake_plugin_stop(&ike_port_LTX_vd_plugin);
	fake_drain();
	if (world_tunnels)
		vd_sessions_fini();
	vd_objects_fini();
	vd_state_fini();
	fake_conf_fini();
	fake_fini();
}

void world_datagram(const struct vd_path *path, const uint8_t *p, size_t len)
{
	ike_fn(ike_arg, path, p, len);
	if (!world.hold_drain)
		fake_drain();
}

void world_input(const struct client *c, const struct msg *m)
{
	uint8_t *copy = malloc(m->len > 0 ? m->len : 1); /* exact, so that the sanitizer sees a read behind it */

	memcpy(copy, m->p, m->len);
	world_datagram(&c->path, copy, m->len);
	free(copy);
}

struct msg *world_reply(unsigned since)
{
	return world.n_sent > since ? &world.sent[(world.n_sent - 1) % WORLD_SENT] : NULL;
}

void world_acks(void)
{
	for (unsigned i = 0; i < n_acks; i++)
		acks[i].done(acks[i].arg);
	n_acks = 0;
	fake_drain();
}

struct world_sa *world_sa_find(bool in, uint32_t spi)
{
	for (unsigned i = 0; i < VD_ARRAY_SIZE(world.sas); i++)
		if (world.sas[i].live && world.sas[i].in == in && world.sas[i].spi == spi)
			return &world.sas[i];
	return NULL;
}

unsigned world_live(bool in)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VD_ARRAY_SIZE(world.sas); i++)
		n += world.sas[i].live && world.sas[i].in == in;
	return n;
}

void world_reimport(void)
{
	static uint8_t a[1 << 20], b[1 << 20];
	struct vd_host *h = vd_plugin_find("ike_v1");
	struct vd_error err = { 0 };
	struct vd_wr wa, wb;
	struct vd_rd r;

	vd_wr_init(&wa, a, sizeof(a));
	ck_assert_msg(ike_v1_layer.export_(h->self, &wa, &err) == 0, "%s", err.text);
	vd_host_fini(h);
	vd_state_fini();
	ck_assert_msg(vd_host_init(h, &err) == 0, "%s", err.text);
	vd_rd_init(&r, a, wa.len);
	ck_assert_msg(
		ike_v1_layer.import(h->self, ike_v1_layer.version, &r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	ck_assert(vd_rd_done(&r));
	vd_wr_init(&wb, b, sizeof(b));
	ck_assert_int_eq(ike_v1_layer.export_(h->self, &wb, &err), 0);
	ck_assert_uint_eq(wa.len, wb.len);
	ck_assert_int_eq(memcmp(a, b, wa.len), 0);
	ck_assert_msg(vd_host_start(h, &err) == 0, "%s", err.text);
	fake_drain();
}
