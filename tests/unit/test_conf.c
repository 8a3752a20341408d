/* The whole example of the documentation, folders, getters, defaults, knobs, extends, dumps; and mutations of it all. */
#include "tests/unit/test_conf_common.h"

#include <errno.h>

static const char main_yaml[] = "gateway:\n"
				"  name: vpn.example.com\n"
				"  listen: [203.0.113.10, \"2001:db8::10\"]\n"
				"  certificate: !file tls/vpn.example.com.pem\n"
				"  private_key: !file secrets/vpn.key\n";
static const char radius_yaml[] = "radius:\n"
				  "  nps1: { address: 10.1.0.21, secret: !file ../secrets/nps1 }\n"
				  "  nps2: { address: 10.1.0.22, secret: !file ../secrets/nps2 }\n\n"
				  "realms:\n"
				  "  corp:\n"
				  "    authenticate: [radius/nps1, radius/nps2]\n"
				  "    account: [radius/nps1, radius/nps2]\n"
				  "    eap: relay\n";
static const char staff_yaml[] = "pools:\n"
				 "  staff: { range: 10.8.0.10-10.8.3.250, dns: [10.1.0.53], search: [corp.example.com] }\n\n"
				 "connections:\n"
				 "  staff:\n"
				 "    accept: [ikev2, l2tp]\n"
				 "    realm: corp\n"
				 "    pool: staff\n"
				 "    routes: [10.1.0.0/16, 10.2.0.0/16]\n"
				 "    second_login: replace\n"
				 "    ikev2: { auth: eap }\n"
				 "    l2tp:  { auth: psk, psk: !file ../secrets/staff.psk }\n";
static const char devices_yaml[] = "users:\n"
				   "  devices: { file: ../users/devices.yaml }\n\n"
				   "realms:\n"
				   "  devices: { authenticate: [users/devices] }\n\n"
				   "pools:\n"
				   "  devices: { range: 10.9.0.2-10.9.0.250, dns: [9.9.9.9] }\n\n"
				   "connections:\n"
				   "  devices:\n"
				   "    accept: [l2tp]\n"
				   "    realm: devices\n"
				   "    pool: devices\n"
				   "    routes: all\n"
				   "    egress: masquerade\n"
				   "    crypto: legacy\n"
				   "    l2tp: { auth: psk, psk: !file ../secrets/devices.psk, hello: 90s }\n";
static const char berlin_yaml[] = "connections:\n"
				  "  berlin:\n"
				  "    connect: [ikev2]\n"
				  "    peer: berlin.example.com\n"
				  "    start: boot\n"
				  "    crypto: modern\n"
				  "    ikev2: { auth: psk, psk: !file ../secrets/berlin.psk, id: vpn.example.com, "
				  "peer_id: berlin.example.com }\n"
				  "    networks:\n"
				  "      office: { local: 10.1.0.0/16, remote: 10.40.0.0/16 }\n"
				  "      phones: { local: 10.5.0.0/24, remote: 10.41.0.0/24 }\n";
static const char *const words[] = { "ikev2", "authenticate/pools", "l2tp", "authenticate/users", NULL };

static void setup(void)
{
	fake_init(7);
	make_folder();
	put_folder("secrets");
	put_folder("conf.d");
	put("secrets/vpn.key", "key\n", 0600);
	put("secrets/nps1", "octets of nps1\n", 0600);
	put("secrets/nps2", "octets of nps2", 0640);
	put("secrets/staff.psk", "octets of the staff\n", 0600);
	put("secrets/devices.psk", "octets of devices\n", 0600);
	put("secrets/berlin.psk", "octets of berlin\n", 0600);
	put("viaduct.yaml", main_yaml, 0644);
	put("conf.d/20-radius.yaml", radius_yaml, 0644);
	put("conf.d/30-staff.yaml", staff_yaml, 0644);
	put("conf.d/40-devices.yaml", devices_yaml, 0644);
	put("conf.d/50-berlin.yaml", berlin_yaml, 0644);
}

static void teardown(void)
{
	vd_conf_install(NULL);
	remove_folder();
	fake_fini();
}

static struct vd_conf *load(const char *expected)
{
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char *text;

	vd_conf_load_dir(folder, other_schemas, 1, words, &conf, &errs);
	text = findings(&errs);
	ck_assert_str_eq(text, expected);
	free(text);
	vd_conf_errors_free(&errs);
	return conf;
}

static struct vd_conf *parse(const char *yaml)
{
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char *text;

	vd_conf_parse_text(yaml, "t.yaml", folder, other_schemas, 1, &conf, &errs);
	text = findings(&errs);
	ck_assert_msg(errs.n_errors == 0, "%s", text); /* fragments are full of what nobody uses */
	free(text);
	vd_conf_errors_free(&errs);
	return conf;
}

