/* Recordings of real conversations, replayed: see tests/scenario/replay.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/scenario/replay.h"

#define RECORDING(name) VD_TEST_SRCDIR "/tests/scenario/recordings/" name ".rec"

static const char *const recordings[] = { "dial", "gateway", "strongswan" };

START_TEST(test_recording)
{
	struct replay result;
	char path[512];

	snprintf(path, sizeof(path), VD_TEST_SRCDIR "/tests/scenario/recordings/%s.rec", recordings[_i]);
	int status = replay_run(path, &result);
	ck_assert_msg(status == 0, "%s after %u turns and %u lines: %s", recordings[_i], result.turns, result.lines, result.text);
	ck_assert_uint_gt(result.turns, 20);
	ck_assert_uint_gt(result.lines, 100);
}
END_TEST

/* A recording with one word changed: the replay must see it. */
static int changed(const char *from, const char *to, struct replay *ret_result)
{
	char path[] = "/tmp/vd-recording-XXXXXX", line[65536];
	int fd = mkstemp(path), status;
	FILE *in = fopen(RECORDING("gateway"), "r"), *out = fdopen(fd, "w");
	bool done = false;

	ck_assert(in && out);
	while (fgets(line, sizeof(line), in)) {
		char *at = done ? NULL : strstr(line, from);

		if (at) {
			fprintf(out, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
			done = true;
		} else {
			fputs(line, out);
		}
	}
	fclose(in);
	fclose(out);
	ck_assert_msg(done, "\"%s\" is not in the recording", from);
	status = replay_run(path, ret_result);
	unlink(path);
	return status;
}

START_TEST(test_outcome_differs)
{
	struct replay result;

	ck_assert_int_eq(changed(" event auth_ok ", " event auth_xx ", &result), 1);
	ck_assert_ptr_nonnull(strstr(result.text, "recorded:  event auth_xx"));
	ck_assert_ptr_nonnull(strstr(result.text, "replayed:  event auth_ok"));
}
END_TEST

/* What was observed decides: with the same messages, a proof that was wrong is refused. */
START_TEST(test_observation_counts)
{
	struct replay result;

	ck_assert_int_eq(changed(" saw verified 01", " saw verified 00", &result), 1);
}
END_TEST

/* The outer TOS, of which older recordings say nothing. */
START_TEST(test_tos)
{
	struct replay result;

	/* The first that the client sends in its tunnel, whatever its length. */
	ck_assert_int_eq(changed("10.77.0.1:0 10.77.0.2:0 112 ", _i ? "10.77.0.1:0 10.77.0.2:0 112 tos 256 "
		: "10.77.0.1:0 10.77.0.2:0 112 tos 187 ", &result), _i);
}
END_TEST

START_TEST(test_no_recording)
{
	struct replay result;

	ck_assert_int_eq(replay_run(VD_TEST_SRCDIR "/README", &result), 2);
	ck_assert_ptr_nonnull(strstr(result.text, "not a recording"));
}
END_TEST

START_TEST(test_no_file)
{
	struct replay result;

	ck_assert_int_eq(replay_run("/nowhere/at/all", &result), 2);
}
END_TEST

/* Cut in the middle of a turn, as a daemon that was killed leaves it. */
START_TEST(test_cut)
{
	char path[] = "/tmp/vd-recording-XXXXXX", *line = NULL;
	struct replay result;
	size_t room = 0;
	int fd = mkstemp(path);
	FILE *in = fopen(RECORDING("gateway"), "r"), *out = fdopen(fd, "w");

	ck_assert(in && out);
	for (unsigned i = 0; i < 300 && getline(&line, &room, in) > 0; i++)
		fputs(line, out);
	free(line);
	fclose(in);
	fclose(out);
	int status = replay_run(path, &result);
	unlink(path);
	ck_assert_msg(status == 0, "%s", result.text);
	ck_assert_uint_gt(result.lines, 200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replay");
	TCase *t = tcase_create("recordings");
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_recording, 0, (int)(sizeof(recordings) / sizeof(recordings[0])));
	tcase_add_test(t, test_outcome_differs);
	tcase_add_test(t, test_observation_counts);
	tcase_add_loop_test(t, test_tos, 0, 2);
	tcase_add_test(t, test_no_recording);
	tcase_add_test(t, test_no_file);
	tcase_add_test(t, test_cut);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
