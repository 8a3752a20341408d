/* What the tests of objects, sessions, exported state and the control socket stand on: doubles of datapath/1, esp/1 and
 * of the providers, which answer at once, later, or never, as the test says; and a record of what happened in order. */
#ifndef TESTS_UNIT_SESSION_FIXTURE_H
#define TESTS_UNIT_SESSION_FIXTURE_H

#include <viaduct/session.h>

#include "core/session/session.h"
#include "core/state.h"
#include "tests/lib/fake.h"

enum fx_manner { FX_ACCEPT, FX_REJECT, FX_UNAVAILABLE, FX_PASS, FX_CONTINUE, FX_SILENT, FX_REFUSE, FX_NO_SUCH };

struct fx {
	enum fx_manner auth, admit, address, route, session_add, fib_add, fib_del, session_del;
	struct vd_authenticated grant;
	uint64_t auth_ticket; /* the last one that was not answered */
	char trace[8192];     /* words in the order things happened */
	unsigned sessions, fibs, in_use; /* on the doubled worker; leases held */
	uint64_t chan, peer;
	struct vd_authenticate asked; /* last authenticate; data is not kept */
	struct vd_lease_address leased, leased6; /* the last requests for an address and for a network */
	unsigned want; /* VD_WANT_*; 0: an IPv4 address */
	enum fx_manner network;
	struct vd_wsess_desc desc; /* of the last session_add */
	uint64_t silent_ms; /* of each channel */
	uint64_t network_ticket;
	unsigned n_done, n_closed, more_packets;
	enum vd_verdict verdict;
	struct vd_error err;
	char stage[32];
	bool failed, no_esp_gone, close_in_done; /* close_in_done: the owner ends the session from inside its callbacks */
};
extern struct fx fx;
extern const struct vd_session_owner fx_owner;

/* Empty core with doubles, configuration with connections "staff" (replace), "one" (refuse), "many" (coexist) of one
 * realm, one peer and one channel that is up. */
void fx_start(void);
void fx_stop(void);
/* Forgets objects and sessions and starts their modules again, for imports. */
void fx_again(void);
/* A peer and a channel more; returns the channel. */
uint64_t fx_channel(void);
uint64_t fx_new(const char *connection);
int fx_auth(uint64_t session, const char *user);
int fx_configure(uint64_t session);
int fx_establish(uint64_t session);
/* All of it; fails the test when the session is not up at the end. */
extern const struct vd_chan_maker fx_maker;
uint64_t fx_up(const char *connection, const char *user);
/* True when the words appear in the trace in this order (NULL ends). */
bool fx_order(const char *first, ...);
unsigned fx_count(const char *word);

#endif
