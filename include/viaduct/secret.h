/* Viaduct: octets that must not leak. Cleansed when freed, compared in constant time, never printed. Any thread. */
#ifndef VIADUCT_SECRET_H
#define VIADUCT_SECRET_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_secret; /* immutable once made, reference counted */

/* A copy of data; NULL when out of memory. The caller still owns (and should cleanse) data. */
VD_API struct vd_secret *vd_secret_new(const void *data, size_t len);
VD_API struct vd_secret *vd_secret_ref(struct vd_secret *s);
/* Drops a reference; the last one cleanses and frees. NULL is accepted. */
VD_API void vd_secret_free(struct vd_secret *s);
VD_API void vd_secret_freep(struct vd_secret **s);
VD_API const uint8_t *vd_secret_data(const struct vd_secret *s);
VD_API size_t vd_secret_len(const struct vd_secret *s);
/* Overwrites memory in a way the compiler does not remove. */
VD_API void vd_wipe(void *p, size_t len);
/* Constant-time comparison of equally long strings: true when equal. */
VD_API bool vd_same(const void *a, const void *b, size_t len);

#ifdef __cplusplus
}
#endif
#endif
