/* L2TP as LNS: whole conversations over the core's sessions and data path; each runs again with a restart after every
 * step. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/datapath/datapath.h"
#include "tests/plugin/test_l2tp_world.h"

#include <viaduct/state.h>

START_TEST(set_up_and_down)
{
	w_.restarts = _i;
	w_begin("{}");
	c_say(L2TP_SCCRQ, 0, 1);
	struct l2tp_msg m = c_got(0);
	ck_assert_uint_eq(w_.n, 1);
	ck_assert_uint_eq(m.type, L2TP_SCCRP);
	ck_assert_uint_eq(m.h.tunnel, 1);
	ck_assert_uint_eq(m.h.nr, 1);
	ck_assert_uint_eq(m.window, 16);
	ck_assert_mem_eq(w_.p[0], "\x06\xa5\xc0\x00", 4); /* from the port it hit, to the port it came from */
	c_.tid = m.tunnel_id;
	c_.nr = 1;
	c_say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(w_.n, 2);
	ck_assert_uint_eq(c_got(1).type, L2TP_ZLB); /* at once */
	ck_assert_uint_eq(c_got(1).h.nr, 2);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	c_say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ICRP);
	ck_assert_uint_eq(c_got(-1).h.session, 9);
	c_.sid = c_got(-1).session_id;
	c_.nr = 2;
	c_say(L2TP_ICCN, c_.sid, 0);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	ck_assert_uint_eq(w_.starts, 1);
	unsigned n = w_.n;
	ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, (const uint8_t *)"\xff\x03\xc0\x21", 4), 0);
	fake_drain();
	ck_assert_uint_eq(w_.len[n], 20);
	ck_assert_mem_eq(w_.p[n], "\x06\xa5\xc0\x00\0\x14\0\0\x40\x02\0\x0c\0\x01\0\x09\xff\x03\xc0\x21", 20);
	c_say(L2TP_CDN, c_.sid, 9);
	ck_assert_uint_eq(w_.downs, 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	c_say(L2TP_STOPCCN, 0, 1);
	n = w_.n;
	c_again(); /* the tombstone acknowledges */
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	w_advance(32000);
	c_again(); /* and who has not heard that until then hears it once more */
	ck_assert_uint_eq(w_.n, n + 2);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	ck_assert_uint_eq(vd_counter("l2tp.drop.no_tunnel"), 1);
	ck_assert(!_i || w_.restarted >= 8);
	w_end();
}
END_TEST

/* RouterOS goes on from another port after SCCRP; whoever does, data and control follow. */
START_TEST(ports_follow)
{
	struct vd_hdr h;
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	w_.lower->header(w_.lower_arg, w_.session, &h);
	ck_assert_uint_eq(h.len, 16);
	ck_assert_mem_eq(h.bytes, "\x06\xa5\xc0\x00\0\0\0\0\x40\x02\0\0\0\x01\0\x09", 16);
	ck_assert_uint_eq(h.udp_len, 4);
	ck_assert_uint_eq(h.udp_from, 0);
	ck_assert_uint_eq(h.l2tp_len, 10);
	ck_assert_uint_eq(h.l2tp_from, 8);
	c_.port = 50000;
	c_say(L2TP_HELLO, 0, 0);
	ck_assert_mem_eq(w_.p[w_.n - 1], "\x06\xa5\xc3\x50", 4);
	w_.lower->header(w_.lower_arg, w_.session, &h);
	ck_assert_mem_eq(h.bytes, "\x06\xa5\xc3\x50", 4);
	ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, (const uint8_t *)"\xc0\x21", 2), 0);
	fake_drain();
	ck_assert_mem_eq(w_.p[w_.n - 1], "\x06\xa5\xc3\x50\0\x12", 6);
	w_end();
}
END_TEST

/* The same once the workers have the header: IP packets too go where the client was heard last. */
START_TEST(packets_follow)
{
	/* RFC 791: 20 octets of header, UDP without a checksum, 8.8.8.8 to 10.8.0.2. */
	static const uint8_t ip[] = { 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0x60, 0xb4, 8, 8, 8, 8, 10, 8, 0, 2, 0, 53, 0, 99, 0, 8,
		0, 0 };
	w_.restarts = _i;
	w_begin("{realms: {corp: {authenticate: [users/local]}}, users: {local: {}}, pools: {staff: {}}, "
		"connections: {staff: {realm: corp, pool: staff}}}");
	w_.connection = "staff";
	w_.chan = c_.chan = w_channel(4600, true);
	c_call();
	w_establish();
	unsigned n = w_.n;
	for (unsigned i = 0; i < 2; i++) {
		vd_datapath_inject_tun(0, NULL, ip, sizeof(ip));
		fake_drain();
		ck_assert_uint_eq(w_.n, n + 1);
		ck_assert_uint_eq(w_.len[n], 20 + sizeof(ip));
		ck_assert_mem_eq(w_.p[n], i ? "\x06\xa5\xc3\x50\0\x30" : "\x06\xa5\xc0\x00\0\x30", 6);
		ck_assert_mem_eq(w_.p[n] + 8, "\x40\x02\0\x28\0\x01\0\x09\xff\x03\0\x21", 12);
		ck_assert_mem_eq(w_.p[n] + 20, ip, sizeof(ip));
		c_.port = 50000;
		c_say(L2TP_HELLO, 0, 0);
		n = w_.n;
	}
	w_end();
}
END_TEST

