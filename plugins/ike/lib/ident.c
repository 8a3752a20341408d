#include "ident.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/text.h>

/* A DN is not read: nobody who may send one here has proved anything, and it is compared as a whole. */
static int print_dn(struct ike_ident *id, const uint8_t *p, size_t n)
{
	uint8_t digest[64];
	char hex[17];
	size_t len;
	int rc = vd_digest("SHA256", p, n, digest, &len);

	if (n == 0)
		return -EBADMSG;
	if (rc < 0)
		return rc;
	vd_format(id->text, sizeof(id->text), "DN of %zu octets, %s", n, vd_hex(hex, sizeof(hex), digest, 8));
	return 0;
}

/* The network from this address to a last one (range), or with a mask, whose host bits some clients leave in the address.
 * False for a range that is no network, and for a mask with holes. */
static bool net_of(struct vd_prefix *net, const uint8_t *second, size_t n, bool range)
{
	unsigned len = 0;

	for (unsigned bit = 0; bit < 8 * n; bit++) {
		uint8_t one = (uint8_t)(0x80u >> bit % 8);
		bool a = net->ip.a[bit / 8] & one, b = second[bit / 8] & one;

		if (len == bit && (range ? a == b : b))
			len++; /* one of the network's own bits */
		else if (range ? a || !b : b)
			return false;
		else
			net->ip.a[bit / 8] &= (uint8_t)~one;
	}
	net->len = (uint8_t)len;
	return true;
}

bool ike_selector_parse(const uint8_t *body, size_t len, struct ike_selector *ret_selector)
{
	struct ike_selector s = { 0 };
	struct vd_rd r;

	vd_rd_init(&r, body, len);
	uint8_t type = vd_rd_u8(&r);
	s.proto = vd_rd_u8(&r);
	s.port = vd_rd_u16(&r);
	bool six = type == IKE_ID_IPV6_ADDR || type == IKE_ID_IPV6_SUBNET || type == IKE_ID_IPV6_RANGE;
	bool alone = type == IKE_ID_IPV4_ADDR || type == IKE_ID_IPV6_ADDR;
	bool range = type == IKE_ID_IPV4_RANGE || type == IKE_ID_IPV6_RANGE;
	size_t n = six ? 16 : 4;

	if (!six && !alone && !range && type != IKE_ID_IPV4_SUBNET)
		return false;
	s.net.ip.family = six ? AF_INET6 : AF_INET;
	s.net.len = (uint8_t)(8 * n);
	vd_rd_copy(&r, s.net.ip.a, n);
	const uint8_t *second = alone ? NULL : vd_rd_take(&r, n);
	if (!vd_rd_done(&r) || (!alone && !net_of(&s.net, second, n, range)))
		return false;
	*ret_selector = s;
	return true;
}

int ike_ident_parse(const uint8_t *body, size_t len, struct ike_ident *ret_ident)
{
	struct ike_ident id = { 0 };
	struct vd_ip ip = { 0 };
	struct vd_rd r;
	size_t n;
	int rc = 0;

	vd_rd_init(&r, body, len);
	id.type = vd_rd_u8(&r);
	id.proto = vd_rd_u8(&r);
	id.port = vd_rd_u16(&r);
	if (!vd_rd_ok(&r))
		return -EBADMSG;
	const uint8_t *p = vd_rd_rest(&r, &n);
	switch (id.type) {
	case IKE_ID_IPV4_ADDR:
	case IKE_ID_IPV6_ADDR: {
		size_t want = id.type == IKE_ID_IPV4_ADDR ? 4 : 16;

		if (n != want)
			return -EBADMSG;
		ip.family = want == 4 ? AF_INET : AF_INET6;
		memcpy(ip.a, p, want);
		vd_ip_format(&ip, id.text);
		break;
	}
	case IKE_ID_FQDN:
	case IKE_ID_USER_FQDN:
		if (n == 0)
			return -EBADMSG;
		vd_text_safe(id.text, sizeof(id.text), p, n);
		break;
	case IKE_ID_KEY_ID: {
		char hex[VD_ID_TEXT - 6];

		vd_format(id.text, sizeof(id.text), "keyid:%s", vd_hex(hex, sizeof(hex), p, n));
		break;
	}
	case IKE_ID_DER_ASN1_DN:
		rc = print_dn(&id, p, n);
		break;
	case IKE_ID_IPV4_SUBNET:
	case IKE_ID_IPV6_SUBNET:
	case IKE_ID_IPV4_RANGE:
	case IKE_ID_IPV6_RANGE: {
		struct ike_selector s;

		if (!ike_selector_parse(body, len, &s))
			return -EBADMSG;
		vd_prefix_format(&s.net, id.text);
		break;
	}
	default:
		vd_format(id.text, sizeof(id.text), "type-%u", id.type);
		rc = -EPROTONOSUPPORT;
	}
	if (rc == 0 || rc == -EPROTONOSUPPORT)
		*ret_ident = id;
	return rc;
}

void ike_out_ident(struct ike_out *out, const char *text)
{
	struct vd_ip ip;

	if (vd_ip_parse(text, &ip)) {
		ike_out_address(out, IKE_P_ID, &ip);
		return;
	}
	ike_out_begin(out, IKE_P_ID);
	vd_wr_u8(&out->w, strchr(text, '@') != NULL ? IKE_ID_USER_FQDN : IKE_ID_FQDN);
	vd_wr_zero(&out->w, 3); /* any protocol and port */
	vd_wr_put(&out->w, text, strlen(text));
	ike_out_end(out);
}

bool ike_ident_is(const struct ike_ident *ident, const char *text)
{
	struct vd_ip want, got;

	if (vd_ip_parse(text, &want))
		return vd_ip_parse(ident->text, &got) && vd_ip_equal(&want, &got);
	return strcasecmp(ident->text, text) == 0;
}
