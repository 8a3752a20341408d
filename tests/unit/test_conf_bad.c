/* One wrong configuration after the other, and the line that tells the person what to do. */
#include "tests/unit/test_conf_common.h"

struct bad {
	const char *yaml, *expected;
};

static const struct bad table[] = {
#include "tests/unit/test_conf_bad.inc"
};

START_TEST(bad)
{
	const struct bad *b = &table[_i];
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char *text;
	int ret;

	fake_init(1);
	setenv("VD_TEST_EMPTY", "", 1);
	make_folder();
	put("good.psk", "a pre-shared key of some length\n", 0600);
	put("open.psk", "a pre-shared key of some length\n", 0644);
	put("empty.psk", "\n", 0600);
	put_folder("folder");
	ret = vd_conf_parse_text(b->yaml, "t.yaml", folder, other_schemas, 1, &conf, &errs);
	text = findings(&errs);
	if (getenv("VD_SHOW"))
		fprintf(stderr, "@@%d %s", _i, text);
	ck_assert_str_eq(text, b->expected);
	ck_assert_int_eq(ret, -22);
	ck_assert_ptr_null(conf);
	free(text);
	vd_conf_errors_free(&errs);
	remove_folder();
	fake_fini();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf_bad");
	TCase *t = tcase_create("bad");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, bad, 0, (int)VD_ARRAY_SIZE(table));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
