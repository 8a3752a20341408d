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

static void nothing(void *arg, const void *event)
{
	(void)arg;
	(void)event;
}

static void no_answer(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	(void)ask;
}

static int typo_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)ret_self;
	(void)err;
	return vd_event_subscribe(host, "sesion_up", nothing, NULL);
}

static int swapped_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)ret_self;
	(void)err;
	return vd_provide(host, "session_up", "x", no_answer, NULL, NULL);
}

VD_PLUGIN(typo, .version = "1", .init = typo_init);
VD_PLUGIN(swapped, .version = "1", .init = swapped_init);

/* What the bus refused is said with the topic's name, not as "No such file or directory". */
START_TEST(topics_that_are_not_there)
{
	struct vd_error err;

	ck_assert_int_eq(vd_host_init(vd_plugin_preload(&typo_LTX_vd_plugin, &err), &err), -ENOENT);
	ck_assert_str_eq(err.text, "plugin typo cannot be initialised: there is no event sesion_up; did you mean `session_up`?");
	ck_assert_int_eq(vd_host_init(vd_plugin_preload(&swapped_LTX_vd_plugin, &err), &err), -ENOENT);
	ck_assert_str_eq(err.text, "plugin swapped cannot be initialised: session_up is an event, not a request: subscribe to it");
}
END_TEST

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
	ck_assert_str_eq(err.text, "good was built for plugin ABI 3, this is 2; rebuild it against the headers of this version");
	p = good_LTX_vd_plugin;
	p.abi_minor++;
	ck_assert_int_eq(vd_plugin_check(&p, "good", true, &err), -ENOEXEC);
	ck_assert_str_eq(err.text, "good needs plugin ABI 2.1, this is 2.0; update Viaduct");
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

/* ---- choosing by the configuration ---- */
static const char *const l2tp_provides[] = { "accept/l2tp", "l2tp/1", NULL }, *const l2tp_needs[] = { "ike/1", "link/1", NULL };
static const char *const ike_provides[] = { "ike/1", NULL }, *const ike_needs[] = { "esp/1", NULL };
static const char *const esp_a_provides[] = { "esp/1", NULL };
static const char *const link_provides[] = { "link/1", NULL }, *const link_needs[] = { "inner/1", NULL };
static const char *const tun_provides[] = { "inner/1", NULL }, *const circle_needs[] = { "link/1", NULL };
static const struct vd_opt pool_schema[] = { { "pool2.*", VD_T_MAP, 0, NULL, NULL, "x" }, { NULL } };
static const struct vd_opt nat_schema[] = {
	{ "connections.*.egress", VD_T_WORD, 0, "none", "none|masquerade", "x" }, { NULL } };
static const struct vd_opt esp_schema[] = { { "esp_b", VD_T_MAP, 0, NULL, NULL, "x" }, { NULL } };

VD_PLUGIN(c_l2tp, .provides = l2tp_provides, .needs = l2tp_needs);
VD_PLUGIN(c_ike, .provides = ike_provides, .needs = ike_needs);
VD_PLUGIN(c_esp_a, .provides = esp_a_provides);
VD_PLUGIN(c_esp_b, .provides = esp_a_provides, .schema = esp_schema);
VD_PLUGIN(c_link, .provides = link_provides, .needs = link_needs);
VD_PLUGIN(c_tun, .provides = tun_provides);
VD_PLUGIN(c_circle, .provides = tun_provides, .needs = circle_needs);
VD_PLUGIN(c_pool, .schema = pool_schema);
VD_PLUGIN(c_nat, .schema = nat_schema);
static const struct vd_opt sink_schema[] = { { "log.sink", VD_T_MAP, 0, NULL, NULL, "x" },
	{ "log.sink.path", VD_T_STRING, 0, "here", NULL, "x" }, { NULL } };
VD_PLUGIN(c_sink, .schema = sink_schema);

/* One service with variants, which the words of an option name. */
static const char *const md5_provides[] = { "auth/1", "auth.list=md5", NULL };
static const char *const strong_provides[] = { "auth/1", "auth.list=strong", NULL };
static const char *const asks_needs[] = { "auth.list=strong", "auth/1", NULL };
static const struct vd_opt asks_schema[] = { { "auth", VD_T_MAP, 0, NULL, NULL, "x" },
	{ "auth.list", VD_T_WORD, VD_OPT_LIST, NULL, "md5|strong", "x" },
	{ "connections.*.auth.list", VD_T_WORD, VD_OPT_LIST, NULL, "md5|strong", "x" }, { NULL } };
VD_PLUGIN(c_asks, .needs = asks_needs, .schema = asks_schema);
VD_PLUGIN(c_md5, .provides = md5_provides);
VD_PLUGIN(c_strong, .provides = strong_provides);

