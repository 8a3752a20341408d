/* DHCPINFORM and its answer (RFC 2131, options RFC 2132, 3397, 3442), inside IPv4 and UDP. No state. */
#ifndef NET_DHCPINFORM_MESSAGE_H
#define NET_DHCPINFORM_MESSAGE_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>

#define INFORM_SERVER 67
#define INFORM_CLIENT 68
#define INFORM_ROOM 1500 /* octets of the largest answer, IP header included */
#define INFORM_ROUTES 256

enum inform_option {
	INFORM_DNS = 6, INFORM_DOMAIN = 15, INFORM_WINS = 44, INFORM_OVERLOAD = 52, INFORM_TYPE = 53, INFORM_SERVER_ID = 54,
	INFORM_WANTED = 55, INFORM_SIZE = 57, INFORM_SEARCH = 119, INFORM_ROUTES_121 = 121, INFORM_ROUTES_249 = 249,
};

struct inform_request {
	uint8_t op_rest[3];    /* htype, hlen, hops */
	uint32_t xid;
	uint16_t flags;
	uint8_t chaddr[16];
	struct vd_ip address;  /* ciaddr, or the source of the packet */
	uint8_t type;          /* option 53; 8: DHCPINFORM */
	uint16_t size;         /* option 57: largest answer without IP and UDP headers */
	bool asked;            /* there was an option 55 ... */
	bool wanted[256];      /* ... and it names these */
};

struct inform_facts {
	struct vd_ip gateway;
	const struct vd_ip *dns, *wins; /* family 0 ends them, as n does */
	size_t n_dns, n_wins;
	const char *search;             /* one or several domains, blanks between them; or "" */
	const struct vd_prefix *routes;
	size_t n_routes;
};

/* Reads an IPv4 packet to port 67. -EBADMSG: cut short, wrong checksum, not BOOTP, no message type; *ret_why says it. */
int inform_parse(const uint8_t *p, size_t len, struct inform_request *ret_request, const char **ret_why);
/* Writes the DHCPACK to the client's address, as an IPv4 packet of at most mtu octets. Options that do not fit are left
 * out; *ret_left_out counts the routes that were. Returns its length. -ENOSPC for an mtu without room for any. */
int inform_answer(const struct inform_request *request, const struct inform_facts *facts, size_t mtu, uint8_t *out,
	size_t size, size_t *ret_left_out);

#endif
