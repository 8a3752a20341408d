/* Numbers of PPP that the link knows: protocols, codes, options (RFC 1661, 1332, 1570, 1877, 1962). */
#ifndef PPP_PROTO_H
#define PPP_PROTO_H

enum ppp_protocol {
	PPP_IP = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_IPCP = 0x8021,
	PPP_IPV6CP = 0x8057,
	PPP_CCP = 0x80fd,
	PPP_LCP = 0xc021,
};

enum ppp_code {
	PPP_CONF_REQ = 1,
	PPP_CONF_ACK,
	PPP_CONF_NAK,
	PPP_CONF_REJ,
	PPP_TERM_REQ,
	PPP_TERM_ACK,
	PPP_CODE_REJ,
	PPP_PROTOCOL_REJ,
	PPP_ECHO_REQ,
	PPP_ECHO_REPLY,
	PPP_DISCARD,
	PPP_IDENTIFICATION,
	PPP_TIME_REMAINING,
};

enum ppp_lcp_option {
	LCP_MRU = 1,
	LCP_ACCM = 2,
	LCP_AUTH = 3,
	LCP_MAGIC = 5,
	LCP_PFC = 7,
	LCP_ACFC = 8,
};

enum ppp_ipcp_option {
	IPCP_ADDRESS = 3,
	IPCP_DNS1 = 129,
	IPCP_WINS1 = 130,
	IPCP_DNS2 = 131,
	IPCP_WINS2 = 132,
};

enum ppp_ipv6cp_option {
	IPV6CP_INTERFACE = 1,
};
#define IPV6CP_ID 8       /* octets of an interface identifier */
#define IPV6CP_MTU 1280   /* IPv6 wants no less of a link (RFC 8200 section 5) */

#define PPP_MRU_DEFAULT 1500 /* RFC 1661 section 6.1 */
#define PPP_MRU_MIN 576      /* less costs a header for every few octets: Nak'ed, and none is smaller than that, since each side must
                              * take 1500 whatever was agreed (RFC 1661 section 6.1) */
#define PPP_OPTIONS_MAX 256  /* octets of options in one Configure packet that we handle */

#endif
