/* L2TP: control messages and their AVPs on the wire (RFC 2661 sections 3 and 4). */
#include "l2tp_codec.h"

#include <errno.h>
#include <string.h>

#include <viaduct/crypto.h>
#include <viaduct/record.h>
#include <viaduct/text.h>

bool l2tp_data_ids(const uint8_t *p, size_t len, uint16_t *ret_tunnel, uint16_t *ret_session)
{
	struct vd_rd r;
	vd_rd_init(&r, p, len);
	uint16_t flags = vd_rd_u16(&r);
	if (flags & L2TP_F_T || (flags & L2TP_F_VER) != 2)
		return false;
	if (flags & L2TP_F_L)
		vd_rd_u16(&r);
	*ret_tunnel = vd_rd_u16(&r);
	*ret_session = vd_rd_u16(&r);
	return vd_rd_ok(&r);
}

int l2tp_header_parse(struct vd_rd *r, struct l2tp_header *ret_header)
{
	struct l2tp_header h = { 0 };
	size_t whole = vd_rd_left(r);
	h.flags = vd_rd_u16(r);
	if (!vd_rd_ok(r))
		return -EBADMSG;
	if ((h.flags & L2TP_F_VER) != 2)
		return -EPROTONOSUPPORT;
	/* Reserved bits are ignored; T, L and S are demanded of a control message, O and P forbidden. */
	if ((h.flags & (L2TP_F_T | L2TP_F_L | L2TP_F_S)) != (L2TP_F_T | L2TP_F_L | L2TP_F_S) ||
	    (h.flags & (L2TP_F_O | L2TP_F_P)))
		return -EBADMSG;
	h.len = vd_rd_u16(r);
	h.tunnel = vd_rd_u16(r);
	h.session = vd_rd_u16(r);
	h.ns = vd_rd_u16(r);
	h.nr = vd_rd_u16(r);
	if (!vd_rd_ok(r) || h.len < L2TP_HEADER || h.len > whole)
		return -EBADMSG;
	struct vd_rd body;
	if (!vd_rd_sub(r, h.len - L2TP_HEADER, &body))
		return -EBADMSG;
	*r = body;
	*ret_header = h;
	return 0;
}

/* What RFC 2661 section 4.4 says of each attribute. A known attribute that we do not use is only checked and passed
 * over, whatever its M bit: xl2tpd sends Rx Connect Speed with M set, RouterOS sends proxy LCP AVPs. */
struct avp_rule {
	bool known, hide;
	uint16_t min, max; /* octets of the value */
};
static const struct avp_rule rules[L2TP_A_MAX] = {
	[0] = { true, false, 2, 2 }, [1] = { true, false, 2, 1017 }, [2] = { true, false, 2, 2 }, [3] = { true, true, 4, 4 },
	[4] = { true, true, 4, 4 }, [5] = { true, false, 8, 8 }, [6] = { true, true, 2, 2 }, [7] = { true, false, 1, 1017 },
	[8] = { true, true, 0, 1017 }, [9] = { true, true, 2, 2 }, [10] = { true, false, 2, 2 },
	[11] = { true, true, 1, 1017 }, [12] = { true, false, 3, 1017 }, [13] = { true, true, 16, 16 },
	[14] = { true, true, 2, 2 }, [15] = { true, true, 4, 4 }, [16] = { true, true, 4, 4 }, [17] = { true, true, 4, 4 },
	[18] = { true, true, 4, 4 }, [19] = { true, true, 4, 4 }, [21] = { true, true, 0, 1017 },
	[22] = { true, true, 0, 1017 }, [23] = { true, true, 0, 1017 }, [24] = { true, true, 4, 4 },
	[25] = { true, true, 4, 4 }, [26] = { true, true, 0, 1017 }, [27] = { true, true, 0, 1017 },
	[28] = { true, true, 0, 1017 }, [29] = { true, true, 2, 2 }, [30] = { true, true, 0, 1017 },
	[31] = { true, true, 0, 1017 }, [32] = { true, true, 2, 2 }, [33] = { true, true, 0, 1017 },
	[34] = { true, true, 26, 26 }, [35] = { true, true, 10, 10 }, [36] = { true, false, 1, 1017 },
	[37] = { true, true, 0, 1017 }, [38] = { true, true, 4, 4 }, [39] = { true, false, 0, 0 },
};

