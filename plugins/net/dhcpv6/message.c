#include "message.h"
#include "plugins/net/lib/names.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* ---- reading ---- */
/* The addresses that a client names in an IA. */
static bool read_ia(struct dhcp6_ia *ia, struct vd_rd *r)
{
	ia->id = vd_rd_u32(r);
	if (ia->kind != DHCP6_IA_TA)
		vd_rd_take(r, 8); /* T1, T2: ours to say */
	while (vd_rd_left(r)) {
		unsigned code = vd_rd_u16(r);
		struct vd_rd body;

		if (!vd_rd_sub(r, vd_rd_u16(r), &body))
			return false;
		if (code != DHCP6_IAADDR || ia->kind == DHCP6_IA_PD)
			continue;
		struct vd_ip ip = { .family = AF_INET6 };

		vd_rd_copy(&body, ip.a, 16);
		if (!vd_rd_take(&body, 8))
			return false;
		if (ia->n_addrs < DHCP6_IA_ADDRS)
			ia->addrs[ia->n_addrs++] = ip;
	}
	return vd_rd_ok(r);
}

static void read_wanted(struct dhcp6_request *q, struct vd_rd *r)
{
	q->asked = true;
	while (vd_rd_left(r) >= 2)
		switch (vd_rd_u16(r)) {
		case DHCP6_DNS: q->wants_dns = true; break;
		case DHCP6_SEARCH: q->wants_search = true; break;
		case DHCP6_REFRESH: q->wants_refresh = true; break;
		default: break;
		}
}

static bool read_option(struct dhcp6_request *q, unsigned code, struct vd_rd *r)
{
	struct dhcp6_ia ia = { .kind = (uint8_t)code };

	switch (code) {
	case DHCP6_CLIENTID:
		q->client = vd_rd_rest(r, &q->client_len);
		return q->client_len >= 1 && q->client_len <= DHCP6_DUID_MAX;
	case DHCP6_SERVERID:
		q->server = vd_rd_rest(r, &q->server_len);
		return q->server_len >= 1 && q->server_len <= DHCP6_DUID_MAX;
	case DHCP6_IA_NA:
	case DHCP6_IA_TA:
	case DHCP6_IA_PD:
		if (!read_ia(&ia, r))
			return false;
		if (q->n_ias < DHCP6_IAS)
			q->ias[q->n_ias++] = ia;
		return true;
	case DHCP6_WANTED:
		read_wanted(q, r);
		return vd_rd_done(r);
	case DHCP6_RAPID:
		q->rapid = true;
		return vd_rd_done(r);
	default:
		return true;
	}
}

int dhcp6_parse(const uint8_t *p, size_t len, struct dhcp6_request *ret_request, const char **ret_why)
{
	struct dhcp6_request q = { 0 };
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	q.xid = vd_rd_u32(&r);
	q.type = (uint8_t)(q.xid >> 24);
	q.xid &= 0xffffff;
	while (vd_rd_left(&r)) {
		unsigned code = vd_rd_u16(&r);
		struct vd_rd body;

		*ret_why = "an option is cut short";
		if (!vd_rd_sub(&r, vd_rd_u16(&r), &body) || !read_option(&q, code, &body))
			return -EBADMSG;
	}
	*ret_why = "cut short";
	if (!vd_rd_ok(&r))
		return -EBADMSG;
	*ret_request = q;
	return 0;
}

/* ---- writing ---- */
static size_t open_option(struct vd_wr *w, unsigned code)
{
	vd_wr_u16(w, (uint16_t)code);
	return vd_wr_mark(w, 2);
}

static void close_option(struct vd_wr *w, size_t at)
{
	vd_wr_patch_u16(w, at, (uint16_t)(w->len - at - 2));
}

static void put_status(struct vd_wr *w, enum dhcp6_status status, const char *text)
{
	size_t at = open_option(w, DHCP6_STATUS);

	vd_wr_u16(w, (uint16_t)status);
	vd_wr_put(w, text, strlen(text));
	close_option(w, at);
}

static void put_address(struct vd_wr *w, const struct vd_ip *ip, uint32_t preferred, uint32_t valid)
{
	size_t at = open_option(w, DHCP6_IAADDR);

	vd_wr_put(w, ip->a, 16);
	vd_wr_u32(w, preferred);
	vd_wr_u32(w, valid);
	close_option(w, at);
}

/* The first IA_NA gets the address, with an end to all others that the client believes to have (RFC 8415 section 18.3.4). */
static void put_ia(struct vd_wr *w, const struct dhcp6_ia *ia, const struct dhcp6_facts *f, bool *used)
{
	bool gets = ia->kind == DHCP6_IA_NA && !*used;
	size_t at = open_option(w, ia->kind);

	vd_wr_u32(w, ia->id);
	if (ia->kind != DHCP6_IA_TA) {
		vd_wr_u32(w, gets ? f->preferred / 2 : 0);
		vd_wr_u32(w, gets ? f->preferred / 5 * 4 : 0);
	}
	if (gets)
		put_address(w, &f->address, f->preferred, f->valid);
	else if (ia->kind == DHCP6_IA_PD)
		put_status(w, DHCP6_NO_PREFIX, "the network of the link is all there is");
	else
		put_status(w, DHCP6_NO_ADDRS, "there is one address for each client");
	for (unsigned i = 0; i < ia->n_addrs; i++)
		if (!gets || !vd_ip_equal(&ia->addrs[i], &f->address))
			put_address(w, &ia->addrs[i], 0, 0);
	close_option(w, at);
	*used |= gets;
}

