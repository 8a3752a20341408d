/* L2TP: control messages and their AVPs on the wire (RFC 2661 sections 3 and 4). Pure functions, any thread. */
#ifndef L2TP_CODEC_H
#define L2TP_CODEC_H

#include <viaduct/bytes.h>
#include <viaduct/secret.h>

enum {
	L2TP_F_T = 0x8000, L2TP_F_L = 0x4000, L2TP_F_S = 0x0800, L2TP_F_O = 0x0200, L2TP_F_P = 0x0100,
	L2TP_F_VER = 0x000f,
};
enum { L2TP_AVP_M = 0x8000, L2TP_AVP_H = 0x4000, L2TP_AVP_RESERVED = 0x3c00, L2TP_AVP_LEN = 0x03ff };
/* RFC 2661 section 3.1; Android demands exactly these. */
#define L2TP_CONTROL_FLAGS (L2TP_F_T | L2TP_F_L | L2TP_F_S | 2)
#define L2TP_DATA_FLAGS (L2TP_F_L | 2)
#define L2TP_UDP 8u          /* octets of a UDP header */
#define L2TP_HEADER 12u      /* of a control header */
#define L2TP_DATA_HEADER 8u  /* of the data header that we send */
#define L2TP_VENDOR_MICROSOFT 311u

enum l2tp_type {
	L2TP_ZLB = 0, /* no message: an acknowledgement */
	L2TP_SCCRQ = 1, L2TP_SCCRP = 2, L2TP_SCCCN = 3, L2TP_STOPCCN = 4, L2TP_HELLO = 6, L2TP_OCRQ = 7, L2TP_OCRP = 8,
	L2TP_OCCN = 9, L2TP_ICRQ = 10, L2TP_ICRP = 11, L2TP_ICCN = 12, L2TP_CDN = 14, L2TP_WEN = 15, L2TP_SLI = 16,
};
enum l2tp_attr {
	L2TP_A_MESSAGE_TYPE = 0, L2TP_A_RESULT = 1, L2TP_A_VERSION = 2, L2TP_A_FRAMING = 3, L2TP_A_BEARER = 4,
	L2TP_A_HOST_NAME = 7, L2TP_A_VENDOR_NAME = 8, L2TP_A_TUNNEL_ID = 9, L2TP_A_WINDOW = 10, L2TP_A_CHALLENGE = 11,
	L2TP_A_RESPONSE = 13, L2TP_A_SESSION_ID = 14, L2TP_A_CALL_SERIAL = 15, L2TP_A_FRAMING_TYPE = 19,
	L2TP_A_SPEED = 24, L2TP_A_RANDOM_VECTOR = 36, L2TP_A_SEQUENCING = 39, L2TP_A_MAX = 40,
};
/* Result codes (RFC 2661 section 4.4.2) as far as we send them, and general error codes. */
enum {
	L2TP_STOP_CLEAR = 1, L2TP_STOP_ERROR = 2, L2TP_STOP_AUTH = 4, L2TP_STOP_VERSION = 5, L2TP_STOP_SHUTDOWN = 6,
	L2TP_STOP_FSM = 7,
};
enum { L2TP_CDN_CARRIER = 1, L2TP_CDN_ERROR = 2, L2TP_CDN_ADMIN = 3, L2TP_CDN_BUSY = 4, L2TP_CDN_NEVER = 5 };
enum {
	L2TP_E_NONE = 0, L2TP_E_LENGTH = 2, L2TP_E_VALUE = 3, L2TP_E_RESOURCES = 4, L2TP_E_VENDOR = 6,
	L2TP_E_UNKNOWN_AVP = 8,
};

struct l2tp_header {
	uint16_t flags, len, tunnel, session, ns, nr;
};

