/* DHCPv6 (RFC 8415, options RFC 3646 and 4242) as a server that gives each client one address, of the network that is its
 * own anyway: nothing has to be remembered, every answer follows from the question. No state. */
#ifndef NET_DHCPV6_MESSAGE_H
#define NET_DHCPV6_MESSAGE_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>

#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547
#define DHCP6_IAS 8       /* of one message; more are not looked at */
#define DHCP6_IA_ADDRS 4  /* of one IA, likewise */
#define DHCP6_DUID_MAX 130 /* RFC 8415 section 11.1 */

enum dhcp6_type {
	DHCP6_SOLICIT = 1, DHCP6_ADVERTISE, DHCP6_REQUEST, DHCP6_CONFIRM, DHCP6_RENEW, DHCP6_REBIND, DHCP6_REPLY, DHCP6_RELEASE,
	DHCP6_DECLINE, DHCP6_RECONFIGURE, DHCP6_INFORMATION,
};
enum dhcp6_option {
	DHCP6_CLIENTID = 1, DHCP6_SERVERID = 2, DHCP6_IA_NA = 3, DHCP6_IA_TA = 4, DHCP6_IAADDR = 5, DHCP6_WANTED = 6,
	DHCP6_PREFERENCE = 7, DHCP6_STATUS = 13, DHCP6_RAPID = 14, DHCP6_DNS = 23, DHCP6_SEARCH = 24, DHCP6_IA_PD = 25,
	DHCP6_REFRESH = 32,
};
enum dhcp6_status { DHCP6_SUCCESS = 0, DHCP6_NO_ADDRS = 2, DHCP6_NOT_ON_LINK = 4, DHCP6_USE_MULTICAST = 5, DHCP6_NO_PREFIX = 6 };

struct dhcp6_ia {
	uint8_t kind; /* DHCP6_IA_NA, DHCP6_IA_TA, DHCP6_IA_PD */
	uint32_t id;
	struct vd_ip addrs[DHCP6_IA_ADDRS]; /* of an IA_PD: none */
	uint8_t n_addrs;
};

struct dhcp6_request {
	uint8_t type;
	uint32_t xid; /* 24 bits */
	const uint8_t *client, *server; /* identifiers, inside of what was read; NULL: none */
	size_t client_len, server_len;
	bool rapid, asked, wants_dns, wants_search, wants_refresh; /* asked: there was a list of what is wanted */
	struct dhcp6_ia ias[DHCP6_IAS];
	uint8_t n_ias;
};

struct dhcp6_facts {
	const uint8_t *duid; /* ours */
	size_t duid_len;
	struct vd_ip address;      /* the client's */
	struct vd_prefix network;  /* all of which is the client's */
	uint32_t valid, preferred; /* seconds */
	const struct vd_ip *dns;   /* those of IPv6 are told; family 0 ends them, as n does */
	size_t n_dns;
	const char *search;
};

/* Reads a message of a client, from its type on. -EBADMSG with *ret_why. */
int dhcp6_parse(const uint8_t *p, size_t len, struct dhcp6_request *ret_request, const char **ret_why);
/* Writes the answer; multicast: it came to a group, as most have to. Returns its length; 0 when there is to be no answer
 * (RFC 8415 section 16), with *ret_why, or when it does not fit. */
size_t dhcp6_answer(const struct dhcp6_request *request, bool multicast, const struct dhcp6_facts *facts, uint8_t *out,
	size_t size, const char **ret_why);

#endif
