#include "message.h"
#include "plugins/net/lib/names.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <viaduct/datapath.h>

#define IP_HEADER 20
#define UDP_HEADER 8
#define BOOTP 236
#define SNAME_AT 44
#define FILE_AT 108
#define COOKIE 0x63825363u
#define MIN_SIZE 548 /* of an answer without headers: everybody takes 576 octets */
enum { PAD = 0, END = 255, ACK = 5, UDP = 17 };

/* ---- reading ---- */
static void one_option(struct inform_request *q, unsigned code, const uint8_t *p, size_t len, uint8_t *overload)
{
	switch (code) {
	case INFORM_TYPE:
		if (len == 1)
			q->type = p[0];
		break;
	case INFORM_OVERLOAD:
		if (len == 1 && overload)
			*overload = p[0];
		break;
	case INFORM_SIZE:
		if (len == 2)
			q->size = (uint16_t)(p[0] << 8 | p[1]);
		break;
	case INFORM_WANTED:
		q->asked = true;
		for (size_t i = 0; i < len; i++)
			q->wanted[p[i]] = true;
		break;
	default:
		break;
	}
}

/* True up to the end option, or when the octets end with an option. */
static bool options(struct inform_request *q, struct vd_rd *r, uint8_t *overload)
{
	while (vd_rd_left(r)) {
		unsigned code = vd_rd_u8(r);

		if (code == PAD)
			continue;
		if (code == END)
			return true;
		size_t len = vd_rd_u8(r);
		const uint8_t *p = vd_rd_take(r, len);

		if (!vd_rd_ok(r))
			return false;
		one_option(q, code, p, len, overload);
	}
	return vd_rd_ok(r);
}

/* The payload of the datagram, checked. */
static const uint8_t *datagram(const uint8_t *p, size_t len, struct vd_ip *ret_source, size_t *ret_len, const char **ret_why)
{
	struct vd_ip dst = { .family = AF_INET };
	struct vd_rd r;

	*ret_source = (struct vd_ip){ .family = AF_INET };
	*ret_why = "cut short";
	vd_rd_init(&r, p, len);
	size_t head = (vd_rd_u8(&r) & 15u) * 4u;
	vd_rd_u8(&r);
	size_t total = vd_rd_u16(&r);
	vd_rd_take(&r, 8);
	vd_rd_copy(&r, ret_source->a, 4);
	vd_rd_copy(&r, dst.a, 4);
	if (!vd_rd_ok(&r) || head < IP_HEADER || total > len || total < head + UDP_HEADER)
		return NULL;
	vd_rd_init(&r, p + head, total - head);
	vd_rd_u16(&r);
	vd_rd_u16(&r);
	size_t n = vd_rd_u16(&r);
	uint16_t sum = vd_rd_u16(&r);
	if (n < UDP_HEADER || n > total - head)
		return NULL;
	*ret_why = "wrong checksum";
	if (sum && vd_sum_fold(vd_sum(vd_sum_pseudo(ret_source, &dst, UDP, (uint32_t)n), p + head, n)) != 0)
		return NULL;
	*ret_len = n - UDP_HEADER;
	return p + head + UDP_HEADER;
}

