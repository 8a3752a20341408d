/* Reload. The order matters: everything that can fail comes before the first thing that changes. */
#include "core/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>

#include "core/connect/connect.h"
#include "core/log.h"
#include "core/log_watch.h"
#include "core/log_area.h"
#include "core/plugin.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "core/system/keep.h"

#define KEPT_MAX 16 /* old configurations; the oldest goes before its time, and what was begun under it fails */

static struct {
	const struct vd_conf *v[KEPT_MAX];
	uint64_t until[KEPT_MAX];
	size_t n;
	struct vd_timer timer;
	bool timer_ready, log_everything;
} kept;

/* ---- old configurations ---- */
static void kept_drop_first(void)
{
	vd_conf_unref(kept.v[0]);
	kept.n--;
	memmove(kept.v, kept.v + 1, kept.n * sizeof(kept.v[0]));
	memmove(kept.until, kept.until + 1, kept.n * sizeof(kept.until[0]));
}

static void kept_expire(struct vd_timer *timer)
{
	while (kept.n && kept.until[0] <= vd_now())
		kept_drop_first();
	if (kept.n)
		vd_timer_start(timer, kept.until[0] - vd_now());
}

static void kept_add(const struct vd_conf *conf)
{
	if (!kept.timer_ready)
		vd_timer_init(&kept.timer, kept_expire);
	kept.timer_ready = true;
	if (kept.n == KEPT_MAX)
		kept_drop_first();
	kept.v[kept.n] = vd_conf_ref(conf);
	kept.until[kept.n++] = vd_now() + VD_RELOAD_GRACE_MS;
	if (!vd_timer_armed(&kept.timer))
		vd_timer_start(&kept.timer, VD_RELOAD_GRACE_MS);
}

void vd_reload_fini(void)
{
	while (kept.n)
		kept_drop_first();
	if (kept.timer_ready)
		vd_timer_stop(&kept.timer);
	kept.timer_ready = false;
}

/* ---- what it means ---- */
void vd_reload_ask(struct vd_plan *plan, struct vd_conf_errors *errs)
{
	const struct vd_conf_node *names = vd_conf_at(vd_conf_current(), NULL, "plugins");
	struct vd_conf_errors *before = vd_conf_judge(errs);

	for (size_t i = 0; i < vd_conf_count(names); i++)
		if (!vd_plugin_find(vd_conf_name(vd_conf_nth(names, i))))
			vd_check_warning(vd_conf_nth(names, i), "no plugin %s is installed; viaductctl plugin list shows all",
				vd_conf_name(vd_conf_nth(names, i)));
	vd_log_areas_check();
	vd_conf_judge_values(vd_conf_current());
	vd_conf_judge(before);
	vd_plugins_check(plan, errs);
}

static void plugin_differs(void *arg, const struct vd_host *host, const char *why)
{
	vd_plan_add(arg, VD_PLAN_RESTART, "plugins", host->plugin->name, why ? "not loaded" : "loaded",
		why ? "loaded" : "not needed", why);
}

static size_t sessions_of(const char *connection, const char *user)
{
	size_t n = 0;

	for (struct vd_session *s = NULL; (s = vd_session_after(s));)
		n += s->state != VD_S_GONE && (!connection || !strcmp(s->connection, connection)) &&
		     (!user || (s->proven && !strcmp(s->user, user)));
	return n;
}

/* Sessions outlive what they were made by. */
static void tell_sessions(struct vd_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct vd_plan_row *row = &plan->v[i];
		const char *connection = strncmp(row->object, "connections.", 12) ? NULL : row->object + 12;
		const char *user = strncmp(row->object, "users.", 6) ? NULL : row->key;
		size_t n = 0;
		char text[96];

		if (row->whole && strcmp(row->next, "removed") == 0 && !*row->note && ((connection && !*row->key) || (user && *user)))
			n = sessions_of(connection, user);
		if (!n)
			continue;
		vd_format(text, sizeof(text), "%zu session%s of it stay%s until %s", n, n > 1 ? "s" : "", n > 1 ? "" : "s",
			n > 1 ? "they end" : "it ends");
		free(row->note);
		row->note = strdup(text);
		plan->no_memory |= !row->note;
	}
}

static int load(const char *dir, struct vd_conf **ret, struct vd_conf_errors *errs)
{
	size_t n = 0;
	const struct vd_opt **schemas = vd_plugins_schemas(&n);
	const char **words = vd_plugins_accept_words();
	int r = schemas && words ? vd_conf_load_dir(dir, schemas, n, words, ret, errs) : -ENOMEM;

	free(schemas);
	free(words);
	if (r < 0 && !errs->n_errors)
		vd_conf_errors_add(errs, false, dir, 0, 0, "cannot be loaded: %s", strerror(-r));
	return r;
}

