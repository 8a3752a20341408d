/* The store behind keys/1: the configuration puts key material in and keeps only the id. Control thread. */
#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include <viaduct/keys.h>

/* Copies data; the caller cleanses its own. Equal data under the same origin gets a new id. 0 when out of memory. */
uint64_t vd_keys_add(const void *data, size_t len);
/* Cleanses and forgets; 0 and unknown ids are ignored. Operations under way finish with -ENOENT. */
void vd_keys_remove(uint64_t id);
/* The octets behind an id, for keys/1 alone; not a new reference. NULL when unknown. (The store is keystore.c.) */
struct vd_secret *vd_keys_get(uint64_t id);
/* Registers service keys/1. */
int vd_keys_init(void);
void vd_keys_fini(void);

#endif
