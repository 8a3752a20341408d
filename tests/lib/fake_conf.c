#include <check.h>
#include <stdlib.h>

#include "core/conf/conf.h"
#include "tests/lib/fake.h"

void fake_conf(const char *yaml, const struct vd_plugin *const *plugins, const char *dir)
{
	const struct vd_opt *schemas[64];
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char text[1024];
	size_t n = 0;

	for (size_t i = 0; plugins && plugins[i] && n < VD_ARRAY_SIZE(schemas); i++)
		if (plugins[i]->schema)
			schemas[n++] = plugins[i]->schema;
	ck_assert_msg(vd_conf_parse_text(yaml, "test.yaml", dir, schemas, n, &conf, &errs) == 0, "%s",
		vd_conf_errors_first(&errs, text, sizeof(text)));
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
}

void fake_conf_fini(void)
{
	vd_conf_install(NULL);
}
