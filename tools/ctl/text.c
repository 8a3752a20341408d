/* What viaductctl writes on standard output: see text.h. */
#include "tools/ctl/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/text.h>

bool text_color;

int fail(int status, const char *fmt, ...)
{
	char text[2048], safe[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vd_text_safe(safe, sizeof(safe), text, strlen(text));
	fprintf(stderr, "viaductctl: %s\n", safe);
	return status;
}

const char *color(const char *code)
{
	return text_color ? code : "";
}

/* The daemon's texts are safe; whatever listens at the socket, no text steers the terminal. */
void put_clean(const char *text, size_t width)
{
	char step[VD_TEXT_STEP];
	size_t n = 0;

	for (size_t len = strlen(text), took; len > 0; text += took, len -= took) {
		took = vd_text_step(text, len, step);
		fputs(step, stdout);
		n += strlen(step) == took ? 1 : strlen(step);
	}
	for (; n < width; n++)
		putchar(' ');
}

void put_line(const char *text)
{
	put_clean(text, 0);
	putchar('\n');
}

/* Text of several lines. */
void put_lines(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n\t");
		char *line = strndup(text, n);

		put_clean(line ? line : "", 0);
		free(line);
		text += n;
		if (*text)
			putchar(*text++);
	}
}

/* JSON for programs, which may be shown on a terminal: with escapes of JSON where it has what is not safe. */
int put_json(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_PRESERVE_ORDER), step[VD_TEXT_STEP];
	bool safe = text != NULL;

	for (size_t i = 0, len = safe ? strlen(text) : 0, took; i < len && safe; i += took) {
		took = vd_text_step(text + i, len - i, step);
		safe = text[i] == '\n' || !strncmp(step, text + i, took);
	}
	if (!safe) {
		free(text);
		text = json_dumps(value, flags | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	}
	if (!text)
		return EXIT_FAILURE;
	puts(text);
	free(text);
	return EXIT_SUCCESS;
}

size_t columns_of(const char *text)
{
	char step[VD_TEXT_STEP];
	size_t n = 0;

	for (size_t len = strlen(text), took; len > 0; text += took, len -= took) {
		took = vd_text_step(text, len, step);
		n += strlen(step) == took ? 1 : strlen(step);
	}
	return n;
}

const char *word(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}