START_TEST(example)
{
	struct vd_conf *conf = load("");
	const struct vd_conf_node *staff, *n;
	struct vd_prefix prefix;
	struct vd_ip ip, last;
	char at[128], path[256];

	ck_assert_ptr_nonnull(conf);
	vd_conf_install(conf);
	ck_assert_ptr_eq(vd_conf_current(), conf);
	staff = vd_conf_at(conf, NULL, "connections.staff");
	ck_assert_str_eq(vd_conf_origin(staff, at, sizeof(at)), "30-staff.yaml:5");
	n = vd_conf_at(conf, staff, "routes");
	ck_assert_uint_eq(vd_conf_count(n), 2);
	ck_assert(vd_prefix_parse("10.2.0.0/16", &prefix));
	ck_assert(vd_ip_equal(&vd_conf_prefix(vd_conf_nth(n, 1))->ip, &prefix.ip));
	ck_assert_uint_eq(vd_conf_prefix(vd_conf_nth(n, 1))->len, 16);
	n = vd_conf_at(conf, NULL, "connections.devices.routes");
	ck_assert_ptr_null(vd_conf_prefix(n));
	ck_assert_str_eq(vd_conf_str(n), "all");
	ck_assert_str_eq(vd_conf_str(vd_conf_at(conf, NULL, "realms.devices.authenticate")), "users/devices");
	snprintf(path, sizeof(path), "%s/users/devices.yaml", folder);
	ck_assert_str_eq(vd_conf_str(vd_conf_at(conf, NULL, "users.devices.file")), path);
	ck_assert(vd_conf_range(vd_conf_at(conf, NULL, "pools.staff.range"), &ip, &last));
	ck_assert_uint_eq(vd_ip_u32(&ip), 0x0a08000a);
	ck_assert_uint_eq(vd_ip_u32(&last), 0x0a0803fa);
	n = vd_conf_at(conf, NULL, "radius.nps1.secret");
	ck_assert_uint_eq(vd_secret_len(vd_conf_secret(n)), 14);
	ck_assert_mem_eq(vd_secret_data(vd_conf_secret(n)), "octets of nps1", 14);
	ck_assert_uint_ne(vd_conf_key(vd_conf_at(conf, staff, "l2tp.psk")), 0);
	ck_assert_uint_ne(vd_conf_key(vd_conf_at(conf, staff, "l2tp.psk")),
		vd_conf_key(vd_conf_at(conf, NULL, "connections.devices.l2tp.psk")));
	/* Defaults, and knobs: the connection, the section, the default. */
	n = vd_conf_at(conf, NULL, "connections.berlin.second_login");
	ck_assert_str_eq(vd_conf_str(n), "replace");
	ck_assert(!vd_conf_written(n));
	ck_assert_str_eq(vd_conf_origin(n, at, sizeof(at)), "default");
	ck_assert_uint_eq(vd_conf_uint(vd_conf_knob(conf, "devices", "l2tp", "hello")), 90000);
	ck_assert_uint_eq(vd_conf_uint(vd_conf_knob(conf, "staff", "l2tp", "hello")), 60000);
	ck_assert_uint_eq(vd_conf_uint(vd_conf_knob(conf, NULL, "l2tp", "hello")), 60000);
	ck_assert_uint_eq(vd_conf_uint(vd_conf_at(conf, NULL, "gateway.max_peers")), 10000);
	ck_assert_ptr_null(vd_conf_at(conf, NULL, "gateway.nothing"));
	ck_assert_ptr_null(vd_conf_at(conf, NULL, "connections.nobody.pool"));
	ck_assert_uint_eq(vd_conf_uint(NULL), 0);
	ck_assert_ptr_null(vd_conf_str(NULL));
}
END_TEST

/* Neither form shows what is in the secrets' files, and the JSON one is JSON. */
START_TEST(dump)
{
	struct vd_conf *conf = load("");
	unsigned flags;

	for (flags = 0; flags < 8; flags++) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		ck_assert_int_eq(vd_conf_dump(conf, flags, f), 0);
		fclose(f);
		ck_assert_ptr_nonnull(strstr(text, "!file ../secrets/staff.psk"));
		ck_assert_ptr_null(strstr(text, "octets of"));
		ck_assert_int_eq(strstr(text, "30-staff.yaml:8") != NULL, (flags & VD_CONF_ORIGINS) != 0);
		ck_assert_int_eq(strstr(text, "max_peers") != NULL, (flags & VD_CONF_DEFAULTS) != 0);
		ck_assert_int_eq(text[0] == '{', (flags & VD_CONF_JSON) != 0);
		free(text);
	}
	vd_conf_unref(conf);
}
END_TEST

