/* What the files of net_nat share. Control thread. */
#ifndef NET_NAT_NAT_H
#define NET_NAT_NAT_H

#include <viaduct/conf.h>
#include <viaduct/priv.h>
#include <viaduct/topics.h>

#define NAT_CONNECTIONS 8 /* that give addresses of one pool: more are as if there were none of them */
#define NAT_PREFIXES 10   /* of one session */
#define NAT_OTHERS 64     /* interfaces of the host */

/* Whose addresses: of a pool, or of a session that has some outside of pools. */
struct nat_source {
	struct nat_source *next;
	struct vd_pool_up pool; /* of a pool; "" else */
	uint64_t session;       /* of a session; 0 else */
	bool dialled;           /* the address is ours, given by a gateway */
	struct vd_prefix prefixes[NAT_PREFIXES]; /* of a session */
	bool behind[NAT_PREFIXES];               /* of these: a network behind its user */
	bool inside[NAT_PREFIXES];               /* it lies in a pool; as of the last rules */
	size_t n_prefixes;
	char connections[NAT_CONNECTIONS][VD_NAME_MAX];
	size_t n_connections;
	bool masqueraded;
};

struct nat {
	struct vd_host *host;
	const struct vd_priv_1 *priv;
	struct nat_source *sources;
	bool started, busy, again;
	/* Interfaces that the host had when forwarding was switched on for us; none when it was on before. */
	char others[2][NAT_OTHERS][16]; /* for IPv4 and IPv6 */
	size_t n_others[2];
};

/* The commands that make the table, to be freed; *ret_any: there is anything in it. NULL: no memory. */
char *nat_rules(struct nat *n, const char *table, bool *ret_any);
/* Is this word in the connection's `reach`? */
bool nat_reaches(const struct vd_conf *conf, const struct vd_conf_node *connection, const char *word);

#endif
