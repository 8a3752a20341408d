/* Control socket: another configuration, or what it would be. */
#include <string.h>

#include "core/control/control_commands.h"
#include "core/reload.h"

static json_t *findings(const struct vd_conf_errors *errs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errs->n; i++) {
		const struct vd_conf_error *e = &errs->v[i];

		json_array_append_new(list, json_pack("{s:o,s:i,s:i,s:o,s:o}", "file", vd_text_json(e->file), "line", (int)e->line, "column",
			(int)e->column, "level", vd_text_json(e->warning ? "warning" : "error"), "text", vd_text_json(e->text)));
	}
	return list;
}

static json_t *changes(const struct vd_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct vd_plan_row *row = &plan->v[i];

		json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "object", vd_text_json(row->object), "key", vd_text_json(row->key),
			"old", vd_text_json(row->old), "new", vd_text_json(row->next), "effect", vd_text_json(vd_plan_effect_name(row->effect)), "note", vd_text_json(row->note),
			"from", vd_text_json(row->origin)));
	}
	return list;
}

static void command(struct vd_call *call, bool plan_only, bool with_plan)
{
	struct vd_reloaded r;
	json_t *out;
	int res = vd_reload(vd_control_dir(), plan_only, &r);

	out = json_pack("{s:b,s:o,s:o}", "good", res == 0, "configuration", vd_text_json(vd_control_dir()), "findings", findings(&r.errs));
	if (with_plan && out) {
		json_object_set_new(out, "done", json_boolean(r.done));
		json_object_set_new(out, "changes", changes(&r.plan));
		json_object_set_new(out, "more", json_integer((json_int_t)r.plan.more));
	}
	vd_reloaded_free(&r);
	vd_call_reply(call, out);
}

void vd_command_check(struct vd_call *call, json_t *args)
{
	(void)args;
	command(call, true, false);
}

void vd_command_reload(struct vd_call *call, json_t *args)
{
	command(call, json_is_true(json_object_get(args, "plan")), true);
}
