#include "tests/plugin/path_world.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>

#include "core/object/object.h"
#include "plugins/ike/lib/tunnel_stage.h"
#include "plugins/ppp/link/ppp_stage.h"
#include "tests/lib/fake.h"

VD_API extern const struct vd_plugin esp_userspace_LTX_vd_plugin;

struct path_world path_world;

static struct vd_secret *keys(unsigned n)
{
	uint8_t k[64];
	for (size_t i = 0; i < sizeof(k); i++)
		k[i] = (uint8_t)(n * 64 + i);
	return vd_secret_new(k, n & 1 ? 64 : 36); /* AES-256-CBC and SHA2-256, or AES-256-GCM */
}

static struct vd_esp_sa sa_of(unsigned client, uint32_t spi)
{
	struct vd_esp_sa sa = { .chan = path_world.cl[client].chan, .spi = spi, .key_bits = 256, .keymat = keys(client) };
	sa.encr = client & 1 ? VD_ENCR_AES_CBC : VD_ENCR_AES_GCM_16;
	sa.integ = client & 1 ? VD_INTEG_SHA2_256_128 : VD_INTEG_NONE;
	return sa;
}

static void soft(void *arg, uint64_t chan, uint32_t spi) { (void)arg, (void)chan, (void)spi; }
static void moved(void *arg, uint64_t chan, const struct vd_path *p) { (void)arg, (void)chan, (void)p; }
static const struct vd_esp_events events = { soft, soft, soft, moved };
static void client_up(unsigned i, const struct path_told *told)
{
	struct path_client *c = &path_world.cl[i];
	bool tunnel = i == PATH_TUNNEL;
	c->path = (struct vd_path){ .endpoint = 1, .natt = true, .local = { .ip = vd_ip4(0xc0000201), .port = 4500 } };
	c->path.remote = (struct vd_sa){ .ip = vd_ip4(0xc6336401), .port = (uint16_t)(20000 + i) };
	struct vd_peer *p = vd_peer_new(1, &c->path.local, &c->path.remote);
	ck_assert_int_eq(path_world.esp->chan_new(path_world.esp->self, p->id, tunnel ? VD_ESP_TUNNEL : VD_ESP_TRANSPORT, &c->path,
		tunnel ? "tunnel" : "l2tp", &events, NULL, &c->chan), 0);
	ck_assert_int_eq(path_world.esp->alloc_spi(path_world.esp->self, c->chan, &c->in), 0);
	struct vd_esp_sa in = sa_of(i, c->in), out = sa_of(i, 0x1000 + i);
	ck_assert_int_eq(path_world.esp->install_in(path_world.esp->self, &in, NULL, NULL), 0);
	ck_assert_int_eq(path_world.esp->install_out(path_world.esp->self, &out, NULL, NULL), 0);
	struct esp_suite s;
	ck_assert_int_eq(esp_suite(in.encr, 256, in.integ, &s), 0);
	ck_assert_int_eq(esp_crypt_init(&c->seal, &s, in.keymat, false), 0);
	vd_secret_free(in.keymat);
	vd_secret_free(out.keymat);
	fake_drain();
	c->session = 1000 + i;
	c->l2tp.chan = (struct vd_chan){ .id = c->chan, .peer = p->id, .home = p->home };
	memcpy(c->v4, (uint8_t[]){ 10, 8, 0, (uint8_t)(10 + i) }, 4);
	memcpy(c->v6, (uint8_t[]){ 0x20, 1, 0xd, 0xb8, 0, (uint8_t)i }, 6);
	struct vd_link_desc link = { c->chan, 7u << 16 | 9, c->session, &ppp_stage, NULL };
	struct vd_wsess_desc d = { .session = c->session, .chan = c->chan, .mtu = PATH_MTU };
	struct vd_prefix p4 = { .ip.family = AF_INET, .len = 32 }, p6 = { .ip.family = AF_INET6, .len = 64 };
	memcpy(p4.ip.a, c->v4, 4);
	memcpy(p6.ip.a, c->v6, 8);
	d.source[0] = p4;
	d.source[1] = p6;
	d.v4 = (struct vd_hdr){ .len = 18, .udp_len = 4, .l2tp_len = 10, .l2tp_from = 8 };
	memcpy(d.v4.bytes, "\x06\xa5\x06\xa5\0\0\0\0\x40\x02\0\0\0\1\0\1\0\x21", 18);
	d.v6 = d.v4;
	d.v6.bytes[17] = 0x57;
	if (tunnel) {
		link.key = IKE_TUNNEL_LINK;
		d.v4 = d.v6 = (struct vd_hdr){ .bare = true };
	}
	ck_assert_int_eq(path_world.dp->chan_attach(path_world.dp->self, c->chan, tunnel ? &ike_tunnel_stage : &l2tp_in,
		tunnel ? NULL : &c->l2tp, told->punt, NULL), 0);
	ck_assert_int_eq(path_world.dp->session_punt(path_world.dp->self, c->session, told->punt, NULL), 0);
	ck_assert_int_eq(path_world.dp->link_add(path_world.dp->self, &link, NULL, NULL), 0);
	/* One of them with sequence numbers. */
	struct vd_numbers numbers = { .when = VD_NUMBERED_YES, .at = 16, .next = 65000 };
	if (i == 1)
		ck_assert_int_eq(path_world.dp->session_numbers(path_world.dp->self, c->session, &numbers), 0);
	ck_assert_int_eq(path_world.dp->session_add(path_world.dp->self, &d, NULL, NULL), 0);
	ck_assert_int_eq(path_world.dp->fib_add(path_world.dp->self, &p4, c->session, NULL, NULL), 0);
	ck_assert_int_eq(path_world.dp->fib_add(path_world.dp->self, &p6, c->session, NULL, NULL), 0);
	fake_drain();
}

void path_world_up(const struct path_told *told)
{
	memset(&path_world, 0, sizeof(path_world));
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	vd_datapath_df(told->df);
	fake_plugin_start(&esp_userspace_LTX_vd_plugin);
	ck_assert_int_eq(vd_datapath_start_inline(2), 0);
	vd_datapath_capture(told->sent, NULL);
	path_world.dp = vd_service_find("datapath/1", NULL);
	path_world.esp = vd_service_find("esp/1", NULL);
	path_world.dp->ike_input(path_world.dp->self, told->ike, NULL);
	for (unsigned i = 0; i < PATH_CLIENTS; i++)
		client_up(i, told);
}

void path_world_down(void)
{
	fake_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_stop();
	fake_plugin_stop(&esp_userspace_LTX_vd_plugin);
	fake_drain();
	vd_datapath_fini();
	vd_objects_fini();
	for (unsigned i = 0; i < PATH_CLIENTS; i++)
		esp_crypt_fini(&path_world.cl[i].seal);
}
