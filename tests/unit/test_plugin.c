/* Services and the descriptor's checks. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/plugin.h"
#include "tests/lib/fake.h"

static int inits, finis;
static int table_a, table_b;

static int good_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)err;
	inits++;
	*ret_self = &inits;
	return vd_service_provide(host, "good/1", NULL, &table_a);
}

static void good_fini(void *self)
{
	ck_assert_ptr_eq(self, &inits);
	finis++;
}

VD_PLUGIN(good, .version = "1", .init = good_init, .fini = good_fini);

static int bad_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)ret_self;
	ck_assert_int_eq(vd_service_provide(host, "bad/1", NULL, &table_a), 0);
	return vd_error_set(err, -EINVAL, "it is Monday");
}

VD_PLUGIN(bad, .version = "1", .init = bad_init);

START_TEST(life_of_a_plugin)
{
	struct vd_host *h;
	struct vd_error err;

	for (int i = 1; i <= 2; i++) {
		fake_plugin_start(&good_LTX_vd_plugin);
		ck_assert_int_eq(inits, i);
		ck_assert_ptr_eq(vd_service_find("good/1", NULL), &table_a);
		fake_plugin_stop(&good_LTX_vd_plugin);
		ck_assert_int_eq(finis, i);
		ck_assert_ptr_null(vd_service_find("good/1", NULL));
	}
	h = vd_plugin_preload(&bad_LTX_vd_plugin, &err);
	ck_assert_ptr_nonnull(h);
	ck_assert_int_eq(vd_host_init(h, &err), -EINVAL);
	ck_assert_str_eq(err.text, "plugin bad cannot be initialised: it is Monday");
	ck_assert_ptr_null(vd_service_find("bad/1", NULL));
}
END_TEST

START_TEST(variants)
{
	fake_service("ppp.auth/1", "mschapv2", &table_b);
	fake_service("ppp.auth/1", "chap", &table_a);
	ck_assert_ptr_eq(vd_service_find("ppp.auth/1", "mschapv2"), &table_b);
	ck_assert_ptr_eq(vd_service_find("ppp.auth/1", NULL), &table_a); /* the first variant by name, whatever came first */
	ck_assert_ptr_null(vd_service_find("ppp.auth/2", NULL));
	ck_assert_ptr_null(vd_service_find("ppp.auth/1", "pap"));
	ck_assert_int_eq(vd_service_provide(NULL, "ppp.auth/1", "chap", &table_b), -EEXIST);
}
END_TEST

START_TEST(refusals_name_the_field)
{
	struct vd_plugin p = good_LTX_vd_plugin;
	struct vd_error err;

	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), 0);
	p.magic = 0;
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "good is not a Viaduct plugin (magic 00000000)");
	p = good_LTX_vd_plugin;
	p.abi_major++;
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "good was built for plugin ABI 2, this is 1; rebuild it against the headers of this version");
	p = good_LTX_vd_plugin;
	p.abi_minor++;
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "good needs plugin ABI 1.1, this is 1.0; update Viaduct");
	p = good_LTX_vd_plugin;
	p.abi_hash ^= 1;
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(err.text, "rebuild it against the installed headers"));
	p = good_LTX_vd_plugin;
	p.build_id = "other";
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(err.text, "good is of another build (build_id other, here "));
	ck_assert_int_eq(vd_plugin_check(&p, "good", false, &err), 0); /* a third party's */
	ck_assert_int_eq(vd_plugin_check(&p, "better", false, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "better calls itself good; the file must be named after the plugin");
}
END_TEST

static void setup(void)
{
	inits = finis = 0;
	fake_init(1);
}

int main(void)
{
	Suite *s = suite_create("plugin");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, fake_fini);
	tcase_add_test(tc, life_of_a_plugin);
	tcase_add_test(tc, variants);
	tcase_add_test(tc, refusals_name_the_field);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
