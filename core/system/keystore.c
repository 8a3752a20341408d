/* Key material by id: what the configuration puts in and keys/1 works with. */
#include <stdlib.h>

#include "core/system/keys.h"

struct key {
	struct key *next;
	uint64_t id;
	struct vd_secret *data;
};

static struct key *keys;
static uint64_t last_id;

uint64_t vd_keys_add(const void *data, size_t len)
{
	struct key *k = calloc(1, sizeof(*k));

	if (!k)
		return 0;
	k->data = vd_secret_new(data, len);
	if (!k->data) {
		free(k);
		return 0;
	}
	k->id = ++last_id;
	k->next = keys;
	keys = k;
	return k->id;
}

void vd_keys_remove(uint64_t id)
{
	for (struct key **p = &keys; *p; p = &(*p)->next) {
		struct key *k = *p;

		if (k->id != id)
			continue;
		*p = k->next;
		vd_secret_free(k->data);
		free(k);
		return;
	}
}

struct vd_secret *vd_keys_get(uint64_t id)
{
	for (struct key *k = keys; k; k = k->next)
		if (k->id == id)
			return k->data;
	return NULL;
}
