/* The list of everything that is wrong with a configuration, and the guess what was meant. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ERRORS_MAX 1000

static struct vd_conf_errors *judged;
static const struct vd_conf_node *last_at; /* while judged: what vd_error_at was called with */

/* ---- paths ---- */
static bool same_folder(const char *a, const char *b)
{
	char dir[2][CONF_PATH_MAX];
	struct stat st[2];
	bool gone[2];

	for (int i = 0; i < 2; i++) {
		char *slash;

		vd_strcpy(dir[i], sizeof(dir[i]), i ? b : a);
		slash = strrchr(dir[i], '/');
		if (slash)
			slash[slash == dir[i]] = '\0';
		gone[i] = stat(slash ? dir[i] : ".", &st[i]) < 0;
	}
	if (gone[0] || gone[1])
		return gone[0] && gone[1];
	return st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
}

char *vd_conf_path(const char *path, char *out, size_t size)
{
	char text[CONF_PATH_MAX];
	size_t n = 0, part;
	bool up = false;

	if (strlen(path) >= sizeof(text) || strlen(path) >= size) {
		vd_strcpy(out, size, path);
		return out;
	}
	for (const char *p = path; *p; p += part + (p[part] == '/')) {
		part = strcspn(p, "/");
		if (!part && p == path)
			text[n++] = '/';
		if (!part || (part == 1 && *p == '.'))
			continue;
		if (part == 2 && !strncmp(p, "..", 2) && n && text[n - 1] != '/' && (n < 2 || strncmp(text + n - 2, "..", 2))) {
			while (n && text[n - 1] != '/')
				n--;
			n -= n > 1;
			up = true;
			continue;
		}
		if (n && text[n - 1] != '/')
			text[n++] = '/';
		memcpy(text + n, p, part);
		n += part;
	}
	text[n] = '\0';
	vd_strcpy(out, size, n && (!up || same_folder(path, text)) ? text : path);
	return out;
}

/* ---- the list ---- */
static bool there(const struct vd_conf_errors *errs, const struct vd_conf_error *e)
{
	for (size_t i = 0; i < errs->n; i++) {
		const struct vd_conf_error *x = &errs->v[i];

		if (x->line == e->line && x->column == e->column && x->warning == e->warning && !strcmp(x->text, e->text) &&
			!strcmp(x->file, e->file))
			return true;
	}
	return false;
}

static void add(struct vd_conf_errors *errs, bool warning, const char *file, unsigned line, unsigned column,
	const char *fmt, va_list ap)
{
	struct vd_conf_error e = { .line = line, .column = column, .warning = warning };
	char path[CONF_PATH_MAX];

	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	e.file = vd_conf_path(file ? file : "", path, sizeof(path));
	if (there(errs, &e))
		return;
	if (!warning)
		errs->n_errors++;
	if (errs->n >= ERRORS_MAX)
		return;
	if (errs->n == errs->size) {
		size_t size = errs->size ? errs->size * 2 : 16;
		void *v = realloc(errs->v, size * sizeof(*errs->v));

		if (!v)
			return;
		errs->v = v;
		errs->size = size;
	}
	e.file = strdup(path);
	if (e.file)
		errs->v[errs->n++] = e;
}

void vd_conf_errors_add(struct vd_conf_errors *errs, bool warning, const char *file, unsigned line, unsigned column,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(errs, warning, file, line, column, fmt, ap);
	va_end(ap);
}

void conf_bad(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(errs, false, node->file ? node->file->path : NULL, node->line, node->column, fmt, ap);
	va_end(ap);
}

void conf_bad_key(struct vd_conf_errors *errs, const struct vd_conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(errs, false, node->file ? node->file->path : NULL, node->key_line ? node->key_line : node->line,
		node->key_line ? node->key_column : node->column, fmt, ap);
	va_end(ap);
}

/* ---- findings of plugins ---- */
struct vd_conf_errors *vd_conf_judge(struct vd_conf_errors *errs)
{
	struct vd_conf_errors *before = judged;

	judged = errs;
	last_at = NULL;
	return before;
}

struct vd_conf_errors *conf_judged(void)
{
	return judged;
}

static void at(bool warning, const struct vd_conf_node *node, const char *fmt, va_list ap)
{
	const struct vd_conf *conf = vd_conf_current();

	if (!judged)
		return;
	if (node && node->file && !node->is_default && node->key_line)
		add(judged, warning, node->file->path, node->key_line, node->key_column, fmt, ap);
	else if (node && node->file && !node->is_default && node->line)
		add(judged, warning, node->file->path, node->line, node->column, fmt, ap);
	else
		add(judged, warning, conf && conf->main ? conf->main->path : NULL, 1, 1, fmt, ap);
}