/* RFC 8200 section 8.1: a UDP checksum inside IPv6, over the outer addresses of transport mode. */
START_TEST(checksum_in_ipv6)
{
	w_begin("{}");
	w_.v6 = true;
	c_.chan = w_channel(4500, true);
	for (unsigned i = 0; i < 40; i++) { /* SCCRP, then StopCCN with its text of odd length */
		c_.ns = 0;
		c_say(L2TP_SCCRQ, 0, (uint16_t)(0x3000 + 0x111 * i));
		uint8_t a[32];
		struct vd_ip local, remote;
		ck_assert(vd_ip_parse("2001:db8::1", &local) && vd_ip_parse("2001:db8:1:2:ffff:abcd:3:4", &remote));
		memcpy(a, local.a, 16);
		memcpy(a + 16, remote.a, 16);
		const uint8_t *p = w_.p[w_.n - 1];
		size_t len = w_.len[w_.n - 1];
		uint64_t sum = 17 + len;
		for (unsigned k = 0; k < 32; k++)
			sum += (uint64_t)a[k] << (k % 2 ? 0 : 8);
		for (size_t k = 0; k < len; k++)
			sum += (uint64_t)p[k] << (k % 2 ? 0 : 8);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		ck_assert_uint_eq(sum, 0xffff);
		ck_assert(p[6] || p[7]);
	}
	w_end();
}
END_TEST

START_TEST(data_through_the_stage)
{
	uint8_t p[64];
	struct vd_wr w;
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		vd_wr_init(&w, p, sizeof(p));
		vd_wr_u32(&w, 0x06a506a5);
		vd_wr_u16(&w, 20);
		vd_wr_u16(&w, 0);
		vd_wr_u16(&w, 0x4002);
		vd_wr_u16(&w, 12);
		vd_wr_u16(&w, (uint16_t)(c_.tid + (wrong == 1)));
		vd_wr_u16(&w, (uint16_t)(c_.sid + (wrong == 2)));
		vd_wr_u32(&w, 0xff03c021);
		w_datagram(w_.chan, p, w.len);
		ck_assert_uint_eq(w_.frames, 1);
	}
	ck_assert_uint_eq(w_.frame_len, 4);
	ck_assert_uint_ne(w_.sess, 0);
	if (!_i) /* counters of workers end with them */
		ck_assert_uint_eq(vd_datapath_drops(VD_DROP_L2TP_SESSION), 2);
	uint64_t other = w_channel(4501, true);
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u32(&w, 20 << 16);
	vd_wr_u32(&w, 0x4002000c);
	vd_wr_u16(&w, c_.tid);
	vd_wr_u16(&w, c_.sid);
	vd_wr_u32(&w, 0xff03c021);
	w_datagram(other, p, w.len); /* the right ids on another channel */
	ck_assert_uint_eq(w_.frames, 1);
	c_say(L2TP_CDN, c_.sid, 9);
	w_datagram(w_.chan, p, w.len);
	ck_assert_uint_eq(w_.frames, 1);
	w_end();
}
END_TEST

START_TEST(strangers)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	uint64_t other = w_channel(4501, true);
	c_say(L2TP_ZLB, 0, 0);
	unsigned n = w_.n;
	c_make(L2TP_STOPCCN, 0, 1);
	c_.chan = other; /* the right id on another channel */
	c_again();
	ck_assert_uint_eq(w_.n, n + 1); /* acknowledged where it came from; nothing has ended */
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	ck_assert_uint_eq(w_.downs, 0);
	ck_assert_uint_eq(vd_counter("l2tp.drop.no_tunnel"), 1);
	c_.chan = w_.chan;
	c_again();
	ck_assert_uint_eq(w_.downs, 1);
	w_end();
}
END_TEST

START_TEST(order_and_limits)
{
	w_.restarts = _i;
	w_begin("{l2tp: {tunnels: 1, sessions: 1}}");
	c_tunnel();
	c_.ns = 3; c_say(L2TP_ICRQ, 0, 10); /* early */
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 0);
	c_.ns = 2; c_say(L2TP_ICRQ, 0, 9);
	ck_assert_uint_eq(fake_events(&vd_topic_session_new), 1); /* the second was one too many */
	ck_assert_uint_eq(vd_counter("l2tp.refused_call"), 1);
	c_.ns = 40; c_say(L2TP_ICRQ, 0, 11);
	ck_assert_uint_eq(vd_counter("l2tp.drop.window"), 1);
	c_.ns = 4; c_.nr = 99; c_say(L2TP_HELLO, 0, 0);
	ck_assert_uint_eq(vd_counter("l2tp.drop.bad_nr"), 1);
	uint16_t keep = c_.tid;
	c_.tid = 0; c_.ns = 0; c_.nr = 0;
	c_say(L2TP_SCCRQ, 0, 2);
	ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
	ck_assert_uint_eq(c_got(-1).error, L2TP_E_RESOURCES);
	c_.tid = keep; c_.ns = 4; c_.nr = 2;
	c_say(L2TP_OCRQ, 0, 0);
	w_datagram(w_.chan, (const uint8_t *)"\x06\xa5\x06\xa5\0\x0b\0\0\xc8\x02\x00", 11);
	ck_assert_uint_eq(vd_counter("l2tp.drop.header"), 1);
	w_end();
}
END_TEST

