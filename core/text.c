/* The one place that decides which characters people may see as they are. */
#include <string.h>

#include <viaduct/text.h>

/* Unicode: controls, format characters (Cf) and others without width, by ranges in order. Noncharacters at the end of each plane
 * are looked at apart. */
static const struct {
	uint32_t first, last;
} unsafe[] = {
	{ 0x80, 0x9f },       /* C1: 0x9b is the same as ESC [ */
	{ 0xad, 0xad },       /* soft hyphen */
	{ 0x34f, 0x34f },     /* combining grapheme joiner */
	{ 0x61c, 0x61c },     /* Arabic letter mark */
	{ 0x115f, 0x1160 },   /* Hangul fillers */
	{ 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },
	{ 0x200b, 0x200f },   /* zero width, left-to-right and right-to-left marks */
	{ 0x2028, 0x202e },   /* separators, embeddings, overrides */
	{ 0x2060, 0x206f },   /* word joiner, invisible operators, isolates */
	{ 0x3164, 0x3164 },
	{ 0xfdd0, 0xfdef },   /* noncharacters */
	{ 0xfe00, 0xfe0f },   /* variation selectors */
	{ 0xfeff, 0xfeff },   /* byte order mark */
	{ 0xffa0, 0xffa0 },
	{ 0xfff0, 0xfffb },   /* interlinear annotation */
	{ 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff }, /* tags */
};

static bool is_unsafe(uint32_t c)
{
	if (c < 0x20 || c == 0x7f || (c & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < VD_ARRAY_SIZE(unsafe) && c >= unsafe[i].first; i++)
		if (c <= unsafe[i].last)
			return true;
	return false;
}

/* Octets of the UTF-8 sequence at p and its character; 0 when there is none (RFC 3629 section 4). */
static size_t decode(const uint8_t *p, size_t len, uint32_t *ret_char)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

size_t vd_text_step(const void *data, size_t len, char out[VD_TEXT_STEP])
{
	const uint8_t *p = data;
	uint32_t c = 0;
	size_t n = decode(p, len, &c);

	if (n == 0 || (n == 1 && is_unsafe(c))) {
		vd_format(out, VD_TEXT_STEP, "\\x%02x", p[0]);
		return 1;
	}
	if (is_unsafe(c)) {
		vd_format(out, VD_TEXT_STEP, "\\u{%x}", c);
		return n;
	}
	memcpy(out, p, n);
	out[n] = '\0';
	return n;
}

size_t vd_text_safe(char *out, size_t size, const void *data, size_t len)
{
	const uint8_t *p = data;
	char step[VD_TEXT_STEP];
	size_t n = 0;

	while (len > 0) {
		size_t took = vd_text_step(p, len, step), more = strlen(step);

		if (n + more >= size)
			break;
		memcpy(out + n, step, more);
		n += more;
		p += took;
		len -= took;
	}
	out[n] = '\0';
	return n;
}

char *vd_text_safe_string(char *out, size_t size, const char *text)
{
	vd_text_safe(out, size, text, strlen(text));
	return out;
}
