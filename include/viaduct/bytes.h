/* Viaduct: the bounded reader and writer through which all wire bytes go.
 *
 * A reader never moves past its end and a writer never writes past its room. Both remember the first failure
 * ("sticky"): after it every call fails, reads give zero, and the caller may check once at the end.
 * All functions: any thread, workers included; no allocation, no locks.
 */
#ifndef VIADUCT_BYTES_H
#define VIADUCT_BYTES_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vd_rd {
	const uint8_t *p, *end;
	bool bad;
};

VD_API void vd_rd_init(struct vd_rd *r, const void *data, size_t len);
/* Octets left; 0 after a failure. */
VD_API size_t vd_rd_left(const struct vd_rd *r);
/* True while nothing failed. */
VD_API bool vd_rd_ok(const struct vd_rd *r);
/* True when nothing failed and nothing is left. */
VD_API bool vd_rd_done(const struct vd_rd *r);
/* Big-endian integers. 0 and sticky failure when too short. */
VD_API uint8_t vd_rd_u8(struct vd_rd *r);
VD_API uint16_t vd_rd_u16(struct vd_rd *r);
VD_API uint32_t vd_rd_u32(struct vd_rd *r);
VD_API uint64_t vd_rd_u64(struct vd_rd *r);
/* Looks at the next octet without moving; -1 when there is none. */
VD_API int vd_rd_peek(const struct vd_rd *r);
/* Pointer to the next len octets inside the input (not copied) and moves past them; NULL when too short. */
VD_API const uint8_t *vd_rd_take(struct vd_rd *r, size_t len);
/* Copies the next len octets; false (and dst zeroed) when too short. */
VD_API bool vd_rd_copy(struct vd_rd *r, void *dst, size_t len);
/* A sub-reader over the next len octets. false when too short; the sub-reader is then empty and bad. */
VD_API bool vd_rd_sub(struct vd_rd *r, size_t len, struct vd_rd *ret_sub);
/* Everything that is left, as pointer and length; the reader is then at its end. */
VD_API const uint8_t *vd_rd_rest(struct vd_rd *r, size_t *ret_len);
/* Marks the reader failed (the caller found the contents wrong). */
VD_API void vd_rd_fail(struct vd_rd *r);

struct vd_wr {
	uint8_t *base;
	size_t len, size;
	bool bad;
};

/* A writer over room the caller owns. Nothing is written past size; overflow is sticky. */
VD_API void vd_wr_init(struct vd_wr *w, void *room, size_t size);
VD_API bool vd_wr_ok(const struct vd_wr *w);
VD_API void vd_wr_u8(struct vd_wr *w, uint8_t v);
VD_API void vd_wr_u16(struct vd_wr *w, uint16_t v);
VD_API void vd_wr_u32(struct vd_wr *w, uint32_t v);
VD_API void vd_wr_u64(struct vd_wr *w, uint64_t v);
VD_API void vd_wr_put(struct vd_wr *w, const void *data, size_t len);
VD_API void vd_wr_zero(struct vd_wr *w, size_t len);
/* Reserves len zeroed octets and returns their offset, for a length field to be patched later. */
VD_API size_t vd_wr_mark(struct vd_wr *w, size_t len);
/* Overwrites earlier output at an offset that vd_wr_mark gave. Sticky failure when outside of what was written. */
VD_API void vd_wr_patch_u8(struct vd_wr *w, size_t at, uint8_t v);
VD_API void vd_wr_patch_u16(struct vd_wr *w, size_t at, uint16_t v);
VD_API void vd_wr_patch_u32(struct vd_wr *w, size_t at, uint32_t v);

/* Lower-case hexadecimal of data into out (2*len + 1 octets needed, truncates by whole octets). Returns out. */
VD_API char *vd_hex(char *out, size_t size, const void *data, size_t len);
/* Parses hexadecimal (either case, no separators). Returns octets written, -EINVAL, or -ENOSPC. */
VD_API int vd_unhex(const char *text, void *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