/* Messages and AVPs that nobody knows, with and without their M bits, and those that ask for what is not here. */
START_TEST(unknown_and_unwanted)
{
	/* Type, M, AVPs, and what is the answer. */
	static const struct { uint16_t type; bool m; const char *avps; uint16_t answer; uint16_t result, error; } t[] = {
		{ 200, false, "", L2TP_ZLB, 0, 0 },
		{ 200, false, "8008000000c80001", L2TP_ZLB, 0, 0 }, /* ignored whole, with its mandatory AVPs */
		{ 5, false, "", L2TP_ZLB, 0, 0 },
		{ 13, false, "", L2TP_ZLB, 0, 0 },
		{ L2TP_HELLO, true, "0008000000c80001", L2TP_ZLB, 0, 0 },
		{ L2TP_WEN, true, "802000000022" "0000" "000000010000000100000001000000010000000100000001", L2TP_ZLB, 0, 0 },
		{ L2TP_SLI, true, "801000000023" "0000" "ffffffffffffffff", L2TP_ZLB, 0, 0 },
		{ L2TP_OCRQ, true, "80080000000e0077", L2TP_CDN, L2TP_CDN_NEVER, 0 },
		{ 200, true, "", L2TP_STOPCCN, L2TP_STOP_ERROR, L2TP_E_VALUE },
		{ 5, true, "", L2TP_STOPCCN, L2TP_STOP_ERROR, L2TP_E_VALUE },
		{ 13, true, "", L2TP_STOPCCN, L2TP_STOP_ERROR, L2TP_E_VALUE },
		{ L2TP_HELLO, true, "8008000000c80001", L2TP_STOPCCN, L2TP_STOP_ERROR, L2TP_E_UNKNOWN_AVP },
		{ L2TP_WEN, true, "8008000000c80001", L2TP_CDN, L2TP_CDN_ERROR, L2TP_E_UNKNOWN_AVP },
		{ L2TP_OCRP, true, "", L2TP_CDN, L2TP_CDN_ERROR, L2TP_E_VALUE },
	};
	uint8_t p[128], avps[64];
	struct vd_wr w, m;
	int k = _i / 2;
	w_.restarts = _i % 2;
	w_begin("{}");
	c_call();
	int n = t[k].avps[0] ? vd_unhex(t[k].avps, avps, sizeof(avps)) : 0;
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u32(&w, 0);
	vd_wr_init(&m, p + 8, sizeof(p) - 8);
	bool of_call = t[k].type == L2TP_WEN || t[k].type == L2TP_SLI || t[k].type == L2TP_OCRP;
	l2tp_begin(&m, c_.tid, of_call ? c_.sid : 0, c_.ns++, 2);
	vd_wr_u16(&m, (uint16_t)(t[k].m << 15 | 8));
	vd_wr_u32(&m, 0);
	vd_wr_u16(&m, t[k].type);
	vd_wr_put(&m, avps, (size_t)n);
	l2tp_end(&m);
	ck_assert(vd_wr_ok(&m));
	vd_wr_patch_u16(&w, 4, (uint16_t)(m.len + 8));
	unsigned sent = w_.n;
	w_datagram(w_.chan, p, m.len + 8);
	ck_assert_uint_eq(w_.n, sent + 1);
	struct l2tp_msg got = c_got(-1);
	ck_assert_uint_eq(got.type, t[k].answer);
	ck_assert_uint_eq(got.h.nr, c_.ns);
	ck_assert_uint_eq(got.result, t[k].result);
	ck_assert_uint_eq(got.error, t[k].error);
	bool ends = t[k].answer == L2TP_STOPCCN || (t[k].answer == L2TP_CDN && of_call);
	ck_assert_uint_eq(w_.downs, ends);
	ck_assert_uint_eq(vd_counter("l2tp.unknown_type"), t[k].type == 5 || t[k].type == 13 || t[k].type == 200);
	if (t[k].type == L2TP_OCRQ) {
		ck_assert_uint_eq(got.h.session, 0x77);
		ck_assert_uint_eq(vd_counter("l2tp.refused_call"), 1);
	}
	w_end();
}
END_TEST

