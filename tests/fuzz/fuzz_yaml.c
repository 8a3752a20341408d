/* Configurations: text against the schemas of the core and of every plugin, with all checks; what is accepted is shown in
 * every form. !file finds the files of one folder, and !env two variables. Not a list of records: the octets are the text. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/conf/conf.h"
#include "core/system/keys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin esp_userspace_LTX_vd_plugin, ike_port_LTX_vd_plugin, ike_v1_LTX_vd_plugin,
	net_tun_LTX_vd_plugin, ppp_auth_chap_LTX_vd_plugin, ppp_auth_mschapv2_LTX_vd_plugin, ppp_auth_pap_LTX_vd_plugin,
	ppp_link_LTX_vd_plugin, l2tp_LTX_vd_plugin,
	l2tp_guard_LTX_vd_plugin, pool_local_LTX_vd_plugin, aaa_users_LTX_vd_plugin;
static const struct vd_plugin *const plugins[] = { &esp_userspace_LTX_vd_plugin, &ike_port_LTX_vd_plugin,
	&ike_v1_LTX_vd_plugin, &net_tun_LTX_vd_plugin, &ppp_auth_chap_LTX_vd_plugin, &ppp_auth_mschapv2_LTX_vd_plugin,
	&ppp_auth_pap_LTX_vd_plugin, &ppp_link_LTX_vd_plugin,
	&l2tp_LTX_vd_plugin, &l2tp_guard_LTX_vd_plugin, &pool_local_LTX_vd_plugin, &aaa_users_LTX_vd_plugin };

/* Where !file may look: what is opened elsewhere is not there. Linked with --wrap=open. */
static char folder[64];
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	bool inside = strncmp(path, folder, strlen(folder)) == 0 && !strstr(path, "..");

	return __real_open(inside ? path : "", flags);
}

static void remove_folder(void)
{
	char path[96];

	vd_format(path, sizeof(path), "%s/key", folder);
	unlink(path);
	rmdir(folder);
}

static void prepare(void)
{
	char path[96];
	FILE *f;

	vd_strcpy(folder, sizeof(folder), "/tmp/vd-fuzz-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	atexit(remove_folder);
	vd_format(path, sizeof(path), "%s/key", folder);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs("a secret in a file\n", f);
	fclose(f);
	chmod(path, 0600);
	clearenv();
	setenv("PSK", "a secret in the environment", 1);
	setenv("EMPTY", "", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vd_opt *schemas[VD_ARRAY_SIZE(plugins)];
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char *text = malloc(size + 1), first[512], dir[80];
	static FILE *none;
	size_t n = 0;

	if (!folder[0])
		prepare();
	if (!none)
		none = fopen("/dev/null", "w");
	ck_assert(text && none);
	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_begin();
	fake_init(7);
	ck_assert_int_eq(vd_keys_init(), 0);
	for (size_t i = 0; i < VD_ARRAY_SIZE(plugins); i++)
		if (plugins[i]->schema)
			schemas[n++] = plugins[i]->schema;
	vd_format(dir, sizeof(dir), "%s/", folder);
	int rc = vd_conf_parse_text(text, "fuzz.yaml", dir, schemas, n, &conf, &errs);
	ck_assert((rc == 0) == (conf != NULL));
	ck_assert((rc == 0) == (errs.n_errors == 0));
	vd_conf_errors_print(&errs, none);
	ck_assert_int_eq(vd_conf_errors_json(&errs, none), 0);
	vd_conf_errors_first(&errs, first, sizeof(first));
	vd_conf_errors_free(&errs);
	if (conf) {
		for (unsigned flags = 0; flags < 8; flags++)
			ck_assert_int_eq(vd_conf_dump(conf, flags, none), 0);
		vd_conf_install(conf);
		vd_conf_install(NULL);
	}
	vd_keys_fini();
	fake_fini();
	free(text);
	return 0;
}

/* ---- seeds: the samples, and what stands in other tests ---- */
static void sample(const char *name, const char *text)
{
	char path[256], room[16384];
	FILE *f;

	if (text) {
		fuzz_put_text(name, text);
		return;
	}
	vd_format(path, sizeof(path), "%s/conf.d/%s.yaml", VD_TEST_SRCDIR, name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	room[fread(room, 1, sizeof(room) - 1, f)] = '\0';
	fclose(f);
	fuzz_put_text(name, room);
}

void fuzz_seeds(void)
{
	sample("10-log", NULL);
	sample("20-users", NULL);
	sample("30-pools", NULL);
	sample("40-l2tp-staff", NULL);
	sample("whole", "gateway: { name: vpn.example.com, listen: [192.0.2.1, '2001:db8::1'], workers: 2 }\n"
		"users: { office: { file: users.yaml } }\n"
		"realms: { office: { authenticate: [users/office] } }\n"
		"pools: { office: { range: 10.8.0.10-10.8.0.20, gateway: 10.8.0.1, dns: [10.1.0.53, 10.1.0.54] } }\n"
		"ike_v1: { embryos: 64, half_open: 30s }\n"
		"connections:\n"
		"  staff: { accept: [l2tp], realm: office, pool: office, idle_timeout: 2h, second_login: refuse, "
		"l2tp: { psk: !env PSK } }\n"
		"  devices: { extends: staff, accept: [l2tp], crypto: legacy, l2tp: { psk: !file key } }\n"
		"  office: { connect: [l2tp], peer: 192.0.2.9, routes: [10.40.0.0/16], user: till, password: !env PSK, "
		"l2tp: { psk: !env PSK } }\n");
	sample("wrong", "gateway: { nam: x, listen: [300.1.1.1], workers: yes }\npools: &a { o: { range: 10.8.0.9-10.8.0.1 } }\n"
		"connections:\n  a: { accept: [l2pt], pool: oo, l2tp: { psk: plain } }\n  a: { accept: [] }\n"
		"  b: { l2tp: { psk: !file /etc/hostname } }\n  c: *a\n  d: { l2tp: { psk: !env NONE } }\n\"log\": { level: \"3\" }\n");
}
