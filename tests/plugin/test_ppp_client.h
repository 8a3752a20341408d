/* A PPP client for tests: sends frames in hexadecimal, checks answers byte by byte, and puts the link through export
 * and import between its messages. */
#ifndef TEST_PPP_CLIENT_H
#define TEST_PPP_CLIENT_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>

#include "plugins/ppp/link/link.h"
#include "plugins/ppp/link/ppp_stage.h"
#include "test_ppp_double.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin ppp_link_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin, ppp_auth_chap_LTX_vd_plugin,
	ppp_auth_pap_LTX_vd_plugin;
static const struct vd_opt provider_schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." },
	{ NULL },
};
static const struct vd_plugin providers = { .name = "providers", .schema = provider_schema };
static const struct vd_plugin *const plugins[] = { &ppp_link_LTX_vd_plugin, &ppp_auth_mschapv2_LTX_vd_plugin,
	&ppp_auth_chap_LTX_vd_plugin, &ppp_auth_pap_LTX_vd_plugin, &providers, NULL };
enum { N_PLUGINS = 4 }; /* that run; the link first */
static bool check_export = true;
static unsigned padding; /* octets behind each packet of a control protocol (RFC 1661 section 2) */

#define NT "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
#define PEER "21402324255e262a28295f2b3a337c7e"
#define RESPONSE(nt, len, name) "c22302%02x" len "31" PEER "0000000000000000" nt "00" name

#define REALM \
	"realms: { corp: { authenticate: [users/local] } }\n" \
	"users: { local: {} }\n" \
	"pools: { staff: {} }\n" \
	"connections: { staff: { realm: corp, pool: staff } }\n"

static inline void start_plugins(void)
{
	for (int i = N_PLUGINS; i-- > 0;)
		fake_plugin_start(plugins[i]);
}

static inline void stop_plugins(void)
{
	for (int i = 0; i < N_PLUGINS; i++)
		fake_plugin_stop(plugins[i]);
}

static inline void setup_with(const char *yaml, uint16_t mtu)
{
	fake_init(7);
	fake_conf(yaml, plugins, NULL);
	fake_watch(&vd_topic_setup_failed);
	fake_watch(&vd_topic_session_up);
	fake_watch(&vd_topic_session_down);
	fake_watch(&vd_topic_auth_ok);
	double_start(mtu);
	start_plugins();
	double_begin();
}

static inline void setup(void)
{
	setup_with("gateway: { name: vpn.example.com }\n" REALM, 1416);
}

static inline void teardown(void)
{
	stop_plugins();
	double_stop();
	fake_conf_fini();
	fake_fini();
}

/* All layers: the core's, the lower layer's, the link's. */
static inline size_t export(uint8_t *room, size_t size)
{
	struct vd_wr w;
	struct vd_error err = { 0 };

	vd_wr_init(&w, room, size);
	ck_assert_msg(vd_state_export(&w, &err) == 0, "%s", err.text);
	return w.len;
}

/* Export, a new process, import, export: the same octets; the conversation goes on in the new one. */
static inline void reimport(void)
{
	static uint8_t one[16384], two[16384];
	struct vd_error err = { 0 };
	struct vd_rd r;
	unsigned sent;
	size_t n, m;

	if (!check_export || !vd_session_find(SESSION) || vd_session_find(SESSION)->state >= VD_S_CLOSING ||
		d.auth_ticket)
		return;
	n = export(one, sizeof(one));
	stop_plugins();
	double_again();
	start_plugins();
	sent = d.n_out;
	vd_rd_init(&r, one, n);
	ck_assert_msg(vd_state_import(&r, VD_IMPORT_SAME, &err) == 0, "%s", err.text);
	ck_assert(vd_rd_done(&r));
	fake_adopt(&fake_maker);
	fake_drain();
	m = export(two, sizeof(two));
	ck_assert_uint_eq(n, m);
	ck_assert_mem_eq(one, two, n);
	ck_assert_uint_eq(d.n_out, sent);
}

