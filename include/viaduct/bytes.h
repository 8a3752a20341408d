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

/* Short, and used many times per packet: therefore inline. */
static inline void vd_rd_init(struct vd_rd *r, const void *data, size_t len)
{
	static const uint8_t nothing[1] = { 0 };
	r->p = data ? (const uint8_t *)data : nothing;
	r->end = r->p + (data ? len : 0);
	r->bad = !data && len != 0;
}
/* Octets left; 0 after a failure. */
static inline size_t vd_rd_left(const struct vd_rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}
/* True while nothing failed. */
static inline bool vd_rd_ok(const struct vd_rd *r)
{
	return !r->bad;
}
/* True when nothing failed and nothing is left. */
static inline bool vd_rd_done(const struct vd_rd *r)
{
	return !r->bad && r->p == r->end;
}
/* Pointer to the next len octets inside the input (not copied) and moves past them; NULL when too short. */
static inline const uint8_t *vd_rd_take(struct vd_rd *r, size_t len)
{
	const uint8_t *p = r->p;
	if (r->bad || len > (size_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}
/* Big-endian integers. 0 and sticky failure when too short. */
static inline uint8_t vd_rd_u8(struct vd_rd *r)
{
	const uint8_t *p = vd_rd_take(r, 1);
	return (uint8_t)(p ? p[0] : 0);
}
static inline uint16_t vd_rd_u16(struct vd_rd *r)
{
	const uint8_t *p = vd_rd_take(r, 2);
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}
static inline uint32_t vd_rd_u32(struct vd_rd *r)
{
	const uint8_t *p = vd_rd_take(r, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}
VD_API uint64_t vd_rd_u64(struct vd_rd *r);
/* Looks at the next octet without moving; -1 when there is none. */
VD_API int vd_rd_peek(const struct vd_rd *r);
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