/* A flood of everything that makes state: it is bounded, and an honest client is served behind it. */
START_TEST(flood)
{
	w_.restarts = false;
	w_begin("{}");
	for (unsigned i = 1; i <= 300; i++) {
		c_.ns = c_.nr = c_.tid = 0;
		c_say(L2TP_SCCRQ, 0, (uint16_t)i);
		w_.n = 0;
		if (i % 20 == 0)
			w_advance(300); /* the limit on punts is not what is looked at here */
	}
	ck_assert_uint_eq(vd_counter("l2tp.refused_tunnel"), 296);
	w_advance(70000);
	w_.n = 0;
	c_.ns = 0;
	c_call();
	ck_assert_uint_eq(w_.starts, 1);
	for (unsigned i = 0; i < 200; i++) { /* calls that are hung up at once leave only so many tombstones */
		uint16_t id = (uint16_t)(100 + i);
		c_say(L2TP_ICRQ, 0, id);
		struct l2tp_msg m = c_got(-1);
		ck_assert_uint_eq(m.type, L2TP_ICRP);
		c_.nr = (uint16_t)(m.h.ns + 1);
		c_say(L2TP_CDN, m.session_id, id);
		w_.n = 0;
		w_advance(10);
	}
	static uint8_t state[1 << 16];
	ck_assert_uint_lt(w_export(state, sizeof(state)), 2048);
	/* One who never acknowledges: answers are queued up to a bound, then his requests wait. */
	for (unsigned i = 0; i < 200; i++) {
		c_say(L2TP_OCRQ, 0, 0);
		c_.more = (const uint8_t *)"\x80\x08\0\0\0\x0e\x11\x11";
		c_.more_len = 8;
		c_say(L2TP_OCRQ, 0, 0);
		w_.n = 0;
		w_advance(10);
	}
	ck_assert_uint_gt(vd_counter("l2tp.drop.queue_full"), 0);
	ck_assert_uint_lt(w_export(state, sizeof(state)), 16384);
	w_end();
}
END_TEST

/* ---- ends ---- */
START_TEST(closed_by_owner)
{
	w_.restarts = false; /* a session that says goodbye is not exported */
	w_begin("{}");
	c_call();
	w_.answers = _i;
	unsigned n = w_.n;
	vd_session_close(w_.session, "administrator", false);
	fake_drain();
	ck_assert_uint_eq(w_.stops, 1);
	if (!_i) { /* the link's farewell is not answered */
		uint8_t state[4096];
		struct vd_error err = { 0 };
		struct vd_wr w;
		vd_wr_init(&w, state, sizeof(state));
		ck_assert_int_eq(l2tp_layer.export_(((struct l2tp *)w_.lower_arg), &w, &err), -EAGAIN);
		ck_assert_uint_eq(w_.n, n);
		w_advance(10000);
		ck_assert_uint_eq(w_.downs, 1);
	} else {
		ck_assert_uint_eq(w_.downs, 0); /* it said so itself */
	}
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(-1).result, L2TP_CDN_ADMIN);
	ck_assert_uint_eq(c_got(-1).h.session, 9);
	ck_assert_uint_eq(c_got(-1).session_id, c_.sid);
	ck_assert_int_eq(w_.lower->send(w_.lower_arg, w_.session, (const uint8_t *)"\xc0\x21", 2), -ESTALE);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	c_.nr++;
	c_say(L2TP_ZLB, 0, 0);
	w_advance(59000);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN); /* acknowledged: not repeated */
	w_advance(1001); /* the empty tunnel goes */
	ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
	w_end();
}
END_TEST