/* Why a hidden AVP was not revealed (RFC 2661 section 4.3). */
enum l2tp_hidden {
	L2TP_HIDDEN_NONE,
	L2TP_HIDDEN_SECRET, /* there is no secret */
	L2TP_HIDDEN_RULE,   /* no Random Vector precedes it, or it is one that may not be hidden */
	L2TP_HIDDEN_NOISE,  /* what came out is none: the peer's secret is another */
};

#define L2TP_TEXT 128
struct l2tp_msg {
	struct l2tp_header h;
	uint16_t type;      /* enum l2tp_type, or an unknown number */
	bool type_m;        /* its Message Type AVP is mandatory */
	uint64_t seen;      /* bit per attribute that was accepted */
	uint16_t version, tunnel_id, session_id, window, result, error;
	uint32_t framing, serial;
	char host[L2TP_TEXT], vendor[L2TP_TEXT], text[L2TP_TEXT]; /* safe (text.h); text: of the Result Code */
	const uint8_t *challenge; /* in the message, or in clear[] */
	uint16_t challenge_len;
	uint8_t response[16];
	/* The first thing that ends the session or tunnel; code is a general error code, 0: none. */
	uint16_t bad_code, bad_attr, bad_vendor;
	enum l2tp_hidden bad_hidden; /* it was hidden, and this is why it cannot be used */
	unsigned ignored;    /* AVPs that were passed over */
	uint8_t clear[1017]; /* a challenge that was hidden */
};
#define L2TP_SEEN(m, attr) (((m)->seen >> (attr)) & 1u)

/* The header of a control message at r, which is then limited to the message's own length. 0; -EPROTONOSUPPORT for
 * another version; -EBADMSG when flags or lengths are wrong (RFC 2661 section 3.1). */
int l2tp_header_parse(struct vd_rd *r, struct l2tp_header *ret_header);
/* True when it is a data message, of version 2, with this tunnel and session id (RFC 2661 section 3.1). */
bool l2tp_data_ids(const uint8_t *p, size_t len, uint16_t *ret_tunnel, uint16_t *ret_session);
/* A whole control message. secret may be NULL: hidden AVPs are then unrecognised. 0 (bad_code may be set), or the
 * errors of l2tp_header_parse, or -EINVAL when the first AVP is no Message Type. The input must outlive ret_msg. */
int l2tp_msg_parse(const uint8_t *p, size_t len, const struct vd_secret *secret, struct l2tp_msg *ret_msg);
const char *l2tp_type_name(uint16_t type);
/* What is wrong with a message whose bad_code is set, for people on both sides. */
void l2tp_msg_bad(const struct l2tp_msg *m, char *out, size_t size);

/* Building: header with a length to be set by l2tp_end, then AVPs. */
void l2tp_begin(struct vd_wr *w, uint16_t tunnel, uint16_t session, uint16_t ns, uint16_t nr);
void l2tp_begin_type(struct vd_wr *w, uint16_t tunnel, uint16_t session, uint16_t type);
void l2tp_avp(struct vd_wr *w, uint16_t attr, const void *value, size_t len);
void l2tp_avp_u16(struct vd_wr *w, uint16_t attr, uint16_t value);
void l2tp_avp_u32(struct vd_wr *w, uint16_t attr, uint32_t value);
/* Result Code: with an error code, and a message when text is not empty. */
void l2tp_avp_result(struct vd_wr *w, uint16_t result, uint16_t error, const char *text);
void l2tp_end(struct vd_wr *w);

/* Challenge Response (RFC 2661 section 4.4.3): MD5(type of the message that carries it | secret | challenge). */
int l2tp_response(uint8_t type, const struct vd_secret *secret, const uint8_t *challenge, size_t len,
	uint8_t ret_md[16]);
/* Reveals a hidden value (RFC 2661 section 4.3). out has room for len octets. The clear length, or -EBADMSG when the
 * length inside (which is cipher output until the secret is right) does not fit. */
int l2tp_reveal(uint16_t attr, const struct vd_secret *secret, const uint8_t *rv, size_t rv_len, const uint8_t *value,
	size_t len, uint8_t *out);

#endif
