#include "chap.h"

bool ppp_chap_parse(const uint8_t *p, size_t len, uint8_t *ret_code, uint8_t *ret_id, struct vd_rd *ret_body)
{
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	*ret_code = vd_rd_u8(&r);
	*ret_id = vd_rd_u8(&r);
	uint16_t total = vd_rd_u16(&r);
	return vd_rd_ok(&r) && total >= 4 && vd_rd_sub(&r, total - 4u, ret_body);
}
