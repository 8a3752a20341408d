/* ISAKMP messages (RFC 2408): header, payload chain, SA payloads with their attributes, and the builder.
 * No state, no allocation; any thread. Readers point into the message they were given. */
#ifndef IKE_LIB_ISAKMP_H
#define IKE_LIB_ISAKMP_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>

#define IKE_HEADER_LEN 28u
#define IKE_COOKIE_LEN 8u
/* Largest message that is read or built: a UDP datagram of a stock client stays far below (certificates are not used).
 */
#define IKE_MESSAGE_MAX 4096u
/* Payloads of one message: the longest seen is a first message with about 20 vendor ids. */
#define IKE_PAYLOADS_MAX 40u
/* Transforms over all proposals of one SA payload: racoon offers 14, combinations of strongSwan up to about 40. */
#define IKE_OFFERS_MAX 64u
/* Attributes of one transform: seven are defined for each phase. */
#define IKE_ATTRIBUTES_MAX 16u

enum ike_payload_type {
	IKE_P_NONE = 0, IKE_P_SA = 1, IKE_P_PROPOSAL = 2, IKE_P_TRANSFORM = 3, IKE_P_KE = 4, IKE_P_ID = 5,
	IKE_P_CERT = 6, IKE_P_CR = 7, IKE_P_HASH = 8, IKE_P_SIG = 9, IKE_P_NONCE = 10, IKE_P_NOTIFY = 11,
	IKE_P_DELETE = 12, IKE_P_VENDOR = 13, IKE_P_ATTRIBUTES = 14, IKE_P_NATD = 20, IKE_P_NATOA = 21, IKE_P_NATD_DRAFT = 130,
	IKE_P_NATOA_DRAFT = 131, IKE_P_MS_FRAGMENT = 132,
};

enum ike_exchange {
	IKE_X_MAIN = 2, IKE_X_AGGRESSIVE = 4, IKE_X_INFORMATIONAL = 5, IKE_X_TRANSACTION = 6, IKE_X_QUICK = 32,
};

enum ike_flag { IKE_F_ENCRYPTED = 1, IKE_F_COMMIT = 2, IKE_F_AUTH_ONLY = 4 };

enum ike_protocol { IKE_PROTO_ISAKMP = 1, IKE_PROTO_AH = 2, IKE_PROTO_ESP = 3, IKE_PROTO_IPCOMP = 4 };

enum ike_notify { /* RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706 */
	IKE_N_INVALID_EXCHANGE_TYPE = 7, IKE_N_NO_PROPOSAL_CHOSEN = 14, IKE_N_PAYLOAD_MALFORMED = 16,
	IKE_N_INVALID_ID_INFORMATION = 18, IKE_N_AUTHENTICATION_FAILED = 24, IKE_N_CONNECTED = 16384,
	IKE_N_RESPONDER_LIFETIME = 24576, IKE_N_REPLAY_STATUS = 24577, IKE_N_INITIAL_CONTACT = 24578,
	IKE_N_R_U_THERE = 36136, IKE_N_R_U_THERE_ACK = 36137, IKE_N_MS_STATUS = 12345,
};

/* The little of IKEv2 (RFC 7296 section 3) that it takes to say that it is not served. */
enum { IKE2_X_SA_INIT = 34, IKE2_F_RESPONSE = 0x20, IKE2_P_NOTIFY = 41, IKE2_N_INVALID_MAJOR_VERSION = 5 };

/* Authentication methods of phase 1: RFC 2409 appendix A, draft-ietf-ipsec-isakmp-xauth-06 section 7. */
enum ike_auth { IKE_AUTH_PSK = 1, IKE_AUTH_XAUTH_PSK = 65001 };

enum ike_encap { /* RFC 2407 section 4.5, RFC 3947 section 5.1, drafts */
	IKE_ENCAP_TUNNEL = 1, IKE_ENCAP_TRANSPORT = 2, IKE_ENCAP_UDP_TUNNEL = 3, IKE_ENCAP_UDP_TRANSPORT = 4,
	IKE_ENCAP_UDP_TUNNEL_DRAFT = 61443, IKE_ENCAP_UDP_TRANSPORT_DRAFT = 61444,
};

struct ike_header {
	uint8_t icookie[IKE_COOKIE_LEN], rcookie[IKE_COOKIE_LEN];
	uint8_t next, version, exchange, flags;
	uint32_t mid, len;
};

