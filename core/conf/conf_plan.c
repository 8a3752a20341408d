/* What a reload would change: two configurations compared, option by option, by what their values mean. Pure. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 2000 /* and all that only a restart changes */

struct compare {
	struct vd_plan *plan;
	const char *object; /* all keys belong to this one; NULL: the first two names of the path */
	bool (*served)(const char *path);
};

const char *vd_plan_effect_name(enum vd_plan_effect effect)
{
	static const char *const names[] = { "live", "new sessions", "needs a restart" };

	return names[effect];
}

static void row_free(struct vd_plan_row *row)
{
	free(row->object);
	free(row->key);
	free(row->old);
	free(row->next);
	free(row->note);
}

static struct vd_plan_row *row_add(struct vd_plan *plan, enum vd_plan_effect effect, const char *object, const char *key,
	const char *old, const char *next, const char *note)
{
	struct vd_plan_row *row;

	if (plan->n >= ROWS_MAX && effect != VD_PLAN_RESTART) {
		plan->more++;
		return NULL;
	}
	if (plan->n == plan->size) {
		size_t size = plan->size ? plan->size * 2 : 16;

		row = realloc(plan->v, size * sizeof(*row));
		if (!row)
			goto no_memory;
		plan->v = row;
		plan->size = size;
	}
	row = &plan->v[plan->n];
	memset(row, 0, sizeof(*row));
	row->effect = effect;
	row->object = strdup(object);
	row->key = strdup(key);
	row->old = strdup(old ? old : "-");
	row->next = strdup(next ? next : "-");
	row->note = strdup(note ? note : "");
	if (row->object && row->key && row->old && row->next && row->note) {
		plan->n++;
		return row;
	}
	row_free(row);
no_memory:
	plan->more++;
	plan->no_memory = true;
	return NULL;
}

void vd_plan_add(struct vd_plan *plan, enum vd_plan_effect effect, const char *object, const char *key, const char *old,
	const char *next, const char *note)
{
	row_add(plan, effect, object, key, old, next, note);
}

void vd_plan_free(struct vd_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		row_free(&plan->v[i]);
	free(plan->v);
	memset(plan, 0, sizeof(*plan));
}

void vd_plan_note(struct vd_plan *plan, const char *object, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; plan && i < plan->n; i++) {
		struct vd_plan_row *row = &plan->v[i];
		char *note;

		if (strcmp(row->object, object))
			continue;
		if (asprintf(&note, "%s%s%s", row->note, *row->note ? "; " : "", text) < 0)
			return;
		free(row->note);
		row->note = note;
		return;
	}
}

/* ---- values ---- */
static bool same_scalar(const struct vd_conf_node *a, const struct vd_conf_node *b)
{
	switch (a->opt ? a->opt->type : VD_T_STRING) {
	case VD_T_BOOL:
	case VD_T_UINT:
	case VD_T_DURATION:
	case VD_T_RATE:
		return a->number == b->number;
	case VD_T_ADDR:
		return vd_ip_equal(&a->ip, &b->ip);
	case VD_T_RANGE:
		return vd_ip_equal(&a->ip, &b->ip) && vd_ip_equal(&a->ip_last, &b->ip_last);
	case VD_T_KEY:
		return vd_same(a->digest, b->digest, sizeof(a->digest));
	case VD_T_SECRET:
		return vd_secret_len(a->secret) == vd_secret_len(b->secret) &&
		       vd_same(vd_secret_data(a->secret), vd_secret_data(b->secret), vd_secret_len(a->secret));
	default:
		return !strcmp(a->text ? a->text : "", b->text ? b->text : "");
	}
}

static bool same_value(const struct vd_conf_node *a, const struct vd_conf_node *b)
{
	if (!a || !b)
		return a == b;
	if (a->kind != CONF_LIST || b->kind != CONF_LIST)
		return a->kind == b->kind && same_scalar(a, b);
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!same_scalar(a->items[i], b->items[i]))
			return false;
	return true;
}