static void copy_text(char out[L2TP_TEXT], const uint8_t *p, size_t len)
{
	const uint8_t *end = len ? memchr(p, 0, len) : NULL; /* Apple's host name brings its terminator */
	vd_text_safe(out, L2TP_TEXT, p, end ? (size_t)(end - p) : len);
}

int l2tp_reveal(uint16_t attr, const struct vd_secret *secret, const uint8_t *rv, size_t rv_len, const uint8_t *value,
	size_t len, uint8_t *out)
{
	const uint8_t type[2] = { attr >> 8, attr & 0xff };
	uint8_t pad[16];
	size_t pad_len;
	if (len < 2)
		return -EBADMSG;
	struct vd_slice first[] = { { type, 2 }, { vd_secret_data(secret), vd_secret_len(secret) }, { rv, rv_len } };
	if (vd_digest_parts("MD5", first, 3, pad, &pad_len) < 0)
		return -EBADMSG;
	for (size_t at = 0; at < len; at += 16) {
		size_t n = len - at < 16 ? len - at : 16;
		for (size_t i = 0; i < n; i++)
			out[at + i] = value[at + i] ^ pad[i];
		if (n == 16 && at + 16 < len) {
			struct vd_slice next[] = { { vd_secret_data(secret), vd_secret_len(secret) }, { value + at, 16 } };
			if (vd_digest_parts("MD5", next, 2, pad, &pad_len) < 0) {
				vd_wipe(pad, sizeof(pad));
				return -EBADMSG;
			}
		}
	}
	vd_wipe(pad, sizeof(pad));
	vd_conceal(value, len);
	vd_observe("revealed", out, len);
	size_t clear = (size_t)out[0] << 8 | out[1];
	if (clear > len - 2)
		return -EBADMSG;
	memmove(out, out + 2, clear);
	return (int)clear;
}

int l2tp_response(uint8_t type, const struct vd_secret *secret, const uint8_t *challenge, size_t len,
	uint8_t ret_md[16])
{
	struct vd_slice parts[] = { { &type, 1 }, { vd_secret_data(secret), vd_secret_len(secret) }, { challenge, len } };
	size_t md_len;
	int rc = vd_digest_parts("MD5", parts, 3, ret_md, &md_len);
	if (rc == 0)
		vd_conceal(ret_md, 16);
	return rc;
}

static void set_bad(struct l2tp_msg *m, uint16_t code, uint16_t vendor, uint16_t attr, enum l2tp_hidden hidden)
{
	if (m->bad_code)
		return;
	m->bad_hidden = hidden;
	m->bad_code = code;
	m->bad_vendor = vendor;
	m->bad_attr = attr;
}

static void read_result(struct l2tp_msg *m, struct vd_rd *v)
{
	m->result = vd_rd_u16(v);
	/* Apple sends the code in host byte order: 3 arrives as 0x0300. */
	if ((m->result & 0xff) == 0 && m->result >> 8)
		m->result = m->result >> 8;
	if (vd_rd_left(v) < 2)
		return;
	m->error = vd_rd_u16(v);
	size_t n;
	const uint8_t *text = vd_rd_rest(v, &n);
	copy_text(m->text, text, n);
}

static void take(struct l2tp_msg *m, uint16_t attr, const uint8_t *p, size_t len, bool hidden)
{
	struct vd_rd v;
	vd_rd_init(&v, p, len);
	switch (attr) {
	case L2TP_A_RESULT: read_result(m, &v); break;
	case L2TP_A_VERSION: m->version = vd_rd_u16(&v); break;
	case L2TP_A_FRAMING: m->framing = vd_rd_u32(&v); break;
	case L2TP_A_HOST_NAME: copy_text(m->host, p, len); break;
	case L2TP_A_VENDOR_NAME: copy_text(m->vendor, p, len); break;
	case L2TP_A_TUNNEL_ID: m->tunnel_id = vd_rd_u16(&v); break;
	case L2TP_A_WINDOW: m->window = vd_rd_u16(&v); break;
	case L2TP_A_RESPONSE: vd_rd_copy(&v, m->response, 16); break;
	case L2TP_A_SESSION_ID: m->session_id = vd_rd_u16(&v); break;
	case L2TP_A_CALL_SERIAL: m->serial = vd_rd_u32(&v); break;
	case L2TP_A_CHALLENGE:
		m->challenge_len = (uint16_t)len;
		m->challenge = p;
		if (hidden) { /* not longer than clear: an AVP holds no more */
			memcpy(m->clear, p, len);
			m->challenge = m->clear;
		}
		break;
	default: break;
	}
	m->seen |= UINT64_C(1) << attr;
}

