#include "cfg.h"

#include <errno.h>

#define SHORT 0x8000u

int ike_cfg_parse(const uint8_t *body, size_t len, struct ike_cfg *ret_cfg)
{
	struct vd_rd r;

	vd_rd_init(&r, body, len);
	ret_cfg->kind = vd_rd_u8(&r);
	vd_rd_u8(&r);
	ret_cfg->id = vd_rd_u16(&r);
	ret_cfg->n = 0;
	while (vd_rd_left(&r) > 0) {
		struct ike_cfg_attr *a = &ret_cfg->v[ret_cfg->n];

		if (ret_cfg->n == IKE_CFG_ATTRS_MAX)
			return -E2BIG;
		a->type = vd_rd_u16(&r);
		a->len = a->type & SHORT ? 2 : vd_rd_u16(&r);
		a->type &= (uint16_t)~SHORT;
		a->p = vd_rd_take(&r, a->len);
		if (!vd_rd_ok(&r))
			return -EBADMSG;
		ret_cfg->n++;
	}
	return vd_rd_ok(&r) ? 0 : -EBADMSG;
}

const struct ike_cfg_attr *ike_cfg_find(const struct ike_cfg *cfg, uint16_t type)
{
	for (unsigned i = 0; i < cfg->n; i++)
		if (cfg->v[i].type == type)
			return &cfg->v[i];
	return NULL;
}

bool ike_cfg_number(const struct ike_cfg_attr *attr, uint32_t *ret_value)
{
	struct vd_rd r;
	uint32_t v = 0;

	if (attr == NULL || attr->len == 0 || attr->len > 4)
		return false;
	vd_rd_init(&r, attr->p, attr->len);
	while (vd_rd_left(&r) > 0)
		v = v << 8 | vd_rd_u8(&r);
	*ret_value = v;
	return true;
}

void ike_out_cfg(struct ike_out *out, uint8_t kind, uint16_t id)
{
	ike_out_begin(out, IKE_P_ATTRIBUTES);
	vd_wr_u8(&out->w, kind);
	vd_wr_u8(&out->w, 0);
	vd_wr_u16(&out->w, id);
}

void ike_out_attr(struct ike_out *out, uint16_t type, const void *p, size_t len)
{
	vd_wr_u16(&out->w, type);
	vd_wr_u16(&out->w, (uint16_t)len);
	vd_wr_put(&out->w, p, len);
}

void ike_out_attr16(struct ike_out *out, uint16_t type, uint16_t value)
{
	vd_wr_u16(&out->w, (uint16_t)(type | SHORT));
	vd_wr_u16(&out->w, value);
}