static const struct vd_plugin *const choice[] = { &c_l2tp_LTX_vd_plugin, &c_ike_LTX_vd_plugin, &c_esp_a_LTX_vd_plugin,
	&c_esp_b_LTX_vd_plugin, &c_link_LTX_vd_plugin, &c_tun_LTX_vd_plugin, &c_circle_LTX_vd_plugin, &c_pool_LTX_vd_plugin,
	&c_nat_LTX_vd_plugin, &c_sink_LTX_vd_plugin, &c_asks_LTX_vd_plugin, &c_md5_LTX_vd_plugin, &c_strong_LTX_vd_plugin, NULL };

/* The chosen, in the order of starting. */
static const char *chosen(const char *yaml)
{
	static char out[512];
	struct vd_error err = { 0 };

	fake_conf(yaml, choice, NULL);
	for (size_t i = 0; choice[i]; i++)
		ck_assert_ptr_nonnull(vd_plugin_preload(choice[i], &err));
	out[0] = '\0';
	if (vd_plugins_choose(vd_conf_current(), &err) < 0) {
		vd_strcpy(out, sizeof(out), err.text);
	} else {
		for (unsigned n = 1;; n++) {
			struct vd_host *h = vd_plugins_first();

			while (h && h->order != n)
				h = h->next;
			if (!h)
				break;
			vd_format(out + strlen(out), sizeof(out) - strlen(out), "%s%s", n > 1 ? " " : "", h->plugin->name + 2);
		}
	}
	fake_conf_fini();
	return out;
}

START_TEST(chosen_by_need_in_order_of_need)
{
	/* nothing asks for anything */
	ck_assert_str_eq(chosen("gateway: { name: a }\nplugins: { c_circle: off }"), "");
	/* a connection's word pulls in what it needs, providers before their users; c_esp_a is the first by name */
	ck_assert_str_eq(chosen("connections: { x: { accept: [l2tp] } }\nplugins: { c_circle: off }"),
		"esp_a ike tun link l2tp");
	/* one that is wanted anyway is taken, and is not joined by the other */
	ck_assert_str_eq(chosen("connections: { x: { accept: [l2tp] } }\nesp_b: {}\nplugins: { c_circle: off }"),
		"esp_b ike tun link l2tp");
	/* a section of its own, an option below a connection, and the switch */
	ck_assert_str_eq(chosen("pool2: { a: {} }\nplugins: { c_circle: off }"), "pool");
	ck_assert_str_eq(chosen("connections: { x: { accept: [], egress: masquerade } }\nplugins: { c_circle: off }"), "nat");
	/* a part of a section of the core */
	ck_assert_str_eq(chosen("log: { level: info }\nplugins: { c_circle: off }"), "");
	ck_assert_str_eq(chosen("log: { sink: {} }\nplugins: { c_circle: off }"), "sink");
	ck_assert_str_eq(chosen("log: { sink: { path: z } }\nplugins: { c_circle: off }"), "sink");
	ck_assert_str_eq(chosen("plugins: { c_tun: on, c_circle: off }"), "tun");
	ck_assert_str_eq(chosen("pool2: { a: {} }\nplugins: { c_pool: off }"), "");
}
END_TEST

START_TEST(named_by_an_option)
{
	/* nobody names one: the one that is needed by name alone */
	ck_assert_str_eq(chosen("auth: {}\nplugins: { c_circle: off }"), "strong asks");
	/* named anywhere, all are there before who needs them */
	ck_assert_str_eq(chosen("auth: { list: [md5] }\nplugins: { c_circle: off }"), "strong md5 asks");
	ck_assert_str_eq(chosen("connections: { x: { accept: [] }, z: { accept: [], auth: { list: [strong, md5] } } }\n"
		"plugins: { c_circle: off }"), "strong md5 asks");
	ck_assert_str_eq(chosen("connections: { z: { accept: [], auth: { list: md5 } } }\nplugins: { c_circle: off, c_md5: off }"),
		"strong asks");
	ck_assert_str_eq(chosen("auth: {}\nplugins: { c_circle: off, c_strong: off }"),
		"plugin c_asks needs auth.list=strong, which no plugin provides; is one switched off or not installed?");
}
END_TEST

START_TEST(unmet_needs_and_circles_are_told)
{
	ck_assert_str_eq(chosen("connections: { x: { accept: [l2tp] } }\nplugins: { c_tun: off, c_circle: off }"),
		"plugin c_link needs inner/1, which no plugin provides; is one switched off or not installed?");
	ck_assert_str_eq(chosen("connections: { x: { accept: [l2tp] } }\nplugins: { c_tun: off }"),
		"plugins need each other in a circle: c_link <- c_circle <- c_link <- c_l2tp");
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
	tcase_add_test(tc, topics_that_are_not_there);
	tcase_add_test(tc, variants);
	tcase_add_test(tc, refusals_name_the_field);
	tcase_add_test(tc, chosen_by_need_in_order_of_need);
	tcase_add_test(tc, named_by_an_option);
	tcase_add_test(tc, unmet_needs_and_circles_are_told);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