static inline void in_raw(const uint8_t *p, size_t len)
{
	uint8_t room[1500] = { 0 };

	if (padding && len > 3 && p[0] == 0xff && p[2] & 0x80 && len + padding <= sizeof(room)) {
		memcpy(room, p, len);
		p = room;
		len += padding;
	}
	d.punt(d.punt_arg, SESSION, p, len);
	fake_drain();
	fake_advance(0);
}

/* A frame from the client in hexadecimal, spaces allowed; FF 03 is put in front. */
static inline void in(const char *fmt, ...)
{
	char text[3000], hex[3000];
	uint8_t room[1500];
	size_t n = 0;
	va_list ap;
	int len;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (const char *c = text; *c; c++)
		if (*c != ' ')
			hex[n++] = *c;
	hex[n] = 0;
	room[0] = 0xff;
	room[1] = 0x03;
	len = vd_unhex(hex, room + 2, sizeof(room) - 2);
	ck_assert_int_gt(len, 0);
	in_raw(room, (size_t)len + 2);
}

static inline const uint8_t *out(unsigned i)
{
	ck_assert_uint_lt(i, d.n_out);
	return d.out[i].p;
}

/* The frame at i, byte for byte; %02x-style arguments fill in identifiers. */
static inline void expect(unsigned i, const char *fmt, ...)
{
	char want[3000], packed[3000], got[3300];
	size_t n = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	for (const char *c = want; *c; c++)
		if (*c != ' ')
			packed[n++] = *c;
	packed[n] = 0;
	ck_assert_msg(i < d.n_out, "frame %u was not sent: %s", i, packed);
	vd_hex(got, sizeof(got), d.out[i].p, d.out[i].len);
	ck_assert_str_eq(got, packed);
}

/* Index of the last frame of this protocol and code, or -1. */
static inline int last(uint16_t protocol, uint8_t code)
{
	for (int i = (int)d.n_out - 1; i >= 0; i--)
		if (d.out[i].p[2] == protocol >> 8 && d.out[i].p[3] == (protocol & 0xff) && d.out[i].p[4] == code)
			return i;
	return -1;
}

static inline unsigned count(uint16_t protocol, uint8_t code)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d.n_out; i++)
		n += d.out[i].p[2] == protocol >> 8 && d.out[i].p[3] == (protocol & 0xff) && d.out[i].p[4] == code;
	return n;
}

static inline uint32_t our_magic(void)
{
	struct vd_rd r;
	int i = last(0xc021, 1);

	ck_assert_int_ge(i, 0);
	vd_rd_init(&r, d.out[i].p + d.out[i].len - 4, 4);
	return vd_rd_u32(&r);
}

/* The client acknowledges our last request of the protocol. */
static inline void ack(uint16_t protocol)
{
	int i = last(protocol, 1);
	struct frame f;

	ck_assert_int_ge(i, 0);
	f = d.out[i];
	f.p[4] = 2;
	in_raw(f.p, f.len);
	reimport();
}

static inline uint8_t challenge_id(void)
{
	int i = last(0xc223, 1);

	ck_assert_int_ge(i, 0);
	return d.out[i].p[5];
}

static inline struct ppp_link *link_now(void)
{
	return ppp_link_find(d.service->self, SESSION);
}

static inline void lcp_open(void)
{
	fake_advance(0);
	reimport();
	in("c021 01 00 000e 0506 11223344 0702 0802");
	reimport();
	ack(0xc021);
	ck_assert_int_eq(link_now()->lcp.state, PPP_OPENED);
}

static inline void login(void)
{
	in(RESPONSE(NT, "003a", "55736572"), challenge_id());
	reimport();
}

static inline void bring_up(void)
{
	lcp_open();
	login();
	in("8021 01 05 000a 0306 0a080017");
	ack(0x8021);
	ck_assert_int_eq(link_now()->phase, PPP_PHASE_UP);
}

#endif
