#include "core/record/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct name {
	char *text, *other;
	size_t len;
};
static struct name *names;
static size_t n_names, n_room;
static char **kept;
static size_t n_kept;

static bool word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || (unsigned char)c >= 0x80;
}

static const struct name *known(const char *text)
{
	for (size_t i = 0; i < n_names; i++)
		if (!strcmp(names[i].text, text) || !strcmp(names[i].other, text))
			return &names[i];
	return NULL;
}

/* "u00000": a letter and the number of the name, as wide as the name. False when the number is too long for that. */
static bool invent(char *out, size_t len, size_t number)
{
	for (size_t i = len; i-- > 1; number /= 36)
		out[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
	out[0] = 'u';
	out[len] = '\0';
	return number == 0;
}

void vd_record_names_add(const char *name)
{
	struct name n = { .len = strlen(name) };
	size_t number = n_names;

	for (size_t i = 0; i < n_kept; i++)
		if (!strcmp(kept[i], name))
			return;
	if (n.len < 2 || n_names == VD_RECORD_NAMES_MAX || known(name))
		return;
	if (n_names == n_room) {
		struct name *more = realloc(names, (n_room + 64) * sizeof(*more));

		if (!more)
			return;
		names = more;
		n_room += 64;
	}
	n.text = strdup(name);
	n.other = malloc(n.len + 1);
	if (!n.text || !n.other || !invent(n.other, n.len, number) || known(n.other)) {
		free(n.text);
		free(n.other);
		return;
	}
	names[n_names++] = n;
}

void vd_record_names_keep(const char *text)
{
	char **more = realloc(kept, (n_kept + 1) * sizeof(*more));

	if (!more)
		return;
	kept = more;
	kept[n_kept] = strdup(text);
	n_kept += kept[n_kept] != NULL;
}

void vd_record_names_replace(char *p, size_t len)
{
	for (size_t i = 0; i < n_names; i++) {
		const struct name *n = &names[i];
		char *at = p, *end = p + len;

		while (at < end && (at = memmem(at, (size_t)(end - at), n->text, n->len))) {
			char *behind = at + n->len;

			if ((at == p || !word(at[-1])) && (behind == end || !word(*behind)))
				memcpy(at, n->other, n->len);
			at = behind;
		}
	}
}

void vd_record_names_free(void)
{
	for (size_t i = 0; i < n_names; i++) {
		free(names[i].text);
		free(names[i].other);
	}
	for (size_t i = 0; i < n_kept; i++)
		free(kept[i]);
	free(names);
	free(kept);
	names = NULL;
	kept = NULL;
	n_names = n_room = n_kept = 0;
}
