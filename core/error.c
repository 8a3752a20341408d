#include <stdio.h>
#include <string.h>

#include <viaduct/base.h>

size_t vd_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (size == 0)
		return 0;
	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	if (n < 0) {
		buf[0] = '\0';
		return 0;
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

bool vd_strcpy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (size == 0)
		return false;
	if (len >= size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return false;
	}
	memcpy(dst, src, len + 1);
	return true;
}

int vd_error_set(struct vd_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->code = code;
		err->origin[0] = '\0';
		va_start(ap, fmt);
		if (vsnprintf(err->text, sizeof(err->text), fmt, ap) < 0)
			err->text[0] = '\0';
		va_end(ap);
	}
	return code;
}

int vd_error_prefix(struct vd_error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	size_t len;
	int n;

	if (!err)
		return 0;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return err->code;
	len = strlen(text);
	vd_strcpy(text + len, sizeof(text) - len, err->text);
	memcpy(err->text, text, sizeof(text));
	return err->code;
}
