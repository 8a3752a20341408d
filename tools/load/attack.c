/* --attack: clients that hold the group's key and nothing else. Each begins anew as soon as its last try is over, at --rate,
 * until --hold seconds have passed. "password" answers who it is, wrongly; "key" never logs in, and sends in its SA what costs
 * the gateway most: tunnels without end, control messages and data of tunnels that are not there. */
#include <string.h>

#include "load.h"

static unsigned next_try;

bool load_attack_over(void)
{
	return load_now() - load_stats.began >= load_opt.hold;
}

/* One client more, or one whose last try is over. False: all of them are busy. */
bool load_attack_start(void)
{
	for (unsigned i = 0; i < load_opt.clients; i++) {
		struct load_client *c = &load_clients[next_try];

		next_try = (next_try + 1) % load_opt.clients;
		if (c->state != LOAD_IDLE && c->state != LOAD_OVER)
			continue;
		*c = (struct load_client){ .number = c->number, .nat = c->nat, .from = c->from, .fd = -1 };
		load_client_start(c);
		return true;
	}
	return false;
}

void load_attack_key(struct load_client *c)
{
	load_client_up(c);
	load_due(c, DUE_TRAFFIC, 0.001);
}

void load_attack_due(struct load_client *c)
{
	/* SCCRQ: message type, protocol version, framing capabilities, host name, receive window, and last the assigned tunnel id. The
	 * length is filled in. */
	static const uint8_t request[] = { 0xc8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1, 0x80, 8, 0, 0, 0, 2, 1, 0, 0x80, 10, 0, 0,
		0, 3, 0, 0, 0, 3, 0x80, 13, 0, 0, 0, 7, 'a', 't', 't', 'a', 'c', 'k', 'r', 0x80, 8, 0, 0, 0, 10, 0, 4, 0x80, 8, 0, 0, 0, 9, 0, 0 };
	static const uint8_t hello[] = { 0xc8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6 };
	uint8_t out[1200] = { 0 };
	unsigned kind = c->ping_seq % 3, id = 1 + c->ping_seq / 3 % 65000;
	size_t len = load_opt.size < 40 ? 40 : load_opt.size;

	load_due(c, DUE_TRAFFIC, 1 / load_opt.pps);
	c->ping_seq++;
	if (kind == 0) {
		len = sizeof(request);
		memcpy(out, request, len);
		out[3] = (uint8_t)len;
		out[len - 2] = (uint8_t)(id >> 8);
		out[len - 1] = (uint8_t)id;
	} else if (kind == 1) {
		len = sizeof(hello);
		memcpy(out, hello, len);
		out[4] = (uint8_t)(id >> 8);
		out[5] = (uint8_t)id;
	} else { /* data with a length, for a tunnel and a session */
		len = len > sizeof(out) ? sizeof(out) : len;
		out[0] = 0x40, out[1] = 2;
		out[2] = (uint8_t)(len >> 8), out[3] = (uint8_t)len;
		out[4] = (uint8_t)(id >> 8), out[5] = (uint8_t)id, out[7] = 1;
		out[8] = 0xff, out[9] = 3, out[10] = 0xc0, out[11] = 0x21;
	}
	load_stats.ip_out++;
	load_esp_send(c, out, len);
}