int inform_parse(const uint8_t *p, size_t len, struct inform_request *ret_request, const char **ret_why)
{
	struct inform_request q = { 0 };
	struct vd_ip source, ciaddr = { .family = AF_INET };
	uint8_t overload = 0;
	size_t n = 0;
	const uint8_t *body = datagram(p, len, &source, &n, ret_why);
	struct vd_rd r;

	if (!body)
		return -EBADMSG;
	vd_rd_init(&r, body, n);
	*ret_why = "not a request of BOOTP";
	if (vd_rd_u8(&r) != 1)
		return -EBADMSG;
	vd_rd_copy(&r, q.op_rest, sizeof(q.op_rest));
	q.xid = vd_rd_u32(&r);
	vd_rd_u16(&r); /* secs */
	q.flags = vd_rd_u16(&r);
	vd_rd_copy(&r, ciaddr.a, 4);
	vd_rd_take(&r, 12); /* yiaddr, siaddr, giaddr */
	vd_rd_copy(&r, q.chaddr, sizeof(q.chaddr));
	vd_rd_take(&r, 64 + 128);
	if (vd_rd_u32(&r) != COOKIE || !vd_rd_ok(&r))
		return -EBADMSG;
	*ret_why = "options are cut short";
	if (!options(&q, &r, &overload))
		return -EBADMSG;
	/* RFC 2131 section 4.1: file before sname. */
	struct vd_rd more;
	vd_rd_init(&more, body + FILE_AT, 128);
	if ((overload & 1) && !options(&q, &more, NULL))
		return -EBADMSG;
	vd_rd_init(&more, body + SNAME_AT, 64);
	if ((overload & 2) && !options(&q, &more, NULL))
		return -EBADMSG;
	*ret_why = "no message type";
	if (!q.type)
		return -EBADMSG;
	q.address = vd_ip_is_any(&ciaddr) ? source : ciaddr;
	*ret_request = q;
	return 0;
}

/* ---- writing ---- */
static bool wants(const struct inform_request *q, unsigned code)
{
	return !q->asked || q->wanted[code];
}

/* An option as large as it is: parts of 255 octets that belong together (RFC 3396). False, and nothing, when there is no
 * room for it and for the end. */
static bool put_option(struct vd_wr *w, unsigned code, const uint8_t *p, size_t len, size_t most)
{
	size_t parts = (len + 254) / 255;

	if (!len || w->len + len + 2 * parts + 1 > most)
		return false;
	for (size_t n; len; p += n, len -= n) {
		n = len < 255 ? len : 255;
		vd_wr_u8(w, (uint8_t)code);
		vd_wr_u8(w, (uint8_t)n);
		vd_wr_put(w, p, n);
	}
	return true;
}

static void put_addresses(struct vd_wr *w, unsigned code, const struct vd_ip *list, size_t n, size_t most)
{
	uint8_t all[64];
	size_t len = 0;

	for (size_t i = 0; i < n && list[i].family; i++)
		if (list[i].family == AF_INET && len + 4 <= sizeof(all)) {
			memcpy(all + len, list[i].a, 4);
			len += 4;
		}
	put_option(w, code, all, len, most);
}

/* RFC 3442: width, the octets of the network that matter, router. */
static size_t route(const struct vd_prefix *r, const struct vd_ip *gateway, uint8_t out[9])
{
	size_t n = (r->len + 7u) / 8u;

	out[0] = r->len;
	memcpy(out + 1, r->ip.a, n);
	memcpy(out + 1 + n, gateway->a, 4);
	return 1 + n + 4;
}

/* Clients that know 121 ignore 249, and Windows before 8 knows only that: whoever asks for both gets both when they fit. */
static size_t put_routes(struct vd_wr *w, const struct inform_request *q, const struct inform_facts *f, size_t most)
{
	static const unsigned codes[] = { INFORM_ROUTES_121, INFORM_ROUTES_249 };
	uint8_t all[9 * INFORM_ROUTES];
	size_t left_out = 0;

	for (size_t c = 0; c < 2; c++) {
		size_t len = 0, skipped = 0, others = c == 0 && q->asked && q->wanted[codes[1]] ? 2 : 1;
		/* What is left of the answer, for each of those that are still to come. */
		size_t room = most > w->len + 1 ? (most - w->len - 1) / others : 0;

		if (!wants(q, codes[c]))
			continue;
		for (size_t i = 0; i < f->n_routes; i++) {
			uint8_t one[9];
			size_t n = f->routes[i].ip.family == AF_INET ? route(&f->routes[i], &f->gateway, one) : 0;
			size_t with = len + n + 2 * ((len + n + 254) / 255);

			if (n && (with > room || len + n > sizeof(all))) {
				skipped++;
				continue;
			}
			memcpy(all + len, one, n);
			len += n;
		}
		put_option(w, codes[c], all, len, most);
		left_out = skipped > left_out ? skipped : left_out;
	}
	return left_out;
}

