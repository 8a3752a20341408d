/* How the core's layers write addresses and texts: see encode.h. */
#include "core/encode.h"

#include <string.h>

void vd_sa_write(struct vd_wr *w, const struct vd_sa *sa)
{
	vd_wr_u16(w, sa->ip.family);
	vd_wr_put(w, sa->ip.a, sizeof(sa->ip.a));
	vd_wr_u16(w, sa->port);
	vd_wr_u32(w, sa->scope);
}

void vd_sa_read(struct vd_rd *r, struct vd_sa *ret_sa)
{
	*ret_sa = (struct vd_sa){ 0 };
	ret_sa->ip.family = vd_rd_u16(r);
	vd_rd_copy(r, ret_sa->ip.a, sizeof(ret_sa->ip.a));
	ret_sa->port = vd_rd_u16(r);
	ret_sa->scope = vd_rd_u32(r);
}

void vd_text_write(struct vd_wr *w, const char *text)
{
	size_t len = strlen(text);

	vd_wr_u16(w, (uint16_t)len);
	vd_wr_put(w, text, len);
}

void vd_text_read(struct vd_rd *r, char *out, size_t size)
{
	size_t len = vd_rd_u16(r);
	const uint8_t *p = len < size ? vd_rd_take(r, len) : NULL;

	out[0] = 0;
	if (!p) {
		vd_rd_fail(r);
		return;
	}
	memcpy(out, p, len);
	out[len] = 0;
}