/* As in YAML without brackets; malloc'ed. secret: what stands there instead of one. */
static char *value_text(const struct vd_conf_node *v, const char *secret)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out;

	if (!v)
		return strdup("-");
	if (conf_is_secret(v))
		return strdup(secret);
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	if (v->kind == CONF_LIST)
		for (uint32_t i = 0; i < v->n; i++)
			fprintf(out, "%s%s", i ? ", " : "", v->items[i]->text ? v->items[i]->text : "");
	else
		fputs(v->text ? v->text : "", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- the walk ---- */
/* Where the name of the object ends: "pools.staff" has a map of its own, "log" is one itself. */
static const char *object_end(const char *path, const struct vd_opt *opt)
{
	size_t n = strcspn(path, ".");

	if (path[n] && (!opt || (!strncmp(opt->path + n, ".*", 2) && (opt->path[n + 2] || opt->type == VD_T_MAP))))
		n += 1 + strcspn(path + n + 1, ".");
	return path + n;
}

static void add_row(const struct compare *c, enum vd_plan_effect effect, const char *path, const char *old,
	const char *next, bool whole, const struct vd_conf_node *where)
{
	const char *end = object_end(path, where->schema ? where->schema->opt : NULL);
	char object[CONF_PATH_MAX];
	struct vd_plan_row *row;

	vd_format(object, sizeof(object), "%.*s", (int)(end - path), path);
	row = row_add(c->plan, effect, c->object ? c->object : object, c->object ? path : end + (*end == '.'), old, next, NULL);
	if (!row)
		return;
	row->whole = whole;
	vd_conf_origin(where, row->origin, sizeof(row->origin));
}

static bool is_served(const struct compare *c, const struct vd_conf_node *node)
{
	if (!c->served)
		return true;
	if (node->opt && node->opt->type != VD_T_MAP && !c->served(node->opt->path))
		return false;
	for (uint32_t i = 0; node->kind == CONF_MAP && i < node->n; i++)
		if (!is_served(c, node->items[i]))
			return false;
	return true;
}

static enum vd_plan_effect effect_of(const struct compare *c, const struct vd_opt *opt)
{
	if (opt->flags & VD_OPT_RESTART || (c->served && !c->served(opt->path)))
		return VD_PLAN_RESTART;
	if (opt->flags & VD_OPT_LIVE)
		return VD_PLAN_LIVE;
	return c->object || opt->flags & VD_OPT_KNOB || strchr(opt->path, '*') ? VD_PLAN_NEW : VD_PLAN_RESTART;
}

static void compare_leaf(const struct compare *c, const struct conf_schema *s, const struct vd_conf_node *a,
	const struct vd_conf_node *b, const char *path)
{
	const struct vd_conf_node *x = a ? a : s->def, *y = b ? b : s->def;
	char *old, *next;

	if (same_value(x, y))
		return;
	old = value_text(x, "(secret)");
	next = value_text(y, x ? "(changed)" : "(secret)");
	if (old && next)
		add_row(c, effect_of(c, s->opt), path, old, next, false, b ? b : a);
	else
		c->plan->no_memory = true;
	free(old);
	free(next);
}

static void compare(const struct compare *c, const struct conf_schema *s, const struct vd_conf_node *a,
	const struct vd_conf_node *b, const char *path);

/* Objects by their names; s is that of "*" below map. */
static void compare_names(const struct compare *c, const struct conf_schema *map, const struct conf_schema *s,
	const struct vd_conf_node *a, const struct vd_conf_node *b, const char *path)
{
	char sub[CONF_PATH_MAX];
	bool leaf = !conf_schema_is_map(s);

	for (uint32_t i = 0; a && i < a->n; i++) {
		struct vd_conf_node *x = a->items[i], *y = conf_node_find(b, x->name);

		if (conf_schema_find(map, x->name) != s)
			continue;
		vd_format(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", x->name);
		if (y || leaf)
			compare(c, s, x, y, sub);
		else
			add_row(c, is_served(c, x) ? VD_PLAN_LIVE : VD_PLAN_RESTART, sub, "there", "removed", true, x);
	}
	for (uint32_t i = 0; b && i < b->n; i++) {
		struct vd_conf_node *y = b->items[i];

		if (conf_schema_find(map, y->name) != s || conf_node_find(a, y->name))
			continue;
		vd_format(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", y->name);
		if (leaf)
			compare(c, s, NULL, y, sub);
		else
			add_row(c, is_served(c, y) ? VD_PLAN_LIVE : VD_PLAN_RESTART, sub, NULL, "added", true, y);
	}
}

static void compare(const struct compare *c, const struct conf_schema *s, const struct vd_conf_node *a,
	const struct vd_conf_node *b, const char *path)
{
	char sub[CONF_PATH_MAX];

	if (!conf_schema_is_map(s)) {
		compare_leaf(c, s, a, b, path);
		return;
	}
	for (const struct conf_schema *k = s->child; k; k = k->next) {
		if (!strcmp(k->name, "*")) {
			compare_names(c, s, k, a, b, path);
			continue;
		}
		vd_format(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "", k->name);
		if (conf_node_find(a, k->name) || conf_node_find(b, k->name))
			compare(c, k, conf_node_find(a, k->name), conf_node_find(b, k->name), sub);
	}
}

void vd_plan_make(struct vd_plan *plan, const struct vd_conf *old, const struct vd_conf *next,
	bool (*served)(const char *path))
{
	struct compare c = { .plan = plan, .served = served };

	compare(&c, next->schema, old->root, next->root, "");
}

void vd_plan_compare(struct vd_plan *plan, const char *object, const struct vd_conf *old, const struct vd_conf *next)
{
	struct compare c = { .plan = plan, .object = object };

	if (plan)
		compare(&c, next->schema, old->root, next->root, "");
}
