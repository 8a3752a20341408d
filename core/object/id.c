/* Ids: 64 bits, from one allocator, never reused. */
#include <string.h>

#include <viaduct/object.h>

#include "core/object/id.h"

static uint64_t next_id = 1;

uint64_t vd_id_new(void)
{
	return next_id++;
}

uint64_t vd_id_peek(void)
{
	return next_id;
}

void vd_id_restore(uint64_t next)
{
	if (next > next_id)
		next_id = next;
}

void vd_id_reset(void)
{
	next_id = 1;
}

char *vd_id_format(char letter, uint64_t id, char out[VD_ID_BUF])
{
	if (id == 0)
		vd_strcpy(out, VD_ID_BUF, "-");
	else
		vd_format(out, VD_ID_BUF, "%c-%llu", letter, (unsigned long long)id);
	return out;
}
