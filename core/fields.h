/* Generic code on field tables: deep copies of messages. The JSON encoder is public (viaduct/bus.h). */
#ifndef CORE_FIELDS_H
#define CORE_FIELDS_H

#include <viaduct/bus.h>

/* Copies size octets of a message and gives each blob its own memory. -ENOMEM leaves nothing allocated. */
int vd_fields_copy(const struct vd_field *fields, size_t n, void *dst, const void *src, size_t size);
/* Frees the blobs of a copy; secrets are cleansed first. Wipes the message when a field is secret. */
void vd_fields_free(const struct vd_field *fields, size_t n, void *data, size_t size);
/* The first id field, 0 when there is none: what coalescing compares. */
uint64_t vd_fields_id(const struct vd_field *fields, size_t n, const void *data);

#endif
