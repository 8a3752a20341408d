/* The complete gateway on the fake clock: the core, the data path without threads, and all plugins of an L2TP login. Only
 * what needs a kernel is doubled: priv/1. */
#ifndef TESTS_SCENARIO_GATEWAY_H
#define TESTS_SCENARIO_GATEWAY_H

#include "core/datapath/datapath.h"
#include "tests/lib/fake.h"

#define GATEWAY_PSK_STAFF "correct horse battery staple"
#define GATEWAY_PSK_DEVICES "tills and routers"
/* alice (10.8.0.11) and bob (10.8.0.12) have addresses of their own, carol and dave take one of the pool; dave has a network
 * of his own (2001:db8:8:3::/64). All passwords are the name followed by "-password". */
#define GATEWAY_YAML(range, staff) \
	"gateway: { name: vpn.example.com, listen: [192.0.2.1] }\n" \
	"users: { office: { file: users.yaml } }\n" \
	"realms: { office: { authenticate: [users/office] } }\n" \
	"pools: { office: { range: " range ", gateway: 10.8.0.1, dns: [10.1.0.53, 10.1.0.54] } }\n" \
	"connections:\n" \
	"  staff: { accept: [l2tp], realm: office, pool: office, " staff "l2tp: { psk: !env SCENARIO_PSK_STAFF } }\n" \
	"  devices: { accept: [l2tp], realm: office, pool: office, crypto: legacy, l2tp: { psk: !env SCENARIO_PSK_DEVICES } }\n"
/* The same for clients with XAuth; staff, devices: more of these connections' `xauth`. GROUPS: in aggressive mode. */
#define GATEWAY_XAUTH(staff) GATEWAY_XAUTH_BOTH(staff, "")
#define GATEWAY_GROUPS GATEWAY_XAUTH_BOTH("aggressive: true, group: sales, ", "aggressive: true, group: phones, ")
#define GATEWAY_XAUTH_BOTH(staff, devices) GATEWAY_XAUTH_ALL("", "", staff, devices)
/* gateway: more of that section; first: of connection staff itself. */
#define GATEWAY_XAUTH_ALL(gateway, first, staff, devices) \
	"gateway: { " gateway "name: vpn.example.com, listen: [192.0.2.1] }\n" \
	"users: { office: { file: users.yaml } }\n" \
	"realms: { office: { authenticate: [users/office] } }\n" \
	"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1, dns: [10.1.0.53], search: [corp.example.com] } }\n" \
	"connections:\n" \
	"  staff: { " first "accept: [l2tp, xauth], realm: office, pool: office, routes: [192.0.2.0/24, 10.1.0.0/16],\n" \
	"    l2tp: { psk: !env SCENARIO_PSK_STAFF },\n" \
	"    xauth: { " staff "psk: !env SCENARIO_PSK_STAFF, banner: Welcome } }\n" \
	"  devices: { accept: [xauth], realm: office, pool: office, routes: all, crypto: legacy,\n" \
	"    xauth: { " devices "psk: !env SCENARIO_PSK_DEVICES } }\n"
#define GATEWAY_DEFAULT GATEWAY_YAML("10.8.0.10-10.8.0.20", "")

void gateway_start(const char *yaml);
/* The same, listening there: it may be one that dials. */
void gateway_start_at(const char *yaml, const char *address);
/* Where users.yaml is; what a test puts there goes with the gateway. */
const char *gateway_folder(void);
/* Another way to be: whatever is NULL or 0 is as ever. */
struct gateway_how {
	void (*load)(void); /* puts a configuration in force, and sets the clock */
	unsigned workers;
	const struct vd_ip *(*listen)(size_t *ret_n);
	void (*sent)(void *arg, const struct vd_datapath_sent *sent);
};
void gateway_start_how(const struct gateway_how *how);
/* The plugins, NULL-terminated. */
const struct vd_plugin *const *gateway_plugins(void);
/* Orderly: everybody is told; nothing may be left. */
void gateway_stop(void);
/* The same; then is called when the plugins are gone. */
void gateway_stop_with(void (*then)(void));
/* Not a word: the state is exported, everything freed and made anew, the state imported and exported again, which must
 * give the same octets. What is watched stays watched, from 0. -EAGAIN (and nothing happened, why says who) when a layer
 * refuses to be exported in this moment. */
struct vd_error;
int gateway_reborn(struct vd_error *why);
/* Addresses that are leased. */
unsigned gateway_leases(void);
/* Nothing is left of any client: no peers, channels, sessions, leases, requests, packets, timers. */
void gateway_empty(void);

#endif
