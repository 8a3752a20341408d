/* The id allocator's state, for export and import. */
#ifndef CORE_ID_H
#define CORE_ID_H

#include <viaduct/object.h>

/* The next id that vd_id_new() gives. */
uint64_t vd_id_peek(void);
/* Goes on at next at the earliest: imported ids are never given again. */
void vd_id_restore(uint64_t next);
/* Starts again at 1: tests only. */
void vd_id_reset(void);

#endif
