/* Recordings: what stands in them, and what never does. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/datapath.h>
#include <viaduct/topics.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/record/names.h"
#include "core/record/record.h"
#include "tests/lib/fake.h"

static char folder[] = "/tmp/vd-record-XXXXXX", path[64], text[65536];

static void setup(void)
{
	struct vd_error err;

	fake_init(1);
	strcpy(folder, "/tmp/vd-record-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/rec", folder);
	ck_assert_int_eq(vd_record_open(path, false, &err), 0);
}

static void teardown(void)
{
	vd_record_close("test");
	unlink(path);
	rmdir(folder);
	fake_fini();
}

static const char *written(void)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static struct vd_path path_of(bool natt)
{
	struct vd_path p = { .endpoint = 1, .natt = natt };

	vd_ip_parse("192.0.2.1", &p.local.ip);
	vd_ip_parse("198.51.100.7", &p.remote.ip);
	p.local.port = p.remote.port = natt ? 4500 : 500;
	return p;
}

START_TEST(test_turns)
{
	struct vd_path p = path_of(false);
	uint8_t in[] = { 1, 2, 3 };

	vd_record_begin();
	fake_advance(5);
	vd_record_in(-1, &p, in, sizeof(in));
	ck_assert(vd_verified(true));
	ck_assert(!vd_verified(false));
	vd_record_sealed("ab", 2);
	vd_record_turn();
	vd_record_timer();
	vd_record_timer(); /* the next that is due in the same turn */
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(),
		"now 1000005\nin -1 1 0 192.0.2.1:500 198.51.100.7:500 3 010203\n saw verified 01\n saw verified 00\n sealed 6162\n"
		"timer\n"));
	/* What came of something that is not recorded. */
	vd_record_sealed("cd", 2);
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), "timer\nother 1000005\n sealed 6364\n"));
	vd_record_close("enough");
	ck_assert_ptr_nonnull(strstr(written(), "\nend enough\n"));
	ck_assert(!vd_record_on());
}
END_TEST

/* A proof is zeros wherever it stands, before and after it was told, also when it is sent again in a later turn. */
START_TEST(test_conceal)
{
	uint8_t message[] = "xxPROOFPROOFyy";

	vd_record_begin();
	vd_record_sealed(message, 14);
	vd_conceal("PROOFPROOF", 10);
	vd_record_sealed(message + 1, 12);
	vd_record_turn();
	vd_record_sealed(message, 12);
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), " sealed 7878000000000000000000007979\n sealed 780000000000000000000079\n"));
	ck_assert_ptr_nonnull(strstr(text, " sealed 787800000000000000000000\n"));
	ck_assert_ptr_null(strstr(text, "50524f4f46"));
}
END_TEST

/* A place: parts of what was, and of what will be recorded from it in this turn; in the next it may hold something else. */
START_TEST(test_conceal_place)
{
	uint8_t packet[] = "HEADpayload";

	vd_record_begin();
	vd_record_sealed(packet, 8);
	vd_conceal_at(packet + 4, 7);
	vd_record_sealed(packet + 2, 9);
	vd_record_turn();
	vd_record_sealed(packet, 11);
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), " sealed 4845414400000000\n sealed 414400000000000000\n"));
	ck_assert_ptr_nonnull(strstr(text, " sealed 484541447061796c6f6164\n"));
}
END_TEST

/* More than can be kept in mind: the recording ends, rather than show what it should not. */
START_TEST(test_conceal_too_much)
{
	uint8_t packet[128];

	memset(packet, 'S', sizeof(packet));
	vd_record_begin();
	vd_record_sealed(packet, sizeof(packet));
	for (unsigned i = 0; i < sizeof(packet); i++)
		vd_conceal_at(packet + i, 1);
	ck_assert(!vd_record_on());
	ck_assert_ptr_null(strstr(written(), "5353"));
	ck_assert_ptr_nonnull(strstr(text, "end too much to conceal in one turn\n"));
}
END_TEST