/* RFC 3397: names as in the DNS, without compression. */
static void put_search(struct vd_wr *w, const char *search, size_t most)
{
	uint8_t all[256];
	struct vd_wr names;

	vd_wr_init(&names, all, sizeof(all));
	net_names_put(&names, search);
	put_option(w, INFORM_SEARCH, all, names.len, most);
}

/* Headers in front of what stands from offset IP_HEADER + UDP_HEADER on. */
static void wrap(uint8_t *p, size_t len, const struct vd_ip *from, const struct vd_ip *to)
{
	size_t n = len - IP_HEADER;
	struct vd_wr w;

	vd_wr_init(&w, p, IP_HEADER + UDP_HEADER);
	vd_wr_u16(&w, 0x4500);
	vd_wr_u16(&w, (uint16_t)len);
	vd_wr_u32(&w, 0);
	vd_wr_u8(&w, 64);
	vd_wr_u8(&w, UDP);
	vd_wr_u16(&w, 0);
	vd_wr_put(&w, from->a, 4);
	vd_wr_put(&w, to->a, 4);
	vd_wr_u16(&w, INFORM_SERVER);
	vd_wr_u16(&w, INFORM_CLIENT);
	vd_wr_u16(&w, (uint16_t)n);
	vd_wr_u16(&w, 0);
	vd_wr_patch_u16(&w, 10, vd_sum_fold(vd_sum(0, p, IP_HEADER)));
	uint16_t sum = vd_sum_fold(vd_sum(vd_sum_pseudo(from, to, UDP, (uint32_t)n), p + IP_HEADER, n));
	vd_wr_patch_u16(&w, IP_HEADER + 6, sum ? sum : 0xffff);
}

int inform_answer(const struct inform_request *q, const struct inform_facts *f, size_t mtu, uint8_t *out, size_t size,
	size_t *ret_left_out)
{
	size_t headers = IP_HEADER + UDP_HEADER, most = q->size > MIN_SIZE ? q->size : MIN_SIZE;
	const uint8_t type = ACK;
	struct vd_wr w;

	if (most > mtu - headers)
		most = mtu - headers;
	if (mtu < headers + BOOTP + 4 + 16 || mtu > size)
		return -ENOSPC;
	vd_wr_init(&w, out, size);
	vd_wr_zero(&w, headers);
	most += headers;
	vd_wr_u8(&w, 2);
	vd_wr_put(&w, q->op_rest, 2);
	vd_wr_u8(&w, 0);
	vd_wr_u32(&w, q->xid);
	vd_wr_u16(&w, 0);
	vd_wr_u16(&w, q->flags);
	vd_wr_put(&w, q->address.a, 4);
	vd_wr_zero(&w, 12); /* RFC 2131 section 4.3.5: no new address, no lease */
	vd_wr_put(&w, q->chaddr, sizeof(q->chaddr));
	vd_wr_zero(&w, 64 + 128);
	vd_wr_u32(&w, COOKIE);
	put_option(&w, INFORM_TYPE, &type, 1, most);
	put_option(&w, INFORM_SERVER_ID, f->gateway.a, 4, most);
	if (wants(q, INFORM_DNS))
		put_addresses(&w, INFORM_DNS, f->dns, f->n_dns, most);
	if (wants(q, INFORM_DOMAIN))
		put_option(&w, INFORM_DOMAIN, (const uint8_t *)f->search, strcspn(f->search, " ,"), most);
	if (wants(q, INFORM_WINS))
		put_addresses(&w, INFORM_WINS, f->wins, f->n_wins, most);
	if (wants(q, INFORM_SEARCH))
		put_search(&w, f->search, most);
	*ret_left_out = put_routes(&w, q, f, most);
	vd_wr_u8(&w, END);
	/* BOOTP's least (RFC 1542 section 2.1); some clients take nothing shorter. */
	while (vd_wr_ok(&w) && w.len < headers + 300)
		vd_wr_u8(&w, PAD);
	if (!vd_wr_ok(&w))
		return -ENOSPC;
	wrap(out, w.len, &f->gateway, &q->address);
	return (int)w.len;
}
