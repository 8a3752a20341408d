/* Logins against files of accounts, with the vectors of RFC 2759 section 9.2 and RFC 3079 section 3.5.3. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/accounts.h>
#include <viaduct/bytes.h>
#include <viaduct/crypto.h>
#include <viaduct/log.h>
#include <viaduct/topics.h>

#include "core/conf/conf.h"
#include "core/log.h"
#include "tests/lib/fake.h"

extern const struct vd_plugin aaa_users_LTX_vd_plugin;
#define PLUGIN (&aaa_users_LTX_vd_plugin)

static char folder[64];
static struct vd_answer last;
static struct vd_authenticated got;
static unsigned answers;

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

static void use(const char *yaml)
{
	const struct vd_opt *const schemas[] = { PLUGIN->schema };
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;

	vd_conf_parse_text(yaml, "t.yaml", folder, schemas, 1, &conf, &errs);
	vd_conf_errors_print(&errs, stderr);
	ck_assert_ptr_nonnull(conf);
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
}

static const char accounts[] = "User: { password: !file pw, address: 10.9.0.11, prefix: \"2001:db8:8:b::/64\", pool: special, "
			       "routes_behind: [10.77.0.0/24, 10.78.0.0/16], session_timeout: 1h, idle_timeout: 90s }\n"
			       "hashed: { nt_hash: !file nt }\n"
			       "gone: { password: !file pw, disabled: true }\n"
			       "ACME\\own: { password: !file pw }\n"
			       "flopsy: { password: !file arctangent }\n";

static void setup(void)
{
	fake_init(3);
	strcpy(folder, "/tmp/vd-users-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	put("pw", "clientPass\n");
	put("arctangent", "arctangent\n");
	put("nt", "44EBBA8D5312B8D611474411F56989AE\n");
	put("bad.nt", "44EBBA8D5312B8D611474411F56989AX\n");
	put("devices.yaml", accounts);
	use("users: { devices: { file: devices.yaml } }\n");
}

static void teardown(void)
{
	char command[128];

	vd_conf_install(NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
	fake_fini();
}

static void done(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	last = *answer;
	if (answer->data)
		got = *(const struct vd_authenticated *)answer->data;
	last.data = NULL;
	answers++;
}

static enum vd_verdict ask(const struct vd_authenticate *request)
{
	static const char *const providers[] = { "users/devices", NULL };
	struct vd_request_opts opts = { .providers = providers };

	memset(&got, 0, sizeof(got));
	answers = 0;
	ck_assert_uint_ne(vd_request(&vd_topic_authenticate, request, &opts, done, NULL), 0);
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	return last.verdict;
}

/* RFC 2759 section 9.2 */
static struct vd_authenticate mschap(const char *user)
{
	struct vd_authenticate r = { .session = 1, .method = VD_AUTH_MSCHAPV2 };

	vd_strcpy(r.user, sizeof(r.user), user);
	vd_unhex("5B5D7C7D7B3F2F3E3C2C602132262628", r.challenge, 16);
	vd_unhex("21402324255E262A28295F2B3A337C7E", r.peer_challenge, 16);
	vd_unhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF", r.response, 24);
	return r;
}