START_TEST(closed_before_it_was_up)
{
	w_.restarts = _i;
	w_begin("{}");
	c_tunnel();
	c_say(L2TP_ICRQ, 0, 9);
	const struct vd_session_new *e = fake_last(&vd_topic_session_new);
	vd_session_close(e->session, "administrator", false);
	fake_drain();
	ck_assert_uint_eq(w_.stops, 0);
	ck_assert_uint_eq(w_.downs, 0);
	c_.nr++;
	c_say(L2TP_ZLB, 0, 0); /* ICRP */
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	c_say(L2TP_ICCN, c_got(-1).session_id, 0); /* crossed our CDN */
	ck_assert_uint_eq(w_.starts, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	w_end();
}
END_TEST

START_TEST(closed_by_link)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	vd_session_close(w_.session, "authentication failed", true);
	w_.lower->closed(w_.lower_arg, w_.session, "authentication failed");
	w_.lower->closed(w_.lower_arg, w_.session, "twice");
	fake_drain();
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_str_eq(c_got(-1).text, "authentication failed");
	ck_assert_uint_eq(w_.downs, 0);
	ck_assert_uint_eq(w_.stops, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	unsigned n = w_.n;
	c_.nr++;
	c_say(L2TP_CDN, c_.sid, 9); /* crossing */
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	w_end();
}
END_TEST

START_TEST(link_does_not_start)
{
	w_.restarts = false;
	w_begin("{}");
	c_tunnel();
	w_.bad_start = true;
	w_.calls_back = _i;
	c_say(L2TP_ICRQ, 0, 9);
	c_.nr++;
	c_say(L2TP_ICCN, c_got(-1).session_id, 0);
	unsigned cdns = 0;
	for (unsigned i = 0; i < w_.n; i++)
		cdns += c_got((int)i).type == L2TP_CDN;
	ck_assert_uint_eq(cdns, 1);
	ck_assert_uint_eq(w_.downs, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	w_end();
}
END_TEST

START_TEST(channel_goes)
{
	w_.restarts = false;
	w_begin("{}");
	c_call();
	vd_peer_close(w_.peer, "deleted");
	fake_drain();
	w_advance(20000);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_ptr_null(vd_chan_find(w_.chan));
	w_end();
}
END_TEST

/* The plugin stops with a call up: the client hears of it; what comes then opens nothing. */
START_TEST(shutdown)
{
	w_.restarts = false;
	w_begin("{}");
	c_call();
	l2tp_LTX_vd_plugin.close(w_.lower_arg);
	fake_drain();
	ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
	ck_assert_uint_eq(c_got(-1).result, L2TP_STOP_SHUTDOWN);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	unsigned n = w_.n;
	c_.ns = c_.nr = c_.tid = 0;
	c_say(L2TP_SCCRQ, 0, 2);
	ck_assert_uint_eq(w_.n, n);
	w_end();
}
END_TEST

START_TEST(unprotected)
{
	w_.restarts = false;
	w_begin("{}");
	c_.chan = w_channel(4501, false);
	vd_chan_find(c_.chan)->protected_ = false;
	vd_chan_set_up(c_.chan);
	fake_drain();
	c_say(L2TP_SCCRQ, 0, 1);
	ck_assert_uint_eq(w_.n, 0);
	ck_assert_uint_eq(vd_counter("l2tp.unprotected"), 1);
	/* Kept for what may yet be attached; given up when the next comes. */
	w_advance(1500);
	c_say(L2TP_SCCRQ, 0, 1);
	ck_assert_uint_eq(w_.n, 0);
	ck_assert_uint_eq(vd_datapath_drops(VD_DROP_NO_UPPER), 1);
	w_end();
}
END_TEST

/* ---- tunnel authentication: what is expected was computed with Python's hashlib ---- */
#define CHALLENGE "\x80\x16\0\0\0\x0b\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"

static void answer(const uint8_t *challenge, const char *secret, uint8_t type, uint8_t out[22])
{
	/* RFC 2661 section 4.4.3, by OpenSSL's own interface: CHAP with the message type as its identifier. */
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	memcpy(out, "\x80\x16\0\0\0\x0d", 6);
	ck_assert(EVP_DigestInit_ex(ctx, EVP_md5(), NULL) && EVP_DigestUpdate(ctx, &type, 1) &&
		EVP_DigestUpdate(ctx, secret, strlen(secret)) && EVP_DigestUpdate(ctx, challenge, 16) &&
		EVP_DigestFinal_ex(ctx, out + 6, NULL));
	EVP_MD_CTX_free(ctx);
}

START_TEST(tunnel_authentication)
{
	static const uint8_t want[] = { 0x6c, 0x0d, 0xa2, 0xfa, 0xf7, 0xa3, 0x97, 0xaa, 0x3f, 0x88, 0xf5, 0x50, 0x61, 0xea, 0x91,
		0x34 };
	uint8_t response[22];
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	w_.restarts = _i % 2;
	w_begin("{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}");
	c_.more = (const uint8_t *)CHALLENGE;
	c_.more_len = 22;
	c_say(L2TP_SCCRQ, 0, 1);
	struct l2tp_msg m = c_got(-1);
	ck_assert_uint_eq(m.type, L2TP_SCCRP);
	ck_assert(L2TP_SEEN(&m, L2TP_A_RESPONSE));
	ck_assert_mem_eq(m.response, want, 16);
	ck_assert(L2TP_SEEN(&m, L2TP_A_CHALLENGE));
	ck_assert_uint_eq(m.challenge_len, 16);
	c_.tid = m.tunnel_id;
	c_.nr = 1;
	int how = _i / 2; /* 0: right, 1: another secret, 2: SCCRP's own identifier, 3: no response, 4: reflected */
	answer(m.challenge, how == 1 ? "other" : "tunnel-secret", how == 2 ? 2 : 3, response);
	if (how == 4)
		memcpy(response + 6, want, 16);
	c_.more = response;
	c_.more_len = how == 3 ? 0 : 22;
	c_say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), how == 0);
	ck_assert_uint_eq(vd_counter("l2tp.auth_failed"), how != 0);
	if (how) {
		ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
		ck_assert_uint_eq(c_got(-1).result, L2TP_STOP_AUTH);
		ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	} else {
		ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	}
	w_end();
}
END_TEST

START_TEST(client_demands_a_secret)
{
	w_.restarts = _i;
	w_begin("{}");
	c_.more = (const uint8_t *)CHALLENGE;
	c_.more_len = 22;
	c_say(L2TP_SCCRQ, 0, 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
	ck_assert_uint_eq(c_got(-1).result, L2TP_STOP_AUTH);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 1);
	w_end();
}
END_TEST

/* ---- hidden AVPs: those of the tables were hidden by Python's hashlib with "tunnel-secret" and VECTOR ---- */
#define VECTOR "8018000000240001" "02030405060708090a0b0c0d0e0f1011"
#define TUNNEL_1 "c00a00000009340cad7f"
#define SESSION_9 "c00a0000000e3420a851"

static void say_hex(uint16_t type, uint16_t session, const char *hex)
{
	static uint8_t more[128];
	int n = vd_unhex(hex, more, sizeof(more));
	ck_assert_int_gt(n, 0);
	c_.more = more;
	c_.more_len = (size_t)n;
	c_say(type, session, 0);
}

