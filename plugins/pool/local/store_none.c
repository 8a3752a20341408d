/* Built without SQLite: leases live in memory. */
#include <string.h>

#include "plugins/pool/local/store.h"

int store_open(const char *folder, struct store **ret_store, struct store_found *ret_found,
	void (*each)(void *arg, const char *pool, const char *user, const struct vd_ip *address), void *arg,
	struct vd_error *err)
{
	(void)folder;
	(void)each;
	(void)arg;
	(void)err;
	memset(ret_found, 0, sizeof(*ret_found));
	vd_format(ret_found->note, sizeof(ret_found->note), "built without SQLite: who had which address is forgotten when "
		"viaductd ends; install libsqlite3-dev and build again to keep it");
	*ret_store = NULL;
	return 0;
}

int store_write(struct store *store, struct store_op *ops, struct vd_error *err)
{
	(void)store;
	(void)ops;
	(void)err;
	return 0;
}

void store_close(struct store *store)
{
	(void)store;
}
