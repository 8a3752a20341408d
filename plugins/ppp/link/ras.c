/* The data of a Terminate-Request is the best diagnosis a client gives: Windows puts its RAS error into it, pppd, macOS and
 * we some words. */
#include "link.h"

#include <string.h>
#include <viaduct/text.h>

static const struct {
	uint32_t code;
	const char *text;
} errors[] = {
	{ 0, "user request" },
	{ 619, "the port was disconnected" },
	{ 628, "the port was disconnected by the remote computer" },
	{ 629, "the data link was terminated by the remote computer" },
	{ 631, "the port was disconnected by the user" },
	{ 691, "access denied: user name, password or authentication protocol" },
	{ 718, "PPP timeout" },
	{ 720, "no PPP control protocols configured" },
	{ 721, "the remote PPP peer is not responding" },
	{ 732, "PPP control protocols do not converge" },
	{ 733, "PPP control protocol not available" },
	{ 734, "the PPP link control protocol was terminated" },
	{ 735, "the requested address was rejected" },
	{ 736, "the control protocol was terminated by the remote computer" },
	{ 738, "no address was assigned" },
	{ 741, "the encryption asked for is not supported" },
	{ 742, "the remote computer does not support encryption" },
	{ 778, "the server's identity could not be verified" },
	{ 829, "the modem or link was disconnected" },
};

bool ppp_ras_reason(const uint8_t *data, size_t len, char *out, size_t size)
{
	struct vd_rd r;
	uint32_t mark, code;

	/* Magic number, 00 3C CD 74, error. */
	vd_rd_init(&r, data, len);
	vd_rd_u32(&r);
	mark = vd_rd_u32(&r);
	code = vd_rd_u32(&r);
	if (!vd_rd_ok(&r) || mark != 0x003ccd74)
		return false;
	for (size_t i = 0; i < VD_ARRAY_SIZE(errors); i++)
		if (errors[i].code == code) {
			if (code)
				vd_format(out, size, "client error %u: %s", code, errors[i].text);
			else
				vd_format(out, size, "%s", errors[i].text);
			return true;
		}
	vd_format(out, size, "client error %u", code);
	return true;
}

void ppp_said(const uint8_t *data, size_t len, char *out, size_t size)
{
	char step[VD_TEXT_STEP];
	size_t n = 0, took;

	while (len && data[len - 1] == 0)
		len--;
	for (; len; data += took, len -= took, n += took) {
		took = vd_text_step(data, len, step);
		if (n + took >= size)
			break;
		if (memcmp(step, data, took) != 0) { /* it was no words */
			n = 0;
			break;
		}
		memcpy(out + n, data, took);
	}
	out[n] = '\0';
}

bool ppp_reason(const uint8_t *data, size_t len, char *out, size_t size)
{
	if (!ppp_ras_reason(data, len, out, size))
		ppp_said(data, len, out, size < 65 ? size : 65);
	return out[0] != '\0';
}