/* A realm may name the sections of whoever provides authenticate/SECTION, and no others. */
START_TEST(sections_of_providers)
{
	put("conf.d/60-realms.yaml", "realms:\n  a: { authenticate: [pools/staff, users/devices] }\n", 0644);
	vd_conf_unref(load("/conf.d/60-realms.yaml:2:3: warning: realms.a is not used: no connections.NAME.realm names it; take "
		"it out, or name it there\n"));
	put("conf.d/60-realms.yaml", "realms:\n  a: { authenticate: [pools/stuff] }\n  b: { authenticate: connections/staff }\n"
		"  c: { authenticate: users/devices, account: pools/staff }\n", 0644);
	ck_assert_ptr_null(load(
		"/conf.d/60-realms.yaml:2:23: error: realms.a.authenticate: there is no `pools/stuff`; did you mean `pools/staff`?\n"
		"/conf.d/60-realms.yaml:3:22: error: realms.b.authenticate: `connections/staff` is not written as SECTION/NAME, "
		"SECTION being one of users|radius|pools; known are users/devices, radius/nps1, radius/nps2, pools/staff, pools/devices\n"
		"/conf.d/60-realms.yaml:4:46: error: realms.c.account: `pools/staff` is not written as SECTION/NAME, SECTION being one of "
		"radius; known are radius/nps1, radius/nps2\n"));
}
END_TEST

START_TEST(two_files)
{
	put("conf.d/60-again.yaml", "pools:\n  staff: { range: 10.7.0.0/24 }\n  more: { range: 10.7.0.0/24 }\n", 0644);
	put("conf.d/70-other.yml", "nothing: here\n", 0644);
	put("conf.d/.hidden.yaml", "nothing: here\n", 0644);
	put("conf.d/80-word.yaml", "connections:\n  x:\n    accept: [l2pt]\n  z: {}\n", 0644);
	put("conf.d/90-broken.yaml", "pools: [\n", 0644);
	ck_assert_ptr_null(load(
		"/conf.d/70-other.yml: warning: not read, because its name does not end in .yaml\n"
		"/conf.d/60-again.yaml:2:3: error: pools.staff stands already in /conf.d/30-staff.yaml:2; an object is in one "
		"file only\n"
		"/conf.d/90-broken.yaml:2:1: error: while parsing a flow node: did not find expected node content\n"
		"/conf.d/80-word.yaml:3:14: error: connections.x.accept: no plugin speaks `l2pt`; did you mean `l2tp`?\n"
		"/conf.d/80-word.yaml:4:3: warning: connections.z neither accepts nor connects: nobody can use it\n"));
}
END_TEST

START_TEST(no_file)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/viaduct.yaml", folder);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_ptr_null(load("/viaduct.yaml: error: cannot read this file: No such file or directory\n"));
}
END_TEST

START_TEST(extends)
{
	struct vd_conf *conf = parse("connections:\n"
				     "  base: { accept: l2tp, routes: all, l2tp: { psk: !file secrets/staff.psk, hello: 5s } }\n"
				     "  mid: { extends: base, peer: a, accept: ikev2, l2tp: { hello: 7s } }\n"
				     "  top: { peer: b, extends: mid, routes: 10.0.0.0/8 }\n");
	const struct vd_conf_node *top = vd_conf_at(conf, NULL, "connections.top");
	char at[128];

	ck_assert_uint_eq(vd_conf_uint(vd_conf_at(conf, top, "l2tp.hello")), 7000);
	ck_assert_uint_ne(vd_conf_key(vd_conf_at(conf, top, "l2tp.psk")), 0);
	ck_assert_str_eq(vd_conf_origin(vd_conf_at(conf, top, "l2tp.psk"), at, sizeof(at)), "t.yaml:2");
	ck_assert_str_eq(vd_conf_str(vd_conf_at(conf, top, "routes")), "10.0.0.0/8");
	ck_assert_ptr_null(vd_conf_child(top, "extends"));
	vd_conf_unref(conf);
}
END_TEST

START_TEST(own_file)
{
	static const struct vd_opt schema[] = {
		{ "*", VD_T_MAP, 0, NULL, NULL, "User." },
		{ "*.password", VD_T_SECRET, 0, NULL, NULL, "Secret." },
		{ NULL },
	};
	const struct vd_conf *conf = NULL;
	struct vd_error err;
	char path[128], yaml[65536], *p = yaml;
	size_t n = 0;
	int i;

	snprintf(path, sizeof(path), "%s/users.yaml", folder);
	for (i = 0; i < 1000; i++)
		p += sprintf(p, "User.%d: { password: !file secrets/nps1 }\n", i);
	put("users.yaml", yaml, 0644);
	ck_assert_int_eq(vd_conf_load_file(path, schema, &conf, &n, &err), 0);
	ck_assert_uint_eq(vd_conf_count(vd_conf_at(conf, NULL, "")), 1000);
	ck_assert_str_eq(vd_conf_name(vd_conf_child(vd_conf_at(conf, NULL, ""), "User.777")), "User.777");
	ck_assert_ptr_null(vd_conf_child(vd_conf_at(conf, NULL, ""), "User.1000"));
	vd_conf_unref(conf);
	put("users.yaml", "a: { passwort: !file x }\nno: {}\n", 0644);
	ck_assert_int_eq(vd_conf_load_file(path, schema, &conf, &n, &err), -EINVAL);
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_nonnull(strstr(err.text, "users.yaml:1:6: unknown option `passwort` in a; did you mean `password`?"));
}
END_TEST