static void put_facts(struct vd_wr *w, const struct dhcp6_request *q, const struct dhcp6_facts *f)
{
	uint8_t all[256];
	struct vd_wr names;
	size_t at, n = 0;

	for (size_t i = 0; i < f->n_dns && f->dns[i].family; i++)
		n += f->dns[i].family == AF_INET6;
	if (n && (!q->asked || q->wants_dns)) {
		at = open_option(w, DHCP6_DNS);
		for (size_t i = 0; i < f->n_dns && f->dns[i].family; i++)
			if (f->dns[i].family == AF_INET6)
				vd_wr_put(w, f->dns[i].a, 16);
		close_option(w, at);
	}
	vd_wr_init(&names, all, sizeof(all));
	net_names_put(&names, f->search);
	if (names.len && (!q->asked || q->wants_search)) {
		at = open_option(w, DHCP6_SEARCH);
		vd_wr_put(w, all, names.len);
		close_option(w, at);
	}
	if (q->type == DHCP6_INFORMATION && q->wants_refresh) {
		at = open_option(w, DHCP6_REFRESH);
		vd_wr_u32(w, f->valid);
		close_option(w, at);
	}
}

static bool has_addresses(const struct dhcp6_request *q, const struct dhcp6_facts *f, bool *ret_all_ours)
{
	bool any = false;

	*ret_all_ours = true;
	for (unsigned i = 0; i < q->n_ias; i++)
		for (unsigned k = 0; k < q->ias[i].n_addrs; k++) {
			any = true;
			*ret_all_ours &= vd_prefix_has(&f->network, &q->ias[i].addrs[k]);
		}
	return any;
}

/* RFC 8415 section 16: which of the messages are not to be answered. NULL: this one is. */
static const char *refusal(const struct dhcp6_request *q, bool multicast, const struct dhcp6_facts *f)
{
	bool ours = q->server && q->server_len == f->duid_len && !memcmp(q->server, f->duid, f->duid_len);
	bool all_ours;

	switch (q->type) {
	case DHCP6_SOLICIT:
	case DHCP6_CONFIRM:
	case DHCP6_REBIND:
		if (!q->client || q->server)
			return q->client ? "it names a server" : "it names no client";
		if (q->type == DHCP6_CONFIRM && !has_addresses(q, f, &all_ours))
			return "it confirms no address";
		return multicast ? NULL : "it has to come to the group of servers";
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		return !q->client ? "it names no client" : ours ? NULL : "it is for another server";
	case DHCP6_INFORMATION:
		if ((q->server && !ours) || q->n_ias)
			return q->n_ias ? "it asks for an address" : "it is for another server";
		return multicast ? NULL : "it has to come to the group of servers";
	default:
		return "a type that servers do not hear";
	}
}

size_t dhcp6_answer(const struct dhcp6_request *q, bool multicast, const struct dhcp6_facts *f, uint8_t *out, size_t size,
	const char **ret_why)
{
	bool rapid = q->type == DHCP6_SOLICIT && q->rapid, used = false, all_ours;
	struct vd_wr w;
	size_t at;

	*ret_why = refusal(q, multicast, f);
	if (*ret_why)
		return 0;
	vd_wr_init(&w, out, size);
	vd_wr_u32(&w, (uint32_t)(q->type == DHCP6_SOLICIT && !rapid ? DHCP6_ADVERTISE : DHCP6_REPLY) << 24 | q->xid);
	if (q->client) {
		at = open_option(&w, DHCP6_CLIENTID);
		vd_wr_put(&w, q->client, q->client_len);
		close_option(&w, at);
	}
	at = open_option(&w, DHCP6_SERVERID);
	vd_wr_put(&w, f->duid, f->duid_len);
	close_option(&w, at);
	if (!multicast) {
		put_status(&w, DHCP6_USE_MULTICAST, "");
	} else if (q->type == DHCP6_CONFIRM) {
		has_addresses(q, f, &all_ours);
		put_status(&w, all_ours ? DHCP6_SUCCESS : DHCP6_NOT_ON_LINK, "");
	} else if (q->type == DHCP6_RELEASE || q->type == DHCP6_DECLINE) {
		put_status(&w, DHCP6_SUCCESS, ""); /* it stays the client's: nobody else is there */
	} else {
		if (rapid)
			close_option(&w, open_option(&w, DHCP6_RAPID));
		if (q->type == DHCP6_SOLICIT) { /* no other server can answer */
			at = open_option(&w, DHCP6_PREFERENCE);
			vd_wr_u8(&w, 255);
			close_option(&w, at);
		}
		for (unsigned i = 0; i < q->n_ias; i++)
			put_ia(&w, &q->ias[i], f, &used);
		put_facts(&w, q, f);
	}
	*ret_why = "the answer does not fit";
	return vd_wr_ok(&w) ? w.len : 0;
}