/* One AVP; false when the rest of the message cannot be found any more. */
static bool parse_avp(struct vd_rd *r, const struct vd_secret *secret, struct vd_rd *rv, struct l2tp_msg *m)
{
	uint8_t clear[1024];
	uint16_t bits = vd_rd_u16(r), vendor = vd_rd_u16(r), attr = vd_rd_u16(r);
	uint16_t len = bits & L2TP_AVP_LEN;
	struct vd_rd value;
	if (!vd_rd_ok(r) || len < 6 || !vd_rd_sub(r, len - 6, &value)) {
		set_bad(m, L2TP_E_LENGTH, vendor, attr, L2TP_HIDDEN_NONE);
		return false;
	}
	bool mandatory = bits & L2TP_AVP_M, hidden = bits & L2TP_AVP_H;
	/* The vendor comes before the type: Microsoft's type 1 is no Result Code. All of Microsoft's are information. */
	if (vendor == L2TP_VENDOR_MICROSOFT) {
		m->ignored++;
		return true;
	}
	if (vendor != 0 || (bits & L2TP_AVP_RESERVED) || attr >= L2TP_A_MAX || !rules[attr].known) {
		if (mandatory)
			set_bad(m, L2TP_E_UNKNOWN_AVP, vendor, attr, L2TP_HIDDEN_NONE);
		m->ignored++;
		return true;
	}
	size_t n;
	const uint8_t *p = vd_rd_rest(&value, &n);
	if (hidden) {
		size_t rv_len = 0;
		struct vd_rd vector = *rv;
		const uint8_t *v = vd_rd_rest(&vector, &rv_len);
		int clear_len = -EBADMSG;
		enum l2tp_hidden why = !secret ? L2TP_HIDDEN_SECRET : !rv_len || !rules[attr].hide ? L2TP_HIDDEN_RULE :
			L2TP_HIDDEN_NOISE;
		if (why == L2TP_HIDDEN_NOISE)
			clear_len = l2tp_reveal(attr, secret, v, rv_len, p, n, clear);
		if (clear_len < 0) {
			if (mandatory)
				set_bad(m, secret ? L2TP_E_VALUE : L2TP_E_UNKNOWN_AVP, vendor, attr, why);
			m->ignored++;
			return true;
		}
		p = clear;
		n = (size_t)clear_len;
	}
	if (n < rules[attr].min || n > rules[attr].max) {
		if (mandatory)
			set_bad(m, L2TP_E_LENGTH, vendor, attr, hidden ? L2TP_HIDDEN_NOISE : L2TP_HIDDEN_NONE);
		m->ignored++;
	} else if (attr == L2TP_A_RANDOM_VECTOR) {
		vd_rd_init(rv, p, n);
	} else if (attr != L2TP_A_MESSAGE_TYPE) { /* only the first counts */
		take(m, attr, p, n, hidden);
	}
	if (hidden)
		vd_wipe(clear, sizeof(clear));
	return true;
}