START_TEST(test_sealed_messages)
{
	struct vd_path plain = path_of(false), natt = path_of(true);
	uint8_t ike[40] = { 1 }, esp[40] = { 0x10, 0, 0, 1 };
	struct vd_datapath_sent sent = { .way = VD_SENT_IKE, .path = plain, .p = ike, .len = sizeof(ike) };

	memset(ike + 28, 0xcc, 12);
	memset(esp + 8, 0xcc, 32);
	vd_record_begin();
	vd_record_out(NULL, &sent); /* clear: whole */
	ike[19] = 1;
	vd_record_out(NULL, &sent); /* encrypted: the header */
	sent = (struct vd_datapath_sent){ .way = VD_SENT_UDP, .path = natt, .p = esp, .len = sizeof(esp) };
	vd_record_out(NULL, &sent);
	vd_record_in(0, &natt, esp, sizeof(esp));
	natt.tos = 0xbb;
	vd_record_in(0, &natt, esp, sizeof(esp));
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), "out ike 192.0.2.1:500 198.51.100.7:500 40 "));
	char *second = strstr(strstr(text, "out ike") + 1, "out ike");
	ck_assert_ptr_nonnull(strstr(text, "cccccccccccccccccccccccc\n"));
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_null(strstr(second, "cccc"));
	ck_assert_ptr_nonnull(strstr(second, " out udp 192.0.2.1:4500 198.51.100.7:4500 40 1000000100000000\n"));
	ck_assert_ptr_nonnull(strstr(second, "in 0 1 1 192.0.2.1:4500 198.51.100.7:4500 40 1000000100000000\n"));
	ck_assert_ptr_nonnull(strstr(second, "in 0 1 1 192.0.2.1:4500 198.51.100.7:4500 40 tos 187 1000000100000000\n"));
}
END_TEST

START_TEST(test_names)
{
	char line[] = "alice bob al alice2 bob@x x\\alice secrets/bob pool";

	vd_record_names_keep("pool");
	vd_record_names_add("alice");
	vd_record_names_add("alice");
	vd_record_names_add("bob");
	vd_record_names_add("pool"); /* also a word of the configuration */
	vd_record_names_add("x");    /* too short for another */
	vd_record_names_replace(line, strlen(line));
	ck_assert_str_eq(line, "u0000 u01 al alice2 u01@x x\\u0000 secrets/u01 pool");
}
END_TEST

/* More users than names of two letters: the rest keep theirs, and nobody gets another's. */
START_TEST(test_names_many)
{
	char name[8], all[8000] = "", was[8000];
	size_t n = 0;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%c%c", 'A' + (int)(i / 26), 'a' + (int)(i % 26));
		vd_record_names_add(name);
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s ", name);
	}
	strcpy(was, all);
	vd_record_names_replace(all, n);
	for (size_t i = 0; i < n; i += 3)
		for (size_t k = 0; k < i; k += 3)
			ck_assert_msg(memcmp(all + i, all + k, 3) != 0, "two users are %.2s", all + i);
	ck_assert_int_eq(memcmp(all, "u0 u1 u2 ", 9), 0);
	ck_assert_int_eq(memcmp(all + 99 * 3, was + 99 * 3, 3), 0);
}
END_TEST

START_TEST(test_events)
{
	struct vd_auth_failed event = { .session = 7 };

	vd_strcpy(event.user, sizeof(event.user), "alice");
	vd_record_name("alice");
	vd_record_begin();
	ck_assert_int_eq(vd_event_post(&vd_topic_auth_failed, &event), 0);
	fake_drain();
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), " event auth_failed {\"session\":\"s-7\",\"user\":\"u0000\""));
	ck_assert_ptr_null(strstr(text, "alice"));
}
END_TEST

START_TEST(test_file)
{
	struct vd_error err;
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	vd_record_close("first");
	ck_assert_int_eq(vd_record_open(path, false, &err), -EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "give another name"));
	ck_assert_int_eq(vd_record_open("/nowhere/at/all", false, &err), -ENOENT);
}
END_TEST

/* A full disk, as a limit of the process makes one: the recording ends, and nothing else. */
START_TEST(test_disk_full)
{
	struct rlimit limit = { 2000, 2000 };
	uint8_t much[600] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	vd_record_begin();
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (unsigned i = 0; i < 8; i++) {
		vd_record_sealed(much, sizeof(much));
		vd_record_turn();
	}
	ck_assert(!vd_record_on());
	ck_assert(vd_verified(true));
}
END_TEST

START_TEST(test_commands)
{
	static const char kill[] = "{\"id\":1,\"command\":\"session.kill\"}", test[] = "{\"command\":\"realm.test\",\"args\":{\"password\":\"x\"}}";

	vd_record_begin();
	vd_record_control(kill, sizeof(kill) - 1);
	vd_record_control(test, sizeof(test) - 1);
	vd_record_turn();
	ck_assert_ptr_nonnull(strstr(written(), "control {\"id\":1,\"command\":\"session.kill\"}\n"));
	ck_assert_ptr_null(strstr(text, "password"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_turns);
	tcase_add_test(t, test_conceal);
	tcase_add_test(t, test_conceal_place);
	tcase_add_test(t, test_conceal_too_much);
	tcase_add_test(t, test_sealed_messages);
	tcase_add_test(t, test_names);
	tcase_add_test(t, test_names_many);
	tcase_add_test(t, test_events);
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_commands);
	tcase_add_test(t, test_disk_full);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