#define SCCRQ_PLAIN "80080000000201008007000000076a"

/* An SCCRQ of our own making; id: its Assigned Tunnel ID as an AVP. */
static void say_sccrq(const char *id)
{
	uint8_t p[160], avps[100];
	struct vd_wr w, m;
	char hex[160];
	vd_format(hex, sizeof(hex), SCCRQ_PLAIN VECTOR "%s", id);
	int n = vd_unhex(hex, avps, sizeof(avps));
	ck_assert_int_gt(n, 0);
	vd_wr_init(&w, p, sizeof(p));
	vd_wr_u32(&w, 0x06a506a5);
	vd_wr_u32(&w, 0);
	vd_wr_init(&m, p + 8, sizeof(p) - 8);
	l2tp_begin_type(&m, 0, 0, L2TP_SCCRQ);
	vd_wr_put(&m, avps, (size_t)n);
	l2tp_end(&m);
	vd_wr_patch_u16(&w, 4, (uint16_t)(m.len + 8));
	w_datagram(w_.chan, p, m.len + 8);
	c_.ns = 1;
}

START_TEST(hidden_ids)
{
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	w_.restarts = _i;
	w_begin("{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}");
	say_sccrq(TUNNEL_1);
	struct l2tp_msg m = c_got(-1);
	ck_assert_uint_eq(m.type, L2TP_SCCRP);
	ck_assert_uint_eq(m.h.tunnel, 1);
	uint8_t response[22];
	answer(m.challenge, "tunnel-secret", 3, response);
	c_.tid = m.tunnel_id;
	c_.nr = 1;
	c_.more = response;
	c_.more_len = 22;
	c_say(L2TP_SCCCN, 0, 0);
	ck_assert_uint_eq(fake_events(&vd_topic_l2tp_tunnel_up), 1);
	say_hex(L2TP_OCRQ, 0, VECTOR SESSION_9);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(-1).h.session, 9);
	ck_assert_uint_eq(c_got(-1).result, L2TP_CDN_NEVER);
	w_end();
}
END_TEST

/* Refused, said and counted: without a secret, with another one, without a vector. */
START_TEST(hidden_and_not_revealed)
{
	static const struct { const char *secret, *counter, *why; uint16_t error; unsigned reports; } how[] = {
		{ NULL, "l2tp.hidden_no_secret",
			"mandatory AVP 9 of vendor 0 in SCCRQ is hidden, and no tunnel secret is set to reveal it", L2TP_E_UNKNOWN_AVP,
			1 },
		{ "another", "l2tp.hidden_wrong_secret",
			"mandatory AVP 9 of vendor 0 in SCCRQ is hidden, and the tunnel secret does not reveal it", L2TP_E_VALUE, 1 },
		{ "tunnel-secret", "l2tp.hidden_no_vector", /* a Framing Type of its own, before any vector */
			"mandatory AVP 19 of vendor 0 in SCCRQ is hidden without a Random Vector before it, or must not be hidden",
			L2TP_E_VALUE, 1 },
	};
	int k = _i / 2;
	setenv("VD_TEST_L2TP_SECRET", how[k].secret ? how[k].secret : "", 1);
	w_.restarts = _i % 2;
	w_begin(how[k].secret ? "{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}" : "{}");
	if (k == 2) {
		c_.more = (const uint8_t *)"\xc0\x0c\0\0\0\x13\1\2\3\4\5\6";
		c_.more_len = 12;
		c_say(L2TP_SCCRQ, 0, 1);
	} else {
		say_sccrq(TUNNEL_1);
	}
	struct l2tp_msg m = c_got(-1);
	ck_assert_uint_eq(w_.n, 1);
	ck_assert_uint_eq(m.type, L2TP_STOPCCN);
	ck_assert_uint_eq(m.h.tunnel, k == 2);
	ck_assert_uint_eq(m.result, L2TP_STOP_ERROR);
	ck_assert_uint_eq(m.error, how[k].error);
	ck_assert_str_eq(m.text, how[k].why);
	ck_assert_uint_eq(vd_counter(how[k].counter), 1);
	ck_assert_uint_eq(vd_counter("l2tp.refused_tunnel"), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), how[k].reports);
	w_end();
}
END_TEST

/* In a tunnel without a secret: a call's message ends the call alone, the tunnel's own ends the tunnel. */
START_TEST(hidden_in_a_tunnel)
{
	w_.restarts = _i;
	w_begin("{}");
	c_call();
	say_hex(L2TP_OCRQ, 0, VECTOR SESSION_9);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(-1).h.session, 0);
	ck_assert_uint_eq(c_got(-1).error, L2TP_E_UNKNOWN_AVP);
	ck_assert_uint_eq(w_.downs, 0);
	c_.nr = 3;
	say_hex(L2TP_WEN, c_.sid, VECTOR "c00a00000022abcdabcd");
	ck_assert_uint_eq(w_.downs, 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(-1).h.session, 9);
	c_.nr = 4;
	say_hex(L2TP_HELLO, 0, VECTOR "400a00000009abcdabcd"); /* not mandatory */
	ck_assert_uint_eq(c_got(-1).type, L2TP_ZLB);
	say_hex(L2TP_HELLO, 0, VECTOR "c00a00000009abcdabcd");
	ck_assert_uint_eq(c_got(-1).type, L2TP_STOPCCN);
	ck_assert_uint_eq(c_got(-1).result, L2TP_STOP_ERROR);
	ck_assert_uint_eq(vd_counter("l2tp.hidden_no_secret"), 3);
	w_end();
}
END_TEST

