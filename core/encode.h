/* How the core's layers write addresses and texts (u16 length, octets). Reading marks r failed when it does not fit. Any thread. */
#ifndef CORE_ENCODE_H
#define CORE_ENCODE_H

#include <viaduct/addr.h>
#include <viaduct/bytes.h>

void vd_sa_write(struct vd_wr *w, const struct vd_sa *sa);
void vd_sa_read(struct vd_rd *r, struct vd_sa *ret_sa);
void vd_text_write(struct vd_wr *w, const char *text);
void vd_text_read(struct vd_rd *r, char *out, size_t size);

#endif