int vd_check_error(const struct vd_conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	at(false, node, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void vd_check_warning(const struct vd_conf_node *node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	at(true, node, fmt, ap);
	va_end(ap);
}

void vd_error_at(struct vd_error *err, const struct vd_conf_node *node)
{
	if (!err || !vd_conf_written(node))
		return;
	vd_conf_origin(node, err->origin, sizeof(err->origin));
	last_at = judged ? node : NULL;
}

void vd_conf_errors_add_err(struct vd_conf_errors *errs, const char *plugin, const struct vd_error *err)
{
	struct vd_conf_errors *before = judged;
	const struct vd_conf_node *node = last_at;
	size_t n = strlen(err->origin);
	const char *text = err->text;
	char origin[128] = "";

	if (node)
		vd_conf_origin(node, origin, sizeof(origin));
	if (!n || strcmp(origin, err->origin))
		node = NULL;
	if (n && !strncmp(text, err->origin, n) && !strncmp(text + n, ": ", 2))
		text += n + 2;
	judged = errs;
	if (node || !n)
		vd_check_error(node, "%s%s%s", *text ? "" : plugin, *text ? "" : " refuses the configuration", text);
	else
		vd_check_error(NULL, "%s: %s", err->origin, text);
	judged = before;
}

void vd_conf_errors_free(struct vd_conf_errors *errs)
{
	size_t i;

	for (i = 0; i < errs->n; i++)
		free(errs->v[i].file);
	free(errs->v);
	memset(errs, 0, sizeof(*errs));
}

size_t vd_conf_error_where(const struct vd_conf_error *e, char *out, size_t size)
{
	if (e->line)
		return vd_format(out, size, "%s:%u:%u", e->file, e->line, e->column);
	return vd_format(out, size, "%s", e->file);
}

void vd_conf_errors_print(const struct vd_conf_errors *errs, FILE *out)
{
	char at[CONF_PATH_MAX];
	size_t i, shown = 0;

	for (i = 0; i < errs->n; i++) {
		const struct vd_conf_error *e = &errs->v[i];

		vd_conf_error_where(e, at, sizeof(at));
		fprintf(out, "%s%s%s: %s\n", at, *at ? ": " : "", e->warning ? "warning" : "error", e->text);
		shown += !e->warning;
	}
	if (errs->n_errors > shown)
		fprintf(out, "... and %zu more errors\n", errs->n_errors - shown);
}

static json_t *as_json(const struct vd_conf_error *e, const char *text)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", e->file, "line", (int)e->line, "column", (int)e->column,
		"level", e->warning ? "warning" : "error", "text", text);
}

int vd_conf_errors_json(const struct vd_conf_errors *errs, FILE *out)
{
	json_t *list = json_array(), *item;
	char text[sizeof(errs->v->text)], *p;
	size_t i;
	int ret;

	for (i = 0; i < errs->n; i++) {
		item = as_json(&errs->v[i], errs->v[i].text);
		if (!item) { /* cut off within a character */
			vd_strcpy(text, sizeof(text), errs->v[i].text);
			for (p = text; *p; p++)
				*p = *p & 0x80 ? '?' : *p;
			item = as_json(&errs->v[i], text);
		}
		json_array_append_new(list, item);
	}
	ret = list && !json_dumpf(list, out, JSON_COMPACT) && fputc('\n', out) != EOF ? 0 : -EIO;
	json_decref(list);
	return ret;
}

char *vd_conf_errors_first(const struct vd_conf_errors *errs, char *out, size_t size)
{
	size_t i, n;

	vd_strcpy(out, size, errs->n_errors ? "out of memory" : "");
	for (i = 0; i < errs->n; i++) {
		if (errs->v[i].warning)
			continue;
		n = vd_conf_error_where(&errs->v[i], out, size);
		vd_format(out + n, size - n, ": %s", errs->v[i].text);
		break;
	}
	return out;
}

/* ---- did you mean ---- */

/* Edit distance with transpositions of neighbours (optimal string alignment); long words are never near. */
static unsigned distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	unsigned rows[3][LONGEST + 1], *before = rows[0], *prev = rows[1], *cur = rows[2], *t;
	size_t i, j, na = strlen(a), nb = strlen(b);

	if (na > LONGEST || nb > LONGEST)
		return UINT32_MAX;
	for (j = 0; j <= nb; j++)
		prev[j] = (unsigned)j;
	for (i = 1; i <= na; i++) {
		cur[0] = (unsigned)i;
		for (j = 1; j <= nb; j++) {
			unsigned d = prev[j - 1] + (a[i - 1] != b[j - 1]);

			if (prev[j] + 1 < d)
				d = prev[j] + 1;
			if (cur[j - 1] + 1 < d)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			cur[j] = d;
		}
		t = before;
		before = prev;
		prev = cur;
		cur = t;
	}
	return prev[nb];
}

void conf_guess_try(struct conf_guess *g, const char *candidate)
{
	unsigned d = distance(g->wrong, candidate);
	size_t shorter = strlen(candidate) < strlen(g->wrong) ? strlen(candidate) : strlen(g->wrong);
	size_t n = strlen(g->known);

	if (d <= (shorter < 6 ? (shorter < 3 ? 1 : 2) : shorter / 3) && (d < shorter || !d) && (!g->best || d < g->distance)) {
		g->best = candidate;
		g->distance = d;
	}
	if (g->n_known++ < 12 && n + strlen(candidate) + 8 < sizeof(g->known))
		vd_format(g->known + n, sizeof(g->known) - n, "%s%s", n ? ", " : "", candidate);
	else if (n && n + 6 < sizeof(g->known) && strcmp(g->known + n - 3, "..."))
		vd_format(g->known + n, sizeof(g->known) - n, ", ...");
}

const char *conf_guess_hint(const struct conf_guess *g, char *out, size_t size)
{
	out[0] = '\0';
	if (g->best)
		vd_format(out, size, "; did you mean `%s`?", g->best);
	else if (g->n_known)
		vd_format(out, size, "; known %s %s", g->n_known == 1 ? "is" : "are", g->known);
	return out;
}