int l2tp_msg_parse(const uint8_t *p, size_t len, const struct vd_secret *secret, struct l2tp_msg *ret_msg)
{
	struct vd_rd r, rv;
	struct l2tp_msg *m = ret_msg;
	struct l2tp_header h;
	vd_rd_init(&r, p, len);
	vd_rd_init(&rv, p, 0);
	int rc = l2tp_header_parse(&r, &h);
	if (rc < 0)
		return rc;
	memset(m, 0, sizeof(*m));
	m->h = h;
	if (vd_rd_done(&r))
		return 0; /* ZLB */
	uint16_t bits = vd_rd_u16(&r), vendor = vd_rd_u16(&r), attr = vd_rd_u16(&r);
	m->type = vd_rd_u16(&r);
	m->type_m = bits & L2TP_AVP_M;
	if (!vd_rd_ok(&r) || (bits & ~L2TP_AVP_M) != 8 || vendor != 0 || attr != L2TP_A_MESSAGE_TYPE || m->type == 0)
		return -EINVAL;
	m->seen = 1;
	while (vd_rd_left(&r) > 0)
		if (!parse_avp(&r, secret, &rv, m))
			break;
	return 0;
}

const char *l2tp_type_name(uint16_t type)
{
	static const char *const names[] = { "ZLB", "SCCRQ", "SCCRP", "SCCCN", "StopCCN", "type 5", "HELLO", "OCRQ", "OCRP",
		"OCCN", "ICRQ", "ICRP", "ICCN", "type 13", "CDN", "WEN", "SLI" };
	return type < VD_ARRAY_SIZE(names) ? names[type] : "unknown type";
}

void l2tp_msg_bad(const struct l2tp_msg *m, char *out, size_t size)
{
	static const char *const how[] = {
		[L2TP_HIDDEN_NONE] = "is unknown or malformed",
		[L2TP_HIDDEN_SECRET] = "is hidden, and no tunnel secret is set to reveal it",
		[L2TP_HIDDEN_RULE] = "is hidden without a Random Vector before it, or must not be hidden",
		[L2TP_HIDDEN_NOISE] = "is hidden, and the tunnel secret does not reveal it",
	};
	vd_format(out, size, "mandatory AVP %u of vendor %u in %s %s", m->bad_attr, m->bad_vendor, l2tp_type_name(m->type),
		how[m->bad_hidden]);
}

void l2tp_begin(struct vd_wr *w, uint16_t tunnel, uint16_t session, uint16_t ns, uint16_t nr)
{
	vd_wr_u16(w, L2TP_CONTROL_FLAGS);
	vd_wr_mark(w, 2);
	vd_wr_u16(w, tunnel);
	vd_wr_u16(w, session);
	vd_wr_u16(w, ns);
	vd_wr_u16(w, nr);
}

void l2tp_begin_type(struct vd_wr *w, uint16_t tunnel, uint16_t session, uint16_t type)
{
	l2tp_begin(w, tunnel, session, 0, 0);
	l2tp_avp_u16(w, L2TP_A_MESSAGE_TYPE, type);
}

void l2tp_avp(struct vd_wr *w, uint16_t attr, const void *value, size_t len)
{
	if (len > L2TP_AVP_LEN - 6)
		len = L2TP_AVP_LEN - 6;
	vd_wr_u16(w, (uint16_t)(L2TP_AVP_M | (len + 6)));
	vd_wr_u16(w, 0);
	vd_wr_u16(w, attr);
	vd_wr_put(w, value, len);
}

void l2tp_avp_u16(struct vd_wr *w, uint16_t attr, uint16_t value)
{
	const uint8_t v[2] = { value >> 8, value & 0xff };
	l2tp_avp(w, attr, v, 2);
}

void l2tp_avp_u32(struct vd_wr *w, uint16_t attr, uint32_t value)
{
	const uint8_t v[4] = { value >> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff };
	l2tp_avp(w, attr, v, 4);
}

void l2tp_avp_result(struct vd_wr *w, uint16_t result, uint16_t error, const char *text)
{
	uint8_t room[4 + L2TP_TEXT];
	struct vd_wr v;
	size_t n = text ? strlen(text) : 0;
	vd_wr_init(&v, room, sizeof(room));
	vd_wr_u16(&v, result);
	vd_wr_u16(&v, error);
	vd_wr_put(&v, text, n < L2TP_TEXT ? n : L2TP_TEXT);
	l2tp_avp(w, L2TP_A_RESULT, room, v.len);
}

void l2tp_end(struct vd_wr *w)
{
	vd_wr_patch_u16(w, 2, (uint16_t)w->len);
}
