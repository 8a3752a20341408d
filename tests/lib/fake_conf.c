#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf/conf.h"
#include "tests/lib/fake.h"

static bool keep;
static struct vd_conf *kept;
static const char *kept_yaml;

void fake_conf_keep(void)
{
	keep = true;
}

void fake_conf(const char *yaml, const struct vd_plugin *const *plugins, const char *dir)
{
	const struct vd_opt *schemas[64];
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char text[1024];
	size_t n = 0;

	if (kept && kept_yaml == yaml) {
		vd_conf_ref(kept);
		vd_conf_install(kept);
		return;
	}
	for (size_t i = 0; plugins && plugins[i] && n < VD_ARRAY_SIZE(schemas); i++)
		if (plugins[i]->schema)
			schemas[n++] = plugins[i]->schema;
	ck_assert_msg(vd_conf_parse_text(yaml, "test.yaml", dir, schemas, n, &conf, &errs) == 0, "%s",
		vd_conf_errors_first(&errs, text, sizeof(text)));
	vd_conf_errors_free(&errs);
	if (keep) {
		vd_conf_unref(kept);
		vd_conf_ref(conf);
		kept = conf;
		kept_yaml = yaml;
	}
	vd_conf_install(conf);
}

void fake_conf_fini(void)
{
	vd_conf_install(NULL);
}