/* How many there are. */
START_TEST(counted)
{
	fake_plugin_start(PLUGIN);
	const struct vd_accounts_1 *service = vd_service_find("accounts/1", "users");

	ck_assert_ptr_nonnull(service);
	ck_assert_int_eq(service->count(service->self, "devices"), 5);
	ck_assert_int_eq(service->count(service->self, "device"), -ENOENT);
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(mschapv2_vector)
{
	struct vd_authenticate r = mschap("User");
	char hex[64], text[VD_IP_TEXT];

	fake_plugin_start(PLUGIN);
	ck_assert_int_eq(ask(&r), VD_ACCEPT);
	ck_assert_str_eq(got.user, "User");
	ck_assert_str_eq(got.authenticator, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
	ck_assert_str_eq(vd_hex(hex, sizeof(hex), got.send_key, 16), "8b7cdc149b993a1ba118cb153f56dccb");
	ck_assert_str_eq(got.pool, "special");
	ck_assert_uint_eq(vd_ip_u32(&got.address), 0x0a09000b);
	ck_assert_str_eq(vd_ip_format(&got.network, text), "2001:db8:8:b::");
	ck_assert_uint_eq(got.routes_behind[1].len, 16);
	ck_assert_uint_eq(got.routes_behind[2].ip.family, 0);
	ck_assert_uint_eq(got.session_timeout, 3600);
	ck_assert_uint_eq(got.idle_timeout, 90);
	/* The domain is no part of the hash, and is left away when nobody is called so. */
	r = mschap("CORP\\User");
	ck_assert_int_eq(ask(&r), VD_ACCEPT);
	ck_assert_str_eq(got.user, "User");
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* The reasons differ for the log; the answers do not differ for the client. */
START_TEST(refusals)
{
	struct vd_authenticate r = mschap("User");
	struct vd_authenticated nothing = { 0 };

	fake_plugin_start(PLUGIN);
	r.response[23] ^= 1;
	ck_assert_int_eq(ask(&r), VD_REJECT);
	ck_assert_ptr_nonnull(strstr(last.why.text, "wrong password for User (devices.yaml:1)"));
	ck_assert_int_eq(last.why.code, -EKEYREJECTED);
	ck_assert_str_eq(last.why.origin, "devices.yaml:1");
	ck_assert_mem_eq(&got, &nothing, sizeof(got));
	r = mschap("Nobody");
	ck_assert_int_eq(ask(&r), VD_REJECT);
	ck_assert_ptr_nonnull(strstr(last.why.text, "users/devices has no user of this name"));
	ck_assert_int_eq(last.why.code, -ENOENT);
	ck_assert_str_eq(last.why.origin, "devices.yaml");
	r = mschap("");
	ck_assert_int_eq(ask(&r), VD_REJECT);
	/* The vector's response is for another name, so only the right one tells that it is disabled. */
	memset(r.user, 0, sizeof(r.user));
	strcpy(r.user, "gone");
	r.method = VD_AUTH_PAP;
	r.data = (struct vd_blob){ (const uint8_t *)"clientPass", 10 };
	ck_assert_int_eq(ask(&r), VD_REJECT);
	ck_assert_ptr_nonnull(strstr(last.why.text, "gone is disabled (devices.yaml:3)"));
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(pap)
{
	static const struct {
		const char *user, *password;
		enum vd_verdict verdict;
	} table[] = {
		{ "User", "clientPass", VD_ACCEPT }, { "User", "clientPas", VD_REJECT }, { "User", "clientPass2", VD_REJECT },
		{ "User", "", VD_REJECT }, { "hashed", "clientPass", VD_ACCEPT }, { "hashed", "clientpass", VD_REJECT },
		{ "nobody", "clientPass", VD_REJECT }, { "nobody", "an account that does not exist", VD_REJECT },
		{ "ACME\\own", "clientPass", VD_ACCEPT }, { "own", "clientPass", VD_REJECT }, { "user", "clientPass", VD_REJECT },
		{ "hashed", "\xff\xfe", VD_REJECT },
	};
	size_t i;

	fake_plugin_start(PLUGIN);
	for (i = 0; i < VD_ARRAY_SIZE(table); i++) {
		struct vd_authenticate r = { .method = VD_AUTH_PAP };

		strcpy(r.user, table[i].user);
		r.data = (struct vd_blob){ (const uint8_t *)table[i].password, (uint32_t)strlen(table[i].password) };
		ck_assert_msg(ask(&r) == table[i].verdict, "row %zu: %s", i, vd_verdict_name(last.verdict));
	}
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(chap_md5)
{
	struct vd_authenticate r = { .method = VD_AUTH_CHAP_MD5, .id = 7, .user = "User" };
	uint8_t input[1 + 10 + 16], digest[64];
	size_t n;

	fake_plugin_start(PLUGIN);
	memset(r.challenge, 0x5a, sizeof(r.challenge));
	input[0] = 7;
	memcpy(input + 1, "clientPass", 10);
	memset(input + 11, 0x5a, 16);
	ck_assert_int_eq(vd_digest("MD5", input, sizeof(input), digest, &n), 0);
	memcpy(r.response, digest, 16);
	ck_assert_int_eq(ask(&r), VD_ACCEPT);
	r.id = 8;
	ck_assert_int_eq(ask(&r), VD_REJECT);
	r.id = 7;
	strcpy(r.user, "hashed");
	ck_assert_int_eq(ask(&r), VD_REJECT);
	ck_assert_ptr_nonnull(strstr(last.why.text, "needs the password"));
	r.method = VD_AUTH_EAP;
	ck_assert_int_ne(ask(&r), VD_ACCEPT);
	fake_plugin_stop(PLUGIN);
}
END_TEST

/* RFC 2865 section 7.2: flopsy, arctangent; the challenge is the Request Authenticator, as its section 5.3 has it. */
START_TEST(chap_md5_published)
{
	struct vd_authenticate r = { .method = VD_AUTH_CHAP_MD5, .id = 0x16, .user = "flopsy" };

	fake_plugin_start(PLUGIN);
	vd_unhex("2aee86f08d0d55969ca5978e0d3367a2", r.challenge, 16);
	vd_unhex("e97557c316185895f293ff6344077275", r.response, 16);
	ck_assert_int_eq(ask(&r), VD_ACCEPT);
	r.response[15] ^= 1;
	ck_assert_int_eq(ask(&r), VD_REJECT);
	ck_assert_int_eq(last.why.code, -EKEYREJECTED);
	fake_plugin_stop(PLUGIN);
}
END_TEST

START_TEST(file_changes)
{
	struct vd_authenticate r = { .method = VD_AUTH_PAP, .user = "newcomer" };

	r.data = (struct vd_blob){ (const uint8_t *)"clientPass", 10 };
	fake_plugin_start(PLUGIN);
	ck_assert_int_eq(ask(&r), VD_REJECT);
	put("devices.yaml", "newcomer: { password: !file pw }\n");
	ck_assert_int_eq(ask(&r), VD_REJECT); /* within the second nobody looks */
	fake_advance(1000);
	ck_assert_int_eq(ask(&r), VD_ACCEPT);
	put("devices.yaml", "newcomer: { passwort: !file pw }\n");
	fake_advance(1000);
	ck_assert_int_eq(ask(&r), VD_ACCEPT); /* what was right stays */
	put("devices.yaml", "other: { password: !file pw }\n");
	fake_advance(1000);
	ck_assert_int_eq(ask(&r), VD_REJECT);
	fake_plugin_stop(PLUGIN);
}
END_TEST

static unsigned said;
static char line_said[1024];
static void keep_line(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	if (level > VD_LOG_WARNING)
		return;
	said++;
	vd_strcpy(line_said, sizeof(line_said), line);
}

static enum vd_verdict log_in(const char *user, const char *password)
{
	struct vd_authenticate r = { .method = VD_AUTH_PAP };

	vd_strcpy(r.user, sizeof(r.user), user);
	r.data = (struct vd_blob){ (const uint8_t *)password, (uint32_t)strlen(password) };
	return ask(&r);
}

/* Only the file with the secret changes. */
START_TEST(secret_changes)
{
	fake_plugin_start(PLUGIN);
	ck_assert_int_eq(log_in("User", "clientPass"), VD_ACCEPT);
	put("pw", "another one\n");
	ck_assert_int_eq(log_in("User", "clientPass"), VD_REJECT);
	ck_assert_int_eq(log_in("User", "another one"), VD_ACCEPT);
	put("nt", "8846F7EAEE8FB117AD06BDD830B7586C\n"); /* of "password" */
	ck_assert_int_eq(log_in("hashed", "password"), VD_ACCEPT);
	/* What is wrong stays out, is said once, and again only after another change. */
	vd_log_sink(keep_line, NULL);
	put("pw", "");
	for (unsigned i = 0; i < 40; i++, fake_advance(1000))
		ck_assert_int_eq(log_in("User", "another one"), VD_ACCEPT);
	ck_assert_uint_eq(said, 1);
	ck_assert_msg(strstr(line_said, "users/devices keeps what it had") && strstr(line_said, "the secret is empty"), "%s",
		line_said);
	put("pw", "third\n");
	ck_assert_int_eq(log_in("User", "third"), VD_ACCEPT);
	ck_assert_uint_eq(said, 1);
	/* From another system's editor; and what nobody means, which the reason of the refusal says. */
	put("pw", "fourth\r\n");
	ck_assert_int_eq(log_in("User", "fourth"), VD_ACCEPT);
	put("pw", "fifth \n");
	ck_assert_int_eq(log_in("User", "fifth"), VD_REJECT);
	ck_assert_str_eq(last.why.text, "wrong password for User (devices.yaml:1, whose secret ends in a blank, which is part of the secret)");
	fake_plugin_stop(PLUGIN);
}
END_TEST

static void owner(const char *name, unsigned mode, uid_t uid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ck_assert_int_eq(chown(path, uid, uid), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* Read as root at start, changed when the daemon is an ordinary user: the log says what to do, once. */
START_TEST(after_the_drop)
{
	const uid_t nobody = 65534;
	char want[512];

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(folder, nobody, nobody), 0);
	ck_assert_int_eq(setresuid(nobody, nobody, 0), 0);
	vd_log_sink(keep_line, NULL);
	ck_assert_int_eq(seteuid(0), 0); /* init, as root */
	fake_plugin_start(PLUGIN);
	snprintf(want, sizeof(want), "user viaduct may not read %s/devices.yaml; run: chgrp viaduct %s/devices.yaml; chmod 640 %s/"
		"devices.yaml", folder, folder, folder);
	ck_assert_msg(said == 1 && strstr(line_said, want), "%s", line_said); /* start says so already */
	put("devices.yaml", "newcomer: { password: !file pw }\n");
	ck_assert_int_eq(seteuid(nobody), 0);
	for (unsigned i = 0; i < 40; i++) {
		fake_advance(1000);
		ck_assert_int_eq(log_in("User", "clientPass"), VD_ACCEPT); /* what was read stays */
	}
	ck_assert_uint_eq(said, 2);
	ck_assert_msg(strstr(line_said, "keeps what it had") && strstr(line_said, want), "%s", line_said);
	/* The file may be read, its secret not: another reason, said once. */
	ck_assert_int_eq(seteuid(0), 0);
	owner("devices.yaml", 0640, nobody);
	ck_assert_int_eq(seteuid(nobody), 0);
	for (unsigned i = 0; i < 40; i++) {
		fake_advance(1000);
		ck_assert_int_eq(log_in("User", "clientPass"), VD_ACCEPT);
	}
	snprintf(want, sizeof(want), "user viaduct may not read %s/pw; run: chgrp viaduct %s/pw; chmod 640 %s/pw", folder, folder,
		folder);
	ck_assert_uint_eq(said, 3);
	ck_assert_msg(strstr(line_said, want) != NULL, "%s", line_said);
	/* Done as told. */
	ck_assert_int_eq(seteuid(0), 0);
	owner("pw", 0640, nobody);
	ck_assert_int_eq(seteuid(nobody), 0);
	fake_advance(10000);
	ck_assert_int_eq(log_in("newcomer", "clientPass"), VD_ACCEPT);
	ck_assert_uint_eq(said, 3);
	fake_plugin_stop(PLUGIN);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(wrong_files)
{
	static const struct {
		const char *yaml, *text;
	} table[] = {
		{ "a: {}\n", "devices.yaml:1: a has neither password nor nt_hash" },
		{ "a: { password: !file pw, nt_hash: !file nt }\n", "devices.yaml:1: a has both password and nt_hash" },
		{ "b: { nt_hash: !file bad.nt }\n", "devices.yaml:1: the nt_hash of b is not 32 hexadecimal digits" },
		{ "c: { nt_hash: !file pw }\n", "devices.yaml:1: the nt_hash of c is not 32 hexadecimal digits" },
		{ "a: { password: !file pw, address: 10.0.0.1 }\nb: { password: !file pw, address: 10.0.0.1 }\n",
			"have the same address 10.0.0.1" },
		{ "a: { password: !file pw, prefix: \"2001:db8::/64\" }\nb: { password: !file pw, prefix: \"2001:db8::/64\" }\n",
			"have the same address 2001:db8::" },
		{ "a: { password: !file pw, prefix: \"2001:db8::/56\" }\n", "2001:db8::/56 of a is no IPv6 network of 64 bits" },
		{ "a: { password: !file pw, prefix: 10.0.0.0/24 }\n", "10.0.0.0/24 of a is no IPv6 network of 64 bits" },
		{ "a: { pasword: !file pw }\nb: { password: x }\n", "unknown option `pasword` in a; did you mean `password`? (and 1 more)" },
		{ "a: { password: !file pw, routes_behind: [10.0.0.0/8, 10.0.0.0/8, 10.0.0.0/8, 10.0.0.0/8, 10.0.0.0/8, "
		  "10.0.0.0/8, 10.0.0.0/8, 10.0.0.0/8, 10.0.0.0/8] }\n", "a has more than 8 routes_behind" },
	};
	struct vd_error err;
	void *self = NULL;
	size_t i;

	for (i = 0; i < VD_ARRAY_SIZE(table); i++) {
		put("devices.yaml", table[i].yaml);
		ck_assert_int_ne(PLUGIN->init(NULL, &self, &err), 0);
		ck_assert_msg(strstr(err.text, table[i].text) && !strncmp(err.text, "users.devices.file: ", 20), "%s", err.text);
		ck_assert_ptr_null(self);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("aaa_users");
	TCase *t = tcase_create("users");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, counted);
	tcase_add_test(t, mschapv2_vector);
	tcase_add_test(t, refusals);
	tcase_add_test(t, pap);
	tcase_add_test(t, chap_md5);
	tcase_add_test(t, chap_md5_published);
	tcase_add_test(t, file_changes);
	tcase_add_test(t, secret_changes);
	tcase_add_test(t, after_the_drop);
	tcase_add_test(t, wrong_files);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
