/* Why set-ups failed: the reports that are remembered. */
#include <string.h>

#include "core/control/control_commands.h"
#include "core/report/report.h"

static json_t *report_json(const struct vd_remembered *r)
{
	static char text[65536]; /* control thread only */
	const struct vd_topic *topic = &vd_topic_setup_failed;
	json_t *json = vd_fields_json(topic->fields, topic->n_fields, &r->what, text, sizeof(text)) < 0 ? NULL :
		json_loads(text, 0, NULL);

	if (json) {
		json_object_set_new(json, "time", json_integer((json_int_t)r->last));
		json_object_set_new(json, "first", json_integer((json_int_t)r->first));
		json_object_set_new(json, "count", json_integer((json_int_t)r->count));
	}
	return json;
}

json_t *vd_control_reports(const char *about)
{
	json_t *list = json_array();

	for (const struct vd_remembered *r = vd_report_after(NULL); r; r = vd_report_after(r))
		if (!about || vd_report_is_about(&r->what, about))
			json_array_append_new(list, report_json(r));
	return list;
}

/* What is wrong on this host now may be the reason why a session that is up carries nothing. */
void vd_command_why(struct vd_call *call, json_t *args)
{
	json_t *list = vd_control_reports(json_string_value(json_object_get(args, "about"))), *problems = vd_control_problems(), *p;
	size_t i;

	json_array_foreach(problems, i, p)
		json_object_set_new(p, "kind", json_string("problem"));
	json_array_extend(list, problems);
	json_decref(problems);
	vd_call_reply(call, list);
}
