/* Names that steer a terminal, hide or turn round what stands beside them, or are no UTF-8. Each holds "al" and "ice", so that it
 * is found again. */
#ifndef TESTS_LIB_NASTY_H
#define TESTS_LIB_NASTY_H

#include <check.h>
#include <string.h>

static const char *const nasty_names[] = {
	"al\x1b[2Jice", "al\nice", "al\rice", "al\tice", "al\x7f" "ice",      /* C0 and DEL */
	"al\xc2\x9b" "2Jice", "al\xc2\x85ice", "al\xc2\x9d" "0;x\xc2\x9cice", /* C1: CSI, NEL, OSC with ST */
	"al\x9b" "2Jice", "al\xffice", "al\xc3(ice", "al\xe2\x80ice",         /* no UTF-8: 8-bit C1, and cut sequences */
	"al\xc0\x9bice", "al\xe0\x80\x9bice", "al\xf0\x80\x80\x9bice",        /* ESC and CSI in too many octets */
	"al\xed\xa0\x80ice", "al\xf4\x90\x80\x80ice", "al\xf8\x88\x80\x80\x80ice", "ice al\xf0\x9f\x98",
	"al\xe2\x80\xaeice", "al\xe2\x80\x8fice", "al\xe2\x81\xa7ice", "al\xd8\x9cice", /* bidirectional */
	"al\xe2\x80\x8bice", "al\xe2\x80\xa8ice", "al\xe2\x80\xa9ice", "al\xef\xbb\xbfice", "al\xc2\xadice", /* no width, separators */
	"al\xef\xbf\xbeice", "al\xef\xb7\x90ice", "al\xf3\xa0\x80\x81ice",    /* noncharacters, tags */
	"al\"ice\\", "al%s%nice", "al</b>ice", "s-1", "p-7", "17", "192.0.2.1", "user/alice",
	"al\xc3\xa9ice", "al\xe4\xb8\xadice", "al\xf0\x9f\x98\x80ice",        /* other languages stay as they are */
};
#define NASTY_N (sizeof(nasty_names) / sizeof(nasty_names[0]))

/* Only what is seen as it is: printable ASCII, and the three characters of the last names. Newlines, where there are lines. */
static inline void nasty_check(const char *text, bool lines)
{
	static const char *const good[] = { "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80" };

	for (const char *p = text; *p;) {
		size_t n = (*p >= 0x20 && *p < 0x7f) || (lines && *p == '\n') ? 1 : 0;

		for (size_t i = 0; !n && i < 3; i++)
			n = strncmp(p, good[i], strlen(good[i])) ? 0 : strlen(good[i]);
		ck_assert_msg(n > 0, "octet %02x in: %s", (unsigned char)*p, text);
		p += n;
	}
}

#endif