/* A Challenge of 400 octets, hidden here by OpenSSL's own interface; the answer is computed from all of it. */
START_TEST(long_hidden_challenge)
{
	static const uint8_t want[16] = { 0xcc, 0xe5, 0x67, 0x88, 0x60, 0xd1, 0xec, 0x07, 0xf1, 0xe4, 0x13, 0x0d, 0x2a, 0xba, 0x17, 0x62 };
	static const uint8_t vector[] = "\x80\x0a\0\0\0\x24test";
	uint8_t avp[10 + 6 + 402], pad[16], *v = avp + 16;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	memcpy(avp, vector, 10);
	memcpy(avp + 10, "\xc1\x98\0\0\0\x0b", 6);
	v[0] = 400 >> 8;
	v[1] = 400 & 255;
	for (unsigned i = 0; i < 400; i++)
		v[2 + i] = (uint8_t)i;
	ck_assert(EVP_DigestInit_ex(ctx, EVP_md5(), NULL) && EVP_DigestUpdate(ctx, "\0\x0btunnel-secrettest", 19) &&
		EVP_DigestFinal_ex(ctx, pad, NULL));
	for (unsigned i = 0; i < 402; i++) {
		v[i] ^= pad[i % 16];
		if (i % 16 == 15)
			ck_assert(EVP_DigestInit_ex(ctx, EVP_md5(), NULL) && EVP_DigestUpdate(ctx, "tunnel-secret", 13) &&
				EVP_DigestUpdate(ctx, v + i - 15, 16) && EVP_DigestFinal_ex(ctx, pad, NULL));
	}
	EVP_MD_CTX_free(ctx);
	setenv("VD_TEST_L2TP_SECRET", "tunnel-secret", 1);
	w_.restarts = false;
	w_begin("{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}");
	c_.more = avp;
	c_.more_len = sizeof(avp);
	c_say(L2TP_SCCRQ, 0, 1);
	struct l2tp_msg m = c_got(-1);
	ck_assert_uint_eq(m.type, L2TP_SCCRP);
	ck_assert_mem_eq(m.response, want, 16);
	w_end();
}
END_TEST

/* ---- state ---- */
START_TEST(damaged_state)
{
	static uint8_t whole[1 << 16], bad[1 << 16];
	w_.restarts = false;
	w_begin("{}");
	c_call();
	c_say(L2TP_ICRQ, 0, 10); /* an ICRP in the queue, */
	c_.ns += 2;
	c_say(L2TP_ICRQ, 0, 11); /* one that came early, */
	c_.ns -= 3;
	c_say(L2TP_CDN, c_.sid, 9); /* and a repetition */
	size_t len = w_export(whole, sizeof(whole)), start = 0;
	for (size_t i = 0; i + 16 < len; i++)
		if (!memcmp(whole + i, "VDST\0\x04l2tp", 10) || !memcmp(whole + i, "TSDV\0\x04l2tp", 10))
			start = i + 16;
	ck_assert_uint_gt(start, 0);
	for (size_t cut = 0; cut < len - start; cut += 1 + cut / 16) {
		struct vd_wr w;
		memcpy(bad, whole, start + cut);
		vd_wr_init(&w, bad, sizeof(bad));
		w.len = start;
		vd_wr_patch_u32(&w, start - 4, (uint32_t)cut);
		ck_assert_int_lt(w_restart_with(bad, start + cut), 0);
	}
	for (unsigned i = 0; i < 60; i++) { /* whatever it says: refused or lived with */
		uint16_t at[2];
		memcpy(bad, whole, len);
		vd_random(at, sizeof(at));
		bad[start + at[0] % (len - start)] ^= (uint8_t)(1 + at[1] % 255);
		w_restart_with(bad, len);
		w_.restarting = true; /* nothing of it is counted */
		fake_advance(120000);
		w_.n = 0;
		w_.restarting = false;
	}
	ck_assert_int_eq(w_restart_with(whole, len), 0);
	w_end();
}
END_TEST

/* A session that did not survive: its call is hung up, the others live on. */
START_TEST(session_lost_in_import)
{
	static uint8_t state[1 << 16];
	w_.restarts = false;
	w_begin("{}");
	c_call();
	c_.nr = 2;
	c_say(L2TP_ZLB, 0, 0);
	size_t len = w_export(state, sizeof(state)), at = 0;
	for (size_t i = 0; i + 8 < len; i++) { /* its last mention is that of the call's timer, before it the call's own */
		uint8_t id[8] = { 0, 0, 0, 0, 0, 0, 0, (uint8_t)w_.session };
		if (!memcmp(state + i, id, 8))
			at = i;
	}
	ck_assert_uint_gt(at, 8);
	state[at + 6] = state[at - 8 + 6] = 0x77;
	unsigned n = w_.n;
	ck_assert_int_eq(w_restart_with(state, len), 0);
	ck_assert_uint_eq(vd_counter("l2tp.import_no_session"), 1);
	ck_assert_uint_eq(w_.n, n + 1);
	ck_assert_uint_eq(c_got(-1).type, L2TP_CDN);
	ck_assert_uint_eq(c_got(-1).h.session, 9);
	w_end();
}
END_TEST

