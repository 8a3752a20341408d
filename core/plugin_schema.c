/* Is a plugin's table of options one that the configuration can work with? A bad table refuses the plugin, not the start. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/conf.h"
#include "core/plugin.h"

#define ROWS_MAX 1000
#define PATH_MAX_ 127
#define ALL_FLAGS (VD_OPT_REQUIRED | VD_OPT_LIST | VD_OPT_LIVE | VD_OPT_KNOB | VD_OPT_RESTART)

/* "pools.*.range": names of a-z, 0-9, - and _, or *, with dots between them. */
static bool path_good(const char *path)
{
	const char *p = path;

	if (strlen(path) > PATH_MAX_ || *path == '*')
		return false;
	for (;;) {
		size_t n = *p == '*' ? 1 : strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-_");

		if (!n || (p[n] && p[n] != '.'))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

static const char *arg_wrong(const struct vd_opt *o)
{
	const char *wrong = vd_conf_range_wrong(o);

	if (wrong)
		return wrong;
	if (o->type == VD_T_STRING && o->arg && (!*o->arg || o->arg[strspn(o->arg, "0123456789")]))
		return "its largest length is no number";
	if (o->type == VD_T_WORD && (!o->arg || !*o->arg))
		return "it is a word, but no words are given";
	if (o->type == VD_T_REF && (!o->arg || !*o->arg))
		return "it is a reference, but no section is given";
	return NULL;
}

/* A required option asks something of every configuration that has the map around it. So that map must be of this table, and
 * not one that is there anyway: a map of the core's, or an object in it. */
static bool required_fair(const struct vd_opt *table, const char *path)
{
	const char *dot = strrchr(path, '.');
	size_t len = dot ? (size_t)(dot - path) : 0;

	for (const struct vd_opt *o = vd_conf_core_schema; len && o->path; o++)
		if (strlen(o->path) == len && memcmp(o->path, path, len) == 0)
			return false;
	for (const struct vd_opt *o = table; len && o->path; o++)
		if (strlen(o->path) == len && memcmp(o->path, path, len) == 0)
			return true;
	return false;
}

static int bad(struct vd_error *err, const char *name, size_t row, const struct vd_opt *o, const char *why)
{
	return vd_error_set(err, -ENOEXEC, "%s has a bad option table: row %zu (%.127s): %s", name, row, o->path, why);
}

/* Defaults are values like any other: a table whose defaults do not parse makes every configuration wrong. */
static int defaults_good(const struct vd_opt *table, const char *name, struct vd_error *err)
{
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	int r = 0;

	if (vd_conf_parse_text("", "", NULL, &table, 1, &conf, &errs) < 0 || errs.n_errors)
		r = vd_error_set(err, -ENOEXEC, "%s has a bad option table: %.200s", name, errs.n ? errs.v[0].text : "out of memory");
	vd_conf_errors_free(&errs);
	vd_conf_unref(conf);
	return r;
}

int vd_plugin_schema_check(const struct vd_opt *table, const char *name, struct vd_error *err)
{
	char text[64];
	const char *why;

	for (size_t i = 0; table && table[i].path; i++) {
		const struct vd_opt *o = &table[i];

		if (i == ROWS_MAX)
			return vd_error_set(err, -ENOEXEC, "%s has a bad option table: it has no end (a row with a NULL path)", name);
		if (!path_good(o->path))
			return bad(err, name, i + 1, o, "the path is not like section.*.option");
		if ((unsigned)o->type > VD_T_PATH) {
			vd_format(text, sizeof(text), "its type %u is unknown", (unsigned)o->type);
			return bad(err, name, i + 1, o, text);
		}
		if (o->flags & ~ALL_FLAGS) {
			vd_format(text, sizeof(text), "its flags %#x are unknown", o->flags & ~ALL_FLAGS);
			return bad(err, name, i + 1, o, text);
		}
		if (!o->doc || !*o->doc)
			return bad(err, name, i + 1, o, "a sentence of documentation is missing");
		why = arg_wrong(o);
		if (!why && o->flags & VD_OPT_REQUIRED && !required_fair(table, o->path))
			why = "it is required in a map that another part declares, so configurations without it would be wrong";
		if (why)
			return bad(err, name, i + 1, o, why);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(table[k].path, o->path) == 0) {
				vd_format(text, sizeof(text), "the path stands already in row %zu", k + 1);
				return bad(err, name, i + 1, o, text);
			}
		}
	}
	return table ? defaults_good(table, name, err) : 0;
}