/* Whatever is done to the text, it is accepted or refused with a reason. */
START_TEST(mutations)
{
	static const char bits[] = ":{}[]!&*\t\n \"'#%@`|>-?,0";
	char yaml[4096];
	uint32_t r;
	int i, k;

	for (i = 0; i < 3000; i++) {
		struct vd_conf_errors errs = { 0 };
		struct vd_conf *conf = NULL;
		size_t n;

		n = vd_format(yaml, sizeof(yaml), "%s%s", i & 1 ? staff_yaml : berlin_yaml, i & 2 ? devices_yaml : radius_yaml);
		for (k = 0; k <= i % 4; k++) {
			size_t at, len;

			vd_random(&r, sizeof(r));
			at = r % n;
			len = r >> 24 & 15;
			if (r >> 16 & 1)
				yaml[at] = bits[(r >> 17) % (sizeof(bits) - 1)];
			else if (r >> 17 & 1 && at + len < n)
				memmove(yaml + at, yaml + at + len, n - at - len + 1), n -= len;
			else
				yaml[at] = (char)((r >> 8 & 255) | 1);
		}
		ck_assert_int_eq(vd_conf_parse_text(yaml, "t.yaml", folder, other_schemas, 1, &conf, &errs) != 0,
			errs.n_errors != 0);
		vd_conf_unref(conf);
		vd_conf_errors_free(&errs);
	}
}
END_TEST

START_TEST(limits)
{
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	size_t n = 400000, i;
	char *big = malloc(1100000), first[600], *json = NULL;
	FILE *f;

	strcpy(big, "pools: [");
	for (i = 8; i + 2 < n; i += 2)
		memcpy(big + i, "a,", 2);
	strcpy(big + i, "]");
	ck_assert_int_eq(vd_conf_parse_text(big, "t.yaml", folder, NULL, 0, &conf, &errs), -EINVAL);
	vd_conf_errors_first(&errs, first, sizeof(first));
	ck_assert_ptr_nonnull(strstr(first, "too large: more than 100,000 values"));
	memset(big, '#', 1099999);
	big[1099999] = 0;
	ck_assert_int_eq(vd_conf_parse_text(big, "t.yaml", folder, NULL, 0, &conf, &errs), -EINVAL);
	f = open_memstream(&json, &n);
	ck_assert_int_eq(vd_conf_errors_json(&errs, f), 0);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(json, "\"line\":0,\"column\":0,\"level\":\"error\",\"text\":\"larger than 1 MiB\""));
	free(json);
	free(big);
	vd_conf_errors_free(&errs);
}
END_TEST

/* The samples with their comment signs taken away are a configuration. */
START_TEST(samples)
{
	static const char *const names[] = { "10-log", "20-users", "30-pools", "40-l2tp-staff" };
	char path[512], line[512], text[8192];
	size_t i, n = 0;
	struct vd_conf *conf;
	FILE *f;

	put_folder("samples");
	for (i = 0; i < VD_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/conf.d/%s.yaml", VD_TEST_SRCDIR, names[i]);
		f = fopen(path, "r");
		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof(line), f)) {
			ck_assert_int_eq(line[0], '#');
			if (line[1] == ' ')
				n += vd_format(text + n, sizeof(text) - n, "%s", line + 2);
		}
		fclose(f);
	}
	/* They lie in conf.d. */
	strcpy(folder + strlen(folder), "/samples");
	conf = parse(text);
	*strrchr(folder, '/') = '\0';
	ck_assert_str_eq(vd_conf_str(vd_conf_at(conf, NULL, "connections.staff.pool")), "staff");
	ck_assert_str_eq(vd_conf_str(vd_conf_at(conf, NULL, "log.areas.ike")), "info");
	vd_conf_unref(conf);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conf");
	TCase *t = tcase_create("conf");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, example);
	tcase_add_test(t, dump);
	tcase_add_test(t, sections_of_providers);
	tcase_add_test(t, two_files);
	tcase_add_test(t, no_file);
	tcase_add_test(t, extends);
	tcase_add_test(t, own_file);
	tcase_add_test(t, mutations);
	tcase_add_test(t, limits);
	tcase_add_test(t, samples);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
