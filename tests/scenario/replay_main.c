/* viaduct-replay FILE: replays a recording, and says whether everything was as recorded. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/scenario/replay.h"

/* In place of Check's own, which want a running test. */
void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	va_list ap;

	fprintf(stderr, "viaduct-replay: %s:%d: %s ", file, line, expr);
	if (msg) {
		va_start(ap, msg);
		vfprintf(stderr, msg, ap);
		va_end(ap);
	}
	fputc('\n', stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const char usage[] = "usage: viaduct-replay FILE\n\n"
		"Replays a recording made by viaductd --record, without its secrets and without a network.\n"
		"Exit status: 0 everything was as recorded, 1 it was not, 2 there is nothing to replay.\n";
	struct replay result;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-') {
		fputs("viaduct-replay: give one recording; see viaduct-replay --help\n", stderr);
		return 2;
	}
	status = replay_run(argv[1], &result);
	if (status == 0)
		printf("replayed %u turns: all %u lines as recorded\n", result.turns, result.lines);
	else if (status == 1)
		printf("differs after %u turns and %u lines\n%s\n", result.turns, result.lines, result.text);
	else
		fprintf(stderr, "viaduct-replay: %s\n", result.text);
	return status;
}
