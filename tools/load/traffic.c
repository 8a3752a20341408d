/* What a client sends inside: ICMP echo requests or UDP datagrams, and what it makes of what comes. */
#include <string.h>

#include "load.h"

enum { ICMP = 1, UDP = 17 };

static unsigned sum(const uint8_t *p, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return ~s & 0xffff;
}

static void ip_header(const struct load_client *c, struct vd_wr *w, uint8_t protocol, size_t len)
{
	vd_wr_u16(w, 0x4500);
	vd_wr_u16(w, (uint16_t)len);
	vd_wr_u32(w, 0);
	vd_wr_u8(w, 64);
	vd_wr_u8(w, protocol);
	vd_wr_u16(w, 0);
	vd_wr_put(w, c->address, 4);
	vd_wr_put(w, load_opt.target.ip.a, 4);
	vd_wr_patch_u16(w, 10, (uint16_t)sum(w->base, 20));
}

static uint64_t now_us(void) { return (uint64_t)(load_now() * 1e6); }

void load_traffic_due(struct load_client *c)
{
	uint8_t out[LOAD_PACKET_MAX];
	struct vd_wr w;
	size_t len = load_opt.size;
	bool ping = load_opt.target.port == 0;

	load_due(c, DUE_TRAFFIC, 1 / load_opt.pps);
	vd_wr_init(&w, out, sizeof(out));
	ip_header(c, &w, ping ? ICMP : UDP, len);
	if (ping) {
		vd_wr_u32(&w, 0x08000000);
		vd_wr_u16(&w, (uint16_t)c->number);
		vd_wr_u16(&w, (uint16_t)++c->ping_seq);
		vd_wr_u32(&w, c->number);
		vd_wr_u64(&w, now_us());
		vd_wr_zero(&w, len - w.len);
		vd_wr_patch_u16(&w, 22, (uint16_t)sum(out + 20, len - 20));
		load_stats.pings++;
	} else {
		vd_wr_u16(&w, 9);
		vd_wr_u16(&w, load_opt.target.port);
		vd_wr_u16(&w, (uint16_t)(len - 20));
		vd_wr_u16(&w, 0);
		vd_wr_u32(&w, c->number);
		vd_wr_zero(&w, len - w.len);
	}
	load_stats.ip_out++;
	load_ppp_ip(c, out, len);
}

/* Somebody pings us. */
static void ping_answer(struct load_client *c, const uint8_t *p, size_t len, size_t head)
{
	uint8_t out[LOAD_PACKET_MAX];

	if (len > sizeof(out))
		return;
	memcpy(out, p, len);
	memcpy(out + 12, p + 16, 4);
	memcpy(out + 16, p + 12, 4);
	out[head] = 0;
	out[head + 2] = out[head + 3] = 0;
	unsigned s = sum(out + head, len - head);
	out[head + 2] = (uint8_t)(s >> 8);
	out[head + 3] = (uint8_t)s;
	load_ppp_ip(c, out, len);
}

void load_traffic_input(struct load_client *c, const uint8_t *p, size_t len)
{
	size_t head = (size_t)(p[0] & 0xf) * 4, total = len >= 20 ? (size_t)p[2] << 8 | p[3] : 0;
	struct vd_rd r;

	if (p[0] >> 4 != 4 || head < 20 || total < head + 8 || total > len)
		return;
	load_stats.ip_in++;
	if (memcmp(p + 16, c->address, 4) != 0) {
		load_stats.strayed++; /* another one's */
		return;
	}
	if (p[9] != ICMP)
		return;
	if (p[head] == 8) {
		ping_answer(c, p, total, head);
		return;
	}
	vd_rd_init(&r, p + head, total - head);
	uint8_t type = vd_rd_u8(&r);
	vd_rd_take(&r, 7);
	uint32_t number = vd_rd_u32(&r);
	uint64_t sent = vd_rd_u64(&r), now = now_us();
	if (type != 0 || !vd_rd_ok(&r))
		return;
	if (number != c->number) {
		load_stats.strayed++;
		return;
	}
	load_stats.pongs++;
	if (sent <= now)
		load_round_trip((double)(now - sent) / 1e6);
}