/* Compares, and asks everybody, with the new one in the place of the old one for as long as that takes. */
static void judge(struct vd_conf *conf, struct vd_reloaded *ret)
{
	struct vd_conf *old;

	vd_plan_make(&ret->plan, vd_conf_current(), conf, vd_plugins_serve);
	vd_plugins_differ(conf, plugin_differs, &ret->plan, NULL); /* what is missing is said by vd_reload_ask */
	old = vd_conf_swap(conf);
	vd_reload_ask(&ret->plan, &ret->errs);
	vd_conf_swap(old);
	tell_sessions(&ret->plan);
	if (ret->plan.no_memory)
		vd_conf_errors_add(&ret->errs, false, NULL, 0, 0, "out of memory");
}

int vd_reload(const char *dir, bool plan_only, struct vd_reloaded *ret)
{
	struct vd_conf *conf = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = load(dir, &conf, &ret->errs);
	if (r < 0)
		return r;
	judge(conf, ret);
	r = ret->errs.n_errors ? -EINVAL : 0;
	if (r == 0 && !plan_only && vd_conf_keep(conf, vd_conf_current(), &ret->plan) < 0) {
		vd_conf_errors_add(&ret->errs, false, NULL, 0, 0, "out of memory");
		r = -ENOMEM;
	}
	if (r < 0)
		vd_plan_free(&ret->plan);
	if (r < 0 || plan_only) {
		vd_conf_unref(conf);
		return r;
	}
	kept_add(vd_conf_current());
	vd_conf_install(conf);
	vd_plugins_reload();
	vd_keep_compare(); /* also what no word came about */
	vd_reload_log_levels(false);
	if (vd_connect_start() < 0)
		vd_log(VD_LOG_ERROR, "reload", NULL, "no memory for the connections that we dial");
	ret->done = true;
	return 0;
}

void vd_reloaded_free(struct vd_reloaded *r)
{
	vd_conf_errors_free(&r->errs);
	vd_plan_free(&r->plan);
}

static size_t restarts(const struct vd_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->v[i].effect == VD_PLAN_RESTART;
	return n;
}

void vd_reload_logged(const char *dir)
{
	struct vd_reloaded r;
	int res = vd_reload(dir, false, &r);

	for (size_t i = 0; i < r.errs.n; i++) {
		const struct vd_conf_error *e = &r.errs.v[i];
		char at[600];

		vd_conf_error_where(e, at, sizeof(at));
		vd_log(e->warning ? VD_LOG_WARNING : VD_LOG_ERROR, "reload", NULL, "%s: %s", at, e->text);
	}
	for (size_t i = 0; i < r.plan.n; i++) {
		const struct vd_plan_row *row = &r.plan.v[i];

		vd_log(VD_LOG_INFO, "reload", NULL, "%s%s%s: %s -> %s (%s)%s%s", row->object, *row->key ? "." : "", row->key,
			row->old, row->next, vd_plan_effect_name(row->effect), *row->note ? ": " : "", row->note);
	}
	if (res < 0)
		vd_log(VD_LOG_ERROR, "reload", NULL, "the configuration in %s has %zu errors; the old one stays in force", dir,
			r.errs.n_errors);
	else
		vd_log(VD_LOG_NOTICE, "reload", NULL, "%s is in force: %zu changes, %zu of them need a restart", dir,
			r.plan.n + r.plan.more, restarts(&r.plan));
	vd_reloaded_free(&r);
}

void vd_reload_log_levels(bool everything)
{
	const struct vd_conf_node *areas = vd_conf_at(vd_conf_current(), NULL, "log.areas");
	enum vd_log_level level;

	kept.log_everything |= everything;
	vd_log_clear_areas();
	if (vd_log_level_parse(vd_conf_str(vd_conf_at(vd_conf_current(), NULL, "log.level")), &level) == 0)
		vd_log_set_level(kept.log_everything ? VD_LOG_DEBUG : level);
	for (size_t i = 0; !kept.log_everything && i < vd_conf_count(areas); i++) {
		const struct vd_conf_node *node = vd_conf_nth(areas, i);

		if (vd_log_level_parse(vd_conf_str(node), &level) == 0)
			vd_log_set_area(vd_conf_name(node), level);
	}
	vd_log_watch_conf();
}
