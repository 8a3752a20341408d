/* Does somebody else's nftables chain drop what we forward? No rule of ours can overrule it, and nothing else would say why
 * clients have no traffic. Control thread. */
#ifndef CORE_FIREWALL_H
#define CORE_FIREWALL_H

#include <viaduct/base.h>

#define VD_FIREWALL_TEXT 640

/* Opens what only root may: before privileges are dropped. Without it, rules of iptables-legacy are not noticed. */
void vd_firewall_init(void);
/* The rules of the host may have changed, or our device: looks at them in a while, by the work pool. */
void vd_firewall_look(void);
void vd_firewall_fini(void);

/* ---- for tests: reading what nft and the kernel show. Any thread ---- */
/* Is there a table filter among these names, one per line? */
bool vd_firewall_names_filter(const char *names);
/* The next chain with hook forward in the output of "list chains", from *at on, which is moved; its table as "ip filter".
 * false: no more. */
bool vd_firewall_next(const char **at, char table[128], char chain[128]);
/* Does this chain of a table (output of "list table") drop what comes from dev? allowed tells, of an "ip saddr" or "ip6
 * saddr" prefix in an accepting rule, whether our clients are in it; may be NULL. ret_text: what to do. */
bool vd_firewall_drops(const char *listing, const char *table, const char *chain, const char *dev,
	bool (*allowed)(const char *prefix), char ret_text[VD_FIREWALL_TEXT]);

#endif