/* ---- the stage on its own: bits and lengths of data messages ---- */
START_TEST(data_headers)
{
	static const struct { const char *hex; int why; unsigned len; } t[] = {
		{ "06a506a500140000" "4002000cTTTTSSSS" "ff03c021", -1, 4 },
		{ "06a506a500120000" "0002TTTTSSSS" "ff03c021", -1, 4 }, /* the kernel's: no L bit */
		{ "06a506a5001a0000" "4b020012TTTTSSSS00050000" "0002eeee" "0021", -1, 2 }, /* S, O, P */
		{ "06a506a500160000" "4002000cTTTTSSSS" "ff03c0210000", -1, 4 }, /* octets behind the message */
		{ "06a506a500140000" "4002000dTTTTSSSS" "ff03c021", VD_DROP_L2TP_HEADER, 0 }, /* longer than the datagram */
		{ "06a506a500140000" "40020004TTTTSSSS" "ff03c021", VD_DROP_L2TP_HEADER, 0 }, /* shorter than its header */
		{ "06a506a500140000" "4003000cTTTTSSSS" "ff03c021", VD_DROP_L2TP_HEADER, 0 },
		{ "06a506a500140000" "4202000cTTTTSSSS" "ffffc021", VD_DROP_L2TP_HEADER, 0 },
		{ "06a506a500150000" "4002000cTTTTSSSS" "ff03c021", VD_DROP_UDP_LENGTH, 0 },
		{ "06a506a500070000", VD_DROP_UDP_LENGTH, 0 },
		{ "06a506a50008", VD_DROP_SHORT, 0 },
	};
	w_.restarts = false;
	w_begin("{}");
	c_call();
	for (size_t i = 0; i < VD_ARRAY_SIZE(t); i++) {
		char hex[128], id[5];
		uint8_t p[64];
		vd_strcpy(hex, sizeof(hex), t[i].hex);
		char *at = strstr(hex, "TTTT");
		if (at) {
			vd_format(id, sizeof(id), "%04x", c_.tid);
			memcpy(at, id, 4);
			vd_format(id, sizeof(id), "%04x", c_.sid);
			memcpy(at + 4, id, 4);
		}
		int len = vd_unhex(hex, p, sizeof(p));
		ck_assert_int_gt(len, 0);
		unsigned frames = w_.frames;
		uint64_t drops = t[i].why < 0 ? 0 : vd_datapath_drops((enum vd_drop)t[i].why);
		w_datagram(w_.chan, p, (size_t)len);
		ck_assert_uint_eq(w_.frames, frames + (t[i].why < 0));
		if (t[i].why < 0)
			ck_assert_uint_eq(w_.frame_len, t[i].len);
		else
			ck_assert_uint_eq(vd_datapath_drops((enum vd_drop)t[i].why), drops + 1);
	}
	w_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("l2tp_lns");
	TCase *t = tcase_create("conversations");
	tcase_add_loop_test(t, set_up_and_down, 0, 2);
	tcase_add_loop_test(t, ports_follow, 0, 2);
	tcase_add_loop_test(t, packets_follow, 0, 2);
	tcase_add_test(t, checksum_in_ipv6);
	tcase_add_loop_test(t, data_through_the_stage, 0, 2);
	tcase_add_loop_test(t, strangers, 0, 2);
	tcase_add_loop_test(t, order_and_limits, 0, 2);
	tcase_add_loop_test(t, unknown_and_unwanted, 0, 28);
	tcase_add_test(t, flood);
	tcase_add_test(t, data_headers);
	suite_add_tcase(s, t);
	t = tcase_create("ends");
	tcase_add_loop_test(t, closed_by_owner, 0, 2);
	tcase_add_loop_test(t, closed_before_it_was_up, 0, 2);
	tcase_add_loop_test(t, closed_by_link, 0, 2);
	tcase_add_loop_test(t, link_does_not_start, 0, 2);
	tcase_add_test(t, channel_goes);
	tcase_add_test(t, shutdown);
	suite_add_tcase(s, t);
	t = tcase_create("trust");
	tcase_add_test(t, unprotected);
	tcase_add_loop_test(t, tunnel_authentication, 0, 10);
	tcase_add_loop_test(t, client_demands_a_secret, 0, 2);
	suite_add_tcase(s, t);
	t = tcase_create("hidden");
	tcase_add_loop_test(t, hidden_ids, 0, 2);
	tcase_add_loop_test(t, hidden_and_not_revealed, 0, 6);
	tcase_add_loop_test(t, hidden_in_a_tunnel, 0, 2);
	tcase_add_test(t, long_hidden_challenge);
	suite_add_tcase(s, t);
	t = tcase_create("state");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, damaged_state);
	tcase_add_test(t, session_lost_in_import);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