/* Reads 28 octets. -EBADMSG when there are fewer. The length field is not compared with anything. */
int ike_header_parse(const uint8_t *p, size_t len, struct ike_header *ret_header);

struct ike_payload {
	uint8_t type;
	uint16_t len;       /* of the body */
	const uint8_t *p;   /* behind the generic header */
};
struct ike_chain {
	unsigned n;
	struct ike_payload v[IKE_PAYLOADS_MAX];
	const uint8_t *end; /* behind the last payload: what follows is padding */
};

/* Walks the generic headers from a first type. -EBADMSG: a length is wrong or the chain is cut; -E2BIG: too many. */
int ike_chain_parse(uint8_t first, const uint8_t *p, size_t len, struct ike_chain *ret_chain);
/* One part of a message that comes in several ([MS-IKEE] section 2.2.3.1): number counts from 1. */
struct ike_fragment {
	uint16_t id;
	uint8_t number;
	bool last;
	size_t len;
	const uint8_t *p;
};
/* Reads the message, header and all, whose only payload is of type IKE_P_MS_FRAGMENT. -EBADMSG when it is not one. Numbers are
 * compared with nothing, and a part may be empty. */
int ike_fragment_parse(const uint8_t *p, size_t len, struct ike_fragment *ret_fragment);
/* The nth payload (from 0) of a type; NULL when there is none. */
const struct ike_payload *ike_chain_find(const struct ike_chain *chain, uint8_t type, unsigned nth);
unsigned ike_chain_count(const struct ike_chain *chain, uint8_t type);
/* Is there a notification of this type? */
bool ike_chain_notify(const struct ike_chain *chain, uint16_t type);

/* One transform with the proposal it stands in. Attributes are read in any order, short or long form; what was not said
 * is 0. Numbers are those of the phase (RFC 2409 appendix A, RFC 2407 section 4.5). */
struct ike_offer {
	uint8_t proposal, protocol, number, id;
	uint8_t spi_len, spi[4];
	bool esn;         /* phase 2: sequence numbers of 64 bits (RFC 4304) */
	uint8_t with;     /* enum ike_protocol of what is proposed together with it; 0: nothing is */
	bool usable;      /* false: an attribute that is not understood, a combination of protocols, a wrong SPI */
	uint16_t encr, hash, auth, group, key_bits, encap;
	uint32_t life_seconds, life_kbytes;
	uint16_t at, len; /* the transform's octets within the SA payload's body, from behind its generic header */
};
struct ike_offers {
	unsigned n;
	struct ike_offer v[IKE_OFFERS_MAX];
};

/* Reads the body of an SA payload (DOI IPsec, situation identity-only). phase 1 or 2. -EBADMSG, -E2BIG,
 * -EPROTONOSUPPORT for another DOI or situation. */
int ike_offers_parse(unsigned phase, const uint8_t *body, size_t len, struct ike_offers *ret_offers);

/* The builder. Overflow is remembered and reported by ike_out_finish. */
struct ike_out {
	struct vd_wr w;
	size_t next_at, payload_at; /* where the type of the next payload goes; the payload that is open */
};

void ike_out_init(struct ike_out *out, void *room, size_t size, const struct ike_header *header);
void ike_out_begin(struct ike_out *out, uint8_t type);
void ike_out_end(struct ike_out *out);
void ike_out_payload(struct ike_out *out, uint8_t type, const void *body, size_t len);
/* An SA payload that answers with one offer, its attributes unchanged (RFC 2408 section 4.2). body is what the offers
 * were read from; spi may be NULL (spi_len 0). */
void ike_out_sa(
	struct ike_out *out, const struct ike_offer *offer, const uint8_t *body, const void *spi, size_t spi_len);
void ike_out_notify(struct ike_out *out, uint8_t protocol, uint16_t type, const void *spi, size_t spi_len,
	const void *data, size_t len);
/* ID or NAT-OA body of an address (RFC 2407 section 4.6.2; RFC 3947 section 5.2). */
void ike_out_address(struct ike_out *out, uint8_t type, const struct vd_ip *ip);
/* An ID body with protocol and port (RFC 2407 section 4.6.2). */
void ike_out_selector(struct ike_out *out, const struct vd_ip *ip, uint8_t protocol, uint16_t port);
/* Patches the length; returns it, or -ENOSPC. */
int ike_out_finish(struct ike_out *out);

#endif
