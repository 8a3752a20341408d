#include <errno.h>
#include <string.h>

#include <viaduct/bytes.h>

void vd_rd_fail(struct vd_rd *r)
{
	r->bad = true;
}

uint64_t vd_rd_u64(struct vd_rd *r)
{
	const uint8_t *p = vd_rd_take(r, 8);
	uint64_t v = 0;

	for (int i = 0; p && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

int vd_rd_peek(const struct vd_rd *r)
{
	return r->bad || r->p == r->end ? -1 : r->p[0];
}

bool vd_rd_copy(struct vd_rd *r, void *dst, size_t len)
{
	const uint8_t *p = vd_rd_take(r, len);

	if (len == 0)
		return p != NULL;
	if (!p) {
		memset(dst, 0, len);
		return false;
	}
	memcpy(dst, p, len);
	return true;
}

bool vd_rd_sub(struct vd_rd *r, size_t len, struct vd_rd *ret_sub)
{
	const uint8_t *p = vd_rd_take(r, len);

	vd_rd_init(ret_sub, p, p ? len : 0);
	if (!p)
		ret_sub->bad = true;
	return p != NULL;
}

const uint8_t *vd_rd_rest(struct vd_rd *r, size_t *ret_len)
{
	const uint8_t *p = r->p;

	*ret_len = vd_rd_left(r);
	r->p += *ret_len;
	return p;
}

void vd_wr_init(struct vd_wr *w, void *room, size_t size)
{
	w->base = room;
	w->len = 0;
	w->size = size;
	w->bad = false;
}

bool vd_wr_ok(const struct vd_wr *w)
{
	return !w->bad;
}

/* Room for len more octets, or NULL. */
static uint8_t *grow(struct vd_wr *w, size_t len)
{
	uint8_t *p;

	if (w->bad || len > w->size - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->base + w->len;
	w->len += len;
	return p;
}

static void put_be(uint8_t *p, uint64_t v, size_t len)
{
	while (len-- > 0) {
		p[len] = (uint8_t)v;
		v >>= 8;
	}
}

static void write_be(struct vd_wr *w, uint64_t v, size_t len)
{
	uint8_t *p = grow(w, len);

	if (p)
		put_be(p, v, len);
}

void vd_wr_u8(struct vd_wr *w, uint8_t v)
{
	write_be(w, v, 1);
}

void vd_wr_u16(struct vd_wr *w, uint16_t v)
{
	write_be(w, v, 2);
}

void vd_wr_u32(struct vd_wr *w, uint32_t v)
{
	write_be(w, v, 4);
}

void vd_wr_u64(struct vd_wr *w, uint64_t v)
{
	write_be(w, v, 8);
}

void vd_wr_put(struct vd_wr *w, const void *data, size_t len)
{
	uint8_t *p = grow(w, len);

	if (p && len)
		memcpy(p, data, len);
}

void vd_wr_zero(struct vd_wr *w, size_t len)
{
	uint8_t *p = grow(w, len);

	if (p && len)
		memset(p, 0, len);
}

size_t vd_wr_mark(struct vd_wr *w, size_t len)
{
	size_t at = w->len;

	vd_wr_zero(w, len);
	return at;
}

static void patch_be(struct vd_wr *w, size_t at, uint64_t v, size_t len)
{
	if (w->bad || at > w->len || len > w->len - at) {
		w->bad = true;
		return;
	}
	put_be(w->base + at, v, len);
}

void vd_wr_patch_u8(struct vd_wr *w, size_t at, uint8_t v)
{
	patch_be(w, at, v, 1);
}

void vd_wr_patch_u16(struct vd_wr *w, size_t at, uint16_t v)
{
	patch_be(w, at, v, 2);
}

void vd_wr_patch_u32(struct vd_wr *w, size_t at, uint32_t v)
{
	patch_be(w, at, v, 4);
}

char *vd_hex(char *out, size_t size, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	size_t o = 0;

	for (size_t i = 0; i < len && o + 2 < size; i++) {
		out[o++] = digits[p[i] >> 4];
		out[o++] = digits[p[i] & 15];
	}
	if (size)
		out[o] = '\0';
	return out;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int vd_unhex(const char *text, void *out, size_t size)
{
	uint8_t *p = out;
	size_t len = strlen(text);

	if (len % 2)
		return -EINVAL;
	if (len / 2 > size)
		return -ENOSPC;
	for (size_t i = 0; i < len; i += 2) {
		int hi = nibble(text[i]), lo = nibble(text[i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		p[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return (int)(len / 2);
}
