/* Fresh exponents of 8 bits: all checks of vd_dh are the real ones, only the exponentiation is short. Linked with
 * --wrap=vd_dh_new. */
#include <viaduct/crypto.h>
#include <viaduct/loop.h>

int __real_vd_dh_new(unsigned group, struct vd_dh **ret_dh);
int __wrap_vd_dh_new(unsigned group, struct vd_dh **ret_dh);

int __wrap_vd_dh_new(unsigned group, struct vd_dh **ret_dh)
{
	uint8_t exponent;

	if (group > 18)
		return __real_vd_dh_new(group, ret_dh);
	vd_random(&exponent, 1);
	exponent |= 0x80;
	return vd_dh_new_with(group, &exponent, 1, ret_dh);
}
