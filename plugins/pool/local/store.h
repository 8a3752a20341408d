/* What is kept of the leases in a file, so that they outlive the daemon: leases.db in the state directory. Without SQLite
 * (store_none.c) nothing is. */
#ifndef POOL_STORE_H
#define POOL_STORE_H

#include <viaduct/addr.h>
#include <viaduct/base.h>
#include <viaduct/topics.h>

struct store;

enum store_what {
	STORE_GRANT,  /* a session holds the address from now on */
	STORE_END,    /* it does no longer; remembered as the user's last one, unless user is "" */
	STORE_LAST,   /* only remembered */
	STORE_FORGET, /* all that is remembered or held */
	STORE_NOTHING,
};

/* One change. result is 0, or what made this one alone impossible: -EADDRINUSE for a grant of what is held. */
struct store_op {
	struct store_op *next;
	enum store_what what;
	int result;
	uint64_t ticket; /* of who waits for it, for the writer; 0: nobody */
	uint64_t session;
	int64_t when; /* seconds since 1970 */
	struct vd_ip address;
	char pool[VD_NAME_MAX];
	char user[];
};

struct store_found {
	size_t released; /* leases that were held when the daemon ended without ending them */
	size_t unreadable; /* rows that cannot be of ours, left out */
	char note[320];  /* for the log: a file that was moved aside and why, or that nothing is kept; "" otherwise */
};

/* Opens or makes the file, mode 0600. What was held becomes remembered, then each() gets all that is remembered, oldest
 * first. A file that is damaged or not ours is moved aside, never deleted. *ret_store is NULL where nothing can be kept.
 * Any thread; blocks. */
int store_open(const char *folder, struct store **ret_store, struct store_found *ret_found,
	void (*each)(void *arg, const char *pool, const char *user, const struct vd_ip *address), void *arg,
	struct vd_error *err);
/* All changes, in order, in one transaction: on return 0 they are in the log of the database, on the disk itself. On
 * failure none is. One thread at a time; blocks. */
int store_write(struct store *store, struct store_op *ops, struct vd_error *err);
void store_close(struct store *store);

#endif
